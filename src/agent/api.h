/* SPDX-License-Identifier: MIT */
/*
 * What the socket answers, without the socket: a request as text in, a reply as text out. The command line uses it as it is where
 * no agent can be had. docs/operations.md lists the requests.
 */
#ifndef WEIR_AGENT_API_H
#define WEIR_AGENT_API_H

#include <stddef.h>
#include <stdint.h>

#include "src/agent/alerts.h"
#include "src/agent/compiler.h"
#include "weir/runtime.h"
#include "weir/segment.h"

#define WEIR_API_BODY_MAX 8192 /* bytes; what can be posted is a few short fields */
#define WEIR_API_URI_MAX  2048

struct weir_api {
	const struct weir_segment *segment;
	const struct weir_world *world;
	const struct weir_compiler *compiler; /* NULL: not in the agent */
	struct weir_alerts *alerts;           /* NULL: nothing is watched, as without an agent */
};

struct weir_api_request {
	const char *method;       /* "GET" */
	const char *uri;          /* path and query as sent, percent-encoded */
	const char *accept;       /* NULL = not given */
	const char *content_type; /* NULL = not given */
	const char *body;         /* NUL-terminated behind `length` bytes; NULL = none */
	size_t length;
};

struct weir_api_reply {
	unsigned status;
	const char *content_type;
	const char *allow;  /* with 405 */
	const char *health; /* of /v1/status: "ok", "degraded", "unknown"; else NULL */
	char *body;         /* to be freed; NULL: out of memory */
	size_t length;
};

/* Answers; always fills *reply. Does not block. */
void weir_api_answer(const struct weir_api *api, const struct weir_api_request *request, struct weir_api_reply *reply);

/* A reply that says {"error": "..."}. */
void weir_api_fail(struct weir_api_reply *reply, unsigned status, const char *why, ...) __attribute__((format(printf, 3, 4)));

#endif
