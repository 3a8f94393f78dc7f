/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/again.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "src/preload/core/attach.h"
#include "src/preload/curl/answer.h"
#include "src/preload/curl/option.h"
#include "src/preload/curl/repeats.h"
#include "src/preload/curl/transfer.h"
#include "src/preload/curl/withheld.h"
#include "weir/again.h"

static long long_of(const struct weir_transfer *t, CURLINFO info)
{
	long n = 0;

	return t->curl->getinfo(t->handle, info, &n) == CURLE_OK && n > 0 ? n : 0;
}

/* Any number will do that others do not have at the same time (splitmix64). */
static uint64_t random_of(const struct weir_transfer *t, uint64_t now_ns)
{
	uint64_t n = now_ns + (uint64_t)(uintptr_t)t + ((uint64_t)weir_thread_id() << 32);

	n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	n = (n ^ n >> 27) * UINT64_C(0x94d049bb133111eb);
	return n ^ n >> 31;
}

__attribute__((noinline)) void weir_again_begin(struct weir_transfer *t)
{
	struct weir_asking *a = &t->again;
	uint64_t now;

	if (t->refused != 0 || !t->known || !t->known->chained || !weir_gate_retry(t->gate, t->request, &a->rule))
		return;
	a->attempt = 1;
	a->outcome = WEIR_IGNORED;
	weir_withheld_begin(t);
	a->on = weir_withhold(t);
	if (!a->on)
		return;
	now = weir_now_ns();
	a->repeats = weir_repeats_begin(t, now);
	weir_gate_retry_earn(t->gate, t->request, now);
}

static bool sends_body(const struct weir_handle *h)
{
	return h->sends.verb == WEIR_VERB_POST || h->sends.verb == WEIR_VERB_PUT;
}

static bool is_unsent(const struct weir_transfer *t)
{
	return !t->sent && t->redirects == 0 && long_of(t, CURLINFO_REDIRECT_COUNT) == 0;
}

static enum weir_again decide(struct weir_transfer *t, const struct weir_request *r, enum weir_retry_kind kind, uint64_t *wait_ns)
{
	const struct weir_handle *h = t->known;
	uint64_t now = weir_now_ns();
	struct weir_attempt a = {
		.number = t->again.attempt,
		.kind = kind,
		.method = weir_option_retry_method(h),
		.unsent = is_unsent(t),
		.one_way = sends_body(h) && !h->sends.fields && (h->sends.form || !h->sends.seek),
		.delivered = t->again.withheld.passing,
		.repeats = t->again.repeats,
		.held = weir_gate_retry_is_held(t->gate, r, now),
		.now_ns = now,
		.over_ns = t->over_ns,
		.random = random_of(t, now),
	};

	return weir_again_decide(&t->again.rule, &a, wait_ns);
}

/* Of "HTTP/1.1 503 ..." and "HTTP/2 503": 503. */
static long status_of(const char *line, size_t bytes)
{
	const char *space = memchr(line, ' ', bytes);

	if (!space || (size_t)(space - line) + 4 > bytes)
		return 0;
	for (unsigned i = 1; i < 4; i++) {
		if (space[i] < '0' || space[i] > '9')
			return 0;
	}
	return (space[1] - '0') * 100 + (space[2] - '0') * 10 + (space[3] - '0');
}

/* Whether another head follows this one, or may: an interim answer, a proxy's to CONNECT, a redirect, a demand for credentials.
 */
static bool is_followed(const struct weir_transfer *t, long status)
{
	if (status < 200)
		return status != 101;
	if (long_of(t, CURLINFO_RESPONSE_CODE) != status)
		return true;
	return status == 401 || status == 407 || (status >= 300 && status < 400 && t->known->receives.follows);
}

static enum weir_retry_kind kind_of_outcome(enum weir_outcome outcome, long status)
{
	if (outcome == WEIR_THROTTLED)
		return WEIR_RETRY_THROTTLED;
	return status >= 500 ? WEIR_RETRY_SERVER_ERROR : WEIR_RETRY_NONE;
}

/* A final head has come in whole. */
__attribute__((noinline)) static bool promise(struct weir_transfer *t)
{
	struct weir_exchange x = {
		.gate = t->gate, .curl = t->curl, .handle = t->handle, .host_port = t->host_port, .request = t->request};
	uint64_t wait_ns;

	if (!t->here || !weir_transfer_is_ours(t))
		return false;
	t->again.withheld.promised = decide(t, t->request, kind_of_outcome(weir_exchange_heard(&x), t->again.withheld.status),
					    &wait_ns) == WEIR_AGAIN_YES;
	return t->again.withheld.promised;
}

bool weir_again_head(struct weir_transfer *t, const char *line, size_t bytes)
{
	struct weir_withheld *w = &t->again.withheld;

	if (bytes >= 5 && memcmp(line, "HTTP/", 5) == 0)
		w->status = status_of(line, bytes);
	if (is_followed(t, w->status))
		return true;
	if (w->status < 400)
		return false;
	/* The blank line. */
	return bytes > 2 || (line[0] != '\r' && line[0] != '\n') || promise(t);
}

bool weir_again_body(struct weir_transfer *t)
{
	const struct weir_withheld *w = &t->again.withheld;

	/* With CURLOPT_HEADER the lines of heads come this way, too, each before it comes as a header. */
	return w->promised || t->known->receives.heads_in_body;
}

static enum weir_retry_kind kind_of(const struct weir_transfer *t, CURLcode code)
{
	long status = long_of(t, CURLINFO_RESPONSE_CODE);

	/* A redirect's is not that of the request after it. */
	if (code != CURLE_OK && status < 400)
		status = 0;
	switch (code) {
	case CURLE_OK:
	case CURLE_HTTP_RETURNED_ERROR:
	case CURLE_RANGE_ERROR:
	case CURLE_PARTIAL_FILE:
		return kind_of_outcome(t->again.outcome, status);
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return status != 0 ? kind_of_outcome(t->again.outcome, status) : WEIR_RETRY_CONNECT;
	case CURLE_COULDNT_CONNECT:
		return WEIR_RETRY_CONNECT;
	case CURLE_OPERATION_TIMEDOUT:
		return status == 0 ? WEIR_RETRY_TIMEOUT : WEIR_RETRY_NONE;
	default:
		return WEIR_RETRY_NONE; /* the program's own doing, or a matter of trust */
	}
}

/* What was sent can be had again. Asked only when it is: a pipe cannot. */
static bool rewinds(const struct weir_transfer *t)
{
	const struct weir_handle *h = t->known;

	if (!sends_body(h) || h->sends.fields || is_unsent(t))
		return true;
	return !h->sends.form && h->sends.seek && h->sends.seek(h->sends.seek_data, 0, SEEK_SET) == CURL_SEEKFUNC_OK;
}

static CURLcode hand_over(struct weir_transfer *t)
{
	CURLcode code = t->again.code;

	t->again.due_ns = 0;
	t->again.on = t->again.waits = false;
	return weir_withheld_hand_over(t) || code != CURLE_OK ? code : CURLE_WRITE_ERROR;
}

CURLcode weir_again_give_up(struct weir_transfer *t)
{
	weir_repeats_end(t, true, weir_now_ns());
	return hand_over(t);
}

bool weir_again_after(struct weir_transfer *t, const struct weir_request *r, bool judged, CURLcode *code)
{
	struct weir_asking *a = &t->again;
	enum weir_retry_kind kind = judged ? kind_of(t, *code) : WEIR_RETRY_NONE;
	uint64_t now = weir_now_ns(), wait_ns = 0;
	enum weir_again again = decide(t, r, kind, &wait_ns);

	a->code = *code;
	if (again == WEIR_AGAIN_YES && rewinds(t) && weir_gate_retry_spend(t->gate, r, now)) {
		a->due_ns = now + wait_ns;
		return true;
	}
	if (again == WEIR_AGAIN_ATTEMPTS || again == WEIR_AGAIN_TIME)
		weir_gate_retry_gave_up(t->gate, r);
	if (kind != WEIR_RETRY_NONE)
		weir_repeats_end(t, true, now);
	else if (a->outcome == WEIR_SUCCEEDED && *code == CURLE_OK)
		weir_repeats_end(t, false, now);
	if (kind == WEIR_RETRY_NONE && a->attempt > 1 && a->outcome == WEIR_SUCCEEDED)
		weir_gate_retry_saved(t->gate, r);
	*code = hand_over(t);
	return false;
}

void weir_again_next(struct weir_transfer *t)
{
	t->again.attempt++;
	t->again.due_ns = 0;
	t->again.waits = false;
	t->again.outcome = WEIR_IGNORED;
	weir_withheld_begin(t);
	weir_transfer_shorten(t);
}
