/* SPDX-License-Identifier: MIT */
/*
 * The processes under weir: those that have requests under way, as the leases tell, and those that have the segment mapped and
 * are about something else, as /proc tells.
 */
#ifndef WEIR_STATS_PROCESSES_H
#define WEIR_STATS_PROCESSES_H

#include <jansson.h>
#include <stdio.h>

#include "src/stats/process_name.h"
#include "weir/segment.h"

enum weir_activity { WEIR_PROCESS_WAITS, WEIR_PROCESS_IN_FLIGHT, WEIR_PROCESS_IDLE };

/* One request of a process, or, idle, the process. */
struct weir_process_view {
	enum weir_activity activity;
	uint32_t pid;
	bool foreign;                     /* of another pid namespace: the pid is that one's */
	bool stopped;                     /* by a signal */
	char name[WEIR_PROCESS_NAME_MAX]; /* "?" = not known */
	char host[WEIR_KEY_MAX];          /* empty: it has no entry */
	char rule[WEIR_MATCH_MAX];        /* what the host's rule matches; empty: built in */
	uint64_t since_ns;                /* for so long */
	enum weir_cause cause;            /* why it waits */
	uint64_t ends_ns;                 /* when that ends, from now; 0 = not known */
};

struct weir_processes {
	struct weir_process_view *view; /* who waits, the longest first; in flight; idle */
	size_t count;
};

/* Reads /proc, where there is one. Leaves `except` out (the agent). False when memory is short. To be freed. */
bool weir_processes_take(const struct weir_segment *s, uint32_t except, uint64_t now_ns, struct weir_processes *out);
void weir_processes_free(struct weir_processes *p);

/* {"schema": 1, "processes": [...]}, times in seconds. A new reference; NULL when memory is short. */
json_t *weir_processes_json(const struct weir_processes *p);
void weir_processes_text(const struct weir_processes *p, FILE *out);

#endif
