/* SPDX-License-Identifier: MIT */
#include "src/agent/agent.h"
#include "src/agent/listener.h"

#include <stdio.h>
#include <string.h>

#include "src/cli/environment.h"
#include "src/cli/subcommand.h"
#include "src/cli/usage.h"
#include "weir/units.h"

enum { OPTION_IDLE = 256, OPTION_FOREGROUND, OPTION_SPAWNED, OPTION_STOP, OPTION_HTTP, OPTION_HELP };

static const struct option options[] = {
	{"idle-exit", required_argument, NULL, OPTION_IDLE},
	{"foreground", no_argument, NULL, OPTION_FOREGROUND},
	{"spawned", no_argument, NULL, OPTION_SPAWNED},
	{"stop", no_argument, NULL, OPTION_STOP},
	{"http", required_argument, NULL, OPTION_HTTP},
	{"help", no_argument, NULL, OPTION_HELP},
	{NULL, 0, NULL, 0},
};

static int stop(void)
{
	struct weir_environment e;
	struct weir_world w;
	uint32_t pid = 0;
	if (!weir_environment_world(&e, &w))
		return WEIR_EXIT_FAILED;
	const char *why = weir_agent_stop(&w, &pid);
	if (why) {
		weir_complain("agent", "pid %u: %s", pid, why);
		return WEIR_EXIT_FAILED;
	}
	if (pid)
		printf("stopped the agent (pid %u)\n", pid);
	else
		printf("no agent is running in %s\n", w.dir);
	return WEIR_EXIT_OK;
}

static int run(int argc, char **argv)
{
	struct weir_agent_options o;
	memset(&o, 0, sizeof o);
	optind = 0;
	opterr = 0;
	bool stopping = false;
	int option;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		const char *why = NULL;
		switch (option) {
		case OPTION_IDLE:
			o.idle_exit_given = true;
			why = weir_parse_duration(optarg, &o.idle_exit_ns);
			if (why)
				return weir_usage_error(&weir_subcommand_agent, "--idle-exit %s: %s", optarg, why);
			break;
		case OPTION_FOREGROUND:
			break;
		case OPTION_SPAWNED: /* by weir_agent_spawn; for nobody else, and not in the help */
			o.spawned = true;
			break;
		case OPTION_HTTP:
			o.http = optarg;
			why = weir_listener_address(optarg);
			if (why)
				return weir_usage_error(&weir_subcommand_agent, "--http %s: %s", optarg, why);
			break;
		case OPTION_STOP:
			stopping = true;
			break;
		case OPTION_HELP:
			return weir_print_help(&weir_subcommand_agent);
		default:
			return weir_option_error(&weir_subcommand_agent, option, argv);
		}
	}
	if (optind < argc)
		return weir_usage_error(&weir_subcommand_agent, "unexpected '%s'", argv[optind]);
	if (stopping)
		return stop();

	struct weir_environment e;
	struct weir_world w;
	if (!weir_environment_world(&e, &w))
		return WEIR_EXIT_FAILED;
	weir_environment_log();
	return weir_agent_run(&e, &o);
}

const struct weir_subcommand weir_subcommand_agent = {
	.name = "agent",
	.synopsis = "agent [--idle-exit TIME] [--http 127.0.0.1:PORT] [--foreground] [--stop]",
	.summary = "Compiles the configuration, cleans up after dead processes and answers on the socket",
	.details = "It is started by itself when it is needed, and leaves when it is not.\n"
		   "\n"
		   "      --idle-exit TIME    leave after this long without requests and clients; 0: stay (default: the\n"
		   "                          configuration's agent.idle_exit)\n"
		   "      --http ADDRESS      listen at 127.0.0.1:PORT or [::1]:PORT as well, for Prometheus and browsers, and "
		   "print\n"
		   "                          the URL of a page that shows everything live; port 0: any free one\n"
		   "      --foreground        stay in the foreground; it always does, the flag is for service files\n"
		   "      --stop              stop the running agent\n",
	.run = run,
};
