/* SPDX-License-Identifier: MIT */
#ifndef WEIR_ONE_PROCESSOR_H
#define WEIR_ONE_PROCESSOR_H

#include <sched.h>
#include <stddef.h>

/* Before anything is started: all inherit it. */
static inline void share_one_processor(void)
{
	int here = sched_getcpu();
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(here < 0 ? 0 : (size_t)here, &one);
	sched_setaffinity(0, sizeof one, &one);
}

#endif
