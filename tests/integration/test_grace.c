/* SPDX-License-Identifier: MIT */
/* breaker.grace with real programs: a batch that meets a restart, and what people are told meanwhile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/harness.h"
#include "tests/integration/weir_program.h"

#define ITEMS    48
#define AT_ONCE  8
#define RESTARTS 16 /* the item that takes the server away */

static unsigned count_of(const char *text, const char *word)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, word)) != NULL; at += strlen(word))
		n++;
	return n;
}

/* Where requests are refused at once a batch runs dry within a second: bare curls, each of which ends in milliseconds. */
static void a_batch_loses_no_more_to_a_restart_than_what_was_in_flight(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char shell[1024];
	struct command c = {.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .limit_s = 60};
	struct quotad_count count;
	struct outcome o;
	unsigned done;

	scene_configure(scene, "hosts = ( { match = \"127.0.0.1\"; breaker = { open_time = \"500ms\"; open_time_max = \"500ms\"; "
			       "ramp = \"500ms\"; }; } );\n");
	snprintf(shell, sizeof shell,
		 "seq %d | xargs -P %d -I{} sh -c 'if [ {} = %d ]; then "
		 "WEIR_DISABLE=1 curl -s -X POST \"http://127.0.0.1:%d/outage?kind=refuse&seconds=2\" >/dev/null; fi; "
		 "curl -s -o /dev/null -w \"%%{http_code}\\n\" %s || true'",
		 ITEMS, AT_ONCE, RESTARTS, server->control_port, quotad_url(server, "/"));
	o = command_run(&c);
	done = count_of(o.out, "200\n");
	count = quotad_count(server);
	print_message("%u of %d items in %.1f s; %d requests to the dead server\n", done, ITEMS, o.seconds,
		      (int)count.outage_connections);
	assert_true(o.seconds >= 2);
	assert_true(done >= ITEMS - 2 * AT_ONCE);
	assert_int_equal(count.requests, done);
	outcome_free(&o);
}

static void told(char *text, const char *what)
{
	assert_contains(text, what);
	free(text);
}

/* The probe is due long after the grace is over, so who waits is refused at its end, and who comes later at once. */
static void after_the_grace_a_host_that_is_down_refuses_at_once(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	const char *url = quotad_url(server, "/");
	const char *argv[] = {"curl", "-sS", "-o", "/dev/null", url, NULL};
	const char *hasty[] = {"curl", "-sS", "-m", "5", "-o", "/dev/null", url, NULL};
	struct command c = {.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	struct outcome o;

	scene_configure(scene,
			"hosts = ( { match = \"127.0.0.1\"; breaker = { failures = 2; open_time = \"50s\"; open_time_max = "
			"\"50s\"; grace = \"3s\"; }; } );\n");
	o = command_run(&c);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	quotad_outage(server, "refuse", 0);
	for (int i = 0; i < 2; i++) {
		o = command_run(&c);
		assert_int_equal(o.exit_status, 7);
		assert_null(strstr(o.err, "weir:"));
		outcome_free(&o);
	}
	told(WEIR_EXPECT(scene, 0, "explain", url), "would wait out an outage");
	told(WEIR_EXPECT(scene, 1, "status"), "requests wait out the outage, until it ends or ");
	/* Its own time-out is over before the next probe goes: no use in waiting. */
	c.argv = hasty;
	o = command_run(&c);
	assert_int_equal(o.exit_status, 7);
	assert_non_null(strstr(o.err, "the circuit breaker is open"));
	assert_true(o.seconds < 2);
	outcome_free(&o);
	c.argv = argv;
	o = command_run(&c);
	assert_int_equal(o.exit_status, 7);
	assert_non_null(strstr(o.err, "the circuit breaker is open"));
	assert_true(o.seconds > 0.5 && o.seconds < 6);
	outcome_free(&o);
	o = command_run(&c);
	assert_int_equal(o.exit_status, 7);
	assert_true(o.seconds < 1);
	outcome_free(&o);
	told(WEIR_EXPECT(scene, 0, "explain", url), "would be refused");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_batch_loses_no_more_to_a_restart_than_what_was_in_flight, scene_setup,
						scene_teardown),
		cmocka_unit_test_setup_teardown(after_the_grace_a_host_that_is_down_refuses_at_once, scene_setup, scene_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
