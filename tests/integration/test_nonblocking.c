/* Non-blocking connects: their outcome is found later, counted once, and nothing about the socket is changed. */
#include "tests/harness/harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/closed_port.h"
#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/host_program.h"

static struct sockaddr_in loopback(const char *port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)atoi(port))};
}

static int connect_to(int fd, const char *port)
{
	struct sockaddr_in a = loopback(port);

	return connect(fd, (struct sockaddr *)&a, sizeof a);
}

static int non_blocking_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int error_of(int fd)
{
	int error = -1;
	socklen_t length = sizeof error;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : -1;
}

static void wait_until_writable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	poll(&p, 1, 5000);
}

/* The way of most programs: poll, then ask for the error. */
static int ask_for_the_error(int argc, char **argv)
{
	int fd = non_blocking_socket(), flags = fcntl(fd, F_GETFL);

	(void)argc;
	PART_CHECK(connect_to(fd, argv[0]) == -1 && errno == EINPROGRESS);
	wait_until_writable(fd);
	PART_CHECK(error_of(fd) == atoi(argv[1]));
	PART_CHECK(error_of(fd) == 0);
	PART_CHECK(fcntl(fd, F_GETFL) == flags);
	PART_CHECK(close(fd) == 0);
	return 0;
}

/* The way of Ruby and lynx. */
static int connect_twice(int argc, char **argv)
{
	int fd = non_blocking_socket(), again;

	(void)argc;
	PART_CHECK(connect_to(fd, argv[0]) == -1 && errno == EINPROGRESS);
	wait_until_writable(fd);
	errno = 0;
	again = connect_to(fd, argv[0]);
	if (atoi(argv[1]) == 0)
		PART_CHECK(again == 0 || (again == -1 && errno == EISCONN));
	else
		PART_CHECK(again == -1 && errno == atoi(argv[1]));
	PART_CHECK(close(fd) == 0);
	return 0;
}

/* Never asks: the next hook finds out. */
static int only_look_up_a_name(int argc, char **argv)
{
	int fd = non_blocking_socket();

	(void)argc;
	PART_CHECK(connect_to(fd, argv[0]) == -1 && errno == EINPROGRESS);
	wait_until_writable(fd);
	usleep(5000);
	PART_CHECK(gethostbyname("127.0.0.1") != NULL);
	PART_CHECK(error_of(fd) == atoi(argv[1]));
	return 0;
}

static int leave_by_exit(int argc, char **argv)
{
	int fd = non_blocking_socket();

	(void)argc;
	PART_CHECK(connect_to(fd, argv[0]) == -1 && errno == EINPROGRESS);
	wait_until_writable(fd);
	return 0;
}

static int leave_by_underscore_exit(int argc, char **argv)
{
	int fd = non_blocking_socket();

	(void)argc;
	PART_CHECK(connect_to(fd, argv[0]) == -1 && errno == EINPROGRESS);
	_exit(0);
}

/* Closed without libc, and the number used again by something else. */
static int close_behind_the_back(int argc, char **argv)
{
	int fd = non_blocking_socket(), other;

	(void)argc;
	PART_CHECK(connect_to(fd, argv[0]) == -1 && errno == EINPROGRESS);
	syscall(SYS_close, fd);
	other = non_blocking_socket();
	PART_CHECK(other == fd);
	PART_CHECK(connect_to(other, argv[0]) == -1 && errno == EINPROGRESS);
	wait_until_writable(other);
	PART_CHECK(error_of(other) == 0);
	PART_CHECK(close(other) == 0);
	return 0;
}

/* In a black hole: given up after more than a second, and at once. */
static int give_up(int argc, char **argv)
{
	int fd = non_blocking_socket();

	(void)argc;
	PART_CHECK(connect_to(fd, argv[0]) == -1 && errno == EINPROGRESS);
	usleep((useconds_t)atoi(argv[1]) * 1000);
	PART_CHECK(close(fd) == 0);
	return 0;
}

/* A connect under way in a program that then calls no hook any more. */
static int connect_and_stay(int argc, char **argv)
{
	int fd = non_blocking_socket();

	(void)argc;
	PART_CHECK(connect_to(fd, argv[0]) == -1 && errno == EINPROGRESS);
	pause();
	return 0;
}

static long ms_since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - t->tv_sec) * 1000 + (now.tv_nsec - t->tv_nsec) / 1000000;
}

/* Prints how long the handshake took, and calls a hook only long after it. */
static int talk_for_long(int argc, char **argv)
{
	int fd = non_blocking_socket();
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	struct timespec begun;

	(void)argc;
	clock_gettime(CLOCK_MONOTONIC, &begun);
	PART_CHECK(connect_to(fd, argv[0]) == -1 && errno == EINPROGRESS);
	PART_CHECK(poll(&p, 1, 20000) == 1);
	printf("%ld", ms_since(&begun));
	usleep(1500000);
	PART_CHECK(error_of(fd) == 0);
	return 0;
}

/* What the second would send first would have to wait for longer than a request may. */
static int connect_out_of_turn(int argc, char **argv)
{
	int first = non_blocking_socket(), second = non_blocking_socket();
	struct timespec begun;

	(void)argc;
	PART_CHECK(connect_to(first, argv[0]) == -1 && errno == EINPROGRESS);
	wait_until_writable(first);
	PART_CHECK(send(first, "x", 1, 0) == 1);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	PART_CHECK(connect_to(second, argv[0]) == -1 && errno == ETIMEDOUT);
	PART_CHECK(ms_since(&begun) < 1000);
	return 0;
}

/* A descriptor that a child of vfork closes is still open in its parent. */
static int close_in_a_vfork_child(int argc, char **argv)
{
	int fd = non_blocking_socket(), status;
	pid_t child;

	(void)argc;
	PART_CHECK(connect_to(fd, argv[0]) == -1 && errno == EINPROGRESS);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	child = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork): that programs do this is the point */
#pragma GCC diagnostic pop
	if (child == 0) {
		close(fd); /* NOLINT(clang-analyzer-unix.Vfork) */
		_exit(0);
	}
	PART_CHECK(waitpid(child, &status, 0) == child);
	wait_until_writable(fd);
	PART_CHECK(error_of(fd) == 0);
	PART_CHECK(close(fd) == 0);
	return 0;
}

/* Hundreds under way at once, more than the table has places for. */
static int many(int argc, char **argv)
{
	static int fds[900];

	(void)argc;
	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
		fds[i] = non_blocking_socket();
		PART_CHECK(fds[i] >= 0);
		PART_CHECK(connect_to(fds[i], argv[0]) == -1 && errno == EINPROGRESS);
	}
	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
		PART_CHECK(close(fds[i]) == 0);
	return 0;
}

/* What is no attempt to reach a host over TCP passes with its own errno. */
static int odd_calls(int argc, char **argv)
{
	struct sockaddr_in a = loopback(argv[0]);
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0), local = socket(AF_UNIX, SOCK_STREAM, 0);
	int length = 0;

	(void)argc;
	PART_CHECK(connect(-1, (struct sockaddr *)&a, sizeof a) == -1 && errno == EBADF);
	PART_CHECK(connect(0, (struct sockaddr *)&a, sizeof a) == -1 && errno == ENOTSOCK);
	PART_CHECK(connect(tcp, (struct sockaddr *)&a, 3) == -1 && errno == EINVAL);
	PART_CHECK(connect(tcp, NULL, 0) == -1 && (errno == EINVAL || errno == EFAULT));
	PART_CHECK(connect(udp, (struct sockaddr *)&a, sizeof a) == 0);
	PART_CHECK(connect(udp, &none, sizeof none) == 0);
	PART_CHECK(connect(local, (struct sockaddr *)&a, sizeof a) == -1 && errno != 0);
	PART_CHECK(getsockopt(tcp, SOL_SOCKET, SO_ERROR, &length, NULL) == -1 && errno == EFAULT);
	PART_CHECK(close(-1) == -1 && errno == EBADF);
	return 0;
}

/* errno of a call that succeeds is as it was. */
static int errno_stays(int argc, char **argv)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)argc;
	errno = 4711;
	PART_CHECK(connect_to(fd, argv[0]) == 0);
	PART_CHECK(errno == 4711);
	PART_CHECK(close(fd) == 0);
	PART_CHECK(errno == 4711);
	return 0;
}

static const struct host_part parts[] = {
	{"ask_for_the_error", ask_for_the_error},
	{"connect_twice", connect_twice},
	{"only_look_up_a_name", only_look_up_a_name},
	{"leave_by_exit", leave_by_exit},
	{"leave_by_underscore_exit", leave_by_underscore_exit},
	{"close_behind_the_back", close_behind_the_back},
	{"give_up", give_up},
	{"connect_and_stay", connect_and_stay},
	{"talk_for_long", talk_for_long},
	{"connect_out_of_turn", connect_out_of_turn},
	{"close_in_a_vfork_child", close_in_a_vfork_child},
	{"many", many},
	{"odd_calls", odd_calls},
	{"errno_stays", errno_stays},
};

struct stage {
	struct scene *scene;
	struct quotad *server;
	char port[16], host_port[64];
	int closed_fd;
	char closed[16], closed_host_port[64];
};

static void stage_open(struct stage *s, void **state)
{
	memset(s, 0, sizeof *s);
	s->scene = *state;
	s->server = quotad_start(s->scene->dir, NULL);
	snprintf(s->port, sizeof s->port, "%d", s->server->http_port);
	host_port_of(s->host_port, "127.0.0.1", s->server->http_port);
	snprintf(s->closed, sizeof s->closed, "%d", closed_port(&s->closed_fd));
	host_port_of(s->closed_host_port, "127.0.0.1", atoi(s->closed));
}

static void expect_counts(struct stage *s, const char *host_port, uint64_t succeeded, uint64_t failed, uint64_t ignored)
{
	struct host_counts n = counts_of(s->scene, host_port);

	assert_int_equal(n.admitted, succeeded + failed + ignored);
	assert_int_equal(n.succeeded, succeeded);
	assert_int_equal(n.failed, failed);
	assert_int_equal(n.ignored, ignored);
	assert_int_equal(n.permits, 0);
	assert_int_equal(leases_held(s->scene), 0);
	close(s->closed_fd);
}

static void the_outcome_is_learnt_when_the_program_asks_for_the_error(void **state)
{
	struct stage s;

	stage_open(&s, state);
	expect_part(s.scene, "ask_for_the_error", s.port, "0");
	expect_part(s.scene, "ask_for_the_error", s.closed, "111");
	expect_counts(&s, s.closed_host_port, 0, 1, 0);
	expect_counts(&s, s.host_port, 1, 0, 0);
}

static void a_second_connect_on_one_socket_is_no_second_request(void **state)
{
	struct stage s;

	stage_open(&s, state);
	expect_part(s.scene, "connect_twice", s.port, "0");
	expect_part(s.scene, "connect_twice", s.closed, "111");
	expect_counts(&s, s.closed_host_port, 0, 1, 0);
	expect_counts(&s, s.host_port, 1, 0, 0);
}

static void the_next_hook_finds_the_outcome_and_leaves_the_error_to_the_program(void **state)
{
	struct stage s;

	stage_open(&s, state);
	expect_part(s.scene, "only_look_up_a_name", s.port, "0");
	expect_part(s.scene, "only_look_up_a_name", s.closed, "111");
	expect_counts(&s, s.closed_host_port, 0, 1, 0);
	expect_counts(&s, s.host_port, 1, 0, 0);
}

static void the_end_of_the_process_settles_what_is_under_way(void **state)
{
	struct stage s;

	stage_open(&s, state);
	expect_part(s.scene, "leave_by_exit", s.port, NULL);
	expect_part(s.scene, "leave_by_exit", s.closed, NULL);
	expect_counts(&s, s.closed_host_port, 0, 1, 0);
	expect_counts(&s, s.host_port, 1, 0, 0);
}

static bool nothing_is_held(void *stage)
{
	struct stage *s = stage;

	return leases_held(s->scene) == 0;
}

static void a_process_that_does_not_say_good_bye_holds_nothing_on_loopback(void **state)
{
	struct stage s;

	stage_open(&s, state);
	expect_part(s.scene, "leave_by_underscore_exit", s.port, NULL);
	assert_int_equal(counts_of(s.scene, s.host_port).permits, 0);
	/* What the connection was for nobody can tell any more; its lease is found by whoever looks for the dead. */
	assert_true(wait_until(nothing_is_held, &s, 10));
	expect_counts(&s, s.host_port, 0, 0, 1);
}

static void a_descriptor_that_is_used_again_is_not_mistaken(void **state)
{
	struct stage s;

	stage_open(&s, state);
	expect_part(s.scene, "close_behind_the_back", s.port, NULL);
	expect_counts(&s, s.host_port, 2, 0, 0);
}

static void giving_up_late_is_a_failure_and_early_is_none(void **state)
{
	struct stage s;

	stage_open(&s, state);
	quotad_outage(s.server, "blackhole", 0);
	expect_part(s.scene, "give_up", s.port, "1200");
	expect_part(s.scene, "give_up", s.port, "50");
	quotad_outage(s.server, "none", 0);
	expect_counts(&s, s.host_port, 0, 1, 1);
}

static struct running *start_part(struct stage *s, const char *part)
{
	static char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	const char *argv[] = {self, "--part", part, s->port, NULL};

	assert_true(n > 0);
	self[n] = '\0';
	return command_start(&(struct command){.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = s->scene->dir});
}

static bool is_under_way(void *stage)
{
	struct stage *s = stage;
	struct host_counts n = counts_of(s->scene, s->host_port);

	return n.permits == 0 && leases_held(s->scene) == 1;
}

static double longest_lease_s(const struct scene *scene)
{
	struct weir_segment s;
	uint64_t now = weir_now_ns(), latest = now;

	assert_true(segment_of(scene, NULL, &s));
	for (uint32_t i = 0; i < s.leases; i++) {
		uint64_t deadline = atomic_load(&s.lease[i].deadline_ns);

		if ((atomic_load(&s.lease[i].word) & 0xff) != WEIR_LEASE_FREE && deadline > latest)
			latest = deadline;
	}
	weir_segment_close(&s);
	return (double)(latest - now) / 1e9;
}

static void a_connect_under_way_holds_no_permit_and_its_lease_is_short(void **state)
{
	struct stage s;
	struct running *r;
	struct outcome o;

	stage_open(&s, state);
	quotad_outage(s.server, "blackhole", 0);
	r = start_part(&s, "connect_and_stay");
	assert_true(wait_until(is_under_way, &s, 10));
	assert_true(longest_lease_s(s.scene) > 1 && longest_lease_s(s.scene) < 100);
	command_signal(r, SIGKILL);
	o = command_wait(r);
	outcome_free(&o);
	quotad_outage(s.server, "none", 0);
	close(s.closed_fd);
}

static void the_latency_of_a_connect_is_the_handshake_s_alone(void **state)
{
	struct stage s;
	struct running *r;
	struct outcome o;
	struct weir_segment segment;
	struct weir_histogram_copy latency;
	double seen_ms, took_ms;

	stage_open(&s, state);
	quotad_outage(s.server, "blackhole", 0);
	r = start_part(&s, "talk_for_long");
	assert_true(wait_until(is_under_way, &s, 10));
	quotad_outage(s.server, "none", 0);
	o = command_wait(r);
	assert_int_equal(o.exit_status, 0);
	took_ms = strtod(o.out, NULL);
	outcome_free(&o);
	assert_true(segment_of(s.scene, NULL, &segment));
	weir_durations_copy(&segment, weir_entry_find(&segment, s.host_port), WEIR_DURATIONS_LATENCY, &latency);
	seen_ms = (double)weir_histogram_quantile_ns(&latency, 500) / 1e6;
	weir_segment_close(&segment);
	assert_true(took_ms > 500);
	assert_true(seen_ms > took_ms / 2 && seen_ms < took_ms + 1000);
	expect_counts(&s, s.host_port, 1, 0, 0);
}

static void a_connect_whose_first_request_would_wait_too_long_is_refused_at_once(void **state)
{
	static const char config[] = "hosts = ( { match = \"*\"; rate = { strategy = \"fixed\"; max = \"6/m\"; burst = 1; }; "
				     "wait = { max = \"2s\"; }; } );\n";
	struct stage s;
	char *file;
	static char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	const char *argv[] = {self, "--part", "connect_out_of_turn", NULL, NULL};
	struct outcome o;

	assert_true(n > 0);
	self[n] = '\0';
	stage_open(&s, state);
	argv[3] = s.port;
	file = scene_rules_file(s.scene, config);
	o = command_run(&(struct command){.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = s.scene->dir, .config = file});
	if (o.exit_status != 0)
		fail_msg("%s%s", o.out, o.err);
	outcome_free(&o);
	assert_int_equal(counts_under(s.scene, file, s.host_port).admitted, 1);
	assert_int_equal(counts_under(s.scene, file, s.host_port).refused, 1);
	free(file);
	close(s.closed_fd);
}

static void a_vfork_child_s_close_is_not_its_parent_s(void **state)
{
	struct stage s;

	stage_open(&s, state);
	expect_part(s.scene, "close_in_a_vfork_child", s.port, NULL);
	expect_counts(&s, s.host_port, 1, 0, 0);
}

static void more_connects_than_there_are_places_are_all_settled(void **state)
{
	struct stage s;
	struct host_counts n;

	stage_open(&s, state);
	quotad_outage(s.server, "blackhole", 0);
	expect_part(s.scene, "many", s.port, NULL);
	quotad_outage(s.server, "none", 0);
	n = counts_of(s.scene, s.host_port);
	assert_int_equal(n.admitted, 900);
	assert_int_equal(n.succeeded + n.failed + n.ignored, 900);
	assert_int_equal(leases_held(s.scene), 0);
	close(s.closed_fd);
}

static void what_is_no_attempt_over_tcp_passes(void **state)
{
	struct stage s;

	stage_open(&s, state);
	expect_part(s.scene, "odd_calls", s.port, NULL);
	assert_false(counts_of(s.scene, s.host_port).known);
	close(s.closed_fd);
}

static void errno_is_left_alone_by_what_succeeds(void **state)
{
	struct stage s;

	stage_open(&s, state);
	expect_part(s.scene, "errno_stays", s.port, NULL);
	expect_counts(&s, s.host_port, 1, 0, 0);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SCENE(the_outcome_is_learnt_when_the_program_asks_for_the_error),
		SCENE(a_second_connect_on_one_socket_is_no_second_request),
		SCENE(the_next_hook_finds_the_outcome_and_leaves_the_error_to_the_program),
		SCENE(the_end_of_the_process_settles_what_is_under_way),
		SCENE(a_process_that_does_not_say_good_bye_holds_nothing_on_loopback),
		SCENE(a_descriptor_that_is_used_again_is_not_mistaken),
		SCENE(giving_up_late_is_a_failure_and_early_is_none),
		SCENE(a_connect_under_way_holds_no_permit_and_its_lease_is_short),
		SCENE(the_latency_of_a_connect_is_the_handshake_s_alone),
		SCENE(a_connect_whose_first_request_would_wait_too_long_is_refused_at_once),
		SCENE(a_vfork_child_s_close_is_not_its_parent_s),
		SCENE(more_connects_than_there_are_places_are_all_settled),
		SCENE(what_is_no_attempt_over_tcp_passes),
		SCENE(errno_is_left_alone_by_what_succeeds),
	};
	int status = host_part_run(argc, argv, parts, sizeof parts / sizeof parts[0]);

	return status >= 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
