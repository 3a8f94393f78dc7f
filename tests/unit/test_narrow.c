/* SPDX-License-Identifier: MIT */
/* Whom a narrowed rule is for: methods, globs of paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fuzz.h"
#include "weir/http.h"
#include "weir/narrow.h"

static bool meets(const char *path_glob, uint32_t methods, const char *path, const char *method)
{
	struct weir_narrow n = {.flags = WEIR_NARROW_IS, .methods = methods};
	struct weir_asks asks = {.path = path, .path_bytes = path ? strlen(path) : 0};

	strcpy(n.path, path_glob);
	asks.method = method ? weir_method_bit(method, strlen(method)) : 0;
	return weir_narrow_meets(&n, &asks);
}

static void a_glob_is_for_the_whole_path(void **state)
{
	(void)state;
	assert_true(meets("/search/*", 0, "/search/code", "GET"));
	assert_true(meets("/search/*", 0, "/search/", "GET"));
	assert_true(meets("/search/*", 0, "/search/a/b", "GET"));
	assert_false(meets("/search/*", 0, "/search", "GET"));
	assert_false(meets("/search/*", 0, "/v1/search/", "GET"));
	assert_true(meets("*/search", 0, "/v1/search", "GET"));
	assert_true(meets("/v?/x", 0, "/v1/x", "GET"));
	assert_false(meets("/v?/x", 0, "/v12/x", "GET"));
	assert_false(meets("/Search", 0, "/search", "GET"));
	assert_true(meets("", 0, "/anything", "GET"));
}

static void what_was_not_seen_is_matched_by_no_rule_that_names_it(void **state)
{
	uint32_t post = weir_method_bit("POST", 4);

	(void)state;
	assert_false(meets("/search/*", 0, NULL, "GET"));
	assert_false(meets("*", 0, NULL, "GET"));
	assert_true(meets("", post, NULL, "POST"));
	assert_false(meets("", post, "/x", NULL));
	assert_false(meets("", post, "/x", "GET"));
	assert_false(meets("", post, "/x", "post"));
	assert_false(meets("/x", post, "/x", "BREW"));
}

static void a_rule_is_called_by_its_own_words(void **state)
{
	struct weir_narrow n = {.flags = WEIR_NARROW_IS, .path = "/search/*"};
	char name[WEIR_NARROW_NAME_MAX];

	(void)state;
	assert_int_equal(weir_narrow_name(&n, name), 9);
	assert_string_equal(name, "/search/*");
	n.methods = weir_method_bit("PUT", 3) | weir_method_bit("POST", 4);
	weir_narrow_name(&n, name);
	assert_string_equal(name, "POST,PUT/search/*");
	/* Damage: all methods there are, and a path without an end. */
	n.methods = UINT32_MAX;
	memset(n.path, 'x', sizeof n.path);
	size_t length = weir_narrow_name(&n, name);

	assert_int_equal(length, strlen(name));
	assert_true(strlen(name) < sizeof name);
	assert_false(weir_narrow_meets(&n, &(struct weir_asks){.path = "/", .path_bytes = 1, .method = 1}));
}

static void assert_path(const char *url, const char *path)
{
	size_t bytes;
	const char *text = weir_url_path_text(url, strlen(url), &bytes);

	assert_int_equal(bytes, strlen(path));
	assert_memory_equal(text, path, bytes);
}

static void the_path_of_a_url_is_without_its_query(void **state)
{
	(void)state;
	assert_path("https://api.example.org/search/x?q=1#f", "/search/x");
	assert_path("api.example.org/search/x?q=/y", "/search/x");
	assert_path("/search/x?q=http://a/b", "/search/x");
	assert_path("http://user:secret@h:80", "/");
	assert_path("http://h?x=/y", "/");
	assert_path("http://h#/y", "/");
	assert_path("", "/");
	assert_path("//x/y", "//x/y");
}

/* What a glob means, without going back: as many states as there are characters. */
static bool means(const char *pattern, const char *text, size_t n)
{
	bool at[600] = {true};
	size_t m = strlen(pattern);

	for (size_t p = 0; p < m && pattern[p] == '*'; p++)
		at[p + 1] = true;
	for (size_t t = 0; t < n; t++) {
		bool next[600] = {false};

		for (size_t p = 0; p < m; p++) {
			if (!at[p])
				continue;
			if (pattern[p] == '*')
				next[p] = true;
			else if (pattern[p] == '?' || pattern[p] == text[t])
				next[p + 1] = true;
		}
		for (size_t p = 0; p < m; p++)
			if (next[p] && pattern[p] == '*')
				next[p + 1] = true;
		memcpy(at, next, sizeof at);
	}
	return at[m];
}

static void globs_mean_what_a_slow_reading_of_them_says(void **state)
{
	static const char *const samples[] = {"/search/*", "*a*b*c*", "/v?/*/x", "aaaaaaaab", "/a/*b?*c", "**", "?", ""};
	struct fuzz f = {.state = 20, .samples = samples, .sample_count = 8, .alphabet = "ab/*?"};

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char *pattern = fuzz_text(&f), *text = fuzz_text(&f);
		size_t n = strlen(text);

		if (weir_glob(pattern, strlen(pattern), text, n) != means(pattern, text, n))
			fail_msg("\"%s\" and \"%s\"", pattern, text);
		free(pattern);
		free(text);
	}
}

/* The pieces lie in memory of exactly their size: a byte read beyond is seen by the address sanitizer. */
static void no_url_reads_beyond_itself(void **state)
{
	static const char *const samples[] = {"http://h/p?q#f", "/a/b?c", "://", "h/p", "http:///x", "x://y"};
	struct fuzz f = {.state = 4, .samples = samples, .sample_count = 6, .alphabet = ":/?#ab"};

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char *text = fuzz_text(&f), *exact;
		size_t n = strlen(text), bytes;
		const char *path;

		exact = malloc(n > 0 ? n : 1);
		memcpy(exact, text, n);
		path = weir_url_path_text(exact, n, &bytes);
		assert_true(bytes >= 1 && path[0] == '/');
		assert_null(memchr(path, '?', bytes));
		free(exact);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_glob_is_for_the_whole_path),
		cmocka_unit_test(what_was_not_seen_is_matched_by_no_rule_that_names_it),
		cmocka_unit_test(a_rule_is_called_by_its_own_words),
		cmocka_unit_test(the_path_of_a_url_is_without_its_query),
		cmocka_unit_test(globs_mean_what_a_slow_reading_of_them_says),
		cmocka_unit_test(no_url_reads_beyond_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
