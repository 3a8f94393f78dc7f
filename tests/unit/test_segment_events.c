/* SPDX-License-Identifier: MIT */
/* The ring of events: readers see whole events in order, and holes where writers died. Also the names of kinds and causes. */
#include <ctype.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "segment_memory.h"

static struct weir_segment segment;

static int open_segment(void **state)
{
	(void)state;
	segment_make(&segment, 16, 1, 16, 1);
	return 0;
}

static int close_segment(void **state)
{
	(void)state;
	weir_segment_close(&segment);
	return 0;
}

static void write_number(uint64_t n)
{
	weir_event_write(&segment, WEIR_EVENT_RATE_CHANGED, WEIR_CAUSE_THROTTLED, "a:80", n, n + 1, n + 2, n + 3);
}

static void an_event_is_read_as_it_was_written(void **state)
{
	struct weir_event e[2];
	uint64_t next = 0;

	(void)state;
	assert_int_equal(weir_event_read(&segment, &next, e, 2), 0);
	write_number(7);
	assert_int_equal(weir_event_read(&segment, &next, e, 2), 1);
	assert_int_equal(next, 1);
	assert_int_equal(e[0].sequence, 1);
	assert_int_equal(e[0].kind, WEIR_EVENT_RATE_CHANGED);
	assert_int_equal(e[0].cause, WEIR_CAUSE_THROTTLED);
	assert_int_equal(e[0].before, 7);
	assert_int_equal(e[0].after, 8);
	assert_int_equal(e[0].until_ns, 9);
	assert_int_equal(e[0].at_ns, 10);
	assert_int_equal(e[0].pid, getpid());
	assert_string_equal(e[0].key, "a:80");
	assert_int_equal(weir_event_read(&segment, &next, e, 2), 0);
}

static void long_keys_are_cut_and_missing_ones_empty(void **state)
{
	struct weir_event e[2];
	uint64_t next = 0;
	char key[200];

	(void)state;
	memset(key, 'k', sizeof key);
	key[199] = '\0';
	weir_event_write(&segment, WEIR_EVENT_RESET, WEIR_CAUSE_OPERATOR, key, 0, 0, 0, 1);
	weir_event_write(&segment, WEIR_EVENT_RESET, WEIR_CAUSE_OPERATOR, NULL, 0, 0, 0, 1);
	assert_int_equal(weir_event_read(&segment, &next, e, 2), 2);
	assert_int_equal(strlen(e[0].key), 71);
	assert_string_equal(e[1].key, "");
}

static void a_reader_who_comes_late_gets_what_the_ring_still_holds(void **state)
{
	struct weir_event e[32];
	uint64_t next = 0;

	(void)state;
	for (uint64_t n = 0; n < 100; n++)
		write_number(n);
	assert_int_equal(weir_event_read(&segment, &next, e, 5), 5);
	assert_int_equal(e[0].before, 84);
	assert_int_equal(next, 89);
	assert_int_equal(weir_event_read(&segment, &next, e, 32), 11);
	assert_int_equal(e[10].before, 99);
	assert_int_equal(next, 100);
	next = 1000; /* of another segment */
	assert_int_equal(weir_event_read(&segment, &next, e, 32), 0);
	assert_int_equal(next, 100);
	write_number(100);
	assert_int_equal(weir_event_read(&segment, &next, e, 32), 1);
}

static void a_writer_that_died_leaves_a_hole_which_the_next_round_closes(void **state)
{
	struct weir_event e[32];
	uint64_t next = 0;

	(void)state;
	for (uint64_t n = 0; n < 5; n++)
		write_number(n);
	segment.header->event_head++; /* died before it marked its slot */
	write_number(6);
	segment.header->event_head++; /* died while it filled its slot */
	segment.event[7].sequence = UINT64_C(1) << 63 | 8;
	write_number(8);
	assert_int_equal(weir_event_read(&segment, &next, e, 32), 7);
	assert_int_equal(next, 9);
	assert_int_equal(e[5].before, 6);
	assert_int_equal(e[6].before, 8);
	for (uint64_t n = 9; n < 25; n++)
		write_number(n);
	assert_int_equal(weir_event_read(&segment, &next, e, 32), 16);
	for (uint64_t n = 9; n < 25; n++)
		assert_int_equal(e[n - 9].before, n);
}

static void a_writer_that_was_overtaken_by_a_whole_round_writes_nothing(void **state)
{
	struct weir_event e[32];
	uint64_t next = 16;

	(void)state;
	for (uint64_t n = 0; n < 32; n++)
		write_number(n);
	segment.header->event_head = 3; /* as if it had taken its number long ago */
	write_number(99);
	segment.header->event_head = 32;
	assert_int_equal(weir_event_read(&segment, &next, e, 32), 16);
	assert_int_equal(e[3].before, 19);
}

static void writers_killed_at_any_moment_never_make_a_torn_event(void **state)
{
	uint64_t seed = 1, next = 0;
	pid_t child[3] = {0, 0, 0};
	unsigned whole = 0;

	(void)state;
	for (int round = 0; round < 100; round++) {
		size_t victim = random_next(&seed) % 3;
		struct weir_event e[16];
		size_t n;

		if (child[victim] != 0) {
			kill(child[victim], SIGKILL);
			waitpid(child[victim], NULL, 0);
		}
		child[victim] = fork();
		if (child[victim] == 0)
			for (uint64_t i = 0;; i++) {
				write_number(i);
				if (i % 8 == 0)
					usleep(50);
			}
		usleep((useconds_t)(random_next(&seed) % 1000));
		n = weir_event_read(&segment, &next, e, 16);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(e[i].after, e[i].before + 1);
			assert_int_equal(e[i].until_ns, e[i].before + 2);
			assert_int_equal(e[i].at_ns, e[i].before + 3);
			assert_string_equal(e[i].key, "a:80");
			whole++;
		}
	}
	for (int i = 0; i < 3; i++)
		if (child[i] != 0) {
			kill(child[i], SIGKILL);
			waitpid(child[i], NULL, 0);
		}
	assert_int_not_equal(whole, 0);
}

static void *write_many(void *argument)
{
	for (uint64_t i = 0; i < 5000; i++)
		write_number((uintptr_t)argument * 10000 + i);
	return NULL;
}

static void threads_write_and_read_at_once(void **state)
{
	pthread_t thread[3];
	uint64_t next = 0, before;
	struct weir_event e[16];

	(void)state;
	for (uintptr_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, write_many, (void *)(i + 1)), 0);
	do {
		size_t n;

		before = next;
		n = weir_event_read(&segment, &next, e, 16);
		for (size_t i = 0; i < n; i++) {
			assert_true(e[i].sequence > before);
			assert_int_equal(e[i].kind, WEIR_EVENT_RATE_CHANGED);
		}
		usleep(20);
	} while (next < 15000);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
}

static void what_is_not_known_is_read_as_none(void **state)
{
	struct weir_event e;
	uint64_t next = 0;

	(void)state;
	/* By a newer version of weir. */
	weir_event_write(&segment, (enum weir_event_kind)WEIR_EVENT_COUNT, (enum weir_cause)UINT32_MAX, "a:80", 0, 0, 0, 1);
	assert_int_equal(weir_event_read(&segment, &next, &e, 1), 1);
	assert_int_equal(e.kind, WEIR_EVENT_NONE);
	assert_int_equal(e.cause, WEIR_CAUSE_NONE);
	assert_string_equal(e.key, "a:80");
}

static void an_event_that_was_scribbled_over_is_a_hole(void **state)
{
	struct weir_event e;

	(void)state;
	write_number(0);
	for (size_t at = 8; at < sizeof e; at++) {
		uint64_t next = 0;

		((unsigned char *)segment.event)[at] ^= 1;
		assert_int_equal(weir_event_read(&segment, &next, &e, 1), 0);
		assert_int_equal(next, 1);
		((unsigned char *)segment.event)[at] ^= 1;
		next = 0;
		assert_int_equal(weir_event_read(&segment, &next, &e, 1), 1);
	}
}

static void check_name(const char *name)
{
	assert_non_null(name);
	assert_int_not_equal(strlen(name), 0);
	for (size_t i = 0; name[i] != '\0'; i++)
		assert_true(name[i] == '_' || islower((unsigned char)name[i]));
}

static void every_kind_and_cause_has_a_name_for_machines_and_a_text_for_people(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < WEIR_EVENT_COUNT; i++) {
		check_name(weir_event_name(i));
		assert_string_not_equal(weir_event_name(i), "unknown");
		for (uint32_t j = 0; j < i; j++)
			assert_string_not_equal(weir_event_name(i), weir_event_name(j));
	}
	for (uint32_t i = 0; i < WEIR_CAUSE_COUNT; i++) {
		check_name(weir_cause_name(i));
		assert_string_not_equal(weir_cause_name(i), "unknown");
		assert_true(strchr(weir_cause_text(i), ' ') != NULL);
		for (uint32_t j = 0; j < i; j++) {
			assert_string_not_equal(weir_cause_name(i), weir_cause_name(j));
			assert_string_not_equal(weir_cause_text(i), weir_cause_text(j));
		}
	}
	assert_string_equal(weir_event_name(WEIR_EVENT_COUNT), "unknown");
	assert_string_equal(weir_cause_name(WEIR_CAUSE_COUNT), "unknown");
	assert_string_equal(weir_cause_name(WEIR_CAUSE_RETRY_AFTER), "retry_after");
	assert_string_equal(weir_cause_text(WEIR_CAUSE_BREAKER), "the breaker is open");
	assert_non_null(weir_cause_text(UINT32_MAX));
}

#define with_segment(test) cmocka_unit_test_setup_teardown(test, open_segment, close_segment)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_segment(an_event_is_read_as_it_was_written),
		with_segment(long_keys_are_cut_and_missing_ones_empty),
		with_segment(a_reader_who_comes_late_gets_what_the_ring_still_holds),
		with_segment(a_writer_that_died_leaves_a_hole_which_the_next_round_closes),
		with_segment(a_writer_that_was_overtaken_by_a_whole_round_writes_nothing),
		with_segment(writers_killed_at_any_moment_never_make_a_torn_event),
		with_segment(threads_write_and_read_at_once),
		with_segment(what_is_not_known_is_read_as_none),
		with_segment(an_event_that_was_scribbled_over_is_a_hole),
		with_segment(every_kind_and_cause_has_a_name_for_machines_and_a_text_for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
