/* SPDX-License-Identifier: MIT */
/* Two hundred fresh curls, eight at a time, under a fixed limit: the rate is held, in order, and nobody goes early. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/environment.h"
#include "tests/harness/harness.h"
#include "tests/integration/host_counts.h"

#define REQUESTS  200
#define AT_A_TIME 8
#define PER_S     50.0 /* where the machine can start as many curls; else what it can, and a third less */

/* What the machine may add between the moment weir lets a request go and its arrival: a busy two-core machine starts a curl late
 * at times. */
#define LATE_S 0.015
/* On one that cannot start as many curls as the limit is made for, the very first may be as late as this, from which all are
 * reckoned. */
#define LATE_WHERE_SLOW_S 0.080

static const char *fixed_limit(struct scene *scene, double per_s)
{
	char text[300];

	snprintf(text, sizeof text,
		 "hosts = ( { match = \"127.0.0.1\"; rate = { strategy = \"fixed\"; max = \"%.0f/s\"; burst = 1; };\n"
		 "            concurrency = { mode = \"off\"; }; } );\n",
		 per_s);
	return scene_rules_file(scene, text);
}

/* A limit that the machine as it is now can reach: a limit that nobody reaches is kept by nobody. */
static double reachable_rate(struct scene *scene)
{
	struct quotad *server = quotad_start(scene->dir, NULL);
	char shell[512];
	struct command bare = {.shell = shell, .dir = scene->dir};
	struct outcome o;
	double per_s;

	snprintf(shell, sizeof shell, "seq 80 | xargs -P %d -I{} curl -sf -o /dev/null %s", AT_A_TIME,
		 quotad_url(server, "/n/{}"));
	o = command_run(&bare);
	assert_int_equal(o.exit_status, 0);
	per_s = (double)(int)(80 / o.seconds * 2 / 3);
	outcome_free(&o);
	return per_s < PER_S ? per_s : PER_S;
}

static void two_hundred_curls_keep_the_limit(void **state)
{
	struct scene *scene = *state;
	double per_s = reachable_rate(scene);
	struct quotad *server = quotad_start(scene->dir, NULL);
	char shell[512];
	struct command curls = {
		.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .config = fixed_limit(scene, per_s)};
	struct quotad_arrival *arrival;
	struct outcome o;
	size_t count, early = 0, furthest = 0;
	double span, rate;

	snprintf(shell, sizeof shell, "seq 0 %d | xargs -P %d -I{} curl -sf -o /dev/null %s", REQUESTS - 1, AT_A_TIME,
		 quotad_url(server, "/n/{}"));
	o = command_run(&curls);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	arrival = quotad_journal(server, &count);
	assert_int_equal(count, REQUESTS);
	span = arrival[count - 1].arrival_s - arrival[0].arrival_s;
	rate = (double)(count - 1) / span;
	for (size_t i = 0; i < count; i++) {
		size_t id = (size_t)atol(arrival[i].path + strlen("/n/")), off = id > i ? id - i : i - id;

		furthest = off > furthest ? off : furthest;
		early += arrival[i].arrival_s - arrival[0].arrival_s <
			 (double)i / per_s - (per_s < PER_S ? LATE_WHERE_SLOW_S : LATE_S);
	}
	print_message("measured %.2f/s of %.0f/s over %.2f s; furthest out of order %zu places; early %zu\n", rate, per_s, span,
		      furthest, early);
	assert_true(rate > per_s * 0.99 && rate < per_s * 1.01);
	assert_int_equal(early, 0);
	assert_true(furthest <= AT_A_TIME);
	free(arrival);
}

/* The same through connect(): every wget is one connection. */
static void wgets_are_held_to_the_same_limit(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char shell[512];
	struct command wgets = {
		.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .config = fixed_limit(scene, PER_S)};
	struct quotad_count count;
	struct outcome o;

	snprintf(shell, sizeof shell, "seq 50 | xargs -P %d -I{} wget -q -O /dev/null %s", AT_A_TIME,
		 quotad_url(server, "/n/{}"));
	o = command_run(&wgets);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	count = quotad_count(server);
	assert_int_equal(count.requests, 50);
	assert_true(count.last_s - count.first_s > 49 / PER_S - LATE_S);
	assert_true(count.last_s - count.first_s < 49 / PER_S + 0.5);
}

/* A run's own limit is on top of the host's, and does not bind others. */
static void a_run_has_its_own_limit(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char shell[512], *weir = build_path("weir");
	struct command run = {.shell = shell, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir};
	struct quotad_count count;
	struct outcome o;

	snprintf(shell, sizeof shell, "seq 20 | %s run -r 20/s xargs -P 4 -I{} curl -sf -o /dev/null %s", weir,
		 quotad_url(server, "/n/{}"));
	o = command_run(&run);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	count = quotad_count(server);
	assert_int_equal(count.requests, 20);
	assert_true(count.last_s - count.first_s > 0.5);
	assert_true(count.last_s - count.first_s < 2.0);
	free(weir);
}

/* Twenty clients that give up after two seconds, a request a second, and a healthy host that takes 0.3 s: those whose turn
 * comes in time succeed, the others are refused when they ask and not when their patience is over, and none of it is the host's
 * failure. */
static void who_could_not_be_served_in_time_is_refused_at_once_and_the_host_not_blamed(void **state)
{
	struct scene *scene = *state;
	const char *options[] = {"--latency-ms", "300", NULL};
	struct quotad *server = quotad_start(scene->dir, options);
	char shell[512], host_port[64];
	struct command curls = {.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	struct host_counts counts;
	struct outcome o;
	unsigned succeeded = 0, at_once = 0;

	scene_configure(scene,
			"hosts = ( { match = \"127.0.0.1\"; rate = { strategy = \"fixed\"; max = \"1/s\"; burst = 1; }; } );\n");
	/* One first, so that it is known how long the host takes. */
	snprintf(shell, sizeof shell,
		 "curl -sf -o /dev/null %s; for i in $(seq 20); do curl -sf -m 2 -o /dev/null -w '%%{exitcode} "
		 "%%{time_total}\\n' %s & done; wait",
		 quotad_url(server, "/"), quotad_url(server, "/"));
	o = command_run(&curls);
	for (char *line = strtok(o.out, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		succeeded += strncmp(line, "0 ", 2) == 0;
		at_once += strncmp(line, "28 ", 3) == 0 && atof(line + 3) < 1.0;
	}
	outcome_free(&o);
	host_port_of(host_port, "127.0.0.1", server->http_port);
	counts = counts_of(scene, host_port);
	/* Two turns in the patience of each. How many come in time is a question of how fast the machine starts twenty curls. */
	assert_in_range(succeeded, 1, 15);
	assert_in_range(counts.refused, 5, 19);
	assert_in_range(at_once, counts.refused - 2, counts.refused);
	assert_int_equal(succeeded + 1 + counts.refused + counts.ignored, 21);
	assert_int_equal(counts.failed, 0);
	assert_int_equal(counts.opened, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(two_hundred_curls_keep_the_limit, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(wgets_are_held_to_the_same_limit, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(a_run_has_its_own_limit, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(who_could_not_be_served_in_time_is_refused_at_once_and_the_host_not_blamed,
						scene_setup, scene_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
