/* SPDX-License-Identifier: MIT */
/*
 * The operator's command: run by the shell with a text on its standard input, in a session of its own, with a clean environment,
 * as the user who runs the agent. So many at a time, so long each, and a short line behind them; nothing here waits for anybody.
 */
#ifndef WEIR_AGENT_HOOK_H
#define WEIR_AGENT_HOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_HOOKS_AT_ONCE 4
#define WEIR_HOOKS_WAITING 64

struct weir_hook_counts {
	uint64_t succeeded, failed; /* by exit status; one that could not be started has failed */
	uint64_t killed;            /* as it took too long */
	uint64_t dropped;           /* as too many were waiting */
};

struct weir_hooks;

/* NULL when memory is short. home: of the user, may be NULL. */
struct weir_hooks *weir_hooks_new(const char *home);

/* Has the command run as soon as there is room, with `text` on its standard input. Killed after limit_ns. */
void weir_hooks_run(struct weir_hooks *h, const char *command, const char *text, uint64_t limit_ns, uint64_t now_ns);

/* Collects those that have ended, kills those whose time is over, starts those that wait. Regularly. */
void weir_hooks_turn(struct weir_hooks *h, uint64_t now_ns);

/* Whether any runs or waits. */
bool weir_hooks_busy(const struct weir_hooks *h);

struct weir_hook_counts weir_hooks_counts(const struct weir_hooks *h);

/* Gives those that run a second to end, kills the others, and frees. Blocks for that second at most. h may be NULL. */
void weir_hooks_end(struct weir_hooks *h);

#endif
