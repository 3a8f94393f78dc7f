/* SPDX-License-Identifier: MIT */
#include "src/policy/setting.h"

#include <stdio.h>
#include <string.h>

#include "weir/bucket.h"
#include "weir/units.h"

#define NUMBER_MAX 40 /* longer numbers are cut, and are too large or too precise all the same */

bool weir_value_count(const struct weir_setting *s, uint64_t min, uint64_t max, uint64_t *out)
{
	char number[NUMBER_MAX], what[80];
	const char *why = NULL;
	uint64_t n;

	snprintf(what, sizeof what, "a whole number from %llu to %llu", (unsigned long long)min, (unsigned long long)max);
	if (!weir_setting_number(s, number, sizeof number))
		return weir_setting_expected(s, what, NULL);
	why = weir_parse_count(number, max, &n);
	if (why)
		return weir_setting_expected(s, what, why);
	if (n < min)
		return weir_setting_expected(s, what, "the number is too small");
	*out = n;
	return true;
}

/* "0.5" is 500, "1.1" is 1100. Returns NULL or what is wrong. */
static const char *parse_permille(char *number, uint64_t *out)
{
	char *point = strchr(number, '.');
	uint64_t whole = 0, thousandths = 0;
	const char *why;

	if (point) {
		char digits[4] = "000";
		size_t n = strlen(point + 1);

		if (n == 0)
			return "no digit after the point";
		while (n > 3 && point[n] == '0')
			n--;
		if (n > 3)
			return "more than three decimals";
		memcpy(digits, point + 1, n);
		why = weir_parse_count(digits, 999, &thousandths);
		if (why)
			return "it is not a number";
		*point = '\0';
	}
	if (number[0] != '\0') { /* ".5" */
		why = weir_parse_count(number, UINT32_MAX / 1000 - 1, &whole);
		if (why)
			return strcmp(why, "it is not a whole number") == 0 ? "it is not a number" : why;
	}
	*out = whole * 1000 + thousandths;
	return NULL;
}

bool weir_value_permille(const struct weir_setting *s, uint64_t min, uint64_t max, uint64_t *out)
{
	char number[NUMBER_MAX], low[WEIR_VALUE_MAX], high[WEIR_VALUE_MAX], what[160];
	const char *why;
	uint64_t n;

	weir_value_print_permille(min, low, sizeof low);
	weir_value_print_permille(max, high, sizeof high);
	snprintf(what, sizeof what, "a number from %s to %s", low, high);
	if (!weir_setting_number(s, number, sizeof number))
		return weir_setting_expected(s, what, NULL);
	why = parse_permille(number, &n);
	if (!why && n < min)
		why = "the number is too small";
	if (!why && n > max)
		why = "the number is too large";
	if (why)
		return weir_setting_expected(s, what, why);
	*out = n;
	return true;
}

bool weir_value_duration(const struct weir_setting *s, uint64_t min, uint64_t max, uint64_t *ns)
{
	static const char what[] = "a duration such as \"60s\"";
	const char *text = weir_setting_text(s), *why;
	char low[32], high[32], range[160];
	uint64_t n;

	if (!text) {
		char number[NUMBER_MAX];

		return weir_setting_expected(
			s, what, weir_setting_number(s, number, sizeof number) ? "in quotes and with its unit" : NULL);
	}
	why = weir_parse_duration(text, &n);
	if (why)
		return weir_setting_expected(s, what, why);
	if (n < min || n > max) {
		snprintf(range, sizeof range, "a duration from \"%s\" to \"%s\"", weir_print_duration(min, low, sizeof low),
			 weir_print_duration(max, high, sizeof high));
		return weir_setting_expected(s, range, NULL);
	}
	*ns = n;
	return true;
}

bool weir_value_rate(const struct weir_setting *s, bool or_none, uint64_t *nano_per_s)
{
	static const char what[] = "a rate such as \"5/s\"";
	const char *text = weir_setting_text(s), *why;

	if (!text) {
		char number[NUMBER_MAX];

		return weir_setting_expected(
			s, what, weir_setting_number(s, number, sizeof number) ? "in quotes and with its unit" : NULL);
	}
	if (or_none && strcmp(text, "none") == 0) {
		*nano_per_s = 0;
		return true;
	}
	why = weir_parse_rate(text, nano_per_s, NULL);
	return why ? weir_setting_expected(s, what, why) : true;
}

bool weir_value_bool(const struct weir_setting *s, bool *out)
{
	if (config_setting_type(s->setting) != CONFIG_TYPE_BOOL)
		return weir_setting_expected(s, "true or false", NULL);
	*out = config_setting_get_bool(s->setting);
	return true;
}

bool weir_value_word(const struct weir_setting *s, const char *const names[], uint64_t *index)
{
	const char *text = weir_setting_text(s);
	char what[160] = "";
	size_t length = 0;

	for (size_t i = 0; names[i]; i++) {
		if (text && strcmp(text, names[i]) == 0) {
			*index = i;
			return true;
		}
		length += (size_t)snprintf(what + length, sizeof what - length, "%s\"%s\"",
					   i == 0         ? ""
					   : names[i + 1] ? ", "
							  : " or ",
					   names[i]);
	}
	return weir_setting_expected(s, what, NULL);
}

void weir_value_print_permille(uint64_t permille, char *out, size_t size)
{
	int length = snprintf(out, size, "%llu.%03u", (unsigned long long)permille / 1000, (unsigned)(permille % 1000));

	while (out[length - 1] == '0')
		out[--length] = '\0';
	if (out[length - 1] == '.')
		out[--length] = '\0';
}

void weir_value_print_duration(uint64_t ns, char *out, size_t size)
{
	static const struct {
		uint64_t ns;
		const char *name;
	} unit[] = {{1000000000, "s"}, {1000000, "ms"}, {1000, "us"}, {1, "ns"}};
	uint64_t back;
	size_t i = 0;

	if (!weir_parse_duration(weir_print_duration(ns, out, size), &back) && back == ns)
		return;
	while (ns % unit[i].ns != 0)
		i++;
	snprintf(out, size, "%llu%s", (unsigned long long)(ns / unit[i].ns), unit[i].name);
}

void weir_value_print_rate(uint64_t nano_per_s, char *out, size_t size)
{
	uint64_t back;

	if (nano_per_s == 0 || (!weir_parse_rate(weir_print_rate(nano_per_s, out, size), &back, NULL) && back == nano_per_s)) {
		weir_print_rate(nano_per_s, out, size);
		return;
	}
	snprintf(out, size, "%llu.%09llu/s", (unsigned long long)(nano_per_s / WEIR_RATE_ONE),
		 (unsigned long long)(nano_per_s % WEIR_RATE_ONE));
}
