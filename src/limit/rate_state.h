/* SPDX-License-Identifier: MIT */
/*
 * What the rate controllers remember between two updates: the contents of struct weir_rate's published block, and the arithmetic
 * they share. Everything is an integer: rates in nano-admissions per second, times in CLOCK_MONOTONIC nanoseconds, so there is no
 * NaN to be afraid of and no floating point state of the host program that matters.
 */
#ifndef WEIR_LIMIT_RATE_STATE_H
#define WEIR_LIMIT_RATE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/rate.h"

#define RATE_SECOND UINT64_C(1000000000)
#define RATE_MS     UINT64_C(1000000)

/* Below this nothing is ever paced: one in a million seconds (the floor that rate.h names for min = 0). */
#define RATE_FLOOR UINT64_C(1000)

/* Adaptive: what it is doing. Values are stored; 0 is the zeroed beginning. */
enum rate_phase {
	RATE_FREE = 0, /* no limit: the host has given no reason */
	RATE_CLIMB,    /* looking for the limit from below */
	RATE_PLATEAU,  /* staying a little below what was found */
	RATE_FALL,     /* the limit has fallen, nobody knows how far */
	RATE_PHASES
};

/* Word by word the published block. */
struct rate_state {
	uint64_t tag;   /* STATE_TAG: strategy that wrote it + 1; another one's state is not read */
	uint64_t phase; /* enum rate_phase */
	uint64_t rate;  /* nano/s, 0 = no limit; adaptive: what was learned, beside what was told */
	/* the counters of struct weir_rate as they were at the last update */
	uint64_t seen_accepted, seen_throttled, seen_failed;
	/* conservative, aggressive */
	/* Where two share a word, the second is adaptive's, and what rate.c holds the first to is true of it as well. */
	union {
		uint64_t interval_ns; /* when the interval began */
		uint64_t kept_ns;     /* of the last run of refusals, that in which holds that the host asked for were kept */
	};
	uint64_t interval_accepted;
	union {
		uint64_t interval_throttled;
		uint64_t broken; /* refusals in a row after such holds; from LONG_RUN on remembered */
	};
	uint64_t interval_failed;
	union {
		uint64_t streak;         /* good answers in a row */
		uint64_t asked_until_ns; /* the hold that the last refusal asked for, 0 = none */
	};
	/* the last cut: results of requests admitted before it say nothing new */
	uint64_t cut_ns;
	uint64_t cut_accepted; /* accepted when it was made: no other cut until it has grown */
	/* adaptive: the estimate and where the search for it stands */
	uint64_t estimate;       /* nano/s, 0 = none yet */
	uint64_t trust;          /* accepts that the estimate rests on */
	uint64_t agreed;         /* cycles in a row that confirmed it */
	uint64_t empty_ns;       /* the host last refused after it had accepted: its bucket was empty then */
	uint64_t empty_accepted; /* accepted at that time */
	uint64_t stale;          /* refusals of requests that were in flight at the last cut */
	uint64_t goal_accepted;  /* the step or plateau ends when accepted reaches it */
	uint64_t step_ns;        /* when it began */
	uint64_t step_accepted;
	uint64_t step_from;  /* the rate before it */
	uint64_t growth_ppm; /* of the next step */
	uint64_t plateau;    /* accepts on the last plateau */
	/* adaptive: refusals in a row, without an accept between them */
	uint64_t run_ns;      /* when the first of them was sent, 0 = none */
	uint64_t run_last_ns; /* when the last of them was sent */
	uint64_t runs;        /* how many */
	uint64_t pause_ns;    /* the last pause made */
	/* adaptive: a fixed window */
	uint64_t window_ns;     /* its length, 0 = not known */
	uint64_t window_limit;  /* accepts in one, 0 = no window seen */
	uint64_t window_low_ns; /* a boundary lies between these two */
	uint64_t window_high_ns;
	uint64_t window_run_ns;   /* no boundary lay within a span of this length */
	uint64_t window_accepted; /* accepted at the boundary */
	uint64_t window_guess;    /* candidate length that is being tried + 1 */
	uint64_t climb_ns;        /* when the way up began */
	uint64_t climb_accepted;
	uint64_t flight; /* requests in flight when the host last refused: the blur of a count of accepts */
	/* adaptive: what the host says of itself */
	uint64_t told;        /* nano/s, 0 = nothing */
	uint64_t told_end_ns; /* when the window that this is about ends; bit 0 (TOLD_SPENT): nothing is left in it */
	uint64_t held_ns;     /* the boundary that the last Retry-After named */
	uint64_t idle;        /* adaptive: the pace was not in use throughout since the last refusal */
	uint64_t looked_ns;   /* adaptive: the last update */
};
_Static_assert(sizeof(struct rate_state) == WEIR_RATE_WORDS * sizeof(uint64_t), "fills the published block");

/* What a strategy is given and what it asks for. */
struct rate_step {
	struct rate_state *s;
	const struct weir_rate_params *p; /* sanitized */
	const struct weir_rate_answer *answer;
	uint64_t now_ns;
	uint64_t accepted, throttled, failed; /* the counters now */
	uint64_t pace;                        /* out: of the bucket, 0 = no limit */
	uint64_t burst;                       /* out: of the bucket */
	uint64_t freeze_until_ns;             /* out: nothing goes before this, 0 = no such wish */
	uint64_t due_ns;                      /* out: the next update, 0 = none by time */
	uint64_t due_accepted;                /* out: the next update by accepts, 0 = none */
	uint64_t spare_until_ns;              /* out: until then the pace is that of a quota of which something is left */
	bool surprised;                       /* out: refused at a pace that should not have been */
};

/* a * b / c, saturating; c = 0 reads as 1. */
static inline uint64_t rate_mul_div(uint64_t a, uint64_t b, uint64_t c)
{
	unsigned __int128 q = (unsigned __int128)a * b / (c ? c : 1);

	return q > UINT64_MAX ? UINT64_MAX : (uint64_t)q;
}

/* n admissions in `ns`, as a rate: n * 1e18 / ns. */
static inline uint64_t rate_of(uint64_t n, uint64_t ns)
{
	unsigned __int128 q = (unsigned __int128)n * (RATE_SECOND * RATE_SECOND) / (ns ? ns : 1);

	return q > WEIR_RATE_MAX ? WEIR_RATE_MAX : (uint64_t)q;
}

/* How long n admissions take at a rate. */
static inline uint64_t rate_time_ns(uint64_t n, uint64_t rate)
{
	unsigned __int128 q = (unsigned __int128)n * (RATE_SECOND * RATE_SECOND) / (rate ? rate : 1);

	return q > UINT64_MAX / 4 ? UINT64_MAX / 4 : (uint64_t)q;
}

static inline uint64_t rate_clamp(uint64_t rate, const struct weir_rate_params *p)
{
	if (rate > p->max)
		rate = p->max;
	return rate < p->min ? p->min : rate;
}

/* The strategies. Each reads and replaces *step->s and the wishes of *step; none touches shared memory. */
void rate_stepped(struct rate_step *step);
void rate_adaptive(struct rate_step *step);

/* See weir_rate_learn. */
void rate_adaptive_learn(struct rate_step *step, uint64_t rate, uint64_t trust);

/* Brings an adaptive state into range, whatever the words hold. */
void rate_adaptive_sanitize(struct rate_state *s, uint64_t now_ns);

#endif
