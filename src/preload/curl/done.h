/* SPDX-License-Identifier: MIT */
/*
 * The ends of transfers in a multi handle.
 *
 * They are taken from libcurl as soon as it has them, so that what a transfer held goes to those who wait for it, and not when
 * the program asks for them, which may be after all are over; and they are kept for the program.
 */
#ifndef WEIR_CURL_DONE_H
#define WEIR_CURL_DONE_H

#include <stdbool.h>

#include "src/preload/curl/multi_table.h"

/* Settles the transfers that libcurl has ended. Returns whether there were any. Never blocks. */
bool weir_done_collect(struct weir_multi *m);

/* The next message for the program, or NULL; *left is how many there are after it. */
CURLMsg *weir_done_next(struct weir_multi *m, int *left);

/* The handle is about to be removed or freed, and with it a message about it, if there is one. */
void weir_done_forget(struct weir_multi *m, const CURL *handle);

#endif
