/* SPDX-License-Identifier: MIT */
/* breaker.grace: requests wait out the beginning of an outage, one of them probes, and the crowd behind it goes through the ramp.
 */
#include "gate_bench.h"

#include "weir/outage.h"

#define CROWD 8

/* The host answers, and then is down: `failures` in a row have opened the breaker. */
static void go_down(void)
{
	struct weir_request r;

	go(&r);
	end(&r, WEIR_SUCCEEDED, 0);
	now += 100 * MS;
	for (uint32_t i = 0; i < rule.breaker.failures; i++) {
		go(&r);
		end(&r, WEIR_FAILED, 0);
		now += MS;
	}
}

static enum weir_breaker_state state_now(void)
{
	return weir_breaker_view(&entry()->breaker, &rule.breaker, now).state;
}

/* Looks whenever the gate says so, until the request goes or is refused, at the latest at `end_ns`. */
static enum weir_verdict wait_until(struct weir_request *r, uint64_t wake, uint64_t end_ns)
{
	enum weir_verdict v = WEIR_WAIT;

	while (v == WEIR_WAIT && now < end_ns) {
		assert_true(wake > now);
		now = wake < end_ns ? wake : end_ns;
		v = weir_gate_look(&gate, r, now, &wake);
	}
	return v;
}

static void requests_wait_out_the_beginning_of_an_outage(void **state)
{
	struct weir_request r;
	uint64_t wake, began;

	(void)state;
	publish();
	go_down();
	began = now;
	assert_int_equal(begin(&r, &wake), WEIR_WAIT);
	assert_int_equal(r.cause, WEIR_CAUSE_OUTAGE);
	assert_true(r.until_ns > now + 29 * SECOND && r.until_ns <= now + 30 * SECOND);
	assert_true(wake <= now + SECOND); /* a wake-up may be lost with a process that dies */
	assert_int_equal(wait_until(&r, wake, began + 30 * SECOND), WEIR_GO);
	assert_int_equal(r.ticket.probe, 1);
	end(&r, WEIR_SUCCEEDED, 0);
	assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
	assert_int_equal(atomic_load(&entry()->counters.refused), 0);
}

static void one_of_the_crowd_probes_and_the_others_go_through_the_ramp(void **state)
{
	struct weir_request crowd[CROWD];
	uint64_t wake[CROWD], next = 0;
	unsigned gone = 0, went_first = CROWD;

	(void)state;
	rule.breaker.ramp_ns = 2 * SECOND;
	publish();
	go_down();
	for (unsigned i = 0; i < CROWD; i++)
		assert_int_equal(begin(&crowd[i], &wake[i]), WEIR_WAIT);
	while (gone == 0) {
		next = wake[0];
		for (unsigned i = 1; i < CROWD; i++)
			next = wake[i] < next ? wake[i] : next;
		now = next;
		for (unsigned i = 0; i < CROWD; i++)
			if (weir_gate_look(&gate, &crowd[i], now, &wake[i]) == WEIR_GO) {
				gone++;
				went_first = i;
			}
	}
	assert_int_equal(gone, 1);
	for (unsigned i = 0; i < CROWD; i++)
		if (i != went_first)
			assert_int_equal(crowd[i].cause, WEIR_CAUSE_OUTAGE);
	/* Its answer opens the gate, but not for all at once. */
	now += 20 * MS;
	end(&crowd[went_first], WEIR_SUCCEEDED, 0);
	gone = 0;
	for (unsigned i = 0; i < CROWD; i++)
		gone += i != went_first && weir_gate_look(&gate, &crowd[i], now, &wake[i]) == WEIR_GO;
	assert_int_equal(gone, 1);
	now += 2 * SECOND;
	for (unsigned i = 0; i < CROWD; i++)
		assert_int_equal(weir_gate_look(&gate, &crowd[i], now, &wake[i]), WEIR_GO);
	assert_int_equal(atomic_load(&entry()->counters.refused), 0);
}

static void a_probe_that_is_given_up_leaves_its_place_to_who_waits(void **state)
{
	struct weir_request probe, r;
	uint64_t wake;

	(void)state;
	publish();
	go_down();
	assert_int_equal(begin(&r, &wake), WEIR_WAIT);
	now += 3 * SECOND;
	go(&probe);
	assert_int_equal(weir_gate_look(&gate, &r, now, &wake), WEIR_WAIT);
	weir_gate_cancel(&gate, &probe, now);
	assert_int_equal(weir_gate_look(&gate, &r, now, &wake), WEIR_GO);
	assert_int_equal(r.ticket.probe, 1);
	end(&r, WEIR_SUCCEEDED, 0);
}

/* Probes fail all the time; whoever comes within the grace waits until its end and no longer. */
static void a_host_that_is_down_for_longer_refuses_at_once(void **state)
{
	struct weir_request first, late, probe;
	uint64_t wake, late_wake, began, probed = 0;

	(void)state;
	publish();
	go_down();
	began = now;
	assert_int_equal(begin(&first, &wake), WEIR_WAIT);
	while (first.phase == WEIR_PHASE_WAITING) {
		if (begin(&probe, &late_wake) == WEIR_GO) {
			end(&probe, WEIR_FAILED, 0);
			probed++;
		} else {
			weir_gate_cancel(&gate, &probe, now);
		}
		now += 100 * MS;
		if (weir_gate_look(&gate, &first, now, &wake) == WEIR_GO) {
			end(&first, WEIR_FAILED, 0);
			probed++;
			assert_int_equal(begin(&first, &wake), WEIR_WAIT);
		}
	}
	assert_int_equal(first.phase, WEIR_PHASE_REFUSED);
	assert_false(first.timed_out);
	assert_true(first.cause == WEIR_CAUSE_BREAKER || first.cause == WEIR_CAUSE_PROBE);
	assert_true(now - began >= 29900 * MS && now - began <= 30100 * MS);
	assert_true(probed >= 3 && probed <= 6);
	assert_int_equal(begin(&late, &late_wake), WEIR_REFUSE);
	assert_true(late.cause == WEIR_CAUSE_BREAKER);
	assert_int_equal(late.delayed, false);
}

static void the_next_outage_has_a_grace_of_its_own(void **state)
{
	struct weir_request r;
	uint64_t wake;

	(void)state;
	publish();
	go_down();
	now += 100 * SECOND;
	go(&r);
	end(&r, WEIR_FAILED, 0);
	assert_int_equal(begin(&r, &wake), WEIR_REFUSE);
	now += 100 * SECOND;
	go(&r);
	end(&r, WEIR_SUCCEEDED, 0);
	now += 10 * SECOND;
	go_down();
	now += 100 * MS;
	for (unsigned i = 0; i < 20 && state_now() == WEIR_BREAKER_CLOSED; i++, now += 500 * MS) {
		go(&r); /* it was down just now: the run must last a little */
		end(&r, WEIR_FAILED, 0);
	}
	assert_int_equal(begin(&r, &wake), WEIR_WAIT);
	assert_int_equal(r.cause, WEIR_CAUSE_OUTAGE);
	weir_gate_cancel(&gate, &r, now);
}

static void without_a_grace_and_for_an_operator_s_word_nobody_waits(void **state)
{
	struct weir_request r;
	uint64_t wake;

	(void)state;
	rule.grace_ns = 0;
	publish();
	go_down();
	assert_int_equal(begin(&r, &wake), WEIR_REFUSE);
	assert_int_equal(r.cause, WEIR_CAUSE_BREAKER);
	rule.grace_ns = 30 * SECOND;
	publish();
	assert_int_equal(begin(&r, &wake), WEIR_WAIT);
	weir_gate_breaker(&segment, HOST, WEIR_BREAKER_FORCED_OPEN, true, now);
	assert_int_equal(weir_gate_look(&gate, &r, now, &wake), WEIR_REFUSE);
	assert_int_equal(r.cause, WEIR_CAUSE_FORCED);
	assert_int_equal(begin(&r, &wake), WEIR_REFUSE);
}

static void a_host_that_was_never_up_has_no_outage_to_wait_out(void **state)
{
	struct weir_request r, late;
	uint64_t wake;

	(void)state;
	publish();
	go(&late);
	for (uint32_t i = 0; i < rule.breaker.failures; i++) {
		go(&r);
		end(&r, WEIR_FAILED, 0);
	}
	assert_int_equal(begin(&r, &wake), WEIR_REFUSE);
	end(&late, WEIR_SUCCEEDED, 0);
	assert_int_equal(begin(&r, &wake), WEIR_REFUSE);
}

/* The next probe goes after two seconds. Who gives up before is told so now, and who has more goes or is refused in time. */
static void nobody_waits_beyond_its_own_patience(void **state)
{
	struct weir_wish hasty = {.host_port = HOST, .patience_ns = SECOND};
	struct weir_wish patient = {.host_port = HOST, .patience_ns = 5 * SECOND};
	struct weir_request r, probe;
	uint64_t wake, began;

	(void)state;
	rule.breaker.jitter_permille = 0;
	rule.breaker.open_time_ns = 2 * SECOND;
	publish();
	go_down();
	began = now;
	assert_int_equal(weir_gate_begin(&gate, &r, &hasty, now, &wake), WEIR_REFUSE);
	assert_int_equal(r.cause, WEIR_CAUSE_BREAKER);
	assert_int_equal(weir_gate_begin(&gate, &r, &patient, now, &wake), WEIR_WAIT);
	assert_int_equal(r.until_ns, began + 5 * SECOND);
	now += 2 * SECOND;
	go(&probe);
	end(&probe, WEIR_FAILED, 0); /* the next one goes in four seconds: too late */
	assert_int_equal(weir_gate_look(&gate, &r, now, &wake), WEIR_REFUSE);
	assert_false(r.timed_out);
	rule.wait_max_ns = 3 * SECOND;
	publish();
	assert_int_equal(begin(&r, &wake), WEIR_REFUSE);
	gate.wait_max_ns = 1;
	rule.wait_max_ns = 60 * SECOND;
	publish();
	assert_int_equal(begin(&r, &wake), WEIR_REFUSE);
}

/* Whoever opens the breaker may be killed before it has noted when; a word may be damaged. */
static void a_beginning_that_nobody_noted_is_when_somebody_meets_it(void **state)
{
	static const uint64_t found[] = {0, UINT64_MAX, 3600 * SECOND};
	struct weir_request r;
	uint64_t wake;

	(void)state;
	publish();
	go_down();
	for (unsigned i = 0; i < sizeof found / sizeof *found; i++) {
		atomic_store(&entry()->meaning.outage_ns, found[i]);
		assert_int_equal(begin(&r, &wake), WEIR_WAIT);
		assert_int_equal(r.until_ns, now + 30 * SECOND);
		assert_int_equal(atomic_load(&entry()->meaning.outage_ns), now);
		weir_gate_cancel(&gate, &r, now);
		now += 10 * MS;
	}
}

static void a_dry_run_counts_it_as_a_delay(void **state)
{
	struct weir_request r;

	(void)state;
	gate.dry_run = true;
	publish();
	go_down();
	go(&r);
	assert_true(r.would_delay);
	assert_false(r.would_refuse);
	end(&r, WEIR_SUCCEEDED, 0);
	now += 100 * SECOND;
	go(&r);
	end(&r, WEIR_FAILED, 0);
	now += MS;
	go(&r);
	assert_true(r.would_refuse);
	end(&r, WEIR_FAILED, 0);
}

static void a_forecast_says_that_it_would_wait(void **state)
{
	struct weir_forecast f;

	(void)state;
	publish();
	go_down();
	weir_gate_forecast(&gate, HOST, now, &f);
	assert_int_equal(f.verdict, WEIR_WAIT);
	assert_int_equal(f.cause, WEIR_CAUSE_OUTAGE);
	assert_true(f.until_ns > now + 29 * SECOND && f.until_ns <= now + 30 * SECOND);
	rule.grace_ns = 0;
	publish();
	weir_gate_forecast(&gate, HOST, now, &f);
	assert_int_equal(f.verdict, WEIR_REFUSE);
}

/* Requests that wait hold no permit: others of the run, or of all hosts together, have them. */
static void who_waits_out_an_outage_holds_no_permit(void **state)
{
	struct weir_request probe, r[4];
	uint64_t wake;

	(void)state;
	rule.concurrency = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = 4};
	publish();
	go_down();
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(begin(&r[i], &wake), WEIR_WAIT);
	now += 3 * SECOND;
	go(&probe);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(weir_gate_look(&gate, &r[i], now, &wake), WEIR_WAIT);
	assert_int_equal(weir_concurrency_count(&entry()->concurrency), 1);
	end(&probe, WEIR_FAILED, 0);
	assert_int_equal(weir_concurrency_count(&entry()->concurrency), 0);
	for (unsigned i = 0; i < 4; i++)
		weir_gate_cancel(&gate, &r[i], now);
}

#define at_the_gate(test) cmocka_unit_test_setup_teardown(test, open_gate, close_gate)

int main(void)
{
	const struct CMUnitTest tests[] = {
		at_the_gate(requests_wait_out_the_beginning_of_an_outage),
		at_the_gate(one_of_the_crowd_probes_and_the_others_go_through_the_ramp),
		at_the_gate(a_probe_that_is_given_up_leaves_its_place_to_who_waits),
		at_the_gate(a_host_that_is_down_for_longer_refuses_at_once),
		at_the_gate(the_next_outage_has_a_grace_of_its_own),
		at_the_gate(without_a_grace_and_for_an_operator_s_word_nobody_waits),
		at_the_gate(a_host_that_was_never_up_has_no_outage_to_wait_out),
		at_the_gate(nobody_waits_beyond_its_own_patience),
		at_the_gate(a_beginning_that_nobody_noted_is_when_somebody_meets_it),
		at_the_gate(a_dry_run_counts_it_as_a_delay),
		at_the_gate(a_forecast_says_that_it_would_wait),
		at_the_gate(who_waits_out_an_outage_holds_no_permit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
