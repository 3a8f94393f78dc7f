/* SPDX-License-Identifier: MIT */
/* What was used of configured quotas, as text and JSON: `weir quota`. */
#ifndef WEIR_STATS_QUOTAS_H
#define WEIR_STATS_QUOTAS_H

#include <jansson.h>
#include <stdio.h>

#include "src/stats/snapshot.h"

/* Fills the view's quotas. */
void weir_quotas_view(const struct weir_segment *s, uint32_t slot, const struct weir_rule *rule, struct weir_host_view *out);

/* An array with one object for each quota of the host; NULL where its rule has none. */
json_t *weir_quotas_json(const struct weir_host_view *h);

/* A line for each quota of each host, aligned. */
void weir_quotas_text(const struct weir_snapshot *s, FILE *out);

/* "1000/day UTC: 412 used, 588 left until 2026-11-28 00:00" */
#define WEIR_QUOTA_SENTENCE 256
const char *weir_quota_sentence(const struct weir_quota_view *q, char out[WEIR_QUOTA_SENTENCE]);

#endif
