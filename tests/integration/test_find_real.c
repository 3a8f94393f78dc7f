/* Which libcurl a call goes to: the one that its caller is bound to, also where there are two, and where one comes and goes. */
#include "tests/harness/harness.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include "tests/harness/environment.h"
#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/host_program.h"

/* A plugin that uses libcurl, to be built against either flavour of it. The functions that end in a call jump to it, and leave no
 * return address of their own. */
static const char plugin_source[] =
	"typedef void CURL;\n"
	"CURL *curl_easy_init(void);\n"
	"int curl_easy_setopt(CURL *, int, ...);\n"
	"int curl_easy_perform(CURL *);\n"
	"void curl_easy_cleanup(CURL *);\n"
	"int curl_easy_getinfo(CURL *, int, ...);\n"
	"char *curl_version(void);\n"
	"static unsigned long drop(char *d, unsigned long a, unsigned long b, void *u) { return a * b; }\n"
	"CURL *make(void) { return curl_easy_init(); }\n"
	"int perform(CURL *h) { return curl_easy_perform(h); }\n"
	"const char *flavour(void) { return curl_version(); }\n"
	"static int get_with(CURL *h, const char *url, int (*go)(CURL *)) {\n"
	"	long status = 0;\n"
	"	curl_easy_setopt(h, 10002, url);\n"
	"	curl_easy_setopt(h, 20011, drop);\n"
	"	int code = go(h);\n"
	"	curl_easy_getinfo(h, 0x200002, &status);\n"
	"	curl_easy_cleanup(h);\n"
	"	return code != 0 ? -code : (int)status;\n"
	"}\n"
	"int get(const char *url) { CURL *h = curl_easy_init(); return get_with(h, url, curl_easy_perform); }\n"
	"int get_by_jumps(const char *url) { return get_with(make(), url, perform); }\n";

struct plugin {
	void *handle;
	int (*get)(const char *url);
	int (*get_by_jumps)(const char *url);
	const char *(*flavour)(void);
};

static int load(struct plugin *p, const char *path)
{
	p->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!p->handle) {
		fprintf(stderr, "%s\n", dlerror());
		return 0;
	}
	*(void **)&p->get = dlsym(p->handle, "get");
	*(void **)&p->get_by_jumps = dlsym(p->handle, "get_by_jumps");
	*(void **)&p->flavour = dlsym(p->handle, "flavour");
	return p->get && p->get_by_jumps && p->flavour;
}

/* argv: directory of the plugins, URL. This program is bound to the OpenSSL flavour, as is one of them. */
static int both_flavours(int argc, char **argv)
{
	char path[600];
	struct plugin openssl, gnutls;
	CURL *own = curl_easy_init();

	(void)argc;
	snprintf(path, sizeof path, "%s/openssl.so", argv[0]);
	PART_CHECK(load(&openssl, path));
	snprintf(path, sizeof path, "%s/gnutls.so", argv[0]);
	PART_CHECK(load(&gnutls, path));
	PART_CHECK(strstr(openssl.flavour(), "OpenSSL"));
	PART_CHECK(strstr(gnutls.flavour(), "GnuTLS"));
	for (int i = 0; i < 5; i++) {
		PART_CHECK(openssl.get(argv[1]) == 200);
		PART_CHECK(gnutls.get(argv[1]) == 200);
	}
	curl_easy_setopt(own, CURLOPT_URL, argv[1]);
	curl_easy_setopt(own, CURLOPT_NOBODY, 1L);
	PART_CHECK(curl_easy_perform(own) == CURLE_OK);
	curl_easy_cleanup(own);
	return 0;
}

/* As servers do that load their modules anew. */
static int comes_and_goes(int argc, char **argv)
{
	static const char *const names[] = {"gnutls", "openssl"};
	char path[600];
	struct plugin p;

	(void)argc;
	for (int i = 0; i < 100; i++) {
		snprintf(path, sizeof path, "%s/%s.so", argv[0], names[i % 3 == 1]);
		PART_CHECK(load(&p, path));
		PART_CHECK(p.get(argv[1]) == 200);
		PART_CHECK(dlclose(p.handle) == 0);
	}
	return 0;
}

static const struct host_part parts[] = {{"both_flavours", both_flavours}, {"comes_and_goes", comes_and_goes}};

/* False when this machine has no compiler or not both flavours. */
static bool build(const char *dir, const char *name, const char *library)
{
	char *source = write_file(dir, "plugin.c", plugin_source);
	char shell[1500];
	struct outcome o;
	bool built;

	snprintf(shell, sizeof shell, "cc -w -O2 -fPIC -shared -o %s/%s %s -l:%s", dir, name, source, library);
	o = command_run(&(struct command){.shell = shell});
	built = o.exit_status == 0;
	outcome_free(&o);
	free(source);
	return built;
}

static void run_with_plugins(void **state, const char *part, uint64_t requests)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char key[64];

	if (!build(scene->dir, "openssl.so", "libcurl.so.4") || !build(scene->dir, "gnutls.so", "libcurl-gnutls.so.4"))
		skip();
	expect_part(scene, part, scene->dir, quotad_url(server, "/n/1"));
	assert_int_equal(counts_of(scene, host_port_of(key, "127.0.0.1", server->http_port)).succeeded, requests);
}

static void two_libcurls_in_one_process_get_their_own_functions(void **state)
{
	run_with_plugins(state, "both_flavours", 11);
}

static void a_libcurl_that_is_unloaded_is_not_called_again(void **state)
{
	run_with_plugins(state, "comes_and_goes", 100);
}

/* libcurl is loaded privately by a plugin and is nowhere else: RTLD_NEXT finds nothing. */
static void a_private_libcurl_is_found_even_when_the_call_was_a_jump(void **state)
{
	static const char script[] = "import ctypes, sys\n"
				     "p = ctypes.CDLL(sys.argv[1] + '/gnutls.so')\n"
				     "print(p.get_by_jumps(sys.argv[2].encode()), p.get(sys.argv[2].encode()))\n";
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	const char *argv[] = {"/usr/bin/python3", "-c", script, scene->dir, quotad_url(server, "/n/1"), NULL};
	struct outcome o;
	char key[64];

	if (!build(scene->dir, "gnutls.so", "libcurl-gnutls.so.4") || access(argv[0], X_OK) != 0)
		skip();
	o = command_run(&(struct command){.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir});
	assert_string_equal(o.out, "200 200\n");
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	assert_int_equal(counts_of(scene, host_port_of(key, "127.0.0.1", server->http_port)).succeeded, 2);
}

#define PYCURL                                                                                                                   \
	"import pycurl, sys\n"                                                                                                   \
	"from io import BytesIO\n"                                                                                               \
	"print('GnuTLS' in pycurl.version)\n"                                                                                    \
	"for i in range(3):\n"                                                                                                   \
	"    b = BytesIO(); c = pycurl.Curl()\n"                                                                                 \
	"    c.setopt(c.URL, sys.argv[1]); c.setopt(c.WRITEDATA, b); c.setopt(c.TIMEOUT, 10)\n"                                  \
	"    d = c.duphandle(); d.perform(); d.reset()\n"                                                                        \
	"    c.perform(); print(c.getinfo(c.RESPONSE_CODE), b.getvalue()); c.close(); d.close()\n"

static bool has_pycurl(void)
{
	struct outcome o = command_run(&(struct command){.shell = "/usr/bin/python3 -c 'import pycurl'"});
	bool has = o.exit_status == 0;

	outcome_free(&o);
	return has;
}

static void pycurl_does_what_it_does_without_weir(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	const char *argv[] = {"/usr/bin/python3", "-c", PYCURL, quotad_url(server, "/n/1"), NULL};
	struct command c = {.argv = argv, .dir = scene->dir};
	char key[64];

	if (!has_pycurl())
		skip();
	assert_same_with_and_without_weir(&c, SAME_OUTPUT_AND_ERRORS);
	assert_int_equal(counts_of(scene, host_port_of(key, "127.0.0.1", server->http_port)).succeeded, 6);
}

/* The OpenSSL flavour stands where RTLD_NEXT looks, and pycurl's handles must not go there. */
static void a_libcurl_in_front_does_not_get_the_handles_of_another(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	const char *argv[] = {"/usr/bin/python3", "-c", PYCURL, quotad_url(server, "/n/1"), NULL};
	char *library = build_path("libweir.so"), preload[600];
	const char *env[] = {preload, NULL};
	struct outcome o;

	if (!has_pycurl() || getenv("WEIR_TEST_PRELOAD_BEFORE"))
		skip();
	snprintf(preload, sizeof preload, "LD_PRELOAD=%s libcurl.so.4", library);
	o = command_run(&(struct command){.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .env = env});
	assert_int_equal(o.signal, 0);
	assert_int_equal(o.exit_status, 0);
	assert_non_null(strstr(o.out, "200 b'1\\n1\\n'"));
	outcome_free(&o);
	free(library);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SCENE(two_libcurls_in_one_process_get_their_own_functions),
		SCENE(a_libcurl_that_is_unloaded_is_not_called_again),
		SCENE(a_private_libcurl_is_found_even_when_the_call_was_a_jump),
		SCENE(pycurl_does_what_it_does_without_weir),
		SCENE(a_libcurl_in_front_does_not_get_the_handles_of_another),
	};
	int status = host_part_run(argc, argv, parts, sizeof parts / sizeof parts[0]);

	return status >= 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
