/* SPDX-License-Identifier: MIT */
/* What `weir run` was asked to do, and the two ways to do it. */
#ifndef WEIR_CLI_RUN_H
#define WEIR_CLI_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/runtime.h"

struct weir_run_request {
	uint64_t rate; /* nano/s, 0 = none */
	uint64_t concurrency;
	uint64_t max_wait_ns;
	uint64_t attempts; /* of each request, 0 = as the rules say */
	bool max_wait_given, dry_run, summary, verbose;
	const char *priority; /* "high", "normal", "low"; NULL = not said */
	const char *hosts;    /* glob, NULL = all */
	const char *client;   /* whose share of each host it uses, NULL = the program's own name */
	const char *config;   /* file, NULL = the chain */
	char **command;       /* argv of the command, NULL at the end */
};

/* Replaces this process by the command. Returns the exit status when that fails: 126 or 127, and has complained. */
int weir_run_exec(char **command);

/* Runs the command as a child, forwards signals to it, and prints afterwards to stderr what it did and how it was limited.
 * Returns the command's exit status, 128 + n when signal n ended it. */
int weir_run_summary(const struct weir_run_request *r, const struct weir_world *w);

#endif
