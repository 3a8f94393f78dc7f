/* SPDX-License-Identifier: MIT */
/*
 * HTTP-date, RFC 9110 5.6.7, and ISO 8601:
 *
 *   Sun, 06 Nov 1994 08:49:37 GMT     IMF-fixdate
 *   Sunday, 06-Nov-94 08:49:37 GMT    RFC 850
 *   Sun Nov  6 08:49:37 1994          asctime
 *   1994-11-06T08:49:37Z              RFC 3339
 *
 * Read a little more widely than that: any case, one- or two-digit days, either separator with either length of year, no weekday,
 * UTC or an offset like +0000 for GMT. Nothing may follow but blanks.
 */
#include "src/http/date.h"

#include "weir/http.h"

#include <string.h>

#include "src/http/ascii.h"

struct when {
	unsigned year, month, day, hour, minute, second; /* month from 1 */
	int offset_s;                                    /* of the zone, east of Greenwich */
};

/* Reads `least` to `most` digits. */
static bool digits(const char **p, unsigned least, unsigned most, unsigned *out)
{
	unsigned count = 0;

	for (*out = 0; count < most && ascii_digit(**p); count++, (*p)++)
		*out = *out * 10 + (unsigned)(**p - '0');
	return count >= least && !ascii_digit(**p);
}

static bool literal(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

static bool blanks(const char **p)
{
	const char *begin = *p;

	*p = ascii_skip_blanks(begin);
	return *p > begin;
}

#define SHORT 3 /* letters in "Sun" and "Nov" */

/* Whether these letters are the word or its first three. */
static bool names_it(const char *letters, size_t length, const char *full)
{
	size_t i = 0;

	while (i < length && full[i] != '\0' && ascii_lower(letters[i]) == full[i])
		i++;
	return i == length && (i == SHORT || full[i] == '\0');
}

/* Reads a word and returns its place in a list; -1 when it is none of them. */
static int word(const char **p, const char *const *words, int count)
{
	size_t length = 0;

	while (ascii_letter((*p)[length]))
		length++;
	for (int i = 0; i < count && length > 0; i++) {
		if (names_it(*p, length, words[i])) {
			*p += length;
			return i;
		}
	}
	return -1;
}

static bool weekday(const char **p)
{
	static const char *const names[] = {"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"};

	return word(p, names, 7) >= 0;
}

static bool month(const char **p, unsigned *out)
{
	static const char *const names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
	int found = word(p, names, 12);

	*out = (unsigned)(found + 1);
	return found >= 0;
}

static bool time_of_day(const char **p, struct when *w)
{
	return digits(p, 2, 2, &w->hour) && literal(p, ':') && digits(p, 2, 2, &w->minute) && literal(p, ':') &&
	       digits(p, 2, 2, &w->second);
}

/* "+0000", "-01:30" */
static bool offset(const char **p, struct when *w)
{
	bool west = **p == '-';
	unsigned hours, minutes;
	const char *begin;

	if (!literal(p, west ? '-' : '+'))
		return false;
	begin = *p;
	if (!digits(p, 2, 4, &hours) || *p - begin == 3)
		return false;
	minutes = hours % 100;
	if (*p - begin == 4)
		hours /= 100;
	else if (!literal(p, ':') || !digits(p, 2, 2, &minutes))
		return false;
	if (hours > 14 || minutes > 59)
		return false;
	w->offset_s = (west ? -1 : 1) * (int)(hours * 3600 + minutes * 60);
	return true;
}

static bool zone(const char **p, struct when *w)
{
	static const char *const names[] = {"gmt", "utc", "z"};
	const char *at = *p;

	if (ascii_lower(at[0]) == 'u' && ascii_lower(at[1]) == 't' && !ascii_letter(at[2])) { /* RFC 822 */
		*p += 2;
		return true;
	}
	return word(p, names, 3) >= 0 || offset(p, w);
}

/* "06 Nov 1994 08:49:37 GMT", "06-Nov-94 08:49:37 GMT" */
static bool day_first(const char **p, struct when *w)
{
	const char *year;
	char separator;

	if (!digits(p, 1, 2, &w->day))
		return false;
	separator = **p;
	if ((separator != ' ' && separator != '-') || !literal(p, separator) || !month(p, &w->month) || !literal(p, separator))
		return false;
	year = *p;
	if (!digits(p, 2, 4, &w->year) || *p - year == 3)
		return false;
	/* A pivot that needs no clock; the RFC's, fifty years from now, differs for dates that no server shows. */
	if (*p - year == 2)
		w->year += w->year < 70 ? 2000 : 1900;
	return blanks(p) && time_of_day(p, w) && blanks(p) && zone(p, w);
}

/* "Nov  6 08:49:37 1994" */
static bool month_first(const char **p, struct when *w)
{
	return month(p, &w->month) && blanks(p) && digits(p, 1, 2, &w->day) && blanks(p) && time_of_day(p, w) && blanks(p) &&
	       digits(p, 4, 4, &w->year);
}

static bool possible(const struct when *w)
{
	static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (w->year % 4 == 0 && w->year % 100 != 0) || w->year % 400 == 0;

	if (w->month < 1 || w->month > 12 || w->year < 1601)
		return false;
	if (w->day < 1 || w->day > (unsigned)days[w->month - 1] + (leap && w->month == 2 ? 1 : 0))
		return false;
	return w->hour <= 23 && w->minute <= 59 && w->second <= 60; /* 60: a leap second */
}

/* Days since 1970-01-01 in the Gregorian calendar: http://howardhinnant.github.io/date_algorithms.html, days_from_civil. */
static int64_t days_since_1970(const struct when *w)
{
	int64_t year = (int64_t)w->year - (w->month <= 2 ? 1 : 0);
	int64_t era = year / 400;
	int64_t of_era = year - era * 400;
	int64_t of_year = (153 * ((int64_t)w->month + (w->month > 2 ? -3 : 9)) + 2) / 5 + (int64_t)w->day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t since_1970(const struct when *w)
{
	return days_since_1970(w) * 86400 + (int64_t)w->hour * 3600 + (int64_t)w->minute * 60 + (int64_t)w->second - w->offset_s;
}

bool weir_http_date(const char *text, int64_t *seconds)
{
	const char *p = ascii_skip_blanks(text);
	struct when w = {0};
	bool good;

	if (ascii_digit(*p))
		good = day_first(&p, &w);
	else if (!weekday(&p))
		return false;
	else if (literal(&p, ','))
		good = blanks(&p) && day_first(&p, &w);
	else
		good = blanks(&p) && month_first(&p, &w);
	if (!good || !possible(&w) || *ascii_skip_blanks(p) != '\0')
		return false;
	*seconds = since_1970(&w);
	return true;
}

/* Digits behind the dot at *p, down to nanoseconds. */
static uint32_t fraction(const char **p)
{
	uint32_t nanos = 0;

	(*p)++;
	for (uint32_t scale = 100000000; ascii_digit(**p); scale /= 10, (*p)++)
		nanos += (uint32_t)(**p - '0') * scale;
	return nanos;
}

/* "04:13", "04:13:00.5" */
static bool iso_time(const char **p, struct when *w, uint32_t *nanos)
{
	*nanos = 0;
	if (!digits(p, 2, 2, &w->hour) || !literal(p, ':') || !digits(p, 2, 2, &w->minute))
		return false;
	if (!literal(p, ':'))
		return true;
	if (!digits(p, 2, 2, &w->second))
		return false;
	if (**p == '.' && ascii_digit((*p)[1]))
		*nanos = fraction(p);
	return true;
}

bool weir_iso_date(const char *text, int64_t *seconds, uint32_t *nanos)
{
	const char *p = ascii_skip_blanks(text);
	struct when w = {0};

	if (!digits(&p, 4, 4, &w.year) || !literal(&p, '-') || !digits(&p, 2, 2, &w.month) || !literal(&p, '-') ||
	    !digits(&p, 2, 2, &w.day) || !(literal(&p, 'T') || literal(&p, 't') || blanks(&p)) || !iso_time(&p, &w, nanos))
		return false;
	p = ascii_skip_blanks(p);
	if (*p != '\0' && !literal(&p, 'Z') && !literal(&p, 'z') && !zone(&p, &w))
		return false;
	if (!possible(&w) || *ascii_skip_blanks(p) != '\0')
		return false;
	*seconds = since_1970(&w);
	return true;
}
