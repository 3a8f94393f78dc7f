/* SPDX-License-Identifier: MIT */
/* What was learned of a host's refusals, as every export shows it. */
#include "src/stats/finding.h"

#include "json_values.h"
#include "prometheus_check.h"
#include "src/limit/refusal_state.h"
#include "src/stats/explain.h"
#include "src/stats/render.h"
#include "stats_bench.h"

#define HOST "api.example.org:443"

/* Has the host's entry hold this, with the events that told so `ago_s` seconds before now. */
static void hold(struct stats_bench *b, struct refusal_state s, enum weir_cause cause, uint64_t about, uint64_t ago_s)
{
	bench_request(b, HOST, WEIR_SUCCEEDED, 10, 0);
	atomic_store(&b->segment.entry[weir_entry_find(&b->segment, HOST)].refusal.held, packed(&s));
	if (cause != WEIR_CAUSE_NONE)
		weir_event_write(&b->segment, WEIR_EVENT_MEANING_CHANGED, cause, HOST, about, 0, 0, b->now - ago_s * SECOND);
}

static json_t *refusals_of(struct stats_bench *b, json_t **document)
{
	struct weir_snapshot s;
	assert_true(weir_snapshot_take(&b->segment, NULL, b->now, WALL_NS, &s));
	*document = weir_render_json(&s);
	weir_snapshot_free(&s);
	json_t *o = json_object_get(json_array_get(json_object_get(*document, "hosts"), 0), "refusals");
	assert_true(json_is_object(o));
	return o;
}

static const json_t *found(const json_t *refusals, size_t i)
{
	return json_array_get(json_object_get(refusals, "found"), i);
}

enum page { PROMETHEUS, STATS, STATUS };

static char *page_of(struct stats_bench *b, enum page page)
{
	struct weir_snapshot s;
	assert_true(weir_snapshot_take(&b->segment, NULL, b->now, WALL_NS, &s));
	char *text = page == PROMETHEUS ? RENDERED(weir_render_prometheus(&s, out))
		     : page == STATS    ? RENDERED(weir_render_text(&s, false, out))
					: RENDERED(weir_render_status(&s, NULL, false, out));
	weir_snapshot_free(&s);
	return text;
}

static void of_a_host_that_gave_no_reason_nothing_is_told(void **state)
{
	struct stats_bench *b = *state;
	json_t *document;
	bench_request(b, HOST, WEIR_SUCCEEDED, 10, 0);
	const json_t *o = refusals_of(b, &document);
	assert_int_equal(json_array_size(json_object_get(o, "found")), 0);
	assert_null(json_object_get(o, "trial"));
	json_decref(document);
	char *page = page_of(b, PROMETHEUS);
	assert_null(prometheus_wrong(page));
	assert_contains(page, "weir_refusals_depend_on{host=\"" HOST "\",on=\"pace\"} 0\n");
	assert_contains(page, "weir_trial{host=\"" HOST "\",on=\"crowd\"} 0\n");
	assert_lacks(page, "weir_bare_status{");
	assert_lacks(page, "weir_chance_ratio{");
	assert_lacks(page, "weir_crowd_permits{");
	free(page);
	page = page_of(b, STATS);
	assert_lacks(page, "meaning");
	free(page);
}

static void a_bare_status_that_was_found_to_be_throttling_is_told_everywhere(void **state)
{
	struct stats_bench *b = *state;
	json_t *document;
	hold(b, (struct refusal_state){.status = 503, .meaning = WEIR_REFUSAL_PACE}, WEIR_CAUSE_DEPENDS_ON_PACE, 503, 41);
	const json_t *o = refusals_of(b, &document);
	assert_int_equal(json_array_size(json_object_get(o, "found")), 1);
	assert_int_equal(integer(found(o, 0), "status"), 503);
	assert_string_equal(string(found(o, 0), "cause"), "depends_on_pace");
	assert_true(real(found(o, 0), "found_seconds_ago") == 41);
	assert_null(json_object_get(found(o, 0), "share"));
	assert_null(json_object_get(found(o, 0), "permits"));
	json_decref(document);
	char *page = page_of(b, PROMETHEUS);
	assert_null(prometheus_wrong(page));
	assert_contains(page, "weir_refusals_depend_on{host=\"" HOST "\",on=\"pace\"} 1\n");
	assert_contains(page, "weir_refusals_depend_on{host=\"" HOST "\",on=\"chance\"} 0\n");
	assert_contains(page, "weir_bare_status{host=\"" HOST "\",on=\"pace\"} 503\n");
	free(page);
	static const char told[] = "a bare 503 is taken for throttling; it became rarer when less was asked for (found 41s ago)";
	page = page_of(b, STATUS);
	assert_contains(page, told);
	free(page);
	page = page_of(b, STATS);
	assert_contains(page, told);
	free(page);
	struct weir_explanation e;
	const struct weir_asked_about about = {.host_port = HOST};
	assert_true(weir_explain(&b->segment, NULL, &about, b->now, WALL_NS, &e));
	char *sentences = RENDERED(weir_explanation_text(&e, out));
	assert_contains(sentences, told);
	free(sentences);
	weir_explanation_free(&e);
}

static void what_came_by_chance_and_what_the_crowd_causes_are_told_apart(void **state)
{
	struct stats_bench *b = *state;
	json_t *document;
	hold(b, (struct refusal_state){.status = 500, .meaning = WEIR_REFUSAL_CHANCE, .chance_permille = 52, .permits = 4},
	     WEIR_CAUSE_DEPENDS_ON_CHANCE, 429, 100);
	weir_event_write(&b->segment, WEIR_EVENT_MEANING_CHANGED, WEIR_CAUSE_DEPENDS_ON_CROWD, HOST, 429, 4, 0,
			 b->now - 7 * SECOND);
	const json_t *o = refusals_of(b, &document);
	assert_int_equal(json_array_size(json_object_get(o, "found")), 3);
	assert_int_equal(integer(found(o, 0), "status"), 500);
	assert_string_equal(string(found(o, 0), "cause"), "depends_on_chance");
	assert_null(json_object_get(found(o, 0), "found_seconds_ago")); /* the ring has forgotten it */
	assert_null(json_object_get(found(o, 1), "status"));
	assert_string_equal(string(found(o, 1), "cause"), "depends_on_chance");
	assert_true(real(found(o, 1), "share") == .052);
	assert_true(real(found(o, 1), "found_seconds_ago") == 100);
	assert_string_equal(string(found(o, 2), "cause"), "depends_on_crowd");
	assert_int_equal(integer(found(o, 2), "permits"), 4);
	assert_true(real(found(o, 2), "found_seconds_ago") == 7);
	json_decref(document);
	char *page = page_of(b, PROMETHEUS);
	assert_null(prometheus_wrong(page));
	assert_contains(page, "weir_bare_status{host=\"" HOST "\",on=\"chance\"} 500\n");
	assert_contains(page, "weir_refusals_depend_on{host=\"" HOST "\",on=\"crowd\"} 1\n");
	assert_contains(page, "weir_chance_ratio{host=\"" HOST "\"} 0.052\n");
	assert_contains(page, "weir_crowd_permits{host=\"" HOST "\"} 4\n");
	free(page);
	/* What has no consequence is no news. */
	page = page_of(b, STATUS);
	assert_lacks(page, "a bare 500");
	assert_contains(page, "5.2 % of the answers are throttled whatever the pace");
	assert_contains(page, "more than 4 requests were in flight");
	free(page);
	page = page_of(b, STATS);
	assert_contains(page, "a bare 500 is no throttling");
	free(page);
}

static void while_a_question_is_asked_it_is_told_which(void **state)
{
	static const struct {
		enum weir_refusal_trial trial;
		const char *asks, *text;
	} table[] = {
		{WEIR_TRIAL_STATUS, "pace", "whether a bare 403 becomes rarer at half the pace"},
		{WEIR_TRIAL_CHANCE, "chance", "whether throttled answers become rarer at half the pace"},
		{WEIR_TRIAL_CROWD, "crowd", "whether no more than 6 at a time are ever refused"},
		{WEIR_TRIAL_SILENCE, "ban", "whether silence ends it"},
	};
	struct stats_bench *b = *state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		json_t *document;
		char sample[128];
		hold(b, (struct refusal_state){.status = 403, .permits = 6, .trial = table[i].trial}, WEIR_CAUSE_NONE, 0, 0);
		const json_t *trial = json_object_get(refusals_of(b, &document), "trial");
		assert_string_equal(string(trial, "asks"), table[i].asks);
		if (table[i].trial == WEIR_TRIAL_STATUS)
			assert_int_equal(integer(trial, "status"), 403);
		json_decref(document);
		char *page = page_of(b, PROMETHEUS);
		assert_null(prometheus_wrong(page));
		snprintf(sample, sizeof sample, "weir_trial{host=\"" HOST "\",on=\"%s\"} 1\n", table[i].asks);
		assert_contains(page, sample);
		free(page);
		page = page_of(b, STATUS);
		assert_contains(page, table[i].text);
		free(page);
	}
}

static void permits_that_are_only_tried_are_not_told_as_found(void **state)
{
	struct stats_bench *b = *state;
	hold(b, (struct refusal_state){.permits = 6, .trial = WEIR_TRIAL_CROWD}, WEIR_CAUSE_NONE, 0, 0);
	char *page = page_of(b, PROMETHEUS);
	assert_contains(page, "weir_refusals_depend_on{host=\"" HOST "\",on=\"crowd\"} 0\n");
	assert_lacks(page, "weir_crowd_permits{");
	free(page);
}

static void after_a_reset_nothing_is_known_and_no_time_either(void **state)
{
	struct stats_bench *b = *state;
	json_t *document;
	struct refusal_state s = {.status = 503, .meaning = WEIR_REFUSAL_PACE};
	hold(b, s, WEIR_CAUSE_DEPENDS_ON_PACE, 503, 41);
	assert_true(weir_gate_reset(&b->segment, HOST, b->now));
	assert_int_equal(json_array_size(json_object_get(refusals_of(b, &document), "found")), 0);
	json_decref(document);
	/* Known anew, it does not have the time of what was forgotten. */
	hold(b, s, WEIR_CAUSE_NONE, 0, 0);
	assert_null(json_object_get(found(refusals_of(b, &document), 0), "found_seconds_ago"));
	json_decref(document);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(of_a_host_that_gave_no_reason_nothing_is_told),
		TEST(a_bare_status_that_was_found_to_be_throttling_is_told_everywhere),
		TEST(what_came_by_chance_and_what_the_crowd_causes_are_told_apart),
		TEST(while_a_question_is_asked_it_is_told_which),
		TEST(permits_that_are_only_tried_are_not_told_as_found),
		TEST(after_a_reset_nothing_is_known_and_no_time_either),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
