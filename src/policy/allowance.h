/* SPDX-License-Identifier: MIT */
/* quotas = ( "5000/hour", "1000/day Europe/Berlin", "100/6h rolling" ), which are not `rates` (quota.c). */
#ifndef WEIR_POLICY_ALLOWANCE_H
#define WEIR_POLICY_ALLOWANCE_H

#include <stddef.h>

#include "weir/allowance.h"

struct weir_draft;
struct weir_setting;

/* Reads one text into the first allowance that is free. Returns NULL, or what is wrong (static text). */
const char *weir_allowance_parse(struct weir_allowances *a, const char *text, uint64_t wall_s);

/* Reads the list; reports what is wrong. */
void weir_allowances_read(struct weir_draft *d, const struct weir_setting *s);

/* `spread` for all of them. */
void weir_allowances_spread(struct weir_allowances *a, bool spread);
bool weir_allowances_spreads(const struct weir_allowances *a);

/* The list in the syntax of the configuration; to be freed. */
char *weir_allowances_print(const struct weir_allowances *a);

/* Whether two rules count alike: all but the zones' changes, which are a matter of when they were looked up. */
bool weir_allowances_agree(const struct weir_allowances *a, const struct weir_allowances *b);

#endif
