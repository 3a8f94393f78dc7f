/* SPDX-License-Identifier: MIT */
/* The segment's file: made whole by one of many, checked before use, no descriptor left, nothing left of a failure. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "segment_memory.h"

static char directory[64], path[96];
static struct weir_segment segment;
static const char *why;
static int error;
static const struct weir_geometry small = {16, 8, 8, 4};

static int enter_directory(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/weir-segment-XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/state.1", directory);
	memset(&segment, 0, sizeof segment);
	return 0;
}

static unsigned files_in_directory(void)
{
	DIR *d = opendir(directory);
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static int leave_directory(void **state)
{
	char command[128];

	(void)state;
	weir_segment_close(&segment);
	snprintf(command, sizeof command, "rm -rf %s", directory);
	return system(command) == 0 ? 0 : -1;
}

static unsigned open_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static enum weir_segment_result open_it(bool create)
{
	enum weir_segment_result result;
	unsigned before = open_descriptors();

	weir_segment_close(&segment);
	result = weir_segment_open(&segment, path, create, &small, &why, &error);
	assert_int_equal(open_descriptors(), before);
	assert_true((result == WEIR_SEGMENT_OK) == (why == NULL));
	assert_true((result == WEIR_SEGMENT_OK) == (segment.base != NULL));
	return result;
}

static ino_t inode(void)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_ino : 0;
}

static void put_file(const void *content, size_t bytes, mode_t mode)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, bytes), bytes);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void an_absent_file_is_made_only_when_asked_for(void **state)
{
	(void)state;
	assert_int_equal(open_it(false), WEIR_SEGMENT_ABSENT);
	assert_int_equal(files_in_directory(), 0);
	assert_int_equal(open_it(true), WEIR_SEGMENT_OK);
	assert_int_equal(files_in_directory(), 1);
	assert_int_equal(segment.entries, 16);
	assert_int_equal(open_it(false), WEIR_SEGMENT_OK);
}

static void the_file_is_private_and_all_its_blocks_are_there(void **state)
{
	struct stat st;

	(void)state;
	umask(0777);
	assert_int_equal(open_it(true), WEIR_SEGMENT_OK);
	umask(022);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, weir_segment_bytes(&small));
	assert_true(st.st_blocks * 512 >= st.st_size);
	assert_int_equal(st.st_nlink, 1);
}

static void what_one_process_writes_another_reads(void **state)
{
	struct weir_segment mine;
	uint32_t slot;

	(void)state;
	assert_int_equal(open_it(true), WEIR_SEGMENT_OK);
	assert_int_equal(weir_segment_open(&mine, path, false, NULL, &why, &error), WEIR_SEGMENT_OK);
	assert_ptr_not_equal(mine.base, segment.base);
	slot = weir_entry_acquire(&mine, "a:80", SECOND);
	assert_int_equal(weir_entry_find(&segment, "a:80"), slot);
	weir_segment_close(&mine);
	assert_null(mine.base);
}

static void of_eight_makers_all_get_the_same_file(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		int start[2], ready = 0, status;
		pid_t child[8];

		unlink(path);
		assert_int_equal(pipe(start), 0);
		for (uint32_t i = 0; i < 8; i++) {
			child[i] = fork();
			if (child[i] == 0) {
				char byte;

				close(start[1]);
				if (read(start[0], &byte, 1) != 0 ||
				    weir_segment_open(&segment, path, true, &small, &why, &error) != WEIR_SEGMENT_OK)
					leave(1);
				/* A file that another has replaced would lose some of these. */
				atomic_fetch_add(&segment.header->agent_pid, UINT64_C(1) << 8 * i);
				leave(0);
			}
			assert_true(child[i] > 0);
		}
		close(start[0]);
		close(start[1]);
		for (int i = 0; i < 8; i++) {
			assert_int_equal(waitpid(child[i], &status, 0), child[i]);
			ready += status == 0;
		}
		assert_int_equal(ready, 8);
		assert_int_equal(open_it(false), WEIR_SEGMENT_OK);
		assert_int_equal(segment.header->agent_pid, UINT64_C(0x0101010101010101));
		assert_int_equal(files_in_directory(), 1);
	}
}

static void make_stale(void)
{
	assert_int_equal(open_it(true), WEIR_SEGMENT_OK);
	segment.header->boot_id[3] ^= 1;
	weir_segment_close(&segment);
}

static void a_file_of_an_earlier_boot_is_stale_and_replaced_by_one_who_may_create(void **state)
{
	ino_t before;

	(void)state;
	make_stale();
	before = inode();
	assert_int_equal(open_it(false), WEIR_SEGMENT_STALE);
	assert_int_equal(inode(), before);
	assert_int_equal(open_it(true), WEIR_SEGMENT_OK);
	assert_int_equal(files_in_directory(), 1);
	assert_int_equal(open_it(false), WEIR_SEGMENT_OK);
}

static void a_file_of_an_unknown_boot_is_used(void **state)
{
	(void)state;
	assert_int_equal(open_it(true), WEIR_SEGMENT_OK);
	memset(segment.header->boot_id, 0, sizeof segment.header->boot_id);
	assert_int_equal(open_it(false), WEIR_SEGMENT_OK);
}

static void of_eight_who_find_a_stale_file_all_get_the_same_new_one(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		int start[2], status;
		pid_t child[8];

		unlink(path);
		make_stale();
		assert_int_equal(pipe(start), 0);
		for (uint32_t i = 0; i < 8; i++) {
			child[i] = fork();
			if (child[i] == 0) {
				char byte;

				close(start[1]);
				if (read(start[0], &byte, 1) != 0 ||
				    weir_segment_open(&segment, path, true, &small, &why, &error) != WEIR_SEGMENT_OK)
					_exit(1);
				atomic_fetch_add(&segment.header->agent_pid, UINT64_C(1) << 8 * i);
				leave(0);
			}
		}
		close(start[0]);
		close(start[1]);
		for (int i = 0; i < 8; i++) {
			assert_int_equal(waitpid(child[i], &status, 0), child[i]);
			assert_int_equal(status, 0);
		}
		assert_int_equal(open_it(false), WEIR_SEGMENT_OK);
		assert_int_equal(segment.header->agent_pid, UINT64_C(0x0101010101010101));
	}
}

static void nobody_waits_for_ever_for_one_who_stopped_while_replacing(void **state)
{
	uint64_t begin = monotonic_ns();
	int fd;

	(void)state;
	make_stale();
	fd = open(path, O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(open_it(true), WEIR_SEGMENT_STALE);
	assert_true(monotonic_ns() - begin < 10 * SECOND);
	assert_int_equal(weir_segment_replace(&segment, path, &small, &why, &error), WEIR_SEGMENT_FAILED);
	close(fd);
	assert_int_equal(open_it(true), WEIR_SEGMENT_OK);
}

static void a_maker_killed_at_any_moment_leaves_a_whole_file_or_none(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (int round = 0; round < 60; round++) {
		pid_t child;

		unlink(path);
		child = fork();
		if (child == 0) {
			weir_segment_open(&segment, path, true, NULL, &why, &error);
			_exit(0);
		}
		usleep((useconds_t)(random_next(&seed) % 4000));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		weir_segment_close(&segment);
		if (inode() != 0)
			assert_int_equal(weir_segment_open(&segment, path, false, NULL, &why, &error), WEIR_SEGMENT_OK);
		assert_int_equal(files_in_directory(), inode() != 0);
	}
}

static void what_is_not_our_private_regular_file_is_denied(void **state)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char other[128];
	int fd;

	(void)state;
	assert_int_equal(open_it(true), WEIR_SEGMENT_OK);
	for (mode_t mode = 0; mode < 0100; mode++) {
		if (mode == 0)
			continue;
		chmod(path, 0600 | mode);
		assert_int_equal(open_it(true), WEIR_SEGMENT_DENIED);
	}
	chmod(path, 0600);
	snprintf(other, sizeof other, "%s/other", directory);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(open_it(true), WEIR_SEGMENT_DENIED);
	assert_int_equal(error, ELOOP);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(open_it(true), WEIR_SEGMENT_DENIED);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(open_it(true), WEIR_SEGMENT_DENIED);
	assert_int_equal(weir_segment_replace(&segment, path, &small, &why, &error), WEIR_SEGMENT_DENIED);
	rmdir(path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(a.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(open_it(true), WEIR_SEGMENT_DENIED);
	close(fd);
	unlink(path);
	strcat(path, "/state.1"); /* the directory is missing */
	assert_int_equal(open_it(true), WEIR_SEGMENT_DENIED);
	assert_int_equal(open_it(false), WEIR_SEGMENT_ABSENT);
}

static void a_file_of_another_user_is_denied(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(open_it(true), WEIR_SEGMENT_OK);
	assert_int_equal(chown(path, 12345, 12345), 0);
	assert_int_equal(open_it(true), WEIR_SEGMENT_DENIED);
	assert_int_equal(weir_segment_replace(&segment, path, &small, &why, &error), WEIR_SEGMENT_DENIED);
}

static void a_directory_that_may_not_be_written_is_denied(void **state)
{
	pid_t child;
	int status;

	(void)state;
	assert_int_equal(chmod(directory, 0555), 0);
	child = fork();
	if (child == 0) {
		if (geteuid() == 0 && setuid(12345) != 0)
			_exit(2);
		_exit(weir_segment_open(&segment, path, true, &small, &why, &error) == WEIR_SEGMENT_DENIED ? 0 : 1);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

static void files_that_are_no_segment_are_invalid_and_left_alone(void **state)
{
	static const unsigned char zero[100000];
	unsigned char noise[100000];
	uint64_t seed = 1;
	struct stat st;
	ino_t before;
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (unsigned char)random_next(&seed);
	put_file("", 0, 0600);
	before = inode();
	assert_int_equal(open_it(true), WEIR_SEGMENT_INVALID);
	put_file(noise, 1, 0600);
	assert_int_equal(open_it(true), WEIR_SEGMENT_INVALID);
	put_file(noise, 256, 0600);
	assert_int_equal(open_it(true), WEIR_SEGMENT_INVALID);
	put_file(noise, sizeof noise, 0600);
	assert_int_equal(open_it(true), WEIR_SEGMENT_INVALID);
	put_file(zero, sizeof zero, 0600);
	assert_int_equal(open_it(true), WEIR_SEGMENT_INVALID);
	assert_int_equal(inode(), before);
	unlink(path);
	assert_int_equal(open_it(true), WEIR_SEGMENT_OK);
	segment.header->version = 2;
	assert_int_equal(open_it(true), WEIR_SEGMENT_INVALID);
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, &(uint32_t){1}, 4, 8), 4);
	assert_int_equal(open_it(true), WEIR_SEGMENT_OK);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(ftruncate(fd, st.st_size - 4096), 0); /* under our mapping, which nobody touches any more */
	assert_int_equal(open_it(true), WEIR_SEGMENT_INVALID);
	assert_int_equal(ftruncate(fd, st.st_size + 4096), 0);
	assert_int_equal(open_it(true), WEIR_SEGMENT_INVALID);
	close(fd);
}

static void the_holes_of_a_copy_are_filled_before_use(void **state)
{
	struct stat st;
	int fd;

	(void)state;
	assert_int_equal(open_it(true), WEIR_SEGMENT_OK);
	fd = open(path, O_RDWR);
	assert_int_equal(fstat(fd, &st), 0);
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 65536, 65536) != 0) {
		close(fd);
		skip();
	}
	assert_int_equal(open_it(false), WEIR_SEGMENT_OK);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_blocks * 512 >= st.st_size);
	close(fd);
}

static void replacing_puts_an_empty_segment_in_place_of_a_damaged_one(void **state)
{
	(void)state;
	put_file("damaged", 7, 0600);
	assert_int_equal(open_it(true), WEIR_SEGMENT_INVALID);
	assert_int_equal(weir_segment_replace(&segment, path, &small, &why, &error), WEIR_SEGMENT_OK);
	assert_null(why);
	assert_int_equal(open_it(false), WEIR_SEGMENT_OK);
	weir_entry_acquire(&segment, "a:80", SECOND);
	weir_segment_close(&segment);
	assert_int_equal(weir_segment_replace(&segment, path, &small, &why, &error), WEIR_SEGMENT_OK);
	assert_int_equal(weir_entry_find(&segment, "a:80"), WEIR_NONE);
	weir_segment_close(&segment);
	unlink(path);
	assert_int_equal(weir_segment_replace(&segment, path, &small, &why, &error), WEIR_SEGMENT_OK);
	assert_int_equal(files_in_directory(), 1);
}

static void a_full_file_system_fails_at_creation_and_leaves_nothing(void **state)
{
	(void)state;
	if (geteuid() != 0 || mount("weir-test", directory, "tmpfs", 0, "size=256k") != 0)
		skip();
	assert_int_equal(weir_segment_open(&segment, path, true, NULL, &why, &error), WEIR_SEGMENT_FULL);
	assert_int_equal(error, ENOSPC);
	assert_int_equal(files_in_directory(), 0);
	assert_int_equal(umount2(directory, MNT_DETACH), 0);
}

/* Without the library's care the kernel would end the process with SIGXFSZ. */
static void a_limit_on_file_sizes_neither_kills_the_program_nor_leaves_anything(void **state)
{
	pid_t child;
	int status;

	(void)state;
	child = fork();
	if (child == 0) {
		struct rlimit limit = {4096, 4096};

		signal(SIGXFSZ, SIG_DFL);
		setrlimit(RLIMIT_FSIZE, &limit);
		_exit(weir_segment_open(&segment, path, true, &small, &why, &error) == WEIR_SEGMENT_FULL && error == EFBIG ? 0
															   : 1);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(files_in_directory(), 0);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void no_address_space_is_an_error_that_is_told(void **state)
{
	pid_t child;
	int status;

	(void)state;
	child = fork();
	if (child == 0) {
		struct rlimit limit = {1 << 20, 1 << 20};

		setrlimit(RLIMIT_AS, &limit);
		_exit(weir_segment_open(&segment, path, true, NULL, &why, &error) == WEIR_SEGMENT_FAILED && error == ENOMEM ? 0
															    : 1);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(files_in_directory(), 0);
}
#endif

static void no_descriptor_left_is_an_error_that_is_told(void **state)
{
	pid_t child;
	int status;

	(void)state;
	child = fork();
	if (child == 0) {
		struct rlimit limit = {3, 3};

		setrlimit(RLIMIT_NOFILE, &limit);
		_exit(weir_segment_open(&segment, path, true, &small, &why, &error) == WEIR_SEGMENT_FAILED && error == EMFILE
			      ? 0
			      : 1);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

static void a_program_that_closed_its_standard_descriptors_gets_them_for_its_own_files(void **state)
{
	pid_t child;
	int status;

	(void)state;
	child = fork();
	if (child == 0) {
		struct weir_owner o;

		close(0);
		close(1);
		close(2);
		if (weir_segment_open(&segment, path, true, &small, &why, &error) != WEIR_SEGMENT_OK)
			_exit(1);
		weir_owner_self(&o);
		_exit(fcntl(0, F_GETFD) < 0 && fcntl(1, F_GETFD) < 0 && fcntl(2, F_GETFD) < 0 && open("/", O_RDONLY) == 0 ? 0
															  : 2);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

static void nothing(int signal)
{
	(void)signal;
}

static void a_busy_interval_timer_does_not_keep_a_program_from_making_it(void **state)
{
	struct itimerval fast = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = nothing};

	(void)state;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &fast, NULL);
	for (int i = 0; i < 5; i++) {
		unlink(path);
		weir_segment_close(&segment);
		if (weir_segment_open(&segment, path, true, NULL, &why, &error) != WEIR_SEGMENT_OK)
			break;
	}
	setitimer(ITIMER_REAL, &off, NULL);
	assert_null(why);
}

/* Without /proc a file without a name cannot be given one, and it is made under a temporary name. */
static void without_proc_the_file_is_made_all_the_same(void **state)
{
	char inside[128];
	pid_t child;
	int status;

	(void)state;
	if (geteuid() != 0)
		skip();
	child = fork();
	if (child == 0) {
		struct weir_owner o = {1, 1, 1};

		if (chroot(directory) != 0 || chdir("/") != 0)
			_exit(2);
		if (weir_segment_open(&segment, "/state.1", true, &small, &why, &error) != WEIR_SEGMENT_OK)
			_exit(1);
		weir_owner_self(&o);
		_exit(o.pid == (uint32_t)getpid() && o.start == 0 && o.pid_namespace == 0 ? 0 : 3);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(files_in_directory(), 1);
	snprintf(inside, sizeof inside, "%s/state.1", directory);
	assert_int_equal(open_it(false), WEIR_SEGMENT_OK);
}

static void names_are_found_without_a_directory_and_refused_when_too_long(void **state)
{
	char before[1024], *long_name;

	(void)state;
	assert_non_null(getcwd(before, sizeof before));
	assert_int_equal(chdir(directory), 0);
	assert_int_equal(weir_segment_open(&segment, "state.1", true, &small, &why, &error), WEIR_SEGMENT_OK);
	weir_segment_close(&segment);
	assert_int_equal(chdir(before), 0);
	long_name = malloc(5001);
	memset(long_name, 'x', 5000);
	long_name[5000] = '\0';
	assert_int_equal(weir_segment_open(&segment, long_name, true, &small, &why, &error), WEIR_SEGMENT_FAILED);
	assert_int_equal(error, ENAMETOOLONG);
	free(long_name);
	assert_int_equal(weir_segment_open(&segment, path, true, &(struct weir_geometry){.entries = 3}, &why, &error),
			 WEIR_SEGMENT_OK); /* it is there already, whatever geometry is wished for */
	weir_segment_close(&segment);
	unlink(path);
	assert_int_equal(weir_segment_open(&segment, path, true, &(struct weir_geometry){.entries = 3}, &why, &error),
			 WEIR_SEGMENT_FAILED);
	assert_int_equal(files_in_directory(), 0);
}

#define in_directory(test) cmocka_unit_test_setup_teardown(test, enter_directory, leave_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_directory(an_absent_file_is_made_only_when_asked_for),
		in_directory(the_file_is_private_and_all_its_blocks_are_there),
		in_directory(what_one_process_writes_another_reads),
		in_directory(of_eight_makers_all_get_the_same_file),
		in_directory(a_file_of_an_earlier_boot_is_stale_and_replaced_by_one_who_may_create),
		in_directory(a_file_of_an_unknown_boot_is_used),
		in_directory(of_eight_who_find_a_stale_file_all_get_the_same_new_one),
		in_directory(nobody_waits_for_ever_for_one_who_stopped_while_replacing),
		in_directory(a_maker_killed_at_any_moment_leaves_a_whole_file_or_none),
		in_directory(what_is_not_our_private_regular_file_is_denied),
		in_directory(a_file_of_another_user_is_denied),
		in_directory(a_directory_that_may_not_be_written_is_denied),
		in_directory(files_that_are_no_segment_are_invalid_and_left_alone),
		in_directory(the_holes_of_a_copy_are_filled_before_use),
		in_directory(replacing_puts_an_empty_segment_in_place_of_a_damaged_one),
		in_directory(a_full_file_system_fails_at_creation_and_leaves_nothing),
		in_directory(a_limit_on_file_sizes_neither_kills_the_program_nor_leaves_anything),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
		in_directory(no_address_space_is_an_error_that_is_told),
#endif
		in_directory(no_descriptor_left_is_an_error_that_is_told),
		in_directory(a_program_that_closed_its_standard_descriptors_gets_them_for_its_own_files),
		in_directory(a_busy_interval_timer_does_not_keep_a_program_from_making_it),
		in_directory(without_proc_the_file_is_made_all_the_same),
		in_directory(names_are_found_without_a_directory_and_refused_when_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
