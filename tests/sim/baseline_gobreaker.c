/* SPDX-License-Identifier: MIT */
/* sony/gobreaker with its defaults: opens after more than 5 consecutive failures, 60 s, one request in half-open; results of an
 * older generation are dropped. */
#include <stdlib.h>

#include "breakers.h"

#define TIMEOUT_S    60
#define FAILURES     5
#define MAX_REQUESTS 1

enum { CLOSED, OPEN, HALF_OPEN };

struct gobreaker {
	int state;
	uint64_t generation;
	double expiry_s;
	unsigned requests, successes, failures; /* consecutive; requests of this generation */
};

static void set(struct gobreaker *b, int state, double now_s)
{
	b->state = state;
	b->generation++;
	b->requests = b->successes = b->failures = 0;
	b->expiry_s = state == OPEN ? now_s + TIMEOUT_S : 0;
}

static void start(void *breaker, uint64_t seed)
{
	(void)seed;
	set(breaker, CLOSED, 0);
}

static bool allow(void *breaker, double now_s, uint64_t *generation)
{
	struct gobreaker *b = breaker;

	if (b->state == OPEN && b->expiry_s < now_s)
		set(b, HALF_OPEN, now_s);
	if (b->state == OPEN || (b->state == HALF_OPEN && b->requests >= MAX_REQUESTS))
		return false;
	b->requests++;
	*generation = b->generation;
	return true;
}

static void done(void *breaker, double now_s, uint64_t generation, bool failed)
{
	struct gobreaker *b = breaker;

	if (b->state == OPEN && b->expiry_s < now_s)
		set(b, HALF_OPEN, now_s);
	if (generation != b->generation)
		return;
	if (!failed) {
		b->failures = 0;
		if (++b->successes >= MAX_REQUESTS && b->state == HALF_OPEN)
			set(b, CLOSED, now_s);
		return;
	}
	b->successes = 0;
	b->failures++;
	if (b->state == HALF_OPEN || (b->state == CLOSED && b->failures > FAILURES))
		set(b, OPEN, now_s);
}

static const struct sim_breaker_kind kind = {sizeof(struct gobreaker), allow, done, start};
SIM_BREAKER_CONTROLLER(sim_gobreaker, "gobreaker", kind);
