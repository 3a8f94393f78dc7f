/* SPDX-License-Identifier: MIT */
/*
 * Hooks of gnutls_record_send, gnutls_record_send2, gnutls_record_recv and gnutls_record_recv_seq: the same for GnuTLS as
 * openssl.c.
 *
 * gnutls_record_send ends in gnutls_record_send2, and so in our hook of that: see weir_library_called.
 *
 * A caller that repeats a call with no bytes (NULL, 0) to flush what is left is not told apart: its request is begun, and settled
 * with the connection.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "src/preload/core/environment.h"
#include "src/preload/core/hook.h"
#include "src/preload/core/library.h"
#include "src/preload/tls/session.h"

typedef void *session_t;

ssize_t gnutls_record_send(session_t session, const void *bytes, size_t n);
ssize_t gnutls_record_send2(session_t session, const void *bytes, size_t n, size_t padding, unsigned flags);
ssize_t gnutls_record_recv(session_t session, void *bytes, size_t n);
ssize_t gnutls_record_recv_seq(session_t session, void *bytes, size_t n, unsigned char *sequence);

struct datum {
	unsigned char *data;
	unsigned size;
};

struct gnutls {
	struct weir_library library;
	ssize_t (*recv)(session_t, void *, size_t);
	ssize_t (*send)(session_t, const void *, size_t);
	ssize_t (*send2)(session_t, const void *, size_t, size_t, unsigned); /* since 3.6.3 */
	ssize_t (*recv_seq)(session_t, void *, size_t, unsigned char *);
	void (*get_transport)(session_t, void **, void **);
	void (*get_random)(session_t, struct datum *, struct datum *);
};

static const char *const names[] = {"gnutls_record_recv",
				    "gnutls_record_send",
				    "gnutls_record_send2",
				    "gnutls_record_recv_seq",
				    "gnutls_transport_get_ptr2",
				    "gnutls_session_get_random",
				    NULL};
static struct gnutls found[WEIR_LIBRARIES];
static struct weir_library_kind kind = {.file = "libgnutls.so", .names = names, .found = found, .size = sizeof found[0]};

_Static_assert(sizeof names / sizeof names[0] - 1 == (sizeof(struct gnutls) - sizeof(struct weir_library)) / sizeof(void *),
	       "a name for each function");

static const struct gnutls *library_for(const void *caller, bool *inner)
{
	static WEIR_THREAD_LOCAL const void *last;

	return weir_library_called(&kind, &last, caller, inner);
}

static bool random_of(const struct weir_session *s, uint8_t random[32])
{
	const struct gnutls *g = s->library;
	struct datum client = {NULL, 0}, server = {NULL, 0};

	if (!g->get_random)
		return false;
	g->get_random((session_t)(uintptr_t)s->session, &client, &server);
	if (!client.data || client.size != 32)
		return false;
	memcpy(random, client.data, 32);
	return true;
}

static weir_conversation conversation_of(const struct gnutls *g, session_t session, bool final)
{
	struct weir_session s = {.session = session, .fd = -1, .random = random_of, .library = g};
	void *in = NULL, *out = NULL;

	if (!session || weir_disabled())
		return 0;
	/* What a program's own functions take for a connection is a pointer mostly, where GnuTLS's take a descriptor. */
	if (g->get_transport)
		g->get_transport(session, &in, &out);
	if ((uintptr_t)out < WEIR_MARKS && weir_is_marked((int)(uintptr_t)out))
		s.fd = (int)(uintptr_t)out;
	return weir_session_conversation(&s, final);
}

static void sending(const struct gnutls *g, session_t session, const void *bytes, size_t n)
{
	weir_conversation c = bytes && n > 0 ? conversation_of(g, session, false) : 0;

	if (c != 0)
		weir_conversation_plain_sending(c, bytes, n);
}

static void sent(const struct gnutls *g, session_t session, const void *bytes, ssize_t n)
{
	weir_conversation c = bytes && n > 0 ? conversation_of(g, session, true) : 0;

	if (c != 0)
		weir_conversation_plain_sent(c, bytes, (size_t)n);
}

static void received(const struct gnutls *g, session_t session, const void *bytes, ssize_t n)
{
	weir_conversation c = n >= 0 ? conversation_of(g, session, n > 0) : 0;

	if (c != 0 && n > 0)
		weir_conversation_plain_received(c, bytes, (size_t)n);
	else if (c != 0)
		weir_conversation_plain_closed(c);
}

WEIR_HOOK ssize_t gnutls_record_send(session_t session, const void *bytes, size_t n)
{
	bool inner;
	const struct gnutls *g = library_for(__builtin_return_address(0), &inner);
	ssize_t written;

	if (!g || !g->send)
		return -1;
	if (inner)
		return g->send(session, bytes, n);
	sending(g, session, bytes, n);
	written = g->send(session, bytes, n);
	sent(g, session, bytes, written);
	return written;
}

WEIR_HOOK ssize_t gnutls_record_send2(session_t session, const void *bytes, size_t n, size_t padding, unsigned flags)
{
	bool inner;
	const struct gnutls *g = library_for(__builtin_return_address(0), &inner);
	ssize_t written;

	if (!g || !g->send2)
		return -1;
	if (inner)
		return g->send2(session, bytes, n, padding, flags);
	sending(g, session, bytes, n);
	written = g->send2(session, bytes, n, padding, flags);
	sent(g, session, bytes, written);
	return written;
}

WEIR_HOOK ssize_t gnutls_record_recv(session_t session, void *bytes, size_t n)
{
	bool inner;
	const struct gnutls *g = library_for(__builtin_return_address(0), &inner);
	ssize_t got;

	if (!g)
		return -1;
	got = g->recv(session, bytes, n);
	if (!inner && n > 0)
		received(g, session, bytes, got);
	return got;
}

WEIR_HOOK ssize_t gnutls_record_recv_seq(session_t session, void *bytes, size_t n, unsigned char *sequence)
{
	bool inner;
	const struct gnutls *g = library_for(__builtin_return_address(0), &inner);
	ssize_t got;

	if (!g || !g->recv_seq)
		return -1;
	got = g->recv_seq(session, bytes, n, sequence);
	if (!inner && n > 0)
		received(g, session, bytes, got);
	return got;
}
