/* SPDX-License-Identifier: MIT */
/*
 * conservative and aggressive: multiplicative steps, at most one per interval upwards. They differ in where they begin:
 * conservative at `initial`, aggressive at `max`.
 *
 * Down by backoff_permille when the share of throttled and failed answers of an interval reaches error_threshold_permille; a
 * throttled answer is judged at once, a failure at the interval's end. Never twice without a good answer in between: a host that
 * refuses everything for a while (a spent window, an outage) says nothing about the rate.
 * Up by recovery_permille after success_threshold good answers in a row, and only while the pace is in use: a rate that nobody
 * tries proves nothing.
 */
#include "rate_state.h"

/* An interval whose answers came at less than this share of the pace has not tested it. */
#define USED_PERMILLE 500

static void open_interval(struct rate_step *step)
{
	struct rate_state *s = step->s;

	s->interval_ns = step->now_ns;
	s->interval_accepted = step->accepted;
	s->interval_throttled = step->throttled;
	s->interval_failed = step->failed;
}

static void begin(struct rate_step *step)
{
	const struct weir_rate_params *p = step->p;

	step->s->rate = p->max;
	if (p->strategy == WEIR_CONSERVATIVE)
		step->s->rate = rate_clamp(p->initial ? p->initial : p->min, p);
	step->s->cut_ns = 0;
	step->s->cut_accepted = step->accepted;
	step->s->streak = 0;
	open_interval(step);
}

/* Whether the answers of this interval are bad enough to back off. */
static bool too_many_errors(const struct rate_step *step)
{
	const struct rate_state *s = step->s;
	uint64_t bad = step->throttled - s->interval_throttled + step->failed - s->interval_failed;
	uint64_t all = bad + step->accepted - s->interval_accepted;

	return bad > 0 && bad * 1000 >= all * step->p->error_threshold_permille;
}

static void back_off(struct rate_step *step)
{
	struct rate_state *s = step->s;

	s->rate = rate_clamp(rate_mul_div(s->rate, step->p->backoff_permille, 1000), step->p);
	s->cut_ns = step->now_ns;
	s->cut_accepted = step->accepted;
	s->streak = 0;
	open_interval(step);
}

static void close_interval(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t span = step->now_ns - s->interval_ns;
	uint64_t good = step->accepted - s->interval_accepted;
	uint64_t could = rate_mul_div(s->rate, span, RATE_SECOND); /* nano-admissions */
	bool used = rate_mul_div(good, WEIR_RATE_ONE, 1) >= rate_mul_div(could, USED_PERMILLE, 1000);

	if (used && s->streak >= step->p->success_threshold) {
		s->rate = rate_clamp(rate_mul_div(s->rate, step->p->recovery_permille, 1000), step->p);
		s->streak = 0;
	}
	open_interval(step);
}

void rate_stepped(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t good = step->accepted - s->seen_accepted;
	bool bad = step->throttled != s->seen_throttled || step->failed != s->seen_failed;
	bool over, fresh, news;

	if (s->rate == 0)
		begin(step);
	s->rate = rate_clamp(s->rate, step->p);
	s->streak = bad ? 0 : s->streak > UINT32_MAX ? s->streak : s->streak + good;
	over = step->now_ns - s->interval_ns >= step->p->interval_ns;
	/* A request that was let go before the last cut reports on the rate before it. */
	fresh = step->answer->signal == WEIR_RATE_THROTTLED && step->answer->admitted_ns >= s->cut_ns;
	news = s->cut_ns == 0 || step->accepted != s->cut_accepted;
	if ((fresh || over) && news && too_many_errors(step))
		back_off(step);
	else if (over)
		close_interval(step);
	step->due_ns = s->interval_ns + step->p->interval_ns;
}
