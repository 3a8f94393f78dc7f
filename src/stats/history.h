/* SPDX-License-Identifier: MIT */
/* Events and the policy in force as JSON. */
#ifndef WEIR_STATS_HISTORY_H
#define WEIR_STATS_HISTORY_H

#include <jansson.h>
#include <stdint.h>

#include "weir/policy.h"
#include "weir/segment.h"

#define WEIR_HISTORY_MAX 256 /* events in one document */

/* The events from number `since` on, oldest first, at most WEIR_HISTORY_MAX, and "next": where to go on. A new reference. */
json_t *weir_history_json(const struct weir_segment *s, uint64_t since, uint64_t now_ns, uint64_t wall_ns);

/* One event of that list. A new reference. */
json_t *weir_history_event(const struct weir_event *e, uint64_t now_ns, uint64_t wall_ns);

/* The rules in force. `findings` (may be NULL): why the files as they are now were refused. A new reference. */
json_t *weir_policy_json(const struct weir_segment *s, const struct weir_policy *policy, const struct weir_findings *findings);

#endif
