/* SPDX-License-Identifier: MIT */
/* The simulated host. Everything about an answer is known when the request arrives, so a request costs two events. */
#ifndef SIM_SERVER_H
#define SIM_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "random.h"
#include "scenario.h"

struct sim_answer {
	enum sim_status status;
	uint64_t leaves_ns;     /* when the answer leaves the server */
	struct sim_facts facts; /* for the headers */
};

#define SIM_SLOTS_MAX 64
#define SIM_LOG_MAX   1024

struct sim_server {
	const struct sim_scenario *scenario;
	struct sim_random random;
	double rate[SIM_LIMITS]; /* buckets: now */
	double tokens[SIM_LIMITS];
	uint64_t refilled_ns[SIM_LIMITS];
	uint64_t window_ns[SIM_LIMITS], phase_ns[SIM_LIMITS]; /* windows begin at phase + k * window */
	uint64_t window_number[SIM_LIMITS];
	double used[SIM_LIMITS];
	uint64_t log_ns[SIM_LOG_MAX]; /* sliding log: when the last requests came, a ring */
	uint64_t logged;
	uint64_t drained_ns[SIM_LIMITS]; /* delay: when its queue is empty */
	uint64_t swing_ns[SIM_LIMITS];   /* buckets: phase of the swing */
	uint64_t ban_ns;                 /* banned until then */
	uint64_t bans, arrived;
	uint64_t slot_free_ns[SIM_SLOTS_MAX];
	double slowdown, errors;
	enum sim_outage outage;
};

void sim_server_start(struct sim_server *s, const struct sim_scenario *scenario, uint64_t seed);
void sim_server_change(struct sim_server *s, enum sim_change_kind kind, double value, uint64_t now_ns);
void sim_server_arrive(struct sim_server *s, uint64_t now_ns, struct sim_answer *out);

/* What bucket i is given between two times. */
double sim_server_granted(const struct sim_server *s, unsigned i, double from_s, double to_s);

/* For the oracle: the first time at or after now_ns at which a request finds a token although `before` others arrive first.
 * UINT64_MAX: cannot be told. */
uint64_t sim_server_free_ns(struct sim_server *s, uint64_t now_ns, unsigned before);

#endif
