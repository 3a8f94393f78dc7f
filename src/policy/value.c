/* SPDX-License-Identifier: MIT */
#include "src/policy/setting.h"

#include <stdio.h>
#include <string.h>

#include "weir/bucket.h"
#include "weir/outcomes.h"
#include "weir/units.h"

bool weir_value_count(const struct weir_setting *s, uint64_t min, uint64_t max, uint64_t *out)
{
	const char *number = weir_setting_number(s), *why;
	char what[80];
	uint64_t n;

	snprintf(what, sizeof what, "a whole number from %llu to %llu", (unsigned long long)min, (unsigned long long)max);
	if (!number)
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
static const char *parse_permille(const char *number, uint64_t *out)
{
	const char *point = strchr(number, '.');
	size_t n = point ? strlen(point + 1) : 0, whole_digits = point ? (size_t)(point - number) : strlen(number);
	char decimals[4] = "000", whole[12] = "0"; /* ".5" has no digits before the point */
	uint64_t units, thousandths;

	if (point && n == 0)
		return "no digit after the point";
	while (n > 3 && point[n] == '0')
		n--;
	if (n > 3)
		return "more than three decimals";
	if (whole_digits >= sizeof whole)
		return "too many digits";
	if (n > 0)
		memcpy(decimals, point + 1, n);
	if (whole_digits > 0)
		memcpy(whole, number, whole_digits + 1);
	whole[whole_digits > 0 ? whole_digits : 1] = '\0';
	const char *why = weir_parse_count(whole, UINT32_MAX, &units);

	if (!why)
		why = weir_parse_count(decimals, 999, &thousandths);
	if (why)
		return strcmp(why, "it is not a whole number") == 0 ? "it is not a number" : why;
	*out = units * 1000 + thousandths;
	return NULL;
}

bool weir_value_permille(const struct weir_setting *s, uint64_t min, uint64_t max, uint64_t *out)
{
	const char *number = weir_setting_number(s), *why;
	char low[WEIR_VALUE_MAX], high[WEIR_VALUE_MAX], what[160];
	uint64_t n;

	weir_value_print_permille(min, low, sizeof low);
	weir_value_print_permille(max, high, sizeof high);
	snprintf(what, sizeof what, "a number from %s to %s", low, high);
	if (!number)
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

	if (!text)
		return weir_setting_expected(s, what, weir_setting_number(s) ? "in quotes and with its unit" : NULL);
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

/* "100 calls", else a duration. */
bool weir_value_window(const struct weir_setting *s, uint64_t min, uint64_t max, uint64_t *out)
{
	static const char what[] = "a duration such as \"10s\", or \"100 calls\", at most 500 of them";
	const char *text = weir_setting_text(s), *unit = text ? strstr(text, " calls") : NULL, *why;
	char number[12] = "";
	uint64_t n;

	if (!text || !strstr(text, "call"))
		return text ? weir_value_duration(s, min, max, out) : weir_setting_expected(s, what, NULL);
	if (!unit || strcmp(unit, " calls") != 0 || (size_t)(unit - text) >= sizeof number)
		return weir_setting_expected(s, what, NULL);
	memcpy(number, text, (size_t)(unit - text));
	why = weir_parse_count(number, WEIR_OUTCOMES_MAX, &n);
	if (why || n == 0)
		return weir_setting_expected(s, what, why ? why : "the number is too small");
	*out = WEIR_VALUE_CALLS | n;
	return true;
}

bool weir_value_rate(const struct weir_setting *s, bool or_none, uint64_t *nano_per_s)
{
	static const char what[] = "a rate such as \"5/s\"";
	const char *text = weir_setting_text(s), *why;

	if (!text)
		return weir_setting_expected(s, what, weir_setting_number(s) ? "in quotes and with its unit" : NULL);
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
