/* SPDX-License-Identifier: MIT */
#include "weir/concurrency.h"

/* A CAS fails only because another one succeeded. Losing this often means hostile memory. */
#define TRIES 1000

static uint64_t word_of(uint64_t changes, uint32_t count)
{
	return (changes << 32) | count;
}

bool weir_concurrency_take(struct weir_concurrency *c, uint32_t limit)
{
	uint64_t seen = atomic_load_explicit(&c->permits, memory_order_relaxed);

	for (int i = 0; i < TRIES; i++) {
		uint32_t count = (uint32_t)seen;

		if (count >= limit)
			return false;
		if (atomic_compare_exchange_weak_explicit(&c->permits, &seen, word_of((seen >> 32) + 1, count + 1),
							  memory_order_acq_rel, memory_order_relaxed))
			return true;
	}
	return false;
}

void weir_concurrency_give(struct weir_concurrency *c)
{
	uint64_t seen = atomic_load_explicit(&c->permits, memory_order_relaxed);

	/* Where this gives up the count is one too high until the auditor corrects it from the leases. */
	for (int i = 0; i < TRIES; i++) {
		uint32_t count = (uint32_t)seen;

		if (count == 0)
			return;
		if (atomic_compare_exchange_weak_explicit(&c->permits, &seen, word_of((seen >> 32) + 1, count - 1),
							  memory_order_acq_rel, memory_order_relaxed))
			return;
	}
}

uint32_t weir_concurrency_count(const struct weir_concurrency *c)
{
	return (uint32_t)atomic_load_explicit(&c->permits, memory_order_relaxed);
}

uint64_t weir_concurrency_word(const struct weir_concurrency *c)
{
	return atomic_load_explicit(&c->permits, memory_order_acquire);
}

bool weir_concurrency_correct(struct weir_concurrency *c, uint64_t seen, uint32_t count)
{
	return atomic_compare_exchange_strong_explicit(&c->permits, &seen, word_of((seen >> 32) + 1, count), memory_order_acq_rel,
						       memory_order_relaxed);
}
