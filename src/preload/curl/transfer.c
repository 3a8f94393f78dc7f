/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/transfer.h"

#include <errno.h>
#include <string.h>

#include "src/preload/core/attach.h"
#include "src/preload/core/environment.h"
#include "src/preload/core/flight.h"
#include "src/preload/core/hook.h"
#include "src/preload/core/tell.h"
#include "src/preload/curl/again.h"
#include "src/preload/curl/answer.h"
#include "src/preload/curl/asked.h"
#include "src/preload/curl/connects.h"
#include "src/preload/curl/held.h"
#include "src/preload/curl/parked.h"
#include "src/preload/curl/connect_to.h"
#include "src/preload/curl/proxy.h"
#include "src/preload/curl/withheld.h"
#include "weir/http.h"
#include "weir/log.h"

#define MS_NS UINT64_C(1000000)
/* A lease outlives the program's time-out by this: its process ends the transfer itself. */
#define LEASE_MARGIN_NS (60000 * MS_NS)

/* The libcurl that this thread has called last for a transfer. */
static WEIR_THREAD_LOCAL const struct weir_curl *called;

void weir_transfer_enter(const struct weir_transfer *t)
{
	called = t->curl;
}

const struct weir_curl *weir_transfer_inner(const void *caller)
{
	return called && caller >= called->object.start && caller < called->object.end ? called : NULL;
}

static uint64_t in_ns(long ms)
{
	return ms > 0 && (uint64_t)ms < WEIR_NEVER / MS_NS ? (uint64_t)ms * MS_NS : 0;
}

/* How long the program lets its next request wait: libcurl's time-outs run meanwhile. 0 = as long as it takes. */
static uint64_t patience_ns(const struct weir_transfer *t, bool connects, uint64_t now_ns)
{
	/* A transfer in libcurl's own queue is not connecting yet either (CURLMOPT_MAX_TOTAL_CONNECTIONS). */
	uint64_t patience = 0,
		 connecting = connects && t->known && !(t->multi && t->redirects == 0) ? in_ns(t->known->connect_timeout_ms) : 0;

	if (t->over_ns != 0)
		patience = t->over_ns > now_ns ? t->over_ns - now_ns : 1;
	return connecting != 0 && (patience == 0 || connecting < patience) ? connecting : patience;
}

__attribute__((noinline)) static void tell_refused(const struct weir_transfer *t)
{
	char text[256];

	if (!weir_log_on(WEIR_LOG_INFO))
		return;
	weir_gate_describe(t->gate, t->request, t->host_port, weir_now_ns(), text, sizeof text);
	weir_tell_refused(t->redirects > 0 ? "redirect" : "transfer", text);
}

/* Takes in what the gate has said of the request in hand. */
static void take(struct weir_transfer *t, enum weir_verdict verdict)
{
	if (verdict == WEIR_GO) {
		weir_tell_admitted(t->request, t->host_port);
	} else if (verdict == WEIR_REFUSE) {
		t->refused = t->request->timed_out ? ETIMEDOUT : ECONNREFUSED;
		tell_refused(t);
	}
}

__attribute__((noinline)) static bool goes_elsewhere(const struct weir_transfer *t)
{
	char place[WEIR_HOST_PORT_MAX];

	return t->known && t->known->connect_to && weir_connect_to(t->known->connect_to, t->host_port, place);
}

/* connects: it may connect first. */
static void begin_request(struct weir_transfer *t, bool connects, uint64_t now_ns)
{
	const struct weir_wish wish = {
		.host_port = t->host_port,
		.patience_ns = patience_ns(t, connects, now_ns),
		.lease_ns = t->over_ns > now_ns ? t->over_ns - now_ns + LEASE_MARGIN_NS : 0,
		.thread = t->multi ? 0 : weir_thread_id(),
		.lease_hint = weir_flight_lease_hint(),
		.ahead = t->known && t->known->chained,
		.in_loop = t->multi != NULL,
		.credential = t->credential,
		.path = t->path,
		.asks = weir_transfer_asks(t),
	};

	t->sent = false;
	t->here = true;
	t->instead = goes_elsewhere(t);
	t->process = weir_process_serial();
	take(t, weir_gate_begin(t->gate, t->request, &wish, now_ns, &t->wake_ns));
}

int weir_transfer_hurry(struct weir_transfer *t)
{
	take(t, weir_gate_go_now(t->gate, t->request, weir_now_ns()));
	return t->refused;
}

/* The request in hand may not be sent yet. */
static void await(struct weir_transfer *t)
{
	if (t->multi) {
		if (!weir_held_begin(t, t->local_port))
			weir_transfer_hurry(t);
	} else {
		weir_flight_alone(t->number);
		take(t, weir_gate_await(t->gate, t->request, t->host_port));
	}
}

static void begin_first(struct weir_transfer *t, uint64_t now)
{
	weir_proxy_leave(t); /* of one that was jumped out of */
	t->by_proxy = t->proxy_refused = false;
	t->begun_ns = now;
	t->refused = 0;
	t->port = 0;
	t->redirects = t->connects = 0;
	t->credential = weir_handle_credential(t->known);
	t->path = t->known && !t->known->url ? t->known->path : 0;
	begin_request(t, true, now);
}

bool weir_transfer_begin_again(struct weir_transfer *t)
{
	/* Redirects have led elsewhere. */
	if (!weir_transfer_target(t->known, t->curl, t->handle, t->host_port))
		return false;
	begin_first(t, weir_now_ns());
	if (t->request->phase == WEIR_PHASE_WAITING && !t->multi)
		await(t);
	return t->refused == 0;
}

void weir_transfer_begin(struct weir_transfer *t)
{
	uint64_t now = weir_now_ns(), allowed = t->known ? in_ns(t->known->timeout_ms) : 0;

	t->over_ns = allowed != 0 && allowed < WEIR_NEVER - now ? now + allowed : 0;
	t->again.on = t->again.waits = false;
	t->again.due_ns = 0;
	begin_first(t, now);
	if (t->request->retries)
		weir_again_begin(t);
	if (t->request->phase == WEIR_PHASE_WAITING && !t->multi && !(t->known && t->known->chained))
		await(t);
}

bool weir_transfer_is_ours(const struct weir_transfer *t)
{
	return t->process == weir_process_serial() && (t->number == 0 || weir_flight_has(t->number, t));
}

void weir_transfer_look(struct weir_transfer *t)
{
	const struct weir_gate *g = weir_attach();
	uint64_t now = weir_now_ns();

	if (!g) {
		t->request->phase = WEIR_PHASE_EXEMPT;
	} else if (t->process != weir_process_serial()) {
		/* It began in the parent of this process, or with another segment. */
		t->gate = g;
		t->request->phase = WEIR_PHASE_IDLE;
		begin_request(t, !t->held, now);
	} else {
		take(t, weir_gate_look(t->gate, t->request, now, &t->wake_ns));
	}
}

void weir_transfer_depart(struct weir_transfer *t)
{
	enum weir_verdict verdict = t->refused == 0 ? weir_gate_depart(t->gate, t->request, weir_now_ns(), &t->wake_ns) : WEIR_GO;

	/* That it goes has been told. */
	if (verdict != WEIR_GO)
		take(t, verdict);
}

/* What the next request is. Libcurl tells its URL while the transfer runs, also where the connection goes to a proxy. */
enum step { SAME, AGAIN, ELSEWHERE, OURS };

static long long_of(const struct weir_transfer *t, CURLINFO info)
{
	long n = 0;

	return t->curl->getinfo(t->handle, info, &n) == CURLE_OK && n > 0 ? n : 0;
}

static enum step next_step(struct weir_transfer *t, bool sending, long redirects, char host_port[WEIR_HOST_PORT_MAX])
{
	char *url = NULL;

	if (redirects > t->redirects) {
		if (t->curl->getinfo(t->handle, CURLINFO_EFFECTIVE_URL, &url) != CURLE_OK || !url || !weir_url_is_http(url) ||
		    !weir_url_host_port(url, host_port) || !weir_host_chosen(host_port))
			return ELSEWHERE;
		t->path = t->known ? weir_url_path(url) : 0;
		return OURS;
	}
	/* With credentials, once more. What libcurl sends again because a kept connection had been closed was not answered. */
	if (sending && t->here && t->sent && long_of(t, CURLINFO_RESPONSE_CODE) == 401)
		return AGAIN;
	return SAME;
}

/* The request in hand has been answered: by a redirect, or by asking for credentials. */
__attribute__((noinline)) static void settle_answered(struct weir_transfer *t, uint64_t now_ns)
{
	long connects = long_of(t, CURLINFO_NUM_CONNECTS);
	struct weir_exchange x = {.gate = t->gate,
				  .curl = t->curl,
				  .handle = t->handle,
				  .host_port = t->host_port,
				  .request = t->request,
				  .connections = connects > t->connects ? (uint32_t)(connects - t->connects) : 0};

	t->connects = connects;
	if (!t->here)
		return;
	if (t->request->phase == WEIR_PHASE_ADMITTED)
		weir_exchange_settle_answered(&x, t->begun_ns, now_ns);
	else if (t->request->phase == WEIR_PHASE_WAITING)
		weir_gate_cancel(t->gate, t->request, now_ns);
}

__attribute__((noinline)) static void go_on(struct weir_transfer *t, enum step step, bool sending, long redirects,
					    const char *host_port)
{
	uint64_t now = weir_now_ns();

	settle_answered(t, now);
	t->redirects = redirects;
	if (step == ELSEWHERE) {
		t->here = false;
		return;
	}
	/* Libcurl takes no credentials to another host. */
	if (step == OURS && strcmp(host_port, t->host_port) != 0)
		t->credential = t->known ? WEIR_NOBODY : 0;
	if (step == OURS)
		memcpy(t->host_port, host_port, strnlen(host_port, sizeof t->host_port - 1) + 1);
	begin_request(t, !sending, now);
}

int weir_transfer_arrive(struct weir_transfer *t, bool sending)
{
	char host_port[WEIR_HOST_PORT_MAX];
	long redirects;
	enum step step;

	if (t->refused != 0)
		return t->refused;
	if (!weir_transfer_is_ours(t))
		return 0;
	redirects = long_of(t, CURLINFO_REDIRECT_COUNT);
	step = next_step(t, sending, redirects, host_port);
	if (step != SAME)
		go_on(t, step, sending, redirects, host_port);
	if (t->multi && t->started_ns == 0)
		t->started_ns = weir_now_ns();
	if (t->here && t->refused == 0 && t->request->phase == WEIR_PHASE_WAITING && (sending || !t->multi))
		await(t);
	/* A handshake has come before it. */
	if (t->here && t->refused == 0 && sending && weir_gate_depart(t->gate, t->request, weir_now_ns(), &t->wake_ns) != WEIR_GO)
		await(t);
	t->sent = t->sent || sending;
	return t->refused;
}

static int connects(void *data, const struct weir_connecting *to)
{
	struct weir_transfer *t = data;
	bool proxy, greets = false;
	int error;

	if (!t->handle)
		return 0;
	if (t->multi) {
		/* Libcurl connects anew where a connection has been closed on which something was held. */
		weir_held_forget(t);
		weir_hop_follow(to->fd);
	}
	t->port = to->port;
	t->to = *to->to;
	t->by_proxy = false;
	/* A refused one goes nowhere behind a SOCKS or an https proxy (weir_transfer_refuse): what is wrong with that is told. */
	proxy = weir_proxy_reached(t, to->to, to->port, &greets);
	if (t->refused != 0 && t->by_proxy && greets && t->known && t->known->refusing)
		return 0;
	error = weir_transfer_arrive(t, false);
	if (error == 0 && proxy && weir_transfer_is_ours(t))
		error = weir_proxy_admit(t);
	if (error == 0 && t->multi && t->here && t->request->phase == WEIR_PHASE_WAITING && weir_transfer_is_ours(t))
		error = weir_park(t, to);
	return error;
}

struct weir_flight_watch weir_transfer_watch(struct weir_transfer *t)
{
	return (struct weir_flight_watch){
		.ask = connects, .data = t, .library = t->curl->connects_to_us ? t->curl->object.link_map : NULL};
}

void weir_transfer_drop(struct weir_handle *h)
{
	struct weir_transfer *t = weir_handle_transfer(h);

	if (!t->handle)
		return;
	weir_proxy_leave(t);
	weir_flight_drop(t->number, t);
	t->handle = NULL;
}

/* Runs after the program's own: what that one stops need not wait. */
static int prereq(void *data, char *to, char *from, int to_port, int from_port)
{
	CURL *handle = data;
	struct weir_handle *h = weir_handle_find(handle);
	struct weir_transfer *t;
	int answer, saved;

	if (!h)
		return CURL_PREREQFUNC_OK;
	answer = h->prereq ? h->prereq(h->prereq_data, to, from, to_port, from_port) : CURL_PREREQFUNC_OK;
	t = weir_handle_transfer(h);
	if (answer != CURL_PREREQFUNC_OK || t->handle != handle)
		return answer;
	saved = errno;
	t->local_port = from_port;
	answer = weir_transfer_arrive(t, true) == 0 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
	errno = saved;
	return answer;
}

bool weir_transfer_chain(const struct weir_curl *curl, CURL *handle, struct weir_handle *h)
{
	if (!h->chained && h->whole)
		h->chained = curl->setopt(handle, CURLOPT_PREREQDATA, handle) == CURLE_OK &&
			     curl->setopt(handle, CURLOPT_PREREQFUNCTION, prereq) == CURLE_OK;
	return h->chained;
}

void weir_transfer_copied(const struct weir_curl *curl, CURL *copy, const struct weir_handle *original, struct weir_handle *h)
{
	if (original->chained && h) {
		curl->setopt(copy, CURLOPT_PREREQDATA, copy);
	} else if (original->chained) {
		curl->setopt(copy, CURLOPT_PREREQFUNCTION, original->prereq);
		curl->setopt(copy, CURLOPT_PREREQDATA, original->prereq_data);
	}
	weir_connects_copied(curl, copy, original, h);
	weir_withheld_copied(curl, copy, original, h);
	if (weir_handle_transfer(original)->held && original->low_speed_time != 0)
		curl->setopt(copy, CURLOPT_LOW_SPEED_TIME, original->low_speed_time);
	if (original->shortened) {
		curl->setopt(copy, CURLOPT_TIMEOUT_MS, original->timeout_ms);
		if (h)
			h->shortened = false;
	}
	if (original->refusing) {
		curl->setopt(copy, CURLOPT_FRESH_CONNECT, original->fresh_connect);
		curl->setopt(copy, CURLOPT_CONNECT_TO, original->connect_to);
		if (h)
			h->refusing = false;
	}
}

void weir_transfer_refuse(const struct weir_curl *curl, CURL *handle, struct weir_handle *h)
{
	/* Libcurl keeps the pointer, and does not write. A SOCKS or an https proxy is asked for an address that nobody can
	 * connect to. */
	static struct curl_slist here = {(char *)(uintptr_t) "::127.0.0.1:", NULL},
				 nowhere = {(char *)(uintptr_t) "::255.255.255.255:1", NULL};

	h->refusing = true;
	curl->setopt(handle, CURLOPT_FRESH_CONNECT, 1L);
	if (weir_proxy_may_greet(h))
		curl->setopt(handle, CURLOPT_CONNECT_TO, &nowhere);
	else if (!h->connect_to)
		curl->setopt(handle, CURLOPT_CONNECT_TO, &here);
}

void weir_transfer_shorten(struct weir_transfer *t)
{
	uint64_t now = weir_now_ns(), left = t->over_ns > now ? (t->over_ns - now) / MS_NS : 0;

	if (t->over_ns == 0 || !t->known || !t->known->whole)
		return;
	t->known->shortened = true;
	t->curl->setopt(t->handle, CURLOPT_TIMEOUT_MS, left > 0 ? (long)left : 1L);
}

void weir_transfer_restore(const struct weir_curl *curl, CURL *handle, struct weir_handle *h)
{
	if (h->shortened)
		curl->setopt(handle, CURLOPT_TIMEOUT_MS, h->timeout_ms);
	h->shortened = false;
	if (!h->refusing)
		return;
	curl->setopt(handle, CURLOPT_FRESH_CONNECT, h->fresh_connect);
	curl->setopt(handle, CURLOPT_CONNECT_TO, h->connect_to);
	h->refusing = false;
}

/* A SOCKS proxy that works has told that it cannot reach what it was asked for: the transfer went nowhere. */
static bool socks_reached_nowhere(const struct weir_transfer *t)
{
	long error = 0;

	return t->curl->getinfo(t->handle, CURLINFO_PROXY_ERROR, &error) == CURLE_OK &&
	       (error == CURLPX_REQUEST_FAILED ||
		(error >= CURLPX_REPLY_ADDRESS_TYPE_NOT_SUPPORTED && error <= CURLPX_REPLY_UNASSIGNED));
}

/* Not that it wants credentials, which is the program's own fault. */
static bool tells_of_nowhere(long status)
{
	return status >= 300 && status != 407;
}

/* Whether it has nothing to do with the refusal. A connect that fails may be the one to a proxy that cannot be reached. */
static bool was_found_by_libcurl(const struct weir_transfer *t, CURLcode code, bool behind_socks)
{
	if (code == CURLE_COULDNT_CONNECT)
		return t->by_proxy && !t->proxy_refused && t->known && t->known->refusing && weir_proxy_may_greet(t->known);
	return code != CURLE_OPERATION_TIMEDOUT && code != CURLE_ABORTED_BY_CALLBACK && code != CURLE_SEND_ERROR && !behind_socks;
}

/* A refused transfer ends as if its connect had failed; only the text is weir's. What libcurl found wrong before that stands. */
__attribute__((noinline)) CURLcode weir_transfer_refusal(const struct weir_transfer *t, const struct weir_request *r,
							 CURLcode code)
{
	char text[CURL_ERROR_SIZE];
	bool behind_socks = code == CURLE_PROXY && socks_reached_nowhere(t);

	/* An https proxy that works cannot connect there either. */
	if (code == CURLE_RECV_ERROR && t->known && t->known->refusing && tells_of_nowhere(long_of(t, CURLINFO_HTTP_CONNECTCODE)))
		code = CURLE_COULDNT_CONNECT;
	else if (was_found_by_libcurl(t, code, behind_socks))
		return code;
	if (t->known)
		t->known->refused_with = t->refused;
	if (t->known && t->known->error_buffer) {
		weir_gate_describe(t->gate, t->proxy_refused ? &t->proxy_request : r,
				   t->proxy_refused ? t->proxy_host_port : t->host_port, weir_now_ns(), text, sizeof text);
		memcpy(t->known->error_buffer, text, strlen(text) + 1);
	}
	if (behind_socks)
		return code;
	return t->refused == ETIMEDOUT ? CURLE_OPERATION_TIMEDOUT : CURLE_COULDNT_CONNECT;
}

/* The target was not reached because of what stands before it. */
static bool stopped_before(const struct weir_transfer *t)
{
	if (t->by_proxy || t->instead || (t->known && (t->known->proxy.named || t->known->proxy.before)))
		return true;
	return !t->known && t->port != 0 && t->port != weir_port_of(t->host_port);
}

bool weir_transfer_is_unsent(const struct weir_transfer *t)
{
	return t->by_proxy && !t->instead && t->known && t->known->chained && !t->sent;
}

/* Libcurl may have had a queue of its own (CURLMOPT_MAX_TOTAL_CONNECTIONS), and been called late: that is not the host's time. 0
 * = from admission to now. */
static uint64_t queued_latency_ns(const struct weir_transfer *t, const struct weir_request *r)
{
	uint64_t now;

	if (!t->multi || t->started_ns <= r->admitted_ns)
		return 0;
	now = weir_now_ns();
	return now > t->started_ns ? now - t->started_ns : 1;
}

void weir_transfer_end(struct weir_transfer *t, struct weir_request *r, CURLcode code)
{
	long connects = long_of(t, CURLINFO_NUM_CONNECTS);
	struct weir_exchange x = {.gate = t->gate,
				  .curl = t->curl,
				  .handle = t->handle,
				  .host_port = t->host_port,
				  .request = r,
				  .latency_ns = queued_latency_ns(t, r),
				  .connections = connects > t->connects ? (uint32_t)(connects - t->connects) : 0,
				  .proxied = stopped_before(t),
				  .unsent = weir_transfer_is_unsent(t),
				  .socks = code == CURLE_SSL_CONNECT_ERROR && t->known && weir_proxy_may_be_socks(t->known),
				  .reached = t->port != 0 ? &t->to : NULL,
				  .plain = t->known && !t->known->url && t->redirects == 0 ? &t->known->plain : NULL};

	weir_proxy_settle(t, code);
	t->again.outcome = WEIR_IGNORED;
	if (!t->here)
		return;
	if (r->phase == WEIR_PHASE_WAITING)
		weir_gate_cancel(t->gate, r, weir_now_ns());
	else if (r->phase == WEIR_PHASE_ADMITTED)
		t->again.outcome = weir_exchange_settle(&x, code);
}

void weir_transfer_unmade(const struct weir_transfer *t, struct weir_request *r)
{
	struct weir_result left = {.outcome = WEIR_IGNORED};

	if (r->phase == WEIR_PHASE_ADMITTED)
		weir_gate_settle(t->gate, r, &left, weir_now_ns());
	else if (r->phase == WEIR_PHASE_WAITING)
		weir_gate_cancel(t->gate, r, weir_now_ns());
}

void weir_transfer_leave(struct weir_transfer *t)
{
	weir_proxy_leave(t);
	if (weir_transfer_is_ours(t))
		weir_transfer_unmade(t, t->request);
}
