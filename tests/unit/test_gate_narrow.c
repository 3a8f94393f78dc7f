/* SPDX-License-Identifier: MIT */
/* Narrowed rules and clients' shares: which entries a request passes, and that no limit is ever exceeded. */
#include "gate_bench.h"

#include "src/gate/scope.h"

#define NARROWED HOST "#/search/*"

/* The host's rule, two narrowed from it, the defaults. */
static struct weir_rule rules[4];

static void publish_rules(void)
{
	rules[0].narrow.first = 1;
	rules[0].narrow.count = 2;
	weir_policy_publish(&segment, rules, 4, NULL, NULL, 0, false, 1);
}

static void limit_rate(struct weir_rule *r, uint64_t per_s)
{
	r->flags |= WEIR_RULE_LIMITS_RATE;
	r->rate.strategy = WEIR_FIXED;
	r->rate.max = per_s * WEIR_RATE_ONE;
	r->rate.burst = 1;
	r->rate.min = 0;
}

static int open_rules(void **state)
{
	int failed = open_gate(state);

	for (int i = 0; i < 4; i++) {
		weir_rule_defaults(&rules[i]);
		rules[i].flags = 0;
		rules[i].concurrency.mode = WEIR_CONCURRENCY_OFF;
		strcpy(rules[i].match, i < 3 ? HOST : "*");
	}
	rules[1].narrow.flags = rules[2].narrow.flags = WEIR_NARROW_IS;
	strcpy(rules[1].narrow.path, "/search/*");
	rules[2].narrow.methods = weir_method_bit("POST", 4);
	strcpy(gate.client, "nightly");
	publish_rules();
	return failed;
}

static enum weir_verdict ask(struct weir_request *r, const char *method, const char *path)
{
	struct weir_wish wish = {.host_port = HOST};
	uint64_t wake;

	wish.asks = (struct weir_asks){path, path ? strlen(path) : 0, weir_method_bit(method, strlen(method))};
	return weir_gate_begin(&gate, r, &wish, now, &wake);
}

/* To the millisecond. */
static uint64_t allowed_at(const char *method, const char *path)
{
	struct weir_request r;

	return ask(&r, method, path) == WEIR_GO ? now : r.until_ns / MS * MS;
}

/* One request that ends so. */
static void settle(const char *path, enum weir_outcome outcome)
{
	struct weir_request r;
	struct weir_result result = {.outcome = outcome, .latency_ns = 20 * MS};

	assert_int_equal(ask(&r, "GET", path), WEIR_GO);
	weir_gate_settle(&gate, &r, &result, now);
}

static void results_are_counted_at_the_narrowed_rule_and_at_the_host(void **state)
{
	(void)state;
	rules[0].breaker.failures = 0;
	publish_rules();
	for (int i = 0; i < 3; i++)
		settle("/search/a", WEIR_SUCCEEDED);
	settle("/search/a", WEIR_THROTTLED);
	settle("/search/a", WEIR_FAILED);
	settle("/search/a", WEIR_FAILED);
	settle("/search/a", WEIR_IGNORED);
	settle("/other", WEIR_SUCCEEDED);
	const struct weir_rate *narrowed = &segment.entry[weir_entry_find(&segment, NARROWED)].rate;
	const struct weir_rate *host = &segment.entry[weir_entry_find(&segment, HOST)].rate;
	struct weir_histogram_copy latency;

	assert_int_equal(narrowed->accepted, 3);
	assert_int_equal(narrowed->throttled, 1);
	assert_int_equal(narrowed->failed, 2);
	assert_int_equal(host->accepted, 4);
	assert_int_equal(host->throttled, 1);
	assert_int_equal(host->failed, 2);
	weir_durations_copy(&segment, weir_entry_find(&segment, NARROWED), WEIR_DURATIONS_LATENCY, &latency);
	assert_int_equal(latency.count, 6);
}

static void assert_entry(const char *key, bool there)
{
	if ((weir_entry_find(&segment, key) != WEIR_NONE) != there)
		fail_msg("%s is %s", key, there ? "missing" : "there");
}

static void a_narrowed_rule_limits_its_requests_and_no_others(void **state)
{
	(void)state;
	limit_rate(&rules[1], 1);
	publish_rules();
	assert_int_equal(allowed_at("GET", "/search/a"), now);
	assert_int_equal(allowed_at("GET", "/search/b?q"), now + SECOND);
	for (int i = 0; i < 10; i++)
		assert_int_equal(allowed_at("GET", "/other"), now);
	/* Where the path is not seen the host's own rule holds. */
	assert_int_equal(allowed_at("GET", NULL), now);
}

/* Whose entries are taken away again and again has the overflow, and is limited all the same. */
static void a_client_s_share_goes_with_its_request_into_the_overflow(void **state)
{
	struct scope scope[WEIR_SCOPES];

	(void)state;
	rules[0].narrow.client_rate = 3 * WEIR_RATE_ONE;
	publish_rules();
	assert_true(scope_resolve(&gate, HOST, NULL, now, scope));
	assert_int_not_equal(scope[SCOPE_CLIENT].slot, WEIR_NONE);
	scopes_overflow(&gate, scope);
	assert_int_equal(scope[SCOPE_CLIENT].slot, WEIR_NONE);
	assert_int_equal(scope[SCOPE_CLIENT].rule->narrow.client_rate, 3 * WEIR_RATE_ONE);
}

static void a_request_takes_its_unit_of_the_host_as_well(void **state)
{
	uint64_t begun = now, wake;
	struct weir_request r;

	(void)state;
	limit_rate(&rules[0], 1);
	limit_rate(&rules[1], 100);
	publish_rules();
	assert_int_equal(allowed_at("GET", "/search/a"), now);
	assert_int_equal(allowed_at("GET", "/x"), now + SECOND);
	/* In the host's queue it is when it has its own. */
	assert_int_equal(ask(&r, "GET", "/search/a"), WEIR_WAIT);
	now = r.until_ns;
	assert_true(now < begun + 20 * MS);
	assert_int_equal(weir_gate_look(&gate, &r, now, &wake), WEIR_WAIT);
	assert_int_equal(r.until_ns / MS, (begun + 2 * SECOND) / MS);
	assert_int_equal(weir_gate_look(&gate, &r, now = r.until_ns, &wake), WEIR_GO);
}

static void a_rule_that_stands_apart_takes_none_of_the_host(void **state)
{
	struct weir_request r;

	(void)state;
	limit_rate(&rules[0], 1);
	limit_rate(&rules[1], 2);
	rules[1].narrow.flags |= WEIR_NARROW_APART;
	publish_rules();
	assert_int_equal(allowed_at("GET", "/search/a"), now);
	assert_int_equal(allowed_at("GET", "/search/a"), now + SECOND / 2);
	assert_int_equal(allowed_at("GET", "/x"), now);
	/* What is learned there is its own: a hold stops nobody else. */
	now += 10 * SECOND;
	assert_int_equal(ask(&r, "GET", "/search/a"), WEIR_GO);
	end(&r, WEIR_THROTTLED, 20 * SECOND);
	assert_true(allowed_at("GET", "/search/a") >= now + 20 * SECOND);
	assert_int_equal(allowed_at("GET", "/x"), now);
}

static void the_first_narrowed_rule_that_matches_counts_alone(void **state)
{
	(void)state;
	limit_rate(&rules[1], 1);
	limit_rate(&rules[2], 1);
	publish_rules();
	assert_int_equal(allowed_at("POST", "/search/a"), now);
	assert_int_equal(allowed_at("POST", "/x"), now);
	assert_int_equal(allowed_at("POST", "/y"), now + SECOND);
	assert_entry(HOST "#/search/*", true);
	assert_entry(HOST "#POST", true);
}

static void permits_of_both_are_held_and_given_back(void **state)
{
	struct weir_request a, b, c;
	uint64_t wake;

	(void)state;
	rules[0].concurrency = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = 2};
	rules[1].concurrency = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = 1};
	publish_rules();
	assert_int_equal(ask(&a, "GET", "/search/a"), WEIR_GO);
	assert_int_equal(ask(&b, "GET", "/search/b"), WEIR_WAIT);
	assert_int_equal(ask(&c, "GET", "/x"), WEIR_GO);
	assert_int_equal(weir_concurrency_count(&entry()->concurrency), 2);
	end(&a, WEIR_SUCCEEDED, 0);
	assert_int_equal(weir_gate_look(&gate, &b, now, &wake), WEIR_GO);
	end(&b, WEIR_SUCCEEDED, 0);
	end(&c, WEIR_SUCCEEDED, 0);
	assert_int_equal(weir_concurrency_count(&entry()->concurrency), 0);
	assert_int_equal(weir_concurrency_count(&segment.entry[weir_entry_find(&segment, NARROWED)].concurrency), 0);
}

static void permits_of_the_dead_come_back_to_every_scope(void **state)
{
	struct weir_request a, b;
	struct weir_owner dead = {.pid = 99999999, .pid_namespace = gate.owner.pid_namespace, .start = 1}, self = gate.owner;

	(void)state;
	rules[1].concurrency = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = 1};
	rules[0].narrow.client_concurrency = 1;
	publish_rules();
	gate.owner = dead;
	assert_int_equal(ask(&a, "GET", "/search/a"), WEIR_GO);
	gate.owner = self;
	assert_int_equal(ask(&b, "GET", "/search/b"), WEIR_WAIT);
	weir_gate_cancel(&gate, &b, now);
	assert_int_equal(weir_lease_reap(&segment, &self, false, now), 1);
	assert_int_equal(ask(&b, "GET", "/search/b"), WEIR_GO);
	assert_int_equal(weir_concurrency_count(&segment.entry[weir_entry_find(&segment, NARROWED)].concurrency), 1);
	assert_int_equal(weir_concurrency_count(&segment.entry[weir_entry_find(&segment, "@client.nightly/" HOST)].concurrency),
			 1);
}

static void an_exempt_path_passes_untouched(void **state)
{
	struct weir_request r;

	(void)state;
	limit_rate(&rules[0], 1);
	rules[1].flags |= WEIR_RULE_EXEMPT;
	rules[1].narrow.flags |= WEIR_NARROW_APART;
	publish_rules();
	for (int i = 0; i < 5; i++)
		assert_int_equal(ask(&r, "GET", "/search/a"), WEIR_GO);
	assert_int_equal(r.phase, WEIR_PHASE_EXEMPT);
	assert_int_equal(allowed_at("GET", "/x"), now);
	assert_int_equal(allowed_at("GET", "/x"), now + SECOND);
}

static void what_a_request_asks_for_is_kept_nowhere(void **state)
{
	char path[64];

	(void)state;
	limit_rate(&rules[1], 100);
	publish_rules();
	for (int i = 0; i < 500; i++) {
		snprintf(path, sizeof path, "/search/secret-%d", i);
		(void)allowed_at("GET", path);
	}
	assert_null(memmem(segment.base, segment.bytes, "secret", 6));
}

static void a_connection_s_unit_is_not_taken_twice(void **state)
{
	struct weir_request r;
	struct weir_wish wish = {.host_port = HOST, .unit_taken = true, .asks = {"/search/a", 9, 0}};
	uint64_t wake;

	(void)state;
	limit_rate(&rules[0], 1);
	limit_rate(&rules[1], 1);
	publish_rules();
	assert_int_equal(allowed_at("GET", NULL), now);
	assert_int_equal(weir_gate_begin(&gate, &r, &wish, now, &wake), WEIR_GO);
	assert_int_equal(weir_gate_begin(&gate, &r, &wish, now, &wake), WEIR_WAIT);
	assert_int_equal(r.until_ns / MS, (now + SECOND) / MS);
	assert_int_equal(allowed_at("GET", NULL), now + SECOND);
	/* Of what stands apart it has taken none. */
	rules[1].narrow.flags |= WEIR_NARROW_APART;
	publish_rules();
	now += 10 * SECOND;
	assert_int_equal(weir_gate_begin(&gate, &r, &wish, now, &wake), WEIR_GO);
	assert_int_equal(weir_gate_begin(&gate, &r, &wish, now, &wake), WEIR_WAIT);
}

static void a_client_has_its_share_and_no_more(void **state)
{
	uint64_t last[3] = {0}, share = SECOND / 2;
	unsigned gone[3] = {0}, all = 0;
	uint64_t begin_ns = now;

	(void)state;
	limit_rate(&rules[0], 10);
	rules[0].narrow.client_rate = 2 * WEIR_RATE_ONE;
	rules[0].narrow.client_burst = 1;
	publish_rules();
	/* Three clients ask whenever they may: one of them in eight loops. */
	for (; now < begin_ns + 60 * SECOND; now += 10 * MS) {
		for (int c = 0; c < 3; c++) {
			snprintf(gate.client, sizeof gate.client, "client%d", c);
			for (int k = 0; k < (c == 0 ? 8 : 1); k++) {
				struct weir_request r;

				if (ask(&r, "GET", "/x") != WEIR_GO) {
					weir_gate_cancel(&gate, &r, now);
					continue;
				}
				if (gone[c]++ > 0 && now - last[c] < share)
					fail_msg("client %d: two within %llu ms", c, (unsigned long long)((now - last[c]) / MS));
				last[c] = now;
				all++;
				end(&r, WEIR_SUCCEEDED, 0);
			}
		}
	}
	for (int c = 0; c < 3; c++)
		assert_in_range(gone[c], 118, 121);
	assert_in_range(all, 354, 363);
}

#define LOOPS 24

/* Loops that ask again as soon as they have gone: sixteen of one client, two of each other. Counts who goes in so long. */
static void live_for(uint64_t ns, unsigned gone[LOOPS])
{
	static struct weir_request r[LOOPS];
	static uint64_t wake[LOOPS];
	uint64_t end_ns = now + ns;
	struct weir_wish wish = {.host_port = HOST, .asks = {"/search/a", 9, 0}};

	memset(r, 0, sizeof r);
	for (; now < end_ns; now += MS)
		for (int i = 0; i < LOOPS; i++) {
			enum weir_verdict v = WEIR_WAIT;

			snprintf(gate.client, sizeof gate.client, "client%d", i < 16 ? 0 : i / 2);
			if (r[i].phase != WEIR_PHASE_WAITING)
				v = weir_gate_begin(&gate, &r[i], &wish, now, &wake[i]);
			else if (wake[i] <= now)
				v = weir_gate_look(&gate, &r[i], now, &wake[i]);
			if (v != WEIR_GO)
				continue;
			gone[i]++;
			end(&r[i], WEIR_SUCCEEDED, 0);
		}
	for (int i = 0; i < LOOPS; i++)
		weir_gate_cancel(&gate, &r[i], now);
}

/* What it waits for in its own queue does not take the host's units from others, whose turn is then never theirs. */
static void who_waits_for_its_own_share_takes_nothing_of_the_host(void **state)
{
	unsigned gone[LOOPS] = {0}, first = 0, others = 0;

	(void)state;
	limit_rate(&rules[0], 10);
	rules[0].wait_max_ns = 3600 * SECOND;
	rules[0].narrow.client_rate = 2 * WEIR_RATE_ONE;
	rules[0].narrow.client_burst = 1;
	publish_rules();
	live_for(100 * SECOND, gone);
	for (int i = 0; i < 16; i++)
		first += gone[i];
	assert_in_range(first, 195, 205);
	for (int i = 16; i < LOOPS; i += 2) {
		assert_in_range(gone[i] + gone[i + 1], 190, 205);
		others += gone[i] + gone[i + 1];
	}
	assert_in_range(first + others, 985, 1005);
}

/* Two limits that are close, and who waits for the second has not let the first pass. */
static void two_limits_let_through_what_the_lower_one_does(void **state)
{
	unsigned gone[LOOPS] = {0}, all = 0;

	(void)state;
	limit_rate(&rules[0], 10);
	rules[0].wait_max_ns = 3600 * SECOND;
	rules[0].fixed[0] = (struct weir_fixed_rate){.rate = 9 * WEIR_RATE_ONE, .burst = 1};
	limit_rate(&rules[1], 8);
	rules[1].wait_max_ns = 3600 * SECOND;
	publish_rules();
	live_for(100 * SECOND, gone);
	for (int i = 0; i < LOOPS; i++)
		all += gone[i];
	assert_in_range(all, 790, 803);
}

/* Sixteen loops that a narrowed rule holds to two a second, eight others: how many go in so long. */
static unsigned go_in(uint64_t ns, struct weir_request r[LOOPS], uint64_t wake[LOOPS])
{
	uint64_t end_ns = now + ns;
	unsigned gone = 0;

	for (; now < end_ns; now += MS)
		for (int i = 0; i < LOOPS; i++) {
			struct weir_wish wish = {.host_port = HOST, .asks = {i < 16 ? "/search/a" : "/x", i < 16 ? 9 : 2, 0}};
			enum weir_verdict v = WEIR_WAIT;

			if (r[i].phase != WEIR_PHASE_WAITING)
				v = weir_gate_begin(&gate, &r[i], &wish, now, &wake[i]);
			else if (wake[i] <= now)
				v = weir_gate_look(&gate, &r[i], now, &wake[i]);
			if (v != WEIR_GO)
				continue;
			gone++;
			end(&r[i], WEIR_SUCCEEDED, 0);
		}
	return gone;
}

/* While the host stood still each of them has had its unit of the narrowed rule: more than that lets leave together. */
static void whom_a_hold_has_kept_does_not_go_on_taking_units_of_the_host(void **state)
{
	static struct weir_request r[LOOPS];
	static uint64_t wake[LOOPS];

	(void)state;
	limit_rate(&rules[0], 10);
	limit_rate(&rules[1], 2);
	rules[0].wait_max_ns = rules[1].wait_max_ns = 3600 * SECOND;
	publish_rules();
	memset(r, 0, sizeof r);
	memset(wake, 0, sizeof wake);
	(void)go_in(5 * SECOND, r, wake);
	assert_true(weir_hold_raise(&entry()->hold, now + 30 * SECOND, 60 * SECOND, now));
	entry()->applied = 0;
	assert_int_equal(go_in(30 * SECOND, r, wake), 0);
	(void)go_in(10 * SECOND, r, wake);
	assert_in_range(go_in(20 * SECOND, r, wake), 190, 202);
	for (int i = 0; i < LOOPS; i++)
		weir_gate_cancel(&gate, &r[i], now);
}

/* Else it would cost the one it may leave an interval each time that the other keeps it. */
static void who_is_kept_by_one_limit_has_not_left_the_other(void **state)
{
	struct weir_wish wish = {.host_port = HOST, .asks = {"/x", 2, 0}, .ahead = true};
	struct weir_request late, r;
	uint64_t wake, begun;

	(void)state;
	limit_rate(&rules[0], 1);
	limit_rate(&rules[1], 1);
	rules[1].rate.max = WEIR_RATE_ONE / 10;
	publish_rules();
	assert_int_equal(weir_gate_begin(&gate, &late, &wish, now, &wake), WEIR_GO);
	begun = now += SECOND + 5 * MS;
	assert_int_equal(weir_gate_depart(&gate, &late, now, &wake), WEIR_GO);
	/* It has its units, but is too close behind that one. */
	wish = (struct weir_wish){.host_port = HOST, .asks = {"/search/a", 9, 0}};
	for (enum weir_verdict v = weir_gate_begin(&gate, &r, &wish, now, &wake); v == WEIR_WAIT; now = wake)
		v = weir_gate_look(&gate, &r, wake, &wake);
	assert_in_range(now - begun, SECOND / 2, SECOND + 10 * MS);
	end(&r, WEIR_SUCCEEDED, 0);
	end(&late, WEIR_SUCCEEDED, 0);
}

static void a_policy_without_the_rule_leaves_no_limit_behind(void **state)
{
	(void)state;
	limit_rate(&rules[1], 1);
	publish_rules();
	assert_int_equal(allowed_at("GET", "/search/a"), now);
	rules[1].narrow.path[1] = 'S';
	publish_rules();
	weir_gate_refresh(&segment, now);
	assert_int_equal(allowed_at("GET", "/search/a"), now);
	assert_int_equal(allowed_at("GET", "/search/a"), now);
}

static void a_long_host_keeps_its_entry_to_itself(void **state)
{
	char host[2][WEIR_KEY_MAX], path[WEIR_PATH_GLOB_MAX];
	struct weir_request r;
	uint64_t wake;

	(void)state;
	memset(path, 'p', sizeof path);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	for (int i = 0; i < 2; i++) {
		memset(host[i], 'h', 253);
		host[i][0] = i == 0 ? 'a' : 'b';
		strcpy(host[i] + 253, ":443");
	}
	strcpy(rules[0].match, "*");
	rules[0].flags |= WEIR_RULE_GLOB | WEIR_RULE_ANY_PORT;
	memcpy(rules[1].narrow.path, path, sizeof path);
	limit_rate(&rules[1], 1);
	publish_rules();
	for (int i = 0; i < 4; i++) {
		struct weir_wish wish = {.host_port = host[i % 2], .asks = {path, sizeof path - 1, 1}};

		assert_int_equal(weir_gate_begin(&gate, &r, &wish, now, &wake), i < 2 ? WEIR_GO : WEIR_WAIT);
	}
}

static void a_full_table_holds_narrowed_rules_and_clients_all_the_same(void **state)
{
	struct weir_request r[3];
	char key[40];

	(void)state;
	limit_rate(&rules[1], 1);
	rules[0].narrow.client_concurrency = 2;
	publish_rules();
	/* Every slot has a host that remembers something. */
	for (int i = 0; i < 4000; i++) {
		uint32_t slot;

		snprintf(key, sizeof key, "full%d.example.org:443", i);
		slot = weir_entry_acquire(&segment, key, now);
		if (slot < segment.entries)
			weir_hold_raise(&segment.entry[slot].hold, now + 1000 * SECOND, 3600 * SECOND, now);
	}
	assert_int_equal(ask(&r[0], "GET", "/search/a"), WEIR_GO);
	assert_int_equal(ask(&r[1], "GET", "/search/a"), WEIR_WAIT);
	assert_int_equal(ask(&r[1], "GET", "/x"), WEIR_GO);
	assert_int_equal(ask(&r[2], "GET", "/x"), WEIR_WAIT);
	assert_entry(NARROWED, false);
	weir_gate_cancel(&gate, &r[2], now);
	end(&r[0], WEIR_SUCCEEDED, 0);
	assert_int_equal(ask(&r[2], "GET", "/x"), WEIR_GO);
}

/* Hostile rules: any first and count. */
static void a_damaged_policy_is_no_way_out_of_it(void **state)
{
	(void)state;
	for (uint32_t first = 0; first < 40; first++)
		for (uint32_t count = 0; count < 20; count++) {
			rules[0].narrow.first = first < 20 ? first : UINT32_MAX - first + 20;
			rules[0].narrow.count = count;
			weir_policy_publish(&segment, rules, 4, NULL, NULL, 0, false, 1);
			(void)allowed_at("GET", "/search/a");
			weir_gate_refresh(&segment, now);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, open_rules, close_gate)
		T(a_narrowed_rule_limits_its_requests_and_no_others),
		T(results_are_counted_at_the_narrowed_rule_and_at_the_host),
		T(a_client_s_share_goes_with_its_request_into_the_overflow),
		T(a_request_takes_its_unit_of_the_host_as_well),
		T(a_rule_that_stands_apart_takes_none_of_the_host),
		T(the_first_narrowed_rule_that_matches_counts_alone),
		T(permits_of_both_are_held_and_given_back),
		T(permits_of_the_dead_come_back_to_every_scope),
		T(an_exempt_path_passes_untouched),
		T(what_a_request_asks_for_is_kept_nowhere),
		T(a_connection_s_unit_is_not_taken_twice),
		T(a_client_has_its_share_and_no_more),
		T(who_waits_for_its_own_share_takes_nothing_of_the_host),
		T(two_limits_let_through_what_the_lower_one_does),
		T(whom_a_hold_has_kept_does_not_go_on_taking_units_of_the_host),
		T(who_is_kept_by_one_limit_has_not_left_the_other),
		T(a_policy_without_the_rule_leaves_no_limit_behind),
		T(a_long_host_keeps_its_entry_to_itself),
		T(a_full_table_holds_narrowed_rules_and_clients_all_the_same),
		T(a_damaged_policy_is_no_way_out_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
