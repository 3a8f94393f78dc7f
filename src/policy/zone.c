/* SPDX-License-Identifier: MIT */
#include "weir/quotas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define DATABASE "/usr/share/zoneinfo/"
#define LOCAL    "/etc/localtime"
#define DAY      86400
#define AHEAD    (3 * 366) /* days; a zone that changes at all does so twice a year */

/* Without such a file the C library takes any name for UTC. */
static bool is_zone_file(const char *path)
{
	char magic[4] = "";
	struct stat st;
	FILE *f = stat(path, &st) == 0 && S_ISREG(st.st_mode) ? fopen(path, "re") : NULL;
	bool is = f && fread(magic, 1, sizeof magic, f) == sizeof magic && memcmp(magic, "TZif", sizeof magic) == 0;

	if (f)
		fclose(f);
	return is;
}

static const char *wrong_name(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_/";

	if (strlen(name) >= WEIR_ZONE_NAME_MAX)
		return "the zone's name is too long";
	if (name[0] == '/' || name[0] == '\0' || strspn(name, allowed) != strlen(name))
		return "that is no name of a time zone";
	return NULL;
}

/* Minutes east of UTC, by TZ. */
static int offset_at(int64_t t)
{
	time_t when = (time_t)t;
	struct tm tm;

	return localtime_r(&when, &tm) ? (int)(tm.tm_gmtoff / 60) : 0;
}

/* The first second of the next change after `from`, 0: none in three years. */
static int64_t next_change(int64_t from)
{
	int before = offset_at(from);

	for (unsigned i = 0; i < AHEAD; i++) {
		int64_t low = from + (int64_t)i * DAY, high = low + DAY;

		if (offset_at(high) == before)
			continue;
		while (high - low > 1) {
			int64_t middle = low + (high - low) / 2;

			if (offset_at(middle) == before)
				low = middle;
			else
				high = middle;
		}
		return high;
	}
	return 0;
}

static void read_changes(int64_t now, struct weir_zone *out)
{
	int64_t at = now;

	out->offset[0] = (int16_t)offset_at(now);
	for (unsigned i = 0; i < 2; i++) {
		at = at ? next_change(at) : 0;
		out->change[i] = at > 0 && at < (int64_t)WEIR_ZONE_NEVER ? (uint32_t)at : WEIR_ZONE_NEVER;
		out->offset[i + 1] = at ? (int16_t)offset_at(at) : out->offset[i];
	}
}

const char *weir_zone_find(const char *name, uint64_t wall_s, struct weir_zone *out)
{
	const char *was = getenv("TZ"), *why = wrong_name(name);
	char path[sizeof DATABASE + WEIR_ZONE_NAME_MAX], tz[sizeof path + 1];
	char *before;
	bool local = strcmp(name, "local") == 0;

	if (why)
		return why;
	snprintf(path, sizeof path, "%s%s", local ? LOCAL : DATABASE, local ? "" : name);
	/* A machine without /etc/localtime keeps UTC: localtime(5). */
	if (!is_zone_file(path) && !local)
		return "there is no such zone in " DATABASE ", package tzdata";
	snprintf(tz, sizeof tz, ":%s", path);
	before = was ? strdup(was) : NULL;
	setenv("TZ", is_zone_file(path) ? tz : "UTC0", 1);
	tzset();
	memset(out, 0, sizeof *out);
	memcpy(out->name, name, strlen(name));
	read_changes((int64_t)wall_s, out);
	if (before)
		setenv("TZ", before, 1);
	else
		unsetenv("TZ");
	tzset();
	free(before);
	return NULL;
}

bool weir_zones_renew(struct weir_rule *rules, uint32_t count, uint64_t wall_s)
{
	bool changed = false;

	for (uint32_t i = 0; i < count; i++)
		for (unsigned k = 0; k < WEIR_ALLOWANCE_ZONES; k++) {
			struct weir_zone *z = &rules[i].allowances.zone[k], now;

			if (z->name[0] == '\0' || z->name[sizeof z->name - 1] != '\0' || weir_zone_find(z->name, wall_s, &now) ||
			    memcmp(&now, z, sizeof now) == 0)
				continue;
			*z = now;
			changed = true;
		}
	return changed;
}

bool weir_zones_due(const struct weir_rule *rules, uint32_t count, uint64_t wall_s)
{
	for (uint32_t i = 0; i < count; i++)
		for (unsigned k = 0; k < WEIR_ALLOWANCE_ZONES; k++)
			if (rules[i].allowances.zone[k].name[0] != '\0' && rules[i].allowances.zone[k].change[0] <= wall_s)
				return true;
	return false;
}
