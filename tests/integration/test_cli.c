/* SPDX-License-Identifier: MIT */
/* The command line: statuses, messages, and that it gets along without an agent. */
#include "weir_program.h"

#include <jansson.h>
#include <sys/wait.h>

#include "tests/harness/environment.h"

static void know_a_host(struct scene *scene, enum weir_outcome outcome)
{
	free(WEIR_EXPECT(scene, 3, "status")); /* starts the agent, which makes the segment */
	struct weir_segment s = scene_segment(scene);
	scene_request(&s, "api.example.org:443", outcome);
	weir_segment_close(&s);
}

/* Asserts exit status and that stderr holds a text; stdout must be empty. */
#define EXPECT_ERROR(scene, status, text, ...) expect_error(LINE((scene), __VA_ARGS__), (status), (text), __LINE__)
static void expect_error(const struct command *c, int status, const char *text, int line)
{
	struct outcome o = command_run(c);
	if (o.exit_status != status || !strstr(o.err, text) || o.out_bytes != 0)
		fail_msg("line %d: expected %d and '%s', got %d, '%s' and '%s'", line, status, text, o.exit_status, o.err, o.out);
	outcome_free(&o);
}

static void every_subcommand_has_help(void **state)
{
	struct scene *scene = *state;
	static const char *const names[] = {"run",     "status", "stats", "explain", "set", "reset",
					    "breaker", "config", "agent", "version", "help"};
	char *overview = WEIR_EXPECT(scene, 0, "help"), *same = WEIR_EXPECT(scene, 0, "--help");
	assert_string_equal(overview, same);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char *a = WEIR_EXPECT(scene, 0, names[i], "--help"), *b = WEIR_EXPECT(scene, 0, "help", names[i]);
		assert_string_equal(a, b);
		assert_contains(a, "usage: weir ");
		assert_contains(overview, names[i]);
		free(a);
		free(b);
	}
	free(overview);
	free(same);
}

static void the_version_is_printed(void **state)
{
	char *a = WEIR_EXPECT(*state, 0, "version"), *b = WEIR_EXPECT(*state, 0, "--version");
	assert_string_equal(a, "weir " WEIR_VERSION "\n");
	assert_string_equal(a, b);
	free(a);
	free(b);
}

static void wrong_usage_is_64_and_says_what(void **state)
{
	struct scene *scene = *state;
	EXPECT_ERROR(scene, 64, "weir: status: unknown option --nonsense", "status", "--nonsense");
	EXPECT_ERROR(scene, 64, "weir: status: unknown option -x", "status", "-x");
	EXPECT_ERROR(scene, 64, "weir: status: unexpected 'b'", "status", "a", "b");
	EXPECT_ERROR(scene, 64, "exclude each other", "stats", "--json", "--prometheus");
	EXPECT_ERROR(scene, 64, "takes no value", "stats", "--json=yes");
	EXPECT_ERROR(scene, 64, "weir: explain: no URL given", "explain");
	EXPECT_ERROR(scene, 64, "no host in this URL", "explain", "https://");
	EXPECT_ERROR(scene, 64, "weir: set: no host given", "set");
	EXPECT_ERROR(scene, 64, "nothing to set", "set", "a:1");
	EXPECT_ERROR(scene, 64, "got 'speed=1'", "set", "a:1", "speed=1");
	EXPECT_ERROR(scene, 64, "rate is given twice", "set", "a:1", "rate=1/s", "rate=2/s");
	EXPECT_ERROR(scene, 64, "weir: set: rate: ", "set", "a:1", "rate=fast");
	EXPECT_ERROR(scene, 64, "weir: set: for: ", "set", "a:1", "rate=1/s", "--for", "ages");
	EXPECT_ERROR(scene, 64, "--for needs a value", "set", "a:1", "rate=1/s", "--for");
	EXPECT_ERROR(scene, 64, "got 'ajar'", "breaker", "a:1", "ajar");
	EXPECT_ERROR(scene, 64, "expected check or show, got 'edit'", "config", "edit");
	EXPECT_ERROR(scene, 64, "weir: agent: --idle-exit soon: ", "agent", "--idle-exit", "soon");
	EXPECT_ERROR(scene, 64, "no subcommand 'top-secret'", "help", "top-secret");
}

static void a_slip_gets_a_suggestion(void **state)
{
	struct scene *scene = *state;
	EXPECT_ERROR(scene, 127, "did you mean 'status'?", "statsu");
	EXPECT_ERROR(scene, 127, "did you mean 'explain'?", "exlpain", "https://a.example.org/");
	EXPECT_ERROR(scene, 127, "weir: no-such-program-at-all: neither a subcommand nor a command on PATH",
		     "no-such-program-at-all");
}

static void no_arguments_show_the_help_and_are_wrong_usage(void **state)
{
	char *out = WEIR_EXPECT(*state, 64, NULL);
	assert_contains(out, "usage: weir ");
	free(out);
}

static void status_tells_by_its_exit_status(void **state)
{
	struct scene *scene = *state;
	char *out = WEIR_EXPECT(scene, 3, "status");
	assert_contains(out, "no host is known yet");
	assert_contains(out, scene->runtime);
	free(out);
	know_a_host(scene, WEIR_SUCCEEDED);
	out = WEIR_EXPECT(scene, 0, "status");
	assert_contains(out, "api.example.org:443            ok");
	assert_lacks(out, "\033");
	free(out);
	free(WEIR_EXPECT(scene, 0, "breaker", "api.example.org", "open"));
	out = WEIR_EXPECT(scene, 1, "status");
	assert_contains(out, "opened by the operator");
	free(out);
	EXPECT_ERROR(scene, 3, "nobody.example.org: nothing is known", "status", "nobody.example.org");
}

/* What weir writes to a terminal, with further settings of the environment. */
static char *on_a_terminal(struct command *c, const char *const *env)
{
	static char text[8192];
	size_t length = 0;
	c->env = env;
	char **environment = environment_for(c);
	int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
	int slave = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	pid_t child = fork();
	if (child == 0) {
		dup2(slave, STDOUT_FILENO);
		execve(c->argv[0], (char *const *)c->argv, environment);
		_exit(127);
	}
	close(slave);
	for (ssize_t n; length < sizeof text - 1; length += (size_t)n)
		if ((n = read(terminal, text + length, sizeof text - 1 - length)) <= 0)
			break;
	text[length] = '\0';
	close(terminal);
	waitpid(child, NULL, 0);
	environment_free(environment);
	return text;
}

static void colour_is_for_terminals_that_want_it(void **state)
{
	struct scene *scene = *state;
	require_terminals();
	know_a_host(scene, WEIR_SUCCEEDED);
	static const char *const color[] = {"TERM=xterm", "NO_COLOR", SANITIZERS, NULL};
	static const char *const dumb[] = {"TERM=dumb", "NO_COLOR", SANITIZERS, NULL};
	static const char *const plain[] = {"TERM=xterm", "NO_COLOR=1", SANITIZERS, NULL};
	assert_contains(on_a_terminal(LINE(scene, "status"), color), "\033[32mok");
	assert_lacks(on_a_terminal(LINE(scene, "status"), dumb), "\033");
	assert_lacks(on_a_terminal(LINE(scene, "stats"), plain), "\033");
}

static void stats_come_in_three_formats(void **state)
{
	struct scene *scene = *state;
	know_a_host(scene, WEIR_SUCCEEDED);
	char *out = WEIR_EXPECT(scene, 0, "stats");
	assert_contains(out, "api.example.org:443");
	free(out);
	out = WEIR_EXPECT(scene, 0, "stats", "api.example.org", "--json");
	json_t *o = json_loads(out, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(o, "schema")), 1);
	json_decref(o);
	free(out);
	out = WEIR_EXPECT(scene, 0, "stats", "--prometheus");
	assert_contains(out, "# TYPE weir_requests_total counter");
	free(out);
	EXPECT_ERROR(scene, 1, "nothing is known", "stats", "nobody.example.org");
}

static bool has_two_lines(void *file)
{
	char *text = read_file(file), *line = text ? strchr(text, '\n') : NULL;
	bool two = line && strchr(line + 1, '\n');
	free(text);
	return two;
}

static void an_interrupted_watch_ends_well(void **state)
{
	struct scene *scene = *state;
	char *file = path_in(scene->dir, "watched"), *weir = build_path("weir"), shell[1024];
	know_a_host(scene, WEIR_SUCCEEDED);
	struct command c = *LINE(scene, "stats");
	snprintf(shell, sizeof shell, "exec '%s' stats --json --watch >'%s'", weir, file);
	c.argv = NULL;
	c.shell = shell;
	struct running *r = command_start(&c);
	assert_soon(has_two_lines, file, 20, "it has looked twice");
	command_signal(r, SIGINT);
	struct outcome o = command_wait(r);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	free(file);
	free(weir);
}

static void explain_says_what_would_happen(void **state)
{
	struct scene *scene = *state;
	know_a_host(scene, WEIR_SUCCEEDED);
	char *out = WEIR_EXPECT(scene, 0, "explain", "https://user:password@api.example.org/path?key=secret");
	assert_contains(out, "A request now would go at once.");
	assert_lacks(out, "secret");
	assert_lacks(out, "password");
	free(out);
	free(WEIR_EXPECT(scene, 0, "breaker", "api.example.org", "open"));
	out = WEIR_EXPECT(scene, 0, "explain", "api.example.org");
	assert_contains(out, "A request now would be refused, because the breaker was opened by hand.");
	free(out);
}

static bool was_asked(void *data)
{
	return quotad_count(data).requests > 0;
}

static bool tells_of_a_stopped_curl(void *data)
{
	struct outcome o = WEIR(((struct scene **)data)[0], "explain", ((char **)data)[1]);
	bool told = strstr(o.out, "s: curl, process ") && strstr(o.out, ", which is stopped.");
	outcome_free(&o);
	return told;
}

/* A transfer that was stopped (Ctrl-Z) keeps its permit: whoever waits for one finds out whose it is. */
static void explain_names_who_has_been_in_flight_for_long(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char *url = strdup(quotad_url(server, "/delay/20000"));
	const char *const argv[] = {"curl", "-s", url, NULL};
	struct command c = {.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	void *data[] = {scene, url};
	struct running *curl = command_start(&c);
	assert_soon(was_asked, server, 20, "the request has arrived");
	command_signal(curl, SIGSTOP);
	assert_soon(tells_of_a_stopped_curl, data, 20, "explain tells of the stopped curl");
	command_signal(curl, SIGKILL);
	command_signal(curl, SIGCONT);
	struct outcome o = command_wait(curl);
	outcome_free(&o);
	free(url);
}

static void explain_names_the_file_and_the_line(void **state)
{
	struct scene *scene = *state;
	char *config = make_dir(scene->dir, EMPTY_CONFIG_DIR), *dir = make_dir(config, "weir");
	char *file =
		write_file(dir, "weir.conf", "hosts = (\n  { match = \"api.example.org\"; rate = { max = \"5/s\"; }; }\n);\n");
	char expected[1024];
	snprintf(expected, sizeof expected, "The rule \"api.example.org\", %s:2, holds", file);
	char *out = WEIR_EXPECT(scene, 0, "explain", "https://api.example.org/");
	assert_contains(out, "The rule \"api.example.org\"");
	assert_contains(out, file);
	free(out);
	free(file);
	free(dir);
	free(config);
}

static void a_rule_holds_for_an_international_name_in_either_form(void **state)
{
	static const char *const spelled[] = {"http://b\xc3\xbc\x63her.example/", "http://B%C3%9CCHER.example/",
					      "http://xn--bcher-kva.example/"};
	struct scene *scene = *state;
	for (int form = 0; form < 2; form++) {
		scene_write_configuration(scene,
					  form == 0 ? "hosts = ( { match = \"b\xc3\xbc\x63her.example\"; concurrency = 3; } );\n"
						    : "hosts = ( { match = \"*.XN--bcher-kva.example\"; concurrency = 3; },\n"
						      "          { match = \"xn--bcher-kva.example\"; concurrency = 3; } );\n");
		for (size_t i = 0; i < sizeof spelled / sizeof spelled[0]; i++) {
			char *out = WEIR_EXPECT(scene, 0, "explain", spelled[i]);
			assert_contains(out, "The rule \"xn--bcher-kva.example\"");
			free(out);
		}
	}
}

static void a_host_is_set_and_reset(void **state)
{
	struct scene *scene = *state;
	know_a_host(scene, WEIR_SUCCEEDED);
	char *out = WEIR_EXPECT(scene, 0, "set", "api.example.org", "rate=2/s", "concurrency=3", "--for", "10m");
	assert_string_equal(out, "api.example.org:443: set rate=2/s concurrency=3 for 10m\n");
	free(out);
	out = WEIR_EXPECT(scene, 0, "stats", "--json");
	assert_contains(out, "\"override\":{\"rate\":2.0,");
	free(out);
	out = WEIR_EXPECT(scene, 0, "reset", "api.example.org:443");
	assert_string_equal(out, "api.example.org:443: reset\n");
	free(out);
	out = WEIR_EXPECT(scene, 0, "stats", "--json");
	assert_lacks(out, "override");
	free(out);
}

static void an_unknown_host_is_set_with_create_as_the_error_says(void **state)
{
	static const char hint[] = ": nothing is known of this host (use --create to set it before the first request)\n";
	struct scene *scene = *state;
	EXPECT_ERROR(scene, 1, hint, "set", "a.example.org:443", "rate=2/s");
	EXPECT_ERROR(scene, 1, hint, "breaker", "b.example.org:443", "open");
	free(WEIR_EXPECT(scene, 0, "set", "a.example.org:443", "rate=2/s", "--create"));
	free(WEIR_EXPECT(scene, 0, "breaker", "b.example.org:443", "open", "--create"));
	char *out = WEIR_EXPECT(scene, 1, "status", "b.example.org:443");
	assert_contains(out, "opened by the operator");
	free(out);
	EXPECT_ERROR(scene, 1, "nothing is known of this host\n", "reset", "nobody.example.org:443");
	EXPECT_ERROR(scene, 1, "name its port as well\n", "set", "nobody.example.org", "rate=2/s", "--create");
}

static void config_check_tells_good_from_bad(void **state)
{
	struct scene *scene = *state;
	char *good = write_file(scene->dir, "good.conf", "hosts = ( { match = \"a.example.org\"; } );\n");
	char *bad = write_file(scene->dir, "bad.conf", "\nhosts = ( { match = \"a\"; rate = { max = \"fast\"; }; } );\n");
	char expected[1024];
	char *out = WEIR_EXPECT(scene, 0, "config", "check", good);
	assert_contains(out, "ok: 2 rules");
	free(out);
	snprintf(expected, sizeof expected, "weir: config: %s:2: ", bad);
	EXPECT_ERROR(scene, 1, expected, "config", "check", bad);
	EXPECT_ERROR(scene, 1, "absent.conf", "config", "check", "/nonexistent/absent.conf");
	out = WEIR_EXPECT(scene, 0, "config", "check");
	assert_contains(out, "ok: 1 rule");
	free(out);
	out = WEIR_EXPECT(scene, 0, "config", "show");
	assert_contains(out, "defaults.rate.strategy = \"adaptive\";");
	assert_contains(out, "# built in");
	free(out);
	assert_false(exists(scene->runtime, "state.1")); /* neither needs an agent */
	free(good);
	free(bad);
}

static void another_config_is_another_world(void **state)
{
	struct scene *scene = *state;
	know_a_host(scene, WEIR_SUCCEEDED);
	char *config = write_file(scene->dir, "other.conf", "agent = { idle_exit = \"2s\"; };\n");
	struct command *c = LINE(scene, "status");
	c->config = config;
	char *out = expect_line(c, 3, __LINE__);
	assert_contains(out, "state.1.");
	assert_contains(out, config);
	free(out);
	free(config);
}

static void without_an_agent_the_state_is_read_all_the_same(void **state)
{
	struct scene *scene = *state;
	know_a_host(scene, WEIR_SUCCEEDED);
	stop_agent(scene->runtime);
	static const char *const off[] = {"WEIR_AGENT=off", SANITIZERS, NULL};
	struct command *c = LINE(scene, "status");
	c->env = off;
	char *out = expect_line(c, 0, __LINE__);
	assert_contains(out, "api.example.org:443            ok");
	assert_contains(out, "agent: not running");
	free(out);
	c = LINE(scene, "set", "api.example.org", "rate=2/s");
	c->env = off;
	free(expect_line(c, 0, __LINE__));
	c = LINE(scene, "stats", "--json");
	c->env = off;
	out = expect_line(c, 0, __LINE__);
	assert_contains(out, "\"override\":{\"rate\":2.0");
	free(out);
	assert_int_equal(agent_pid(scene->runtime), 0);
}

static void a_dead_socket_is_no_obstacle(void **state)
{
	struct scene *scene = *state;
	know_a_host(scene, WEIR_SUCCEEDED);
	pid_t pid = agent_pid(scene->runtime);
	kill(pid, SIGKILL);
	assert_true(wait_for_exit((int)pid, 5));
	assert_true(exists(scene->runtime, "weir.sock"));
	free(WEIR_EXPECT(scene, 0, "status"));
	assert_true(agent_pid(scene->runtime) > 0);
}

static void weir_is_not_its_own_subject(void **state)
{
	struct scene *scene = *state;
	know_a_host(scene, WEIR_SUCCEEDED);
	struct command *c = LINE(scene, "stats", "--json");
	static const char *const env[] = {"WEIR_DISABLE", SANITIZERS, NULL};
	c->mode = COMMAND_UNDER_WEIR;
	c->env = env;
	free(expect_line(c, 0, __LINE__));
	char *out = expect_line(c, 0, __LINE__);
	json_t *o = json_loads(out, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(o, "hosts")), 1);
	json_decref(o);
	free(out);
}

static void a_directory_that_cannot_be_used_is_told_with_its_reason(void **state)
{
	struct scene *scene = *state;
	char *dir = make_dir(scene->dir, "open-to-all"), variable[512], told[768];
	const char *const wrong[] = {variable, SANITIZERS, NULL}, *const off[] = {variable, "WEIR_AGENT=off", SANITIZERS, NULL};
	snprintf(variable, sizeof variable, "WEIR_RUNTIME_DIR=%s", dir);
	assert_int_equal(chmod(dir, 0755), 0);
	snprintf(told, sizeof told, "weir: %s: its mode is not 0700\n", dir);
	struct command *c = LINE(scene, "status");
	c->env = wrong;
	expect_error(c, 3, told, __LINE__);
	c->env = off;
	expect_error(c, 3, told, __LINE__);
	if (geteuid() == 0) {
		assert_int_equal(chmod(dir, 0700), 0);
		assert_int_equal(chown(dir, 65534, 65534), 0);
		snprintf(told, sizeof told, "weir: %s: belongs to another user\n", dir);
		expect_error(c, 3, told, __LINE__);
	}
	snprintf(variable, sizeof variable, "WEIR_RUNTIME_DIR=/no/such/place/weir");
	expect_error(c, 3, "weir: /no/such/place/weir: cannot be created: No such file or directory\n", __LINE__);
	free(dir);
}

static void output_that_cannot_be_written_is_a_failure(void **state)
{
	struct scene *scene = *state;
	char *program = build_path("weir"), line[1024];
	snprintf(line, sizeof line, "'%s' version > /dev/full", program);
	struct command c = {.shell = line, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir};
	struct outcome o = command_run(&c);
	assert_int_equal(o.exit_status, 1);
	assert_contains(o.err, "could not be written");
	outcome_free(&o);
	free(program);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

static void a_host_is_set_before_there_is_an_agent_or_a_segment(void **state)
{
	struct scene *scene = *state;
	static const char *const env[] = {SANITIZERS, "WEIR_AGENT=off", NULL};
	struct command *c = LINE(scene, "set", "new.example.org:443", "rate=2/s", "--create");
	c->env = env;
	struct outcome o = command_run(c);
	assert_int_equal(o.exit_status, 0);
	assert_string_equal(o.err, "");
	outcome_free(&o);
	c = LINE(scene, "status");
	c->env = env;
	o = command_run(c);
	assert_int_equal(o.exit_status, 0);
	assert_contains(o.out, "rate 2/s");
	outcome_free(&o);
}

static void what_acts_on_a_terminal_is_not_repeated(void **state)
{
	struct scene *scene = *state;
	struct outcome o = WEIR(scene, "explain",
				"https://a\xc2\x9b"
				"31mb\033]0;x\007/");
	assert_lacks(o.err, "\xc2\x9b");
	assert_lacks(o.out, "\xc2\x9b");
	assert_lacks(o.err, "\033");
	outcome_free(&o);
	o = WEIR(scene, "config", "check", "/no/\033[2J\xc2\x85.conf");
	assert_int_equal(o.exit_status, 1);
	assert_contains(o.err, "/no/?[2J??.conf");
	outcome_free(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_subcommand_has_help),
		TEST(the_version_is_printed),
		TEST(wrong_usage_is_64_and_says_what),
		TEST(a_slip_gets_a_suggestion),
		TEST(no_arguments_show_the_help_and_are_wrong_usage),
		TEST(status_tells_by_its_exit_status),
		TEST(colour_is_for_terminals_that_want_it),
		TEST(stats_come_in_three_formats),
		TEST(an_interrupted_watch_ends_well),
		TEST(explain_says_what_would_happen),
		TEST(explain_names_who_has_been_in_flight_for_long),
		TEST(explain_names_the_file_and_the_line),
		TEST(a_rule_holds_for_an_international_name_in_either_form),
		TEST(a_host_is_set_and_reset),
		TEST(a_host_is_set_before_there_is_an_agent_or_a_segment),
		TEST(what_acts_on_a_terminal_is_not_repeated),
		TEST(an_unknown_host_is_set_with_create_as_the_error_says),
		TEST(config_check_tells_good_from_bad),
		TEST(another_config_is_another_world),
		TEST(without_an_agent_the_state_is_read_all_the_same),
		TEST(a_dead_socket_is_no_obstacle),
		TEST(weir_is_not_its_own_subject),
		TEST(a_directory_that_cannot_be_used_is_told_with_its_reason),
		TEST(output_that_cannot_be_written_is_a_failure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
