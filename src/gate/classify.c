/* SPDX-License-Identifier: MIT */
#include "scope.h"

enum weir_outcome weir_gate_classify(const struct weir_gate *g, const struct weir_request *r, int http_status,
				     bool has_retry_after)
{
	struct scope host;

	if (g->segment == NULL || g->segment->base == NULL || !scope_of(g, SCOPE_HOST, r->scope[SCOPE_HOST].slot, &host))
		return http_status >= 500 ? WEIR_FAILED : WEIR_SUCCEEDED;
	for (uint32_t i = 0; i < host.rule->throttle_codes && i < WEIR_THROTTLE_CODES; i++)
		if (host.rule->throttle_code[i] == http_status)
			return WEIR_THROTTLED;
	/* RFC 9110, 15.6.4: a 503 with Retry-After says when to come back. That is a request to slow down, not an outage. */
	if (http_status == 503 && has_retry_after)
		return WEIR_THROTTLED;
	return http_status >= 500 ? WEIR_FAILED : WEIR_SUCCEEDED;
}
