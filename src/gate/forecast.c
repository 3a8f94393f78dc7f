/* SPDX-License-Identifier: MIT */
/* What would happen now, without doing it: the same questions as look.c in the same order. */
#include "allowance.h"
#include "degrade.h"
#include "look.h"
#include "queue.h"
#include "spare.h"

#include <string.h>

_Static_assert(WEIR_AT_HOST == (int)SCOPE_HOST && WEIR_AT_RUN == (int)SCOPE_RUN && WEIR_AT_TOTAL == (int)SCOPE_TOTAL &&
		       WEIR_AT_NARROWED == (int)SCOPE_NARROW && WEIR_AT_CLIENT == (int)SCOPE_CLIENT,
	       "told as they are");

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
			out->at = (enum weir_forecast_at)which;
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
		out->at = WEIR_AT_HOST;
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
	out->at = (enum weir_forecast_at)which;
}

/* The slots of limits below the host's, as scope_narrow has them; makes none. False when the narrowed rule exempts the request.
 */
static __attribute__((noinline)) bool find_narrowed(const struct weir_gate *g, const struct weir_policy_view *view,
						    const struct weir_asks *asks, uint32_t slot[WEIR_SCOPES],
						    struct weir_forecast *out)
{
	static const struct weir_asks nothing;
	char key[WEIR_KEY_MAX];
	const struct weir_rule *host = &view->rules[out->rule];

	out->narrowed = weir_policy_narrowed(view, host, asks != NULL ? asks : &nothing);
	if (out->narrowed != WEIR_NONE) {
		const struct weir_rule *narrowed = &view->rules[out->narrowed];

		if ((narrowed->flags & WEIR_RULE_EXEMPT) != 0)
			return false;
		memcpy(key, out->key, sizeof key);
		scope_narrow_key(narrowed, key);
		if ((narrowed->narrow.flags & WEIR_NARROW_APART) != 0) {
			memcpy(out->key, key, sizeof key);
			out->rule = out->narrowed;
			host = narrowed;
		} else {
			slot[SCOPE_NARROW] = weir_entry_find(g->segment, key);
		}
	}
	if ((host->narrow.client_rate | host->narrow.client_concurrency) != 0 && g->client[0] != '\0') {
		scope_client_key(g, out->key, key);
		slot[SCOPE_CLIENT] = weir_entry_find(g->segment, key);
	}
	return true;
}

/* The slots that a request would use; makes none. False when it is exempt. */
static bool find_slots(const struct weir_gate *g, const struct weir_asks *asks, uint32_t slot[WEIR_SCOPES],
		       struct weir_forecast *out)
{
	struct weir_policy_view view = weir_policy_in_force(g->segment);
	char run_key[WEIR_KEY_MAX];

	for (unsigned i = SCOPE_HOST + 1; i < WEIR_SCOPES; i++)
		slot[i] = WEIR_NONE;
	if (g->run.id[0] != '\0') {
		scope_run_key(&g->run, out->key, run_key);
		slot[SCOPE_RUN] = weir_entry_find(g->segment, run_key);
	}
	if (view.total != NULL)
		slot[SCOPE_TOTAL] = weir_entry_find(g->segment, TOTAL_KEY);
	if (view.rules != NULL && out->rule < view.rule_count) {
		if ((view.rules[out->rule].flags & WEIR_RULE_EXEMPT) != 0)
			return false;
		if (scope_is_narrowed(&view.rules[out->rule]) && !find_narrowed(g, &view, asks, slot, out))
			return false;
	}
	slot[SCOPE_HOST] = weir_entry_find(g->segment, out->key);
	return true;
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

/* What the host has asked for: a hold, a quota of its own that is spent. */
static void host_asked(const struct scope *s, uint64_t now_ns, struct weir_forecast *out)
{
	static const struct weir_request anybody; /* who is asked for by nobody in particular shares with all */
	uint64_t hold = weir_hold_until_ns(&s->entry->hold, s->rule->hold_max_ns, now_ns);
	uint64_t spent = request_spent_until(&anybody, s, now_ns);

	if (hold > now_ns) {
		out->verdict = WEIR_WAIT;
		out->cause = hold > out->until_ns || out->cause != WEIR_CAUSE_QUOTA_SPENT ? WEIR_CAUSE_HOLD : out->cause;
		out->until_ns = hold > out->until_ns ? hold : out->until_ns;
	}
	if (spent > now_ns && spent > hold) {
		out->verdict = WEIR_WAIT;
		out->cause = spent > out->until_ns || out->cause != WEIR_CAUSE_QUOTA_SPENT ? WEIR_CAUSE_QUOTA_HEADER : out->cause;
		out->until_ns = spent > out->until_ns ? spent : out->until_ns;
	}
}

static uint64_t host_wait_max_ns(const struct weir_gate *g, const struct weir_forecast *f)
{
	struct weir_policy_view view = weir_policy_in_force(g->segment);

	return view.rules != NULL && f->rule < view.rule_count ? view.rules[f->rule].wait_max_ns : weir_rule_builtin.wait_max_ns;
}

/* Asks each scope. Returns how long the request may wait. */
static uint64_t forecast_scopes(const struct weir_gate *g, const uint32_t slot[WEIR_SCOPES], uint64_t now_ns,
				struct weir_forecast *out)
{
	uint64_t wait_max = UINT64_MAX;
	unsigned class = WEIR_CLASS_NORMAL;
	struct scope s;

	for (unsigned i = 0; i < WEIR_SCOPES; i++) {
		if (slot[i] >= g->segment->entries || !scope_of(g, i, slot[i], &s))
			continue;
		if (i == SCOPE_HOST) {
			if ((s.rule->flags & WEIR_RULE_EXEMPT) != 0 || breaker_forecast(&s, now_ns, out))
				return UINT64_MAX;
			class = queue_class(g, s.rule);
			out->cause = degrade_forecast(&s, class);
			if (out->cause != WEIR_CAUSE_NONE) {
				out->verdict = WEIR_REFUSE;
				return UINT64_MAX;
			}
		}
		if (s.rule->wait_max_ns < wait_max)
			wait_max = s.rule->wait_max_ns;
		scope_forecast(&s, i, class, now_ns, out);
		if (i == SCOPE_HOST) {
			allowance_forecast(g, &s, now_ns, out);
			host_asked(&s, now_ns, out);
		}
		permit_forecast(&s, i, now_ns, out);
	}
	if (wait_max == UINT64_MAX) /* of a host without an entry the spares have been asked */
		wait_max = host_wait_max_ns(g, out);
	return g->wait_max_ns != 0 && g->wait_max_ns < wait_max ? g->wait_max_ns : wait_max;
}

/* There is no place left for one that has to wait. */
static bool finds_queue_full(const struct weir_gate *g, const struct weir_forecast *f)
{
	struct scope s;

	return f->slot < g->segment->entries && scope_of(g, SCOPE_HOST, f->slot, &s) && queue_is_full(&s, queue_class(g, s.rule));
}

void weir_gate_forecast_asked(const struct weir_gate *g, const char *host_port, const struct weir_asks *asks, uint64_t now_ns,
			      struct weir_forecast *out)
{
	uint32_t slot[WEIR_SCOPES];

	memset(out, 0, sizeof *out);
	out->slot = out->rule = out->narrowed = WEIR_NONE;
	if (g->segment == NULL || g->segment->base == NULL)
		return;
	weir_gate_key(g->segment, host_port, out->key, &out->rule);
	if (!find_slots(g, asks, slot, out)) {
		out->exempt = true;
		return;
	}
	out->slot = slot[SCOPE_HOST];
	if (out->slot == WEIR_NONE)
		spare_forecast(g, now_ns, out);
	out->wait_max_ns = forecast_scopes(g, slot, now_ns, out);
	if (out->verdict == WEIR_WAIT && out->until_ns > now_ns && out->until_ns - now_ns > out->wait_max_ns) {
		out->verdict = WEIR_REFUSE;
		out->timed_out = out->cause != WEIR_CAUSE_QUOTA_SPENT;
	} else if (out->verdict == WEIR_WAIT && finds_queue_full(g, out)) {
		out->verdict = WEIR_REFUSE;
		out->cause = WEIR_CAUSE_QUEUE_FULL;
		out->at = WEIR_AT_HOST;
		out->until_ns = 0;
	}
}

void weir_gate_forecast(const struct weir_gate *g, const char *host_port, uint64_t now_ns, struct weir_forecast *out)
{
	weir_gate_forecast_asked(g, host_port, NULL, now_ns, out);
}
