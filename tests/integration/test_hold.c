/* SPDX-License-Identifier: MIT */
/* When one process is told Retry-After, every process waits. */
#include <stdio.h>
#include <string.h>

#include "tests/harness/harness.h"

#define AT_A_TIME 8

/* Answers that were on their way when the hold was announced: at most one per process, and no later than this after it. */
#define IN_FLIGHT_S 0.25

static void hold_is_kept(struct scene *scene, const char *dialect, double at_least_s)
{
	char shell[512];
	const char *options[] = {"--bucket", "10/s:10", "--dialect", dialect, "--retry-after", "3", NULL};
	struct quotad *server = quotad_start(scene->dir, options);
	struct command curls = {.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	struct quotad_count count;
	struct outcome o;

	snprintf(shell, sizeof shell, "seq 60 | xargs -P %d -I{} curl -s -o /dev/null %s", AT_A_TIME,
		 quotad_url(server, "/n/{}"));
	o = command_run(&curls);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	count = quotad_count(server);
	print_message("%s: %d holds, %d requests inside one (latest %.3f s after its announcement), %d x 429 of %d\n", dialect,
		      (int)count.holds, (int)count.in_hold, count.in_hold_latest_s, (int)count.throttled, (int)count.requests);
	assert_int_equal(count.requests, 60);
	assert_true(count.holds >= 1);
	/* Inside the hold: only what was in flight when it was announced. */
	assert_true(count.in_hold_latest_s < IN_FLIGHT_S);
	assert_true(count.in_hold < AT_A_TIME * count.holds);
	assert_true(count.last_s - count.first_s > at_least_s);
}

static void retry_after_in_seconds_holds_all_processes(void **state)
{
	hold_is_kept(*state, "retry-after", 3.0);
}

static void retry_after_as_a_decimal_holds_all_processes(void **state)
{
	hold_is_kept(*state, "retry-after-float", 3.0);
}

static void retry_after_as_a_date_holds_all_processes(void **state)
{
	hold_is_kept(*state, "retry-after-date", 2.0); /* a date has whole seconds */
}

static void a_redirect_to_a_throttled_port_holds_that_port_alone(void **state)
{
	struct scene *scene = *state;
	const char *options[] = {"--dialect", "retry-after", "--retry-after", "2", "--throttle-next", "1", NULL};
	struct quotad *front = quotad_start(scene->dir, NULL), *back = quotad_start(scene->dir, options);
	char path[64], via[160], direct[160];
	const char *follow[] = {"curl", "-sL", "-o", "/dev/null", "-w", "%{http_code}", via, NULL};
	const char *again[] = {"curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", direct, NULL};
	const char *other[] = {"curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", quotad_url(front, "/"), NULL};
	struct command c = {.argv = follow, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	struct outcome o;

	snprintf(path, sizeof path, "/redirect/%d/n/1", back->http_port);
	snprintf(via, sizeof via, "%s", quotad_url(front, path));
	snprintf(direct, sizeof direct, "%s", quotad_url(back, "/n/2"));
	o = command_run(&c);
	assert_string_equal(o.out, "429");
	outcome_free(&o);
	c.argv = other; /* the host that redirected is not held */
	o = command_run(&c);
	assert_string_equal(o.out, "200");
	assert_true(o.seconds < 1.0);
	outcome_free(&o);
	c.argv = again; /* the one that throttled is */
	o = command_run(&c);
	assert_string_equal(o.out, "200");
	assert_true(o.seconds > 1.5);
	outcome_free(&o);
	assert_int_equal(quotad_count(back).in_hold, 0);
}

/* curl -m 1 must not be made to wait for three seconds: it is refused at once, as a time-out. */
static void a_program_with_a_shorter_time_out_is_refused_at_once(void **state)
{
	struct scene *scene = *state;
	const char *options[] = {"--dialect", "retry-after", "--retry-after", "3", "--throttle-next", "1", NULL};
	struct quotad *server = quotad_start(scene->dir, options);
	const char *argv[] = {"curl", "-sS", "-m", "1", "-o", "/dev/null", quotad_url(server, "/"), NULL};
	struct command c = {.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	struct outcome o = command_run(&c);

	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	o = command_run(&c);
	assert_int_equal(o.exit_status, 28);
	assert_true(o.seconds < 0.9);
	assert_non_null(strstr(o.err, "weir: 127.0.0.1:"));
	assert_non_null(strstr(o.err, "asked to wait"));
	outcome_free(&o);
	assert_int_equal(quotad_count(server).requests, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(retry_after_in_seconds_holds_all_processes, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(retry_after_as_a_decimal_holds_all_processes, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(retry_after_as_a_date_holds_all_processes, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(a_redirect_to_a_throttled_port_holds_that_port_alone, scene_setup,
						scene_teardown),
		cmocka_unit_test_setup_teardown(a_program_with_a_shorter_time_out_is_refused_at_once, scene_setup,
						scene_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
