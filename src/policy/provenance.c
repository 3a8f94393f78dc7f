/* SPDX-License-Identifier: MIT */
/* Where a rule's limits are published, and when somebody last compared: for people, and for the check that finds what is old. */
#include "src/policy/setting.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Whether it is a day of the calendar, written "2026-11-27". */
static bool is_date(const char *text)
{
	struct tm day = {0}, same;
	char again[16];
	time_t at;

	if (strlen(text) != 10 || strspn(text, "0123456789-") != 10 || text[4] != '-' || text[7] != '-')
		return false;
	if (sscanf(text, "%d-%d-%d", &day.tm_year, &day.tm_mon, &day.tm_mday) != 3)
		return false;
	day.tm_year -= 1900;
	day.tm_mon -= 1;
	at = timegm(&day);
	return gmtime_r(&at, &same) && strftime(again, sizeof again, "%Y-%m-%d", &same) == 10 && strcmp(again, text) == 0;
}

void weir_provenance_read(struct weir_draft *d, const struct weir_setting *s, bool date)
{
	const char *what = date ? "a day such as \"2026-11-27\"" : "an address or a title, of up to 159 bytes";
	const char *text = weir_setting_text(s);

	if (!text || text[0] == '\0' || strlen(text) >= WEIR_PROVENANCE_MAX || (date && !is_date(text))) {
		weir_setting_expected(s, what, NULL);
		return;
	}
	snprintf(date ? d->verified_on : d->source, WEIR_PROVENANCE_MAX, "%s", text);
	*(date ? &d->verified_at : &d->source_at) = weir_setting_place(s);
}
