/* SPDX-License-Identifier: MIT */
#include "weir/gate.h"

#include <stddef.h>
#include <string.h>

#include "allowance.h"
#include "count.h"
#include "look.h"
#include "permits.h"
#include "queue.h"
#include "release.h"
#include "spare.h"
#include "units.h"
#include "weir/opaque.h"

/* A request without a time-out of its own may be in flight this long before its lease is void. */
#define LEASE_DEFAULT_NS (UINT64_C(3600) * 1000000000)

/* An entry that is evicted between its look-up and our lease is looked for again. */
#define RESOLVE_TRIES 8

/* Of a host that has not answered yet: this share of a program's time-out is left to it. */
#define UNKNOWN 4

static uint64_t sum_capped(uint64_t a, uint64_t b)
{
	return b < UINT64_MAX - a ? a + b : UINT64_MAX;
}

/* The shortest of all bounds: the host's, the total's, a narrowed rule's, the gate's, and the program's own time-out, which must
 * leave the host the time that it usually takes, and half as much again: half of the answers take longer than usual. While that
 * is not known, a share of the time-out stands for it. */
static uint64_t latest(const struct weir_gate *g, const struct scope scope[WEIR_SCOPES], uint64_t patience_ns, uint64_t now_ns)
{
	uint64_t wait = scope[SCOPE_HOST].rule->wait_max_ns;
	const struct weir_meaning *m = &scope[SCOPE_HOST].entry->meaning;
	uint64_t usual = weir_meaning_usual_ns(m), left;

	if (scope[SCOPE_TOTAL].slot != WEIR_NONE && scope[SCOPE_TOTAL].rule->wait_max_ns < wait)
		wait = scope[SCOPE_TOTAL].rule->wait_max_ns;
	if (scope[SCOPE_NARROW].slot != WEIR_NONE && scope[SCOPE_NARROW].rule->wait_max_ns < wait)
		wait = scope[SCOPE_NARROW].rule->wait_max_ns;
	if (g->wait_max_ns != 0 && g->wait_max_ns < wait)
		wait = g->wait_max_ns;
	if (patience_ns != 0) {
		left = usual != 0 || weir_meaning_known(m, now_ns) ? usual + usual / 2 : patience_ns / UNKNOWN;
		patience_ns = patience_ns > left ? patience_ns - left : 0;
		wait = patience_ns < wait ? patience_ns : wait;
	}
	return sum_capped(now_ns, wait);
}

static void claim_lease(const struct weir_gate *g, struct weir_request *r, const struct weir_wish *wish, bool spares,
			uint64_t now_ns)
{
	uint32_t entry[WEIR_SCOPES];
	uint64_t lease_ns = wish->lease_ns != 0 ? wish->lease_ns : LEASE_DEFAULT_NS;

	for (unsigned i = 0; i < WEIR_SCOPES; i++)
		entry[i] = spares && r->scope[i].slot == WEIR_NONE && r->spare[i].limit != 0 ? r->spare[i].tag : r->scope[i].slot;
	r->lease = weir_lease_claim(g->segment, &g->owner, wish->thread, wish->lease_hint, entry,
				    sum_capped(r->latest_ns, lease_ns), now_ns, &r->lease_tag);
	r->owner_pid = g->owner.pid;
	if (spares && r->lease != WEIR_NONE && r->spare[SCOPE_HOST].limit != 0)
		weir_lease_mark_spare(g->segment, r->lease, r->spare[SCOPE_HOST].tag);
}

/* Whether a scope that limits the request has no entry, so that spares keep what it limits. Seldom. */
static bool needs_spares(const struct weir_gate *g, const struct scope scope[WEIR_SCOPES])
{
	return scope_is_overflow(g, &scope[SCOPE_HOST]) || (scope[SCOPE_RUN].slot == WEIR_NONE && g->run.id[0] != '\0') ||
	       (scope[SCOPE_TOTAL].slot == WEIR_NONE && scope[SCOPE_TOTAL].rule != NULL) ||
	       (scope[SCOPE_NARROW].slot == WEIR_NONE && scope[SCOPE_NARROW].rule != NULL) ||
	       (scope[SCOPE_CLIENT].slot == WEIR_NONE && scope[SCOPE_CLIENT].rule != NULL);
}

enum weir_verdict weir_gate_begin(const struct weir_gate *g, struct weir_request *r, const struct weir_wish *wish,
				  uint64_t now_ns, uint64_t *wake_ns)
{
	struct scope scope[WEIR_SCOPES];
	bool spares;

	memset(r, 0, weir_opaque(sizeof *r));
	r->lease = WEIR_NONE;
	r->begun_ns = r->admitted_ns = now_ns;
	r->paid = wish->paid;
	r->tentative = wish->tentative;
	r->in_loop = wish->in_loop;
	r->ahead = wish->ahead;
	r->hurried = wish->patience_ns != 0;
	r->asker_later = wish->asker_later;
	r->unit_taken = wish->unit_taken;
	if (g->segment != NULL && g->segment->base != NULL && wish->credential != 0)
		r->asker = request_asker(g->segment, wish->credential, wish->path);
	*wake_ns = now_ns;
	count_begins(g, r, wish->host_port);
	if (g->segment == NULL || g->segment->base == NULL || !scope_resolve(g, wish->host_port, &wish->asks, now_ns, scope)) {
		r->phase = WEIR_PHASE_EXEMPT;
		r->scope[SCOPE_HOST].slot = WEIR_NONE;
		count_one(g, r, WEIR_SUMMARY_EXEMPT);
		return WEIR_GO;
	}
	for (unsigned tries = 0;; tries++) {
		if (tries == RESOLVE_TRIES)
			scopes_overflow(g, scope);
		r->latest_ns = latest(g, scope, wish->patience_ns, now_ns);
		for (unsigned i = 0; i < WEIR_SCOPES; i++) {
			r->scope[i].slot = scope[i].slot;
			r->scope[i].word = scope[i].word;
			if (scope[i].slot != WEIR_NONE)
				atomic_store_explicit(&scope[i].entry->used_ns, now_ns, memory_order_relaxed);
		}
		spares = needs_spares(g, scope);
		if (spares || tries > 0)
			spare_permits(g, wish->host_port, scope, r->spare);
		claim_lease(g, r, wish, spares || tries > 0, now_ns);
		/* Dekker with who evicts: our lease, then the index; his mark in the index, then the leases. From here on the
		 * entries stay ours while we have the lease. Where they are taken from us again and again the overflow, which
		 * nobody evicts, is the place to be: never a stranger's entry. */
		if (scopes_are_still(g, scope, r->lease != WEIR_NONE) || tries == RESOLVE_TRIES)
			break;
		request_free_lease(g, r);
		if (!scope_resolve(g, wish->host_port, &wish->asks, now_ns, scope)) {
			r->phase = WEIR_PHASE_EXEMPT;
			r->scope[SCOPE_HOST].slot = WEIR_NONE;
			return WEIR_GO;
		}
	}
	queue_begin(g, r, &scope[SCOPE_HOST]);
	scopes_settle_in(g, scope);
	r->watched = scope[SCOPE_HOST].rule->degrade.watch != 0 && !scope_is_overflow(g, &scope[SCOPE_HOST]);
	r->retries = g->attempts != 0 ? g->attempts > 1 : scope[SCOPE_HOST].rule->retry.attempts > 1;
	if (scope_is_overflow(g, &scope[SCOPE_HOST]) && allowances_any(scope))
		allowances_name(g, r, wish->host_port);
	/* Its connection took one of the host's, and not of what stands apart from it. */
	if ((scope[SCOPE_HOST].rule->narrow.flags & WEIR_NARROW_IS) != 0)
		r->unit_taken = false;
	if (!wish->paid)
		r->not_before_ns =
			spares ? spare_take(g, wish->host_port, scope, g->dry_run ? UINT64_MAX : r->latest_ns, now_ns) : now_ns;
	r->phase = WEIR_PHASE_WAITING;
	return request_told(g, r, request_look(g, r, scope, now_ns, wake_ns));
}

void weir_gate_cancel(const struct weir_gate *g, struct weir_request *r, uint64_t now_ns)
{
	struct scope s;
	bool was_admitted = r->phase == WEIR_PHASE_ADMITTED;

	if (was_admitted) {
		struct weir_result ignored = {.outcome = WEIR_IGNORED};

		weir_gate_settle(g, r, &ignored, now_ns);
		return;
	}
	if (r->phase != WEIR_PHASE_WAITING) {
		r->phase = WEIR_PHASE_OVER;
		return;
	}
	if (scope_is_still(g, r, SCOPE_HOST) && scope_of(g, SCOPE_HOST, r->scope[SCOPE_HOST].slot, &s))
		atomic_fetch_add_explicit(&s.entry->counters.cancelled, 1, memory_order_relaxed);
	count_cancelled(g, r);
	request_leave_permits(g, r, false);
	request_give_allowances(g, r);
	request_give_units(g, r);
	request_free_lease(g, r);
	r->phase = WEIR_PHASE_OVER;
}
