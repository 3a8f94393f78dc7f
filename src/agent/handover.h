/* SPDX-License-Identifier: MIT */
/*
 * Upgrades. An agent of an older version gives its place to a newer one that comes, by whoever needed it; an agent whose own file
 * was replaced becomes what stands there now. Never the other way round: two installations side by side would take the place from
 * each other for ever.
 */
#ifndef WEIR_AGENT_HANDOVER_H
#define WEIR_AGENT_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "src/agent/agent.h"
#include "src/agent/instance.h"
#include "weir/runtime.h"

/* Takes the lock, from an older version's agent if need be: asks it to leave and waits, 2 s at most. Otherwise as
 * weir_instance_take. */
const char *weir_handover_take(struct weir_instance *i, const struct weir_world *w, uint32_t *other, int *err);

/* The version of the agent that runs in this world as a number (weir_version_number), and its pid; 0 when none runs. A version of
 * 0 with a pid is that of an agent from before the segment told. */
uint32_t weir_handover_agent(const struct weir_world *w, uint64_t *version);

/* The file that this process runs. */
struct weir_own_file {
	char path[WEIR_PATH_MAX]; /* empty: not known */
	struct stat was, seen;
};

void weir_own_file_remember(struct weir_own_file *f);

/* Whether another program has stood there since the last call, ready to run: not while it is still being written. */
bool weir_own_file_replaced(struct weir_own_file *f);

/* Becomes that program, as an agent with the same options. Returns only when that failed. */
void weir_own_file_become(const struct weir_own_file *f, const struct weir_agent_options *o);

#endif
