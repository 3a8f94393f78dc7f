/* SPDX-License-Identifier: MIT */
/* The permits that a request takes, one in each scope, and in which order those who wait for one get it. */
#ifndef WEIR_GATE_PERMITS_H
#define WEIR_GATE_PERMITS_H

#include "scope.h"

/* What who sleeps at an entry wants to hear of: changes of rate, hold, breaker and rule; of requests that are over; and, by the
 * place of who waits for a permit, that one is free which is its to take. */
#define WAKE_ON_CHANGE (UINT32_C(1) << 31)
#define WAKE_ON_ANSWER (UINT32_C(1) << 30)

/* Takes a permit in every scope, or none. Without a lease nobody could give them back after a death, so such a request takes
 * none. False: r->wait_slot says where there was none to be had, r->wake_bits of what it wants to hear there. */
bool request_take_permits(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES],
			  bool unlimited, uint64_t now_ns, bool *ramp);

/* Its place among those who wait for a permit ends; served: because it has got one. */
void request_leave_permits(const struct weir_gate *g, struct weir_request *r, bool served);

/* How long it sleeps before it looks for a permit again by itself: the longer, the further behind it is. */
uint64_t request_permit_poll_ns(const struct weir_gate *g, const struct weir_request *r);

/* A permit of the entry has become free: wakes those whose it is. */
void request_wake_next(const struct weir_gate *g, uint32_t slot);

#endif
