/* SPDX-License-Identifier: MIT */
/* The file of a run's summary. */
#include "weir/summary.h"

#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "descriptor.h"
#include "new_file.h"
#include "weir/kernel.h"

#define TRIES 1000U

static struct weir_summary *map(int fd, const char **why, int *err)
{
	void *memory = mmap(NULL, sizeof(struct weir_summary), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory != MAP_FAILED)
		return memory;
	*err = errno;
	*why = "it cannot be mapped";
	return NULL;
}

static struct weir_summary *map_checked(int fd, const char **why, int *err)
{
	struct weir_summary *s;
	struct stat st;

	*err = 0;
	*why = weir_fstat(fd, &st) != 0 ? "it cannot be looked at" : weir_file_wrong(&st);
	if (*why != NULL)
		return NULL;
	/* A hole in it, on a full file system, would be the end of the program. */
	if (st.st_size != (off_t)sizeof *s || (uint64_t)st.st_blocks * 512 < sizeof *s) {
		*why = "it is not of the size that a summary has";
		return NULL;
	}
	s = map(fd, why, err);
	if (s == NULL || (s->magic == WEIR_SUMMARY_MAGIC && s->bytes == sizeof *s))
		return s;
	munmap(s, sizeof *s);
	*why = "it is no summary of this version";
	return NULL;
}

struct weir_summary *weir_summary_open(const char *path, const char **why, int *err)
{
	struct weir_summary *s;
	int fd = weir_open_high(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);

	if (fd < 0) {
		*err = errno;
		*why = "it cannot be opened";
		return NULL;
	}
	s = map_checked(fd, why, err);
	weir_close(fd);
	return s;
}

/* Whether the file is ours: locked, and under its name. *busy: somebody has the lock, who took it for a dead one's and is about
 * to remove it. */
static bool lock_new(int fd, bool *busy)
{
	struct stat st;

	*busy = false;
	if (weir_syscall(SYS_fchmod, fd, 0600) != 0)
		return false;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		*busy = errno == EWOULDBLOCK;
		return false;
	}
	*busy = weir_fstat(fd, &st) == 0 && st.st_nlink == 0;
	return !*busy;
}

/* Empty, and ours: whoever finds it before it is locked takes it for a dead one's and removes it, and then it is made again.
 * Should that one die over it, it is a dead one's indeed. */
static int open_locked(const char *path)
{
	const struct timespec rest = {0, 1000000};
	int error = EBUSY;

	for (unsigned i = 0; i < TRIES; i++) {
		int fd = weir_open_high(path, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR, 0600);
		bool busy;

		if (fd < 0 && (errno != EEXIST || i == 0))
			return -1;
		if (fd < 0) {
			if (!weir_summary_remove_stale(path))
				weir_syscall(SYS_nanosleep, &rest, NULL);
			continue;
		}
		if (lock_new(fd, &busy))
			return fd;
		error = errno;
		weir_close(fd);
		if (!busy) {
			weir_unlink(path, 0);
			break;
		}
	}
	errno = error;
	return -1;
}

struct weir_summary *weir_summary_create(const char *path, int *fd, const char **why, int *err)
{
	struct weir_summary *s = NULL;

	*fd = open_locked(path);
	if (*fd < 0) {
		*err = errno;
		*why = "it cannot be made";
		return NULL;
	}
	*err = weir_file_allocate(*fd, sizeof *s);
	*why = "there is no room for it";
	if (*err == 0)
		s = map(*fd, why, err);
	if (s == NULL) {
		weir_unlink(path, 0);
		weir_close(*fd);
		*fd = -1;
		return NULL;
	}
	s->bytes = sizeof *s;
	s->magic = WEIR_SUMMARY_MAGIC;
	return s;
}

bool weir_summary_remove_stale(const char *path)
{
	struct stat st, now;
	int fd = weir_open_high(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	bool gone = false;

	if (fd < 0)
		return false;
	/* With its lock in hand: the name still leads to it, or nobody's is removed. */
	if (weir_fstat(fd, &st) == 0 && weir_file_wrong(&st) == NULL && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
	    weir_lstat(path, &now) == 0 && now.st_dev == st.st_dev && now.st_ino == st.st_ino)
		gone = weir_unlink(path, 0) == 0;
	weir_close(fd);
	return gone;
}

void weir_summary_close(struct weir_summary *s)
{
	if (s != NULL)
		munmap(s, sizeof *s);
}
