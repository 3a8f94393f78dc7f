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

#include "src/preload/core/flight.h"
#include "src/preload/curl/handle_table.h"

/* Where the transfer goes. False when it is none of weir's business. h: NULL = not known. */
bool weir_transfer_target(const struct weir_handle *h, const struct weir_curl *curl, CURL *handle,
			  char host_port[WEIR_HOST_PORT_MAX]);

/* Begins it with its first request, to t->host_port. t->handle, curl, gate, known, request, number are set. Refused: t->refused.
 * Blocks only where libcurl cannot be made to wait, for as long as a request may; in a multi handle (t->multi) never: then
 * t->wake_ns is when to look again. */
void weir_transfer_begin(struct weir_transfer *t);

/* Begins it once more, in the time that is left of the program's; what it needs is set as for the first time. Blocks until it may
 * go, in a multi handle it does not. False: it is refused. */
bool weir_transfer_begin_again(struct weir_transfer *t);

/* This thread's libcurl is about to be called for it. */
void weir_transfer_enter(const struct weir_transfer *t);

/* What its connects ask (core/flight.h). */
struct weir_flight_watch weir_transfer_watch(struct weir_transfer *t);

/* Libcurl has ended it with `code`; `r` is the request in hand, if it is still the caller's. Settles it. */
void weir_transfer_end(struct weir_transfer *t, struct weir_request *r, CURLcode code);

/* Looks again at the first request of a transfer that is kept back. It is not refused and phase WAITING: keep it. */
void weir_transfer_look(struct weir_transfer *t);

/* The same, of one that is held where it sends and has just had its turn: others may have left too short a time ago. */
void weir_transfer_depart(struct weir_transfer *t);

/* Whether its request is this process's own, and still in hand. */
bool weir_transfer_is_ours(const struct weir_transfer *t);

/* The request `r` of it, if there still is one, will not be made. */
void weir_transfer_unmade(const struct weir_transfer *t, struct weir_request *r);

/* It ends without having been made, or half-way, and nobody hears the answer. */
void weir_transfer_leave(struct weir_transfer *t);

/* Whether it went no further than to a proxy, with which the connection to the target was still to be made, as far as is known.
 */
bool weir_transfer_is_unsent(const struct weir_transfer *t);

/* A refused transfer is over with `code`: the code to tell the program instead. `r` tells why; the text goes to the program's
 * error buffer. */
CURLcode weir_transfer_refusal(const struct weir_transfer *t, const struct weir_request *r, CURLcode code);

/* The next request is about to be connected for, or sent (`sending`). Returns 0, or the errno of its refusal. Waits for its turn.
 * In a multi handle it does not: one that waits is then in phase WAITING, with t->wake_ns, and parked or held; where it cannot be
 * made to, it goes at once. */
int weir_transfer_arrive(struct weir_transfer *t, bool sending);

/* A request that waits and cannot be made to goes at once, on the unit that it has taken. Returns 0, or the errno of its
 * refusal. */
int weir_transfer_hurry(struct weir_transfer *t);

/* The transfer whose callbacks run in this thread's libcurl, if the code at `caller` is that library's: calls of its own
 * functions pass straight through. Else NULL. */
const struct weir_curl *weir_transfer_inner(const void *caller);

/* Leaves libcurl what is left of the program's time-out, where the transfer was kept back. */
void weir_transfer_shorten(struct weir_transfer *t);

/* The handle is about to be cleaned up: a transfer of it that is still in hand has been jumped out of. */
void weir_transfer_drop(struct weir_handle *h);

/* Makes libcurl ask before each request. False where it cannot: the handle has not been seen whole, or libcurl is too old. */
bool weir_transfer_chain(const struct weir_curl *curl, CURL *handle, struct weir_handle *h);

/* A handle has been copied with what weir has set on it. `h`: the copy's entry, NULL = there was no place. */
void weir_transfer_copied(const struct weir_curl *curl, CURL *copy, const struct weir_handle *original, struct weir_handle *h);

/* Takes back what weir has set for one transfer: a refusal's options, the shortened time-out. */
void weir_transfer_restore(const struct weir_curl *curl, CURL *handle, struct weir_handle *h);

/* Makes libcurl connect anew, and not look for a name before it does: the connect is refused. */
void weir_transfer_refuse(const struct weir_curl *curl, CURL *handle, struct weir_handle *h);

#endif
