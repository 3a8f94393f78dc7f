/* SPDX-License-Identifier: MIT */
/*
 * What the host says itself: RateLimit, X-RateLimit-* and their kin. The pace is what remains over the time that is left, in the
 * tightest of the windows described, so that a budget is spread over its window before it is exhausted, and what other clients
 * take of it is seen with the next answer. It stands beside the learned pace; the lower of the two holds. A window in which more
 * is left than is asked for (the caller knows) is not spread: what is left may be used.
 */
#include "rate_adaptive.h"

/* Two statements about the end of a window that differ by no more are about the same end: servers round to seconds. */
#define SAME_END_NS (3 * RATE_SECOND / 2)

/* A window without a length and without an end says nothing; one longer than this is not believed. */
#define WINDOW_MAX_NS (UINT64_C(32) * 86400 * RATE_SECOND)

/* When the window ends. Statements are rounded, mostly upwards, so the earliest of those about the same end is the closest. */
static uint64_t end_of(struct rate_state *s, const struct weir_quota *q, uint64_t now_ns)
{
	uint64_t end = now_ns + q->resets_in_ns;
	uint64_t apart = end > s->told_end_ns ? end - s->told_end_ns : s->told_end_ns - end;

	if (apart <= SAME_END_NS && s->told_end_ns > now_ns && s->told_end_ns < end)
		return s->told_end_ns;
	return end;
}

/* The pace that one window allows. Sets *end to when that is over, and *spent when nothing is left until then. */
static uint64_t pace_of(struct rate_step *step, const struct weir_quota *q, uint64_t *end, bool *spent)
{
	uint64_t others = step->answer->in_flight > 1 ? step->answer->in_flight - 1 : 0;
	uint64_t now = step->now_ns, left;

	*spent = false;
	*end = now + q->window_ns;
	if (q->has_remaining && q->has_reset && q->resets_in_ns != 0 && q->resets_in_ns <= WINDOW_MAX_NS) {
		*end = end_of(step->s, q, now);
		left = q->remaining > others ? q->remaining - others : 0;
		*spent = left == 0;
		/* With nothing left the next window begins at its own mean pace. */
		if (*spent)
			return rate_of(q->limit ? q->limit : 1, q->window_ns > q->resets_in_ns ? q->window_ns : q->resets_in_ns);
		/* Half a request more, or the last would be due at the very end, and be counted in the next window. */
		return rate_of(2 * left + 1, 2 * (*end - now));
	}
	if (q->limit != 0 && q->window_ns != 0 && q->window_ns <= WINDOW_MAX_NS)
		return rate_of(q->limit, q->window_ns);
	return 0;
}

bool rate_quota_paces(const struct weir_quota *q)
{
	return (q->has_remaining && q->has_reset && q->resets_in_ns != 0 && q->resets_in_ns <= WINDOW_MAX_NS) ||
	       (q->limit != 0 && q->window_ns != 0 && q->window_ns <= WINDOW_MAX_NS);
}

/* Whether this window asks for no pace: there is enough left, or those whom it stops are stopped elsewhere. */
static bool is_left_alone(const struct weir_rate_answer *a, const struct weir_quota *q, bool spent)
{
	return spent ? a->apart : a->spare && q->has_remaining && q->remaining > 0;
}

void rate_told(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint32_t n = step->answer->quotas < WEIR_QUOTAS ? step->answer->quotas : WEIR_QUOTAS;
	uint64_t told = 0, told_end = 0, until = 0;
	bool unpaced = false;

	for (uint32_t i = 0; step->answer->quota != NULL && i < n; i++) {
		uint64_t end, pace;
		bool spent;

		pace = pace_of(step, &step->answer->quota[i], &end, &spent);
		if (pace == 0)
			continue;
		if (is_left_alone(step->answer, &step->answer->quota[i], spent)) {
			unpaced = true;
			continue;
		}
		if (spent && end > until)
			until = end;
		if (told == 0 || pace < told) {
			told = pace;
			told_end = spent ? end | TOLD_SPENT : end & ~TOLD_SPENT;
		}
	}
	if (told == 0 && !unpaced)
		return;
	s->told = told;
	s->told_end_ns = told_end;
	if (step->answer->hold_max_ns != 0 && until > step->now_ns && until - step->now_ns > step->answer->hold_max_ns)
		until = step->now_ns + step->answer->hold_max_ns;
	if (until > step->now_ns && until > step->freeze_until_ns)
		step->freeze_until_ns = until;
}

void rate_quota_sanitize(struct rate_state *s, uint64_t now_ns)
{
	if (s->told > WEIR_RATE_MAX)
		s->told = WEIR_RATE_MAX;
	if (s->told_end_ns > now_ns && s->told_end_ns - now_ns > WINDOW_MAX_NS)
		s->told = s->told_end_ns = 0;
}
