/* SPDX-License-Identifier: MIT */
#include "src/policy/compilation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/policy/alerts.h"
#include "src/policy/field.h"

static void free_origin(struct weir_origin *o)
{
	free(o->key);
	free(o->value);
	free(o->source);
}

/* Appends one; takes over value. There is room: weir_origin_list has counted. */
static void add(struct weir_compilation *c, struct weir_policy *out, const char *section, const char *key, char *value,
		struct weir_place from)
{
	struct weir_origin o = {.value = value};

	if (asprintf(&o.key, "%s.%s", section, key) < 0)
		o.key = NULL;
	if (from.document == 0)
		o.source = strdup("built in");
	else if (asprintf(&o.source, "%s:%u", c->document[from.document - 1].path, from.line) < 0)
		o.source = NULL;
	if (!o.key || !o.value || !o.source) {
		free_origin(&o);
		c->out_of_memory = true;
		return;
	}
	out->origins[out->origin_count++] = o;
}

/* Whether a field says anything: where the rate is switched off nobody cares how it would be learned. */
static bool is_shown(const struct weir_draft *d, unsigned id, bool total)
{
	bool limited = weir_field_get(&d->rule, WEIR_FIELD_RATE) != 0;

	if (total && !weir_field_table[id].total)
		return false;
	if (id == WEIR_FIELD_RATE)
		return !limited;
	return limited || id < WEIR_FIELD_RATE || id > WEIR_FIELD_RATES;
}

static void list_draft(struct weir_compilation *c, struct weir_policy *out, const struct weir_draft *d, const char *section,
		       bool own)
{
	bool total = d == &c->total;

	for (unsigned id = 0; id < WEIR_FIELDS; id++) {
		bool inherited =
			d->from[id].document == c->defaults.from[id].document && d->from[id].line == c->defaults.from[id].line;

		if (!is_shown(d, id, total) || (own && inherited && !(d->said >> id & 1)))
			continue;
		add(c, out, section, weir_field_table[id].name, weir_field_print(&d->rule, (enum weir_field_id)id), d->from[id]);
	}
}

/* What is watched for: all of it at the top level, in a rule what it says itself. */
static void list_alerts(struct weir_compilation *c, struct weir_policy *out, const struct weir_draft *d, const char *section,
			bool own)
{
	for (unsigned i = 0; i < (own ? WEIR_ALERT_PARAMETERS : WEIR_ALERT_KEYS); i++) {
		char key[64];

		if (own && !weir_alert_key_said(d, i))
			continue;
		snprintf(key, sizeof key, "%s%s", own ? "alerts." : "", weir_alert_key(i));
		add(c, out, section, key, weir_alert_key_print(d, &c->alert_actions, i), weir_alert_key_from(d, i));
	}
}

static char *quoted(const char *text)
{
	char *out;

	return asprintf(&out, "\"%s\"", text) < 0 ? NULL : out;
}

/* Of defaults whatever it is; of a host where its own rule says it. */
static void list_profile(struct weir_compilation *c, struct weir_policy *out, const struct weir_draft *d, const char *section)
{
	const struct weir_place *inherited = &c->defaults.profile_at;

	if (d != &c->defaults && d->profile_at.document == inherited->document && d->profile_at.line == inherited->line)
		return;
	add(c, out, section, "profile", quoted(weir_profile_name(d->profile)), d->profile_at);
}

static void list_host(struct weir_compilation *c, struct weir_policy *out, const struct weir_draft *d)
{
	char section[WEIR_MATCH_MAX + WEIR_NARROW_NAME_MAX + 9], name[WEIR_NARROW_NAME_MAX];

	weir_narrow_name(&d->rule.narrow, name);
	snprintf(section, sizeof section, "hosts[%s%s%s]", d->rule.match, name[0] ? "#" : "", name);
	add(c, out, section, "match", quoted(d->rule.match), d->at);
	if (d->rule.group[0] != '\0')
		add(c, out, section, "group", quoted(d->rule.group), d->group_at);
	if (d->source[0] != '\0')
		add(c, out, section, "source", quoted(d->source), d->source_at);
	if (d->verified_on[0] != '\0')
		add(c, out, section, "verified_on", quoted(d->verified_on), d->verified_at);
	list_profile(c, out, d, section);
	list_draft(c, out, d, section, true);
	list_alerts(c, out, d, section, true);
}

void weir_origin_list(struct weir_compilation *c, struct weir_policy *out)
{
	char idle_exit[WEIR_VALUE_MAX];
	char *entries = NULL;

	out->origins = calloc((c->hosts + 2) * (WEIR_FIELDS + WEIR_ALERT_KEYS + 5) + 2, sizeof *out->origins);
	if (!out->origins) {
		c->out_of_memory = true;
		return;
	}
	list_profile(c, out, &c->defaults, "defaults");
	list_draft(c, out, &c->defaults, "defaults", false);
	for (size_t i = 0; i < c->hosts; i++)
		list_host(c, out, &c->host[i]);
	list_draft(c, out, &c->total, "total", false);
	list_alerts(c, out, &c->defaults, "alerts", false);
	weir_value_print_duration(c->idle_exit_ns, idle_exit, sizeof idle_exit);
	add(c, out, "agent", "idle_exit", quoted(idle_exit), c->idle_exit_from);
	if (asprintf(&entries, "%u", out->entries) < 0)
		entries = NULL;
	add(c, out, "segment", "hosts", entries, c->entries_from);
}

void weir_policy_free(struct weir_policy *p)
{
	for (size_t i = 0; i < p->origin_count; i++)
		free_origin(&p->origins[i]);
	free(p->origins);
	free(p->rules);
	free(p->alerts);
	*p = (struct weir_policy){0};
}
