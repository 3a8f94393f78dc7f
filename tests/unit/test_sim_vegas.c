/* SPDX-License-Identifier: MIT */
/* Netflix VegasLimit by hand: log10 root of 20 is 1, so alpha = 3, beta = 6, threshold = 1; queue = ceil(limit * (1 - noload /
 * rtt)). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/random.c"
#include "tests/sim/concurrency.c"
#include "tests/sim/baseline_vegas.c"

static void near(double x, double expected)
{
	if (fabs(x - expected) > 1e-9 * fmax(1, fabs(expected)))
		fail_msg("%.15g, expected %.15g", x, expected);
}

static void the_limit_follows_the_queue(void **state)
{
	struct vegas v;

	(void)state;
	vegas_start(&v, 1);
	vegas_update(&v, 100, 20, false); /* sets the no-load latency */
	near(v.limit, 20);
	vegas_update(&v, 104, 20, false); /* queue 1 <= threshold: + beta */
	near(v.limit, 26);
	vegas_update(&v, 110, 26, false); /* queue 3: between alpha and beta */
	near(v.limit, 26);
	vegas_update(&v, 108, 26, false); /* queue 2 < alpha: + 1 */
	near(v.limit, 27);
	vegas_update(&v, 140, 27, false); /* queue 8 > beta: - 1 */
	near(v.limit, 26);
	vegas_update(&v, 105, 26, true); /* a drop: - 1 */
	near(v.limit, 25);
	vegas_update(&v, 105, 12, false); /* less than half in use: nothing */
	near(v.limit, 25);
}

static void the_no_load_latency_is_probed_anew(void **state)
{
	struct vegas v;
	unsigned samples = 0;

	(void)state;
	vegas_start(&v, 1);
	vegas_update(&v, 100, 1, false);
	while (v.no_load_ns < 200 && samples++ < 1000)
		vegas_update(&v, 200, 1, false);
	/* after jitter * 30 * limit samples, jitter in [0.5, 1) */
	assert_true(samples >= 298 && samples <= 600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_limit_follows_the_queue),
		cmocka_unit_test(the_no_load_latency_is_probed_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
