/* SPDX-License-Identifier: MIT */
/* Programs that change under weir between their start and their first request: environment, rights, root directory. The limit
 * that they were started with holds. */
#include "weir_program.h"

#include <arpa/inet.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "tests/integration/host_counts.h"
#include "tests/integration/host_program.h"

#define CONNECTS 4

static int connect_to(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), answer;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	answer = connect(fd, (struct sockaddr *)&a, sizeof a);
	close(fd);
	return answer;
}

/* Connects a few times; prints how long that took, in milliseconds. */
static int connects(const char *port)
{
	double begun = monotonic_s();

	for (int i = 0; i < CONNECTS; i++)
		PART_CHECK(connect_to(atoi(port)) == 0);
	printf("%d\n", (int)((monotonic_s() - begun) * 1000));
	return 0;
}

static int empties_its_environment(int argc, char **argv)
{
	(void)argc;
	clearenv();
	return connects(argv[0]);
}

/* As programs do that show a title of their own in ps: over arguments and environment. */
static int writes_a_title(int argc, char **argv)
{
	char *begin = environ[0], *end = begin, port[16];

	(void)argc;
	snprintf(port, sizeof port, "%s", argv[0]);
	for (char **e = environ; *e; e++) {
		if (*e == end)
			end = *e + strlen(*e) + 1;
	}
	PART_CHECK(end - begin > 20);
	memset(begin, 't', (size_t)(end - begin));
	return connects(port);
}

static int becomes_nobody(int argc, char **argv)
{
	(void)argc;
	PART_CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
	return connects(argv[0]);
}

static int becomes_nobody_for_good(int argc, char **argv)
{
	(void)argc;
	PART_CHECK(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
	return connects(argv[0]);
}

static int moves_to_an_empty_root(int argc, char **argv)
{
	PART_CHECK(argc == 2);
	PART_CHECK(chroot(argv[1]) == 0 && chdir("/") == 0);
	return connects(argv[0]);
}

/* Connects ten times a second until told to stop by a file. */
static int goes_on_and_on(int argc, char **argv)
{
	(void)argc;
	while (access(argv[1], F_OK) != 0) {
		PART_CHECK(connect_to(atoi(argv[0])) == 0);
		usleep(100000);
	}
	return 0;
}

static const struct host_part parts[] = {
	{"goes_on_and_on", goes_on_and_on},
	{"empties_its_environment", empties_its_environment},
	{"writes_a_title", writes_a_title},
	{"becomes_nobody", becomes_nobody},
	{"becomes_nobody_for_good", becomes_nobody_for_good},
	{"moves_to_an_empty_root", moves_to_an_empty_root},
};

/* The part under `weir run -r 5/s`: its connects leave 200 ms apart. */
static void expect_limited(struct scene *scene, const char *part)
{
	struct quotad *server = quotad_start(scene->dir, NULL);
	char self[512], port[16], *root = make_dir(scene->dir, "root"), *out;
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	assert_true(n > 0);
	self[n] = '\0';
	snprintf(port, sizeof port, "%d", server->http_port);
	out = WEIR_EXPECT(scene, 0, "run", "-r", "5/s", self, "--part", part, port, root);
	if (atoi(out) < (CONNECTS - 1) * 200 - 20)
		fail_msg("%s: %d connects in %s ms", part, CONNECTS, out);
	free(out);
	free(root);
}

static void a_cleared_environment_does_not_lose_the_limit(void **state)
{
	expect_limited(*state, "empties_its_environment");
}

static void a_title_written_over_the_environment_does_not_lose_the_limit(void **state)
{
	expect_limited(*state, "writes_a_title");
}

static void a_program_that_gives_up_its_rights_keeps_the_limit(void **state)
{
	if (geteuid() != 0)
		skip();
	expect_limited(*state, "becomes_nobody");
	expect_limited(*state, "becomes_nobody_for_good");
}

static void a_program_in_another_root_keeps_the_limit(void **state)
{
	if (geteuid() != 0)
		skip();
	expect_limited(*state, "moves_to_an_empty_root");
}

/* fakeroot says to a user that he is root, and puts its own library before everything else. */
static void a_limit_holds_under_fakeroot(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	struct command probe = {.shell = "command -v fakeroot"};
	struct outcome o = command_run(&probe);
	bool there = o.exit_status == 0;
	char line[512];

	outcome_free(&o);
	if (!there || getenv("WEIR_TEST_PRELOAD_BEFORE"))
		skip();
	snprintf(line, sizeof line, "for i in 1 2 3 4; do curl -s -o /dev/null %s & done; wait", quotad_url(server, "/"));
	o = WEIR(scene, "run", "-r", "5/s", "fakeroot", "sh", "-c", line);
	assert_int_equal(o.exit_status, 0);
	assert_int_equal(quotad_count(server).requests, 4);
	assert_true(o.seconds >= 0.6);
	outcome_free(&o);
}

struct expectation {
	struct scene *scene;
	char host_port[64];
};

static bool is_counted(void *data)
{
	const struct expectation *e = data;

	return counts_of(e->scene, e->host_port).admitted > 0;
}

/* Logout and login: the runtime directory goes, and comes again with other processes in it. One budget for all of them. */
static void a_running_program_follows_its_segment_to_another_file(void **state)
{
	struct expectation e = {.scene = *state};
	struct quotad *server = quotad_start(e.scene->dir, NULL);
	char self[512], port[16], *stop = path_in(e.scene->dir, "stop"), *moved = path_in(e.scene->dir, "moved");
	const char *argv[] = {self, "--part", "goes_on_and_on", port, stop, NULL};
	struct command c = {.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = e.scene->dir};
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	struct running *r;
	struct outcome o;

	assert_true(n > 0);
	self[n] = '\0';
	snprintf(port, sizeof port, "%d", server->http_port);
	host_port_of(e.host_port, "127.0.0.1", server->http_port);
	r = command_start(&c);
	assert_soon(is_counted, &e, 20, "the program is limited");
	for (int i = 0; i < 2; i++) {
		stop_agent(e.scene->runtime);
		assert_int_equal(rename(e.scene->runtime, moved), 0);
		if (i == 1) /* somebody else makes it anew first */
			free(WEIR_EXPECT(e.scene, 0, "run", "true"));
		assert_soon(is_counted, &e, 20, "the program is limited in the new world");
		stop_agent(moved);
		temp_dir_remove(moved);
		moved = path_in(e.scene->dir, "moved");
	}
	free(write_file(e.scene->dir, "stop", ""));
	o = command_wait(r);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	free(moved);
	free(stop);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_cleared_environment_does_not_lose_the_limit),
		TEST(a_title_written_over_the_environment_does_not_lose_the_limit),
		TEST(a_program_that_gives_up_its_rights_keeps_the_limit),
		TEST(a_program_in_another_root_keeps_the_limit),
		TEST(a_limit_holds_under_fakeroot),
		TEST(a_running_program_follows_its_segment_to_another_file),
	};
	int status = host_part_run(argc, argv, parts, sizeof parts / sizeof parts[0]);

	return status >= 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
