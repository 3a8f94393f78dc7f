/* SPDX-License-Identifier: MIT */
/* What may be asked again, how long it waits before, and the budget that bounds it. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "weir/again.h"
#include "weir/retry.h"

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)
#define START  (3600 * SECOND)

static const struct weir_retry_params usual = {
	.attempts = 3,
	.on = WEIR_RETRY_ALL,
	.methods = WEIR_METHODS_IDEMPOTENT,
	.budget_permille = 200,
	.base_ns = 200 * MS,
	.cap_ns = 20 * SECOND,
};

static struct weir_attempt failed(enum weir_retry_kind kind)
{
	return (struct weir_attempt){
		.number = 1, .kind = kind, .method = WEIR_METHOD_GET, .now_ns = START, .random = UINT64_MAX / 3};
}

static enum weir_again decide(struct weir_attempt a)
{
	uint64_t wait_ns;

	return weir_again_decide(&usual, &a, &wait_ns);
}

static void each_kind_of_failure_is_asked_again(void **state)
{
	(void)state;
	assert_int_equal(decide(failed(WEIR_RETRY_THROTTLED)), WEIR_AGAIN_YES);
	assert_int_equal(decide(failed(WEIR_RETRY_CONNECT)), WEIR_AGAIN_YES);
	assert_int_equal(decide(failed(WEIR_RETRY_TIMEOUT)), WEIR_AGAIN_YES);
	assert_int_equal(decide(failed(WEIR_RETRY_SERVER_ERROR)), WEIR_AGAIN_YES);
	assert_int_equal(decide(failed(WEIR_RETRY_NONE)), WEIR_AGAIN_NO_FAILURE);
}

static void only_what_the_rule_names_is_asked_again(void **state)
{
	struct weir_retry_params p = usual;
	struct weir_attempt a = failed(WEIR_RETRY_CONNECT);
	uint64_t wait_ns;

	(void)state;
	p.on = WEIR_RETRY_THROTTLED | WEIR_RETRY_TIMEOUT;
	assert_int_equal(weir_again_decide(&p, &a, &wait_ns), WEIR_AGAIN_OFF);
	a.kind = WEIR_RETRY_TIMEOUT;
	assert_int_equal(weir_again_decide(&p, &a, &wait_ns), WEIR_AGAIN_YES);
	p.attempts = 1;
	assert_int_equal(weir_again_decide(&p, &a, &wait_ns), WEIR_AGAIN_OFF);
	p.attempts = 0;
	assert_int_equal(weir_again_decide(&p, &a, &wait_ns), WEIR_AGAIN_OFF);
}

static void the_last_attempt_allowed_is_the_last(void **state)
{
	struct weir_attempt a = failed(WEIR_RETRY_SERVER_ERROR);
	struct weir_retry_params p = usual;
	uint64_t wait_ns;

	(void)state;
	a.number = 2;
	assert_int_equal(decide(a), WEIR_AGAIN_YES);
	a.number = 3;
	assert_int_equal(decide(a), WEIR_AGAIN_ATTEMPTS);
	/* A damaged rule asks no more often than any rule may. */
	p.attempts = UINT32_MAX;
	a.number = WEIR_RETRY_ATTEMPTS_MAX;
	assert_int_equal(weir_again_decide(&p, &a, &wait_ns), WEIR_AGAIN_ATTEMPTS);
}

static void a_post_is_sent_once_unless_the_rule_names_it(void **state)
{
	struct weir_attempt a = failed(WEIR_RETRY_THROTTLED);
	struct weir_retry_params p = usual;
	uint64_t wait_ns;

	(void)state;
	a.method = WEIR_METHOD_POST;
	assert_int_equal(decide(a), WEIR_AGAIN_METHOD);
	a.method = 0; /* of a name that nobody knows */
	assert_int_equal(decide(a), WEIR_AGAIN_METHOD);
	/* One that has not been sent at all is not sent twice. */
	a.method = WEIR_METHOD_POST;
	a.kind = WEIR_RETRY_CONNECT;
	a.unsent = true;
	assert_int_equal(decide(a), WEIR_AGAIN_YES);
	a.unsent = false;
	p.methods |= WEIR_METHOD_POST;
	assert_int_equal(weir_again_decide(&p, &a, &wait_ns), WEIR_AGAIN_YES);
}

static void what_stands_against_it_is_told(void **state)
{
	struct weir_attempt a = failed(WEIR_RETRY_SERVER_ERROR);

	(void)state;
	a.delivered = true;
	assert_int_equal(decide(a), WEIR_AGAIN_DELIVERED);
	a = failed(WEIR_RETRY_SERVER_ERROR);
	a.one_way = true;
	assert_int_equal(decide(a), WEIR_AGAIN_BODY);
	a = failed(WEIR_RETRY_SERVER_ERROR);
	a.repeats = true;
	assert_int_equal(decide(a), WEIR_AGAIN_REPEATS);
}

static void the_program_s_own_time_bounds_it(void **state)
{
	struct weir_attempt a = failed(WEIR_RETRY_SERVER_ERROR);
	uint64_t wait_ns;

	(void)state;
	assert_int_equal(weir_again_decide(&usual, &a, &wait_ns), WEIR_AGAIN_YES);
	assert_true(wait_ns > 0 && wait_ns <= 200 * MS);
	a.over_ns = START + wait_ns;
	assert_int_equal(decide(a), WEIR_AGAIN_TIME);
	a.over_ns = START + wait_ns + 1;
	assert_int_equal(decide(a), WEIR_AGAIN_YES);
	a.over_ns = START - 1;
	assert_int_equal(decide(a), WEIR_AGAIN_TIME);
}

static void who_is_held_by_the_gate_does_not_wait_besides(void **state)
{
	struct weir_attempt a = failed(WEIR_RETRY_THROTTLED);
	uint64_t wait_ns = 1;

	(void)state;
	a.held = true;
	assert_int_equal(weir_again_decide(&usual, &a, &wait_ns), WEIR_AGAIN_YES);
	assert_int_equal(wait_ns, 0);
	a.held = false;
	assert_int_equal(weir_again_decide(&usual, &a, &wait_ns), WEIR_AGAIN_YES);
	assert_true(wait_ns > 0);
	/* A host that is down has another pace than one that throttles. */
	a = failed(WEIR_RETRY_CONNECT);
	a.held = true;
	assert_int_equal(weir_again_decide(&usual, &a, &wait_ns), WEIR_AGAIN_YES);
	assert_true(wait_ns > 0);
}

static void waits_double_up_to_the_cap_and_are_spread_over_all_of_it(void **state)
{
	const struct weir_retry_params p = {.base_ns = 100 * MS, .cap_ns = 700 * MS};
	static const uint64_t most[] = {100 * MS, 200 * MS, 400 * MS, 700 * MS, 700 * MS};
	unsigned seed = 7;

	(void)state;
	for (uint32_t n = 1; n <= 5; n++) {
		uint64_t low = UINT64_MAX, high = 0;

		for (unsigned i = 0; i < 2000; i++) {
			uint64_t random = (uint64_t)rand_r(&seed) << 31 ^ (uint64_t)rand_r(&seed),
				 wait = weir_retry_backoff_ns(&p, n, random);

			assert_true(wait <= most[n - 1]);
			low = wait < low ? wait : low;
			high = wait > high ? wait : high;
		}
		assert_true(low < most[n - 1] / 50 && high > most[n - 1] - most[n - 1] / 50);
	}
}

static void numbers_out_of_range_make_no_wait_without_end(void **state)
{
	const struct weir_retry_params p = {.base_ns = UINT64_MAX, .cap_ns = 0}, none = {0},
				       far = {.base_ns = UINT64_MAX, .cap_ns = UINT64_MAX};

	(void)state;
	assert_true(weir_retry_backoff_ns(&p, UINT32_MAX, UINT64_MAX - 1) <= 20 * SECOND);
	assert_int_equal(weir_retry_backoff_ns(&none, 1, UINT64_MAX), 0);
	assert_true(weir_retry_backoff_ns(&far, UINT32_MAX, UINT64_MAX - 1) <= 86400 * SECOND);
}

static void a_new_budget_has_ten_and_gets_one_in_ten_seconds(void **state)
{
	struct weir_retry_budget b = {0};
	uint64_t now = START;

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		assert_true(weir_retry_spend(&b, now));
	assert_false(weir_retry_spend(&b, now));
	assert_false(weir_retry_spend(&b, now + 10 * SECOND - MS));
	assert_true(weir_retry_spend(&b, now + 10 * SECOND));
	assert_false(weir_retry_spend(&b, now + 10 * SECOND));
	/* However long nobody asks, it is ten again, and no more. */
	now += 86400 * SECOND;
	assert_int_equal(weir_retry_left(&b, now), WEIR_RETRY_RESERVE);
}

static void five_requests_pay_for_one_retry(void **state)
{
	struct weir_retry_budget b = {0};

	(void)state;
	while (weir_retry_spend(&b, START))
		;
	for (unsigned i = 0; i < 4; i++)
		weir_retry_earn(&b, 200, START);
	assert_false(weir_retry_spend(&b, START));
	weir_retry_earn(&b, 200, START);
	assert_true(weir_retry_spend(&b, START));
	assert_false(weir_retry_spend(&b, START));
	for (unsigned i = 0; i < 10000; i++)
		weir_retry_earn(&b, 200, START);
	assert_int_equal(weir_retry_left(&b, START), WEIR_RETRY_MOST);
}

static void a_budget_that_is_asked_every_millisecond_fills_as_fast(void **state)
{
	struct weir_retry_budget b = {0};
	unsigned spent = 0;

	(void)state;
	while (weir_retry_spend(&b, START))
		;
	for (uint64_t ms = 0; ms <= 30000; ms++) {
		weir_retry_earn(&b, 0, START + ms * MS);
		spent += weir_retry_spend(&b, START + ms * MS);
	}
	assert_int_equal(spent, 3);
}

static void what_requests_pay_in_comes_in_place_of_what_time_does(void **state)
{
	struct weir_retry_budget b = {0};
	unsigned spent = 0;

	(void)state;
	while (weir_retry_spend(&b, START))
		;
	/* Ten a second for a minute: a fifth of them, and not six more. */
	for (uint64_t n = 1; n <= 600; n++) {
		weir_retry_earn(&b, 200, START + n * 100 * MS);
		spent += weir_retry_spend(&b, START + n * 100 * MS);
	}
	assert_in_range(spent, 119, 121);
	/* Two a minute: one in ten seconds all the same. */
	for (uint64_t n = 1; n <= 20; n++) {
		weir_retry_earn(&b, 200, START + 60 * SECOND + n * 30 * SECOND);
		while (weir_retry_spend(&b, START + 60 * SECOND + n * 30 * SECOND))
			spent++;
	}
	assert_in_range(spent, 119 + 58, 121 + 61);
}

static void a_damaged_level_is_no_more_than_a_full_one(void **state)
{
	struct weir_retry_budget b = {0};
	unsigned spent = 0;

	(void)state;
	atomic_store(&b.level, UINT64_MAX);
	while (spent < 1000 && weir_retry_spend(&b, START))
		spent++;
	assert_int_equal(spent, WEIR_RETRY_MOST / WEIR_RETRY_ONE);
	/* And one from a time to come fills again from now on. */
	assert_true(weir_retry_spend(&b, START + 20 * SECOND));
}

struct shared {
	struct weir_retry_budget budget;
	_Atomic uint64_t asked, retried;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void ask_for_ever(struct shared *s)
{
	for (;;) {
		atomic_fetch_add(&s->asked, 1);
		weir_retry_earn(&s->budget, 200, now_ns());
		if (weir_retry_spend(&s->budget, now_ns()))
			atomic_fetch_add(&s->retried, 1);
	}
}

static void retries_stay_within_their_budget_whoever_is_killed(void **state)
{
	struct shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t from = now_ns(), allowed;
	unsigned seed = 11;

	(void)state;
	assert_ptr_not_equal(s, MAP_FAILED);
	for (unsigned round = 0; round < 60; round++) {
		pid_t child[3];

		for (unsigned i = 0; i < 3; i++) {
			child[i] = fork();
			assert_true(child[i] >= 0);
			if (child[i] == 0)
				ask_for_ever(s);
		}
		usleep((useconds_t)(rand_r(&seed) % 4000));
		for (unsigned i = 0; i < 3; i++) {
			kill(child[i], SIGKILL);
			waitpid(child[i], NULL, 0);
		}
	}
	allowed = WEIR_RETRY_RESERVE / WEIR_RETRY_ONE + atomic_load(&s->asked) / 5 + (now_ns() - from) / (10 * SECOND) + 1;
	assert_true(atomic_load(&s->retried) > 0);
	assert_true(atomic_load(&s->retried) <= allowed);
	munmap(s, sizeof *s);
}

static void methods_are_known_by_their_names(void **state)
{
	(void)state;
	assert_int_equal(weir_method_of("GET", 3), WEIR_METHOD_GET);
	assert_int_equal(weir_method_of("POST", 4), WEIR_METHOD_POST);
	assert_int_equal(weir_method_of("PATCH", 5), WEIR_METHOD_PATCH);
	assert_int_equal(weir_method_of("get", 3), 0);
	assert_int_equal(weir_method_of("GE", 2), 0);
	assert_int_equal(weir_method_of("GETS", 4), 0);
	assert_int_equal(weir_method_of("", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_failure_is_asked_again),
		cmocka_unit_test(only_what_the_rule_names_is_asked_again),
		cmocka_unit_test(the_last_attempt_allowed_is_the_last),
		cmocka_unit_test(a_post_is_sent_once_unless_the_rule_names_it),
		cmocka_unit_test(what_stands_against_it_is_told),
		cmocka_unit_test(the_program_s_own_time_bounds_it),
		cmocka_unit_test(who_is_held_by_the_gate_does_not_wait_besides),
		cmocka_unit_test(waits_double_up_to_the_cap_and_are_spread_over_all_of_it),
		cmocka_unit_test(numbers_out_of_range_make_no_wait_without_end),
		cmocka_unit_test(a_new_budget_has_ten_and_gets_one_in_ten_seconds),
		cmocka_unit_test(five_requests_pay_for_one_retry),
		cmocka_unit_test(a_budget_that_is_asked_every_millisecond_fills_as_fast),
		cmocka_unit_test(what_requests_pay_in_comes_in_place_of_what_time_does),
		cmocka_unit_test(a_damaged_level_is_no_more_than_a_full_one),
		cmocka_unit_test(retries_stay_within_their_budget_whoever_is_killed),
		cmocka_unit_test(methods_are_known_by_their_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
