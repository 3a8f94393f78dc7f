/* SPDX-License-Identifier: MIT */
/* The learned rate and the learned meaning of refusals: both hear an answer under one hold of the entry's update lock. */
#ifndef WEIR_GATE_HEAR_H
#define WEIR_GATE_HEAR_H

#include "scope.h"

/* What is to be heard of an answer beside the rate's own business. */
enum heard { HEARD_NOTHING, HEARD_GOOD, HEARD_THROTTLED, HEARD_BARE };

/* Whether a bare status of this host has been found to mean "slow down". `params`: of the rate. */
bool hear_means_less(const struct scope *host, const struct weir_rate_params *params, uint32_t status);

/* Whether, of a bare status: the host did answer well, and for a while nothing else has come any more. */
bool hear_alone(const struct scope *host, uint32_t status, uint64_t now_ns);

/* What the meaning of this result is asked of, its outcome being judged. `params`: of the rate. */
enum heard hear_what(const struct scope *host, const struct weir_rate_params *params, const struct weir_result *result);

/* Tells the controllers; `held`: the answer has set a hold. */
void hear(const struct weir_gate *g, const struct weir_request *r, const struct scope *host,
	  const struct weir_rate_params *params, struct weir_rate_answer *answer, enum heard heard, uint32_t status, bool held,
	  uint64_t now_ns);

/* Changes of a rate or a limit by less than a sixteenth are not worth an event. */
static inline bool worth_telling(uint64_t from, uint64_t to)
{
	uint64_t low = from < to ? from : to, high = from < to ? to : from;

	return low == 0 || high - low > low / 16;
}

#endif
