/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/parked.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "src/preload/core/find_real.h"
#include "src/preload/curl/multi_table.h"
#include "src/preload/curl/transfer.h"
#include "src/preload/socket/tcp_state.h"
#include "weir/kernel.h"

#define OWN_LINK 255 /* a segment that was forwarded once has less */

/* From how far away segments may come: 0 = from anywhere. */
static bool set_reach(int fd, int family, int hops)
{
	if (family == AF_INET)
		return weir_syscall(SYS_setsockopt, fd, IPPROTO_IP, IP_MINTTL, &hops, sizeof hops) == 0;
	return weir_syscall(SYS_setsockopt, fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, &hops, sizeof hops) == 0;
}

static bool park(struct weir_transfer *t, const struct weir_connecting *to)
{
	struct weir_parked *p = &t->parked[t->parks < WEIR_PARKED ? t->parks : 0];
	uint64_t identity = weir_socket_identity(to->fd);

	if (t->parks >= WEIR_PARKED || to->length > sizeof p->address || identity == 0 ||
	    weir_tcp_state(to->fd) != WEIR_TCP_FRESH || !set_reach(to->fd, to->address->sa_family, OWN_LINK))
		return false;
	if (weir_syscall(SYS_listen, to->fd, 0) != 0) {
		set_reach(to->fd, to->address->sa_family, 0);
		return false;
	}
	memset(p, 0, sizeof *p);
	p->fd = to->fd;
	p->identity = identity;
	p->length = to->length;
	memcpy(&p->address, to->address, to->length);
	if (t->parks++ == 0)
		t->multi->parked++;
	return true;
}

int weir_park(struct weir_transfer *t, const struct weir_connecting *to)
{
	if (!park(t, to))
		return weir_transfer_hurry(t);
	if (t->wake_ns < t->multi->wake_ns)
		t->multi->wake_ns = t->wake_ns;
	return EINPROGRESS;
}

static void release(const struct weir_parked *p)
{
	static const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
	const struct weir_libc *libc = weir_libc();

	/* Closed meanwhile, its number may be another file's. */
	if (weir_socket_identity(p->fd) != p->identity || weir_tcp_state(p->fd) != WEIR_TCP_LISTENING)
		return;
	weir_syscall(SYS_connect, p->fd, &nowhere, sizeof nowhere);
	set_reach(p->fd, p->address.in6.sin6_family, 0);
	/* An error shows on the socket, as that of a connect under way does. */
	if (libc->connect)
		libc->connect(p->fd, (const struct sockaddr *)&p->address, p->length);
	else
		weir_syscall(SYS_connect, p->fd, &p->address, p->length);
}

void weir_unpark(struct weir_transfer *t)
{
	int saved = errno;

	for (unsigned i = 0; i < t->parks; i++)
		release(&t->parked[i]);
	weir_park_forget(t);
	errno = saved;
}

void weir_park_forget(struct weir_transfer *t)
{
	if (t->parks > 0 && t->multi)
		t->multi->parked--;
	t->parks = 0;
}
