/* Transfers by a proxy: what it answers and whether it can be reached is its own matter, and not that of the target. */
#include "tests/harness/harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/integration/closed_port.h"
#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/weir_program.h"

/* A proxy that says the same to everybody and asks nobody. */
struct proxy {
	int listening, port;
	const char *first, *then; /* after what the client sends first, and after what it sends then; NULL: nothing more */
	size_t first_bytes, then_bytes;
	pthread_t thread;
	_Atomic int asked;
	_Atomic bool over;
};

static void answer(struct proxy *p, int fd)
{
	struct timeval patience = {.tv_sec = 5};
	char room[4096];

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (recv(fd, room, sizeof room, 0) > 0 && p->first_bytes > 0 && send(fd, p->first, p->first_bytes, MSG_NOSIGNAL) > 0 &&
	    p->then && recv(fd, room, sizeof room, 0) > 0)
		(void)send(fd, p->then, p->then_bytes, MSG_NOSIGNAL);
	close(fd);
}

static void *serve(void *of)
{
	struct proxy *p = of;

	for (;;) {
		int fd = accept(p->listening, NULL, NULL);

		if (fd < 0 || p->over)
			return NULL;
		p->asked++;
		answer(p, fd);
	}
}

static void proxy_start(struct proxy *p, const char *first, size_t first_bytes, const char *then, size_t then_bytes)
{
	memset(p, 0, sizeof *p);
	p->first = first;
	p->first_bytes = first_bytes;
	p->then = then;
	p->then_bytes = then_bytes;
	p->port = closed_port(&p->listening);
	assert_return_code(listen(p->listening, 16), 0);
	assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
}

static void proxy_stop(struct proxy *p)
{
	p->over = true;
	shutdown(p->listening, SHUT_RDWR);
	pthread_join(p->thread, NULL);
	close(p->listening);
}

static const char key_text[] = "127.0.0.1";

static struct host_counts at(struct scene *scene, int port)
{
	char key[64];

	return counts_of(scene, host_port_of(key, key_text, port));
}

/* With the proxy's port in $P and the target's in $T. */
static struct outcome run(struct scene *scene, const char *shell, int proxy, int target)
{
	char p[32], t[32];
	const char *env[] = {p, t, NULL};

	snprintf(p, sizeof p, "P=%d", proxy);
	snprintf(t, sizeof t, "T=%d", target);
	return command_run(&(struct command){.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .env = env});
}

static void expect(struct scene *scene, int status, const char *shell, int one, int two)
{
	struct outcome o = run(scene, shell, one, two);

	assert_int_equal(o.exit_status, status);
	outcome_free(&o);
}

/* A breaker that opens on five failures and stays open, however slow this machine is, and an agent that has it in force. */
static void rule_for_this_machine(struct scene *scene)
{
	scene_configure(scene, "hosts = ( { match = \"127.0.0.*\"; breaker = { grace = \"0\"; open_time = \"60s\"; "
			       "open_time_max = \"60s\"; }; } );\n");
	free(WEIR_EXPECT(scene, 3, "status"));
}

#define LITERAL(text) (text), sizeof(text) - 1

static void a_proxy_s_429_to_connect_holds_the_proxy_and_not_the_target(void **state)
{
	struct scene *scene = *state;
	struct quotad *target = quotad_start(scene->dir, NULL);
	struct host_counts n;
	struct proxy p;

	proxy_start(&p, LITERAL("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 4\r\nContent-Length: 0\r\n\r\n"), NULL, 0);
	expect(scene, 56, "curl -s -p -x http://127.0.0.1:$P http://127.0.0.1:$T/n/1", p.port, target->http_port);
	n = at(scene, p.port);
	assert_int_equal(n.admitted, 1);
	assert_int_equal(n.throttled, 1);
	assert_true(n.hold_s > 0 && n.hold_s <= 4);
	n = at(scene, target->http_port);
	assert_int_equal(n.throttled + n.failed, 0);
	assert_int_equal(n.ignored, 1);
	assert_true(n.hold_s == 0);
	/* The proxy is not asked again before its time, the target is; and by the environment as well. */
	expect(scene, 28, "curl -s -m 1 -p -x http://127.0.0.1:$P http://127.0.0.1:$T/n/1", p.port, target->http_port);
	expect(scene, 28, "http_proxy=127.0.0.1:$P curl -s -m 1 -p http://127.0.0.1:$T/n/1", p.port, target->http_port);
	expect(scene, 0, "curl -s http://127.0.0.1:$T/n/1", p.port, target->http_port);
	assert_int_equal(p.asked, 1);
	assert_int_equal(leases_held(scene), 0);
	proxy_stop(&p);
}

static void the_same_holds_for_transfers_side_by_side(void **state)
{
	struct scene *scene = *state;
	struct quotad *target = quotad_start(scene->dir, NULL);
	struct host_counts n;
	struct proxy p;

	proxy_start(&p, LITERAL("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 4\r\nContent-Length: 0\r\n\r\n"), NULL, 0);
	expect(scene, 56, "curl -s -Z -p -x http://127.0.0.1:$P http://127.0.0.1:$T/n/1", p.port, target->http_port);
	n = at(scene, p.port);
	assert_int_equal(n.throttled, 1);
	assert_true(n.hold_s > 0 && n.hold_s <= 4);
	n = at(scene, target->http_port);
	assert_int_equal(n.throttled + n.failed, 0);
	assert_int_equal(n.ignored, 1);
	expect(scene, 0, "curl -s -Z http://127.0.0.1:$T/n/1", p.port, target->http_port);
	assert_int_equal(leases_held(scene), 0);
	proxy_stop(&p);
}

static void a_proxy_that_will_not_connect_is_nobody_s_failure(void **state)
{
	struct scene *scene = *state;
	struct quotad *target = quotad_start(scene->dir, NULL);
	struct proxy p;

	rule_for_this_machine(scene);
	proxy_start(&p, LITERAL("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n"), NULL, 0);
	for (int i = 0; i < 6; i++)
		expect(scene, 56, "curl -s -p -x http://127.0.0.1:$P http://127.0.0.1:$T/n/1", p.port, target->http_port);
	assert_int_equal(at(scene, target->http_port).failed, 0);
	assert_int_equal(at(scene, target->http_port).ignored, 6);
	assert_int_equal(at(scene, p.port).succeeded, 6);
	assert_int_equal(p.asked, 6);
	proxy_stop(&p);
	expect(scene, 0, "curl -s http://127.0.0.1:$T/n/1", p.port, target->http_port);
}

/* It takes connections, and leaves after what is sent first or says nothing at all: whether the host behind it is well is not
 * known. With an https proxy it is its own handshake that fails. */
static void a_proxy_that_does_not_get_as_far_as_the_target_is_none_of_its_failures(void **state)
{
	static const struct {
		const char *shell;
		int status;
	} ways[] = {
		{"curl -s -p -x http://127.0.0.1:$P http://127.0.0.1:$T/n/1", 56},
		{"curl -s -Z -p -x http://127.0.0.1:$P http://127.0.0.1:$T/n/1", 56},
		{"http_proxy=127.0.0.1:$P curl -s -p http://127.0.0.1:$T/n/1", 56},
		{"curl -s -x socks5://127.0.0.1:$P http://127.0.0.1:$T/n/1", 97},
		{"curl -s -x socks4a://127.0.0.1:$P http://127.0.0.1:$T/n/1", 97},
	};
	struct scene *scene = *state;
	struct quotad *target = quotad_start(scene->dir, NULL);
	size_t count = sizeof ways / sizeof ways[0];
	int silent_fd, silent = closed_port(&silent_fd);
	struct proxy p;

	rule_for_this_machine(scene);
	proxy_start(&p, LITERAL(""), NULL, 0);
	for (size_t i = 0; i < 2 * count; i++)
		expect(scene, ways[i % count].status, ways[i % count].shell, p.port, target->http_port);
	assert_int_equal(at(scene, target->http_port).failed, 0);
	assert_int_equal(at(scene, target->http_port).ignored, 2 * count);
	assert_int_equal(at(scene, p.port).failed, 0);
	assert_return_code(listen(silent_fd, 64), 0);
	for (int i = 0; i < 3; i++) {
		expect(scene, 28, "curl -s -m 0.2 -x https://127.0.0.1:$P http://127.0.0.1:$T/n/1", silent, target->http_port);
		expect(scene, 28, "curl -s -m 0.2 -p -x 127.0.0.1:$P http://127.0.0.1:$T/n/1", silent, target->http_port);
	}
	assert_int_equal(at(scene, target->http_port).failed, 0);
	for (int i = 0; i < 5; i++)
		expect(scene, 35, "curl -s -x https://127.0.0.1:$P http://127.0.0.1:$T/n/1", p.port, target->http_port);
	assert_int_equal(at(scene, target->http_port).failed, 0);
	assert_int_equal(at(scene, p.port).failed, 5);
	expect(scene, 7, "curl -s -x https://127.0.0.1:$P http://127.0.0.1:$T/n/1", p.port, target->http_port);
	expect(scene, 0, "curl -s http://127.0.0.1:$T/n/1", 0, target->http_port);
	assert_int_equal(leases_held(scene), 0);
	proxy_stop(&p);
	close(silent_fd);
}

/* Six requests go by what does not listen at `port`, in two ways by turns; it is refused from the sixth on, in `told` with a
 * text, and the target is well. */
static void expect_a_breaker_of_its_own(struct scene *scene, int port, int target, const char *one, const char *other,
					const char *told)
{
	struct outcome o;

	rule_for_this_machine(scene);
	for (int i = 0; i < 3; i++) {
		expect(scene, 7, one, port, target);
		expect(scene, 7, other, port, target);
	}
	assert_int_equal(at(scene, target).failed, 0);
	assert_int_equal(at(scene, port).failed, 5);
	assert_int_equal(at(scene, port).refused, 1);
	o = run(scene, told, port, target);
	assert_int_equal(o.exit_status, 7);
	assert_non_null(strstr(o.err, "weir: 127.0.0.1:"));
	outcome_free(&o);
	expect(scene, 0, "curl -s http://127.0.0.1:$T/n/1", port, target);
}

static void a_proxy_that_does_not_listen_opens_its_own_breaker(void **state)
{
	struct scene *scene = *state;
	struct quotad *target = quotad_start(scene->dir, NULL);
	int fd, port = closed_port(&fd);

	expect_a_breaker_of_its_own(scene, port, target->http_port, "curl -s -x socks5://127.0.0.1:$P http://127.0.0.1:$T/n/1",
				    "all_proxy=socks4://127.0.0.1:$P curl -s http://127.0.0.1:$T/n/1",
				    "curl -sS -x http://127.0.0.1:$P http://127.0.0.1:$T/n/1");
	assert_int_equal(leases_held(scene), 0);
	close(fd);
}

/* To a request that goes through it, not to CONNECT. */
static void that_a_proxy_wants_credentials_is_no_answer_of_the_target(void **state)
{
	struct scene *scene = *state;
	struct quotad *target = quotad_start(scene->dir, NULL);
	struct host_counts n;
	struct proxy p;

	proxy_start(&p,
		    LITERAL("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: "
			    "0\r\n\r\n"),
		    NULL, 0);
	expect(scene, 0, "curl -s -x http://127.0.0.1:$P http://127.0.0.1:$T/n/1", p.port, target->http_port);
	n = at(scene, target->http_port);
	assert_int_equal(n.admitted, 1);
	assert_int_equal(n.ignored, 1);
	proxy_stop(&p);
}

static void what_is_connected_to_instead_is_to_blame_for_itself(void **state)
{
	struct scene *scene = *state;
	struct quotad *target = quotad_start(scene->dir, NULL);
	int fd, port = closed_port(&fd);

	expect_a_breaker_of_its_own(scene, port, target->http_port, "curl -s --connect-to ::127.0.0.1:$P http://127.0.0.1:$T/n/1",
				    "curl -s -Z --connect-to 127.0.0.1:$T::$P http://127.0.0.1:$T/n/1",
				    "curl -sS --connect-to ::127.0.0.1:$P http://127.0.0.1:$T/n/1");
	/* A line for another host says nothing. */
	expect(scene, 0, "curl -s --connect-to api.test:80:127.0.0.1:$P http://127.0.0.1:$T/n/1", port, target->http_port);
	/* And the other way round: what answers under the name of a host that is down is that host's answer. */
	expect(scene, 0, "curl -s --connect-to 127.0.0.1:81:127.0.0.1:$T http://127.0.0.1:81/n/1", port, target->http_port);
	assert_int_equal(at(scene, 81).succeeded, 1);
	assert_int_equal(leases_held(scene), 0);
	close(fd);
}

/* A dead target on the proxy's own port: told apart by the address. */
static void a_proxy_on_the_target_s_own_port_is_told_apart(void **state)
{
	struct scene *scene = *state;
	int fd, port = closed_port(&fd);
	char key[64];

	rule_for_this_machine(scene);
	for (int i = 0; i < 6; i++)
		expect(scene, 7, "http_proxy=http://127.0.0.1:$P curl -s http://127.0.0.2:$T/n/1", port, port);
	assert_int_equal(counts_of(scene, host_port_of(key, "127.0.0.2", port)).failed, 0);
	assert_int_equal(at(scene, port).failed, 5);
	close(fd);
}

/* With the target's breaker open. The target is contacted by nobody. */
static void what_a_socks_proxy_says_is_told_while_the_target_is_refused(void **state)
{
	static const char refused_by_rule[] = "\5\5\0\1\0\0\0\0\0\0";
	struct scene *scene = *state;
	struct proxy no_socks, works;
	struct outcome o;
	int fd, port = closed_port(&fd), dead_fd, dead = closed_port(&dead_fd);

	rule_for_this_machine(scene);
	proxy_start(&no_socks, LITERAL("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), NULL, 0);
	proxy_start(&works, "\5\0", 2, refused_by_rule, sizeof refused_by_rule - 1);
	for (int i = 0; i < 5; i++)
		expect(scene, 7, "curl -s http://127.0.0.1:$T/", 0, port);
	expect(scene, 97, "curl -s -x socks5://127.0.0.1:$P http://127.0.0.1:$T/", no_socks.port, port);
	expect(scene, 97, "curl -s -x socks4://127.0.0.1:$P http://127.0.0.1:$T/", no_socks.port, port);
	expect(scene, 7, "curl -s -x socks5://127.0.0.1:$P http://127.0.0.1:$T/", dead, port);
	/* As where the proxy cannot reach it, but for the text. */
	o = run(scene, "curl -sS -x socks5h://127.0.0.1:$P http://127.0.0.1:$T/", works.port, port);
	assert_int_equal(o.exit_status, 97);
	assert_non_null(strstr(o.err, "weir: 127.0.0.1:"));
	outcome_free(&o);
	assert_int_equal(at(scene, port).refused, 4);
	assert_int_equal(at(scene, port).failed, 5);
	proxy_stop(&no_socks);
	proxy_stop(&works);
	close(fd);
	close(dead_fd);
}

/* The same of an https proxy: its handshake fails, its certificate is not trusted, or it does what it is asked. */
static void what_an_https_proxy_says_is_told_while_the_target_is_refused(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, (const char *const[]){"--tls", NULL});
	struct proxy no_tls;
	int fd, port = closed_port(&fd);

	rule_for_this_machine(scene);
	proxy_start(&no_tls, LITERAL(""), NULL, 0);
	for (int i = 0; i < 5; i++)
		expect(scene, 7, "curl -s http://127.0.0.1:$T/", 0, port);
	expect(scene, 35, "curl -s -x https://127.0.0.1:$P http://127.0.0.1:$T/", no_tls.port, port);
	expect(scene, 35, "http_proxy=https://127.0.0.1:$P curl -s http://127.0.0.1:$T/", no_tls.port, port);
	expect(scene, 60, "curl -s -x https://127.0.0.1:$P http://127.0.0.1:$T/", server->https_port, port);
	expect(scene, 77, "curl -s --proxy-cacert /nonexistent -x https://127.0.0.1:$P http://127.0.0.1:$T/", server->https_port,
	       port);
	/* It leaves at CONNECT, which is what is wrong with it. */
	expect(scene, 56, "curl -s --proxy-insecure -x https://127.0.0.1:$P http://127.0.0.1:$T/", server->https_port, port);
	assert_int_equal(at(scene, port).refused, 5);
	assert_int_equal(at(scene, port).failed, 5);
	proxy_stop(&no_tls);
	close(fd);
}

static char *explained(struct scene *scene, const char *proxy, const char *url)
{
	struct command *c = LINE(scene, "explain", url);
	const char *env[] = {SANITIZERS, proxy, NULL};
	struct outcome o;
	char *out;

	c->env = env;
	o = command_run(c);
	assert_int_equal(o.exit_status, 0);
	out = strdup(o.out);
	outcome_free(&o);
	return out;
}

/* Outside libcurl: what goes through a tunnel asks the target, on the target's port. */
static void a_request_in_a_tunnel_is_the_target_s(void **state)
{
	struct scene *scene = *state;
	char inner[64];
	struct proxy p;

	proxy_start(&p, LITERAL("HTTP/1.1 200 Connected\r\n\r\n"), LITERAL("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
	expect(scene, 0,
	       "exec /usr/bin/python3 -c 'import http.client, sys\n"
	       "c = http.client.HTTPConnection(\"127.0.0.1\", int(sys.argv[1]))\n"
	       "c.set_tunnel(\"inner.example\", int(sys.argv[2]))\n"
	       "c.request(\"GET\", \"/\")\n"
	       "assert c.getresponse().status == 200' $P $T",
	       p.port, 8443);
	assert_int_equal(counts_of(scene, host_port_of(inner, "inner.example", 8443)).succeeded, 1);
	assert_false(counts_of(scene, host_port_of(inner, "inner.example", p.port)).known);
	assert_int_equal(leases_held(scene), 0);
	proxy_stop(&p);
}

/* Python asks a proxy for a tunnel to the target, and gets none. */
#define ASK_FOR_A_TUNNEL                                                                                                         \
	"exec /usr/bin/python3 -c 'import http.client, sys\n"                                                                    \
	"c = http.client.HTTPConnection(\"127.0.0.1\", int(sys.argv[1]), timeout=20)\n"                                          \
	"c.set_tunnel(\"127.0.0.1\", int(sys.argv[2]))\n"                                                                        \
	"try: c.request(\"GET\", \"/\")\n"                                                                                       \
	"except (OSError, http.client.HTTPException): sys.exit(9)' $P $T"

/* The same outside libcurl. */
static void what_a_proxy_answers_to_connect_is_its_own_in_any_program(void **state)
{
	struct scene *scene = *state;
	struct quotad *target = quotad_start(scene->dir, NULL);
	struct host_counts n;
	struct proxy p;

	rule_for_this_machine(scene);
	proxy_start(&p, LITERAL("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n"), NULL, 0);
	for (int i = 0; i < 6; i++)
		expect(scene, 9, ASK_FOR_A_TUNNEL, p.port, target->http_port);
	assert_int_equal(at(scene, target->http_port).failed, 0);
	assert_int_equal(at(scene, target->http_port).ignored, 6);
	assert_int_equal(at(scene, p.port).succeeded, 6);
	proxy_stop(&p);
	proxy_start(&p, LITERAL("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nbad"), NULL, 0);
	for (int i = 0; i < 6; i++)
		expect(scene, 9, ASK_FOR_A_TUNNEL, p.port, target->http_port);
	assert_int_equal(at(scene, p.port).failed, 0);
	proxy_stop(&p);
	proxy_start(&p, LITERAL(""), NULL, 0);
	for (int i = 0; i < 6; i++)
		expect(scene, 9, ASK_FOR_A_TUNNEL, p.port, target->http_port);
	assert_int_equal(p.asked, 6);
	proxy_stop(&p);
	proxy_start(&p, LITERAL("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 8\r\nContent-Length: 0\r\n\r\n"), NULL, 0);
	expect(scene, 9, ASK_FOR_A_TUNNEL, p.port, target->http_port);
	n = at(scene, p.port);
	assert_int_equal(n.throttled, 1);
	assert_true(n.hold_s > 0 && n.hold_s <= 8);
	n = at(scene, target->http_port);
	assert_int_equal(n.throttled + n.failed + n.refused, 0);
	assert_int_equal(n.ignored, 19);
	assert_true(n.hold_s == 0);
	expect(scene, 0, "curl -s http://127.0.0.1:$T/n/1", p.port, target->http_port);
	assert_int_equal(leases_held(scene), 0);
	proxy_stop(&p);
}

static void explain_tells_of_a_proxy_in_the_environment(void **state)
{
	struct scene *scene = *state;
	char *out = explained(scene, "http_proxy=http://user:secret@proxy.test:3128/", "http://api.example.org/v1");

	assert_non_null(strstr(out, "http_proxy names a proxy"));
	assert_non_null(strstr(out, "weir explain proxy.test:3128)"));
	assert_null(strstr(out, "secret"));
	free(out);
	/* It is not the one of another scheme. */
	out = explained(scene, "http_proxy=http://proxy.test:3128/", "https://api.example.org/v1");
	assert_null(strstr(out, "proxy"));
	free(out);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(a_proxy_s_429_to_connect_holds_the_proxy_and_not_the_target),
		SCENE(the_same_holds_for_transfers_side_by_side),
		SCENE(a_proxy_that_will_not_connect_is_nobody_s_failure),
		SCENE(a_proxy_that_does_not_get_as_far_as_the_target_is_none_of_its_failures),
		SCENE(a_proxy_that_does_not_listen_opens_its_own_breaker),
		SCENE(that_a_proxy_wants_credentials_is_no_answer_of_the_target),
		SCENE(what_is_connected_to_instead_is_to_blame_for_itself),
		SCENE(a_proxy_on_the_target_s_own_port_is_told_apart),
		SCENE(what_a_socks_proxy_says_is_told_while_the_target_is_refused),
		SCENE(what_an_https_proxy_says_is_told_while_the_target_is_refused),
		SCENE(a_request_in_a_tunnel_is_the_target_s),
		SCENE(what_a_proxy_answers_to_connect_is_its_own_in_any_program),
		SCENE(explain_tells_of_a_proxy_in_the_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
