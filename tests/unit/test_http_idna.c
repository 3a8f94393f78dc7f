/* SPDX-License-Identifier: MIT */
/* International names have one form, in ASCII. */
#include "weir/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fuzz.h"

static void international_labels_are_written_in_punycode(void **state)
{
	static const struct {
		const char *name, *ascii;
	} cases[] = {
		{"example.org", "example.org"},
		{"Example.ORG:443", "example.org:443"},
		{"*.example.org", "*.example.org"},
		{u8"b\u00fccher.example", "xn--bcher-kva.example"},
		{u8"b\u00fccher:8080", "xn--bcher-kva:8080"},
		{u8"www.m\u00fcnchen.de", "www.xn--mnchen-3ya.de"},
		{u8"*.m\u00fcnchen.de", "*.xn--mnchen-3ya.de"},
		{u8"\u00fc.a..\u00fc", "xn--tda.a..xn--tda"},
		{u8"fa\u00df.de", "xn--fa-hia.de"},
		{u8"\u4f8b\u3048", "xn--r8jz45g"},
		{u8"\u65e5\u672c\u8a9e-123", "xn---123-f79hm9d2w6i"},
		{u8"z\U0001f600z", "xn--zz-no82a"},
		{u8"\U00010348x", "xn--x-vf2i"},
		/* RFC 3492, 7.1: (A) Arabic, (B) Chinese, (I) Russian without its capital, (J) Spanish, (K) Vietnamese */
		{u8"\u0644\u064a\u0647\u0645\u0627\u0628\u062a\u0643\u0644\u0645\u0648\u0634\u0639\u0631\u0628\u064a\u061f",
		 "xn--egbpdaj6bu4bxfgehfvwxn"},
		{u8"\u4ed6\u4eec\u4e3a\u4ec0\u4e48\u4e0d\u8bf4\u4e2d\u6587", "xn--ihqwcrb4cv8a8dqg056pqjye"},
		{u8"\u043f\u043e\u0447\u0435\u043c\u0443\u0436\u0435\u043e\u043d\u0438\u043d\u0435\u0433\u043e\u0432\u043e\u0440"
		 u8"\u044f\u0442\u043f\u043e\u0440\u0443\u0441\u0441\u043a\u0438",
		 "xn--b1abfaaepdrnnbgefbadotcwatmq2g4l"},
		{u8"Porqu\u00e9nopuedensimplementehablarenEspa\u00f1ol", "xn--porqunopuedensimplementehablarenespaol-fmd56a"},
		{u8"T\u1ea1isaoh\u1ecdkh\u00f4ngth\u1ec3ch\u1ec9n\u00f3iti\u1ebfngVi\u1ec7t",
		 "xn--tisaohkhngthchnitingvit-kjcr8268qyxafd2f1b9g"},
	};
	char ascii[WEIR_HOST_PORT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_true(weir_idna(cases[i].name, strlen(cases[i].name), ascii, sizeof ascii));
		assert_string_equal(ascii, cases[i].ascii);
	}
}

static void capital_letters_are_lowered_first(void **state)
{
	static const char *const pairs[][2] = {
		{u8"B\u00dcCHER.example", u8"b\u00fccher.example"},
		{u8"\u0413\u0410\u0417\u041f\u0420\u041e\u041c", u8"\u0433\u0430\u0437\u043f\u0440\u043e\u043c"},
		{u8"\u03a0\u0391\u03a1\u0386", u8"\u03c0\u03b1\u03c1\u03ac"},
		{u8"\u0141\u00d3D\u0179", u8"\u0142\u00f3d\u017a"},
		{u8"\u1ec6\u01af\u01a0", u8"\u1ec7\u01b0\u01a1"},
		{u8"\u0178\u0147", u8"\u00ff\u0148"},
	};
	char a[WEIR_HOST_PORT_MAX], b[WEIR_HOST_PORT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		assert_true(weir_idna(pairs[i][0], strlen(pairs[i][0]), a, sizeof a));
		assert_true(weir_idna(pairs[i][1], strlen(pairs[i][1]), b, sizeof b));
		assert_string_equal(a, b);
	}
}

static void what_has_no_such_form_is_refused(void **state)
{
	/* Stray and missing continuations, overlong forms, a surrogate, beyond Unicode. */
	static const char *const bad[] = {"",
					  "b\xfc\x63her",
					  "\xbc",
					  "a\xc3",
					  "\xc0\xaf",
					  "\xe0\x80\xaf",
					  "\xf0\x80\x80\xaf",
					  "\xed\xa0\x80",
					  "\xf4\x90\x80\x80",
					  "\xff.org"};
	char long_label[256] = "", ascii[WEIR_HOST_PORT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		strcpy(ascii, "x");
		assert_false(weir_idna(bad[i], strlen(bad[i]), ascii, sizeof ascii));
		assert_string_equal(ascii, "");
	}
	for (int i = 0; i < 58; i++)
		strcat(long_label, i == 0 ? u8"\u00fc" : "a");
	assert_false(weir_idna(long_label, strlen(long_label), ascii, sizeof ascii));
	assert_true(weir_idna(long_label, strlen(long_label) - 8, ascii, sizeof ascii));
	assert_false(weir_idna(u8"\u00fc", 2, ascii, strlen("xn--tda")));
	assert_true(weir_idna(u8"\u00fc", 2, ascii, sizeof "xn--tda"));
}

/* And nothing is written beyond what was given. */
static void whatever_comes_the_answer_is_ascii_or_none(void **state)
{
	struct fuzz f = {1, NULL, 0, "x"};

	(void)state;
	for (int i = 0; i < 50000; i++) {
		size_t n = fuzz_below(&f, 80), size = 1 + fuzz_below(&f, 90);
		char name[80], *out = malloc(size), again[WEIR_HOST_PORT_MAX];

		for (size_t at = 0; at < n; at++)
			name[at] =
				fuzz_below(&f, 3) ? "abz.:*"[fuzz_below(&f, 6)] : "\xc3\xbc\xe4\xbe\x8b\xf0"[fuzz_below(&f, 6)];
		if (weir_idna(name, n, out, size)) {
			for (const char *c = out; *c != '\0'; c++)
				assert_true((unsigned char)*c < 0x80);
			assert_true(weir_idna(out, strlen(out), again, sizeof again));
			assert_string_equal(again, out);
		} else {
			assert_string_equal(out, "");
		}
		free(out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(international_labels_are_written_in_punycode),
		cmocka_unit_test(capital_letters_are_lowered_first),
		cmocka_unit_test(what_has_no_such_form_is_refused),
		cmocka_unit_test(whatever_comes_the_answer_is_ascii_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
