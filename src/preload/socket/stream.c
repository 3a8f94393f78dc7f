/* SPDX-License-Identifier: MIT */
/*
 * Hooks of what sends and receives: send, sendto, sendmsg, write, writev, recv, recvfrom, recvmsg, read, readv. On descriptors
 * that are not marked they cost a look at one word and a jump, without a frame of their own: what is done for the others, and
 * before the real functions have been found, stands in functions apart. pread and pwrite fail on sockets, and are let be.
 *
 * What is about to be sent is asked for before the call, and told of after it with as many bytes as the call took.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "src/preload/core/find_real.h"
#include "src/preload/core/hook.h"
#include "src/preload/core/readable.h"
#include "src/preload/socket/conversation.h"
#include "src/preload/socket/fast_open.h"
#include "src/preload/socket/hop.h"

#define LIKELY(x)   __builtin_expect(x, 1)
#define UNLIKELY(x) __builtin_expect(x, 0)
#define APART       __attribute__((noinline))

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

	for (size_t i = 0; i < parts && !wanted && answer >= 0; i++)
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
	if (weir_hop_followed(fd))
		return weir_hop_sending(fd, iov, parts);
	return (flags & MSG_OOB) != 0 || weir_conversation_sending(fd, iov, parts, (flags & MSG_DONTWAIT) != 0) == WEIR_LEAVE_GO;
}

/* The parts that may be looked at before the call: none where they lead nowhere, which is for the kernel to say. */
static size_t parts_to_send(const struct iovec *iov, int count)
{
	return count > 0 && count <= IOV_MAX && weir_readable(iov, (size_t)count * sizeof *iov) ? (size_t)count : 0;
}

/* The same after it: the kernel has read them. */
static size_t parts_of(const struct iovec *iov, int count)
{
	return iov && count > 0 && count <= IOV_MAX ? (size_t)count : 0;
}

/* What is sent on fd is to be told of. */
static bool is_ours(int fd, const struct iovec *iov, size_t parts)
{
	return UNLIKELY(weir_may_be_marked(fd)) &&
	       (weir_is_marked(fd) || weir_hop_followed(fd) || weir_conversation_adopt(fd, iov, parts));
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

APART static ssize_t send_apart(int fd, const void *bytes, size_t n, int flags)
{
	const struct iovec iov = {(void *)(uintptr_t)bytes, n};

	if (!is_ours(fd, &iov, 1))
		return real_send(fd, bytes, n, flags);
	return may_send(fd, &iov, 1, flags) ? sent(fd, &iov, 1, real_send(fd, bytes, n, flags)) : -1;
}

WEIR_HOOK ssize_t send(int fd, const void *bytes, size_t n, int flags)
{
	ssize_t (*real)(int, const void *, size_t, int) = weir_libc_functions.send;

	return LIKELY(real && !weir_may_be_marked(fd)) ? real(fd, bytes, n, flags) : send_apart(fd, bytes, n, flags);
}

WEIR_HOOK ssize_t sendto(int fd, const void *bytes, size_t n, int flags, const struct sockaddr *to, socklen_t length)
{
	const struct iovec iov = {(void *)(uintptr_t)bytes, n};

	if (UNLIKELY((flags & MSG_FASTOPEN) != 0) && to) {
		int fast = weir_fast_open(WEIR_FRAME, __builtin_return_address(0), fd, to, length);

		if (fast == WEIR_FAST_FAILED)
			return -1;
		if (fast == WEIR_FAST_CONNECTED) {
			flags &= ~MSG_FASTOPEN;
			to = NULL;
			length = 0;
		}
	}

	if (!is_ours(fd, &iov, 1))
		return REAL(sendto, fd, bytes, n, flags, to, length);
	return may_send(fd, &iov, 1, flags) ? sent(fd, &iov, 1, REAL(sendto, fd, bytes, n, flags, to, length)) : -1;
}

WEIR_HOOK ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct msghdr plain;
	size_t parts;

	if (UNLIKELY((flags & MSG_FASTOPEN) != 0) && weir_readable(message, sizeof *message) && message->msg_name) {
		int fast = weir_fast_open(WEIR_FRAME, __builtin_return_address(0), fd, message->msg_name, message->msg_namelen);

		if (fast == WEIR_FAST_FAILED)
			return -1;
		if (fast == WEIR_FAST_CONNECTED) {
			flags &= ~MSG_FASTOPEN;
			plain = *message;
			plain.msg_name = NULL;
			plain.msg_namelen = 0;
			message = &plain;
		}
	}

	if (!UNLIKELY(weir_may_be_marked(fd)) || !weir_readable(message, sizeof *message) || message->msg_iovlen > IOV_MAX)
		return REAL(sendmsg, fd, message, flags);
	parts = parts_to_send(message->msg_iov, (int)message->msg_iovlen);
	if (!is_ours(fd, message->msg_iov, parts))
		return REAL(sendmsg, fd, message, flags);
	if (!may_send(fd, message->msg_iov, parts, flags))
		return -1;
	return sent(fd, message->msg_iov, parts, REAL(sendmsg, fd, message, flags));
}

APART static ssize_t write_apart(int fd, const void *bytes, size_t n)
{
	const struct iovec iov = {(void *)(uintptr_t)bytes, n};

	if (!is_ours(fd, &iov, 1))
		return REAL(write, fd, bytes, n);
	return may_send(fd, &iov, 1, 0) ? sent(fd, &iov, 1, REAL(write, fd, bytes, n)) : -1;
}

WEIR_HOOK ssize_t write(int fd, const void *bytes, size_t n)
{
	ssize_t (*real)(int, const void *, size_t) = weir_libc_functions.write;

	return LIKELY(real && !weir_may_be_marked(fd)) ? real(fd, bytes, n) : write_apart(fd, bytes, n);
}

WEIR_HOOK ssize_t writev(int fd, const struct iovec *iov, int count)
{
	size_t parts;

	if (!UNLIKELY(weir_may_be_marked(fd)))
		return REAL(writev, fd, iov, count);
	parts = parts_to_send(iov, count);
	if (!is_ours(fd, iov, parts))
		return REAL(writev, fd, iov, count);
	return may_send(fd, iov, parts, 0) ? sent(fd, iov, parts, REAL(writev, fd, iov, count)) : -1;
}

APART static ssize_t recv_apart(int fd, void *bytes, size_t n, int flags)
{
	const struct iovec iov = {bytes, n};

	if (!weir_is_marked(fd))
		return real_recv(fd, bytes, n, flags);
	return received(fd, &iov, 1, flags, real_recv(fd, bytes, n, flags));
}

WEIR_HOOK ssize_t recv(int fd, void *bytes, size_t n, int flags)
{
	ssize_t (*real)(int, void *, size_t, int) = weir_libc_functions.recv;

	return LIKELY(real && !weir_is_marked(fd)) ? real(fd, bytes, n, flags) : recv_apart(fd, bytes, n, flags);
}

WEIR_HOOK ssize_t recvfrom(int fd, void *restrict bytes, size_t n, int flags, struct sockaddr *restrict from,
			   socklen_t *restrict length)
{
	const struct iovec iov = {bytes, n};

	if (!UNLIKELY(weir_is_marked(fd)))
		return REAL(recvfrom, fd, bytes, n, flags, from, length);
	return received(fd, &iov, 1, flags, REAL(recvfrom, fd, bytes, n, flags, from, length));
}

/* Descriptors that another process has passed. */
APART static void passed(struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		const unsigned char *data = CMSG_DATA(c);
		size_t n = c->cmsg_len > CMSG_LEN(0) ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
		int fd;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			memcpy(&fd, data + i * sizeof fd, sizeof fd);
			weir_conversation_unknown(fd);
		}
	}
}

WEIR_HOOK ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	ssize_t answer = REAL(recvmsg, fd, message, flags);

	if (UNLIKELY(answer >= 0 && message && message->msg_controllen >= sizeof(struct cmsghdr))) {
		int saved = errno;

		passed(message);
		errno = saved;
	}
	if (!UNLIKELY(weir_is_marked(fd)))
		return answer;
	if (answer < 0 || message->msg_iovlen > IOV_MAX)
		return answer < 0 ? received(fd, NULL, 0, flags, answer) : answer;
	return received(fd, message->msg_iov, parts_of(message->msg_iov, (int)message->msg_iovlen),
			flags | (message->msg_flags & MSG_ERRQUEUE), answer);
}

APART static ssize_t read_apart(int fd, void *bytes, size_t n)
{
	const struct iovec iov = {bytes, n};

	if (!weir_is_marked(fd))
		return REAL(read, fd, bytes, n);
	return received(fd, &iov, 1, 0, REAL(read, fd, bytes, n));
}

WEIR_HOOK ssize_t read(int fd, void *bytes, size_t n)
{
	ssize_t (*real)(int, void *, size_t) = weir_libc_functions.read;

	return LIKELY(real && !weir_is_marked(fd)) ? real(fd, bytes, n) : read_apart(fd, bytes, n);
}

WEIR_HOOK ssize_t readv(int fd, const struct iovec *iov, int count)
{
	if (!UNLIKELY(weir_is_marked(fd)))
		return REAL(readv, fd, iov, count);
	return received(fd, iov, parts_of(iov, count), 0, REAL(readv, fd, iov, count));
}
