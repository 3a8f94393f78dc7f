/* SPDX-License-Identifier: MIT */
/* The short way to what lies behind the library says what dlsym says, or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <link.h>

#include "src/preload/core/next_symbol.c"

static const char *const *names;
static void *functions[16];

static const char *name_of(size_t i)
{
	return names[i];
}

static void take(size_t i, void *function)
{
	assert_null(functions[i]);
	functions[i] = function;
}

static void look(const char *const *these, struct weir_wanted *wanted, size_t n)
{
	names = these;
	memset(functions, 0, sizeof functions);
	for (size_t i = 0; i < n; i++)
		wanted[i] = (struct weir_wanted){weir_symbol_hash(these[i]), (uint16_t)i, WEIR_MISSING};
	weir_next_symbols(_r_debug.r_map, wanted, n, name_of, take);
}

static void plain_functions_are_what_dlsym_says(void **state)
{
	static const char *const some[] = {"connect", "close",     "getaddrinfo", "execve",         "setuid", "send",
					   "recvmsg", "epoll_ctl", "posix_spawn", "pthread_create", "prctl",  "read"};
	struct weir_wanted wanted[12];

	(void)state;
	look(some, wanted, 12);
	for (size_t i = 0; i < 12; i++) {
		assert_int_equal(wanted[i].found, WEIR_FOUND);
		assert_ptr_equal(functions[i], dlsym(RTLD_NEXT, some[i]));
	}
}

/* glibc has several of these: what a program linked today gets is the default one. */
static void of_several_versions_it_is_the_default_one(void **state)
{
	static const char *const some[] = {"posix_spawnp", "regexec", "pthread_cond_wait", "sched_setaffinity"};
	struct weir_wanted wanted[4];

	(void)state;
	look(some, wanted, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(wanted[i].found, WEIR_FOUND);
		assert_ptr_equal(functions[i], dlsym(RTLD_NEXT, some[i]));
	}
}

/* AddressSanitizer has a strlen of its own, and is for x86-64 here. */
#ifdef __x86_64__
#define CHOSEN_AT_BINDING "rawmemchr"
#else
#define CHOSEN_AT_BINDING "strlen"
#endif

static void what_is_no_plain_function_is_left_to_dlsym(void **state)
{
	static const char *const some[] = {CHOSEN_AT_BINDING, "environ", "stdout", "no_library_has_this_name"};
	struct weir_wanted wanted[4];

	(void)state;
	look(some, wanted, 4);
	assert_int_equal(wanted[0].found, WEIR_UNCLEAR); /* by the processor */
	assert_int_equal(wanted[1].found, WEIR_UNCLEAR);
	assert_int_equal(wanted[2].found, WEIR_UNCLEAR);
	assert_int_equal(wanted[3].found, WEIR_MISSING);
	for (size_t i = 0; i < 4; i++)
		assert_null(functions[i]);
}

/* The list ends with the last object: nothing lies behind it, and nothing of what is before it is found. */
static void only_what_lies_behind_is_looked_at(void **state)
{
	static const char *const some[] = {"connect"};
	const struct link_map *last = _r_debug.r_map;
	struct weir_wanted wanted[1];

	(void)state;
	while (last->l_next)
		last = last->l_next;
	names = some;
	wanted[0] = (struct weir_wanted){weir_symbol_hash(some[0]), 0, WEIR_MISSING};
	weir_next_symbols(last, wanted, 1, name_of, take);
	assert_int_equal(wanted[0].found, WEIR_MISSING);
	weir_next_symbols(NULL, wanted, 1, name_of, take);
	assert_int_equal(wanted[0].found, WEIR_MISSING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_functions_are_what_dlsym_says),
		cmocka_unit_test(of_several_versions_it_is_the_default_one),
		cmocka_unit_test(what_is_no_plain_function_is_left_to_dlsym),
		cmocka_unit_test(only_what_lies_behind_is_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
