/* SPDX-License-Identifier: MIT */
/* Entries: found and made without a lock by many at once, evicted when idle, never evicted when in use. */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../src/segment/lease_word.h"
#include "../../src/segment/slot_word.h"
#include "segment_memory.h"

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

static const char *key_number(unsigned n)
{
	static char key[32];

	snprintf(key, sizeof key, "host%u.example.org:443", n);
	return key;
}

static void fill_table(void)
{
	for (unsigned i = 0; i < 16; i++)
		assert_int_not_equal(weir_entry_acquire(&segment, key_number(i), now), segment.entries);
}

static void a_key_has_one_entry_from_its_first_use_on(void **state)
{
	uint32_t slot;
	char key[WEIR_KEY_MAX];

	(void)state;
	assert_int_equal(weir_entry_find(&segment, "a:80"), WEIR_NONE);
	slot = weir_entry_acquire(&segment, "a:80", now);
	assert_true(slot < 16);
	assert_int_equal(weir_entry_acquire(&segment, "a:80", now + 1), slot);
	assert_int_equal(weir_entry_find(&segment, "a:80"), slot);
	assert_int_not_equal(weir_entry_acquire(&segment, "a:81", now), slot);
	assert_true(weir_entry_is(&segment, slot, "a:80"));
	assert_false(weir_entry_is(&segment, slot, "a:81"));
	assert_false(weir_entry_is(&segment, slot, ""));
	assert_false(weir_entry_is(&segment, 17, "a:80"));
	assert_false(weir_entry_is(&segment, WEIR_NONE, "a:80"));
	assert_true(weir_entry_key(&segment, slot, key));
	assert_string_equal(key, "a:80");
	assert_false(weir_entry_key(&segment, 17, key));
	assert_string_equal(key, "");
}

static void keys_of_every_length_are_kept_apart(void **state)
{
	char key[WEIR_KEY_MAX + 8], found[WEIR_KEY_MAX];
	struct weir_segment s;

	(void)state;
	segment_make(&s, 1024, 1, 2, 1);
	memset(key, 'x', sizeof key);
	for (size_t n = 1; n < WEIR_KEY_MAX; n++) {
		uint32_t slot;

		key[n] = '\0';
		assert_int_equal(weir_entry_find(&s, key), WEIR_NONE);
		slot = weir_entry_acquire(&s, key, now);
		assert_true(slot < 1024);
		assert_true(weir_entry_key(&s, slot, found));
		assert_string_equal(found, key);
		key[n] = 'x';
	}
	key[WEIR_KEY_MAX] = '\0';
	assert_int_equal(weir_entry_acquire(&s, key, now), 1024); /* too long */
	assert_int_equal(weir_entry_find(&s, key), WEIR_NONE);
	assert_int_equal(weir_entry_acquire(&s, "", now), 1024);
	weir_segment_close(&s);
}

static void when_all_entries_are_in_use_requests_share_the_overflow(void **state)
{
	char key[WEIR_KEY_MAX];

	(void)state;
	fill_table();
	assert_int_equal(weir_entry_acquire(&segment, "one.more:80", now), 16);
	assert_int_equal(weir_entry_find(&segment, "one.more:80"), WEIR_NONE);
	assert_int_equal(weir_entry_acquire(&segment, "_other", now), 16);
	assert_int_equal(weir_entry_find(&segment, "_other"), 16);
	assert_true(weir_entry_is(&segment, 16, "one.more:80"));
	assert_true(weir_entry_key(&segment, 16, key));
	assert_string_equal(key, "_other");
	assert_int_equal(segment.entry[16].used_ns, now);
}

static void the_longest_idle_entry_gives_way_and_leaves_zeroed_memory(void **state)
{
	uint32_t slot;

	(void)state;
	fill_table();
	for (unsigned i = 0; i < 16; i++)
		weir_entry_acquire(&segment, key_number(i), now + (i == 5 ? 10 : 20 + i) * SECOND);
	slot = weir_entry_find(&segment, key_number(5));
	segment.entry[slot].set_burst = 3;
	segment.entry[slot].durations[1].octave[7] = 3;
	atomic_store(&segment.entry[slot].refusal.state[WEIR_REFUSAL_WORDS - 1], 3);
	now += 95 * SECOND;
	assert_int_equal(weir_entry_acquire(&segment, "n:80", now), slot);
	assert_int_equal(weir_entry_find(&segment, key_number(5)), WEIR_NONE);
	for (unsigned i = 0; i < 16; i++)
		if (i != 5)
			assert_int_not_equal(weir_entry_find(&segment, key_number(i)), WEIR_NONE);
	assert_int_equal(segment.entry[slot].used_ns, now);
	segment.entry[slot].used_ns = 0;
	memset(segment.entry[slot].key, 0, 4);
	for (size_t i = 0; i < sizeof(struct weir_entry); i++)
		assert_int_equal(((unsigned char *)&segment.entry[slot])[i], 0);
}

static void remember(uint32_t slot, int what)
{
	struct weir_entry *e = &segment.entry[slot];

	switch (what) {
	case 0:
		e->hold.until_ns = now + 3000 * SECOND;
		break;
	case 1:
		e->set_rate = 1;
		break;
	case 2:
		e->set_concurrency = 1;
		e->set_until_ns = now + 3000 * SECOND;
		break;
	case 3:
		weir_breaker_force(&e->breaker, WEIR_BREAKER_FORCED_OPEN, now);
		break;
	case 4:
		e->breaker.word = (uint64_t)WEIR_BREAKER_OPEN << 62;
		assert_int_equal(weir_breaker_view(&e->breaker, &(struct weir_breaker_params){.failures = 1}, now).state,
				 WEIR_BREAKER_OPEN);
		break;
	case 5:
	case 6:
	case 7: {
		uint32_t scopes[WEIR_SCOPES] = {WEIR_NONE, WEIR_NONE, WEIR_NONE, WEIR_NONE, WEIR_NONE}, tag;
		struct weir_owner o = {.pid = 1, .pid_namespace = 1};

		scopes[what - 5] = slot;
		assert_int_not_equal(weir_lease_claim(&segment, &o, 0, WEIR_NONE, scopes, 0, now, &tag), WEIR_NONE);
	}
	}
}

static void what_must_be_remembered_is_not_evicted(void **state)
{
	(void)state;
	fill_table();
	for (int i = 0; i < 8; i++)
		remember(weir_entry_find(&segment, key_number((unsigned)i)), i);
	now += 600 * SECOND;
	for (unsigned i = 100; i < 108; i++) /* takes the place of the other eight */
		assert_int_not_equal(weir_entry_acquire(&segment, key_number(i), now), 16);
	assert_int_equal(weir_entry_acquire(&segment, key_number(108), now), 16);
	for (unsigned i = 0; i < 8; i++)
		assert_int_not_equal(weir_entry_find(&segment, key_number(i)), WEIR_NONE);
	assert_int_equal(weir_entry_sweep(&segment, 0, now), 8);
}

/* Its entries are not known until it is filled in, so it may be in any of them: whoever claims a lease needs no fence beside. */
static void nothing_is_evicted_while_a_lease_is_being_filled_in(void **state)
{
	uint32_t scopes[WEIR_SCOPES] = {WEIR_NONE, WEIR_NONE, WEIR_NONE, WEIR_NONE, WEIR_NONE}, tag, lease;
	struct weir_owner o = {.pid = 1, .pid_namespace = 1};

	(void)state;
	fill_table();
	lease = weir_lease_claim(&segment, &o, 0, WEIR_NONE, scopes, 0, now, &tag);
	assert_int_not_equal(lease, WEIR_NONE);
	now += 600 * SECOND;
	atomic_store(&segment.lease[lease].word, lease_word(o.pid, tag, lease_second(now), WEIR_LEASE_CLAIMED));
	assert_int_equal(weir_entry_sweep(&segment, 60 * SECOND, now), 0);
	/* Who died in it keeps nothing, reaped or not. */
	assert_int_equal(weir_entry_sweep(&segment, 60 * SECOND, now + 3 * SECOND), 16);
}

static void what_is_over_is_evicted(void **state)
{
	(void)state;
	fill_table();
	for (int i = 0; i < 5; i++)
		remember(weir_entry_find(&segment, key_number((unsigned)i)), i);
	now += 4000 * SECOND; /* the hold and the timed override are over, the open breaker was not asked for an hour */
	assert_int_equal(weir_entry_sweep(&segment, 60 * SECOND, now), 14);
	assert_int_not_equal(weir_entry_find(&segment, key_number(1)), WEIR_NONE);
	assert_int_not_equal(weir_entry_find(&segment, key_number(3)), WEIR_NONE);
}

static void times_that_cannot_be_do_not_keep_an_entry(void **state)
{
	(void)state;
	fill_table();
	for (uint32_t slot = 0; slot < 16; slot++) {
		segment.entry[slot].used_ns = UINT64_MAX;
		segment.entry[slot].hold.until_ns = UINT64_MAX;
	}
	assert_int_not_equal(weir_entry_acquire(&segment, "n:80", now), 16);
}

static void a_sweep_frees_what_nobody_used_for_the_given_time(void **state)
{
	(void)state;
	weir_entry_acquire(&segment, "old:80", now);
	weir_entry_acquire(&segment, "young:80", now + 50 * SECOND);
	assert_int_equal(weir_entry_sweep(&segment, 60 * SECOND, now + 70 * SECOND), 1);
	assert_int_equal(weir_entry_find(&segment, "old:80"), WEIR_NONE);
	assert_int_not_equal(weir_entry_find(&segment, "young:80"), WEIR_NONE);
}

static void entries_of_a_run_that_is_over_go_early(void **state)
{
	char mine[64], reused[64], ended[64], odd[64];
	struct weir_owner o;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
	weir_owner_self(&o);
	snprintf(mine, sizeof mine, "@%u.%llu/a:80", o.pid, (unsigned long long)o.start);
	snprintf(reused, sizeof reused, "@%u.%llu/a:80", o.pid, (unsigned long long)o.start + 1);
	snprintf(ended, sizeof ended, "@%d.5/a:80", child);
	snprintf(odd, sizeof odd, "@%d/a:80", child);
	/* with the run's limits in their overrides, as the gate writes them */
	segment.entry[weir_entry_acquire(&segment, mine, now)].set_rate = WEIR_RATE_ONE;
	segment.entry[weir_entry_acquire(&segment, reused, now)].set_rate = WEIR_RATE_ONE;
	segment.entry[weir_entry_acquire(&segment, ended, now)].set_concurrency = 3;
	weir_entry_acquire(&segment, odd, now);
	weir_entry_acquire(&segment, "@99999999999999999999.1/a:80", now);
	weir_entry_acquire(&segment, "@0.1/a:80", now);
	weir_entry_acquire(&segment, "a:80", now);
	assert_int_equal(weir_entry_sweep(&segment, 600 * SECOND, now + 5 * SECOND), 0);
	assert_int_equal(weir_entry_sweep(&segment, 600 * SECOND, now + 20 * SECOND), 2);
	assert_int_equal(weir_entry_find(&segment, reused), WEIR_NONE);
	assert_int_equal(weir_entry_find(&segment, ended), WEIR_NONE);
	assert_int_not_equal(weir_entry_find(&segment, mine), WEIR_NONE);
}

static uint32_t home_of(const char *key)
{
	uint32_t slot = weir_entry_acquire(&segment, key, now);

	segment.index[slot] = 0;
	memset(segment.entry[slot].key, 0, WEIR_KEY_MAX);
	return slot;
}

static void a_slot_whose_maker_died_is_taken_over_after_two_seconds(void **state)
{
	static const enum weir_slot_state left[] = {WEIR_SLOT_CLAIMED, WEIR_SLOT_CLEARING};

	(void)state;
	for (int i = 0; i < 2; i++) {
		uint32_t slot = home_of("a:80");
		uint32_t hash = slot; /* of another key that belongs into the same slot */

		memcpy(segment.entry[slot].key, "half a k", 8);
		segment.entry[slot].set_rate = 77;
		segment.index[slot] = slot_word(left[i], now, hash);
		assert_int_not_equal(weir_entry_acquire(&segment, "a:80", now), slot);
		segment.index[weir_entry_find(&segment, "a:80")] = 0;
		assert_int_not_equal(weir_entry_acquire(&segment, "a:80", now + SECOND), slot);
		segment.index[weir_entry_find(&segment, "a:80")] = 0;
		assert_int_equal(weir_entry_acquire(&segment, "a:80", now + 2 * SECOND), slot);
		assert_int_equal(segment.entry[slot].set_rate, 0);
		assert_int_equal(weir_entry_find(&segment, "a:80"), slot);
		segment.index[slot] = 0;
		now += 100 * SECOND;
	}
}

static void nobody_waits_longer_than_a_moment_for_a_maker_that_stopped(void **state)
{
	uint32_t home = home_of("a:80"), slot;
	uint64_t hash, begin;

	(void)state;
	slot = weir_entry_acquire(&segment, "a:80", now);
	assert_int_equal(slot, home);
	hash = segment.index[slot] & UINT32_MAX;
	segment.index[slot] = slot_word(WEIR_SLOT_CLAIMED, now, (uint32_t)hash);
	begin = monotonic_ns();
	slot = weir_entry_acquire(&segment, "a:80", now);
	assert_true(monotonic_ns() - begin < SECOND);
	assert_int_not_equal(slot, home);
	/* The stopped one goes on: both have made it, and the first in order counts for all. */
	memcpy(segment.entry[home].key, "a:80", 5);
	segment.index[home] = slot_word(WEIR_SLOT_READY, now, (uint32_t)hash);
	assert_int_equal(weir_entry_find(&segment, "a:80"), home);
	assert_int_equal(weir_entry_acquire(&segment, "a:80", now), home);
}

static void a_key_that_does_not_match_its_hash_is_not_shown(void **state)
{
	char key[WEIR_KEY_MAX];
	uint32_t slot = weir_entry_acquire(&segment, "a:80", now);

	(void)state;
	segment.entry[slot].key[0] = 'b';
	assert_false(weir_entry_key(&segment, slot, key));
	assert_string_equal(key, "");
	memset(segment.entry[slot].key, 'x', WEIR_KEY_MAX);
	assert_false(weir_entry_key(&segment, slot, key));
	assert_int_equal(weir_entry_find(&segment, "a:80"), WEIR_NONE);
}

struct seen {
	_Atomic uint32_t slot[8][12];
	_Atomic int made; /* processes that have asked for every key once */
};

static void eight_processes_agree_on_the_entries_of_the_same_keys(void **state)
{
	struct seen *seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)state;
	for (int round = 0; round < 30; round++) {
		int start[2], status;
		pid_t child[8];

		weir_segment_close(&segment);
		segment_make(&segment, 16, 32, 16, 4);
		assert_int_equal(pipe(start), 0);
		for (int i = 0; i < 8; i++) {
			child[i] = fork();
			if (child[i] == 0) {
				char byte;

				close(start[1]);
				if (read(start[0], &byte, 1) != 0)
					_exit(1);
				/* Who meets a maker that the scheduler has just stopped gives up on it after a millisecond
				 * and makes the key elsewhere. Once all makers are through, everybody uses the first. */
				for (unsigned k = 0; k < 12; k++)
					weir_entry_acquire(&segment, key_number(k), now);
				atomic_fetch_add(&seen->made, 1);
				while (atomic_load(&seen->made) < 8 * (round + 1))
					sched_yield();
				for (unsigned k = 0; k < 12; k++)
					seen->slot[i][k] = weir_entry_acquire(&segment, key_number(k), now);
				_exit(0);
			}
		}
		close(start[0]);
		close(start[1]);
		for (int i = 0; i < 8; i++) {
			waitpid(child[i], &status, 0);
			assert_int_equal(status, 0);
		}
		for (unsigned k = 0; k < 12; k++)
			for (int i = 0; i < 8; i++)
				assert_int_equal(seen->slot[i][k], weir_entry_find(&segment, key_number(k)));
	}
	munmap(seen, sizeof *seen);
}

static void makers_killed_at_any_moment_block_nobody(void **state)
{
	uint64_t seed = 3, later = now;

	(void)state;
	for (int round = 0; round < 100; round++) {
		pid_t child = fork();

		if (child == 0)
			for (unsigned i = 0;; i++) {
				weir_entry_acquire(&segment, key_number(i % 40), later + i * 30 * SECOND);
				if (i % 16 == 0)
					weir_entry_sweep(&segment, 0, later + i * 30 * SECOND);
			}
		usleep((useconds_t)(random_next(&seed) % 2000));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	/* Whatever they left: some hours later every slot can be used again. */
	for (uint32_t slot = 0; slot < 16; slot++) {
		uint64_t used = segment.entry[slot].used_ns;

		if (used > later)
			later = used;
	}
	later += 7200 * SECOND;
	weir_entry_sweep(&segment, 60 * SECOND, later);
	for (unsigned i = 100; i < 116; i++)
		assert_int_not_equal(weir_entry_acquire(&segment, key_number(i), later), 16);
}

static void *use_and_sweep(void *argument)
{
	uint64_t seed = (uintptr_t)argument;
	char found[WEIR_KEY_MAX];

	for (unsigned i = 0; i < 3000; i++) {
		char key[32];
		uint32_t slot;

		snprintf(key, sizeof key, "%u:80", (unsigned)(random_next(&seed) % 40));
		slot = weir_entry_acquire(&segment, key, now);
		if (slot > 16)
			return "an index out of range";
		weir_entry_is(&segment, slot, key);
		if (weir_entry_key(&segment, slot, found) && slot < 16 && strchr(found, ':') == NULL)
			return "a key of two halves";
		weir_entry_find(&segment, key);
		if (i % 32 == 0)
			weir_entry_sweep(&segment, 0, now + 10 * SECOND);
	}
	return NULL;
}

static void threads_that_make_and_sweep_at_once_see_whole_keys(void **state)
{
	pthread_t thread[4];

	(void)state;
	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, use_and_sweep, (void *)(i + 1)), 0);
	for (int i = 0; i < 4; i++) {
		void *wrong;

		pthread_join(thread[i], &wrong);
		if (wrong != NULL)
			fail_msg("%s", (const char *)wrong);
	}
}

static void a_wake_reaches_the_waiters_of_another_process(void **state)
{
	uint32_t slot = weir_entry_acquire(&segment, "a:80", now), seen;
	struct weir_entry *e = &segment.entry[slot];
	pid_t child;
	int status;

	(void)state;
	seen = e->changes;
	child = fork();
	if (child == 0) {
		struct timespec limit = {20, 0};

		atomic_store(&e->waiting, 1);
		while (atomic_load(&e->changes) == seen)
			if (syscall(SYS_futex, &e->changes, FUTEX_WAIT, seen, &limit, NULL, 0) != 0 &&
			    atomic_load(&e->changes) == seen)
				_exit(1);
		_exit(0);
	}
	while (atomic_load(&e->waiting) == 0)
		sched_yield();
	weir_entry_wake(&segment, slot);
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(e->changes, seen + 1);
	weir_entry_wake(&segment, 17); /* out of range: nothing */
	weir_entry_wake(&segment, WEIR_NONE);
	weir_entry_wake(&segment, 16);
	assert_int_equal(segment.entry[16].changes, 0); /* nobody waits, nothing to tell */
	atomic_store(&segment.entry[16].waiting, 1);
	weir_entry_wake(&segment, 16);
	assert_int_equal(segment.entry[16].changes, 1);
}

#define with_segment(test) cmocka_unit_test_setup_teardown(test, open_segment, close_segment)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_segment(a_key_has_one_entry_from_its_first_use_on),
		with_segment(keys_of_every_length_are_kept_apart),
		with_segment(when_all_entries_are_in_use_requests_share_the_overflow),
		with_segment(the_longest_idle_entry_gives_way_and_leaves_zeroed_memory),
		with_segment(what_must_be_remembered_is_not_evicted),
		with_segment(nothing_is_evicted_while_a_lease_is_being_filled_in),
		with_segment(what_is_over_is_evicted),
		with_segment(times_that_cannot_be_do_not_keep_an_entry),
		with_segment(a_sweep_frees_what_nobody_used_for_the_given_time),
		with_segment(entries_of_a_run_that_is_over_go_early),
		with_segment(a_slot_whose_maker_died_is_taken_over_after_two_seconds),
		with_segment(nobody_waits_longer_than_a_moment_for_a_maker_that_stopped),
		with_segment(a_key_that_does_not_match_its_hash_is_not_shown),
		with_segment(eight_processes_agree_on_the_entries_of_the_same_keys),
		with_segment(makers_killed_at_any_moment_block_nobody),
		with_segment(threads_that_make_and_sweep_at_once_see_whole_keys),
		with_segment(a_wake_reaches_the_waiters_of_another_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
