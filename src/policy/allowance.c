/* SPDX-License-Identifier: MIT */
#include "src/policy/allowance.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "src/policy/field.h"
#include "weir/quotas.h"
#include "weir/units.h"

#define WORD_MAX 16

/* What stands behind the slash. seconds: of a unit that rolling windows may be made of. */
static const struct unit {
	const char *name[3];
	uint32_t seconds;
	enum weir_allowance_unit unit;
} units[] = {
	{{"s", "second", "seconds"}, 1, WEIR_PER_NOTHING},  {{"m", "minute", "minutes"}, 60, WEIR_PER_NOTHING},
	{{"h", "hour", "hours"}, 3600, WEIR_PER_HOUR},      {{"d", "day", "days"}, 86400, WEIR_PER_DAY},
	{{"w", "week", "weeks"}, 7 * 86400, WEIR_PER_WEEK}, {{"mo", "month", "months"}, 0, WEIR_PER_MONTH},
};
#define UNITS (sizeof units / sizeof *units)

static const struct unit *find_unit(const char *word)
{
	for (size_t i = 0; i < UNITS; i++)
		for (size_t k = 0; k < 3; k++)
			if (strcmp(word, units[i].name[k]) == 0)
				return &units[i];
	return NULL;
}

/* Digits up to something else. Returns NULL or what is wrong. */
static const char *read_number(const char **text, uint64_t max, uint64_t *out)
{
	char digits[WORD_MAX];
	size_t n = strspn(*text, "0123456789");

	if (n == 0)
		return "expected NUMBER/UNIT, as in 1000/day or 100/6h rolling";
	if (n >= sizeof digits)
		return "the number is too large";
	memcpy(digits, *text, n);
	digits[n] = '\0';
	*text += n;
	return weir_parse_count(digits, max, out);
}

static const char *make_rolling(struct weir_allowance *one, const struct unit *u, uint64_t n)
{
	if (u->seconds == 0 || n > WEIR_ROLLING_MAX_S || n * u->seconds > WEIR_ROLLING_MAX_S)
		return "a rolling window is 31d at most";
	if (n * u->seconds < WEIR_ROLLING_MIN_S)
		return "a rolling window is 1m at least; for less there are rates";
	one->unit = WEIR_PER_ROLLING;
	one->every = (uint32_t)(n * u->seconds);
	return NULL;
}

static const char *make_calendar(struct weir_allowance *one, const struct unit *u, uint64_t n)
{
	if (u->unit == WEIR_PER_NOTHING)
		return "a window of the calendar is an hour at least; for less there are rates, or say rolling";
	if (u->unit == WEIR_PER_HOUR ? n == 0 || 24 % n != 0 : u->unit == WEIR_PER_MONTH ? n == 0 || 12 % n != 0 : n != 1)
		return u->unit == WEIR_PER_HOUR    ? "so many hours do not make a day: 1, 2, 3, 4, 6, 8 or 12, or say rolling"
		       : u->unit == WEIR_PER_MONTH ? "so many months do not make a year: 1, 2, 3, 4, 6 or 12"
						   : "the calendar has no such window: say one of them, or rolling";
	one->unit = (uint8_t)u->unit;
	one->every = (uint32_t)n;
	return NULL;
}

/* The zone's number in the rule, which it gets when it has none. */
static const char *put_zone(struct weir_allowances *a, struct weir_allowance *one, const char *name, uint64_t wall_s)
{
	unsigned i = 0;
	const char *why;

	if (strcmp(name, "UTC") == 0) {
		one->zone = (uint8_t)WEIR_ZONE_UTC;
		return NULL;
	}
	while (i < WEIR_ALLOWANCE_ZONES && a->zone[i].name[0] != '\0' && strcmp(a->zone[i].name, name) != 0)
		i++;
	if (i == WEIR_ALLOWANCE_ZONES)
		return "a rule has two zones at most, beside UTC";
	one->zone = (uint8_t)i;
	why = a->zone[i].name[0] == '\0' ? weir_zone_find(name, wall_s, &a->zone[i]) : NULL;
	return why;
}

const char *weir_allowance_parse(struct weir_allowances *a, const char *text, uint64_t wall_s)
{
	struct weir_allowance one = {.flags = a->one[0].flags};
	unsigned which = weir_allowances_count(a);
	const struct unit *u;
	const char *p = text, *why;
	char word[WORD_MAX] = "";
	uint64_t limit, n = 1;
	size_t length;

	if (which == WEIR_ALLOWANCES)
		return "a rule has four quotas at most";
	why = read_number(&p, WEIR_ALLOWANCE_LIMIT_MAX, &limit);
	if (!why && (limit == 0 || *p != '/'))
		why = limit == 0 ? "it is zero" : "expected NUMBER/UNIT, as in 1000/day or 100/6h rolling";
	if (why)
		return why;
	p++;
	if (*p >= '0' && *p <= '9' && (why = read_number(&p, UINT32_MAX, &n)) != NULL)
		return why;
	length = strcspn(p, " ");
	if (length < sizeof word)
		memcpy(word, p, length);
	u = find_unit(word);
	if (!u)
		return "the unit is none of hour, day, week, month";
	p += length;
	p += strspn(p, " ");
	one.limit = (uint32_t)limit;
	if (strcmp(p, "rolling") == 0)
		why = make_rolling(&one, u, n);
	else
		why = make_calendar(&one, u, n);
	if (!why)
		why = put_zone(a, &one, *p == '\0' || one.unit == WEIR_PER_ROLLING ? "local" : p, wall_s);
	if (why)
		return why;
	a->one[which] = one;
	a->one[which].digest = weir_allowance_digest(a, which);
	for (unsigned i = 0; i < which; i++)
		if (a->one[i].digest == a->one[which].digest)
			why = "the same window is there already";
	if (why)
		memset(&a->one[which], 0, sizeof a->one[which]);
	return why;
}

void weir_allowances_read(struct weir_draft *d, const struct weir_setting *s)
{
	static const char what[] = "a quota such as \"1000/day\", \"5000/hour UTC\" or \"100/6h rolling\"";
	struct weir_allowances all = {0};
	bool good = true;

	if (!weir_setting_is_list(s)) {
		weir_setting_expected(s, "a list of quotas such as ( \"1000/day UTC\", \"100/6h rolling\" )", NULL);
		return;
	}
	for (unsigned i = 0; i < weir_setting_children(s); i++) {
		struct weir_setting one = weir_setting_child(s, i);
		const char *text = weir_setting_text(&one);
		const char *why = text ? weir_allowance_parse(&all, text, (uint64_t)time(NULL)) : NULL;

		if (!text || why)
			good = weir_setting_expected(&one, what, why);
	}
	if (!good)
		return;
	weir_allowances_spread(&all, weir_allowances_spreads(&d->rule.allowances));
	d->rule.allowances = all;
	weir_field_said(d, WEIR_FIELD_ALLOWANCES, weir_setting_place(s));
}

/* Also of those that are not in use: `quotas` may be said later, or in another place. */
void weir_allowances_spread(struct weir_allowances *a, bool spread)
{
	for (unsigned i = 0; i < WEIR_ALLOWANCES; i++)
		a->one[i].flags =
			(uint8_t)(spread ? a->one[i].flags | WEIR_ALLOWANCE_SPREAD : a->one[i].flags & ~WEIR_ALLOWANCE_SPREAD);
}

bool weir_allowances_spreads(const struct weir_allowances *a)
{
	return (a->one[0].flags & WEIR_ALLOWANCE_SPREAD) != 0;
}

static void print_window(const struct weir_allowance *one, char out[32])
{
	static const char *const names[WEIR_PER_UNITS] = {"?", "hour", "day", "week", "month", "?"};

	if (one->unit == WEIR_PER_ROLLING) {
		size_t i = UNITS - 2;

		while (i > 0 && (units[i].unit == WEIR_PER_WEEK || one->every % units[i].seconds != 0))
			i--;
		snprintf(out, 32, "%u%s", (unsigned)(one->every / units[i].seconds), units[i].name[0]);
	} else if (one->every > 1) {
		snprintf(out, 32, "%u%s", (unsigned)one->every, one->unit == WEIR_PER_MONTH ? "months" : "h");
	} else {
		snprintf(out, 32, "%s", names[one->unit < WEIR_PER_UNITS ? one->unit : 0]);
	}
}

void weir_allowance_print(const struct weir_allowances *a, unsigned which, char *out, size_t size)
{
	const struct weir_allowance *one = &a->one[which];
	char window[32];

	print_window(one, window);
	if (one->unit == WEIR_PER_ROLLING)
		snprintf(out, size, "%u/%s rolling", (unsigned)one->limit, window);
	else
		snprintf(out, size, "%u/%s %.*s", (unsigned)one->limit, window, WEIR_ZONE_NAME_MAX - 1,
			 one->zone < WEIR_ALLOWANCE_ZONES ? a->zone[one->zone].name : "UTC");
}

char *weir_allowances_print(const struct weir_allowances *a)
{
	char text[WEIR_ALLOWANCES * 96 + 8] = "(", one[88];
	size_t length = 1;

	for (unsigned i = 0; i < weir_allowances_count(a); i++) {
		weir_allowance_print(a, i, one, sizeof one);
		length += (size_t)snprintf(text + length, sizeof text - length, "%s \"%s\"", i > 0 ? "," : "", one);
	}
	snprintf(text + length, sizeof text - length, " )");
	return strdup(text);
}

bool weir_allowances_agree(const struct weir_allowances *a, const struct weir_allowances *b)
{
	for (unsigned i = 0; i < WEIR_ALLOWANCES; i++)
		if (a->one[i].limit != b->one[i].limit || a->one[i].unit != b->one[i].unit ||
		    a->one[i].flags != b->one[i].flags || a->one[i].digest != b->one[i].digest)
			return false;
	return true;
}
