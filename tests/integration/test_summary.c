/* SPDX-License-Identifier: MIT */
/* `weir run -s`: what this run did, and nobody else. `weir run -v` on a terminal. */
#include <jansson.h>
#include <pty.h>
#include <termios.h>

#include "closed_port.h"
#include "weir_program.h"

#define SHELL_LINE 2048

static struct quotad *server;
static char line[SHELL_LINE];

/* The summary that a run has written, or fails. */
static json_t *read_summary(const char *file)
{
	json_error_t error;
	json_t *o = json_load_file(file, 0, &error);

	if (!o)
		fail_msg("%s: %s", file, error.text);
	return o;
}

static long number(json_t *o, const char *name)
{
	json_t *n = json_object_get(o, name);

	if (!json_is_integer(n))
		fail_msg("'%s' is not a number in the summary", name);
	return (long)json_integer_value(n);
}

/* Runs `weir run -s -o FILE` with a shell's text and returns the summary; to be freed. */
static json_t *summary_of(struct scene *scene, int status, const char *option, const char *text)
{
	char *file = path_in(scene->dir, "summary.json");
	struct outcome o = option ? WEIR(scene, "run", option, "--summary=json", "-o", file, "sh", "-c", text)
				  : WEIR(scene, "run", "--summary=json", "-o", file, "sh", "-c", text);

	if (o.exit_status != status)
		fail_msg("exit status %d (signal %d): %s", o.exit_status, o.signal, o.err);
	json_t *summary = read_summary(file);

	outcome_free(&o);
	free(file);
	return summary;
}

static bool is_there(void *path)
{
	return access(path, F_OK) == 0;
}

static void touch(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

/* How many files of summaries there are. */
static int left_over(struct scene *scene)
{
	char text[1024];

	snprintf(text, sizeof text, "ls '%s' | grep -c '^summary\\.'", scene->runtime);
	struct command c = {.shell = text};
	struct outcome o = command_run(&c);
	int n = atoi(o.out);

	outcome_free(&o);
	return n;
}

static void a_second_job_beside_it_is_not_counted(void **state)
{
	struct scene *scene = *state;
	char *half = path_in(scene->dir, "half"), *done = path_in(scene->dir, "done"),
	     *file = path_in(scene->dir, "summary.json");

	server = quotad_start(scene->dir, NULL);
	snprintf(line, sizeof line,
		 "curl -s -o /dev/null %s %s %s; : > '%s'; while ! [ -e '%s' ]; do sleep .02; done; curl -s -o /dev/null %s",
		 quotad_url(server, "/a"), quotad_url(server, "/b"), quotad_url(server, "/c"), half, done,
		 quotad_url(server, "/d"));
	struct running *first = command_start(LINE(scene, "run", "--summary=json", "-o", file, "sh", "-c", line));

	assert_soon(is_there, half, 20, "the first job is half done");
	snprintf(line, sizeof line, "for i in 1 2 3 4 5 6 7; do curl -s -o /dev/null %s; done", quotad_url(server, "/other"));
	struct outcome o = WEIR(scene, "run", "-s", "sh", "-c", line);

	assert_int_equal(o.exit_status, 0);
	assert_contains(o.err, "7 requests: 7 succeeded");
	outcome_free(&o);
	touch(done);
	o = command_wait(first);
	assert_int_equal(o.exit_status, 0);
	assert_string_equal(o.err, "");
	outcome_free(&o);
	json_t *summary = read_summary(file);

	assert_int_equal(number(summary, "requests"), 4);
	assert_int_equal(number(summary, "succeeded"), 4);
	assert_int_equal(json_array_size(json_object_get(summary, "hosts")), 1);
	assert_int_equal(number(json_array_get(json_object_get(summary, "hosts"), 0), "requests"), 4);
	assert_int_equal(quotad_count(server).requests, 11);
	assert_int_equal(left_over(scene), 0);
	json_decref(summary);
	free(half);
	free(done);
	free(file);
}

static bool one_has_come(void *data)
{
	return quotad_count(data).requests >= 1;
}

static void a_process_that_is_killed_is_in_it_and_so_are_those_after_it(void **state)
{
	struct scene *scene = *state;
	char *pid = path_in(scene->dir, "pid"), *file = path_in(scene->dir, "summary.json");

	server = quotad_start(scene->dir, (const char *const[]){"--latency-ms", "60000", NULL});
	snprintf(line, sizeof line, "curl -s -o /dev/null %s & echo $! > '%s'; wait; curl -s -o /dev/null %s",
		 quotad_url(server, "/slow"), pid, quotad_url(server, "/fast"));
	struct running *r = command_start(LINE(scene, "run", "--summary=json", "-o", file, "sh", "-c", line));

	assert_soon(one_has_come, server, 20, "the slow request is under way");
	quotad_set(server, "latency-ms=0");
	char *text = read_file(pid);

	assert_non_null(text);
	assert_return_code(kill(atoi(text), SIGKILL), errno);
	struct outcome o = command_wait(r);
	json_t *summary = read_summary(file);

	assert_int_equal(o.exit_status, 0);
	assert_int_equal(number(summary, "requests"), 2);
	assert_int_equal(number(summary, "unfinished"), 1);
	assert_int_equal(number(summary, "succeeded"), 1);
	assert_int_equal(quotad_count(server).requests, 2);
	json_decref(summary);
	outcome_free(&o);
	free(text);
	free(pid);
	free(file);
}

static void refusals_are_told_with_their_causes(void **state)
{
	struct scene *scene = *state;

	server = quotad_start(scene->dir, NULL);
	snprintf(line, sizeof line, "curl -s -o /dev/null %s; curl -s -o /dev/null %s; curl -s -o /dev/null %s; true",
		 quotad_url(server, "/1"), quotad_url(server, "/2"), quotad_url(server, "/3"));
	struct outcome o = WEIR(scene, "run", "-s", "-r", "1/h", "--max-wait", "1s", "sh", "-c", line);

	assert_int_equal(o.exit_status, 0);
	assert_contains(o.err, "3 requests: 1 succeeded, 0 throttled, 0 failed, 2 refused by weir");
	assert_contains(o.err, "weir: refused: 2: it waits for its turn at the rate limit\n");
	assert_contains(o.err, "weir: slowest: 127.0.0.1:");
	assert_contains(o.err, ", this run alone\n");
	outcome_free(&o);
	assert_int_equal(quotad_count(server).requests, 1);
}

static void failures_and_the_breaker_they_open_are_told(void **state)
{
	struct scene *scene = *state;
	int fd, port = closed_port(&fd);

	scene_configure(scene, "hosts = ( { match = \"127.0.0.1\"; breaker = { failures = 3; grace = \"0\"; open_time = \"50s\"; "
			       "open_time_max = \"50s\"; }; } );\n");
	snprintf(line, sizeof line, "for i in 1 2 3 4 5; do curl -s -o /dev/null http://127.0.0.1:%d/; done; true", port);
	json_t *summary = summary_of(scene, 0, NULL, line);

	assert_int_equal(number(summary, "requests"), 5);
	assert_int_equal(number(summary, "failed"), 3);
	assert_int_equal(number(summary, "breaker_opened"), 1);
	assert_int_equal(number(summary, "refused"), 2);
	assert_int_equal(number(json_object_get(summary, "refused_by_cause"), "breaker"), 2);
	json_decref(summary);
	close(fd);
}

static void a_wait_is_told_with_its_share(void **state)
{
	struct scene *scene = *state;

	server = quotad_start(scene->dir, NULL);
	snprintf(line, sizeof line, "for i in 1 2 3; do curl -s -o /dev/null %s; done", quotad_url(server, "/"));
	json_t *summary = summary_of(scene, 0, "-r4/s", line);
	double waited = json_real_value(json_object_get(summary, "waited")),
	       longest = json_real_value(json_object_get(summary, "longest_wait")),
	       share = json_real_value(json_object_get(summary, "waited_share")),
	       took = json_real_value(json_object_get(summary, "took"));

	/* A stall between two of them makes the waits shorter, and never longer than the turns are apart. */
	assert_true(number(summary, "delayed") <= 2);
	assert_true(waited <= took && longest <= waited);
	assert_true(share >= 0 && share <= 1);
	if (number(summary, "delayed") == 2)
		assert_true(waited > 0 && share > 0);
	json_decref(summary);
}

static void a_run_inside_a_run_is_in_both(void **state)
{
	struct scene *scene = *state;
	char *weir = build_path("weir");

	server = quotad_start(scene->dir, NULL);
	snprintf(line, sizeof line, "curl -s -o /dev/null %s; '%s' run -s curl -s -o /dev/null %s %s 2>/dev/null",
		 quotad_url(server, "/1"), weir, quotad_url(server, "/2"), quotad_url(server, "/3"));
	json_t *summary = summary_of(scene, 0, NULL, line);

	assert_int_equal(number(summary, "requests"), 3);
	assert_int_equal(left_over(scene), 0);
	json_decref(summary);
	free(weir);
}

static void who_outlives_the_run_is_told_of(void **state)
{
	struct scene *scene = *state;
	char *pid = path_in(scene->dir, "pid");

	snprintf(line, sizeof line, "sleep 60 </dev/null >/dev/null 2>&1 & echo $! > '%s'", pid);
	struct outcome o = WEIR(scene, "run", "-s", "sh", "-c", line);
	char *text = read_file(pid);

	assert_non_null(text);
	kill(atoi(text), SIGKILL);
	assert_int_equal(o.exit_status, 0);
	assert_contains(o.err, "weir: 1 process of this run is still running; what it does from now on is not in here\n");
	assert_contains(o.err, "; no request was seen\n");
	outcome_free(&o);
	free(text);
	free(pid);
}

static void what_a_killed_run_leaves_the_next_one_removes(void **state)
{
	struct scene *scene = *state;
	char *ready = path_in(scene->dir, "ready"), *pid = path_in(scene->dir, "pid");

	snprintf(line, sizeof line, "echo $$ > '%s'; : > '%s'; exec sleep 60", pid, ready);
	struct running *r = command_start(LINE(scene, "run", "-s", "sh", "-c", line));

	assert_soon(is_there, ready, 20, "the command runs");
	assert_int_equal(left_over(scene), 1);
	/* One that lives keeps its own. */
	struct outcome o = WEIR(scene, "run", "-s", "true");

	outcome_free(&o);
	assert_int_equal(left_over(scene), 1);
	command_signal(r, SIGKILL);
	assert_true(wait_for_exit(command_pid(r), 10));
	char *text = read_file(pid);

	assert_non_null(text);
	kill(atoi(text), SIGKILL);
	o = command_wait(r);
	outcome_free(&o);
	o = WEIR(scene, "run", "-s", "true");
	outcome_free(&o);
	assert_int_equal(left_over(scene), 0);
	free(text);
	free(ready);
	free(pid);
}

static void a_place_that_cannot_be_written_is_told_before_the_command(void **state)
{
	struct scene *scene = *state;
	struct outcome o = WEIR(scene, "run", "-o", "/no/such/directory/file", "echo", "ran");

	assert_int_equal(o.exit_status, 125);
	assert_string_equal(o.out, "");
	assert_contains(o.err, "weir: /no/such/directory/file: No such file or directory");
	outcome_free(&o);
	o = WEIR(scene, "run", "--summary=xml", "true");
	assert_int_equal(o.exit_status, 64);
	assert_contains(o.err, "--summary xml: expected text or json");
	outcome_free(&o);
}

static void where_nothing_can_be_counted_no_file_is_made(void **state)
{
	struct scene *scene = *state;
	char *open_to_all = path_in(scene->dir, "open"), text[2 * SHELL_LINE];

	assert_return_code(mkdir(open_to_all, 0755), errno);
	/* It is chmod that makes it so: the umask does not count. */
	assert_return_code(chmod(open_to_all, 0777), errno);
	snprintf(line, sizeof line, "ls -a / '%s' | grep '^summary\\.'; true", open_to_all);
	for (int i = 0; i < 2; i++) {
		char *weir = build_path("weir");

		snprintf(text, sizeof text, "export WEIR_RUNTIME_DIR='%s'; exec '%s' run -s sh -c \"%s\"",
			 i == 0 ? "not/absolute" : open_to_all, weir, line);
		struct command c = {.shell = text,
				    .mode = COMMAND_BESIDE_WEIR,
				    .dir = scene->dir,
				    .env = (const char *const[]){SANITIZERS, NULL}};
		struct outcome o = command_run(&c);

		assert_int_equal(o.exit_status, 0);
		assert_string_equal(o.out, "");
		assert_contains(o.err, "weir: run: limits are not in force: ");
		assert_contains(o.err, "weir: run: there will be no summary: ");
		assert_lacks(o.err, "no request was seen");
		outcome_free(&o);
		free(weir);
	}
	free(open_to_all);
}

static void whoever_spoils_its_file_does_not_take_the_commands_status(void **state)
{
	static const char *const spoils[] = {": >", "truncate -s 4096", "rm", "rm -f \"$WEIR_SUMMARY\"; mkdir"};
	struct scene *scene = *state;

	for (size_t i = 0; i < sizeof spoils / sizeof *spoils; i++) {
		snprintf(line, sizeof line, "%s \"$WEIR_SUMMARY\"; exit 9", spoils[i]);
		struct outcome o = WEIR(scene, "run", "-s", "sh", "-c", line);

		if (o.exit_status != 9)
			fail_msg("%s: exit status %d (signal %d): %s", spoils[i], o.exit_status, o.signal, o.err);
		assert_contains(o.err, "weir: run: the summary is not whole: ");
		outcome_free(&o);
	}
}

static void whatever_the_variable_names_the_program_does_what_it_does(void **state)
{
	struct scene *scene = *state;
	static const char *const makes[] = {
		"true",
		": > \"$F\"",
		"mkdir \"$F\"",
		"mkfifo \"$F\"",
		"head -c 86704 /dev/urandom > \"$F\"; chmod 600 \"$F\"",
		"head -c 86704 /dev/zero > \"$F\"; chmod 644 \"$F\"",
		"ln -s /etc/passwd \"$F\"",
		/* the right head, and every row full of rubbish */
		"{ printf 'WERSUM1\\0\\260\\122\\001\\0\\0\\0\\0\\0'; head -c 86688 /dev/urandom; } > \"$F\"; chmod 600 \"$F\"",
	};

	server = quotad_start(scene->dir, NULL);
	for (size_t i = 0; i < sizeof makes / sizeof *makes; i++) {
		char variable[600], text[SHELL_LINE];
		char *file = path_in(scene->dir, "named");

		snprintf(variable, sizeof variable, "WEIR_SUMMARY=%s", file);
		snprintf(text, sizeof text, "F='%s'; rm -rf \"$F\"; %s", file, makes[i]);
		struct command make = {.shell = text};
		struct outcome o = command_run(&make);

		assert_int_equal(o.exit_status, 0);
		outcome_free(&o);
		const char *argv[] = {"curl", "-s", "-o", "/dev/null", "-w", "%{http_code}\n", quotad_url(server, "/"), NULL};
		const char *env[] = {variable, NULL};
		struct command c = {.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .env = env};

		o = command_run(&c);
		assert_int_equal(o.exit_status, 0);
		assert_string_equal(o.out, "200\n");
		assert_string_equal(o.err, "");
		outcome_free(&o);
		free(file);
	}
	assert_int_equal(sizeof makes / sizeof *makes, quotad_count(server).requests);
}

/* ---- on a terminal */

/* Runs `weir run OPTION sh -c TEXT` on a terminal of its own; returns what was written there. */
static char *on_terminal(struct scene *scene, const char *option, const char *text)
{
	static char seen[65536];
	struct termios raw;
	char name[128], shell[SHELL_LINE * 2], *weir = build_path("weir");
	int ours, theirs;

	cfmakeraw(&raw);
	assert_return_code(openpty(&ours, &theirs, name, &raw, NULL), errno);
	snprintf(shell, sizeof shell, "TERM=xterm exec setsid -c -w '%s' run %s sh -c '%s' <'%s' >'%s' 2>&1", weir, option, text,
		 name, name);
	struct command c = {
		.shell = shell, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir, .env = (const char *const[]){SANITIZERS, NULL}};
	struct running *r = command_start(&c);
	size_t n = 0;

	assert_return_code(fcntl(ours, F_SETFL, O_NONBLOCK), errno);
	for (bool over = false; !over;) {
		over = command_has_exited(r);
		for (ssize_t got; n < sizeof seen - 1 && (got = read(ours, seen + n, sizeof seen - 1 - n)) > 0;)
			n += (size_t)got;
		usleep(10000);
	}
	seen[n] = '\0';
	struct outcome o = command_wait(r);

	if (o.exit_status != 0)
		fail_msg("exit status %d (signal %d): %s\n%s", o.exit_status, o.signal, o.err, seen);
	outcome_free(&o);
	close(ours);
	close(theirs);
	free(weir);
	return seen;
}

static unsigned occurrences(const char *text, const char *part)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
		n++;
	return n;
}

static void a_long_wait_is_announced_and_counted_down_on_a_terminal(void **state)
{
	struct scene *scene = *state;

	require_terminals();
	server = quotad_start(scene->dir, (const char *const[]){"--window", "1/6s", "--dialect", "retry-after", NULL});
	/* The second is told to come back, and the third waits for that. */
	snprintf(line, sizeof line, "for i in 1 2 3; do curl -s -o /dev/null %s; done; echo over", quotad_url(server, "/"));
	char *seen = on_terminal(scene, "-v", line);

	assert_int_equal(occurrences(seen, ", until "), 1);
	assert_contains(seen, "s, until ");
	assert_contains(seen, ": the server said when to come back\n");
	assert_true(occurrences(seen, " more: the server said when to come back") >= 2);
	/* What the command writes is not erased: the line is drawn behind the cursor, which goes back. */
	assert_int_equal(occurrences(seen, "\0337\033[K"), occurrences(seen, "\0338"));
	assert_lacks(seen, "\r");
	assert_contains(seen, "over\n");
}

static void nothing_else_is_said_there(void **state)
{
	struct scene *scene = *state;

	require_terminals();
	server = quotad_start(scene->dir, NULL);
	snprintf(line, sizeof line, "for i in 1 2 3; do curl -s -o /dev/null %s; done; echo over", quotad_url(server, "/"));
	assert_string_equal(on_terminal(scene, "-v -r 4/s", line), "over\n");
}

static void it_ends_with_its_terminal(void **state)
{
	struct scene *scene = *state;
	char name[128], shell[SHELL_LINE], *weir = build_path("weir"), *pid = path_in(scene->dir, "pid"),
					   *ready = path_in(scene->dir, "ready");
	int ours, theirs;

	require_terminals();
	assert_return_code(openpty(&ours, &theirs, name, NULL, NULL), errno);
	/* With nobody else's hand on it, it is gone as it is closed. */
	assert_return_code(fcntl(ours, F_SETFD, FD_CLOEXEC), errno);
	assert_return_code(fcntl(theirs, F_SETFD, FD_CLOEXEC), errno);
	snprintf(shell, sizeof shell,
		 "exec setsid -c -w '%s' run -s sh -c 'echo $$ > \"%s\"; : > \"%s\"; exec sleep 600' <'%s' >'%s' 2>&1", weir, pid,
		 ready, name, name);
	struct command c = {
		.shell = shell, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir, .env = (const char *const[]){SANITIZERS, NULL}};
	struct running *r = command_start(&c);

	assert_soon(is_there, ready, 20, "the command runs");
	char *text = read_file(pid);

	assert_non_null(text);
	close(theirs);
	close(ours);
	bool over = wait_for_exit(atoi(text), 20);

	kill(atoi(text), SIGKILL);
	struct outcome o = command_wait(r);

	outcome_free(&o);
	assert_true(over);
	free(text);
	free(ready);
	free(pid);
	free(weir);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(a_second_job_beside_it_is_not_counted),
		SCENE(a_process_that_is_killed_is_in_it_and_so_are_those_after_it),
		SCENE(refusals_are_told_with_their_causes),
		SCENE(failures_and_the_breaker_they_open_are_told),
		SCENE(a_wait_is_told_with_its_share),
		SCENE(a_run_inside_a_run_is_in_both),
		SCENE(who_outlives_the_run_is_told_of),
		SCENE(what_a_killed_run_leaves_the_next_one_removes),
		SCENE(a_place_that_cannot_be_written_is_told_before_the_command),
		SCENE(where_nothing_can_be_counted_no_file_is_made),
		SCENE(whoever_spoils_its_file_does_not_take_the_commands_status),
		SCENE(whatever_the_variable_names_the_program_does_what_it_does),
		SCENE(a_long_wait_is_announced_and_counted_down_on_a_terminal),
		SCENE(nothing_else_is_said_there),
		SCENE(it_ends_with_its_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
