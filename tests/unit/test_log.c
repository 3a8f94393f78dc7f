/* SPDX-License-Identifier: MIT */
#include "weir/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];
static char file[96];

static int make_directory(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/weir-test-log-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(file, sizeof file, "%s/log", directory);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	weir_log_setup("off");
	unlink(file);
	rmdir(directory);
	return 0;
}

/* Points the log to `file` at this level. */
static void log_to_file(const char *level)
{
	char spec[128];

	snprintf(spec, sizeof spec, "%s:%s", level, file);
	assert_null(weir_log_setup(spec));
}

static size_t read_file(char *out, size_t size)
{
	int fd = open(file, O_RDONLY);
	ssize_t n = fd >= 0 ? read(fd, out, size - 1) : 0;

	if (fd >= 0)
		close(fd);
	out[n] = '\0';
	return (size_t)n;
}

static void what_acts_on_a_terminal_becomes_question_marks(void **state)
{
	static const struct {
		const char *text, *shown;
	} row[] = {
		{"plain", "plain"},
		{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
		{"a\033[2Jb\n\x7f", "a?[2Jb??"},
		{"\xc2\x9b"
		 "31m",
		 "??31m"}, /* CSI of C1 in UTF-8 */
		{"\x9b"
		 "31m",
		 "?31m"},                                 /* and as a byte */
		{"\xc2\xa0", "\xc2\xa0"},                 /* the first after C1 */
		{"\xe2\x80\xa8x\xe2\x80\xae", "???x???"}, /* line separator, right-to-left override */
		{"\xc0\x9b\xe0\x82\x9b", "?????"},        /* overlong */
		{"\xed\xa0\x80", "???"},                  /* surrogate */
		{"x\xe2\x82", "x??"},                     /* cut off */
		{"\xf4\x90\x80\x80\xff", "?????"},
	};
	char line[128], text[512];

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		snprintf(text, sizeof text, "%s", row[i].text);
		weir_make_printable(text, strlen(text));
		assert_string_equal(text, row[i].shown);
	}
	log_to_file("info");
	weir_log(WEIR_LOG_INFO, "%s", "h\xc2\x85ost");
	snprintf(line, sizeof line, "weir[%d]: info: h??ost\n", (int)getpid());
	read_file(text, sizeof text);
	assert_string_equal(text, line);
}

static int descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Both formatters must say the same. */
#define SAME(...)                                                                                                                \
	do {                                                                                                                     \
		char ours[256], theirs[256];                                                                                     \
		size_t length = weir_format(ours, sizeof ours, __VA_ARGS__);                                                     \
		int expected = snprintf(theirs, sizeof theirs, __VA_ARGS__);                                                     \
		assert_string_equal(ours, theirs);                                                                               \
		assert_int_equal(length, expected);                                                                              \
	} while (0)

static void it_formats_numbers_as_printf_does(void **state)
{
	(void)state;
	SAME("%d %d %d %d", 0, 1, INT_MAX, INT_MIN);
	SAME("%i %u %u", -7, 0U, UINT_MAX);
	SAME("%ld %ld %lu", LONG_MIN, LONG_MAX, ULONG_MAX);
	SAME("%lld %lld %llu", LLONG_MIN, LLONG_MAX, ULLONG_MAX);
	SAME("%zu %zd", SIZE_MAX, (ssize_t)-1);
	SAME("%x %lx %llx", 0xbeefU, 0UL, ULLONG_MAX);
}

static void it_pads_as_printf_does(void **state)
{
	(void)state;
	SAME("[%5d] [%-5d] [%05d] [%05d] [%1d]", 42, 42, 42, -42, 42);
	SAME("[%03u] [%016llx] [%2u]", 7U, 0x1234ULL, 12345U);
	SAME("[%8s] [%-8s] [%*s] [%-*s]", "abc", "abc", 6, "abc", 6, "abc");
	SAME("[%*d] [%0*d]", -6, 1, 6, 1);
}

static void it_cuts_strings_as_printf_does(void **state)
{
	(void)state;
	SAME("[%.2s] [%.0s] [%.*s] [%.*s] [%.9s]", "abc", "abc", 1, "abc", -1, "abc", "abc");
	SAME("[%6.2s] [%-6.*s]", "abc", 1, "abc");
	SAME("%c%c%% %s", 'x', 'y', "");
}

static void it_reads_no_further_than_the_precision(void **state)
{
	char out[16], unterminated[3] = {'a', 'b', 'c'};

	(void)state;
	assert_int_equal(weir_format(out, sizeof out, "%.*s", 3, unterminated), 3);
	assert_string_equal(out, "abc");
}

static void it_survives_a_null_string(void **state)
{
	char out[16];
	const char *volatile nothing = NULL;

	(void)state;
	weir_format(out, sizeof out, "%s", nothing);
	assert_string_equal(out, "(null)");
}

static void it_never_writes_past_its_buffer(void **state)
{
	char out[16];

	(void)state;
	for (size_t size = 0; size < sizeof out; size++) {
		memset(out, '#', sizeof out);
		assert_int_equal(weir_format(out, size, "%s-%08u", "abcdef", 12345U), size > 0 ? size - 1 : 0);
		for (size_t i = size; i < sizeof out; i++)
			assert_int_equal(out[i], '#');
		if (size > 0)
			assert_int_equal(out[size - 1], '\0');
	}
	assert_int_equal(weir_format(out, sizeof out, "%4096d", 1), sizeof out - 1);
}

static void it_is_off_until_asked_for(void **state)
{
	(void)state;
	for (int level = WEIR_LOG_OFF; level <= WEIR_LOG_DEBUG; level++)
		assert_false(weir_log_on((enum weir_log_level)level));
	weir_log(WEIR_LOG_ERROR, "nobody asked");
}

static void a_level_lets_through_itself_and_what_is_worse(void **state)
{
	(void)state;
	log_to_file("warn");
	assert_true(weir_log_on(WEIR_LOG_ERROR));
	assert_true(weir_log_on(WEIR_LOG_WARN));
	assert_false(weir_log_on(WEIR_LOG_INFO));
	assert_false(weir_log_on(WEIR_LOG_DEBUG));
	assert_false(weir_log_on(WEIR_LOG_OFF));
	assert_null(weir_log_setup("off"));
	assert_false(weir_log_on(WEIR_LOG_ERROR));
}

static void a_spec_that_is_wrong_is_named_and_changes_nothing(void **state)
{
	static const char *const wrong[] = {"", "loud", "warning", "WARN", "war", ":/tmp/x", "warn,file"};

	(void)state;
	log_to_file("info");
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		assert_non_null(weir_log_setup(wrong[i]));
		assert_true(weir_log_on(WEIR_LOG_INFO));
	}
}

static void a_file_name_that_is_too_long_turns_the_log_off(void **state)
{
	char spec[2000] = "info:/";

	(void)state;
	memset(spec + 6, 'x', sizeof spec - 7);
	spec[sizeof spec - 1] = '\0';
	assert_non_null(weir_log_setup(spec));
	assert_false(weir_log_on(WEIR_LOG_ERROR));
}

static void a_line_names_process_and_level(void **state)
{
	char text[512], expected[512];

	(void)state;
	log_to_file("debug");
	weir_log(WEIR_LOG_WARN, "%s: hold %u.%03u s", "example.org:443", 3U, 7U);
	weir_log(WEIR_LOG_DEBUG, "second");
	snprintf(expected, sizeof expected, "weir[%d]: warn: example.org:443: hold 3.007 s\nweir[%d]: debug: second\n", getpid(),
		 getpid());
	read_file(text, sizeof text);
	assert_string_equal(text, expected);
}

static void what_a_host_name_brings_along_stays_on_one_line(void **state)
{
	char text[512];

	(void)state;
	log_to_file("info");
	weir_log(WEIR_LOG_INFO, "%s", "evil\nweir[1]: error: forged\x1b[31m\x7f");
	read_file(text, sizeof text);
	assert_non_null(strstr(text, "evil?weir[1]: error: forged?[31m?\n"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void a_long_line_is_cut_and_still_ends(void **state)
{
	char text[4096], longer[3000];

	(void)state;
	memset(longer, 'y', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	log_to_file("info");
	weir_log(WEIR_LOG_INFO, "%s", longer);
	read_file(text, sizeof text);
	assert_true(strlen(text) < 1000);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void a_new_file_belongs_to_its_owner_alone(void **state)
{
	struct stat st;

	(void)state;
	log_to_file("info");
	weir_log(WEIR_LOG_INFO, "x");
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_relative_file_stays_where_it_was_named(void **state)
{
	char text[256];
	int here = open(".", O_RDONLY | O_DIRECTORY);

	(void)state;
	assert_int_equal(chdir(directory), 0);
	assert_null(weir_log_setup("info:log"));
	assert_int_equal(chdir("/"), 0);
	weir_log(WEIR_LOG_INFO, "found");
	assert_int_equal(fchdir(here), 0);
	close(here);
	read_file(text, sizeof text);
	assert_non_null(strstr(text, "found\n"));
}

static void errno_and_descriptors_are_as_before(void **state)
{
	int before = descriptors();

	(void)state;
	log_to_file("info");
	errno = ENOTTY;
	weir_log(WEIR_LOG_INFO, "x");
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(descriptors(), before);
	assert_null(weir_log_setup("info:/nonexistent/directory/log"));
	errno = EDOM;
	weir_log(WEIR_LOG_INFO, "goes nowhere");
	assert_int_equal(errno, EDOM);
	assert_int_equal(descriptors(), before);
}

static void a_fifo_that_nobody_reads_does_not_block(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(file, 0600), 0);
	log_to_file("info");
	weir_log(WEIR_LOG_INFO, "lost");
}

static volatile sig_atomic_t pipe_signals;

static void count_pipe_signal(int number)
{
	(void)number;
	pipe_signals++;
}

/* Runs the log against a standard error whose reader has gone. */
static void log_into_a_broken_pipe(void)
{
	int ends[2], keep = dup(2);

	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	assert_int_equal(dup2(ends[1], 2), 2);
	close(ends[1]);
	assert_null(weir_log_setup("info"));
	weir_log(WEIR_LOG_INFO, "nobody reads this");
	assert_int_equal(dup2(keep, 2), 2);
	close(keep);
}

static void a_reader_that_has_gone_does_not_kill_the_host(void **state)
{
	struct sigaction counting = {.sa_handler = count_pipe_signal}, before;
	sigset_t mask;

	(void)state;
	pipe_signals = 0;
	sigaction(SIGPIPE, &counting, &before);
	log_into_a_broken_pipe();
	assert_int_equal(pipe_signals, 0);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	assert_false(sigismember(&mask, SIGPIPE));
	sigaction(SIGPIPE, &before, NULL);
}

static void a_sigpipe_of_the_host_that_is_pending_stays_pending(void **state)
{
	sigset_t pipe_only, before, pending;
	int taken;

	(void)state;
	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
	raise(SIGPIPE);
	log_into_a_broken_pipe();
	sigpending(&pending);
	assert_true(sigismember(&pending, SIGPIPE));
	sigwait(&pipe_only, &taken);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void without_a_file_it_writes_to_standard_error(void **state)
{
	char text[256] = "";
	int ends[2], keep = dup(2);

	(void)state;
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], 2);
	assert_null(weir_log_setup("error"));
	weir_log(WEIR_LOG_ERROR, "here");
	weir_log(WEIR_LOG_WARN, "not here");
	dup2(keep, 2);
	close(keep);
	close(ends[1]);
	assert_true(read(ends[0], text, sizeof text - 1) > 0);
	close(ends[0]);
	assert_non_null(strstr(text, "error: here\n"));
	assert_null(strstr(text, "not here"));
}

static void *log_fifty_lines(void *name)
{
	for (int i = 0; i < 50; i++)
		weir_log(WEIR_LOG_INFO, "%s line %02d end", (const char *)name, i);
	return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
	static char name[4][8] = {"one", "two", "three", "four"};
	static char text[65536];
	pthread_t thread[4];
	int lines = 0;

	(void)state;
	log_to_file("info");
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, log_fifty_lines, name[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	read_file(text, sizeof text);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
		assert_memory_equal(line, "weir[", 5);
		assert_string_equal(line + strlen(line) - 4, " end");
	}
	assert_int_equal(lines, 200);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIRECTORY(what_acts_on_a_terminal_becomes_question_marks),
		cmocka_unit_test(it_is_off_until_asked_for),
		cmocka_unit_test(it_formats_numbers_as_printf_does),
		cmocka_unit_test(it_pads_as_printf_does),
		cmocka_unit_test(it_cuts_strings_as_printf_does),
		cmocka_unit_test(it_reads_no_further_than_the_precision),
		cmocka_unit_test(it_survives_a_null_string),
		cmocka_unit_test(it_never_writes_past_its_buffer),
		IN_DIRECTORY(a_level_lets_through_itself_and_what_is_worse),
		IN_DIRECTORY(a_spec_that_is_wrong_is_named_and_changes_nothing),
		IN_DIRECTORY(a_file_name_that_is_too_long_turns_the_log_off),
		IN_DIRECTORY(a_line_names_process_and_level),
		IN_DIRECTORY(what_a_host_name_brings_along_stays_on_one_line),
		IN_DIRECTORY(a_long_line_is_cut_and_still_ends),
		IN_DIRECTORY(a_new_file_belongs_to_its_owner_alone),
		IN_DIRECTORY(a_relative_file_stays_where_it_was_named),
		IN_DIRECTORY(errno_and_descriptors_are_as_before),
		IN_DIRECTORY(a_fifo_that_nobody_reads_does_not_block),
		IN_DIRECTORY(a_reader_that_has_gone_does_not_kill_the_host),
		IN_DIRECTORY(a_sigpipe_of_the_host_that_is_pending_stays_pending),
		IN_DIRECTORY(without_a_file_it_writes_to_standard_error),
		IN_DIRECTORY(lines_of_several_threads_do_not_mix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
