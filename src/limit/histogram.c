/* SPDX-License-Identifier: MIT */
#include "weir/histogram.h"

#define GROUP   (1U << WEIR_HISTOGRAM_STEP_BITS) /* steps in one power of two */
#define LAST_US ((UINT64_C(1) << WEIR_HISTOGRAM_TOP_BITS) - 1)

/* To the nearest microsecond, not down: at small durations that halves the error. */
static uint64_t rounded_us(uint64_t ns)
{
	return ns / 1000 + (ns % 1000 >= 500 ? 1 : 0);
}

/* The step of a duration. Group 0 holds 0..31 us one by one; group g > 0 holds [2^(g+4), 2^(g+5)) us in steps of 2^(g-1) us. */
size_t weir_histogram_step(uint64_t ns)
{
	uint64_t us = rounded_us(ns);
	unsigned top;
	unsigned shift;

	if (us > LAST_US)
		us = LAST_US;
	if (us < GROUP)
		return (size_t)us;
	top = 63U - (unsigned)__builtin_clzll(us);
	shift = top - WEIR_HISTOGRAM_STEP_BITS;
	return ((size_t)(shift + 1) << WEIR_HISTOGRAM_STEP_BITS) + (size_t)((us >> shift) & (GROUP - 1));
}

/* The middle of a step. It holds the durations from (first - 1/2) us to (first + width - 1/2) us, because of the rounding. */
static uint64_t middle_ns(size_t step)
{
	size_t group = step >> WEIR_HISTOGRAM_STEP_BITS;
	uint64_t offset = step & (GROUP - 1);
	uint64_t width;
	uint64_t first;

	if (group == 0)
		return offset * 1000;
	width = UINT64_C(1) << (group - 1);
	first = (GROUP + offset) * width;
	return first * 1000 + width * 500 - 500;
}

size_t weir_histogram_middle_of(size_t octave)
{
	return (octave << WEIR_HISTOGRAM_STEP_BITS) + GROUP / 2;
}

void weir_histogram_sum(struct weir_histogram_copy *h)
{
	uint64_t sum_half_us = 0; /* middles lie on whole or half microseconds; 2^42 counts of 2^32 half us: it may wrap */

	h->count = 0;
	for (size_t i = 0; i < WEIR_HISTOGRAM_STEPS; i++) {
		h->count += h->step[i];
		sum_half_us += h->step[i] * (middle_ns(i) / 500);
	}
	h->sum_us = sum_half_us / 2;
}

uint64_t weir_histogram_quantile_ns(const struct weir_histogram_copy *h, uint32_t permille)
{
	uint64_t share = permille > 1000 ? 1000 : permille;
	uint64_t total = 0;
	uint64_t rank;
	uint64_t below = 0;
	size_t last = 0;

	/* 864 steps of 32 bits: total * 1000 stays below 2^52. */
	for (size_t i = 0; i < WEIR_HISTOGRAM_STEPS; i++)
		total += h->step[i];
	if (total == 0)
		return 0;
	rank = (total * share + 999) / 1000;
	if (rank == 0)
		rank = 1;
	for (size_t i = 0; i < WEIR_HISTOGRAM_STEPS; i++) {
		if (h->step[i] == 0)
			continue;
		below += h->step[i];
		last = i;
		if (below >= rank)
			break;
	}
	return middle_ns(last);
}

uint64_t weir_histogram_step_ns(size_t step)
{
	return middle_ns(step < WEIR_HISTOGRAM_STEPS ? step : WEIR_HISTOGRAM_STEPS - 1);
}

uint64_t weir_histogram_at_most(const struct weir_histogram_copy *h, uint64_t ns)
{
	size_t end = weir_histogram_step(ns);
	uint64_t count = 0;

	for (size_t i = 0; i <= end; i++)
		count += h->step[i];
	return count;
}
