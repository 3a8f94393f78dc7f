/* Redirects to a host at which others queue. */
#include "tests/harness/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/wait.h"
#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/weir_program.h"

/* A server that redirects, and one that is limited. */
struct stage {
	struct scene *scene;
	struct quotad *from, *to;
	char host_port[64]; /* of the limited one */
};

static void stage_open(struct stage *s, void **state, const char *rate)
{
	char rules[200];

	s->scene = *state;
	s->from = quotad_start(s->scene->dir, NULL);
	s->to = quotad_start(s->scene->dir, NULL);
	host_port_of(s->host_port, "127.0.0.1", s->to->http_port);
	snprintf(rules, sizeof rules,
		 "hosts = ( { match = \"%s\"; rate = { strategy = \"fixed\"; max = \"%s\"; burst = 1; }; } );\n", s->host_port,
		 rate);
	scene_configure(s->scene, rules);
	/* On a busy machine an agent that is started for a program takes longer than the program waits for it. */
	agent_start(s->scene);
}

static struct outcome run(struct stage *s, const char *shell)
{
	return command_run(&(struct command){.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = s->scene->dir});
}

/* Of ten at once to a host of one a second, those go whose turn comes within their time. */
static void ten_redirects_at_once_go_one_a_second(void **state)
{
	struct quotad_count count;
	struct outcome o;
	struct stage s;
	char shell[300], key[64];
	double begun_s;

	stage_open(&s, state, "1/s");
	begun_s = monotonic_s();
	snprintf(shell, sizeof shell,
		 "for i in 1 2 3 4 5 6 7 8 9 10; do curl -sL -m 2.8 -o /dev/null http://127.0.0.1:%d/redirect/%d/n/$i & done; "
		 "wait",
		 s.from->http_port, s.to->http_port);
	o = run(&s, shell);
	count = quotad_count(s.to);
	/* As many as can, of ten that a slow machine starts one after the other. */
	assert_true(count.requests >= 1 && (double)count.requests <= o.seconds + 1);
	assert_true(count.last_s - begun_s > (double)(count.requests - 1) - 0.1);
	outcome_free(&o);
	assert_int_equal(counts_of(s.scene, s.host_port).admitted, count.requests);
	assert_int_equal(counts_of(s.scene, host_port_of(key, "127.0.0.1", s.from->http_port)).succeeded, 10);
}

/* Each look of a hop that saw the queue's new end, and none its own place, made it wait for 38 s. */
static void a_redirect_waits_no_longer_than_those_who_queue_before_it(void **state)
{
	struct outcome o;
	struct stage s;
	char shell[500];

	stage_open(&s, state, "5/s");
	/* Five others, each with one more to ask all the time. */
	snprintf(shell, sizeof shell,
		 "for i in 1 2 3 4 5; do (for j in 1 2 3 4; do curl -sS -o /dev/null http://127.0.0.1:%d/n/$j; done) & done; "
		 "curl -sSL -w '%%{time_total}\\n' http://127.0.0.1:%d/redirect/%d/n/8; wait",
		 s.to->http_port, s.from->http_port, s.to->http_port);
	o = run(&s, shell);
	assert_string_equal(o.err, "");
	assert_int_equal(strncmp(o.out, "8\n", 2), 0);
	/* Six in line: 1.2 s at most, and what a slow machine needs besides. It was 38. */
	assert_true(strtod(o.out + 2, NULL) < 1.2 + 8);
	outcome_free(&o);
	assert_int_equal(counts_of(s.scene, s.host_port).admitted, 21);
	assert_int_equal(counts_of(s.scene, s.host_port).succeeded, 21);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(ten_redirects_at_once_go_one_a_second),
		SCENE(a_redirect_waits_no_longer_than_those_who_queue_before_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
