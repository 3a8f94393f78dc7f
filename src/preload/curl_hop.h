/* SPDX-License-Identifier: MIT */
/*
 * A redirect that leads a transfer of libcurl to another host, at the moment when it connects there.
 *
 * The hop takes no unit here: it is charged when the transfer is over, like the hops over connections that are open already. But
 * nothing is connected inside that host's hold, before its rate allows it, or while its breaker is open.
 */
#ifndef WEIR_CURL_HOP_H
#define WEIR_CURL_HOP_H

#include <stdbool.h>
#include <stdint.h>

#include "src/preload/curl_library.h"

/* The calling thread's transfer begins; it must be over by until_ns (0 = no time-out). */
void weir_hop_watch(CURL *handle, const char *host_port, uint64_t until_ns);

/* It is over. Returns whether its last hop was refused, so that no request was made there. *waited_ns: of which no host is to
 * blame. */
bool weir_hop_over(uint64_t *waited_ns);

/* For a connect inside a transfer: waits until the host that it has been redirected to may be asked. Returns 0 (go on) or the
 * errno to refuse with: ECONNREFUSED (breaker) or ETIMEDOUT (the wait would be too long). errno may change. */
int weir_hop_await(void);

#endif
