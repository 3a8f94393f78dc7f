/* SPDX-License-Identifier: MIT */
#include "src/cli/operate.h"
#include "src/cli/usage.h"

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"quota", no_argument, NULL, 'q'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	bool quota = false;
	optind = 0;
	opterr = 0;
	for (int o; (o = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
		if (o == 'h')
			return weir_print_help(&weir_subcommand_reset);
		if (o != 'q')
			return weir_option_error(&weir_subcommand_reset, o, argv);
		quota = true;
	}
	if (argc - optind != 1)
		return weir_usage_error(&weir_subcommand_reset, optind < argc ? "expected one host" : "no host given");
	if (quota)
		return weir_operate(&weir_subcommand_reset, argv[optind], "/quota", json_pack("{s:s}", "used", "none"), false,
				    "quotas reset");
	return weir_operate(&weir_subcommand_reset, argv[optind], "/reset", json_object(), false, "reset");
}

const struct weir_subcommand weir_subcommand_reset = {
	.name = "reset",
	.synopsis = "reset [--quota] HOST",
	.summary = "Forgets what was learned of a host: pace, what refusals mean, hold, breaker and overrides",
	.details = "      --quota             nothing counts as used of the configuration's quotas; what was learned stays\n",
	.run = run,
};
