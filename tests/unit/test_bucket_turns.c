/* SPDX-License-Identifier: MIT */
/* Classes at one bucket, by clients on a virtual clock: who wait as the gate does, wake late, give up and die. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "weir/bucket.h"

#define SECOND  UINT64_C(1000000000)
#define START   (1000 * SECOND)
#define CLIENTS 1024

enum what { AWAY, WAITS, DEAD };

struct client {
	unsigned class;
	enum what what;
	uint64_t next_ns; /* when it looks, or comes */
	uint64_t begun_ns, unit, place;
	uint64_t went, waited_ns;
	uint32_t numbering;
};

struct world {
	struct weir_bucket b;
	struct client client[CLIENTS];
	unsigned clients, seed;
	uint64_t now, away_ns, late_ns; /* how long it is away between two requests; how late it wakes at most */
	uint64_t went[WEIR_CLASSES];
	void (*gone)(struct world *w, struct client *c);
};

static struct world w;
static const struct weir_shares usual = {200, 50};

static int fresh(void **state)
{
	(void)state;
	memset(&w, 0, sizeof w);
	w.now = START;
	w.seed = (unsigned)time(NULL);
	if (getenv("WEIR_SEED"))
		w.seed = (unsigned)strtoul(getenv("WEIR_SEED"), NULL, 10);
	return 0;
}

static uint64_t dice(uint64_t below)
{
	return below ? (uint64_t)rand_r(&w.seed) % below : 0;
}

static struct client *join(unsigned class, unsigned count)
{
	struct client *first = &w.client[w.clients];

	for (unsigned i = 0; i < count; i++) {
		assert_true(w.clients < CLIENTS);
		w.client[w.clients++] = (struct client){.class = class, .next_ns = w.now};
	}
	return first;
}

static void go(struct client *c)
{
	c->what = AWAY;
	c->waited_ns = w.now - c->begun_ns;
	c->next_ns = w.now + w.away_ns;
	c->unit = c->place = 0;
	c->went++;
	w.went[c->class]++;
	if (w.gone)
		w.gone(&w, c);
}

/* As the gate looks. */
static void look(struct client *c)
{
	struct weir_turn t = {.class = c->class, .shares = usual};
	uint64_t ready = w.now;

	if (c->what == AWAY) {
		c->what = WAITS;
		c->begun_ns = w.now;
	}
	if (!weir_bucket_classed(&w.b, c->class, w.now)) {
		if (c->unit == 0) {
			c->numbering = weir_bucket_numbering(&w.b);
			c->unit = weir_bucket_take(&w.b, w.now);
		}
		ready = weir_bucket_ready_ns(&w.b, c->unit, w.now);
		if (ready <= w.now) {
			go(c);
			return;
		}
	} else {
		if (c->unit != 0 && !weir_bucket_holds(&w.b, c->unit, &c->numbering)) {
			c->place = weir_bucket_place_of(&w.b, c->class, c->unit);
			c->unit = 0;
		}
		if (c->unit != 0) {
			go(c);
			return;
		}
		if (c->place != 0 && !weir_order_holds(&w.b.turns.order, c->class, c->place))
			c->place = 0;
		t.place = c->place;
		t.waited_ns = w.now - c->begun_ns;
		if (weir_bucket_go(&w.b, &t, w.now, &ready) != 0) {
			go(c);
			return;
		}
		if (c->place == 0)
			c->place = weir_order_take(&w.b.turns.order, c->class);
	}
	assert_true(ready > w.now);
	c->next_ns = (ready - w.now < SECOND ? ready : w.now + SECOND) + dice(w.late_ns + 1);
}

/* Dies wherever it is. */
static void die(struct client *c)
{
	c->what = DEAD;
	c->next_ns = UINT64_MAX;
}

static void give_up(struct client *c)
{
	if (c->what != WAITS)
		return;
	if (c->place != 0)
		weir_order_leave(&w.b.turns.order, c->class, c->place, false);
	if (c->unit != 0 && weir_bucket_numbering(&w.b) == c->numbering)
		weir_bucket_give_back(&w.b, c->unit);
	c->unit = c->place = 0;
	c->what = AWAY;
	c->next_ns = w.now + w.away_ns + 1;
}

static void run_until(uint64_t end)
{
	for (;;) {
		struct client *c = &w.client[0];

		for (unsigned i = 1; i < w.clients; i++)
			if (w.client[i].next_ns < c->next_ns)
				c = &w.client[i];
		if (c->next_ns > end)
			break;
		if (c->next_ns > w.now)
			w.now = c->next_ns;
		look(c);
	}
	w.now = end;
}

static double jain(unsigned class)
{
	double sum = 0, squares = 0, n = 0;

	for (unsigned i = 0; i < w.clients; i++) {
		if (w.client[i].class != class)
			continue;
		sum += (double)w.client[i].went;
		squares += (double)w.client[i].went * (double)w.client[i].went;
		n++;
	}
	return sum * sum / (n * squares);
}

static void every_class_gets_its_share_and_no_unit_is_lost(void **state)
{
	(void)state;
	weir_bucket_set(&w.b, 10 * WEIR_RATE_ONE, 1, w.now);
	w.late_ns = SECOND / 2000;
	for (unsigned c = 0; c < WEIR_CLASSES; c++)
		join(c, 8);
	run_until(START + 1000 * SECOND);
	assert_in_range(w.went[0] + w.went[1] + w.went[2], 9990, 10002);
	assert_in_range(w.went[WEIR_CLASS_LOW], 490, 510);
	assert_in_range(w.went[WEIR_CLASS_NORMAL], 1980, 2020);
	for (unsigned c = 0; c < WEIR_CLASSES; c++)
		assert_true(jain(c) >= .95);
}

static void high_ones_leave_low_ones_their_share_alone(void **state)
{
	(void)state;
	weir_bucket_set(&w.b, 10 * WEIR_RATE_ONE, 1, w.now);
	join(WEIR_CLASS_LOW, 8);
	join(WEIR_CLASS_HIGH, 8);
	run_until(START + 400 * SECOND);
	assert_in_range(w.went[0] + w.went[2], 3990, 4002);
	assert_in_range(w.went[WEIR_CLASS_LOW], 190, 215);
}

static void a_share_that_nobody_wants_goes_to_the_others(void **state)
{
	(void)state;
	weir_bucket_set(&w.b, 10 * WEIR_RATE_ONE, 1, w.now);
	join(WEIR_CLASS_LOW, 1)->next_ns = START + 399 * SECOND;
	join(WEIR_CLASS_HIGH, 4);
	run_until(START + 400 * SECOND);
	assert_in_range(w.went[WEIR_CLASS_HIGH], 3985, 4002);
}

static void a_high_one_behind_five_hundred_that_wait_goes_within_two_units(void **state)
{
	struct client *high;

	(void)state;
	weir_bucket_set(&w.b, 10 * WEIR_RATE_ONE, 1, w.now);
	w.away_ns = 10000 * SECOND;
	join(WEIR_CLASS_NORMAL, 500);
	run_until(START + 3 * SECOND + SECOND / 20);
	for (int i = 0; i < 5; i++) {
		high = join(WEIR_CLASS_HIGH, 1);
		run_until(w.now + SECOND);
		assert_int_equal(high->went, 1);
		assert_true(high->waited_ns <= 2 * SECOND / 10);
	}
	/* Nobody of those who had waited before has lost its place or its unit, and they went in order. */
	run_until(START + 60 * SECOND);
	assert_in_range(w.went[0] + w.went[1], 500, 505);
	run_until(START + 51 * SECOND + 20 * SECOND);
	assert_int_equal(w.went[0] + w.went[1], 505);
	for (unsigned i = 1; i < 500; i++)
		assert_true(w.client[i].waited_ns >= w.client[i - 1].waited_ns);
}

static void the_dead_cost_those_behind_them_one_unit_each_at_most(void **state)
{
	static const unsigned rates[] = {1, 10, 30, 200, 2000};

	(void)state;
	for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++) {
		uint64_t unit_ns = SECOND / rates[r], from;

		fresh(NULL);
		weir_bucket_set(&w.b, rates[r] * WEIR_RATE_ONE, 1, w.now);
		join(WEIR_CLASS_HIGH, 20);
		join(WEIR_CLASS_NORMAL, 20);
		join(WEIR_CLASS_LOW, 20);
		run_until(w.now + 30 * unit_ns);
		for (unsigned i = 0; i < 15; i++)
			die(&w.client[i + 20 * (i % 3)]);
		from = w.went[0] + w.went[1] + w.went[2];
		run_until(w.now + 1000 * unit_ns);
		assert_in_range(w.went[0] + w.went[1] + w.went[2] - from, 1000 - 35, 1002 + rates[r] / 50);
		assert_true(w.went[WEIR_CLASS_LOW] >= 28);
	}
}

static void who_gives_up_leaves_at_once(void **state)
{
	(void)state;
	weir_bucket_set(&w.b, 10 * WEIR_RATE_ONE, 1, w.now);
	w.away_ns = 10000 * SECOND;
	join(WEIR_CLASS_NORMAL, 1);
	join(WEIR_CLASS_HIGH, 10);
	run_until(w.now + SECOND / 100);
	assert_int_equal(weir_order_waiting(&w.b.turns.order, WEIR_CLASS_HIGH), 10);
	for (unsigned i = 3; i < 11; i++)
		give_up(&w.client[i]);
	assert_int_equal(weir_order_waiting(&w.b.turns.order, WEIR_CLASS_HIGH), 2);
}

/* Random classes, rates, holds, deaths, stalls and ends: what goes never exceeds burst + rate x (time + slack), V does not run
 * backwards, and while anybody waits the bucket gives out what it has. */
enum { KEEP = 8192 };
static uint64_t gone[KEEP], count;
static const uint64_t burst = 5, top = 50;

static void keeps_the_rate(struct world *world, struct client *c)
{
	(void)c;
	gone[count++ % KEEP] = world->now;
	for (uint64_t k = burst + 1; k <= 512 && k <= count; k = k * 3 / 2) {
		uint64_t since = world->now - gone[(count - k) % KEEP];

		assert_true((double)k <= (double)burst + (double)top * ((double)(since + WEIR_TURN_SLACK_NS) / 1e9) + 1e-3);
	}
}

static void whatever_happens_the_rate_holds_and_nobody_waits_for_ever(void **state)
{
	(void)state;
	print_message("seed %u\n", w.seed);
	count = 0;
	w.gone = keeps_the_rate;
	w.late_ns = SECOND / 100;
	weir_bucket_set(&w.b, top * WEIR_RATE_ONE, burst, w.now);
	for (unsigned c = 0; c < 60; c++)
		join((unsigned)dice(3), 1)->next_ns += dice(5 * SECOND);
	for (unsigned step = 0; step < 3000; step++) {
		struct client *c = &w.client[dice(w.clients)];
		uint64_t before = weir_bucket_pace(&w.b).v0;

		w.away_ns = dice(SECOND / 2);
		run_until(w.now + dice(SECOND / 2));
		switch (dice(8)) {
		case 0:
			weir_bucket_set(&w.b, (1 + dice(top)) * WEIR_RATE_ONE, burst, w.now);
			break;
		case 1:
			weir_bucket_freeze(&w.b, w.now + dice(SECOND), w.now);
			break;
		case 2:
			die(c);
			*c = (struct client){.class = (unsigned)dice(3), .next_ns = w.now + dice(SECOND)}; /* and another comes */
			break;
		case 3:
			give_up(c);
			break;
		case 4: /* a stall */
			if (c->what == WAITS)
				c->next_ns += dice(SECOND);
			break;
		default:
			break;
		}
		assert_true(weir_bucket_pace(&w.b).v0 >= before);
	}
	weir_bucket_set(&w.b, top * WEIR_RATE_ONE, burst, w.now);
	w.away_ns = 0;
	for (unsigned i = 0; i < w.clients; i++)
		w.client[i].went = 0;
	run_until(w.now + 120 * SECOND);
	for (unsigned i = 0; i < w.clients; i++)
		assert_true(w.client[i].went > 0);
}

static void damaged_words_hold_nobody_for_ever_and_keep_the_rate(void **state)
{
	static const uint64_t damage[] = {UINT64_MAX, UINT64_C(1) << 63, 1000000, UINT64_C(1) << 40, 0xffffff, 7};

	(void)state;
	for (size_t d = 0; d < sizeof damage / sizeof damage[0]; d++)
		for (size_t word = 0; word < 9; word++) {
			uint64_t from;

			fresh(NULL);
			weir_bucket_set(&w.b, 100 * WEIR_RATE_ONE, 1, w.now);
			for (unsigned c = 0; c < WEIR_CLASSES; c++)
				join(c, 4);
			run_until(w.now + SECOND);
			atomic_store(&((_Atomic uint64_t *)&w.b.turns)[word], damage[d]);
			run_until(w.now + 30 * SECOND); /* whatever it takes to notice */
			from = w.went[0] + w.went[1] + w.went[2];
			run_until(w.now + 10 * SECOND);
			assert_in_range(w.went[0] + w.went[1] + w.went[2] - from, 990, 1003);
		}
}

/* A loop that sleeps until its time, wakes a little late and needs a little time itself. */
static void one_that_wakes_late_loses_nothing(void **state)
{
	static const uint64_t rates[] = {1, 10, 100, 1000, 5000, 10000};

	(void)state;
	for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
		uint64_t now = START, n = 0, end = START + 10 * SECOND;

		memset(&w.b, 0, sizeof w.b);
		weir_bucket_set(&w.b, rates[i] * WEIR_RATE_ONE, 1, now);
		for (; now < end; n++) {
			uint64_t ready = now, unit = weir_bucket_take_by(&w.b, now, WEIR_NEVER, &ready);

			assert_true(unit != 0);
			if (ready > now) {
				uint64_t late = 55000 + dice(60000);

				now = ready + late;
				weir_bucket_late(&w.b, late, now);
			}
			now += 45000;
		}
		assert_in_range(n, rates[i] * 10 - rates[i] / 20, rates[i] * 10 + rates[i] / 20 + 1);
	}
}

/* A new time namespace's clock. */
static void a_clock_that_has_just_begun_lends_no_more_than_it_has(void **state)
{
	uint64_t ready = 0, now_ns = 2000000;

	(void)state;
	weir_bucket_set(&w.b, 1000 * WEIR_RATE_ONE, 1, now_ns / 2);
	assert_int_not_equal(weir_bucket_take_by(&w.b, now_ns, UINT64_MAX, &ready), 0);
	weir_bucket_late(&w.b, 4000000, now_ns);
	/* A second behind the clock's beginning is far in the future of a clock that wraps: who follows on it waits for ever. */
	assert_int_not_equal(weir_bucket_take_by(&w.b, now_ns, UINT64_MAX, &ready), 0);
	assert_in_range(ready, now_ns, now_ns + 3000000);
}

static void what_is_lent_is_no_burst(void **state)
{
	uint64_t ready, n = 0;

	(void)state;
	weir_bucket_set(&w.b, 1000 * WEIR_RATE_ONE, 1, START);
	(void)weir_bucket_take(&w.b, START);
	weir_bucket_late(&w.b, SECOND, START + SECOND); /* no lateness lends more than the bound */
	for (int i = 0; i < 100; i++)
		n += weir_bucket_take_by(&w.b, START + SECOND, 0, &ready) != 0;
	assert_in_range(n, 4, 5);
	/* And soon none. */
	n = 0;
	for (int i = 0; i < 100; i++)
		n += weir_bucket_take_by(&w.b, START + 2 * SECOND, 0, &ready) != 0;
	assert_int_equal(n, 1);
}

/* A controller takes its limit back while some wait. */
static void who_goes_without_a_limit_leaves_its_place(void **state)
{
	struct weir_turn t = {.class = WEIR_CLASS_NORMAL, .waited_ns = SECOND, .shares = usual};
	uint64_t ready;

	(void)state;
	weir_bucket_set(&w.b, WEIR_RATE_ONE, 1, w.now);
	t.place = weir_order_take(&w.b.turns.order, WEIR_CLASS_NORMAL);
	weir_bucket_set(&w.b, 0, 1, w.now);
	assert_int_equal(weir_bucket_go(&w.b, &t, w.now, &ready), 0);
	assert_int_equal(ready, w.now);
	assert_true(weir_order_empty(&w.b.turns.order));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_class_gets_its_share_and_no_unit_is_lost, fresh),
		cmocka_unit_test_setup(high_ones_leave_low_ones_their_share_alone, fresh),
		cmocka_unit_test_setup(a_share_that_nobody_wants_goes_to_the_others, fresh),
		cmocka_unit_test_setup(a_high_one_behind_five_hundred_that_wait_goes_within_two_units, fresh),
		cmocka_unit_test_setup(the_dead_cost_those_behind_them_one_unit_each_at_most, fresh),
		cmocka_unit_test_setup(who_gives_up_leaves_at_once, fresh),
		cmocka_unit_test_setup(whatever_happens_the_rate_holds_and_nobody_waits_for_ever, fresh),
		cmocka_unit_test_setup(a_clock_that_has_just_begun_lends_no_more_than_it_has, fresh),
		cmocka_unit_test_setup(damaged_words_hold_nobody_for_ever_and_keep_the_rate, fresh),
		cmocka_unit_test_setup(one_that_wakes_late_loses_nothing, fresh),
		cmocka_unit_test_setup(what_is_lent_is_no_burst, fresh),
		cmocka_unit_test_setup(who_goes_without_a_limit_leaves_its_place, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
