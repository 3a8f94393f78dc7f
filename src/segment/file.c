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
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "descriptor.h"
#include "layout.h"
#include "weir/kernel.h"
#include "weir/segment.h"

/* Allocation goes in steps: on tmpfs a signal interrupts it and undoes the step, and a program with a busy interval timer would
 * otherwise never get through. A step takes a few hundred microseconds. */
#define ALLOCATION_STEP_BYTES  (1 << 20)
#define INTERRUPTIONS_MAX      64
#define CREATION_TRIES         8
#define REPLACEMENT_LOCK_TRIES 200
#define REPLACEMENT_LOCK_PAUSE 5000000L /* ns: a second altogether; the holder needs two system calls */
#define TEMPORARY_SUFFIX_MAX   32
#define NAME_MAX_BYTES         600 /* WEIR_PATH_MAX and the suffix; PATH_MAX would be too much for a small stack */

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

/* The id of this boot as 16 bytes; false when it cannot be read. */
static bool boot_id(uint8_t out[16])
{
	char text[64];
	unsigned nibbles = 0;
	ssize_t n;
	int fd = weir_open_high("/proc/sys/kernel/random/boot_id", O_RDONLY, 0);

	if (fd < 0)
		return false;
	n = weir_read(fd, text, sizeof text);
	weir_close(fd);
	memset(out, 0, 16);
	for (ssize_t i = 0; i < n && nibbles < 32; i++) {
		unsigned v;

		if (text[i] >= '0' && text[i] <= '9')
			v = (unsigned)(text[i] - '0');
		else if (text[i] >= 'a' && text[i] <= 'f')
			v = (unsigned)(text[i] - 'a') + 10;
		else
			continue;
		out[nibbles / 2] = (uint8_t)(out[nibbles / 2] | (nibbles % 2 == 0 ? v << 4 : v));
		nibbles++;
	}
	return nibbles == 32;
}

static bool of_another_boot(const struct weir_segment *s)
{
	static const uint8_t unknown[16];
	uint8_t now[16];

	return memcmp(s->header->boot_id, unknown, sizeof unknown) != 0 && boot_id(now) &&
	       memcmp(s->header->boot_id, now, sizeof now) != 0;
}

/* Whether the open file may be used at all. Returns NULL or what is wrong. */
static const char *check_file(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "not a regular file";
	if (st->st_uid != weir_geteuid())
		return "it belongs to somebody else";
	if ((st->st_mode & 077) != 0)
		return "others may read or write it";
	return NULL;
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
		wrong = check_file(st);
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

/* Allocates all blocks of the new file. Returns 0 or errno. */
static int allocate(int fd, size_t bytes)
{
	struct rlimit limit;
	unsigned interruptions = 0;

	/* Growing a file beyond RLIMIT_FSIZE does not only fail, it sends SIGXFSZ, which would end the program. */
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < bytes)
		return EFBIG;
	for (size_t at = 0; at < bytes;) {
		size_t step = bytes - at < ALLOCATION_STEP_BYTES ? bytes - at : ALLOCATION_STEP_BYTES;
		int error = posix_fallocate(fd, (off_t)at, (off_t)step);

		if (error == EINTR && ++interruptions < INTERRUPTIONS_MAX)
			continue;
		if (error != 0)
			return error;
		at += step;
	}
	return 0;
}

/* A file being made: fd, and its temporary name (empty: it has none). */
struct unfinished {
	int fd;
	char name[NAME_MAX_BYTES];
};

static void discard(struct unfinished *u)
{
	if (u->name[0] != '\0')
		weir_unlink(u->name, 0);
	weir_close(u->fd);
}

static size_t put_number(char *out, uint64_t n)
{
	char digits[20];
	size_t length = 0, at = 0;

	do
		digits[length++] = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	while (length > 0)
		out[at++] = digits[--length];
	return at;
}

/* Opens an unnamed file beside `path`, or a temporarily named one. Returns 0 or errno. */
static int begin(struct unfinished *u, const char *path, bool named)
{
	const char *slash = strrchr(path, '/');
	size_t length = strlen(path), at;

	if (length + TEMPORARY_SUFFIX_MAX >= sizeof u->name)
		return ENAMETOOLONG;
	if (!named) {
		size_t directory = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);

		memcpy(u->name, slash == NULL ? "." : path, slash == NULL ? 1 : directory);
		u->name[slash == NULL ? 1 : directory] = '\0';
		u->fd = weir_open_high(u->name, O_TMPFILE | O_RDWR, 0600);
		u->name[0] = '\0';
	} else {
		/* The thread's number makes the name ours alone; what stands there was left by a dead predecessor of that number.
		 */
		memcpy(u->name, path, length);
		memcpy(u->name + length, ".new.", 5);
		at = length + 5 + put_number(u->name + length + 5, (uint64_t)weir_syscall(SYS_gettid));
		u->name[at] = '\0';
		weir_unlink(u->name, 0);
		u->fd = weir_open_high(u->name, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR, 0600);
	}
	if (u->fd < 0)
		return errno;
	return 0;
}

/* Gives the finished file its name. Returns 0 or errno (EEXIST: somebody was faster). */
static int finish(const struct unfinished *u, const char *path)
{
	char link_path[32] = "/proc/self/fd/";

	if (u->name[0] != '\0')
		return weir_link(u->name, path, 0) == 0 ? 0 : errno;
	link_path[14 + put_number(link_path + 14, (uint64_t)u->fd)] = '\0';
	if (weir_link(link_path, path, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	return errno;
}

/* Makes the file and maps it. *lost: somebody else's got the name; *unnamed_failed: worth trying with a temporary name. */
static enum weir_segment_result make(struct weir_segment *s, const char *path, const struct weir_geometry *g, bool named,
				     bool *lost, bool *unnamed_failed, const char **why, int *err)
{
	size_t bytes = weir_segment_bytes(g);
	struct unfinished u;
	enum weir_segment_result result;
	struct timespec wall = {0, 0};
	uint8_t boot[16];
	void *memory;
	int error;

	*lost = *unnamed_failed = false;
	if (bytes == 0)
		return refused(WEIR_SEGMENT_FAILED, "the geometry asked for is out of range", why, err);
	error = begin(&u, path, named);
	if (error != 0) {
		*unnamed_failed = !named;
		return failed(error, "cannot create it", why, err);
	}
	error = weir_syscall(SYS_fchmod, u.fd, 0600) != 0 ? errno : 0; /* whatever the umask took away */
	if (error != 0) {
		discard(&u);
		return failed(error, "cannot create it", why, err);
	}
	error = allocate(u.fd, bytes);
	if (error != 0) {
		discard(&u);
		return failed(error, "cannot allocate it", why, err);
	}
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, u.fd, 0);
	if (memory == MAP_FAILED) {
		result = failed(errno, "cannot map it", why, err);
		discard(&u);
		return result;
	}
	weir_syscall(SYS_clock_gettime, CLOCK_REALTIME, &wall);
	weir_segment_format(s, memory, bytes, g, boot_id(boot) ? boot : NULL,
			    (uint64_t)wall.tv_sec * UINT64_C(1000000000) + (uint64_t)wall.tv_nsec);
	/* Without it the digests are as good, but alike in all worlds. */
	(void)weir_syscall(SYS_getrandom, s->header->salt, sizeof s->header->salt, GRND_NONBLOCK);
	error = finish(&u, path);
	identify(s, u.fd);
	discard(&u);
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
