/* SPDX-License-Identifier: MIT */
/* Medians for the benchmarks. */
#ifndef WEIR_BENCH_SAMPLES_H
#define WEIR_BENCH_SAMPLES_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Sorts the samples. */
static inline uint64_t median(uint64_t *sample, size_t n)
{
	qsort(sample, n, sizeof *sample, by_size);
	return n == 0 ? 0 : sample[n / 2];
}

#endif
