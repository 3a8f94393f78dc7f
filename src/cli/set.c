/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "src/cli/operate.h"
#include "src/cli/usage.h"
#include "weir/log.h"
#include "weir/units.h"

enum { OPTION_FOR = 256, OPTION_CREATE, OPTION_HELP };

static const struct option options[] = {
	{"for", required_argument, NULL, OPTION_FOR},
	{"create", no_argument, NULL, OPTION_CREATE},
	{"help", no_argument, NULL, OPTION_HELP},
	{NULL, 0, NULL, 0},
};

/* What is set, in the words of the command line, for the confirmation. */
static void note(char *done, size_t size, const char *what)
{
	size_t n = strlen(done);
	weir_format(done + n, size - n, " %s", what);
}

static int take_assignment(json_t *body, const char *text)
{
	static const char *const names[] = {"rate", "burst", "concurrency", "quota"};
	const char *equals = strchr(text, '=');
	for (size_t i = 0; equals && i < sizeof names / sizeof *names; i++) {
		size_t n = strlen(names[i]);
		if ((size_t)(equals - text) != n || strncmp(text, names[i], n) != 0)
			continue;
		if (json_object_get(body, names[i]))
			return weir_usage_error(&weir_subcommand_set, "%s is given twice", names[i]);
		if (json_object_set_new(body, names[i], json_string(equals + 1)) != 0)
			return weir_usage_error(&weir_subcommand_set, "'%s' is not text", text);
		return 0;
	}
	return weir_usage_error(&weir_subcommand_set, "expected rate=R, burst=N, concurrency=N or quota=USED, got '%s'", text);
}

static int run(int argc, char **argv)
{
	json_t *body = json_object();
	char done[256] = "set", span[64] = "until 'weir reset'";
	optind = 0;
	opterr = 0;
	int o;
	int status = 0;
	while (status == 0 && (o = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (o == OPTION_FOR) {
			json_object_set_new(body, "for", json_string(optarg));
			weir_format(span, sizeof span, "for %s", optarg);
		} else if (o == OPTION_CREATE) {
			json_object_set_new(body, "create", json_true());
		} else {
			json_decref(body);
			return o == OPTION_HELP ? weir_print_help(&weir_subcommand_set)
						: weir_option_error(&weir_subcommand_set, o, argv);
		}
	}
	if (optind >= argc)
		status = weir_usage_error(&weir_subcommand_set, "no host given");
	else if (optind + 1 >= argc)
		status = weir_usage_error(&weir_subcommand_set, "nothing to set: expected rate=R, burst=N or concurrency=N");
	for (int i = optind + 1; status == 0 && i < argc; i++) {
		status = take_assignment(body, argv[i]);
		note(done, sizeof done, argv[i]);
	}
	if (status != 0) {
		json_decref(body);
		return status;
	}
	json_t *quota = json_object_get(body, "quota");
	if (quota && json_object_size(body) > 1) {
		json_decref(body);
		return weir_usage_error(&weir_subcommand_set, "quota is set alone");
	}
	if (quota) {
		json_t *used = json_pack("{s:O}", "used", quota);
		json_decref(body);
		return weir_operate(&weir_subcommand_set, argv[optind], "/quota", used, false, done);
	}
	note(done, sizeof done, span);
	return weir_operate(&weir_subcommand_set, argv[optind], "/rate", body, true, done);
}

const struct weir_subcommand weir_subcommand_set = {
	.name = "set",
	.synopsis = "set HOST rate=RATE [burst=N] [concurrency=N] [--for TIME] [--create] | quota=USED",
	.summary = "Overrides a host's rate or concurrency for now, whatever the configuration says",
	.details = "rate=none and concurrency=none take an override back; 'weir reset' takes all back and forgets what was\n"
		   "learned.\n"
		   "\n"
		   "quota=USED (quota=USED/day where there are several) says what counts as used of a quota of the\n"
		   "configuration until its window ends: what was asked for elsewhere, say.\n"
		   "\n"
		   "      --for TIME          such as 10m; without it, until 'weir reset'\n"
		   "      --create            also for a host:port that nothing was requested from yet\n",
	.run = run,
};
