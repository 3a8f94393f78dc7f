/* SPDX-License-Identifier: MIT */
/* Between the files that write the Prometheus text format: what a family and a label look like. */
#ifndef WEIR_STATS_PROMETHEUS_TEXT_H
#define WEIR_STATS_PROMETHEUS_TEXT_H

#include <stdio.h>

#include "src/stats/snapshot.h"
#include "src/stats/spelling.h"

static inline void family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value. The spelling has no quotes and no newlines; its backslashes are escaped as the format wants it. */
static inline void label(FILE *out, const char *name, const char *value)
{
	char spelled[WEIR_SPELLING_MAX];
	weir_spell(value, spelled);
	fprintf(out, "%s=\"", name);
	for (const char *c = spelled; *c; c++) {
		if (*c == '\\')
			fputc('\\', out);
		fputc(*c, out);
	}
	fputc('"', out);
}

/* prometheus_narrow.c: narrowed rules beside their hosts' and clients' shares, those with the most requests. */
void weir_prometheus_narrowed(FILE *out, const struct weir_snapshot *s);

/* prometheus_watched.c: what the agent's monitor knows of these hosts, which alerts fire, and what the agent itself uses; nothing
 * without an agent. */
void weir_prometheus_watched(FILE *out, const struct weir_snapshot *s, const struct weir_host_view *const *host, size_t count);

#endif
