/* SPDX-License-Identifier: MIT */
/* What `weir stats --json` says about a host. */
#ifndef EVAL_HOST_STATS_H
#define EVAL_HOST_STATS_H

#include <stdbool.h>

#include "tests/harness/harness.h"

struct host_stats {
	int in_flight;
	int waiting;
	int breaker_opened;
	uint64_t admitted;
	double hold_s;
};

/* False when the host is not known. */
bool host_stats_read(const struct scene *scene, const char *config, const struct quotad *server, struct host_stats *out);

#endif
