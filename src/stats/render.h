/* SPDX-License-Identifier: MIT */
/* A snapshot as text: one renderer per format. They write what they are given and touch no shared memory. */
#ifndef WEIR_STATS_RENDER_H
#define WEIR_STATS_RENDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "src/stats/snapshot.h"
#include "weir/runtime.h"

/* The digits that a time or rate is worth in JSON: microseconds of a day. */
#define WEIR_JSON_FLAGS (JSON_REAL_PRECISION(9) | JSON_COMPACT | JSON_ENSURE_ASCII)

/* The document of `weir stats --json`, schema 1. A new reference; NULL when memory is short. */
json_t *weir_render_json(const struct weir_snapshot *snapshot);
/* One host of it. */
json_t *weir_render_json_host(const struct weir_host_view *host);
/* "2026-11-22T04:13:00Z" */
void weir_render_time(uint64_t wall_ns, char out[32]);

/* The Prometheus text format 0.0.4. At most WEIR_PROMETHEUS_HOSTS hosts get labels of their own: those with the most requests. */
#define WEIR_PROMETHEUS_HOSTS        200
#define WEIR_PROMETHEUS_NARROWED     100 /* of narrowed rules beside their hosts' */
#define WEIR_PROMETHEUS_CLIENTS      50  /* of clients with requests under way */
#define WEIR_PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
void weir_render_prometheus(const struct weir_snapshot *snapshot, FILE *out);

/* `weir stats`: everything about each host, for people. */
void weir_render_text(const struct weir_snapshot *snapshot, bool color, FILE *out);

/* `weir status`: one line per host, and what is wrong with it below. Returns whether all hosts are well. `world` may be NULL. */
void weir_render_status(const struct weir_snapshot *snapshot, const struct weir_world *world, bool color, FILE *out);

enum weir_verdict_of_all { WEIR_ALL_WELL, WEIR_SOME_DEGRADED, WEIR_NOTHING_KNOWN };
enum weir_verdict_of_all weir_snapshot_verdict(const struct weir_snapshot *snapshot);

/* A host's name, spelled as everywhere (spelling.h). */
json_t *weir_name_json(const char *key);

#endif
