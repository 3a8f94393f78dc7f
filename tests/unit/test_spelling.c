/* A host's name is spelled in one way everywhere, no two alike, and what is shown can be asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/agent/host_name.h"
#include "src/stats/spelling.h"
#include "tests/unit/fuzz.h"

static void names_are_spelled_so_that_they_can_be_typed(void **state)
{
	static const struct {
		const char *name, *spelled;
	} cases[] = {
		{"api.example.org:443", "api.example.org:443"},
		{"::1:80", "::1:80"},
		{"a\x01:80", "a\\x01:80"},
		{"a\x02:80", "a\\x02:80"},
		{"a?:80", "a?:80"},
		{"b\xc3\xbc.example:80", "b\\xc3\\xbc.example:80"},
		{"c1\xc2\x9b:80", "c1\\xc2\\x9b:80"},
		{"q\"\\ :80", "q\\x22\\x5c\\x20:80"},
	};
	char spelled[WEIR_SPELLING_MAX], back[WEIR_KEY_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(weir_spell(cases[i].name, spelled), strlen(cases[i].spelled));
		assert_string_equal(spelled, cases[i].spelled);
		assert_null(weir_host_name(spelled, back));
		assert_string_equal(back, cases[i].name);
	}
	assert_non_null(weir_host_name("a\\b:80", back));
	assert_non_null(weir_host_name("a\\x0", back));
	assert_non_null(weir_host_name("a\\x00b", back));
	assert_non_null(weir_host_name("a b", back));
}

static void whatever_a_name_holds_it_comes_back(void **state)
{
	struct fuzz f = {1, NULL, 0, "x"};
	char name[WEIR_KEY_MAX], spelled[WEIR_SPELLING_MAX];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		size_t n = fuzz_below(&f, sizeof name);

		for (size_t at = 0; at < n; at++)
			name[at] = (char)(1 + fuzz_below(&f, 255));
		name[n] = '\0';
		weir_spell(name, spelled);
		for (const char *c = spelled; *c; c++)
			assert_true(*c > ' ' && *c < 0x7f && *c != '"');
		assert_true(weir_unspell(spelled));
		assert_string_equal(spelled, name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_spelled_so_that_they_can_be_typed),
		cmocka_unit_test(whatever_a_name_holds_it_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
