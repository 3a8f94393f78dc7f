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

/* One step of the check. The multiplier is that of the 64-bit LCG of L'Ecuyer (1999), table 4: odd, well mixed. The check guards
 * against torn halves, not against an attacker. */
static inline uint64_t weir_published_mix(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * UINT64_C(3202034522624059733);
	return sum ^ (sum >> 29);
}

/* Copies the half of this generation. Returns whether it is whole. The check word covers the generation, so a half that is being
 * written for a later one does not pass. */
static inline bool weir_published_half(const _Atomic uint64_t *halves, size_t words, uint64_t generation, uint64_t *out)
{
	const _Atomic uint64_t *half = halves + (generation & 1) * WEIR_PUBLISHED_HALF(words);
	uint64_t sum = weir_published_mix(0, generation);

	for (size_t i = 0; i < words; i++) {
		out[i] = atomic_load_explicit(&half[i], memory_order_relaxed);
		sum = weir_published_mix(sum, out[i]);
	}
	return atomic_load_explicit(&half[words], memory_order_relaxed) == sum;
}

/* What weir_published_read does when the half in force is not whole at once. */
uint64_t weir_published_read_again(const _Atomic uint64_t *generation, const _Atomic uint64_t *halves, size_t words,
				   uint64_t *out);

/* Copies the block in force into out[words]. `halves` is 2 x WEIR_PUBLISHED_HALF(words) words. Returns the generation read;
 * 0 with out zeroed when nothing was ever published or both halves are damaged. Never blocks. Here, because every request reads
 * a block of four words. */
static inline uint64_t weir_published_read(const _Atomic uint64_t *generation, const _Atomic uint64_t *halves, size_t words,
					   uint64_t *out)
{
	uint64_t seen = atomic_load_explicit(generation, memory_order_acquire);

	if (seen != 0 && weir_published_half(halves, words, seen, out))
		return seen;
	return weir_published_read_again(generation, halves, words, out);
}

/* Replaces the block, if `generation` is still `seen` (what weir_published_read returned, or the raw word). Returns whether it
 * did. Only for the holder of the lock that guards the block. */
bool weir_published_write(_Atomic uint64_t *generation, _Atomic uint64_t *halves, size_t words, const uint64_t *in);

#endif
