/* SPDX-License-Identifier: MIT */
/*
 * Records are type:1 version:2 length:2 and so many bytes (RFC 8446, 5.1). Until TLS 1.2 the type is true: application data are
 * the program's. In 1.3 all that is encrypted is called application data (5.2), and has 17 bytes more than it says (type and
 * tag), or 9 (AES_128_CCM_8).
 */
#include <string.h>

#include "weir/wire.h"

enum { CHANGE_CIPHER = 20, HANDSHAKE = 22, APPLICATION = 23 };

enum phase {
	BEFORE = 0,  /* the client's first flight, and, in 1.2, its second up to CHANGE_CIPHER */
	CHANGED,     /* CHANGE_CIPHER has been sent: what 1.2 ends its handshake with comes next */
	CERTIFICATE, /* 1.3: the client shows one; Finished is still to come */
	DATA,
};

/* What has been heard since the request began. */
enum heard { NOTHING = 0, TICKET_PERHAPS, TICKETS, ANSWER };

/* RFC 8446 4.4.4: 4 bytes and a hash of 32 or 48. */
#define IS_FINISHED(n) ((n) == 36 + 17 || (n) == 52 + 17 || (n) == 36 + 9 || (n) == 52 + 17 + 16)
/* In 1.2 Finished has 16 bytes, a nonce, a tag, or a MAC and padding; a second ClientHello (1.3, after a HelloRetryRequest) is
 * longer by its random, session id, suites and key share. */
#define FINISHED_MAX 112
/* Alerts have 2 bytes, key updates 5, and may be padded; a request with a Host line has 27, an answer of 24 is none that is met.
 */
#define LEAST (5 + 17 + 16 + 1)
/* "HTTP/1.1 100 Continue\r\n\r\n" has 25, with 17 bytes in 1.3, 24 with 1.2's AES-GCM, 16 with its ChaCha20. */
#define IS_INTERIM(n, hidden) ((hidden) ? (n) == 42 || (n) == 42 + 16 : (n) == 49 || (n) == 41)
/* Session tickets: 4 + 13 bytes and the ticket, of which a server sends up to four of one length. Some send none. */
#define TICKET_MIN  40
#define TICKET_MAX  2048
#define TICKETS_MAX 4
#define FULL        16384 /* a record's plain text at most; encrypted it may be longer by 2048 (RFC 5246, 6.2.3) */
#define RECORD_MAX  (FULL + 2048)

/* Goes on to the end of the next header, or of the bytes. True at a header: then *bytes is the record's. */
static bool next_record(struct weir_records *r, const uint8_t **bytes, size_t *n)
{
	while (*n > 0) {
		size_t some = r->left < *n ? r->left : *n;

		if (some == 0) {
			r->header[r->header_bytes++] = **bytes;
			some = 1;
		} else {
			r->left -= (uint32_t)some;
		}
		*bytes += some;
		*n -= some;
		if (r->header_bytes < sizeof r->header)
			continue;
		r->header_bytes = 0;
		r->left = (uint32_t)r->header[3] << 8 | r->header[4];
		return true;
	}
	return false;
}

static bool is_record(const struct weir_records *r)
{
	return r->header[0] >= CHANGE_CIPHER && r->header[0] <= APPLICATION + 1 && r->header[1] == 3 && r->left <= RECORD_MAX;
}

/* Whether the client's next data begin a request. Not after what may have been a ticket alone, in the midst of a long body. */
static bool is_turn(const struct weir_turns *t)
{
	return !t->asked || t->heard == ANSWER || (t->heard == TICKET_PERHAPS && !t->full);
}

/* Application data of the program's. */
static bool take_data(struct weir_turns *t, uint32_t length, bool may_begin)
{
	bool begins;

	if (t->hidden && length < LEAST)
		return false;
	begins = is_turn(t) && may_begin;
	if (begins) {
		t->first = !t->asked;
		t->asked = true;
		t->heard = NOTHING;
	} else if (t->heard == TICKET_PERHAPS && t->full) {
		t->heard = TICKETS;
		t->tickets = TICKETS_MAX;
	}
	t->full = length >= FULL;
	return begins;
}

static bool take_sent(struct weir_turns *t, bool may_begin)
{
	uint32_t length = t->sent.left;

	if (t->sent.header[0] == CHANGE_CIPHER && t->phase == BEFORE)
		t->phase = CHANGED;
	else if (t->sent.header[0] == HANDSHAKE && t->phase == CHANGED && length <= FINISHED_MAX)
		t->phase = DATA;
	if (t->sent.header[0] != APPLICATION)
		return false;
	if (t->phase == DATA)
		return take_data(t, length, may_begin);
	/* Data before the server has said a word (0-RTT) are followed by more of the handshake. */
	t->lost |= !t->greeted;
	t->hidden = true;
	t->phase = IS_FINISHED(length) ? DATA : CERTIFICATE;
	return false;
}

bool weir_turns_sent(struct weir_turns *t, const void *bytes, size_t n, bool may_begin)
{
	const uint8_t *at = bytes;
	bool began = false;

	while (!t->lost && next_record(&t->sent, &at, &n)) {
		t->lost = !is_record(&t->sent);
		if (!t->lost && take_sent(t, may_begin))
			began = true;
	}
	return began;
}

/* The server's first records after the handshake may be tickets; what else has their length is rare. */
static bool may_be_ticket(struct weir_turns *t, uint32_t length)
{
	if (!t->hidden || !t->first || length < TICKET_MIN || length > TICKET_MAX)
		return false;
	if (t->heard == NOTHING && t->tickets == 0)
		t->ticket_bytes = (uint16_t)length;
	else if (t->heard == ANSWER || length != t->ticket_bytes || t->tickets >= TICKETS_MAX)
		return false;
	t->heard = t->tickets++ == 0 ? TICKET_PERHAPS : TICKETS;
	return true;
}

static void take_received(struct weir_turns *t)
{
	uint32_t length = t->received.left;

	t->greeted = true;
	if (t->received.header[0] != APPLICATION || t->phase < CERTIFICATE || (t->hidden && length < LEAST))
		return;
	if (t->phase == CERTIFICATE) {
		t->lost = true; /* Finished has not been told from what came after it */
	} else if (!t->asked) {
		/* Tickets; or, where these are seen for what they are, the greeting of a server that speaks first: no HTTP. */
		t->lost = !t->hidden;
		t->tickets = TICKETS_MAX;
	} else if (IS_INTERIM(length, t->hidden) && t->heard != ANSWER) {
		/* Tickets come before it. */
		if (t->heard == TICKET_PERHAPS)
			t->heard = TICKETS;
		t->tickets = TICKETS_MAX;
	} else if (!may_be_ticket(t, length)) {
		t->heard = ANSWER;
	}
}

enum weir_turns_heard weir_turns_received(struct weir_turns *t, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;
	uint8_t before = t->heard;

	while (!t->lost && next_record(&t->received, &at, &n)) {
		t->lost = !is_record(&t->received);
		if (!t->lost)
			take_received(t);
	}
	if (t->lost || t->heard == before)
		return WEIR_TURNS_NOTHING;
	return t->heard == ANSWER ? WEIR_TURNS_ANSWER : t->heard == TICKET_PERHAPS ? WEIR_TURNS_PERHAPS : WEIR_TURNS_NOTHING;
}

bool weir_turns_may_begin(const struct weir_turns *t)
{
	return is_turn(t);
}

bool weir_turns_perhaps(const struct weir_turns *t)
{
	return t->heard == TICKET_PERHAPS;
}
