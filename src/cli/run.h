/* SPDX-License-Identifier: MIT */
/* What `weir run` was asked to do, and the two ways to do it. */
#ifndef WEIR_CLI_RUN_H
#define WEIR_CLI_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/runtime.h"
#include "weir/segment.h"

struct weir_run_request {
	uint64_t rate; /* nano/s, 0 = none */
	uint64_t concurrency;
	uint64_t max_wait_ns;
	uint64_t attempts; /* of each request, 0 = as the rules say */
	bool max_wait_given, dry_run, summary, summary_json, verbose;
	bool announce;            /* long waits, on the terminal */
	const char *summary_file; /* NULL = standard error */
	const char *priority;     /* "high", "normal", "low"; NULL = not said */
	const char *hosts;        /* glob, NULL = all */
	const char *client;       /* whose share of each host it uses, NULL = the program's own name */
	const char *config;       /* file, NULL = the chain */
	char **command;           /* argv of the command, NULL at the end */
};

/* What is wrong with a command line, beside why. */
struct weir_run_mistake {
	int option;               /* of getopt_long; 0 = none */
	bool help;                /* it only asks for that */
	const char *name, *value; /* of a long option's value, and of any */
};

/* Takes the options, and the command behind them. Returns NULL, or what is wrong (static text). */
const char *weir_run_options(int argc, char **argv, struct weir_run_request *r, struct weir_run_mistake *mistake);

/* Hands the flags to the library, in the environment. Returns 0 or an exit status, and has complained. */
int weir_run_set_flags(const struct weir_run_request *r);

/* Whether a file of the policy has been written so lately that the agent may still wait for it to rest, and has not judged it. */
bool weir_run_written_lately(const struct weir_policy_view *view);

/* What cannot be limited is said before it runs. What the library would keep from running gets none of it. */
void weir_run_look_at(const char *command, const char *library);

/* Replaces this process by the command. Returns the exit status when that fails: 126 or 127, and has complained. */
int weir_run_exec(char **command);

/* Runs the command as a child, and says what is asked for: its summary afterwards, its long waits meanwhile. Signals that are
 * sent to this process are passed on to it. Ends as it does: returns its exit status, or is ended by the signal that ended it.
 * Where w has no directory nothing is counted, which is said. */
int weir_run_attended(const struct weir_run_request *r, const struct weir_world *w);

#endif
