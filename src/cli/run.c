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
	int status = good && setenv("WEIR_CONFIG", absolute, 1) == 0 ? 0 : WEIR_EXIT_OWN_FAILURE;
	free(absolute);
	return status;
}

/* Says that nothing will be limited, which is an error only where the command line asks for a limit. There is no world then, as
 * its directory may be another's. */
static int not_in_force(const struct weir_run_request *r, struct weir_world *w, const char *where, const char *why, int err)
{
	weir_complain("run", "limits are not in force: %s%s%s%s%s", where, where[0] ? ": " : "", why, err ? ": " : "",
		      err ? strerror(err) : "");
	memset(w, 0, sizeof *w);
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

/* What holds is not what the files ask for: which of the reasons it is. */
static void say_what_holds(const struct weir_environment *e, const struct weir_policy_view *view)
{
	bool rejected = view->half->rejected, fresh = weir_policy_fresh(view);
	if (!rejected && fresh && !weir_run_written_lately(view))
		return;
	if (!say_refused(e, view, rejected) && !fresh)
		weir_complain("run", "the agent has not taken up the configuration as this command sees it: the rules before it "
				     "stay in force");
}

/* Makes the world ready: directory, policy, segment. Returns 0 or the exit status of a run that cannot be; a world without a
 * directory where the command shall run without limits. */
static int prepare_world(const struct weir_run_request *r, struct weir_world *w)
{
	struct weir_environment e;
	struct weir_segment s;
	int err = 0;
	const char *why = weir_environment_find_world(&e, w);
	if (why)
		return not_in_force(r, w, "", why, 0); /* names its variable */
	/* What the command does to its environment shall not move it to another world. Root's is where it is without a variable,
	 * and may start programs for others, who have their own. */
	if (e.uid != 0)
		setenv("WEIR_RUNTIME_DIR", w->dir, 1);
	why = weir_world_prepare(w, e.uid, &err);
	if (why)
		return not_in_force(r, w, w->dir, why, err);
	weir_left_out_list(&e, tell_left_out);
	why = weir_launch_await_policy(&e, w);
	if (why)
		weir_log(WEIR_LOG_WARN, "run: %s; going on without a fresh policy", why);
	/* As the library will do it, and after an agent has had the chance to replace what is damaged. */
	if (weir_segment_open(&s, w->segment, true, NULL, &why, &err) != WEIR_SEGMENT_OK)
		return not_in_force(r, w, w->segment, why, err);
	struct weir_policy_view view = weir_policy_in_force(&s);
	if (view.rules)
		say_what_holds(&e, &view);
	weir_segment_close(&s);
	return 0;
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
	int status = r->config ? use_config(r->config) : 0;
	if (!status)
		status = weir_run_set_flags(r);
	if (status)
		return status;
	if (r->verbose)
		weir_environment_log();
	status = prepare_world(r, &w);
	if (status)
		return status;
	weir_run_look_at(r->command[0], library);
	return r->summary || r->announce ? weir_run_attended(r, &w) : weir_run_exec(r->command);
}

static int run(int argc, char **argv)
{
	struct weir_run_request r;
	struct weir_run_mistake m;
	weir_complain_in_passing();
	memset(&m, 0, sizeof m);
	const char *why = weir_run_options(argc, argv, &r, &m);
	if (!why)
		return run_request(&r);
	if (m.help)
		return weir_print_help(&weir_subcommand_run);
	if (m.option == '?' || m.option == ':')
		return weir_option_error(&weir_subcommand_run, m.option, argv);
	if (m.name)
		return weir_usage_error(&weir_subcommand_run, "--%s %s: %s", m.name, m.value, why);
	if (m.option)
		return weir_usage_error(&weir_subcommand_run, "-%c %s: %s", m.option, m.value, why);
	return weir_usage_error(&weir_subcommand_run, "%s", why);
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
