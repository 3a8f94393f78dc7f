/* SPDX-License-Identifier: MIT */
/* What set, reset and breaker have in common: one POST about one host, and what became of it. */
#ifndef WEIR_CLI_OPERATE_H
#define WEIR_CLI_OPERATE_H

#include <jansson.h>
#include <stdbool.h>

#include "src/cli/subcommand.h"

/* Posts `body` (its reference is taken over; NULL is out of memory) to /v1/hosts/HOST/VERB. Prints "HOST: done" on success.
 * `may_create`: the subcommand has --create, which is pointed to when the host is not known. Returns the exit status. */
int weir_operate(const struct weir_subcommand *c, const char *host, const char *verb, json_t *body, bool may_create,
		 const char *done);

#endif
