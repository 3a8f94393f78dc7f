/* SPDX-License-Identifier: MIT */
#include "weir/http.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include <cmocka.h>

#include "tests/unit/fuzz.h"

#define FUZZ_STEPS 250000

struct sample {
	const char *url;
	const char *expected; /* NULL: refused */
	bool own_way;         /* one of the deliberate differences from libcurl */
};

static const struct sample samples[] = {
	/* schemes and ports */
	{"http://example.org", "example.org:80", false},
	{"HTTP://Example.ORG:8080/x", "example.org:8080", false},
	{"https://example.org/x?y#z", "example.org:443", false},
	{"ftp://example.org", "example.org:21", false},
	{"FTPS://example.org", "example.org:990", false},
	{"ws://h", "h:80", false},
	{"wss://h", "h:443", false},
	{"gopher://h", "h:70", false},
	{"foo://h", "h:0", false},
	{"foo://h:1", "h:1", false},
	{"a-b+c.d://h:2/", "h:2", false},
	{"http://h:/", "h:80", false},
	{"http://h:080/", "h:80", false},
	{"http://h:65535", "h:65535", false},
	{"http://h:65536", NULL, false},
	{"http://h:99999999999999999999", NULL, false},
	{"http://h:0/", NULL, true},
	{"http://h:8x/", NULL, false},
	{"http://h:-1/", NULL, false},
	{"http://h:+1/", NULL, false},
	{"http://h: 1/", NULL, false},
	{"file:///etc/x", NULL, true},
	{"file://localhost/x", NULL, true},
	{"file:/x", NULL, true},
	/* no scheme: guessed */
	{"localhost", "localhost:80", false},
	{"example.org:8080/x", "example.org:8080", false},
	{"user@example.org:8080/x", "example.org:8080", false},
	{"1.2.3.4:80", "1.2.3.4:80", false},
	{"ftp.example.org/x", "ftp.example.org:21", false},
	{"FTP.example.org", "ftp.example.org:21", false},
	{"pop3.example.org", "pop3.example.org:110", false},
	{"ldaps.example.org", "ldaps.example.org:80", false},
	{"h:", NULL, false},
	{"http:none", NULL, false},
	{"mailto:x@example.org", "example.org:80", false},
	/* slashes */
	{"http:/one/", "one:80", false},
	{"http:///three/", "three:80", false},
	{"http:////four/", NULL, false},
	{"//host/x", NULL, false},
	{"/path", NULL, false},
	{"http:\\\\host/", NULL, false},
	{"http://host\\path/", NULL, false},
	{"http://host\\@other/", "other:80", false},
	/* user and password */
	{"http://u:p@h:81/p@x:9/?a@b", "h:81", false},
	{"http://u;AUTH=x:p@h/", "h:80", false},
	{"http://:@h/", "h:80", false},
	{"http://a@b@c/", NULL, false},
	{"http://user@/", NULL, false},
	{"http://h?x:y@z", "h:80", false},
	{"http://h#x@y", "h:80", false},
	/* no host */
	{"", NULL, false},
	{"   ", NULL, false},
	{"http://", NULL, false},
	{"http://?q", NULL, false},
	{"http://:80/", NULL, false},
	{"http://./", NULL, true},
	/* names */
	{"http://host.:81/", "host:81", true},
	{"http://a..b/", "a..b:80", false},
	{"http://h_a~b|-/", "h_a~b|-:80", false},
	{"http://h,i/", NULL, false},
	{"http://%41bc.example/", "abc.example:80", false},
	{"http://ex%c3%a4mple.org/", "xn--exmple-cua.org:80", true},
	{"http://EX\xc3\x84mple.org/", "xn--exmple-cua.org:80", true},
	{"http://b\xc3\xbc\x63her.example:81", "xn--bcher-kva.example:81", true},
	{"http://xn--BCHER-KVA.example:81", "xn--bcher-kva.example:81", false},
	{"http://b\xfc\x63her.example/", "b\xfc\x63her.example:80", false},
	{"http://%zz.example/", "%zz.example:80", false},
	{"http://a%00b/", NULL, false},
	{"http://a%0ab/", NULL, false},
	{"http://a%2fb/", NULL, false},
	{"http://a%3a1/", NULL, false},
	{"http://mid dle/", NULL, false},
	{"http://tab\tx/", NULL, false},
	{" \thttp://lead", "lead:80", true},
	{"http://trail \r\n", "trail:80", true},
	/* addresses */
	{"http://127.1/", "127.0.0.1:80", false},
	{"http://0x7f.1/", "127.0.0.1:80", false},
	{"http://2130706433:8080/", "127.0.0.1:8080", false},
	{"http://0177.0.0.1./", "127.0.0.1:80", true},
	{"http://0X7F000001", "127.0.0.1:80", false},
	{"http://%31%32%37.1/", "127.0.0.1:80", true},
	{"http://127.256/", "127.0.1.0:80", false},
	{"http://4294967296/", "4294967296:80", false},
	{"http://1.2.3.4.5/", "1.2.3.4.5:80", false},
	{"http://256.1.1.1/", "256.1.1.1:80", false},
	{"http://127.1x/", "127.1x:80", false},
	{"http://3com.example/", "3com.example:80", false},
	{"http://[::1]/", "::1:80", false},
	{"http://[::1]:8080/", "::1:8080", false},
	{"http://u@[::1]:", "::1:80", false},
	{"http://[2001:0DB8:0:0::0001]/", "2001:db8::1:80", false},
	{"http://[fe80::1%25eth0]/", "fe80::1:80", false},
	{"http://[fe80::1%eth0]:1/", "fe80::1:1", false},
	{"http://[::ffff:192.0.2.1]/", "192.0.2.1:80", true},
	{"http://[::1", NULL, false},
	{"http://[::1]x", NULL, false},
	{"http://[]/", NULL, false},
	{"http://[v1.a]/", NULL, false},
	{"http://[::1%]/", NULL, false},
	{"http://::1/", NULL, false},
};

#define SAMPLES (sizeof samples / sizeof samples[0])

/* What libcurl makes of it, in our form; false when it refuses. */
static bool ask_libcurl(const char *url, char *out, size_t size)
{
	CURLU *u = curl_url(); /* a new one each time: on a used one a URL may be relative */
	char *host = NULL, *port = NULL, *scheme = NULL;
	bool good = curl_url_set(u, CURLUPART_URL, url, CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
		    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK;
	const char *name = host, *fallback = "0";
	size_t length = host ? strlen(host) : 0;

	if (good) {
		curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
		curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
		if (scheme && strcmp(scheme, "ws") == 0) /* not in every build of libcurl */
			fallback = "80";
		else if (scheme && strcmp(scheme, "wss") == 0)
			fallback = "443";
		if (name[0] == '[') {
			name++;
			length -= 2;
		}
		snprintf(out, size, "%.*s:%s", (int)length, name, port ? port : fallback);
		for (char *p = out; *p; p++)
			*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
	}
	curl_free(host);
	curl_free(port);
	curl_free(scheme);
	curl_url_cleanup(u);
	return good;
}

static void every_sample_reads_as_expected(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLES; i++) {
		char ours[WEIR_HOST_PORT_MAX];
		bool good = weir_url_host_port(samples[i].url, ours);

		if (good != (samples[i].expected != NULL) || strcmp(ours, good ? samples[i].expected : "") != 0)
			fail_msg("%s: %s", samples[i].url, good ? ours : "refused");
	}
}

static void libcurl_goes_to_the_same_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLES; i++) {
		char theirs[1024];
		bool good = ask_libcurl(samples[i].url, theirs, sizeof theirs);

		if (!samples[i].own_way &&
		    (good != (samples[i].expected != NULL) || (good && strcmp(theirs, samples[i].expected) != 0)))
			fail_msg("%s: libcurl says %s", samples[i].url, good ? theirs : "refused");
	}
}

static bool ends_with(const char *text, const char *end)
{
	return strlen(text) >= strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

/* Whether libcurl's answer is one of those in which we differ on purpose. */
static bool differs_on_purpose(const char *theirs)
{
	size_t name = strcspn(theirs, ":");
	struct in_addr address;
	struct in6_addr address6;
	char host[64] = "", again[64] = "";

	/* libcurl does not look for an address behind percent signs, but the resolver that it asks does. */
	snprintf(host, sizeof host, "%.*s", (int)name, theirs);
	/* ::fff:19 is ::15.255.0.25 to the C library, and libcurl takes its spelling only where that is shorter. */
	if (strncmp(theirs, "::", 2) == 0) {
		snprintf(host, sizeof host, "%.*s", (int)(strrchr(theirs, ':') - theirs), theirs);
		if (inet_pton(AF_INET6, host, &address6) == 1 && (IN6_IS_ADDR_V4COMPAT(&address6) || strchr(host, '.')))
			return true;
	}
	if (inet_aton(host, &address))
		inet_ntop(AF_INET, &address, again, sizeof again);
	return strlen(theirs) >= WEIR_HOST_PORT_MAX || ends_with(theirs, ":0") || (name > 0 && theirs[name - 1] == '.') ||
	       strchr(theirs, '\x7f') || (again[0] != '\0' && strcmp(host, again) != 0) || strncmp(theirs, "::ffff:", 7) == 0;
}

/* libcurl knows IDNA, but not here. */
static void as_ascii(char *theirs)
{
	char ascii[WEIR_HOST_PORT_MAX];

	if (weir_idna(theirs, strlen(theirs), ascii, sizeof ascii))
		memcpy(theirs, ascii, strlen(ascii) + 1);
}

static void mutated_urls_read_as_libcurl_reads_them(void **state)
{
	const char *texts[SAMPLES];
	struct fuzz f = {.state = 1, .samples = texts, .sample_count = SAMPLES, .alphabet = "htps:/@[]%.?#\\0123456789aZ-_25"};
	int compared = 0;

	(void)state;
	for (size_t i = 0; i < SAMPLES; i++)
		texts[i] = samples[i].url;
	for (int step = 0; step < FUZZ_STEPS; step++) {
		char *url = fuzz_text(&f);
		char ours[WEIR_HOST_PORT_MAX], theirs[1024];
		bool good = weir_url_host_port(url, ours);

		assert_true(memchr(ours, '\0', sizeof ours) != NULL);
		assert_true(good == (ours[0] != '\0'));
		weir_url_is_http(url);
		if (ask_libcurl(url, theirs, sizeof theirs) && !differs_on_purpose(theirs)) {
			compared++;
			as_ascii(theirs);
			if (strcmp(ours, theirs) != 0)
				fail_msg("seed 1, step %d: \"%s\": %s, libcurl: %s", step, url, ours, theirs);
		}
		free(url);
	}
	assert_true(compared > FUZZ_STEPS / 10);
}

static void a_host_that_does_not_fit_is_refused(void **state)
{
	char url[1024] = "http://", out[WEIR_HOST_PORT_MAX];

	(void)state;
	for (size_t length = 240; length < 300; length++) {
		memset(url + 7, 'h', length);
		strcpy(url + 7 + length, ":65535/");
		assert_true(weir_url_host_port(url, out) == (length + 7 <= WEIR_HOST_PORT_MAX));
	}
}

static void a_long_user_name_is_no_obstacle(void **state)
{
	static char url[100000];
	char out[WEIR_HOST_PORT_MAX];

	(void)state;
	memcpy(url, "http://", 7);
	memset(url + 7, 'u', sizeof url - 20);
	strcpy(url + sizeof url - 13, "@host/x");
	assert_true(weir_url_host_port(url, out));
	assert_string_equal(out, "host:80");
}

static void only_http_https_and_guesses_are_http(void **state)
{
	(void)state;
	assert_true(weir_url_is_http("http://h"));
	assert_true(weir_url_is_http(" HTTPS://h"));
	assert_true(weir_url_is_http("example.org:8080/x"));
	assert_false(weir_url_is_http("ftp://h"));
	assert_false(weir_url_is_http("ftp.example.org"));
	assert_false(weir_url_is_http("ws://h"));
	assert_false(weir_url_is_http("foo://h"));
	assert_false(weir_url_is_http("file:///x"));
}

static void a_name_and_a_port_are_joined_in_the_same_form(void **state)
{
	char out[WEIR_HOST_PORT_MAX];

	(void)state;
	assert_true(weir_host_port("Example.ORG.", 8080, out));
	assert_string_equal(out, "example.org:8080");
	assert_true(weir_host_port("2001:DB8::0:1", 443, out));
	assert_string_equal(out, "2001:db8::1:443");
	assert_true(weir_host_port("[::1]", 1, out));
	assert_string_equal(out, "::1:1");
	assert_true(weir_host_port("::ffff:7f00:1", 80, out));
	assert_string_equal(out, "127.0.0.1:80");
	assert_true(weir_host_port("fe80::1%2", 80, out));
	assert_string_equal(out, "fe80::1:80");
	assert_true(weir_host_port("h", 0, out));
	assert_string_equal(out, "h:0");
	assert_false(weir_host_port("", 80, out));
	assert_string_equal(out, "");
	assert_false(weir_host_port(".", 80, out));
	assert_false(weir_host_port("a b", 80, out));
	assert_false(weir_host_port("a\nb", 80, out));
	assert_false(weir_host_port("a/b", 80, out));
	assert_false(weir_host_port("a:b", 80, out));
}

static void a_redirect_may_be_relative(void **state)
{
	static const struct {
		const char *location, *base, *expected;
	} table[] = {
		{"/path", "h:8080", "h:8080"},
		{"path?u=http://other/", "h:8080", "h:8080"},
		{"?q", "h:443", "h:443"},
		{"", "h:443", "h:443"},
		{"./a:b", "h:443", "h:443"},
		{"//Other/x", "h:443", "other:443"},
		{"//other/x", "h:80", "other:80"},
		{"//other:81/x", "h:443", "other:81"},
		{"https://other", "h:80", "other:443"},
		{" HTTP://u:p@OTHER/ ", "h:80", "other:80"},
		{"http://other:99999/", "h:80", NULL},
		{"mailto:somebody", "h:80", NULL},
		{"data:text/plain,x", "h:80", NULL},
		{"file:///etc/passwd", "h:80", NULL},
		{"/path", "", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		char out[WEIR_HOST_PORT_MAX];
		bool good = weir_location_host_port(table[i].location, table[i].base, out);

		if (good != (table[i].expected != NULL) || strcmp(out, good ? table[i].expected : "") != 0)
			fail_msg("%s at %s: %s", table[i].location, table[i].base, good ? out : "refused");
	}
}

static void a_mutated_redirect_never_leaves_its_buffer(void **state)
{
	static const char *const texts[] = {"/path", "//other:81/x", "http://u:p@[::1%25x]:80/", "x:y", "https:/h"};
	struct fuzz f = {.state = 2, .samples = texts, .sample_count = 5, .alphabet = "ht:/@[]%.?#\\0158a-"};

	(void)state;
	for (int step = 0; step < FUZZ_STEPS; step++) {
		char *location = fuzz_text(&f);
		char out[WEIR_HOST_PORT_MAX];

		assert_true(weir_location_host_port(location, "h:443", out) == (out[0] != '\0'));
		assert_true(memchr(out, '\0', sizeof out) != NULL);
		weir_host_port(location, 80, out);
		free(location);
	}
}

static void this_very_machine_is_known_by_its_names(void **state)
{
	static const char *const here[] = {"127.0.0.1:80",    "127.1.2.3:8080", "::1:443", "localhost:80",
					   "a.b.localhost:1", "0.0.0.0:80",     ":::80"};
	static const char *const elsewhere[] = {"128.0.0.1:80",
						"::2:80",
						"localhost.example.org:80",
						"notlocalhost:80",
						"127.example.org:80",
						"127.0.0.1.example.org:80",
						":80",
						"",
						"127.:"};

	(void)state;
	for (size_t i = 0; i < sizeof here / sizeof here[0]; i++)
		assert_true(weir_host_is_loopback(here[i]));
	for (size_t i = 0; i + 1 < sizeof elsewhere / sizeof elsewhere[0]; i++)
		assert_false(weir_host_is_loopback(elsewhere[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_sample_reads_as_expected),
		cmocka_unit_test(libcurl_goes_to_the_same_place),
		cmocka_unit_test(mutated_urls_read_as_libcurl_reads_them),
		cmocka_unit_test(a_host_that_does_not_fit_is_refused),
		cmocka_unit_test(a_long_user_name_is_no_obstacle),
		cmocka_unit_test(only_http_https_and_guesses_are_http),
		cmocka_unit_test(a_name_and_a_port_are_joined_in_the_same_form),
		cmocka_unit_test(a_redirect_may_be_relative),
		cmocka_unit_test(this_very_machine_is_known_by_its_names),
		cmocka_unit_test(a_mutated_redirect_never_leaves_its_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
