/* SPDX-License-Identifier: MIT */
/* The subcommands of `weir`, one file each; main.c dispatches. */
#ifndef WEIR_CLI_SUBCOMMAND_H
#define WEIR_CLI_SUBCOMMAND_H

#include <stddef.h>

/* Exit statuses, docs/operations.md. run and help of env(1) have 125..127; 64 is sysexits' EX_USAGE. */
enum weir_exit {
	WEIR_EXIT_OK = 0,
	WEIR_EXIT_FAILED = 1,
	WEIR_EXIT_NOTHING_KNOWN = 3,
	WEIR_EXIT_USAGE = 64,
	WEIR_EXIT_OWN_FAILURE = 125,
	WEIR_EXIT_NOT_EXECUTABLE = 126,
	WEIR_EXIT_NOT_FOUND = 127,
};

struct weir_subcommand {
	const char *name;
	const char *synopsis;              /* without the program's name */
	const char *summary;               /* one line, for `weir help` */
	const char *details;               /* what `weir help NAME` adds; lines end in \n */
	int (*run)(int argc, char **argv); /* argv[0] is the subcommand's name */
};

extern const struct weir_subcommand weir_subcommand_run, weir_subcommand_status, weir_subcommand_stats, weir_subcommand_explain,
	weir_subcommand_config, weir_subcommand_set, weir_subcommand_reset, weir_subcommand_breaker, weir_subcommand_agent,
	weir_subcommand_doctor, weir_subcommand_preset, weir_subcommand_events, weir_subcommand_ps, weir_subcommand_quota,
	weir_subcommand_top, weir_subcommand_worlds, weir_subcommand_version, weir_subcommand_help;

extern const struct weir_subcommand weir_subcommand_alert, weir_subcommand_check;

/* All of them, NULL at the end. */
extern const struct weir_subcommand *const weir_subcommands[];

/* By name; NULL when there is none. */
const struct weir_subcommand *weir_subcommand_find(const char *name);

/* The name that was probably meant; NULL when none is near. */
const char *weir_subcommand_near(const char *name);

#endif
