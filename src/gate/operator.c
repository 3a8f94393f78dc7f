/* SPDX-License-Identifier: MIT */
/* The operator's hand: weir set, reset, breaker. Runs in the agent. */
#include "scope.h"

#include <sched.h>

#include "weir/trylock.h"

/* An update takes a microsecond; an operator can wait for a few of them. */
#define LOCK_TRIES 1000

static uint64_t take_lock(struct weir_entry *e, uint64_t now_ns)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		uint64_t token = weir_trylock_take(&e->update_lock, now_ns);

		if (token != 0)
			return token;
		sched_yield();
	}
	return 0;
}

static bool entry_of(const struct weir_gate *g, const char *host_port, bool make, uint64_t now_ns, struct scope *out)
{
	char key[WEIR_KEY_MAX];
	uint32_t rule, slot;

	if (g->segment == NULL || g->segment->base == NULL)
		return false;
	weir_gate_key(g->segment, host_port, key, &rule);
	slot = weir_entry_find(g->segment, key);
	if (slot == WEIR_NONE && make) {
		slot = weir_entry_acquire(g->segment, key, now_ns);
		if (slot >= g->segment->entries)
			return false;
	}
	return slot < g->segment->entries && scope_of(g, SCOPE_HOST, slot, out);
}

bool weir_gate_set(const struct weir_segment *seg, const char *host_port, uint64_t rate, uint32_t burst, uint32_t concurrency,
		   uint64_t for_ns, bool make, uint64_t now_ns)
{
	struct weir_gate g = {.segment = seg};
	uint64_t until = for_ns == 0 ? 0 : now_ns + for_ns;
	struct scope s;

	if (!entry_of(&g, host_port, make, now_ns, &s))
		return false;
	/* The end first: a reader in between sees the old values with the new end, never an override without one. */
	atomic_store_explicit(&s.entry->set_until_ns, until, memory_order_relaxed);
	atomic_store_explicit(&s.entry->set_burst, burst, memory_order_relaxed);
	atomic_store_explicit(&s.entry->set_concurrency, concurrency, memory_order_relaxed);
	atomic_store_explicit(&s.entry->set_rate, rate, memory_order_release);
	atomic_store_explicit(&s.entry->used_ns, now_ns, memory_order_relaxed);
	scope_apply(&g, &s, now_ns);
	scope_event(&g, &s, WEIR_EVENT_OVERRIDE_SET, WEIR_CAUSE_OPERATOR, 0, rate, until, now_ns);
	weir_entry_wake(seg, s.slot);
	return true;
}

bool weir_gate_reset(const struct weir_segment *seg, const char *host_port, uint64_t now_ns)
{
	struct weir_gate g = {.segment = seg};
	struct weir_rate_params own;
	struct scope s;
	uint64_t token;

	if (!entry_of(&g, host_port, false, now_ns, &s))
		return false;
	atomic_store_explicit(&s.entry->set_rate, 0, memory_order_relaxed);
	atomic_store_explicit(&s.entry->set_burst, 0, memory_order_relaxed);
	atomic_store_explicit(&s.entry->set_concurrency, 0, memory_order_relaxed);
	atomic_store_explicit(&s.entry->set_until_ns, 0, memory_order_relaxed);
	weir_hold_clear(&s.entry->hold);
	weir_quota_share_clear(&s.entry->quota);
	weir_window_clear(&s.entry->window);
	weir_outcomes_clear(&s.entry->outcomes);
	weir_degrade_clear(&s.entry->degrade);
	weir_meaning_clear(&s.entry->meaning);
	weir_breaker_force(&s.entry->breaker, WEIR_BREAKER_CLOSED, now_ns);
	token = take_lock(s.entry, now_ns);
	if (token != 0) {
		weir_bucket_thaw(&s.entry->bucket[0], now_ns);
		weir_rate_reset(&s.entry->rate, &s.entry->bucket[0], scope_rate_params(&s, now_ns, &own), now_ns);
		weir_concurrency_reset(&s.entry->concurrency);
		weir_refusal_clear(&s.entry->refusal);
		weir_trylock_release(&s.entry->update_lock, token);
	}
	atomic_store_explicit(&s.entry->applied, 0, memory_order_relaxed);
	scope_apply(&g, &s, now_ns);
	scope_event(&g, &s, WEIR_EVENT_RESET, WEIR_CAUSE_OPERATOR, 0, 0, 0, now_ns);
	weir_entry_wake(seg, s.slot);
	return token != 0;
}

bool weir_gate_breaker(const struct weir_segment *seg, const char *host_port, enum weir_breaker_state state, bool make,
		       uint64_t now_ns)
{
	struct weir_gate g = {.segment = seg};
	struct scope s;

	if (!entry_of(&g, host_port, make, now_ns, &s))
		return false;
	weir_breaker_force(&s.entry->breaker, state, now_ns);
	atomic_store_explicit(&s.entry->used_ns, now_ns, memory_order_relaxed);
	scope_event(&g, &s, state == WEIR_BREAKER_FORCED_OPEN ? WEIR_EVENT_BREAKER_OPENED : WEIR_EVENT_BREAKER_CLOSED,
		    WEIR_CAUSE_OPERATOR, 0, 0, 0, now_ns);
	weir_entry_wake(seg, s.slot);
	return true;
}
