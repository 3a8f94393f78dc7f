/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "src/cli/client.h"
#include "src/cli/subcommand.h"
#include "src/cli/usage.h"

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	bool json = false;
	optind = 0;
	opterr = 0;
	for (int o; (o = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
		if (o == 'h')
			return weir_print_help(&weir_subcommand_ps);
		if (o != 'j')
			return weir_option_error(&weir_subcommand_ps, o, argv);
		json = true;
	}
	if (optind < argc)
		return weir_usage_error(&weir_subcommand_ps, "unexpected '%s'", argv[optind]);
	return weir_client_print("ps", "/v1/processes", json);
}

const struct weir_subcommand weir_subcommand_ps = {
	.name = "ps",
	.synopsis = "ps [--json]",
	.summary = "Shows the processes under weir: what each waits for, since when, until when",
	.details = "Requests that wait come first, the one that has waited longest above all, then those in flight, then the\n"
		   "processes that have made requests and make none now. One that has not made a request yet is not seen.\n"
		   "\n"
		   "      --json              as GET /v1/processes has it\n",
	.run = run,
};
