/* Programs that lock themselves in with seccomp: weir is refused what it would like to do, and calls nothing later on that a
 * strict filter might kill for. */
#include "tests/harness/harness.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <curl/curl.h>

#include "tests/integration/curl_handle.h"
#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/host_program.h"
#include "tests/integration/weir_program.h"

#define CALLS_MAX 32

/* Answers these calls with `action`, lets all others pass. */
static bool forbid(const int *calls, size_t count, uint32_t action)
{
	struct sock_filter filter[2 * CALLS_MAX + 2];
	struct sock_fprog program = {.filter = filter};
	unsigned short n = 0;

	filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < count && i < CALLS_MAX; i++) {
		filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i], 0, 1);
		filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
	}
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = n;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* One call after the other is refused; whichever it is that weir needs, the transfer goes on. */
static int refused_one_by_one(int argc, char **argv)
{
	static const int calls[] = {SYS_fallocate, SYS_linkat, SYS_link,      SYS_rename,  SYS_renameat, SYS_renameat2, SYS_flock,
				    SYS_madvise,   SYS_fchmod, SYS_ftruncate, SYS_unlink,  SYS_unlinkat, SYS_mkdir,     SYS_lstat,
				    SYS_kill,      SYS_wait4,  SYS_prctl,     SYS_geteuid, SYS_readlink, SYS_getcwd};
	int which = atoi(argv[1]);
	CURL *h = handle_for(argv[0]);

	(void)argc;
	if ((size_t)which >= sizeof calls / sizeof calls[0])
		return 77;
	PART_CHECK(forbid(&calls[which], 1, SECCOMP_RET_ERRNO | EPERM));
	PART_CHECK(curl_easy_perform(h) == CURLE_OK);
	return 0;
}

static int all_are_refused(int argc, char **argv)
{
	static const int calls[] = {SYS_fallocate, SYS_linkat, SYS_link,   SYS_rename,   SYS_renameat, SYS_renameat2, SYS_flock,
				    SYS_madvise,   SYS_fchmod, SYS_unlink, SYS_unlinkat, SYS_mkdir,    SYS_kill,      SYS_prctl};
	CURL *h = handle_for(argv[0]);

	(void)argc;
	PART_CHECK(forbid(calls, sizeof calls / sizeof calls[0], SECCOMP_RET_ERRNO | ENOSYS));
	PART_CHECK(curl_easy_perform(h) == CURLE_OK);
	return 0;
}

/* After its first request a process is killed for nearly everything but what libcurl itself does. */
static int killed_for_anything_unusual(int argc, char **argv)
{
	static const int calls[] = {SYS_openat,  SYS_open,     SYS_newfstatat, SYS_stat,          SYS_mmap,
				    SYS_madvise, SYS_getpid,   SYS_gettid,     SYS_kill,          SYS_clone,
				    SYS_clone3,  SYS_readlink, SYS_geteuid,    SYS_fstat,         SYS_getsockopt,
				    SYS_fcntl,   SYS_flock,    SYS_futex,      SYS_rt_sigprocmask};
	CURL *h = handle_for(argv[0]);

	(void)argc;
	for (int i = 0; i < 3; i++)
		PART_CHECK(curl_easy_perform(h) == CURLE_OK);
	PART_CHECK(forbid(calls, sizeof calls / sizeof calls[0], SECCOMP_RET_KILL_PROCESS));
	for (int i = 0; i < 3; i++)
		PART_CHECK(curl_easy_perform(h) == CURLE_OK);
	_exit(0);
}

/* Lets these calls pass and kills for all others; installed through prctl or the system call. */
static bool allow_only(const int *calls, size_t count, bool by_call)
{
	struct sock_filter filter[2 * CALLS_MAX + 2];
	struct sock_fprog program = {.filter = filter};
	unsigned short n = 0;

	filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < count && i < CALLS_MAX; i++) {
		filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i], 0, 1);
		filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	program.len = n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return false;
	return by_call ? syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0
		       : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* What the program needs itself, and what a connect that may have to wait needs besides. */
static const int own_calls[] = {SYS_socket, SYS_connect, SYS_close, SYS_exit_group};
static const int all_calls[] = {SYS_socket,     SYS_connect, SYS_close,     SYS_exit_group,
				SYS_getsockopt, SYS_fcntl,   SYS_getitimer, SYS_futex};

static int connect_four_times(const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 0; i < 4; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
			_exit(2);
		close(fd);
	}
	_exit(0);
}

static int locked_in_to_its_own_calls(int argc, char **argv)
{
	PART_CHECK(argc == 2 && allow_only(own_calls, sizeof own_calls / sizeof own_calls[0], argv[1][0] == 's'));
	return connect_four_times(argv[0]);
}

static int locked_in_with_what_a_wait_needs(int argc, char **argv)
{
	PART_CHECK(argc == 2 && allow_only(all_calls, sizeof all_calls / sizeof all_calls[0], argv[1][0] == 's'));
	return connect_four_times(argv[0]);
}

/* A launcher that locks itself in, like bwrap: the program that it becomes has its filter, and knows nothing of it. */
static int locks_itself_in_and_starts(int argc, char **argv, bool by_a_shell)
{
	static const int of_weir[] = {SYS_madvise, SYS_flock, SYS_fallocate, SYS_linkat, SYS_getitimer};
	static const int of_nobody[] = {SYS_reboot};
	char *next[] = {"/proc/self/exe", "--part", "connects", argv[0], NULL};
	bool weirs = argc == 2 && argv[1][0] == 'w';
	char self[256] = "", command[400];
	int status;

	PART_CHECK(readlink(next[0], self, sizeof self - 1) > 0);
	snprintf(command, sizeof command, "'%s' --part connects %s", self, argv[0]);
	PART_CHECK(forbid(weirs ? of_weir : of_nobody, weirs ? sizeof of_weir / sizeof of_weir[0] : 1, SECCOMP_RET_KILL_PROCESS));
	if (!by_a_shell) {
		execv(next[0], next);
		return 1;
	}
	status = system(command);
	PART_CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int locks_itself_in_and_becomes(int argc, char **argv)
{
	return locks_itself_in_and_starts(argc, argv, false);
}

static int locks_itself_in_and_calls_system(int argc, char **argv)
{
	return locks_itself_in_and_starts(argc, argv, true);
}

static int connects(int argc, char **argv)
{
	(void)argc;
	return connect_four_times(argv[0]);
}

/* Calls that are no news to the kernel: what is wrong with them is said as without weir, and nothing comes of them. */
static int wrong_filters_are_refused(int argc, char **argv)
{
	struct sock_fprog program = {.len = 5, .filter = (struct sock_filter *)8};

	PART_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	PART_CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == -1 && errno == EFAULT);
	PART_CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (void *)16) == -1 && errno == EFAULT);
	PART_CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == -1 && errno == EFAULT);
	program.len = 0;
	PART_CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == -1 && errno == EINVAL);
	PART_CHECK(syscall(SYS_seccomp, 77, 0, NULL) == -1 && errno == EINVAL);
	PART_CHECK(syscall(SYS_getppid) == getppid());
	PART_CHECK(syscall(SYS_mmap, NULL, 4096, 3, 0x22, -1, 4096L) != -1);
	PART_CHECK(syscall(SYS_close, -1) == -1 && errno == EBADF);
	return argc == 2 ? connect_four_times(argv[0]) : 0;
}

static const struct host_part parts[] = {
	{"locked_in_to_its_own_calls", locked_in_to_its_own_calls},
	{"locked_in_with_what_a_wait_needs", locked_in_with_what_a_wait_needs},
	{"locks_itself_in_and_becomes", locks_itself_in_and_becomes},
	{"locks_itself_in_and_calls_system", locks_itself_in_and_calls_system},
	{"connects", connects},
	{"wrong_filters_are_refused", wrong_filters_are_refused},
	{"refused_one_by_one", refused_one_by_one},
	{"all_are_refused", all_are_refused},
	{"killed_for_anything_unusual", killed_for_anything_unusual},
};

static void a_refused_system_call_is_no_reason_to_fail(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char *segment = path_in(scene->runtime, "state.1");

	for (int i = 0; i < 100; i++) {
		char which[16];
		struct outcome o;
		int status;

		snprintf(which, sizeof which, "%d", i);
		o = run_part(scene, COMMAND_UNDER_WEIR, "refused_one_by_one", quotad_url(server, "/n/1"), which);
		status = o.exit_status;
		if (status != 0 && status != 77)
			fail_msg("call number %d: exit %d, signal %d: %s", i, status, o.signal, o.err);
		outcome_free(&o);
		if (status == 77)
			break;
		/* The next one finds no segment again, and must make it. */
		end_every_agent(scene);
		unlink(segment);
	}
	free(segment);
	expect_part(scene, "all_are_refused", quotad_url(server, "/n/1"), NULL);
}

static void a_strict_filter_finds_nothing_to_kill_for_after_the_first_request(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	const char *url = quotad_url(server, "/n/1");
	struct outcome o = run_part(scene, COMMAND_BARE, "killed_for_anything_unusual", url, NULL);
	bool can = o.exit_status == 0;
	char key[64];

	outcome_free(&o);
	if (!can)
		skip(); /* this libcurl does more than the filter allows */
	expect_part(scene, "killed_for_anything_unusual", url, NULL);
	assert_int_equal(counts_of(scene, host_port_of(key, "127.0.0.1", server->http_port)).succeeded, 6);
}

/* The part, under `weir run -r 5/s`; returns how long it took. */
static double run_locked_in(struct scene *scene, const char *part, const char *port, const char *way)
{
	static char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	struct outcome o;
	double seconds;

	assert_true(n > 0);
	self[n] = '\0';
	o = WEIR(scene, "run", "-r", "5/s", self, "--part", part, port, way);
	if (o.exit_status != 0 || o.signal != 0)
		fail_msg("%s, by %s: exit %d, signal %d: %s", part, way, o.exit_status, o.signal, o.err);
	seconds = o.seconds;
	outcome_free(&o);
	return seconds;
}

static void a_whitelist_before_the_first_request_kills_nobody(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char port[16];
	struct outcome o;
	bool can;

	snprintf(port, sizeof port, "%d", server->http_port);
	o = run_part(scene, COMMAND_BARE, "locked_in_to_its_own_calls", port, "prctl");
	can = o.exit_status == 0;
	outcome_free(&o);
	if (!can)
		skip(); /* a sanitizer's or coverage's own calls */
	run_locked_in(scene, "locked_in_to_its_own_calls", port, "prctl");
	/* Where what a wait needs is allowed, the limit holds. */
	assert_true(run_locked_in(scene, "locked_in_with_what_a_wait_needs", port, "prctl") >= 0.58);
#ifdef __x86_64__
	run_locked_in(scene, "locked_in_to_its_own_calls", port, "system call");
	assert_true(run_locked_in(scene, "locked_in_with_what_a_wait_needs", port, "system call") >= 0.58);
#endif
	expect_part(scene, "wrong_filters_are_refused", "", NULL);
	assert_true(run_locked_in(scene, "wrong_filters_are_refused", port, "under a limit") >= 0.58);
}

/* It runs without the library where that would be killed for what it does, and with it where not. */
static void what_a_program_that_has_locked_itself_in_starts_is_not_killed(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char port[16];

	snprintf(port, sizeof port, "%d", server->http_port);
	for (int by_a_shell = 0; by_a_shell < 2; by_a_shell++) {
		const char *part = by_a_shell ? "locks_itself_in_and_calls_system" : "locks_itself_in_and_becomes";

		run_locked_in(scene, part, port, "weir's");
		assert_true(run_locked_in(scene, part, port, "nobody's") >= 0.58);
	}
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SCENE(a_refused_system_call_is_no_reason_to_fail),
		SCENE(a_whitelist_before_the_first_request_kills_nobody),
		SCENE(what_a_program_that_has_locked_itself_in_starts_is_not_killed),
		SCENE(a_strict_filter_finds_nothing_to_kill_for_after_the_first_request),
	};
	int status = host_part_run(argc, argv, parts, sizeof parts / sizeof parts[0]);

	return status >= 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
