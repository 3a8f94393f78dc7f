/* SPDX-License-Identifier: MIT */
/* Profiles: all thresholds in one word, under what a rule says itself. */
#include "policy_files.h"
#include "weir/profile.h"

static const struct weir_rule *rule_in(struct bench *b, const char *text)
{
	return rule_of(b, text, 0);
}

static void balanced_is_what_holds_without_a_word(void **state)
{
	struct bench *b = *state;
	struct weir_rule built_in, rule;

	weir_rule_defaults(&built_in);
	rule = built_in;
	weir_rule_profile(&rule, WEIR_PROFILE_BALANCED);
	assert_memory_equal(&rule, &built_in, sizeof rule);
	assert_memory_equal(rule_in(b, "defaults = { profile = \"balanced\"; };"), &built_in, sizeof built_in);
	assert_int_equal(weir_profile_attempts(WEIR_PROFILE_BALANCED), WEIR_RETRY_ATTEMPTS_DEFAULT);
}

/* And back from another one. */
static void the_last_word_holds(void **state)
{
	struct weir_rule built_in, rule;

	(void)state;
	weir_rule_defaults(&built_in);
	for (unsigned p = 0; p < WEIR_PROFILES; p++) {
		rule = built_in;
		weir_rule_profile(&rule, (enum weir_profile)p);
		weir_rule_profile(&rule, WEIR_PROFILE_BALANCED);
		assert_memory_equal(&rule, &built_in, sizeof rule);
	}
}

static void polite_asks_little_and_eager_gives_up_late(void **state)
{
	struct bench *b = *state;
	struct weir_rule polite = *rule_in(b, "defaults = { profile = \"polite\"; };");
	struct weir_rule eager = *rule_in(b, "defaults = { profile = \"eager\"; };");

	assert_int_equal(polite.concurrency.max, 6);
	assert_int_equal(polite.concurrency.initial, 2);
	assert_int_equal(polite.breaker.failures, 3);
	assert_int_equal(polite.breaker.open_time_ns, 5 * S);
	assert_int_equal(polite.retry.budget_permille, 50);
	assert_int_equal(polite.retry.cap_ns, 60 * S);
	assert_int_equal(polite.wait_max_ns, 300 * S);
	assert_int_equal(polite.rate.strategy, WEIR_ADAPTIVE);
	assert_int_equal(eager.concurrency.max, 0);
	assert_int_equal(eager.concurrency.min, 4);
	assert_int_equal(eager.breaker.failures, 10);
	assert_int_equal(eager.breaker.open_time_ns, S);
	assert_int_equal(eager.grace_ns, 60 * S);
	assert_int_equal(eager.wait_max_ns, 30 * S);
	/* Nothing is asked again where nobody has asked for that. */
	assert_int_equal(polite.retry.attempts, 1);
	assert_int_equal(eager.retry.attempts, 1);
	assert_int_equal(rule_in(b, "defaults = { profile = \"polite\"; retry = true; };")->retry.attempts, 3);
	assert_int_equal(rule_in(b, "defaults = { retry = true; profile = \"eager\"; };")->retry.attempts, 8);
}

static void what_a_rule_says_itself_wins_wherever_it_stands(void **state)
{
	struct bench *b = *state;
	const struct weir_rule *r =
		rule_in(b, "defaults = { wait = { max = \"2m\"; }; breaker = { failures = 7; }; };\n"
			   "hosts = ( { match = \"a.example.org\"; wait = { max = \"10s\"; }; concurrency = { max = 4; };\n"
			   "  profile = \"polite\"; } );");

	assert_int_equal(r->wait_max_ns, 10 * S);
	assert_int_equal(r->concurrency.max, 4);
	assert_int_equal(r->concurrency.initial, 2);
	/* The profile of the rule replaces what it would inherit. */
	assert_int_equal(r->breaker.failures, 3);
	/* And what it says itself brings the profile's in line. */
	r = rule_in(b, "hosts = ( { match = \"a.example.org\"; profile = \"polite\"; concurrency = { max = 1; };"
		       " breaker = { open_time_max = \"3s\"; }; rate = { max = \"1/d\"; }; } );");
	assert_int_equal(r->concurrency.initial, 1);
	assert_int_equal(r->breaker.open_time_ns, 3 * S);
	assert_true(r->rate.min <= r->rate.max);
	r = rule_in(b, "defaults = { profile = \"eager\"; };\nhosts = ( { match = \"a.example.org\"; queue = { max = 5; }; } );");
	assert_int_equal(r->breaker.failures, 10);
}

static void what_is_fixed_stays_fixed(void **state)
{
	struct bench *b = *state;
	const struct weir_rule *r = rule_in(b, "defaults = { rate = \"5/s\"; concurrency = 20; };\n"
					       "hosts = ( { match = \"a.example.org\"; profile = \"eager\"; } );");

	assert_int_equal(r->rate.strategy, WEIR_FIXED);
	assert_int_equal(r->rate.max, 5 * WEIR_RATE_ONE);
	assert_int_equal(r->rate.burst, 1);
	assert_int_equal(r->concurrency.max, 20);
	r = rule_in(b, "defaults = { profile = \"polite\"; };\nhosts = ( { match = \"a.example.org\"; rate = \"5/s\"; "
		       "concurrency = 20; } );");
	assert_int_equal(r->rate.burst, 1);
	assert_int_equal(r->concurrency.max, 20);
}

static void a_later_file_s_word_wins(void **state)
{
	struct bench *b = *state;

	write_file(b, "one", "defaults = { breaker = { failures = 7; }; wait = { max = \"9s\"; }; };");
	write_file(b, "two", "defaults = { profile = \"polite\"; wait = { max = \"8s\"; }; };");
	chain(b, "one");
	chain(b, "two");
	assert_true(compile(b));
	assert_int_equal(b->policy.rules[0].breaker.failures, 3);
	assert_int_equal(b->policy.rules[0].wait_max_ns, 8 * S);
}

static void where_a_value_comes_from_is_where_the_profile_is_said(void **state)
{
	struct bench *b = *state;

	rule_of(b,
		"defaults = {\n  profile = \"eager\";\n  wait = { max = \"1m\"; }; };\nhosts = ( { match = \"a.example.org\";\n  "
		"profile = \"polite\"; } );",
		0);
	assert_string_equal(origin(b, "defaults.profile")->value, "\"eager\"");
	assert_non_null(strstr(origin(b, "defaults.profile")->source, "/t:2"));
	assert_non_null(strstr(origin(b, "defaults.breaker.failures")->source, "/t:2"));
	assert_non_null(strstr(origin(b, "defaults.wait.max")->source, "/t:3"));
	assert_string_equal(origin(b, "defaults.breaker.window")->source, "built in");
	assert_string_equal(origin(b, "hosts[a.example.org].profile")->value, "\"polite\"");
	assert_non_null(strstr(origin(b, "hosts[a.example.org].breaker.failures")->source, "/t:5"));
	assert_string_equal(origin(b, "hosts[a.example.org].breaker.failures")->value, "3");
	rule_of(b, "hosts = ( { match = \"a.example.org\"; } );", 0);
	assert_string_equal(origin(b, "defaults.profile")->value, "\"balanced\"");
	assert_string_equal(origin(b, "defaults.profile")->source, "built in");
	assert_null(origin(b, "hosts[a.example.org].profile"));
}

static void what_is_no_profile_is_said(void **state)
{
	struct bench *b = *state;

	assert_false(compile_text(b, "defaults = { profile = \"aggressive\"; };"));
	assert_string_equal(finding(b, 0),
			    "t:1: defaults.profile: expected \"polite\", \"balanced\" or \"eager\", got \"aggressive\"");
	assert_false(compile_text(b, "defaults = { profile = 3; };"));
	assert_false(compile_text(b, "total = { profile = \"polite\"; };"));
	assert_false(compile_text(b, "hosts = ( { match = \"a.example.org\"; profile = \"polite\";\n"
				     " breaker = { open_time = \"2m\"; }; } );"));
	assert_non_null(strstr(finding(b, 0), "t:2: hosts[0].breaker.open_time: expected at most breaker.open_time_max, which is "
					      "\"1m\" (of the profile, "));
	/* A rule beside its host's has nothing that a profile could set. */
	assert_false(compile_text(b, "hosts = ( { match = \"a.example.org\"; path = \"/x\"; profile = \"polite\"; } );"));
	assert_true(compile_text(
		b, "hosts = ( { match = \"a.example.org\"; path = \"/x\"; apart = true; profile = \"polite\"; } );"));
	assert_int_equal(b->policy.rules[1].breaker.failures, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(balanced_is_what_holds_without_a_word, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_last_word_holds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(polite_asks_little_and_eager_gives_up_late, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_a_rule_says_itself_wins_wherever_it_stands, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_fixed_stays_fixed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_later_file_s_word_wins, set_up, tear_down),
		cmocka_unit_test_setup_teardown(where_a_value_comes_from_is_where_the_profile_is_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_profile_is_said, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
