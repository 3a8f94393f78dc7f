/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "src/cli/client.h"
#include "src/cli/environment.h"
#include "src/cli/subcommand.h"
#include "src/cli/textfile.h"
#include "src/cli/usage.h"

enum { OPTION_JSON = 256, OPTION_PROMETHEUS, OPTION_TEXTFILE, OPTION_WATCH, OPTION_HELP };

static const struct option options[] = {
	{"json", no_argument, NULL, OPTION_JSON},
	{"prometheus", no_argument, NULL, OPTION_PROMETHEUS},
	{"textfile", required_argument, NULL, OPTION_TEXTFILE},
	{"watch", no_argument, NULL, OPTION_WATCH},
	{"help", no_argument, NULL, OPTION_HELP},
	{NULL, 0, NULL, 0},
};

static int show(const struct weir_question *q, bool clear)
{
	struct weir_reply reply;
	if (!weir_client_ask(q, &reply))
		return WEIR_EXIT_FAILED;
	int status = weir_reply_failed("stats", &reply);
	if (status == 0) {
		if (clear)
			fputs("\033[H\033[2J", stdout);
		fwrite(reply.body, 1, reply.length, stdout);
		if (fflush(stdout) != 0)
			status = WEIR_EXIT_FAILED;
	}
	weir_reply_free(&reply);
	return status;
}

/* Every second until interrupted, which is how it is meant to end: status 0. */
static int watch(const struct weir_question *q, bool text)
{
	const struct timespec second = {1, 0};
	bool clear = text && weir_environment_color(STDOUT_FILENO);
	sigset_t end;
	sigemptyset(&end);
	sigaddset(&end, SIGINT);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	for (;;) {
		int status = show(q, clear);
		if (status != 0)
			return status;
		if (sigtimedwait(&end, NULL, &second) > 0)
			return WEIR_EXIT_OK;
		if (text && !clear)
			putchar('\n');
	}
}

static int run(int argc, char **argv)
{
	bool json = false, prometheus = false, watching = false;
	const char *textfile = NULL;
	optind = 0;
	opterr = 0;
	int o;
	while ((o = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (o) {
		case OPTION_JSON:
			json = true;
			break;
		case OPTION_PROMETHEUS:
			prometheus = true;
			break;
		case OPTION_TEXTFILE:
			textfile = optarg;
			break;
		case OPTION_WATCH:
			watching = true;
			break;
		case OPTION_HELP:
			return weir_print_help(&weir_subcommand_stats);
		default:
			return weir_option_error(&weir_subcommand_stats, o, argv);
		}
	}
	if (json && prometheus)
		return weir_usage_error(&weir_subcommand_stats, "--json and --prometheus exclude each other");
	if (textfile && (json || prometheus || watching || optind < argc))
		return weir_usage_error(&weir_subcommand_stats, "--textfile goes alone");
	if (textfile)
		return weir_textfile_write(textfile);
	if (argc - optind > 1)
		return weir_usage_error(&weir_subcommand_stats, "unexpected '%s'", argv[optind + 1]);
	bool text = !json && !prometheus;
	const char *base = prometheus                                      ? "/metrics"
			   : text && weir_environment_color(STDOUT_FILENO) ? "/v1/stats?color=1"
									   : "/v1/stats";
	char *path = optind < argc ? weir_client_path(base, "host", argv[optind]) : strdup(base);
	if (!path)
		return WEIR_EXIT_FAILED;
	struct weir_question q = {.method = "GET", .path = path, .accept = text ? "text/plain" : NULL};
	int status = watching ? watch(&q, text) : show(&q, false);
	free(path);
	return status;
}

const struct weir_subcommand weir_subcommand_stats = {
	.name = "stats",
	.synopsis = "stats [HOST] [--json | --prometheus] [--watch] | stats --textfile FILE",
	.summary = "Shows everything that is counted and measured for each host",
	.details = "      --json              as JSON, schema 1\n"
		   "      --prometheus        in the Prometheus text format\n"
		   "      --textfile FILE     into a file for node_exporter's textfile collector, DIRECTORY/NAME.prom, in one\n"
		   "                          piece and readable by all; without process_*, which node_exporter has of its own\n"
		   "      --watch             again every second, until Ctrl-C (exit status 0)\n",
	.run = run,
};
