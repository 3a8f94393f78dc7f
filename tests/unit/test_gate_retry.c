/* SPDX-License-Identifier: MIT */
/* Asking again, as the gate has it: the rule, the host's budget and what is counted of it. And what a lease and an entry tell
 * others. */
#include "gate_bench.h"

static struct weir_request asked(void)
{
	struct weir_request r;
	struct weir_wish wish = {.host_port = HOST};
	uint64_t wake;

	assert_int_equal(weir_gate_begin(&gate, &r, &wish, now, &wake), WEIR_GO);
	return r;
}

static void the_rule_says_how_often_and_a_run_has_the_last_word(void **state)
{
	struct weir_retry_params params;
	struct weir_request r;

	(void)state;
	publish();
	r = asked();
	assert_false(weir_gate_retry(&gate, &r, &params)); /* one attempt: off, as built in */
	end(&r, WEIR_SUCCEEDED, 0);
	rule.retry.attempts = 3;
	publish();
	r = asked();
	assert_true(weir_gate_retry(&gate, &r, &params));
	assert_int_equal(params.attempts, 3);
	gate.attempts = 5;
	assert_true(weir_gate_retry(&gate, &r, &params));
	assert_int_equal(params.attempts, 5);
	gate.dry_run = true;
	assert_false(weir_gate_retry(&gate, &r, &params));
	gate.dry_run = false;
	end(&r, WEIR_SUCCEEDED, 0);
}

static void a_spent_budget_is_told_and_counted(void **state)
{
	struct weir_request r;
	unsigned retries = 0;

	(void)state;
	rule.retry.attempts = 3;
	publish();
	r = asked();
	weir_gate_retry_earn(&gate, &r, now);
	while (retries < 1000 && weir_gate_retry_spend(&gate, &r, now))
		retries++;
	assert_in_range(retries, 1, 20);
	assert_int_equal(atomic_load(&entry()->retry.retries), retries);
	assert_int_equal(atomic_load(&entry()->retry.exhausted), 1);
	weir_gate_retry_saved(&gate, &r);
	weir_gate_retry_gave_up(&gate, &r);
	weir_gate_retry_gave_up(&gate, &r);
	assert_int_equal(atomic_load(&entry()->retry.saved), 1);
	assert_int_equal(atomic_load(&entry()->retry.given_up), 2);
	assert_false(weir_gate_retry_is_held(&gate, &r, now));
	end(&r, WEIR_THROTTLED, 5 * SECOND);
	assert_true(weir_gate_retry_is_held(&gate, &r, now));
	now += 6 * SECOND;
	assert_false(weir_gate_retry_is_held(&gate, &r, now));
}

static void of_a_host_that_was_evicted_nobody_spends(void **state)
{
	struct weir_retry_params params;
	struct weir_request r;

	(void)state;
	rule.retry.attempts = 3;
	publish();
	r = asked();
	r.scope[0].word ^= 1;
	assert_false(weir_gate_retry(&gate, &r, &params));
	assert_false(weir_gate_retry_spend(&gate, &r, now));
	assert_false(weir_gate_retry_is_held(&gate, &r, now));
	weir_gate_retry_earn(&gate, &r, now);
	weir_gate_retry_saved(&gate, &r);
	assert_int_equal(atomic_load(&entry()->retry.saved), 0);
	r.scope[0].word ^= 1;
	end(&r, WEIR_SUCCEEDED, 0);
}

static void who_waits_tells_what_for_and_until_when(void **state)
{
	struct weir_underway list[4];
	struct weir_request first, second;
	uint32_t next = 0;
	uint64_t wake;

	(void)state;
	fixed_rate(1, 1);
	go(&first);
	now += 100 * MS;
	assert_int_equal(begin(&second, &wake), WEIR_WAIT);
	assert_int_equal(weir_lease_list(&segment, &next, list, 4), 2);
	assert_int_equal(weir_lease_list(&segment, &next, list + 2, 2), 0);
	if (list[0].waiting) {
		list[2] = list[0];
		list[0] = list[1];
		list[1] = list[2];
	}
	assert_false(list[0].waiting);
	assert_int_equal(list[0].cause, WEIR_CAUSE_NONE);
	assert_true(list[1].waiting);
	assert_int_equal(list[1].cause, WEIR_CAUSE_RATE);
	assert_int_equal(list[1].pid, getpid());
	assert_int_equal(list[1].slot, weir_entry_find(&segment, HOST));
	assert_in_range(list[1].until_ns, now + 890 * MS, now + 910 * MS);
	/* What is no cause is none, and what is not the caller's is left alone. */
	atomic_store(&segment.lease[second.lease].waits_cause, UINT64_MAX);
	weir_lease_tell(&segment, second.lease, second.lease_tag + 1, second.owner_pid, WEIR_CAUSE_HOLD, 1);
	weir_lease_tell(&segment, UINT32_MAX, 0, 0, WEIR_CAUSE_HOLD, 1);
	next = 0;
	weir_lease_list(&segment, &next, list, 4);
	assert_int_equal(list[0].cause, WEIR_CAUSE_NONE);
	assert_int_equal(list[1].cause, WEIR_CAUSE_NONE);
	weir_gate_cancel(&gate, &second, now);
	end(&first, WEIR_SUCCEEDED, 0);
	next = 0;
	assert_int_equal(weir_lease_list(&segment, &next, list, 4), 0);
}

/* A handshake goes first: what leaves later than its turn does not come too near to what has left meanwhile. */
static void who_was_kept_leaves_when_others_that_left_allow_it(void **state)
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
	/* Its own turn is a second past, another one left just now. */
	assert_int_equal(weir_gate_depart(&gate, &kept, now, &wake), WEIR_WAIT);
	assert_in_range(wake, now + 500 * MS, now + 2 * SECOND);
	now += 2 * SECOND;
	assert_int_equal(weir_gate_look(&gate, &kept, now, &wake), WEIR_GO);
	assert_int_equal(weir_gate_depart(&gate, &kept, now, &wake), WEIR_GO); /* once is enough */
	end(&kept, WEIR_SUCCEEDED, 0);
	end(&other, WEIR_SUCCEEDED, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_rule_says_how_often_and_a_run_has_the_last_word, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_spent_budget_is_told_and_counted, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(of_a_host_that_was_evicted_nobody_spends, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(who_waits_tells_what_for_and_until_when, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(who_was_kept_leaves_when_others_that_left_allow_it, open_gate, close_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
