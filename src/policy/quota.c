/* SPDX-License-Identifier: MIT */
/* rates = ( "10/s", { rate = "5000/h"; burst = 20; } ): several fixed rates that hold at the same time. */
#include "src/policy/field.h"

#include <stdio.h>
#include <string.h>

static const char *const keys[] = {"rate", "burst", NULL};

/* { rate = "10/s"; burst = 3; } */
static bool read_group(const struct weir_setting *s, struct weir_fixed_rate *out)
{
	bool ok = true, rate_said = false;

	for (unsigned i = 0; i < weir_setting_children(s); i++) {
		struct weir_setting child = weir_setting_child(s, i);
		const char *name = weir_setting_name(&child);
		uint64_t burst;

		if (strcmp(name, keys[0]) == 0) {
			rate_said = true;
			ok = weir_value_rate(&child, false, &out->rate) && ok;
		} else if (strcmp(name, keys[1]) == 0) {
			if (weir_value_count(&child, 1, WEIR_BURST_MAX, &burst))
				out->burst = (uint32_t)burst;
			else
				ok = false;
		} else {
			weir_setting_unknown(&child, keys);
			ok = false;
		}
	}
	if (!rate_said)
		return weir_setting_expected(s, "{ rate = \"5/s\"; burst = 1; }", "no rate is given");
	return ok;
}

static bool read_one(const struct weir_setting *s, struct weir_fixed_rate *out)
{
	*out = (struct weir_fixed_rate){.burst = 1};
	return weir_setting_is_group(s) ? read_group(s, out) : weir_value_rate(s, false, &out->rate);
}

void weir_quotas_read(struct weir_draft *d, const struct weir_setting *s, bool rate_said)
{
	struct weir_fixed_rate quota[WEIR_RATES] = {{0}};
	struct weir_place at = weir_setting_place(s);
	unsigned room = rate_said ? WEIR_RATES - 1 : WEIR_RATES;
	unsigned n = weir_setting_children(s), beside = 0;
	bool ok = true;

	if (!weir_setting_is_list(s)) {
		weir_setting_expected(s, "a list of rates such as ( \"10/s\", \"5000/h\" )", NULL);
		return;
	}
	if (n > room) {
		weir_setting_expected(s, rate_said ? "at most three rates beside rate" : "at most four rates", NULL);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		struct weir_setting one = weir_setting_child(s, i);

		ok = read_one(&one, &quota[i]) && ok;
	}
	if (!ok)
		return;
	if (n > 0 && !rate_said) {
		beside = 1;
		weir_field_put(&d->rule, WEIR_FIELD_RATE, 1);
		weir_field_put(&d->rule, WEIR_FIELD_STRATEGY, WEIR_FIXED);
		weir_field_put(&d->rule, WEIR_FIELD_RATE_MAX, quota[0].rate);
		weir_field_put(&d->rule, WEIR_FIELD_BURST, quota[0].burst);
		weir_field_said(d, WEIR_FIELD_RATE, at);
		weir_field_said(d, WEIR_FIELD_STRATEGY, at);
		weir_field_said(d, WEIR_FIELD_RATE_MAX, at);
		weir_field_said(d, WEIR_FIELD_BURST, at);
	}
	memset(d->rule.fixed, 0, sizeof d->rule.fixed);
	memcpy(d->rule.fixed, quota + beside, (n - beside) * sizeof *quota);
	weir_field_said(d, WEIR_FIELD_RATES, at);
}

char *weir_quotas_print(const struct weir_rule *r)
{
	char text[(WEIR_RATES - 1) * (WEIR_VALUE_MAX + 40) + 8] = "(";
	size_t length = 1;

	for (unsigned i = 0; i < WEIR_RATES - 1 && r->fixed[i].rate > 0; i++) {
		char rate[WEIR_VALUE_MAX];

		weir_value_print_rate(r->fixed[i].rate, rate, sizeof rate);
		length += (size_t)snprintf(text + length, sizeof text - length,
					   r->fixed[i].burst > 1 ? "%s { rate = \"%s\"; burst = %u; }" : "%s \"%s\"",
					   i > 0 ? "," : "", rate, r->fixed[i].burst);
	}
	snprintf(text + length, sizeof text - length, " )");
	return strdup(text);
}
