/* SPDX-License-Identifier: MIT */
#include "record.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *room(size_t count, size_t size)
{
	void *p = calloc(count, size);

	if (p == NULL) {
		perror("simulate");
		exit(1);
	}
	return p;
}

void sim_record_open(struct sim_record *r)
{
	memset(r, 0, sizeof(*r));
	r->accepted = room(SIM_SECONDS, sizeof(*r->accepted));
	r->throttled = room(SIM_SECONDS, sizeof(*r->throttled));
	r->sent = room(SIM_SECONDS, sizeof(*r->sent));
	r->failed = room(SIM_SECONDS, sizeof(*r->failed));
	r->refused = room(SIM_SECONDS, sizeof(*r->refused));
	r->in_flight = room(SIM_SECONDS, sizeof(*r->in_flight));
	r->refusal_ns = room(SIM_REFUSALS, sizeof(*r->refusal_ns));
}

void sim_record_clear(struct sim_record *r)
{
	struct sim_record old = *r;
	/* Clearing what was written is most of the cost of a short run otherwise. */
	size_t used = (size_t)(old.end_ns / 1000000000) + 2;

	used = used < SIM_SECONDS ? used : SIM_SECONDS;
	memset(r, 0, sizeof(*r));
	r->accepted = memset(old.accepted, 0, used * sizeof(*r->accepted));
	r->throttled = memset(old.throttled, 0, used * sizeof(*r->throttled));
	r->sent = memset(old.sent, 0, used * sizeof(*r->sent));
	r->failed = memset(old.failed, 0, used * sizeof(*r->failed));
	r->refused = memset(old.refused, 0, used * sizeof(*r->refused));
	r->in_flight = memset(old.in_flight, 0, used * sizeof(*r->in_flight));
	r->refusal_ns = old.refusal_ns;
}

void sim_record_close(struct sim_record *r)
{
	free(r->accepted);
	free(r->throttled);
	free(r->sent);
	free(r->failed);
	free(r->refused);
	free(r->in_flight);
	free(r->refusal_ns);
}

void sim_record_latency(struct sim_record *r, uint64_t ns)
{
	double step = ns < 1000 ? 0 : log((double)ns / 1000) / log(1.01);

	r->latency[step < SIM_LATENCY_STEPS - 1 ? (unsigned)step : SIM_LATENCY_STEPS - 1]++;
}
