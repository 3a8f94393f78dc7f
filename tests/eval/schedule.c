/* SPDX-License-Identifier: MIT */
/*
 * Two lanes: the scenarios that are long and light, and may run beside the others, and the others. Each lane runs one scenario at
 * a time. Every case runs in a child, so that one that fails or is interrupted cleans up for itself.
 */
#include "schedule.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

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

static struct result result_of(struct worker *w, int status)
{
	struct result r = {0};

	if (read(w->from, &r, sizeof r) != sizeof r || status != 0)
		r.finished = false;
	close(w->from);
	w->pid = 0;
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

static void count_result(struct score *score, const struct scenario *s, const struct eval_case *c, const struct result *r)
{
	score->cases++;
	score->unfinished += !r->finished;
	if (!r->finished && !trial_interrupted())
		fprintf(stderr, "evaluate: %s/%s: failed\n", s->name, c->name);
	for (size_t i = 0; r->finished && i < r->figures; i++)
		score->missed += !figure_met(&r->figure[i]);
}

/* A scenario under way, or waiting for its turn in its lane. */
struct course {
	const struct scenario *scenario;
	struct worker worker[CASES_MAX];
	struct result result[CASES_MAX];
	size_t next; /* case that has not been started */
	unsigned running, ended;
	bool over;
};

struct plan {
	struct course course[SCENARIOS_MAX];
	size_t count;
	const struct trial *model;
	const char *only, *report;
	struct score *score;
};

static void tell(const struct plan *p, const struct course *c)
{
	if (c->ended == 0 || trial_interrupted())
		return;
	report_section(stdout, c->scenario, c->result);
	fflush(stdout);
	if (p->report != NULL && !report_update(p->report, c->scenario, c->result)) {
		perror(p->report);
		exit(2);
	}
}

/* Starts what may start now. Returns whether anything of this scenario is still to come. */
static bool advance(struct plan *p, struct course *c)
{
	const struct scenario *s = c->scenario;

	for (; c->next < s->count && (c->running == 0 || s->together) && !trial_interrupted(); c->next++) {
		if (!is_wanted(s, &s->cases[c->next], p->only, p->model->form))
			continue;
		c->worker[c->next] = start_case(s, &s->cases[c->next], p->model);
		c->running++;
	}
	if (!c->over && c->running == 0) {
		c->over = true;
		tell(p, c);
	}
	return c->running > 0;
}

/* In each lane the first scenario that is not over. Returns whether any case runs. */
static bool advance_lanes(struct plan *p)
{
	bool busy[2] = {false, false};

	for (size_t i = 0; i < p->count; i++) {
		bool lane = p->course[i].scenario->beside;

		busy[lane] = busy[lane] || advance(p, &p->course[i]);
	}
	return busy[0] || busy[1];
}

static void stop_all(struct plan *p)
{
	for (size_t i = 0; i < p->count; i++)
		for (size_t k = 0; k < CASES_MAX; k++)
			if (p->course[i].worker[k].pid > 0)
				kill(p->course[i].worker[k].pid, SIGTERM);
}

static void case_ended(struct plan *p, pid_t pid, int status)
{
	for (size_t i = 0; i < p->count; i++) {
		struct course *c = &p->course[i];

		for (size_t k = 0; k < c->scenario->count; k++) {
			if (c->worker[k].pid != pid)
				continue;
			c->result[k] = result_of(&c->worker[k], status);
			c->running--;
			c->ended++;
			count_result(p->score, c->scenario, &c->scenario->cases[k], &c->result[k]);
			return;
		}
	}
}

void schedule(const struct scenario *const *scenarios, size_t count, const struct trial *model, const char *only,
	      const char *report, struct score *score)
{
	static struct plan p;

	p = (struct plan){.count = count, .model = model, .only = only, .report = report, .score = score};
	for (size_t i = 0; i < count; i++)
		p.course[i].scenario = scenarios[i];
	while (advance_lanes(&p)) {
		int status;
		pid_t pid;

		if (trial_interrupted())
			stop_all(&p);
		pid = waitpid(-1, &status, 0);
		if (pid > 0)
			case_ended(&p, pid, status);
		else if (errno != EINTR)
			break;
	}
}
