/* SPDX-License-Identifier: MIT */
/* Health, alerts, and what is said of them by hand. */
#include <string.h>
#include <time.h>

#include "src/agent/api_call.h"
#include "src/stats/degraded.h"
#include "src/stats/render.h"
#include "src/stats/spelling.h"
#include "src/stats/watched.h"
#include "weir/gate.h"
#include "weir/runtime.h"
#include "weir/units.h"

#define SILENCE_MAX_NS (UINT64_C(366) * 86400 * 1000000000)

/* Hosts at which something is given up. Returns how many. */
static size_t degraded_hosts(const struct weir_segment *s, const struct weir_policy_view *view, json_t *list)
{
	char key[WEIR_KEY_MAX], name[WEIR_SPELLING_MAX], text[WEIR_DEGRADED_TEXT];
	size_t count = 0;
	for (uint32_t slot = 0; view->rules && slot < s->entries; slot++) {
		uint32_t rule;
		if (atomic_load_explicit(&s->index[slot], memory_order_relaxed) == 0 || !weir_entry_key(s, slot, key))
			continue;
		rule = weir_policy_of_key(view, key);
		if (rule >= view->rule_count || view->rules[rule].degrade.watch == 0)
			continue;
		struct weir_degraded d = weir_degraded_of(&s->entry[slot], &view->rules[rule]);
		if (!weir_is_degraded(&d))
			continue;
		weir_spell(key, name);
		json_array_append_new(list, json_sprintf("%s: degraded: %s", name, weir_degraded_text(&d, text)));
		count++;
	}
	return count;
}

static json_t *reasons(const struct weir_snapshot *s, bool rejected)
{
	json_t *list = json_array();
	if (rejected)
		json_array_append_new(list, json_string("the configuration as it is now was refused"));
	for (size_t i = 0; i < s->alerts; i++) {
		char name[WEIR_SPELLING_MAX], text[WEIR_ALERT_TEXT_MAX];
		if (s->alert[i].state != WEIR_ALERT_FIRING || s->alert[i].silenced)
			continue;
		weir_spell(s->alert[i].host, name);
		json_array_append_new(list, json_sprintf("%s: %s", name, weir_alert_text(&s->alert[i], text)));
	}
	return list;
}

/* 503 where hosts do not do what they are asked: for who reads the status alone. */
void weir_answer_health(const struct weir_call *call, struct weir_api_reply *reply)
{
	struct weir_policy_view view = weir_policy_in_force(call->api->segment);
	bool rejected = view.rules && view.half->rejected;
	struct weir_snapshot s;
	memset(&s, 0, sizeof s);
	weir_watched_add(&s, weir_alerts_monitor(call->api->alerts));
	enum weir_monitor_health health = s.monitor_health;
	json_t *list = reasons(&s, rejected);
	bool degraded = degraded_hosts(call->api->segment, &view, list) > 0;
	if ((rejected || degraded) && health == WEIR_MONITOR_HEALTHY)
		health = WEIR_MONITOR_DEGRADED;
	json_t *o = json_object();
	json_object_set_new(o, "status", json_string(weir_monitor_health_name(health)));
	json_object_set_new(o, "reasons", list);
	json_object_set_new(o, "version", json_string(weir_version()));
	json_object_set_new(o, "policy_generation", json_integer(view.rules ? (json_int_t)view.generation : 0));
	json_object_set_new(o, "policy_rejected", json_boolean(rejected));
	weir_reply_json(reply, o);
	if (health == WEIR_MONITOR_UNHEALTHY)
		reply->status = 503;
	weir_snapshot_free(&s);
}

/* The monitor; NULL, and *reply says why, without one. */
static struct weir_monitor *monitor_of(const struct weir_call *call, struct weir_api_reply *reply)
{
	struct weir_monitor *m = weir_alerts_monitor(call->api->alerts);
	if (!m)
		weir_api_fail(reply, 503, "no agent is running: without one nothing is watched");
	return m;
}

static json_t *silences(const struct weir_monitor *m)
{
	json_t *list = json_array();
	const struct weir_silence *silence;
	for (size_t i = 0; (silence = weir_monitor_silence_at(m, i)) != NULL; i++) {
		char until[32];
		weir_render_time(silence->until_wall_ns, until);
		json_array_append_new(list, json_pack("{s:o, s:s}", "host", weir_name_json(silence->host), "until", until));
	}
	return list;
}

static void put_silences(const struct weir_monitor *m, FILE *out)
{
	const struct weir_silence *silence;
	for (size_t i = 0; (silence = weir_monitor_silence_at(m, i)) != NULL; i++) {
		char name[WEIR_SPELLING_MAX], until[32] = "";
		time_t t = (time_t)(silence->until_wall_ns / 1000000000U);
		struct tm tm;
		if (localtime_r(&t, &tm))
			strftime(until, sizeof until, "%Y-%m-%d %H:%M:%S", &tm);
		weir_spell(silence->host, name);
		fprintf(out, "silent: %s until %s\n", strcmp(name, "*") == 0 ? "all hosts" : name, until);
	}
}

static json_t *document(const struct weir_call *call, const struct weir_monitor *m, const struct weir_snapshot *s)
{
	struct weir_hook_counts n = weir_alerts_commands(call->api->alerts);
	json_t *o = json_object();
	json_object_set_new(o, "schema", json_integer(1));
	json_object_set_new(o, "health", json_string(weir_monitor_health_name(s->monitor_health)));
	json_object_set_new(o, "alerts", weir_alerts_json(s));
	json_object_set_new(o, "silences", silences(m));
	json_object_set_new(o, "commands",
			    json_pack("{s:I, s:I, s:I, s:I}", "succeeded", (json_int_t)n.succeeded, "failed",
				      (json_int_t)n.failed, "killed", (json_int_t)n.killed, "dropped", (json_int_t)n.dropped));
	return o;
}

void weir_answer_alerts(const struct weir_call *call, struct weir_api_reply *reply)
{
	struct weir_monitor *m = monitor_of(call, reply);
	struct weir_snapshot s;
	if (!m)
		return;
	memset(&s, 0, sizeof s);
	weir_watched_add(&s, m);
	if (!weir_call_wants_text(call)) {
		weir_reply_json(reply, document(call, m, &s));
	} else {
		FILE *out = weir_reply_open(reply, "text/plain; charset=utf-8");
		if (out) {
			if (weir_alerts_text(&s, "", true, out) == 0)
				fputs("no alert fires\n", out);
			put_silences(m, out);
			weir_reply_close(reply, out);
		}
	}
	weir_snapshot_free(&s);
}

void weir_answer_alert_test(const struct weir_call *call, struct weir_api_reply *reply)
{
	if (!monitor_of(call, reply))
		return;
	if (weir_alerts_test(call->api->alerts, call->now_ns))
		weir_reply_json(reply, json_pack("{s:b}", "done", 1));
	else
		weir_api_fail(reply, 400, "the configuration has no alerts.command");
}

/* Whether the host of the path is watched, or silent, by just this name: a narrowed rule's. */
static bool is_watched(const struct weir_monitor *m, const struct weir_call *call)
{
	struct weir_monitor_figures f;
	const struct weir_silence *silence;
	for (size_t i = 0; (silence = weir_monitor_silence_at(m, i)) != NULL; i++)
		if (strcmp(silence->host, call->host) == 0)
			return true;
	return weir_monitor_figures(m, call->host, call->now_ns, &f);
}

/* The key that the path's host means; "*" are all, where that is allowed. */
static bool subject(const struct weir_call *call, bool or_all, char key[WEIR_KEY_MAX], struct weir_api_reply *reply)
{
	if (or_all && strcmp(call->host, "*") == 0)
		memcpy(key, "*", 2);
	else if (strchr(call->host, '#') && is_watched(weir_alerts_monitor(call->api->alerts), call))
		memcpy(key, call->host, WEIR_KEY_MAX);
	else
		return weir_call_entry(call, or_all, key, reply);
	return true;
}

void weir_answer_silence(const struct weir_call *call, struct weir_api_reply *reply)
{
	static const char *const known[] = {"for", NULL};
	const char *text = weir_fields_get(&call->body, "for"), *unknown = weir_fields_unknown(&call->body, known);
	struct weir_monitor *m = monitor_of(call, reply);
	char key[WEIR_KEY_MAX], until[32];
	uint64_t ns = 0;
	if (!m)
		return;
	const char *why = !text                      ? "expected a duration such as \"1h\", or \"off\""
			  : strcmp(text, "off") == 0 ? NULL
						     : weir_parse_duration(text, &ns);
	if (unknown || why) {
		weir_api_fail(reply, 400, "%s: %s", unknown ? unknown : "for", unknown ? "unknown field" : why);
		return;
	}
	if (!subject(call, true, key, reply))
		return;
	if (ns > SILENCE_MAX_NS)
		ns = SILENCE_MAX_NS;
	if (!weir_monitor_silence(m, key, ns ? call->wall_ns + ns : 0, call->wall_ns)) {
		weir_api_fail(reply, 507, "there are %d silences already", WEIR_SILENCES_MAX);
		return;
	}
	weir_alerts_keep(call->api->alerts);
	json_t *o = json_pack("{s:o, s:b}", "host", weir_name_json(key), "done", 1);
	if (ns) {
		weir_render_time(call->wall_ns + ns, until);
		json_object_set_new(o, "until", json_string(until));
	}
	weir_reply_json(reply, o);
}

void weir_answer_acknowledge(const struct weir_call *call, struct weir_api_reply *reply)
{
	static const char *const known[] = {"alert", NULL};
	const char *name = weir_fields_get(&call->body, "alert"), *unknown = weir_fields_unknown(&call->body, known);
	struct weir_monitor *m = monitor_of(call, reply);
	enum weir_alert_kind kind = name ? weir_alert_named(name) : WEIR_ALERT_KINDS;
	char key[WEIR_KEY_MAX];
	if (!m)
		return;
	if (unknown || (name && kind == WEIR_ALERT_KINDS)) {
		weir_api_fail(reply, 400, "%s: %s", unknown ? unknown : "alert",
			      unknown ? "unknown field" : "there is none of that name");
		return;
	}
	if (!subject(call, false, key, reply))
		return;
	size_t count = weir_monitor_acknowledge(m, key, kind);
	if (count == 0) {
		weir_api_fail(reply, 404, "%s: no such alert fires", call->host);
		return;
	}
	weir_alerts_keep(call->api->alerts);
	weir_reply_json(reply, json_pack("{s:o, s:I}", "host", weir_name_json(key), "acknowledged", (json_int_t)count));
}
