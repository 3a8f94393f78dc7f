/* SPDX-License-Identifier: MIT */
/* `weir run`: the command's own status, its own process, its own environment but for what weir adds. */
#include "weir_program.h"

static const char *const sh = "/bin/sh";

static void the_exit_status_is_the_commands_own(void **state)
{
	struct scene *scene = *state;
	free(WEIR_EXPECT(scene, 0, "run", "true"));
	free(WEIR_EXPECT(scene, 7, "run", "sh", "-c", "exit 7"));
	free(WEIR_EXPECT(scene, 7, "sh", "-c", "exit 7"));
	free(WEIR_EXPECT(scene, 7, "-r", "5/s", "--", "sh", "-c", "exit 7"));
	free(WEIR_EXPECT(scene, 126, "run", "/etc/passwd"));
	free(WEIR_EXPECT(scene, 126, "run", "/tmp"));
	free(WEIR_EXPECT(scene, 127, "run", "no-such-program-at-all"));
	free(WEIR_EXPECT(scene, 127, "run", "/no/such/program"));
	free(WEIR_EXPECT(scene, 64, "run"));
	struct outcome o = WEIR(scene, "run", "sh", "-c", "kill -KILL $$");
	assert_int_equal(o.signal, SIGKILL);
	outcome_free(&o);
}

static void wrong_flags_are_told(void **state)
{
	struct scene *scene = *state;
	static const char *const wrong[][3] = {
		{"-r", "fast", "-r fast"},
		{"-r", "0/s", "-r 0/s"},
		{"-c", "0", "-c 0"},
		{"-c", "many", "-c many"},
		{"--max-wait", "long", "--max-wait long"},
		{"--no-such-flag", "x", "unknown option --no-such-flag"},
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct outcome o = WEIR(scene, "run", wrong[i][0], wrong[i][1], "true");
		assert_int_equal(o.exit_status, 64);
		assert_contains(o.err, "weir: run: ");
		assert_contains(o.err, wrong[i][2]);
		outcome_free(&o);
	}
}

static void the_command_takes_weirs_place(void **state)
{
	struct scene *scene = *state;
	char pid[32];
	struct running *r = command_start(LINE(scene, "run", "sh", "-c", "echo $$"));
	snprintf(pid, sizeof pid, "%d\n", (int)command_pid(r));
	struct outcome o = command_wait(r);
	assert_string_equal(o.out, pid);
	outcome_free(&o);
}

static void the_environment_says_what_the_flags_said(void **state)
{
	struct scene *scene = *state;
	char *out = WEIR_EXPECT(scene, 0, "run", "-r", "5/s", "-c", "2", "-H", "*.example.org", "--max-wait", "3s", "-n", "sh",
				"-c", "echo $$ $WEIR_RUN $WEIR_HOSTS $WEIR_MAX_WAIT $WEIR_DRY_RUN");
	unsigned long long pid, run_pid, start, rate, burst, concurrency;
	char rest[128];
	assert_int_equal(
		sscanf(out, "%llu %llu.%llu,%llu,%llu,%llu %127[^\n]", &pid, &run_pid, &start, &rate, &burst, &concurrency, rest),
		7);
	assert_int_equal(pid, run_pid);
	assert_true(start > 0);
	assert_int_equal(rate, 5000000000ULL);
	assert_int_equal(burst, 1);
	assert_int_equal(concurrency, 2);
	assert_string_equal(rest, "*.example.org 3000000000ns 1");
	free(out);
	out = WEIR_EXPECT(scene, 0, "run", "sh", "-c", "env");
	assert_lacks(out, "WEIR_RUN=");
	assert_lacks(out, "WEIR_HOSTS");
	assert_lacks(out, "WEIR_DRY_RUN");
	free(out);
}

static void an_existing_preload_stays_behind_ours(void **state)
{
	struct scene *scene = *state;
	char *library = build_path("libweir.so"), expected[1024];
	static const char *const env[] = {"LD_PRELOAD=/lib/x86_64-linux-gnu/libm.so.6", SANITIZERS, NULL};
	if (access("/lib/x86_64-linux-gnu/libm.so.6", R_OK) != 0 || getenv("WEIR_TEST_PRELOAD_BEFORE")) {
		free(library);
		skip();
		return;
	}
	snprintf(expected, sizeof expected, "%s:/lib/x86_64-linux-gnu/libm.so.6\n", library);
	struct command *c = LINE(scene, "run", "sh", "-c", "echo $LD_PRELOAD");
	c->env = env;
	char *out = expect_line(c, 0, __LINE__);
	assert_string_equal(out, expected);
	free(out);
	/* Once is enough, however deep. */
	char *weir = build_path("weir");
	c = LINE(scene, "run", weir, "run", weir, "sh", "-c", "echo $LD_PRELOAD");
	c->env = env;
	out = expect_line(c, 0, __LINE__);
	assert_string_equal(out, expected);
	free(out);
	free(weir);
	free(library);
}

static void a_place_that_cannot_be_preloaded_is_refused(void **state)
{
	struct scene *scene = *state;
	char *weir = build_path("weir"), *library = build_path("libweir.so"), line[4096];
	static const char *const names[] = {"with space", "with:colon"};
	for (size_t i = 0; i < 2; i++) {
		char *dir = make_dir(scene->dir, names[i]);
		snprintf(line, sizeof line, "cp '%s' '%s-tool' '%s' '%s' && '%s/weir' run true", weir, weir, library, dir, dir);
		struct command c = {.shell = line, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir};
		struct outcome o = command_run(&c);
		assert_int_equal(o.exit_status, 125);
		assert_contains(o.err, "weir: libweir.so: its path holds a colon or a space");
		outcome_free(&o);
		free(dir);
	}
	char *dir = make_dir(scene->dir, "alone");
	snprintf(line, sizeof line, "cp '%s' '%s-tool' '%s' && '%s/weir' run true", weir, weir, dir, dir);
	struct command c = {.shell = line, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir};
	struct outcome o = command_run(&c);
	if (access(WEIR_LIBDIR "/libweir.so", F_OK) != 0) {
		assert_int_equal(o.exit_status, 125);
		assert_contains(o.err, "weir: libweir.so: not beside this program");
	}
	outcome_free(&o);
	free(dir);
	free(weir);
	free(library);
}

static void the_policy_is_there_before_the_command(void **state)
{
	struct scene *scene = *state;
	char *config = make_dir(scene->dir, EMPTY_CONFIG_DIR), *dir = make_dir(config, "weir");
	/* Ten times from nothing: with a race it would be missed sooner or later. */
	for (int i = 0; i < 10; i++) {
		/* Both of one length: a file that has shrunk is not believed before it has rested. */
		free(write_file(dir, "weir.conf",
				i % 2 ? "hosts = ( { match = \"a.example.org\"; } );\n"
				      : "# nothing, and as long as the other      \n"));
		free(WEIR_EXPECT(scene, 0, "run", "true"));
		struct weir_segment s = scene_segment(scene);
		struct weir_policy_view v = weir_policy_in_force(&s);
		assert_non_null(v.rules);
		assert_int_equal(v.rule_count, i % 2 ? 2 : 1);
		assert_true(weir_policy_fresh(&v));
		weir_segment_close(&s);
		if (i % 3 == 0)
			stop_agent(scene->runtime);
	}
	free(dir);
	free(config);
}

static void without_an_agent_the_run_compiles_itself(void **state)
{
	struct scene *scene = *state;
	static const char *const off[] = {"WEIR_AGENT=off", SANITIZERS, NULL};
	struct command *c = LINE(scene, "run", "true");
	c->env = off;
	free(expect_line(c, 0, __LINE__));
	struct weir_segment s = scene_segment(scene);
	assert_non_null(weir_policy_in_force(&s).rules);
	weir_segment_close(&s);
	assert_int_equal(agent_pid(scene->runtime), 0);
}

static void a_named_configuration_is_checked_first(void **state)
{
	struct scene *scene = *state;
	char *good = write_file(scene->dir, "good.conf", "agent = { idle_exit = \"1s\"; };\n");
	char *bad = write_file(scene->dir, "bad.conf", "hosts = ( { match = \"a\"; nonsense = 1; } );\n");
	char expected[1024];
	struct outcome o = WEIR(scene, "run", "-f", bad, "echo", "ran");
	assert_int_equal(o.exit_status, 125);
	snprintf(expected, sizeof expected, "weir: config: %s:1: ", bad);
	assert_contains(o.err, expected);
	assert_string_equal(o.out, "");
	outcome_free(&o);
	o = WEIR(scene, "run", "-f", "/no/such/file", "echo", "ran");
	assert_int_equal(o.exit_status, 125);
	assert_contains(o.err, "weir: /no/such/file: No such file or directory");
	outcome_free(&o);
	char *out = WEIR_EXPECT(scene, 0, "run", "-f", good, "sh", "-c", "echo $WEIR_CONFIG");
	snprintf(expected, sizeof expected, "%s\n", good);
	assert_string_equal(out, expected);
	free(out);
	free(good);
	free(bad);
}

/* Runs `weir run [-r 5/s|-c 2] echo ran` with a runtime directory that is wrong: told, and an error only with a limit. */
static void expect_not_in_force(struct scene *scene, const char *runtime_variable, const char *told)
{
	static const char *const limits[][2] = {{"-s", "-s"}, {"-r", "5/s"}, {"-c", "2"}};
	const char *const env[] = {runtime_variable, SANITIZERS, NULL};
	for (size_t i = 0; i < 3; i++) {
		struct command *c = LINE(scene, "run", limits[i][0], limits[i][1], "echo", "ran");
		if (i == 0)
			c = LINE(scene, "run", "echo", "ran");
		c->env = env;
		struct outcome o = command_run(c);
		assert_int_equal(o.exit_status, i == 0 ? 0 : 125);
		assert_string_equal(o.out, i == 0 ? "ran\n" : "");
		assert_string_equal(o.err, told);
		assert_true(o.seconds < 2);
		outcome_free(&o);
	}
}

static void a_world_that_cannot_be_made_keeps_only_limits_from_running(void **state)
{
	struct scene *scene = *state;
	char *dir = make_dir(scene->dir, "open-to-all"), variable[512], told[768];
	expect_not_in_force(scene, "WEIR_RUNTIME_DIR=/no/such/directory/weir",
			    "weir: run: limits are not in force: /no/such/directory/weir: cannot be created: "
			    "No such file or directory\n");
	expect_not_in_force(scene, "WEIR_RUNTIME_DIR=run",
			    "weir: run: limits are not in force: WEIR_RUNTIME_DIR: not an absolute path\n");
	assert_int_equal(chmod(dir, 0755), 0);
	snprintf(variable, sizeof variable, "WEIR_RUNTIME_DIR=%s", dir);
	snprintf(told, sizeof told, "weir: run: limits are not in force: %s: its mode is not 0700\n", dir);
	expect_not_in_force(scene, variable, told);
	if (geteuid() == 0) {
		assert_int_equal(chmod(dir, 0700), 0);
		assert_int_equal(chown(dir, 65534, 65534), 0);
		snprintf(told, sizeof told, "weir: run: limits are not in force: %s: belongs to another user\n", dir);
		expect_not_in_force(scene, variable, told);
	}
	free(dir);
}

/* Runs text in sh, in which $0 is weir, 3 and 4 the ends of a FIFO. */
static void expect_said_in_passing(struct scene *scene, const char *text)
{
	static const char before[] =
		"export WEIR_RUNTIME_DIR=/no/such/directory; cd \"$1\" && rm -f fifo && mkfifo fifo && exec 4<>fifo 3>fifo; ";
	char whole[1024], *program = build_path("weir");
	snprintf(whole, sizeof whole, "%s%s; echo $?", before, text);
	const char *argv[] = {"sh", "-c", whole, program, scene->dir, NULL};
	static const char *const env[] = {SANITIZERS, NULL};
	struct command c = {.argv = argv, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir, .env = env};
	struct outcome o = command_run(&c);
	if (strcmp(o.out, "7\n") != 0)
		fail_msg("%s: exit status %d (signal %d)\nstdout: %s\nstderr: %s", text, o.exit_status, o.signal, o.out, o.err);
	outcome_free(&o);
	free(program);
}

/* Each of these makes weir say that limits are not in force. */
static void what_is_said_before_the_command_neither_ends_it_nor_holds_it_up(void **state)
{
	struct scene *scene = *state;
	expect_said_in_passing(scene, "exec 4<&-; \"$0\" run sh -c 'exit 7' 2>&3");
	expect_said_in_passing(scene, "exec 4<&-; \"$0\" run -s sh -c 'exit 7' 2>&3");
	expect_said_in_passing(scene, "dd if=/dev/zero of=fifo oflag=nonblock bs=512 count=4096 2>/dev/null; "
				      "\"$0\" run sh -c 'exit 7' 2>&3 3>&-");
	expect_said_in_passing(scene, "(ulimit -f 0; \"$0\" run sh -c 'exit 7' 2>told)");
	expect_said_in_passing(scene, "(ulimit -f 0; \"$0\" run -s sh -c 'exit 7' 2>told)");
}

static void a_segment_that_cannot_be_used_is_told(void **state)
{
	struct scene *scene = *state;
	char *segment = path_in(scene->runtime, "state.1"), told[768];
	assert_int_equal(mkdir(segment, 0700), 0); /* no agent replaces a directory */
	struct outcome o = WEIR(scene, "run", "-r", "5/s", "echo", "ran");
	assert_int_equal(o.exit_status, 125);
	assert_string_equal(o.out, "");
	snprintf(told, sizeof told, "weir: run: limits are not in force: %s: ", segment);
	assert_contains(o.err, told);
	outcome_free(&o);
	o = WEIR(scene, "run", "echo", "ran");
	assert_int_equal(o.exit_status, 0);
	assert_string_equal(o.out, "ran\n");
	assert_contains(o.err, told);
	assert_ptr_equal(strchr(o.err, '\n'), o.err + o.err_bytes - 1);
	outcome_free(&o);
	free(segment);
}

/* ---- the launcher and the rest */

/* What a command is run by where all is as usual, and what it links. */
static void the_launcher_needs_the_c_library_alone(void **state)
{
	(void)state;
	char *weir = build_path("weir"), line[600];
	snprintf(line, sizeof line, "readelf -d '%s' | grep -c NEEDED", weir);
	struct command c = {.shell = line};
	if (getenv("WEIR_TEST_PRELOAD_BEFORE") || access("/usr/bin/readelf", X_OK) != 0) {
		free(weir);
		skip();
		return;
	}
	struct outcome o = command_run(&c);
	assert_string_equal(o.out, "1\n");
	outcome_free(&o);
	free(weir);
}

/* An agent runs and nothing is to be said: weir-tool is not needed. Where anything is, it is asked for. */
static void a_usual_run_does_without_the_rest(void **state)
{
	struct scene *scene = *state;
	char *weir = build_path("weir"), *library = build_path("libweir.so"), *dir = make_dir(scene->dir, "alone"), line[2048];
	free(WEIR_EXPECT(scene, 0, "run", "true")); /* the agent, and a policy */
	snprintf(line, sizeof line,
		 "cp '%s' '%s' '%s' && cd '%s' && ./weir run sh -c 'exit 7'; echo $?; ./weir -r 5/s -- sh -c 'echo $WEIR_RUN | "
		 "grep -c "
		 ",5000000000,1,0'; ./weir true; echo $?; ./weir run -s true; echo $?; ./weir status; echo $?",
		 weir, library, dir, dir);
	struct command c = {.shell = line, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir};
	struct outcome o = command_run(&c);
	if (access(WEIR_LIBDIR "/weir-tool", F_OK) != 0) {
		assert_string_equal(o.out, "7\n1\n0\n125\n125\n");
		assert_contains(o.err,
				"weir: weir-tool: none that can be run, neither beside this program, nor in ../lib/weir or ");
	}
	outcome_free(&o);
	/* What is there and cannot be run is named. */
	snprintf(line, sizeof line, "cd '%s' && : > weir-tool && chmod 600 weir-tool && ./weir status; echo $?", dir);
	o = command_run(&c);
	if (access(WEIR_LIBDIR "/weir-tool", F_OK) != 0)
		assert_string_equal(o.out, "125\n");
	assert_contains(o.err, "/alone/weir-tool: Permission denied\n");
	outcome_free(&o);
	free(dir);
	free(library);
	free(weir);
}

/* ---- --summary */

static void the_summary_tells_what_was_done(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char line[512], expected[128];
	snprintf(line, sizeof line, "for i in 1 2 3; do curl -s -o /dev/null %s; done; exit 3", quotad_url(server, "/"));
	struct outcome o = WEIR(scene, "run", "-s", "-r", "4/s", "sh", "-c", line);
	assert_int_equal(o.exit_status, 3);
	snprintf(expected, sizeof expected, "weir: 127.0.0.1:%d: 3 requests: 3 succeeded, ", server->http_port);
	assert_contains(o.err, expected);
	assert_contains(o.err, "2 waited");
	outcome_free(&o);
}

static void a_summary_passes_signals_on(void **state)
{
	struct scene *scene = *state;
	char *ready = path_in(scene->dir, "ready"), line[1024];
	snprintf(line, sizeof line, "trap 'exit 42' TERM; : > '%s'; while :; do sleep 0.05; done", ready);
	struct running *r = command_start(LINE(scene, "run", "-s", sh, "-c", line));
	double until = monotonic_s() + 10;
	while (access(ready, F_OK) != 0 && monotonic_s() < until)
		usleep(5000);
	command_signal(r, SIGTERM);
	struct outcome o = command_wait(r);
	assert_int_equal(o.exit_status, 42);
	assert_contains(o.err, "no request was seen");
	outcome_free(&o);
	o = WEIR(scene, "run", "-s", "sh", "-c", "kill -TERM $$");
	assert_int_equal(o.signal, SIGTERM);
	outcome_free(&o);
	o = WEIR(scene, "run", "-s", "no-such-program-at-all");
	assert_int_equal(o.exit_status, 127);
	outcome_free(&o);
	free(ready);
}

/* ---- with real requests */

static void a_runs_rate_holds_for_its_processes_together(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char line[512];
	snprintf(line, sizeof line, "for i in 1 2 3 4 5 6 7 8 9 10 11; do curl -s -o /dev/null %s & done; wait",
		 quotad_url(server, "/"));
	struct outcome o = WEIR(scene, "-r", "20/s", "sh", "-c", line);
	assert_int_equal(o.exit_status, 0);
	assert_int_equal(quotad_count(server).requests, 11);
	/* Ten intervals of 50 ms from the first admission on; arrivals may be closer where the machine held the first one up. */
	assert_true(o.seconds >= 0.5);
	outcome_free(&o);
}

static void a_dry_run_delays_nothing_and_counts_what_it_would(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char line[512];
	snprintf(line, sizeof line, "for i in 1 2 3 4 5; do curl -s -o /dev/null %s; done", quotad_url(server, "/"));
	struct outcome o = WEIR(scene, "run", "-n", "-s", "-r", "1/s", "sh", "-c", line);
	assert_int_equal(o.exit_status, 0);
	assert_true(o.seconds < 3);
	assert_contains(o.err, "would have waited");
	outcome_free(&o);
}

static void a_longer_wait_than_allowed_is_a_refusal(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char line[512];
	snprintf(line, sizeof line, "curl -s -o /dev/null %s; curl -s -o /dev/null %s", quotad_url(server, "/"),
		 quotad_url(server, "/"));
	struct outcome o = WEIR(scene, "run", "-r", "1/m", "--max-wait", "100ms", "sh", "-c", line);
	assert_int_equal(o.exit_status, 28); /* CURLE_OPERATION_TIMEDOUT */
	assert_int_equal(quotad_count(server).requests, 1);
	outcome_free(&o);
}

static void hosts_that_are_not_meant_pass(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char line[512];
	snprintf(line, sizeof line, "for i in 1 2 3 4 5; do curl -s -o /dev/null %s; done", quotad_url(server, "/"));
	struct outcome o = WEIR(scene, "run", "-r", "1/s", "-H", "*.example.org", "sh", "-c", line);
	assert_int_equal(o.exit_status, 0);
	assert_true(o.seconds < 3);
	outcome_free(&o);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

/* Whoever may write there decides what runs as us. */
static void in_a_directory_that_others_may_write_to_no_agent_is_started(void **state)
{
	struct scene *scene = *state;
	struct quotad *q = quotad_start(scene->dir, NULL);
	char *weir = build_path("weir"), *library = build_path("libweir.so"), shell[4096], place[256];
	struct command c = {.shell = shell, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir};
	struct outcome o;

	snprintf(place, sizeof place, "%s/open", scene->dir);
	snprintf(shell, sizeof shell,
		 "mkdir %s && cp %s %s-tool %s %s && chmod 0777 %s && LD_PRELOAD=%s/libweir.so WEIR_LOG=warn curl -s %s", place,
		 weir, weir, library, place, place, place, quotad_url(q, "/n/1"));
	o = command_run(&c);
	assert_int_equal(o.exit_status, 0);
	assert_contains(o.err, "the agent is not started: ");
	assert_contains(o.err, "others may write");
	assert_int_equal(quotad_count(q).requests, 1);
	outcome_free(&o);
	/* The configuration is not in force, then, which is noted where it is looked for. */
	o = WEIR(scene, "status");
	assert_contains(o.out, "not in force: ");
	assert_contains(o.out, "others may write");
	outcome_free(&o);
	snprintf(shell, sizeof shell, "%s/weir run true", place);
	o = command_run(&c);
	assert_int_equal(o.exit_status, 125);
	assert_contains(o.err, "others may write");
	outcome_free(&o);
	snprintf(shell, sizeof shell, "chmod 0755 %s && %s/weir run true", place, place);
	o = command_run(&c);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	free(weir);
	free(library);
}

static void a_long_wait_is_told_when_it_begins(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	const char *url = quotad_url(server, "/");
	struct outcome o = WEIR(scene, "run", "-v", "-r", "1/3s", "curl", "-s", "-o", "/dev/null", "-o", "/dev/null", url, url);
	assert_int_equal(o.exit_status, 0);
	const char *begins = strstr(o.err, ": waits "), *ends = strstr(o.err, ": waited ");
	if (!begins || !ends || begins > ends)
		fail_msg("%s", o.err);
	assert_null(strstr(begins + 1, ": waits ")); /* once */
	outcome_free(&o);
	o = WEIR(scene, "run", "-v", "-r", "2/s", "curl", "-s", "-o", "/dev/null", "-o", "/dev/null", url, url);
	assert_lacks(o.err, ": waits ");
	outcome_free(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_exit_status_is_the_commands_own),
		TEST(a_long_wait_is_told_when_it_begins),
		TEST(wrong_flags_are_told),
		TEST(the_command_takes_weirs_place),
		TEST(the_environment_says_what_the_flags_said),
		TEST(an_existing_preload_stays_behind_ours),
		TEST(a_place_that_cannot_be_preloaded_is_refused),
		TEST(the_policy_is_there_before_the_command),
		TEST(without_an_agent_the_run_compiles_itself),
		TEST(a_named_configuration_is_checked_first),
		TEST(a_world_that_cannot_be_made_keeps_only_limits_from_running),
		TEST(what_is_said_before_the_command_neither_ends_it_nor_holds_it_up),
		TEST(a_segment_that_cannot_be_used_is_told),
		TEST(the_launcher_needs_the_c_library_alone),
		TEST(a_usual_run_does_without_the_rest),
		TEST(the_summary_tells_what_was_done),
		TEST(a_summary_passes_signals_on),
		TEST(a_runs_rate_holds_for_its_processes_together),
		TEST(a_dry_run_delays_nothing_and_counts_what_it_would),
		TEST(a_longer_wait_than_allowed_is_a_refusal),
		TEST(hosts_that_are_not_meant_pass),
		TEST(in_a_directory_that_others_may_write_to_no_agent_is_started),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
