/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/hop.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "src/preload/core/attach.h"
#include "src/preload/core/environment.h"
#include "src/preload/core/flight.h"
#include "src/preload/core/hook.h"
#include "src/preload/core/tell.h"
#include "src/preload/curl/handle_table.h"
#include "weir/gate.h"
#include "weir/http.h"
#include "weir/kernel.h"
#include "weir/log.h"

/* How often a waiting hop looks again: a hold may be raised or lifted meanwhile. */
#define LOOK_EVERY_NS UINT64_C(200000000)

/* A program may jump out of a transfer and free its handle: what is here is believed only while the handle table knows it. */
static WEIR_THREAD_LOCAL struct {
	CURL *handle;
	uint64_t until_ns, waited_ns;
	bool refused;
	char host_port[WEIR_HOST_PORT_MAX];
} transfer;

bool weir_hop_over(uint64_t *waited_ns)
{
	*waited_ns = transfer.waited_ns;
	transfer.handle = NULL;
	return transfer.refused;
}

/* The other host that the transfer has been redirected to. libcurl tells its URL while the transfer runs, also where the
 * connection goes to a proxy. */
static bool find_hop(char host_port[WEIR_HOST_PORT_MAX])
{
	const struct weir_handle *h = weir_handle_find(transfer.handle);
	const struct weir_curl *curl = h && weir_curl_is_loaded(h->curl) ? h->curl : NULL;
	long redirects = 0;
	char *url = NULL;

	return curl && curl->getinfo(transfer.handle, CURLINFO_REDIRECT_COUNT, &redirects) == CURLE_OK && redirects > 0 &&
	       curl->getinfo(transfer.handle, CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK && url && weir_url_is_http(url) &&
	       weir_url_host_port(url, host_port) && strcmp(host_port, transfer.host_port) != 0 && weir_host_chosen(host_port);
}

static uint64_t latest_ns(const struct weir_gate *g, uint64_t now_ns)
{
	uint64_t latest = transfer.until_ns != 0 ? transfer.until_ns : WEIR_NEVER;

	return g->wait_max_ns != 0 && g->wait_max_ns < latest - now_ns ? now_ns + g->wait_max_ns : latest;
}

/* Not a cancellation point, which nanosleep(3) is. */
static void sleep_until(uint64_t ns)
{
	struct timespec t = {.tv_sec = (time_t)(ns / 1000000000U), .tv_nsec = (long)(ns % 1000000000U)};

	weir_syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

__attribute__((noinline)) static int refuse(const struct weir_gate *g, const struct weir_forecast *f, const char *host_port,
					    uint64_t begun_ns, uint64_t until_ns, bool timed_out)
{
	struct weir_request r = {
		.cause = f->cause, .until_ns = f->until_ns, .begun_ns = begun_ns, .latest_ns = until_ns, .timed_out = timed_out};
	char text[256];

	transfer.refused = true;
	if (weir_log_on(WEIR_LOG_INFO)) {
		weir_gate_describe(g, &r, host_port, weir_now_ns(), text, sizeof text);
		weir_tell_refused("redirect", text);
	}
	return timed_out ? ETIMEDOUT : ECONNREFUSED;
}

static int await_turn(void)
{
	const struct weir_gate *g = transfer.handle ? weir_attached() : NULL;
	char host_port[WEIR_HOST_PORT_MAX];
	uint64_t begun, latest, now;
	struct weir_forecast f;

	if (!g || g->dry_run || !find_hop(host_port))
		return 0;
	transfer.refused = false;
	begun = now = weir_now_ns();
	latest = latest_ns(g, now);
	for (;; now = weir_now_ns()) {
		weir_gate_forecast(g, host_port, now, &f);
		/* Permits are not the hop's: it has none, nor has one over an open connection. */
		if (f.verdict == WEIR_GO || (f.verdict == WEIR_WAIT && f.until_ns <= now)) {
			transfer.waited_ns += now - begun;
			return 0;
		}
		if (f.verdict == WEIR_REFUSE || f.until_ns > latest)
			return refuse(g, &f, host_port, begun, latest, f.verdict == WEIR_WAIT || f.timed_out);
		sleep_until(f.until_ns < now + LOOK_EVERY_NS ? f.until_ns : now + LOOK_EVERY_NS);
	}
}

void weir_hop_watch(CURL *handle, const char *host_port, uint64_t until_ns)
{
	transfer.handle = handle;
	transfer.until_ns = until_ns;
	transfer.waited_ns = 0;
	transfer.refused = false;
	weir_flight_watch(await_turn);
	memcpy(transfer.host_port, host_port, strnlen(host_port, sizeof transfer.host_port - 1) + 1);
}
