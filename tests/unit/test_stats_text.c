/* SPDX-License-Identifier: MIT */
#include "src/stats/explain.h"
#include "src/stats/render.h"
#include "stats_bench.h"

static char *status_of(struct stats_bench *b, bool color)
{
	struct weir_snapshot s;
	assert_true(weir_snapshot_take(&b->segment, NULL, b->now, WALL_NS, &s));
	char *text = RENDERED(weir_render_status(&s, NULL, color, out));
	weir_snapshot_free(&s);
	return text;
}

static char *explanation_of(struct stats_bench *b, const char *host)
{
	struct weir_explanation e;
	const struct weir_asked_about about = {.host_port = host};
	assert_true(weir_explain(&b->segment, NULL, &about, b->now, WALL_NS, &e));
	char *text = RENDERED(weir_explanation_text(&e, out));
	weir_explanation_free(&e);
	return text;
}

static void nothing_known_says_so(void **state)
{
	struct stats_bench *b = *state;
	struct weir_snapshot s;
	char *text = status_of(b, false);
	assert_contains(text, "no host is known yet");
	assert_contains(text, "agent: not running");
	free(text);
	assert_true(weir_snapshot_take(&b->segment, NULL, b->now, WALL_NS, &s));
	assert_int_equal(weir_snapshot_verdict(&s), WEIR_NOTHING_KNOWN);
	weir_snapshot_free(&s);
}

static void an_open_breaker_says_why_and_until_when(void **state)
{
	struct stats_bench *b = *state;
	struct weir_snapshot s;
	struct weir_rule rule;
	weir_rule_defaults(&rule);
	rule.breaker.failures = 5;
	rule.breaker.failure_rate_permille = 0;
	rule.breaker.open_time_ns = 12 * SECOND;
	rule.breaker.jitter_permille = 0;
	bench_publish(b, &rule, 1);
	for (int i = 0; i < 5; i++)
		bench_request(b, "api.example.org:443", WEIR_FAILED, 1, 0);
	char *text = status_of(b, false);
	assert_contains(text, "open");
	assert_contains(text, "5 failures in a row, next try in 1");
	assert_lacks(text, "\033");
	free(text);
	assert_true(weir_snapshot_take(&b->segment, NULL, b->now, WALL_NS, &s));
	assert_int_equal(weir_snapshot_verdict(&s), WEIR_SOME_DEGRADED);
	weir_snapshot_free(&s);
	text = status_of(b, true);
	assert_contains(text, "\033[31mopen");
	free(text);
}

static void lines_fit_into_eighty_columns(void **state)
{
	struct stats_bench *b = *state;
	bench_request(b, "a-rather-long-name.of-a-host.example.org:8443", WEIR_SUCCEEDED, 1, 0);
	bench_request(b, "api.example.org:443", WEIR_THROTTLED, 10, 12 * SECOND);
	char *text = status_of(b, false);
	for (const char *at = text; *at; at += strcspn(at, "\n") + 1)
		assert_true(strcspn(at, "\n") <= 80);
	assert_contains(text, "the server asked to wait (Retry-After), 12s left");
	free(text);
}

static void control_characters_do_not_reach_the_terminal(void **state)
{
	struct stats_bench *b = *state;
	bench_request(b, "a\033[2Jb:80", WEIR_SUCCEEDED, 1, 0);
	char *text = status_of(b, false);
	assert_lacks(text, "\033");
	free(text);
}

static void an_unknown_host_would_go_at_once(void **state)
{
	char *text = explanation_of(*state, "new.example.org:443");
	assert_contains(text, "the built-in defaults hold for new.example.org:443");
	assert_contains(text, "Nothing has been requested from it yet.");
	assert_contains(text, "A request now would go at once.");
	free(text);
}

static void a_fixed_rate_is_explained_with_the_wait(void **state)
{
	struct stats_bench *b = *state;
	struct weir_rule rules[2];
	weir_rule_defaults(&rules[0]);
	weir_rule_defaults(&rules[1]);
	snprintf(rules[0].match, sizeof rules[0].match, "api.example.org");
	rules[0].flags = WEIR_RULE_LIMITS_RATE | WEIR_RULE_ANY_PORT;
	rules[0].rate.strategy = WEIR_FIXED;
	rules[0].rate.max = WEIR_RATE_ONE / 2;
	rules[0].rate.burst = 1;
	snprintf(rules[1].match, sizeof rules[1].match, "*");
	bench_publish(b, rules, 2);
	bench_request(b, "api.example.org:443", WEIR_SUCCEEDED, 1, 0);
	char *text = explanation_of(b, "api.example.org:443");
	assert_contains(text, "The rule \"api.example.org\" holds for api.example.org:443.");
	assert_contains(text, "Rate: fixed at ");
	assert_contains(text, "A request now would wait 2s, because it waits for its turn");
	free(text);
}

static void an_exempt_host_is_explained_as_such(void **state)
{
	struct stats_bench *b = *state;
	struct weir_rule rule;
	weir_rule_defaults(&rule);
	rule.flags |= WEIR_RULE_EXEMPT;
	bench_publish(b, &rule, 1);
	char *text = explanation_of(b, "api.example.org:443");
	assert_contains(text, "The rule exempts it");
	free(text);
}

static void what_was_seen_of_less_than_requests_is_explained(void **state)
{
	struct stats_bench *b = *state;
	struct weir_result result = {.outcome = WEIR_SUCCEEDED};
	bench_request(b, "api.example.org:443", WEIR_SUCCEEDED, 1, 0);
	char *text = explanation_of(b, "api.example.org:443");
	assert_lacks(text, "Seen:");
	free(text);
	for (int i = 0; i < 3; i++) {
		struct weir_request r = bench_begin(b, "api.example.org:443");
		result.seen = i == 0 ? WEIR_SEEN_RECORD : WEIR_SEEN_HTTP2;
		b->now += SECOND;
		weir_gate_settle(&b->gate, &r, &result, b->now);
	}
	text = explanation_of(b, "api.example.org:443");
	assert_contains(text, "Seen: 1 requests of programs with a TLS of their own");
	assert_contains(text, "Seen: 2 connections with HTTP/2, which is not looked into: each counts as one request.");
	assert_lacks(text, "no HTTP:");
	free(text);
}

static void an_override_is_explained(void **state)
{
	struct stats_bench *b = *state;
	bench_request(b, "api.example.org:443", WEIR_SUCCEEDED, 1, 0);
	assert_true(weir_gate_set(&b->segment, "api.example.org:443", 2 * WEIR_RATE_ONE, 3, 4, 600 * SECOND, false, b->now));
	char *text = explanation_of(b, "api.example.org:443");
	assert_contains(text, "Rate: set by the operator to 2/s with a burst of 3, for another 10m.");
	assert_contains(text, "Concurrency: set by the operator to 4");
	free(text);
	text = status_of(b, false);
	assert_contains(text, "set by the operator: rate 2/s concurrency 4, for 10m more");
	free(text);
}

static double limit_shown(struct stats_bench *b)
{
	struct weir_snapshot s;
	assert_true(weir_snapshot_take(&b->segment, NULL, b->now, WALL_NS, &s));
	assert_int_equal(s.host_count, 1);
	double limit = (double)s.host[0].limit / 1e9;
	weir_snapshot_free(&s);
	return limit;
}

static void a_changed_rule_is_shown_before_the_next_request(void **state)
{
	struct stats_bench *b = *state;
	struct weir_rule rule;
	weir_rule_defaults(&rule);
	rule.rate.strategy = WEIR_FIXED;
	rule.rate.max = 10 * WEIR_RATE_ONE;
	bench_publish(b, &rule, 1);
	bench_request(b, "api.example.org:443", WEIR_SUCCEEDED, 1, 0);
	assert_true(limit_shown(b) == 10);
	rule.rate.max = 2 * WEIR_RATE_ONE;
	bench_publish(b, &rule, 1);
	assert_true(limit_shown(b) == 2);
	char *text = explanation_of(b, "api.example.org:443");
	assert_contains(text, "fixed at 2/s");
	free(text);
}

static void a_rule_without_a_rate_leaves_none_to_show(void **state)
{
	struct stats_bench *b = *state;
	struct weir_rule rule;
	weir_rule_defaults(&rule);
	rule.rate.strategy = WEIR_FIXED;
	rule.rate.max = 10 * WEIR_RATE_ONE;
	rule.fixed[0].rate = WEIR_RATE_ONE;
	bench_publish(b, &rule, 1);
	bench_request(b, "api.example.org:443", WEIR_SUCCEEDED, 1, 0);
	assert_true(limit_shown(b) == 1);
	rule.fixed[0].rate = 0;
	rule.flags = 0;
	bench_publish(b, &rule, 1);
	assert_true(limit_shown(b) == 0);
}

static void an_override_that_has_ended_is_not_shown(void **state)
{
	struct stats_bench *b = *state;
	struct weir_rule rule;
	weir_rule_defaults(&rule);
	rule.rate.strategy = WEIR_FIXED;
	rule.rate.max = 10 * WEIR_RATE_ONE;
	bench_publish(b, &rule, 1);
	bench_request(b, "api.example.org:443", WEIR_SUCCEEDED, 1, 0);
	assert_true(weir_gate_set(&b->segment, "api.example.org:443", WEIR_RATE_ONE, 1, 0, 5 * SECOND, false, b->now));
	assert_true(limit_shown(b) == 1);
	b->now += 6 * SECOND;
	assert_true(limit_shown(b) == 10);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

static void a_narrowed_rule_is_shown_with_its_results_and_limits(void **state)
{
	struct stats_bench *b = *state;
	struct weir_rule rules[3];
	struct weir_request r;
	struct weir_result result = {.outcome = WEIR_THROTTLED, .latency_ns = SECOND / 50};
	struct weir_wish wish = {.host_port = "api.example.org:443", .asks = {.path = "/x", .path_bytes = 2}};
	uint64_t wake;

	for (int i = 0; i < 3; i++) {
		weir_rule_defaults(&rules[i]);
		strcpy(rules[i].match, i < 2 ? "api.example.org" : "*");
		rules[i].flags |= i < 2 ? WEIR_RULE_ANY_PORT : 0;
	}
	rules[0].narrow.first = rules[0].narrow.count = 1;
	rules[1].narrow.flags = WEIR_NARROW_IS;
	strcpy(rules[1].narrow.path, "/x");
	rules[1].rate.strategy = WEIR_FIXED;
	rules[1].rate.max = 3 * WEIR_RATE_ONE;
	bench_publish(b, rules, 3);
	assert_int_equal(weir_gate_begin(&b->gate, &r, &wish, b->now, &wake), WEIR_GO);
	weir_gate_settle(&b->gate, &r, &result, b->now);
	char *text = status_of(b, false);
	assert_contains(text, "api.example.org:443#/x         -         3/s ");
	free(text);
	struct weir_snapshot s;
	assert_true(weir_snapshot_take(&b->segment, "api.example.org:443", b->now, WALL_NS, &s));
	text = RENDERED(weir_render_text(&s, false, out));
	weir_snapshot_free(&s);
	assert_contains(text, "api.example.org:443#/x\n");
	assert_contains(text, "  results      0 succeeded, 1 throttled, 0 failed\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_known_says_so),
		TEST(an_open_breaker_says_why_and_until_when),
		TEST(lines_fit_into_eighty_columns),
		TEST(control_characters_do_not_reach_the_terminal),
		TEST(an_unknown_host_would_go_at_once),
		TEST(a_fixed_rate_is_explained_with_the_wait),
		TEST(an_exempt_host_is_explained_as_such),
		TEST(what_was_seen_of_less_than_requests_is_explained),
		TEST(an_override_is_explained),
		TEST(a_narrowed_rule_is_shown_with_its_results_and_limits),
		TEST(a_changed_rule_is_shown_before_the_next_request),
		TEST(a_rule_without_a_rate_leaves_none_to_show),
		TEST(an_override_that_has_ended_is_not_shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
