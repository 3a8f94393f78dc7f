/* SPDX-License-Identifier: MIT */
#include "src/preload/socket/exchange.h"

#include <errno.h>
#include <string.h>

#include "src/preload/core/answer.h"
#include "src/preload/core/environment.h"
#include "src/preload/core/flight.h"
#include "src/preload/socket/answer_lines.h"
#include "src/preload/socket/asked.h"
#include "src/preload/socket/order.h"
#include "src/preload/socket/own_tls.h"
#include "src/preload/socket/same_head.h"
#include "src/preload/socket/target.h"
#include "weir/opaque.h"

#define SECOND_NS UINT64_C(1000000000)
/* A request's head follows its connection's first unit so soon, or takes one of its own: a pool that was connected at leisure
 * must not be used in one burst. Inside TLS, and behind a proxy, handshakes come in between. */
#define FRESH_NS (10 * SECOND_NS)
/* An answer that a program does not wait for any longer than this says nothing; a longer silence does. */
#define GIVEN_UP_NS SECOND_NS

/* WEIR_MIND_NONE in every place. */
#define NO_MINDS UINT64_C(0xaaaaaaaaaaaaaaaa)

/* --- Settling -------------------------------------------------------------------------------------------------------------- */

void weir_exchange_settle_request(const struct weir_gate *g, struct weir_record *r, struct weir_request *request,
				  struct weir_result *result)
{
	if (request->phase == WEIR_PHASE_WAITING) {
		weir_gate_cancel(g, request, weir_now_ns());
	} else if (request->phase == WEIR_PHASE_ADMITTED) {
		result->connections = r->connections;
		result->here = r->here;
		r->connections = 0;
		weir_gate_settle(g, request, result, weir_now_ns());
	}
	request->phase = WEIR_PHASE_IDLE;
}

static void settle_as(const struct weir_gate *g, struct weir_record *r, struct weir_request *request, enum weir_outcome outcome,
		      uint64_t latency_ns)
{
	struct weir_result result;

	memset(&result, 0, weir_opaque(sizeof result));
	result.outcome = outcome;
	result.latency_ns = latency_ns;
	weir_exchange_settle_request(g, r, request, &result);
}

/* What was asked of the connection as a whole. */
static void settle_opened(const struct weir_gate *g, struct weir_record *r, enum weir_outcome outcome)
{
	settle_as(g, r, &r->opened, outcome, r->handshake_ns);
}

/* How much was seen of a connection that is one request. */
static enum weir_seen seen_of(const struct weir_record *r)
{
	if (r->http2)
		return WEIR_SEEN_HTTP2;
	if (weir_talk_of(r) == WEIR_TALK_TLS)
		return r->plain_seen ? WEIR_SEEN_OPAQUE : WEIR_SEEN_TLS;
	return weir_talk_of(r) == WEIR_TALK_OPAQUE ? WEIR_SEEN_OPAQUE : WEIR_SEEN_REQUEST;
}

/* What is left of it at its end. */
static void settle_connection(const struct weir_gate *g, struct weir_record *r)
{
	struct weir_result result;

	memset(&result, 0, weir_opaque(sizeof result));
	result.outcome = WEIR_SUCCEEDED;
	result.latency_ns = r->handshake_ns;
	result.seen = seen_of(r);
	weir_exchange_settle_request(g, r, &r->opened, &result);
}

/* --- The order of requests ------------------------------------------------------------------------------------------------- */

static void hold(const struct weir_gate *g, struct weir_record *r, struct weir_request *request)
{
	if (r->hands == WEIR_HANDS) {
		settle_as(g, r, request, WEIR_IGNORED, 0);
		push_mind(r, WEIR_MIND_NONE);
		return;
	}
	memcpy(&r->hand[(r->oldest + r->hands++) % WEIR_HANDS], request, weir_opaque(sizeof *request));
	request->phase = WEIR_PHASE_IDLE;
	push_mind(r, WEIR_MIND_HAND);
}

/* The same for a request that has not had its turn: its place is kept, and it stays `next`, which holds back the socket. */
static void keep_place(struct weir_record *r)
{
	if (r->hands == WEIR_HANDS) {
		r->written = WEIR_NOWHERE;
		push_mind(r, WEIR_MIND_NONE);
		return;
	}
	r->hand[(r->oldest + r->hands) % WEIR_HANDS].phase = WEIR_PHASE_IDLE;
	r->written = (uint8_t)((r->oldest + r->hands++) % WEIR_HANDS + 1);
	push_mind(r, WEIR_MIND_HAND);
}

void weir_exchange_goes(const struct weir_gate *g, struct weir_record *r)
{
	if (!r->asked || r->written == 0 || r->next.phase == WEIR_PHASE_IDLE || r->next.phase == WEIR_PHASE_WAITING ||
	    r->next.phase == WEIR_PHASE_REFUSED)
		return;
	if (r->written <= WEIR_HANDS) {
		memcpy(&r->hand[r->written - 1], &r->next, weir_opaque(sizeof r->next));
		r->next.phase = WEIR_PHASE_IDLE;
	} else {
		settle_as(g, r, &r->next, WEIR_IGNORED, 0);
	}
	r->asked = false;
	r->written = 0;
}

/* --- Sending --------------------------------------------------------------------------------------------------------------- */

/* Whether what is sent on it next, as it is, may begin a request. */
static bool plain_may_begin(const struct weir_record *r)
{
	return weir_talk_of(r) == WEIR_TALK_OPENING || (weir_talk_of(r) == WEIR_TALK_HTTP && weir_wire_at_request(&r->wire));
}

bool weir_exchange_may_begin(const struct weir_record *r)
{
	if (r->asked)
		return false;
	return plain_may_begin(r) || weir_own_tls_may_begin(r);
}

bool weir_exchange_is_due(const struct weir_record *r, const struct iovec *iov, size_t parts)
{
	if (r->asked)
		return false;
	return plain_may_begin(r) || weir_own_tls_is_due(r, iov, parts);
}

bool weir_exchange_plain_is_due(struct weir_record *r)
{
	if (weir_talk_of(r) != WEIR_TALK_OPENING && weir_talk_of(r) != WEIR_TALK_TLS)
		return false;
	/* Where requests have been told apart by their records already, it stays so. */
	if (!r->plain_seen && !r->turns.asked)
		r->plain = r->plain_seen = true;
	return r->plain && !r->asked && weir_wire_at_request(&r->wire);
}

static void go_on_opened(struct weir_record *r)
{
	memcpy(&r->next, &r->opened, weir_opaque(sizeof r->next));
	r->opened.phase = WEIR_PHASE_IDLE;
}

/* Whether the request that is due goes on the connection's own. Else that one makes way for it, and was never there. */
static bool goes_on_opened(const struct weir_gate *g, struct weir_record *r, bool same_host, struct weir_wish *wish)
{
	bool fresh = same_host && r->has_unit;

	if (r->opened.phase != WEIR_PHASE_ADMITTED)
		return false;
	fresh = fresh && weir_now_ns() < r->fresh_until_ns;
	/* What its connection could not know of yet has limits of its own. */
	wish->unit_taken = fresh && weir_gate_is_narrowed(g, r->host_port, &wish->asks);
	if (fresh && !wish->unit_taken &&
	    (r->whose.later || weir_gate_known(g, &r->opened, r->whose.credential, r->whose.path, weir_now_ns())))
		return true;
	if (!r->opened.tentative) {
		settle_opened(g, r, WEIR_SUCCEEDED);
		return false;
	}
	return !weir_gate_leave(g, &r->opened) && same_host;
}

__attribute__((noinline)) enum weir_verdict weir_exchange_begin(const struct weir_gate *g, struct weir_record *r,
								const void *bytes, size_t n)
{
	static const char http2[] = "PRI * HTTP/2.0"; /* RFC 9113, 3.4 */
	char host_port[WEIR_HOST_PORT_MAX];
	struct weir_wish wish = {
		.host_port = r->host_port, .lease_hint = weir_flight_lease_hint(), .asks = weir_head_asks(g, bytes, n)};
	bool tls = false, same_host = true;
	uint64_t wake;

	weir_own_tls_begins(g, r);
	r->http2 = n >= strlen(http2) && memcmp(bytes, http2, strlen(http2)) == 0;
	r->asked = true;
	weir_record_use(r);
	if (!weir_same_head(r, bytes, n)) {
		r->unproved = false;
		tls = weir_target_look(r, bytes, n, host_port) == WEIR_WIRE_IS_TLS && !r->plain;
		same_host = strcmp(host_port, r->host_port) == 0;
		weir_same_head_comes(r, bytes, n);
	}
	/* A connection that turns out to carry requests was none itself, nor was what turns out to be sent elsewhere. */
	wish.tentative = tls || r->unproved;
	wish.ahead = tls || r->connects;
	wish.asker_later = r->whose.later;
	wish.credential = r->whose.credential;
	wish.path = r->whose.path;
	if (goes_on_opened(g, r, same_host, &wish)) {
		go_on_opened(r);
		return wish.ahead ? WEIR_GO : weir_gate_depart(g, &r->next, weir_now_ns(), &wake);
	}
	if (!same_host) {
		if (r->connects && r->proxy[0] == '\0')
			memcpy(r->proxy, r->host_port, sizeof r->proxy);
		memcpy(r->host_port, host_port, sizeof host_port);
		r->here = weir_host_is_loopback(host_port);
	}
	r->has_unit = true;
	if (weir_host_chosen(r->host_port))
		return weir_gate_begin(g, &r->next, &wish, weir_now_ns(), &wake);
	r->next.phase = WEIR_PHASE_EXEMPT;
	return WEIR_GO;
}

/* What passes from here on is one request: the one in hand. */
static void turn_opaque(const struct weir_gate *g, struct weir_record *r)
{
	if (!r->plain)
		weir_set_talk(r, WEIR_TALK_OPAQUE);
	r->plain = false;
	if (r->hands > 0 && r->opened.phase != WEIR_PHASE_ADMITTED) {
		memcpy(&r->opened, oldest(r), weir_opaque(sizeof r->opened));
		drop_oldest(r);
	}
	for (; r->hands > 0; drop_oldest(r))
		settle_as(g, r, oldest(r), WEIR_IGNORED, 0);
	if (r->asked && r->opened.phase != WEIR_PHASE_ADMITTED)
		memcpy(&r->opened, &r->next, weir_opaque(sizeof r->opened));
	else if (r->asked)
		settle_as(g, r, &r->next, WEIR_IGNORED, 0);
	r->asked = r->answering = false;
	r->written = 0;
	r->minds = 0;
	r->mind = 0;
}

/* The first bytes of a connection, or of a tunnel, have been sent. */
__attribute__((noinline)) static void begin_talk(struct weir_record *r, const void *bytes, size_t n)
{
	struct weir_wire_target target;
	struct weir_hello hello;
	bool whole;

	switch (weir_wire_peek(bytes, n, &target)) {
	case WEIR_WIRE_IS_HTTP:
	case WEIR_WIRE_MAY_BE_HTTP:
		weir_set_talk(r, WEIR_TALK_HTTP);
		return;
	case WEIR_WIRE_IS_TLS:
		weir_set_talk(r, WEIR_TALK_TLS);
		whole = weir_hello_read(bytes, n, &hello);
		if (whole)
			memcpy(r->random, hello.random, sizeof r->random);
		weir_own_tls_open(r, whole ? &hello : NULL);
		break;
	default:
		weir_set_talk(r, WEIR_TALK_OPAQUE);
		break;
	}
	/* Plain text that was told before the handshake has its request already. */
	if (r->plain || !r->asked)
		return;
	memcpy(&r->opened, &r->next, weir_opaque(sizeof r->opened));
	r->next.phase = WEIR_PHASE_IDLE;
	r->asked = false;
	r->has_unit = true;
	r->fresh_until_ns = weir_now_ns() + FRESH_NS;
}

/* The head of a request has been sent. */
static void head_passed(const struct weir_gate *g, struct weir_record *r)
{
	if (!r->asked || r->written != 0) {
		push_mind(r, WEIR_MIND_LATER);
	} else if (r->next.phase == WEIR_PHASE_WAITING) {
		keep_place(r);
	} else {
		hold(g, r, &r->next);
		r->asked = false;
	}
}

static void feed_sent(const struct weir_gate *g, struct weir_record *r, const char *bytes, size_t n)
{
	enum weir_wire_event event = WEIR_WIRE_NONE;

	if (weir_same_head(r, bytes, n) && weir_wire_sent_again(&r->wire)) {
		r->head_at = (uintptr_t)bytes;
		head_passed(g, r);
		return;
	}
	while (n > 0 && event != WEIR_WIRE_OPAQUE) {
		bool at_request = weir_wire_at_request(&r->wire);
		size_t used = weir_wire_sent(&r->wire, bytes, n, NULL, &event);

		if (event == WEIR_WIRE_OPAQUE)
			turn_opaque(g, r);
		else if (event == WEIR_WIRE_REQUEST)
			head_passed(g, r);
		if (event == WEIR_WIRE_REQUEST)
			weir_same_head_passed(r, bytes, at_request && weir_wire_at_request(&r->wire) ? used : 0);
		bytes += used;
		n -= used;
	}
}

void weir_exchange_sent(const struct weir_gate *g, struct weir_record *r, const void *bytes, size_t n)
{
	if (n == 0)
		return;
	if (weir_talk_of(r) == WEIR_TALK_OPENING)
		begin_talk(r, bytes, n);
	if (weir_talk_of(r) == WEIR_TALK_HTTP)
		feed_sent(g, r, bytes, n);
	else if (weir_talk_of(r) == WEIR_TALK_TLS)
		weir_own_tls_sent(g, r, bytes, n);
}

void weir_exchange_plain_sent(const struct weir_gate *g, struct weir_record *r, const void *bytes, size_t n)
{
	if (r->plain)
		feed_sent(g, r, bytes, n);
}

/* --- Receiving ------------------------------------------------------------------------------------------------------------- */

/* By the answer whose status and lines the record has. */
__attribute__((noinline)) static void settle_answered(const struct weir_gate *g, struct weir_record *r,
						      struct weir_request *request)
{
	const struct weir_header_lines lines = {weir_answer_line, r};
	struct weir_result result;
	int status = (int)weir_wire_status(&r->wire);

	memset(&result, 0, weir_opaque(sizeof result));
	result.status = (uint32_t)status;
	if (request->phase == WEIR_PHASE_ADMITTED && r->limits)
		weir_answer_read(g, request, status, &lines, &result);
	else if (request->phase == WEIR_PHASE_ADMITTED)
		result.outcome = weir_gate_classify(g, request, status, false);
	weir_exchange_settle_request(g, r, request, &result);
	if (r->answers < UINT8_MAX)
		r->answers++;
}

/* What the answer whose status and lines the record has says of the request. */
static void read_answer(const struct weir_gate *g, const struct weir_record *r, const struct weir_request *request,
			struct weir_result *result)
{
	const struct weir_header_lines lines = {weir_answer_line, r};

	memset(result, 0, weir_opaque(sizeof *result));
	weir_answer_read(g, request, (int)weir_wire_status(&r->wire), &lines, result);
}

/* Of which no more is in hand: nobody's rule classifies the answer to it. */
static const struct weir_request nobodys = {.phase = WEIR_PHASE_ADMITTED, .scope[0].slot = WEIR_NONE};

/* A request that went together with the one before it. */
__attribute__((noinline)) static void settle_later(const struct weir_gate *g, struct weir_record *r)
{
	struct weir_result result;

	read_answer(g, r, &nobodys, &result);
	if (weir_host_chosen(r->host_port))
		weir_gate_hop(g, r->host_port, &result, weir_now_ns());
}

/* A CONNECT that is not granted is the proxy's own word, and its target was not asked: libcurl's transfers are told of it alike
 * (weir_exchange_settle_proxy). */
__attribute__((noinline)) static void settle_not_granted(const struct weir_gate *g, struct weir_record *r)
{
	struct weir_result result;

	read_answer(g, r, &nobodys, &result);
	/* 502 and its like tell of the target. */
	if (result.outcome != WEIR_THROTTLED) {
		result.outcome = WEIR_SUCCEEDED;
		result.retry_after_ns = 0;
	}
	if (r->proxy[0] != '\0' && weir_host_chosen(r->proxy))
		weir_gate_hop(g, r->proxy, &result, weir_now_ns());
	settle_as(g, r, oldest(r), WEIR_IGNORED, 0);
	if (r->answers < UINT8_MAX)
		r->answers++;
	r->connects = false;
}

static void settle_oldest(const struct weir_gate *g, struct weir_record *r)
{
	if (r->connects)
		settle_not_granted(g, r);
	else
		settle_answered(g, r, oldest(r));
	drop_oldest(r);
	r->answering = false;
	weir_answer_lines_drop(r);
}

/* The oldest request lives on as the connection's own: what it asked for is the connection. */
static void becomes_the_connection(struct weir_record *r)
{
	memcpy(&r->opened, oldest(r), weir_opaque(sizeof r->opened));
	drop_oldest(r);
	r->has_unit = true;
	r->fresh_until_ns = weir_now_ns() + FRESH_NS;
}

/* Names inside it are the target's, with the target's port. */
static void begin_tunnel(struct weir_record *r)
{
	uint16_t port = weir_port_of(r->host_port);

	becomes_the_connection(r);
	r->connects = false;
	r->tunnel = true;
	r->port = port != 0 ? port : r->port;
	if (!r->plain)
		weir_set_talk(r, WEIR_TALK_OPENING);
}

/* An answer's head is complete. */
static void answered(const struct weir_gate *g, struct weir_record *r)
{
	unsigned status = weir_wire_status(&r->wire);
	enum weir_mind mind = pop_mind(r);

	r->unproved = false;
	if (mind != WEIR_MIND_HAND || r->hands == 0) {
		if (mind == WEIR_MIND_LATER)
			settle_later(g, r);
		weir_answer_lines_drop(r);
	} else if (r->connects && status < 300) {
		begin_tunnel(r);
	} else if (status == 101) {
		becomes_the_connection(r);
	} else if (status >= 400 || weir_wire_answer_over(&r->wire)) {
		settle_oldest(g, r);
	} else {
		r->answering = true;
	}
}

static void feed_received(const struct weir_gate *g, struct weir_record *r, const char *at, size_t n)
{
	const struct weir_wire_sink sink = {weir_answer_line_keep, r};
	enum weir_wire_event event = WEIR_WIRE_NONE;

	while (n > 0 && event != WEIR_WIRE_OPAQUE && !r->wire.opaque && (weir_talk_of(r) == WEIR_TALK_HTTP || r->plain)) {
		size_t used = weir_wire_received(&r->wire, at, n, &sink, &event);

		at += used;
		n -= used;
		if (event == WEIR_WIRE_ANSWER)
			answered(g, r);
		else if (event == WEIR_WIRE_END && r->answering)
			settle_oldest(g, r);
		else if (event == WEIR_WIRE_OPAQUE)
			turn_opaque(g, r);
		if (event == WEIR_WIRE_INTERIM || event == WEIR_WIRE_END)
			weir_answer_lines_drop(r);
	}
}

/* An answer comes where nothing has been sent: its request has gone by a way that is not seen (stdio on the socket), on the
 * connection's unit. What turns out to be no answer is the connection's as before; so is 408, by which servers tell who asks
 * nothing for long that they close. */
__attribute__((noinline)) static void begin_unseen(const struct weir_gate *g, struct weir_record *r, const char *bytes, size_t n)
{
	if (bytes[0] != 'H' || r->tunnel || r->asked || r->opened.phase != WEIR_PHASE_ADMITTED ||
	    (n >= 12 && memcmp(bytes + 9, "408", 3) == 0))
		return;
	weir_set_talk(r, WEIR_TALK_HTTP);
	weir_wire_sent_unseen(&r->wire);
	hold(g, r, &r->opened);
}

void weir_exchange_received(const struct weir_gate *g, struct weir_record *r, const void *bytes, size_t n)
{
	if (n > 0 && !r->heard && weir_talk_of(r) == WEIR_TALK_OPENING)
		begin_unseen(g, r, bytes, n);
	r->heard |= n > 0;
	if (weir_talk_of(r) == WEIR_TALK_HTTP)
		feed_received(g, r, bytes, n);
	else if (weir_talk_of(r) == WEIR_TALK_TLS)
		weir_own_tls_received(g, r, bytes, n);
}

void weir_exchange_plain_received(const struct weir_gate *g, struct weir_record *r, const void *bytes, size_t n)
{
	if (r->plain)
		feed_received(g, r, bytes, n);
}

/* --- The end --------------------------------------------------------------------------------------------------------------- */

/* Requests that were sent and are not answered. A server closes a connection that it has kept for long enough just when the next
 * request comes; of that the program knows, and asks again. */
static void settle_unanswered(const struct weir_gate *g, struct weir_record *r, enum weir_outcome outcome)
{
	for (; r->hands > 0; drop_oldest(r))
		settle_as(g, r, oldest(r), outcome, 0);
	/* An answer may come all the same: where the program goes on after an exec that failed. */
	r->mind = NO_MINDS & (r->minds < 32 ? (UINT64_C(1) << (2 * r->minds)) - 1 : UINT64_MAX);
}

void weir_exchange_unreached(const struct weir_gate *g, struct weir_record *r, int error)
{
	struct weir_request *request = r->asked && r->next.phase == WEIR_PHASE_ADMITTED ? &r->next : &r->opened;
	struct weir_result result;

	memset(&result, 0, weir_opaque(sizeof result));
	result.outcome = WEIR_FAILED;
	result.timed_out = error == ETIMEDOUT;
	weir_exchange_settle_request(g, r, request, &result);
	r->put_off = false;
}

void weir_exchange_cut(const struct weir_gate *g, struct weir_record *r)
{
	enum weir_wire_event event = weir_wire_closed(&r->wire);

	if (weir_talk_of(r) == WEIR_TALK_HTTP || r->plain) {
		if (r->answering && event == WEIR_WIRE_END)
			settle_oldest(g, r);
		else if (r->answering) {
			settle_as(g, r, oldest(r), r->connects ? WEIR_IGNORED : WEIR_FAILED, 0);
			drop_oldest(r);
			r->answering = false;
		}
		/* What takes a CONNECT and leaves, or is silent, may be the proxy, and may have asked the target. */
		settle_unanswered(g, r, r->answers == 0 && !r->connects ? WEIR_FAILED : WEIR_IGNORED);
	} else if (r->hands > 0) {
		weir_own_tls_end(g, r);
		settle_unanswered(g, r, r->answers == 0 ? WEIR_FAILED : WEIR_IGNORED);
	} else if (!r->heard && weir_talk_of(r) != WEIR_TALK_OPENING) {
		settle_opened(g, r, WEIR_FAILED);
	}
}

void weir_exchange_lost(const struct weir_gate *g, struct weir_record *r)
{
	if (weir_talk_of(r) == WEIR_TALK_HTTP || r->plain)
		turn_opaque(g, r);
	else
		weir_own_tls_lost(g, r);
}

/* The program leaves without the answer. */
static void settle_left(const struct weir_gate *g, struct weir_record *r)
{
	struct weir_request *request = oldest(r);
	bool late = !r->connects && request->phase == WEIR_PHASE_ADMITTED && weir_now_ns() - request->admitted_ns >= GIVEN_UP_NS;
	struct weir_result result;

	if (r->answering) {
		settle_oldest(g, r);
		return;
	}
	memset(&result, 0, weir_opaque(sizeof result));
	result.outcome = late ? WEIR_FAILED : WEIR_IGNORED;
	result.timed_out = late;
	weir_exchange_settle_request(g, r, request, &result);
	drop_oldest(r);
}

void weir_exchange_end(const struct weir_gate *g, struct weir_record *r)
{
	if (!g) {
		r->hands = r->minds = 0;
		r->mind = 0;
		r->asked = r->answering = false;
		r->written = 0;
		r->opened.phase = r->next.phase = WEIR_PHASE_IDLE;
		return;
	}
	weir_own_tls_end(g, r);
	if (r->hands > 0)
		settle_left(g, r);
	settle_unanswered(g, r, WEIR_IGNORED);
	if (r->asked)
		settle_as(g, r, &r->next, WEIR_IGNORED, 0);
	r->asked = false;
	r->written = 0;
	/* It was for the child's requests, which the child has counted. */
	if (weir_talk_of(r) == WEIR_TALK_OPENING && r->opened.tentative && weir_record_used_by_child(r) &&
	    weir_gate_leave(g, &r->opened))
		return;
	settle_connection(g, r);
}
