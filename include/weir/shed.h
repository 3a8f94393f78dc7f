/* SPDX-License-Identifier: MIT */
/*
 * breaker.mode = "shed": instead of nothing for a while, a host that fails gets a share of what is asked, which shrinks as it
 * fails more. The share that is refused is
 *
 *   max(0, (requests - 2 x accepts) / (requests + 1))
 *
 * over the window, where requests are all that were asked, those refused here among them, and accepts those that did not fail:
 * client-side throttling of Google's "Site Reliability Engineering" (2016), chapter 21, with K = 2. So as long as half of it goes
 * well nothing is refused, and a host that is down is asked once or twice in a window. There is no open and no half-open: each
 * request that goes is a probe.
 *
 * The counts are those of weir/degrade.h, whose looks these are as well.
 */
#ifndef WEIR_SHED_H
#define WEIR_SHED_H

#include "weir/degrade.h"

struct weir_shed_change {
	uint32_t from, to; /* share, per mille; told where one of them is 0: it begins, or it has been over for a window */
	bool told;
};

/* Counts a request that was refused by weir_shed_refuses. */
void weir_shed_note(struct weir_degrade *d, uint64_t window_ns, uint64_t now_ns);

/* The look: computes the share anew. Below min_calls requests in the window nothing is refused. */
struct weir_shed_change weir_shed_look(struct weir_degrade *d, uint64_t window_ns, uint32_t min_calls, uint64_t now_ns);

/* Whether a request that comes now is refused. */
bool weir_shed_refuses(struct weir_degrade *d);

/* The share that is refused, per mille. */
uint32_t weir_shed_permille(const struct weir_degrade *d);

#endif
