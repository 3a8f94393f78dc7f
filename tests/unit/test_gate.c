/* SPDX-License-Identifier: MIT */
#include "gate_bench.h"

#include "src/limit/rate_state.h"

#include <signal.h>
#include <sys/wait.h>

static void a_host_without_a_limit_goes_at_once_and_is_counted(void **state)
{
	struct weir_request r;

	(void)state;
	go(&r);
	now += 5 * MS;
	end(&r, WEIR_SUCCEEDED, 0);
	assert_int_equal(atomic_load(&entry()->counters.admitted), 1);
	assert_int_equal(atomic_load(&entry()->rate.accepted), 1);
	assert_int_equal(weir_concurrency_count(&entry()->concurrency), 0);
	assert_int_equal(r.phase, WEIR_PHASE_OVER);
}

static void a_gate_without_a_segment_lets_everything_pass(void **state)
{
	struct weir_gate none = {0};
	struct weir_request r;
	struct weir_wish wish = {.host_port = HOST};
	struct weir_result result = {.outcome = WEIR_FAILED};
	uint64_t wake;

	(void)state;
	assert_int_equal(weir_gate_begin(&none, &r, &wish, now, &wake), WEIR_GO);
	weir_gate_settle(&none, &r, &result, now);
	weir_gate_hop(&none, HOST, &result, now);
	assert_int_equal(weir_gate_classify(&none, &r, 503, false), WEIR_FAILED);
}

static void requests_beyond_the_burst_wait_their_turn_in_order(void **state)
{
	struct weir_request r[10];
	uint64_t wake, before = 0;

	(void)state;
	fixed_rate(10, 1);
	for (int i = 0; i < 10; i++) {
		enum weir_verdict v = begin(&r[i], &wake);

		assert_int_equal(v, i == 0 ? WEIR_GO : WEIR_WAIT);
		if (i > 0) {
			assert_int_equal(r[i].cause, WEIR_CAUSE_RATE);
			assert_true(r[i].until_ns > before);
			assert_in_range(r[i].until_ns, now + (uint64_t)i * 100 * MS, now + (uint64_t)i * 100 * MS + 1000);
			before = r[i].until_ns;
		}
	}
	for (int i = 1; i <= 5; i++) {
		now = 1000 * SECOND + (uint64_t)i * 100 * MS + 1000;
		assert_int_equal(weir_gate_look(&gate, &r[i], now, &wake), WEIR_GO);
	}
	for (int i = 6; i < 10; i++)
		assert_int_equal(weir_gate_look(&gate, &r[i], now, &wake), WEIR_WAIT);
	assert_int_equal(atomic_load(&entry()->counters.delayed), 5);
}

static void a_wait_that_would_be_too_long_is_refused_before_it_begins(void **state)
{
	struct weir_request r[3];
	struct weir_wish hasty = {.host_port = HOST, .patience_ns = 500 * MS};
	uint64_t wake;

	(void)state;
	rule.wait_max_ns = 1500 * MS;
	fixed_rate(1, 1);
	go(&r[0]);
	assert_int_equal(weir_gate_begin(&gate, &r[1], &hasty, now, &wake), WEIR_REFUSE);
	assert_true(r[1].timed_out);
	assert_int_equal(begin(&r[1], &wake), WEIR_WAIT); /* the refused one gave its unit back */
	assert_int_equal(begin(&r[2], &wake), WEIR_REFUSE);
	assert_int_equal(r[2].cause, WEIR_CAUSE_RATE);
	assert_int_equal(atomic_load(&entry()->counters.refused), 2);
}

static void a_new_policy_re_times_those_who_wait(void **state)
{
	struct weir_request r[2];
	uint64_t wake;

	(void)state;
	rule.wait_max_ns = 600 * SECOND;
	fixed_rate(1, 1);
	go(&r[0]);
	rule.rate.max = WEIR_RATE_ONE / 100;
	publish();
	assert_int_equal(begin(&r[1], &wake), WEIR_WAIT);
	assert_true(r[1].until_ns > now + 99 * SECOND);
	fixed_rate(10, 1);
	assert_int_equal(weir_gate_look(&gate, &r[1], now, &wake), WEIR_WAIT);
	assert_int_equal(weir_gate_look(&gate, &r[1], now + 101 * MS, &wake), WEIR_GO);
}

static void several_rates_of_one_rule_hold_together(void **state)
{
	uint64_t start = now, wake;
	int gone = 0;

	(void)state;
	rule.fixed[0].rate = 2 * WEIR_RATE_ONE; /* 2/s, 3 at once, beside 10/s */
	rule.fixed[0].burst = 3;
	rule.wait_max_ns = 0;
	fixed_rate(10, 10);
	while (now < start + 10 * SECOND) {
		struct weir_request r;

		if (begin(&r, &wake) == WEIR_GO) {
			end(&r, WEIR_SUCCEEDED, 0);
			gone++;
		}
		now += 10 * MS;
	}
	assert_in_range(gone, 3 + 19, 3 + 20);
}

static void retry_after_holds_everybody_and_they_resume_one_by_one(void **state)
{
	struct weir_request r, waiter[5];
	uint64_t wake, hold_end = now + 3 * SECOND;

	(void)state;
	publish();
	go(&r);
	end(&r, WEIR_THROTTLED, 3 * SECOND);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(begin(&waiter[i], &wake), WEIR_WAIT);
		assert_int_equal(waiter[i].cause, WEIR_CAUSE_HOLD);
		assert_true(waiter[i].until_ns >= hold_end);
	}
	now = hold_end - 1;
	for (int i = 0; i < 5; i++)
		assert_int_equal(weir_gate_look(&gate, &waiter[i], now, &wake), WEIR_WAIT);
	now = hold_end + MS;
	int gone = 0;
	for (int i = 0; i < 5; i++)
		gone += weir_gate_look(&gate, &waiter[i], now, &wake) == WEIR_GO;
	assert_int_equal(gone, 1);
}

static void an_absurd_retry_after_is_capped(void **state)
{
	struct weir_request r;
	struct weir_forecast f;

	(void)state;
	rule.hold_max_ns = 60 * SECOND;
	rule.wait_max_ns = 3600 * SECOND;
	publish();
	go(&r);
	end(&r, WEIR_THROTTLED, UINT64_MAX);
	weir_gate_forecast(&gate, HOST, now, &f);
	assert_int_equal(f.verdict, WEIR_WAIT);
	assert_int_equal(f.cause, WEIR_CAUSE_HOLD);
	assert_in_range(f.until_ns, now + 60 * SECOND, now + 62 * SECOND);
}

static void permits_can_go_back_before_the_result(void **state)
{
	struct weir_request first, second;
	uint64_t wake;

	(void)state;
	rule.concurrency = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = 1};
	publish();
	go(&first);
	assert_int_equal(begin(&second, &wake), WEIR_WAIT);
	weir_gate_release_permits(&gate, &first);
	weir_gate_release_permits(&gate, &first);
	assert_int_equal(weir_concurrency_count(&entry()->concurrency), 0);
	assert_int_equal(weir_gate_look(&gate, &second, now, &wake), WEIR_GO);
	assert_false(weir_lease_audit(&segment, weir_entry_find(&segment, HOST)));
	end(&first, WEIR_SUCCEEDED, 0);
	assert_int_equal(weir_concurrency_count(&entry()->concurrency), 1);
	end(&second, WEIR_SUCCEEDED, 0);
	assert_int_equal(weir_concurrency_count(&entry()->concurrency), 0);
	assert_int_equal(atomic_load(&entry()->rate.accepted), 2);
}

/* An event loop comes by every 100 ms. */
static void who_waits_in_a_loop_keeps_its_unit_until_the_loop_comes_by(void **state)
{
	struct weir_wish wish = {.host_port = HOST, .in_loop = true};
	struct weir_request r[20];
	uint64_t wake;
	int gone = 0;

	(void)state;
	fixed_rate(100, 1);
	for (int i = 0; i < 20; i++)
		weir_gate_begin(&gate, &r[i], &wish, now, &wake);
	now += 97 * MS;
	for (int turn = 0; turn < 3; turn++, now += 100 * MS) {
		for (int i = 0; i < 20; i++)
			weir_gate_look(&gate, &r[i], now, &wake);
	}
	for (int i = 0; i < 20; i++)
		gone += r[i].phase == WEIR_PHASE_ADMITTED;
	assert_int_equal(gone, 20);
}

static void who_cannot_wait_goes_on_its_unit_and_those_behind_it_wait_the_longer(void **state)
{
	struct weir_request first, hasty, next;
	uint64_t wake;

	(void)state;
	rule.concurrency = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = 1};
	fixed_rate(10, 1);
	go(&first);
	assert_int_equal(begin(&hasty, &wake), WEIR_WAIT);
	assert_int_equal(weir_gate_go_now(&gate, &hasty, now), WEIR_GO);
	assert_int_equal(weir_gate_go_now(&gate, &hasty, now), WEIR_GO);
	assert_int_equal(weir_concurrency_count(&entry()->concurrency), 2);
	assert_int_equal(begin(&next, &wake), WEIR_WAIT);
	assert_in_range(next.until_ns, now + 200 * MS, now + 201 * MS);
	end(&first, WEIR_SUCCEEDED, 0);
	end(&hasty, WEIR_SUCCEEDED, 0);
	assert_int_equal(atomic_load(&entry()->counters.admitted), 2);
	assert_int_equal(weir_concurrency_count(&entry()->concurrency), 0);
	weir_gate_cancel(&gate, &next, now);
}

static void who_cannot_wait_is_refused_where_the_breaker_is_open(void **state)
{
	struct weir_request first, hasty;
	uint64_t wake;

	(void)state;
	fixed_rate(10, 1);
	go(&first);
	assert_int_equal(begin(&hasty, &wake), WEIR_WAIT);
	weir_gate_breaker(&segment, HOST, WEIR_BREAKER_FORCED_OPEN, false, now);
	assert_int_equal(weir_gate_go_now(&gate, &hasty, now), WEIR_REFUSE);
	assert_int_equal(hasty.phase, WEIR_PHASE_REFUSED);
	assert_int_equal(weir_concurrency_count(&entry()->concurrency), 1);
	end(&first, WEIR_SUCCEEDED, 0);
}

static void permits_bound_the_requests_in_flight(void **state)
{
	struct weir_request r[5];
	uint64_t wake;

	(void)state;
	rule.concurrency = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = 3};
	publish();
	for (int i = 0; i < 5; i++)
		assert_int_equal(begin(&r[i], &wake), i < 3 ? WEIR_GO : WEIR_WAIT);
	assert_int_equal(r[3].cause, WEIR_CAUSE_CONCURRENCY);
	end(&r[0], WEIR_SUCCEEDED, 0);
	assert_int_equal(weir_gate_look(&gate, &r[3], now, &wake), WEIR_GO);
	assert_int_equal(weir_gate_look(&gate, &r[4], now, &wake), WEIR_WAIT);
	weir_gate_cancel(&gate, &r[4], now);
	weir_gate_cancel(&gate, &r[3], now);
	end(&r[1], WEIR_SUCCEEDED, 0);
	end(&r[2], WEIR_IGNORED, 0);
	assert_int_equal(weir_concurrency_count(&entry()->concurrency), 0);
	assert_int_equal(atomic_load(&entry()->counters.cancelled), 1);
	assert_int_equal(atomic_load(&entry()->counters.ignored), 2);
}

static void those_who_waited_long_for_a_permit_do_not_go_in_a_burst(void **state)
{
	struct weir_request r[12];
	uint64_t wake;
	int gone = 0;

	(void)state;
	rule.concurrency = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = 6};
	fixed_rate(10, 1);
	for (int i = 0; i < 12; i++) {
		begin(&r[i], &wake);
		now += 100 * MS;
		if (r[i].phase == WEIR_PHASE_WAITING)
			weir_gate_look(&gate, &r[i], now, &wake);
	}
	now += 10 * SECOND;
	for (int i = 6; i < 12; i++)
		weir_gate_look(&gate, &r[i], now, &wake);
	now += 10 * SECOND;
	for (int i = 0; i < 6; i++)
		end(&r[i], WEIR_SUCCEEDED, 0);
	for (int i = 6; i < 12; i++)
		gone += weir_gate_look(&gate, &r[i], now, &wake) == WEIR_GO;
	assert_in_range(gone, 1, 2);
}

/* One request holds the only permit for long; those behind it have had their units for as long. */
static void crowd_behind_a_long_request(uint64_t *first_s, uint64_t *second_s)
{
	struct weir_request slow, r[10];
	uint64_t wake;

	go(&slow);
	for (int i = 0; i < 10; i++)
		assert_int_equal(begin(&r[i], &wake), WEIR_WAIT);
	for (int i = 0; i < 300; i++) {
		now += 10 * MS;
		for (int j = 0; j < 10; j++)
			weir_gate_look(&gate, &r[j], now, &wake);
	}
	end(&slow, WEIR_SUCCEEDED, 0);
	*first_s = *second_s = 0;
	for (int i = 0; i < 200; i++) {
		for (int j = 0; j < 10; j++)
			if (r[j].phase == WEIR_PHASE_WAITING && weir_gate_look(&gate, &r[j], now, &wake) == WEIR_GO) {
				*(i < 100 ? first_s : second_s) += 1;
				end(&r[j], WEIR_SUCCEEDED, 0);
			}
		now += 10 * MS;
	}
	for (int j = 0; j < 10; j++)
		weir_gate_cancel(&gate, &r[j], now);
}

static void a_runs_rate_holds_for_those_who_waited_for_its_permit(void **state)
{
	uint64_t first, second;

	(void)state;
	publish();
	strcpy(gate.run.id, "4711.99");
	gate.run.rate = 5 * WEIR_RATE_ONE;
	gate.run.burst = 1;
	gate.run.concurrency = 1;
	crowd_behind_a_long_request(&first, &second);
	assert_in_range(first, 4, 6);
	assert_in_range(second, 4, 5);
}

static void the_totals_rate_holds_for_those_who_waited_for_a_hosts_permit(void **state)
{
	uint64_t first, second;

	(void)state;
	rule.concurrency = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = 1};
	weir_rule_defaults(&total);
	total.rate.strategy = WEIR_FIXED;
	total.rate.max = 5 * WEIR_RATE_ONE;
	total.rate.burst = 1;
	total.concurrency.mode = WEIR_CONCURRENCY_OFF;
	with_total = true;
	publish();
	crowd_behind_a_long_request(&first, &second);
	assert_in_range(first, 4, 6);
	assert_in_range(second, 4, 5);
}

static void the_entry_of_a_run_that_is_over_is_freed(void **state)
{
	struct weir_request r;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
	publish();
	snprintf(gate.run.id, sizeof gate.run.id, "%d.1", child);
	gate.run.rate = WEIR_RATE_ONE;
	gate.run.burst = 1;
	go(&r);
	end(&r, WEIR_SUCCEEDED, 0);
	assert_int_equal(weir_entry_sweep(&segment, 3600 * SECOND, now + 30 * SECOND), 1);
}

static void fail_until_open(void)
{
	struct weir_request r;

	for (uint32_t i = 0; i < rule.breaker.failures; i++) {
		go(&r);
		now += MS;
		end(&r, WEIR_FAILED, 0);
	}
}

static void failures_open_the_breaker_and_a_good_probe_closes_it(void **state)
{
	struct weir_request r, probe;
	char text[256];
	uint64_t wake;

	(void)state;
	publish();
	fail_until_open();
	assert_int_equal(begin(&r, &wake), WEIR_REFUSE);
	assert_int_equal(r.cause, WEIR_CAUSE_BREAKER);
	assert_false(r.timed_out);
	weir_gate_describe(&gate, &r, HOST, now, text, sizeof text);
	assert_non_null(strstr(text, "weir: " HOST));
	assert_non_null(strstr(text, "next try in"));
	now = r.until_ns + MS;
	go(&probe);
	assert_int_equal(probe.ticket.probe, 1);
	assert_int_equal(begin(&r, &wake), WEIR_REFUSE);
	assert_int_equal(r.cause, WEIR_CAUSE_PROBE);
	now += MS;
	end(&probe, WEIR_SUCCEEDED, 0);
	go(&r);
	end(&r, WEIR_SUCCEEDED, 0);
	assert_int_equal(weir_breaker_view(&entry()->breaker, &rule.breaker, now).state, WEIR_BREAKER_CLOSED);
}

static void fail_here(uint32_t status)
{
	struct weir_result result = {.outcome = WEIR_FAILED, .here = true, .status = status};
	struct weir_request r;

	for (uint32_t i = 0; i < rule.breaker.failures; i++) {
		go(&r);
		now += MS;
		weir_gate_settle(&gate, &r, &result, now);
	}
}

static void what_fails_on_this_machine_opens_the_breaker_where_a_rule_names_the_host(void **state)
{
	struct weir_request r;
	uint64_t wake;

	(void)state;
	publish();
	fail_here(0);
	assert_int_equal(begin(&r, &wake), WEIR_GO);
	end(&r, WEIR_SUCCEEDED, 0);
	snprintf(rule.match, sizeof rule.match, HOST);
	publish();
	fail_here(0);
	assert_int_not_equal(begin(&r, &wake), WEIR_GO);
}

static void throttled_answers_and_refusals_never_open_the_breaker(void **state)
{
	struct weir_request r;
	uint64_t wake;

	(void)state;
	rule.wait_max_ns = 0;
	publish();
	for (int i = 0; i < 100; i++) {
		if (begin(&r, &wake) == WEIR_GO)
			end(&r, WEIR_THROTTLED, 0);
		now += SECOND;
	}
	assert_int_equal(weir_breaker_view(&entry()->breaker, &rule.breaker, now).state, WEIR_BREAKER_CLOSED);
	assert_int_equal(atomic_load(&entry()->breaker.opened_total), 0);
}

static void late_results_do_not_flip_a_newer_state(void **state)
{
	struct weir_request late[8], r, probe;
	uint64_t wake;

	(void)state;
	publish();
	for (int i = 0; i < 8; i++)
		go(&late[i]);
	fail_until_open();
	assert_int_equal(begin(&r, &wake), WEIR_REFUSE);
	end(&late[0], WEIR_SUCCEEDED, 0);
	assert_int_equal(begin(&r, &wake), WEIR_REFUSE);
	now = r.until_ns + MS;
	go(&probe);
	end(&probe, WEIR_SUCCEEDED, 0);
	for (int i = 1; i < 8; i++)
		end(&late[i], WEIR_FAILED, 0);
	go(&r);
	end(&r, WEIR_SUCCEEDED, 0);
}

static void a_dry_run_neither_delays_nor_refuses_but_counts(void **state)
{
	struct weir_request r;

	(void)state;
	gate.dry_run = true;
	rule.wait_max_ns = 2500 * MS;
	fixed_rate(1, 1);
	for (int i = 0; i < 10; i++) {
		go(&r);
		end(&r, WEIR_SUCCEEDED, 0);
	}
	assert_int_equal(atomic_load(&entry()->counters.admitted), 10);
	assert_int_equal(atomic_load(&entry()->counters.refused), 0);
	assert_int_equal(atomic_load(&entry()->counters.would_delay), 2);
	assert_int_equal(atomic_load(&entry()->counters.would_refuse), 7);
}

static void a_dry_run_sees_its_breaker_open_and_close(void **state)
{
	struct weir_request r;

	(void)state;
	gate.dry_run = true;
	publish();
	fail_until_open();
	go(&r);
	assert_true(r.would_refuse);
	end(&r, WEIR_FAILED, 0);
	now += 120 * SECOND;
	go(&r);
	assert_int_equal(r.ticket.probe, 1);
	end(&r, WEIR_SUCCEEDED, 0);
	assert_int_equal(weir_breaker_view(&entry()->breaker, &rule.breaker, now).state, WEIR_BREAKER_CLOSED);
}

static void a_run_has_a_limit_of_its_own_on_top_of_the_host(void **state)
{
	struct weir_gate other;
	struct weir_request r;
	struct weir_wish wish = {.host_port = HOST};
	uint64_t wake;

	(void)state;
	publish();
	other = gate;
	strcpy(gate.run.id, "4711.99");
	gate.run.rate = WEIR_RATE_ONE;
	gate.run.burst = 1;
	gate.run.concurrency = 2;
	go(&r);
	assert_int_equal(begin(&r, &wake), WEIR_WAIT);
	assert_int_equal(r.cause, WEIR_CAUSE_RATE);
	for (int i = 0; i < 20; i++)
		assert_int_equal(weir_gate_begin(&other, &r, &wish, now, &wake), WEIR_GO);
	assert_int_not_equal(weir_entry_find(&segment, "@4711.99/" HOST), WEIR_NONE);
}

static void the_total_limits_all_hosts_together(void **state)
{
	struct weir_request r;
	struct weir_wish wish = {0};
	char host[32];
	uint64_t wake;
	int gone = 0;

	(void)state;
	weir_rule_defaults(&total);
	total.rate.strategy = WEIR_FIXED;
	total.rate.max = WEIR_RATE_ONE;
	total.rate.burst = 4;
	total.concurrency.mode = WEIR_CONCURRENCY_OFF;
	with_total = true;
	publish();
	for (int i = 0; i < 10; i++) {
		snprintf(host, sizeof host, "h%d.example.org:80", i);
		wish.host_port = host;
		gone += weir_gate_begin(&gate, &r, &wish, now, &wake) == WEIR_GO;
	}
	assert_int_equal(gone, 4);
}

static void hosts_of_one_group_share_one_entry(void **state)
{
	struct weir_request r;
	struct weir_wish a = {.host_port = "a.example.org:443"}, b = {.host_port = "b.example.org:80"};
	struct weir_rule rules[2];
	uint64_t wake;

	(void)state;
	rules[1] = rule;
	rules[0] = rule;
	strcpy(rules[0].match, "*.example.org");
	strcpy(rules[0].group, "example");
	rules[0].flags |= WEIR_RULE_GLOB | WEIR_RULE_ANY_PORT;
	rules[0].rate.strategy = WEIR_FIXED;
	rules[0].rate.max = WEIR_RATE_ONE;
	rules[0].rate.burst = 1;
	weir_policy_publish(&segment, rules, 2, NULL, NULL, 0, false, 1);
	assert_int_equal(weir_gate_begin(&gate, &r, &a, now, &wake), WEIR_GO);
	assert_int_equal(weir_gate_begin(&gate, &r, &b, now, &wake), WEIR_WAIT);
	assert_int_not_equal(weir_entry_find(&segment, "example"), WEIR_NONE);
	assert_int_equal(weir_entry_find(&segment, "a.example.org:443"), WEIR_NONE);
}

static void an_exempt_host_is_neither_limited_nor_counted(void **state)
{
	struct weir_request r;

	(void)state;
	rule.flags |= WEIR_RULE_EXEMPT;
	rule.rate.strategy = WEIR_FIXED;
	rule.rate.max = 1;
	publish();
	for (int i = 0; i < 10; i++) {
		go(&r);
		assert_int_equal(r.phase, WEIR_PHASE_EXEMPT);
		end(&r, WEIR_SUCCEEDED, 0);
	}
	assert_int_equal(weir_entry_find(&segment, HOST), WEIR_NONE);
}

static void a_redirect_hop_takes_its_unit_afterwards(void **state)
{
	struct weir_result ok = {.outcome = WEIR_SUCCEEDED, .latency_ns = MS};
	struct weir_request r;
	uint64_t wake;

	(void)state;
	fixed_rate(1, 1);
	weir_gate_hop(&gate, HOST, &ok, now);
	assert_int_equal(atomic_load(&entry()->counters.admitted), 1);
	assert_int_equal(atomic_load(&entry()->rate.accepted), 1);
	assert_int_equal(begin(&r, &wake), WEIR_WAIT);
}

static void statuses_mean_what_the_rule_says(void **state)
{
	struct weir_request r;

	(void)state;
	rule.throttle_codes = 2;
	rule.throttle_code[0] = 403;
	rule.throttle_code[1] = 429;
	publish();
	go(&r);
	assert_int_equal(weir_gate_classify(&gate, &r, 200, false), WEIR_SUCCEEDED);
	assert_int_equal(weir_gate_classify(&gate, &r, 403, false), WEIR_THROTTLED);
	assert_int_equal(weir_gate_classify(&gate, &r, 404, false), WEIR_SUCCEEDED);
	assert_int_equal(weir_gate_classify(&gate, &r, 429, false), WEIR_THROTTLED);
	assert_int_equal(weir_gate_classify(&gate, &r, 500, false), WEIR_FAILED);
	assert_int_equal(weir_gate_classify(&gate, &r, 503, false), WEIR_FAILED);
	assert_int_equal(weir_gate_classify(&gate, &r, 503, true), WEIR_THROTTLED);
}

static void the_operator_sets_resets_and_forces(void **state)
{
	struct weir_request r;
	struct weir_forecast f;
	uint64_t wake;

	(void)state;
	publish();
	assert_false(weir_gate_set(&segment, HOST, WEIR_RATE_ONE, 1, 0, 0, false, now));
	assert_true(weir_gate_set(&segment, HOST, WEIR_RATE_ONE, 1, 0, 10 * SECOND, true, now));
	go(&r);
	assert_int_equal(begin(&r, &wake), WEIR_WAIT);
	now += 11 * SECOND; /* the override is over */
	for (int i = 0; i < 10; i++)
		go(&r);
	assert_true(weir_gate_breaker(&segment, HOST, WEIR_BREAKER_FORCED_OPEN, false, now));
	assert_int_equal(begin(&r, &wake), WEIR_REFUSE);
	assert_int_equal(r.cause, WEIR_CAUSE_FORCED);
	weir_gate_forecast(&gate, HOST, now, &f);
	assert_int_equal(f.verdict, WEIR_REFUSE);
	assert_int_equal(f.until_ns, WEIR_NEVER);
	assert_true(weir_gate_set(&segment, HOST, WEIR_RATE_ONE, 20, 0, 0, false, now));
	assert_true(weir_gate_reset(&segment, HOST, now));
	go(&r);
	/* Nothing of it is left for the next word, which need not say all. */
	assert_int_equal(segment.entry[weir_entry_find(&segment, HOST)].set_burst, 0);
	assert_false(weir_gate_reset(&segment, "unknown.example.org:1", now));
}

static void a_forecast_tells_without_changing_anything(void **state)
{
	struct weir_forecast f;
	struct weir_request r;
	uint64_t tail;

	(void)state;
	rule.wait_max_ns = 5 * SECOND;
	fixed_rate(1, 1);
	weir_gate_forecast(&gate, HOST, now, &f);
	assert_int_equal(f.verdict, WEIR_GO);
	assert_int_equal(f.slot, WEIR_NONE);
	go(&r);
	tail = atomic_load(&entry()->bucket[0].tail);
	weir_gate_forecast(&gate, HOST, now, &f);
	assert_int_equal(f.verdict, WEIR_WAIT);
	assert_int_equal(f.cause, WEIR_CAUSE_RATE);
	assert_int_equal(atomic_load(&entry()->bucket[0].tail), tail);
	assert_string_equal(f.key, HOST);
}

static void without_a_free_lease_requests_still_go_and_hold_no_permit(void **state)
{
	struct weir_request r[140];

	(void)state;
	publish();
	for (int i = 0; i < 140; i++)
		go(&r[i]);
	assert_int_equal(atomic_load(&segment.header->leases_lost), 12);
	assert_int_equal(weir_concurrency_count(&entry()->concurrency), 128);
	for (int i = 0; i < 140; i++)
		end(&r[i], WEIR_SUCCEEDED, 0);
	assert_int_equal(weir_concurrency_count(&entry()->concurrency), 0);
	assert_int_equal(atomic_load(&entry()->rate.accepted), 140);
}

/* A child that is killed at a random moment between begin and settle, many times: nothing stays behind. */
static void a_killed_process_leaves_no_permit_and_no_probe(void **state)
{
	(void)state;
	rule.concurrency = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = 4};
	publish();
	for (int round = 0; round < 40; round++) {
		pid_t child = fork();

		assert_int_not_equal(child, -1);
		if (child == 0) {
			struct weir_gate own = gate;
			struct weir_wish wish = {.host_port = HOST};
			struct weir_request r;
			struct weir_result ok = {.outcome = WEIR_SUCCEEDED};
			uint64_t wake;

			weir_owner_self(&own.owner);
			for (;;)
				if (weir_gate_begin(&own, &r, &wish, weir_now_ns(), &wake) == WEIR_GO)
					weir_gate_settle(&own, &r, &ok, weir_now_ns());
		}
		/* at work, then killed at some moment of it */
		while (weir_entry_find(&segment, HOST) == WEIR_NONE)
			usleep(100);
		for (uint64_t begun = atomic_load(&entry()->counters.admitted);
		     atomic_load(&entry()->counters.admitted) == begun;)
			usleep(100);
		usleep((useconds_t)(round * 53));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	/* Three seconds on: a lease whose owner died in the middle of claiming it is void after two. It holds no permit
	 * meanwhile. */
	weir_lease_reap(&segment, &gate.owner, true, weir_now_ns());
	assert_int_equal(weir_concurrency_count(&entry()->concurrency), 0);
	weir_lease_reap(&segment, &gate.owner, true, weir_now_ns() + 3 * SECOND);
	assert_int_equal(weir_concurrency_count(&entry()->concurrency), 0);
	for (uint32_t i = 0; i < segment.leases; i++)
		assert_int_equal(atomic_load(&segment.lease[i].word) & 0xf, WEIR_LEASE_FREE);
}

static void a_real_wait_sleeps_until_its_turn_and_not_longer(void **state)
{
	struct weir_wish wish = {.host_port = HOST};
	struct weir_request r;
	uint64_t begun = weir_now_ns(), took;

	(void)state;
	fixed_rate(20, 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(weir_gate_admit(&gate, &r, &wish), WEIR_GO);
	took = weir_now_ns() - begun;
	assert_true(took >= 200 * MS);
	assert_true(took < 400 * MS);
}

static void a_waiter_wakes_when_the_operator_raises_the_rate(void **state)
{
	struct weir_wish wish = {.host_port = HOST};
	struct weir_request r;
	uint64_t begun;
	pid_t child;
	int status;

	(void)state;
	rule.wait_max_ns = 60 * SECOND;
	rule.rate.strategy = WEIR_FIXED;
	rule.rate.max = WEIR_RATE_ONE / 30;
	rule.rate.burst = 1;
	publish();
	assert_int_equal(weir_gate_admit(&gate, &r, &wish), WEIR_GO);
	begun = weir_now_ns();
	child = fork();
	if (child == 0) {
		weir_owner_self(&gate.owner);
		_exit(weir_gate_admit(&gate, &r, &wish) == WEIR_GO ? 0 : 1);
	}
	while (atomic_load(&entry()->waiting) == 0)
		usleep(1000);
	assert_true(weir_gate_set(&segment, HOST, 1000 * WEIR_RATE_ONE, 1, 0, 0, false, weir_now_ns()));
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	assert_true(weir_now_ns() - begun < 5 * SECOND);
}

static void a_hold_max_of_zero_believes_no_quota_either(void **state)
{
	struct weir_result spent = {.outcome = WEIR_SUCCEEDED,
				    .quota = {{.limit = 100,
					       .window_ns = 30 * 86400 * SECOND,
					       .resets_in_ns = 20 * 86400 * SECOND,
					       .has_remaining = 1,
					       .has_reset = 1}},
				    .quotas = 1};
	struct weir_request r;

	(void)state;
	rule.hold_max_ns = 0;
	publish();
	go(&r);
	weir_gate_settle(&gate, &r, &spent, now);
	assert_true(weir_bucket_pace(&entry()->bucket[0]).t0_ns <= now + MS);
}

/* A hundred who wait for a permit look for the dead five times a second together; those of another namespace take turns. */
static void the_dead_are_looked_for_together(void **state)
{
	struct weir_owner other = gate.owner;
	struct weir_request r[40];
	uint64_t wake, word, seen = 0;
	unsigned scans = 0;

	(void)state;
	other.pid_namespace++;
	rule.concurrency = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = 1};
	rule.wait_max_ns = 3600 * SECOND;
	publish();
	for (int i = 0; i < 40; i++)
		(void)begin(&r[i], &wake);
	for (int tick = 0; tick < 500; tick++, now += 20 * MS)
		for (int i = 1; i < 40; i++) {
			struct weir_gate g = gate;

			if (i % 2 == 0)
				g.owner = other;
			assert_int_equal(weir_gate_look(&g, &r[i], now, &wake), WEIR_WAIT);
			word = atomic_load(&segment.header->waiters_reaped);
			scans += word != seen;
			seen = word;
		}
	assert_in_range(scans, 50, 101); /* in ten seconds */
	for (int i = 0; i < 40; i++)
		weir_gate_cancel(&gate, &r[i], now);
}

/* Two ends of holds that weir made up are no two boundaries of the host's window. */
static void a_hold_that_was_cut_down_says_nothing_of_the_hosts_window(void **state)
{
	struct weir_request r;
	struct rate_state learned;
	uint64_t word[WEIR_RATE_WORDS];

	(void)state;
	rule.hold_max_ns = 3 * SECOND;
	publish();
	for (int i = 0; i < 2; i++) {
		for (int k = 0; k < 10; k++) {
			go(&r);
			now += MS;
			end(&r, WEIR_SUCCEEDED, 0);
			now += 10 * SECOND;
		}
		go(&r);
		now += MS;
		end(&r, WEIR_THROTTLED, 86400 * SECOND);
		assert_int_equal(weir_hold_until_ns(&entry()->hold, rule.hold_max_ns, now), now + 3 * SECOND);
		now += 60 * SECOND;
	}
	weir_published_read(&entry()->rate.generation, entry()->rate.state, WEIR_RATE_WORDS, word);
	memcpy(&learned, word, sizeof learned);
	assert_int_equal(learned.held_ns, 0);
	assert_int_equal(learned.window_ns, 0);
}

int main(void)
{
#define GATE_TEST(f) cmocka_unit_test_setup_teardown(f, open_gate, close_gate)
	const struct CMUnitTest tests[] = {
		GATE_TEST(a_host_without_a_limit_goes_at_once_and_is_counted),
		GATE_TEST(a_gate_without_a_segment_lets_everything_pass),
		GATE_TEST(requests_beyond_the_burst_wait_their_turn_in_order),
		GATE_TEST(a_wait_that_would_be_too_long_is_refused_before_it_begins),
		GATE_TEST(a_new_policy_re_times_those_who_wait),
		GATE_TEST(several_rates_of_one_rule_hold_together),
		GATE_TEST(retry_after_holds_everybody_and_they_resume_one_by_one),
		GATE_TEST(an_absurd_retry_after_is_capped),
		GATE_TEST(permits_can_go_back_before_the_result),
		GATE_TEST(who_waits_in_a_loop_keeps_its_unit_until_the_loop_comes_by),
		GATE_TEST(who_cannot_wait_goes_on_its_unit_and_those_behind_it_wait_the_longer),
		GATE_TEST(who_cannot_wait_is_refused_where_the_breaker_is_open),
		GATE_TEST(permits_bound_the_requests_in_flight),
		GATE_TEST(those_who_waited_long_for_a_permit_do_not_go_in_a_burst),
		GATE_TEST(a_runs_rate_holds_for_those_who_waited_for_its_permit),
		GATE_TEST(the_totals_rate_holds_for_those_who_waited_for_a_hosts_permit),
		GATE_TEST(the_entry_of_a_run_that_is_over_is_freed),
		GATE_TEST(failures_open_the_breaker_and_a_good_probe_closes_it),
		GATE_TEST(what_fails_on_this_machine_opens_the_breaker_where_a_rule_names_the_host),
		GATE_TEST(throttled_answers_and_refusals_never_open_the_breaker),
		GATE_TEST(late_results_do_not_flip_a_newer_state),
		GATE_TEST(a_dry_run_neither_delays_nor_refuses_but_counts),
		GATE_TEST(a_dry_run_sees_its_breaker_open_and_close),
		GATE_TEST(a_run_has_a_limit_of_its_own_on_top_of_the_host),
		GATE_TEST(the_total_limits_all_hosts_together),
		GATE_TEST(hosts_of_one_group_share_one_entry),
		GATE_TEST(an_exempt_host_is_neither_limited_nor_counted),
		GATE_TEST(a_redirect_hop_takes_its_unit_afterwards),
		GATE_TEST(statuses_mean_what_the_rule_says),
		GATE_TEST(the_operator_sets_resets_and_forces),
		GATE_TEST(a_forecast_tells_without_changing_anything),
		GATE_TEST(without_a_free_lease_requests_still_go_and_hold_no_permit),
		GATE_TEST(a_killed_process_leaves_no_permit_and_no_probe),
		GATE_TEST(a_real_wait_sleeps_until_its_turn_and_not_longer),
		GATE_TEST(a_waiter_wakes_when_the_operator_raises_the_rate),
		cmocka_unit_test_setup_teardown(a_hold_that_was_cut_down_says_nothing_of_the_hosts_window, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_hold_max_of_zero_believes_no_quota_either, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(the_dead_are_looked_for_together, open_gate, close_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
