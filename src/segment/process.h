/* SPDX-License-Identifier: MIT */
/* Which processes live: what the reaper and the sweep ask the kernel. */
#ifndef WEIR_SEGMENT_PROCESS_H
#define WEIR_SEGMENT_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

struct weir_process {
	uint32_t pid;
	char state; /* R, S, D, Z, X ... */
	uint64_t threads;
	uint64_t start; /* clock ticks since boot */
};

/* Reads /proc/PID/stat (pid 0: of the calling process). False when it cannot be read or makes no sense. */
bool weir_process_read(struct weir_process *p, uint32_t pid);

/* Whether no process `pid` exists in our pid namespace. A process that we may not signal exists. */
bool weir_process_gone(uint32_t pid);

/* Whether process `pid` has no thread `tid`. */
bool weir_thread_gone(uint32_t pid, uint32_t tid);

#endif
