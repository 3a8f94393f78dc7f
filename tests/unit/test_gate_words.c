/* SPDX-License-Identifier: MIT */
/* What the gate says: the text of a refusal names weir, the host, the reason and when it ends; a forecast says the same before
 * anything is asked. */
#include "gate_bench.h"

static char text[256];

static const char *said(const struct weir_request *r)
{
	weir_gate_describe(&gate, r, HOST, now, text, sizeof text);
	return text;
}

static void assert_said(const struct weir_request *r, const char *what)
{
	if (strstr(said(r), "weir: " HOST ": ") != text || strstr(text, what) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", what, text);
}

static void an_open_breaker_is_named_with_the_next_try(void **state)
{
	struct weir_request r = {.cause = WEIR_CAUSE_BREAKER, .until_ns = now + 12300 * MS};

	(void)state;
	assert_said(&r, "the circuit breaker is open");
	assert_said(&r, "next try in 12.3s");
	r.cause = WEIR_CAUSE_PROBE;
	assert_said(&r, "half-open");
	r.cause = WEIR_CAUSE_FORCED;
	r.until_ns = WEIR_NEVER;
	assert_said(&r, "opened by the operator until it is closed again");
}

static void a_wait_that_is_too_long_is_named_with_what_is_allowed(void **state)
{
	struct weir_request r = {.cause = WEIR_CAUSE_HOLD,
				 .timed_out = true,
				 .begun_ns = now,
				 .latest_ns = now + 5 * SECOND,
				 .until_ns = now + 90 * SECOND};

	(void)state;
	assert_said(&r, "the server asked to wait; the wait would be 1m30s and 5s is allowed");
	r.cause = WEIR_CAUSE_RATE;
	assert_said(&r, "the rate limit allows no request in time");
	r.until_ns = 0;
	r.cause = WEIR_CAUSE_CONCURRENCY;
	assert_said(&r, "all permits were in use for too long; it waited and 5s is allowed");
	r.cause = WEIR_CAUSE_RAMP;
	assert_said(&r, "recovering");
	r.cause = WEIR_CAUSE_THROTTLED;
	assert_said(&r, weir_cause_text(WEIR_CAUSE_THROTTLED));
}

static void a_short_buffer_cuts_the_text_and_ends_it(void **state)
{
	struct weir_request r = {.cause = WEIR_CAUSE_BREAKER, .until_ns = now + SECOND};
	char small[24];

	(void)state;
	assert_int_equal(weir_gate_describe(&gate, &r, HOST, now, small, sizeof small), sizeof small - 1);
	assert_int_equal(small[sizeof small - 1], '\0');
}

static void forecast_is(enum weir_verdict verdict, enum weir_cause cause)
{
	struct weir_forecast f;

	weir_gate_forecast(&gate, HOST, now, &f);
	assert_int_equal(f.verdict, verdict);
	assert_int_equal(f.cause, cause);
}

static void a_forecast_names_what_binds(void **state)
{
	struct weir_request r;

	(void)state;
	rule.concurrency = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = 1};
	rule.wait_max_ns = 10 * SECOND;
	weir_rule_defaults(&total);
	total.rate.strategy = WEIR_FIXED;
	total.rate.max = WEIR_RATE_ONE;
	total.rate.burst = 2;
	total.concurrency.mode = WEIR_CONCURRENCY_OFF;
	with_total = true;
	publish();
	strcpy(gate.run.id, "1.1");
	gate.run.concurrency = 5;
	go(&r);
	forecast_is(WEIR_WAIT, WEIR_CAUSE_CONCURRENCY);
	end(&r, WEIR_SUCCEEDED, 0);
	forecast_is(WEIR_GO, WEIR_CAUSE_NONE);
	go(&r);
	end(&r, WEIR_THROTTLED, 5 * SECOND);
	forecast_is(WEIR_WAIT, WEIR_CAUSE_HOLD);
	now += 6 * SECOND;
	go(&r);
	end(&r, WEIR_THROTTLED, 60 * SECOND);
	forecast_is(WEIR_REFUSE, WEIR_CAUSE_HOLD);
	weir_gate_reset(&segment, HOST, now);
	for (int i = 0; i < 40; i++) {
		uint64_t wake;

		if (begin(&r, &wake) == WEIR_GO)
			end(&r, WEIR_FAILED, 0);
		else
			weir_gate_cancel(&gate, &r, now);
		now += MS;
	}
	now += 60 * SECOND;
	weir_gate_reset(&segment, HOST, now);
	weir_gate_breaker(&segment, HOST, WEIR_BREAKER_FORCED_OPEN, true, now);
	forecast_is(WEIR_REFUSE, WEIR_CAUSE_FORCED);
}

static void a_forecast_tells_an_open_breaker_from_a_probe_under_way(void **state)
{
	struct weir_request r, probe;
	struct weir_forecast f;
	uint64_t wake;

	(void)state;
	publish();
	for (uint32_t i = 0; i < rule.breaker.failures; i++) {
		go(&r);
		end(&r, WEIR_FAILED, 0);
	}
	forecast_is(WEIR_REFUSE, WEIR_CAUSE_BREAKER);
	weir_gate_forecast(&gate, HOST, now, &f);
	now = f.until_ns + MS;
	forecast_is(WEIR_GO, WEIR_CAUSE_NONE);
	go(&probe);
	forecast_is(WEIR_REFUSE, WEIR_CAUSE_PROBE);
	weir_gate_cancel(&gate, &probe, now);
	assert_int_equal(begin(&r, &wake), WEIR_GO); /* the probe was forgone: the next may go */
	end(&r, WEIR_SUCCEEDED, 0);
}

static void an_exempt_host_and_a_gate_without_a_segment_have_nothing_to_wait_for(void **state)
{
	struct weir_gate none = {0};
	struct weir_forecast f;

	(void)state;
	weir_gate_forecast(&none, HOST, now, &f);
	assert_int_equal(f.verdict, WEIR_GO);
	publish();
	struct weir_request r;
	go(&r);
	end(&r, WEIR_SUCCEEDED, 0);
	rule.flags |= WEIR_RULE_EXEMPT;
	publish();
	forecast_is(WEIR_GO, WEIR_CAUSE_NONE);
	assert_false(weir_gate_set(none.segment != NULL ? none.segment : &(struct weir_segment){0}, HOST, 1, 1, 0, 0, true, now));
}

static void slow_answers_open_the_breaker_and_the_event_says_why(void **state)
{
	struct weir_event event[64];
	struct weir_request r;
	uint64_t next = 0;
	bool told = false;

	(void)state;
	rule.breaker.failures = 0;
	rule.breaker.failure_rate_permille = 0;
	rule.breaker.slow_rate_permille = 500;
	rule.breaker.slow_call_ns = SECOND;
	rule.breaker.min_calls = 10;
	rule.breaker.window_ns = 60 * SECOND;
	publish();
	for (int i = 0; i < 40; i++) {
		uint64_t wake;

		if (begin(&r, &wake) != WEIR_GO)
			break;
		now += 1200 * MS;
		end(&r, WEIR_SUCCEEDED, 0);
	}
	for (size_t n; (n = weir_event_read(&segment, &next, event, 64)) > 0;)
		for (size_t i = 0; i < n; i++)
			told |= event[i].kind == WEIR_EVENT_BREAKER_OPENED && event[i].cause == WEIR_CAUSE_SLOW_RATE;
	assert_true(told);
}

static void half_of_the_answers_failing_opens_it_too(void **state)
{
	struct weir_event event[64];
	struct weir_request r;
	uint64_t next = 0, wake;
	bool told = false;

	(void)state;
	rule.breaker.failures = 0;
	rule.breaker.failure_rate_permille = 500;
	publish();
	for (int i = 0; i < 60 && begin(&r, &wake) == WEIR_GO; i++) {
		end(&r, i % 2 != 0 ? WEIR_FAILED : WEIR_SUCCEEDED, 0);
		now += MS;
	}
	for (size_t n; (n = weir_event_read(&segment, &next, event, 64)) > 0;)
		for (size_t i = 0; i < n; i++)
			told |= event[i].kind == WEIR_EVENT_BREAKER_OPENED && event[i].cause == WEIR_CAUSE_FAILURE_RATE;
	assert_true(told);
}

int main(void)
{
#define GATE_TEST(f) cmocka_unit_test_setup_teardown(f, open_gate, close_gate)
	const struct CMUnitTest tests[] = {
		GATE_TEST(an_open_breaker_is_named_with_the_next_try),
		GATE_TEST(a_wait_that_is_too_long_is_named_with_what_is_allowed),
		GATE_TEST(a_short_buffer_cuts_the_text_and_ends_it),
		GATE_TEST(a_forecast_names_what_binds),
		GATE_TEST(a_forecast_tells_an_open_breaker_from_a_probe_under_way),
		GATE_TEST(an_exempt_host_and_a_gate_without_a_segment_have_nothing_to_wait_for),
		GATE_TEST(slow_answers_open_the_breaker_and_the_event_says_why),
		GATE_TEST(half_of_the_answers_failing_opens_it_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
