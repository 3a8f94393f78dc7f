/* SPDX-License-Identifier: MIT */
/* How old published limits in the configuration are. */
#ifndef WEIR_CLI_VERIFIED_H
#define WEIR_CLI_VERIFIED_H

#include <stdbool.h>
#include <time.h>

#include "weir/policy.h"

/* Limits that nobody has compared with what is published for longer are told of. */
#define WEIR_VERIFIED_DAYS 366

/* The oldest `verified_on` of the policy's rules and its rule's index in `origins`; false when there is none. */
bool weir_verified_oldest(const struct weir_policy *p, char date[16], size_t *origin);

/* Whether a day, "2026-11-27", is more than WEIR_VERIFIED_DAYS before `now`. */
bool weir_verified_long_ago(const char *date, time_t now);

/* Says on stderr which rules' limits were compared too long ago. */
void weir_verified_warn(const struct weir_policy *p, time_t now);

#endif
