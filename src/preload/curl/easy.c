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
#include "src/preload/curl/again.h"
#include "src/preload/curl/handle_table.h"
#include "src/preload/curl/transfer.h"
#include "src/preload/curl/withheld.h"
#include "src/preload/socket/pending.h"
#include "weir/gate.h"
#include "weir/http.h"

/* Of a handle that is not known whole it is not known what has been set: the option is put back to what nearly all have. */
__attribute__((noinline)) static CURLcode refuse_stranger(const struct weir_transfer *t)
{
	CURLcode code;

	t->curl->setopt(t->handle, CURLOPT_FRESH_CONNECT, 1L);
	code = t->curl->perform(t->handle);
	t->curl->setopt(t->handle, CURLOPT_FRESH_CONNECT, t->known ? t->known->fresh_connect : 0L);
	return code;
}

/* Lets libcurl do it. A transfer that is refused already it is to refuse by itself, so that its options are judged, its callbacks
 * called, and all that curl_easy_getinfo tells is of this transfer. */
static CURLcode perform(struct weir_transfer *t)
{
	CURLcode code;

	if (t->refused == 0)
		return t->curl->perform(t->handle);
	if (!t->known || !t->known->whole)
		return refuse_stranger(t);
	weir_transfer_refuse(t->curl, t->handle, t->known);
	code = t->curl->perform(t->handle);
	weir_transfer_restore(t->curl, t->handle, t->known);
	return code;
}

/* A transfer that is begun, by libcurl. *again: it is to be made once more. */
__attribute__((noinline)) static CURLcode run(struct weir_transfer *t, const struct weir_flight *flight, bool *again)
{
	struct weir_request request;
	CURLcode code;
	int saved;
	bool ours;

	weir_transfer_enter(t);
	code = perform(t);
	saved = errno;
	ours = weir_flight_end(flight, &request);
	if (t->refused != 0 && ours)
		weir_transfer_unmade(t, &request);
	if (t->refused != 0)
		code = weir_transfer_refusal(t, &request, code);
	else if (ours)
		weir_transfer_end(t, &request, code);
	*again = t->again.on && weir_again_after(t, &request, t->refused == 0 && ours, &code);
	t->handle = NULL;
	errno = saved;
	return code;
}

static struct weir_flight take_in_hand(struct weir_transfer *t, uintptr_t frame)
{
	struct weir_flight flight = weir_flight_begin(frame, WEIR_FLIGHT_PERFORM);
	struct weir_flight_watch watch;

	t->request = flight.request;
	t->number = flight.number;
	watch = weir_transfer_watch(t);
	weir_flight_watch(&flight, &watch);
	return flight;
}

/* Asks again, after the pause between two attempts. */
static CURLcode run_again(struct weir_transfer *t, CURL *handle, uintptr_t frame, bool *again)
{
	struct weir_request request;
	struct weir_flight flight;
	CURLcode code;

	weir_flight_alone(0);
	weir_gate_sleep(t->again.due_ns);
	t->handle = handle;
	flight = take_in_hand(t, frame);
	if (weir_transfer_begin_again(t)) {
		weir_again_next(t);
		return run(t, &flight, again);
	}
	*again = false;
	if (weir_flight_end(&flight, &request))
		weir_transfer_unmade(t, &request);
	code = weir_again_give_up(t);
	t->handle = NULL;
	return code;
}

__attribute__((noinline)) static CURLcode ask_again(struct weir_transfer *t, CURL *handle, uintptr_t frame, bool again,
						    CURLcode code)
{
	int saved;

	while (again)
		code = run_again(t, handle, frame, &again);
	saved = errno;
	weir_withheld_end(t->curl, handle, t->known);
	weir_transfer_restore(t->curl, handle, t->known);
	errno = saved;
	return code;
}

static CURLcode exchange(const struct weir_gate *g, uintptr_t frame, const struct weir_curl *curl, CURL *handle,
			 struct weir_handle *h, const char *host_port)
{
	/* Of handles that are not known, one at a time. */
	static WEIR_THREAD_LOCAL struct weir_transfer stray;
	struct weir_transfer *t = h ? weir_handle_transfer(h) : &stray;
	struct weir_flight flight;
	bool again = false;
	CURLcode code;
	int saved = errno;

	if (!h)
		weir_flight_drop(t->number, t);
	else if (t->handle && !weir_flight_left(t->number, t, frame))
		return curl->perform(handle); /* inside its own transfer: libcurl refuses it */
	if (h && h->withheld)
		weir_withheld_end(curl, handle, h);
	if (h)
		weir_transfer_chain(curl, handle, h);
	t->handle = handle;
	t->curl = curl;
	t->gate = g;
	t->known = h;
	flight = take_in_hand(t, frame);
	memcpy(t->host_port, host_port, strnlen(host_port, sizeof t->host_port - 1) + 1);
	weir_transfer_begin(t);
	errno = saved;
	code = run(t, &flight, &again);
	return h && h->withheld ? ask_again(t, handle, frame, again, code) : code;
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
	/* Kept back it is in a multi handle for the program, and not for libcurl, which else says so itself. */
	if (h && weir_handle_transfer(h)->multi)
		return weir_handle_transfer(h)->place == WEIR_PLACE_KEPT ? CURLE_FAILED_INIT : curl->perform(handle);
	if (h) {
		h->refused_with = 0;
		weir_transfer_restore(curl, handle, h);
		/* What was left by a jump while it slept. */
		if (h->withheld && !weir_handle_transfer(h)->handle)
			weir_withheld_end(curl, handle, h);
	}
	if (!handle || weir_disabled() || !weir_transfer_target(h, curl, handle, host_port))
		return curl->perform(handle);
	g = weir_attach();
	if (g && weir_pending_any())
		weir_pending_sweep();
	errno = saved;
	return g && weir_host_chosen(host_port) ? exchange(g, WEIR_FRAME, curl, handle, h, host_port) : curl->perform(handle);
}
