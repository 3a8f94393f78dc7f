/* SPDX-License-Identifier: MIT */
#include "weir/published.h"

/* Multiplier of the 64-bit LCG of L'Ecuyer (1999), table 4: odd, well mixed. The check guards against torn halves, not against an
 * attacker. */
#define MIX UINT64_C(3202034522624059733)

/* How often a reader that meets a half in the middle of being replaced tries again. Each try can only fail because a writer
 * published meanwhile. */
#define READ_TRIES 4

static uint64_t mixed(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * MIX;
	return sum ^ (sum >> 29);
}

static bool read_half(const _Atomic uint64_t *halves, size_t words, uint64_t generation, uint64_t *out)
{
	const _Atomic uint64_t *half = halves + (generation & 1) * WEIR_PUBLISHED_HALF(words);
	uint64_t sum = mixed(0, generation);

	for (size_t i = 0; i < words; i++) {
		out[i] = atomic_load_explicit(&half[i], memory_order_relaxed);
		sum = mixed(sum, out[i]);
	}
	return atomic_load_explicit(&half[words], memory_order_relaxed) == sum;
}

uint64_t weir_published_read(const _Atomic uint64_t *generation, const _Atomic uint64_t *halves, size_t words, uint64_t *out)
{
	uint64_t seen = 0;

	for (int i = 0; i < READ_TRIES; i++) {
		seen = atomic_load_explicit(generation, memory_order_acquire);
		if (seen == 0)
			break;
		/* The check word covers the generation, so a half that is being written for a later one does not pass. */
		if (read_half(halves, words, seen, out))
			return seen;
	}
	if (seen > 1 && read_half(halves, words, seen - 1, out))
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
	uint64_t sum = mixed(0, next);

	/* A death anywhere in here leaves a half that is not in force and whose check fails. */
	for (size_t i = 0; i < words; i++) {
		atomic_store_explicit(&half[i], in[i], memory_order_relaxed);
		sum = mixed(sum, in[i]);
	}
	atomic_store_explicit(&half[words], sum, memory_order_relaxed);
	return atomic_compare_exchange_strong_explicit(generation, &seen, next, memory_order_release, memory_order_relaxed);
}
