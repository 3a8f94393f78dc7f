/* SPDX-License-Identifier: MIT */
/* Retry-After, RFC 9110 10.2.3, and decimals, which the RFC does not have but servers do. */
#include "weir/http.h"

#include "src/http/ascii.h"
#include "src/http/number.h"

/* From `now` to the date: 0 when it is past, UINT64_MAX when it is absurdly far off. */
static uint64_t until_ns(int64_t seconds, uint64_t now_ns)
{
	uint64_t then_ns;

	if (seconds <= 0)
		return 0;
	if ((uint64_t)seconds > UINT64_MAX / NS_PER_S)
		return UINT64_MAX;
	then_ns = (uint64_t)seconds * NS_PER_S;
	if (then_ns <= now_ns)
		return 0;
	return then_ns - now_ns > ABSURD_NS ? UINT64_MAX : then_ns - now_ns;
}

/* A date, counted from the server's own clock when it showed it. That one is cut to whole seconds, so the wait comes out up to a
 * second too long and never too short. */
static uint64_t date_ns(int64_t seconds, const char *date, uint64_t wall_ns)
{
	uint64_t ns = UINT64_MAX;
	int64_t server;

	if (date && weir_http_date(date, &server) && server >= 0 && (uint64_t)server <= UINT64_MAX / NS_PER_S)
		ns = until_ns(seconds, (uint64_t)server * NS_PER_S);
	/* Without a usable Date, or when the two are years apart (a fixed Date, a date of its own making): by our clock. */
	return ns != UINT64_MAX ? ns : until_ns(seconds, wall_ns);
}

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
		wait_ns = date_ns(seconds, date, wall_ns);
	} else {
		return false;
	}
	/* A wait of years is a mistake or means "never"; a hold is the wrong answer to both. */
	if (wait_ns == UINT64_MAX)
		return false;
	*ns = wait_ns;
	return true;
}
