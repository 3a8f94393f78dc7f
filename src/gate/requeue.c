/* SPDX-License-Identifier: MIT */
/*
 * Units that nobody will use any more: processes that died while they waited have left them. Nobody knows which units these are;
 * but there are more units than requests that wait, and that can be seen. Then the queue is numbered anew. Units that were used
 * before their time (redirect hops, dry runs) are known as such to the bucket.
 *
 * What if the process dies here? Between the two steps of the bucket: those who wait take new units behind the old ones, and the
 * next pass finds the queue twice too long.
 */
#include "queue.h"

/* So much of a bucket's time must be lost before those who wait are woken for it. */
#define WORTH_NS UINT64_C(1000000000)

#define NS_PER_RATE ((unsigned __int128)1000000000 * 1000000000) /* nano-admissions per second in 1/ns */

/* Taking a unit makes the second step fail; in a queue at rest nobody does twice in a row. */
#define TRIES 4

/* Whether so many units are clearly more than there are waiters. */
static bool is_too_long(const struct weir_bucket *b, uint64_t queue, uint64_t waiting)
{
	return queue > waiting && (queue - waiting) * NS_PER_RATE >= (unsigned __int128)WORTH_NS * weir_bucket_pace(b).rate;
}

static bool number_anew(struct weir_bucket *b, uint64_t (*clock_ns)(void))
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t tail = weir_bucket_void_units(b);

		if (weir_bucket_units_from(b, tail, clock_ns()))
			return true;
	}
	return false;
}

/* The queues first, then who waits: a request has its lease before it takes its unit, so one that comes in between does not look
 * like two. */
static bool requeue(const struct weir_segment *s, uint32_t slot, struct weir_occupancy *room, uint64_t (*clock_ns)(void))
{
	struct weir_bucket *bucket = s->entry[slot].bucket;
	uint64_t before[WEIR_RATES], now_ns = clock_ns();
	bool suspect = false, shortened = false, tried = false;

	for (unsigned j = 0; j < WEIR_RATES; j++) {
		before[j] = weir_bucket_queue(&bucket[j], now_ns);
		suspect |= is_too_long(&bucket[j], before[j], 0);
	}
	queue_correct(s, slot, WEIR_NONE);
	if (!suspect)
		return false;
	weir_lease_occupancy(s, room);
	for (unsigned j = 0; j < WEIR_RATES; j++) {
		uint64_t now = weir_bucket_queue(&bucket[j], clock_ns()), queue = now < before[j] ? now : before[j];

		if (!is_too_long(&bucket[j], queue, room[slot].waiting))
			continue;
		tried = true;
		shortened |= number_anew(&bucket[j], clock_ns);
	}
	if (tried)
		weir_entry_wake(s, slot);
	return shortened;
}

uint32_t weir_gate_requeue(const struct weir_segment *s, struct weir_occupancy *room, uint64_t (*clock_ns)(void))
{
	uint32_t shortened = 0;

	for (uint32_t slot = 0; slot <= s->entries; slot++)
		if (slot == s->entries || atomic_load_explicit(&s->index[slot], memory_order_relaxed) != 0)
			shortened += requeue(s, slot, room, clock_ns);
	return shortened;
}
