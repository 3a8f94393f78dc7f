/* SPDX-License-Identifier: MIT */
/* An explanation as data: which rules a request meets, every limit with its origin, what would happen, what has happened. */
#include "policy_files.h"
#include "src/stats/explain.h"

#include "json_values.h"
#include "stats_bench.h"

#define HOST "api.example.org:443"

#define RULES                                                                                                                    \
	"defaults = { wait = { max = \"30s\"; }; };\n"                                                                           \
	"hosts = (\n"                                                                                                            \
	"  { match = \"api.example.org\"; rate = { max = \"50/s\"; }; concurrency = 20;\n"                                       \
	"    per_client = \"2/s\"; },\n"                                                                                         \
	"  { match = \"api.example.org\"; path = \"/search/*\"; rate = \"1/s\"; },\n"                                            \
	"  { match = \"api.example.org\"; path = \"/graphql\"; method = \"POST\"; apart = true; rate = \"4/s\"; },\n"            \
	"  { match = \"api.example.org\"; path = \"/health\"; exempt = true; }\n"                                                \
	");\n"                                                                                                                   \
	"total = { concurrency = 64; };\n"

struct both {
	struct stats_bench *stats;
	struct bench *files;
};

static int set_up_both(void **state)
{
	struct both *b = calloc(1, sizeof *b);
	void *stats = NULL, *files = NULL;

	if (!b || bench_setup(&stats) != 0 || set_up(&files) != 0)
		return -1;
	b->stats = stats;
	b->files = files;
	*state = b;
	return 0;
}

static int tear_down_both(void **state)
{
	struct both *b = *state;
	void *stats = b->stats, *files = b->files;

	free(b);
	return bench_teardown(&stats) | tear_down(&files);
}

static void put_in_force(struct both *b, const char *text)
{
	struct weir_policy *p = &b->files->policy;

	rule_of(b->files, text, 0);
	weir_policy_publish(&b->stats->segment, p->rules, p->rule_count, p->total_in_use ? &p->total : NULL, NULL, 0, false,
			    WALL_NS);
}

static json_t *explain(struct both *b, const char *method, const char *path, const char *client)
{
	const struct weir_asked_about about = {
		.host_port = HOST, .path = path, .method = method, .client = client, .wire = WEIR_WIRE_TLS};
	struct weir_explanation e;
	json_t *document;

	assert_true(weir_explain(&b->stats->segment, &b->files->policy, &about, b->stats->now, WALL_NS, &e));
	document = weir_explanation_json(&e);
	weir_explanation_free(&e);
	return document;
}

static json_t *at(json_t *o, const char *list, size_t index)
{
	return json_array_get(json_object_get(o, list), index);
}

static json_t *limit_of(json_t *o, const char *limit, const char *scope)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(o, "limits"), i, one)
	{
		if (strcmp(string(one, "limit"), limit) == 0 && strcmp(string(one, "scope"), scope) == 0)
			return one;
	}
	fail_msg("no %s of %s", limit, scope);
	return NULL;
}

/* Ends in ":LINE". */
static void assert_line(json_t *limit, int line)
{
	char end[16];
	const char *source = string(limit, "source");

	snprintf(end, sizeof end, ":%d", line);
	assert_string_equal(source + strlen(source) - strlen(end), end);
	assert_string_equal(string(limit, "origin"), "configured");
}

static void request(struct stats_bench *b, const char *path, enum weir_outcome outcome, uint64_t retry_after_ns)
{
	struct weir_request r;
	struct weir_wish wish = {.host_port = HOST,
				 .asks = {.path = path, .path_bytes = strlen(path), .method = weir_method_bit("GET", 3)}};
	struct weir_result result = {
		.outcome = outcome, .retry_after_ns = retry_after_ns, .hold_cause = WEIR_CAUSE_RETRY_AFTER, .connections = 1};
	uint64_t wake;

	assert_int_equal(weir_gate_begin(&b->gate, &r, &wish, b->now, &wake), WEIR_GO);
	weir_gate_settle(&b->gate, &r, &result, b->now);
}

static const char *sentence_with(json_t *o, const char *text)
{
	json_t *all = json_object_get(o, "sentences"), *one;
	size_t i;

	json_array_foreach(all, i, one) if (strstr(json_string_value(one), text)) return json_string_value(one);
	fail_msg("no sentence with %s", text);
	return "";
}

static void each_narrowed_rule_is_told_with_its_place_and_why(void **state)
{
	struct both *b = *state;
	json_t *o;

	put_in_force(b, RULES);
	o = explain(b, "GET", "/search/code", NULL);
	assert_int_equal(json_array_size(json_object_get(o, "narrowed")), 3);
	assert_string_equal(string(at(o, "narrowed", 0), "rule"), "/search/*");
	assert_string_equal(string(at(o, "narrowed", 0), "why"), "meets");
	assert_true(json_is_true(json_object_get(at(o, "narrowed", 0), "applies")));
	assert_non_null(strstr(string(at(o, "narrowed", 0), "source"), ":5"));
	assert_string_equal(string(at(o, "narrowed", 1), "rule"), "POST/graphql");
	assert_string_equal(string(at(o, "narrowed", 1), "why"), "other_method");
	assert_string_equal(string(at(o, "narrowed", 2), "why"), "other_path");
	assert_int_equal(json_array_size(json_object_get(at(o, "narrowed", 1), "needs")), 2);
	json_decref(o);
	/* Nothing of what is asked for is known. */
	o = explain(b, NULL, NULL, NULL);
	assert_string_equal(string(at(o, "narrowed", 0), "why"), "depends");
	assert_null(json_object_get(at(o, "narrowed", 0), "applies"));
	json_decref(o);
	o = explain(b, "GET", "/health", NULL);
	assert_true(json_is_true(json_object_get(o, "exempt")));
	assert_string_equal(string(o, "verdict"), "go");
	/* What passes untouched has no share of anything. */
	assert_int_equal(json_array_size(json_object_get(o, "limits")), 0);
	json_decref(o);
}

static void a_rule_apart_is_the_one_that_holds(void **state)
{
	struct both *b = *state;
	json_t *o;

	put_in_force(b, RULES);
	o = explain(b, "POST", "/graphql", NULL);
	assert_string_equal(string(o, "entry"), HOST "#POST/graphql");
	assert_string_equal(string(limit_of(o, "rate", "host"), "value"), "4/s");
	assert_line(limit_of(o, "rate", "host"), 6);
	assert_null(json_object_get(o, "group"));
	json_decref(o);
}

static void each_limit_is_told_with_its_origin(void **state)
{
	struct both *b = *state;
	json_t *o;

	put_in_force(b, RULES);
	o = explain(b, "GET", "/search/code", "cron");
	assert_string_equal(string(limit_of(o, "rate", "host"), "value"), "50/s");
	assert_line(limit_of(o, "rate", "host"), 3);
	assert_string_equal(string(limit_of(o, "rate", "narrowed"), "value"), "1/s");
	assert_line(limit_of(o, "rate", "narrowed"), 5);
	assert_string_equal(string(limit_of(o, "rate", "client"), "value"), "2/s");
	assert_line(limit_of(o, "rate", "client"), 4);
	assert_int_equal(integer(limit_of(o, "concurrency", "host"), "value"), 20);
	assert_int_equal(integer(limit_of(o, "concurrency", "total"), "value"), 64);
	assert_line(limit_of(o, "concurrency", "total"), 9);
	assert_line(limit_of(o, "wait", "host"), 1);
	assert_string_equal(string(limit_of(o, "breaker", "host"), "origin"), "built_in");
	json_decref(o);
}

static void what_the_operator_has_set_is_told_with_its_end(void **state)
{
	struct both *b = *state;
	json_t *o;

	put_in_force(b, RULES);
	request(b->stats, "/search/a", WEIR_SUCCEEDED, 0);
	assert_true(weir_gate_set(&b->stats->segment, HOST, 3 * WEIR_RATE_ONE, 1, 7, 600 * SECOND, false, b->stats->now));
	o = explain(b, "GET", "/", NULL);
	assert_string_equal(string(limit_of(o, "rate", "host"), "value"), "3/s");
	assert_string_equal(string(limit_of(o, "rate", "host"), "origin"), "operator");
	assert_true(real(limit_of(o, "rate", "host"), "ends_in_seconds") == 600);
	assert_int_equal(integer(limit_of(o, "concurrency", "host"), "value"), 7);
	assert_string_equal(string(limit_of(o, "concurrency", "host"), "origin"), "operator");
	json_decref(o);
	/* Of a narrowed rule as well. */
	assert_true(
		weir_gate_set(&b->stats->segment, HOST "#/search/*", 4 * WEIR_RATE_ONE, 1, 0, 60 * SECOND, false, b->stats->now));
	o = explain(b, "GET", "/search/b", NULL);
	assert_string_equal(string(limit_of(o, "rate", "narrowed"), "value"), "4/s");
	assert_string_equal(string(limit_of(o, "rate", "narrowed"), "origin"), "operator");
	sentence_with(o, "holds for this request as well: at most 4/s by the operator's word; ");
	json_decref(o);
}

static void what_the_server_has_asked_for_is_told_as_its_own(void **state)
{
	struct both *b = *state;
	json_t *o;

	put_in_force(b, RULES);
	request(b->stats, "/", WEIR_THROTTLED, 12 * SECOND);
	o = explain(b, "GET", "/", NULL);
	assert_string_equal(string(limit_of(o, "hold", "host"), "origin"), "header");
	assert_true(real(limit_of(o, "hold", "host"), "value") >= 12);
	assert_string_equal(string(o, "verdict"), "wait");
	assert_string_equal(string(o, "cause"), "hold");
	assert_string_equal(string(o, "scope"), "host");
	assert_true(real(o, "seconds") >= 12 && real(o, "seconds") < 15);
	json_decref(o);
}

static void the_verdict_names_whose_limit_it_is(void **state)
{
	struct both *b = *state;
	json_t *o;

	put_in_force(b, RULES);
	request(b->stats, "/search/a", WEIR_SUCCEEDED, 0);
	o = explain(b, "GET", "/search/b", NULL);
	assert_string_equal(string(o, "verdict"), "wait");
	assert_string_equal(string(o, "scope"), "narrowed");
	assert_true(real(o, "seconds") >= 1 && real(o, "seconds") < 1.001);
	json_decref(o);
	o = explain(b, "GET", "/other", NULL);
	assert_string_equal(string(o, "verdict"), "go");
	json_decref(o);
}

static void where_rules_are_not_seen_is_told_with_how_many_requests_that_were(void **state)
{
	struct both *b = *state;
	json_t *o, *v;

	put_in_force(b, RULES);
	request(b->stats, "/", WEIR_SUCCEEDED, 0);
	uint32_t slot = weir_entry_find(&b->stats->segment, HOST);
	atomic_store(&b->stats->segment.entry[slot].seen[WEIR_SEEN_RECORD], 5);
	atomic_store(&b->stats->segment.entry[slot].seen[WEIR_SEEN_HTTP2], 2);
	o = explain(b, "GET", "/search/code", NULL);
	v = json_object_get(o, "visibility");
	assert_int_equal(json_array_size(json_object_get(v, "rules")), 3);
	assert_int_equal(integer(v, "requests_not_seen"), 7);
	assert_non_null(strstr(string(v, "not_seen"), "a TLS of their own"));
	assert_non_null(strstr(string(v, "seen"), "OpenSSL or GnuTLS"));
	json_decref(o);
	put_in_force(b, "hosts = ( { match = \"api.example.org\"; rate = \"5/s\"; } );\n");
	o = explain(b, "GET", "/search/code", NULL);
	assert_null(json_object_get(o, "visibility"));
	json_decref(o);
}

/* Of this host and of rules that stand apart from it, and no others'. */
static void of_many_rules_that_are_not_seen_the_first_are_named(void **state)
{
	static const char dots[] = "............................................................................................";
	struct both *b = *state;
	char rules[4096] = "hosts = ( { match = \"api.example.org\"; quotas = ( \"1000/day UTC\" ); spread = true; }";
	json_t *o;

	for (int i = 0; i < 9; i++)
		snprintf(rules + strlen(rules), sizeof rules - strlen(rules),
			 ",\n{ match = \"api.example.org\"; path = \"/%d%s\"; rate = \"1/s\"; }", i, dots);
	strcat(rules, " );\n");
	put_in_force(b, rules);
	o = explain(b, "GET", "/", NULL);
	assert_non_null(strstr(sentence_with(o, "are not visible"), "....\" and 4 more are not visible"));
	assert_int_equal(json_array_size(json_object_get(json_object_get(o, "visibility"), "rules")), 9);
	sentence_with(o, "Quota 1000/day UTC, spread over what is left of its time. From ");
	json_decref(o);
}

/* Its window's end, and not when the next may go, which the verdict tells. */
static void a_quota_that_is_spread_begins_anew_when_its_window_does(void **state)
{
	struct both *b = *state;
	json_t *o;

	put_in_force(b, "hosts = ( { match = \"api.example.org\"; quotas = ( \"1000/day UTC\" ); spread = true; } );\n");
	request(b->stats, "/", WEIR_SUCCEEDED, 0);
	o = explain(b, "GET", "/", NULL);
	assert_non_null(strstr(sentence_with(o, "Quota 1000/day UTC: 1 used, 999 left until "), " 00:00, spread over"));
	json_decref(o);
}

static void the_last_events_of_the_host_are_told(void **state)
{
	struct both *b = *state;
	struct weir_segment *s = &b->stats->segment;
	json_t *o, *events;

	put_in_force(b, RULES);
	for (unsigned i = 0; i < 7; i++)
		weir_event_write(s, WEIR_EVENT_RATE_CHANGED, WEIR_CAUSE_THROTTLED, HOST, (i + 2) * WEIR_RATE_ONE,
				 (i + 1) * WEIR_RATE_ONE, 0, b->stats->now - (10 - i) * SECOND);
	weir_event_write(s, WEIR_EVENT_HOLD_SET, WEIR_CAUSE_RETRY_AFTER, "other.example.org:443", 0, 0, 0, b->stats->now);
	weir_event_write(s, WEIR_EVENT_HOLD_SET, WEIR_CAUSE_RETRY_AFTER, HOST "#POST/graphql", 0, 0, 0, b->stats->now);
	o = explain(b, "GET", "/", NULL);
	events = json_object_get(o, "events");
	assert_int_equal(json_array_size(events), 5);
	for (size_t i = 0; i < 4; i++)
		assert_true(real(json_array_get(events, i), "after") == (double)(i + 4));
	assert_string_equal(string(json_array_get(events, 4), "event"), "hold_set");
	assert_string_equal(string(json_array_get(events, 4), "host"), HOST "#POST/graphql");
	assert_string_equal(string(json_array_get(events, 4), "at"), "2026-11-22T05:33:00Z");
	assert_string_equal(string(json_array_get(events, 3), "at"), "2026-11-22T05:32:56Z");
	json_decref(o);
}

static void a_learned_rate_is_told_as_learned_or_as_the_server_s(void **state)
{
	static const struct {
		enum weir_cause cause;
		const char *origin;
	} by[] = {{WEIR_CAUSE_THROTTLED, "learned"}, {WEIR_CAUSE_QUOTA_HEADER, "header"}};
	struct both *b = *state;
	json_t *o;

	put_in_force(
		b, "hosts = ( { match = \"api.example.org\"; rate = { strategy = \"conservative\"; initial = \"2/s\"; }; } );\n");
	request(b->stats, "/", WEIR_SUCCEEDED, 0);
	for (size_t i = 0; i < COUNT(by); i++) {
		weir_event_write(&b->stats->segment, WEIR_EVENT_RATE_CHANGED, by[i].cause, HOST, 0, 2 * WEIR_RATE_ONE, 0,
				 b->stats->now);
		o = explain(b, "GET", "/", NULL);
		assert_string_equal(string(limit_of(o, "rate", "host"), "value"), "2/s");
		assert_string_equal(string(limit_of(o, "rate", "host"), "origin"), by[i].origin);
		json_decref(o);
	}
}

#define BOTH(test) cmocka_unit_test_setup_teardown(test, set_up_both, tear_down_both)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(each_narrowed_rule_is_told_with_its_place_and_why),
		BOTH(a_rule_apart_is_the_one_that_holds),
		BOTH(each_limit_is_told_with_its_origin),
		BOTH(what_the_operator_has_set_is_told_with_its_end),
		BOTH(what_the_server_has_asked_for_is_told_as_its_own),
		BOTH(the_verdict_names_whose_limit_it_is),
		BOTH(where_rules_are_not_seen_is_told_with_how_many_requests_that_were),
		BOTH(of_many_rules_that_are_not_seen_the_first_are_named),
		BOTH(a_quota_that_is_spread_begins_anew_when_its_window_does),
		BOTH(the_last_events_of_the_host_are_told),
		BOTH(a_learned_rate_is_told_as_learned_or_as_the_server_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
