/* SPDX-License-Identifier: MIT */
/* What answers mean: who is down, and who only refuses; whose failure a time-out is. */
#include "gate_bench.h"

static enum weir_breaker_state state_now(void)
{
	return weir_breaker_view(&entry()->breaker, &rule.breaker, now).state;
}

static void answer(struct weir_request *r, uint32_t status)
{
	struct weir_result result = {.status = status, .outcome = weir_gate_classify(&gate, r, (int)status, false)};

	weir_gate_settle(&gate, r, &result, now);
}

/* A request that is answered with this status after ms. */
static void exchange(uint32_t status, uint64_t ms)
{
	struct weir_request r;

	go(&r);
	now += ms * MS;
	answer(&r, status);
}

/* The same of a client that waits where it is told to: whether such answers become rarer at half the pace is tried. */
static void patient_exchange(uint32_t status, uint64_t ms)
{
	struct weir_request r;
	uint64_t wake;
	enum weir_verdict v = begin(&r, &wake);

	while (v == WEIR_WAIT) {
		now = wake > now ? wake : now + MS;
		v = weir_gate_look(&gate, &r, now, &wake);
	}
	assert_int_equal(v, WEIR_GO);
	now += ms * MS;
	answer(&r, status);
}

static void give_up(struct weir_request *r)
{
	struct weir_result result = {.outcome = WEIR_FAILED, .timed_out = true};

	weir_gate_settle(&gate, r, &result, now);
}

static void poisoned_records_open_no_breaker(void **state)
{
	(void)state;
	for (int pass = 0; pass < 20; pass++)
		for (int i = 0; i < 60; i++)
			exchange(i >= 20 && i < 26 ? 500 : 200, pass < 10 ? 20 : 700);
	assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
	assert_int_equal(atomic_load(&entry()->counters.refused), 0);
}

static void a_host_that_sheds_nine_tenths_with_503_is_not_down(void **state)
{
	(void)state;
	exchange(200, 20);
	for (int i = 0; i < 3000; i++)
		patient_exchange(i % 10 == 9 ? 200 : 503, 2);
	assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
}

static void a_host_that_never_answers_well_opens_it_after_failures(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < rule.breaker.failures; i++)
		exchange(503, 2);
	assert_int_equal(state_now(), WEIR_BREAKER_OPEN);
}

/* Sixteen at once meet a host for the first time, and the six who ask for what is broken are answered first. */
static void a_crowd_s_first_answers_are_one_look(void **state)
{
	struct weir_request r[16];

	(void)state;
	for (int i = 0; i < 16; i++)
		go(&r[i]);
	now += 30 * MS;
	for (int i = 0; i < 6; i++)
		answer(&r[i], 500);
	assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
	now += 30 * MS;
	for (int i = 6; i < 16; i++)
		answer(&r[i], 200);
	assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
}

static void a_crowd_s_second_look_opens_it_on_a_host_that_was_never_well(void **state)
{
	struct weir_request r[16], again;

	(void)state;
	for (int i = 0; i < 16; i++)
		go(&r[i]);
	now += 30 * MS;
	answer(&r[0], 500);
	go(&again);
	for (int i = 1; i < 16; i++)
		answer(&r[i], 500);
	assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
	now += 30 * MS;
	answer(&again, 500);
	assert_int_equal(state_now(), WEIR_BREAKER_OPEN);
}

static void where_one_failure_is_enough_it_is_so_for_a_host_that_was_never_well(void **state)
{
	(void)state;
	rule.breaker.failures = 1;
	publish();
	exchange(500, 20);
	assert_int_equal(state_now(), WEIR_BREAKER_OPEN);
}

static void a_host_that_was_well_and_answers_only_errors_opens_it_soon(void **state)
{
	struct weir_request r;
	uint64_t wake, began;
	int sent = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		exchange(200, 20);
	for (began = now; begin(&r, &wake) == WEIR_GO && sent < 1000; sent++) {
		now += 20 * MS;
		answer(&r, 502);
	}
	assert_int_equal(state_now(), WEIR_BREAKER_OPEN);
	assert_in_range(now - began, SECOND, 2 * SECOND);
}

/* A bare 503 and nothing else may be a ban: single looks, further and further apart, before the host is taken to be down. */
static void a_host_that_was_well_and_says_only_503_is_given_silence_first(void **state)
{
	struct weir_request r;
	uint64_t wake, began;
	unsigned sent = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		exchange(200, 20);
	for (began = now; now - began < 2 * SECOND; now += 20 * MS)
		if (begin(&r, &wake) == WEIR_GO)
			answer(&r, 503);
		else
			weir_gate_cancel(&gate, &r, now);
	assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
	assert_int_equal(weir_refusal_look(&entry()->refusal).trial, WEIR_TRIAL_SILENCE);
	for (; state_now() == WEIR_BREAKER_CLOSED && now - began < 120 * SECOND; now += 20 * MS)
		if (begin(&r, &wake) == WEIR_GO && ++sent != 0)
			answer(&r, 503);
		else
			weir_gate_cancel(&gate, &r, now);
	assert_int_equal(state_now(), WEIR_BREAKER_OPEN);
	assert_in_range(now - began, 40 * SECOND, 80 * SECOND);
	assert_true(sent < 40);
	assert_int_equal(weir_refusal_look(&entry()->refusal).meaning, WEIR_REFUSAL_UNKNOWN);
}

static void impatient_clients_open_no_breaker(void **state)
{
	struct weir_request r;
	uint64_t wake;

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct weir_wish poll = {.host_port = HOST, .patience_ns = 300 * MS};

		assert_int_equal(weir_gate_begin(&gate, &r, &poll, now, &wake), WEIR_GO);
		now += 300 * MS;
		give_up(&r);
	}
	assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
	assert_int_equal(atomic_load(&entry()->counters.ignored), 20);
}

/* Long polls of all kinds beside a client that is answered within 20 ms. */
static void clients_that_give_up_while_others_are_answered_open_no_breaker(void **state)
{
	struct weir_request r[12];
	uint64_t wake;

	(void)state;
	for (int i = 0; i < 5; i++)
		exchange(200, 20);
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 12; i++)
			go(&r[i]);
		now += 1500 * MS;
		exchange(200, 20);
		now += 500 * MS;
		for (int i = 0; i < 12; i++)
			give_up(&r[i]);
		assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
	}
	/* And where nobody is, it is the host. */
	for (int i = 0; i < 30 && begin(&r[0], &wake) == WEIR_GO; i++) {
		now += 2 * SECOND;
		give_up(&r[0]);
	}
	assert_int_equal(state_now(), WEIR_BREAKER_OPEN);
}

static void a_host_that_is_silent_for_long_opens_it_whatever_the_time_out(void **state)
{
	struct weir_request r;
	uint64_t wake;

	(void)state;
	exchange(200, 20);
	for (int i = 0; i < 60 && begin(&r, &wake) == WEIR_GO; i++) {
		now += 300 * MS;
		give_up(&r);
	}
	assert_int_equal(state_now(), WEIR_BREAKER_OPEN);
}

static void a_time_out_that_our_own_wait_has_shortened_is_ignored(void **state)
{
	struct weir_wish wish = {.host_port = HOST, .patience_ns = 20 * SECOND};
	struct weir_request r[10];
	uint64_t wake;

	(void)state;
	fixed_rate(1, 1);
	for (int i = 0; i < 10; i++)
		assert_int_equal(weir_gate_begin(&gate, &r[i], &wish, now, &wake), i == 0 ? WEIR_GO : WEIR_WAIT);
	for (int i = 1; i < 10; i++) {
		now = 1000 * SECOND + (uint64_t)i * SECOND + MS;
		assert_int_equal(weir_gate_look(&gate, &r[i], now, &wake), WEIR_GO);
	}
	now = 1020 * SECOND;
	for (int i = 1; i < 10; i++)
		give_up(&r[i]);
	assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
}

/* Of those who waited long the late answers are never seen; were they not counted, the usual latency would be that of the early.
 */
static void what_comes_too_late_for_who_waited_is_latency_too(void **state)
{
	struct weir_wish wish = {.host_port = HOST, .patience_ns = 2 * SECOND};
	struct weir_request late;
	uint64_t wake;

	(void)state;
	fixed_rate(1, 1);
	exchange(200, 200);
	assert_int_equal(weir_gate_begin(&gate, &late, &wish, now, &wake), WEIR_WAIT);
	now += SECOND;
	assert_int_equal(weir_gate_look(&gate, &late, now, &wake), WEIR_GO);
	now += SECOND;
	give_up(&late);
	assert_int_equal(weir_meaning_usual_ns(&entry()->meaning), 387500 * MS / 1000);
	now += SECOND;
	wish.patience_ns = 400 * MS;
	assert_int_equal(weir_gate_begin(&gate, &late, &wish, now, &wake), WEIR_GO);
	now += 400 * MS;
	give_up(&late); /* it had not waited: that is its own impatience */
	assert_int_equal(weir_meaning_usual_ns(&entry()->meaning), 387500 * MS / 1000);
}

static void a_request_that_would_have_less_left_than_the_usual_latency_is_refused_at_once(void **state)
{
	struct weir_wish wish = {.host_port = HOST, .patience_ns = 2 * SECOND};
	struct weir_request r;
	uint64_t wake;

	(void)state;
	rule.breaker.failures = 5;
	fixed_rate(4, 1);
	for (int n = 0; n < 32; n++, now += SECOND)
		exchange(200, 300);
	for (int i = 0; i < 20; i++) {
		enum weir_verdict v = weir_gate_begin(&gate, &r, &wish, now, &wake);

		/* 1.7 s at 4/s: one now, six later, nobody else */
		assert_int_equal(v, i == 0 ? WEIR_GO : i <= 6 ? WEIR_WAIT : WEIR_REFUSE);
		if (v == WEIR_REFUSE)
			assert_true(r.timed_out);
	}
}

static void while_the_latency_is_not_known_a_quarter_of_the_time_out_is_left_to_the_host(void **state)
{
	struct weir_wish wish = {.host_port = HOST, .patience_ns = 2100 * MS};
	struct weir_request r;
	uint64_t wake;

	(void)state;
	fixed_rate(4, 1);
	for (int i = 0; i < 20; i++) {
		enum weir_verdict v = weir_gate_begin(&gate, &r, &wish, now, &wake);

		/* 1.575 s at 4/s */
		assert_int_equal(v, i == 0 ? WEIR_GO : i <= 6 ? WEIR_WAIT : WEIR_REFUSE);
	}
}

static void a_listed_status_with_quota_left_is_an_answer(void **state)
{
	struct weir_result result = {.outcome = WEIR_THROTTLED, .status = 403, .quotas = 1};
	struct weir_request r;

	(void)state;
	result.quota[0] = (struct weir_quota){.limit = 5000, .has_remaining = true, .remaining = 4000};
	go(&r);
	weir_gate_settle(&gate, &r, &result, now);
	assert_int_equal(atomic_load(&entry()->rate.throttled), 0);
	assert_int_equal(atomic_load(&entry()->rate.accepted), 1);
	result.quota[0].remaining = 0;
	go(&r);
	weir_gate_settle(&gate, &r, &result, now);
	assert_int_equal(atomic_load(&entry()->rate.throttled), 1);
}

static void what_was_learned_is_forgotten_by_reset_and_hostile_words_do_no_harm(void **state)
{
	struct weir_meaning *m;

	(void)state;
	exchange(200, 20);
	m = &entry()->meaning;
	assert_int_equal(weir_meaning_usual_ns(m), 30 * MS); /* the first may be an early one */
	assert_true(weir_gate_reset(&segment, HOST, now));
	assert_int_equal(weir_meaning_usual_ns(m), 0);
	memset(m, 0xff, sizeof *m);
	for (int i = 0; i < 100; i++)
		exchange(i % 3 == 0 ? 200 : 500, 5);
	assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(poisoned_records_open_no_breaker, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_host_that_sheds_nine_tenths_with_503_is_not_down, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_host_that_never_answers_well_opens_it_after_failures, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_crowd_s_first_answers_are_one_look, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_crowd_s_second_look_opens_it_on_a_host_that_was_never_well, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(where_one_failure_is_enough_it_is_so_for_a_host_that_was_never_well, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(a_host_that_was_well_and_answers_only_errors_opens_it_soon, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(a_host_that_was_well_and_says_only_503_is_given_silence_first, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(impatient_clients_open_no_breaker, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(clients_that_give_up_while_others_are_answered_open_no_breaker, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(a_host_that_is_silent_for_long_opens_it_whatever_the_time_out, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(a_time_out_that_our_own_wait_has_shortened_is_ignored, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(what_comes_too_late_for_who_waited_is_latency_too, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_request_that_would_have_less_left_than_the_usual_latency_is_refused_at_once,
						open_gate, close_gate),
		cmocka_unit_test_setup_teardown(while_the_latency_is_not_known_a_quarter_of_the_time_out_is_left_to_the_host,
						open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_listed_status_with_quota_left_is_an_answer, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(what_was_learned_is_forgotten_by_reset_and_hostile_words_do_no_harm, open_gate,
						close_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
