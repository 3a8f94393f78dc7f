/* SPDX-License-Identifier: MIT */
/*
 * A library that is preloaded behind weir and that lies, as libfaketime, fakeroot and their like do for good reasons:
 * FOREIGN_DAYS shifts all clocks; FOREIGN_LIES makes what a process is told of itself, of others and of files untrue.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SHOWN __attribute__((visibility("default")))

static time_t shift_s(void)
{
	const char *days = getenv("FOREIGN_DAYS");

	return days ? atol(days) * 86400 : 0;
}

static int lies(void)
{
	return getenv("FOREIGN_LIES") != NULL;
}

SHOWN int clock_gettime(clockid_t clock, struct timespec *t)
{
	long answer = syscall(SYS_clock_gettime, clock, t);

	t->tv_sec += shift_s();
	return (int)answer;
}

SHOWN int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	long answer = syscall(SYS_gettimeofday, t, zone);

	t->tv_sec += shift_s();
	return (int)answer;
}

SHOWN time_t time(time_t *out)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (out)
		*out = t.tv_sec;
	return t.tv_sec;
}

SHOWN pid_t getpid(void)
{
	return (pid_t)syscall(SYS_getpid) + (lies() ? 1 : 0);
}

SHOWN uid_t geteuid(void)
{
	return lies() ? 12345 : (uid_t)syscall(SYS_geteuid);
}

SHOWN int kill(pid_t pid, int number)
{
	if (lies() && number == 0) {
		errno = ESRCH;
		return -1;
	}
	return (int)syscall(SYS_kill, pid, number);
}

static int changed(long answer, struct stat *st)
{
	if (answer == 0 && lies()) {
		st->st_uid = 12345;
		st->st_mtim.tv_sec += 1000;
		st->st_ino++;
	}
	return (int)answer;
}

SHOWN int stat(const char *restrict path, struct stat *restrict st)
{
	return changed(syscall(SYS_newfstatat, -100, path, st, 0), st);
}

SHOWN int lstat(const char *restrict path, struct stat *restrict st)
{
	return changed(syscall(SYS_newfstatat, -100, path, st, 0x100), st);
}

SHOWN int fstat(int fd, struct stat *st)
{
	return changed(syscall(SYS_fstat, fd, st), st);
}

SHOWN int mkdir(const char *path, mode_t mode)
{
	(void)path;
	(void)mode;
	errno = EROFS;
	return -1;
}
