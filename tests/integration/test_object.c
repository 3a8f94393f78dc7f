/* libweir.so as a file: what it exports, what it needs, what it calls. */
#include "tests/harness/harness.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/environment.h"

static const char *const hooks[] = {
	"SSL_read",
	"SSL_read_ex",
	"SSL_write",
	"SSL_write_ex",
	"chroot",
	"close",
	"close_range",
	"closefrom",
	"connect",
	"curl_easy_cleanup",
	"curl_easy_duphandle",
	"curl_easy_getinfo",
	"curl_easy_init",
	"curl_easy_pause",
	"curl_easy_perform",
	"curl_easy_reset",
	"curl_easy_setopt",
	"curl_multi_add_handle",
	"curl_multi_cleanup",
	"curl_multi_info_read",
	"curl_multi_init",
	"curl_multi_perform",
	"curl_multi_poll",
	"curl_multi_remove_handle",
	"curl_multi_setopt",
	"curl_multi_socket",
	"curl_multi_socket_action",
	"curl_multi_socket_all",
	"curl_multi_timeout",
	"curl_multi_wait",
	"dlopen",
	"dup",
	"dup2",
	"dup3",
	"epoll_ctl",
	"epoll_pwait",
	"epoll_pwait2",
	"epoll_wait",
	"execl",
	"execle",
	"execlp",
	"execv",
	"execve",
	"execveat",
	"execvp",
	"execvpe",
	"fcntl",
	"fcntl64",
	"fexecve",
	"getaddrinfo",
	"gethostbyname",
	"gethostbyname2",
	"gethostbyname2_r",
	"gethostbyname_r",
	"getsockopt",
	"gnutls_record_recv",
	"gnutls_record_recv_seq",
	"gnutls_record_send",
	"gnutls_record_send2",
	"initgroups",
	"poll",
	"popen",
	"posix_spawn",
	"posix_spawnp",
	"ppoll",
	"prctl",
	"pselect",
	"read",
	"readv",
	"recv",
	"recvfrom",
	"recvmsg",
	"select",
	"send",
	"sendmsg",
	"sendto",
	"setegid",
	"seteuid",
	"setgid",
	"setgroups",
	"setregid",
	"setresgid",
	"setresuid",
	"setreuid",
	"setuid",
	"syscall",
	"system",
	"write",
	"writev",
};
#define HOOKS (sizeof hooks / sizeof hooks[0])

/* What a library in a stranger's process has no business with. */
static const char *const never_called[] = {
	"_exit",          "exit",           "quick_exit",
	"abort",          "__assert_fail",  "atexit",
	"on_exit",        "malloc",         "calloc",
	"realloc",        "free",           "pthread_create",
	"pthread_atfork", "fork",           "vfork",
	"system",         "printf",         "fprintf",
	"vfprintf",       "puts",           "fputs",
	"fopen",          "perror",         "signal",
	"sigaction",      "setenv",         "putenv",
	"unsetenv",       "setlocale",      "srand",
	"rand",           "setsockopt",     "__printf_chk",
	"__fprintf_chk",  "__vfprintf_chk", "stdout",
	"stderr",         "sleep",          "pthread_mutex_lock",
};

/* What the library imports. glibc 2.34 has all of it, and musl, but for what is marked weak: a program on either starts with the
 * library preloaded. Before a name is added here: is it in musl, and which GLIBC_ version has it (nm -D --undefined)? */
static const char *const imports[] = {
	"_r_debug",
	"__environ",
	"__errno_location",
	"__stack_chk_fail",
	"access",
	"clock_gettime",
	"dl_iterate_phdr",
	"dladdr1",
	"dlclose",
	"dlsym",
	"environ",
	"fallocate",
	"fchmod",
	"fcntl",
	"flock",
	"fstat",
	"getauxval",
	"getcwd",
	"geteuid",
	"getitimer",
	"getpid",
	"getrlimit",
	"gnu_get_libc_version",
	"in6addr_loopback",
	"inet_aton",
	"inet_ntop",
	"inet_pton",
	"kill",
	"link",
	"linkat",
	"lstat",
	"madvise",
	"memchr",
	"memcmp",
	"memcpy",
	"memmem",
	"memmove",
	"memrchr",
	"memset",
	"mkdir",
	"mmap",
	"munmap",
	"open",
	"posix_fallocate",
	"pthread_setcancelstate",
	"pthread_setcanceltype",
	"pthread_key_create",
	"pthread_setspecific",
	"read",
	"rmdir",
	"secure_getenv",
	"sigaddset",
	"sigemptyset",
	"sigismember",
	"stat",
	"strcasecmp",
	"strchr",
	"strcmp",
	"strcspn",
	"strlen",
	"strncasecmp",
	"strncmp",
	"strnlen",
	"strrchr",
	"strspn",
	"strstr",
	"syscall",
	"unlink",
};

/* What may be missing where the program runs. */
static const char *const weak_imports[] = {"_r_debug", "dladdr1", "gnu_get_libc_version"};

#define GLIBC_NEWEST 34 /* of GLIBC_2.x: since then one library has what libdl and libpthread had */

static char *readelf(const char *option)
{
	char *library = build_path("libweir.so");
	const char *argv[] = {"readelf", "-W", option, library, NULL};
	struct command c = {.argv = argv};
	struct outcome o = command_run(&c);
	char *text = strdup(o.out);

	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	free(library);
	return text;
}

/* A sanitizer's or gcov's run-time adds needs and symbols of its own. */
static void skip_when_instrumented(void)
{
	char *dynamic = readelf("--dynamic"), *symbols = readelf("--dyn-syms");
	bool instrumented = strstr(dynamic, "san.so") || strstr(symbols, "__asan") || strstr(symbols, "__tsan") ||
			    strstr(symbols, "__ubsan") || strstr(symbols, "gcov");

	free(dynamic);
	free(symbols);
	if (instrumented)
		skip();
}

/* The name in a line of --dyn-syms, without its version; *undefined says on which side of the library it is. */
static bool symbol_in(char *line, char name[128], bool *undefined)
{
	char type[32], bind[32], visibility[32], section[32];

	if (sscanf(line, " %*d: %*s %*s %31s %31s %31s %31s %127s", type, bind, visibility, section, name) != 5)
		return false;
	*undefined = strcmp(section, "UND") == 0;
	name[strcspn(name, "@")] = '\0';
	return strcmp(bind, "LOCAL") != 0;
}

static bool is_one_of(const char *name, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(list[i], name) == 0)
			return true;
	}
	return false;
}

static void libweir_exports_its_hooks_and_nothing_else(void **state)
{
	char *symbols, *rest, name[128];
	size_t exported = 0;
	bool undefined;

	(void)state;
	skip_when_instrumented();
	symbols = readelf("--dyn-syms");
	for (char *line = strtok_r(symbols, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (!symbol_in(line, name, &undefined) || undefined)
			continue;
		if (!is_one_of(name, hooks, HOOKS))
			fail_msg("%s is exported and is no hook", name);
		exported++;
	}
	assert_int_equal(exported, HOOKS);
	free(symbols);
}

static void libweir_needs_the_c_library_alone(void **state)
{
	char *dynamic, *rest;
	unsigned needed = 0;

	(void)state;
	skip_when_instrumented();
	dynamic = readelf("--dynamic");
	for (char *line = strtok_r(dynamic, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (!strstr(line, "(NEEDED)"))
			continue;
		if (!strstr(line, "[libc.so.6]") && !strstr(line, "[ld-linux"))
			fail_msg("it needs more than the C library: %s", line);
		needed++;
	}
	assert_in_range(needed, 1, 2);
	free(dynamic);
}

static void libweir_calls_nothing_that_could_end_or_change_its_host(void **state)
{
	char *symbols, *rest, name[128];
	bool undefined;

	(void)state;
	skip_when_instrumented();
	symbols = readelf("--dyn-syms");
	for (char *line = strtok_r(symbols, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (symbol_in(line, name, &undefined) && undefined &&
		    is_one_of(name, never_called, sizeof never_called / sizeof never_called[0]))
			fail_msg("it calls %s", name);
	}
	free(symbols);
}

static void libweir_imports_what_other_c_libraries_have(void **state)
{
	char *symbols, *rest, name[128];
	bool undefined;

	(void)state;
	skip_when_instrumented();
	symbols = readelf("--dyn-syms");
	for (char *line = strtok_r(symbols, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (!symbol_in(line, name, &undefined) || !undefined)
			continue;
		if (!is_one_of(name, imports, sizeof imports / sizeof imports[0]))
			fail_msg("%s is imported: see the comment over the list", name);
		if (is_one_of(name, weak_imports, sizeof weak_imports / sizeof weak_imports[0]) && !strstr(line, " WEAK "))
			fail_msg("%s is imported, but not weakly", name);
	}
	free(symbols);
}

/* A weak symbol does not make its version optional: the dynamic linker refuses the object, and the program with it. */
static void libweir_asks_for_no_newer_glibc_than_2_34(void **state)
{
	char *versions;

	(void)state;
	skip_when_instrumented();
	versions = readelf("--version-info");
	for (const char *at = versions; (at = strstr(at, "Name: GLIBC_")) != NULL; at++) {
		int major = 0, minor = 0;

		assert_int_equal(sscanf(at, "Name: GLIBC_%d.%d", &major, &minor), 2);
		if (major != 2 || minor > GLIBC_NEWEST)
			fail_msg("GLIBC_%d.%d is needed", major, minor);
	}
	free(versions);
}

static void libweir_is_hardened_and_needs_no_relocation_of_its_text(void **state)
{
	char *dynamic, *segments;

	(void)state;
	skip_when_instrumented();
	dynamic = readelf("--dynamic");
	segments = readelf("--segments");
	assert_null(strstr(dynamic, "TEXTREL"));
	assert_non_null(strstr(dynamic, "BIND_NOW"));
	assert_non_null(strstr(segments, "GNU_RELRO"));
	assert_null(strstr(segments, "RWE"));
	free(dynamic);
	free(segments);
}

/* The stack that a line of `objdump -d` takes; 0 when it takes none. */
static unsigned long stack_taken(const char *line)
{
	const char *at = strstr(line, "sub    $0x");
	char *end;
	unsigned long bytes;

	if (!at)
		return 0;
	bytes = strtoul(at + strlen("sub    $"), &end, 16);
	/* 128 bytes are taken back by subtracting -128, which is the shorter instruction. */
	return strncmp(end, ",%rsp", 5) == 0 && bytes < ULONG_MAX / 2 ? bytes : 0;
}

/* Arrays whose length the caller gives (arguments, an environment): they are probed page by page. */
static bool has_array_of_callers_length(const char *function)
{
	static const char *const names[] = {"<call_with>",   "<start_agent>",  "<execve>",  "<execv>",
					    "<execvp>",      "<execvpe>",      "<fexecve>", "<execveat>",
					    "<posix_spawn>", "<posix_spawnp>", "<system>",  "<popen>"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strstr(function, names[i]))
			return true;
	}
	return false;
}

/* What is inlined across files adds up; the compiler's warning has seen the files alone. */
static void no_frame_of_libweir_is_larger_than_a_kilobyte(void **state)
{
#ifdef __x86_64__
	char *library = build_path("libweir.so");
	const char *argv[] = {"objdump", "-d", library, NULL};
	struct command c = {.argv = argv};
	struct outcome o;
	char *rest, function[128] = "";
	unsigned frames = 0;

	(void)state;
	skip_when_instrumented();
	o = command_run(&c);
	assert_int_equal(o.exit_status, 0);
	for (char *line = strtok_r(o.out, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		unsigned long bytes = stack_taken(line);

		if (strstr(line, ">:"))
			snprintf(function, sizeof function, "%s", line);
		if (bytes > 1024 && !(bytes == 4096 && has_array_of_callers_length(function)))
			fail_msg("%s %lu bytes", function, bytes);
		frames += bytes != 0;
	}
	assert_true(frames > 50);
	outcome_free(&o);
	free(library);
#else
	(void)state;
	(void)stack_taken;
	skip();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(libweir_exports_its_hooks_and_nothing_else),
		cmocka_unit_test(libweir_needs_the_c_library_alone),
		cmocka_unit_test(libweir_calls_nothing_that_could_end_or_change_its_host),
		cmocka_unit_test(libweir_imports_what_other_c_libraries_have),
		cmocka_unit_test(libweir_asks_for_no_newer_glibc_than_2_34),
		cmocka_unit_test(libweir_is_hardened_and_needs_no_relocation_of_its_text),
		cmocka_unit_test(no_frame_of_libweir_is_larger_than_a_kilobyte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
