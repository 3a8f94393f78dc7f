/* SPDX-License-Identifier: MIT */
/* Which files are read, in which order, and which are refused. */
#include "policy_files.h"

#define STRANGER 12345

static char *path_of(const struct bench *b, const char *name, char out[WEIR_PATH_MAX])
{
	snprintf(out, WEIR_PATH_MAX, "%s/%s", b->dir, name);
	return out;
}

static void make_dir(const struct bench *b, const char *name)
{
	char path[WEIR_PATH_MAX];

	assert_int_equal(mkdir(path_of(b, name, path), 0755), 0);
}

/* The one finding that there is. */
static void refused_because(struct bench *b, const char *text)
{
	assert_false(compile(b));
	if (b->findings.count != 1 || strcmp(finding(b, 0), text) != 0)
		fail_msg("%zu findings: %s\ninstead of: %s", b->findings.count, finding(b, 0), text);
}

static void later_files_override_key_by_key(void **state)
{
	struct bench *b = *state;

	write_file(b, "1.conf",
		   "defaults = { rate = { max = \"9/s\"; burst = 7; }; wait = { max = \"7s\"; }; };\n"
		   "total = { rate = \"50/s\"; concurrency = 3; }; agent = { idle_exit = \"2m\"; };\n"
		   "segment = { hosts = 64; };");
	write_file(b, "2.conf",
		   "defaults = { rate = { max = \"8/s\"; }; breaker = false; };\n"
		   "total = { concurrency = 4; };");
	write_file(b, "3.conf", "defaults = { breaker = { failures = 3; }; };\n\nagent = { idle_exit = \"3m\"; };");
	chain(b, "1.conf");
	chain(b, "2.conf");
	chain(b, "3.conf");
	assert_true(compile(b));
	const struct weir_rule *r = &b->policy.rules[0];

	assert_int_equal(r->rate.max, 8 * S);
	assert_int_equal(r->rate.burst, 7);
	assert_int_equal(r->wait_max_ns, 7 * S);
	assert_int_equal(r->breaker.failures, 3);
	assert_int_equal(r->breaker.failure_rate_permille, 0);
	assert_int_equal(b->policy.total.rate.max, 50 * S);
	assert_int_equal(b->policy.total.concurrency.max, 4);
	assert_int_equal(b->policy.idle_exit_ns, 180 * S);
	assert_int_equal(b->policy.entries, 64);
	assert_non_null(strstr(origin(b, "defaults.rate.max")->source, "/2.conf:1"));
	assert_non_null(strstr(origin(b, "defaults.rate.burst")->source, "/1.conf:1"));
	assert_non_null(strstr(origin(b, "defaults.breaker.failures")->source, "/3.conf:1"));
	assert_non_null(strstr(origin(b, "agent.idle_exit")->source, "/3.conf:3"));
}

static void rules_of_later_files_come_first_and_hide_the_same_match(void **state)
{
	struct bench *b = *state;

	write_file(b, "1", "hosts = ( { match = \"a\"; rate = \"1/s\"; }, { match = \"*.b\"; }, { match = \"c\"; } );");
	write_file(b, "2",
		   "hosts = ( { match = \"d\"; }, { match = \"A\"; wait = { max = \"9s\"; }; } );\n"
		   "defaults = { rate = { burst = 3; }; };");
	chain(b, "1");
	chain(b, "2");
	assert_true(compile(b));
	static const char *const match[] = {"d", "a", "*.b", "c", "*"};

	assert_int_equal(b->policy.rule_count, COUNT(match));
	for (size_t i = 0; i < COUNT(match); i++) {
		assert_string_equal(b->policy.rules[i].match, match[i]);
		assert_int_equal(b->policy.rules[i].rate.burst, 3);
	}
	assert_int_equal(b->policy.rules[1].wait_max_ns, 9 * S);
	assert_int_equal(b->policy.rules[1].rate.strategy, WEIR_ADAPTIVE);
}

static void a_rule_twice_in_one_file_is_a_mistake_even_where_it_is_hidden(void **state)
{
	struct bench *b = *state;

	write_file(b, "1", "hosts = ( { match = \"a\"; },\n{ match = \"a\"; } );");
	write_file(b, "2", "hosts = ( { match = \"a\"; } );");
	chain(b, "1");
	chain(b, "2");
	refused_because(b, "1:2: hosts[1]: \"a\" is matched by hosts[0] already, on line 1");
}

static void findings_come_file_by_file(void **state)
{
	struct bench *b = *state;

	write_file(b, "1", "hosts = ( { match = \"\"; } );\nx = 1;");
	write_file(b, "2", "hosts = ( { match = \"\"; } );\ny = 1;");
	chain(b, "1");
	chain(b, "2");
	assert_false(compile(b));
	assert_int_equal(b->findings.count, 4);
	assert_memory_equal(finding(b, 0), "1:1: hosts[0].match", 19);
	assert_memory_equal(finding(b, 1), "1:2: x", 6);
	assert_memory_equal(finding(b, 2), "2:1: hosts[0].match", 19);
	assert_memory_equal(finding(b, 3), "2:2: y", 6);
}

static void a_directory_stands_for_its_conf_files_in_byte_order(void **state)
{
	struct bench *b = *state;
	static const char *const source[] = {"conf.d",        "conf.d/10-z.conf", "conf.d/9.conf",
					     "conf.d/B.conf", "conf.d/a.conf",    "last"};

	make_dir(b, "conf.d");
	write_file(b, "conf.d/a.conf", "defaults = { rate = { burst = 3; }; };");
	write_file(b, "conf.d/B.conf", "defaults = { rate = { burst = 2; }; };");
	write_file(b, "conf.d/9.conf", "defaults = { rate = { burst = 9; }; };");
	write_file(b, "conf.d/10-z.conf", "");
	write_file(b, "conf.d/.hidden.conf", "nonsense");
	write_file(b, "conf.d/a.conf~", "nonsense");
	write_file(b, "conf.d/.conf", "nonsense");
	write_file(b, "conf.d/README", "nonsense");
	chain(b, "conf.d");
	chain(b, "last");
	assert_true(compile(b));
	assert_int_equal(b->policy.rules[0].rate.burst, 3);
	assert_int_equal(b->policy.source_count, COUNT(source));
	for (size_t i = 0; i < COUNT(source); i++) {
		assert_string_equal(b->policy.sources[i].path + strlen(b->dir) + 1, source[i]);
		assert_int_equal(b->policy.sources[i].inode != 0, strcmp(source[i], "last") != 0);
	}
	assert_int_equal(b->policy.sources[2].size_bytes, 38);
}

static void absent_files_are_sources_and_no_mistake(void **state)
{
	struct bench *b = *state;

	write_file(b, "file", "");
	chain(b, "absent");
	chain(b, "absent-too");
	chain(b, "file/below");
	assert_true(compile(b));
	assert_int_equal(b->policy.source_count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(b->policy.sources[i].inode, 0);
	forget(b);
	b->chained = 2;
	assert_false(weir_policy_compile(b->chain, b->chained, true, &b->policy, &b->findings));
	assert_int_equal(b->findings.count, 2);
	assert_string_equal(finding(b, 0), "absent: cannot be read: No such file or directory");
	assert_int_equal(b->policy.source_count, 2);
}

static void what_is_no_file_is_refused(void **state)
{
	struct bench *b = *state;
	char path[WEIR_PATH_MAX];

	make_dir(b, "weir.conf");
	chain(b, "weir.conf");
	refused_because(b, "weir.conf: is a directory, expected a file");

	b->chained = 0;
	make_dir(b, "d");
	make_dir(b, "d/x.conf");
	chain(b, "d");
	refused_because(b, "d/x.conf: is a directory, expected a file");

	b->chained = 0;
	assert_int_equal(mkfifo(path_of(b, "fifo", path), 0644), 0);
	chain(b, "fifo");
	refused_because(b, "fifo: is no regular file, expected a file");

	b->chained = 0;
	chain(b, "/dev/null");
	refused_because(b, "/dev/null: is no regular file, expected a file");

	b->chained = 0;
	assert_int_equal(symlink("loop", path_of(b, "loop", path)), 0);
	chain(b, "loop");
	refused_because(b, "loop: cannot be read: Too many levels of symbolic links");

	b->chained = 0;
	make_dir(b, "e");
	assert_int_equal(symlink("nowhere", path_of(b, "e/dangling.conf", path)), 0);
	chain(b, "e");
	refused_because(b, "e/dangling.conf: cannot be read: No such file or directory");
}

static void a_file_whose_reading_fails_is_refused(void **state)
{
	struct bench *b = *state;

	chain(b, "/proc/self/mem"); /* a regular file of ours; nothing is mapped at address 0 */
	refused_because(b, "/proc/self/mem: cannot be read: Input/output error");
}

static void huge_files_are_refused_unread(void **state)
{
	struct bench *b = *state;
	char path[WEIR_PATH_MAX];
	char *blanks = malloc(1024 * 1024 + 1);

	write_file(b, "huge", "");
	assert_int_equal(truncate(path_of(b, "huge", path), 100 * 1024 * 1024), 0);
	chain(b, "huge");
	refused_because(b, "huge: too large: 104857600 bytes, at most 1048576 are read");

	b->chained = 0;
	memset(blanks, '\n', 1024 * 1024 + 1);
	write_bytes(b, "just", blanks, 1024 * 1024);
	chain(b, "just");
	assert_true(compile(b));
	write_bytes(b, "just", blanks, 1024 * 1024 + 1);
	refused_because(b, "just: too large: 1048577 bytes, at most 1048576 are read");
	free(blanks);
}

static void files_that_others_can_write_are_refused(void **state)
{
	struct bench *b = *state;
	char path[WEIR_PATH_MAX];

	write_file(b, "open.conf", "");
	assert_int_equal(chmod(path_of(b, "open.conf", path), 0646), 0);
	chain(b, "open.conf");
	refused_because(b, "open.conf: writable by everybody: take that away (chmod o-w) before it is read");
	assert_int_equal(chmod(path, 0664), 0);
	assert_true(compile(b));

	b->chained = 0;
	make_dir(b, "open.d");
	write_file(b, "open.d/x.conf", "nonsense");
	assert_int_equal(chmod(path_of(b, "open.d", path), 0777), 0);
	chain(b, "open.d");
	refused_because(b, "open.d: writable by everybody: take that away (chmod o-w) before it is read");
}

/* One file of somebody else does not take the rules of all others away. */
static void files_of_strangers_are_left_out(void **state)
{
	struct bench *b = *state;
	char path[WEIR_PATH_MAX];

	if (geteuid() != 0)
		skip();
	write_file(b, "theirs.conf", "");
	assert_int_equal(chown(path_of(b, "theirs.conf", path), STRANGER, STRANGER), 0);
	chain(b, "theirs.conf");
	assert_true(compile(b));
	assert_int_equal(b->policy.left_out, 1);
	write_file(b, "mine.conf", "hosts = ( { match = \"a.example.org\"; } );");
	chain(b, "mine.conf");
	assert_true(compile(b));
	assert_int_equal(b->policy.left_out, 1);
	assert_int_equal(b->policy.rule_count, 2);
	b->chained = 0;
	/* Their own they may have, and root's. */
	write_file(b, "roots.conf", "");
	chain(b, "roots.conf");
	assert_int_equal(seteuid(STRANGER), 0);
	bool good = compile(b);

	assert_int_equal(seteuid(0), 0);
	assert_true(good);
}

static void assert_left_out(struct bench *b, const char *text)
{
	char said[WEIR_LEFT_OUT_MAX] = "";

	for (uint32_t i = 0; i < b->policy.source_count; i++)
		if (weir_policy_left_out(&b->policy, i, said))
			break;
	if (!strstr(said, text))
		fail_msg("expected \"%s\", got \"%s\"", text, said);
}

/* Root's files that root has made unreadable, or left open to everybody: this user can mend neither, and his own rules hold. */
static void files_of_roots_that_cannot_be_trusted_or_read_are_left_out(void **state)
{
	static const struct {
		mode_t mode;
		const char *says;
	} files[] = {{0600, "root.conf: left out: root's: you may not read it"},
		     {0666, "root.conf: left out: root's: everybody may write it"}};
	struct bench *b = *state;
	char path[WEIR_PATH_MAX], mine[WEIR_PATH_MAX];
	bool good;

	if (geteuid() != 0)
		skip();
	write_file(b, "root.conf", "nonsense");
	write_file(b, "mine.conf", "hosts = ( { match = \"a.example.org\"; } );");
	assert_int_equal(chown(path_of(b, "mine.conf", mine), STRANGER, STRANGER), 0);
	chain(b, "root.conf");
	chain(b, "mine.conf");
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(chmod(path_of(b, "root.conf", path), files[i].mode), 0);
		assert_int_equal(seteuid(STRANGER), 0);
		good = compile(b);
		assert_int_equal(seteuid(0), 0);
		assert_true(good);
		assert_int_equal(b->policy.rule_count, 2);
		assert_left_out(b, files[i].says);
	}
}

static void closed_directories_of_others_are_left_out(void **state)
{
	struct bench *b = *state;
	char path[WEIR_PATH_MAX];
	bool good;

	if (geteuid() != 0)
		skip();
	make_dir(b, "root.d");
	write_file(b, "root.d/x.conf", "nonsense");
	assert_int_equal(chmod(path_of(b, "root.d", path), 0700), 0);
	chain(b, "root.d");
	assert_int_equal(seteuid(STRANGER), 0);
	good = compile(b);
	assert_int_equal(seteuid(0), 0);
	assert_true(good);
	assert_left_out(b, "root.d: left out: root's: you may not list it");
	b->chained = 0;
	chain(b, "root.d/x.conf");
	assert_int_equal(seteuid(STRANGER), 0);
	good = compile(b);
	assert_int_equal(seteuid(0), 0);
	assert_true(good);
	assert_left_out(b, "x.conf: left out: root's: you may not enter its directory");
}

static void own_files_that_cannot_be_read_are_refused(void **state)
{
	struct bench *b = *state;
	char path[WEIR_PATH_MAX];

	if (geteuid() != 0)
		skip(); /* somebody else's files are needed, and root reads everything */
	write_file(b, "secret.conf", "");
	assert_int_equal(chown(path_of(b, "secret.conf", path), STRANGER, STRANGER), 0);
	assert_int_equal(chmod(path, 0), 0);
	make_dir(b, "closed");
	write_file(b, "closed/x.conf", "");
	assert_int_equal(chown(path_of(b, "closed", path), STRANGER, STRANGER), 0);
	assert_int_equal(chmod(path, 0), 0);
	chain(b, "secret.conf");
	chain(b, "closed");
	chain(b, "closed/x.conf");
	assert_int_equal(seteuid(STRANGER), 0);
	bool good = compile(b);

	assert_int_equal(seteuid(0), 0);
	assert_false(good);
	assert_int_equal(b->findings.count, 3);
	assert_string_equal(finding(b, 0), "secret.conf: cannot be read: Permission denied");
	assert_string_equal(finding(b, 1), "closed: cannot be listed: Permission denied");
	assert_string_equal(finding(b, 2), "closed/x.conf: cannot be read: Permission denied");
}

static void more_files_than_there_is_room_for_are_refused(void **state)
{
	struct bench *b = *state;
	char name[32];

	make_dir(b, "conf.d");
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "conf.d/%02d.conf", i);
		write_file(b, name, "");
	}
	chain(b, "conf.d");
	chain(b, "last");
	assert_false(compile(b));
	assert_int_equal(b->findings.count, 1);
	assert_non_null(strstr(finding(b, 0), "configuration: too many files: at most 16 files and directories are read; "));
	assert_non_null(strstr(finding(b, 0), "/conf.d/15.conf is one too many"));
	assert_int_equal(b->policy.source_count, 16);
}

static void paths_that_are_too_long_are_refused(void **state)
{
	struct bench *b = *state;

	memset(b->chain[0], 'x', 400);
	b->chain[0][0] = '/';
	b->chained = 1;
	assert_false(compile(b));
	assert_int_equal(b->findings.count, 1);
	assert_non_null(strstr(finding(b, 0), "configuration: the path is too long: /xxx"));
}

static void a_refused_file_does_not_keep_the_others_from_being_checked(void **state)
{
	struct bench *b = *state;

	write_file(b, "1", "defaults = {");
	write_file(b, "2", "x = 1;");
	chain(b, "1");
	chain(b, "2");
	assert_false(compile(b));
	assert_int_equal(b->findings.count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(later_files_override_key_by_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rules_of_later_files_come_first_and_hide_the_same_match, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_rule_twice_in_one_file_is_a_mistake_even_where_it_is_hidden, set_up, tear_down),
		cmocka_unit_test_setup_teardown(findings_come_file_by_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_directory_stands_for_its_conf_files_in_byte_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(absent_files_are_sources_and_no_mistake, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_file_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_file_whose_reading_fails_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(huge_files_are_refused_unread, set_up, tear_down),
		cmocka_unit_test_setup_teardown(files_that_others_can_write_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(files_of_strangers_are_left_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(files_of_roots_that_cannot_be_trusted_or_read_are_left_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(closed_directories_of_others_are_left_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(own_files_that_cannot_be_read_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(more_files_than_there_is_room_for_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(paths_that_are_too_long_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_refused_file_does_not_keep_the_others_from_being_checked, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
