/* SPDX-License-Identifier: MIT */
/* Seeded random numbers, the same on every machine: splitmix64 (Steele, Lea, Flood 2014). */
#ifndef SIM_RANDOM_H
#define SIM_RANDOM_H

#include <stdint.h>

struct sim_random {
	uint64_t state;
};

uint64_t sim_random_u64(struct sim_random *r);
/* Uniform in [0, 1). */
double sim_random_unit(struct sim_random *r);
/* Uniform in [low, high). */
double sim_random_between(struct sim_random *r, double low, double high);
/* Exponential with this mean. */
double sim_random_exponential(struct sim_random *r, double mean);

#endif
