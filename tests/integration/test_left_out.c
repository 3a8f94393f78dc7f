/* SPDX-License-Identifier: MIT */
/* Configuration files that are not this user's to mend, and starts whose configuration is another. */
#include "tests/harness/file.h"
#include "tests/integration/every_agent.h"
#include "tests/integration/weir_program.h"

#define STRANGER 65534
#define RULES    "defaults = { rate = { strategy = \"fixed\"; max = \"2/s\"; }; };\n"

/* What weir_launch_await_policy waits at most, and no start may: with room for a slow machine. */
#define LONG_S 1.9

static char *configuration(struct scene *scene)
{
	return path_in(scene->dir, "no-config/weir/weir.conf");
}

static void a_foreign_file_is_told_of_wherever_one_looks(void **state)
{
	struct scene *scene = *state;
	char *file, *text, log[512];
	const char *env[] = {log, SANITIZERS, NULL};
	struct command *c;
	struct outcome o;

	if (geteuid() != 0)
		skip();
	scene_write_configuration(scene, RULES);
	file = configuration(scene);
	assert_int_equal(chown(file, STRANGER, STRANGER), 0);
	snprintf(log, sizeof log, "WEIR_LOG=warn:%s/agent.log", scene->dir);
	c = LINE(scene, "run", "true");
	c->env = env;
	o = command_run(c);
	assert_int_equal(o.exit_status, 0);
	assert_contains(o.err, "weir.conf: left out: user 65534's: it belongs to neither you nor root");
	outcome_free(&o);
	o = WEIR(scene, "config", "check");
	assert_int_equal(o.exit_status, 1);
	assert_contains(o.err, "weir.conf: left out: user 65534's");
	assert_lacks(o.out, "weir.conf");
	outcome_free(&o);
	text = WEIR_EXPECT(scene, 3, "status");
	assert_contains(text, "weir.conf: left out: user 65534's");
	free(text);
	text = WEIR_EXPECT(scene, 0, "stats", "--json");
	assert_contains(text, "\"left_out\"");
	assert_contains(text, "left out: user 65534's");
	free(text);
	text = WEIR_EXPECT(scene, 0, "stats", "--prometheus");
	assert_contains(text, "\nweir_policy_files_left_out 1\n");
	free(text);
	free(file);
	file = path_in(scene->dir, "agent.log");
	text = read_file(file);
	assert_contains(text, "policy: ");
	assert_contains(text, "left out: user 65534's");
	free(text);
	free(file);
	end_every_agent(scene);
}

/* Twice each: the first starts an agent, the second finds one whose files are as they were. */
static void assert_prompt(struct scene *scene, const char *const *env, const char *prefix)
{
	char line[1024];
	char *weir = build_path("weir");

	snprintf(line, sizeof line, "%s%s run true", prefix, weir);
	for (int i = 0; i < 2; i++) {
		double from = monotonic_s();
		struct outcome o =
			command_run(&(struct command){.shell = line, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir, .env = env});

		if (o.exit_status != 0 || monotonic_s() - from > LONG_S)
			fail_msg("%s (%s): exit status %d after %.1f s: %s", line, env[0], o.exit_status, monotonic_s() - from,
				 o.err);
		outcome_free(&o);
	}
	free(weir);
}

static void no_start_waits_for_an_agent_that_knows_better(void **state)
{
	struct scene *scene = *state;
	char *other = make_dir(scene->dir, "other"), elsewhere[600], closed[1024];
	const char *const plain[] = {SANITIZERS, NULL};
	const char *const homeless[] = {"HOME", "XDG_CONFIG_HOME", SANITIZERS, NULL};
	const char *const others[] = {elsewhere, SANITIZERS, NULL};
	struct outcome may;

	scene_write_configuration(scene, RULES);
	assert_prompt(scene, plain, "");
	assert_prompt(scene, homeless, "");
	snprintf(elsewhere, sizeof elsewhere, "XDG_CONFIG_HOME=%s", other);
	assert_prompt(scene, others, "");
	may = command_run(&(struct command){.shell = "unshare -m mount -t tmpfs none /mnt"});
	if (may.exit_status == 0) { /* ProtectHome= */
		snprintf(closed, sizeof closed,
			 "exec unshare -m sh -c 'mount -t tmpfs -o mode=000 none \"$0\" && exec \"$@\"' %s/no-config ",
			 scene->dir);
		assert_prompt(scene, plain, closed);
	}
	outcome_free(&may);
	scene_write_configuration(scene, "defaults = { rte = 1; };\n");
	assert_prompt(scene, plain, "");
	end_every_agent(scene);
	free(other);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_foreign_file_is_told_of_wherever_one_looks),
		TEST(no_start_waits_for_an_agent_that_knows_better),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
