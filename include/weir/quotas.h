/* SPDX-License-Identifier: MIT */
/*
 * The configuration's `quotas` for who compiles rules and shows them: their text, and their zones.
 *
 * Time zones, by the C library's database. A zone is looked up once and written down as the offset that
 * holds and the next two changes of it (struct weir_zone); host processes read no such files.
 */
#ifndef WEIR_QUOTAS_H
#define WEIR_QUOTAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/allowance.h"
#include "weir/rule.h"

/* Fills *out for a name of the database ("Europe/Berlin") or "local", which is what /etc/localtime says. Returns NULL, or what is
 * wrong (static text). Sets TZ of this process meanwhile: for programs of one thread. */
const char *weir_zone_find(const char *name, uint64_t wall_s, struct weir_zone *out);

/* Looks the zones of all rules up once more, by their names. Returns whether any changed. One that is gone stays as it was. */
bool weir_zones_renew(struct weir_rule *rules, uint32_t count, uint64_t wall_s);

/* Whether a change of a zone in use is past: time to renew. */
bool weir_zones_due(const struct weir_rule *rules, uint32_t count, uint64_t wall_s);

/* As it is written: "1000/day Europe/Berlin". */
#define WEIR_ALLOWANCE_TEXT 96
void weir_allowance_print(const struct weir_allowances *a, unsigned which, char *out, size_t size);

#endif
