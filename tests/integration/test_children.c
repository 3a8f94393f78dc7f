/* SPDX-License-Identifier: MIT */
/* What a program under weir starts is under weir as well, whatever it has done to its environment, unless it means it. */
#include "weir_program.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/integration/host_program.h"

#define OTHER "/lib/x86_64-linux-gnu/libm.so.6"

static const char *const show = "echo \"[$LD_PRELOAD]\"";

/* ---- parts */

enum { EXECVE, EXECV, EXECVP, EXECVPE, EXECL, EXECLP, EXECLE, FEXECVE, EXECVEAT, SPAWN, SPAWNP, SYSTEM, POPEN, FORMS };

/* The library's own shell, and the environment of this process as it was. */
static int have_it_run(int form)
{
	char line[1024] = "";
	FILE *out;

	if (form == SYSTEM) {
		PART_CHECK(system(NULL) != 0);
		PART_CHECK(system("exit 3") == 3 << 8);
		PART_CHECK(system(show) == 0);
	} else {
		out = popen(show, "r");
		PART_CHECK(out && fgets(line, sizeof line, out));
		PART_CHECK(pclose(out) == 0);
		fputs(line, stdout);
	}
	PART_CHECK(strcmp(getenv("LD_PRELOAD"), OTHER) == 0);
	return 0;
}

static int become(int form)
{
	char *argv[] = {"sh", "-c", (char *)(uintptr_t)show, NULL};
	pid_t child = 0;

	switch (form) {
	case EXECVE:
		execve("/bin/sh", argv, environ);
		break;
	case EXECV:
		execv("/bin/sh", argv);
		break;
	case EXECVP:
		execvp("sh", argv);
		break;
	case EXECVPE:
		execvpe("sh", argv, environ);
		break;
	case EXECL:
		execl("/bin/sh", "sh", "-c", show, (char *)NULL);
		break;
	case EXECLP:
		execlp("sh", "sh", "-c", show, (char *)NULL);
		break;
	case EXECLE:
		execle("/bin/sh", "sh", "-c", show, (char *)NULL, environ);
		break;
	case FEXECVE:
		fexecve(open("/bin/sh", O_RDONLY | O_CLOEXEC), argv, environ);
		break;
	case EXECVEAT:
		execveat(open("/bin", O_PATH | O_CLOEXEC), "sh", argv, environ, 0);
		break;
	case SYSTEM:
	case POPEN:
		return have_it_run(form);
	case SPAWN:
		PART_CHECK(posix_spawn(&child, "/bin/sh", NULL, NULL, argv, environ) == 0);
		break;
	default:
		PART_CHECK(posix_spawnp(&child, "sh", NULL, NULL, argv, environ) == 0);
	}
	PART_CHECK(child > 0 && waitpid(child, NULL, 0) == child);
	return 0;
}

/* Overwrites the variable, or leaves it out of many others, and becomes a shell that shows it. */
static int overwrites(int argc, char **argv)
{
	char name[32];

	PART_CHECK(setenv("LD_PRELOAD", OTHER, 1) == 0);
	for (int i = 0; argc > 1 && i < atoi(argv[1]); i++) {
		snprintf(name, sizeof name, "VARIABLE_%d", i);
		PART_CHECK(setenv(name, "x", 1) == 0);
	}
	return become(atoi(argv[0]));
}

/* The same in the child of a vfork, with an environment that cannot be written to. */
static int overwrites_in_vfork(int argc, char **argv)
{
	char **env = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shell[] = {"sh", "-c", (char *)(uintptr_t)show, NULL};
	pid_t child;

	(void)argc;
	(void)argv;
	env[0] = "PATH=/bin:/usr/bin";
	env[1] = "LD_PRELOAD=" OTHER;
	PART_CHECK(mprotect(env, 4096, PROT_READ) == 0);
	child = vfork();
	if (child == 0) {
		execve("/bin/sh", shell, env);
		_exit(9);
	}
	PART_CHECK(waitpid(child, NULL, 0) == child);
	return 0;
}

/* What the shell is given by system; with an argument, behind another library in LD_PRELOAD and longer than any stack. */
static int shows_its_command(int argc, char **argv)
{
	static char longer[65536] = "tr '\\0' ' ' </proc/$$/cmdline | wc -c #";

	(void)argv;
	if (argc == 0)
		return system("tr '\\0' ' ' </proc/$$/cmdline; echo; ( exit 5 )") >> 8;
	PART_CHECK(setenv("LD_PRELOAD", OTHER, 1) == 0);
	memset(longer + strlen(longer), 'x', sizeof longer - 1 - strlen(longer));
	return system(longer) >> 8;
}

static const struct host_part parts[] = {
	{"shows_its_command", shows_its_command},
	{"overwrites", overwrites},
	{"overwrites_in_vfork", overwrites_in_vfork},
};

/* ---- tests */

static void expect_both(const struct outcome *o)
{
	char *library = build_path("libweir.so"), expected[1024];

	snprintf(expected, sizeof expected, "[%s:" OTHER "]\n", library);
	assert_string_equal(o->out, expected);
	assert_string_equal(o->err, "");
	free(library);
}

static bool cannot(void)
{
	return access(OTHER, R_OK) != 0 || getenv("WEIR_TEST_PRELOAD_BEFORE");
}

static void a_program_that_overwrites_the_variable_still_has_its_children_limited(void **state)
{
	struct scene *scene = *state;
	char form[16];

	if (cannot())
		skip();
	for (int i = 0; i < FORMS; i++) {
		struct outcome o;

		snprintf(form, sizeof form, "%d", i);
		o = run_part(scene, COMMAND_UNDER_WEIR, "overwrites", form, NULL);
		expect_both(&o);
		outcome_free(&o);
	}
	for (int i = 0; i < 2; i++) {
		struct outcome o = i == 0 ? run_part(scene, COMMAND_UNDER_WEIR, "overwrites", "0", "3000")
					  : run_part(scene, COMMAND_UNDER_WEIR, "overwrites_in_vfork", "", NULL);

		expect_both(&o);
		outcome_free(&o);
	}
}

/* The new environment lies on the stack, which has an end. */
static void an_environment_beyond_all_measure_is_handed_on_as_it_is(void **state)
{
	struct outcome o;

	if (cannot())
		skip();
	o = run_part(*state, COMMAND_UNDER_WEIR, "overwrites", "0", "6000");
	assert_string_equal(o.out, "[" OTHER "]\n");
	assert_string_equal(o.err, "");
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
}

/* The command is the program's: it changes only where the library would be lost, and not where it is too long for that. */
static void a_command_of_system_stays_as_it_is_in_all_other_programs(void **state)
{
	struct scene *scene = *state;

	for (int longer = 0; longer < 2; longer++) {
		struct outcome bare = run_part(scene, COMMAND_BARE, "shows_its_command", longer ? "longer" : NULL, NULL),
			       under = run_part(scene, COMMAND_UNDER_WEIR, "shows_its_command", longer ? "longer" : NULL, NULL);

		assert_string_equal(under.out, bare.out);
		assert_string_equal(under.err, bare.err);
		assert_int_equal(under.exit_status, longer ? 0 : 5);
		assert_int_equal(bare.exit_status, longer ? 0 : 5);
		outcome_free(&bare);
		outcome_free(&under);
	}
}

static void what_takes_the_variable_away_is_left_alone(void **state)
{
	struct scene *scene = *state;
	static const char *const lines[] = {
		"env -i PATH=/bin:/usr/bin sh -c 'echo \"[$LD_PRELOAD]\"'",
		"env -u LD_PRELOAD sh -c 'echo \"[$LD_PRELOAD]\"'",
		"LD_PRELOAD= sh -c 'echo \"[$LD_PRELOAD]\"'",
		"unset LD_PRELOAD; sh -c 'echo \"[$LD_PRELOAD]\"'",
	};
	char *out;

	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		out = WEIR_EXPECT(scene, 0, "run", "sh", "-c", lines[i]);
		assert_string_equal(out, "[]\n");
		free(out);
	}
	if (cannot())
		return;
	out = WEIR_EXPECT(scene, 0, "run", "sh", "-c", "LD_PRELOAD=" OTHER " WEIR_DISABLE=1 sh -c 'echo \"[$LD_PRELOAD]\"'");
	assert_string_equal(out, "[" OTHER "]\n");
	free(out);
	/* Nothing is put where it was not. */
	struct command c = {.shell = "export LD_PRELOAD=" OTHER "; exec sh -c 'echo \"[$LD_PRELOAD]\"'", .dir = scene->dir};
	struct outcome o = command_run(&c);
	assert_string_equal(o.out, "[" OTHER "]\n");
	outcome_free(&o);
}

/* A launcher like trickle: a limit holds behind it. */
static void a_runs_rate_holds_behind_a_launcher_with_a_library_of_its_own(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char *launcher = write_file(scene->dir, "launcher", "#!/bin/sh\nexport LD_PRELOAD=" OTHER "\nexec \"$@\"\n"), line[512];
	struct outcome o;

	if (cannot())
		skip();
	assert_int_equal(chmod(launcher, 0700), 0);
	snprintf(line, sizeof line, "for i in 1 2 3 4; do curl -s -o /dev/null %s & done; wait", quotad_url(server, "/"));
	o = WEIR(scene, "run", "-r", "5/s", launcher, "sh", "-c", line);
	assert_int_equal(o.exit_status, 0);
	assert_int_equal(quotad_count(server).requests, 4);
	assert_true(o.seconds >= 0.6);
	outcome_free(&o);
	free(launcher);
}

/* Compiles dir/NAME; "" when that cannot be done here. */
static const char *compiled(struct scene *scene, const char *compiler, const char *name)
{
	static char path[512];
	char line[1024];
	struct command c = {.shell = line, .input = "int main(void) { return 7; }\n"};
	struct outcome o;
	bool good;

	snprintf(path, sizeof path, "%s/%s", scene->dir, name);
	snprintf(line, sizeof line, "%s -x c -o '%s' -", compiler, path);
	o = command_run(&c);
	good = o.exit_status == 0;
	outcome_free(&o);
	return good ? path : "";
}

static void a_child_that_the_library_would_break_is_started_without(void **state)
{
	struct scene *scene = *state;
	static const char *const compilers[] = {"musl-gcc", "gcc -fsanitize=address", "gcc -m32"};
	unsigned tried = 0;

	if (getenv("WEIR_TEST_PRELOAD_BEFORE"))
		skip();
	for (size_t i = 0; i < sizeof compilers / sizeof compilers[0]; i++) {
		const char *program = compiled(scene, compilers[i], "child");
		char line[1024];
		struct outcome o;

		if (program[0] == '\0')
			continue;
		tried++;
		snprintf(line, sizeof line, "unset ASAN_OPTIONS; %s; [ $? = 7 ] && exec %s", program, program);
		o = WEIR(scene, "run", "sh", "-c", line);
		if (o.exit_status != 7 || o.err_bytes != 0)
			fail_msg("%s: exit %d: %s", compilers[i], o.exit_status, o.err);
		outcome_free(&o);
	}
	if (tried == 0)
		skip();
}

static void the_log_tells_of_a_set_group_id_child(void **state)
{
	struct scene *scene = *state;
	const char *program;
	static const char *const env[] = {"WEIR_LOG=warn", SANITIZERS, NULL};
	struct command *c;
	struct outcome o;

	if (geteuid() != 0)
		skip();
	program = compiled(scene, "gcc", "privileged");
	assert_int_equal(chown(program, 0, 65534), 0);
	assert_int_equal(chmod(program, 02755), 0);
	c = LINE(scene, "run", "sh", "-c", program);
	c->env = env;
	o = command_run(c);
	assert_int_equal(o.exit_status, 7);
	assert_contains(o.err, "privileged: it is set-user-ID or set-group-ID");
	outcome_free(&o);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_program_that_overwrites_the_variable_still_has_its_children_limited),
		TEST(an_environment_beyond_all_measure_is_handed_on_as_it_is),
		TEST(a_command_of_system_stays_as_it_is_in_all_other_programs),
		TEST(what_takes_the_variable_away_is_left_alone),
		TEST(a_runs_rate_holds_behind_a_launcher_with_a_library_of_its_own),
		TEST(a_child_that_the_library_would_break_is_started_without),
		TEST(the_log_tells_of_a_set_group_id_child),
	};
	int status = host_part_run(argc, argv, parts, sizeof parts / sizeof parts[0]);

	return status >= 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
