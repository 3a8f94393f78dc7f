/* SPDX-License-Identifier: MIT */
/*
 * The records behind conversation.h.
 *
 * A record belongs to whoever has taken it (weir_record_take), for a few microseconds: never over a real call or a wait. Who does
 * not get it, because a thread was stopped for good while it had it, or because a signal handler asks for what its own thread
 * has, leaves the connection alone from then on.
 */
#ifndef WEIR_RECORD_H
#define WEIR_RECORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/preload/socket/conversation.h"
#include "weir/gate.h"
#include "weir/http.h"
#include "weir/wire.h"

/* Requests of one connection whose answers are awaited (pipelining). Of more than these only the count is kept. */
#define WEIR_HANDS   4
#define WEIR_NOWHERE 255 /* for record.written: there was no place in hand[] */
/* Of an answer's header lines, those that concern its host's limits. */
#define WEIR_LINES_BYTES 1024
/* A longer head is not kept (same_head.h). */
#define WEIR_HEAD_BYTES 512

enum weir_talk {
	WEIR_TALK_OPENING = 0, /* nothing has been sent */
	WEIR_TALK_HTTP,
	WEIR_TALK_TLS,
	WEIR_TALK_OPAQUE,
};

/* What becomes of a request when its answer comes. In the order of the requests on the connection. */
enum weir_mind {
	WEIR_MIND_HAND,  /* it is in hand[] */
	WEIR_MIND_LATER, /* it was sent together with the one before it: its unit is taken when it is answered */
	WEIR_MIND_NONE,  /* it is counted already */
};

/* Whose a request is, and for what, as struct weir_wish has them. `later`: that will be known after a handshake. */
struct weir_whose {
	uint64_t credential, path;
	bool later;
};

struct weir_record {
	_Atomic uint32_t names; /* descriptors that have it; 0 = free. Changed by who has taken it, but for 0 to 1. */
	_Atomic uint32_t serial;
	_Atomic uintptr_t busy; /* the thread that has taken it */
	_Atomic bool lost;      /* nobody will give it back */
	_Atomic uint8_t talk;
	uint64_t identity;
	uint64_t handshake_ns;
	uint64_t fresh_until_ns; /* so long `opened` may serve for what is sent first */
	int refused;             /* errno of every send from now on, 0 = none */
	uint16_t port;
	bool asked;      /* `next` is of what is sent next */
	uint8_t written; /* its head has passed as plain text, and is on its way to the socket: its place in hand[] + 1, or
			    WEIR_NOWHERE */
	bool http2;      /* what was to be sent last began so */
	bool has_unit;   /* `opened` has */
	bool connects;   /* the request that was begun last is a CONNECT */
	bool tunnel;     /* a proxy's CONNECT has been answered */
	bool heard;      /* a byte has been received */
	bool here;       /* host_port is this very machine */
	bool put_off;    /* connect has succeeded without a handshake: that comes with what is sent first */
	bool inherited;  /* its connection was this process's parent's */
	bool answering;  /* the oldest of hand[] is being answered */
	bool plain;      /* the wire is that of the plain text inside TLS */
	bool plain_seen; /* it was, or is */
	uint32_t waiter; /* thread that waits in place with its request, 0 = none */
	uint8_t hands, oldest;
	uint8_t answers;      /* complete ones, up to 255 */
	uint8_t minds;        /* how many there are */
	uint64_t mind;        /* two bits each, the oldest lowest */
	bool held;            /* back, for an event loop: loop.h */
	uint8_t eagains;      /* without a wait in between */
	int held_fd, held_ep; /* held_ep -1: not in an epoll set */
	uint8_t prompted;     /* its epoll set tells that it can be written, in so many waits, though nobody has asked for that */
	uint32_t eagain_thread, eagain_waits;
	uint64_t wake_ns;     /* with held: when to look at it again */
	uint32_t connections; /* not told of yet: 1, then 0 */
	uint8_t random[32];   /* of its ClientHello */
	char host_port[WEIR_HOST_PORT_MAX];
	char proxy[WEIR_HOST_PORT_MAX]; /* with connects: whom the connection was made to; "" = the same */
	struct weir_request opened;     /* the connection's own: of its connect, or of what is opaque */
	struct weir_request next;
	struct weir_request hand[WEIR_HANDS];
	struct weir_wire wire;
	bool apart;              /* a program's own TLS: its requests are told apart by their records, of which `turns` tells */
	uint64_t heard_ns;       /* of hand[0], there: what may have been its answer came then; 0 = nothing */
	struct weir_turns turns; /* fed from the ClientHello on */
	struct weir_whose whose; /* the request that was begun last */
	uint16_t coming_bytes;   /* of head[]: it has yet to be sent, and is kept then; 0 = not so */
	uint16_t head_bytes;     /* of head[]: it is kept (same_head.h); 0 = none is */
	bool unproved;           /* its request was begun without a question to the kernel (proof.h) */
	uintptr_t head_at;       /* where it was sent from, 0 = not known */
	uint16_t line_bytes;
	bool limits;                  /* among the lines is more than Date and Age */
	char lines[WEIR_LINES_BYTES]; /* name, NUL, value, NUL */
	char head[WEIR_HEAD_BYTES];
};

static inline enum weir_talk weir_talk_of(const struct weir_record *r)
{
	return (enum weir_talk)atomic_load_explicit(&r->talk, memory_order_relaxed);
}

static inline void weir_set_talk(struct weir_record *r, enum weir_talk talk)
{
	atomic_store_explicit(&r->talk, (uint8_t)talk, memory_order_relaxed);
}

/* That of fd, taken; NULL when it has none or it is not to be had. */
struct weir_record *weir_record_take(int fd);

/* That of a conversation somebody has kept. */
struct weir_record *weir_record_take_kept(weir_conversation c);

void weir_record_put(struct weir_record *r);

/* That of fd, not taken: to look at an atomic member. */
struct weir_record *weir_record_peek(int fd);

/* A name for a record that is taken. 0 = none. */
weir_conversation weir_record_name(const struct weir_record *r);

/* A new record for fd, taken and zeroed but for serial and names; NULL when there is no place or no memory. fd must not be
 * marked.
 */
struct weir_record *weir_record_claim(int fd);

/* Something is sent on it: who has opened it is told, if that was this process's parent. */
void weir_record_use(struct weir_record *r);

/* Whether a child of this process has sent something on its connection. */
bool weir_record_used_by_child(const struct weir_record *r);

/* fd is another name of it. It is taken. */
void weir_record_mark(struct weir_record *r, int fd);

/* fd is a name of it no more. True when that was the last: then it is still taken, and to be freed. */
bool weir_record_unmark(struct weir_record *r, int fd);
void weir_record_free(struct weir_record *r);

/* The nth record from 0, taken if it is in use; NULL otherwise. false when there are no more. */
bool weir_record_nth(uint32_t n, struct weir_record **out);

/* In a forked child: nobody has any of them. */
void weir_record_release_all(void);

#endif
