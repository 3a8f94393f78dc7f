/* SPDX-License-Identifier: MIT */
/* The agent and the policy, as the library sees them. */
#ifndef WEIR_AGENT_START_H
#define WEIR_AGENT_START_H

#include "src/preload/core/room.h"

/* With a segment: starts the agent when no live one is recorded (and WEIR_AGENT is not off), and waits for a policy when none is
 * compiled from the files as they are now: for 250 ms at most, and not at all when nobody is there to compile it. With a damaged
 * one: starts the agent so that it puts a new one in its place. */
extern const struct weir_room weir_agent_room;

#endif
