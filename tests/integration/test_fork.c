/* fork, vfork and exec under weir: a child is a process of its own, and nobody's permits stay behind. */
#include "tests/harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <curl/curl.h>

#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/host_program.h"

static size_t drop(char *data, size_t size, size_t count, void *user)
{
	(void)data;
	(void)user;
	return size * count;
}

static int get(const char *url)
{
	CURL *h = curl_easy_init();
	CURLcode code;

	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, drop);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	code = curl_easy_perform(h);
	curl_easy_cleanup(h);
	return (int)code;
}

static int status_of(pid_t child)
{
	int status = -1;

	if (waitpid(child, &status, 0) != child)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int children_and_grandchildren(int argc, char **argv)
{
	pid_t child;

	(void)argc;
	PART_CHECK(get(argv[0]) == CURLE_OK);
	child = fork();
	if (child == 0) {
		pid_t grandchild = fork();

		if (grandchild == 0)
			_exit(get(argv[0]));
		_exit(get(argv[0]) != 0 || status_of(grandchild) != 0);
	}
	PART_CHECK(get(argv[0]) == CURLE_OK);
	PART_CHECK(status_of(child) == 0);
	PART_CHECK(get(argv[0]) == CURLE_OK);
	return 0;
}

static pid_t forked;

static size_t fork_inside(char *data, size_t size, size_t count, void *user)
{
	(void)data;
	(void)user;
	if (forked == 0) {
		forked = fork();
		if (forked == 0)
			forked = -1;
	}
	return size * count;
}

/* The child comes back out of its parent's transfer: that is the parent's to settle. */
static int a_child_returns_from_its_parent_s_transfer(int argc, char **argv)
{
	CURL *h = curl_easy_init();

	(void)argc;
	curl_easy_setopt(h, CURLOPT_URL, argv[0]);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, fork_inside);
	PART_CHECK(curl_easy_perform(h) == CURLE_OK);
	if (forked == -1)
		exit(get(argv[0])); /* with destructors */
	PART_CHECK(forked > 0);
	PART_CHECK(status_of(forked) == 0);
	curl_easy_cleanup(h);
	return 0;
}

/* libcurl calls it with the connection made and the request about to be sent. */
static int tell(void *fd, char *address, char *local, int port, int local_port)
{
	(void)address;
	(void)local;
	(void)port;
	(void)local_port;
	return write(*(int *)fd, "", 1) == 1 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static int get_and_tell(const char *url, int *fd)
{
	CURL *h = curl_easy_init();

	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, drop);
	curl_easy_setopt(h, CURLOPT_PREREQFUNCTION, tell);
	curl_easy_setopt(h, CURLOPT_PREREQDATA, fd);
	return (int)curl_easy_perform(h);
}

/* The child dies in the middle of its transfer. Its permit is the only one there is. */
static int a_killed_child(int argc, char **argv)
{
	int sent[2];
	pid_t child;
	char byte;

	(void)argc;
	PART_CHECK(pipe(sent) == 0);
	child = fork();
	if (child == 0)
		_exit(get_and_tell(argv[1], &sent[1]));
	PART_CHECK(read(sent[0], &byte, 1) == 1);
	PART_CHECK(kill(child, SIGKILL) == 0);
	PART_CHECK(status_of(child) == 1000 + SIGKILL);
	PART_CHECK(get(argv[0]) == CURLE_OK);
	return 0;
}

/* exec in the middle of a transfer: the process goes on as another program, with the same pid and start time. */
static size_t exec_inside(char *data, size_t size, size_t count, void *url)
{
	(void)data;
	execlp("curl", "curl", "-s", "-o", "/dev/null", (char *)url, (char *)NULL);
	return size * count;
}

static int exec_in_a_transfer(int argc, char **argv)
{
	CURL *h = curl_easy_init();

	(void)argc;
	curl_easy_setopt(h, CURLOPT_URL, argv[0]);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, exec_inside);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, argv[0]);
	curl_easy_perform(h);
	return 1;
}

/* A program that makes no request: nobody but the exec itself can end what its predecessor had in flight. */
static size_t exec_a_sleeper(char *data, size_t size, size_t count, void *user)
{
	(void)data;
	(void)user;
	execlp("sleep", "sleep", "60", (char *)NULL);
	return size * count;
}

static int exec_a_sleeper_in_a_transfer(int argc, char **argv)
{
	CURL *h = curl_easy_init();

	(void)argc;
	curl_easy_setopt(h, CURLOPT_URL, argv[0]);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, exec_a_sleeper);
	curl_easy_perform(h);
	return 1;
}

static int exec_a_sleeper_while_connecting(int argc, char **argv)
{
	char name[] = "sleep", seconds[] = "60";
	char *const arguments[] = {name, seconds, NULL};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	(void)argc;
	a.sin_port = htons((uint16_t)atoi(strrchr(argv[0], ':') + 1));
	PART_CHECK(connect(fd, (struct sockaddr *)&a, sizeof a) == -1 && errno == EINPROGRESS);
	execv("/bin/sleep", arguments);
	return 1;
}

/* exec fails: the transfer goes on. */
static size_t exec_nothing(char *data, size_t size, size_t count, void *failures)
{
	char *const none[] = {NULL};
	int *failed = failures;

	(void)data;
	*failed += execl("/no/such/program", "x", "y", (char *)NULL) == -1 && errno == ENOENT;
	*failed += execve("/no/such/program", none, none) == -1 && errno == ENOENT;
	*failed += execvp("no-such-program", none) == -1 && errno == ENOENT;
	return size * count;
}

static int exec_fails_in_a_transfer(int argc, char **argv)
{
	CURL *h = curl_easy_init();
	int failures = 0;

	(void)argc;
	curl_easy_setopt(h, CURLOPT_URL, argv[0]);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, exec_nothing);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, &failures);
	PART_CHECK(curl_easy_perform(h) == CURLE_OK);
	PART_CHECK(failures == 3);
	curl_easy_cleanup(h);
	PART_CHECK(get(argv[0]) == CURLE_OK);
	return 0;
}

static size_t vfork_inside(char *data, size_t size, size_t count, void *user)
{
	char name[] = "true";
	char *const arguments[] = {name, NULL};
	pid_t child;

	(void)data;
	(void)user;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	child = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork): that programs do this is the point */
#pragma GCC diagnostic pop
	if (child == 0) {
		execvp("true", arguments);
		_exit(1);
	}
	return status_of(child) == 0 ? size * count : 0;
}

static int a_vfork_child_execs_in_a_transfer(int argc, char **argv)
{
	CURL *h = curl_easy_init();

	(void)argc;
	curl_easy_setopt(h, CURLOPT_URL, argv[0]);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, vfork_inside);
	PART_CHECK(curl_easy_perform(h) == CURLE_OK);
	curl_easy_cleanup(h);
	return 0;
}

#define TEN(x)      x, x, x, x, x, x, x, x, x, x
#define THOUSAND(x) TEN(TEN(TEN(x)))
#define SHELL       "[ $$ != 0 ] && echo $# $1 ${WORD-none} ${HOME:+home}"

static int forms_of_exec(int argc, char **argv)
{
	char word[] = "WORD=word", name[] = "sh", option[] = "-c", text[] = SHELL, one[] = "one";
	char *const env[] = {word, NULL}, *const arguments[] = {name, option, text, name, one, NULL};

	(void)argc;
	PART_CHECK(get(argv[0]) == CURLE_OK);
	for (int form = 0; form < 10; form++) {
		pid_t child = fork();

		if (child == 0) {
			switch (form) {
			case 0:
				execl("/bin/sh", "sh", "-c", SHELL, "sh", "one", (char *)NULL);
				break;
			case 1:
				execle("/bin/sh", "sh", "-c", SHELL, "sh", "one", (char *)NULL, env);
				break;
			case 2:
				execlp("sh", "sh", "-c", SHELL, "sh", "one", (char *)NULL);
				break;
			case 3:
				execv("/bin/sh", arguments);
				break;
			case 4:
				execve("/bin/sh", arguments, env);
				break;
			case 5:
				execvp("sh", arguments);
				break;
			case 6:
				execvpe("sh", arguments, env);
				break;
			case 7:
				fexecve(open("/bin/sh", O_RDONLY), arguments, env);
				break;
			case 8:
				execveat(AT_FDCWD, "/bin/sh", arguments, env, 0);
				break;
			default:
				execle("/bin/sh", "sh", "-c", SHELL, "sh", THOUSAND("x"), THOUSAND("x"), (char *)NULL, env);
				break;
			}
			_exit(1);
		}
		PART_CHECK(status_of(child) == 0);
	}
	return 0;
}

static int spawned(int argc, char **argv)
{
	char name[] = "curl", silent[] = "-s", out[] = "-o", null[] = "/dev/null";
	char *const arguments[] = {name, silent, out, null, argv[0], NULL};
	pid_t child;

	(void)argc;
	PART_CHECK(get(argv[0]) == CURLE_OK);
	PART_CHECK(posix_spawnp(&child, "curl", NULL, NULL, arguments, environ) == 0);
	PART_CHECK(status_of(child) == 0);
	return 0;
}

static void *get_in_thread(void *url)
{
	for (int i = 0; i < 20; i++) {
		if (get(url) != CURLE_OK)
			return url;
	}
	return NULL;
}

/* Threads in the middle of transfers while another one forks. */
static int forks_among_threads(int argc, char **argv)
{
	pthread_t threads[4];
	void *failed;

	(void)argc;
	curl_global_init(CURL_GLOBAL_ALL);
	for (size_t i = 0; i < 4; i++)
		PART_CHECK(pthread_create(&threads[i], NULL, get_in_thread, argv[0]) == 0);
	for (int i = 0; i < 10; i++) {
		pid_t child = fork();

		if (child == 0) {
			alarm(20);
			_exit(get(argv[0]));
		}
		PART_CHECK(status_of(child) == 0);
	}
	for (size_t i = 0; i < 4; i++) {
		PART_CHECK(pthread_join(threads[i], &failed) == 0);
		PART_CHECK(failed == NULL);
	}
	return 0;
}

/* The very first requests of a process, from many threads at once. */
static int threads_from_the_start(int argc, char **argv)
{
	pthread_t threads[8];
	void *failed;

	(void)argc;
	curl_global_init(CURL_GLOBAL_ALL);
	for (size_t i = 0; i < 8; i++)
		PART_CHECK(pthread_create(&threads[i], NULL, get_in_thread, argv[0]) == 0);
	for (size_t i = 0; i < 8; i++) {
		PART_CHECK(pthread_join(threads[i], &failed) == 0);
		PART_CHECK(failed == NULL);
	}
	return 0;
}

static const struct host_part parts[] = {
	{"children_and_grandchildren", children_and_grandchildren},
	{"a_child_returns_from_its_parent_s_transfer", a_child_returns_from_its_parent_s_transfer},
	{"a_killed_child", a_killed_child},
	{"exec_in_a_transfer", exec_in_a_transfer},
	{"exec_a_sleeper_in_a_transfer", exec_a_sleeper_in_a_transfer},
	{"exec_a_sleeper_while_connecting", exec_a_sleeper_while_connecting},
	{"exec_fails_in_a_transfer", exec_fails_in_a_transfer},
	{"a_vfork_child_execs_in_a_transfer", a_vfork_child_execs_in_a_transfer},
	{"forms_of_exec", forms_of_exec},
	{"spawned", spawned},
	{"forks_among_threads", forks_among_threads},
	{"threads_from_the_start", threads_from_the_start},
};

static struct host_counts run_it(void **state, const char *part)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	struct host_counts n;
	char key[64];

	expect_part(scene, part, quotad_url(server, "/bytes/100"), quotad_url(server, "/delay/10000"));
	n = counts_of(scene, host_port_of(key, "127.0.0.1", server->http_port));
	assert_int_equal(n.permits, 0);
	assert_int_equal(leases_held(scene), 0);
	return n;
}

static void children_share_the_budget_under_their_own_name(void **state)
{
	struct host_counts n = run_it(state, "children_and_grandchildren");

	assert_int_equal(n.admitted, 5);
	assert_int_equal(n.succeeded, 5);
}

static void a_child_does_not_settle_its_parent_s_transfer(void **state)
{
	struct host_counts n = run_it(state, "a_child_returns_from_its_parent_s_transfer");

	assert_int_equal(n.admitted, 2);
	assert_int_equal(n.succeeded, 2);
}

static void a_killed_child_holds_no_permit(void **state)
{
	static const char config[] = "hosts = ( { match = \"*\"; concurrency = { mode = \"fixed\"; max = 1; }; } );\n";
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char *file = write_file(scene->dir, "weir.conf", config), setting[600], key[64];
	const char *env[] = {setting, NULL};
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	const char *argv[] = {self, "--part", "a_killed_child", quotad_url(server, "/n/1"), quotad_url(server, "/delay/10000"),
			      NULL};
	struct outcome o;

	assert_true(n > 0);
	self[n] = '\0';
	snprintf(setting, sizeof setting, "WEIR_CONFIG=%s", file);
	o = command_run(&(struct command){.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .env = env});
	if (o.exit_status != 0)
		fail_msg("%s%s", o.out, o.err);
	assert_true(o.seconds < 3);
	outcome_free(&o);
	assert_int_equal(counts_under(scene, file, host_port_of(key, "127.0.0.1", server->http_port)).succeeded, 1);
	assert_int_equal(counts_under(scene, file, key).permits, 0);
	free(file);
}

static void exec_in_a_transfer_leaves_no_permit(void **state)
{
	struct host_counts n = run_it(state, "exec_in_a_transfer");

	assert_int_equal(n.succeeded, 1);
	assert_int_equal(n.ignored, 1);
}

struct sleeper {
	struct scene *scene;
	char host_port[64];
	pid_t pid;
};

static bool is_asleep(void *sleeper)
{
	struct sleeper *s = sleeper;
	char path[64], name[32] = "";
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/comm", (int)s->pid);
	f = fopen(path, "r");
	if (f && !fgets(name, sizeof name, f))
		name[0] = '\0';
	if (f)
		fclose(f);
	return strcmp(name, "sleep\n") == 0 && counts_of(s->scene, s->host_port).admitted == 1;
}

/* The part turns into a sleeper, which lives on. */
static void expect_no_lease_of_a_sleeper(void **state, const char *part, const char *outage)
{
	struct sleeper s = {.scene = *state};
	struct quotad *server = quotad_start(s.scene->dir, NULL);
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	const char *argv[] = {self, "--part", part, quotad_url(server, "/n/1"), NULL};
	struct running *r;
	struct outcome o;

	assert_true(n > 0);
	self[n] = '\0';
	host_port_of(s.host_port, "127.0.0.1", server->http_port);
	if (outage)
		quotad_outage(server, outage, 0);
	r = command_start(&(struct command){.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = s.scene->dir});
	s.pid = command_pid(r);
	assert_true(wait_until(is_asleep, &s, 10));
	assert_int_equal(leases_held(s.scene), 0);
	assert_int_equal(counts_of(s.scene, s.host_port).permits, 0);
	assert_int_equal(counts_of(s.scene, s.host_port).ignored, 1);
	command_signal(r, SIGKILL);
	o = command_wait(r);
	outcome_free(&o);
	if (outage)
		quotad_outage(server, "none", 0);
}

static void exec_of_a_program_without_requests_leaves_no_permit(void **state)
{
	expect_no_lease_of_a_sleeper(state, "exec_a_sleeper_in_a_transfer", NULL);
}

static void exec_leaves_no_connect_under_way(void **state)
{
	expect_no_lease_of_a_sleeper(state, "exec_a_sleeper_while_connecting", "blackhole");
}

static void an_exec_that_fails_lets_the_transfer_go_on(void **state)
{
	struct host_counts n = run_it(state, "exec_fails_in_a_transfer");

	assert_int_equal(n.succeeded, 1);
	assert_int_equal(n.ignored, 1);
}

static void exec_in_a_vfork_child_is_nothing_to_its_parent(void **state)
{
	struct host_counts n = run_it(state, "a_vfork_child_execs_in_a_transfer");

	assert_int_equal(n.succeeded, 1);
	assert_int_equal(n.ignored, 0);
}

static void every_form_of_exec_hands_over_arguments_and_environment(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	const char *url = quotad_url(server, "/n/1");
	struct outcome bare = run_part(scene, COMMAND_BARE, "forms_of_exec", url, NULL);
	struct outcome under = run_part(scene, COMMAND_UNDER_WEIR, "forms_of_exec", url, NULL);

	assert_int_equal(bare.exit_status, 0);
	assert_int_equal(under.exit_status, 0);
	assert_non_null(strstr(bare.out, "2000 x word"));
	assert_string_equal(under.out, bare.out);
	outcome_free(&bare);
	outcome_free(&under);
}

static void a_spawned_program_is_limited_too(void **state)
{
	assert_int_equal(run_it(state, "spawned").succeeded, 2);
}

static void forks_among_threads_do_no_harm(void **state)
{
	assert_int_equal(run_it(state, "forks_among_threads").succeeded, 4 * 20 + 10);
}

static void threads_that_start_together_are_all_counted(void **state)
{
	assert_int_equal(run_it(state, "threads_from_the_start").succeeded, 8 * 20);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SCENE(children_share_the_budget_under_their_own_name),
		SCENE(a_child_does_not_settle_its_parent_s_transfer),
		SCENE(a_killed_child_holds_no_permit),
		SCENE(exec_in_a_transfer_leaves_no_permit),
		SCENE(exec_of_a_program_without_requests_leaves_no_permit),
		SCENE(exec_leaves_no_connect_under_way),
		SCENE(an_exec_that_fails_lets_the_transfer_go_on),
		SCENE(exec_in_a_vfork_child_is_nothing_to_its_parent),
		SCENE(every_form_of_exec_hands_over_arguments_and_environment),
		SCENE(a_spawned_program_is_limited_too),
		SCENE(forks_among_threads_do_no_harm),
		SCENE(threads_that_start_together_are_all_counted),
	};
	int status = host_part_run(argc, argv, parts, sizeof parts / sizeof parts[0]);

	return status >= 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
