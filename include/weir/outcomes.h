/* SPDX-License-Identifier: MIT */
/*
 * The outcomes of the last calls of a host, by number and not by time: for a breaker whose window is so many calls.
 *
 * A ring of words of 26 outcomes each:
 *
 *   head = generation:16 | number of the word that is written:48
 *   word = number, modulo 128:7 | outcomes in it:5 | outcome:2 x 26, the newest lowest (failed:1, slow:1)
 *
 * An outcome is one compare-and-swap of a word: who dies is in it or not. Who finds the word full moves the head on, whoever
 * filled it. A generation is the breaker's: with a new one the ring begins anew, so that what opened it is not held against the
 * host when it has closed. Who finds an old one empties the words and then moves the head; where two do so at once, calls of the
 * same moment may be lost, and no other is ever counted. Zeroed memory is an empty ring.
 */
#ifndef WEIR_OUTCOMES_H
#define WEIR_OUTCOMES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "weir/window.h"

#define WEIR_OUTCOME_WORDS 23
#define WEIR_OUTCOMES_MAX  500U /* 26 in each of 22 words, and the one that is being filled */

struct weir_outcomes {
	_Atomic uint64_t head;
	_Atomic uint64_t word[WEIR_OUTCOME_WORDS];
};
_Static_assert(sizeof(struct weir_outcomes) == 192, "ABI");

/* Adds a call of this generation (16 bits). Lock-free. */
void weir_outcomes_add(struct weir_outcomes *o, uint32_t generation, bool failed, bool slow);

/* Calls, failures and slow calls of the last `calls` of this generation (at most WEIR_OUTCOMES_MAX); the rest of the sum is 0. */
struct weir_window_sum weir_outcomes_sum(const struct weir_outcomes *o, uint32_t generation, uint32_t calls);

void weir_outcomes_clear(struct weir_outcomes *o);

#endif
