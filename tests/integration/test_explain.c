/* SPDX-License-Identifier: MIT */
/* `weir explain URL [-X METHOD]`: what it says is what happens to a request, with an agent and without one. */
#include <jansson.h>

#include "weir_program.h"

/* A rate of one an hour for which nobody waits lets the first request go and no other, however long anything takes. */
#define RULES                                                                                                                    \
	"hosts = ( { match = \"127.0.0.1\"; rate = false; },\n"                                                                  \
	"  { match = \"127.0.0.1\"; path = \"/n/1*\"; rate = \"1/h\"; wait = { max = \"0\"; }; },\n"                             \
	"  { match = \"127.0.0.1\"; path = \"/n/2*\"; method = \"POST\"; rate = \"1/h\"; } );\n"

static void curl(struct scene *scene, const char *options, const char *url)
{
	char shell[1200];
	struct command c = {.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};

	snprintf(shell, sizeof shell, "curl -s -o /dev/null %s %s; true", options, url);
	struct outcome o = command_run(&c);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
}

static json_t *document(char *text)
{
	json_t *o = json_loads(text, 0, NULL);

	if (!o)
		fail_msg("no JSON: %s", text);
	free(text);
	return o;
}

static const char *text_of(json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text ? text : "";
}

static void what_a_path_and_a_method_meet_is_told(void **state)
{
	struct scene *scene = *state;
	scene_configure(scene, RULES);
	struct quotad *server = quotad_start(scene->dir, NULL);
	char *searched = strdup(quotad_url(server, "/n/1")), *posted = strdup(quotad_url(server, "/n/20"));

	char *out = WEIR_EXPECT(scene, 0, "explain", searched);
	assert_contains(out, "Narrowed: \"/n/1*\", ");
	assert_contains(out, ":2, holds for this request as well: at most 1/h;");
	assert_contains(out, "A request now would go at once.");
	free(out);
	curl(scene, "", searched);
	out = WEIR_EXPECT(scene, 0, "explain", searched);
	assert_contains(out, "A request now would be refused: it would have to wait ");
	assert_contains(out, "(the rule \"/n/1*\")");
	free(out);
	/* Which has limits alone. */
	char key[128];
	snprintf(key, sizeof key, "127.0.0.1:%d#/n/1*", server->http_port);
	struct outcome opened = WEIR(scene, "breaker", key, "open");
	assert_int_equal(opened.exit_status, 64);
	assert_contains(opened.err, "it stands beside its host's rule, which has the breaker for both");
	outcome_free(&opened);
	/* By GET the other rule is none of this request's. */
	out = WEIR_EXPECT(scene, 0, "explain", posted);
	assert_contains(out, "\"POST/n/2*\", ");
	assert_contains(out, ":3, does not hold: the method is another.");
	free(out);
	curl(scene, "-d x", posted);
	json_t *o = document(WEIR_EXPECT(scene, 0, "explain", "--json", "-X", "POST", posted));
	assert_string_equal(text_of(o, "verdict"), "refuse");
	assert_string_equal(text_of(o, "cause"), "rate");
	assert_string_equal(text_of(o, "scope"), "narrowed");
	assert_string_equal(text_of(o, "method"), "POST");
	assert_string_equal(text_of(o, "path"), "/n/20");
	json_decref(o);
	o = document(WEIR_EXPECT(scene, 0, "explain", "--json", posted));
	assert_string_equal(text_of(o, "verdict"), "go");
	json_decref(o);
	free(searched);
	free(posted);
}

static void the_last_events_are_told(void **state)
{
	struct scene *scene = *state;
	scene_configure(scene, "hosts = ( { match = \"127.0.0.1\"; wait = { max = \"0\"; }; } );\n");
	const char *options[] = {"--bucket", "1/h:1", "--dialect", "retry-after", "--retry-after", "300", NULL};
	struct quotad *server = quotad_start(scene->dir, options);

	for (int i = 0; i < 3; i++)
		curl(scene, "", quotad_url(server, "/n/1"));
	char *out = WEIR_EXPECT(scene, 0, "explain", quotad_url(server, "/n/1"));
	assert_contains(out, "The last event");
	assert_contains(out, "held for ");
	assert_contains(out, "A request now would be refused: it would have to wait ");
	free(out);
	json_t *o = document(WEIR_EXPECT(scene, 0, "explain", "--json", quotad_url(server, "/n/1")));
	assert_true(json_array_size(json_object_get(o, "events")) >= 1);
	assert_string_equal(text_of(o, "cause"), "hold");
	json_decref(o);
}

/* Nothing has been asked for yet, and nobody compiles but this command. */
static void without_an_agent_it_says_what_the_rules_say(void **state)
{
	static const char *const off[] = {"WEIR_AGENT=off", SANITIZERS, NULL};
	struct scene *scene = *state;
	scene_write_configuration(scene, RULES);
	struct command *c = LINE(scene, "explain", "http://127.0.0.1:9/n/1");
	c->env = off;

	char *out = expect_line(c, 0, __LINE__);
	assert_contains(out, "The rule \"127.0.0.1\"");
	assert_contains(out, "\"/n/1*\"");
	assert_contains(out, "A request now would go at once.");
	free(out);
}

static void what_is_wrong_with_a_url_is_said(void **state)
{
	static const struct {
		const char *url, *why;
	} wrong[] = {
		{"https://", "no host in this URL"},
		{"http://a.example.org:99999/", "the port is none: it is a number from 1 to 65535"},
		{"a.example.org:https", "the port is none: it is a number from 1 to 65535"},
		{"http://a b/", "a URL has no blanks and no control characters"},
		{"http://[::1/", "an IPv6 address in a URL ends in ']'"},
		{"file:///etc/passwd", "a file: URL asks no host"},
		{"quic://a.example.org/", "the scheme's port is not known"},
	};
	struct scene *scene = *state;

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct outcome o = WEIR(scene, "explain", wrong[i].url);
		if (o.exit_status != 64)
			fail_msg("%s: exit status %d", wrong[i].url, o.exit_status);
		assert_contains(o.err, wrong[i].why);
		outcome_free(&o);
	}
	struct outcome o = WEIR(scene, "explain", "-X", "GET IT", "http://a.example.org/");
	assert_int_equal(o.exit_status, 64);
	assert_contains(o.err, "method: expected a word");
	outcome_free(&o);
}

/* Under the name that status gives it. */
static void what_status_names_can_be_asked_for(void **state)
{
	struct scene *scene = *state;
	scene_configure(scene, "hosts = ( { match = \"a.example.org\"; group = \"some\"; } );\n");

	free(WEIR_EXPECT(scene, 0, "set", "[::1]:8080", "rate=1/s", "--create"));
	char *out = WEIR_EXPECT(scene, 0, "status");
	assert_contains(out, "::1:8080 ");
	free(out);
	out = WEIR_EXPECT(scene, 0, "explain", "::1:8080");
	assert_contains(out, "the defaults hold");
	assert_contains(out, "::1:8080");
	assert_contains(out, "Rate: set by the operator to 1/s");
	free(out);
	free(WEIR_EXPECT(scene, 0, "quota", "[::1]:8080"));
	free(WEIR_EXPECT(scene, 0, "set", "a.example.org:443", "rate=1/s", "--create"));
	struct outcome o = WEIR(scene, "explain", "some");
	assert_int_equal(o.exit_status, 64);
	assert_contains(o.err, "this is the name of a group: ask for one of its hosts");
	outcome_free(&o);
}

/* A rule looks at the first kilobyte of a path, and so does this. */
static void a_path_may_be_as_long_as_it_likes(void **state)
{
	struct scene *scene = *state;
	char url[4096];

	scene_configure(scene, RULES);
	snprintf(url, sizeof url, "http://127.0.0.1:9/n/1%03000d", 0);
	char *out = WEIR_EXPECT(scene, 0, "explain", url);
	assert_contains(out, "Narrowed: \"/n/1*\", ");
	assert_contains(out, "holds for this request as well");
	free(out);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_path_and_a_method_meet_is_told),       TEST(the_last_events_are_told),
		TEST(without_an_agent_it_says_what_the_rules_say), TEST(what_is_wrong_with_a_url_is_said),
		TEST(what_status_names_can_be_asked_for),          TEST(a_path_may_be_as_long_as_it_likes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
