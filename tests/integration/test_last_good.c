/* SPDX-License-Identifier: MIT */
/* The policy while its files are being written, when they are wrong, and after a reboot. */
#include "weir_program.h"

#include <glob.h>
#include <time.h>

#include "tests/harness/file.h"

#define LIMIT "defaults = { rate = { strategy = \"fixed\"; max = \"1/s\"; }; };\n"

/* The limit in force, in nano/s; 0 = none, or no policy. */
static uint64_t limit_in_force(struct scene *scene, bool *rejected)
{
	struct weir_segment s = scene_segment(scene);
	struct weir_policy_view v = weir_policy_in_force(&s);
	uint64_t rate = v.rules && v.rules[v.rule_count - 1].rate.strategy == WEIR_FIXED ? v.rules[v.rule_count - 1].rate.max : 0;

	*rejected = v.rules && v.half->rejected;
	weir_segment_close(&s);
	return rate;
}

static bool fresh(void *data)
{
	struct weir_segment s = scene_segment(data);
	struct weir_policy_view v = weir_policy_in_force(&s);
	bool is = v.rules && weir_policy_fresh(&v);

	weir_segment_close(&s);
	return is;
}

static bool unlimited(void *data)
{
	bool rejected;

	return limit_in_force(data, &rejected) == 0;
}

static bool limited(void *data)
{
	return !unlimited(data);
}

static void configure(struct scene *scene, const char *text)
{
	scene_write_configuration(scene, text);
}

static void end(struct running *r)
{
	command_signal(r, SIGTERM);
	struct outcome o = command_wait(r);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
}

/* As after a reboot: what is in the runtime directory is gone. */
static void lose_the_segment(struct scene *scene)
{
	char *path = path_in(scene->runtime, "state.1");

	assert_int_equal(unlink(path), 0);
	free(path);
}

static void an_emptied_file_is_believed_when_it_has_rested(void **state)
{
	struct scene *scene = *state;
	struct running *agent;
	bool rejected;
	double from;

	configure(scene, LIMIT);
	agent = agent_start(scene);
	assert_int_equal(limit_in_force(scene, &rejected), WEIR_RATE_ONE);
	from = monotonic_s();
	configure(scene, "");
	/* Nobody waits for what is not believed. */
	assert_soon(fresh, scene, 10, "the agent has seen the empty file");
	if (monotonic_s() - from < 0.9)
		assert_int_equal(limit_in_force(scene, &rejected), WEIR_RATE_ONE);
	assert_soon(unlimited, scene, 20, "the empty file is taken");
	assert_true(monotonic_s() - from >= 0.9);
	configure(scene, LIMIT);
	assert_soon(limited, scene, 20, "the written file is taken");
	end(agent);
}

/* A save in pieces, each of which leaves a file that is as valid as the whole, and no shorter than the one before. Returns the
 * longest time between two of them: a busy machine may make pauses of its own. */
static double save_in_pieces(struct scene *scene, const char *last, bool *ever_unlimited)
{
	const struct timespec pause = {0, 10000000};
	char *path = path_in(scene->dir, EMPTY_CONFIG_DIR "/weir/weir.conf");
	struct weir_segment s = scene_segment(scene);
	double before = monotonic_s(), longest = 0;
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool rejected;

	assert_true(fd >= 0);
	for (int i = 0; i < 20; i++) {
		dprintf(fd, "# %0*d\n", 100, i);
		atomic_fetch_add(&s.header->compile_requests, 1);
		nanosleep(&pause, NULL);
		*ever_unlimited |= limit_in_force(scene, &rejected) == 0;
		longest = monotonic_s() - before > longest ? monotonic_s() - before : longest;
		before = monotonic_s();
	}
	dprintf(fd, "%s", last);
	close(fd);
	weir_segment_close(&s);
	free(path);
	return longest;
}

static bool two_a_second(void *data)
{
	bool rejected;

	return limit_in_force(data, &rejected) == 2 * WEIR_RATE_ONE;
}

static void a_save_in_pieces_is_not_taken_before_it_is_over(void **state)
{
	struct scene *scene = *state;
	struct running *agent;
	bool ever_unlimited, rejected;

	configure(scene, LIMIT);
	agent = agent_start(scene);
	for (int tries = 0; tries < 20; tries++) {
		ever_unlimited = false;
		if (save_in_pieces(scene, "defaults = { rate = { strategy = \"fixed\"; max = \"2/s\"; }; };\n", &ever_unlimited) <
		    0.08)
			break;
		ever_unlimited = false; /* the machine's pause, not ours */
		configure(scene, LIMIT);
		assert_soon(limited, scene, 20, "the limit is back");
	}
	assert_false(ever_unlimited);
	assert_soon(two_a_second, scene, 20, "the whole file is taken");
	limit_in_force(scene, &rejected);
	assert_false(rejected);
	end(agent);
}

static void where_nothing_is_kept_the_built_in_rules_are_in_force_and_told(void **state)
{
	struct scene *scene = *state;
	struct running *agent;
	bool rejected;
	char *text;

	configure(scene, "defaults = { rte = 1; };\n");
	agent = agent_start(scene);
	assert_int_equal(limit_in_force(scene, &rejected), 0);
	assert_true(rejected);
	text = WEIR_EXPECT(scene, 1, "status");
	assert_contains(text, "was refused, no other is known: the built-in rules are in force");
	assert_lacks(text, "stays");
	free(text);
	struct outcome o = WEIR(scene, "run", "true");
	assert_int_equal(o.exit_status, 0);
	assert_contains(o.err, "weir: run: the configuration was refused, the built-in rules are in force: ");
	outcome_free(&o);
	end(agent);
}

static void the_last_good_policy_survives_a_reboot(void **state)
{
	struct scene *scene = *state;
	struct running *agent;
	bool rejected;
	char *text;

	configure(scene, LIMIT);
	agent = agent_start(scene);
	end(agent);
	configure(scene, LIMIT "defaults = { rte = 1; }; # and more, so that the file is no shorter\n");
	lose_the_segment(scene);
	agent = agent_start(scene);
	assert_int_equal(limit_in_force(scene, &rejected), WEIR_RATE_ONE);
	assert_true(rejected);
	text = WEIR_EXPECT(scene, 1, "status");
	assert_contains(text, "was refused");
	free(text);
	struct outcome o = WEIR(scene, "run", "true");
	assert_int_equal(o.exit_status, 0);
	assert_contains(o.err, "weir: run: the configuration was refused");
	assert_contains(o.err, "weir.conf:2: ");
	outcome_free(&o);
	end(agent);
}

/* Also before the file has rested, while the agent does not judge it yet. */
static void whoever_has_just_saved_a_typo_is_told_by_the_next_run(void **state)
{
	struct scene *scene = *state;
	struct running *agent;
	struct outcome o;

	configure(scene, LIMIT);
	agent = agent_start(scene);
	configure(scene, "defaults = {");
	o = WEIR(scene, "run", "true");
	assert_int_equal(o.exit_status, 0);
	assert_contains(o.err, "weir: run: the configuration was refused, the rules before it stay in force: ");
	outcome_free(&o);
	/* What is right is not talked of, however young. */
	configure(scene, LIMIT "# and more\n");
	o = WEIR(scene, "run", "true");
	assert_int_equal(o.exit_status, 0);
	assert_string_equal(o.err, "");
	outcome_free(&o);
	end(agent);
}

static void a_torn_keepsake_is_set_aside(void **state)
{
	struct scene *scene = *state;
	char *pattern = path_in(scene->dir, "state-home/weir/policy.*");
	struct running *agent;
	bool rejected;
	glob_t found;

	configure(scene, LIMIT);
	agent = agent_start(scene);
	end(agent);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 1);
	assert_int_equal(truncate(found.gl_pathv[0], 700), 0);
	configure(scene, LIMIT "defaults = { rte = 1; };\n");
	lose_the_segment(scene);
	agent = agent_start(scene);
	assert_int_equal(limit_in_force(scene, &rejected), 0);
	assert_true(rejected);
	assert_int_not_equal(access(found.gl_pathv[0], F_OK), 0);
	globfree(&found);
	free(pattern);
	pattern = path_in(scene->dir, "state-home/weir/policy.*.bad");
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	globfree(&found);
	free(pattern);
	end(agent);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_emptied_file_is_believed_when_it_has_rested),
		TEST(a_save_in_pieces_is_not_taken_before_it_is_over),
		TEST(where_nothing_is_kept_the_built_in_rules_are_in_force_and_told),
		TEST(the_last_good_policy_survives_a_reboot),
		TEST(whoever_has_just_saved_a_typo_is_told_by_the_next_run),
		TEST(a_torn_keepsake_is_set_aside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
