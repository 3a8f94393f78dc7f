/* Programs that connect by themselves, under weir: the same as without; their connects are asked for, and count by name. */
#include "tests/harness/harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/integration/closed_port.h"
#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/weir_program.h"

#define SLACK_S 0.5

struct stage {
	struct scene *scene;
	struct quotad *server;
	char *env[6];
	int closed, closed_fd;
	char host_port[64], closed_host_port[64];
};

static void stage_open(struct stage *s, void **state)
{
	static const char *const with_tls[] = {"--tls", NULL};
	size_t n = 0;

	require_localhost();
	memset(s, 0, sizeof *s);
	s->scene = *state;
	s->server = quotad_start(s->scene->dir, with_tls);
	s->closed = closed_port(&s->closed_fd);
	assert_true(asprintf(&s->env[n++], "U=http://localhost:%d", s->server->http_port) > 0);
	assert_true(asprintf(&s->env[n++], "PORT=%d", s->server->http_port) > 0);
	assert_true(asprintf(&s->env[n++], "CLOSED=%d", s->closed) > 0);
	assert_true(asprintf(&s->env[n++], "D=%s", s->scene->dir) > 0);
	host_port_of(s->host_port, "localhost", s->server->http_port);
	host_port_of(s->closed_host_port, "localhost", s->closed);
}

static void stage_close(struct stage *s)
{
	for (size_t i = 0; s->env[i]; i++)
		free(s->env[i]);
	close(s->closed_fd);
}

static struct outcome run(struct stage *s, const char *shell)
{
	struct command c = {.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = s->scene->dir, .env = (const char *const *)s->env};

	return command_run(&c);
}

static void expect(struct stage *s, const char *shell, int exit_status, const char *out)
{
	struct outcome o = run(s, shell);

	assert_string_equal(o.out, out);
	assert_int_equal(o.exit_status, exit_status);
	outcome_free(&o);
}

#define PYTHON         "/usr/bin/python3 -c '"
#define GET(arguments) PYTHON "import os, urllib.request as u; print(u.urlopen(" arguments ").read())'"
#define BASE           "os.environ[\"U\"]"
#define DEAD           "\"http://localhost:\" + os.environ[\"CLOSED\"]"

static const char *const command_lines[] = {
	"wget -qO- $U/n/1",
	"wget -qO- $U/n/1 $U/n/2 $U/n/3",
	"wget -qO- $U/status/404",
	"wget -qO- $U/redirect/$PORT/n/4",
	"wget -q -O $D/out $U/bytes/100000 && cksum <$D/out",
	"wget -qO- -t 1 http://localhost:$CLOSED/",
	"wget -qO- -t 1 -T 5 $U/n/1",
	"wget -qO- -t 1 -T 0.3 $U/delay/5000",
	GET(BASE " + \"/n/1\""),
	GET(BASE " + \"/n/1\", timeout=5"),
	GET(BASE " + \"/n/1\", data=b\"x\""),
	PYTHON "import os, http.client as h\n"
	       "c = h.HTTPConnection(\"localhost\", int(os.environ[\"PORT\"]))\n"
	       "for i in range(3):\n"
	       "    c.request(\"GET\", \"/n/%d\" % i)\n"
	       "    print(c.getresponse().read())'",
	PYTHON "import os, socket\n"
	       "for wait in (None, 5):\n"
	       "    try: socket.create_connection((\"localhost\", int(os.environ[\"CLOSED\"])), wait)\n"
	       "    except OSError as e: print(e.errno)'",
	PYTHON "import asyncio, os\n"
	       "async def get():\n"
	       "    r, w = await asyncio.open_connection(\"localhost\", int(os.environ[\"PORT\"]))\n"
	       "    w.write(b\"GET /n/7 HTTP/1.0\\r\\n\\r\\n\")\n"
	       "    print((await r.read()).split(b\"\\r\\n\\r\\n\")[1])\n"
	       "asyncio.run(get())'",
	"bash -c 'exec 3<>/dev/tcp/localhost/$PORT && printf \"GET /n/5 HTTP/1.0\\r\\n\\r\\n\" >&3 && tail -n 1 <&3'",
	"bash -c 'exec 3<>/dev/tcp/localhost/$CLOSED' 2>/dev/null",
	"git ls-remote $U/status/404 2>&1",
	"git ls-remote http://localhost:$CLOSED/x 2>/dev/null",
};

static void programs_do_what_they_do_without_weir(void **state)
{
	struct stage s;

	stage_open(&s, state);
	for (size_t i = 0; i < sizeof command_lines / sizeof command_lines[0]; i++) {
		struct command c = {.shell = command_lines[i], .dir = s.scene->dir, .env = (const char *const *)s.env};

		assert_same_with_and_without_weir(&c, SAME_OUTPUT);
	}
	assert_int_equal(leases_held(s.scene), 0);
	stage_close(&s);
}

static void a_connection_counts_under_the_name_that_was_asked_for(void **state)
{
	struct stage s;
	char numeric[64];

	stage_open(&s, state);
	expect(&s, "wget -qO- $U/n/1 $U/n/2", 0, "1\n2\n"); /* one connection, two requests */
	expect(&s, "wget -qO- http://127.0.0.1:$PORT/n/3", 0, "3\n");
	expect(&s, PYTHON "import os, urllib.request as u; print(u.urlopen(\"http://127.1:\" + os.environ[\"PORT\"]).status)'", 0,
	       "200\n");
	assert_int_equal(counts_of(s.scene, s.host_port).succeeded, 2);
	assert_int_equal(counts_of(s.scene, s.host_port).connections, 1);
	assert_int_equal(counts_of(s.scene, host_port_of(numeric, "127.0.0.1", s.server->http_port)).succeeded, 2);
	stage_close(&s);
}

static void a_non_blocking_connection_counts_once_and_succeeds(void **state)
{
	struct stage s;
	struct host_counts n;

	stage_open(&s, state);
	expect(&s, GET(BASE " + \"/n/1\", timeout=5"), 0, "b'1\\n'\n");
	n = counts_of(s.scene, s.host_port);
	assert_int_equal(n.admitted, 1);
	assert_int_equal(n.succeeded, 1);
	assert_int_equal(n.permits, 0);
	stage_close(&s);
}

/* Open for a minute: programs may take long to start. */
#define OPEN_FOR_LONG "hosts = ( { match = \"localhost\"; breaker = { open_time = \"1m\"; open_time_max = \"1m\"; }; } );\n"

/* The server is gone: after the threshold no connection is tried any more, and the program is told at once. */
static void expect_the_breaker(struct stage *s, const char *shell)
{
	struct host_counts n;
	struct outcome o;

	scene_configure(s->scene, OPEN_FOR_LONG);
	for (int i = 0; i < 5; i++) {
		o = run(s, shell);
		assert_int_not_equal(o.exit_status, 0);
		outcome_free(&o);
	}
	n = counts_of(s->scene, s->closed_host_port);
	assert_int_equal(n.failed, 5);
	assert_int_equal(n.refused, 0);
	o = run(s, shell);
	assert_int_not_equal(o.exit_status, 0);
	outcome_free(&o);
	n = counts_of(s->scene, s->closed_host_port);
	assert_int_equal(n.failed, 5);
	assert_int_equal(n.refused, 1);
	assert_int_equal(leases_held(s->scene), 0);
}

static void wget_is_refused_by_an_open_breaker(void **state)
{
	struct stage s;
	struct outcome o;

	stage_open(&s, state);
	expect_the_breaker(&s, "wget -qO- -t 1 http://localhost:$CLOSED/");
	o = run(&s, "wget -O- -t 1 http://localhost:$CLOSED/");
	assert_int_equal(o.exit_status, 4);
	assert_non_null(strstr(o.err, "Connection refused"));
	outcome_free(&o);
	stage_close(&s);
}

static void python_is_refused_by_an_open_breaker(void **state)
{
	struct stage s;
	struct outcome o;

	stage_open(&s, state);
	expect_the_breaker(&s, GET(DEAD));
	o = run(&s, GET(DEAD));
	assert_non_null(strstr(o.err, "Connection refused"));
	outcome_free(&o);
	stage_close(&s);
}

static void python_with_a_time_out_is_refused_by_an_open_breaker(void **state)
{
	struct stage s;

	stage_open(&s, state);
	expect_the_breaker(&s, GET(DEAD ", timeout=5"));
	stage_close(&s);
}

static void a_connection_that_would_wait_too_long_times_out_at_once(void **state)
{
	static const char config[] = "hosts = ( { match = \"localhost\"; rate = { strategy = \"fixed\"; max = \"1/m\"; "
				     "burst = 1; }; wait = { max = \"2s\"; }; } );\n";
	struct stage s;
	char *file;

	stage_open(&s, state);
	file = scene_rules_file(s.scene, config);
	for (int i = 0; i < 2; i++) {
		struct command c = {.shell = PYTHON "import os, socket\n"
						    "try: socket.create_connection((\"localhost\", int(os.environ[\"PORT\"])))\n"
						    "except OSError as e: print(type(e).__name__)'",
				    .mode = COMMAND_UNDER_WEIR,
				    .dir = s.scene->dir,
				    .config = file,
				    .env = (const char *const *)s.env};
		struct outcome o = command_run(&c);

		assert_string_equal(o.out, i == 0 ? "" : "TimeoutError\n");
		assert_true(o.seconds < 1 + SLACK_S);
		outcome_free(&o);
	}
	free(file);
	stage_close(&s);
}

static void connections_of_one_host_are_spaced_at_its_rate(void **state)
{
	static const char config[] =
		"hosts = ( { match = \"localhost\"; rate = { strategy = \"fixed\"; max = \"10/s\"; burst = 1; }; } );\n";
	struct stage s;
	char *file;
	struct outcome o;

	stage_open(&s, state);
	file = scene_rules_file(s.scene, config);
	o = command_run(&(struct command){.shell = "for i in 1 2 3 4 5 6; do wget -qO- $U/n/$i; done",
					  .mode = COMMAND_UNDER_WEIR,
					  .dir = s.scene->dir,
					  .config = file,
					  .env = (const char *const *)s.env});
	assert_string_equal(o.out, "1\n2\n3\n4\n5\n6\n");
	assert_true(o.seconds >= 0.5);
	assert_int_equal(counts_under(s.scene, file, s.host_port).admitted, 6);
	outcome_free(&o);
	free(file);
	stage_close(&s);
}

/* wget leaves connect by longjmp from SIGALRM. A lease that stayed behind would block the next try of the same process for as
 * long as a lease lasts. */
static void a_time_out_that_jumps_out_of_connect_leaves_no_permit_behind(void **state)
{
	static const char config[] = "hosts = ( { match = \"*\"; concurrency = { mode = \"fixed\"; max = 1; }; } );\n";
	struct stage s;
	struct host_counts n;
	char *file;
	struct outcome o;

	stage_open(&s, state);
	file = scene_rules_file(s.scene, config);
	quotad_outage(s.server, "blackhole", 0);
	o = command_run(&(struct command){.shell = "wget -qO- -t 3 --waitretry=0 --connect-timeout=0.4 $U/n/1",
					  .mode = COMMAND_UNDER_WEIR,
					  .dir = s.scene->dir,
					  .config = file,
					  .env = (const char *const *)s.env});
	assert_int_equal(o.exit_status, 4);
	assert_true(o.seconds < 3);
	n = counts_under(s.scene, file, s.host_port);
	assert_int_equal(n.admitted, 3);
	/* 0.4 s of patience with a host that nobody has heard of yet says nothing of the host. */
	assert_int_equal(n.ignored, 3);
	assert_int_equal(n.permits, 0);
	outcome_free(&o);
	free(file);
	stage_close(&s);
}

/* Runs the command where both.test has the addresses ::1 and 127.0.0.1, in this order, and one.test and two.test share one. False
 * where that cannot be made. */
static bool run_with_two_addresses(struct stage *s, const char *config, const char *command, struct outcome *o)
{
	char *hosts = write_file(s->scene->dir, "hosts",
				 "::1 both.test\n127.0.0.1 both.test\n127.0.0.1 one.test\n127.0.0.1 two.test\n");
	char shell[1500];
	struct outcome can;
	bool possible;

	can = command_run(&(struct command){.shell = "unshare -m true && test -e /proc/net/if_inet6"});
	possible = can.exit_status == 0;
	outcome_free(&can);
	snprintf(shell, sizeof shell, "exec unshare -m sh -c 'mount --bind \"$0\" /etc/hosts && %s' %s", command, hosts);
	if (possible)
		*o = command_run(&(struct command){.shell = shell,
						   .mode = COMMAND_UNDER_WEIR,
						   .dir = s->scene->dir,
						   .config = config,
						   .env = (const char *const *)s->env});
	free(hosts);
	return possible;
}

static void the_second_address_of_a_host_goes_on_the_unit_of_the_first(void **state)
{
	static const char config[] = "hosts = ( { match = \"both.test\"; rate = { strategy = \"fixed\"; max = \"1/m\"; "
				     "burst = 1; }; wait = { max = \"1s\"; }; } );\n";
	static const char *const commands[] = {
		"wget -qO- -t 1 http://both.test:$PORT/n/1",
		"/usr/bin/python3 -c \"import urllib.request as u; "
		"print(u.urlopen(\\\"http://both.test:$PORT/n/1\\\", timeout=5).status)\"",
	};
	struct stage s;
	struct host_counts n;
	struct outcome o = {0};
	char key[64];

	stage_open(&s, state);
	host_port_of(key, "both.test", s.server->http_port);
	for (size_t i = 0; i < 2; i++) {
		char name[32], *file;

		snprintf(name, sizeof name, "weir%zu.conf", i);
		file = write_file(s.scene->dir, name, config);
		if (!run_with_two_addresses(&s, file, commands[i], &o)) {
			free(file);
			stage_close(&s);
			skip();
			return;
		}
		if (o.exit_status != 0)
			fail_msg("%s: exit %d: %s", commands[i], o.exit_status, o.err);
		n = counts_under(s.scene, file, key);
		assert_int_equal(n.succeeded, 1);
		assert_int_equal(n.admitted, 1);
		assert_int_equal(n.ignored, 0);
		assert_int_equal(n.failed, 0);
		assert_int_equal(n.delayed, 0);
		outcome_free(&o);
		free(file);
	}
	stage_close(&s);
}

static void a_host_is_dead_when_its_last_address_is(void **state)
{
	struct stage s;
	struct outcome o = {0};
	char key[64];

	stage_open(&s, state);
	scene_configure(s.scene, RULES_FOR_THIS_MACHINE);
	for (int i = 0; i < 6; i++) {
		if (!run_with_two_addresses(&s, NULL, "wget -qO- -t 1 http://both.test:$CLOSED/", &o)) {
			stage_close(&s);
			skip();
			return;
		}
		assert_int_equal(o.exit_status, 4);
		outcome_free(&o);
	}
	host_port_of(key, "both.test", s.closed);
	assert_int_equal(counts_of(s.scene, key).failed, 5);
	assert_true(counts_of(s.scene, key).refused >= 1);
	stage_close(&s);
}

/* Two threads that have each looked up a name of their own, both of one address, and then connect to the address. */
static void two_names_of_one_address_are_told_apart_by_the_thread_that_asked(void **state)
{
	static const char program[] =
		"import os, socket, threading\n"
		"turn = threading.Barrier(2)\n"
		"def use(name, times):\n"
		"  socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)\n"
		"  turn.wait()\n"
		"  for i in range(times):\n"
		"    s = socket.socket()\n"
		"    s.connect((\"127.0.0.1\", int(os.environ[\"PORT\"])))\n"
		"    s.close()\n"
		"t = [threading.Thread(target=use, args=a) for a in ((\"one.test\", 3), (\"two.test\", 5))]\n"
		"[x.start() for x in t]\n"
		"[x.join() for x in t]\n";
	struct stage s;
	struct outcome o = {0};
	char key[64];

	stage_open(&s, state);
	free(write_file(s.scene->dir, "names.py", program));
	if (!run_with_two_addresses(&s, NULL, "/usr/bin/python3 $D/names.py", &o)) {
		stage_close(&s);
		skip();
		return;
	}
	assert_string_equal(o.err, "");
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	assert_int_equal(counts_of(s.scene, host_port_of(key, "one.test", s.server->http_port)).succeeded, 3);
	assert_int_equal(counts_of(s.scene, host_port_of(key, "two.test", s.server->http_port)).succeeded, 5);
	stage_close(&s);
}

/* A program that looks A and AAAA up apart, and tries one address after the other. Prints how many attempts came through. */
#define BY_FAMILY                                                                                                                \
	"import os, socket, sys\n"                                                                                               \
	"port, good = int(sys.argv[1]), 0\n"                                                                                     \
	"for i in range(int(sys.argv[2])):\n"                                                                                    \
	"  found = []\n"                                                                                                         \
	"  for family in (socket.AF_INET6, socket.AF_INET):\n"                                                                   \
	"    found += socket.getaddrinfo(\"both.test\", port, family, socket.SOCK_STREAM)\n"                                     \
	"  for f in found:\n"                                                                                                    \
	"    s = socket.socket(f[0], f[1])\n"                                                                                    \
	"    try: s.connect(f[4]); good += 1; break\n"                                                                           \
	"    except OSError: pass\n"                                                                                             \
	"    finally: s.close()\n"                                                                                               \
	"print(good)\n"

static void a_family_that_fails_is_no_failure_while_the_other_is_still_to_come(void **state)
{
	struct stage s;
	struct host_counts n;
	struct outcome o = {0};
	char key[64];

	stage_open(&s, state);
	scene_configure(s.scene, RULES_FOR_THIS_MACHINE);
	free(write_file(s.scene->dir, "families.py", BY_FAMILY));
	if (!run_with_two_addresses(&s, NULL, "/usr/bin/python3 $D/families.py $PORT 60", &o)) {
		stage_close(&s);
		skip();
		return;
	}
	assert_string_equal(o.out, "60\n");
	outcome_free(&o);
	n = counts_of(s.scene, host_port_of(key, "both.test", s.server->http_port));
	assert_int_equal(n.succeeded, 60);
	assert_int_equal(n.failed, 0);
	assert_int_equal(n.refused, 0);
	stage_close(&s);
}

static void a_host_is_dead_when_both_families_are(void **state)
{
	struct stage s;
	struct host_counts n;
	struct outcome o = {0};
	char key[64];

	stage_open(&s, state);
	scene_configure(s.scene, RULES_FOR_THIS_MACHINE);
	free(write_file(s.scene->dir, "families.py", BY_FAMILY));
	if (!run_with_two_addresses(&s, NULL, "/usr/bin/python3 $D/families.py $CLOSED 8", &o)) {
		stage_close(&s);
		skip();
		return;
	}
	assert_string_equal(o.out, "0\n");
	outcome_free(&o);
	n = counts_of(s.scene, host_port_of(key, "both.test", s.closed));
	assert_int_equal(n.failed, 5);
	assert_true(n.refused >= 3);
	stage_close(&s);
}

/* A program that waits for its own server asks its port until it is open, and nobody stops it from that. */
static void a_port_of_this_machine_may_be_asked_until_it_opens(void **state)
{
	static const char poll[] = PYTHON "import os, socket, threading, time\n"
					  "port = int(os.environ[\"CLOSED\"])\n"
					  "refused = 0\n"
					  "for i in range(40):\n"
					  "  try: socket.create_connection((\"localhost\", port)).close()\n"
					  "  except ConnectionRefusedError: refused += 1\n"
					  "print(refused)'";
	struct stage s;
	struct host_counts n;

	stage_open(&s, state);
	expect(&s, poll, 0, "40\n");
	expect(&s, "i=0; while [ $i -lt 8 ]; do curl -s http://localhost:$CLOSED/ || i=$((i+1)); done; echo $i", 0, "8\n");
	n = counts_of(s.scene, s.closed_host_port);
	assert_int_equal(n.admitted, 48);
	assert_int_equal(n.failed, 48);
	assert_int_equal(n.refused, 0);
	assert_int_equal(listen(s.closed_fd, 8), 0);
	expect(&s, PYTHON "import os, socket; socket.create_connection((\"localhost\", int(os.environ[\"CLOSED\"]))); print(1)'",
	       0, "1\n");
	stage_close(&s);
}

/* One of this machine's addresses that is no loopback address, where it has one. */
static void own_address(char text[INET_ADDRSTRLEN])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9)};
	socklen_t length = sizeof a;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	strcpy(text, "127.0.0.1");
	inet_pton(AF_INET, "192.0.2.1", &a.sin_addr); /* TEST-NET-1: nothing is sent */
	if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0 && getsockname(fd, (struct sockaddr *)&a, &length) == 0)
		inet_ntop(AF_INET, &a.sin_addr, text, INET_ADDRSTRLEN);
	close(fd);
}

static void by_other_names_and_addresses_this_machine_is_no_other(void **state)
{
	static const char ask[] = PYTHON "import os, socket\n"
					 "for address in (\"0.0.0.0\", os.environ[\"OWN\"]):\n"
					 "  for i in range(8):\n"
					 "    try: socket.create_connection((address, int(os.environ[\"CLOSED\"])))\n"
					 "    except ConnectionRefusedError: print(end=\".\")'";
	char own[INET_ADDRSTRLEN], host[64];
	struct stage s;

	stage_open(&s, state);
	own_address(own);
	setenv("OWN", own, 1);
	expect(&s, ask, 0, "................");
	expect(&s,
	       "for i in 1 2 3 4 5 6 7; do curl -s --resolve own.example.org:$CLOSED:$OWN http://own.example.org:$CLOSED/; done",
	       7, "");
	assert_int_equal(counts_of(s.scene, host_port_of(host, "0.0.0.0", s.closed)).failed, 8);
	assert_int_equal(counts_of(s.scene, host_port_of(host, own, s.closed)).failed, 8);
	assert_int_equal(counts_of(s.scene, host_port_of(host, "own.example.org", s.closed)).failed, 7);
	stage_close(&s);
}

/* Beside keepalived every address can be bound to: that tells nothing of whose it is. */
static void where_any_address_can_be_bound_to_others_are_others(void **state)
{
	static const char inner[] = "ip link set lo up && sysctl -qw net.ipv4.ip_nonlocal_bind=1 && "
				    "ip route add unreachable 198.51.100.0/24 && exec \"$@\"";
	static const char ask[] = "import socket\n"
				  "for i in range(7):\n"
				  "    try: socket.create_connection(('198.51.100.1', 81))\n"
				  "    except OSError: pass\n";
	const char *argv[] = {"unshare", "-n", "sh", "-c", inner, "sh", "/usr/bin/python3", "-c", ask, NULL};
	struct command c = {.argv = argv, .mode = COMMAND_UNDER_WEIR};
	struct outcome o;
	struct stage s;

	stage_open(&s, state);
	c.dir = s.scene->dir;
	scene_configure(s.scene, "defaults = { breaker = { grace = \"0\"; open_time = \"60s\"; open_time_max = \"60s\"; }; };\n");
	free(WEIR_EXPECT(s.scene, 3, "status"));
	o = command_run(&c);
	if (o.exit_status != 0 && o.err_bytes > 0) {
		outcome_free(&o);
		stage_close(&s);
		skip();
	}
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	assert_int_equal(counts_of(s.scene, "198.51.100.1:81").failed, 5);
	assert_int_equal(counts_of(s.scene, "198.51.100.1:81").refused, 2);
	stage_close(&s);
}

static void git_over_http_is_seen_by_its_connections(void **state)
{
	struct stage s;
	struct host_counts n;
	struct outcome o;

	stage_open(&s, state);
	o = run(&s, "git ls-remote http://127.0.0.1:$PORT/status/404 2>/dev/null");
	assert_int_equal(o.exit_status, 128);
	outcome_free(&o);
	n = counts_of(s.scene, host_port_of(s.host_port, "127.0.0.1", s.server->http_port));
	assert_true(n.admitted >= 1);
	assert_int_equal(n.succeeded, n.admitted);
	stage_close(&s);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(programs_do_what_they_do_without_weir),
		SCENE(a_connection_counts_under_the_name_that_was_asked_for),
		SCENE(a_non_blocking_connection_counts_once_and_succeeds),
		SCENE(wget_is_refused_by_an_open_breaker),
		SCENE(python_is_refused_by_an_open_breaker),
		SCENE(python_with_a_time_out_is_refused_by_an_open_breaker),
		SCENE(a_connection_that_would_wait_too_long_times_out_at_once),
		SCENE(connections_of_one_host_are_spaced_at_its_rate),
		SCENE(a_time_out_that_jumps_out_of_connect_leaves_no_permit_behind),
		SCENE(the_second_address_of_a_host_goes_on_the_unit_of_the_first),
		SCENE(a_host_is_dead_when_its_last_address_is),
		SCENE(two_names_of_one_address_are_told_apart_by_the_thread_that_asked),
		SCENE(a_family_that_fails_is_no_failure_while_the_other_is_still_to_come),
		SCENE(a_host_is_dead_when_both_families_are),
		SCENE(a_port_of_this_machine_may_be_asked_until_it_opens),
		SCENE(by_other_names_and_addresses_this_machine_is_no_other),
		SCENE(where_any_address_can_be_bound_to_others_are_others),
		SCENE(git_over_http_is_seen_by_its_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
