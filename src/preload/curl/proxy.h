/* SPDX-License-Identifier: MIT */
/*
 * The proxy before a transfer is a host of its own: each connection to it is a request there, which waits for the proxy's hold
 * and is refused by its breaker, and is settled by whether the proxy could be reached and by its answer to CONNECT. What it
 * answers is not the target's.
 *
 * A proxy is one that the program has set (CURLOPT_PROXY), or that stands in an environment variable that libcurl reads. Which of
 * them is used is seen where libcurl connects.
 */
#ifndef WEIR_CURL_PROXY_H
#define WEIR_CURL_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "src/preload/curl/handle_table.h"
#include "src/preload/name/table.h"

/* The program sets CURLOPT_PROXY, CURLOPT_PROXYPORT, CURLOPT_PROXYTYPE or CURLOPT_PRE_PROXY. */
void weir_proxy_remember(struct weir_handle *h, CURLoption option, const void *word);

/* Whether it may go by a SOCKS proxy; by one that has something to say before it is asked for the target: SOCKS or https. */
bool weir_proxy_may_be_socks(const struct weir_handle *h);
bool weir_proxy_may_greet(const struct weir_handle *h);

/* libcurl connects to that address. When it is a proxy's: t->by_proxy and its name, *greets says whether it is such a one. What
 * CURLOPT_CONNECT_TO names is treated alike: it is another place, which may be down while the target is well. */
bool weir_proxy_reached(struct weir_transfer *t, const struct weir_address *to, uint16_t port, bool *greets);

/* A request to the proxy that has been reached. Returns 0, or the errno of its refusal: then t->proxy_refused. Waits as long as a
 * request may; in a multi handle never. */
int weir_proxy_admit(struct weir_transfer *t);

/* The transfer is over with `code`. */
void weir_proxy_settle(struct weir_transfer *t, CURLcode code);

/* It will not be made, or was left. */
void weir_proxy_leave(struct weir_transfer *t);

#endif
