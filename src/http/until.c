/* SPDX-License-Identifier: MIT */
#include "src/http/until.h"

#include "weir/http.h"

#include "src/http/ascii.h"
#include "src/http/number.h"

#define NS_PER_MS UINT64_C(1000000)

/* A reset this long past is no longer one (and a number that reads as one was meant otherwise). */
#define STALE_NS (UINT64_C(86400) * NS_PER_S)

/* From now_ns to then_ns. */
static uint64_t until_ns(uint64_t then_ns, uint64_t now_ns)
{
	if (then_ns <= now_ns)
		return 0;
	return then_ns - now_ns > ABSURD_NS ? UINT64_MAX : then_ns - now_ns;
}

/* The server's clock: its Date header. False when there is none that can be read. */
static bool server_clock(const char *date, uint64_t *now_ns)
{
	int64_t seconds;

	if (!date || !weir_http_date(date, &seconds) || seconds < 0 || (uint64_t)seconds > UINT64_MAX / NS_PER_S)
		return false;
	*now_ns = (uint64_t)seconds * NS_PER_S;
	return true;
}

/* Counted from the server's own clock where it showed it. That one is cut to whole seconds, so the wait comes out up to a second
 * too long and never too short. By our clock where the server's is years away from what it announces. */
uint64_t weir_http_until(int64_t seconds, const char *date, uint64_t wall_ns)
{
	uint64_t server_ns, wait_ns = UINT64_MAX;

	if (seconds <= 0)
		return 0;
	if ((uint64_t)seconds > UINT64_MAX / NS_PER_S)
		return UINT64_MAX;
	if (server_clock(date, &server_ns))
		wait_ns = until_ns((uint64_t)seconds * NS_PER_S, server_ns);
	return wait_ns != UINT64_MAX ? wait_ns : until_ns((uint64_t)seconds * NS_PER_S, wall_ns);
}

/* A clock that shows less than 10^9 s (2001) was never set. */
#define CLOCK_SET_NS (UINT64_C(1000000000) * NS_PER_S)

/* Reads n as a moment in seconds or milliseconds since 1970, when that is near now_ns; UINT64_MAX when neither is. */
static uint64_t until_epoch(struct number n, uint64_t now_ns)
{
	static const uint64_t units_ns[] = {NS_PER_S, NS_PER_MS};

	if (now_ns < CLOCK_SET_NS)
		return UINT64_MAX;
	for (size_t i = 0; i < sizeof units_ns / sizeof units_ns[0]; i++) {
		uint64_t then_ns;

		if (n.whole > UINT64_MAX / units_ns[i] - 1)
			continue;
		then_ns = n.whole * units_ns[i] + (units_ns[i] == NS_PER_S ? n.nanos : 0);
		if (then_ns + STALE_NS >= now_ns && until_ns(then_ns, now_ns) != UINT64_MAX)
			return until_ns(then_ns, now_ns);
	}
	return UINT64_MAX;
}

/* The unit at p, up to the end of the text: its length in ns, or 0 when it is none. */
static uint64_t unit_ns(const char *p, uint64_t fallback)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{"ms", NS_PER_MS},         {"s", NS_PER_S},         {"sec", NS_PER_S},         {"second", NS_PER_S},
		{"m", 60 * NS_PER_S},      {"min", 60 * NS_PER_S},  {"minute", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S},
		{"hour", 3600 * NS_PER_S}, {"d", 86400 * NS_PER_S}, {"day", 86400 * NS_PER_S},
	};
	size_t length = 0;

	p = ascii_skip_blanks(p);
	if (*p == '\0')
		return fallback;
	while (ascii_letter(p[length]))
		length++;
	if (*ascii_skip_blanks(p + length) != '\0')
		return 0;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (ascii_same(p, length, units[i].name) ||
		    (length > 1 && ascii_lower(p[length - 1]) == 's' && ascii_same(p, length - 1, units[i].name)))
			return units[i].ns;
	}
	return 0;
}

uint64_t weir_http_interval(const char *text)
{
	const char *p = ascii_skip_blanks(text);
	struct number n;
	uint64_t unit;

	if (!weir_http_number(&p, &n))
		return UINT64_MAX;
	unit = unit_ns(p, NS_PER_S);
	return unit > 0 ? weir_http_number_ns(n, unit) : UINT64_MAX;
}

uint64_t weir_http_until_reset(const char *text, const char *date, uint64_t wall_ns)
{
	const char *p = ascii_skip_blanks(text);
	uint64_t server_ns, wait_ns;
	struct number n;
	int64_t seconds;

	if (!weir_http_number(&p, &n))
		return weir_http_date(text, &seconds) ? weir_http_until(seconds, date, wall_ns) : UINT64_MAX;
	/* As seconds since 1970, a wait that is not absurd would lie in 1970: there is nothing to choose between. */
	wait_ns = weir_http_interval(text);
	if (wait_ns != UINT64_MAX || *ascii_skip_blanks(p) != '\0')
		return wait_ns;
	if (server_clock(date, &server_ns))
		wait_ns = until_epoch(n, server_ns);
	return wait_ns != UINT64_MAX ? wait_ns : until_epoch(n, wall_ns);
}
