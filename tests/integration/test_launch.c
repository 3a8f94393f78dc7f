/* SPDX-License-Identifier: MIT */
/* Programs that the library cannot be put before, or that would see nothing of it: they run as they do without weir, and `weir
 * run` and `weir doctor` say why nothing is limited. */
#include "weir_program.h"

static const char *const plain = "int main(int c, char **v) { (void)v; return c > 1 ? 7 : 0; }\n";

/* A program that finds a name, connects, and becomes another program: hooks of all rooms. */
static const char *const busy = "#include <netdb.h>\n#include <stdio.h>\n#include <sys/socket.h>\n#include <unistd.h>\n"
				"int main(int c, char **v) { struct addrinfo *a, h = {.ai_socktype = SOCK_STREAM};\n"
				"if (c > 2) { execlp(v[0], v[0], v[1], (char *)0); return 9; }\n"
				"if (getaddrinfo(\"127.0.0.1\", v[1], &h, &a)) return 3;\n"
				"int s = socket(AF_INET, SOCK_STREAM, 0);\n"
				"if (connect(s, a->ai_addr, a->ai_addrlen)) return 4;\n"
				"close(s); puts(\"connected\"); return 0; }\n";

/* Compiles dir/NAME; NULL when that compiler is not here, or cannot do that. The caller frees it. */
static char *compile(struct scene *scene, const char *compiler, const char *name, const char *text)
{
	char *out = path_in(scene->dir, name), line[2048];
	snprintf(line, sizeof line, "%s -x c -o '%s' -", compiler, out);
	struct command c = {.shell = line, .input = text};
	struct outcome o = command_run(&c);
	bool good = o.exit_status == 0;
	outcome_free(&o);
	if (good)
		return out;
	free(out);
	return NULL;
}

static char *compile_or_skip(struct scene *scene, const char *compiler, const char *name, const char *text)
{
	char *program = compile(scene, compiler, name, text);
	if (!program) {
		print_message("%s is not here\n", compiler);
		skip();
	}
	return program;
}

/* `weir run PROGRAM x` says one line with `why`, and exits as the program does. */
static void expect_said(struct scene *scene, const char *program, const char *why)
{
	struct outcome o = WEIR(scene, "run", program, "x");
	assert_int_equal(o.exit_status, 7);
	assert_contains(o.err, "weir: run: ");
	assert_contains(o.err, why);
	assert_ptr_equal(strchr(o.err, '\n'), o.err + o.err_bytes - 1);
	outcome_free(&o);
	o = WEIR(scene, "doctor", program, "-x");
	assert_int_equal(o.exit_status, 1);
	assert_contains(o.out, why);
	outcome_free(&o);
}

static void a_musl_program_loads_the_library_and_passes_through(void **state)
{
	struct scene *scene = *state;
	char *program = compile_or_skip(scene, "musl-gcc", "musl", busy), port[16];
	struct quotad *server = quotad_start(scene->dir, NULL);
	if (!program || getenv("WEIR_TEST_PRELOAD_BEFORE")) /* no sanitizer's runtime goes with musl */
		return;
	snprintf(port, sizeof port, "%d", server->http_port);
	const char *argv[] = {program, port, NULL, NULL};
	struct command c = {.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	for (int i = 0; i < 2; i++) {
		struct outcome o = command_run(&c);
		if (o.exit_status != 0)
			fail_msg("exit %d: %s", o.exit_status, o.err);
		assert_string_equal(o.out, "connected\n");
		assert_string_equal(o.err, "");
		outcome_free(&o);
		argv[2] = "exec";
	}
	assert_false(exists(scene->runtime, "state.1"));
	free(program);
}

static void a_musl_program_is_run_without_the_library(void **state)
{
	struct scene *scene = *state;
	char *program = compile_or_skip(scene, "musl-gcc", "musl", plain);
	if (!program)
		return;
	expect_said(scene, program, "it uses the C library musl");
	free(program);
}

static void a_sanitized_program_is_run_without_the_library(void **state)
{
	struct scene *scene = *state;
	char *program = compile_or_skip(scene, "gcc -fsanitize=address", "sanitized", plain);
	static const char *const env[] = {"ASAN_OPTIONS=detect_leaks=0", NULL};
	if (!program || getenv("WEIR_TEST_PRELOAD_BEFORE"))
		return;
	struct command *c = LINE(scene, "run", program, "x");
	c->env = env;
	struct outcome o = command_run(c);
	assert_int_equal(o.exit_status, 7);
	assert_contains(o.err, "AddressSanitizer");
	assert_ptr_equal(strchr(o.err, '\n'), o.err + o.err_bytes - 1);
	outcome_free(&o);
	/* Another preloaded library stays. */
	c = LINE(scene, "run", "-n", program, "x");
	c->env = env;
	free(expect_line(c, 7, __LINE__));
	free(program);
}

static void a_32_bit_program_is_run_without_a_word_of_the_dynamic_linker(void **state)
{
	struct scene *scene = *state;
	char *program = compile_or_skip(scene, "gcc -m32", "narrow", plain);
	if (!program)
		return;
	expect_said(scene, program, "32-bit");
	free(program);
}

static void a_static_program_is_told_of(void **state)
{
	struct scene *scene = *state;
	char *program = compile_or_skip(scene, "gcc -static", "static", plain);
	if (!program)
		return;
	expect_said(scene, program, "linked statically");
	free(program);
}

static void a_set_group_id_program_is_told_of(void **state)
{
	struct scene *scene = *state;
	char *program;
	if (geteuid() != 0) {
		skip();
		return;
	}
	program = compile_or_skip(scene, "gcc", "privileged", plain);
	assert_int_equal(chown(program, 0, 65534), 0);
	assert_int_equal(chmod(program, 02755), 0);
	expect_said(scene, program, "set-user-ID or set-group-ID");
	free(program);
}

static void a_program_that_can_be_seen_gets_no_word(void **state)
{
	struct scene *scene = *state;
	char *script = write_file(scene->dir, "script", "#!/usr/bin/env sh\nexit 7\n");
	assert_int_equal(chmod(script, 0700), 0);
	struct outcome o = WEIR(scene, "run", script);
	assert_int_equal(o.exit_status, 7);
	assert_string_equal(o.err, "");
	outcome_free(&o);
	free(script);
}

/* ---- doctor */

static void the_doctor_finds_a_well_program_well(void **state)
{
	struct scene *scene = *state;
	char *out = WEIR_EXPECT(scene, 0, "doctor", "curl", "-sS", "http://127.0.0.1/");
	assert_contains(out, "libweir.so");
	assert_contains(out, scene->runtime);
	assert_contains(out, "libcurl");
	assert_lacks(out, "NO ");
	free(out);
	free(WEIR_EXPECT(scene, 0, "doctor"));
	free(WEIR_EXPECT(scene, 127, "doctor", "no-such-program-at-all"));
	free(WEIR_EXPECT(scene, 126, "doctor", "/etc/passwd"));
	free(WEIR_EXPECT(scene, 64, "doctor", "--no-such-flag"));
}

static void the_doctor_names_what_is_wrong_and_the_way_out(void **state)
{
	struct scene *scene = *state;
	char *dir = make_dir(scene->dir, "open-to-all"), variable[512];
	char *bad = write_file(scene->dir, "bad.conf", "hosts = ( { match = \"a\"; nonsense = 1; } );\n"), config[512];
	assert_int_equal(chmod(dir, 0755), 0);
	snprintf(variable, sizeof variable, "WEIR_RUNTIME_DIR=%s", dir);
	snprintf(config, sizeof config, "WEIR_CONFIG=%s", bad);
	const struct {
		const char *variable, *told, *way_out;
	} wrong[] = {
		{variable, "its mode is not 0700", "mode 0700"},
		{"WEIR_RUNTIME_DIR=relative", "not an absolute path", "correct the variable"},
		{"WEIR_DISABLE=1", "nothing is limited", "unset WEIR_DISABLE"},
		{config, "bad.conf:1: ", "weir config check"},
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		const char *const env[] = {wrong[i].variable, SANITIZERS, NULL};
		struct command *c = LINE(scene, "doctor");
		c->env = env;
		char *out = expect_line(c, 1, __LINE__);
		assert_contains(out, "NO ");
		assert_contains(out, wrong[i].told);
		assert_contains(out, wrong[i].way_out);
		free(out);
	}
	free(bad);
	free(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_musl_program_loads_the_library_and_passes_through),
		TEST(a_musl_program_is_run_without_the_library),
		TEST(a_sanitized_program_is_run_without_the_library),
		TEST(a_32_bit_program_is_run_without_a_word_of_the_dynamic_linker),
		TEST(a_static_program_is_told_of),
		TEST(a_set_group_id_program_is_told_of),
		TEST(a_program_that_can_be_seen_gets_no_word),
		TEST(the_doctor_finds_a_well_program_well),
		TEST(the_doctor_names_what_is_wrong_and_the_way_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
