/* SPDX-License-Identifier: MIT */
#include "weir/concurrency.h"

#include <stddef.h>

uint32_t weir_concurrency_limit(const struct weir_concurrency *c, const struct weir_concurrency_params *p)
{
	(void)c;
	if (p->mode == WEIR_CONCURRENCY_FIXED && p->max != 0)
		return p->max;
	return UINT32_MAX;
}

bool weir_concurrency_note(struct weir_concurrency *c, const struct weir_concurrency_params *p, uint64_t latency_ns,
			   uint32_t in_flight, bool ok, bool lost, uint64_t now_ns)
{
	(void)c;
	(void)p;
	(void)latency_ns;
	(void)in_flight;
	(void)ok;
	(void)lost;
	(void)now_ns;
	return false;
}

struct weir_concurrency_change weir_concurrency_update(struct weir_concurrency *c, const struct weir_concurrency_params *p,
						       uint64_t now_ns)
{
	(void)now_ns;
	return (struct weir_concurrency_change){
		.changed = false, .from = weir_concurrency_limit(c, p), .to = weir_concurrency_limit(c, p)};
}

void weir_concurrency_reset(struct weir_concurrency *c)
{
	for (size_t i = 0; i < sizeof(c->sample) / sizeof(c->sample[0]); i++)
		atomic_store_explicit(&c->sample[i], 0, memory_order_relaxed);
}
