/* SPDX-License-Identifier: MIT */
/* The requests that change something: the operator's hand. Everything is checked before anything is touched. */
#include <stdlib.h>
#include <string.h>

#include "src/agent/api_call.h"
#include "src/stats/snapshot.h"
#include "weir/bucket.h"
#include "weir/gate.h"
#include "weir/units.h"

#define CONCURRENCY_MAX 1000000

static bool only_known(const struct weir_call *call, const char *const *known, struct weir_api_reply *reply)
{
	const char *unknown = weir_fields_unknown(&call->body, known);
	if (!unknown)
		unknown = call->query.count ? call->query.field[0].name : NULL;
	if (unknown)
		weir_api_fail(reply, 400, "%s: unknown field", unknown);
	return !unknown;
}

/* Answers with the host as it is now. */
static void answer_done(const struct weir_call *call, const char *key, bool done, struct weir_api_reply *reply)
{
	struct weir_call now = *call;
	if (!done) {
		weir_api_fail(reply, 503, "%s: it could not be changed now; try again", key);
		return;
	}
	memcpy(now.host, key, sizeof now.host);
	now.now_ns = weir_now_ns();
	weir_answer_host(&now, reply);
	/* A key that the policy puts into a group has no entry of its own name. */
	if (reply->status == 404) {
		free(reply->body);
		weir_reply_json(reply, json_pack("{s:s, s:b}", "host", key, "done", 1));
	}
}

void weir_answer_reset(const struct weir_call *call, struct weir_api_reply *reply)
{
	static const char *const known[] = {NULL};
	char key[WEIR_KEY_MAX];
	if (only_known(call, known, reply) && weir_call_entry(call, false, key, reply))
		answer_done(call, key, weir_gate_reset(call->api->segment, key, call->now_ns), reply);
}

/* create=1: a host that is not known yet is set up. */
static bool asks_to_create(const struct weir_call *call)
{
	const char *create = weir_fields_get(&call->body, "create");
	return create && strcmp(create, "1") == 0;
}

/* A narrowed rule beside its host's has limits alone: its breaker is asked by nobody. */
static bool has_breaker(const struct weir_call *call, const char *key, struct weir_api_reply *reply)
{
	struct weir_snapshot s;
	bool has = true;
	if (!weir_snapshot_take(call->api->segment, key, call->now_ns, call->wall_ns, &s)) {
		weir_api_fail(reply, 500, "out of memory");
		return false;
	}
	for (size_t i = 0; i < s.host_count; i++)
		has = has && (s.host[i].kind != WEIR_ENTRY_NARROWED || strcmp(s.host[i].key, key) != 0);
	weir_snapshot_free(&s);
	if (!has)
		weir_api_fail(reply, 400, "%s: it stands beside its host's rule, which has the breaker for both", key);
	return has;
}

void weir_answer_breaker(const struct weir_call *call, struct weir_api_reply *reply)
{
	static const char *const known[] = {"state", "create", NULL};
	static const struct {
		const char *name;
		enum weir_breaker_state state;
	} states[] = {
		{"open", WEIR_BREAKER_FORCED_OPEN},
		{"close", WEIR_BREAKER_CLOSED},
		{"auto", WEIR_BREAKER_HALF_OPEN}, /* stands for: decide by yourself */
	};
	char key[WEIR_KEY_MAX];
	const char *wanted = weir_fields_get(&call->body, "state");
	bool make = asks_to_create(call);
	if (!only_known(call, known, reply))
		return;
	for (size_t i = 0; wanted && i < sizeof states / sizeof *states; i++) {
		if (strcmp(wanted, states[i].name) != 0)
			continue;
		if (weir_call_entry(call, make, key, reply) && has_breaker(call, key, reply))
			answer_done(call, key, weir_gate_breaker(call->api->segment, key, states[i].state, make, call->now_ns),
				    reply);
		return;
	}
	weir_api_fail(reply, 400, "state: expected open, close or auto");
}

struct setting {
	uint64_t rate, burst, concurrency, for_ns;
};

/* What is not mentioned stays as it is set now. */
static void read_present(const struct weir_segment *s, const char *key, uint64_t now_ns, struct setting *set)
{
	uint32_t slot = weir_entry_find(s, key);
	if (slot > s->entries)
		return;
	const struct weir_entry *e = &s->entry[slot];
	uint64_t until = atomic_load(&e->set_until_ns);
	if (!weir_gate_overridden(e, now_ns))
		return;
	set->rate = atomic_load(&e->set_rate);
	set->burst = atomic_load(&e->set_burst);
	set->concurrency = atomic_load(&e->set_concurrency);
	set->for_ns = until ? until - now_ns : 0;
}

/* Reads the fields over what is set. Returns NULL, or what is wrong with *field. */
static const char *read_setting(const struct weir_fields *f, struct setting *set, const char **field)
{
	const char *rate = weir_fields_get(f, "rate"), *burst = weir_fields_get(f, "burst");
	const char *concurrency = weir_fields_get(f, "concurrency"), *for_text = weir_fields_get(f, "for");
	const char *why = NULL;
	*field = "rate";
	if (!rate && !concurrency && !burst)
		return "expected rate, burst or concurrency";
	if (rate && strcmp(rate, "none") == 0)
		set->rate = 0;
	else if (rate)
		why = weir_parse_rate(rate, &set->rate, NULL);
	if (!why && burst) {
		*field = "burst";
		why = weir_parse_count(burst, WEIR_BURST_MAX, &set->burst);
	}
	if (!why && concurrency) {
		*field = "concurrency";
		if (strcmp(concurrency, "none") == 0)
			set->concurrency = 0;
		else
			why = weir_parse_count(concurrency, CONCURRENCY_MAX, &set->concurrency);
	}
	if (!why) {
		*field = "for";
		set->for_ns = 0;
		why = for_text ? weir_parse_duration(for_text, &set->for_ns) : NULL;
		if (!why && for_text && set->for_ns == 0)
			why = "expected more than nothing";
	}
	return why;
}

void weir_answer_rate(const struct weir_call *call, struct weir_api_reply *reply)
{
	static const char *const known[] = {"rate", "burst", "concurrency", "for", "create", NULL};
	struct setting set;
	char key[WEIR_KEY_MAX];
	const char *field;
	bool make = asks_to_create(call);
	memset(&set, 0, sizeof set);
	if (!only_known(call, known, reply))
		return;
	const char *why = read_setting(&call->body, &set, &field);
	if (why) {
		weir_api_fail(reply, 400, "%s: %s", field, why);
		return;
	}
	if (!weir_call_entry(call, make, key, reply))
		return;
	memset(&set, 0, sizeof set);
	read_present(call->api->segment, key, call->now_ns, &set);
	read_setting(&call->body, &set, &field);
	answer_done(call, key,
		    weir_gate_set(call->api->segment, key, set.rate, (uint32_t)set.burst, (uint32_t)set.concurrency, set.for_ns,
				  make, call->now_ns),
		    reply);
}
