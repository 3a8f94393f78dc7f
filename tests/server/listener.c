#include "tests/server/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024

/* An own connection that has not been established after this time met a full queue. On loopback it
 * takes some 20 µs. */
#define FILLER_TIMEOUT_MS 20

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int local_port(int fd, uint16_t *port)
{
	struct sockaddr_in address;
	socklen_t length = sizeof address;

	if (getsockname(fd, (struct sockaddr *)&address, &length) != 0)
		return -1;
	*port = ntohs(address.sin_port);
	return 0;
}

/* A socket bound to 127.0.0.1:port, not yet listening. */
static int bound_socket(uint16_t port)
{
	struct sockaddr_in address = loopback(port);
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

int listener_open(struct listener *l, uint16_t port)
{
	int finder = -1;
	int error;

	memset(l, 0, sizeof *l);
	l->fd = -1;
	l->port = port;
	/* A port that the kernel chose is lost when the socket leaves LISTEN; one that was asked for
	 * by number is kept (listener_refuse). So find a free one first, and then ask for it. */
	if (port == 0) {
		finder = bound_socket(0);
		if (finder < 0 || local_port(finder, &l->port) != 0)
			goto failed;
	}
	l->fd = bound_socket(l->port);
	if (l->fd < 0 || listen(l->fd, BACKLOG) != 0)
		goto failed;
	if (finder >= 0)
		close(finder);
	l->listening = true;
	return 0;

failed:
	error = errno;
	if (finder >= 0)
		close(finder);
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	errno = error;
	return -1;
}

static void drop_fillers(struct listener *l)
{
	for (size_t i = 0; i < l->fillers; i++) {
		if (l->filler_fd[i] >= 0)
			close(l->filler_fd[i]);
		/* The port is kept: its connection may still be in the accept queue. */
		l->filler_fd[i] = -1;
	}
}

void listener_close(struct listener *l)
{
	if (l->fd < 0)
		return;
	drop_fillers(l);
	close(l->fd);
	l->fd = -1;
	l->listening = false;
}

int listener_refuse(struct listener *l)
{
	/* On Linux, shutdown takes a socket out of LISTEN (connections in its queue get a RST) and leaves
	 * it bound: to clients it is closed, and no other program can take the port in the meantime. */
	if (shutdown(l->fd, SHUT_RD) != 0)
		return -1;
	l->listening = false;
	return 0;
}

/* One own connection. 1 when established, 0 when the queue is full, -1 with errno. */
static int fill(struct listener *l)
{
	struct sockaddr_in address = loopback(l->port);
	struct pollfd poller = {.events = POLLOUT};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	poller.fd = fd;
	if (poll(&poller, 1, FILLER_TIMEOUT_MS) != 1) {
		close(fd);
		return 0;
	}
	l->filler_fd[l->fillers] = fd;
	if (local_port(fd, &l->filler_port[l->fillers]) != 0) {
		close(fd);
		return -1;
	}
	l->fillers++;
	return 1;
}

int listener_swallow(struct listener *l)
{
	int filled = 1;

	l->fillers = 0;
	/* A queue of 0 still takes one connection. */
	if (listen(l->fd, 0) != 0)
		return -1;
	while (filled == 1 && l->fillers < LISTENER_FILLERS)
		filled = fill(l);
	listener_take_drops(l); /* the last own SYN */
	return filled < 0 ? -1 : 0;
}

int listener_resume(struct listener *l)
{
	drop_fillers(l);
	if (listen(l->fd, BACKLOG) != 0)
		return -1;
	l->listening = true;
	return 0;
}

static bool is_filler(const struct listener *l, const struct sockaddr_in *peer)
{
	for (size_t i = 0; i < l->fillers; i++) {
		if (l->filler_port[i] == ntohs(peer->sin_port))
			return true;
	}
	return false;
}

int listener_accept(struct listener *l, struct sockaddr_in *peer)
{
	for (;;) {
		socklen_t length = sizeof *peer;
		int one = 1;
		int fd = accept4(l->fd, (struct sockaddr *)peer, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return -1;
		if (is_filler(l, peer)) {
			close(fd);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		return fd;
	}
}

uint64_t listener_take_drops(struct listener *l)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t length = sizeof info;
	uint32_t since;

	/* Since Linux 4.12; on an older kernel the count stays 0. */
	if (l->fd < 0 || getsockopt(l->fd, SOL_SOCKET, SO_MEMINFO, info, &length) != 0)
		return 0;
	since = info[SK_MEMINFO_DROPS] - l->drops_seen;
	l->drops_seen = info[SK_MEMINFO_DROPS];
	return since;
}
