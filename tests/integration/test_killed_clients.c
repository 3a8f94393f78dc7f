/* SPDX-License-Identifier: MIT */
/* Clients are killed at random moments of their requests. No permit stays behind, and nobody else is held up. */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness/environment.h"
#include "tests/harness/harness.h"

#define CLIENTS   10
#define PERMITS   4
#define SERVICE_S 0.1
#define FOR_S     6.0

/* The agent reaps twice a second; a waiter at a full limit looks every 0.2 s. */
#define REAPER_S 2.0
#define REAPED_S 0.25 /* after which a killed client's permit is another's, on average */

struct host {
	struct scene *scene;
	int in_flight, waiting;
};

static json_t *stats_of(const struct host *h)
{
	char *weir = build_path("weir");
	const char *argv[] = {weir, "stats", "--json", NULL};
	struct command c = {
		.argv = argv, .mode = COMMAND_BESIDE_WEIR, .dir = h->scene->dir, .config = path_in(h->scene->dir, "weir.conf")};
	struct outcome o = command_run(&c);
	json_t *root = json_loads(o.out, 0, NULL);

	assert_non_null(root);
	outcome_free(&o);
	free(weir);
	return root;
}

/* The one host's numbers, from `weir stats --json`. */
static bool read_host(struct host *h)
{
	json_t *root = stats_of(h), *host;

	host = json_array_get(json_object_get(root, "hosts"), 0);
	if (host != NULL) {
		h->in_flight = (int)json_integer_value(json_object_get(host, "in_flight"));
		h->waiting = (int)json_integer_value(json_object_get(host, "waiting"));
	}
	json_decref(root);
	return host != NULL;
}

static bool all_is_quiet(void *data)
{
	struct host *h = data;

	return read_host(h) && h->in_flight == 0 && h->waiting == 0;
}

static void killed_clients_leave_nothing_and_delay_nobody(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	const char *argv[] = {"curl", "-sf", "-o", "/dev/null", quotad_url(server, "/delay/100"), NULL};
	struct command c = {.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	struct running *client[CLIENTS] = {NULL};
	struct host host = {.scene = scene};
	struct quotad_count count;
	unsigned seed = (unsigned)time(NULL);
	double begun, next_kill, capacity;
	int killed = 0, finished = 0;

	c.config = scene_rules_file(scene, "hosts = ( { match = \"127.0.0.1\"; rate = false; breaker = false;\n"
					   "            concurrency = { mode = \"fixed\"; max = 4; }; } );\n");
	begun = monotonic_s();
	next_kill = begun + 0.5;
	print_message("seed %u\n", seed);
	while (monotonic_s() - begun < FOR_S) {
		for (int i = 0; i < CLIENTS; i++) {
			if (client[i] != NULL && command_has_exited(client[i])) {
				struct outcome o = command_wait(client[i]);

				finished += o.exit_status == 0;
				outcome_free(&o);
				client[i] = NULL;
			}
			if (client[i] == NULL)
				client[i] = command_start(&c);
		}
		if (monotonic_s() > next_kill) {
			command_signal(client[rand_r(&seed) % CLIENTS], SIGKILL);
			killed++;
			next_kill = monotonic_s() + 0.1;
		}
		usleep(2000);
	}
	for (int i = 0; i < CLIENTS; i++) {
		struct outcome o;

		command_signal(client[i], SIGKILL);
		o = command_wait(client[i]);
		outcome_free(&o);
	}
	assert_soon(all_is_quiet, &host, REAPER_S, "permits in flight and waiters after the reaper's period are 0");
	count = quotad_count(server);
	capacity = PERMITS * (count.last_s - count.first_s) / SERVICE_S;
	/* So many of the killed had a permit, which lay idle until the reaper came. */
	capacity -= (double)killed * PERMITS / CLIENTS * REAPED_S / SERVICE_S;
	print_message("%d killed, %d finished; %d requests of %.0f that %d permits allow\n", killed, finished,
		      (int)count.requests, capacity, PERMITS);
	assert_true(killed > 40);
	/* A killed client's request is served by quotad to its end, so the server may see some more at a time than there are
	 * permits. */
	assert_true((double)count.requests > 0.75 * capacity);
}

#define WAITERS 20
#define GONE    6 /* so many may have had their turn by the time that all have been started */
#define TURN_S  5.0

static bool all_wait(void *data)
{
	struct host *h = data;

	return read_host(h) && h->waiting >= WAITERS - GONE;
}

/* Ctrl-C on a long queue: who comes next finds it empty, and does not wait for the turns of the dead. */
static void a_queue_that_is_killed_is_gone(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	const char *argv[] = {"curl", "-sf", "-o", "/dev/null", quotad_url(server, "/"), NULL};
	struct command c = {.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	struct running *client[WAITERS];
	struct host host = {.scene = scene};
	struct outcome o;
	double begun;

	c.config = scene_rules_file(scene, "hosts = ( { match = \"127.0.0.1\"; wait = { max = \"200s\"; };\n"
					   "            rate = { strategy = \"fixed\"; max = \"12/m\"; burst = 1; }; } );\n");
	for (int i = 0; i < WAITERS; i++)
		client[i] = command_start(&c);
	assert_soon(all_wait, &host, GONE * TURN_S, "all but the first few wait for their turn");
	for (int i = 0; i < WAITERS; i++) {
		command_signal(client[i], SIGKILL);
		o = command_wait(client[i]);
		outcome_free(&o);
	}
	assert_soon(all_is_quiet, &host, REAPER_S, "nobody waits after the reaper's period");
	sleep(1); /* until the agent has made its round: nothing tells of it */
	begun = monotonic_s();
	o = command_run(&c);
	assert_int_equal(o.exit_status, 0);
	print_message("the next request went after %.2f s\n", monotonic_s() - begun);
	/* Its turn comes after those that went. The dead would have it wait for as many turns as there are dead, less the time
	 * since. */
	assert_true(monotonic_s() - begun < 4 * TURN_S);
	outcome_free(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_queue_that_is_killed_is_gone, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(killed_clients_leave_nothing_and_delay_nobody, scene_setup, scene_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
