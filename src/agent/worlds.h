/* SPDX-License-Identifier: MIT */
/* The worlds of a runtime directory, and the removal of those that nobody uses. */
#ifndef WEIR_AGENT_WORLDS_H
#define WEIR_AGENT_WORLDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "weir/runtime.h"
#include "weir/segment.h"

/* How long nobody has used what is removed; less, where the configuration that names the world is gone. */
#define WEIR_WORLD_IDLE_NS  UINT64_C(3600000000000)
#define WEIR_WORLD_STRAY_NS UINT64_C(60000000000)

struct weir_world_found {
	struct weir_world world; /* its names; the rest is zero */
	bool other_version;      /* the segment is of another version of weir */
	dev_t device;
	ino_t inode;
	uint64_t bytes;     /* on the disk or in memory */
	uint32_t agent;     /* pid, 0 = none */
	unsigned processes; /* that have it mapped, as far as this user may see; the agent is one of them */
	bool usable;        /* the segment is whole and of this boot */
	bool remembers;     /* something that must outlive its users: a hold, an open breaker, an override, a request under way */
	uint64_t idle_ns;   /* since something last happened there */
	bool stray;         /* made for a named configuration (WEIR_CONFIG, -f) that is not there any more */
	char source[WEIR_SOURCES][WEIR_SOURCE_PATH_MAX]; /* what its rules were compiled from */
	uint32_t source_count;
};

/* Finds them, by name, without `except` (NULL: all). Returns how many, and *out, to be freed (NULL with 0). Blocks for reading
 * /proc. An agent must except its own world: looking at its lock would give it up. */
size_t weir_worlds_find(const char *dir, const struct weir_world *except, struct weir_world_found **out);

/* Those whose segment is of another version of weir: only names, size and processes are known of them, which go on under limits
 * of their own until they are started anew. Otherwise the same; nobody's lock is looked at. */
size_t weir_worlds_of_other_versions(const char *dir, struct weir_world_found **out);

/* Removes a world unless it is in use: it has an agent, somebody has it mapped, it remembers something, or it was used within
 * idle_ns. One of another version is left alone as long as somebody has it mapped. Returns whether it is gone. A process that
 * maps it in this very moment notices that it has lost its name. */
bool weir_world_remove(const struct weir_world_found *found, uint64_t idle_ns);

/* What the agent does from time to time: removes all that nobody has used for long, except `own`. Returns how many. */
unsigned weir_worlds_tidy(const struct weir_world *own, uint64_t idle_ns);

#endif
