/* SPDX-License-Identifier: MIT */
/*
 * Units that nobody will use any more: processes that died while they waited have left them, or requests that were refused in the
 * same moment as others. Nobody knows which units these are; but there are more of them than of requests that wait, and that can
 * be seen. Then the queue is numbered anew.
 *
 * What if the process dies here? Between the two steps of the bucket: those who wait take new units behind the old ones, and the
 * next pass finds the queue twice too long.
 */
#include "weir/gate.h"

/* So much of a bucket's time must be lost before those who wait are woken for it. */
#define WORTH_NS UINT64_C(1000000000)

#define NS_PER_RATE ((unsigned __int128)1000000000 * 1000000000) /* nano-admissions per second in 1/ns */

static bool is_too_long(const struct weir_bucket *b, uint64_t waiting, uint64_t now_ns)
{
	uint64_t queue, rate;

	if (weir_bucket_unused(b))
		return false;
	queue = weir_bucket_queue(b, now_ns);
	rate = weir_bucket_pace(b).rate;
	return queue > waiting && (queue - waiting) * NS_PER_RATE >= (unsigned __int128)WORTH_NS * rate;
}

static bool requeue(const struct weir_segment *s, uint32_t slot, uint64_t waiting, uint64_t (*clock_ns)(void))
{
	bool shortened = false;

	for (unsigned j = 0; j < WEIR_RATES; j++) {
		struct weir_bucket *b = &s->entry[slot].bucket[j];
		uint64_t tail;

		if (!is_too_long(b, waiting, clock_ns()))
			continue;
		tail = weir_bucket_void_units(b);
		shortened |= weir_bucket_units_from(b, tail, clock_ns());
	}
	if (shortened)
		weir_entry_wake(s, slot);
	return shortened;
}

uint32_t weir_gate_requeue(const struct weir_segment *s, struct weir_occupancy *room, uint64_t (*clock_ns)(void))
{
	uint64_t now_ns = clock_ns();
	uint32_t shortened = 0;
	bool counted = false;

	for (uint32_t slot = 0; slot <= s->entries; slot++) {
		bool suspect = false;

		if (slot < s->entries && atomic_load_explicit(&s->index[slot], memory_order_relaxed) == 0)
			continue;
		for (unsigned j = 0; j < WEIR_RATES; j++)
			suspect |= is_too_long(&s->entry[slot].bucket[j], 0, now_ns);
		if (!suspect)
			continue;
		if (!counted)
			weir_lease_occupancy(s, room);
		counted = true;
		shortened += requeue(s, slot, room[slot].waiting, clock_ns);
	}
	return shortened;
}
