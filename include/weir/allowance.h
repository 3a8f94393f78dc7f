/* SPDX-License-Identifier: MIT */
/*
 * An allowance: so many requests in a window of the calendar or of the last hours, as the configuration's `quotas` say. Not to be
 * mistaken for what servers say of their quotas (weir/rate.h, weir/quota_share.h). Part of a rule (ABI).
 *
 * Who compiles the rules looks the zones up and writes down the offset that holds and the next two changes of it, so that windows
 * are found with integers alone, and go on being found when nobody compiles for months.
 *
 * A window is known by its end, in minutes since 1970: it is the same for all who compute it, and grows. Windows end where the
 * zone's clock first shows the next full hour, midnight, Monday or first of the month: a day that daylight saving makes 23 or
 * 25 hours long is one day.
 */
#ifndef WEIR_ALLOWANCE_H
#define WEIR_ALLOWANCE_H

#include <stdbool.h>
#include <stdint.h>

#define WEIR_ALLOWANCES          4 /* of one rule */
#define WEIR_ALLOWANCE_ZONES     2 /* of one rule, beside UTC */
#define WEIR_ALLOWANCE_LIMIT_MAX 1000000000U
#define WEIR_ZONE_NAME_MAX       32 /* NUL included */
#define WEIR_ZONE_UTC            0xffU
#define WEIR_ZONE_NEVER          UINT32_MAX /* no change is ahead */
#define WEIR_ROLLING_MIN_S       60U
#define WEIR_ROLLING_MAX_S       (31U * 86400)

enum weir_allowance_unit {
	WEIR_PER_NOTHING = 0, /* not in use; the last one in use comes before the first that is not */
	WEIR_PER_HOUR,        /* `every` hours: a divisor of 24 */
	WEIR_PER_DAY,
	WEIR_PER_WEEK,    /* from Monday on, as ISO 8601 has it */
	WEIR_PER_MONTH,   /* `every` months: a divisor of 12 */
	WEIR_PER_ROLLING, /* the last `every` seconds */
	WEIR_PER_UNITS
};

#define WEIR_ALLOWANCE_SPREAD 1U /* what is left is paced over what is left of the window */

struct weir_allowance {
	uint32_t limit;
	uint32_t every;
	uint8_t unit;  /* enum weir_allowance_unit */
	uint8_t flags; /* of all four alike */
	uint8_t zone;  /* index in the rule's zones, or WEIR_ZONE_UTC; of a rolling one: for what is shown */
	uint8_t pad;
	uint32_t digest; /* of unit, every and the zone's name: whose count it is, beside the entry's key. Not of the limit */
};
_Static_assert(sizeof(struct weir_allowance) == 16, "ABI");

struct weir_zone {
	char name[WEIR_ZONE_NAME_MAX]; /* "Europe/Berlin", "local"; empty: not in use */
	uint32_t change[2];            /* seconds since 1970, ascending; WEIR_ZONE_NEVER: none */
	int16_t offset[3];             /* minutes east of UTC: before, between and after them */
	uint16_t pad;
};
_Static_assert(sizeof(struct weir_zone) == 48, "ABI");

struct weir_allowances {
	struct weir_allowance one[WEIR_ALLOWANCES];
	struct weir_zone zone[WEIR_ALLOWANCE_ZONES];
};
_Static_assert(sizeof(struct weir_allowances) == 160, "ABI");

/* How many are in use: 0 to WEIR_ALLOWANCES, whatever the rule holds. */
static inline unsigned weir_allowances_count(const struct weir_allowances *a)
{
	unsigned n = 0;

	while (n < WEIR_ALLOWANCES && a->one[n].unit > WEIR_PER_NOTHING && a->one[n].unit < WEIR_PER_UNITS)
		n++;
	return n;
}

/* Seconds east of UTC in the zone of allowance `which` at that time. */
int32_t weir_allowance_offset_s(const struct weir_allowances *a, unsigned which, uint64_t wall_s);

/* When the window ends in which wall_s lies: a whole minute since 1970, later than wall_s. Not for rolling ones. Any rule,
 * however damaged, has an end within 400 days. */
uint64_t weir_allowance_ends_s(const struct weir_allowances *a, unsigned which, uint64_t wall_s);

/* A time on the clock of allowance `which`'s zone. */
struct weir_clock_face {
	int32_t year;
	uint32_t month, day, hour, minute, second; /* month and day from 1 */
};
struct weir_clock_face weir_allowance_clock(const struct weir_allowances *a, unsigned which, uint64_t wall_s);

/* The digest of what the window is. */
uint32_t weir_allowance_digest(const struct weir_allowances *a, unsigned which);

#endif
