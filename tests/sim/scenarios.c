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
		.change = {{200, SIM_SET_RATE, 20, 0}, {400, SIM_SET_RATE, 100, 0}},
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
		.change = {{200, SIM_SET_SLOWDOWN, 10, 0}, {500, SIM_SET_SLOWDOWN, 1, 0}},
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
		.change = {{200, SIM_SET_SLOWDOWN, 10, 0},
			   {200, SIM_SET_ERRORS, .3, 0},
			   {500, SIM_SET_SLOWDOWN, 1, 0},
			   {500, SIM_SET_ERRORS, 0, 0}},
		.target = {{SIM_GOODPUT, '>', .90}, {SIM_RECOVERY_S, '<', 10}},
		.families = SIM_CONCURRENCY_BASELINES,
	},
#define OUTAGE(short_name, what, kind)                                                                                           \
	{                                                                                                                        \
		.row = 9, .name = short_name, .text = what " for 120 to 480 s at 50 requests/s, one prober in five is killed",   \
		.seeds = 100, .duration_s = 700, .processes = 200, .rtt_ms = 20, .offered = 50, .timeout_s = 2,                  \
		.kill_probe = .2, .patience_s = 1,                                                                               \
		.change = {{60, SIM_SET_OUTAGE, kind, 0}, {180, SIM_SET_OUTAGE, SIM_UP, 540}},                                   \
		.target = {{SIM_DEAD_REQUESTS, 'm', 1e9},                                                                        \
			   {SIM_RECOVERY_S, 'm', 1e9},                                                                           \
			   {SIM_COST, 'm', 1.25},                                                                                \
			   {SIM_RECOVERY_S, 'w', 15}},                                                                           \
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
#define SAYS(short_name, what, status)                                                                                           \
	{                                                                                                                        \
		.row = 11, .name = short_name, .text = "token bucket 10/s, burst 20, that refuses with " what,                   \
		.duration_s = 600, .limit = {{SIM_BUCKET, .rate = 10, .burst = 20}}, .refusal = status,                          \
		.target = {UTIL(.95), {SIM_REFUSED_60, '<', .02}, {SIM_TRIPS, 'w', 0}, {SIM_HELD_OFF, 'w', 0}},                  \
		.families = SIM_RATE_BASELINES, .loopback = true,                                                                \
	}
	SAYS("says-503", "a bare 503", SIM_UNAVAILABLE),
	SAYS("says-403", "a bare 403", SIM_FORBIDDEN),
#define AT_A_TIME(short_name, k, ms, clients)                                                                                    \
	{                                                                                                                        \
		.row = 12, .name = short_name, .text = #k " at a time, each " #ms " ms, exponential, else 429 at once",          \
		.duration_s = 600, .from_s = 60, .processes = clients, .slots = {.count = k, .service_ms = ms, .refuses = true}, \
		.target = {{SIM_GOODPUT, '>', .90}, {SIM_REFUSED_60, '<', .03}, {SIM_PACED, '<', 0}, {SIM_TRIPS, 'w', 0}},       \
		.families = SIM_RATE_BASELINES | SIM_CONCURRENCY_BASELINES, .loopback = (k) == 4 && (ms) == 200,                 \
	}
	AT_A_TIME("busy-2-50", 2, 50, 16),
	AT_A_TIME("busy-2-200", 2, 200, 16),
	AT_A_TIME("busy-2-1000", 2, 1000, 16),
	AT_A_TIME("busy-4-50", 4, 50, 16),
	AT_A_TIME("busy-4-200", 4, 200, 16),
	AT_A_TIME("busy-4-1000", 4, 1000, 16),
	AT_A_TIME("busy-20-50", 20, 50, 40),
	AT_A_TIME("busy-20-200", 20, 200, 40),
	AT_A_TIME("busy-20-1000", 20, 1000, 40),
	{
		.row = 12,
		.name = "busy-4-bucket",
		.text = "4 at a time, each 200 ms, exponential, and a token bucket of 10/s, burst 10; 429 for either",
		.duration_s = 600,
		.from_s = 60,
		.limit = {{SIM_BUCKET, .rate = 10, .burst = 10}},
		.slots = {.count = 4, .service_ms = 200, .refuses = true},
		.target = {{SIM_GOODPUT, '>', .90}, {SIM_REFUSED_60, '<', .03}, {SIM_TRIPS, 'w', 0}},
		.families = SIM_RATE_BASELINES | SIM_CONCURRENCY_BASELINES,
	},
#define NOISE(short_name, percent)                                                                                               \
	{                                                                                                                        \
		.row = 13, .name = short_name, .text = #percent " % of answers are 429 whatever the rate; capacity without end", \
		.duration_s = 600, .noise = {{SIM_TOO_MANY, .share = percent / 100.}},                                           \
		.target = {{SIM_OF_BARE, '>', .90}, THROTTLED(1)}, .families = SIM_RATE_BASELINES,                               \
	}
#define NOISE_OVER(short_name, percent)                                                                                          \
	{                                                                                                                        \
		.row = 13, .name = short_name, .text = #percent " % of answers are 429 whatever the rate; a bucket of 20/s",     \
		.duration_s = 600, .limit = {{SIM_BUCKET, .rate = 20, .burst = 20}},                                             \
		.noise = {{SIM_TOO_MANY, .share = percent / 100.}}, .target = {UTIL(.90), THROTTLED(percent / 100. + .05)},      \
		.families = SIM_RATE_BASELINES,                                                                                  \
	}
	NOISE("noise-5", 5),
	NOISE("noise-20", 20),
	NOISE_OVER("noise-5-bucket", 5),
	NOISE_OVER("noise-20-bucket", 20),
#define BROKEN(short_name, what, ...)                                                                                            \
	{                                                                                                                        \
		.row = 14, .name = short_name, .text = what "; capacity without end", .duration_s = 600, .noise = {__VA_ARGS__}, \
		.target = {{SIM_OF_BARE, '>', .98}, {SIM_TRIPS, 'w', 0}, {SIM_HELD_OFF, 'w', 0}},                                \
		.families = SIM_BREAKER_BASELINES,                                                                               \
	}
	BROKEN("random-503", "30 % of answers are 503 at random", {SIM_UNAVAILABLE, .share = .3}),
	BROKEN("random-500", "10 % of answers are 500 at random", {SIM_ERROR, .share = .1}),
	BROKEN("every-fourth-403", "every fourth answer is 403", {SIM_FORBIDDEN, .run = 1, .every = 4}),
	BROKEN("poisoned", "the same 10 % of items, six in a row of sixty, always 500", {SIM_ERROR, .run = 6, .every = 60}),
#define BANS(short_name, what, status, seconds, hours, from, least, most)                                                        \
	{                                                                                                                        \
		.row = 15, .name = short_name,                                                                                   \
		.text = "token bucket 10/s, burst 10; a refusal (" what ") bans for " #seconds                                   \
			" s, anew with each request meanwhile; " hours " h",                                                     \
		.duration_s = 3600. * (from == 300 ? 1 : 6), .from_s = from, .limit = {{SIM_BUCKET, .rate = 10, .burst = 10}},   \
		.refusal = status, .ban_s = seconds,                                                                             \
		.target = {UTIL(least), THROTTLED(1), {SIM_BANS, '<', most}, {SIM_TRIPS, 'w', 0}},                               \
		.families = SIM_RATE_BASELINES,                                                                                  \
	}
	BANS("bans-20-429", "429", SIM_TOO_MANY, 20, "1", 300, .85, 6),
	BANS("bans-20-503", "503", SIM_UNAVAILABLE, 20, "1", 300, .85, 6),
	BANS("bans-20-403", "403", SIM_FORBIDDEN, 20, "1", 300, .85, 6),
	BANS("bans-600-429", "429", SIM_TOO_MANY, 600, "6", 3600, .80, 2),
	BANS("bans-600-503", "503", SIM_UNAVAILABLE, 600, "6", 3600, .80, 2),
	BANS("bans-600-403", "403", SIM_FORBIDDEN, 600, "6", 3600, .80, 2),
	{
		.row = 16,
		.name = "log-100",
		.text = "a sliding log, 100 in any 10 s",
		.duration_s = 1200,
		.limit = {{SIM_LOG, .limit = 100, .window_s = 10}},
		.target = {UTIL(.95), {SIM_REFUSED_60, '<', .02}},
		.families = SIM_RATE_BASELINES,
	},
#define SWING(short_name, seconds, period, least)                                                                                \
	{                                                                                                                        \
		.row = 16, .name = short_name,                                                                                   \
		.text = "token bucket, burst 10, whose rate swings between 5 and 20/s in " period, .duration_s = 3600,           \
		.limit = {{SIM_BUCKET, .rate = 12.5, .burst = 10, .swing = .6, .period_s = seconds}},                            \
		.target = {UTIL(least), {SIM_REFUSED_60, '<', .02}}, .families = SIM_RATE_BASELINES,                             \
	}
	SWING("swing-40s", 40, "40 s", .93),
	SWING("swing-10m", 600, "10 min", .97),
	{
		.row = 17,
		.name = "delay",
		.text = "nginx's limit_req 10/s, burst 20 with delay: it queues up to 2 s, then says 503; 20 processes",
		.duration_s = 600,
		.from_s = 60,
		.processes = 20,
		.limit = {{SIM_DELAY, .rate = 10, .burst = 20}},
		.refusal = SIM_UNAVAILABLE,
		.target = {UTIL(.98), {SIM_P99_MS, '<', 300}, {SIM_SAID_NO, '<', 0}, {SIM_HELD_OFF, 'w', 0}},
		.families = SIM_RATE_BASELINES | SIM_CONCURRENCY_BASELINES,
		.loopback = true,
	},
	{
		.row = 18,
		.name = "give-up",
		.text = "a healthy host of 0.3 s, a rule of 4/s, 20 clients that give up after 2 s and ask again",
		.duration_s = 600,
		.processes = 20,
		.rtt_ms = 300,
		.give_up_s = 2,
		.limit = {{SIM_BUDGET, .rate = 4, .burst = 1}},
		.target = {UTIL(.95), {SIM_TRIPS, 'w', 0}, {SIM_HELD, 'w', 0}},
		.loopback = true,
	},
#define BATCH(short_name, what, count, seconds, recovery, last)                                                                  \
	{                                                                                                                        \
		.row = 19, .name = short_name, .text = what, .duration_s = 600, .processes = 8, .think_ms = 9, .items = count,   \
		.patience_s = 60, .change = {{6, SIM_SET_OUTAGE, SIM_RST, 0}, {6 + seconds, SIM_SET_OUTAGE, SIM_UP, 0}},         \
		.target = {{SIM_LOST, '<', last}, {SIM_LOST_EARLY, '<', 16}, {SIM_RECOVERY_S, 'w', recovery}},                   \
		.families = SIM_BREAKER_BASELINES, .loopback = true,                                                             \
	}
	BATCH("restart-5", "a batch of 2,000 by eight at a time; the host restarts for 5 s in the middle", 2000, 5, 3, 16),
	BATCH("restart-60", "a batch of 40,000 by eight at a time; the host is away for 60 s", 40000, 60, 3, 1e9),
	{
		.row = 20,
		.name = "classes",
		.text = "a rule of 10/s; 8 loops each of low, normal and high priority",
		.duration_s = 1200,
		.from_s = 60,
		.processes = 24,
		.low = 8,
		.high = 8,
		.limit = {{SIM_BUDGET, .rate = 10, .burst = 1}},
		.target = {{SIM_SHARES_OFF, '<', .01}, {SIM_TOTAL_OFF, '<', .01}, {SIM_JAIN_CLASS, '>', .95}},
		.alone = true,
		.loopback = true,
	},
	{
		.row = 20,
		.name = "high-behind-500",
		.text = "a rule of 10/s; 500 of normal priority at once, and one of high 10 s later",
		.duration_s = 49,
		.from_s = 1,
		.processes = 501,
		.high = 1,
		.last_at_s = 10,
		.once = true,
		.limit = {{SIM_BUDGET, .rate = 10, .burst = 1}},
		.target = {{SIM_LAST_UNITS, 'w', 2}, {SIM_TOTAL_OFF, '<', .01}},
		.alone = true,
		.loopback = true,
	},
#define AUTUMN                                                                                                                   \
	.begin_s = 1792756800, .midnight_s = {1792792800, 1792879200, 1792969200, 1793055600},                                   \
	.change_s = {1792890000, 1806195600}, .before = 120, .between = 60, .after = 120
#define SPRING                                                                                                                   \
	.begin_s = 1806062400, .midnight_s = {1806102000, 1806188400, 1806271200, 1806357600},                                   \
	.change_s = {1806195600, 1824944400}, .before = 60, .between = 120, .after = 60
#define QUOTA(short_name, what, dead, ...)                                                                                       \
	{                                                                                                                        \
		.row = 21, .name = short_name, .text = what "; who asks, and the agent, die between two instructions",           \
		.processes = 8, .deaths = dead, .quota = {__VA_ARGS__},                                                          \
		.target = {{SIM_QUOTA_BEYOND, 'w', 0}, {SIM_QUOTA_USED, '>', .99}, {SIM_DEATHS, '<', 1e9}}, .alone = true,       \
	}
	QUOTA("quota-100-autumn", "100/day Europe/Berlin, four midnights, a day of 25 hours", .008, .limit = 100, AUTUMN),
	QUOTA("quota-100-spring", "100/day Europe/Berlin, four midnights, a day of 23 hours", .008, .limit = 100, SPRING),
	QUOTA("quota-1000-autumn", "1000/day Europe/Berlin, spread, four midnights, a day of 25 hours", .002, .limit = 1000,
	      .spread = true, AUTUMN),
	QUOTA("quota-1000-spring", "1000/day Europe/Berlin, spread, four midnights, a day of 23 hours", .002, .limit = 1000,
	      .spread = true, SPRING),
#define ASKED_AGAIN(short_name, what, ...)                                                                                       \
	{                                                                                                                        \
		.row = 22, .name = short_name, .text = what ", up to three attempts", .attempts = 3, __VA_ARGS__                 \
	}
	ASKED_AGAIN("retry-40", "forty requests by eight at a time, a bucket of 10/s", .duration_s = 120, .processes = 8,
		    .think_ms = 9, .items = 40, .limit = {{SIM_BUCKET, .rate = 10, .burst = 10}},
		    .target = {{SIM_LOST, '<', 0}, {SIM_SAID_NO, '<', 13}}, .loopback = true),
	ASKED_AGAIN("retry-503", "20 % of answers are 503, 20 requests a minute", .duration_s = 3600, .offered = 1 / 3.0,
		    .noise = {{SIM_UNAVAILABLE, .share = .2}},
		    .target = {{SIM_FAILED_SHARE, '<', .01}, {SIM_ATTEMPTS, '<', 1.2}, {SIM_TRIPS, 'w', 0}}),
	ASKED_AGAIN("retry-503-fast", "20 % of answers are 503, 10 requests a second", .duration_s = 600, .offered = 10,
		    .noise = {{SIM_UNAVAILABLE, .share = .2}},
		    .target = {{SIM_FAILED_SHARE, '<', 1}, {SIM_ATTEMPTS, '<', 1.2}, {SIM_TRIPS, 'w', 0}}),
	ASKED_AGAIN("retry-outage", "an outage of 60 s at 10 requests a second", .duration_s = 300, .offered = 10,
		    .change = {{120, SIM_SET_OUTAGE, SIM_RST, 0}, {180, SIM_SET_OUTAGE, SIM_UP, 0}},
		    .target = {{SIM_ATTEMPTS, '<', 1.2}, {SIM_RECOVERY_S, 'w', 15}}),
#define PER_CLIENT(short_name, n)                                                                                                \
	{                                                                                                                        \
		.row = 23, .name = short_name,                                                                                   \
		.text = "a rule of 10/s, 2/s for each client; " #n " clients of two loops, and one of sixteen",                  \
		.duration_s = 1200, .from_s = 60, .processes = n, .threads = 2, .big = 16, .per_client = 2,                      \
		.limit = {{SIM_BUDGET, .rate = 10, .burst = 1}},                                                                 \
		.target = {{SIM_CLIENTS_OFF, '<', .02}, {SIM_TOTAL_OFF, '<', .01}}, .alone = true,                               \
	}
	PER_CLIENT("clients-3", 2),
	PER_CLIENT("clients-5", 4),
	PER_CLIENT("clients-10", 9),
	PER_CLIENT("clients-20", 19),
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
		.change = {{from, SIM_SET_RATE, 1e-6, 0}, {to, SIM_SET_RATE, 10, 0}},                                            \
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
