/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/withheld.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "src/preload/core/find_real.h"
#include "src/preload/curl/again.h"

/* Of one attempt: heads of some hops, and a body that says "try later". */
#define ROOM_BYTES (256U * 1024U)
/* A pause cannot be kept where libcurl has ended the transfer: the callback is asked so often again. */
#define PAUSES 100

enum piece_kind { HEADER, BODY };

struct piece {
	uint32_t bytes;
	uint32_t kind; /* enum piece_kind */
};

static size_t room_of(size_t bytes)
{
	return sizeof(struct piece) + ((bytes + 7) & ~(size_t)7);
}

/* Libcurl's own callback where the program has set none. */
static curl_write_callback plain_write(const struct weir_curl *curl)
{
	return (curl_write_callback)weir_find_real("fwrite", (const void *)(uintptr_t)curl->perform);
}

/* And its data. */
static void *plain_data(const struct weir_curl *curl)
{
	FILE **out = weir_find_real("stdout", (const void *)(uintptr_t)curl->perform);

	return out ? *out : NULL;
}

static size_t give_body(const struct weir_transfer *t, char *data, size_t bytes)
{
	const struct weir_handle *h = t->known;
	curl_write_callback write = h->receives.write ? h->receives.write : plain_write(t->curl);

	return write ? write(data, 1, bytes, h->receives.write_data_set ? h->receives.write_data : plain_data(t->curl)) : 0;
}

/* As libcurl does: header data without a header function goes to the write function. */
static size_t give_header(const struct weir_transfer *t, char *data, size_t bytes)
{
	const struct weir_handle *h = t->known;
	curl_write_callback give = h->receives.header;

	if (!give && !h->receives.header_data)
		return bytes;
	if (!give)
		give = h->receives.write ? h->receives.write : plain_write(t->curl);
	return give ? give(data, 1, bytes, h->receives.header_data) : 0;
}

static size_t give(const struct weir_transfer *t, enum piece_kind kind, char *data, size_t bytes)
{
	return kind == HEADER ? give_header(t, data, bytes) : give_body(t, data, bytes);
}

static bool keep(struct weir_withheld *w, enum piece_kind kind, const char *data, size_t bytes)
{
	struct piece p = {(uint32_t)bytes, kind};
	void *memory;

	if (bytes > ROOM_BYTES || room_of(bytes) > ROOM_BYTES - w->used)
		return false;
	if (!w->memory) {
		memory = mmap(NULL, ROOM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED)
			return false;
		w->memory = memory;
	}
	memcpy(w->memory + w->used, &p, sizeof p);
	memcpy(w->memory + w->used + sizeof p, data, bytes);
	w->used += (uint32_t)room_of(bytes);
	return true;
}

/* Returns 1 when all is handed over, 0 when the program would not have it, and is given none of it again, or
 * CURL_WRITEFUNC_PAUSE: what is left is handed over the next time. */
static size_t drain(struct weir_transfer *t)
{
	struct weir_withheld *w = &t->again.withheld;
	struct piece p;

	w->passing = true;
	while (w->given < w->used) {
		size_t taken;

		memcpy(&p, w->memory + w->given, sizeof p);
		taken = give(t, (enum piece_kind)p.kind, (char *)w->memory + w->given + sizeof p, p.bytes);
		if (taken == CURL_WRITEFUNC_PAUSE)
			return CURL_WRITEFUNC_PAUSE;
		if (taken != p.bytes) {
			w->given = w->used;
			return 0;
		}
		w->given += (uint32_t)room_of(p.bytes);
	}
	return 1;
}

bool weir_withheld_hand_over(struct weir_transfer *t)
{
	size_t done = drain(t);

	for (unsigned i = 0; done == CURL_WRITEFUNC_PAUSE && i < PAUSES; i++)
		done = drain(t);
	return done == 1;
}

/* What comes now is the program's, behind what has been withheld. */
static size_t pass(struct weir_transfer *t, enum piece_kind kind, char *data, size_t bytes)
{
	size_t done = drain(t);

	return done == 1 ? give(t, kind, data, bytes) : done;
}

static size_t take(struct weir_transfer *t, enum piece_kind kind, char *data, size_t bytes)
{
	struct weir_withheld *w = &t->again.withheld;

	if (!w->passing && kind == HEADER)
		w->passing = !weir_again_head(t, data, bytes);
	else if (!w->passing)
		w->passing = !weir_again_body(t);
	if (!w->passing && keep(w, kind, data, bytes))
		return bytes;
	return pass(t, kind, data, bytes);
}

static size_t header(char *data, size_t size, size_t n, void *of)
{
	return take(of, HEADER, data, size * n);
}

static size_t body(char *data, size_t size, size_t n, void *of)
{
	return take(of, BODY, data, size * n);
}

bool weir_withhold(struct weir_transfer *t)
{
	const struct weir_curl *curl = t->curl;
	struct weir_handle *h = t->known;

	if (!h || !h->whole || (!h->receives.write_data_set && !plain_data(curl)) || (!h->receives.write && !plain_write(curl)))
		return false;
	h->withheld = curl->setopt(t->handle, CURLOPT_WRITEFUNCTION, body) == CURLE_OK;
	if (!h->withheld)
		return false;
	if (curl->setopt(t->handle, CURLOPT_WRITEDATA, t) == CURLE_OK &&
	    curl->setopt(t->handle, CURLOPT_HEADERFUNCTION, header) == CURLE_OK &&
	    curl->setopt(t->handle, CURLOPT_HEADERDATA, t) == CURLE_OK)
		return true;
	weir_withheld_end(curl, t->handle, h);
	return false;
}

void weir_withheld_begin(struct weir_transfer *t)
{
	struct weir_withheld *w = &t->again.withheld;

	w->used = w->given = 0;
	w->status = 0;
	w->passing = false;
	w->promised = false;
}

static void put_back(const struct weir_curl *curl, CURL *handle, const struct weir_handle *h)
{
	curl->setopt(handle, CURLOPT_WRITEFUNCTION, h->receives.write);
	curl->setopt(handle, CURLOPT_WRITEDATA, h->receives.write_data_set ? h->receives.write_data : plain_data(curl));
	curl->setopt(handle, CURLOPT_HEADERFUNCTION, h->receives.header);
	curl->setopt(handle, CURLOPT_HEADERDATA, h->receives.header_data);
}

void weir_withheld_end(const struct weir_curl *curl, CURL *handle, struct weir_handle *h)
{
	struct weir_withheld *w = &weir_handle_transfer(h)->again.withheld;

	if (h->withheld)
		put_back(curl, handle, h);
	h->withheld = false;
	if (w->memory)
		munmap(w->memory, ROOM_BYTES);
	w->memory = NULL;
	w->used = w->given = 0;
}

void weir_withheld_copied(const struct weir_curl *curl, CURL *copy, const struct weir_handle *original, struct weir_handle *h)
{
	if (!original->withheld)
		return;
	put_back(curl, copy, original);
	if (h)
		h->withheld = false;
}
