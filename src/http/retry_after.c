/* SPDX-License-Identifier: MIT */
/* Retry-After, RFC 9110 10.2.3, and what servers make of it. */
#include "weir/http.h"

#include "src/http/number.h"
#include "src/http/until.h"

bool weir_retry_after(const char *value, const char *date, uint64_t wall_ns, uint64_t *ns)
{
	struct moment now = weir_http_moment(date, 0, wall_ns);
	uint64_t wait_ns = weir_http_until_last(value, NS_PER_S, &now);

	/* A wait of years is a mistake or means "never"; a hold is the wrong answer to both. */
	if (wait_ns == UINT64_MAX)
		return false;
	*ns = wait_ns;
	return true;
}
