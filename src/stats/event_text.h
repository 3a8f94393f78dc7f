/* SPDX-License-Identifier: MIT */
/* An event for people: what changed and why, in a clause. */
#ifndef WEIR_STATS_EVENT_TEXT_H
#define WEIR_STATS_EVENT_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "weir/segment.h"

#define WEIR_EVENT_TEXT 256

/* "breaker opened for 5s: too many requests failed in a row (5)". Host and time are not in it; what began lasts as long as it did
 * when it happened, so the text of an event never changes. Printable, cut to fit. Returns out. */
const char *weir_event_text(const struct weir_event *e, char out[WEIR_EVENT_TEXT]);

#endif
