/* SPDX-License-Identifier: MIT */
/* What `weir run` is asked for, and what of it the library is told: without any part that needs more than the C library. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/library.h"
#include "src/cli/run.h"
#include "src/cli/sight.h"
#include "src/cli/subcommand.h"
#include "src/cli/usage.h"
#include "weir/gate.h"
#include "weir/log.h"
#include "weir/segment.h"
#include "weir/units.h"

/* More requests in flight than this is no limit. */
#define CONCURRENCY_MAX 1000000
#define LATELY_NS       UINT64_C(5000000000)

enum { OPTION_MAX_WAIT = 256, OPTION_RETRY, OPTION_SUMMARY, OPTION_HELP, OPTION_CLIENT };

static const struct option options[] = {
	{"rate", required_argument, NULL, 'r'},
	{"concurrency", required_argument, NULL, 'c'},
	{"priority", required_argument, NULL, 'p'},
	{"hosts", required_argument, NULL, 'H'},
	{"file", required_argument, NULL, 'f'},
	{"max-wait", required_argument, NULL, OPTION_MAX_WAIT},
	{"retry", optional_argument, NULL, OPTION_RETRY},
	{"client", required_argument, NULL, OPTION_CLIENT},
	{"dry-run", no_argument, NULL, 'n'},
	{"summary", optional_argument, NULL, OPTION_SUMMARY},
	{"output", required_argument, NULL, 'o'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, OPTION_HELP},
	{NULL, 0, NULL, 0},
};

static bool is_client(const char *name)
{
	size_t n = strspn(name, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-");

	return n > 0 && name[n] == '\0' && n < WEIR_CLIENT_MAX;
}

/* Takes one option. Returns NULL or what is wrong with its value. */
static const char *take(struct weir_run_request *r, int option, const char *value)
{
	const char *why = NULL;
	unsigned class;
	switch (option) {
	case 'r':
		return weir_parse_rate(value, &r->rate, NULL);
	case 'c':
		why = weir_parse_count(value, CONCURRENCY_MAX, &r->concurrency);
		return why ? why : r->concurrency == 0 ? "expected 1 or more" : NULL;
	case 'p':
		r->priority = value;
		return weir_class_parse(value, &class) ? NULL : "expected high, normal or low";
	case 'H':
		r->hosts = value;
		return value[0] ? NULL : "expected a host name or a glob";
	case 'f':
		r->config = value;
		return value[0] ? NULL : "expected a file";
	case OPTION_CLIENT:
		r->client = value;
		return is_client(value) ? NULL : "expected a name of at most 39 letters, digits, '.', '_' and '-'";
	case OPTION_MAX_WAIT:
		r->max_wait_given = true;
		return weir_parse_duration(value, &r->max_wait_ns);
	case OPTION_RETRY:
		r->attempts = WEIR_RETRY_ATTEMPTS_DEFAULT;
		why = value ? weir_parse_count(value, WEIR_RETRY_ATTEMPTS_MAX, &r->attempts) : NULL;
		return why ? why : r->attempts == 0 ? "expected 1 or more" : NULL;
	case 'n':
		r->dry_run = true;
		return NULL;
	case 's':
	case OPTION_SUMMARY:
		r->summary = true;
		r->summary_json = value && strcmp(value, "json") == 0;
		return !value || r->summary_json || strcmp(value, "text") == 0 ? NULL : "expected text or json";
	case 'o':
		r->summary = true;
		r->summary_file = value;
		return value[0] ? NULL : "expected a file";
	default:
		r->verbose = true;
		return NULL;
	}
}

const char *weir_run_options(int argc, char **argv, struct weir_run_request *r, struct weir_run_mistake *mistake)
{
	int o;
	memset(r, 0, sizeof *r);
	optind = 0;
	opterr = 0;
	while ((o = getopt_long(argc, argv, "+:r:c:p:H:f:o:nsv", options, NULL)) != -1) {
		mistake->option = o;
		mistake->help = o == OPTION_HELP;
		if (o == OPTION_HELP || o == '?' || o == ':')
			return "it is no request";
		const char *why = take(r, o, optarg);
		if (why) {
			mistake->value = optarg;
			mistake->name = o == OPTION_RETRY     ? "retry"
					: o == OPTION_CLIENT  ? "client"
					: o == OPTION_SUMMARY ? "summary"
					: o >= 256            ? "max-wait"
							      : NULL;
			return why;
		}
	}
	mistake->option = 0;
	if (optind >= argc)
		return "no command given";
	r->command = argv + optind;
	r->announce = r->verbose && isatty(STDERR_FILENO);
	return NULL;
}

static int set(const char *name, const char *value)
{
	if (setenv(name, value, 1) == 0)
		return 0;
	weir_complain(name, "%s", strerror(errno));
	return WEIR_EXIT_OWN_FAILURE;
}

/* -v sets the level and leaves a file that WEIR_LOG names. A terminal is told of long waits alone. */
static int set_verbose(const struct weir_run_request *r)
{
	char spec[WEIR_PATH_MAX];
	const char *given = getenv("WEIR_LOG");
	const char *file = given ? strchr(given, ':') : NULL;
	if (r->announce && !file)
		return 0;
	weir_format(spec, sizeof spec, "info%s", file ? file : "");
	return set("WEIR_LOG", spec);
}

int weir_run_set_flags(const struct weir_run_request *r)
{
	char text[128];
	int status = 0;
	if (r->rate || r->concurrency) {
		struct weir_owner self;
		weir_owner_self(&self);
		weir_format(text, sizeof text, "%u.%llu,%llu,1,%llu", (unsigned)getpid(), (unsigned long long)self.start,
			    (unsigned long long)r->rate, (unsigned long long)r->concurrency);
		status = set("WEIR_RUN", text);
	}
	if (!status && r->max_wait_given) {
		weir_format(text, sizeof text, "%lluns", (unsigned long long)r->max_wait_ns);
		status = set("WEIR_MAX_WAIT", text);
	}
	if (!status && r->priority)
		status = set("WEIR_PRIORITY", r->priority);
	if (!status && r->client)
		status = set("WEIR_CLIENT", r->client);
	if (!status && r->hosts)
		status = set("WEIR_HOSTS", r->hosts);
	if (!status && r->attempts) {
		weir_format(text, sizeof text, "%llu", (unsigned long long)r->attempts);
		status = set("WEIR_RETRY", text);
	}
	if (!status && r->dry_run)
		status = set("WEIR_DRY_RUN", "1");
	if (!status && r->verbose)
		status = set_verbose(r);
	return status;
}

int weir_run_exec(char **command)
{
	execvp(command[0], command);
	int err = errno;
	if (err == ENOENT || err == ENOTDIR) {
		weir_complain(command[0], err == ENOENT && strchr(command[0], '/') ? "no such file" : "command not found");
		return WEIR_EXIT_NOT_FOUND;
	}
	weir_complain(command[0], "%s", strerror(err));
	return err == E2BIG || err == ENOMEM || err == EAGAIN ? WEIR_EXIT_OWN_FAILURE : WEIR_EXIT_NOT_EXECUTABLE;
}

bool weir_run_written_lately(const struct weir_policy_view *view)
{
	uint64_t wall_ns = weir_wall_ns();
	for (uint32_t i = 0; i < view->half->source_count && i < WEIR_SOURCES; i++) {
		struct weir_source now;
		if (view->half->source[i].path[0] != '\0' && weir_source_stat(&now, view->half->source[i].path) &&
		    now.ctime_ns + LATELY_NS > wall_ns)
			return true;
	}
	return false;
}

void weir_run_look_at(const char *command, const char *library)
{
	struct weir_executable x;
	char path[WEIR_PATH_MAX];
	const char *why;
	enum weir_sight sight = weir_sight_of(command, &x, path, &why);
	if (sight == WEIR_SIGHT_UNSEEN)
		weir_complain("run", "%s: its requests pass unlimited: %s", command, why);
	if (sight != WEIR_SIGHT_UNFIT)
		return;
	weir_complain("run", "%s: its requests pass unlimited, it is run without weir's library: %s", command, why);
	weir_library_withdraw(library);
}
