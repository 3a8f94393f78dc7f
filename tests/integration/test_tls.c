/* Requests inside TLS, of programs that use OpenSSL or GnuTLS themselves: each is counted, held to the rate, and settled by its
 * own answer, as without TLS. */
#include "tests/harness/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/weir_program.h"

#define PYTHON "/usr/bin/python3"

/* argv: certificate, port, number of requests: over one connection. */
#define KEEP_ALIVE                                                                                                               \
	"import http.client, ssl, sys\n"                                                                                         \
	"ctx = ssl.create_default_context(cafile=sys.argv[1])\n"                                                                 \
	"c = http.client.HTTPSConnection('localhost', int(sys.argv[2]), context=ctx)\n"                                          \
	"for i in range(int(sys.argv[3])):\n"                                                                                    \
	"    c.request('POST' if i % 3 == 2 else 'GET', '/n/%d' % i, body=b'x' * 20000 if i % 3 == 2 else None)\n"               \
	"    r = c.getresponse(); r.read(); print(r.status)\n"

/* The same without a socket in the session's hands: asyncio carries its bytes. */
#define MEMORY                                                                                                                   \
	"import asyncio, ssl, sys\n"                                                                                             \
	"async def main():\n"                                                                                                    \
	"    ctx = ssl.create_default_context(cafile=sys.argv[1])\n"                                                             \
	"    r, w = await asyncio.open_connection('localhost', int(sys.argv[2]), ssl=ctx)\n"                                     \
	"    for i in range(int(sys.argv[3])):\n"                                                                                \
	"        w.write(b'GET /n/%d HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n' % i)\n"                                          \
	"        head = await r.readuntil(b'\\r\\n\\r\\n')\n"                                                                    \
	"        for line in head.lower().split(b'\\r\\n'):\n"                                                                   \
	"            if line.startswith(b'content-length:'): await r.readexactly(int(line.split(b':')[1]))\n"                    \
	"        print(head[9:12].decode())\n"                                                                                   \
	"    w.close()\n"                                                                                                        \
	"asyncio.run(main())\n"

struct site {
	struct scene *scene;
	struct quotad *server;
	char key[64], port[16];
};

static struct site site_of(void **state, const char *const *options)
{
	const char *all[16] = {"--tls"};
	struct site s = {.scene = *state};

	for (size_t i = 0; options && options[i] && i < 14; i++)
		all[i + 1] = options[i];
	s.server = quotad_start(s.scene->dir, all);
	host_port_of(s.key, "localhost", s.server->https_port);
	snprintf(s.port, sizeof s.port, "%d", s.server->https_port);
	return s;
}

static struct outcome python(const struct site *s, const char *script, const char *requests)
{
	const char *argv[] = {PYTHON, "-c", script, s->server->cert_file, s->port, requests, NULL};

	return command_run(&(struct command){.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = s->scene->dir});
}

static void expect_lines(const struct outcome *o, const char *line, unsigned count)
{
	const char *at = o->out;
	size_t n = strlen(line);

	if (o->exit_status != 0)
		fail_msg("exit status %d: %s", o->exit_status, o->err);
	for (unsigned i = 0; i < count; i++, at += n + 1)
		assert_int_equal(strncmp(at, line, n), 0);
	assert_string_equal(at, "");
}

/* The first unit is taken with the connection, and its request may come as late as the handshake takes. */
static void expect_spaced(const struct site *s, size_t requests, double least_s)
{
	size_t count;
	struct quotad_arrival *arrivals = quotad_journal(s->server, &count);

	assert_int_equal(count, requests);
	/* An admission may be late, and the next in time. */
	assert_true(arrivals[count - 1].arrival_s - arrivals[0].arrival_s > (double)(requests - 2) * least_s * 0.9);
	for (size_t i = 2; i < count; i++)
		assert_true(arrivals[i].arrival_s - arrivals[i - 1].arrival_s > least_s * 0.25);
	free(arrivals);
}

static void count_exactly(void **state, const char *script)
{
	struct site s = site_of(state, NULL);
	struct host_counts c;
	struct outcome o;

	if (access(PYTHON, X_OK) != 0)
		skip();
	o = python(&s, script, "60");
	expect_lines(&o, "200", 60);
	outcome_free(&o);
	c = counts_of(s.scene, s.key);
	assert_int_equal(c.admitted, 60);
	assert_int_equal(c.succeeded, 60);
	assert_int_equal(c.connections, 1);
	assert_int_equal(c.permits, 0);
}

static void each_request_of_a_kept_connection_counts_once(void **state)
{
	count_exactly(state, KEEP_ALIVE);
}

static void each_request_of_a_session_without_a_socket_counts_once(void **state)
{
	count_exactly(state, MEMORY);
}

static void hold_to_rate(void **state, const char *script)
{
	struct site s = site_of(state, NULL);
	struct outcome o;

	if (access(PYTHON, X_OK) != 0)
		skip();
	scene_configure(s.scene, "defaults = { rate = { strategy = \"fixed\"; max = \"10/s\"; burst = 1; }; };\n");
	o = python(&s, script, "6");
	expect_lines(&o, "200", 6);
	outcome_free(&o);
	expect_spaced(&s, 6, 0.1);
}

static void a_fixed_rate_holds_inside_a_kept_connection(void **state)
{
	hold_to_rate(state, KEEP_ALIVE);
}

static void a_fixed_rate_holds_for_a_session_without_a_socket(void **state)
{
	hold_to_rate(state, MEMORY);
}

static void retry_after_is_heard_inside_tls(void **state)
{
	static const char *const options[] = {"--throttle-next", "1", "--dialect", "retry-after", "--retry-after", "1", NULL};
	struct site s = site_of(state, options);
	struct quotad_count count;
	struct host_counts c;
	struct outcome o;

	if (access(PYTHON, X_OK) != 0)
		skip();
	o = python(&s, KEEP_ALIVE, "3");
	assert_int_equal(o.exit_status, 0);
	assert_string_equal(o.out, "429\n200\n200\n");
	outcome_free(&o);
	count = quotad_count(s.server);
	assert_int_equal(count.throttled, 1);
	assert_int_equal(count.in_hold, 0);
	c = counts_of(s.scene, s.key);
	assert_int_equal(c.throttled, 1);
	assert_int_equal(c.succeeded, 2);
}

static void wget_and_its_gnutls_are_held_and_heard(void **state)
{
	struct site s = site_of(state, NULL);
	char ca[600], url[3][64];
	const char *argv[] = {"wget", "-q", "-O", "-", ca, url[0], url[1], url[2], NULL};
	struct outcome o;
	struct host_counts c;

	if (access("/usr/bin/wget", X_OK) != 0)
		skip();
	snprintf(ca, sizeof ca, "--ca-certificate=%s", s.server->cert_file);
	for (int i = 0; i < 3; i++)
		snprintf(url[i], sizeof url[i], "https://localhost:%d/n/%d", s.server->https_port, i);
	scene_configure(s.scene, "defaults = { rate = { strategy = \"fixed\"; max = \"10/s\"; burst = 1; }; };\n");
	o = command_run(&(struct command){.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = s.scene->dir});
	if (o.exit_status != 0)
		fail_msg("exit status %d: %s", o.exit_status, o.err);
	outcome_free(&o);
	expect_spaced(&s, 3, 0.1);
	c = counts_of(s.scene, s.key);
	assert_int_equal(c.admitted, 3);
	assert_int_equal(c.succeeded, 3);
}

/* A connection is one request then, and the operator is told why. */
static void what_is_not_looked_into_is_explained(void **state)
{
	static const char script[] = "import socket, ssl, sys\n"
				     "ctx = ssl.create_default_context(cafile=sys.argv[1])\n"
				     "s = socket.create_connection(('localhost', int(sys.argv[2])))\n"
				     "t = ctx.wrap_socket(s, server_hostname='localhost')\n"
				     "for i in range(int(sys.argv[3])): t.sendall(b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n')\n"
				     "t.close()\n";
	struct site s = site_of(state, NULL);
	struct outcome o;
	char *out;

	if (access(PYTHON, X_OK) != 0)
		skip();
	o = python(&s, script, "3");
	expect_lines(&o, "", 0);
	outcome_free(&o);
	assert_int_equal(counts_of(s.scene, s.key).admitted, 1);
	out = WEIR_EXPECT(s.scene, 0, "explain", s.key);
	assert_non_null(strstr(out, "Seen: 1 connections with HTTP/2"));
	free(out);
}

/* What is spaced is the requests, whatever goes before the first of each connection: a handshake that takes long, one that is
 * quick, and none. Nobody is charged twice. argv: certificate, port, "tls" or "". */
#define HANDSHAKES                                                                                                               \
	"import socket, ssl, sys, threading, time\n"                                                                             \
	"ctx = ssl.create_default_context(cafile=sys.argv[1])\n"                                                                 \
	"def ask(s, n):\n"                                                                                                       \
	"    s.sendall(b'GET /n/%d HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n' % n)\n"                                            \
	"    assert b' 200 ' in s.recv(9999)\n"                                                                                  \
	"def talk(n, late):\n"                                                                                                   \
	"    s = socket.create_connection(('localhost', int(sys.argv[2])))\n"                                                    \
	"    time.sleep(late)\n"                                                                                                 \
	"    if sys.argv[3] == 'tls': s = ctx.wrap_socket(s, server_hostname='localhost')\n"                                     \
	"    ask(s, n); ask(s, n)\n"                                                                                             \
	"ts = [threading.Thread(target=talk, args=(n, late)) for n, late in enumerate((0.31, 0, 0.13))]\n"                       \
	"for t in ts: t.start(); time.sleep(0.01)\n"                                                                             \
	"for t in ts: t.join()\n"

static void expect_every_gap(const struct site *s, size_t requests, double least_s, double most_s)
{
	size_t count;
	struct quotad_arrival *arrivals = quotad_journal(s->server, &count);

	assert_int_equal(count, requests);
	for (size_t i = 1; i < count; i++) {
		/* What the way to the server takes may differ. */
		if (arrivals[i].arrival_s - arrivals[i - 1].arrival_s < least_s - 0.08)
			fail_msg("request %zu comes after %.3f s", i, arrivals[i].arrival_s - arrivals[i - 1].arrival_s);
	}
	assert_true(arrivals[count - 1].arrival_s - arrivals[0].arrival_s < most_s);
	free(arrivals);
}

static void a_handshake_does_not_bring_requests_nearer_to_each_other(void **state)
{
	static const char rules[] =
		"hosts = ( { match = \"localhost\"; rate = { strategy = \"fixed\"; max = \"5/s\"; burst = 1; }; } );\n";

	for (int tls = 0; tls < 2; tls++) {
		struct site s = site_of(state, NULL);
		const char *argv[] = {PYTHON, "-c", HANDSHAKES, s.server->cert_file, s.port, tls ? "tls" : "", NULL};
		char plain[16];
		struct outcome o;

		if (access(PYTHON, X_OK) != 0)
			skip();
		snprintf(plain, sizeof plain, "%d", s.server->http_port);
		if (!tls)
			argv[4] = plain;
		scene_configure(s.scene, rules);
		o = command_run(&(struct command){.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = s.scene->dir});
		expect_lines(&o, "", 0);
		outcome_free(&o);
		expect_every_gap(&s, 6, 0.2, 2.2);
		host_port_of(s.key, "localhost", tls ? s.server->https_port : s.server->http_port);
		assert_int_equal(counts_of(s.scene, s.key).admitted, 6);
		assert_int_equal(counts_of(s.scene, s.key).permits, 0);
	}
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(each_request_of_a_kept_connection_counts_once),
		SCENE(each_request_of_a_session_without_a_socket_counts_once),
		SCENE(a_fixed_rate_holds_inside_a_kept_connection),
		SCENE(a_fixed_rate_holds_for_a_session_without_a_socket),
		SCENE(retry_after_is_heard_inside_tls),
		SCENE(wget_and_its_gnutls_are_held_and_heard),
		SCENE(a_handshake_does_not_bring_requests_nearer_to_each_other),
		SCENE(what_is_not_looked_into_is_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
