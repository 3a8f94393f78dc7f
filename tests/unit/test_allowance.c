/* SPDX-License-Identifier: MIT */
/* Where the calendar's windows end, by integers, and by the C library for comparison. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "src/policy/allowance.h"
#include "weir/quotas.h"
#include "weir/allowance.h"

/* Seconds since 1970 of a time in UTC, "2026-03-29 01:00". */
static uint64_t utc(const char *text)
{
	struct tm tm = {0};

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M", &tm));
	return (uint64_t)timegm(&tm);
}

static struct weir_allowances rule_of(const char *text, uint64_t wall_s)
{
	struct weir_allowances a = {0};
	const char *why = weir_allowance_parse(&a, text, wall_s);

	if (why)
		fail_msg("%s: %s", text, why);
	return a;
}

/* The window of `text` that holds at `at` ends at `end`, for who looked the zone up at that time and for who did months ago. */
static void ends(const char *text, const char *at, const char *end)
{
	struct weir_allowances now = rule_of(text, utc(at)), before = rule_of(text, utc(at) - UINT64_C(150) * 86400);

	if (weir_allowance_ends_s(&now, 0, utc(at)) != utc(end))
		fail_msg("%s at %s ends %+lld s off %s", text, at,
			 (long long)weir_allowance_ends_s(&now, 0, utc(at)) - (long long)utc(end), end);
	if (weir_allowance_ends_s(&before, 0, utc(at)) != utc(end))
		fail_msg("%s at %s, looked up before, is not %s", text, at, end);
}

static void a_day_ends_at_the_zone_s_midnight(void **state)
{
	(void)state;
	ends("1/day UTC", "2026-11-27 14:00", "2026-11-28 00:00");
	ends("1/day UTC", "2026-11-27 00:00", "2026-11-28 00:00");
	ends("1/day Europe/Berlin", "2026-11-27 22:59", "2026-11-27 23:00");
	ends("1/day Europe/Berlin", "2026-11-27 23:00", "2026-11-28 23:00");
	ends("1/day America/New_York", "2026-11-27 04:59", "2026-11-27 05:00");
	ends("1/day Asia/Kathmandu", "2026-11-27 18:14", "2026-11-27 18:15");
}

static void a_day_of_23_or_25_hours_is_one_day(void **state)
{
	(void)state;
	ends("1/day Europe/Berlin", "2026-03-28 23:00", "2026-03-29 22:00");
	ends("1/day Europe/Berlin", "2026-03-29 21:59", "2026-03-29 22:00");
	ends("1/day Europe/Berlin", "2026-10-24 22:00", "2026-10-25 23:00");
	ends("1/day Europe/Berlin", "2026-10-25 22:59", "2026-10-25 23:00");
	ends("1/day America/New_York", "2026-03-08 05:00", "2026-03-09 04:00");
	ends("1/day America/New_York", "2026-11-01 04:00", "2026-11-02 05:00");
}

static void a_midnight_that_does_not_exist_is_the_first_time_after_it(void **state)
{
	(void)state;
	/* Beirut puts the clock from 0:00 to 1:00. */
	ends("1/day Asia/Beirut", "2026-03-28 12:00", "2026-03-28 22:00");
	ends("1/day Asia/Beirut", "2026-03-28 22:00", "2026-03-29 21:00");
	/* and back from 0:00 to 23:00, so that the evening lasts an hour longer */
	ends("1/day Asia/Beirut", "2026-10-24 20:30", "2026-10-24 22:00");
	ends("1/day Asia/Beirut", "2026-10-24 21:30", "2026-10-24 22:00");
}

static void an_hour_that_the_clock_shows_twice_is_two(void **state)
{
	(void)state;
	ends("1/hour Europe/Berlin", "2026-10-25 00:30", "2026-10-25 01:00");
	ends("1/hour Europe/Berlin", "2026-10-25 01:30", "2026-10-25 02:00");
	ends("1/hour Asia/Kathmandu", "2026-10-25 01:30", "2026-10-25 02:15");
	ends("1/6h Europe/Berlin", "2026-10-24 22:00", "2026-10-25 05:00");
	ends("1/6h Europe/Berlin", "2026-03-28 23:00", "2026-03-29 04:00");
}

static void weeks_begin_on_monday_and_months_on_the_first(void **state)
{
	(void)state;
	ends("1/week UTC", "2026-11-27 14:00", "2026-11-30 00:00");
	ends("1/week UTC", "2026-11-30 00:00", "2026-12-07 00:00");
	ends("1/week Europe/Berlin", "2026-03-29 21:59", "2026-03-29 22:00");
	ends("1/month UTC", "2028-02-28 14:00", "2028-03-01 00:00");
	ends("1/month UTC", "2026-01-31 23:59", "2026-02-01 00:00");
	ends("1/month Europe/Berlin", "2026-12-31 22:59", "2026-12-31 23:00");
	ends("1/month Europe/Berlin", "2026-12-31 23:00", "2027-01-31 23:00");
	ends("1/3months UTC", "2026-11-27 14:00", "2027-01-01 00:00");
	ends("1/12months UTC", "2026-11-27 14:00", "2027-01-01 00:00");
	ends("1/day UTC", "2028-02-29 00:00", "2028-03-01 00:00");
}

/* The C library's word for it: the day on the zone's clock is another one at the end, and is not before. */
static void any_day_of_two_years_ends_where_the_c_library_s_does(void **state)
{
	static const char *const zones[] = {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut",
					    "America/Havana"};
	uint64_t from = utc("2026-01-01 00:00");
	char text[64], tz[64];

	(void)state;
	for (size_t z = 0; z < sizeof zones / sizeof *zones; z++) {
		snprintf(text, sizeof text, "1/day %s", zones[z]);
		snprintf(tz, sizeof tz, ":/usr/share/zoneinfo/%s", zones[z]);
		for (uint64_t t = from; t < from + UINT64_C(730) * 86400; t += 86400 / 2 + 17) {
			struct weir_allowances a = rule_of(text, t);
			time_t end = (time_t)weir_allowance_ends_s(&a, 0, t), before = end - 1, at = (time_t)t;
			struct tm first, last, next;

			setenv("TZ", tz, 1);
			tzset();
			localtime_r(&at, &first);
			localtime_r(&before, &last);
			localtime_r(&end, &next);
			if (first.tm_yday != last.tm_yday || next.tm_yday == last.tm_yday)
				fail_msg("%s, %llu: ends %llu", zones[z], (unsigned long long)t, (unsigned long long)end);
			unsetenv("TZ");
		}
	}
}

static void a_rule_that_nobody_could_have_written_has_an_end_all_the_same(void **state)
{
	struct weir_allowances a;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		for (size_t k = 0; k < sizeof a; k++)
			((unsigned char *)&a)[k] = (unsigned char)rand();
		for (unsigned k = 0; k < WEIR_ALLOWANCES; k++) {
			uint64_t wall = (uint64_t)rand() * 3, end = weir_allowance_ends_s(&a, k, wall);

			assert_true(end > wall && end - wall <= UINT64_C(401) * 86400 && end % 60 == 0);
			assert_true(weir_allowances_count(&a) <= WEIR_ALLOWANCES);
		}
	}
}

static void what_is_no_quota_is_told_so(void **state)
{
	static const char *const table[][2] = {
		{"5000", "expected NUMBER/UNIT, as in 1000/day or 100/6h rolling"},
		{"0/day", "it is zero"},
		{"5/fortnight", "the unit is none of hour, day, week, month"},
		{"5/5h", "so many hours do not make a day: 1, 2, 3, 4, 6, 8 or 12, or say rolling"},
		{"5/2d UTC", "the calendar has no such window: say one of them, or rolling"},
		{"5/m", "a window of the calendar is an hour at least; for less there are rates, or say rolling"},
		{"5/30s rolling", "a rolling window is 1m at least; for less there are rates"},
		{"5/32d rolling", "a rolling window is 31d at most"},
		{"5/day Europe/Berin", "there is no such zone in /usr/share/zoneinfo/, package tzdata"},
		{"5/day ../../../etc/passwd", "that is no name of a time zone"},
		{"5/day Europe", "there is no such zone in /usr/share/zoneinfo/, package tzdata"},
	};
	struct weir_allowances a;

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		const char *why;

		memset(&a, 0, sizeof a);
		why = weir_allowance_parse(&a, table[i][0], utc("2026-11-27 14:00"));
		if (!why || strcmp(why, table[i][1]) != 0)
			fail_msg("%s: %s", table[i][0], why ? why : "taken");
	}
}

static void what_is_printed_is_what_was_read(void **state)
{
	static const char *const table[] = {"5000/hour UTC", "1000/day Europe/Berlin", "100/6h rolling",
					    "7/week local",  "9/3months UTC",          "50/90m rolling",
					    "4/6h UTC",      "3/2d rolling",           "1/month UTC"};
	char out[96];

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct weir_allowances a = rule_of(table[i], utc("2026-11-27 14:00"));

		weir_allowance_print(&a, 0, out, sizeof out);
		assert_string_equal(out, table[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_day_ends_at_the_zone_s_midnight),
		cmocka_unit_test(a_day_of_23_or_25_hours_is_one_day),
		cmocka_unit_test(a_midnight_that_does_not_exist_is_the_first_time_after_it),
		cmocka_unit_test(an_hour_that_the_clock_shows_twice_is_two),
		cmocka_unit_test(weeks_begin_on_monday_and_months_on_the_first),
		cmocka_unit_test(any_day_of_two_years_ends_where_the_c_library_s_does),
		cmocka_unit_test(a_rule_that_nobody_could_have_written_has_an_end_all_the_same),
		cmocka_unit_test(what_is_no_quota_is_told_so),
		cmocka_unit_test(what_is_printed_is_what_was_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
