/* SPDX-License-Identifier: MIT */
#include "weir/published.h"

/* How often a reader that meets a half in the middle of being replaced tries again. Each try can only fail because a writer
 * published meanwhile. */
#define READ_TRIES 4

uint64_t weir_published_read_again(const _Atomic uint64_t *generation, const _Atomic uint64_t *halves, size_t words,
				   uint64_t *out)
{
	uint64_t seen = 0;

	for (int i = 0; i < READ_TRIES; i++) {
		seen = atomic_load_explicit(generation, memory_order_acquire);
		if (seen == 0)
			break;
		if (weir_published_half(halves, words, seen, out))
			return seen;
	}
	if (seen > 1 && weir_published_half(halves, words, seen - 1, out))
		return seen;
	for (size_t i = 0; i < words; i++)
		out[i] = 0;
	return 0;
}

bool weir_published_write(_Atomic uint64_t *generation, _Atomic uint64_t *halves, size_t words, const uint64_t *in)
{
	uint64_t seen = atomic_load_explicit(generation, memory_order_relaxed);
	uint64_t next = seen + 1 == 0 ? 2 : seen + 1; /* 0 means: nothing published */
	_Atomic uint64_t *half = halves + (next & 1) * WEIR_PUBLISHED_HALF(words);
	uint64_t sum = weir_published_mix(0, next);

	/* A death anywhere in here leaves a half that is not in force and whose check fails. */
	for (size_t i = 0; i < words; i++) {
		atomic_store_explicit(&half[i], in[i], memory_order_relaxed);
		sum = weir_published_mix(sum, in[i]);
	}
	atomic_store_explicit(&half[words], sum, memory_order_relaxed);
	return atomic_compare_exchange_strong_explicit(generation, &seen, next, memory_order_release, memory_order_relaxed);
}
