/* SPDX-License-Identifier: MIT */
/* Redirects over connections that are open already, in programs with many transfers at a time in one thread (curl_multi): each
 * hop waits for its turn where it sends, and nobody else does. */
#include "tests/harness/harness.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <curl/curl.h>

#include "tests/harness/wait.h"
#include "tests/integration/curl_handle.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/host_program.h"
#include "tests/integration/weir_program.h"

#define PER_S 4.0
/* A loop that waits for what it is told of turns so often at most; one that spins does some hundred thousand times a second. */
#define TURNS 400
/* Units are taken when a transfer begins, a moment after the test has looked at its clock. */
#define EARLY_S 0.020

/* --- In the program -------------------------------------------------------------------------------------------------------- */

/* A transfer that is redirected, and, beside it, one to another host that begins anew as soon as it is over. */
static struct {
	CURLM *multi;
	CURL *hops, *free_one;
	bool over, wrong;
	CURLcode result; /* of the redirected one */
	int turns, served;
	int ep;
	double due_s; /* 0 = no timer */
} loop;

/* That follows redirects. */
static CURL *follower_of(const char *url)
{
	CURL *h = handle_for(url);

	curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 1L);
	return h;
}

/* Whether to go on. */
static bool took(CURLMcode code)
{
	CURLMsg *message;
	int left;

	loop.turns++;
	loop.wrong |= code != CURLM_OK;
	while ((message = curl_multi_info_read(loop.multi, &left))) {
		CURL *handle = message->easy_handle;
		CURLcode result = message->data.result;

		curl_multi_remove_handle(loop.multi, handle);
		if (handle == loop.hops) {
			loop.over = true;
			loop.result = result;
			continue;
		}
		loop.wrong |= result != CURLE_OK;
		loop.served++;
		if (!loop.over)
			curl_multi_add_handle(loop.multi, handle);
	}
	return !loop.over && !loop.wrong;
}

static void by_poll(void)
{
	int running;

	while (took(curl_multi_perform(loop.multi, &running)))
		curl_multi_poll(loop.multi, NULL, 0, 20000, NULL);
}

static void by_wait(void)
{
	int running;

	while (took(curl_multi_perform(loop.multi, &running)))
		curl_multi_wait(loop.multi, NULL, 0, 20000, NULL);
}

static void by_select(void)
{
	int running, last;

	while (took(curl_multi_perform(loop.multi, &running))) {
		fd_set in, out, error;
		struct timeval t = {20, 0};
		long ms = -1;

		FD_ZERO(&in);
		FD_ZERO(&out);
		FD_ZERO(&error);
		curl_multi_timeout(loop.multi, &ms);
		curl_multi_fdset(loop.multi, &in, &out, &error, &last);
		loop.wrong |= ms < 0 && last < 0;
		if (ms >= 0)
			t = (struct timeval){ms / 1000, ms % 1000 * 1000};
		select(last + 1, &in, &out, &error, &t);
	}
}

static int on_socket(CURL *handle, curl_socket_t fd, int what, void *user, void *of_socket)
{
	struct epoll_event e = {.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u),
				.data.fd = fd};

	(void)handle;
	(void)user;
	(void)of_socket;
	if (what == CURL_POLL_REMOVE)
		epoll_ctl(loop.ep, EPOLL_CTL_DEL, fd, NULL);
	else if (epoll_ctl(loop.ep, EPOLL_CTL_MOD, fd, &e) != 0)
		epoll_ctl(loop.ep, EPOLL_CTL_ADD, fd, &e);
	return 0;
}

static int on_timer(CURLM *multi, long ms, void *user)
{
	(void)multi;
	(void)user;
	loop.due_s = ms < 0 ? 0 : monotonic_s() + (double)ms / 1000;
	return 0;
}

static void by_epoll(void)
{
	bool goes_on = true;
	int running;

	while (goes_on) {
		double left = loop.due_s - monotonic_s();
		struct epoll_event e;
		int n = epoll_wait(loop.ep, &e, 1, loop.due_s == 0 ? 20000 : left > 0 ? (int)(left * 1000) + 1 : 0);
		int what = n > 0 ? (e.events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
					   (e.events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
					   (e.events & EPOLLERR ? CURL_CSELECT_ERR : 0)
				 : 0;

		if (n > 0)
			goes_on = took(curl_multi_socket_action(loop.multi, e.data.fd, what, &running));
		if (goes_on && loop.due_s != 0 && monotonic_s() >= loop.due_s) {
			loop.due_s = 0;
			goes_on = took(curl_multi_socket_action(loop.multi, CURL_SOCKET_TIMEOUT, 0, &running));
		}
	}
}

static const struct {
	const char *name;
	void (*drive)(void);
} drivers[] = {{"poll", by_poll}, {"wait", by_wait}, {"select", by_select}, {"epoll", by_epoll}};

static void make_loop(const char *url)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
	loop.multi = curl_multi_init();
	loop.hops = follower_of(url);
}

static int drive(const char *name)
{
	size_t i = 0;

	if (strcmp(name, "epoll") == 0) {
		loop.ep = epoll_create1(EPOLL_CLOEXEC);
		curl_multi_setopt(loop.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
		curl_multi_setopt(loop.multi, CURLMOPT_TIMERFUNCTION, on_timer);
	}
	PART_CHECK(curl_multi_add_handle(loop.multi, loop.hops) == CURLM_OK);
	if (loop.free_one)
		PART_CHECK(curl_multi_add_handle(loop.multi, loop.free_one) == CURLM_OK);
	while (strcmp(drivers[i].name, name) != 0)
		i++;
	drivers[i].drive();
	PART_CHECK(!loop.wrong);
	return 0;
}

static void end_loop(void)
{
	curl_multi_remove_handle(loop.multi, loop.free_one);
	curl_easy_cleanup(loop.hops);
	curl_easy_cleanup(loop.free_one);
	curl_multi_cleanup(loop.multi);
}

/* Alone in its loop. argv: driver, where it begins. */
static int follow(int argc, char **argv)
{
	long hops = 0;

	(void)argc;
	make_loop(argv[1]);
	PART_CHECK(drive(argv[0]) == 0);
	PART_CHECK(loop.result == CURLE_OK);
	PART_CHECK(loop.turns < TURNS);
	PART_CHECK(curl_easy_getinfo(loop.hops, CURLINFO_REDIRECT_COUNT, &hops) == CURLE_OK && hops > 0);
	end_loop();
	return 0;
}

/* With the other one beside it. argv: driver, where it begins, the other one's URL. Prints how often that was served. */
static int follow_beside(int argc, char **argv)
{
	(void)argc;
	make_loop(argv[1]);
	loop.free_one = follower_of(argv[2]);
	PART_CHECK(drive(argv[0]) == 0);
	PART_CHECK(loop.result == CURLE_OK);
	printf("%d\n", loop.served);
	end_loop();
	return 0;
}

/* argv: its time-out in milliseconds, where it begins. */
static int run_out_of_time(int argc, char **argv)
{
	char text[CURL_ERROR_SIZE] = "";

	(void)argc;
	make_loop(argv[1]);
	curl_easy_setopt(loop.hops, CURLOPT_TIMEOUT_MS, atol(argv[0]));
	curl_easy_setopt(loop.hops, CURLOPT_ERRORBUFFER, text);
	PART_CHECK(drive("poll") == 0);
	PART_CHECK(loop.result == CURLE_OPERATION_TIMEDOUT);
	PART_CHECK(strncmp(text, "weir: 127.0.0.1:", 16) == 0);
	end_loop();
	return 0;
}

static bool turn_until_answered(void)
{
	int running;

	for (int i = 0; i < 2000; i++) {
		long hops = 0;

		if (curl_multi_perform(loop.multi, &running) != CURLM_OK || running != 1)
			return false;
		if (curl_easy_getinfo(loop.hops, CURLINFO_REDIRECT_COUNT, &hops) == CURLE_OK && hops == 1)
			return true;
		curl_multi_poll(loop.multi, NULL, 0, 10, NULL);
	}
	return false;
}

/* Its hop is held, and it is taken out, freed, or left to the multi handle's end. argv: which of these, where it begins, a URL of
 * the other host. */
static int take_back(int argc, char **argv)
{
	CURLM *multi;

	(void)argc;
	make_loop(argv[1]);
	multi = loop.multi;
	PART_CHECK(curl_multi_add_handle(multi, loop.hops) == CURLM_OK);
	PART_CHECK(turn_until_answered());
	if (strcmp(argv[0], "remove") == 0) {
		PART_CHECK(curl_multi_remove_handle(multi, loop.hops) == CURLM_OK);
		/* It is the program's again, and so are the connections. */
		curl_easy_setopt(loop.hops, CURLOPT_URL, argv[2]);
		PART_CHECK(curl_multi_add_handle(multi, loop.hops) == CURLM_OK);
		by_poll();
		PART_CHECK(loop.over && loop.result == CURLE_OK && !loop.wrong);
	}
	if (strcmp(argv[0], "end") != 0)
		curl_easy_cleanup(loop.hops);
	curl_multi_cleanup(multi);
	return 0;
}

/* Takes it out in the midst of a callback, which libcurl does not let it do. */
static size_t take_out(char *data, size_t size, size_t count, void *user)
{
	(void)data;
	(void)user;
	loop.wrong |= curl_multi_remove_handle(loop.multi, loop.hops) == CURLM_OK;
	return size * count;
}

/* It goes on all the same. argv: where it begins, a URL of the other host. */
static int take_out_inside(int argc, char **argv)
{
	double begun_s = monotonic_s();
	int running;

	(void)argc;
	make_loop(argv[0]);
	PART_CHECK(curl_multi_add_handle(loop.multi, loop.hops) == CURLM_OK);
	PART_CHECK(turn_until_answered());
	loop.free_one = follower_of(argv[1]);
	curl_easy_setopt(loop.free_one, CURLOPT_WRITEFUNCTION, take_out);
	PART_CHECK(curl_multi_add_handle(loop.multi, loop.free_one) == CURLM_OK);
	while (took(curl_multi_perform(loop.multi, &running)) && monotonic_s() - begun_s < 30)
		curl_multi_poll(loop.multi, NULL, 0, 20000, NULL);
	PART_CHECK(loop.over && loop.result == CURLE_OK && !loop.wrong);
	end_loop();
	return 0;
}

/* What the program pauses itself stays so, and what it lets go on while its hop is held waits all the same. argv[0]: where it
 * begins. */
static int pause_and_go_on(int argc, char **argv)
{
	int running;

	(void)argc;
	make_loop(argv[0]);
	PART_CHECK(curl_multi_add_handle(loop.multi, loop.hops) == CURLM_OK);
	PART_CHECK(turn_until_answered());
	PART_CHECK(curl_easy_pause(loop.hops, CURLPAUSE_RECV) == CURLE_OK);
	PART_CHECK(curl_multi_perform(loop.multi, &running) == CURLM_OK && running == 1);
	PART_CHECK(curl_easy_pause(loop.hops, CURLPAUSE_CONT) == CURLE_OK);
	by_poll();
	PART_CHECK(loop.result == CURLE_OK && !loop.wrong && loop.turns < TURNS);
	end_loop();
	return 0;
}

/* Its host is shut while the hop is held. argv[0]: where it begins. */
static int be_refused(int argc, char **argv)
{
	char text[CURL_ERROR_SIZE] = "";
	long os_error = 0;

	(void)argc;
	make_loop(argv[0]);
	curl_easy_setopt(loop.hops, CURLOPT_ERRORBUFFER, text);
	PART_CHECK(drive("poll") == 0);
	PART_CHECK(loop.result == CURLE_COULDNT_CONNECT);
	PART_CHECK(strncmp(text, "weir: 127.0.0.1:", 16) == 0);
	PART_CHECK(curl_easy_getinfo(loop.hops, CURLINFO_OS_ERRNO, &os_error) == CURLE_OK && os_error == ECONNREFUSED);
	end_loop();
	return 0;
}

static const struct host_part parts[] = {
	{"follow", follow},
	{"follow_beside", follow_beside},
	{"run_out_of_time", run_out_of_time},
	{"take_back", take_back},
	{"pause_and_go_on", pause_and_go_on},
	{"be_refused", be_refused},
	{"take_out_inside", take_out_inside},
};

/* --- The tests ------------------------------------------------------------------------------------------------------------- */

/* Two servers, the first of which is limited. */
struct stage {
	struct scene *scene;
	struct quotad *limited, *other;
	char host_port[64]; /* of the limited one */
	double begun_s;
};

static void stage_open_with(struct stage *s, void **state, const char *rule, int port_of(const struct quotad *))
{
	static const char *const tls[] = {"--tls", NULL};
	char rules[512];

	memset(s, 0, sizeof *s);
	s->scene = *state;
	s->limited = quotad_start(s->scene->dir, tls);
	s->other = quotad_start(s->scene->dir, NULL);
	host_port_of(s->host_port, "127.0.0.1", port_of(s->limited));
	snprintf(rules, sizeof rules, "hosts = ( { match = \"%s\"; %s } );\n", s->host_port, rule);
	scene_configure(s->scene, rules);
	agent_start(s->scene);
	s->begun_s = monotonic_s();
}

static int http_port(const struct quotad *q)
{
	return q->http_port;
}

static int https_port(const struct quotad *q)
{
	return q->https_port;
}

#define FIXED "rate = { strategy = \"fixed\"; max = \"4/s\"; burst = 1; };"

static void stage_open(struct stage *s, void **state)
{
	stage_open_with(s, state, FIXED, http_port);
}

/* A URL of the server, whose answer leads to the same server again, so many times. */
static const char *chain_of(struct quotad *server, int hops, char path[512])
{
	size_t n = 0;

	for (int i = 0; i < hops; i++)
		n += (size_t)snprintf(path + n, 512 - n, "/redirect/%d", server->http_port);
	snprintf(path + n, 512 - n, "/n/1");
	return quotad_url(server, path);
}

/* All came, none before its time, and each has taken one unit. A process that is stopped for a while makes them late, never
 * early: so they are measured from before the program was started. */
static void expect_pace(struct stage *s, size_t requests)
{
	struct host_counts n = counts_of(s->scene, s->host_port);
	struct quotad_arrival *arrival;
	size_t count;

	arrival = quotad_journal(s->limited, &count);
	assert_int_equal(count, requests);
	for (size_t i = 0; i < count; i++) {
		if (arrival[i].arrival_s - s->begun_s < (double)i / PER_S - EARLY_S)
			fail_msg("request %zu came %.3f s after the start", i, arrival[i].arrival_s - s->begun_s);
	}
	free(arrival);
	assert_int_equal(n.admitted, requests);
	assert_int_equal(n.succeeded, requests);
	assert_true(n.delayed > 0);
	assert_int_equal(n.permits, 0);
	assert_int_equal(leases_held(s->scene), 0);
}

static struct outcome run_three(struct stage *s, const char *part, const char *a, const char *b, const char *c)
{
	static char self[PATH_MAX];
	const char *argv[] = {self, "--part", part, a, b, c, NULL};
	struct command command = {.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = s->scene->dir};
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	struct outcome o;

	assert_true(n > 0);
	self[n] = '\0';
	o = command_run(&command);
	if (o.exit_status != 0 || o.signal != 0)
		fail_msg("%s %s: exit %d, signal %d: %s%s", part, a, o.exit_status, o.signal, o.out, o.err);
	return o;
}

static void follow_by(void **state, const char *driver)
{
	struct outcome o;
	struct stage s;
	char path[512];

	stage_open(&s, state);
	o = run_three(&s, "follow", driver, chain_of(s.limited, 3, path), NULL);
	outcome_free(&o);
	expect_pace(&s, 4);
}

static void hops_wait_in_a_loop_of_perform_and_poll_which_sleeps(void **state)
{
	follow_by(state, "poll");
}

static void hops_wait_in_a_loop_of_perform_and_wait_which_sleeps(void **state)
{
	follow_by(state, "wait");
}

static void hops_wait_in_a_loop_of_select_which_sleeps(void **state)
{
	follow_by(state, "select");
}

static void hops_wait_in_a_loop_of_epoll_which_sleeps(void **state)
{
	follow_by(state, "epoll");
}

static void beside_them(void **state, const char *driver)
{
	struct outcome o;
	struct stage s;
	char path[512];
	int served;

	stage_open(&s, state);
	o = run_three(&s, "follow_beside", driver, chain_of(s.limited, 3, path), quotad_url(s.other, "/n/1"));
	served = atoi(o.out);
	outcome_free(&o);
	expect_pace(&s, 4);
	/* In three quarters of a second, where a request takes some hundred microseconds. */
	assert_true(served >= 20);
}

static void a_held_hop_keeps_nobody_in_a_loop_of_poll(void **state)
{
	beside_them(state, "poll");
}

static void a_held_hop_keeps_nobody_in_a_loop_of_select(void **state)
{
	beside_them(state, "select");
}

static void a_held_hop_keeps_nobody_in_a_loop_of_epoll(void **state)
{
	beside_them(state, "epoll");
}

/* It leads to and fro: a connection to each is opened once, and used from then on. */
static void a_hop_to_another_host_waits_on_the_open_connection(void **state)
{
	struct outcome o;
	struct stage s;
	char path[512];
	size_t n = 0;

	stage_open(&s, state);
	for (int i = 0; i < 3; i++)
		n += (size_t)snprintf(path + n, sizeof path - n, "/redirect/%d/redirect/%d", s.limited->http_port,
				      s.other->http_port);
	snprintf(path + n, sizeof path - n, "/n/1");
	o = run_three(&s, "follow", "poll", quotad_url(s.other, path), NULL);
	outcome_free(&o);
	expect_pace(&s, 3);
	assert_int_equal(quotad_count(s.limited).connections, 1);
	assert_int_equal(quotad_count(s.other).requests, 4);
	assert_int_equal(quotad_count(s.other).connections, 1);
}

static void run_shell(struct stage *s, const char *shell)
{
	struct outcome o = command_run(&(struct command){.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = s->scene->dir});

	if (o.exit_status != 0)
		fail_msg("%s: exit %d: %s%s", shell, o.exit_status, o.out, o.err);
	outcome_free(&o);
}

static void curl_in_parallel_follows_at_the_rate(void **state)
{
	char shell[600], path[512];
	struct stage s;

	stage_open(&s, state);
	snprintf(shell, sizeof shell, "curl -sSZL -o /dev/null %s", chain_of(s.limited, 5, path));
	run_shell(&s, shell);
	expect_pace(&s, 6);
}

/* Libcurl measures while it holds the hop, as long as it waits for an answer. */
static void a_hop_s_wait_is_no_slow_transfer(void **state)
{
	char shell[600], path[512];
	struct stage s;

	stage_open_with(&s, state, "rate = { strategy = \"fixed\"; max = \"1/8s\"; burst = 1; };", http_port);
	snprintf(shell, sizeof shell, "curl -sSZL --speed-limit 100000 --speed-time 3 -o /dev/null %s",
		 chain_of(s.limited, 1, path));
	run_shell(&s, shell);
	assert_int_equal(quotad_count(s.limited).requests, 2);
}

/* OpenSSL's libcurl. */
static void curl_in_parallel_follows_at_the_rate_inside_tls(void **state)
{
	char shell[400];
	struct stage s;

	stage_open_with(&s, state, FIXED, https_port);
	snprintf(shell, sizeof shell, "curl -sSZL --cacert %s -o /dev/null %s", s.limited->cert_file,
		 quotad_https_url(s.limited, "/redirect-https/redirect-https/redirect-https/n/1"));
	run_shell(&s, shell);
	expect_pace(&s, 4);
}

/* GnuTLS's, by select. That it is no repository comes out afterwards. */
static void git_follows_at_the_rate_inside_tls(void **state)
{
	char shell[400];
	struct stage s;

	stage_open_with(&s, state, FIXED, https_port);
	snprintf(shell, sizeof shell, "GIT_SSL_NO_VERIFY=1 git ls-remote %s 2>/dev/null || true",
		 quotad_https_url(s.limited, "/redirect-https/redirect-https/redirect-https/n/1"));
	run_shell(&s, shell);
	expect_pace(&s, 4);
}

/* What is left of the program's time is not enough for the turn: it hears so at once, as of a transfer that is refused. */
static void the_hop_s_wait_is_part_of_the_program_s_time(void **state)
{
	struct stage s;
	char path[512];

	stage_open_with(&s, state, "rate = { strategy = \"fixed\"; max = \"1/20s\"; burst = 1; };", http_port);
	expect_part(s.scene, "run_out_of_time", "10000", chain_of(s.limited, 1, path));
	assert_true(monotonic_s() - s.begun_s < 10);
	assert_int_equal(quotad_count(s.limited).requests, 1);
	assert_int_equal(counts_of(s.scene, s.host_port).refused, 1);
	assert_int_equal(leases_held(s.scene), 0);
}

static void a_hop_that_is_held_can_be_taken_back(void **state)
{
	static const char *const ways[] = {"remove", "free", "end"};
	struct host_counts n;
	struct outcome o;
	struct stage s;
	char path[512];

	stage_open_with(&s, state, "rate = { strategy = \"fixed\"; max = \"1/20s\"; burst = 3; };", http_port);
	for (int i = 0; i < 3; i++) {
		/* Of three units at once, one is left for each way: its hop has to wait. */
		o = run_three(&s, "take_back", ways[i], chain_of(s.limited, 1, path), quotad_url(s.other, "/n/1"));
		outcome_free(&o);
	}
	n = counts_of(s.scene, s.host_port);
	assert_int_equal(n.permits, 0);
	assert_int_equal(leases_held(s.scene), 0);
	assert_int_equal(quotad_count(s.limited).requests, n.admitted);
	assert_int_equal(quotad_count(s.other).requests, 1);
}

static void a_held_hop_goes_on_where_libcurl_does_not_let_go_of_it(void **state)
{
	struct outcome o;
	struct stage s;
	char path[512];

	stage_open_with(&s, state, "rate = { strategy = \"fixed\"; max = \"1/20s\"; burst = 1; };", http_port);
	o = run_three(&s, "take_out_inside", chain_of(s.limited, 1, path), quotad_url(s.other, "/n/1"), NULL);
	outcome_free(&o);
	assert_int_equal(quotad_count(s.limited).requests, 2);
	assert_int_equal(leases_held(s.scene), 0);
}

static void what_the_program_pauses_meanwhile_waits_as_well(void **state)
{
	struct stage s;
	char path[512];

	stage_open(&s, state);
	expect_part(s.scene, "pause_and_go_on", chain_of(s.limited, 2, path), NULL);
	expect_pace(&s, 3);
}

static bool has_one_request(void *server)
{
	return quotad_count(server).requests == 1;
}

static void a_hop_whose_host_is_shut_meanwhile_is_refused(void **state)
{
	static char self[PATH_MAX];
	struct running *running;
	struct outcome o;
	struct stage s;
	char path[512];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	assert_true(n > 0);
	self[n] = '\0';
	stage_open_with(&s, state, "rate = { strategy = \"fixed\"; max = \"1/20s\"; burst = 1; };", http_port);
	running = command_start(
		&(struct command){.argv = (const char *const[]){self, "--part", "be_refused", chain_of(s.limited, 1, path), NULL},
				  .mode = COMMAND_UNDER_WEIR,
				  .dir = s.scene->dir});
	assert_soon(has_one_request, s.limited, 10, "the first request comes");
	o = WEIR(s.scene, "breaker", s.host_port, "open");
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	o = command_wait(running);
	if (o.exit_status != 0)
		fail_msg("exit %d, signal %d: %s", o.exit_status, o.signal, o.err);
	outcome_free(&o);
	assert_int_equal(quotad_count(s.limited).requests, 1);
	assert_int_equal(leases_held(s.scene), 0);
}

static void answer(int fd, const char *text)
{
	char head[4096];
	size_t got = 0;
	ssize_t n;

	while (got < sizeof head - 1 && (n = read(fd, head + got, sizeof head - 1 - got)) > 0) {
		got += (size_t)n;
		head[got] = '\0';
		if (strstr(head, "\r\n\r\n"))
			break;
	}
	(void)!write(fd, text, strlen(text));
}

/* Answers with a redirect and closes the connection a while later; then answers. Ends with the heads that came. */
static pid_t start_hasty_server(int *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof a;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	pid_t child;

	assert_int_equal(bind(listener, (struct sockaddr *)&a, length), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &length), 0);
	*port = ntohs(a.sin_port);
	child = fork();
	if (child == 0) {
		alarm(25);
		fd = accept(listener, NULL, NULL);
		answer(fd, "HTTP/1.1 302 Found\r\nLocation: /n/1\r\nContent-Length: 0\r\n\r\n");
		poll(NULL, 0, 150);
		close(fd);
		fd = accept(listener, NULL, NULL);
		answer(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
		close(fd);
		_exit(0);
	}
	close(listener);
	return child;
}

static void a_connection_that_is_closed_under_a_held_hop_is_made_anew(void **state)
{
	struct scene *scene = *state;
	struct host_counts n;
	char rules[256], key[64], url[80];
	int port, status;
	pid_t server = start_hasty_server(&port);

	host_port_of(key, "127.0.0.1", port);
	snprintf(rules, sizeof rules,
		 "hosts = ( { match = \"%s\"; rate = { strategy = \"fixed\"; max = \"1/s\"; burst = 1; }; } );\n", key);
	scene_configure(scene, rules);
	agent_start(scene);
	snprintf(url, sizeof url, "http://%s/", key);
	expect_part(scene, "follow", "poll", url);
	assert_true(waitpid(server, &status, 0) == server && status == 0);
	n = counts_of(scene, key);
	assert_int_equal(n.admitted, 2);
	assert_int_equal(n.succeeded, 2);
	assert_int_equal(n.permits, 0);
	assert_int_equal(leases_held(scene), 0);
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SCENE(hops_wait_in_a_loop_of_perform_and_poll_which_sleeps),
		SCENE(hops_wait_in_a_loop_of_perform_and_wait_which_sleeps),
		SCENE(hops_wait_in_a_loop_of_select_which_sleeps),
		SCENE(hops_wait_in_a_loop_of_epoll_which_sleeps),
		SCENE(a_held_hop_keeps_nobody_in_a_loop_of_poll),
		SCENE(a_held_hop_keeps_nobody_in_a_loop_of_select),
		SCENE(a_held_hop_keeps_nobody_in_a_loop_of_epoll),
		SCENE(a_hop_to_another_host_waits_on_the_open_connection),
		SCENE(curl_in_parallel_follows_at_the_rate),
		SCENE(a_hop_s_wait_is_no_slow_transfer),
		SCENE(curl_in_parallel_follows_at_the_rate_inside_tls),
		SCENE(git_follows_at_the_rate_inside_tls),
		SCENE(the_hop_s_wait_is_part_of_the_program_s_time),
		SCENE(a_hop_that_is_held_can_be_taken_back),
		SCENE(a_held_hop_goes_on_where_libcurl_does_not_let_go_of_it),
		SCENE(what_the_program_pauses_meanwhile_waits_as_well),
		SCENE(a_hop_whose_host_is_shut_meanwhile_is_refused),
		SCENE(a_connection_that_is_closed_under_a_held_hop_is_made_anew),
	};
	int status = host_part_run(argc, argv, parts, sizeof parts / sizeof parts[0]);

	return status >= 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
