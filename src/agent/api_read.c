/* SPDX-License-Identifier: MIT */
/* The requests that change nothing. */
#include <string.h>
#include <unistd.h>

#include "src/agent/api_call.h"
#include "src/agent/explained.h"
#include "src/agent/host_name.h"
#include "src/agent/usage.h"
#include "src/stats/explain.h"
#include "src/stats/history.h"
#include "src/stats/processes.h"
#include "src/stats/render.h"
#include "src/stats/watched.h"
#include "weir/units.h"

/* The segment does not say which files were left out: who has compiled them knows. */
static void take_left_out(const struct weir_compiler *c, struct weir_snapshot *snapshot)
{
	for (uint32_t i = 0; c && c->compiled && i < c->policy.source_count; i++)
		if (weir_policy_left_out(&c->policy, i, snapshot->left_out[snapshot->left_out_count]))
			snapshot->left_out_count++;
}

static void take_own(const struct weir_alerts *alerts, struct weir_snapshot *snapshot)
{
	struct weir_hook_counts n = weir_alerts_commands(alerts);
	if (!alerts)
		return;
	const uint64_t commands[] = {n.succeeded, n.failed, n.killed, n.dropped};
	memcpy(snapshot->commands, commands, sizeof commands);
	weir_usage_read(&snapshot->own);
}

/* Takes a snapshot of what the query asks for: host=HOST, else all. False, and *reply says why, when there is none. */
static bool take(const struct weir_call *call, struct weir_snapshot *snapshot, struct weir_api_reply *reply)
{
	static const char *const known[] = {"host", "color", NULL};
	char name[WEIR_KEY_MAX];
	const char *host = weir_fields_get(&call->query, "host"), *unknown = weir_fields_unknown(&call->query, known);
	const char *why = host ? weir_host_name(host, name) : NULL;
	if (unknown || why) {
		weir_api_fail(reply, 400, "%s: %s", unknown ? unknown : "host", unknown ? "unknown field" : why);
		return false;
	}
	if (!weir_snapshot_take(call->api->segment, host ? name : NULL, call->now_ns, call->wall_ns, snapshot)) {
		weir_api_fail(reply, 500, "out of memory");
		return false;
	}
	if (host && snapshot->host_count == 0) {
		weir_api_fail(reply, 404, "%s: nothing is known of this host", name);
		return false;
	}
	take_left_out(call->api->compiler, snapshot);
	weir_watched_add(snapshot, weir_alerts_monitor(call->api->alerts));
	take_own(call->api->alerts, snapshot);
	return true;
}

static bool wants_color(const struct weir_call *call)
{
	const char *color = weir_fields_get(&call->query, "color");
	return color && strcmp(color, "1") == 0;
}

void weir_answer_metrics(const struct weir_call *call, struct weir_api_reply *reply)
{
	struct weir_snapshot snapshot;
	if (!take(call, &snapshot, reply))
		return;
	FILE *out = weir_reply_open(reply, WEIR_PROMETHEUS_CONTENT_TYPE);
	if (out) {
		weir_render_prometheus(&snapshot, out);
		weir_reply_close(reply, out);
	}
	weir_snapshot_free(&snapshot);
}

void weir_answer_stats(const struct weir_call *call, struct weir_api_reply *reply)
{
	struct weir_snapshot snapshot;
	if (!take(call, &snapshot, reply))
		return;
	if (weir_call_wants_text(call)) {
		FILE *out = weir_reply_open(reply, "text/plain; charset=utf-8");
		if (out) {
			weir_render_text(&snapshot, wants_color(call), out);
			weir_reply_close(reply, out);
		}
	} else {
		weir_reply_json(reply, weir_render_json(&snapshot));
	}
	weir_snapshot_free(&snapshot);
}

void weir_answer_status(const struct weir_call *call, struct weir_api_reply *reply)
{
	static const char *const verdicts[] = {
		[WEIR_ALL_WELL] = "ok", [WEIR_SOME_DEGRADED] = "degraded", [WEIR_NOTHING_KNOWN] = "unknown"};
	struct weir_snapshot snapshot;
	if (!take(call, &snapshot, reply))
		return;
	FILE *out = weir_reply_open(reply, "text/plain; charset=utf-8");
	if (out) {
		weir_render_status(&snapshot, call->api->world, wants_color(call), out);
		weir_reply_close(reply, out);
		reply->health = verdicts[weir_snapshot_verdict(&snapshot)];
	}
	weir_snapshot_free(&snapshot);
}

void weir_answer_host(const struct weir_call *call, struct weir_api_reply *reply)
{
	struct weir_snapshot snapshot;
	char key[WEIR_KEY_MAX];
	if (!weir_call_entry(call, false, key, reply))
		return;
	if (!weir_snapshot_take(call->api->segment, key, call->now_ns, call->wall_ns, &snapshot)) {
		weir_api_fail(reply, 500, "out of memory");
		return;
	}
	for (size_t i = 0; i < snapshot.hosts; i++) {
		if (strcmp(snapshot.host[i].key, key) == 0) {
			weir_reply_json(reply, weir_render_json_host(&snapshot.host[i]));
			weir_snapshot_free(&snapshot);
			return;
		}
	}
	weir_snapshot_free(&snapshot);
	weir_api_fail(reply, 404, "%s: nothing is known of this host", key);
}

void weir_answer_explain(const struct weir_call *call, struct weir_api_reply *reply)
{
	const struct weir_compiler *c = call->api->compiler;
	struct weir_explained asked;
	struct weir_explanation e;
	const char *why = weir_explained_read(call->api->segment, &call->query, &asked);
	if (why) {
		weir_api_fail(reply, 400, "%s", why);
		return;
	}
	if (!weir_explain(call->api->segment, c && c->compiled ? &c->policy : NULL, &asked.about, call->now_ns, call->wall_ns,
			  &e)) {
		weir_api_fail(reply, 500, "out of memory");
		return;
	}
	if (weir_call_wants_text(call)) {
		FILE *out = weir_reply_open(reply, "text/plain; charset=utf-8");
		if (out) {
			weir_explanation_text(&e, out);
			weir_reply_close(reply, out);
		}
	} else {
		weir_reply_json(reply, weir_explanation_json(&e));
	}
	weir_explanation_free(&e);
}

void weir_answer_policy(const struct weir_call *call, struct weir_api_reply *reply)
{
	const struct weir_compiler *c = call->api->compiler;
	weir_reply_json(reply,
			weir_policy_json(call->api->segment, c && c->compiled ? &c->policy : NULL, c ? &c->findings : NULL));
}

void weir_answer_events(const struct weir_call *call, struct weir_api_reply *reply)
{
	const char *since = weir_fields_get(&call->query, "since");
	uint64_t from = 0;
	const char *why = since ? weir_parse_count(since, INT64_MAX, &from) : NULL;
	if (why)
		weir_api_fail(reply, 400, "since: %s", why);
	else
		weir_reply_json(reply, weir_history_json(call->api->segment, from, call->now_ns, call->wall_ns));
}

/* Who answers has the segment mapped as well, and is not under weir. */
void weir_answer_processes(const struct weir_call *call, struct weir_api_reply *reply)
{
	struct weir_processes p;
	if (!weir_processes_take(call->api->segment, (uint32_t)getpid(), call->now_ns, &p)) {
		weir_api_fail(reply, 500, "out of memory");
		return;
	}
	if (weir_call_wants_text(call)) {
		FILE *out = weir_reply_open(reply, "text/plain; charset=utf-8");
		if (out) {
			weir_processes_text(&p, out);
			weir_reply_close(reply, out);
		}
	} else {
		weir_reply_json(reply, weir_processes_json(&p));
	}
	weir_processes_free(&p);
}
