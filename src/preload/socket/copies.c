/* SPDX-License-Identifier: MIT */
/* Hooks of dup, dup2, dup3 and fcntl: a descriptor's copy is the same conversation. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "src/preload/core/find_real.h"
#include "src/preload/core/hook.h"
#include "src/preload/socket/conversation.h"

static int copied(int fd, int copy)
{
	int saved = errno;

	if (copy >= 0 && (weir_may_be_marked(fd) || weir_may_be_marked(copy)))
		weir_conversation_copied(fd, copy);
	errno = saved;
	return copy;
}

WEIR_HOOK int dup(int fd)
{
	const struct weir_libc *libc = weir_libc();

	return copied(fd, libc->dup ? libc->dup(fd) : (int)syscall(SYS_dup, fd));
}

WEIR_HOOK int dup2(int fd, int copy)
{
	const struct weir_libc *libc = weir_libc();

	return copied(fd, libc->dup2 ? libc->dup2(fd, copy) : (int)syscall(SYS_dup3, fd, copy, 0));
}

WEIR_HOOK int dup3(int fd, int copy, int flags)
{
	const struct weir_libc *libc = weir_libc();

	return copied(fd, libc->dup3 ? libc->dup3(fd, copy, flags) : (int)syscall(SYS_dup3, fd, copy, flags));
}

static int control(int (*real)(int, int, ...), int fd, int command, void *argument)
{
	int answer = real ? real(fd, command, argument) : (int)syscall(SYS_fcntl, fd, command, argument);

	return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? copied(fd, answer) : answer;
}

WEIR_HOOK int fcntl(int fd, int command, ...)
{
	va_list rest;
	void *argument;

	va_start(rest, command);
	argument = va_arg(rest, void *);
	va_end(rest);
	return control(weir_libc()->fcntl, fd, command, argument);
}

WEIR_HOOK int fcntl64(int fd, int command, ...)
{
	va_list rest;
	void *argument;

	va_start(rest, command);
	argument = va_arg(rest, void *);
	va_end(rest);
	return control(weir_libc()->fcntl64 ? weir_libc()->fcntl64 : weir_libc()->fcntl, fd, command, argument);
}
