/* SPDX-License-Identifier: MIT */
/*
 * SIGKILL at every store into the ledger, and at every system call that makes or replaces its file. After each: never one too
 * many goes, at most the one that was being counted is lost, the operator's word and other hosts' accounts are whole, and a
 * ledger that could not be read is never read as one of which nothing was used.
 */
#include "stepping.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "weir/ledger.h"

#define T0    UINT64_C(1795780800000) /* 2026-11-27 12:00 UTC, ms */
#define DAY   UINT64_C(86400000)
#define NAME  UINT64_C(4711)
#define LIMIT 10U

/* What the child tells: in memory of its own, so that it is no store of the ledger. */
static struct told {
	_Atomic uint32_t gone;   /* requests that went */
	_Atomic uint32_t at_set; /* the operator has spoken */
} * told;

static struct weir_ledger ledger;
static char *copy, *disk, *copy_of_disk;
static struct weir_allowances rule;
static uint64_t now_ms;
static unsigned before; /* uses before the child began */

static void to_disk(void *page, size_t bytes)
{
	memcpy(disk + ((char *)page - (char *)ledger.header), page, bytes);
}

static void no_disk(void *page, size_t bytes)
{
	(void)page;
	(void)bytes;
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
	void *memory = mmap(NULL, WEIR_LEDGER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)state;
	disk = mmap(NULL, WEIR_LEDGER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	told = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	copy = aligned_alloc(4096, (WEIR_LEDGER_BYTES + 4095) & ~(size_t)4095);
	copy_of_disk = malloc(WEIR_LEDGER_BYTES);
	if (memory == MAP_FAILED || disk == MAP_FAILED || told == MAP_FAILED || copy == NULL || copy_of_disk == NULL)
		return -1;
	memset(&ledger, 0, sizeof ledger);
	weir_ledger_format(&ledger, memory, 0);
	ledger.boot = 1;
	ledger.sync = to_disk;
	memcpy(disk, memory, WEIR_LEDGER_BYTES);
	now_ms = T0;
	before = 0;
	return 0;
}

static int over(void **state)
{
	(void)state;
	munmap(ledger.header, WEIR_LEDGER_BYTES);
	munmap(disk, WEIR_LEDGER_BYTES);
	munmap(told, 4096);
	free(copy);
	free(copy_of_disk);
	return 0;
}

static struct weir_account *account_in(const struct weir_ledger *l, uint64_t name)
{
	return weir_ledger_account(l, weir_ledger_key(name, rule.one[0].digest), &rule, 0, true, now_ms);
}

/* As the gate does: to the disk first. Whether it went. */
static bool take_in(struct weir_ledger *l, uint64_t name)
{
	for (unsigned i = 0; i < 100; i++) {
		struct weir_account *a = account_in(l, name);
		uint32_t window;
		uint64_t used, mark;

		if (a == NULL)
			return false;
		switch (weir_account_take(&a->meter, a, &rule, 0, now_ms, false, &window, &used)) {
		case WEIR_ACCOUNT_TAKEN:
			return true;
		case WEIR_ACCOUNT_UNMARKED:
			mark = weir_account_raise(a, &rule, 0, now_ms);
			(void)weir_ledger_sync(l, a);
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

static uint64_t used_in(const struct weir_ledger *l)
{
	struct weir_account *a = account_in(l, NAME);
	struct weir_account_view v;

	assert_non_null(a);
	weir_account_look(&a->meter, a, &rule, 0, now_ms, &v);
	return v.used;
}

/* So many go until nothing is left: with what has gone before never more than the limit, and one less at most for each of
 * `lost`. */
static void assert_the_rest_goes(struct weir_ledger *l, unsigned gone, unsigned lost)
{
	unsigned rest = 0;

	assert_in_range(used_in(l), gone, gone + lost);
	while (rest <= LIMIT && take_in(l, NAME))
		rest++;
	assert_in_range(gone + rest, LIMIT - lost, LIMIT);
	assert_false(take_in(l, NAME));
}

static struct weir_ledger copied(void *memory, uint64_t boot)
{
	struct weir_ledger l;

	memset(&l, 0, sizeof l);
	assert_null(weir_ledger_attach(&l, memory, WEIR_LEDGER_BYTES));
	l.boot = boot;
	l.sync = no_disk;
	return l;
}

/* A SIGKILL here, and a power cut here. */
static bool is_survived(pid_t child, long store)
{
	struct weir_ledger l;
	unsigned gone = before + told->gone;

	(void)child;
	(void)store;
	memcpy(copy, ledger.header, WEIR_LEDGER_BYTES);
	l = copied(copy, 1);
	assert_the_rest_goes(&l, gone, 1);
	memcpy(copy, disk, WEIR_LEDGER_BYTES);
	l = copied(copy, 2);
	assert_the_rest_goes(&l, gone, 2); /* what is kept ahead is one or two, as nothing lasts for less than a second here */
	return true;
}

/* All that may change: the places that the account may have, of which none is at the table's end. */
#define PLACES (32 * sizeof(struct weir_account))
static void *places(void)
{
	uint64_t first = weir_ledger_key(NAME, rule.one[0].digest) & (ledger.accounts - 1);

	assert_true(first + 32 <= ledger.accounts);
	return &ledger.account[first];
}

static void kill_at_every_store(void (*run)(void), bool (*survived)(pid_t, long), long least)
{
	struct stepped s = {.run = run, .memory = places(), .bytes = PLACES, .at_store = survived};

	told->gone = 0;
	assert_true(at_every_store(&s) >= least);
}

static void uses_one(void)
{
	now_ms += 2000;
	if (take_in(&ledger, NAME))
		atomic_fetch_add(&told->gone, 1);
}

static void uses_some(void)
{
	for (unsigned i = 0; i < 3; i++)
		uses_one();
}

static void gives_back(void)
{
	struct weir_account *a;
	uint32_t window = 0;
	uint64_t used, mark;

	for (unsigned i = 0; i < 2; i++) {
		now_ms += 2000;
		for (window = 0; window == 0;) {
			a = account_in(&ledger, NAME);
			if (weir_account_take(&a->meter, a, &rule, 0, now_ms, false, &window, &used) == WEIR_ACCOUNT_UNMARKED) {
				mark = weir_account_raise(a, &rule, 0, now_ms);
				(void)weir_ledger_sync(&ledger, a);
				weir_account_kept(a, mark);
			}
		}
		weir_account_give(&a->meter, a, &rule, 0, window);
	}
}

static void each_kind(void (*run)(void), long least)
{
	void *none = NULL;

	for (unsigned kind = 0; kind < 4; kind++) {
		if (kind != 0) {
			(void)over(&none);
			assert_int_equal(fresh(&none), 0);
		}
		per(kind % 2 == 0 ? WEIR_PER_DAY : WEIR_PER_ROLLING, kind % 2 == 0 ? 1 : 6 * 3600, LIMIT);
		if (kind >= 2) { /* an account that has been used, and is nearly spent */
			for (before = 0; before < LIMIT - 3; before++)
				assert_true(take_in(&ledger, NAME));
		}
		kill_at_every_store(run, is_survived, least);
	}
}

static void who_dies_as_it_counts_loses_one_use_at_the_most(void **state)
{
	(void)state;
	each_kind(uses_some, 8);
}

static void who_dies_as_it_gives_back_loses_one_use_at_the_most(void **state)
{
	(void)state;
	each_kind(gives_back, 8);
}

/* Of the account that is made for the key, whatever was there before, nothing is left over. */
static bool the_old_account_is_gone(pid_t child, long store)
{
	struct weir_ledger l;
	unsigned rest = 0;

	(void)child;
	(void)store;
	memcpy(copy, ledger.header, WEIR_LEDGER_BYTES);
	l = copied(copy, 1);
	while (rest <= LIMIT && take_in(&l, NAME))
		rest++;
	assert_in_range(rest + told->gone, LIMIT - 1, LIMIT);
	return true;
}

/* Its 32 places are all others', whom nobody has seen for 33 days. */
static void who_dies_as_it_gets_an_old_account_harms_nobody(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 2; kind++) {
		uint64_t key;

		if (kind != 0) {
			(void)over(state);
			assert_int_equal(fresh(state), 0);
		}
		per(kind == 0 ? WEIR_PER_DAY : WEIR_PER_ROLLING, kind == 0 ? 1 : 6 * 3600, LIMIT);
		key = weir_ledger_key(NAME, rule.one[0].digest);
		for (unsigned i = 0; i < 32; i++) {
			struct weir_account *a = &ledger.account[(key + i) & (ledger.accounts - 1)];

			a->meter.key = key + 1000 + i;
			a->meter.word = (T0 / 60000 - 40 * 1440) << 32 | 7;
			a->used_s = T0 / 1000 - 40 * 86400;
			a->mark = a->kept = a->meter.word;
			a->part[i % WEIR_ACCOUNT_PARTS] = UINT64_C(5) << 32 | 3;
		}
		kill_at_every_store(uses_some, the_old_account_is_gone, 10);
	}
}

static void operator_sets(void)
{
	struct weir_account *a = account_in(&ledger, NAME);

	weir_account_set(&a->meter, a, &rule, 0, 4, now_ms);
	(void)weir_ledger_sync(&ledger, a);
	atomic_store(&told->at_set, 1);
}

/* What was used, or what the operator said: nothing between, and nothing that holds for longer than the window. */
static bool the_operator_is_heard_or_not(pid_t child, long store)
{
	struct weir_ledger l;
	uint64_t used;

	(void)child;
	(void)store;
	memcpy(copy, ledger.header, WEIR_LEDGER_BYTES);
	l = copied(copy, 1);
	used = used_in(&l);
	if (told->at_set)
		assert_int_equal(used, 4);
	assert_true(used == 4 || used == 7 || (rule.one[0].unit == WEIR_PER_ROLLING && used <= 7 + 4));
	assert_the_rest_goes(&l, (unsigned)used, 0);
	return true;
}

static void who_dies_at_the_operator_s_word_leaves_a_count(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 2; kind++) {
		if (kind != 0) {
			(void)over(state);
			assert_int_equal(fresh(state), 0);
		}
		per(kind == 0 ? WEIR_PER_DAY : WEIR_PER_ROLLING, kind == 0 ? 1 : 6 * 3600, LIMIT);
		for (unsigned i = 0; i < 7; i++)
			assert_true(take_in(&ledger, NAME));
		kill_at_every_store(operator_sets, the_operator_is_heard_or_not, 3);
	}
}

/* A ledger that took a damaged one's place. */
static bool nothing_is_left(pid_t child, long store)
{
	struct weir_ledger l;

	(void)child;
	(void)store;
	memcpy(copy, ledger.header, WEIR_LEDGER_BYTES);
	l = copied(copy, 1);
	assert_false(take_in(&l, NAME));
	memcpy(copy, disk, WEIR_LEDGER_BYTES);
	l = copied(copy, 2);
	assert_false(take_in(&l, NAME));
	return true;
}

static void who_dies_as_it_begins_a_lost_account_leaves_nothing_to_use(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 2; kind++) {
		if (kind != 0) {
			(void)over(state);
			assert_int_equal(fresh(state), 0);
		}
		weir_ledger_format(&ledger, ledger.header, T0 / 1000);
		memcpy(disk, ledger.header, WEIR_LEDGER_BYTES);
		per(kind == 0 ? WEIR_PER_DAY : WEIR_PER_ROLLING, kind == 0 ? 1 : 6 * 3600, LIMIT);
		now_ms = T0 + 1000;
		kill_at_every_store(uses_some, nothing_is_left, 5);
		assert_int_equal(told->gone, 0);
	}
}

/* ---- two at once: one is stopped at a store, another uses one or all, and the first goes on */

static long stop_at;
static unsigned others;

static bool another_comes(pid_t child, long store)
{
	(void)child;
	if (store != stop_at)
		return true;
	for (unsigned i = 0; i < (stop_at % 2 == 0 ? 1 : LIMIT) && take_in(&ledger, NAME); i++)
		others++;
	return false;
}

static void one_is_stopped_at_any_store_while_another_counts(void **state)
{
	for (unsigned kind = 0; kind < 2; kind++) {
		long stores = 0;

		/* First nobody comes: so many stores there are. */
		for (stop_at = 0; stop_at <= stores; stop_at++) {
			struct stepped s = {.run = uses_one, .bytes = PLACES, .at_store = another_comes};
			long seen;

			(void)over(state);
			assert_int_equal(fresh(state), 0);
			per(kind == 0 ? WEIR_PER_DAY : WEIR_PER_ROLLING, kind == 0 ? 1 : 6 * 3600, LIMIT);
			for (before = 0; before < LIMIT - 2; before++)
				assert_true(take_in(&ledger, NAME));
			others = 0;
			s.memory = places();
			seen = at_every_store(&s);
			stores = stop_at == 0 ? seen : stores;
			while (take_in(&ledger, NAME))
				others++;
			assert_int_equal(before + others + told->gone, LIMIT);
			assert_int_equal(used_in(&ledger), LIMIT);
		}
		assert_true(stores >= 2);
	}
}

/* ---- the file */

static char directory[64], path[96];

static int with_directory(void **state)
{
	struct timespec t;

	(void)state;
	strcpy(directory, access("/dev/shm", W_OK) == 0 ? "/dev/shm/weir-ledger.XXXXXX" : "/tmp/weir-ledger.XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/ledger", directory);
	clock_gettime(CLOCK_REALTIME, &t);
	now_ms = (uint64_t)t.tv_sec * 1000;
	per(WEIR_PER_MONTH, 12, LIMIT);
	return 0;
}

static int without_directory(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", directory);
	return system(command) == 0 ? 0 : -1;
}

static void opens(void)
{
	const char *why;
	int err;

	memset(&ledger, 0, sizeof ledger);
	_exit(weir_ledger_open(&ledger, path, &why, &err) ? 0 : 1);
}

/* Ends it at its stop number `stop`, of which there are two for each system call. False: it has ended before. */
static bool killed_at_system_call(unsigned stop)
{
	pid_t child = stepped_start(opens);
	int status;

	for (unsigned i = 0; i < stop; i++) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
		waitpid(child, &status, 0);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			return false;
		}
	}
	stepped_end(child);
	return true;
}

static void put_file(const char *text, size_t bytes)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, bytes), (ssize_t)bytes);
	close(fd);
}

static void who_dies_as_it_makes_the_file_leaves_one_that_is_whole_or_none(void **state)
{
	(void)state;
	for (unsigned torn = 0; torn < 2; torn++) {
		unsigned stop = 1;

		for (bool went_on = true; went_on; stop++) {
			const char *why;
			int err;

			unlink(path);
			if (torn != 0)
				put_file("WEIRLGR1 torn", 13);
			went_on = killed_at_system_call(stop);
			memset(&ledger, 0, sizeof ledger);
			assert_true(weir_ledger_open(&ledger, path, &why, &err));
			/* A ledger that was damaged is never read as zero use, whoever replaces it. */
			assert_int_equal(take_in(&ledger, NAME), torn == 0);
			weir_ledger_close(&ledger);
		}
		assert_in_range(stop, 20, 1000);
	}
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fresh, over)
	const struct CMUnitTest tests[] = {
		T(who_dies_as_it_counts_loses_one_use_at_the_most),
		T(who_dies_as_it_gives_back_loses_one_use_at_the_most),
		T(who_dies_as_it_gets_an_old_account_harms_nobody),
		T(who_dies_at_the_operator_s_word_leaves_a_count),
		T(who_dies_as_it_begins_a_lost_account_leaves_nothing_to_use),
		T(one_is_stopped_at_any_store_while_another_counts),
		cmocka_unit_test_setup_teardown(who_dies_as_it_makes_the_file_leaves_one_that_is_whole_or_none, with_directory,
						without_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
