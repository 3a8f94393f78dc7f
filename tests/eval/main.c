/* SPDX-License-Identifier: MIT */
/*
 * evaluate: the scenarios of the evaluation with real processes on loopback. Every case runs in a child, so that one that fails
 * or is interrupted cleans up for itself.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"
#include "client.h"
#include "report.h"

#define EXIT_MISSED      1
#define EXIT_USAGE       64
#define EXIT_INTERRUPTED 130
#define CASES_MAX        16

static const struct scenario *const scenarios[] = {
	&bucket_scenario, &hold_scenario, &outage_scenario, &fairness_scenario, &control_scenario,
};
#define SCENARIOS (sizeof scenarios / sizeof scenarios[0])

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

/* In the child. A failure of the harness ends the process by exit(), and so comes here too. */
static void *scene;

static void leave_scene(void)
{
	void *state = scene;

	scene = NULL;
	if (state != NULL && scene_teardown(&state) != 0)
		fprintf(stderr, "evaluate: a scene did not end well\n");
}

__attribute__((noreturn)) static void run_case(const struct eval_case *c, struct trial *t, int out)
{
	scene_setup(&scene);
	atexit(leave_scene);
	t->scene = scene;
	c->run(t, c->parameters);
	t->result.finished = !trial_interrupted();
	leave_scene();
	/* Less than PIPE_BUF would be whole in any case; a pipe has room for this much at once. */
	exit(write(out, &t->result, sizeof t->result) == sizeof t->result ? 0 : 1);
}

struct worker {
	pid_t pid;
	int from;
};

static struct worker start_case(const struct scenario *s, const struct eval_case *c, const struct trial *model)
{
	struct trial trial = *model;
	struct worker w = {0};
	char title[64];
	int ends[2];
	pid_t parent = getpid();

	snprintf(title, sizeof title, "%s/%s", s->name, c->name);
	trial.title = title;
	trial_progress(&trial, "begins");
	if (pipe(ends) != 0 || (w.pid = fork()) < 0) {
		perror("evaluate");
		exit(2);
	}
	if (w.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			_exit(2);
		close(ends[0]);
		run_case(c, &trial, ends[1]);
	}
	close(ends[1]);
	w.from = ends[0];
	return w;
}

static struct result end_case(struct worker *w)
{
	struct result r;
	int status;

	do {
		if (trial_interrupted())
			kill(w->pid, SIGTERM);
	} while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR);
	if (read(w->from, &r, sizeof r) != sizeof r || status != 0)
		r.finished = false;
	close(w->from);
	return r;
}

static bool is_wanted(const struct scenario *s, const struct eval_case *c, const char *only, enum form form)
{
	char title[64];

	snprintf(title, sizeof title, "%s/%s", s->name, c->name);
	if (only != NULL && strcmp(only, s->name) != 0 && strcmp(only, title) != 0)
		return false;
	return form != FORM_CHECK || c->checked;
}

struct score {
	unsigned cases, unfinished, missed;
};

static void count(struct score *score, const struct scenario *s, const struct eval_case *c, const struct result *r)
{
	score->cases++;
	score->unfinished += !r->finished;
	if (!r->finished && !trial_interrupted())
		fprintf(stderr, "evaluate: %s/%s: failed\n", s->name, c->name);
	for (size_t i = 0; r->finished && i < r->figures; i++)
		score->missed += !figure_met(&r->figure[i]);
}

static void run_scenario(const struct scenario *s, const struct trial *model, const char *only, const char *report,
			 struct score *score)
{
	struct result result[CASES_MAX];
	struct worker worker[CASES_MAX];
	unsigned before = score->cases;

	memset(result, 0, sizeof result);
	memset(worker, 0, sizeof worker);
	for (size_t i = 0; i < s->count && !trial_interrupted(); i++) {
		if (!is_wanted(s, &s->cases[i], only, model->form))
			continue;
		worker[i] = start_case(s, &s->cases[i], model);
		if (!s->together)
			result[i] = end_case(&worker[i]);
	}
	for (size_t i = 0; i < s->count; i++) {
		if (worker[i].pid == 0)
			continue;
		if (s->together)
			result[i] = end_case(&worker[i]);
		count(score, s, &s->cases[i], &result[i]);
	}
	if (score->cases == before || trial_interrupted())
		return;
	report_section(stdout, s, result);
	fflush(stdout);
	if (report != NULL && !report_update(report, s, result)) {
		perror(report);
		exit(2);
	}
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
	      "  --minutes N       so many minutes for each case (the full form takes hours); six outages of N minutes\n"
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
	for (size_t i = 0; i < SCENARIOS && !trial_interrupted(); i++)
		run_scenario(scenarios[i], model, only, report, &score);
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
