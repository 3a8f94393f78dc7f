/* SPDX-License-Identifier: MIT */
/*
 * Histograms that take what they use. A host's durations lie in a few powers of two, and most hosts are asked a few times: a
 * whole histogram for each entry would be two thirds of the file, nearly all of it zero.
 *
 * Sixteen steps are a block. The blocks are a table of their own; beside them stands a word for each that says whose it is:
 *
 *   clearing:1 | used:1 | block of the histogram:6 | which:1 | 6 unused | slot:17 | hash of the entry's key:32
 *
 * It may stand in any of the WAYS places that it hashes to (two cache lines). Who counts looks for it there, takes a free place
 * or one whose entry is gone, and else counts the power of two alone. Two may take a place each for the same steps at the same
 * time: readers add up all they find.
 *
 * A block is emptied before its word becomes 0, so that a free one is an empty one. What if the process dies meanwhile? The word
 * says `clearing`, and whoever needs a place empties it again; two who do so at once may take counts away from the next owner, as
 * may one who counts for an entry that is just being evicted: a count more or less, never a bad access.
 */
#include "durations.h"

#include "slot_word.h"
#include "words.h"

#define WAYS     16U
#define CLEARING (UINT64_C(1) << 63)
#define USED     (UINT64_C(1) << 62)

_Static_assert(WEIR_HISTOGRAM_BLOCKS <= 1 << 6, "six bits");
_Static_assert(WEIR_ENTRIES_MAX < 1 << 17, "seventeen bits, `_other` included");
_Static_assert(sizeof(struct weir_histogram_block) % sizeof(uint64_t) == 0, "blocks are words");

static uint64_t owner_word(uint32_t slot, uint32_t hash, enum weir_durations which, size_t block)
{
	return USED | (uint64_t)block << 56 | (uint64_t)which << 55 | (uint64_t)slot << 32 | hash;
}

/* Where the word may stand: the first of WAYS places. */
static uint32_t first_place(const struct weir_segment *s, uint64_t owner)
{
	uint64_t h = owner * UINT64_C(6364136223846793005);
	uint32_t groups = s->blocks / WAYS, at;

	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	at = (uint32_t)(h >> 32);
	/* A power of two where the entries are; a division takes as long as all the rest. */
	return ((groups & (groups - 1)) == 0 ? at & (groups - 1) : at % groups) * WAYS;
}

/* The hash of the key that has the slot; `_other` is never evicted. */
static bool hash_of_slot(const struct weir_segment *s, uint32_t slot, uint32_t *hash)
{
	uint64_t w;

	*hash = 0;
	if (slot >= s->entries)
		return slot == s->entries;
	w = atomic_load_explicit(&s->index[slot], memory_order_acquire);
	*hash = slot_word_hash(w);
	return slot_word_state(w) == WEIR_SLOT_READY;
}

/* Whether the entry that the block belongs to is gone, or its emptying was not finished. */
static bool is_left(const struct weir_segment *s, uint64_t owner)
{
	uint32_t slot = (uint32_t)(owner >> 32) & ((1U << 17) - 1), hash;

	return (owner & CLEARING) != 0 || (owner & USED) == 0 || !hash_of_slot(s, slot, &hash) || hash != (uint32_t)owner;
}

/* Frees the place, whose word is `owner`. */
static void release(const struct weir_segment *s, uint32_t place, uint64_t owner)
{
	uint64_t clearing = owner | CLEARING;

	if (owner != clearing && !atomic_compare_exchange_strong(&s->block_owner[place], &owner, clearing))
		return;
	words_wipe(&s->block[place], sizeof s->block[place] / sizeof(uint64_t));
	atomic_compare_exchange_strong(&s->block_owner[place], &clearing, 0);
}

/* The block for this word: found, or taken. NULL when there is none to be had. */
static struct weir_histogram_block *block_for(const struct weir_segment *s, uint64_t owner)
{
	uint32_t first = first_place(s, owner);

	for (uint32_t i = first; i < first + WAYS; i++)
		if (atomic_load_explicit(&s->block_owner[i], memory_order_acquire) == owner)
			return &s->block[i];
	for (uint32_t i = first; i < first + WAYS; i++) {
		uint64_t seen = atomic_load_explicit(&s->block_owner[i], memory_order_acquire);

		if (seen != 0 && is_left(s, seen)) {
			release(s, i, seen);
			seen = atomic_load_explicit(&s->block_owner[i], memory_order_acquire);
		}
		if (seen == 0 && atomic_compare_exchange_strong(&s->block_owner[i], &seen, owner))
			return &s->block[i];
		if (seen == owner)
			return &s->block[i];
	}
	return NULL;
}

void weir_durations_add(const struct weir_segment *s, uint32_t slot, enum weir_durations which, uint64_t ns)
{
	size_t step = weir_histogram_step(ns);
	struct weir_histogram_block *block = NULL;
	uint32_t hash;

	if (slot > s->entries)
		return;
	if (hash_of_slot(s, slot, &hash))
		block = block_for(s, owner_word(slot, hash, which, step / WEIR_HISTOGRAM_BLOCK_STEPS));
	if (block != NULL)
		atomic_fetch_add_explicit(&block->step[step % WEIR_HISTOGRAM_BLOCK_STEPS], 1, memory_order_relaxed);
	else
		atomic_fetch_add_explicit(&s->entry[slot].durations[which].octave[step >> WEIR_HISTOGRAM_STEP_BITS], 1,
					  memory_order_relaxed);
}

/* The counts of block number b, what found no block included. */
static void read_block(const struct weir_segment *s, uint32_t slot, uint32_t hash, enum weir_durations which, size_t b,
		       uint32_t out[WEIR_HISTOGRAM_BLOCK_STEPS])
{
	uint64_t owner = owner_word(slot, hash, which, b);
	uint32_t first = first_place(s, owner);
	size_t octave = b * WEIR_HISTOGRAM_BLOCK_STEPS >> WEIR_HISTOGRAM_STEP_BITS, middle = weir_histogram_middle_of(octave);

	memset(out, 0, WEIR_HISTOGRAM_BLOCK_STEPS * sizeof *out);
	for (uint32_t i = first; i < first + WAYS; i++)
		for (size_t k = 0; k < WEIR_HISTOGRAM_BLOCK_STEPS; k++)
			if (atomic_load_explicit(&s->block_owner[i], memory_order_acquire) == owner)
				out[k] += atomic_load_explicit(&s->block[i].step[k], memory_order_relaxed);
	if (middle / WEIR_HISTOGRAM_BLOCK_STEPS == b)
		out[middle % WEIR_HISTOGRAM_BLOCK_STEPS] +=
			atomic_load_explicit(&s->entry[slot].durations[which].octave[octave], memory_order_relaxed);
}

void weir_durations_copy(const struct weir_segment *s, uint32_t slot, enum weir_durations which, struct weir_histogram_copy *out)
{
	uint32_t hash;

	memset(out, 0, sizeof *out);
	if (!hash_of_slot(s, slot, &hash))
		return;
	for (size_t b = 0; b < WEIR_HISTOGRAM_BLOCKS; b++)
		read_block(s, slot, hash, which, b, &out->step[b * WEIR_HISTOGRAM_BLOCK_STEPS]);
	weir_histogram_sum(out);
}

uint64_t weir_durations_bound_ns(const struct weir_segment *s, uint32_t slot, enum weir_durations which, uint32_t permille)
{
	uint64_t total = 0, above = 0, rest = 1000 - (permille > 1000 ? 1000 : permille);
	uint32_t count[WEIR_HISTOGRAM_BLOCK_STEPS], hash;

	if (!hash_of_slot(s, slot, &hash))
		return 0;
	for (size_t b = 0; b < WEIR_HISTOGRAM_BLOCKS; b++) {
		read_block(s, slot, hash, which, b, count);
		for (size_t k = 0; k < WEIR_HISTOGRAM_BLOCK_STEPS; k++)
			total += count[k];
	}
	for (size_t b = WEIR_HISTOGRAM_BLOCKS; b > 0 && total != 0; b--) {
		read_block(s, slot, hash, which, b - 1, count);
		for (size_t k = WEIR_HISTOGRAM_BLOCK_STEPS; k > 0; k--) {
			above += count[k - 1];
			if (above * 1000 > total * rest)
				return weir_histogram_step_ns((b - 1) * WEIR_HISTOGRAM_BLOCK_STEPS + k - 1);
		}
	}
	return 0;
}

void durations_release(const struct weir_segment *s, uint32_t slot, uint32_t hash)
{
	for (int which = 0; which < WEIR_DURATIONS; which++)
		for (size_t b = 0; b < WEIR_HISTOGRAM_BLOCKS; b++) {
			uint64_t owner = owner_word(slot, hash, (enum weir_durations)which, b);
			uint32_t first = first_place(s, owner);

			for (uint32_t i = first; i < first + WAYS; i++) {
				uint64_t seen = atomic_load_explicit(&s->block_owner[i], memory_order_relaxed);

				if ((seen & ~CLEARING) == owner)
					release(s, i, seen);
			}
		}
}
