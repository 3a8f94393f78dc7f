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

#include <curl/curl.h>

#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/host_program.h"

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

static size_t drop(char *data, size_t size, size_t count, void *user)
{
	(void)data;
	(void)user;
	return size * count;
}

static CURL *handle_for(const char *url)
{
	CURL *h = curl_easy_init();

	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, drop);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	return h;
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

static const struct host_part parts[] = {
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

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SCENE(a_refused_system_call_is_no_reason_to_fail),
		SCENE(a_strict_filter_finds_nothing_to_kill_for_after_the_first_request),
	};
	int status = host_part_run(argc, argv, parts, sizeof parts / sizeof parts[0]);

	return status >= 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
