/* SPDX-License-Identifier: MIT */
#include "queue.h"

#include "look.h"

#define TRIES 1000 /* a compare-and-swap that loses has let somebody else leave */

unsigned queue_class(const struct weir_gate *g, const struct weir_rule *rule)
{
	uint32_t said = g->priority != 0 ? g->priority : rule->queue.priority;

	return said >= 1 && said <= WEIR_CLASSES ? said - 1 : (unsigned)WEIR_CLASS_NORMAL;
}

void queue_begin(const struct weir_gate *g, struct weir_request *r, const struct scope *host)
{
	r->class = queue_class(g, host->rule);
	weir_lease_mark_class(g->segment, r->lease, r->class);
}

static bool any_below(uint64_t depth, unsigned class)
{
	for (unsigned c = class + 1; c < WEIR_CLASSES; c++)
		if (weir_depth_of(depth, c) != 0)
			return true;
	return false;
}

bool queue_is_full(const struct scope *host, unsigned class)
{
	uint32_t max = host->rule->queue.max;
	uint64_t depth = max != 0 ? atomic_load_explicit(&host->entry->queue.depth, memory_order_relaxed) : 0;

	return max != 0 && weir_depth_all(depth) >= max && !any_below(depth, class);
}

/* There is one too many, and nobody below it. */
static bool is_to_leave(uint64_t depth, unsigned class, uint32_t max)
{
	return weir_depth_all(depth) > max && weir_depth_of(depth, class) != 0 && !any_below(depth, class);
}

/* Takes it off the depth, if there is one too many still. */
static bool take_off(struct weir_entry_queue *q, unsigned class, uint32_t max)
{
	uint64_t seen = atomic_load_explicit(&q->depth, memory_order_relaxed);

	for (int i = 0; i < TRIES && is_to_leave(seen, class, max); i++)
		if (atomic_compare_exchange_weak_explicit(&q->depth, &seen, weir_depth_less(seen, class), memory_order_relaxed,
							  memory_order_relaxed))
			return true;
	return false;
}

/* It makes room. Of several who find that at once each takes itself off, until there is not one too many. The mark first, as
 * ever: who dies with it is taken off by the reaper, who dies without it is counted until somebody compares, and nobody is taken
 * off twice. */
static bool makes_room(const struct weir_gate *g, struct weir_request *r, struct weir_entry_queue *q, uint32_t max)
{
	if (!is_to_leave(atomic_load_explicit(&q->depth, memory_order_relaxed), r->class, max))
		return false;
	if (!weir_lease_count(g->segment, r->lease, r->lease_tag, r->owner_pid, false)) {
		r->counted = false; /* a reaper has taken it off */
		return true;
	}
	if (take_off(q, r->class, max)) {
		r->counted = false;
		return true;
	}
	weir_lease_count(g->segment, r->lease, r->lease_tag, r->owner_pid, true);
	return false;
}

/* Where it has no lease (or has it no more) there is nobody who would take it off, if it died. */
static void enter(const struct weir_gate *g, struct weir_request *r, struct weir_entry_queue *q)
{
	if (r->lease == WEIR_NONE)
		return;
	weir_depth_enter(q, r->class);
	r->counted = weir_lease_count(g->segment, r->lease, r->lease_tag, r->owner_pid, true);
	if (!r->counted)
		weir_depth_leave(q, r->class);
}

/* Whether it is full still when the dead are out of it. Where no agent runs nobody else would look for them. */
static bool is_full_of_living(const struct weir_gate *g, const struct weir_request *r, const struct scope *host, uint64_t now_ns)
{
	if (!request_reap(g, now_ns))
		return true;
	queue_correct(g->segment, host->slot, r->lease);
	return queue_is_full(host, r->class);
}

enum weir_verdict queue_after_look(const struct weir_gate *g, struct weir_request *r, const struct scope *host,
				   enum weir_verdict verdict, uint64_t now_ns)
{
	struct weir_entry_queue *q = &host->entry->queue;
	uint32_t max = host->rule->queue.max;

	if (verdict != WEIR_WAIT) {
		queue_leave(g, r);
		return verdict;
	}
	if (scope_is_overflow(g, host))
		return verdict;
	if (!r->counted) {
		if (queue_is_full(host, r->class) && is_full_of_living(g, r, host, now_ns))
			return request_refuse(g, r, host, WEIR_CAUSE_QUEUE_FULL, 0, false, now_ns);
		enter(g, r, q);
		return verdict;
	}
	if (max == 0 || !makes_room(g, r, q, max))
		return verdict;
	return request_refuse(g, r, host, WEIR_CAUSE_QUEUE_FULL, 0, false, now_ns);
}

/* The mark first: who dies in between is counted until somebody compares. Where the mark is gone a reaper has done it. */
void queue_leave(const struct weir_gate *g, struct weir_request *r)
{
	if (!r->counted)
		return;
	r->counted = false;
	if (weir_lease_count(g->segment, r->lease, r->lease_tag, r->owner_pid, false) &&
	    r->scope[SCOPE_HOST].slot <= g->segment->entries)
		weir_depth_leave(&g->segment->entry[r->scope[SCOPE_HOST].slot].queue, r->class);
}

void queue_note_refused(const struct weir_request *r, const struct scope *host)
{
	atomic_fetch_add_explicit(&host->entry->queue.refused[r->class % WEIR_CLASSES], 1, memory_order_relaxed);
}

void queue_note_delayed(const struct weir_request *r, const struct scope *host)
{
	atomic_fetch_add_explicit(&host->entry->queue.delayed[r->class % WEIR_CLASSES], 1, memory_order_relaxed);
}

void queue_correct(const struct weir_segment *s, uint32_t slot, uint32_t except)
{
	struct weir_entry_queue *q = &s->entry[slot].queue;
	uint64_t depth = atomic_load_explicit(&q->depth, memory_order_seq_cst), right = depth & ~(WEIR_DEPTH_CHANGE - 1);
	uint32_t waiting[WEIR_CLASSES];

	if (weir_depth_all(depth) == 0)
		return;
	weir_lease_waiting(s, slot, except, waiting);
	for (unsigned c = 0; c < WEIR_CLASSES; c++) {
		uint32_t said = weir_depth_of(depth, c);

		right |= (uint64_t)(said < waiting[c] ? said : waiting[c]) << (WEIR_DEPTH_BITS * c);
	}
	if (right != depth)
		atomic_compare_exchange_strong_explicit(&q->depth, &depth, right + WEIR_DEPTH_CHANGE, memory_order_relaxed,
							memory_order_relaxed);
}
