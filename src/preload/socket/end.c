/* SPDX-License-Identifier: MIT */
/*
 * Hooks of getsockopt, close, close_range and closefrom: they see how a connect that was under way has ended, and where a
 * conversation ends. Where there is neither, they cost a load or two and a jump.
 */
#include <errno.h>
#include <limits.h>
#include <linux/close_range.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "src/preload/core/find_real.h"
#include "src/preload/core/hook.h"
#include "src/preload/socket/conversation.h"
#include "src/preload/socket/pending.h"

WEIR_HOOK int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict length)
{
	const struct weir_libc *libc = weir_libc();
	int answer, error = 0, saved;

	if (!libc->getsockopt)
		return (int)syscall(SYS_getsockopt, fd, level, name, value, length);
	if (!weir_pending_any() || level != SOL_SOCKET || name != SO_ERROR)
		return libc->getsockopt(fd, level, name, value, length);
	answer = libc->getsockopt(fd, level, name, value, length);
	saved = errno;
	if (answer == 0 && *length == sizeof error) {
		memcpy(&error, value, sizeof error);
		weir_pending_told(fd, error);
	}
	errno = saved;
	return answer;
}

WEIR_HOOK int close(int fd)
{
	const struct weir_libc *libc = weir_libc();
	int saved = errno;

	if (weir_pending_any())
		weir_pending_closing(fd);
	if (weir_is_marked(fd))
		weir_conversation_closing(fd);
	errno = saved;
	return libc->close ? libc->close(fd) : (int)syscall(SYS_close, fd);
}

/* What is open of ours in there is closed. */
static void closing(unsigned first, unsigned last)
{
	int saved = errno;

	for (unsigned fd = first; fd <= last && fd < WEIR_MARKS; fd++) {
		if (weir_pending_any())
			weir_pending_closing((int)fd);
		if (weir_is_marked((int)fd))
			weir_conversation_closing((int)fd);
	}
	errno = saved;
}

WEIR_HOOK int close_range(unsigned first, unsigned last, int flags)
{
	const struct weir_libc *libc = weir_libc();

	if (((unsigned)flags & CLOSE_RANGE_CLOEXEC) == 0)
		closing(first, last);
	return libc->close_range ? libc->close_range(first, last, flags) : (int)syscall(SYS_close_range, first, last, flags);
}

WEIR_HOOK void closefrom(int first)
{
	const struct weir_libc *libc = weir_libc();

	closing(first > 0 ? (unsigned)first : 0, UINT_MAX);
	if (libc->closefrom)
		libc->closefrom(first);
	else
		syscall(SYS_close_range, first > 0 ? first : 0, UINT_MAX, 0);
}
