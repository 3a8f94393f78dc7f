/* SPDX-License-Identifier: MIT */
/* What is given up at the gate as a host gets worse: by class, or a share of all. */
#include "gate_bench.h"

#include "weir/shed.h"

static enum weir_verdict begin_as(unsigned class, struct weir_request *r, uint64_t *at)
{
	gate.priority = class + 1;
	return begin(r, at);
}

/* A request of the class that takes so long; false where it was given up. */
static bool exchange(unsigned class, enum weir_outcome outcome, uint64_t ms)
{
	struct weir_request r;
	uint64_t at;

	if (begin_as(class, &r, &at) != WEIR_GO) {
		weir_gate_cancel(&gate, &r, now);
		return false;
	}
	now += ms * MS;
	end(&r, outcome, 0);
	return true;
}

static unsigned events_of(enum weir_event_kind kind, struct weir_event out[8])
{
	struct weir_event event[64];
	uint64_t next = 0;
	unsigned found = 0;

	for (size_t n; (n = weir_event_read(&segment, &next, event, 64)) > 0;)
		for (size_t i = 0; i < n; i++)
			if (event[i].kind == kind && found < 8)
				out[found++] = event[i];
	return found;
}

static enum weir_degrade_state state_now(void)
{
	return weir_degrade_view(&entry()->degrade).state;
}

static void watch(struct weir_degrade_params p)
{
	rule.degrade = p;
	rule.degrade.watch = WEIR_DEGRADE_WATCHES;
	publish();
}

static void without_a_rule_that_says_so_nothing_is_looked_at(void **state)
{
	(void)state;
	rule.degrade = (struct weir_degrade_params){.queue = 1, .error_permille = 1, .latency_ns = 1};
	publish();
	for (int i = 0; i < 200; i++)
		assert_true(exchange(WEIR_CLASS_LOW, WEIR_SUCCEEDED, 100));
	for (unsigned i = 0; i < WEIR_DEGRADE_SLOTS; i++)
		assert_int_equal(entry()->degrade.calls[i], 0);
	assert_int_equal(entry()->degrade.looked_ms, 0);
}

static void slow_answers_give_up_low_then_normal_and_never_high(void **state)
{
	struct weir_event e[8];
	struct weir_request r;
	uint64_t at;
	char text[200];

	(void)state;
	watch((struct weir_degrade_params){.latency_ns = 50 * MS});
	for (int i = 0; i < 100; i++)
		assert_true(exchange((unsigned)i % 3, WEIR_SUCCEEDED, 20));
	for (int i = 0; i < 60 && state_now() == WEIR_DEGRADE_NORMAL; i++)
		assert_true(exchange((unsigned)i % 3, WEIR_SUCCEEDED, 200));
	assert_int_equal(state_now(), WEIR_DEGRADE_REDUCED);
	assert_int_equal(begin_as(WEIR_CLASS_LOW, &r, &at), WEIR_REFUSE);
	assert_int_equal(r.cause, WEIR_CAUSE_DEGRADED);
	assert_false(r.timed_out);
	assert_int_equal(entry()->queue.refused[WEIR_CLASS_LOW], 1);
	(void)weir_gate_describe(&gate, &r, HOST, now, text, sizeof text);
	assert_string_equal(text, "weir: " HOST ": the host is degraded and requests of this class are given up");
	assert_true(exchange(WEIR_CLASS_NORMAL, WEIR_SUCCEEDED, 200));
	for (int i = 0; i < 100 && state_now() == WEIR_DEGRADE_REDUCED; i++)
		(void)exchange(WEIR_CLASS_NORMAL, WEIR_SUCCEEDED, 200);
	assert_int_equal(state_now(), WEIR_DEGRADE_MINIMAL);
	assert_false(exchange(WEIR_CLASS_NORMAL, WEIR_SUCCEEDED, 20));
	for (int i = 0; i < 300; i++)
		assert_true(exchange(WEIR_CLASS_HIGH, WEIR_SUCCEEDED, 200));
	/* Well again: the agent, or any who comes by, brings everybody back. */
	for (int i = 0; i < 12000 && state_now() != WEIR_DEGRADE_NORMAL; i++)
		assert_true(exchange(WEIR_CLASS_HIGH, WEIR_SUCCEEDED, 20));
	assert_int_equal(state_now(), WEIR_DEGRADE_NORMAL);
	assert_true(exchange(WEIR_CLASS_LOW, WEIR_SUCCEEDED, 20));
	assert_int_equal(events_of(WEIR_EVENT_DEGRADE_CHANGED, e), 4);
	for (unsigned i = 0; i < 4; i++) {
		static const unsigned path[] = {0, 1, 2, 1, 0};

		assert_int_equal(e[i].before, path[i]);
		assert_int_equal(e[i].after, path[i + 1]);
		assert_int_equal(e[i].cause, i < 2 ? WEIR_CAUSE_LATENCY : WEIR_CAUSE_RECOVERY);
		assert_string_equal(e[i].key, HOST);
	}
}

static void those_of_a_class_that_wait_are_given_up_as_well(void **state)
{
	static struct weir_request low[20], normal[20];
	uint64_t at[40], any;
	struct weir_request busy;
	uint32_t changes;

	(void)state;
	rule.concurrency = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = 1};
	watch((struct weir_degrade_params){.queue = 40});
	assert_int_equal(begin_as(WEIR_CLASS_HIGH, &busy, &any), WEIR_GO);
	for (int i = 0; i < 20; i++)
		assert_int_equal(begin_as(WEIR_CLASS_LOW, &low[i], &at[i]), WEIR_WAIT);
	for (int i = 0; i < 20; i++)
		assert_int_equal(begin_as(WEIR_CLASS_NORMAL, &normal[i], &at[20 + i]), WEIR_WAIT);
	now += 300 * MS;
	changes = entry()->changes;
	entry()->waiting = 40;
	/* Whoever looks is who notices, and wakes the others. */
	assert_int_equal(weir_gate_look(&gate, &normal[0], now, &at[20]), WEIR_WAIT);
	assert_int_equal(state_now(), WEIR_DEGRADE_REDUCED);
	assert_int_not_equal(entry()->changes, changes);
	entry()->waiting = 0;
	for (int i = 0; i < 20; i++) {
		assert_int_equal(weir_gate_look(&gate, &low[i], now, &at[i]), WEIR_REFUSE);
		assert_int_equal(low[i].cause, WEIR_CAUSE_DEGRADED);
	}
	assert_int_equal(weir_depth_all(entry()->queue.depth), 20);
	now += 10 * SECOND;
	assert_int_equal(weir_gate_look(&gate, &normal[1], now, &at[21]), WEIR_WAIT);
	assert_int_equal(state_now(), WEIR_DEGRADE_REDUCED);
	for (int i = 0; i < 20; i++)
		weir_gate_cancel(&gate, &normal[i], now);
	end(&busy, WEIR_SUCCEEDED, 0);
}

static void a_configured_quota_that_runs_out_is_kept_for_the_more_important(void **state)
{
	unsigned went[WEIR_CLASSES] = {0};

	(void)state;
	rule.allowances.one[0] = (struct weir_allowance){.limit = 100, .every = 1, .unit = WEIR_PER_HOUR};
	watch((struct weir_degrade_params){.quota_permille = 400});
	for (int i = 0; i < 600; i++) {
		now += 300 * MS;
		went[i % 3] += exchange((unsigned)i % 3, WEIR_SUCCEEDED, 1);
	}
	assert_int_equal(went[0] + went[1] + went[2], 100);
	/* Sixty for all, twenty for normal and high, twenty for high. */
	assert_in_range(went[WEIR_CLASS_LOW], 19, 21);
	assert_in_range(went[WEIR_CLASS_NORMAL], 29, 31);
	assert_in_range(went[WEIR_CLASS_HIGH], 48, 52);
}

static void what_the_server_says_of_its_quota_counts_as_well(void **state)
{
	struct weir_request r;
	struct weir_result result = {.outcome = WEIR_SUCCEEDED, .quotas = 2};

	(void)state;
	result.quota[0] = (struct weir_quota){.limit = UINT64_MAX,
					      .remaining = UINT64_MAX / 2,
					      .has_remaining = 1,
					      .has_reset = 1,
					      .resets_in_ns = 60 * SECOND};
	result.quota[1] = (struct weir_quota){.limit = 5000, .remaining = 400, .has_remaining = 1, .window_ns = 3600 * SECOND};
	watch((struct weir_degrade_params){.quota_permille = 100});
	go(&r);
	now += 300 * MS;
	weir_gate_settle(&gate, &r, &result, now);
	assert_int_equal(weir_degrade_told(&entry()->degrade, now), 80);
	assert_int_equal(state_now(), WEIR_DEGRADE_REDUCED);
	assert_int_equal(weir_degrade_view(&entry()->degrade).cause, WEIR_CAUSE_QUOTA_LOW);
}

static void a_quota_that_is_whole_again_in_a_moment_is_no_reason(void **state)
{
	struct weir_request r;
	struct weir_result result = {.outcome = WEIR_SUCCEEDED, .quotas = 1};

	(void)state;
	result.quota[0] = (struct weir_quota){.limit = 10, .has_remaining = 1, .has_reset = 1, .resets_in_ns = SECOND};
	result.quota[0].remaining = 1;
	watch((struct weir_degrade_params){.quota_permille = 500});
	go(&r);
	now += 300 * MS;
	weir_gate_settle(&gate, &r, &result, now);
	assert_int_equal(weir_degrade_told(&entry()->degrade, now), 1000);
	assert_int_equal(state_now(), WEIR_DEGRADE_NORMAL);
}

static void a_dry_run_says_what_would_be_refused(void **state)
{
	struct weir_request r;
	uint64_t at;

	(void)state;
	watch((struct weir_degrade_params){.error_permille = 100});
	rule.breaker.failures = 0;
	publish();
	for (int i = 0; i < 60; i++)
		(void)exchange(WEIR_CLASS_NORMAL, WEIR_FAILED, 20);
	assert_int_equal(state_now(), WEIR_DEGRADE_REDUCED);
	gate.dry_run = true;
	assert_int_equal(begin_as(WEIR_CLASS_LOW, &r, &at), WEIR_GO);
	assert_true(r.would_refuse);
	end(&r, WEIR_SUCCEEDED, 0);
	assert_int_equal(begin_as(WEIR_CLASS_NORMAL, &r, &at), WEIR_GO);
	assert_false(r.would_refuse);
	end(&r, WEIR_SUCCEEDED, 0);
}

static void what_would_happen_now_is_said_by_class(void **state)
{
	struct weir_forecast f;

	(void)state;
	watch((struct weir_degrade_params){.error_permille = 100});
	rule.breaker.failures = 0;
	publish();
	for (int i = 0; i < 60; i++)
		(void)exchange(WEIR_CLASS_NORMAL, WEIR_FAILED, 20);
	gate.priority = WEIR_CLASS_LOW + 1;
	weir_gate_forecast(&gate, HOST, now, &f);
	assert_int_equal(f.verdict, WEIR_REFUSE);
	assert_int_equal(f.cause, WEIR_CAUSE_DEGRADED);
	gate.priority = WEIR_CLASS_NORMAL + 1;
	weir_gate_forecast(&gate, HOST, now, &f);
	assert_int_equal(f.verdict, WEIR_GO);
	/* By hand it is normal again. */
	assert_true(weir_gate_reset(&segment, HOST, now));
	assert_int_equal(state_now(), WEIR_DEGRADE_NORMAL);
}

/* The agent's way: nobody asks any more. */
static void a_host_gets_back_to_normal_without_anybody_asking(void **state)
{
	(void)state;
	watch((struct weir_degrade_params){.error_permille = 100});
	rule.breaker.failures = 0;
	publish();
	for (int i = 0; i < 60; i++)
		(void)exchange(WEIR_CLASS_NORMAL, WEIR_FAILED, 20);
	assert_int_equal(state_now(), WEIR_DEGRADE_REDUCED);
	for (int i = 0; i < 60 && state_now() != WEIR_DEGRADE_NORMAL; i++) {
		now += SECOND;
		weir_gate_tend(&segment, now);
	}
	assert_int_equal(state_now(), WEIR_DEGRADE_NORMAL);
}

static void a_breaker_that_sheds_refuses_a_share_and_never_opens(void **state)
{
	struct weir_event e[8];
	unsigned went = 0, asked = 2000;
	struct weir_request r;
	uint64_t at;

	(void)state;
	rule.breaker.mode = WEIR_BREAKER_SHEDS;
	rule.breaker.failure_rate_permille = 500;
	rule.degrade.watch = WEIR_DEGRADE_SHEDS;
	publish();
	for (unsigned i = 0; i < 500; i++, now += 20 * MS)
		assert_true(exchange(WEIR_CLASS_NORMAL, WEIR_SUCCEEDED, 1));
	for (unsigned i = 0; i < asked; i++, now += 20 * MS)
		went += exchange(WEIR_CLASS_NORMAL, WEIR_FAILED, 1);
	/* Until half of the window has failed, and little afterwards. */
	assert_in_range(went, 200, 500);
	assert_int_equal(weir_breaker_view(&entry()->breaker, &rule.breaker, now).state, WEIR_BREAKER_CLOSED);
	while (begin(&r, &at) == WEIR_GO)
		end(&r, WEIR_FAILED, 0);
	assert_int_equal(r.cause, WEIR_CAUSE_SHED);
	for (unsigned i = 0; i < 6000; i++, now += 20 * MS)
		(void)exchange(WEIR_CLASS_NORMAL, WEIR_SUCCEEDED, 1);
	assert_int_equal(weir_shed_permille(&entry()->degrade), 0);
	assert_int_equal(events_of(WEIR_EVENT_BREAKER_OPENED, e), 0);
	assert_int_equal(events_of(WEIR_EVENT_SHED_CHANGED, e), 2);
	assert_int_equal(e[0].cause, WEIR_CAUSE_FAILURE_RATE);
	assert_int_equal(e[0].before, 0);
	assert_int_equal(e[1].cause, WEIR_CAUSE_RECOVERY);
	assert_int_equal(e[1].after, 0);
	/* A dry run lets all go, and counts each once. */
	for (unsigned i = 0; i < 500; i++, now += 20 * MS)
		(void)exchange(WEIR_CLASS_NORMAL, WEIR_FAILED, 1);
	gate.dry_run = true;
	memset((void *)entry()->degrade.refused, 0, sizeof entry()->degrade.refused);
	for (unsigned i = 0; i < 50; i++)
		assert_true(exchange(WEIR_CLASS_NORMAL, WEIR_FAILED, 1));
	for (unsigned i = 0; i < WEIR_DEGRADE_SLOTS; i++)
		assert_int_equal(entry()->degrade.refused[i], 0);
	assert_true(entry()->counters.would_refuse > 0);
	gate.dry_run = false;
	/* An operator may open it all the same. */
	assert_true(weir_gate_breaker(&segment, HOST, WEIR_BREAKER_FORCED_OPEN, false, now));
	assert_false(exchange(WEIR_CLASS_HIGH, WEIR_SUCCEEDED, 1));
}

/* One that was open when the configuration changed lets go at once. */
static void an_open_breaker_that_is_told_to_shed_is_open_no_more(void **state)
{
	(void)state;
	rule.grace_ns = 0;
	publish();
	for (int i = 0; i < 5; i++)
		assert_true(exchange(WEIR_CLASS_NORMAL, WEIR_FAILED, 1));
	assert_false(exchange(WEIR_CLASS_NORMAL, WEIR_FAILED, 1));
	rule.breaker.mode = WEIR_BREAKER_SHEDS;
	rule.degrade.watch = WEIR_DEGRADE_SHEDS;
	publish();
	assert_true(exchange(WEIR_CLASS_NORMAL, WEIR_SUCCEEDED, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_a_rule_that_says_so_nothing_is_looked_at, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(slow_answers_give_up_low_then_normal_and_never_high, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(those_of_a_class_that_wait_are_given_up_as_well, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_configured_quota_that_runs_out_is_kept_for_the_more_important, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(what_the_server_says_of_its_quota_counts_as_well, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_quota_that_is_whole_again_in_a_moment_is_no_reason, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_dry_run_says_what_would_be_refused, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(what_would_happen_now_is_said_by_class, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_host_gets_back_to_normal_without_anybody_asking, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_breaker_that_sheds_refuses_a_share_and_never_opens, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(an_open_breaker_that_is_told_to_shed_is_open_no_more, open_gate, close_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
