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

#include "src/preload/curl/library.h"

/* The calling thread's transfer begins; it must be over by until_ns (0 = no time-out). A connect inside it waits until the host
 * that it has been redirected to may be asked, or is refused: ECONNREFUSED (breaker) or ETIMEDOUT (the wait would be too long).
 */
void weir_hop_watch(CURL *handle, const char *host_port, uint64_t until_ns);

/* It is over. Returns whether its last hop was refused, so that no request was made there. *waited_ns: of which no host is to
 * blame. */
bool weir_hop_over(uint64_t *waited_ns);

#endif
