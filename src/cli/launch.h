/* SPDX-License-Identifier: MIT */
/* Starting the agent, and waiting for what it does. */
#ifndef WEIR_CLI_LAUNCH_H
#define WEIR_CLI_LAUNCH_H

#include <stdbool.h>

#include "weir/runtime.h"

/* Starts the agent of this program, with this process's environment, unless one is running already that is not of an older
 * version. Does not wait for it. Returns NULL or what is wrong. */
const char *weir_launch_agent(const struct weir_world *w);

/* Where an agent of an older version runs, has this program's take its place, and waits for it, 2 s at most. */
void weir_launch_newer(const struct weir_world *w);

/* Waits until the policy of the files as they are now is compiled, 2 s at most: starts an agent where there is none, asks a
 * running one to look again. With WEIR_AGENT=off, and where none can be had, it compiles itself. Returns NULL or why there is no
 * such policy. */
const char *weir_launch_await_policy(const struct weir_environment *e, struct weir_world *w);

#endif
