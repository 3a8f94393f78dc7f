/* SPDX-License-Identifier: MIT */
#ifndef WEIR_STATS_PROCESS_NAME_H
#define WEIR_STATS_PROCESS_NAME_H

#include <stdbool.h>
#include <stdint.h>

#define WEIR_PROCESS_NAME_MAX 64

/* The name of a process of this pid namespace, and whether it is stopped (Ctrl-Z, SIGSTOP). False when there is no such process,
 * or no /proc. Never its arguments: these may hold what is not to be shown. */
bool weir_process_name(uint32_t pid, char name[WEIR_PROCESS_NAME_MAX], bool *stopped);

#endif
