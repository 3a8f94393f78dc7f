/* SPDX-License-Identifier: MIT */
/* What a request adds to its run's summary, beside what it adds to the segment that it shares with everybody. */
#include "gate_bench.h"

#include "weir/summary.h"

static struct weir_summary table;

static int open_counted(void **state)
{
	memset(&table, 0, sizeof table);
	open_gate(state);
	gate.summary = &table;
	return 0;
}

static struct weir_summary_view seen(void)
{
	struct weir_summary_view view;

	weir_summary_read(&table, weir_summary_row(&table, HOST), &view);
	return view;
}

static void expect(enum weir_summary_count which, uint64_t n, int line)
{
	if (seen().count[which] != n)
		fail_msg("line %d: count %d is %lu, not %lu", line, which, (unsigned long)seen().count[which], (unsigned long)n);
}
#define EXPECT(which, n) expect(WEIR_SUMMARY_##which, (n), __LINE__)

static void what_comes_of_a_request_is_counted(void **state)
{
	struct weir_request r;

	(void)state;
	publish();
	for (int i = 0; i < 3; i++) {
		go(&r);
		EXPECT(ADMITTED, (uint64_t)i + 1);
		now += (uint64_t)(i + 1) * 10 * MS;
		end(&r, i == 0 ? WEIR_SUCCEEDED : i == 1 ? WEIR_FAILED : WEIR_IGNORED, 0);
	}
	go(&r);
	end(&r, WEIR_THROTTLED, 0);
	EXPECT(SUCCEEDED, 1);
	EXPECT(FAILED, 1);
	EXPECT(IGNORED, 1);
	EXPECT(THROTTLED, 1);
	EXPECT(LATENCY_US, 30000);
	EXPECT(LONGEST_LATENCY_US, 20000);
	EXPECT(DELAYED, 0);
}

static void what_others_do_is_not_in_it(void **state)
{
	struct weir_gate others;
	struct weir_request r;
	struct weir_wish wish = {.host_port = HOST};
	uint64_t wake;

	(void)state;
	publish();
	others = gate;
	others.summary = NULL;
	assert_int_equal(weir_gate_begin(&others, &r, &wish, now, &wake), WEIR_GO);
	assert_int_equal(r.summary_row, 0);
	weir_gate_settle(&others, &r, &(struct weir_result){.outcome = WEIR_SUCCEEDED}, now);
	EXPECT(ADMITTED, 0);
	assert_int_equal(atomic_load(&entry()->counters.admitted), 1);
	go(&r);
	end(&r, WEIR_SUCCEEDED, 0);
	EXPECT(ADMITTED, 1);
	assert_int_equal(atomic_load(&entry()->counters.admitted), 2);
}

static void a_wait_is_counted_with_its_length_and_a_refusal_with_its_cause(void **state)
{
	struct weir_request first, second, third;
	uint64_t wake;

	(void)state;
	rule.wait_max_ns = 1500 * MS;
	fixed_rate(1, 1);
	go(&first);
	assert_int_equal(begin(&second, &wake), WEIR_WAIT);
	assert_int_equal(begin(&third, &wake), WEIR_REFUSE);
	now += SECOND + 10 * MS;
	assert_int_equal(weir_gate_look(&gate, &second, now, &wake), WEIR_GO);
	end(&second, WEIR_SUCCEEDED, 0);
	end(&first, WEIR_SUCCEEDED, 0);
	EXPECT(ADMITTED, 2);
	EXPECT(DELAYED, 1);
	EXPECT(WAITED_US, 1010000);
	EXPECT(LONGEST_WAIT_US, 1010000);
	assert_int_equal(seen().refused[WEIR_CAUSE_RATE], 1);
}

static void who_gives_up_while_it_waits_is_counted_as_that(void **state)
{
	struct weir_request first, second;
	uint64_t wake;

	(void)state;
	fixed_rate(1, 1);
	go(&first);
	assert_int_equal(begin(&second, &wake), WEIR_WAIT);
	weir_gate_cancel(&gate, &second, now);
	end(&first, WEIR_SUCCEEDED, 0);
	EXPECT(ADMITTED, 1);
	EXPECT(CANCELLED, 1);
}

static void who_was_kept_and_then_refused_or_gone_was_not_let_go(void **state)
{
	struct weir_wish ahead = {.host_port = HOST, .ahead = true};
	struct weir_request kept, other;
	uint64_t wake;

	(void)state;
	fixed_rate(1, 1);
	assert_int_equal(weir_gate_begin(&gate, &kept, &ahead, now, &wake), WEIR_GO);
	now += 1100 * MS;
	go(&other);
	now += 10 * MS;
	assert_int_equal(weir_gate_depart(&gate, &kept, now, &wake), WEIR_WAIT);
	EXPECT(ADMITTED, 2);
	weir_gate_cancel(&gate, &kept, now);
	EXPECT(ADMITTED, 1);
	EXPECT(CANCELLED, 1);
	end(&other, WEIR_SUCCEEDED, 0);
}

static void a_tentative_request_is_counted_when_it_is_over(void **state)
{
	struct weir_wish wish = {.host_port = HOST, .tentative = true};
	struct weir_request r;
	uint64_t wake;

	(void)state;
	publish();
	assert_int_equal(weir_gate_begin(&gate, &r, &wish, now, &wake), WEIR_GO);
	EXPECT(ADMITTED, 0);
	assert_true(weir_gate_leave(&gate, &r));
	EXPECT(ADMITTED, 0);
	assert_int_equal(weir_gate_begin(&gate, &r, &wish, now, &wake), WEIR_GO);
	end(&r, WEIR_SUCCEEDED, 0);
	EXPECT(ADMITTED, 1);
	EXPECT(SUCCEEDED, 1);
}

static void the_one_that_opens_the_breaker_is_counted(void **state)
{
	struct weir_request r;
	uint64_t wake;

	(void)state;
	rule.breaker.failures = 2;
	rule.grace_ns = 0;
	publish();
	for (int i = 0; i < 2; i++) {
		go(&r);
		now += MS;
		end(&r, WEIR_FAILED, 0);
	}
	EXPECT(TRIPS, 1);
	assert_int_equal(begin(&r, &wake), WEIR_REFUSE);
	assert_int_equal(seen().refused[WEIR_CAUSE_BREAKER], 1);
}

static void hops_retries_and_dry_runs_are_counted(void **state)
{
	struct weir_request r;
	uint64_t wake;

	(void)state;
	rule.retry.attempts = 3;
	fixed_rate(1, 1);
	weir_gate_hop(&gate, HOST, &(struct weir_result){.outcome = WEIR_SUCCEEDED, .latency_ns = MS}, now);
	EXPECT(ADMITTED, 1);
	EXPECT(SUCCEEDED, 1);
	EXPECT(LATENCY_US, 1000);
	gate.dry_run = true;
	assert_int_equal(begin(&r, &wake), WEIR_GO);
	EXPECT(WOULD_DELAY, 1);
	weir_gate_retry_earn(&gate, &r, now);
	while (weir_gate_retry_spend(&gate, &r, now))
		;
	weir_gate_retry_saved(&gate, &r);
	assert_true(seen().count[WEIR_SUMMARY_RETRIES] >= 1);
	EXPECT(RETRIES_EXHAUSTED, 1);
	EXPECT(RETRIES_SAVED, 1);
	end(&r, WEIR_SUCCEEDED, 0);
}

static void of_an_exempt_host_no_more_is_known(void **state)
{
	struct weir_request r;

	(void)state;
	rule.flags |= WEIR_RULE_EXEMPT;
	publish();
	go(&r);
	end(&r, WEIR_SUCCEEDED, 0);
	EXPECT(EXEMPT, 1);
	EXPECT(ADMITTED, 0);
	EXPECT(SUCCEEDED, 0);
}

static void one_whose_lease_was_taken_is_counted_all_the_same(void **state)
{
	struct weir_request r;

	(void)state;
	publish();
	go(&r);
	r.lease_tag ^= 1;
	end(&r, WEIR_FAILED, 0);
	EXPECT(FAILED, 1);
	go(&r);
	r.scope[0].word ^= 1;
	end(&r, WEIR_SUCCEEDED, 0);
	EXPECT(SUCCEEDED, 1);
	EXPECT(ADMITTED, 2);
}

#define GATE(name) cmocka_unit_test_setup_teardown(name, open_counted, close_gate)

int main(void)
{
	const struct CMUnitTest tests[] = {
		GATE(what_comes_of_a_request_is_counted),
		GATE(what_others_do_is_not_in_it),
		GATE(a_wait_is_counted_with_its_length_and_a_refusal_with_its_cause),
		GATE(who_gives_up_while_it_waits_is_counted_as_that),
		GATE(who_was_kept_and_then_refused_or_gone_was_not_let_go),
		GATE(a_tentative_request_is_counted_when_it_is_over),
		GATE(the_one_that_opens_the_breaker_is_counted),
		GATE(hops_retries_and_dry_runs_are_counted),
		GATE(of_an_exempt_host_no_more_is_known),
		GATE(one_whose_lease_was_taken_is_counted_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
