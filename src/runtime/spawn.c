/* SPDX-License-Identifier: MIT */
/*
 * Starting the agent from inside a stranger's process, so that the stranger never notices.
 *
 *   host ── clone without exit signal ──> go-between ── clone ──> agent
 *     waits for the go-between               setsid                 closes everything, execs
 *     with __WCLONE                          exits                  is init's child from now on
 *
 * A child with no exit signal raises no SIGCHLD and is invisible to wait() and waitpid() without __WCLONE, so the host's own
 * bookkeeping of children is not touched. (A host that waits with __WALL on another thread could take the go-between; then there
 * is nothing left for us to wait for, which is as good.)
 *
 * Not init but the next ancestor that asked for it (PR_SET_CHILD_SUBREAPER) adopts the agent, and to that one it is a child like
 * any other: the kernel gives it SIGCHLD as exit signal. Whether an ancestor is such a one cannot be asked for. Where PID 1 runs
 * under weir, as in a container, no agent is started; an agent that finds itself adopted by another process under weir leaves at
 * once (weir agent --spawned).
 *
 * A clone without CLONE_VM is a fork: it has the calling thread alone, with whatever locks of libc the others held. So the
 * children make raw system calls on memory of their own, and nothing else: no malloc, no libc function that keeps state, no
 * atfork handlers. All signals are blocked around the clones: a handler of the host must not run in our children.
 */
#include "weir/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "src/runtime/path.h"
#include "weir/kernel.h"

#define KERNEL_SIGSET_SIZE 8       /* what the rt_sig* calls take on every Linux but MIPS; sigset_t is longer */
#define SIGNALS            64      /* the kernel's _NSIG */
#define DESCRIPTORS_MAX    1048576 /* fs.nr_open's default: nobody has a descriptor above it */
#define ENVIRONMENT_MAX    65536   /* variables looked at */
#define ADOPTION_LOOKS     1000    /* one a millisecond */

/* ThreadSanitizer's bookkeeping takes locks, which a forked child of a process with threads must not do. */
#define IN_CHILD __attribute__((no_sanitize("thread")))

/* The variables that name a path which may be relative. The agent has another working directory, so it gets them absolute. */
struct absolutes {
	char config[WEIR_PATH_MAX + sizeof "WEIR_CONFIG="];
	char log[WEIR_PATH_MAX + sizeof "WEIR_LOG=LEVEL:" + 16];
};

static bool begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* out = `entry` with the path that begins at `path` made absolute; out[0] = 0 when it is not relative or does not fit. */
static void make_absolute(char *out, size_t size, const char *entry, const char *path)
{
	char absolute[WEIR_PATH_MAX];
	size_t prefix = (size_t)(path - entry);

	if (path[0] == '\0' || path[0] == '/' || !weir_path_absolute(absolute, path))
		return;
	if (prefix + strlen(absolute) >= size)
		return;
	memcpy(out, entry, prefix);
	memcpy(out + prefix, absolute, strlen(absolute) + 1);
}

static void find_relatives(struct absolutes *a, char *const envp[])
{
	a->config[0] = '\0';
	a->log[0] = '\0';
	for (size_t i = 0; i < ENVIRONMENT_MAX && envp[i]; i++) {
		if (begins_with(envp[i], "WEIR_CONFIG=")) {
			make_absolute(a->config, sizeof a->config, envp[i], envp[i] + strlen("WEIR_CONFIG="));
		} else if (begins_with(envp[i], "WEIR_LOG=") && strchr(envp[i], ':')) {
			make_absolute(a->log, sizeof a->log, envp[i], strchr(envp[i], ':') + 1);
		}
	}
}

/* ---- in the children: raw system calls alone
 * -------------------------------------------------------------------------------- */

IN_CHILD static _Noreturn void leave(int status)
{
	for (;;)
		if (weir_syscall(SYS_exit_group, status) != 0)
			__builtin_trap(); /* forbidden */
}

/* Whether the entry sets one of the variables that the agent must not have: it would be preloaded itself, or belong to a run. */
IN_CHILD static bool unwanted(const char *entry)
{
	static const char *const names[] = {"LD_PRELOAD=", "LD_AUDIT=", "WEIR_RUN=", "WEIR_SUMMARY="};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		size_t at = 0;

		while (names[i][at] != '\0' && entry[at] == names[i][at])
			at++;
		if (names[i][at] == '\0')
			return true;
	}
	return false;
}

IN_CHILD static char *wanted_form(char *entry, struct absolutes *a)
{
	if (a->config[0] != '\0' && begins_with(entry, "WEIR_CONFIG="))
		return a->config;
	if (a->log[0] != '\0' && begins_with(entry, "WEIR_LOG="))
		return a->log;
	return entry;
}

/* The agent's environment: the host's array is only read, as it may lie in read-only memory; a new one comes from mmap, as a
 * thread's stack may be small. */
IN_CHILD static char **environment(char *const envp[], struct absolutes *a)
{
	size_t count = 0, kept = 0;
	char **clean;
	long memory;

	while (count < ENVIRONMENT_MAX && envp[count])
		count++;
	memory = weir_syscall(SYS_mmap, NULL, (count + 1) * sizeof clean[0], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			      -1, 0L);
	if (memory == -1)
		leave(127);
	clean = (char **)memory;
	for (size_t i = 0; i < count; i++) {
		if (!unwanted(envp[i]))
			clean[kept++] = wanted_form(envp[i], a);
	}
	clean[kept] = NULL;
	return clean;
}

IN_CHILD static void close_everything(void)
{
	struct rlimit limit = {DESCRIPTORS_MAX, DESCRIPTORS_MAX};

	if (weir_syscall(SYS_close_range, 0U, ~0U, 0U) == 0)
		return;
	/* Before Linux 5.9, or forbidden by a filter. */
	weir_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
	for (rlim_t fd = 0; fd < limit.rlim_cur && fd < DESCRIPTORS_MAX; fd++)
		weir_syscall(SYS_close, fd);
}

/* Signals to their defaults first (an ignored one would stay ignored across exec), then unblocked. */
IN_CHILD static void reset_signals(void)
{
	const uint64_t defaults[8] = {0}; /* the kernel's struct sigaction is at most this long; all zero is SIG_DFL */
	const uint64_t none = 0;

	for (int number = 1; number <= SIGNALS; number++)
		weir_syscall(SYS_rt_sigaction, number, defaults, NULL, KERNEL_SIGSET_SIZE);
	weir_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, KERNEL_SIGSET_SIZE);
}

/* The agent looks at who its parent is: that must not be the go-between any more. */
IN_CHILD static void await_adoption(long go_between)
{
	const struct timespec rest = {0, 1000000};

	for (int i = 0; i < ADOPTION_LOOKS && weir_syscall(SYS_getppid) == go_between; i++)
		weir_syscall(SYS_nanosleep, &rest, NULL);
}

IN_CHILD static _Noreturn void become_agent(const char *program, char *const envp[], struct absolutes *a)
{
	char name[] = "weir", command[] = "agent", option[] = "--spawned";
	char *const argv[] = {name, command, option, NULL};
	char **clean = environment(envp, a);

	close_everything();
	if (weir_syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR) != 0)
		leave(127); /* its first file would take the number of standard error */
	weir_syscall(SYS_dup, 0);
	weir_syscall(SYS_dup, 0);
	weir_syscall(SYS_chdir, "/");
	weir_syscall(SYS_umask, 077);
	reset_signals();
	weir_syscall(SYS_execve, program, argv, clean);
	leave(127);
}

/* A fork that neither signals its parent when it ends nor is followed by a debugger. */
IN_CHILD static long quiet_fork(void)
{
	return weir_syscall(SYS_clone, (unsigned long)CLONE_UNTRACED, 0UL, 0UL, 0UL, 0UL);
}

/* Leaves with the errno of the second clone, so that the caller hears of it. */
IN_CHILD static _Noreturn void go_between(const char *program, char *const envp[], struct absolutes *a)
{
	long pid, self = weir_syscall(SYS_getpid);

	weir_syscall(SYS_setsid);
	pid = quiet_fork();
	if (pid == 0) {
		await_adoption(self);
		become_agent(program, envp, a);
	}
	leave(pid < 0 ? errno & 0x7f : 0);
}

/* ---- in the host
 * ------------------------------------------------------------------------------------------------------------ */

/* Waits for the go-between, which is ours alone. Returns 0 or the errno that it left with. */
static int reap(long pid)
{
	int status = 0;
	long got;

	/* Signals are blocked, so EINTR comes from stops and debuggers only. */
	do {
		got = weir_syscall(SYS_wait4, pid, &status, __WCLONE, NULL);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
}

/* A host that adopts orphans would get the agent as its child, and wait for it. */
static bool adopts_orphans(void)
{
	int adopts = 0;

	return weir_syscall(SYS_getpid) == 1 ||
	       (weir_syscall(SYS_prctl, PR_GET_CHILD_SUBREAPER, &adopts, 0UL, 0UL, 0UL) == 0 && adopts != 0);
}

int weir_agent_spawn(const char *program, char *const envp[])
{
	static char *const empty[] = {NULL};
	const uint64_t all = UINT64_MAX; /* with the two that libc keeps for itself, which sigfillset leaves out */
	uint64_t before = 0;
	int saved = errno, result;
	long pid, page;

	if (!envp) /* after clearenv() */
		envp = empty;
	if (adopts_orphans() || weir_process_preloaded(1)) {
		errno = saved;
		return EBUSY;
	}
	if (weir_syscall(SYS_faccessat, AT_FDCWD, program, X_OK) != 0) {
		result = errno;
		errno = saved;
		return result;
	}
	/* Not on the host's stack, which may be a small one. */
	page = weir_syscall(SYS_mmap, NULL, sizeof(struct absolutes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0L);
	if (page == -1) {
		errno = saved;
		return ENOMEM;
	}
	find_relatives((struct absolutes *)page, envp);
	weir_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, KERNEL_SIGSET_SIZE);
	pid = quiet_fork();
	if (pid == 0)
		go_between(program, envp, (struct absolutes *)page);
	result = pid < 0 ? errno : reap(pid);
	weir_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, KERNEL_SIGSET_SIZE);
	weir_syscall(SYS_munmap, page, sizeof(struct absolutes));
	errno = saved;
	return result;
}
