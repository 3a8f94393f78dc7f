/* SPDX-License-Identifier: MIT */
/* Rules by path and method, and clients' shares, in programs that are seen through libcurl and through their sockets. A rate of
 * one an hour for which nobody waits lets the first request go and no other, however long anything takes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/environment.h"
#include "tests/harness/harness.h"

#define ONCE "rate = \"1/h\"; wait = { max = \"0\"; };"
#define RULES                                                                                                                    \
	"hosts = ( { match = \"127.0.0.1\"; rate = false; },"                                                                    \
	" { match = \"127.0.0.1\"; path = \"/n/1*\"; method = [ \"GET\", \"HEAD\" ]; " ONCE " },"                                \
	" { match = \"127.0.0.1\"; method = [ \"POST\", \"DELETE\" ]; " ONCE " } );\n"

static struct quotad *narrowed_server(struct scene *scene, const char *rules)
{
	scene_configure(scene, rules);
	return quotad_start(scene->dir, NULL);
}

/* How many requests for paths that begin so have arrived. */
static int arrivals(struct quotad *server, const char *begin)
{
	size_t count;
	struct quotad_arrival *journal = quotad_journal(server, &count);
	int n = 0;

	for (size_t i = 0; i < count; i++)
		n += strncmp(journal[i].path, begin, strlen(begin)) == 0;
	free(journal);
	return n;
}

static void run(struct scene *scene, const char *shell, const char *const *env)
{
	struct command c = {.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .env = env};
	struct outcome o = command_run(&c);

	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
}

static void curl_meets_the_rule_of_its_path_alone(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = narrowed_server(scene, RULES);
	char shell[1200];

	snprintf(shell, sizeof shell, "for i in 1 2 3; do curl -s '%s?q=secret-word'; curl -s %s; done; curl -sI %s; true",
		 quotad_url(server, "/n/1"), quotad_url(server, "/n/20"), quotad_url(server, "/n/100"));
	run(scene, shell, NULL);
	assert_int_equal(arrivals(server, "/n/1"), 1);
	assert_int_equal(arrivals(server, "/n/2"), 3);
}

/* By whatever option it is asked for. */
static void curl_meets_the_rule_of_its_method(void **state)
{
	static const char *const asking[] = {"-d x", "-X POST", "--json {}", "-F a=b", "-X DELETE", "-d x -X DELETE"};
	struct scene *scene = *state;
	struct quotad *server = narrowed_server(scene, RULES);
	char shell[2000];
	size_t n = 0;

	for (size_t i = 0; i < sizeof asking / sizeof *asking; i++)
		n += (size_t)snprintf(shell + n, sizeof shell - n, "curl -s %s %s; ", asking[i], quotad_url(server, "/n/30"));
	/* A body that is sent by GET, by PUT, and as a query. */
	snprintf(shell + n, sizeof shell - n, "curl -s -d x -X GET %s; curl -s -T /dev/null %s; curl -s -G -d x %s; true",
		 quotad_url(server, "/n/40"), quotad_url(server, "/n/41"), quotad_url(server, "/n/42"));
	run(scene, shell, NULL);
	assert_int_equal(arrivals(server, "/n/30"), 1);
	assert_int_equal(arrivals(server, "/n/4"), 3);
}

/* Several in a row on one handle, and several at once in one process. */
static void many_urls_of_one_curl_meet_their_rules(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = narrowed_server(scene, RULES);
	char shell[1200];
	const char *one = quotad_url(server, "/n/[10-14]"), *other = quotad_url(server, "/n/[20-24]");

	snprintf(shell, sizeof shell, "curl -s %s %s; curl -sZ %s %s; true", one, other, one, other);
	run(scene, shell, NULL);
	assert_int_equal(arrivals(server, "/n/1"), 1);
	assert_int_equal(arrivals(server, "/n/2"), 10);
}

static void wget_meets_the_rule_of_its_path(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = narrowed_server(scene, RULES);
	char shell[1200];

	snprintf(shell, sizeof shell, "for i in 1 2 3; do wget -q -t 1 -O - %s; wget -q -t 1 -O - %s; done; true",
		 quotad_url(server, "/n/1"), quotad_url(server, "/n/20"));
	run(scene, shell, NULL);
	assert_int_equal(arrivals(server, "/n/1"), 1);
	assert_int_equal(arrivals(server, "/n/2"), 3);
}

/* A new connection for each, and one that is kept. */
static void python_meets_the_rules_on_its_sockets(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = narrowed_server(scene, RULES);
	char shell[2000];

	snprintf(shell, sizeof shell,
		 "python3 - <<'E'\n"
		 "import http.client, urllib.request\n"
		 "h, p = '127.0.0.1', %d\n"
		 "c = http.client.HTTPConnection(h, p, timeout=10)\n"
		 "for path in ('/n/20', '/n/1', '/n/21', '/n/1', '/n/22'):\n"
		 "  try:\n"
		 "    c.request('GET', path)\n"
		 "    c.getresponse().read()\n"
		 "  except OSError:\n"
		 "    c.close()\n"
		 "for path in ('/n/23', '/n/1', '/n/24'):\n"
		 "  try:\n"
		 "    urllib.request.urlopen('http://%%s:%%d%%s' %% (h, p, path), timeout=10).read()\n"
		 "  except OSError:\n"
		 "    pass\n"
		 "for i in range(3):\n"
		 "  try:\n"
		 "    urllib.request.urlopen('http://%%s:%%d/n/50' %% (h, p), b'x', timeout=10).read()\n"
		 "  except OSError:\n"
		 "    pass\n"
		 "E\n",
		 server->http_port);
	run(scene, shell, NULL);
	assert_int_equal(arrivals(server, "/n/1"), 1);
	assert_int_equal(arrivals(server, "/n/2"), 5);
	assert_int_equal(arrivals(server, "/n/50"), 1);
}

static void each_client_has_its_own_share(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = narrowed_server(
		scene, "hosts = ( { match = \"127.0.0.1\"; rate = false; wait = { max = \"0\"; }; per_client = \"1/h\"; } );\n");
	static const char *const night[] = {"WEIR_CLIENT=night", NULL};
	char shell[1200], *weir = build_path("weir");

	/* By the program's name, by a name of its own, and by one that is given to a run. */
	snprintf(shell, sizeof shell, "for i in 1 2; do curl -s %s; wget -q -t 1 -O - %s; done; true", quotad_url(server, "/n/1"),
		 quotad_url(server, "/n/2"));
	run(scene, shell, NULL);
	run(scene, shell, night);
	snprintf(shell, sizeof shell, "for i in 1 2 3; do %s run --client day -- curl -s %s; done; true", weir,
		 quotad_url(server, "/n/3"));
	free(weir);
	run(scene, shell, NULL);
	assert_int_equal(arrivals(server, "/n/1"), 2);
	assert_int_equal(arrivals(server, "/n/2"), 1);
	assert_int_equal(arrivals(server, "/n/3"), 1);
}

/* What `weir` shows is the rule's words, and what it has no business to know is not to be found. */
static void no_path_or_query_of_a_request_is_shown(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = narrowed_server(scene, RULES);
	struct command c = {.mode = COMMAND_BESIDE_WEIR, .dir = scene->dir};
	struct outcome o;
	char shell[1200], *weir = build_path("weir");

	snprintf(shell, sizeof shell, "curl -s '%s?secret-word'; true", quotad_url(server, "/n/1-hidden-path"));
	run(scene, shell, NULL);
	snprintf(shell, sizeof shell, "%s stats --json; %s stats --prometheus; %s status; true", weir, weir, weir);
	free(weir);
	c.shell = shell;
	o = command_run(&c);
	assert_non_null(strstr(o.out, "#GET,HEAD/n/1*"));
	assert_null(strstr(o.out, "secret-word"));
	assert_null(strstr(o.out, "hidden-path"));
	outcome_free(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)
		T(curl_meets_the_rule_of_its_path_alone),  T(curl_meets_the_rule_of_its_method),
		T(many_urls_of_one_curl_meet_their_rules), T(wget_meets_the_rule_of_its_path),
		T(python_meets_the_rules_on_its_sockets),  T(each_client_has_its_own_share),
		T(no_path_or_query_of_a_request_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
