/* SPDX-License-Identifier: MIT */
/* One look at a waiting request. */
#ifndef WEIR_GATE_LOOK_H
#define WEIR_GATE_LOOK_H

#include "scope.h"

/* Whose it is, salted; credential not 0. */
struct weir_asker request_asker(const struct weir_segment *s, uint64_t credential, uint64_t path);

/* Until when the quota is spent that this request would use: <= now_ns when it is not, or nobody knows. */
uint64_t request_spent_until(const struct weir_request *r, const struct scope *host, uint64_t now_ns);

/* Until when a request that the breaker refuses waits for the host to come back; <= now_ns when it is refused at once: the
 * outage has lasted for longer than the grace, or no probe goes before its own patience is over. until_ns: of the refusal. */
uint64_t request_waits_out_until(const struct scope *host, uint64_t until_ns, uint64_t latest_ns, uint64_t now_ns);

/* How long a wait for a permit lasts before the request looks again by itself: a release wakes it, unless its owner died. */
#define PERMIT_POLL_NS UINT64_C(20000000)

/* Bounds every sleep, so that a wake-up lost with a dying process costs no more than this. */
#define SLEEP_MAX_NS UINT64_C(1000000000)

/* The dead may hold what a request waits for: permits, the breaker's probe, a place in a full queue. Of all those who wait, one
 * looks for them every 200 ms. Whether it was this one. */
bool request_reap(const struct weir_gate *g, uint64_t now_ns);

/* Lets others see in its lease what a request waits for that was told to; returns the verdict. */
enum weir_verdict request_told(const struct weir_gate *g, const struct weir_request *r, enum weir_verdict verdict);

/* weir_gate_look with the scopes at hand. */
enum weir_verdict request_look(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES],
			       uint64_t now_ns, uint64_t *wake_ns);

/* Refuses it: what it holds goes back. */
enum weir_verdict request_refuse(const struct weir_gate *g, struct weir_request *r, const struct scope *host,
				 enum weir_cause cause, uint64_t until_ns, bool timed_out, uint64_t now_ns);

#endif
