/* SPDX-License-Identifier: MIT */
/* What the program says on stderr and about itself: one form for every error, one for every help. */
#ifndef WEIR_CLI_USAGE_H
#define WEIR_CLI_USAGE_H

#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "src/cli/subcommand.h"

/* Writes text that came from elsewhere (a command line, a file) without what acts on a terminal. */
void weir_put_printable(const char *text, FILE *out);

/* From now on a command is about to run: what is said on stderr shall neither end it, by a signal, nor hold it up, and is dropped
 * where there is no room for it. */
void weir_complain_in_passing(void);

/* "weir: WHAT: why" on stderr, printable. */
void weir_complain(const char *what, const char *why, ...) __attribute__((format(printf, 2, 3)));

/* The same, with the way to the help below it; returns WEIR_EXIT_USAGE. */
int weir_usage_error(const struct weir_subcommand *c, const char *why, ...) __attribute__((format(printf, 2, 3)));

/* What getopt_long answered with '?' or ':' (opterr = 0, option string beginning with ':' or "+:"). Returns WEIR_EXIT_USAGE. */
int weir_option_error(const struct weir_subcommand *c, int answer, char **argv);

/* Prints the subcommand's help on stdout; returns WEIR_EXIT_OK. */
int weir_print_help(const struct weir_subcommand *c);

/* For subcommands without options of their own: handles --help and refuses every other option. Returns -1 to go on (optind is the
 * first operand), else the exit status. */
int weir_no_options(const struct weir_subcommand *c, int argc, char **argv);

#endif
