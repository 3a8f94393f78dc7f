/* SPDX-License-Identifier: MIT */
/* What is given up at a host (weir/degrade.h, weir/shed.h), as text and JSON. */
#ifndef WEIR_STATS_DEGRADED_H
#define WEIR_STATS_DEGRADED_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "weir/segment.h"

struct weir_degraded {
	uint32_t watch;                /* enum weir_degrade_watch of its rule; what is not watched is not told */
	struct weir_degrade_view view; /* normal where no threshold is given */
	uint32_t shed_permille;        /* 0 where the breaker does not shed */
};

/* What stands in an entry, under its rule. */
struct weir_degraded weir_degraded_of(const struct weir_entry *e, const struct weir_rule *rule);

/* Whether anything is given up, or has just been. */
bool weir_is_degraded(const struct weir_degraded *d);

/* "reduced, low is refused: too many requests wait", "half of ..."; "normal" where nothing is given up. */
#define WEIR_DEGRADED_TEXT 200
const char *weir_degraded_text(const struct weir_degraded *d, char out[WEIR_DEGRADED_TEXT]);

/* { "state", "cause", "refused": { "normal", "low" } }; NULL where its rule gives no threshold. */
json_t *weir_degraded_json(const struct weir_degraded *d);

#endif
