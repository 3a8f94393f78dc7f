/* Options: one table for the command line and for the control port. */
#ifndef QUOTAD_OPTIONS_H
#define QUOTAD_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/server/quota.h"

struct options {
	uint16_t port; /* 0 = ephemeral, here and below */
	bool tls;
	uint16_t tls_port;
	uint16_t control_port;
	char cert_file[PATH_MAX]; /* "" = do not write it */
	char ready_file[PATH_MAX];
	bool die_with_parent;
	double max_seconds;
	bool help;
	struct quota_settings quota;
};

#define OPTIONS_ERROR_BYTES 512

void options_init(struct options *o);

/* Reads the command line. False with a one-line message in `error`. */
bool options_parse(struct options *o, int argc, char **argv, char error[OPTIONS_ERROR_BYTES]);

/* Sets one option by its name (without dashes) at run time; an empty value puts its default back.
 * False with a message, and `q` as it was, when the name is unknown, the value wrong, or the option can
 * be given on the command line only. */
bool options_set(struct quota_settings *q, const char *name, const char *value, char error[OPTIONS_ERROR_BYTES]);

void options_help(FILE *out);

#endif
