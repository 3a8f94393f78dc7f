/* SPDX-License-Identifier: MIT */
/*
 * How long a host has been down: `breaker.grace` lets requests wait out the beginning of an outage.
 *
 * An outage begins when the breaker opens on a host that had been up, lasts over all probes that fail, and ends when the breaker
 * closes. A host that never answered well is not known to have been up: there is no beginning to wait out. One word of
 * weir_meaning: when it began; 1: on a host that was never up; 0: no outage, or one whose beginning was not noted, because the
 * process that opened the breaker was killed in between; then it begins for whoever meets the open breaker first. So nobody waits
 * for longer than the grace from there.
 */
#ifndef WEIR_OUTAGE_H
#define WEIR_OUTAGE_H

#include <stdint.h>

#include "weir/meaning.h"

/* The breaker has opened on a host that had been up, or was thought to be. */
void weir_outage_begin(struct weir_meaning *m, uint64_t now_ns);

/* It has closed again. */
void weir_outage_end(struct weir_meaning *m);

/* Somebody meets the open breaker: notes the beginning where nobody has. */
void weir_outage_met(struct weir_meaning *m, uint64_t now_ns);

/* Until when requests wait for the end of the outage: grace_ns from its beginning. <= now_ns: no more, or not at all. */
uint64_t weir_outage_grace_ends_ns(const struct weir_meaning *m, uint64_t grace_ns, uint64_t now_ns);

#endif
