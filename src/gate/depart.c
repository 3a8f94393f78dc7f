/* SPDX-License-Identifier: MIT */
/*
 * What is spaced is the requests. A request that has its turn may be kept on its way by a handshake; when it leaves at last it
 * is not to come too near to those that have left meanwhile, nor those behind it too near to it (weir/bucket.h, departures).
 */
#include "allowance.h"
#include "look.h"
#include "release.h"
#include "units.h"

/* So much longer than it meant to a request waits that has been let go once: it is not refused for the sake of some others that
 * leave at the same time. */
#define LONGER_NS UINT64_C(1000000000)

/* Back to those who wait: permits go back, units and lease stay. MOVING in between, as in weir_gate_release_permits. False when
 * the lease was reaped. */
static bool wait_again(const struct weir_gate *g, struct weir_request *r)
{
	if (r->lease != WEIR_NONE && !weir_lease_set(g->segment, r->lease, r->lease_tag, r->owner_pid, WEIR_LEASE_MOVING, 0))
		return false;
	request_give_allowances(g, r); /* it may be another window in which it goes */
	request_give_permits(g, r);
	if (r->lease != WEIR_NONE)
		weir_lease_set(g->segment, r->lease, r->lease_tag, r->owner_pid, WEIR_LEASE_WAITING, 0);
	r->phase = WEIR_PHASE_WAITING;
	return true;
}

/* Whether it may leave now. Where it may not, r->latest_ns lets it wait as long as that takes. */
static bool leaves(struct weir_request *r, const struct scope scope[WEIR_SCOPES], uint64_t now_ns)
{
	uint64_t at;

	if (!request_is_spaced(r))
		return true;
	at = request_departs_ns(r, scope, now_ns);
	if (at > now_ns && at <= r->latest_ns) {
		r->latest_ns = at + LONGER_NS > r->latest_ns ? at + LONGER_NS : r->latest_ns;
		return false;
	}
	return at > now_ns || request_depart(r, scope, now_ns);
}

enum weir_verdict weir_gate_depart(const struct weir_gate *g, struct weir_request *r, uint64_t now_ns, uint64_t *wake_ns)
{
	struct scope scope[WEIR_SCOPES];

	*wake_ns = now_ns;
	if (!r->ahead || r->phase != WEIR_PHASE_ADMITTED)
		return WEIR_GO;
	r->ahead = false;
	r->kept = true;
	/* Nobody is to wait who has been promised to be the probe. */
	if (g->dry_run || r->ticket.probe != 0 || !scopes_of(g, r, scope) || scope_is_overflow(g, &scope[SCOPE_HOST]) ||
	    leaves(r, scope, now_ns) || !wait_again(g, r))
		return WEIR_GO;
	return request_told(g, r, request_look(g, r, scope, now_ns, wake_ns));
}
