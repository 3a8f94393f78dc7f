/* SPDX-License-Identifier: MIT */
/*
 * The names of addresses (src/preload/name/table.c), compiled in here: the library's hooks are not what a unit test should load,
 * and what a writer that never came back leaves behind can only be put there by hand.
 */
#include <stdatomic.h>

/* Before every compare-and-swap of the table: what another thread may do there. */
static void (*meanwhile)(void);

#undef atomic_compare_exchange_strong_explicit
#define atomic_compare_exchange_strong_explicit(word, expected, desired, success, failure)                                       \
	((meanwhile ? meanwhile() : (void)0), exchange(word, expected, desired, success, failure))
#if defined __clang__
#define exchange __c11_atomic_compare_exchange_strong
#else
#define exchange(word, expected, desired, success, failure)                                                                      \
	__atomic_compare_exchange_n(word, expected, desired, false, success, failure)
#endif

#include "src/preload/name/table.c" /* NOLINT(bugprone-suspicious-include) */

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define THREADS 4
#define ROUNDS  2000

static struct weir_address address_of(uint32_t number)
{
	unsigned char four[4] = {10, (unsigned char)(number >> 16), (unsigned char)(number >> 8), (unsigned char)number};

	return weir_address_ipv4(four);
}

static void assert_recalled(struct weir_address address, uint32_t thread, const char *expected)
{
	struct weir_name name;

	assert_true(weir_name_recall(address, thread, &name));
	assert_string_equal(name.text, expected);
}

static _Atomic uint32_t turn, missed;

/* Spins: a barrier of the library's would let them go one by one. */
static void meet(uint32_t times)
{
	atomic_fetch_add(&turn, 1);
	while (atomic_load(&turn) < times * THREADS)
		sched_yield();
}

/* All of them ask at once, each for a name of its own, for an address nobody has asked for before; then each connects. */
static void *ask_and_connect(void *number)
{
	uint32_t thread = (uint32_t)(uintptr_t)number;
	struct weir_name found;
	char name[32];

	snprintf(name, sizeof name, "site%u.test", thread);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		meet(2 * round + 1);
		weir_name_remember(address_of(round), name, false, thread);
		meet(2 * round + 2);
		if (!weir_name_recall(address_of(round), thread, &found) || strcmp(found.text, name) != 0)
			atomic_fetch_add(&missed, 1);
	}
	return NULL;
}

static void threads_that_ask_at_once_lose_no_name(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_and_connect, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&missed), 0);
}

static void a_thread_keeps_its_name_though_others_ask_for_the_same_and_for_others(void **state)
{
	struct weir_address address = address_of(0xff0001);

	(void)state;
	weir_name_remember(address, "one.test", false, 1);
	weir_name_remember(address, "one.test", false, 2);
	weir_name_remember(address, "two.test", false, 3);
	assert_recalled(address, 1, "one.test");
	assert_recalled(address, 2, "one.test");
	assert_recalled(address, 3, "two.test");
	assert_recalled(address, 4, "two.test"); /* asked for none: the last of all */
	weir_name_remember(address, "two.test", false, 1);
	assert_recalled(address, 1, "two.test");
	assert_recalled(address, 2, "one.test");
}

static void a_writer_that_never_came_back_costs_one_place_and_no_more(void **state)
{
	struct weir_address address = address_of(0xff0002);

	(void)state;
	for (unsigned i = 0; i < WAYS; i++) {
		char name[32];

		snprintf(name, sizeof name, "old%u.test", i);
		weir_name_remember(address, name, false, 1);
	}
	/* The oldest place of all is the one that the next name would be given. */
	for (unsigned i = 0; i < WAYS; i++) {
		char text[WEIR_NAME_MAX];
		struct place *p = &set_of(address)[i];

		memcpy(text, (const void *)p->name, sizeof text);
		if (strcmp(text, "old0.test") == 0)
			atomic_fetch_add(&p->version, 1);
	}
	weir_name_remember(address, "new.test", false, 1);
	assert_recalled(address, 1, "new.test");
	weir_name_remember(address, "newer.test", false, 2);
	assert_recalled(address, 2, "newer.test");
	assert_recalled(address, 1, "new.test");
}

static void another_thread_asks(void)
{
	meanwhile = NULL;
	weir_name_remember(address_of(0xff0003), "theirs.test", false, 2);
}

static void a_name_is_kept_though_another_thread_took_its_place_first(void **state)
{
	struct weir_address address = address_of(0xff0003);

	(void)state;
	meanwhile = another_thread_asks;
	weir_name_remember(address, "mine.test", false, 1);
	assert_null(meanwhile);
	assert_recalled(address, 1, "mine.test");
	assert_recalled(address, 2, "theirs.test");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_that_ask_at_once_lose_no_name),
		cmocka_unit_test(a_thread_keeps_its_name_though_others_ask_for_the_same_and_for_others),
		cmocka_unit_test(a_name_is_kept_though_another_thread_took_its_place_first),
		cmocka_unit_test(a_writer_that_never_came_back_costs_one_place_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
