/* What weir leaves in a process that has used it: nothing. */
#include "tests/harness/harness.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <curl/curl.h>

#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/host_program.h"

#define LISTING 16384

/* The names in a directory of /proc/self, with what the links in it point to. */
static void list(const char *directory, char out[LISTING])
{
	struct dirent **names;
	int n = scandir(directory, &names, NULL, alphasort);
	size_t length = 0;

	out[0] = '\0';
	for (int i = 0; i < n; i++) {
		char path[512], target[256];
		ssize_t got;

		snprintf(path, sizeof path, "%s/%s", directory, names[i]->d_name);
		got = readlink(path, target, sizeof target - 1);
		target[got < 0 ? 0 : got] = '\0';
		/* scandir's own descriptor was closed before the links were read. */
		if (names[i]->d_name[0] != '.' && (strstr(directory, "/fd") == NULL || got >= 0) && length + 800 < LISTING)
			length += (size_t)snprintf(out + length, LISTING - length, "%s -> %s\n", names[i]->d_name, target);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

static void list_signals(char out[LISTING])
{
	struct sigaction action;
	sigset_t blocked;
	size_t length = 0;

	sigprocmask(SIG_BLOCK, NULL, &blocked);
	for (int s = 1; s < 65; s++) {
		if (sigaction(s, NULL, &action) != 0)
			continue;
		length += (size_t)snprintf(out + length, LISTING - length, "%d: %p %d\n", s, (void *)action.sa_handler,
					   sigismember(&blocked, s));
	}
}

static void list_environment(char out[LISTING])
{
	size_t length = 0;

	out[0] = '\0';
	for (char **e = environ; *e && length + 1000 < LISTING; e++)
		length += (size_t)snprintf(out + length, LISTING - length, "%.900s\n", *e);
}

struct state_of_process {
	char fds[LISTING], threads[LISTING], signals[LISTING], environment[LISTING];
};

static void look(struct state_of_process *s)
{
	list("/proc/self/fd", s->fds);
	list("/proc/self/task", s->threads);
	list_signals(s->signals);
	list_environment(s->environment);
}

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
	code = curl_easy_perform(h);
	curl_easy_cleanup(h);
	return (int)code;
}

static int same_before_and_after(int argc, char **argv)
{
	static struct state_of_process before, after;

	(void)argc;
	curl_global_init(CURL_GLOBAL_ALL);
	look(&before);
	PART_CHECK(get(argv[0]) == CURLE_OK);
	look(&after);
	if (strcmp(before.fds, after.fds) != 0)
		fprintf(stderr, "descriptors before:\n%safter:\n%s", before.fds, after.fds);
	PART_CHECK(strcmp(before.fds, after.fds) == 0);
	PART_CHECK(strcmp(before.threads, after.threads) == 0);
	PART_CHECK(strcmp(before.signals, after.signals) == 0);
	PART_CHECK(strcmp(before.environment, after.environment) == 0);
	return 0;
}

static volatile sig_atomic_t children_told;

static void on_child(int signal)
{
	(void)signal;
	children_told++;
}

/* The agent is started from here and is no child that wait() or SIGCHLD would tell of. */
static int no_child(int argc, char **argv)
{
	struct sigaction told = {.sa_handler = on_child};
	int status;

	(void)argc;
	sigaction(SIGCHLD, &told, NULL);
	PART_CHECK(get(argv[0]) == CURLE_OK);
	PART_CHECK(wait(&status) == -1 && errno == ECHILD);
	PART_CHECK(waitpid(-1, &status, WNOHANG) == -1 && errno == ECHILD);
	PART_CHECK(waitpid(-1, &status, WNOHANG | __WALL) == -1 && errno == ECHILD);
	PART_CHECK(children_told == 0);
	return 0;
}

/* A child makes a request, and thereby starts the agent. */
static bool child_gets(const char *url)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(get(url) == CURLE_OK ? 0 : 1);
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* It adopts its descendants' orphans and waits until there are none, as service managers and test runners do. */
static int wait_for_orphans(int argc, char **argv)
{
	double begun = monotonic_s();
	int status, orphans = 0;

	(void)argc;
	PART_CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	for (int i = 0; i < 3; i++) {
		PART_CHECK(child_gets(argv[0]));
		while (wait(&status) > 0)
			orphans++;
		PART_CHECK(errno == ECHILD);
		usleep(1100000); /* the agent would be started again by now */
	}
	/* One agent came and left; with none running all the same, it is not tried again and again. */
	PART_CHECK(orphans <= 1);
	PART_CHECK(monotonic_s() - begun < 10);
	return 0;
}

static int no_child_as_init(int argc, char **argv)
{
	int status;

	(void)argc;
	PART_CHECK(getpid() == 1);
	PART_CHECK(child_gets(argv[0]));
	PART_CHECK(waitpid(-1, &status, WNOHANG | __WALL) == -1 && errno == ECHILD);
	PART_CHECK(get(argv[0]) == CURLE_OK);
	PART_CHECK(wait(&status) == -1 && errno == ECHILD);
	return 0;
}

static long heap_bytes(void)
{
	char line[256];
	long bytes = 0;
	unsigned long from, to;
	FILE *f = fopen("/proc/self/maps", "r");

	while (f && fgets(line, sizeof line, f)) {
		if (strstr(line, "[heap]") && sscanf(line, "%lx-%lx", &from, &to) == 2)
			bytes = (long)(to - from);
	}
	if (f)
		fclose(f);
	return bytes;
}

static int no_growth(int argc, char **argv)
{
	CURL *h = curl_easy_init();
	long before;

	(void)argc;
	curl_easy_setopt(h, CURLOPT_URL, argv[0]);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, drop);
	for (int i = 0; i < 200; i++)
		PART_CHECK(curl_easy_perform(h) == CURLE_OK);
	before = heap_bytes();
	for (int i = 0; i < 2000; i++)
		PART_CHECK(curl_easy_perform(h) == CURLE_OK);
	PART_CHECK(heap_bytes() == before);
	curl_easy_cleanup(h);
	return 0;
}

/* Programs that daemonise close all descriptors, also the ones they do not know. */
static int close_everything_and_go_on(int argc, char **argv)
{
	(void)argc;
	PART_CHECK(get(argv[0]) == CURLE_OK);
	for (int fd = 3; fd < 200; fd++)
		close(fd);
	PART_CHECK(get(argv[0]) == CURLE_OK);
	return 0;
}

static int a_changed_environment(int argc, char **argv)
{
	(void)argc;
	PART_CHECK(get(argv[0]) == CURLE_OK);
	PART_CHECK(clearenv() == 0);
	PART_CHECK(chdir("/") == 0);
	PART_CHECK(get(argv[0]) == CURLE_OK);
	return 0;
}

static const struct host_part parts[] = {
	{"same_before_and_after", same_before_and_after},
	{"no_child", no_child},
	{"wait_for_orphans", wait_for_orphans},
	{"no_child_as_init", no_child_as_init},
	{"no_growth", no_growth},
	{"close_everything_and_go_on", close_everything_and_go_on},
	{"a_changed_environment", a_changed_environment},
};

static void run_it(void **state, const char *part, uint64_t requests)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char key[64];

	expect_part(scene, part, quotad_url(server, "/n/1"), NULL);
	assert_int_equal(counts_of(scene, host_port_of(key, "127.0.0.1", server->http_port)).succeeded, requests);
}

static void no_descriptor_thread_handler_or_variable_is_left(void **state)
{
	run_it(state, "same_before_and_after", 1);
}

static void no_child_is_left(void **state)
{
	run_it(state, "no_child", 1);
}

static void a_program_that_waits_for_orphans_does_not_wait_for_the_agent(void **state)
{
	run_it(state, "wait_for_orphans", 3);
}

static void init_of_a_container_gets_no_child(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	struct command c = {.shell = "unshare -pf --mount-proc true", .mode = COMMAND_BARE};
	char line[PATH_MAX + 200], self[PATH_MAX], key[64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	struct outcome o = command_run(&c);
	bool possible = o.exit_status == 0;

	outcome_free(&o);
	if (!possible) {
		print_message("    skipped: no PID namespace can be made here\n");
		skip();
	}
	/* A sanitized program that unshare starts is one that exec keeps the library from. */
	if (getenv("WEIR_TEST_PRELOAD_BEFORE"))
		skip();
	assert_true(n > 0);
	self[n] = '\0';
	snprintf(line, sizeof line, "unshare -pf --mount-proc '%s' --part no_child_as_init %s", self, quotad_url(server, "/n/1"));
	c = (struct command){.shell = line, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	o = command_run(&c);
	if (o.exit_status != 0)
		fail_msg("exit %d, signal %d: %s%s", o.exit_status, o.signal, o.out, o.err);
	outcome_free(&o);
	assert_int_equal(counts_of(scene, host_port_of(key, "127.0.0.1", server->http_port)).succeeded, 2);
}

static void the_heap_does_not_grow(void **state)
{
	run_it(state, "no_growth", 2200);
}

static void a_program_may_close_every_descriptor(void **state)
{
	run_it(state, "close_everything_and_go_on", 2);
}

static void a_program_may_clear_its_environment_later(void **state)
{
	run_it(state, "a_changed_environment", 2);
}

static void nothing_is_written_unless_it_is_asked_for(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	struct outcome o = run_part(scene, COMMAND_UNDER_WEIR, "same_before_and_after", quotad_url(server, "/n/1"), NULL);

	assert_string_equal(o.out, "");
	assert_string_equal(o.err, "");
	outcome_free(&o);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SCENE(no_descriptor_thread_handler_or_variable_is_left),
		SCENE(no_child_is_left),
		SCENE(a_program_that_waits_for_orphans_does_not_wait_for_the_agent),
		SCENE(init_of_a_container_gets_no_child),
		SCENE(the_heap_does_not_grow),
		SCENE(a_program_may_close_every_descriptor),
		SCENE(a_program_may_clear_its_environment_later),
		SCENE(nothing_is_written_unless_it_is_asked_for),
	};
	int status = host_part_run(argc, argv, parts, sizeof parts / sizeof parts[0]);

	return status >= 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
