/* SPDX-License-Identifier: MIT */
/*
 * Asking again, where a rule or `weir run --retry` says so: the program sees the last attempt only.
 *
 * An attempt is a transfer of libcurl's like any other, with the same handle: its requests are admitted and settled one by one,
 * and what it delivers is withheld (withheld.h) until it is clear that it is the last one. That is decided where the head of an
 * answer has come in, so that the last answer's body is delivered by libcurl itself; where no head came, after the attempt. What
 * was withheld is dropped only once the gate has admitted the next attempt: where it refuses it, the program gets the answer that
 * there is.
 */
#ifndef WEIR_CURL_AGAIN_H
#define WEIR_CURL_AGAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "src/preload/curl/handle_table.h"

/* The transfer's first request has been begun: where its rule says so, what follows may be asked again. */
void weir_again_begin(struct weir_transfer *t);

/* A line of a head has come in. Returns whether it is to be withheld. */
bool weir_again_head(struct weir_transfer *t, const char *line, size_t bytes);

/* Some body has come in. The same. */
bool weir_again_body(struct weir_transfer *t);

/* An attempt is over with *code, and settled with `r`; judged: it was made, and its result is its host's. Returns whether there
 * is to be another one, from t->again.due_ns on. Else the program has been handed over what there is, and *code is what it is to
 * be told. */
bool weir_again_after(struct weir_transfer *t, const struct weir_request *r, bool judged, CURLcode *code);

/* The gate has admitted the next attempt: what the last one has brought is dropped. */
void weir_again_next(struct weir_transfer *t);

/* It has not: the program is handed over what there is. Returns the code that it is to be told. */
CURLcode weir_again_give_up(struct weir_transfer *t);

#endif
