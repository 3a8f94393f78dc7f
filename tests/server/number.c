#include "tests/server/number.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/server/clock.h"

bool number_parse(const char *text, double low, double high, double *out)
{
	char *end;
	double value;

	/* strtod would take "0x10", "inf" and "nan" as well. */
	if (text[strspn(text, " +-.0123456789eE")] != '\0')
		return false;
	errno = 0;
	value = strtod(text, &end);
	if (end == text || *end != '\0' || errno != 0 || !isfinite(value) || value < low || value > high)
		return false;
	*out = value;
	return true;
}

bool number_parse_whole(const char *text, int64_t low, int64_t high, int64_t *out)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0 || value < low || value > high)
		return false;
	*out = value;
	return true;
}

static bool parse_unit(const char *text, int64_t *unit_ns)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {
		{"ms", NS_PER_MS}, {"s", NS_PER_S}, {"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S}, {"d", 86400 * NS_PER_S},
	};

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (strcmp(text, units[i].name) == 0) {
			*unit_ns = units[i].ns;
			return true;
		}
	}
	return false;
}

bool number_parse_rate(const char *text, double *count, int64_t *period_ns)
{
	const char *slash = strchr(text, '/');
	char head[32];
	double n;
	double units = 1;
	int64_t unit_ns;
	size_t digits;

	if (slash == NULL || slash == text || (size_t)(slash - text) >= sizeof head)
		return false;
	memcpy(head, text, (size_t)(slash - text));
	head[slash - text] = '\0';
	if (!number_parse(head, 1e-6, 1e9, &n))
		return false;

	text = slash + 1;
	digits = strspn(text, "0123456789.");
	if (digits >= sizeof head)
		return false;
	if (digits > 0) {
		memcpy(head, text, digits);
		head[digits] = '\0';
		if (!number_parse(head, 1e-3, 1e6, &units))
			return false;
	}
	if (!parse_unit(text + digits, &unit_ns))
		return false;
	*count = n;
	*period_ns = (int64_t)(units * (double)unit_ns);
	return *period_ns > 0;
}
