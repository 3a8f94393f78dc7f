/* SPDX-License-Identifier: MIT */
/* profile = "polite" | "balanced" | "eager": all thresholds of a rule in one word, before its other keys are read. */
#include <string.h>

#include "src/policy/field.h"

static const char what[] = "\"polite\", \"balanced\" or \"eager\"";

/* What a profile may change (src/segment/profile.c). */
static const enum weir_field_id fields[] = {
	WEIR_FIELD_RATE_MIN,
	WEIR_FIELD_RATE_INITIAL,
	WEIR_FIELD_BURST,
	WEIR_FIELD_BACKOFF,
	WEIR_FIELD_RECOVERY,
	WEIR_FIELD_RATE_SUCCESSES,
	WEIR_FIELD_RATE_ERRORS,
	WEIR_FIELD_INTERVAL,
	WEIR_FIELD_CONCURRENCY_MAX,
	WEIR_FIELD_CONCURRENCY_MIN,
	WEIR_FIELD_CONCURRENCY_INITIAL,
	WEIR_FIELD_FAILURES,
	WEIR_FIELD_PROBE_SUCCESSES,
	WEIR_FIELD_OPEN_TIME,
	WEIR_FIELD_OPEN_TIME_MAX,
	WEIR_FIELD_OPEN_TIME_FACTOR,
	WEIR_FIELD_RAMP,
	WEIR_FIELD_GRACE,
	WEIR_FIELD_WAIT_MAX,
	WEIR_FIELD_HOLD_MAX,
	WEIR_FIELD_RETRY_BUDGET,
	WEIR_FIELD_RETRY_BASE,
	WEIR_FIELD_RETRY_CAP,
};

/* What belongs to a limit that somebody has fixed stays as he said it. */
static bool is_fixed(const struct weir_rule *r, enum weir_field_id id)
{
	if (id == WEIR_FIELD_BURST)
		return r->rate.strategy == WEIR_FIXED;
	return id == WEIR_FIELD_CONCURRENCY_MAX && r->concurrency.mode == WEIR_CONCURRENCY_FIXED;
}

void weir_profile_read(struct weir_draft *d, const struct weir_setting *s)
{
	const char *word = weir_setting_text(s);
	struct weir_place at = weir_setting_place(s);
	enum weir_profile profile;

	if (!word || !weir_profile_parse(word, &profile)) {
		weir_setting_expected(s, what, NULL);
		return;
	}
	weir_rule_profile(&d->rule, profile);
	/* As if it were inherited: what the rule itself says wins over it, and brings it in line. */
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		if (is_fixed(&d->rule, fields[i]))
			continue;
		d->said &= ~(UINT64_C(1) << fields[i]);
		d->from[fields[i]] = at;
	}
	d->profile = profile;
	d->profile_at = at;
}
