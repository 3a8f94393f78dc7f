/* SPDX-License-Identifier: MIT */
/* Retry-After, RFC 9110 10.2.3, and decimals, which the RFC does not have but servers do. */
#include "weir/http.h"

#include "src/http/ascii.h"
#include "src/http/number.h"
#include "src/http/until.h"

bool weir_retry_after(const char *value, const char *date, uint64_t wall_ns, uint64_t *ns)
{
	const char *p = ascii_skip_blanks(value);
	struct number number;
	int64_t seconds;
	uint64_t wait_ns;

	if (weir_http_number(&p, &number)) {
		if (*ascii_skip_blanks(p) != '\0')
			return false;
		wait_ns = weir_http_number_ns(number, NS_PER_S);
	} else if (weir_http_date(p, &seconds)) {
		wait_ns = weir_http_until(seconds, date, wall_ns);
	} else {
		return false;
	}
	/* A wait of years is a mistake or means "never"; a hold is the wrong answer to both. */
	if (wait_ns == UINT64_MAX)
		return false;
	*ns = wait_ns;
	return true;
}
