/* SPDX-License-Identifier: MIT */
/* A monitoring plug-in: one line, with performance data, and the exit status says the rest (monitoring-plugins.org, "Development
 * Guidelines"). */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/client.h"
#include "src/cli/subcommand.h"
#include "src/cli/usage.h"
#include "weir/units.h"

enum severity { OK, WARNING, CRITICAL, UNKNOWN };
static const char *const severities[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};

/* What can be compared, as it stands in a host of GET /v1/stats. The alerts' own names. */
enum metric { LATENCY, ERROR_RATE, THROTTLED_RATE, QUEUE, QUOTA, METRICS };
static const struct {
	const char *name, *unit; /* of performance data: s seconds, % per cent, "" a number */
	double scale;            /* from the document to the unit */
} metrics[METRICS] = {
	[LATENCY] = {"latency", "s", 1}, [ERROR_RATE] = {"error_rate", "%", 100}, [THROTTLED_RATE] = {"throttled_rate", "%", 100},
	[QUEUE] = {"queue", "", 1},      [QUOTA] = {"quota", "%", 100},
};

struct limits {
	double at[METRICS]; /* in the unit; negative: none */
};

struct worst {
	double value[METRICS]; /* negative: not known */
	char host[METRICS][300];
};

/* "latency=2s,error_rate=5%" */
static const char *take_limits(struct limits *limits, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "=,"), length = strcspn(text, ",");
		char value[32], *end;
		unsigned m = 0;
		while (m < METRICS && (strlen(metrics[m].name) != n || strncmp(metrics[m].name, text, n) != 0))
			m++;
		if (m == METRICS || text[n] != '=')
			return "expected latency=, error_rate=, throttled_rate=, queue= or quota=";
		if (length - n - 1 >= sizeof value || length == n + 1)
			return "a value is missing or too long";
		memcpy(value, text + n + 1, length - n - 1);
		value[length - n - 1] = '\0';
		uint64_t ns;
		if (m == LATENCY) {
			const char *why = weir_parse_duration(value, &ns);
			if (why)
				return why;
			limits->at[m] = (double)ns / 1e9;
		} else {
			limits->at[m] = strtod(value, &end);
			if (end == value || !(limits->at[m] >= 0) || limits->at[m] > 1e9 || strcmp(end, metrics[m].unit) != 0)
				return metrics[m].unit[0] ? "expected a percentage such as 5%" : "expected a number";
		}
		text += length + (text[length] == ',');
	}
	return NULL;
}

/* The share of the quota that is nearest to its end; negative without one. */
static double quota_of(const json_t *host)
{
	double most = -1;
	size_t i;
	const json_t *q;
	json_array_foreach(json_object_get(host, "quotas"), i, q)
	{
		double limit = json_number_value(json_object_get(q, "limit")),
		       used = json_number_value(json_object_get(q, "used"));
		if (limit > 0 && used / limit > most)
			most = used / limit;
	}
	return most;
}

static double number(const json_t *o, const char *name)
{
	const json_t *n = json_object_get(o, name);
	return json_is_number(n) ? json_number_value(n) : -1;
}

static double value_of(const json_t *host, unsigned m)
{
	const json_t *window = json_object_get(host, "monitor");
	switch (m) {
	case LATENCY:
		return number(json_object_get(window, "latency"), "mean");
	case QUEUE:
		return number(host, "waiting");
	case QUOTA:
		return quota_of(host);
	default:
		return number(window, metrics[m].name);
	}
}

static void find_worst(const json_t *hosts, struct worst *w)
{
	size_t i;
	const json_t *host;
	for (unsigned m = 0; m < METRICS; m++)
		w->value[m] = -1;
	json_array_foreach(hosts, i, host)
	{
		const char *name = json_string_value(json_object_get(host, "host"));
		for (unsigned m = 0; m < METRICS; m++) {
			double v = value_of(host, m);
			if (v < 0 || v * metrics[m].scale <= w->value[m])
				continue;
			w->value[m] = v * metrics[m].scale;
			snprintf(w->host[m], sizeof w->host[m], "%s", name ? name : "?");
		}
	}
}

/* What a plug-in may not print: a second line, and the bar behind which performance data begin. */
static void put_plain(const char *text)
{
	char *copy = strdup(text);
	for (char *c = copy; c && *c; c++)
		if (*c == '|' || *c == '\n')
			*c = '/';
	weir_put_printable(copy ? copy : "?", stdout);
	free(copy);
}

static enum severity compare(const struct worst *w, const struct limits *warning, const struct limits *critical, unsigned *which)
{
	enum severity found = OK;
	for (unsigned m = 0; m < METRICS; m++) {
		enum severity s = critical->at[m] >= 0 && w->value[m] >= critical->at[m] ? CRITICAL
				  : warning->at[m] >= 0 && w->value[m] >= warning->at[m] ? WARNING
											 : OK;
		if (s <= found)
			continue;
		found = s;
		*which = m;
	}
	return found;
}

/* Whether the alert is the host's own, or of a narrowed rule at it: "host:port#/path". */
static bool is_of(const char *alert, const char *host)
{
	size_t n = strlen(host);
	return strncmp(alert, host, n) == 0 && (alert[n] == '\0' || alert[n] == '#');
}

/* The alerts that fire and are not silent, of the hosts that are asked about; the worst of them first. */
static enum severity judge_alerts(const json_t *document, const json_t *hosts, bool all, char *text, size_t size)
{
	enum severity found = OK;
	size_t i, k, count = 0;
	const json_t *alert, *host;
	json_array_foreach(json_object_get(document, "alerts"), i, alert)
	{
		const char *of = json_string_value(json_object_get(alert, "host")),
			   *kind = json_string_value(json_object_get(alert, "alert")),
			   *state = json_string_value(json_object_get(alert, "state")),
			   *said = json_string_value(json_object_get(alert, "text"));
		bool ours = all;
		json_array_foreach(hosts, k, host)
		{
			const char *name = json_string_value(json_object_get(host, "host"));
			ours = ours || (of && name && is_of(of, name));
		}
		if (!ours || !of || !kind || !said || !state || strcmp(state, "firing") != 0 ||
		    json_is_true(json_object_get(alert, "silenced")))
			continue;
		bool bad = strcmp(kind, "breaker_open") == 0 || strcmp(kind, "error_rate") == 0;
		enum severity s = bad ? CRITICAL : WARNING;
		if (s > found) {
			found = s;
			snprintf(text, size, "%s: %s", of, said);
		}
		count++;
	}
	size_t n = strlen(text);
	if (count > 1)
		snprintf(text + n, size - n, " (and %zu more)", count - 1);
	return found;
}

static void put_performance(const json_t *document, size_t hosts, const struct worst *w, const struct limits *warning,
			    const struct limits *critical)
{
	char a[32], b[32];
	printf(" | 'hosts'=%zu;;;0 'requests'=%.0fc 'waiting'=%.0f;;;0", hosts,
	       json_number_value(json_object_get(json_object_get(document, "totals"), "requests")),
	       json_number_value(json_object_get(json_object_get(document, "totals"), "waiting")));
	for (unsigned m = 0; m < METRICS; m++) {
		if (w->value[m] < 0)
			continue;
		snprintf(a, sizeof a, "%g", warning->at[m]);
		snprintf(b, sizeof b, "%g", critical->at[m]);
		printf(" '%s'=%.6g%s;%s;%s;0%s", metrics[m].name, w->value[m], metrics[m].unit, warning->at[m] >= 0 ? a : "",
		       critical->at[m] >= 0 ? b : "", metrics[m].unit[0] == '%' ? ";100" : "");
	}
	putchar('\n');
}

static int finish(enum severity s, const char *text)
{
	printf("WEIR %s - ", severities[s]);
	put_plain(text);
	return (int)s;
}

static int check(const json_t *document, bool all, const struct limits *warning, const struct limits *critical)
{
	const json_t *hosts = json_object_get(document, "hosts");
	size_t count = json_array_size(hosts);
	struct worst worst;
	char text[1024] = "", value[64];
	unsigned which = METRICS;
	memset(&worst, 0, sizeof worst);
	find_worst(hosts, &worst);
	enum severity alerts = judge_alerts(document, hosts, all, text, sizeof text);
	enum severity compared = compare(&worst, warning, critical, &which), s = compared > alerts ? compared : alerts;
	if (s == OK && json_is_true(json_object_get(json_object_get(document, "policy"), "rejected"))) {
		s = WARNING;
		snprintf(text, sizeof text, "the configuration as it is now was refused");
	} else if (s == OK && !json_object_get(document, "alerts")) {
		s = UNKNOWN;
		snprintf(text, sizeof text, "no agent is running: without one nothing is watched");
	} else if (s == OK && count == 0) {
		snprintf(text, sizeof text, "nothing was requested yet");
	} else if (s == OK) {
		snprintf(text, sizeof text, "%zu host%s, no alert fires", count, count == 1 ? "" : "s");
	}
	if (compared != OK && compared >= alerts) {
		snprintf(value, sizeof value, "%.4g%s", worst.value[which], metrics[which].unit);
		snprintf(text, sizeof text, "%s: %s is %s (threshold %g%s)", worst.host[which], metrics[which].name, value,
			 (compared == CRITICAL ? critical : warning)->at[which], metrics[which].unit);
	}
	int status = finish(s, text);
	put_performance(document, count, &worst, warning, critical);
	return status;
}

static int ask(const char *host, const struct limits *warning, const struct limits *critical)
{
	char *path = host ? weir_client_path("/v1/stats", "host", host) : strdup("/v1/stats");
	struct weir_question q = {.method = "GET", .path = path};
	struct weir_reply reply;
	int status = UNKNOWN;
	if (!path || !weir_client_ask(&q, &reply)) {
		finish(UNKNOWN, "the agent cannot be asked");
		putchar('\n');
		free(path);
		return UNKNOWN;
	}
	json_t *document = reply.body ? json_loadb(reply.body, reply.length, 0, NULL) : NULL;
	const char *error = json_string_value(json_object_get(document, "error"));
	if (reply.status == 200 && document) {
		status = check(document, host == NULL, warning, critical);
	} else {
		finish(UNKNOWN, error ? error : "the agent's answer cannot be read");
		putchar('\n');
	}
	json_decref(document);
	weir_reply_free(&reply);
	free(path);
	return status;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {{"warning", required_argument, NULL, 'w'},
						{"critical", required_argument, NULL, 'c'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	struct limits warning, critical;
	for (unsigned m = 0; m < METRICS; m++)
		warning.at[m] = critical.at[m] = -1;
	optind = 0;
	opterr = 0;
	/* A plug-in that cannot be used says UNKNOWN, whatever others say. */
	for (int o; (o = getopt_long(argc, argv, ":w:c:h", options, NULL)) != -1;) {
		if (o == 'h')
			return weir_print_help(&weir_subcommand_check);
		if (o != 'w' && o != 'c') {
			weir_option_error(&weir_subcommand_check, o, argv);
			return UNKNOWN;
		}
		const char *why = take_limits(o == 'w' ? &warning : &critical, optarg);
		if (why) {
			weir_usage_error(&weir_subcommand_check, "-%c %s: %s", o, optarg, why);
			return UNKNOWN;
		}
	}
	if (argc - optind > 1) {
		weir_usage_error(&weir_subcommand_check, "unexpected '%s'", argv[optind + 1]);
		return UNKNOWN;
	}
	return ask(optind < argc ? argv[optind] : NULL, &warning, &critical);
}

const struct weir_subcommand weir_subcommand_check = {
	.name = "check",
	.synopsis = "check [HOST] [-w LIMITS] [-c LIMITS]",
	.summary = "A plug-in for Nagios, Icinga and their kin: one line, performance data, exit status 0 to 3",
	.details = "HOST is host:port, a host (all its ports), or a group's name; without it all hosts.\n"
		   "\n"
		   "  -w, --warning LIMITS    such as latency=2s,error_rate=5%: a host at one of them is a warning\n"
		   "  -c, --critical LIMITS   the same, critical\n"
		   "\n"
		   "LIMITS are of latency, error_rate, throttled_rate, queue and quota, with a comma between them; the values\n"
		   "are those of the configuration's alerts.window. Besides, an alert that fires and is not silent is critical\n"
		   "(breaker_open, error_rate) or a warning (the others),\n"
		   "and so is a configuration that was refused.\n"
		   "\n"
		   "The exit status is 0 when all is well, 1 for a warning, 2 when it is critical, 3 when it cannot be told.\n",
	.run = run,
};
