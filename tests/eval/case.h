/* SPDX-License-Identifier: MIT */
/* What is evaluated: scenarios of the evaluation (docs/evaluation.md, the rows with a filled circle), each with its cases, and
 * the figures that a case reports. */
#ifndef EVAL_CASE_H
#define EVAL_CASE_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/harness/harness.h"

/* How long it may take, and how strict it is. */
enum form {
	FORM_FULL,  /* the durations of the evaluation, its targets */
	FORM_SHORT, /* a minute or so for each case, the same targets */
	FORM_CHECK, /* seconds; loose targets that hold on a busy machine with two processors: for scripts/check */
};

enum unit { UNIT_COUNT, UNIT_RATIO, UNIT_SHARE, UNIT_SECONDS };

struct figure {
	char name[72];
	enum unit unit;
	double value;
	char bound; /* '>' at least, '<' at most, 0 = told without a target */
	double target;
};

#define FIGURES_MAX 24

/* What a case found: passed through a pipe as it is. */
struct result {
	bool finished;
	char duration[96]; /* what was run, for the report: set by the case */
	struct figure figure[FIGURES_MAX];
	size_t figures;
};

/* One run of one case, in a process of its own and a scene of its own. */
struct trial {
	enum form form;
	double minutes;    /* > 0: takes so long instead of what the full form takes */
	const char *title; /* "scenario/case", for progress */
	double since_s;    /* monotonic_s() when the evaluation began */
	struct scene *scene;
	struct result result;
};

struct eval_case {
	const char *name;
	const char *text; /* for the report */
	void (*run)(struct trial *t, const void *parameters);
	const void *parameters;
	bool checked; /* belongs to FORM_CHECK */
};

struct scenario {
	const char *name;
	unsigned row;
	const char *text;
	bool together; /* its cases are idle for the most part, and may run at the same time */
	bool beside;   /* it takes long, and may run beside another scenario */
	const struct eval_case *cases;
	size_t count;
};

extern const struct scenario bucket_scenario, hold_scenario, outage_scenario, fairness_scenario, control_scenario,
	refusal_scenario, slots_scenario, queue_scenario, patience_scenario, restart_scenario, classes_scenario, retries_scenario;

/* Says for the report what was run. */
__attribute__((format(printf, 2, 3))) void trial_duration(struct trial *t, const char *format, ...);

/* The seconds that a case with these durations takes in this trial. */
double trial_seconds(const struct trial *t, double full_s, double short_s, double check_s);

/* A target, by form. */
double trial_target(const struct trial *t, double target, double check_target);

/* A seed for rand_r(), $WEIR_SEED if that is set; says which. */
unsigned trial_seed(const struct trial *t);

/* A figure with a target ('<', '>'), and one without. */
void trial_figure(struct trial *t, const char *name, enum unit unit, double value, char bound, double target);
void trial_tell(struct trial *t, const char *name, enum unit unit, double value);

/* A line of progress, with the time since the beginning and the case's name. */
__attribute__((format(printf, 2, 3))) void trial_progress(const struct trial *t, const char *format, ...);

/* True after SIGINT or SIGTERM: a case returns as soon as it sees that. */
bool trial_interrupted(void);

bool figure_met(const struct figure *f);

/* The value as it is shown: "0.987", "0.03 %", "4.2 s", "17". */
void figure_format(enum unit unit, double value, char out[32]);

#endif
