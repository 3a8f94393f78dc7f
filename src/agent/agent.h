/* SPDX-License-Identifier: MIT */
/*
 * The agent: compiles the configuration into the segment, reaps what dead processes left, and answers on the socket. One per
 * world, in one thread (a second one only sleeps on the segment's futex and passes requests to compile on). Nothing depends on
 * it: without an agent the limits hold, with the policy that was compiled last.
 */
#ifndef WEIR_AGENT_AGENT_H
#define WEIR_AGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/runtime.h"

struct weir_agent_options {
	bool idle_exit_given;
	uint64_t idle_exit_ns; /* leave after this long without requests and clients; 0 = stay */
	const char *http;      /* "127.0.0.1:PORT": listens there as well; NULL = on the socket alone */
	bool spawned;          /* from a process under weir: leave at once when another one adopted this process */
};

/* Runs the agent of the world that `e` points to until it is idle, told to stop (SIGTERM, SIGINT, SIGHUP), or its runtime
 * directory is gone. Returns the exit status: 0 left as it should, 1 could not start (the reason is on stderr and in the log).
 * Blocks; takes the calling process over (signal mask, SIGPIPE). */
int weir_agent_run(const struct weir_environment *e, const struct weir_agent_options *o);

/* Asks the running agent to stop and waits until it has, 5 s at most. Sets *pid to its pid, 0 when none was running. Returns NULL
 * or what went wrong. */
const char *weir_agent_stop(const struct weir_world *w, uint32_t *pid);

/* Compiles and publishes once, for a world that is to have no agent (WEIR_AGENT=off). Does nothing when an agent is running.
 * Returns NULL or what went wrong. */
const char *weir_agent_compile_once(const struct weir_environment *e);

#endif
