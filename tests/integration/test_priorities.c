/* SPDX-License-Identifier: MIT */
/* Who goes first of those who wait for one host, by the server's journal: the priority of the environment, of weir run, and of a
 * rule. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/environment.h"
#include "tests/harness/harness.h"
#include "tests/harness/wait.h"
#include "tests/integration/host_counts.h"

#define LOOPS     8
#define REQUESTS  70
#define BACKLOG   30
#define CROWD     18 /* of them wait at least: the rest may be gone before all have started */
#define PATIENT_S 45.0

struct place {
	struct scene *scene;
	struct quotad *server;
	char host_port[64];
	uint32_t depth;    /* so many at least are to wait */
	uint64_t requests; /* so many at least are to have arrived */
};

static uint32_t waiting(struct place *p)
{
	struct weir_segment s;
	uint32_t slot, depth = 0;

	if (!segment_of(p->scene, NULL, &s))
		return 0;
	slot = weir_entry_find(&s, p->host_port);
	if (slot != WEIR_NONE)
		depth = weir_depth_all(atomic_load(&s.entry[slot].queue.depth));
	weir_segment_close(&s);
	return depth;
}

static bool so_many_wait(void *data)
{
	struct place *p = data;

	return waiting(p) >= p->depth;
}

static bool so_many_arrived(void *data)
{
	struct place *p = data;

	return quotad_count(p->server).requests >= p->requests;
}

static bool nobody_waits(void *data)
{
	return waiting(data) == 0;
}

/* Sixteen programs that ask without a pause: a twentieth is the low ones', the rest the high ones'. */
static void high_loops_leave_low_loops_their_share(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	struct place place = {.scene = scene, .server = server, .depth = 2 * LOOPS - 4};
	char low[256], high[256];
	const char *as_low[] = {"WEIR_PRIORITY=low", NULL}, *as_high[] = {"WEIR_PRIORITY=high", NULL};
	struct command c = {.mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	struct running *running[2 * LOOPS];
	struct quotad_arrival *arrival;
	struct outcome o;
	size_t count, begin = 0, lows = 0, end;

	scene_configure(scene, "hosts = ( { match = \"127.0.0.1\"; rate = \"20/s\"; concurrency = false; } );\n");
	host_port_of(place.host_port, "127.0.0.1", server->http_port);
	snprintf(low, sizeof low, "exec curl -s -o /dev/null '%s'", quotad_url(server, "/low/[1-1000]"));
	snprintf(high, sizeof high, "exec curl -s -o /dev/null '%s'", quotad_url(server, "/high/[1-1000]"));
	for (int i = 0; i < 2 * LOOPS; i++) {
		c.shell = i < LOOPS ? low : high;
		c.env = i < LOOPS ? as_low : as_high;
		running[i] = command_start(&c);
	}
	assert_true(wait_until(so_many_wait, &place, PATIENT_S));
	begin = quotad_count(server).requests;
	place.requests = begin + REQUESTS;
	assert_true(wait_until(so_many_arrived, &place, PATIENT_S));
	arrival = quotad_journal(server, &count);
	end = begin + REQUESTS < count ? begin + REQUESTS : count;
	for (size_t i = begin; i < end; i++)
		lows += strncmp(arrival[i].path, "/low/", 5) == 0;
	/* 3.5 of 70; where the machine stands still for a while who is late may be passed over. */
	assert_in_range(lows, 1, 12);
	/* Never above the rate, wherever the journal is cut; a server that stands still notes the first of them late. */
	assert_true((double)count - 1 <= 20.0 * (arrival[count - 1].arrival_s - arrival[0].arrival_s) + 60);
	free(arrival);
	for (int i = 0; i < 2 * LOOPS; i++) {
		command_signal_group(running[i], SIGKILL);
		o = command_wait(running[i]);
		outcome_free(&o);
	}
}

/* Thirty come at one a second; one comes by weir run -p high. In front of it go those alone that go while it starts. */
static void a_high_one_goes_before_those_who_wait(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	struct place place = {.scene = scene, .depth = CROWD};
	char shell[256], *weir = build_path("weir");
	const char *argv[] = {weir, "run", "-p", "high", "curl", "-s", "-o", "/dev/null", NULL, NULL};
	struct command normal = {.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .limit_s = 60},
		       high = {.argv = argv, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir};
	struct running *crowd;
	struct quotad_arrival *arrival;
	struct outcome o;
	size_t count, at = SIZE_MAX, before;

	scene_configure(scene, "hosts = ( { match = \"127.0.0.1\"; rate = \"1/s\"; concurrency = false; } );\n");
	host_port_of(place.host_port, "127.0.0.1", server->http_port);
	snprintf(shell, sizeof shell, "for i in $(seq %d); do curl -s -o /dev/null %s & done; wait", BACKLOG,
		 quotad_url(server, "/normal"));
	crowd = command_start(&normal);
	assert_true(wait_until(so_many_wait, &place, PATIENT_S));
	before = quotad_count(server).requests;
	argv[8] = quotad_url(server, "/high");
	o = command_run(&high);
	assert_int_equal(o.exit_status, 0);
	arrival = quotad_journal(server, &count);
	for (size_t i = 0; i < count; i++)
		if (strcmp(arrival[i].path, "/high") == 0)
			at = i;
	assert_true(at != SIZE_MAX);
	/* What goes while it starts goes before it, and not all who waited. */
	assert_true(at < before + CROWD);
	outcome_free(&o);
	free(arrival);
	/* Who is killed while it waits is soon waited for no more. */
	command_signal_group(crowd, SIGKILL);
	o = command_wait(crowd);
	outcome_free(&o);
	assert_true(wait_until(nobody_waits, &place, PATIENT_S));
	free(weir);
}

/* Four may wait: of twelve at once that a rule calls low, and one more, at least some are refused, and told why. */
static void a_full_queue_refuses_and_says_so(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char shell[300], host_port[64];
	struct command curls = {.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	struct host_counts counts;
	struct outcome o;

	scene_configure(scene, "hosts = ( { match = \"127.0.0.1\"; rate = \"2/s\"; concurrency = false;\n"
			       "            priority = \"low\"; queue = { max = 4; }; } );\n");
	snprintf(shell, sizeof shell, "for i in $(seq 12); do curl -sS -o /dev/null %s & done; wait", quotad_url(server, "/"));
	o = command_run(&curls);
	host_port_of(host_port, "127.0.0.1", server->http_port);
	counts = counts_of(scene, host_port);
	assert_int_equal(counts.admitted + counts.refused, 12);
	assert_int_equal(quotad_count(server).requests, counts.admitted);
	/* On a machine that cannot start twelve curls while four wait there is nothing to refuse. */
	if (counts.refused > 0)
		assert_non_null(strstr(o.err, "the queue is full"));
	outcome_free(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(high_loops_leave_low_loops_their_share, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(a_high_one_goes_before_those_who_wait, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(a_full_queue_refuses_and_says_so, scene_setup, scene_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
