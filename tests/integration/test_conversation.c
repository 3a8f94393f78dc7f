/* Programs that speak HTTP on their own sockets: each request is admitted before it is sent and settled by its own answer. */
#include "tests/harness/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"

#define RATE_20 "hosts = ( { match = \"localhost\"; rate = { strategy = \"fixed\"; max = \"20/s\"; burst = 1; }; } );\n"

struct stage {
	struct scene *scene;
	struct quotad *server;
	char port[32], host_port[64];
	const char *env[2];
};

static void stage_open(struct stage *s, void **state, const char *const *options)
{
	require_localhost();
	memset(s, 0, sizeof *s);
	s->scene = *state;
	s->server = quotad_start(s->scene->dir, options);
	snprintf(s->port, sizeof s->port, "PORT=%d", s->server->http_port);
	host_port_of(s->host_port, "localhost", s->server->http_port);
	s->env[0] = s->port;
}

/* A script of Python's: `c` is a connection to the server. */
#define IMPORTS                                                                                                                  \
	"import os, sys, time, socket, http.client\n"                                                                            \
	"port = int(os.environ['PORT'])\n"                                                                                       \
	"c = http.client.HTTPConnection('localhost', port)\n"                                                                    \
	"def get(path, method='GET', body=None):\n"                                                                              \
	"    c.request(method, path, body)\n"                                                                                    \
	"    r = c.getresponse()\n"                                                                                              \
	"    return r.status, r.read()\n"

static struct outcome python_in(struct stage *s, enum command_mode mode, const char *script)
{
	char *file = write_file(s->scene->dir, "script.py", script);
	const char *argv[] = {"/usr/bin/python3", file, NULL};
	struct outcome o = command_run(&(struct command){.argv = argv, .mode = mode, .dir = s->scene->dir, .env = s->env});

	free(file);
	return o;
}

/* Runs it under weir; returns the seconds that it took. */
static double expect_python(struct stage *s, const char *script, const char *out)
{
	struct outcome o = python_in(s, COMMAND_UNDER_WEIR, script);
	double seconds = o.seconds;

	if (o.exit_status != 0 || strcmp(o.out, out) != 0)
		fail_msg("exit %d: %s%s", o.exit_status, o.out, o.err);
	outcome_free(&o);
	return seconds;
}

static void expect_requests(struct stage *s, uint64_t succeeded, uint64_t connections)
{
	struct host_counts n = counts_of(s->scene, s->host_port);

	assert_int_equal(n.succeeded, succeeded);
	assert_int_equal(n.admitted, succeeded);
	assert_int_equal(n.connections, connections);
	assert_int_equal(n.permits, 0);
	assert_int_equal(leases_held(s->scene), 0);
}

static void every_request_of_a_kept_connection_is_counted(void **state)
{
	struct stage s;

	stage_open(&s, state, NULL);
	expect_python(&s,
		      IMPORTS "for i in range(200): assert get('/n/%d' % i) == (200, b'%d\\n' % i)\n"
			      "assert get('/n/1', 'HEAD') == (200, b'')\n"
			      "assert get('/n/2', 'POST', b'x' * 100000)[0] == 200\n"
			      "assert get('/status/204') == (204, b'')\n",
		      "");
	expect_requests(&s, 203, 1);
}

/* The server's own record of when they came. A fraction of a millisecond is the way from the admission to the server. */
static void expect_spaced(struct stage *s, size_t count, double gap_s)
{
	size_t n;
	struct quotad_arrival *a = quotad_journal(s->server, &n);

	assert_int_equal(n, count);
	/* Each unit has its time: however late one is, the nth is not before n gaps. */
	for (size_t i = 1; i < n; i++)
		assert_true(a[i].arrival_s - a[0].arrival_s > (double)i * gap_s - gap_s / 2);
	free(a);
}

static void a_fixed_rate_spaces_the_requests_of_one_connection(void **state)
{
	struct stage s;

	stage_open(&s, state, NULL);
	scene_configure(s.scene, RATE_20);
	expect_python(&s, IMPORTS "for i in range(8): get('/n/%d' % i)\n", "");
	expect_spaced(&s, 8, 0.05);
	expect_requests(&s, 8, 1);
}

/* What is spaced is the requests: connects that wait for nobody, and requests that do not go together afterwards. */
static void requests_on_connections_that_were_opened_together_are_spaced(void **state)
{
	struct stage s;

	stage_open(&s, state, NULL);
	scene_configure(s.scene, RATE_20);
	expect_python(&s,
		      IMPORTS "ss = [socket.create_connection(('localhost', port), 5) for i in range(6)]\n"
			      "time.sleep(0.3)\n"
			      "for x in ss: x.sendall(b'GET /n/1 HTTP/1.0\\r\\nHost: localhost:%d\\r\\n\\r\\n' % port)\n"
			      "for x in ss: assert b' 200 ' in x.recv(9999)\n",
		      "");
	expect_spaced(&s, 6, 0.05);
	expect_requests(&s, 6, 6);
}

static void retry_after_on_a_kept_connection_holds_every_process(void **state)
{
	static const char *const options[] = {"--dialect", "retry-after", "--retry-after", "2", NULL};
	const char *curl[] = {"curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", NULL, NULL};
	struct stage s;
	struct outcome o;

	stage_open(&s, state, options);
	quotad_set(s.server, "throttle-next=1");
	expect_python(&s, IMPORTS "print(get('/n/2')[0])\n", "429\n");
	assert_true(counts_of(s.scene, s.host_port).hold_s > 0);
	assert_int_equal(counts_of(s.scene, s.host_port).throttled, 1);
	curl[6] = quotad_localhost_url(s.server, "/n/3");
	o = command_run(&(struct command){.argv = curl, .mode = COMMAND_UNDER_WEIR, .dir = s.scene->dir});
	assert_string_equal(o.out, "200");
	outcome_free(&o);
	assert_int_equal(quotad_count(s.server).in_hold, 0);
}

static void a_request_counts_under_the_name_in_its_head(void **state)
{
	struct stage s;
	char other[64];

	stage_open(&s, state, NULL);
	expect_python(&s,
		      IMPORTS "x = socket.create_connection(('127.0.0.1', port))\n"
			      "for name in (b'one.test', b'one.test:80', b'ONE.test.'):\n"
			      "    x.sendall(b'GET /n/1 HTTP/1.1\\r\\nHost: ' + name + b'\\r\\n\\r\\n')\n"
			      "    assert b' 200 ' in x.recv(9999)\n",
		      "");
	assert_int_equal(counts_of(s.scene, host_port_of(other, "one.test", s.server->http_port)).succeeded, 3);
}

static void heads_in_pieces_and_heads_together_are_counted_each(void **state)
{
	struct stage s;

	stage_open(&s, state, NULL);
	expect_python(&s,
		      IMPORTS "x = socket.create_connection(('localhost', port))\n"
			      "for c in b'GET /n/1 HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n': x.send(bytes([c]))\n"
			      "assert b' 200 ' in x.recv(9999)\n"
			      "x.sendmsg([b'GET /n/', b'2 HT', b'TP/1.1\\r\\nHost: localhost\\r\\n', b'\\r\\n'])\n"
			      "got = b''\n"
			      "while not got.endswith(b'2\\n'): got += x.recv(1)\n"
			      "x.sendall(b'GET /n/3 HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n' * 6)\n"
			      "got = b''\n"
			      "while got.count(b' 200 ') < 6 or not got.endswith(b'3\\n'): got += x.recv(9999)\n",
		      "");
	expect_requests(&s, 8, 1);
}

/* A server that sends back what it gets. What is no HTTP is one request for each connection, and comes back byte by byte. */
#define ECHO                                                                                                                     \
	"import threading\n"                                                                                                     \
	"l = socket.create_server(('localhost', 0))\n"                                                                           \
	"def serve():\n"                                                                                                         \
	"    while True:\n"                                                                                                      \
	"        a, _ = l.accept()\n"                                                                                            \
	"        threading.Thread(target=echo, args=(a,), daemon=True).start()\n"                                                \
	"def echo(a):\n"                                                                                                         \
	"    while d := a.recv(65536): a.sendall(d)\n"                                                                           \
	"    a.shutdown(socket.SHUT_WR)\n"                                                                                       \
	"threading.Thread(target=serve, daemon=True).start()\n"

static void what_is_no_http_passes_untouched(void **state)
{
	static const char script[] = IMPORTS ECHO
		"def check(data, pieces):\n"
		"    x = socket.create_connection(l.getsockname())\n"
		"    def send():\n"
		"        for i in range(0, len(data), pieces): x.sendall(data[i:i + pieces])\n"
		"        x.shutdown(socket.SHUT_WR)\n"
		"    t = threading.Thread(target=send); t.start()\n"
		"    got = b''\n"
		"    while d := x.recv(65536): got += d\n"
		"    t.join(); x.close()\n"
		"    assert got == data\n"
		"t = time.monotonic()\n"
		"for data in (bytes(range(256)) * 4000, b'GET / HT', b'\\0', b'\\r\\n\\r\\n', b'A' * 10**6,\n"
		"             b'GET / HTTP/1.1\\r\\n' + b'X: y\\r\\n' * 150000, b'\\x16\\x03\\x01' + bytes(500),\n"
		"             b'\\x16\\x03\\x01\\xff\\xff\\x01', b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n' + bytes(99),\n"
		"             b'GET / HTTP/1.1\\r\\nContent-Length: 5\\r\\nContent-Length: 6\\r\\n\\r\\n' + b'z' * 99):\n"
		"    for pieces in (1 << 20, 997): check(data, pieces)\n"
		"print('same')\n";
	struct stage s;

	stage_open(&s, state, NULL);
	expect_python(&s, script, "same\n");
	assert_int_equal(leases_held(s.scene), 0);
}

/* A descriptor of many names, and one whose number is used again without a word. */
static void a_conversation_goes_with_its_socket(void **state)
{
	struct stage s;

	stage_open(&s, state, NULL);
	expect_python(&s,
		      IMPORTS
		      "import ctypes\n"
		      "def ask(fd):\n"
		      "    os.write(fd, b'GET /n/1 HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n')\n"
		      "    assert b' 200 ' in os.read(fd, 9999)\n"
		      "x = socket.create_connection(('localhost', port))\n"
		      "ask(x.fileno())\n"
		      "y = os.dup(x.fileno()); x.close(); ask(y)\n"
		      "os.dup2(y, 50); os.close(y); ask(50)\n"
		      "libc = ctypes.CDLL(None)\n"
		      "libc.syscall(3, 50)\n"
		      "r, w = os.pipe(); os.dup2(w, 50)\n"
		      "os.write(50, b'GET / HTTP/1.1\\r\\n\\r\\n'); assert os.read(r, 99) == b'GET / HTTP/1.1\\r\\n\\r\\n'\n",
		      "");
	expect_requests(&s, 3, 1);
}

static void a_refused_request_on_an_open_connection_ends_it(void **state)
{
	struct stage s;

	stage_open(&s, state, NULL);
	scene_configure(s.scene, "hosts = ( { match = \"localhost\"; rate = { strategy = \"fixed\"; max = \"1/m\"; burst = 2; }; "
				 "wait = { max = \"1s\"; }; } );\n");
	expect_python(&s,
		      IMPORTS "get('/n/1'); get('/n/2')\n"
			      "for i in range(2):\n"
			      "    try: c.sock.sendall(b'GET /n/3 HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n')\n"
			      "    except OSError as e: print(e.errno)\n"
			      "print(c.sock.recv(99))\n",
		      "110\n110\nb''\n");
	assert_int_equal(quotad_count(s.server).requests, 2);
	assert_int_equal(counts_of(s.scene, s.host_port).refused, 1);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(every_request_of_a_kept_connection_is_counted),
		SCENE(a_fixed_rate_spaces_the_requests_of_one_connection),
		SCENE(requests_on_connections_that_were_opened_together_are_spaced),
		SCENE(retry_after_on_a_kept_connection_holds_every_process),
		SCENE(a_request_counts_under_the_name_in_its_head),
		SCENE(heads_in_pieces_and_heads_together_are_counted_each),
		SCENE(what_is_no_http_passes_untouched),
		SCENE(a_conversation_goes_with_its_socket),
		SCENE(a_refused_request_on_an_open_connection_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
