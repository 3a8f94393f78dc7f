/* SPDX-License-Identifier: MIT */
/* The configured quotas that a request passes (weir/allowance.h): it takes one of each at the moment when it goes. */
#ifndef WEIR_GATE_ALLOWANCE_H
#define WEIR_GATE_ALLOWANCE_H

#include "scope.h"
#include "weir/ledger.h"

/* Whether any of the request's rules has quotas: to most requests it costs this look. */
static inline bool allowances_any(const struct scope scope[WEIR_SCOPES])
{
	bool any = scope[SCOPE_HOST].rule->allowances.one[0].unit != WEIR_PER_NOTHING;

	for (unsigned i = SCOPE_HOST + 1; i < scopes_end(scope); i++)
		any |= scope[i].slot != WEIR_NONE && scope[i].rule->allowances.one[0].unit != WEIR_PER_NOTHING;
	return any;
}

/* For a request whose host has no entry: whose its count is. */
void allowances_name(const struct weir_gate *g, struct weir_request *r, const char *host_port);

/* When the quotas that it is not counted in yet let it go: <= now_ns when they do now. *cause: why not. */
uint64_t allowances_ready_ns(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES],
			     uint64_t now_ns, enum weir_cause *cause);

/* Counts it in all of them, or in none: false. forced: it goes anyway. May write to the disk, and blocks for that. */
bool allowances_take(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES], bool forced,
		     uint64_t now_ns);

/* It does not go after all. */
void allowances_give(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES]);

/* The same with the scopes looked up. */
void request_give_allowances(const struct weir_gate *g, struct weir_request *r);

/* The sentence of a refusal by a spent quota: "the quota of 100 a day is spent; it begins anew on 2026-11-28 at 00:00 UTC".
 * Returns its length, 0: none of them is spent any more. */
size_t allowances_describe(const struct weir_gate *g, const struct weir_request *r, char *out, size_t size);

/* Where an allowance of an entry is counted. */
struct counter {
	struct weir_meter *meter;
	struct weir_account *account; /* NULL: in the entry */
	const struct weir_ledger *ledger;
	uint64_t wall_ms;
};

/* Finds it; make: also where nothing was counted yet. name: 0: from the entry's key. False: there is none. */
bool counter_of(const struct weir_segment *s, const struct scope *scope, uint64_t name, unsigned which, bool make,
		struct counter *out);

/* CLOCK_MONOTONIC of a wall clock's time. */
uint64_t counter_ns(const struct counter *c, uint64_t at_ms, uint64_t now_ns);

#endif
