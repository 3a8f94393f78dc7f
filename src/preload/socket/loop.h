/* SPDX-License-Identifier: MIT */
/*
 * Programs with an event loop. A request of theirs that must wait is held back: what would send it is answered with EAGAIN, and
 * its socket is not told to be writable before its time has come. So the loop goes on with everything else.
 *
 * A loop is seen by its waits (poll, select, epoll_wait and their kin): the descriptor is in an epoll set that has been waited
 * on, or this thread's last poll or select held two connections or more. What is held back is let go by the thread that then
 * waits, as an event that another thread makes is lost on some programs. Where a program cannot be made to wait so, it waits in
 * place: another thread sits in epoll_wait on that set already, or three EAGAINs have come without a wait in between.
 *
 * A loop may also wait in a way that is not seen (by a select that was looked up with dlsym). It is told by what goes on inside
 * it: the thread looks at one connection after the other, and waits for none. What it waits by says at once that it may send, so
 * that it would spin; so a look at one that is held back takes a little (DOZE), once in a turn of the loop.
 */
#ifndef WEIR_LOOP_H
#define WEIR_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "src/preload/socket/record.h"
#include "weir/gate.h"

/* How many are held back: what the waits look at first. */
extern _Atomic uint32_t weir_held;

/* r->next waits, to be looked at again at wake_ns, and fd is about to send it: whether it is held back (else it is to wait in
 * place). r is taken. */
bool weir_loop_hold(struct weir_record *r, int fd, uint64_t wake_ns);

/* It is held back no more. r is taken. Does nothing when it is not. */
void weir_loop_let_go(struct weir_record *r);

/* fd has been put into an epoll set, changed there, or taken out (ep < 0). */
void weir_loop_watched(int fd, int ep, uint32_t events, uint64_t data);

/* This thread begins to wait on an epoll set; ends to. Between them another thread's requests of that set wait in place. */
void weir_loop_wait_begin(int ep);
void weir_loop_wait_end(int ep);

/* This thread waits no more, if it has: it was cancelled, or has jumped out of the wait. */
void weir_loop_left(void);

/* This thread waits, or has waited, by poll or select, for so many connections of ours. */
void weir_loop_polls(unsigned connections);

/* This thread has begun to connect fd, or has asked how it is, without waiting for it. */
void weir_loop_glances(int fd);

/* Whether such a look at fd is to take a little, so that a loop whose waits are not seen does not spin. */
bool weir_loop_may_doze(int fd);

/* Lets those go whose time has come, of those that are held back in the set ep, or, where ep is -1, of those that `in` tells are
 * waited for. Returns when the next one's comes, WEIR_NEVER = none is left. */
uint64_t weir_loop_release(int ep, bool (*in)(int fd, const void *of), const void *of);

/* Whether fd's connection is held back. */
bool weir_loop_holds(int fd);

#endif
