/* SPDX-License-Identifier: MIT */
/* What the library takes from the environment: from the one that the process was started with, which its constructor copies. A
 * program may empty or change its environment, and its directory, before its first request. */
#ifndef WEIR_PRELOAD_ENVIRONMENT_H
#define WEIR_PRELOAD_ENVIRONMENT_H

#include <stdbool.h>

#include "weir/gate.h"
#include "weir/runtime.h"

/* WEIR_DISABLE is set (and not to 0): every hook passes straight through. Sets up the log with the first call. */
bool weir_disabled(void);

/* WEIR_AGENT=off. */
bool weir_agent_off(void);

/* What shapes this process's gate: WEIR_DRY_RUN, WEIR_MAX_WAIT, WEIR_PRIORITY, WEIR_RETRY, WEIR_RUN. Leaves segment and owner
 * alone. A malformed value is logged and left out. */
void weir_environment_gate(struct weir_gate *g);

/* WEIR_SUMMARY: the file in which `weir run -s` wants to see counted what its processes do (weir/summary.h). NULL: none. */
const char *weir_environment_summary(void);

/* Where things are. The texts stay. */
void weir_environment_read(struct weir_environment *e);

/* Parses WEIR_RUN, "ID,rate_nano,burst,concurrency" with decimal numbers, strictly. False and *run untouched when malformed. */
bool weir_run_parse(const char *text, struct weir_run *run);

/* Whether WEIR_HOSTS, a glob over the host's name that `weir run -H` sets, lets this host be limited. True when it is not set.
 * After weir_environment_gate. */
bool weir_host_chosen(const char *host_port);

/* The library as this process's LD_PRELOAD named it, for those that it starts. NULL when it did not, or when the process has
 * another user's rights by now, whom the library's place may not concern. */
const char *weir_environment_own(void);

/* An LD_PRELOAD's value is a list, divided by blanks and colons: moves *list to its next item, returns that one's length; 0 at
 * the end. */
size_t weir_preload_item(const char **list);

/* Whether the item is that library, or any libweir.so. */
bool weir_preload_is_own(const char *item, size_t length, const char *library);

/* Whether the list has such an item. */
bool weir_preload_names(const char *list, const char *library);

/* An environment for the agent: what `env` (may be NULL) holds, with the variables that concern weir as they were at the start.
 * Puts `room` entries at most into out, the NULL at the end counted; returns how many there are. The texts are not copied. */
size_t weir_environment_merge(char *const env[], char **out, size_t room);

#endif
