/* SPDX-License-Identifier: MIT */
/* The frame of the breaker baselines: one breaker shared by all; who is refused comes back with its next request. */
#ifndef SIM_BREAKERS_H
#define SIM_BREAKERS_H

#include "controller.h"

struct sim_breaker_kind {
	size_t bytes;
	/* Lets a request go? *generation is handed back with its result. */
	bool (*allow)(void *breaker, double now_s, uint64_t *generation);
	void (*done)(void *breaker, double now_s, uint64_t generation, bool failed);
	void (*start)(void *breaker, uint64_t seed);
};

void *sim_breakers_start(const struct sim_breaker_kind *kind, const struct sim_setting *setting);
enum sim_verdict sim_breakers_ask(void *self, unsigned worker, uint64_t now_ns, uint64_t *wake_ns);
void sim_breakers_result(void *self, unsigned worker, const struct sim_result *r, uint64_t now_ns);

#define SIM_BREAKER_CONTROLLER(symbol, text, kind)                                                                               \
	static void *start_controller(const struct sim_setting *setting)                                                         \
	{                                                                                                                        \
		return sim_breakers_start(&(kind), setting);                                                                     \
	}                                                                                                                        \
	const struct sim_controller symbol = {.name = (text),                                                                    \
					      .family = SIM_BREAKER_BASELINES,                                                   \
					      .start = start_controller,                                                         \
					      .stop = free,                                                                      \
					      .ask = sim_breakers_ask,                                                           \
					      .result = sim_breakers_result}

#endif
