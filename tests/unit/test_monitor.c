/* SPDX-License-Identifier: MIT */
/* The monitor on a virtual clock: windows, thresholds, for how long, hysteresis, silence, and another monitor that goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weir/monitor.h"

#define S    UINT64_C(1000000000)
#define MS   UINT64_C(1000000)
#define TURN (S / 2)
#define WALL (UINT64_C(1700000000) * S)

struct told {
	char host[64];
	struct weir_alert alert;
};

struct bench {
	struct weir_monitor *m;
	uint64_t now_ns;
	struct weir_alert_params params;
	struct weir_monitor_sample sample;
	struct weir_histogram_copy latency;
	struct told told[64];
	size_t count;
};

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof *b);

	if (!b)
		return -1;
	b->now_ns = 1000 * S;
	b->m = weir_monitor_new(b->now_ns);
	b->params = weir_alert_builtin;
	b->params.window_ns = 12 * S;
	b->params.for_ns = 4 * S;
	b->params.min_samples = 10;
	b->sample.latency = &b->latency;
	*state = b;
	return b->m ? 0 : -1;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	weir_monitor_free(b->m);
	free(b);
	return 0;
}

static void take(void *data, const struct weir_alert *alert)
{
	struct bench *b = data;

	assert_true(b->count < 64);
	snprintf(b->told[b->count].host, sizeof b->told[0].host, "%s", alert->host);
	b->told[b->count++].alert = *alert;
}

/* One look at the host "a" (or none), half a second after the last. */
static void turn(struct bench *b, bool there)
{
	b->now_ns += TURN;
	weir_monitor_begin(b->m, b->now_ns, WALL + b->now_ns, take, b);
	if (there)
		weir_monitor_sample(b->m, "a", &b->params, &b->sample);
	weir_monitor_end(b->m);
}

/* `n` answers after `latency_ns` each. */
static void answer(struct bench *b, uint64_t *what, unsigned n, uint64_t latency_ns)
{
	*what += n;
	b->latency.step[weir_histogram_step(latency_ns)] += n;
	weir_histogram_sum(&b->latency);
}

static void turns(struct bench *b, unsigned seconds)
{
	for (unsigned i = 0; i < 2 * seconds; i++)
		turn(b, true);
}

static void shares_and_latencies_are_those_of_the_window(void **state)
{
	struct bench *b = *state;
	struct weir_monitor_figures f;

	turn(b, true);
	answer(b, &b->sample.succeeded, 90, 100 * MS);
	answer(b, &b->sample.failed, 6, 3 * S);
	answer(b, &b->sample.throttled, 4, 10 * MS);
	turn(b, true);
	assert_true(weir_monitor_figures(b->m, "a", b->now_ns, &f));
	assert_int_equal(f.window_ns, 12 * S);
	assert_int_equal(f.succeeded, 90);
	assert_int_equal(f.failed, 6);
	assert_int_equal(f.throttled, 4);
	assert_int_equal(f.latency.count, 100);
	/* (90 x 100 ms + 6 x 3 s + 4 x 10 ms) / 100 */
	assert_in_range(f.latency.mean_ns, 266 * MS, 275 * MS);
	assert_in_range(f.latency.min_ns, 94 * MS / 10, 106 * MS / 10);
	assert_in_range(f.latency.p50_ns, 94 * MS, 107 * MS);
	assert_in_range(f.latency.p90_ns, 94 * MS, 107 * MS);
	assert_in_range(f.latency.p95_ns, 2800 * MS, 3200 * MS);
	assert_in_range(f.latency.max_ns, 2800 * MS, 3200 * MS);
	/* Eleven of its twelve seconds later they still lie in it, and then no more. */
	turns(b, 11);
	assert_true(weir_monitor_figures(b->m, "a", b->now_ns, &f));
	assert_int_equal(f.succeeded, 90);
	turns(b, 1);
	assert_true(weir_monitor_figures(b->m, "a", b->now_ns, &f));
	assert_int_equal(f.succeeded, 0);
	assert_int_equal(f.latency.count, 0);
	assert_false(weir_monitor_figures(b->m, "b", b->now_ns, &f));
}

static void what_was_counted_before_the_first_look_is_in_no_window(void **state)
{
	struct bench *b = *state;
	struct weir_monitor_figures f;

	answer(b, &b->sample.failed, 1000, S);
	turns(b, 10);
	assert_true(weir_monitor_figures(b->m, "a", b->now_ns, &f));
	assert_int_equal(f.failed, 0);
	assert_int_equal(b->count, 0);
}

static void a_host_that_comes_later_is_counted_from_its_first_request(void **state)
{
	struct bench *b = *state;

	turn(b, false);
	answer(b, &b->sample.failed, 10, MS);
	b->params.for_ns = 0;
	turn(b, true);
	assert_int_equal(b->count, 1);
	assert_int_equal(b->told[0].alert.kind, WEIR_ALERT_ERROR_RATE);
}

static void an_entry_that_begins_anew_is_counted_anew(void **state)
{
	struct bench *b = *state;
	struct weir_monitor_figures f;

	turn(b, true);
	answer(b, &b->sample.succeeded, 50, MS);
	turn(b, true);
	memset(&b->latency, 0, sizeof b->latency);
	b->sample.succeeded = 0;
	answer(b, &b->sample.succeeded, 3, MS);
	turn(b, true);
	assert_true(weir_monitor_figures(b->m, "a", b->now_ns, &f));
	assert_int_equal(f.succeeded, 53);
	assert_int_equal(f.latency.count, 53);
}

static void an_alert_fires_when_it_has_held_for_long_enough_and_resolves(void **state)
{
	struct bench *b = *state;

	turn(b, true);
	answer(b, &b->sample.succeeded, 80, MS);
	answer(b, &b->sample.failed, 20, MS);
	turn(b, true);
	turns(b, 3);
	assert_int_equal(b->count, 0);
	turns(b, 1);
	assert_int_equal(b->count, 1);
	assert_string_equal(b->told[0].host, "a");
	assert_int_equal(b->told[0].alert.kind, WEIR_ALERT_ERROR_RATE);
	assert_int_equal(b->told[0].alert.state, WEIR_ALERT_FIRING);
	assert_int_equal(b->told[0].alert.value, 200);
	assert_int_equal(b->told[0].alert.limit, 100);
	assert_int_equal(b->told[0].alert.since_wall_ns, WALL + b->now_ns);
	assert_int_equal(weir_monitor_health(b->m), WEIR_MONITOR_UNHEALTHY);
	assert_int_equal(weir_monitor_fired(b->m, WEIR_ALERT_ERROR_RATE), 1);
	/* Seven seconds later the window is empty, and four more that is so. */
	turns(b, 10);
	assert_int_equal(b->count, 1);
	turns(b, 3);
	assert_int_equal(b->count, 2);
	assert_int_equal(b->told[1].alert.state, WEIR_ALERT_QUIET);
	assert_int_equal(b->told[1].alert.worst, 200);
	assert_int_equal(weir_monitor_health(b->m), WEIR_MONITOR_HEALTHY);
	turns(b, 60);
	assert_int_equal(b->count, 2);
}

static void what_does_not_last_fires_nothing(void **state)
{
	struct bench *b = *state;

	turn(b, true);
	for (unsigned i = 0; i < 20; i++) {
		b->sample.open = true;
		turns(b, 3);
		b->sample.open = false;
		turn(b, true);
	}
	assert_int_equal(b->count, 0);
}

static void too_few_results_fire_nothing(void **state)
{
	struct bench *b = *state;

	b->params.for_ns = 0;
	turn(b, true);
	answer(b, &b->sample.failed, 9, 20 * S);
	turns(b, 2);
	assert_int_equal(b->count, 0);
	answer(b, &b->sample.failed, 1, 20 * S);
	turn(b, true);
	assert_int_equal(b->count, 2);
	assert_int_equal(b->told[0].alert.kind, WEIR_ALERT_LATENCY);
	assert_int_equal(b->told[1].alert.kind, WEIR_ALERT_ERROR_RATE);
	assert_int_equal(b->told[1].alert.value, 1000);
}

static void a_value_that_trembles_at_its_threshold_fires_once(void **state)
{
	struct bench *b = *state;

	b->params.for_ns = 0;
	b->params.limit[WEIR_ALERT_QUEUE] = 100;
	for (unsigned i = 0; i < 50; i++) {
		b->sample.waiting = i % 2 ? 100 : 91;
		turn(b, true);
	}
	assert_int_equal(b->count, 1);
	assert_int_equal(weir_monitor_health(b->m), WEIR_MONITOR_DEGRADED);
	b->sample.waiting = 89;
	turn(b, true);
	assert_int_equal(b->count, 2);
	assert_int_equal(b->told[1].alert.value, 89);
	assert_int_equal(b->told[1].alert.worst, 100);
}

static void each_kind_has_its_own_threshold(void **state)
{
	struct bench *b = *state;

	b->params.for_ns = 0;
	turn(b, true);
	answer(b, &b->sample.throttled, 30, 6 * S);
	b->sample.open = true;
	b->sample.quota_permille = 900;
	b->sample.waiting = UINT32_MAX; /* nobody asks for it */
	turn(b, true);
	assert_int_equal(b->count, 4);
	assert_int_equal(b->told[0].alert.kind, WEIR_ALERT_LATENCY);
	assert_int_equal(b->told[1].alert.kind, WEIR_ALERT_THROTTLED_RATE);
	assert_int_equal(b->told[2].alert.kind, WEIR_ALERT_BREAKER_OPEN);
	assert_int_equal(b->told[3].alert.kind, WEIR_ALERT_QUOTA);
	assert_true(weir_monitor_fires(b->m, true));
}

static void a_quota_alone_does_not_pass_by_itself(void **state)
{
	struct bench *b = *state;

	b->params.for_ns = 0;
	b->sample.quota_permille = 1000;
	turn(b, true);
	assert_int_equal(b->count, 1);
	assert_true(weir_monitor_fires(b->m, false));
	assert_false(weir_monitor_fires(b->m, true));
}

static void a_threshold_that_is_taken_back_resolves_its_alert(void **state)
{
	struct bench *b = *state;

	b->sample.open = true;
	turns(b, 5);
	assert_int_equal(b->count, 1);
	memset(b->params.limit, 0, sizeof b->params.limit);
	turn(b, true);
	assert_int_equal(b->count, 2);
	assert_int_equal(b->told[1].alert.limit, 0);
	assert_int_equal(b->told[1].alert.state, WEIR_ALERT_QUIET);
}

static void a_host_that_is_forgotten_takes_its_alert_along(void **state)
{
	struct bench *b = *state;

	b->sample.open = true;
	turns(b, 5);
	assert_int_equal(b->count, 1);
	turn(b, false);
	assert_int_equal(b->count, 2);
	assert_true(b->told[1].alert.gone);
	assert_int_equal(weir_monitor_alerts(b->m, NULL, 0), 0);
}

static void silence_hides_it_from_health_until_it_is_over(void **state)
{
	struct bench *b = *state;

	assert_true(weir_monitor_silence(b->m, "a", WALL + b->now_ns + 10 * S, WALL + b->now_ns));
	b->sample.open = true;
	turns(b, 5);
	assert_int_equal(b->count, 1);
	assert_true(b->told[0].alert.silenced);
	assert_int_equal(weir_monitor_health(b->m), WEIR_MONITOR_HEALTHY);
	turns(b, 6);
	assert_null(weir_monitor_silence_at(b->m, 0));
	assert_int_equal(weir_monitor_health(b->m), WEIR_MONITOR_UNHEALTHY);
	/* All of them, and back. */
	assert_true(weir_monitor_silence(b->m, "*", WALL + b->now_ns + 3600 * S, WALL + b->now_ns));
	assert_int_equal(weir_monitor_health(b->m), WEIR_MONITOR_HEALTHY);
	assert_true(weir_monitor_silence(b->m, "*", 0, WALL + b->now_ns));
	assert_int_equal(weir_monitor_health(b->m), WEIR_MONITOR_UNHEALTHY);
}

static void who_names_a_host_means_its_narrowed_rules(void **state)
{
	static const char *const keys[] = {"a", "a#/x", "a#/y", "ab"};
	struct bench *b = *state;
	uint64_t until;

	b->params.for_ns = 0;
	b->sample.open = true;
	b->now_ns += TURN;
	until = WALL + b->now_ns + 10 * S;
	assert_true(weir_monitor_silence(b->m, "a", until, WALL + b->now_ns));
	weir_monitor_begin(b->m, b->now_ns, WALL + b->now_ns, take, b);
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		weir_monitor_sample(b->m, keys[i], &b->params, &b->sample);
	weir_monitor_end(b->m);
	assert_int_equal(b->count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(b->told[i].alert.silenced, i < 3);
	/* One of them alone, by its own name. */
	assert_int_equal(weir_monitor_acknowledge(b->m, "a#/y", WEIR_ALERT_KINDS), 1);
	assert_int_equal(weir_monitor_acknowledge(b->m, "a", WEIR_ALERT_BREAKER_OPEN), 3);
	assert_int_equal(weir_monitor_acknowledge(b->m, "b", WEIR_ALERT_KINDS), 0);
}

static void there_is_an_end_to_silences(void **state)
{
	struct bench *b = *state;
	char name[16];

	for (unsigned i = 0; i < WEIR_SILENCES_MAX; i++) {
		snprintf(name, sizeof name, "h%u", i);
		assert_true(weir_monitor_silence(b->m, name, WALL + b->now_ns + 10 * S, WALL + b->now_ns));
	}
	assert_false(weir_monitor_silence(b->m, "a", WALL + b->now_ns + 10 * S, WALL + b->now_ns));
	assert_true(weir_monitor_silence(b->m, "h7", WALL + b->now_ns + 20 * S, WALL + b->now_ns));
	assert_true(weir_monitor_silence(b->m, "a", WALL + b->now_ns + 30 * S, WALL + b->now_ns + 11 * S));
}

static void what_is_acknowledged_stays_so_until_it_resolves(void **state)
{
	struct bench *b = *state;
	struct weir_alert alert;
	uint64_t before;

	assert_int_equal(weir_monitor_acknowledge(b->m, "a", WEIR_ALERT_KINDS), 0);
	b->sample.open = true;
	turns(b, 5);
	before = weir_monitor_changes(b->m);
	assert_int_equal(weir_monitor_acknowledge(b->m, "a", WEIR_ALERT_QUEUE), 0);
	assert_int_equal(weir_monitor_acknowledge(b->m, "a", WEIR_ALERT_BREAKER_OPEN), 1);
	assert_true(weir_monitor_changes(b->m) > before);
	assert_int_equal(weir_monitor_alerts(b->m, &alert, 1), 1);
	assert_true(alert.acknowledged);
	/* It is no less true for that. */
	assert_int_equal(weir_monitor_health(b->m), WEIR_MONITOR_UNHEALTHY);
	b->sample.open = false;
	turns(b, 5);
	assert_true(b->told[1].alert.acknowledged);
	b->sample.open = true;
	turns(b, 5);
	assert_int_equal(weir_monitor_alerts(b->m, &alert, 1), 1);
	assert_false(alert.acknowledged);
}

static void what_fired_before_is_not_told_again_but_its_end_is(void **state)
{
	struct bench *b = *state;
	struct weir_alert alert;

	weir_monitor_restore(b->m, "a", WEIR_ALERT_ERROR_RATE, WALL - 3600 * S, 900, true);
	answer(b, &b->sample.failed, 1000, MS);
	/* Nothing is asked for. Before a whole window has been watched that says nothing. */
	turns(b, 11);
	assert_int_equal(b->count, 0);
	assert_int_equal(weir_monitor_alerts(b->m, &alert, 1), 1);
	assert_int_equal(alert.since_wall_ns, WALL - 3600 * S);
	assert_true(alert.acknowledged);
	turns(b, 6);
	assert_int_equal(b->count, 1);
	assert_int_equal(b->told[0].alert.state, WEIR_ALERT_QUIET);
	assert_int_equal(b->told[0].alert.worst, 900);
}

static void what_fired_before_and_still_holds_goes_on(void **state)
{
	struct bench *b = *state;

	weir_monitor_restore(b->m, "a", WEIR_ALERT_ERROR_RATE, WALL, 900, false);
	for (unsigned i = 0; i < 60; i++) {
		answer(b, &b->sample.failed, 10, MS);
		turn(b, true);
	}
	assert_int_equal(b->count, 0);
	assert_int_equal(weir_monitor_health(b->m), WEIR_MONITOR_UNHEALTHY);
}

static void what_fired_at_a_host_that_is_not_known_any_more_is_over(void **state)
{
	struct bench *b = *state;

	weir_monitor_restore(b->m, "elsewhere", WEIR_ALERT_QUOTA, WALL, 900, false);
	turn(b, true);
	assert_int_equal(b->count, 1);
	assert_string_equal(b->told[0].host, "elsewhere");
	assert_true(b->told[0].alert.gone);
}

static void a_window_of_another_length_begins_anew(void **state)
{
	struct bench *b = *state;
	struct weir_monitor_figures f;

	turn(b, true);
	answer(b, &b->sample.succeeded, 50, MS);
	turn(b, true);
	b->params.window_ns = S;
	turn(b, true);
	assert_true(weir_monitor_figures(b->m, "a", b->now_ns, &f));
	assert_int_equal(f.succeeded, 0);
	answer(b, &b->sample.succeeded, 5, MS);
	turn(b, true);
	assert_true(weir_monitor_figures(b->m, "a", b->now_ns, &f));
	assert_int_equal(f.succeeded, 5);
}

static void latencies_need_be_read_only_where_results_came(void **state)
{
	struct bench *b = *state;

	assert_true(weir_monitor_moved(b->m, "a", 0));
	answer(b, &b->sample.succeeded, 5, MS);
	turn(b, true);
	assert_false(weir_monitor_moved(b->m, "a", 5));
	assert_true(weir_monitor_moved(b->m, "a", 6));
}

static void many_hosts_are_told_apart(void **state)
{
	struct bench *b = *state;
	struct weir_alert alert[8];
	char name[32];

	b->params.for_ns = 0;
	for (unsigned round = 0; round < 3; round++) {
		b->now_ns += TURN;
		weir_monitor_begin(b->m, b->now_ns, WALL + b->now_ns, take, b);
		for (unsigned i = 0; i < 2000; i++) {
			struct weir_monitor_sample sample = {.open = i % 500 == 7, .succeeded = i};

			snprintf(name, sizeof name, "h%04u", i);
			assert_int_equal(weir_monitor_moved(b->m, name, i), round == 0);
			weir_monitor_sample(b->m, name, &b->params, &sample);
		}
		weir_monitor_end(b->m);
	}
	assert_int_equal(b->count, 4);
	assert_int_equal(weir_monitor_alerts(b->m, alert, 8), 4);
	assert_string_equal(alert[0].host, "h0007");
	assert_string_equal(alert[3].host, "h1507");
	assert_int_equal(weir_monitor_alerts(b->m, alert, 2), 4);
}

static void values_are_written_for_people(void **state)
{
	static const struct {
		enum weir_alert_kind kind;
		uint64_t value;
		const char *text;
	} row[] = {
		{WEIR_ALERT_LATENCY, 5 * S + S / 5, "5.2s"},
		{WEIR_ALERT_ERROR_RATE, 340, "34%"},
		{WEIR_ALERT_ERROR_RATE, 341, "34.1%"},
		{WEIR_ALERT_BREAKER_OPEN, 1, "open"},
		{WEIR_ALERT_BREAKER_OPEN, 0, "closed"},
		{WEIR_ALERT_QUEUE, 120, "120"},
		{WEIR_ALERT_QUOTA, 1000, "100%"},
	};
	char out[WEIR_ALERT_VALUE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		assert_string_equal(weir_alert_print(row[i].kind, row[i].value, out), row[i].text);
	for (unsigned kind = 0; kind < WEIR_ALERT_KINDS; kind++)
		assert_int_equal(weir_alert_named(weir_alert_name((enum weir_alert_kind)kind)), kind);
	assert_int_equal(weir_alert_named("nothing"), WEIR_ALERT_KINDS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(shares_and_latencies_are_those_of_the_window),
		TEST(what_was_counted_before_the_first_look_is_in_no_window),
		TEST(a_host_that_comes_later_is_counted_from_its_first_request),
		TEST(an_entry_that_begins_anew_is_counted_anew),
		TEST(an_alert_fires_when_it_has_held_for_long_enough_and_resolves),
		TEST(what_does_not_last_fires_nothing),
		TEST(too_few_results_fire_nothing),
		TEST(a_value_that_trembles_at_its_threshold_fires_once),
		TEST(each_kind_has_its_own_threshold),
		TEST(a_quota_alone_does_not_pass_by_itself),
		TEST(a_threshold_that_is_taken_back_resolves_its_alert),
		TEST(a_host_that_is_forgotten_takes_its_alert_along),
		TEST(silence_hides_it_from_health_until_it_is_over),
		TEST(who_names_a_host_means_its_narrowed_rules),
		TEST(there_is_an_end_to_silences),
		TEST(what_is_acknowledged_stays_so_until_it_resolves),
		TEST(what_fired_before_is_not_told_again_but_its_end_is),
		TEST(what_fired_before_and_still_holds_goes_on),
		TEST(what_fired_at_a_host_that_is_not_known_any_more_is_over),
		TEST(a_window_of_another_length_begins_anew),
		TEST(latencies_need_be_read_only_where_results_came),
		TEST(many_hosts_are_told_apart),
		TEST(values_are_written_for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
