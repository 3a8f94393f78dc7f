/* SPDX-License-Identifier: MIT */
/* The program `weir`: finds out which subcommand is meant. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/subcommand.h"
#include "src/cli/usage.h"

/* Whether execvp would find something of this name. */
static bool on_path(const char *name)
{
	if (strchr(name, '/'))
		return access(name, F_OK) == 0;
	const char *path = getenv("PATH");
	if (!path)
		path = "/bin:/usr/bin"; /* what execvp takes then */
	while (*name) {
		size_t n = strcspn(path, ":");
		char file[4096];
		int length = snprintf(file, sizeof file, "%.*s%s%s", (int)n, path, n ? "/" : "./", name);
		if (length > 0 && (size_t)length < sizeof file && access(file, X_OK) == 0)
			return true;
		if (!path[n])
			break;
		path += n + 1;
	}
	return false;
}

static int run_with(int argc, char **argv)
{
	/* `weir CMD...` and `weir -r 5/s CMD...`: argv[0] of the subcommand is this program's own. */
	return weir_subcommand_run.run(argc, argv);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		weir_subcommand_help.run(1, argv);
		return WEIR_EXIT_USAGE;
	}
	const char *first = argv[1];
	if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0)
		return weir_subcommand_version.run(1, argv);
	if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0)
		return weir_subcommand_help.run(1, argv);
	if (first[0] == '-')
		return run_with(argc, argv);
	const struct weir_subcommand *c = weir_subcommand_find(first);
	if (c) {
		int status = c->run(argc - 1, argv + 1);
		/* What could not be written was not done: a full disk behind `weir stats > file` is a failure. */
		if (fflush(stdout) != 0 && status == WEIR_EXIT_OK) {
			weir_complain(c->name, "the output could not be written");
			return WEIR_EXIT_FAILED;
		}
		return status;
	}
	if (on_path(first))
		return run_with(argc, argv);
	const char *near = strchr(first, '/') ? NULL : weir_subcommand_near(first);
	if (near)
		weir_complain(first, "neither a subcommand nor a command on PATH; did you mean '%s'?", near);
	else
		weir_complain(first, "neither a subcommand nor a command on PATH; see 'weir help'");
	return WEIR_EXIT_NOT_FOUND;
}
