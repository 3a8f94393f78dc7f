/* SPDX-License-Identifier: MIT */
/* A healthy server with a few random errors and slow answers: nothing that a breaker should act on. */
#include <stdio.h>
#include <stdlib.h>

#include "case.h"
#include "client.h"
#include "crowd.h"
#include "host_stats.h"
#include "tests/harness/environment.h"

#define LOOPS      4
#define BIG        LOOPS
#define THREADS    "32"
#define PROGRESS_S 30

static void run(struct trial *t, const void *parameters)
{
	const char *options[] = {"--error-mix", "500:0.01", "--max-seconds", "100000", NULL};
	struct quotad *server = quotad_start(t->scene->dir, options);
	char *program = build_path("evaluate"), requests[24], path[32], base[64];
	const char *big[] = {program, "--client", THREADS, "--requests", requests, "--tail", base, NULL};
	unsigned random = trial_seed(t);
	double begun_s = monotonic_s(), now_s = begun_s, told_s = begun_s;
	struct host_stats stats = {.breaker_opened = -1};
	struct quotad_count count;
	struct crowd crowd;

	(void)parameters;
	snprintf(base, sizeof base, "http://127.0.0.1:%d", server->http_port);
	snprintf(requests, sizeof requests, "%d", t->form == FORM_FULL ? 1000000 : t->form == FORM_SHORT ? 3000 : 1500);
	crowd_open(&crowd, t->scene, COMMAND_UNDER_WEIR, NULL, LOOPS + 1);
	crowd_start(&crowd, BIG, big);
	while (crowd.member[BIG].pid != 0 && !trial_interrupted()) {
		for (unsigned i = 0; i < LOOPS; i++) {
			if (crowd.member[i].pid != 0 || crowd.member[i].not_before_s > now_s)
				continue;
			client_tail_path(&random, path);
			crowd_curl(&crowd, i, quotad_url(server, path), NULL);
		}
		now_s = crowd_wait(&crowd, now_s + 1);
		if (now_s >= told_s + PROGRESS_S) {
			told_s = now_s;
			trial_progress(t, "%d requests", (int)quotad_count(server).requests);
		}
	}
	if (!trial_interrupted() && crowd.member[BIG].succeeded != 1)
		fail_msg("%s: the client of %s threads did not end well", t->title, THREADS);
	crowd_close(&crowd);
	count = quotad_count(server);
	if (!trial_interrupted() && !host_stats_read(t->scene, NULL, server, &stats))
		fail_msg("%s: weir does not know the host", t->title);
	trial_duration(t, "%s requests and what four loops made meanwhile, %.0f s", requests, monotonic_s() - begun_s);
	trial_figure(t, "times that the breaker opened", UNIT_COUNT, stats.breaker_opened, '<', 0);
	trial_tell(t, "requests", UNIT_COUNT, (double)count.requests);
	trial_tell(t, "of them answered 500", UNIT_COUNT, (double)count.by_status[500]);
	free(program);
}

static const struct eval_case cases[] = {
	{.name = "errors",
	 .text = "1 % random 500s, one answer in ten from a Pareto tail of 5 ms to 3 s",
	 .run = run,
	 .checked = true},
};

const struct scenario control_scenario = {
	.name = "control",
	.row = 10,
	.text = "a healthy host under one client of 32 threads and four loops of fresh curls",
	.cases = cases,
	.count = sizeof cases / sizeof cases[0],
};
