/* SPDX-License-Identifier: MIT */
/*
 * Fixed windows whose server says in its headers when to come back, in every dialect. Windows begin at whole seconds of the wall
 * clock, so that the journal tells for each refusal what the server announced: the end of its window, rounded as the dialect
 * rounds.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "case.h"
#include "crowd.h"
#include "tests/integration/host_counts.h"

/* A request that arrives no later than this after the announcement was on its way. */
#define IN_FLIGHT_S 0.25

#define STEP_S 0.5

enum rounding {
	TO_THE_SECOND_FROM_NOW, /* Retry-After: 7; RateLimit-Reset: 7 */
	TO_THE_WALL_SECOND,     /* a date, an epoch: here the end of the window itself */
	NOT_ROUNDED,
	NO_HOLD, /* nothing that could be understood is announced */
};

struct hold_case {
	const char *dialect;
	const char *date_skew;
	enum rounding rounding;
	double hold_max_s;       /* > 0: configured, and no hold may be longer */
	const char *retry_after; /* announced whatever the window says; NULL = none */
};

struct shape {
	unsigned limit;
	double period_s;
	unsigned windows;
	unsigned loops;
};

static struct shape shape_of(const struct trial *t)
{
	if (t->form == FORM_CHECK)
		return (struct shape){20, 5, 3, 6};
	if (t->form == FORM_SHORT)
		return (struct shape){30, 10, 5, 16};
	return (struct shape){60, 60, t->minutes > 0 ? (unsigned)fmax(3, t->minutes) : 10, 16};
}

static double wall_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

struct findings {
	unsigned accepted; /* after the first window */
	unsigned throttled;
	unsigned holds;
	unsigned disobeyed; /* arrivals inside a hold that were not in flight */
	double held_s, late_s;
	double silence_s; /* the longest time without an arrival */
};

static double announced_end(double at_s, double window_end_s, enum rounding rounding)
{
	return rounding == TO_THE_SECOND_FROM_NOW ? at_s + ceil(window_end_s - at_s) : window_end_s;
}

static struct findings judge(const struct quotad_arrival *a, size_t n, double begun_s, const struct shape *s,
			     enum rounding rounding)
{
	struct findings f = {0};
	double hold_since_s = 0, hold_end_s = 0;

	for (size_t i = 0; i < n; i++) {
		double at_s = a[i].arrival_s, window = floor((at_s - begun_s) / s->period_s);
		double window_end_s = begun_s + (window + 1) * s->period_s;

		if (i > 0)
			f.silence_s = fmax(f.silence_s, at_s - a[i - 1].arrival_s);
		if (hold_end_s > 0 && at_s >= hold_end_s) {
			f.late_s += at_s - hold_end_s;
			f.held_s += hold_end_s - hold_since_s;
			f.holds++;
			hold_end_s = 0;
		}
		f.disobeyed += hold_end_s > 0 && at_s > hold_since_s + IN_FLIGHT_S;
		if (a[i].status == 429 && rounding != NO_HOLD) {
			if (hold_end_s <= 0)
				hold_since_s = at_s;
			hold_end_s = fmax(hold_end_s, announced_end(at_s, window_end_s, rounding));
		}
		if (window >= 1 && window < s->windows) {
			f.accepted += a[i].status == 200;
			f.throttled += a[i].status == 429;
		}
	}
	f.silence_s = fmax(f.silence_s, begun_s + s->windows * s->period_s - (n > 0 ? a[n - 1].arrival_s : begun_s));
	return f;
}

static const char *url_of(void *server, unsigned i)
{
	(void)i;
	return quotad_url(server, "/");
}

static const char *configuration(struct trial *t, const struct hold_case *p)
{
	char text[200], hold[64] = "";

	if (p->hold_max_s > 0)
		snprintf(hold, sizeof hold, " hold = { max = \"%.0fs\"; };", p->hold_max_s);
	/* A hold is longer than the minute for which a request waits by default. */
	snprintf(text, sizeof text, "defaults = { wait = { max = \"10m\"; };%s };\n", hold);
	return scene_rules_file(t->scene, text);
}

static void report(struct trial *t, const struct hold_case *p, const struct shape *s, const struct findings *f,
		   double longest_hold_s)
{
	double utilisation = f->accepted / (s->limit * (s->windows - 1.0));

	trial_duration(t, "%u windows of %u requests in %.0f s, %u loops", s->windows, s->limit, s->period_s, s->loops);
	if (p->hold_max_s > 0) {
		trial_figure(t, "longest hold in force", UNIT_SECONDS, longest_hold_s, '<', p->hold_max_s);
		/* Of windows of seconds the rest of one and a hold are no measure: scripts/check looks at the hold alone. */
		trial_figure(t, "longest silence", UNIT_SECONDS, f->silence_s, t->form == FORM_CHECK ? 0 : '<',
			     s->period_s + p->hold_max_s);
		trial_tell(t, "utilisation after the first window", UNIT_RATIO, utilisation);
	} else if (p->rounding == NO_HOLD) {
		trial_figure(t, "longest silence", UNIT_SECONDS, f->silence_s, '<', 2 * s->period_s);
		trial_tell(t, "utilisation after the first window", UNIT_RATIO, utilisation);
	} else {
		trial_figure(t, "utilisation after the first window", UNIT_RATIO, utilisation, '>', trial_target(t, .99, .75));
		trial_figure(t, "requests inside a hold, those in flight aside", UNIT_COUNT, f->disobeyed, '<', 0);
		trial_figure(t, "resumption late, share of the hold", UNIT_SHARE, f->holds > 0 ? f->late_s / f->held_s : 0, '<',
			     trial_target(t, .1, .5));
		trial_tell(t, "holds", UNIT_COUNT, f->holds);
	}
	/* Where nothing can be understood, a refusal is to teach as much as a bare one. */
	if (p->rounding == NO_HOLD && p->retry_after == NULL && t->form != FORM_CHECK)
		trial_figure(t, "429 for each accepted request after the first window", UNIT_RATIO,
			     f->accepted > 0 ? f->throttled / (double)f->accepted : INFINITY, '<', .1);
	else
		trial_tell(t, "429 after the first window", UNIT_COUNT, f->throttled);
}

static void run(struct trial *t, const void *parameters)
{
	const struct hold_case *p = parameters;
	struct shape s = shape_of(t);
	double start_wall_s = ceil(wall_s()) + 1, begun_s = monotonic_s() + start_wall_s - wall_s(), longest_hold_s = 0;
	char window[32], phase[32], host_port[64];
	const char *options[] = {"--window",
				 window,
				 "--window-phase",
				 phase,
				 "--dialect",
				 p->dialect,
				 "--date-skew",
				 p->date_skew,
				 "--max-seconds",
				 "100000",
				 p->retry_after == NULL ? NULL : "--retry-after",
				 p->retry_after,
				 NULL};
	const char *config = configuration(t, p);
	struct quotad_arrival *arrivals;
	struct quotad *server;
	struct findings f;
	struct crowd crowd;
	unsigned seen = 0;
	size_t n;

	snprintf(window, sizeof window, "%u/%.0fs", s.limit, s.period_s);
	snprintf(phase, sizeof phase, "%.0f", fmod(start_wall_s, s.period_s));
	server = quotad_start(t->scene->dir, options);
	host_port_of(host_port, "127.0.0.1", server->http_port);
	crowd_open(&crowd, t->scene, COMMAND_UNDER_WEIR, config, s.loops);
	crowd_wait(&crowd, begun_s);
	for (double now_s = begun_s, end_s = begun_s + s.windows * s.period_s; now_s < end_s && !trial_interrupted();) {
		crowd_loop(&crowd, url_of, server, fmin(end_s, now_s + STEP_S));
		longest_hold_s = fmax(longest_hold_s, counts_under(t->scene, config, host_port).hold_s);
		now_s = monotonic_s();
		if ((unsigned)((now_s - begun_s) / s.period_s) > seen) {
			struct quotad_count count = quotad_count(server);

			trial_progress(t, "window %u of %u: %d accepted, %d x 429", ++seen, s.windows, (int)count.accepted,
				       (int)count.throttled);
		}
	}
	crowd_close(&crowd);
	arrivals = quotad_journal(server, &n);
	f = judge(arrivals, n, begun_s, &s, p->rounding);
	free(arrivals);
	report(t, p, &s, &f, longest_hold_s);
}

#define CASE(short_name, what, in_check, ...)                                                                                    \
	{                                                                                                                        \
		.name = short_name, .text = what, .run = run, .checked = in_check, .parameters = &(const struct hold_case)       \
		{                                                                                                                \
			__VA_ARGS__                                                                                              \
		}                                                                                                                \
	}

/* Retry-After on a bucket is in tests/integration/test_hold.c; here scripts/check sees the dialects that come with every answer,
 * and the date of a server whose clock is wrong. */
static const struct eval_case cases[] = {
	CASE("retry-seconds", "Retry-After in seconds", false, "retry-after", "0", TO_THE_SECOND_FROM_NOW, 0, NULL),
	CASE("retry-float", "Retry-After as a decimal", false, "retry-after-float", "0", NOT_ROUNDED, 0, NULL),
	CASE("retry-date-fast", "Retry-After as a date, the server's clock 120 s ahead", true, "retry-after-date", "120",
	     TO_THE_WALL_SECOND, 0, NULL),
	CASE("retry-date-slow", "Retry-After as a date, the server's clock 120 s behind", false, "retry-after-date", "-120",
	     TO_THE_WALL_SECOND, 0, NULL),
	CASE("ratelimit-draft", "RateLimit headers of the drafts", true, "ratelimit-draft", "0", TO_THE_SECOND_FROM_NOW, 0, NULL),
	CASE("x-epoch-s", "X-RateLimit-* in epoch seconds, the server's clock 120 s ahead", false, "x-ratelimit-epoch", "120",
	     TO_THE_WALL_SECOND, 0, NULL),
	CASE("x-epoch-ms", "X-RateLimit-* in epoch milliseconds", true, "x-ratelimit-epoch-ms", "0", NOT_ROUNDED, 0, NULL),
	CASE("x-delta", "X-RateLimit-* with a delta", false, "x-ratelimit-delta", "0", TO_THE_SECOND_FROM_NOW, 0, NULL),
	CASE("malformed", "malformed values in every header", false, "malformed", "0", NO_HOLD, 0, NULL),
	CASE("absurd", "absurd values in every header, `hold.max = \"3s\"`", true, "absurd", "0", NO_HOLD, 3, NULL),
	CASE("retry-a-day", "Retry-After: 86400, `hold.max = \"3s\"`", true, "retry-after", "0", NO_HOLD, 3, "86400"),
};

const struct scenario hold_scenario = {
	.name = "hold",
	.row = 5,
	.text = "fixed windows whose server says when to come back, loops of fresh curls that ask again at once",
	.together = true,
	.cases = cases,
	.count = sizeof cases / sizeof cases[0],
};
