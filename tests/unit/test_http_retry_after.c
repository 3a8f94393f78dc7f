/* SPDX-License-Identifier: MIT */
#include "weir/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/unit/fuzz.h"

#define FUZZ_STEPS 250000
#define SECOND     UINT64_C(1000000000)
#define MS         UINT64_C(1000000)

/* 2026-11-22 04:13:00 UTC, and 250 ms */
#define NOW_S INT64_C(1795320780)
#define NOW   ((uint64_t)NOW_S * SECOND + 250 * MS)

static void show(int64_t seconds, char out[64])
{
	time_t when = (time_t)seconds;
	struct tm tm;

	gmtime_r(&when, &tm);
	strftime(out, 64, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

static void assert_waits(const char *value, const char *date, uint64_t expected)
{
	uint64_t ns = 1;

	if (!weir_retry_after(value, date, NOW, &ns))
		fail_msg("%s: not understood", value);
	if (ns != expected)
		fail_msg("%s: %llu ns, not %llu", value, (unsigned long long)ns, (unsigned long long)expected);
}

static void the_three_forms_of_a_date_are_the_same_moment(void **state)
{
	static const char *const forms[] = {
		"Sun, 06 Nov 1994 08:49:37 GMT", /* the three of the RFC */
		"Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994",
		"  sun, 6 NOV 1994 08:49:37 utc \r\n", /* and what servers make of them */
		"Sun, 06-Nov-1994 08:49:37 GMT",
		"Sun Nov 06 08:49:37 1994",
		"06 Nov 1994 08:49:37 GMT",
		"06-Nov-94 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 +0000",
		"Sun, 06 Nov 1994 08:49:37 -0000",
		"Sun, 06 Nov 1994 09:49:37 +0100",
		"06 Nov 1994 07:19:37 -01:30",
	};

	(void)state;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		int64_t seconds = 0;

		if (!weir_http_date(forms[i], &seconds) || seconds != 784111777)
			fail_msg("%s: %lld", forms[i], (long long)seconds);
	}
}

static void what_is_no_date_is_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"Sun",
		"Sun,",
		"Su, 06 Nov 1994 08:49:37 GMT",
		"Sund, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 PST",
		"Sun, 06 Nov 1994 08:49:37 GMT+1",
		"Sun, 06 Nov 1994 08:49:37 GMT x",
		"Sun, 06 Nov 1994 8:49:37 GMT",
		"Sun, 06 Nov 1994 24:00:00 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 31 Nov 1994 08:49:37 GMT",
		"Sun, 29 Feb 1900 08:49:37 GMT",
		"Sun, 29 Feb 2023 08:49:37 GMT",
		"Sun, 06 Nov 994 08:49:37 GMT",
		"Sun, 06 Nov 19940 08:49:37 GMT",
		"Sun, 06 Nov 1600 08:49:37 GMT",
		"Sun, 006 Nov 1994 08:49:37 GMT",
		"Sun, 06/Nov/1994 08:49:37 GMT",
		"Sun, 06-Nov 1994 08:49:37 GMT",
		"Sun, 06 Nvo 1994 08:49:37 GMT",
		"Wed, 99 Foo 2026 25:61:61 GMT",
		"Sun Nov  6 08:49:37 94",
		"1994-11-06T08:49:37Z",
	};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		int64_t seconds;

		if (weir_http_date(wrong[i], &seconds))
			fail_msg("%s: %lld", wrong[i], (long long)seconds);
	}
}

static void dates_agree_with_the_c_library(void **state)
{
	struct fuzz f = {.state = 3};

	(void)state;
	for (int step = 0; step < 20000; step++) {
		int64_t expected = (int64_t)(fuzz_next(&f) % UINT64_C(253402300800)); /* up to the year 9999 */
		int64_t seconds = -1;
		char text[64];

		show(expected, text);
		if (!weir_http_date(text, &seconds) || seconds != expected)
			fail_msg("%s: %lld", text, (long long)seconds);
	}
	{
		int64_t seconds;

		assert_true(weir_http_date("Thu, 29 Feb 2024 23:59:60 GMT", &seconds)); /* leap day, leap second */
		assert_int_equal(seconds, 1709251200);
		assert_true(weir_http_date("Wed, 31 Dec 1969 23:59:59 GMT", &seconds));
		assert_int_equal(seconds, -1);
	}
}

static void seconds_are_seconds(void **state)
{
	(void)state;
	assert_waits("0", NULL, 0);
	assert_waits("3", NULL, 3 * SECOND);
	assert_waits(" 120 ", NULL, 120 * SECOND);
	assert_waits("007", NULL, 7 * SECOND);
	assert_waits("31622400", NULL, 31622400 * SECOND);
}

static void decimals_are_understood_and_never_round_down(void **state)
{
	(void)state;
	assert_waits("1.5", NULL, 1500 * MS);
	assert_waits("0.043", NULL, 43 * MS);
	assert_waits("2.000000001", NULL, 2 * SECOND + 1);
	assert_waits("2.0000000001", NULL, 2 * SECOND + 1);
	assert_waits("2.00000000000000", NULL, 2 * SECOND);
	assert_waits("0.9999999999", NULL, SECOND);
}

static void a_date_waits_until_then(void **state)
{
	char later[64];

	(void)state;
	show(NOW_S + 30, later);
	assert_waits(later, NULL, 30 * SECOND - 250 * MS);
	show(NOW_S, later);
	assert_waits(later, NULL, 0);
	show(NOW_S - 1000, later);
	assert_waits(later, NULL, 0);
	assert_waits("Thu, 01 Jan 1970 00:00:00 GMT", NULL, 0);
}

static void the_skew_of_the_servers_clock_cancels(void **state)
{
	(void)state;
	for (int64_t skew = -7200; skew <= 7200; skew += 120) {
		char date[64], later[64];

		show(NOW_S + skew, date);
		show(NOW_S + skew + 30, later);
		assert_waits(later, date, 30 * SECOND);
		show(NOW_S + skew - 30, later);
		assert_waits(later, date, 0);
	}
}

static void a_date_header_that_is_useless_is_not_used(void **state)
{
	char later[64];

	(void)state;
	show(NOW_S + 30, later);
	assert_waits(later, "yesterday", 30 * SECOND - 250 * MS);
	assert_waits(later, "", 30 * SECOND - 250 * MS);
	assert_waits(later, "Thu, 01 Jan 1970 00:00:00 GMT", 30 * SECOND - 250 * MS);
}

static void lengths_of_time_are_understood(void **state)
{
	static const struct {
		const char *value;
		uint64_t expected;
	} table[] = {
		{"3s", 3 * SECOND},
		{"3 seconds", 3 * SECOND},
		{"1 Second", SECOND},
		{"250ms", 250 * MS},
		{"2 min", 120 * SECOND},
		{"6m0s", 360 * SECOND},
		{"1h2m3.5s", 3723 * SECOND + 500 * MS},
		{"\"3\"", 3 * SECOND},
		{" \"3 seconds\" ", 3 * SECOND},
		{"'3'", 3 * SECOND},
		{"3, 3", 3 * SECOND},
		{"3,7,5", 7 * SECOND}, /* whoever asks for the most */
		{"soon, 5", 5 * SECOND},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		assert_waits(table[i].value, "Sun, 22 Nov 2026 04:13:00 GMT", table[i].expected);
}

static void moments_are_understood_in_every_form(void **state)
{
	static const char *const forms[] = {
		"1795320810",
		"1795320810.0",
		"1795320810000",
		"2026-11-22T04:13:30Z",
		"2026-11-22T04:13:30.000Z",
		"2026-11-22T04:13:30+00:00",
		"2026-11-22T05:13:30+01:00",
		"2026-11-21T23:43:30-0430",
		"2026-11-22 04:13:30",
		"2026-11-22 04:13:30 UTC",
		"\"2026-11-22t04:13:30z\"",
		"Sun, 22 Nov 2026 04:13:30 GMT",
		"22 Nov 2026 04:13:30 GMT",
		"Sun, 22 Nov 2026 04:13:30 -0000",
		"Sun, 22 Nov 2026 04:13:30 Z",
		"22 Nov 2026 04:13:30 UT",
		"Sun, 22 Nov 2026 04:13:30 GMT, Sun, 22 Nov 2026 04:13:30 GMT",
	};

	(void)state;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		assert_waits(forms[i], NULL, 30 * SECOND - 250 * MS);
		assert_waits(forms[i], "Sun, 22 Nov 2026 04:13:00 GMT", 30 * SECOND);
	}
	assert_waits("2026-11-22T04:14Z", "Sun, 22 Nov 2026 04:13:00 GMT", 60 * SECOND);
	assert_waits("2026-11-22T04:13:00.75Z", NULL, 500 * MS);
}

static void what_nobody_can_mean_is_not_understood(void **state)
{
	static const char *const wrong[] = {
		"",
		" ",
		"soon",
		"12abc",
		"s3",
		"3s 4",
		"3 parsecs",
		"\"\"",
		",",
		"-5",
		"+5",
		"1e3",
		"1e30",
		"1e300",
		"0x10",
		"1.",
		".5",
		"1.5.5",
		"1..5",
		";",
		"nan",
		"inf",
		"31622401",
		"31536000000",
		"18446744073709551616",
		"99999999999999999999999",
		"Fri, 31 Dec 9999 23:59:59 GMT",
		"Wed, 99 Foo 2026 25:61:61 GMT",
	};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		uint64_t ns = 42;

		if (weir_retry_after(wrong[i], NULL, NOW, &ns))
			fail_msg("%s: %llu", wrong[i], (unsigned long long)ns);
		assert_int_equal(ns, 42);
	}
}

static void mutated_values_are_bounded(void **state)
{
	static const char *const values[] = {"120",
					     "1.5",
					     "Sun, 06 Nov 1994 08:49:37 GMT",
					     "Sunday, 06-Nov-94 08:49:37 GMT",
					     "Sun Nov  6 08:49:37 1994",
					     "Sun, 22 Nov 2026 04:14:00 GMT"};
	struct fuzz f = {.state = 4, .samples = values, .sample_count = 6, .alphabet = "0123456789.-+:, SunMonGMTfebJan"};
	int understood = 0;

	(void)state;
	for (int step = 0; step < FUZZ_STEPS; step++) {
		char *value = fuzz_text(&f), *date = fuzz_text(&f);
		uint64_t ns = 0;

		if (weir_retry_after(value, date, NOW, &ns)) {
			understood++;
			if (ns > 366 * 86400 * SECOND)
				fail_msg("seed 4, step %d: %s: %llu", step, value, (unsigned long long)ns);
		}
		free(value);
		free(date);
	}
	assert_true(understood > FUZZ_STEPS / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_three_forms_of_a_date_are_the_same_moment),
		cmocka_unit_test(what_is_no_date_is_refused),
		cmocka_unit_test(dates_agree_with_the_c_library),
		cmocka_unit_test(seconds_are_seconds),
		cmocka_unit_test(decimals_are_understood_and_never_round_down),
		cmocka_unit_test(a_date_waits_until_then),
		cmocka_unit_test(the_skew_of_the_servers_clock_cancels),
		cmocka_unit_test(a_date_header_that_is_useless_is_not_used),
		cmocka_unit_test(lengths_of_time_are_understood),
		cmocka_unit_test(moments_are_understood_in_every_form),
		cmocka_unit_test(what_nobody_can_mean_is_not_understood),
		cmocka_unit_test(mutated_values_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
