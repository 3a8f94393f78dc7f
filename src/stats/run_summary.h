/* SPDX-License-Identifier: MIT */
/* What `weir run -s` says of its run: weir/summary.h, added up and rendered. */
#ifndef WEIR_STATS_RUN_SUMMARY_H
#define WEIR_STATS_RUN_SUMMARY_H

#include <jansson.h>
#include <stdio.h>
#include <sys/types.h>

#include "weir/summary.h"

struct weir_run_summary {
	struct weir_summary_view host[WEIR_SUMMARY_HOSTS + 1]; /* the one with the most requests first, the others' last */
	size_t hosts;
	struct weir_summary_view all;
	const struct weir_summary_view *slowest; /* by its mean latency; NULL: none has answered */
	uint64_t took_ns;                        /* from start to end of the command */
	unsigned still_running;                  /* processes of the run that have outlived it */
	int status;                              /* of wait(2) */
};

/* Reads the table and adds it up; took_ns, still_running and status are the caller's to set. */
void weir_run_summary_take(const struct weir_summary *s, struct weir_run_summary *out);

/* Requests that passed the gate, those that were refused included. */
uint64_t weir_summary_requests(const struct weir_summary_view *v);
/* The share of the time that its requests took which they waited, per cent. */
double weir_summary_waited_percent(const struct weir_summary_view *v);

/* Lines for people, each with `prefix` before it. */
void weir_run_summary_text(const struct weir_run_summary *r, const char *prefix, FILE *out);
/* {"schema": 1, ...}, times in seconds (docs/operations.md). A new reference; NULL when memory is short. */
json_t *weir_run_summary_json(const struct weir_run_summary *r);

/* Whether a process was started with this variable, "NAME=VALUE", in its environment. False also when it may not be looked at. */
bool weir_run_process(pid_t pid, const char *variable);

/* How many other processes were. Reads /proc. */
unsigned weir_run_processes(const char *variable);

/* Removes from the directory the summaries of runs that were killed. */
void weir_run_summaries_tidy(const char *dir);

/* The name of a run's file: DIR/summary.PID.START. */
#define WEIR_RUN_SUMMARY_NAME "summary."

#endif
