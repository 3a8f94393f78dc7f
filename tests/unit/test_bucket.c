/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "weir/bucket.h"

#define SECOND UINT64_C(1000000000)
#define START  (1000 * SECOND)

static struct weir_bucket b;

static int fresh(void **state)
{
	(void)state;
	memset(&b, 0, sizeof b);
	return 0;
}

static void zeroed_memory_is_a_bucket_without_a_limit(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint64_t unit = weir_bucket_take(&b, START);

		assert_int_equal(unit, 0);
		assert_int_equal(weir_bucket_ready_ns(&b, unit, START), START);
	}
	assert_int_equal(weir_bucket_preview_ns(&b, START), START);
}

static void exactly_the_burst_goes_at_once(void **state)
{
	(void)state;
	for (uint64_t burst = 1; burst <= 64; burst *= 2) {
		uint64_t at_once = 0;

		fresh(NULL);
		weir_bucket_set(&b, 10 * WEIR_RATE_ONE, burst, START);
		for (int i = 0; i < 100; i++)
			if (weir_bucket_ready_ns(&b, weir_bucket_take(&b, START), START) <= START)
				at_once++;
		assert_int_equal(at_once, burst);
	}
}

static void units_are_ready_in_order_and_one_interval_apart(void **state)
{
	uint64_t before = START;

	(void)state;
	weir_bucket_set(&b, 50 * WEIR_RATE_ONE, 1, START);
	for (int i = 0; i < 10000; i++) {
		uint64_t ready = weir_bucket_ready_ns(&b, weir_bucket_take(&b, START), START);

		if (i > 0) {
			assert_in_range(ready - before, SECOND / 50 - 50, SECOND / 50 + 50);
			/* never early, and the rounding does not add up */
			assert_in_range(ready, START + (uint64_t)i * (SECOND / 50), START + (uint64_t)i * (SECOND / 50) + 200);
		}
		before = ready;
	}
}

static void slow_rates_keep_their_digits(void **state)
{
	uint64_t hour = 3600 * SECOND;

	(void)state;
	weir_bucket_set(&b, WEIR_RATE_ONE / 3600, 1, START); /* 1/h, to the nano-admission */
	weir_bucket_take(&b, START);
	assert_in_range(weir_bucket_ready_ns(&b, weir_bucket_take(&b, START), START), START + hour, START + hour + hour / 100000);
}

static void a_new_rate_re_times_those_who_wait(void **state)
{
	uint64_t unit[10];

	(void)state;
	weir_bucket_set(&b, 1 * WEIR_RATE_ONE, 1, START);
	for (int i = 0; i < 10; i++)
		unit[i] = weir_bucket_take(&b, START);
	assert_in_range(weir_bucket_ready_ns(&b, unit[9], START), START + 9 * SECOND, START + 9 * SECOND + 2000);
	weir_bucket_set(&b, 10 * WEIR_RATE_ONE, 1, START + SECOND);
	assert_in_range(weir_bucket_ready_ns(&b, unit[9], START + SECOND), START + SECOND + 8 * SECOND / 10,
			START + SECOND + 8 * SECOND / 10 + 2000);
	weir_bucket_set(&b, 0, 1, START + SECOND);
	assert_int_equal(weir_bucket_ready_ns(&b, unit[9], START + SECOND), START + SECOND);
}

static void a_freeze_spends_the_burst_and_resumes_one_by_one(void **state)
{
	uint64_t end = START + 30 * SECOND, unit[5];

	(void)state;
	weir_bucket_set(&b, 2 * WEIR_RATE_ONE, 5, START);
	weir_bucket_freeze(&b, end, START);
	for (int i = 0; i < 5; i++) {
		unit[i] = weir_bucket_take(&b, START + SECOND);
		assert_in_range(weir_bucket_ready_ns(&b, unit[i], START + SECOND), end + (uint64_t)i * SECOND / 2,
				end + (uint64_t)i * SECOND / 2 + 2000);
	}
	weir_bucket_thaw(&b, START + 2 * SECOND);
	assert_in_range(weir_bucket_ready_ns(&b, unit[4], START + 2 * SECOND), START + 4 * SECOND, START + 4 * SECOND + 2000);
}

static void a_freeze_outlives_a_change_of_rate(void **state)
{
	uint64_t end = START + 30 * SECOND;

	(void)state;
	weir_bucket_set(&b, 2 * WEIR_RATE_ONE, 1, START);
	weir_bucket_freeze(&b, end, START);
	weir_bucket_set(&b, 4 * WEIR_RATE_ONE, 1, START + SECOND);
	assert_in_range(weir_bucket_preview_ns(&b, START + 2 * SECOND), end, end + 2000);
}

static void the_last_unit_can_be_given_back_and_no_other(void **state)
{
	uint64_t first, second;

	(void)state;
	weir_bucket_set(&b, WEIR_RATE_ONE, 1, START);
	first = weir_bucket_take(&b, START);
	second = weir_bucket_take(&b, START);
	assert_false(weir_bucket_give_back(&b, first));
	assert_true(weir_bucket_give_back(&b, second));
	assert_int_equal(weir_bucket_take(&b, START), second);
	assert_false(weir_bucket_give_back(&b, 0));
}

static void units_that_are_void_are_given_out_again_but_for_those_that_may_have_gone(void **state)
{
	uint64_t last = 0, tail, now = START;
	uint32_t numbering;

	(void)state;
	weir_bucket_set(&b, 10 * WEIR_RATE_ONE, 3, START);
	for (int i = 0; i < 53; i++)
		last = weir_bucket_take(&b, START);
	assert_int_equal(weir_bucket_queue(&b, START), 50);
	now += 2 * SECOND;
	assert_int_equal(weir_bucket_queue(&b, now), 30);
	numbering = weir_bucket_numbering(&b);
	tail = weir_bucket_void_units(&b);
	assert_int_not_equal(weir_bucket_numbering(&b), numbering);
	assert_true(weir_bucket_units_from(&b, tail, now));
	assert_int_equal(weir_bucket_queue(&b, now), 0);
	/* The units up to now may have been used: the next is a tenth of a second away, burst or not. */
	last = weir_bucket_take(&b, now);
	assert_in_range(weir_bucket_ready_ns(&b, last, now), now + SECOND / 10, now + SECOND / 10 + 1000);
}

static void who_takes_a_unit_meanwhile_keeps_it(void **state)
{
	uint64_t unit, tail;

	(void)state;
	weir_bucket_set(&b, 10 * WEIR_RATE_ONE, 1, START);
	for (int i = 0; i < 10; i++)
		(void)weir_bucket_take(&b, START);
	tail = weir_bucket_void_units(&b);
	unit = weir_bucket_take(&b, START);
	assert_false(weir_bucket_units_from(&b, tail, START));
	assert_int_equal(atomic_load(&b.tail), unit);
}

static void a_bucket_without_a_queue_keeps_its_savings(void **state)
{
	uint64_t tail;

	(void)state;
	weir_bucket_set(&b, 10 * WEIR_RATE_ONE, 5, START);
	(void)weir_bucket_take(&b, START);
	tail = weir_bucket_void_units(&b);
	assert_false(weir_bucket_units_from(&b, tail, START));
	for (int i = 0; i < 4; i++)
		assert_int_equal(weir_bucket_ready_ns(&b, weir_bucket_take(&b, START), START), START);
}

static void a_damaged_tail_does_not_block_for_ever(void **state)
{
	(void)state;
	weir_bucket_set(&b, WEIR_RATE_ONE, 1, START);
	atomic_store(&b.tail, UINT64_MAX - 5);
	assert_in_range(weir_bucket_ready_ns(&b, weir_bucket_take(&b, START), START), START, START + 2 * SECOND);
}

static void a_torn_pace_falls_back_to_the_one_before(void **state)
{
	(void)state;
	weir_bucket_set(&b, 5 * WEIR_RATE_ONE, 1, START);
	weir_bucket_set(&b, 7 * WEIR_RATE_ONE, 1, START);
	atomic_fetch_add(&b.pace[(atomic_load(&b.generation) & 1) * WEIR_PUBLISHED_HALF(WEIR_BUCKET_WORDS) + 2], 1);
	assert_int_equal(weir_bucket_pace(&b).rate, 5 * WEIR_RATE_ONE);
	for (size_t i = 0; i < sizeof b.pace / sizeof b.pace[0]; i++)
		atomic_store(&b.pace[i], UINT64_MAX);
	assert_int_equal(weir_bucket_pace(&b).rate, 0);
}

/* Random takes, rate changes, freezes and cancellations: nothing goes early, and no window holds more than burst + rate x time.
 */
static void never_more_than_burst_plus_rate_times_time(void **state)
{
	enum { KEEP = 4096, STEPS = 1200000 };
	static uint64_t gone[KEEP];
	unsigned seed = (unsigned)time(NULL);
	uint64_t now = START, count = 0, top_rate = 20 * WEIR_RATE_ONE;
	const uint64_t burst = 7;

	(void)state;
	if (getenv("WEIR_SEED"))
		seed = (unsigned)strtoul(getenv("WEIR_SEED"), NULL, 10);
	print_message("seed %u\n", seed);
	weir_bucket_set(&b, top_rate, burst, now);
	for (long step = 0; step < STEPS; step++) {
		int dice = rand_r(&seed) % 1000;

		if (dice < 5) {
			weir_bucket_set(&b, 1 + (uint64_t)rand_r(&seed) % top_rate, burst, now);
		} else if (dice < 6) {
			weir_bucket_freeze(&b, now + (uint64_t)(rand_r(&seed) % 3) * SECOND, now);
		} else if (dice < 500) {
			now += (uint64_t)rand_r(&seed) % (SECOND / 10);
		} else if (weir_bucket_preview_ns(&b, now) <= now) {
			uint64_t unit = weir_bucket_take(&b, now);
			uint64_t since;

			assert_true(weir_bucket_ready_ns(&b, unit, now) <= now);
			if (dice > 980 && weir_bucket_give_back(&b, unit))
				continue;
			gone[count++ % KEEP] = now;
			/* over the last k admissions: k <= burst + top_rate * span, for several k */
			for (uint64_t k = burst + 1; k <= 512 && k <= count && k <= KEEP; k = k * 3 / 2) {
				since = now - gone[(count - k) % KEEP];
				assert_true((double)k <= (double)burst + 20.0 * (double)since / 1e9 + 1e-3);
			}
		}
	}
	assert_true(count > 10000);
}

/* Each takes its unit at once, and leaves when it is ready and `late` has passed. */
static void what_leaves_late_moves_those_that_follow_and_costs_no_unit(void **state)
{
	static const uint64_t late[] = {0, 0, 60, 0, 0, 90, 30, 0, 0, 0};
	uint64_t unit[10], left[10];

	(void)state;
	weir_bucket_set(&b, 10 * WEIR_RATE_ONE, 1, START);
	for (int i = 0; i < 10; i++)
		unit[i] = weir_bucket_take(&b, START);
	for (int i = 0; i < 10; i++) {
		uint64_t now = weir_bucket_ready_ns(&b, unit[i], START) + late[i] * (SECOND / 1000);

		left[i] = weir_bucket_departs_ns(&b, unit[i], 0, now);
		assert_true(weir_bucket_depart(&b, unit[i], 0, left[i]));
		assert_false(weir_bucket_depart(&b, unit[i], 0, left[i] + SECOND / 100));
		assert_true(i == 0 || left[i] - left[i - 1] >= SECOND / 10);
	}
	assert_in_range(left[9] - left[0], 9 * SECOND / 10, 10 * SECOND / 10);
}

/* Who wakes a little late, each time, leaves those that follow where they are. */
static void small_delays_do_not_add_up(void **state)
{
	uint64_t now = START;

	(void)state;
	weir_bucket_set(&b, 500 * WEIR_RATE_ONE, 1, START);
	for (int i = 0; i < 1000; i++) {
		uint64_t unit = weir_bucket_take(&b, now);

		now = weir_bucket_ready_ns(&b, unit, now) + SECOND / 5000;
		assert_true(weir_bucket_departs_ns(&b, unit, SECOND / 100, now) <= now);
		assert_true(weir_bucket_depart(&b, unit, SECOND / 100, now));
	}
	assert_in_range(now - START, 999 * SECOND / 500, 1001 * SECOND / 500);
}

/* Who is told to come later does so, and is then let go. */
static void a_damaged_departure_holds_nobody_for_ever(void **state)
{
	static const uint64_t damaged[] = {UINT64_MAX, UINT64_MAX - WEIR_UNIT, UINT64_C(1) << 62, 1000 * WEIR_UNIT,
					   2 * WEIR_UNIT};

	(void)state;
	for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
		uint64_t unit, at = START, now = START;

		memset(&b, 0, sizeof b);
		weir_bucket_set(&b, 10 * WEIR_RATE_ONE, 1, START);
		unit = weir_bucket_take(&b, START);
		b.gone = damaged[i];
		for (int looks = 0; looks < 10 && (at = weir_bucket_departs_ns(&b, unit, SECOND / 50, now)) > now; looks++)
			now = at;
		assert_in_range(at, START, START + 3 * SECOND / 10);
		assert_true(weir_bucket_depart(&b, unit, SECOND / 50, now));
		assert_true(b.gone <= 4 * WEIR_UNIT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(zeroed_memory_is_a_bucket_without_a_limit, fresh),
		cmocka_unit_test_setup(exactly_the_burst_goes_at_once, fresh),
		cmocka_unit_test_setup(units_are_ready_in_order_and_one_interval_apart, fresh),
		cmocka_unit_test_setup(slow_rates_keep_their_digits, fresh),
		cmocka_unit_test_setup(a_new_rate_re_times_those_who_wait, fresh),
		cmocka_unit_test_setup(a_freeze_spends_the_burst_and_resumes_one_by_one, fresh),
		cmocka_unit_test_setup(a_freeze_outlives_a_change_of_rate, fresh),
		cmocka_unit_test_setup(the_last_unit_can_be_given_back_and_no_other, fresh),
		cmocka_unit_test_setup(units_that_are_void_are_given_out_again_but_for_those_that_may_have_gone, fresh),
		cmocka_unit_test_setup(who_takes_a_unit_meanwhile_keeps_it, fresh),
		cmocka_unit_test_setup(a_bucket_without_a_queue_keeps_its_savings, fresh),
		cmocka_unit_test_setup(a_damaged_tail_does_not_block_for_ever, fresh),
		cmocka_unit_test_setup(a_torn_pace_falls_back_to_the_one_before, fresh),
		cmocka_unit_test_setup(what_leaves_late_moves_those_that_follow_and_costs_no_unit, fresh),
		cmocka_unit_test_setup(small_delays_do_not_add_up, fresh),
		cmocka_unit_test_setup(a_damaged_departure_holds_nobody_for_ever, fresh),
		cmocka_unit_test_setup(never_more_than_burst_plus_rate_times_time, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
