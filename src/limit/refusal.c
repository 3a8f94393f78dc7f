/* SPDX-License-Identifier: MIT */
/*
 * Order of this file: throttled answers by chance; by the crowd; the way in. Bare statuses are in refusal_bare.c, the state in
 * refusal_state.h. docs/control.md, "What a refusal means".
 */
#include "refusal_state.h"

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
#define EXCESS           .18
#define EXCESS_ODDS      7.0
#define CHANCE_X         32U
#define CHANCE_GONE      4U
#define CHANCE_DOUBT_PPM 80000U /* beside a limit, such a share is asked about again, as if it rested on so many refusals */
#define CHANCE_DOUBT_X   6
#define CHANCE_GOOD      4096U
#define CHANCE_MIN_PPM   3000U

/* A crowd: refusals, good answers below all of them, and what the trial must bring. */
#define CROWD_REFUSALS     4U
#define CROWD_GOOD         16U
#define CROWD_LIKELY       1.6 /* odds at which it is tried before refusals are taken to come by chance */
#define CROWD_WATCH        512U
#define CROWD_GAIN_PERCENT 102U
#define CROWD_LOOK         128U
#define CROWD_LOOK_MIN     64U
#define CROWD_STRIKES      4U
#define CROWD_CLOSE        16U /* good answers between two refusals in close succession, and two for each permit */
#define PERMITS_MAX        4096U

/* Tries what looks like a crowd, by these odds. Returns whether it does. */
static bool try_crowd(struct refusal_state *s, const struct weir_refusal_answer *a, double odds, struct weir_refusal_advice *out,
		      uint64_t now_ns);

/* ---- throttled answers: by chance ---- */

static void count_anew(struct refusal_state *s, uint64_t accepted)
{
	s->base_accepted = s->seen_accepted = accepted;
	s->n = s->below = s->most = s->least = s->looking = 0;
}

static void set_chance(struct refusal_state *s, double share)
{
	s->chance_ppm = (uint32_t)(within(share, 0, .9) * 1e6);
	if (s->chance_ppm < CHANCE_MIN_PPM)
		s->chance_ppm = 0;
	s->chance_permille = s->chance_ppm / 1000;
}

/* Two samples: of n1 answers x1 were refused before, the first one aside, and of n2 in the trial x2. Both are rare, so Poisson's
 * likelihoods: the same share in both, or a fifth of it in the trial, each with the share that fits best. */
static enum finding compare_rare(const struct refusal_state *s, double good, uint64_t now_ns)
{
	double x1 = dispersion_of(s), n1 = x1 / share_of(s), x2 = s->trial_x, n2 = good + x2, odds;

	n1 = n1 < CHANCE_FEWEST ? CHANCE_FEWEST : n1;
	odds = (x1 + x2) * ln((n1 + n2 / FIFTH) / (n1 + n2)) + x2 * ln(FIFTH);
	if (now_ns > s->from_ns && now_ns - s->from_ns > LONG_NS + 2 * rate_time_ns((uint64_t)(CHANCE_LONG * n1), s->cap))
		return LATE;
	/* Far more than before: that is a limit which falls. */
	if (n2 >= CHANCE_FEWEST && x2 > CHANCE_OFF * x1 * n2 / n1 + 2)
		return LATE;
	if (n2 < CHANCE_LONG * n1 && n2 >= CHANCE_FEWEST && odds >= CHANCE_SOON)
		return SAME;
	if (n2 < CHANCE_LONG * n1 && (n2 < CHANCE_TIMES * n1 || odds > -CHANCE_SOON))
		return UNDECIDED;
	return odds >= CHANCE_ODDS ? SAME : RARER;
}

static void conclude_chance(struct refusal_state *s, const struct weir_refusal_answer *a, enum finding finding,
			    struct weir_refusal_advice *out, uint64_t now_ns)
{
	double good = (double)(a->accepted - s->from_accepted);

	end_trial(s, out);
	ask_later(s, OF_CHANCE, now_ns);
	/* A crowd is refused at half of the pace as well, if more rarely. */
	if (finding == SAME && try_crowd(s, a, CROWD_LIKELY, out, now_ns))
		return;
	s->score = 0;
	s->alarm_ns = now_ns;
	if (finding == RARER)
		set_chance(s, 0);
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
static bool exceeds(struct refusal_state *s, const struct weir_refusal_answer *a, uint64_t now_ns)
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
	if (s->n >= CHANCE_X || all >= CHANCE_GOOD || (s->n <= CHANCE_GONE && all * q >= 4 * CHANCE_GONE)) {
		/* Follows what changes slowly. Upwards but a little: what the pace does must not pass for chance. */
		double most = (s->share_ppm & 0xffffff) * 1.25e-6;

		double share = s->n / (s->n + all);

		/* A quarter of what was expected: there is none any more, or never was. */
		set_chance(s, s->n <= CHANCE_GONE ? share : within((3 * q + share) / 4, 0, most));
		s->base_accepted = a->accepted;
		s->n = 0;
	}
	return false;
}

/* ---- throttled answers: by the crowd ---- */

static void allow(struct refusal_state *s, uint32_t permits, struct weir_refusal_advice *out)
{
	s->permits = at_most(permits, PERMITS_MAX - 1);
	out->permits = s->permits;
	out->crowded = true;
}

/* Whether all refusals so far but one (requests may overtake each other) met more requests in flight than so many good answers
 * did: were both drawn alike, this would be as unlikely as ODDS says. */
static bool looks_crowded(const struct refusal_state *s, uint64_t accepted, double odds)
{
	double share = s->n / (s->n + (double)(accepted - s->base_accepted) + 1e-9);

	return s->n >= CROWD_REFUSALS && s->most >= 1 && s->most < PERMITS_MAX && s->below >= 4 &&
	       -(double)s->below * ln(1 - within(share, 0, .9)) >= odds + ln(s->n);
}

/* With how few others in flight a request was refused, and how many good ones had no more beside them. */
static void count_crowd(struct refusal_state *s, const struct weir_refusal_answer *a)
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

static void fail_crowd(struct refusal_state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out,
		       uint64_t now_ns)
{
	end_trial(s, out);
	allow(s, 0, out);
	ask_later(s, OF_CROWD, now_ns);
	s->score = 0;
	s->alarm_ns = now_ns;
	count_anew(s, a->accepted);
	out->rates = WEIR_RATE_RESUMES;
}

static void conclude_crowd(struct refusal_state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out,
			   uint64_t now_ns)
{
	uint64_t good = a->accepted - s->from_accepted, ns = now_ns > s->from_ns ? now_ns - s->from_ns : 1;
	uint64_t first = a->usual_ns < ns / 2 ? a->usual_ns : ns / 2; /* until the first answer was there */
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
	if (finding != RARER || rate_of(good, ns - first) < rate_mul_div(s->before, CROWD_GAIN_PERCENT, 100)) {
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
static void crowd_refused(struct refusal_state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out,
			  uint64_t now_ns)
{
	uint64_t gap = a->accepted - s->seen_accepted;

	out->counts = false;
	if (a->admitted_ns < s->alarm_ns)
		return;
	s->seen_accepted = a->accepted;
	s->n = s->n != 0 && gap <= 2 * s->permits + CROWD_CLOSE ? s->n + 1 : 1;
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
static void crowd_good(struct refusal_state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out,
		       uint64_t now_ns)
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

static bool try_crowd(struct refusal_state *s, const struct weir_refusal_answer *a, double odds, struct weir_refusal_advice *out,
		      uint64_t now_ns)
{
	if (s->chance_ppm != 0 || a->pace == 0 || !may_ask(s, OF_CROWD, now_ns) || !looks_crowded(s, a->accepted, odds))
		return false;
	weigh(s, s->n, (double)(a->accepted - s->base_accepted), 1);
	/* What it has to be better than; not a step of a climb, which nobody has seen sustained. */
	s->before = a->learned != 0 && a->learned < a->pace ? a->learned : a->pace;
	s->strikes = 0;
	allow(s, s->most, out);
	begin_trial(s, WEIR_TRIAL_CROWD, a, WEIR_RATE_ASIDE, out, now_ns);
	return true;
}

/* ---- the way in ---- */

static void hear_in_trial(struct refusal_state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out,
			  uint64_t now_ns)
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
		refusal_conclude_bare(s, a, finding, out, now_ns);
	else
		conclude_chance(s, a, finding, out, now_ns);
}

static void hear_throttled(struct refusal_state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out,
			   uint64_t now_ns)
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

struct weir_refusal_advice weir_refusal_hear(struct weir_refusal *f, const struct weir_refusal_answer *a, uint64_t now_ns)
{
	struct weir_refusal_advice out = {.counts = a->kind == WEIR_HEARD_THROTTLED};
	struct refusal_state s;

	load(f, a, now_ns, &s);
	if (s.trial == WEIR_TRIAL_STATUS && a->kind == WEIR_HEARD_THROTTLED) {
		/* The host says something plainer: what it means will be asked again later. */
		end_trial(&s, &out);
		s.x = 0;
	}
	if (s.trial == WEIR_TRIAL_SILENCE && (a->kind == WEIR_HEARD_GOOD || a->status == s.status))
		refusal_hear_in_silence(&s, a, &out, now_ns);
	else if (s.trial != WEIR_TRIAL_NONE && s.trial != WEIR_TRIAL_SILENCE &&
		 (a->kind != WEIR_HEARD_BARE || (s.trial == WEIR_TRIAL_STATUS && a->status == s.status)))
		hear_in_trial(&s, a, &out, now_ns);
	else if (a->kind == WEIR_HEARD_BARE)
		refusal_hear_bare(&s, a, &out, now_ns);
	else if (a->kind == WEIR_HEARD_THROTTLED) {
		hear_throttled(&s, a, &out, now_ns);
		if (a->status == s.status && s.meaning == WEIR_REFUSAL_PACE)
			refusal_hear_learned(&s, a, &out, now_ns);
	} else if (s.permits != 0)
		crowd_good(&s, a, &out, now_ns);
	else if (a->accepted - s.seen_accepted > CROWD_WATCH)
		s.n = s.most = s.least = 0;
	else if (a->admitted_ns >= s.alarm_ns && s.n != 0) {
		count_crowd(&s, a);
		try_crowd(&s, a, ODDS, &out, now_ns);
	}
	store(f, &s);
	return out;
}

struct weir_refusal_advice weir_refusal_counted(struct weir_refusal *f, const struct weir_refusal_answer *a, bool surprised,
						uint64_t now_ns)
{
	struct weir_refusal_advice out = {0};
	double good, score;
	struct refusal_state s;

	load(f, a, now_ns, &s);
	if (s.trial != WEIR_TRIAL_NONE || s.permits != 0 || a->pace == 0)
		return out;
	if (s.chance_ppm >= CHANCE_DOUBT_PPM && s.looking && may_ask(&s, OF_CHANCE, now_ns)) {
		/* So much is also what a limit that fell in the trial looks like, and it would keep itself alive. */
		s.share_ppm = s.chance_ppm | (uint32_t)CHANCE_DOUBT_X << 24;
		s.before = a->pace;
		begin_trial(&s, WEIR_TRIAL_CHANCE, a, a->pace / 2 ? a->pace / 2 : 1, &out, now_ns);
		store(f, &s);
		return out;
	}
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
	if (try_crowd(&s, a, ODDS, &out, now_ns)) {
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
	struct refusal_state s;

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
