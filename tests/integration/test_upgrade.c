/* SPDX-License-Identifier: MIT */
/* Two versions of weir at once: who serves, and who says so. The other version is a copy of the build with another number in it.
 */
#include "tests/integration/every_agent.h"
#include "tests/integration/weir_program.h"
#include "weir/runtime.h"

#define MARK "weir-version="

/* In the copies: version 9.x; with state.2 for a segment. */
enum { SAME = 0, NEWER = 1, OTHER_SEGMENT = 2 };

/* Puts `digit` behind each of the marks. */
static void change(char *data, size_t bytes, const char *mark, char digit)
{
	size_t length = strlen(mark);
	char *p = data;
	while ((p = memmem(p, bytes - (size_t)(p - data), mark, length)) != NULL) {
		p[length] = digit;
		p += length;
	}
}

/* Copies a file of the build to dir/name. The new file takes the place of what stood there in one step. */
static void copy(const char *name, const char *dir, int kind)
{
	char *from = build_path(name), *to = path_in(dir, name), *half = path_in(dir, "half");
	FILE *f = fopen(from, "r");
	struct stat st;
	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	size_t bytes = (size_t)st.st_size;
	char *data = malloc(bytes);
	assert_int_equal(fread(data, 1, bytes, f), bytes);
	fclose(f);
	if (kind & NEWER)
		change(data, bytes, MARK, '9');
	if (kind & OTHER_SEGMENT)
		change(data, bytes, "/state.", '2');
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

static char *install(struct scene *scene, const char *name, int kind)
{
	char *dir = make_dir(scene->dir, name);
	copy("weir-tool", dir, kind);
	copy("weir", dir, kind);
	copy("libweir.so", dir, kind);
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
	char *newer = install(scene, "newer", NEWER), *older = install(scene, "older", SAME);
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
	char *newer = install(scene, "newer", NEWER), *older = install(scene, "older", SAME), preload[512];
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
	char *dir = install(scene, "installed", SAME);
	free(expect_of(scene, dir, 3, "status"));
	struct expected x = {scene, agent_pid(scene->runtime), true, 0};
	assert_true(is_served(&x));
	copy("weir-tool", dir, NEWER);
	copy("weir", dir, NEWER);
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
	char *dir = install(scene, "half", SAME);
	char *out = expect_of(scene, dir, 0, "doctor");
	assert_contains(out, "libweir.so: 0.");
	free(out);
	copy("libweir.so", dir, NEWER);
	out = expect_of(scene, dir, 1, "doctor");
	assert_contains(out, "libweir.so: it is 9.");
	free(out);
	out = expect_of(scene, dir, 0, "version");
	assert_contains(out, "weir 0.");
	assert_contains(out, "libweir.so 9.");
	free(out);
	free(dir);
}

static bool is_there(void *path)
{
	return access(path, F_OK) == 0;
}

/* One process that connects twice, waits for the file `go` and connects four times. Tells how many milliseconds these took. */
static struct running *start_long_program(struct scene *scene, const char *weir, int port)
{
	static char script[1024];
	static struct command c;
	snprintf(script, sizeof script,
		 "exec '%s' run -r 5/s bash -c 'ask() { exec 3<>/dev/tcp/127.0.0.1/%d; exec 3>&-; }; ask; ask; : >asked; "
		 "until [ -e go ]; do sleep 0.05; done; a=${EPOCHREALTIME/[.,]/}; ask; ask; ask; ask; "
		 "b=${EPOCHREALTIME/[.,]/}; echo $(( (b - a) / 1000 ))'",
		 weir, port);
	c = (struct command){.shell = script, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir, .cwd = scene->dir};
	return command_start(&c);
}

/* An installation over another one whose segment is of another version, while its agent serves and a program runs on. */
static void what_runs_on_with_another_segment_keeps_its_limit_and_is_told_of(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char *dir = install(scene, "installed", SAME), *weir = path_in(dir, "weir"), *asked = path_in(scene->dir, "asked"),
	     *go = path_in(scene->dir, "go"), *segment = path_in(scene->runtime, "state.1"),
	     *other = path_in(scene->runtime, "state.2");
	struct running *r = start_long_program(scene, weir, server->http_port);
	assert_soon(is_there, asked, 20, "the program has asked");
	assert_true(agent_pid(scene->runtime) > 0);
	copy("libweir.so", dir, NEWER | OTHER_SEGMENT);
	copy("weir-tool", dir, NEWER | OTHER_SEGMENT);
	copy("weir", dir, NEWER | OTHER_SEGMENT);
	assert_soon(is_there, other, 20, "the agent has become the new one");
	char *out = expect_of(scene, dir, 3, "status");
	assert_contains(out, "version: 1 process of another version of weir, with limits of its own in ");
	assert_contains(out, "/state.1: start anew");
	assert_lacks(out, "this program");
	free(out);
	out = expect_of(scene, dir, 0, "doctor");
	assert_contains(out, "/state.1: of another version of weir; 1 process");
	free(out);
	out = expect_of(scene, dir, 0, "worlds");
	assert_contains(out, "1 process, of another version of weir");
	free(out);
	fclose(fopen(go, "w"));
	struct outcome o = command_wait(r);
	assert_int_equal(o.exit_status, 0);
	assert_in_range(atoi(o.out), 580, 20000);
	outcome_free(&o);
	out = expect_of(scene, dir, 3, "status");
	assert_lacks(out, "version:");
	free(out);
	assert_true(is_there(segment));
	free(other);
	free(segment);
	free(go);
	free(asked);
	free(weir);
	free(dir);
}

/* In two places at a time. They have one lock and one agent, which is the newer one's. */
static void a_newer_program_with_another_segment_takes_the_agents_place_for_good(void **state)
{
	struct scene *scene = *state;
	char *newer = install(scene, "newer", NEWER | OTHER_SEGMENT), *older = install(scene, "older", SAME);
	free(expect_of(scene, older, 3, "status"));
	pid_t before = agent_pid(scene->runtime);
	assert_true(before > 0);
	/* Its segment is there before its agent. */
	free(expect_of(scene, newer, 0, "doctor"));
	free(expect_of(scene, newer, 3, "status"));
	assert_true(wait_for_exit((int)before, 5));
	pid_t after = agent_pid(scene->runtime);
	assert_true(after > 0 && after != before);
	char *out = expect_of(scene, older, 3, "status");
	assert_contains(out, "the agent 9.");
	free(out);
	assert_int_equal(agent_pid(scene->runtime), after);
	free(newer);
	free(older);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown_with_agents)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_newer_program_takes_an_older_agents_place_and_not_the_other_way_round),
		TEST(a_newer_library_has_its_own_agent_take_over),
		TEST(an_agent_whose_file_was_replaced_becomes_the_new_one),
		TEST(doctor_tells_of_a_library_of_another_version),
		TEST(what_runs_on_with_another_segment_keeps_its_limit_and_is_told_of),
		TEST(a_newer_program_with_another_segment_takes_the_agents_place_for_good),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
