/* SPDX-License-Identifier: MIT */
/* Virtual time of a bucket: from time to units and back. */
#ifndef WEIR_LIMIT_VIRTUAL_TIME_H
#define WEIR_LIMIT_VIRTUAL_TIME_H

#include "weir/bucket.h"

/*
 * Arithmetic. A rate is r nano-admissions per second, so dt nanoseconds bring r * dt * 1e-18 admissions, or r * dt * 2^20 / 1e18
 * units of V. With x = r * dt >> 30 that is x * 2^50 / 1e18 = x * SCALE >> 54, SCALE = 2^104 / 1e18 rounded down. Bounds: r <=
 * 1e17 < 2^57 and dt <= 2^53 (104 days), so r * dt < 2^110, x < 2^80, x * SCALE < 2^125. Every rounding is downwards: V is never
 * ahead of its time.
 */
#define SCALE        UINT64_C(20282409603651)
#define DT_MAX       (UINT64_C(1) << 53)
#define UNIT_PER_SEC ((unsigned __int128)1000000000 * 1000000000) /* 1e18 */
#define V_MAX        (UINT64_C(1) << 62)

/* No queue is this long; a tail that is further ahead of V is damage. */
#define QUEUE_MAX (UINT64_C(16) << 20)

/* A CAS that loses has let somebody else through; this many in a row mean that the word is being hammered by something hostile.
 */
#define CAS_TRIES 10000

/* Clocks of two processors, and a load that was made before the clock was read, are out of order by far less. */
#define OUT_OF_ORDER_NS UINT64_C(1000000)

/* A word of lateness: until when in ms:40 | us:24. */
#define LENT_SHIFT   24
#define LENT_MASK    ((UINT64_C(1) << LENT_SHIFT) - 1)
#define LENT_TICK_NS UINT64_C(1000000)

typedef unsigned __int128 u128;

static inline uint64_t virtual_time(const struct weir_pace *p, uint64_t now_ns)
{
	uint64_t dt;

	if (now_ns <= p->t0_ns)
		return p->v0;
	dt = now_ns - p->t0_ns;
	if (dt > DT_MAX)
		dt = DT_MAX;
	return p->v0 + (uint64_t)(((((u128)p->rate * dt) >> 30) * SCALE) >> 54);
}

/* The first time at which V >= v. */
static inline uint64_t time_of(const struct weir_pace *p, uint64_t v)
{
	u128 dt;

	if (v <= p->v0)
		return p->t0_ns;
	dt = ((u128)(v - p->v0) * UNIT_PER_SEC >> WEIR_UNIT_SHIFT) / p->rate;
	/* V is rounded down by less than two units of its last place; so much later it has surely arrived. */
	dt += (u128)2 * (UNIT_PER_SEC >> WEIR_UNIT_SHIFT) / p->rate + 2;
	if (dt > DT_MAX)
		return WEIR_NEVER;
	return p->t0_ns + (uint64_t)dt;
}

static inline uint64_t sane_tail(uint64_t tail, uint64_t v)
{
	return tail > v + (QUEUE_MAX << WEIR_UNIT_SHIFT) ? v : tail;
}

/* When a unit may go: V(t) >= unit - burst, and not while V is frozen. v is V(now). */
static inline uint64_t ready_ns(const struct weir_pace *p, uint64_t unit, uint64_t v, uint64_t now_ns)
{
	uint64_t ahead = p->burst << WEIR_UNIT_SHIFT;
	uint64_t due = unit > ahead ? unit - ahead : 0;

	if (now_ns >= p->t0_ns && v >= due)
		return now_ns;
	return time_of(p, due);
}

/* The least that the next unit follows on: V, or, where somebody has just been late by so much, V as it was then. */
static inline uint64_t unit_floor(const struct weir_bucket *b, const struct weir_pace *p, uint64_t v, uint64_t now_ns)
{
	uint64_t lent = atomic_load_explicit(&b->turns.lent, memory_order_relaxed), late_ns;

	if (lent == 0 || lent >> LENT_SHIFT <= now_ns / LENT_TICK_NS)
		return v;
	late_ns = (lent & LENT_MASK) * 1000;
	late_ns = late_ns < WEIR_LATE_MAX_NS ? late_ns : WEIR_LATE_MAX_NS;
	return virtual_time(p, now_ns > late_ns ? now_ns - late_ns : 0); /* a clock may have just begun */
}

#endif
