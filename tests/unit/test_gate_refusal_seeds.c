/* SPDX-License-Identifier: MIT */
/* What refusals mean, over several seeds or hours: what test_gate_refusal.c shows of one, chance must not undo. */
#include "refusal_bench.h"

/* Where silence was long when it ended, that is found out, and mostly soon, whatever chance does: of ten such hosts. */
static void most_bans_that_were_none_are_forgotten_within_minutes(void **state)
{
	unsigned soon = 0;

	for (uint64_t i = 0; i < 10; i++) {
		close_gate(state);
		open_gate(state);
		meet((struct server){.status = 403});
		seed = 100 + i;
		run(5);
		server.noise_permille = 1000;
		run(45);
		for (int k = 0; k < 60 && held().trial != WEIR_TRIAL_SILENCE; k++)
			run(1);
		run(15);
		server.noise_permille = 200;
		for (int k = 0; k < 20 && held().meaning == WEIR_REFUSAL_PACE; k++)
			run(20);
		soon += held().meaning != WEIR_REFUSAL_PACE;
	}
	assert_in_range(soon, 8, 10);
}

/* Two or twelve at a time, a second each: half of the pace is refused half as often, which is neither the same nor a fifth, and
 * what a trial of a few permits must bring is what the host was found to accept, not the last step of a climb. Of ten such hosts.
 */
static void few_long_requests_at_a_time_are_neither_chance_nor_pace(void **state)
{
	unsigned found = 0;

	for (unsigned i = 0; i < 10; i++) {
		close_gate(state);
		open_gate(state);
		meet((struct server){.status = 429, .slots = i % 2 == 0 ? 2 : 12, .service_ns = SECOND});
		seed = 200 + i;
		run(400);
		found += held().permits != 0 && held().chance_permille == 0;
	}
	assert_int_equal(found, 10);
}

/* A ban of minutes costs more than to climb with care after it: the first is met by who knows nothing, the second teaches the
 * pace. */
static void a_ban_of_ten_minutes_is_met_with_twice(void **state)
{
	static const uint32_t status[] = {429, 403};

	for (unsigned i = 0; i < 2; i++) {
		close_gate(state);
		open_gate(state);
		meet((struct server){.status = status[i], .per_s = 10, .depth = 10, .ban_ns = 600 * SECOND});
		run(3600);
		run(5 * 3600);
		assert_true(good > 5 * 3600 * 10 * 80 / 100);
		assert_in_range(server.bans, 1, 2);
	}
}

/* Whether or not something was learned of the status before, by share or by silence: a token that runs out is renewed some day.
 */
static void who_was_forbidden_everything_for_hours_is_back_half_an_hour_after_that_ends(void **state)
{
	unsigned ban = 0;

	do {
		if (ban) {
			close_gate(state);
			open_gate(state);
		}
		meet((struct server){.status = 403,
				     .noise_permille = ban ? 0 : 100,
				     .per_s = ban ? 10 : 0,
				     .depth = 10,
				     .ban_ns = ban * 20 * SECOND});
		run(ban ? 300 : 60);
		assert_int_equal(held().meaning, ban ? WEIR_REFUSAL_PACE : WEIR_REFUSAL_CHANCE);
		server.ban_ns = 0;
		server.noise_permille = 1000;
		for (unsigned i = 1; i < CLIENTS; i++)
			client[i].due = UINT64_MAX; /* one goes on, or this takes long */
		run(5400);
		server.noise_permille = 0;
		run(2400);
		assert_true(good > 600);
	} while (ban++ == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(most_bans_that_were_none_are_forgotten_within_minutes, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(few_long_requests_at_a_time_are_neither_chance_nor_pace, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_ban_of_ten_minutes_is_met_with_twice, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(who_was_forbidden_everything_for_hours_is_back_half_an_hour_after_that_ends,
						open_gate, close_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
