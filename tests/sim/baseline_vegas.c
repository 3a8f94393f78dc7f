/* SPDX-License-Identifier: MIT */
#include "baseline_vegas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "concurrency.h"

#define INITIAL          20
#define MAX_LIMIT        1000
#define PROBE_MULTIPLIER 30
#define WINDOW_NS        1000000000U
#define WINDOW_SAMPLES   10

/* Log10RootFunction: a whole number, at least 1. */
static double log_of(double limit)
{
	return fmax(1, floor(log10(floor(limit))));
}

void vegas_start(struct vegas *v, uint64_t seed)
{
	memset(v, 0, sizeof(*v));
	v->limit = INITIAL;
	v->random.state = seed;
	v->jitter = sim_random_between(&v->random, .5, 1);
}

void vegas_update(struct vegas *v, double rtt_ns, unsigned in_flight, bool dropped)
{
	double queue, next, alpha = 3 * log_of(v->limit), beta = 6 * log_of(v->limit);

	if (++v->probes >= v->jitter * PROBE_MULTIPLIER * v->limit) {
		v->jitter = sim_random_between(&v->random, .5, 1);
		v->probes = 0;
		v->no_load_ns = rtt_ns;
		return;
	}
	if (v->no_load_ns <= 0 || rtt_ns < v->no_load_ns) {
		v->no_load_ns = rtt_ns;
		return;
	}
	queue = ceil(v->limit * (1 - v->no_load_ns / rtt_ns));
	if (dropped)
		next = v->limit - log_of(v->limit);
	else if (in_flight * 2 < v->limit)
		return;
	else if (queue <= log_of(v->limit))
		next = v->limit + beta;
	else if (queue < alpha)
		next = v->limit + log_of(v->limit);
	else if (queue > beta)
		next = v->limit - log_of(v->limit);
	else
		return;
	v->limit = fmax(1, fmin(MAX_LIMIT, next));
}

static void sample(void *limiter, uint64_t now_ns, uint64_t rtt_ns, unsigned in_flight, bool dropped)
{
	struct vegas *v = limiter;

	v->sum_ns += (double)rtt_ns;
	v->candidate_ns = v->count == 0 || (double)rtt_ns < v->candidate_ns ? (double)rtt_ns : v->candidate_ns;
	v->count++;
	v->most_in_flight = in_flight > v->most_in_flight ? in_flight : v->most_in_flight;
	v->dropped |= dropped;
	if (now_ns < v->next_ns || v->count < WINDOW_SAMPLES)
		return;
	vegas_update(v, v->sum_ns / v->count, v->most_in_flight, v->dropped);
	v->next_ns = now_ns + WINDOW_NS;
	v->sum_ns = 0;
	v->count = v->most_in_flight = 0;
	v->dropped = false;
}

static unsigned limit(void *limiter)
{
	return (unsigned)((struct vegas *)limiter)->limit;
}

static void *start(const struct sim_setting *setting)
{
	struct vegas *v = malloc(sizeof(*v));

	vegas_start(v, setting->seed);
	return sim_permits_start(v, limit, sample);
}

const struct sim_controller sim_vegas = {.name = "Vegas, windowed",
					 .family = SIM_CONCURRENCY_BASELINES,
					 .start = start,
					 .stop = sim_permits_stop,
					 .ask = sim_permits_ask,
					 .result = sim_permits_result,
					 .freed = sim_permits_freed,
					 .trace = sim_permits_trace};
