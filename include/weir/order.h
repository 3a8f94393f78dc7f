/* SPDX-License-Identifier: MIT */
/*
 * Who goes first of those who wait for the same thing, in three classes.
 *
 * There is no queue: each class numbers those who come to wait (`taken`) and remembers up to which number they have left
 * (`left`). Who waits keeps its number, its place, and works out from these six words how many go before it. What is given out
 * one by one (units of a bucket, permits) is numbered, too: number n goes to the highest class that waits, but for the numbers
 * that are set aside for the classes below, of which each has its share and which go elsewhere only while nobody of that class
 * waits. So high ones go at once, and nobody starves.
 *
 * The order is all that these words decide. How much is given out at all is decided by the bucket's tail and by the count of
 * permits, each with one compare-and-swap as ever: whatever stands here, no rate and no limit is exceeded.
 *
 * What if the process dies here: who dies while it waits keeps its place, and those behind it leave out what would be its. They
 * notice that it does not come for it, and then it has left (weir_order_forfeit). Zeroed memory is an order in which nobody
 * waits.
 */
#ifndef WEIR_ORDER_H
#define WEIR_ORDER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum weir_class { WEIR_CLASS_HIGH = 0, WEIR_CLASS_NORMAL = 1, WEIR_CLASS_LOW = 2, WEIR_CLASSES = 3 };

/* What the classes below high are guaranteed, in per mille, all together at most 1000. */
struct weir_shares {
	uint32_t normal, low;
};

struct weir_order {
	_Atomic uint64_t taken[WEIR_CLASSES]; /* the last place given out */
	_Atomic uint64_t left[WEIR_CLASSES];  /* up to which place all have left:40, and which of the 24 after it have */
};
_Static_assert(sizeof(struct weir_order) == 48, "ABI");

/* More places than this are damage, and read as none. */
#define WEIR_ORDER_MAX UINT32_C(65536)

/* Whether nobody waits. */
static inline bool weir_order_empty(const struct weir_order *o)
{
	uint64_t differ = 0;

	for (unsigned c = 0; c < WEIR_CLASSES; c++)
		differ |= atomic_load_explicit(&o->taken[c], memory_order_relaxed) ^
			  atomic_load_explicit(&o->left[c], memory_order_relaxed) >> 24;
	return differ == 0;
}

/* Takes the next place of its class, behind all who wait in it. Never 0. Lock-free. */
uint64_t weir_order_take(struct weir_order *o, unsigned class);

/* It has got what it waited for, or (served = false) waits no more. Once for each place. Whoever is let through with many before
 * it in its class that have not come shows that these have left, too. */
void weir_order_leave(struct weir_order *o, unsigned class, uint64_t place, bool served);

/* Whether the place is still its holder's. When it is not, it was late, and has to take another. */
bool weir_order_holds(const struct weir_order *o, unsigned class, uint64_t place);

/* How many wait in the class. */
uint32_t weir_order_waiting(const struct weir_order *o, unsigned class);

/* How many go before this place when things are given out one by one from number `next` on. place 0: before who would come now.
 */
uint32_t weir_order_ahead(const struct weir_order *o, unsigned class, uint64_t place, const struct weir_shares *shares,
			  uint64_t next);

/* Whose class number `next` is; WEIR_CLASSES: nobody waits. */
unsigned weir_order_next(const struct weir_order *o, const struct weir_shares *shares, uint64_t next);

/* The class's number `next` has gone to somebody else, because its first has not come. *passed remembers since when that one is
 * passed over; after slack_ns it waits no more. now_ns, too, is a time of any clock that does not run backwards. */
void weir_order_pass(struct weir_order *o, unsigned class, _Atomic uint64_t *passed, uint64_t slack_ns, uint64_t now_ns);

/* The first `count` who should have come from number `next` on have not: they wait no more. */
void weir_order_forfeit(struct weir_order *o, uint32_t count, const struct weir_shares *shares, uint64_t next);

#endif
