/* SPDX-License-Identifier: MIT */
#include "weir/policy.h"

#include "src/policy/compilation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/policy/field.h"

void weir_rule_limit_nothing(struct weir_rule *r)
{
	weir_field_put(r, WEIR_FIELD_RATE, 0);
	weir_field_put(r, WEIR_FIELD_STRATEGY, WEIR_FIXED);
	weir_field_put(r, WEIR_FIELD_RATE_MIN, 0);
	weir_field_put(r, WEIR_FIELD_RATE_MAX, 0);
	weir_field_put(r, WEIR_FIELD_RATE_INITIAL, 0);
	weir_field_put(r, WEIR_FIELD_BURST, 1);
	memset(r->fixed, 0, sizeof r->fixed);
	memset(&r->concurrency, 0, sizeof r->concurrency);
	memset(&r->breaker, 0, sizeof r->breaker);
	memset(&r->degrade, 0, sizeof r->degrade);
}

/* All hosts together: no limit until one is given, and then a fixed one. */
static void begin_total(struct weir_draft *d)
{
	snprintf(d->path, sizeof d->path, "total");
	weir_rule_defaults(&d->rule);
	weir_rule_limit_nothing(&d->rule);
}

static void begin(struct weir_compilation *c)
{
	snprintf(c->defaults.path, sizeof c->defaults.path, "defaults");
	weir_rule_defaults(&c->defaults.rule);
	c->defaults.profile = WEIR_PROFILE_BALANCED;
	begin_total(&c->total);
	c->defaults.alerts = weir_alert_builtin;
	c->alert_actions = weir_alert_no_actions;
	c->idle_exit_ns = WEIR_IDLE_EXIT_DEFAULT_NS;
	c->entries = WEIR_ENTRIES_DEFAULT;
	c->host = calloc(WEIR_HOSTS_MAX, sizeof *c->host);
	if (!c->host)
		c->out_of_memory = true;
}

static void read_documents(struct weir_compilation *c, const bool is_file[WEIR_SOURCES])
{
	for (uint32_t i = 1; i <= c->documents; i++) {
		if (is_file[i - 1])
			weir_document_load(c, i);
	}
	for (uint32_t i = 1; i <= c->documents; i++) {
		if (c->document[i - 1].parsed)
			weir_section_globals(c, i);
	}
	weir_check_draft(c, &c->defaults);
	weir_check_draft(c, &c->total);
	/* First match wins, and later files win: their rules come first. */
	for (uint32_t i = (uint32_t)c->documents; i >= 1 && c->host; i--) {
		if (c->document[i - 1].parsed)
			weir_section_hosts(c, i);
	}
	weir_section_drop_hidden(c);
	weir_narrow_arrange(c);
	weir_check_groups(c);
}

static bool limits_anything(const struct weir_rule *total)
{
	return (total->flags & WEIR_RULE_LIMITS_RATE) || total->fixed[0].rate > 0 ||
	       total->concurrency.mode != WEIR_CONCURRENCY_OFF;
}

static void finish(struct weir_compilation *c, struct weir_policy *out)
{
	out->rules = calloc(c->hosts + 1, sizeof *out->rules);
	out->alerts = calloc(c->hosts + 1, sizeof *out->alerts);
	if (!out->rules || !out->alerts) {
		c->out_of_memory = true;
		return;
	}
	for (size_t i = 0; i < c->hosts; i++) {
		out->rules[i] = c->host[i].rule;
		out->alerts[i] = c->host[i].alerts;
	}
	out->rules[c->hosts] = c->defaults.rule;
	out->alerts[c->hosts] = c->defaults.alerts;
	out->alert_actions = c->alert_actions;
	out->rule_count = (uint32_t)c->hosts + 1;
	out->total = c->total.rule;
	out->total_in_use = limits_anything(&out->total);
	out->idle_exit_ns = c->idle_exit_ns;
	/* The host table is a power of two. */
	out->left_out = c->left_out;
	memcpy(out->left_out_why, c->left_out_why, sizeof out->left_out_why);
	memcpy(out->left_out_owner, c->left_out_owner, sizeof out->left_out_owner);
	out->entries = WEIR_ENTRIES_MIN;
	while (out->entries < c->entries)
		out->entries *= 2;
	weir_origin_list(c, out);
}

bool weir_policy_left_out(const struct weir_policy *p, uint32_t i, char out[WEIR_LEFT_OUT_MAX])
{
	char owner[24] = "";

	if (i >= p->source_count || !(p->left_out >> i & 1))
		return false;
	if (p->left_out_owner[i] == 0)
		snprintf(owner, sizeof owner, "root's: ");
	else if (p->left_out_owner[i] != WEIR_OWNER_UNKNOWN)
		snprintf(owner, sizeof owner, "user %u's: ", (unsigned)p->left_out_owner[i]);
	snprintf(out, WEIR_LEFT_OUT_MAX, "%s: left out: %s%s", p->sources[i].path, owner,
		 p->left_out_why[i] ? p->left_out_why[i] : "");
	return true;
}

bool weir_policy_compile(char chain[][WEIR_PATH_MAX], size_t count, bool must_exist, struct weir_policy *out,
			 struct weir_findings *findings)
{
	bool is_file[WEIR_SOURCES] = {false}, good;
	struct weir_compilation *c = calloc(1, sizeof *c);

	*out = (struct weir_policy){0};
	*findings = (struct weir_findings){0};
	if (!c)
		return false;
	c->named = must_exist;
	weir_chain_collect(c, chain, count, must_exist, out, is_file);
	begin(c);
	read_documents(c, is_file);
	if (c->findings == 0 && !c->out_of_memory)
		finish(c, out);
	good = c->findings == 0 && !c->out_of_memory;
	if (!good) {
		struct weir_policy sources = *out;

		weir_findings_hand_over(c, findings);
		/* The sources stay: whoever was refused wants to know when they change. */
		weir_policy_free(out);
		memcpy(out->sources, sources.sources, sizeof out->sources);
		out->source_count = sources.source_count;
	}
	for (size_t i = 0; i < c->documents; i++)
		weir_document_free(&c->document[i]);
	free(c->finding);
	free(c->host);
	free(c);
	return good;
}
