/* SPDX-License-Identifier: MIT */
#include "src/preload/socket/tcp_state.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "src/preload/core/find_real.h"

#include "weir/kernel.h"

#define SECOND_NS UINT64_C(1000000000)

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

/* In state CLOSE the round-trip time tells: it is measured by the handshake, and stays when the peer resets the connection
 * later. The advertised receive window's MSS estimate is set when a handshake begins. */
static enum weir_tcp_state when_closed(const struct tcp_info *info)
{
	if (info->tcpi_rtt != 0)
		return WEIR_TCP_CONNECTED;
	return info->tcpi_rcv_mss != 0 ? WEIR_TCP_FAILED : WEIR_TCP_FRESH;
}

enum weir_tcp_state weir_tcp_state(int fd)
{
	const struct weir_libc *libc = weir_libc();
	struct tcp_info info;
	socklen_t length = sizeof info;

	/* What a connect asks of its socket; a filter that forbids it lets none be looked at. */
	if (!weir_kernel_allows(SYS_getsockopt) || !weir_kernel_allows(SYS_fcntl) || !weir_kernel_allows(SYS_getitimer))
		return WEIR_TCP_NONE;
	memset(&info, 0, sizeof info);
	if (!libc->getsockopt || libc->getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0)
		return WEIR_TCP_NONE;
	switch (info.tcpi_state) {
	case TCP_CLOSE:
		return when_closed(&info);
	case TCP_SYN_SENT:
		return WEIR_TCP_CONNECTING;
	case TCP_LISTEN:
		return WEIR_TCP_LISTENING;
	default:
		return WEIR_TCP_CONNECTED;
	}
}

uint64_t weir_tcp_handshake_ns(int fd, uint64_t elapsed_ns)
{
	const struct weir_libc *libc = weir_libc();
	struct tcp_info info;
	socklen_t length = sizeof info;
	uint64_t round_trip_ns, silent_ns;

	memset(&info, 0, sizeof info);
	if (!libc->getsockopt || libc->getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0)
		return 0;
	round_trip_ns = (uint64_t)info.tcpi_rtt * 1000;
	silent_ns = (uint64_t)info.tcpi_last_ack_recv * 1000000;
	if (info.tcpi_total_retrans == 0 || silent_ns >= elapsed_ns || elapsed_ns - silent_ns < round_trip_ns)
		return round_trip_ns;
	return elapsed_ns - silent_ns;
}

uint64_t weir_socket_identity(int fd)
{
	const struct weir_libc *libc = weir_libc();
	uint64_t cookie = 0;
	socklen_t length = sizeof cookie;
	struct stat st;

	if (libc->getsockopt && libc->getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length) == 0)
		return cookie;
	if (weir_fstat(fd, &st) != 0 || !S_ISSOCK(st.st_mode))
		return 0;
	return (uint64_t)st.st_ino | (UINT64_C(1) << 63);
}

static uint64_t in_ns(const struct timeval *t)
{
	return t->tv_sec < 0 ? 0 : (uint64_t)t->tv_sec * SECOND_NS + (uint64_t)t->tv_usec * 1000;
}

uint64_t weir_socket_patience_ns(int fd)
{
	const struct weir_libc *libc = weir_libc();
	struct itimerval alarm = {{0, 0}, {0, 0}};
	struct timeval sending = {0, 0};
	socklen_t length = sizeof sending;
	uint64_t patience = 0, left = 0;

	if (libc->getsockopt && libc->getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &sending, &length) == 0)
		patience = in_ns(&sending);
	if (getitimer(ITIMER_REAL, &alarm) == 0 && in_ns(&alarm.it_interval) == 0)
		left = in_ns(&alarm.it_value);
	return left != 0 && (patience == 0 || left < patience) ? left : patience;
}

/* What is not this machine's own cannot be bound to. */
static bool can_bind(const unsigned char bytes[16], bool ipv4)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	int fd = (int)weir_syscall(SYS_socket, ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool bound;

	if (fd < 0)
		return false;
	memcpy(&in.sin_addr, bytes + 12, sizeof in.sin_addr);
	memcpy(&in6.sin6_addr, bytes, sizeof in6.sin6_addr);
	bound = ipv4 ? weir_syscall(SYS_bind, fd, &in, sizeof in) == 0 : weir_syscall(SYS_bind, fd, &in6, sizeof in6) == 0;
	weir_close(fd);
	return bound;
}

/* Where net.ipv4.ip_nonlocal_bind is set, as beside keepalived, any address can be bound to, and it says nothing. 192.0.2.1
 * (RFC 5737) and 2001:db8::1 (RFC 3849) are nobody's. */
static bool can_bind_any(bool ipv4)
{
	static const unsigned char nobody[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1},
				   nobody4[16] = {[12] = 192, [14] = 2, [15] = 1};

	return can_bind(ipv4 ? nobody4 : nobody, ipv4);
}

__attribute__((noinline)) bool weir_address_is_here(struct weir_address address)
{
	unsigned char bytes[16];
	int saved = errno;
	bool here, ipv4 = weir_address_is_ipv4(address);

	if (weir_address_is_loopback(address))
		return true;
	memcpy(bytes, &address, sizeof bytes);
	here = weir_kernel_allows(SYS_socket) && weir_kernel_allows(SYS_bind) && can_bind(bytes, ipv4) && !can_bind_any(ipv4);
	errno = saved;
	return here;
}

int weir_flags_of(int fd)
{
	const struct weir_libc *libc = weir_libc();
	int saved = errno, flags = libc->fcntl ? libc->fcntl(fd, F_GETFL) : (int)weir_syscall(SYS_fcntl, fd, F_GETFL);

	errno = saved;
	return flags;
}
