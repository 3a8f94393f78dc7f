/* SPDX-License-Identifier: MIT */
#include "count.h"

void count_begins_slowly(const struct weir_gate *g, struct weir_request *r, const char *host_port)
{
	r->summary_row = weir_summary_row(g->summary, host_port);
}

void count_one_slowly(const struct weir_gate *g, const struct weir_request *r, enum weir_summary_count which)
{
	weir_summary_add(g->summary, r->summary_row, which, 1);
}

void count_waited_slowly(const struct weir_gate *g, const struct weir_request *r, uint64_t now_ns)
{
	uint64_t us = now_ns > r->begun_ns ? (now_ns - r->begun_ns) / 1000 : 0;

	weir_summary_add(g->summary, r->summary_row, WEIR_SUMMARY_DELAYED, 1);
	weir_summary_add(g->summary, r->summary_row, WEIR_SUMMARY_WAITED_US, us);
	weir_summary_raise(g->summary, r->summary_row, WEIR_SUMMARY_LONGEST_WAIT_US, us);
}

/* It had been let go already, and came back to wait (weir_gate_depart). */
static void take_back(const struct weir_gate *g, const struct weir_request *r)
{
	if (r->kept && !r->tentative)
		weir_summary_add(g->summary, r->summary_row, WEIR_SUMMARY_ADMITTED, UINT64_MAX);
}

void count_cancelled_slowly(const struct weir_gate *g, const struct weir_request *r)
{
	take_back(g, r);
	weir_summary_add(g->summary, r->summary_row, WEIR_SUMMARY_CANCELLED, 1);
}

void count_refused_slowly(const struct weir_gate *g, const struct weir_request *r, enum weir_cause cause)
{
	take_back(g, r);
	weir_summary_refused(g->summary, r->summary_row, cause);
}

void count_over_slowly(const struct weir_gate *g, const struct weir_request *r, enum weir_outcome outcome, uint64_t latency_ns)
{
	static const enum weir_summary_count of[] = {
		[WEIR_SUCCEEDED] = WEIR_SUMMARY_SUCCEEDED,
		[WEIR_THROTTLED] = WEIR_SUMMARY_THROTTLED,
		[WEIR_FAILED] = WEIR_SUMMARY_FAILED,
		[WEIR_IGNORED] = WEIR_SUMMARY_IGNORED,
	};

	if (r->tentative)
		weir_summary_add(g->summary, r->summary_row, WEIR_SUMMARY_ADMITTED, 1);
	weir_summary_add(g->summary, r->summary_row, of[outcome], 1);
	if (outcome == WEIR_IGNORED)
		return;
	weir_summary_add(g->summary, r->summary_row, WEIR_SUMMARY_LATENCY_US, latency_ns / 1000);
	weir_summary_raise(g->summary, r->summary_row, WEIR_SUMMARY_LONGEST_LATENCY_US, latency_ns / 1000);
}
