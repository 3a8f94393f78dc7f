/* SPDX-License-Identifier: MIT */
#include "weir/gate.h"

#include <time.h>

uint64_t weir_now_ns(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}
