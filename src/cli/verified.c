/* SPDX-License-Identifier: MIT */
#include "src/cli/verified.h"

#include <stdio.h>
#include <string.h>

#include "src/cli/usage.h"

/* The day that origin i gives as `verified_on`, without its quotes. */
static bool date_of(const struct weir_policy *p, size_t i, char date[16])
{
	static const char key[] = ".verified_on";
	size_t n = strlen(p->origins[i].key);

	if (n < sizeof key || strcmp(p->origins[i].key + n - (sizeof key - 1), key) != 0 || p->origins[i].value[0] != '"')
		return false;
	snprintf(date, 16, "%.10s", p->origins[i].value + 1);
	return true;
}

bool weir_verified_oldest(const struct weir_policy *p, char date[16], size_t *origin)
{
	bool any = false;

	for (size_t i = 0; i < p->origin_count; i++) {
		char one[16];

		/* Days that are written so are ordered like text. */
		if (!date_of(p, i, one) || (any && strcmp(one, date) >= 0))
			continue;
		memcpy(date, one, sizeof one);
		*origin = i;
		any = true;
	}
	return any;
}

bool weir_verified_long_ago(const char *date, time_t now)
{
	struct tm day = {0};

	if (sscanf(date, "%d-%d-%d", &day.tm_year, &day.tm_mon, &day.tm_mday) != 3)
		return true;
	day.tm_year -= 1900;
	day.tm_mon -= 1;
	return now - timegm(&day) > (time_t)WEIR_VERIFIED_DAYS * 86400;
}

void weir_verified_warn(const struct weir_policy *p, time_t now)
{
	for (size_t i = 0; i < p->origin_count; i++) {
		char date[16];

		if (date_of(p, i, date) && weir_verified_long_ago(date, now))
			weir_complain("config", "%s: %s: %s is more than a year ago: what is published may have changed",
				      p->origins[i].source, p->origins[i].key, date);
	}
}
