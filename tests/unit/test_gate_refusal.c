/* SPDX-License-Identifier: MIT */
/* What refusals mean is found out by asking: clients in a closed loop, on a virtual clock, and servers that mean different
 * things. */
#include "refusal_bench.h"

static void a_bare_status_that_becomes_rarer_at_half_the_pace_is_throttling(void **state)
{
	static const uint32_t status[] = {503, 403, 420, 509, 520, 529};

	for (unsigned i = 0; i < sizeof status / sizeof status[0]; i++) {
		if (i != 0) {
			close_gate(state);
			open_gate(state);
		}
		meet((struct server){.status = status[i], .per_s = 10, .depth = 10});
		run(60);
		assert_int_equal(held().meaning, WEIR_REFUSAL_PACE);
		assert_int_equal(held().status, status[i]);
		assert_int_equal(events(WEIR_EVENT_MEANING_CHANGED, WEIR_CAUSE_DEPENDS_ON_PACE), 1);
		run(300);
		assert_in_range(good, 10 * 300 * 95 / 100, 3010);
		assert_in_range(refused, 0, 60);
		assert_int_equal(atomic_load(&host()->breaker.opened_total), 0);
	}
}

static void a_bare_status_that_comes_at_random_slows_nobody_down(void **state)
{
	(void)state;
	meet((struct server){.status = 503, .noise_permille = 300});
	run(60);
	assert_int_equal(held().meaning, WEIR_REFUSAL_CHANCE);
	assert_int_equal(events(WEIR_EVENT_MEANING_CHANGED, WEIR_CAUSE_DEPENDS_ON_CHANCE), 1);
	run(600);
	/* Sixteen clients, each with an exchange in 10.6 ms. */
	assert_true(good + refused > 600 * 16 * 94 * 98 / 100);
	assert_int_equal(weir_bucket_pace(&host()->bucket[0]).rate, 0);
	assert_int_equal(atomic_load(&host()->breaker.opened_total), 0);
}

static void throttling_that_comes_whatever_the_pace_slows_nobody_down(void **state)
{
	(void)state;
	meet((struct server){.status = 429, .noise_permille = 100});
	run(120);
	assert_in_range(held().chance_permille, 50, 200);
	run(600);
	assert_true(good + refused > 600 * 16 * 94 * 85 / 100);
}

static void beside_throttling_by_chance_the_pace_is_still_learned(void **state)
{
	(void)state;
	meet((struct server){.status = 429, .noise_permille = 50, .per_s = 20, .depth = 20});
	run(300);
	run(600);
	assert_in_range(good, 20 * 600 * 80 / 100, 20 * 600 + 20);
	assert_in_range(refused, 0, 20 * 600 * 15 / 100);
}

static void what_depends_on_requests_in_flight_limits_these_and_not_the_rate(void **state)
{
	(void)state;
	meet((struct server){.status = 429, .slots = 4, .service_ns = 200 * MS});
	run(60);
	assert_int_equal(held().permits, 4);
	assert_int_equal(weir_concurrency_limit(&host()->concurrency, &rule.concurrency), 4);
	assert_int_equal(weir_bucket_pace(&host()->bucket[0]).rate, 0);
	assert_int_equal(events(WEIR_EVENT_MEANING_CHANGED, WEIR_CAUSE_DEPENDS_ON_CROWD), 1);
	run(300);
	/* Four at a time, each 210 ms on its way. */
	assert_true(good > 300 * 4000 / 211 * 95 / 100);
	assert_in_range(refused, 0, good / 50);
}

static void a_ban_is_waited_for_in_one_go_and_kept_away_from(void **state)
{
	(void)state;
	meet((struct server){.status = 429, .per_s = 10, .depth = 10, .ban_ns = 20 * SECOND});
	run(300);
	run(3600);
	assert_true(good > 36000 * 80 / 100);
	assert_in_range(server.bans, 1, 8);
}

static void a_ban_that_a_bare_status_says_is_found_by_silence(void **state)
{
	static const uint32_t status[] = {503, 403};

	for (unsigned i = 0; i < 2; i++) {
		if (i != 0) {
			close_gate(state);
			open_gate(state);
		}
		meet((struct server){.status = status[i], .per_s = 10, .depth = 10, .ban_ns = 20 * SECOND});
		run(300);
		assert_int_equal(held().meaning, WEIR_REFUSAL_PACE);
		assert_int_equal(held().status, status[i]);
		run(1800);
		assert_true(good > 18000 * 80 / 100);
		assert_in_range(server.bans, 1, 8);
		assert_int_equal(atomic_load(&host()->breaker.opened_total), 0);
	}
}

/* Silence changes nothing there: half of the time is lost, and not more. */
static void what_is_forbidden_for_good_is_asked_for_at_half_the_pace_at_least(void **state)
{
	(void)state;
	meet((struct server){.status = 403});
	run(2);
	server.noise_permille = 1000;
	run(55);
	assert_true(refused > 55 * 1000 / 11 * CLIENTS / 3);
	assert_int_equal(atomic_load(&host()->breaker.opened_total), 0);
	server.noise_permille = 0;
	run(60);
	assert_true(good > 60 * 1000 / 11 * CLIENTS / 3);
}

/* Nor is it learned that the status means "less": that silence ended with a good answer is no sign of a ban. */
static void after_a_row_of_forbidden_documents_the_pace_is_free_again(void **state)
{
	(void)state;
	meet((struct server){.status = 403});
	run(5);
	server.noise_permille = 1000;
	run(3);
	assert_int_equal(held().trial, WEIR_TRIAL_SILENCE);
	server.noise_permille = 200;
	run(30);
	assert_int_not_equal(held().meaning, WEIR_REFUSAL_PACE);
	run(60);
	assert_true(good > 60 * 1000 / 11 * CLIENTS * 7 / 10);
}

/* Where silence was long when it ended, that is found out by the refusals that come although distance is kept. */
static void a_ban_that_was_none_is_forgotten(void **state)
{
	(void)state;
	meet((struct server){.status = 403});
	run(5);
	server.noise_permille = 1000;
	run(45);
	for (int i = 0; i < 60 && held().trial != WEIR_TRIAL_SILENCE; i++)
		run(1);
	run(15);
	assert_int_equal(held().trial, WEIR_TRIAL_SILENCE);
	server.noise_permille = 200;
	run(400);
	assert_int_not_equal(held().meaning, WEIR_REFUSAL_PACE);
	run(60);
	assert_true(good > 60 * 1000 / 11 * CLIENTS * 7 / 10);
}

/* As many as make a row, but with good answers between them, and then nobody asked for a while. */
static void a_forbidden_document_after_an_idle_while_is_no_ban(void **state)
{
	struct weir_result forbidden = {.status = 403, .outcome = WEIR_SUCCEEDED};
	struct weir_request r;
	unsigned seen = 0;

	(void)state;
	meet((struct server){.status = 403, .noise_permille = 100});
	run(60);
	for (int i = 0; i < 100 && seen < 64; i++) {
		run(1);
		seen = (unsigned)(atomic_load(&host()->refusal.state[4]) >> 32);
	}
	assert_true(seen >= 64);
	now += 100 * SECOND;
	go(&r);
	now += 10 * MS;
	weir_gate_settle(&gate, &r, &forbidden, now);
	assert_int_not_equal(held().trial, WEIR_TRIAL_SILENCE);
	assert_int_not_equal(held().meaning, WEIR_REFUSAL_PACE);
}

/* A fixed rate learns nothing, so nothing would ever end what is tried. */
static void a_host_that_is_down_is_so_at_a_rate_that_was_set_in_silence(void **state)
{
	(void)state;
	meet((struct server){.status = 503});
	run(5);
	server.noise_permille = 1000;
	run(5);
	assert_int_equal(held().trial, WEIR_TRIAL_SILENCE);
	fixed_rate(100, 10);
	run(60);
	assert_int_equal(atomic_load(&host()->breaker.opened_total), 1);
}

/* It has been learned that a bare 503 means "less"; but a host that says nothing else for most of a minute is down. */
static void a_host_that_says_only_what_was_learned_is_down(void **state)
{
	(void)state;
	meet((struct server){.status = 503, .per_s = 10, .depth = 10});
	run(120);
	assert_int_equal(held().meaning, WEIR_REFUSAL_PACE);
	assert_int_equal(atomic_load(&host()->breaker.opened_total), 0);
	server.noise_permille = 1000;
	rule.wait_max_ns = SECOND;
	run(240);
	assert_int_equal(atomic_load(&host()->breaker.opened_total), 1);
	server.noise_permille = 0;
	run(60);
	assert_true(good > 60 * 10 * 70 / 100);
}

static void what_the_rule_lists_is_not_asked_about(void **state)
{
	(void)state;
	rule.throttle_code[0] = 403;
	rule.throttle_code[1] = 429;
	rule.throttle_codes = 2;
	meet((struct server){.status = 403, .noise_permille = 200});
	run(300);
	assert_int_equal(held().chance_permille, 0);
	assert_int_equal(held().meaning, WEIR_REFUSAL_UNKNOWN);
	assert_true(weir_bucket_pace(&host()->bucket[0]).rate != 0);
}

static void a_rule_that_lists_nothing_has_nothing_learned(void **state)
{
	(void)state;
	rule.throttle_codes = 0;
	meet((struct server){.status = 403, .per_s = 10, .depth = 10});
	run(60);
	assert_int_equal(held().meaning, WEIR_REFUSAL_UNKNOWN);
	assert_int_equal(held().status, 0);
}

static void what_was_learned_is_not_heeded_where_the_rule_now_lists_nothing(void **state)
{
	struct weir_request r;
	struct weir_result result = {.status = 403, .outcome = WEIR_SUCCEEDED};
	uint64_t throttled;

	(void)state;
	meet((struct server){.status = 403, .per_s = 10, .depth = 10});
	run(60);
	assert_int_equal(held().meaning, WEIR_REFUSAL_PACE);
	throttled = atomic_load(&host()->rate.throttled);
	rule.throttle_codes = 0;
	publish();
	now += 10 * SECOND;
	go(&r);
	weir_gate_settle(&gate, &r, &result, now);
	assert_int_equal(atomic_load(&host()->rate.throttled), throttled);
}

static void what_was_found_to_come_by_chance_is_throttling_once_the_rule_lists_it(void **state)
{
	(void)state;
	meet((struct server){.status = 503, .noise_permille = 300});
	run(60);
	assert_int_equal(held().meaning, WEIR_REFUSAL_CHANCE);
	assert_int_equal(weir_bucket_pace(&host()->bucket[0]).rate, 0);
	rule.throttle_code[0] = 429;
	rule.throttle_code[1] = 503;
	rule.throttle_codes = 2;
	publish();
	run(60);
	assert_true(weir_bucket_pace(&host()->bucket[0]).rate != 0);
}

static void a_reset_forgets_a_bare_status_and_what_comes_by_chance_too(void **state)
{
	static const struct server servers[] = {{.status = 503, .per_s = 10, .depth = 10},
						{.status = 429, .noise_permille = 100}};

	for (unsigned i = 0; i < 2; i++) {
		if (i != 0) {
			close_gate(state);
			open_gate(state);
		}
		meet(servers[i]);
		run(120);
		assert_true(held().meaning != WEIR_REFUSAL_UNKNOWN || held().chance_permille != 0);
		assert_true(weir_gate_reset(&segment, HOST, now));
		assert_int_equal(held().meaning, WEIR_REFUSAL_UNKNOWN);
		assert_int_equal(held().status, 0);
		assert_int_equal(held().chance_permille, 0);
		assert_int_equal(held().trial, WEIR_TRIAL_NONE);
		assert_int_equal(weir_bucket_pace(&host()->bucket[0]).rate, 0);
		assert_int_equal(events(WEIR_EVENT_RESET, WEIR_CAUSE_OPERATOR), 1);
	}
}

static void a_reset_forgets_what_refusals_mean(void **state)
{
	(void)state;
	meet((struct server){.status = 429, .slots = 4, .service_ns = 200 * MS});
	run(60);
	assert_int_not_equal(held().permits, 0);
	assert_true(weir_gate_reset(&segment, HOST, now));
	assert_int_equal(held().permits, 0);
	assert_int_equal(weir_concurrency_limit(&host()->concurrency, &rule.concurrency), UINT32_MAX);
	for (unsigned i = 0; i < WEIR_REFUSAL_WORDS; i++)
		assert_int_equal(atomic_load(&host()->refusal.state[i]), 0);
}

static void what_says_more_than_its_status_is_no_evidence(void **state)
{
	struct weir_request r;

	(void)state;
	publish();
	for (int i = 0; i < 200; i++) {
		struct weir_result result = {.status = 404, .outcome = WEIR_SUCCEEDED};

		go(&r);
		now += MS;
		weir_gate_settle(&gate, &r, &result, now);
		result.status = 500;
		result.outcome = WEIR_FAILED;
		if (i % 2 == 0) {
			go(&r);
			now += MS;
			weir_gate_settle(&gate, &r, &result, now);
		}
	}
	assert_int_equal(held().status, 0);
}

static void whatever_the_words_hold_the_advice_stays_in_range(void **state)
{
	struct weir_refusal f;
	uint64_t next = 1;

	(void)state;
	seed = 11;
	for (int round = 0; round < 20000; round++) {
		struct weir_refusal_answer a = {
			.status = 400 + below(200), .kind = (enum weir_refusal_kind)below(3), .alone = below(2) == 0};
		_Atomic uint64_t *word = &f.held;
		struct weir_refusal_advice advice;

		for (size_t i = 0; i < sizeof f / sizeof *word && round % 4 == 0; i++) {
			next = next * UINT64_C(6364136223846793005) + 1442695040888963407;
			atomic_store(&word[i], below(3) == 0 ? UINT64_MAX >> below(64) : next ^ next >> 29);
		}
		a.in_flight = below(100);
		a.accepted = next >> below(64);
		a.admitted_ns = now - below(1000) * MS;
		a.usual_ns = next >> below(64);
		a.pace = next >> below(64);
		advice = weir_refusal_hear(&f, &a, now);
		assert_true(advice.pause_ns <= 2 * SECOND);
		assert_true(advice.permits < 4096);
		advice = weir_refusal_counted(&f, &a, below(2), now);
		assert_true(advice.pause_ns <= 2 * SECOND);
		now += below(1000) * MS;
	}
	weir_refusal_clear(&f);
	assert_int_equal(weir_refusal_look(&f).permits, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_bare_status_that_becomes_rarer_at_half_the_pace_is_throttling, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(a_bare_status_that_comes_at_random_slows_nobody_down, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(throttling_that_comes_whatever_the_pace_slows_nobody_down, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(beside_throttling_by_chance_the_pace_is_still_learned, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(what_depends_on_requests_in_flight_limits_these_and_not_the_rate, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(a_ban_is_waited_for_in_one_go_and_kept_away_from, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_ban_that_a_bare_status_says_is_found_by_silence, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(what_is_forbidden_for_good_is_asked_for_at_half_the_pace_at_least, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(after_a_row_of_forbidden_documents_the_pace_is_free_again, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_ban_that_was_none_is_forgotten, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_forbidden_document_after_an_idle_while_is_no_ban, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_host_that_is_down_is_so_at_a_rate_that_was_set_in_silence, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(a_host_that_says_only_what_was_learned_is_down, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(what_the_rule_lists_is_not_asked_about, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_rule_that_lists_nothing_has_nothing_learned, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(what_was_learned_is_not_heeded_where_the_rule_now_lists_nothing, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(what_was_found_to_come_by_chance_is_throttling_once_the_rule_lists_it, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(a_reset_forgets_a_bare_status_and_what_comes_by_chance_too, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(a_reset_forgets_what_refusals_mean, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(what_says_more_than_its_status_is_no_evidence, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(whatever_the_words_hold_the_advice_stays_in_range, open_gate, close_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
