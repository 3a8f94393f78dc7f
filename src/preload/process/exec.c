/* SPDX-License-Identifier: MIT */
/*
 * Hooks of the exec family: another program takes this process over, with the same pid and start time, so nobody could tell that
 * the leases of the old one are nobody's any more before its first request, if it ever makes one. They are ended here.
 *
 * All of it may run in a signal handler or in the child of a fork or vfork: no locks, no heap, no lookup of symbols. A child of
 * fork has no gate yet, a child of vfork has its parent's and is told apart by its pid: neither ends anything of its parent's.
 * posix_spawn and system exec in such a child of libc's own (system and popen: shell.c).
 *
 * Where exec fails, requests that were in flight go on without a lease, and their result counts for nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "src/preload/core/attach.h"
#include "src/preload/core/find_real.h"
#include "src/preload/core/hook.h"
#include "src/preload/core/room.h"
#include "src/preload/process/child.h"

#include "weir/kernel.h"

/* A request that another thread begins after this is ended by the new program's first. */
static void leave_this_program(void)
{
	const struct weir_gate *g = weir_attached();
	int saved = errno;

	if (g && g->owner.pid == (uint32_t)weir_getpid()) {
		weir_rooms_finish();
		weir_lease_reap_own(g->segment, &g->owner, weir_now_ns());
	}
	errno = saved;
}

static int missing(void)
{
	errno = ENOSYS;
	return -1;
}

/* The environment to be given to the target, on the stack of the caller, who must not be inlined into a loop. */
#define ENVIRONMENT_FOR(target, env)                                                                                             \
	({                                                                                                                       \
		struct weir_child child;                                                                                         \
		char *const *given = (env);                                                                                      \
		int saved_errno = errno;                                                                                         \
                                                                                                                                 \
		weir_child_look(&child, (target), given);                                                                        \
		if (child.bytes > 0)                                                                                             \
			given = weir_child_environment(&child, __builtin_alloca(child.bytes), given);                            \
		errno = saved_errno;                                                                                             \
		given;                                                                                                           \
	})

WEIR_HOOK int execve(const char *path, char *const argv[], char *const env[])
{
	const struct weir_libc *libc = weir_libc();
	const struct weir_target target = {.path = path, .directory = AT_FDCWD, .fd = -1};

	env = ENVIRONMENT_FOR(&target, env);
	leave_this_program();
	return libc->execve ? libc->execve(path, argv, env) : (int)syscall(SYS_execve, path, argv, env);
}

WEIR_HOOK int execv(const char *path, char *const argv[])
{
	const struct weir_libc *libc = weir_libc();
	const struct weir_target target = {.path = path, .directory = AT_FDCWD, .fd = -1};
	char *const *env = ENVIRONMENT_FOR(&target, environ);

	leave_this_program();
	if (env != environ && libc->execve)
		return libc->execve(path, argv, env);
	return libc->execv ? libc->execv(path, argv) : (int)syscall(SYS_execve, path, argv, env);
}

WEIR_HOOK int execvp(const char *file, char *const argv[])
{
	const struct weir_libc *libc = weir_libc();
	const struct weir_target target = {.path = file, .directory = AT_FDCWD, .fd = -1, .search = true};
	char *const *env = ENVIRONMENT_FOR(&target, environ);

	leave_this_program();
	if (env != environ && libc->execvpe)
		return libc->execvpe(file, argv, env);
	return libc->execvp ? libc->execvp(file, argv) : missing();
}

WEIR_HOOK int execvpe(const char *file, char *const argv[], char *const env[])
{
	const struct weir_libc *libc = weir_libc();
	const struct weir_target target = {.path = file, .directory = AT_FDCWD, .fd = -1, .search = true};

	env = ENVIRONMENT_FOR(&target, env);
	leave_this_program();
	return libc->execvpe ? libc->execvpe(file, argv, env) : missing();
}

WEIR_HOOK int fexecve(int fd, char *const argv[], char *const env[])
{
	const struct weir_libc *libc = weir_libc();
	const struct weir_target target = {.fd = fd};

	env = ENVIRONMENT_FOR(&target, env);
	leave_this_program();
	return libc->fexecve ? libc->fexecve(fd, argv, env) : missing();
}

WEIR_HOOK int execveat(int dir, const char *path, char *const argv[], char *const env[], int flags)
{
	const struct weir_libc *libc = weir_libc();
	const struct weir_target target = {
		.path = path, .directory = dir, .fd = -1, .empty_is_directory = (flags & AT_EMPTY_PATH) != 0};

	env = ENVIRONMENT_FOR(&target, env);
	leave_this_program();
	return libc->execveat ? libc->execveat(dir, path, argv, env, flags)
			      : (int)syscall(SYS_execveat, dir, path, argv, env, flags);
}

/* posix_spawn calls no hook of exec in its child. */
WEIR_HOOK int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
			  const posix_spawnattr_t *attributes, char *const argv[], char *const env[])
{
	const struct weir_libc *libc = weir_libc();
	const struct weir_target target = {.path = path, .directory = AT_FDCWD, .fd = -1};

	env = ENVIRONMENT_FOR(&target, env);
	return libc->posix_spawn ? libc->posix_spawn(pid, path, actions, attributes, argv, env) : ENOSYS;
}

WEIR_HOOK int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
			   const posix_spawnattr_t *attributes, char *const argv[], char *const env[])
{
	const struct weir_libc *libc = weir_libc();
	const struct weir_target target = {.path = file, .directory = AT_FDCWD, .fd = -1, .search = true};

	env = ENVIRONMENT_FOR(&target, env);
	return libc->posix_spawnp ? libc->posix_spawnp(pid, file, actions, attributes, argv, env) : ENOSYS;
}

enum form { PATH, PATH_AND_ENVIRONMENT, FILE_NAME };

static int call(enum form form, const char *program, char **argv, char *const env[])
{
	switch (form) {
	case PATH:
		return execv(program, argv);
	case PATH_AND_ENVIRONMENT:
		return execve(program, argv, env);
	default:
		return execvp(program, argv);
	}
}

/* How many arguments follow `first`, which counts as one, before the NULL that ends them. */
static size_t count_arguments(const char *first, va_list rest)
{
	size_t n = first ? 1 : 0;

	while (n != 0 && va_arg(rest, char *))
		n++;
	return n;
}

/* The array forms with what the list forms are given. The environment, in its form, comes after the NULL. The array is as long as
 * the list, on the stack, as the C library has it: a crash handler's stack is small, and pages that a child of vfork maps would
 * stay with its parent. */
static int call_with(enum form form, const char *program, const char *first, size_t count, va_list rest)
{
	char **argv = __builtin_alloca((count + 1) * sizeof *argv);
	char *const *env = NULL;

	argv[0] = (char *)(uintptr_t)first;
	for (size_t i = 1; i <= count; i++)
		argv[i] = va_arg(rest, char *);
	if (form == PATH_AND_ENVIRONMENT) {
		if (count == 0)
			(void)va_arg(rest, char *);
		env = va_arg(rest, char *const *);
	}
	return call(form, program, argv, env);
}

WEIR_HOOK int execl(const char *path, const char *first, ...)
{
	va_list rest;
	size_t count;
	int answer;

	va_start(rest, first);
	count = count_arguments(first, rest);
	va_end(rest);
	va_start(rest, first);
	answer = call_with(PATH, path, first, count, rest);
	va_end(rest);
	return answer;
}

WEIR_HOOK int execle(const char *path, const char *first, ...)
{
	va_list rest;
	size_t count;
	int answer;

	va_start(rest, first);
	count = count_arguments(first, rest);
	va_end(rest);
	va_start(rest, first);
	answer = call_with(PATH_AND_ENVIRONMENT, path, first, count, rest);
	va_end(rest);
	return answer;
}

WEIR_HOOK int execlp(const char *file, const char *first, ...)
{
	va_list rest;
	size_t count;
	int answer;

	va_start(rest, first);
	count = count_arguments(first, rest);
	va_end(rest);
	va_start(rest, first);
	answer = call_with(FILE_NAME, file, first, count, rest);
	va_end(rest);
	return answer;
}
