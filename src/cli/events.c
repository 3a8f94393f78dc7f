/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "src/agent/host_name.h"
#include "src/cli/client.h"
#include "src/cli/subcommand.h"
#include "src/cli/usage.h"
#include "src/stats/render.h"
#include "src/stats/snapshot.h"
#include "src/stats/spelling.h"
#include "weir/units.h"

#define LOOK_EVERY_NS 500000000L
#define HOST_COLUMNS  28
#define LAST_MAX      65536 /* no ring is longer */

struct asked {
	const char *host; /* NULL: everything */
	bool follow, json;
	uint64_t last; /* so many of the events that there are; UINT64_MAX: all */
};

/* Whether the event is about the host: its name, or that with any port. */
static bool is_about(const json_t *event, const char *host)
{
	char key[WEIR_SPELLING_MAX];
	const char *of = json_string_value(json_object_get(event, "host"));
	if (!host)
		return true;
	if (!of || strlen(of) >= sizeof key)
		return false;
	memcpy(key, of, strlen(of) + 1);
	return weir_unspell(key) && weir_key_is(key, host);
}

/* "2026-11-27T14:40:01Z" as this place's time: "2026-11-27 15:40:01". What is no time is shown as it is. */
static void print_time(const char *at)
{
	struct tm tm;
	char text[32];
	memset(&tm, 0, sizeof tm);
	const char *end = strptime(at, "%Y-%m-%dT%H:%M:%SZ", &tm);
	time_t t = end && *end == '\0' ? timegm(&tm) : -1;
	if (t != -1 && localtime_r(&t, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm) > 0)
		fputs(text, stdout);
	else
		weir_put_printable(at, stdout);
}

static void print_text(const json_t *event)
{
	const char *at = json_string_value(json_object_get(event, "at")),
		   *host = json_string_value(json_object_get(event, "host"));
	const char *text = json_string_value(json_object_get(event, "text")),
		   *name = json_string_value(json_object_get(event, "event"));
	print_time(at ? at : "?");
	printf("  %-*s  ", HOST_COLUMNS, host ? host : "-");
	/* An agent of an older version has no text for it. */
	weir_put_printable(text ? text : name ? name : "?", stdout);
	putchar('\n');
}

static void print_event(const json_t *event, bool json)
{
	char *text = json ? json_dumps(event, WEIR_JSON_FLAGS) : NULL;
	if (text)
		puts(text);
	else if (!json)
		print_text(event);
	free(text);
}

/* The events from *next on, as the agent has them; sets *next behind the last. Returns an array to be released, or NULL and
 * *status. */
static json_t *fetch(uint64_t *next, int *status)
{
	char path[64];
	struct weir_reply reply;
	snprintf(path, sizeof path, "/v1/events?since=%" PRIu64, *next);
	struct weir_question q = {.method = "GET", .path = path};
	*status = WEIR_EXIT_FAILED;
	if (!weir_client_ask(&q, &reply))
		return NULL;
	*status = weir_reply_failed("events", &reply);
	json_t *document = *status == 0 ? json_loadb(reply.body, reply.length, 0, NULL) : NULL;
	json_t *list = json_incref(json_object_get(document, "events"));
	json_t *behind = json_object_get(document, "next");
	if (json_is_integer(behind) && json_integer_value(behind) >= 0)
		*next = (uint64_t)json_integer_value(behind);
	json_decref(document);
	weir_reply_free(&reply);
	if (*status == 0 && !json_is_array(list)) {
		weir_complain("events", "the agent's answer is no list of events");
		*status = WEIR_EXIT_FAILED;
	}
	return *status == 0 ? list : NULL;
}

/* All there are now that are asked for, as a list; NULL and *status when they cannot be had. The agent gives them in parts. */
static json_t *fetch_all(const struct asked *a, uint64_t *next, int *status)
{
	json_t *all = json_array(), *part, *event;
	uint64_t before;
	size_t i, n;
	do {
		before = *next;
		part = fetch(next, status);
		n = json_array_size(part);
		json_array_foreach(part, i, event)
		{
			if (is_about(event, a->host))
				json_array_append(all, event);
		}
		json_decref(part);
	} while (part && n > 0 && *next != before);
	if (!part) {
		json_decref(all);
		return NULL;
	}
	return all;
}

/* `end`: the signals that end this program while it asks, which may take long, and not while it prints; NULL: none does. */
static int show(const struct asked *a, uint64_t last, uint64_t *next, const sigset_t *end)
{
	int status;
	if (end)
		sigprocmask(SIG_UNBLOCK, end, NULL);
	json_t *all = fetch_all(a, next, &status);
	if (end)
		sigprocmask(SIG_BLOCK, end, NULL);
	size_t n = json_array_size(all);
	for (size_t i = n > last ? n - last : 0; i < n; i++)
		print_event(json_array_get(all, i), a->json);
	json_decref(all);
	if (status == 0 && fflush(stdout) != 0)
		status = WEIR_EXIT_FAILED;
	return status;
}

/* Nothing is printed and not yet written then. */
static void leave(int signal)
{
	(void)signal;
	_exit(WEIR_EXIT_OK);
}

/* Until interrupted, which is how it is meant to end: status 0. */
static int follow(const struct asked *a, uint64_t *next)
{
	const struct timespec rest = {0, LOOK_EVERY_NS};
	sigset_t end;
	sigemptyset(&end);
	sigaddset(&end, SIGINT);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	for (int i = SIGINT; i != 0; i = i == SIGINT ? SIGTERM : 0)
		if (signal(i, leave) == SIG_IGN)
			signal(i, SIG_IGN);
	for (uint64_t last = a->last;; last = UINT64_MAX) {
		int status = show(a, last, next, &end);
		if (status != 0)
			return status;
		if (sigtimedwait(&end, NULL, &rest) > 0)
			return WEIR_EXIT_OK;
	}
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {{"follow", no_argument, NULL, 'f'},
						{"json", no_argument, NULL, 'j'},
						{"lines", required_argument, NULL, 'n'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	struct asked a = {.last = UINT64_MAX};
	char host[WEIR_KEY_MAX];
	uint64_t next = 0;
	bool counted = false;
	optind = 0;
	opterr = 0;
	for (int o; (o = getopt_long(argc, argv, ":fn:h", options, NULL)) != -1;) {
		const char *why = NULL;
		switch (o) {
		case 'f':
			a.follow = true;
			break;
		case 'j':
			a.json = true;
			break;
		case 'n':
			why = weir_parse_count(optarg, LAST_MAX, &a.last);
			if (why)
				return weir_usage_error(&weir_subcommand_events, "-n %s: %s", optarg, why);
			counted = true;
			break;
		case 'h':
			return weir_print_help(&weir_subcommand_events);
		default:
			return weir_option_error(&weir_subcommand_events, o, argv);
		}
	}
	if (argc - optind > 1)
		return weir_usage_error(&weir_subcommand_events, "unexpected '%s'", argv[optind + 1]);
	const char *why = optind < argc ? weir_host_name(argv[optind], host) : NULL;
	if (why)
		return weir_usage_error(&weir_subcommand_events, "%s: %s", argv[optind], why);
	a.host = optind < argc ? host : NULL;
	if (a.follow && !counted)
		a.last = 10;
	return a.follow ? follow(&a, &next) : show(&a, a.last, &next, NULL);
}

const struct weir_subcommand weir_subcommand_events = {
	.name = "events",
	.synopsis = "events [HOST] [-f] [-n N] [--json]",
	.summary = "Shows what changed, when and why: breakers, holds, rates, configuration",
	.details = "HOST is host:port, a host (all its ports), or a group's name.\n"
		   "\n"
		   "  -f, --follow            go on with what happens, until Ctrl-C (exit status 0), after the last ten\n"
		   "  -n, --lines N           the last N of those that there are\n"
		   "      --json              one JSON object a line, as GET /v1/events has them\n"
		   "\n"
		   "The last thousand or so are kept, for all hosts together.\n",
	.run = run,
};
