/* SPDX-License-Identifier: MIT */
/*
 * Sliding-window metrics: calls, failures, slow calls and latency over the last window, in ten slots.
 *
 * A slot is two words, each tagged with the slot's epoch so that a single CAS both ages and counts:
 *   calls  = epoch:22 | calls:14 | failures:14 | slow:14
 *   timing = epoch:22 | samples:12 | latency_us:30 (their sum)
 * A full field of a word halves all fields of that word, which keeps their ratios. Of a slot's calls the first 64 are timed and
 * then every eighth, because a second CAS is not worth its time on every call of a busy host. The epoch is now / (window / 10);
 * it wraps after 2^22 slots, 48 days at one second each. Zeroed memory is an empty window. Feeds the breaker's rates and the
 * exported sliding-window rate, error rate and latency.
 */
#ifndef WEIR_WINDOW_H
#define WEIR_WINDOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define WEIR_WINDOW_SLOTS      10
#define WEIR_WINDOW_DEFAULT_NS UINT64_C(10000000000)

struct weir_window_slot {
	_Atomic uint64_t calls;
	_Atomic uint64_t timing;
};

struct weir_window {
	struct weir_window_slot slot[WEIR_WINDOW_SLOTS];
};
_Static_assert(sizeof(struct weir_window) == 160, "ABI");

struct weir_window_sum {
	uint32_t calls;
	uint32_t failures;
	uint32_t slow;
	uint64_t latency_us; /* of all `calls`, extrapolated from those that were timed */
	uint64_t span_ns;    /* time that the sum covers: up to window_ns */
};

/* Adds one call. window_ns 0 reads as WEIR_WINDOW_DEFAULT_NS. Lock-free. */
void weir_window_add(struct weir_window *w, uint64_t window_ns, uint64_t now_ns, bool failed, bool slow, uint64_t latency_ns);

/* Sums the slots that are still inside the window. */
struct weir_window_sum weir_window_sum(const struct weir_window *w, uint64_t window_ns, uint64_t now_ns);

/* The same, but only of the slots that began at since_ns or later: what has happened since then. */
struct weir_window_sum weir_window_since(const struct weir_window *w, uint64_t window_ns, uint64_t since_ns, uint64_t now_ns);

/* Empties the window. */
void weir_window_clear(struct weir_window *w);

#endif
