/* SPDX-License-Identifier: MIT */
/* Programs that use libcurl in their own ways while weir asks again for them. */
#include "tests/harness/harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "tests/integration/curl_handle.h"
#include "tests/integration/every_agent.h"
#include "tests/integration/host_program.h"
#include "tests/integration/retries_stage.h"
#include "tests/integration/weir_program.h"

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

/* Asks six times, each time whatever comes: by one handle, or by a new one each time. */
static int ask_six_times(const char *url, bool by_one)
{
	CURL *h = handle_for(url);

	for (int i = 0; i < 6; i++) {
		PART_CHECK(curl_easy_perform(h) == CURLE_OK && status_of(h) == 503);
		if (!by_one) {
			curl_easy_cleanup(h);
			h = handle_for(url);
		}
	}
	curl_easy_cleanup(h);
	return 0;
}

static int one_url_and_then_another(int argc, char **argv)
{
	char url[200];

	PART_CHECK(argc == 2);
	PART_CHECK(ask_six_times(argv[0], strcmp(argv[1], "one") == 0) == 0);
	snprintf(url, sizeof url, "%s1", argv[0]);
	return ask_six_times(url, strcmp(argv[1], "one") == 0);
}

#define MANY 80 /* more than a process remembers */

static int many_urls_and_all_again(int argc, char **argv)
{
	char url[200];

	(void)argc;
	for (int i = 0; i < 2 * MANY; i++) {
		CURL *h;

		snprintf(url, sizeof url, "%s%d", argv[0], i % MANY);
		h = handle_for(url);
		PART_CHECK(curl_easy_perform(h) == CURLE_OK && status_of(h) == 503);
		curl_easy_cleanup(h);
	}
	return 0;
}

static int the_same_twice_at_once(int argc, char **argv)
{
	CURLM *m = curl_multi_init();
	CURL *h[2] = {handle_for(argv[0]), handle_for(argv[0])};
	int running = 1;

	(void)argc;
	for (int i = 0; i < 2; i++)
		PART_CHECK(curl_multi_add_handle(m, h[i]) == CURLM_OK);
	for (int i = 0; i < 3000 && running > 0; i++) {
		PART_CHECK(curl_multi_perform(m, &running) == CURLM_OK);
		PART_CHECK(curl_multi_wait(m, NULL, 0, 10, NULL) == CURLM_OK);
	}
	PART_CHECK(running == 0);
	for (int i = 0; i < 2; i++) {
		PART_CHECK(status_of(h[i]) == 503);
		PART_CHECK(curl_multi_remove_handle(m, h[i]) == CURLM_OK);
		curl_easy_cleanup(h[i]);
	}
	PART_CHECK(curl_multi_cleanup(m) == CURLM_OK);
	return 0;
}

/* Until it is let through again. */
static int asks_until_it_is_answered(int argc, char **argv)
{
	CURL *h = handle_for(argv[0]);
	CURLcode code = CURLE_COULDNT_CONNECT;

	(void)argc;
	PART_CHECK(curl_easy_perform(h) == CURLE_OK && status_of(h) == 429);
	for (int i = 0; i < 1000 && code != CURLE_OK; i++) {
		const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};

		nanosleep(&pause, NULL);
		code = curl_easy_perform(h);
	}
	PART_CHECK(code == CURLE_OK && status_of(h) == 503);
	curl_easy_cleanup(h);
	return 0;
}

static const struct host_part parts[] = {
	{"one_url_and_then_another", one_url_and_then_another},
	{"many_urls_and_all_again", many_urls_and_all_again},
	{"the_same_twice_at_once", the_same_twice_at_once},
	{"asks_until_it_is_answered", asks_until_it_is_answered},
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

static void program_that_repeats(void **state, const char *handles)
{
	struct stage s;
	char url[100];

	stage_open(&s, state, "attempts = 5; budget = 1;");
	expect_part(s.scene, "one_url_and_then_another", url_of(&s, "/503/1", url), handles);
	/* Five of weir's, and its own other five; then its own alone. */
	assert_int_equal(asked(&s, 1), 5 + 5);
	assert_int_equal(asked(&s, 11), 6);
	scripted_stop(&s.server);
}

static void a_loop_around_one_handle_adds_its_own_attempts_and_multiplies_none(void **state)
{
	program_that_repeats(state, "one");
}

static void a_loop_with_a_new_handle_each_time_does_neither(void **state)
{
	program_that_repeats(state, "new");
}

static void a_program_that_goes_through_all_its_urls_again_is_noticed_at_once(void **state)
{
	struct stage s;
	char url[100];

	stage_open(&s, state, "attempts = 2; budget = 1;");
	expect_part(s.scene, "many_urls_and_all_again", url_of(&s, "/503/1", url), NULL);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(asked(&s, i < 10 ? 10 + i : 100 + i), 3);
	scripted_stop(&s.server);
}

static void two_that_are_under_way_at_once_are_no_repetition(void **state)
{
	struct stage s;
	char url[100];

	stage_open(&s, state, USUAL);
	expect_part(s.scene, "the_same_twice_at_once", url_of(&s, "/503/1", url), NULL);
	assert_int_equal(asked(&s, 1), 3 + 3);
	scripted_stop(&s.server);
}

static void who_asks_on_after_a_refusal_repeats_by_himself(void **state)
{
	struct stage s;
	char url[100];

	stage_open(&s, state, USUAL);
	scene_configure(s.scene,
			"defaults = { rate = \"none\"; concurrency = false; breaker = false; wait = { max = \"100ms\"; };\n"
			"  retry = { attempts = 3; budget = 1; base = \"5ms\"; cap = \"20ms\"; }; };\n");
	expect_part(s.scene, "asks_until_it_is_answered", url_of(&s, "/429h,503/1", url), NULL);
	assert_int_equal(asked(&s, 1), 1 + 1);
	scripted_stop(&s.server);
}

/* Read from a file that nobody can see it read: its second attempt gives it away. */
static void a_curlrc_that_says_retry_adds_its_own_attempts(void **state)
{
	struct stage s;
	static const char *const env[] = {SANITIZERS, NULL};
	char shell[800], *weir = build_path("weir");
	struct outcome o;

	stage_open(&s, state, "attempts = 2; budget = 1;");
	snprintf(shell, sizeof shell,
		 "cd '%s' && printf 'retry = 5\\nretry-delay = 1\\n' > .curlrc && CURL_HOME=$PWD "
		 "'%s' run --retry=5 curl -sS -f -w '%%{http_code}' http://127.0.0.1:%d/503/1",
		 s.scene->dir, weir, s.server.port);
	o = command_run(&(struct command){.shell = shell, .mode = COMMAND_BESIDE_WEIR, .dir = s.scene->dir, .env = env});
	free(weir);
	if (strcmp(o.out, "503") != 0)
		fail_msg("%s: '%s'\n%s", shell, o.out, o.err);
	outcome_free(&o);
	assert_int_equal(asked(&s, 1), 5 + 5);
	scripted_stop(&s.server);
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown_with_agents)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SCENE(what_a_callback_has_refused_it_is_not_given_again),
		SCENE(the_method_that_was_set_last_decides),
		SCENE(a_handle_that_is_removed_meanwhile_is_asked_no_more),
		SCENE(a_loop_around_one_handle_adds_its_own_attempts_and_multiplies_none),
		SCENE(a_loop_with_a_new_handle_each_time_does_neither),
		SCENE(a_program_that_goes_through_all_its_urls_again_is_noticed_at_once),
		SCENE(two_that_are_under_way_at_once_are_no_repetition),
		SCENE(who_asks_on_after_a_refusal_repeats_by_himself),
		SCENE(a_curlrc_that_says_retry_adds_its_own_attempts),
	};
	int status = host_part_run(argc, argv, parts, sizeof parts / sizeof *parts);

	return status >= 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
