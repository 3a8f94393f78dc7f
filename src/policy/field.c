/* SPDX-License-Identifier: MIT */
#include "src/policy/field.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/policy/allowance.h"

#define MS  UINT64_C(1000000)
#define S   (1000 * MS)
#define DAY (86400 * S)

#define AT(member) offsetof(struct weir_rule, member)

/* As many leases as a segment can have (layout.c): without one no request is in flight. */
#define PERMITS_MAX 65535
/* The window counts calls in 14 bits per slot (window.h). */
#define CALLS_MAX 10000

const struct weir_field weir_field_table[WEIR_FIELDS] = {
	[WEIR_FIELD_EXEMPT] = {"exempt", WEIR_KIND_EXEMPT, false, 0, 0, 1},
	[WEIR_FIELD_THROTTLE_STATUS] = {"throttle_status", WEIR_KIND_STATUSES, false, 0, 100, 599},
	[WEIR_FIELD_RATE] = {"rate", WEIR_KIND_SWITCH, true, 0, 0, 1},
	[WEIR_FIELD_STRATEGY] = {"rate.strategy", WEIR_KIND_STRATEGY, true, AT(rate.strategy), 0, 0},
	[WEIR_FIELD_RATE_MIN] = {"rate.min", WEIR_KIND_RATE, false, AT(rate.min), 0, 0},
	[WEIR_FIELD_RATE_MAX] = {"rate.max", WEIR_KIND_RATE, true, AT(rate.max), 0, 0},
	[WEIR_FIELD_RATE_INITIAL] = {"rate.initial", WEIR_KIND_RATE, false, AT(rate.initial), 0, 0},
	[WEIR_FIELD_BURST] = {"rate.burst", WEIR_KIND_COUNT, true, AT(rate.burst), 1, WEIR_BURST_MAX},
	[WEIR_FIELD_BACKOFF] = {"rate.backoff", WEIR_KIND_PERMILLE, false, AT(rate.backoff_permille), 1, 999},
	[WEIR_FIELD_RECOVERY] = {"rate.recovery", WEIR_KIND_PERMILLE, false, AT(rate.recovery_permille), 1001, 10000},
	[WEIR_FIELD_RATE_SUCCESSES] = {"rate.success_threshold", WEIR_KIND_COUNT, false, AT(rate.success_threshold), 1, 1000000},
	[WEIR_FIELD_RATE_ERRORS] = {"rate.error_threshold", WEIR_KIND_PERMILLE, false, AT(rate.error_threshold_permille), 0,
				    1000},
	[WEIR_FIELD_INTERVAL] = {"rate.interval", WEIR_KIND_DURATION, false, AT(rate.interval_ns), 10 * MS, DAY},
	[WEIR_FIELD_RATES] = {"rates", WEIR_KIND_QUOTAS, true, 0, 0, 0},
	[WEIR_FIELD_ALLOWANCES] = {"quotas", WEIR_KIND_ALLOWANCES, false, 0, 0, 0},
	[WEIR_FIELD_SPREAD] = {"spread", WEIR_KIND_SPREAD, false, 0, 0, 1},
	[WEIR_FIELD_MODE] = {"concurrency.mode", WEIR_KIND_MODE, true, AT(concurrency.mode), 0, 0},
	[WEIR_FIELD_CONCURRENCY_MAX] = {"concurrency.max", WEIR_KIND_COUNT, true, AT(concurrency.max), 0, PERMITS_MAX},
	[WEIR_FIELD_CONCURRENCY_MIN] = {"concurrency.min", WEIR_KIND_COUNT, false, AT(concurrency.min), 0, PERMITS_MAX},
	[WEIR_FIELD_CONCURRENCY_INITIAL] = {"concurrency.initial", WEIR_KIND_COUNT, false, AT(concurrency.initial), 0,
					    PERMITS_MAX},
	[WEIR_FIELD_FAILURES] = {"breaker.failures", WEIR_KIND_COUNT, false, AT(breaker.failures), 0, 1000000},
	[WEIR_FIELD_FAILURE_RATE] = {"breaker.failure_rate", WEIR_KIND_PERMILLE, false, AT(breaker.failure_rate_permille), 0,
				     1000},
	[WEIR_FIELD_SLOW_RATE] = {"breaker.slow_call_rate", WEIR_KIND_PERMILLE, false, AT(breaker.slow_rate_permille), 0, 1000},
	[WEIR_FIELD_SLOW_CALL] = {"breaker.slow_call", WEIR_KIND_DURATION, false, AT(breaker.slow_call_ns), 0, DAY},
	[WEIR_FIELD_WINDOW] = {"breaker.window", WEIR_KIND_WINDOW, false, AT(breaker.window_ns), 100 * MS, DAY},
	[WEIR_FIELD_MIN_CALLS] = {"breaker.min_calls", WEIR_KIND_COUNT, false, AT(breaker.min_calls), 1, CALLS_MAX},
	[WEIR_FIELD_PROBE_SUCCESSES] = {"breaker.success_threshold", WEIR_KIND_COUNT, false, AT(breaker.success_threshold), 1,
					1000},
	[WEIR_FIELD_OPEN_TIME] = {"breaker.open_time", WEIR_KIND_DURATION, false, AT(breaker.open_time_ns), MS, 7 * DAY},
	[WEIR_FIELD_OPEN_TIME_MAX] = {"breaker.open_time_max", WEIR_KIND_DURATION, false, AT(breaker.open_time_max_ns), MS,
				      7 * DAY},
	[WEIR_FIELD_OPEN_TIME_FACTOR] = {"breaker.open_time_factor", WEIR_KIND_PERMILLE, false,
					 AT(breaker.open_time_factor_permille), 1000, 100000},
	[WEIR_FIELD_JITTER] = {"breaker.jitter", WEIR_KIND_PERMILLE, false, AT(breaker.jitter_permille), 0, 900},
	[WEIR_FIELD_PROBE_TIMEOUT] = {"breaker.probe_timeout", WEIR_KIND_DURATION, false, AT(breaker.probe_lease_ns), MS, DAY},
	[WEIR_FIELD_RAMP] = {"breaker.ramp", WEIR_KIND_DURATION, false, AT(breaker.ramp_ns), 0, DAY},
	[WEIR_FIELD_GRACE] = {"breaker.grace", WEIR_KIND_DURATION, false, AT(grace_ns), 0, DAY},
	[WEIR_FIELD_BREAKER_MODE] = {"breaker.mode", WEIR_KIND_BREAKER, false, 0, 0, 0},
	[WEIR_FIELD_WAIT_MAX] = {"wait.max", WEIR_KIND_DURATION, true, AT(wait_max_ns), 0, 7 * DAY},
	[WEIR_FIELD_HOLD_MAX] = {"hold.max", WEIR_KIND_DURATION, false, AT(hold_max_ns), 0, 31 * DAY},
	[WEIR_FIELD_PRIORITY] = {"priority", WEIR_KIND_PRIORITY, false, AT(queue.priority), 0, 0},
	[WEIR_FIELD_QUEUE_MAX] = {"queue.max", WEIR_KIND_COUNT, false, AT(queue.max), 0, PERMITS_MAX},
	[WEIR_FIELD_SHARE_NORMAL] = {"share.normal", WEIR_KIND_PERMILLE, false, AT(queue.shares.normal), 0, 1000},
	[WEIR_FIELD_SHARE_LOW] = {"share.low", WEIR_KIND_PERMILLE, false, AT(queue.shares.low), 0, 1000},
	[WEIR_FIELD_DEGRADE_QUEUE] = {"degrade.queue", WEIR_KIND_COUNT, false, AT(degrade.queue), 0, PERMITS_MAX},
	[WEIR_FIELD_DEGRADE_LATENCY] = {"degrade.latency", WEIR_KIND_DURATION, false, AT(degrade.latency_ns), 0, DAY},
	[WEIR_FIELD_DEGRADE_ERRORS] = {"degrade.error_rate", WEIR_KIND_PERMILLE, false, AT(degrade.error_permille), 0, 1000},
	[WEIR_FIELD_DEGRADE_QUOTA] = {"degrade.quota_left", WEIR_KIND_PERMILLE, false, AT(degrade.quota_permille), 0, 1000},
	[WEIR_FIELD_DEGRADE_STEP] = {"degrade.step", WEIR_KIND_DURATION, false, AT(degrade.step_ns), 100 * MS, DAY},
	[WEIR_FIELD_DEGRADE_RECOVERY] = {"degrade.recovery", WEIR_KIND_DURATION, false, AT(degrade.recovery_ns), 100 * MS, DAY},
	[WEIR_FIELD_RETRY_ATTEMPTS] = {"retry.attempts", WEIR_KIND_COUNT, false, AT(retry.attempts), 1, WEIR_RETRY_ATTEMPTS_MAX},
	[WEIR_FIELD_RETRY_ON] = {"retry.on", WEIR_KIND_WORDS, false, AT(retry.on), 0, 0},
	[WEIR_FIELD_RETRY_METHODS] = {"retry.methods", WEIR_KIND_WORDS, false, AT(retry.methods), 0, 0},
	[WEIR_FIELD_RETRY_BUDGET] = {"retry.budget", WEIR_KIND_PERMILLE, false, AT(retry.budget_permille), 0, 1000},
	[WEIR_FIELD_RETRY_BASE] = {"retry.base", WEIR_KIND_DURATION, false, AT(retry.base_ns), MS, DAY},
	[WEIR_FIELD_RETRY_CAP] = {"retry.cap", WEIR_KIND_DURATION, false, AT(retry.cap_ns), MS, DAY},
	[WEIR_FIELD_CLIENT_RATE] = {"per_client.rate", WEIR_KIND_RATE, false, AT(narrow.client_rate), 0, 0},
	[WEIR_FIELD_CLIENT_BURST] = {"per_client.burst", WEIR_KIND_COUNT, false, AT(narrow.client_burst), 1, WEIR_BURST_MAX},
	[WEIR_FIELD_CLIENT_CONCURRENCY] = {"per_client.concurrency", WEIR_KIND_COUNT, false, AT(narrow.client_concurrency), 0,
					   PERMITS_MAX},
};

static const char *const strategies[] = {"adaptive", "fixed", "conservative", "aggressive", NULL};
static const char *const priorities[] = {"unset", "high", "normal", "low", NULL};
static const char *const modes[] = {"off", "fixed", "adaptive", NULL};
static const char *const breaker_modes[] = {"open", "shed", NULL};

static bool wide(enum weir_field_id id)
{
	return weir_field_table[id].kind == WEIR_KIND_RATE || weir_field_table[id].kind == WEIR_KIND_DURATION ||
	       weir_field_table[id].kind == WEIR_KIND_WINDOW;
}

uint64_t weir_field_get(const struct weir_rule *r, enum weir_field_id id)
{
	const char *at = (const char *)r + weir_field_table[id].offset;
	uint64_t value = 0;
	uint32_t narrow;

	if (weir_field_table[id].kind == WEIR_KIND_EXEMPT)
		return r->flags & WEIR_RULE_EXEMPT ? 1 : 0;
	if (weir_field_table[id].kind == WEIR_KIND_SPREAD)
		return weir_allowances_spreads(&r->allowances) ? 1 : 0;
	if (weir_field_table[id].kind == WEIR_KIND_SWITCH)
		return r->flags & WEIR_RULE_LIMITS_RATE ? 1 : 0;
	if (weir_field_table[id].kind == WEIR_KIND_BREAKER)
		return r->breaker.mode;
	if (weir_field_table[id].kind == WEIR_KIND_WINDOW && r->breaker.window_calls != 0)
		return WEIR_VALUE_CALLS | r->breaker.window_calls;
	if (wide(id)) {
		memcpy(&value, at, sizeof value);
		return value;
	}
	memcpy(&narrow, at, sizeof narrow);
	return narrow;
}

void weir_field_put(struct weir_rule *r, enum weir_field_id id, uint64_t value)
{
	char *at = (char *)r + weir_field_table[id].offset;
	uint32_t narrow = (uint32_t)value;
	uint32_t flag = weir_field_table[id].kind == WEIR_KIND_EXEMPT   ? WEIR_RULE_EXEMPT
			: weir_field_table[id].kind == WEIR_KIND_SWITCH ? WEIR_RULE_LIMITS_RATE
									: 0;

	/* By calls: the time stays as it was, of what is shown. */
	if (weir_field_table[id].kind == WEIR_KIND_WINDOW)
		r->breaker.window_calls = (uint16_t)(value & WEIR_VALUE_CALLS ? value : 0);
	if (weir_field_table[id].kind == WEIR_KIND_WINDOW && (value & WEIR_VALUE_CALLS))
		return;
	if (weir_field_table[id].kind == WEIR_KIND_SPREAD)
		weir_allowances_spread(&r->allowances, value != 0);
	else if (weir_field_table[id].kind == WEIR_KIND_BREAKER)
		r->breaker.mode = (uint16_t)value;
	else if (flag)
		r->flags = value ? r->flags | flag : r->flags & ~flag;
	else if (wide(id))
		memcpy(at, &value, sizeof value);
	else
		memcpy(at, &narrow, sizeof narrow);
}

void weir_field_said(struct weir_draft *d, enum weir_field_id id, struct weir_place at)
{
	d->said |= UINT64_C(1) << id;
	d->from[id] = at;
}

static bool read_status(const struct weir_setting *s, uint16_t *code, unsigned before)
{
	const struct weir_field *f = &weir_field_table[WEIR_FIELD_THROTTLE_STATUS];
	uint64_t status;

	if (!weir_value_count(s, f->min, f->max, &status))
		return false;
	for (unsigned i = 0; i < before; i++) {
		if (code[i] == status)
			return weir_setting_expected(s, "each status once", NULL);
	}
	code[before] = (uint16_t)status;
	return true;
}

static bool read_statuses(struct weir_draft *d, const struct weir_setting *s)
{
	static const char what[] = "up to eight HTTP statuses such as [ 403, 429 ]";
	uint16_t code[WEIR_THROTTLE_CODES] = {0};
	unsigned n = weir_setting_is_list(s) ? weir_setting_children(s) : 0;
	bool ok = true;

	if (!weir_setting_is_list(s) || n > WEIR_THROTTLE_CODES)
		return weir_setting_expected(s, what, weir_setting_is_list(s) ? "there are more" : NULL);
	for (unsigned i = 0; i < n; i++) {
		struct weir_setting one = weir_setting_child(s, i);

		ok = read_status(&one, code, i) && ok;
	}
	if (!ok)
		return false;
	memcpy(d->rule.throttle_code, code, sizeof code);
	d->rule.throttle_codes = n;
	return true;
}

void weir_field_read(struct weir_draft *d, enum weir_field_id id, const struct weir_setting *s)
{
	const struct weir_field *f = &weir_field_table[id];
	uint64_t value = 0;
	bool truth, ok = false;

	switch (f->kind) {
	case WEIR_KIND_STATUSES:
		if (read_statuses(d, s))
			weir_field_said(d, id, weir_setting_place(s));
		return;
	case WEIR_KIND_SWITCH:     /* shorthands: section.c */
	case WEIR_KIND_QUOTAS:     /* quota.c */
	case WEIR_KIND_ALLOWANCES: /* allowance.c */
		return;
	case WEIR_KIND_SPREAD:
	case WEIR_KIND_EXEMPT:
		ok = weir_value_bool(s, &truth);
		value = ok && truth;
		break;
	case WEIR_KIND_STRATEGY:
		ok = weir_value_word(s, strategies, &value);
		break;
	case WEIR_KIND_MODE:
		ok = weir_value_word(s, modes, &value);
		break;
	case WEIR_KIND_BREAKER:
		ok = weir_value_word(s, breaker_modes, &value);
		break;
	case WEIR_KIND_PRIORITY:
		ok = weir_value_word(s, priorities, &value);
		break;
	case WEIR_KIND_COUNT:
		ok = weir_value_count(s, f->min, f->max, &value);
		break;
	case WEIR_KIND_PERMILLE:
		ok = weir_value_permille(s, f->min, f->max, &value);
		break;
	case WEIR_KIND_RATE:
		ok = weir_value_rate(s, true, &value);
		break;
	case WEIR_KIND_DURATION:
		ok = weir_value_duration(s, f->min, f->max, &value);
		break;
	case WEIR_KIND_WINDOW:
		ok = weir_value_window(s, f->min, f->max, &value);
		break;
	case WEIR_KIND_WORDS:
		ok = weir_words_read(s, id, &value);
		break;
	}
	if (!ok)
		return;
	weir_field_put(&d->rule, id, value);
	weir_field_said(d, id, weir_setting_place(s));
}

static char *print_statuses(const struct weir_rule *r)
{
	char text[WEIR_THROTTLE_CODES * 8 + 8] = "[";
	size_t length = 1;

	for (uint32_t i = 0; i < r->throttle_codes; i++)
		length += (size_t)snprintf(text + length, sizeof text - length, "%s%u", i > 0 ? ", " : " ", r->throttle_code[i]);
	snprintf(text + length, sizeof text - length, " ]");
	return strdup(text);
}

char *weir_field_print(const struct weir_rule *r, enum weir_field_id id)
{
	char value[WEIR_VALUE_MAX], quoted[WEIR_VALUE_MAX + 2];
	enum weir_kind kind = weir_field_table[id].kind;

	if (kind == WEIR_KIND_STATUSES)
		return print_statuses(r);
	if (kind == WEIR_KIND_QUOTAS)
		return weir_quotas_print(r);
	if (kind == WEIR_KIND_ALLOWANCES)
		return weir_allowances_print(&r->allowances);

	uint64_t n = weir_field_get(r, id);

	if (kind == WEIR_KIND_WORDS)
		return weir_words_print(n, id);
	if (kind == WEIR_KIND_EXEMPT || kind == WEIR_KIND_SWITCH || kind == WEIR_KIND_SPREAD)
		return strdup(n ? "true" : "false");
	if (kind == WEIR_KIND_COUNT)
		snprintf(value, sizeof value, "%llu", (unsigned long long)n);
	else if (kind == WEIR_KIND_PERMILLE)
		weir_value_print_permille(n, value, sizeof value);
	if (kind == WEIR_KIND_COUNT || kind == WEIR_KIND_PERMILLE)
		return strdup(value);
	if (kind == WEIR_KIND_RATE)
		weir_value_print_rate(n, value, sizeof value);
	else if (kind == WEIR_KIND_WINDOW && (n & WEIR_VALUE_CALLS))
		snprintf(value, sizeof value, "%llu calls", (unsigned long long)(n & ~WEIR_VALUE_CALLS));
	else if (kind == WEIR_KIND_DURATION || kind == WEIR_KIND_WINDOW)
		weir_value_print_duration(n, value, sizeof value);
	else
		snprintf(value, sizeof value, "%s",
			 kind == WEIR_KIND_STRATEGY   ? strategies[n & 3]
			 : kind == WEIR_KIND_PRIORITY ? priorities[n & 3]
			 : kind == WEIR_KIND_BREAKER  ? breaker_modes[n == WEIR_BREAKER_SHEDS]
						      : modes[n < 3 ? n : 0]);
	snprintf(quoted, sizeof quoted, "\"%s\"", value);
	return strdup(quoted);
}
