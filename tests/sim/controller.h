/* SPDX-License-Identifier: MIT */
/* What a simulated client asks before each request: weir, a baseline, or the oracle. */
#ifndef SIM_CONTROLLER_H
#define SIM_CONTROLLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scenario.h"
#include "server.h"
#include "weir/profile.h"

/* When a run begins: some way from 0, as a machine's clock does. */
#define SIM_EPOCH_NS UINT64_C(1000000000000)

/* DIED: its process did, in the middle of the call. */
enum sim_verdict { SIM_GO, SIM_WAIT, SIM_NO, SIM_DIED };

struct sim_result {
	struct sim_answer answer; /* status SIM_SILENCE: the client timed out */
	uint64_t sent_ns, latency_ns;
};

struct sim_setting {
	const struct sim_scenario *scenario;
	struct sim_server *server; /* for the oracle alone */
	uint64_t seed;
	unsigned processes;
	unsigned workers;
	const unsigned *process_of; /* worker -> process */
};

struct sim_controller {
	const char *name;
	unsigned family; /* enum sim_family; 0: runs everywhere */
	/* Sends millions of requests that say little: long scenarios are cut short after the measured span's first window or 20
	 * min. */
	bool brief;
	void *(*start)(const struct sim_setting *setting);
	void (*stop)(void *self);
	/* Asks for a request. WAIT: *wake_ns is when to look again; NO: refused, *wake_ns is when it is worth asking again. */
	enum sim_verdict (*ask)(void *self, unsigned worker, uint64_t now_ns, uint64_t *wake_ns);
	/* Looks again; NULL: ask again. */
	enum sim_verdict (*look)(void *self, unsigned worker, uint64_t now_ns, uint64_t *wake_ns);
	void (*result)(void *self, unsigned worker, const struct sim_result *r, uint64_t now_ns);
	/* That result was not good, and was attempt number `attempt` of its request: whether to ask again, *wait_ns from now.
	 * NULL: never. */
	bool (*again)(void *self, unsigned worker, const struct sim_result *r, unsigned attempt, uint64_t now_ns,
		      uint64_t *wait_ns);
	/* A number that moves when all who wait should look again; NULL: they wake by themselves. */
	uint64_t (*changes)(void *self);
	/* A number that moves when a permit is free: they look in order of arrival until one has to go on waiting. */
	uint64_t (*freed)(void *self);
	/* A process dies with all that it has in flight or waiting; NULL: it leaves nothing. */
	void (*kill)(void *self, unsigned process, uint64_t now_ns);
	/* Whether the process died in the middle of the last result(); NULL: never. */
	bool (*died)(void *self);
	/* How many have died in the middle of a call; NULL: none. */
	uint64_t (*deaths)(void *self);
	/* Housekeeping, once a simulated second (weir's agent); NULL: none. */
	void (*tick)(void *self, uint64_t now_ns);
	/* How often its breaker has opened; NULL: it has none, or does not say. */
	uint64_t (*trips)(void *self);
	/* Whether it limits the rate at the end of the run; NULL: no. */
	bool (*paced)(void *self);
	/* Permits out at the end; NULL: 0. */
	unsigned (*leaked)(void *self);
	/* One line of internal state for --trace; NULL: none. */
	void (*trace)(void *self, uint64_t now_ns, char *out, size_t size);
};

/* Of weir; balanced unless simulate is told another. Set before anything runs. */
extern enum weir_profile sim_profile;

extern const struct sim_controller sim_weir, sim_none, sim_oracle, sim_aws_shared, sim_aws_each, sim_vegas, sim_gradient2,
	sim_envoy, sim_resilience4j, sim_gobreaker, sim_outlier, sim_finagle;

extern const struct sim_controller *const sim_controllers[];
extern const unsigned sim_controller_count;

#endif
