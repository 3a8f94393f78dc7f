/* SPDX-License-Identifier: MIT */
/* The agent and the policy, as the library sees them. */
#ifndef WEIR_AGENT_START_H
#define WEIR_AGENT_START_H

#include "weir/segment.h"

/* Starts the agent when no live one is recorded (and WEIR_AGENT is not off), and waits for a policy when none is compiled from
 * the files as they are now: for 250 ms at most, and not at all when nobody is there to compile it. */
void weir_policy_await(const struct weir_segment *s);

/* Starts the agent so that it puts a new segment in the place of a damaged one. */
void weir_agent_for_repair(void);

#endif
