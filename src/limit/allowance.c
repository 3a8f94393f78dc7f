/* SPDX-License-Identifier: MIT */
/* Where the calendar's windows end. Civil dates: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms". */
#include "weir/allowance.h"

#define MINUTE 60
#define HOUR   3600
#define DAY    86400
/* No zone is further from UTC than 26 hours. */
#define OFFSET_MAX (26 * 60)

static int32_t offset_s(const struct weir_zone *z, unsigned i)
{
	int32_t minutes = z->offset[i];

	return (minutes > OFFSET_MAX ? OFFSET_MAX : minutes < -OFFSET_MAX ? -OFFSET_MAX : minutes) * MINUTE;
}

static const struct weir_zone *zone_of(const struct weir_allowances *a, unsigned which)
{
	uint8_t zone = which < WEIR_ALLOWANCES ? a->one[which].zone : (uint8_t)WEIR_ZONE_UTC;

	return zone < WEIR_ALLOWANCE_ZONES ? &a->zone[zone] : 0;
}

static int32_t offset_at(const struct weir_zone *z, int64_t t)
{
	if (!z)
		return 0;
	if (t < (int64_t)z->change[0])
		return offset_s(z, 0);
	return offset_s(z, t < (int64_t)z->change[1] || z->change[1] < z->change[0] ? 1 : 2);
}

int32_t weir_allowance_offset_s(const struct weir_allowances *a, unsigned which, uint64_t wall_s)
{
	return offset_at(zone_of(a, which), (int64_t)wall_s);
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Days from 1970-01-01 to the first of a month, which counts from 0 and may be beyond its year. */
static int64_t days_to_month(int64_t year, int64_t month)
{
	int64_t era, of_era, of_year;

	year += floor_div(month, 12);
	month -= floor_div(month, 12) * 12;
	month += 1;
	year -= month <= 2;
	era = floor_div(year, 400);
	of_era = year - era * 400;
	of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void month_of(int64_t days, int64_t *year, int64_t *month)
{
	int64_t era, of_era, years, of_year, m;

	days += 719468;
	era = floor_div(days, 146097);
	of_era = days - era * 146097;
	years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * years + years / 4 - years / 100);
	m = (5 * of_year + 2) / 153;
	*month = m < 10 ? m + 2 : m - 10;
	*year = years + era * 400 + (*month <= 1);
}

/* How many units from one boundary to the next, where the rule makes sense; else 1. */
static int64_t every(const struct weir_allowance *a, uint32_t whole)
{
	return a->every >= 1 && a->every <= whole && whole % a->every == 0 ? (int64_t)a->every : 1;
}

/* The first boundary after a time of the zone's own clock, on that clock. */
static int64_t next_boundary(const struct weir_allowance *a, int64_t local)
{
	int64_t day = floor_div(local, DAY), year, month, step;

	switch (a->unit) {
	case WEIR_PER_HOUR:
		step = every(a, 24) * HOUR;
		return (floor_div(local, step) + 1) * step;
	case WEIR_PER_WEEK: /* 1970-01-01 was a Thursday */
		return ((floor_div(day + 3, 7) + 1) * 7 - 3) * DAY;
	case WEIR_PER_MONTH:
		month_of(day, &year, &month);
		step = every(a, 12);
		return days_to_month(year, (month / step + 1) * step) * DAY;
	default:
		return (day + 1) * DAY;
	}
}

/* The first instant at which the zone's clock shows `local` or later. */
static int64_t first_instant(const struct weir_zone *z, int64_t local)
{
	int64_t first = INT64_MAX;

	if (!z)
		return local;
	/* Either the clock gets there by itself under one of the offsets, or a change makes it jump over. */
	for (unsigned i = 0; i < 3; i++) {
		int64_t t = local - offset_s(z, i);

		if (t < first && offset_at(z, t) == offset_s(z, i))
			first = t;
	}
	for (unsigned i = 0; i < 2; i++) {
		int64_t t = (int64_t)z->change[i];

		if (z->change[i] != WEIR_ZONE_NEVER && t < first && t + offset_at(z, t) >= local &&
		    t - 1 + offset_at(z, t - 1) < local)
			first = t;
	}
	return first;
}

/* Where a single hour is the unit each real one counts, also that which the clock shows twice. */
static int64_t hour_end(const struct weir_zone *z, int64_t t)
{
	int64_t offset = offset_at(z, t), end = (floor_div(t + offset, HOUR) + 1) * HOUR - offset;

	for (unsigned i = 0; z && i < 2; i++) {
		int64_t change = (int64_t)z->change[i], then = offset_at(z, change);

		/* Of a zone that moves by half an hour: the change itself may be where the hour is full. */
		if (change > t && change <= end && (then - offset) % HOUR != 0)
			return (floor_div(change - 1 + then, HOUR) + 1) * HOUR - then;
	}
	return end;
}

uint64_t weir_allowance_ends_s(const struct weir_allowances *a, unsigned which, uint64_t wall_s)
{
	const struct weir_allowance *one = &a->one[which < WEIR_ALLOWANCES ? which : 0];
	const struct weir_zone *z = zone_of(a, which);
	int64_t t = wall_s < UINT64_C(1) << 34 ? (int64_t)wall_s : INT64_C(1) << 34, local, end;

	if (one->unit == WEIR_PER_HOUR && every(one, 24) == 1) {
		end = hour_end(z, t);
	} else {
		/* A clock that is set back over a boundary shows the day before once more: that day is over all the same. */
		local = t + offset_at(z, t);
		end = t;
		for (unsigned i = 0; i < 4 && end <= t; i++) {
			local = next_boundary(one, local);
			end = first_instant(z, local);
		}
	}
	if (end <= t || end - t > (int64_t)400 * DAY) /* damage */
		end = t + DAY;
	return (uint64_t)((end + MINUTE - 1) / MINUTE * MINUTE);
}

struct weir_clock_face weir_allowance_clock(const struct weir_allowances *a, unsigned which, uint64_t wall_s)
{
	int64_t t = wall_s < UINT64_C(1) << 34 ? (int64_t)wall_s : INT64_C(1) << 34, local = t + offset_at(zone_of(a, which), t);
	int64_t days = floor_div(local, DAY), year, month, of_day = local - days * DAY;

	month_of(days, &year, &month);
	return (struct weir_clock_face){.year = (int32_t)year,
					.month = (uint32_t)month + 1,
					.day = (uint32_t)(days - days_to_month(year, month)) + 1,
					.hour = (uint32_t)(of_day / HOUR),
					.minute = (uint32_t)(of_day % HOUR / MINUTE),
					.second = (uint32_t)(of_day % MINUTE)};
}

uint32_t weir_allowance_digest(const struct weir_allowances *a, unsigned which)
{
	const struct weir_allowance *one = &a->one[which];
	const struct weir_zone *z = one->unit == WEIR_PER_ROLLING ? 0 : zone_of(a, which);
	uint64_t h = UINT64_C(0xcbf29ce484222325), prime = UINT64_C(0x100000001b3);

	h = (h ^ one->unit) * prime;
	for (unsigned i = 0; i < 4; i++)
		h = (h ^ (one->every >> (8 * i) & 0xff)) * prime;
	for (unsigned i = 0; z && i < WEIR_ZONE_NAME_MAX && z->name[i] != '\0'; i++)
		h = (h ^ (unsigned char)z->name[i]) * prime;
	return (uint32_t)(h ^ h >> 32);
}
