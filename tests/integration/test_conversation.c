/* Programs that speak HTTP on their own sockets: each request is admitted before it is sent and settled by its own answer. */
#include "tests/harness/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/closed_port.h"
#include "tests/integration/every_agent.h"
#include "tests/integration/python_stage.h"

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

/* stdio's own writes are not seen, but what comes back by read is. */
#define BY_STDIO                                                                                                                 \
	IMPORTS "import ctypes\n"                                                                                                \
		"libc = ctypes.CDLL(None)\n"                                                                                     \
		"libc.fdopen.restype = ctypes.c_void_p\n"                                                                        \
		"s = socket.create_connection(('localhost', port))\n"                                                            \
		"f = ctypes.c_void_p(libc.fdopen(os.dup(s.fileno()), b'w'))\n"                                                   \
		"def ask():\n"                                                                                                   \
		"    libc.fputs(b'GET /n/1 HTTP/1.1\\r\\nHost: localhost:%d\\r\\n\\r\\n' % port, f)\n"                           \
		"    libc.fflush(f)\n"

static void the_answer_to_what_was_sent_by_stdio_is_heard(void **state)
{
	static const char *const options[] = {"--dialect", "retry-after", "--retry-after", "2", NULL};
	struct stage s;

	stage_open(&s, state, options);
	quotad_set(s.server, "throttle-next=1");
	expect_python(&s, BY_STDIO "ask()\nprint(os.read(s.fileno(), 9999)[:12].decode())\n", "HTTP/1.1 429\n");
	assert_true(counts_of(s.scene, s.host_port).hold_s > 0);
	assert_int_equal(counts_of(s.scene, s.host_port).throttled, 1);
	assert_int_equal(counts_of(s.scene, s.host_port).connections, 1);
	/* A second one's answer is not known for one: no more is counted, and nothing is in the way. */
	expect_python(&s,
		      BY_STDIO "for i in 1, 2:\n    ask()\n    a = b''\n"
			       "    while not a.endswith(b'\\r\\n\\r\\n1\\n'): a += os.read(s.fileno(), 1)\n"
			       "    print(a[:12].decode())\n",
		      "HTTP/1.1 200\nHTTP/1.1 200\n");
	assert_int_equal(counts_of(s.scene, s.host_port).succeeded, 1);
	assert_int_equal(quotad_count(s.server).in_hold, 0);
	assert_int_equal(leases_held(s.scene), 0);
}

static void who_greets_like_an_answer_has_given_none(void **state)
{
	struct outcome o;
	struct stage s;

	stage_open(&s, state, NULL);
	o = python_in(&s, COMMAND_UNDER_WEIR,
		      IMPORTS
		      "l = socket.create_server(('127.0.0.1', 0))\n"
		      "for greeting in b'Hello\\r\\n', b'HTTP/1.1 408 Request Timeout\\r\\nContent-Length: 0\\r\\n\\r\\n':\n"
		      "    c = socket.create_connection(l.getsockname())\n"
		      "    a = l.accept()[0]\n"
		      "    a.sendall(greeting)\n"
		      "    assert c.recv(999) == greeting\n"
		      "    c.sendall(b'EHLO me\\r\\n')\n"
		      "    assert a.recv(99) == b'EHLO me\\r\\n'\n"
		      "    c.close()\n"
		      "print(l.getsockname()[1])\n");
	assert_int_equal(o.exit_status, 0);
	host_port_of(s.host_port, "127.0.0.1", atoi(o.out));
	outcome_free(&o);
	expect_requests(&s, 2, 2);
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
	assert_int_equal(counts_of(s.scene, host_port_of(other, "127.0.0.1", s.server->http_port)).admitted, 0);
}

/* Heads that are the same, byte by byte, are not read again: each is a request all the same, of whom its head names. */
static void the_same_head_again_is_a_request_under_the_same_name(void **state)
{
	struct stage s;
	struct host_counts n;
	char other[64];

	stage_open(&s, state, NULL);
	expect_python(&s,
		      IMPORTS "x = socket.create_connection(('127.0.0.1', port))\n"
			      "def ask(name, method=b'GET', end=b'\\r\\n', body=b''):\n"
			      "    x.sendall(method + b' /n/1 HTTP/1.1\\r\\nHost: ' + name + b'.test\\r\\n' + end)\n"
			      "    if body: x.sendall(body)\n"
			      "    got = b''\n"
			      "    while b'\\r\\n\\r\\n' not in got: got += x.recv(9999)\n"
			      "    assert b' 200 ' in got, got\n"
			      "    if method != b'HEAD':\n"
			      "        while not got.endswith(b'1\\n'): got += x.recv(9999)\n"
			      "for name in (b'one', b'one', b'one', b'two', b'two', b'one', b'two'): ask(name)\n"
			      "for i in range(3): ask(b'one', b'HEAD')\n"
			      "length, body = b'Content-Length: 40\\r\\n\\r\\n', b'GET / HTTP/1.1\\r\\n' * 2 + b'--------'\n"
			      "for i in range(3): ask(b'one', b'POST', length, body)\n"
			      "for i in range(3): ask(b'one', end=b'Authorization: Bearer a\\r\\n\\r\\n')\n"
			      "for i in range(3): ask(b'one', b'HEAD')\n",
		      "");
	n = counts_of(s.scene, host_port_of(other, "one.test", s.server->http_port));
	assert_int_equal(n.succeeded, 4 + 12);
	assert_int_equal(n.admitted, 4 + 12);
	assert_int_equal(counts_of(s.scene, host_port_of(other, "two.test", s.server->http_port)).succeeded, 3);
	assert_int_equal(leases_held(s.scene), 0);
}

/* What goes out behind it in the same call is no request of its own yet, but it is the last head then. */
static void the_same_head_with_another_behind_it_is_of_its_own_kind(void **state)
{
	struct stage s;
	struct host_counts n;
	char other[64];

	stage_open(&s, state, NULL);
	expect_python(&s,
		      IMPORTS "x = socket.create_connection(('127.0.0.1', port))\n"
			      "got = b''\n"
			      "def head(method):\n"
			      "    h = method + b' /n/1 HTTP/1.1\\r\\nHost: one.test\\r\\nX-Fill: '\n"
			      "    return h + b'x' * (508 - len(h)) + b'\\r\\n\\r\\n'\n"
			      "def answer(end):\n"
			      "    global got\n"
			      "    while end not in got: got += x.recv(9999)\n"
			      "    assert got.startswith(b'HTTP/1.1 200 '), got\n"
			      "    got = got[got.index(end) + len(end):]\n"
			      "for behind in False, True, False, False:\n"
			      "    x.sendmsg([head(b'GET')] + ([head(b'HEAD')] if behind else []))\n"
			      "    answer(b'\\r\\n\\r\\n1\\n')\n"
			      "    if behind: answer(b'\\r\\n\\r\\n')\n",
		      "");
	n = counts_of(s.scene, host_port_of(other, "one.test", s.server->http_port));
	assert_int_equal(n.succeeded, 5);
	assert_int_equal(leases_held(s.scene), 0);
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

/* Twelve connections to a server of the program's own, which cuts what it has promised. */
#define CUTS                                                                                                                     \
	"import threading\n"                                                                                                     \
	"own = socket.create_server(('127.0.0.1', 0))\n"                                                                         \
	"def serve():\n"                                                                                                         \
	"    while True:\n"                                                                                                      \
	"        x = own.accept()[0]\n"                                                                                          \
	"        x.recv(9999)\n"                                                                                                 \
	"        x.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 99\\r\\n\\r\\nhalf')\n"                                        \
	"        x.close()\n"                                                                                                    \
	"threading.Thread(target=serve, daemon=True).start()\n"                                                                  \
	"told = []\n"                                                                                                            \
	"for i in range(12):\n"                                                                                                  \
	"    d = http.client.HTTPConnection('127.0.0.1', own.getsockname()[1])\n"                                                \
	"    try: d.request('GET', '/'); d.getresponse().read()\n"                                                               \
	"    except (OSError, http.client.IncompleteRead) as e: told.append(type(e).__name__)\n"                                 \
	"    d.close()\n"

static void a_server_of_the_programs_own_may_cut_its_answers_as_often_as_it_likes(void **state)
{
	struct stage s;

	stage_open(&s, state, NULL);
	expect_python(&s, IMPORTS CUTS "print(set(told), len(told))\n", "{'IncompleteRead'} 12\n");
	scene_configure(s.scene, RULES_FOR_THIS_MACHINE);
	expect_python(&s, IMPORTS CUTS "print(told.count('IncompleteRead'), told[-1])\n", "5 ConnectionRefusedError\n");
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(every_request_of_a_kept_connection_is_counted),
		SCENE(a_fixed_rate_spaces_the_requests_of_one_connection),
		SCENE(requests_on_connections_that_were_opened_together_are_spaced),
		SCENE(retry_after_on_a_kept_connection_holds_every_process),
		SCENE(the_answer_to_what_was_sent_by_stdio_is_heard),
		SCENE(who_greets_like_an_answer_has_given_none),
		SCENE(a_request_counts_under_the_name_in_its_head),
		SCENE(the_same_head_again_is_a_request_under_the_same_name),
		SCENE(the_same_head_with_another_behind_it_is_of_its_own_kind),
		SCENE(heads_in_pieces_and_heads_together_are_counted_each),
		SCENE(what_is_no_http_passes_untouched),
		SCENE(a_conversation_goes_with_its_socket),
		SCENE(a_refused_request_on_an_open_connection_ends_it),
		SCENE(a_server_of_the_programs_own_may_cut_its_answers_as_often_as_it_likes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
