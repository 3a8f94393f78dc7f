/* SPDX-License-Identifier: MIT */
/*
 * Transfers in a multi handle: kept back until their time comes, then handed to libcurl.
 *
 * None of these blocks. They may call the program's timer callback, as libcurl itself does where a handle is added or removed.
 */
#ifndef WEIR_CURL_KEPT_H
#define WEIR_CURL_KEPT_H

#include <stdbool.h>

#include "src/preload/core/room.h"
#include "src/preload/curl/multi_table.h"

/* Gives a transfer to the multi handle: to libcurl, or to those kept back. t->gate, host_port are set. Returns what
 * curl_multi_add_handle is to return. */
CURLMcode weir_kept_add(struct weir_multi *m, struct weir_transfer *t, CURL *handle, struct weir_handle *h);

/* Libcurl has ended it, and it is to be made once more, from t->again.due_ns on: takes it from libcurl, and keeps it. False when
 * libcurl does not give it back. */
bool weir_kept_again(struct weir_multi *m, struct weir_transfer *t);

/* Looks at those whose time may have come, and hands over those that go or are refused. */
void weir_kept_look(struct weir_multi *m);

/* A request has been settled: those that wait for a permit are due. */
void weir_kept_freed(struct weir_multi *m);

/* Out of its multi handle, wherever it stands: its handle is about to be removed or freed. What is under way counts as ignored.
 * Nothing for a transfer in none. */
void weir_kept_drop(struct weir_transfer *t);

/* Drops all. */
void weir_kept_drop_all(struct weir_multi *m);

/* At the end of the process all is settled. */
extern const struct weir_room weir_multi_room;

#endif
