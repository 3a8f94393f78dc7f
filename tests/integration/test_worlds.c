/* SPDX-License-Identifier: MIT */
/* Worlds: who shares rules and state with whom, and what becomes of worlds that nobody uses. */
#include "tests/integration/every_agent.h"
#include "tests/integration/weir_program.h"
#include "weir/runtime.h"

/* weir ARGUMENTS in the scene's runtime directory, with another configuration directory. */
static struct outcome run_with(struct scene *scene, const char *setting, const char *const *arguments)
{
	const char *env[] = {setting, SANITIZERS, NULL};
	struct command *c = weir_line(scene, arguments);
	c->env = env;
	return command_run(c);
}

#define RUN_WITH(scene, setting, ...) run_with((scene), (setting), (const char *const[]){__VA_ARGS__, NULL})

/* Whoever comes second has the rules of the chain that it names, not those that the first one's agent has compiled. */
static void rules_are_those_of_ones_own_chain(void **state)
{
	struct scene *scene = *state;
	char *other = make_dir(scene->dir, "other"), setting[512];
	snprintf(setting, sizeof setting, "XDG_CONFIG_HOME=%s", other);
	scene_configure(scene,
			"hosts = ( { match = \"api.example.org\"; rate = { max = \"2/s\"; strategy = \"fixed\"; }; } );\n");
	for (int first = 0; first < 2; first++) {
		struct outcome with = {0}, without = {0};
		if (first)
			with = RUN_WITH(scene, SANITIZERS, "explain", "https://api.example.org/");
		without = RUN_WITH(scene, setting, "explain", "https://api.example.org/");
		if (!first)
			with = RUN_WITH(scene, SANITIZERS, "explain", "https://api.example.org/");
		assert_contains(with.out, "2/s");
		assert_lacks(without.out, "2/s");
		outcome_free(&with);
		outcome_free(&without);
		end_every_agent(scene);
	}
	struct outcome o = RUN_WITH(scene, setting, "status");
	assert_contains(o.out, "state.1");
	outcome_free(&o);
	free(other);
}

/* A unit without HOME belongs to the world of the login. */
static void without_home_the_world_is_the_one_of_the_login(void **state)
{
	struct scene *scene = *state;
	static const char *const bare[] = {"XDG_CONFIG_HOME", "HOME", SANITIZERS, NULL};
	char home[600] = "HOME=";
	const char *const login[] = {"XDG_CONFIG_HOME", home, SANITIZERS, NULL};
	if (!weir_home_of(geteuid(), home + 5))
		skip();
	struct command *c = LINE(scene, "status");
	c->env = bare;
	char *without = expect_line(c, 3, __LINE__);
	c = LINE(scene, "status");
	c->env = login;
	char *with = expect_line(c, 3, __LINE__);
	assert_string_equal(with, without);
	assert_contains(with, "/state.1\n");
	free(with);
	free(without);
}

/* A directory of exactly so many bytes below the scene's. */
static char *make_deep_dir(const char *parent, size_t length)
{
	char name[256];
	size_t have = strlen(parent);
	if (length <= have + 1)
		return make_dir(parent, "d");
	memset(name, 'd', sizeof name);
	name[length - have - 1] = '\0';
	return make_dir(parent, name);
}

/* 107 bytes fit into a socket's address; a named configuration makes the name 17 bytes longer. */
static void a_deep_runtime_directory_is_served_like_any_other(void **state)
{
	struct scene *scene = *state;
	static const size_t lengths[] = {90, 97, 98, 99, 150, 220};
	char *config = write_file(scene->dir, "c.conf", "");
	for (size_t i = 0; i < 2 * sizeof lengths / sizeof *lengths; i++) {
		char *deep = make_deep_dir(scene->dir, lengths[i / 2]), setting[512];
		const char *env[] = {setting, SANITIZERS, NULL};
		snprintf(setting, sizeof setting, "WEIR_RUNTIME_DIR=%s", deep);
		struct command *c = LINE(scene, "stats", "--json");
		c->env = env;
		c->config = i % 2 ? config : NULL;
		free(expect_line(c, 0, __LINE__));
		c = LINE(scene, "status");
		c->env = env;
		c->config = i % 2 ? config : NULL;
		char *out = expect_line(c, 3, __LINE__);
		assert_contains(out, "agent: pid ");
		assert_contains(out, deep);
		free(out);
		c = LINE(scene, "agent", "--stop");
		c->env = env;
		c->config = i % 2 ? config : NULL;
		out = expect_line(c, 0, __LINE__);
		assert_contains(out, "stopped the agent");
		free(out);
		assert_false(exists(deep, "weir.sock"));
		free(deep);
	}
	free(config);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown_with_agents)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rules_are_those_of_ones_own_chain),
		TEST(a_deep_runtime_directory_is_served_like_any_other),
		TEST(without_home_the_world_is_the_one_of_the_login),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
