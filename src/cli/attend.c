/* SPDX-License-Identifier: MIT */
/* `weir run` as the command's parent: to tell of its long waits meanwhile, and afterwards what it did. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "src/cli/run.h"
#include "src/cli/subcommand.h"
#include "src/cli/usage.h"
#include "src/cli/waits.h"
#include "src/stats/run_summary.h"
#include "weir/gate.h"
#include "weir/log.h"

#define VARIABLE      "WEIR_SUMMARY"
#define LOOK_EVERY_NS 500000000L

/* What is passed on to the command. SIGTSTP, SIGTTIN and SIGTTOU are not: they stop this process as well, as they should. */
static const int forwarded[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM};

struct attended {
	const struct weir_run_request *request;
	struct weir_summary *summary; /* NULL: not to be had */
	struct weir_summary *outer;   /* of the run that this one is part of; NULL: none */
	char path[WEIR_PATH_MAX];
	char variable[sizeof VARIABLE + WEIR_PATH_MAX];
	int lock; /* descriptor of the summary */
	FILE *out;
	uint64_t begun_ns;
	bool announces;
	struct weir_waits waits;
};

/* What cannot be had is said, and the command runs all the same: it is asked for more than for its summary. */
static void begin_summary(struct attended *a, const struct weir_world *w)
{
	struct weir_owner self;
	const char *why = NULL, *outer = getenv(VARIABLE);
	int err = 0;
	if (!w->dir[0]) {
		if (a->request->summary)
			weir_complain("run", "there will be no summary: what is not limited is not counted");
		return;
	}
	weir_owner_self(&self);
	weir_run_summaries_tidy(w->dir);
	if (outer && outer[0])
		a->outer = weir_summary_open(outer, &why, &err);
	size_t n = weir_format(a->path, sizeof a->path, "%s/" WEIR_RUN_SUMMARY_NAME "%d.%llu", w->dir, (int)getpid(),
			       (unsigned long long)self.start);
	a->summary = n < sizeof a->path - 1 ? weir_summary_create(a->path, &a->lock, &why, &err) : NULL;
	if (!a->summary) {
		weir_complain("run", "there will be no summary: %s: %s%s%s", a->path, why ? why : "its name is too long",
			      err ? ": " : "", err ? strerror(err) : "");
		return;
	}
	weir_format(a->variable, sizeof a->variable, VARIABLE "=%s", a->path);
	if (setenv(VARIABLE, a->path, 1) != 0)
		weir_complain("run", "there will be no summary: %s", strerror(errno));
}

/* What has been counted: a copy that is read and not looked at where it is mapped, as to touch a file that somebody has made
 * shorter would be the end, and the command's status would be lost. */
static const struct weir_summary *counted(const struct attended *a)
{
	static struct weir_summary copy;
	ssize_t n = pread(a->lock, &copy, sizeof copy, 0);
	struct stat st;
	if (n != (ssize_t)sizeof copy)
		memset(&copy, 0, sizeof copy);
	if (a->request->summary && (n != (ssize_t)sizeof copy || fstat(a->lock, &st) != 0 || st.st_nlink == 0))
		weir_complain("run", "the summary is not whole: %s was removed or made shorter during the run", a->path);
	return &copy;
}

static void print(const struct attended *a, const struct weir_summary *s, int status)
{
	static struct weir_run_summary told;
	const char *where = a->request->summary_file;
	if (!a->request->summary)
		return;
	weir_run_summary_take(s, &told);
	told.took_ns = weir_now_ns() - a->begun_ns;
	told.status = status;
	told.still_running = weir_run_processes(a->variable);
	json_t *json = a->request->summary_json ? weir_run_summary_json(&told) : NULL;
	if (json)
		json_dumpf(json, a->out, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	if (json)
		fputc('\n', a->out);
	else
		weir_run_summary_text(&told, where ? "" : "weir: ", a->out);
	json_decref(json);
	if ((fflush(a->out) != 0 || ferror(a->out)) && where)
		weir_complain(where, "the summary could not be written: %s", strerror(errno));
}

static void end_summary(struct attended *a, const struct weir_summary *s)
{
	if (a->outer)
		weir_summary_merge(a->outer, s);
	unlink(a->path);
	close(a->lock);
}

/* What the terminal sends goes to its whole foreground group, the child included, and is not sent twice; but that it is gone only
 * the session's leader is told (a command that ssh was given, a terminal's own), and all others when that one has ended. */
static bool is_to_be_passed_on(const siginfo_t *info)
{
	return info->si_code != SI_KERNEL || (info->si_signo == SIGHUP && getsid(0) == getpid());
}

/* Waits for the child; whatever signal comes meanwhile is passed on. */
static int wait_for(struct attended *a, pid_t child, const sigset_t *set)
{
	const struct timespec pause = {0, LOOK_EVERY_NS};
	int status = 0;
	for (;;) {
		siginfo_t info;
		int signal = a->announces ? sigtimedwait(set, &info, &pause) : sigwaitinfo(set, &info);
		if (signal > 0 && signal != SIGCHLD && is_to_be_passed_on(&info))
			kill(child, signal);
		if (waitpid(child, &status, WNOHANG) == child)
			return status;
		if (a->announces)
			weir_waits_look(&a->waits);
	}
}

/* As if the command had this process's place. A core of this one would be of use to nobody. */
static int end_as(int status)
{
	const struct rlimit none = {0, 0};
	sigset_t set;
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	setrlimit(RLIMIT_CORE, &none);
	signal(WTERMSIG(status), SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, WTERMSIG(status));
	raise(WTERMSIG(status));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	return 128 + WTERMSIG(status);
}

static int attend(struct attended *a)
{
	sigset_t set, old;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
		sigaddset(&set, forwarded[i]);
	signal(SIGCHLD, SIG_DFL); /* ignored by who started us, it would take the status away */
	sigprocmask(SIG_BLOCK, &set, &old);
	a->begun_ns = weir_now_ns();
	pid_t child = fork();
	if (child == 0) {
		sigprocmask(SIG_SETMASK, &old, NULL);
		_exit(weir_run_exec(a->request->command));
	}
	if (child < 0) {
		weir_complain("run", "%s", strerror(errno));
		if (a->summary)
			end_summary(a, a->summary);
		return WEIR_EXIT_OWN_FAILURE;
	}
	/* What is said comes after it, and does not take the command's status away. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	int status = wait_for(a, child, &set);
	if (a->announces)
		weir_waits_end(&a->waits);
	if (a->summary) {
		const struct weir_summary *s = counted(a);
		print(a, s, status);
		end_summary(a, s);
	}
	return end_as(status);
}

int weir_run_attended(const struct weir_run_request *r, const struct weir_world *w)
{
	static struct attended a;
	a.request = r;
	a.lock = -1;
	a.out = r->summary_file ? fopen(r->summary_file, "we") : stderr;
	if (!a.out) {
		weir_complain(r->summary_file, "%s", strerror(errno));
		return WEIR_EXIT_OWN_FAILURE;
	}
	begin_summary(&a, w);
	a.announces = r->announce && a.summary && weir_waits_begin(&a.waits, w->segment, a.variable);
	return attend(&a);
}
