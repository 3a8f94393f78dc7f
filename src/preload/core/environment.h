/* SPDX-License-Identifier: MIT */
/* What the library reads from the environment, with secure_getenv, once: a program may change its environment later. */
#ifndef WEIR_PRELOAD_ENVIRONMENT_H
#define WEIR_PRELOAD_ENVIRONMENT_H

#include <stdbool.h>

#include "weir/gate.h"
#include "weir/runtime.h"

/* WEIR_DISABLE is set (and not to 0): every hook passes straight through. Sets up the log with the first call. */
bool weir_disabled(void);

/* WEIR_AGENT=off. */
bool weir_agent_off(void);

/* What shapes this process's gate: WEIR_DRY_RUN, WEIR_MAX_WAIT, WEIR_RUN. Leaves segment and owner alone. A malformed value is
 * logged and left out. */
void weir_environment_gate(struct weir_gate *g);

/* Where things are. The texts stay in the environment: to be used at once. */
void weir_environment_read(struct weir_environment *e);

/* Parses WEIR_RUN, "ID,rate_nano,burst,concurrency" with decimal numbers, strictly. False and *run untouched when malformed. */
bool weir_run_parse(const char *text, struct weir_run *run);

/* Whether WEIR_HOSTS, a glob over the host's name that `weir run -H` sets, lets this host be limited. True when it is not set.
 * After weir_environment_gate. */
bool weir_host_chosen(const char *host_port);

#endif
