/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/answer.h"

#include <errno.h>
#include <string.h>

#include "weir/http.h"
#include "weir/opaque.h"

/* Redirects beyond this are not followed through their headers; the last one is known all the same. */
#define HOPS_MAX 30
/* libcurl's name for the last request of a transfer. */
#define LAST_HOP (-1)

/* After so many good answers in a row on one handle that had none, only one in so many is looked at: a host that describes its
 * quota does so in every answer. */
#define PLAIN_ENOUGH 16
#define PLAIN_EACH   8

/* One hop's answer, for the readers of src/http. */
struct hop_lines {
	const struct weir_exchange *x;
	int hop;
};

static const char *line_of(const void *of, const char *name, uint32_t nth)
{
	const struct hop_lines *l = of;
	struct curl_header *found;

	if (l->x->curl->header(l->x->handle, name, nth, CURLH_HEADER, l->hop, &found) != CURLHE_OK)
		return NULL;
	return found->value;
}

/* A good answer without a sign of a quota is read no further: each name costs a walk over the answer's headers. */
static bool has_quota(const struct weir_exchange *x, const struct weir_header_lines *lines)
{
	uint32_t plain = x->plain ? (*x->plain)++ : 0;

	if (plain >= PLAIN_ENOUGH && plain % PLAIN_EACH != 0)
		return false;
	if (!weir_said_has_quota(lines))
		return false;
	if (x->plain)
		*x->plain = 0;
	return true;
}

__attribute__((noinline)) static void read_limits(const struct weir_exchange *x, const struct weir_request *r, int status,
						  const struct weir_header_lines *lines, struct weir_result *result)
{
	struct weir_said said;
	uint64_t held_ns;

	weir_said_read(lines, weir_wall_ns(), &said);
	held_ns = weir_said_hold(&said, &result->hold_cause);
	result->outcome = weir_gate_classify(x->gate, r, status, said.has_wait || held_ns != 0);
	result->quotas = said.quotas;
	result->resource = said.resource;
	result->named = said.named;
	memcpy(result->quota, said.quota, sizeof result->quota);
	/* What is broken may say when it will not be; the quota beside it is another matter. */
	if (result->outcome == WEIR_THROTTLED)
		result->retry_after_ns = held_ns;
	else if (result->outcome == WEIR_FAILED)
		result->retry_after_ns = said.wait_ns;
}

/* Before libcurl 7.84: Retry-After alone, and no quota. */
static void read_retry_after(const struct weir_exchange *x, const struct weir_request *r, int status, struct weir_result *result)
{
	curl_off_t seconds = 0;

	if (x->curl->getinfo(x->handle, CURLINFO_RETRY_AFTER, &seconds) != CURLE_OK || seconds < 0)
		seconds = 0;
	result->outcome = weir_gate_classify(x->gate, r, status, seconds > 0);
	if (result->outcome == WEIR_THROTTLED && seconds > 0 && seconds < 1000000000) {
		result->retry_after_ns = (uint64_t)seconds * 1000000000U;
		result->hold_cause = WEIR_CAUSE_RETRY_AFTER;
	}
}

/* What the status of hop number `hop` and its headers say, under the rule of `r`. */
static void read_status(const struct weir_exchange *x, const struct weir_request *r, int status, int hop,
			struct weir_result *result)
{
	const struct hop_lines of = {x, hop};
	const struct weir_header_lines lines = {line_of, &of};

	if (!x->curl->header)
		read_retry_after(x, r, status, result);
	else if (status >= 400 || has_quota(x, &lines))
		read_limits(x, r, status, &lines, result);
	else
		result->outcome = weir_gate_classify(x->gate, r, status, false);
}

/* What a CURLcode says of the host: it answered, it failed, or neither. */
enum verdict { ANSWERED, FAILED, TIMED_OUT, NEITHER };

static enum verdict verdict_of(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
	case CURLE_HTTP_RETURNED_ERROR: /* CURLOPT_FAILONERROR */
	case CURLE_TOO_MANY_REDIRECTS:
	case CURLE_RANGE_ERROR:
		return ANSWERED;
	case CURLE_OPERATION_TIMEDOUT:
		return TIMED_OUT;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_PARTIAL_FILE:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
	case CURLE_HTTP3:
	case CURLE_QUIC_CONNECT_ERROR:
		return FAILED;
	default:
		/* The program's own doing (callbacks, files, memory, options), its proxy's, or a matter of trust. */
		return NEITHER;
	}
}

static long long_of(const struct weir_exchange *x, CURLINFO info)
{
	long n = 0;

	return x->curl->getinfo(x->handle, info, &n) == CURLE_OK && n > 0 ? n : 0;
}

/* The result of the last hop. */
static void read_result(const struct weir_exchange *x, const struct weir_request *r, CURLcode code, int hop,
			struct weir_result *result)
{
	enum verdict verdict = verdict_of(code);
	long status = 0;

	if (x->curl->getinfo(x->handle, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status < 0 || status > 999)
		status = 0;
	/* A redirect's status that is still there when the hop after it failed is not that hop's. */
	if (verdict != ANSWERED && status < 400 && status >= 300)
		status = 0;
	switch (verdict) {
	case ANSWERED:
		read_status(x, r, (int)status, hop, result);
		break;
	case TIMED_OUT:
		/* With an answer in hand it was the body that took longer than the program wanted: a stream, or a large file. */
		if (status >= 200) {
			read_status(x, r, (int)status, hop, result);
			break;
		}
		result->outcome = WEIR_FAILED;
		result->timed_out = true;
		break;
	case FAILED:
		result->outcome = WEIR_FAILED;
		result->refused_here = code == CURLE_COULDNT_CONNECT && weir_host_is_loopback(x->host_port) &&
				       long_of(x, CURLINFO_OS_ERRNO) == ECONNREFUSED;
		break;
	case NEITHER:
		/* The program left, but what the server said about its limits was said. */
		if (status >= 400)
			read_status(x, r, (int)status, hop, result);
		if (result->outcome != WEIR_THROTTLED)
			result->outcome = WEIR_IGNORED;
		break;
	}
}

/* Goes from hop to hop by the Location headers and accounts for those between the first and the last. libcurl's requests may be
 * more than the hops: a retry for authentication is one as well, and has no Location. */
__attribute__((noinline)) static void account_between(const struct weir_exchange *x, long redirects, uint64_t each_ns)
{
	const struct weir_result passed = {.outcome = WEIR_SUCCEEDED, .latency_ns = each_ns};
	char host[WEIR_HOST_PORT_MAX], next[WEIR_HOST_PORT_MAX];
	struct curl_header *found;
	long hop = 0;
	int request = 0;

	memcpy(host, x->host_port, strnlen(x->host_port, sizeof host - 1) + 1);
	host[sizeof host - 1] = '\0';
	for (; hop < redirects && request < 2 * HOPS_MAX; request++) {
		CURLHcode code = x->curl->header(x->handle, "Location", 0, CURLH_HEADER, request, &found);

		if (code == CURLHE_NOREQUEST)
			break;
		if (code != CURLHE_OK)
			continue;
		if (!weir_location_host_port(found->value, host, next))
			break;
		memcpy(host, next, sizeof host);
		if (++hop < redirects)
			weir_gate_hop(x->gate, host, &passed, weir_now_ns());
	}
}

static uint64_t redirect_time_ns(const struct weir_exchange *x)
{
	curl_off_t us = 0;

	if (x->curl->getinfo(x->handle, CURLINFO_REDIRECT_TIME_T, &us) != CURLE_OK || us < 0)
		return 0;
	return (uint64_t)us * 1000;
}

/* The entry of a host, for its rule. Apart, as its key does not belong in its caller's frame. */
__attribute__((noinline)) static uint32_t slot_of(const struct weir_exchange *x, const char *host, uint64_t now_ns)
{
	char key[WEIR_KEY_MAX];
	uint32_t rule;

	weir_gate_key(x->gate->segment, host, key, &rule);
	return weir_entry_acquire(x->gate->segment, key, now_ns);
}

/* The last hop of a redirected transfer, on the host that the transfer ended at. */
__attribute__((noinline)) static void account_last(const struct weir_exchange *x, CURLcode code, uint64_t latency_ns,
						   uint32_t connections)
{
	struct weir_request r;
	struct weir_result result;
	char *url = NULL, host[WEIR_HOST_PORT_MAX];
	uint64_t now = weir_now_ns();

	if (x->curl->getinfo(x->handle, CURLINFO_EFFECTIVE_URL, &url) != CURLE_OK || !url || !weir_url_host_port(url, host) ||
	    !weir_url_is_http(url))
		return;
	memset(&r, 0, sizeof r);
	memset(&result, 0, sizeof result);
	/* Classified under the rule of its own host. */
	r.scope[0].slot = slot_of(x, host, now);
	read_result(x, &r, code, LAST_HOP, &result);
	result.latency_ns = latency_ns;
	result.connections = connections;
	weir_gate_hop(x->gate, host, &result, now);
}

void weir_exchange_settle(const struct weir_exchange *x, CURLcode code)
{
	long redirects = long_of(x, CURLINFO_REDIRECT_COUNT), connects = long_of(x, CURLINFO_NUM_CONNECTS);
	uint64_t now = weir_now_ns(), spent, redirecting;
	struct weir_exchange elsewhere = *x;
	struct weir_result result;

	memset(&result, 0, weir_opaque(sizeof result));
	result.connections = connects > 0 ? 1 : 0;
	if (redirects == 0) {
		if (x->request->phase != WEIR_PHASE_ADMITTED)
			return;
		read_result(x, x->request, code, LAST_HOP, &result);
		result.connections = (uint32_t)connects;
		weir_gate_settle(x->gate, x->request, &result, now);
		return;
	}
	spent = now - x->request->admitted_ns;
	spent -= x->hop_waited_ns < spent ? x->hop_waited_ns : 0;
	redirecting = redirect_time_ns(x);
	if (redirecting == 0 || redirecting >= spent)
		redirecting = spent / 2;
	result.outcome = WEIR_SUCCEEDED;
	result.latency_ns = redirecting / (uint64_t)redirects;
	weir_gate_settle(x->gate, x->request, &result, now);
	if (x->curl->header)
		account_between(x, redirects, result.latency_ns);
	if (x->hop_refused)
		return;
	elsewhere.plain = NULL;
	account_last(&elsewhere, code, spent - redirecting, connects > 1 ? (uint32_t)connects - 1 : 0);
}
