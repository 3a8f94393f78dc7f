/* SPDX-License-Identifier: MIT */
#include "weir/units.h"

#include "src/units/number.h"

#define LONGEST_NS (UINT64_C(366) * WEIR_DAY_NS)

const char *weir_parse_duration(const char *text, uint64_t *ns)
{
	const char *p = text;
	uint64_t last = UINT64_MAX, sum = 0;

	if (p[0] == '0' && p[1] == '\0') {
		*ns = 0;
		return NULL;
	}
	do {
		struct weir_decimal number;
		uint64_t unit;
		const char *wrong = weir_read_decimal(&p, &number);

		if (wrong)
			return wrong;
		wrong = weir_read_unit(&p, &unit);
		if (wrong)
			return wrong;
		/* "2h5m" is one duration, "5m2h" and "5m5m" are mistakes. */
		if (unit >= last)
			return "units must go from long to short";
		last = unit;

		unsigned __int128 part = ((unsigned __int128)number.digits * unit + number.scale / 2) / number.scale;

		if (part > LONGEST_NS || sum + (uint64_t)part > LONGEST_NS)
			return "longer than 366d";
		sum += (uint64_t)part;
	} while (*p != '\0');
	*ns = sum;
	return NULL;
}

/* "2h5m" out of whole seconds: the largest unit and the next smaller one, which is left out when it is zero. */
static void print_two(struct weir_text *t, uint64_t seconds)
{
	static const struct {
		uint64_t seconds;
		const char *name;
	} unit[] = {{86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}};
	size_t i = 0;

	while (i < 2 && seconds < unit[i].seconds)
		i++;
	/* Round to the second unit shown; that may carry into the first ("59m60s" never appears). */
	uint64_t small = unit[i + 1].seconds;
	uint64_t rounded = (seconds + small / 2) / small * small;

	if (i > 0 && rounded >= unit[i - 1].seconds) {
		i--;
		small = unit[i + 1].seconds;
	}
	weir_text_number(t, rounded / unit[i].seconds);
	weir_text_add(t, unit[i].name);
	uint64_t rest = rounded % unit[i].seconds / small;

	if (rest > 0) {
		weir_text_number(t, rest);
		weir_text_add(t, unit[i + 1].name);
	}
}

char *weir_print_duration(uint64_t ns, char *out, size_t size)
{
	static const struct {
		uint64_t ns;
		const char *name;
	} unit[] = {{1, "ns"}, {1000, "us"}, {1000000, "ms"}, {1000000000, "s"}};
	struct weir_text t = weir_text_begin(out, size);
	size_t i = 0;

	if (ns == 0) {
		weir_text_add(&t, "0s");
		return out;
	}
	/* 59.95 s and more would print as "60s"; minutes begin there. */
	if (ns >= UINT64_C(59950000000)) {
		print_two(&t, ns / 1000000000 + (ns % 1000000000 >= 500000000));
		return out;
	}
	/* Three digits; what would round up to 1000 of a unit is one of the next. */
	while (i < 3 && ns >= unit[i].ns * 1000 - (i > 0 ? unit[i].ns / 2 : 0))
		i++;
	weir_text_three_digits(&t, ns, unit[i].ns);
	weir_text_add(&t, unit[i].name);
	return out;
}
