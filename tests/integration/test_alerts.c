/* SPDX-License-Identifier: MIT */
/* Alerts: what fires, who is told and how, and what becomes of it when the agent goes. */
#include "alerts_stage.h"

#include <jansson.h>

struct heard {
	const char *file, *text;
	unsigned times;
};

static unsigned count_of(const char *text, const char *part)
{
	unsigned n = 0;
	for (const char *at = text; at && (at = strstr(at, part)) != NULL; at++)
		n++;
	return n;
}

static bool is_heard(void *data)
{
	struct heard *h = data;
	char *said = read_file(h->file);
	bool there = said && count_of(said, h->text) >= h->times;
	free(said);
	return there;
}

static void the_command_hears_of_it_once_and_once_of_its_end(void **state)
{
	struct scene *scene = *state;
	char *file = path_in(scene->dir, "heard"), *surroundings = path_in(scene->dir, "surroundings"), command[700];
	struct heard h = {.file = file, .text = "\"event\":\"fired\"", .times = 1};
	snprintf(command, sizeof command, "cat >>'%s'; echo >>'%s'; env >'%s'; ls /proc/self/fd >>'%s'; pwd >>'%s'", file, file,
		 surroundings, surroundings, surroundings);
	/* Nothing is judged before all twenty are there. */
	configure(scene, command,
		  "error_rate = \"10%\"; min_samples = 20; window = \"1h\"; for = \"0s\"; command_time = \"2m\";");
	ask(scene, HOST, WEIR_SUCCEEDED, 15);
	ask(scene, HOST, WEIR_FAILED, 5);
	assert_soon(is_heard, &h, 30, "the command hears that the alert fires");
	configure(scene, command, SHORT_WINDOW);
	h.text = "\"event\":\"resolved\"";
	assert_soon(is_heard, &h, 30, "and that it is over");
	char *said = read_file(file);
	assert_int_equal(count_of(said, "\"event\":\"fired\""), 1);
	assert_int_equal(count_of(said, "\"event\":\"resolved\""), 1);
	json_t *o = json_loads(said, JSON_DISABLE_EOF_CHECK, NULL);
	assert_non_null(o);
	assert_string_equal(json_string_value(json_object_get(o, "host")), HOST);
	assert_string_equal(json_string_value(json_object_get(o, "alert")), "error_rate");
	assert_string_equal(json_string_value(json_object_get(o, "text")), "25% of requests failed (threshold 10%)");
	assert_true(json_real_value(json_object_get(o, "value")) == .25);
	assert_true(json_real_value(json_object_get(o, "threshold")) == .1);
	json_decref(o);
	free(said);
	h = (struct heard){surroundings, "\n/\n", 1};
	assert_soon(is_heard, &h, 30, "the command has looked around");
	said = read_file(surroundings);
	assert_contains(said, "PATH=");
	assert_contains(said, "HOME=/");
	assert_lacks(said, "WEIR");
	assert_lacks(said, "PRELOAD");
	assert_lacks(said, "XDG");
	/* ls has its own, 3, for the directory. */
	assert_contains(said, "0\n1\n2\n3\n/\n");
	free(said);
	said = WEIR_EXPECT(scene, 0, "events", "a.example.org");
	assert_contains(said, "alert: 25% of requests failed (threshold 10%)\n");
	assert_contains(said, "alert: over: ");
	free(said);
	free(file);
	free(surroundings);
}

static void a_new_agent_goes_on_and_tells_nobody_twice(void **state)
{
	struct scene *scene = *state;
	char *file = path_in(scene->dir, "heard"), command[300];
	struct heard h = {.file = file, .text = "\"event\":\"fired\"", .times = 1};
	snprintf(command, sizeof command, "cat >>'%s'", file);
	configure(scene, command, LONG_WINDOW);
	ask(scene, HOST, WEIR_FAILED, 10);
	assert_soon(is_heard, &h, 30, "the alert fires");
	free(WEIR_EXPECT(scene, 0, "alert", "ack", "a.example.org"));
	free(WEIR_EXPECT(scene, 0, "alert", "silence", "b.example.org:443", "1h"));
	free(WEIR_EXPECT(scene, 0, "agent", "--stop"));
	char *said = WEIR_EXPECT(scene, 0, "alert", "list");
	assert_contains(said, HOST ": ");
	assert_contains(said, ", acknowledged\n");
	assert_contains(said, "silent: b.example.org:443 until ");
	free(said);
	ask(scene, HOST, WEIR_FAILED, 10);
	configure(scene, command, SHORT_WINDOW);
	h.text = "\"event\":\"resolved\"";
	assert_soon(is_heard, &h, 60, "the new agent tells of its end");
	said = read_file(file);
	assert_int_equal(count_of(said, "\"event\":\"fired\""), 1);
	free(said);
	free(file);
}

static void write_kept(struct scene *scene, const char *text)
{
	char *path = path_in(scene->runtime, "alerts");
	unlink(path);
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
	chmod(path, 0600);
	free(path);
}

static void what_is_damaged_in_the_kept_file_is_skipped(void **state)
{
	static const char *const bad[] = {
		"weir alerts 2\nfiring error_rate 1 1 0 a.example.org:443\n",
		"weir alerts 1\nfiring luck 1 1 0 a.example.org:443\nfiring error_rate\nfiring error_rate x y z\nsilent\nsilent "
		"1\n"
		"firing error_rate 99999999999999999999999 -1 7 \\xZZ\nsilent 99999999999999999999999 \\x\n\n\n",
	};
	struct scene *scene = *state;
	char *path = path_in(scene->runtime, "alerts");
	configure(scene, "true", LONG_WINDOW);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		free(WEIR_EXPECT(scene, 0, "agent", "--stop"));
		write_kept(scene, bad[i]);
		char *said = WEIR_EXPECT(scene, 0, "alert", "list", "--json");
		assert_contains(said, "\"health\":\"healthy\"");
		free(said);
	}
	/* Nor is somebody else's file read or written, where a link leads to it. */
	char *other = path_in(scene->dir, "other");
	FILE *out = fopen(other, "w");
	assert_non_null(out);
	fputs("weir alerts 1\nsilent 9999999999999999999 a.example.org:443\n", out);
	fclose(out);
	free(WEIR_EXPECT(scene, 0, "agent", "--stop"));
	unlink(path);
	assert_int_equal(symlink(other, path), 0);
	char *said = WEIR_EXPECT(scene, 0, "alert", "list");
	assert_lacks(said, "silent");
	free(said);
	free(WEIR_EXPECT(scene, 0, "alert", "silence", "b.example.org:443", "1h"));
	said = read_file(other);
	assert_lacks(said, "b.example.org");
	free(said);
	said = read_file(path);
	assert_contains(said, " b.example.org:443\n");
	free(said);
	free(other);
	free(path);
}

static long ended(struct scene *scene, const char *how)
{
	char *said = WEIR_EXPECT(scene, 0, "alert", "list", "--json");
	json_t *o = json_loads(said, 0, NULL);
	long n = (long)json_integer_value(json_object_get(json_object_get(o, "commands"), how));
	json_decref(o);
	free(said);
	return n;
}

static bool one_has_failed(void *data)
{
	return ended(data, "failed") == 1;
}

static void who_has_started_the_agent_does_not_take_the_commands_status(void **state)
{
	struct scene *scene = *state;
	configure(scene, "exit 3", "");
	free(WEIR_EXPECT(scene, 0, "agent", "--stop"));
	char *weir = build_path("weir"), shell[600];
	snprintf(shell, sizeof shell, "exec env --ignore-signal=CHLD '%s' agent --foreground", weir);
	struct command c = {
		.shell = shell, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir, .env = (const char *const[]){SANITIZERS, NULL}};
	struct running *agent = command_start(&c);
	/* Whoever asks starts one where there is none yet, and of two only one stays. */
	char *pid = path_in(scene->runtime, "agent.pid");
	struct heard h = {.file = pid, .times = 1};
	char number[32];
	snprintf(number, sizeof number, "%d\n", command_pid(agent));
	h.text = number;
	assert_soon(is_heard, &h, 30, "the agent runs");
	free(WEIR_EXPECT(scene, 0, "alert", "test"));
	assert_soon(one_has_failed, scene, 30, "the command has failed");
	assert_int_equal(ended(scene, "succeeded"), 0);
	free(WEIR_EXPECT(scene, 0, "agent", "--stop"));
	struct outcome o = command_wait(agent);
	outcome_free(&o);
	free(pid);
	free(weir);
}

static bool six_are_killed(void *data)
{
	return ended(data, "killed") == 6;
}

static bool is_gone(void *data)
{
	return kill(*(pid_t *)data, 0) != 0;
}

static void a_command_that_does_not_end_is_killed_with_all_it_has_started(void **state)
{
	struct scene *scene = *state;
	char *file = path_in(scene->dir, "pids"), command[300];
	snprintf(command, sizeof command, "sleep 1000 & echo $! >>'%s'; sleep 1000", file);
	configure(scene, command, "command_time = \"1s\";");
	for (int i = 0; i < 6; i++)
		free(WEIR_EXPECT(scene, 0, "alert", "test"));
	/* The agent answers meanwhile; four at a time. */
	free(WEIR_EXPECT(scene, 0, "alert", "list"));
	assert_soon(six_are_killed, scene, 60, "six commands are killed");
	char *said = read_file(file); /* of those that came so far */
	for (char *line = said; line && *line; line = strchr(line, '\n') + 1) {
		pid_t pid = (pid_t)atoi(line);
		assert_soon(is_gone, &pid, 30, "what it has started is ended");
	}
	free(said);
	free(file);
}

static void too_many_commands_are_left_out(void **state)
{
	struct scene *scene = *state;
	configure(scene, "sleep 1000", "command_time = \"1s\";");
	char *socket = path_in(scene->runtime, "weir.sock"), shell[700];
	snprintf(shell, sizeof shell, "curl -s -o /dev/null -d '{}' --unix-socket '%s' 'http://weir/v1/alerts/test?[1-90]'",
		 socket);
	struct command c = {.shell = shell, .mode = COMMAND_BARE, .dir = scene->dir};
	struct outcome o = command_run(&c);
	outcome_free(&o);
	free(socket);
	/* On a machine that is too slow for it, commands end by themselves as quickly as they come. */
	assert_true(ended(scene, "dropped") > 0 || ended(scene, "killed") > 0);
}

static void requests_of_a_program_fire_and_resolve_it(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, (const char *const[]){"--error-mix", "500:1", NULL});
	char *file = path_in(scene->dir, "heard"), command[300], shell[300], host[64];
	struct heard h = {.file = file, .text = "\"event\":\"fired\"", .times = 1};
	snprintf(command, sizeof command, "cat >>'%s'", file);
	configure(scene, command, LONG_WINDOW);
	snprintf(host, sizeof host, "127.0.0.1:%d", server->http_port);
	snprintf(shell, sizeof shell, "for i in 1 2 3 4 5 6 7 8; do curl -s -o /dev/null http://%s/; done", host);
	struct command c = {.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	struct outcome o = command_run(&c);
	outcome_free(&o);
	assert_soon(is_heard, &h, 30, "failures fire an alert");
	char *said = read_file(file);
	assert_contains(said, host);
	free(said);
	configure(scene, command, SHORT_WINDOW);
	h.text = "\"event\":\"resolved\"";
	assert_soon(is_heard, &h, 30, "without them it is over");
	quotad_stop(server);
	free(file);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(the_command_hears_of_it_once_and_once_of_its_end),
		SCENE(a_new_agent_goes_on_and_tells_nobody_twice),
		SCENE(what_is_damaged_in_the_kept_file_is_skipped),
		SCENE(who_has_started_the_agent_does_not_take_the_commands_status),
		SCENE(a_command_that_does_not_end_is_killed_with_all_it_has_started),
		SCENE(too_many_commands_are_left_out),
		SCENE(requests_of_a_program_fire_and_resolve_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
