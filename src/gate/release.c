/* SPDX-License-Identifier: MIT */
/* What a request holds goes back: permits and its lease. */
#include "release.h"

#include "allowance.h"
#include "permits.h"
#include "queue.h"
#include "scope.h"
#include "units.h"

/* A frame of its own: most requests have their host's permit alone. */
static __attribute__((noinline)) void give_others(const struct weir_gate *g, struct weir_request *r)
{
	unsigned end = r->held > 1U << SCOPE_HOST ? WEIR_SCOPES : SCOPE_HOST + 1;

	for (unsigned i = 0; i < end; i++) {
		uint32_t slot = r->scope[i].slot;

		if ((r->held & (1U << i)) == 0 || slot > g->segment->entries || !scope_is_still(g, r, i))
			continue;
		weir_concurrency_give(&g->segment->entry[slot].concurrency);
		request_wake_next(g, slot);
	}
	for (unsigned i = 0; i < end; i++)
		if (r->spare[i].limit != 0 && (r->held & (1U << i)) != 0)
			weir_entry_wake(g->segment, g->segment->entries); /* they all wait there */
}

void request_give_permits(const struct weir_gate *g, struct weir_request *r)
{
	uint32_t slot = r->scope[SCOPE_HOST].slot;

	if (r->held != 1U << SCOPE_HOST || slot >= g->segment->entries) {
		give_others(g, r);
	} else if (scope_is_still(g, r, SCOPE_HOST)) {
		weir_concurrency_give(&g->segment->entry[slot].concurrency);
		/* Who waits for its unit waits for no permit: of these nobody is woken. */
		if (weir_order_empty(&g->segment->entry[slot].queue.permits))
			weir_entry_wake_some(g->segment, slot, WAKE_ON_ANSWER);
		else
			weir_entry_wake(g->segment, slot);
	}
	r->held = 0;
}

void request_free_lease(const struct weir_gate *g, struct weir_request *r)
{
	queue_leave(g, r);
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
	weir_lease_set(g->segment, r->lease, r->lease_tag, r->owner_pid, WEIR_LEASE_IN_FLIGHT,
		       r->tentative ? WEIR_LEASE_UNCOUNTED : 0);
}

bool weir_gate_leave(const struct weir_gate *g, struct weir_request *r)
{
	if (r->phase == WEIR_PHASE_ADMITTED && r->ticket.probe != 0)
		return false;
	if (r->phase == WEIR_PHASE_WAITING) {
		queue_leave(g, r);
		request_leave_permits(g, r, false);
		request_give_units(g, r);
	} else if (r->phase != WEIR_PHASE_ADMITTED) {
		return true;
	}
	request_give_allowances(g, r);
	r->phase = WEIR_PHASE_OVER;
	if (r->lease != WEIR_NONE &&
	    !weir_lease_set(g->segment, r->lease, r->lease_tag, r->owner_pid, WEIR_LEASE_SETTLING, r->held)) {
		r->lease = WEIR_NONE; /* reaped: its permits have been given back already */
		return true;
	}
	request_give_permits(g, r);
	request_free_lease(g, r);
	return true;
}
