/* SPDX-License-Identifier: MIT */
/* resilience4j's CircuitBreaker with its defaults: failure rate >= 50 % over the last 100 calls (at least 100 of them), open for
 * 60 s, 10 permitted calls in half-open, judged when all 10 are back. */
#include <stdlib.h>

#include "breakers.h"

#define WINDOW      100
#define HALF_OPEN_N 10
#define RATE        .5
#define OPEN_S      60

enum { CLOSED, OPEN, HALF_OPEN };

struct resilience4j {
	int state;
	double until_s;
	bool ring[WINDOW];
	unsigned at, calls, failures, permits;
};

static void set(struct resilience4j *b, int state, double now_s)
{
	b->state = state;
	b->at = b->calls = b->failures = 0;
	b->permits = HALF_OPEN_N;
	b->until_s = now_s + OPEN_S;
}

static void start(void *breaker, uint64_t seed)
{
	(void)seed;
	set(breaker, CLOSED, 0);
}

static bool allow(void *breaker, double now_s, uint64_t *generation)
{
	struct resilience4j *b = breaker;

	*generation = 0;
	if (b->state == OPEN && now_s >= b->until_s)
		set(b, HALF_OPEN, now_s);
	if (b->state == CLOSED)
		return true;
	if (b->state == OPEN || b->permits == 0)
		return false;
	b->permits--;
	return true;
}

static void done(void *breaker, double now_s, uint64_t generation, bool failed)
{
	struct resilience4j *b = breaker;
	unsigned size = b->state == HALF_OPEN ? HALF_OPEN_N : WINDOW;

	(void)generation;
	if (b->state == OPEN)
		return;
	if (b->calls == size)
		b->failures -= b->ring[b->at];
	else
		b->calls++;
	b->ring[b->at] = failed;
	b->failures += failed;
	b->at = (b->at + 1) % size;
	if (b->calls < size)
		return;
	if (b->failures >= RATE * size)
		set(b, OPEN, now_s);
	else if (b->state == HALF_OPEN)
		set(b, CLOSED, now_s);
}

static const struct sim_breaker_kind kind = {sizeof(struct resilience4j), allow, done, start};
SIM_BREAKER_CONTROLLER(sim_resilience4j, "resilience4j", kind);
