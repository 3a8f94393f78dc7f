/* SPDX-License-Identifier: MIT */
/* Durations: histograms that take blocks as they use them, and lose no count when there are none. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "../../src/segment/slot_word.h"
#include "segment_memory.h"

#define MS UINT64_C(1000000)

static struct weir_segment segment;
static uint64_t now;

static int open_segment(void **state)
{
	(void)state;
	segment_make(&segment, 16, 32, 16, 4);
	now = 1000 * SECOND;
	return 0;
}

static int close_segment(void **state)
{
	(void)state;
	weir_segment_close(&segment);
	return 0;
}

static uint32_t entry_of(const char *key)
{
	uint32_t slot = weir_entry_acquire(&segment, key, now);

	assert_true(slot < segment.entries);
	return slot;
}

static struct weir_histogram_copy copy_of(uint32_t slot, enum weir_durations which)
{
	struct weir_histogram_copy copy;

	weir_durations_copy(&segment, slot, which, &copy);
	return copy;
}

static unsigned blocks_in_use(void)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < segment.blocks; i++)
		n += segment.block_owner[i] != 0;
	return n;
}

static void what_is_counted_is_found_to_the_step(void **state)
{
	uint32_t a = entry_of("a:80"), b = entry_of("b:80");
	struct weir_histogram_copy copy;

	(void)state;
	for (uint64_t ms = 100; ms < 200; ms++) {
		weir_durations_add(&segment, a, WEIR_DURATIONS_LATENCY, ms * MS);
		weir_durations_add(&segment, b, WEIR_DURATIONS_LATENCY, 10 * ms * MS);
		weir_durations_add(&segment, b, WEIR_DURATIONS_WAIT, ms * MS / 100);
	}
	copy = copy_of(a, WEIR_DURATIONS_LATENCY);
	assert_int_equal(copy.count, 100);
	assert_in_range(copy.sum_us, 14950000 * 98 / 100, 14950000 * 102 / 100);
	assert_in_range(weir_histogram_quantile_ns(&copy, 500), 149 * MS * 98 / 100, 149 * MS * 102 / 100);
	assert_in_range(weir_durations_bound_ns(&segment, a, WEIR_DURATIONS_LATENCY, 500), 149 * MS * 98 / 100,
			150 * MS * 102 / 100);
	assert_int_equal(copy_of(a, WEIR_DURATIONS_WAIT).count, 0);
	assert_int_equal(weir_durations_bound_ns(&segment, a, WEIR_DURATIONS_WAIT, 990), 0);
	copy = copy_of(b, WEIR_DURATIONS_LATENCY);
	assert_in_range(weir_histogram_quantile_ns(&copy, 990), 1980 * MS * 98 / 100, 1980 * MS * 102 / 100);
	copy = copy_of(b, WEIR_DURATIONS_WAIT);
	assert_in_range(weir_histogram_quantile_ns(&copy, 1000), 1990 * MS / 1000 * 98 / 100, 1990 * MS / 1000 * 102 / 100);
}

static void a_host_takes_as_many_blocks_as_its_durations_need(void **state)
{
	uint32_t a = entry_of("a:80");

	(void)state;
	assert_int_equal(blocks_in_use(), 0);
	for (int i = 0; i < 1000; i++)
		weir_durations_add(&segment, a, WEIR_DURATIONS_LATENCY, 20 * MS);
	assert_int_equal(blocks_in_use(), 1);
	weir_durations_add(&segment, a, WEIR_DURATIONS_WAIT, 20 * MS);
	weir_durations_add(&segment, a, WEIR_DURATIONS_LATENCY, 2000 * MS);
	assert_int_equal(blocks_in_use(), 3);
}

static void without_a_block_nothing_is_lost_but_precision(void **state)
{
	struct weir_histogram_copy copy;
	uint64_t seed = 9, sum_us = 0;
	unsigned n = 0;

	(void)state;
	for (unsigned h = 0; h < 16; h++) {
		char key[16];

		snprintf(key, sizeof key, "%u:80", h);
		for (unsigned octave = 0; octave < 26; octave++)
			weir_durations_add(&segment, entry_of(key), WEIR_DURATIONS_LATENCY, UINT64_C(40000) << octave);
	}
	for (uint32_t slot = 0; slot < 16; slot++)
		assert_int_equal(copy_of(slot, WEIR_DURATIONS_LATENCY).count, 26);
	assert_int_equal(blocks_in_use(), segment.blocks);
	for (n = 0; n < 1000; n++) {
		uint64_t us = 100000 + random_next(&seed) % 300000;

		sum_us += us;
		weir_durations_add(&segment, 16, WEIR_DURATIONS_WAIT, us * 1000);
	}
	copy = copy_of(16, WEIR_DURATIONS_WAIT);
	assert_int_equal(copy.count, n);
	assert_in_range(copy.sum_us, sum_us * 2 / 3, sum_us * 4 / 3);
	assert_in_range(weir_histogram_quantile_ns(&copy, 500), 250 * MS * 2 / 3, 250 * MS * 4 / 3);
}

static void an_evicted_entry_leaves_its_blocks_empty(void **state)
{
	uint32_t a = entry_of("a:80");

	(void)state;
	weir_durations_add(&segment, a, WEIR_DURATIONS_LATENCY, 20 * MS);
	weir_durations_add(&segment, a, WEIR_DURATIONS_LATENCY, 200 * MS);
	assert_int_equal(weir_entry_sweep(&segment, 60 * SECOND, now + 100 * SECOND), 1);
	assert_int_equal(blocks_in_use(), 0);
	for (uint32_t i = 0; i < segment.blocks; i++)
		for (size_t k = 0; k < WEIR_HISTOGRAM_BLOCK_STEPS; k++)
			assert_int_equal(segment.block[i].step[k], 0);
	assert_int_equal(copy_of(a, WEIR_DURATIONS_LATENCY).count, 0);
	assert_int_equal(copy_of(entry_of("a:80"), WEIR_DURATIONS_LATENCY).count, 0);
}

static void blocks_whose_evictor_died_are_used_again(void **state)
{
	uint32_t a = entry_of("a:80"), b = entry_of("b:80");

	(void)state;
	for (unsigned octave = 0; octave < 26; octave++)
		for (unsigned half = 2; half <= 3; half++) {
			weir_durations_add(&segment, a, WEIR_DURATIONS_LATENCY, (UINT64_C(20000) << octave) * half);
			weir_durations_add(&segment, a, WEIR_DURATIONS_WAIT, (UINT64_C(20000) << octave) * half);
		}
	assert_int_equal(blocks_in_use(), segment.blocks);
	segment.index[a] = slot_word(WEIR_SLOT_CLEARING, now, 7); /* and nobody goes on */
	for (uint32_t i = 0; i < segment.blocks; i += 2)
		segment.block_owner[i] |= UINT64_C(1) << 63;
	for (unsigned octave = 0; octave < 12; octave++)
		weir_durations_add(&segment, b, WEIR_DURATIONS_LATENCY, UINT64_C(40000) << octave);
	assert_int_equal(copy_of(b, WEIR_DURATIONS_LATENCY).count, 12);
	for (size_t octave = 0; octave < WEIR_HISTOGRAM_OCTAVES; octave++)
		assert_int_equal(segment.entry[b].durations[WEIR_DURATIONS_LATENCY].octave[octave], 0);
}

static void whatever_stands_in_the_segment_nothing_is_touched_outside(void **state)
{
	uint64_t seed = 5;

	(void)state;
	entry_of("a:80");
	for (int round = 0; round < 2000; round++) {
		for (uint32_t i = 0; i < segment.blocks; i++)
			segment.block_owner[i] = random_next(&seed);
		for (uint32_t i = 0; i < 16; i++)
			segment.index[i] = random_next(&seed);
		for (uint32_t slot = 0; slot <= 17; slot++) {
			weir_durations_add(&segment, slot, WEIR_DURATIONS_WAIT, random_next(&seed) >> 20);
			copy_of(slot, WEIR_DURATIONS_WAIT);
		}
		weir_durations_add(&segment, WEIR_NONE, WEIR_DURATIONS_WAIT, 1);
	}
}

static void *count_a_thousand(void *argument)
{
	uint64_t seed = (uintptr_t)argument;

	for (int i = 0; i < 1000; i++)
		weir_durations_add(&segment, 16, WEIR_DURATIONS_LATENCY, random_next(&seed) % (4 * SECOND));
	return NULL;
}

static void many_at_once_lose_no_count(void **state)
{
	pthread_t thread[4];

	(void)state;
	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, count_a_thousand, (void *)(i + 1)), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(copy_of(16, WEIR_DURATIONS_LATENCY).count, 4000);
}

#define with_segment(test) cmocka_unit_test_setup_teardown(test, open_segment, close_segment)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_segment(what_is_counted_is_found_to_the_step),
		with_segment(a_host_takes_as_many_blocks_as_its_durations_need),
		with_segment(without_a_block_nothing_is_lost_but_precision),
		with_segment(an_evicted_entry_leaves_its_blocks_empty),
		with_segment(blocks_whose_evictor_died_are_used_again),
		with_segment(whatever_stands_in_the_segment_nothing_is_touched_outside),
		with_segment(many_at_once_lose_no_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
