/* SPDX-License-Identifier: MIT */
/* What the keys of a configuration become in a compiled rule. */
#include "policy_files.h"

static void without_a_file_the_defaults_are_the_built_in_ones(void **state)
{
	struct bench *b = *state;
	struct weir_rule built_in;

	weir_rule_defaults(&built_in);
	assert_true(compile(b));
	assert_int_equal(b->policy.rule_count, 1);
	assert_memory_equal(&b->policy.rules[0], &built_in, sizeof built_in);
	assert_false(b->policy.total_in_use);
	assert_int_equal(b->policy.idle_exit_ns, WEIR_IDLE_EXIT_DEFAULT_NS);
	assert_int_equal(b->policy.entries, WEIR_ENTRIES_DEFAULT);
	for (size_t i = 0; i < b->policy.origin_count; i++)
		assert_string_equal(b->policy.origins[i].source, "built in");
}

static void a_rule_may_list_no_status_at_all(void **state)
{
	struct bench *b = *state;
	const struct weir_rule *r = rule_of(b, "defaults = { throttle_status = [ ]; };", 0);

	assert_int_equal(r->throttle_codes, 0);
	for (size_t i = 0; i < b->policy.origin_count; i++)
		if (strcmp(b->policy.origins[i].key, "defaults.throttle_status") == 0)
			assert_string_equal(b->policy.origins[i].value, "[ ]");
}

static void every_key_of_a_rule_reaches_its_place(void **state)
{
	const struct weir_rule *r =
		rule_of(*state,
			"hosts = ( { match = \"API.example.org:0443\"; group = \"Ex-1\"; exempt = true;\n"
			"throttle_status = [ 403, 429, 503 ];\n"
			"rate = { strategy = \"conservative\"; min = \"1/m\"; max = \"5000/h\"; initial = \"0.5/s\";\n"
			"burst = 20; backoff = 0.25; recovery = 1.05; success_threshold = 7; error_threshold = 0.2;\n"
			"interval = \"2s\"; };\n"
			"rates = ( \"10/s\", { rate = \"100/6h\"; burst = 3; } );\n"
			"concurrency = { mode = \"fixed\"; max = 20; min = 2; initial = 8; };\n"
			"breaker = { failures = 3; failure_rate = 0.25; slow_call_rate = .8; slow_call = \"3s\";\n"
			"window = \"1m\"; min_calls = 50; success_threshold = 2; open_time = \"30s\";\n"
			"open_time_max = \"10m\"; open_time_factor = 1.5; jitter = 0.05; probe_timeout = \"20s\";\n"
			"ramp = \"0\"; grace = \"45s\"; }; wait = { max = \"10s\"; }; hold = { max = \"6h\"; };\n"
			"priority = \"low\"; queue = { max = 500; }; share = { normal = 0.3; low = .1; }; } );\n",
			0);

	assert_string_equal(r->match, "api.example.org:443");
	assert_int_equal(r->queue.priority, WEIR_CLASS_LOW + 1);
	assert_int_equal(r->queue.max, 500);
	assert_int_equal(r->queue.shares.normal, 300);
	assert_int_equal(r->queue.shares.low, 100);
	assert_string_equal(r->group, "ex-1");
	assert_int_equal(r->flags, WEIR_RULE_LIMITS_RATE | WEIR_RULE_EXEMPT);
	assert_int_equal(r->throttle_codes, 3);
	assert_int_equal(r->throttle_code[0], 403);
	assert_int_equal(r->throttle_code[2], 503);
	assert_int_equal(r->rate.strategy, WEIR_CONSERVATIVE);
	assert_int_equal(r->rate.min, S / 60);
	assert_int_equal(r->rate.max, 5000 * S / 3600);
	assert_int_equal(r->rate.initial, S / 2);
	assert_int_equal(r->rate.burst, 20);
	assert_int_equal(r->rate.backoff_permille, 250);
	assert_int_equal(r->rate.recovery_permille, 1050);
	assert_int_equal(r->rate.success_threshold, 7);
	assert_int_equal(r->rate.error_threshold_permille, 200);
	assert_int_equal(r->rate.interval_ns, 2 * S);
	assert_int_equal(r->fixed[0].rate, 10 * S);
	assert_int_equal(r->fixed[0].burst, 1);
	assert_int_equal(r->fixed[1].rate, 100 * S / 21600);
	assert_int_equal(r->fixed[1].burst, 3);
	assert_int_equal(r->fixed[2].rate, 0);
	assert_int_equal(r->concurrency.mode, WEIR_CONCURRENCY_FIXED);
	assert_int_equal(r->concurrency.max, 20);
	assert_int_equal(r->concurrency.min, 2);
	assert_int_equal(r->concurrency.initial, 8);
	assert_int_equal(r->breaker.failures, 3);
	assert_int_equal(r->breaker.failure_rate_permille, 250);
	assert_int_equal(r->breaker.slow_rate_permille, 800);
	assert_int_equal(r->breaker.slow_call_ns, 3 * S);
	assert_int_equal(r->breaker.window_ns, 60 * S);
	assert_int_equal(r->breaker.min_calls, 50);
	assert_int_equal(r->breaker.success_threshold, 2);
	assert_int_equal(r->breaker.open_time_ns, 30 * S);
	assert_int_equal(r->breaker.open_time_max_ns, 600 * S);
	assert_int_equal(r->breaker.open_time_factor_permille, 1500);
	assert_int_equal(r->breaker.jitter_permille, 50);
	assert_int_equal(r->breaker.probe_lease_ns, 20 * S);
	assert_int_equal(r->breaker.ramp_ns, 0);
	assert_int_equal(r->grace_ns, 45 * S);
	assert_int_equal(r->wait_max_ns, 10 * S);
	assert_int_equal(r->hold_max_ns, 6 * 3600 * S);
}

static void a_rule_inherits_what_it_does_not_say(void **state)
{
	struct bench *b = *state;
	const struct weir_rule *r =
		rule_of(b,
			"hosts = ( { match = \"a\"; rate = { max = \"7/s\"; }; } );\n"
			"defaults = { rate = { burst = 9; }; breaker = { failures = 2; }; exempt = true; };\n",
			0);

	assert_int_equal(r->rate.burst, 9);
	assert_int_equal(r->rate.max, 7 * S);
	assert_int_equal(r->rate.strategy, WEIR_ADAPTIVE);
	assert_int_equal(r->breaker.failures, 2);
	assert_int_equal(r->flags, WEIR_RULE_LIMITS_RATE | WEIR_RULE_EXEMPT | WEIR_RULE_ANY_PORT);
	assert_string_equal(b->policy.rules[1].match, "*");
	assert_int_equal(b->policy.rules[1].rate.max, 0);
	assert_int_equal(b->policy.rules[1].rate.burst, 9);
}

static void a_rate_in_short_is_a_fixed_one_without_a_burst(void **state)
{
	struct bench *b = *state;
	const struct weir_rule *r =
		rule_of(b, "defaults = { rate = { burst = 9; }; }; hosts = ( { match = \"a\"; rate = \"5000/h\"; } );", 0);

	assert_int_equal(r->rate.strategy, WEIR_FIXED);
	assert_int_equal(r->rate.max, 5000 * S / 3600);
	assert_int_equal(r->rate.burst, 1);
	r = rule_of(b, "hosts = ( { match = \"a\"; rate = { burst = 4; max = \"2/s\"; strategy = \"fixed\"; }; } );", 0);
	assert_int_equal(r->rate.burst, 4);
	r = rule_of(b, "hosts = ( { match = \"a\"; rate = { max = \"2/s\"; strategy = \"fixed\"; }; } );", 0);
	assert_int_equal(r->rate.burst, 1);
	assert_int_equal(r->rate.max, 2 * S);
}

static void a_rate_can_be_switched_off_and_on(void **state)
{
	struct bench *b = *state;
	const struct weir_rule *r =
		rule_of(b, "defaults = { rates = ( \"5/s\", \"9/m\" ); }; hosts = ( { match = \"a\"; rate = false; } );", 0);

	assert_false(r->flags & WEIR_RULE_LIMITS_RATE);
	assert_int_equal(r->fixed[0].rate, 0);
	r = rule_of(b, "hosts = ( { match = \"a\"; rate = \"none\"; rates = (); } );", 0);
	assert_false(r->flags & WEIR_RULE_LIMITS_RATE);
	assert_string_equal(origin(b, "hosts[a].rate")->value, "false");
	assert_null(origin(b, "hosts[a].rate.max"));
	r = rule_of(b, "defaults = { rate = false; }; hosts = ( { match = \"a\"; rate = { max = \"3/s\"; }; } );", 0);
	assert_true(r->flags & WEIR_RULE_LIMITS_RATE);
	assert_false(b->policy.rules[1].flags & WEIR_RULE_LIMITS_RATE);
	r = rule_of(b, "defaults = { rate = false; }; hosts = ( { match = \"a\"; rate = { }; } );", 0);
	assert_false(r->flags & WEIR_RULE_LIMITS_RATE);
}

static void the_first_of_several_rates_is_the_controlled_one(void **state)
{
	struct bench *b = *state;
	const struct weir_rule *r = rule_of(
		b, "hosts = ( { match = \"a\"; rates = ( \"10/s\", { rate = \"5000/h\"; burst = 20; }, \"1/m\", \"2/m\" ); } );",
		0);

	assert_int_equal(r->rate.strategy, WEIR_FIXED);
	assert_int_equal(r->rate.max, 10 * S);
	assert_int_equal(r->rate.burst, 1);
	assert_int_equal(r->fixed[0].rate, 5000 * S / 3600);
	assert_int_equal(r->fixed[0].burst, 20);
	assert_int_equal(r->fixed[2].rate, 2 * S / 60);
	assert_string_equal(origin(b, "hosts[a].rates")->value, "( { rate = \"5000/h\"; burst = 20; }, \"1/m\", \"2/m\" )");
	/* `rate` beside it, before or behind, keeps the controlled bucket. */
	r = rule_of(b, "hosts = ( { match = \"a\"; rates = [ \"10/s\" ]; rate = { max = \"50/s\"; }; } );", 0);
	assert_int_equal(r->rate.strategy, WEIR_ADAPTIVE);
	assert_int_equal(r->rate.max, 50 * S);
	assert_int_equal(r->fixed[0].rate, 10 * S);
	r = rule_of(b, "defaults = { rates = (\"1/s\", \"9/m\"); }; hosts = ( { match = \"a\"; rates = ( ); } );", 0);
	assert_int_equal(r->fixed[0].rate, 0);
	assert_int_equal(r->rate.max, S);
}

static void concurrency_and_breaker_have_short_forms(void **state)
{
	struct bench *b = *state;
	const struct weir_rule *r = rule_of(b, "hosts = ( { match = \"a\"; concurrency = 4; breaker = false; } );", 0);

	assert_int_equal(r->concurrency.mode, WEIR_CONCURRENCY_FIXED);
	assert_int_equal(r->concurrency.max, 4);
	assert_int_equal(r->breaker.failures, 0);
	assert_int_equal(r->breaker.failure_rate_permille, 0);
	assert_int_equal(r->breaker.slow_rate_permille, 0);
	r = rule_of(b, "hosts = ( { match = \"a\"; concurrency = false; } );", 0);
	assert_int_equal(r->concurrency.mode, WEIR_CONCURRENCY_OFF);
}

static void what_a_rule_says_brings_inherited_bounds_in_line(void **state)
{
	struct bench *b = *state;
	const struct weir_rule *r =
		rule_of(b,
			"defaults = { concurrency = { initial = 8; min = 2; }; rate = { min = \"1/s\"; }; };\n"
			"hosts = ( { match = \"a\"; rate = { max = \"100/6h\"; }; concurrency = { max = 1; }; } );",
			0);

	assert_int_equal(r->rate.min, r->rate.max);
	assert_int_equal(r->rate.initial, r->rate.max);
	assert_int_equal(r->concurrency.min, 1);
	assert_int_equal(r->concurrency.initial, 1);
	assert_string_equal(origin(b, "hosts[a].concurrency.min")->value, "1");
	assert_non_null(strstr(origin(b, "hosts[a].concurrency.min")->source, "/t:2"));
	r = rule_of(b, "hosts = ( { match = \"a\"; rate = { min = \"9/s\"; }; } );", 0);
	assert_int_equal(r->rate.initial, 9 * S);
}

static void matches_are_brought_into_the_form_of_keys(void **state)
{
	static const struct {
		const char *text, *match;
		uint32_t flags;
	} row[] = {
		{"API.GitHub.com", "api.github.com", WEIR_RULE_ANY_PORT},
		{"a_b-c.d:65535", "a_b-c.d:65535", 0},
		{"localhost:*", "localhost", WEIR_RULE_ANY_PORT},
		{"*.example.org", "*.example.org", WEIR_RULE_GLOB | WEIR_RULE_ANY_PORT},
		{"api-?.example.org:443", "api-?.example.org:443", WEIR_RULE_GLOB},
		{"*", "*", WEIR_RULE_GLOB | WEIR_RULE_ANY_PORT},
		{"*:443", "*:443", WEIR_RULE_GLOB},
		{"[::1]:8080", "::1:8080", 0},
		{"[0:0:0::1]", "::1", WEIR_RULE_ANY_PORT},
		{"[2001:DB8::1]", "2001:db8::1", WEIR_RULE_ANY_PORT},
		{"[2001:db8:*]:443", "2001:db8:*:443", WEIR_RULE_GLOB},
		{"[::ffff:127.0.0.1]:65535", "::ffff:127.0.0.1:65535", 0},
		{"127.0.0.1:80", "127.0.0.1:80", 0},
	};
	struct bench *b = *state;

	for (size_t i = 0; i < COUNT(row); i++) {
		char text[200];

		snprintf(text, sizeof text, "hosts = ( { match = \"%s\"; } );", row[i].text);
		const struct weir_rule *r = rule_of(b, text, 0);

		assert_string_equal(r->match, row[i].match);
		assert_int_equal(r->flags, row[i].flags | WEIR_RULE_LIMITS_RATE);
	}
}

static void total_is_in_use_once_it_limits_anything(void **state)
{
	struct bench *b = *state;

	rule_of(b, "total = { wait = { max = \"5s\"; }; };", 0);
	assert_false(b->policy.total_in_use);
	assert_int_equal(b->policy.total.wait_max_ns, 5 * S);
	rule_of(b, "total = { rate = { max = \"20/s\"; burst = 3; }; };", 0);
	assert_true(b->policy.total_in_use);
	assert_int_equal(b->policy.total.rate.strategy, WEIR_FIXED);
	assert_int_equal(b->policy.total.rate.max, 20 * S);
	assert_int_equal(b->policy.total.rate.burst, 3);
	assert_int_equal(b->policy.total.concurrency.mode, WEIR_CONCURRENCY_OFF);
	assert_int_equal(b->policy.total.breaker.failures, 0);
	rule_of(b, "total = { concurrency = 50; rates = ( \"20/s\", \"9/m\" ); };", 0);
	assert_true(b->policy.total_in_use);
	assert_int_equal(b->policy.total.concurrency.max, 50);
	assert_int_equal(b->policy.total.fixed[0].rate, 9 * S / 60);
	rule_of(b, "total = { concurrency = 50; rate = false; };", 0);
	assert_true(b->policy.total_in_use);
	assert_false(b->policy.total.flags & WEIR_RULE_LIMITS_RATE);
}

static void agent_and_segment_are_read(void **state)
{
	struct bench *b = *state;

	rule_of(b, "agent = { idle_exit = \"10m\"; }; segment = { hosts = 1025; };", 0);
	assert_int_equal(b->policy.idle_exit_ns, 600 * S);
	assert_int_equal(b->policy.entries, 2048);
	assert_string_equal(origin(b, "segment.hosts")->value, "2048");
	rule_of(b, "segment = { hosts = 16; };", 0);
	assert_int_equal(b->policy.entries, 16);
	rule_of(b, "segment = { hosts = 65536; };", 0);
	assert_int_equal(b->policy.entries, 65536);
}

static void origins_are_exact_in_value_and_place(void **state)
{
	static const struct {
		const char *key, *value, *place;
	} row[] = {
		{"defaults.rate.max", "\"0.123456789/s\"", "/t:1"},
		{"defaults.rate.initial", "\"0.123456789/s\"", "/t:1"}, /* brought down by max */
		{"defaults.rate.min", "\"none\"", "/t:1"},
		{"defaults.rate.interval", "\"1234567us\"", "/t:3"},
		{"defaults.rate.strategy", "\"aggressive\"", "/t:3"},
		{"defaults.concurrency.mode", "\"off\"", "/t:4"},
		{"defaults.throttle_status", "[ 403, 429 ]", "/t:5"},
		{"defaults.breaker.jitter", "0.105", "/t:6"},
		{"defaults.wait.max", "\"3661s\"", "/t:7"},
		{"defaults.hold.max", "\"2h5m\"", "/t:7"},
		{"defaults.breaker.open_time_factor", "2", NULL},
		{"defaults.exempt", "false", NULL},
		{"hosts[*.a:80].match", "\"*.a:80\"", "/t:8"},
		{"hosts[*.a:80].group", "\"g\"", "/t:9"},
		{"hosts[*.a:80].exempt", "true", "/t:10"},
		{"total.wait.max", "\"9s\"", "/t:11"},
		{"agent.idle_exit", "\"1m30s\"", "/t:12"},
	};
	struct bench *b = *state;

	rule_of(b,
		"defaults = { rate = { max = \"0.123456789/s\"; min = \"none\";\n"
		" /* a\n"
		"#*/ interval = \"1234567us\"; strategy = \"aggressive\"; };\n"
		"concurrency = { mode = \"off\"; };\n"
		"throttle_status = [ 403, 429 ];\n"
		"breaker = { jitter = 0.105; };\n"
		"wait = { max = \"3661s\"; }; hold = { max = \"125m\"; }; };\n"
		"hosts = ( { match = \"*.A:80\"; // b\n"
		" group = \"g\"; # c\n"
		" exempt = true; } );\n"
		"total = { wait = { max = \"9s\"; }; };\n"
		"agent = { idle_exit = \"90s\"; };\n",
		0);
	for (size_t i = 0; i < COUNT(row); i++) {
		const struct weir_origin *o = origin(b, row[i].key);

		assert_non_null(o);
		if (strcmp(o->value, row[i].value) != 0 || !strstr(o->source, row[i].place ? row[i].place : "built in"))
			fail_msg("%s = %s from %s", row[i].key, o->value, o->source);
	}
}

static void retry_is_a_number_a_word_or_a_group(void **state)
{
	struct bench *b = *state;
	const struct weir_rule *r = rule_of(b, "defaults = { retry = 4; };", 0);

	assert_int_equal(r->retry.attempts, 4);
	assert_int_equal(r->retry.methods, WEIR_METHODS_IDEMPOTENT);
	assert_int_equal(rule_of(b, "defaults = { retry = true; };", 0)->retry.attempts, 5);
	r = rule_of(b,
		    "defaults = { retry = { on = [ \"throttled\", \"timeout\" ]; methods = [ \"GET\", \"POST\" ]; "
		    "budget = 0.1; base = \"1s\"; cap = \"5s\"; }; };",
		    0);
	assert_int_equal(r->retry.attempts, 5);
	assert_int_equal(r->retry.on, WEIR_RETRY_THROTTLED | WEIR_RETRY_TIMEOUT);
	assert_int_equal(r->retry.methods, WEIR_METHOD_GET | WEIR_METHOD_POST);
	assert_int_equal(r->retry.budget_permille, 100);
	assert_int_equal(r->retry.base_ns, S);
	assert_int_equal(r->retry.cap_ns, 5 * S);
	/* A rule switches off what the defaults switch on, and keeps the rest of them. */
	r = rule_of(b, "defaults = { retry = { attempts = 5; budget = 0.5; }; }; hosts = ( { match = \"a\"; retry = false; } );",
		    0);
	assert_int_equal(r->retry.attempts, 1);
	assert_int_equal(r->retry.budget_permille, 500);
	assert_int_equal(rule_of(b, "", 0)->retry.attempts, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_a_file_the_defaults_are_the_built_in_ones, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_rule_may_list_no_status_at_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(every_key_of_a_rule_reaches_its_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_rule_inherits_what_it_does_not_say, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_rate_in_short_is_a_fixed_one_without_a_burst, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_rate_can_be_switched_off_and_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_first_of_several_rates_is_the_controlled_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(concurrency_and_breaker_have_short_forms, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_a_rule_says_brings_inherited_bounds_in_line, set_up, tear_down),
		cmocka_unit_test_setup_teardown(matches_are_brought_into_the_form_of_keys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(total_is_in_use_once_it_limits_anything, set_up, tear_down),
		cmocka_unit_test_setup_teardown(agent_and_segment_are_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(origins_are_exact_in_value_and_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(retry_is_a_number_a_word_or_a_group, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
