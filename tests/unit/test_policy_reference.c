/* SPDX-License-Identifier: MIT */
/* conf/weir.conf and docs/configuration.md say what the program does: neither can drift. */
#include "policy_files.h"

#include <ctype.h>

/* A file of the repository, wherever the test is run from. Returns its text, to be freed. */
static char *repository_file(const char *name)
{
	char path[600];
	const char *here = strrchr(__FILE__, '/');
	FILE *f = fopen(name, "r");

	if (!f) {
		snprintf(path, sizeof path, "%.*s/../../%s", (int)(here - __FILE__), __FILE__, name);
		f = fopen(path, "r");
	}
	if (!f)
		fail_msg("%s is not found", name);
	char *text = calloc(1, 1 << 20);

	assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
	fclose(f);
	return text;
}

/* Takes the '#' off every line that is a key and no prose ("#max = 0;" and not "# Never"). Returns how many there were. */
static unsigned uncomment(char *text)
{
	unsigned keys = 0;
	char *line = text;

	while (line) {
		char *p = line + strspn(line, "\t");

		if (p[0] == '#' && islower((unsigned char)p[1])) {
			p[0] = ' ';
			keys++;
		}
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return keys;
}

static void the_sample_file_loads_as_it_is_and_changes_nothing(void **state)
{
	struct bench *b = *state;
	struct weir_rule built_in;
	char *text = repository_file("conf/weir.conf");

	weir_rule_defaults(&built_in);
	assert_memory_equal(rule_of(b, text, 0), &built_in, sizeof built_in);
	for (size_t i = 0; i < b->policy.origin_count; i++)
		assert_string_equal(b->policy.origins[i].source, "built in");
	free(text);
}

static void every_key_of_the_sample_file_shows_its_default(void **state)
{
	struct bench *b = *state;
	struct weir_policy built_in = {0};
	struct weir_findings none;
	char *text = repository_file("conf/weir.conf");
	unsigned keys = uncomment(text);

	assert_true(weir_policy_compile(NULL, 0, false, &built_in, &none));
	const struct weir_rule *r = rule_of(b, text, 0);

	assert_int_equal(b->policy.rule_count, 1);
	assert_memory_equal(r, &built_in.rules[0], sizeof *r);
	assert_memory_equal(&b->policy.total, &built_in.total, sizeof *r);
	assert_false(b->policy.total_in_use);
	assert_int_equal(b->policy.idle_exit_ns, built_in.idle_exit_ns);
	assert_int_equal(b->policy.entries, built_in.entries);
	/* And no key is missing: everything now comes from the file. (hosts and total.rates have no value of their own.) */
	assert_int_equal(b->policy.origin_count, built_in.origin_count);
	for (size_t i = 0; i < b->policy.origin_count; i++) {
		assert_string_equal(b->policy.origins[i].value, built_in.origins[i].value);
		if (strcmp(b->policy.origins[i].source, "built in") == 0)
			fail_msg("%s is missing in conf/weir.conf", b->policy.origins[i].key);
	}
	assert_int_equal(keys, b->policy.origin_count + 2);
	weir_policy_free(&built_in);
	free(text);
}

static void the_reference_has_every_key_with_its_default(void **state)
{
	struct bench *b = *state;
	char *text = repository_file("docs/configuration.md");

	rule_of(b, "", 0);
	for (size_t i = 0; i < b->policy.origin_count; i++) {
		const struct weir_origin *o = &b->policy.origins[i];
		const char *key = strncmp(o->key, "defaults.", 9) == 0 ? o->key + 9 : o->key;
		char row[80], value[80];

		if (strncmp(key, "total.concurrency.", 18) == 0)
			continue; /* one row for all */
		snprintf(row, sizeof row, "\n| `%s` |", key);
		snprintf(value, sizeof value, "| `%s` |", o->value);
		char *at = strstr(text, row);

		if (!at)
			fail_msg("%s is missing in docs/configuration.md", key);
		else if (!strstr(at, value) || strstr(at, value) > strchr(at + 2, '\n'))
			fail_msg("docs/configuration.md does not say that the default of %s is %s", key, o->value);
	}
	free(text);
}

static void the_example_of_the_reference_is_right(void **state)
{
	struct bench *b = *state;
	char *text = repository_file("docs/configuration.md");
	char *begin = strstr(text, "## An example\n\n```\n"), *end;

	assert_non_null(begin);
	begin += strlen("## An example\n\n```\n");
	end = strstr(begin, "```");
	assert_non_null(end);
	*end = '\0';
	rule_of(b, begin, 0);
	assert_int_equal(b->policy.rule_count, 6);
	free(text);
}

/* The rules that the comment above `hosts` suggests. */
static void the_rules_that_the_sample_file_suggests_are_right(void **state)
{
	struct bench *b = *state;
	char *text = repository_file("conf/weir.conf"), *begin = strstr(text, "#   hosts = ("), *end, *line;

	assert_non_null(begin);
	end = strstr(begin, "#   );");
	assert_non_null(end);
	end[strlen("#   );")] = '\0';
	for (line = begin; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		line[0] = ' ';
	rule_of(b, begin, 0);
	/* Eight, and the defaults; both hosts with narrowed rules have one of their own. */
	assert_int_equal(b->policy.rule_count, 9);
	const struct weir_rule *github = &b->policy.rules[0];

	assert_string_equal(github->match, "api.github.com");
	assert_int_equal(github->narrow.count, 2);
	assert_string_equal(b->policy.rules[github->narrow.first].narrow.path, "/search/*");
	assert_int_equal(b->policy.rules[github->narrow.first + 1].narrow.flags, WEIR_NARROW_IS | WEIR_NARROW_APART);
	assert_string_equal(origin(b, "hosts[api.example.org].quotas")->value, "( \"1000/day UTC\", \"100/6h rolling\" )");
	assert_string_equal(origin(b, "hosts[api.example.org].retry.attempts")->value, "3");
	assert_string_equal(origin(b, "hosts[api.example.org].per_client.rate")->value, "\"2/s\"");
	assert_string_equal(origin(b, "hosts[nightly.example.org].profile")->value, "\"polite\"");
	assert_string_equal(origin(b, "hosts[nightly.example.org].priority")->value, "\"low\"");
	assert_string_equal(origin(b, "hosts[nightly.example.org].wait.max")->value, "\"1h\"");
	assert_string_equal(origin(b, "hosts[nightly.example.org].breaker.failures")->value, "3");
	free(text);
}

/* One of each kind of decision, all of them found, each with its place. */
static void a_mistake_of_each_kind_is_told_with_its_place(void **state)
{
	static const char text[] = "defaults = { profile = \"quick\"; };\n"
				   "hosts = (\n"
				   "  { match = \"a\"; priority = \"urgent\"; },\n"
				   "  { match = \"b\"; queue = { max = 70000; }; },\n"
				   "  { match = \"c\"; share = { normal = 0.8; low = 0.3; }; },\n"
				   "  { match = \"d\"; quotas = ( \"1000/day Nowhere/Land\" ); },\n"
				   "  { match = \"e\"; retry = 99; },\n"
				   "  { match = \"f\"; path = \"search\"; rate = \"1/s\"; },\n"
				   "  { match = \"g\"; method = \"post\"; rate = \"1/s\"; },\n"
				   "  { match = \"h\"; path = \"/x\"; retry = 3; },\n"
				   "  { match = \"i\"; per_client = { rate = \"fast\"; }; }\n"
				   ");\n";
	struct bench *b = *state;
	char at[8];

	assert_false(compile_text(b, text));
	for (int line = 1; line <= 11; line++) {
		size_t i = 0;

		if (line == 2)
			continue;
		snprintf(at, sizeof at, "t:%d:", line);
		while (i < b->findings.count && strncmp(finding(b, i), at, strlen(at)) != 0)
			i++;
		if (i == b->findings.count)
			fail_msg("nothing is found on line %d", line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_sample_file_loads_as_it_is_and_changes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(every_key_of_the_sample_file_shows_its_default, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_reference_has_every_key_with_its_default, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_example_of_the_reference_is_right, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_rules_that_the_sample_file_suggests_are_right, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_mistake_of_each_kind_is_told_with_its_place, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
