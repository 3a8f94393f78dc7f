/* Libraries that a program loads while it runs: what they ask is seen however they were loaded, and they are found where they
 * would have been. */
#include "tests/harness/harness.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/host_program.h"

/* Connects by itself, and answers 0. */
static const char connecting[] = "#include <arpa/inet.h>\n"
				 "#include <stdlib.h>\n"
				 "#include <unistd.h>\n"
				 "int ask(const char *port) {\n"
				 "	struct sockaddr_in to = {AF_INET, htons(atoi(port)), {htonl(INADDR_LOOPBACK)}};\n"
				 "	int fd = socket(AF_INET, SOCK_STREAM, 0);\n"
				 "	int answer = connect(fd, (struct sockaddr *)&to, sizeof to);\n"
				 "	close(fd);\n"
				 "	return answer;\n"
				 "}\n";

/* Transfers by libcurl, without its headers. */
static const char transferring[] =
	"#include <stdio.h>\n"
	"void *curl_easy_init(void);\n"
	"int curl_easy_setopt(void *, int, ...);\n"
	"int curl_easy_perform(void *);\n"
	"void curl_easy_cleanup(void *);\n"
	"static unsigned long drop(char *d, unsigned long a, unsigned long b, void *u) { return a * b; }\n"
	"int ask(const char *port) {\n"
	"	char url[64];\n"
	"	void *h = curl_easy_init();\n"
	"	snprintf(url, sizeof url, \"http://127.0.0.1:%s/n/1\", port);\n"
	"	curl_easy_setopt(h, 10002, url);\n"
	"	curl_easy_setopt(h, 20011, drop);\n"
	"	int code = curl_easy_perform(h);\n"
	"	curl_easy_cleanup(h);\n"
	"	return code;\n"
	"}\n";

/* Asks nobody. `who` is said by itself and by another library. */
static const char own_symbols[] = "int who(void) { return 2; }\n"
				  "int ask(const char *port) { return who(); }\n";
static const char others_symbols[] = "int who(void) { return 1; }\n";

/* Loads another one, which lies where its own RUNPATH says and nowhere else. */
static const char loading[] = "#include <dlfcn.h>\n"
			      "int ask(const char *mode) {\n"
			      "	void *h = dlopen(\"libweir_test_inner.so\", RTLD_NOW | (mode[0] == 'd' ? RTLD_DEEPBIND : 0));\n"
			      "	return h ? 0 : 1;\n"
			      "}\n";

/* argv: library, argument, mode, expected answer: loads it, and asks three times. */
static int load_and_ask(int argc, char **argv)
{
	char *library = strdup(argv[0]), *argument = strtok(argv[1], ",");
	int mode = RTLD_NOW | (strcmp(strtok(NULL, ","), "deep") == 0 ? RTLD_DEEPBIND : 0), expected = atoi(strtok(NULL, ","));
	int (*ask)(const char *);
	void *handle;

	(void)argc;
	handle = dlopen(library, mode);
	if (!handle)
		fprintf(stderr, "%s\n", dlerror());
	PART_CHECK(handle);
	*(void **)&ask = dlsym(handle, "ask");
	for (int i = 0; i < 3; i++)
		PART_CHECK(ask(argument) == expected);
	free(library);
	return 0;
}

/* The same behind a library that has `who` too, for everybody. */
static int load_behind_another(int argc, char **argv)
{
	char path[600];

	snprintf(path, sizeof path, "%s.other", argv[0]);
	PART_CHECK(dlopen(path, RTLD_NOW | RTLD_GLOBAL));
	return load_and_ask(argc, argv);
}

static const struct host_part parts[] = {{"load_and_ask", load_and_ask}, {"load_behind_another", load_behind_another}};

/* AddressSanitizer's dlopen refuses RTLD_DEEPBIND, and asks in its own name. */
static bool is_sanitized(void)
{
	return getenv("WEIR_TEST_PRELOAD_BEFORE") != NULL;
}

/* The library's path, to be freed; NULL when this machine cannot build it. */
static char *library(const struct scene *scene, const char *name, const char *source, const char *options)
{
	char *file = write_file(scene->dir, "library.c", source), *path = path_in(scene->dir, name);
	char shell[2000];
	struct outcome o;
	bool built;

	snprintf(shell, sizeof shell, "cc -w -O1 -fPIC -shared -o %s %s %s", path, file, options);
	o = command_run(&(struct command){.shell = shell});
	built = o.exit_status == 0;
	outcome_free(&o);
	free(file);
	if (!built) {
		free(path);
		return NULL;
	}
	return path;
}

static void expect_asked(void **state, const char *source, const char *options, uint64_t admitted)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char *path = is_sanitized() ? NULL : library(scene, "library.so", source, options), argument[64], key[64];

	if (!path)
		skip();
	snprintf(argument, sizeof argument, "%d,deep,0", server->http_port);
	expect_part(scene, "load_and_ask", path, argument);
	assert_int_equal(counts_of(scene, host_port_of(key, "127.0.0.1", server->http_port)).admitted, admitted);
	free(path);
}

static void what_a_deeply_bound_library_connects_is_counted(void **state)
{
	expect_asked(state, connecting, "", 3);
}

static void what_a_deeply_bound_library_transfers_is_counted(void **state)
{
	expect_asked(state, transferring, "-l:libcurl.so.4", 3);
}

static void a_library_that_asks_nobody_stays_deeply_bound(void **state)
{
	struct scene *scene = *state;
	char *other = is_sanitized() ? NULL : library(scene, "library.so.other", others_symbols, "");
	char *path = other ? library(scene, "library.so", own_symbols, "") : NULL;
	char deep[] = "x,deep,2", flat[] = "x,flat,1";

	if (!path)
		skip();
	expect_part(scene, "load_behind_another", path, deep);
	expect_part(scene, "load_behind_another", path, flat);
	free(path);
	free(other);
}

static void a_library_is_searched_where_the_one_that_loads_it_says(void **state)
{
	struct scene *scene = *state;
	char *inner, *outer;
	char deep[] = "deep,flat,0", flat[] = "flat,flat,0";

	if (is_sanitized())
		skip();
	free(make_dir(scene->dir, "inner"));
	inner = library(scene, "inner/libweir_test_inner.so", others_symbols, "");
	outer = inner ? library(scene, "outer.so", loading, "-Wl,-rpath,'$ORIGIN/inner'") : NULL;
	if (!outer)
		skip();
	expect_part(scene, "load_and_ask", outer, flat);
	expect_part(scene, "load_and_ask", outer, deep);
	free(outer);
	free(inner);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SCENE(what_a_deeply_bound_library_connects_is_counted),
		SCENE(what_a_deeply_bound_library_transfers_is_counted),
		SCENE(a_library_that_asks_nobody_stays_deeply_bound),
		SCENE(a_library_is_searched_where_the_one_that_loads_it_says),
	};
	int status = host_part_run(argc, argv, parts, sizeof parts / sizeof parts[0]);

	return status >= 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
