/* SPDX-License-Identifier: MIT */
/* The calendar of future events: a binary heap ordered by time, then by order of entry, so that equal times are deterministic. */
#ifndef SIM_CALENDAR_H
#define SIM_CALENDAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_event {
	uint64_t at_ns;
	uint64_t order;
	uint32_t kind;
	uint32_t worker;
	uint64_t stamp; /* whatever tells a stale event from a live one */
};

struct sim_calendar {
	struct sim_event *event;
	size_t count, room;
	uint64_t order;
};

void sim_calendar_add(struct sim_calendar *c, uint64_t at_ns, uint32_t kind, uint32_t worker, uint64_t stamp);
bool sim_calendar_next(struct sim_calendar *c, struct sim_event *out);
void sim_calendar_free(struct sim_calendar *c);

#endif
