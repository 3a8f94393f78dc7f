/* SPDX-License-Identifier: MIT */
/* Keeps an entry's paces in line with what the policy and the operator say. */
#include "scope.h"

#include "weir/trylock.h"

/* Multiplier of Knuth's MMIX generator; any odd constant with mixed bits serves. */
#define MIX UINT64_C(6364136223846793005)

/* A bucket stands still for a hold (hold.max) or for a pause that the controller has learned (PAUSE_MAX_NS, a day); nothing for
 * longer than the longest hold (31 days, hold.c). */
#define FREEZE_MAX_NS (UINT64_C(86400) * 1000000000)
#define DAMAGED_NS    (31 * FREEZE_MAX_NS)

/* Never 0, so that a fresh entry is always applied once. */
static uint64_t wanted(const struct scope *s, uint64_t now_ns)
{
	const struct weir_entry *e = s->entry;
	uint64_t h = (s->generation + 1) * MIX;

	if (atomic_load_explicit(&e->set_rate, memory_order_relaxed) != 0 && weir_gate_overridden(e, now_ns)) {
		h = (h ^ atomic_load_explicit(&e->set_rate, memory_order_relaxed)) * MIX;
		h = (h ^ atomic_load_explicit(&e->set_burst, memory_order_relaxed)) * MIX;
	}
	return h | 1;
}

static bool same_pace(const struct weir_bucket *b, uint64_t rate, uint64_t burst)
{
	struct weir_pace p;

	if (rate == 0 && atomic_load_explicit(&b->generation, memory_order_relaxed) == 0)
		return true;
	p = weir_bucket_pace(b);
	return p.rate == rate && (rate == 0 || p.burst == (burst < 1 ? 1 : burst));
}

void scope_freeze(const struct scope *s, uint64_t now_ns)
{
	uint64_t until = weir_hold_until_ns(&s->entry->hold, s->rule->hold_max_ns, now_ns);

	if (until > now_ns && weir_bucket_pace(&s->entry->bucket[0]).t0_ns < until)
		weir_bucket_freeze(&s->entry->bucket[0], until, now_ns);
}

uint64_t scope_frozen_in_vain_ns(const struct scope *s, unsigned which, uint64_t now_ns)
{
	uint64_t t0_ns = weir_bucket_pace(&s->entry->bucket[which]).t0_ns, ahead_ns = t0_ns > now_ns ? t0_ns - now_ns : 0;
	uint64_t hold = weir_hold_until_ns(&s->entry->hold, s->rule->hold_max_ns, now_ns);

	if (ahead_ns <= (s->rule->hold_max_ns > FREEZE_MAX_NS ? s->rule->hold_max_ns : FREEZE_MAX_NS) && ahead_ns <= DAMAGED_NS)
		return 0;
	return hold > now_ns && hold < t0_ns ? t0_ns - hold : ahead_ns;
}

static bool thaw(const struct weir_gate *g, const struct scope *s, uint64_t now_ns)
{
	uint64_t token = weir_trylock_take(&s->entry->update_lock, now_ns);
	bool any = false;

	for (unsigned j = 0; j < WEIR_RATES && token != 0; j++) {
		uint64_t in_vain_ns = scope_frozen_in_vain_ns(s, j, now_ns);

		if (in_vain_ns == 0)
			continue;
		weir_bucket_thaw(&s->entry->bucket[j], weir_bucket_pace(&s->entry->bucket[j]).t0_ns - in_vain_ns);
		any = true;
	}
	weir_trylock_release(&s->entry->update_lock, token);
	if (any)
		weir_entry_wake(g->segment, s->slot);
	return any;
}

bool scopes_thaw(const struct weir_gate *g, const struct scope scope[WEIR_SCOPES], uint64_t now_ns)
{
	bool any = false;

	for (unsigned i = 0; i < WEIR_SCOPES; i++) {
		bool in_vain = false;

		for (unsigned j = 0; j < WEIR_RATES && scope[i].slot != WEIR_NONE; j++)
			in_vain |= scope_frozen_in_vain_ns(&scope[i], j, now_ns) != 0;
		any |= in_vain && thaw(g, &scope[i], now_ns);
	}
	return any;
}

bool scope_paced_to_spare(const struct scope *s, uint64_t now_ns)
{
	uint64_t until = atomic_load_explicit(&s->entry->quota.spare_ns, memory_order_relaxed);

	return until > now_ns && until - now_ns <= WEIR_SHARE_WINDOW_MAX_NS;
}

/* A frame of its own: it is seldom called. */
static __attribute__((noinline)) void apply(const struct weir_gate *g, const struct scope *s, uint64_t want, uint64_t now_ns)
{
	struct weir_entry *e = s->entry;
	uint64_t token;
	struct weir_rate_answer tick = {.signal = WEIR_RATE_TICK,
					.cap = atomic_load_explicit(&e->refusal.cap, memory_order_relaxed)};
	struct weir_rate_change change;
	struct weir_rate_params own;

	token = weir_trylock_take(&e->update_lock, now_ns);
	if (token == 0)
		return; /* whoever has it, or the next request, applies it */
	change = weir_rate_update(&e->rate, &e->bucket[0], scope_rate_params(s, now_ns, &own), &tick, now_ns);
	atomic_store_explicit(&e->quota.spare_ns, change.spare_until_ns, memory_order_relaxed);
	for (unsigned i = 1; i < WEIR_RATES; i++) {
		const struct weir_fixed_rate *f = &s->rule->fixed[i - 1];

		if (!same_pace(&e->bucket[i], f->rate, f->burst))
			weir_bucket_set(&e->bucket[i], f->rate, f->burst, now_ns);
	}
	scope_freeze(s, now_ns);
	/* Last: an updater that dies before this leaves the work to the next request. */
	atomic_store_explicit(&e->applied, want, memory_order_relaxed);
	weir_trylock_release(&e->update_lock, token);
	weir_entry_wake(g->segment, s->slot);
}

void scope_apply(const struct weir_gate *g, const struct scope *s, uint64_t now_ns)
{
	uint64_t want = wanted(s, now_ns);

	if (s->slot != g->segment->entries && atomic_load_explicit(&s->entry->applied, memory_order_relaxed) != want)
		apply(g, s, want, now_ns);
}
