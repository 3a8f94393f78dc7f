/* SPDX-License-Identifier: MIT */
/* What failed is asked again, within a budget. */
#include <math.h>
#include <stdio.h>

#include "case.h"
#include "crowd.h"
#include "tests/integration/host_counts.h"

#define FORTY      40
#define AT_ONCE    8
#define ROUNDS_MAX 20
#define RULES      "hosts = ( { match = \"127.0.0.1\"; retry = 3; } );\n"

/* Forty requests at a bucket of 10/s, eight at a time. Returns how many succeed. */
static uint64_t forty(struct trial *t, uint64_t *refusals)
{
	const char *options[] = {"--bucket", "10/s:10", "--max-seconds", "100000", NULL};
	struct quotad *server = quotad_start(t->scene->dir, options);
	uint64_t succeeded = 0, over = 0;
	double now_s = monotonic_s();
	struct crowd crowd;

	crowd_open(&crowd, t->scene, COMMAND_UNDER_WEIR, NULL, AT_ONCE);
	crowd.no_pause = true;
	while (over < FORTY && !trial_interrupted()) {
		for (int i; crowd.started < FORTY && (i = crowd_idle(&crowd, now_s)) >= 0;)
			crowd_curl(&crowd, (unsigned)i, quotad_url(server, "/"), NULL);
		now_s = crowd_wait(&crowd, now_s + 1);
		over = succeeded = 0;
		for (unsigned i = 0; i < AT_ONCE; i++) {
			succeeded += crowd.member[i].succeeded;
			over += crowd.member[i].succeeded + crowd.member[i].failed;
		}
	}
	*refusals = quotad_count(server).throttled;
	crowd_close(&crowd);
	quotad_stop(server);
	return succeeded;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void run_forty(struct trial *t, const void *parameters)
{
	unsigned rounds = t->form == FORM_FULL ? 11 : 3;
	uint64_t succeeded[ROUNDS_MAX], refusals[ROUNDS_MAX];

	(void)parameters;
	scene_configure(t->scene, RULES);
	for (unsigned i = 0; i < rounds && !trial_interrupted(); i++)
		succeeded[i] = forty(t, &refusals[i]);
	qsort(succeeded, rounds, sizeof succeeded[0], by_size);
	qsort(refusals, rounds, sizeof refusals[0], by_size);
	trial_duration(t, "%u times %d requests, %d at a time", rounds, FORTY, AT_ONCE);
	trial_figure(t, "of the forty that succeed, median", UNIT_COUNT, (double)succeeded[rounds / 2], '>', FORTY);
	trial_tell(t, "the same, least", UNIT_COUNT, (double)succeeded[0]);
	trial_figure(t, "refusals by the server, median", UNIT_COUNT, (double)refusals[rounds / 2], '<', 13);
	trial_tell(t, "the same, most", UNIT_COUNT, (double)refusals[rounds - 1]);
}

/* Requests at even distances; returns how many were begun, and how many of them failed. */
static uint64_t offer(struct trial *t, struct quotad *server, double per_s, double seconds, double outage_s, uint64_t *failed)
{
	double begun_s = monotonic_s(), now_s = begun_s, next_s = begun_s,
	       away_s = outage_s > 0 ? begun_s + seconds / 3 : INFINITY;
	struct crowd crowd;
	uint64_t begun = 0;

	crowd_open(&crowd, t->scene, COMMAND_UNDER_WEIR, NULL, CROWD_MAX);
	crowd.no_pause = true;
	while (now_s < begun_s + seconds && !trial_interrupted()) {
		int i = crowd_idle(&crowd, now_s);

		if (now_s >= away_s) {
			quotad_outage(server, "refuse", outage_s);
			away_s = INFINITY;
		}
		if (now_s >= next_s && i >= 0) {
			crowd_curl(&crowd, (unsigned)i, quotad_url(server, "/"), NULL);
			next_s += 1 / per_s;
		}
		now_s = crowd_wait(&crowd, fmin(next_s, away_s));
	}
	/* Those under way end by themselves. */
	for (double end_s = now_s + 40; now_s < end_s && !trial_interrupted();) {
		unsigned running = 0;

		for (unsigned i = 0; i < CROWD_MAX; i++)
			running += crowd.member[i].pid != 0;
		if (running == 0)
			break;
		now_s = crowd_wait(&crowd, now_s + 1);
	}
	begun = crowd.started;
	*failed = 0;
	for (unsigned i = 0; i < CROWD_MAX; i++)
		*failed += crowd.member[i].failed;
	crowd_close(&crowd);
	return begun;
}

static double attempts_share(double attempts, double seconds, double requests)
{
	return (attempts - 6 * seconds / 60) / requests;
}

static void run_errors(struct trial *t, const void *parameters)
{
	const char *options[] = {"--error-mix", "503:0.2", "--max-seconds", "100000", NULL};
	struct quotad *server = quotad_start(t->scene->dir, options);
	double seconds = trial_seconds(t, 1200, 120, 30), requests;
	uint64_t failed;

	(void)parameters;
	scene_configure(t->scene, RULES);
	requests = (double)offer(t, server, 1 / 3.0, seconds, 0, &failed);
	trial_duration(t, "%.0f requests in %.0f s", requests, seconds);
	trial_figure(t, "of the requests that fail", UNIT_SHARE, (double)failed / requests, '<', .01);
	trial_figure(t, "attempts / requests, six a minute aside", UNIT_RATIO,
		     attempts_share((double)quotad_count(server).requests, seconds, requests), '<', 1.2);
}

static void run_outage(struct trial *t, const void *parameters)
{
	const char *options[] = {"--max-seconds", "100000", NULL};
	struct quotad *server = quotad_start(t->scene->dir, options);
	double outage_s = t->form == FORM_FULL ? 60 : 20, seconds = 3 * outage_s, requests;
	struct host_counts counts;
	char host_port[64];
	uint64_t failed;

	(void)parameters;
	scene_configure(t->scene, RULES);
	requests = (double)offer(t, server, 10, seconds, outage_s, &failed);
	host_port_of(host_port, "127.0.0.1", server->http_port);
	counts = counts_of(t->scene, host_port);
	trial_duration(t, "10/s for %.0f s, of which the host is away for %.0f s", seconds, outage_s);
	trial_figure(t, "attempts / requests, six a minute aside", UNIT_RATIO,
		     attempts_share((double)counts.admitted, seconds, requests), '<', 1.2);
	trial_tell(t, "requests that fail", UNIT_COUNT, (double)failed);
}

/* tests/integration/test_retries_answer.c has the forty for scripts/check. */
static const struct eval_case cases[] = {
	{.name = "forty", .text = "a bucket of 10/s, burst 10, bare 429", .run = run_forty},
	{.name = "errors", .text = "20 % of answers are 503, 20 requests a minute", .run = run_errors},
	{.name = "outage", .text = "connections are refused for a while, 10 requests a second", .run = run_outage},
};

const struct scenario retries_scenario = {
	.name = "retries",
	.row = 22,
	.text = "fresh curls, three attempts each (`retry = 3`)",
	.together = true,
	.cases = cases,
	.count = sizeof cases / sizeof cases[0],
};
