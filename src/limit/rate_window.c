/* SPDX-License-Identifier: MIT */
/*
 * Fixed windows: so many requests per span, all refused when they are spent. A run of refusals that no bucket of the estimated
 * rate explains, then an accept: a boundary lies in between (window_low_ns, window_high_ns). What is accepted from there to the
 * next such run is the window's limit. Its length is tried among those that people use, or named by Retry-After.
 */
#include "rate_adaptive.h"

/* Windows that people use. */
static const uint32_t length_s[] = {1,   2,    5,    10,   15,   20,    30,    60,    120,   180,   300,  600,
				    900, 1200, 1800, 3600, 7200, 10800, 14400, 21600, 28800, 43200, 86400};
/* Servers round the time to come back to whole seconds, at both ends of a window. */
#define ROUNDING_NS (3 * RATE_SECOND / 2)

/* The pace inside a known window: what is given away for the jitter of the requests around its boundaries. */
#define WINDOW_MARGIN_NS      (150 * RATE_MS)
#define WINDOW_MARGIN_MIN_PPM UINT64_C(200)
#define WINDOW_MARGIN_MAX_PPM UINT64_C(4000)

/* Requests that may be spent on finding a boundary each time that its place is unknown. */
#define LOOKS 4

/* A known window is forgotten when it has not opened at so many looks: eight boundaries. */
#define RUNS_MAX (8 * LOOKS)

/* window_guess: within a window that is known the host has been asked again soon after a refusal, and has refused; or has
 * accepted, so that it is the last so many seconds that it looks at. Beyond all numbers of lengths, and of what rate_ban.c stores
 * there. */
#define FIXED  UINT64_C(1003)
#define SLIDES UINT64_C(1004)

#define LENGTHS (sizeof(length_s) / sizeof(length_s[0]))

static uint64_t length_ns(uint64_t i)
{
	return length_s[i] * RATE_SECOND;
}

static uint64_t window_margin_ppm(uint64_t window_ns)
{
	uint64_t ppm = rate_mul_div(WINDOW_MARGIN_NS, 1000000, window_ns);

	return ppm > WINDOW_MARGIN_MAX_PPM ? WINDOW_MARGIN_MAX_PPM : ppm < WINDOW_MARGIN_MIN_PPM ? WINDOW_MARGIN_MIN_PPM : ppm;
}

/* Length and budget are known: just below their quotient, whatever the phase, no window can be exhausted. */
static void settle_on_window(struct rate_step *step)
{
	struct rate_state *s = step->s;

	if (s->window_ns == 0 || s->window_limit == 0)
		return;
	s->estimate = rate_clamp(rate_of(s->window_limit, s->window_ns), step->p);
	s->rate = rate_clamp(rate_mul_div(s->estimate, 1000000 - window_margin_ppm(s->window_ns), 1000000), step->p);
	s->trust = s->window_limit < TRUST_MAX ? s->window_limit : TRUST_MAX;
	s->phase = RATE_PLATEAU;
	s->step_ns = step->now_ns;
	s->step_accepted = step->accepted;
	s->plateau = 4 * s->trust > PLATEAU_BASE ? 4 * s->trust : PLATEAU_BASE;
	if (s->plateau > PLATEAU_MAX)
		s->plateau = PLATEAU_MAX;
	s->goal_accepted = step->accepted + s->plateau;
}

void rate_window_held(struct rate_step *step, uint64_t busy_ns)
{
	struct rate_state *s = step->s;
	uint64_t until = step->answer->hold_until_ns, n = step->accepted - s->window_accepted;

	/* A bucket asks for less than the time of four tokens. */
	if (until <= step->now_ns || (s->estimate != 0 && until - step->now_ns < rate_time_ns(4, s->estimate)))
		return;
	/* In a window that is spent the host was asked, or refuses; of a few it has refused for a good part of it. */
	if (s->window_ns == 0 && s->held_ns != 0 && until > s->held_ns + RATE_SECOND / 2 && n >= 4 &&
	    (n >= 2 * FEW ? busy_ns + (until - step->now_ns) >= (until - s->held_ns) / 2
			  : until - step->now_ns >= (until - s->held_ns) / 4)) {
		s->window_ns = until - s->held_ns;
		s->window_limit = n;
		for (uint64_t i = 0; i < LENGTHS; i++)
			if (s->window_ns + ROUNDING_NS > length_ns(i) && s->window_ns < length_ns(i) + ROUNDING_NS)
				s->window_ns = length_ns(i);
	}
	s->held_ns = until;
	s->window_high_ns = until;
	s->window_low_ns = until - RATE_SECOND;
}

/* A bucket that refused throughout the run before the last boundary fills at less than one per run. Whether what has been
 * accepted since, until the run at hand began, is more than it could have given. */
static bool no_bucket(const struct rate_state *s, uint64_t n, uint64_t until_ns)
{
	return n >= 4 && (unsigned __int128)(n - 1) * s->window_run_ns > until_ns - (s->window_low_ns - s->window_run_ns);
}

bool rate_window_lifted(const struct rate_step *step)
{
	const struct rate_state *s = step->s;

	return s->window_high_ns != 0 && s->window_high_ns < step->now_ns && s->window_low_ns >= s->window_run_ns &&
	       no_bucket(s, step->accepted - s->window_accepted, step->now_ns);
}

/* A window that was exhausted so late that its end came before LONG_RUN refusals had. Its beginning is known, so the lengths that
 * fit between the two boundaries and are not excluded by the runs are few; one alone is taken for it. 0 = none, or several. */
static uint64_t length_between(const struct rate_state *s, uint64_t low, uint64_t high)
{
	uint64_t n = s->cut_accepted - s->window_accepted, run = s->run_last_ns - s->run_ns, found = 0;

	if (s->window_high_ns == 0 || s->window_limit != 0 || s->window_guess != 0 || s->window_low_ns < s->window_run_ns)
		return 0;
	if (s->runs < 2 || s->window_high_ns >= s->run_ns || s->window_accepted > s->cut_accepted || !no_bucket(s, n, s->run_ns))
		return 0;
	/* At the pace of the accepts before, two of these would have been accepted. */
	if ((unsigned __int128)n * run < 2 * (unsigned __int128)(s->run_ns - s->window_high_ns))
		return 0;
	for (uint64_t i = 0; i < LENGTHS; i++) {
		uint64_t w = length_ns(i), least = low > s->window_high_ns ? (low - s->window_high_ns) / w + 1 : 1;

		if (w <= s->window_run_ns || w <= run || least * w >= high - s->window_low_ns)
			continue;
		/* Of several windows' accepts nobody could tell what one allows. */
		if (found != 0 || least > 1 || 2 * w < high - s->window_low_ns)
			return 0;
		found = w;
	}
	return found;
}

/* Whether what is sent at `ns`, after a refusal, is so well before the next boundary of the window that is known that it will be
 * refused as well. A log of the last so many seconds, which looks like a window when it has been filled at once, makes room for
 * one request after the other. */
static bool within_window(const struct rate_state *s, uint64_t ns)
{
	uint64_t low = s->window_low_ns, high = s->window_high_ns;

	if (s->window_ns == 0 || s->window_limit == 0 || high == 0 || s->held_ns != 0 || s->window_guess == FIXED)
		return false;
	if (high <= s->run_ns)
		low += ((s->run_ns - high) / s->window_ns + 1) * s->window_ns;
	return ns + s->window_ns / 64 < low;
}

void rate_window_reopened(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t low = s->run_last_ns, high = step->now_ns, between = 0;

	if (s->runs == 1 && within_window(s, step->answer->admitted_ns))
		s->window_guess = SLIDES;
	if (s->window_guess == SLIDES) {
		settle_on_window(step);
		return;
	}

	if (s->held_ns != 0 && s->held_ns == s->window_high_ns) {
		/* The host has named the boundary itself. */
		s->window_accepted = step->accepted - 1;
		s->window_run_ns = s->held_ns > s->run_ns ? s->held_ns - s->run_ns : 0;
		settle_on_window(step);
		return;
	}
	if (s->window_ns == 0)
		between = length_between(s, low, high);
	if (s->runs < 3 && s->window_guess == 0 && s->window_ns == 0 && between == 0)
		return;
	if (s->window_guess > 0 && s->window_guess <= LENGTHS) {
		s->window_ns = length_ns(s->window_guess - 1);
		s->window_guess = 0;
	}
	if (s->window_ns != 0) {
		/* the same boundary, seen again: intersect */
		uint64_t k = (high - s->window_high_ns + s->window_ns / 2) / s->window_ns;
		uint64_t plow = s->window_low_ns + k * s->window_ns, phigh = s->window_high_ns + k * s->window_ns;

		if (plow > low && plow < high)
			low = plow;
		if (phigh < high && phigh > low)
			high = phigh;
	} else {
		if (between != 0)
			s->window_limit = s->cut_accepted - s->window_accepted;
		s->window_ns = between;
		s->window_run_ns = s->run_last_ns - s->run_ns;
	}
	s->window_low_ns = low;
	s->window_high_ns = high;
	s->window_accepted = step->accepted - 1;
	settle_on_window(step);
}

void rate_window_straggler(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t n = step->accepted - s->window_accepted;

	/* Where the limit is what had been counted at the first refusal, this one belongs to it too. */
	if (s->window_ns != 0 && s->window_limit >= s->empty_accepted - s->window_accepted && n == s->window_limit + 1)
		s->window_limit = n;
}

void rate_window_exhausted(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t n = step->accepted - s->window_accepted, run = s->run_last_ns - s->run_ns;

	if (s->window_high_ns == 0 || s->window_limit != 0 || s->window_low_ns < s->window_run_ns)
		return;
	/* A bucket of the estimated rate would have accepted one of these; of several, with ever longer pauses, surely. */
	if (s->runs < LONG_RUN || rate_mul_div(s->estimate, run, RATE_SECOND) < LONG_RUN * 2 * WEIR_RATE_ONE)
		return;
	if (!no_bucket(s, n, s->run_ns))
		return;
	s->window_limit = n;
	s->window_guess = 0;
}

/* When to ask for a boundary that lies between `low` and `high`: LOOKS times, evenly, while its place is not known well. A
 * refusal costs a request, and waiting until the end of the span costs what the window would have accepted meanwhile. */
static uint64_t next_look(uint64_t low, uint64_t high, uint64_t window_ns, uint64_t now_ns)
{
	uint64_t step = (high - low) / LOOKS, at;

	if (high - low <= window_ns / 64)
		return high;
	if (step < window_ns / 64)
		step = window_ns / 64;
	if (step == 0)
		step = 1;
	at = low + (now_ns > low ? (now_ns - low) / step + 1 : 1) * step;
	return at < high ? at : high;
}

/* Until the next boundary of a window whose length and limit are known; of one that may slide, or does, until it has made room.
 * Returns false when it has been forgotten. */
static bool pause_within(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t now = step->now_ns, span = s->window_high_ns - s->window_low_ns, high = s->window_high_ns, low;
	uint64_t room = 2 * rate_time_ns(1, s->rate);
	bool fixed;

	if (s->runs > RUNS_MAX) {
		s->window_ns = s->window_guess = s->window_limit = s->window_high_ns = 0;
		return false;
	}
	if (s->window_guess == SLIDES) {
		room <<= s->runs < 8 ? s->runs - (s->runs != 0) : 7;
		rate_pause_until(step, now + (room < s->window_ns / LOOKS ? room : s->window_ns / LOOKS));
		return true;
	}
	if (s->runs == 1 && step->answer->hold_until_ns <= now && within_window(s, now + room)) {
		rate_pause_until(step, now + room);
		return true;
	}
	fixed = s->runs == 2 && within_window(s, step->answer->admitted_ns);
	if (high <= now)
		high += ((now - high) / s->window_ns + 1) * s->window_ns;
	low = high > span ? high - span : 0;
	if (fixed) {
		/* One request has been spent on that, so one less is on the boundary. */
		s->window_guess = FIXED;
		now = now < low + span / LOOKS ? low + span / LOOKS : now;
	}
	rate_pause_until(step, next_look(low, high, s->window_ns, now));
	return true;
}

bool rate_window_pause(struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t now = step->now_ns;

	if (s->window_limit == 0 || s->window_high_ns == 0)
		return false;
	if (s->window_ns != 0)
		return pause_within(step);
	for (uint64_t i = s->window_guess > 0 ? s->window_guess - 1 : 0; i < LENGTHS; i++) {
		uint64_t w = length_ns(i);

		if (w > s->window_run_ns && s->window_high_ns + w > now) {
			s->window_guess = i + 1;
			rate_pause_until(step, next_look(s->window_low_ns + w, s->window_high_ns + w, w, now));
			return true;
		}
	}
	s->window_limit = s->window_high_ns = s->window_guess = 0;
	return false;
}
