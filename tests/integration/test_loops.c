/* Programs with an event loop: it goes on while their requests wait, and is told when they may go. */
#include "tests/harness/harness.h"

#include "tests/integration/every_agent.h"
#include "tests/integration/python_stage.h"

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
		"    l=kind(extra); s={}; asked={}; eagain=0; wakes=0; times=[]; t0=time.monotonic()\n"
		"    for i in range(4):\n"
		"        x=socket.socket(); x.setblocking(False)\n"
		"        try: x.connect(('127.0.0.1',port))\n"
		"        except BlockingIOError: pass\n"
		"        s[x.fileno()]=x; asked[x.fileno()]=False; l.ask(x.fileno(),True)\n"
		"    left=4\n"
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
		"    assert times[3] > 0.14, times\n"
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

/* Five requests wait for a second, all in all; another host is asked meanwhile, again and again. */
static void a_loop_goes_on_while_its_requests_wait(void **state)
{
	static const char script[] =
		IMPORTS "import asyncio\n"
			"ticks = 0; stop = False; served = 0\n"
			"async def one(name):\n"
			"    r, w = await asyncio.open_connection(name, port)\n"
			"    w.write(b\"GET /n/1 HTTP/1.1\\r\\nHost: %s\\r\\nConnection: close\\r\\n\\r\\n\" % name.encode())\n"
			"    d = await r.read(); w.close()\n"
			"    assert b\" 200 \" in d\n"
			"async def tick():\n"
			"    global ticks\n"
			"    while not stop: await asyncio.sleep(0.001); ticks += 1\n"
			"async def free():\n"
			"    global served\n"
			"    while not stop: await one(\"127.0.0.1\"); served += 1\n"
			"async def main():\n"
			"    global stop\n"
			"    t = time.monotonic()\n"
			"    await one(\"localhost\")\n"
			"    others = [asyncio.create_task(tick()), asyncio.create_task(free())]\n"
			"    await asyncio.gather(*[one(\"localhost\") for i in range(5)])\n"
			"    took = time.monotonic() - t\n"
			"    stop = True\n"
			"    for o in others: await o\n"
			"    assert took > 0.8, took\n"
			"    assert served > 5, served\n"
			"    assert ticks > 40, ticks\n"
			"asyncio.run(main())\n";
	struct stage s;

	stage_open(&s, state, NULL);
	scene_configure(s.scene,
			"hosts = ( { match = \"localhost\"; rate = { strategy = \"fixed\"; max = \"5/s\"; burst = 1; }; } );\n");
	expect_python(&s, script, "");
}

/* A wait that was looked up in the C library (libffi, ctypes) is not seen, and tells of a request that is held back at once that
 * it may go. Two wait for a second; another host is asked meanwhile, and the loop does not spin. */
static void a_loop_whose_waits_are_not_seen_goes_on(void **state)
{
	static const char script[] = IMPORTS
		"import ctypes, select\n"
		"class Poll(ctypes.Structure):\n"
		"    _fields_ = [('fd', ctypes.c_int), ('events', ctypes.c_short), ('found', ctypes.c_short)]\n"
		"unseen = ctypes.CDLL('libc.so.6').poll\n"
		"def glance(fd, what):\n"
		"    p = select.poll(); p.register(fd, what); return p.poll(0)\n"
		"class Talk:\n"
		"    def __init__(self, name):\n"
		"        self.x = socket.socket(); self.x.setblocking(False); self.name = name; self.sent = False; self.got = 0\n"
		"        try: self.x.connect(('127.0.0.1', port))\n"
		"        except BlockingIOError: pass\n"
		"    def turn(self):\n"
		"        if not glance(self.x.fileno(), select.POLLIN if self.sent else select.POLLOUT): return\n"
		"        try:\n"
		"            if self.sent: assert b' 200 ' in self.x.recv(9999); self.got += 1; self.sent = False\n"
		"            else: self.x.send(b'GET /n/1 HTTP/1.1\\r\\nHost: %s\\r\\n\\r\\n' % self.name); self.sent = True\n"
		"        except BlockingIOError: pass\n"
		"begun = time.monotonic()\n"
		"assert get('/n/0')[0] == 200\n"
		"waiting = [Talk(b'localhost'), Talk(b'localhost')]; free = Talk(b'127.0.0.1'); turns = 0\n"
		"while waiting:\n"
		"    all = [*waiting, free]; turns += 1\n"
		"    unseen((Poll * len(all))(*[(t.x.fileno(), 1 if t.sent else 4, 0) for t in all]), len(all), 5000)\n"
		"    for t in all: t.turn()\n"
		"    waiting = [t for t in waiting if t.got == 0]\n"
		"took = time.monotonic() - begun\n"
		"assert took > 0.9, took\n"
		"assert free.got > 10, free.got\n"
		"assert turns < 1000 * took + 200, (turns, took)\n";
	struct stage s;

	stage_open(&s, state, NULL);
	scene_configure(s.scene,
			"hosts = ( { match = \"localhost\"; rate = { strategy = \"fixed\"; max = \"2/s\"; burst = 1; }; } );\n");
	expect_python(&s, script, "");
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(loops_of_every_kind_are_told_when_a_request_may_go),
		SCENE(a_loop_that_does_not_ask_to_write_is_told_when_it_may),
		SCENE(a_loop_goes_on_while_its_requests_wait),
		SCENE(a_loop_whose_waits_are_not_seen_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
