/* SPDX-License-Identifier: MIT */
/* What each rate strategy does, told one answer at a time on a virtual clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "weir/rate.h"

#define SECOND UINT64_C(1000000000)
#define START  (1000 * SECOND)
#define ONE    WEIR_RATE_ONE

static struct weir_rate r;
static struct weir_bucket b;
static struct weir_rate_params p;
static uint64_t now;

static int fresh(void **state)
{
	(void)state;
	memset(&r, 0, sizeof r);
	memset(&b, 0, sizeof b);
	p = (struct weir_rate_params){.strategy = WEIR_ADAPTIVE,
				      .burst = 5,
				      .backoff_permille = 500,
				      .recovery_permille = 1100,
				      .success_threshold = 10,
				      .error_threshold_permille = 100,
				      .interval_ns = SECOND};
	now = START;
	return 0;
}

static uint64_t rate(void)
{
	return weir_bucket_pace(&b).rate;
}

static struct weir_rate_change update(struct weir_rate_answer answer)
{
	return weir_rate_update(&r, &b, &p, &answer, now);
}

/* One answer to a request that was let go `ago` before. */
static void answer_after(enum weir_rate_signal signal, uint64_t ago)
{
	if (weir_rate_note(&r, &p, signal, now))
		update((struct weir_rate_answer){.signal = signal, .admitted_ns = now - ago, .in_flight = 1});
}

static void answers(enum weir_rate_signal signal, unsigned count, uint64_t apart)
{
	for (unsigned i = 0; i < count; i++) {
		now += apart;
		answer_after(signal, SECOND / 100);
	}
}

static void tell(enum weir_rate_signal signal, struct weir_quota *quota, uint32_t quotas)
{
	weir_rate_note(&r, &p, signal, now);
	update((struct weir_rate_answer){
		.signal = signal, .admitted_ns = now - SECOND / 100, .in_flight = 1, .quota = quota, .quotas = quotas});
}

/* ---- fixed */

static void fixed_is_max_and_nothing_moves_it(void **state)
{
	(void)state;
	p.strategy = WEIR_FIXED;
	p.max = 7 * ONE;
	update((struct weir_rate_answer){.signal = WEIR_RATE_TICK});
	assert_int_equal(rate(), 7 * ONE);
	assert_int_equal(weir_bucket_pace(&b).burst, 5);
	assert_false(weir_rate_note(&r, &p, WEIR_RATE_THROTTLED, now));
	answers(WEIR_RATE_THROTTLED, 100, SECOND / 10);
	assert_int_equal(rate(), 7 * ONE);
}

static void an_override_by_hand_leaves_what_was_learned(void **state)
{
	struct weir_rate_params by_hand;
	uint64_t learned;

	(void)state;
	answers(WEIR_RATE_ACCEPTED, 10, SECOND / 10);
	answers(WEIR_RATE_THROTTLED, 1, SECOND / 10);
	learned = rate();
	assert_true(learned > 0);
	by_hand = p;
	by_hand.strategy = WEIR_FIXED;
	by_hand.max = 3 * ONE;
	weir_rate_update(&r, &b, &by_hand, NULL, now);
	assert_int_equal(rate(), 3 * ONE);
	weir_rate_update(&r, &b, &p, NULL, now);
	assert_int_equal(rate(), learned);
}

/* ---- conservative, aggressive */

static void conservative_starts_at_initial_and_grows_after_the_success_threshold(void **state)
{
	(void)state;
	p.strategy = WEIR_CONSERVATIVE;
	p.initial = 10 * ONE;
	p.max = 12 * ONE;
	update((struct weir_rate_answer){.signal = WEIR_RATE_TICK});
	assert_int_equal(rate(), 10 * ONE);
	answers(WEIR_RATE_ACCEPTED, 9, SECOND / 10);
	assert_int_equal(rate(), 10 * ONE);
	answers(WEIR_RATE_ACCEPTED, 4, SECOND / 10);
	assert_int_equal(rate(), 11 * ONE);
	answers(WEIR_RATE_ACCEPTED, 100, SECOND / 10);
	assert_int_equal(rate(), 12 * ONE);
}

static void a_rate_that_nobody_uses_does_not_grow(void **state)
{
	(void)state;
	p.strategy = WEIR_CONSERVATIVE;
	p.initial = 10 * ONE;
	update((struct weir_rate_answer){.signal = WEIR_RATE_TICK});
	answers(WEIR_RATE_ACCEPTED, 100, SECOND);
	assert_int_equal(rate(), 10 * ONE);
}

static void aggressive_starts_at_max_and_backs_off_to_min_and_no_further(void **state)
{
	(void)state;
	p.strategy = WEIR_AGGRESSIVE;
	p.max = 16 * ONE;
	p.min = 3 * ONE;
	update((struct weir_rate_answer){.signal = WEIR_RATE_TICK});
	assert_int_equal(rate(), 16 * ONE);
	for (unsigned i = 0; i < 10; i++) {
		answers(WEIR_RATE_ACCEPTED, 1, SECOND / 10);
		answers(WEIR_RATE_THROTTLED, 1, SECOND / 10);
		assert_true(rate() >= 3 * ONE);
	}
	assert_int_equal(rate(), 3 * ONE);
}

static void few_errors_below_the_threshold_are_forgiven(void **state)
{
	(void)state;
	p.strategy = WEIR_AGGRESSIVE;
	p.max = 100 * ONE;
	p.error_threshold_permille = 500;
	update((struct weir_rate_answer){.signal = WEIR_RATE_TICK});
	for (unsigned i = 0; i < 50; i++) {
		answers(WEIR_RATE_ACCEPTED, 9, SECOND / 100);
		answers(WEIR_RATE_THROTTLED, 1, SECOND / 100);
	}
	assert_int_equal(rate(), 100 * ONE);
}

static void failures_count_at_the_end_of_the_interval(void **state)
{
	(void)state;
	p.strategy = WEIR_AGGRESSIVE;
	p.max = 100 * ONE;
	update((struct weir_rate_answer){.signal = WEIR_RATE_TICK});
	answers(WEIR_RATE_ACCEPTED, 5, SECOND / 100);
	answers(WEIR_RATE_FAILED, 5, SECOND / 100);
	assert_int_equal(rate(), 100 * ONE);
	now += SECOND;
	answers(WEIR_RATE_ACCEPTED, 1, 0);
	assert_int_equal(rate(), 50 * ONE);
}

/* ---- adaptive */

static void adaptive_is_idle_until_the_host_gives_a_reason(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		now += SECOND / 1000;
		assert_false(weir_rate_note(&r, &p, i % 10 == 0 ? WEIR_RATE_FAILED : WEIR_RATE_ACCEPTED, now));
	}
	assert_int_equal(rate(), 0);
	assert_true(weir_rate_note(&r, &p, WEIR_RATE_THROTTLED, now));
}

static void adaptive_without_a_reason_still_keeps_to_max(void **state)
{
	(void)state;
	p.max = 50 * ONE;
	update((struct weir_rate_answer){.signal = WEIR_RATE_TICK});
	assert_int_equal(rate(), 50 * ONE);
}

static void refusals_of_requests_in_flight_at_the_cut_are_one_event(void **state)
{
	uint64_t after_first;

	(void)state;
	answers(WEIR_RATE_ACCEPTED, 100, SECOND / 100);
	now += SECOND / 100;
	answer_after(WEIR_RATE_THROTTLED, SECOND / 20);
	after_first = rate();
	for (unsigned i = 0; i < 15; i++) {
		now += SECOND / 1000;
		answer_after(i % 3 == 0 ? WEIR_RATE_ACCEPTED : WEIR_RATE_THROTTLED, SECOND / 20);
		assert_int_equal(rate(), after_first);
	}
}

static void a_bare_refusal_pauses_everybody_and_ever_longer(void **state)
{
	uint64_t before = 0;

	(void)state;
	answers(WEIR_RATE_ACCEPTED, 10, SECOND / 100);
	for (unsigned i = 0; i < 8; i++) {
		uint64_t pause;

		answer_after(WEIR_RATE_THROTTLED, i == 0 ? SECOND / 100 : 1);
		pause = weir_bucket_pace(&b).t0_ns - now;
		assert_true(pause > before);
		before = pause;
		now = weir_bucket_pace(&b).t0_ns + SECOND / 100;
	}
	assert_true(before < 60 * SECOND);
}

/* The pause ends early by what the pace behind it costs: by no more, where rate.min is faster than asking. */
static void a_pause_is_kept_whatever_the_pace_behind_it(void **state)
{
	(void)state;
	p.min = ONE;
	answers(WEIR_RATE_THROTTLED, 1, SECOND / 10);
	for (int i = 0; i < 20; i++) {
		uint64_t freeze = weir_bucket_pace(&b).t0_ns;

		now = (freeze > now ? freeze : now) + 2 * SECOND;
		answer_after(WEIR_RATE_THROTTLED, SECOND / 100);
	}
	/* Half an hour by now, less one interval of the pace. */
	assert_in_range(weir_bucket_pace(&b).t0_ns, now + 1798 * SECOND, now + 1800 * SECOND);
	assert_int_equal(rate(), ONE);
}

static void a_quota_header_spreads_what_remains_over_the_time_left(void **state)
{
	struct weir_quota q = {.limit = 5000,
			       .window_ns = 3600 * SECOND,
			       .remaining = 600,
			       .resets_in_ns = 300 * SECOND,
			       .has_remaining = 1,
			       .has_reset = 1};

	(void)state;
	tell(WEIR_RATE_ACCEPTED, &q, 1);
	assert_int_equal(rate(), 1201 * ONE / 600); /* 600 and a half in 300 s */
	/* Somebody else has used a third of it. */
	now += SECOND;
	q.remaining = 400;
	q.resets_in_ns = 299 * SECOND;
	tell(WEIR_RATE_ACCEPTED, &q, 1);
	assert_true(rate() > 133 * ONE / 100 && rate() < 135 * ONE / 100);
}

static void the_tightest_of_several_windows_holds(void **state)
{
	struct weir_quota q[2] = {
		{.limit = 10, .window_ns = SECOND, .remaining = 9, .resets_in_ns = SECOND, .has_remaining = 1, .has_reset = 1},
		{.limit = 100,
		 .window_ns = 3600 * SECOND,
		 .remaining = 36,
		 .resets_in_ns = 360 * SECOND,
		 .has_remaining = 1,
		 .has_reset = 1}};

	(void)state;
	tell(WEIR_RATE_ACCEPTED, q, 2);
	assert_int_equal(rate(), 73 * ONE / 720); /* 36 and a half in 360 s */
}

/* At (remaining) / (time left) the last one would be due at the very end, and be counted in the next window. */
static void the_last_request_of_a_window_goes_before_its_end(void **state)
{
	uint64_t end = now + 60 * SECOND, unit, ready;
	struct weir_quota q = {.limit = 60, .window_ns = 60 * SECOND, .has_remaining = 1, .has_reset = 1};

	(void)state;
	for (q.remaining = 59; q.remaining > 0; q.remaining--) {
		q.resets_in_ns = end - now;
		tell(WEIR_RATE_ACCEPTED, &q, 1);
		unit = weir_bucket_take(&b, now);
		ready = weir_bucket_ready_ns(&b, unit, now);
		assert_true(ready < end - SECOND / 4);
		now = ready > now ? ready : now;
	}
	assert_true(now > end - 2 * SECOND);
}

static void with_nothing_remaining_nothing_goes_until_the_window_ends(void **state)
{
	struct weir_quota q = {.limit = 60,
			       .window_ns = 60 * SECOND,
			       .remaining = 0,
			       .resets_in_ns = 20 * SECOND,
			       .has_remaining = 1,
			       .has_reset = 1};

	(void)state;
	tell(WEIR_RATE_ACCEPTED, &q, 1);
	assert_int_equal(rate(), ONE);
	assert_int_equal(weir_bucket_preview_ns(&b, now), now + 20 * SECOND);
}

static void a_window_of_days_stops_everybody_for_no_longer_than_hold_max(void **state)
{
	struct weir_quota q = {.limit = 5000,
			       .window_ns = 30 * 86400 * SECOND,
			       .remaining = 0,
			       .resets_in_ns = 20 * 86400 * SECOND,
			       .has_remaining = 1,
			       .has_reset = 1};

	(void)state;
	update((struct weir_rate_answer){.signal = WEIR_RATE_ACCEPTED,
					 .admitted_ns = now - SECOND / 100,
					 .in_flight = 1,
					 .hold_max_ns = 3600 * SECOND,
					 .quota = &q,
					 .quotas = 1});
	assert_int_equal(weir_bucket_pace(&b).t0_ns, now + 3600 * SECOND);
}

static void a_policy_alone_paces_at_its_mean(void **state)
{
	struct weir_quota q = {.limit = 100, .window_ns = 21600 * SECOND};

	(void)state;
	tell(WEIR_RATE_ACCEPTED, &q, 1);
	assert_int_equal(rate(), 100 * ONE / 21600);
}

static void absurd_quotas_move_nothing(void **state)
{
	struct weir_quota q[4] = {{.limit = UINT64_MAX, .window_ns = UINT64_MAX},
				  {.limit = 5},
				  {.remaining = UINT64_MAX, .has_remaining = 1},
				  {.resets_in_ns = UINT64_MAX, .has_reset = 1, .has_remaining = 1}};

	(void)state;
	tell(WEIR_RATE_ACCEPTED, q, 4);
	assert_int_equal(rate(), 0);
}

static void a_quota_keeps_to_min_and_max(void **state)
{
	struct weir_quota q = {.limit = 1000,
			       .window_ns = SECOND,
			       .remaining = 1000,
			       .resets_in_ns = SECOND,
			       .has_remaining = 1,
			       .has_reset = 1};

	(void)state;
	p.max = 20 * ONE;
	p.min = ONE;
	tell(WEIR_RATE_ACCEPTED, &q, 1);
	assert_int_equal(rate(), 20 * ONE);
	q.resets_in_ns = 86400 * SECOND;
	q.remaining = 3;
	tell(WEIR_RATE_ACCEPTED, &q, 1);
	assert_int_equal(rate(), ONE);
}

/* A server of `per_s` with depth 1 and one client that keeps to the bucket: runs for so many seconds. */
static void live_with(uint64_t per_s, uint64_t seconds)
{
	uint64_t end = now + seconds * SECOND, free_at = now;

	while (now < end) {
		uint64_t unit = weir_bucket_take(&b, now), ready = weir_bucket_ready_ns(&b, unit, now);

		now = ready > now ? ready : now;
		if (now + SECOND / 1000 >= free_at) {
			free_at = now + SECOND / 1000 + SECOND / per_s;
			now += SECOND / 500;
			answer_after(WEIR_RATE_ACCEPTED, SECOND / 500);
		} else {
			now += SECOND / 500;
			answer_after(WEIR_RATE_THROTTLED, SECOND / 500);
		}
	}
}

static void what_is_learned_survives_a_night_and_fades_after_weeks(void **state)
{
	uint64_t learned;

	(void)state;
	live_with(20, 120);
	learned = rate();
	assert_true(learned > 17 * ONE && learned <= 21 * ONE);
	now += 9 * 3600 * SECOND;
	answers(WEIR_RATE_ACCEPTED, 1, 0);
	assert_true(rate() > 16 * ONE && rate() < 26 * ONE);
	now += UINT64_C(30) * 86400 * SECOND;
	answers(WEIR_RATE_ACCEPTED, 2, SECOND);
	assert_int_equal(rate(), 0);
}

static void reset_forgets_and_lifts_the_pause(void **state)
{
	(void)state;
	answers(WEIR_RATE_ACCEPTED, 10, SECOND / 100);
	answers(WEIR_RATE_THROTTLED, 1, SECOND / 100);
	assert_true(rate() > 0);
	weir_rate_reset(&r, &b, &p, now);
	assert_int_equal(rate(), 0);
	assert_int_equal(weir_bucket_preview_ns(&b, now), now);
}

static void a_good_answer_with_nothing_to_do_asks_for_no_update(void **state)
{
	unsigned updates = 0;

	(void)state;
	live_with(20, 600);
	for (unsigned i = 0; i < 300; i++) {
		now += SECOND / 20;
		updates += weir_rate_note(&r, &p, WEIR_RATE_ACCEPTED, now);
		if (updates > 0)
			break;
	}
	/* On a plateau of hundreds of answers most of them are one atomic add. */
	assert_true(updates <= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(fixed_is_max_and_nothing_moves_it, fresh),
		cmocka_unit_test_setup(an_override_by_hand_leaves_what_was_learned, fresh),
		cmocka_unit_test_setup(conservative_starts_at_initial_and_grows_after_the_success_threshold, fresh),
		cmocka_unit_test_setup(a_rate_that_nobody_uses_does_not_grow, fresh),
		cmocka_unit_test_setup(aggressive_starts_at_max_and_backs_off_to_min_and_no_further, fresh),
		cmocka_unit_test_setup(few_errors_below_the_threshold_are_forgiven, fresh),
		cmocka_unit_test_setup(failures_count_at_the_end_of_the_interval, fresh),
		cmocka_unit_test_setup(adaptive_is_idle_until_the_host_gives_a_reason, fresh),
		cmocka_unit_test_setup(adaptive_without_a_reason_still_keeps_to_max, fresh),
		cmocka_unit_test_setup(refusals_of_requests_in_flight_at_the_cut_are_one_event, fresh),
		cmocka_unit_test_setup(a_bare_refusal_pauses_everybody_and_ever_longer, fresh),
		cmocka_unit_test_setup(a_pause_is_kept_whatever_the_pace_behind_it, fresh),
		cmocka_unit_test_setup(a_quota_header_spreads_what_remains_over_the_time_left, fresh),
		cmocka_unit_test_setup(the_tightest_of_several_windows_holds, fresh),
		cmocka_unit_test_setup(the_last_request_of_a_window_goes_before_its_end, fresh),
		cmocka_unit_test_setup(with_nothing_remaining_nothing_goes_until_the_window_ends, fresh),
		cmocka_unit_test_setup(a_window_of_days_stops_everybody_for_no_longer_than_hold_max, fresh),
		cmocka_unit_test_setup(a_policy_alone_paces_at_its_mean, fresh),
		cmocka_unit_test_setup(absurd_quotas_move_nothing, fresh),
		cmocka_unit_test_setup(a_quota_keeps_to_min_and_max, fresh),
		cmocka_unit_test_setup(what_is_learned_survives_a_night_and_fades_after_weeks, fresh),
		cmocka_unit_test_setup(reset_forgets_and_lifts_the_pause, fresh),
		cmocka_unit_test_setup(a_good_answer_with_nothing_to_do_asks_for_no_update, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
