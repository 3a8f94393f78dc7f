/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "src/cli/operate.h"
#include "src/cli/usage.h"

static int run(int argc, char **argv)
{
	static const struct {
		const char *word, *done;
	} states[] = {
		{"open", "the breaker is open until it is told otherwise"},
		{"close", "the breaker is closed"},
		{"auto", "the breaker decides by itself"},
	};
	int status = weir_no_options(&weir_subcommand_breaker, argc, argv);
	if (status >= 0)
		return status;
	if (argc - optind != 2)
		return weir_usage_error(&weir_subcommand_breaker, "expected a host and open, close or auto");
	for (size_t i = 0; i < sizeof states / sizeof *states; i++)
		if (strcmp(argv[optind + 1], states[i].word) == 0)
			return weir_operate(&weir_subcommand_breaker, argv[optind], "/breaker",
					    json_pack("{s:s}", "state", states[i].word), states[i].done);
	return weir_usage_error(&weir_subcommand_breaker, "expected open, close or auto, got '%s'", argv[optind + 1]);
}

const struct weir_subcommand weir_subcommand_breaker = {
	.name = "breaker",
	.synopsis = "breaker HOST open|close|auto",
	.summary = "Opens or closes a host's breaker by hand, or leaves it to itself again",
	.run = run,
};
