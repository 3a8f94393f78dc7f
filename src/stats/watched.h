/* SPDX-License-Identifier: MIT */
/* What the agent's monitor (weir/monitor.h) knows, in a snapshot, and as JSON and text. */
#ifndef WEIR_STATS_WATCHED_H
#define WEIR_STATS_WATCHED_H

#include <jansson.h>
#include <stdio.h>

#include "src/stats/snapshot.h"
#include "weir/monitor.h"

/* Adds to a snapshot what is known of its hosts, and the alerts of all hosts. Their names are the monitor's: valid as long as it
 * is not given another sample. m may be NULL. */
void weir_watched_add(struct weir_snapshot *s, const struct weir_monitor *m);

/* Seconds, shares of one, requests, or 1 for an open breaker: as machines read it. */
json_t *weir_alert_value_json(enum weir_alert_kind kind, uint64_t value);
/* {"host", "alert", "state", "value", "threshold", "worst", "since", "acknowledged", "silenced", "text"} */
json_t *weir_alert_json(const struct weir_alert *a);
/* Results, shares and latencies of the window. */
json_t *weir_figures_json(const struct weir_monitor_figures *f);
/* All alerts of the snapshot. */
json_t *weir_alerts_json(const struct weir_snapshot *s);

/* A line for each alert that fires or, with `pending`, is about to. Returns how many there were. */
size_t weir_alerts_text(const struct weir_snapshot *s, const char *before, bool pending, FILE *out);

#endif
