/* SPDX-License-Identifier: MIT */
#include "weir/window.h"

#include <stddef.h>

#define EPOCH_BITS 22
#define EPOCH_MASK ((UINT64_C(1) << EPOCH_BITS) - 1)
#define COUNT_BITS 14
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)

/* timing = epoch:22 | samples:12 | time:30 */
#define TIME_BITS   30
#define TIME_MASK   ((UINT64_C(1) << TIME_BITS) - 1)
#define SAMPLE_BITS 12
#define SAMPLE_MASK ((UINT64_C(1) << SAMPLE_BITS) - 1)
#define TIMING_TAG  (TIME_BITS + SAMPLE_BITS)
_Static_assert(3 * COUNT_BITS + EPOCH_BITS == 64 && TIMING_TAG + EPOCH_BITS == 64, "whole words");

/* So many calls of a slot are all timed, and then one in so many. */
#define TIMED_ALL  64U
#define TIMED_EACH 8U

/* Half the range, so that a sum that was halved has room for one more. */
#define LATENCY_MAX_US (TIME_MASK / 2)

/* A slot whose tag is at most this far ahead of the caller's time was written by somebody with a later clock reading (the caller
 * was stopped for a while); what is further ahead is damage and is overwritten. */
#define AHEAD_MAX 64U

/* A CAS fails only because another one succeeded. Nobody loses this often unless the memory is hostile; then the call is lost. */
#define TRIES 1000

static uint64_t slot_ns(uint64_t window_ns)
{
	uint64_t window = window_ns != 0 ? window_ns : WEIR_WINDOW_DEFAULT_NS;

	return window < WEIR_WINDOW_SLOTS ? 1 : window / WEIR_WINDOW_SLOTS;
}

/* Whether a word tagged `tag` is of a later round than `epoch`. */
static bool ahead(uint64_t tag, uint64_t epoch)
{
	uint64_t distance = (tag - epoch) & EPOCH_MASK;

	return distance != 0 && distance <= AHEAD_MAX;
}

/* A calls word of this epoch with one more call. */
static uint64_t counted(uint64_t word, uint64_t epoch, bool failed, bool slow)
{
	uint64_t tag = word >> (3 * COUNT_BITS);
	uint64_t calls = 0;
	uint64_t failures = 0;
	uint64_t slows = 0;

	/* Nearly every call. A full field of the others is damage, and halved by the next call that is not good. */
	if (tag == epoch && !failed && !slow && ((word >> (2 * COUNT_BITS)) & COUNT_MASK) != COUNT_MASK)
		return word + (UINT64_C(1) << (2 * COUNT_BITS));
	if (tag == epoch) {
		calls = (word >> (2 * COUNT_BITS)) & COUNT_MASK;
		failures = (word >> COUNT_BITS) & COUNT_MASK;
		slows = word & COUNT_MASK;
	}
	/* calls is the largest field of a sound word; of a damaged one any field may be full. */
	if (calls == COUNT_MASK || failures == COUNT_MASK || slows == COUNT_MASK) {
		calls /= 2;
		failures /= 2;
		slows /= 2;
	}
	calls++;
	failures += failed ? 1 : 0;
	slows += slow ? 1 : 0;
	return (epoch << (3 * COUNT_BITS)) | (calls << (2 * COUNT_BITS)) | (failures << COUNT_BITS) | slows;
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

	for (int i = 0; i < TRIES; i++) {
		if (ahead(seen >> TIMING_TAG, epoch))
			return;
		if (atomic_compare_exchange_weak_explicit(&slot->timing, &seen, timed(seen, epoch, latency_us),
							  memory_order_relaxed, memory_order_relaxed))
			return;
	}
}

void weir_window_add(struct weir_window *w, uint64_t window_ns, uint64_t now_ns, bool failed, bool slow, uint64_t latency_ns)
{
	uint64_t number = now_ns / slot_ns(window_ns);
	uint64_t epoch = number & EPOCH_MASK;
	struct weir_window_slot *slot = &w->slot[number % WEIR_WINDOW_SLOTS];
	uint64_t seen = atomic_load_explicit(&slot->calls, memory_order_relaxed);
	uint64_t word = 0;
	uint64_t calls;

	for (int i = 0; i < TRIES; i++) {
		if (seen >> (3 * COUNT_BITS) != epoch && ahead(seen >> (3 * COUNT_BITS), epoch))
			return;
		word = counted(seen, epoch, failed, slow);
		if (atomic_compare_exchange_weak_explicit(&slot->calls, &seen, word, memory_order_relaxed, memory_order_relaxed))
			break;
	}
	/* Dying here leaves a call that is not timed, like most. */
	calls = (word >> (2 * COUNT_BITS)) & COUNT_MASK;
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
		uint64_t epoch = number & EPOCH_MASK;

		uint64_t samples = timing >> TIMING_TAG == epoch ? (timing >> TIME_BITS) & SAMPLE_MASK : 0;
		uint64_t count = (calls >> (2 * COUNT_BITS)) & COUNT_MASK;

		if (calls >> (3 * COUNT_BITS) != epoch)
			continue;
		sum.calls += (uint32_t)count;
		sum.failures += (uint32_t)((calls >> COUNT_BITS) & COUNT_MASK);
		sum.slow += (uint32_t)(calls & COUNT_MASK);
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
