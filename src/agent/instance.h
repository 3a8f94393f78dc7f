/* SPDX-License-Identifier: MIT */
/*
 * One agent per world: a record lock on the lock file, held while the agent lives. The kernel drops it with the process, so
 * nothing is ever stale, and F_GETLK tells the holder's pid without taking anything. The file is removed with its world alone
 * (worlds.h), by who holds the lock; whoever gets it then finds that its file has no name any more, and has nothing.
 */
#ifndef WEIR_AGENT_INSTANCE_H
#define WEIR_AGENT_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/runtime.h"

struct weir_instance {
	int lock; /* descriptor; its closing (any descriptor of the file, in this process) gives the lock up */
};

/* Takes the lock. Returns NULL, or what is wrong; *other is then the pid of the agent that has it, 0 when that is not the reason,
 * and *err errno or 0. */
const char *weir_instance_take(struct weir_instance *i, const struct weir_world *w, uint32_t *other, int *err);

/* Writes the pid file. Returns 0 or errno. */
int weir_instance_write_pid(const struct weir_world *w, uint32_t pid);

/* Removes the pid file and gives the lock up. */
void weir_instance_release(struct weir_instance *i, const struct weir_world *w);

/* The pid of the agent that holds the lock of this world, 0 when none does. */
uint32_t weir_instance_pid(const struct weir_world *w);

/* The version (weir_version_number) of the agent that took the lock last, as it stands in the file. False: not known, as that one
 * is from before it was written there. Not to be asked by who holds the lock. */
bool weir_instance_version(const struct weir_world *w, uint64_t *version);

#endif
