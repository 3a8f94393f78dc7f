/* The weir agent that a test has started without meaning to. */
#ifndef HARNESS_AGENT_H
#define HARNESS_AGENT_H

#include <stdbool.h>
#include <sys/types.h>

/* The pid in runtime_dir/agent.pid if that is a live weir program, else 0. */
pid_t agent_pid(const char *runtime_dir);

/* Ends it with SIGTERM and waits until it is gone. Nothing happens where there is none. Fails the test
 * if it stays. */
void stop_agent(const char *runtime_dir);

/* The same, but an agent that stays is killed, which is said on stderr, and false returned: for the end
 * of a test. */
bool end_agent(const char *runtime_dir);

#endif
