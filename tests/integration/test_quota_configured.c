/* SPDX-License-Identifier: MIT */
/* `quotas` of the configuration: a hundred a day are a hundred, whoever dies, and whatever is lost. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness/agent.h"
#include "tests/harness/environment.h"
#include "tests/harness/harness.h"
#include "weir/ledger.h"

#define LIMIT 100
#define RULE                                                                                                                     \
	"hosts = ( { match = \"127.0.0.1\"; rate = \"none\"; concurrency = false; breaker = false; quotas = ( \"100/day UTC\" "  \
	"); } );\n"

/* Curls, eight at a time, of ten requests each; how many came through stands in the server's journal. */
static struct command curls(const struct scene *scene, char *shell, size_t size, struct quotad *server, unsigned count)
{
	snprintf(shell, size, "seq %u | xargs -P 8 -I{} curl -s -o /dev/null '%s'", (count + 9) / 10,
		 quotad_url(server, count < 10 ? "/n/{}" : "/n/{}/[0-9]"));
	return (struct command){.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .limit_s = 120};
}

static void ask(const struct scene *scene, struct quotad *server, unsigned count)
{
	char shell[256];
	struct command c = curls(scene, shell, sizeof shell, server, count);
	struct outcome o = command_run(&c);

	outcome_free(&o);
}

/* Where the scene keeps its ledger; to be freed. */
static char *ledger_path(const struct scene *scene)
{
	char *state = path_in(scene->dir, STATE_HOME_DIR), *weir = path_in(state, "weir"), *found = NULL;
	DIR *dir = opendir(weir);
	struct dirent *d;

	assert_non_null(dir);
	while ((d = readdir(dir)) != NULL)
		if (strncmp(d->d_name, "ledger.", 7) == 0 && strchr(d->d_name + 7, '.') == NULL)
			found = path_in(weir, d->d_name);
	closedir(dir);
	free(weir);
	free(state);
	assert_non_null(found);
	return found;
}

/* As if midnight had been a moment ago: what was counted today was counted yesterday. */
static void let_midnight_pass(const struct scene *scene)
{
	char *path = ledger_path(scene);
	struct weir_ledger l;
	const char *why;
	unsigned moved = 0;
	int err;

	assert_true(weir_ledger_open(&l, path, &why, &err));
	for (uint32_t i = 0; i < l.accounts; i++) {
		uint64_t word = atomic_load(&l.account[i].meter.word), day = UINT64_C(24 * 60) << 32;

		if (word == 0)
			continue;
		atomic_store(&l.account[i].kept, word - day);
		atomic_store(&l.account[i].mark, word - day);
		atomic_store(&l.account[i].meter.word, word - day);
		moved++;
	}
	assert_int_equal(moved, 1);
	weir_ledger_close(&l);
	free(path);
}

/* A real midnight in the middle of a test would be one too many. */
static void stay_clear_of_midnight(void)
{
	const struct timespec rest = {0, 200000000};

	while (time(NULL) % 86400 > 86400 - 60)
		nanosleep(&rest, NULL);
}

static bool is_killed(void *data)
{
	const struct scene *scene = data;
	pid_t pid = agent_pid(scene->runtime);

	return pid == 0 || kill(pid, SIGKILL) == 0;
}

static void as_many_go_as_the_quota_says_whoever_is_killed_and_whatever_is_removed(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char shell[256], *segment = path_in(scene->runtime, "state.1");
	struct command some = curls(scene, shell, sizeof shell, server, 40);
	struct running *r;
	struct outcome o;

	stay_clear_of_midnight();
	scene_configure(scene, RULE);
	r = command_start(&some);
	for (unsigned i = 0; i < 3; i++)
		assert_soon(is_killed, scene, 10, "the agent is killed");
	o = command_wait(r);
	outcome_free(&o);
	assert_int_equal(quotad_count(server).requests, 40);
	stop_agent(scene->runtime);
	assert_return_code(unlink(segment), 0);
	scene_put_in_force(scene, NULL);
	ask(scene, server, 90);
	assert_int_equal(quotad_count(server).requests, LIMIT);
	let_midnight_pass(scene);
	ask(scene, server, 130);
	assert_int_equal(quotad_count(server).requests, 2 * LIMIT);
	free(segment);
}

static void a_spent_quota_is_a_refusal_that_names_the_time_of_the_reset(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char shell[256], today[32];
	struct command c = {.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	struct outcome o;
	time_t tomorrow;
	struct tm tm;

	stay_clear_of_midnight();
	scene_configure(scene, "hosts = ( { match = \"127.0.0.1\"; quotas = ( \"1/day UTC\", \"5/6h rolling\" ); } );\n");
	ask(scene, server, 1);
	snprintf(shell, sizeof shell, "curl -sS -o /dev/null %s", quotad_url(server, "/"));
	o = command_run(&c);
	tomorrow = (time(NULL) / 86400 + 1) * 86400;
	gmtime_r(&tomorrow, &tm);
	strftime(today, sizeof today, "%Y-%m-%d at 00:00 UTC", &tm);
	assert_int_equal(o.exit_status, 7); /* could not connect */
	assert_non_null(strstr(o.err, "the quota of 1 a day is spent; it begins anew on "));
	assert_non_null(strstr(o.err, today));
	outcome_free(&o);
	assert_int_equal(quotad_count(server).requests, 1);
}

static void a_torn_ledger_is_said_and_the_quota_counts_as_spent(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char *path, aside[600], *state_home = path_in(scene->dir, STATE_HOME_DIR), *notices = path_in(state_home, "weir/notices"),
				*text;
	static const char *const alone[] = {"WEIR_AGENT=off", NULL};
	char shell[256];
	struct command one;
	struct outcome o;

	stay_clear_of_midnight();
	scene_configure(scene, RULE);
	ask(scene, server, 1);
	stop_agent(scene->runtime); /* it, or one that curl starts, would see it first, and say it in its log */
	path = ledger_path(scene);
	assert_return_code(truncate(path, 5000), 0);
	one = curls(scene, shell, sizeof shell, server, 1);
	one.env = alone;
	o = command_run(&one);
	outcome_free(&o);
	assert_int_equal(quotad_count(server).requests, 1);
	snprintf(aside, sizeof aside, "%s.bad", path);
	assert_return_code(access(aside, F_OK), 0);
	text = read_file(notices);
	assert_non_null(text);
	assert_non_null(strstr(text, "torn"));
	free(text);
	let_midnight_pass(scene);
	ask(scene, server, 1);
	assert_int_equal(quotad_count(server).requests, 2);
	free(path);
	free(notices);
	free(state_home);
}

static char *say(const struct scene *scene, const char *words)
{
	char shell[300], *weir = build_path("weir");
	struct command c = {.shell = shell, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir};
	struct outcome o;
	char *out;

	snprintf(shell, sizeof shell, "'%s' %s", weir, words);
	o = command_run(&c);
	if (o.exit_status != 0)
		fail_msg("%s: %s", words, o.err);
	out = strdup(o.out);
	outcome_free(&o);
	free(weir);
	return out;
}

static void assert_says(const struct scene *scene, const char *words, const char *expected)
{
	char *out = say(scene, words);

	if (!strstr(out, expected))
		fail_msg("%s: %s", words, out);
	free(out);
}

static void what_was_used_is_shown_and_set_by_hand(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char words[100];

	stay_clear_of_midnight();
	scene_configure(scene, "hosts = ( { match = \"127.0.0.1\"; quotas = ( \"5/day UTC\", \"500/month UTC\" ); } );\n");
	ask(scene, server, 1);
	assert_says(scene, "quota", "5/day UTC              1          4");
	assert_says(scene, "quota 127.0.0.1 --json", "\"quota\":\"500/month UTC\",\"limit\":500,\"used\":1,\"left\":499");
	assert_says(scene, "stats --json", "\"quota\":\"5/day UTC\"");
	assert_says(scene, "stats --prometheus", "quota=\"5/day UTC\"} 1\n");
	snprintf(words, sizeof words, "set 127.0.0.1:%d quota=5/day", server->http_port);
	free(say(scene, words));
	ask(scene, server, 1);
	assert_int_equal(quotad_count(server).requests, 1);
	snprintf(words, sizeof words, "explain %s", quotad_url(server, "/"));
	assert_says(scene, words, "5/day UTC: 5 used, 0 left until");
	snprintf(words, sizeof words, "reset --quota 127.0.0.1:%d", server->http_port);
	free(say(scene, words));
	ask(scene, server, 1);
	assert_int_equal(quotad_count(server).requests, 2);
}

static void quotas_of_a_path_are_listed_and_status_tells_what_is_left(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char path[100], *out;

	stay_clear_of_midnight();
	scene_configure(scene,
			"hosts = ( { match = \"127.0.0.1\"; rate = \"none\"; quotas = ( \"5/day UTC\" ); },\n"
			"  { match = \"127.0.0.1\"; path = \"/n/*\"; rate = \"none\"; quotas = ( \"3/month UTC\" ); } );\n");
	ask(scene, server, 1);
	snprintf(path, sizeof path, "127.0.0.1:%d#/n/*", server->http_port);
	assert_int_equal(quotad_count(server).requests, 1);
	assert_says(scene, "quota", path);
	assert_says(scene, "quota", "3/month UTC          1          2");
	assert_says(scene, "quota", "5/day UTC            1          4");
	out = say(scene, "status");
	assert_null(strstr(out, "quota"));
	free(out);
	ask(scene, server, 10);
	/* Three of the path's, whoever asked. */
	assert_int_equal(quotad_count(server).requests, 3);
	assert_says(scene, "status", "    quota spent: 3/month UTC: 3 used, 0 left until ");
	out = say(scene, "status");
	assert_null(strstr(out, "5/day"));
	free(out);
}

static void where_no_file_can_be_kept_it_is_counted_in_the_segment(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char *path, *state_home = path_in(scene->dir, STATE_HOME_DIR), *notices = path_in(state_home, "weir/notices"), *text;

	stay_clear_of_midnight();
	scene_configure(scene, RULE);
	ask(scene, server, 1);
	path = ledger_path(scene);
	assert_return_code(unlink(path), 0);
	assert_return_code(mkdir(path, 0700), 0);
	ask(scene, server, LIMIT + 20);
	assert_int_equal(quotad_count(server).requests, 1 + LIMIT);
	text = read_file(notices);
	assert_non_null(text);
	assert_non_null(strstr(text, "quotas are counted in the segment alone"));
	free(text);
	free(notices);
	free(state_home);
	free(path);
}

/* As in a chroot, or where the home is unmounted: who has the ledger goes on counting where all others count. */
static void a_ledger_out_of_reach_is_counted_in_by_who_has_it(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char *home = make_dir(scene->dir, STATE_HOME_DIR), port[16];
	char *script = write_file(scene->dir, "script.py",
				  "import http.client, os, sys, time\n"
				  "port, weir = int(sys.argv[1]), sys.argv[2] + '/weir'\n"
				  "def get():\n"
				  "    try:\n"
				  "        c = http.client.HTTPConnection('127.0.0.1', port)\n"
				  "        c.request('GET', '/n/1')\n"
				  "        return c.getresponse().status\n"
				  "    except OSError:\n"
				  "        return 0\n"
				  "first = [get() for i in range(3)]\n"
				  "os.rename(weir, weir + '.away')\n"
				  "open(weir, 'w').close()\n"
				  "time.sleep(1.2) # weir looks once a second\n"
				  "then = [get() for i in range(5)]\n"
				  "os.unlink(weir)\n"
				  "os.rename(weir + '.away', weir)\n"
				  "print(first, then)\n");
	const char *argv[] = {"/usr/bin/python3", script, port, home, NULL};
	struct command c = {.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	struct outcome o;

	stay_clear_of_midnight();
	scene_configure(scene, "hosts = ( { match = \"127.0.0.1\"; rate = \"none\"; concurrency = false; breaker = false;\n"
			       "  quotas = ( \"5/day UTC\" ); } );\n");
	snprintf(port, sizeof port, "%d", server->http_port);
	o = command_run(&c);
	assert_string_equal(o.out, "[200, 200, 200] [200, 200, 0, 0, 0]\n");
	outcome_free(&o);
	ask(scene, server, 1);
	assert_int_equal(quotad_count(server).requests, 5);
	free(script);
	free(home);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(as_many_go_as_the_quota_says_whoever_is_killed_and_whatever_is_removed,
						scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(a_spent_quota_is_a_refusal_that_names_the_time_of_the_reset, scene_setup,
						scene_teardown),
		cmocka_unit_test_setup_teardown(a_torn_ledger_is_said_and_the_quota_counts_as_spent, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(what_was_used_is_shown_and_set_by_hand, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(quotas_of_a_path_are_listed_and_status_tells_what_is_left, scene_setup,
						scene_teardown),
		cmocka_unit_test_setup_teardown(where_no_file_can_be_kept_it_is_counted_in_the_segment, scene_setup,
						scene_teardown),
		cmocka_unit_test_setup_teardown(a_ledger_out_of_reach_is_counted_in_by_who_has_it, scene_setup, scene_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
