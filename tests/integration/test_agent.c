/* SPDX-License-Identifier: MIT */
/* The agent as a process: one per world, in step with the files, gone when it should be. */
#include "weir_program.h"

#include <dirent.h>
#include <linux/futex.h>
#include <sys/syscall.h>

static void end(struct running *r)
{
	command_signal(r, SIGTERM);
	struct outcome o = command_wait(r);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
}

static void a_second_agent_says_who_was_first(void **state)
{
	struct scene *scene = *state;
	struct running *first = agent_start(scene);
	char expected[80];
	struct outcome o = WEIR(scene, "agent");
	snprintf(expected, sizeof expected, "weir: agent: already running as pid %d\n", (int)command_pid(first));
	assert_int_equal(o.exit_status, 1);
	assert_string_equal(o.err, expected);
	outcome_free(&o);
	assert_true(socket_answers(scene));
	assert_int_equal(agent_pid(scene->runtime), command_pid(first));
	end(first);
}

static void sigterm_leaves_nothing_but_the_state(void **state)
{
	struct scene *scene = *state;
	struct running *r = agent_start(scene);
	struct weir_segment s = scene_segment(scene);
	assert_int_equal(atomic_load(&s.header->agent_pid), command_pid(r));
	end(r);
	assert_int_equal(atomic_load(&s.header->agent_pid), 0);
	assert_false(exists(scene->runtime, "weir.sock"));
	assert_false(exists(scene->runtime, "agent.pid"));
	weir_segment_close(&s);
}

static void an_idle_agent_leaves_by_itself(void **state)
{
	struct scene *scene = *state;
	struct running *r = agent_start_with(scene, "1s");
	struct outcome o = command_wait(r);
	assert_int_equal(o.exit_status, 0);
	assert_true(o.seconds >= 1 && o.seconds < 8);
	outcome_free(&o);
	assert_false(exists(scene->runtime, "weir.sock"));
}

static void requests_keep_the_agent(void **state)
{
	struct scene *scene = *state;
	struct running *r = agent_start_with(scene, "1s");
	struct weir_segment s = scene_segment(scene);
	for (double from = monotonic_s(); monotonic_s() - from < 2.5;) {
		scene_request(&s, "a.example.org:443", WEIR_SUCCEEDED);
		usleep(100000);
	}
	assert_false(command_has_exited(r));
	weir_segment_close(&s);
	struct outcome o = command_wait(r);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
}

static void a_dead_agents_socket_is_replaced(void **state)
{
	struct scene *scene = *state;
	struct running *r = agent_start(scene);
	command_signal(r, SIGKILL);
	struct outcome o = command_wait(r);
	outcome_free(&o);
	assert_true(exists(scene->runtime, "weir.sock"));
	assert_false(socket_answers(scene));
	r = agent_start(scene);
	end(r);
}

static void the_agent_leaves_when_its_directory_is_gone(void **state)
{
	struct scene *scene = *state;
	struct running *r = agent_start(scene);
	temp_dir_remove(strdup(scene->runtime));
	struct outcome o = command_wait(r);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
}

static void the_agent_leaves_when_its_segment_is_replaced(void **state)
{
	struct scene *scene = *state;
	struct running *r = agent_start(scene);
	char *path = path_in(scene->runtime, "state.1"), *copy = path_in(scene->runtime, "copy");
	char line[1024];
	snprintf(line, sizeof line, "cp '%s' '%s' && mv '%s' '%s'", path, copy, copy, path);
	struct command c = {.shell = line};
	struct outcome o = command_run(&c);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	o = command_wait(r);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	free(path);
	free(copy);
}

static void a_damaged_segment_is_replaced(void **state)
{
	struct scene *scene = *state;
	free(write_file(scene->runtime, "state.1", "this is no segment"));
	struct running *r = agent_start(scene);
	struct weir_segment s = scene_segment(scene);
	assert_int_equal(atomic_load(&s.header->agent_pid), command_pid(r));
	weir_segment_close(&s);
	end(r);
}

/* ---- the configuration */

struct wanted {
	struct weir_segment *segment;
	uint32_t rules;
	bool rejected;
	uint64_t above; /* generation */
};

static bool in_force(void *data)
{
	const struct wanted *w = data;
	struct weir_policy_view v = weir_policy_in_force(w->segment);
	return v.rules && v.rule_count == w->rules && (v.half->rejected != 0) == w->rejected && v.generation > w->above;
}

static uint64_t generation(struct weir_segment *s)
{
	return weir_policy_in_force(s).generation;
}

static void await_policy(struct weir_segment *s, uint32_t rules, bool rejected, uint64_t above)
{
	struct wanted w = {.segment = s, .rules = rules, .rejected = rejected, .above = above};
	assert_soon(in_force, &w, 5, "the policy follows the files");
}

#define ONE_RULE  "hosts = ( { match = \"a.example.org\"; rate = { max = \"5/s\"; }; } );\n"
#define TWO_RULES "hosts = ( { match = \"a.example.org\"; }, { match = \"b.example.org\"; } );\n"

/* As an editor saves: a new file that takes the old one's place. */
static void save(const char *dir, const char *name, const char *text)
{
	char *to = path_in(dir, name), *from = write_file(dir, "new", text);
	assert_int_equal(rename(from, to), 0);
	free(from);
	free(to);
}

static void the_policy_follows_the_files(void **state)
{
	struct scene *scene = *state;
	struct running *r = agent_start(scene);
	struct weir_segment s = scene_segment(scene);
	char *config = path_in(scene->dir, EMPTY_CONFIG_DIR);
	uint64_t seen = generation(&s);
	await_policy(&s, 1, false, 0);

	/* Neither the file nor its directory was there when the agent began. */
	char *dir = make_dir(config, "weir");
	free(write_file(dir, "weir.conf", ONE_RULE));
	await_policy(&s, 2, false, seen);
	seen = generation(&s);

	save(dir, "weir.conf", TWO_RULES);
	await_policy(&s, 3, false, seen);
	seen = generation(&s);

	save(dir, "weir.conf", "hosts = nonsense");
	await_policy(&s, 3, true, seen);
	seen = generation(&s);

	free(write_file(dir, "weir.conf", ONE_RULE)); /* in place */
	await_policy(&s, 2, false, seen);
	seen = generation(&s);

	char *file = path_in(dir, "weir.conf");
	assert_int_equal(unlink(file), 0);
	await_policy(&s, 1, false, seen);
	free(file);
	free(dir);
	free(config);
	weir_segment_close(&s);
	end(r);
}

static void a_broken_file_at_the_start_leaves_the_defaults(void **state)
{
	struct scene *scene = *state;
	char *config = make_dir(scene->dir, EMPTY_CONFIG_DIR), *dir = make_dir(config, "weir");
	free(write_file(dir, "weir.conf", "defaults = { rate = { max = \"fast\"; }; };\n"));
	struct running *r = agent_start(scene);
	struct weir_segment s = scene_segment(scene);
	await_policy(&s, 1, true, 0);
	free(dir);
	free(config);
	weir_segment_close(&s);
	end(r);
}

static void a_busy_editor_does_not_make_the_policy_flutter(void **state)
{
	struct scene *scene = *state;
	struct running *r = agent_start(scene);
	struct weir_segment s = scene_segment(scene);
	char *config = path_in(scene->dir, EMPTY_CONFIG_DIR), *dir = make_dir(config, "weir");
	uint64_t before = generation(&s);
	double from = monotonic_s();
	for (int i = 0; i < 100; i++) {
		save(dir, "weir.conf", i % 2 ? ONE_RULE : TWO_RULES);
		usleep(10000);
	}
	await_policy(&s, 2, false, before);
	uint64_t most = (uint64_t)((monotonic_s() - from) / 0.2) + 2;
	if (generation(&s) - before > most)
		fail_msg("%llu publications where %llu are allowed", (unsigned long long)(generation(&s) - before),
			 (unsigned long long)most);
	free(dir);
	free(config);
	weir_segment_close(&s);
	end(r);
}

static void a_process_that_asks_gets_its_policy_in_time(void **state)
{
	struct scene *scene = *state;
	struct running *r = agent_start(scene);
	struct weir_segment s = scene_segment(scene);
	char *config = path_in(scene->dir, EMPTY_CONFIG_DIR), *dir = make_dir(config, "weir");
	uint64_t before = generation(&s);
	usleep(300000); /* its first publication is over */
	save(dir, "weir.conf", ONE_RULE);
	double from = monotonic_s();
	atomic_fetch_add(&s.header->compile_requests, 1);
	syscall(SYS_futex, &s.header->compile_requests, FUTEX_WAKE, 1, NULL, NULL, 0);
	await_policy(&s, 2, false, before);
	assert_true(monotonic_s() - from < 0.25 + 0.5); /* a loaded machine */
	free(dir);
	free(config);
	weir_segment_close(&s);
	end(r);
}

/* ---- what it cleans up, and what it holds */

static bool nobody_in_flight(void *data)
{
	struct weir_segment *s = data;
	uint32_t slot = weir_entry_find(s, "a.example.org:443");
	return slot <= s->entries && weir_concurrency_count(&s->entry[slot].concurrency) == 0;
}

static void a_killed_process_leaves_no_permit_behind(void **state)
{
	struct scene *scene = *state;
	struct running *r = agent_start(scene);
	struct weir_segment s = scene_segment(scene);
	pid_t child = fork();
	if (child == 0) {
		struct weir_gate g = {.segment = &s};
		struct weir_request request;
		struct weir_wish wish = {.host_port = "a.example.org:443"};
		uint64_t wake;
		weir_owner_self(&g.owner);
		weir_gate_begin(&g, &request, &wish, weir_now_ns(), &wake);
		kill(getpid(), SIGKILL);
	}
	/* Not waited for yet: a zombie holds nothing either. */
	assert_soon(nobody_in_flight, &s, 5, "the permit comes back");
	assert_true(wait_for_exit((int)child, 5));
	weir_segment_close(&s);
	end(r);
}

static void a_started_agent_holds_nothing_of_who_started_it(void **state)
{
	struct scene *scene = *state;
	char path[64], target[256];
	free(WEIR_EXPECT(scene, 3, "status"));
	pid_t pid = agent_pid(scene->runtime);
	assert_true(pid > 0);
	assert_int_not_equal(getsid(pid), getsid(0));
	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	DIR *d = opendir(path);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));) {
		ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		if (strlen(e->d_name) == 1 && e->d_name[0] <= '2')
			assert_string_equal(target, "/dev/null");
		assert_lacks(target, "pipe:");
		assert_lacks(target, "/dev/pts");
	}
	closedir(d);
}

static void stop_ends_the_agent_and_says_so(void **state)
{
	struct scene *scene = *state;
	struct running *r = agent_start(scene);
	char expected[80];
	snprintf(expected, sizeof expected, "stopped the agent (pid %d)\n", (int)command_pid(r));
	char *out = WEIR_EXPECT(scene, 0, "agent", "--stop");
	assert_string_equal(out, expected);
	free(out);
	struct outcome o = command_wait(r);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	out = WEIR_EXPECT(scene, 0, "agent", "--stop");
	assert_contains(out, "no agent is running");
	free(out);
}

static void a_directory_that_is_open_to_others_is_refused(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(chmod(scene->runtime, 0755), 0);
	struct outcome o = WEIR(scene, "agent");
	assert_int_equal(o.exit_status, 1);
	assert_contains(o.err, "weir: agent: ");
	outcome_free(&o);
	assert_int_equal(chmod(scene->runtime, 0700), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_second_agent_says_who_was_first),
		TEST(sigterm_leaves_nothing_but_the_state),
		TEST(an_idle_agent_leaves_by_itself),
		TEST(requests_keep_the_agent),
		TEST(a_dead_agents_socket_is_replaced),
		TEST(the_agent_leaves_when_its_directory_is_gone),
		TEST(the_agent_leaves_when_its_segment_is_replaced),
		TEST(a_damaged_segment_is_replaced),
		TEST(the_policy_follows_the_files),
		TEST(a_broken_file_at_the_start_leaves_the_defaults),
		TEST(a_busy_editor_does_not_make_the_policy_flutter),
		TEST(a_process_that_asks_gets_its_policy_in_time),
		TEST(a_killed_process_leaves_no_permit_behind),
		TEST(a_started_agent_holds_nothing_of_who_started_it),
		TEST(stop_ends_the_agent_and_says_so),
		TEST(a_directory_that_is_open_to_others_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
