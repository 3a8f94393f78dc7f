/* SPDX-License-Identifier: MIT */
/* Between the files of the API: a request taken apart, and the functions that answer one kind each. */
#ifndef WEIR_AGENT_API_CALL_H
#define WEIR_AGENT_API_CALL_H

#include <jansson.h>
#include <stdio.h>

#include "src/agent/api.h"
#include "src/agent/fields.h"
#include "src/stats/snapshot.h"

struct weir_call {
	const struct weir_api *api;
	const struct weir_api_request *request;
	struct weir_fields query;
	struct weir_fields body; /* with POST */
	char host[WEIR_KEY_MAX]; /* of the path, in the form of the keys; empty: none */
	uint64_t now_ns, wall_ns;
};

typedef void weir_answer(const struct weir_call *call, struct weir_api_reply *reply);

weir_answer weir_answer_metrics, weir_answer_stats, weir_answer_status, weir_answer_host, weir_answer_explain, weir_answer_policy,
	weir_answer_events, weir_answer_processes; /* api_read.c */
weir_answer weir_answer_reset, weir_answer_breaker, weir_answer_rate, weir_answer_quota,
	weir_answer_quotas; /* api_write.c, api_quota.c */
weir_answer weir_answer_health, weir_answer_alerts, weir_answer_alert_test, weir_answer_silence,
	weir_answer_acknowledge; /* api_alert.c */

/* The entry that the path's host means: true and its key, or false and *reply says why not. With `make`, a host:port that is not
 * known yet is taken as it is. */
bool weir_call_entry(const struct weir_call *call, bool make, char key[WEIR_KEY_MAX], struct weir_api_reply *reply);

/* Replies with a JSON document; takes the reference over, NULL is out of memory. */
void weir_reply_json(struct weir_api_reply *reply, json_t *document);

/* Replies with text that is written to a stream: begin, write, end. begin returns NULL, and *reply says so, when memory is short.
 */
FILE *weir_reply_open(struct weir_api_reply *reply, const char *content_type);
void weir_reply_close(struct weir_api_reply *reply, FILE *out);

/* Whether the client would rather have text for people: Accept: text/plain. */
bool weir_call_wants_text(const struct weir_call *call);

#endif
