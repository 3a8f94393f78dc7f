/* SPDX-License-Identifier: MIT */
#include "src/preload/socket/own_tls.h"

#include <string.h>

#include "src/preload/socket/exchange.h"
#include "weir/opaque.h"

/* Of those that say by ALPN nothing of what they speak, some speak no HTTP: in TLS from the first byte on, by their ports
 * (IANA's registry). */
static bool speaks_no_http(uint16_t port)
{
	static const uint16_t ports[] = {
		465,          /* submissions */
		563,          /* nntps */
		636,   3269,  /* ldaps */
		853,          /* domain-s */
		989,   990,   /* ftps */
		992,          /* telnets */
		993,          /* imaps */
		995,          /* pop3s */
		2376,         /* docker */
		5061,         /* sips */
		5223,         /* hpvirtgrp, XMPP by use */
		5671,         /* amqps */
		6380,  6697,  /* redis, ircs-u */
		8883,         /* secure-mqtt */
		9093,         /* kafka, by use */
		27017, 27018, /* mongodb */
	};

	for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++) {
		if (ports[i] == port)
			return true;
	}
	return false;
}

static bool is_told_apart(const struct weir_record *r)
{
	return r->apart && !r->plain_seen && !r->turns.lost &&
	       atomic_load_explicit(&r->talk, memory_order_relaxed) == WEIR_TALK_TLS;
}

void weir_own_tls_open(struct weir_record *r, const struct weir_hello *hello)
{
	memset(&r->turns, 0, sizeof r->turns);
	r->apart = hello && !hello->offers_h2 && (hello->offers_http1 || (!hello->offers_other && !speaks_no_http(r->port)));
}

bool weir_own_tls_may_begin(const struct weir_record *r)
{
	return !r->asked && is_told_apart(r) && weir_turns_may_begin(&r->turns);
}

bool weir_own_tls_is_due(const struct weir_record *r, const struct iovec *iov, size_t parts)
{
	struct weir_turns ahead;
	bool due = false;

	if (!weir_own_tls_may_begin(r))
		return false;
	ahead = r->turns;
	for (size_t i = 0; i < parts && !due; i++)
		due = weir_turns_sent(&ahead, iov[i].iov_base, iov[i].iov_len, true);
	return due;
}

static void settle(const struct weir_gate *g, struct weir_record *r, uint64_t latency_ns)
{
	struct weir_result result;

	memset(&result, 0, weir_opaque(sizeof result));
	result.outcome = WEIR_SUCCEEDED;
	result.latency_ns = latency_ns;
	result.seen = WEIR_SEEN_RECORD;
	weir_exchange_settle_request(g, r, &r->hand[0], &result);
	r->hands = 0;
	r->heard_ns = 0;
	if (r->answers < UINT8_MAX)
		r->answers++;
}

/* What came first was its answer after all, if it has not turned out to be a ticket. */
static void settle_heard(const struct weir_gate *g, struct weir_record *r)
{
	uint64_t since = r->hand[0].admitted_ns;

	if (!weir_turns_perhaps(&r->turns))
		r->heard_ns = 0;
	if (r->hands > 0 && r->heard_ns != 0)
		settle(g, r, r->heard_ns > since ? r->heard_ns - since : 1);
}

void weir_own_tls_begins(const struct weir_gate *g, struct weir_record *r)
{
	if (is_told_apart(r))
		settle_heard(g, r);
}

/* From here on the connection is one request: the one that is under way. */
static void becomes_the_connection(const struct weir_gate *g, struct weir_record *r)
{
	settle_heard(g, r);
	if (r->hands > 0 && r->opened.phase != WEIR_PHASE_ADMITTED) {
		memcpy(&r->opened, &r->hand[0], weir_opaque(sizeof r->opened));
		r->hands = 0;
	}
}

/* A request goes. One that waits has been overtaken by a way that is not seen; it goes with the last one. */
static void goes(const struct weir_gate *g, struct weir_record *r)
{
	struct weir_result unknown;

	memset(&unknown, 0, weir_opaque(sizeof unknown));
	unknown.outcome = WEIR_IGNORED;
	if (r->hands > 0)
		weir_exchange_settle_request(g, r, &r->hand[0], &unknown);
	r->hands = 0;
	r->asked = false;
	if (r->next.phase == WEIR_PHASE_WAITING) {
		weir_exchange_settle_request(g, r, &r->next, &unknown);
		return;
	}
	memcpy(&r->hand[0], &r->next, weir_opaque(sizeof r->next));
	r->next.phase = WEIR_PHASE_IDLE;
	r->oldest = 0;
	r->hands = 1;
}

void weir_own_tls_sent(const struct weir_gate *g, struct weir_record *r, const void *bytes, size_t n)
{
	if (!is_told_apart(r))
		return;
	if (weir_turns_sent(&r->turns, bytes, n, r->asked))
		goes(g, r);
	else if (r->turns.lost)
		becomes_the_connection(g, r);
}

void weir_own_tls_received(const struct weir_gate *g, struct weir_record *r, const void *bytes, size_t n)
{
	enum weir_turns_heard heard;

	if (!is_told_apart(r))
		return;
	heard = weir_turns_received(&r->turns, bytes, n);
	if (r->turns.lost) {
		becomes_the_connection(g, r);
	} else if (r->hands == 0) {
		return;
	} else if (heard == WEIR_TURNS_ANSWER || (heard == WEIR_TURNS_PERHAPS && r->hand[0].ticket.probe != 0)) {
		settle(g, r, 0);
	} else if (heard == WEIR_TURNS_PERHAPS) {
		/* It may be the whole answer, and nothing come any more for as long as the connection is kept. */
		weir_gate_release_permits(g, &r->hand[0]);
		r->heard_ns = weir_now_ns();
	}
}

void weir_own_tls_lost(const struct weir_gate *g, struct weir_record *r)
{
	if (!is_told_apart(r))
		return;
	r->turns.lost = true;
	becomes_the_connection(g, r);
}

void weir_own_tls_end(const struct weir_gate *g, struct weir_record *r)
{
	if (r->apart)
		settle_heard(g, r);
}
