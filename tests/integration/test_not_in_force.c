/* SPDX-License-Identifier: MIT */
/*
 * Limits that are not in force, or for less than all, in the surroundings that systemd and full disks make: a program hears
 * nothing of it, an operator finds a line a day and cause. The surroundings are mount namespaces of the test's own, which end
 * with the command.
 */
#include "tests/integration/every_agent.h"
#include "tests/integration/weir_program.h"

#define THREE_REQUESTS "for i in 1 2 3; do curl -sS -o /dev/null \"$URL\" || exit 9; done"
#define SHOW_SHARED    "cat /dev/shm/weir-*.notices"

/* Runs the text as root of namespaces of its own, bare, with libweir.so for $LIBRARY: the test says what has it preloaded. */
static struct outcome in_namespaces(struct scene *scene, const char *url, const char *text)
{
	char *library = build_path("libweir.so"), *weir = build_path("weir");
	const char *before = getenv("WEIR_TEST_PRELOAD_BEFORE");
	char variable[5][600];
	const char *const env[] = {variable[0], variable[1],      variable[2], variable[3],       variable[4],
				   "HOME",      "WEIR_AGENT=off", SANITIZERS,  "XDG_RUNTIME_DIR", NULL};
	const char *const argv[] = {"unshare", "-rm", "--propagation", "private", "sh", "-ec", text, NULL};
	struct command c = {.argv = argv, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir, .env = env};
	struct outcome o;

	snprintf(variable[0], sizeof variable[0], "LIBRARY=%s%s%s", before ? before : "", before ? " " : "", library);
	snprintf(variable[1], sizeof variable[1], "URL=%s", url);
	snprintf(variable[2], sizeof variable[2], "SCENE=%s", scene->dir);
	snprintf(variable[3], sizeof variable[3], "WEIR=%s", weir);
	snprintf(variable[4], sizeof variable[4], "BUILD=%.*s", (int)(strlen(weir) - strlen("/weir")), weir);
	o = command_run(&c);
	free(library);
	free(weir);
	return o;
}

static char *notices(struct scene *scene)
{
	char *dir = path_in(scene->dir, STATE_HOME_DIR), *weir = path_in(dir, "weir"), *file = path_in(weir, "notices"),
	     *text = read_file(file);

	free(file);
	free(weir);
	free(dir);
	return text ? text : strdup("");
}

static unsigned lines_in(const char *text)
{
	unsigned n = 0;

	for (; (text = strchr(text, '\n')) != NULL; text++)
		n++;
	return n;
}

static void expect_quiet(struct outcome *o)
{
	if (o->exit_status != 0 || o->err_bytes != 0)
		fail_msg("exit %d, signal %d: %s%s", o->exit_status, o->signal, o->out, o->err);
}

/* Nothing is said there, and all goes well. */
static void expect_quiet_in_namespaces(struct scene *scene, struct quotad *server, const char *text)
{
	struct outcome o = in_namespaces(scene, quotad_url(server, "/"), text);

	expect_quiet(&o);
	outcome_free(&o);
}

static void expect_notice(struct scene *scene, unsigned lines, const char *last)
{
	char *text = notices(scene);

	assert_int_equal(lines_in(text), lines);
	assert_contains(text, last);
	free(text);
}

static void a_full_disk_lets_requests_pass_and_is_noted(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char *text;

	require_namespaces();
	expect_quiet_in_namespaces(
		scene, server,
		"mount -t tmpfs -o size=1m,mode=700 none \"$WEIR_RUNTIME_DIR\"; export LD_PRELOAD=\"$LIBRARY\"; " THREE_REQUESTS
		"; [ ! -e \"$WEIR_RUNTIME_DIR/state.1\" ]");
	assert_int_equal(quotad_count(server).requests, 3);
	text = notices(scene);
	assert_int_equal(lines_in(text), 1);
	assert_contains(text, "/state.1: cannot allocate it");
	assert_contains(text, "28"); /* ENOSPC */
	free(text);
	text = WEIR_EXPECT(scene, 0, "doctor");
	assert_contains(text, "cannot allocate it");
	free(text);
}

/* Runtime directory and home alike, as for a service with ProtectSystem=strict: what remains is the memory that all share. */
static void where_nothing_can_be_written_the_notice_is_in_shared_memory(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	struct outcome o;
	char *text;

	require_namespaces();
	o = in_namespaces(scene, quotad_url(server, "/"),
			  "mount -t tmpfs none /dev/shm; mount --bind \"$SCENE\" \"$SCENE\"; "
			  "mount -o remount,bind,ro \"$SCENE\"; ( export LD_PRELOAD=\"$LIBRARY\"; " THREE_REQUESTS
			  "; WEIR_RUNTIME_DIR=$SCENE; export WEIR_RUNTIME_DIR; " THREE_REQUESTS " ); " SHOW_SHARED
			  "; echo; \"$WEIR\" doctor | grep 'not in force'");
	expect_quiet(&o);
	assert_int_equal(quotad_count(server).requests, 6);
	text = strstr(o.out, "\n\n");
	assert_non_null(text);
	text[1] = '\0';
	/* A line for each cause: the state that cannot be made, the directory that is not one for weir. */
	assert_int_equal(lines_in(o.out), 2);
	assert_contains(o.out, "/runtime/state.1: cannot create it");
	assert_contains(text + 2, "/runtime/state.1: cannot create it");
	outcome_free(&o);
	text = notices(scene);
	assert_string_equal(text, "");
	free(text);
}

/* $private for /tmp, with the places of this test and of the build where they were. */
#define OVER_TMP                                                                                                                 \
	"chmod 1777 \"$private\"; for d in \"$SCENE\" \"$BUILD\"; do case $d in /tmp/*) mkdir -p \"$private${d#/tmp}\"; "        \
	"mount --bind \"$d\" \"$private${d#/tmp}\";; esac; done; mount --rbind \"$private\" /tmp; "
/* A directory of systemd's. */
#define PRIVATE_TMP "private=$SCENE/systemd-private-0123-job.service-x/tmp; mkdir -p \"$private\"; " OVER_TMP
/* A file system of its own, in a namespace that receives what is mounted in the one that it comes from. */
#define SLAVE(text) "mount --make-rshared /; unshare -m --propagation slave sh -ec '" text "'"
#define EMPTY_TMP   "private=$SCENE/empty; mkdir \"$private\"; mount -t tmpfs none \"$private\"; " OVER_TMP

/* As a user, whose state is in /tmp where the system has made no runtime directory; and as root, with a directory named there. */
static void a_private_tmp_is_noted_as_a_budget_of_its_own(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);

	require_namespaces();
	expect_quiet_in_namespaces(scene, server,
				   PRIVATE_TMP "unset WEIR_RUNTIME_DIR; export LD_PRELOAD=\"$LIBRARY\"; "
					       "unshare -U --map-user=1234 sh -ec '" THREE_REQUESTS
					       "; [ -f /tmp/weir-1234/state.1 ]'");
	assert_int_equal(quotad_count(server).requests, 3);
	expect_notice(scene, 1, "/tmp/weir-1234: it is this service's own (PrivateTmp)");
	expect_quiet_in_namespaces(scene, server,
				   PRIVATE_TMP "export LD_PRELOAD=\"$LIBRARY\" WEIR_RUNTIME_DIR=/tmp/named; " THREE_REQUESTS);
	expect_notice(scene, 2, "/tmp/named: it is this service's own (PrivateTmp)");
	expect_quiet_in_namespaces(
		scene, server, SLAVE(EMPTY_TMP "export LD_PRELOAD=\"$LIBRARY\" WEIR_RUNTIME_DIR=/tmp/empty; " THREE_REQUESTS));
	expect_notice(scene, 3, "/tmp/empty: it is this service's own (PrivateTmp)");
}

/* Nothing is noted where the directory is everybody's, below a /tmp of one's own or in everybody's /tmp. */
static void a_tmp_that_is_everybodys_is_no_news(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char *text;

	require_namespaces();
	expect_quiet_in_namespaces(scene, server,
				   PRIVATE_TMP "export LD_PRELOAD=\"$LIBRARY\"; " THREE_REQUESTS
					       "; [ -f \"$WEIR_RUNTIME_DIR/state.1\" ]");
	expect_quiet_in_namespaces(scene, server,
				   "mkdir \"$SCENE/t\"; WEIR_RUNTIME_DIR=$SCENE/t/weir-0; export LD_PRELOAD=\"$LIBRARY\" "
				   "WEIR_RUNTIME_DIR; " THREE_REQUESTS "; [ -f \"$WEIR_RUNTIME_DIR/state.1\" ]");
	expect_quiet_in_namespaces(scene, server,
				   SLAVE("mkdir \"$SCENE/u\"; WEIR_RUNTIME_DIR=$SCENE/u/weir-0; export LD_PRELOAD=\"$LIBRARY\" "
					 "WEIR_RUNTIME_DIR; " THREE_REQUESTS "; [ -f \"$WEIR_RUNTIME_DIR/state.1\" ]"));
	text = notices(scene);
	assert_string_equal(text, "");
	free(text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown_with_agents)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_full_disk_lets_requests_pass_and_is_noted),
		TEST(where_nothing_can_be_written_the_notice_is_in_shared_memory),
		TEST(a_private_tmp_is_noted_as_a_budget_of_its_own),
		TEST(a_tmp_that_is_everybodys_is_no_news),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
