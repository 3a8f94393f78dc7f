/* SPDX-License-Identifier: MIT */
/* Permits among threads. In a file of their own: ThreadSanitizer runs what has threads, and takes ten times as long. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weir/concurrency.h"

static struct weir_concurrency c;
static _Atomic int out, most_out;

static void *take_and_give(void *unused)
{
	(void)unused;
	for (int i = 0; i < 20000; i++)
		if (weir_concurrency_take(&c, 3)) {
			int now = atomic_fetch_add(&out, 1) + 1, most = atomic_load(&most_out);

			while (now > most && !atomic_compare_exchange_weak(&most_out, &most, now))
				;
			atomic_fetch_sub(&out, 1);
			weir_concurrency_give(&c);
		}
	return NULL;
}

static void threads_never_hold_more_than_the_limit_and_leak_none(void **state)
{
	pthread_t t[6];

	(void)state;
	for (int i = 0; i < 6; i++)
		assert_int_equal(pthread_create(&t[i], NULL, take_and_give, NULL), 0);
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	assert_in_range(atomic_load(&most_out), 1, 3);
	assert_int_equal(weir_concurrency_count(&c), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_never_hold_more_than_the_limit_and_leak_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
