/* SPDX-License-Identifier: MIT */
/* What comes with the program once it is installed: the unit of the agent, completions, the place of the library; and archives.
 */
#include "installation.h"

/* What is installed once for the tests that only look at it: under its prefix, "dir/opt". */
static char *installed;

static int install_once(void **state)
{
	char *prefix;

	(void)state;
	installed = temp_dir_create();
	prefix = path_in(installed, "opt");
	if (access("Makefile", R_OK) == 0)
		install_or_uninstall(installed, "", prefix, "install");
	free(prefix);
	return 0;
}

static int remove_installed(void **state)
{
	(void)state;
	temp_dir_remove(installed);
	return 0;
}

static void need_sources(void)
{
	if (access("Makefile", R_OK) == 0)
		return;
	print_message("    skipped: not run in the source tree\n");
	skip();
}

/* Runs a line of shell in a directory and asserts what it prints. */
static void assert_prints(const struct scene *scene, const char *cwd, const char *line, const char *expected)
{
	struct command c = {.shell = line, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir, .cwd = cwd};
	struct outcome o = command_run(&c);

	if (o.exit_status != 0 || strcmp(o.out, expected) != 0)
		fail_msg("%s: exit status %d: %s%s", line, o.exit_status, o.out, o.err);
	outcome_free(&o);
}

/* The compiler's word for it and the dynamic linker's are the same. */
static void under_usr_the_library_is_where_the_linker_s_LIB_leads(void **state)
{
	struct scene *scene = *state;
	char *root = make_dir(scene->dir, "root");

	install_or_uninstall(scene->dir, root, "/usr", "install");
	assert_prints(scene, scene->dir,
		      "LD_PRELOAD=\"$PWD/root/usr/\\$LIB/weir/libweir.so\" grep -c -m1 libweir.so /proc/self/maps", "1\n");
	free(root);
}

static void the_unit_starts_what_was_installed(void **state)
{
	struct scene *scene = *state;

	need_sources();
	assert_prints(scene, installed,
		      "$(sed -n 's/^ExecStart=\\([^ ]*\\) .*/\\1/p' opt/lib/systemd/user/weir-agent.service) help agent | "
		      "grep -c -e '--foreground        stay'",
		      "1\n");
	/* What systemd itself says of it, where it is here and can run: nothing. */
	assert_prints(scene, installed,
		      "command -v systemd-analyze >/dev/null || exit 0; export XDG_RUNTIME_DIR=$PWD; "
		      "systemd-analyze --user --man=no verify opt/lib/systemd/user/weir-agent.service 2>&1 | grep "
		      "weir-agent.service "
		      "|| true",
		      "");
}

/* Completes a line, the cursor at its end, by the completion that was installed. */
static void assert_completes(const struct scene *scene, const char *words, const char *expected)
{
	char line[1024];

	snprintf(line, sizeof line,
		 "PATH=$PWD/opt/bin:$PATH bash -c '. opt/share/bash-completion/completions/weir; "
		 "COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _weir; printf \"%%s \" ${COMPREPLY[@]}'",
		 words);
	assert_prints(scene, installed, line, expected);
}

static void bash_completes_what_the_program_says(void **state)
{
	struct scene *scene = *state;

	need_sources();
	assert_completes(scene, "weir docto", "doctor ");
	assert_completes(scene, "weir run --concur", "--concurrency ");
	assert_completes(scene, "weir --dry", "--dry-run ");
	assert_completes(scene, "weir run -r 5/s mkfif", "mkfifo ");
	assert_completes(scene, "weir run -p no", "normal ");
	/* Where the command begins, whose own completion it is then. */
	assert_completes(scene, "weir run -p low -r 5/s -n curl -p x); _command_offset() { COMPREPLY=(at $1); }; : $(", "at 7 ");
	assert_completes(scene, "weir alert sil", "silence ");
	assert_completes(scene, "weir breaker a.example:443 cl", "close ");
	assert_completes(scene, "weir agent --idle", "--idle-exit ");
	assert_completes(scene, "weir explain -X DEL", "DELETE ");
	assert_completes(scene, "weir explain -X POST --cl", "--client ");
}

static void an_archive_is_the_same_from_git_and_from_itself(void **state)
{
	struct scene *scene = *state;
	struct command c = {.shell = "./scripts/dist \"$DIST/one.tar.gz\" && cd \"$DIST\" && tar -xzf one.tar.gz && cd weir-* && "
				     "SOURCE_DATE_EPOCH=$(stat -c %Y VERSION) ./scripts/dist \"$DIST/two.tar.gz\" && cmp "
				     "\"$DIST/one.tar.gz\" \"$DIST/two.tar.gz\"",
			    .mode = COMMAND_BARE,
			    .dir = scene->dir};
	char variable[600];
	const char *env[] = {variable, NULL};
	struct outcome o;

	need_sources();
	snprintf(variable, sizeof variable, "DIST=%s", scene->dir);
	c.env = env;
	o = command_run(&c);
	if (o.exit_status != 0)
		fail_msg("exit status %d: %s%s", o.exit_status, o.out, o.err);
	outcome_free(&o);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(under_usr_the_library_is_where_the_linker_s_LIB_leads),
		SCENE(the_unit_starts_what_was_installed),
		SCENE(bash_completes_what_the_program_says),
		SCENE(an_archive_is_the_same_from_git_and_from_itself),
	};

	return cmocka_run_group_tests(tests, install_once, remove_installed);
}
