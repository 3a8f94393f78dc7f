/* SPDX-License-Identifier: MIT */
#include "degrade.h"

#include <string.h>

#include "allowance.h"
#include "weir/shed.h"

/* The least that is left of any quota, the configured ones and those that the server tells of. */
static uint32_t left_permille(const struct weir_gate *g, const struct scope *host, uint64_t now_ns)
{
	const struct weir_allowances *rule = &host->rule->allowances;
	uint32_t least = weir_degrade_told(&host->entry->degrade, now_ns);

	for (unsigned i = 0; i < weir_allowances_count(rule); i++) {
		struct weir_account_view v;
		struct counter c;
		uint32_t left;

		if (!counter_of(g->segment, host, 0, i, false, &c))
			continue;
		weir_account_look(c.meter, c.account, rule, i, c.wall_ms, &v);
		left = v.used >= v.limit ? 0 : (uint32_t)((uint64_t)(v.limit - v.used) * 1000 / v.limit);
		least = left < least ? left : least;
	}
	return least;
}

static void look_at_thresholds(const struct weir_gate *g, const struct scope *host, uint64_t passed_ms, uint64_t now_ns)
{
	struct weir_entry *e = host->entry;
	const struct weir_degrade_params *p = &host->rule->degrade;
	struct weir_degrade_signs signs = {
		.waiting = weir_depth_all(atomic_load_explicit(&e->queue.depth, memory_order_relaxed)),
		.left_permille = p->quota_permille != 0 ? left_permille(g, host, now_ns) : 1000,
	};
	struct weir_degrade_change change =
		weir_degrade_look(&e->degrade, p, host->rule->breaker.window_ns, &signs, passed_ms, now_ns);

	if (change.from != change.to)
		scope_event(g, host, WEIR_EVENT_DEGRADE_CHANGED, change.cause, change.from, change.to, 0, now_ns);
	/* Those of the class that wait are given up, too. */
	if (change.stricter)
		weir_entry_wake(g->segment, host->slot);
}

/* The look that is due every 250 ms, by whoever comes by: at the host, not at the request. */
static __attribute__((noinline)) void look(const struct weir_gate *g, const struct scope *host, uint64_t now_ns)
{
	uint32_t watch = host->rule->degrade.watch;
	uint64_t passed_ms = 0;
	struct weir_shed_change shed;

	if (!weir_degrade_due(&host->entry->degrade, now_ns, &passed_ms))
		return;
	if ((watch & WEIR_DEGRADE_WATCHES) != 0)
		look_at_thresholds(g, host, passed_ms, now_ns);
	if ((watch & WEIR_DEGRADE_SHEDS) == 0)
		return;
	shed = weir_shed_look(&host->entry->degrade, host->rule->breaker.window_ns, host->rule->breaker.min_calls, now_ns);
	if (shed.told)
		scope_event(g, host, WEIR_EVENT_SHED_CHANGED, shed.to != 0 ? WEIR_CAUSE_FAILURE_RATE : WEIR_CAUSE_RECOVERY,
			    shed.from, shed.to, 0, now_ns);
}

__attribute__((noinline)) bool degrade_gives_up(const struct weir_gate *g, struct weir_request *r, const struct scope *host,
						uint64_t now_ns, enum weir_cause *cause)
{
	struct weir_degrade *d = &host->entry->degrade;
	uint32_t watch = host->rule->degrade.watch;
	bool first = !r->let_in;

	look(g, host, now_ns);
	r->let_in = true;
	if (first && (watch & WEIR_DEGRADE_SHEDS) != 0 && weir_shed_refuses(d)) {
		if (!g->dry_run) /* else it goes, and counts as that */
			weir_shed_note(d, host->rule->breaker.window_ns, now_ns);
		*cause = WEIR_CAUSE_SHED;
		return true;
	}
	if ((watch & WEIR_DEGRADE_WATCHES) == 0)
		return false;
	*cause = WEIR_CAUSE_DEGRADED;
	return first ? weir_degrade_refuses(d, r->class) : weir_degrade_refuses_all(d, r->class);
}

/* Of several windows the one of which least is left. One that ends before a step is over is no matter of classes: who asks ten
 * times in a second has nothing left of ten a second, and all of it again before anything given up would have helped. */
static __attribute__((noinline)) void note_quotas(struct weir_degrade *d, const struct weir_rule *rule,
						  const struct weir_result *result, uint64_t now_ns)
{
	uint64_t least = 1001, until_ns = 0;
	uint64_t step_ns = rule->degrade.step_ns != 0 ? rule->degrade.step_ns : WEIR_DEGRADE_STEP_NS;

	for (uint32_t i = 0; i < result->quotas && i < WEIR_QUOTAS; i++) {
		const struct weir_quota *q = &result->quota[i];
		uint64_t ns = q->has_reset ? q->resets_in_ns : q->window_ns, left;

		if (!q->has_remaining || q->limit == 0 || ns < step_ns)
			continue;
		left = q->remaining >= q->limit       ? 1000
		       : q->limit > UINT64_MAX / 1000 ? q->remaining / (q->limit / 1000)
						      : q->remaining * 1000 / q->limit;
		if (left < least) {
			least = left;
			until_ns = now_ns + (ns < rule->hold_max_ns ? ns : rule->hold_max_ns);
		}
	}
	if (least <= 1000)
		weir_degrade_tell(d, (uint32_t)least, until_ns, now_ns);
}

__attribute__((noinline)) void degrade_note(const struct weir_gate *g, const struct scope *host, const struct weir_result *result,
					    uint64_t latency_ns, uint64_t now_ns)
{
	const struct weir_rule *rule = host->rule;
	struct weir_degrade *d = &host->entry->degrade;

	weir_degrade_note(d, &rule->degrade, rule->breaker.window_ns, result->outcome == WEIR_FAILED, latency_ns, now_ns);
	if (rule->degrade.quota_permille != 0 && result->quotas != 0)
		note_quotas(d, rule, result, now_ns);
	look(g, host, now_ns);
}

enum weir_cause degrade_forecast(const struct scope *host, unsigned class)
{
	if ((host->rule->degrade.watch & WEIR_DEGRADE_WATCHES) != 0 && weir_degrade_refuses_all(&host->entry->degrade, class))
		return WEIR_CAUSE_DEGRADED;
	return WEIR_CAUSE_NONE;
}

void weir_gate_tend(const struct weir_segment *s, uint64_t now_ns)
{
	const struct weir_gate g = {.segment = s};
	char key[WEIR_KEY_MAX];

	for (uint32_t slot = 0; slot < s->entries; slot++) {
		struct scope host;

		if (atomic_load_explicit(&s->index[slot], memory_order_relaxed) == 0 || !weir_entry_key(s, slot, key) ||
		    key[0] == '@' || strcmp(key, TOTAL_KEY) == 0 || !scope_of(&g, SCOPE_HOST, slot, &host))
			continue;
		if (host.rule->degrade.watch != 0)
			look(&g, &host, now_ns);
	}
}
