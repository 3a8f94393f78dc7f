/* SPDX-License-Identifier: MIT */
/*
 * Conversations: what passes over the TCP connections that the program has opened by connect, request by request.
 *
 * A descriptor is marked by connect (always anew), its copies by dup, and the mark goes with close. A mark is a hint: descriptors
 * are closed behind our back, so the socket's identity (SO_COOKIE) is compared wherever a request begins, or, of one that can
 * still leave, where it gets no answer (proof.h). All copies of a descriptor have one conversation. The records stand in a table
 * of fixed size, mapped when the first is needed; a connection that finds no place there counts as a connection alone, as it does
 * where memory cannot be had.
 *
 * A conversation is HTTP/1, or TLS, or neither (opaque). Of HTTP/1 each request is admitted before it is sent and settled by its
 * own answer, and holds a permit from the one to the other. What is opaque is one request, from its first byte to close. In TLS
 * the same is done for the plain text where somebody tells it (weir_conversation_plain_...); where nobody does requests are told
 * apart by their records (own_tls.h), or the connection is one. The wait is always at the socket: a request that has been begun
 * holds back what is sent next.
 *
 * Functions that are told of bytes never block, and leave errno alone.
 */
#ifndef WEIR_CONVERSATION_H
#define WEIR_CONVERSATION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "src/preload/core/room.h"
#include "weir/gate.h"
#include "weir/wire.h"

/* Descriptors beyond are never marked. */
#define WEIR_MARKS 65536

/* By descriptor: the number of its conversation's record; 0: nobody knows what it is, as this process has begun with it or was
 * handed it; WEIR_MARK_NONE: it is known to be no conversation of ours; WEIR_MARK_FOLLOWED: nor is this, but what is sent there
 * may be held back (hop.h). */
extern _Atomic uint16_t weir_mark[WEIR_MARKS];
#define WEIR_MARK_NONE     UINT16_MAX
#define WEIR_MARK_FOLLOWED (UINT16_MAX - 1)

static inline bool weir_is_marked(int fd)
{
	return (unsigned)fd < WEIR_MARKS &&
	       (uint16_t)(atomic_load_explicit(&weir_mark[fd], memory_order_relaxed) - 1) < WEIR_MARK_FOLLOWED - 1;
}

/* Whether that is so, or what is sent has to be looked at: weir_conversation_adopt, weir_hop_sending. */
static inline bool weir_may_be_marked(int fd)
{
	return (unsigned)fd < WEIR_MARKS && atomic_load_explicit(&weir_mark[fd], memory_order_relaxed) != WEIR_MARK_NONE;
}

/* A conversation, for whoever keeps it beyond a call: record and serial number. 0 = none. One whose record serves another
 * connection by now is as good as none; every function takes that in its stride. */
typedef uint64_t weir_conversation;

/* --- Life of a descriptor -------------------------------------------------------------------------------------------------- */

/* The program begins to connect fd to host_port, whatever fd was before. `here`: that is this very machine. False when there is
 * no place: then the connection is all that is seen of it. */
bool weir_conversation_open(int fd, const char *host_port, uint16_t port, bool here);

/* The program is about to send this on fd, of which nothing is known. Where that begins a request, and fd is a connection, it was
 * connected elsewhere, and what passes from here on is its conversation. Returns whether fd is marked now. */
bool weir_conversation_adopt(int fd, const struct iovec *iov, size_t parts);

/* fd has been connected, and is nothing that this room is to follow; or it has come from somewhere, and is not known. */
void weir_conversation_none(int fd);
void weir_conversation_unknown(int fd);

/* fd is connected, by a request that was admitted. Takes it over: what is sent first goes on it where it has a unit, else it
 * gives way to a request that takes one. handshake_ns: how long it took, 0 = from admission to now. False when fd has no
 * conversation: then the request is still the caller's. */
bool weir_conversation_connected(const struct weir_gate *g, int fd, const struct weir_request *request, bool has_unit,
				 uint64_t handshake_ns);

/* Whether fd's connect has been put off (TCP_FASTOPEN_CONNECT): another connect tells how it stands, and is no new attempt. */
bool weir_conversation_is_put_off(int fd);

/* The program is about to cut the connection, and keeps the socket (connect to AF_UNSPEC). */
void weir_conversation_ending(int fd);

/* `copy` is another name of fd from now on, whatever it was before. */
void weir_conversation_copied(int fd, int copy);

/* fd is about to be closed. With its last name the conversation ends: what is under way is settled. */
void weir_conversation_closing(int fd);

/* --- Finding one ----------------------------------------------------------------------------------------------------------- */

/* That of fd. About 2 ns. */
weir_conversation weir_conversation_on(int fd);

/* The one whose ClientHello, as it passed the socket, had this random (SSL_get_client_random, gnutls_session_get_random): for
 * sessions that are bound to no descriptor (memory BIOs, callbacks). A walk over the records in use: keep what is found. 0 as
 * long as the hello has not been sent. */
weir_conversation weir_conversation_with_random(const uint8_t random[32]);

/* --- Plain text inside TLS ------------------------------------------------------------------------------------------------- */

/* The program is about to hand these bytes to its TLS library (SSL_write, gnutls_record_send). Where they begin a request, that
 * is begun, and what is then sent on the socket waits for its turn: in place, or by EAGAIN, which the library hands on as "want
 * write". Called again with the same bytes (a retry) it does nothing. Does not block. */
void weir_conversation_plain_sending(weir_conversation c, const void *bytes, size_t n);

/* The library has taken so many of them. */
void weir_conversation_plain_sent(weir_conversation c, const void *bytes, size_t n);

/* The library has returned these bytes to the program; not those that it only peeked at. */
void weir_conversation_plain_received(weir_conversation c, const void *bytes, size_t n);

/* The other side has ended the stream of plain text. */
void weir_conversation_plain_closed(weir_conversation c);

/* --- At the socket: for the hooks of send and receive ---------------------------------------------------------------------- */

enum weir_leave {
	WEIR_LEAVE_GO,      /* make the call */
	WEIR_LEAVE_REFUSED, /* answer -1, errno is set: EAGAIN (held back for now), or ECONNREFUSED, ETIMEDOUT */
};

/* The program is about to send on a marked fd. May wait in place, as long as a request may. dont_wait: MSG_DONTWAIT. */
enum weir_leave weir_conversation_sending(int fd, const struct iovec *iov, size_t parts, bool dont_wait);

/* `taken` bytes of it have been sent. */
void weir_conversation_sent(int fd, const struct iovec *iov, size_t parts, size_t taken);

/* `taken` bytes have been received into it; 0: the other side has closed. */
void weir_conversation_received(int fd, const struct iovec *iov, size_t parts, size_t taken);

/* A send or receive has failed with this errno. */
void weir_conversation_failed(int fd, int error);

/* Bytes have passed that nobody has seen: from here on it is opaque. */
void weir_conversation_lost(int fd);

/* At the end of the process all is settled, in a forked child all that is in flight is dropped without settling. */
extern const struct weir_room weir_conversation_room;

#endif
