/* SPDX-License-Identifier: MIT */
/* The summary of one run: who dies, and what stands in the file, does no harm. */
#include <dirent.h>
#include <errno.h>
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
#include <unistd.h>

#include <cmocka.h>

#include "weir/summary.h"

#define OTHERS (WEIR_SUMMARY_HOSTS + 1)

static struct weir_summary *table;
static char dir[] = "/tmp/weir-summary.XXXXXX", path[64];

static int fresh(void **state)
{
	(void)state;
	table = mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(table, MAP_FAILED);
	unlink(path);
	return 0;
}

static int gone(void **state)
{
	(void)state;
	munmap(table, sizeof *table);
	return 0;
}

static int make_dir_once(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/summary.1", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static struct weir_summary_view view_of(uint32_t row)
{
	struct weir_summary_view view;

	weir_summary_read(table, row, &view);
	return view;
}

static void a_host_has_one_row_under_its_name(void **state)
{
	uint32_t a = weir_summary_row(table, "a.test:443"), b = weir_summary_row(table, "b.test:443");
	struct weir_summary_view view;

	(void)state;
	assert_int_not_equal(a, b);
	assert_int_equal(weir_summary_row(table, "a.test:443"), a);
	assert_false(weir_summary_read(table, a, &view)); /* nothing was counted */
	weir_summary_add(table, a, WEIR_SUMMARY_ADMITTED, 2);
	weir_summary_raise(table, a, WEIR_SUMMARY_LONGEST_WAIT_US, 5);
	weir_summary_raise(table, a, WEIR_SUMMARY_LONGEST_WAIT_US, 4);
	weir_summary_refused(table, a, WEIR_CAUSE_BREAKER);
	weir_summary_refused(table, a, (enum weir_cause)1000);
	assert_true(weir_summary_read(table, a, &view));
	assert_string_equal(view.name, "a.test:443");
	assert_int_equal(view.count[WEIR_SUMMARY_ADMITTED], 2);
	assert_int_equal(view.count[WEIR_SUMMARY_LONGEST_WAIT_US], 5);
	assert_int_equal(view.refused[WEIR_CAUSE_BREAKER], 1);
	assert_int_equal(view.refused[WEIR_CAUSE_NONE], 1);
	assert_false(weir_summary_read(table, b, &view));
}

static void what_finds_no_room_is_counted_together(void **state)
{
	char name[32];
	unsigned others = 0;

	(void)state;
	for (int i = 0; i < WEIR_SUMMARY_HOSTS + 10; i++) {
		snprintf(name, sizeof name, "h%d.test:80", i);
		uint32_t row = weir_summary_row(table, name);

		assert_in_range(row, 1, OTHERS);
		others += row == OTHERS;
		weir_summary_add(table, row, WEIR_SUMMARY_ADMITTED, 1);
	}
	assert_int_equal(others, 10);
	assert_int_equal(view_of(OTHERS).count[WEIR_SUMMARY_ADMITTED], 10);
	assert_true(view_of(OTHERS).others);
	assert_string_equal(view_of(OTHERS).name, "");
}

static void a_name_that_a_death_left_out_is_written_by_the_next(void **state)
{
	uint32_t row = weir_summary_row(table, "late.test:443");

	(void)state;
	weir_summary_add(table, row, WEIR_SUMMARY_ADMITTED, 1);
	/* As if it had died after it had taken the row, and as if in the middle of the name. */
	for (size_t left = 0; left < 2; left++) {
		for (size_t i = 0; i < WEIR_SUMMARY_NAME_WORDS - left; i++)
			atomic_store(&table->row[row - 1].name[i], 0);
		assert_string_equal(view_of(row).name, "");
		assert_int_equal(weir_summary_row(table, "late.test:443"), row);
		assert_string_equal(view_of(row).name, "late.test:443");
	}
}

static void a_name_as_long_as_they_come_fits(void **state)
{
	char name[WEIR_SUMMARY_NAME_MAX + 20];

	(void)state;
	memset(name, 'x', sizeof name);
	name[WEIR_SUMMARY_NAME_MAX - 1] = '\0';
	uint32_t row = weir_summary_row(table, name);

	weir_summary_add(table, row, WEIR_SUMMARY_ADMITTED, 1);
	assert_string_equal(view_of(row).name, name);
	name[WEIR_SUMMARY_NAME_MAX - 1] = 'x';
	name[sizeof name - 1] = '\0';
	row = weir_summary_row(table, name);
	weir_summary_add(table, row, WEIR_SUMMARY_ADMITTED, 1);
	assert_int_equal(strlen(view_of(row).name), WEIR_SUMMARY_NAME_MAX - 1);
}

static void whatever_stands_in_it_nothing_is_written_beside_it(void **state)
{
	static const uint32_t rows[] = {0, OTHERS + 1, UINT32_MAX};
	struct weir_summary_view view;

	(void)state;
	memset(table, 0xff, sizeof *table);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		weir_summary_add(table, rows[i], WEIR_SUMMARY_ADMITTED, 1);
		weir_summary_raise(table, rows[i], WEIR_SUMMARY_ADMITTED, 1);
		weir_summary_refused(table, rows[i], WEIR_CAUSE_RATE);
		assert_false(weir_summary_read(table, rows[i], &view));
	}
	weir_summary_add(NULL, 1, WEIR_SUMMARY_ADMITTED, 1);
	assert_int_equal(weir_summary_row(table, "a.test:443"), OTHERS);
	for (uint32_t row = 1; row <= OTHERS; row++) {
		assert_true(weir_summary_read(table, row, &view));
		assert_true(memchr(view.name, '\0', sizeof view.name) != NULL);
	}
}

static void many_processes_that_are_killed_lose_nothing_of_what_they_counted(void **state)
{
	enum { PROCESSES = 8, EACH = 2000 };
	pid_t pid[PROCESSES];

	(void)state;
	for (int i = 0; i < PROCESSES; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			for (int n = 0; n < EACH; n++) {
				uint32_t row = weir_summary_row(table, n % 2 ? "a.test:443" : "b.test:443");

				weir_summary_add(table, row, WEIR_SUMMARY_ADMITTED, 1);
			}
			raise(9);
		}
	}
	for (int i = 0; i < PROCESSES; i++)
		waitpid(pid[i], NULL, 0);
	assert_int_equal(view_of(weir_summary_row(table, "a.test:443")).count[WEIR_SUMMARY_ADMITTED], PROCESSES * EACH / 2);
	assert_int_equal(view_of(weir_summary_row(table, "b.test:443")).count[WEIR_SUMMARY_ADMITTED], PROCESSES * EACH / 2);
}

static void a_run_inside_a_run_is_added_to_it(void **state)
{
	static struct weir_summary inner;
	uint32_t row;

	(void)state;
	memset(&inner, 0, sizeof inner);
	row = weir_summary_row(&inner, "a.test:443");
	weir_summary_add(&inner, row, WEIR_SUMMARY_ADMITTED, 3);
	weir_summary_add(&inner, row, WEIR_SUMMARY_LONGEST_WAIT_US, 7);
	weir_summary_refused(&inner, row, WEIR_CAUSE_RATE);
	weir_summary_add(&inner, OTHERS, WEIR_SUMMARY_ADMITTED, 5);
	row = weir_summary_row(table, "a.test:443");
	weir_summary_add(table, row, WEIR_SUMMARY_ADMITTED, 1);
	weir_summary_add(table, row, WEIR_SUMMARY_LONGEST_WAIT_US, 9);
	weir_summary_merge(table, &inner);
	assert_int_equal(view_of(row).count[WEIR_SUMMARY_ADMITTED], 4);
	assert_int_equal(view_of(row).count[WEIR_SUMMARY_LONGEST_WAIT_US], 9);
	assert_int_equal(view_of(row).refused[WEIR_CAUSE_RATE], 1);
	assert_int_equal(view_of(OTHERS).count[WEIR_SUMMARY_ADMITTED], 5);
}

/* ---- the file */

static unsigned descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void who_maps_it_sees_the_others_and_keeps_no_descriptor(void **state)
{
	const char *why = NULL;
	int fd, err = 0;
	struct weir_summary *mine = weir_summary_create(path, &fd, &why, &err), *other;
	unsigned before;
	struct stat st;

	(void)state;
	assert_non_null(mine);
	before = descriptors();
	other = weir_summary_open(path, &why, &err);
	assert_non_null(other);
	assert_int_equal(descriptors(), before);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	weir_summary_add(other, weir_summary_row(other, "a.test:443"), WEIR_SUMMARY_ADMITTED, 1);
	assert_int_equal(weir_summary_row(mine, "a.test:443"), weir_summary_row(other, "a.test:443"));
	assert_int_equal(atomic_load(&mine->row[weir_summary_row(mine, "a.test:443") - 1].count[WEIR_SUMMARY_ADMITTED]), 1);
	/* A second one of that name is not made. */
	assert_null(weir_summary_create(path, &(int){-1}, &why, &err));
	assert_int_equal(err, EEXIST);
	weir_summary_close(other);
	weir_summary_close(mine);
	close(fd);
}

static void only_a_file_that_nobody_has_locked_is_left_over(void **state)
{
	const char *why = NULL;
	int fd, err = 0;
	struct weir_summary *s = weir_summary_create(path, &fd, &why, &err);

	(void)state;
	assert_non_null(s);
	assert_false(weir_summary_remove_stale(path));
	close(fd);
	weir_summary_close(s);
	assert_true(weir_summary_remove_stale(path));
	assert_int_not_equal(access(path, F_OK), 0);
	assert_false(weir_summary_remove_stale(path));
}

/* Each run that begins looks for what was left over, also in the moment between the making of a file and its lock. */
static void whoever_tidies_meanwhile_it_is_made(void **state)
{
	pid_t tidier = fork();

	(void)state;
	if (tidier == 0)
		for (;;)
			weir_summary_remove_stale(path);
	for (int i = 0; i < 500; i++) {
		const char *why = NULL;
		int fd, err = 0;
		struct weir_summary *s = weir_summary_create(path, &fd, &why, &err);
		bool there = access(path, F_OK) == 0;

		unlink(path);
		if (s == NULL || !there) {
			kill(tidier, SIGKILL);
			fail_msg("the file no. %d was not made: %s, errno %d", i, why, err);
		}
		close(fd);
		weir_summary_close(s);
	}
	kill(tidier, SIGKILL);
	assert_int_equal(waitpid(tidier, NULL, 0), tidier);
}

/* Makes path a file of so many bytes, the first of which are the right ones of a summary. */
static void make_file(off_t bytes, mode_t mode, bool holes)
{
	struct weir_summary head = {.magic = WEIR_SUMMARY_MAGIC, .bytes = sizeof head};
	int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, &head, 16), 16);
	assert_int_equal(ftruncate(fd, bytes), 0);
	if (!holes)
		assert_int_equal(posix_fallocate(fd, 0, bytes), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void expect_refused(void)
{
	const char *why = NULL;
	int err = 0;

	assert_null(weir_summary_open(path, &why, &err));
	assert_non_null(why);
	assert_int_equal(unlink(path), 0);
}

static void what_is_no_summary_is_not_mapped(void **state)
{
	struct weir_summary *s;
	const char *why = NULL;
	int err = 0;

	(void)state;
	make_file(sizeof *s, 0600, false);
	s = weir_summary_open(path, &why, &err);
	assert_non_null(s);
	weir_summary_close(s);
	make_file(sizeof *s, 0644, false);
	expect_refused();
	make_file(sizeof *s - 1, 0600, false);
	expect_refused();
	make_file(sizeof *s + 1, 0600, false);
	expect_refused();
	make_file(sizeof *s, 0600, true);
	expect_refused();
	make_file(sizeof *s, 0600, false);
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	close(fd);
	expect_refused();
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_refused();
	assert_int_equal(symlink("/etc/hostname", path), 0);
	expect_refused();
	assert_null(weir_summary_open(path, &why, &err));
	assert_int_equal(err, ENOENT);
	assert_null(weir_summary_create("/no/such/directory/summary", &fd, &why, &err));
	assert_int_equal(err, ENOENT);
	weir_summary_close(NULL);
}

#define TABLE(name) cmocka_unit_test_setup_teardown(name, fresh, gone)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE(a_host_has_one_row_under_its_name),
		TABLE(what_finds_no_room_is_counted_together),
		TABLE(a_name_that_a_death_left_out_is_written_by_the_next),
		TABLE(a_name_as_long_as_they_come_fits),
		TABLE(whatever_stands_in_it_nothing_is_written_beside_it),
		TABLE(many_processes_that_are_killed_lose_nothing_of_what_they_counted),
		TABLE(a_run_inside_a_run_is_added_to_it),
		TABLE(who_maps_it_sees_the_others_and_keeps_no_descriptor),
		TABLE(only_a_file_that_nobody_has_locked_is_left_over),
		TABLE(whoever_tidies_meanwhile_it_is_made),
		TABLE(what_is_no_summary_is_not_mapped),
	};

	return cmocka_run_group_tests(tests, make_dir_once, remove_dir);
}
