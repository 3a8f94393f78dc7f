/* SPDX-License-Identifier: MIT */
#include "src/stats/explain.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "src/stats/explain_parts.h"
#include "src/stats/render.h"
#include "weir/log.h"

/* Where the rule stands: the first of its settings that comes from a file. */
static char *find_origin(const struct weir_policy *policy, const struct weir_rule *rule)
{
	char prefix[WEIR_MATCH_MAX + WEIR_NARROW_NAME_MAX + 16], name[WEIR_NARROW_NAME_MAX];
	bool defaults = strcmp(rule->match, "*") == 0;
	size_t n;

	weir_narrow_name(&rule->narrow, name);
	n = weir_format(prefix, sizeof prefix, defaults ? "defaults." : "hosts[%s%s%s].", rule->match, name[0] ? "#" : "", name);
	for (size_t i = 0; policy && i < policy->origin_count; i++) {
		const struct weir_origin *o = &policy->origins[i];

		if (strncmp(o->key, prefix, n) == 0 && strcmp(o->source, "built in") != 0)
			return strdup(o->source);
	}
	return NULL;
}

/* "polite", with its quotes and where it is said; NULL where nobody has said one. */
static const struct weir_origin *find_profile(const struct weir_explaining *x)
{
	char key[WEIR_MATCH_MAX + WEIR_NARROW_NAME_MAX + 24], name[WEIR_NARROW_NAME_MAX];
	const struct weir_origin *found = NULL;

	weir_narrow_name(&x->rule.narrow, name);
	weir_format(key, sizeof key, "hosts[%s%s%s].profile", x->rule.match, name[0] ? "#" : "", name);
	for (size_t i = 0; x->policy && i < x->policy->origin_count; i++) {
		const struct weir_origin *o = &x->policy->origins[i];

		if (strcmp(o->key, key) == 0)
			return o;
		if (strcmp(o->key, "defaults.profile") == 0 && strcmp(o->source, "built in") != 0)
			found = o;
	}
	return found;
}

static void say_profile(struct weir_explaining *x)
{
	const struct weir_origin *o = find_profile(x);

	if (!o)
		return;
	weir_say(x, "Profile: %s, from %s.", o->value, o->source);
	json_object_set_new(x->e->document, "profile", json_pack("s%", o->value + 1, strlen(o->value) - 2));
}

static void say_rule(struct weir_explaining *x)
{
	struct weir_explanation *e = x->e;
	const char *in = e->origin ? ", " : "", *where = e->origin ? e->origin : "";

	if (e->rule[0] == '\0')
		weir_say(x, "No policy is compiled; the built-in defaults hold for %s.", e->host);
	else if (strcmp(e->rule, "*") == 0)
		weir_say(x, "No rule names %s; the defaults hold (%s%s).", e->host, e->origin ? "from " : "built in", where);
	else
		weir_say(x, "The rule \"%s\"%s%s%s holds for %s.", e->rule, in, where, e->origin ? "," : "", e->host);
	if (x->host.group[0])
		weir_say(x, "It shares its budget with the other hosts of the group \"%s\".", x->host.group);
	if (x->snapshot->rejected)
		weir_say(x, "The configuration as it is now was refused, what held before holds on: weir config check says why.");
	if (e->forecast.slot == WEIR_NONE && !e->forecast.exempt)
		weir_say(x, "Nothing has been requested from it yet.");
}

/* Whose limit it is that the request meets, where it is not the host's. */
static const char *at_whose(const struct weir_explaining *x, char out[WEIR_NARROW_NAME_MAX + 32])
{
	char name[WEIR_NARROW_NAME_MAX];

	out[0] = '\0';
	if (x->e->forecast.at == WEIR_AT_TOTAL)
		weir_format(out, WEIR_NARROW_NAME_MAX + 32, " (the limit of all hosts together)");
	else if (x->e->forecast.at == WEIR_AT_CLIENT)
		weir_format(out, WEIR_NARROW_NAME_MAX + 32, " (the client's share)");
	else if (x->e->forecast.at == WEIR_AT_NARROWED && weir_met_name(x, name))
		weir_format(out, WEIR_NARROW_NAME_MAX + 32, " (the rule \"%s\")", name);
	return out;
}

static void say_verdict(struct weir_explaining *x)
{
	const struct weir_forecast *f = &x->e->forecast;
	bool timed = f->until_ns > x->now_ns && f->until_ns != WEIR_NEVER;
	char whose[WEIR_NARROW_NAME_MAX + 32];
	struct weir_words w = {.next = 0};
	const char *in = timed ? weir_duration_word(&w, f->until_ns - x->now_ns) : "";

	at_whose(x, whose);
	if (f->verdict == WEIR_GO)
		weir_say(x, "A request now would go at once.");
	else if (f->verdict == WEIR_WAIT && f->cause == WEIR_CAUSE_OUTAGE)
		weir_say(x, "A request now would wait out an outage, until a probe finds the host back; for %s at most.", in);
	else if (f->verdict == WEIR_WAIT)
		weir_say(x, "A request now would wait%s%s, because %s%s.", timed ? " " : "", in, weir_cause_text(f->cause),
			 whose);
	else if (f->timed_out)
		weir_say(
			x,
			"A request now would be refused: it would have to wait %s, because %s%s, and no more than %s is allowed.",
			in, weir_cause_text(f->cause), whose, weir_duration_word(&w, f->wait_max_ns));
	else
		weir_say(x, "A request now would be refused, because %s%s%s.", weir_cause_text(f->cause),
			 timed ? "; the next try is due in " : "", in);
}

/* A rule as a copy of our own, since the segment may change under our hands. */
static void copy_rule(const struct weir_policy_view *view, uint32_t index, struct weir_rule *rule)
{
	weir_rule_defaults(rule);
	if (!view->rules || index >= view->rule_count) {
		rule->match[0] = '\0';
		return;
	}
	memcpy(rule, &view->rules[index], sizeof *rule);
	rule->match[sizeof rule->match - 1] = rule->group[sizeof rule->group - 1] = '\0';
	rule->narrow.path[sizeof rule->narrow.path - 1] = '\0';
}

/* Everything that is known of the question but what is in the segment. */
static void begin(struct weir_explaining *x, struct weir_rule *total, bool *has_total)
{
	struct weir_explanation *e = x->e;
	struct weir_asks asks = {.path = x->asked->path,
				 .path_bytes = x->asked->path ? strlen(x->asked->path) : 0,
				 .method = x->asked->method ? weir_method_bit(x->asked->method, strlen(x->asked->method)) : 0};
	struct weir_policy_view view;
	struct weir_gate gate;

	memset(&gate, 0, sizeof gate);
	gate.segment = x->s;
	if (x->asked->client)
		weir_format(gate.client, sizeof gate.client, "%s", x->asked->client);
	weir_format(e->host, sizeof e->host, "%s", x->asked->host_port);
	weir_gate_refresh(x->s, x->now_ns);
	weir_gate_forecast_asked(&gate, e->host, &asks, x->now_ns, &e->forecast);
	view = weir_policy_in_force(x->s);
	weir_gate_key(x->s, e->host, x->key, &x->host_index);
	copy_rule(&view, x->host_index, &x->host);
	copy_rule(&view, e->forecast.rule, &x->rule);
	memcpy(e->rule, x->host.match, sizeof e->rule);
	*has_total = view.total != NULL;
	if (view.total)
		memcpy(total, view.total, sizeof *total);
	e->origin = find_origin(x->policy, &x->host);
}

static void put_head(const struct weir_explaining *x)
{
	static const char *const verdicts[] = {[WEIR_GO] = "go", [WEIR_WAIT] = "wait", [WEIR_REFUSE] = "refuse"};
	static const char *const scopes[] = {[WEIR_AT_HOST] = "host",
					     [WEIR_AT_RUN] = "run",
					     [WEIR_AT_TOTAL] = "total",
					     [WEIR_AT_NARROWED] = "narrowed",
					     [WEIR_AT_CLIENT] = "client"};
	const struct weir_explanation *e = x->e;
	const struct weir_forecast *f = &e->forecast;
	json_t *o = e->document;

	json_object_set_new(o, "schema", json_integer(1));
	json_object_set_new(o, "host", json_string(e->host));
	if (x->asked->path)
		json_object_set_new(o, "path", json_string(x->asked->path));
	if (x->asked->method)
		json_object_set_new(o, "method", json_string(x->asked->method));
	if (x->asked->client)
		json_object_set_new(o, "client", json_string(x->asked->client));
	json_object_set_new(o, "entry", weir_name_json(f->key));
	json_object_set_new(o, "known", json_boolean(f->slot != WEIR_NONE));
	json_object_set_new(o, "rule", json_string(e->rule[0] ? e->rule : "*"));
	if (x->host.group[0])
		json_object_set_new(o, "group", json_string(x->host.group));
	if (e->origin)
		json_object_set_new(o, "origin", json_string(e->origin));
	json_object_set_new(o, "exempt", json_boolean(f->exempt));
	json_object_set_new(o, "verdict", json_string(verdicts[f->verdict]));
	if (f->verdict == WEIR_GO)
		return;
	json_object_set_new(o, "cause", json_string(weir_cause_name(f->cause)));
	json_object_set_new(o, "scope", json_string(scopes[f->at]));
	if (f->until_ns > x->now_ns && f->until_ns != WEIR_NEVER)
		json_object_set_new(o, "seconds", json_real((double)(f->until_ns - x->now_ns) / 1e9));
}

static void say_all(struct weir_explaining *x, const struct weir_rule *total)
{
	say_rule(x);
	if (x->host.flags & WEIR_RULE_EXEMPT) {
		weir_say(x, "The rule exempts it: requests pass untouched.");
		return;
	}
	weir_say_narrowed(x);
	if (x->e->forecast.exempt) {
		weir_say_past(x);
		return;
	}
	say_profile(x);
	weir_say_limits(x);
	if (total)
		weir_say_total(x, total);
	say_verdict(x);
	weir_say_past(x);
}

bool weir_explain(const struct weir_segment *s, const struct weir_policy *policy, const struct weir_asked_about *asked,
		  uint64_t now_ns, uint64_t wall_ns, struct weir_explanation *e)
{
	struct weir_explaining x = {
		.e = e, .s = s, .policy = policy, .asked = asked, .now_ns = now_ns, .wall_ns = wall_ns, .past_count = 0};
	struct weir_snapshot snapshot;
	struct weir_rule total;
	bool has_total;

	memset(e, 0, sizeof *e);
	e->now_ns = now_ns;
	begin(&x, &total, &has_total);
	if (!weir_snapshot_take(s, x.key, now_ns, wall_ns, &snapshot)) {
		weir_explanation_free(e);
		return false;
	}
	x.snapshot = &snapshot;
	e->document = json_object();
	x.limits = json_array();
	x.view = weir_find_view(&x, e->forecast.key);
	put_head(&x);
	json_object_set_new(e->document, "limits", x.limits);
	weir_take_past(&x);
	say_all(&x, has_total ? &total : NULL);
	weir_snapshot_free(&snapshot);
	return true;
}

void weir_explanation_free(struct weir_explanation *e)
{
	for (size_t i = 0; i < e->sentences; i++)
		free(e->sentence[i]);
	free(e->origin);
	json_decref(e->document);
	memset(e, 0, sizeof *e);
}

void weir_explanation_text(const struct weir_explanation *e, FILE *out)
{
	for (size_t i = 0; i < e->sentences; i++)
		fprintf(out, "%s\n", e->sentence[i]);
}

json_t *weir_explanation_json(const struct weir_explanation *e)
{
	json_t *sentences = json_array();

	for (size_t i = 0; i < e->sentences; i++)
		json_array_append_new(sentences, json_string(e->sentence[i]));
	json_object_set_new(e->document, "sentences", sentences);
	return json_incref(e->document);
}
