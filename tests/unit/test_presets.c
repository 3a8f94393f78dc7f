/* SPDX-License-Identifier: MIT */
/* conf/presets: each is taken, says where its limits are published, and is for a host that no other is for. */
#include "policy_files.h"

/* The repository's presets, wherever the test is run from. */
static void presets_directory(char out[600])
{
	const char *here = strrchr(__FILE__, '/');
	struct stat st;

	snprintf(out, 600, "conf/presets");
	if (stat(out, &st) != 0)
		snprintf(out, 600, "%.*s/../../conf/presets", (int)(here - __FILE__), __FILE__);
}

static int is_conf(const struct dirent *e)
{
	return strstr(e->d_name, ".conf") != NULL;
}

/* What the policy says of a rule: hosts[MATCH].KEY, without quotes; NULL when it says nothing. */
static const char *said(const struct weir_policy *p, const char *match, const char *key)
{
	char name[WEIR_MATCH_MAX + 40];

	snprintf(name, sizeof name, "hosts[%s].%s", match, key);
	for (size_t i = 0; i < p->origin_count; i++) {
		if (strcmp(p->origins[i].key, name) == 0)
			return p->origins[i].value;
	}
	return NULL;
}

static void check_rules(const char *file, const struct weir_policy *p)
{
	assert_true(p->rule_count >= 2); /* one at least, and the defaults */
	for (uint32_t i = 0; i + 1 < p->rule_count; i++) {
		const char *match = p->rules[i].match, *source = said(p, match, "source");

		if (!source || strncmp(source, "\"https://", 9) != 0)
			fail_msg("%s: %s has no source", file, match);
	}
	for (size_t i = 0; i < p->origin_count; i++) {
		if (strcmp(p->origins[i].source, "built in") != 0 && strncmp(p->origins[i].key, "hosts[", 6) != 0)
			fail_msg("%s: %s: a preset changes nothing but its hosts", file, p->origins[i].key);
	}
}

static void each_preset_is_taken_and_says_where_its_limits_are_published(void **state)
{
	struct bench *b = *state;
	struct dirent **entry;
	char directory[600];
	int n;

	presets_directory(directory);
	n = scandir(directory, &entry, is_conf, alphasort);
	assert_true(n >= 26);
	for (int i = 0; i < n; i++) {
		struct weir_policy p;
		struct weir_findings findings;

		assert_true(snprintf(b->chain[0], WEIR_PATH_MAX, "%.200s/%.100s", directory, entry[i]->d_name) > 0);
		if (!weir_policy_compile(b->chain, 1, true, &p, &findings))
			fail_msg("%s", findings.count ? findings.line[0] : entry[i]->d_name);
		check_rules(entry[i]->d_name, &p);
		weir_policy_free(&p);
		weir_findings_free(&findings);
		free(entry[i]);
	}
	free(entry);
}

/* Any two may be enabled together: no host has two rules that hide one another, no group two limits. */
static void presets_do_not_contradict_each_other(void **state)
{
	struct bench *b = *state;
	struct dirent **entry;
	char directory[600];
	uint32_t rules = 0;
	int n, first = 0;

	presets_directory(directory);
	n = scandir(directory, &entry, is_conf, alphasort);
	/* So many as are read at a time; with one in common, so that each two neighbours meet. */
	for (; first < n; first += WEIR_SOURCES - 1) {
		struct weir_policy p;
		struct weir_findings findings;
		size_t count = 0;

		for (int i = first; i < n && count < WEIR_SOURCES; i++, count++)
			assert_true(snprintf(b->chain[count], WEIR_PATH_MAX, "%.200s/%.100s", directory, entry[i]->d_name) > 0);
		if (!weir_policy_compile(b->chain, count, true, &p, &findings))
			fail_msg("%s", findings.count ? findings.line[0] : "?");
		assert_true(p.rule_count > count);
		rules += p.rule_count;
		weir_policy_free(&p);
		weir_findings_free(&findings);
	}
	assert_true(rules > 26);
	for (int i = 0; i < n; i++)
		free(entry[i]);
	free(entry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_preset_is_taken_and_says_where_its_limits_are_published, set_up, tear_down),
		cmocka_unit_test_setup_teardown(presets_do_not_contradict_each_other, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
