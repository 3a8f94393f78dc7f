/* SPDX-License-Identifier: MIT */
/* A server that is down: fast, explained refusals; one probe at a time; back again by itself. Through curl, wget and Python. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/harness.h"

#define FAILURES 3

static const char *quick_breaker(struct scene *scene)
{
	return scene_rules_file(
		scene, "hosts = ( { match = \"127.0.0.1\"; concurrency = { mode = \"off\"; };\n"
		       "  breaker = { failures = 3; grace = \"0\"; open_time = \"1s\"; open_time_max = \"2s\"; probe_timeout "
		       "= \"2s\"; ramp = \"0s\"; }; } );\n");
}

static struct outcome run_as(struct command c, const char *const *argv)
{
	c.argv = argv;
	return command_run(&c);
}

static void fail_times(struct command c, const char *const *argv, int times)
{
	for (int i = 0; i < times; i++) {
		struct outcome o = run_as(c, argv);

		assert_int_not_equal(o.exit_status, 0);
		assert_null(strstr(o.err, "weir:"));
		outcome_free(&o);
	}
}

struct attempt {
	struct command command;
	const char *const *argv;
};

static bool succeeds(void *data)
{
	struct attempt *a = data;
	struct outcome o = run_as(a->command, a->argv);
	bool ok = o.exit_status == 0;

	outcome_free(&o);
	return ok;
}

static void curl_is_refused_with_the_reason_and_comes_back(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	const char *url = quotad_url(server, "/");
	const char *argv[] = {"curl", "-sS", "-o", "/dev/null", url, NULL};
	struct command c = {.mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .config = quick_breaker(scene)};
	struct attempt attempt = {.command = c, .argv = argv};
	char host[64];
	struct outcome o;

	snprintf(host, sizeof host, "weir: 127.0.0.1:%d: the circuit breaker is open", server->http_port);
	quotad_outage(server, "refuse", 0);
	fail_times(c, argv, FAILURES);
	o = run_as(c, argv);
	assert_int_equal(o.exit_status, 7);
	assert_non_null(strstr(o.err, host));
	assert_non_null(strstr(o.err, "next try in"));
	outcome_free(&o);
	quotad_outage(server, "none", 0);
	assert_soon(succeeds, &attempt, 6, "the host is used again after its return");
	assert_true(succeeds(&attempt));
	assert_true(succeeds(&attempt));
}

/* Eleven URLs on one line and one URL: the difference is ten refusals, without the start of a process. */
static void a_refusal_takes_less_than_five_milliseconds(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	const char *u = quotad_url(server, "/");
	const char *one[] = {"curl", "-s", u, NULL};
	const char *eleven[] = {"curl", "-s", u, u, u, u, u, u, u, u, u, u, u, NULL};
	const char *config = scene_rules_file(
		scene, "hosts = ( { match = \"127.0.0.1\"; breaker = { failures = 3; open_time = \"60s\"; }; } );\n");
	struct command c = {.mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .config = config};
	double shortest_one = 10, shortest_eleven = 10, refusal;

	quotad_outage(server, "refuse", 0);
	fail_times(c, one, FAILURES);
	for (int i = 0; i < 9; i++) {
		struct outcome a = run_as(c, one), b = run_as(c, eleven);

		assert_int_equal(a.exit_status, 7);
		assert_int_equal(b.exit_status, 7);
		shortest_one = a.seconds < shortest_one ? a.seconds : shortest_one;
		shortest_eleven = b.seconds < shortest_eleven ? b.seconds : shortest_eleven;
		outcome_free(&a);
		outcome_free(&b);
	}
	refusal = (shortest_eleven - shortest_one) / 10;
	print_message("one refusal: %.3f ms (eleven in one curl %.1f ms, one %.1f ms)\n", refusal * 1e3, shortest_eleven * 1e3,
		      shortest_one * 1e3);
	assert_true(refusal < 0.005);
}

/* A server that accepts and never answers can count who comes: the failures that opened the breaker, then one probe at a time. */
static void one_probe_at_a_time_reaches_a_hanging_server(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char shell[512];
	struct command c = {.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .config = quick_breaker(scene)};
	struct quotad_count count;
	struct outcome o;

	quotad_outage(server, "hang", 0);
	/* Eight at a time for about six seconds; a refused curl ends at once, so each loop pauses a little. They wait for longer
	 * than a second: who gives up before says nothing of the server. */
	snprintf(shell, sizeof shell,
		 "seq 8 | xargs -P 8 -I{} sh -c 'i=0; while [ $i -lt 60 ]; do curl -s -m 1.2 -o /dev/null %s; sleep 0.1; "
		 "i=$((i+1)); done'; true",
		 quotad_url(server, "/"));
	o = command_run(&c);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	count = quotad_count(server);
	print_message("480 requests, %d reached the dead server in %.1f s\n", (int)count.outage_connections,
		      count.last_s - count.first_s);
	/* at most 8 in flight when it opens, then a probe in a second or more, for as long as the loops take */
	assert_true(count.outage_connections >= FAILURES + 1);
	assert_true((double)count.outage_connections <= 8 + 2 + (count.last_s - count.first_s));
}

static void a_program_on_connect_is_refused_and_comes_back(struct scene *scene, const char *const *argv, struct quotad *server,
							   const char *refusal)
{
	struct command c = {.mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .config = quick_breaker(scene)};
	struct attempt attempt = {.command = c, .argv = argv};
	struct quotad_count before;
	struct outcome o;

	assert_true(succeeds(&attempt));
	quotad_outage(server, "refuse", 0);
	fail_times(c, argv, FAILURES);
	/* The server is back, but weir does not know yet: what is refused now is refused by weir. */
	quotad_outage(server, "none", 0);
	before = quotad_count(server);
	o = run_as(c, argv);
	assert_int_not_equal(o.exit_status, 0);
	assert_non_null(strstr(o.err, refusal));
	outcome_free(&o);
	assert_int_equal(quotad_count(server).requests, before.requests);
	assert_soon(succeeds, &attempt, 6, "the host is used again after its return");
	assert_true(succeeds(&attempt));
}

static void wget_is_refused_and_comes_back(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	const char *argv[] = {"wget", "-nv", "-t", "1", "-O", "/dev/null", quotad_url(server, "/"), NULL};

	a_program_on_connect_is_refused_and_comes_back(scene, argv, server, "Connection refused");
}

static void python_is_refused_and_comes_back(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char script[256];
	const char *argv[] = {"python3", "-c", script, NULL};

	snprintf(script, sizeof script, "import urllib.request; urllib.request.urlopen('%s').read()", quotad_url(server, "/"));
	a_program_on_connect_is_refused_and_comes_back(scene, argv, server, "Connection refused");
}

static void python_with_a_time_out_is_refused_and_comes_back(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char script[256];
	const char *argv[] = {"python3", "-c", script, NULL};

	/* A time-out makes Python connect without blocking. */
	snprintf(script, sizeof script, "import urllib.request; urllib.request.urlopen('%s', timeout=5).read()",
		 quotad_url(server, "/"));
	a_program_on_connect_is_refused_and_comes_back(scene, argv, server, "Connection refused");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(curl_is_refused_with_the_reason_and_comes_back, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(a_refusal_takes_less_than_five_milliseconds, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(one_probe_at_a_time_reaches_a_hanging_server, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(wget_is_refused_and_comes_back, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(python_is_refused_and_comes_back, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(python_with_a_time_out_is_refused_and_comes_back, scene_setup, scene_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
