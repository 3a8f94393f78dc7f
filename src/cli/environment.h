/* SPDX-License-Identifier: MIT */
/* The one place of the program that reads the environment. */
#ifndef WEIR_CLI_ENVIRONMENT_H
#define WEIR_CLI_ENVIRONMENT_H

#include <stdbool.h>

#include "weir/runtime.h"

/* What says in which world the program works. The texts are the environment's own. */
struct weir_environment weir_environment_read(void);

/* The world itself. Returns NULL or why there is none. */
const char *weir_environment_find_world(struct weir_environment *e, struct weir_world *w);

/* The same; complains on stderr and returns false when there is none. */
bool weir_environment_world(struct weir_environment *e, struct weir_world *w);

/* Whether WEIR_AGENT=off: no agent is to be started. */
bool weir_environment_agent_off(void);

/* Sets up the log as WEIR_LOG says; complains when it says something else. */
void weir_environment_log(void);

/* Whether `fd` is a terminal that shows colour: NO_COLOR unset, TERM set and not "dumb". */
bool weir_environment_color(int fd);

#endif
