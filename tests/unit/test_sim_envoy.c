/* SPDX-License-Identifier: MIT */
/* Envoy's gradient controller by hand: limit * clamp(1.25 * minRTT / sample, 0.5, 2), plus the square root of that, rounded down,
 * within [3, 1000]. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/random.c"
#include "tests/sim/concurrency.c"
#include "tests/sim/baseline_envoy.c"

static void near(double x, double expected)
{
	if (fabs(x - expected) > 1e-9 * fmax(1, fabs(expected)))
		fail_msg("%.15g, expected %.15g", x, expected);
}

static void the_limit_follows_the_gradient(void **state)
{
	(void)state;
	near(envoy_new_limit(100, 100, 100), 136); /* 125 + 11.18 */
	near(envoy_new_limit(100, 100, 200), 70);  /* 62.5 + 7.9 */
	near(envoy_new_limit(100, 100, 1000), 57); /* 50 + 7.07 */
	near(envoy_new_limit(100, 100, 10), 214);  /* 200 + 14.1 */
	near(envoy_new_limit(3, 100, 1000), 3);    /* 1.5 + 1.2 */
	near(envoy_new_limit(1000, 100, 100), 1000);
}

static void the_minimum_is_measured_with_three_in_flight(void **state)
{
	static struct envoy e;

	(void)state;
	envoy_start(&e, 1);
	near(e.limit, 3);
	for (unsigned i = 0; i < 50; i++)
		envoy_sample(&e, i, 100 + i % 2);
	assert_false(e.measuring);
	assert_true(e.min_rtt_ns >= 100 && e.min_rtt_ns <= 101);
	e.limit = 50;
	envoy_sample(&e, UINT64_C(70000000000), 100);
	assert_true(e.measuring);
	near(e.limit, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_limit_follows_the_gradient),
		cmocka_unit_test(the_minimum_is_measured_with_three_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
