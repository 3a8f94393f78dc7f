/* SPDX-License-Identifier: MIT */
/* `weir run --summary`: the command as a child, and afterwards what has changed in the segment. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "src/cli/run.h"
#include "src/cli/subcommand.h"
#include "src/cli/usage.h"
#include "src/stats/snapshot.h"
#include "weir/gate.h"
#include "weir/units.h"

/* What is passed on to the command. SIGTSTP, SIGTTIN and SIGTTOU are not: they stop this process as well, as they should. */
static const int forwarded[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM};

static void take(const struct weir_world *w, struct weir_snapshot *out)
{
	struct weir_segment s;
	const char *why;
	int err;
	memset(out, 0, sizeof *out);
	out->now_ns = weir_now_ns();
	if (weir_segment_open(&s, w->segment, false, NULL, &why, &err) != WEIR_SEGMENT_OK)
		return;
	weir_snapshot_take(&s, NULL, out->now_ns, 0, out);
	weir_segment_close(&s);
}

static const struct weir_host_view *find(const struct weir_snapshot *s, const char *key)
{
	for (size_t i = 0; i < s->hosts; i++)
		if (strcmp(s->host[i].key, key) == 0)
			return &s->host[i];
	return NULL;
}

/* A counter that is lower than before belongs to an entry that was freed and made anew. */
static uint64_t grown(uint64_t before, uint64_t after)
{
	return after >= before ? after - before : after;
}

/* Returns whether there was anything to tell. */
static bool print_host(const struct weir_host_view *before, const struct weir_host_view *h)
{
	static const struct weir_host_view none;
	const struct weir_tally *a = before ? &before->tally : &none.tally, *b = &h->tally;
	const struct weir_duration_view *wait = before ? &before->wait : &none.wait;
	uint64_t admitted = grown(a->admitted, b->admitted), refused = grown(a->refused, b->refused);
	char text[32];
	if (admitted + refused == 0)
		return false;
	fputs("weir: ", stderr);
	weir_put_printable(h->key, stderr);
	fprintf(stderr, ": %" PRIu64 " request%s", admitted + refused, admitted + refused == 1 ? "" : "s");
	fprintf(stderr, ": %" PRIu64 " succeeded, %" PRIu64 " throttled, %" PRIu64 " failed, %" PRIu64 " refused by weir",
		grown(a->succeeded, b->succeeded), grown(a->throttled, b->throttled), grown(a->failed, b->failed), refused);
	if (grown(a->delayed, b->delayed) > 0)
		fprintf(stderr, "; %" PRIu64 " waited, %s in all", grown(a->delayed, b->delayed),
			weir_print_duration(grown(wait->sum_us, h->wait.sum_us) * 1000, text, sizeof text));
	if (grown(a->retries, b->retries) + grown(a->retry_exhausted, b->retry_exhausted) > 0)
		fprintf(stderr, "; %" PRIu64 " asked again, which saved %" PRIu64, grown(a->retries, b->retries),
			grown(a->saved, b->saved));
	if (grown(a->retry_exhausted, b->retry_exhausted) > 0)
		fprintf(stderr, ", and %" PRIu64 " not, as the retry budget was spent",
			grown(a->retry_exhausted, b->retry_exhausted));
	if (grown(a->would_delay, b->would_delay) + grown(a->would_refuse, b->would_refuse) > 0)
		fprintf(stderr, "; %" PRIu64 " would have waited, %" PRIu64 " would have been refused",
			grown(a->would_delay, b->would_delay), grown(a->would_refuse, b->would_refuse));
	if (h->health != WEIR_HEALTH_OK)
		fprintf(stderr, "; %s now", weir_health_name(h->health));
	fputc('\n', stderr);
	return true;
}

static void print(const struct weir_snapshot *before, const struct weir_snapshot *after)
{
	char text[32];
	bool any = false;
	for (size_t i = 0; i < after->hosts; i++)
		any = print_host(find(before, after->host[i].key), &after->host[i]) || any;
	fprintf(stderr, "weir: %s%s\n", weir_print_duration(after->now_ns - before->now_ns, text, sizeof text),
		any ? ", counting all processes of this user" : "; no request was seen");
}

/* Waits for the child; whatever signal comes meanwhile is passed on. What the terminal sends goes to its whole foreground group,
 * the child included, and is not sent twice. */
static int wait_for(pid_t child, const sigset_t *set)
{
	int status = 0;
	for (;;) {
		siginfo_t info;
		int signal = sigwaitinfo(set, &info);
		if (signal > 0 && signal != SIGCHLD && info.si_code != SI_KERNEL)
			kill(child, signal);
		if (waitpid(child, &status, WNOHANG) == child)
			return status;
	}
}

int weir_run_summary(const struct weir_run_request *r, const struct weir_world *w)
{
	struct weir_snapshot before, after;
	sigset_t set, old;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
		sigaddset(&set, forwarded[i]);
	signal(SIGCHLD, SIG_DFL); /* ignored by who started us, it would take the status away */
	take(w, &before);
	sigprocmask(SIG_BLOCK, &set, &old);
	pid_t child = fork();
	if (child == 0) {
		sigprocmask(SIG_SETMASK, &old, NULL);
		_exit(weir_run_exec(r->command));
	}
	if (child < 0) {
		weir_complain("run", "%s", strerror(errno));
		weir_snapshot_free(&before);
		return WEIR_EXIT_OWN_FAILURE;
	}
	/* The summary comes after it, and does not take the command's status away. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	int status = wait_for(child, &set);
	take(w, &after);
	print(&before, &after);
	weir_snapshot_free(&before);
	weir_snapshot_free(&after);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
