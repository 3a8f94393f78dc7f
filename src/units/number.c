/* SPDX-License-Identifier: MIT */
#include "weir/units.h"

#include "src/units/number.h"

#include <stdbool.h>
#include <string.h>

/* 10^18: with it digits * unit and digits * 10^9 * day stay inside 128 bits, and no quantity needs more digits. */
#define DIGITS_MAX UINT64_C(1000000000000000000)

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

const char *weir_read_decimal(const char **p, struct weir_decimal *out)
{
	const char *s = *p;
	bool point = false;

	out->digits = 0;
	out->scale = 1;
	if (*s == '\0')
		return "it is empty";
	if (*s == '-')
		return "it is negative";
	if (!digit(*s))
		return "it does not begin with a number";
	for (; digit(*s) || (*s == '.' && !point); s++) {
		if (*s == '.') {
			if (!digit(s[1]))
				return "no digit after the point";
			point = true;
			continue;
		}
		if (out->digits >= DIGITS_MAX / 10 || out->scale >= DIGITS_MAX / 10)
			return point ? "too many digits" : "the number is too large";
		out->digits = out->digits * 10 + (uint64_t)(*s - '0');
		if (point)
			out->scale *= 10;
	}
	*p = s;
	return NULL;
}

const char *weir_read_unit(const char **p, uint64_t *ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} unit[] = {
		{"ns", 1},
		{"us", 1000},
		{"ms", 1000000},
		{"s", WEIR_SECOND_NS},
		{"m", 60 * WEIR_SECOND_NS},
		{"h", 3600 * WEIR_SECOND_NS},
		{"d", WEIR_DAY_NS},
	};

	if (**p == '\0')
		return "the unit is missing";
	for (size_t i = 0; i < sizeof unit / sizeof *unit; i++) {
		size_t n = strlen(unit[i].name);

		if (strncmp(*p, unit[i].name, n) == 0 && !letter((*p)[n])) {
			*p += n;
			*ns = unit[i].ns;
			return NULL;
		}
	}
	return "the unit is none of ns us ms s m h d";
}

const char *weir_parse_count(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (*text == '\0')
		return "it is empty";
	if (*text == '-')
		return "it is negative";
	for (; *text != '\0'; text++) {
		if (!digit(*text))
			return "it is not a whole number";
		uint64_t d = (uint64_t)(*text - '0');

		if (n > (UINT64_MAX - d) / 10)
			return "the number is too large";
		n = n * 10 + d;
	}
	if (n > max)
		return "the number is too large";
	*out = n;
	return NULL;
}

struct weir_text weir_text_begin(char *out, size_t size)
{
	if (size > 0)
		out[0] = '\0';
	return (struct weir_text){.out = out, .size = size};
}

void weir_text_add(struct weir_text *t, const char *s)
{
	for (; *s != '\0' && t->length + 1 < t->size; s++) {
		t->out[t->length++] = *s;
		t->out[t->length] = '\0';
	}
}

void weir_text_number(struct weir_text *t, uint64_t n)
{
	char digits[21]; /* 2^64 has twenty */
	size_t i = sizeof digits - 1;

	digits[i] = '\0';
	do {
		digits[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	weir_text_add(t, digits + i);
}

void weir_text_three_digits(struct weir_text *t, uint64_t value, uint64_t unit)
{
	uint64_t places = 1; /* 10^decimals */
	unsigned decimals = 0;

	/* One decimal below 99.95, which would round up to 100, two below 9.995, and so on: a small value must not become 0. */
	while (decimals < 9 && (unsigned __int128)value * places * 20 < (unsigned __int128)unit * 1999) {
		places *= 10;
		decimals++;
	}
	uint64_t scaled = (uint64_t)(((unsigned __int128)value * places + unit / 2) / unit);

	while (decimals > 0 && scaled % 10 == 0) {
		scaled /= 10;
		places /= 10;
		decimals--;
	}
	weir_text_number(t, scaled / places);
	if (decimals == 0)
		return;
	weir_text_add(t, ".");
	for (uint64_t place = places / 10; place > 0; place /= 10)
		weir_text_number(t, scaled % places / place % 10);
}
