/* SPDX-License-Identifier: MIT */
/* What is shown of configured quotas, and the operator's hand on them. */
#include "allowance.h"

unsigned weir_gate_quotas(const struct weir_segment *s, uint32_t slot, struct weir_account_view out[WEIR_ALLOWANCES],
			  uint64_t *wall_ms)
{
	static const struct weir_meter nothing;
	const struct weir_gate g = {.segment = s};
	struct scope scope;
	unsigned count;

	if (!scope_of(&g, SCOPE_HOST, slot, &scope))
		return 0;
	count = weir_allowances_count(&scope.rule->allowances);
	for (unsigned i = 0; i < count; i++) {
		struct counter c;
		bool found = counter_of(s, &scope, 0, i, false, &c);

		*wall_ms = c.wall_ms;
		weir_account_look(found ? c.meter : &nothing, found ? c.account : NULL, &scope.rule->allowances, i, c.wall_ms,
				  &out[i]);
		if (!found)
			out[i].limit = scope.rule->allowances.one[i].limit;
	}
	return count;
}

bool weir_gate_quota_set(const struct weir_segment *s, const char *host_port, unsigned which, uint32_t used, uint64_t now_ns)
{
	const struct weir_gate g = {.segment = s};
	char key[WEIR_KEY_MAX];
	struct scope scope;
	uint32_t rule;

	weir_gate_key(s, host_port, key, &rule);
	if (!scope_of(&g, SCOPE_HOST, weir_entry_find(s, key), &scope) || scope.slot >= s->entries)
		return false;
	for (unsigned i = 0; i < weir_allowances_count(&scope.rule->allowances); i++) {
		struct counter c;

		if ((which != WEIR_ALLOWANCES && which != i) || !counter_of(s, &scope, 0, i, true, &c))
			continue;
		weir_account_set(c.meter, c.account, &scope.rule->allowances, i, used, c.wall_ms);
		if (c.account != NULL)
			(void)weir_ledger_sync(c.ledger, c.account);
	}
	scope_event(&g, &scope, WEIR_EVENT_QUOTA_SET, WEIR_CAUSE_OPERATOR, 0, used, 0, now_ns);
	weir_entry_wake(s, scope.slot);
	return true;
}
