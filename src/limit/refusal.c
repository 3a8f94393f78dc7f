/* SPDX-License-Identifier: MIT */
/*
 * Order of this file: the state and its packing; evidence and its arithmetic; trials; bare statuses; throttled answers, by chance
 * and by the crowd; the way in. docs/control.md, "What a refusal means".
 */
#include "weir/refusal.h"

#include <string.h>

#include "logarithm.h"
#include "rate_state.h"

/* A watch of bare statuses ends after so many answers, or so many good ones in a row, and begins anew. */
#define WATCH_ANSWERS 1024U
#define WATCH_GOOD    512U
#define WATCH_IDLE_NS (600 * RATE_SECOND)

/* Refusals come in clusters. They are counted in blocks of so many answers, and where the blocks differ by more than chance has
 * them differ, each refusal is worth less. */
#define BLOCK          16U
#define DISPERSION_MAX 16.0
#define DISPERSION_LOW 3.0 /* at least, where less than BARE_OFTEN are refused */

/* What is worth a trial: so many refusals of independent worth, such a share, so many blocks. */
#define BARE_REFUSALS      8.0
#define BARE_SHARE         .04
#define BARE_OFTEN         .3
#define BARE_BLOCKS        8U
#define BARE_MOSTLY        .5
#define BARE_BLOCKS_MOSTLY 3U
/* Good answers between the first and the last refusal, of which the pace is measured. */
#define BARE_GOOD 3U
/* A bare status must become rarer at half the pace so many times, with full pace between. */
#define BARE_PASSES 2U

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

/* Surprising refusals before it is asked whether they come by chance; each is forgotten over so many good answers. */
#define SURPRISES       3.0
#define SURPRISES_OFTEN 3 /* where there are no more than so many good answers to each */
#define SURPRISE_GOOD   128.0
#define SCORE_ONE       256.0
/* Their share is compared with a fifth of it, over twice as many answers as there were between the first of them and the last. */
#define FIFTH         5.0
#define CHANCE_TIMES  2.0
#define CHANCE_FEWEST 16.0
#define CHANCE_ODDS   .5 /* in the end; until then: */
#define CHANCE_SOON   2.0
#define CHANCE_LONG   4.0
#define CHANCE_OFF    3.0 /* a share that has grown by more than this is no chance but a limit that falls */

/* Refusals by chance: what is more than their share is the pace's doing. The rise that is looked for, and Page's bound (1954). */
#define EXCESS         .25
#define EXCESS_ODDS    7.0
#define CHANCE_X       32U
#define CHANCE_GOOD    4096U
#define CHANCE_MIN_PPM 3000U

/* A crowd: refusals, good answers below all of them, and what the trial must bring. */
#define CROWD_REFUSALS     4U
#define CROWD_GOOD         16U
#define CROWD_WATCH        512U
#define CROWD_GAIN_PERCENT 102U
#define CROWD_LOOK         128U
#define CROWD_LOOK_MIN     64U
#define CROWD_LOOK_MAX     4096U
#define CROWD_STRIKES      4U
#define PERMITS_MAX        4096U

#define PAUSE_LEAST_NS (20 * RATE_MS)
#define PAUSE_MOST_NS  (2 * RATE_SECOND)

/* held = status:16 | meaning:4 | trial:4 | passes:4 | tries:4 for each question | permits:12 | chance_permille:12 */
enum question { OF_STATUS, OF_CHANCE, OF_CROWD, QUESTIONS };
struct state {
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

static uint64_t get(const struct weir_refusal *f, unsigned i)
{
	return atomic_load_explicit(&f->state[i], memory_order_relaxed);
}

static void put(_Atomic uint64_t *word, uint64_t value)
{
	if (atomic_load_explicit(word, memory_order_relaxed) != value)
		atomic_store_explicit(word, value, memory_order_relaxed);
}

static uint64_t pair(uint32_t high, uint32_t low)
{
	return (uint64_t)high << 32 | low;
}

static uint32_t bits(uint64_t word, unsigned from, unsigned count)
{
	return (uint32_t)(word >> from & ((UINT64_C(1) << count) - 1));
}

static uint64_t not_after(uint64_t t, uint64_t now)
{
	return t < now ? t : now;
}

static uint32_t at_most(uint32_t n, uint32_t max)
{
	return n < max ? n : max;
}

static void unpack(uint64_t held, struct state *s)
{
	s->status = bits(held, 48, 16);
	s->meaning =
		bits(held, 44, 4) > WEIR_REFUSAL_CHANCE ? WEIR_REFUSAL_UNKNOWN : (enum weir_refusal_meaning)bits(held, 44, 4);
	s->trial = bits(held, 40, 4) > WEIR_TRIAL_CROWD ? WEIR_TRIAL_NONE : (enum weir_refusal_trial)bits(held, 40, 4);
	s->passes = bits(held, 36, 4);
	for (unsigned i = 0; i < QUESTIONS; i++)
		s->tries[i] = at_most(bits(held, 32 - 4 * i, 4), AGAIN_MAX);
	s->permits = bits(held, 12, 12);
	s->chance_permille = at_most(bits(held, 0, 12), 999);
}

static uint64_t packed(const struct state *s)
{
	return (uint64_t)s->status << 48 | (uint64_t)s->meaning << 44 | (uint64_t)s->trial << 40 | (uint64_t)s->passes << 36 |
	       (uint64_t)s->tries[OF_STATUS] << 32 | (uint64_t)s->tries[OF_CHANCE] << 28 | (uint64_t)s->tries[OF_CROWD] << 24 |
	       (uint64_t)s->permits << 12 | s->chance_permille;
}

static void load(const struct weir_refusal *f, const struct weir_refusal_answer *a, uint64_t now_ns, struct state *s)
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
static uint64_t due(const struct state *s)
{
	if (s->trial != WEIR_TRIAL_NONE)
		return 1;
	if (s->permits != 0)
		return s->base_accepted + s->interval + 1;
	return s->n != 0 && s->most != 0 ? 1 : 0;
}

static void store(struct weir_refusal *f, const struct state *s)
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

static uint32_t again_at(uint64_t now_ns, uint64_t wait_s)
{
	uint32_t at = (uint32_t)((now_ns / RATE_SECOND + wait_s) / AGAIN_UNIT_S) & AGAIN_MASK;

	return at != 0 ? at : 1;
}

/* Whether a question may be asked (again). A time that is too far ahead is damage. */
static bool may_ask(const struct state *s, enum question which, uint64_t now_ns)
{
	uint32_t left = (s->again[which] - again_at(now_ns, 0)) & AGAIN_MASK;

	return s->again[which] == 0 || left == 0 || left > AGAIN_FAR;
}

static void ask_later(struct state *s, enum question which, uint64_t now_ns)
{
	uint32_t wait = AGAIN_S;

	for (uint32_t i = 0; i < s->tries[which]; i++)
		wait *= 3;
	s->again[which] = again_at(now_ns, wait);
	s->tries[which] = at_most(s->tries[which] + 1, AGAIN_MAX);
}

/* Good answers since `from`, where x bare 4xx among them were none. */
static double good_since(uint64_t accepted, uint64_t from, uint32_t x, uint32_t status)
{
	uint64_t n = accepted - from;

	if (status < 500)
		n = n > x ? n - x : 0;
	return (double)(n < UINT32_MAX ? n : UINT32_MAX);
}

/* What is known of the share before a trial: the lower end of it, so that chance does not look like an effect. */
static void weigh(struct state *s, double x, double good, double dispersion)
{
	double share = x / (x + good + 1e-9), doubt = dispersion / (x + 1e-9), root = 1;

	/* Newton's square root, of what lies between 0 and 1. */
	doubt = within(doubt, 1e-6, 1);
	for (int i = 0; i < 12; i++)
		root = (root + doubt / root) / 2;
	share = within(share * (1 - .7 * root), SHARE_MIN, SHARE_MAX);
	s->share_ppm = (uint32_t)(share * 1e6) | (uint32_t)within(dispersion, 1, DISPERSION_MAX) << 24;
}

static double share_of(const struct state *s)
{
	return within((double)(s->share_ppm & 0xffffff) / 1e6, SHARE_MIN / 4, SHARE_MAX);
}

static double dispersion_of(const struct state *s)
{
	return within((double)(s->share_ppm >> 24), 1, DISPERSION_MAX);
}

enum finding { UNDECIDED, SAME, RARER, LATE };

/* Whether the share in the trial is that of before, or a third of it. */
static enum finding compare(const struct state *s, double good, uint64_t now_ns)
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

static void begin_trial(struct state *s, enum weir_refusal_trial trial, const struct weir_refusal_answer *a, uint64_t cap,
			struct weir_refusal_advice *out, uint64_t now_ns)
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

static void end_trial(struct state *s, struct weir_refusal_advice *out)
{
	s->trial = WEIR_TRIAL_NONE;
	s->cap = 0;
	out->paced = true;
}

/* ---- bare statuses ---- */

bool weir_refusal_may_be(uint32_t status)
{
	switch (status) {
	case 403:
	case 408:
	case 418:
	case 420:
	case 425:
	case 430:
		return true;
	case 500: /* something is broken in what was asked for */
	case 501:
	case 505:
	case 506:
	case 507:
	case 508:
	case 510:
	case 511: /* log in to the network first */
		return false;
	default:
		return (status > 451 && status < 500) || (status >= 502 && status <= 599) || status == 999;
	}
}

static void watch_anew(struct state *s, uint32_t status, uint64_t accepted, uint64_t now_ns)
{
	if (s->status != status) {
		s->meaning = WEIR_REFUSAL_UNKNOWN;
		s->passes = s->tries[OF_STATUS] = 0;
		s->again[OF_STATUS] = 0;
	} else if (s->passes != 0 && now_ns - s->last_ns > WATCH_IDLE_NS) {
		s->passes = 0;
	}
	s->status = status;
	s->first_ns = s->last_ns = now_ns;
	s->first_accepted = s->last_accepted = accepted;
	s->x = s->squares = s->block = s->in_block = 0;
}

static void count_bare(struct state *s, uint64_t accepted, uint64_t now_ns)
{
	double good = good_since(accepted, s->first_accepted, s->x, s->status);
	uint32_t block = (uint32_t)within((good + s->x) / BLOCK, 0, 1e6);

	if (block != s->block) {
		s->squares += s->in_block * s->in_block;
		s->in_block = 0;
		s->block = block;
	}
	s->x = s->x == 0 ? 2 : s->x + 1;
	s->in_block = at_most(s->in_block + 1, BLOCK);
	s->last_ns = now_ns;
	s->last_accepted = accepted;
}

/* How much more the blocks differ than those of independent refusals would. */
static double dispersion(const struct state *s, double share)
{
	double blocks = s->block, mean, variance, least = share < BARE_OFTEN ? DISPERSION_LOW : 1;

	if (blocks < 2)
		return least;
	mean = ((double)s->x - s->in_block) / blocks;
	variance = s->squares / blocks - mean * mean;
	return within(variance / (BLOCK * share * (1 - share) + 1e-9), least, DISPERSION_MAX);
}

static void hear_bare(struct state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out, uint64_t now_ns)
{
	double good, share, d;
	uint64_t rate, between;

	/* One status is watched at a time: the one that comes. */
	if (s->status != a->status && s->x > 4 && s->status != 0 && now_ns - s->last_ns < WATCH_IDLE_NS)
		return;
	if (s->status != a->status || s->x == 0 || s->x > WATCH_ANSWERS || now_ns - s->last_ns > WATCH_IDLE_NS ||
	    a->accepted - s->last_accepted > WATCH_GOOD) {
		watch_anew(s, a->status, a->accepted, now_ns);
		s->x = 1;
		return;
	}
	/* What was in flight at the first refusal may have been let in before: the watch begins with what was sent after it. */
	if (a->admitted_ns < s->first_ns) {
		s->first_accepted += a->status < 500;
		return;
	}
	if (s->x == 1)
		watch_anew(s, a->status, a->accepted, now_ns);
	count_bare(s, a->accepted, now_ns);
	good = good_since(a->accepted, s->first_accepted, s->x, s->status);
	if (good + s->x > WATCH_ANSWERS)
		s->x = 0;
	if (!may_ask(s, OF_STATUS, now_ns) || s->trial != WEIR_TRIAL_NONE)
		return;
	share = s->x / (good + s->x + 1e-9);
	d = dispersion(s, share);
	if (share < BARE_SHARE || s->x < BARE_REFUSALS * d ||
	    s->block < (share > BARE_MOSTLY ? BARE_BLOCKS_MOSTLY : BARE_BLOCKS) || good < BARE_GOOD || now_ns <= s->first_ns)
		return;
	between = (uint64_t)good;
	rate = rate_of(between, now_ns - s->first_ns);
	weigh(s, s->x, good, d);
	s->before = rate;
	begin_trial(s, WEIR_TRIAL_STATUS, a, rate / 2 ? rate / 2 : 1, out, now_ns);
}

static void conclude_status(struct state *s, const struct weir_refusal_answer *a, enum finding finding,
			    struct weir_refusal_advice *out, uint64_t now_ns)
{
	end_trial(s, out);
	if (finding == RARER && ++s->passes >= BARE_PASSES) {
		s->meaning = WEIR_REFUSAL_PACE;
		s->passes = s->tries[OF_STATUS] = 0;
		s->again[OF_STATUS] = 0;
		s->base_accepted = s->seen_accepted = a->accepted;
		s->n = s->score = s->most = s->least = s->below = s->looking = 0;
		out->rates = WEIR_RATE_LEARNS;
		out->rate = s->before;
		out->trust = (uint64_t)within(good_since(s->last_accepted, s->first_accepted, s->x, s->status), 1, 64);
	} else if (finding == SAME) {
		s->meaning = WEIR_REFUSAL_CHANCE;
		s->passes = 0;
		ask_later(s, OF_STATUS, now_ns);
	} else if (finding == LATE) {
		ask_later(s, OF_STATUS, now_ns);
	}
	s->x = 0;
}

/* ---- throttled answers: by chance ---- */

static void count_anew(struct state *s, uint64_t accepted)
{
	s->base_accepted = s->seen_accepted = accepted;
	s->n = s->below = s->most = s->least = s->looking = 0;
}

static void set_chance(struct state *s, double share)
{
	s->chance_ppm = (uint32_t)(within(share, 0, .9) * 1e6);
	if (s->chance_ppm < CHANCE_MIN_PPM)
		s->chance_ppm = 0;
	s->chance_permille = s->chance_ppm / 1000;
}

/* Two samples: of n1 answers x1 were refused before, the first one aside, and of n2 in the trial x2. Both are rare, so Poisson's
 * likelihoods: the same share in both, or a fifth of it in the trial, each with the share that fits best. */
static enum finding compare_rare(const struct state *s, double good, uint64_t now_ns)
{
	double x1 = dispersion_of(s), n1 = x1 / share_of(s), x2 = s->trial_x, n2 = good + x2, odds;

	n1 = n1 < CHANCE_FEWEST ? CHANCE_FEWEST : n1;
	odds = (x1 + x2) * ln((n1 + n2 / FIFTH) / (n1 + n2)) + x2 * ln(FIFTH);
	if (now_ns > s->from_ns && now_ns - s->from_ns > LONG_NS + 2 * rate_time_ns((uint64_t)(CHANCE_LONG * n1), s->cap))
		return LATE;
	/* Far more than before: that is a limit which falls. */
	if (n2 >= CHANCE_FEWEST && x2 > 2 && x2 * n1 > CHANCE_OFF * x1 * n2)
		return LATE;
	if (n2 < CHANCE_LONG * n1 && n2 >= CHANCE_FEWEST && odds >= CHANCE_SOON)
		return SAME;
	if (n2 < CHANCE_LONG * n1 && (n2 < CHANCE_TIMES * n1 || odds > -CHANCE_SOON))
		return UNDECIDED;
	return odds >= CHANCE_ODDS ? SAME : RARER;
}

static void conclude_chance(struct state *s, const struct weir_refusal_answer *a, enum finding finding,
			    struct weir_refusal_advice *out, uint64_t now_ns)
{
	double good = (double)(a->accepted - s->from_accepted);

	end_trial(s, out);
	ask_later(s, OF_CHANCE, now_ns);
	s->score = 0;
	s->alarm_ns = now_ns;
	if (finding != SAME) {
		out->rates = finding == RARER ? WEIR_RATE_SUSTAINS : WEIR_RATE_RESUMES;
		out->rate = s->before / 2;
		return;
	}
	count_anew(s, a->accepted);
	if (s->meaning == WEIR_REFUSAL_PACE && a->status == s->status) {
		/* What was taken for a sign of the pace is none (any more). */
		s->meaning = WEIR_REFUSAL_CHANCE;
		s->x = s->tries[OF_STATUS] = 0;
		ask_later(s, OF_STATUS, now_ns);
		out->rates = WEIR_RATE_FORGETS;
		return;
	}
	good += dispersion_of(s) / share_of(s);
	set_chance(s, (s->trial_x + dispersion_of(s)) / (s->trial_x + good + 1e-9));
	s->share_ppm = s->chance_ppm;
	s->excess_milli = 0;
	out->rates = WEIR_RATE_LEARNS;
	out->rate = s->before;
}

/* Whether there are more refusals than chance brings. */
static bool exceeds(struct state *s, const struct weir_refusal_answer *a, uint64_t now_ns)
{
	double q = within(s->chance_ppm / 1e6, CHANCE_MIN_PPM / 1e6, .9), high = q + (1 - q) * EXCESS, excess;
	double good = (double)(a->accepted - s->seen_accepted), all = (double)(a->accepted - s->base_accepted);

	excess = within(s->excess_milli / 1e3 - good * ln((1 - q) / (1 - high)), 0, 1e3) + ln(high / q);
	s->seen_accepted = a->accepted;
	s->n++;
	if (excess >= EXCESS_ODDS) {
		s->excess_milli = 0;
		s->looking = 1;
		s->alarm_ns = now_ns;
		s->base_accepted = a->accepted;
		s->n = 0;
		return true;
	}
	s->excess_milli = (uint32_t)(excess * 1e3);
	if (s->n >= CHANCE_X || all >= CHANCE_GOOD) {
		/* Follows what changes slowly. Upwards but a little: what the pace does must not pass for chance. */
		double most = (s->share_ppm & 0xffffff) * 1.25e-6;

		set_chance(s, within((3 * q + s->n / (s->n + all)) / 4, 0, most));
		s->base_accepted = a->accepted;
		s->n = 0;
	}
	return false;
}

/* ---- throttled answers: by the crowd ---- */

static void allow(struct state *s, uint32_t permits, struct weir_refusal_advice *out)
{
	s->permits = at_most(permits, PERMITS_MAX - 1);
	out->permits = s->permits;
	out->crowded = true;
}

/* Whether all refusals so far but one (requests may overtake each other) met more requests in flight than so many good answers
 * did: were both drawn alike, this would be as unlikely as ODDS says. */
static bool looks_crowded(const struct state *s, uint64_t accepted)
{
	double share = s->n / (s->n + (double)(accepted - s->base_accepted) + 1e-9);

	return s->n >= CROWD_REFUSALS && s->most >= 1 && s->most < PERMITS_MAX && s->below >= 4 &&
	       -(double)s->below * ln(1 - within(share, 0, .9)) >= ODDS + ln(s->n);
}

/* With how few others in flight a request was refused, and how many good ones had no more beside them. */
static void count_crowd(struct state *s, const struct weir_refusal_answer *a)
{
	if (a->kind == WEIR_HEARD_GOOD) {
		s->below += a->in_flight <= s->most;
		return;
	}
	s->n++;
	if (a->in_flight == 0 || a->in_flight - 1 >= s->most)
		return;
	s->most = a->in_flight - 1 < s->least ? s->least : a->in_flight - 1;
	s->least = at_most(s->least, a->in_flight - 1);
	s->below = 0;
}

static void fail_crowd(struct state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out, uint64_t now_ns)
{
	end_trial(s, out);
	allow(s, 0, out);
	ask_later(s, OF_CROWD, now_ns);
	s->score = 0;
	s->alarm_ns = now_ns;
	count_anew(s, a->accepted);
	out->rates = WEIR_RATE_RESUMES;
}

static void conclude_crowd(struct state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out, uint64_t now_ns)
{
	uint64_t good = a->accepted - s->from_accepted, ns = now_ns > s->from_ns ? now_ns - s->from_ns : 1;
	enum finding finding = compare(s, (double)good, now_ns);

	if (finding == SAME && s->most >= 1 && s->most < s->permits && s->strikes < CROWD_STRIKES) {
		/* Fewer, then. */
		s->strikes++;
		allow(s, s->most, out);
		begin_trial(s, WEIR_TRIAL_CROWD, a, WEIR_RATE_ASIDE, out, now_ns);
		return;
	}
	if (finding == UNDECIDED || (finding == RARER && good < CROWD_GOOD))
		return;
	if (finding != RARER || rate_of(good, ns) < rate_mul_div(s->before, CROWD_GAIN_PERCENT, 100)) {
		fail_crowd(s, a, out, now_ns);
		return;
	}
	end_trial(s, out);
	allow(s, s->permits, out);
	count_anew(s, a->accepted);
	s->strikes = s->looking = s->score = 0;
	s->interval = CROWD_LOOK;
	s->alarm_ns = now_ns;
	out->rates = WEIR_RATE_FORGETS;
}

/* A refusal although no more than the permits were in flight. Two in close succession: one permit less. */
static void crowd_refused(struct state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out, uint64_t now_ns)
{
	uint64_t gap = a->accepted - s->seen_accepted;

	out->counts = false;
	if (a->admitted_ns < s->alarm_ns)
		return;
	s->seen_accepted = a->accepted;
	s->n = s->n != 0 && gap <= 2 * s->permits + BLOCK ? s->n + 1 : 1;
	if (s->n < 2)
		return;
	s->n = 0;
	s->alarm_ns = now_ns;
	s->base_accepted = a->accepted;
	if (s->looking) {
		s->looking = 0;
		s->interval = at_most(2 * s->interval, CROWD_LOOK_MAX);
	} else {
		s->strikes++;
	}
	allow(s, s->strikes < CROWD_STRIKES ? s->permits - 1 : 0, out);
	if (s->permits != 0)
		return;
	/* It was not the crowd after all. */
	ask_later(s, OF_CROWD, now_ns);
	count_anew(s, a->accepted);
	s->strikes = 0;
	out->counts = true;
}

/* All is well at this many: now and then one more is tried. */
static void crowd_good(struct state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out, uint64_t now_ns)
{
	if (a->accepted - s->base_accepted < s->interval || a->in_flight < s->permits || a->admitted_ns < s->alarm_ns)
		return;
	s->base_accepted = a->accepted;
	s->n = 0;
	s->strikes = 0;
	if (s->looking) {
		s->looking = 0;
		s->interval = CROWD_LOOK_MIN;
		return;
	}
	s->looking = 1;
	s->alarm_ns = now_ns;
	allow(s, s->permits + 1, out);
}

/* ---- the way in ---- */

static void hear_in_trial(struct state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out, uint64_t now_ns)
{
	bool refused = a->kind != WEIR_HEARD_GOOD;
	enum finding finding;

	out->counts = false;
	if (a->admitted_ns < s->from_ns) {
		s->from_accepted = a->accepted;
		return;
	}
	if (refused)
		s->trial_x++;
	if (s->trial == WEIR_TRIAL_CHANCE)
		count_crowd(s, a);
	if (s->trial == WEIR_TRIAL_CROWD) {
		if (refused && a->in_flight >= 1 && a->in_flight - 1 < s->most)
			s->most = a->in_flight - 1;
		conclude_crowd(s, a, out, now_ns);
		return;
	}
	if (s->trial == WEIR_TRIAL_STATUS)
		finding = compare(s, good_since(a->accepted, s->from_accepted, s->trial_x, s->status), now_ns);
	else
		finding = compare_rare(s, (double)(a->accepted - s->from_accepted), now_ns);
	if (finding == UNDECIDED)
		return;
	if (s->trial == WEIR_TRIAL_STATUS)
		conclude_status(s, a, finding, out, now_ns);
	else
		conclude_chance(s, a, finding, out, now_ns);
}

static void hear_throttled(struct state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out, uint64_t now_ns)
{
	if (s->permits != 0) {
		crowd_refused(s, a, out, now_ns);
		return;
	}
	if (s->chance_ppm != 0) {
		/* Of the same event, or of a host that has accepted nothing since: these are not the noise. */
		if (a->admitted_ns < s->alarm_ns || (s->looking && a->accepted == s->base_accepted))
			return;
		s->looking = 0;
		out->counts = exceeds(s, a, now_ns);
		return;
	}
	if (a->admitted_ns < s->alarm_ns)
		return;
	if (s->n == 0 || a->accepted - s->seen_accepted > CROWD_WATCH) {
		/* What is in flight now was sent too closely together to tell which was first. */
		count_anew(s, a->accepted);
		s->most = s->least = UINT16_MAX;
		s->alarm_ns = now_ns;
		s->n = 1;
		return;
	}
	count_crowd(s, a);
}

/* Tries what looks like a crowd. Returns whether it does. */
static bool try_crowd(struct state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out, uint64_t now_ns)
{
	if (s->chance_ppm != 0 || a->pace == 0 || !may_ask(s, OF_CROWD, now_ns) || !looks_crowded(s, a->accepted))
		return false;
	weigh(s, s->n, (double)(a->accepted - s->base_accepted), 1);
	s->before = a->pace;
	s->strikes = 0;
	allow(s, s->most, out);
	begin_trial(s, WEIR_TRIAL_CROWD, a, WEIR_RATE_ASIDE, out, now_ns);
	return true;
}

struct weir_refusal_advice weir_refusal_hear(struct weir_refusal *f, const struct weir_refusal_answer *a, uint64_t now_ns)
{
	struct weir_refusal_advice out = {.counts = a->kind == WEIR_HEARD_THROTTLED};
	struct state s;

	load(f, a, now_ns, &s);
	if (s.trial == WEIR_TRIAL_STATUS && a->kind == WEIR_HEARD_THROTTLED) {
		/* The host says something plainer: what it means will be asked again later. */
		end_trial(&s, &out);
		s.x = 0;
	}
	if (s.trial != WEIR_TRIAL_NONE && (a->kind != WEIR_HEARD_BARE || (s.trial == WEIR_TRIAL_STATUS && a->status == s.status)))
		hear_in_trial(&s, a, &out, now_ns);
	else if (a->kind == WEIR_HEARD_BARE)
		hear_bare(&s, a, &out, now_ns);
	else if (a->kind == WEIR_HEARD_THROTTLED)
		hear_throttled(&s, a, &out, now_ns);
	else if (s.permits != 0)
		crowd_good(&s, a, &out, now_ns);
	else if (a->accepted - s.seen_accepted > CROWD_WATCH)
		s.n = s.most = s.least = 0;
	else if (a->admitted_ns >= s.alarm_ns && s.n != 0) {
		count_crowd(&s, a);
		try_crowd(&s, a, &out, now_ns);
	}
	store(f, &s);
	return out;
}

struct weir_refusal_advice weir_refusal_counted(struct weir_refusal *f, const struct weir_refusal_answer *a, bool surprised,
						uint64_t now_ns)
{
	struct weir_refusal_advice out = {0};
	double good, score;
	struct state s;

	load(f, a, now_ns, &s);
	if (s.trial != WEIR_TRIAL_NONE || s.permits != 0 || a->pace == 0)
		return out;
	good = (double)(a->accepted - s.seen_accepted);
	s.seen_accepted = a->accepted;
	score = within(s.score / SCORE_ONE - good / SURPRISE_GOOD, 0, 100);
	if (surprised) {
		if (score <= 0) {
			s.from_accepted = a->accepted;
			s.trial_x = 0;
			s.before = 0;
		}
		/* The pace before all of this: by now it may be a fraction of it. */
		s.before = s.before > a->pace ? s.before : a->pace;
		score += 1;
		s.trial_x++;
	}
	s.score = (uint32_t)(score * SCORE_ONE);
	if (try_crowd(&s, a, &out, now_ns)) {
		store(f, &s);
		return out;
	}
	if (may_ask(&s, OF_CHANCE, now_ns) && s.chance_ppm == 0 &&
	    (score >= SURPRISES || (s.trial_x >= SURPRISES_OFTEN && a->accepted - s.from_accepted <= 6 * s.trial_x))) {
		double before = s.trial_x > 1 ? s.trial_x - 1 : 1;

		s.share_ppm =
			(uint32_t)(within(before / ((double)(a->accepted - s.from_accepted) + before), SHARE_MIN / 4, SHARE_MAX) *
				   1e6) |
			(uint32_t)within(before, 1, DISPERSION_MAX) << 24;
		begin_trial(&s, WEIR_TRIAL_CHANCE, a, s.before / 2 ? s.before / 2 : 1, &out, now_ns);
	}
	store(f, &s);
	return out;
}

struct weir_refusal_view weir_refusal_look(const struct weir_refusal *f)
{
	struct state s;

	unpack(atomic_load_explicit(&f->held, memory_order_relaxed), &s);
	return (struct weir_refusal_view){.status = s.status,
					  .meaning = s.meaning,
					  .trial = s.trial,
					  .chance_permille = s.chance_permille,
					  .permits = s.permits};
}

void weir_refusal_clear(struct weir_refusal *f)
{
	for (unsigned i = 0; i < WEIR_REFUSAL_WORDS; i++)
		put(&f->state[i], 0);
	put(&f->cap, 0);
	put(&f->due_accepted, 0);
	put(&f->held, 0);
}
