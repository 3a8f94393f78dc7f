/* SPDX-License-Identifier: MIT */
/*
 * Permits: how many requests of one entry may be in flight.
 *
 * The count is one word, changes:32 | count:32; a permit is taken and returned by one CAS. The truth about who holds permits is
 * in the leases (segment.h); the count is a cache of it that is re-derived whenever a holder died: the auditor counts the leases
 * and replaces the count only if `changes` has not moved meanwhile, so that no update is lost.
 *
 * The limit is fixed (mode WEIR_CONCURRENCY_FIXED) or learned from latency (WEIR_CONCURRENCY_ADAPTIVE, state in a published
 * block).
 */
#ifndef WEIR_CONCURRENCY_H
#define WEIR_CONCURRENCY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "weir/published.h"

enum weir_concurrency_mode { WEIR_CONCURRENCY_OFF = 0, WEIR_CONCURRENCY_FIXED = 1, WEIR_CONCURRENCY_ADAPTIVE = 2 };

/* Part of a compiled rule (ABI). */
struct weir_concurrency_params {
	uint32_t mode;
	uint32_t max;     /* fixed: the limit; adaptive: never above; 0 = no bound */
	uint32_t min;     /* adaptive: never below; 0 reads as 1 */
	uint32_t initial; /* adaptive: where learning starts; 0 = no limit until latency gives a reason */
};
_Static_assert(sizeof(struct weir_concurrency_params) == 16, "ABI");

#define WEIR_CONCURRENCY_WORDS 24

struct weir_concurrency {
	_Atomic uint64_t permits;    /* changes:32 | count:32 */
	_Atomic uint64_t due_ns;     /* adaptive: the next update */
	_Atomic uint64_t generation; /* of the published state */
	_Atomic uint64_t state[2 * WEIR_PUBLISHED_HALF(WEIR_CONCURRENCY_WORDS)];
	_Atomic uint64_t sample[11]; /* accumulators of the adaptive controller, its own affair */
};
_Static_assert(sizeof(struct weir_concurrency) == 512, "ABI: 8 cache lines");

/* The limit in force; UINT32_MAX = none. */
uint32_t weir_concurrency_limit(const struct weir_concurrency *c, const struct weir_concurrency_params *p);

/* Takes a permit unless `limit` are out. Lock-free. */
bool weir_concurrency_take(struct weir_concurrency *c, uint32_t limit);

/* Returns a permit. A count of 0 stays 0. Lock-free. */
void weir_concurrency_give(struct weir_concurrency *c);

/* Permits out now. */
uint32_t weir_concurrency_count(const struct weir_concurrency *c);

/* For the auditor: read the raw word, count the leases, then replace the count if the word has not changed. Returns whether it
 * did. */
uint64_t weir_concurrency_word(const struct weir_concurrency *c);
bool weir_concurrency_correct(struct weir_concurrency *c, uint64_t seen, uint32_t count);

/* One finished request, for the adaptive mode. outcome_ok = an answer whose latency means something; lost = it timed out or
 * failed. Lock-free. Returns whether weir_concurrency_update should be called now. */
bool weir_concurrency_note(struct weir_concurrency *c, const struct weir_concurrency_params *p, uint64_t latency_ns,
			   uint32_t in_flight, bool ok, bool lost, uint64_t now_ns);

struct weir_concurrency_change {
	bool changed;
	uint32_t from; /* UINT32_MAX = none */
	uint32_t to;
};

/* Runs the adaptive controller. For the holder of the entry's trylock. */
struct weir_concurrency_change weir_concurrency_update(struct weir_concurrency *c, const struct weir_concurrency_params *p,
						       uint64_t now_ns);

/* The host refuses what is more than this at a time (weir/refusal.h): the limit of the adaptive mode is no higher. 0: none such
 * is known. For the holder of the entry's trylock. */
void weir_concurrency_allow(struct weir_concurrency *c, uint32_t permits);

/* Forgets what was learned; permits stay. For the holder of the entry's trylock. */
void weir_concurrency_reset(struct weir_concurrency *c);

#endif
