/* SPDX-License-Identifier: MIT */
/* The configuration's quotas: what was used of them, and the operator's word on it. */
#include <stdlib.h>
#include <string.h>

#include "src/agent/api_call.h"
#include "src/agent/host_name.h"
#include "src/stats/quotas.h"
#include "src/stats/render.h"
#include "weir/gate.h"
#include "weir/units.h"

static json_t *document(const struct weir_snapshot *s)
{
	json_t *o = json_object(), *hosts = json_array();
	json_object_set_new(o, "schema", json_integer(1));
	for (size_t i = 0; i < s->host_count; i++) {
		json_t *quotas = weir_quotas_json(&s->host[i]);
		if (quotas)
			json_array_append_new(hosts,
					      json_pack("{s:o, s:o}", "host", weir_name_json(s->host[i].key), "quotas", quotas));
	}
	json_object_set_new(o, "hosts", hosts);
	return o;
}

void weir_answer_quotas(const struct weir_call *call, struct weir_api_reply *reply)
{
	const char *host = weir_fields_get(&call->query, "host"), *why;
	char name[WEIR_KEY_MAX];
	struct weir_snapshot s;
	why = host ? weir_host_name(host, name) : NULL;
	if (why) {
		weir_api_fail(reply, 400, "host: %s", why);
		return;
	}
	if (!weir_snapshot_take(call->api->segment, host ? name : NULL, call->now_ns, call->wall_ns, &s)) {
		weir_api_fail(reply, 500, "out of memory");
		return;
	}
	if (host && s.host_count == 0) {
		weir_api_fail(reply, 404, "%s: nothing is known of this host", host);
	} else if (weir_call_wants_text(call)) {
		FILE *out = weir_reply_open(reply, "text/plain; charset=utf-8");
		if (out) {
			weir_quotas_text(&s, out);
			weir_reply_close(reply, out);
		}
	} else {
		weir_reply_json(reply, document(&s));
	}
	weir_snapshot_free(&s);
}

/* Which quota "900/day" means: its window as it is configured, with or without the zone; without a window the only one. */
static bool find_quota(const struct weir_host_view *h, const char *window, unsigned *which)
{
	unsigned found = 0;
	for (unsigned i = 0; i < h->quotas; i++) {
		const char *own = strchr(h->quota[i].text, '/');
		size_t n = window ? strlen(window) : 0;
		if (window && (!own || strncmp(own + 1, window, n) != 0 || (own[1 + n] != '\0' && own[1 + n] != ' ')))
			continue;
		*which = i;
		found++;
	}
	return found == 1;
}

void weir_answer_quota(const struct weir_call *call, struct weir_api_reply *reply)
{
	const char *text = weir_fields_get(&call->body, "used"), *unknown, *why;
	static const char *const known[] = {"used", NULL};
	char key[WEIR_KEY_MAX], number[32];
	struct weir_snapshot s;
	unsigned which = WEIR_ALLOWANCES;
	uint64_t used = 0;
	unknown = weir_fields_unknown(&call->body, known);
	if (unknown) {
		weir_api_fail(reply, 400, "%s: unknown field", unknown);
		return;
	}
	if (!text) {
		weir_api_fail(reply, 400, "used: expected a number");
		return;
	}
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	bool all = strcmp(text, "none") == 0;
	memset(number, 0, sizeof number);
	memcpy(number, text, n < sizeof number ? n : sizeof number - 1);
	why = all ? NULL : weir_parse_count(number, WEIR_ALLOWANCE_LIMIT_MAX, &used);
	if (why) {
		weir_api_fail(reply, 400, "quota: %s", why);
		return;
	}
	if (!weir_call_entry(call, false, key, reply))
		return;
	if (!weir_snapshot_take(call->api->segment, key, call->now_ns, call->wall_ns, &s)) {
		weir_api_fail(reply, 500, "out of memory");
		return;
	}
	if (s.host_count == 0 || s.host[0].quotas == 0)
		weir_api_fail(reply, 400, "quota: the rule of %s has none", key);
	else if (!all && slash && !find_quota(&s.host[0], slash + 1, &which))
		weir_api_fail(reply, 400, "quota: %s has none of this window: the first of its own is %s", key,
			      s.host[0].quota[0].text);
	else if (!all && !find_quota(&s.host[0], slash ? slash + 1 : NULL, &which))
		weir_api_fail(reply, 400, "quota: which one? Say it with its window, as in quota=%s/day", number);
	else if (!weir_gate_quota_set(call->api->segment, key, which, (uint32_t)used, call->now_ns))
		weir_api_fail(reply, 503, "%s: it could not be changed now; try again", key);
	else
		weir_reply_json(reply, json_pack("{s:o, s:b}", "host", weir_name_json(key), "done", 1));
	weir_snapshot_free(&s);
}
