/* SPDX-License-Identifier: MIT */
/* What would happen now, without doing it: the same questions as look.c in the same order. */
#include "allowance.h"
#include "look.h"
#include "queue.h"
#include "spare.h"

#include <string.h>

/* When a request could go that came now: behind all, or, where several classes wait, where its own puts it. */
static uint64_t bucket_forecast(const struct scope *s, unsigned j, unsigned class, uint64_t now_ns)
{
	const struct weir_bucket *b = &s->entry->bucket[j];
	struct weir_turn t = {.class = class, .shares = s->rule->queue.shares};

	return atomic_load_explicit(&b->turns.classes, memory_order_relaxed) == WEIR_BUCKET_CLASSED
		       ? weir_bucket_turn_ns(b, &t, now_ns)
		       : weir_bucket_preview_ns(b, now_ns);
}

static void scope_forecast(const struct scope *s, unsigned which, unsigned class, uint64_t now_ns, struct weir_forecast *out)
{
	for (unsigned j = 0; j < WEIR_RATES; j++) {
		uint64_t at = bucket_forecast(s, j, class, now_ns);
		uint64_t in_vain_ns = at > now_ns ? scope_frozen_in_vain_ns(s, j, now_ns) : 0;

		at -= at != WEIR_NEVER && in_vain_ns < at ? in_vain_ns : 0;
		/* What is left of a quota may be used: its pace refuses nobody (look.c). */
		if (which == SCOPE_HOST && j == 0 && at > now_ns && at - now_ns > s->rule->wait_max_ns &&
		    scope_paced_to_spare(s, now_ns))
			continue;
		if (at > now_ns && at > out->until_ns) {
			out->verdict = WEIR_WAIT;
			out->cause = WEIR_CAUSE_RATE;
			out->until_ns = at;
		}
	}
}

static void allowance_forecast(const struct weir_gate *g, const struct scope *s, uint64_t now_ns, struct weir_forecast *out)
{
	for (unsigned i = 0; i < weir_allowances_count(&s->rule->allowances); i++) {
		struct weir_account_view v;
		struct counter c;
		uint64_t at;

		if (!counter_of(g->segment, s, 0, i, false, &c))
			continue;
		weir_account_look(c.meter, c.account, &s->rule->allowances, i, c.wall_ms, &v);
		at = counter_ns(&c, v.until_ms, now_ns);
		if (at <= now_ns || at <= out->until_ns)
			continue;
		out->verdict = WEIR_WAIT;
		out->cause = v.spent ? WEIR_CAUSE_QUOTA_SPENT : WEIR_CAUSE_QUOTA_PACED;
		out->until_ns = at;
	}
}

static void permit_forecast(const struct scope *s, unsigned which, uint64_t now_ns, struct weir_forecast *out)
{
	bool ramp = false;

	if (out->verdict != WEIR_GO || weir_concurrency_count(&s->entry->concurrency) < scope_permits(s, which, now_ns, &ramp))
		return;
	out->verdict = WEIR_WAIT;
	out->cause = ramp ? WEIR_CAUSE_RAMP : WEIR_CAUSE_CONCURRENCY;
}

/* The slots that a request would use; makes none. */
static void find_slots(const struct weir_gate *g, const char *key, uint32_t slot[WEIR_SCOPES])
{
	char run_key[WEIR_KEY_MAX];

	slot[SCOPE_HOST] = weir_entry_find(g->segment, key);
	for (unsigned i = SCOPE_HOST + 1; i < WEIR_SCOPES; i++)
		slot[i] = WEIR_NONE;
	if (g->run.id[0] != '\0') {
		scope_run_key(&g->run, key, run_key);
		slot[SCOPE_RUN] = weir_entry_find(g->segment, run_key);
	}
	if (weir_policy_in_force(g->segment).total != NULL)
		slot[SCOPE_TOTAL] = weir_entry_find(g->segment, TOTAL_KEY);
}

static bool breaker_forecast(const struct scope *host, uint64_t now_ns, struct weir_forecast *out)
{
	uint64_t until = 0;
	struct weir_breaker_view v;

	if (weir_breaker_peek(&host->entry->breaker, &host->rule->breaker, now_ns, &until) != WEIR_BREAKER_REFUSE)
		return false;
	v = weir_breaker_view(&host->entry->breaker, &host->rule->breaker, now_ns);
	out->verdict = WEIR_REFUSE;
	out->until_ns = request_waits_out_until(host, until, now_ns + host->rule->wait_max_ns, now_ns);
	if (out->until_ns > now_ns) {
		out->verdict = WEIR_WAIT;
		out->cause = WEIR_CAUSE_OUTAGE;
		return true;
	}
	out->until_ns = until;
	out->cause = v.state == WEIR_BREAKER_FORCED_OPEN ? WEIR_CAUSE_FORCED
		     : v.state == WEIR_BREAKER_HALF_OPEN ? WEIR_CAUSE_PROBE
							 : WEIR_CAUSE_BREAKER;
	return true;
}

/* A host without an entry: what a spare may keep of its rule's rates. */
static __attribute__((noinline)) void spare_forecast(const struct weir_gate *g, uint64_t now_ns, struct weir_forecast *out)
{
	struct weir_policy_view view = weir_policy_in_force(g->segment);
	const struct weir_rule *rule =
		view.rules != NULL && out->rule < view.rule_count ? &view.rules[out->rule] : &weir_rule_builtin;
	uint64_t at = (rule->flags & WEIR_RULE_EXEMPT) == 0 ? spare_preview_ns(g->segment, out->key, rule, now_ns) : now_ns;

	if (at <= now_ns)
		return;
	out->verdict = at - now_ns > rule->wait_max_ns ? WEIR_REFUSE : WEIR_WAIT;
	out->timed_out = out->verdict == WEIR_REFUSE;
	out->cause = WEIR_CAUSE_RATE;
	out->until_ns = at;
}

void weir_gate_forecast(const struct weir_gate *g, const char *host_port, uint64_t now_ns, struct weir_forecast *out)
{
	uint32_t slot[WEIR_SCOPES];
	static const struct weir_request anybody; /* who is asked for by nobody in particular shares with all */
	uint64_t hold, spent, wait_max = weir_rule_builtin.wait_max_ns;
	unsigned class = WEIR_CLASS_NORMAL;
	struct scope s;

	memset(out, 0, sizeof *out);
	out->slot = out->rule = WEIR_NONE;
	if (g->segment == NULL || g->segment->base == NULL)
		return;
	weir_gate_key(g->segment, host_port, out->key, &out->rule);
	find_slots(g, out->key, slot);
	out->slot = slot[SCOPE_HOST];
	if (out->slot == WEIR_NONE)
		spare_forecast(g, now_ns, out);
	for (unsigned i = 0; i < WEIR_SCOPES; i++) {
		if (slot[i] >= g->segment->entries || !scope_of(g, i, slot[i], &s))
			continue;
		if (i == SCOPE_HOST) {
			if ((s.rule->flags & WEIR_RULE_EXEMPT) != 0 || breaker_forecast(&s, now_ns, out))
				return;
			wait_max = s.rule->wait_max_ns;
			class = queue_class(g, s.rule);
			hold = weir_hold_until_ns(&s.entry->hold, s.rule->hold_max_ns, now_ns);
			spent = request_spent_until(&anybody, &s, now_ns);
			scope_forecast(&s, i, class, now_ns, out);
			allowance_forecast(g, &s, now_ns, out);
			if (hold > now_ns) {
				out->verdict = WEIR_WAIT;
				out->cause = hold > out->until_ns || out->cause != WEIR_CAUSE_QUOTA_SPENT ? WEIR_CAUSE_HOLD
													  : out->cause;
				out->until_ns = hold > out->until_ns ? hold : out->until_ns;
			}
			if (spent > now_ns && spent > hold) {
				out->verdict = WEIR_WAIT;
				out->cause = spent > out->until_ns || out->cause != WEIR_CAUSE_QUOTA_SPENT
						     ? WEIR_CAUSE_QUOTA_HEADER
						     : out->cause;
				out->until_ns = spent > out->until_ns ? spent : out->until_ns;
			}
		} else {
			scope_forecast(&s, i, class, now_ns, out);
		}
		permit_forecast(&s, i, now_ns, out);
	}
	if (out->verdict == WEIR_WAIT && out->until_ns > now_ns && out->until_ns - now_ns > wait_max) {
		out->verdict = WEIR_REFUSE;
		out->timed_out = out->cause != WEIR_CAUSE_QUOTA_SPENT;
	}
}
