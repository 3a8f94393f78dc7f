/* SPDX-License-Identifier: MIT */
/*
 * Connects under way: admitted, begun, and their outcome not known yet.
 *
 * A non-blocking connect answers EINPROGRESS; what becomes of it is found out later, at the first of: the program asks for it
 * (SO_ERROR, a second connect), closes the socket, or calls another hook (which looks at all that is under way), or exits. The
 * socket is known by its cookie, so that a number that was closed behind our back and used again is not mistaken for it. Nothing
 * about the socket is changed and no error is taken from it.
 *
 * "Later" may be at the end of a long conversation. So what is under way holds no permit, and its latency is the kernel's.
 *
 * The table is fixed. A connect that finds no place in it is settled at once, as ignored. Never blocks.
 */
#ifndef WEIR_PENDING_H
#define WEIR_PENDING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/preload/core/room.h"
#include "src/preload/name/table.h"
#include "weir/gate.h"

/* How many there are: what a hook reads before anything else. */
extern _Atomic uint32_t weir_pending_count;

static inline bool weir_pending_any(void)
{
	return atomic_load_explicit(&weir_pending_count, memory_order_relaxed) != 0;
}

/* What a connect is told apart by, beside its request. */
struct weir_attempt {
	uint64_t
		next_host; /* not 0 when a failure says nothing of the host, as the program has other addresses to try (paid.h) */
	uint64_t address;  /* stands for its address, with next_host */
	struct weir_address to;
};

/* Remembers a connect on fd, and settles it at once if its outcome is known already. */
void weir_pending_add(const struct weir_gate *g, int fd, const struct weir_request *request, const struct weir_attempt *attempt);

/* Whether a connect is under way on fd, or has failed there and the program has not been told. */
bool weir_pending_has(int fd);

/* The program has been told how the connect on fd stands: 0 or an errno, from SO_ERROR or from a second connect. */
void weir_pending_told(int fd, int error);

/* The program is about to close fd. */
void weir_pending_closing(int fd);

/* Looks at some of those under way and settles what is over. */
void weir_pending_sweep(void);

/* In a forked child all is dropped without settling; at the end of the process all is settled. */
extern const struct weir_room weir_pending_room;

/* Settles a connect that has ended with errno `error`, 0 = it is connected. latency_ns: 0 = from admission to now. */
void weir_connect_settle(const struct weir_gate *g, struct weir_request *r, const struct weir_attempt *attempt, int error,
			 uint64_t latency_ns);

#endif
