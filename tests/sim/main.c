/* SPDX-License-Identifier: MIT */
/*
 * simulate --report FILE                         all scenarios, all controllers, 20 seeds: the report
 * simulate [-s SCENARIO] [-c CONTROLLER] [-n SEEDS]   figures on stdout
 * simulate -p PROFILE ...                        the same, with weir's polite, balanced or eager profile
 * simulate -t SEED -s SCENARIO [-c CONTROLLER]   one run, second by second
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "report.h"
#include "world.h"

static const struct sim_scenario *scenario_named(const char *name)
{
	for (unsigned i = 0; i < sim_scenario_count; i++)
		if (strcmp(sim_scenarios[i].name, name) == 0)
			return &sim_scenarios[i];
	fprintf(stderr, "simulate: no scenario %s\n", name);
	exit(64);
}

static const struct sim_controller *controller_named(const char *name)
{
	for (unsigned i = 0; i < sim_controller_count; i++)
		if (strcmp(sim_controllers[i]->name, name) == 0)
			return sim_controllers[i];
	fprintf(stderr, "simulate: no controller %s\n", name);
	exit(64);
}

static void trace(const struct sim_scenario *scenario, const struct sim_controller *controller, uint64_t seed)
{
	struct sim_record record;
	double metric[SIM_METRICS];

	sim_record_open(&record);
	sim_run(scenario, controller, seed, true, &record, metric);
	for (int m = 1; m < SIM_METRICS; m++)
		printf("%s %.5g\n", sim_metric_name((enum sim_metric)m), metric[m]);
	sim_record_close(&record);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"report", required_argument, NULL, 'r'}, {0}};
	const struct sim_scenario *scenario = NULL;
	const struct sim_controller *controller = NULL;
	const char *report = NULL;
	unsigned seeds = 0;
	uint64_t trace_seed = 0;
	struct sim_batch batch;
	int c;

	while ((c = getopt_long(argc, argv, "r:s:c:n:t:p:", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			report = optarg;
			break;
		case 's':
			scenario = scenario_named(optarg);
			break;
		case 'c':
			controller = controller_named(optarg);
			break;
		case 'n':
			seeds = (unsigned)atoi(optarg);
			break;
		case 't':
			trace_seed = strtoull(optarg, NULL, 10);
			break;
		case 'p':
			if (!weir_profile_parse(optarg, &sim_profile)) {
				fprintf(stderr, "simulate: no profile %s\n", optarg);
				return 64;
			}
			break;
		default:
			return 64;
		}
	}
	if (trace_seed != 0 && scenario != NULL) {
		trace(scenario, controller ? controller : &sim_weir, trace_seed);
		return 0;
	}
	if (!sim_batch_run(&batch, scenario, controller, seeds))
		return 1;
	if (report != NULL)
		return sim_report_write(&batch, report) ? 0 : 1;
	sim_report_print(&batch);
	return 0;
}
