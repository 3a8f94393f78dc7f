/* SPDX-License-Identifier: MIT */
/*
 * Plain data in shared memory (keys, events, rules, the header), read and written as whole words.
 *
 * Others may write while we read. Every access is an atomic word, so that what is read is at worst a mixture of old and new
 * words, which the readers' checks (an index word or a sequence number read before and after) notice: loads acquire and stores
 * release, so none of them moves across those checks. On x86-64 both are ordinary moves.
 */
#ifndef WEIR_SEGMENT_WORDS_H
#define WEIR_SEGMENT_WORDS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t __attribute__((may_alias)) weir_word;

/* Copies n words out of the segment. */
static inline void words_load(void *to, const void *shared, size_t n)
{
	const weir_word *from = shared;

	for (size_t i = 0; i < n; i++) {
		uint64_t w = __atomic_load_n(&from[i], __ATOMIC_ACQUIRE);

		memcpy((unsigned char *)to + i * sizeof w, &w, sizeof w);
	}
}

/* Copies n words into the segment. */
static inline void words_store(void *shared, const void *from, size_t n)
{
	weir_word *to = shared;

	for (size_t i = 0; i < n; i++) {
		uint64_t w;

		memcpy(&w, (const unsigned char *)from + i * sizeof w, sizeof w);
		__atomic_store_n(&to[i], w, __ATOMIC_RELEASE);
	}
}

/* Zeroes n words of the segment. Writes only where something stands, so that untouched pages stay untouched. */
static inline void words_wipe(void *shared, size_t n)
{
	weir_word *to = shared;

	for (size_t i = 0; i < n; i++)
		if (__atomic_load_n(&to[i], __ATOMIC_RELAXED) != 0)
			__atomic_store_n(&to[i], 0, __ATOMIC_RELEASE);
}

#endif
