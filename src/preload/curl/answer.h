/* SPDX-License-Identifier: MIT */
/* What came back from a request of libcurl, read from the handle. */
#ifndef WEIR_CURL_ANSWER_H
#define WEIR_CURL_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "src/preload/curl/library.h"
#include "weir/gate.h"

struct weir_exchange {
	const struct weir_gate *gate;
	const struct weir_curl *curl;
	CURL *handle;
	const char *host_port;
	struct weir_request *request;
	uint32_t connections;               /* that were opened for it */
	bool proxied;                       /* it goes by another host */
	bool unsent;                        /* by a proxy, with which it had not been sent yet */
	bool socks;                         /* which may be a SOCKS proxy */
	uint64_t latency_ns;                /* 0 = from admission to now */
	const struct weir_address *reached; /* where libcurl connected to last, NULL = not known */
	uint32_t *plain;                    /* of the handle (handle_table.h), NULL = not to be relied on */
};

/* What the head of an answer says that has just come in whole. */
enum weir_outcome weir_exchange_heard(const struct weir_exchange *x);

/* Settles the last request of a transfer that is over with `code`. Returns what it was settled as. */
enum weir_outcome weir_exchange_settle(const struct weir_exchange *x, CURLcode code);

/* Settles a connection to a proxy, of a transfer that is over with `code`: by whether it could be reached, and by its answer to
 * CONNECT. */
void weir_exchange_settle_proxy(const struct weir_exchange *x, CURLcode code);

/* Settles a request after which the transfer goes on with another. begun_ns: when the transfer began. */
void weir_exchange_settle_answered(const struct weir_exchange *x, uint64_t begun_ns, uint64_t now_ns);

#endif
