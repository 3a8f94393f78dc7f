/* SPDX-License-Identifier: MIT */
/* Bare statuses: 503, 403, 420 ... without a word beside them. docs/control.md, "What a refusal means". */
#include "refusal_state.h"

/* A watch of bare statuses ends after so many answers, or so many good ones in a row, and begins anew. */
#define WATCH_ANSWERS 1024U
#define WATCH_GOOD    512U
#define WATCH_IDLE_NS (600 * RATE_SECOND)
#define WATCH_GAP_NS  (120 * RATE_SECOND) /* and four times as long as the watch so far: an outage, or nobody asked */

/* Refusals come in clusters. They are counted in blocks of so many answers, and where the blocks differ by more than chance has
 * them differ, each refusal is worth less. */
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
/* Refusals in a row, and nothing else, that may be a ban: a 4xx is more often about what was asked for. */
#define ALONE_MANY 64U

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

static void watch_anew(struct refusal_state *s, uint32_t status, uint64_t accepted, uint64_t now_ns)
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

static void count_bare(struct refusal_state *s, uint64_t accepted, uint64_t now_ns)
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
static double dispersion(const struct refusal_state *s, double share)
{
	double blocks = s->block, mean, variance, least = share < BARE_OFTEN ? DISPERSION_LOW : 1;

	if (blocks < 2)
		return least;
	mean = ((double)s->x - s->in_block) / blocks;
	variance = s->squares / blocks - mean * mean;
	return within(variance / (BLOCK * share * (1 - share) + 1e-9), least, DISPERSION_MAX);
}

void refusal_hear_bare(struct refusal_state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out,
		       uint64_t now_ns)
{
	double good, share, d;
	uint64_t rate, between;

	if (a->alone && a->status < 500 && s->status == a->status && s->x > 1 && s->first_ns <= a->good_ns) {
		/* In a row: what came before the last good answer is of another one. */
		watch_anew(s, a->status, a->accepted, now_ns);
		s->x = 1;
		return;
	}
	if (a->alone && refusal_may_ban(a->status) && may_ask(s, OF_STATUS, now_ns) && s->trial == WEIR_TRIAL_NONE &&
	    (a->status >= 500 || (s->status == a->status && s->x >= ALONE_MANY))) {
		refusal_fall_silent(s, a, out, now_ns);
		return;
	}
	if (a->alone && a->status >= 500) {
		/* It is about to be taken to be down, and how long it was is not for a pace to be measured over. */
		s->x = 0;
		return;
	}
	/* One status is watched at a time: the one that comes. */
	if (s->status != a->status && s->x > 4 && s->status != 0 && now_ns - s->last_ns < WATCH_IDLE_NS)
		return;
	if (s->status != a->status || s->x == 0 || s->x > WATCH_ANSWERS || now_ns - s->last_ns > WATCH_IDLE_NS ||
	    a->accepted - s->last_accepted > WATCH_GOOD ||
	    now_ns - s->last_ns > WATCH_GAP_NS + 4 * (s->last_ns > s->first_ns ? s->last_ns - s->first_ns : 0)) {
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

void refusal_conclude_bare(struct refusal_state *s, const struct weir_refusal_answer *a, enum finding finding,
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
