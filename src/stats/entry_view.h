/* SPDX-License-Identifier: MIT */
/* One entry of the segment as plain numbers. */
#ifndef WEIR_STATS_ENTRY_VIEW_H
#define WEIR_STATS_ENTRY_VIEW_H

#include "src/stats/snapshot.h"

/* What the event ring tells of an entry beside its present state. */
struct weir_trace {
	uint64_t slowed_ns; /* when the server last made weir hold or slow down, 0 = not known */
	uint32_t opened_by; /* enum weir_cause of the last opening */
	uint32_t opened_after;
	struct weir_finding_trace finding;
};

/* The rule that holds for an entry with this key; WEIR_NONE when nothing is compiled, or for a run's entry. */
uint32_t weir_entry_rule(const struct weir_policy_view *policy, const char *key);

enum weir_entry_kind weir_entry_kind_of(const char *key);

/* Fills *out for the entry in `slot`, whose key has been read already (weir_entry_key). */
void weir_entry_view(const struct weir_segment *s, const struct weir_policy_view *policy, uint32_t slot, const char *key,
		     const struct weir_occupancy *occupancy, const struct weir_trace *trace, uint64_t now_ns,
		     struct weir_host_view *out);

#endif
