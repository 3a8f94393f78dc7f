/* SPDX-License-Identifier: MIT */
#include "src/agent/compiler.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "weir/gate.h"
#include "weir/log.h"

void weir_compiler_init(struct weir_compiler *c, const struct weir_environment *e)
{
	memset(c, 0, sizeof *c);
	c->chain_count = weir_config_chain(e, c->chain);
	c->must_exist = e->config && e->config[0];
}

/* Where the policy module could not say what it looked at, the chain itself is what a change must be looked for in. */
static void stamp_chain(struct weir_compiler *c)
{
	c->source_count = 0;
	for (size_t i = 0; i < c->chain_count && c->source_count < WEIR_SOURCES; i++)
		if (weir_source_stat(&c->sources[c->source_count], c->chain[i]))
			c->source_count++;
}

bool weir_compiler_read(struct weir_compiler *c)
{
	struct weir_policy fresh;
	memset(&fresh, 0, sizeof fresh);
	weir_findings_free(&c->findings);
	memset(&c->findings, 0, sizeof c->findings);
	bool accepted = weir_policy_compile(c->chain, c->chain_count, c->must_exist, &fresh, &c->findings);
	if (fresh.source_count > 0 && fresh.source_count <= WEIR_SOURCES) {
		memcpy(c->sources, fresh.sources, sizeof c->sources);
		c->source_count = fresh.source_count;
	} else {
		stamp_chain(c);
	}
	if (!accepted) {
		weir_policy_free(&fresh);
		return false;
	}
	if (c->compiled)
		weir_policy_free(&c->policy);
	c->policy = fresh;
	c->compiled = true;
	return true;
}

static uint64_t wall_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* The rules that stay when the files were refused: those in force, else the built-in defaults. The half in force is copied
 * because publishing may write over the half that a view points into. */
static void publish_rejected(const struct weir_compiler *c, const struct weir_segment *s)
{
	struct weir_policy_view view = weir_policy_in_force(s);
	struct weir_rule defaults, total;
	struct weir_rule *rules = NULL;
	uint32_t count = 0;
	bool total_in_use = false;
	if (view.rules && view.rule_count > 0)
		rules = calloc(view.rule_count, sizeof *rules);
	if (rules) {
		count = view.rule_count;
		memcpy(rules, view.rules, count * sizeof *rules);
		if (view.total) {
			total = *view.total;
			total_in_use = true;
		}
	}
	weir_rule_defaults(&defaults);
	weir_policy_publish(s, rules ? rules : &defaults, rules ? count : 1, total_in_use ? &total : NULL, c->sources,
			    c->source_count, true, wall_ns());
	free(rules);
}

void weir_compiler_publish(struct weir_compiler *c, const struct weir_segment *s, uint64_t now_ns)
{
	bool rejected = c->findings.count > 0 || !c->compiled;
	if (!rejected && c->policy.rule_count > s->rules) {
		weir_log(WEIR_LOG_ERROR, "policy: %u rules, but the segment has room for %u", c->policy.rule_count, s->rules);
		rejected = true;
	}
	if (rejected)
		publish_rejected(c, s);
	else
		weir_policy_publish(s, c->policy.rules, c->policy.rule_count, c->policy.total_in_use ? &c->policy.total : NULL,
				    c->sources, c->source_count, false, wall_ns());
	c->published_ns = now_ns;
	weir_gate_refresh(s, now_ns);

	uint64_t generation = weir_policy_in_force(s).generation;
	weir_event_write(s, rejected ? WEIR_EVENT_POLICY_REJECTED : WEIR_EVENT_POLICY_PUBLISHED, WEIR_CAUSE_POLICY, NULL, 0,
			 generation, 0, now_ns);
	if (!rejected) {
		weir_log(WEIR_LOG_INFO, "policy: generation %llu, %u rules", (unsigned long long)generation,
			 c->policy.rule_count);
		return;
	}
	weir_log(WEIR_LOG_ERROR, "policy: the configuration was refused, the rules before it stay in force (generation %llu)",
		 (unsigned long long)generation);
	for (size_t i = 0; i < c->findings.count; i++)
		weir_log(WEIR_LOG_ERROR, "policy: %s", c->findings.line[i]);
}

void weir_compiler_free(struct weir_compiler *c)
{
	weir_findings_free(&c->findings);
	if (c->compiled)
		weir_policy_free(&c->policy);
	memset(c, 0, sizeof *c);
}
