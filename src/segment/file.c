/* SPDX-License-Identifier: MIT */
/*
 * The segment's file: made whole and put in place in one step, checked before use.
 *
 * Making: an unnamed file (O_TMPFILE) in the same directory, all its blocks allocated, formatted, then linked to the name. Nobody
 * can find a file that is not finished, and a process that dies before the link leaves nothing behind. Where unnamed files cannot
 * be had, a file with a name of its own takes their place. link(2) fails when the name is taken: the loser maps the winner's
 * file.
 *
 * Replacing: whoever wants a file gone locks it (flock ends with its holder), makes sure that the name still leads to that very
 * file, and unlinks the name. Names only ever lead from one file to nothing and from nothing to a whole file, so nobody can
 * remove a file that somebody else has just put there.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "descriptor.h"
#include "layout.h"
#include "new_file.h"
#include "weir/kernel.h"
#include "weir/segment.h"

#define CREATION_TRIES         8
#define REPLACEMENT_LOCK_TRIES 200
#define REPLACEMENT_LOCK_PAUSE 5000000L /* ns: a second altogether; the holder needs two system calls */

static enum weir_segment_result failed(int error, const char *text, const char **why, int *err)
{
	*why = text;
	*err = error;
	switch (error) {
	case EACCES:
	case EPERM:
	case ELOOP:
	case EISDIR:
	case ENOTDIR:
	case ENXIO:
	case EROFS:
	case ENOENT:
		return WEIR_SEGMENT_DENIED;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return WEIR_SEGMENT_FULL;
	default:
		return WEIR_SEGMENT_FAILED;
	}
}

static enum weir_segment_result refused(enum weir_segment_result result, const char *text, const char **why, int *err)
{
	*why = text;
	*err = 0;
	return result;
}

static bool of_another_boot(const struct weir_segment *s)
{
	static const uint8_t unknown[16];
	uint8_t now[16];

	return memcmp(s->header->boot_id, unknown, sizeof unknown) != 0 && weir_boot_id(now) &&
	       memcmp(s->header->boot_id, now, sizeof now) != 0;
}

/* Opens the file at `path` for use, O_NONBLOCK so that a device or FIFO put there cannot stop us. Sets *fd. */
static enum weir_segment_result open_checked(const char *path, int *fd, struct stat *st, const char **why, int *err)
{
	const char *wrong;

	memset(st, 0, sizeof *st);
	*fd = weir_open_high(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	if (*fd < 0) {
		if (errno == ENOENT) {
			*why = "there is no such file";
			*err = ENOENT;
			return WEIR_SEGMENT_ABSENT;
		}
		return failed(errno, "cannot open it", why, err);
	}
	if (weir_fstat(*fd, st) != 0)
		wrong = "cannot examine it";
	else
		wrong = weir_file_wrong(st);
	if (wrong == NULL)
		return WEIR_SEGMENT_OK;
	weir_close(*fd);
	*fd = -1;
	return refused(WEIR_SEGMENT_DENIED, wrong, why, err);
}

__attribute__((noinline)) static void identify(struct weir_segment *s, int fd)
{
	struct stat st;

	if (weir_fstat(fd, &st) != 0)
		return;
	s->device = st.st_dev;
	s->inode = st.st_ino;
}

/* Maps an open, checked file. */
static enum weir_segment_result map(struct weir_segment *s, int fd, const struct stat *st, const char **why, int *err)
{
	size_t bytes = (size_t)st->st_size;
	const char *wrong;
	void *memory;

	if (st->st_size < (off_t)sizeof(struct weir_segment_header))
		return refused(WEIR_SEGMENT_INVALID, "shorter than a header", why, err);
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return failed(errno, "cannot map it", why, err);
	wrong = weir_segment_attach(s, memory, bytes);
	if (wrong != NULL) {
		munmap(memory, bytes);
		return refused(WEIR_SEGMENT_INVALID, wrong, why, err);
	}
	identify(s, fd);
	/* A copy made with holes would end in SIGBUS on a full file system: fill them now, or do without. */
	if ((uint64_t)st->st_blocks * 512 < bytes && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, st->st_size) != 0 &&
	    errno != EOPNOTSUPP) {
		enum weir_segment_result result = failed(errno, "cannot allocate its holes", why, err);

		weir_segment_close(s);
		return result;
	}
	if (of_another_boot(s)) {
		weir_segment_close(s);
		return refused(WEIR_SEGMENT_STALE, "from before the last boot", why, err);
	}
	return WEIR_SEGMENT_OK;
}

/* Takes the name away from the file open as fd. True when the name no longer leads to that file, whoever did it. */
static bool unlink_this(const char *path, int fd, const struct stat *st)
{
	const struct timespec pause = {0, REPLACEMENT_LOCK_PAUSE};
	struct stat now;
	bool gone;

	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
		if ((errno != EWOULDBLOCK && errno != EINTR) || i >= REPLACEMENT_LOCK_TRIES)
			return false;
		weir_syscall(SYS_nanosleep, &pause, NULL); /* unlike nanosleep() no cancellation point */
	}
	if (weir_lstat(path, &now) != 0)
		gone = errno == ENOENT;
	else if (now.st_dev != st->st_dev || now.st_ino != st->st_ino)
		gone = true;
	else
		gone = weir_unlink(path, 0) == 0;
	flock(fd, LOCK_UN);
	return gone;
}

/* Makes the file and maps it. *lost: somebody else's got the name; *unnamed_failed: worth trying with a temporary name. */
static enum weir_segment_result make(struct weir_segment *s, const char *path, const struct weir_geometry *g, bool named,
				     bool *lost, bool *unnamed_failed, const char **why, int *err)
{
	size_t bytes = weir_segment_bytes(g);
	struct weir_new_file u;
	enum weir_segment_result result;
	struct timespec wall = {0, 0};
	uint8_t boot[16];
	void *memory;
	int error;

	*lost = *unnamed_failed = false;
	if (bytes == 0)
		return refused(WEIR_SEGMENT_FAILED, "the geometry asked for is out of range", why, err);
	error = weir_new_file_begin(&u, path, named);
	if (error != 0) {
		*unnamed_failed = !named;
		return failed(error, "cannot create it", why, err);
	}
	error = weir_file_allocate(u.fd, bytes);
	if (error != 0) {
		weir_new_file_discard(&u);
		return failed(error, "cannot allocate it", why, err);
	}
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, u.fd, 0);
	if (memory == MAP_FAILED) {
		result = failed(errno, "cannot map it", why, err);
		weir_new_file_discard(&u);
		return result;
	}
	weir_syscall(SYS_clock_gettime, CLOCK_REALTIME, &wall);
	weir_segment_format(s, memory, bytes, g, weir_boot_id(boot) ? boot : NULL,
			    (uint64_t)wall.tv_sec * UINT64_C(1000000000) + (uint64_t)wall.tv_nsec);
	/* Without it the digests are as good, but alike in all worlds. */
	(void)weir_syscall(SYS_getrandom, s->header->salt, sizeof s->header->salt, GRND_NONBLOCK);
	error = weir_new_file_finish(&u, path);
	identify(s, u.fd);
	weir_new_file_discard(&u);
	if (error == 0)
		return WEIR_SEGMENT_OK;
	weir_segment_close(s);
	*lost = error == EEXIST;
	*unnamed_failed = !named && !*lost; /* no /proc, or links to unnamed files are not allowed */
	return failed(error, "cannot put it in place", why, err);
}

static enum weir_segment_result create(struct weir_segment *s, const char *path, const struct weir_geometry *g, bool *lost,
				       const char **why, int *err)
{
	bool unnamed_failed;
	enum weir_segment_result result = make(s, path, g, false, lost, &unnamed_failed, why, err);

	/* The reasons why O_TMPFILE is refused differ by file system and kernel (EOPNOTSUPP, EISDIR, ENOENT, EINVAL): just try.
	 */
	return unnamed_failed ? make(s, path, g, true, lost, &unnamed_failed, why, err) : result;
}

enum weir_segment_result weir_segment_open(struct weir_segment *s, const char *path, bool create_it,
					   const struct weir_geometry *g, const char **why, int *err)
{
	enum weir_segment_result result = WEIR_SEGMENT_FAILED;
	struct stat st;
	bool lost;
	int fd;

	memset(s, 0, sizeof *s);
	*why = NULL;
	*err = 0;
	for (int i = 0; i < CREATION_TRIES; i++) {
		result = open_checked(path, &fd, &st, why, err);
		if (result == WEIR_SEGMENT_ABSENT && create_it) {
			result = create(s, path, g, &lost, why, err);
			if (lost)
				continue;
			break;
		}
		if (result != WEIR_SEGMENT_OK)
			break;
		result = map(s, fd, &st, why, err);
		if (result == WEIR_SEGMENT_STALE && create_it && unlink_this(path, fd, &st)) {
			weir_close(fd);
			continue;
		}
		weir_close(fd);
		break;
	}
	if (result == WEIR_SEGMENT_OK) {
		*why = NULL;
		*err = 0;
	}
	return result;
}

enum weir_segment_result weir_segment_replace(struct weir_segment *s, const char *path, const struct weir_geometry *g,
					      const char **why, int *err)
{
	enum weir_segment_result result;
	struct stat st;
	bool gone;
	int fd;

	memset(s, 0, sizeof *s);
	*why = NULL;
	*err = 0;
	result = open_checked(path, &fd, &st, why, err);
	if (result == WEIR_SEGMENT_OK) {
		gone = unlink_this(path, fd, &st);
		weir_close(fd);
		if (!gone)
			return failed(errno, "cannot remove the old one", why, err);
	} else if (result != WEIR_SEGMENT_ABSENT) {
		return result;
	}
	return weir_segment_open(s, path, true, g, why, err);
}

void weir_segment_close(struct weir_segment *s)
{
	if (s->base != NULL)
		munmap(s->base, s->bytes);
	memset(s, 0, sizeof *s);
}
