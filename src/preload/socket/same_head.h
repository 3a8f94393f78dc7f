/* SPDX-License-Identifier: MIT */
/*
 * The same head again. Most programs that keep a connection ask the same thing over it, or nearly: a client that polls, a load
 * generator. What has been found out of a head of which every byte is the same need not be found out once more: whom it asks,
 * whose it is, and that no body follows.
 *
 * Kept is the last head that passed in one piece, had no body and named no client: none of the secrets by which
 * clients are told apart lies here. A cookie may; it does not leave the process.
 */
#ifndef WEIR_SAME_HEAD_H
#define WEIR_SAME_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "src/preload/socket/record.h"

/* Whether these bytes are the head that is kept, and nothing else. */
bool weir_same_head(const struct weir_record *r, const void *bytes, size_t n);

/* Whether so many bytes were sent from there as the head that is kept. They are not looked at. */
bool weir_same_head_at(const struct weir_record *r, const void *bytes, size_t n);

/* Another head, or what may be one, is about to be sent; what is kept is forgotten. The record's `whose` is of it. */
void weir_same_head_comes(struct weir_record *r, const void *bytes, size_t n);

/* A head has been sent that is not the one that is kept: that one is forgotten, as it is not the last any more. n: of a head that
 * is these bytes and nothing else, has come in one piece and has no body; 0: of any other. */
void weir_same_head_passed(struct weir_record *r, const void *bytes, size_t n);

#endif
