/* SPDX-License-Identifier: MIT */
/*
 * The request that a thread has in hand, from the hook's call of the gate to the result.
 *
 * It also is the guard that keeps an exchange from being counted twice: connects that libcurl makes inside curl_easy_perform run
 * deeper in the stack than the hook whose request is in hand, and are left alone.
 *
 * A program may leave a hook without returning: wget's time-out is a SIGALRM handler that longjmps out of connect, R and others
 * jump out of libcurl's callbacks. So the request lives here and not in the hook's frame, and the next hook that runs at the same
 * depth or above knows that the frame is gone, and ends the request. (The stack grows down. A program that switches stacks may
 * make this guess wrong; then a request is ended early, as ignored, and its own hook finds the number changed.)
 */
#ifndef WEIR_FLIGHT_H
#define WEIR_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/gate.h"

enum weir_flight_kind { WEIR_FLIGHT_PERFORM, WEIR_FLIGHT_CONNECT };

struct weir_flight {
	struct weir_request *request;
	uint32_t number; /* 0: the request is the caller's own, see weir_flight_begin */
};

/* Whether `frame` is inside a call whose request is in hand. Ends what a jump left behind. */
bool weir_flight_inside(uintptr_t frame);

/* What a connect inside the transfer in hand has to ask first, NULL = nothing: set after weir_flight_begin, gone with the
 * request. ask(port) is told where the connect goes, returns 0 (go on) or the errno to refuse with, may block as long as a
 * request may, and may change errno. */
void weir_flight_watch(int (*ask)(uint16_t port));

/* The next connect of this thread belongs to a transfer that has been admitted elsewhere, and asks that one, whatever the thread
 * has in hand. NULL: it does not. */
void weir_flight_expect(int (*ask)(uint16_t port));
bool weir_flight_expects(void);

/* Asks: whom the connect was expected by, else the transfer in hand. */
int weir_flight_ask(uint16_t port);

/* Whether the flight of that number is still in hand: a jump may have ended it. */
bool weir_flight_has(uint32_t number);

/* Takes a request in hand for the hook at `frame`. Inside another one (a perform in a callback of a perform) the request is
 * `spare`, in the caller's frame. */
struct weir_flight weir_flight_begin(uintptr_t frame, enum weir_flight_kind kind, struct weir_request *spare);

/* Lets it go, after the call: the request moves to *spare, to be settled there. False when it is not the caller's any more:
 * somebody ended it, or this is a forked child that returned into its parent's call. */
bool weir_flight_end(const struct weir_flight *f, struct weir_request *spare);

/* Lets go of what the calling thread has in hand, at the end of the process. */
void weir_flight_abandon(void);

/* The number of the last lease of this thread: where to look first for the next. */
uint32_t weir_flight_lease_hint(void);

#endif
