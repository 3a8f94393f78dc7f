/* SPDX-License-Identifier: MIT */
/* A breaker that sheds: which share of the requests a failing host does not get. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/shed.h"

#define MS     UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define WINDOW (10 * SECOND)

static struct weir_degrade d;
static const struct weir_degrade_params p = {.watch = WEIR_DEGRADE_SHEDS};
static uint64_t now;
static unsigned begun, ended;
static uint64_t random_state;

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
	memset(&d, 0, sizeof d);
	now = 1000 * SECOND;
	begun = ended = 0;
	random_state = 11;
	return 0;
}

static void look(void)
{
	struct weir_shed_change change;
	uint64_t passed;

	if (!weir_degrade_due(&d, now, &passed))
		return;
	change = weir_shed_look(&d, WINDOW, 20, now);
	assert_int_equal(change.to, weir_shed_permille(&d));
	if (!change.told)
		return;
	begun += change.to != 0;
	ended += change.to == 0;
}

/* `per_s` requests a second of which so many in a thousand fail where they go. Returns how many went. */
static unsigned ask(unsigned per_s, unsigned failing_permille, uint64_t ns)
{
	unsigned went = 0;

	for (uint64_t end = now + ns; now < end; now += SECOND / per_s) {
		look();
		if (weir_shed_refuses(&d)) {
			weir_shed_note(&d, WINDOW, now);
			continue;
		}
		weir_degrade_note(&d, &p, WINDOW, draw() % 1000 < failing_permille, MS, now);
		went++;
	}
	return went;
}

static void as_long_as_half_of_it_goes_well_nothing_is_refused(void **state)
{
	(void)state;
	assert_int_equal(ask(50, 350, 300 * SECOND), 300 * 50);
	assert_int_equal(begun, 0);
}

static void below_min_calls_nothing_is_refused(void **state)
{
	(void)state;
	assert_int_equal(ask(1, 1000, 300 * SECOND), 300);
	assert_int_equal(begun, 0);
}

/* A host that accepts twenty a second of a hundred: forty are sent, and it goes on accepting all that it can. */
static void it_sends_twice_what_a_host_accepts(void **state)
{
	unsigned went = 0, accepted = 0;
	uint64_t next = now;

	(void)state;
	for (uint64_t end = now + 360 * SECOND; now < end; now += 10 * MS) {
		bool measured = now >= end - 300 * SECOND, accepts;

		look();
		if (weir_shed_refuses(&d)) {
			weir_shed_note(&d, WINDOW, now);
			continue;
		}
		accepts = now >= next;
		if (accepts)
			next = (now - next > 100 * MS ? now - 50 * MS : next) + 50 * MS;
		weir_degrade_note(&d, &p, WINDOW, !accepts, MS, now);
		went += measured;
		accepted += measured && accepts;
	}
	assert_in_range(went, 10500, 13500);
	assert_in_range(accepted, 5700, 6001);
	assert_int_equal(begun, 1);
	assert_int_equal(ended, 0);
}

/* Where less than half goes well however little is sent, the share goes to nothing but the probes. */
static void a_host_that_fails_most_whatever_is_sent_gets_little(void **state)
{
	(void)state;
	(void)ask(100, 700, 60 * SECOND);
	assert_in_range(ask(100, 700, 300 * SECOND), 1, 3000);
	assert_int_equal(begun, 1);
}

static void a_host_that_is_down_is_asked_a_few_times_in_a_window_and_found_to_be_back(void **state)
{
	uint64_t back;

	(void)state;
	(void)ask(50, 0, 20 * SECOND);
	(void)ask(50, 1000, 30 * SECOND);
	assert_int_equal(begun, 1);
	assert_in_range(ask(50, 1000, 100 * SECOND), 5, 30);
	assert_in_range(weir_shed_permille(&d), 980, 1000);
	/* It is back: the share that goes grows by itself. */
	back = now;
	while (weir_shed_permille(&d) != 0 && now < back + 300 * SECOND)
		(void)ask(50, 0, SECOND);
	assert_true(now - back <= 90 * SECOND);
	assert_int_equal(ended, 0);
	(void)ask(50, 0, 12 * SECOND);
	assert_int_equal(ended, 1);
	assert_int_equal(begun, 1);
}

static void the_share_is_the_formula_s(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		weir_degrade_note(&d, &p, WINDOW, i % 4 != 0, MS, now);
	look();
	/* (100 - 2 x 25) / 101 */
	assert_int_equal(weir_shed_permille(&d), 495);
	for (int i = 0; i < 100; i++)
		weir_shed_note(&d, WINDOW, now);
	now += SECOND;
	look();
	/* (200 - 2 x 25) / 201 */
	assert_int_equal(weir_shed_permille(&d), 746);
	/* And that share is refused, evenly spread. */
	for (unsigned i = 0, n = 0; i < 1000; i++) {
		n += weir_shed_refuses(&d);
		assert_true(n * 1000 <= (i + 1) * 746 + 1000 && n * 1000 + 1000 >= (i + 1) * 746);
	}
}

static void whatever_the_words_hold_the_share_stays_one_and_passes(void **state)
{
	(void)state;
	for (int round = 0; round < 3000; round++) {
		uint64_t *word = (uint64_t *)&d;

		for (unsigned i = 0; i < sizeof d / sizeof *word; i++)
			word[i] = draw() % 4 == 0 ? UINT64_MAX : draw();
		assert_true(weir_shed_permille(&d) <= 1000);
		(void)weir_shed_refuses(&d);
		(void)weir_shed_look(&d, draw(), (uint32_t)draw(), now);
		assert_true(weir_shed_permille(&d) <= 1000);
		now += 30 * SECOND;
		(void)weir_shed_look(&d, WINDOW, 20, now);
		now += 30 * SECOND;
		(void)weir_shed_look(&d, WINDOW, 20, now);
		assert_int_equal(weir_shed_permille(&d), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(as_long_as_half_of_it_goes_well_nothing_is_refused, fresh),
		cmocka_unit_test_setup(below_min_calls_nothing_is_refused, fresh),
		cmocka_unit_test_setup(it_sends_twice_what_a_host_accepts, fresh),
		cmocka_unit_test_setup(a_host_that_fails_most_whatever_is_sent_gets_little, fresh),
		cmocka_unit_test_setup(a_host_that_is_down_is_asked_a_few_times_in_a_window_and_found_to_be_back, fresh),
		cmocka_unit_test_setup(the_share_is_the_formula_s, fresh),
		cmocka_unit_test_setup(whatever_the_words_hold_the_share_stays_one_and_passes, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
