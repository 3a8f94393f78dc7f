/* SPDX-License-Identifier: MIT */
/* The scenarios, one table. Numbers of rows are those of the evaluation that docs/evaluation.md reports on. */
#include "scenario.h"

#define UTIL(x)                                                                                                                  \
	{                                                                                                                        \
		SIM_UTILISATION, '>', x                                                                                          \
	}
#define THROTTLED(x)                                                                                                             \
	{                                                                                                                        \
		SIM_THROTTLED, '<', x                                                                                            \
	}

const struct sim_scenario sim_scenarios[] = {
	{
		.row = 1,
		.name = "bucket-10",
		.text = "token bucket 10/s, burst 10",
		.duration_s = 1200,
		.limit = {{SIM_BUCKET, .rate = 10, .burst = 10}},
		.target = {UTIL(.98), THROTTLED(.001), {SIM_STARTUP_THROTTLED, '<', 25}},
		.families = SIM_RATE_BASELINES,
		.loopback = true,
	},
	{
		.row = 2,
		.name = "bucket-1",
		.text = "token bucket 1/s, burst 5",
		.duration_s = 7200,
		.limit = {{SIM_BUCKET, .rate = 1, .burst = 5}},
		.target = {UTIL(.97), THROTTLED(.005)},
		.families = SIM_RATE_BASELINES,
	},
	{
		.row = 2,
		.name = "bucket-60h",
		.text = "token bucket 60/h, burst 1, a day",
		.duration_s = 86400,
		.limit = {{SIM_BUCKET, .rate = 60. / 3600, .burst = 1}},
		.target = {UTIL(.90), THROTTLED(.03)},
		.families = SIM_RATE_BASELINES,
	},
	{
		.row = 3,
		.name = "bucket-100",
		.text = "token bucket 100/s, burst 100",
		.duration_s = 1200,
		.limit = {{SIM_BUCKET, .rate = 100, .burst = 100}},
		.target = {UTIL(.97), THROTTLED(.0003), {SIM_REACHES_90_S, '<', 10}},
		.families = SIM_RATE_BASELINES,
	},
	{
		.row = 4,
		.name = "window-60",
		.text = "fixed windows 60/60 s, no headers",
		.windows = 12,
		.from_window = 3,
		.limit = {{SIM_WINDOW, .limit = 60, .window_s = 60}},
		.target = {UTIL(.98), {SIM_WINDOW_REJECTS, '<', 2}, THROTTLED(1)},
		.families = SIM_RATE_BASELINES,
	},
	{
		.row = 4,
		.name = "window-600",
		.text = "fixed windows 600/60 s, no headers",
		.windows = 12,
		.from_window = 3,
		.limit = {{SIM_WINDOW, .limit = 600, .window_s = 60}},
		.target = {UTIL(.98), {SIM_WINDOW_REJECTS, '<', 2}, THROTTLED(1)},
		.families = SIM_RATE_BASELINES,
	},
	{
		.row = 4,
		.name = "window-5000h",
		.text = "fixed windows 5000/h, no headers",
		.windows = 12,
		.from_window = 3,
		.limit = {{SIM_WINDOW, .limit = 5000, .window_s = 3600}},
		.target = {UTIL(.98), {SIM_WINDOW_REJECTS, '<', 2}, THROTTLED(1)},
		.families = SIM_RATE_BASELINES,
	},
	{
		.row = 6,
		.name = "steps",
		.text = "token bucket 100/s, 20/s from 200 s, 100/s from 400 s, burst 20",
		.duration_s = 600,
		.limit = {{SIM_BUCKET, .rate = 100, .burst = 20}},
		.change = {{200, SIM_SET_RATE, 20}, {400, SIM_SET_RATE, 100}},
		.target = {UTIL(0), THROTTLED(1), {SIM_DROP_THROTTLED, '<', 10}, {SIM_DROP_S, '<', 2}, {SIM_RISE_S, '<', 30}},
		.families = SIM_RATE_BASELINES,
	},
};
const unsigned sim_scenario_count = sizeof(sim_scenarios) / sizeof(sim_scenarios[0]);
