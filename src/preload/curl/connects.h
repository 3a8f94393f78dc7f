/* SPDX-License-Identifier: MIT */
/*
 * Whose connect it is, where many transfers run in one call (curl_multi_perform): libcurl calls the program's socket callback
 * (CURLOPT_SOCKOPTFUNCTION) right before it connects, with the handle's own data. Weir's takes its place, and calls it.
 */
#ifndef WEIR_CURL_CONNECTS_H
#define WEIR_CURL_CONNECTS_H

#include <stdbool.h>

#include "src/preload/curl/handle_table.h"

/* From now on the handle's connects ask its transfer. False where they cannot: the handle has not been seen whole. */
bool weir_connects_mark(const struct weir_curl *curl, CURL *handle, struct weir_handle *h);

/* A handle has been copied with what weir has set on it. `h`: the copy's entry, NULL = there was no place. */
void weir_connects_copied(const struct weir_curl *curl, CURL *copy, const struct weir_handle *original,
			  const struct weir_handle *h);

#endif
