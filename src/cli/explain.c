/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/client.h"
#include "src/cli/subcommand.h"
#include "src/cli/usage.h"

static int run(int argc, char **argv)
{
	int status = weir_no_options(&weir_subcommand_explain, argc, argv);
	if (status >= 0)
		return status;
	if (argc - optind != 1)
		return weir_usage_error(&weir_subcommand_explain, optind < argc ? "expected one URL" : "no URL given");
	const char *what = argv[optind];
	/* A bare host is asked for as https; with a path it is a URL without a scheme, which curl takes for http. */
	char *path = weir_client_path("/v1/explain", strchr(what, '/') ? "url" : "host", what);
	struct weir_question q = {.method = "GET", .path = path, .accept = "text/plain"};
	struct weir_reply reply;
	if (!path || !weir_client_ask(&q, &reply)) {
		free(path);
		return WEIR_EXIT_FAILED;
	}
	free(path);
	status = weir_reply_failed(what, &reply);
	if (status == 0)
		fwrite(reply.body, 1, reply.length, stdout);
	weir_reply_free(&reply);
	return status;
}

const struct weir_subcommand weir_subcommand_explain = {
	.name = "explain",
	.synopsis = "explain URL",
	.summary = "Says which rule holds for a URL, and what would happen to a request now and why",
	.details = "URL may be a host or host:port alone; without a port it is asked for as https.\n",
	.run = run,
};
