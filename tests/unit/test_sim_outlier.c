/* SPDX-License-Identifier: MIT */
/* Envoy's outlier detection by its documentation: five in a row, 30 s times the number of ejections, seen every 10 s. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/breakers.c"
#include "tests/sim/baseline_outlier.c"

static uint64_t generation;

static bool ask_at(void *b, double s)
{
	return allow(b, s, &generation);
}

static void ejections_grow_longer(void **state)
{
	struct outlier o = {0};

	(void)state;
	start(&o, 0); /* looks at 1010 s, 1020 s ... */
	for (unsigned i = 0; i < 5; i++) {
		assert_true(ask_at(&o, 1001));
		done(&o, 1001, 0, true);
	}
	assert_false(ask_at(&o, 1031));
	assert_true(ask_at(&o, 1040));
	for (unsigned i = 0; i < 5; i++)
		done(&o, 1041, 0, true);
	assert_false(ask_at(&o, 1100));
	assert_true(ask_at(&o, 1110)); /* 1041 + 60, seen at 1110 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ejections_grow_longer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
