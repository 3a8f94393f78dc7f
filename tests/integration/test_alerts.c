/* SPDX-License-Identifier: MIT */
/* Alerts: what fires, who is told and how, what silences it, and what becomes of it when the agent goes. `weir check`. */
#include "weir_program.h"

#include <jansson.h>

#define HOST "a.example.org:443"

/* Quick ones, of failures alone; the breaker stays out of it. */
#define TENTH "\"10%\""
#define RULES "defaults = { breaker = false; rate = false; concurrency = false; };\n"

static void configure(struct scene *scene, const char *command, const char *window, const char *error_rate)
{
	char text[2048];
	snprintf(text, sizeof text,
		 RULES "alerts = { error_rate = %s; min_samples = 5; window = \"%s\"; for = \"0s\"; command_time = \"1s\"; "
		       "command = \"%s\"; };\n",
		 error_rate, window, command);
	scene_configure(scene, text);
	/* An agent that watches from now on: what was counted before its first look is in no window. */
	free(WEIR_EXPECT(scene, 0, "alert", "list"));
}

/* `n` requests that end so. */
static void ask(struct scene *scene, const char *host, enum weir_outcome outcome, unsigned n)
{
	struct weir_segment s = scene_segment(scene);
	struct weir_gate g = {.segment = &s};
	struct weir_wish wish = {.host_port = host};
	weir_owner_self(&g.owner);
	for (unsigned i = 0; i < n; i++) {
		struct weir_request r;
		uint64_t wake;
		struct weir_result result = {.outcome = outcome,
					     .latency_ns = 50000000,
					     .status = outcome == WEIR_FAILED      ? 500
						       : outcome == WEIR_THROTTLED ? 429
										   : 200};
		assert_int_equal(weir_gate_begin(&g, &r, &wish, weir_now_ns(), &wake), WEIR_GO);
		weir_gate_settle(&g, &r, &result, weir_now_ns());
	}
	weir_segment_close(&s);
}

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

struct question {
	struct scene *scene;
	const char *const *arguments;
	const char *text;
};

static bool is_told(void *data)
{
	struct question *q = data;
	struct outcome o = command_run(weir_line(q->scene, q->arguments));
	bool there = strstr(o.out, q->text) != NULL;
	outcome_free(&o);
	return there;
}

/* Waits until `weir ARGUMENTS` says the text. */
#define EXPECT_SOON(scene_, text_, ...)                                                                                          \
	do {                                                                                                                     \
		struct question q_ = {(scene_), (const char *const[]){__VA_ARGS__, NULL}, (text_)};                              \
		assert_soon(is_told, &q_, 30, (text_));                                                                          \
	} while (0)

static void the_command_hears_of_it_once_and_once_of_its_end(void **state)
{
	struct scene *scene = *state;
	char *file = path_in(scene->dir, "heard"), *surroundings = path_in(scene->dir, "surroundings"), command[700];
	struct heard h = {.file = file, .text = "\"event\":\"fired\"", .times = 1};
	snprintf(command, sizeof command, "cat >>'%s'; echo >>'%s'; env >'%s'; ls /proc/self/fd >>'%s'; pwd >>'%s'", file, file,
		 surroundings, surroundings, surroundings);
	configure(scene, command, "2s", TENTH);
	ask(scene, HOST, WEIR_SUCCEEDED, 15);
	ask(scene, HOST, WEIR_FAILED, 5);
	assert_soon(is_heard, &h, 30, "the command hears that the alert fires");
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

static void health_status_and_check_tell_of_it(void **state)
{
	struct scene *scene = *state;
	configure(scene, "true", "1h", TENTH);
	free(WEIR_EXPECT(scene, 0, "check"));
	ask(scene, HOST, WEIR_FAILED, 10);
	EXPECT_SOON(scene, "alert: " HOST ": 100% of requests failed (threshold 10%), since ", "status");
	free(WEIR_EXPECT(scene, 1, "status"));
	char *said = WEIR_EXPECT(scene, 2, "check");
	assert_contains(said,
			"WEIR CRITICAL - " HOST ": 100% of requests failed (threshold 10%) | 'hosts'=1;;;0 'requests'=10c ");
	assert_contains(said, " 'error_rate'=100%;;;0;100");
	assert_ptr_equal(strchr(said, '\n') + 1, said + strlen(said));
	free(said);
	said = WEIR_EXPECT(scene, 0, "alert", "list", "--json");
	assert_contains(said, "\"health\":\"unhealthy\"");
	free(said);
	said = WEIR_EXPECT(scene, 0, "alert");
	assert_contains(said, HOST ": 100% of requests failed (threshold 10%), since ");
	free(said);
	/* Whoever looks after it says so. It is no less true. */
	free(WEIR_EXPECT(scene, 0, "alert", "ack", "a.example.org", "error_rate"));
	said = WEIR_EXPECT(scene, 2, "check", "a.example.org");
	free(said);
	said = WEIR_EXPECT(scene, 0, "alert", "list");
	assert_contains(said, ", acknowledged\n");
	free(said);
	free(WEIR_EXPECT(scene, 1, "alert", "ack", "a.example.org", "queue"));
	free(WEIR_EXPECT(scene, 64, "alert", "ack", "a.example.org", "nothing"));
	/* Silent, it does not count. */
	free(WEIR_EXPECT(scene, 0, "alert", "silence", "a.example.org", "1h"));
	free(WEIR_EXPECT(scene, 0, "check"));
	said = WEIR_EXPECT(scene, 0, "alert", "list", "--json");
	assert_contains(said, "\"health\":\"healthy\"");
	assert_contains(said, "\"silences\":[{\"host\":\"" HOST "\",\"until\":\"");
	free(said);
	free(WEIR_EXPECT(scene, 0, "alert", "silence", "a.example.org", "off"));
	free(WEIR_EXPECT(scene, 2, "check"));
	free(WEIR_EXPECT(scene, 64, "alert", "silence", "a.example.org", "soon"));
	free(WEIR_EXPECT(scene, 0, "alert", "silence", "*", "1h"));
	free(WEIR_EXPECT(scene, 0, "check"));
}

static void limits_of_check_are_compared_with_each_host(void **state)
{
	struct scene *scene = *state;
	configure(scene, "true", "1h", "false");
	ask(scene, HOST, WEIR_SUCCEEDED, 90);
	ask(scene, HOST, WEIR_FAILED, 10);
	ask(scene, "b.example.org:443", WEIR_SUCCEEDED, 100);
	EXPECT_SOON(scene, "'error_rate'=10%", "check");
	char *said = WEIR_EXPECT(scene, 1, "check", "-w", "error_rate=5%,latency=9s", "-c", "error_rate=20%");
	assert_contains(said, "WEIR WARNING - " HOST ": error_rate is 10% (threshold 5%) | ");
	assert_contains(said, "'error_rate'=10%;5;20;0;100");
	assert_contains(said, "'latency'=0.0");
	free(said);
	free(WEIR_EXPECT(scene, 2, "check", "-c", "error_rate=10%"));
	free(WEIR_EXPECT(scene, 0, "check", "-c", "error_rate=10.1%"));
	free(WEIR_EXPECT(scene, 2, "check", "-c", "latency=1ms"));
	free(WEIR_EXPECT(scene, 0, "check", "b.example.org", "-c", "error_rate=1%"));
	/* What cannot be told is unknown, and not well. */
	free(WEIR_EXPECT(scene, 3, "check", "nobody.example.org"));
	free(WEIR_EXPECT(scene, 3, "check", "-w", "error_rate=many"));
	free(WEIR_EXPECT(scene, 3, "check", "-w", "error_rate=5"));
	free(WEIR_EXPECT(scene, 3, "check", "-w", "luck=5%"));
	free(WEIR_EXPECT(scene, 3, "check", "-w", "latency="));
	free(WEIR_EXPECT(scene, 3, "check", "--luck"));
}

static void a_new_agent_goes_on_and_tells_nobody_twice(void **state)
{
	struct scene *scene = *state;
	char *file = path_in(scene->dir, "heard"), command[300];
	struct heard h = {.file = file, .text = "\"event\":\"fired\"", .times = 1};
	snprintf(command, sizeof command, "cat >>'%s'", file);
	configure(scene, command, "3s", TENTH);
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
	h.text = "\"event\":\"resolved\"";
	assert_soon(is_heard, &h, 60, "the new agent tells of its end");
	said = read_file(file);
	assert_int_equal(count_of(said, "\"event\":\"fired\""), 1);
	free(said);
	free(file);
}

static long killed(struct scene *scene, const char *how)
{
	char *said = WEIR_EXPECT(scene, 0, "alert", "list", "--json");
	json_t *o = json_loads(said, 0, NULL);
	long n = (long)json_integer_value(json_object_get(json_object_get(o, "commands"), how));
	json_decref(o);
	free(said);
	return n;
}

static bool six_are_killed(void *data)
{
	return killed(data, "killed") == 6;
}

static bool is_gone(void *data)
{
	return kill(*(pid_t *)data, 0) != 0;
}

static void a_command_that_does_not_end_is_killed_with_all_it_has_started(void **state)
{
	struct scene *scene = *state;
	char *file = path_in(scene->dir, "pids"), command[300];
	struct heard h = {.file = file, .text = "\n", .times = 6};
	snprintf(command, sizeof command, "sleep 1000 & echo $! >>'%s'; sleep 1000", file);
	configure(scene, command, "2s", TENTH);
	for (int i = 0; i < 6; i++)
		free(WEIR_EXPECT(scene, 0, "alert", "test"));
	/* The agent answers meanwhile; four at a time. */
	free(WEIR_EXPECT(scene, 0, "alert", "list"));
	assert_soon(is_heard, &h, 60, "six commands are run");
	assert_soon(six_are_killed, scene, 60, "six commands are killed");
	char *said = read_file(file);
	for (char *line = said; *line; line = strchr(line, '\n') + 1) {
		pid_t pid = (pid_t)atoi(line);
		assert_soon(is_gone, &pid, 30, "what it has started is ended");
	}
	free(said);
	free(file);
}

static void too_many_commands_are_left_out(void **state)
{
	struct scene *scene = *state;
	configure(scene, "sleep 1000", "2s", TENTH);
	char *socket = path_in(scene->runtime, "weir.sock"), shell[700];
	snprintf(shell, sizeof shell, "curl -s -o /dev/null -d '{}' --unix-socket '%s' 'http://weir/v1/alerts/test?[1-90]'",
		 socket);
	struct command c = {.shell = shell, .mode = COMMAND_BARE, .dir = scene->dir};
	struct outcome o = command_run(&c);
	outcome_free(&o);
	free(socket);
	/* On a machine that is too slow for it, commands end by themselves as quickly as they come. */
	assert_true(killed(scene, "dropped") > 0 || killed(scene, "killed") > 0);
}

static void without_a_command_there_is_nothing_to_test(void **state)
{
	struct scene *scene = *state;
	scene_configure(scene, "alerts = false;\n");
	free(WEIR_EXPECT(scene, 64, "alert", "test"));
	free(WEIR_EXPECT(scene, 64, "alert", "nothing"));
	free(WEIR_EXPECT(scene, 64, "alert", "silence", "a.example.org"));
	free(WEIR_EXPECT(scene, 1, "alert", "ack", "a.example.org"));
}

static void requests_of_a_program_fire_and_resolve_it(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, (const char *const[]){"--error-mix", "500:1", NULL});
	char *file = path_in(scene->dir, "heard"), command[300], shell[300], host[64];
	struct heard h = {.file = file, .text = "\"event\":\"fired\"", .times = 1};
	snprintf(command, sizeof command, "cat >>'%s'", file);
	configure(scene, command, "2s", TENTH);
	snprintf(host, sizeof host, "127.0.0.1:%d", server->http_port);
	snprintf(shell, sizeof shell, "for i in 1 2 3 4 5 6 7 8; do curl -s -o /dev/null http://%s/; done", host);
	struct command c = {.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	struct outcome o = command_run(&c);
	outcome_free(&o);
	assert_soon(is_heard, &h, 30, "failures fire an alert");
	char *said = read_file(file);
	assert_contains(said, host);
	free(said);
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
		SCENE(health_status_and_check_tell_of_it),
		SCENE(limits_of_check_are_compared_with_each_host),
		SCENE(a_new_agent_goes_on_and_tells_nobody_twice),
		SCENE(a_command_that_does_not_end_is_killed_with_all_it_has_started),
		SCENE(too_many_commands_are_left_out),
		SCENE(without_a_command_there_is_nothing_to_test),
		SCENE(requests_of_a_program_fire_and_resolve_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
