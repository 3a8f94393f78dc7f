/* SPDX-License-Identifier: MIT */
/* Netflix concurrency-limits: Gradient2Limit with its defaults. */
#ifndef SIM_BASELINE_GRADIENT2_H
#define SIM_BASELINE_GRADIENT2_H

#include <stdint.h>

struct gradient2 {
	double limit, long_rtt_ns, sum_ns;
	unsigned count;
};

void gradient2_start(struct gradient2 *g);
void gradient2_update(struct gradient2 *g, double rtt_ns, unsigned in_flight);

#endif
