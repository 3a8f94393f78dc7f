/* SPDX-License-Identifier: MIT */
/* What a refusal says of the adaptive estimate: how much a count of accepts is worth, and where that leaves the rate.
 * docs/control.md */
#include "rate_adaptive.h"

/* How far below the estimate to stay: one accept of those it rests on, at least MARGIN. */
uint64_t rate_below(const struct rate_state *s)
{
	uint64_t margin = 1000000 / (s->trust + 1);

	margin = margin > 250000 ? 250000 : margin < MARGIN_PPM ? MARGIN_PPM : margin;
	return rate_mul_div(s->estimate, 1000000 - margin, 1000000);
}

/* What a count of n accepts is worth: requests in flight at both ends may or may not belong to it, half of them on average. */
uint64_t rate_worth(const struct rate_state *s, uint64_t n)
{
	uint64_t w = 2 * n / (2 + s->flight);

	return w < 1 ? 1 : w;
}

/* How far above the estimate to look before there is evidence that the limit has risen: what the bucket has saved up is spent at
 * this excess, and requests in flight when it is empty are refused in proportion to it. */
uint64_t rate_above(const struct rate_state *s)
{
	uint64_t excess = 1000000 / (s->trust + 1);

	return s->estimate + rate_mul_div(s->estimate, excess > ABOVE_PPM ? excess : ABOVE_PPM, 1000000);
}

/* Whether the host has accepted more since its bucket was last empty than the estimate allows. */
bool rate_surplus(const struct rate_step *step)
{
	const struct rate_state *s = step->s;
	uint64_t n = step->accepted - s->empty_accepted;
	uint64_t due = rate_mul_div(s->estimate, step->now_ns - s->empty_ns, RATE_SECOND) / WEIR_RATE_ONE;

	return n > due + due / 64 + 2 + s->flight;
}

/* Refused while looking upward: expected. A measurement from empty to empty can only be too low (what overflowed in between is
 * missing from it), so it raises the estimate at once and lowers only a weak one. */
void rate_judge_climb(struct rate_step *step, uint64_t n, uint64_t measured)
{
	struct rate_state *s = step->s;
	uint64_t w = rate_worth(s, n);
	uint64_t doubt = 1000000 / w + 1000000 / (s->trust + 1);
	uint64_t up = step->accepted - s->climb_accepted;
	uint64_t due = rate_mul_div(s->estimate, step->now_ns - s->climb_ns, RATE_SECOND); /* nano-admissions */

	if (s->trust >= 16 && measured > s->estimate + rate_mul_div(s->estimate, 2 * doubt, 1000000)) {
		/* More than it can be by chance: the limit has risen since, and the mean of before and after is too low. */
		s->estimate = measured > s->rate / 4 ? measured : s->rate / 4;
		s->trust = 4;
		s->agreed = 0;
		return;
	}
	if (rate_surplus(step)) {
		/* More than the estimate, with the same bucket: it was too low. Between the mean and what the last step
		 * sustained. */
		s->estimate = measured / 2 + (s->step_from > measured ? s->step_from : measured) / 2;
		s->trust = w < 16 ? w : 16;
		s->agreed = 0;
		return;
	}
	if (s->plateau >= PLATEAU_BASE)
		s->agreed += 1 + s->stale;
	if (up * WEIR_RATE_ONE < due + WEIR_RATE_ONE / 2 && measured > s->estimate / 10 * 7) {
		/* A bucket of depth 1, or an estimate so high that the plateau below it had all but emptied the bucket: then not
		 * even the plateau's pace was measured. */
		if (measured < rate_below(s) && w <= s->trust && s->idle == 0)
			s->estimate = s->estimate / 2 + measured / 2;
		else if (s->step_from > s->estimate)
			s->estimate = s->step_from;
		if (measured > s->estimate)
			s->estimate = measured;
		s->trust = w > s->trust ? w : s->trust;
	} else if (s->trust < 8) {
		/* Of so few, half an accept more or less matters, and so does what overflowed. */
		measured += measured / (2 * (n ? n : 1));
		s->estimate = measured > s->estimate / 5 * 3 ? measured : s->estimate / 5 * 3;
		s->trust = w;
	} else {
		if (measured > s->estimate || s->idle == 0)
			s->estimate = s->estimate / 2 + measured / 2;
		s->trust = w > s->trust ? w : s->trust;
	}
}

/* Refused below the estimate: it is too high, or the limit has just fallen. */
void rate_judge_plateau(struct rate_state *s, uint64_t n, uint64_t measured)
{
	s->agreed = 0;
	if (rate_worth(s, n) >= 16) {
		/* A long mean does not tell a little too much from a fall just now; what is in flight will. */
		s->phase = RATE_FALL;
		return;
	}
	s->estimate = measured < s->estimate ? measured : s->estimate;
	s->trust = rate_worth(s, n);
}
