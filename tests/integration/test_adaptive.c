/* SPDX-License-Identifier: MIT */
/* Eight loops of fresh curls against a hidden bucket of 10/s that answers a bare 429. The full form of this is `make eval`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/harness.h"

#define LOOPS     8
#define WARM_S    30
#define COUNTED_S 25
#define PER_S     10.0

static bool over(void *data)
{
	return monotonic_s() > *(double *)data;
}

static void a_hidden_bucket_is_found_and_used(void **state)
{
	struct scene *scene = *state;
	const char *options[] = {"--bucket", "10/s:10", NULL};
	struct quotad *server = quotad_start(scene->dir, options);
	char shell[512];
	struct command loops = {
		.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .limit_s = 2 * (WARM_S + COUNTED_S)};
	struct running *running;
	struct quotad_count start, count;
	struct outcome o;
	double until = monotonic_s() + WARM_S, span, used, refused;

	snprintf(shell, sizeof shell, "seq %d | xargs -P %d -I{} sh -c 'while curl -s -o /dev/null %s; do :; done'", LOOPS, LOOPS,
		 quotad_url(server, "/"));
	running = command_start(&loops);
	(void)wait_until(over, &until, WARM_S + 1);
	start = quotad_count(server);
	quotad_mark(server);
	until = monotonic_s() + COUNTED_S;
	(void)wait_until(over, &until, COUNTED_S + 1);
	count = quotad_count_since_mark(server);
	command_signal_group(running, 9);
	o = command_wait(running);
	outcome_free(&o);
	span = count.last_s - count.first_s;
	used = (double)count.accepted / (span * PER_S);
	refused = (double)count.throttled / (double)count.requests;
	print_message("first %d s: %d requests, %d x 429; then %d requests in %.1f s: utilisation %.3f, 429 %.2f %%\n", WARM_S,
		      (int)start.requests, (int)start.throttled, (int)count.requests, span, used, 100 * refused);
	assert_true(used >= 0.90);
	assert_true(refused <= 0.02);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_hidden_bucket_is_found_and_used, scene_setup, scene_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
