/* SPDX-License-Identifier: MIT */
/* adaptive: no limit until the host gives a reason; then learn its rate and stay just below. docs/control.md */
#include "rate_adaptive.h"

void rate_adaptive_sanitize(struct rate_state *s, uint64_t now_ns)
{
	rate_quota_sanitize(s, now_ns);
	if (s->phase >= RATE_PHASES)
		s->phase = RATE_FREE;
	if (s->estimate > WEIR_RATE_MAX)
		s->estimate = WEIR_RATE_MAX;
	if (s->step_from > WEIR_RATE_MAX)
		s->step_from = WEIR_RATE_MAX;
	if (s->trust > TRUST_MAX)
		s->trust = TRUST_MAX;
	if (s->looked_ns > now_ns)
		s->looked_ns = now_ns;
	if (s->empty_ns > now_ns)
		s->empty_ns = now_ns;
	if (s->step_ns > now_ns)
		s->step_ns = now_ns;
	if (s->run_last_ns > now_ns)
		s->run_last_ns = now_ns;
	if (s->run_ns > s->run_last_ns)
		s->run_ns = s->run_last_ns;
	if (s->pause_ns > PAUSE_MAX_NS)
		s->pause_ns = PAUSE_MAX_NS;
	if (s->growth_ppm > 1000000)
		s->growth_ppm = 1000000;
	if (s->flight > 4096)
		s->flight = 4096;
	if (s->stale > 4096)
		s->stale = 4096;
	if (s->agreed > 4096)
		s->agreed = 4096;
	if (s->plateau > PLATEAU_MAX)
		s->plateau = PLATEAU_MAX;
	if (s->window_ns < RATE_SECOND / 2 || s->window_ns > PAUSE_MAX_NS) /* none that people use is shorter than a second */
		s->window_ns = 0;
}

static void begin_step(struct rate_step *step, uint64_t rate, uint64_t accepts)
{
	struct rate_state *s = step->s;

	s->step_from = s->rate;
	s->rate = rate_clamp(rate, step->p);
	s->step_ns = step->now_ns;
	s->step_accepted = step->accepted;
	s->goal_accepted = step->accepted + accepts;
}

static uint64_t latency_ns(const struct rate_step *step)
{
	uint64_t sent = step->answer->admitted_ns;

	return sent != 0 && sent < step->now_ns ? step->now_ns - sent : 0;
}

/* While everything is refused one request at a time asks: so far apart are two of them behind the pause, which keeps the second
 * back until the first is answered. 0 = the learned rate is good enough. */
static uint64_t asks_apart_ns(const struct rate_step *step)
{
	const struct rate_state *s = step->s;
	uint64_t apart = s->pause_ns / 16 > 4 * latency_ns(step) ? s->pause_ns / 16 : 4 * latency_ns(step);
	uint64_t pace;

	if (s->phase == RATE_FREE || s->run_ns == 0 || s->runs < 2 || s->pause_ns == 0)
		return 0;
	pace = rate_clamp(rate_of(1, apart), step->p);
	return pace < s->rate ? rate_time_ns(1, pace) : 0;
}

void rate_pause_until(struct rate_step *step, uint64_t until_ns)
{
	uint64_t ns = until_ns > step->now_ns ? until_ns - step->now_ns : 0, lead;

	if (ns > PAUSE_MAX_NS)
		ns = PAUSE_MAX_NS;
	step->s->pause_ns = ns;
	/* The first in line is a whole request's time behind the one that has just been refused, less what passed meanwhile: the
	 * bucket moves again so much before the pause is over. */
	lead = asks_apart_ns(step);
	lead = lead > 2 * latency_ns(step) ? lead - 2 * latency_ns(step) : 0;
	step->freeze_until_ns = step->now_ns + (ns > lead ? ns - lead : 0);
}

/* For so long the last refusal has kept everybody from asking, where its host's word was kept until `sent`. */
static uint64_t last_hold_ns(const struct rate_state *s, uint64_t sent)
{
	return s->asked_until_ns > s->run_last_ns && s->asked_until_ns <= sent ? s->asked_until_ns - s->run_last_ns : 0;
}

static void refused(struct rate_step *step, bool first)
{
	struct rate_state *s = step->s;
	uint64_t sent = step->answer->admitted_ns ? step->answer->admitted_ns : step->now_ns;

	if (first) {
		s->flight = step->answer->in_flight < 4096 ? step->answer->in_flight : 4096;
		s->run_ns = sent;
		s->runs = 0;
		s->stale = 0;
		s->kept_ns = 0;
		s->broken = s->broken < LONG_RUN ? 0 : LONG_RUN;
	} else if (last_hold_ns(s, sent) != 0) {
		s->kept_ns += last_hold_ns(s, sent);
		s->broken++;
	}
	s->asked_until_ns = step->answer->hold_until_ns > step->now_ns ? step->answer->hold_until_ns : 0;
	s->run_last_ns = sent;
	s->runs++;
	s->cut_ns = step->now_ns;
	s->cut_accepted = step->accepted;
	s->goal_accepted = step->accepted + 1;
}

static void settle_on(struct rate_step *step, uint64_t estimate, uint64_t trust)
{
	struct rate_state *s = step->s;

	s->estimate = rate_clamp(estimate, step->p);
	s->trust = trust < 1 ? 1 : trust > TRUST_MAX ? TRUST_MAX : trust;
	s->phase = RATE_PLATEAU;
	s->growth_ppm = 500000 / s->trust;
	if (s->growth_ppm < GROWTH_PPM)
		s->growth_ppm = GROWTH_PPM;
	s->plateau = (s->trust < 16 ? s->trust : 2 * s->trust) * (2 + s->flight) / 2;
	if (s->plateau >= PLATEAU_BASE) {
		s->plateau = PLATEAU_BASE;
		for (uint64_t i = AGREED_MANY; i < s->agreed && s->plateau < PLATEAU_MAX; i += 1 + s->stale)
			s->plateau *= 8;
	}
	begin_step(step, rate_below(s), s->plateau);
}

static void begin_learning(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t pause = 2 * latency_ns(step);

	pause = pause < PAUSE_MIN_NS ? PAUSE_MIN_NS : pause;
	s->phase = RATE_CLIMB;
	s->estimate = s->trust = s->agreed = 0;
	s->growth_ppm = 1000000;
	begin_step(step, rate_of(1, pause), 1);
	s->empty_ns = step->now_ns;
	s->empty_accepted = step->accepted;
	rate_window_held(step, 0);
	refused(step, true);
	rate_pause_until(step, step->now_ns + pause);
}

/* The host has named a time to come back, and has not yet been found to refuse again and again when that has come. */
static bool takes_its_word(const struct rate_step *step)
{
	const struct rate_state *s = step->s;
	uint64_t until = step->answer->hold_until_ns, ns = s->estimate != 0 ? rate_time_ns(1, s->estimate) : 0;

	/* Of what a handful had taught it is the better judge, but where it is known to name less than it means. */
	return until > step->now_ns && s->runs < LONG_RUN &&
	       ((s->trust < FEW && s->broken < LONG_RUN) || ns / 4 < until - step->now_ns);
}

/* Refused in a row, with far more between the last two than the pause, or the hold, asked for: in the rest nobody asked, so it is
 * no part of the run. Whether there was such a rest. */
static bool leave_out_idle(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t sent = step->answer->admitted_ns ? step->answer->admitted_ns : step->now_ns;
	uint64_t hold = step->answer->hold_until_ns > step->now_ns ? step->answer->hold_until_ns - step->now_ns : 0;
	uint64_t apart = s->held_ns > s->run_last_ns ? s->held_ns - s->run_last_ns : hold, idle; /* the last is about like this */

	apart = apart > s->pause_ns ? apart : s->pause_ns;
	apart = (apart > PAUSE_MIN_NS ? apart : PAUSE_MIN_NS) + 2 * latency_ns(step);
	if (sent <= s->run_last_ns || (sent - s->run_last_ns) / UNASKED_TIMES <= apart)
		return false;
	idle = sent - s->run_last_ns - apart;
	s->run_ns += idle;
	s->empty_ns = s->empty_ns + idle < sent ? s->empty_ns + idle : sent;
	return true;
}

/* The host refuses again and has accepted nothing since: no news about the rate, but this is no time to ask. */
static void refused_again(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t pause;
	bool unasked_since = leave_out_idle(step);

	if (unasked_since)
		s->asked_until_ns = 0; /* a hold was part of that rest */
	refused(step, false);
	if (rate_ban(s))
		rate_ban_refuted(step);
	else
		rate_window_exhausted(step);
	if (rate_window_pause(step))
		return;
	pause = s->pause_ns > PAUSE_MIN_NS ? s->pause_ns : PAUSE_MIN_NS;
	/* Nobody knows yet that the time which the host has named is too short; nor long after it. */
	if (!takes_its_word(step) && (!unasked_since || step->answer->hold_until_ns <= step->now_ns))
		pause *= 2;
	rate_pause_until(step, step->now_ns + (pause < PAUSE_BLIND_NS ? pause : PAUSE_BLIND_NS));
}

/* For so long the host is known to have refused before it accepted again: holds that it asked for are left out, because nobody
 * could ask. */
static uint64_t known_run_ns(const struct rate_state *s)
{
	uint64_t run = s->run_last_ns > s->empty_ns ? s->run_last_ns - s->empty_ns : 0;

	return run > s->kept_ns ? run - s->kept_ns : 0;
}

/* Whether nobody asked for most of the time since the bucket was last empty. What counts is the run of refusals and the pause
 * behind it, and what n accepts take at the pace of then; not the holds that the host asked for. */
static bool unasked(const struct rate_step *step, uint64_t n, uint64_t *busy_ns)
{
	const struct rate_state *s = step->s;
	uint64_t run = known_run_ns(s), passed = step->now_ns - s->empty_ns;
	uint64_t held = s->kept_ns + last_hold_ns(s, step->now_ns);
	uint64_t pace = s->step_from < s->rate && s->step_from != 0 ? s->step_from : s->rate;
	uint64_t busy = rate_mul_div(n + 1, rate_time_ns(1, pace) + 2 * latency_ns(step), 1);

	*busy_ns = busy < UINT64_MAX / 2 ? run + 2 * s->pause_ns + busy : UINT64_MAX / 2;
	passed -= held < passed ? held : passed;
	return *busy_ns < (n < FEW ? passed : passed / 2);
}

/* A handful, or nobody had asked for most of the time: the bucket was empty when it refused, and that is all. One in the time for
 * which the host is known to have refused, a second at least, is as low as it goes. */
static void keep_known(struct rate_step *step, uint64_t before, uint64_t trust, bool word)
{
	struct rate_state *s = step->s;
	uint64_t run = known_run_ns(s), least;

	if (word)
		run = step->answer->hold_until_ns - step->now_ns;
	least = rate_of(1, run > UNKNOWN_NS ? run : UNKNOWN_NS);
	/* What a handful had taught is no better than that. */
	if (before != 0 && before < least && trust >= FEW)
		least = before;
	if (s->phase == RATE_FALL && s->estimate / 4 < least) {
		s->phase = RATE_PLATEAU;
		s->estimate /= 2;
	}
	if (s->estimate < least)
		s->estimate = rate_clamp(least, step->p);
}

/* Until the next token, after a refusal at this pace: about twice the excess per request at which the bucket was emptied. */
static uint64_t missing_ns(const struct rate_state *s, uint64_t pace)
{
	uint64_t spaced = rate_time_ns(1, s->rate), ns;

	ns = pace > s->estimate ? rate_mul_div(spaced, 2 * (pace - s->estimate), s->estimate) : 0;
	return ns > spaced ? spaced : ns < spaced / 4 ? spaced / 4 : ns;
}

/* The host refuses after it has accepted: its bucket is empty, as it was at the last such time. */
static void refused_anew(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t n = step->accepted - s->empty_accepted;
	uint64_t measured = rate_of(n, step->now_ns - s->empty_ns), pause, over = s->rate, before = s->estimate, trust = s->trust,
		 busy_ns;
	bool unknown = unasked(step, n, &busy_ns), word = takes_its_word(step);

	if (n < FEW && unknown) {
		/* A handful over idle time is no estimate, but a bound: it was less than the pace. */
		uint64_t least = s->estimate != 0 ? s->estimate / 2 : rate_of(n ? n : 1, busy_ns);

		measured = measured > least ? measured : least;
	}
	if (rate_ban_again(step)) {
		refused(step, true);
		rate_ban_pause(step);
		return;
	}
	rate_window_held(step, busy_ns);
	if (s->window_ns != 0 && s->window_limit != 0) {
		s->estimate = rate_of(s->window_limit, s->window_ns);
		s->trust = s->window_limit;
	} else if (s->estimate == 0 && rate_window_lifted(step)) {
		/* What kept it refusing was no empty bucket, so its time says nothing of the rate; what it accepted since does.
		 */
		s->estimate = rate_of(step->accepted - s->window_accepted, step->now_ns - s->window_high_ns);
		s->trust = 2;
	} else if (s->estimate == 0) {
		s->estimate = measured;
		s->trust = rate_worth(s, n);
	} else if (s->phase == RATE_CLIMB) {
		step->surprised = s->rate <= s->estimate;
		rate_judge_climb(step, n, measured);
	} else {
		step->surprised = true;
		rate_judge_plateau(s, n, measured);
	}
	if ((unknown || (n < FEW && word)) && (s->window_ns == 0 || s->window_limit == 0))
		keep_known(step, before, unknown ? trust : FEW, word);
	s->empty_ns = step->now_ns;
	s->empty_accepted = step->accepted;
	s->idle = 0;
	refused(step, true);
	if (s->phase == RATE_FALL)
		begin_step(step, s->estimate / 4, 1);
	else
		settle_on(step, s->estimate, s->trust);
	if (rate_window_pause(step) || rate_ban_try(step))
		return;
	pause = 2 * latency_ns(step);
	if (s->phase != RATE_FALL && pause < missing_ns(s, over))
		pause = missing_ns(s, over);
	rate_pause_until(step, step->now_ns + pause);
}

/* After a fall: of the requests that were in flight, so many were accepted. */
static void landed(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t good = step->accepted - s->empty_accepted;

	if (good > 2 * (1 + s->stale))
		settle_on(step, s->estimate - rate_mul_div(s->estimate, MARGIN_PPM, 1000000), s->trust / 2);
	else
		settle_on(step, rate_mul_div(s->estimate, good + 1, good + s->stale + 2), 4);
}

static void throttled(struct rate_step *step)
{
	struct rate_state *s = step->s;

	if (s->phase == RATE_FREE) {
		begin_learning(step);
	} else if (step->answer->admitted_ns < s->cut_ns) {
		/* Sent before the last cut: part of the same event. Accepts until now belong to it as well. */
		s->stale++;
		s->cut_accepted = step->accepted;
	} else if (step->accepted == s->cut_accepted) {
		refused_again(step);
	} else {
		refused_anew(step);
	}
}

/* The step's accepts have come in: go on, faster if the pace was in use. */
static void stepped(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t n = step->accepted - s->step_accepted;
	uint64_t took = step->now_ns - s->step_ns;
	uint64_t accepts = s->trust / 4 < 4 ? 4 : s->trust / 4 > STEP_MAX ? STEP_MAX : s->trust / 4;
	uint64_t next;

	accepts = s->flight > 2 ? accepts * s->flight / 2 : accepts;
	if (s->estimate == 0)
		accepts = 1;
	if (took > rate_time_ns(n + n / 32 + 2, s->rate) + 4 * latency_ns(step))
		s->idle = 1;
	if (took > 2 * rate_time_ns(n + 1, s->rate) + 4 * latency_ns(step)) {
		begin_step(step, s->rate, s->goal_accepted - s->step_accepted);
		return;
	}
	if (s->phase != RATE_CLIMB) {
		s->climb_ns = step->now_ns;
		s->climb_accepted = step->accepted;
	}
	s->phase = RATE_CLIMB;
	next = s->rate + rate_mul_div(s->rate, s->growth_ppm, 1000000);
	if (s->estimate != 0 && next > rate_above(s)) {
		if (!rate_surplus(step))
			next = s->rate > rate_above(s) ? s->rate : rate_above(s);
		if (s->rate <= rate_above(s) && s->growth_ppm > BEYOND_PPM) /* at the gate: slowly on from there */
			s->growth_ppm = BEYOND_PPM;
		if (rate_surplus(step) && s->rate <= rate_above(s))
			next = s->rate + rate_mul_div(s->rate, s->growth_ppm, 1000000);
	}
	if (s->window_limit != 0 && s->window_ns != 0) {
		if (step->accepted - s->climb_accepted > 2 * s->window_limit)
			s->window_limit = s->window_ns = s->window_high_ns = s->window_guess = 0;
		else if (next > s->estimate + s->estimate / 4)
			next = s->estimate + s->estimate / 4;
	}
	begin_step(step, next, accepts);
	s->growth_ppm = s->growth_ppm > 500000 ? 1000000 : 2 * s->growth_ppm;
}

static void accepted(struct rate_step *step)
{
	struct rate_state *s = step->s;
	bool long_run = false;

	if (step->answer->admitted_ns < s->cut_ns || step->answer->admitted_ns < s->step_ns) {
		if (s->run_ns != 0 && !rate_ban(s))
			rate_window_straggler(step);
		s->goal_accepted = s->goal_accepted > step->accepted ? s->goal_accepted : step->accepted + 1;
		return;
	}
	if (rate_ban(s)) {
		if (s->run_ns != 0)
			rate_ban_lifted(step);
		else if (step->accepted >= s->goal_accepted)
			rate_ban_stepped(step);
		s->run_ns = 0;
		return;
	}
	if (s->run_ns != 0 && rate_ban_first(step)) {
		s->run_ns = 0;
		return;
	}
	if (s->run_ns != 0) {
		/* Refused for so long that a bucket of this rate would have filled up by eight. */
		long_run = rate_mul_div(s->estimate, s->run_last_ns - s->run_ns, RATE_SECOND) > 8 * WEIR_RATE_ONE;
		rate_window_reopened(step);
		/* A window or a ban is over. Accepts are counted from here: those hours are not to be made up for. */
		if (long_run) {
			s->empty_ns = step->now_ns;
			s->empty_accepted = step->accepted - 1;
		}
		s->run_ns = 0;
	}
	if (s->phase == RATE_FALL && !long_run)
		landed(step);
	else if (s->phase == RATE_FALL)
		settle_on(step, s->estimate, s->trust);
	else if (step->accepted >= s->goal_accepted)
		stepped(step);
}

/* Whether the answer itself explains its refusal, and says when it ends or how fast to go: then there is nothing to be learned
 * from it. A spent budget that names neither explains nothing. */
static bool explained(const struct rate_step *step)
{
	const struct weir_rate_answer *a = step->answer;

	for (uint32_t i = 0; a->quota != NULL && i < a->quotas && i < WEIR_QUOTAS; i++)
		if (a->quota[i].has_remaining && a->quota[i].remaining == 0 &&
		    (a->hold_until_ns > step->now_ns || rate_quota_paces(&a->quota[i])))
			return true;
	return false;
}

/* Limits change while nobody asks. After a while without traffic the next look upward comes soon; after a week all is forgotten.
 */
static void grow_old(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t passed = step->now_ns - s->looked_ns, n = step->accepted - s->seen_accepted;

	if (s->looked_ns == 0 || passed < IDLE_NS || n > rate_mul_div(s->rate, passed, RATE_SECOND) / WEIR_RATE_ONE / 16)
		return;
	if (passed >= FORGET_NS) {
		*s = (struct rate_state){.tag = s->tag};
		return;
	}
	s->agreed = 0;
	s->idle = 1;
	if (s->trust > IDLE_TRUST)
		s->trust = IDLE_TRUST;
	if (s->phase == RATE_PLATEAU && s->goal_accepted > step->accepted + IDLE_TRUST)
		s->goal_accepted = step->accepted + IDLE_TRUST;
}

void rate_adaptive_learn(struct rate_step *step, uint64_t rate, uint64_t trust)
{
	struct rate_state *s = step->s;

	if (rate == 0 || (trust == WEIR_RATE_SUSTAINED && (s->estimate >= rate || s->window_limit != 0))) {
		s->idle = 1;
		if (s->phase != RATE_FREE)
			begin_step(step, s->rate, s->goal_accepted > s->step_accepted ? s->goal_accepted - s->step_accepted : 1);
		return;
	}
	*s = (struct rate_state){.tag = s->tag, .told = s->told, .told_end_ns = s->told_end_ns};
	s->empty_ns = s->cut_ns = s->looked_ns = step->now_ns;
	s->empty_accepted = s->cut_accepted = step->accepted;
	if (trust != 0) {
		settle_on(step, rate, trust == WEIR_RATE_SUSTAINED ? SUSTAINED_TRUST : trust);
		return;
	}
	s->phase = RATE_CLIMB;
	s->growth_ppm = 1000000;
	begin_step(step, rate, 1);
}

/* The pace of the bucket, from what was learned and told and what is tried. */
static void set_pace(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t cap = step->answer->cap, apart;

	step->pace = s->rate != 0 ? rate_clamp(s->rate, step->p) : 0;
	/* The pause itself is a freeze; the rate is for when asking has been accepted. */
	apart = asks_apart_ns(step);
	if (apart != 0)
		step->pace = rate_clamp(rate_of(1, apart), step->p);
	if (cap == WEIR_RATE_ASIDE) {
		step->pace = step->p->max < WEIR_RATE_MAX ? step->p->max : 0;
	} else if (cap != 0) {
		step->pace = rate_clamp(cap, step->p);
		step->burst = 1;
	}
	if (s->told != 0 && (step->pace == 0 || s->told < step->pace)) {
		step->pace = rate_clamp(s->told, step->p);
		step->spare_until_ns = (s->told_end_ns & TOLD_SPENT) != 0 ? 0 : s->told_end_ns;
	}
}

void rate_adaptive(struct rate_step *step)
{
	struct rate_state *s = step->s;

	if (s->phase != RATE_FREE)
		grow_old(step);
	if (step->answer->signal == WEIR_RATE_THROTTLED && !explained(step))
		throttled(step);
	else if (s->phase != RATE_FREE && step->answer->signal == WEIR_RATE_ACCEPTED)
		accepted(step);
	rate_told(step);
	if (s->phase == RATE_FREE)
		s->rate = step->p->max < WEIR_RATE_MAX ? step->p->max : 0;
	else
		step->burst = 1;
	set_pace(step);
	s->looked_ns = step->now_ns;
	step->due_ns = s->phase == RATE_FREE ? 0 : step->now_ns + IDLE_NS;
	step->due_accepted = s->phase == RATE_FREE ? 0 : s->run_ns != 0 ? step->accepted + 1 : s->goal_accepted;
}
