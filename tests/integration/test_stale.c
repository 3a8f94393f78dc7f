/* SPDX-License-Identifier: MIT */
/* `weir doctor` finds what still preloads a library that is gone, and touches nothing. */
#include "weir_program.h"

/* `weir doctor` for a user whose home is the scene's. */
static struct outcome doctor(struct scene *scene)
{
	static char home[600];
	static const char *const env[] = {home, SANITIZERS, NULL};
	struct command *c = LINE(scene, "doctor");

	snprintf(home, sizeof home, "HOME=%s", scene->dir);
	c->env = env;
	return command_run(c);
}

static void a_library_that_is_gone_is_found_in_profiles_and_units(void **state)
{
	struct scene *scene = *state;
	char *config = make_dir(scene->dir, ".config"), *systemd = make_dir(config, "systemd"),
	     *units = make_dir(systemd, "user"),
	     *unit = write_file(units, "job.service",
				"[Service]\nEnvironment=LD_PRELOAD=/gone/unit/libweir.so\nExecStart=/bin/true\n"),
	     *profile = write_file(
		     scene->dir, ".profile",
		     "# LD_PRELOAD=/gone/comment/libweir.so\nexport LD_PRELOAD=\"/gone/\\$LIB/weir/libweir.so:/x.so\"\n"),
	     *text;
	struct outcome o = doctor(scene);

	assert_int_equal(o.exit_status, 1);
	assert_contains(o.out, "/.config/systemd/user/job.service:2: /gone/unit/libweir.so is not there");
	assert_contains(o.out, "/.profile:2: /gone/$LIB/weir/libweir.so is not there");
	assert_contains(o.out, "take it out there");
	assert_lacks(o.out, "/gone/comment");
	text = read_file(unit);
	assert_contains(text, "LD_PRELOAD=/gone/unit/libweir.so\n");
	outcome_free(&o);
	free(text);
	free(profile);
	free(unit);
	free(units);
	free(systemd);
	free(config);
}

static void a_library_that_is_there_is_nothing_to_tell_of(void **state)
{
	struct scene *scene = *state;
	char *library = build_path("libweir.so"), *lib = make_dir(scene->dir, "lib"), *weir = make_dir(lib, "weir"), text[1500];
	struct outcome o;

	free(write_file(weir, "libweir.so", "x"));
	snprintf(text, sizeof text, "export LD_PRELOAD=%s\nLD_PRELOAD='%s/$LIB/weir/libweir.so'\nLD_PRELOAD=$MY/libweir.so\n",
		 library, scene->dir);
	free(write_file(scene->dir, ".bashrc", text));
	o = doctor(scene);
	assert_lacks(o.out, ".bashrc");
	outcome_free(&o);
	free(weir);
	free(lib);
	free(library);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(a_library_that_is_gone_is_found_in_profiles_and_units),
		SCENE(a_library_that_is_there_is_nothing_to_tell_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
