/* SPDX-License-Identifier: MIT */
#include "src/stats/render.h"

#include "json_values.h"
#include "src/stats/history.h"
#include "stats_bench.h"

static json_t *document_of(struct stats_bench *b, const char *only)
{
	struct weir_snapshot s;
	assert_true(weir_snapshot_take(&b->segment, only, b->now, WALL_NS, &s));
	json_t *o = weir_render_json(&s);
	weir_snapshot_free(&s);
	assert_non_null(o);
	return o;
}

static void the_document_has_schema_one(void **state)
{
	struct stats_bench *b = *state;
	bench_request(b, "api.example.org:443", WEIR_SUCCEEDED, 100, 0);
	bench_request(b, "api.example.org:443", WEIR_IGNORED, 100, 0);
	json_t *o = document_of(b, NULL), *totals = json_object_get(o, "totals");
	assert_int_equal(integer(o, "schema"), 1);
	assert_string_equal(string(o, "generated"), "2026-11-22T05:33:00Z");
	assert_true(json_is_array(json_object_get(json_object_get(o, "policy"), "sources")));
	assert_int_equal(integer(totals, "hosts"), 1);
	assert_int_equal(integer(totals, "requests"), 2);
	assert_int_equal(json_array_size(json_object_get(o, "hosts")), 1);
	const json_t *h = json_array_get(json_object_get(o, "hosts"), 0);
	assert_string_equal(string(h, "host"), "api.example.org:443");
	assert_string_equal(string(h, "state"), "ok");
	assert_int_equal(integer(h, "admitted"), 2);
	assert_int_equal(integer(h, "succeeded"), 1);
	assert_int_equal(integer(h, "ignored"), 1);
	assert_int_equal(integer(h, "connections"), 2);
	const json_t *latency = json_object_get(h, "latency_seconds");
	assert_int_equal(integer(latency, "count"), 1);
	assert_true(real(latency, "p50") > 0.098 && real(latency, "p50") < 0.102);
	assert_true(real(h, "latency") > 0.0999 && real(h, "latency") < 0.1001);
	json_decref(o);
}

static void what_is_not_known_is_absent(void **state)
{
	struct stats_bench *b = *state;
	bench_request(b, "api.example.org:443", WEIR_IGNORED, 1, 0);
	json_t *o = document_of(b, NULL);
	const json_t *h = json_array_get(json_object_get(o, "hosts"), 0);
	assert_null(json_object_get(h, "rate_limit"));
	assert_null(json_object_get(h, "concurrency_limit"));
	assert_null(json_object_get(h, "error_rate"));
	assert_null(json_object_get(h, "latency"));
	assert_null(json_object_get(json_object_get(h, "wait_seconds"), "p50"));
	json_decref(o);
}

static void a_hold_shows_its_seconds_and_its_cause(void **state)
{
	struct stats_bench *b = *state;
	bench_request(b, "api.example.org:443", WEIR_THROTTLED, 10, 12 * SECOND);
	b->now += 2 * SECOND;
	json_t *o = document_of(b, NULL);
	const json_t *h = json_array_get(json_object_get(o, "hosts"), 0);
	assert_string_equal(string(h, "state"), "throttled");
	assert_string_equal(string(h, "hold_cause"), "retry_after");
	assert_true(real(h, "hold_seconds") > 9.9 && real(h, "hold_seconds") < 10.1);
	json_decref(o);
}

static void a_host_stays_throttled_for_a_minute_after_its_hold(void **state)
{
	struct stats_bench *b = *state;
	bench_request(b, "api.example.org:443", WEIR_THROTTLED, 10, SECOND);
	b->now += 30 * SECOND;
	json_t *o = document_of(b, NULL);
	assert_string_equal(string(json_array_get(json_object_get(o, "hosts"), 0), "state"), "throttled");
	json_decref(o);
	b->now += 31 * SECOND;
	o = document_of(b, NULL);
	assert_string_equal(string(json_array_get(json_object_get(o, "hosts"), 0), "state"), "ok");
	json_decref(o);
}

static void a_breaker_opened_by_hand_has_no_end(void **state)
{
	struct stats_bench *b = *state;
	bench_request(b, "api.example.org:443", WEIR_SUCCEEDED, 1, 0);
	assert_true(weir_gate_breaker(&b->segment, "api.example.org:443", WEIR_BREAKER_FORCED_OPEN, false, b->now));
	json_t *o = document_of(b, NULL);
	const json_t *h = json_array_get(json_object_get(o, "hosts"), 0), *breaker = json_object_get(h, "breaker");
	assert_string_equal(string(h, "state"), "open");
	assert_string_equal(string(breaker, "state"), "open");
	assert_string_equal(string(breaker, "cause"), "forced");
	assert_null(json_object_get(breaker, "reopens_in_seconds"));
	json_decref(o);
}

static void one_host_can_be_asked_for_with_or_without_its_port(void **state)
{
	struct stats_bench *b = *state;
	bench_request(b, "a.example.org:443", WEIR_SUCCEEDED, 1, 0);
	bench_request(b, "a.example.org:80", WEIR_SUCCEEDED, 1, 0);
	bench_request(b, "a.example.org.evil:80", WEIR_SUCCEEDED, 1, 0);
	json_t *o = document_of(b, "a.example.org");
	assert_int_equal(json_array_size(json_object_get(o, "hosts")), 2);
	json_decref(o);
	o = document_of(b, "a.example.org:80");
	assert_int_equal(json_array_size(json_object_get(o, "hosts")), 1);
	json_decref(o);
	o = document_of(b, "nobody");
	assert_int_equal(json_array_size(json_object_get(o, "hosts")), 0);
	json_decref(o);
}

static void a_run_is_no_host_and_is_shown_while_it_is_busy(void **state)
{
	struct stats_bench *b = *state;
	snprintf(b->gate.run.id, sizeof b->gate.run.id, "77.5");
	b->gate.run.rate = 5 * WEIR_RATE_ONE;
	b->gate.run.burst = 1;
	struct weir_request r = bench_begin(b, "a.example.org:443");
	json_t *o = document_of(b, NULL), *runs = json_object_get(o, "runs");
	assert_int_equal(integer(json_object_get(o, "totals"), "hosts"), 1);
	assert_int_equal(integer(json_object_get(o, "totals"), "in_flight"), 1);
	assert_int_equal(json_array_size(runs), 1);
	assert_string_equal(string(json_array_get(runs, 0), "run"), "77.5");
	assert_string_equal(string(json_array_get(runs, 0), "host"), "a.example.org:443");
	assert_true(real(json_array_get(runs, 0), "rate_limit") == 5);
	json_decref(o);
	weir_gate_cancel(&b->gate, &r, b->now);
	o = document_of(b, NULL);
	assert_null(json_object_get(o, "runs"));
	json_decref(o);
}

static void a_name_that_is_no_utf8_is_still_json(void **state)
{
	struct stats_bench *b = *state;
	bench_request(b, "\xff\xfe:80", WEIR_SUCCEEDED, 1, 0);
	json_t *o = document_of(b, NULL);
	char *text = json_dumps(o, WEIR_JSON_FLAGS);
	assert_non_null(text);
	assert_contains(text, "\\\\xff\\\\xfe:80");
	free(text);
	json_decref(o);
}

static void random_memory_renders_without_a_crash(void **state)
{
	struct stats_bench *b = *state;
	uint64_t random = 42;
	for (int i = 0; i < 20; i++)
		bench_request(b, "a.example.org:443", WEIR_SUCCEEDED, 1, 0);
	/* Everything behind the header, which is checked once when it is mapped. */
	for (int round = 0; round < 20; round++) {
		unsigned char *bytes = b->segment.base;
		for (int i = 0; i < 20000; i++) {
			size_t at = sizeof(struct weir_segment_header) +
				    random_next(&random) % (b->segment.bytes - sizeof(struct weir_segment_header));
			bytes[at] = (unsigned char)random_next(&random);
		}
		json_t *o = document_of(b, NULL);
		char *text = json_dumps(o, WEIR_JSON_FLAGS);
		assert_non_null(text);
		free(text);
		json_decref(o);
		o = weir_history_json(&b->segment, 0, b->now, WALL_NS);
		assert_non_null(o);
		json_decref(o);
		o = weir_policy_json(&b->segment, NULL, NULL);
		assert_non_null(o);
		json_decref(o);
	}
}

static void events_come_in_order_and_can_be_continued(void **state)
{
	struct stats_bench *b = *state;
	for (uint64_t i = 0; i < 600; i++) /* more than the ring holds */
		weir_event_write(&b->segment, WEIR_EVENT_RATE_CHANGED, WEIR_CAUSE_THROTTLED, "a.example.org:443",
				 2 * WEIR_RATE_ONE, WEIR_RATE_ONE, 0, b->now - SECOND);
	json_t *o = weir_history_json(&b->segment, 0, b->now, WALL_NS);
	json_t *list = json_object_get(o, "events");
	size_t n = json_array_size(list);
	assert_true(n > 100 && n <= WEIR_HISTORY_MAX);
	const json_t *first = json_array_get(list, 0);
	assert_string_equal(string(first, "event"), "rate_changed");
	assert_string_equal(string(first, "at"), "2026-11-22T05:32:59Z");
	assert_true(real(first, "before") == 2 && real(first, "after") == 1);
	for (size_t i = 1; i < n; i++)
		assert_true(integer(json_array_get(list, i), "number") == integer(first, "number") + (json_int_t)i);
	json_int_t next = integer(o, "next");
	json_decref(o);
	o = weir_history_json(&b->segment, (uint64_t)next, b->now, WALL_NS);
	list = json_object_get(o, "events");
	if (json_array_size(list) > 0)
		assert_true(integer(json_array_get(list, 0), "number") >= next);
	json_decref(o);
	o = weir_history_json(&b->segment, UINT64_MAX, b->now, WALL_NS);
	assert_int_equal(json_array_size(json_object_get(o, "events")), 0);
	json_decref(o);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_document_has_schema_one),
		TEST(what_is_not_known_is_absent),
		TEST(a_hold_shows_its_seconds_and_its_cause),
		TEST(a_host_stays_throttled_for_a_minute_after_its_hold),
		TEST(a_breaker_opened_by_hand_has_no_end),
		TEST(one_host_can_be_asked_for_with_or_without_its_port),
		TEST(a_run_is_no_host_and_is_shown_while_it_is_busy),
		TEST(a_name_that_is_no_utf8_is_still_json),
		TEST(random_memory_renders_without_a_crash),
		TEST(events_come_in_order_and_can_be_continued),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
