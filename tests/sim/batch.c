/* SPDX-License-Identifier: MIT */
#include "batch.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"

#define WORKERS 2 /* processes: the machines this runs on have two cores */

static void *shared(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("simulate");
		exit(1);
	}
	return p;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void run_cell(struct sim_cell *cell, unsigned seeds, struct sim_record *record)
{
	static double value[SIM_METRICS][SIM_SEEDS_MAX];
	double metric[SIM_METRICS];

	if (seeds == 0)
		seeds = cell->scenario->seeds ? cell->scenario->seeds : SIM_SEEDS;
	if (cell->controller->brief && cell->scenario->windows > 0 && cell->scenario->limit[0].window_s >= 3600)
		seeds = 1;
	for (unsigned s = 0; s < seeds; s++) {
		sim_run(cell->scenario, cell->controller, s + 1, false, record, metric);
		for (int m = 0; m < SIM_METRICS; m++)
			value[m][s] = metric[m];
	}
	for (int m = 0; m < SIM_METRICS; m++) {
		cell->mean[m] = 0;
		for (unsigned s = 0; s < seeds; s++)
			cell->mean[m] += value[m][s] / seeds;
		qsort(value[m], seeds, sizeof(double), by_size);
		cell->least[m] = value[m][0];
		cell->most[m] = value[m][seeds - 1];
		cell->median[m] = (value[m][(seeds - 1) / 2] + value[m][seeds / 2]) / 2;
	}
	/* An expectation is what the bound is derived for: a short outage's ratio says little. */
	cell->mean[SIM_COST] = cell->mean[SIM_DEAD_REQUESTS] * cell->mean[SIM_RECOVERY_S] / cell->mean[SIM_HALF_OUTAGE_S];
}

static void work(const struct sim_batch *batch, _Atomic unsigned *next)
{
	struct sim_record record;
	unsigned i;

	sim_record_open(&record);
	while ((i = atomic_fetch_add(next, 1)) < batch->cells)
		run_cell(&batch->cell[i], batch->seeds, &record);
	sim_record_close(&record);
}

bool sim_batch_run(struct sim_batch *batch, const struct sim_scenario *scenario, const struct sim_controller *controller,
		   unsigned seeds)
{
	_Atomic unsigned *next = shared(sizeof(*next));
	bool whole = true;
	int status;

	batch->cell = shared(sim_scenario_count * sim_controller_count * sizeof(*batch->cell));
	batch->cells = 0;
	batch->seeds = seeds > SIM_SEEDS_MAX ? SIM_SEEDS_MAX : seeds;
	for (unsigned i = 0; i < sim_scenario_count; i++)
		for (unsigned k = 0; k < sim_controller_count; k++) {
			const struct sim_scenario *s = &sim_scenarios[i];
			const struct sim_controller *c = sim_controllers[k];

			if ((scenario != NULL && s != scenario) || (controller != NULL && c != controller))
				continue;
			if (s->alone && c != &sim_weir)
				continue;
			if (c->family != 0 && (c->family & s->families) == 0)
				continue;
			batch->cell[batch->cells++] = (struct sim_cell){.scenario = s, .controller = c};
		}
	fflush(NULL);
	for (int w = 0; w < WORKERS; w++)
		if (fork() == 0) {
			work(batch, next);
			_exit(0);
		}
	while (wait(&status) > 0)
		whole &= WIFEXITED(status) && WEXITSTATUS(status) == 0;
	return whole;
}

const struct sim_cell *sim_batch_cell(const struct sim_batch *batch, const struct sim_scenario *scenario,
				      const struct sim_controller *controller)
{
	for (unsigned i = 0; i < batch->cells; i++)
		if (batch->cell[i].scenario == scenario && batch->cell[i].controller == controller)
			return &batch->cell[i];
	return NULL;
}
