/* SPDX-License-Identifier: MIT */
#include "baseline_gradient2.h"

#include <math.h>
#include <stdlib.h>

#include "concurrency.h"

#define INITIAL     20
#define MIN_LIMIT   20
#define MAX_LIMIT   200
#define QUEUE       4
#define SMOOTHING   .2
#define TOLERANCE   1.5
#define LONG_WINDOW 600
#define WARMUP      10

void gradient2_start(struct gradient2 *g)
{
	*g = (struct gradient2){.limit = INITIAL};
}

void gradient2_update(struct gradient2 *g, double rtt_ns, unsigned in_flight)
{
	double gradient, next;

	/* ExpAvgMeasurement: the mean of the first samples, then exponential. */
	if (g->count < WARMUP) {
		g->count++;
		g->sum_ns += rtt_ns;
		g->long_rtt_ns = g->sum_ns / g->count;
	} else {
		double factor = 2. / (LONG_WINDOW + 1);

		g->long_rtt_ns = g->long_rtt_ns * (1 - factor) + rtt_ns * factor;
	}
	if (g->long_rtt_ns / rtt_ns > 2)
		g->long_rtt_ns *= .95;
	if (in_flight < g->limit / 2)
		return;
	gradient = fmax(.5, fmin(1, TOLERANCE * g->long_rtt_ns / rtt_ns));
	next = g->limit * gradient + QUEUE;
	next = g->limit * (1 - SMOOTHING) + next * SMOOTHING;
	g->limit = fmax(MIN_LIMIT, fmin(MAX_LIMIT, next));
}

static void sample(void *limiter, uint64_t now_ns, uint64_t rtt_ns, unsigned in_flight, bool dropped)
{
	(void)now_ns;
	(void)dropped; /* Gradient2 looks at latency alone */
	gradient2_update(limiter, (double)rtt_ns, in_flight);
}

static unsigned limit(void *limiter)
{
	return (unsigned)((struct gradient2 *)limiter)->limit;
}

static void *start(const struct sim_setting *setting)
{
	struct gradient2 *g = malloc(sizeof(*g));

	(void)setting;
	gradient2_start(g);
	return sim_permits_start(g, limit, sample);
}

const struct sim_controller sim_gradient2 = {.name = "Gradient2",
					     .family = SIM_CONCURRENCY_BASELINES,
					     .start = start,
					     .stop = sim_permits_stop,
					     .ask = sim_permits_ask,
					     .result = sim_permits_result,
					     .freed = sim_permits_freed,
					     .trace = sim_permits_trace};
