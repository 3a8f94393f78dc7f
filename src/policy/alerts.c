/* SPDX-License-Identifier: MIT */
#include "src/policy/alerts.h"

#include <stdio.h>
#include <string.h>

#include "weir/units.h"

#define S UINT64_C(1000000000)

/* The keys, in the order in which they are shown: the kinds first. */
enum key {
	KEY_MIN_SAMPLES = WEIR_ALERT_KINDS,
	KEY_WINDOW,
	KEY_FOR,
	KEY_HYSTERESIS,
	KEY_COMMAND,
	KEY_COMMAND_TIME,
	KEY_SYSLOG,
};
_Static_assert((int)KEY_COMMAND == WEIR_ALERT_PARAMETERS && (int)KEY_SYSLOG + 1 == WEIR_ALERT_KEYS, "one order");

static const char *const names[] = {
	"latency", "error_rate", "throttled_rate", "breaker_open", "queue",        "quota",  "min_samples",
	"window",  "for",        "hysteresis",     "command",      "command_time", "syslog", NULL,
};

const char *weir_alert_key(unsigned i)
{
	return names[i];
}

/* "10%", "0.5%": per mille. Returns NULL or what is wrong. */
static const char *parse_percent(const char *text, uint64_t *permille)
{
	size_t n = strlen(text), whole = strcspn(text, ".%");
	char digits[8] = "";
	uint64_t units, tenths = 0;
	const char *why;

	if (n < 2 || text[n - 1] != '%' || whole == 0 || whole >= sizeof digits)
		return "it is no percentage";
	memcpy(digits, text, whole);
	why = weir_parse_count(digits, 100, &units);
	if (why)
		return why;
	if (text[whole] == '.') {
		if (n != whole + 3 || text[whole + 1] < '0' || text[whole + 1] > '9')
			return "one decimal, no more";
		tenths = (uint64_t)(text[whole + 1] - '0');
	} else if (n != whole + 1) {
		return "it is no percentage";
	}
	*permille = units * 10 + tenths;
	return *permille <= 1000 ? NULL : "it is more than 100%";
}

static bool is_false(const struct weir_setting *s)
{
	return config_setting_type(s->setting) == CONFIG_TYPE_BOOL && !config_setting_get_bool(s->setting);
}

static bool read_percent(const struct weir_setting *s, uint64_t min, bool or_false, uint64_t *permille)
{
	static const char *const what[] = {"a percentage such as \"10%\"", "a percentage such as \"10%\", or false"};
	const char *text = weir_setting_text(s), *why;
	uint64_t n;

	if (or_false && is_false(s)) {
		*permille = 0;
		return true;
	}
	if (!text)
		return weir_setting_expected(s, what[or_false], NULL);
	why = parse_percent(text, &n);
	if (!why && n < min)
		why = "it is too little";
	if (why)
		return weir_setting_expected(s, what[or_false], why);
	*permille = n;
	return true;
}

static bool read_command(const struct weir_setting *s, char command[WEIR_ALERT_COMMAND_MAX])
{
	const char *text = weir_setting_text(s);

	if (is_false(s))
		text = "";
	if (!text || strlen(text) >= WEIR_ALERT_COMMAND_MAX)
		return weir_setting_expected(s, "a command for the shell, of up to 1023 bytes, or false", NULL);
	memset(command, 0, WEIR_ALERT_COMMAND_MAX);
	memcpy(command, text, strlen(text));
	return true;
}

/* A threshold; false is "not asked for". */
static bool read_limit(const struct weir_setting *s, enum weir_alert_kind kind, uint64_t *limit)
{
	bool on;

	switch (kind) {
	case WEIR_ALERT_LATENCY:
		if (is_false(s)) {
			*limit = 0;
			return true;
		}
		return weir_value_duration(s, 1000000, 7 * 86400 * S, limit);
	case WEIR_ALERT_BREAKER_OPEN:
		if (!weir_value_bool(s, &on))
			return false;
		*limit = on;
		return true;
	case WEIR_ALERT_QUEUE:
		if (is_false(s)) {
			*limit = 0;
			return true;
		}
		if (!weir_setting_number(s))
			return weir_setting_expected(s, "a number of requests such as 100, or false", NULL);
		return weir_value_count(s, 1, 1000000, limit);
	default:
		return read_percent(s, 1, true, limit);
	}
}

static bool read_key(struct weir_draft *d, const struct weir_setting *s, unsigned key)
{
	struct weir_alert_params *p = &d->alerts;
	struct weir_alert_actions *actions = &s->c->alert_actions;
	uint64_t n;
	bool on;

	switch (key) {
	case KEY_MIN_SAMPLES:
		if (!weir_value_count(s, 1, 1000000, &n))
			return false;
		p->min_samples = (uint32_t)n;
		return true;
	case KEY_WINDOW:
		return weir_value_duration(s, S, 3600 * S, &p->window_ns);
	case KEY_FOR:
		return weir_value_duration(s, 0, 86400 * S, &p->for_ns);
	case KEY_HYSTERESIS:
		if (!read_percent(s, 0, false, &n))
			return false;
		p->hysteresis_permille = (uint32_t)n;
		return true;
	case KEY_COMMAND:
		return read_command(s, actions->command);
	case KEY_COMMAND_TIME:
		return weir_value_duration(s, S, 300 * S, &actions->command_time_ns);
	case KEY_SYSLOG:
		if (!weir_value_bool(s, &on))
			return false;
		actions->syslog = on;
		return true;
	default:
		return read_limit(s, (enum weir_alert_kind)key, &p->limit[key]);
	}
}

static void said(struct weir_draft *d, const struct weir_setting *s, unsigned key)
{
	d->alerts_said |= 1U << key;
	d->alerts_from[key] = weir_setting_place(s);
}

void weir_alerts_read(struct weir_draft *d, const struct weir_setting *s, bool top)
{
	const char *known[WEIR_ALERT_KEYS + 1] = {NULL};

	memcpy(known, names, (top ? WEIR_ALERT_KEYS : WEIR_ALERT_PARAMETERS) * sizeof *known);
	if (is_false(s)) {
		memset(d->alerts.limit, 0, sizeof d->alerts.limit);
		for (unsigned key = 0; key < WEIR_ALERT_KINDS; key++)
			said(d, s, key);
		return;
	}
	if (!weir_setting_is_group(s)) {
		weir_setting_expected(s, "false or a group such as { latency = \"5s\"; error_rate = \"10%\"; }", NULL);
		return;
	}
	for (unsigned i = 0; i < weir_setting_children(s); i++) {
		struct weir_setting child = weir_setting_child(s, i);
		unsigned key = 0;

		while (known[key] && strcmp(known[key], weir_setting_name(&child)) != 0)
			key++;
		if (!known[key])
			weir_setting_unknown(&child, known);
		else if (read_key(d, &child, key))
			said(d, &child, key);
	}
}

struct weir_place weir_alert_key_from(const struct weir_draft *d, unsigned i)
{
	return d->alerts_from[i];
}

bool weir_alert_key_said(const struct weir_draft *d, unsigned i)
{
	return (d->alerts_said >> i & 1) != 0;
}

static char *print_percent(uint64_t permille)
{
	char *out;
	int n = permille % 10 == 0 ? asprintf(&out, "\"%u%%\"", (unsigned)(permille / 10))
				   : asprintf(&out, "\"%u.%u%%\"", (unsigned)(permille / 10), (unsigned)(permille % 10));

	return n < 0 ? NULL : out;
}

static char *print_duration(uint64_t ns)
{
	char text[WEIR_VALUE_MAX], *out;

	weir_value_print_duration(ns, text, sizeof text);
	return asprintf(&out, "\"%s\"", text) < 0 ? NULL : out;
}

static char *print_count(uint64_t n)
{
	char *out;

	return asprintf(&out, "%llu", (unsigned long long)n) < 0 ? NULL : out;
}

/* As it is written: what acts on a string is what a reader of the configuration would take for its end. */
static char *print_command(const char *command)
{
	char text[2 * WEIR_ALERT_COMMAND_MAX + 3];
	size_t n = 0;

	text[n++] = '"';
	for (; *command; command++) {
		if (*command == '"' || *command == '\\')
			text[n++] = '\\';
		text[n++] = *command;
	}
	text[n++] = '"';
	text[n] = '\0';
	return strdup(text);
}

char *weir_alert_key_print(const struct weir_draft *d, const struct weir_alert_actions *actions, unsigned i)
{
	const struct weir_alert_params *p = &d->alerts;

	switch (i) {
	case WEIR_ALERT_BREAKER_OPEN:
		return strdup(p->limit[i] ? "true" : "false");
	case KEY_MIN_SAMPLES:
		return print_count(p->min_samples);
	case KEY_WINDOW:
		return print_duration(p->window_ns);
	case KEY_FOR:
		return print_duration(p->for_ns);
	case KEY_HYSTERESIS:
		return print_percent(p->hysteresis_permille);
	case KEY_COMMAND:
		return actions->command[0] ? print_command(actions->command) : strdup("false");
	case KEY_COMMAND_TIME:
		return print_duration(actions->command_time_ns);
	case KEY_SYSLOG:
		return strdup(actions->syslog ? "true" : "false");
	default:
		if (p->limit[i] == 0)
			return strdup("false");
		return i == WEIR_ALERT_LATENCY ? print_duration(p->limit[i])
		       : i == WEIR_ALERT_QUEUE ? print_count(p->limit[i])
					       : print_percent(p->limit[i]);
	}
}
