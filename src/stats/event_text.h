/* SPDX-License-Identifier: MIT */
/* An event for people: what changed and why, in a clause. */
#ifndef WEIR_STATS_EVENT_TEXT_H
#define WEIR_STATS_EVENT_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "weir/monitor.h"
#include "weir/segment.h"

#define WEIR_EVENT_TEXT 256

/* Of an event that tells of an alert: its kind, WEIR_ALERT_KINDS where a newer agent knows more; `before` holds the threshold as
 * well. */
#define WEIR_EVENT_ALERT_LIMIT ((UINT64_C(1) << 56) - 1)
static inline enum weir_alert_kind weir_event_alert(const struct weir_event *e)
{
	return e->before >> 56 < WEIR_ALERT_KINDS ? (enum weir_alert_kind)(e->before >> 56) : WEIR_ALERT_KINDS;
}

/* "breaker opened for 5s: too many requests failed in a row (5)". Host and time are not in it; what began lasts as long as it did
 * when it happened, so the text of an event never changes. Printable, cut to fit. Returns out. */
const char *weir_event_text(const struct weir_event *e, char out[WEIR_EVENT_TEXT]);

#endif
