/* SPDX-License-Identifier: MIT */
/* The manual pages have every option, key and metric that the program has, and none that it has not. */
#include "weir_program.h"

#include <ctype.h>

#include "weir/policy.h"

/* The pages as scripts/manual makes them, once for all tests. */
static char *made;

static int make_pages(void **state)
{
	char *weir = build_path("weir");
	const char *argv[] = {"scripts/manual", weir, NULL, NULL};
	struct command c = {.argv = argv, .mode = COMMAND_BARE};
	struct outcome o;

	(void)state;
	made = temp_dir_create();
	if (access("scripts/manual", X_OK) == 0) {
		argv[2] = made;
		o = command_run(&c);
		if (o.exit_status != 0 || o.err_bytes > 0)
			fail_msg("scripts/manual: exit status %d: %s", o.exit_status, o.err);
		outcome_free(&o);
	}
	free(weir);
	return 0;
}

static int remove_pages(void **state)
{
	(void)state;
	temp_dir_remove(made);
	return 0;
}

/* One of them, to be freed. */
static char *page(const char *name)
{
	char *file = path_in(made, name), *text = read_file(file);

	free(file);
	if (!text) {
		print_message("    skipped: not run in the source tree\n");
		skip();
	}
	return text;
}

/* Calls `each` for the rest of every line that begins so. Returns how many there were. */
static unsigned for_lines(char *text, const char *begin, void (*each)(const char *rest, void *data), void *data)
{
	char *rest = NULL;
	unsigned count = 0;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, begin, strlen(begin)) != 0)
			continue;
		each(line + strlen(begin), data);
		count++;
	}
	return count;
}

/* That a page names this once as an item: ".It Ic NAME". */
static void assert_item(const char *text, const char *name)
{
	char item[128];
	const char *at;

	snprintf(item, sizeof item, "\n.It Ic %s\n", name);
	at = strstr(text, item);
	if (!at)
		fail_msg("%s is missing", name);
	else if (strstr(at + 1, item))
		fail_msg("%s is there twice", name);
}

struct subcommand_page {
	struct scene *scene;
	const char *text;
};

/* Every word of a subcommand's help that looks like an option is in its part of the page. */
static void find_options(const char *part, const char *help)
{
	const char *end = strstr(part + 1, "\n.Ss ");

	for (const char *at = strstr(help, "--"); at; at = strstr(at, "--")) {
		char option[64], flag[80];
		size_t n = strspn(at + 2, "abcdefghijklmnopqrstuvwxyz-");

		snprintf(option, sizeof option, "%.*s", (int)n, at + 2);
		snprintf(flag, sizeof flag, "Fl Fl %s", option);
		at += 2 + n;
		if (n == 0 || isspace((unsigned char)at[-1]))
			continue;
		const char *found = strstr(part, flag);
		const char *said = strstr(part, option); /* in the synopsis, or in a sentence */

		if ((!found || (end && found > end)) && (!said || (end && said > end)))
			fail_msg("--%s is missing in\n%s", option, part);
	}
}

static void check_subcommand(const char *line, void *data)
{
	struct subcommand_page *p = data;
	char name[32], part[40];
	const char *at;
	char *help;

	if (!islower((unsigned char)line[0]))
		return;
	snprintf(name, sizeof name, "%.*s", (int)strcspn(line, " "), line);
	snprintf(part, sizeof part, "\n.Ss %s\n", name);
	at = strstr(p->text, part);
	if (!at)
		fail_msg("weir %s is missing", name);
	help = WEIR_EXPECT(p->scene, 0, "help", name);
	find_options(at, help);
	free(help);
}

static void every_subcommand_and_option_is_in_weir_1(void **state)
{
	struct scene *scene = *state;
	char *text = page("weir.1"), *help = WEIR_EXPECT(scene, 0, "help");
	struct subcommand_page p = {scene, text};

	assert_true(for_lines(help, "  ", check_subcommand, &p) >= 13);
	free(help);
	free(text);
}

/* A page's subcommand is one of the program. */
static void ask_for_help(const char *name, void *data)
{
	free(WEIR_EXPECT(data, 0, "help", name));
}

static void weir_1_names_no_subcommand_that_there_is_not(void **state)
{
	char *text = page("weir.1");

	assert_true(for_lines(text, ".Ss ", ask_for_help, *state) >= 13);
	free(text);
}

static void find_key(const char *line, void *data)
{
	char key[80];

	snprintf(key, sizeof key, "%.*s", (int)strcspn(line, " "), line);
	/* One row of the reference stands for all of these. */
	if (strncmp(key, "total.concurrency.", 18) == 0)
		return;
	assert_item(data, strncmp(key, "defaults.", 9) == 0 ? key + 9 : key);
}

static void every_key_is_in_weir_conf_5(void **state)
{
	struct scene *scene = *state;
	char *text = page("weir.conf.5"), *keys = WEIR_EXPECT(scene, 0, "config", "show");

	assert_true(for_lines(keys, "", find_key, text) >= 30);
	free(keys);
	free(text);
}

/* A file's text with this key in it, between what a section begins and ends with. */
static void write_key(char *out, size_t size, const char *before, const char *key, const char *after)
{
	const char *last = strrchr(key, '.');
	unsigned groups = 0;
	size_t n = (size_t)snprintf(out, size, "%s", before);

	for (const char *at = key; last && at < last + 1; at += strcspn(at, ".") + 1, groups++)
		n += (size_t)snprintf(out + n, size - n, "%.*s = { ", (int)strcspn(at, "."), at);
	n += (size_t)snprintf(out + n, size - n, "%s = [ ];", last ? last + 1 : key);
	for (; groups > 0; groups--)
		n += (size_t)snprintf(out + n, size - n, " };");
	snprintf(out + n, size - n, "%s\n", after);
}

/* Whether a text is taken, or refused for anything but a key that is unknown. */
static bool compiles(const char *dir, const char *text)
{
	char chain[1][WEIR_PATH_MAX], *file = write_file(dir, "key.conf", text);
	struct weir_policy policy;
	struct weir_findings findings;
	bool known = true;

	snprintf(chain[0], sizeof chain[0], "%s", file);
	weir_policy_compile(chain, 1, true, &policy, &findings);
	for (size_t i = 0; i < findings.count; i++)
		known &= !strstr(findings.line[i], "unknown key") && !strstr(findings.line[i], "syntax error");
	weir_policy_free(&policy);
	weir_findings_free(&findings);
	free(file);
	return known;
}

/* The program knows a key, wherever it may stand. */
static void know_key(const char *key, void *data)
{
	static const char *const sections[][2] = {
		{"", ""}, {"defaults = { ", " };"}, {"hosts = ( { match = \"a.example\"; ", " } );"}, {"hosts = ( { ", " } );"}};
	struct scene *scene = data;
	bool known = false;

	for (size_t i = 0; !known && i < sizeof sections / sizeof *sections; i++) {
		char text[300];

		write_key(text, sizeof text, sections[i][0], key, sections[i][1]);
		known = compiles(scene->dir, text);
	}
	if (!known)
		fail_msg("the page has %s, which the program does not know", key);
}

static void weir_conf_5_names_no_key_that_there_is_not(void **state)
{
	char *text = page("weir.conf.5");

	assert_true(for_lines(text, ".It Ic ", know_key, *state) >= 30);
	free(text);
}

static void find_metric(const char *line, void *data)
{
	char name[96];

	snprintf(name, sizeof name, "%.*s", (int)strcspn(line, " "), line);
	assert_item(data, name);
}

static void have_metric(const char *name, void *data)
{
	char type[120];

	snprintf(type, sizeof type, "# TYPE %s ", name);
	assert_contains((const char *)data, type);
}

static void weir_metrics_7_has_the_metrics_that_are_exported_and_no_others(void **state)
{
	struct scene *scene = *state;
	char *text = page("weir-metrics.7"), *exported, *copy;

	free(WEIR_EXPECT(scene, 0, "set", "api.example.org:443", "rate=1/s", "--create"));
	exported = WEIR_EXPECT(scene, 0, "stats", "--prometheus");
	copy = strdup(exported);
	assert_true(for_lines(copy, "# TYPE ", find_metric, text) >= 30);
	assert_true(for_lines(text, ".It Ic ", have_metric, exported) >= 30);
	free(copy);
	free(exported);
	free(text);
}

static void mandoc_finds_nothing_to_complain_of(void **state)
{
	struct command c = {.shell = "command -v mandoc >/dev/null || exit 77; mandoc -Tlint ./* 2>/dev/null | grep -v "
				     "'referenced manual not found'",
			    .mode = COMMAND_BARE,
			    .cwd = made};
	struct outcome o;

	(void)state;
	free(page("weir.1"));
	o = command_run(&c);
	if (o.exit_status == 77) {
		outcome_free(&o);
		print_message("    skipped: mandoc is not here\n");
		skip();
	}
	if (o.out_bytes > 0)
		fail_msg("mandoc -Tlint: %s", o.out);
	outcome_free(&o);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(every_subcommand_and_option_is_in_weir_1),
		SCENE(weir_1_names_no_subcommand_that_there_is_not),
		SCENE(every_key_is_in_weir_conf_5),
		SCENE(weir_conf_5_names_no_key_that_there_is_not),
		SCENE(weir_metrics_7_has_the_metrics_that_are_exported_and_no_others),
		SCENE(mandoc_finds_nothing_to_complain_of),
	};

	return cmocka_run_group_tests(tests, make_pages, remove_pages);
}
