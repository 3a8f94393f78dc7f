/* SPDX-License-Identifier: MIT */
/* Several classes at one bucket, and what is lent for lateness. */
#include "virtual_time.h"

#define CHANGES 4 /* tries to change to classes, against others who take units meanwhile */

/* What was lent ends so long after somebody was late last: who is late is so at every turn. */
#define LENT_FOR_NS UINT64_C(100000000)

static void raise(_Atomic uint64_t *word, uint64_t value)
{
	uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);

	for (int i = 0; i < CAS_TRIES && seen < value; i++)
		if (atomic_compare_exchange_weak_explicit(word, &seen, value, memory_order_relaxed, memory_order_relaxed))
			break;
}

/* Those who wait have units; these become the places 1, 2, ... of their class. */
static void units_to_places(struct weir_bucket *b, unsigned class, uint64_t now_ns)
{
	for (int i = 0; i < CHANGES; i++) {
		uint64_t last = weir_bucket_void_units(b), first;

		if (weir_bucket_units_from(b, last, now_ns)) {
			first = atomic_load_explicit(&b->kept, memory_order_relaxed);
			atomic_store_explicit(&b->turns.origin, first, memory_order_relaxed);
			raise(&b->turns.order.taken[class], last > first ? (last - first + WEIR_UNIT / 2) >> WEIR_UNIT_SHIFT : 0);
			return;
		}
		if (weir_bucket_queue(b, now_ns) == 0)
			return;
	}
}

__attribute__((noinline)) bool weir_bucket_join(struct weir_bucket *b, unsigned class, uint64_t now_ns)
{
	uint64_t seen = atomic_load_explicit(&b->turns.classes, memory_order_acquire);

	if (seen == 0 && atomic_compare_exchange_strong_explicit(&b->turns.classes, &seen, (uint64_t) class + 1,
								 memory_order_acq_rel, memory_order_acquire))
		return false;
	if (seen == (uint64_t) class + 1)
		return false;
	if (seen >= 1 && seen <= WEIR_CLASSES)
		units_to_places(b, (unsigned)seen - 1, now_ns);
	atomic_store_explicit(&b->turns.classes, WEIR_BUCKET_CLASSED, memory_order_release);
	return true;
}

/* The unit at which so many are ready that what those before it have not come for is left to them. */
static uint64_t unit_of_turn(const struct weir_bucket *b, const struct weir_turn *t, uint64_t tail, uint32_t *ahead)
{
	*ahead = 0;
	if (t->place != 0 || !weir_order_empty(&b->turns.order))
		*ahead = weir_order_ahead(&b->turns.order, t->class, t->place, &t->shares, tail >> WEIR_UNIT_SHIFT);
	return tail + ((uint64_t)*ahead + 1) * WEIR_UNIT;
}

uint64_t weir_bucket_turn_ns(const struct weir_bucket *b, const struct weir_turn *t, uint64_t now_ns)
{
	struct weir_pace p = weir_bucket_pace(b);
	uint64_t v, tail;
	uint32_t ahead;

	if (p.rate == 0)
		return now_ns;
	v = virtual_time(&p, now_ns);
	tail = sane_tail(atomic_load_explicit(&b->tail, memory_order_relaxed), v);
	return ready_ns(&p, unit_of_turn(b, t, tail, &ahead), v, now_ns);
}

/* Those before it whose units have been ready for so long will not come for them. */
static __attribute__((noinline)) void pass_over(struct weir_bucket *b, const struct weir_pace *p, const struct weir_turn *t,
						uint64_t tail, uint32_t ahead, uint64_t now_ns)
{
	uint64_t ready =
		virtual_time(p, now_ns > WEIR_TURN_SLACK_NS ? now_ns - WEIR_TURN_SLACK_NS : 0) + (p->burst << WEIR_UNIT_SHIFT);
	uint64_t count = ready > tail ? (ready - tail) >> WEIR_UNIT_SHIFT : 0;

	unsigned owner = weir_order_next(&b->turns.order, &t->shares, tail >> WEIR_UNIT_SHIFT);

	if (count == 0 && owner < WEIR_CLASSES)
		weir_order_pass(&b->turns.order, owner, &b->turns.passed[owner], WEIR_TURN_SLACK_NS, now_ns);
	else
		weir_order_forfeit(&b->turns.order, count < ahead ? (uint32_t)count : ahead, &t->shares, tail >> WEIR_UNIT_SHIFT);
}

uint64_t weir_bucket_go(struct weir_bucket *b, const struct weir_turn *t, uint64_t now_ns, uint64_t *ready)
{
	struct weir_pace p = weir_bucket_pace(b);
	uint64_t v, tail, least, unit = 0;

	*ready = now_ns;
	if (p.rate == 0) {
		weir_order_leave(&b->turns.order, t->class, t->place, true);
		return 0;
	}
	v = virtual_time(&p, now_ns);
	least = unit_floor(b, &p, v, now_ns);
	if (t->waited_ns != 0) {
		uint64_t slack = t->waited_ns < WEIR_TURN_SLACK_NS ? t->waited_ns : WEIR_TURN_SLACK_NS;
		uint64_t late = virtual_time(&p, now_ns > slack ? now_ns - slack : 0);

		least = late < least ? late : least;
	}
	tail = atomic_load_explicit(&b->tail, memory_order_relaxed);
	for (int i = 0; i < CAS_TRIES; i++) {
		uint64_t from = sane_tail(tail, v);
		uint32_t ahead;

		*ready = ready_ns(&p, unit_of_turn(b, t, from, &ahead), v, now_ns);
		if (*ready > now_ns)
			return 0;
		unit = (from > least ? from : least) + WEIR_UNIT;
		if (!atomic_compare_exchange_weak_explicit(&b->tail, &tail, unit, memory_order_relaxed, memory_order_relaxed))
			continue;
		if (ahead != 0)
			pass_over(b, &p, t, from, ahead, now_ns);
		break;
	}
	weir_order_leave(&b->turns.order, t->class, t->place, true);
	return unit;
}

uint64_t weir_bucket_place_of(const struct weir_bucket *b, unsigned class, uint64_t unit)
{
	uint64_t origin = atomic_load_explicit(&b->turns.origin, memory_order_relaxed), place;

	if (origin == 0 || unit <= origin)
		return 0;
	place = (unit - origin + WEIR_UNIT / 2) >> WEIR_UNIT_SHIFT;
	return weir_order_holds(&b->turns.order, class, place) ? place : 0;
}

void weir_bucket_late(struct weir_bucket *b, uint64_t late_ns, uint64_t now_ns)
{
	uint64_t seen = atomic_load_explicit(&b->turns.lent, memory_order_relaxed), tick = now_ns / LENT_TICK_NS;
	uint64_t late_us = (late_ns < WEIR_LATE_MAX_NS ? late_ns : WEIR_LATE_MAX_NS) / 1000,
		 end = tick + LENT_FOR_NS / LENT_TICK_NS;
	bool lent = seen >> LENT_SHIFT > tick && seen >> LENT_SHIFT <= end;

	if (lent && (seen & LENT_MASK) >= late_us && (seen >> LENT_SHIFT) - tick > LENT_FOR_NS / LENT_TICK_NS / 2)
		return; /* most often: nothing new */
	if (lent && (seen & LENT_MASK) > late_us)
		late_us = seen & LENT_MASK;
	atomic_store_explicit(&b->turns.lent, end << LENT_SHIFT | late_us, memory_order_relaxed);
}
