/* SPDX-License-Identifier: MIT */
/* path, method, apart, per_client: what the compiled rules say, where they stand, and what is refused. */
#include "policy_files.h"

static const struct weir_rule *narrowed(struct bench *b, const char *host, uint32_t i)
{
	struct weir_policy_view v = {.rules = b->policy.rules, .rule_count = b->policy.rule_count};
	const struct weir_rule *r = &b->policy.rules[weir_policy_match(&v, host)];

	assert_true(i < r->narrow.count);
	return &b->policy.rules[r->narrow.first + i];
}

static void a_narrowed_rule_says_only_what_it_says_itself(void **state)
{
	struct bench *b = *state;
	const struct weir_rule *r;

	rule_of(b,
		"defaults = { rate = \"7/s\"; concurrency = 9; };\n"
		"hosts = ( { match = \"a.test\"; rate = \"5/s\"; },\n"
		"{ match = \"a.test\"; path = \"/search/*\"; rate = \"30/m\"; concurrency = 2; wait = { max = \"5s\"; }; },\n"
		"{ match = \"a.test\"; method = [ \"POST\", \"PUT\" ]; } );",
		0);
	assert_int_equal(b->policy.rule_count, 4);
	r = narrowed(b, "a.test:443", 0);
	assert_string_equal(r->narrow.path, "/search/*");
	assert_int_equal(r->narrow.flags, WEIR_NARROW_IS);
	assert_int_equal(r->rate.strategy, WEIR_FIXED);
	assert_int_equal(r->rate.max, WEIR_RATE_ONE / 2);
	assert_int_equal(r->concurrency.max, 2);
	assert_int_equal(r->wait_max_ns, 5 * S);
	r = narrowed(b, "a.test:443", 1);
	assert_int_equal(r->narrow.methods, weir_method_bit("POST", 4) | weir_method_bit("PUT", 3));
	assert_int_equal(r->flags & WEIR_RULE_LIMITS_RATE, 0);
	assert_int_equal(r->concurrency.mode, WEIR_CONCURRENCY_OFF);
	assert_int_equal(r->breaker.failures, 0);
	assert_non_null(origin(b, "hosts[a.test#/search/*].rate.max"));
}

static void one_that_stands_apart_is_a_rule_like_any_other(void **state)
{
	struct bench *b = *state;
	const struct weir_rule *r;

	rule_of(b,
		"defaults = { breaker = { failures = 9; }; };\n"
		"hosts = ( { match = \"a.test\"; path = \"/x\"; apart = true; rate = { max = \"10/s\"; }; },\n"
		"{ match = \"a.test\"; path = \"/health\"; exempt = true; } );",
		0);
	r = narrowed(b, "a.test:80", 0);
	assert_int_equal(r->narrow.flags, WEIR_NARROW_IS | WEIR_NARROW_APART);
	assert_int_equal(r->rate.strategy, WEIR_ADAPTIVE);
	assert_int_equal(r->breaker.failures, 9);
	assert_true(narrowed(b, "a.test:80", 1)->flags & WEIR_RULE_EXEMPT);
}

/* The host's rule that nobody has written is what would have held without the narrowed one. */
static void a_host_without_a_rule_keeps_what_holds_for_it(void **state)
{
	struct bench *b = *state;
	struct weir_policy_view v;

	rule_of(b,
		"hosts = ( { match = \"api.b.test\"; path = \"/x\"; rate = \"1/s\"; },\n"
		"{ match = \"*.b.test\"; group = \"b\"; rate = \"3/s\"; },\n"
		"{ match = \"c.test\"; path = \"/x\"; rate = \"1/s\"; } );",
		0);
	v = (struct weir_policy_view){.rules = b->policy.rules, .rule_count = b->policy.rule_count};
	assert_int_equal(b->policy.rule_count, 6);
	assert_int_equal(b->policy.rules[weir_policy_match(&v, "api.b.test:443")].rate.max, 3 * WEIR_RATE_ONE);
	assert_string_equal(b->policy.rules[weir_policy_match(&v, "api.b.test:443")].group, "b");
	assert_int_equal(b->policy.rules[weir_policy_match(&v, "other.b.test:443")].narrow.count, 0);
	assert_int_equal(b->policy.rules[weir_policy_match(&v, "c.test:443")].rate.strategy, WEIR_ADAPTIVE);
	assert_int_equal(narrowed(b, "c.test:443", 0)->rate.max, WEIR_RATE_ONE);
	/* And no host is ever looked up in a narrowed rule. */
	for (uint32_t i = 0; i < b->policy.rule_count; i++)
		if (b->policy.rules[i].narrow.flags != 0)
			assert_int_not_equal(weir_policy_match(&v, b->policy.rules[i].match), i);
}

static void an_entry_finds_its_narrowed_rule_by_its_key(void **state)
{
	struct bench *b = *state;
	struct weir_policy_view v;
	uint32_t i;

	rule_of(b,
		"hosts = ( { match = \"a.test\"; path = \"/x\"; rate = \"1/s\"; },\n"
		"{ match = \"a.test\"; path = \"/y\"; method = \"GET\"; rate = \"2/s\"; } );",
		0);
	v = (struct weir_policy_view){.rules = b->policy.rules, .rule_count = b->policy.rule_count};
	i = weir_policy_of_key(&v, "a.test:443#GET/y");
	assert_true(i < b->policy.rule_count);
	assert_int_equal(b->policy.rules[i].rate.max, 2 * WEIR_RATE_ONE);
	assert_int_equal(weir_policy_of_key(&v, "a.test:443#/z"), WEIR_NONE);
	assert_int_equal(weir_policy_of_key(&v, "b.test:443#/x"), WEIR_NONE);
	assert_int_equal(weir_policy_of_key(&v, "@client.x/a.test:443"), WEIR_NONE);
}

static void clients_shares_are_read_and_inherited(void **state)
{
	struct bench *b = *state;
	const struct weir_rule *r;

	r = rule_of(b,
		    "defaults = { per_client = { rate = \"2/s\"; concurrency = 3; }; };\n"
		    "hosts = ( { match = \"a.test\"; per_client = \"5/s\"; }, { match = \"b.test\"; per_client = { rate = "
		    "\"none\"; }; } );",
		    0);
	assert_int_equal(r->narrow.client_rate, 5 * WEIR_RATE_ONE);
	assert_int_equal(r->narrow.client_burst, 1);
	assert_int_equal(r->narrow.client_concurrency, 3);
	assert_int_equal(b->policy.rules[1].narrow.client_rate, 0);
	assert_int_equal(b->policy.rules[2].narrow.client_rate, 2 * WEIR_RATE_ONE);
}

static const struct {
	const char *rule, *wrong;
} mistakes[] = {
	{"path = 5;", "hosts[0].path: expected a glob of a path without its query, such as \"/search/*\", got 5"},
	{"path = \"search\";", "got \"search\" (it begins with neither / nor *)"},
	{"path = \"/a b\";", "(it holds a character that no path is sent with: write it as %XX)"},
	{"path = \"/a#b\";", "(it holds a character that no path is sent with: write it as %XX)"},
	{"method = \"BREW\";", "hosts[0].method: expected a method such as \"POST\", or a list of them, got \"BREW\""},
	{"method = \"post\";", "(it is unknown, or in small letters)"},
	{"method = [ ];", "(it is empty)"},
	{"method = [ \"GET\", \"GET\" ];", "hosts[0].method[1]: expected each method once"},
	{"apart = true;", "hosts[0].apart: apart says how a rule with a path or a method stands"},
	{"path = \"/x\"; apart = 1;", "hosts[0].apart: expected true or false, got 1"},
	{"path = \"/x\"; breaker = { failures = 3; };", "hosts[0].breaker: unknown key"},
	{"path = \"/x\"; per_client = \"1/s\";", "hosts[0].per_client: unknown key"},
	{"path = \"/x\"; rate = { strategy = \"adaptive\"; };", "unless the rule says apart = true"},
	{"path = \"/x\"; group = \"g\";", "the group is that of the host's own rule"},
	{"per_client = 5;", "hosts[0].per_client: expected a rate such as \"2/s\" or a group"},
	{"per_client = { rat = \"1/s\"; };", "hosts[0].per_client.rat: unknown key; did you mean \"rate\"?"},
};

static void mistakes_are_told_with_their_place(void **state)
{
	struct bench *b = *state;
	char text[400];

	for (size_t i = 0; i < COUNT(mistakes); i++) {
		snprintf(text, sizeof text, "hosts = ( { match = \"a.test\"; %s } );", mistakes[i].rule);
		if (compile_text(b, text))
			fail_msg("%s was taken", mistakes[i].rule);
		if (!strstr(finding(b, 0), mistakes[i].wrong))
			fail_msg("%s: %s", mistakes[i].rule, finding(b, 0));
	}
}

static void assert_unreachable(struct bench *b, const char *first, const char *second, bool unreachable)
{
	char text[400];

	snprintf(text, sizeof text, "hosts = ( { match = \"a.test\"; %s },\n{ match = \"a.test\"; %s } );", first, second);
	if (compile_text(b, text) == unreachable)
		fail_msg("%s then %s", first, second);
	if (unreachable && !strstr(finding(b, 0), "hosts[1]: it can never match: hosts[0] ("))
		fail_msg("%s", finding(b, 0));
}

static void a_rule_that_can_never_match_is_a_mistake(void **state)
{
	struct bench *b = *state;

	assert_unreachable(b, "path = \"/search/*\";", "path = \"/search/code/*\";", true);
	assert_unreachable(b, "path = \"*\";", "path = \"/x\"; method = \"POST\";", true);
	assert_unreachable(b, "method = [ \"POST\", \"PUT\" ];", "method = \"POST\"; path = \"/x\";", true);
	assert_unreachable(b, "path = \"/search/code/*\";", "path = \"/search/*\";", false);
	assert_unreachable(b, "path = \"/x\"; method = \"POST\";", "path = \"/x\";", false);
	assert_unreachable(b, "path = \"/?\";", "path = \"/*\";", false);
	assert_unreachable(b, "method = \"POST\";", "path = \"/x\";", false);
}

static void of_one_host_sixteen_are_the_most(void **state)
{
	struct bench *b = *state;
	char text[4000];

	for (int count = 16; count <= 17; count++) {
		size_t n = (size_t)snprintf(text, sizeof text, "hosts = (");

		for (int i = 0; i < count; i++)
			n += (size_t)snprintf(text + n, sizeof text - n,
					      "%s{ match = \"a.test\"; path = \"/%d\"; rate = \"1/s\"; }", i > 0 ? "," : "", i);
		snprintf(text + n, sizeof text - n, ");");
		assert_int_equal(compile_text(b, text), count == 16);
		if (count == 17)
			assert_non_null(
				strstr(finding(b, 0), "too many rules with a path or a method for \"a.test\": at most 16"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		T(a_narrowed_rule_says_only_what_it_says_itself), T(one_that_stands_apart_is_a_rule_like_any_other),
		T(a_host_without_a_rule_keeps_what_holds_for_it), T(an_entry_finds_its_narrowed_rule_by_its_key),
		T(clients_shares_are_read_and_inherited),         T(mistakes_are_told_with_their_place),
		T(a_rule_that_can_never_match_is_a_mistake),      T(of_one_host_sixteen_are_the_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
