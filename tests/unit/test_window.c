/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/window.h"

#define SECOND UINT64_C(1000000000)
#define WINDOW (10 * SECOND)
#define START  (1000 * SECOND)

static struct weir_window w;

static int fresh(void **state)
{
	(void)state;
	memset(&w, 0, sizeof w);
	return 0;
}

static uint64_t random_state;

static uint64_t draw(void)
{
	/* splitmix64 */
	uint64_t x = random_state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static void zeroed_memory_is_an_empty_window(void **state)
{
	struct weir_window_sum sum = weir_window_sum(&w, WINDOW, START);

	(void)state;
	assert_int_equal(sum.calls, 0);
	assert_int_equal(sum.failures, 0);
	assert_int_equal(sum.slow, 0);
	assert_int_equal(sum.latency_us, 0);
}

static void it_counts_calls_failures_slow_calls_and_latency(void **state)
{
	struct weir_window_sum sum;

	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		weir_window_add(&w, WINDOW, START + i * SECOND / 100, i % 4 == 0, i % 10 == 0, 5000000);
	sum = weir_window_sum(&w, WINDOW, START + SECOND);
	assert_int_equal(sum.calls, 100);
	assert_int_equal(sum.failures, 25);
	assert_int_equal(sum.slow, 10);
	assert_int_equal(sum.latency_us, 100 * 5000);
	assert_true(sum.span_ns <= WINDOW && sum.span_ns > WINDOW - 2 * SECOND);
}

static void what_is_older_than_the_window_no_longer_counts(void **state)
{
	(void)state;
	weir_window_add(&w, WINDOW, START, true, false, 0);
	assert_int_equal(weir_window_sum(&w, WINDOW, START + WINDOW - SECOND).calls, 1);
	assert_int_equal(weir_window_sum(&w, WINDOW, START + WINDOW).calls, 0);
	/* and not either once its slot's turn has come round again */
	for (uint64_t round = 2; round < 100; round++)
		assert_int_equal(weir_window_sum(&w, WINDOW, START + round * WINDOW).calls, 0);
}

static void a_slot_ages_and_counts_in_one_step(void **state)
{
	(void)state;
	for (int i = 0; i < 7; i++)
		weir_window_add(&w, WINDOW, START, true, true, 1000);
	weir_window_add(&w, WINDOW, START + WINDOW, false, false, 1000);
	assert_int_equal(weir_window_sum(&w, WINDOW, START + WINDOW).calls, 1);
	assert_int_equal(weir_window_sum(&w, WINDOW, START + WINDOW).failures, 0);
	assert_int_equal(weir_window_sum(&w, WINDOW, START + WINDOW).latency_us, 1);
}

static void a_process_that_was_stopped_does_not_wipe_what_came_later(void **state)
{
	(void)state;
	weir_window_add(&w, WINDOW, START + 2 * WINDOW, false, false, 0);
	weir_window_add(&w, WINDOW, START, true, true, 0);
	assert_int_equal(weir_window_sum(&w, WINDOW, START + 2 * WINDOW).calls, 1);
	assert_int_equal(weir_window_sum(&w, WINDOW, START + 2 * WINDOW).failures, 0);
}

static void a_full_field_halves_and_keeps_the_ratios(void **state)
{
	struct weir_window_sum sum;

	(void)state;
	for (int i = 0; i < 100000; i++)
		weir_window_add(&w, WINDOW, START, i % 2 == 0, i % 4 == 0, 3000000);
	sum = weir_window_sum(&w, WINDOW, START);
	assert_true(sum.calls > 8000 && sum.calls < 16384);
	assert_in_range(sum.failures * 1000 / sum.calls, 490, 510);
	assert_in_range(sum.slow * 1000 / sum.calls, 240, 260);
	assert_in_range(sum.latency_us / sum.calls, 2950, 3050);
}

static void a_busy_slot_is_timed_by_samples_and_counts_as_much_as_its_calls(void **state)
{
	struct weir_window_sum sum;

	(void)state;
	for (uint64_t i = 0; i < 4000; i++)
		weir_window_add(&w, WINDOW, START, false, false, (1 + i % 3) * 1000000);
	sum = weir_window_sum(&w, WINDOW, START);
	assert_in_range(sum.latency_us / sum.calls, 1950, 2050);
	/* a quiet slot, all of it timed, does not outweigh it */
	for (int i = 0; i < 64; i++)
		weir_window_add(&w, WINDOW, START + SECOND, false, false, 100000000);
	sum = weir_window_sum(&w, WINDOW, START + SECOND);
	assert_in_range(sum.latency_us / sum.calls, 3450, 3650);
}

static void long_latencies_keep_their_mean(void **state)
{
	struct weir_window_sum sum;

	(void)state;
	for (int i = 0; i < 1000; i++)
		weir_window_add(&w, WINDOW, START, false, false, (i % 2 == 0 ? 400 : 200) * SECOND);
	sum = weir_window_sum(&w, WINDOW, START);
	assert_int_equal(sum.calls, 1000);
	assert_in_range(sum.latency_us / sum.calls, 200 * 1000000, 400 * 1000000);
	/* what does not fit at all counts as the most that does */
	weir_window_clear(&w);
	for (int i = 0; i < 10; i++)
		weir_window_add(&w, WINDOW, START, false, false, UINT64_MAX);
	sum = weir_window_sum(&w, WINDOW, START);
	assert_in_range(sum.latency_us / sum.calls, 500 * 1000000, 540 * 1000000);
}

static void since_leaves_out_what_was_before(void **state)
{
	struct weir_window_sum sum;

	(void)state;
	for (uint64_t i = 0; i < 10; i++)
		weir_window_add(&w, WINDOW, START + i * SECOND, i < 5, false, 0);
	sum = weir_window_since(&w, WINDOW, START + 5 * SECOND, START + 9 * SECOND);
	assert_int_equal(sum.calls, 5);
	assert_int_equal(sum.failures, 0);
	/* a slot that began before is left out as a whole */
	assert_int_equal(weir_window_since(&w, WINDOW, START + 5 * SECOND + 1, START + 9 * SECOND).calls, 4);
	assert_int_equal(weir_window_since(&w, WINDOW, START + 20 * SECOND, START + 9 * SECOND).calls, 0);
	assert_int_equal(weir_window_since(&w, WINDOW, 0, START + 9 * SECOND).calls, 10);
}

static void the_default_window_stands_in_for_none(void **state)
{
	(void)state;
	weir_window_add(&w, 0, START, true, false, 0);
	assert_int_equal(weir_window_sum(&w, WEIR_WINDOW_DEFAULT_NS, START).calls, 1);
	weir_window_clear(&w);
	assert_int_equal(weir_window_sum(&w, 0, START).calls, 0);
}

static void it_agrees_with_an_exact_count(void **state)
{
	static struct {
		uint32_t calls, failures, slow;
	} exact[100000];
	uint64_t now = START, seed = 7;

	(void)state;
	random_state = seed;
	memset(exact, 0, sizeof exact);
	for (int i = 0; i < 200000; i++) {
		bool failed = draw() % 3 == 0, slow = draw() % 5 == 0;
		struct weir_window_sum sum;
		uint64_t slot, calls = 0, failures = 0, slows = 0;

		now += draw() % (draw() % 1000 == 0 ? 30 * SECOND : SECOND / 20);
		slot = now / SECOND - START / SECOND;
		assert_true(slot < 100000);
		weir_window_add(&w, WINDOW, now, failed, slow, 1000);
		exact[slot].calls++;
		exact[slot].failures += failed;
		exact[slot].slow += slow;
		for (uint64_t s = slot < 9 ? 0 : slot - 9; s <= slot; s++) {
			calls += exact[s].calls;
			failures += exact[s].failures;
			slows += exact[s].slow;
		}
		sum = weir_window_sum(&w, WINDOW, now);
		if (sum.calls != calls || sum.failures != failures || sum.slow != slows)
			fail_msg("seed %lu, step %d", (unsigned long)seed, i);
	}
}

static void random_bytes_give_shares_of_at_most_one_and_heal(void **state)
{
	(void)state;
	random_state = 11;
	for (int i = 0; i < 20000; i++) {
		uint64_t window = draw() % 3 == 0 ? draw() : draw() % (20 * SECOND);
		uint64_t now = draw() % 2 == 0 ? draw() : START;
		struct weir_window_sum sum;

		for (size_t s = 0; s < WEIR_WINDOW_SLOTS; s++) {
			atomic_store(&w.slot[s].calls, draw());
			atomic_store(&w.slot[s].timing, draw());
		}
		weir_window_add(&w, window, now, true, true, draw());
		sum = weir_window_sum(&w, window, now);
		assert_true(sum.failures <= sum.calls && sum.slow <= sum.calls);
	}
	for (uint64_t i = 0; i < 2000; i++)
		weir_window_add(&w, WINDOW, START + i * SECOND / 10, false, false, 1000);
	assert_in_range(weir_window_sum(&w, WINDOW, START + 200 * SECOND - 1).calls, 90, 101);
}

static void *add_many(void *unused)
{
	(void)unused;
	for (int i = 0; i < 2000; i++)
		weir_window_add(&w, WINDOW, START + (uint64_t)i * 1000000, i % 2 == 0, false, 1000);
	return NULL;
}

static void nothing_is_lost_between_threads(void **state)
{
	pthread_t t[4];
	struct weir_window_sum sum;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, add_many, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	sum = weir_window_sum(&w, WINDOW, START + 2 * SECOND);
	assert_int_equal(sum.calls, 8000);
	assert_int_equal(sum.failures, 4000);
	assert_int_equal(sum.latency_us, 8000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(zeroed_memory_is_an_empty_window, fresh),
		cmocka_unit_test_setup(it_counts_calls_failures_slow_calls_and_latency, fresh),
		cmocka_unit_test_setup(what_is_older_than_the_window_no_longer_counts, fresh),
		cmocka_unit_test_setup(a_slot_ages_and_counts_in_one_step, fresh),
		cmocka_unit_test_setup(a_process_that_was_stopped_does_not_wipe_what_came_later, fresh),
		cmocka_unit_test_setup(a_full_field_halves_and_keeps_the_ratios, fresh),
		cmocka_unit_test_setup(a_busy_slot_is_timed_by_samples_and_counts_as_much_as_its_calls, fresh),
		cmocka_unit_test_setup(long_latencies_keep_their_mean, fresh),
		cmocka_unit_test_setup(since_leaves_out_what_was_before, fresh),
		cmocka_unit_test_setup(the_default_window_stands_in_for_none, fresh),
		cmocka_unit_test_setup(it_agrees_with_an_exact_count, fresh),
		cmocka_unit_test_setup(random_bytes_give_shares_of_at_most_one_and_heal, fresh),
		cmocka_unit_test_setup(nothing_is_lost_between_threads, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
