/* SPDX-License-Identifier: MIT */
#include "src/cli/operate.h"
#include "src/cli/usage.h"

static int run(int argc, char **argv)
{
	int status = weir_no_options(&weir_subcommand_reset, argc, argv);
	if (status >= 0)
		return status;
	if (argc - optind != 1)
		return weir_usage_error(&weir_subcommand_reset, optind < argc ? "expected one host" : "no host given");
	return weir_operate(&weir_subcommand_reset, argv[optind], "/reset", json_object(), false, "reset");
}

const struct weir_subcommand weir_subcommand_reset = {
	.name = "reset",
	.synopsis = "reset HOST",
	.summary = "Forgets what was learned of a host: pace, what refusals mean, hold, breaker and overrides",
	.run = run,
};
