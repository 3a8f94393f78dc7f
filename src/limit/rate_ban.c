/* SPDX-License-Identifier: MIT */
/*
 * Bans: a refusal after which everything is refused for a while, and each request meanwhile begins that while anew. It looks like
 * an exhausted window at first: a long run of refusals, then an accept. What tells them apart is the next run: a window opens at
 * its boundary whatever is sent; a ban ends once nothing has been sent for as long as the pause that ended the last one. So that
 * is waited for in one go. Refused after it: no ban.
 *
 * A ban costs far more time than the pace explains, so distance is kept: after one nothing is tried for fifty times its length,
 * and then a little. The words of a window hold what is known (there is no window then): window_ns is the ban's length,
 * window_guess says that it is tried or known, window_high_ns and window_accepted when and where the last one ended.
 */
#include "rate_adaptive.h"

#define TRIED UINT64_C(1001) /* window_guess: beyond all numbers of lengths */
#define KNOWN UINT64_C(1002)

#define BAN_LEAST_NS  (5 * RATE_SECOND) /* shorter ones are found to be over soon by asking */
#define BAN_FEW       UINT64_C(4)       /* accepts between two of them */
#define BAN_TIMES     UINT64_C(16)
#define BAN_MANY      UINT64_C(128)     /* accepts that are a measurement, whatever was saved up in the bucket during the ban */
#define BELOW_PPM     UINT64_C(930000)  /* of what was measured */
#define SUSTAINED_PPM UINT64_C(950000)  /* of the last step before the ban: it may have been paid out of savings */
#define AGAIN_PPM     UINT64_C(900000)  /* of a pace that met with a ban all the same */
#define CLIMB_PPM     UINT64_C(1120000) /* a sixth of an octave; twelve of them from a quarter of the truth to the truth */
#define CLIMB_STEP    UINT64_C(64)
/* A first ban of so long is climbed after with care, as the climb costs less than the next one. It begins at one a second, or
 * where a window of as many as were accepted before it would be spent in an eighth of the time: so windows are found to be such.
 */
#define CAREFUL_NS    (300 * RATE_SECOND)
#define CAREFUL_TIMES UINT64_C(8)
#define CAREFUL_PPM   UINT64_C(866000) /* instead of SUSTAINED_PPM: a step further back, and x .97 */
#define LOOK_PPM      UINT64_C(1050000)
#define LOOK_BANS     UINT64_C(50) /* a look that fails costs one ban: a fiftieth of the time */

bool rate_ban(const struct rate_state *s)
{
	return s->window_guess == KNOWN || s->window_guess == TRIED;
}

static void wait_for_it(struct rate_step *step)
{
	rate_pause_until(step, step->now_ns + step->s->window_ns + step->s->window_ns / 20);
}

bool rate_ban_try(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t pause = s->window_high_ns - s->window_low_ns, n = step->accepted - s->window_accepted;

	if (s->window_guess != 0 || s->window_ns != 0 || s->window_limit != 0 || s->held_ns != 0 || s->window_high_ns == 0)
		return false;
	if (s->window_high_ns >= step->now_ns || s->window_low_ns >= s->window_high_ns || pause < BAN_LEAST_NS ||
	    pause > PAUSE_MAX_NS / 2 || s->window_run_ns < pause / 2 || n < BAN_FEW)
		return false;
	/* At the pace of the accepts since, so much would have been accepted during the refusals: far more than a bucket wants.
	 */
	if ((unsigned __int128)n * s->window_run_ns < BAN_TIMES * (unsigned __int128)(step->now_ns - s->window_high_ns))
		return false;
	s->window_guess = TRIED;
	s->window_ns = pause;
	wait_for_it(step);
	return true;
}

/* The pace after a ban that began at `at`, from what was accepted since the one before it. */
static void settle_below(struct rate_step *step, uint64_t accepted, uint64_t at_ns)
{
	struct rate_state *s = step->s;
	uint64_t n = accepted - s->window_accepted, t = at_ns > s->window_high_ns ? at_ns - s->window_high_ns : 1;
	uint64_t measured = rate_of(n, t), part = s->window_ns < CAREFUL_NS ? SUSTAINED_PPM : CAREFUL_PPM;
	uint64_t sustained = rate_mul_div(s->step_from, part, 1000000);

	if (n < BAN_MANY) {
		s->phase = RATE_CLIMB;
		s->estimate = rate_clamp(measured / 4, step->p);
	} else if (s->phase == RATE_PLATEAU) {
		/* Even that was too much; or a look upward was. */
		s->estimate =
			rate_clamp(s->step_from < s->rate ? s->step_from : rate_mul_div(s->rate, AGAIN_PPM, 1000000), step->p);
	} else {
		/* The mean of a climb is low, because what was not asked for at its beginning overflowed. */
		measured = rate_mul_div(measured, BELOW_PPM, 1000000);
		s->estimate = rate_clamp(sustained > measured && sustained < s->rate ? sustained : measured, step->p);
		s->phase = RATE_PLATEAU;
	}
	s->rate = s->step_from = s->estimate;
	s->trust = n < TRUST_MAX ? n : TRUST_MAX;
	s->agreed = 0;
}

/* The plan at the pace that was settled on: a plateau of so many accepts, or a step of the climb. */
static void plan(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t accepts = rate_mul_div(s->rate, LOOK_BANS * s->window_ns, RATE_SECOND) / WEIR_RATE_ONE;

	s->step_ns = step->now_ns;
	s->step_accepted = step->accepted;
	s->goal_accepted = step->accepted + (s->phase == RATE_PLATEAU && accepts > CLIMB_STEP ? accepts : CLIMB_STEP);
}

bool rate_ban_again(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t n = step->accepted - s->window_accepted;

	if (s->window_guess != KNOWN)
		return false;
	/* As much as last time, to a request or two: that is no ban but a window's limit, and the wait happened to span its end.
	 */
	if (n >= BAN_FEW && n + 2 >= s->trust && n <= s->trust + 2) {
		s->window_limit = n;
		s->window_guess = s->window_ns = 0;
		return false;
	}
	settle_below(step, step->accepted, step->now_ns);
	return true;
}

void rate_ban_pause(struct rate_step *step)
{
	plan(step);
	wait_for_it(step);
}

void rate_ban_refuted(struct rate_step *step)
{
	struct rate_state *s = step->s;

	/* Nothing was sent for longer than the last one lasted. */
	s->pause_ns = s->window_ns / 16;
	if (s->window_guess == KNOWN)
		s->window_high_ns = s->window_low_ns = 0;
	s->window_guess = s->window_ns = 0;
}

void rate_ban_lifted(struct rate_step *step)
{
	struct rate_state *s = step->s;

	if (s->window_guess == TRIED)
		settle_below(step, s->cut_accepted, s->run_ns);
	s->window_guess = KNOWN;
	s->window_low_ns = s->run_last_ns;
	s->window_high_ns = step->now_ns;
	s->window_accepted = step->accepted - 1;
	s->empty_ns = step->now_ns;
	s->empty_accepted = step->accepted - 1;
	plan(step);
}

bool rate_ban_first(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t pause = step->now_ns - s->run_last_ns, n = s->empty_accepted, begin, least;

	if (s->estimate != 0 || s->window_guess != 0 || s->window_ns != 0 || s->held_ns != 0 || s->runs < LONG_RUN ||
	    n < BAN_FEW || pause < CAREFUL_NS || pause > PAUSE_MAX_NS / 2)
		return false;
	if (step->answer->silent)
		n = 0; /* nobody knows */
	begin = rate_of(n < UINT32_MAX ? CAREFUL_TIMES * n : n, pause);
	least = s->rate / 2 < WEIR_RATE_ONE ? s->rate / 2 : WEIR_RATE_ONE;
	begin = rate_clamp(begin > least ? begin : least, step->p);
	if (begin >= s->rate)
		return false;
	s->window_ns = pause;
	s->phase = RATE_CLIMB;
	s->rate = s->step_from = s->estimate = begin;
	s->trust = n < TRUST_MAX ? n : TRUST_MAX;
	s->agreed = 0;
	rate_ban_lifted(step);
	return true;
}

void rate_ban_stepped(struct rate_step *step)
{
	struct rate_state *s = step->s;

	s->step_from = s->rate;
	/* A pace that was not in use has not been found to be sustained. */
	if (step->now_ns - s->step_ns <= 2 * rate_time_ns(step->accepted - s->step_accepted + 1, s->rate))
		s->rate = rate_clamp(rate_mul_div(s->rate, s->phase == RATE_PLATEAU ? LOOK_PPM : CLIMB_PPM, 1000000), step->p);
	plan(step);
}
