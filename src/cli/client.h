/* SPDX-License-Identifier: MIT */
/*
 * Asking the agent over its socket; it is started when it is not there. Where none can be had (WEIR_AGENT=off, a directory that
 * cannot be written) the same questions are answered from the segment by this process itself.
 */
#ifndef WEIR_CLI_CLIENT_H
#define WEIR_CLI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

struct weir_question {
	const char *method; /* "GET" or "POST" */
	const char *path;   /* with the query, percent-encoded */
	const char *accept; /* NULL = anything */
	const char *body;   /* JSON; NULL = none */
};

struct weir_reply {
	unsigned status;
	char health[16]; /* of /v1/status, else empty */
	char *body;
	size_t length;
};

/* Asks. Returns false when nobody could answer, and has complained. */
bool weir_client_ask(const struct weir_question *q, struct weir_reply *reply);
void weir_reply_free(struct weir_reply *reply);

/* For a reply that is not a success: complains as "weir: WHAT: ..." and returns the exit status: usage when the request was
 * wrong, else failure. 0 for a success. */
int weir_reply_failed(const char *what, const struct weir_reply *reply);
/* The same; a complaint about something unknown ends in the hint. */
int weir_reply_failed_hint(const char *what, const struct weir_reply *reply, const char *hint);

/* Asks for what is at the path and prints it: text, or as JSON. Complains as "weir: WHAT: ..."; returns the exit status. */
int weir_client_print(const char *what, const char *path, bool json);

/* "PATH?NAME=VALUE", the value percent-encoded; to be freed. NULL when memory is short. */
char *weir_client_path(const char *path, const char *name, const char *value);
/* "/v1/hosts/HOST" + after */
char *weir_client_host_path(const char *host, const char *after);

#endif
