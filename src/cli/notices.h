/* SPDX-License-Identifier: MIT */
/* What processes under weir have noted down for the operator: that limits were not in force, and why. */
#ifndef WEIR_CLI_NOTICES_H
#define WEIR_CLI_NOTICES_H

#include <stdbool.h>

#include "weir/runtime.h"

/* Calls `each` with every line ("DATE WHAT: WHY"), oldest first, what is not printable replaced; of today alone if so asked.
 * Returns how many. Files that belong to others are passed over. */
unsigned weir_notices_list(const struct weir_environment *e, bool today, void (*each)(const char *line));

/* Calls `each` with what there is to say of every configuration file of the chain that is left out (weir_policy_left_out).
 * Returns how many. */
unsigned weir_left_out_list(const struct weir_environment *e, void (*each)(const char *text));

#endif
