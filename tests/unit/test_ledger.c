/* SPDX-License-Identifier: MIT */
/* What was used of an allowance: never more than there is, whoever dies, and whatever the machine forgets. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "weir/ledger.h"

#define T0    UINT64_C(1795780800000) /* 2026-11-27 12:00 UTC, ms */
#define HOUR  UINT64_C(3600000)
#define DAY   (24 * HOUR)
#define NAME  UINT64_C(4711)
#define BYTES WEIR_LEDGER_BYTES

static struct weir_ledger ledger;
static struct weir_allowances rule;
static char *disk; /* what a power cut leaves */
static uint64_t now_ms;

static void to_disk(void *page, size_t bytes)
{
	memcpy(disk + ((char *)page - (char *)ledger.header), page, bytes);
}

static void per(enum weir_allowance_unit unit, uint32_t every, uint32_t limit)
{
	memset(&rule, 0, sizeof rule);
	rule.one[0] =
		(struct weir_allowance){.limit = limit, .every = every, .unit = (uint8_t)unit, .zone = (uint8_t)WEIR_ZONE_UTC};
	rule.one[0].digest = weir_allowance_digest(&rule, 0);
}

static int fresh(void **state)
{
	void *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(memory, MAP_FAILED);
	memset(&ledger, 0, sizeof ledger);
	weir_ledger_format(&ledger, memory, 0);
	ledger.boot = 1;
	ledger.sync = to_disk;
	disk = calloc(1, BYTES);
	assert_non_null(disk);
	memcpy(disk, memory, BYTES);
	now_ms = T0;
	per(WEIR_PER_DAY, 1, 100);
	return 0;
}

static int over(void **state)
{
	(void)state;
	munmap(ledger.header, BYTES);
	free(disk);
	return 0;
}

static struct weir_account *account(void)
{
	return weir_ledger_account(&ledger, weir_ledger_key(NAME, rule.one[0].digest), &rule, 0, true, now_ms);
}

/* As the gate does: to the disk first. Whether it went. */
static bool take(uint32_t *window)
{
	for (unsigned i = 0; i < 100; i++) {
		struct weir_account *a = account();
		uint64_t used, mark;

		assert_non_null(a);
		switch (weir_account_take(&a->meter, a, &rule, 0, now_ms, false, window, &used)) {
		case WEIR_ACCOUNT_TAKEN:
			return true;
		case WEIR_ACCOUNT_UNMARKED:
			mark = weir_account_raise(a, &rule, 0, now_ms);
			(void)weir_ledger_sync(&ledger, a);
			weir_account_kept(a, mark);
			break;
		case WEIR_ACCOUNT_GONE:
			break;
		default:
			return false;
		}
	}
	return false;
}

static unsigned take_all(unsigned asked)
{
	unsigned gone = 0;
	uint32_t window;

	for (unsigned i = 0; i < asked; i++)
		gone += take(&window);
	return gone;
}

static struct weir_account_view look(void)
{
	struct weir_account *a = account();
	struct weir_account_view v;

	weir_account_look(&a->meter, a, &rule, 0, now_ms, &v);
	return v;
}

static void as_many_go_in_a_window_as_the_limit_says_and_the_next_begins_anew(void **state)
{
	(void)state;
	assert_int_equal(take_all(150), 100);
	assert_true(look().spent);
	assert_int_equal(look().until_ms, T0 + 12 * HOUR);
	now_ms = T0 + 12 * HOUR - 1;
	assert_int_equal(take_all(1), 0);
	now_ms = T0 + 12 * HOUR;
	assert_int_equal(look().used, 0);
	assert_int_equal(take_all(150), 100);
}

static void what_did_not_go_is_given_back_unless_its_window_is_over(void **state)
{
	uint32_t window;
	struct weir_account *a;

	(void)state;
	assert_int_equal(take_all(99), 99);
	assert_true(take(&window));
	assert_int_equal(take_all(1), 0);
	a = account();
	weir_account_give(&a->meter, a, &rule, 0, window);
	assert_int_equal(take_all(5), 1);
	now_ms += DAY;
	assert_int_equal(take_all(100), 100);
	weir_account_give(&a->meter, a, &rule, 0, window);
	assert_int_equal(take_all(5), 0);
}

static void a_clock_that_is_set_back_begins_no_window_anew(void **state)
{
	(void)state;
	assert_int_equal(take_all(100), 100);
	now_ms = T0 + DAY;
	assert_int_equal(take_all(60), 60);
	now_ms = T0;
	assert_int_equal(take_all(150), 40);
	/* nor a clock that was a year ahead; the operator's word does */
	now_ms = T0 + 365 * DAY;
	assert_int_equal(take_all(100), 100);
	now_ms = T0 + DAY;
	assert_int_equal(take_all(1), 0);
	weir_account_set(&account()->meter, account(), &rule, 0, 0, now_ms);
	assert_int_equal(take_all(150), 100);
}

static void new_rules_of_a_zone_begin_no_window_anew(void **state)
{
	(void)state;
	rule.one[0].zone = 0;
	rule.zone[0] = (struct weir_zone){.name = "X", .change = {WEIR_ZONE_NEVER, WEIR_ZONE_NEVER}};
	assert_int_equal(take_all(100), 100);
	rule.zone[0].offset[0] = -60; /* its midnight is an hour later now */
	assert_int_equal(take_all(1), 0);
	now_ms = T0 + 12 * HOUR;
	assert_int_equal(take_all(150), 100); /* the hour that was put in is a window of its own */
}

static void a_rolling_window_sees_no_more_than_the_limit_wherever_it_begins(void **state)
{
	static uint64_t gone_at[20000];
	unsigned gone = 0, first = 0, before = 0;
	uint64_t steady_from = 0;
	uint32_t window;

	(void)state;
	per(WEIR_PER_ROLLING, 6 * 3600, 100);
	srand(7);
	for (unsigned i = 0; i < 20000; i++) {
		now_ms += (uint64_t)(rand() % 600) * 100 * (1 + (uint64_t)(i < 10000 && rand() % 50 == 0) * 200);
		if (i == 10000) {
			steady_from = now_ms;
			before = gone;
		}
		if (take(&window))
			gone_at[gone++] = now_ms;
		while (gone > 0 && first < gone && gone_at[gone - 1] - gone_at[first] >= 6 * HOUR)
			first++;
		if (gone - first > 100)
			fail_msg("%u in six hours", gone - first);
	}
	/* and what the parts cost: a twentieth at most */
	assert_true(gone - before >= (unsigned)((now_ms - steady_from) / (6 * HOUR) - 1) * 95);
}

static void a_spent_rolling_window_says_when_the_next_may_go(void **state)
{
	(void)state;
	per(WEIR_PER_ROLLING, 3600, 10);
	assert_int_equal(take_all(20), 10);
	assert_true(look().until_ms > now_ms && look().until_ms <= now_ms + HOUR * 21 / 20);
	now_ms = look().until_ms - 1;
	assert_int_equal(take_all(1), 0);
	now_ms++;
	assert_int_equal(take_all(20), 10);
}

static void what_is_left_is_spread_over_what_is_left_of_the_window(void **state)
{
	uint64_t last = 0, least = UINT64_MAX, most = 0;
	unsigned gone = 0;
	uint32_t window;

	(void)state;
	per(WEIR_PER_DAY, 1, 1000);
	rule.one[0].flags = WEIR_ALLOWANCE_SPREAD;
	now_ms = T0 - 12 * HOUR;
	while (now_ms < T0 + 12 * HOUR - 1000) {
		if (!take(&window)) {
			assert_true(look().until_ms > now_ms);
			now_ms = look().until_ms + 7; /* who wakes does so late */
			continue;
		}
		if (last) {
			least = now_ms - last < least ? now_ms - last : least;
			most = now_ms - last > most ? now_ms - last : most;
		}
		last = now_ms;
		gone++;
	}
	assert_in_range(gone, 990, 1000);
	assert_in_range(least, 86000, 86500);
	assert_in_range(most, 86000, 90000);
}

/* Who has its turn may be kept by something else at the last moment, again and again. */
static void a_turn_that_is_not_used_is_given_back_with_the_use(void **state)
{
	uint32_t window;

	(void)state;
	per(WEIR_PER_DAY, 1, 1000);
	rule.one[0].flags = WEIR_ALLOWANCE_SPREAD;
	assert_true(take(&window));
	assert_false(take(&window));
	weir_account_give(&account()->meter, account(), &rule, 0, window);
	assert_true(look().until_ms <= now_ms);
	assert_true(take(&window));
	assert_false(take(&window));
	assert_int_equal(look().used, 1);
}

static void after_a_power_cut_what_the_disk_may_not_know_of_is_taken_for_used(void **state)
{
	(void)state;
	srand(3);
	for (unsigned round = 0; round < 200; round++) {
		unsigned limit = 20 + (unsigned)rand() % 2000, gone = 0, boots = 2 + (unsigned)rand() % 4;

		(void)over(state);
		(void)fresh(state);
		if (round % 2 == 0)
			per(WEIR_PER_DAY, 1, limit);
		else
			per(WEIR_PER_ROLLING, 3600, limit);
		for (unsigned boot = 2; boot < boots; boot++) {
			uint64_t pace = 1 + (uint64_t)rand() % 400, used;
			unsigned some = (unsigned)rand() % limit;

			for (unsigned i = 0; i < some; i++) {
				gone += take_all(1);
				now_ms += (uint64_t)rand() % pace;
			}
			used = look().used;
			memcpy(ledger.header, disk, BYTES); /* all else is gone */
			ledger.boot = boot;
			/* What is lost is what was used in a second, by the pace of before. */
			assert_in_range(look().used, used, used + 4 * (1000 / (pace / 2 + 1) + 1));
		}
		gone += take_all(3000);
		assert_true(gone <= limit && look().used >= limit);
	}
}

/* Eight processes, killed at any instruction and replaced; what has gone is written down after it was counted. */
static void never_one_too_many_goes_however_many_are_killed(void **state)
{
	_Atomic uint32_t *gone = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t window;

	(void)state;
	assert_ptr_not_equal(gone, MAP_FAILED);
	for (unsigned kind = 0; kind < 2; kind++) {
		pid_t pid[8];
		unsigned kills = 0, limit = 40000;
		struct weir_account_view v;

		atomic_store(gone, 0);
		if (kind == 0)
			per(WEIR_PER_DAY, 1, limit);
		else
			per(WEIR_PER_ROLLING, 24 * 3600, limit);
		for (unsigned i = 0; i < 400; i++) {
			unsigned who = i % 8;

			if (i >= 8) {
				kill(pid[who], SIGKILL);
				assert_int_equal(waitpid(pid[who], NULL, 0), pid[who]);
				kills++;
			}
			pid[who] = fork();
			if (pid[who] == 0)
				for (unsigned k = 0;; k++) {
					if (take(&window))
						atomic_fetch_add(gone, 1);
					if (k % 64 == 63)
						usleep(100);
				}
		}
		for (unsigned i = 0; i < 8; i++) {
			kill(pid[i], SIGKILL);
			waitpid(pid[i], NULL, 0);
		}
		v = look();
		assert_true(atomic_load(gone) <= limit);
		assert_in_range(v.used, atomic_load(gone), atomic_load(gone) + kills + 8);
		assert_int_equal(take_all(limit + 1), limit - v.used);
	}
	munmap(gone, 4096);
}

static void accounts_of_many_hosts_are_told_apart_and_old_ones_are_given_to_others(void **state)
{
	struct weir_account *first = account(), *a;
	unsigned found = 0;

	(void)state;
	assert_int_equal(take_all(100), 100);
	for (uint64_t name = 1; name < 5000; name++) {
		a = weir_ledger_account(&ledger, weir_ledger_key(name, rule.one[0].digest), &rule, 0, true, now_ms);
		if (a == NULL)
			continue;
		found++;
		if (name != NAME)
			assert_ptr_not_equal(a, first);
	}
	assert_true(found >= WEIR_LEDGER_ACCOUNTS * 9 / 10);
	assert_ptr_equal(account(), first);
	/* Nobody has used them for 33 days. */
	now_ms += 33 * DAY;
	found = 0;
	for (uint64_t name = 100000; name < 101000; name++) {
		a = weir_ledger_account(&ledger, weir_ledger_key(name, rule.one[0].digest), &rule, 0, true, now_ms);
		found += a != NULL;
		if (a != NULL)
			assert_int_equal(atomic_load(&a->meter.word), 0);
	}
	assert_true(found >= 900);
}

/* Stopped for as long as one likes, and then he goes on. */
static void who_is_stopped_while_he_clears_one_comes_back_to_none_that_counts(void **state)
{
	uint64_t key = weir_ledger_key(77, rule.one[0].digest), clearing = WEIR_ACCOUNT_CLEARING;
	struct weir_account *first = weir_ledger_account(&ledger, key, &rule, 0, true, now_ms), *second;

	(void)state;
	/* As take_over does it, for the key that is looked for. */
	atomic_store(&first->meter.word, clearing);
	second = weir_ledger_account(&ledger, key, &rule, 0, true, now_ms);
	assert_non_null(second);
	assert_ptr_not_equal(second, first);
	(void)atomic_compare_exchange_strong(&first->meter.word, &clearing, 0);
	assert_ptr_equal(weir_ledger_account(&ledger, key, &rule, 0, true, now_ms), second);
	/* Nor is it anybody else's. */
	now_ms += 33 * DAY;
	for (uint64_t name = 1; name < 3000; name++)
		assert_ptr_not_equal(
			weir_ledger_account(&ledger, weir_ledger_key(name, rule.one[0].digest), &rule, 0, true, now_ms), first);
}

/* ---- the file */

static char directory[64], path[96];

static int with_directory(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/weir-ledger.XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/ledger", directory);
	per(WEIR_PER_DAY, 1, 100);
	return 0;
}

static int without_directory(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", directory);
	return system(command) == 0 ? 0 : -1;
}

static void open_ledger(const char *wrong)
{
	const char *why;
	int err;

	memset(&ledger, 0, sizeof ledger);
	if (!weir_ledger_open(&ledger, path, &why, &err))
		fail_msg("%s (%d)", why, err);
	if (wrong)
		assert_string_equal(why, wrong);
	else
		assert_null(why);
}

static void use_today(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	now_ms = (uint64_t)t.tv_sec * 1000;
}

static void what_was_counted_is_there_for_the_next_who_opens_it(void **state)
{
	struct stat st;

	(void)state;
	use_today();
	open_ledger(NULL);
	assert_int_equal(take_all(60), 60);
	weir_ledger_close(&ledger);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, BYTES);
	assert_true(st.st_blocks * 512 >= st.st_size);
	open_ledger(NULL);
	assert_int_equal(look().used, 60);
	assert_int_equal(take_all(60), 40);
	weir_ledger_close(&ledger);
}

static void damage(const char *what)
{
	int fd = open(path, O_RDWR);

	assert_true(fd >= 0);
	if (strcmp(what, "torn") == 0)
		assert_int_equal(ftruncate(fd, BYTES / 2), 0);
	else if (strcmp(what, "empty") == 0)
		assert_int_equal(ftruncate(fd, 0), 0);
	else if (strcmp(what, "foreign") == 0)
		assert_int_equal(pwrite(fd, "SQLite format 3", 16, 0), 16);
	else
		assert_int_equal(pwrite(fd, "\xff", 1, 24), 1);
	close(fd);
}

static void a_ledger_that_cannot_be_read_is_set_aside_and_nothing_is_left_until_the_next_window(void **state)
{
	static const char *const table[][2] = {
		{"torn", "it is torn: its size is not what it says"},
		{"empty", "it is torn: shorter than its header"},
		{"foreign", "it is no ledger"},
		{"flipped", "it is torn: its header's check word does not fit"},
	};
	char aside[128];

	(void)state;
	snprintf(aside, sizeof aside, "%s.bad", path);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		use_today();
		unlink(path);
		open_ledger(NULL);
		assert_int_equal(take_all(10), 10);
		weir_ledger_close(&ledger);
		damage(table[i][0]);
		open_ledger(table[i][1]);
		assert_int_equal(access(aside, F_OK), 0);
		assert_true(look().lost);
		assert_int_equal(take_all(1), 0);
		weir_ledger_close(&ledger);
		open_ledger(NULL); /* it is said once, and holds on */
		assert_int_equal(take_all(1), 0);
		now_ms = look().ends_ms;
		assert_false(look().lost);
		assert_int_equal(take_all(150), 100);
		weir_ledger_close(&ledger);
	}
	use_today();
	unlink(path);
	open_ledger(NULL);
	weir_ledger_close(&ledger);
	damage("torn");
	open_ledger(table[0][1]);
	assert_int_equal(take_all(1), 0);
	weir_account_set(&account()->meter, account(), &rule, 0, 0, now_ms);
	assert_int_equal(take_all(150), 100);
	weir_ledger_close(&ledger);
}

static void what_others_may_write_is_not_used(void **state)
{
	const char *why;
	int err;

	(void)state;
	open_ledger(NULL);
	weir_ledger_close(&ledger);
	assert_int_equal(chmod(path, 0666), 0);
	assert_false(weir_ledger_open(&ledger, path, &why, &err));
	assert_string_equal(why, "others may read or write it");
	unlink(path);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_false(weir_ledger_open(&ledger, path, &why, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(as_many_go_in_a_window_as_the_limit_says_and_the_next_begins_anew, fresh, over),
		cmocka_unit_test_setup_teardown(what_did_not_go_is_given_back_unless_its_window_is_over, fresh, over),
		cmocka_unit_test_setup_teardown(a_clock_that_is_set_back_begins_no_window_anew, fresh, over),
		cmocka_unit_test_setup_teardown(new_rules_of_a_zone_begin_no_window_anew, fresh, over),
		cmocka_unit_test_setup_teardown(a_rolling_window_sees_no_more_than_the_limit_wherever_it_begins, fresh, over),
		cmocka_unit_test_setup_teardown(a_spent_rolling_window_says_when_the_next_may_go, fresh, over),
		cmocka_unit_test_setup_teardown(what_is_left_is_spread_over_what_is_left_of_the_window, fresh, over),
		cmocka_unit_test_setup_teardown(a_turn_that_is_not_used_is_given_back_with_the_use, fresh, over),
		cmocka_unit_test_setup_teardown(after_a_power_cut_what_the_disk_may_not_know_of_is_taken_for_used, fresh, over),
		cmocka_unit_test_setup_teardown(never_one_too_many_goes_however_many_are_killed, fresh, over),
		cmocka_unit_test_setup_teardown(who_is_stopped_while_he_clears_one_comes_back_to_none_that_counts, fresh, over),
		cmocka_unit_test_setup_teardown(accounts_of_many_hosts_are_told_apart_and_old_ones_are_given_to_others, fresh,
						over),
		cmocka_unit_test_setup_teardown(what_was_counted_is_there_for_the_next_who_opens_it, with_directory,
						without_directory),
		cmocka_unit_test_setup_teardown(
			a_ledger_that_cannot_be_read_is_set_aside_and_nothing_is_left_until_the_next_window, with_directory,
			without_directory),
		cmocka_unit_test_setup_teardown(what_others_may_write_is_not_used, with_directory, without_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
