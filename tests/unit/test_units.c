/* SPDX-License-Identifier: MIT */
/* Durations, rates and counts: read, refused, printed and read back. */
#include "weir/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weir/bucket.h"

#define S UINT64_C(1000000000)

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void durations_are_read(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} row[] = {
		{"0", 0},
		{"0s", 0},
		{"1ns", 1},
		{"250us", 250000},
		{"250ms", 250000000},
		{"1.5s", 1500000000},
		{"0.25s", 250000000},
		{"10m", 600 * S},
		{"6h", 6 * 3600 * S},
		{"366d", 366 * 86400 * S},
		{"2h5m", 125 * 60 * S},
		{"1m30s", 90 * S},
		{"1d2h3m4s5ms6us7ns", 93784 * S + 5006007},
		{"1.0000000004s", S},
		{"007s", 7 * S},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		uint64_t ns = 12345;
		const char *wrong = weir_parse_duration(row[i].text, &ns);

		if (wrong || ns != row[i].ns)
			fail_msg("%s: %s, %llu", row[i].text, wrong ? wrong : "read", (unsigned long long)ns);
	}
}

static void what_is_no_duration_is_refused_with_the_reason(void **state)
{
	static const struct {
		const char *text, *wrong;
	} row[] = {
		{"", "it is empty"},
		{"fast", "it does not begin with a number"},
		{"-1s", "it is negative"},
		{"+1s", "it does not begin with a number"},
		{" 1s", "it does not begin with a number"},
		{"60", "the unit is missing"},
		{"00", "the unit is missing"},
		{"60 s", "the unit is none of ns us ms s m h d"},
		{"60sec", "the unit is none of ns us ms s m h d"},
		{"60S", "the unit is none of ns us ms s m h d"},
		{"1w", "the unit is none of ns us ms s m h d"},
		{"1.s", "no digit after the point"},
		{"1.2.3s", "the unit is none of ns us ms s m h d"},
		{"5m2h", "units must go from long to short"},
		{"5m5m", "units must go from long to short"},
		{"367d", "longer than 366d"},
		{"366d1ns", "longer than 366d"},
		{"99999999999999999999d", "the number is too large"},
		{"0.0000000000000000000000000000000000000001s", "too many digits"},
		{"18446744073709551616s", "the number is too large"},
		{"1s ", "it does not begin with a number"},
		{"nans", "it does not begin with a number"},
		{"1e3s", "the unit is none of ns us ms s m h d"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		uint64_t ns = 12345;
		const char *wrong = weir_parse_duration(row[i].text, &ns);

		assert_non_null(wrong);
		assert_string_equal(wrong, row[i].wrong);
		assert_int_equal(ns, 12345);
	}
}

static void rates_are_read(void **state)
{
	static const struct {
		const char *text;
		uint64_t rate, window;
	} row[] = {
		{"5/s", 5 * S, S},
		{"0.1/s", S / 10, S},
		{"100/6h", 4629629, 6 * 3600 * S},
		{"5000/h", 1388888888, 3600 * S},
		{"1/m", 16666666, 60 * S},
		{"60/h", 16666666, 3600 * S},
		{"1/d", 11574, 86400 * S},
		{"300/5m", S, 300 * S},
		{"1/10s", S / 10, 10 * S},
		{"3/1.5s", 2 * S, 3 * S / 2},
		{"10/250ms", 40 * S, S / 4},
		{"100000000/s", WEIR_RATE_MAX, S},
		{"1/us", 1000000 * S, 1000},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		uint64_t rate = 0, window = 0;
		const char *wrong = weir_parse_rate(row[i].text, &rate, &window);

		if (wrong || rate != row[i].rate || window != row[i].window)
			fail_msg("%s: %s, %llu", row[i].text, wrong ? wrong : "read", (unsigned long long)rate);
		assert_null(weir_parse_rate(row[i].text, &rate, NULL));
	}
}

static void what_is_no_rate_is_refused_with_the_reason(void **state)
{
	static const struct {
		const char *text, *wrong;
	} row[] = {
		{"", "it is empty"},
		{"fast", "it does not begin with a number"},
		{"5", "expected NUMBER/UNIT, as in 5/s or 100/6h"},
		{"5s", "expected NUMBER/UNIT, as in 5/s or 100/6h"},
		{"5 / s", "expected NUMBER/UNIT, as in 5/s or 100/6h"},
		{"5/", "the unit is missing"},
		{"5/sec", "the unit is none of ns us ms s m h d"},
		{"5/6", "the unit is missing"},
		{"5/-6s", "the unit is none of ns us ms s m h d"},
		{"5/1.s", "no digit after the point"},
		{"5/s ", "something follows the unit"},
		{"5/s/s", "something follows the unit"},
		{"-5/s", "it is negative"},
		{"0/s", "it is zero"},
		{"0.0/s", "it is zero"},
		{"5/0s", "the time behind the slash is too short"},
		{"5/ns", "the time behind the slash is too short"},
		{"5/367d", "the time behind the slash is longer than 366d"},
		{"100000001/s", "more than 100000000/s"},
		{"100000000000000000/us", "more than 100000000/s"},
		{"0.0000000001/s", "too slow: less than one in thirty years"},
		{"999999999999999999999/s", "the number is too large"},
		{"inf/s", "it does not begin with a number"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		uint64_t rate = 12345;
		const char *wrong = weir_parse_rate(row[i].text, &rate, NULL);

		assert_non_null(wrong);
		assert_string_equal(wrong, row[i].wrong);
		assert_int_equal(rate, 12345);
	}
}

static void counts_are_read_up_to_their_bound(void **state)
{
	uint64_t n = 0;

	(void)state;
	assert_null(weir_parse_count("0", 10, &n));
	assert_int_equal(n, 0);
	assert_null(weir_parse_count("10", 10, &n));
	assert_int_equal(n, 10);
	assert_null(weir_parse_count("18446744073709551615", UINT64_MAX, &n));
	assert_true(n == UINT64_MAX);
	n = 7;
	assert_string_equal(weir_parse_count("11", 10, &n), "the number is too large");
	assert_string_equal(weir_parse_count("18446744073709551616", UINT64_MAX, &n), "the number is too large");
	assert_string_equal(weir_parse_count("4294967297", UINT32_MAX, &n), "the number is too large");
	assert_string_equal(weir_parse_count("99999999999999999999", UINT64_MAX, &n), "the number is too large");
	assert_string_equal(weir_parse_count("-1", 10, &n), "it is negative");
	assert_string_equal(weir_parse_count("", 10, &n), "it is empty");
	assert_string_equal(weir_parse_count("1x", 10, &n), "it is not a whole number");
	assert_string_equal(weir_parse_count("1.5", 10, &n), "it is not a whole number");
	assert_string_equal(weir_parse_count("0x10", 99, &n), "it is not a whole number");
	assert_int_equal(n, 7);
}

static void durations_print_as_people_write_them(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} row[] = {
		{0, "0s"},
		{1, "1ns"},
		{999, "999ns"},
		{1000, "1us"},
		{12345, "12.3us"},
		{999499, "999us"},
		{999500, "1ms"},
		{250000000, "250ms"},
		{1250000, "1.25ms"},
		{999500000, "1s"},
		{S, "1s"},
		{1500000000, "1.5s"},
		{12300000000, "12.3s"},
		{9994999999, "9.99s"},
		{9995000000, "10s"},
		{59949999999, "59.9s"},
		{59950000000, "1m"},
		{60 * S, "1m"},
		{90 * S, "1m30s"},
		{3599 * S, "59m59s"},
		{3600 * S, "1h"},
		{3600 * S - 1, "1h"},
		{7500 * S, "2h5m"},
		{7529 * S, "2h5m"},
		{7530 * S, "2h6m"},
		{86399 * S, "1d"},
		{86400 * S, "1d"},
		{100000 * S, "1d4h"},
		{366 * 86400 * S, "366d"},
		{UINT64_MAX, "213504d"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		char out[32];

		assert_ptr_equal(weir_print_duration(row[i].ns, out, sizeof out), out);
		assert_string_equal(out, row[i].text);
	}
}

static void rates_print_as_people_write_them(void **state)
{
	static const struct {
		uint64_t rate;
		const char *text;
	} row[] = {
		{0, "none"},
		{WEIR_RATE_ONE / 600, "6/h"},
		{5 * S, "5/s"},
		{1400000000, "1.4/s"},
		{S / 10, "0.1/s"},
		{1234000000, "1.234/s"},
		{1387432101, "1.39/s"},
		{1388888888, "5000/h"},
		{16666666, "1/m"},
		{4629629, "400/d"},
		{11574, "1/d"},
		{WEIR_RATE_MAX, "100000000/s"},
		{12345678912345, "12346/s"},
		{123456789, "7.41/m"},
		{1234567, "4.44/h"},
		{12345, "1.07/d"},
		{5787, "1/2d"},
		{385, "1/30d"},
		{31, "1/366d"},
		{9000, "0.778/d"},
		{1, "0.0000864/d"},
		{UINT64_MAX, "18446744074/s"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		char out[32];

		assert_ptr_equal(weir_print_rate(row[i].rate, out, sizeof out), out);
		assert_string_equal(out, row[i].text);
	}
}

static void learned_rates_print_with_three_digits(void **state)
{
	static const struct {
		uint64_t rate;
		const char *text;
	} row[] = {
		{7031250000, "7.03/s"},
		{S, "1/s"},
		{999999999, "60/m"},
		{1388888888, "1.39/s"},
		{99960 * (S / 1000), "100/s"},
		{12345678912345, "12300/s"},
		{0, "none"},
		{WEIR_RATE_MAX, "100000000/s"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		char out[32];

		assert_string_equal(weir_print_rate(weir_round_rate(row[i].rate), out, sizeof out), row[i].text);
	}
	(void)weir_round_rate(UINT64_MAX);
}

/* xorshift64*: the same sequence everywhere. */
static uint64_t next(uint64_t *x)
{
	*x ^= *x >> 12;
	*x ^= *x << 25;
	*x ^= *x >> 27;
	return *x * UINT64_C(2685821657736338717);
}

static void what_is_printed_reads_back_as_nearly_the_same(void **state)
{
	uint64_t seed = 0x5eed;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		char text[32];
		uint64_t ns = next(&seed) >> (next(&seed) % 63 + 1), back = 0;

		ns %= 365 * 86400 * S;
		assert_null(weir_parse_duration(weir_print_duration(ns, text, sizeof text), &back));
		uint64_t off = back > ns ? back - ns : ns - back;

		if (off > ns / 40) /* at worst "1d1h" for 1d 30m */
			fail_msg("%llu ns printed as %s", (unsigned long long)ns, text);

		uint64_t rate = next(&seed) >> (next(&seed) % 57 + 7);

		rate = rate % (WEIR_RATE_MAX - 20000) + 20000;
		assert_null(weir_parse_rate(weir_print_rate(rate, text, sizeof text), &back, NULL));
		off = back > rate ? back - rate : rate - back;
		if (off > rate / 199)
			fail_msg("%llu nano/s printed as %s", (unsigned long long)rate, text);
	}
}

static void rates_written_as_whole_numbers_read_back_exactly(void **state)
{
	static const char *const unit[] = {"s", "m", "h", "d", "6h", "10s", "5m"};

	(void)state;
	for (unsigned n = 1; n <= 60000; n += n < 2000 ? 1 : 997) {
		for (size_t u = 0; u < COUNT(unit); u++) {
			char text[48], printed[32];
			uint64_t rate = 0, back = 0;

			snprintf(text, sizeof text, "%u/%s", n, unit[u]);
			assert_null(weir_parse_rate(text, &rate, NULL));
			assert_null(weir_parse_rate(weir_print_rate(rate, printed, sizeof printed), &back, NULL));
			if (back != rate)
				fail_msg("%s printed as %s", text, printed);
		}
	}
}

static void a_rate_of_less_than_one_a_day_never_reads_as_none(void **state)
{
	(void)state;
	for (unsigned days = 1; days <= 366; days++) {
		char text[48], printed[32];
		uint64_t rate = 0, back = 0;

		snprintf(text, sizeof text, "1/%ud", days);
		assert_null(weir_parse_rate(text, &rate, NULL));
		assert_null(weir_parse_rate(weir_print_rate(rate, printed, sizeof printed), &back, NULL));
		if (back != rate)
			fail_msg("%s printed as %s", text, printed);
	}
	for (uint64_t rate = 1; rate < 20000; rate++) {
		char printed[32];
		uint64_t back = 0;

		assert_null(weir_parse_rate(weir_print_rate(rate, printed, sizeof printed), &back, NULL));
		if (back > rate + rate / 199 + 1 || back + rate / 199 + 1 < rate)
			fail_msg("%llu nano/s printed as %s", (unsigned long long)rate, printed);
	}
}

static void text_that_does_not_fit_is_cut(void **state)
{
	char out[5] = "xxxx";

	(void)state;
	weir_print_duration(UINT64_MAX, out, sizeof out);
	assert_string_equal(out, "2135");
	weir_print_rate(WEIR_RATE_MAX, out, sizeof out);
	assert_string_equal(out, "1000");
	out[0] = 'x';
	weir_print_rate(WEIR_RATE_MAX, out, 0);
	assert_int_equal(out[0], 'x');
}

static void no_text_makes_the_parsers_misbehave(void **state)
{
	static const char alphabet[] = "0123456789./-+ nsumhd\xff";
	uint64_t seed = 0xf00d;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		char text[24];
		size_t n = next(&seed) % sizeof text;
		uint64_t out = 0;

		for (size_t k = 0; k < n; k++)
			text[k] = alphabet[next(&seed) % (sizeof alphabet - 1)];
		text[n] = '\0';
		if (!weir_parse_duration(text, &out))
			assert_true(out <= 366 * 86400 * S);
		if (!weir_parse_rate(text, &out, NULL))
			assert_true(out > 0 && out <= WEIR_RATE_MAX);
		if (!weir_parse_count(text, 1000, &out))
			assert_true(out <= UINT64_C(31622400000000000));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_are_read),
		cmocka_unit_test(what_is_no_duration_is_refused_with_the_reason),
		cmocka_unit_test(rates_are_read),
		cmocka_unit_test(what_is_no_rate_is_refused_with_the_reason),
		cmocka_unit_test(counts_are_read_up_to_their_bound),
		cmocka_unit_test(durations_print_as_people_write_them),
		cmocka_unit_test(rates_print_as_people_write_them),
		cmocka_unit_test(learned_rates_print_with_three_digits),
		cmocka_unit_test(what_is_printed_reads_back_as_nearly_the_same),
		cmocka_unit_test(rates_written_as_whole_numbers_read_back_exactly),
		cmocka_unit_test(a_rate_of_less_than_one_a_day_never_reads_as_none),
		cmocka_unit_test(text_that_does_not_fit_is_cut),
		cmocka_unit_test(no_text_makes_the_parsers_misbehave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
