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

static void say(const char *what, const char *why, va_list arguments) __attribute__((format(printf, 2, 0)));
static void say(const char *what, const char *why, va_list arguments)
{
	char *line = NULL;
	int length = vasprintf(&line, why, arguments);
	fputs("weir: ", stderr);
	weir_put_printable(what, stderr);
	fputs(": ", stderr);
	if (length >= 0)
		weir_make_printable(line, (size_t)length);
	fprintf(stderr, "%s\n", length >= 0 ? line : why);
	if (length >= 0)
		free(line);
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
	fprintf(stderr, "usage: weir %s\n", c->synopsis);
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
