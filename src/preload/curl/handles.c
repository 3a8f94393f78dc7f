/* SPDX-License-Identifier: MIT */
/*
 * Hooks of curl_easy_init, curl_easy_setopt, curl_easy_duphandle, curl_easy_reset and curl_easy_cleanup: they remember what
 * curl_easy_perform needs to know of a handle. And of curl_easy_getinfo: what was refused on a connection that was open already
 * has failed in no system call, and libcurl would tell the errno of a transfer before.
 *
 * Each answers what the real function answers. Where no libcurl is found behind a hook: CURLE_FAILED_INIT or NULL.
 */
#include "src/preload/core/environment.h"
#include "src/preload/core/hook.h"
#include "src/preload/curl/asked.h"
#include "src/preload/curl/handle_table.h"
#include "src/preload/curl/kept.h"
#include "src/preload/curl/option.h"
#include "src/preload/curl/proxy.h"
#include "src/preload/curl/transfer.h"
#include "src/preload/curl/withheld.h"

#include <limits.h>
#include <stdarg.h>
#include <string.h>

WEIR_HOOK CURL *curl_easy_init(void)
{
	const struct weir_curl *curl = weir_curl_for(__builtin_return_address(0));
	CURL *handle = curl ? curl->init() : NULL;

	/* What libcurl makes for itself it frees without curl_easy_cleanup. */
	if (handle && !weir_disabled() && !weir_curl_contains(curl, __builtin_return_address(0))) {
		struct weir_handle *h = weir_handle_make(handle, curl);

		if (h) {
			weir_handle_clear(h);
			h->whole = true;
		}
	}
	return handle;
}

static void remember_url(struct weir_handle *h, const char *url)
{
	h->host_port[0] = '\0';
	h->http = false;
	h->plain = 0;
	h->credential.url = h->path = 0;
	if (!url)
		return;
	h->credential.url = weir_url_credential(url);
	h->path = weir_url_path(url);
	h->http = weir_url_is_http(url);
	if (!weir_url_host_port(url, h->host_port))
		h->host_port[0] = '\0';
}

static void remember_headers(struct weir_handle *h, const struct curl_slist *line)
{
	h->credential.header = 0;
	/* As long as nobody's list is, so that a damaged one ends. */
	for (int i = 0; line && i < 256; i++, line = line->next) {
		if (line->data)
			h->credential.header = weir_credential_and(h->credential.header, weir_header_credential(line->data));
	}
}

static long seconds_as_ms(const void *word)
{
	long seconds = (long)(intptr_t)word;

	return seconds <= 0 ? 0 : seconds > LONG_MAX / 1000 ? LONG_MAX : seconds * 1000;
}

static long positive(const void *word)
{
	long n = (long)(intptr_t)word;

	return n > 0 ? n : 0;
}

static bool is_remembered(CURLoption option)
{
	switch (option) {
	case CURLOPT_URL:
	case CURLOPT_CURLU:
	case CURLOPT_PORT:
	case CURLOPT_ERRORBUFFER:
	case CURLOPT_TIMEOUT:
	case CURLOPT_TIMEOUT_MS:
	case CURLOPT_CONNECTTIMEOUT:
	case CURLOPT_CONNECTTIMEOUT_MS:
	case CURLOPT_LOW_SPEED_TIME:
	case CURLOPT_UNIX_SOCKET_PATH:
	case CURLOPT_ABSTRACT_UNIX_SOCKET:
	case CURLOPT_HTTPHEADER:
	case CURLOPT_USERPWD:
	case CURLOPT_USERNAME:
	case CURLOPT_PASSWORD:
	case CURLOPT_XOAUTH2_BEARER:
	case CURLOPT_PROXY:
	case CURLOPT_PROXYPORT:
	case CURLOPT_PROXYTYPE:
	case CURLOPT_PRE_PROXY:
	case CURLOPT_FRESH_CONNECT:
	case CURLOPT_CONNECT_TO:
	case CURLOPT_PREREQFUNCTION:
	case CURLOPT_PREREQDATA:
	case CURLOPT_SOCKOPTFUNCTION:
	case CURLOPT_SOCKOPTDATA:
		return true;
	default:
		return weir_option_is_noted(option);
	}
}

static void remember(struct weir_handle *h, CURLoption option, void *word)
{
	if (weir_option_note(h, option, word))
		return;
	switch (option) {
	case CURLOPT_URL:
		remember_url(h, word);
		break;
	case CURLOPT_CURLU:
		h->url = word;
		break;
	case CURLOPT_PORT:
		h->port = (uint16_t)positive(word);
		break;
	case CURLOPT_ERRORBUFFER:
		h->error_buffer = word;
		break;
	case CURLOPT_TIMEOUT:
		h->timeout_ms = seconds_as_ms(word);
		h->shortened = false;
		break;
	case CURLOPT_TIMEOUT_MS:
		h->timeout_ms = positive(word);
		h->shortened = false;
		break;
	case CURLOPT_CONNECTTIMEOUT:
		h->connect_timeout_ms = seconds_as_ms(word);
		break;
	case CURLOPT_CONNECTTIMEOUT_MS:
		h->connect_timeout_ms = positive(word);
		break;
	case CURLOPT_LOW_SPEED_TIME:
		h->low_speed_time = (long)(intptr_t)word;
		break;
	case CURLOPT_HTTPHEADER:
		remember_headers(h, word);
		break;
	case CURLOPT_USERPWD:
		h->credential.user = weir_secret_digest(word);
		h->credential.password = 0;
		break;
	case CURLOPT_USERNAME:
		h->credential.user = weir_secret_digest(word);
		break;
	case CURLOPT_PASSWORD:
		h->credential.password = weir_secret_digest(word);
		break;
	case CURLOPT_XOAUTH2_BEARER:
		h->credential.bearer = weir_secret_digest(word);
		break;
	case CURLOPT_PROXY:
	case CURLOPT_PROXYPORT:
	case CURLOPT_PROXYTYPE:
	case CURLOPT_PRE_PROXY:
		weir_proxy_remember(h, option, word);
		break;
	case CURLOPT_FRESH_CONNECT:
		h->fresh_connect = (long)(intptr_t)word;
		break;
	case CURLOPT_CONNECT_TO:
		h->connect_to = word;
		break;
	case CURLOPT_PREREQFUNCTION:
		h->prereq = (curl_prereq_callback)word;
		break;
	case CURLOPT_PREREQDATA:
		h->prereq_data = word;
		break;
	case CURLOPT_SOCKOPTFUNCTION:
		h->sockopt = (curl_sockopt_callback)word;
		break;
	case CURLOPT_SOCKOPTDATA:
		h->sockopt_data = word;
		break;
	default: /* CURLOPT_UNIX_SOCKET_PATH, CURLOPT_ABSTRACT_UNIX_SOCKET */
		h->local = word != NULL;
	}
}

/* Whether the place of the program's own is taken by weir's, which calls it. */
static bool is_chained(const struct weir_handle *h, CURLoption option)
{
	return weir_option_is_withheld(h, option) ||
	       (h->chained && (option == CURLOPT_PREREQFUNCTION || option == CURLOPT_PREREQDATA)) ||
	       (h->marked && (option == CURLOPT_SOCKOPTFUNCTION || option == CURLOPT_SOCKOPTDATA));
}

/* The third argument is a pointer, a long, a curl_off_t or a function: one word on every 64-bit Linux (LP64), handed on as such.
 * No option takes a floating-point number. */
WEIR_HOOK CURLcode curl_easy_setopt(CURL *handle, CURLoption option, ...)
{
	struct weir_handle *h = weir_handle_find(handle);
	const struct weir_curl *curl = weir_handle_library(h, __builtin_return_address(0));
	va_list arguments;
	CURLcode code;
	void *word;

	va_start(arguments, option);
	word = va_arg(arguments, void *);
	va_end(arguments);
	if (!curl)
		return CURLE_FAILED_INIT;
	if (h && is_chained(h, option))
		code = CURLE_OK;
	else
		code = curl->setopt(handle, option, word);
	if (code != CURLE_OK || weir_disabled() || !is_remembered(option))
		return code;
	if (!h)
		h = weir_handle_make(handle, curl);
	if (h)
		remember(h, option, word);
	return code;
}

/* The third argument is a pointer, whatever it points to. */
WEIR_HOOK CURLcode curl_easy_getinfo(CURL *handle, CURLINFO info, ...)
{
	const struct weir_handle *h = weir_handle_find(handle);
	const struct weir_curl *curl = weir_handle_library(h, __builtin_return_address(0));
	va_list arguments;
	void *to;

	va_start(arguments, info);
	to = va_arg(arguments, void *);
	va_end(arguments);
	if (!curl)
		return CURLE_FAILED_INIT;
	if (info != CURLINFO_OS_ERRNO || !h || h->refused_with == 0 || !to)
		return curl->getinfo(handle, info, to);
	*(long *)to = h->refused_with;
	return CURLE_OK;
}

WEIR_HOOK CURL *curl_easy_duphandle(CURL *handle)
{
	const struct weir_handle *original = weir_handle_find(handle);
	const struct weir_curl *curl = weir_handle_library(original, __builtin_return_address(0));
	CURL *copy = curl ? curl->duphandle(handle) : NULL;
	struct weir_handle *h = copy && !weir_disabled() ? weir_handle_make(copy, curl) : NULL;

	if (h && original) {
		*h = *original;
		h->refused_with = 0;
	} else if (h) {
		weir_handle_clear(h);
	}
	if (copy && original)
		weir_transfer_copied(curl, copy, original, h);
	return copy;
}

WEIR_HOOK void curl_easy_reset(CURL *handle)
{
	struct weir_handle *h = weir_handle_find(handle);
	const struct weir_curl *curl = weir_handle_library(h, __builtin_return_address(0));

	if (curl)
		curl->reset(handle);
	if (h) {
		weir_handle_clear(h);
		h->whole = true;
	}
}

WEIR_HOOK void curl_easy_cleanup(CURL *handle)
{
	struct weir_handle *h = weir_handle_find(handle);
	const struct weir_curl *curl = weir_handle_library(h, __builtin_return_address(0));

	if (h) {
		weir_kept_drop(weir_handle_transfer(h));
		weir_transfer_drop(h);
		if (h->withheld && curl)
			weir_withheld_end(curl, handle, h);
	}
	weir_handle_forget(handle);
	if (curl)
		curl->cleanup(handle);
}
