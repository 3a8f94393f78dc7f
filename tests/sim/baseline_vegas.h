/* SPDX-License-Identifier: MIT */
/* Netflix concurrency-limits: VegasLimit with its defaults, fed by WindowedLimit (windows of a second, at least ten samples). */
#ifndef SIM_BASELINE_VEGAS_H
#define SIM_BASELINE_VEGAS_H

#include <stdbool.h>
#include <stdint.h>

#include "random.h"

struct vegas {
	double limit, no_load_ns, probes, jitter;
	struct sim_random random;
	/* the window */
	uint64_t next_ns;
	double sum_ns, candidate_ns;
	unsigned count, most_in_flight;
	bool dropped;
};

void vegas_start(struct vegas *v, uint64_t seed);
/* VegasLimit._update: one sample. */
void vegas_update(struct vegas *v, double rtt_ns, unsigned in_flight, bool dropped);

#endif
