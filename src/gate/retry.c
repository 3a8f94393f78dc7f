/* SPDX-License-Identifier: MIT */
/* Asking again, as far as the segment is concerned: what the rule says, and the host's budget. */
#include "count.h"
#include "scope.h"

#include "weir/retry.h"

/* The entry that the request had, if it still is that host's: a budget is nobody else's. The overflow has none. */
static bool host_of(const struct weir_gate *g, const struct weir_request *r, struct scope *host)
{
	return g->segment != NULL && g->segment->base != NULL && r->scope[SCOPE_HOST].slot < g->segment->entries &&
	       scope_is_still(g, r, SCOPE_HOST) && scope_of(g, SCOPE_HOST, r->scope[SCOPE_HOST].slot, host);
}

bool weir_gate_retry(const struct weir_gate *g, const struct weir_request *r, struct weir_retry_params *out)
{
	struct scope host;

	/* A dry run gives no answers of its own. */
	if (!r->retries || g->dry_run || !host_of(g, r, &host))
		return false;
	*out = host.rule->retry;
	if (g->attempts != 0)
		out->attempts = g->attempts;
	return out->attempts > 1;
}

bool weir_gate_retry_is_held(const struct weir_gate *g, const struct weir_request *r, uint64_t now_ns)
{
	struct scope host;

	if (!host_of(g, r, &host))
		return false;
	return weir_hold_until_ns(&host.entry->hold, host.rule->hold_max_ns, now_ns) > now_ns;
}

void weir_gate_retry_earn(const struct weir_gate *g, const struct weir_request *r, uint64_t now_ns)
{
	struct scope host;

	if (host_of(g, r, &host))
		weir_retry_earn(&host.entry->retry, host.rule->retry.budget_permille, now_ns);
}

bool weir_gate_retry_spend(const struct weir_gate *g, const struct weir_request *r, uint64_t now_ns)
{
	struct scope host;
	bool there;

	if (!host_of(g, r, &host))
		return false;
	there = weir_retry_spend(&host.entry->retry, now_ns);
	atomic_fetch_add_explicit(there ? &host.entry->retry.retries : &host.entry->retry.exhausted, 1, memory_order_relaxed);
	count_one(g, r, there ? WEIR_SUMMARY_RETRIES : WEIR_SUMMARY_RETRIES_EXHAUSTED);
	return there;
}

static void count(const struct weir_gate *g, const struct weir_request *r, bool saved)
{
	struct scope host;

	if (host_of(g, r, &host))
		atomic_fetch_add_explicit(saved ? &host.entry->retry.saved : &host.entry->retry.given_up, 1,
					  memory_order_relaxed);
}

void weir_gate_retry_saved(const struct weir_gate *g, const struct weir_request *r)
{
	count(g, r, true);
	count_one(g, r, WEIR_SUMMARY_RETRIES_SAVED);
}

void weir_gate_retry_gave_up(const struct weir_gate *g, const struct weir_request *r)
{
	count(g, r, false);
}
