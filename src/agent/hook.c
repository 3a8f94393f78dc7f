/* SPDX-License-Identifier: MIT */
#include "src/agent/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "weir/log.h"

#define LAST_LOOKS 100 /* one every 10 ms */

struct running {
	pid_t pid; /* of the shell, and its session and process group; 0: this place is free */
	uint64_t until_ns;
	bool killed;
};

struct waiting {
	char *command, *text;
	uint64_t limit_ns;
};

struct weir_hooks {
	struct running running[WEIR_HOOKS_AT_ONCE];
	struct waiting waiting[WEIR_HOOKS_WAITING];
	size_t line; /* how many wait */
	struct weir_hook_counts counts;
	char home[512];
};

struct weir_hooks *weir_hooks_new(const char *home)
{
	struct weir_hooks *h = calloc(1, sizeof *h);

	if (h != NULL)
		snprintf(h->home, sizeof h->home, "HOME=%s", home != NULL && home[0] == '/' ? home : "/");
	return h;
}

/* A file in memory that holds the text, at its beginning; -1 without. A pipe would make somebody wait for a long text. */
static int file_of(const char *text)
{
	int fd = memfd_create("weir-alert", MFD_CLOEXEC);
	size_t n = strlen(text);

	if (fd < 0)
		return -1;
	if (write(fd, text, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	close(fd);
	return -1;
}

/* The child's descriptors: the text, and nothing else. Every other one of the agent is closed by exec. */
static int set_up(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int fd)
{
	sigset_t none, all;
	int err;

	sigemptyset(&none);
	sigfillset(&all);
	err = posix_spawn_file_actions_adddup2(actions, fd, STDIN_FILENO);
	if (err == 0)
		err = posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (err == 0)
		err = posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (err == 0)
		err = posix_spawn_file_actions_addchdir_np(actions, "/");
	if (err == 0)
		err = posix_spawnattr_setsigmask(attributes, &none);
	if (err == 0)
		err = posix_spawnattr_setsigdefault(attributes, &all);
	if (err == 0)
		err = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	return err;
}

/* Returns 0 and *pid, or errno. */
static int spawn(const struct weir_hooks *h, const char *command, const char *text, pid_t *pid)
{
	char shell[] = "sh", dash_c[] = "-c", home[sizeof h->home], line[2048];
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", lang[] = "LANG=C.UTF-8";
	char *argv[] = {shell, dash_c, line, NULL}, *envp[] = {path, lang, home, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int fd, err;

	/* Whoever lent the agent his rights did not mean this command. */
	if (getuid() != geteuid() || getgid() != getegid())
		return EPERM;
	fd = file_of(text);
	if (fd < 0)
		return errno;
	memcpy(home, h->home, sizeof home);
	snprintf(line, sizeof line, "%s", command);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	err = set_up(&actions, &attributes, fd);
	if (err == 0)
		err = posix_spawn(pid, "/bin/sh", &actions, &attributes, argv, envp);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	close(fd);
	return err;
}

static struct running *free_place(struct weir_hooks *h)
{
	for (size_t i = 0; i < WEIR_HOOKS_AT_ONCE; i++)
		if (h->running[i].pid == 0)
			return &h->running[i];
	return NULL;
}

static void start_next(struct weir_hooks *h, struct running *place, uint64_t now_ns)
{
	struct waiting next = h->waiting[0];
	int err;

	h->line--;
	memmove(h->waiting, h->waiting + 1, h->line * sizeof *h->waiting);
	err = spawn(h, next.command, next.text, &place->pid);
	if (err != 0) {
		weir_log(WEIR_LOG_WARN, "agent: alerts.command: it cannot be run: %s", strerror(err));
		place->pid = 0;
		h->counts.failed++;
	}
	place->until_ns = now_ns + next.limit_ns;
	place->killed = false;
	free(next.command);
	free(next.text);
}

void weir_hooks_run(struct weir_hooks *h, const char *command, const char *text, uint64_t limit_ns, uint64_t now_ns)
{
	struct waiting *w = h->line < WEIR_HOOKS_WAITING ? &h->waiting[h->line] : NULL;

	if (w != NULL)
		*w = (struct waiting){strdup(command), strdup(text), limit_ns};
	if (w == NULL || w->command == NULL || w->text == NULL) {
		if (w != NULL) {
			free(w->command);
			free(w->text);
		}
		weir_log(WEIR_LOG_WARN, "agent: alerts.command: too many wait to be run: one is left out");
		h->counts.dropped++;
		return;
	}
	h->line++;
	weir_hooks_turn(h, now_ns);
}

/* Whether it has ended. What it leaves in its group ends with it: only so is its time a bound. While the shell is not collected
 * its number is no other's. */
static bool has_ended(struct weir_hooks *h, struct running *r)
{
	siginfo_t info;
	int status = 0;

	memset(&info, 0, sizeof info);
	if (waitid(P_PID, (id_t)r->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0)
		return false;
	kill(-r->pid, SIGKILL);
	if (waitpid(r->pid, &status, WNOHANG) == 0)
		return false;
	if (r->killed)
		h->counts.killed++;
	else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		h->counts.succeeded++;
	else
		h->counts.failed++;
	r->pid = 0;
	return true;
}

void weir_hooks_turn(struct weir_hooks *h, uint64_t now_ns)
{
	struct running *place;

	for (size_t i = 0; i < WEIR_HOOKS_AT_ONCE; i++) {
		struct running *r = &h->running[i];

		if (r->pid == 0 || has_ended(h, r) || now_ns < r->until_ns || r->killed)
			continue;
		weir_log(WEIR_LOG_WARN, "agent: alerts.command: process %d took too long and is killed", (int)r->pid);
		kill(-r->pid, SIGKILL);
		r->killed = true;
	}
	while (h->line > 0 && (place = free_place(h)) != NULL)
		start_next(h, place, now_ns);
}

static bool any_runs(const struct weir_hooks *h)
{
	for (size_t i = 0; i < WEIR_HOOKS_AT_ONCE; i++)
		if (h->running[i].pid != 0)
			return true;
	return false;
}

bool weir_hooks_busy(const struct weir_hooks *h)
{
	return h->line > 0 || any_runs(h);
}

struct weir_hook_counts weir_hooks_counts(const struct weir_hooks *h)
{
	return h->counts;
}

void weir_hooks_end(struct weir_hooks *h)
{
	const struct timespec rest = {0, 10000000};

	if (h == NULL)
		return;
	for (; h->line > 0; h->line--) {
		free(h->waiting[h->line - 1].command);
		free(h->waiting[h->line - 1].text);
	}
	for (int look = 0; look < LAST_LOOKS && any_runs(h); look++) {
		weir_hooks_turn(h, 0);
		if (any_runs(h))
			nanosleep(&rest, NULL);
	}
	for (size_t i = 0; i < WEIR_HOOKS_AT_ONCE; i++) {
		if (h->running[i].pid == 0)
			continue;
		kill(-h->running[i].pid, SIGKILL);
		waitpid(h->running[i].pid, NULL, 0);
	}
	free(h);
}
