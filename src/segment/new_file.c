/* SPDX-License-Identifier: MIT */
#include "new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "descriptor.h"
#include "weir/kernel.h"

/* Allocation goes in steps: on tmpfs a signal interrupts it and undoes the step, and a program with a busy interval timer would
 * otherwise never get through. A step takes a few hundred microseconds. */
#define ALLOCATION_STEP_BYTES (1 << 20)
#define INTERRUPTIONS_MAX     64
#define TEMPORARY_SUFFIX_MAX  32

bool weir_boot_id(uint8_t out[16])
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

const char *weir_file_wrong(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "not a regular file";
	if (st->st_uid != weir_geteuid())
		return "it belongs to somebody else";
	if ((st->st_mode & 077) != 0)
		return "others may read or write it";
	return NULL;
}

/* Where the file system copies on write (btrfs, bcachefs), not this file: a store into a page of it would want a new block, and
 * end in SIGBUS where there is none. To be said while it is empty; elsewhere it is refused, which does no harm. */
static void write_in_place(int fd)
{
	long flags = 0;

	if (weir_kernel_allows(SYS_ioctl) && weir_syscall(SYS_ioctl, fd, FS_IOC_GETFLAGS, &flags) == 0) {
		flags |= FS_NOCOW_FL;
		(void)weir_syscall(SYS_ioctl, fd, FS_IOC_SETFLAGS, &flags);
	}
}

int weir_file_allocate(int fd, size_t bytes)
{
	struct rlimit limit;
	unsigned interruptions = 0;

	/* Growing a file beyond RLIMIT_FSIZE does not only fail, it sends SIGXFSZ, which would end the program. */
	write_in_place(fd);
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

void weir_new_file_discard(struct weir_new_file *u)
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

int weir_new_file_begin(struct weir_new_file *u, const char *path, bool named)
{
	const char *slash = strrchr(path, '/');
	size_t length = strlen(path), at;
	int error;

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
	if (weir_syscall(SYS_fchmod, u->fd, 0600) == 0) /* whatever the umask took away */
		return 0;
	error = errno;
	weir_new_file_discard(u);
	return error;
}

int weir_new_file_finish(const struct weir_new_file *u, const char *path)
{
	char link_path[32] = "/proc/self/fd/";

	if (u->name[0] != '\0')
		return weir_link(u->name, path, 0) == 0 ? 0 : errno;
	link_path[14 + put_number(link_path + 14, (uint64_t)u->fd)] = '\0';
	if (weir_link(link_path, path, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	return errno;
}
