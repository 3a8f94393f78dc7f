/* SPDX-License-Identifier: MIT */
/* `alerts` in the configuration: thresholds for all hosts and for those of a rule, and what is done. */
#include "policy_files.h"

static const struct weir_alert_params *alerts_of(struct bench *b, const char *text, size_t rule)
{
	forget(b);
	if (!compile_text(b, text))
		fail_msg("%s", b->findings.count > 0 ? b->findings.line[0] : "refused without a finding");
	assert_true(rule < b->policy.rule_count);
	assert_non_null(b->policy.alerts);
	return &b->policy.alerts[rule];
}

static void without_a_word_the_usual_thresholds_hold(void **state)
{
	struct bench *b = *state;
	const struct weir_alert_params *p = alerts_of(b, "", 0);

	assert_memory_equal(p, &weir_alert_builtin, sizeof *p);
	assert_int_equal(p->limit[WEIR_ALERT_LATENCY], 5 * S);
	assert_int_equal(p->limit[WEIR_ALERT_ERROR_RATE], 100);
	assert_int_equal(p->limit[WEIR_ALERT_BREAKER_OPEN], 1);
	assert_int_equal(p->limit[WEIR_ALERT_QUEUE], 0);
	assert_int_equal(p->limit[WEIR_ALERT_QUOTA], 900);
	assert_string_equal(b->policy.alert_actions.command, "");
	assert_false(b->policy.alert_actions.syslog);
}

static void a_rule_inherits_what_it_does_not_say(void **state)
{
	struct bench *b = *state;
	const struct weir_alert_params *p =
		alerts_of(b,
			  "alerts = { latency = \"2s\"; error_rate = \"2.5%\"; queue = 7; window = "
			  "\"10s\"; for = \"0s\"; command = \"cat >x\"; syslog = true; };\n"
			  "hosts = ( { match = \"a\"; alerts = { latency = \"500ms\"; queue = false; }; "
			  "}, { match = \"b\"; alerts = false; }, { match = \"c\"; path = \"/x\"; rate = "
			  "\"1/s\"; alerts = { throttled_rate = \"100%\"; }; } );",
			  0);
	const struct weir_rule *r = b->policy.rules;

	for (size_t i = 0; i < b->policy.rule_count; i++, p++, r++) {
		assert_int_equal(p->window_ns, 10 * S);
		assert_int_equal(p->for_ns, 0);
		switch (r->match[0]) {
		case 'a':
			assert_int_equal(p->limit[WEIR_ALERT_LATENCY], S / 2);
			assert_int_equal(p->limit[WEIR_ALERT_ERROR_RATE], 25);
			assert_int_equal(p->limit[WEIR_ALERT_QUEUE], 0);
			break;
		case 'b':
			for (unsigned k = 0; k < WEIR_ALERT_KINDS; k++)
				assert_int_equal(p->limit[k], 0);
			break;
		case 'c':
			/* Its host has a rule as well, which says nothing. */
			assert_int_equal(p->limit[WEIR_ALERT_THROTTLED_RATE], r->narrow.path[0] ? 1000 : 100);
			assert_int_equal(p->limit[WEIR_ALERT_QUEUE], 7);
			break;
		default:
			assert_int_equal(p->limit[WEIR_ALERT_LATENCY], 2 * S);
			assert_int_equal(p->limit[WEIR_ALERT_QUEUE], 7);
			break;
		}
	}
	assert_string_equal(b->policy.alert_actions.command, "cat >x");
	assert_true(b->policy.alert_actions.syslog);
}

static const char *value_of(const struct bench *b, const char *key)
{
	const struct weir_origin *o = origin(b, key);

	return o ? o->value : NULL;
}

static void what_is_in_force_is_shown_as_it_is_written(void **state)
{
	struct bench *b = *state;

	alerts_of(b,
		  "alerts = { quota = \"0.5%\"; latency = false; command = \"echo \\\"a\\\" | x\"; hysteresis = \"0%\"; };\n"
		  "hosts = ( { match = \"a\"; alerts = { queue = 9; }; } );",
		  0);
	assert_string_equal(value_of(b, "alerts.quota"), "\"0.5%\"");
	assert_string_equal(value_of(b, "alerts.latency"), "false");
	assert_string_equal(value_of(b, "alerts.hysteresis"), "\"0%\"");
	assert_string_equal(value_of(b, "alerts.command"), "\"echo \\\"a\\\" | x\"");
	assert_string_equal(value_of(b, "hosts[a].alerts.queue"), "9");
	assert_null(value_of(b, "hosts[a].alerts.quota"));
}

static void what_is_no_threshold_is_refused(void **state)
{
	static const char *const bad[][2] = {
		{"alerts = { error_rate = 10; };",
		 "t:1: alerts.error_rate: expected a percentage such as \"10%\", or false, got 10"},
		{"alerts = { error_rate = \"101%\"; };", NULL},
		{"alerts = { error_rate = \"100.1%\"; };", NULL},
		{"alerts = { error_rate = \"0%\"; };", NULL},
		{"alerts = { error_rate = \"1.25%\"; };", NULL},
		{"alerts = { error_rate = \"%\"; };", NULL},
		{"alerts = { error_rate = \".5%\"; };", NULL},
		{"alerts = { error_rate = \"5%%\"; };", NULL},
		{"alerts = { error_rate = \"-5%\"; };", NULL},
		{"alerts = { error_rate = \"99999999%\"; };", NULL},
		{"alerts = { hysteresis = false; };", NULL},
		{"alerts = { latency = 5; };", NULL},
		{"alerts = { latency = true; };", NULL},
		{"alerts = { window = \"0s\"; };", NULL},
		{"alerts = { queue = 0; };", NULL},
		{"alerts = { queue = true; };", NULL},
		{"alerts = { breaker_open = 1; };", NULL},
		{"alerts = { min_samples = 0; };", NULL},
		{"alerts = { command = 1; };", NULL},
		{"alerts = true;",
		 "t:1: alerts: expected false or a group such as { latency = \"5s\"; error_rate = \"10%\"; }, got true"},
		{"alerts = { latencie = \"5s\"; };", "t:1: alerts.latencie: unknown key; did you mean \"latency\"?"},
		{"hosts = ( { match = \"a\"; alerts = { command = \"x\"; }; } );", NULL},
		{"defaults = { alerts = { queue = 1; }; };", NULL},
		{"total = { alerts = { queue = 1; }; };", NULL},
	};
	struct bench *b = *state;

	for (size_t i = 0; i < COUNT(bad); i++) {
		forget(b);
		if (compile_text(b, bad[i][0]))
			fail_msg("accepted: %s", bad[i][0]);
		assert_int_equal(b->findings.count, 1);
		if (bad[i][1])
			assert_string_equal(finding(b, 0), bad[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_a_word_the_usual_thresholds_hold, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_rule_inherits_what_it_does_not_say, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_in_force_is_shown_as_it_is_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_threshold_is_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
