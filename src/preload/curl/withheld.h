/* SPDX-License-Identifier: MIT */
/*
 * What libcurl delivers of an attempt, withheld from the program until it is known whether it is the last one.
 *
 * Weir's callbacks take the places of CURLOPT_HEADERFUNCTION and CURLOPT_WRITEFUNCTION, and call the program's. What is withheld
 * stands in memory that is mapped for it, in the order in which it came, each piece with the callback that it is for. An answer
 * that cannot be asked again passes from its first line on; of others the head is withheld, and of those that will be asked again
 * the body as well, up to a bound: a longer one is handed over and not asked again.
 */
#ifndef WEIR_CURL_WITHHELD_H
#define WEIR_CURL_WITHHELD_H

#include <stdbool.h>

#include "src/preload/curl/handle_table.h"

/* Puts the callbacks in their places. False, and nothing changed, where the handle has not been seen whole. */
bool weir_withhold(struct weir_transfer *t);

/* Forgets what an attempt has brought, before the next one. */
void weir_withheld_begin(struct weir_transfer *t);

/* Hands over what is withheld, and from now on all that comes. Returns false when a callback of the program's would not have it;
 * libcurl would have ended the transfer with CURLE_WRITE_ERROR. */
bool weir_withheld_hand_over(struct weir_transfer *t);

/* Puts the program's callbacks back and frees the memory. Does nothing when that has been done. */
void weir_withheld_end(const struct weir_curl *curl, CURL *handle, struct weir_handle *h);

/* A handle has been copied with weir's callbacks in place. `h`: the copy's entry, NULL = there was no place. */
void weir_withheld_copied(const struct weir_curl *curl, CURL *copy, const struct weir_handle *original, struct weir_handle *h);

#endif
