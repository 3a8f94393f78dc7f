/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/cli/client.h"
#include "src/cli/subcommand.h"
#include "src/cli/usage.h"

/* The variable by which libcurl finds a proxy for it; NULL when there is none. HTTP_PROXY it does not read. */
static const char *proxy_variable(const char *what)
{
	static const char *const plain[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};
	static const char *const secure[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL};
	bool is_plain = strncasecmp(what, "http://", 7) == 0 || (strchr(what, '/') && !strstr(what, "://"));

	for (const char *const *name = is_plain ? plain : secure; *name; name++) {
		const char *text = getenv(*name);

		if (text && *text)
			return *name;
	}
	return NULL;
}

/* Without its user and password. */
static void tell_proxy(const char *what)
{
	const char *variable = proxy_variable(what), *host, *at;
	size_t n;

	if (!variable)
		return;
	host = getenv(variable);
	if (!host)
		return;
	host = strstr(host, "://") ? strstr(host, "://") + 3 : host;
	n = strcspn(host, "/");
	at = memrchr(host, '@', n);
	if (at) {
		n -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	printf("%s names a proxy: what goes by it waits for that one's limits as well (weir explain ", variable);
	for (size_t i = 0; i < n; i++)
		putchar(host[i] > 0x20 && host[i] < 0x7f ? host[i] : '?');
	printf(")%s.\n", getenv("no_proxy") || getenv("NO_PROXY") ? "; no_proxy may except it" : "");
}

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
	if (status == 0) {
		fwrite(reply.body, 1, reply.length, stdout);
		tell_proxy(what);
	}
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
