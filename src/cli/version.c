/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "src/cli/subcommand.h"
#include "src/cli/usage.h"

static int run(int argc, char **argv)
{
	int status = weir_no_options(&weir_subcommand_version, argc, argv);
	if (status >= 0)
		return status;
	if (optind < argc)
		return weir_usage_error(&weir_subcommand_version, "unexpected '%s'", argv[optind]);
	puts("weir " WEIR_VERSION);
	return WEIR_EXIT_OK;
}

const struct weir_subcommand weir_subcommand_version = {
	.name = "version",
	.synopsis = "version",
	.summary = "Prints the version",
	.run = run,
};
