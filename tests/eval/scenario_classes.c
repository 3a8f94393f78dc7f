/* SPDX-License-Identifier: MIT */
/* Priorities at a rule of 10/s: loops of each class, and one that comes late. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case.h"
#include "crowd.h"

#define CLASSES   3
#define LOOPS     8 /* of each */
#define PER_S     10.0
#define STARTUP_S 10
#define RULES     "hosts = ( { match = \"127.0.0.1\"; rate = \"10/s\"; concurrency = false; wait = { max = \"1h\"; }; } );\n"

static const struct class
{
	const char *name, *environment, *path, *off;
	double share;
} classes[CLASSES] = {
	{"low", "WEIR_PRIORITY=low", "/bytes/1", "low off its share of 5 %", .05},
	{"normal", "WEIR_PRIORITY=normal", "/", "normal off its share of 20 %", .20},
	{"high", "WEIR_PRIORITY=high", "/status/200", "high off its share of 75 %", .75},
};

static void ask(struct crowd *c, unsigned i, const struct class *class, struct quotad *server)
{
	const char *argv[] = {
		"env", class->environment, "curl", "-q", "-s", "-f", "-o", "/dev/null", quotad_url(server, class->path), NULL};

	crowd_start(c, i, argv);
}

static double jain(const uint64_t *of, unsigned n)
{
	double total = 0, squares = 0;

	for (unsigned i = 0; i < n; i++) {
		total += (double)of[i];
		squares += (double)of[i] * (double)of[i];
	}
	return squares > 0 ? total * total / (n * squares) : 0;
}

static void run_loops(struct trial *t, const void *parameters)
{
	const char *options[] = {"--max-seconds", "100000", NULL};
	struct quotad *server = quotad_start(t->scene->dir, options);
	double seconds = trial_seconds(t, 600, 60, 20), begun_s = monotonic_s(), now_s = begun_s, end_s;
	uint64_t before[CLASSES * LOOPS] = {0}, after[CLASSES * LOOPS];
	double of_class[CLASSES] = {0}, all = 0, least = 1;
	struct crowd crowd;
	bool measured = false;

	(void)parameters;
	scene_configure(t->scene, RULES);
	crowd_open(&crowd, t->scene, COMMAND_UNDER_WEIR, NULL, CLASSES * LOOPS);
	end_s = begun_s + STARTUP_S + seconds;
	while (now_s < end_s && !trial_interrupted()) {
		for (int i; (i = crowd_idle(&crowd, now_s)) >= 0;)
			ask(&crowd, (unsigned)i, &classes[i / LOOPS], server);
		now_s = crowd_wait(&crowd, end_s);
		if (measured || now_s < begun_s + STARTUP_S)
			continue;
		measured = true;
		begun_s = now_s;
		for (unsigned i = 0; i < CLASSES * LOOPS; i++)
			before[i] = crowd.member[i].succeeded;
	}
	for (unsigned i = 0; i < CLASSES * LOOPS; i++) {
		after[i] = crowd.member[i].succeeded - before[i];
		of_class[i / LOOPS] += (double)after[i];
		all += (double)after[i];
	}
	crowd_close(&crowd);
	trial_duration(t, "%d loops of each class for %.0f s", LOOPS, now_s - begun_s);
	for (unsigned k = 0; k < CLASSES; k++) {
		trial_figure(t, classes[k].off, UNIT_SHARE, fabs(of_class[k] / all / classes[k].share - 1), '<', .01);
		least = fmin(least, jain(after + k * LOOPS, LOOPS));
	}
	trial_figure(t, "the rate off 10/s", UNIT_SHARE, fabs(all / (PER_S * (now_s - begun_s)) - 1), '<', .01);
	trial_figure(t, "Jain's index within a class, the least", UNIT_RATIO, least, '>', .95);
}

/* Many of normal priority at once; when all have asked, one of high. */
static void run_late(struct trial *t, const void *parameters)
{
	const char *options[] = {"--max-seconds", "100000", NULL};
	struct quotad *server = quotad_start(t->scene->dir, options);
	unsigned many = t->form == FORM_FULL ? 500 : 100;
	struct quotad_arrival *arrival;
	double begun_s = 0, arrived_s = INFINITY;
	struct crowd crowd;
	size_t count, ahead = 0;

	(void)parameters;
	scene_configure(t->scene, RULES);
	crowd_open(&crowd, t->scene, COMMAND_UNDER_WEIR, NULL, many + 1);
	for (unsigned i = 0; i < many; i++)
		ask(&crowd, i, &classes[1], server);
	/* The last of them have asked when so many as they take to start have gone. */
	for (double now_s = monotonic_s(), until_s = now_s + (double)many / 100; now_s < until_s && !trial_interrupted();)
		now_s = crowd_wait(&crowd, until_s);
	begun_s = monotonic_s();
	ask(&crowd, many, &classes[2], server);
	while (crowd.member[many].pid != 0 && !trial_interrupted())
		crowd_wait(&crowd, monotonic_s() + 1);
	arrival = quotad_journal(server, &count);
	for (size_t i = 0; i < count; i++)
		if (strcmp(arrival[i].path, classes[2].path) == 0)
			arrived_s = arrival[i].arrival_s;
	for (size_t i = 0; i < count; i++)
		ahead += arrival[i].arrival_s > begun_s && arrival[i].arrival_s < arrived_s;
	free(arrival);
	crowd_close(&crowd);
	trial_duration(t, "one behind %u", many);
	trial_figure(t, "units' time from its start to its arrival", UNIT_RATIO, (arrived_s - begun_s) * PER_S, '<', 2);
	trial_tell(t, "of the others that went meanwhile", UNIT_COUNT, (double)ahead);
}

/* tests/integration/test_priorities.c is their form for scripts/check. */
static const struct eval_case cases[] = {
	{.name = "loops", .text = "8 loops each of low, normal and high priority", .run = run_loops},
	{.name = "late", .text = "one of high priority behind many of normal", .run = run_late},
};

const struct scenario classes_scenario = {
	.name = "classes",
	.row = 20,
	.text = "a rule of 10/s, fresh curls of three priorities that ask again at once",
	.cases = cases,
	.count = sizeof cases / sizeof cases[0],
};
