/* SPDX-License-Identifier: MIT */
#include "concurrency.h"

#include <stdio.h>
#include <stdlib.h>

void *sim_permits_start(void *limiter, unsigned (*limit)(void *), void (*sample)(void *, uint64_t, uint64_t, unsigned, bool))
{
	struct sim_permits *p = calloc(1, sizeof(*p));

	p->limiter = limiter;
	p->limit = limit;
	p->sample = sample;
	return p;
}

void sim_permits_stop(void *self)
{
	struct sim_permits *p = self;

	free(p->limiter);
	free(p);
}

enum sim_verdict sim_permits_ask(void *self, unsigned worker, uint64_t now_ns, uint64_t *wake_ns)
{
	struct sim_permits *p = self;

	if (p->flying >= p->limit(p->limiter)) {
		*wake_ns = now_ns + 1000000000;
		return SIM_WAIT;
	}
	p->in_flight[worker] = ++p->flying;
	return SIM_GO;
}

void sim_permits_result(void *self, unsigned worker, const struct sim_result *r, uint64_t now_ns)
{
	struct sim_permits *p = self;
	bool dropped = r->answer.status != SIM_OK && r->answer.status != SIM_ERROR;

	p->flying--;
	p->moved++;
	p->sample(p->limiter, now_ns, r->latency_ns, p->in_flight[worker], dropped);
}

uint64_t sim_permits_freed(void *self)
{
	return ((struct sim_permits *)self)->moved;
}

void sim_permits_trace(void *self, uint64_t now_ns, char *out, size_t size)
{
	struct sim_permits *p = self;

	(void)now_ns;
	snprintf(out, size, "limit %u, %u out", p->limit(p->limiter), p->flying);
}
