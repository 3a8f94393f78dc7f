/* SPDX-License-Identifier: MIT */
/* Netflix Gradient2Limit by hand: ten samples of 100 add 0.2 * 4 each; then one of 300 with the long mean at
 * 100 + 200 * 2 / 601 = 100.6655574, gradient 1.5 * 100.6655574 / 300 = 0.503327787, 0.8 * 28 + 0.2 * (28 * gradient + 4)
 * = 26.018635608. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/concurrency.c"
#include "tests/sim/baseline_gradient2.c"

static void near(double x, double expected)
{
	if (fabs(x - expected) > 1e-9 * fmax(1, fabs(expected)))
		fail_msg("%.15g, expected %.15g", x, expected);
}

static void the_limit_follows_the_gradient(void **state)
{
	struct gradient2 g;

	(void)state;
	gradient2_start(&g);
	for (unsigned i = 0; i < 10; i++)
		gradient2_update(&g, 100, 30);
	near(g.limit, 28);
	gradient2_update(&g, 300, 30);
	assert_true(fabs(g.limit - 26.018635608) < 1e-8);
	gradient2_update(&g, 300, 10); /* less than half in use */
	assert_true(fabs(g.limit - 26.018635608) < 1e-8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_limit_follows_the_gradient),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
