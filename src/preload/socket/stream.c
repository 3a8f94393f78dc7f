/* SPDX-License-Identifier: MIT */
/*
 * Hooks of what sends and receives: send, sendto, sendmsg, write, writev, recv, recvfrom, recvmsg, read, readv. On descriptors
 * that are not marked they cost a look at one word and a jump. pread and pwrite fail on sockets, and are let be.
 *
 * What is about to be sent is asked for before the call, and told of after it with as many bytes as the call took.
 */
#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "src/preload/core/find_real.h"
#include "src/preload/core/hook.h"
#include "src/preload/socket/conversation.h"

#define UNLIKELY(x) __builtin_expect(x, 0)

/* Tells of a call that has been made. */
static ssize_t sent(int fd, const struct iovec *iov, size_t parts, ssize_t answer)
{
	if (answer > 0)
		weir_conversation_sent(fd, iov, parts, (size_t)answer);
	else if (answer < 0)
		weir_conversation_failed(fd, errno);
	return answer;
}

static ssize_t received(int fd, const struct iovec *iov, size_t parts, int flags, ssize_t answer)
{
	bool wanted = false;

	for (size_t i = 0; i < parts && !wanted; i++)
		wanted = iov[i].iov_len > 0;
	if (answer < 0)
		weir_conversation_failed(fd, errno);
	else if ((flags & MSG_TRUNC) != 0 && (flags & MSG_PEEK) == 0)
		weir_conversation_lost(fd);
	else if ((flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE)) == 0 && (answer > 0 || wanted))
		weir_conversation_received(fd, iov, parts, (size_t)answer);
	return answer;
}

static bool may_send(int fd, const struct iovec *iov, size_t parts, int flags)
{
	return (flags & MSG_OOB) != 0 || weir_conversation_sending(fd, iov, parts, (flags & MSG_DONTWAIT) != 0) == WEIR_LEAVE_GO;
}

/* What the caller's iovec leads to is for the kernel to judge. */
static size_t parts_of(const struct iovec *iov, int count)
{
	return iov && count > 0 && count <= IOV_MAX ? (size_t)count : 0;
}

#define REAL(name, ...) (weir_libc()->name ? weir_libc()->name(__VA_ARGS__) : (ssize_t)syscall(SYS_##name, __VA_ARGS__))

static ssize_t real_send(int fd, const void *bytes, size_t n, int flags)
{
	return weir_libc()->send ? weir_libc()->send(fd, bytes, n, flags)
				 : (ssize_t)syscall(SYS_sendto, fd, bytes, n, flags, NULL, 0);
}

static ssize_t real_recv(int fd, void *bytes, size_t n, int flags)
{
	return weir_libc()->recv ? weir_libc()->recv(fd, bytes, n, flags)
				 : (ssize_t)syscall(SYS_recvfrom, fd, bytes, n, flags, NULL, NULL);
}

WEIR_HOOK ssize_t send(int fd, const void *bytes, size_t n, int flags)
{
	const struct iovec iov = {(void *)(uintptr_t)bytes, n};

	if (!UNLIKELY(weir_is_marked(fd)))
		return real_send(fd, bytes, n, flags);
	return may_send(fd, &iov, 1, flags) ? sent(fd, &iov, 1, real_send(fd, bytes, n, flags)) : -1;
}

WEIR_HOOK ssize_t sendto(int fd, const void *bytes, size_t n, int flags, const struct sockaddr *to, socklen_t length)
{
	const struct iovec iov = {(void *)(uintptr_t)bytes, n};

	if (!UNLIKELY(weir_is_marked(fd)))
		return REAL(sendto, fd, bytes, n, flags, to, length);
	return may_send(fd, &iov, 1, flags) ? sent(fd, &iov, 1, REAL(sendto, fd, bytes, n, flags, to, length)) : -1;
}

WEIR_HOOK ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	size_t parts;

	if (!UNLIKELY(weir_is_marked(fd)) || !message || message->msg_iovlen > IOV_MAX)
		return REAL(sendmsg, fd, message, flags);
	parts = parts_of(message->msg_iov, (int)message->msg_iovlen);
	if (!may_send(fd, message->msg_iov, parts, flags))
		return -1;
	return sent(fd, message->msg_iov, parts, REAL(sendmsg, fd, message, flags));
}

WEIR_HOOK ssize_t write(int fd, const void *bytes, size_t n)
{
	const struct iovec iov = {(void *)(uintptr_t)bytes, n};

	if (!UNLIKELY(weir_is_marked(fd)))
		return REAL(write, fd, bytes, n);
	return may_send(fd, &iov, 1, 0) ? sent(fd, &iov, 1, REAL(write, fd, bytes, n)) : -1;
}

WEIR_HOOK ssize_t writev(int fd, const struct iovec *iov, int count)
{
	size_t parts;

	if (!UNLIKELY(weir_is_marked(fd)))
		return REAL(writev, fd, iov, count);
	parts = parts_of(iov, count);
	return may_send(fd, iov, parts, 0) ? sent(fd, iov, parts, REAL(writev, fd, iov, count)) : -1;
}

WEIR_HOOK ssize_t recv(int fd, void *bytes, size_t n, int flags)
{
	const struct iovec iov = {bytes, n};

	if (!UNLIKELY(weir_is_marked(fd)))
		return real_recv(fd, bytes, n, flags);
	return received(fd, &iov, 1, flags, real_recv(fd, bytes, n, flags));
}

WEIR_HOOK ssize_t recvfrom(int fd, void *restrict bytes, size_t n, int flags, struct sockaddr *restrict from,
			   socklen_t *restrict length)
{
	const struct iovec iov = {bytes, n};

	if (!UNLIKELY(weir_is_marked(fd)))
		return REAL(recvfrom, fd, bytes, n, flags, from, length);
	return received(fd, &iov, 1, flags, REAL(recvfrom, fd, bytes, n, flags, from, length));
}

WEIR_HOOK ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	ssize_t answer = REAL(recvmsg, fd, message, flags);

	if (!UNLIKELY(weir_is_marked(fd)) || !message || message->msg_iovlen > IOV_MAX)
		return answer;
	return received(fd, message->msg_iov, parts_of(message->msg_iov, (int)message->msg_iovlen),
			flags | (answer >= 0 ? message->msg_flags & MSG_ERRQUEUE : 0), answer);
}

WEIR_HOOK ssize_t read(int fd, void *bytes, size_t n)
{
	const struct iovec iov = {bytes, n};

	if (!UNLIKELY(weir_is_marked(fd)))
		return REAL(read, fd, bytes, n);
	return received(fd, &iov, 1, 0, REAL(read, fd, bytes, n));
}

WEIR_HOOK ssize_t readv(int fd, const struct iovec *iov, int count)
{
	if (!UNLIKELY(weir_is_marked(fd)))
		return REAL(readv, fd, iov, count);
	return received(fd, iov, parts_of(iov, count), 0, REAL(readv, fd, iov, count));
}
