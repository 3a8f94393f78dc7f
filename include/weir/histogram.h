/* SPDX-License-Identifier: MIT */
/*
 * A log-linear histogram of durations: 32 linear steps in each power of two, in microseconds.
 * The middle of a step is at most 1/64 = 1.6 % away from any duration in it; below 32 us the error is the half microsecond of the
 * resolution, which is 3 % at 17 us. From 1 us to 2^31 us (35 min); longer counts in the last step.
 *
 * In shared memory a histogram takes only what it uses: blocks of sixteen steps, given out when something falls into them
 * (segment.h, weir_durations_add). What finds no block is counted by powers of two alone. Counting is one relaxed add; the sum is
 * made up from the middles of the steps when it is asked for. Zeroed memory is an empty histogram.
 */
#ifndef WEIR_HISTOGRAM_H
#define WEIR_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_HISTOGRAM_STEP_BITS   5
#define WEIR_HISTOGRAM_TOP_BITS    31
#define WEIR_HISTOGRAM_OCTAVES     (WEIR_HISTOGRAM_TOP_BITS - WEIR_HISTOGRAM_STEP_BITS + 1) /* 27 */
#define WEIR_HISTOGRAM_STEPS       (WEIR_HISTOGRAM_OCTAVES << WEIR_HISTOGRAM_STEP_BITS)     /* 864 */
#define WEIR_HISTOGRAM_BLOCK_STEPS 16
#define WEIR_HISTOGRAM_BLOCKS      (WEIR_HISTOGRAM_STEPS / WEIR_HISTOGRAM_BLOCK_STEPS) /* 54 */

/* Sixteen steps next to each other. */
struct weir_histogram_block {
	_Atomic uint32_t step[WEIR_HISTOGRAM_BLOCK_STEPS];
};
_Static_assert(sizeof(struct weir_histogram_block) == 64, "one cache line");

/* What found no block, by powers of two. */
struct weir_histogram_rest {
	_Atomic uint32_t octave[WEIR_HISTOGRAM_OCTAVES];
	uint32_t pad;
};
_Static_assert(sizeof(struct weir_histogram_rest) == 112, "ABI");

/* A copy to compute with, in the reader's own memory. */
struct weir_histogram_copy {
	uint64_t count;
	uint64_t sum_us; /* of the steps' middles: within 1.6 %, below 32 us within half a microsecond each */
	uint32_t step[WEIR_HISTOGRAM_STEPS];
};

/* The step that a duration counts in. */
size_t weir_histogram_step(uint64_t ns);

/* The step that stands for all of an octave of a weir_histogram_rest. */
size_t weir_histogram_middle_of(size_t octave);

/* Makes up count and sum from the steps. */
void weir_histogram_sum(struct weir_histogram_copy *h);

/* The duration (ns) below which a share of q/1000 of the counts lies: the middle of the step. 0 when empty. */
uint64_t weir_histogram_quantile_ns(const struct weir_histogram_copy *h, uint32_t permille);

/* What a step stands for: its middle (ns). */
uint64_t weir_histogram_step_ns(size_t step);

/* How many counted durations are <= ns, to the step (for Prometheus buckets). */
uint64_t weir_histogram_at_most(const struct weir_histogram_copy *h, uint64_t ns);

#endif
