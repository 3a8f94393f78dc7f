/* SPDX-License-Identifier: MIT */
/* Two versions of weir at once: who serves, and who says so. The other version is a copy of the build with another number in it.
 */
#include "tests/integration/every_agent.h"
#include "tests/integration/weir_program.h"
#include "weir/runtime.h"

#define MARK "weir-version="

/* Copies a file of the build to dir/name; `newer`: as version 9.x. The new file takes the place of what stood there in one step.
 */
static void copy(const char *name, const char *dir, bool newer)
{
	char *from = build_path(name), *to = path_in(dir, name), *half = path_in(dir, "half");
	FILE *f = fopen(from, "r");
	struct stat st;
	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	size_t bytes = (size_t)st.st_size, at = 0, length = sizeof MARK - 1;
	char *data = malloc(bytes);
	assert_int_equal(fread(data, 1, bytes, f), bytes);
	fclose(f);
	for (char *p; newer && (p = memmem(data + at, bytes - at, MARK, length)); at = (size_t)(p - data) + length) {
		if (p[length] == '0')
			p[length] = '9';
	}
	f = fopen(half, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, bytes, f), bytes);
	assert_int_equal(fchmod(fileno(f), 0755), 0);
	fclose(f);
	assert_int_equal(rename(half, to), 0);
	free(data);
	free(half);
	free(to);
	free(from);
}

static char *install(struct scene *scene, const char *name, bool newer)
{
	char *dir = make_dir(scene->dir, name);
	copy("weir", dir, newer);
	copy("libweir.so", dir, newer);
	return dir;
}

/* weir ARGUMENTS by the program in dir. */
static char *expect_of(struct scene *scene, const char *dir, int status, const char *argument)
{
	char *program = path_in(dir, "weir");
	struct command *c = LINE(scene, argument);
	((const char **)(uintptr_t)c->argv)[0] = program;
	char *out = expect_line(c, status, __LINE__);
	free(program);
	return out;
}

struct expected {
	struct scene *scene;
	pid_t pid;
	bool same;
	unsigned major;
};

static bool is_served(void *data)
{
	struct expected *x = data;
	struct weir_segment s = scene_segment(x->scene);
	bool good = atomic_load(&s.header->agent_version) >> 48 == x->major;
	weir_segment_close(&s);
	pid_t pid = agent_pid(x->scene->runtime);
	return good && pid > 0 && (pid == x->pid) == x->same;
}

static void a_newer_program_takes_an_older_agents_place_and_not_the_other_way_round(void **state)
{
	struct scene *scene = *state;
	char *newer = install(scene, "newer", true), *older = install(scene, "older", false);
	free(expect_of(scene, older, 3, "status"));
	pid_t before = agent_pid(scene->runtime);
	assert_true(before > 0);
	char *out = expect_of(scene, newer, 3, "status");
	assert_lacks(out, "version:");
	free(out);
	pid_t after = agent_pid(scene->runtime);
	assert_true(after > 0 && after != before);
	assert_true(wait_for_exit((int)before, 5));
	struct expected x = {scene, after, true, 9};
	assert_true(is_served(&x));
	out = expect_of(scene, older, 3, "status");
	assert_contains(out, "version: this program is 0.");
	assert_contains(out, "the agent 9.");
	free(out);
	assert_true(is_served(&x));
	free(newer);
	free(older);
}

static void a_newer_library_has_its_own_agent_take_over(void **state)
{
	struct scene *scene = *state;
	char *newer = install(scene, "newer", true), *older = install(scene, "older", false), preload[512];
	const char *const env[] = {preload, SANITIZERS, NULL};
	struct command c = {
		.shell = "curl -s http://127.0.0.1:9/ || true", .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir, .env = env};
	const char *before = getenv("WEIR_TEST_PRELOAD_BEFORE");
	snprintf(preload, sizeof preload, "LD_PRELOAD=%s %s/libweir.so", before ? before : "", newer);
	free(expect_of(scene, older, 3, "status"));
	struct expected x = {scene, agent_pid(scene->runtime), false, 9};
	struct outcome o = command_run(&c);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	assert_soon(is_served, &x, 10, "the newer agent serves");
	free(newer);
	free(older);
}

static void an_agent_whose_file_was_replaced_becomes_the_new_one(void **state)
{
	struct scene *scene = *state;
	char *dir = install(scene, "installed", false);
	free(expect_of(scene, dir, 3, "status"));
	struct expected x = {scene, agent_pid(scene->runtime), true, 0};
	assert_true(is_served(&x));
	copy("weir", dir, true);
	x.major = 9;
	assert_soon(is_served, &x, 10, "the agent is of the new version");
	char *out = expect_of(scene, dir, 3, "status");
	assert_lacks(out, "version:");
	free(out);
	free(dir);
}

static void doctor_tells_of_a_library_of_another_version(void **state)
{
	struct scene *scene = *state;
	char *dir = install(scene, "half", false);
	char *out = expect_of(scene, dir, 0, "doctor");
	assert_contains(out, "libweir.so: 0.");
	free(out);
	copy("libweir.so", dir, true);
	out = expect_of(scene, dir, 1, "doctor");
	assert_contains(out, "libweir.so: it is 9.");
	free(out);
	out = expect_of(scene, dir, 0, "version");
	assert_contains(out, "weir 0.");
	assert_contains(out, "libweir.so 9.");
	free(out);
	free(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown_with_agents)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_newer_program_takes_an_older_agents_place_and_not_the_other_way_round),
		TEST(a_newer_library_has_its_own_agent_take_over),
		TEST(an_agent_whose_file_was_replaced_becomes_the_new_one),
		TEST(doctor_tells_of_a_library_of_another_version),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
