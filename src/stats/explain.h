/* SPDX-License-Identifier: MIT */
/* What would happen to a request now, and why: in sentences. */
#ifndef WEIR_STATS_EXPLAIN_H
#define WEIR_STATS_EXPLAIN_H

#include <jansson.h>
#include <stdio.h>

#include "weir/gate.h"
#include "weir/policy.h"

#define WEIR_SENTENCES 32

struct weir_explanation {
	char host[WEIR_KEY_MAX];
	struct weir_forecast forecast;
	uint64_t now_ns;
	char *origin;              /* "FILE:LINE" of the rule; NULL = not known or built in */
	char rule[WEIR_MATCH_MAX]; /* empty: built in */
	char *sentence[WEIR_SENTENCES];
	size_t sentences;
};

/* Explains host_port (lower case "host:port"). `policy`: the compilation of the policy in force, for the origins; may be NULL.
 * Returns false when memory is short. Free with weir_explanation_free. */
bool weir_explain(const struct weir_segment *s, const struct weir_policy *policy, const char *host_port, uint64_t now_ns,
		  uint64_t wall_ns, struct weir_explanation *out);
void weir_explanation_free(struct weir_explanation *e);

void weir_explanation_text(const struct weir_explanation *e, FILE *out);
json_t *weir_explanation_json(const struct weir_explanation *e);

#endif
