/* SPDX-License-Identifier: MIT */
#include "src/cli/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/log.h"

void weir_put_printable(const char *text, FILE *out)
{
	char *copy = strdup(text);
	if (copy)
		weir_make_printable(copy, strlen(copy));
	fputs(copy ? copy : "?", out);
	free(copy);
}

static bool in_passing;

void weir_complain_in_passing(void)
{
	in_passing = true;
}

/* One text in one write. */
static void put(const char *text, size_t length)
{
	if (in_passing)
		weir_log_stderr(text, length);
	else
		fwrite(text, 1, length, stderr);
}

static void say(const char *what, const char *why, va_list arguments) __attribute__((format(printf, 2, 0)));
static void say(const char *what, const char *why, va_list arguments)
{
	char *line = NULL, *text = NULL;
	if (vasprintf(&line, why, arguments) < 0)
		line = NULL;
	int length = asprintf(&text, "weir: %s: %s", what, line ? line : why);
	free(line);
	if (length < 0)
		return;
	weir_make_printable(text, (size_t)length);
	text[length] = '\n'; /* where the NUL stood */
	put(text, (size_t)length + 1);
	free(text);
}

void weir_complain(const char *what, const char *why, ...)
{
	va_list arguments;
	va_start(arguments, why);
	say(what, why, arguments);
	va_end(arguments);
}

int weir_usage_error(const struct weir_subcommand *c, const char *why, ...)
{
	va_list arguments;
	va_start(arguments, why);
	say(c->name, why, arguments);
	va_end(arguments);
	char *text = NULL;
	int length = asprintf(&text, "usage: weir %s\n", c->synopsis);
	if (length >= 0) {
		put(text, (size_t)length);
		free(text);
	}
	return WEIR_EXIT_USAGE;
}

int weir_option_error(const struct weir_subcommand *c, int answer, char **argv)
{
	/* optopt names a short option; a long one that is unknown leaves it 0, one that lacks its value or has one too many
	 * leaves its val, and then stands in argv[optind - 1]. */
	const char *given = argv[optind - 1];
	bool is_long = given[0] == '-' && given[1] == '-';
	if (answer == ':')
		return is_long ? weir_usage_error(c, "%s needs a value", given)
			       : weir_usage_error(c, "-%c needs a value", optopt);
	if (optopt && !is_long)
		return weir_usage_error(c, "unknown option -%c", optopt);
	return weir_usage_error(c, optopt ? "%s takes no value" : "unknown option %s", given);
}

int weir_print_help(const struct weir_subcommand *c)
{
	printf("usage: weir %s\n\n%s.\n", c->synopsis, c->summary);
	if (c->details)
		printf("\n%s", c->details);
	return WEIR_EXIT_OK;
}

int weir_no_options(const struct weir_subcommand *c, int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	optind = 0;
	opterr = 0;
	int o = getopt_long(argc, argv, ":h", options, NULL);
	if (o == -1)
		return -1;
	return o == 'h' ? weir_print_help(c) : weir_option_error(c, o, argv);
}
