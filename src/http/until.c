/* SPDX-License-Identifier: MIT */
#include "src/http/until.h"

#include <string.h>

#include "weir/http.h"

#include "src/http/ascii.h"
#include "src/http/date.h"
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

/* The server's clock: its Date header. 0 when there is none that can be read. */
static uint64_t server_clock(const char *date)
{
	int64_t seconds;

	if (!date || !weir_http_date(date, &seconds) || seconds < 0 || (uint64_t)seconds > UINT64_MAX / 2 / NS_PER_S)
		return 0;
	return (uint64_t)seconds * NS_PER_S;
}

struct moment weir_http_moment(const char *date, uint64_t age_ns, uint64_t wall_ns)
{
	struct moment now = {.server_ns = server_clock(date), .wall_ns = wall_ns, .age_ns = age_ns};

	if (now.server_ns != 0)
		now.server_ns += age_ns;
	return now;
}

/* Counted from the server's own clock where it showed it. That one is cut to whole seconds, so the wait comes out up to a second
 * too long and never too short. By our clock where the server's is years away from what it announces. */
uint64_t weir_http_until(int64_t seconds, uint32_t nanos, const struct moment *now)
{
	uint64_t then_ns, wait_ns = UINT64_MAX;

	if (seconds <= 0)
		return 0;
	if ((uint64_t)seconds > UINT64_MAX / NS_PER_S - 1)
		return UINT64_MAX;
	then_ns = (uint64_t)seconds * NS_PER_S + nanos;
	if (now->server_ns != 0)
		wait_ns = until_ns(then_ns, now->server_ns);
	return wait_ns != UINT64_MAX ? wait_ns : until_ns(then_ns, now->wall_ns);
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

/* The unit at *p, and *p behind it: its length in ns, or 0 when it is none. */
static uint64_t read_unit(const char **p)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{"ms", NS_PER_MS},         {"s", NS_PER_S},         {"sec", NS_PER_S},         {"second", NS_PER_S},
		{"m", 60 * NS_PER_S},      {"min", 60 * NS_PER_S},  {"minute", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S},
		{"hour", 3600 * NS_PER_S}, {"d", 86400 * NS_PER_S}, {"day", 86400 * NS_PER_S}, {"millisecond", NS_PER_MS},
	};
	const char *name = ascii_skip_blanks(*p);
	size_t length = 0;

	while (ascii_letter(name[length]))
		length++;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (ascii_same(name, length, units[i].name) ||
		    (length > 1 && ascii_lower(name[length - 1]) == 's' && ascii_same(name, length - 1, units[i].name))) {
			*p = name + length;
			return units[i].ns;
		}
	}
	return 0;
}

uint64_t weir_http_interval(const char *text, uint64_t unit_ns)
{
	const char *p = ascii_skip_blanks(text);
	uint64_t sum_ns = 0;

	for (int parts = 0; *p != '\0'; parts++) {
		struct number n;
		uint64_t unit, ns;

		if (!weir_http_number(&p, &n))
			return UINT64_MAX;
		unit = *ascii_skip_blanks(p) == '\0' && parts == 0 ? unit_ns : read_unit(&p);
		ns = unit > 0 ? weir_http_number_ns(n, unit) : UINT64_MAX;
		if (ns == UINT64_MAX || sum_ns + ns > ABSURD_NS)
			return UINT64_MAX;
		sum_ns += ns;
		p = ascii_skip_blanks(p);
	}
	return p != ascii_skip_blanks(text) ? sum_ns : UINT64_MAX;
}

static bool around(char c)
{
	return ascii_blank(c) || c == '"' || c == '\'';
}

/* Without blanks and quotes around it. */
static bool bare(const char *text, size_t length, char out[WEIR_TOKEN_MAX])
{
	while (length > 0 && around(text[length - 1]))
		length--;
	while (length > 0 && around(*text)) {
		text++;
		length--;
	}
	out[0] = '\0';
	if (length >= WEIR_TOKEN_MAX)
		return false;
	memcpy(out, text, length);
	out[length] = '\0';
	return length > 0;
}

bool weir_http_token(const char **p, char out[WEIR_TOKEN_MAX])
{
	size_t length = strcspn(*p, ",");

	if (**p == '\0')
		return false;
	(void)bare(*p, length, out);
	*p += length + ((*p)[length] == ',' ? 1 : 0);
	return true;
}

uint64_t weir_http_until_reset(const char *text, uint64_t unit_ns, const struct moment *now)
{
	char value[WEIR_TOKEN_MAX];
	const char *p = value;
	uint32_t nanos = 0;
	int64_t seconds;
	uint64_t wait_ns;
	struct number n;

	if (!bare(text, strlen(text), value))
		return UINT64_MAX;
	if (weir_http_date(value, &seconds) || weir_iso_date(value, &seconds, &nanos))
		return weir_http_until(seconds, nanos, now);
	/* As seconds since 1970, a wait that is not absurd would lie in 1970: there is nothing to choose between. */
	wait_ns = weir_http_interval(value, unit_ns);
	if (wait_ns != UINT64_MAX)
		return wait_ns > now->age_ns ? wait_ns - now->age_ns : 0;
	if (!weir_http_number(&p, &n) || *ascii_skip_blanks(p) != '\0')
		return UINT64_MAX;
	if (now->server_ns != 0)
		wait_ns = until_epoch(n, now->server_ns);
	return wait_ns != UINT64_MAX ? wait_ns : until_epoch(n, now->wall_ns);
}

uint64_t weir_http_until_last(const char *text, uint64_t unit_ns, const struct moment *now)
{
	uint64_t last_ns = weir_http_until_reset(text, unit_ns, now);
	char value[WEIR_TOKEN_MAX];

	if (last_ns != UINT64_MAX || !strchr(text, ','))
		return last_ns;
	while (weir_http_token(&text, value)) {
		uint64_t ns = weir_http_until_reset(value, unit_ns, now);

		if (ns != UINT64_MAX && (last_ns == UINT64_MAX || ns > last_ns))
			last_ns = ns;
	}
	return last_ns;
}
