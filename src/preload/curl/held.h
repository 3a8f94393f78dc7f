/* SPDX-License-Identifier: MIT */
/*
 * Requests of transfers in a multi handle that wait where they are sent: redirects over connections that are open, repetitions
 * with credentials, and what leaves too soon after a handshake. What libcurl sends is answered with EAGAIN (socket/hop.h), and
 * the transfer is paused for sending, so that no loop is told that its socket can be written; it is looked at, and goes on, with
 * those that are kept back (kept.h). Libcurl's time-outs run, and it hears of a connection that the server closes.
 *
 * Not over HTTP/2, where many transfers send on one connection; nor by a TLS library that does not say which it is.
 */
#ifndef WEIR_CURL_HELD_H
#define WEIR_CURL_HELD_H

#include <stdbool.h>
#include <stdint.h>

#include "src/preload/curl/multi_table.h"

/* The request in hand waits and is about to be sent, from that local port. False where it cannot be made to wait. To be called by
 * libcurl's pre-request callback. */
bool weir_held_begin(struct weir_transfer *t, int local_port);

/* After libcurl has run: what it has tried to send is paused; what it has sent by ways that are not seen is so. May call the
 * program's socket and timer callbacks, as curl_easy_pause does. */
void weir_held_pause(struct weir_multi *m);

/* Its turn has come, or it is refused (t->refused): libcurl is made to try again. May call the same. */
void weir_held_go(struct weir_transfer *t);

/* Its connection, or the transfer, is over. Nothing for one that is not held. */
void weir_held_forget(struct weir_transfer *t);

/* The program pauses the transfer, or lets it go on: returns what libcurl is to be told. */
int weir_held_paused(struct weir_transfer *t, int action);

#endif
