/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "src/cli/operate.h"
#include "src/cli/usage.h"

enum { OPTION_CREATE = 256, OPTION_HELP };

static const struct option options[] = {
	{"create", no_argument, NULL, OPTION_CREATE},
	{"help", no_argument, NULL, OPTION_HELP},
	{NULL, 0, NULL, 0},
};

static int run(int argc, char **argv)
{
	static const struct {
		const char *word, *done;
	} states[] = {
		{"open", "the breaker is open until it is told otherwise"},
		{"close", "the breaker is closed"},
		{"auto", "the breaker decides by itself"},
	};
	bool create = false;
	optind = 0;
	opterr = 0;
	int o;
	while ((o = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (o == OPTION_HELP)
			return weir_print_help(&weir_subcommand_breaker);
		if (o != OPTION_CREATE)
			return weir_option_error(&weir_subcommand_breaker, o, argv);
		create = true;
	}
	if (argc - optind != 2)
		return weir_usage_error(&weir_subcommand_breaker, "expected a host and open, close or auto");
	for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
		if (strcmp(argv[optind + 1], states[i].word) != 0)
			continue;
		json_t *body = json_pack("{s:s}", "state", states[i].word);
		if (create)
			json_object_set_new(body, "create", json_true());
		return weir_operate(&weir_subcommand_breaker, argv[optind], "/breaker", body, true, states[i].done);
	}
	return weir_usage_error(&weir_subcommand_breaker, "expected open, close or auto, got '%s'", argv[optind + 1]);
}

const struct weir_subcommand weir_subcommand_breaker = {
	.name = "breaker",
	.synopsis = "breaker HOST open|close|auto [--create]",
	.summary = "Opens or closes a host's breaker by hand, or leaves it to itself again",
	.details = "      --create            also for a host:port that nothing was requested from yet\n",
	.run = run,
};
