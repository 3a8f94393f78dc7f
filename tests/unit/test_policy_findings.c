/* SPDX-License-Identifier: MIT */
/* What is wrong with a configuration is said with file, line, key and expectation, and nothing of it takes effect. */
#include "policy_files.h"

struct row {
	const char *text, *finding;
};

#define SYNTAX "syntax error: look for a missing quote, comma, semicolon or bracket here or on the line before"
#define HOST   "a host such as \"api.example.org\", \"*.example.org:443\" or \"[::1]:8080\""

static void each_is(struct bench *b, const struct row *row, size_t rows)
{
	for (size_t i = 0; i < rows; i++) {
		if (compile_text(b, row[i].text))
			fail_msg("accepted: %s", row[i].text);
		if (b->findings.count != 1 || strcmp(finding(b, 0), row[i].finding) != 0)
			fail_msg("%s\n%zu findings, the first: %s\ninstead of: %s", row[i].text, b->findings.count, finding(b, 0),
				 row[i].finding);
		assert_null(b->policy.rules);
		assert_int_equal(b->policy.source_count, 1);
	}
}

static void unknown_keys_come_with_a_suggestion(void **state)
{
	static const struct row row[] = {
		{"default = { };", "t:1: default: unknown key; did you mean \"defaults\"?"},
		{"\n\nhost = ( );", "t:3: host: unknown key; did you mean \"hosts\"?"},
		{"banana = 1;", "t:1: banana: unknown key; the keys here are defaults, hosts, total, alerts, agent, segment"},
		{"x = 1;", "t:1: x: unknown key; the keys here are defaults, hosts, total, alerts, agent, segment"},
		{"defaults = {\n braeker = { };\n};", "t:2: defaults.braeker: unknown key; did you mean \"breaker\"?"},
		{"defaults = { match = \"a\"; };",
		 "t:1: defaults.match: unknown key; the keys here are exempt, throttle_status, rate, "
		 "rates, concurrency, breaker, wait, hold, retry, quotas, spread, priority, queue, share, per_client, degrade, "
		 "profile"},
		{"total = { priority = \"high\"; };",
		 "t:1: total.priority: unknown key; the keys here are rate, rates, concurrency, wait"},
		{"defaults = { rate = { maximum = \"1/s\"; }; };", "t:1: defaults.rate.maximum: unknown key; the keys here are "
								   "strategy, min, max, initial, burst, backoff, recovery, "
								   "success_threshold, error_threshold, interval"},
		{"defaults = { wait = { mx = \"1s\"; }; };", "t:1: defaults.wait.mx: unknown key; did you mean \"max\"?"},
		{"defaults = { breaker = { opne_time = \"1s\"; }; };",
		 "t:1: defaults.breaker.opne_time: unknown key; did you mean \"open_time\"?"},
		{"hosts = ( { match = \"a\"; concurency = 4; } );",
		 "t:1: hosts[0].concurency: unknown key; did you mean \"concurrency\"?"},
		{"hosts = ( { match = \"a\"; rates = ( { rat = \"1/s\"; rate = \"1/s\"; } ); } );",
		 "t:1: hosts[0].rates[0].rat: unknown key; did you mean \"rate\"?"},
		{"total = { breaker = false; };",
		 "t:1: total.breaker: unknown key; the keys here are rate, rates, concurrency, wait"},
		{"total = { rate = { backoff = 0.5; max = \"1/s\"; }; };",
		 "t:1: total.rate.backoff: unknown key; the keys here are strategy, max, burst"},
		{"agent = { idle_exti = \"1m\"; };", "t:1: agent.idle_exti: unknown key; did you mean \"idle_exit\"?"},
		{"segment = { host = 16; };", "t:1: segment.host: unknown key; did you mean \"hosts\"?"},
		{"a_key_that_is_far_longer_than_any_that_weir_knows_of_and_then_some_more_for_good_measure = 1;",
		 "t:1: a_key_that_is_far_longer_than_any_that_weir_knows_of_and_the: unknown key; the keys here are "
		 "defaults, "
		 "hosts, total, alerts, agent, segment"},
	};

	each_is(*state, row, COUNT(row));
}

static void values_of_the_wrong_type_are_shown(void **state)
{
	static const struct row row[] = {
		{"defaults = 1;", "t:1: defaults: expected a group { }, got 1"},
		{"total = ( );", "t:1: total: expected a group { }, got a list"},
		{"agent = true;", "t:1: agent: expected a group { }, got true"},
		{"hosts = { };", "t:1: hosts: expected a list of rules ( { match = \"HOST\"; ... }, ... ), got a group { }"},
		{"hosts = [ \"a\" ];", "t:1: hosts: expected a list of rules ( { match = \"HOST\"; ... }, ... ), got a list"},
		{"hosts = ( \"a\" );", "t:1: hosts[0]: expected a rule { match = \"HOST\"; ... }, got \"a\""},
		{"defaults = { exempt = 1; };", "t:1: defaults.exempt: expected true or false, got 1"},
		{"defaults = { exempt = \"yes\"; };", "t:1: defaults.exempt: expected true or false, got \"yes\""},
		{"defaults = { priority = \"urgent\"; };",
		 "t:1: defaults.priority: expected \"unset\", \"high\", \"normal\" or \"low\", got \"urgent\""},
		{"defaults = { queue = 5; };", "t:1: defaults.queue: expected a group such as { max = 1000; }, got 5"},
		{"defaults = { share = { normal = 0.9; low = 0.2; }; };",
		 "t:1: defaults.share.low: expected at most 1 together with share.normal"},
		{"defaults = { wait = \"60s\"; };",
		 "t:1: defaults.wait: expected a group such as { max = \"60s\"; }, got \"60s\""},
		{"defaults = { breaker = true; };", "t:1: defaults.breaker: expected false or a group { }, got true"},
		{"defaults = { concurrency = \"4\"; };",
		 "t:1: defaults.concurrency: expected a number such as 4, false or a group { }, got \"4\""},
		{"defaults = { quotas = \"5/day\"; };", "t:1: defaults.quotas: expected a list of quotas such as ( \"1000/day "
							"UTC\", \"100/6h rolling\" ), got \"5/day\""},
		{"defaults = { spread = 1; };", "t:1: defaults.spread: expected true or false, got 1"},
		{"hosts = ( { match = \"a.test\";\n quotas = ( \"5/day UTC\",\n \"5/day Europe/Berin\" ); } );",
		 "t:3: hosts[0].quotas[1]: expected a quota such as \"1000/day\", \"5000/hour UTC\" or \"100/6h rolling\", got "
		 "\"5/day "
		 "Europe/Berin\" (there is no such zone in /usr/share/zoneinfo/, package tzdata)"},
		{"defaults = { rate = 5; };",
		 "t:1: defaults.rate: expected a rate such as \"5/s\", \"none\", false or a group { }, got 5"},
		{"defaults = { rate = 5/s; };",
		 "t:1: defaults.rate: expected a rate such as \"5/s\", \"none\", false or a group { }, got 5/s"},
		{"defaults = { rate = true; };",
		 "t:1: defaults.rate: expected a rate such as \"5/s\", \"none\", false or a group { }, got true"},
		{"defaults = { rate = { max = 5; }; };",
		 "t:1: defaults.rate.max: expected a rate such as \"5/s\", got 5 (in quotes and with its unit)"},
		{"defaults = { rate = { max = [ 5 ]; }; };",
		 "t:1: defaults.rate.max: expected a rate such as \"5/s\", got a list"},
		{"defaults = { rate = { burst = \"5\"; }; };",
		 "t:1: defaults.rate.burst: expected a whole number from 1 to 1000000, got \"5\""},
		{"defaults = { rate = { burst = { }; }; };",
		 "t:1: defaults.rate.burst: expected a whole number from 1 to 1000000, got a group { }"},
		{"defaults = { rate = { backoff = \"0.5\"; }; };",
		 "t:1: defaults.rate.backoff: expected a number from 0.001 to 0.999, got \"0.5\""},
		{"defaults = { rate = { strategy = 1; }; };", "t:1: defaults.rate.strategy: expected \"adaptive\", \"fixed\", "
							      "\"conservative\" or \"aggressive\", got 1"},
		{"defaults = { rates = \"5/s\"; };",
		 "t:1: defaults.rates: expected a list of rates such as ( \"10/s\", \"5000/h\" ), got \"5/s\""},
		{"defaults = { rates = ( 5 ); };",
		 "t:1: defaults.rates[0]: expected a rate such as \"5/s\", got 5 (in quotes and with its unit)"},
		{"defaults = { rates = ( { burst = 1; } ); };",
		 "t:1: defaults.rates[0]: expected { rate = \"5/s\"; burst = 1; }, got a group { } (no rate is given)"},
		{"defaults = { throttle_status = 429; };",
		 "t:1: defaults.throttle_status: expected up to eight HTTP statuses such as [ 403, 429 ], got 429"},
		{"defaults = { wait = { max = 60; }; };",
		 "t:1: defaults.wait.max: expected a duration such as \"60s\", got 60 (in quotes and with its unit)"},
		{"defaults = { wait = { max = 60s; }; };",
		 "t:1: defaults.wait.max: expected a duration such as \"60s\", got 60s (in quotes and with its unit)"},
		{"defaults = { wait = { max = false; }; };",
		 "t:1: defaults.wait.max: expected a duration such as \"60s\", got false"},
		{"hosts = ( { match = 1; } );", "t:1: hosts[0].match: expected " HOST ", got 1"},
		{"hosts = ( { match = \"a\"; group = true; } );",
		 "t:1: hosts[0].group: expected a name such as \"example\", got true"},
	};

	each_is(*state, row, COUNT(row));
}

static void rates_and_counts_out_of_bounds_are_refused(void **state)
{
	static const struct row row[] = {
		{"hosts = (\n{ match = \"a\"; },\n{ match = \"b\"; },\n{ match = \"c\";\n rate = {\n max = \"fast\"; }; } );",
		 "t:6: hosts[2].rate.max: expected a rate such as \"5/s\", got \"fast\" (it does not begin with a number)"},
		{"defaults = { rate = { max = \"0/s\"; }; };",
		 "t:1: defaults.rate.max: expected a rate such as \"5/s\", got \"0/s\" (it is zero)"},
		{"defaults = { rate = \"-5/s\"; };",
		 "t:1: defaults.rate: expected a rate such as \"5/s\", got \"-5/s\" (it is negative)"},
		{"defaults = { rate = { max = \"5/fortnight\"; }; };",
		 "t:1: defaults.rate.max: expected a rate such as \"5/s\", got \"5/fortnight\" (the unit is none of ns us ms s m "
		 "h d)"},
		{"defaults = { rates = ( \"none\" ); };",
		 "t:1: defaults.rates[0]: expected a rate such as \"5/s\", got \"none\" (it does not begin with a number)"},
		{"defaults = { rate = { burst = 0; }; };",
		 "t:1: defaults.rate.burst: expected a whole number from 1 to 1000000, got 0 (the number is too small)"},
		{"defaults = { rate = { burst = -1; }; };",
		 "t:1: defaults.rate.burst: expected a whole number from 1 to 1000000, got -1 (it is negative)"},
		{"defaults = { rate = { burst = 1.5; }; };",
		 "t:1: defaults.rate.burst: expected a whole number from 1 to 1000000, got 1.5 (it is not a whole number)"},
		{"defaults = { rate = { burst = 0x10; }; };",
		 "t:1: defaults.rate.burst: expected a whole number from 1 to 1000000, got 0x10 (it is not a whole number)"},
		{"defaults = { rate = { burst = 1e3; }; };",
		 "t:1: defaults.rate.burst: expected a whole number from 1 to 1000000, got 1e3 (it is not a whole number)"},
		{"defaults = { rate = { burst = 5L; }; };",
		 "t:1: defaults.rate.burst: expected a whole number from 1 to 1000000, got 5L (it is not a whole number)"},
	};

	each_is(*state, row, COUNT(row));
}

static void shares_out_of_bounds_are_refused(void **state)
{
	static const struct row row[] = {
		{"defaults = { rate = { backoff = 0; }; };",
		 "t:1: defaults.rate.backoff: expected a number from 0.001 to 0.999, got 0 (the number is too small)"},
		{"defaults = { rate = { backoff = 1; }; };",
		 "t:1: defaults.rate.backoff: expected a number from 0.001 to 0.999, got 1 (the number is too large)"},
		{"defaults = { rate = { backoff = -0.5; }; };",
		 "t:1: defaults.rate.backoff: expected a number from 0.001 to 0.999, got -0.5 (it is negative)"},
		{"defaults = { rate = { backoff = 0.12345; }; };",
		 "t:1: defaults.rate.backoff: expected a number from 0.001 to 0.999, got 0.12345 (more than three decimals)"},
		{"defaults = { rate = { backoff = 0.1e1; }; };",
		 "t:1: defaults.rate.backoff: expected a number from 0.001 to 0.999, got 0.1e1 (it is not a number)"},
		{"defaults = { rate = { backoff = 5e1.1; }; };",
		 "t:1: defaults.rate.backoff: expected a number from 0.001 to 0.999, got 5e1.1 (it is not a number)"},
		{"defaults = { rate = { backoff = 0.; }; };",
		 "t:1: defaults.rate.backoff: expected a number from 0.001 to 0.999, got 0. (no digit after the point)"},
		{"defaults = { rate = { recovery = 1.0; }; };",
		 "t:1: defaults.rate.recovery: expected a number from 1.001 to 10, got 1.0 (the number is too small)"},
		{"defaults = { rate = { error_threshold = 1.001; }; };",
		 "t:1: defaults.rate.error_threshold: expected a number from 0 to 1, got 1.001 (the number is too large)"},
	};

	each_is(*state, row, COUNT(row));
}

static void durations_words_and_lists_out_of_bounds_are_refused(void **state)
{
	static const struct row row[] = {
		{"defaults = { rate = { interval = \"1ms\"; }; };",
		 "t:1: defaults.rate.interval: expected a duration from \"10ms\" to \"1d\", got \"1ms\""},
		{"defaults = { wait = { max = \"8d\"; }; };",
		 "t:1: defaults.wait.max: expected a duration from \"0s\" to \"7d\", got \"8d\""},
		{"defaults = { wait = { max = \"soon\"; }; };",
		 "t:1: defaults.wait.max: expected a duration such as \"60s\", got \"soon\" (it does not begin with a number)"},
		{"defaults = { wait = { max = \"60\"; }; };",
		 "t:1: defaults.wait.max: expected a duration such as \"60s\", got \"60\" (the unit is missing)"},
		{"defaults = { concurrency = 0; };",
		 "t:1: defaults.concurrency: expected a whole number from 1 to 65535, got 0 (the number is too small)"},
		{"defaults = { concurrency = { mode = \"on\"; }; };",
		 "t:1: defaults.concurrency.mode: expected \"off\", \"fixed\" or \"adaptive\", got \"on\""},
		{"defaults = { rate = { strategy = \"Fixed\"; }; };",
		 "t:1: defaults.rate.strategy: expected \"adaptive\", \"fixed\", "
		 "\"conservative\" or \"aggressive\", got \"Fixed\""},
		{"defaults = { throttle_status = [ 429, 99 ]; };",
		 "t:1: defaults.throttle_status[1]: expected a whole number from 100 to 599, got 99 (the number is too small)"},
		{"defaults = { throttle_status = [ 600 ]; };",
		 "t:1: defaults.throttle_status[0]: expected a whole number from 100 to 599, got 600 (the number is too large)"},
		{"defaults = { throttle_status = [ 429, 429 ]; };",
		 "t:1: defaults.throttle_status[1]: expected each status once, got 429"},
		{"defaults = { throttle_status = [ 1, 2, 3, 4, 5, 6, 7, 8, 9 ]; };",
		 "t:1: defaults.throttle_status: expected up to eight HTTP statuses such as [ 403, 429 ], got a list (there are "
		 "more)"},
		{"defaults = { rates = ( \"1/s\", \"2/s\", \"3/s\", \"4/s\", \"5/s\" ); };",
		 "t:1: defaults.rates: expected at most four rates, got a list"},
		{"defaults = { rate = \"9/s\"; rates = ( \"1/s\", \"2/s\", \"3/s\", \"4/s\" ); };",
		 "t:1: defaults.rates: expected at most three rates beside rate, got a list"},
		{"defaults = { rates = ( { rate = \"1/s\"; burst = 0; } ); };",
		 "t:1: defaults.rates[0].burst: expected a whole number from 1 to 1000000, got 0 (the number is too small)"},
		{"agent = { idle_exit = \"10ms\"; };",
		 "t:1: agent.idle_exit: expected a duration from \"1s\" to \"366d\", got \"10ms\""},
		{"segment = { hosts = 65537; };",
		 "t:1: segment.hosts: expected a whole number from 16 to 65536, got 65537 (the number is too large)"},
		{"segment = { hosts = 15; };",
		 "t:1: segment.hosts: expected a whole number from 16 to 65536, got 15 (the number is too small)"},
	};

	each_is(*state, row, COUNT(row));
}

static void large_numbers_do_not_wrap(void **state)
{
	static const struct row row[] = {
		{"defaults = { breaker = { failures = 4294967297; }; };", /* 2^32 + 1: libconfig's 1 */
		 "t:1: defaults.breaker.failures: expected a whole number from 0 to 1000000, got 4294967297 (the number is too "
		 "large)"},
		{"defaults = { breaker = { failures = 99999999999999999999; }; };",
		 "t:1: defaults.breaker.failures: expected a whole number from 0 to 1000000, got 99999999999999999999 (the "
		 "number is too "
		 "large)"},
		{"defaults = { breaker = { failures = 18446744073709551617L; }; };",
		 "t:1: defaults.breaker.failures: expected a whole number from 0 to 1000000, got 18446744073709551617L (the "
		 "number is too large)"},
		{"defaults = { breaker = { failures = 0x100000001; }; };",
		 "t:1: defaults.breaker.failures: expected a whole number from 0 to 1000000, got 0x100000001 (it is not a whole "
		 "number)"},
		{"defaults = { throttle_status = [ 4294967725 ]; };", /* 2^32 + 429 */
		 "t:1: defaults.throttle_status[0]: expected a whole number from 100 to 599, got 4294967725 (the number is too "
		 "large)"},
		{"segment = { hosts = 4294968320; };",
		 "t:1: segment.hosts: expected a whole number from 16 to 65536, got 4294968320 (the number is too large)"},
		{"defaults = { rate = { recovery = 4294968.396; }; };",
		 "t:1: defaults.rate.recovery: expected a number from 1.001 to 10, got 4294968.396 (the number is too large)"},
		{"defaults = { concurrency = 90000000000000000000000000000000000000000000000000000000000000000000000000004; };",
		 "t:1: defaults.concurrency: expected a whole number from 1 to 65535, got "
		 "900000000000000000000000000000000000000000000000000000000000... (the number is too large)"},
		{"defaults = { rate = \"18446744073709551621/s\"; };",
		 "t:1: defaults.rate: expected a rate such as \"5/s\", got \"18446744073709551621/s\" (the number is too large)"},
		{"hosts = ( { match = \"a:65616\"; } );",
		 "t:1: hosts[0].match: expected " HOST ", got \"a:65616\" (the port is none of 1 to 65535, or *)"},
		{"hosts = ( { match = \"a:18446744073709551696\"; } );",
		 "t:1: hosts[0].match: expected " HOST ", got \"a:18446744073709551696\" (the port is none of 1 to 65535, or *)"},
		/* A number and a string side by side would be joined. */
		{"defaults = { concurrency = 1 \"0\"; };", "t:1: " SYNTAX},
		{"defaults = { throttle_status = [ 403 429 ]; };", "t:1: " SYNTAX},
		{"agent = { idle_exit = \"1\"\"m\"; };", "t:1: " SYNTAX},
	};

	each_is(*state, row, COUNT(row));
}

static void hosts_that_are_none_are_refused(void **state)
{
	static const struct {
		const char *match, *why;
	} row[] = {
		{"", "it is empty"},
		{":80", "the name is empty"},
		{".example.org", "it begins with a dot: *.example.org is every name under example.org"},
		{"example.org.", "it ends in a dot"},
		{"a..b", "it holds an empty label"},
		{"a b", "it holds a character that no host name has"},
		{"a@b", "it holds a character that no host name has"},
		{"b\xc3\xbc"
		 "*.example",
		 "a wildcard stands beside letters that are not ASCII: write the label as xn--..."},
		{"b\xfc"
		 "cher.example",
		 "it is no UTF-8, or too long for a host"},
		{"a**", "** is no wildcard: * matches dots as well"},
		{"[a-z].example.org", "only :PORT may follow the bracket"},
		{"x[a-z].example.org", "the only wildcards are * and ?"},
		{"{a,b}.example.org", "the only wildcards are * and ?"},
		{"http://example.org", "expected a host name, not a URL"},
		{"example.org/path", "expected a host name, not a URL"},
		{"::1", "an IPv6 address stands in brackets: [::1]:8080"},
		{"[::1", "the bracket is not closed"},
		{"[::1]8080", "only :PORT may follow the bracket"},
		{"[]", "no IPv6 address stands between the brackets"},
		{"[fe80::1%eth0]", "no IPv6 address stands between the brackets"},
		{"[example.org]", "no IPv6 address stands between the brackets"},
		{"[xyz*]", "no IPv6 address stands between the brackets"},
		{"a:", "the port is none of 1 to 65535, or *"},
		{"a:0", "the port is none of 1 to 65535, or *"},
		{"a:http", "the port is none of 1 to 65535, or *"},
		{"a:44?", "the port is none of 1 to 65535, or *"},
		{"[::1]:x", "the port is none of 1 to 65535, or *"},
	};
	struct bench *b = *state;

	for (size_t i = 0; i < COUNT(row); i++) {
		char text[300], expected[400];

		snprintf(text, sizeof text, "hosts = ( { match = \"%s\"; } );", row[i].match);
		snprintf(expected, sizeof expected, "t:1: hosts[0].match: expected " HOST ", got \"%s\" (%s)", row[i].match,
			 row[i].why);
		each_is(b, &(struct row){text, expected}, 1);
	}
	for (int n = 254; n < 300; n += 45) {
		char text[400];

		snprintf(text, sizeof text, "hosts = ( { match = \"%0*d\"; } );", n, 0);
		assert_false(compile_text(b, text));
		assert_non_null(strstr(finding(b, 0), "... (the name is longer than 253 characters)"));
	}
}

static void groups_that_are_none_are_refused(void **state)
{
	static const struct row row[] = {
		{"hosts = ( { match = \"a\"; group = \"\"; } );",
		 "t:1: hosts[0].group: expected a name such as \"example\", got \"\" (it is empty)"},
		{"hosts = ( { match = \"a\"; group = \"_total\"; } );",
		 "t:1: hosts[0].group: expected a name such as \"example\", got \"_total\" (letters, digits, and inside - _ . "
		 "are allowed)"},
		{"hosts = ( { match = \"a\"; group = \"a:443\"; } );",
		 "t:1: hosts[0].group: expected a name such as \"example\", got \"a:443\" (letters, digits, and inside - _ . are "
		 "allowed)"},
		{"hosts = ( { match = \"a\"; group = \"0123456789012345678901234567890123456789012345678901234567890123\"; } );",
		 "t:1: hosts[0].group: expected a name such as \"example\", got "
		 "\"012345678901234567890123456789012345678901234567890123456789\"... (it is longer than 63 characters)"},
		{"hosts = ( { match = \"a\"; group = \"g\"; rate = \"5/s\"; },\n{ match = \"b\";\ngroup = \"g\"; } );",
		 "t:3: hosts[1]: group \"g\" has other limits for \"a\" (line 1): rules of one group must say the same"},
	};
	struct bench *b = *state;

	each_is(b, row, COUNT(row) - 1);
	assert_false(compile_text(b, row[COUNT(row) - 1].text));
	assert_int_equal(b->findings.count, 1);
	assert_non_null(strstr(finding(b, 0), "t:3: hosts[1]: group \"g\" has other limits for \"a\" ("));
	assert_non_null(strstr(finding(b, 0), "t:1): rules of one group must say the same"));
	rule_of(b,
		"hosts = ( { match = \"a\"; group = \"g\"; rate = \"5/s\"; }, { match = \"b\"; group = \"G\"; rate = \"5/s\"; } "
		");",
		1);
	static const char *const other[] = {"throttle_status = [ 430 ];", "rates = ( \"5/s\", \"9/m\" );", "breaker = false;"};

	for (size_t i = 0; i < COUNT(other); i++) {
		char text[300];

		snprintf(text, sizeof text,
			 "hosts = ( { match = \"a\"; group = \"g\"; rate = \"5/s\"; }, { match = \"b\"; group = \"g\"; %s } );",
			 other[i]);
		assert_false(compile_text(b, text));
	}
}

static void what_contradicts_itself_is_refused(void **state)
{
	struct bench *b = *state;
	static const struct row row[] = {
		{"hosts = ( { match = \"a\"; },\n{ match = \"b\"; },\n{ match = \"A\"; } );",
		 "t:3: hosts[2]: \"a\" is matched by hosts[0] already, on line 1"},
		{"hosts = ( { rate = \"5/s\"; } );", "t:1: hosts[0]: match is missing: say which hosts this rule is for"},
		{"hosts = ( { } );", "t:1: hosts[0]: match is missing: say which hosts this rule is for"},
		{"defaults = { rate = false; rates = ( \"5/s\" ); };",
		 "t:1: defaults.rates: rates are given, but rate is switched off beside them"},
		{"defaults = { rate = { strategy = \"fixed\"; }; };",
		 "t:1: defaults.rate.strategy: \"fixed\" needs rate.max, the rate itself"},
		{"hosts = ( { match = \"a\"; rate = { strategy = \"aggressive\"; }; } );",
		 "t:1: hosts[0].rate.strategy: \"aggressive\" needs rate.max, where it begins"},
		{"defaults = { rate = { strategy = \"conservative\"; initial = \"none\"; }; };",
		 "t:1: defaults.rate.strategy: \"conservative\" needs rate.initial, where it begins"},
		{"defaults = { rate = { strategy = \"fixed\"; max = \"5/s\"; }; };\n"
		 "hosts = ( { match = \"a\"; rate = { max = \"none\"; }; } );",
		 "t:2: hosts[0].rate.max: \"fixed\" needs rate.max, the rate itself"},
		{"defaults = { concurrency = { mode = \"fixed\"; }; };",
		 "t:1: defaults.concurrency.mode: \"fixed\" needs concurrency.max, the limit itself"},
		{"defaults = { breaker = { slow_call_rate = 0.5; slow_call = \"0s\"; }; };\nhosts = ( { match = \"a\"; } );",
		 "t:1: defaults.breaker.slow_call_rate: needs breaker.slow_call: how long a call takes that is slow"},
		{"total = { rate = { strategy = \"adaptive\"; max = \"1/s\"; }; };",
		 "t:1: total.rate.strategy: expected \"fixed\": there is no one host to learn from"},
		{"total = { concurrency = { mode = \"adaptive\"; }; };",
		 "t:1: total.concurrency.mode: expected \"fixed\" or \"off\": there is no one host to learn from"},
		{"total = { rate = { burst = 4; }; };", "t:1: total.rate: no rate is given: rate.max is missing"},
		{"defaults = { breaker = { open_time = \"10m\"; }; };",
		 "t:1: defaults.breaker.open_time: expected at most breaker.open_time_max, which is \"9s\" (built in), got "
		 "\"10m\""},
	};
	static const struct row placed[] = {
		{"defaults = { rate = {\nmin = \"5/s\";\nmax = \"1/s\"; }; };",
		 "t:2: defaults.rate.min: expected at most rate.max, which is \"1/s\" (%s/t:3), got \"5/s\""},
		{"defaults = { concurrency = {\nmin = 5;\ninitial = 4; }; };",
		 "t:2: defaults.concurrency.min: expected at most concurrency.initial, which is 4 (%s/t:3), got 5"},
		{"defaults = { concurrency = { max = 4; }; };\nhosts = ( { match = \"a\"; concurrency = { initial = 5; }; } );",
		 "t:2: hosts[0].concurrency.initial: expected at most concurrency.max, which is 4 (%s/t:1), got 5"},
		{"defaults = { rate = \"2/s\"; };\nhosts = ( { match = \"a\"; rate = { min = \"3/s\"; initial = \"none\"; }; } "
		 ");",
		 "t:2: hosts[0].rate.min: expected at most rate.max, which is \"2/s\" (%s/t:1), got \"3/s\""},
	};

	each_is(b, row, COUNT(row));
	for (size_t i = 0; i < COUNT(placed); i++) {
		char expected[400];
		const char *hole = strstr(placed[i].finding, "%s");

		snprintf(expected, sizeof expected, "%.*s%s%s", (int)(hole - placed[i].finding), placed[i].finding, b->dir,
			 hole + 2);
		each_is(b, &(struct row){placed[i].text, expected}, 1);
	}
}

static void syntax_errors_name_their_line(void **state)
{
	static const struct row row[] = {
		{"defaults = {\n rate = { max = \"5/s\" \n", "t:3: " SYNTAX},
		{"\ndefaults = { exempt = maybe; };", "t:2: " SYNTAX},
		{"defaults = { wait = { max = \"60s\n\"; }; };", "t:1: this string is not closed on its line"},
		{"a = \"b", "t:1: this string is not closed on its line"},
		{"# a\n/* b\n c\n", "t:2: this comment is never closed"},
		{"\n@include \"other.conf\"\n",
		 "t:2: @include is not supported: put the file into conf.d, or name it in WEIR_CONFIG"},
		{"hosts = ( { match = \"\\x61\"; } );", "t:1: in strings \\\" and \\\\ are the only escapes"},
		{"hosts = ( { match = \"a\\n\"; } );", "t:1: in strings \\\" and \\\\ are the only escapes"},
		{"hosts = ( { match = \"a\\", "t:1: in strings \\\" and \\\\ are the only escapes"},
		{"\n\x07", "t:2: control character 0x07"},
		{"# \x1b[2J", "t:1: control character 0x1b"},
		{"/* \n \x7f */", "t:2: control character 0x7f"},
		{"hosts = ( { match = \"a\x01\"; } );", "t:1: control character 0x01"},
		{"hosts = ( { match = \"a\tb\"; } );", "t:1: control character 0x09"},
		{"a = ((((((((((((((((((((1))))))))))))))))))));", "t:1: nested too deeply"},
		{"agent = { };\n\nagent = { };", "t:3: duplicate setting name"},
		{"agent = { idle_exit = \"1m\"; idle_exit = \"2m\"; };", "t:1: duplicate setting name"},
		{"hosts = ( { match = \"\\\"\"; } );",
		 "t:1: hosts[0].match: expected " HOST ", got \"\"\" (it holds a character that no "
		 "host name has)"},
		{"agent = { } /", "t:1: " SYNTAX},
		{"throttle_status = [ true, 1 ];", "t:1: mismatched element type in array"},
	};
	struct bench *b = *state;
	static const char nul[] = "agent = { };\nagent = \0{ };";

	each_is(b, row, COUNT(row));
	b->chained = 0;
	write_bytes(b, "t", nul, sizeof nul - 1);
	chain(b, "t");
	assert_false(compile(b));
	assert_string_equal(finding(b, 0), "t:2: control character 0x00");
}

static void what_only_looks_wrong_is_accepted(void **state)
{
	static const char *const text[] = {
		"",
		"# nothing",
		"// nothing",
		"/* nothing */",
		"/* # \" */ // /*\n# \" /* \nagent = { };",
		"\xef\xbb\xbf# nothing",
		"agent = { };\r\ntotal : { }\r\n",
		"agent = { idle_exit = \"0.5m\" };",
		"defaults = { rate = { backoff = 0.5000; recovery = 1.10; }; };",
		"defaults = { rate = { backoff = .5; }; };",
	};

	for (size_t i = 0; i < COUNT(text); i++)
		rule_of(*state, text[i], 0);
}

static void all_findings_are_reported_in_order_of_their_lines(void **state)
{
	struct bench *b = *state;

	assert_false(compile_text(b, "hosts = ( { match = \"\"; },\n{ match = \"a\"; rate = \"x\"; } );\n"
				     "defaults = { rate = { burst = 0; min = \"y\"; };\n breaker = { failures = -1; }; };\n"
				     "other = 1;\n"));
	assert_int_equal(b->findings.count, 6);
	static const char *const begins[] = {
		"t:1: hosts[0].match:",
		"t:2: hosts[1].rate:",
		"t:3: defaults.rate.burst:",
		"t:3: defaults.rate.min:",
		"t:4: defaults.breaker.failures:",
		"t:5: other:",
	};

	for (size_t i = 0; i < COUNT(begins); i++) {
		assert_memory_equal(finding(b, i), begins[i], strlen(begins[i]));
		assert_null(strchr(finding(b, i), '\n'));
	}
}

static void thousands_of_findings_are_all_reported(void **state)
{
	struct bench *b = *state;
	enum { RULES = 20000, BYTES = sizeof "{x=1},\n" - 1 };
	char *text = malloc(RULES * BYTES + 64), *p = text;

	p += sprintf(p, "hosts = (\n");
	for (int i = 0; i < RULES; i++)
		p += sprintf(p, "{x=1}%s\n", i + 1 < RULES ? "," : "");
	sprintf(p, ");");
	assert_false(compile_text(b, text));
	assert_int_equal(b->findings.count, 2 * RULES); /* x is unknown, match is missing */
	assert_string_equal(finding(b, 2 * RULES - 1),
			    "t:20001: hosts[19999]: match is missing: say which hosts this rule is for");
	/* One group cannot hold so many: libconfig would take minutes. */
	p = text;
	for (int i = 0; i < 200; i++)
		p += sprintf(p, "x%d=1\n", i);
	assert_false(compile_text(b, text));
	assert_int_equal(b->findings.count, 1);
	assert_string_equal(finding(b, 0), "t:129: too many settings in one group");
	free(text);
}

static void more_rules_than_there_is_room_for_are_refused(void **state)
{
	struct bench *b = *state;
	char *text = malloc(400 * 32), *p = text;

	p += sprintf(p, "hosts = (\n");
	for (int i = 0; i < 255; i++)
		p += sprintf(p, "%s{ match = \"h%d\"; }\n", i > 0 ? "," : "", i);
	sprintf(p, ");");
	assert_true(compile_text(b, text));
	assert_int_equal(b->policy.rule_count, 256);
	sprintf(p, ", { match = \"x\"; } );");
	assert_false(compile_text(b, text));
	assert_int_equal(b->findings.count, 1);
	assert_string_equal(finding(b, 0), "t:257: hosts[255]: too many rules: at most 255 in all files together");
	free(text);
}

static void a_day_that_is_none_is_refused(void **state)
{
	static const struct row row[] = {
		{"hosts = ( { match = \"a\"; verified_on = \"2026-02-29\"; } );",
		 "t:1: hosts[0].verified_on: expected a day such as \"2026-11-27\", got \"2026-02-29\""},
		{"hosts = ( { match = \"a\"; verified_on = \"26-11-2027\"; } );",
		 "t:1: hosts[0].verified_on: expected a day such as \"2026-11-27\", got \"26-11-2027\""},
		{"hosts = ( { match = \"a\"; source = 7; } );",
		 "t:1: hosts[0].source: expected an address or a title, of up to 159 bytes, got 7"},
	};

	each_is(*state, row, COUNT(row));
}

static void what_retry_cannot_be_is_said(void **state)
{
	static const struct row row[] = {
		{"defaults = { retry = \"often\"; };",
		 "t:1: defaults.retry: expected a number of attempts such as 3, true, false or a group { }, got \"often\""},
		{"defaults = { retry = 21; };",
		 "t:1: defaults.retry: expected a whole number from 1 to 20, got 21 (the number is too large)"},
		{"defaults = { retry = { on = [ \"trottled\" ]; }; };",
		 "t:1: defaults.retry.on[0]: expected \"throttled\", \"connect\", \"timeout\" or \"server_error\", got "
		 "\"trottled\""},
		{"defaults = { retry = { methods = \"POST\"; }; };",
		 "t:1: defaults.retry.methods: expected a list of words such as [ \"GET\", \"HEAD\" ], got \"POST\""},
		{"defaults = { retry = { atempts = 2; }; };",
		 "t:1: defaults.retry.atempts: unknown key; did you mean \"attempts\"?"},
		{"defaults = { retry = { base = \"30s\"; }; };",
		 "t:1: defaults.retry.base: expected at most retry.cap, which is \"20s\" (built in), got \"30s\""},
		{"total = { retry = 3; };", "t:1: total.retry: unknown key; the keys here are rate, rates, concurrency, wait"},
	};

	each_is(*state, row, COUNT(row));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(unknown_keys_come_with_a_suggestion, set_up, tear_down),
		cmocka_unit_test_setup_teardown(values_of_the_wrong_type_are_shown, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rates_and_counts_out_of_bounds_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shares_out_of_bounds_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(durations_words_and_lists_out_of_bounds_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(large_numbers_do_not_wrap, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hosts_that_are_none_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(groups_that_are_none_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_contradicts_itself_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(syntax_errors_name_their_line, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_only_looks_wrong_is_accepted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(all_findings_are_reported_in_order_of_their_lines, set_up, tear_down),
		cmocka_unit_test_setup_teardown(thousands_of_findings_are_all_reported, set_up, tear_down),
		cmocka_unit_test_setup_teardown(more_rules_than_there_is_room_for_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_day_that_is_none_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_retry_cannot_be_is_said, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
