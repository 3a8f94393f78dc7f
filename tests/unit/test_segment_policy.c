/* SPDX-License-Identifier: MIT */
/* The compiled policy: published as a whole, matched in order, compared with its files; and the built-in defaults. */
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "segment_memory.h"

#define ALL 16U

static struct weir_segment segment;
static struct weir_rule rules[ALL];
static uint32_t used;

static int open_segment(void **state)
{
	(void)state;
	segment_make(&segment, 16, 1, 2, ALL);
	memset(rules, 0, sizeof rules);
	used = 0;
	return 0;
}

static int close_segment(void **state)
{
	(void)state;
	weir_segment_close(&segment);
	return 0;
}

/* Adds a rule as the compiler would. */
static void add(const char *match)
{
	struct weir_rule *r = &rules[used++];

	weir_rule_defaults(r);
	strcpy(r->match, match);
	if (strpbrk(match, "*?") != NULL)
		r->flags |= WEIR_RULE_GLOB;
	if (strrchr(match, ':') == NULL)
		r->flags |= WEIR_RULE_ANY_PORT;
}

static void publish(void)
{
	weir_policy_publish(&segment, rules, used, NULL, NULL, 0, false, 1);
}

static uint32_t match(const char *host_port)
{
	struct weir_policy_view v = weir_policy_in_force(&segment);

	return weir_policy_match(&v, host_port);
}

static void nothing_is_in_force_before_the_first_publication(void **state)
{
	struct weir_policy_view v = weir_policy_in_force(&segment);

	(void)state;
	assert_int_equal(v.generation, 0);
	assert_null(v.rules);
	assert_int_equal(weir_policy_match(&v, "a:80"), WEIR_NONE);
	assert_false(weir_policy_fresh(&v));
}

static void a_publication_is_in_force_at_once_and_whole(void **state)
{
	struct weir_rule total;
	struct weir_source source[2];
	struct weir_policy_view v;

	(void)state;
	add("a");
	add("*");
	weir_rule_defaults(&total);
	total.rate.max = 77;
	assert_true(weir_source_stat(&source[0], "/etc/passwd"));
	assert_true(weir_source_stat(&source[1], "/nonexistent/weir.conf"));
	weir_policy_publish(&segment, rules, used, &total, source, 2, true, 42);
	v = weir_policy_in_force(&segment);
	assert_int_equal(v.generation, 1);
	assert_int_equal(v.rule_count, 2);
	assert_memory_equal(v.rules, rules, 2 * sizeof rules[0]);
	assert_int_equal(v.total->rate.max, 77);
	assert_int_equal(v.half->rejected, 1);
	assert_int_equal(v.half->compiled_wall_ns, 42);
	assert_int_equal(v.half->source_count, 2);
	assert_memory_equal(v.half->source, source, sizeof source);
	assert_int_equal(segment.header->policy_changes, 1);
	used = 1;
	publish();
	v = weir_policy_in_force(&segment);
	assert_int_equal(v.generation, 2);
	assert_int_equal(v.rule_count, 1);
	assert_null(v.total);
	assert_int_equal(v.half->rejected, 0);
	publish();
	assert_int_equal(weir_policy_in_force(&segment).half->source[0].path[0], 0);
}

static void a_policy_that_does_not_fit_changes_nothing(void **state)
{
	(void)state;
	add("*");
	publish();
	weir_policy_publish(&segment, rules, 0, NULL, NULL, 0, false, 1);
	weir_policy_publish(&segment, rules, ALL + 1, NULL, NULL, 0, false, 1);
	assert_int_equal(weir_policy_in_force(&segment).generation, 1);
}

static void exact_names_come_before_globs_and_the_defaults_last(void **state)
{
	(void)state;
	add("*.example.org");
	add("api.example.org");
	add("www.example.org:8443");
	add("w??.example.org:*");
	add("*");
	publish();
	assert_int_equal(match("api.example.org:443"), 1);
	assert_int_equal(match("api.example.org:80"), 1);
	assert_int_equal(match("www.example.org:8443"), 2);
	assert_int_equal(match("www.example.org:443"), 0);
	assert_int_equal(match("a.b.example.org:1"), 0);
	assert_int_equal(match("example.org:443"), 4);
	assert_int_equal(match("example.com:443"), 4);
	assert_int_equal(match("no-port"), 4);
	assert_int_equal(match(""), 4);
}

static void a_glob_with_a_port_is_compared_with_host_and_port(void **state)
{
	(void)state;
	add("*.example.org:443");
	add("*:8080");
	add("*");
	publish();
	assert_int_equal(match("a.example.org:443"), 0);
	assert_int_equal(match("a.example.org:4430"), 2);
	assert_int_equal(match("a.example.org:8080"), 1);
}

static void the_port_of_an_ipv6_address_stands_behind_the_last_colon(void **state)
{
	(void)state;
	add("::1");
	rules[0].flags |= WEIR_RULE_ANY_PORT; /* the compiler knows that this colon names no port */
	add("2001:db8::*");
	rules[1].flags |= WEIR_RULE_ANY_PORT;
	add("fe80::1:80");
	add("*");
	publish();
	assert_int_equal(match("::1:8080"), 0);
	assert_int_equal(match("2001:db8::5:443"), 1);
	assert_int_equal(match("fe80::1:80"), 2);
	assert_int_equal(match("fe80::1:81"), 3);
	assert_int_equal(match("::2:8080"), 3);
}

static bool slow_glob(const char *p, const char *t)
{
	if (*p == '\0')
		return *t == '\0';
	if (*p == '*')
		return slow_glob(p + 1, t) || (*t != '\0' && slow_glob(p, t + 1));
	return *t != '\0' && (*p == '?' || *p == *t) && slow_glob(p + 1, t + 1);
}

static void globs_match_what_their_definition_says(void **state)
{
	uint64_t seed = 1;

	(void)state;
	add("*");
	add("*");
	for (int i = 0; i < 5000; i++) {
		char pattern[10] = "", text[12] = "";
		size_t n = 1 + random_next(&seed) % 8, m = random_next(&seed) % 11;

		for (size_t k = 0; k < n; k++)
			pattern[k] = "ab*?"[random_next(&seed) % 4];
		for (size_t k = 0; k < m; k++)
			text[k] = "ab"[random_next(&seed) % 2];
		used = 0;
		add(pattern);
		rules[0].flags = WEIR_RULE_GLOB;
		add("*");
		publish();
		assert_int_equal(match(text), slow_glob(pattern, text) ? 0 : 1);
	}
}

static void the_worst_pattern_is_still_quick(void **state)
{
	char host[WEIR_KEY_MAX];
	uint64_t begin;

	(void)state;
	add("*");
	for (size_t i = 0; i < 260; i++)
		rules[0].match[i] = i % 2 == 0 ? '*' : 'a';
	rules[0].match[260] = 'b';
	rules[0].flags = WEIR_RULE_GLOB;
	add("*");
	publish();
	memset(host, 'a', sizeof host);
	host[sizeof host - 1] = '\0';
	begin = monotonic_ns();
	for (int i = 0; i < 10; i++)
		assert_int_equal(match(host), 1);
	assert_true(monotonic_ns() - begin < SECOND);
}

static void damaged_rules_are_passed_over(void **state)
{
	struct weir_policy_half *half;

	(void)state;
	add("x");
	add("a");
	add("*");
	publish();
	half = segment.policy[1];
	memset(half->rule[0].match, 'a', WEIR_MATCH_MAX); /* not terminated */
	assert_int_equal(match("a:80"), 1);
	half->rule[0].flags |= WEIR_RULE_GLOB;
	memset(half->rule[0].match, '*', WEIR_MATCH_MAX);
	assert_int_equal(match("b:80"), 2);
	half->rule_count = ALL + 1;
	assert_null(weir_policy_in_force(&segment).rules);
	half->rule_count = 0;
	assert_null(weir_policy_in_force(&segment).rules);
	half->rule_count = 3;
	half->source_count = UINT32_MAX;
	memset(half->source, 'x', sizeof half->source);
	assert_false(weir_policy_fresh(&(struct weir_policy_view){.half = half}));
	segment.header->policy_generation = UINT64_MAX; /* bit 0 selects half 1; the next is not 0, which means none */
	publish();
	assert_int_equal(weir_policy_in_force(&segment).generation, 2);
}

static void a_policy_is_fresh_until_a_file_changes_appears_or_goes(void **state)
{
	char directory[] = "/tmp/weir-policy-XXXXXX", present[64], absent[64];
	struct weir_source source[3];
	struct timespec times[2] = {{1000, 5}, {1000, 5}};
	struct weir_policy_view v;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(present, sizeof present, "%s/a.conf", directory);
	snprintf(absent, sizeof absent, "%s/b.conf", directory);
	fd = open(present, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(futimens(fd, times), 0);
	add("*");
	assert_true(weir_source_stat(&source[0], present));
	assert_true(source[0].ctime_ns > 1000 * SECOND + 5);
	assert_true(weir_source_stat(&source[1], absent));
	assert_int_equal(source[1].inode, 0);
	memset(&source[2], 0, sizeof source[2]);
	weir_policy_publish(&segment, rules, used, NULL, source, 3, false, 1);
	v = weir_policy_in_force(&segment);
	assert_true(weir_policy_fresh(&v));
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(futimens(fd, times), 0);
	assert_false(weir_policy_fresh(&v));
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_false(weir_policy_fresh(&v)); /* the time has changed */
	assert_int_equal(futimens(fd, times), 0);
	assert_false(weir_policy_fresh(&v)); /* written in place, though of the same size and time as before */
	assert_true(weir_source_stat(&source[0], present));
	weir_policy_publish(&segment, rules, used, NULL, source, 3, false, 1);
	v = weir_policy_in_force(&segment);
	assert_true(weir_policy_fresh(&v));
	close(open(absent, O_CREAT | O_WRONLY, 0600));
	assert_false(weir_policy_fresh(&v));
	assert_int_equal(rename(absent, present), 0);
	times[0].tv_sec = 1000;
	assert_int_equal(utimensat(AT_FDCWD, present, times, 0), 0);
	assert_false(weir_policy_fresh(&v)); /* another file, though of the same size and time */
	unlink(present);
	assert_false(weir_policy_fresh(&v));
	close(fd);
	rmdir(directory);
}

static void a_path_that_is_too_long_is_refused(void **state)
{
	char path[WEIR_SOURCE_PATH_MAX + 1];
	struct weir_source s;

	(void)state;
	memset(path, '/', sizeof path);
	path[WEIR_SOURCE_PATH_MAX] = '\0';
	assert_false(weir_source_stat(&s, path));
	path[WEIR_SOURCE_PATH_MAX - 1] = '\0';
	assert_true(weir_source_stat(&s, path));
	assert_int_not_equal(s.inode, 0);
}

/* A policy whose rules all say the same number. */
static void publish_number(uint64_t n)
{
	for (uint32_t i = 0; i < ALL; i++) {
		rules[i].rate.max = n;
		rules[i].reserved[5] = n;
	}
	weir_policy_publish(&segment, rules, ALL, NULL, NULL, 0, false, n);
}

static void readers_never_see_a_policy_of_two_halves(void **state)
{
	pid_t reader[3];
	int status;

	(void)state;
	for (uint32_t i = 0; i < ALL; i++)
		add("*");
	publish_number(1);
	for (int i = 0; i < 3; i++) {
		reader[i] = fork();
		if (reader[i] == 0) {
			uint64_t last = 0;

			do {
				struct weir_policy_view v = weir_policy_in_force(&segment);
				volatile const struct weir_rule *r = v.rules;
				uint64_t first = r[0].rate.max;

				if (v.rule_count != ALL || first < last)
					_exit(1);
				for (uint32_t k = 0; k < ALL; k++) {
					uint64_t a = r[k].rate.max, b = r[k].reserved[5];

					/* Two publications during one reading are no error of the publisher. */
					if ((a != first || b != first) &&
					    weir_policy_in_force(&segment).generation == v.generation)
						_exit(2);
				}
				last = v.generation == weir_policy_in_force(&segment).generation ? first : last;
			} while (last < 3000);
			_exit(0);
		}
	}
	for (uint64_t n = 2; n <= 3000; n++) {
		publish_number(n);
		if (n % 16 == 0)
			sched_yield();
	}
	for (int i = 0; i < 3; i++) {
		waitpid(reader[i], &status, 0);
		assert_int_equal(status, 0);
	}
}

static void a_publisher_killed_at_any_moment_leaves_the_last_policy_in_force(void **state)
{
	uint64_t seed = 9;

	(void)state;
	for (uint32_t i = 0; i < ALL; i++)
		add("*");
	publish_number(1);
	for (int round = 0; round < 100; round++) {
		uint64_t n = weir_policy_in_force(&segment).rules[0].rate.max;
		struct weir_policy_view v;
		pid_t child = fork();

		if (child == 0)
			for (;;)
				publish_number(++n);
		usleep((useconds_t)(random_next(&seed) % 1000));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		v = weir_policy_in_force(&segment);
		assert_int_equal(v.rule_count, ALL);
		for (uint32_t k = 0; k < ALL; k++) {
			assert_int_equal(v.rules[k].rate.max, v.rules[0].rate.max);
			assert_int_equal(v.rules[k].reserved[5], v.rules[0].rate.max);
		}
	}
}

static void a_publication_wakes_who_waits_for_it(void **state)
{
	_Atomic uint32_t *word = &segment.header->policy_changes;
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		struct timespec limit = {20, 0};

		while (atomic_load(word) == 0)
			if (syscall(SYS_futex, word, FUTEX_WAIT, 0, &limit, NULL, 0) != 0 && atomic_load(word) == 0)
				_exit(1);
		_exit(0);
	}
	add("*");
	publish();
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

static void the_defaults_limit_nothing_until_there_is_a_reason(void **state)
{
	struct weir_rule r;

	(void)state;
	memset(&r, 0xff, sizeof r);
	weir_rule_defaults(&r);
	assert_string_equal(r.match, "*");
	assert_string_equal(r.group, "");
	assert_int_equal(r.flags & (WEIR_RULE_LIMITS_RATE | WEIR_RULE_EXEMPT), WEIR_RULE_LIMITS_RATE);
	assert_int_equal(r.throttle_codes, 1);
	assert_int_equal(r.throttle_code[0], 429);
	assert_int_equal(r.rate.strategy, WEIR_ADAPTIVE);
	assert_int_equal(r.rate.max, 0);
	assert_int_equal(r.rate.min, WEIR_RATE_ONE / 7200);
	assert_int_equal(r.fixed[0].rate | r.fixed[1].rate | r.fixed[2].rate, 0);
	assert_int_equal(r.concurrency.mode, WEIR_CONCURRENCY_ADAPTIVE);
	assert_int_equal(r.concurrency.max | r.concurrency.initial, 0);
	assert_int_equal(r.breaker.failures, 5);
	assert_int_equal(r.breaker.slow_rate_permille, 0);
	assert_true(r.breaker.open_time_ns <= r.breaker.open_time_max_ns);
	assert_int_equal(r.wait_max_ns, 60 * SECOND);
	assert_int_equal(r.hold_max_ns, 3600 * SECOND);
	assert_int_equal(r.grace_ns, 30 * SECOND);
	for (int i = 0; i < 6; i++)
		assert_int_equal(r.reserved[i], 0);
}

#define with_segment(test) cmocka_unit_test_setup_teardown(test, open_segment, close_segment)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_segment(nothing_is_in_force_before_the_first_publication),
		with_segment(a_publication_is_in_force_at_once_and_whole),
		with_segment(a_policy_that_does_not_fit_changes_nothing),
		with_segment(exact_names_come_before_globs_and_the_defaults_last),
		with_segment(a_glob_with_a_port_is_compared_with_host_and_port),
		with_segment(the_port_of_an_ipv6_address_stands_behind_the_last_colon),
		with_segment(globs_match_what_their_definition_says),
		with_segment(the_worst_pattern_is_still_quick),
		with_segment(damaged_rules_are_passed_over),
		with_segment(a_policy_is_fresh_until_a_file_changes_appears_or_goes),
		with_segment(a_path_that_is_too_long_is_refused),
		with_segment(readers_never_see_a_policy_of_two_halves),
		with_segment(a_publisher_killed_at_any_moment_leaves_the_last_policy_in_force),
		with_segment(a_publication_wakes_who_waits_for_it),
		cmocka_unit_test(the_defaults_limit_nothing_until_there_is_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
