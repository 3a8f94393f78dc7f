/* SPDX-License-Identifier: MIT */
/*
 * Requests that libcurl sends over a connection which is open already, in a multi handle: a redirect's hop, a repetition with
 * credentials. Nobody may be made to wait there, but libcurl can be made to send later: what it sends is answered with EAGAIN
 * until the request's turn has come, as where a socket's buffer is full. It keeps the request, and sends it when it is asked to.
 *
 * The connections of such transfers are followed from their connect on. That costs what they send a look at a word of the thread.
 */
#ifndef WEIR_HOP_H
#define WEIR_HOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "src/preload/socket/conversation.h"

/* Where a request is held back. Zeroed: nowhere. */
struct weir_hop {
	int fd;
	uint64_t identity; /* of the socket; 0 = libcurl has not tried to send it */
};

/* How the connection of an expected request is told from others of this thread. */
struct weir_hop_way {
	bool tls;
	uint16_t port; /* local, 0 = not known */
};

/* Libcurl is about to connect fd for a transfer in a multi handle. */
void weir_hop_follow(int fd);

static inline bool weir_hop_followed(int fd)
{
	return (unsigned)fd < WEIR_MARKS && atomic_load_explicit(&weir_mark[fd], memory_order_relaxed) == WEIR_MARK_FOLLOWED;
}

/* The HTTP/1 request that this thread sends next on a connection that is followed is `hop`'s, and is held back. hop NULL: none
 * is. What is not such a request ends the expectation. hop must stay where it is until then. */
void weir_hop_expect(struct weir_hop *hop, const struct weir_hop_way *way);

/* It may go; or it is refused with this errno as soon as it is tried. Nothing for a hop that is nowhere. Preserves errno. */
void weir_hop_go(struct weir_hop *hop);
void weir_hop_refuse(const struct weir_hop *hop, int error);

/* Whether this thread has been answered with EAGAIN for any of them since it asked last. */
bool weir_hop_any_tried(void);

/* Whether that has been tried since it was asked last. */
bool weir_hop_tried(const struct weir_hop *hop);

/* For the hooks of what sends, on a connection that is followed: whether the call may be made. Else errno is set. */
bool weir_hop_sending(int fd, const struct iovec *iov, size_t parts);

#endif
