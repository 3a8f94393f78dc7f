/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "src/cli/library.h"
#include "src/cli/subcommand.h"
#include "src/cli/usage.h"
#include "weir/runtime.h"

static int run(int argc, char **argv)
{
	int status = weir_no_options(&weir_subcommand_version, argc, argv);
	if (status >= 0)
		return status;
	if (optind < argc)
		return weir_usage_error(&weir_subcommand_version, "unexpected '%s'", argv[optind]);
	printf("weir %s\n", weir_version());
	char library[WEIR_PATH_MAX], other[32];
	if (!weir_library_find(library) && weir_library_version(library, other) && strcmp(other, weir_version()) != 0)
		printf("libweir.so %s (%s)\n", other, library);
	return WEIR_EXIT_OK;
}

const struct weir_subcommand weir_subcommand_version = {
	.name = "version",
	.synopsis = "version",
	.summary = "Prints the version",
	.run = run,
};
