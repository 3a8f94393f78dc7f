/* SPDX-License-Identifier: MIT */
/* What is given up as a host gets worse, and comes back: the state machine alone, by a virtual clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/degrade.h"
#include "weir/order.h"

#define MS     UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define WINDOW (10 * SECOND)

static struct weir_degrade d;
static struct weir_degrade_params p;
static struct weir_degrade_signs signs;
static uint64_t now;
static unsigned changes;
static enum weir_cause last_cause;
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
	p = (struct weir_degrade_params){.watch = WEIR_DEGRADE_WATCHES, .queue = 100};
	signs = (struct weir_degrade_signs){.left_permille = 1000};
	now = 1000 * SECOND;
	changes = 0;
	random_state = 5;
	return 0;
}

/* A look, if one is due. */
static void look(void)
{
	struct weir_degrade_change change;
	uint64_t passed;

	if (!weir_degrade_due(&d, now, &passed))
		return;
	change = weir_degrade_look(&d, &p, WINDOW, &signs, passed, now);
	if (change.from == change.to)
		return;
	assert_true(change.from - change.to == 1 || change.to - change.from == 1 || last_cause == WEIR_CAUSE_QUOTA_LOW ||
		    change.to == WEIR_DEGRADE_NORMAL);
	changes++;
	last_cause = change.cause;
}

static void live(uint64_t ns)
{
	for (uint64_t end = now + ns; now < end; now += 50 * MS)
		look();
}

static enum weir_degrade_state state_now(void)
{
	return weir_degrade_view(&d).state;
}

/* How many of a hundred requests of the class are refused. */
static unsigned refused(unsigned class)
{
	unsigned n = 0;

	for (int i = 0; i < 100; i++)
		n += weir_degrade_refuses(&d, class);
	return n;
}

static void zeroed_memory_is_normal_and_refuses_nobody(void **state)
{
	(void)state;
	assert_int_equal(state_now(), WEIR_DEGRADE_NORMAL);
	for (unsigned class = 0; class < WEIR_CLASSES; class ++)
		assert_int_equal(refused(class), 0);
	live(60 * SECOND);
	assert_int_equal(changes, 0);
	assert_int_equal(d.word, 0);
}

static void low_is_given_up_first_and_normal_where_that_does_not_help(void **state)
{
	(void)state;
	look();
	now += SECOND;
	signs.waiting = 100;
	look();
	assert_int_equal(state_now(), WEIR_DEGRADE_REDUCED);
	assert_int_equal(last_cause, WEIR_CAUSE_QUEUE_LONG);
	assert_int_equal(refused(WEIR_CLASS_LOW), 100);
	assert_int_equal(refused(WEIR_CLASS_NORMAL), 0);
	assert_true(weir_degrade_refuses_all(&d, WEIR_CLASS_LOW));
	/* It gets a step to help. */
	live(4900 * MS);
	assert_int_equal(state_now(), WEIR_DEGRADE_REDUCED);
	live(500 * MS);
	assert_int_equal(state_now(), WEIR_DEGRADE_MINIMAL);
	assert_int_equal(refused(WEIR_CLASS_LOW), 100);
	assert_int_equal(refused(WEIR_CLASS_NORMAL), 100);
	/* There is nothing beyond it, however long it lasts. */
	live(600 * SECOND);
	assert_int_equal(refused(WEIR_CLASS_HIGH), 0);
	assert_false(weir_degrade_refuses_all(&d, WEIR_CLASS_HIGH));
	assert_int_equal(changes, 2);
	assert_int_equal(weir_degrade_view(&d).cause, WEIR_CAUSE_QUEUE_LONG);
}

static void a_class_comes_back_little_by_little_and_the_state_follows(void **state)
{
	unsigned before = 100, now_refused;
	uint64_t began;

	(void)state;
	signs.waiting = 100;
	live(6 * SECOND);
	assert_int_equal(state_now(), WEIR_DEGRADE_MINIMAL);
	signs.waiting = 0;
	began = now;
	while (state_now() == WEIR_DEGRADE_MINIMAL) {
		live(SECOND);
		now_refused = refused(WEIR_CLASS_NORMAL);
		assert_true(now_refused <= before + 1 && before - now_refused <= 8);
		before = now_refused;
		assert_int_equal(refused(WEIR_CLASS_LOW), 100);
		assert_true(now - began < 60 * SECOND);
	}
	/* A step, 20 s of letting in, a step. */
	assert_in_range((now - began) / SECOND, 29, 32);
	assert_int_equal(before, 0);
	live(31 * SECOND);
	assert_int_equal(state_now(), WEIR_DEGRADE_NORMAL);
	assert_int_equal(changes, 4);
	assert_int_equal(last_cause, WEIR_CAUSE_RECOVERY);
	assert_int_equal(weir_degrade_view(&d).cause, WEIR_CAUSE_NONE);
}

static void between_half_a_threshold_and_all_of_it_nothing_moves(void **state)
{
	uint64_t word;

	(void)state;
	signs.waiting = 99;
	live(60 * SECOND);
	assert_int_equal(changes, 0);
	signs.waiting = 100;
	live(SECOND);
	signs.waiting = 51;
	live(SECOND);
	word = d.word;
	live(600 * SECOND);
	assert_int_equal(d.word, word);
	signs.waiting = 50;
	live(60 * SECOND);
	assert_int_equal(state_now(), WEIR_DEGRADE_NORMAL);
	assert_int_equal(changes, 2);
}

/* A host that bears so much of what the three classes ask for together, 1 each: bad as long as more is let in. */
static void bear(unsigned permille, uint64_t ns)
{
	for (uint64_t end = now + ns; now < end; now += 50 * MS) {
		struct weir_degrade_view v = weir_degrade_view(&d);
		unsigned load = 1000 + (1000 - v.normal) + (1000 - v.low);

		signs.waiting = load > permille ? 200 : 0;
		look();
	}
}

static void a_host_that_is_too_weak_for_a_while_does_not_flap(void **state)
{
	(void)state;
	/* Wherever its strength lies. */
	for (unsigned permille = 1000; permille < 3000; permille += 50) {
		fresh(NULL);
		bear(3000, 60 * SECOND);
		bear(permille, 300 * SECOND);
		bear(3000, 600 * SECOND);
		assert_int_equal(state_now(), WEIR_DEGRADE_NORMAL);
		if (changes > 4)
			fail_msg("%u changes at %u per mille", changes, permille);
	}
}

static void trials_that_fail_become_rarer(void **state)
{
	unsigned trials = 0, refused_before = 1000;

	(void)state;
	bear(3000, SECOND);
	for (int i = 0; i < 12000; i++) {
		unsigned low;

		bear(2000, 50 * MS);
		low = weir_degrade_view(&d).low;
		trials += refused_before == 1000 && low < 1000;
		refused_before = low;
	}
	/* A part of low is let in after 5 s, found to be too much and taken back, then after 10, 20, 40. */
	assert_in_range(trials, 5, 20);
	assert_int_equal(changes, 1);
	assert_int_equal(state_now(), WEIR_DEGRADE_REDUCED);
}

static void calls(unsigned n, unsigned failed, unsigned slow)
{
	for (unsigned i = 0; i < n; i++)
		weir_degrade_note(&d, &p, WINDOW, i < failed, i < slow ? 3 * SECOND : SECOND, now);
}

static void a_twentieth_of_the_calls_may_be_slow(void **state)
{
	(void)state;
	p = (struct weir_degrade_params){.watch = WEIR_DEGRADE_WATCHES, .latency_ns = 2 * SECOND};
	look();
	now += SECOND;
	calls(1000, 0, 50);
	look();
	assert_int_equal(state_now(), WEIR_DEGRADE_NORMAL);
	/* More than that by more than chance. */
	now += SECOND;
	calls(100, 0, 40);
	look();
	assert_int_equal(state_now(), WEIR_DEGRADE_REDUCED);
	assert_int_equal(last_cause, WEIR_CAUSE_LATENCY);
	/* What was slow before low was refused says nothing of whether that helps. */
	live(9 * SECOND);
	assert_int_equal(state_now(), WEIR_DEGRADE_REDUCED);
}

static void few_calls_say_nothing_whatever_they_say(void **state)
{
	(void)state;
	p.latency_ns = 2 * SECOND;
	p.error_permille = 1;
	calls(19, 19, 19);
	live(60 * SECOND);
	assert_int_equal(changes, 0);
}

static void too_many_failures_degrade_it(void **state)
{
	(void)state;
	p = (struct weir_degrade_params){.watch = WEIR_DEGRADE_WATCHES, .error_permille = 100};
	calls(100, 10, 0);
	look();
	assert_int_equal(state_now(), WEIR_DEGRADE_NORMAL);
	now += SECOND;
	calls(100, 25, 0);
	look();
	assert_int_equal(state_now(), WEIR_DEGRADE_REDUCED);
	assert_int_equal(last_cause, WEIR_CAUSE_FAILURE_RATE);
	for (int i = 0; i < 8; i++) {
		now += SECOND;
		calls(20, 10, 0);
		look();
	}
	assert_int_equal(state_now(), WEIR_DEGRADE_MINIMAL);
}

static void chance_alone_does_not_degrade_it(void **state)
{
	(void)state;
	/* Half an hour at 20 calls a second of which as many fail as the threshold allows less a quarter. */
	p = (struct weir_degrade_params){.watch = WEIR_DEGRADE_WATCHES, .error_permille = 100};
	for (int i = 0; i < 36000; i++, now += 50 * MS) {
		weir_degrade_note(&d, &p, WINDOW, draw() % 1000 < 75, SECOND, now);
		look();
	}
	assert_int_equal(changes, 0);
}

static void what_is_left_of_a_quota_is_kept_for_the_more_important(void **state)
{
	(void)state;
	p = (struct weir_degrade_params){.watch = WEIR_DEGRADE_WATCHES, .quota_permille = 200};
	look();
	signs.left_permille = 200;
	live(SECOND);
	assert_int_equal(state_now(), WEIR_DEGRADE_NORMAL);
	signs.left_permille = 199;
	live(600 * SECOND);
	assert_int_equal(state_now(), WEIR_DEGRADE_REDUCED);
	assert_int_equal(last_cause, WEIR_CAUSE_QUOTA_LOW);
	assert_int_equal(refused(WEIR_CLASS_LOW), 100);
	signs.left_permille = 99;
	live(600 * SECOND);
	assert_int_equal(state_now(), WEIR_DEGRADE_MINIMAL);
	assert_int_equal(refused(WEIR_CLASS_NORMAL), 100);
	assert_int_equal(changes, 2);
	/* A new window. */
	signs.left_permille = 1000;
	live(90 * SECOND);
	assert_int_equal(state_now(), WEIR_DEGRADE_NORMAL);
	assert_int_equal(changes, 4);
}

static void a_host_that_nobody_asked_for_long_is_normal(void **state)
{
	(void)state;
	signs.waiting = 100;
	live(10 * SECOND);
	assert_int_equal(state_now(), WEIR_DEGRADE_MINIMAL);
	signs.waiting = 0;
	now += 3600 * SECOND;
	look();
	assert_int_equal(state_now(), WEIR_DEGRADE_NORMAL);
	assert_int_equal(refused(WEIR_CLASS_LOW), 0);
}

/* Who is chosen for a look and dies before it leaves the word as it was: the next look does it. */
static void a_look_that_was_never_made_is_made_by_the_next(void **state)
{
	uint64_t passed;

	(void)state;
	look();
	signs.waiting = 100;
	now += SECOND;
	assert_true(weir_degrade_due(&d, now, &passed));
	assert_int_equal(passed, 1000);
	assert_false(weir_degrade_due(&d, now + 249 * MS, &passed));
	assert_int_equal(state_now(), WEIR_DEGRADE_NORMAL);
	now += 250 * MS;
	look();
	assert_int_equal(state_now(), WEIR_DEGRADE_REDUCED);
}

static void what_a_server_said_holds_until_its_window_ends(void **state)
{
	(void)state;
	assert_int_equal(weir_degrade_told(&d, now), 1000);
	weir_degrade_tell(&d, 130, now + 60 * SECOND, now);
	assert_int_equal(weir_degrade_told(&d, now), 130);
	assert_int_equal(weir_degrade_told(&d, now + 59 * SECOND), 130);
	assert_int_equal(weir_degrade_told(&d, now + 60 * SECOND), 1000);
	weir_degrade_tell(&d, 0, now + 60 * SECOND, now);
	assert_int_equal(weir_degrade_told(&d, now), 0);
	weir_degrade_tell(&d, 4000, now + 60 * SECOND, now);
	assert_int_equal(weir_degrade_told(&d, now), 1000);
	d.told = UINT64_MAX; /* an end in thirty years is damage */
	assert_int_equal(weir_degrade_told(&d, now), 1000);
	weir_degrade_clear(&d);
	assert_int_equal(d.told, 0);
}

static void whatever_the_words_hold_it_gets_back_to_normal(void **state)
{
	(void)state;
	for (int round = 0; round < 2000; round++) {
		uint64_t *word = (uint64_t *)&d;

		for (unsigned i = 0; i < sizeof d / sizeof *word; i++)
			word[i] = draw() % 4 == 0 ? UINT64_MAX : draw();
		p = (struct weir_degrade_params){.watch = WEIR_DEGRADE_WATCHES,
						 .queue = (uint32_t)draw(),
						 .error_permille = (uint32_t)draw(),
						 .quota_permille = (uint32_t)draw(),
						 .latency_ns = draw(),
						 .step_ns = draw(),
						 .recovery_ns = draw()};
		for (int i = 0; i < 20; i++) {
			struct weir_degrade_view v = weir_degrade_view(&d);

			assert_true(v.low <= 1000 && v.normal <= 1000 && v.state < WEIR_DEGRADE_STATES);
			assert_true(v.cause < WEIR_CAUSE_COUNT);
			assert_false(weir_degrade_refuses(&d, WEIR_CLASS_HIGH));
			(void)weir_degrade_refuses(&d, WEIR_CLASS_LOW);
			assert_false(weir_degrade_refuses(&d, (unsigned)draw() | 8));
			signs.waiting = (uint32_t)draw();
			signs.left_permille = (uint32_t)draw();
			now += draw() % SECOND;
			weir_degrade_note(&d, &p, draw(), draw() & 1, draw(), now);
			last_cause = WEIR_CAUSE_QUOTA_LOW; /* which may go two states at once */
			look();
		}
		p = (struct weir_degrade_params){.watch = WEIR_DEGRADE_WATCHES, .queue = 100};
		signs = (struct weir_degrade_signs){.left_permille = 1000};
		now += 120 * SECOND;
		live(SECOND);
		assert_int_equal(state_now(), WEIR_DEGRADE_NORMAL);
	}
	assert_string_equal(weir_degrade_name(WEIR_DEGRADE_NORMAL), "normal");
	assert_string_equal(weir_degrade_name(WEIR_DEGRADE_REDUCED), "reduced");
	assert_string_equal(weir_degrade_name(77), "minimal");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(zeroed_memory_is_normal_and_refuses_nobody, fresh),
		cmocka_unit_test_setup(low_is_given_up_first_and_normal_where_that_does_not_help, fresh),
		cmocka_unit_test_setup(a_class_comes_back_little_by_little_and_the_state_follows, fresh),
		cmocka_unit_test_setup(between_half_a_threshold_and_all_of_it_nothing_moves, fresh),
		cmocka_unit_test_setup(a_host_that_is_too_weak_for_a_while_does_not_flap, fresh),
		cmocka_unit_test_setup(trials_that_fail_become_rarer, fresh),
		cmocka_unit_test_setup(a_twentieth_of_the_calls_may_be_slow, fresh),
		cmocka_unit_test_setup(few_calls_say_nothing_whatever_they_say, fresh),
		cmocka_unit_test_setup(too_many_failures_degrade_it, fresh),
		cmocka_unit_test_setup(chance_alone_does_not_degrade_it, fresh),
		cmocka_unit_test_setup(what_is_left_of_a_quota_is_kept_for_the_more_important, fresh),
		cmocka_unit_test_setup(a_host_that_nobody_asked_for_long_is_normal, fresh),
		cmocka_unit_test_setup(a_look_that_was_never_made_is_made_by_the_next, fresh),
		cmocka_unit_test_setup(what_a_server_said_holds_until_its_window_ends, fresh),
		cmocka_unit_test_setup(whatever_the_words_hold_it_gets_back_to_normal, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
