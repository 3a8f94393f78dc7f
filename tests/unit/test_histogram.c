/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weir/histogram.h"

#define US UINT64_C(1000)
#define MS (1000 * US)

static struct weir_histogram_copy copy;

static int fresh(void **state)
{
	(void)state;
	memset(&copy, 0, sizeof copy);
	return 0;
}

/* What the histogram makes of one duration. */
static uint64_t remembered(uint64_t ns)
{
	fresh(NULL);
	copy.step[weir_histogram_step(ns)]++;
	weir_histogram_sum(&copy);
	return weir_histogram_quantile_ns(&copy, 500);
}

static void zeroed_memory_is_empty(void **state)
{
	(void)state;
	weir_histogram_sum(&copy);
	assert_int_equal(copy.count, 0);
	assert_int_equal(copy.sum_us, 0);
	assert_int_equal(weir_histogram_quantile_ns(&copy, 990), 0);
	assert_int_equal(weir_histogram_at_most(&copy, UINT64_MAX), 0);
}

static void the_error_is_at_most_three_per_cent_over_the_whole_range(void **state)
{
	uint64_t top = ((UINT64_C(1) << WEIR_HISTOGRAM_TOP_BITS) - 1) * US;

	(void)state;
	/* steps of a thousandth and the edges of every power of two */
	for (uint64_t ns = 17 * US; ns <= top; ns += ns / 1000 + 1) {
		uint64_t seen = remembered(ns), error = seen > ns ? seen - ns : ns - seen;

		if (error * 1000 > ns * 30)
			fail_msg("%lu ns reads as %lu ns", (unsigned long)ns, (unsigned long)seen);
	}
	for (unsigned bit = 5; bit < WEIR_HISTOGRAM_TOP_BITS; bit++)
		for (int off = -600; off <= 600; off += 100) {
			uint64_t ns = (US << bit) + (uint64_t)(int64_t)off, seen = remembered(ns);
			uint64_t error = seen > ns ? seen - ns : ns - seen;

			assert_true(error * 1000 <= ns * 30);
		}
	/* below: to half a microsecond */
	for (uint64_t ns = 0; ns < 32 * US; ns += 7) {
		uint64_t seen = remembered(ns), error = seen > ns ? seen - ns : ns - seen;

		assert_true(error <= US / 2);
	}
}

static void longer_ones_count_in_the_last_step(void **state)
{
	uint64_t top = (UINT64_C(1) << WEIR_HISTOGRAM_TOP_BITS) * US;

	(void)state;
	copy.step[weir_histogram_step(UINT64_MAX)]++;
	copy.step[weir_histogram_step(top)]++;
	weir_histogram_sum(&copy);
	assert_int_equal(copy.count, 2);
	assert_int_equal(copy.step[WEIR_HISTOGRAM_STEPS - 1], 2);
	assert_true(weir_histogram_quantile_ns(&copy, 1000) >= top - top / 50);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void quantiles_are_those_of_the_sorted_durations(void **state)
{
	enum { N = 5000 };
	static uint64_t all[N];
	static const uint32_t permille[] = {0, 1, 10, 250, 500, 900, 950, 990, 999, 1000};
	uint64_t x = 42;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407U;
		all[i] = MS + (x >> 33) % 1000 * (x >> 44) % (900 * MS);
		copy.step[weir_histogram_step(all[i])]++;
	}
	qsort(all, N, sizeof all[0], compare);
	weir_histogram_sum(&copy);
	assert_int_equal(copy.count, N);
	for (size_t i = 0; i < sizeof permille / sizeof permille[0]; i++) {
		size_t rank = (N * permille[i] + 999) / 1000;
		uint64_t exact = all[rank == 0 ? 0 : rank - 1], seen = weir_histogram_quantile_ns(&copy, permille[i]);

		assert_true((seen > exact ? seen - exact : exact - seen) * 1000 <= exact * 30);
	}
	/* more than everything is everything */
	assert_int_equal(weir_histogram_quantile_ns(&copy, 5000), weir_histogram_quantile_ns(&copy, 1000));
}

static void at_most_counts_up_to_the_step(void **state)
{
	uint64_t before = 0;

	(void)state;
	for (uint64_t ms = 1; ms <= 1000; ms++)
		copy.step[weir_histogram_step(ms * MS)]++;
	weir_histogram_sum(&copy);
	for (uint64_t ms = 1; ms <= 1000; ms++) {
		uint64_t count = weir_histogram_at_most(&copy, ms * MS);

		assert_true(count >= ms && count <= ms + ms / 32 + 1);
		assert_true(count >= before);
		before = count;
	}
	assert_int_equal(weir_histogram_at_most(&copy, UINT64_MAX), 1000);
	assert_int_equal(weir_histogram_at_most(&copy, 0), 0);
}

static void the_sum_is_within_two_per_cent(void **state)
{
	uint64_t exact_us = 2 + 3;

	(void)state;
	copy.step[weir_histogram_step(2 * US + 499)]++;
	copy.step[weir_histogram_step(2 * US + 500)]++;
	weir_histogram_sum(&copy);
	assert_int_equal(copy.sum_us, exact_us);
	for (uint64_t us = 40; us < 100000000; us += us / 7) {
		copy.step[weir_histogram_step(us * US)]++;
		exact_us += us;
		weir_histogram_sum(&copy);
		assert_in_range(copy.sum_us, exact_us - exact_us / 60 - 1, exact_us + exact_us / 60 + 1);
	}
}

static void full_counters_do_not_overflow_the_rank(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEIR_HISTOGRAM_STEPS; i++)
		copy.step[i] = UINT32_MAX;
	weir_histogram_sum(&copy);
	assert_true(weir_histogram_quantile_ns(&copy, 1) < weir_histogram_quantile_ns(&copy, 500));
	assert_true(weir_histogram_quantile_ns(&copy, 500) < weir_histogram_quantile_ns(&copy, 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(zeroed_memory_is_empty, fresh),
		cmocka_unit_test_setup(the_error_is_at_most_three_per_cent_over_the_whole_range, fresh),
		cmocka_unit_test_setup(longer_ones_count_in_the_last_step, fresh),
		cmocka_unit_test_setup(quantiles_are_those_of_the_sorted_durations, fresh),
		cmocka_unit_test_setup(at_most_counts_up_to_the_step, fresh),
		cmocka_unit_test_setup(the_sum_is_within_two_per_cent, fresh),
		cmocka_unit_test_setup(full_counters_do_not_overflow_the_rank, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
