/* SPDX-License-Identifier: MIT */
/* Programs that ask again by themselves: how they are recognised, and what is taken for none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/repeats.h"

#define SECOND UINT64_C(1000000000)
#define START  (3600 * SECOND)
#define LATELY WEIR_REPEATS_LATELY_NS
#define GET    1
#define POST   2

static struct weir_repeats s;

static int empty(void **state)
{
	(void)state;
	memset(&s, 0, sizeof s);
	return 0;
}

static uint64_t page(int n)
{
	char url[64];

	snprintf(url, sizeof url, "http://a.example/%d", n);
	return weir_repeats_digest(url, GET);
}

static uint64_t host(const char *name)
{
	return weir_repeats_digest(name, 0);
}

static bool asked(uint64_t request, uint64_t now_ns)
{
	return weir_repeats_asked(&s, request, host("a.example:80"), now_ns);
}

static void who_asks_for_what_has_failed_repeats_it(void **state)
{
	(void)state;
	assert_false(asked(page(1), START));
	weir_repeats_failed(&s, page(1), START + SECOND);
	assert_true(asked(page(1), START + 2 * SECOND));
}

static void who_asks_for_something_else_does_not(void **state)
{
	(void)state;
	weir_repeats_failed(&s, page(1), START);
	for (int i = 2; i < 1000; i++)
		assert_false(asked(page(i), START));
	assert_false(asked(weir_repeats_digest("http://a.example/1", POST), START));
}

static void once_noticed_all_of_that_host_are_the_program_s_own(void **state)
{
	(void)state;
	weir_repeats_failed(&s, page(1), START);
	assert_true(asked(page(1), START));
	assert_true(asked(page(2), START));
	assert_false(weir_repeats_asked(&s, weir_repeats_digest("http://b.example/1", GET), host("b.example:80"), START));
}

static void a_failure_long_ago_is_no_reason(void **state)
{
	(void)state;
	weir_repeats_failed(&s, page(1), START);
	assert_false(asked(page(1), START + LATELY + SECOND));
	assert_true(asked(page(1), START + LATELY));
	/* The host's time counts from when it was seen last. */
	assert_true(asked(page(2), START + 2 * LATELY));
	assert_false(asked(page(2), START + 2 * LATELY + SECOND));
}

static void what_has_succeeded_since_may_be_asked_again(void **state)
{
	(void)state;
	weir_repeats_failed(&s, page(1), START);
	weir_repeats_succeeded(&s, page(1));
	assert_false(asked(page(1), START));
	/* Another's success changes nothing. */
	weir_repeats_failed(&s, page(1), START);
	weir_repeats_succeeded(&s, page(2));
	assert_true(asked(page(1), START));
}

static void many_urls_asked_in_turn_are_recognised_by_the_first(void **state)
{
	(void)state;
	for (int i = 0; i < 100000; i++) {
		assert_false(asked(page(i), START));
		weir_repeats_failed(&s, page(i), START);
	}
	assert_true(asked(page(0), START));
}

static void one_after_many_others_is_recognised_as_well(void **state)
{
	(void)state;
	for (int i = 0; i < 100000; i++)
		weir_repeats_failed(&s, page(i), START);
	assert_true(asked(page(99999), START));
}

static void places_of_long_ago_are_taken_again(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++)
		weir_repeats_failed(&s, page(i), START);
	for (int i = 1000; i < 2000; i++)
		weir_repeats_failed(&s, page(i), START + LATELY + SECOND);
	assert_true(asked(page(1000), START + LATELY + SECOND));
}

static void damaged_memory_says_nothing_wrong(void **state)
{
	(void)state;
	memset(&s, 0xff, sizeof s);
	for (int i = 0; i < 1000; i++)
		assert_false(asked(page(i), START));
}

#define EMPTY(test) cmocka_unit_test_setup(test, empty)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EMPTY(who_asks_for_what_has_failed_repeats_it),
		EMPTY(who_asks_for_something_else_does_not),
		EMPTY(once_noticed_all_of_that_host_are_the_program_s_own),
		EMPTY(a_failure_long_ago_is_no_reason),
		EMPTY(what_has_succeeded_since_may_be_asked_again),
		EMPTY(many_urls_asked_in_turn_are_recognised_by_the_first),
		EMPTY(one_after_many_others_is_recognised_as_well),
		EMPTY(places_of_long_ago_are_taken_again),
		EMPTY(damaged_memory_says_nothing_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
