/* SPDX-License-Identifier: MIT */
/*
 * What would happen to a request now, and why: in sentences, and the same as data.
 *
 *   explain.c          what was asked about, the rule, the verdict; text and JSON
 *   explain_limits.c   every limit in force, and where it comes from
 *   explain_narrow.c   which narrowed rules the request meets, and where they are not seen
 *   explain_past.c     who is in flight, what was seen and found out, the last events
 *   explain_say.c      sentences
 */
#ifndef WEIR_STATS_EXPLAIN_H
#define WEIR_STATS_EXPLAIN_H

#include <jansson.h>
#include <stdio.h>

#include "weir/gate.h"
#include "weir/policy.h"

#define WEIR_SENTENCES 64

/* How a request would travel, as far as its URL tells. */
enum weir_wire { WEIR_WIRE_UNKNOWN, WEIR_WIRE_CLEAR, WEIR_WIRE_TLS };

/* The request that is asked about. Texts are the caller's, good for the call. */
struct weir_asked_about {
	const char *host_port; /* lower case, "host:port" */
	const char *path;      /* without the query; NULL: any */
	const char *method;    /* "GET"; NULL: any */
	const char *client;    /* whose share of the host; NULL: nobody's in particular */
	enum weir_wire wire;
};

struct weir_explanation {
	char host[WEIR_KEY_MAX];
	struct weir_forecast forecast;
	uint64_t now_ns;
	char *origin;              /* "FILE:LINE" of the rule; NULL = not known or built in */
	char rule[WEIR_MATCH_MAX]; /* empty: built in */
	char *sentence[WEIR_SENTENCES];
	size_t sentences;
	json_t *document; /* the same as data */
};

/* Explains. `policy`: the compilation of the policy in force, for the origins; may be NULL. Returns false when memory is short.
 * Free with weir_explanation_free. */
bool weir_explain(const struct weir_segment *s, const struct weir_policy *policy, const struct weir_asked_about *asked,
		  uint64_t now_ns, uint64_t wall_ns, struct weir_explanation *out);
void weir_explanation_free(struct weir_explanation *e);

void weir_explanation_text(const struct weir_explanation *e, FILE *out);

/* A new reference. */
json_t *weir_explanation_json(const struct weir_explanation *e);

#endif
