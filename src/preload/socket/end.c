/* SPDX-License-Identifier: MIT */
/*
 * Hooks of getsockopt and close: they see how a connect that was under way has ended, and where a conversation ends. Where there
 * is neither, they cost a load or two and a jump.
 */
#include <errno.h>
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
