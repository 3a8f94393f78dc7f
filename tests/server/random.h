/* A seeded generator, so that a run can be repeated (SplitMix64: Steele, Lea, Flood, 2014). */
#ifndef QUOTAD_RANDOM_H
#define QUOTAD_RANDOM_H

#include <math.h>
#include <stdint.h>

struct random {
	uint64_t state;
};

/* Uniform in (0, 1]: never 0, so that its logarithm is finite. */
static inline double random_uniform(struct random *r)
{
	uint64_t z = (r->state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	z ^= z >> 31;
	return (double)((z >> 11) + 1) * 0x1p-53;
}

static inline double random_exponential(struct random *r, double mean)
{
	return -log(random_uniform(r)) * mean;
}

#endif
