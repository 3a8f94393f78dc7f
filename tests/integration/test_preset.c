/* SPDX-License-Identifier: MIT */
/* `weir preset`: what it makes, what it leaves alone, and what is told of limits that are old. */
#include "tests/harness/requirement.h"
#include "weir_program.h"

static char *user_directory(struct scene *scene)
{
	return path_in(scene->dir, EMPTY_CONFIG_DIR "/weir/conf.d");
}

/* Asserts the exit status and a text on stderr. */
static void expect_complaint(const struct command *c, int status, const char *text)
{
	struct outcome o = command_run(c);

	assert_int_equal(o.exit_status, status);
	assert_contains(o.err, text);
	outcome_free(&o);
}

static void a_preset_is_listed_shown_enabled_and_disabled(void **state)
{
	struct scene *scene = *state;
	char *directory = user_directory(scene), *listed = WEIR_EXPECT(scene, 0, "preset", "list"),
	     *shown = WEIR_EXPECT(scene, 0, "preset", "show", "github"),
	     *made = WEIR_EXPECT(scene, 0, "preset", "enable", "github", "--user"), *file, *text, *rules, *after;

	assert_contains(listed, "github");
	assert_contains(shown, "\"5000/h\"");
	assert_contains(made, "preset-github.conf");
	file = path_in(directory, "preset-github.conf");
	text = read_file(file);
	assert_non_null(text);
	assert_string_equal(text, shown);
	rules = WEIR_EXPECT(scene, 0, "config", "show");
	assert_contains(rules, "hosts[api.github.com].rate.max = \"5000/h\"");
	assert_contains(rules, file);
	free(WEIR_EXPECT(scene, 0, "preset", "disable", "github", "--user"));
	assert_int_equal(access(file, F_OK), -1);
	after = WEIR_EXPECT(scene, 0, "preset", "disable", "github", "--user"); /* nothing to do is no error */
	assert_contains(after, "not there");
	free(after);
	free(rules);
	free(text);
	free(file);
	free(made);
	free(shown);
	free(listed);
	free(directory);
}

static void a_file_that_is_there_is_neither_overwritten_nor_removed(void **state)
{
	struct scene *scene = *state;
	char *directory = user_directory(scene), *file, *text;

	free(WEIR_EXPECT(scene, 0, "preset", "enable", "arxiv", "--user"));
	free(write_file(directory, "preset-arxiv.conf", "# mine\n"));
	expect_complaint(LINE(scene, "preset", "enable", "arxiv", "--user"), 1, "differs from the preset");
	expect_complaint(LINE(scene, "preset", "disable", "arxiv", "--user"), 1, "remove it yourself");
	file = path_in(directory, "preset-arxiv.conf");
	text = read_file(file);
	assert_string_equal(text, "# mine\n");
	free(text);
	free(file);
	free(directory);
}

static void a_preset_with_which_the_configuration_would_be_refused_is_taken_back(void **state)
{
	struct scene *scene = *state;
	char *directory = user_directory(scene), *file;

	free(WEIR_EXPECT(scene, 0, "preset", "enable", "arxiv", "--user"));
	free(write_file(directory, "sec.conf",
			"hosts = ( { match = \"sec.example.org\"; group = \"sec\"; rate = \"1/s\"; } );\n"));
	expect_complaint(LINE(scene, "preset", "enable", "sec", "--user"), 1, "taken back");
	file = path_in(directory, "preset-sec.conf");
	assert_int_equal(access(file, F_OK), -1);
	free(WEIR_EXPECT(scene, 0, "config", "check"));
	free(file);
	free(directory);
}

static void what_is_no_preset_is_said(void **state)
{
	struct scene *scene = *state;

	expect_complaint(LINE(scene, "preset", "show", "nonsense"), 1, "no preset 'nonsense'");
	expect_complaint(LINE(scene, "preset", "show", "../weir"), 1, "no preset");
	expect_complaint(LINE(scene, "preset", "enable"), 64, "no preset given");
	expect_complaint(LINE(scene, "preset", "install", "github"), 64, "got 'install'");
}

static void limits_that_were_compared_more_than_a_year_ago_are_told_of(void **state)
{
	struct scene *scene = *state;
	char *file = write_file(
		scene->dir, "old.conf",
		"hosts = ( { match = \"a.example\"; source = \"https://a.example/\"; verified_on = \"2020-01-31\"; } );\n");
	struct outcome o = WEIR(scene, "config", "check", file);

	assert_int_equal(o.exit_status, 0);
	assert_contains(o.err, "old.conf:1: hosts[a.example].verified_on: 2020-01-31 is more than a year ago");
	outcome_free(&o);
	free(file);
}

static void what_root_enables_for_all_all_can_read(void **state)
{
	struct scene *scene = *state;
	char *weir = build_path("weir"), variable[600];
	const char *const env[] = {variable, "HOME", NULL};
	/* Only where the machine's configuration lies in what is mounted over. */
	const char *text = "grep -q '\"/etc/weir\"' \"${WEIR%/*}/places\" || { echo elsewhere; exit 0; }\n"
			   "mount -t tmpfs none /etc; umask 077; \"$WEIR\" preset enable github --system >&2\n"
			   "cd /etc/weir; stat -c %a . conf.d conf.d/preset-github.conf";
	const char *const argv[] = {"unshare", "-rm", "--propagation", "private", "sh", "-ec", text, NULL};
	struct outcome o;

	require_namespaces();
	snprintf(variable, sizeof variable, "WEIR=%s", weir);
	o = command_run(&(struct command){.argv = argv, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir, .env = env});
	if (strcmp(o.out, "elsewhere\n") != 0 && strcmp(o.out, "755\n755\n644\n") != 0)
		fail_msg("exit %d: %s%s", o.exit_status, o.out, o.err);
	outcome_free(&o);
	free(weir);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(a_preset_is_listed_shown_enabled_and_disabled),
		SCENE(a_file_that_is_there_is_neither_overwritten_nor_removed),
		SCENE(a_preset_with_which_the_configuration_would_be_refused_is_taken_back),
		SCENE(what_root_enables_for_all_all_can_read),
		SCENE(what_is_no_preset_is_said),
		SCENE(limits_that_were_compared_more_than_a_year_ago_are_told_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
