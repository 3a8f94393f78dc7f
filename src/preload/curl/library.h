/* SPDX-License-Identifier: MIT */
/*
 * The libcurls of this process. There may be several (one by OpenSSL, one by GnuTLS), and a handle belongs to one of them.
 *
 * libcurl's header is used for its types and numbers, which are its ABI; libcurl itself is never linked.
 */
#ifndef WEIR_CURL_LIBRARY_H
#define WEIR_CURL_LIBRARY_H

/* The hooks define what its macros would cover, and pass through options that they do not know. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

#include "src/preload/core/find_real.h"

struct weir_curl {
	struct weir_object object;
	uintptr_t stays;          /* it cannot be unloaded */
	uintptr_t connects_to_us; /* our hook is the first that its connects meet; a word, to be compared as memory */
	CURL *(*init)(void);
	CURLcode (*perform)(CURL *);
	CURLcode (*setopt)(CURL *, CURLoption, ...);
	CURLcode (*getinfo)(CURL *, CURLINFO, ...);
	CURL *(*duphandle)(CURL *);
	void (*reset)(CURL *);
	void (*cleanup)(CURL *);
	/* Since 7.18, else NULL. */
	CURLcode (*pause)(CURL *, int);
	CURLM *(*multi_init)(void);
	CURLMcode (*multi_add)(CURLM *, CURL *);
	CURLMcode (*multi_remove)(CURLM *, CURL *);
	CURLMcode (*multi_perform)(CURLM *, int *);
	CURLMsg *(*multi_info_read)(CURLM *, int *);
	CURLMcode (*multi_cleanup)(CURLM *);
	CURLMcode (*multi_setopt)(CURLM *, CURLMoption, ...);
	CURLMcode (*multi_timeout)(CURLM *, long *);
	CURLMcode (*multi_wait)(CURLM *, struct curl_waitfd[], unsigned int, int, int *);
	/* Since 7.66, else NULL. */
	CURLMcode (*multi_poll)(CURLM *, struct curl_waitfd[], unsigned int, int, int *);
	CURLMcode (*multi_socket_action)(CURLM *, curl_socket_t, int, int *);
	CURLMcode (*multi_socket)(CURLM *, curl_socket_t, int *);
	CURLMcode (*multi_socket_all)(CURLM *, int *);
	CURLUcode (*url_get)(const CURLU *, CURLUPart, char **, unsigned int);
	void (*free)(void *);
	/* Since 7.84, else NULL. */
	CURLHcode (*header)(CURL *, const char *, size_t, unsigned int, int, struct curl_header **);
	struct curl_header *(*next_header)(CURL *, unsigned int, int, struct curl_header *);
};

/* The libcurl that the code at `caller` is bound to; NULL when there is none. All functions but multi_poll, url_get, header
 * and next_header are there. About 100 ns when it has been asked before. */
const struct weir_curl *weir_curl_for(const void *caller);

/* Whether the code at `caller` is libcurl's own, which calls itself through its public functions. */
bool weir_curl_contains(const struct weir_curl *curl, const void *caller);

/* Whether it is still loaded. */
bool weir_curl_is_loaded(const struct weir_curl *curl);

#endif
