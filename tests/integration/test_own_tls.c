/* Programs with a TLS of their own, whose plain text nobody tells: here one that looks GnuTLS up by dlsym. Its requests are told
 * apart by the records of its connection. */
#include "tests/harness/harness.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/host_program.h"
#include "tests/integration/weir_program.h"

#define RATE_10 "defaults = { rate = { strategy = \"fixed\"; max = \"10/s\"; burst = 1; }; };\n"

/* --- The program ----------------------------------------------------------------------------------------------------------- */

static struct {
	__typeof__(gnutls_init) *init;
	__typeof__(gnutls_priority_set_direct) *priority;
	__typeof__(gnutls_certificate_allocate_credentials) *allocate;
	__typeof__(gnutls_credentials_set) *credentials;
	__typeof__(gnutls_server_name_set) *name;
	__typeof__(gnutls_alpn_set_protocols) *protocols;
	__typeof__(gnutls_transport_set_int2) *transport;
	__typeof__(gnutls_handshake) *handshake;
	__typeof__(gnutls_record_send2) *send;
	__typeof__(gnutls_record_recv) *recv;
	__typeof__(gnutls_bye) *bye;
} tls;

static bool look_up(void)
{
	static const struct {
		const char *name;
		void *to;
	} functions[] = {
		{"gnutls_init", &tls.init},
		{"gnutls_priority_set_direct", &tls.priority},
		{"gnutls_certificate_allocate_credentials", &tls.allocate},
		{"gnutls_credentials_set", &tls.credentials},
		{"gnutls_server_name_set", &tls.name},
		{"gnutls_alpn_set_protocols", &tls.protocols},
		{"gnutls_transport_set_int2", &tls.transport},
		{"gnutls_handshake", &tls.handshake},
		{"gnutls_record_send2", &tls.send},
		{"gnutls_record_recv", &tls.recv},
		{"gnutls_bye", &tls.bye},
	};
	void *library = dlopen("libgnutls.so.30", RTLD_NOW), *found;

	for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
		found = library ? dlsym(library, functions[i].name) : NULL;
		if (!found)
			return false;
		memcpy(functions[i].to, &found, sizeof found);
	}
	return true;
}

/* version "1.2" or "1.3", protocol NULL: none is offered. */
static gnutls_session_t connect_to(const char *port, const char *version, const char *protocol, int *fd)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)atoi(port))};
	gnutls_datum_t offered = {(unsigned char *)(uintptr_t)protocol, protocol ? (unsigned)strlen(protocol) : 0};
	gnutls_certificate_credentials_t credentials;
	gnutls_session_t session;
	char priority[64];

	snprintf(priority, sizeof priority, "NORMAL:-VERS-ALL:+VERS-TLS%s", version);
	*fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(*fd, (struct sockaddr *)&a, sizeof a) != 0 || tls.init(&session, GNUTLS_CLIENT) != 0 ||
	    tls.priority(session, priority, NULL) != 0 || tls.allocate(&credentials) != 0 ||
	    tls.credentials(session, GNUTLS_CRD_CERTIFICATE, credentials) != 0 ||
	    tls.name(session, GNUTLS_NAME_DNS, "localhost", 9) != 0 || (protocol && tls.protocols(session, &offered, 1, 0) != 0))
		return NULL;
	tls.transport(session, *fd, *fd);
	return tls.handshake(session) == 0 ? session : NULL;
}

/* One answer: its head, then as much as it says. */
static bool take_answer(gnutls_session_t session)
{
	char text[4096] = "";
	size_t n = 0, whole = 0;

	while (whole == 0 || n < whole) {
		ssize_t got = tls.recv(session, text + n, sizeof text - 1 - n);
		const char *end, *length;

		if (got <= 0)
			return false;
		n += (size_t)got;
		text[n] = '\0';
		end = strstr(text, "\r\n\r\n");
		length = end ? strcasestr(text, "\r\nContent-Length: ") : NULL;
		if (length)
			whole = (size_t)(end + 4 - text) + (size_t)atoi(length + 18);
	}
	return strncmp(text, "HTTP/1.1 200 ", 13) == 0;
}

static bool say(gnutls_session_t session, const char *text, size_t n)
{
	return tls.send(session, text, n, 0, 0) == (ssize_t)n;
}

#define GET "GET /n/1 HTTP/1.1\r\nHost: localhost\r\n\r\n"

/* argv: port, "VERSION REQUESTS [PROTOCOL]" */
static int get_over_one_connection(int argc, char **argv)
{
	char version[8], protocol[16] = "";
	int fd, requests = 0;
	gnutls_session_t session;

	(void)argc;
	PART_CHECK(look_up() && sscanf(argv[1], "%7s %d %15s", version, &requests, protocol) >= 2);
	session = connect_to(argv[0], version, protocol[0] ? protocol : NULL, &fd);
	PART_CHECK(session);
	for (int i = 0; i < requests; i++) {
		PART_CHECK(say(session, GET, strlen(GET)));
		PART_CHECK(take_answer(session));
	}
	PART_CHECK(tls.bye(session, GNUTLS_SHUT_WR) == 0 && close(fd) == 0);
	return 0;
}

static int send_bodies(int argc, char **argv)
{
	static const char head[] = "POST /n/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n";
	static char body[20000];
	gnutls_session_t session;
	int fd;

	(void)argc;
	PART_CHECK(look_up());
	session = connect_to(argv[0], argv[1], NULL, &fd);
	PART_CHECK(session);
	for (int i = 0; i < 4; i++) {
		PART_CHECK(say(session, head, strlen(head)));
		for (size_t at = 0; at < 60000;) {
			ssize_t n = tls.send(session, body, sizeof body, 0, 0);

			PART_CHECK(n > 0);
			at += (size_t)n;
			/* A record holds less than that. */
			if (at % sizeof body != 0)
				PART_CHECK(say(session, body, sizeof body - at % sizeof body) &&
					   (at += sizeof body - at % sizeof body));
		}
		PART_CHECK(take_answer(session));
	}
	return 0;
}

/* Its wait is the epoll set's: what must wait is answered with EAGAIN, and the set is silent until the time has come. */
static int get_from_a_loop(int argc, char **argv)
{
	int ep = epoll_create1(EPOLL_CLOEXEC), fd, again = 0, wakes = 0;
	struct epoll_event e = {.events = EPOLLOUT};
	gnutls_session_t session;

	(void)argc;
	PART_CHECK(look_up());
	session = connect_to(argv[0], "1.3", NULL, &fd);
	PART_CHECK(session && fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0);
	for (int i = 0; i < atoi(argv[1]); i++) {
		ssize_t sent;
		struct pollfd p = {.fd = fd, .events = POLLIN};

		PART_CHECK(epoll_wait(ep, &e, 1, 5000) == 1);
		sent = tls.send(session, GET, strlen(GET), 0, 0);
		while (sent == GNUTLS_E_AGAIN) {
			again++;
			PART_CHECK(epoll_wait(ep, &e, 1, 5000) == 1);
			wakes++;
			sent = tls.send(session, NULL, 0, 0, 0);
		}
		PART_CHECK(sent == (ssize_t)strlen(GET));
		PART_CHECK(poll(&p, 1, 5000) == 1 && take_answer(session));
	}
	printf("%s\n", again > 0 && wakes <= 3 * again ? "held" : "not held");
	return 0;
}

/* --- The tests ------------------------------------------------------------------------------------------------------------- */

struct site {
	struct scene *scene;
	struct quotad *server;
	char key[64], port[16];
};

static struct site site_of(void **state)
{
	static const char *const options[] = {"--tls", NULL};
	struct site s = {.scene = *state};

	s.server = quotad_start(s.scene->dir, options);
	host_port_of(s.key, "localhost", s.server->https_port);
	snprintf(s.port, sizeof s.port, "%d", s.server->https_port);
	return s;
}

static void expect_counted(const struct site *s, uint64_t requests, const char *seen)
{
	struct host_counts c = counts_of(s->scene, s->key);
	char *out;

	assert_int_equal(c.admitted, requests);
	assert_int_equal(c.succeeded, requests);
	assert_int_equal(c.connections, 1);
	assert_int_equal(c.permits, 0);
	assert_int_equal(leases_held(s->scene), 0);
	out = WEIR_EXPECT(s->scene, 0, "explain", s->key);
	if (!strstr(out, seen))
		fail_msg("%s: %s", seen, out);
	free(out);
}

static void each_record_of_a_turn_is_a_request(void **state)
{
	struct site s = site_of(state);

	expect_part(s.scene, "get", s.port, "1.3 20");
	expect_counted(&s, 20, "Seen: 20 requests of programs with a TLS of their own");
}

static void so_it_is_with_tls_1_2_and_http_1_1_by_name(void **state)
{
	struct site s = site_of(state);

	expect_part(s.scene, "get", s.port, "1.2 20 http/1.1");
	expect_counted(&s, 20, "Seen: 20 requests of programs with a TLS of their own");
}

static void a_body_in_many_records_belongs_to_its_request(void **state)
{
	struct site s = site_of(state);

	expect_part(s.scene, "bodies", s.port, "1.3");
	expect_counted(&s, 4, "Seen: 4 requests of programs with a TLS of their own");
}

static void where_http_2_may_be_spoken_the_connection_is_one_request(void **state)
{
	struct site s = site_of(state);

	expect_part(s.scene, "get", s.port, "1.3 5 h2");
	expect_counted(&s, 1, "Seen: 1 connections of programs with a TLS of their own that may speak HTTP/2");
}

/* The first unit is taken with the connection, and its request may come as late as the handshake takes. */
static void expect_spaced(const struct site *s, size_t requests, double least_s)
{
	size_t count;
	struct quotad_arrival *arrivals = quotad_journal(s->server, &count);

	assert_int_equal(count, requests);
	for (size_t i = 2; i < count; i++)
		assert_true(arrivals[i].arrival_s - arrivals[1].arrival_s > (double)(i - 1) * least_s - least_s / 2);
	free(arrivals);
}

static void a_fixed_rate_holds_between_the_records(void **state)
{
	struct site s = site_of(state);

	scene_configure(s.scene, RATE_10);
	expect_part(s.scene, "get", s.port, "1.3 6");
	expect_spaced(&s, 6, 0.1);
}

static void an_event_loop_goes_on_while_a_record_waits(void **state)
{
	struct site s = site_of(state);
	struct outcome o;

	scene_configure(s.scene, RATE_10);
	o = run_part(s.scene, COMMAND_UNDER_WEIR, "loop", s.port, "5");
	if (o.exit_status != 0 || strcmp(o.out, "held\n") != 0)
		fail_msg("exit status %d: %s%s", o.exit_status, o.out, o.err);
	outcome_free(&o);
	expect_spaced(&s, 5, 0.1);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(int argc, char **argv)
{
	static const struct host_part parts[] = {
		{"get", get_over_one_connection},
		{"bodies", send_bodies},
		{"loop", get_from_a_loop},
	};
	const struct CMUnitTest tests[] = {
		SCENE(each_record_of_a_turn_is_a_request),
		SCENE(so_it_is_with_tls_1_2_and_http_1_1_by_name),
		SCENE(a_body_in_many_records_belongs_to_its_request),
		SCENE(where_http_2_may_be_spoken_the_connection_is_one_request),
		SCENE(a_fixed_rate_holds_between_the_records),
		SCENE(an_event_loop_goes_on_while_a_record_waits),
	};
	int status = host_part_run(argc, argv, parts, sizeof parts / sizeof parts[0]);

	return status >= 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
