/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/handle_table.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "weir/gate.h"
#include "weir/http.h"

/* A power of two. Of a multi handle with more transfers than this the rest passes as connections. Only pages in use take memory.
 */
#define PLACES 8192
#define PROBES 32 /* places that one handle may have */

static _Atomic uintptr_t keys[PLACES]; /* 0 = free */
static struct weir_handle handles[PLACES];
static struct weir_transfer transfers[PLACES];

static unsigned first_place(uintptr_t key)
{
	/* Heap addresses: multiples of 16, and often of more. */
	return (unsigned)(((uint64_t)key * UINT64_C(0x9e3779b97f4a7c15)) >> 40);
}

static unsigned place_of(uintptr_t key)
{
	unsigned first = first_place(key);

	/* All of them: a free place in between may have been left by another handle. */
	for (unsigned i = 0; i < PROBES; i++) {
		unsigned place = (first + i) & (PLACES - 1);

		if (atomic_load_explicit(&keys[place], memory_order_acquire) == key)
			return place;
	}
	return PLACES;
}

struct weir_handle *weir_handle_find(const CURL *handle)
{
	unsigned place = handle ? place_of((uintptr_t)handle) : PLACES;

	return place < PLACES ? &handles[place] : NULL;
}

struct weir_transfer *weir_handle_transfer(const struct weir_handle *h)
{
	return &transfers[h - handles];
}

struct weir_handle *weir_handle_make(const CURL *handle, const struct weir_curl *curl)
{
	struct weir_handle *h = weir_handle_find(handle);
	unsigned first = first_place((uintptr_t)handle);

	for (unsigned i = 0; !h && handle && i < PROBES; i++) {
		unsigned place = (first + i) & (PLACES - 1);
		uintptr_t key = 0;

		if (atomic_compare_exchange_strong(&keys[place], &key, (uintptr_t)handle)) {
			h = &handles[place];
			weir_handle_clear(h);
			transfers[place].handle = NULL;
			transfers[place].multi = NULL;
		}
	}
	if (h)
		h->curl = curl;
	return h;
}

void weir_handle_clear(struct weir_handle *h)
{
	const struct weir_curl *curl = h->curl;

	h->host_port[0] = '\0';
	memset((char *)h + offsetof(struct weir_handle, http), 0, sizeof *h - offsetof(struct weir_handle, http));
	h->curl = curl;
}

uint64_t weir_handle_credential(const struct weir_handle *h)
{
	uint64_t sum;

	if (!h)
		return 0;
	sum = h->credential.header;
	sum = weir_credential_and(sum, h->credential.user);
	sum = weir_credential_and(sum, h->credential.password);
	sum = weir_credential_and(sum, h->credential.bearer);
	sum = weir_credential_and(sum, h->credential.url);
	return sum != 0 ? sum : WEIR_NOBODY;
}

const struct weir_curl *weir_handle_library(const struct weir_handle *h, const void *caller)
{
	return h && weir_curl_is_loaded(h->curl) ? h->curl : weir_curl_for(caller);
}

void weir_handle_forget(const CURL *handle)
{
	unsigned place = handle ? place_of((uintptr_t)handle) : PLACES;

	if (place < PLACES)
		atomic_store_explicit(&keys[place], 0, memory_order_release);
}
