/* SPDX-License-Identifier: MIT */
#include "weir/outcomes.h"

#include <stddef.h>

#define EACH             26U /* outcomes of a word */
#define OUTCOME_BITS     (2 * EACH)
#define OUTCOME_MASK     ((UINT64_C(1) << OUTCOME_BITS) - 1)
#define COUNT_MASK       UINT64_C(31)
#define TAG_SHIFT        57
#define TAG_MASK         UINT64_C(127)
#define GENERATION_SHIFT 48
#define NUMBER_MASK      ((UINT64_C(1) << GENERATION_SHIFT) - 1)
_Static_assert(OUTCOME_BITS + 5 == TAG_SHIFT && (WEIR_OUTCOME_WORDS - 1) * EACH >= WEIR_OUTCOMES_MAX, "room for all");

/* The lower bits of each pair: whether it failed. The upper: whether it was slow. */
#define FAILED UINT64_C(0x5555555555555555)

/* A CAS fails only because another succeeded; who loses that often is in hostile memory, and loses the call. */
#define TRIES 100

static uint64_t head_of(uint64_t generation, uint64_t number)
{
	return (generation & 0xffff) << GENERATION_SHIFT | (number & NUMBER_MASK);
}

/* How many outcomes the word holds as the word of this number; 0: it is not. */
static uint32_t count_of(uint64_t word, uint64_t number)
{
	uint64_t count = word >> OUTCOME_BITS & COUNT_MASK;

	if (word >> TAG_SHIFT != (number & TAG_MASK))
		return 0;
	return count < EACH ? (uint32_t)count : EACH;
}

void weir_outcomes_clear(struct weir_outcomes *o)
{
	for (size_t i = 0; i < WEIR_OUTCOME_WORDS; i++)
		atomic_store_explicit(&o->word[i], 0, memory_order_relaxed);
}

void weir_outcomes_add(struct weir_outcomes *o, uint32_t generation, bool failed, bool slow)
{
	uint64_t head = atomic_load_explicit(&o->head, memory_order_acquire);

	for (int i = 0; i < TRIES; i++) {
		uint64_t number = head & NUMBER_MASK;
		_Atomic uint64_t *at = &o->word[number % WEIR_OUTCOME_WORDS];
		uint64_t seen, count, word;

		if (head >> GENERATION_SHIFT != (generation & 0xffff)) {
			/* The words first: who dies here leaves it to the next, who finds the same. */
			weir_outcomes_clear(o);
			if (atomic_compare_exchange_strong_explicit(&o->head, &head, head_of(generation, number + 1),
								    memory_order_acq_rel, memory_order_acquire))
				head = head_of(generation, number + 1);
			continue;
		}
		seen = atomic_load_explicit(at, memory_order_relaxed);
		count = count_of(seen, number);
		if (count == EACH) {
			if (atomic_compare_exchange_strong_explicit(&o->head, &head, head_of(generation, number + 1),
								    memory_order_acq_rel, memory_order_acquire))
				head = head_of(generation, number + 1);
			continue;
		}
		word = count != 0 ? (seen & OUTCOME_MASK) << 2 & OUTCOME_MASK : 0;
		word |= (slow ? 2U : 0U) | (failed ? 1U : 0U) | (count + 1) << OUTCOME_BITS | (number & TAG_MASK) << TAG_SHIFT;
		if (atomic_compare_exchange_strong_explicit(at, &seen, word, memory_order_relaxed, memory_order_relaxed))
			return;
		head = atomic_load_explicit(&o->head, memory_order_acquire);
	}
}

struct weir_window_sum weir_outcomes_sum(const struct weir_outcomes *o, uint32_t generation, uint32_t calls)
{
	uint64_t head = atomic_load_explicit(&o->head, memory_order_acquire), number = head & NUMBER_MASK;
	struct weir_window_sum sum = {0};

	if (head >> GENERATION_SHIFT != (generation & 0xffff))
		return sum;
	if (calls > WEIR_OUTCOMES_MAX)
		calls = WEIR_OUTCOMES_MAX;
	for (unsigned i = 0; i < WEIR_OUTCOME_WORDS && sum.calls < calls; i++, number--) {
		uint64_t word = atomic_load_explicit(&o->word[number % WEIR_OUTCOME_WORDS], memory_order_relaxed);
		uint32_t count = count_of(word, number);
		uint32_t part = count < calls - sum.calls ? count : calls - sum.calls;
		uint64_t outcomes = part != 0 ? word & (UINT64_MAX >> (64 - 2 * part)) : 0;

		/* The one that is written may hold few, or none yet; what stands before it is full, or not of this generation. */
		if (i > 0 && count < EACH)
			break;
		sum.calls += part;
		sum.failures += (uint32_t)__builtin_popcountll(outcomes & FAILED);
		sum.slow += (uint32_t)__builtin_popcountll(outcomes & ~FAILED);
	}
	return sum;
}
