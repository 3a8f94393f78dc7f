/* SPDX-License-Identifier: MIT */
/* `weir events`: what changed, when and why. */
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
		TEST(wrong_usage_is_64),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
