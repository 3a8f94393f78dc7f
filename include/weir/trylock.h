/* SPDX-License-Identifier: MIT */
/*
 * A lock that is tried, never waited for, and that a dead owner cannot keep.
 *
 * It guards the periodic update of a host's controllers: whoever finds it taken simply goes on,
 * because somebody else is doing the work. The word is 0 when free, else the token of its owner.
 * A token is made from the time of taking, so a lock that has been held for longer than
 * WEIR_TRYLOCK_STALE_NS belongs to a process that died or was stopped inside the update, and is
 * taken over. What the update writes must therefore survive two writers: it goes to the inactive
 * half of a double buffer and carries a check word (see published.h).
 */
#ifndef WEIR_TRYLOCK_H
#define WEIR_TRYLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* An update takes about a microsecond; a second is a million times that. */
#define WEIR_TRYLOCK_STALE_NS UINT64_C(1000000000)

/* Takes the lock, or takes it over from a stale owner. Returns the token, 0 when somebody has it. Never blocks. */
uint64_t weir_trylock_take(_Atomic uint64_t *lock, uint64_t now_ns);

/* Whether the caller's token still owns the lock. */
bool weir_trylock_mine(const _Atomic uint64_t *lock, uint64_t token);

/* Gives the lock up; does nothing when it has been taken over in the meantime. */
void weir_trylock_release(_Atomic uint64_t *lock, uint64_t token);

#endif
