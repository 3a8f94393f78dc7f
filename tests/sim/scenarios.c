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
		.text = "token bucket 60/h, burst 1, half a day",
		.duration_s = 43200,
		.limit = {{SIM_BUCKET, .rate = 60. / 3600, .burst = 1}},
		.target = {UTIL(.90), THROTTLED(.03)},
		.families = SIM_RATE_BASELINES,
	},
	{
		.row = 3,
		.name = "bucket-100",
		.text = "token bucket 100/s, burst 100",
		.duration_s = 600,
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
#define WINDOWS_THAT_SAY(per_window, short_name, what, spoken, most_late)                                                        \
	{                                                                                                                        \
		.row = 5, .name = short_name, .text = "fixed windows " #per_window "/60 s, " what, .windows = 12,                \
		.from_window = 3, .limit = {{SIM_WINDOW, .limit = per_window, .window_s = 60}}, .dialect = spoken,               \
		.target = {UTIL(.99), THROTTLED(1), {SIM_INSIDE_HOLD, '<', 0}, {SIM_RESUMES_LATE, '<', most_late}},              \
		.families = SIM_RATE_BASELINES, .loopback = true,                                                                \
	}
#define DIALECT(short_name, what, spoken, most_late) WINDOWS_THAT_SAY(600, short_name, what, spoken, most_late)
	DIALECT("retry-seconds", "Retry-After in seconds", SIM_RETRY_SECONDS, .1),
	DIALECT("retry-float", "Retry-After as a decimal", SIM_RETRY_FLOAT, .1),
	DIALECT("retry-date-fast", "Retry-After as a date, the server's clock 120 s ahead", SIM_RETRY_DATE_FAST, .1),
	DIALECT("retry-date-slow", "Retry-After as a date, the server's clock 120 s behind", SIM_RETRY_DATE_SLOW, .1),
	DIALECT("ratelimit-draft", "RateLimit-* headers", SIM_RATELIMIT_DRAFT, .1),
	DIALECT("ratelimit-field", "the RateLimit field", SIM_RATELIMIT_FIELD, .1),
	DIALECT("x-epoch-s", "X-RateLimit-* in epoch seconds", SIM_X_EPOCH_S, .1),
	DIALECT("x-epoch-ms", "X-RateLimit-* in epoch milliseconds", SIM_X_EPOCH_MS, .1),
	DIALECT("x-delta", "X-RateLimit-* with a delta", SIM_X_DELTA, .1),
	WINDOWS_THAT_SAY(60, "retry-seconds-60", "Retry-After in seconds", SIM_RETRY_SECONDS, .1),
	WINDOWS_THAT_SAY(60, "x-delta-60", "X-RateLimit-* with a delta", SIM_X_DELTA, .1),
	DIALECT("malformed", "malformed values in every header", SIM_MALFORMED, .1),
	{
		.row = 5,
		.name = "a-day",
		.text = "fixed windows 600/60 s, Retry-After: 86400, hold.max = 3 s",
		.windows = 12,
		.from_window = 3,
		.limit = {{SIM_WINDOW, .limit = 600, .window_s = 60}},
		.dialect = SIM_A_DAY,
		.hold_max_s = 3,
		.target = {UTIL(0), THROTTLED(1), {SIM_SILENCE_S, 'w', 63}},
		.loopback = true,
	},
	{
		.row = 5,
		.name = "absurd",
		.text = "fixed windows 600/60 s, absurd values in every header, hold.max = 30 s",
		.windows = 12,
		.from_window = 3,
		.limit = {{SIM_WINDOW, .limit = 600, .window_s = 60}},
		.dialect = SIM_ABSURD,
		.hold_max_s = 30,
		.target = {UTIL(0), THROTTLED(1), {SIM_SILENCE_S, 'w', 90}},
		.loopback = true,
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
	{
		.row = 7,
		.name = "slots-20",
		.text = "20 slots x 50 ms, exponential, no signal, demand without end",
		.duration_s = 1800,
		.from_s = 60,
		.processes = 16,
		.threads = 8,
		.rtt_ms = 1,
		.slots = {.count = 20, .service_ms = 50},
		.target = {{SIM_GOODPUT, '>', .98}, {SIM_P99_RATIO, '<', 1.1}, {SIM_DRIFT, '<', 1.05}},
		.families = SIM_CONCURRENCY_BASELINES,
	},
	{
		.row = 7,
		.name = "slots-5",
		.text = "5 slots x 50 ms, exponential, no signal, demand without end",
		.duration_s = 1800,
		.from_s = 60,
		.processes = 16,
		.threads = 4,
		.rtt_ms = 1,
		.slots = {.count = 5, .service_ms = 50},
		.target = {{SIM_GOODPUT, '>', .95}, {SIM_P99_RATIO, '<', 1.25}, {SIM_DRIFT, '<', 1.05}},
		.families = SIM_CONCURRENCY_BASELINES,
	},
	{
		.row = 8,
		.name = "slow-down",
		.text = "20 slots x 50 ms, ten times slower from 200 s to 500 s",
		.duration_s = 600,
		.processes = 16,
		.threads = 8,
		.rtt_ms = 1,
		.slots = {.count = 20, .service_ms = 50},
		.change = {{200, SIM_SET_SLOWDOWN, 10}, {500, SIM_SET_SLOWDOWN, 1}},
		.target = {{SIM_GOODPUT, '>', .90}, {SIM_RECOVERY_S, '<', 10}},
		.families = SIM_CONCURRENCY_BASELINES,
	},
	{
		.row = 8,
		.name = "slow-down-503",
		.text = "20 slots x 50 ms, ten times slower and 30 % 503 from 200 s to 500 s",
		.duration_s = 600,
		.processes = 16,
		.threads = 8,
		.rtt_ms = 1,
		.slots = {.count = 20, .service_ms = 50},
		.change = {{200, SIM_SET_SLOWDOWN, 10},
			   {200, SIM_SET_ERRORS, .3},
			   {500, SIM_SET_SLOWDOWN, 1},
			   {500, SIM_SET_ERRORS, 0}},
		.target = {{SIM_GOODPUT, '>', .90}, {SIM_RECOVERY_S, '<', 10}},
		.families = SIM_CONCURRENCY_BASELINES,
	},
#define OUTAGE(short_name, what, kind)                                                                                           \
	{                                                                                                                        \
		.row = 9, .name = short_name, .text = what " for 120 to 480 s at 50 requests/s, one prober in five is killed",   \
		.seeds = 100, .duration_s = 700, .processes = 200, .rtt_ms = 20, .offered = 50, .timeout_s = 2,                  \
		.kill_probe = .2, .patience_s = 1, .change = {{60, SIM_SET_OUTAGE, kind}, {180, SIM_SET_OUTAGE, SIM_UP, 540}},   \
		.target = {{SIM_DEAD_REQUESTS, '<', 30}, {SIM_RECOVERY_S, 'm', 5}, {SIM_RECOVERY_S, 'w', 15}},                   \
		.families = SIM_BREAKER_BASELINES, .loopback = true,                                                             \
	}
	OUTAGE("outage-rst", "connections refused", SIM_RST),
	OUTAGE("outage-hole", "connections swallowed", SIM_BLACK_HOLE),
	OUTAGE("outage-hang", "connections accepted, then silence", SIM_HANG),
	{
		.row = 10,
		.name = "fairness",
		.text = "16 processes and one of 64 threads at a bucket of 20/s; every 2 s one is killed and one stopped",
		.duration_s = 600,
		.from_s = 60,
		.big = 64,
		.kill_every_s = 2,
		.limit = {{SIM_BUCKET, .rate = 20, .burst = 20}},
		.target = {UTIL(0), THROTTLED(1), {SIM_JAIN, '>', .95}, {SIM_LEAKED, '<', 0}},
		.families = SIM_RATE_BASELINES,
		.loopback = true,
	},
	{
		.row = 10,
		.name = "hammer",
		.text = "a bucket of 20/s, 16 processes that wait, and one of 16 threads that wait for 50 ms at most and ask "
			"again 10 "
			"ms after a refusal",
		.duration_s = 300,
		.from_s = 60,
		.big = 16,
		.hammers = 1,
		.limit = {{SIM_BUCKET, .rate = 20, .burst = 20}},
		.target = {UTIL(.95), THROTTLED(1), {SIM_POLITE, '>', 1}},
	},
	{
		.row = 10,
		.name = "control",
		.text = "a healthy host: 1 % random 500s, one answer in 200 takes 50 times as long; a million requests over the "
			"seeds",
		.duration_s = 700,
		.rtt_ms = 20,
		.slots = {.service_ms = 50, .tail = .005},
		.processes = 8,
		.errors = .01,
		.target = {{SIM_FALSE_TRIPS, 'w', 0}},
		.families = SIM_BREAKER_BASELINES,
	},
#define BEYOND(short_name, what, ...)                                                                                            \
	{                                                                                                                        \
		.name = short_name, .text = what, .target = {UTIL(0), THROTTLED(1)}, .families = SIM_RATE_BASELINES, __VA_ARGS__ \
	}
	BEYOND("bucket-1000", "token bucket 1000/s, burst 1000", .duration_s = 60, .rtt_ms = 10,
	       .limit = {{SIM_BUCKET, .rate = 1000, .burst = 1000}}),
#define BAN(short_name, what, from, to)                                                                                          \
	{                                                                                                                        \
		.name = short_name, .text = "token bucket 10/s, burst 10; everything is refused " what, .duration_s = 1800,      \
		.limit = {{SIM_BUCKET, .rate = 10, .burst = 10}},                                                                \
		.change = {{from, SIM_SET_RATE, 1e-6}, {to, SIM_SET_RATE, 10}},                                                  \
		.target = {UTIL(0), THROTTLED(1), {SIM_RISE_S, '<', 1e9}},                                                       \
	}
	BAN("ban", "from 200 s to 800 s", 200, 800),
	BAN("ban-at-once", "from the first second on for ten minutes", 1, 601),
	BEYOND("bucket-10-1", "token bucket 10/s, burst 1: the network's jitter alone makes refusals", .duration_s = 1200,
	       .limit = {{SIM_BUCKET, .rate = 10, .burst = 1}}),
	BEYOND("two-limits", "token bucket 10/s and fixed windows 5000/h", .duration_s = 28800, .from_s = 10800,
	       .limit = {{SIM_BUCKET, .rate = 10, .burst = 10}, {SIM_WINDOW, .limit = 5000, .window_s = 3600}}),
	BEYOND("window-1s", "fixed windows 10/1 s", .duration_s = 600, .limit = {{SIM_WINDOW, .limit = 10, .window_s = 1}}),
	BEYOND("window-47s", "fixed windows 60/47 s, a length that nobody would guess", .windows = 20, .from_window = 3,
	       .limit = {{SIM_WINDOW, .limit = 60, .window_s = 47}}),
};
const unsigned sim_scenario_count = sizeof(sim_scenarios) / sizeof(sim_scenarios[0]);
