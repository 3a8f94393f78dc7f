/* SPDX-License-Identifier: MIT */
/* The AWS baseline against vectors of botocore 1.29.27's own CubicCalculator (Debian's python3-botocore, retries/throttling.py):
 * success_received() at times after error_received(rate, t), computed once with it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/baseline_aws.c"

static void near(double x, double expected)
{
	if (fabs(x - expected) > 1e-9 * fmax(1, fabs(expected)))
		fail_msg("%.15g, expected %.15g", x, expected);
}

struct vector {
	double rate, at_s, after_failure, k;
	double later[6]; /* after 0, 0.5, 1, 2, 5, 10 s */
};

static void cubic_is_botocores(void **state)
{
	static const double delay[6] = {0, .5, 1, 2, 5, 10};
	static const struct vector vector[] = {
		{10,
		 5,
		 7,
		 1.9574338205844317,
		 {7, 8.76169815100533, 9.64893600966, 10.000030849917364, 21.26626835427364, 218.08650747348133}},
		{7,
		 6,
		 4.8999999999999995,
		 1.738013322443225,
		 {4.8999999999999995, 6.2410101886611145, 6.839212383856295, 7.00719279384885, 20.883742180644077,
		  232.5866850146947}},
		{100,
		 7,
		 70,
		 4.217163326508746,
		 {70.00000000000001, 79.45553091551757, 86.68076383512988, 95.64033568663878, 100.1918993394395,
		  177.35399908835427}},
		{.5,
		 8,
		 .35,
		 .7211247851537043,
		 {.35, .49567513791167434, .5086754047311262, 1.336651325093362, 31.83638217996673, 320.0552772507113}},
	};
	struct aws_limiter a;

	(void)state;
	aws_start(&a, 1);
	near(aws_cubic_success(&a, 1), 0);
	near(aws_cubic_success(&a, 2), .4);
	near(aws_cubic_success(&a, 3.5), 6.25);
	for (unsigned i = 0; i < sizeof vector / sizeof *vector; i++) {
		near(aws_cubic_throttled(&a, vector[i].rate, vector[i].at_s), vector[i].after_failure);
		near(a.k, vector[i].k);
		for (unsigned d = 0; d < 6; d++)
			near(aws_cubic_success(&a, vector[i].at_s + delay[d]), vector[i].later[d]);
	}
}

/* Half-second buckets, smoothing 0.8: 10 answers in [0, 0.5) and one at 0.5 s measure 11 / 0.5 * 0.8 = 17.6. The throttled one at
 * 0.5 s cuts to 0.7 of that, which the cap of twice the measured rate leaves alone. */
static void the_rate_follows_the_measured_rate(void **state)
{
	struct aws_limiter a;

	(void)state;
	aws_start(&a, 100);
	for (unsigned i = 0; i < 10; i++) {
		near(aws_acquire(&a, 100.01), 0);
		aws_answered(&a, false, 100.01 + .01 * i);
	}
	aws_answered(&a, true, 100.5);
	near(a.measured, 17.6);
	near(a.fill_rate, 17.6 * .7);
	/* Far later CUBIC wants more than twice the measured rate and gets twice. */
	aws_answered(&a, false, 200);
	near(a.fill_rate, 2 * a.measured > .5 ? 2 * a.measured : .5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cubic_is_botocores),
		cmocka_unit_test(the_rate_follows_the_measured_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
