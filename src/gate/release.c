/* SPDX-License-Identifier: MIT */
/* What a request holds goes back: permits, units, its lease. */
#include "release.h"

void request_give_permits(const struct weir_gate *g, struct weir_request *r)
{
	for (unsigned i = 0; i < WEIR_SCOPES; i++) {
		uint32_t slot = r->scope[i].slot;

		if ((r->held & (1U << i)) == 0 || slot > g->segment->entries)
			continue;
		weir_concurrency_give(&g->segment->entry[slot].concurrency);
		weir_entry_wake(g->segment, slot);
	}
	r->held = 0;
}

void request_give_units(const struct weir_gate *g, struct weir_request *r)
{
	for (unsigned i = 0; i < WEIR_SCOPES; i++)
		for (unsigned j = 0; j < WEIR_RATES; j++) {
			struct weir_bucket *b;

			if (r->scope[i].slot > g->segment->entries || r->scope[i].unit[j] == 0)
				continue;
			b = &g->segment->entry[r->scope[i].slot].bucket[j];
			if (weir_bucket_numbering(b) == r->scope[i].numbering[j])
				weir_bucket_give_back(b, r->scope[i].unit[j]);
			r->scope[i].unit[j] = 0;
		}
}

void request_free_lease(const struct weir_gate *g, struct weir_request *r)
{
	if (r->lease != WEIR_NONE)
		weir_lease_free(g->segment, r->lease, r->lease_tag, r->owner_pid);
	r->lease = WEIR_NONE;
}

/* MOVING in between: whoever dies there leaves permits that nobody knows of, and the reaper has them counted. */
void weir_gate_release_permits(const struct weir_gate *g, struct weir_request *r)
{
	if (r->phase != WEIR_PHASE_ADMITTED || r->lease == WEIR_NONE || r->held == 0)
		return;
	if (!weir_lease_set(g->segment, r->lease, r->lease_tag, r->owner_pid, WEIR_LEASE_MOVING, 0)) {
		r->held = 0; /* reaped: given back already; settling finds the same */
		return;
	}
	request_give_permits(g, r);
	weir_lease_set(g->segment, r->lease, r->lease_tag, r->owner_pid, WEIR_LEASE_IN_FLIGHT, 0);
}
