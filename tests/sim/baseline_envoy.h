/* SPDX-License-Identifier: MIT */
/* Envoy's adaptive concurrency filter: the gradient controller with its documented example values (interval 60 s, 50 requests,
 * jitter 15 %, buffer 25 %, update every 100 ms, 50th percentile, at least 3 in flight). */
#ifndef SIM_BASELINE_ENVOY_H
#define SIM_BASELINE_ENVOY_H

#include <stdbool.h>
#include <stdint.h>

#include "random.h"

#define ENVOY_SAMPLES 4096

struct envoy {
	double limit, before, min_rtt_ns;
	bool measuring;
	uint64_t measure_ns, update_ns;
	double sample[ENVOY_SAMPLES];
	unsigned samples, at_minimum;
	struct sim_random random;
};

void envoy_start(struct envoy *e, uint64_t seed);
/* GradientController::calculateNewLimit */
double envoy_new_limit(double limit, double min_rtt_ns, double sample_ns);
void envoy_sample(struct envoy *e, uint64_t now_ns, double rtt_ns);

#endif
