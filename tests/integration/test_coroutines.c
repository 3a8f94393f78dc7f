/* Programs that leave a transfer for a while, or for good: coroutines, jumps and exceptions out of libcurl's callbacks. */
#include "tests/harness/harness.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>

#include <curl/curl.h>

#include "tests/integration/closed_port.h"
#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/host_program.h"

#define STACK (512 * 1024)

/* Two coroutines on stacks of their own, one above the other. */
static ucontext_t outside, inner[2];
static char *url[2];
static int failures;
static bool left, back; /* the first one has let the second one go on, and the second one the first */

static void start(int which, char *stack, void (*run)(void))
{
	getcontext(&inner[which]);
	inner[which].uc_stack.ss_sp = stack;
	inner[which].uc_stack.ss_size = STACK;
	inner[which].uc_link = &outside;
	makecontext(&inner[which], run, 0);
}

/* Runs the first one on the upper stack or on the lower one until all are over. */
static int run_both(bool first_above, void (*first)(void), void (*second)(void))
{
	char *stacks = mmap(NULL, (size_t)2 * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	PART_CHECK(stacks != MAP_FAILED);
	start(0, stacks + (first_above ? STACK : 0), first);
	start(1, stacks + (first_above ? 0 : STACK), second);
	PART_CHECK(swapcontext(&outside, &inner[0]) == 0);
	PART_CHECK(failures == 0);
	return 0;
}

static int on_both_sides(void (*first)(void), void (*second)(void))
{
	int status;

	status = run_both(false, first, second);
	left = back = false;
	return status != 0 ? status : run_both(true, first, second);
}

static void check(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "%s\n", what);
		failures++;
	}
}

static size_t let_the_other_go_on(char *data, size_t size, size_t count, void *user)
{
	(void)data;
	(void)user;
	if (!left) {
		left = true;
		swapcontext(&inner[0], &inner[1]);
	}
	return size * count;
}

static size_t drop(char *data, size_t size, size_t count, void *user)
{
	(void)data;
	(void)user;
	return size * count;
}

static CURL *handle_for(const char *where)
{
	CURL *h = curl_easy_init();

	curl_easy_setopt(h, CURLOPT_URL, where);
	curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, drop);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	return h;
}

/* Lets the other one go on from the head of its first answer. */
static void transfer_and_switch(void)
{
	CURL *h = handle_for(url[0]);

	curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, let_the_other_go_on);
	check(curl_easy_perform(h) == CURLE_OK, "the transfer on the first stack");
	curl_easy_cleanup(h);
}

static void connect_four_times(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	to.sin_port = htons((uint16_t)atoi(url[1]));
	for (int i = 0; i < 4; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		check(connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "a connect on the second stack");
		close(fd);
	}
	swapcontext(&inner[1], &inner[0]);
}

static size_t go_back(char *data, size_t size, size_t count, void *user)
{
	(void)data;
	(void)user;
	if (!back) {
		back = true;
		swapcontext(&inner[1], &inner[0]);
	}
	return size * count;
}

/* The first one ends while this one is inside its own transfer. */
static void transfer_and_go_back(void)
{
	CURL *h = handle_for(url[1]);

	curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, go_back);
	check(curl_easy_perform(h) == CURLE_OK, "the transfer on the second stack");
	curl_easy_cleanup(h);
}

static int connects_beside(int argc, char **argv)
{
	PART_CHECK(argc == 2);
	url[0] = argv[0];
	url[1] = argv[1];
	return on_both_sides(transfer_and_switch, connect_four_times);
}

static void first_and_then_the_second_s_end(void)
{
	transfer_and_switch();
	swapcontext(&inner[0], &inner[1]);
}

static void second_and_out(void)
{
	transfer_and_go_back();
	setcontext(&outside);
}

static int transfers_beside(int argc, char **argv)
{
	PART_CHECK(argc == 2);
	url[0] = argv[0];
	url[1] = argv[1];
	return on_both_sides(first_and_then_the_second_s_end, second_and_out);
}

static size_t connect_inside(char *data, size_t size, size_t count, void *port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)data;
	to.sin_port = htons((uint16_t)atoi(port));
	check(connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "a connect in a callback");
	close(fd);
	return size * count;
}

static int connects_in_a_callback(int argc, char **argv)
{
	CURL *h = handle_for(argv[0]);

	PART_CHECK(argc == 2);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, connect_inside);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, argv[1]);
	PART_CHECK(curl_easy_perform(h) == CURLE_OK);
	curl_easy_cleanup(h);
	return failures;
}

static jmp_buf out_of_here;

static size_t jump(char *data, size_t size, size_t count, void *user)
{
	(void)data;
	(void)size;
	(void)count;
	(void)user;
	longjmp(out_of_here, 1);
}

/* From so many bytes further down the stack. */
__attribute__((noinline)) static void perform_deeper(CURL *h, size_t bytes)
{
	volatile char *room = __builtin_alloca(bytes);

	room[0] = 0;
	curl_easy_perform(h);
	room[bytes - 1] = 0;
}

/* After a wait. The host lets one go at a time, and the handle is not cleaned up: the transfers after it need its permit. The
 * handle's copy still has the time-out that the program has set. */
static int a_jump_after_a_wait(int argc, char **argv)
{
	CURL *next, *copy;

	PART_CHECK(argc == 2);
	for (volatile size_t depth = 16; depth <= 65536; depth *= 4096) {
		CURL *h = handle_for(argv[0]);

		next = handle_for(argv[0]);
		PART_CHECK(curl_easy_perform(next) == CURLE_OK);
		curl_easy_cleanup(next);
		curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, jump);
		curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, 1500L);
		if (setjmp(out_of_here) == 0) {
			perform_deeper(h, depth);
			return 1;
		}
		next = handle_for(argv[0]);
		PART_CHECK(curl_easy_perform(next) == CURLE_OK);
		curl_easy_cleanup(next);
		if (depth > 16)
			continue;
		copy = curl_easy_duphandle(h);
		curl_easy_setopt(copy, CURLOPT_URL, argv[1]);
		curl_easy_setopt(copy, CURLOPT_WRITEFUNCTION, drop);
		PART_CHECK(curl_easy_perform(copy) == CURLE_OK);
		curl_easy_cleanup(copy);
	}
	return 0;
}

static int a_jump_and_a_sudden_end(int argc, char **argv)
{
	CURL *h = handle_for(argv[0]);

	(void)argc;
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, jump);
	if (setjmp(out_of_here) == 0) {
		curl_easy_perform(h);
		return 1;
	}
	curl_easy_cleanup(h);
	/* No destructor of the library runs: what is left is what was left behind. */
	_exit(0);
}

/* More transfers at once than a thread has hands: each begins in a callback of the one before. */
static size_t begin_another(char *data, size_t size, size_t count, void *user)
{
	int *to_come = user;
	CURL *h;

	(void)data;
	if (--*to_come > 0) {
		h = handle_for(url[0]);
		curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, begin_another);
		curl_easy_setopt(h, CURLOPT_WRITEDATA, to_come);
		check(curl_easy_perform(h) == CURLE_OK, "a transfer inside many");
		curl_easy_cleanup(h);
	}
	return size * count;
}

static int many_at_once(int argc, char **argv)
{
	CURL *h = handle_for(argv[0]);
	int count = atoi(argv[1]);

	(void)argc;
	url[0] = argv[0];
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, begin_another);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, &count);
	PART_CHECK(curl_easy_perform(h) == CURLE_OK);
	curl_easy_cleanup(h);
	return failures;
}

static const struct host_part parts[] = {
	{"connects_beside", connects_beside},
	{"transfers_beside", transfers_beside},
	{"connects_in_a_callback", connects_in_a_callback},
	{"a_jump_after_a_wait", a_jump_after_a_wait},
	{"a_jump_and_a_sudden_end", a_jump_and_a_sudden_end},
	{"many_at_once", many_at_once},
};

static const char *key_of(const struct quotad *server)
{
	static char host_port[64];

	return host_port_of(host_port, "127.0.0.1", server->http_port);
}

static void configure(struct scene *scene, const struct quotad *server, const char *limits)
{
	char rules[300];

	snprintf(rules, sizeof rules, "hosts = ( { match = \"%s\"; %s } );\n", key_of(server), limits);
	scene_configure(scene, rules);
}

static char *port_of(const struct quotad *server)
{
	static char port[16];

	snprintf(port, sizeof port, "%d", server->http_port);
	return port;
}

static void connects_of_one_coroutine_are_limited_while_another_is_inside_a_transfer(void **state)
{
	struct scene *scene = *state;
	struct quotad *one = quotad_start(scene->dir, NULL), *two = quotad_start(scene->dir, NULL);
	struct host_counts n;

	configure(scene, two, "rate = { strategy = \"fixed\"; max = \"10/s\"; burst = 1; };");
	expect_part(scene, "connects_beside", quotad_url(one, "/n/1"), port_of(two));
	n = counts_of(scene, key_of(one));
	assert_int_equal(n.succeeded, 2);
	assert_int_equal(n.ignored, 0);
	assert_int_equal(n.permits, 0);
	n = counts_of(scene, key_of(two));
	assert_int_equal(n.admitted, 8);
	assert_int_equal(n.succeeded, 8);
	assert_true(n.delayed >= 5); /* a slow machine may be later than its turn now and then */
	assert_int_equal(n.permits, 0);
	assert_int_equal(leases_held(scene), 0);
}

/* The first transfer is redirected after the second one has begun, and ends before it: each connect belongs to its own. */
static void two_coroutines_inside_transfers_have_each_its_own_connects(void **state)
{
	struct scene *scene = *state;
	struct quotad *one = quotad_start(scene->dir, NULL), *two = quotad_start(scene->dir, NULL),
		      *three = quotad_start(scene->dir, NULL);
	char path[64];
	struct host_counts n;

	snprintf(path, sizeof path, "/redirect/%d/n/5", three->http_port);
	expect_part(scene, "transfers_beside", quotad_url(one, path), quotad_url(two, "/n/1"));
	n = counts_of(scene, key_of(one));
	assert_int_equal(n.admitted, 2);
	assert_int_equal(n.succeeded, 2);
	n = counts_of(scene, key_of(two));
	assert_int_equal(n.admitted, 2);
	assert_int_equal(n.succeeded, 2);
	n = counts_of(scene, key_of(three));
	assert_int_equal(n.admitted, 2);
	assert_int_equal(n.succeeded, 2);
	assert_int_equal(leases_held(scene), 0);
}

/* A thread that waited for a permit which it holds itself would wait in vain. */
static void a_coroutine_does_not_wait_for_the_permit_of_another_one_of_its_thread(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char both[64];
	struct host_counts n;

	configure(scene, server, "concurrency = { mode = \"fixed\"; max = 1; }; wait = { max = \"1s\"; };");
	snprintf(both, sizeof both, "%s", quotad_url(server, "/n/1"));
	expect_part(scene, "transfers_beside", both, both);
	n = counts_of(scene, key_of(server));
	assert_int_equal(n.succeeded, 4);
	assert_int_equal(n.refused, 0);
	assert_int_equal(n.permits, 0);
}

static void a_connect_in_a_callback_is_a_request_of_its_own(void **state)
{
	struct scene *scene = *state;
	struct quotad *one = quotad_start(scene->dir, NULL), *two = quotad_start(scene->dir, NULL);

	expect_part(scene, "connects_in_a_callback", quotad_url(one, "/n/1"), port_of(two));
	assert_int_equal(counts_of(scene, key_of(one)).succeeded, 1);
	assert_int_equal(counts_of(scene, key_of(two)).succeeded, 1);
}

static void a_jump_out_of_a_transfer_after_a_wait_leaves_nothing(void **state)
{
	struct scene *scene = *state;
	struct quotad *one = quotad_start(scene->dir, NULL), *two = quotad_start(scene->dir, NULL);
	struct host_counts n;

	configure(scene, one,
		  "rate = { strategy = \"fixed\"; max = \"2/s\"; burst = 1; }; concurrency = { mode = \"fixed\"; max = 1; };");
	expect_part(scene, "a_jump_after_a_wait", quotad_url(one, "/n/1"), quotad_url(two, "/delay/1100"));
	n = counts_of(scene, key_of(one));
	assert_int_equal(n.admitted, 6);
	assert_int_equal(n.succeeded, 4);
	assert_int_equal(n.ignored, 2);
	assert_int_equal(n.permits, 0);
	assert_int_equal(counts_of(scene, key_of(two)).succeeded, 1);
	assert_int_equal(leases_held(scene), 0);
}

static void a_handle_that_is_cleaned_up_after_a_jump_has_nothing_in_flight(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	struct host_counts n;

	expect_part(scene, "a_jump_and_a_sudden_end", quotad_url(server, "/n/1"), NULL);
	n = counts_of(scene, key_of(server));
	assert_int_equal(n.ignored, 1);
	assert_int_equal(n.permits, 0);
	assert_int_equal(leases_held(scene), 0);
}

static void transfers_beyond_what_a_thread_can_hold_are_limited_as_well(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	struct host_counts n;

	expect_part(scene, "many_at_once", quotad_url(server, "/n/1"), "12");
	n = counts_of(scene, key_of(server));
	assert_int_equal(n.admitted, 12);
	assert_int_equal(n.succeeded + n.ignored, 12);
	assert_true(n.succeeded >= 8);
	assert_int_equal(n.permits, 0);
	assert_int_equal(leases_held(scene), 0);
}

/* Of C++: the exception passes through libcurl and the hook. */
static const char throws[] = "#include <curl/curl.h>\n"
			     "static size_t out(char *, size_t, size_t, void *) { throw 1; }\n"
			     "static size_t drop(char *, size_t size, size_t count, void *) { return size * count; }\n"
			     "static int get(const char *url, curl_write_callback write) {\n"
			     "	CURL *h = curl_easy_init();\n"
			     "	curl_easy_setopt(h, CURLOPT_URL, url);\n"
			     "	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, write);\n"
			     "	return curl_easy_perform(h);\n"
			     "}\n"
			     "int main(int, char **argv) {\n"
			     "	for (int i = 0; i < 2; i++) {\n"
			     "		try { get(argv[1], out); return 9; } catch (int) { }\n"
			     "	}\n"
			     "	return get(argv[1], drop);\n"
			     "}\n";

static void an_exception_out_of_a_transfer_leaves_nothing(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char *source, shell[600];
	struct outcome o;
	struct host_counts n;

	o = command_run(&(struct command){.shell = "command -v c++ >/dev/null"});
	if (o.exit_status != 0) {
		outcome_free(&o);
		skip();
	}
	outcome_free(&o);
	configure(scene, server, "concurrency = { mode = \"fixed\"; max = 1; }; wait = { max = \"1s\"; };");
	source = write_file(scene->dir, "throws.cc", throws);
	snprintf(shell, sizeof shell, "c++ -o %s.out %s -lcurl", source, source);
	o = command_run(&(struct command){.shell = shell, .dir = scene->dir});
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	snprintf(shell, sizeof shell, "%s.out %s", source, quotad_url(server, "/n/1"));
	o = command_run(&(struct command){.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir});
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	free(source);
	n = counts_of(scene, key_of(server));
	assert_int_equal(n.succeeded, 1);
	assert_int_equal(n.ignored, 2);
	assert_int_equal(n.permits, 0);
	assert_int_equal(leases_held(scene), 0);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SCENE(connects_of_one_coroutine_are_limited_while_another_is_inside_a_transfer),
		SCENE(two_coroutines_inside_transfers_have_each_its_own_connects),
		SCENE(a_coroutine_does_not_wait_for_the_permit_of_another_one_of_its_thread),
		SCENE(a_connect_in_a_callback_is_a_request_of_its_own),
		SCENE(a_jump_out_of_a_transfer_after_a_wait_leaves_nothing),
		SCENE(a_handle_that_is_cleaned_up_after_a_jump_has_nothing_in_flight),
		SCENE(transfers_beyond_what_a_thread_can_hold_are_limited_as_well),
		SCENE(an_exception_out_of_a_transfer_leaves_nothing),
	};
	int status = host_part_run(argc, argv, parts, sizeof parts / sizeof parts[0]);

	return status >= 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
