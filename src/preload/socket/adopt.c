/* SPDX-License-Identifier: MIT */
/*
 * Connections that this process has not opened: inherited over exec, passed by another one, or opened by ways that are not seen.
 * They are known by what is sent on them first: a request's head, or a ClientHello. Who has accepted a connection sends neither.
 * It is looked at once for each descriptor, and costs no system call where it is something else.
 *
 * Who has opened it may have counted the connection, if nothing had been sent on it before it was handed on.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "src/preload/core/attach.h"
#include "src/preload/core/environment.h"
#include "src/preload/core/readable.h"
#include "src/preload/name/table.h"
#include "src/preload/socket/conversation.h"
#include "src/preload/socket/record.h"
#include "src/preload/socket/tcp_state.h"
#include "weir/http.h"
#include "weir/kernel.h"

/* So much of what is sent tells what it is. */
#define HEAD 128
/* "M / HTTP/1.1\n" has so much. */
#define LEAST 13
/* A ClientHello is not longer. */
#define HELLO_MAX 65536

static bool is_too_short(const struct iovec *iov, size_t parts)
{
	for (size_t i = 0, n = 0; i < parts; i++) {
		n += iov[i].iov_len < LEAST ? iov[i].iov_len : LEAST;
		if (n >= LEAST)
			return false;
	}
	return true;
}

static bool begins_a_request(const struct iovec *iov, size_t parts)
{
	struct weir_wire_target target;
	struct weir_hello hello;
	enum weir_wire_kind kind;
	char head[HEAD];
	size_t n = 0;

	memset(head, 0, sizeof head);
	if (parts > 0 && iov[0].iov_len >= 3 && memcmp(iov[0].iov_base, "\x16\x03", 2) == 0) {
		n = iov[0].iov_len < HELLO_MAX ? iov[0].iov_len : HELLO_MAX;
		return weir_readable(iov[0].iov_base, n) && weir_hello_read(iov[0].iov_base, n, &hello);
	}
	for (size_t i = 0; i < parts && n < sizeof head; i++) {
		size_t some = iov[i].iov_len < sizeof head - n ? iov[i].iov_len : sizeof head - n;

		memcpy(head + n, iov[i].iov_base, some);
		n += some;
	}
	/* A line that goes on is as good as a whole one where it begins as one of ours. */
	kind = weir_wire_peek(head, n, &target);
	return kind == WEIR_WIRE_IS_HTTP || (kind == WEIR_WIRE_MAY_BE_HTTP && n == sizeof head && memmem(head, n, " /", 2));
}

static bool peer_of(int fd, char host_port[WEIR_HOST_PORT_MAX], struct weir_address *address, uint16_t *port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in6 in6;
	} peer;
	socklen_t length = sizeof peer;
	struct weir_name name;

	memset(&peer, 0, sizeof peer);
	if (weir_syscall(SYS_getpeername, fd, &peer, &length) != 0 || !weir_address_of(&peer.any, length, address, port))
		return false;
	if (!weir_name_recall(*address, weir_thread_id(), &name))
		weir_address_text(*address, name.text);
	return weir_host_port(name.text, *port, host_port);
}

__attribute__((noinline)) static bool open_as_found(int fd)
{
	char host_port[WEIR_HOST_PORT_MAX];
	struct weir_address address;
	struct weir_record *r;
	uint16_t port;

	if (!weir_kernel_allows(SYS_getpeername) || !peer_of(fd, host_port, &address, &port) || !weir_attach() ||
	    !weir_conversation_open(fd, host_port, port, weir_address_is_loopback(address)))
		return false;
	r = weir_record_take(fd);
	if (!r)
		return false;
	r->connections = 0; /* told of by who has opened it */
	weir_record_put(r);
	return true;
}

bool weir_conversation_adopt(int fd, const struct iovec *iov, size_t parts)
{
	int saved = errno;
	enum weir_tcp_state state;
	bool adopted;

	/* Nothing is sent of it. */
	if (parts == 0 || !weir_readable_parts(iov, parts, HEAD)) {
		errno = saved;
		return false;
	}
	state = !weir_disabled() && !is_too_short(iov, parts) && begins_a_request(iov, parts) ? weir_tcp_state(fd)
											      : WEIR_TCP_NONE;
	adopted = state == WEIR_TCP_CONNECTED && open_as_found(fd);
	/* A socket that is not connected yet may be. */
	if (!adopted && (state == WEIR_TCP_NONE || state == WEIR_TCP_CONNECTED))
		weir_conversation_none(fd);
	errno = saved;
	return adopted;
}
