/* SPDX-License-Identifier: MIT */
/*
 * The loopback evaluation (tests/eval) in its shortest form, a minute in all. Its targets are those that a busy machine with two
 * processors meets with a margin: nothing inside a hold, nothing leaked, no false trip, no host lost for good. Whether the real
 * ones are met (utilisation of .98, Jain's index of .95, a mean recovery of 5 s) takes longer spans to say: `make eval`. The
 * bucket of its first scenario is in test_adaptive.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/environment.h"
#include "tests/harness/harness.h"

#define LIMIT_S 60

static void targets_are_met(struct scene *scene, const char *scenario)
{
	char *program = build_path("evaluate"), *build = build_path(""), where[4096], before[4096] = "WEIR_TEST_PRELOAD_BEFORE",
	     seed[64] = "WEIR_SEED";
	const char *sanitizer = getenv("WEIR_TEST_PRELOAD_BEFORE");
	const char *argv[] = {program, "--check", "--only", scenario, NULL}, *env[] = {where, before, seed, NULL};
	struct command c = {.argv = argv, .dir = scene->dir, .env = env, .limit_s = LIMIT_S};
	struct outcome o;

	snprintf(where, sizeof where, "WEIR_BUILD=%s", build);
	if (sanitizer != NULL)
		snprintf(before, sizeof before, "WEIR_TEST_PRELOAD_BEFORE=%s", sanitizer);
	if (getenv("WEIR_SEED") != NULL)
		snprintf(seed, sizeof seed, "WEIR_SEED=%s", getenv("WEIR_SEED"));
	o = command_run(&c);
	/* print_message() cuts at a kilobyte. */
	printf("%s%s", o.out, o.err);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	free(build);
	free(program);
}

static void what_a_server_says_of_its_windows_is_kept(void **state)
{
	targets_are_met(*state, "hold");
}

static void a_server_that_hung_is_used_again_although_probers_are_killed(void **state)
{
	targets_are_met(*state, "outage");
}

static void equal_loops_get_equal_shares_though_some_are_stopped_and_killed(void **state)
{
	targets_are_met(*state, "fairness");
}

static void a_few_errors_and_slow_answers_do_not_open_the_breaker(void **state)
{
	targets_are_met(*state, "control");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_a_server_says_of_its_windows_is_kept, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(a_server_that_hung_is_used_again_although_probers_are_killed, scene_setup,
						scene_teardown),
		cmocka_unit_test_setup_teardown(equal_loops_get_equal_shares_though_some_are_stopped_and_killed, scene_setup,
						scene_teardown),
		cmocka_unit_test_setup_teardown(a_few_errors_and_slow_answers_do_not_open_the_breaker, scene_setup,
						scene_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
