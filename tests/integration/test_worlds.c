/* SPDX-License-Identifier: MIT */
/* Worlds: who shares rules and state with whom, and what becomes of worlds that nobody uses. */
#include "src/agent/worlds.h"
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
	scene_write_configuration(
		scene, "hosts = ( { match = \"api.example.org\"; rate = { max = \"2/s\"; strategy = \"fixed\"; }; } );\n");
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

/* A world made by `weir run -f`, and nobody in it any more. Returns the name of its state. */
static char *leave_a_world(struct scene *scene, const char *config)
{
	free(WEIR_EXPECT(scene, 0, "run", "-f", config, "true"));
	struct command *c = LINE(scene, "status");
	c->config = config;
	char *out = expect_line(c, 3, __LINE__), *name = strstr(out, "state.1.");
	assert_non_null(name);
	name = strndup(name, strlen("state.1.0123456789abcdef"));
	free(out);
	end_every_agent(scene);
	return name;
}

static void a_world_that_nobody_uses_is_listed_and_removed(void **state)
{
	struct scene *scene = *state;
	char *config = write_file(scene->dir, "job.conf", ""), *name = leave_a_world(scene, config), lock[64];
	snprintf(lock, sizeof lock, "agent.lock%s", name + strlen("state.1"));
	char *out = WEIR_EXPECT(scene, 0, "worlds");
	assert_contains(out, name);
	assert_contains(out, "no agent, 0 processes");
	assert_contains(out, config);
	free(out);
	assert_true(exists(scene->runtime, lock));
	out = WEIR_EXPECT(scene, 0, "worlds", "--remove");
	assert_contains(out, "removed ");
	assert_contains(out, name);
	free(out);
	assert_false(exists(scene->runtime, name));
	assert_false(exists(scene->runtime, lock));
	out = WEIR_EXPECT(scene, 0, "worlds", "--remove");
	assert_contains(out, "nothing to remove");
	free(out);
	free(name);
	free(config);
}

static bool lists_a_process(void *data)
{
	char *out = WEIR_EXPECT(data, 0, "worlds");
	bool there = strstr(out, "no agent, 1 process") != NULL;
	free(out);
	return there;
}

/* Mapped, or with something to remember: it stays. */
static void a_world_in_use_is_not_removed(void **state)
{
	struct scene *scene = *state;
	static const char *const off[] = {"WEIR_AGENT=off", SANITIZERS, NULL};
	/* It maps the segment with its first connect, and then waits for its input. */
	const char *const argv[] = {"bash", "-c", "{ exec 3<>/dev/tcp/127.0.0.1/9; } 2>/dev/null; exec 3<>fifo; read -u 3 x",
				    NULL};
	char *fifo = path_in(scene->dir, "fifo");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	struct command user = {.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .env = off, .cwd = scene->dir};
	struct running *r = command_start(&user);
	assert_soon(lists_a_process, scene, 20, "the process is listed");
	free(WEIR_EXPECT(scene, 0, "worlds", "--remove"));
	assert_true(exists(scene->runtime, "state.1"));
	command_signal(r, SIGKILL);
	struct outcome o = command_wait(r);
	outcome_free(&o);
	struct weir_segment s = scene_segment(scene);
	uint32_t slot = weir_entry_acquire(&s, "api.example.org:443", weir_now_ns());
	atomic_store(&s.entry[slot].set_rate, UINT64_C(2000000000));
	weir_segment_close(&s);
	free(WEIR_EXPECT(scene, 0, "worlds", "--remove"));
	assert_true(exists(scene->runtime, "state.1"));
	free(fifo);
}

/* An agent's own world, and another one's, stay; those of configurations that are gone do not last. */
static void an_agent_tidies_up(void **state)
{
	struct scene *scene = *state;
	char *config = write_file(scene->dir, "job.conf", ""), *name = leave_a_world(scene, config);
	struct weir_world_found *found;
	struct weir_world own;
	free(WEIR_EXPECT(scene, 3, "status"));
	assert_true(weir_world_named(scene->runtime, "", &own));
	assert_int_equal(weir_worlds_find(scene->runtime, NULL, &found), 2);
	assert_true(found[0].agent > 0 && found[0].processes >= 1 && !found[0].stray);
	assert_false(weir_world_remove(&found[0], 0));
	assert_true(found[1].agent == 0 && found[1].processes == 0 && !found[1].stray && found[1].usable);
	assert_string_equal(found[1].source[0], config);
	assert_false(weir_world_remove(&found[1], UINT64_C(3600000000000)));
	free(found);
	assert_int_equal(unlink(config), 0);
	assert_int_equal(weir_worlds_find(scene->runtime, &own, &found), 1);
	assert_true(found[0].stray);
	free(found);
	assert_int_equal(weir_worlds_tidy(&own, UINT64_C(3600000000000)), 0);
	assert_int_equal(weir_worlds_tidy(&own, 0), 1);
	assert_false(exists(scene->runtime, name));
	assert_true(exists(scene->runtime, "state.1"));
	assert_true(agent_pid(scene->runtime) > 0);
	free(name);
	free(config);
}

/* Twenty jobs with a configuration each in a small /run/user: what they leave gives way. */
static void a_full_runtime_directory_is_cleared_of_worlds_that_nobody_uses(void **state)
{
	struct scene *scene = *state;
	char shell[2048], *weir = build_path("weir");
	struct outcome o = command_run(&(struct command){.shell = "unshare -m mount -t tmpfs none /mnt"});
	bool may = o.exit_status == 0;
	outcome_free(&o);
	snprintf(shell, sizeof shell,
		 "exec unshare -m sh -ec 'mount -t tmpfs -o mode=0700,size=10m none runtime; "
		 "for i in 1 2 3 4; do : >job$i.conf; WEIR_CONFIG=$PWD/job$i.conf %s run true; "
		 "WEIR_CONFIG=$PWD/job$i.conf %s agent --stop >/dev/null; done; %s run true; ls runtime; %s agent --stop'",
		 weir, weir, weir, weir);
	free(weir);
	if (!may)
		skip();
	static const char *const env[] = {SANITIZERS, NULL};
	o = command_run(
		&(struct command){.shell = shell, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir, .cwd = scene->dir, .env = env});
	assert_string_equal(o.err, "");
	assert_int_equal(o.exit_status, 0);
	assert_contains(o.out, "state.1\n");
	outcome_free(&o);
}

static unsigned count_of(const char *text, const char *part)
{
	unsigned n = 0;
	for (; (text = strstr(text, part)); text += strlen(part))
		n++;
	return n;
}

/* Without a log and without a word on the program's own descriptors, the operator finds it; once, however often it happens. */
static void limits_that_are_not_in_force_are_noted_once_a_day(void **state)
{
	struct scene *scene = *state;
	char *wrong = make_dir(scene->dir, "wrong"), setting[512];
	const char *const env[] = {setting, SANITIZERS, NULL};
	struct command c = {.shell = "for i in 1 2 3; do curl -s http://127.0.0.1:9/; done; true",
			    .mode = COMMAND_UNDER_WEIR,
			    .dir = scene->dir,
			    .env = env};
	snprintf(setting, sizeof setting, "WEIR_RUNTIME_DIR=%s", wrong);
	assert_int_equal(chmod(wrong, 0755), 0);
	struct outcome o = command_run(&c);
	assert_string_equal(o.out, "");
	assert_string_equal(o.err, "");
	outcome_free(&o);
	char *state_dir = path_in(scene->dir, STATE_HOME_DIR), *weir = path_in(state_dir, "weir"),
	     *file = path_in(weir, "notices");
	char *text = read_file(file);
	assert_non_null(text);
	assert_contains(text, "wrong: its mode is not 0700\n");
	assert_int_equal(count_of(text, "\n"), 1);
	char *out = WEIR_EXPECT(scene, 3, "status");
	assert_int_equal(count_of(out, "not in force: "), 1);
	assert_contains(out, "wrong: its mode is not 0700\n");
	free(out);
	out = WEIR_EXPECT(scene, 0, "doctor");
	assert_contains(out, "its mode is not 0700\n");
	free(out);
	free(text);
	/* A file that is full is begun anew. */
	text = malloc(40001);
	memset(text, 'x', 40000);
	text[40000] = '\0';
	free(write_file(weir, "notices", text));
	free(text);
	o = command_run(&c);
	outcome_free(&o);
	text = read_file(file);
	assert_true(strlen(text) < 400);
	assert_contains(text, "its mode is not 0700\n");
	free(text);
	free(file);
	free(weir);
	free(state_dir);
	free(wrong);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown_with_agents)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rules_are_those_of_ones_own_chain),
		TEST(a_deep_runtime_directory_is_served_like_any_other),
		TEST(a_world_that_nobody_uses_is_listed_and_removed),
		TEST(a_world_in_use_is_not_removed),
		TEST(an_agent_tidies_up),
		TEST(a_full_runtime_directory_is_cleared_of_worlds_that_nobody_uses),
		TEST(limits_that_are_not_in_force_are_noted_once_a_day),
		TEST(without_home_the_world_is_the_one_of_the_login),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
