/* Concurrency slots: N servers with a service time and one FIFO queue (M/M/c or M/D/c).
 *
 * A request's start and end are computed when it arrives, since in a FIFO queue nothing that
 * arrives later can change them; its thread then sleeps until the end. So a client that goes away
 * is served all the same, as by the many real servers that do not look. */
#ifndef QUOTAD_SLOTS_H
#define QUOTAD_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/server/random.h"

#define SLOTS_MAX 1024

struct slots_settings {
	int64_t count; /* 0 = off: the service time, if any, is still spent, by any number at once */
	int64_t service_ns;
	bool exponential;
	int reject_status; /* 0 = a request over the limit queues */
};

struct slots {
	int64_t free_ns[SLOTS_MAX]; /* when each slot is done with the last request it was given */
};

/* Every slot is free. */
void slots_clear(struct slots *slots);

/* Time until a slot is free; 0 = now, or no limit. */
int64_t slots_wait_ns(const struct slots *slots, const struct slots_settings *s, int64_t now_ns);

/* Gives the request the first free slot and a service time. Returns when its service ends. */
int64_t slots_take(struct slots *slots, const struct slots_settings *s, struct random *random, int64_t now_ns);

#endif
