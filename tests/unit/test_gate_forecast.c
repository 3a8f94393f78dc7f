/* SPDX-License-Identifier: MIT */
/* What is forecast for a request that asks for something is what happens to it when it comes. */
#include "gate_bench.h"

/* The host's rule, three narrowed from it, the defaults. */
static struct weir_rule rules[5];

static void publish_rules(void)
{
	weir_policy_publish(&segment, rules, 5, with_total ? &total : NULL, NULL, 0, false, 1);
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

	for (int i = 0; i < 5; i++) {
		weir_rule_defaults(&rules[i]);
		rules[i].flags = 0;
		rules[i].concurrency.mode = WEIR_CONCURRENCY_OFF;
		strcpy(rules[i].match, i < 4 ? HOST : "*");
		rules[i].narrow.flags = i >= 1 && i <= 3 ? WEIR_NARROW_IS : 0;
	}
	rules[0].narrow.first = 1;
	rules[0].narrow.count = 3;
	strcpy(rules[1].narrow.path, "/search/*");
	strcpy(rules[2].narrow.path, "/graphql");
	rules[2].narrow.methods = weir_method_bit("POST", 4);
	rules[2].narrow.flags |= WEIR_NARROW_APART;
	strcpy(rules[3].narrow.path, "/health");
	rules[3].narrow.flags |= WEIR_NARROW_APART;
	rules[3].flags |= WEIR_RULE_EXEMPT;
	limit_rate(&rules[1], 1);
	limit_rate(&rules[2], 2);
	strcpy(gate.client, "nightly");
	publish_rules();
	return failed;
}

static struct weir_asks asks(const char *method, const char *path)
{
	return (struct weir_asks){path, path ? strlen(path) : 0, weir_method_bit(method, strlen(method))};
}

static struct weir_forecast forecast(const char *method, const char *path)
{
	struct weir_asks a = asks(method, path);
	struct weir_forecast f;

	weir_gate_forecast_asked(&gate, HOST, &a, now, &f);
	return f;
}

static enum weir_verdict ask(struct weir_request *r, const char *method, const char *path)
{
	struct weir_wish wish = {.host_port = HOST, .asks = asks(method, path)};
	uint64_t wake;

	return weir_gate_begin(&gate, r, &wish, now, &wake);
}

static void assert_as_forecast(const char *method, const char *path)
{
	struct weir_forecast f = forecast(method, path);
	struct weir_request r;
	enum weir_verdict verdict = ask(&r, method, path);

	assert_int_equal(f.verdict, verdict);
	if (verdict != WEIR_GO) {
		assert_int_equal(f.cause, r.cause);
		/* It is told of one limit after the other, and the forecast of the last. */
		assert_true(r.until_ns < f.until_ns + MS);
	}
}

static void each_path_and_method_gets_what_was_forecast(void **state)
{
	static const char *const method[] = {"GET", "POST", "FOO"};
	static const char *const path[] = {"/search/a", "/graphql", "/health", "/", NULL};

	(void)state;
	limit_rate(&rules[0], 3);
	rules[0].narrow.client_rate = 5 * WEIR_RATE_ONE;
	with_total = true;
	weir_rule_defaults(&total);
	limit_rate(&total, 4);
	publish_rules();
	for (unsigned i = 0; i < 120; i++, now += 70 * MS)
		assert_as_forecast(method[i % 3], path[i % 5]);
}

static void a_forecast_names_the_rule_and_whose_limit_it_is(void **state)
{
	struct weir_request r;
	struct weir_forecast f;

	(void)state;
	assert_int_equal(ask(&r, "GET", "/search/a"), WEIR_GO);
	f = forecast("GET", "/search/b");
	assert_int_equal(f.narrowed, 1);
	assert_int_equal(f.rule, 0);
	assert_int_equal(f.verdict, WEIR_WAIT);
	assert_int_equal(f.at, WEIR_AT_NARROWED);
	assert_int_equal(f.until_ns / MS, (now + SECOND) / MS);
	assert_int_equal(ask(&r, "POST", "/graphql"), WEIR_GO);
	f = forecast("POST", "/graphql");
	assert_int_equal(f.narrowed, 2);
	assert_int_equal(f.rule, 2);
	assert_string_equal(f.key, HOST "#POST/graphql");
	assert_int_equal(f.at, WEIR_AT_HOST);
	assert_int_equal(f.until_ns / MS, (now + SECOND / 2) / MS);
	f = forecast("GET", "/graphql");
	assert_int_equal(f.narrowed, WEIR_NONE);
	assert_int_equal(f.verdict, WEIR_GO);
	f = forecast("GET", "/health");
	assert_int_equal(f.narrowed, 3);
	assert_true(f.exempt);
	assert_int_equal(f.verdict, WEIR_GO);
}

static void a_client_s_share_is_its_own(void **state)
{
	struct weir_request r;
	struct weir_forecast f;

	(void)state;
	rules[0].narrow.client_rate = WEIR_RATE_ONE;
	publish_rules();
	assert_int_equal(ask(&r, "GET", "/"), WEIR_GO);
	f = forecast("GET", "/");
	assert_int_equal(f.at, WEIR_AT_CLIENT);
	assert_int_equal(f.until_ns / MS, (now + SECOND) / MS);
	strcpy(gate.client, "other");
	assert_int_equal(forecast("GET", "/").verdict, WEIR_GO);
	gate.client[0] = '\0';
	assert_int_equal(forecast("GET", "/").verdict, WEIR_GO);
}

/* The shortest of what the rules say that the request meets. */
static void a_wait_that_no_rule_allows_is_forecast_as_a_refusal(void **state)
{
	struct weir_request r;
	struct weir_forecast f;

	(void)state;
	rules[1].wait_max_ns = SECOND / 2;
	publish_rules();
	assert_int_equal(ask(&r, "GET", "/search/a"), WEIR_GO);
	f = forecast("GET", "/search/a");
	assert_int_equal(f.verdict, WEIR_REFUSE);
	assert_true(f.timed_out);
	assert_int_equal(f.wait_max_ns, SECOND / 2);
	assert_as_forecast("GET", "/search/a");
	with_total = true;
	weir_rule_defaults(&total);
	limit_rate(&total, 1);
	total.wait_max_ns = SECOND / 4;
	publish_rules();
	now += 5 * SECOND;
	assert_int_equal(ask(&r, "GET", "/"), WEIR_GO);
	f = forecast("GET", "/");
	assert_int_equal(f.at, WEIR_AT_TOTAL);
	assert_int_equal(f.wait_max_ns, SECOND / 4);
	assert_as_forecast("GET", "/");
}

static void a_full_queue_is_forecast(void **state)
{
	struct weir_request first, second, third;
	struct weir_forecast f;

	(void)state;
	limit_rate(&rules[0], 1);
	rules[0].queue.max = 2;
	publish_rules();
	assert_int_equal(ask(&first, "GET", "/"), WEIR_GO);
	assert_int_equal(ask(&second, "GET", "/"), WEIR_WAIT);
	assert_int_equal(forecast("GET", "/").verdict, WEIR_WAIT);
	assert_int_equal(ask(&third, "GET", "/"), WEIR_WAIT);
	f = forecast("GET", "/");
	assert_int_equal(f.verdict, WEIR_REFUSE);
	assert_int_equal(f.cause, WEIR_CAUSE_QUEUE_FULL);
	assert_false(f.timed_out);
	/* Who comes with a higher priority takes a lower one's place. */
	gate.priority = WEIR_CLASS_HIGH + 1;
	assert_int_equal(forecast("GET", "/").verdict, WEIR_WAIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_path_and_method_gets_what_was_forecast, open_rules, close_gate),
		cmocka_unit_test_setup_teardown(a_forecast_names_the_rule_and_whose_limit_it_is, open_rules, close_gate),
		cmocka_unit_test_setup_teardown(a_client_s_share_is_its_own, open_rules, close_gate),
		cmocka_unit_test_setup_teardown(a_wait_that_no_rule_allows_is_forecast_as_a_refusal, open_rules, close_gate),
		cmocka_unit_test_setup_teardown(a_full_queue_is_forecast, open_rules, close_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
