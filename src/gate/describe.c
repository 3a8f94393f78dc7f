/* SPDX-License-Identifier: MIT */
/* The text that a refused program is given, and the log. Names weir, the host, the reason and when it ends. */
#include "allowance.h"
#include "scope.h"

#include "weir/log.h"
#include "weir/units.h"

static const char *reason(const struct weir_request *r)
{
	switch (r->cause) {
	case WEIR_CAUSE_BREAKER:
		return "the circuit breaker is open";
	case WEIR_CAUSE_PROBE:
		return "the circuit breaker is half-open and its probe is under way";
	case WEIR_CAUSE_FORCED:
		return "the circuit breaker was opened by the operator";
	case WEIR_CAUSE_HOLD:
		return "the server asked to wait";
	case WEIR_CAUSE_QUOTA_HEADER:
		return "the server's quota is used up";
	case WEIR_CAUSE_QUOTA_SPENT:
		return "a quota of the configuration is spent";
	case WEIR_CAUSE_QUOTA_PACED:
		return "what is left of a quota is spread over its window";
	case WEIR_CAUSE_RATE:
		return "the rate limit allows no request in time";
	case WEIR_CAUSE_CONCURRENCY:
		return "all permits were in use for too long";
	case WEIR_CAUSE_RAMP:
		return "the host is recovering and all permits were in use for too long";
	default:
		return weir_cause_text(r->cause);
	}
}

size_t weir_gate_describe(const struct weir_gate *g, const struct weir_request *r, const char *host_port, uint64_t now_ns,
			  char *out, size_t size)
{
	char when[32], allowed[32];
	uint64_t left = r->until_ns > now_ns ? r->until_ns - now_ns : 0;
	size_t n;

	if (r->cause == WEIR_CAUSE_QUOTA_SPENT) {
		size_t said;

		n = weir_format(out, size, "weir: %s: ", host_port);
		said = allowances_describe(g, r, out + n, size - n);
		if (said != 0)
			return n + said;
	}
	n = weir_format(out, size, "weir: %s: %s", host_port, reason(r));
	if (r->until_ns == WEIR_NEVER) {
		n += weir_format(out + n, size - n, " until it is closed again");
	} else if (r->timed_out) {
		weir_print_duration(r->latest_ns - r->begun_ns, allowed, sizeof allowed);
		if (left != 0)
			n += weir_format(out + n, size - n, "; the wait would be %s",
					 weir_print_duration(left, when, sizeof when));
		n += weir_format(out + n, size - n, "%s and %s is allowed", left != 0 ? "" : "; it waited", allowed);
	} else if (r->until_ns != 0) {
		n += weir_format(out + n, size - n, "; next try in %s", weir_print_duration(left, when, sizeof when));
	}
	return n;
}
