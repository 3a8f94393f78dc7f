/* SPDX-License-Identifier: MIT */
/*
 * The hook of curl_easy_perform: one transfer of libcurl, all its hops, is admitted as one request to the host of its URL.
 *
 * Refused: CURLE_COULDNT_CONNECT (breaker) or CURLE_OPERATION_TIMEDOUT (the wait would be too long), with the reason in the
 * handle's error buffer. What curl_easy_getinfo tells afterwards is that of the transfer before.
 *
 * Other schemes than HTTP pass through; their connections are seen by the hook of connect.
 */
#include <errno.h>
#include <string.h>

#include "src/preload/core/attach.h"
#include "src/preload/core/environment.h"
#include "src/preload/core/flight.h"
#include "src/preload/core/hook.h"
#include "src/preload/core/tell.h"
#include "src/preload/curl/answer.h"
#include "src/preload/curl/handle_table.h"
#include "src/preload/curl/hop.h"
#include "src/preload/socket/pending.h"
#include "weir/gate.h"
#include "weir/http.h"

#define MS_NS UINT64_C(1000000)
/* A lease outlives the program's time-out by this: its process ends the transfer itself. */
#define LEASE_MARGIN_MS 60000

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

static uint64_t patience_ns(const struct weir_handle *h)
{
	long ms;

	if (!h)
		return 0;
	ms = h->timeout_ms;
	if (h->connect_timeout_ms != 0 && (ms == 0 || h->connect_timeout_ms < ms))
		ms = h->connect_timeout_ms;
	return (uint64_t)ms < UINT64_MAX / MS_NS ? (uint64_t)ms * MS_NS : 0;
}

/* libcurl counts its time-out from the call of perform; the wait has used up some of it. Returns whether it was set. */
static bool shorten_timeout(const struct weir_handle *h, const struct weir_curl *curl, CURL *handle, const struct weir_request *r)
{
	uint64_t waited_ms = (r->admitted_ns - r->begun_ns) / MS_NS;

	if (!h || h->timeout_ms == 0 || waited_ms == 0)
		return false;
	return curl->setopt(handle, CURLOPT_TIMEOUT_MS,
			    (uint64_t)h->timeout_ms > waited_ms ? h->timeout_ms - (long)waited_ms : 1L) == CURLE_OK;
}

/* When the program wants the transfer to be over; 0 = whenever. */
static uint64_t over_ns(const struct weir_handle *h, const struct weir_request *r)
{
	return h && h->timeout_ms > 0 && (uint64_t)h->timeout_ms < (WEIR_NEVER - r->begun_ns) / MS_NS
		       ? r->begun_ns + (uint64_t)h->timeout_ms * MS_NS
		       : 0;
}

__attribute__((noinline)) static CURLcode refuse(const struct weir_gate *g, const struct weir_request *r,
						 const struct weir_handle *h, const char *host_port)
{
	char text[CURL_ERROR_SIZE];

	weir_gate_describe(g, r, host_port, weir_now_ns(), text, sizeof text);
	weir_tell_refused("transfer", text);
	if (h && h->error_buffer)
		memcpy(h->error_buffer, text, strlen(text) + 1);
	return r->timed_out ? CURLE_OPERATION_TIMEDOUT : CURLE_COULDNT_CONNECT;
}

__attribute__((noinline)) static CURLcode exchange(const struct weir_gate *g, uintptr_t frame, const struct weir_curl *curl,
						   CURL *handle, struct weir_handle *h, const char *host_port)
{
	struct weir_wish wish = {
		.host_port = host_port,
		.patience_ns = patience_ns(h),
		.lease_ns = h && h->timeout_ms > 0 ? ((uint64_t)h->timeout_ms + LEASE_MARGIN_MS) * MS_NS : 0,
		.thread = weir_thread_id(),
		.lease_hint = weir_flight_lease_hint(),
		.credential = weir_handle_credential(h),
		.path = h && !h->url ? h->path : 0,
	};
	struct weir_request request;
	struct weir_flight flight = weir_flight_begin(frame, WEIR_FLIGHT_PERFORM, &request);
	struct weir_exchange x = {.gate = g,
				  .curl = curl,
				  .handle = handle,
				  .host_port = host_port,
				  .request = &request,
				  .plain = h && !h->url ? &h->plain : NULL};
	int saved = errno;
	bool shortened;
	CURLcode code;

	if (weir_gate_admit(g, flight.request, &wish) == WEIR_REFUSE) {
		request = *flight.request;
		weir_flight_end(&flight, &request);
		errno = saved;
		return refuse(g, &request, h, host_port);
	}
	weir_tell_admitted(flight.request, host_port);
	shortened = shorten_timeout(h, curl, handle, flight.request);
	if (flight.number != 0)
		weir_hop_watch(handle, host_port, over_ns(h, flight.request));
	errno = saved;
	code = curl->perform(handle);
	saved = errno;
	if (flight.number != 0)
		x.hop_refused = weir_hop_over(&x.hop_waited_ns);
	if (shortened) /* to what the program has set by now: it may have done so in a callback */
		curl->setopt(handle, CURLOPT_TIMEOUT_MS, h->timeout_ms);
	if (weir_flight_end(&flight, &request))
		weir_exchange_settle(&x, code);
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
	if (!handle || weir_disabled() || !find_host(h, curl, handle, host_port))
		return curl->perform(handle);
	g = weir_attach();
	if (g && weir_pending_any())
		weir_pending_sweep();
	errno = saved;
	return g && weir_host_chosen(host_port) ? exchange(g, WEIR_FRAME, curl, handle, h, host_port) : curl->perform(handle);
}
