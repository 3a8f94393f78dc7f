/* SPDX-License-Identifier: MIT */
/* adaptive: no limit until the host gives a reason; then learn its rate and stay just below. docs/control-rate.md */
#include "rate_state.h"

#define PAUSE_MIN_NS (50 * RATE_MS)
#define PAUSE_MAX_NS (UINT64_C(3600) * RATE_SECOND)

void rate_adaptive_sanitize(struct rate_state *s, uint64_t now_ns)
{
	if (s->phase >= RATE_PHASES)
		s->phase = RATE_FREE;
	if (s->empty_ns > now_ns)
		s->empty_ns = now_ns;
	if (s->step_ns > now_ns)
		s->step_ns = now_ns;
	if (s->pause_ns > PAUSE_MAX_NS)
		s->pause_ns = PAUSE_MAX_NS;
	if (s->growth_ppm > 1000000)
		s->growth_ppm = 1000000;
	if (s->plateau > 1000000)
		s->plateau = 1000000;
}

static void step_for(struct rate_step *step, uint64_t accepts)
{
	step->s->step_ns = step->now_ns;
	step->s->step_accepted = step->accepted;
	step->s->goal_accepted = step->accepted + accepts;
}

static void pause_for(struct rate_step *step, uint64_t ns)
{
	if (ns < PAUSE_MIN_NS)
		ns = PAUSE_MIN_NS;
	if (ns > PAUSE_MAX_NS)
		ns = PAUSE_MAX_NS;
	step->s->pause_ns = ns;
	step->freeze_until_ns = step->now_ns + ns;
}

static void cut(struct rate_step *step, uint64_t rate)
{
	struct rate_state *s = step->s;

	s->rate = rate_clamp(rate, step->p);
	s->cut_ns = step->now_ns;
	s->cut_accepted = step->accepted;
	s->empty_ns = step->now_ns;
	s->empty_accepted = step->accepted;
	s->phase = RATE_CLIMB;
}

static void throttled(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t n = step->accepted - s->empty_accepted;
	uint64_t estimate;

	if (s->phase == RATE_FREE) {
		cut(step, 10 * WEIR_RATE_ONE);
		pause_for(step, 100 * RATE_MS);
		s->growth_ppm = 1000000;
		s->plateau = 8;
		step_for(step, 1);
		return;
	}
	if (step->answer->admitted_ns < s->cut_ns) {
		s->cut_accepted = step->accepted;
		return;
	}
	if (step->accepted == s->cut_accepted) {
		pause_for(step, 2 * s->pause_ns);
		s->cut_ns = step->now_ns;
		return;
	}
	estimate = rate_of(n, step->now_ns - s->empty_ns);
	s->plateau = n >= s->plateau && s->plateau < 2048 ? 2 * s->plateau : s->plateau;
	cut(step, rate_mul_div(estimate, 970, 1000));
	pause_for(step, rate_time_ns(1, s->rate));
	s->phase = RATE_PLATEAU;
	s->growth_ppm = 20000;
	step_for(step, s->plateau);
}

void rate_adaptive(struct rate_step *step)
{
	struct rate_state *s = step->s;

	step->burst = 1;
	if (step->answer->signal == WEIR_RATE_THROTTLED) {
		throttled(step);
	} else if (s->phase != RATE_FREE && step->accepted >= s->goal_accepted) {
		uint64_t took = step->now_ns - s->step_ns;
		uint64_t n = step->accepted - s->step_accepted;

		if (took <= 2 * rate_time_ns(n + 1, s->rate)) {
			s->rate = rate_clamp(s->rate + rate_mul_div(s->rate, s->growth_ppm, 1000000), step->p);
			s->growth_ppm = s->growth_ppm * 2 > 1000000 ? 1000000 : s->growth_ppm * 2;
		}
		s->phase = RATE_CLIMB;
		step_for(step, 16);
	}
	if (s->phase == RATE_FREE) {
		s->rate = step->p->max < WEIR_RATE_MAX ? step->p->max : 0;
		step->burst = step->p->burst;
	}
	step->due_accepted = s->phase == RATE_FREE ? 0 : s->goal_accepted;
}
