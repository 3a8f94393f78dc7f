/* SPDX-License-Identifier: MIT */
/*
 * One write(2) per line, at other people's expense as little as can be.
 *
 * A reader that has gone raises SIGPIPE, a file at the host's size limit SIGXFSZ, a terminal that belongs to another job SIGTTOU:
 * they are sent to the writing thread, so blocking them and taking what came is enough.
 *
 * The number 2 is the host's to give away: what it leads to is compared with what it was when the log was set up, as a line in
 * somebody's data is worse than a line that is lost.
 *
 * A pipe or terminal may be full, and its description is shared with others who would notice a change of its flags. It is opened
 * once more, not to block, through /proc; a socket is told with the message. Where neither can be done it is asked for room, and
 * then another writer can still be faster.
 */
#include "src/log/write.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

#include "weir/kernel.h"

#define KERNEL_SIGSET_SIZE 8 /* what the rt_sig* calls take on every Linux but MIPS */
#define BIT(number)        (UINT64_C(1) << ((number)-1))
#define QUIET              (BIT(SIGPIPE) | BIT(SIGXFSZ) | BIT(SIGTTOU))
#define LOWEST             3 /* a program that has closed 0, 1 or 2 expects its own next file there */
#define SELF               "/proc/self/fd/2"

/* What standard error was. type 0: it was closed. Set up before the log is on. */
static struct {
	dev_t dev, rdev;
	ino_t ino;
	mode_t type;
} known;

void log_remember_stderr(void)
{
	struct stat st;

	known.type = 0;
	if (weir_fstat(STDERR_FILENO, &st) != 0)
		return;
	known.dev = st.st_dev;
	known.rdev = st.st_rdev;
	known.ino = st.st_ino;
	known.type = st.st_mode & S_IFMT;
}

static bool still_stderr(void)
{
	struct stat st;

	return known.type != 0 && weir_fstat(STDERR_FILENO, &st) == 0 && st.st_dev == known.dev && st.st_ino == known.ino &&
	       st.st_rdev == known.rdev && (st.st_mode & S_IFMT) == known.type;
}

static void write_quietly(int fd, const char *text, size_t length, bool socket)
{
	const struct timespec at_once = {0, 0};
	const uint64_t quiet = QUIET;
	uint64_t before = 0, pending = 0, came = 0;

	if (weir_syscall(SYS_rt_sigprocmask, SIG_BLOCK, &quiet, &before, KERNEL_SIGSET_SIZE) != 0)
		return;
	weir_syscall(SYS_rt_sigpending, &pending, KERNEL_SIGSET_SIZE);
	if (socket)
		weir_syscall(SYS_sendto, fd, text, length, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
	else if (weir_syscall(SYS_write, fd, text, length) < 0)
		came = (errno == EPIPE ? BIT(SIGPIPE) : errno == EFBIG ? BIT(SIGXFSZ) : 0) & ~pending;
	if (came != 0)
		weir_syscall(SYS_rt_sigtimedwait, &came, NULL, &at_once, KERNEL_SIGSET_SIZE);
	weir_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, KERNEL_SIGSET_SIZE);
}

static int open_high(const char *path, int flags)
{
	int fd = weir_open(path, flags | O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600), high;

	if (fd < 0 || fd >= LOWEST)
		return fd;
	high = (int)weir_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, LOWEST);
	weir_close(fd);
	return high;
}

static void write_with_room(const char *line, size_t length)
{
	const struct timespec at_once = {0, 0};
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (weir_syscall(SYS_ppoll, &p, 1, &at_once, NULL, KERNEL_SIGSET_SIZE) == 1 && (p.revents & POLLOUT))
		write_quietly(STDERR_FILENO, line, length, false);
}

void log_write_stderr(const char *line, size_t length)
{
	int fd;

	if (!still_stderr())
		return;
	switch (known.type) {
	case S_IFSOCK:
		write_quietly(STDERR_FILENO, line, length, true);
		return;
	case S_IFIFO:
	case S_IFCHR:
		fd = open_high(SELF, 0);
		if (fd < 0) {
			write_with_room(line, length);
			return;
		}
		write_quietly(fd, line, length, false);
		weir_close(fd);
		return;
	default: /* a file never lets one wait, and its position is shared with standard output, perhaps */
		write_quietly(STDERR_FILENO, line, length, false);
	}
}

void log_write_file(const char *path, const char *line, size_t length)
{
	/* Not to block: a FIFO without a reader, or with a slow one, loses lines instead of holding up the host. */
	int fd = open_high(path, O_CREAT);

	if (fd < 0)
		return;
	write_quietly(fd, line, length, false);
	weir_close(fd);
}
