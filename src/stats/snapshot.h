/* SPDX-License-Identifier: MIT */
/*
 * What the segment says at one moment, as plain numbers of this process: the one source of every export. The renderers (render.h)
 * turn it into text and touch no shared memory.
 *
 * Times are nanoseconds from the moment of the snapshot, rates nano-admissions per second, as everywhere below; the renderers
 * convert.
 */
#ifndef WEIR_STATS_SNAPSHOT_H
#define WEIR_STATS_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/stats/degraded.h"
#include "src/stats/finding.h"
#include "weir/monitor.h"
#include "weir/policy.h"
#include "weir/quotas.h"
#include "weir/segment.h"

/* ok: requests go as the policy says. throttled: a hold is in force, or the server made weir hold or slow down within the last
 * minute. open, half-open: the breaker's word, and it comes first. */
enum weir_health { WEIR_HEALTH_OK, WEIR_HEALTH_THROTTLED, WEIR_HEALTH_OPEN, WEIR_HEALTH_HALF_OPEN, WEIR_HEALTH_DEGRADED };

#define WEIR_DURATION_BUCKETS 12
extern const uint64_t weir_duration_bucket_ns[WEIR_DURATION_BUCKETS]; /* upper bounds, ascending; the last bucket is open */

struct weir_duration_view {
	uint64_t count, sum_us;
	uint64_t min_ns, max_ns;                 /* within 1.6 %; 0 when empty */
	uint64_t p50_ns, p90_ns, p95_ns, p99_ns; /* 0 when empty */
	uint64_t at_most[WEIR_DURATION_BUCKETS]; /* cumulative */
};

/* What an entry is: a host or a group, or a narrowed rule that stands apart from it; a run's or a client's share of one; all
 * hosts together; the overflow; a narrowed rule beside its host's. */
enum weir_entry_kind { WEIR_ENTRY_HOST, WEIR_ENTRY_RUN, WEIR_ENTRY_TOTAL, WEIR_ENTRY_OTHER, WEIR_ENTRY_NARROWED };

/* Whether it only limits, and what comes of its requests is counted at their hosts. */
static inline bool weir_entry_only_limits(enum weir_entry_kind kind)
{
	return kind == WEIR_ENTRY_RUN || kind == WEIR_ENTRY_TOTAL || kind == WEIR_ENTRY_NARROWED;
}

/* Counters of an entry, read one by one: each is exact, their sums may be a request apart. */
struct weir_tally {
	uint64_t admitted, delayed, refused, succeeded, throttled, failed, ignored, connections, cancelled, would_delay,
		would_refuse;
	/* asked again (weir/retry.h) */
	uint64_t retries, saved, retry_exhausted, retry_given_up;
};

/* Those who wait, and waited, in one class. */
struct weir_class_view {
	uint32_t waiting;
	uint64_t delayed, refused;
};

struct weir_quota_view {
	char text[WEIR_ALLOWANCE_TEXT]; /* as it is configured */
	uint64_t used, limit;
	uint64_t resets_ns; /* how much longer until the next may go, or the window ends; 0: nothing is counted */
	char resets[32];    /* the same on the clock of its zone; empty */
	bool spent, lost;
};

struct weir_host_view {
	enum weir_entry_kind kind;
	char key[WEIR_KEY_MAX];
	char rule[WEIR_MATCH_MAX]; /* what its rule matches; empty: built in */
	enum weir_health health;
	struct weir_tally tally;
	uint32_t in_flight, waiting;
	uint32_t retries_left; /* in thousandths */
	struct weir_class_view class[WEIR_CLASSES];
	uint32_t queue_max;       /* so many may wait, 0 = no bound */
	double rate_per_s;        /* of results, over the window */
	double error_share;       /* of the results in the window, 0..1; negative: no results */
	uint64_t latency_mean_ns; /* of the results in the window */
	uint64_t window_ns;       /* its length */
	uint64_t limit;           /* the slowest pace in force, 0 = none */
	bool learned;             /* that pace is the controller's and not the policy's or the operator's */
	uint32_t concurrency;     /* limit in force, UINT32_MAX = none */
	uint64_t set_rate;        /* operator's override in force, 0 = none */
	uint32_t set_concurrency, set_burst;
	uint64_t set_for_ns; /* how much longer, 0 = until reset */
	uint64_t hold_ns;    /* how much longer, 0 = no hold */
	enum weir_cause hold_cause;
	enum weir_breaker_state breaker;
	uint32_t failures_in_a_row;
	uint64_t opened_total;
	uint64_t reopens_ns;           /* open: until the next probe may go; WEIR_NEVER: the operator's word is awaited */
	uint64_t grace_ns;             /* open, half-open: so long requests still wait for the host to come back; 0: not at all */
	enum weir_cause opened_by;     /* NONE: not known (any more) */
	uint32_t opened_after;         /* failures in a row before it, 0 = not known */
	struct weir_degraded degraded; /* what is given up */
	struct weir_refusal_view refusal; /* what is held and tried of what its refusals depend on */
	struct weir_finding finding[WEIR_FINDINGS];
	size_t findings;
	struct weir_quota_view quota[WEIR_ALLOWANCES];
	unsigned quotas; /* of the configuration */
	struct weir_duration_view wait, latency;
	bool watched;                        /* by the agent's monitor (watched.h) */
	struct weir_monitor_figures figures; /* of its window */
};

/* What the agent itself uses. */
struct weir_own_usage {
	bool known;
	uint64_t cpu_ns, resident_bytes, virtual_bytes, open_fds, max_fds, started_wall_ns;
};

struct weir_snapshot {
	uint64_t now_ns, wall_ns;
	uint64_t generation;    /* of the policy, 0 = none compiled */
	bool rejected, builtin; /* builtin: no rules but the built-in ones are in force */
	uint64_t compiled_wall_ns;
	char source[WEIR_SOURCES][WEIR_SOURCE_PATH_MAX]; /* those that exist */
	uint32_t source_count, rule_count;
	char left_out[WEIR_SOURCES]
		     [WEIR_LEFT_OUT_MAX]; /* files that are not read, and why: the agent knows, who reads the segment not */
	uint32_t left_out_count;
	uint32_t agent_pid;           /* 0 = none, or not heard of for 3 s */
	uint32_t processes;           /* that hold leases */
	uint64_t entries_lost;        /* requests that found the table of hosts full */
	uint64_t entries_lost_ago_ns; /* the last of these; WEIR_NEVER: none */
	uint64_t leases_lost, leases_reaped, events;
	struct weir_tally totals; /* over the hosts */
	uint32_t in_flight, waiting;
	struct weir_host_view
		*host;     /* hosts and groups by name, then the overflow, the total, the runs that have requests under way */
	size_t host_count; /* all of them */
	size_t hosts;      /* of kind HOST or OTHER: the first ones */
	/* what the agent's monitor knows (watched.h); without an agent nothing */
	bool watched;
	enum weir_monitor_health monitor_health;
	struct weir_alert *alert;
	size_t alerts;
	uint64_t alerts_fired[WEIR_ALERT_KINDS];
	uint64_t commands[4]; /* of alerts.command: succeeded, failed, killed, dropped */
	struct weir_own_usage own;
};

/* Takes a snapshot. `only`: NULL for everything, else the entries of this name alone: a key, or a host whose ports are all meant.
 * Returns false when memory is short. Free with weir_snapshot_free. */
bool weir_snapshot_take(const struct weir_segment *s, const char *only, uint64_t now_ns, uint64_t wall_ns,
			struct weir_snapshot *out);
void weir_snapshot_free(struct weir_snapshot *snapshot);

/* Whether the entry of this key is what `name` means: the key itself, or name with any port. */
bool weir_key_is(const char *key, const char *name);

/* "ok", "throttled", "open", "half_open" */
const char *weir_health_name(enum weir_health h);
/* "closed", "open", "half_open"; an operator's open is "open" */
const char *weir_breaker_name(enum weir_breaker_state state);

#endif
