/* SPDX-License-Identifier: MIT */
/*
 * What is remembered of refusals between two answers, its packing into struct weir_refusal, and the arithmetic of evidence and
 * trials that its parts share.
 */
#ifndef WEIR_LIMIT_REFUSAL_STATE_H
#define WEIR_LIMIT_REFUSAL_STATE_H

#include <string.h>

#include "logarithm.h"
#include "rate_state.h"
#include "weir/refusal.h"

#define BLOCK          16U   /* answers: refusals come in clusters, and are counted in blocks */
#define CROWD_LOOK_MAX 4096U /* good answers between two looks beyond the permits */
#define DISPERSION_MAX 16.0
/* Wald's sequential test of the share against a third of it: odds of 100 : 1 decide. */
#define ODDS      4.6
#define THIRD     3.0
#define LONGEST   14.0 /* answers x share after which the odds decide as they are */
#define LONG_NS   (30 * RATE_SECOND)
#define SHARE_MIN .02
#define SHARE_MAX .9

/* After a verdict the same question is asked again after this, and after three times as long each time. */
#define AGAIN_S      20U
#define AGAIN_MAX    8U /* 3^8: a day and a half */
#define AGAIN_UNIT_S 4U
#define AGAIN_MASK   ((1U << 21) - 1)
#define AGAIN_FAR    50000U

#define PAUSE_LEAST_NS (20 * RATE_MS)
#define PAUSE_MOST_NS  (2 * RATE_SECOND)

/* held = status:16 | meaning:4 | trial:4 | passes:4 | tries:4 for each question | permits:12 | chance_permille:12 */
enum question { OF_STATUS, OF_CHANCE, OF_CROWD, QUESTIONS };
struct refusal_state {
	uint32_t status, passes;
	enum weir_refusal_meaning meaning;
	enum weir_refusal_trial trial;
	uint32_t tries[QUESTIONS]; /* how often each was asked in vain */
	uint32_t permits, chance_permille;
	uint64_t due_accepted, cap;
	/* the watch of the bare status */
	uint64_t first_ns, last_ns;             /* its first and last refusal */
	uint64_t first_accepted, last_accepted; /* good answers then */
	uint32_t x, squares;                    /* refusals; sum of their squares over whole blocks */
	uint32_t block, in_block;               /* the block at hand, and refusals in it */
	/* the trial */
	uint64_t from_ns, from_accepted; /* requests let go before, and good answers until then, are not of it */
	uint32_t trial_x, share_ppm;     /* refusals in it; dispersion:8 | share before:24 */
	uint64_t before;                 /* the pace that it had accepted, nano/s */
	/* throttled answers */
	uint64_t base_accepted; /* good answers when the counts began */
	uint32_t n, score, strikes, looking;
	uint32_t excess_milli, chance_ppm;
	uint64_t alarm_ns;         /* what was let go before is no news */
	uint32_t least, most;      /* others in flight beside the refused request that had fewest, and beside the next such */
	uint32_t interval, below;  /* good ones with no more beside them than `most` */
	uint32_t again[QUESTIONS]; /* when it may be asked next: in AGAIN_UNITs, modulo 2^21; 0: at once */
	uint64_t seen_accepted;    /* good answers at the last refusal */
};

/* ---- the state and its packing ---- */

static inline uint64_t get(const struct weir_refusal *f, unsigned i)
{
	return atomic_load_explicit(&f->state[i], memory_order_relaxed);
}

static inline void put(_Atomic uint64_t *word, uint64_t value)
{
	if (atomic_load_explicit(word, memory_order_relaxed) != value)
		atomic_store_explicit(word, value, memory_order_relaxed);
}

static inline uint64_t pair(uint32_t high, uint32_t low)
{
	return (uint64_t)high << 32 | low;
}

static inline uint32_t bits(uint64_t word, unsigned from, unsigned count)
{
	return (uint32_t)(word >> from & ((UINT64_C(1) << count) - 1));
}

static inline uint64_t not_after(uint64_t t, uint64_t now)
{
	return t < now ? t : now;
}

static inline uint32_t at_most(uint32_t n, uint32_t max)
{
	return n < max ? n : max;
}

static inline void unpack(uint64_t held, struct refusal_state *s)
{
	s->status = bits(held, 48, 16);
	s->meaning =
		bits(held, 44, 4) > WEIR_REFUSAL_CHANCE ? WEIR_REFUSAL_UNKNOWN : (enum weir_refusal_meaning)bits(held, 44, 4);
	s->trial = bits(held, 40, 4) > WEIR_TRIAL_SILENCE ? WEIR_TRIAL_NONE : (enum weir_refusal_trial)bits(held, 40, 4);
	s->passes = bits(held, 36, 4);
	for (unsigned i = 0; i < QUESTIONS; i++)
		s->tries[i] = at_most(bits(held, 32 - 4 * i, 4), AGAIN_MAX);
	s->permits = bits(held, 12, 12);
	s->chance_permille = at_most(bits(held, 0, 12), 999);
}

static inline uint64_t packed(const struct refusal_state *s)
{
	return (uint64_t)s->status << 48 | (uint64_t)s->meaning << 44 | (uint64_t)s->trial << 40 | (uint64_t)s->passes << 36 |
	       (uint64_t)s->tries[OF_STATUS] << 32 | (uint64_t)s->tries[OF_CHANCE] << 28 | (uint64_t)s->tries[OF_CROWD] << 24 |
	       (uint64_t)s->permits << 12 | s->chance_permille;
}

static inline void load(const struct weir_refusal *f, const struct weir_refusal_answer *a, uint64_t now_ns,
			struct refusal_state *s)
{
	memset(s, 0, sizeof(*s));
	unpack(atomic_load_explicit(&f->held, memory_order_relaxed), s);
	s->cap = atomic_load_explicit(&f->cap, memory_order_relaxed);
	s->first_ns = not_after(get(f, 0), now_ns);
	s->last_ns = not_after(get(f, 1), now_ns);
	s->first_accepted = not_after(get(f, 2), a->accepted);
	s->last_accepted = not_after(get(f, 3), a->accepted);
	s->x = bits(get(f, 4), 32, 32);
	s->squares = bits(get(f, 4), 0, 32);
	s->block = bits(get(f, 5), 32, 32);
	s->in_block = at_most(bits(get(f, 5), 0, 32), BLOCK);
	s->from_ns = get(f, 6) < now_ns + PAUSE_MOST_NS ? get(f, 6) : now_ns;
	s->from_accepted = not_after(get(f, 7), a->accepted);
	s->trial_x = bits(get(f, 8), 32, 32);
	s->share_ppm = bits(get(f, 8), 0, 32);
	s->before = get(f, 9) < WEIR_RATE_MAX ? get(f, 9) : WEIR_RATE_MAX;
	s->base_accepted = not_after(get(f, 10), a->accepted);
	s->n = bits(get(f, 11), 32, 32);
	s->score = bits(get(f, 11), 16, 16);
	s->strikes = bits(get(f, 11), 8, 8);
	s->looking = bits(get(f, 11), 0, 8);
	s->excess_milli = at_most(bits(get(f, 12), 32, 32), 1000000);
	s->chance_ppm = at_most(bits(get(f, 12), 0, 32), 990000);
	s->alarm_ns = not_after(get(f, 13), now_ns);
	s->most = bits(get(f, 14), 48, 16);
	s->interval = at_most(bits(get(f, 14), 32, 16), CROWD_LOOK_MAX);
	s->least = bits(get(f, 14), 16, 16);
	s->below = bits(get(f, 14), 0, 16);
	for (unsigned i = 0; i < QUESTIONS; i++)
		s->again[i] = bits(get(f, 15), 21 * i, 21);
	s->seen_accepted = not_after(get(f, 16), a->accepted);
}

/* When good answers are to be heard again. */
static inline uint64_t due(const struct refusal_state *s)
{
	if (s->trial != WEIR_TRIAL_NONE)
		return 1;
	if (s->permits != 0)
		return s->base_accepted + s->interval + 1;
	return s->n != 0 && s->most != 0 ? 1 : 0;
}

static inline void store(struct weir_refusal *f, const struct refusal_state *s)
{
	put(&f->state[0], s->first_ns);
	put(&f->state[1], s->last_ns);
	put(&f->state[2], s->first_accepted);
	put(&f->state[3], s->last_accepted);
	put(&f->state[4], pair(s->x, s->squares));
	put(&f->state[5], pair(s->block, s->in_block));
	put(&f->state[6], s->from_ns);
	put(&f->state[7], s->from_accepted);
	put(&f->state[8], pair(s->trial_x, s->share_ppm));
	put(&f->state[9], s->before);
	put(&f->state[10], s->base_accepted);
	put(&f->state[11],
	    pair(s->n, at_most(s->score, 0xffff) << 16 | at_most(s->strikes, 0xff) << 8 | at_most(s->looking, 0xff)));
	put(&f->state[12], pair(s->excess_milli, s->chance_ppm));
	put(&f->state[13], s->alarm_ns);
	put(&f->state[14],
	    pair(at_most(s->most, 0xffff) << 16 | s->interval, at_most(s->least, 0xffff) << 16 | at_most(s->below, 0xffff)));
	put(&f->state[15], s->again[0] | (uint64_t)s->again[1] << 21 | (uint64_t)s->again[2] << 42);
	put(&f->state[16], s->seen_accepted);
	put(&f->cap, s->cap);
	put(&f->due_accepted, due(s));
	put(&f->held, packed(s));
}

/* ---- evidence ---- */

static inline uint32_t again_at(uint64_t now_ns, uint64_t wait_s)
{
	uint32_t at = (uint32_t)((now_ns / RATE_SECOND + wait_s) / AGAIN_UNIT_S) & AGAIN_MASK;

	return at != 0 ? at : 1;
}

/* Whether a question may be asked (again). A time that is too far ahead is damage. */
static inline bool may_ask(const struct refusal_state *s, enum question which, uint64_t now_ns)
{
	uint32_t left = (s->again[which] - again_at(now_ns, 0)) & AGAIN_MASK;

	return s->again[which] == 0 || left == 0 || left > AGAIN_FAR;
}

static inline void ask_later(struct refusal_state *s, enum question which, uint64_t now_ns)
{
	uint32_t wait = AGAIN_S;

	for (uint32_t i = 0; i < s->tries[which]; i++)
		wait *= 3;
	s->again[which] = again_at(now_ns, wait);
	s->tries[which] = at_most(s->tries[which] + 1, AGAIN_MAX);
}

/* Good answers since `from`, where x bare 4xx among them were none. */
static inline double good_since(uint64_t accepted, uint64_t from, uint32_t x, uint32_t status)
{
	uint64_t n = accepted - from;

	if (status < 500)
		n = n > x ? n - x : 0;
	return (double)(n < UINT32_MAX ? n : UINT32_MAX);
}

/* What is known of the share before a trial: the lower end of it, so that chance does not look like an effect. */
static inline void weigh(struct refusal_state *s, double x, double good, double dispersion)
{
	double share = x / (x + good + 1e-9), doubt = dispersion / (x + 1e-9), root = 1;

	/* Newton's square root, of what lies between 0 and 1. */
	doubt = within(doubt, 1e-6, 1);
	for (int i = 0; i < 12; i++)
		root = (root + doubt / root) / 2;
	share = within(share * (1 - .7 * root), SHARE_MIN, SHARE_MAX);
	s->share_ppm = (uint32_t)(share * 1e6) | (uint32_t)within(dispersion, 1, DISPERSION_MAX) << 24;
}

static inline double share_of(const struct refusal_state *s)
{
	return within((double)(s->share_ppm & 0xffffff) / 1e6, SHARE_MIN / 4, SHARE_MAX);
}

static inline double dispersion_of(const struct refusal_state *s)
{
	return within((double)(s->share_ppm >> 24), 1, DISPERSION_MAX);
}

enum finding { UNDECIDED, SAME, RARER, LATE };

/* Whether the share in the trial is that of before, or a third of it. */
static inline enum finding compare(const struct refusal_state *s, double good, uint64_t now_ns)
{
	double p = share_of(s), d = dispersion_of(s), x = (double)s->trial_x;
	double odds = (x * ln(THIRD) - good * ln((1 - p / THIRD) / (1 - p))) / d;
	double answers = LONGEST * d / p;

	if (odds >= ODDS)
		return SAME;
	if (odds <= -ODDS)
		return RARER;
	if (x + good >= answers)
		return odds > 0 ? SAME : RARER;
	if (s->cap != 0 && now_ns > s->from_ns &&
	    now_ns - s->from_ns > LONG_NS + 4 * rate_time_ns((uint64_t)answers, s->cap == WEIR_RATE_ASIDE ? s->before : s->cap))
		return LATE;
	return UNDECIDED;
}

/* ---- trials ---- */

static inline void begin_trial(struct refusal_state *s, enum weir_refusal_trial trial, const struct weir_refusal_answer *a,
			       uint64_t cap, struct weir_refusal_advice *out, uint64_t now_ns)
{
	uint64_t pause = 2 * a->usual_ns;

	pause = pause < PAUSE_LEAST_NS ? PAUSE_LEAST_NS : pause > PAUSE_MOST_NS ? PAUSE_MOST_NS : pause;
	s->trial = trial;
	s->trial_x = 0;
	s->from_ns = now_ns + pause;
	s->from_accepted = a->accepted;
	s->cap = cap;
	out->pause_ns = pause;
	out->paced = true;
}

static inline void end_trial(struct refusal_state *s, struct weir_refusal_advice *out)
{
	s->trial = WEIR_TRIAL_NONE;
	s->cap = 0;
	out->paced = true;
}

/* By silence (refusal_silence.c): begins it; a refusal or a good answer in it. */
void refusal_fall_silent(struct refusal_state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out,
			 uint64_t now_ns);
void refusal_hear_in_silence(struct refusal_state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out,
			     uint64_t now_ns);
/* A status that means "less" has come. Where it comes alone for as long as silence would be tried, it does not any more. */
void refusal_hear_learned(struct refusal_state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out,
			  uint64_t now_ns);
bool refusal_may_ban(uint32_t status);

/* Bare statuses (refusal_bare.c): one has come; the trial has found something. */
void refusal_hear_bare(struct refusal_state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out,
		       uint64_t now_ns);
void refusal_conclude_bare(struct refusal_state *s, const struct weir_refusal_answer *a, enum finding finding,
			   struct weir_refusal_advice *out, uint64_t now_ns);

#endif
