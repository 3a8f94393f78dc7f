/* SPDX-License-Identifier: MIT */
/* Programs that use libcurl in their own ways while weir asks again for them. */
#include "tests/harness/harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "tests/integration/curl_handle.h"
#include "tests/integration/every_agent.h"
#include "tests/integration/host_program.h"
#include "tests/integration/retries_stage.h"

static size_t refuse(char *data, size_t size, size_t count, void *calls)
{
	(void)data;
	(void)size;
	(void)count;
	++*(int *)calls;
	return 0;
}

/* Its header function stops the transfer with the first line. */
static int stopped_by_its_head(int argc, char **argv)
{
	CURL *h = handle_for(argv[0]);
	int calls = 0;

	(void)argc;
	PART_CHECK(curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, refuse) == CURLE_OK);
	PART_CHECK(curl_easy_setopt(h, CURLOPT_HEADERDATA, &calls) == CURLE_OK);
	PART_CHECK(curl_easy_perform(h) == CURLE_WRITE_ERROR);
	PART_CHECK(calls == 1);
	curl_easy_cleanup(h);
	return 0;
}

static int status_of(CURL *h)
{
	long status = 0;

	curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

/* One handle, and all that chooses its method: what was set last decides. */
static int one_handle_of_many_methods(int argc, char **argv)
{
	char url[200];
	CURL *h = handle_for(argv[0]);
	CURL *copy;

	(void)argc;
	PART_CHECK(curl_easy_setopt(h, CURLOPT_POSTFIELDS, "abc") == CURLE_OK);
	PART_CHECK(curl_easy_perform(h) == CURLE_OK && status_of(h) == 503);
	snprintf(url, sizeof url, "%s1", argv[0]);
	PART_CHECK(curl_easy_setopt(h, CURLOPT_URL, url) == CURLE_OK);
	copy = curl_easy_duphandle(h);
	PART_CHECK(curl_easy_perform(copy) == CURLE_OK && status_of(copy) == 503);
	curl_easy_cleanup(copy);
	snprintf(url, sizeof url, "%s2", argv[0]);
	PART_CHECK(curl_easy_setopt(h, CURLOPT_URL, url) == CURLE_OK);
	PART_CHECK(curl_easy_setopt(h, CURLOPT_HTTPGET, 1L) == CURLE_OK);
	PART_CHECK(curl_easy_perform(h) == CURLE_OK && status_of(h) == 200);
	snprintf(url, sizeof url, "%s3", argv[0]);
	PART_CHECK(curl_easy_setopt(h, CURLOPT_URL, url) == CURLE_OK);
	PART_CHECK(curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, "POST") == CURLE_OK);
	PART_CHECK(curl_easy_perform(h) == CURLE_OK && status_of(h) == 503);
	curl_easy_cleanup(h);
	return 0;
}

/* Removed while weir waits to ask again. */
static int removed_between_two_attempts(int argc, char **argv)
{
	CURLM *m = curl_multi_init();
	CURL *h = handle_for(argv[0]);
	int running = 1, left;

	(void)argc;
	PART_CHECK(curl_multi_add_handle(m, h) == CURLM_OK);
	for (int i = 0; i < 1000 && status_of(h) != 503; i++) {
		PART_CHECK(curl_multi_perform(m, &running) == CURLM_OK);
		PART_CHECK(running == 1);
		PART_CHECK(curl_multi_wait(m, NULL, 0, 10, NULL) == CURLM_OK);
	}
	PART_CHECK(status_of(h) == 503);
	PART_CHECK(curl_multi_remove_handle(m, h) == CURLM_OK);
	PART_CHECK(curl_multi_perform(m, &running) == CURLM_OK);
	PART_CHECK(running == 0);
	PART_CHECK(curl_multi_info_read(m, &left) == NULL);
	PART_CHECK(curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, "POST") == CURLE_OK);
	PART_CHECK(curl_easy_perform(h) == CURLE_OK && status_of(h) == 200);
	curl_easy_cleanup(h);
	PART_CHECK(curl_multi_cleanup(m) == CURLM_OK);
	return 0;
}

static const struct host_part parts[] = {
	{"stopped_by_its_head", stopped_by_its_head},
	{"one_handle_of_many_methods", one_handle_of_many_methods},
	{"removed_between_two_attempts", removed_between_two_attempts},
};

static const char *url_of(const struct stage *s, const char *path, char url[100])
{
	snprintf(url, 100, "http://127.0.0.1:%d%s", s->server.port, path);
	return url;
}

static void what_a_callback_has_refused_it_is_not_given_again(void **state)
{
	struct stage s;
	char url[100];

	stage_open(&s, state, USUAL);
	expect_part(s.scene, "stopped_by_its_head", url_of(&s, "/404/1", url), NULL);
	assert_int_equal(asked(&s, 1), 1);
	scripted_stop(&s.server);
}

static void the_method_that_was_set_last_decides(void **state)
{
	struct stage s;
	char url[100];

	stage_open(&s, state, USUAL);
	expect_part(s.scene, "one_handle_of_many_methods", url_of(&s, "/503,200/1", url), NULL);
	assert_int_equal(asked(&s, 1), 1);
	assert_int_equal(asked(&s, 11), 1);
	assert_int_equal(asked(&s, 12), 2);
	assert_int_equal(asked(&s, 13), 1);
	scripted_stop(&s.server);
}

static void a_handle_that_is_removed_meanwhile_is_asked_no_more(void **state)
{
	struct stage s;
	char url[100];

	stage_open(&s, state, USUAL);
	scene_configure(s.scene, "defaults = { rate = \"none\"; concurrency = false; breaker = false; hold = false;\n"
				 "  retry = { attempts = 3; budget = 1; base = \"1d\"; cap = \"1d\"; }; };\n");
	expect_part(s.scene, "removed_between_two_attempts", url_of(&s, "/503,200/1", url), NULL);
	assert_int_equal(asked(&s, 1), 2); /* by the program itself */
	scripted_stop(&s.server);
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown_with_agents)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SCENE(what_a_callback_has_refused_it_is_not_given_again),
		SCENE(the_method_that_was_set_last_decides),
		SCENE(a_handle_that_is_removed_meanwhile_is_asked_no_more),
	};
	int status = host_part_run(argc, argv, parts, sizeof parts / sizeof *parts);

	return status >= 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
