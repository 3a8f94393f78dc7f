/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/library.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "src/preload/core/library.h"

#define LIBRARIES 32
#define CALLERS   64 /* a power of two */
#define PROBES    8

/* The libcurls that were found. An entry stays as it is while its library is loaded, so that a pointer to it is good for as long
 * as one to the library. */
enum { FREE = 0, FILLING, READY };

static struct {
	_Atomic int state;
	struct weir_curl curl;
} libraries[LIBRARIES];

/* Which libcurl a calling object has: object's hash:56 | entry + 1:8. The hash covers place and name, so that an object which is
 * loaded where another one has been is not taken for it. */
static _Atomic uint64_t callers[CALLERS];

bool weir_curl_is_loaded(const struct weir_curl *curl)
{
	return curl->stays || weir_object_is(&curl->object, (const void *)(uintptr_t)curl->perform);
}

bool weir_curl_contains(const struct weir_curl *curl, const void *caller)
{
	struct weir_object object;

	return weir_object_of(caller, &object) && object.link_map == curl->object.link_map;
}

static bool has_multi(const struct weir_curl *curl)
{
	return curl->multi_init && curl->multi_add && curl->multi_remove && curl->multi_perform && curl->multi_info_read &&
	       curl->multi_cleanup && curl->multi_setopt && curl->multi_timeout && curl->multi_wait &&
	       curl->multi_socket_action && curl->multi_socket && curl->multi_socket_all;
}

static bool fill(struct weir_curl *curl, const void *caller)
{
	const void *inside;

	memset(curl, 0, sizeof *curl);
	curl->perform = (__typeof__(curl->perform))weir_find_real("curl_easy_perform", caller);
	if (!curl->perform)
		curl->perform = (__typeof__(curl->perform))weir_only_library("libcurl", "curl_easy_perform");
	inside = (const void *)(uintptr_t)curl->perform;
	if (!inside || !weir_object_of(inside, &curl->object))
		return false;
		/* From here on libcurl's own object is the caller, so that all functions come from one library. */
#define FIND(field, name) curl->field = (__typeof__(curl->field))weir_find_real(name, inside)
	FIND(init, "curl_easy_init");
	FIND(setopt, "curl_easy_setopt");
	FIND(getinfo, "curl_easy_getinfo");
	FIND(duphandle, "curl_easy_duphandle");
	FIND(reset, "curl_easy_reset");
	FIND(cleanup, "curl_easy_cleanup");
	FIND(pause, "curl_easy_pause");
	FIND(multi_init, "curl_multi_init");
	FIND(multi_add, "curl_multi_add_handle");
	FIND(multi_remove, "curl_multi_remove_handle");
	FIND(multi_perform, "curl_multi_perform");
	FIND(multi_info_read, "curl_multi_info_read");
	FIND(multi_cleanup, "curl_multi_cleanup");
	FIND(multi_setopt, "curl_multi_setopt");
	FIND(multi_timeout, "curl_multi_timeout");
	FIND(multi_wait, "curl_multi_wait");
	FIND(multi_poll, "curl_multi_poll");
	FIND(multi_socket_action, "curl_multi_socket_action");
	FIND(multi_socket, "curl_multi_socket");
	FIND(multi_socket_all, "curl_multi_socket_all");
	FIND(url_get, "curl_url_get");
	FIND(free, "curl_free");
	FIND(header, "curl_easy_header");
	FIND(next_header, "curl_easy_nextheader");
#undef FIND
	curl->stays = weir_object_stays(&curl->object);
	/* Behind another copy of this library libcurl is not to be told from others. */
	curl->connects_to_us = weir_is_first("connect") && !weir_object_is_weir(&curl->object);
	return curl->init && curl->setopt && curl->getinfo && curl->duphandle && curl->reset && curl->cleanup && curl->free &&
	       has_multi(curl);
}

/* Puts it in the table unless it is there. Returns its number, LIBRARIES when the table is full of libraries in use. */
static unsigned keep(const struct weir_curl *curl)
{
	for (unsigned i = 0; i < LIBRARIES; i++) {
		int state = atomic_load_explicit(&libraries[i].state, memory_order_acquire);

		if (state == FILLING)
			continue;
		if (state == READY && weir_curl_is_loaded(&libraries[i].curl)) {
			if (memcmp(&libraries[i].curl, curl, sizeof *curl) == 0)
				return i;
			/* Else another library, or one that is gone and whose place this one has. */
			if (libraries[i].curl.object.start != curl->object.start)
				continue;
		}
		if (atomic_compare_exchange_strong(&libraries[i].state, &state, FILLING)) {
			libraries[i].curl = *curl;
			atomic_store_explicit(&libraries[i].state, READY, memory_order_release);
			return i;
		}
	}
	return LIBRARIES;
}

static const struct weir_curl *find_anew(const void *caller, uint64_t hash)
{
	struct weir_curl curl;
	unsigned number;
	int saved = errno;
	bool found = fill(&curl, caller);

	errno = saved;
	number = found ? keep(&curl) : LIBRARIES;
	if (number == LIBRARIES)
		return NULL;
	for (unsigned i = 0; hash != 0 && i < PROBES; i++) {
		_Atomic uint64_t *word = &callers[((hash >> 8) + i) & (CALLERS - 1)];

		/* A full neighbourhood gives up its last: callers come and go with their libraries. */
		if (atomic_load_explicit(word, memory_order_relaxed) == 0 || i == PROBES - 1) {
			atomic_store_explicit(word, hash | (number + 1), memory_order_release);
			break;
		}
	}
	return &libraries[number].curl;
}

const struct weir_curl *weir_curl_for(const void *caller)
{
	struct weir_object object;
	uint64_t hash = 0;

	if (weir_object_of(caller, &object))
		hash = weir_object_hash(&object);
	for (unsigned i = 0; hash != 0 && i < PROBES; i++) {
		uint64_t word = atomic_load_explicit(&callers[((hash >> 8) + i) & (CALLERS - 1)], memory_order_acquire);
		unsigned number = (unsigned)(word & 0xff) - 1;

		if (word == 0)
			break;
		if ((word & ~UINT64_C(0xff)) == hash && number < LIBRARIES &&
		    atomic_load_explicit(&libraries[number].state, memory_order_acquire) == READY &&
		    weir_curl_is_loaded(&libraries[number].curl))
			return &libraries[number].curl;
	}
	return find_anew(caller, hash);
}
