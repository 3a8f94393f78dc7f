/* SPDX-License-Identifier: MIT */
/* What the agent does regularly: heartbeat, reaping leases of dead processes, shortening the queues that they have left, freeing
 * idle entries, noticing that its world is gone. */
#ifndef WEIR_AGENT_UPKEEP_H
#define WEIR_AGENT_UPKEEP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "weir/segment.h"

#define WEIR_UPKEEP_NS UINT64_C(500000000) /* between two turns */

struct weir_upkeep {
	const struct weir_segment *segment;
	const char *segment_path;
	struct weir_owner self;
	dev_t device;
	ino_t inode;        /* of the segment's file when it was mapped */
	uint64_t active_ns; /* when something was last seen going on: a request, a lease */
	uint64_t swept_ns;
	struct weir_occupancy *room; /* owned; NULL = no memory, and queues stay as they are */
	uint64_t lost, lost_ns;      /* requests without a lease, and when their number last grew */
};

/* Remembers the file at segment_path as the one that is mapped. Returns false when it is not there. */
bool weir_upkeep_init(struct weir_upkeep *u, const struct weir_segment *s, const char *segment_path, uint64_t now_ns);

void weir_upkeep_end(struct weir_upkeep *u);

/* One turn. Returns false when the segment's file has vanished or is another one: nobody will find what this agent serves. */
bool weir_upkeep_turn(struct weir_upkeep *u, uint64_t now_ns);

#endif
