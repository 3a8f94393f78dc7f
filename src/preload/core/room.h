/* SPDX-License-Identifier: MIT */
/*
 * What a room (a family of hooks) wants to be told of the process's life.
 *
 * core is used by every room and knows none of them; rooms.c, above them all, names those that there are. Every function may be
 * NULL. They are called in the order of the table, and may change errno.
 */
#ifndef WEIR_ROOM_H
#define WEIR_ROOM_H

#include "weir/segment.h"

struct weir_room {
	/* The process has mapped its segment, before its first request. May block for the policy's sake: 250 ms at most. */
	void (*mapped)(const struct weir_segment *s);
	/* The segment's file is there but damaged. */
	void (*damaged)(void);
	/* This is a forked child (or the process's first gate): what the parent has under way is not ours. */
	void (*forget)(void);
	/* A hook is running and has time: look at what is under way, settle what is over. Bounded, never blocks. */
	void (*sweep)(void);
	/* The calling thread ends, perhaps out of the middle of a hook (pthread_cancel). Never blocks. */
	void (*thread_over)(void);
	/* The program leaves this process, by exit or exec: settle all that is under way. Never blocks. */
	void (*finish)(void);
};

/* Ends with NULL. */
extern const struct weir_room *const weir_rooms[];

void weir_rooms_mapped(const struct weir_segment *s);
void weir_rooms_damaged(void);
void weir_rooms_forget(void);
void weir_rooms_sweep(void);
void weir_rooms_thread_over(void);
void weir_rooms_finish(void);

#endif
