/* SPDX-License-Identifier: MIT */
/* When a breaker opens: windows by calls and slow calls, as a configuration says them. */
#include "policy_files.h"

static void a_window_is_so_long_or_so_many_calls(void **state)
{
	struct bench *b = *state;
	const struct weir_rule *r = rule_of(b, "hosts = ( { match = \"a\"; breaker = { window = \"100 calls\"; }; } );", 0);

	assert_int_equal(r->breaker.window_calls, 100);
	assert_int_equal(r->breaker.window_ns, 10 * S); /* of what is shown */
	assert_string_equal(origin(b, "hosts[a].breaker.window")->value, "\"100 calls\"");
	r = rule_of(b,
		    "defaults = { breaker = { window = \"50 calls\"; }; };\n"
		    "hosts = ( { match = \"a\"; breaker = { window = \"1m\"; }; }, { match = \"b\"; } );",
		    0);
	assert_int_equal(r->breaker.window_calls, 0);
	assert_int_equal(r->breaker.window_ns, 60 * S);
	assert_string_equal(origin(b, "hosts[a].breaker.window")->value, "\"1m\"");
	assert_int_equal(b->policy.rules[1].breaker.window_calls, 50);
}

static void what_is_no_window_is_said(void **state)
{
#define WINDOW "t:1: defaults.breaker.window: expected a duration such as \"10s\", or \"100 calls\", at most 500 of them, got "
	static const struct {
		const char *value, *finding;
	} row[] = {
		{"\"501 calls\"", WINDOW "\"501 calls\" (the number is too large)"},
		{"\"0 calls\"", WINDOW "\"0 calls\" (the number is too small)"},
		{"\" calls\"", WINDOW "\" calls\" (it is empty)"},
		{"\"100 call\"", WINDOW "\"100 call\""},
		{"\"100calls\"", WINDOW "\"100calls\""},
		{"\"100 calls a day\"", WINDOW "\"100 calls a day\""},
		{"\"1000000000000 calls\"", WINDOW "\"1000000000000 calls\""},
		{"\"-5 calls\"", WINDOW "\"-5 calls\" (it is negative)"},
		{"100", WINDOW "100"},
		{"\"1ms\"", "t:1: defaults.breaker.window: expected a duration from \"100ms\" to \"1d\", got \"1ms\""},
	};
	struct bench *b = *state;

	for (size_t i = 0; i < COUNT(row); i++) {
		char text[200];

		snprintf(text, sizeof text, "defaults = { breaker = { window = %s; }; };", row[i].value);
		assert_false(compile_text(b, text));
		assert_int_equal(b->findings.count, 1);
		if (strcmp(finding(b, 0), row[i].finding) != 0)
			fail_msg("%s: %s", row[i].value, finding(b, 0));
	}
}

static void a_window_of_few_calls_brings_min_calls_down_unless_it_is_said(void **state)
{
	struct bench *b = *state;

	assert_int_equal(
		rule_of(b, "hosts = ( { match = \"a\"; breaker = { window = \"10 calls\"; }; } );", 0)->breaker.min_calls, 10);
	assert_int_equal(rule_of(b, "defaults = { breaker = { window = \"10 calls\"; min_calls = 4; }; };", 0)->breaker.min_calls,
			 4);
	assert_false(compile_text(b, "defaults = { breaker = { window = \"10 calls\";\n min_calls = 11; }; };"));
	assert_string_equal(finding(b, 0),
			    "t:2: defaults.breaker.min_calls: expected at most 10, the calls of breaker.window, got 11");
}

static void who_says_what_is_slow_means_that_it_matters(void **state)
{
	struct bench *b = *state;
	const struct weir_rule *r =
		rule_of(b, "hosts = ( { match = \"a\"; breaker = { slow_call = \"3s\"; }; }, { match = \"b\"; } );", 0);

	assert_int_equal(r->breaker.slow_call_ns, 3 * S);
	assert_int_equal(r->breaker.slow_rate_permille, 500);
	assert_string_equal(origin(b, "hosts[a].breaker.slow_call_rate")->value, "0.5");
	assert_int_equal(b->policy.rules[1].breaker.slow_rate_permille, 0);
	/* A share that somebody has said stays, 0 among them, wherever it was said. */
	r = rule_of(b, "defaults = { breaker = { slow_call = \"3s\"; slow_call_rate = 0; }; };", 0);
	assert_int_equal(r->breaker.slow_rate_permille, 0);
	r = rule_of(b,
		    "defaults = { breaker = { slow_call_rate = 0.8; }; };\n"
		    "hosts = ( { match = \"a\"; breaker = { slow_call = \"2s\"; }; } );",
		    0);
	assert_int_equal(r->breaker.slow_rate_permille, 800);
	assert_int_equal(r->breaker.slow_call_ns, 2 * S);
	/* A share without a time: the usual one. */
	assert_int_equal(b->policy.rules[1].breaker.slow_call_ns, 5 * S);
	assert_int_equal(b->policy.rules[1].breaker.slow_rate_permille, 800);
	r = rule_of(b, "defaults = { breaker = { slow_call = \"0s\"; }; };", 0);
	assert_int_equal(r->breaker.slow_rate_permille, 0);
	/* A rule for whose hosts nothing is slow, whatever the defaults say. */
	r = rule_of(b,
		    "defaults = { breaker = { slow_call = \"3s\"; }; };\n"
		    "hosts = ( { match = \"a\"; breaker = { slow_call = \"0s\"; }; } );",
		    0);
	assert_int_equal(r->breaker.slow_rate_permille, 0);
	assert_int_equal(b->policy.rules[1].breaker.slow_rate_permille, 500);
}

static void thresholds_say_what_is_given_up(void **state)
{
	struct bench *b = *state;
	const struct weir_rule *r =
		rule_of(b,
			"defaults = { degrade = { step = \"10s\"; recovery = \"1m\"; }; };\n"
			"hosts = ( { match = \"a\"; degrade = { queue = 100; latency = \"2s\"; error_rate = 0.1; "
			"quota_left = 0.2; }; }, { match = \"b\"; } );",
			0);

	assert_int_equal(r->degrade.watch, WEIR_DEGRADE_WATCHES);
	assert_int_equal(r->degrade.queue, 100);
	assert_int_equal(r->degrade.latency_ns, 2 * S);
	assert_int_equal(r->degrade.error_permille, 100);
	assert_int_equal(r->degrade.quota_permille, 200);
	assert_int_equal(r->degrade.step_ns, 10 * S);
	assert_int_equal(r->degrade.recovery_ns, 60 * S);
	assert_string_equal(origin(b, "hosts[a].degrade.latency")->value, "\"2s\"");
	assert_int_equal(b->policy.rules[1].degrade.watch, 0);
	/* A rule gives up nothing of what the defaults do, and a narrowed one beside its host never does. */
	r = rule_of(b,
		    "defaults = { degrade = { queue = 10; }; };\n"
		    "hosts = ( { match = \"a\"; degrade = false; }, { match = \"a\"; path = \"/x\"; rate = \"1/s\"; } );",
		    0);
	assert_int_equal(r->degrade.watch, 0);
	for (size_t i = 0; i < b->policy.rule_count; i++)
		if ((b->policy.rules[i].narrow.flags & WEIR_NARROW_IS) != 0)
			assert_int_equal(b->policy.rules[i].degrade.watch, 0);
	assert_int_equal(b->policy.rules[b->policy.rule_count - 1].degrade.watch, WEIR_DEGRADE_WATCHES);
}

static void a_breaker_may_shed(void **state)
{
	struct bench *b = *state;
	const struct weir_rule *r =
		rule_of(b, "hosts = ( { match = \"a\"; breaker = { mode = \"shed\"; }; }, { match = \"b\"; } );", 0);

	assert_int_equal(r->breaker.mode, WEIR_BREAKER_SHEDS);
	assert_int_equal(r->degrade.watch, WEIR_DEGRADE_SHEDS);
	assert_string_equal(origin(b, "hosts[a].breaker.mode")->value, "\"shed\"");
	assert_string_equal(origin(b, "defaults.breaker.mode")->value, "\"open\"");
	r = rule_of(b,
		    "defaults = { breaker = { mode = \"shed\"; }; };\n"
		    "hosts = ( { match = \"a\"; breaker = { mode = \"open\"; window = \"100 calls\"; }; } );",
		    0);
	assert_int_equal(r->degrade.watch, 0);
	/* Who wants no breaker wants nothing shed. */
	r = rule_of(b, "defaults = { breaker = { mode = \"shed\"; }; };\nhosts = ( { match = \"a\"; breaker = false; } );", 0);
	assert_int_equal(r->breaker.mode, WEIR_BREAKER_OPENS);
	assert_int_equal(r->degrade.watch, 0);
	assert_int_equal(b->policy.rules[1].degrade.watch, WEIR_DEGRADE_SHEDS);
}

static void what_makes_no_sense_of_these_is_said(void **state)
{
	static const struct {
		const char *text, *finding;
	} row[] = {
		{"defaults = { degrade = true; };",
		 "t:1: defaults.degrade: expected false or a group such as { queue = 100; latency = \"2s\"; }, got true"},
		{"defaults = { degrade = { queues = 4; }; };",
		 "t:1: defaults.degrade.queues: unknown key; did you mean \"queue\"?"},
		{"defaults = { degrade = { error_rate = 1.5; }; };",
		 "t:1: defaults.degrade.error_rate: expected a number from 0 to 1, got 1.5 (the number is too large)"},
		{"hosts = ( { match = \"a\";\n degrade = { step = \"9s\"; }; } );",
		 "t:2: hosts[0].degrade.step: needs a threshold: degrade.queue, degrade.latency, degrade.error_rate or "
		 "degrade.quota_left"},
		{"hosts = ( { match = \"a\"; breaker = { mode = \"half\"; }; } );",
		 "t:1: hosts[0].breaker.mode: expected \"open\" or \"shed\", got \"half\""},
		{"hosts = ( { match = \"a\"; breaker = { window = \"9 calls\";\n mode = \"shed\"; }; } );",
		 "t:2: hosts[0].breaker.mode: \"shed\" counts over time: breaker.window must be a duration"},
		{"defaults = { breaker = { mode = \"shed\"; }; };\nhosts = ( { match = \"a\"; breaker = { window = \"9 calls\"; "
		 "}; } );",
		 "t:2: hosts[0].breaker.window: expected a duration, as breaker.mode is \"shed\", which counts over time"},
	};
	struct bench *b = *state;

	for (size_t i = 0; i < COUNT(row); i++) {
		assert_false(compile_text(b, row[i].text));
		assert_int_equal(b->findings.count, 1);
		if (strcmp(finding(b, 0), row[i].finding) != 0)
			fail_msg("%s: %s", row[i].text, finding(b, 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_window_is_so_long_or_so_many_calls, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_window_is_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_window_of_few_calls_brings_min_calls_down_unless_it_is_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_says_what_is_slow_means_that_it_matters, set_up, tear_down),
		cmocka_unit_test_setup_teardown(thresholds_say_what_is_given_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_breaker_may_shed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_makes_no_sense_of_these_is_said, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
