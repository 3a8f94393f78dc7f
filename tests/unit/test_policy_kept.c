/* The last good policy in a file: what was kept comes back, and what is not exactly that does not. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>

#include "tests/unit/policy_files.h"

static void fill(struct weir_policy *p, uint32_t rules)
{
	memset(p, 0, sizeof *p);
	p->rules = calloc(rules, sizeof *p->rules);
	assert_non_null(p->rules);
	for (uint32_t i = 0; i < rules; i++) {
		weir_rule_defaults(&p->rules[i]);
		snprintf(p->rules[i].match, sizeof p->rules[i].match, "host%u.example.org", (unsigned)i);
		p->rules[i].rate.max = (i + 1) * WEIR_RATE_ONE;
	}
	p->rule_count = rules;
	p->source_count = 2;
	snprintf(p->sources[1].path, sizeof p->sources[1].path, "/etc/weir/weir.conf");
	weir_rule_defaults(&p->total);
	p->total_in_use = true;
	p->entries = 2048;
	p->idle_exit_ns = 7 * S;
}

static void path_of(const struct bench *b, char path[200])
{
	snprintf(path, 200, "%s/policy", b->dir);
}

static void what_was_kept_comes_back(void **state)
{
	struct weir_policy kept, back;
	const char *why = "?";
	char path[200];
	struct stat before, after;

	path_of(*state, path);
	fill(&kept, 3);
	assert_int_equal(weir_policy_keep(&kept, path), 0);
	assert_true(weir_policy_recall(path, &back, &why));
	assert_null(why);
	assert_int_equal(back.rule_count, 3);
	assert_memory_equal(back.rules, kept.rules, 3 * sizeof *kept.rules);
	assert_int_equal(back.source_count, 2);
	assert_memory_equal(back.sources, kept.sources, 2 * sizeof *kept.sources);
	assert_memory_equal(&back.total, &kept.total, sizeof kept.total);
	assert_true(back.total_in_use);
	assert_int_equal(back.entries, 2048);
	assert_int_equal(back.idle_exit_ns, 7 * S);
	/* The same again writes nothing; another one takes its place. */
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(weir_policy_keep(&kept, path), 0);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(after.st_mode & 0777, 0600);
	kept.rules[1].rate.max = 9 * WEIR_RATE_ONE;
	assert_int_equal(weir_policy_keep(&kept, path), 0);
	weir_policy_free(&back);
	assert_true(weir_policy_recall(path, &back, &why));
	assert_int_equal(back.rules[1].rate.max, 9 * WEIR_RATE_ONE);
	weir_policy_free(&back);
	weir_policy_free(&kept);
}

static void nothing_kept_is_nothing_wrong(void **state)
{
	struct weir_policy back;
	const char *why = "?";
	char path[200];

	path_of(*state, path);
	assert_false(weir_policy_recall(path, &back, &why));
	assert_null(why);
	assert_null(back.rules);
}

static void expect_wrong(const char *path, const char *expected)
{
	struct weir_policy back;
	const char *why = NULL;

	assert_false(weir_policy_recall(path, &back, &why));
	assert_non_null(why);
	assert_string_equal(why, expected);
	assert_null(back.rules);
}

/* Every byte changed once, and every length: never taken for what was kept. */
static void a_damaged_file_is_none(void **state)
{
	struct weir_policy kept, back;
	const char *why;
	char path[200], c;
	struct stat st;
	int fd;

	path_of(*state, path);
	fill(&kept, 1);
	assert_int_equal(weir_policy_keep(&kept, path), 0);
	assert_int_equal(stat(path, &st), 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	for (off_t at = 0; at < st.st_size; at += at < 80 ? 1 : 37) {
		assert_int_equal(pread(fd, &c, 1, at), 1);
		c ^= 0x55;
		assert_int_equal(pwrite(fd, &c, 1, at), 1);
		assert_false(weir_policy_recall(path, &back, &why));
		assert_non_null(why);
		c ^= 0x55;
		assert_int_equal(pwrite(fd, &c, 1, at), 1);
	}
	assert_true(weir_policy_recall(path, &back, &why));
	weir_policy_free(&back);
	assert_int_equal(ftruncate(fd, st.st_size + 1), 0);
	expect_wrong(path, "it is torn");
	for (off_t length = st.st_size - 1; length >= 0; length -= 101) {
		assert_int_equal(ftruncate(fd, length), 0);
		expect_wrong(path, "it is torn");
	}
	close(fd);
	weir_policy_free(&kept);
}

static void what_is_not_a_file_of_ones_own_is_not_read(void **state)
{
	struct bench *b = *state;
	struct weir_policy kept;
	char path[200], other[220];

	path_of(b, path);
	fill(&kept, 1);
	assert_int_equal(weir_policy_keep(&kept, path), 0);
	assert_int_equal(chmod(path, 0622), 0);
	expect_wrong(path, "others may write it");
	assert_int_equal(chmod(path, 0600), 0);
	snprintf(other, sizeof other, "%s.link", path);
	assert_int_equal(symlink(path, other), 0);
	expect_wrong(other, "it cannot be opened");
	expect_wrong(b->dir, "it is not a regular file");
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 65534, 65534), 0);
		expect_wrong(path, "it belongs to another user");
	}
	/* Where it cannot be written, that is told, and nothing is left behind. */
	snprintf(other, sizeof other, "%s/no/such/place", b->dir);
	assert_int_equal(weir_policy_keep(&kept, other), ENOENT);
	weir_policy_free(&kept);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_kept_comes_back),
		TEST(nothing_kept_is_nothing_wrong),
		TEST(a_damaged_file_is_none),
		TEST(what_is_not_a_file_of_ones_own_is_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
