/* SPDX-License-Identifier: MIT */
#include "scope.h"

/* What means "slow down" where the answer says when to come back; without that it means what it always means. */
static bool slows_down(int http_status)
{
	switch (http_status) {
	case 403: /* GitHub, NVD */
	case 413: /* RFC 9110, 15.5.14: "if the condition is temporary" */
	case 418: /* Binance, before it bans an address */
	case 420: /* Twitter, once: "Enhance Your Calm" */
	case 425: /* RFC 8470, Too Early */
	case 429: /* RFC 6585 */
	case 430: /* Shopify */
	case 503: /* RFC 9110, 15.6.4 */
	case 529: /* Anthropic: overloaded */
		return true;
	default: /* 500, 502, 504: something is broken, and when it will not be is heard all the same */
		return false;
	}
}

enum weir_outcome weir_gate_classify(const struct weir_gate *g, const struct weir_request *r, int http_status, bool says_when)
{
	struct scope host;

	/* Nobody's rule: what went behind another request, or is a proxy's own answer. */
	if (g->segment == NULL || g->segment->base == NULL || !scope_of(g, SCOPE_HOST, r->scope[SCOPE_HOST].slot, &host)) {
		if (http_status == 429 || (says_when && slows_down(http_status)))
			return WEIR_THROTTLED;
		return http_status >= 500 ? WEIR_FAILED : WEIR_SUCCEEDED;
	}
	for (uint32_t i = 0; i < host.rule->throttle_codes && i < WEIR_THROTTLE_CODES; i++)
		if (host.rule->throttle_code[i] == http_status)
			return WEIR_THROTTLED;
	if (says_when && slows_down(http_status))
		return WEIR_THROTTLED;
	return http_status >= 500 ? WEIR_FAILED : WEIR_SUCCEEDED;
}
