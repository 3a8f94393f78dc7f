/* SPDX-License-Identifier: MIT */
/* adaptive at hosts that say nothing but 429: fixed windows at every phase, buckets of every rate. */
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
#define LOG    100
#define PHASES 97 /* no divisor of anything */

static struct weir_rate r;
static struct weir_bucket b;
static const struct weir_rate_params p = {.strategy = WEIR_ADAPTIVE, .burst = 5};
static uint64_t now;

/* The server, and its one client, which asks again at once and keeps to the bucket. */
struct life {
	uint64_t limit, window_ns, phase_ns; /* a fixed window; or, when window_ns is 0: */
	double per_s, depth, tokens;         /* a bucket */
	bool slides;                         /* the window: of the last so many seconds, whatever the clock says */
	uint64_t log[LOG];                   /* what it has accepted in them */
	uint64_t latency_ns;
	uint64_t number, used;        /* of the window at hand */
	uint64_t accepted, throttled; /* while it is judged */
	uint64_t asked_ns;            /* when the last request arrived */
	bool judged;
};

static bool log_accepts(struct life *l)
{
	uint64_t *oldest = &l->log[l->number % l->limit];

	if (*oldest != 0 && l->asked_ns < *oldest + l->window_ns)
		return false;
	*oldest = l->asked_ns;
	l->number++;
	return true;
}

static bool window_accepts(struct life *l)
{
	uint64_t number = (l->asked_ns - START + l->window_ns - l->phase_ns) / l->window_ns;

	if (number != l->number)
		l->used = 0;
	l->number = number;
	l->judged = number > LEARN && number <= LEARN + JUDGED;
	return l->used++ < l->limit;
}

static bool bucket_accepts(struct life *l, uint64_t since_ns)
{
	l->tokens += l->per_s * (double)(l->asked_ns - since_ns) / 1e9;
	if (l->tokens > l->depth)
		l->tokens = l->depth;
	if (l->tokens < 1)
		return false;
	l->tokens -= 1;
	return true;
}

static void ask(struct life *l)
{
	uint64_t unit = weir_bucket_take(&b, now), ready = weir_bucket_ready_ns(&b, unit, now), sent, before = l->asked_ns;
	bool good;

	now = sent = ready > now ? ready : now;
	l->asked_ns = now + l->latency_ns / 2;
	good = l->slides ? log_accepts(l) : l->window_ns != 0 ? window_accepts(l) : bucket_accepts(l, before);
	l->accepted += good && l->judged;
	l->throttled += !good && l->judged;
	now += l->latency_ns;
	if (weir_rate_note(&r, &p, good ? WEIR_RATE_ACCEPTED : WEIR_RATE_THROTTLED, now)) {
		struct weir_rate_answer answer = {
			.signal = good ? WEIR_RATE_ACCEPTED : WEIR_RATE_THROTTLED, .admitted_ns = sent, .in_flight = 1};

		weir_rate_update(&r, &b, &p, &answer, now);
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

/* A window that begins anew with each request looks like a fixed one when it has been filled at once. But a request that is
 * refused in it is soon accepted, not when another window begins. */
static void a_hundred_in_the_last_ten_seconds_are_used(void **state)
{
	struct life l = begin(100, 10 * SECOND, 0);

	(void)state;
	l.slides = true;
	while (now < START + 100 * SECOND)
		ask(&l);
	l.judged = true;
	while (now < START + 700 * SECOND)
		ask(&l);
	assert_in_range(l.accepted, 5800, 6001);
	assert_true(l.throttled <= 24);
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

static void lives_with_a_bucket(double per_s, double depth)
{
	struct life l = begin(0, 0, 0);
	uint64_t since;
	double used, refused;

	l.per_s = per_s;
	l.depth = l.tokens = depth;
	l.asked_ns = now;
	if (per_s > 50)
		l.latency_ns = (uint64_t)(2e8 / per_s);
	/* The first pauses are of tenths of a second, however fast the host is. */
	for (int i = 0; i < 1000 || now < START + 5 * SECOND; i++)
		ask(&l);
	l.judged = true;
	since = l.asked_ns;
	while (l.accepted < 2000)
		ask(&l);
	used = (double)l.accepted / (per_s * (double)(l.asked_ns - since) / 1e9);
	refused = (double)l.throttled / (double)l.accepted;
	print_message("%.6g/s, depth %.0f: %.3f used, %.2f %% refused\n", per_s, depth, used, 100 * refused);
	assert_true(used > .9);
	assert_true(refused < .02);
}

static void a_bucket_of_any_rate_is_found(void **state)
{
	(void)state;
	for (double depth = 1; depth <= 100; depth *= 10) {
		lives_with_a_bucket(1. / 3600, depth);
		lives_with_a_bucket(12. / 3600, depth);
		for (double per_s = 1. / 60; per_s < 20000; per_s *= per_s < 1 ? 60 : 10)
			lives_with_a_bucket(per_s, depth);
	}
}

/* Two refusals, a script of two requests between them, and then a quiet time: nothing of which says that the host is slow. */
static void a_handful_of_answers_over_idle_time_is_no_estimate(void **state)
{
	struct weir_rate_answer a = {.signal = WEIR_RATE_THROTTLED, .in_flight = 1};
	uint64_t unit;

	(void)state;
	memset(&r, 0, sizeof r);
	memset(&b, 0, sizeof b);
	for (int i = 0; i < 4; i++) {
		now = START + (uint64_t)(i == 0 ? 0 : i == 1 ? 1100 : i == 2 ? 20000 : 42000) * MS;
		a.signal = i % 3 == 0 ? WEIR_RATE_THROTTLED : WEIR_RATE_ACCEPTED;
		a.admitted_ns = now - 2 * MS;
		if (weir_rate_note(&r, &p, a.signal, now))
			weir_rate_update(&r, &b, &p, &a, now);
	}
	unit = weir_bucket_take(&b, now);
	assert_in_range(weir_bucket_ready_ns(&b, unit, now), 0, now + SECOND);
	now += SECOND;
	unit = weir_bucket_take(&b, now);
	assert_in_range(weir_bucket_ready_ns(&b, unit, now), 0, now + SECOND);
}

/* One request after the other, `gap_ns` apart, each waiting for hold and turn. Returns how long its turn alone kept it. */
static uint64_t ask_once(bool good, uint64_t retry_after_s, uint64_t gap_ns, uint64_t *hold_ns)
{
	struct weir_rate_answer a = {.signal = good ? WEIR_RATE_ACCEPTED : WEIR_RATE_THROTTLED, .in_flight = 1};
	uint64_t unit, ready, free_ns;

	now += gap_ns;
	free_ns = now = *hold_ns > now ? *hold_ns : now;
	unit = weir_bucket_take(&b, now);
	ready = weir_bucket_ready_ns(&b, unit, now);
	now = ready > now ? ready : now;
	a.admitted_ns = now;
	free_ns = now - free_ns;
	now += 15 * MS;
	if (retry_after_s != 0)
		*hold_ns = a.hold_until_ns = now + retry_after_s * SECOND;
	if (weir_rate_note(&r, &p, a.signal, now))
		weir_rate_update(&r, &b, &p, &a, now);
	return free_ns;
}

/* What the scripts of curl's suite meet: three that are told to come back in 22 s, and do; three that are told nothing, `between`
 * accepts before them; then seldom a request, of which each second one is told to come back in one. While weir keeps everybody
 * back by the host's word nobody learns how slow it is, and its word tells more than a handful of answers. */
static void keep_holds(int between)
{
	uint64_t hold = 0, most = 0, kept;

	memset(&r, 0, sizeof r);
	memset(&b, 0, sizeof b);
	now = START;
	for (int i = 0; i < 100; i++)
		ask_once(true, 0, SECOND / 2, &hold);
	for (int i = 0; i < 3; i++)
		ask_once(false, 22, SECOND / 2, &hold);
	now += SECOND / 2;
	for (int i = 0; i < between; i++)
		ask_once(true, 0, SECOND / 2, &hold);
	for (int i = 0; i < 3; i++)
		ask_once(false, 0, SECOND / 2, &hold);
	for (int i = 0; i < 5; i++)
		ask_once(true, 0, SECOND / 4, &hold);
	now += 16 * SECOND;
	for (int i = 0; i < 40; i++) {
		kept = ask_once(i % 2 == 0, i % 2 == 0 ? 0 : 1, i % 2 == 0 ? SECOND : SECOND / 50, &hold);
		most = most > kept ? most : kept;
	}
	assert_in_range(most, 0, 3 * SECOND);
}

static void holds_that_are_kept_do_not_teach_that_the_host_is_slow(void **state)
{
	(void)state;
	for (int between = 0; between <= 4; between++)
		keep_holds(between);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_handful_of_answers_over_idle_time_is_no_estimate),
		cmocka_unit_test(sixty_a_minute_are_found_whatever_the_phase),
		cmocka_unit_test(six_hundred_a_minute_are_found_whatever_the_phase),
		cmocka_unit_test(five_thousand_an_hour_are_found_whatever_the_phase),
		cmocka_unit_test(a_hundred_in_ten_seconds_are_found_whatever_the_phase),
		cmocka_unit_test(a_hundred_in_the_last_ten_seconds_are_used),
		cmocka_unit_test(a_bucket_of_any_rate_is_found),
		cmocka_unit_test(the_first_request_after_a_pause_goes_when_it_is_over),
		cmocka_unit_test(holds_that_are_kept_do_not_teach_that_the_host_is_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
