/* SPDX-License-Identifier: MIT */
/* Requests for which the table of entries has no room. */
#ifndef WEIR_GATE_SPARE_H
#define WEIR_GATE_SPARE_H

#include "scope.h"

/* Takes the units that the rates allow which have no entry: the host's rule's where its scope is the overflow, the run's, the
 * total's. Returns the time from which the request may go; when that is later than latest_ns nothing is taken. now_ns when every
 * scope has an entry. Counts the request among those that found the table full. */
uint64_t spare_take(const struct weir_gate *g, const char *host_port, const struct scope scope[WEIR_SCOPES], uint64_t latest_ns,
		    uint64_t now_ns);

#endif
