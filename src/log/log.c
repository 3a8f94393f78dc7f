/* SPDX-License-Identifier: MIT */
/*
 * The log: level, destination, and one write(2) per line.
 *
 * The system calls are made directly. The libc functions of these names are cancellation points, so a thread of the host that has
 * a cancellation pending would end in the middle of weir; and they may be hooked, by weir itself among others.
 *
 * No descriptor is kept: a file is opened, written and closed for each line. That is slow, and a log is for looking into things.
 */
#include "weir/kernel.h"
#include "weir/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "src/log/format.h"

#define LINE_MAX_BYTES     600 /* a longer line is cut */
#define PATH_MAX_BYTES     512
#define KERNEL_SIGSET_SIZE 8 /* what the rt_sig* calls take on every Linux but MIPS; sigset_t begins with it */

static const char *const names[] = {"off", "error", "warn", "info", "debug"};

static _Atomic int threshold;            /* enum weir_log_level; written last */
static char destination[PATH_MAX_BYTES]; /* empty: standard error */

static bool same_word(const char *text, size_t length, const char *word)
{
	return strlen(word) == length && memcmp(text, word, length) == 0;
}

/* Copies the path; a relative one is taken from the working directory of now, as the host may leave it later. */
static const char *set_destination(const char *path)
{
	size_t prefix = 0;

	if (path[0] != '/') {
		if (!weir_getcwd(destination, sizeof destination))
			return "the working directory of a relative log file cannot be found";
		prefix = strlen(destination);
		destination[prefix++] = '/';
	}
	if (prefix + strlen(path) >= sizeof destination) {
		destination[0] = '\0';
		return "the log file's name is too long";
	}
	memcpy(destination + prefix, path, strlen(path) + 1);
	return NULL;
}

const char *weir_log_setup(const char *spec)
{
	size_t length = strcspn(spec, ":");
	const char *wrong = NULL;
	int saved = errno;

	for (int level = WEIR_LOG_OFF; level <= WEIR_LOG_DEBUG; level++) {
		if (!same_word(spec, length, names[level]))
			continue;
		atomic_store_explicit(&threshold, WEIR_LOG_OFF, memory_order_relaxed);
		destination[0] = '\0';
		if (spec[length] == ':' && spec[length + 1] != '\0')
			wrong = set_destination(spec + length + 1);
		if (!wrong)
			atomic_store_explicit(&threshold, level, memory_order_release);
		errno = saved;
		return wrong;
	}
	return "expected LEVEL or LEVEL:FILE with LEVEL one of error, warn, info, debug, off";
}

bool weir_log_on(enum weir_log_level level)
{
	return level != WEIR_LOG_OFF && (int)level <= atomic_load_explicit(&threshold, memory_order_acquire);
}

/* Writes without letting a reader that has gone kill the host: a SIGPIPE that this write raises is taken back. It is sent to this
 * very thread, so blocking it here and taking it from the pending ones is enough. */
static void write_quietly(long fd, const char *text, size_t length)
{
	const struct timespec at_once = {0, 0};
	sigset_t pipe_only, before, pending;

	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	sigemptyset(&pending);
	sigemptyset(&before);
	if (weir_syscall(SYS_rt_sigprocmask, SIG_BLOCK, &pipe_only, &before, KERNEL_SIGSET_SIZE) != 0)
		return;
	weir_syscall(SYS_rt_sigpending, &pending, KERNEL_SIGSET_SIZE);
	if (weir_syscall(SYS_write, fd, text, length) < 0 && errno == EPIPE && !sigismember(&pending, SIGPIPE))
		weir_syscall(SYS_rt_sigtimedwait, &pipe_only, NULL, &at_once, KERNEL_SIGSET_SIZE);
	weir_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, KERNEL_SIGSET_SIZE);
}

static void write_line(const char *line, size_t length)
{
	long fd;

	if (destination[0] == '\0') {
		write_quietly(STDERR_FILENO, line, length);
		return;
	}
	/* O_NONBLOCK: a FIFO without a reader, or with a slow one, loses lines instead of holding up the host. */
	fd = weir_syscall(SYS_openat, AT_FDCWD, destination, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
			  0600);
	if (fd < 0)
		return;
	write_quietly(fd, line, length);
	weir_syscall(SYS_close, fd);
}

/* One call, one line, whatever bytes a host name brought along. */
static void replace_controls(char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = '?';
	}
}

void weir_log(enum weir_log_level level, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	va_list arguments;
	size_t length;
	int saved = errno;

	if (!weir_log_on(level))
		return;
	length = weir_format(line, sizeof line - 1, "weir[%d]: %s: ", (int)weir_getpid(), names[level]);
	va_start(arguments, format);
	length += weir_vformat(line + length, sizeof line - 1 - length, format, arguments);
	va_end(arguments);
	replace_controls(line, length);
	line[length++] = '\n';
	write_line(line, length);
	errno = saved;
}
