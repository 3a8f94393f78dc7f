/* SPDX-License-Identifier: MIT */
/* Waking those who sleep on a word of the segment. */
#ifndef WEIR_SEGMENT_FUTEX_H
#define WEIR_SEGMENT_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "weir/kernel.h"

/* Not FUTEX_PRIVATE_FLAG: the sleepers are other processes. */
static inline void futex_wake_all(_Atomic uint32_t *word)
{
	weir_syscall(SYS_futex, (uint32_t *)(void *)word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Those alone who sleep with one of these bits. */
static inline void futex_wake_bits(_Atomic uint32_t *word, uint32_t bits)
{
	weir_syscall(SYS_futex, (uint32_t *)(void *)word, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, bits);
}

#endif
