/* SPDX-License-Identifier: MIT */
/* A segment for tests, in anonymous memory that forked children share. */
#ifndef WEIR_TEST_SEGMENT_MEMORY_H
#define WEIR_TEST_SEGMENT_MEMORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "weir/segment.h"

#define SECOND UINT64_C(1000000000)

static inline void segment_make(struct weir_segment *s, uint32_t entries, uint32_t leases, uint32_t events, uint32_t rules)
{
	struct weir_geometry g = {entries, leases, events, rules};
	size_t bytes = weir_segment_bytes(&g);
	void *memory;

	assert_int_not_equal(bytes, 0);
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_true(weir_segment_format(s, memory, bytes, &g, NULL, 0));
}

/* Ends a forked child. What it covered counts too, where coverage is measured. */
void __gcov_dump(void) __attribute__((weak));

static inline _Noreturn void leave(int status)
{
	if (__gcov_dump != NULL)
		__gcov_dump();
	_exit(status);
}

static inline uint64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static inline uint64_t random_next(uint64_t *state) /* splitmix64 */
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

#endif
