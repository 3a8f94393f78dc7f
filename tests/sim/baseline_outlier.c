/* SPDX-License-Identifier: MIT */
/* Envoy's outlier detection with its defaults: 5 consecutive 5xx eject the host for 30 s times the number of its ejections, 300 s
 * at most; every 10 s it is seen whether the time is over, and then everybody may go. The number of ejections falls by one per
 * interval without one. */
#include <math.h>
#include <stdlib.h>

#include "breakers.h"

#define CONSECUTIVE 5
#define BASE_S      30
#define MAX_S       300
#define INTERVAL_S  10

struct outlier {
	bool ejected;
	unsigned failures;
	double ejections, since_s, next_s;
};

static void start(void *breaker, uint64_t seed)
{
	struct outlier *o = breaker;

	o->next_s = 1000 + INTERVAL_S * (double)(seed % 100) / 100;
}

static void intervals(struct outlier *o, double now_s)
{
	for (; o->next_s <= now_s; o->next_s += INTERVAL_S) {
		if (o->ejected && o->next_s >= o->since_s + fmin(MAX_S, BASE_S * o->ejections)) {
			o->ejected = false;
			o->failures = 0;
		} else if (!o->ejected && o->ejections > 0) {
			o->ejections--;
		}
	}
}

static bool allow(void *breaker, double now_s, uint64_t *generation)
{
	struct outlier *o = breaker;

	*generation = 0;
	intervals(o, now_s);
	return !o->ejected;
}

static void done(void *breaker, double now_s, uint64_t generation, bool failed)
{
	struct outlier *o = breaker;

	(void)generation;
	intervals(o, now_s);
	o->failures = failed ? o->failures + 1 : 0;
	if (o->ejected || o->failures < CONSECUTIVE)
		return;
	o->ejected = true;
	o->ejections++;
	o->since_s = now_s;
}

static const struct sim_breaker_kind kind = {sizeof(struct outlier), allow, done, start};
SIM_BREAKER_CONTROLLER(sim_outlier, "Envoy outlier", kind);
