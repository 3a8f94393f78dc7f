/* SPDX-License-Identifier: MIT */
/*
 * The rate controller: decides the pace of a host's first bucket.
 *
 * fixed         rate = max, always
 * conservative  starts at initial, grows while answers are good, backs off when throttled
 * aggressive    starts at max, backs off when throttled, recovers
 * adaptive      no limit until the host gives a reason (a throttled answer, a quota header); then learns the rate and holds it
 *
 * Results come in from any process and without a lock (weir_rate_note); the controller itself runs under the entry's trylock
 * (weir_rate_update), reads its published state, computes the next one, publishes it and sets the bucket's pace. An updater that
 * dies anywhere leaves the last published state; the next update brings the bucket in line with it.
 */
#ifndef WEIR_RATE_H
#define WEIR_RATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "weir/bucket.h"

enum weir_strategy { WEIR_ADAPTIVE = 0, WEIR_FIXED = 1, WEIR_CONSERVATIVE = 2, WEIR_AGGRESSIVE = 3 };

/* Part of a compiled rule (ABI). Rates in nano-admissions per second; 0 = not given. */
struct weir_rate_params {
	uint32_t strategy;                 /* enum weir_strategy */
	uint32_t burst;                    /* 0 reads as 1 */
	uint64_t min;                      /* never below; 0 reads as 1 per 1,000,000 s */
	uint64_t max;                      /* never above; 0 = no bound */
	uint64_t initial;                  /* where conservative starts */
	uint32_t backoff_permille;         /* the rate is multiplied by this when throttled; 1..999 */
	uint32_t recovery_permille;        /* the rate is multiplied by this when all is well; > 1000 */
	uint32_t success_threshold;        /* good answers in a row before the rate may grow */
	uint32_t error_threshold_permille; /* share of throttled or failed answers in an interval that makes it back off */
	uint64_t interval_ns;              /* how often the rate may change */
};
_Static_assert(sizeof(struct weir_rate_params) == 56, "ABI");

/* What a server said of its quota in one answer (RateLimit, X-RateLimit-* ...). 0 = not said, except remaining (has_remaining).
 */
struct weir_quota {
	uint64_t limit;        /* requests per window */
	uint64_t window_ns;    /* length of the window */
	uint64_t remaining;    /* requests left in this window */
	uint64_t resets_in_ns; /* until the window ends, counted from the answer */
	uint64_t resource;     /* a digest of what the server calls it, 0 = nothing */
	uint32_t has_remaining;
	uint32_t has_reset;
};

enum weir_rate_signal { WEIR_RATE_ACCEPTED, WEIR_RATE_THROTTLED, WEIR_RATE_FAILED, WEIR_RATE_TICK };

#define WEIR_QUOTAS     4 /* quota windows read from one answer */
#define WEIR_RATE_WORDS 44

struct weir_rate {
	/* Answers since the beginning, by kind: the host's counters for all purposes. The controller keeps the values it last
	 * saw. */
	_Atomic uint64_t accepted;
	_Atomic uint64_t throttled;
	_Atomic uint64_t failed;
	_Atomic uint64_t due_ns;     /* the next update by time; 0 = none needed */
	_Atomic uint64_t generation; /* of the published state */
	_Atomic uint64_t state[2 * WEIR_PUBLISHED_HALF(WEIR_RATE_WORDS)];
	_Atomic uint64_t due_accepted; /* the next update by `accepted`; 0 = none needed */
};
_Static_assert(sizeof(struct weir_rate) == 768, "ABI: 12 cache lines");

/* Counts one answer, whatever the strategy. Lock-free. Returns whether weir_rate_update should be called now for it. */
bool weir_rate_note(struct weir_rate *r, const struct weir_rate_params *p, enum weir_rate_signal signal, uint64_t now_ns);

/* Everything the controller may use about the answer at hand; zeroed for a tick. */
struct weir_rate_answer {
	enum weir_rate_signal signal;
	uint64_t admitted_ns;           /* when the request of this answer was let go */
	uint64_t hold_until_ns;         /* the hold that this answer set, 0 = none */
	uint64_t hold_max_ns;           /* the host's word stops everybody for no longer than this, 0 = no bound */
	uint64_t in_flight;             /* requests of this host in flight, this one included */
	const struct weir_quota *quota; /* up to `quotas` windows that the answer described; NULL when none */
	uint32_t quotas;
	bool spare;   /* what is left of them is enough for what is asked for: it need not be spread */
	bool apart;   /* what is spent of them stops those who share it, elsewhere, and nobody here */
	uint64_t cap; /* the pace for the time being, whatever was learned, nano/s; 0 = what was; WEIR_RATE_ASIDE: none */
	bool silent;  /* it ends silence after a bare status, which was counted as accepted before (weir/refusal.h) */
};
#define WEIR_RATE_ASIDE UINT64_MAX

/* What an update did, for the event ring and the log. */
struct weir_rate_change {
	bool changed;
	uint64_t from; /* nano/s, 0 = no limit */
	uint64_t to;
	uint64_t spare_until_ns; /* until then the pace is that of a quota of which something is left; 0: it is not */
	bool surprised;          /* it was a refusal, at a pace that should not have met with one */
};

/* Runs the controller: publishes its next state and sets the pace of `bucket` (rate within [min, max]). For the holder of the
 * entry's trylock. Also brings a bucket in line with new params, so it is called once after every change of policy. Bounded work.
 */
struct weir_rate_change weir_rate_update(struct weir_rate *r, struct weir_bucket *bucket, const struct weir_rate_params *p,
					 const struct weir_rate_answer *answer, uint64_t now_ns);

/* Adaptive: what was learned elsewhere (weir/refusal.h). rate and trust: the host's rate is about this, as that many accepts say.
 * trust 0: nothing is known but that so much may be asked for, and more is to be tried at once. rate 0: what was learned holds,
 * but the pace has not been in use since the last refusal; trust WEIR_RATE_SUSTAINED: the same, but it is no less than `rate`.
 * For the holder of the entry's trylock. */
#define WEIR_RATE_SUSTAINED UINT64_MAX
void weir_rate_learn(struct weir_rate *r, struct weir_bucket *bucket, const struct weir_rate_params *p, uint64_t rate,
		     uint64_t trust, uint64_t now_ns);

/* What adaptive has learned of the host's limit, nano-admissions per second; 0: nothing. A pace on the way up may be above it. */
uint64_t weir_rate_learned(const struct weir_rate *r);

/* Forgets what was learned: back to the strategy's beginning. For the holder of the entry's trylock. */
void weir_rate_reset(struct weir_rate *r, struct weir_bucket *bucket, const struct weir_rate_params *p, uint64_t now_ns);

#endif
