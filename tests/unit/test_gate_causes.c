/* SPDX-License-Identifier: MIT */
/* Why a breaker opened: every cause that an opening can have is driven, and what the event names is what opened it. */
#include "gate_bench.h"

/* The opening that was recorded last. */
static bool last_opening(struct weir_event *out)
{
	struct weir_event event[64];
	uint64_t next = 0;
	bool found = false;

	for (size_t n; (n = weir_event_read(&segment, &next, event, 64)) > 0;)
		for (size_t i = 0; i < n; i++)
			if (event[i].kind == WEIR_EVENT_BREAKER_OPENED) {
				*out = event[i];
				found = true;
			}
	return found;
}

/* A request that ends so after ms, if it is let go. */
static bool exchange(enum weir_outcome outcome, uint64_t ms)
{
	struct weir_request r;
	uint64_t wake;

	if (begin(&r, &wake) != WEIR_GO) {
		weir_gate_cancel(&gate, &r, now);
		return false;
	}
	now += ms * MS;
	end(&r, outcome, 0);
	return true;
}

static void refuse_in_a_row(void)
{
	rule.breaker.failures = 5;
	publish();
	for (int i = 0; i < 5; i++)
		assert_true(exchange(WEIR_FAILED, 1));
}

static void fail_half(void)
{
	rule.breaker.failures = 0;
	rule.breaker.failure_rate_permille = 500;
	publish();
	for (int i = 0; i < 60 && exchange(i % 2 != 0 ? WEIR_FAILED : WEIR_SUCCEEDED, 1); i++)
		continue;
}

static void answer_slowly(void)
{
	rule.breaker.failures = 0;
	rule.breaker.slow_rate_permille = 500;
	rule.breaker.slow_call_ns = SECOND;
	rule.breaker.min_calls = 10;
	rule.breaker.window_ns = 60 * SECOND;
	publish();
	for (int i = 0; i < 40 && exchange(WEIR_SUCCEEDED, 1200); i++)
		continue;
}

static void fail_the_probe(void)
{
	rule.grace_ns = 0;
	refuse_in_a_row();
	for (int i = 0; i < 100 && !exchange(WEIR_FAILED, 1); i++)
		now += 100 * MS;
}

static void open_by_hand(void)
{
	publish();
	assert_true(exchange(WEIR_SUCCEEDED, 1));
	assert_true(weir_gate_breaker(&segment, HOST, WEIR_BREAKER_FORCED_OPEN, false, now));
}

typedef void drive(void);

/* What opens a breaker for this cause; NULL for what never does. Without a default, so that a new cause needs its case. */
static drive *driver_of(enum weir_cause cause)
{
	switch (cause) {
	case WEIR_CAUSE_FAILURES:
		return refuse_in_a_row;
	case WEIR_CAUSE_FAILURE_RATE:
		return fail_half;
	case WEIR_CAUSE_SLOW_RATE:
		return answer_slowly;
	case WEIR_CAUSE_PROBE_FAILED:
		return fail_the_probe;
	case WEIR_CAUSE_OPERATOR:
		return open_by_hand;
	case WEIR_CAUSE_NONE:
	case WEIR_CAUSE_RATE:
	case WEIR_CAUSE_HOLD:
	case WEIR_CAUSE_CONCURRENCY:
	case WEIR_CAUSE_RAMP:
	case WEIR_CAUSE_BREAKER:
	case WEIR_CAUSE_PROBE:
	case WEIR_CAUSE_FORCED:
	case WEIR_CAUSE_PROBE_SUCCEEDED:
	case WEIR_CAUSE_RETRY_AFTER:
	case WEIR_CAUSE_QUOTA_HEADER:
	case WEIR_CAUSE_THROTTLED:
	case WEIR_CAUSE_RECOVERY:
	case WEIR_CAUSE_POLICY:
	case WEIR_CAUSE_OWNER_DIED:
	case WEIR_CAUSE_DEGRADED:
	case WEIR_CAUSE_SHED:
	case WEIR_CAUSE_QUEUE_LONG:
	case WEIR_CAUSE_LATENCY:
	case WEIR_CAUSE_QUOTA_LOW:
	case WEIR_CAUSE_OUTAGE:
	case WEIR_CAUSE_DEPENDS_ON_PACE:
	case WEIR_CAUSE_DEPENDS_ON_CROWD:
	case WEIR_CAUSE_DEPENDS_ON_CHANCE:
	case WEIR_CAUSE_QUEUE_FULL:
	case WEIR_CAUSE_QUOTA_SPENT:
	case WEIR_CAUSE_QUOTA_PACED:
	case WEIR_CAUSE_COUNT:
		return NULL;
	}
	fail_msg("cause %d has no case", (int)cause);
	return NULL;
}

/* The cause that the gate tells for each way in which a breaker opens. */
static enum weir_cause cause_of(enum weir_breaker_change change)
{
	switch (change) {
	case WEIR_BREAKER_OPENED:
		return WEIR_CAUSE_FAILURES;
	case WEIR_BREAKER_OPENED_ON_SHARE:
		return WEIR_CAUSE_FAILURE_RATE;
	case WEIR_BREAKER_OPENED_ON_SLOW:
		return WEIR_CAUSE_SLOW_RATE;
	case WEIR_BREAKER_REOPENED:
		return WEIR_CAUSE_PROBE_FAILED;
	case WEIR_BREAKER_SAME:
	case WEIR_BREAKER_RECLOSED:
		return WEIR_CAUSE_NONE;
	}
	return WEIR_CAUSE_COUNT;
}

static void every_cause_of_an_opening_is_told_by_its_event(void **state)
{
	struct weir_event e;
	unsigned driven = 0;

	for (int cause = 0; cause < WEIR_CAUSE_COUNT; cause++) {
		drive *open = driver_of((enum weir_cause)cause);

		if (open == NULL)
			continue;
		close_gate(state);
		open_gate(state);
		open();
		if (!last_opening(&e))
			fail_msg("%s opened nothing", weir_cause_name((uint32_t)cause));
		assert_string_equal(weir_cause_name(e.cause), weir_cause_name((uint32_t)cause));
		driven++;
	}
	assert_int_equal(driven, 5);
}

static void every_way_in_which_a_breaker_opens_has_a_cause_of_its_own(void **state)
{
	bool taken[WEIR_CAUSE_COUNT] = {false};

	(void)state;
	for (int change = WEIR_BREAKER_SAME; change <= WEIR_BREAKER_RECLOSED; change++) {
		enum weir_cause cause = cause_of((enum weir_breaker_change)change);

		if (cause == WEIR_CAUSE_NONE)
			continue;
		assert_int_not_equal(cause, WEIR_CAUSE_COUNT);
		assert_false(taken[cause]);
		taken[cause] = true;
		assert_non_null(driver_of(cause));
	}
}

static uint64_t seed;

static unsigned below(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)(seed >> 33) % n;
}

/* What opened it at all is on: rules and calls at random, with each of the three ways on or off. */
static void no_opening_is_put_down_to_what_is_off_or_was_not_reached(void **state)
{
	unsigned openings[WEIR_CAUSE_COUNT] = {0};

	seed = 17;
	for (int round = 0; round < 600; round++) {
		struct weir_event e = {0};
		unsigned failing = below(100), slow = below(100), run = 0, calls = 0, failed = 0, slowed = 0;
		bool open = false;

		close_gate(state);
		open_gate(state);
		rule.grace_ns = 0;
		rule.breaker.failures = below(2) ? 3 + below(6) : 0;
		rule.breaker.failure_rate_permille = below(2) ? 200 + below(700) : 0;
		rule.breaker.slow_rate_permille = below(2) ? 200 + below(700) : 0;
		rule.breaker.slow_call_ns = 50 * MS;
		rule.breaker.min_calls = 10;
		rule.breaker.window_ns = 3600 * SECOND;
		rule.breaker.window_calls = below(2) ? 100 : 0;
		publish();
		for (int i = 0; i < 60 && !open; i++) {
			bool fails = below(100) < failing, late = below(100) < slow;

			if (!exchange(fails ? WEIR_FAILED : WEIR_SUCCEEDED, late ? 60 : 10))
				break;
			run = fails ? run + 1 : 0;
			calls++;
			failed += fails;
			slowed += late;
			open = last_opening(&e);
		}
		if (!open)
			continue;
		openings[e.cause]++;
		if (e.cause == WEIR_CAUSE_FAILURES) {
			assert_true(rule.breaker.failures != 0 && run >= rule.breaker.failures);
			assert_int_equal(e.before + 1, run);
		} else if (e.cause == WEIR_CAUSE_FAILURE_RATE) {
			assert_true(rule.breaker.failure_rate_permille != 0);
			assert_true(failed * 1000 >= calls * rule.breaker.failure_rate_permille);
		} else {
			assert_int_equal(e.cause, WEIR_CAUSE_SLOW_RATE);
			assert_true(rule.breaker.slow_rate_permille != 0);
			assert_true(slowed * 1000 >= calls * rule.breaker.slow_rate_permille);
		}
	}
	assert_true(openings[WEIR_CAUSE_FAILURES] > 20);
	assert_true(openings[WEIR_CAUSE_FAILURE_RATE] > 20);
	assert_true(openings[WEIR_CAUSE_SLOW_RATE] > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_cause_of_an_opening_is_told_by_its_event, open_gate, close_gate),
		cmocka_unit_test(every_way_in_which_a_breaker_opens_has_a_cause_of_its_own),
		cmocka_unit_test_setup_teardown(no_opening_is_put_down_to_what_is_off_or_was_not_reached, open_gate, close_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
