/* SPDX-License-Identifier: MIT */
/* The index word of an entry: state:2 | since_s:30 | hash:32. */
#ifndef WEIR_SEGMENT_SLOT_WORD_H
#define WEIR_SEGMENT_SLOT_WORD_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/segment.h"

#define SLOT_SECONDS_MASK ((UINT32_C(1) << 30) - 1)
/* Older than a second for certain, with the truncation to whole seconds. */
#define SLOT_ABANDONED_S 2U

static inline uint64_t slot_word(enum weir_slot_state state, uint64_t now_ns, uint32_t hash)
{
	return (uint64_t)state << 62 | (now_ns / UINT64_C(1000000000) & SLOT_SECONDS_MASK) << 32 | hash;
}

static inline enum weir_slot_state slot_word_state(uint64_t w)
{
	return (enum weir_slot_state)(w >> 62);
}

static inline uint32_t slot_word_hash(uint64_t w)
{
	return (uint32_t)w;
}

/* Whether the state was entered so long ago that the one who did it must have died (or been stopped). A time that lies ahead is a
 * reader's clock read a moment earlier, or damage. */
static inline bool slot_word_abandoned(uint64_t w, uint64_t now_ns)
{
	uint32_t age = ((uint32_t)(now_ns / UINT64_C(1000000000)) - (uint32_t)(w >> 32)) & SLOT_SECONDS_MASK;

	return age >= SLOT_ABANDONED_S && age < SLOT_SECONDS_MASK - SLOT_ABANDONED_S;
}

#endif
