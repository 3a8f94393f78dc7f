/* SPDX-License-Identifier: MIT */
#include "weir/outage.h"

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

/* In place of a time: the host was never up. */
#define NEVER_UP UINT64_C(1)

static uint64_t beginning(const struct weir_meaning *m, uint64_t now_ns)
{
	return load(&m->succeeded_ns) != 0 ? now_ns : NEVER_UP;
}

void weir_outage_begin(struct weir_meaning *m, uint64_t now_ns)
{
	atomic_store_explicit(&m->outage_ns, beginning(m, now_ns), memory_order_relaxed);
}

void weir_outage_end(struct weir_meaning *m)
{
	if (load(&m->outage_ns) != 0)
		atomic_store_explicit(&m->outage_ns, 0, memory_order_relaxed);
}

void weir_outage_met(struct weir_meaning *m, uint64_t now_ns)
{
	uint64_t since = load(&m->outage_ns);

	/* One in the future is damage, or a clock that was read a moment later. Whoever is faster is as good as this one. */
	if (since == 0 || since > now_ns)
		atomic_compare_exchange_strong_explicit(&m->outage_ns, &since, beginning(m, now_ns), memory_order_relaxed,
							memory_order_relaxed);
}

uint64_t weir_outage_grace_ends_ns(const struct weir_meaning *m, uint64_t grace_ns, uint64_t now_ns)
{
	uint64_t since = load(&m->outage_ns);

	if (since == 0 || since > now_ns)
		since = beginning(m, now_ns);
	if (since == NEVER_UP)
		return 0;
	return grace_ns < UINT64_MAX - since ? since + grace_ns : UINT64_MAX;
}
