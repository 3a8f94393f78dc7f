/* SPDX-License-Identifier: MIT */
/* Another preloaded library that lies to the program: what weir shares with other processes stays true. */
#include "tests/harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness/environment.h"
#include "tests/integration/closed_port.h"
#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/host_program.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static char preload[2048];

/* LD_PRELOAD with both. */
static const char *both(void)
{
	char *weir = build_path("libweir.so"), *foreign = build_path("tests/foreign.so");

	snprintf(preload, sizeof preload, "LD_PRELOAD=%s:%s", weir, foreign);
	free(weir);
	free(foreign);
	return preload;
}

static void skip_when_instrumented(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip(); /* the sanitizer's runtime wants to be the first */
#endif
}

static void expect_code(struct command *c, const char *code, double most_s)
{
	struct outcome o = command_run(c);

	assert_string_equal(o.out, code);
	assert_int_equal(o.exit_status, 0);
	if (o.seconds > most_s)
		fail_msg("it took %.1f s", o.seconds);
	outcome_free(&o);
}

static void a_clock_of_another_day_waits_for_its_unit_and_no_longer(void **state)
{
	struct scene *scene = *state;
	struct quotad *q = quotad_start(scene->dir, NULL);
	char *config = write_file(scene->dir, "two.conf",
				  "hosts = ( { match = \"*\"; rate = { strategy = \"fixed\"; max = \"2/s\"; burst = 1; }; } );");
	const char *env[] = {both(), "FOREIGN_DAYS=10", NULL};
	const char *url = quotad_url(q, "/n/[1-3]");
	const char *argv[] = {"curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url, NULL};
	struct command c = {.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .config = config, .env = env};

	skip_when_instrumented();
	expect_code(&c, "200200200", 8);
	assert_true(quotad_count(q).last_s - quotad_count(q).first_s > 0.9);
	free(config);
}

/* What it is told holds the others for as long as the server said. */
static void told(struct scene *scene, const char *const *argv, const char *const *env)
{
	static const char *const options[] = {"--dialect", "retry-after", "--retry-after", "2", "--throttle-next", "1", NULL};
	struct quotad *q = quotad_start(scene->dir, options);
	const char *url = quotad_url(q, "/n/1");
	const char *with_url[12];
	const char *plain[] = {"curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url, NULL};
	struct command foreign = {.argv = with_url, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .env = env};
	struct command ours = {.argv = plain, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	struct host_counts counts;
	char key[64];
	size_t n = 0;

	for (; argv[n]; n++)
		with_url[n] = argv[n];
	memcpy(with_url + n, plain, sizeof plain);
	expect_code(&foreign, "429", 5);
	counts = counts_of(scene, host_port_of(key, "127.0.0.1", q->http_port));
	assert_int_equal(counts.throttled, 1);
	assert_true(counts.hold_s > 0 && counts.hold_s <= 2.0);
	expect_code(&ours, "200", 10);
	expect_code(&foreign, "200", 5);
	assert_int_equal(quotad_count(q).requests, 3);
}

static void a_clock_of_another_day_holds_nobody_longer_than_the_server_said(void **state)
{
	static const char *const nothing[] = {NULL};
	const char *env[] = {both(), "FOREIGN_DAYS=10", NULL};

	skip_when_instrumented();
	told(*state, nothing, env);
}

static void under_faketime_the_limits_are_those_of_the_real_day(void **state)
{
	static const char *const faketime[] = {"faketime", "-f", "+10d", NULL};
	struct command c = {.shell = "command -v faketime", .mode = COMMAND_BARE};
	struct outcome o = command_run(&c);
	int there = o.exit_status == 0;

	outcome_free(&o);
	skip_when_instrumented();
	if (!there) {
		print_message("skipped: no faketime\n");
		skip();
	}
	told(*state, faketime, NULL);
}

/* fakeroot says that a user is root and owns everything, libfaketime shifts the times of files. */
static void lies_about_users_processes_and_files_lead_to_no_other_world(void **state)
{
	struct scene *scene = *state;
	struct quotad *q = quotad_start(scene->dir, NULL);
	char *config = write_file(scene->dir, "one.conf", "hosts = ( { match = \"*\"; concurrency = { max = 1; }; } );");
	const char *env[] = {both(), "FOREIGN_LIES=1", "WEIR_LOG=warn", NULL};
	const char *argv[] = {"curl", "-s", "-o", "/dev/null", quotad_url(q, "/n/[1-3]"), NULL};
	struct command c = {.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .config = config, .env = env};
	struct host_counts counts;
	struct outcome o;
	char key[64];

	skip_when_instrumented();
	o = command_run(&c);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	/* Now that a policy is there. */
	o = command_run(&c);
	assert_string_equal(o.err, "");
	outcome_free(&o);
	counts = counts_under(scene, config, host_port_of(key, "127.0.0.1", q->http_port));
	assert_int_equal(counts.succeeded, 6);
	assert_int_equal(counts.cancelled + counts.ignored, 0);
	assert_int_equal(counts.permits, 0);
	free(config);
}

/* Two paths in LD_PRELOAD, as after an upgrade with another prefix. */
static void of_two_copies_of_the_library_one_counts(void **state)
{
	struct scene *scene = *state;
	struct quotad *q = quotad_start(scene->dir, NULL);
	char *library = build_path("libweir.so"), shell[4096], key[64];
	struct command c = {.shell = shell, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir};
	struct host_counts counts;
	struct outcome o;

	skip_when_instrumented();
	snprintf(shell, sizeof shell,
		 "cp %s %s/another.so && export LD_PRELOAD=%s/another.so:%s && curl -s -o /dev/null %s && "
		 "bash -c 'exec 3<>/dev/tcp/127.0.0.1/%d'",
		 library, scene->dir, scene->dir, library, quotad_url(q, "/n/[1-3]"), q->http_port);
	c.shell = NULL;
	c.argv = (const char *const[]){"bash", "-c", shell, NULL};
	o = command_run(&c);
	assert_int_equal(o.exit_status, 0);
	assert_int_equal(quotad_count(q).requests, 3);
	outcome_free(&o);
	counts = counts_of(scene, host_port_of(key, "127.0.0.1", q->http_port));
	assert_int_equal(counts.admitted, 4);
	free(library);
}

/* The two have one runtime directory and no common clock. */
static void a_time_namespace_is_a_world_of_its_own(void **state)
{
	struct scene *scene = *state;
	struct quotad *q = quotad_start(scene->dir, NULL);
	char *config = write_file(scene->dir, "two.conf",
				  "hosts = ( { match = \"*\"; rate = { strategy = \"fixed\"; max = \"2/s\"; burst = 1; }; } );");
	const char *url = quotad_url(q, "/n/[1-3]");
	const char *ours[] = {"curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url, NULL};
	const char *ahead[] = {"unshare", "-T",        "--monotonic", "1000000",      "curl", "-s",
			       "-o",      "/dev/null", "-w",          "%{http_code}", url,    NULL};
	const char *probe[] = {"unshare", "-T", "true", NULL};
	struct command can = {.argv = probe, .mode = COMMAND_BARE};
	struct command c = {.argv = ours, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .config = config};
	struct outcome o = command_run(&can);
	int possible = o.exit_status == 0;

	outcome_free(&o);
	if (!possible) {
		print_message("skipped: no time namespaces here\n");
		skip();
	}
	expect_code(&c, "200200200", 10);
	c.argv = ahead;
	expect_code(&c, "200200200", 10);
	expect_code(&c, "200200200", 10);
	c.argv = ours;
	expect_code(&c, "200200200", 10);
	free(config);
}

static int try_to_connect(const char *port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int refused = connect(fd, (struct sockaddr *)&a, sizeof a) != 0 && errno == ECONNREFUSED;

	close(fd);
	return refused;
}

/* Exit status 77: it cannot be done here. */
static int a_child_with_another_clock(int argc, char **argv)
{
	int status = -1, fd;
	pid_t child;

	(void)argc;
	PART_CHECK(try_to_connect(argv[0]));
	if (unshare(CLONE_NEWTIME) != 0)
		return 77;
	fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	PART_CHECK(fd >= 0 && write(fd, "monotonic 1000000 0", 19) == 19);
	close(fd);
	child = fork();
	if (child == 0)
		_exit(try_to_connect(argv[0]) ? 0 : 1);
	PART_CHECK(waitpid(child, &status, 0) == child && status == 0);
	PART_CHECK(try_to_connect(argv[0]));
	return 0;
}

static const struct host_part parts[] = {
	{"another_clock", a_child_with_another_clock},
};

static void a_child_in_a_new_time_namespace_leaves_its_parents_world(void **state)
{
	struct scene *scene = *state;
	int fd, port = closed_port(&fd);
	char text[16], key[64];
	struct outcome o;

	snprintf(text, sizeof text, "%d", port);
	o = run_part(scene, COMMAND_UNDER_WEIR, "another_clock", text, NULL);
	close(fd);
	if (o.exit_status == 77) {
		outcome_free(&o);
		print_message("skipped: no time namespaces here\n");
		skip();
	}
	if (o.exit_status != 0)
		fail_msg("exit %d: %s", o.exit_status, o.err);
	outcome_free(&o);
	assert_int_equal(counts_of(scene, host_port_of(key, "127.0.0.1", port)).admitted, 2);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_clock_of_another_day_waits_for_its_unit_and_no_longer, scene_setup,
						scene_teardown_with_agents),
		cmocka_unit_test_setup_teardown(a_clock_of_another_day_holds_nobody_longer_than_the_server_said, scene_setup,
						scene_teardown_with_agents),
		cmocka_unit_test_setup_teardown(under_faketime_the_limits_are_those_of_the_real_day, scene_setup,
						scene_teardown_with_agents),
		cmocka_unit_test_setup_teardown(of_two_copies_of_the_library_one_counts, scene_setup, scene_teardown_with_agents),
		cmocka_unit_test_setup_teardown(a_time_namespace_is_a_world_of_its_own, scene_setup, scene_teardown_with_agents),
		cmocka_unit_test_setup_teardown(a_child_in_a_new_time_namespace_leaves_its_parents_world, scene_setup,
						scene_teardown_with_agents),
		cmocka_unit_test_setup_teardown(lies_about_users_processes_and_files_lead_to_no_other_world, scene_setup,
						scene_teardown_with_agents),
	};

	int status = host_part_run(argc, argv, parts, sizeof parts / sizeof parts[0]);

	return status >= 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
