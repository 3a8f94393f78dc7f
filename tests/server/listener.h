/* One listening socket on 127.0.0.1 that can be made to refuse and to swallow connections.
 * Not thread-safe: the outage's mutex covers it. */
#ifndef QUOTAD_LISTENER_H
#define QUOTAD_LISTENER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LISTENER_FILLERS 8

struct listener {
	int fd; /* -1 = not in use */
	uint16_t port;
	bool listening;
	/* Own connections that keep the accept queue full. */
	int filler_fd[LISTENER_FILLERS];
	uint16_t filler_port[LISTENER_FILLERS];
	size_t fillers;
	uint32_t drops_seen;
};

/* Listens on 127.0.0.1:port (0 = any free port). 0, or -1 with errno. */
int listener_open(struct listener *l, uint16_t port);
void listener_close(struct listener *l);

/* From now on connect() is answered with RST. The port stays reserved. 0, or -1 with errno. */
int listener_refuse(struct listener *l);

/* From now on SYNs are dropped: the backlog is cut to its minimum and filled with own connections.
 * Takes some milliseconds. 0, or -1 with errno. */
int listener_swallow(struct listener *l);

/* Listens and accepts as at first. 0, or -1 with errno. */
int listener_resume(struct listener *l);

/* The next connection (non-blocking, TCP_NODELAY), or -1 with errno (EAGAIN: none left). Own
 * connections from listener_swallow are dropped. */
int listener_accept(struct listener *l, struct sockaddr_in *peer);

/* SYNs dropped since the last call, client retransmissions included. */
uint64_t listener_take_drops(struct listener *l);

#endif
