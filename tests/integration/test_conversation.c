/* Programs that speak HTTP on their own sockets: each request is admitted before it is sent and settled by its own answer. */
#include "tests/harness/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/closed_port.h"
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

/* Whatever way a loop waits in, it is woken once more for each request that was held back, and the requests are spaced. */
static void loops_of_every_kind_are_told_when_a_request_may_go(void **state)
{
	static const char script[] = IMPORTS
		"import select\n"
		"head = b'GET /n/1 HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n'\n"
		"class Epoll:\n"
		"    def __init__(self, extra): self.e=select.epoll(); self.x=extra; self.known={}\n"
		"    def ask(self, fd, out):\n"
		"        m=select.EPOLLIN|(select.EPOLLOUT if out else 0)|self.x\n"
		"        if fd in self.known: self.e.modify(fd,m)\n"
		"        else: self.e.register(fd,m); self.known[fd]=1\n"
		"    def wait(self,t): return [(fd,bool(m&select.EPOLLIN),bool(m&select.EPOLLOUT)) for fd,m in self.e.poll(t)]\n"
		"class Poll:\n"
		"    def __init__(self,_): self.p=select.poll()\n"
		"    def ask(self,fd,out): self.p.register(fd,select.POLLIN|(select.POLLOUT if out else 0))\n"
		"    def wait(self,t): return [(fd,bool(m&select.POLLIN),bool(m&select.POLLOUT)) for fd,m in "
		"self.p.poll(t*1000)]\n"
		"class Select:\n"
		"    def __init__(self,_): self.f={}\n"
		"    def ask(self,fd,out): self.f[fd]=out\n"
		"    def wait(self,t):\n"
		"        r,w,_=select.select(list(self.f),[f for f in self.f if self.f[f]],[],t)\n"
		"        return [(fd,fd in r,fd in w) for fd in set(r)|set(w)]\n"
		"def run(kind, extra=0):\n"
		"    l=kind(extra); s={}; asked={}; eagain=0; wakes=0; times=[]\n"
		"    for i in range(4):\n"
		"        x=socket.socket(); x.setblocking(False)\n"
		"        try: x.connect(('127.0.0.1',port))\n"
		"        except BlockingIOError: pass\n"
		"        s[x.fileno()]=x; asked[x.fileno()]=False; l.ask(x.fileno(),True)\n"
		"    t0=time.monotonic(); left=4\n"
		"    while left and time.monotonic()-t0<5:\n"
		"        for fd,i,o in l.wait(1):\n"
		"            wakes+=1\n"
		"            if o and not asked[fd]:\n"
		"                try: s[fd].send(head); asked[fd]=True; times.append(time.monotonic()-t0)\n"
		"                except BlockingIOError: eagain+=1\n"
		"                l.ask(fd, not asked[fd])\n"
		"            elif i:\n"
		"                assert b' 200 ' in s[fd].recv(9999); left-=1; l.ask(fd,False)\n"
		"            else: l.ask(fd, not asked[fd])\n"
		"    for x in s.values(): x.close()\n"
		"    assert left == 0 and eagain <= 4 and wakes <= 8 + eagain, (left, eagain, wakes)\n"
		"    assert times[3] - times[0] > 0.08, times\n"
		"for name,k,x in "
		"(('level',Epoll,0),('edge',Epoll,select.EPOLLET),('oneshot',Epoll,select.EPOLLONESHOT),('poll',Poll,0),('select'"
		",Select,0)): run(k, x)\n"
		"print('good')\n";
	struct stage s;

	stage_open(&s, state, NULL);
	scene_configure(s.scene, RATE_20);
	expect_python(&s, script, "good\n");
	expect_spaced(&s, 20, 0.05);
}

/* Five requests wait for a second, all in all; another host is asked meanwhile, again and again. */
static void a_loop_goes_on_while_its_requests_wait(void **state)
{
	static const char script[] =
		IMPORTS "import asyncio\n"
			"worst = 0; stop = False; served = 0\n"
			"async def one(name):\n"
			"    r, w = await asyncio.open_connection(name, port)\n"
			"    w.write(b\"GET /n/1 HTTP/1.1\\r\\nHost: %s\\r\\nConnection: close\\r\\n\\r\\n\" % name.encode())\n"
			"    d = await r.read(); w.close()\n"
			"    assert b\" 200 \" in d\n"
			"async def tick():\n"
			"    global worst\n"
			"    while not stop:\n"
			"        t = time.monotonic(); await asyncio.sleep(0.001); worst = max(worst, time.monotonic() - t)\n"
			"async def free():\n"
			"    global served\n"
			"    while not stop: await one(\"127.0.0.1\"); served += 1\n"
			"async def main():\n"
			"    global stop\n"
			"    await one(\"localhost\")\n"
			"    others = [asyncio.create_task(tick()), asyncio.create_task(free())]\n"
			"    t = time.monotonic()\n"
			"    await asyncio.gather(*[one(\"localhost\") for i in range(5)])\n"
			"    took = time.monotonic() - t\n"
			"    stop = True\n"
			"    for o in others: await o\n"
			"    assert took > 0.8, took\n"
			"    assert served > 20, served\n"
			"    assert worst < 0.5, worst\n"
			"asyncio.run(main())\n";
	struct stage s;

	stage_open(&s, state, NULL);
	scene_configure(s.scene,
			"hosts = ( { match = \"localhost\"; rate = { strategy = \"fixed\"; max = \"5/s\"; burst = 1; }; } );\n");
	expect_python(&s, script, "");
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

/* serf, while it shakes hands: it is told all the same, or it would wait for ever. */
static void a_loop_that_does_not_ask_to_write_is_told_when_it_may(void **state)
{
	struct stage s;

	stage_open(&s, state, NULL);
	scene_configure(s.scene,
			"hosts = ( { match = \"localhost\"; rate = { strategy = \"fixed\"; max = \"2/s\"; burst = 1; }; } );\n");
	expect_python(&s,
		      IMPORTS "import select\n"
			      "x = socket.create_connection(('localhost', port)); x.setblocking(False)\n"
			      "ep = select.epoll(); ep.register(x, select.EPOLLIN | select.EPOLLOUT)\n"
			      "def wait(what):\n"
			      "    for i in range(100):\n"
			      "        if any(e & what for fd, e in ep.poll(0.1)): return\n"
			      "    sys.exit('not told')\n"
			      "def get():\n"
			      "    x.send(b'GET /n/1 HTTP/1.1\\r\\nHost: localhost:%d\\r\\n\\r\\n' % port)\n"
			      "wait(select.EPOLLOUT)\n"
			      "get()\n"
			      "ep.modify(x, select.EPOLLIN)\n"
			      "wait(select.EPOLLIN)\n"
			      "assert b' 200 ' in x.recv(9999)\n"
			      "try: get()\n"
			      "except BlockingIOError:\n"
			      "    ep.modify(x, select.EPOLLIN)\n"
			      "    wait(select.EPOLLOUT)\n"
			      "    get()\n"
			      "wait(select.EPOLLIN)\n"
			      "assert b' 200 ' in x.recv(9999)\n"
			      "assert not ep.poll(0)\n",
		      "");
	expect_requests(&s, 2, 1);
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
		SCENE(loops_of_every_kind_are_told_when_a_request_may_go),
		SCENE(a_loop_that_does_not_ask_to_write_is_told_when_it_may),
		SCENE(a_loop_goes_on_while_its_requests_wait),
		SCENE(what_is_no_http_passes_untouched),
		SCENE(a_conversation_goes_with_its_socket),
		SCENE(a_refused_request_on_an_open_connection_ends_it),
		SCENE(a_server_of_the_programs_own_may_cut_its_answers_as_often_as_it_likes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
