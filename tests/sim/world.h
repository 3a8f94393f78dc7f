/* SPDX-License-Identifier: MIT */
/* One run: a scenario, a controller, a seed. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "controller.h"
#include "record.h"

/* Runs it and computes every metric. trace: print the controller's state once a simulated second to stdout. */
void sim_run(const struct sim_scenario *scenario, const struct sim_controller *controller, uint64_t seed, bool trace,
	     struct sim_record *record, double metric[SIM_METRICS]);

#endif
