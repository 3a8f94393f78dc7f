/* SPDX-License-Identifier: MIT */
/* gobreaker by its documentation: more than five failures in a row open it for 60 s; then one request decides. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/breakers.c"
#include "tests/sim/baseline_gobreaker.c"

static uint64_t generation;

static bool ask_at(void *b, double s)
{
	return allow(b, s, &generation);
}

static void it_opens_after_six_failures_and_one_request_decides(void **state)
{
	struct gobreaker b = {0};
	uint64_t late;

	(void)state;
	start(&b, 1);
	for (unsigned i = 0; i < 6; i++) {
		assert_true(ask_at(&b, i));
		late = generation;
		done(&b, i, generation, true);
	}
	assert_false(ask_at(&b, 6));
	assert_false(ask_at(&b, 64.9));
	assert_true(ask_at(&b, 65.1));
	assert_false(ask_at(&b, 65.2));
	done(&b, 65.3, late, true); /* of an older generation */
	done(&b, 65.4, generation, false);
	assert_true(ask_at(&b, 65.5));
	assert_true(ask_at(&b, 65.5));
}

static void a_prober_that_dies_keeps_it_half_open_for_ever(void **state)
{
	struct gobreaker b = {0};

	(void)state;
	start(&b, 1);
	for (unsigned i = 0; i < 6; i++) {
		ask_at(&b, i);
		done(&b, i, generation, true);
	}
	assert_true(ask_at(&b, 100));
	assert_false(ask_at(&b, 10000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_opens_after_six_failures_and_one_request_decides),
		cmocka_unit_test(a_prober_that_dies_keeps_it_half_open_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
