/* SPDX-License-Identifier: MIT */
/* A log that is on does no harm to the program that it is about. */
#include "tests/harness/environment.h"
#include "tests/harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/closed_port.h"
#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/host_program.h"

#define LONG_ENOUGH_S 10

/* The last of these are refused by the breaker, which is logged. */
static int requests(const char *port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	for (int i = 0; i < 8; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0 || errno != ECONNREFUSED)
			return 1;
		close(fd);
	}
	return 0;
}

static int plain(int argc, char **argv)
{
	(void)argc;
	return requests(argv[0]);
}

/* argv[1]: a file of its own, which gets the number 2. */
static int number_two_is_data(int argc, char **argv)
{
	int fd;

	(void)argc;
	PART_CHECK(requests(argv[0]) == 0); /* with the log going where it should */
	close(STDERR_FILENO);
	fd = open(argv[1], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd != STDERR_FILENO)
		return 2;
	if (requests(argv[0]) != 0)
		return 3;
	return write(fd, "data", 4) == 4 ? 0 : 4;
}

/* Runs itself again with a full `ends[1]` as standard error. */
static int behind(const int ends[2], const char *port)
{
	static char block[4096];
	int status = -1;
	pid_t child;

	PART_CHECK(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
	while (write(ends[1], block, sizeof block) > 0 || write(ends[1], block, 1) > 0)
		;
	PART_CHECK(errno == EAGAIN && fcntl(ends[1], F_SETFL, 0) == 0);
	child = fork();
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		alarm(LONG_ENOUGH_S);
		execl("/proc/self/exe", "again", "--part", "plain", port, (char *)NULL);
		_exit(127);
	}
	PART_CHECK(waitpid(child, &status, 0) == child);
	PART_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return 0;
}

static int behind_a_full_pipe(int argc, char **argv)
{
	int ends[2];

	(void)argc;
	PART_CHECK(pipe(ends) == 0);
	return behind(ends, argv[0]);
}

static int behind_a_full_socket(int argc, char **argv)
{
	int ends[2];

	(void)argc;
	PART_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	return behind(ends, argv[0]);
}

static const struct host_part parts[] = {
	{"plain", plain},
	{"data", number_two_is_data},
	{"pipe", behind_a_full_pipe},
	{"socket", behind_a_full_socket},
};

/* `weir run` waits for the rules; a program's first request does so for a quarter of a second only. */
static void compile_first(const struct scene *scene, const char *config)
{
	char *weir = build_path("weir");
	const char *argv[] = {weir, "run", "true", NULL};
	const char *env[] = {"ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0", NULL};
	struct command c = {.argv = argv, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir, .config = config, .env = env};
	struct outcome o = command_run(&c);

	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	free(weir);
}

/* Under a rule that names the host, so that its breaker opens and there is something to log. */
static void expect(void **state, const char *part, const char *file)
{
	static char self[PATH_MAX];
	const struct scene *scene = *state;
	int fd, port = closed_port(&fd);
	char text[16], *config = write_file(scene->dir, "rule.conf",
					    "hosts = ( { match = \"127.0.0.1\"; breaker = { failures = 2; }; } );");
	const char *argv[] = {self, "--part", part, text, file, NULL};
	const char *env[] = {"WEIR_LOG=debug", NULL};
	struct command c = {.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .config = config, .env = env};
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	struct host_counts counts;
	struct outcome o;
	char key[64];

	assert_true(n > 0);
	self[n] = '\0';
	snprintf(text, sizeof text, "%d", port);
	compile_first(scene, config);
	o = command_run(&c);
	if (o.exit_status != 0)
		fail_msg("%s: exit %d, signal %d: %s", part, o.exit_status, o.signal, o.err);
	outcome_free(&o);
	counts = counts_under(scene, config, host_port_of(key, "127.0.0.1", port));
	assert_true(counts.refused > 0);
	free(config);
	close(fd);
}

static void a_full_pipe_on_standard_error_is_not_waited_for(void **state)
{
	expect(state, "pipe", NULL);
}

static void a_full_socket_on_standard_error_is_not_waited_for(void **state)
{
	expect(state, "socket", NULL);
}

static void a_file_that_has_got_the_number_of_standard_error_gets_no_line(void **state)
{
	struct scene *scene = *state;
	char path[512], *text;

	snprintf(path, sizeof path, "%s/data", scene->dir);
	expect(state, "data", path);
	text = read_file(path);
	assert_string_equal(text, "data");
	free(text);
}

/* SIGXFSZ ends a program that does not expect it. */
static void a_log_file_at_the_limit_of_file_sizes_does_not_kill_the_program(void **state)
{
	struct scene *scene = *state;
	struct quotad *q = quotad_start(scene->dir, NULL);
	char shell[1024], full[2000], *log;
	struct command c = {.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	struct outcome o;

	memset(full, 'x', sizeof full - 1);
	full[sizeof full - 1] = '\0';
	log = write_file(scene->dir, "log", full);
	/* 512 bytes or a kilobyte, as the shell has it: the file is longer than either. */
	snprintf(shell, sizeof shell, "curl -s -o /dev/null %s; ulimit -f 1; WEIR_AGENT=off WEIR_LOG=debug:%s curl -s %s",
		 quotad_url(q, "/n/1"), log, quotad_url(q, "/n/2"));
	o = command_run(&c);
	assert_int_equal(o.signal, 0);
	assert_int_equal(o.exit_status, 0);
	assert_int_equal(quotad_count(q).requests, 2);
	outcome_free(&o);
	free(log);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SCENE(a_full_pipe_on_standard_error_is_not_waited_for),
		SCENE(a_full_socket_on_standard_error_is_not_waited_for),
		SCENE(a_file_that_has_got_the_number_of_standard_error_gets_no_line),
		SCENE(a_log_file_at_the_limit_of_file_sizes_does_not_kill_the_program),
	};
	int status = host_part_run(argc, argv, parts, sizeof parts / sizeof parts[0]);

	return status >= 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
