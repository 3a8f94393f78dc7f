/* SPDX-License-Identifier: MIT */
/* What the kinds are called, what they usually fire at, and how their values are written. */
#include "weir/monitor.h"

#include <string.h>

#include "weir/log.h"
#include "weir/units.h"

#define S UINT64_C(1000000000)

static const char *const names[WEIR_ALERT_KINDS] = {
	[WEIR_ALERT_LATENCY] = "latency",
	[WEIR_ALERT_ERROR_RATE] = "error_rate",
	[WEIR_ALERT_THROTTLED_RATE] = "throttled_rate",
	[WEIR_ALERT_BREAKER_OPEN] = "breaker_open",
	[WEIR_ALERT_QUEUE] = "queue",
	[WEIR_ALERT_QUOTA] = "quota",
};

const struct weir_alert_params weir_alert_builtin = {
	.limit = {[WEIR_ALERT_LATENCY] = 5 * S,
		  [WEIR_ALERT_ERROR_RATE] = 100,
		  [WEIR_ALERT_THROTTLED_RATE] = 100,
		  [WEIR_ALERT_BREAKER_OPEN] = 1,
		  [WEIR_ALERT_QUOTA] = 900},
	.min_samples = 20,
	.hysteresis_permille = 100,
	.window_ns = 60 * S,
	.for_ns = 60 * S,
};

const struct weir_alert_actions weir_alert_no_actions = {.command_time_ns = 10 * S};

const char *weir_alert_name(enum weir_alert_kind kind)
{
	return kind < WEIR_ALERT_KINDS ? names[kind] : "?";
}

enum weir_alert_kind weir_alert_named(const char *name)
{
	unsigned kind = 0;

	while (kind < WEIR_ALERT_KINDS && strcmp(names[kind], name) != 0)
		kind++;
	return (enum weir_alert_kind)kind;
}

const char *weir_alert_print(enum weir_alert_kind kind, uint64_t value, char out[WEIR_ALERT_VALUE_MAX])
{
	unsigned long long n = value;

	switch (kind) {
	case WEIR_ALERT_LATENCY:
		/* A hundredth of a second is more than anybody reads. */
		weir_print_duration(value >= S ? value - value % (S / 100) : value - value % (S / 1000), out,
				    WEIR_ALERT_VALUE_MAX);
		break;
	case WEIR_ALERT_BREAKER_OPEN:
		weir_format(out, WEIR_ALERT_VALUE_MAX, "%s", value ? "open" : "closed");
		break;
	case WEIR_ALERT_QUEUE:
		weir_format(out, WEIR_ALERT_VALUE_MAX, "%llu", n);
		break;
	default:
		if (value % 10 == 0)
			weir_format(out, WEIR_ALERT_VALUE_MAX, "%llu%%", n / 10);
		else
			weir_format(out, WEIR_ALERT_VALUE_MAX, "%llu.%llu%%", n / 10, n % 10);
		break;
	}
	return out;
}

/* What stands before and behind a value; NULL where the value says nothing by itself. */
static const char *const said[WEIR_ALERT_KINDS][2] = {
	[WEIR_ALERT_LATENCY] = {"mean latency ", ""},
	[WEIR_ALERT_ERROR_RATE] = {"", " of requests failed"},
	[WEIR_ALERT_THROTTLED_RATE] = {"", " of requests were throttled"},
	[WEIR_ALERT_QUEUE] = {"", " requests wait"},
	[WEIR_ALERT_QUOTA] = {"", " of a quota is used"},
};

const char *weir_alert_text(const struct weir_alert *a, char out[WEIR_ALERT_TEXT_MAX])
{
	char value[WEIR_ALERT_VALUE_MAX], limit[WEIR_ALERT_VALUE_MAX], worst[WEIR_ALERT_VALUE_MAX];
	bool over = a->state == WEIR_ALERT_QUIET;
	size_t n = weir_format(out, WEIR_ALERT_TEXT_MAX, "%s", over ? "over: " : "");

	if (over && a->gone) {
		weir_format(out + n, WEIR_ALERT_TEXT_MAX - n, "nothing is known of the host any more");
		return out;
	}
	if (a->kind >= WEIR_ALERT_KINDS || said[a->kind][0] == NULL) {
		weir_format(out + n, WEIR_ALERT_TEXT_MAX - n, "%s",
			    over ? "the breaker lets requests through" : "the breaker keeps requests away");
		return out;
	}
	weir_alert_print(a->kind, a->value, value);
	weir_alert_print(a->kind, a->limit, limit);
	weir_alert_print(a->kind, a->worst, worst);
	n += weir_format(out + n, WEIR_ALERT_TEXT_MAX - n, "%s%s%s", said[a->kind][0], value, said[a->kind][1]);
	if (a->limit == 0)
		weir_format(out + n, WEIR_ALERT_TEXT_MAX - n, " (no threshold any more)");
	else if (over && a->worst != 0)
		weir_format(out + n, WEIR_ALERT_TEXT_MAX - n, " (threshold %s, at worst %s)", limit, worst);
	else
		weir_format(out + n, WEIR_ALERT_TEXT_MAX - n, " (threshold %s)", limit);
	return out;
}

const char *weir_monitor_health_name(enum weir_monitor_health h)
{
	static const char *const words[] = {"healthy", "degraded", "unhealthy"};

	return words[h];
}
