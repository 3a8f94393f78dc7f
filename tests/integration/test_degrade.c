/* SPDX-License-Identifier: MIT */
/* A host at which too many wait: low is given up first, then normal, high goes on, and it gets back to normal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/environment.h"
#include "tests/harness/harness.h"
#include "tests/harness/wait.h"
#include "tests/integration/host_counts.h"

#define LOWS      6
#define NORMALS   20
#define PATIENT_S 45.0

struct place {
	struct scene *scene;
	char host_port[64];
	enum weir_degrade_state state; /* what is waited for */
	uint64_t refused[WEIR_CLASSES];
};

static bool is_in_state(void *data)
{
	struct place *p = data;
	struct weir_segment s;
	uint32_t slot;
	bool is = false;

	if (!segment_of(p->scene, NULL, &s))
		return false;
	slot = weir_entry_find(&s, p->host_port);
	if (slot != WEIR_NONE) {
		is = weir_degrade_view(&s.entry[slot].degrade).state == p->state;
		for (unsigned c = 0; c < WEIR_CLASSES; c++)
			p->refused[c] = atomic_load(&s.entry[slot].queue.refused[c]);
	}
	weir_segment_close(&s);
	return is;
}

static unsigned times(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what))
		n++;
	return n;
}

/* One unit in two seconds, and twenty-seven that want one. Refusals empty the queue, and that is what it gets well of. */
static void low_is_given_up_first_and_the_host_gets_back_to_normal(void **state)
{
	static const char *const path[] = {"degradation normal -> reduced: too many requests wait",
					   "degradation reduced -> minimal: too many requests wait",
					   "degradation minimal -> reduced: the server answers well again",
					   "degradation reduced -> normal: the server answers well again"};
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	struct place place = {.scene = scene, .state = WEIR_DEGRADE_REDUCED};
	char shell[900], *weir = build_path("weir");
	char *socket = path_in(scene->runtime, "weir.sock");
	const char *ask_health[] = {"curl", "-s", "--unix-socket", socket, "http://weir/healthz", NULL};
	struct command health = {.argv = ask_health, .mode = COMMAND_BARE, .dir = scene->dir};
	const char *events[] = {weir, "events", NULL}, *status[] = {weir, "status", NULL};
	struct command crowd = {.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .limit_s = 90},
		       cli = {.argv = status, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir};
	struct running *running;
	const char *at;
	struct outcome o;

	scene_configure(scene, "hosts = ( { match = \"127.0.0.1\"; rate = \"30/m\"; concurrency = false;\n"
			       "            degrade = { queue = 12; step = \"1s\"; recovery = \"300ms\"; }; } );\n");
	host_port_of(place.host_port, "127.0.0.1", server->http_port);
	snprintf(shell, sizeof shell,
		 "ask() { WEIR_PRIORITY=$1 curl -sS -o /dev/null %s && echo $1 went || echo $1 refused; }\n"
		 "for i in $(seq %d); do ask low & done; for i in $(seq %d); do ask normal & done; ask high & wait",
		 quotad_url(server, "/"), LOWS, NORMALS);
	running = command_start(&crowd);
	assert_soon(is_in_state, &place, PATIENT_S, "low is given up");
	o = command_run(&cli);
	assert_int_equal(o.exit_status, 1);
	assert_non_null(strstr(o.out, "degraded"));
	outcome_free(&o);
	o = command_run(&health);
	assert_non_null(strstr(o.out, "\"status\":\"degraded\""));
	assert_non_null(strstr(o.out, ": degraded: "));
	outcome_free(&o);
	o = command_wait(running);
	/* Whoever of them had not gone yet; high always goes. */
	assert_int_equal(times(o.out, "high went"), 1);
	assert_true(times(o.out, "low refused") >= 1);
	assert_true(times(o.out, "normal refused") >= 1);
	assert_non_null(strstr(o.err, "the host is degraded and requests of this class are given up"));
	outcome_free(&o);
	/* Nobody asks any more: the agent looks. */
	place.state = WEIR_DEGRADE_NORMAL;
	assert_soon(is_in_state, &place, PATIENT_S, "the host is normal again");
	assert_int_equal(place.refused[WEIR_CLASS_HIGH], 0);
	cli.argv = events;
	o = command_run(&cli);
	assert_int_equal(o.exit_status, 0);
	assert_int_equal(times(o.out, "degradation "), 4);
	at = o.out;
	for (unsigned i = 0; i < 4; i++) {
		at = strstr(at, path[i]);
		assert_non_null(at);
	}
	outcome_free(&o);
	/* And low is let in. */
	snprintf(shell, sizeof shell, "WEIR_PRIORITY=low curl -sS -o /dev/null %s", quotad_url(server, "/"));
	o = command_run(&crowd);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	free(socket);
	free(weir);
}

/* Half of what is asked of a host that is down would be nothing; a share that sheds asks it now and then. */
static void a_breaker_that_sheds_lets_a_few_go_while_a_host_fails(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char shell[300], host_port[64];
	struct command c = {.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	struct host_counts counts;
	struct outcome o;

	scene_configure(scene, "hosts = ( { match = \"127.0.0.1\"; concurrency = false; rate = false;\n"
			       "            breaker = { mode = \"shed\"; window = \"1m\"; }; } );\n");
	host_port_of(host_port, "127.0.0.1", server->http_port);
	/* Paced, so that a look at the host is due now and then. */
	snprintf(shell, sizeof shell, "for i in $(seq 3); do curl -sS -o /dev/null '%s[1-100]'; sleep 0.3; done",
		 quotad_url(server, "/status/500?"));
	o = command_run(&c);
	counts = counts_of(scene, host_port);
	assert_int_equal(counts.admitted + counts.refused, 300);
	assert_int_equal(quotad_count(server).requests, counts.admitted);
	/* Of the last hundred (200 - 0) / 201 are refused at least. */
	assert_in_range(counts.refused, 50, 280);
	assert_int_equal(counts.opened, 0);
	assert_non_null(strstr(o.err, "a share of its requests is refused"));
	outcome_free(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(low_is_given_up_first_and_the_host_gets_back_to_normal, scene_setup,
						scene_teardown),
		cmocka_unit_test_setup_teardown(a_breaker_that_sheds_lets_a_few_go_while_a_host_fails, scene_setup,
						scene_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
