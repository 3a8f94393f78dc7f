/* The first message of TLS: names and protocols, from a hello that is whole, cut, in several records, or damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fuzz.h"
#include "weir/wire.h"

struct bytes {
	uint8_t at[2000];
	size_t n;
};

static void add(struct bytes *b, const void *bytes, size_t n)
{
	memcpy(b->at + b->n, bytes, n);
	b->n += n;
}

static void add_number(struct bytes *b, size_t value, unsigned bytes)
{
	while (bytes-- > 0)
		b->at[b->n++] = (uint8_t)(value >> (8 * bytes));
}

/* Behind its length in `bytes` bytes. */
static void add_sized(struct bytes *b, unsigned bytes, const struct bytes *inner)
{
	add_number(b, inner->n, bytes);
	add(b, inner->at, inner->n);
}

static void add_name(struct bytes *extensions, const char *name)
{
	struct bytes entry = {.n = 0}, list = {.n = 0};

	add_number(&entry, 0, 1);
	add_number(&entry, strlen(name), 2);
	add(&entry, name, strlen(name));
	add_sized(&list, 2, &entry);
	add_number(extensions, 0, 2);
	add_sized(extensions, 2, &list);
}

static void add_protocols(struct bytes *extensions, const char *const *names)
{
	struct bytes entries = {.n = 0}, list = {.n = 0};

	for (; *names; names++) {
		add_number(&entries, strlen(*names), 1);
		add(&entries, *names, strlen(*names));
	}
	add_sized(&list, 2, &entries);
	add_number(extensions, 16, 2);
	add_sized(extensions, 2, &list);
}

/* In records of at most `record` bytes. */
static struct bytes hello(const char *name, const char *const *protocols, size_t record)
{
	static const uint8_t session[32], suites[] = {0x13, 1, 0x13, 2};
	struct bytes body = {.n = 0}, extensions = {.n = 0}, message = {.n = 0}, out = {.n = 0};

	add_number(&body, 0x0303, 2);
	for (unsigned i = 0; i < 32; i++)
		add_number(&body, i, 1);
	add_number(&body, sizeof session, 1);
	add(&body, session, sizeof session);
	add_number(&body, sizeof suites, 2);
	add(&body, suites, sizeof suites);
	add_number(&body, 1, 1);
	add_number(&body, 0, 1);
	add_number(&extensions, 43, 2); /* supported versions: not looked at */
	add_number(&extensions, 3, 2);
	add(&extensions, "\x02\x03\x04", 3);
	if (protocols)
		add_protocols(&extensions, protocols);
	if (name)
		add_name(&extensions, name);
	add_sized(&body, 2, &extensions);
	add_number(&message, 1, 1);
	add_sized(&message, 3, &body);
	for (size_t at = 0; at < message.n; at += record) {
		size_t n = message.n - at < record ? message.n - at : record;

		add(&out, "\x16\x03\x01", 3);
		add_number(&out, n, 2);
		add(&out, message.at + at, n);
	}
	return out;
}

static void a_hello_tells_name_protocols_and_random(void **state)
{
	static const char *const both[] = {"h2", "http/1.1", NULL}, *const one[] = {"http/1.1", NULL},
				 *const dot[] = {"dot", NULL};
	static const struct {
		const char *name;
		const char *const *protocols;
		const char *expected;
		bool h2, http1, other;
	} cases[] = {
		{"Example.ORG", both, "example.org", true, true, false},
		{"xn--bcher-kva.example", one, "xn--bcher-kva.example", false, true, false},
		{NULL, NULL, "", false, false, false},
		{"a", dot, "a", false, false, true},
		{"bad name", one, "", false, true, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		for (size_t record = 1; record < 400; record += 13) {
			struct bytes b = hello(cases[i].name, cases[i].protocols, record);
			struct weir_hello h;

			assert_true(weir_hello_read(b.at, b.n, &h));
			assert_string_equal(h.server_name, cases[i].expected);
			assert_int_equal(h.offers_h2, cases[i].h2);
			assert_int_equal(h.offers_http1, cases[i].http1);
			assert_int_equal(h.offers_other, cases[i].other);
			for (unsigned n = 0; n < 32; n++)
				assert_int_equal(h.random[n], n);
		}
	}
}

static void a_hello_that_is_cut_off_is_none(void **state)
{
	struct bytes b = hello("example.org", NULL, 4000);
	struct weir_hello h;

	(void)state;
	for (size_t n = 0; n < b.n; n++) {
		uint8_t *exact = malloc(n ? n : 1);

		memcpy(exact, b.at, n);
		assert_false(weir_hello_read(exact, n, &h));
		assert_int_equal(h.server_name[0], 0);
		free(exact);
	}
	assert_false(weir_hello_read("GET / HTTP/1.1\r\n\r\n", 18, &h));
}

static void a_name_that_is_too_long_is_left_out(void **state)
{
	char name[400];
	struct bytes b;
	struct weir_hello h;

	(void)state;
	memset(name, 'a', sizeof name);
	name[WEIR_SERVER_NAME_MAX - 1] = '\0';
	b = hello(name, NULL, 4000);
	assert_true(weir_hello_read(b.at, b.n, &h));
	assert_string_equal(h.server_name, name);
	name[WEIR_SERVER_NAME_MAX - 1] = 'a';
	name[WEIR_SERVER_NAME_MAX] = '\0';
	b = hello(name, NULL, 4000);
	assert_true(weir_hello_read(b.at, b.n, &h));
	assert_string_equal(h.server_name, "");
}

/* Whatever the bytes are, nothing beyond them is read (the sanitizers look) and the name is terminated. */
static void damaged_hellos_do_no_harm(void **state)
{
	static const char *const protocols[] = {"h2", "http/1.1", NULL};
	struct fuzz f = {1, NULL, 0, "x"};

	(void)state;
	for (int i = 0; i < 100000; i++) {
		struct bytes b = hello("example.org", protocols, 20 + fuzz_below(&f, 300));
		size_t n = fuzz_below(&f, 4) == 0 ? fuzz_below(&f, b.n) : b.n;
		uint8_t *exact = malloc(n ? n : 1);
		struct weir_hello h;

		memcpy(exact, b.at, n);
		for (size_t changes = fuzz_below(&f, 5); n > 0 && changes > 0; changes--)
			exact[fuzz_below(&f, n)] = (uint8_t)fuzz_next(&f);
		if (!weir_hello_read(exact, n, &h))
			assert_int_equal(h.server_name[0], 0);
		assert_non_null(memchr(h.server_name, 0, sizeof h.server_name));
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hello_tells_name_protocols_and_random),
		cmocka_unit_test(a_hello_that_is_cut_off_is_none),
		cmocka_unit_test(a_name_that_is_too_long_is_left_out),
		cmocka_unit_test(damaged_hellos_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
