/* SPDX-License-Identifier: MIT */
/*
 * The breaker's word from inside: its fields, and the times that are derived from the parameters. Three files work on it:
 * breaker.c is asked, breaker_settle.c is answered, breaker_times.c computes.
 *
 * What if a process dies here? Every transition is one CAS on the word, so it has happened or not. The streak beside it is tagged
 * with the generation: a stale one reads as 0. A prober that dies is covered by the end of its lease, which is in the word.
 */
#ifndef WEIR_LIMIT_BREAKER_STATE_H
#define WEIR_LIMIT_BREAKER_STATE_H

#include "weir/breaker.h"

#define BREAKER_NS_PER_MS UINT64_C(1000000)

/* word = state:2 | trips:6 | generation:16 | time_ms:40 */
#define TIME_BITS         40
#define BREAKER_TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)
#define GENERATION_SHIFT  TIME_BITS
#define GENERATION_MASK   UINT64_C(0xffff)
#define TRIPS_SHIFT       56
#define BREAKER_TRIPS_MAX 63U
#define STATE_SHIFT       62

/* A CAS fails only because another process moved the word; eight moves between two instructions happen in hostile memory only. */
#define BREAKER_TRIES 8

/* A closing time further ahead than this is not another process's slightly later clock reading but damage. */
#define BREAKER_SKEW_MS 1000U

struct breaker_fields {
	uint64_t time_ms;
	uint32_t state;
	uint32_t trips;
	uint32_t generation;
};

static inline struct breaker_fields breaker_unpack(uint64_t word)
{
	return (struct breaker_fields){
		.time_ms = word & BREAKER_TIME_MASK,
		.state = (uint32_t)(word >> STATE_SHIFT),
		.trips = (uint32_t)(word >> TRIPS_SHIFT) & BREAKER_TRIPS_MAX,
		.generation = (uint32_t)((word >> GENERATION_SHIFT) & GENERATION_MASK),
	};
}

static inline uint64_t breaker_pack(enum weir_breaker_state state, uint32_t trips, uint32_t generation, uint64_t time_ms)
{
	return ((uint64_t)state << STATE_SHIFT) |
	       ((uint64_t)(trips > BREAKER_TRIPS_MAX ? BREAKER_TRIPS_MAX : trips) << TRIPS_SHIFT) |
	       ((generation & GENERATION_MASK) << GENERATION_SHIFT) | (time_ms & BREAKER_TIME_MASK);
}

static inline bool breaker_is_closed(uint64_t word)
{
	return word >> STATE_SHIFT == WEIR_BREAKER_CLOSED;
}

static inline bool breaker_swap(struct weir_breaker *b, uint64_t *seen, uint64_t word)
{
	return atomic_compare_exchange_strong_explicit(&b->word, seen, word, memory_order_acq_rel, memory_order_acquire);
}

static inline uint64_t breaker_load(const struct weir_breaker *b)
{
	return atomic_load_explicit(&b->word, memory_order_acquire);
}

/* The low two bits of a lease's end number the probes of one half-open state in turn, so that two that are granted within the
 * same millisecond have different names. With no probe in flight they are all that is left of the time. */
#define BREAKER_TURN_MASK UINT64_C(3)

/* The time now as a nonzero stamp: 0 means "none" in the word. */
static inline uint64_t breaker_stamp_ms(uint64_t ms)
{
	return (ms & BREAKER_TIME_MASK) != 0 ? ms : 1;
}

static inline bool breaker_in_flight(struct breaker_fields f)
{
	return f.state == WEIR_BREAKER_HALF_OPEN && f.time_ms > BREAKER_TURN_MASK;
}

static inline uint64_t breaker_turn_after(struct breaker_fields f)
{
	return f.state == WEIR_BREAKER_HALF_OPEN ? (f.time_ms + 1) & BREAKER_TURN_MASK : 0;
}

static inline uint64_t breaker_freed(struct breaker_fields f)
{
	return breaker_pack(WEIR_BREAKER_HALF_OPEN, f.trips, f.generation, f.time_ms & BREAKER_TURN_MASK);
}

static inline bool breaker_off(const struct weir_breaker_params *p)
{
	return p->mode == WEIR_BREAKER_SHEDS || (p->failures == 0 && p->failure_rate_permille == 0 && p->slow_rate_permille == 0);
}

/* Which probe of a half-open state: the low bits of the end of its lease tell it from those before and after it. */
static inline uint32_t breaker_probe_name(uint32_t generation, uint64_t lease_end_ms)
{
	return generation | (uint32_t)((lease_end_ms & 0xffff) << 16);
}

static inline bool breaker_same_generation(struct breaker_fields f, struct weir_breaker_ticket ticket)
{
	return f.generation == (ticket.probe != 0 ? ticket.generation & GENERATION_MASK : ticket.generation);
}

/* Whether the ticket is that of the probe that holds the lease now. */
static inline bool breaker_holds_lease(struct breaker_fields f, struct weir_breaker_ticket ticket)
{
	return ticket.probe != 0 && breaker_in_flight(f) && ticket.generation == breaker_probe_name(f.generation, f.time_ms);
}

/* streak = generation:16 | ms of its first call, modulo 2^32:32 | count:16 */
#define BREAKER_STREAK_MASK UINT64_C(0xffff)

static inline uint32_t breaker_streak_of(uint64_t streak, uint32_t generation)
{
	return streak >> 48 == generation ? (uint32_t)(streak & BREAKER_STREAK_MASK) : 0;
}

/* ---- breaker_times.c ---- */

/* Rounded up, and no longer than any configured time. */
uint64_t breaker_to_ms(uint64_t ns);

/* The open time after this many trips, without jitter. */
uint64_t breaker_open_time_ms(const struct weir_breaker_params *p, uint32_t trips);

/* Spreads ms by +- jitter. Deterministic: the same word at the same time gives the same spread. */
uint64_t breaker_jittered_ms(const struct weir_breaker_params *p, uint64_t ms, uint64_t word, uint64_t now_ns);

/* The lease of a probe: probe_lease, but not shorter than the open time that is due, so that probes which hang do not go out
 * faster than probes which fail. */
uint64_t breaker_lease_ms(const struct weir_breaker_params *p, uint32_t trips);

/* When an open time or a probe's lease ends. No end is further away than these parameters can set: one that is has been damaged,
 * or was set under another policy. */
uint64_t breaker_end_ms(const struct weir_breaker_params *p, struct breaker_fields f, uint64_t now_ms);

/* Trips so far of a closed breaker: forgotten once it has been closed for as long as the window, the ramp and the open time that
 * was last due. A server that flaps faster than that keeps growing its open time. */
uint32_t breaker_trips_kept(const struct weir_breaker_params *p, struct breaker_fields f, uint64_t now_ms);

#endif
