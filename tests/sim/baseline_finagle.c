/* SPDX-License-Identifier: MIT */
/* Finagle's FailureAccrualFactory with its defaults: 5 consecutive failures mark the node dead for an equally jittered backoff of
 * 5 s to 300 s; then one request probes, and its result revives the node or marks it dead for the next backoff. */
#include <math.h>
#include <stdlib.h>

#include "breakers.h"
#include "random.h"

#define FAILURES 5
#define FIRST_S  5
#define MAX_S    300

enum { ALIVE, DEAD, PROBE_OPEN, PROBE_CLOSED };

struct finagle {
	int state;
	unsigned failures;
	double backoff_s, until_s;
	struct sim_random random;
};

static void start(void *breaker, uint64_t seed)
{
	struct finagle *f = breaker;

	f->random.state = seed;
	f->backoff_s = FIRST_S;
}

/* Backoff.equalJittered: half of it is fixed, half random; then doubled. */
static void die(struct finagle *f, double now_s)
{
	f->state = DEAD;
	f->until_s = now_s + f->backoff_s / 2 + sim_random_unit(&f->random) * f->backoff_s / 2;
	f->backoff_s = fmin(MAX_S, 2 * f->backoff_s);
}

static bool allow(void *breaker, double now_s, uint64_t *generation)
{
	struct finagle *f = breaker;

	*generation = 0;
	if (f->state == DEAD && now_s >= f->until_s)
		f->state = PROBE_OPEN;
	if (f->state == DEAD || f->state == PROBE_CLOSED)
		return false;
	if (f->state == PROBE_OPEN)
		f->state = PROBE_CLOSED;
	return true;
}

static void done(void *breaker, double now_s, uint64_t generation, bool failed)
{
	struct finagle *f = breaker;

	(void)generation;
	if (f->state == DEAD)
		return;
	if (!failed) {
		f->failures = 0;
		f->state = ALIVE;
		f->backoff_s = FIRST_S;
		return;
	}
	if (f->state == PROBE_CLOSED || ++f->failures >= FAILURES) {
		f->failures = 0;
		die(f, now_s);
	}
}

static const struct sim_breaker_kind kind = {sizeof(struct finagle), allow, done, start};
SIM_BREAKER_CONTROLLER(sim_finagle, "Finagle", kind);
