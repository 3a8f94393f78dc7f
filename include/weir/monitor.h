/* SPDX-License-Identifier: MIT */
/*
 * What goes on at each host, looked at twice a second, and what of it somebody should know: shares of results and latencies over
 * a sliding window, and alerts where they pass a threshold for long enough.
 *
 * In the agent's memory alone, made from what the segment counts anyway: no request pays for it, and it asks for no word of the
 * segment. Time is a parameter (CLOCK_MONOTONIC, and CLOCK_REALTIME for what is told), so that a test can pass hours in no time.
 *
 * A *subject* is an entry's key. It costs a few hundred bytes, and some ten kilobytes while results lie in its window.
 */
#ifndef WEIR_MONITOR_H
#define WEIR_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/histogram.h"

/* ---- what is watched for
 * ---------------------------------------------------------------------------------------------------------- */

/* Values are kept in a file: append only. */
enum weir_alert_kind {
	WEIR_ALERT_LATENCY,        /* mean over the window, ns */
	WEIR_ALERT_ERROR_RATE,     /* failed of all results of the window, per mille */
	WEIR_ALERT_THROTTLED_RATE, /* throttled of these, per mille */
	WEIR_ALERT_BREAKER_OPEN,   /* 1 while the breaker keeps requests away */
	WEIR_ALERT_QUEUE,          /* requests waiting */
	WEIR_ALERT_QUOTA,          /* used of the quota that is nearest to its end, per mille */
	WEIR_ALERT_KINDS
};

/* "error_rate": as in the configuration. */
const char *weir_alert_name(enum weir_alert_kind kind);
/* WEIR_ALERT_KINDS when there is none of that name. */
enum weir_alert_kind weir_alert_named(const char *name);

/* The value as people write it: "5.2s", "34%", "open", "120". Returns out. */
#define WEIR_ALERT_VALUE_MAX 32
const char *weir_alert_print(enum weir_alert_kind kind, uint64_t value, char out[WEIR_ALERT_VALUE_MAX]);

/* What a rule asks to be told. */
struct weir_alert_params {
	uint64_t limit[WEIR_ALERT_KINDS]; /* fires at this value and above; 0: not asked for */
	uint32_t min_samples;             /* with fewer results in the window latency and shares say nothing */
	uint32_t hysteresis_permille;     /* so far below the limit it must come to be over */
	uint64_t window_ns;
	uint64_t for_ns; /* so long it must hold before it fires, and be over before it resolves */
};
extern const struct weir_alert_params weir_alert_builtin;

/* What is done when something fires or resolves; for all hosts. */
#define WEIR_ALERT_COMMAND_MAX 1024
struct weir_alert_actions {
	char command[WEIR_ALERT_COMMAND_MAX]; /* for /bin/sh -c; empty: none */
	uint64_t command_time_ns;             /* it is killed after so long */
	bool syslog;
};
extern const struct weir_alert_actions weir_alert_no_actions;

/* ---- what is seen
 * ----------------------------------------------------------------------------------------------------------------- */

struct weir_monitor;

/* An entry at one moment. Counts since the segment was made. */
struct weir_monitor_sample {
	uint64_t succeeded, throttled, failed;
	const struct weir_histogram_copy *latency; /* NULL: as in the sample before */
	bool open;                                 /* the breaker keeps requests away */
	uint32_t waiting;
	uint32_t quota_permille; /* used of the quota that is nearest to its end; 0: there is none */
};

/* Latencies of the window, in steps of an eighth of a power of two: within 6 % but for the mean (1.6 %). */
struct weir_monitor_latency {
	uint64_t count;
	uint64_t mean_ns, min_ns, max_ns, p50_ns, p90_ns, p95_ns, p99_ns;
};

struct weir_monitor_figures {
	uint64_t window_ns;
	uint64_t succeeded, throttled, failed; /* in it */
	struct weir_monitor_latency latency;
};

/* A new one begins to watch at now_ns: what was counted before is nobody's window. NULL when memory is short. */
struct weir_monitor *weir_monitor_new(uint64_t now_ns);
void weir_monitor_free(struct weir_monitor *m);

enum weir_alert_state { WEIR_ALERT_QUIET, WEIR_ALERT_PENDING, WEIR_ALERT_FIRING };

/* An alert as it is told. */
struct weir_alert {
	const char *host; /* the subject's key; as long as the monitor is not given a sample */
	enum weir_alert_kind kind;
	enum weir_alert_state state; /* QUIET: it has just resolved */
	uint64_t value, limit;       /* now; limit 0: nobody asks any more */
	uint64_t worst;              /* the highest value since it fired */
	uint64_t since_wall_ns;      /* when it began to hold, or fired */
	bool acknowledged;
	bool silenced;
	bool gone; /* it has resolved because nothing is known of the host any more */
};
typedef void weir_monitor_tell(void *data, const struct weir_alert *alert);

/* What it is about, in a clause without the host: "34% of requests failed (threshold 10%)", and where it has resolved "over: ..."
 * with the worst of it. Returns out. */
#define WEIR_ALERT_TEXT_MAX 160
const char *weir_alert_text(const struct weir_alert *alert, char out[WEIR_ALERT_TEXT_MAX]);

/* A turn: begin, a sample for each entry that there is, end. What fires or resolves is told, one by one. A subject that had no
 * sample in a turn is forgotten at its end. */
void weir_monitor_begin(struct weir_monitor *m, uint64_t now_ns, uint64_t wall_ns, weir_monitor_tell *tell, void *data);
/* Whether the subject has new results, so that its latencies are worth reading. */
bool weir_monitor_moved(const struct weir_monitor *m, const char *key, uint64_t results);
void weir_monitor_sample(struct weir_monitor *m, const char *key, const struct weir_alert_params *params,
			 const struct weir_monitor_sample *sample);
void weir_monitor_end(struct weir_monitor *m);

/* False when nothing is known of it. */
bool weir_monitor_figures(const struct weir_monitor *m, const char *key, uint64_t now_ns, struct weir_monitor_figures *out);

/* Fills `out` with at most `room` alerts that fire or are about to, those that fire first; returns how many there are. */
size_t weir_monitor_alerts(const struct weir_monitor *m, struct weir_alert *out, size_t room);

/* Whether any fires; with `passing`, any that will be over by itself when nothing more is asked (so not a quota's). */
bool weir_monitor_fires(const struct weir_monitor *m, bool passing);

/* Alerts fired since the monitor began, by kind. */
uint64_t weir_monitor_fired(const struct weir_monitor *m, enum weir_alert_kind kind);

/* healthy: nothing fires that is not silenced. unhealthy: hosts do not do what they are asked (breaker_open, error_rate).
 * degraded: anything else. */
enum weir_monitor_health { WEIR_MONITOR_HEALTHY, WEIR_MONITOR_DEGRADED, WEIR_MONITOR_UNHEALTHY };
enum weir_monitor_health weir_monitor_health(const struct weir_monitor *m);
/* "healthy" */
const char *weir_monitor_health_name(enum weir_monitor_health h);

/* ---- what is said to it
 * ----------------------------------------------------------------------------------------------------------- */

/* A host's key means its narrowed rules as well here, "host:port#/path" that one alone.
 *
 * Whoever looks after it has seen it: it stays until it resolves. `kind` WEIR_ALERT_KINDS: all of the host. Returns how many
 * there were. */
size_t weir_monitor_acknowledge(struct weir_monitor *m, const char *key, enum weir_alert_kind kind);

#define WEIR_SILENCES_MAX 256
struct weir_silence {
	const char *host; /* a key, or "*" */
	uint64_t until_wall_ns;
};

/* Nobody is told of the host's alerts until then, and health does not count them; "*": of any. In the past: no longer silent.
 * False when there is no room. */
bool weir_monitor_silence(struct weir_monitor *m, const char *key, uint64_t until_wall_ns, uint64_t wall_ns);
/* The i-th that is in force, NULL behind the last. */
const struct weir_silence *weir_monitor_silence_at(const struct weir_monitor *m, size_t i);

/* What another monitor left: an alert that fired is taken up and not told again. Before the first turn. */
void weir_monitor_restore(struct weir_monitor *m, const char *key, enum weir_alert_kind kind, uint64_t since_wall_ns,
			  uint64_t worst, bool acknowledged);

/* Moves whenever what is worth keeping has changed: alerts that fire, acknowledgements, silences. */
uint64_t weir_monitor_changes(const struct weir_monitor *m);

#endif
