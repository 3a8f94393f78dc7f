/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/held.h"

#include <errno.h>
#include <string.h>

#include "src/preload/core/find_real.h"
#include "src/preload/curl/transfer.h"
#include "weir/gate.h"

/* So often libcurl may try to send it, unless the program lets it go on: some do when the request is begun with, once more before
 * it is paused, and once after. One that goes on has another way of pausing. */
#define TRIES 32

typedef void alpn_openssl(const void *ssl, const unsigned char **name, unsigned *n);

struct datum {
	unsigned char *data;
	unsigned size;
};

typedef int alpn_gnutls(void *session, struct datum *name);

/* What the session has agreed to speak. False when that cannot be told: where libcurl has the TLS library inside, as wheels do,
 * the one that others in this process use is no match for its sessions. */
static bool protocol_of(const struct weir_curl *curl, const struct curl_tlssessioninfo *s, const void **name, size_t *n)
{
	const void *inside = (const void *)(uintptr_t)curl->perform;

	*n = 0;
	if (s->backend == CURLSSLBACKEND_OPENSSL) {
		alpn_openssl *ask = (alpn_openssl *)weir_find_needed("SSL_get0_alpn_selected", inside);
		const unsigned char *text = NULL;
		unsigned length = 0;

		if (ask)
			ask(s->internals, &text, &length);
		*name = text;
		*n = text ? length : 0;
		return ask != NULL;
	}
	if (s->backend == CURLSSLBACKEND_GNUTLS) {
		alpn_gnutls *ask = (alpn_gnutls *)weir_find_needed("gnutls_alpn_get_selected_protocol", inside);
		struct datum text = {NULL, 0};

		if (ask && ask(s->internals, &text) == 0 && text.data) {
			*name = text.data;
			*n = text.size;
		}
		return ask != NULL;
	}
	return false;
}

/* Whether the transfer's connection carries one request at a time. */
static bool is_its_own(const struct weir_transfer *t, bool *tls)
{
	const struct curl_tlssessioninfo *s = NULL;
	const void *name = NULL;
	size_t n = 0;

	*tls = false;
	if (t->curl->getinfo(t->handle, CURLINFO_TLS_SSL_PTR, &s) != CURLE_OK || !s || !s->internals)
		return true;
	*tls = true;
	return protocol_of(t->curl, s, &name, &n) && !(n == 2 && memcmp(name, "h2", 2) == 0);
}

/* Libcurl measures how fast a transfer is as long as it does not pause for receiving. */
static void set_low_speed_time(const struct weir_transfer *t, long seconds)
{
	if (t->known->low_speed_time != 0)
		t->curl->setopt(t->handle, CURLOPT_LOW_SPEED_TIME, seconds);
}

bool weir_held_begin(struct weir_transfer *t, int local_port)
{
	struct weir_hop_way way = {.port = local_port > 0 && local_port <= UINT16_MAX ? (uint16_t)local_port : 0};
	struct weir_multi *m = t->multi;

	if (!t->curl->pause || !is_its_own(t, &way.tls))
		return false;
	if (!t->held)
		m->held++;
	t->held = true;
	set_low_speed_time(t, 0);
	t->tries = 0;
	t->paused = CURLPAUSE_CONT;
	m->expects = true;
	weir_hop_go(&t->hop);
	weir_hop_expect(&t->hop, &way);
	if (t->wake_ns < m->wake_ns)
		m->wake_ns = t->wake_ns;
	return true;
}

static void wait_no_more(struct weir_transfer *t)
{
	if (t->held && t->multi) {
		t->multi->held--;
		set_low_speed_time(t, t->known->low_speed_time);
	}
	t->held = false;
}

void weir_held_forget(struct weir_transfer *t)
{
	weir_hop_go(&t->hop);
	wait_no_more(t);
}

/* It has gone, or goes, without having had its turn. A refusal would come too late. */
static void give_up(struct weir_transfer *t)
{
	weir_held_forget(t);
	weir_transfer_hurry(t);
	t->refused = 0;
}

static void look_at(struct weir_transfer *t)
{
	if (t->hop.identity == 0) {
		give_up(t);
	} else if (weir_hop_tried(&t->hop)) {
		if (++t->tries > TRIES) {
			give_up(t);
			t->curl->pause(t->handle, t->paused);
		} else {
			t->curl->pause(t->handle, t->paused | CURLPAUSE_SEND);
		}
	}
}

void weir_held_pause(struct weir_multi *m)
{
	bool tried = weir_hop_any_tried();
	struct weir_transfer *next;

	if (m->held == 0 || (!tried && !m->expects))
		return;
	m->expects = false;
	weir_hop_expect(NULL, NULL);
	for (struct weir_transfer *t = m->line[WEIR_PLACE_UNDER_WAY].first; t && m->held > 0; t = next) {
		/* Libcurl has called the program, which has moved it. */
		if (t->multi != m || t->place != WEIR_PLACE_UNDER_WAY)
			return;
		next = t->next;
		if (t->held)
			look_at(t);
	}
}

void weir_held_go(struct weir_transfer *t)
{
	if (!t->held)
		return;
	if (t->refused != 0)
		weir_hop_refuse(&t->hop, t->refused);
	else
		weir_hop_go(&t->hop);
	wait_no_more(t);
	t->curl->pause(t->handle, t->paused);
}

int weir_held_paused(struct weir_transfer *t, int action)
{
	if (!t->held)
		return action;
	t->paused = action & (CURLPAUSE_RECV | CURLPAUSE_SEND);
	t->tries = 0;
	return action | CURLPAUSE_SEND;
}
