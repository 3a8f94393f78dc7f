/* SPDX-License-Identifier: MIT */
/* resilience4j by its documentation: 50 % of at least 100 calls, 60 s, ten calls in half-open. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/breakers.c"
#include "tests/sim/baseline_resilience4j.c"

static uint64_t generation;

static bool ask_at(void *b, double s)
{
	return allow(b, s, &generation);
}

static void half_of_a_hundred_calls_opens_it_and_ten_decide(void **state)
{
	struct resilience4j b = {0};

	(void)state;
	start(&b, 1);
	for (unsigned i = 0; i < 100; i++) {
		assert_true(ask_at(&b, 1));
		done(&b, 1, 0, i % 2 == 0);
	}
	assert_false(ask_at(&b, 60.9));
	for (unsigned i = 0; i < 10; i++)
		assert_true(ask_at(&b, 61.1));
	assert_false(ask_at(&b, 61.1));
	for (unsigned i = 0; i < 10; i++)
		done(&b, 61.2, 0, i < 4);
	for (unsigned i = 0; i < 50; i++)
		assert_true(ask_at(&b, 61.3));
}

static void less_than_half_leaves_it_closed(void **state)
{
	struct resilience4j b = {0};

	(void)state;
	start(&b, 1);
	for (unsigned i = 0; i < 1000; i++) {
		assert_true(ask_at(&b, 1));
		done(&b, 1, 0, i % 100 < 49);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_of_a_hundred_calls_opens_it_and_ten_decide),
		cmocka_unit_test(less_than_half_leaves_it_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
