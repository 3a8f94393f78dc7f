/* SPDX-License-Identifier: MIT */
/*
 * Permits in order. Who has to wait for one takes a place in its class's order (weir/order.h), by which it is woken where
 * the permit is not its host's alone: of a thousand who wait, those whose turn it is, and not all. Where several classes wait the
 * order decides, too, who gets the permit, each class below having its share; where one class waits alone, who comes first gets
 * it, as a permit that is kept for a sleeper is a permit less.
 *
 * What if the process dies here, or does not come: a permit that is left to somebody for FREE_MAX_NS goes to the next, and the
 * first of the order has left. Nobody sleeps for longer than a look every second, or, in front, every PERMIT_POLL_NS.
 */
#include "permits.h"

#include "look.h"
#include "release.h"

#define FREE_MAX_NS UINT64_C(50000000)

/* Bits of a futex word's waiters that stand for places; more than one place has the same. */
#define PLACE_BITS 30U
/* So many of each class are woken for a permit: the first may not be there any more. */
#define WOKEN 3U
/* Of so few all are woken: where several of the first have died, those behind them had no permit before they looked by
 * themselves. */
#define FEW 64U

static uint32_t bit_of(uint64_t place)
{
	return UINT32_C(1) << (place % PLACE_BITS);
}

static bool others_wait(const struct weir_order *o, unsigned class)
{
	for (unsigned c = 0; c < WEIR_CLASSES; c++)
		if (c != class && weir_order_waiting(o, c) != 0)
			return true;
	return false;
}

/* The place that it has in this scope; a lost one is forgotten. */
static uint64_t place_in(struct weir_request *r, unsigned scope, const struct weir_order *o)
{
	if (r->permit_place == 0 || r->permit_scope != scope)
		return 0;
	if (!weir_order_holds(o, r->class, r->permit_place))
		r->permit_place = 0;
	return r->permit_place;
}

/* Permits are free, and it is not the one they are left to. When that has lasted, those have left. */
static void doubt(struct weir_entry_queue *q, const struct weir_shares *shares, uint32_t free, uint64_t now_ns)
{
	uint64_t since = atomic_load_explicit(&q->free_since_ns, memory_order_relaxed);

	if (free == 0 || since == 0 || since > now_ns) {
		if ((free == 0) != (since == 0) || since > now_ns)
			atomic_store_explicit(&q->free_since_ns, free == 0 ? 0 : now_ns, memory_order_relaxed);
		return;
	}
	if (now_ns - since < FREE_MAX_NS)
		return;
	atomic_store_explicit(&q->free_since_ns, 0, memory_order_relaxed);
	weir_order_forfeit(&q->permits, free, shares, atomic_load_explicit(&q->given, memory_order_relaxed));
}

/* Whether one of the permits is its to take. */
static bool in_turn(struct weir_request *r, unsigned i, const struct scope *s, uint32_t limit, uint64_t now_ns)
{
	struct weir_entry_queue *q = &s->entry->queue;
	uint32_t count, free;
	uint64_t place;

	if (limit == UINT32_MAX || weir_order_empty(&q->permits))
		return true;
	place = place_in(r, i, &q->permits);
	if (!others_wait(&q->permits, r->class))
		return true;
	count = weir_concurrency_count(&s->entry->concurrency);
	free = limit > count ? limit - count : 0;
	if (free > weir_order_ahead(&q->permits, r->class, place, &s->rule->queue.shares,
				    atomic_load_explicit(&q->given, memory_order_relaxed)))
		return true;
	doubt(q, &s->rule->queue.shares, free, now_ns);
	return false;
}

static bool take_one(struct weir_request *r, unsigned i, const struct scope *s, uint32_t limit, uint64_t now_ns)
{
	struct weir_entry_queue *q = &s->entry->queue;

	if (!in_turn(r, i, s, limit, now_ns) || !weir_concurrency_take(&s->entry->concurrency, limit))
		return false;
	if (limit != UINT32_MAX && !weir_order_empty(&q->permits))
		atomic_fetch_add_explicit(&q->given, 1, memory_order_relaxed);
	return true;
}

/* It waits for a permit of this scope, with a place. Who does not sleep takes one where it decides: it could not be woken. */
static void queue_up(const struct weir_gate *g, struct weir_request *r, unsigned i, const struct scope *s)
{
	struct weir_order *o = &s->entry->queue.permits;

	r->wait_slot = s->slot;
	if (r->permit_place != 0 && r->permit_scope != i)
		request_leave_permits(g, r, false);
	if (place_in(r, i, o) == 0 && (!r->in_loop || others_wait(o, r->class))) {
		r->permit_scope = i;
		r->permit_place = weir_order_take(o, r->class);
	}
	r->wake_bits = WAKE_ON_CHANGE | (r->permit_place != 0 ? bit_of(r->permit_place) : 0);
}

/* What it has got goes back. The lease says MOVING until it has. */
static bool wait_for(const struct weir_gate *g, struct weir_request *r, uint32_t slot)
{
	r->wait_slot = slot;
	request_give_permits(g, r);
	weir_lease_set(g->segment, r->lease, r->lease_tag, r->owner_pid, WEIR_LEASE_WAITING, 0);
	return false;
}

bool request_take_permits(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES],
			  bool unlimited, uint64_t now_ns, bool *ramp)
{
	const struct weir_segment *s = g->segment;
	uint32_t spares = r->spare[SCOPE_RUN].limit | r->spare[SCOPE_TOTAL].limit | r->spare[SCOPE_NARROW].limit |
			  r->spare[SCOPE_CLIENT].limit;
	unsigned end = spares != 0 ? WEIR_SCOPES : scopes_end(scope);

	if (r->lease == WEIR_NONE)
		return true;
	if (!weir_lease_set(s, r->lease, r->lease_tag, r->owner_pid, WEIR_LEASE_MOVING, 0)) {
		r->lease = WEIR_NONE; /* reaped under our hands: past its deadline */
		request_leave_permits(g, r, true);
		return true;
	}
	for (unsigned i = 0; i < end; i++) {
		uint32_t limit;

		if (!unlimited && r->spare[i].limit != 0 &&
		    !weir_lease_spare_room(s, r->lease, i, r->spare[i].tag, r->spare[i].limit)) {
			r->wake_bits = 0;
			return wait_for(g, r, s->entries);
		}
		if (scope[i].slot == WEIR_NONE) {
			r->held |= r->spare[i].limit != 0 ? 1U << i : 0;
			continue;
		}
		limit = unlimited || scope[i].slot == s->entries ? UINT32_MAX : scope_permits(&scope[i], i, now_ns, ramp);
		if (!take_one(r, i, &scope[i], limit, now_ns)) {
			queue_up(g, r, i, &scope[i]);
			/* Who gave one back before it could see the place has woken nobody. */
			if (!take_one(r, i, &scope[i], limit, now_ns))
				return wait_for(g, r, scope[i].slot);
		}
		r->held |= 1U << i;
	}
	if (r->permit_place != 0)
		request_leave_permits(g, r, true);
	return true;
}

void request_leave_permits(const struct weir_gate *g, struct weir_request *r, bool served)
{
	if (r->permit_place != 0 && r->permit_scope < WEIR_SCOPES && r->scope[r->permit_scope].slot <= g->segment->entries &&
	    scope_is_still(g, r, r->permit_scope))
		weir_order_leave(&g->segment->entry[r->scope[r->permit_scope].slot].queue.permits, r->class, r->permit_place,
				 served);
	r->permit_place = 0;
}

uint64_t request_permit_poll_ns(const struct weir_gate *g, const struct weir_request *r)
{
	const struct weir_order *o;
	uint64_t poll_ns = PERMIT_POLL_NS, first;

	if (r->permit_place == 0 || r->permit_scope >= WEIR_SCOPES || r->scope[r->permit_scope].slot > g->segment->entries)
		return poll_ns;
	o = &g->segment->entry[r->scope[r->permit_scope].slot].queue.permits;
	first = atomic_load_explicit(&o->left[r->class % WEIR_CLASSES], memory_order_relaxed) >> 24;
	if (r->permit_place > first)
		poll_ns *= r->permit_place - first < SLEEP_MAX_NS / PERMIT_POLL_NS ? r->permit_place - first
										   : SLEEP_MAX_NS / PERMIT_POLL_NS;
	return poll_ns;
}

void request_wake_next(const struct weir_gate *g, uint32_t slot)
{
	const struct weir_order *o = &g->segment->entry[slot].queue.permits;
	uint32_t bits = WAKE_ON_ANSWER;

	weir_store_before_load();
	if (atomic_load_explicit(&g->segment->entry[slot].waiting, memory_order_seq_cst) <= FEW) {
		weir_entry_wake(g->segment, slot);
		return;
	}
	for (unsigned c = 0; c < WEIR_CLASSES && !weir_order_empty(o); c++) {
		uint64_t first = (atomic_load_explicit(&o->left[c], memory_order_relaxed) >> 24) + 1, at = first;

		for (unsigned woken = 0; woken < WOKEN && at < first + 24 && weir_order_waiting(o, c) != 0; at++)
			if (weir_order_holds(o, c, at)) {
				bits |= bit_of(at);
				woken++;
			}
	}
	weir_entry_wake_some(g->segment, slot, bits);
}
