/* SPDX-License-Identifier: MIT */
/* The calls of the window, and of a share each so manieth: what degradation and shedding have in common. */
#ifndef WEIR_LIMIT_DEGRADE_CALLS_H
#define WEIR_LIMIT_DEGRADE_CALLS_H

#include "weir/degrade.h"
#include "weir/window.h"
#include "window_word.h"

/* The window is four slots and the one that is being filled. */
static inline uint64_t degrade_slot_ns(uint64_t window_ns)
{
	uint64_t window = window_ns != 0 ? window_ns : WEIR_WINDOW_DEFAULT_NS;

	return window < WEIR_DEGRADE_SLOTS ? 1 : window / (WEIR_DEGRADE_SLOTS - 1);
}

static inline void degrade_count(_Atomic uint64_t ring[WEIR_DEGRADE_SLOTS], uint64_t window_ns, bool failed, bool slow,
				 uint64_t now_ns)
{
	uint64_t number = now_ns / degrade_slot_ns(window_ns);

	(void)window_count(&ring[number % WEIR_DEGRADE_SLOTS], number & WINDOW_EPOCH_MASK, failed, slow);
}

/* What was counted in the slots of the window that began at since_ns or later. */
static inline struct weir_window_sum degrade_sum(const _Atomic uint64_t ring[WEIR_DEGRADE_SLOTS], uint64_t window_ns,
						 uint64_t since_ns, uint64_t now_ns)
{
	uint64_t slot = degrade_slot_ns(window_ns), last = now_ns / slot;
	uint64_t first = last < WEIR_DEGRADE_SLOTS - 1 ? 0 : last - (WEIR_DEGRADE_SLOTS - 1);
	uint64_t since = since_ns / slot + (since_ns % slot != 0 ? 1 : 0);
	struct weir_window_sum sum = {0};

	for (uint64_t number = first > since ? first : since; number <= last; number++) {
		uint64_t word = atomic_load_explicit(&ring[number % WEIR_DEGRADE_SLOTS], memory_order_relaxed);

		if (word >> (3 * WINDOW_COUNT_BITS) != (number & WINDOW_EPOCH_MASK))
			continue;
		sum.calls += window_calls(word);
		sum.failures += window_failures(word);
		sum.slow += window_slow(word);
	}
	/* No share above one, whatever the words held. */
	if (sum.failures > sum.calls)
		sum.failures = sum.calls;
	if (sum.slow > sum.calls)
		sum.slow = sum.calls;
	return sum;
}

/* Whether number n of a row is among the share: evenly spread, like the pixels of a line (Bresenham 1965). */
static inline bool degrade_is_nth(uint64_t n, uint32_t permille)
{
	n %= 1000;
	return (n + 1) * permille / 1000 != n * permille / 1000;
}

#endif
