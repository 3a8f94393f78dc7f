/* SPDX-License-Identifier: MIT */
/*
 * Whether this program asks again by itself: a curl that was told to on its command line does from the first, others are
 * recognised by what they do (weir/repeats.h). A request is a method and a URL.
 */
#ifndef WEIR_CURL_REPEATS_H
#define WEIR_CURL_REPEATS_H

#include <stdbool.h>
#include <stdint.h>

#include "src/preload/curl/handle_table.h"

/* The transfer's first request is about to be made. Returns whether the program asks again by itself. */
bool weir_repeats_begin(struct weir_transfer *t, uint64_t now_ns);

/* It is over, and the program is told: a failure, a good answer. */
void weir_repeats_end(struct weir_transfer *t, bool failed, uint64_t now_ns);

#endif
