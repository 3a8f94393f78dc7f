/* SPDX-License-Identifier: MIT */
/* Counting in the summary of the run, where one is asked for (weir/summary.h): one branch where none is. */
#ifndef WEIR_GATE_COUNT_H
#define WEIR_GATE_COUNT_H

#include "weir/gate.h"
#include "weir/summary.h"

/* The row of a request that begins. */
void count_begins_slowly(const struct weir_gate *g, struct weir_request *r, const char *host_port);
static inline void count_begins(const struct weir_gate *g, struct weir_request *r, const char *host_port)
{
	if (__builtin_expect(g->summary != NULL, 0))
		count_begins_slowly(g, r, host_port);
}

/* Adds one. */
void count_one_slowly(const struct weir_gate *g, const struct weir_request *r, enum weir_summary_count which);
static inline void count_one(const struct weir_gate *g, const struct weir_request *r, enum weir_summary_count which)
{
	if (__builtin_expect(r->summary_row != 0, 0))
		count_one_slowly(g, r, which);
}

/* It has waited until now. */
void count_waited_slowly(const struct weir_gate *g, const struct weir_request *r, uint64_t now_ns);
static inline void count_waited(const struct weir_gate *g, const struct weir_request *r, uint64_t now_ns)
{
	if (__builtin_expect(r->summary_row != 0, 0))
		count_waited_slowly(g, r, now_ns);
}

/* It gave up waiting. */
void count_cancelled_slowly(const struct weir_gate *g, const struct weir_request *r);
static inline void count_cancelled(const struct weir_gate *g, const struct weir_request *r)
{
	if (__builtin_expect(r->summary_row != 0, 0))
		count_cancelled_slowly(g, r);
}

/* It is refused. */
void count_refused_slowly(const struct weir_gate *g, const struct weir_request *r, enum weir_cause cause);
static inline void count_refused(const struct weir_gate *g, const struct weir_request *r, enum weir_cause cause)
{
	if (__builtin_expect(r->summary_row != 0, 0))
		count_refused_slowly(g, r, cause);
}

/* It is over: what came of it, latency_ns after it went. */
void count_over_slowly(const struct weir_gate *g, const struct weir_request *r, enum weir_outcome outcome, uint64_t latency_ns);
static inline void count_over(const struct weir_gate *g, const struct weir_request *r, enum weir_outcome outcome,
			      uint64_t latency_ns)
{
	if (__builtin_expect(r->summary_row != 0, 0))
		count_over_slowly(g, r, outcome, latency_ns);
}

#endif
