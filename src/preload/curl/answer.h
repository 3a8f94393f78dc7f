/* SPDX-License-Identifier: MIT */
/* What came back from a transfer of libcurl, hop by hop, read from the handle after the transfer. */
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
	const char *host_port; /* of the first hop */
	struct weir_request *request;
	bool hop_refused; /* the last hop was not made: see hop.h */
	uint64_t hop_waited_ns;
	uint32_t *plain; /* of the handle (handle_table.h), NULL = not to be relied on */
};

/* Settles the request with the answer of the first hop, and accounts for the other hops on the hosts that gave them. */
void weir_exchange_settle(const struct weir_exchange *x, CURLcode code);

#endif
