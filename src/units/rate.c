/* SPDX-License-Identifier: MIT */
#include "weir/units.h"

#include "src/units/number.h"
#include "weir/bucket.h"

#define WINDOW_MAX_NS (UINT64_C(366) * WEIR_DAY_NS)

const char *weir_parse_rate(const char *text, uint64_t *nano_per_s, uint64_t *burst_window_ns)
{
	const char *p = text, *wrong;
	struct weir_decimal count, units = {.digits = 1, .scale = 1};
	uint64_t unit_ns;

	wrong = weir_read_decimal(&p, &count);
	if (wrong)
		return wrong;
	if (*p++ != '/')
		return "expected NUMBER/UNIT, as in 5/s or 100/6h";
	if (*p >= '0' && *p <= '9') {
		wrong = weir_read_decimal(&p, &units);
		if (wrong)
			return wrong;
	}
	wrong = weir_read_unit(&p, &unit_ns);
	if (wrong)
		return wrong;
	if (*p != '\0')
		return "something follows the unit";

	unsigned __int128 window = (unsigned __int128)units.digits * unit_ns / units.scale;

	if (window == 0 || unit_ns == 1)
		return "the time behind the slash is too short";
	if (window > WINDOW_MAX_NS)
		return "the time behind the slash is longer than 366d";
	if (count.digits == 0)
		return "it is zero";

	/* count / window_s, in nano: digits * 10^9 * 10^9 / (scale * window_ns). digits < 10^18 = 2^60 and 10^18 = 2^60 leave
	 * room. */
	unsigned __int128 divisor = (unsigned __int128)count.scale * (uint64_t)window;
	unsigned __int128 nano = (unsigned __int128)count.digits * WEIR_RATE_ONE * WEIR_SECOND_NS / divisor;

	if (nano > WEIR_RATE_MAX)
		return "more than 100000000/s";
	if (nano == 0)
		return "too slow: less than one in thirty years";
	*nano_per_s = (uint64_t)nano;
	if (burst_window_ns)
		*burst_window_ns = (uint64_t)window;
	return NULL;
}

static const struct {
	uint64_t seconds;
	const char *name;
} per[] = {{1, "/s"}, {60, "/m"}, {3600, "/h"}, {86400, "/d"}};
#define PER (sizeof per / sizeof *per)

/* Slower than one a day: one in so many days. Parsing rounds down, so where several numbers of days have the same rate the
 * longest is the nearest to it. 0 = none. */
static uint64_t days_per_one(uint64_t nano_per_s)
{
	uint64_t days = WEIR_RATE_ONE / 86400 / nano_per_s;

	if (days > WINDOW_MAX_NS / WEIR_DAY_NS)
		days = WINDOW_MAX_NS / WEIR_DAY_NS;
	return days >= 2 && WEIR_RATE_ONE / (days * 86400) == nano_per_s ? days : 0;
}

/* A rate that somebody wrote down is a whole number per something, or has up to three decimals per second: find it again. */
static const char *exactly(uint64_t nano_per_s, uint64_t *thousandths)
{
	if (nano_per_s % (WEIR_RATE_ONE / 1000) == 0) {
		*thousandths = nano_per_s / (WEIR_RATE_ONE / 1000);
		return per[0].name;
	}
	for (size_t i = 1; i < PER; i++) {
		unsigned __int128 n = ((unsigned __int128)nano_per_s * per[i].seconds + WEIR_RATE_ONE - 1) / WEIR_RATE_ONE;

		if (n * WEIR_RATE_ONE / per[i].seconds == nano_per_s && n < 1000000000) {
			*thousandths = (uint64_t)n * 1000;
			return per[i].name;
		}
	}
	return NULL;
}

char *weir_print_rate(uint64_t nano_per_s, char *out, size_t size)
{
	struct weir_text t = weir_text_begin(out, size);
	uint64_t thousandths;
	const char *name;

	if (nano_per_s == 0) {
		weir_text_add(&t, "none");
		return out;
	}
	name = exactly(nano_per_s, &thousandths);
	if (name) {
		weir_text_number(&t, thousandths / 1000);
		if (thousandths % 1000 > 0) {
			char decimals[] = {'.', (char)('0' + thousandths / 100 % 10), (char)('0' + thousandths / 10 % 10),
					   (char)('0' + thousandths % 10), '\0'};

			for (size_t i = 3; decimals[i] == '0'; i--)
				decimals[i] = '\0';
			weir_text_add(&t, decimals);
		}
		weir_text_add(&t, name);
		return out;
	}
	uint64_t days = days_per_one(nano_per_s);

	if (days > 0) {
		weir_text_add(&t, "1/");
		weir_text_number(&t, days);
		weir_text_add(&t, per[PER - 1].name + 1);
		return out;
	}
	/* Learned: three digits, per the first unit in which it is at least one. */
	size_t i = 0;

	while (i < PER - 1 && nano_per_s < WEIR_RATE_ONE / per[i].seconds)
		i++;
	if (nano_per_s > UINT64_MAX / per[i].seconds)
		i = 0;
	weir_text_three_digits(&t, nano_per_s * per[i].seconds, WEIR_RATE_ONE);
	weir_text_add(&t, per[i].name);
	return out;
}

uint64_t weir_round_rate(uint64_t nano_per_s)
{
	uint64_t step = 1;

	if (nano_per_s < WEIR_RATE_ONE)
		return nano_per_s;
	while (nano_per_s / step >= 1000)
		step *= 10;
	return nano_per_s <= UINT64_MAX - step / 2 ? (nano_per_s + step / 2) / step * step : nano_per_s;
}
