/* SPDX-License-Identifier: MIT */
/*
 * What passes over a connection, read without touching it: HTTP/1 in both directions, the first message of TLS, and its records.
 *
 * Pure: bytes in, events out; fixed memory in the caller's hands, no allocation, no system call, no clock. Every byte is hostile.
 * What is not HTTP/1 is opaque from its first byte on, and stays so: an opaque connection costs one look at one word per call.
 *
 * Sources: RFC 9112 (framing: section 6.3), RFC 9110 (methods, statuses), RFC 8446 4.1.2, RFC 6066 3 and RFC 7301 (ClientHello).
 */
#ifndef WEIR_WIRE_H
#define WEIR_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A line that comes in pieces is put together in this many bytes; of a longer one nothing is believed. */
#define WEIR_WIRE_LINE_MAX 256
/* A head of more bytes than this is none. curl gives up at 300 KiB, servers at 8 to 64. */
#define WEIR_WIRE_HEAD_MAX (512U * 1024)
/* Requests under way on one connection (pipelining). */
#define WEIR_WIRE_DEPTH 32

/* One direction of a connection. */
struct weir_wire_stream {
	uint64_t left;       /* bytes of the body or chunk that are still to come */
	uint32_t head_bytes; /* of the head being read */
	uint16_t line_bytes; /* in line[] */
	uint8_t state;
	uint8_t framing;
	bool line_cut; /* the line was longer than line[] */
	bool has_length;
	uint16_t status; /* of the answer being read */
	char line[WEIR_WIRE_LINE_MAX];
};

/* A connection. Zeroed = fresh. To be used by one thread at a time. */
struct weir_wire {
	bool opaque;
	uint8_t pending; /* requests whose answers have not begun */
	uint8_t last;    /* the kind of the last one */
	uint64_t kinds;  /* theirs, two bits each, the oldest lowest */
	struct weir_wire_stream sent, received;
};

enum weir_wire_event {
	WEIR_WIRE_NONE = 0, /* all bytes are consumed */
	WEIR_WIRE_REQUEST,  /* a request's head is complete; its body follows */
	WEIR_WIRE_INTERIM,  /* a 1xx answer but 101: another one follows */
	WEIR_WIRE_ANSWER,   /* an answer's head is complete: weir_wire_status() tells which; see weir_wire_answer_over() */
	WEIR_WIRE_END,      /* an answer is complete */
	WEIR_WIRE_OPAQUE,   /* what passes is not HTTP/1, or is none any more */
};

/* Called for each header line of a head, in order; name and value are not terminated, the value without the white space around
 * it. Lines of trailers are not told. A folded line is told without its continuation. */
struct weir_wire_sink {
	void (*line)(void *of, const char *name, size_t name_bytes, const char *value, size_t value_bytes);
	void *of;
};

/* Takes in bytes that the program has sent: up to the next event, or all of them. Returns how many; call again with the rest.
 * sink may be NULL. Nothing is consumed once the connection is opaque. */
size_t weir_wire_sent(struct weir_wire *w, const void *bytes, size_t n, const struct weir_wire_sink *sink,
		      enum weir_wire_event *event);

/* The program has sent the last request's head once more, byte by byte the same; it had no body. Takes it in as weir_wire_sent
 * would, for WEIR_WIRE_REQUEST, without reading it. False, and nothing done, where it begins no request. */
bool weir_wire_sent_again(struct weir_wire *w);

/* As weir_wire_sent, for bytes that the program has received. */
size_t weir_wire_received(struct weir_wire *w, const void *bytes, size_t n, const struct weir_wire_sink *sink,
			  enum weir_wire_event *event);

/* A request has gone out by a way that is not seen: its answer is heard as if it were a GET's. Before anything has been sent. */
void weir_wire_sent_unseen(struct weir_wire *w);

/* The other side has closed. WEIR_WIRE_END when that ends an answer whose length was not told, WEIR_WIRE_NONE when nothing was
 * under way, WEIR_WIRE_OPAQUE when an answer is cut off or missing. */
enum weir_wire_event weir_wire_closed(const struct weir_wire *w);

/* The status of the answer that the last event told of. */
static inline unsigned weir_wire_status(const struct weir_wire *w)
{
	return w->received.status;
}

/* After WEIR_WIRE_ANSWER: whether the answer has no body, so that it is complete and no WEIR_WIRE_END follows. */
bool weir_wire_answer_over(const struct weir_wire *w);

/* Whether the next byte that the program sends begins a request, if it is HTTP at all. */
bool weir_wire_at_request(const struct weir_wire *w);

/* What the beginning of a request says of whom it asks, without consuming it. Pointers go into the caller's bytes. */
struct weir_wire_target {
	const char *method;
	size_t method_bytes;
	const char *target; /* as on the request line: "/path", "http://host/path", "host:port" (CONNECT), "*" */
	size_t target_bytes;
	const char *host; /* the Host line's value; NULL: not among these bytes */
	size_t host_bytes;
	bool whole; /* the head's end is among these bytes */
};

enum weir_wire_kind {
	WEIR_WIRE_IS_HTTP,     /* the request line is whole: *out is filled in */
	WEIR_WIRE_MAY_BE_HTTP, /* the beginning of one */
	WEIR_WIRE_IS_TLS,      /* a TLS record */
	WEIR_WIRE_IS_OTHER,
};
enum weir_wire_kind weir_wire_peek(const void *bytes, size_t n, struct weir_wire_target *out);

#define WEIR_SERVER_NAME_MAX 256

/* What a TLS ClientHello says. */
struct weir_hello {
	char server_name[WEIR_SERVER_NAME_MAX]; /* lower case as sent; empty: none */
	uint8_t random[32];                     /* tells one connection from another */
	bool offers_h2, offers_http1;           /* by ALPN */
	bool offers_other;                      /* the same, and that is neither; none of the three: it says nothing */
};

/* Reads a ClientHello that begins with these bytes and is whole among them, in one or several records. False, and *out zeroed,
 * for anything else. */
bool weir_hello_read(const void *bytes, size_t n, struct weir_hello *out);

/* One direction of TLS, record by record. */
struct weir_records {
	uint32_t left; /* bytes of the record that are still to come */
	uint8_t header[5], header_bytes;
};

/*
 * Requests of HTTP/1 inside TLS that nobody looks into, told apart by its records: where something has been answered since the
 * last request began, the client's next record of application data begins another one. TLS 1.3 calls the end of the handshake,
 * alerts, key updates and session tickets application data, too; they are known by where they come and by their lengths.
 *
 * Exact for clients that take turns with the server. Requests that are sent before the last one is answered (pipelining) are not
 * told from it; a body that is still being sent when the answer begins is taken for another request, but for one that only
 * waited for "100 Continue".
 *
 * Zeroed = fresh: fed from the ClientHello on. To be used by one thread at a time.
 */
struct weir_turns {
	struct weir_records sent, received;
	uint8_t phase;
	uint8_t heard; /* since the request began */
	uint8_t tickets;
	bool hidden;           /* it is TLS 1.3 */
	bool greeted;          /* the server has sent something */
	bool first;            /* the request under way is the connection's first */
	bool asked;            /* there has been a request */
	bool lost;             /* these are no such records, or they tell nothing: it stays so */
	bool full;             /* the client's last record of application data was as long as one can be */
	uint16_t ticket_bytes; /* the length of what may be one */
};

/* Takes in bytes that the client has sent. Whether a request begins among them: at most one, and none unless it may (what would
 * begin one belongs to the last one then). */
bool weir_turns_sent(struct weir_turns *t, const void *bytes, size_t n, bool may_begin);

enum weir_turns_heard {
	WEIR_TURNS_NOTHING = 0, /* no answer has begun */
	WEIR_TURNS_PERHAPS,     /* what has come may be one, or a session ticket */
	WEIR_TURNS_ANSWER,      /* an answer has begun */
};

/* Takes in bytes that it has received, and says what these say of the request under way. */
enum weir_turns_heard weir_turns_received(struct weir_turns *t, const void *bytes, size_t n);

/* Whether the client's next data may begin a request. Nothing that it sends meanwhile changes that from false to true. */
bool weir_turns_may_begin(const struct weir_turns *t);

/* Whether WEIR_TURNS_PERHAPS is still all that is known of the request under way. False once it is known to be a ticket. */
bool weir_turns_perhaps(const struct weir_turns *t);

#endif
