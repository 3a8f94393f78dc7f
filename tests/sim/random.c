/* SPDX-License-Identifier: MIT */
#include "random.h"

#include <math.h>

uint64_t sim_random_u64(struct sim_random *r)
{
	uint64_t z = (r->state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

double sim_random_unit(struct sim_random *r)
{
	return (double)(sim_random_u64(r) >> 11) * 0x1p-53;
}

double sim_random_between(struct sim_random *r, double low, double high)
{
	return low + (high - low) * sim_random_unit(r);
}

double sim_random_exponential(struct sim_random *r, double mean)
{
	return -mean * log(1 - sim_random_unit(r));
}
