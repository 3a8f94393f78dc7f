/* SPDX-License-Identifier: MIT */
#include "src/cli/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/environment.h"
#include "src/cli/launch.h"
#include "src/cli/library.h"
#include "src/cli/notices.h"
#include "src/cli/sight.h"
#include "src/cli/subcommand.h"
#include "src/cli/usage.h"
#include "weir/gate.h"
#include "weir/log.h"
#include "weir/policy.h"
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

static int set(const char *name, const char *value)
{
	if (setenv(name, value, 1) == 0)
		return 0;
	weir_complain(name, "%s", strerror(errno));
	return WEIR_EXIT_OWN_FAILURE;
}

/* The file that -f names is checked here, where somebody reads the findings; the agent would only log them. */
static int use_config(const char *file)
{
	char chain[WEIR_CHAIN_MAX][WEIR_PATH_MAX];
	char *absolute = realpath(file, NULL);
	if (!absolute) {
		weir_complain(file, "%s", strerror(errno));
		return WEIR_EXIT_OWN_FAILURE;
	}
	if (strlen(absolute) >= WEIR_PATH_MAX) {
		weir_complain(file, "the path is too long");
		free(absolute);
		return WEIR_EXIT_OWN_FAILURE;
	}
	struct weir_policy policy;
	struct weir_findings findings;
	memset(&policy, 0, sizeof policy);
	memset(&findings, 0, sizeof findings);
	weir_format(chain[0], WEIR_PATH_MAX, "%s", absolute);
	bool good = weir_policy_compile(chain, 1, true, &policy, &findings);
	for (size_t i = 0; i < findings.count; i++)
		weir_complain("config", "%s", findings.line[i]);
	if (good)
		weir_policy_free(&policy);
	weir_findings_free(&findings);
	int status = good ? set("WEIR_CONFIG", absolute) : WEIR_EXIT_OWN_FAILURE;
	free(absolute);
	return status;
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

/* Hands the flags to the library. */
static int set_flags(const struct weir_run_request *r)
{
	char text[128];
	int status = 0;
	if (r->config)
		status = use_config(r->config);
	if (!status && (r->rate || r->concurrency)) {
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

/* Says that nothing will be limited, which is an error only where the command line asks for a limit. */
static int not_in_force(const struct weir_run_request *r, const char *where, const char *why, int err)
{
	weir_complain("run", "limits are not in force: %s%s%s%s%s", where, where[0] ? ": " : "", why, err ? ": " : "",
		      err ? strerror(err) : "");
	return r->rate || r->concurrency ? WEIR_EXIT_OWN_FAILURE : 0;
}

static void tell_left_out(const char *text)
{
	weir_complain("config", "%s", text);
}

/* What the files as they are now would ask for is not in force, and whoever wrote them may be looking. Returns false, and says
 * nothing, when nothing is wrong with them. */
static bool say_refused(const struct weir_environment *e, const struct weir_policy_view *view, bool surely)
{
	bool builtin = view->rule_count == 1 && memcmp(view->rules, &weir_rule_builtin, sizeof weir_rule_builtin) == 0;
	char chain[WEIR_CHAIN_MAX][WEIR_PATH_MAX];
	struct weir_policy policy;
	struct weir_findings findings;
	memset(&policy, 0, sizeof policy);
	memset(&findings, 0, sizeof findings);
	size_t count = weir_config_chain(e, chain);
	weir_policy_compile(chain, count, e->config && e->config[0], &policy, &findings);
	bool refused = surely || findings.count > 0;
	if (refused)
		weir_complain("run", "the configuration was refused, the %s: %s",
			      builtin ? "built-in rules are in force" : "rules before it stay in force",
			      findings.count > 0 ? findings.line[0] : "see weir config check");
	weir_policy_free(&policy);
	weir_findings_free(&findings);
	return refused;
}

/* Whether a file has been written so lately that the agent may still wait for it to rest, and has not judged it. */
static bool written_lately(const struct weir_policy_view *view)
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

/* What holds is not what the files ask for: which of the reasons it is. */
static void say_what_holds(const struct weir_environment *e, const struct weir_policy_view *view)
{
	bool rejected = view->half->rejected, fresh = weir_policy_fresh(view);
	if (!rejected && fresh && !written_lately(view))
		return;
	if (!say_refused(e, view, rejected) && !fresh)
		weir_complain("run", "the agent has not taken up the configuration as this command sees it: the rules before it "
				     "stay in force");
}

/* Makes the world ready: directory, policy, segment. Returns 0 or the exit status of a run that cannot be. */
static int prepare_world(const struct weir_run_request *r, struct weir_world *w)
{
	struct weir_environment e;
	struct weir_segment s;
	int err = 0;
	const char *why = weir_environment_find_world(&e, w);
	if (why)
		return not_in_force(r, "", why, 0); /* names its variable */
	/* What the command does to its environment shall not move it to another world. Root's is where it is without a variable,
	 * and may start programs for others, who have their own. */
	if (e.uid != 0)
		setenv("WEIR_RUNTIME_DIR", w->dir, 1);
	why = weir_world_prepare(w, e.uid, &err);
	if (why)
		return not_in_force(r, w->dir, why, err);
	weir_left_out_list(&e, tell_left_out);
	why = weir_launch_await_policy(&e, w);
	if (why)
		weir_log(WEIR_LOG_WARN, "run: %s; going on without a fresh policy", why);
	/* As the library will do it, and after an agent has had the chance to replace what is damaged. */
	if (weir_segment_open(&s, w->segment, true, NULL, &why, &err) != WEIR_SEGMENT_OK)
		return not_in_force(r, w->segment, why, err);
	struct weir_policy_view view = weir_policy_in_force(&s);
	if (view.rules)
		say_what_holds(&e, &view);
	weir_segment_close(&s);
	return 0;
}

/* What cannot be limited is said before it runs. What the library would keep from running gets none of it. */
static void look_at_command(const char *command, const char *library)
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

static int run_request(const struct weir_run_request *r)
{
	char library[WEIR_PATH_MAX];
	struct weir_world w;
	const char *why = weir_library_find(library);
	if (!why)
		why = weir_library_preload(library);
	if (why) {
		weir_complain("libweir.so", "%s", why);
		return WEIR_EXIT_OWN_FAILURE;
	}
	int status = set_flags(r);
	if (status)
		return status;
	if (r->verbose)
		weir_environment_log();
	status = prepare_world(r, &w);
	if (status)
		return status;
	look_at_command(r->command[0], library);
	return r->summary || r->announce ? weir_run_attended(r, &w) : weir_run_exec(r->command);
}

static int run(int argc, char **argv)
{
	struct weir_run_request r;
	memset(&r, 0, sizeof r);
	optind = 0;
	opterr = 0;
	weir_complain_in_passing();
	int o;
	while ((o = getopt_long(argc, argv, "+:r:c:p:H:f:o:nsv", options, NULL)) != -1) {
		if (o == OPTION_HELP)
			return weir_print_help(&weir_subcommand_run);
		if (o == '?' || o == ':')
			return weir_option_error(&weir_subcommand_run, o, argv);
		const char *why = take(&r, o, optarg);
		if (why && o < 256)
			return weir_usage_error(&weir_subcommand_run, "-%c %s: %s", o, optarg, why);
		if (why)
			return weir_usage_error(&weir_subcommand_run, "--%s %s: %s",
						o == OPTION_RETRY     ? "retry"
						: o == OPTION_CLIENT  ? "client"
						: o == OPTION_SUMMARY ? "summary"
								      : "max-wait",
						optarg, why);
	}
	if (optind >= argc)
		return weir_usage_error(&weir_subcommand_run, "no command given");
	r.command = argv + optind;
	r.announce = r.verbose && isatty(STDERR_FILENO);
	return run_request(&r);
}

const struct weir_subcommand weir_subcommand_run = {
	.name = "run",
	.synopsis = "[run] [OPTION...] [--] COMMAND [ARG...]",
	.summary = "Runs a command with its HTTP requests held to the budget of each host",
	.details = "  -r, --rate RATE         at most this many requests per host for this command, such as 5/s or 100/6h,\n"
		   "                          on top of what holds for everybody\n"
		   "  -c, --concurrency N     at most N requests per host in flight for this command\n"
		   "  -p, --priority CLASS    high, normal or low: who goes first where several wait for the same host\n"
		   "  -H, --hosts GLOB        limit these hosts alone\n"
		   "      --client NAME       use this client's share of each host (per_client), not that of the program's name\n"
		   "  -f, --file FILE         use this configuration instead of the usual files\n"
		   "      --max-wait TIME     refuse a request that would have to wait longer, such as 30s\n"
		   "      --retry[=N]         ask again what failed, N attempts in all (5): libcurl alone, see docs/retries.md\n"
		   "  -n, --dry-run           decide and count, delay and refuse nothing\n"
		   "  -s, --summary[=FORM]    afterwards, say on stderr what this run did, as text or json\n"
		   "  -o, --output FILE       write the summary to this file\n"
		   "  -v, --verbose           on a terminal, announce waits of over 2 s and count them down; elsewhere, log on\n"
		   "                          stderr (WEIR_LOG=info)\n"
		   "\n"
		   "The exit status is the command's own; 126: not executable, 127: not found, 125: weir's own failure.\n"
		   "A command that cannot be seen (static, Go, musl, set-user-ID) runs all the same, with a line on stderr:\n"
		   "see weir doctor COMMAND.\n"
		   "Where the state cannot be kept, stderr tells why; the command runs without limits, but not with -r or -c.\n",
	.run = run,
};
