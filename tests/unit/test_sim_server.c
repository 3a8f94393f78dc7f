/* SPDX-License-Identifier: MIT */
/* The simulated servers of rows 11 to 17: what refuses, what bans, what queues. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/random.c"
#include "tests/sim/server.c"

#define SECOND UINT64_C(1000000000)

static enum sim_status asked(struct sim_server *s, uint64_t now_ns)
{
	struct sim_answer a;

	sim_server_arrive(s, now_ns, &a);
	return a.status;
}

static void a_bucket_says_no_as_it_was_told_to(void **state)
{
	static const struct sim_scenario scenario = {.limit = {{SIM_BUCKET, .rate = 1, .burst = 1}}, .refusal = SIM_FORBIDDEN};
	struct sim_server s;
	struct sim_answer a;

	(void)state;
	sim_server_start(&s, &scenario, 1);
	assert_int_equal(asked(&s, 0), SIM_OK);
	sim_server_arrive(&s, SECOND / 2, &a);
	assert_int_equal(a.status, SIM_FORBIDDEN);
	assert_true(a.facts.throttled);
	assert_int_equal(asked(&s, SECOND + 1), SIM_OK);
}

static void a_ban_begins_anew_with_each_request(void **state)
{
	static const struct sim_scenario scenario = {.limit = {{SIM_BUCKET, .rate = 1, .burst = 1}}, .ban_s = 20};
	struct sim_server s;

	(void)state;
	sim_server_start(&s, &scenario, 1);
	assert_int_equal(asked(&s, 0), SIM_OK);
	assert_int_equal(asked(&s, 1), SIM_TOO_MANY);
	assert_int_equal(asked(&s, 15 * SECOND), SIM_TOO_MANY);
	assert_int_equal(asked(&s, 30 * SECOND), SIM_TOO_MANY);
	assert_int_equal(asked(&s, 51 * SECOND), SIM_OK);
	assert_int_equal(s.bans, 1);
}

static void a_sliding_log_counts_any_window(void **state)
{
	static const struct sim_scenario scenario = {.limit = {{SIM_LOG, .limit = 2, .window_s = 10}}};
	struct sim_server s;

	(void)state;
	sim_server_start(&s, &scenario, 1);
	assert_int_equal(asked(&s, 1 * SECOND), SIM_OK);
	assert_int_equal(asked(&s, 9 * SECOND), SIM_OK);
	assert_int_equal(asked(&s, 10 * SECOND), SIM_TOO_MANY);
	assert_int_equal(asked(&s, 11 * SECOND), SIM_OK);
	assert_int_equal(asked(&s, 12 * SECOND), SIM_TOO_MANY);
	assert_int_equal(sim_server_free_ns(&s, 12 * SECOND, 0), 19 * SECOND);
}

static void a_limit_with_delay_queues_and_then_refuses(void **state)
{
	static const struct sim_scenario scenario = {.limit = {{SIM_DELAY, .rate = 10, .burst = 20}}, .refusal = SIM_UNAVAILABLE};
	struct sim_server s;
	struct sim_answer a;

	(void)state;
	sim_server_start(&s, &scenario, 1);
	for (unsigned i = 0; i < 21; i++) {
		sim_server_arrive(&s, SECOND, &a);
		assert_int_equal(a.status, SIM_OK);
		assert_int_equal(a.leaves_ns, SECOND + i * (SECOND / 10));
	}
	assert_int_equal(asked(&s, SECOND), SIM_UNAVAILABLE);
	assert_int_equal(asked(&s, SECOND + SECOND / 10), SIM_OK);
}

static void slots_without_a_queue_refuse_at_once(void **state)
{
	static const struct sim_scenario scenario = {.slots = {.count = 2, .service_ms = 50, .refuses = true}};
	struct sim_server s;

	(void)state;
	sim_server_start(&s, &scenario, 1);
	assert_int_equal(asked(&s, SECOND), SIM_OK);
	assert_int_equal(asked(&s, SECOND), SIM_OK);
	assert_int_equal(asked(&s, SECOND), SIM_TOO_MANY);
	assert_int_equal(asked(&s, 100 * SECOND), SIM_OK);
}

static void poisoned_items_come_in_runs(void **state)
{
	static const struct sim_scenario scenario = {.noise = {{SIM_ERROR, .run = 2, .every = 5}}};
	struct sim_server s;

	(void)state;
	sim_server_start(&s, &scenario, 1);
	for (unsigned i = 0; i < 15; i++)
		assert_int_equal(asked(&s, i), i % 5 < 2 ? SIM_ERROR : SIM_OK);
}

static void a_rate_that_swings_grants_its_mean(void **state)
{
	static const struct sim_scenario scenario = {
		.limit = {{SIM_BUCKET, .rate = 12.5, .burst = 10, .swing = .6, .period_s = 40}}};
	struct sim_server s;
	double least = 1e9, most = 0;

	(void)state;
	sim_server_start(&s, &scenario, 1);
	assert_float_equal(sim_server_granted(&s, 0, 7, 47), 500, 1e-6);
	for (unsigned i = 0; i < 400; i++) {
		double x = sim_server_granted(&s, 0, i * .1, i * .1 + .1) / .1;

		least = x < least ? x : least;
		most = x > most ? x : most;
	}
	assert_float_equal(least, 5, .01);
	assert_float_equal(most, 20, .01);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_says_no_as_it_was_told_to),
		cmocka_unit_test(a_ban_begins_anew_with_each_request),
		cmocka_unit_test(a_sliding_log_counts_any_window),
		cmocka_unit_test(a_limit_with_delay_queues_and_then_refuses),
		cmocka_unit_test(slots_without_a_queue_refuse_at_once),
		cmocka_unit_test(poisoned_items_come_in_runs),
		cmocka_unit_test(a_rate_that_swings_grants_its_mean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
