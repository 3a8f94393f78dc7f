/* A program that uses libcurl in its own ways: handles copied, reset, shared between URLs, jumped out of. */
#include "tests/harness/harness.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whatever the options' types: the hook hands on a word. */
#include <curl/curl.h>

#include "tests/harness/environment.h"
#include "tests/integration/curl_handle.h"
#include "tests/integration/closed_port.h"
#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/host_program.h"

static int status_of(CURL *h)
{
	long status = 0;

	curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

/* One handle for two URLs, then a redirect, then the first again: the effective URL of the transfer before says nothing. */
static int one_handle_for_all(int argc, char **argv)
{
	CURL *h = handle_for(argv[0]);

	(void)argc;
	PART_CHECK(curl_easy_perform(h) == CURLE_OK);
	PART_CHECK(curl_easy_setopt(h, CURLOPT_URL, argv[1]) == CURLE_OK);
	PART_CHECK(curl_easy_perform(h) == CURLE_OK);
	PART_CHECK(curl_easy_perform(h) == CURLE_OK);
	curl_easy_cleanup(h);
	return 0;
}

static int by_parts_of_a_url(int argc, char **argv)
{
	CURL *h = handle_for("http://never.asked.test/");
	CURLU *u = curl_url();

	(void)argc;
	PART_CHECK(curl_url_set(u, CURLUPART_URL, argv[0], 0) == CURLUE_OK);
	PART_CHECK(curl_easy_setopt(h, CURLOPT_CURLU, u) == CURLE_OK);
	PART_CHECK(curl_easy_perform(h) == CURLE_OK);
	PART_CHECK(status_of(h) == 200);
	curl_easy_cleanup(h);
	curl_url_cleanup(u);
	return 0;
}

static int by_port_option(int argc, char **argv)
{
	CURL *h = handle_for("http://127.0.0.1:9/n/1");

	(void)argc;
	PART_CHECK(curl_easy_setopt(h, CURLOPT_PORT, (long)atoi(argv[0])) == CURLE_OK);
	PART_CHECK(curl_easy_perform(h) == CURLE_OK);
	PART_CHECK(status_of(h) == 200);
	curl_easy_cleanup(h);
	return 0;
}

static int copied(int argc, char **argv)
{
	char text[CURL_ERROR_SIZE] = "";
	CURL *h = handle_for(argv[0]), *copy;

	(void)argc;
	curl_easy_setopt(h, CURLOPT_ERRORBUFFER, text);
	copy = curl_easy_duphandle(h);
	curl_easy_cleanup(h);
	for (int i = 0; i < 6; i++)
		PART_CHECK(curl_easy_perform(copy) == CURLE_COULDNT_CONNECT);
	PART_CHECK(strncmp(text, "weir: 127.0.0.1:", strlen("weir: 127.0.0.1:")) == 0);
	curl_easy_cleanup(copy);
	return 0;
}

/* After a reset the error buffer is the program's again, and may be gone. */
static int reset(int argc, char **argv)
{
	char text[CURL_ERROR_SIZE] = "";
	CURL *h = handle_for(argv[0]);

	(void)argc;
	curl_easy_setopt(h, CURLOPT_ERRORBUFFER, text);
	for (int i = 0; i < 5; i++)
		PART_CHECK(curl_easy_perform(h) == CURLE_COULDNT_CONNECT);
	curl_easy_reset(h);
	memset(text, 'x', sizeof text - 1);
	curl_easy_setopt(h, CURLOPT_URL, argv[0]);
	PART_CHECK(curl_easy_perform(h) == CURLE_COULDNT_CONNECT);
	PART_CHECK(text[0] == 'x');
	curl_easy_reset(h);
	PART_CHECK(curl_easy_perform(h) == CURLE_URL_MALFORMAT);
	curl_easy_cleanup(h);
	return 0;
}

static int nothing_set(int argc, char **argv)
{
	CURL *h = curl_easy_init();

	(void)argc;
	(void)argv;
	PART_CHECK(curl_easy_perform(h) == CURLE_URL_MALFORMAT);
	PART_CHECK(curl_easy_perform(NULL) == CURLE_BAD_FUNCTION_ARGUMENT);
	PART_CHECK(curl_easy_setopt(NULL, CURLOPT_URL, "x") == CURLE_BAD_FUNCTION_ARGUMENT);
	PART_CHECK(curl_easy_setopt(h, (CURLoption)99999, 1L) == CURLE_UNKNOWN_OPTION);
	curl_easy_cleanup(h);
	curl_easy_cleanup(NULL);
	return 0;
}

/* More handles than the table has places: the rest is asked of libcurl. */
static int very_many_handles(int argc, char **argv)
{
	static CURL *handles[1500];

	(void)argc;
	for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++) {
		handles[i] = handle_for(argv[0]);
		PART_CHECK(handles[i] != NULL);
	}
	for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i += 15)
		PART_CHECK(curl_easy_perform(handles[i]) == CURLE_OK && status_of(handles[i]) == 200);
	for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++)
		curl_easy_cleanup(handles[i]);
	return 0;
}

/* A large option type passes through the hook whole. */
static int large_values(int argc, char **argv)
{
	CURL *h = handle_for(argv[0]);
	curl_off_t limit = ((curl_off_t)5 << 32) + 1;

	(void)argc;
	PART_CHECK(curl_easy_setopt(h, CURLOPT_RESUME_FROM_LARGE, limit) == CURLE_OK);
	PART_CHECK(curl_easy_setopt(h, CURLOPT_MAXFILESIZE_LARGE, limit) == CURLE_OK);
	PART_CHECK(curl_easy_setopt(h, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)0) == CURLE_OK);
	PART_CHECK(curl_easy_perform(h) == CURLE_OK);
	curl_easy_cleanup(h);
	return 0;
}

static long os_errno_of(CURL *h)
{
	long number = -1;

	curl_easy_getinfo(h, CURLINFO_OS_ERRNO, &number);
	return number;
}

/* The program beside this test's build: the environment of a part does not name it. */
static bool own_weir(char out[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
	char *slash;

	out[n > 0 ? n : 0] = '\0';
	for (int i = 0; i < 3; i++) { /* tests/integration/NAME */
		slash = strrchr(out, '/');
		if (!slash)
			return false;
		*slash = '\0';
	}
	if (strlen(out) + sizeof "/weir" > PATH_MAX)
		return false;
	strcat(out, "/weir");
	return true;
}

/* Opens the breaker of the host of a URL, "http://HOST:PORT/...", which has been asked before. */
static int open_breaker(const char *url)
{
	char program[PATH_MAX], shell[PATH_MAX + 100];

	PART_CHECK(own_weir(program));
	snprintf(shell, sizeof shell, "exec '%s' breaker %.*s open >/dev/null", program, (int)strcspn(url + 7, "/"), url + 7);
	PART_CHECK(system(shell) == 0);
	return 0;
}

/* argv[1] redirects to argv[0]. */
static int refused_on_an_open_connection(int argc, char **argv)
{
	CURL *h = handle_for(argv[0]);
	long redirects = 0;

	PART_CHECK(argc == 2);
	curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 1L);
	PART_CHECK(curl_easy_perform(h) == CURLE_OK);
	PART_CHECK(open_breaker(argv[0]) == 0);
	curl_easy_setopt(h, CURLOPT_URL, argv[1]);
	PART_CHECK(curl_easy_perform(h) == CURLE_COULDNT_CONNECT);
	PART_CHECK(curl_easy_getinfo(h, CURLINFO_REDIRECT_COUNT, &redirects) == CURLE_OK && redirects == 1);
	PART_CHECK(os_errno_of(h) == ECONNREFUSED);
	/* And no longer than until the next. */
	curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
	PART_CHECK(curl_easy_perform(h) == CURLE_OK && status_of(h) == 302);
	PART_CHECK(os_errno_of(h) == 0);
	curl_easy_cleanup(h);
	return 0;
}

/* Handles beyond the table among them. */
static int faults_of_their_own(int argc, char **argv)
{
	static CURL *handles[1500];

	(void)argc;
	for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++)
		handles[i] = handle_for(argv[0]);
	PART_CHECK(curl_easy_perform(handles[1]) == CURLE_OK && open_breaker(argv[0]) == 0);
	for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i += 15) {
		PART_CHECK(curl_easy_perform(handles[i]) == CURLE_COULDNT_CONNECT && os_errno_of(handles[i]) == ECONNREFUSED);
		curl_easy_setopt(handles[i], CURLOPT_INTERFACE, "192.0.2.77");
		PART_CHECK(curl_easy_perform(handles[i]) == CURLE_INTERFACE_FAILED);
	}
	for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++)
		curl_easy_cleanup(handles[i]);
	return 0;
}

static int inner_result = -1;

static size_t perform_inside(char *data, size_t size, size_t count, void *url)
{
	CURL *h = handle_for(url);

	(void)data;
	inner_result = (int)curl_easy_perform(h);
	curl_easy_cleanup(h);
	return size * count;
}

static int a_perform_inside_a_perform(int argc, char **argv)
{
	CURL *h = handle_for(argv[0]);

	(void)argc;
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, perform_inside);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, argv[0]);
	PART_CHECK(curl_easy_perform(h) == CURLE_OK);
	PART_CHECK(inner_result == CURLE_OK);
	curl_easy_cleanup(h);
	return 0;
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

static int a_jump_out_of_a_callback(int argc, char **argv)
{
	CURL *h = handle_for(argv[0]), *next;

	(void)argc;
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, jump);
	if (setjmp(out_of_here) == 0) {
		curl_easy_perform(h);
		return 1;
	}
	next = handle_for(argv[0]);
	PART_CHECK(curl_easy_perform(next) == CURLE_OK);
	curl_easy_cleanup(next);
	return 0;
}

static const struct host_part parts[] = {
	{"one_handle_for_all", one_handle_for_all},
	{"by_parts_of_a_url", by_parts_of_a_url},
	{"by_port_option", by_port_option},
	{"copied", copied},
	{"reset", reset},
	{"nothing_set", nothing_set},
	{"very_many_handles", very_many_handles},
	{"refused_on_an_open_connection", refused_on_an_open_connection},
	{"faults_of_their_own", faults_of_their_own},
	{"large_values", large_values},
	{"a_perform_inside_a_perform", a_perform_inside_a_perform},
	{"a_jump_out_of_a_callback", a_jump_out_of_a_callback},
};

static const char *own_key(struct quotad *server)
{
	static char host_port[64];

	return host_port_of(host_port, "127.0.0.1", server->http_port);
}

static void a_handle_goes_where_its_last_url_points(void **state)
{
	struct scene *scene = *state;
	struct quotad *one = quotad_start(scene->dir, NULL), *two = quotad_start(scene->dir, NULL);

	expect_part(scene, "one_handle_for_all", quotad_url(one, "/n/1"), quotad_url(two, "/n/2"));
	assert_int_equal(counts_of(scene, own_key(one)).succeeded, 1);
	assert_int_equal(counts_of(scene, own_key(two)).succeeded, 2);
}

static void a_host_is_known_from_the_parts_of_a_url(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);

	expect_part(scene, "by_parts_of_a_url", quotad_url(server, "/n/1"), NULL);
	assert_int_equal(counts_of(scene, own_key(server)).succeeded, 1);
}

static void the_port_option_counts(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char port[16];

	snprintf(port, sizeof port, "%d", server->http_port);
	expect_part(scene, "by_port_option", port, NULL);
	assert_int_equal(counts_of(scene, own_key(server)).succeeded, 1);
}

static void a_copy_of_a_handle_has_its_host_and_error_buffer(void **state)
{
	struct scene *scene = *state;
	char url[64], key[64];
	int fd, port = closed_port(&fd);

	scene_configure(scene, RULES_FOR_THIS_MACHINE);
	snprintf(url, sizeof url, "http://127.0.0.1:%d/", port);
	expect_part(scene, "copied", url, NULL);
	assert_int_equal(counts_of(scene, host_port_of(key, "127.0.0.1", port)).refused, 1);
	close(fd);
}

static void a_reset_forgets_the_error_buffer(void **state)
{
	struct scene *scene = *state;
	char url[64];
	int fd, port = closed_port(&fd);

	snprintf(url, sizeof url, "http://127.0.0.1:%d/", port);
	expect_part(scene, "reset", url, NULL);
	close(fd);
}

static void wrong_uses_of_libcurl_are_answered_by_libcurl(void **state)
{
	expect_part(*state, "nothing_set", NULL, NULL);
}

static void handles_beyond_the_table_are_limited_as_well(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);

	expect_part(scene, "very_many_handles", quotad_url(server, "/n/1"), NULL);
	assert_int_equal(counts_of(scene, own_key(server)).succeeded, 100);
}

static void a_refusal_on_an_open_connection_tells_of_this_transfer(void **state)
{
	struct scene *scene = *state;
	struct quotad *one = quotad_start(scene->dir, NULL), *two = quotad_start(scene->dir, NULL);
	char path[64];

	scene_configure(scene, RULES_FOR_THIS_MACHINE);
	snprintf(path, sizeof path, "/redirect/%d/n/2", one->http_port);
	expect_part(scene, "refused_on_an_open_connection", quotad_url(one, "/n/1"), quotad_url(two, path));
	assert_int_equal(counts_of(scene, own_key(one)).refused, 1);
	assert_int_equal(quotad_count(one).requests, 1);
	assert_int_equal(leases_held(scene), 0);
}

static void what_is_wrong_with_a_transfer_is_told_while_its_host_is_refused(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);

	scene_configure(scene, RULES_FOR_THIS_MACHINE);
	expect_part(scene, "faults_of_their_own", quotad_url(server, "/n/1"), NULL);
	assert_int_equal(quotad_count(server).requests, 1);
}

static void options_of_every_size_pass_whole(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);

	expect_part(scene, "large_values", quotad_url(server, "/n/1"), NULL);
}

static void a_transfer_inside_a_transfer_is_a_request_of_its_own(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);

	expect_part(scene, "a_perform_inside_a_perform", quotad_url(server, "/n/1"), NULL);
	assert_int_equal(counts_of(scene, own_key(server)).succeeded, 2);
	assert_int_equal(leases_held(scene), 0);
}

static void a_transfer_that_was_jumped_out_of_is_ignored(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	struct host_counts n;

	expect_part(scene, "a_jump_out_of_a_callback", quotad_url(server, "/n/1"), NULL);
	n = counts_of(scene, own_key(server));
	assert_int_equal(n.succeeded, 1);
	assert_int_equal(n.ignored, 1);
	assert_int_equal(n.permits, 0);
	assert_int_equal(leases_held(scene), 0);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SCENE(a_handle_goes_where_its_last_url_points),
		SCENE(a_host_is_known_from_the_parts_of_a_url),
		SCENE(the_port_option_counts),
		SCENE(a_copy_of_a_handle_has_its_host_and_error_buffer),
		SCENE(a_reset_forgets_the_error_buffer),
		SCENE(wrong_uses_of_libcurl_are_answered_by_libcurl),
		SCENE(handles_beyond_the_table_are_limited_as_well),
		SCENE(a_refusal_on_an_open_connection_tells_of_this_transfer),
		SCENE(what_is_wrong_with_a_transfer_is_told_while_its_host_is_refused),
		SCENE(options_of_every_size_pass_whole),
		SCENE(a_transfer_inside_a_transfer_is_a_request_of_its_own),
		SCENE(a_transfer_that_was_jumped_out_of_is_ignored),
	};
	int status = host_part_run(argc, argv, parts, sizeof parts / sizeof parts[0]);

	return status >= 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
