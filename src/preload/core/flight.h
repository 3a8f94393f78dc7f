/* SPDX-License-Identifier: MIT */
/*
 * The requests that a thread has in hand, each from the hook's call of the gate to its result.
 *
 * They also are the guard that keeps an exchange from being counted twice: the connects that libcurl makes inside
 * curl_easy_perform belong to the transfer. A connect is one of these when libcurl's own code has made it and the nearest hook
 * above it on the stack is that of the transfer. What the program's callbacks connect to is the program's.
 *
 * A program may leave a hook without returning: wget's time-out is a SIGALRM handler that longjmps out of connect, R and others
 * jump out of libcurl's callbacks. Or it leaves it for a while: a coroutine (makecontext, a fiber, a greenlet) that is inside a
 * transfer lets another one of the same thread go on, on another stack or on a copy of the same one. No frame's address tells the
 * one from the other. So the requests live here and not in the hooks' frames, and
 *
 * - out of connect, or a wait, nobody can switch, so a hook that runs while one is in hand, and not inside it, finds it left;
 * - a transfer is taken for left when its handle comes back (it is cleaned up), and not by frames; until then it may go on
 *   and be settled by its own answer;
 * - but while a thread waits for one request nothing else of it can go on, so the others hold no permits; neither does one whose
 *   frame the new one has taken.
 */
#ifndef WEIR_FLIGHT_H
#define WEIR_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "weir/gate.h"

/* A transfer of libcurl; a connect; a wait before something is sent. */
enum weir_flight_kind { WEIR_FLIGHT_PERFORM, WEIR_FLIGHT_CONNECT, WEIR_FLIGHT_WAIT };

struct weir_flight {
	struct weir_request *request;
	uint32_t number; /* never 0 */
};

struct weir_address; /* name/table.h */

/* A connect, as the hook was called. */
struct weir_connecting {
	int fd;
	const struct sockaddr *address;
	socklen_t length;
	const struct weir_address *to; /* what `address` says */
	uint16_t port;
};

/* What a connect inside a transfer has to ask first. */
struct weir_flight_watch {
	/* Told where the connect goes, returns 0 (go on), the errno to refuse with, or EINPROGRESS: who was asked will make the
	 * connect, later. May block as long as a request may, and may change errno. NULL: there is nothing to ask. */
	int (*ask)(void *data, const struct weir_connecting *to);
	void *data;
	const void *library; /* link map of the object whose connects they are; NULL: that cannot be told, so anybody's */
};

/* Whether a connect at `frame` that the code at `caller` makes is expected, or inside a call whose request is in hand; then
 * *watch is what it asks. Ends what a jump out of a connect or a wait has left behind. */
bool weir_flight_inside(uintptr_t frame, const void *caller, struct weir_flight_watch *watch);

/* Whether what runs at `frame` is inside a connect or a wait in hand: a handler, or another library's connect behind ours. */
bool weir_flight_in_leaf(uintptr_t frame);

/* The next connect of this thread that its library makes belongs to a transfer that has been admitted elsewhere, and asks that
 * one, whatever the thread has in hand. ask NULL: it does not. */
void weir_flight_expect(const struct weir_flight_watch *watch);

/* Takes a request in hand for the hook at `frame`, which is not inside a connect or a wait. A thread has eight hands; without a
 * free one the request in hand for longest is ended, as ignored. */
struct weir_flight weir_flight_begin(uintptr_t frame, enum weir_flight_kind kind);

/* What connects inside it ask; it is gone with the request. */
void weir_flight_watch(const struct weir_flight *f, const struct weir_flight_watch *watch);

/* Whether the flight of that number, whose watch has this data, is still in hand: a lack of hands may have ended it. */
bool weir_flight_has(uint32_t number, const void *data);

/* This thread is about to wait for the request of that number: all others that it has in hand give their permits back. */
void weir_flight_alone(uint32_t number);

/* The rooms are told when the calling thread ends (core/room.h). Costs a look the second time. */
void weir_flight_watch_thread(void);

/* Lets it go, after the call: the request moves to *out, to be settled there. False when it is not the caller's any more:
 * somebody ended it (then *out is zeroed), or this is a forked child that returned into its parent's call. */
bool weir_flight_end(const struct weir_flight *f, struct weir_request *out);

/* The call of that number, whose watch has this data, will not return: it is ended as ignored. Nothing, when it is not in hand.
 */
void weir_flight_drop(uint32_t number, const void *data);

/* The same, if the hook at `frame` runs where the call's own frame has been, or above it on one stack. Returns whether the flight
 * is over. */
bool weir_flight_left(uint32_t number, const void *data, uintptr_t frame);

/* Lets go of all that the calling thread has in hand, at the end of the process. */
void weir_flight_abandon(void);

/* The number of the last lease of this thread: where to look first for the next. */
uint32_t weir_flight_lease_hint(void);

#endif
