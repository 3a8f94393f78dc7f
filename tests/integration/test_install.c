/* SPDX-License-Identifier: MIT */
/* `make install` and `make uninstall`: what they leave, and what they compile again. */
#include "installation.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool there(const char *dir, const char *name, mode_t mode)
{
	char *path = path_in(dir, name);
	struct stat st;
	bool found = stat(path, &st) == 0 && (st.st_mode & 0777) == mode;

	free(path);
	return found;
}

static bool is_empty(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	bool empty = true;

	assert_non_null(d);
	while ((entry = readdir(d)))
		empty &= entry->d_name[0] == '.';
	closedir(d);
	return empty;
}

static void what_is_installed_runs_and_is_uninstalled_without_a_trace(void **state)
{
	static const char *const installed[] = {
		"opt/weir/share/man/man1/weir.1",
		"opt/weir/share/man/man5/weir.conf.5",
		"opt/weir/share/man/man7/weir-metrics.7",
		"opt/weir/share/bash-completion/completions/weir",
		"opt/weir/share/zsh/site-functions/_weir",
		"opt/weir/share/fish/vendor_completions.d/weir.fish",
		"opt/weir/lib/systemd/user/weir-agent.service",
	};
	struct scene *scene = *state;
	char *root = make_dir(scene->dir, "root"), *program = path_in(root, "opt/weir/bin/weir");
	const char *argv[] = {program, "version", NULL};
	struct command c = {.argv = argv, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir};
	char *opt;
	struct outcome o;

	install_or_uninstall(scene->dir, root, "/opt/weir", "install");
	assert_true(there(root, "opt/weir/bin/weir", 0755));
	assert_true(there(root, "opt/weir/lib/weir/libweir.so", 0755));
	assert_true(there(root, "opt/weir/share/doc/weir/README.md", 0644));
	assert_true(there(root, "opt/weir/share/doc/weir/weir.conf", 0644));
	for (size_t i = 0; i < sizeof installed / sizeof *installed; i++) {
		if (!there(root, installed[i], 0644))
			fail_msg("%s was not installed", installed[i]);
	}
	o = command_run(&c);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	install_or_uninstall(scene->dir, root, "/opt/weir", "uninstall");
	opt = path_in(root, "opt");
	assert_true(is_empty(opt));
	install_or_uninstall(scene->dir, root, "/opt/weir", "uninstall"); /* nothing to do is no error */
	free(opt);
	free(program);
	free(root);
}

static void blanks_in_its_places_are_no_obstacle(void **state)
{
	struct scene *scene = *state;
	char *root = make_dir(scene->dir, "the root"), *opt;

	install_or_uninstall(scene->dir, root, "/opt/my weir", "install");
	assert_true(there(root, "opt/my weir/bin/weir", 0755));
	assert_true(there(root, "opt/my weir/lib/weir/libweir.so", 0755));
	assert_true(there(root, "opt/my weir/share/doc/weir/README.md", 0644));
	install_or_uninstall(scene->dir, root, "/opt/my weir", "uninstall");
	opt = path_in(root, "opt");
	assert_true(is_empty(opt));
	free(opt);
	free(root);
}

static void what_others_installed_stays(void **state)
{
	struct scene *scene = *state;
	char *root = make_dir(scene->dir, "root"), *bin, *lib, *other;

	install_or_uninstall(scene->dir, root, "/usr", "install");
	bin = path_in(root, "usr/bin");
	free(write_file(bin, "other", "x"));
	install_or_uninstall(scene->dir, root, "/usr", "uninstall");
	other = path_in(bin, "other");
	assert_int_equal(access(other, F_OK), 0);
	free(other);
	assert_false(there(root, "usr/bin/weir", 0755));
	lib = path_in(root, "usr/lib");
	assert_int_not_equal(access(lib, F_OK), 0);
	free(lib);
	free(bin);
	free(root);
}

static struct timespec written(const char *dir, const char *name)
{
	char *path = path_in(dir, name);
	struct stat st;

	assert_return_code(stat(path, &st), 0);
	free(path);
	return st.st_mtim;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static void another_prefix_compiles_only_what_knows_it(void **state)
{
	static const char knows[] = "obj/src/runtime/program.o", does_not[] = "obj/src/runtime/path.o";
	static const char *const prefixes[] = {"/opt/a", "/opt/b", "/opt/b"};
	struct scene *scene = *state;
	char *build = path_in(scene->dir, "build"), arguments[1024];
	struct timespec a[3], b[3];

	for (int i = 0; i < 3; i++) {
		snprintf(arguments, sizeof arguments, "-s BUILD='%s' PREFIX=%s '%s/%s' '%s/%s'", build, prefixes[i], build, knows,
			 build, does_not);
		make(scene->dir, arguments);
		a[i] = written(build, knows);
		b[i] = written(build, does_not);
	}
	assert_false(same_time(a[0], a[1]));
	assert_true(same_time(a[1], a[2]));
	assert_true(same_time(b[0], b[1]) && same_time(b[1], b[2]));
	free(build);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(what_is_installed_runs_and_is_uninstalled_without_a_trace),
		SCENE(blanks_in_its_places_are_no_obstacle),
		SCENE(what_others_installed_stays),
		SCENE(another_prefix_compiles_only_what_knows_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
