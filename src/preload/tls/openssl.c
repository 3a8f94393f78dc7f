/* SPDX-License-Identifier: MIT */
/*
 * Hooks of OpenSSL's SSL_write, SSL_write_ex, SSL_read and SSL_read_ex: they tell the connection what passes inside TLS.
 *
 * Nothing waits here: a request that is begun by SSL_write is held back where its bytes reach the socket. What OpenSSL answers is
 * handed on as it is. SSL_peek consumes nothing and is left alone, as is what passes through a BIO on top of a session
 * (BIO_f_ssl): such a connection's requests are told apart by its records (socket/own_tls.h). Where no OpenSSL is found behind a
 * hook: -1 or 0.
 */
#include <stddef.h>
#include <stdint.h>

#include "src/preload/core/environment.h"
#include "src/preload/core/hook.h"
#include "src/preload/core/library.h"
#include "src/preload/tls/session.h"

typedef struct ssl_st SSL;

#define RECEIVED_SHUTDOWN 2 /* SSL_RECEIVED_SHUTDOWN */

int SSL_write(SSL *ssl, const void *bytes, int n);
int SSL_write_ex(SSL *ssl, const void *bytes, size_t n, size_t *written);
int SSL_read(SSL *ssl, void *bytes, int n);
int SSL_read_ex(SSL *ssl, void *bytes, size_t n, size_t *got);

struct openssl {
	struct weir_library library;
	int (*read)(SSL *, void *, int);
	int (*write)(SSL *, const void *, int);
	/* Since 1.1.1. */
	int (*read_ex)(SSL *, void *, size_t, size_t *);
	int (*write_ex)(SSL *, const void *, size_t, size_t *);
	int (*get_wfd)(const SSL *);
	/* Since 1.1.0. */
	size_t (*get_client_random)(const SSL *, unsigned char *, size_t);
	int (*is_server)(const SSL *);
	int (*get_shutdown)(const SSL *);
};

static const char *const names[] = {"SSL_read",      "SSL_write",        "SSL_read_ex",
				    "SSL_write_ex",  "SSL_get_wfd",      "SSL_get_client_random",
				    "SSL_is_server", "SSL_get_shutdown", NULL};
static struct openssl found[WEIR_LIBRARIES];
static struct weir_library_kind kind = {.file = "libssl.so", .names = names, .found = found, .size = sizeof found[0]};

_Static_assert(sizeof names / sizeof names[0] - 1 == (sizeof(struct openssl) - sizeof(struct weir_library)) / sizeof(void *),
	       "a name for each function");

static const struct openssl *library_for(const void *caller, bool *inner)
{
	static WEIR_THREAD_LOCAL const void *last;

	return weir_library_called(&kind, &last, caller, inner);
}

static bool random_of(const struct weir_session *s, uint8_t random[32])
{
	const struct openssl *o = s->library;
	const SSL *ssl = s->session;

	if (!o->get_client_random || !o->is_server || o->is_server(ssl))
		return false;
	return o->get_client_random(ssl, random, 32) == 32;
}

static weir_conversation conversation_of(const struct openssl *o, const SSL *ssl, bool final)
{
	struct weir_session s = {.session = ssl, .fd = -1, .random = random_of, .library = o};

	if (!ssl || weir_disabled())
		return 0;
	if (o->get_wfd)
		s.fd = o->get_wfd(ssl);
	return weir_session_conversation(&s, final);
}

static void sending(const struct openssl *o, const SSL *ssl, const void *bytes, size_t n)
{
	weir_conversation c = n > 0 && bytes ? conversation_of(o, ssl, false) : 0;

	if (c != 0)
		weir_conversation_plain_sending(c, bytes, n);
}

static void sent(const struct openssl *o, const SSL *ssl, const void *bytes, size_t n)
{
	weir_conversation c = n > 0 ? conversation_of(o, ssl, true) : 0;

	if (c != 0)
		weir_conversation_plain_sent(c, bytes, n);
}

/* n = 0: nothing has come, perhaps because nothing more will. */
static void received(const struct openssl *o, const SSL *ssl, const void *bytes, size_t n)
{
	weir_conversation c = 0;

	if (n > 0 || (ssl && o->get_shutdown && (o->get_shutdown(ssl) & RECEIVED_SHUTDOWN) != 0))
		c = conversation_of(o, ssl, n > 0);
	if (c != 0 && n > 0)
		weir_conversation_plain_received(c, bytes, n);
	else if (c != 0)
		weir_conversation_plain_closed(c);
}

WEIR_HOOK int SSL_write(SSL *ssl, const void *bytes, int n)
{
	bool inner;
	const struct openssl *o = library_for(__builtin_return_address(0), &inner);
	int written;

	if (!o || !o->write)
		return -1;
	if (inner)
		return o->write(ssl, bytes, n);
	sending(o, ssl, bytes, n > 0 ? (size_t)n : 0);
	written = o->write(ssl, bytes, n);
	sent(o, ssl, bytes, written > 0 ? (size_t)written : 0);
	return written;
}

WEIR_HOOK int SSL_write_ex(SSL *ssl, const void *bytes, size_t n, size_t *written)
{
	bool inner;
	const struct openssl *o = library_for(__builtin_return_address(0), &inner);
	int good;

	if (!o || !o->write_ex)
		return 0;
	if (inner)
		return o->write_ex(ssl, bytes, n, written);
	sending(o, ssl, bytes, n);
	good = o->write_ex(ssl, bytes, n, written);
	sent(o, ssl, bytes, good > 0 ? *written : 0);
	return good;
}

WEIR_HOOK int SSL_read(SSL *ssl, void *bytes, int n)
{
	bool inner;
	const struct openssl *o = library_for(__builtin_return_address(0), &inner);
	int got;

	if (!o)
		return -1;
	got = o->read(ssl, bytes, n);
	if (!inner)
		received(o, ssl, bytes, got > 0 ? (size_t)got : 0);
	return got;
}

WEIR_HOOK int SSL_read_ex(SSL *ssl, void *bytes, size_t n, size_t *got)
{
	bool inner;
	const struct openssl *o = library_for(__builtin_return_address(0), &inner);
	int good;

	if (!o || !o->read_ex)
		return 0;
	good = o->read_ex(ssl, bytes, n, got);
	if (!inner)
		received(o, ssl, bytes, good > 0 ? *got : 0);
	return good;
}
