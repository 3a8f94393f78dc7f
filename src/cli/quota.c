/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

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
			return weir_print_help(&weir_subcommand_quota);
		if (o != 'j')
			return weir_option_error(&weir_subcommand_quota, o, argv);
		json = true;
	}
	if (optind + 1 < argc)
		return weir_usage_error(&weir_subcommand_quota, "expected one host");
	char *path = optind < argc ? weir_client_path("/v1/quotas", "host", argv[optind]) : NULL;
	int status = weir_client_print("quota", path ? path : "/v1/quotas", json);
	free(path);
	return status;
}

const struct weir_subcommand weir_subcommand_quota = {
	.name = "quota",
	.synopsis = "quota [HOST] [--json]",
	.summary = "Shows what was used of the configuration's quotas, what is left, and when they begin anew",
	.details =
		"Of hosts that were asked since the segment was made; the counts themselves are older (docs/configuration.md).\n"
		"'weir set HOST quota=USED' says what has been used, 'weir reset --quota HOST' that nothing was.\n"
		"\n"
		"      --json              as GET /v1/quotas has it\n",
	.run = run,
};
