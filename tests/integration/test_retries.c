/* SPDX-License-Identifier: MIT */
/* What libcurl is made to ask again: how often, what the program sees of it, and what is never asked twice. */
#include "tests/harness/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/retries_stage.h"
#include "tests/integration/weir_program.h"

static void each_kind_of_failure_is_asked_again_until_it_succeeds(void **state)
{
	struct stage s;

	stage_open(&s, state, USUAL);
	expect(&s, CODE, "/503,503,200/1", 0, "200", 3);
	expect(&s, CODE, "/429,200/2", 0, "200", 2);
	expect(&s, CODE, "/close,200/3", 0, "200", 2);
	expect(&s, CODE, "/reset,reset,200/4", 0, "200", 3);
	expect(&s, CODE, "/head,200/5", 0, "200", 2);
	expect(&s, CODE, "/half503,200/6", 0, "200", 2);
	expect(&s, CODE, "/c500,200/7", 0, "200", 2);
	expect(&s, "", "/503,200/8", 0, "some\nbytes\n", 2);
	scripted_stop(&s.server);
}

static void a_hold_is_kept_before_the_next_attempt(void **state)
{
	struct stage s;
	double begun_s = monotonic_s();

	stage_open(&s, state, USUAL);
	begun_s = monotonic_s();
	expect(&s, CODE, "/429h,200/1", 0, "200", 2);
	assert_true(monotonic_s() - begun_s >= 0.99);
	scripted_stop(&s.server);
}

static void the_last_attempt_allowed_is_handed_over(void **state)
{
	struct stage s;

	stage_open(&s, state, USUAL);
	expect(&s, CODE, "/503/1", 0, "503", 3);
	expect(&s, CODE, "/close/2", 52, "000", 3);
	expect(&s, "", "/429/3", 0, "some\nbytes\n", 3);
	scripted_stop(&s.server);
}

static void nothing_is_asked_again_that_nobody_named(void **state)
{
	struct stage s;

	stage_open(&s, state, USUAL "on = [ \"throttled\" ];");
	expect(&s, CODE, "/503,200/1", 0, "503", 1);
	expect(&s, CODE, "/close,200/2", 52, "000", 1);
	expect(&s, CODE, "/404,200/3", 0, "404", 1);
	expect(&s, CODE, "/429,200/4", 0, "200", 2);
	scripted_stop(&s.server);
}

static void without_a_word_nothing_is_asked_again(void **state)
{
	struct stage s;

	stage_open(&s, state, "attempts = 1;");
	expect(&s, CODE, "/503,200/1", 0, "503", 1);
	expect(&s, CODE, "/reset,200/2", 56, "000", 1);
	scripted_stop(&s.server);
}

static void a_post_is_sent_once_unless_its_rule_says_more(void **state)
{
	struct stage s;

	stage_open(&s, state, USUAL);
	expect(&s, CODE " -d abc", "/503,200/1", 0, "503", 1);
	expect(&s, CODE " -X PATCH", "/503,200/2", 0, "503", 1);
	expect(&s, CODE " -X REPORT", "/503,200/3", 0, "503", 1);
	expect(&s, CODE " -X DELETE", "/503,200/4", 0, "200", 2);
	expect(&s, CODE " -X PUT -d abc", "/503,200/5", 0, "200", 2);
	assert_int_equal(atomic_load(&s.server.series[5].body_bytes), 6);
	expect(&s, "-I -o /dev/null -w '%{http_code}'", "/503,200/6", 0, "200", 2);
	scripted_stop(&s.server);
}

static void a_body_in_memory_is_sent_again_whole_where_methods_names_its_method(void **state)
{
	struct stage s;

	stage_open(&s, state, USUAL "methods = [ \"GET\", \"POST\", \"PUT\" ];");
	expect(&s, CODE " -d abcde", "/503,close,200/1", 0, "200", 3);
	assert_int_equal(atomic_load(&s.server.series[1].body_bytes), 15);
	/* Parts of a form may be read from anywhere. */
	expect(&s, CODE " -F a=b", "/503,200/2", 0, "503", 1);
	scripted_stop(&s.server);
}

static void a_file_is_sent_again_and_a_pipe_is_not(void **state)
{
	struct stage s;
	char shell[600];
	struct outcome o;

	stage_open(&s, state, USUAL);
	snprintf(shell, sizeof shell,
		 "cd '%s' && echo 0123456789 > f && curl -sS -T f -o /dev/null -w '%%{http_code}\\n' "
		 "http://127.0.0.1:%d/503,200/1 && "
		 "cat f | curl -sS -T - -w '%%{http_code}\\n' http://127.0.0.1:%d/503,200/2",
		 s.scene->dir, s.server.port, s.server.port);
	o = command_run(&(struct command){.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = s.scene->dir});
	assert_string_equal(o.err, "");
	assert_string_equal(o.out, "200\nsome\nbytes\n503\n");
	outcome_free(&o);
	assert_int_equal(asked(&s, 1), 2);
	assert_int_equal(atomic_load(&s.server.series[1].body_bytes), 22);
	assert_int_equal(asked(&s, 2), 1);
	scripted_stop(&s.server);
}

static void what_the_program_has_some_of_is_not_asked_again(void **state)
{
	struct stage s;

	stage_open(&s, state, USUAL);
	expect(&s, "2>/dev/null", "/half,200/1", 18, "some\nbytes\n", 1);
	/* More than is withheld of a failure. */
	expect(&s, "-o /dev/null -w '%{http_code} %{size_download}'", "/big503,200/2", 0, "503 307200", 1);
	scripted_stop(&s.server);
}

static void a_redirect_s_head_comes_once(void **state)
{
	struct stage s;
	char *out;

	stage_open(&s, state, USUAL);
	out = curl(&s, COMMAND_UNDER_WEIR, 0, "-L -D - -w '%{http_code} %{num_redirects}' -o /dev/null", "/to/1");
	assert_non_null(strstr(out, "HTTP/1.1 302"));
	assert_null(strstr(strstr(out, "HTTP/1.1 302") + 1, "HTTP/1.1 302"));
	assert_null(strstr(out, "HTTP/1.1 503"));
	assert_non_null(strstr(out, "200 1"));
	free(out);
	assert_int_equal(asked(&s, 1), 2);
	assert_int_equal(asked(&s, 129), 2);
	scripted_stop(&s.server);
}

static void the_program_s_time_out_bounds_all_attempts(void **state)
{
	struct stage s;
	double begun_s;
	char *out;

	stage_open(&s, state, USUAL);
	begun_s = monotonic_s();
	out = curl(&s, COMMAND_UNDER_WEIR, 28, "-m 3 -o /dev/null", "/503,hang/1");
	free(out);
	assert_int_equal(asked(&s, 1), 2);
	assert_true(monotonic_s() - begun_s < 3 + 10);
	scripted_stop(&s.server);
}

static void a_curl_that_repeats_by_itself_is_not_multiplied(void **state)
{
	struct stage s;

	stage_open(&s, state, USUAL);
	expect(&s, "-f -w '%{http_code}' --retry 2 --retry-delay 1 2>/dev/null", "/503/1", 22, "503", 3);
	scripted_stop(&s.server);
}

static void a_spent_budget_hands_over_what_there_is(void **state)
{
	struct stage s;
	char key[64];
	struct weir_segment segment;
	uint32_t slot;
	int all = 0;

	stage_open(&s, state, "attempts = 3; budget = 0;");
	for (int i = 0; i < 8; i++) {
		char path[32];

		snprintf(path, sizeof path, "/503/%d", i);
		free(curl(&s, COMMAND_UNDER_WEIR, 0, CODE, path));
		all += asked(&s, i);
	}
	/* Ten, and one for each ten seconds that this has taken. */
	assert_in_range(all, 18, 18 + 5);
	assert_true(segment_of(s.scene, NULL, &segment));
	slot = weir_entry_find(&segment, host_port_of(key, "127.0.0.1", s.server.port));
	assert_int_not_equal(slot, WEIR_NONE);
	assert_int_equal(segment.entry[slot].retry.retries, all - 8);
	assert_in_range(segment.entry[slot].retry.exhausted, 1, 3);
	assert_int_equal(segment.entry[slot].retry.saved, 0);
	weir_segment_close(&segment);
	scripted_stop(&s.server);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(each_kind_of_failure_is_asked_again_until_it_succeeds),
		SCENE(a_hold_is_kept_before_the_next_attempt),
		SCENE(the_last_attempt_allowed_is_handed_over),
		SCENE(nothing_is_asked_again_that_nobody_named),
		SCENE(without_a_word_nothing_is_asked_again),
		SCENE(a_post_is_sent_once_unless_its_rule_says_more),
		SCENE(a_body_in_memory_is_sent_again_whole_where_methods_names_its_method),
		SCENE(a_file_is_sent_again_and_a_pipe_is_not),
		SCENE(what_the_program_has_some_of_is_not_asked_again),
		SCENE(a_redirect_s_head_comes_once),
		SCENE(the_program_s_time_out_bounds_all_attempts),
		SCENE(a_curl_that_repeats_by_itself_is_not_multiplied),
		SCENE(a_spent_budget_hands_over_what_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
