/* SPDX-License-Identifier: MIT */
/* evaluate: the scenarios of the evaluation with real processes on loopback. */
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "case.h"
#include "client.h"
#include "schedule.h"

#define EXIT_MISSED      1
#define EXIT_USAGE       64
#define EXIT_INTERRUPTED 130

static const struct scenario *const scenarios[] = {
	&bucket_scenario, &hold_scenario,  &outage_scenario,   &fairness_scenario, &control_scenario, &refusal_scenario,
	&slots_scenario,  &queue_scenario, &patience_scenario, &restart_scenario,  &classes_scenario, &retries_scenario,
};
#define SCENARIOS (sizeof scenarios / sizeof scenarios[0])
_Static_assert(SCENARIOS <= SCENARIOS_MAX, "room for them in the schedule");

static volatile sig_atomic_t interrupted;

bool trial_interrupted(void)
{
	return interrupted != 0;
}

static void interrupt(int number)
{
	interrupted = number;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = interrupt}; /* without SA_RESTART: who waits is to look */

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

static void list(void)
{
	for (size_t i = 0; i < SCENARIOS; i++)
		for (size_t k = 0; k < scenarios[i]->count; k++)
			printf("%s/%-18s %s\n", scenarios[i]->name, scenarios[i]->cases[k].name, scenarios[i]->cases[k].text);
}

static int usage(void)
{
	fputs("usage: evaluate [OPTION]...\n"
	      "Runs fresh curls under weir against quotad. Exit status 1 when a target is missed.\n\n"
	      "  --short           a minute or so for each case\n"
	      "  --check           seconds, and targets that hold on a busy machine: for scripts/check\n"
	      "  --minutes N       so many minutes for each case; six outages of N minutes. The full form takes two hours and a "
	      "half\n"
	      "  --only NAME       one scenario, or one case of it, as --list names them\n"
	      "  --report FILE     puts the tables of what was run into FILE, in place of those that are there\n"
	      "  --list            the cases\n\n"
	      "evaluate --client THREADS [--requests N] [--tail] URL is the client of many threads that some cases start.\n",
	      stderr);
	return EXIT_USAGE;
}

/* The programs under test are those that this one was built with. */
static void find_build(void)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);

	if (length <= 0)
		return;
	path[length] = '\0';
	*strrchr(path, '/') = '\0';
	setenv("WEIR_BUILD", path, 0);
}

static int evaluate(struct trial *model, const char *only, const char *report)
{
	struct score score = {0};

	find_build();
	catch_signals();
	model->since_s = monotonic_s();
	schedule(scenarios, SCENARIOS, model, only, report, &score);
	if (trial_interrupted())
		return EXIT_INTERRUPTED;
	if (score.cases == 0) {
		fprintf(stderr, "evaluate: there is no %s; see --list\n", only);
		return EXIT_USAGE;
	}
	printf("\n%u cases, %u failed, %u targets missed\n", score.cases, score.unfinished, score.missed);
	return score.unfinished + score.missed > 0 ? EXIT_MISSED : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"short", no_argument, NULL, 's'},          {"check", no_argument, NULL, 'c'},
		{"minutes", required_argument, NULL, 'm'},  {"only", required_argument, NULL, 'o'},
		{"list", no_argument, NULL, 'l'},           {"report", required_argument, NULL, 'r'},
		{"client", required_argument, NULL, 't'},   {"tail", no_argument, NULL, 'p'},
		{"requests", required_argument, NULL, 'n'}, {0},
	};
	struct trial model = {.form = FORM_FULL};
	const char *only = NULL, *report = NULL;
	unsigned threads = 0;
	uint64_t requests = 0;
	bool tail = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			model.form = FORM_SHORT;
			break;
		case 'c':
			model.form = FORM_CHECK;
			break;
		case 'm':
			model.minutes = atof(optarg);
			break;
		case 'o':
			only = optarg;
			break;
		case 'l':
			list();
			return 0;
		case 'r':
			report = optarg;
			break;
		case 't':
			threads = (unsigned)atoi(optarg);
			break;
		case 'p':
			tail = true;
			break;
		case 'n':
			requests = strtoull(optarg, NULL, 10);
			break;
		default:
			return usage();
		}
	}
	if (threads > 0)
		return optind + 1 == argc ? client_run(threads, requests, tail, argv[optind]) : usage();
	return optind == argc ? evaluate(&model, only, report) : usage();
}
