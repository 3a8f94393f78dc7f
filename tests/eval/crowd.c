/* SPDX-License-Identifier: MIT */
#include "crowd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "case.h"
#include "tests/harness/environment.h"
#include "tests/harness/failure.h"

/* A loop whose client failed pauses, so that a refusal does not make it spin. */
#define PAUSE_S 0.1

void crowd_open(struct crowd *c, const struct scene *scene, enum command_mode mode, const char *config, unsigned count)
{
	const struct command command = {.mode = mode, .dir = scene->dir, .config = config};

	memset(c, 0, sizeof *c);
	c->count = count;
	c->environment = environment_for(&command);
}

static void ended(struct crowd *c, struct member *m, int status)
{
	double now_s = monotonic_s();

	close(m->pid_fd);
	m->pid = 0;
	m->kill_at_s = 0;
	m->continue_at_s = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		m->succeeded++;
		c->last_success_s = now_s;
		return;
	}
	if (WIFEXITED(status)) {
		m->failed++;
		m->not_before_s = c->no_pause ? 0 : now_s + PAUSE_S;
		if (c->first_failure_s <= 0)
			c->first_failure_s = now_s;
	}
}

void crowd_close(struct crowd *c)
{
	for (unsigned i = 0; i < c->count; i++) {
		struct member *m = &c->member[i];

		if (m->pid == 0)
			continue;
		kill(m->pid, SIGKILL);
		waitpid(m->pid, NULL, 0);
		close(m->pid_fd);
	}
	environment_free(c->environment);
}

__attribute__((noreturn)) static void become(const struct crowd *c, const char *const *argv, pid_t parent)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent && dup2(null, 0) >= 0 && dup2(null, 1) >= 0 && dup2(null, 2) >= 0)
		execvpe(argv[0], (char *const *)(uintptr_t)argv, c->environment);
	_exit(127);
}

void crowd_start(struct crowd *c, unsigned i, const char *const *argv)
{
	struct member *m = &c->member[i];
	pid_t parent = getpid();

	m->pid = fork();
	if (m->pid < 0)
		harness_fail("fork: %s", strerror(errno));
	if (m->pid == 0)
		become(c, argv, parent);
	m->pid_fd = (int)syscall(SYS_pidfd_open, m->pid, 0);
	if (m->pid_fd < 0)
		harness_fail("pidfd_open: %s", strerror(errno));
	m->begun_s = monotonic_s();
	c->started++;
}

void crowd_curl(struct crowd *c, unsigned i, const char *url, const char *most_s)
{
	const char *argv[] = {"curl", "-q", "-s", "-f", "-o", "/dev/null", url, most_s == NULL ? NULL : "-m", most_s, NULL};

	crowd_start(c, i, argv);
}

int crowd_idle(const struct crowd *c, double now_s)
{
	for (unsigned i = 0; i < c->count; i++)
		if (c->member[i].pid == 0 && c->member[i].not_before_s <= now_s)
			return (int)i;
	return -1;
}

/* What is due on a member; returns the time of the next that is, at most `until_s`. */
static double do_due(struct member *m, double now_s, double until_s)
{
	if (m->kill_at_s > 0 && now_s >= m->kill_at_s) {
		kill(m->pid, SIGKILL);
		m->kill_at_s = 0;
	}
	if (m->continue_at_s > 0 && now_s >= m->continue_at_s) {
		kill(m->pid, SIGCONT);
		m->continue_at_s = 0;
	}
	if (m->kill_at_s > 0 && m->kill_at_s < until_s)
		until_s = m->kill_at_s;
	if (m->continue_at_s > 0 && m->continue_at_s < until_s)
		until_s = m->continue_at_s;
	return until_s;
}

double crowd_wait(struct crowd *c, double until_s)
{
	struct pollfd poller[CROWD_MAX];
	double now_s = monotonic_s(), left_s;
	struct timespec left;

	for (unsigned i = 0; i < c->count; i++) {
		struct member *m = &c->member[i];

		poller[i] = (struct pollfd){.fd = m->pid == 0 ? -1 : m->pid_fd, .events = POLLIN};
		if (m->pid == 0 && m->not_before_s > now_s && m->not_before_s < until_s)
			until_s = m->not_before_s;
		if (m->pid != 0)
			until_s = do_due(m, now_s, until_s);
	}
	left_s = until_s > now_s ? until_s - now_s : 0;
	left.tv_sec = (time_t)left_s;
	left.tv_nsec = (long)((left_s - (double)left.tv_sec) * 1e9);
	if (ppoll(poller, c->count, &left, NULL) > 0) {
		for (unsigned i = 0; i < c->count; i++) {
			int status;

			if (poller[i].revents != 0 && waitpid(c->member[i].pid, &status, WNOHANG) > 0)
				ended(c, &c->member[i], status);
		}
	}
	return monotonic_s();
}

void crowd_loop(struct crowd *c, const char *(*url)(void *data, unsigned i), void *data, double until_s)
{
	double now_s = monotonic_s();

	while (now_s < until_s && !trial_interrupted()) {
		for (int i; (i = crowd_idle(c, now_s)) >= 0;)
			crowd_curl(c, (unsigned)i, url(data, (unsigned)i), NULL);
		now_s = crowd_wait(c, until_s);
	}
}
