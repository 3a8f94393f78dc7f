/* SPDX-License-Identifier: MIT */
/*
 * A small block of words that is replaced as a whole.
 *
 * Two halves and a generation: a writer (who holds the owner's trylock) fills the half that is
 * not in force and publishes it with one compare-and-swap of the generation. A writer that dies
 * anywhere before that leaves the block as it was. Each half ends in a check word over its
 * contents, so that a reader notices a half that a stopped and resumed writer scribbled over; it
 * then takes the other half, and when neither holds, the zero block. Readers never spin: they
 * try a bounded number of times.
 */
#ifndef WEIR_PUBLISHED_H
#define WEIR_PUBLISHED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Words of a half that holds `n` words of contents: the contents and the check word. */
#define WEIR_PUBLISHED_HALF(n) ((n) + 1)

/* Copies the block in force into out[words]. `halves` is 2 x WEIR_PUBLISHED_HALF(words) words. Returns the generation read;
 * 0 with out zeroed when nothing was ever published or both halves are damaged. Never blocks. */
uint64_t weir_published_read(const _Atomic uint64_t *generation, const _Atomic uint64_t *halves, size_t words, uint64_t *out);

/* Replaces the block, if `generation` is still `seen` (what weir_published_read returned, or the raw word). Returns whether it
 * did. Only for the holder of the lock that guards the block. */
bool weir_published_write(_Atomic uint64_t *generation, _Atomic uint64_t *halves, size_t words, const uint64_t *in);

#endif
