/* Sockets that are opened, moved and handed on in other ways than by one connect and one close: each request on them is counted
 * once, under the host it goes to, and held. */
#include "tests/harness/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/closed_port.h"
#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/weir_program.h"

#define PYTHON "/usr/bin/python3"
#define RULE   "hosts = ( { match = \"127.0.0.1\"; rate = { strategy = \"fixed\"; max = \"5/s\"; burst = 1; }; } );\n"
#define GAP_S  0.2
#define FREE   "defaults = { concurrency = { mode = \"off\"; }; };\n"

struct stage {
	struct scene *scene;
	struct quotad *server;
	char port[32], closed[32], host_port[64];
	const char *env[3];
	int closed_fd;
};

static void stage_open(struct stage *s, void **state)
{
	memset(s, 0, sizeof *s);
	s->scene = *state;
	s->server = quotad_start(s->scene->dir, NULL);
	snprintf(s->port, sizeof s->port, "PORT=%d", s->server->http_port);
	snprintf(s->closed, sizeof s->closed, "CLOSED=%d", closed_port(&s->closed_fd));
	host_port_of(s->host_port, "127.0.0.1", s->server->http_port);
	s->env[0] = s->port;
	s->env[1] = s->closed;
}

#define IMPORTS                                                                                                                  \
	"import array, ctypes, os, select, socket, struct, subprocess, sys, time\n"                                              \
	"port, here = int(os.environ['PORT']), ('127.0.0.1', int(os.environ['PORT']))\n"                                         \
	"nowhere = ('127.0.0.1', int(os.environ['CLOSED']))\n"                                                                   \
	"def head(n=1): return b'GET /n/%d HTTP/1.1\\r\\nHost: 127.0.0.1:%d\\r\\n\\r\\n' % (n, port)\n"                          \
	"def answer(s):\n"                                                                                                       \
	"    got = b''\n"                                                                                                        \
	"    while b'\\r\\n\\r\\n' not in got or not got.endswith(b'\\n'):\n"                                                    \
	"        more = s.recv(9999)\n"                                                                                          \
	"        assert more, got\n"                                                                                             \
	"        got += more\n"                                                                                                  \
	"    assert b' 200 ' in got.split(b'\\r\\n')[0], got\n"                                                                  \
	"def ask(s, n=1): s.sendall(head(n)); answer(s)\n"                                                                       \
	"def errno_of(f, *a):\n"                                                                                                 \
	"    try: f(*a)\n"                                                                                                       \
	"    except OSError as e: return e.errno\n"                                                                              \
	"    return 0\n"                                                                                                         \
	"import errno\n"

static void run(const struct stage *s, enum command_mode mode, const char *script, char **out)
{
	char *file = write_file(s->scene->dir, "script.py", script);
	const char *argv[] = {PYTHON, file, NULL};
	struct outcome o = command_run(&(struct command){.argv = argv, .mode = mode, .dir = s->scene->dir, .env = s->env});

	free(file);
	if (o.exit_status != 0)
		fail_msg("exit %d: %s%s", o.exit_status, o.out, o.err);
	*out = strdup(o.out);
	outcome_free(&o);
}

/* Runs it bare and under weir with these rules: it says the same, and so many requests are counted, so far apart. */
static void expect_by(void **state, const char *rules, double gap_s, const char *script, uint64_t requests)
{
	struct quotad_arrival *a;
	struct host_counts c;
	struct stage s;
	char *bare, *under;
	size_t n;

	stage_open(&s, state);
	scene_configure(s.scene, rules);
	run(&s, COMMAND_BARE, script, &bare);
	quotad_reset(s.server);
	free(WEIR_EXPECT(s.scene, 0, "run", "true")); /* waits until the rule is in force */
	run(&s, COMMAND_UNDER_WEIR, script, &under);
	assert_string_equal(under, bare);
	free(bare);
	free(under);
	c = counts_of(s.scene, s.host_port);
	assert_int_equal(c.admitted, requests);
	assert_int_equal(c.succeeded, requests);
	assert_int_equal(c.permits, 0);
	assert_int_equal(leases_held(s.scene), 0);
	a = quotad_journal(s.server, &n);
	assert_int_equal(n, requests);
	/* The first may have come late. */
	if (a[n - 1].arrival_s - a[0].arrival_s < (double)(n - 1) * gap_s - 0.15)
		fail_msg("%zu requests within %.3f s", n, a[n - 1].arrival_s - a[0].arrival_s);
	free(a);
	close(s.closed_fd);
}

/* By the rule. */
static void expect(void **state, const char *script, uint64_t requests)
{
	expect_by(state, RULE, GAP_S, script, requests);
}

/* --- Fast open ------------------------------------------------------------------------------------------------------------- */

static void a_request_that_is_sent_with_its_connect_is_a_request(void **state)
{
	expect(state,
	       IMPORTS
	       "for way in range(3):\n"
	       "    s = socket.socket()\n"
	       "    if way == 0: assert s.sendto(head(), socket.MSG_FASTOPEN, here) == len(head())\n"
	       "    if way == 1: assert s.sendmsg([head()[:9], head()[9:]], [], socket.MSG_FASTOPEN, here) == len(head())\n"
	       "    if way == 2:\n"
	       "        s.setblocking(False)\n"
	       "        try: sent = s.sendto(head(), socket.MSG_FASTOPEN, here)\n"
	       "        except BlockingIOError:\n"
	       "            p = select.poll(); p.register(s, select.POLLOUT); p.poll(5000)\n"
	       "            assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0\n"
	       "            s.send(head())\n"
	       "        s.setblocking(True)\n"
	       "    answer(s); ask(s, 2); s.close()\n"
	       "print(errno_of(socket.socket().sendto, head(), socket.MSG_FASTOPEN, nowhere))\n"
	       "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
	       "print(errno_of(u.sendto, head(), socket.MSG_FASTOPEN, nowhere))\n",
	       6);
}

/* TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE: connect succeeds at once, and connects with what is sent. */
static void a_connect_that_is_put_off_is_one_attempt(void **state)
{
	expect(state,
	       IMPORTS
	       "def put_off(to):\n"
	       "    s = socket.socket()\n"
	       "    s.setsockopt(socket.IPPROTO_TCP, 30, 1); s.setsockopt(socket.IPPROTO_TCP, 34, 1)\n"
	       "    s.connect(to)\n"
	       "    return s\n"
	       "s = put_off(here); s.setblocking(False); print(errno_of(s.connect, here)); s.settimeout(5); ask(s); ask(s)\n"
	       "s = put_off(nowhere); print(errno_of(s.send, head()) or errno_of(s.recv, 9))\n",
	       2);
}

/* --- Connects on one socket ------------------------------------------------------------------------------------------------ */

static void a_second_connect_is_a_new_attempt_only_where_there_is_nothing_yet(void **state)
{
	expect(state,
	       IMPORTS "s = socket.socket(); s.setblocking(False)\n"
		       "print(s.connect_ex(here))\n"
		       "select.select([], [s], [], 5)\n"
		       "print(s.connect_ex(here) in (0, errno.EISCONN), s.connect_ex(here))\n"
		       "s.setblocking(True); ask(s)\n"
		       "print(errno_of(s.connect, here)); ask(s)\n"
		       /* after a failure */
		       "s = socket.socket()\n"
		       "print(errno_of(s.connect, nowhere)); s.connect(here); ask(s)\n"
		       /* after the connection was cut, under another name as well */
		       "t = s.dup()\n"
		       "libc = ctypes.CDLL(None)\n"
		       "assert libc.connect(s.fileno(), struct.pack('=H14x', 0), 16) == 0\n"
		       "print(errno_of(t.send, head()))\n"
		       "s.connect(here); ask(s); ask(t)\n",
	       5);
}

static void an_ipv4_address_in_ipv6_is_the_ipv4_host(void **state)
{
	expect(state,
	       IMPORTS "for n in range(2):\n"
		       "    s = socket.socket(socket.AF_INET6); s.connect(('::ffff:127.0.0.1', port)); ask(s); s.close()\n"
		       "s = socket.socket(socket.AF_INET6); s.setblocking(False); s.connect_ex(('::ffff:127.0.0.1', port))\n"
		       "select.select([], [s], [], 5); s.setblocking(True); ask(s)\n",
	       3);
}

/* --- Sockets that move ----------------------------------------------------------------------------------------------------- */

static void a_socket_is_the_same_under_every_number(void **state)
{
	expect(state,
	       IMPORTS "import fcntl\n"
		       "s = socket.create_connection(here); ask(s)\n"
		       "def named(fd): return socket.socket(fileno=fd)\n"
		       "a = named(os.dup(s.fileno())); ask(a)\n"
		       "b = named(os.dup2(s.fileno(), 77)); s.close(); ask(b)\n"
		       "c = named(fcntl.fcntl(b, fcntl.F_DUPFD, 90)); b.close(); ask(c)\n"
		       "d = named(fcntl.fcntl(c, fcntl.F_DUPFD_CLOEXEC, 120)); a.close(); c.close(); ask(d)\n"
		       "libc = ctypes.CDLL(None)\n"
		       "e = named(libc.dup3(d.fileno(), 130, os.O_CLOEXEC)); d.close(); ask(e)\n",
	       6);
}

static void a_connection_is_inherited_over_fork(void **state)
{
	expect(state,
	       IMPORTS "def child(f):\n"
		       "    pid = os.fork()\n"
		       "    if pid == 0:\n"
		       "        try: f(); os._exit(0)\n"
		       "        finally: os._exit(1)\n"
		       "    assert os.waitpid(pid, 0)[1] == 0\n"
		       /* first used by the child alone; by both; by a child's child */
		       "s = socket.create_connection(here); child(lambda: ask(s)); s.close()\n"
		       "s = socket.create_connection(here); ask(s); child(lambda: ask(s)); ask(s); s.close()\n"
		       "s = socket.create_connection(here); child(lambda: child(lambda: ask(s))); ask(s)\n",
	       6);
}

/* The program that is executed knows nothing of the connection but that it has it. */
static void a_connection_is_inherited_over_exec(void **state)
{
	expect(state,
	       IMPORTS "if len(sys.argv) > 1:\n"
		       "    s = socket.socket(fileno=int(sys.argv[1])); ask(s, 2); ask(s, 3); os._exit(0)\n"
		       "s = socket.create_connection(here); ask(s); s.set_inheritable(True)\n"
		       "subprocess.run([sys.executable, sys.argv[0], str(s.fileno())], pass_fds=[s.fileno()], check=True)\n"
		       "ask(s, 4)\n"
		       "os.execv(sys.executable, [sys.executable, sys.argv[0], str(s.fileno())])\n",
	       6);
}

static void a_connection_is_passed_to_another_process(void **state)
{
	expect(state,
	       IMPORTS "a, b = socket.socketpair()\n"
		       "pid = os.fork()\n"
		       "if pid == 0:\n"
		       "    for i in range(2):\n"
		       /* its number may have been another connection's, which nobody has seen closed */
		       "        if i == 1:\n"
		       "            x = socket.create_connection(here); ask(x); n = x.detach()\n"
		       "            ctypes.CDLL(None).syscall(3, n)\n"
		       "        fd = array.array('i', a.recvmsg(1, socket.CMSG_SPACE(4))[1][0][2])[0]\n"
		       "        assert i == 0 or fd == n\n"
		       "        s = socket.socket(fileno=fd); ask(s); ask(s); s.close(); a.send(b'x')\n"
		       "    os._exit(0)\n"
		       "for i in range(2):\n"
		       "    s = socket.create_connection(here); ask(s)\n"
		       "    b.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [s.fileno()]))])\n"
		       "    s.close(); b.recv(1)\n"
		       "assert os.waitpid(pid, 0)[1] == 0\n",
	       7);
}

static void a_number_that_was_closed_unseen_is_no_connection(void **state)
{
	expect(state,
	       IMPORTS "libc = ctypes.CDLL(None)\n"
		       "ways = [lambda n: libc.syscall(3, n), lambda n: libc.close_range(n, n, 0), libc.closefrom]\n"
		       "for way in ways:\n"
		       "    s = socket.create_connection(here); ask(s); n = s.detach(); way(n)\n"
		       "    a = os.open('/dev/null', os.O_RDWR); assert a == n\n"
		       "    os.write(a, head()); os.read(a, 99); os.close(a)\n"
		       /* a server's own connection under that number, and one that is opened anew */
		       "    l = socket.create_server(('127.0.0.1', 0))\n"
		       "    s = socket.create_connection(here); m = s.detach(); ask(socket.socket(fileno=os.dup(m))); way(m)\n"
		       "    c = socket.socket(); c.setblocking(False); c.connect_ex(l.getsockname()); x = l.accept()[0]\n"
		       "    x.send(b'HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n'); x.close(); c.close(); l.close()\n",
	       6);
}

/* Where nothing is limited the same head from the same place is not asked for before it is sent. */
static void what_is_sent_again_to_a_number_that_was_closed_unseen_is_no_request(void **state)
{
	expect_by(state, FREE, 0,
		  IMPORTS "libc = ctypes.CDLL(None)\n"
			  "h = head()\n"
			  "def again(s): s.sendall(h); answer(s)\n"
			  "def read(a): os.read(a, 99)\n"
			  "def twice(a): os.write(a, h)\n"
			  "for name in '/dev/null', '/dev/zero':\n"
			  "    for after in read, twice, os.close, lambda a: os.dup2(2, a):\n"
			  "        s = socket.create_connection(here); again(s); again(s); again(s)\n"
			  "        n = s.detach(); libc.syscall(3, n)\n"
			  "        a = os.open(name, os.O_RDWR); assert a == n\n"
			  "        os.write(a, h); after(a)\n"
			  "        if after != os.close: os.close(a)\n"
			  /* closed, and nothing in its place */
			  "s = socket.create_connection(here); again(s); again(s); n = s.detach(); libc.syscall(3, n)\n"
			  "assert errno_of(os.write, n, h) == errno.EBADF\n"
			  "s = socket.create_connection(here); assert s.fileno() == n; again(s); again(s)\n",
		  28);
}

static void what_is_sent_from_the_same_place_is_looked_at(void **state)
{
	struct stage s;
	char *out, other[64];

	stage_open(&s, state);
	if (access(PYTHON, X_OK) != 0)
		skip();
	scene_configure(s.scene, FREE);
	run(&s, COMMAND_UNDER_WEIR,
	    IMPORTS "h = bytearray(head()); s = socket.create_connection(here)\n"
		    "for i in range(4): s.sendall(h); answer(s)\n"
		    "at = h.index(b'127.0.0.1'); h[at:at + 9] = b'127.0.0.2'\n"
		    "for i in range(3): s.sendall(h); answer(s)\n",
	    &out);
	free(out);
	assert_int_equal(counts_of(s.scene, s.host_port).succeeded, 4);
	assert_int_equal(counts_of(s.scene, host_port_of(other, "127.0.0.2", s.server->http_port)).succeeded, 3);
	assert_int_equal(leases_held(s.scene), 0);
	close(s.closed_fd);
}

/* Neither a server's answer, long enough to be looked at and with what a request has in it, nor a byte that lies nowhere, which
 * programs write to find out whether it does. */
static void what_is_sent_by_servers_and_to_pipes_is_no_request(void **state)
{
	static const char script[] =
		IMPORTS "l = socket.create_server(('127.0.0.1', 0))\n"
			"c = socket.create_connection(l.getsockname()); s, _ = l.accept()\n"
			"c.sendall(b'GET /a HTTP/1.1\\r\\nHost: 127.0.0.1:%d\\r\\n\\r\\n' % l.getsockname()[1]); s.recv(999)\n"
			"s.sendall(b'HTTP/1.1 302 Found\\r\\nLocation: /b\\r\\nX: ' + b'x' * 99 + b' /\\r\\nContent-Length: "
			"0\\r\\n\\r\\n')\n"
			"assert b'302' in c.recv(999)\n"
			"libc = ctypes.CDLL(None, use_errno=True); r, w = os.pipe()\n"
			"assert libc.write(w, ctypes.c_void_p(1), 1) == -1 and ctypes.get_errno() == errno.EFAULT\n"
			"print(c.getsockname()[1], l.getsockname()[1])\n";
	int client = 0, server = 0;
	struct stage s;
	char key[64], *out;

	stage_open(&s, state);
	if (access(PYTHON, X_OK) != 0)
		skip();
	run(&s, COMMAND_UNDER_WEIR, script, &out);
	assert_int_equal(sscanf(out, "%d %d", &client, &server), 2);
	free(out);
	assert_int_equal(counts_of(s.scene, host_port_of(key, "127.0.0.1", server)).succeeded, 1);
	assert_int_equal(counts_of(s.scene, host_port_of(key, "127.0.0.1", client)).admitted, 0);
}

/* A child that ends its copy of a connection tells the set, which is its parent's as well, what its memory has of it. */
static void a_child_s_close_does_not_wake_its_parent_s_loop(void **state)
{
	expect(state,
	       IMPORTS "s = socket.create_connection(here); ask(s); s.setblocking(False)\n"
		       "e = select.epoll(); e.register(s, select.EPOLLOUT); assert e.poll(5)\n"
		       "wakes = tries = 0\n"
		       "while True:\n"
		       "    try: s.sendall(head()); break\n"
		       "    except BlockingIOError: pass\n"
		       "    if tries == 0:\n"
		       "        pid = os.fork()\n"
		       "        if pid == 0: s.close(); os._exit(0)\n"
		       "        os.waitpid(pid, 0)\n"
		       "    tries += 1\n"
		       "    wakes += len(e.poll(5))\n"
		       "print(wakes <= 4); s.setblocking(True); answer(s)\n",
	       2);
}

/* --- Pointers that lead nowhere -------------------------------------------------------------------------------------------- */

/* `nowheres` are addresses of which the kernel says EFAULT; `edge(b)` is where b lies before such a page. */
#define NOWHERE                                                                                                                  \
	"libc = ctypes.CDLL(None, use_errno=True); P, I = ctypes.c_void_p, ctypes.c_int\n"                                       \
	"libc.mmap.restype = P; libc.mmap.argtypes = [P, ctypes.c_size_t, I, I, I, ctypes.c_long]\n"                             \
	"at = libc.mmap(None, 8192, 3, 0x22, -1, 0); assert libc.mprotect(P(at + 4096), 4096, 0) == 0\n"                         \
	"nowheres = [1, 0x7ff0_0000_0000_0000, at + 4096, at + 6000]\n"                                                          \
	"def edge(b): ctypes.memmove(at + 4096 - len(b), b, len(b)); return at + 4096 - len(b)\n"                                \
	"def fault(f, *a):\n"                                                                                                    \
	"    ctypes.set_errno(0); n = f(*[P(x) if i in where or (type(x) is int and x >> 31) else x for i, x in "                \
	"enumerate(a)])\n"                                                                                                       \
	"    assert n == -1 and ctypes.get_errno() == errno.EFAULT, (f.__name__, a, n, ctypes.get_errno())\n"                    \
	"def words(*w): return struct.pack('%dQ' % len(w), *w)\n"

static void a_pointer_that_leads_nowhere_is_the_program_s_error_on_sockets(void **state)
{
	expect(state,
	       IMPORTS NOWHERE
	       "def abuse(s):\n"
	       "    global where\n"
	       "    fd = s.fileno()\n"
	       "    for x in nowheres:\n"
	       "        where = (1,)\n"
	       "        fault(libc.send, fd, x, 99, 0); fault(libc.write, fd, x, 99); fault(libc.sendto, fd, x, 99, 0, None, 0)\n"
	       "        fault(libc.writev, fd, x, 2); fault(libc.readv, fd, x, 2)\n"
	       "        fault(libc.sendmsg, fd, x, 0); fault(libc.recvmsg, fd, x, 0)\n"
	       "        parts = ctypes.create_string_buffer(words(x, 99, x, 99)); iov = ctypes.addressof(parts)\n"
	       "        fault(libc.writev, fd, iov, 2)\n"
	       "        for m in words(0, 0, x, 2, 0, 0, 0), words(0, 0, iov, 2, 0, 0, 0):\n"
	       "            m = ctypes.create_string_buffer(m); fault(libc.sendmsg, fd, ctypes.addressof(m), 0)\n"
	       /* begins well */
	       "    fault(libc.writev, fd, edge(words(at)), 1); fault(libc.sendmsg, fd, edge(words(0, 0)), 0)\n"
	       "s = socket.socket()\n"
	       "for x in nowheres:\n"
	       "    where = (1,); fault(libc.connect, s.fileno(), x, 16)\n"
	       "    where = (4,); fault(libc.sendto, s.fileno(), head(), 9, socket.MSG_FASTOPEN, x, 16)\n"
	       "    where = (1,); fault(libc.sendmsg, s.fileno(), x, socket.MSG_FASTOPEN)\n"
	       "    m = ctypes.create_string_buffer(words(x, 16, 0, 0, 0, 0, 0))\n"
	       "    fault(libc.sendmsg, s.fileno(), ctypes.addressof(m), socket.MSG_FASTOPEN)\n"
	       "fault(libc.connect, s.fileno(), edge(struct.pack('=HH', 2, socket.htons(port))), 16)\n"
	       /* before the first request, between two, with one that waits for its answer, and on one that came from elsewhere
		*/
	       "s.connect(here); abuse(s); ask(s); abuse(s); s.sendall(head()); abuse(s); answer(s)\n"
	       "n = libc.syscall(41, 2, 1, 0); a = struct.pack('=HH4s8x', 2, socket.htons(port), socket.inet_aton('127.0.0.1'))\n"
	       "assert libc.syscall(42, n, a, 16) == 0; s = socket.socket(fileno=n); abuse(s); ask(s); abuse(s)\n"
	       "r, w = os.pipe()\n"
	       "for x in nowheres: where = (1,); fault(libc.write, w, x, 99); fault(libc.writev, w, x, 2)\n",
	       3);
}

static void what_was_unmapped_and_is_sent_again_is_the_program_s_error(void **state)
{
	expect(state,
	       IMPORTS NOWHERE "h = head(); n = len(h); s = socket.create_connection(here); libc.mmap.restype = ctypes.c_void_p\n"
			       "p = libc.mmap(None, 4096, 3, 0x22, -1, 0); ctypes.memmove(p, h, n)\n"
			       "for i in range(4):\n"
			       "    assert libc.send(s.fileno(), P(p), n, 0) == n; answer(s)\n"
			       "assert libc.munmap(P(p), 4096) == 0\n"
			       "assert libc.send(s.fileno(), P(p), n, 0) == -1 and ctypes.get_errno() == errno.EFAULT\n"
			       "ask(s)\n",
	       5);
}

/* AddressSanitizer reads what is given to poll and posix_spawn before the hooks do. */
#ifdef __SANITIZE_ADDRESS__
#define SANITIZER_READS_FIRST true
#else
#define SANITIZER_READS_FIRST false
#endif

/* While a request is held back the waits are looked into. */
static void a_pointer_that_leads_nowhere_is_the_program_s_error_in_waits(void **state)
{
	if (SANITIZER_READS_FIRST)
		skip();
	expect(state,
	       IMPORTS NOWHERE
	       "def abuse(s, e):\n"
	       "    global where\n"
	       "    for x in nowheres:\n"
	       "        where = (0,); fault(libc.poll, x, 2, 1); fault(libc.ppoll, x, 2, None, None)\n"
	       "        for i in 1, 2, 3:\n"
	       "            where = (i,); a = [1024, None, None, None, None]; a[i] = x\n"
	       "            fault(libc.select, *a); fault(libc.pselect, *a, None)\n"
	       "        where = (3,); fault(libc.epoll_ctl, e.fileno(), 3, s.fileno(), x)\n"
	       "        assert libc.epoll_ctl(e.fileno(), 2, s.fileno(), P(x)) == 0\n"
	       "        e.register(s, select.EPOLLOUT)\n"
	       "s = socket.create_connection(here); e = select.epoll(); e.register(s, select.EPOLLOUT); abuse(s, e); ask(s)\n"
	       "s.setblocking(False); assert e.poll(5)\n"
	       "try: s.sendall(head())\n"
	       "except BlockingIOError:\n"
	       "    abuse(s, e)\n"
	       "    while True:\n"
	       "        assert e.poll(5)\n"
	       "        try: s.sendall(head()); break\n"
	       "        except BlockingIOError: pass\n"
	       "s.setblocking(True); answer(s); abuse(s, e)\n",
	       2);
}

static void a_pointer_that_leads_nowhere_is_the_program_s_error_in_exec(void **state)
{
	struct stage s;
	char *bare, *under;
	static const char script[] = IMPORTS NOWHERE
		"true = b'/bin/true'; argv = (ctypes.c_char_p * 2)(true, None); good = (ctypes.c_char_p * 2)(b'A=1', None)\n"
		"for x in nowheres:\n"
		"    where = (0,); fault(libc.execve, x, argv, good); fault(libc.execv, x, argv)\n"
		"    where = (2,); fault(libc.execve, true, argv, x); fault(libc.execvpe, true, argv, x)\n"
		"    fault(libc.fexecve, os.open(true, os.O_RDONLY), argv, x)\n"
		"    where = (1,); fault(libc.execve, true, x, good); fault(libc.execveat, -100, x, argv, good, 0x1000)\n"
		"    where = (3,); fault(libc.execveat, -100, true, argv, x, 0)\n"
		"    env = ctypes.create_string_buffer(words(x, 0)); where = (); fault(libc.execve, true, argv, env)\n"
		"    pid = ctypes.c_int(); print(libc.posix_spawn(ctypes.byref(pid), true, None, None, argv, P(x)), flush=True)\n"
		"where = (2,); fault(libc.execve, true, argv, "
		"edge(words(ctypes.addressof(ctypes.create_string_buffer(b'A=1')))))\n"
		"env = ctypes.create_string_buffer(words(edge(b'LD_PRELOAD=libx'), 0)); where = (); fault(libc.execve, true, "
		"argv, env)\n"
		/* One that is whole and ends with its page is none of these. */
		"env = ctypes.create_string_buffer(words(edge(b'A=1\\0'), 0)); libc.execve(true, argv, env)\n";

	if (SANITIZER_READS_FIRST)
		skip();
	stage_open(&s, state);
	run(&s, COMMAND_BARE, script, &bare);
	run(&s, COMMAND_UNDER_WEIR, script, &under);
	assert_string_equal(under, bare);
	free(bare);
	free(under);
	close(s.closed_fd);
}

/* Programs ask for their machine's name to call themselves something, and its address may be that of the loopback. */
static void the_machine_s_own_name_is_not_that_of_its_loopback_address(void **state)
{
	static const char hosts[] = "127.0.0.1 localhost\n127.0.0.1 weir-test.invalid weir-test\n";
	static const char script[] = "import os, socket, sys\n"
				     "socket.getaddrinfo(os.uname().nodename, 80); socket.gethostbyname(os.uname().nodename)\n"
				     "s = socket.socket(); s.connect(('127.0.0.1', int(sys.argv[1]))); s.close()\n";
	char port[16];
	const char *const inner = "mount --bind \"$0\" /etc/hosts && hostname weir-test && exec \"$@\"";
	struct stage s;
	char *file, *program;
	struct outcome o;

	stage_open(&s, state);
	file = write_file(s.scene->dir, "hosts", hosts);
	program = write_file(s.scene->dir, "script.py", script);
	snprintf(port, sizeof port, "%d", s.server->http_port);
	o = command_run(&(struct command){
		.argv = (const char *[]){"unshare", "-um", "sh", "-c", inner, file, PYTHON, program, port, NULL},
		.mode = COMMAND_UNDER_WEIR,
		.dir = s.scene->dir});
	free(file);
	free(program);
	close(s.closed_fd);
	if (o.exit_status != 0 && strstr(o.err, "unshare:")) {
		outcome_free(&o);
		skip();
	}
	if (o.exit_status != 0)
		fail_msg("exit %d: %s", o.exit_status, o.err);
	outcome_free(&o);
	assert_int_equal(counts_of(s.scene, s.host_port).admitted, 1);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(a_request_that_is_sent_with_its_connect_is_a_request),
		SCENE(a_connect_that_is_put_off_is_one_attempt),
		SCENE(a_second_connect_is_a_new_attempt_only_where_there_is_nothing_yet),
		SCENE(an_ipv4_address_in_ipv6_is_the_ipv4_host),
		SCENE(a_socket_is_the_same_under_every_number),
		SCENE(a_connection_is_inherited_over_fork),
		SCENE(a_child_s_close_does_not_wake_its_parent_s_loop),
		SCENE(a_connection_is_inherited_over_exec),
		SCENE(a_connection_is_passed_to_another_process),
		SCENE(what_is_sent_by_servers_and_to_pipes_is_no_request),
		SCENE(a_pointer_that_leads_nowhere_is_the_program_s_error_on_sockets),
		SCENE(a_pointer_that_leads_nowhere_is_the_program_s_error_in_waits),
		SCENE(a_pointer_that_leads_nowhere_is_the_program_s_error_in_exec),
		SCENE(the_machine_s_own_name_is_not_that_of_its_loopback_address),
		SCENE(a_number_that_was_closed_unseen_is_no_connection),
		SCENE(what_is_sent_again_to_a_number_that_was_closed_unseen_is_no_request),
		SCENE(what_is_sent_from_the_same_place_is_looked_at),
		SCENE(what_was_unmapped_and_is_sent_again_is_the_program_s_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
