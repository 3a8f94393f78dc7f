/* SPDX-License-Identifier: MIT */
#include "src/preload/socket/hop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "src/preload/core/hook.h"
#include "src/preload/socket/tcp_state.h"
#include "weir/kernel.h"
#include "weir/wire.h"

#define TLS_APPLICATION_DATA 0x17 /* RFC 8446, 5.1 */

/* By descriptor. Descriptors are closed behind our back, so what is held is the socket of that identity. */
static struct {
	_Atomic uint64_t identity; /* 0 = nothing is held back */
	_Atomic int error;         /* what is answered */
	_Atomic bool tried;
} held[WEIR_MARKS];

static WEIR_THREAD_LOCAL struct {
	struct weir_hop *expected;
	struct weir_hop_way way;
	bool tried;
} mine;

void weir_hop_follow(int fd)
{
	if ((unsigned)fd < WEIR_MARKS && !weir_is_marked(fd))
		atomic_store_explicit(&weir_mark[fd], WEIR_MARK_FOLLOWED, memory_order_relaxed);
}

void weir_hop_expect(struct weir_hop *hop, const struct weir_hop_way *way)
{
	mine.expected = hop;
	if (!hop)
		return;
	*hop = (struct weir_hop){.fd = -1};
	mine.way = *way;
}

static bool is_there(const struct weir_hop *hop)
{
	return hop->identity != 0 && atomic_load_explicit(&held[hop->fd].identity, memory_order_relaxed) == hop->identity;
}

void weir_hop_go(struct weir_hop *hop)
{
	if (mine.expected == hop)
		mine.expected = NULL;
	if (is_there(hop))
		atomic_store_explicit(&held[hop->fd].identity, 0, memory_order_relaxed);
	hop->identity = 0;
}

void weir_hop_refuse(const struct weir_hop *hop, int error)
{
	if (is_there(hop))
		atomic_store_explicit(&held[hop->fd].error, error, memory_order_relaxed);
}

bool weir_hop_any_tried(void)
{
	bool tried = mine.tried;

	mine.tried = false;
	return tried;
}

bool weir_hop_tried(const struct weir_hop *hop)
{
	return is_there(hop) && atomic_exchange_explicit(&held[hop->fd].tried, false, memory_order_relaxed);
}

static bool comes_from(int fd, uint16_t port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} a;
	socklen_t length = sizeof a;

	/* A seccomp filter may kill for the question: then the order alone tells. */
	if (port == 0 || !weir_kernel_allows(SYS_getsockname))
		return true;
	memset(&a, 0, sizeof a);
	if (weir_syscall(SYS_getsockname, fd, &a, &length) != 0)
		return false;
	return ntohs(a.any.sa_family == AF_INET6 ? a.in6.sin6_port : a.in.sin_port) == port;
}

/* Its preface looks like a request: RFC 9113, 3.4. */
static bool is_http2(const struct weir_wire_target *target)
{
	return target->method_bytes == 3 && memcmp(target->method, "PRI", 3) == 0;
}

/* Whether that begins a request. In TLS nobody can tell, but nothing else is sent as application data then. */
static bool is_request(const struct iovec *iov, size_t parts, bool tls)
{
	struct weir_wire_target target;
	enum weir_wire_kind kind;

	if (parts == 0 || iov[0].iov_len == 0)
		return false;
	if (tls)
		return *(const unsigned char *)iov[0].iov_base == TLS_APPLICATION_DATA;
	kind = weir_wire_peek(iov[0].iov_base, iov[0].iov_len, &target);
	return kind == WEIR_WIRE_MAY_BE_HTTP || (kind == WEIR_WIRE_IS_HTTP && !is_http2(&target));
}

/* Something is sent while a request is expected. Whether that is it; then it is held back. */
__attribute__((noinline)) static bool hold(int fd, const struct iovec *iov, size_t parts)
{
	struct weir_hop *hop = mine.expected;
	uint64_t identity;

	if (!comes_from(fd, mine.way.port))
		return false;
	mine.expected = NULL;
	identity = is_request(iov, parts, mine.way.tls) ? weir_socket_identity(fd) : 0;
	if (identity == 0)
		return false;
	*hop = (struct weir_hop){fd, identity};
	atomic_store_explicit(&held[fd].error, EAGAIN, memory_order_relaxed);
	atomic_store_explicit(&held[fd].identity, identity, memory_order_relaxed);
	return true;
}

/* Whether something is held back on fd, and it is still that connection. */
__attribute__((noinline)) static bool is_held(int fd, uint64_t identity)
{
	if (weir_socket_identity(fd) == identity)
		return true;
	atomic_store_explicit(&held[fd].identity, 0, memory_order_relaxed);
	return false;
}

bool weir_hop_sending(int fd, const struct iovec *iov, size_t parts)
{
	uint64_t identity = atomic_load_explicit(&held[fd].identity, memory_order_relaxed);
	int saved = errno;
	bool holds;

	if (identity == 0 && !mine.expected)
		return true;
	holds = identity != 0 ? is_held(fd, identity) : hold(fd, iov, parts);
	errno = saved;
	if (!holds)
		return true;
	errno = atomic_load_explicit(&held[fd].error, memory_order_relaxed);
	atomic_store_explicit(&held[fd].tried, true, memory_order_relaxed);
	mine.tried = true;
	return false;
}
