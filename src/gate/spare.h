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

/* When that could be for the host alone, taking nothing. */
uint64_t spare_preview_ns(const struct weir_segment *s, const char *key, const struct weir_rule *rule, uint64_t now_ns);

/* The limits of requests in flight for which there is no entry, in the same way; limit 0 = none. */
void spare_permits(const struct weir_gate *g, const char *host_port, const struct scope scope[WEIR_SCOPES],
		   struct weir_spare_permits out[WEIR_SCOPES]);

/* By what the leases of requests without an entry tell whose they are: WEIR_LEASE_SPARE | a hash of the key. */
uint32_t spare_tag(const char *key);

#endif
