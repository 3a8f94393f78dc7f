/* SPDX-License-Identifier: MIT */
/*
 * What is remembered of libcurl's multi handles: the transfers that were given to each, by where they stand, and when it has to
 * be called again.
 *
 * A fixed table, keyed by the multi handle's address, lock-free. libcurl allows one thread at a time to use a multi handle and
 * the easy handles in it, so an entry and its lines need no protection of their own. A multi handle that was not seen from its
 * beginning, or finds no place, is not known: its transfers pass, and their connections are what is seen of them.
 */
#ifndef WEIR_MULTI_TABLE_H
#define WEIR_MULTI_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/preload/curl/handle_table.h"

/* Messages of transfers that are none of ours, taken from libcurl in passing. */
#define WEIR_STRANGERS 64

struct weir_line {
	struct weir_transfer *first, *last;
	uint32_t count;
};

struct weir_multi {
	CURLM *handle;
	const struct weir_curl *curl;
	struct weir_line line[WEIR_PLACES];
	uint32_t again;     /* transfers that libcurl has ended in this call, and that are to be made once more */
	uint32_t parked;    /* transfers under way that have a socket parked */
	uint32_t held;      /* and those that are held where they send */
	bool expects;       /* one of these has not been tried to be sent yet */
	uint64_t wake_ns;   /* when to look at those kept back, parked or held, WEIR_NEVER = there are none */
	uint64_t turned_ns; /* the last curl_multi_perform with nothing to do */
	uint32_t turns;     /* such calls one right after the other */
	/* CURLMOPT_TIMERFUNCTION and its data. asked_ns: when libcurl wants to be called, told_ns: what the program has been
	 * told; WEIR_NEVER = not at all. steered: that differed from what libcurl wants. */
	curl_multi_timer_callback timer;
	void *timer_data;
	uint64_t asked_ns, told_ns;
	bool steered;
	CURLMsg *stranger[WEIR_STRANGERS];
	uint32_t strangers;
};

/* NULL when it is not known. */
struct weir_multi *weir_multi_find(const CURLM *handle);

/* A new one. Nothing where there is no place. */
void weir_multi_make(CURLM *handle, const struct weir_curl *curl);

/* Frees the entry. To be called before the address can come back. */
void weir_multi_forget(struct weir_multi *m);

/* Calls `visit` for each. */
void weir_multi_each(void (*visit)(struct weir_multi *m));

/* Whether a transfer in it waits for its turn. */
static inline bool weir_multi_waits(const struct weir_multi *m)
{
	return m->line[WEIR_PLACE_KEPT].count > 0 || m->parked > 0 || m->held > 0;
}

/* Moves a transfer to the end of a line of the multi handle: out of the one it stands in, if t->multi is not NULL. */
void weir_line_move(struct weir_multi *m, struct weir_transfer *t, enum weir_place place);

/* Takes it out of its multi handle. */
void weir_line_leave(struct weir_transfer *t);

#endif
