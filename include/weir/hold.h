/* SPDX-License-Identifier: MIT */
/*
 * A hold: the server said when to come back (Retry-After and its kin), and until then nobody sends.
 * One word, raised by max-CAS, so the longest of concurrent answers wins and a dead process leaves nothing half done.
 */
#ifndef WEIR_HOLD_H
#define WEIR_HOLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct weir_hold {
	_Atomic uint64_t until_ns; /* CLOCK_MONOTONIC; in the past: no hold */
};

/* Raises the hold to until_ns, but never beyond now_ns + max_ns. Returns whether it was raised. */
bool weir_hold_raise(struct weir_hold *h, uint64_t until_ns, uint64_t max_ns, uint64_t now_ns);

/* The time at which the hold ends; <= now_ns when there is none. A value beyond now_ns + max_ns (damage) reads as now_ns +
 * max_ns. */
uint64_t weir_hold_until_ns(const struct weir_hold *h, uint64_t max_ns, uint64_t now_ns);

/* The same, and writes what it returns where that is not what stands there: read again and again, a time that is too far ahead
 * would otherwise be as far ahead for ever. */
uint64_t weir_hold_settle_ns(struct weir_hold *h, uint64_t max_ns, uint64_t now_ns);

/* Lifts the hold. */
void weir_hold_clear(struct weir_hold *h);

#endif
