/* SPDX-License-Identifier: MIT */
/*
 * Seccomp filters, read before the kernel gets them: which system calls would end the program.
 *
 * A program that locks itself in lists what it itself calls. What weir would call besides must fail as if the kernel lacked it
 * (weir/kernel.h), not be tried: for a filter that kills there is no trying.
 */
#ifndef WEIR_SANDBOX_H
#define WEIR_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sock_filter;
struct seccomp_data;

/* What the filter answers to a call: SECCOMP_RET_..., with its data. What is malformed, and what the kernel would refuse, answers
 * as SECCOMP_RET_KILL_PROCESS. Bounded by the filter's length, as filters only jump forward. */
uint32_t weir_filter_run(const struct sock_filter *filter, size_t count, const struct seccomp_data *call);

/* Marks in weir_kernel_forbidden what the filter would not let pass or refuse with an errno. `count` within BPF_MAXINSNS. Some
 * 100 microseconds. */
void weir_filter_heed(const struct sock_filter *filter, size_t count);

/* Marks all system calls: nothing is known of the filter. */
void weir_filter_fear(void);

/* Whether the next program of this process, which inherits its filters and knows nothing of them, may have the library: nothing
 * that it calls there for itself, the agent's start included, is forbidden. */
bool weir_filter_lets_start(void);

#endif
