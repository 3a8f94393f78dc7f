/* SPDX-License-Identifier: MIT */
/* What a program is told of a spent quota: when it begins anew, on the clock of the quota's own zone. */
#include "allowance.h"

#include <string.h>

#include "weir/log.h"
#include "weir/units.h"

static size_t put_window(const struct weir_allowance *one, char *out, size_t size)
{
	static const char *const names[WEIR_PER_UNITS] = {"a window", "an hour", "a day", "a week", "a month", ""};
	char length[32];

	if (one->unit == WEIR_PER_ROLLING)
		return weir_format(out, size, " in %s",
				   weir_print_duration(one->every * UINT64_C(1000000000), length, sizeof length));
	if (one->every > 1)
		return weir_format(out, size, " in %u %s", one->every, one->unit == WEIR_PER_MONTH ? "months" : "hours");
	return weir_format(out, size, " %s", names[one->unit < WEIR_PER_UNITS ? one->unit : 0]);
}

static size_t put_time(const struct weir_allowances *rule, unsigned which, uint64_t at_ms, char *out, size_t size)
{
	struct weir_clock_face f = weir_allowance_clock(rule, which, (at_ms + 999) / 1000);
	uint8_t zone = rule->one[which].zone;
	char name[WEIR_ZONE_NAME_MAX] = "UTC";
	size_t n = weir_format(out, size, " on %d-%02u-%02u at %02u:%02u", (int)f.year, f.month, f.day, f.hour, f.minute);

	if (f.second != 0)
		n += weir_format(out + n, size - n, ":%02u", f.second);
	if (zone < WEIR_ALLOWANCE_ZONES) {
		memcpy(name, rule->zone[zone].name, sizeof name);
		name[sizeof name - 1] = '\0';
	}
	return n + weir_format(out + n, size - n, strcmp(name, "local") == 0 ? " %s time" : " %s", name);
}

size_t allowances_describe(const struct weir_gate *g, const struct weir_request *r, char *out, size_t size)
{
	struct scope scope[WEIR_SCOPES];
	const struct weir_allowances *binds = NULL;
	uint64_t until_ms = 0;
	unsigned which = 0;
	size_t n;

	if (g->segment == NULL || g->segment->base == NULL || !scopes_of(g, r, scope))
		return 0;
	for (unsigned i = 0; i < scopes_end(scope); i++)
		for (unsigned k = 0; scope[i].slot != WEIR_NONE && k < weir_allowances_count(&scope[i].rule->allowances); k++) {
			struct weir_account_view v;
			struct counter c;

			if (!counter_of(g->segment, &scope[i], r->scope[i].name, k, false, &c))
				continue;
			weir_account_look(c.meter, c.account, &scope[i].rule->allowances, k, c.wall_ms, &v);
			if (!v.spent || v.until_ms <= until_ms)
				continue;
			until_ms = v.until_ms;
			binds = &scope[i].rule->allowances;
			which = k;
		}
	if (binds == NULL)
		return 0;
	n = weir_format(out, size, "the quota of %u", binds->one[which].limit);
	n += put_window(&binds->one[which], out + n, size - n);
	n += weir_format(out + n, size - n, " is spent; it %s",
			 binds->one[which].unit == WEIR_PER_ROLLING ? "lets the next go" : "begins anew");
	return n + put_time(binds, which, until_ms, out + n, size - n);
}
