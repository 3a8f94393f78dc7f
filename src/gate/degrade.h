/* SPDX-License-Identifier: MIT */
/* What is given up as a host gets worse (weir/degrade.h, weir/shed.h), for one request. */
#ifndef WEIR_GATE_DEGRADE_H
#define WEIR_GATE_DEGRADE_H

#include "scope.h"

/* Whether a request that comes or waits is given up now; *cause then. Once for each request it is asked of a share, and of a
 * whole class each time. Looks at the host where that is due. Seldom: where the rule asks for it (r->watched). */
bool degrade_gives_up(const struct weir_gate *g, struct weir_request *r, const struct scope *host, uint64_t now_ns,
		      enum weir_cause *cause);

/* A result counts. */
void degrade_note(const struct weir_gate *g, const struct scope *host, const struct weir_result *result, uint64_t latency_ns,
		  uint64_t now_ns);

/* Why a request of this class would be given up now, whole classes alone; NONE where it would not. For forecasts. */
enum weir_cause degrade_forecast(const struct scope *host, unsigned class);

#endif
