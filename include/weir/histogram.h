/* SPDX-License-Identifier: MIT */
/*
 * A log-linear histogram of durations: 32 linear steps in each power of two, in microseconds.
 * The middle of a step is at most 1/64 = 1.6 % away from any duration in it; below 32 us the error is the half microsecond of the
 * resolution, which is 3 % at 17 us. From 1 us to 2^31 us (35 min); longer counts in the last step. Counting is one relaxed add;
 * the sum is made up from the middles of the steps when it is asked for. Zeroed memory is an empty histogram.
 */
#ifndef WEIR_HISTOGRAM_H
#define WEIR_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define WEIR_HISTOGRAM_STEP_BITS 5
#define WEIR_HISTOGRAM_TOP_BITS  31
#define WEIR_HISTOGRAM_STEPS     ((WEIR_HISTOGRAM_TOP_BITS - WEIR_HISTOGRAM_STEP_BITS + 1) << WEIR_HISTOGRAM_STEP_BITS) /* 864 */

struct weir_histogram {
	uint64_t reserved;
	_Atomic uint32_t step[WEIR_HISTOGRAM_STEPS];
	uint32_t pad[14];
};
_Static_assert(sizeof(struct weir_histogram) == 3520, "ABI: 55 cache lines");

/* A copy to compute with, in the reader's own memory. */
struct weir_histogram_copy {
	uint64_t count;
	uint64_t sum_us; /* of the steps' middles: within 1.6 %, below 32 us within half a microsecond each */
	uint32_t step[WEIR_HISTOGRAM_STEPS];
};

/* Counts one duration. Lock-free. */
void weir_histogram_add(struct weir_histogram *h, uint64_t ns);

void weir_histogram_copy(const struct weir_histogram *h, struct weir_histogram_copy *out);

/* The duration (ns) below which a share of q/1000 of the counts lies: the middle of the step. 0 when empty. */
uint64_t weir_histogram_quantile_ns(const struct weir_histogram_copy *h, uint32_t permille);

/* Much the same without a copy, for where 3.5 KB are too much: the longest duration (ns) that at least (1000 - permille)/1000 of
 * the counts reach. 0 when empty. */
uint64_t weir_histogram_bound_ns(const struct weir_histogram *h, uint32_t permille);

/* How many counted durations are <= ns, to the step (for Prometheus buckets). */
uint64_t weir_histogram_at_most(const struct weir_histogram_copy *h, uint64_t ns);

#endif
