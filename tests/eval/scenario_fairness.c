/* SPDX-License-Identifier: MIT */
/*
 * Sixteen equal loops and a process of 64 threads share a host that weir holds to what it allows; every other second one of the
 * seventeen is stopped for a second or killed.
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case.h"
#include "crowd.h"
#include "host_stats.h"
#include "tests/harness/environment.h"

#define LOOPS        16
#define BIG          LOOPS /* the member that has the threads */
#define CLIENTS      (LOOPS + 1)
#define THREADS      "64"
#define TROUBLE_S    2.0
#define STOP_S       1.0
#define PER_S        20.0
#define PROGRESS_S   60
#define LEAK_LIMIT_S 5.0 /* the agent reaps twice a second */

struct fairness {
	struct trial *trial;
	struct quotad *server;
	const char *config;
	struct crowd crowd;
	unsigned random, stopped, killed;
	char url[CLIENTS][64];
	char *program;
};

static void trouble(struct fairness *f, double now_s)
{
	unsigned i = (unsigned)rand_r(&f->random) % CLIENTS;
	struct member *m = &f->crowd.member[i];

	if (m->pid == 0 || m->continue_at_s > 0)
		return;
	if (rand_r(&f->random) % 2 == 0) {
		kill(m->pid, SIGSTOP);
		m->continue_at_s = now_s + STOP_S;
		f->stopped++;
	} else {
		m->kill_at_s = now_s;
		f->killed++;
	}
}

static void start(struct fairness *f, unsigned i)
{
	const char *big[] = {f->program, "--client", THREADS, f->url[i], NULL};

	if (i == BIG)
		crowd_start(&f->crowd, i, big);
	else
		crowd_curl(&f->crowd, i, f->url[i], NULL);
}

static void load(struct fairness *f, double until_s)
{
	double now_s = monotonic_s(), trouble_s = now_s + TROUBLE_S, told_s = now_s + PROGRESS_S;

	while (now_s < until_s && !trial_interrupted()) {
		for (int i; (i = crowd_idle(&f->crowd, now_s)) >= 0;)
			start(f, (unsigned)i);
		if (now_s >= trouble_s) {
			trouble(f, now_s);
			trouble_s += TROUBLE_S;
		}
		if (now_s >= told_s) {
			trial_progress(f->trial, "%d requests, %u stopped, %u killed", (int)quotad_count(f->server).requests,
				       f->stopped, f->killed);
			told_s += PROGRESS_S;
		}
		now_s = crowd_wait(&f->crowd, fmin(until_s, trouble_s));
	}
}

/* Jain, Chiu, Hawe: 1 when all have the same, 1/n when one has all. */
static double jain(const double *x, unsigned n)
{
	double sum = 0, squares = 0;

	for (unsigned i = 0; i < n; i++) {
		sum += x[i];
		squares += x[i] * x[i];
	}
	return squares > 0 ? sum * sum / (n * squares) : 0;
}

static bool nothing_is_out(void *data)
{
	struct fairness *f = data;
	struct host_stats stats;

	return host_stats_read(f->trial->scene, f->config, f->server, &stats) && stats.in_flight == 0 && stats.waiting == 0;
}

static void report(struct fairness *f, double seconds)
{
	struct trial *t = f->trial;
	struct host_stats stats = {.in_flight = -1};
	double served[CLIENTS] = {0}, fewest = INFINITY, most = 0;
	struct quotad_count count = quotad_count(f->server);
	struct quotad_arrival *a;
	size_t n;

	a = quotad_journal(f->server, &n);
	for (size_t i = 0; i < n; i++) {
		unsigned client = (unsigned)strtoul(a[i].path + 3, NULL, 10); /* "/n/5" */

		if (a[i].status == 200 && client < CLIENTS)
			served[client]++;
	}
	free(a);
	for (unsigned i = 0; i < LOOPS; i++) {
		fewest = fmin(fewest, served[i]);
		most = fmax(most, served[i]);
	}
	(void)wait_until(nothing_is_out, f, LEAK_LIMIT_S);
	if (!host_stats_read(t->scene, f->config, f->server, &stats))
		fail_msg("%s: weir does not know the host", t->title);
	trial_figure(t, "Jain's index over the 16 equal loops", UNIT_RATIO, jain(served, LOOPS), '>', trial_target(t, .95, .75));
	trial_tell(t, "Jain's index over all 17 as processes", UNIT_RATIO, jain(served, CLIENTS));
	trial_tell(t, "requests of the loop that got fewest", UNIT_COUNT, fewest);
	trial_tell(t, "requests of the loop that got most", UNIT_COUNT, most);
	trial_tell(t, "requests of the process with 64 threads, per thread", UNIT_COUNT, served[BIG] / 64);
	trial_figure(t, "permits leaked", UNIT_COUNT, stats.in_flight, '<', 0);
	trial_figure(t, "waiters left", UNIT_COUNT, stats.waiting, '<', 0);
	trial_tell(t, "utilisation", UNIT_RATIO, (double)count.accepted / (PER_S * seconds));
	trial_tell(t, "429", UNIT_COUNT, (double)count.throttled);
	trial_tell(t, "processes stopped for 1 s", UNIT_COUNT, f->stopped);
	trial_tell(t, "processes killed", UNIT_COUNT, f->killed);
}

static void run(struct trial *t, const void *parameters)
{
	const char *options[] = {"--bucket", "20/s:20", "--max-seconds", "100000", NULL};
	struct fairness f = {.trial = t, .random = trial_seed(t), .program = build_path("evaluate")};
	double seconds = trial_seconds(t, 1200, 60, 15);
	char path[16];

	(void)parameters;
	f.server = quotad_start(t->scene->dir, options);
	f.config = scene_rules_file(t->scene, "defaults = { rate = \"20/s\"; wait = { max = \"10m\"; }; };\n");
	for (unsigned i = 0; i < CLIENTS; i++) {
		snprintf(path, sizeof path, "/n/%u", i);
		snprintf(f.url[i], sizeof f.url[i], "%s", quotad_url(f.server, path));
	}
	trial_duration(t, "%.0f s", seconds);
	crowd_open(&f.crowd, t->scene, COMMAND_UNDER_WEIR, f.config, CLIENTS);
	load(&f, monotonic_s() + seconds);
	crowd_close(&f.crowd);
	if (!trial_interrupted())
		report(&f, seconds);
	free(f.program);
}

static const struct eval_case cases[] = {
	{.name = "bucket", .text = "weir fixed at 20/s, the server's bucket is 20/s, burst 20", .run = run, .checked = true},
};

const struct scenario fairness_scenario = {
	.name = "fairness",
	.row = 10,
	.text = "16 loops of fresh curls and one process of 64 threads; every 2 s one of the 17 is stopped for 1 s or killed",
	.cases = cases,
	.count = sizeof cases / sizeof cases[0],
};
