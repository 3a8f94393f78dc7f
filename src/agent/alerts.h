/* SPDX-License-Identifier: MIT */
/*
 * The agent's watch over its hosts: gives the monitor (weir/monitor.h) what the segment counts, and passes on what fires and
 * resolves: events, log, the system's log, the operator's command. What fires, who has acknowledged it, and what is silent is
 * kept in a file of the runtime directory, so that the next agent goes on where this one ended.
 */
#ifndef WEIR_AGENT_ALERTS_H
#define WEIR_AGENT_ALERTS_H

#include <stdbool.h>
#include <stdint.h>

#include "src/agent/compiler.h"
#include "src/agent/hook.h"
#include "weir/monitor.h"
#include "weir/runtime.h"
#include "weir/segment.h"

struct weir_alerts;

/* The pointers must stay valid until weir_alerts_end. NULL when memory is short: nobody is told of anything then. */
struct weir_alerts *weir_alerts_begin(const struct weir_environment *e, const struct weir_world *world,
				      const struct weir_segment *segment, const struct weir_compiler *compiler, uint64_t now_ns);

/* Looks at all hosts. Twice a second. a may be NULL, here and below. */
void weir_alerts_turn(struct weir_alerts *a, uint64_t now_ns);

/* Whether the agent should stay: a command runs, or an alert fires that will be over soon. */
bool weir_alerts_busy(const struct weir_alerts *a);

void weir_alerts_end(struct weir_alerts *a);

/* For what is said and asked by hand. NULL: nothing is watched. */
struct weir_monitor *weir_alerts_monitor(const struct weir_alerts *a);
/* Keeps what was changed by hand. */
void weir_alerts_keep(struct weir_alerts *a);
struct weir_hook_counts weir_alerts_commands(const struct weir_alerts *a);
/* Runs the command as if an alert fired that does not exist. False when there is none. */
bool weir_alerts_test(struct weir_alerts *a, uint64_t now_ns);

#endif
