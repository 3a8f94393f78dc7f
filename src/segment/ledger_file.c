/* SPDX-License-Identifier: MIT */
/*
 * The ledger's file. Made whole as the segment's is; one that cannot be used is renamed by whoever holds its lock (flock ends
 * with its holder) and has made sure that the name still leads to it, so that nobody renames what somebody else has just put
 * there.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>

#include "descriptor.h"
#include "new_file.h"
#include "weir/kernel.h"
#include "weir/ledger.h"

#define TRIES      8
#define LOCK_TRIES 200
#define LOCK_PAUSE 5000000L /* ns: a second altogether */
#define ASIDE      ".bad"

static uint64_t wall_s(void)
{
	struct timespec t = {0, 0};

	weir_syscall(SYS_clock_gettime, CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec;
}

static void set_boot(struct weir_ledger *l)
{
	uint8_t id[16];
	uint64_t half[2];

	l->boot = 0;
	if (!weir_boot_id(id))
		return;
	memcpy(half, id, sizeof half);
	l->boot = half[0] ^ half[1];
	l->boot += l->boot == 0;
}

/* Whether a block that the file has is written where it is, so that a store into a page of it needs no room. Others copy on
 * write, always or where a block is shared with a snapshot or another file, or it is not known what they do. */
static bool writes_in_place(int fd)
{
	struct statfs fs;

	memset(&fs, 0, sizeof fs);
	if (!weir_kernel_allows(SYS_fstatfs) || weir_syscall(SYS_fstatfs, fd, &fs) != 0)
		return false;
	return fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
}

/* Maps the open file. Returns NULL or what is wrong; *err: errno, or 0 when it is the file itself. */
static const char *map(struct weir_ledger *l, int fd, const struct stat *st, int *err)
{
	size_t bytes = (size_t)st->st_size;
	const char *why;
	void *memory;

	*err = 0;
	if (st->st_size < (off_t)sizeof(struct weir_ledger_header))
		return "it is torn: shorter than its header";
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		*err = errno;
		return "it cannot be mapped";
	}
	why = weir_ledger_attach(l, memory, bytes);
	/* A copy made with holes would end in SIGBUS on a full file system. */
	if (why == NULL && (uint64_t)st->st_blocks * 512 < bytes && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, st->st_size) != 0 &&
	    errno != EOPNOTSUPP) {
		*err = errno;
		why = "its holes cannot be allocated";
	}
	if (why != NULL) {
		munmap(memory, bytes);
		memset(l, 0, sizeof *l);
		return why;
	}
	l->device = st->st_dev;
	l->inode = st->st_ino;
	l->guarded = !writes_in_place(fd);
	set_boot(l);
	return NULL;
}

/* Returns 0 or errno; EEXIST: somebody was faster, or has just done it. */
static int make(const char *path, uint64_t lost_s, bool named)
{
	struct weir_new_file u;
	struct weir_ledger l;
	void *memory;
	int error = weir_new_file_begin(&u, path, named);

	if (error != 0)
		return error;
	error = weir_file_allocate(u.fd, WEIR_LEDGER_BYTES);
	if (error == 0) {
		memory = mmap(NULL, WEIR_LEDGER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, u.fd, 0);
		error = memory == MAP_FAILED ? errno : 0;
		if (error == 0) {
			memset(&l, 0, sizeof l);
			weir_ledger_format(&l, memory, lost_s);
			/* On the disk before it has its name; where that may not be, the kernel will see to it. */
			(void)weir_syscall(SYS_msync, memory, (size_t)WEIR_LEDGER_BYTES, MS_SYNC);
			munmap(memory, WEIR_LEDGER_BYTES);
			error = weir_new_file_finish(&u, path);
		}
	}
	weir_new_file_discard(&u);
	return error;
}

static int make_somehow(const char *path, uint64_t lost_s)
{
	int error = make(path, lost_s, false);

	/* Why unnamed files are refused differs by file system and kernel: just try. */
	return error == 0 || error == EEXIST || error == ENOSPC || error == EDQUOT ? error : make(path, lost_s, true);
}

static bool lock(int fd)
{
	const struct timespec pause = {0, LOCK_PAUSE};

	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
		if ((errno != EWOULDBLOCK && errno != EINTR) || i >= LOCK_TRIES)
			return false;
		weir_syscall(SYS_nanosleep, &pause, NULL);
	}
	return true;
}

/* `path` with a suffix. False: too long. */
static bool beside(const char *path, const char *suffix, char out[WEIR_NAME_MAX_BYTES])
{
	size_t n = strlen(path), m = strlen(suffix);

	if (n + m >= WEIR_NAME_MAX_BYTES)
		return false;
	memcpy(out, path, n);
	memcpy(out + n, suffix, m + 1);
	return true;
}

/* The one that takes its place is whole before, and takes it in one step: nobody ever finds no ledger, which would mean that
 * nothing was used. */
static __attribute__((noinline)) int exchange(const char *path)
{
	char other[WEIR_NAME_MAX_BYTES];
	int error;

	if (!beside(path, ASIDE, other))
		return ENAMETOOLONG;
	weir_unlink(other, 0);
	if (weir_link(path, other, 0) != 0 && errno != EEXIST)
		return errno;
	(void)beside(path, ".next", other);
	weir_unlink(other, 0);
	error = make_somehow(other, wall_s());
	if (error == 0 && weir_syscall(SYS_renameat2, AT_FDCWD, other, AT_FDCWD, path, 0) != 0)
		error = errno;
	return error;
}

/* Sets the file aside that is open as fd, and puts a new one in its place that says so. */
static int replace(const char *path, int fd, const struct stat *st)
{
	struct stat now;
	int error = 0;

	if (!lock(fd))
		return EWOULDBLOCK;
	if (weir_lstat(path, &now) == 0 && now.st_dev == st->st_dev && now.st_ino == st->st_ino)
		error = exchange(path);
	flock(fd, LOCK_UN);
	return error;
}

static int open_file(const char *path, struct stat *st, const char **why)
{
	int fd = weir_open_high(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0), error;

	if (fd < 0)
		return -1;
	*why = weir_fstat(fd, st) != 0 ? "it cannot be looked at" : weir_file_wrong(st);
	if (*why == NULL)
		return fd;
	error = EACCES;
	weir_close(fd);
	errno = error;
	return -1;
}

bool weir_ledger_open(struct weir_ledger *l, const char *path, const char **why, int *err)
{
	const char *bad = NULL;
	struct stat st;

	memset(l, 0, sizeof *l);
	memset(&st, 0, sizeof st);
	*why = NULL;
	for (int i = 0; i < TRIES; i++) {
		const char *wrong = "it cannot be opened";
		int fd = open_file(path, &st, &wrong);

		*err = fd < 0 ? errno : 0;
		if (fd < 0 && *err == ENOENT) {
			*err = make_somehow(path, 0);
			if (*err == 0 || *err == EEXIST)
				continue;
			*why = "it cannot be made";
			return false;
		}
		if (fd < 0) {
			*why = wrong;
			return false;
		}
		wrong = map(l, fd, &st, err);
		if (wrong != NULL && *err == 0) {
			bad = wrong;
			*err = replace(path, fd, &st);
		} else if (wrong == NULL) {
			weir_close(fd);
			*why = bad;
			return true;
		}
		weir_close(fd);
		if (*err != 0 && *err != EEXIST) {
			*why = wrong;
			return false;
		}
	}
	*why = "it changes all the time";
	return false;
}

void weir_ledger_close(struct weir_ledger *l)
{
	if (l->header != NULL)
		munmap(l->header, l->bytes);
	memset(l, 0, sizeof *l);
}

bool weir_ledger_is_there(const struct weir_ledger *l, const char *path)
{
	struct stat st;

	return weir_lstat(path, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode;
}
