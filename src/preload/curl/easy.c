/* SPDX-License-Identifier: MIT */
/*
 * The hook of curl_easy_perform: each request of the transfer is admitted and settled as one to its own host (transfer.h).
 *
 * Refused: CURLE_COULDNT_CONNECT (breaker) or CURLE_OPERATION_TIMEDOUT (the wait would be too long), with the reason in the
 * handle's error buffer.
 *
 * Other schemes than HTTP pass through; their connections are seen by the hook of connect.
 */
#include <errno.h>
#include <string.h>

#include "src/preload/core/attach.h"
#include "src/preload/core/environment.h"
#include "src/preload/core/flight.h"
#include "src/preload/core/hook.h"
#include "src/preload/curl/handle_table.h"
#include "src/preload/curl/transfer.h"
#include "src/preload/socket/pending.h"
#include "weir/gate.h"
#include "weir/http.h"

static bool from_url(const char *url, char host_port[WEIR_HOST_PORT_MAX])
{
	return url && weir_url_is_http(url) && weir_url_host_port(url, host_port);
}

static bool from_curlu(const struct weir_curl *curl, const CURLU *parts, char host_port[WEIR_HOST_PORT_MAX])
{
	char *url = NULL;
	bool good;

	if (!curl->url_get || curl->url_get(parts, CURLUPART_URL, &url, 0) != CURLUE_OK || !url)
		return false;
	good = from_url(url, host_port);
	curl->free(url);
	return good;
}

static bool from_effective_url(const struct weir_curl *curl, CURL *handle, char host_port[WEIR_HOST_PORT_MAX])
{
	char *url = NULL;

	return curl->getinfo(handle, CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK && from_url(url, host_port);
}

static bool with_port(char host_port[WEIR_HOST_PORT_MAX], uint16_t port)
{
	char host[WEIR_HOST_PORT_MAX], *colon;

	memcpy(host, host_port, sizeof host);
	colon = strrchr(host, ':');
	if (!colon)
		return false;
	*colon = '\0';
	return weir_host_port(host, port, host_port);
}

/* Where the transfer goes. False when it is none of weir's business. */
static bool find_host(const struct weir_handle *h, const struct weir_curl *curl, CURL *handle, char host_port[WEIR_HOST_PORT_MAX])
{
	if (!h)
		return from_effective_url(curl, handle, host_port);
	if (h->local)
		return false;
	if (h->url) {
		if (!from_curlu(curl, h->url, host_port))
			return false;
	} else if (h->host_port[0] != '\0' && h->http) {
		memcpy(host_port, h->host_port, strnlen(h->host_port, sizeof h->host_port - 1) + 1);
	} else {
		return false;
	}
	return h->port == 0 || with_port(host_port, h->port);
}

/* A refused transfer ends as if its connect had failed; only the text is weir's. What libcurl found wrong before that stands. */
__attribute__((noinline)) static CURLcode refused(const struct weir_transfer *t, const struct weir_request *r, CURLcode code)
{
	char text[CURL_ERROR_SIZE];

	if (code != CURLE_COULDNT_CONNECT && code != CURLE_OPERATION_TIMEDOUT && code != CURLE_ABORTED_BY_CALLBACK)
		return code;
	if (t->known && t->known->error_buffer) {
		weir_gate_describe(t->gate, r, t->host_port, weir_now_ns(), text, sizeof text);
		memcpy(t->known->error_buffer, text, strlen(text) + 1);
	}
	return t->refused == ETIMEDOUT ? CURLE_OPERATION_TIMEDOUT : CURLE_COULDNT_CONNECT;
}

/* Lets libcurl do it. A transfer that is refused already it is to refuse by itself, so that its options are judged, its callbacks
 * called, and all that curl_easy_getinfo tells is of this transfer. */
static CURLcode perform(struct weir_transfer *t)
{
	CURLcode code;

	if (t->refused == 0)
		return t->curl->perform(t->handle);
	if (!t->known || !t->known->whole)
		return CURLE_COULDNT_CONNECT;
	weir_transfer_refuse(t->curl, t->handle, t->known);
	code = t->curl->perform(t->handle);
	weir_transfer_restore(t->curl, t->handle, t->known);
	return code;
}

__attribute__((noinline)) static CURLcode exchange(const struct weir_gate *g, uintptr_t frame, const struct weir_curl *curl,
						   CURL *handle, struct weir_handle *h, const char *host_port)
{
	/* Of handles that are not known, one at a time. */
	static WEIR_THREAD_LOCAL struct weir_transfer stray;
	struct weir_transfer *t = h ? weir_handle_transfer(h) : &stray, *outer;
	struct weir_flight flight = weir_flight_begin(frame, WEIR_FLIGHT_PERFORM, &t->own);
	struct weir_request request, *r = flight.number != 0 ? &request : &t->own;
	int saved = errno;
	CURLcode code;
	bool ours;

	if (h)
		weir_transfer_chain(curl, handle, h);
	t->handle = handle;
	t->curl = curl;
	t->gate = g;
	t->known = h;
	t->request = flight.request;
	t->number = flight.number;
	memcpy(t->host_port, host_port, strnlen(host_port, sizeof t->host_port - 1) + 1);
	weir_transfer_begin(t);
	if (flight.number != 0)
		weir_flight_watch(weir_transfer_connects);
	outer = weir_transfer_enter(t);
	errno = saved;
	code = perform(t);
	saved = errno;
	weir_transfer_enter(outer);
	ours = weir_flight_end(&flight, &request);
	if (t->refused != 0)
		code = refused(t, ours ? r : flight.request, code);
	else if (ours)
		weir_transfer_end(t, r, code);
	t->handle = NULL;
	errno = saved;
	return code;
}

WEIR_HOOK CURLcode curl_easy_perform(CURL *handle)
{
	struct weir_handle *h = weir_handle_find(handle);
	const struct weir_curl *curl = weir_handle_library(h, __builtin_return_address(0));
	char host_port[WEIR_HOST_PORT_MAX];
	const struct weir_gate *g;
	int saved = errno;

	if (!curl)
		return CURLE_FAILED_INIT;
	if (h)
		weir_transfer_restore(curl, handle, h);
	if (!handle || weir_disabled() || !find_host(h, curl, handle, host_port))
		return curl->perform(handle);
	g = weir_attach();
	if (g && weir_pending_any())
		weir_pending_sweep();
	errno = saved;
	return g && weir_host_chosen(host_port) ? exchange(g, WEIR_FRAME, curl, handle, h, host_port) : curl->perform(handle);
}
