/* SPDX-License-Identifier: MIT */
/*
 * Processes ask for a compilation by raising compile_requests in the segment and waking its futex. A thread of the agent sleeps
 * there and passes it on as a readable descriptor, so that the agent's one loop can wait for everything at once.
 */
#ifndef WEIR_AGENT_REQUESTS_H
#define WEIR_AGENT_REQUESTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "weir/segment.h"

struct weir_requests {
	int fd; /* eventfd: readable when somebody asked; -1: the thread could not be started */
	bool running;
	atomic_bool stop;
	pthread_t thread;
	_Atomic uint32_t *word; /* in the segment */
};

bool weir_requests_start(struct weir_requests *r, const struct weir_segment *s);

/* Takes what is readable. Returns whether anybody asked since the last call. */
bool weir_requests_drain(struct weir_requests *r);

/* Ends the thread; the segment may be closed afterwards. */
void weir_requests_stop(struct weir_requests *r);

#endif
