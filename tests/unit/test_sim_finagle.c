/* SPDX-License-Identifier: MIT */
/* Finagle's failure accrual by its documentation: five in a row, equally jittered backoff from 5 s, one probe. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/random.c"
#include "tests/sim/breakers.c"
#include "tests/sim/baseline_finagle.c"

static uint64_t generation;

static bool ask_at(void *b, double s)
{
	return allow(b, s, &generation);
}

static void one_probe_revives_or_kills_for_longer(void **state)
{
	struct finagle f = {0};

	(void)state;
	start(&f, 7);
	for (unsigned i = 0; i < 5; i++) {
		assert_true(ask_at(&f, 0));
		done(&f, 0, 0, true);
	}
	assert_false(ask_at(&f, 2.4)); /* 5 s: at least half of it */
	assert_true(ask_at(&f, 5.01));
	assert_false(ask_at(&f, 5.01));
	done(&f, 5.1, 0, true);
	assert_false(ask_at(&f, 10)); /* 10 s: at least 5 s */
	assert_true(ask_at(&f, 15.2));
	done(&f, 15.3, 0, false);
	assert_true(ask_at(&f, 15.4));
	assert_true(ask_at(&f, 15.4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_probe_revives_or_kills_for_longer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
