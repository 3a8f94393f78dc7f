/* SPDX-License-Identifier: MIT */
/* The word of a lease: pid:32 | tag:20 | held:8 | state:4. The tag moves whenever the lease changes hands, so that who lost it
 * notices. In the states CLAIMED and REAPING, `held` is the second in which the state was entered, modulo 256. */
#ifndef WEIR_SEGMENT_LEASE_WORD_H
#define WEIR_SEGMENT_LEASE_WORD_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/segment.h"

#define LEASE_TAG_MASK    UINT32_C(0xfffff)
#define LEASE_HELD_MASK   0xffU
#define LEASE_OWNER_MASK  (~UINT64_C(0xfff)) /* pid and tag */
#define LEASE_ABANDONED_S 2U

static inline uint64_t lease_word(uint32_t pid, uint32_t tag, unsigned held, enum weir_lease_state state)
{
	return (uint64_t)pid << 32 | (uint64_t)(tag & LEASE_TAG_MASK) << 12 | (uint64_t)(held & LEASE_HELD_MASK) << 4 |
	       ((uint64_t)state & 0xf);
}

static inline uint32_t lease_word_pid(uint64_t w)
{
	return (uint32_t)(w >> 32);
}

static inline uint32_t lease_word_tag(uint64_t w)
{
	return (uint32_t)(w >> 12) & LEASE_TAG_MASK;
}

static inline unsigned lease_word_held(uint64_t w)
{
	return (unsigned)(w >> 4) & LEASE_HELD_MASK;
}

/* May be a value outside the enumeration in a damaged segment. */
static inline unsigned lease_word_state(uint64_t w)
{
	return (unsigned)(w & 0xf);
}

static inline unsigned lease_second(uint64_t now_ns)
{
	return (unsigned)(now_ns / UINT64_C(1000000000)) & LEASE_HELD_MASK;
}

/* For CLAIMED and REAPING: entered more than a second ago. Four minutes later it looks young again for two seconds. */
static inline bool lease_word_abandoned(uint64_t w, uint64_t now_ns)
{
	unsigned age = (lease_second(now_ns) - lease_word_held(w)) & LEASE_HELD_MASK;

	return age >= LEASE_ABANDONED_S && age < LEASE_HELD_MASK; /* 255: a clock read a moment earlier than the claimer's */
}

#endif
