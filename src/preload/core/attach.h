/* SPDX-License-Identifier: MIT */
/*
 * This process's gate: made on the first intercepted call that needs it, never before.
 *
 * The state of it all is one word in a page that the kernel wipes in a forked child (MADV_WIPEONFORK), so that reading the word
 * tells a child that it is one, at the price of a load; getpid() would be a system call. A child finds the mapping in place and
 * renews its owner identity alone. A vfork child shares its parent's memory, identity included, until it execs.
 */
#ifndef WEIR_ATTACH_H
#define WEIR_ATTACH_H

#include <stdint.h>

#include "weir/gate.h"

/* The gate, or NULL: then the call goes straight through. The first call maps the segment, has the policy compiled where needed
 * and starts the agent; it blocks for 250 ms at most (other threads that come meanwhile as well), a failure is tried again
 * after a few seconds. Once a second it also looks whether the segment's file still has its name (a logout removes it), and maps
 * the one that took its place: a gate that was had before stays good for the request that began with it. May change errno. */
const struct weir_gate *weir_attach(void);

/* The gate when there is one already, else NULL. Never blocks. */
const struct weir_gate *weir_attached(void);

/* A number that is this process's alone among its forebears; 0 when it has no gate. */
uint32_t weir_process_serial(void);

/* From now on nothing is delayed or refused: this process cannot wait. */
void weir_attach_only_counts(void);

/* Does it with all signals blocked and without cancellation, so that it is not left in the middle. */
void weir_undisturbed(void (*work)(void));

/* The calling thread's id, remembered; 0 when it may not be asked for. */
uint32_t weir_thread_id(void);

#endif
