/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/proxy.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "src/preload/core/attach.h"
#include "src/preload/core/environment.h"
#include "src/preload/core/flight.h"
#include "src/preload/core/tell.h"
#include "src/preload/curl/answer.h"
#include "src/preload/curl/connect_to.h"
#include "src/preload/curl/transfer.h"
#include "weir/http.h"
#include "weir/log.h"

#define LEASE_NS (300 * UINT64_C(1000000000))
/* libcurl's CURL_DEFAULT_PROXY_PORT, and the one of CURLPROXY_HTTPS. */
#define DEFAULT_PORT       1080
#define DEFAULT_HTTPS_PORT 443
/* Longer ones are not understood. */
#define TEXT_MAX 300

enum kind { UNTOLD, HTTP, HTTPS, SOCKS };

static enum kind kind_of(const char *scheme, size_t n)
{
	if (n >= 5 && strncasecmp(scheme, "socks", 5) == 0)
		return SOCKS;
	return n == 5 && strncasecmp(scheme, "https", 5) == 0 ? HTTPS : HTTP;
}

/* What a proxy's text names: "host:port", with port 0 where it names none. */
__attribute__((noinline)) static bool read_text(const char *text, char host_port[WEIR_HOST_PORT_MAX], enum kind *kind)
{
	char url[TEXT_MAX + 8];
	const char *rest = strstr(text, "://");
	size_t n;

	*kind = rest ? kind_of(text, (size_t)(rest - text)) : UNTOLD;
	rest = rest ? rest + 3 : text;
	n = strnlen(rest, TEXT_MAX + 1);
	if (n == 0 || n > TEXT_MAX)
		return false;
	/* A scheme of which no port is known. */
	memcpy(url, "x://", 4);
	memcpy(url + 4, rest, n + 1);
	return weir_url_host_port(url, host_port);
}

static uint16_t split(const char *host_port, char host[WEIR_HOST_PORT_MAX])
{
	const char *colon = strrchr(host_port, ':');

	host[0] = '\0';
	if (!colon)
		return 0;
	memcpy(host, host_port, (size_t)(colon - host_port));
	host[colon - host_port] = '\0';
	return weir_port_of(host_port);
}

void weir_proxy_remember(struct weir_handle *h, CURLoption option, const void *word)
{
	const char *text = word;
	long n = (long)(intptr_t)word;
	enum kind kind = UNTOLD;

	switch (option) {
	case CURLOPT_PROXYPORT:
		h->proxy.port = n > 0 && n < 65536 ? (uint16_t)n : 0;
		break;
	case CURLOPT_PROXYTYPE:
		h->proxy.type = (uint8_t)(n >= CURLPROXY_SOCKS4 ? SOCKS : n == CURLPROXY_HTTPS ? HTTPS : HTTP);
		break;
	case CURLOPT_PRE_PROXY:
		h->proxy.before = text && text[0] != '\0';
		break;
	default: /* CURLOPT_PROXY: NULL lets the environment count, an empty one does not */
		h->proxy.set = text != NULL;
		if (!text || !read_text(text, h->proxy.host_port, &kind))
			h->proxy.host_port[0] = '\0';
		h->proxy.scheme = (uint8_t)kind;
		h->proxy.named = text && text[0] != '\0';
	}
}

/* The variables that libcurl reads; HTTP_PROXY it does not, as a server's CGI programs get it from their clients. */
static const char *proxy_variable(const char *line)
{
	static const char *const names[] = {"http_proxy=", "https_proxy=", "HTTPS_PROXY=", "all_proxy=", "ALL_PROXY="};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		size_t n = strlen(names[i]);

		if (strncmp(line, names[i], n) == 0 && line[n] != '\0')
			return line + n;
	}
	return NULL;
}

/* Whether a proxy of that kind may stand before it. */
static bool may_be(const struct weir_handle *h, enum kind kind)
{
	const char *text, *end;

	if (h->proxy.set)
		return (enum kind)(h->proxy.scheme == UNTOLD ? h->proxy.type : h->proxy.scheme) == kind;
	for (char **line = environ; line && *line; line++) {
		text = proxy_variable(*line);
		end = text ? strstr(text, "://") : NULL;
		if (end && kind_of(text, (size_t)(end - text)) == kind)
			return true;
	}
	return false;
}

bool weir_proxy_may_be_socks(const struct weir_handle *h)
{
	return h->proxy.before || may_be(h, SOCKS);
}

bool weir_proxy_may_greet(const struct weir_handle *h)
{
	return weir_proxy_may_be_socks(h) || may_be(h, HTTPS);
}

/* Whether the address is that host's, as far as can be told. */
__attribute__((noinline)) static bool is_at(const char *host, const struct weir_address *to, bool else_is)
{
	char text[WEIR_NAME_MAX];
	struct weir_name name;

	weir_address_text(*to, text);
	if (strcmp(text, host) == 0)
		return true;
	if (strcmp(host, "localhost") == 0)
		return weir_address_is_loopback(*to);
	return weir_name_recall(*to, weir_thread_id(), &name) ? strcasecmp(name.text, host) == 0 : else_is;
}

__attribute__((noinline)) static bool is_proxy(struct weir_transfer *t, const char *host_port, enum kind kind,
					       uint16_t port_option, const struct weir_address *to, uint16_t port)
{
	char host[WEIR_HOST_PORT_MAX], target[WEIR_HOST_PORT_MAX];
	uint16_t own = split(host_port, host);

	if (host[0] == '\0')
		return false;
	if (own == 0)
		own = port_option != 0 ? port_option : kind == HTTPS ? DEFAULT_HTTPS_PORT : DEFAULT_PORT;
	if (own != port || !is_at(host, to, split(t->host_port, target) != port) ||
	    !weir_host_port(host, own, t->proxy_host_port) || strcmp(t->proxy_host_port, t->host_port) == 0)
		return false;
	t->by_proxy = true;
	return true;
}

/* With a proxy that it has set libcurl asks that one to connect there. */
__attribute__((noinline)) static bool is_instead(struct weir_transfer *t, const struct weir_address *to, uint16_t port)
{
	char place[WEIR_HOST_PORT_MAX];

	return t->instead && !t->known->proxy.named && weir_connect_to(t->known->connect_to, t->host_port, place) &&
	       is_proxy(t, place, HTTP, 0, to, port);
}

bool weir_proxy_reached(struct weir_transfer *t, const struct weir_address *to, uint16_t port, bool *greets)
{
	const struct weir_handle *h = t->known;
	char host_port[WEIR_HOST_PORT_MAX];
	enum kind kind;
	const char *text;

	if (h && h->proxy.before) {
		*greets = t->by_proxy = true;
		return false;
	}
	if (h && is_instead(t, to, port))
		return true;
	if (h && h->proxy.set) {
		kind = h->proxy.scheme == UNTOLD ? h->proxy.type : h->proxy.scheme;
		*greets = kind == SOCKS || kind == HTTPS;
		return is_proxy(t, h->proxy.host_port, kind, h->proxy.port, to, port);
	}
	for (char **line = environ; line && *line; line++) {
		text = proxy_variable(*line);
		if (!text || !read_text(text, host_port, &kind) || !is_proxy(t, host_port, kind, 0, to, port))
			continue;
		*greets = kind == SOCKS || kind == HTTPS;
		return true;
	}
	return false;
}

__attribute__((noinline)) static void tell_refused(const struct weir_transfer *t)
{
	char text[256];

	if (!weir_log_on(WEIR_LOG_INFO))
		return;
	weir_gate_describe(t->gate, &t->proxy_request, t->proxy_host_port, weir_now_ns(), text, sizeof text);
	weir_tell_refused("connection", text);
}

int weir_proxy_admit(struct weir_transfer *t)
{
	uint64_t now = weir_now_ns(), wake;
	const struct weir_wish wish = {
		.host_port = t->proxy_host_port,
		.patience_ns = t->over_ns == 0    ? 0
			       : t->over_ns > now ? t->over_ns - now
						  : 1,
		.lease_ns = LEASE_NS,
		.lease_hint = weir_flight_lease_hint(),
	};
	enum weir_verdict verdict;

	/* Another address of the same proxy. */
	if (t->proxy_request.phase == WEIR_PHASE_ADMITTED && t->proxy_redirects == t->redirects)
		return 0;
	weir_proxy_settle(t, CURLE_OK);
	if (!weir_host_chosen(t->proxy_host_port))
		return 0;
	t->proxy_redirects = t->redirects;
	verdict = weir_gate_begin(t->gate, &t->proxy_request, &wish, now, &wake);
	if (verdict == WEIR_WAIT && t->multi) {
		verdict = weir_gate_go_now(t->gate, &t->proxy_request, now);
	} else if (verdict == WEIR_WAIT) {
		weir_flight_alone(t->number);
		verdict = weir_gate_await(t->gate, &t->proxy_request, t->proxy_host_port);
	}
	if (verdict == WEIR_REFUSE) {
		t->proxy_refused = true;
		t->refused = t->proxy_request.timed_out ? ETIMEDOUT : ECONNREFUSED;
		tell_refused(t);
		return t->refused;
	}
	weir_tell_admitted(&t->proxy_request, t->proxy_host_port);
	/* What goes through it may take long, and is the target's. */
	weir_gate_release_permits(t->gate, &t->proxy_request);
	return 0;
}

void weir_proxy_settle(struct weir_transfer *t, CURLcode code)
{
	const struct weir_exchange x = {.gate = t->gate,
					.curl = t->curl,
					.handle = t->handle,
					.host_port = t->proxy_host_port,
					.request = &t->proxy_request,
					.unsent = weir_transfer_is_unsent(t),
					.socks = code == CURLE_SSL_CONNECT_ERROR && t->known && weir_proxy_may_be_socks(t->known),
					.reached = t->port != 0 ? &t->to : NULL};

	if (t->proxy_request.phase == WEIR_PHASE_ADMITTED && t->process == weir_process_serial())
		weir_exchange_settle_proxy(&x, code);
	t->proxy_request.phase = WEIR_PHASE_IDLE;
}

void weir_proxy_leave(struct weir_transfer *t)
{
	struct weir_result left = {.outcome = WEIR_IGNORED};

	if (t->proxy_request.phase == WEIR_PHASE_ADMITTED && t->process == weir_process_serial())
		weir_gate_settle(t->gate, &t->proxy_request, &left, weir_now_ns());
	else if (t->proxy_request.phase == WEIR_PHASE_WAITING && t->process == weir_process_serial())
		weir_gate_cancel(t->gate, &t->proxy_request, weir_now_ns());
	t->proxy_request.phase = WEIR_PHASE_IDLE;
}
