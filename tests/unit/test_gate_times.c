/* SPDX-License-Identifier: MIT */
/* Times in the segment that nobody can have meant (damage, another clock): a request is refused for no longer than the policy
 * allows, and what is forecast is what happens. */
#include "gate_bench.h"

#define DAY        (86400 * SECOND)
#define FAR_AHEAD  (1000 * DAY)
#define PACE       WEIR_RATE_ONE /* 1/s */
#define LOOK_EVERY (10 * SECOND)

static void make_entry(void)
{
	struct weir_request r;

	publish();
	go(&r);
	end(&r, WEIR_SUCCEEDED, 0);
}

/* Until when a request is refused, at most `most_ns` from now; every forecast says the same as the request that follows. */
static uint64_t refused_for_ns(uint64_t most_ns)
{
	uint64_t begun = now, wake;

	for (; now - begun <= most_ns; now += LOOK_EVERY) {
		struct weir_forecast f;
		struct weir_request r;
		enum weir_verdict verdict;

		weir_gate_forecast(&gate, HOST, now, &f);
		verdict = begin(&r, &wake);
		assert_int_equal(f.verdict, verdict);
		if (verdict != WEIR_GO)
			assert_int_equal(f.until_ns, r.until_ns);
		weir_gate_cancel(&gate, &r, now);
		if (verdict != WEIR_REFUSE)
			return now - begun;
	}
	fail_msg("still refused after %llu s", (unsigned long long)((now - begun) / SECOND));
	return 0;
}

static void a_hold_ends_within_hold_max(void **state)
{
	static const uint64_t ahead[] = {FAR_AHEAD, 10 * DAY, UINT64_MAX / 2};

	(void)state;
	make_entry();
	for (size_t i = 0; i < sizeof ahead / sizeof ahead[0]; i++) {
		atomic_store(&entry()->hold.until_ns, now + ahead[i]);
		assert_true(refused_for_ns(rule.hold_max_ns + LOOK_EVERY) <= rule.hold_max_ns);
	}
}

static void an_open_breaker_tries_again_within_its_longest_open_time(void **state)
{
	uint64_t longest = rule.breaker.open_time_max_ns * 12 / 10 + SECOND;

	(void)state;
	make_entry();
	for (unsigned kind = WEIR_BREAKER_OPEN; kind <= WEIR_BREAKER_HALF_OPEN; kind++) {
		atomic_store(&entry()->breaker.word, (uint64_t)kind << 62 | (now + FAR_AHEAD) / MS);
		assert_true(refused_for_ns(longest + 2 * LOOK_EVERY) <= longest + LOOK_EVERY);
	}
}

static void a_bucket_that_stands_still_without_a_hold_goes_on(void **state)
{
	struct weir_forecast f;
	struct weir_request r;
	uint64_t wake;

	(void)state;
	rule.rate.strategy = WEIR_FIXED;
	rule.rate.max = PACE;
	rule.rate.burst = 1;
	make_entry();
	weir_bucket_freeze(&entry()->bucket[0], now + FAR_AHEAD, now);
	weir_gate_forecast(&gate, HOST, now, &f);
	assert_int_equal(f.verdict, WEIR_WAIT);
	assert_in_range(f.until_ns - now, 0, 3 * SECOND);
	assert_int_equal(begin(&r, &wake), WEIR_WAIT);
	assert_int_equal(r.until_ns, f.until_ns);
	now = r.until_ns;
	assert_int_equal(weir_gate_look(&gate, &r, now, &wake), WEIR_GO);
}

static void a_bucket_of_a_second_rate_too(void **state)
{
	struct weir_request r;
	uint64_t wake;

	(void)state;
	rule.fixed[0].rate = PACE;
	rule.fixed[0].burst = 1;
	make_entry();
	weir_bucket_freeze(&entry()->bucket[1], now + FAR_AHEAD, now);
	assert_int_equal(begin(&r, &wake), WEIR_WAIT);
	assert_in_range(r.until_ns - now, 0, 3 * SECOND);
}

static void a_bucket_that_stands_still_for_a_hold_does_so_until_it_ends(void **state)
{
	struct weir_request r;
	uint64_t wake;

	(void)state;
	rule.rate.strategy = WEIR_FIXED;
	rule.rate.max = PACE;
	rule.rate.burst = 1;
	rule.wait_max_ns = 10 * rule.hold_max_ns;
	make_entry();
	now += 5 * SECOND;
	go(&r);
	end(&r, WEIR_THROTTLED, rule.hold_max_ns);
	assert_int_equal(begin(&r, &wake), WEIR_WAIT);
	assert_in_range(r.until_ns - now, rule.hold_max_ns, rule.hold_max_ns + 3 * SECOND);
}

static void an_override_that_ends_after_more_than_a_year_is_none(void **state)
{
	(void)state;
	make_entry();
	assert_true(weir_gate_set(&segment, HOST, PACE, 1, 1, 300 * DAY, false, now));
	assert_true(weir_gate_overridden(entry(), now));
	atomic_store(&entry()->set_until_ns, now + FAR_AHEAD);
	assert_false(weir_gate_overridden(entry(), now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_hold_ends_within_hold_max, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(an_open_breaker_tries_again_within_its_longest_open_time, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_bucket_that_stands_still_without_a_hold_goes_on, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_bucket_of_a_second_rate_too, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_bucket_that_stands_still_for_a_hold_does_so_until_it_ends, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(an_override_that_ends_after_more_than_a_year_is_none, open_gate, close_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
