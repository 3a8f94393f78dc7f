/* SPDX-License-Identifier: MIT */
/* `weir events` and `weir ps`: what changed, when and why, and who waits for what. */
#include "weir_program.h"

#include <jansson.h>
#include <sys/wait.h>

static void the_last_events_are_shown_a_line_each(void **state)
{
	struct scene *scene = *state;
	free(WEIR_EXPECT(scene, 0, "set", "a.example.org:443", "rate=2/s", "--create"));
	free(WEIR_EXPECT(scene, 0, "breaker", "b.example.org:443", "open", "--create"));
	char *out = WEIR_EXPECT(scene, 0, "events");
	assert_contains(out, "a.example.org:443             rate set by hand: 2/s\n");
	assert_contains(out, "b.example.org:443             breaker opened: it was set by hand\n");
	assert_true(strstr(out, "a.example.org") < strstr(out, "b.example.org"));
	free(out);
	out = WEIR_EXPECT(scene, 0, "events", "-n", "1");
	assert_contains(out, "breaker opened");
	assert_ptr_equal(strchr(out, '\n') + 1, out + strlen(out));
	free(out);
	out = WEIR_EXPECT(scene, 0, "events", "A.example.org");
	assert_contains(out, "set by hand");
	assert_lacks(out, "b.example.org");
	assert_lacks(out, "agent started");
	free(out);
	out = WEIR_EXPECT(scene, 0, "events", "nobody.example.org");
	assert_string_equal(out, "");
	free(out);
}

static void as_json_there_is_an_object_a_line(void **state)
{
	struct scene *scene = *state;
	free(WEIR_EXPECT(scene, 0, "set", "a.example.org:443", "rate=2/s", "--create"));
	char *out = WEIR_EXPECT(scene, 0, "events", "--json", "a.example.org");
	json_t *o = json_loads(out, 0, NULL);
	assert_non_null(o);
	assert_string_equal(json_string_value(json_object_get(o, "event")), "override_set");
	assert_string_equal(json_string_value(json_object_get(o, "text")), "rate set by hand: 2/s");
	assert_string_equal(json_string_value(json_object_get(o, "host")), "a.example.org:443");
	json_decref(o);
	free(out);
}

struct followed {
	const char *file, *text;
};

static bool has_said(void *data)
{
	struct followed *f = data;
	char *said = read_file(f->file);
	bool there = said && strstr(said, f->text);
	free(said);
	return there;
}

static void followed_they_come_as_they_happen_until_it_is_interrupted(void **state)
{
	struct scene *scene = *state;
	char *file = path_in(scene->dir, "said"), *weir = build_path("weir"), shell[1024];
	struct followed f = {.file = file, .text = "rate set by hand: 2/s"};
	free(WEIR_EXPECT(scene, 0, "set", "a.example.org:443", "rate=2/s", "--create"));
	snprintf(shell, sizeof shell, "exec '%s' events --follow >'%s'", weir, file);
	struct command c = *LINE(scene, "events");
	c.argv = NULL;
	c.shell = shell;
	struct running *r = command_start(&c);
	assert_soon(has_said, &f, 20, "what had happened before is shown");
	free(WEIR_EXPECT(scene, 0, "breaker", "b.example.org:443", "open", "--create"));
	f.text = "breaker opened: it was set by hand";
	assert_soon(has_said, &f, 20, "what happens meanwhile is shown");
	command_signal(r, SIGINT);
	struct outcome o = command_wait(r);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	free(file);
	free(weir);
}

static const json_t *process_of(const json_t *document, const char *state)
{
	const json_t *list = json_object_get(document, "processes"), *o;
	size_t i;
	json_array_foreach(list, i, o)
	{
		if (json_integer_value(json_object_get(o, "pid")) == getpid() &&
		    strcmp(json_string_value(json_object_get(o, "state")), state) == 0)
			return o;
	}
	return NULL;
}

static void who_waits_is_shown_with_what_it_waits_for(void **state)
{
	struct scene *scene = *state;
	scene_configure(scene,
			"hosts = ( { match = \"a.example.org\"; rate = { strategy = \"fixed\"; max = \"1/m\"; burst = 1; }; "
			"wait = { max = \"1h\"; }; } );\n");
	struct weir_segment s = scene_segment(scene);
	struct weir_gate g = {.segment = &s};
	struct weir_wish wish = {.host_port = "a.example.org:443"};
	struct weir_request first, second;
	uint64_t wake;
	weir_owner_self(&g.owner);
	assert_int_equal(weir_gate_begin(&g, &first, &wish, weir_now_ns(), &wake), WEIR_GO);
	assert_int_equal(weir_gate_begin(&g, &second, &wish, weir_now_ns(), &wake), WEIR_WAIT);
	char *out = WEIR_EXPECT(scene, 0, "ps", "--json");
	json_t *document = json_loads(out, 0, NULL);
	const json_t *o = process_of(document, "waiting");
	assert_non_null(o);
	assert_string_equal(json_string_value(json_object_get(o, "host")), "a.example.org:443");
	assert_string_equal(json_string_value(json_object_get(o, "rule")), "a.example.org");
	assert_string_equal(json_string_value(json_object_get(o, "cause")), "rate");
	assert_true(json_real_value(json_object_get(o, "ends_in_seconds")) <= 60);
	assert_true(json_real_value(json_object_get(o, "ends_in_seconds")) > 0);
	o = process_of(document, "in_flight");
	assert_non_null(o);
	assert_null(json_object_get(o, "cause"));
	json_decref(document);
	free(out);
	out = WEIR_EXPECT(scene, 0, "ps");
	assert_contains(out, " waiting ");
	assert_contains(out, " in flight ");
	assert_contains(out, "it waits for its turn at the rate limit, for ");
	assert_contains(out, "(rule a.example.org)\n");
	free(out);
	weir_gate_cancel(&g, &second, weir_now_ns());
	weir_gate_cancel(&g, &first, weir_now_ns());
	out = WEIR_EXPECT(scene, 0, "ps");
	assert_string_equal(out, "no process is under weir that has made a request\n");
	free(out);
	weir_segment_close(&s);
}

static bool shows_python(void *data)
{
	char *out = WEIR_EXPECT(data, 0, "ps");
	bool there = false;
	for (char *line = out; line && *line && !there; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		there = strstr(line, " python3") && strstr(line, " idle ") && strchr(line, '\n') > strstr(line, " idle ");
	free(out);
	return there;
}

static void a_process_between_two_requests_is_idle(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char shell[512];
	snprintf(shell, sizeof shell,
		 "python3 -c 'import http.client, time\nc = http.client.HTTPConnection(\"127.0.0.1\", %d)\n"
		 "c.request(\"GET\", \"/\")\nc.getresponse().read()\ntime.sleep(60)'",
		 server->http_port);
	struct command c = {.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .limit_s = 90};
	struct running *r = command_start(&c);
	assert_soon(shows_python, scene, 30, "python is idle");
	command_signal_group(r, SIGKILL);
	struct outcome o = command_wait(r);
	outcome_free(&o);
}

static void wrong_usage_is_64(void **state)
{
	struct scene *scene = *state;
	static const char *const lines[][3] = {
		{"-n", "x", "-n x: "}, {"-x", NULL, "unknown option -x"}, {"a", "b", "unexpected 'b'"}};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct outcome o = command_run(LINE(scene, "events", lines[i][0], lines[i][1]));
		assert_int_equal(o.exit_status, 64);
		assert_contains(o.err, lines[i][2]);
		outcome_free(&o);
	}
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_last_events_are_shown_a_line_each),
		TEST(as_json_there_is_an_object_a_line),
		TEST(followed_they_come_as_they_happen_until_it_is_interrupted),
		TEST(who_waits_is_shown_with_what_it_waits_for),
		TEST(a_process_between_two_requests_is_idle),
		TEST(wrong_usage_is_64),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
