/* SPDX-License-Identifier: MIT */
/* Which case runs when. */
#ifndef EVAL_SCHEDULE_H
#define EVAL_SCHEDULE_H

#include "case.h"

#define CASES_MAX     16
#define SCENARIOS_MAX 16

struct score {
	unsigned cases, unfinished, missed;
};

/* Runs the cases of `count` scenarios that are wanted: one after the other, but for scenarios that say that their cases may run
 * together, and those that may run beside the others. `only`: a scenario's name or "scenario/case", NULL = all. Prints each
 * scenario's table when its last case is over, and puts it into the file `report` when that is not NULL; ends the process when
 * it cannot. Returns early when the trial is interrupted. */
void schedule(const struct scenario *const *scenarios, size_t count, const struct trial *model, const char *only,
	      const char *report, struct score *score);

#endif
