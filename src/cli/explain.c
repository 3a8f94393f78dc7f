/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/cli/client.h"
#include "src/cli/environment.h"
#include "src/cli/launch.h"
#include "src/cli/subcommand.h"
#include "src/cli/usage.h"

/* No rule looks at more of a path (weir/narrow.h). */
#define PATH_TOLD 1024

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

struct asked {
	const char *method, *client; /* NULL: not said */
	bool json;
};

/* What is asked about, without what is nobody's business: user, password, query, fragment. To be freed. */
static char *without_secrets(const char *what)
{
	const char *authority = strstr(what, "://"), *at;
	char *out = strndup(what, strcspn(what, "?#"));
	size_t n, begin;

	if (!out)
		return NULL;
	begin = authority && authority < what + strlen(out) ? (size_t)(authority - what) + 3 : 0;
	n = strcspn(out + begin, "/");
	at = memrchr(out + begin, '@', n);
	if (at)
		memmove(out + begin, at + 1, strlen(at + 1) + 1);
	n = begin + strcspn(out + begin, "/");
	if (strlen(out + n) > PATH_TOLD)
		out[n + PATH_TOLD] = '\0';
	return out;
}

/* A bare host is asked for as https; with a path it is a URL without a scheme, which curl takes for http. To be freed. */
static char *path_for(const char *what, const struct asked *a)
{
	static const char *const names[] = {"method", "client"};
	const char *const values[] = {a->method, a->client};
	char *path = weir_client_path("/v1/explain", strchr(what, '/') ? "url" : "host", what);

	for (size_t i = 0; path && i < sizeof names / sizeof *names; i++) {
		char *longer = values[i] ? weir_client_path(path, names[i], values[i]) : path;

		if (longer != path)
			free(path);
		path = longer;
	}
	return path;
}

/* Where no agent is to be had the rules may not have been compiled: they are now. What comes of that is told by what is said. */
static void compile_without_agent(void)
{
	struct weir_environment e;
	struct weir_world w;

	if (weir_environment_agent_off() && weir_environment_find_world(&e, &w) == NULL)
		weir_launch_await_policy(&e, &w);
}

static int explain(const char *what, const struct asked *a)
{
	char *bare = without_secrets(what), *path = bare ? path_for(bare, a) : NULL;
	int status = WEIR_EXIT_FAILED;

	if (path) {
		compile_without_agent();
		status = weir_client_print(bare, path, a->json);
	}
	if (status == 0 && !a->json)
		tell_proxy(bare);
	free(path);
	free(bare);
	return status;
}

/* -X as curl has it. */
static int read_options(int argc, char **argv, struct asked *a)
{
	static const struct option options[] = {{"method", required_argument, NULL, 'X'},
						{"client", required_argument, NULL, 'C'},
						{"json", no_argument, NULL, 'j'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":X:h", options, NULL)) != -1) {
		switch (c) {
		case 'X':
			a->method = optarg;
			break;
		case 'C':
			a->client = optarg;
			break;
		case 'j':
			a->json = true;
			break;
		case 'h':
			return weir_print_help(&weir_subcommand_explain);
		default:
			return weir_option_error(&weir_subcommand_explain, c, argv);
		}
	}
	return -1;
}

static int run(int argc, char **argv)
{
	struct asked a = {.client = getenv("WEIR_CLIENT")};
	int status = read_options(argc, argv, &a);

	if (status >= 0)
		return status;
	if (argc - optind != 1)
		return weir_usage_error(&weir_subcommand_explain, optind < argc ? "expected one URL" : "no URL given");
	return explain(argv[optind], &a);
}

const struct weir_subcommand weir_subcommand_explain = {
	.name = "explain",
	.synopsis = "explain [-X METHOD] [--client NAME] [--json] URL",
	.summary = "Says which rule holds for a URL, and what would happen to a request now and why",
	.details =
		"URL may be a host or host:port alone, which says nothing of a path; without a port it is asked for as https.\n"
		"Its user, password and query are not looked at.\n"
		"\n"
		"  -X, --method METHOD     the method that is asked with; GET where a URL is given\n"
		"      --client NAME       whose share of the host is meant; else WEIR_CLIENT's, where it is set\n"
		"      --json              the same as data\n",
	.run = run,
};
