/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/answer.h"

#include <errno.h>
#include <string.h>

#include "src/preload/core/answer.h"
#include "src/preload/socket/tcp_state.h"
#include "weir/http.h"
#include "weir/opaque.h"

/* Headers of requests beyond this are not looked for, but for the last one's. */
#define REQUESTS_MAX 64
/* libcurl's name for the last request of a transfer. */
#define LAST_HOP (-1)

/* After so many good answers in a row on one handle that had none, only one in so many is looked at: a host that describes its
 * quota does so in every answer. */
#define PLAIN_ENOUGH 16
#define PLAIN_EACH   8

#define PROXY_WANTS_CREDENTIALS 407

/* One hop's answer, for the readers of src/http. */
struct hop_lines {
	const struct weir_exchange *x;
	int hop;
	unsigned origin; /* CURLH_HEADER, CURLH_CONNECT */
};

static const char *line_of(const void *of, const char *name, uint32_t nth)
{
	const struct hop_lines *l = of;
	struct curl_header *found;

	if (l->x->curl->header(l->x->handle, name, nth, l->origin, l->hop, &found) != CURLHE_OK)
		return NULL;
	return found->value;
}

#define AGE_AND_DATE 4

/* Whether any line speaks of limits. One walk over the answer's headers, where each name that is asked for costs another. */
static bool speaks_of_limits(const struct hop_lines *l)
{
	struct curl_header *line = NULL;

	if (!l->x->curl->next_header)
		return true;
	while ((line = l->x->curl->next_header(l->x->handle, l->origin, l->hop, line)) != NULL) {
		size_t bytes = strlen(line->name);

		if (bytes > AGE_AND_DATE && weir_said_concerns(line->name, bytes))
			return true;
	}
	return false;
}

/* A good answer without a sign of a quota is read no further. */
static bool has_quota(const struct weir_exchange *x, const struct weir_header_lines *lines)
{
	uint32_t plain = x->plain ? (*x->plain)++ : 0;

	if (plain >= PLAIN_ENOUGH && plain % PLAIN_EACH != 0)
		return false;
	if (!speaks_of_limits(lines->of) || !weir_said_has_quota(lines))
		return false;
	if (x->plain)
		*x->plain = 0;
	return true;
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
	const struct hop_lines of = {x, hop, CURLH_HEADER};
	const struct weir_header_lines lines = {line_of, &of};

	result->status = status > 0 ? (uint32_t)status : 0;
	if (!x->curl->header)
		read_retry_after(x, r, status, result);
	else if (status >= 400 || has_quota(x, &lines))
		weir_answer_read(x->gate, r, status, &lines, result);
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

/* Whether it was this very machine that was asked, whatever name it has. */
static bool is_here(const struct weir_exchange *x)
{
	return weir_host_is_loopback(x->host_port) || (x->reached && !x->proxied && weir_address_is_here(*x->reached));
}

/* Whether it ended at a proxy: that one did not answer, or would not connect. The target has not been asked then. */
static bool before_target(const struct weir_exchange *x, CURLcode code)
{
	long connected = long_of(x, CURLINFO_HTTP_CONNECTCODE);

	if (connected >= 300)
		return true;
	/* A proxy that shakes no hands, or does not answer CONNECT. Behind a SOCKS proxy TLS is the target's. */
	if (x->unsent && connected == 0 && !(x->socks && code == CURLE_SSL_CONNECT_ERROR))
		return true;
	return x->proxied && (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
			      (code == CURLE_OPERATION_TIMEDOUT && long_of(x, CURLINFO_NUM_CONNECTS) == 0));
}

/* The wait is part of the program's time: whether it took more of it than the host did. */
static bool mostly_waited(const struct weir_request *r)
{
	return r->delayed && r->admitted_ns - r->begun_ns > weir_now_ns() - r->admitted_ns;
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
	/* Nobody but a proxy says it, and asks nobody before. */
	if (status == PROXY_WANTS_CREDENTIALS) {
		result->status = (uint32_t)status;
		result->outcome = WEIR_IGNORED;
		return;
	}
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
		result->outcome = mostly_waited(r) || before_target(x, code) ? WEIR_IGNORED : WEIR_FAILED;
		result->timed_out = true;
		result->here = is_here(x);
		break;
	case FAILED:
		result->outcome = status == 0 && before_target(x, code) ? WEIR_IGNORED : WEIR_FAILED;
		result->here = is_here(x);
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

static uint64_t redirect_time_ns(const struct weir_exchange *x)
{
	curl_off_t us = 0;

	if (x->curl->getinfo(x->handle, CURLINFO_REDIRECT_TIME_T, &us) != CURLE_OK || us < 0)
		return 0;
	return (uint64_t)us * 1000;
}

/* The number of the last request but one, as libcurl counts; LAST_HOP when there is none. */
static int previous_request(const struct weir_exchange *x)
{
	struct curl_header *found;
	int request = 0;

	while (request < REQUESTS_MAX && x->curl->header(x->handle, "Date", 0, CURLH_HEADER, request, &found) != CURLHE_NOREQUEST)
		request++;
	return request >= 2 ? request - 2 : LAST_HOP;
}

void weir_exchange_settle_answered(const struct weir_exchange *x, uint64_t begun_ns, uint64_t now_ns)
{
	uint64_t answered_ns = begun_ns + redirect_time_ns(x);
	long status = long_of(x, CURLINFO_RESPONSE_CODE);
	struct weir_result result;

	memset(&result, 0, weir_opaque(sizeof result));
	result.connections = x->connections;
	/* What libcurl has done since (look for a name) is not the host's time. */
	if (answered_ns > x->request->admitted_ns && answered_ns < now_ns)
		result.latency_ns = answered_ns - x->request->admitted_ns;
	read_status(x, x->request, status <= 999 ? (int)status : 0, x->curl->header ? previous_request(x) : LAST_HOP, &result);
	weir_gate_settle(x->gate, x->request, &result, now_ns);
}

/* Its answer to CONNECT. */
__attribute__((noinline)) static void read_connect(const struct weir_exchange *x, int status, struct weir_result *result)
{
	const struct hop_lines of = {x, LAST_HOP, CURLH_CONNECT};
	const struct weir_header_lines lines = {line_of, &of};

	result->status = (uint32_t)status;
	if (x->curl->header)
		weir_answer_read(x->gate, x->request, status, &lines, result);
	else
		result->outcome = weir_gate_classify(x->gate, x->request, status, false);
	/* 502 and its like tell of the target. */
	if (result->outcome != WEIR_THROTTLED) {
		result->outcome = WEIR_SUCCEEDED;
		result->retry_after_ns = 0;
	}
}

void weir_exchange_settle_proxy(const struct weir_exchange *x, CURLcode code)
{
	long status = long_of(x, CURLINFO_HTTP_CONNECTCODE);
	curl_off_t connected_us = 0;
	struct weir_result result;

	memset(&result, 0, weir_opaque(sizeof result));
	result.connections = 1;
	result.outcome = WEIR_SUCCEEDED;
	if (x->curl->getinfo(x->handle, CURLINFO_CONNECT_TIME_T, &connected_us) != CURLE_OK || connected_us < 0)
		connected_us = 0;
	if (status >= 300 && status <= 999) {
		read_connect(x, (int)status, &result);
	} else if (code == CURLE_COULDNT_CONNECT || (code == CURLE_OPERATION_TIMEDOUT && connected_us == 0)) {
		result.outcome = WEIR_FAILED;
		result.timed_out = code == CURLE_OPERATION_TIMEDOUT;
		result.here = is_here(x);
	} else if (code == CURLE_SSL_CONNECT_ERROR && x->unsent && status == 0 && !x->socks) {
		result.outcome = WEIR_FAILED; /* its own handshake */
		result.here = is_here(x);
	} else if (code != CURLE_OK && (connected_us == 0 || (x->unsent && status == 0))) {
		result.outcome = WEIR_IGNORED; /* the program's own doing; or it may be the target that it waits for */
	}
	/* The rest of the time is the target's. */
	if (result.outcome == WEIR_SUCCEEDED && connected_us > 0)
		result.latency_ns = (uint64_t)connected_us * 1000;
	weir_gate_settle(x->gate, x->request, &result, weir_now_ns());
}

enum weir_outcome weir_exchange_heard(const struct weir_exchange *x)
{
	long status = long_of(x, CURLINFO_RESPONSE_CODE);
	struct weir_result result;

	memset(&result, 0, weir_opaque(sizeof result));
	read_status(x, x->request, status <= 999 ? (int)status : 0, LAST_HOP, &result);
	return result.outcome;
}

enum weir_outcome weir_exchange_settle(const struct weir_exchange *x, CURLcode code)
{
	struct weir_result result;

	memset(&result, 0, weir_opaque(sizeof result));
	result.connections = x->connections;
	result.latency_ns = x->latency_ns;
	read_result(x, x->request, code, LAST_HOP, &result);
	weir_gate_settle(x->gate, x->request, &result, weir_now_ns());
	return result.outcome;
}
