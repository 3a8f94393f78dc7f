/* SPDX-License-Identifier: MIT */
#include "breakers.h"

#include <stdlib.h>

#include "record.h"

struct breakers {
	const struct sim_breaker_kind *kind;
	uint64_t generation[SIM_WORKERS];
	_Alignas(16) char breaker[];
};

void *sim_breakers_start(const struct sim_breaker_kind *kind, const struct sim_setting *setting)
{
	struct breakers *b = calloc(1, sizeof(*b) + kind->bytes);

	b->kind = kind;
	kind->start(b->breaker, setting->seed);
	return b;
}

enum sim_verdict sim_breakers_ask(void *self, unsigned worker, uint64_t now_ns, uint64_t *wake_ns)
{
	struct breakers *b = self;

	*wake_ns = now_ns;
	return b->kind->allow(b->breaker, (double)now_ns / 1e9, &b->generation[worker]) ? SIM_GO : SIM_NO;
}

void sim_breakers_result(void *self, unsigned worker, const struct sim_result *r, uint64_t now_ns)
{
	struct breakers *b = self;

	b->kind->done(b->breaker, (double)now_ns / 1e9, b->generation[worker], r->answer.status != SIM_OK);
}
