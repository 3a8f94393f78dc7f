/* SPDX-License-Identifier: MIT */
/* What is given up is told: status, stats, JSON, metrics, explain, events. */
#include "stats_bench.h"

#include "src/stats/degraded.h"
#include "src/stats/event_text.h"
#include "src/stats/explain.h"
#include "src/stats/history.h"
#include "src/stats/render.h"
#include "weir/shed.h"

#define HOST "api.example.org:443"

static char *rendered(struct stats_bench *b, void (*render)(const struct weir_snapshot *s, FILE *out))
{
	struct weir_snapshot s;
	char *text;

	assert_true(weir_snapshot_take(&b->segment, NULL, b->now, WALL_NS, &s));
	text = RENDERED(render(&s, out));
	weir_snapshot_free(&s);
	return text;
}

static char *explained(struct stats_bench *b)
{
	struct weir_explanation e;
	const struct weir_asked_about about = {.host_port = HOST};
	char *text;

	assert_true(weir_explain(&b->segment, NULL, &about, b->now, WALL_NS, &e));
	text = RENDERED(weir_explanation_text(&e, out));
	weir_explanation_free(&e);
	return text;
}

static void as_status(const struct weir_snapshot *s, FILE *out)
{
	weir_render_status(s, NULL, false, out);
}

static void as_text(const struct weir_snapshot *s, FILE *out)
{
	weir_render_text(s, false, out);
}

static void as_json(const struct weir_snapshot *s, FILE *out)
{
	json_t *o = weir_render_json(s);

	json_dumpf(o, out, JSON_COMPACT | JSON_REAL_PRECISION(3));
	json_decref(o);
}

static struct weir_entry *entry_of(struct stats_bench *b)
{
	return &b->segment.entry[weir_entry_find(&b->segment, HOST)];
}

static void watch(struct stats_bench *b, uint32_t bits)
{
	struct weir_rule rule;

	weir_rule_defaults(&rule);
	rule.degrade.watch = bits;
	rule.queue.priority = WEIR_CLASS_LOW + 1;
	rule.degrade.queue = 100;
	rule.degrade.latency_ns = 2 * SECOND;
	rule.degrade.error_permille = 105;
	rule.degrade.quota_permille = 200;
	rule.breaker.mode = bits & WEIR_DEGRADE_SHEDS ? WEIR_BREAKER_SHEDS : WEIR_BREAKER_OPENS;
	bench_publish(b, &rule, 1);
	bench_request(b, HOST, WEIR_SUCCEEDED, 1, 0);
}

/* level:11, state:2, relapses:3, cause:6, since */
static uint64_t word(uint64_t level, uint64_t state, uint64_t cause)
{
	return level | state << 11 | cause << 16 | UINT64_C(1000) << 22;
}

static void contains(char *text, const char *what)
{
	assert_contains(text, what);
	free(text);
}

static void lacks(char *text, const char *what)
{
	assert_lacks(text, what);
	free(text);
}

static void where_no_rule_gives_a_threshold_nothing_is_said(void **state)
{
	struct stats_bench *b = *state;

	watch(b, 0);
	entry_of(b)->degrade.word = word(2000, 2, WEIR_CAUSE_LATENCY);
	entry_of(b)->degrade.shed = 500;
	lacks(rendered(b, as_status), "degraded");
	lacks(rendered(b, as_text), "degraded");
	lacks(rendered(b, as_json), "degraded");
	lacks(rendered(b, as_json), "shed");
	lacks(rendered(b, weir_render_prometheus), "weir_degrade_state{");
	lacks(rendered(b, weir_render_prometheus), "weir_shed_ratio{");
}

static void the_state_its_cause_and_what_is_refused_are_told(void **state)
{
	struct stats_bench *b = *state;

	watch(b, WEIR_DEGRADE_WATCHES);
	contains(rendered(b, as_json), "\"degraded\":{\"state\":\"normal\",\"refused\":{\"normal\":0.0,\"low\":0.0}}");
	contains(rendered(b, as_json), "\"state\":\"ok\"");
	lacks(rendered(b, as_status), "degraded");
	entry_of(b)->degrade.word = word(1000, 1, WEIR_CAUSE_QUEUE_LONG);
	contains(rendered(b, as_status), "    degraded: reduced, low refused: too many requests wait\n");
	contains(rendered(b, as_text), "  degraded     reduced, low refused: too many requests wait\n");
	contains(rendered(b, as_json), "\"state\":\"degraded\"");
	contains(rendered(b, as_json),
		 "\"degraded\":{\"state\":\"reduced\",\"cause\":\"queue_long\",\"refused\":{\"normal\":0.0,\"low\":1.0}}");
	contains(rendered(b, weir_render_prometheus), "weir_degrade_state{host=\"" HOST "\",state=\"reduced\"} 1\n");
	contains(rendered(b, weir_render_prometheus), "weir_degrade_state{host=\"" HOST "\",state=\"normal\"} 0\n");
	contains(rendered(b, weir_render_prometheus), "weir_degrade_refused_ratio{host=\"" HOST "\",priority=\"low\"} 1\n");
	entry_of(b)->degrade.word = word(1300, 2, WEIR_CAUSE_LATENCY);
	contains(rendered(b, as_status), "degraded: minimal, low and 30% of normal refused: answers take too long\n");
	entry_of(b)->degrade.word = word(255, 1, WEIR_CAUSE_FAILURE_RATE);
	contains(rendered(b, as_status), "degraded: reduced, 26% of low refused: too large a share of requests failed\n");
}

static void what_is_shed_is_told(void **state)
{
	struct stats_bench *b = *state;

	watch(b, WEIR_DEGRADE_SHEDS);
	contains(rendered(b, as_json), "\"shed\":0.0");
	lacks(rendered(b, as_json), "\"degraded\":{");
	entry_of(b)->degrade.shed = 495;
	contains(rendered(b, as_status), "degraded: 50% refused, as too many fail\n");
	contains(rendered(b, as_json), "\"shed\":0.495");
	contains(rendered(b, weir_render_prometheus), "weir_shed_ratio{host=\"" HOST "\"} 0.495\n");
	watch(b, WEIR_DEGRADE_SHEDS | WEIR_DEGRADE_WATCHES);
	entry_of(b)->degrade.word = word(1000, 1, WEIR_CAUSE_QUOTA_LOW);
	contains(rendered(b, as_status),
		 "degraded: reduced, low refused: little is left of a quota; 50% refused, as too many fail\n");
}

static void the_thresholds_are_explained(void **state)
{
	struct stats_bench *b = *state;

	watch(b, WEIR_DEGRADE_WATCHES | WEIR_DEGRADE_SHEDS);
	contains(explained(b),
		 "Degradation: low is given up first, then normal, where 100 or more wait, p95 is above 2s, more than 10.5% "
		 "fail, less than 20% of a quota is left; now normal.");
	contains(explained(b),
		 "Breaker: it sheds: a share of the requests is refused when more than half of them fail; now 0.0%.");
	entry_of(b)->degrade.word = word(1000, 1, WEIR_CAUSE_LATENCY);
	contains(explained(b), "now reduced, low refused: answers take too long");
	contains(explained(b), "A request now would be refused");
}

static void a_window_by_calls_is_explained(void **state)
{
	struct stats_bench *b = *state;
	struct weir_rule rule;

	weir_rule_defaults(&rule);
	rule.breaker.failure_rate_permille = 250;
	rule.breaker.window_calls = 100;
	bench_publish(b, &rule, 1);
	contains(explained(b), "Breaker: it opens on 5 failures in a row, 25% failures of the last 100 calls, for 2s at first");
	rule.breaker.failure_rate_permille = 5;
	bench_publish(b, &rule, 1);
	contains(explained(b), "in a row, 0.5% failures of the last 100 calls");
}

static void each_change_is_an_event_with_its_cause(void **state)
{
	struct weir_event e = {
		.kind = WEIR_EVENT_DEGRADE_CHANGED, .cause = WEIR_CAUSE_LATENCY, .before = 0, .after = 1, .at_ns = SECOND};
	char text[WEIR_EVENT_TEXT];
	json_t *o;

	(void)state;
	assert_string_equal(weir_event_text(&e, text), "degradation normal -> reduced: answers take too long");
	o = weir_history_event(&e, SECOND, SECOND);
	assert_string_equal(json_string_value(json_object_get(o, "before")), "normal");
	assert_string_equal(json_string_value(json_object_get(o, "after")), "reduced");
	json_decref(o);
	e = (struct weir_event){.kind = WEIR_EVENT_SHED_CHANGED, .cause = WEIR_CAUSE_FAILURE_RATE, .after = 495, .at_ns = SECOND};
	assert_string_equal(weir_event_text(&e, text), "breaker sheds 50%: too large a share of requests failed");
	o = weir_history_event(&e, SECOND, SECOND);
	assert_true(json_real_value(json_object_get(o, "after")) > 0.49 && json_real_value(json_object_get(o, "before")) < 0.01);
	json_decref(o);
	e = (struct weir_event){.kind = WEIR_EVENT_SHED_CHANGED, .cause = WEIR_CAUSE_RECOVERY, .before = 12, .at_ns = SECOND};
	assert_string_equal(weir_event_text(&e, text), "breaker sheds no more: the server answers well again");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(where_no_rule_gives_a_threshold_nothing_is_said, bench_setup, bench_teardown),
		cmocka_unit_test_setup_teardown(the_state_its_cause_and_what_is_refused_are_told, bench_setup, bench_teardown),
		cmocka_unit_test_setup_teardown(what_is_shed_is_told, bench_setup, bench_teardown),
		cmocka_unit_test_setup_teardown(the_thresholds_are_explained, bench_setup, bench_teardown),
		cmocka_unit_test_setup_teardown(a_window_by_calls_is_explained, bench_setup, bench_teardown),
		cmocka_unit_test_setup_teardown(each_change_is_an_event_with_its_cause, bench_setup, bench_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
