/* SPDX-License-Identifier: MIT */
/* The ring of outcomes by number: exact, whoever dies, whatever is in it. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/outcomes.h"

static struct weir_outcomes o;
static uint64_t random_state = 7;

static uint64_t draw(void)
{
	/* splitmix64 */
	uint64_t x = random_state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static int fresh(void **state)
{
	(void)state;
	memset(&o, 0, sizeof o);
	return 0;
}

static void zeroed_memory_is_an_empty_ring(void **state)
{
	(void)state;
	assert_int_equal(weir_outcomes_sum(&o, 0, 100).calls, 0);
	assert_int_equal(weir_outcomes_sum(&o, 5, 100).calls, 0);
	weir_outcomes_add(&o, 0, true, false);
	assert_int_equal(weir_outcomes_sum(&o, 0, 100).calls, 1);
	assert_int_equal(weir_outcomes_sum(&o, 0, 100).failures, 1);
	assert_int_equal(weir_outcomes_sum(&o, 0, 100).slow, 0);
}

/* Beside a plain array, at every length that there can be. */
static void it_knows_exactly_the_last_calls(void **state)
{
	static bool failed[6000], slow[6000];

	(void)state;
	for (unsigned i = 0; i < 6000; i++) {
		uint32_t calls = (uint32_t)(1 + draw() % WEIR_OUTCOMES_MAX), from = i + 1 > calls ? i + 1 - calls : 0;
		struct weir_window_sum sum;
		uint32_t failures = 0, slows = 0;

		failed[i] = draw() % 3 == 0;
		slow[i] = draw() % 4 == 0;
		weir_outcomes_add(&o, 9, failed[i], slow[i]);
		for (unsigned k = from; k <= i; k++) {
			failures += failed[k];
			slows += slow[k];
		}
		sum = weir_outcomes_sum(&o, 9, calls);
		assert_int_equal(sum.calls, i + 1 - from);
		assert_int_equal(sum.failures, failures);
		assert_int_equal(sum.slow, slows);
	}
	/* And no more than it has room for. */
	assert_int_equal(weir_outcomes_sum(&o, 9, UINT32_MAX).calls, WEIR_OUTCOMES_MAX);
	assert_int_equal(weir_outcomes_sum(&o, 9, 0).calls, 0);
}

static void another_generation_begins_anew(void **state)
{
	(void)state;
	/* So many times that a number of a word comes back. */
	for (uint32_t generation = 1; generation < 700; generation++) {
		assert_int_equal(weir_outcomes_sum(&o, generation, 500).calls, 0);
		for (unsigned i = 0; i < generation % 60; i++)
			weir_outcomes_add(&o, generation, true, true);
		assert_int_equal(weir_outcomes_sum(&o, generation, 500).calls, generation % 60);
		assert_int_equal(weir_outcomes_sum(&o, generation, 500).failures, generation % 60);
	}
}

/* A process may die between any two stores: the words are empty and the head has not moved, or a word is full and it has not. */
static void who_dies_in_between_leaves_a_ring_that_goes_on(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 26; i++)
		weir_outcomes_add(&o, 3, i < 20, false);
	assert_int_equal(weir_outcomes_sum(&o, 3, 500).failures, 20);
	weir_outcomes_clear(&o); /* and died before the head: the next generation is what the next caller finds to make */
	weir_outcomes_add(&o, 4, false, false);
	assert_int_equal(weir_outcomes_sum(&o, 4, 500).calls, 1);
	assert_int_equal(weir_outcomes_sum(&o, 4, 500).failures, 0);
	/* Of the same generation: it is as if nothing had been counted yet. */
	weir_outcomes_clear(&o);
	for (unsigned i = 0; i < 60; i++)
		weir_outcomes_add(&o, 4, true, false);
	assert_int_equal(weir_outcomes_sum(&o, 4, 500).calls, 60);
}

static void whatever_is_in_it_the_sums_stay_in_range(void **state)
{
	(void)state;
	for (int round = 0; round < 4000; round++) {
		struct weir_window_sum sum;

		o.head = draw();
		for (unsigned i = 0; i < WEIR_OUTCOME_WORDS; i++)
			o.word[i] = draw() % 3 == 0 ? UINT64_MAX : draw();
		sum = weir_outcomes_sum(&o, (uint32_t)(o.head >> 48), (uint32_t)draw());
		assert_true(sum.calls <= WEIR_OUTCOMES_MAX && sum.failures <= sum.calls && sum.slow <= sum.calls);
		/* And within a lap it is right again. */
		for (unsigned i = 0; i < 600; i++)
			weir_outcomes_add(&o, 77, i % 2 == 0, false);
		sum = weir_outcomes_sum(&o, 77, 500);
		assert_int_equal(sum.calls, 500);
		assert_int_equal(sum.failures, 250);
	}
}

#define THREADS 4
#define EACH    2000

static void *add_many(void *unused)
{
	for (unsigned i = 0; i < EACH; i++)
		weir_outcomes_add(&o, 1, true, false);
	return unused;
}

static void nobody_s_call_is_lost(void **state)
{
	pthread_t thread[THREADS];

	(void)state;
	weir_outcomes_add(&o, 1, true, false);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, add_many, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	/* The head says how many words have been filled since it began with number 1. */
	assert_int_equal(((o.head & 0xffffffffffff) - 1) * 26 +
				 (o.word[(o.head & 0xffffffffffff) % WEIR_OUTCOME_WORDS] >> 52 & 31),
			 THREADS * EACH + 1);
	assert_int_equal(weir_outcomes_sum(&o, 1, 500).failures, 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(zeroed_memory_is_an_empty_ring, fresh),
		cmocka_unit_test_setup(it_knows_exactly_the_last_calls, fresh),
		cmocka_unit_test_setup(another_generation_begins_anew, fresh),
		cmocka_unit_test_setup(who_dies_in_between_leaves_a_ring_that_goes_on, fresh),
		cmocka_unit_test_setup(whatever_is_in_it_the_sums_stay_in_range, fresh),
		cmocka_unit_test_setup(nobody_s_call_is_lost, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
