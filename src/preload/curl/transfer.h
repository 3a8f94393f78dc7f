/* SPDX-License-Identifier: MIT */
/*
 * A transfer of libcurl, request by request: the first one, one for each redirect, one for each repetition with credentials.
 *
 * Each takes its unit in its own host's queue before it is sent, waits for its turn and is settled by its own answer. Its turn is
 * awaited inside libcurl: where it connects, or, over a connection that is open already, where it calls the pre-request callback
 * (7.80). So libcurl's own time-outs run meanwhile, no option of the program's has to be changed for them, and whatever is wrong
 * with the transfer itself is found out by libcurl.
 */
#ifndef WEIR_CURL_TRANSFER_H
#define WEIR_CURL_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "src/preload/curl/handle_table.h"

/* Begins it with its first request, to t->host_port. t->handle, curl, gate, known, request, number are set. Refused: t->refused.
 * Blocks only where libcurl cannot be made to wait, for as long as a request may. */
void weir_transfer_begin(struct weir_transfer *t);

/* From now on it is the transfer whose connects ask (core/flight.h). Returns the one before. */
struct weir_transfer *weir_transfer_enter(struct weir_transfer *t);

/* Libcurl has ended it with `code`; `r` is the request in hand, if it is still the caller's. Settles it. */
void weir_transfer_end(struct weir_transfer *t, struct weir_request *r, CURLcode code);

/* What a connect inside the transfer has to ask; see weir_flight_watch. */
int weir_transfer_connects(uint16_t port);

/* Makes libcurl ask before each request. False where it cannot: the handle has not been seen whole, or libcurl is too old. */
bool weir_transfer_chain(const struct weir_curl *curl, CURL *handle, struct weir_handle *h);

/* A handle has been copied with what weir has set on it. `h`: the copy's entry, NULL = there was no place. */
void weir_transfer_copied(const struct weir_curl *curl, CURL *copy, const struct weir_handle *original, struct weir_handle *h);

/* Takes back what a refusal has set, if a jump out of it has left it there. */
void weir_transfer_restore(const struct weir_curl *curl, CURL *handle, struct weir_handle *h);

/* Makes libcurl connect anew, and not look for a name before it does: the connect is refused. */
void weir_transfer_refuse(const struct weir_curl *curl, CURL *handle, struct weir_handle *h);

#endif
