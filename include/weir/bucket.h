/* SPDX-License-Identifier: MIT */
/*
 * A token bucket in virtual time.
 *
 * Virtual time V advances by `rate` units per second. Each admission takes the next unit of V, first come first served, and may
 * go once V(now) >= unit - burst. That is GCRA (ITU-T I.371) with tau = T * (burst - 1), written over units instead of seconds: a
 * change of the rate changes when V reaches a unit, not which unit a waiter has, so everyone who already waits is re-timed at
 * once and in order.
 *
 * Units are fixed point: WEIR_UNIT = 1 admission = 2^20. Rates are integers, in nano-admissions per second (1e9 = 1/s), so that
 * 1 per 6 h keeps five digits. The pace (V0, t0, rate, burst) is a published block: V(t) = V0 + rate * (t - t0), and V0 before
 * t0, which is how a hold freezes a bucket. Zeroed memory is a bucket without a limit.
 */
#ifndef WEIR_BUCKET_H
#define WEIR_BUCKET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "weir/order.h"
#include "weir/published.h"

#define WEIR_UNIT_SHIFT 20
#define WEIR_UNIT       (UINT64_C(1) << WEIR_UNIT_SHIFT)
#define WEIR_RATE_ONE   UINT64_C(1000000000)                  /* 1/s in nano-admissions per second */
#define WEIR_RATE_MAX   (UINT64_C(100000000) * WEIR_RATE_ONE) /* 1e8/s: beyond it the fixed point would overflow */
#define WEIR_BURST_MAX  1000000U
#define WEIR_NEVER      UINT64_MAX /* a time that does not come */

#define WEIR_BUCKET_WORDS 4 /* V0, t0_ns, rate (nano/s), burst (admissions) */

/* What the bucket knows beside its tail: see "Classes" and "Lateness" below. */
struct weir_bucket_turns {
	_Atomic uint64_t classes; /* 0: not used yet; the class that has used it alone + 1; WEIR_BUCKET_CLASSED: several */
	_Atomic uint64_t origin;  /* the unit that counts as place 0 of who waited when the second class came */
	_Atomic uint64_t lent;    /* until when, ms:40 | how late it was noticed, us:24 */
	struct weir_order order;
	_Atomic uint64_t passed[WEIR_CLASSES]; /* who is first, and since when others have gone instead */
	uint64_t pad[4];
};
_Static_assert(sizeof(struct weir_bucket_turns) == 128, "ABI");
#define WEIR_BUCKET_CLASSED UINT64_C(256)

struct weir_bucket {
	_Atomic uint64_t tail;       /* the last unit given out; one CAS takes the next */
	_Atomic uint64_t generation; /* of the pace */
	_Atomic uint64_t pace[2 * WEIR_PUBLISHED_HALF(WEIR_BUCKET_WORDS)];
	_Atomic uint64_t numbering; /* rises when units that were given out are void: who waits with one takes a new one */
	_Atomic uint64_t spent;     /* the last unit that was used before its time */
	_Atomic uint64_t kept;      /* the units up to this one were not made void when the numbering rose last */
	_Atomic uint64_t gone;      /* the last departure: see weir_bucket_depart */
	struct weir_bucket_turns turns;
};
_Static_assert(sizeof(struct weir_bucket) == 256, "four cache lines");

/* The pace in force. rate = 0: no limit. */
struct weir_pace {
	uint64_t v0;
	uint64_t t0_ns;
	uint64_t rate; /* nano-admissions per second */
	uint64_t burst;
};

/* Takes the next unit. Returns it, or 0 when the bucket has no limit (such a request may go at once). Lock-free. */
uint64_t weir_bucket_take(struct weir_bucket *b, uint64_t now_ns);

/* The same for who goes by latest_ns or not at all, from one look at the pace. *ready_ns is what weir_bucket_ready_ns says of the
 * next unit; when that is in the future and later than latest_ns, nothing is taken, and 0 returned: a unit that is taken and
 * given back is lost when another has been taken meanwhile, and clients that ask without end and do not wait would push the queue
 * away from those who do. */
uint64_t weir_bucket_take_by(struct weir_bucket *b, uint64_t now_ns, uint64_t latest_ns, uint64_t *ready_ns);

/* Whether the bucket never had a limit. */
static inline bool weir_bucket_unused(const struct weir_bucket *b)
{
	return atomic_load_explicit(&b->generation, memory_order_relaxed) == 0;
}

/* The time from which `unit` may go at the rate in force: <= now_ns when it may go now. unit 0 may always go. */
uint64_t weir_bucket_ready_ns(const struct weir_bucket *b, uint64_t unit, uint64_t now_ns);

/* Whether `unit` has grown stale: slack_ns ago V had passed it already. Units between V - slack and V + burst may be used without
 * the bucket letting more than burst + rate x (time + slack) through in any window; a crowd that uses older ones together exceeds
 * it. */
bool weir_bucket_stale(const struct weir_bucket *b, uint64_t unit, uint64_t slack_ns, uint64_t now_ns);

/*
 * Departures. Who has a unit may be kept on its way (a handshake goes before the first request of a connection), and what leaves
 * later than its unit allowed comes too near to the next one, which does not. So departures pass a bucket of their own with the
 * same pace: what leaves on its unit's time, or slack_ns later, leaves the next unit's time as it is, and what leaves later moves
 * those that follow by as much. No unit is lost and none is taken.
 *
 * departs_ns: when a request whose unit is ready may leave; <= now_ns when it may leave now. depart: it leaves now; false, and
 * nothing done, when others have left meanwhile. unit 0 may always leave. What if the process dies after it: a departure that
 * did not come moves those that follow by one interval at most.
 */
uint64_t weir_bucket_departs_ns(const struct weir_bucket *b, uint64_t unit, uint64_t slack_ns, uint64_t now_ns);
bool weir_bucket_depart(struct weir_bucket *b, uint64_t unit, uint64_t slack_ns, uint64_t now_ns);

/* The same for who has taken the unit at this very time and found it ready, without a look at the pace: true when nobody with a
 * later unit has left, and it leaves. Else nothing is done, and weir_bucket_depart says more. unit is one that was taken. */
bool weir_bucket_depart_fresh(struct weir_bucket *b, uint64_t unit);

/* The time from which a request that arrived now could go. Takes nothing. */
uint64_t weir_bucket_preview_ns(const struct weir_bucket *b, uint64_t now_ns);

/* Gives a unit back that will not be used. Returns false when others have already taken later units: then it is spent. */
bool weir_bucket_give_back(struct weir_bucket *b, uint64_t unit);

/* Which numbering is in force: to be read before a unit is taken and, again, before it is used. */
static inline uint32_t weir_bucket_numbering(const struct weir_bucket *b)
{
	return (uint32_t)atomic_load_explicit(&b->numbering, memory_order_acquire);
}

/* Whether a unit of this numbering is still its holder's: the numbering is in force, or has risen once and left it alone.
 * *numbering is then the one in force. */
bool weir_bucket_holds(const struct weir_bucket *b, uint64_t unit, uint32_t *numbering);

/* How many units have been given out that may not go yet and are not spent: those of who waits, and those that nobody will use
 * any more. */
uint64_t weir_bucket_queue(const struct weir_bucket *b, uint64_t now_ns);

/* How many of these are before this unit. */
uint64_t weir_bucket_ahead(const struct weir_bucket *b, uint64_t unit, uint64_t now_ns);

/*
 * Units of the dead. Nobody knows which they are, but when there are clearly more units than waiters, all are made void: those
 * who wait take new ones, and the queue is as long as they are many. In two steps, because a unit that may have gone must not be
 * given out again: void_units first, then the time is read, then units_from with that time. A waiter that looked at the numbering
 * before the first step looked at the clock before the second, so its unit is not beyond what V has reached there (units_from
 * allows for a millisecond by which clocks and loads may be out of order); one that looks later takes a new unit. The units after
 * the last that may have gone are given out again, so the next is due when it was. Whoever takes a unit in between makes the
 * second step fail: it is to be tried again at once, because who looks meanwhile finds itself behind its own void unit. So it is,
 * until the next time, when the process dies in between.
 */
uint64_t weir_bucket_void_units(struct weir_bucket *b);                                  /* returns what units_from wants */
bool weir_bucket_units_from(struct weir_bucket *b, uint64_t void_tail, uint64_t now_ns); /* whether it succeeded */

/* Takes a unit for something that has already happened (a redirect hop); nobody waits for it, those who come later do. */
void weir_bucket_charge(struct weir_bucket *b, uint64_t now_ns);

/* The request of this unit goes before the unit's time: it is used, although nobody waits with it. */
void weir_bucket_spend(struct weir_bucket *b, uint64_t unit);

/*
 * Classes. As long as one class alone uses a bucket, who waits has taken its unit and goes when that is ready. When a second
 * class comes the units of those who wait are made void, as those of the dead are (above), and become places in the bucket's
 * order (weir/order.h); from then on a unit is taken only at the moment of going, by whom the order names: who waits with j
 * before it goes when j + 1 units are ready, and takes the next one, so that what those before it have not come for yet is left
 * to them. A high one moves everybody below it by one unit, and wakes nobody: who wakes at the old time sees that it has a new
 * one.
 *
 * The tail still gives out all units, one compare-and-swap each, so no order and no damage to it lets through more than
 * burst + rate x (time + slack) in any window. The slack is what who waited may be late without a loss to anybody: it takes the
 * unit that was ready slack_ns ago or later. Whose unit has been ready for longer when somebody behind it goes has lost its
 * place. Nobody waits for ever: V grows, and when j + 1 units are ready it goes, whoever does not come.
 *
 * What if the process dies here: before its unit is taken, it is one of the dead in the order. Between the unit and the place's
 * end, the same. In the middle of the change to classes: who comes next changes anew, and who waited takes new places.
 */
struct weir_turn {
	uint32_t class;
	uint64_t place;     /* in the order; 0: none yet */
	uint64_t waited_ns; /* units that were ready as long ago may be taken still, within the slack; 0: it came just now */
	struct weir_shares shares;
};
#define WEIR_TURN_SLACK_NS UINT64_C(20000000) /* as for departures: a busy machine wakes a sleeper some milliseconds late */

/* Whether several classes use the bucket, this one included. Makes it so when another has used it alone. */
bool weir_bucket_join(struct weir_bucket *b, unsigned class, uint64_t now_ns);
static inline bool weir_bucket_classed(struct weir_bucket *b, unsigned class, uint64_t now_ns)
{
	uint64_t classes = atomic_load_explicit(&b->turns.classes, memory_order_acquire);

	return classes != (uint64_t) class + 1 && (classes == WEIR_BUCKET_CLASSED || weir_bucket_join(b, class, now_ns));
}

/* The time from which who has this turn may go, as things are: <= now_ns when it may go now. Takes nothing. */
uint64_t weir_bucket_turn_ns(const struct weir_bucket *b, const struct weir_turn *t, uint64_t now_ns);

/* Takes a unit for it if it may go now, and ends its place. Returns the unit; 0 when it may not (then *ready_ns is later than
 * now_ns), or when the bucket has no limit, which ends its place as well. Lock-free. */
uint64_t weir_bucket_go(struct weir_bucket *b, const struct weir_turn *t, uint64_t now_ns, uint64_t *ready_ns);

/* The place that a unit became which was taken before there were several classes; 0: none. */
uint64_t weir_bucket_place_of(const struct weir_bucket *b, unsigned class, uint64_t unit);

/*
 * Lateness. Who sleeps until its unit is ready wakes some fifty microseconds later, or, on a busy machine, some milliseconds.
 * Where others wait behind it that costs nothing; where it is alone the time is lost, which at thousands a second is much. So who
 * wakes late says so, and for a moment units that were ready as long ago are given out still: the bucket lets through at most
 * burst + rate x (time + WEIR_LATE_MAX_NS) in any window, and no more than burst + rate x time where nobody was late.
 */
#define WEIR_LATE_MAX_NS UINT64_C(4000000) /* a tick of the scheduler at 250 Hz */
void weir_bucket_late(struct weir_bucket *b, uint64_t late_ns, uint64_t now_ns);

/* Reads the pace in force. */
struct weir_pace weir_bucket_pace(const struct weir_bucket *b);

/* Sets rate and burst from now on (rate 0: no limit) without moving V. For the holder of the entry's trylock. */
void weir_bucket_set(struct weir_bucket *b, uint64_t rate, uint64_t burst, uint64_t now_ns);

/* Stops V until until_ns and spends the burst, so that waiters resume one by one at the rate and not as a herd.
 * For the holder of the entry's trylock. No effect on a bucket without a limit. */
void weir_bucket_freeze(struct weir_bucket *b, uint64_t until_ns, uint64_t now_ns);

/* Undoes a freeze: V runs again from now on. For the holder of the entry's trylock. */
void weir_bucket_thaw(struct weir_bucket *b, uint64_t now_ns);

#endif
