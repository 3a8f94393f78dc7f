/* SPDX-License-Identifier: MIT */
/* adaptive at hosts that count in fixed windows and say nothing of it: whatever the phase, three windows are enough to find out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/rate.h"

#define SECOND UINT64_C(1000000000)
#define MS     UINT64_C(1000000)
#define START  (1000000 * SECOND)
#define LEARN  3 /* windows that are not judged */
#define JUDGED 9
#define PHASES 97 /* no divisor of anything */

static struct weir_rate r;
static struct weir_bucket b;
static const struct weir_rate_params p = {.strategy = WEIR_ADAPTIVE, .burst = 5};
static uint64_t now;

/* The server, and its one client, which asks again at once and keeps to the bucket. */
struct life {
	uint64_t limit, window_ns, phase_ns, latency_ns;
	uint64_t number, used;        /* of the window at hand */
	uint64_t accepted, throttled; /* in the windows that are judged */
	uint64_t asked_ns;            /* when the last request arrived */
};

static void ask(struct life *l)
{
	uint64_t unit = weir_bucket_take(&b, now), ready = weir_bucket_ready_ns(&b, unit, now), sent, number;
	bool good, judged;

	now = sent = ready > now ? ready : now;
	l->asked_ns = now + l->latency_ns / 2;
	number = (l->asked_ns - START + l->window_ns - l->phase_ns) / l->window_ns;
	if (number != l->number)
		l->used = 0;
	l->number = number;
	good = l->used < l->limit;
	l->used += good;
	judged = number > LEARN && number <= LEARN + JUDGED;
	l->accepted += good && judged;
	l->throttled += !good && judged;
	now += l->latency_ns;
	if (weir_rate_note(&r, &p, good ? WEIR_RATE_ACCEPTED : WEIR_RATE_THROTTLED, now)) {
		struct weir_rate_answer a = {
			.signal = good ? WEIR_RATE_ACCEPTED : WEIR_RATE_THROTTLED, .admitted_ns = sent, .in_flight = 1};

		weir_rate_update(&r, &b, &p, &a, now);
	}
}

static struct life begin(uint64_t limit, uint64_t window_ns, uint64_t phase_ns)
{
	memset(&r, 0, sizeof r);
	memset(&b, 0, sizeof b);
	now = START;
	return (struct life){.limit = limit, .window_ns = window_ns, .phase_ns = phase_ns, .latency_ns = 4 * MS};
}

static void lives_at_every_phase(uint64_t limit, uint64_t window_ns, double least, double most_refused)
{
	for (uint64_t i = 0; i < PHASES; i++) {
		struct life l = begin(limit, window_ns, window_ns * i / PHASES + 1);
		double used, refused;

		while (l.number <= LEARN + JUDGED)
			ask(&l);
		used = (double)l.accepted / (double)(limit * JUDGED);
		refused = (double)l.throttled / JUDGED;
		if (used < least || refused > most_refused)
			fail_msg("phase %d of %d: %.3f of the budget used, %.2f refused a window", (int)i, PHASES, used, refused);
	}
}

static void sixty_a_minute_are_found_whatever_the_phase(void **state)
{
	(void)state;
	lives_at_every_phase(60, 60 * SECOND, .95, 1);
}

static void six_hundred_a_minute_are_found_whatever_the_phase(void **state)
{
	(void)state;
	lives_at_every_phase(600, 60 * SECOND, .95, 1);
}

static void five_thousand_an_hour_are_found_whatever_the_phase(void **state)
{
	(void)state;
	lives_at_every_phase(5000, 3600 * SECOND, .95, 1);
}

static void a_hundred_in_ten_seconds_are_found_whatever_the_phase(void **state)
{
	(void)state;
	lives_at_every_phase(100, 10 * SECOND, .95, 1);
}

/* A pause is a time to ask at, not one to wait and then a little: the pace behind it is for the second request. */
static void the_first_request_after_a_pause_goes_when_it_is_over(void **state)
{
	struct life l = begin(0, 60 * SECOND, 1); /* refuses everything */
	uint64_t pause = 100 * MS, last = 0;

	(void)state;
	ask(&l);
	for (int i = 0; i < 13; i++) {
		uint64_t asked = l.asked_ns;

		ask(&l);
		last = l.asked_ns - asked - l.latency_ns;
		/* The first ones, of tenths of a second, are not much longer than what a few requests take. */
		while (last > 2 * SECOND && 2 * pause < last + 10 * MS)
			pause *= 2;
		if (last > 2 * SECOND)
			assert_in_range(last, pause - MS, pause + 10 * MS);
	}
	assert_true(last > 60 * SECOND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sixty_a_minute_are_found_whatever_the_phase),
		cmocka_unit_test(six_hundred_a_minute_are_found_whatever_the_phase),
		cmocka_unit_test(five_thousand_an_hour_are_found_whatever_the_phase),
		cmocka_unit_test(a_hundred_in_ten_seconds_are_found_whatever_the_phase),
		cmocka_unit_test(the_first_request_after_a_pause_goes_when_it_is_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
