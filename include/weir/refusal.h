/* SPDX-License-Identifier: MIT */
/*
 * What a host's refusals depend on: our pace, the number of requests in flight, or nothing that we do.
 *
 * A status does not mean "slow down" because a list says so, but because its share rises and falls with what we do. 429, and what
 * names a time to come back, is believed at once; of another bare status (503, 403, 420, 509, 520 ...) it is found out: when
 * enough of them have come, the host is asked at half the pace that it had accepted, and the share at that pace is compared with
 * the share before. In the same way refusals are unmasked that come whatever the pace, 429 among them; and those that come when
 * more than so many requests are in flight. docs/control.md has the reasoning.
 *
 * Pure: time is a parameter; everything but weir_refusal_due and weir_refusal_look is for the holder of the entry's trylock.
 * Zeroed memory knows nothing. Whatever the words hold, the arithmetic stays in range; an updater that dies between two stores
 * leaves evidence that is a little wrong, and a trial that ends by time.
 */
#ifndef WEIR_REFUSAL_H
#define WEIR_REFUSAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define WEIR_REFUSAL_WORDS 17

struct weir_refusal {
	_Atomic uint64_t held;         /* what is known and what is tried: one word, so that it is read whole */
	_Atomic uint64_t due_accepted; /* good answers are heard from this count of them on; 0: they are not */
	_Atomic uint64_t cap;          /* of the pace during a trial: struct weir_rate_answer */
	_Atomic uint64_t state[WEIR_REFUSAL_WORDS];
};
_Static_assert(sizeof(struct weir_refusal) == 160, "ABI");

/* What a status depends on. Values are stored. */
enum weir_refusal_meaning {
	WEIR_REFUSAL_UNKNOWN = 0,
	WEIR_REFUSAL_PACE = 1,   /* it says "less" */
	WEIR_REFUSAL_CHANCE = 2, /* it comes whatever we do */
};

/* What is being tried. Values are stored. */
enum weir_refusal_trial {
	WEIR_TRIAL_NONE = 0,
	WEIR_TRIAL_STATUS = 1,  /* half the pace: does the bare status become rarer? */
	WEIR_TRIAL_CHANCE = 2,  /* half the pace: do throttled answers become rarer? */
	WEIR_TRIAL_CROWD = 3,   /* a few at a time, at any pace: are there any throttled answers left? */
	WEIR_TRIAL_SILENCE = 4, /* nobody goes for ever longer whiles: has it been a ban? */
};

struct weir_refusal_view {
	uint32_t status; /* the bare status that is watched, 0: none */
	enum weir_refusal_meaning meaning;
	enum weir_refusal_trial trial;
	uint32_t chance_permille; /* share of throttled answers that come whatever the pace */
	uint32_t permits;         /* the host refuses what is more than so many at a time; 0: not known */
};

/* What is held now. Any process, without a lock. */
struct weir_refusal_view weir_refusal_look(const struct weir_refusal *f);

/* Whether a good answer is to be heard, `accepted` being how many there were. Lock-free. */
static inline bool weir_refusal_due(const struct weir_refusal *f, const _Atomic uint64_t *accepted)
{
	uint64_t due = atomic_load_explicit(&f->due_accepted, memory_order_relaxed);

	return due != 0 && atomic_load_explicit(accepted, memory_order_relaxed) >= due;
}

/* Whether a bare status may mean "slow down" at all: not where it speaks of this request (404), or of what is broken (500). */
bool weir_refusal_may_be(uint32_t status);

/* Whether, when nothing else is answered any more, this status may say that we are banned, and silence is tried before the host
 * is taken to be down: not where that has just been tried. Any process, without a lock. */
bool weir_refusal_may_be_ban(const struct weir_refusal *f, uint32_t status, uint64_t now_ns);

enum weir_refusal_kind {
	WEIR_HEARD_GOOD,
	WEIR_HEARD_THROTTLED, /* it means "less" by itself, or has been found to */
	WEIR_HEARD_BARE,      /* a status that may mean it */
};

struct weir_refusal_answer {
	enum weir_refusal_kind kind;
	uint32_t status;
	uint32_t in_flight;   /* requests in flight when it was let go, itself included */
	uint64_t admitted_ns; /* when it was let go */
	uint64_t accepted;    /* good answers so far (weir_rate.accepted), in which bare 4xx are counted */
	uint64_t usual_ns;    /* latency of a good answer */
	uint64_t pace;        /* of the bucket now, nano/s; 0: none */
	uint64_t learned;     /* what the host was found to accept, nano/s; 0: not known. A pace that is tried may be more */
	bool alone;           /* a bare status: it did answer well, and for a while nothing else has come any more */
	uint64_t good_ns;     /* when it last answered well */
};

/* What follows from an answer. */
enum weir_refusal_rate {
	WEIR_RATE_AS_IT_IS,
	WEIR_RATE_RESUMES,  /* what was learned before a trial holds again: weir_rate_learn with rate 0 */
	WEIR_RATE_SUSTAINS, /* so does that; but `rate` was accepted, and it is no less */
	WEIR_RATE_LEARNS,   /* `rate`, `trust`: weir_rate_learn */
	WEIR_RATE_FORGETS,  /* refusals said nothing about it: weir_rate_reset */
};
struct weir_refusal_advice {
	bool counts;       /* the rate's controller is to hear of this refusal */
	bool paced;        /* the cap has changed, or the rate is to: its controller must run */
	bool crowded;      /* `permits` is to hold (0: none) */
	uint64_t pause_ns; /* nobody goes for so long */
	uint64_t rate, trust;
	enum weir_refusal_rate rates;
	uint32_t permits;
};

/* Hears an answer. */
struct weir_refusal_advice weir_refusal_hear(struct weir_refusal *f, const struct weir_refusal_answer *a, uint64_t now_ns);

/* The rate's controller has taken the refusal `a` in; `surprised`: at a pace that should not have met with one. */
struct weir_refusal_advice weir_refusal_counted(struct weir_refusal *f, const struct weir_refusal_answer *a, bool surprised,
						uint64_t now_ns);

void weir_refusal_clear(struct weir_refusal *f);

#endif
