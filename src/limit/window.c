/* SPDX-License-Identifier: MIT */
#include "weir/window.h"

#include <stddef.h>

#include "window_word.h"

/* timing = epoch:22 | samples:12 | time:30 */
#define TIME_BITS   30
#define TIME_MASK   ((UINT64_C(1) << TIME_BITS) - 1)
#define SAMPLE_BITS 12
#define SAMPLE_MASK ((UINT64_C(1) << SAMPLE_BITS) - 1)
#define TIMING_TAG  (TIME_BITS + SAMPLE_BITS)
_Static_assert(3 * WINDOW_COUNT_BITS + WINDOW_EPOCH_BITS == 64 && TIMING_TAG + WINDOW_EPOCH_BITS == 64, "whole words");

/* So many calls of a slot are all timed, and then one in so many. */
#define TIMED_ALL  64U
#define TIMED_EACH 8U

/* Half the range, so that a sum that was halved has room for one more. */
#define LATENCY_MAX_US (TIME_MASK / 2)

static uint64_t slot_ns(uint64_t window_ns)
{
	uint64_t window = window_ns != 0 ? window_ns : WEIR_WINDOW_DEFAULT_NS;

	return window < WEIR_WINDOW_SLOTS ? 1 : window / WEIR_WINDOW_SLOTS;
}

/* A timing word of this epoch with one more sample. */
static uint64_t timed(uint64_t word, uint64_t epoch, uint64_t latency_us)
{
	uint64_t samples = 0;
	uint64_t sum = 0;

	if (word >> TIMING_TAG == epoch) {
		samples = (word >> TIME_BITS) & SAMPLE_MASK;
		sum = word & TIME_MASK;
	}
	if (latency_us > LATENCY_MAX_US)
		latency_us = LATENCY_MAX_US;
	if (samples == SAMPLE_MASK || sum > TIME_MASK - latency_us) {
		samples /= 2;
		sum /= 2;
	}
	return (epoch << TIMING_TAG) | ((samples + 1) << TIME_BITS) | (sum + latency_us);
}

static void add_timing(struct weir_window_slot *slot, uint64_t epoch, uint64_t latency_us)
{
	uint64_t seen = atomic_load_explicit(&slot->timing, memory_order_relaxed);

	for (int i = 0; i < WINDOW_TRIES; i++) {
		if (window_ahead(seen >> TIMING_TAG, epoch))
			return;
		if (atomic_compare_exchange_weak_explicit(&slot->timing, &seen, timed(seen, epoch, latency_us),
							  memory_order_relaxed, memory_order_relaxed))
			return;
	}
}

void weir_window_add(struct weir_window *w, uint64_t window_ns, uint64_t now_ns, bool failed, bool slow, uint64_t latency_ns)
{
	uint64_t number = now_ns / slot_ns(window_ns);
	uint64_t epoch = number & WINDOW_EPOCH_MASK;
	struct weir_window_slot *slot = &w->slot[number % WEIR_WINDOW_SLOTS];
	uint64_t word = window_count(&slot->calls, epoch, failed, slow), calls;

	if (word == 0)
		return;
	/* Dying here leaves a call that is not timed, like most. */
	calls = window_calls(word);
	if (calls <= TIMED_ALL || calls % TIMED_EACH == 0)
		add_timing(slot, epoch, latency_ns / 1000);
}

struct weir_window_sum weir_window_since(const struct weir_window *w, uint64_t window_ns, uint64_t since_ns, uint64_t now_ns)
{
	uint64_t step = slot_ns(window_ns);
	uint64_t last = now_ns / step;
	uint64_t since = since_ns / step + (since_ns % step != 0 ? 1 : 0);
	uint64_t first = last < WEIR_WINDOW_SLOTS - 1 ? 0 : last - (WEIR_WINDOW_SLOTS - 1);
	struct weir_window_sum sum = {0};

	if (first < since)
		first = since;
	if (first > last)
		return sum;
	for (uint64_t number = first; number <= last; number++) {
		const struct weir_window_slot *slot = &w->slot[number % WEIR_WINDOW_SLOTS];
		uint64_t calls = atomic_load_explicit(&slot->calls, memory_order_relaxed);
		uint64_t timing = atomic_load_explicit(&slot->timing, memory_order_relaxed);
		uint64_t epoch = number & WINDOW_EPOCH_MASK;

		uint64_t samples = timing >> TIMING_TAG == epoch ? (timing >> TIME_BITS) & SAMPLE_MASK : 0;
		uint64_t count = window_calls(calls);

		if (calls >> (3 * WINDOW_COUNT_BITS) != epoch)
			continue;
		sum.calls += (uint32_t)count;
		sum.failures += window_failures(calls);
		sum.slow += window_slow(calls);
		/* Each slot's samples stand for all of its calls: 30 and 14 bits, no overflow. */
		if (samples != 0)
			sum.latency_us += (timing & TIME_MASK) * count / samples;
	}
	/* No share above one, whatever the words held. */
	if (sum.failures > sum.calls)
		sum.failures = sum.calls;
	if (sum.slow > sum.calls)
		sum.slow = sum.calls;
	sum.span_ns = now_ns - first * step;
	return sum;
}

struct weir_window_sum weir_window_sum(const struct weir_window *w, uint64_t window_ns, uint64_t now_ns)
{
	return weir_window_since(w, window_ns, 0, now_ns);
}

void weir_window_clear(struct weir_window *w)
{
	for (size_t i = 0; i < WEIR_WINDOW_SLOTS; i++) {
		atomic_store_explicit(&w->slot[i].calls, 0, memory_order_relaxed);
		atomic_store_explicit(&w->slot[i].timing, 0, memory_order_relaxed);
	}
}
