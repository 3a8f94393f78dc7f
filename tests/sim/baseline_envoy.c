/* SPDX-License-Identifier: MIT */
#include "baseline_envoy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "concurrency.h"

#define MIN_LIMIT     3
#define MAX_LIMIT     1000
#define BUFFER        .25
#define INTERVAL_NS   60000000000U
#define JITTER        .15
#define MEASURE_COUNT 50
#define UPDATE_NS     100000000U
#define AT_MINIMUM    5 /* updates in a row at the minimum bring the next measurement forward */

static void measure(struct envoy *e)
{
	e->measuring = true;
	e->before = e->limit;
	e->limit = MIN_LIMIT;
	e->samples = 0;
}

void envoy_start(struct envoy *e, uint64_t seed)
{
	memset(e, 0, sizeof(*e));
	e->limit = MIN_LIMIT;
	e->random.state = seed;
	measure(e);
}

double envoy_new_limit(double limit, double min_rtt_ns, double sample_ns)
{
	double gradient = fmax(.5, fmin(2, (min_rtt_ns + min_rtt_ns * BUFFER) / sample_ns));
	double next = limit * gradient;

	return fmax(MIN_LIMIT, fmin(MAX_LIMIT, floor(next + sqrt(next))));
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(struct envoy *e)
{
	qsort(e->sample, e->samples, sizeof(double), by_size);
	return e->sample[e->samples / 2];
}

void envoy_sample(struct envoy *e, uint64_t now_ns, double rtt_ns)
{
	if (e->samples < ENVOY_SAMPLES)
		e->sample[e->samples++] = rtt_ns;
	if (e->measuring) {
		if (e->samples < MEASURE_COUNT)
			return;
		e->min_rtt_ns = median(e);
		e->measuring = false;
		e->limit = e->before;
		e->samples = e->at_minimum = 0;
		e->update_ns = now_ns + UPDATE_NS;
		e->measure_ns = now_ns + INTERVAL_NS + (uint64_t)(sim_random_unit(&e->random) * JITTER * INTERVAL_NS);
		return;
	}
	if (now_ns >= e->measure_ns || e->at_minimum >= AT_MINIMUM) {
		measure(e);
		return;
	}
	if (now_ns < e->update_ns)
		return;
	e->limit = envoy_new_limit(e->limit, e->min_rtt_ns, median(e));
	e->at_minimum = e->limit <= MIN_LIMIT ? e->at_minimum + 1 : 0;
	e->samples = 0;
	e->update_ns = now_ns + UPDATE_NS;
}

static void sample(void *limiter, uint64_t now_ns, uint64_t rtt_ns, unsigned in_flight, bool dropped)
{
	(void)in_flight;
	if (!dropped)
		envoy_sample(limiter, now_ns, (double)rtt_ns);
}

static unsigned limit(void *limiter)
{
	return (unsigned)((struct envoy *)limiter)->limit;
}

static void *start(const struct sim_setting *setting)
{
	struct envoy *e = malloc(sizeof(*e));

	envoy_start(e, setting->seed);
	return sim_permits_start(e, limit, sample);
}

const struct sim_controller sim_envoy = {.name = "Envoy",
					 .family = SIM_CONCURRENCY_BASELINES,
					 .start = start,
					 .stop = sim_permits_stop,
					 .ask = sim_permits_ask,
					 .result = sim_permits_result,
					 .freed = sim_permits_freed,
					 .trace = sim_permits_trace};
