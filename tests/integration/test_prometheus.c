/* SPDX-License-Identifier: MIT */
/* What Prometheus makes of weir: its own checks of the metrics, the rules in conf/prometheus, and the queries of the dashboard in
 * conf/grafana asked of a real one that a real agent feeds. Skipped where prometheus is not installed. */
#include "weir_program.h"

#include <jansson.h>
#include <netinet/in.h>

/* Whether the program is there; says so when not. */
static bool have(const char *program)
{
	char shell[128];
	snprintf(shell, sizeof shell, "command -v %s >/dev/null 2>&1", program);
	if (system(shell) == 0)
		return true;
	fprintf(stderr, "%s is not installed (Debian: prometheus): skipped\n", program);
	return false;
}

/* Path of a file of the repository; to be freed. */
static char *repository(const char *name)
{
	char *path = NULL, here[] = __FILE__;
	*strrchr(here, '/') = '\0';
	assert_true(asprintf(&path, "%s%s/../../%s", here[0] == '/' ? "" : "./", here, name) > 0);
	return path;
}

/* Runs a shell line in the scene's folder; fails unless it ends with 0. Returns what it said, to be freed. */
static char *shell_expect(const struct scene *scene, const char *line)
{
	struct command c = {.shell = line, .mode = COMMAND_BARE, .dir = scene->dir};
	struct outcome o = command_run(&c);
	if (o.exit_status != 0)
		fail_msg("%s\nexit status %d\n%s%s", line, o.exit_status, o.out, o.err);
	char *said = strdup(o.out);
	outcome_free(&o);
	return said;
}

/* Some of everything: results of each kind, a quota, an alert. */
static void make_history(struct scene *scene)
{
	scene_configure(scene, "defaults = { breaker = false; };\n"
			       "alerts = { error_rate = \"1%\"; throttled_rate = false; min_samples = 1; for = \"0s\"; };\n"
			       "hosts = ( { match = \"a.example.org\"; quotas = ( \"100/day UTC\" ); rate = { strategy = "
			       "\"fixed\"; max = \"100000/s\"; burst = 1000; }; } );\n");
	free(WEIR_EXPECT(scene, 0, "alert", "list"));
	struct weir_segment s = scene_segment(scene);
	for (int i = 0; i < 6; i++) {
		scene_request(&s, "a.example.org:443", i < 4 ? WEIR_SUCCEEDED : WEIR_FAILED);
		scene_request(&s, "b\"\\.example.org:443", i < 4 ? WEIR_SUCCEEDED : WEIR_THROTTLED);
	}
	weir_segment_close(&s);
}

static bool fires(void *data)
{
	char *page = WEIR_EXPECT(data, 0, "stats", "--prometheus");
	bool there = strstr(page, "weir_alert_firing{host=\"a.example.org:443\",alert=\"error_rate\"") != NULL;
	free(page);
	return there;
}

static void promtool_has_nothing_to_say_of_the_metrics(void **state)
{
	struct scene *scene = *state;
	if (!have("promtool"))
		skip();
	make_history(scene);
	assert_soon(fires, scene, 30, "an alert fires");
	char *page = WEIR_EXPECT(scene, 0, "stats", "--prometheus"), *file = path_in(scene->dir, "page"), line[700];
	assert_contains(page, "weir_window_ratio{host=\"a.example.org:443\",outcome=\"failed\"} 0.333333333\n");
	assert_contains(page, "weir_health{state=\"unhealthy\"} 1\n");
	assert_contains(page, "weir_alerts_firing 1\n");
	assert_contains(page, "process_open_fds ");
	FILE *out = fopen(file, "w");
	assert_non_null(out);
	fputs(page, out);
	fclose(out);
	snprintf(line, sizeof line, "promtool check metrics <'%s' 2>&1", file);
	char *said = shell_expect(scene, line);
	assert_string_equal(said, "");
	free(said);
	free(file);
	free(page);
}

static void the_textfile_is_whole_and_without_what_the_collector_has_of_its_own(void **state)
{
	struct scene *scene = *state;
	make_history(scene);
	char *file = path_in(scene->dir, "weir.prom");
	free(WEIR_EXPECT(scene, 0, "stats", "--textfile", file));
	free(WEIR_EXPECT(scene, 0, "stats", "--textfile", file));
	struct stat st;
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	char *page = read_file(file);
	assert_contains(page, "\nweir_results_total{host=\"a.example.org:443\",outcome=\"succeeded\"} 4\n");
	assert_lacks(page, "process_cpu");
	assert_lacks(page, "process_open");
	free(page);
	/* Nor through what somebody has put where it is written first. */
	char line[2000], *program = build_path("weir");
	snprintf(line, sizeof line,
		 "cd '%s' && echo kept >other && sh -c 'ln other weir.prom.$$ && exec \"%s\" stats --textfile weir.prom' && cat "
		 "other",
		 scene->dir, program);
	free(program);
	page = shell_expect(scene, line);
	assert_string_equal(page, "kept\n");
	free(page);
	/* Nothing is left beside it. */
	snprintf(line, sizeof line, "ls '%s' | grep -c weir.prom", scene->dir);
	page = shell_expect(scene, line);
	assert_string_equal(page, "1\n");
	free(page);
	free(WEIR_EXPECT(scene, 1, "stats", "--textfile", "/nonexistent/weir.prom"));
	/* Its place is taken by a new file: a device, a pipe or a link would be gone. */
	char *pipe = path_in(scene->dir, "pipe"), *link = path_in(scene->dir, "link");
	assert_return_code(mkfifo(pipe, 0600), errno);
	assert_return_code(symlink(pipe, link), errno);
	free(WEIR_EXPECT(scene, 1, "stats", "--textfile", pipe));
	free(WEIR_EXPECT(scene, 1, "stats", "--textfile", link));
	assert_return_code(lstat(pipe, &st), errno);
	assert_true(S_ISFIFO(st.st_mode));
	assert_return_code(lstat(link, &st), errno);
	assert_true(S_ISLNK(st.st_mode));
	free(pipe);
	free(link);
	free(WEIR_EXPECT(scene, 64, "stats", "--textfile", file, "--json"));
	free(WEIR_EXPECT(scene, 64, "stats", "a.example.org", "--textfile", file));
	free(file);
}

static void the_rules_do_what_their_tests_say(void **state)
{
	struct scene *scene = *state;
	if (!have("promtool"))
		skip();
	char *folder = repository("conf/prometheus"), *at = realpath(folder, NULL), line[700];
	assert_non_null(at);
	snprintf(line, sizeof line, "cd '%s' && promtool check rules weir.rules.yml && promtool test rules weir.rules.test.yml",
		 at);
	free(shell_expect(scene, line));
	free(at);
	free(folder);
}

struct prometheus {
	struct scene *scene;
	char url[64];
	const char *query;
	char *answer; /* of the last query, to be freed */
};

/* Whether the query has an answer that is not empty. */
static bool is_answered(void *data)
{
	struct prometheus *p = data;
	char line[2048];
	char *file = path_in(p->scene->dir, "query");
	FILE *out = fopen(file, "w");
	assert_non_null(out);
	fputs(p->query, out);
	fclose(out);
	snprintf(line, sizeof line, "curl -s --noproxy '*' --data-urlencode 'query@%s' '%s/api/v1/query'", file, p->url);
	free(file);
	struct command c = {.shell = line, .mode = COMMAND_BARE, .dir = p->scene->dir};
	struct outcome o = command_run(&c);
	free(p->answer);
	p->answer = strdup(o.out);
	outcome_free(&o);
	json_t *document = json_loads(p->answer, 0, NULL), *d = json_object_get(document, "data");
	bool there = json_array_size(json_object_get(d, "result")) > 0;
	json_decref(document);
	return there;
}

/* A port that is free now. */
static int free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &length), 0);
	close(fd);
	return ntohs(a.sin_port);
}

/* Starts one that asks 127.0.0.1:`agent` every second. */
static struct running *start_prometheus(struct prometheus *p, int agent)
{
	char *file = path_in(p->scene->dir, "prometheus.yml"), *rules = repository("conf/prometheus/weir.rules.yml"), shell[1024];
	char *at = realpath(rules, NULL);
	int port = free_port();
	FILE *out = fopen(file, "w");
	assert_non_null(out);
	fprintf(out,
		"global: { scrape_interval: 1s, evaluation_interval: 1s }\nrule_files: [ \"%s\" ]\nscrape_configs:\n"
		"  - job_name: weir\n    static_configs: [ { targets: [ \"127.0.0.1:%d\" ] } ]\n",
		at, agent);
	fclose(out);
	free(at);
	free(rules);
	snprintf(p->url, sizeof p->url, "http://127.0.0.1:%d", port);
	snprintf(shell, sizeof shell,
		 "exec prometheus --config.file='%s' --storage.tsdb.path='%s/tsdb' --web.listen-address=127.0.0.1:%d >'%s/log' "
		 "2>&1",
		 file, p->scene->dir, port, p->scene->dir);
	free(file);
	struct command c = {.shell = shell, .mode = COMMAND_BARE, .dir = p->scene->dir, .limit_s = 110};
	return command_start(&c);
}

/* `$host` and the like as Grafana would put them in; to be freed. */
static char *fill_in(const char *expression)
{
	static const char *const values[][2] = {{"$__rate_interval", "10s"}, {"$host", ".*"}, {"$instance", ".*"}};
	char *text = strdup(expression);
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		for (char *at; (at = strstr(text, values[i][0])) != NULL;) {
			char *more = NULL;
			assert_true(asprintf(&more, "%.*s%s%s", (int)(at - text), text, values[i][1], at + strlen(values[i][0])) >
				    0);
			free(text);
			text = more;
		}
	return text;
}

static void ask_every_panel(struct prometheus *p)
{
	char *file = repository("conf/grafana/weir.json");
	json_error_t error;
	json_t *dashboard = json_load_file(file, 0, &error), *panel, *target;
	size_t i, k, asked = 0;
	assert_non_null(dashboard);
	json_array_foreach(json_object_get(dashboard, "panels"), i, panel)
	{
		json_array_foreach(json_object_get(panel, "targets"), k, target)
		{
			char *query = fill_in(json_string_value(json_object_get(target, "expr")));
			p->query = query;
			if (!wait_until(is_answered, p, 40))
				fail_msg("no answer to %s: %s", query, p->answer ? p->answer : "");
			free(query);
			asked++;
		}
	}
	assert_true(asked >= 16);
	json_decref(dashboard);
	free(file);
}

static void every_query_of_the_dashboard_has_an_answer(void **state)
{
	struct scene *scene = *state;
	struct prometheus p = {.scene = scene};
	char address[32];
	if (!have("prometheus"))
		skip();
	int agent = free_port();
	make_history(scene);
	free(WEIR_EXPECT(scene, 0, "agent", "--stop"));
	snprintf(address, sizeof address, "127.0.0.1:%d", agent);
	struct running *watching = command_start(LINE(scene, "agent", "--http", address));
	assert_soon(socket_answers, scene, 30, "the agent listens");
	struct running *prometheus = start_prometheus(&p, agent);
	p.query = "up{job=\"weir\"} == 1";
	assert_soon(is_answered, &p, 60, "Prometheus asks the agent");
	/* Two of what counts, a scrape apart, make a rate. */
	p.query = "rate(weir_requests_total[10s])";
	struct weir_segment s = scene_segment(scene);
	for (int i = 0; i < 200 && !is_answered(&p); i++)
		scene_request(&s, "a.example.org:443", i % 2 ? WEIR_FAILED : WEIR_SUCCEEDED);
	/* Some that waited, and an alert that fires as long as there are more. */
	for (int i = 0; i < 20; i++)
		scene_request(&s, "a.example.org:443", WEIR_FAILED);
	weir_segment_close(&s);
	ask_every_panel(&p);
	/* And the rules are fed by the same metrics. */
	p.query = "weir:requests:rate5m";
	assert_soon(is_answered, &p, 40, "the recording rules have values");
	free(p.answer);
	command_signal(prometheus, SIGTERM);
	struct outcome o = command_wait(prometheus);
	outcome_free(&o);
	command_signal(watching, SIGTERM);
	o = command_wait(watching);
	outcome_free(&o);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(promtool_has_nothing_to_say_of_the_metrics),
		SCENE(the_textfile_is_whole_and_without_what_the_collector_has_of_its_own),
		SCENE(the_rules_do_what_their_tests_say),
		SCENE(every_query_of_the_dashboard_has_an_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
