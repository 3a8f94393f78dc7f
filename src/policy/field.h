/* SPDX-License-Identifier: MIT */
/* The keys of a rule as a table: name, kind, where the value stands in struct weir_rule, between which bounds it must be. */
#ifndef WEIR_POLICY_FIELD_H
#define WEIR_POLICY_FIELD_H

#include "src/policy/setting.h"

enum weir_kind {
	WEIR_KIND_EXEMPT,     /* WEIR_RULE_EXEMPT */
	WEIR_KIND_STATUSES,   /* [ 403, 429 ] */
	WEIR_KIND_SWITCH,     /* WEIR_RULE_LIMITS_RATE */
	WEIR_KIND_QUOTAS,     /* fixed[] */
	WEIR_KIND_ALLOWANCES, /* allowances: `quotas` (allowance.h) */
	WEIR_KIND_SPREAD,     /* WEIR_ALLOWANCE_SPREAD */
	WEIR_KIND_STRATEGY,   /* uint32_t, enum weir_strategy */
	WEIR_KIND_MODE,       /* uint32_t, enum weir_concurrency_mode */
	WEIR_KIND_BREAKER,    /* breaker.mode, enum weir_breaker_mode */
	WEIR_KIND_PRIORITY,   /* uint32_t, enum weir_class + 1; "unset" is 0 */
	WEIR_KIND_COUNT,      /* uint32_t */
	WEIR_KIND_PERMILLE,   /* uint32_t */
	WEIR_KIND_RATE,       /* uint64_t, nano/s; "none" is 0 */
	WEIR_KIND_DURATION,   /* uint64_t, ns */
	WEIR_KIND_WINDOW,     /* breaker.window_ns, or breaker.window_calls */
	WEIR_KIND_WORDS,      /* uint32_t, a bit for each of a list of words: words.c */
};

struct weir_field {
	const char *name; /* as under defaults: "rate.max" */
	enum weir_kind kind;
	bool total; /* may be said under total as well */
	size_t offset;
	uint64_t min, max;
};
extern const struct weir_field weir_field_table[WEIR_FIELDS];

uint64_t weir_field_get(const struct weir_rule *r, enum weir_field_id id);
void weir_field_put(struct weir_rule *r, enum weir_field_id id, uint64_t value);

/* Notes that the draft itself says this field, at a place. */
void weir_field_said(struct weir_draft *d, enum weir_field_id id, struct weir_place at);

/* Reads the setting into the draft; reports what is wrong. */
void weir_field_read(struct weir_draft *d, enum weir_field_id id, const struct weir_setting *s);

/* The value in the syntax of the configuration; to be freed, NULL when memory is out. */
char *weir_field_print(const struct weir_rule *r, enum weir_field_id id);

/* quota.c: `rates`. The first goes to the controlled bucket as a fixed rate unless `rate_said`; the others beside it. */
void weir_quotas_read(struct weir_draft *d, const struct weir_setting *s, bool rate_said);
char *weir_quotas_print(const struct weir_rule *r);

/* words.c: a list of words of a set, each of which is a bit. */
bool weir_words_read(const struct weir_setting *s, enum weir_field_id id, uint64_t *bits);
char *weir_words_print(uint64_t bits, enum weir_field_id id);
/* narrow.c: whether a rule has a path or a method; whether it stands beside its host's. */
bool weir_narrow_is(const struct weir_draft *d);
bool weir_narrow_is_beside(const struct weir_draft *d);

/* narrow.c: before its keys are taken: what a rule is that has a path or a method. */
void weir_narrow_begin(struct weir_draft *d, const struct weir_setting *s);

/* narrow.c: path, method, apart. False for any other key. */
bool weir_narrow_take(struct weir_draft *d, const struct weir_setting *s, const char *name);

/* compile.c: takes out what limits anything. */
void weir_rule_limit_nothing(struct weir_rule *r);

/* match.c: which hosts a rule is for. Lowers letters, strips brackets. Returns NULL or what is wrong. */
const char *weir_match_read(const char *text, char match[WEIR_MATCH_MAX], uint32_t *flags);
const char *weir_group_read(const char *text, char group[WEIR_GROUP_MAX]);

#endif
