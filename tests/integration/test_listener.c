/* SPDX-License-Identifier: MIT */
/* The agent's opt-in port on loopback: who may ask what there, the page, and the streams. */
#include "weir_program.h"

#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <sys/socket.h>

struct listening {
	struct running *agent;
	char url[64], token[64];
};

static bool has_url(void *data)
{
	char *text = read_file(data);
	bool there = text && strchr(text, '\n');
	free(text);
	return there;
}

/* Starts an agent with a free port and reads what it prints. */
static void listen_for(struct scene *scene, struct listening *l)
{
	char *file = path_in(scene->dir, "url"), *weir = build_path("weir"), shell[1024];
	struct command c = *LINE(scene, "agent");
	snprintf(shell, sizeof shell, "exec '%s' agent --http 127.0.0.1:0 >'%s'", weir, file);
	c.argv = NULL;
	c.shell = shell;
	c.limit_s = 120;
	l->agent = command_start(&c);
	assert_soon(has_url, file, 30, "the agent prints where it listens");
	char *text = read_file(file);
	assert_int_equal(sscanf(text, "%63[^#]#token=%63s", l->url, l->token), 2);
	free(text);
	free(file);
	free(weir);
}

static void stop(struct listening *l)
{
	command_signal(l->agent, SIGTERM);
	struct outcome o = command_wait(l->agent);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
}

static void the_journal_is_not_told_the_token(void **state)
{
	struct scene *scene = *state;
	char *file = path_in(scene->dir, "url"), *weir = build_path("weir"), shell[1024];
	struct command c = *LINE(scene, "agent");
	snprintf(shell, sizeof shell, ">'%s'; JOURNAL_STREAM=$(stat -c %%d:%%i '%s') exec '%s' agent --http 127.0.0.1:0 >>'%s'",
		 file, file, weir, file);
	c.argv = NULL;
	c.shell = shell;
	struct listening l = {.agent = command_start(&c)};
	assert_soon(has_url, file, 20, "the agent prints where it listens");
	char *text = read_file(file);
	assert_contains(text, "http://127.0.0.1:");
	assert_lacks(text, "token");
	stop(&l);
	free(text);
	free(file);
	free(weir);
}

/* What curl prints for this, "$U" being the URL and "$T" the token; to be freed. */
static char *curl(const struct scene *scene, const struct listening *l, const char *arguments)
{
	char shell[1024];
	struct command c = {.shell = shell, .mode = COMMAND_BARE, .dir = scene->dir};
	snprintf(shell, sizeof shell, "U=%s T=%s; curl -s --noproxy '*' %s", l->url, l->token, arguments);
	struct outcome o = command_run(&c);
	char *out = strdup(o.out);
	outcome_free(&o);
	return out;
}

#define EXPECT_ANSWER(scene, l, arguments, part)                                                                                 \
	do {                                                                                                                     \
		char *said = curl((scene), (l), (arguments));                                                                    \
		assert_contains(said, (part));                                                                                   \
		free(said);                                                                                                      \
	} while (0)

static void what_changes_nothing_is_answered_to_who_names_it(void **state)
{
	struct scene *scene = *state;
	struct listening l;
	listen_for(scene, &l);
	EXPECT_ANSWER(scene, &l, "${U}healthz", "\"status\":\"healthy\"");
	EXPECT_ANSWER(scene, &l, "${U}metrics", "weir_build_info");
	EXPECT_ANSWER(scene, &l, "-o /dev/null -w '%{http_code}' http://localhost:${U##*:}", "200");
	/* A page of another site whose name was made to lead here. */
	EXPECT_ANSWER(scene, &l, "-w '%{http_code}' -H 'Host: evil.example' ${U}v1/stats", "421");
	EXPECT_ANSWER(scene, &l, "-w '%{http_code}' -H 'Host: 127.0.0.1' ${U}v1/stats", "421");
	EXPECT_ANSWER(scene, &l, "-w '%{http_code}' -H 'Host:' ${U}v1/stats", "4");
	stop(&l);
	assert_false(exists(scene->runtime, "http-token"));
}

static void what_changes_something_needs_the_token(void **state)
{
	struct scene *scene = *state;
	struct listening l;
	listen_for(scene, &l);
	EXPECT_ANSWER(scene, &l, "-w '%{http_code}' -d state=open -d create=1 ${U}v1/hosts/a.example:443/breaker", "401");
	EXPECT_ANSWER(scene, &l,
		      "-w '%{http_code}' -H \"Authorization: Bearer ${T}0\" -d state=open -d create=1 "
		      "${U}v1/hosts/a.example:443/breaker",
		      "401");
	EXPECT_ANSWER(scene, &l,
		      "-w '%{http_code}' -H \"Authorization: Bearer ${T%?}\" -d state=open -d create=1 "
		      "${U}v1/hosts/a.example:443/breaker",
		      "401");
	EXPECT_ANSWER(scene, &l, "${U}v1/stats", "\"hosts\":[]");
	EXPECT_ANSWER(scene, &l, "-H \"Authorization: Bearer $T\" -d state=open -d create=1 ${U}v1/hosts/a.example:443/breaker",
		      "\"state\":\"open\"");
	/* The token is the user's alone. */
	char *file = path_in(scene->runtime, "http-token"), *text = read_file(file);
	struct stat st;
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(strncmp(text, l.token, strlen(l.token)), 0);
	free(text);
	free(file);
	stop(&l);
}

static void the_page_takes_nothing_from_elsewhere(void **state)
{
	struct scene *scene = *state;
	struct listening l;
	char nonce[64], expected[128];
	listen_for(scene, &l);
	char *page = curl(scene, &l, "-D- $U");
	assert_contains(page, "text/html");
	const char *policy = strstr(page, "Content-Security-Policy: default-src 'none'; connect-src 'self'; script-src 'nonce-");
	assert_non_null(policy);
	assert_int_equal(sscanf(strstr(policy, "nonce-"), "nonce-%63[0-9a-f]", nonce), 1);
	snprintf(expected, sizeof expected, "<script nonce=\"%s\">", nonce);
	assert_contains(page, expected);
	snprintf(expected, sizeof expected, "<style nonce=\"%s\">", nonce);
	assert_contains(page, expected);
	assert_lacks(page, "@NONCE@");
	assert_lacks(page, "https://");
	assert_lacks(page, "<link");
	assert_lacks(page, " style=");
	assert_lacks(page, " onclick=");
	assert_contains(page, "</html>\n");
	char *again = curl(scene, &l, "$U");
	assert_lacks(again, nonce); /* a new one each time */
	free(again);
	free(page);
	stop(&l);
}

static void the_statistics_come_as_a_stream(void **state)
{
	struct scene *scene = *state;
	struct listening l;
	listen_for(scene, &l);
	free(WEIR_EXPECT(scene, 0, "set", "a.example.org:443", "rate=2/s", "--create"));
	char *out = curl(scene, &l, "-N --max-time 60 -H 'Accept: text/event-stream' \"${U}v1/stats?since=0\" | head -c 4000");
	assert_contains(out, "event: stats\ndata: {\"schema\":1,");
	assert_contains(out, "event: change\ndata: {");
	assert_contains(out, "rate set by hand: 2/s");
	free(out);
	stop(&l);
}

/* Whoever may connect, other users as well, can take all the places; and loses them when somebody else needs one. */
static void who_says_nothing_keeps_nobody_out(void **state)
{
	struct scene *scene = *state;
	struct listening l;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int silent[40];
	listen_for(scene, &l);
	at.sin_port = htons((uint16_t)atoi(strrchr(l.url, ':') + 1));
	for (size_t i = 0; i < sizeof silent / sizeof *silent; i++) {
		silent[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_return_code(connect(silent[i], (struct sockaddr *)&at, sizeof at), errno);
	}
	EXPECT_ANSWER(scene, &l, "--max-time 8 ${U}healthz", "\"status\":\"healthy\"");
	for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
		close(silent[i]);
	stop(&l);
}

static void only_loopback_is_listened_at(void **state)
{
	struct scene *scene = *state;
	static const char *const bad[] = {"0.0.0.0:9000",    "192.0.2.1:9000", "localhost:9000", "127.0.0.1",
					  "127.0.0.1:65536", "127.0.0.1:x",    ":9000"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct outcome o = command_run(LINE(scene, "agent", "--http", bad[i]));
		assert_int_equal(o.exit_status, 64);
		assert_contains(o.err, "--http ");
		outcome_free(&o);
	}
	/* A port that is taken is told, and nobody is left behind. */
	struct listening l;
	char taken[64];
	listen_for(scene, &l);
	snprintf(taken, sizeof taken, "127.0.0.1:%d", atoi(strrchr(l.url, ':') + 1));
	char *other = make_dir(scene->dir, "other"), setting[512];
	const char *env[] = {setting, SANITIZERS, NULL};
	snprintf(setting, sizeof setting, "WEIR_RUNTIME_DIR=%s", other);
	struct command c = *LINE(scene, "agent", "--http", taken);
	c.env = env;
	struct outcome o = command_run(&c);
	assert_int_equal(o.exit_status, 1);
	assert_contains(o.err, "cannot listen there");
	outcome_free(&o);
	free(other);
	stop(&l);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_changes_nothing_is_answered_to_who_names_it),
		TEST(what_changes_something_needs_the_token),
		TEST(the_page_takes_nothing_from_elsewhere),
		TEST(the_statistics_come_as_a_stream),
		TEST(who_says_nothing_keeps_nobody_out),
		TEST(only_loopback_is_listened_at),
		TEST(the_journal_is_not_told_the_token),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
