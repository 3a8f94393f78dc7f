/* SPDX-License-Identifier: MIT */
/* Many runs: every scenario under every controller that has a place in it, over the seeds, on two processes. */
#ifndef SIM_BATCH_H
#define SIM_BATCH_H

#include <stdbool.h>

#include "controller.h"

#define SIM_SEEDS     20 /* unless the scenario says otherwise */
#define SIM_SEEDS_MAX 128

struct sim_cell {
	const struct sim_scenario *scenario;
	const struct sim_controller *controller;
	double median[SIM_METRICS], mean[SIM_METRICS], least[SIM_METRICS], most[SIM_METRICS];
};

struct sim_batch {
	struct sim_cell *cell;
	unsigned cells, seeds;
};

/* scenario, controller: NULL = all. False when a worker died. */
bool sim_batch_run(struct sim_batch *batch, const struct sim_scenario *scenario, const struct sim_controller *controller,
		   unsigned seeds);

const struct sim_cell *sim_batch_cell(const struct sim_batch *batch, const struct sim_scenario *scenario,
				      const struct sim_controller *controller);

#endif
