/* SPDX-License-Identifier: MIT */
#include "src/stats/history.h"

#include "src/stats/event_text.h"
#include "src/stats/render.h"
#include "src/stats/watched.h"
#include "weir/units.h"

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)(n <= INT64_MAX ? n : INT64_MAX));
}

static void put_alert(json_t *o, const struct weir_event *e)
{
	enum weir_alert_kind kind = weir_event_alert(e);
	if (kind == WEIR_ALERT_KINDS)
		return;
	json_object_set_new(o, "alert", json_string(weir_alert_name(kind)));
	json_object_set_new(o, "value", weir_alert_value_json(kind, e->after));
	json_object_set_new(o, "threshold", weir_alert_value_json(kind, e->before & WEIR_EVENT_ALERT_LIMIT));
}

/* Rates per second, permits and generations as they are; what a kind does not use is left out. */
static void put_values(json_t *o, const struct weir_event *e)
{
	switch (e->kind) {
	case WEIR_EVENT_RATE_CHANGED:
	case WEIR_EVENT_OVERRIDE_SET:
		if (e->before)
			json_object_set_new(o, "before", json_real((double)e->before / 1e9));
		if (e->after)
			json_object_set_new(o, "after", json_real((double)e->after / 1e9));
		break;
	case WEIR_EVENT_CONCURRENCY_CHANGED:
		if (e->before < UINT32_MAX)
			json_object_set_new(o, "before", number(e->before));
		if (e->after < UINT32_MAX)
			json_object_set_new(o, "after", number(e->after));
		break;
	case WEIR_EVENT_MEANING_CHANGED:
		json_object_set_new(o, "status", number(e->before));
		if (e->cause == WEIR_CAUSE_DEPENDS_ON_CROWD && e->after)
			json_object_set_new(o, "permits", number(e->after));
		if (e->cause == WEIR_CAUSE_DEPENDS_ON_CHANCE && e->after)
			json_object_set_new(o, "share", json_real((double)e->after / 1000));
		break;
	case WEIR_EVENT_QUOTA_LOW:
	case WEIR_EVENT_QUOTA_SPENT:
		json_object_set_new(o, "used", number(e->before));
		json_object_set_new(o, "limit", number(e->after));
		break;
	case WEIR_EVENT_QUOTA_SET:
		json_object_set_new(o, "used", number(e->after));
		break;
	case WEIR_EVENT_ALERT_FIRED:
	case WEIR_EVENT_ALERT_RESOLVED:
		put_alert(o, e);
		break;
	case WEIR_EVENT_DEGRADE_CHANGED:
		json_object_set_new(o, "before", json_string(weir_degrade_name((uint32_t)e->before)));
		json_object_set_new(o, "after", json_string(weir_degrade_name((uint32_t)e->after)));
		break;
	case WEIR_EVENT_SHED_CHANGED:
		json_object_set_new(o, "before", json_real((double)(e->before < 1000 ? e->before : 1000) / 1000));
		json_object_set_new(o, "after", json_real((double)(e->after < 1000 ? e->after : 1000) / 1000));
		break;
	case WEIR_EVENT_POLICY_PUBLISHED:
	case WEIR_EVENT_POLICY_REJECTED:
		json_object_set_new(o, "generation", number(e->after));
		break;
	default:
		break;
	}
}

json_t *weir_history_event(const struct weir_event *e, uint64_t now_ns, uint64_t wall_ns)
{
	char at[32], text[WEIR_EVENT_TEXT];
	json_t *o = json_object();
	uint64_t sequence = e->sequence;
	weir_render_time(e->at_ns <= now_ns ? wall_ns - (now_ns - e->at_ns) : wall_ns, at);
	json_object_set_new(o, "number", number(sequence ? sequence - 1 : 0));
	json_object_set_new(o, "at", json_string(at));
	json_object_set_new(o, "event", json_string(weir_event_name(e->kind)));
	if (e->cause != WEIR_CAUSE_NONE)
		json_object_set_new(o, "cause", json_string(weir_cause_name(e->cause)));
	json_t *host = e->key[0] ? weir_name_json(e->key) : NULL;
	if (host)
		json_object_set_new(o, "host", host);
	put_values(o, e);
	if (e->until_ns > now_ns && e->until_ns != WEIR_NEVER)
		json_object_set_new(o, "ends_in_seconds", json_real((double)(e->until_ns - now_ns) / 1e9));
	json_object_set_new(o, "pid", number(e->pid));
	json_object_set_new(o, "text", json_string(weir_event_text(e, text)));
	return o;
}

json_t *weir_history_json(const struct weir_segment *s, uint64_t since, uint64_t now_ns, uint64_t wall_ns)
{
	static const size_t at_once = 32;
	struct weir_event events[32];
	json_t *o = json_object(), *list = json_array();
	uint64_t head = atomic_load_explicit(&s->header->event_head, memory_order_relaxed), next = since;
	if (next > head)
		next = head;
	if (head - next > s->events)
		next = head - s->events;
	while (next < head && json_array_size(list) + at_once <= WEIR_HISTORY_MAX) {
		uint64_t before = next;
		size_t n = weir_event_read(s, &next, events, at_once);
		for (size_t i = 0; i < n; i++)
			json_array_append_new(list, weir_history_event(&events[i], now_ns, wall_ns));
		if (next <= before)
			break;
	}
	json_object_set_new(o, "schema", number(1));
	json_object_set_new(o, "next", number(next));
	json_object_set_new(o, "events", list);
	return o;
}

static void put_rate(json_t *o, const char *name, uint64_t nano_per_s)
{
	char text[32];
	if (nano_per_s)
		json_object_set_new(o, name, json_string(weir_print_rate(nano_per_s, text, sizeof text)));
}

static json_t *rule_json(const struct weir_rule *shared)
{
	static const char *const strategies[] = {"adaptive", "fixed", "conservative", "aggressive"};
	struct weir_rule rule = *shared;
	rule.match[sizeof rule.match - 1] = rule.group[sizeof rule.group - 1] = '\0';
	json_t *o = json_object(), *rates = json_array();
	json_t *match = json_string(rule.match);
	json_object_set_new(o, "match", match ? match : json_string("?"));
	if (rule.group[0])
		json_object_set_new(o, "group", json_string(rule.group));
	if (rule.flags & WEIR_RULE_EXEMPT)
		json_object_set_new(o, "exempt", json_true());
	if (rule.flags & WEIR_RULE_LIMITS_RATE) {
		json_t *r = json_object();
		json_object_set_new(r, "strategy", json_string(rule.rate.strategy < 4 ? strategies[rule.rate.strategy] : "?"));
		put_rate(r, "min", rule.rate.min);
		put_rate(r, "max", rule.rate.max);
		json_object_set_new(r, "burst", number(rule.rate.burst ? rule.rate.burst : 1));
		json_object_set_new(o, "rate", r);
	}
	for (size_t i = 0; i < WEIR_RATES - 1; i++) {
		char text[32];
		if (rule.fixed[i].rate)
			json_array_append_new(rates, json_string(weir_print_rate(rule.fixed[i].rate, text, sizeof text)));
	}
	if (json_array_size(rates) > 0)
		json_object_set(o, "rates", rates);
	json_decref(rates);
	if (rule.concurrency.mode != WEIR_CONCURRENCY_OFF && rule.concurrency.max)
		json_object_set_new(o, "concurrency_max", number(rule.concurrency.max));
	json_object_set_new(o, "breaker_failures", number(rule.breaker.failures));
	json_object_set_new(o, "wait_max_seconds", json_real((double)rule.wait_max_ns / 1e9));
	return o;
}

json_t *weir_policy_json(const struct weir_segment *s, const struct weir_policy *policy, const struct weir_findings *findings)
{
	struct weir_policy_view view = weir_policy_in_force(s);
	json_t *o = json_object(), *rules = json_array(), *values = json_array(), *found = json_array();
	json_object_set_new(o, "schema", number(1));
	json_object_set_new(o, "generation", number(view.rules ? view.generation : 0));
	json_object_set_new(o, "rejected", json_boolean(view.rules && view.half->rejected));
	for (uint32_t i = 0; view.rules && i < view.rule_count; i++)
		json_array_append_new(rules, rule_json(&view.rules[i]));
	json_object_set_new(o, "rules", rules);
	if (view.total)
		json_object_set_new(o, "total", rule_json(view.total));
	for (size_t i = 0; policy && i < policy->origin_count; i++) {
		const struct weir_origin *origin = &policy->origins[i];
		json_array_append_new(values, json_pack("{s:s, s:s, s:s}", "key", origin->key, "value", origin->value, "source",
							origin->source));
	}
	json_object_set_new(o, "values", values);
	for (size_t i = 0; findings && i < findings->count; i++)
		json_array_append_new(found, json_string(findings->line[i]));
	json_object_set_new(o, "findings", found);
	return o;
}
