/* SPDX-License-Identifier: MIT */
/*
 * Connects of redirects that have to wait, in a multi handle: their sockets are parked. A socket that listens is neither readable
 * nor writable, and is the same file when it is connected afterwards, so whatever waits for it (poll, epoll, select) goes on
 * waiting; libcurl's own time-outs run.
 *
 * Nobody can reach it meanwhile: it takes segments from its own link alone (IP_MINTTL, IPV6_MINHOPCOUNT).
 */
#ifndef WEIR_CURL_PARKED_H
#define WEIR_CURL_PARKED_H

#include "src/preload/core/flight.h"
#include "src/preload/curl/handle_table.h"

/* The connect of a transfer in a multi handle, whose request waits, is to wait. Returns EINPROGRESS, which it is to be answered
 * with; or, where its socket cannot be parked and the request goes at once, 0 or the errno of a refusal. May change errno. */
int weir_park(struct weir_transfer *t, const struct weir_connecting *to);

/* Lets all of the transfer's sockets connect that are still there. */
void weir_unpark(struct weir_transfer *t);

/* Forgets them: the transfer is over. */
void weir_park_forget(struct weir_transfer *t);

#endif
