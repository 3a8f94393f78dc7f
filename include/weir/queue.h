/* SPDX-License-Identifier: MIT */
/*
 * Those who wait at an entry, by class: what a rule says of them, and what the entry and the leases keep (ABI).
 *
 * How many wait is one word with 17 bits for each class, added to by who begins to wait and taken from by who ends it, whichever
 * way. A lease says whether it is counted, so that a reaper takes the dead out.
 *
 * What if the process dies here: between the count and the lease's mark, the count is one too high, until the agent, or who finds
 * the queue full, compares it with the leases. It is never too low.
 */
#ifndef WEIR_QUEUE_H
#define WEIR_QUEUE_H

#include "weir/order.h"

/* Part of a compiled rule. */
struct weir_queue_params {
	uint32_t max;      /* so many wait at the most, 0 = no bound */
	uint32_t priority; /* of requests that say nothing of it: enum weir_class + 1, 0 = nothing said */
	struct weir_shares shares;
	uint64_t pad[6];
};
_Static_assert(sizeof(struct weir_queue_params) == 64, "ABI");

/* Part of a lease. */
struct weir_lease_queue {
	_Atomic uint32_t class;   /* enum weir_class */
	_Atomic uint32_t counted; /* 1: it is in the depth of its host's entry */
	uint32_t pad[2];
};
_Static_assert(sizeof(struct weir_lease_queue) == 16, "ABI");

/* Part of an entry. */
struct weir_entry_queue {
	struct weir_order permits;      /* who waits for a permit */
	_Atomic uint64_t given;         /* permits that were given out while anybody waited */
	_Atomic uint64_t free_since_ns; /* since when a permit has been left to somebody who has not come; 0: none is */
	_Atomic uint64_t depth;         /* how many wait: number of the change:13, low:17, normal:17, high:17 */
	_Atomic uint64_t delayed[WEIR_CLASSES];
	_Atomic uint64_t refused[WEIR_CLASSES];
	uint64_t pad[1];
};
_Static_assert(sizeof(struct weir_entry_queue) == 128, "ABI");

#define WEIR_DEPTH_BITS   17U /* there are 65,536 leases at the most */
#define WEIR_DEPTH_MASK   ((UINT64_C(1) << WEIR_DEPTH_BITS) - 1)
#define WEIR_DEPTH_CHANGE (UINT64_C(1) << (WEIR_DEPTH_BITS * WEIR_CLASSES))

/* How many of the class wait, of a depth. */
static inline uint32_t weir_depth_of(uint64_t depth, unsigned class)
{
	return (uint32_t)(depth >> (WEIR_DEPTH_BITS * class) & WEIR_DEPTH_MASK);
}

static inline uint32_t weir_depth_all(uint64_t depth)
{
	return weir_depth_of(depth, WEIR_CLASS_HIGH) + weir_depth_of(depth, WEIR_CLASS_NORMAL) +
	       weir_depth_of(depth, WEIR_CLASS_LOW);
}

/* One more of the class. */
static inline void weir_depth_enter(struct weir_entry_queue *q, unsigned class)
{
	atomic_fetch_add_explicit(&q->depth, WEIR_DEPTH_CHANGE + (UINT64_C(1) << (WEIR_DEPTH_BITS * (class % WEIR_CLASSES))),
				  memory_order_relaxed);
}

/* The depth with one less of the class, of which there is one. */
static inline uint64_t weir_depth_less(uint64_t depth, unsigned class)
{
	return depth + WEIR_DEPTH_CHANGE - (UINT64_C(1) << (WEIR_DEPTH_BITS * class));
}

/* One less. A count of 0 stays 0. */
static inline void weir_depth_leave(struct weir_entry_queue *q, unsigned class)
{
	uint64_t seen = atomic_load_explicit(&q->depth, memory_order_relaxed);

	class %= WEIR_CLASSES;
	for (int i = 0; i < 1000 && weir_depth_of(seen, class) != 0; i++)
		if (atomic_compare_exchange_weak_explicit(&q->depth, &seen, weir_depth_less(seen, class), memory_order_relaxed,
							  memory_order_relaxed))
			break;
}

/* "high", "normal", "low". */
const char *weir_class_name(unsigned class);
/* Whether the text is one of them; then *class. */
bool weir_class_parse(const char *text, unsigned *class);

#endif
