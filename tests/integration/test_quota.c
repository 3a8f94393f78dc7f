/* SPDX-License-Identifier: MIT */
/* What a server says is left: used as long as there is some, kept when there is none, by those whose it is. */
#include <stdio.h>
#include <string.h>

#include "tests/harness/harness.h"

/* Runs the command so many times, one after the other, and counts what it prints of `sign`. */
static int good_runs(struct scene *scene, int runs, const char *command, const char *sign)
{
	char shell[1024];
	struct command all = {.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	struct outcome o;
	int good = 0;

	snprintf(shell, sizeof shell, "for i in $(seq %d); do %s; done; true", runs, command);
	o = command_run(&all);
	assert_int_equal(o.exit_status, 0);
	for (const char *p = o.out; (p = strstr(p, sign)) != NULL; p++)
		good++;
	outcome_free(&o);
	return good;
}

/* How many of so many calls of curl are answered by 200. */
static int good_calls(struct scene *scene, int calls, const char *arguments)
{
	char command[900];

	snprintf(command, sizeof command, "curl -s -o /dev/null -w '%%{http_code} ' %s", arguments);
	return good_runs(scene, calls, command, "200 ");
}

static const char *url(struct quotad *server, const char *path, const char *options, char text[512])
{
	snprintf(text, 512, "%s %s", options, quotad_url(server, path));
	return text;
}

/* An hourly quota of sixty: twenty calls go, and quickly, whatever the dialect. */
static void twenty_calls_go(struct scene *scene, const char *dialect)
{
	const char *options[] = {"--window", "60/h", "--dialect", dialect, NULL};
	struct quotad *server = quotad_start(scene->dir, options);
	struct quotad_count count;
	char text[512];

	assert_int_equal(good_calls(scene, 20, url(server, "/n/1", "", text)), 20);
	count = quotad_count(server);
	assert_int_equal(count.requests, 20);
	assert_true(count.last_s - count.first_s < 15);
}

static void a_quota_that_is_not_spent_refuses_nobody(void **state)
{
	static const char *const dialects[] = {"x-ratelimit-epoch", "docker", "ratelimit-draft", "reddit", "openai"};

	for (size_t i = 0; i < sizeof dialects / sizeof dialects[0]; i++)
		twenty_calls_go(*state, dialects[i]);
}

/* Three an hour: the fourth call is not made. */
static void three_calls_go(struct scene *scene, const char *dialect)
{
	const char *options[] = {"--window", "3/h", "--dialect", dialect, NULL};
	struct quotad *server = quotad_start(scene->dir, options);
	char text[512];

	assert_int_equal(good_calls(scene, 5, url(server, "/n/1", "", text)), 3);
	assert_int_equal(quotad_count(server).requests, 3);
}

static void a_quota_that_is_spent_stops_in_every_dialect(void **state)
{
	static const char *const dialects[] = {"x-ratelimit-delta", "ratelimit-draft", "reddit", "openai",
					       "anthropic",         "two-lines"};

	for (size_t i = 0; i < sizeof dialects / sizeof dialects[0]; i++)
		three_calls_go(*state, dialects[i]);
}

static void an_old_copy_of_a_spent_quota_stops_nobody(void **state)
{
	struct scene *scene = *state;
	const char *options[] = {"--window", "3/60s", "--dialect", "x-ratelimit-delta", "--age", "240", NULL};
	struct quotad *server = quotad_start(scene->dir, options);
	char text[512];

	assert_int_equal(good_calls(scene, 3, url(server, "/n/1", "", text)), 3);
	/* The server refuses the fourth, and weir did not know. */
	assert_int_equal(good_calls(scene, 1, url(server, "/n/1", "", text)), 0);
	assert_int_equal(quotad_count(server).requests, 4);
}

static void whose_quota(struct scene *scene, const char *named)
{
	const char *options[] = {"--window", "3/h", "--dialect", "x-ratelimit-epoch", "--apart", named, NULL};
	struct quotad *server = quotad_start(scene->dir, options);
	const char *a = "-H 'Authorization: Bearer A'", *b = "-u b:secret";
	char text[512];

	assert_int_equal(good_calls(scene, 5, url(server, "/n/1", a, text)), 3);
	assert_int_equal(good_calls(scene, 2, url(server, "/n/2", b, text)), 2);
	assert_int_equal(good_calls(scene, 2, url(server, "/status/200", a, text)), 2);
	assert_int_equal(good_calls(scene, 1, url(server, "/n/3", a, text)), 0);
	assert_int_equal(good_calls(scene, 1, url(server, "/n/3", "", text)), 1);
	assert_int_equal(quotad_count(server).requests, 8);
}

static void a_spent_quota_stops_its_credential_and_its_resource(void **state)
{
	whose_quota(*state, "named");
	whose_quota(*state, "unnamed"); /* three of each: told apart by nothing but that one is spent and one is not */
}

/* How many of so many calls of wget, which knows of no libcurl, are answered. */
static int good_fetches(struct scene *scene, int calls, const char *arguments)
{
	char command[900];

	snprintf(command, sizeof command, "wget -q -t 1 -T 20 -O /dev/null %s && echo good", arguments);
	return good_runs(scene, calls, command, "good");
}

static void whose_quota_is_seen_in_what_any_program_sends(void **state)
{
	struct scene *scene = *state;
	const char *options[] = {"--window", "3/h", "--dialect", "x-ratelimit-epoch", "--apart", "unnamed", NULL};
	struct quotad *server = quotad_start(scene->dir, options);
	const char *a = "--header='Authorization: Bearer A'", *b = "--header='Authorization: Bearer B'";
	char text[512];

	assert_int_equal(good_fetches(scene, 4, url(server, "/n/1", a, text)), 3);
	assert_int_equal(good_fetches(scene, 2, url(server, "/n/2", b, text)), 2);
	assert_int_equal(good_fetches(scene, 1, url(server, "/status/200", a, text)), 1);
	assert_int_equal(good_fetches(scene, 1, url(server, "/n/3", a, text)), 0);
	/* And what one program has used up another one does not ask for. */
	assert_int_equal(good_calls(scene, 1, url(server, "/n/4", "--oauth2-bearer A", text)), 0);
	assert_int_equal(good_calls(scene, 1, url(server, "/n/4", "--oauth2-bearer B", text)), 1);
	assert_int_equal(quotad_count(server).requests, 7);
}

static void the_wait_of_azure_is_kept_to_the_millisecond(void **state)
{
	struct scene *scene = *state;
	const char *options[] = {"--throttle-next", "1", "--retry-after", "1.2", "--dialect", "azure", NULL};
	struct quotad *server = quotad_start(scene->dir, options);
	struct quotad_count count;
	char text[512];

	assert_int_equal(good_calls(scene, 2, url(server, "/n/1", "", text)), 1);
	count = quotad_count(server);
	assert_int_equal(count.in_hold, 0);
	assert_true(count.last_s - count.first_s > 1.19);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_quota_that_is_not_spent_refuses_nobody),      TEST(a_quota_that_is_spent_stops_in_every_dialect),
		TEST(an_old_copy_of_a_spent_quota_stops_nobody),     TEST(a_spent_quota_stops_its_credential_and_its_resource),
		TEST(whose_quota_is_seen_in_what_any_program_sends), TEST(the_wait_of_azure_is_kept_to_the_millisecond),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
