/* SPDX-License-Identifier: MIT */
/* A hidden token bucket that answers a bare 429, and more demand than it allows. */
#include <math.h>

#include "case.h"
#include "crowd.h"

#define LOOPS      16
#define PER_S      10.0
#define STARTUP_S  30
#define PROGRESS_S 60

struct bucket_case {
	enum command_mode mode;
};

static const char *url_of(void *server, unsigned i)
{
	(void)i;
	return quotad_url(server, "/");
}

static void run(struct trial *t, const void *parameters)
{
	const struct bucket_case *p = parameters;
	bool bare = p->mode == COMMAND_BARE;
	const char *options[] = {"--bucket", "10/s:10", "--max-seconds", "100000", NULL};
	struct quotad *server = quotad_start(t->scene->dir, options);
	double total_s = bare ? 60 : trial_seconds(t, 1200, 60, 60), begun_s, end_s, share;
	struct quotad_count startup, count;
	struct crowd crowd;

	crowd_open(&crowd, t->scene, p->mode, NULL, LOOPS);
	begun_s = monotonic_s();
	end_s = begun_s + total_s;
	crowd_loop(&crowd, url_of, server, begun_s + STARTUP_S);
	startup = quotad_count(server);
	quotad_mark(server);
	begun_s = monotonic_s();
	for (double now_s = begun_s; now_s < end_s && !trial_interrupted(); now_s = monotonic_s()) {
		crowd_loop(&crowd, url_of, server, fmin(end_s, now_s + PROGRESS_S));
		count = quotad_count_since_mark(server);
		trial_progress(t, "%d requests, %d x 429 after the start-up, %d x 429 in it", (int)count.requests,
			       (int)count.throttled, (int)startup.throttled);
	}
	end_s = monotonic_s();
	count = quotad_count_since_mark(server);
	crowd_close(&crowd);
	share = (double)count.throttled / (double)count.requests;
	trial_duration(t, "%d loops for %.0f s", LOOPS, total_s);
	trial_figure(t, "utilisation after 30 s", UNIT_RATIO, (double)count.accepted / (PER_S * (end_s - begun_s)),
		     bare ? 0 : '>', .98);
	trial_figure(t, "share of 429 after 30 s", UNIT_SHARE, share, bare ? 0 : '<', .001);
	trial_figure(t, "429 in the first 30 s", UNIT_COUNT, (double)startup.throttled, bare ? 0 : '<', 25);
}

static const struct bucket_case under_weir = {COMMAND_UNDER_WEIR}, without = {COMMAND_BARE};

/* tests/integration/test_adaptive.c is its form for scripts/check. */
static const struct eval_case cases[] = {
	{.name = "weir", .text = "under weir, no configuration", .run = run, .parameters = &under_weir},
	{.name = "bare", .text = "the same loops without weir", .run = run, .parameters = &without},
};

const struct scenario bucket_scenario = {
	.name = "bucket",
	.row = 1,
	.text = "token bucket 10/s, burst 10, bare 429, 16 loops of fresh curls that ask again at once (after a failure: in 0.1 "
		"s)",
	.cases = cases,
	.count = sizeof cases / sizeof cases[0],
};
