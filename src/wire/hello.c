/* SPDX-License-Identifier: MIT */
/*
 * The ClientHello: type:1 length:3 version:2 random:32, then session id, cipher suites, compression methods and extensions, each
 * behind its length, in records of type:1 (22) version:2 length:2. Read in one pass; a hello that goes over several records is
 * read across their headers.
 */
#include <string.h>

#include "weir/wire.h"

enum { HANDSHAKE = 22, CLIENT_HELLO = 1, SERVER_NAME = 0, ALPN = 16 };

/* The handshake's bytes, without the records' headers. `bad` once more was asked for than is there. */
struct reader {
	const uint8_t *at, *end; /* of the input */
	size_t record;           /* bytes left in the record */
	bool bad;
};

static uint8_t byte(struct reader *r)
{
	if (r->record == 0) {
		if (r->end - r->at < 5 || r->at[0] != HANDSHAKE || r->at[1] != 3) {
			r->bad = true;
			return 0;
		}
		r->record = (size_t)r->at[3] << 8 | r->at[4];
		r->at += 5;
	}
	if (r->record == 0 || r->at == r->end) {
		r->bad = true;
		return 0;
	}
	r->record--;
	return *r->at++;
}

static size_t number(struct reader *r, unsigned bytes)
{
	size_t n = 0;

	while (bytes-- > 0)
		n = n << 8 | byte(r);
	return r->bad ? 0 : n;
}

static void skip(struct reader *r, size_t n)
{
	while (n-- > 0 && !r->bad)
		byte(r);
}

/* list:2, then entries of type:1 length:2 name. The first host name counts. */
static void server_name(struct reader *r, size_t length, struct weir_hello *out)
{
	size_t list = number(r, 2), name;
	uint8_t type;

	if (r->bad || list < 3 || list + 2 > length) {
		skip(r, length >= 2 ? length - 2 : 0);
		return;
	}
	type = byte(r);
	name = number(r, 2);
	if (type != 0 || name + 3 > list || name >= sizeof out->server_name) {
		skip(r, length - 5);
		return;
	}
	for (size_t i = 0; i < name; i++) {
		uint8_t c = byte(r);

		out->server_name[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
	}
	/* A name with a NUL, or anything that is no text, is none. */
	for (size_t i = 0; i < name; i++) {
		if ((unsigned char)out->server_name[i] <= ' ' || (unsigned char)out->server_name[i] >= 0x7f)
			memset(out->server_name, 0, sizeof out->server_name);
	}
	skip(r, length - 5 - name);
}

/* list:2, then entries of length:1 name. */
static void alpn(struct reader *r, size_t length, struct weir_hello *out)
{
	size_t left = number(r, 2);

	if (r->bad || left + 2 != length) {
		skip(r, length >= 2 ? length - 2 : 0);
		return;
	}
	while (left > 0 && !r->bad) {
		size_t n = byte(r);
		char name[9] = "";

		if (n + 1 > left) {
			skip(r, left - 1);
			return;
		}
		for (size_t i = 0; i < n; i++) {
			char c = (char)byte(r);

			if (i < sizeof name - 1)
				name[i] = c;
		}
		if (n == 2 && memcmp(name, "h2", 2) == 0)
			out->offers_h2 = true;
		else if (n == 8 && memcmp(name, "http/1.", 7) == 0)
			out->offers_http1 = true;
		else
			out->offers_other = true;
		left -= n + 1;
	}
}

bool weir_hello_read(const void *bytes, size_t n, struct weir_hello *out)
{
	struct reader r = {.at = bytes, .end = (const uint8_t *)bytes + n};
	size_t left;

	memset(out, 0, sizeof *out);
	if (byte(&r) != CLIENT_HELLO || r.bad)
		return false;
	skip(&r, 3 + 2); /* length, version */
	for (size_t i = 0; i < sizeof out->random; i++)
		out->random[i] = byte(&r);
	skip(&r, byte(&r));      /* session id */
	skip(&r, number(&r, 2)); /* cipher suites */
	skip(&r, byte(&r));      /* compression methods */
	left = number(&r, 2);
	while (left >= 4 && !r.bad) {
		size_t type = number(&r, 2), length = number(&r, 2);

		if (length > left - 4)
			break;
		left -= length + 4;
		if (type == SERVER_NAME && length >= 5)
			server_name(&r, length, out);
		else if (type == ALPN && length >= 2)
			alpn(&r, length, out);
		else
			skip(&r, length);
	}
	if (r.bad || left != 0) {
		memset(out, 0, sizeof *out);
		return false;
	}
	return true;
}
