/* SPDX-License-Identifier: MIT */
#include "weir/hold.h"

/* As in bucket.c: losing this often is not contention. */
#define CAS_TRIES 10000

/* A hold that ends later than this (31 days) was never set by anybody: damage, and read as no hold, or a flipped bit would block
 * a host for ever. */
#define SANE_NS (UINT64_C(31) * 24 * 3600 * 1000000000)

static uint64_t sane(uint64_t until_ns, uint64_t now_ns)
{
	return until_ns > now_ns && until_ns - now_ns > SANE_NS ? 0 : until_ns;
}

static uint64_t capped(uint64_t until_ns, uint64_t max_ns, uint64_t now_ns)
{
	uint64_t latest = max_ns < UINT64_MAX - now_ns ? now_ns + max_ns : UINT64_MAX;

	return until_ns < latest ? until_ns : latest;
}

bool weir_hold_raise(struct weir_hold *h, uint64_t until_ns, uint64_t max_ns, uint64_t now_ns)
{
	uint64_t until = capped(until_ns, max_ns, now_ns);
	uint64_t seen = atomic_load_explicit(&h->until_ns, memory_order_relaxed);

	for (int i = 0; i < CAS_TRIES; i++) {
		/* A stored time beyond the cap is damage or an older, longer hold.max: it is replaced. */
		if (seen >= until && seen == capped(sane(seen, now_ns), max_ns, now_ns))
			return false;
		if (atomic_compare_exchange_weak_explicit(&h->until_ns, &seen, until, memory_order_release, memory_order_relaxed))
			return until > now_ns;
	}
	return false;
}

uint64_t weir_hold_until_ns(const struct weir_hold *h, uint64_t max_ns, uint64_t now_ns)
{
	return capped(sane(atomic_load_explicit(&h->until_ns, memory_order_relaxed), now_ns), max_ns, now_ns);
}

uint64_t weir_hold_settle_ns(struct weir_hold *h, uint64_t max_ns, uint64_t now_ns)
{
	uint64_t seen = atomic_load_explicit(&h->until_ns, memory_order_relaxed);
	uint64_t until = capped(sane(seen, now_ns), max_ns, now_ns);

	/* Where this fails somebody else has just written, and the next look sees to that. */
	if (until != seen)
		atomic_compare_exchange_strong_explicit(&h->until_ns, &seen, until, memory_order_relaxed, memory_order_relaxed);
	return until;
}

void weir_hold_clear(struct weir_hold *h)
{
	atomic_store_explicit(&h->until_ns, 0, memory_order_release);
}
