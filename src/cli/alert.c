/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/client.h"
#include "src/cli/operate.h"
#include "src/cli/subcommand.h"
#include "src/cli/usage.h"
#include "weir/log.h"

static int list(int argc, char **argv, bool json)
{
	if (argc > 0)
		return weir_usage_error(&weir_subcommand_alert, "unexpected '%s'", argv[0]);
	return weir_client_print("alert", "/v1/alerts", json);
}

static int silence(int argc, char **argv)
{
	char done[96];
	if (argc != 2)
		return weir_usage_error(&weir_subcommand_alert, "expected a host (or '*') and a time such as 1h, or off");
	if (strcmp(argv[1], "off") == 0)
		weir_format(done, sizeof done, "no longer silent");
	else
		weir_format(done, sizeof done, "silent for %s", argv[1]);
	return weir_operate(&weir_subcommand_alert, argv[0], "/silence", json_pack("{s:s}", "for", argv[1]), false, done);
}

static int acknowledge(int argc, char **argv)
{
	if (argc < 1 || argc > 2)
		return weir_usage_error(&weir_subcommand_alert, "expected a host, and perhaps the name of one of its alerts");
	return weir_operate(&weir_subcommand_alert, argv[0], "/ack",
			    argc == 2 ? json_pack("{s:s}", "alert", argv[1]) : json_object(), false, "acknowledged");
}

static int test(int argc, char **argv)
{
	struct weir_question q = {.method = "POST", .path = "/v1/alerts/test", .body = "{}"};
	struct weir_reply reply;
	if (argc > 0)
		return weir_usage_error(&weir_subcommand_alert, "unexpected '%s'", argv[0]);
	if (!weir_client_ask(&q, &reply))
		return WEIR_EXIT_FAILED;
	int status = weir_reply_failed("alert", &reply);
	if (status == 0)
		puts("the command is being run with an alert of test.invalid:443; 'weir alert list --json' counts how it ended");
	weir_reply_free(&reply);
	return status;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	bool json = false;
	optind = 0;
	opterr = 0;
	for (int o; (o = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
		if (o == 'h')
			return weir_print_help(&weir_subcommand_alert);
		if (o != 'j')
			return weir_option_error(&weir_subcommand_alert, o, argv);
		json = true;
	}
	const char *verb = optind < argc ? argv[optind] : "list";
	int rest = argc - optind > 0 ? argc - optind - 1 : 0;
	char **operands = argv + optind + (optind < argc);
	if (strcmp(verb, "list") == 0)
		return list(rest, operands, json);
	if (json)
		return weir_usage_error(&weir_subcommand_alert, "--json goes with list");
	if (strcmp(verb, "silence") == 0)
		return silence(rest, operands);
	if (strcmp(verb, "ack") == 0)
		return acknowledge(rest, operands);
	if (strcmp(verb, "test") == 0)
		return test(rest, operands);
	return weir_usage_error(&weir_subcommand_alert, "expected list, silence, ack or test, got '%s'", verb);
}

const struct weir_subcommand weir_subcommand_alert = {
	.name = "alert",
	.synopsis = "alert [list [--json] | silence HOST TIME | silence HOST off | ack HOST [ALERT] | test]",
	.summary = "Shows which alerts fire; keeps them quiet for a time, or notes that somebody knows",
	.details = "HOST is host:port, a host with one port, or a group's name, and means its narrowed rules as well;\n"
		   "or one of these, as it is listed: 'host:port#/path'. To silence all: '*'. ALERT is latency, error_rate,\n"
		   "throttled_rate, breaker_open, queue or quota; without it all of the host.\n"
		   "\n"
		   "What is silent runs no command and does not count in /healthz; what is acknowledged stays as it is until\n"
		   "it resolves. test runs the configuration's alerts.command with an alert that does not exist.\n"
		   "\n"
		   "      --json              as GET /v1/alerts has it\n",
	.run = run,
};
