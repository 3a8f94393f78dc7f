/* SPDX-License-Identifier: MIT */
/*
 * A word that counts the calls of one slot of time: epoch:22 | calls:14 | failures:14 | slow:14. One compare-and-swap both ages
 * and counts. A full field halves all fields, which keeps their ratios. Who has a ring of such words says which epoch it is:
 * the time in slots.
 */
#ifndef WEIR_LIMIT_WINDOW_WORD_H
#define WEIR_LIMIT_WINDOW_WORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define WINDOW_EPOCH_BITS 22
#define WINDOW_EPOCH_MASK ((UINT64_C(1) << WINDOW_EPOCH_BITS) - 1)
#define WINDOW_COUNT_BITS 14
#define WINDOW_COUNT_MASK ((UINT64_C(1) << WINDOW_COUNT_BITS) - 1)

/* A slot whose tag is at most this far ahead of the caller's time was written by somebody with a later clock reading (the caller
 * was stopped for a while); what is further ahead is damage and is overwritten. */
#define WINDOW_AHEAD_MAX 64U

/* A CAS fails only because another one succeeded. Nobody loses this often unless the memory is hostile; then the call is lost. */
#define WINDOW_TRIES 1000

/* Whether a word tagged `tag` is of a later round than `epoch`. */
static inline bool window_ahead(uint64_t tag, uint64_t epoch)
{
	uint64_t distance = (tag - epoch) & WINDOW_EPOCH_MASK;

	return distance != 0 && distance <= WINDOW_AHEAD_MAX;
}

/* A calls word of this epoch with one more call. */
static inline uint64_t window_counted(uint64_t word, uint64_t epoch, bool failed, bool slow)
{
	uint64_t tag = word >> (3 * WINDOW_COUNT_BITS);
	uint64_t calls = 0;
	uint64_t failures = 0;
	uint64_t slows = 0;

	/* Nearly every call. A full field of the others is damage, and halved by the next call that is not good. */
	if (tag == epoch && !failed && !slow && ((word >> (2 * WINDOW_COUNT_BITS)) & WINDOW_COUNT_MASK) != WINDOW_COUNT_MASK)
		return word + (UINT64_C(1) << (2 * WINDOW_COUNT_BITS));
	if (tag == epoch) {
		calls = (word >> (2 * WINDOW_COUNT_BITS)) & WINDOW_COUNT_MASK;
		failures = (word >> WINDOW_COUNT_BITS) & WINDOW_COUNT_MASK;
		slows = word & WINDOW_COUNT_MASK;
	}
	/* calls is the largest field of a sound word; of a damaged one any field may be full. */
	if (calls == WINDOW_COUNT_MASK || failures == WINDOW_COUNT_MASK || slows == WINDOW_COUNT_MASK) {
		calls /= 2;
		failures /= 2;
		slows /= 2;
	}
	calls++;
	failures += failed ? 1 : 0;
	slows += slow ? 1 : 0;
	return (epoch << (3 * WINDOW_COUNT_BITS)) | (calls << (2 * WINDOW_COUNT_BITS)) | (failures << WINDOW_COUNT_BITS) | slows;
}

/* One more call in the word of this epoch. Returns what the word became; 0 where a later epoch stands there, and the call is
 * lost. Lock-free. */
static inline uint64_t window_count(_Atomic uint64_t *at, uint64_t epoch, bool failed, bool slow)
{
	uint64_t seen = atomic_load_explicit(at, memory_order_relaxed), word = 0;

	for (int i = 0; i < WINDOW_TRIES; i++) {
		if (seen >> (3 * WINDOW_COUNT_BITS) != epoch && window_ahead(seen >> (3 * WINDOW_COUNT_BITS), epoch))
			return 0;
		word = window_counted(seen, epoch, failed, slow);
		if (atomic_compare_exchange_weak_explicit(at, &seen, word, memory_order_relaxed, memory_order_relaxed))
			break;
	}
	return word;
}

static inline uint32_t window_calls(uint64_t word)
{
	return (uint32_t)(word >> (2 * WINDOW_COUNT_BITS) & WINDOW_COUNT_MASK);
}

static inline uint32_t window_failures(uint64_t word)
{
	return (uint32_t)(word >> WINDOW_COUNT_BITS & WINDOW_COUNT_MASK);
}

static inline uint32_t window_slow(uint64_t word)
{
	return (uint32_t)(word & WINDOW_COUNT_MASK);
}

#endif
