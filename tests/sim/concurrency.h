/* SPDX-License-Identifier: MIT */
/* The frame of the concurrency baselines: permits of one limit shared by all, waiting in place of rejection. */
#ifndef SIM_CONCURRENCY_H
#define SIM_CONCURRENCY_H

#include "controller.h"

struct sim_permits {
	unsigned flying;
	uint64_t moved;
	unsigned (*limit)(void *limiter);
	/* in_flight: when the request was let go, itself included; dropped: timed out or refused by the server. */
	void (*sample)(void *limiter, uint64_t now_ns, uint64_t rtt_ns, unsigned in_flight, bool dropped);
	void *limiter;
	unsigned in_flight[256]; /* by worker */
};

void *sim_permits_start(void *limiter, unsigned (*limit)(void *), void (*sample)(void *, uint64_t, uint64_t, unsigned, bool));
void sim_permits_stop(void *self);
enum sim_verdict sim_permits_ask(void *self, unsigned worker, uint64_t now_ns, uint64_t *wake_ns);
void sim_permits_result(void *self, unsigned worker, const struct sim_result *r, uint64_t now_ns);
uint64_t sim_permits_freed(void *self);
void sim_permits_trace(void *self, uint64_t now_ns, char *out, size_t size);

#endif
