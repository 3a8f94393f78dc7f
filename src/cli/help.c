/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "src/cli/subcommand.h"
#include "src/cli/usage.h"

static void overview(void)
{
	puts("weir makes unmodified programs polite: every request they make is held to one budget per host.\n"
	     "\n"
	     "usage: weir [OPTION...] COMMAND [ARG...]      run a command under weir\n"
	     "       weir SUBCOMMAND [ARG...]\n");
	for (size_t i = 0; weir_subcommands[i]; i++)
		printf("  %-8s  %s\n", weir_subcommands[i]->name, weir_subcommands[i]->summary);
	puts("\n'weir help SUBCOMMAND' tells more about one of them.");
}

static int run(int argc, char **argv)
{
	int status = weir_no_options(&weir_subcommand_help, argc, argv);
	if (status >= 0)
		return status;
	if (optind >= argc) {
		overview();
		return WEIR_EXIT_OK;
	}
	const struct weir_subcommand *c = weir_subcommand_find(argv[optind]);
	if (!c)
		return weir_usage_error(&weir_subcommand_help, "there is no subcommand '%s'", argv[optind]);
	return weir_print_help(c);
}

const struct weir_subcommand weir_subcommand_help = {
	.name = "help",
	.synopsis = "help [SUBCOMMAND]",
	.summary = "Explains a subcommand",
	.run = run,
};
