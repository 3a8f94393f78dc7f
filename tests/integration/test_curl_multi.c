/* SPDX-License-Identifier: MIT */
/* Programs with many transfers at a time in one thread (curl_multi): each is a request, held to its host's limit without anybody
 * being made to wait. */
#include "tests/harness/harness.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "tests/harness/wait.h"
#include "tests/integration/closed_port.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/host_program.h"
#include "tests/integration/weir_program.h"

/* Transfers to the limited host, and to the other one in the same multi handle. */
#define SLOW  6
#define FREE  12
#define PER_S 4.0
/* Units are taken when a transfer begins, a moment after the test has looked at its clock. */
#define EARLY_S 0.020

static size_t drop(char *data, size_t size, size_t count, void *user)
{
	(void)data;
	(void)user;
	return size * count;
}

static CURL *handle_for(const char *base, const char *path, long number)
{
	CURL *h = curl_easy_init();
	char url[256];

	snprintf(url, sizeof url, number < 0 ? "%s%s" : "%s%s%ld", base, path, number);
	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, drop);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 1L);
	return h;
}

/* Transfers in a multi handle, and what was heard of them. */
struct crowd {
	CURLM *multi;
	CURL *handle[SLOW + FREE];
	int count, slow; /* the first `slow` go to the limited host */
	int ended, ended_slow;
	double free_s; /* when the last of the others was over */
	bool alone;    /* the limited host's alone */
	bool wrong;
	/* For by_timer alone: */
	struct pollfd fds[64];
	int sockets;
	double due_s; /* 0 = no timer */
};

static struct crowd crowd;

static void read_messages(void)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(crowd.multi, &left))) {
		int which = 0;

		while (which < crowd.count && crowd.handle[which] != message->easy_handle)
			which++;
		crowd.wrong |= message->msg != CURLMSG_DONE || message->data.result != CURLE_OK || which == crowd.count;
		if (which < crowd.slow)
			crowd.ended_slow++;
		else
			crowd.free_s = monotonic_s();
		crowd.ended++;
		curl_multi_remove_handle(crowd.multi, message->easy_handle);
	}
}

/* After each call that tells how many are running. */
static bool goes_on(CURLMcode code, const int *running)
{
	crowd.wrong |= code != CURLM_OK;
	read_messages();
	crowd.wrong |= *running != crowd.count - crowd.ended;
	return *running > 0 && !crowd.wrong;
}

static void by_poll(void)
{
	int running;

	while (goes_on(curl_multi_perform(crowd.multi, &running), &running))
		crowd.wrong |= curl_multi_poll(crowd.multi, NULL, 0, 20000, NULL) != CURLM_OK;
}

static void by_wait(void)
{
	int running, turns = 0;

	while (goes_on(curl_multi_perform(crowd.multi, &running), &running)) {
		crowd.wrong |= curl_multi_wait(crowd.multi, NULL, 0, 20000, NULL) != CURLM_OK;
		/* It waits, and does not spin. */
		crowd.wrong |= ++turns > 2000;
	}
}

static void by_select(void)
{
	int running, last;

	while (goes_on(curl_multi_perform(crowd.multi, &running), &running)) {
		fd_set in, out, error;
		struct timeval t = {20, 0};
		long ms = -1;

		FD_ZERO(&in);
		FD_ZERO(&out);
		FD_ZERO(&error);
		crowd.wrong |= curl_multi_timeout(crowd.multi, &ms) != CURLM_OK;
		crowd.wrong |= curl_multi_fdset(crowd.multi, &in, &out, &error, &last) != CURLM_OK;
		crowd.wrong |= ms < 0 && last < 0;
		if (ms >= 0)
			t = (struct timeval){ms / 1000, ms % 1000 * 1000};
		select(last + 1, &in, &out, &error, &t);
	}
}

static int on_socket(CURL *handle, curl_socket_t fd, int what, void *user, void *of_socket)
{
	int i = 0;

	(void)handle;
	(void)of_socket;
	crowd.wrong |= user != &crowd;
	while (i < crowd.sockets && crowd.fds[i].fd != fd)
		i++;
	if (i == crowd.sockets)
		crowd.sockets++;
	crowd.fds[i].fd = fd;
	crowd.fds[i].events = (short)((what & CURL_POLL_IN ? POLLIN : 0) | (what & CURL_POLL_OUT ? POLLOUT : 0));
	if (what == CURL_POLL_REMOVE)
		crowd.fds[i] = crowd.fds[--crowd.sockets];
	return 0;
}

static int on_timer(CURLM *multi, long ms, void *user)
{
	crowd.wrong |= multi != crowd.multi || user != &crowd.due_s;
	crowd.due_s = ms < 0 ? 0 : monotonic_s() + (double)ms / 1000;
	return 0;
}

/* A program that sleeps until a socket is ready or the timer that it was told of runs out, and has nothing else. */
static void by_timer(void)
{
	int running = crowd.count, turns = 0;

	while (running > 0 && !crowd.wrong) {
		double left = crowd.due_s - monotonic_s();
		int ready = poll(crowd.fds, (nfds_t)crowd.sockets,
				 crowd.due_s == 0 ? 20000
				 : left > 0       ? (int)(left * 1000) + 1
						  : 0);

		crowd.wrong |= crowd.due_s == 0 && crowd.sockets == 0;
		/* It waits, and does not spin. */
		crowd.wrong |= ++turns > 2000;
		if (crowd.due_s != 0 && monotonic_s() >= crowd.due_s) {
			crowd.due_s = 0;
			goes_on(curl_multi_socket_action(crowd.multi, CURL_SOCKET_TIMEOUT, 0, &running), &running);
		}
		for (int i = 0; ready > 0 && i < crowd.sockets; i++) {
			short r = crowd.fds[i].revents;
			int events = (r & (POLLIN | POLLHUP) ? CURL_CSELECT_IN : 0) | (r & POLLOUT ? CURL_CSELECT_OUT : 0) |
				     (r & POLLERR ? CURL_CSELECT_ERR : 0);

			if (events != 0) {
				crowd.fds[i].revents = 0;
				goes_on(curl_multi_socket_action(crowd.multi, crowd.fds[i].fd, events, &running), &running);
				break;
			}
		}
	}
}

/* argv: the limited host, the other one. Prints how long the other one's transfers took, and all, in milliseconds. */
static int meet(char **argv, void (*drive)(void), bool timer)
{
	double begun = monotonic_s();

	curl_global_init(CURL_GLOBAL_DEFAULT);
	crowd.multi = curl_multi_init();
	crowd.slow = SLOW;
	if (timer) {
		curl_multi_setopt(crowd.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
		curl_multi_setopt(crowd.multi, CURLMOPT_SOCKETDATA, &crowd);
		curl_multi_setopt(crowd.multi, CURLMOPT_TIMERFUNCTION, on_timer);
		curl_multi_setopt(crowd.multi, CURLMOPT_TIMERDATA, &crowd.due_s);
	}
	for (; crowd.count < SLOW + (crowd.alone ? 0 : FREE); crowd.count++) {
		bool slow = crowd.count < SLOW;

		crowd.handle[crowd.count] = handle_for(argv[slow ? 0 : 1], "/n/", crowd.count);
		PART_CHECK(curl_multi_add_handle(crowd.multi, crowd.handle[crowd.count]) == CURLM_OK);
	}
	/* Whether libcurl has it already or not. */
	PART_CHECK(curl_multi_add_handle(crowd.multi, crowd.handle[SLOW - 1]) == CURLM_ADDED_ALREADY);
	drive();
	PART_CHECK(!crowd.wrong);
	PART_CHECK(crowd.ended == crowd.count && crowd.ended_slow == SLOW);
	printf("%.0f %.0f\n", (crowd.free_s - begun) * 1000, (monotonic_s() - begun) * 1000);
	for (int i = 0; i < crowd.count; i++)
		curl_easy_cleanup(crowd.handle[i]);
	PART_CHECK(curl_multi_cleanup(crowd.multi) == CURLM_OK);
	return 0;
}

/* As pycurl's select does where there is no descriptor: it does not wait at all. */
static void by_spinning(void)
{
	int running;
	clock_t before = clock();

	while (goes_on(curl_multi_perform(crowd.multi, &running), &running))
		;
	crowd.wrong |= clock() - before > CLOCKS_PER_SEC / 2;
}

static int spin(int argc, char **argv)
{
	(void)argc;
	crowd.alone = true;
	return meet(argv, by_spinning, false);
}

static int meet_by_poll(int argc, char **argv)
{
	(void)argc;
	return meet(argv, by_poll, false);
}

static int meet_by_wait(int argc, char **argv)
{
	(void)argc;
	return meet(argv, by_wait, false);
}

static int meet_by_select(int argc, char **argv)
{
	(void)argc;
	return meet(argv, by_select, false);
}

static int meet_by_timer(int argc, char **argv)
{
	(void)argc;
	return meet(argv, by_timer, true);
}

/* Performs until nothing runs. Returns the message of one handle, or -1. */
static int perform_all(CURLM *multi, const CURL *which)
{
	int running = 1, result = -1, left;
	CURLMsg *message;

	while (running > 0) {
		if (curl_multi_perform(multi, &running) != CURLM_OK)
			return -2;
		if (running > 0)
			curl_multi_poll(multi, NULL, 0, 20000, NULL);
	}
	while ((message = curl_multi_info_read(multi, &left))) {
		if (message->easy_handle == which)
			result = (int)message->data.result;
	}
	return result;
}

/* One goes, three are kept back: one is removed, one freed, and one left to the multi handle's end. */
static int take_back(int argc, char **argv)
{
	CURLM *multi = curl_multi_init();
	CURL *h[4];
	int running = 0;

	(void)argc;
	for (int i = 0; i < 4; i++) {
		h[i] = handle_for(argv[0], "/n/", i);
		PART_CHECK(curl_multi_add_handle(multi, h[i]) == CURLM_OK);
	}
	PART_CHECK(curl_multi_perform(multi, &running) == CURLM_OK);
	PART_CHECK(running == 4);
	PART_CHECK(curl_multi_remove_handle(multi, h[1]) == CURLM_OK);
	PART_CHECK(curl_multi_remove_handle(multi, h[1]) == CURLM_OK);
	/* It is the program's again. */
	curl_easy_setopt(h[1], CURLOPT_URL, "file:///dev/null");
	PART_CHECK(curl_easy_perform(h[1]) == CURLE_OK);
	PART_CHECK(curl_easy_perform(h[2]) == CURLE_FAILED_INIT);
	curl_easy_cleanup(h[2]);
	PART_CHECK(curl_multi_perform(multi, &running) == CURLM_OK);
	PART_CHECK(running <= 2);
	while (running > 1) {
		curl_multi_poll(multi, NULL, 0, 20000, NULL);
		curl_multi_perform(multi, &running);
	}
	PART_CHECK(curl_multi_cleanup(multi) == CURLM_OK);
	curl_easy_cleanup(h[0]);
	curl_easy_cleanup(h[1]);
	curl_easy_cleanup(h[3]);
	return 0;
}

/* Ends with transfers under way and kept back. argv[1]: how. */
static int leave_in_the_middle(int argc, char **argv)
{
	CURLM *multi = curl_multi_init();
	int running = 0, status;
	pid_t child;

	(void)argc;
	for (int i = 0; i < 4; i++)
		PART_CHECK(curl_multi_add_handle(multi, handle_for(argv[0], "/delay/", 3000 + i)) == CURLM_OK);
	PART_CHECK(curl_multi_perform(multi, &running) == CURLM_OK);
	if (strcmp(argv[1], "exec") == 0)
		execlp("true", "true", (char *)NULL);
	/* A child that ends is none of its parent's ends. */
	child = fork();
	if (child == 0)
		exit(0);
	PART_CHECK(waitpid(child, &status, 0) == child && status == 0);
	return 0;
}

/* Fails on a dead host until it is refused. argv[0]: the host. */
static int be_refused(int argc, char **argv)
{
	CURLM *multi = curl_multi_init();
	char text[CURL_ERROR_SIZE] = "";
	CURL *h = handle_for(argv[0], "/gone", -1);
	const char *url = NULL;
	long os_error = 0;
	double total = -1;

	(void)argc;
	curl_easy_setopt(h, CURLOPT_ERRORBUFFER, text);
	for (int i = 0; i < 6; i++) {
		PART_CHECK(curl_multi_add_handle(multi, h) == CURLM_OK);
		PART_CHECK(perform_all(multi, h) == CURLE_COULDNT_CONNECT);
		PART_CHECK((strncmp(text, "weir: 127.0.0.1:", 16) == 0) == (i == 5));
		PART_CHECK(curl_easy_getinfo(h, CURLINFO_OS_ERRNO, &os_error) == CURLE_OK && os_error == ECONNREFUSED);
		PART_CHECK(curl_multi_remove_handle(multi, h) == CURLM_OK);
	}
	PART_CHECK(curl_easy_getinfo(h, CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK && strstr(url, "/gone"));
	PART_CHECK(curl_easy_getinfo(h, CURLINFO_TOTAL_TIME, &total) == CURLE_OK && total < 1);
	/* Nothing of the refusal stays on the handle. */
	curl_easy_setopt(h, CURLOPT_URL, argv[1]);
	PART_CHECK(curl_multi_add_handle(multi, h) == CURLM_OK);
	PART_CHECK(perform_all(multi, h) == CURLE_OK);
	curl_multi_remove_handle(multi, h);
	curl_easy_cleanup(h);
	curl_multi_cleanup(multi);
	return 0;
}

/* The second one would have to wait for longer than it may. argv[1]: milliseconds that it may, 0 = whatever the rule says. */
static int wait_too_long(int argc, char **argv)
{
	CURLM *multi = curl_multi_init();
	char text[CURL_ERROR_SIZE] = "";
	CURL *h[2] = {handle_for(argv[0], "/n/", 0), handle_for(argv[0], "/n/", 1)};
	double begun = monotonic_s();

	(void)argc;
	curl_easy_setopt(h[1], CURLOPT_ERRORBUFFER, text);
	curl_easy_setopt(h[1], CURLOPT_TIMEOUT_MS, atol(argv[1]));
	for (int i = 0; i < 2; i++)
		PART_CHECK(curl_multi_add_handle(multi, h[i]) == CURLM_OK);
	PART_CHECK(perform_all(multi, h[1]) == CURLE_OPERATION_TIMEDOUT);
	PART_CHECK(monotonic_s() - begun < 10);
	PART_CHECK(strncmp(text, "weir: ", 6) == 0);
	return 0;
}

/* What the second one has waited is taken off its time-out; the next transfer of the handle has the whole again. */
static int share_the_time_out(int argc, char **argv)
{
	CURLM *multi = curl_multi_init();
	CURL *h[2] = {handle_for(argv[0], "/n/", 0), handle_for(argv[0], "/delay/", 20000)};
	double begun = monotonic_s(), took;

	(void)argc;
	curl_easy_setopt(h[1], CURLOPT_TIMEOUT_MS, 3000L);
	for (int i = 0; i < 2; i++)
		PART_CHECK(curl_multi_add_handle(multi, h[i]) == CURLM_OK);
	PART_CHECK(perform_all(multi, h[1]) == CURLE_OPERATION_TIMEDOUT);
	took = monotonic_s() - begun;
	/* Of two seconds that it waited and three that it may take. */
	PART_CHECK(took > 2.9 && took < 2 + 3 - 0.1);
	PART_CHECK(curl_multi_remove_handle(multi, h[1]) == CURLM_OK);
	begun = monotonic_s();
	curl_easy_setopt(h[1], CURLOPT_URL, argv[1]);
	PART_CHECK(curl_multi_add_handle(multi, h[1]) == CURLM_OK);
	PART_CHECK(perform_all(multi, h[1]) == CURLE_OK);
	PART_CHECK(monotonic_s() - begun > 1.2);
	return 0;
}

/* All at once; their ends are asked for when all are over. */
static int ask_at_the_end(int argc, char **argv)
{
	CURLM *multi = curl_multi_init();
	CURL *h[4];
	int left;

	(void)argc;
	for (int i = 0; i < 4; i++) {
		h[i] = handle_for(argv[0], "/n/", i);
		PART_CHECK(curl_multi_add_handle(multi, h[i]) == CURLM_OK);
	}
	PART_CHECK(perform_all(multi, h[3]) == CURLE_OK);
	PART_CHECK(curl_multi_info_read(multi, &left) == NULL && left == 0);
	for (int i = 0; i < 4; i++)
		PART_CHECK(curl_multi_remove_handle(multi, h[i]) == CURLM_OK);
	return 0;
}

/* One that hears of a Retry-After, then three. */
static int be_told_to_wait(int argc, char **argv)
{
	CURLM *multi = curl_multi_init();
	CURL *first = handle_for(argv[0], "/n/", 0), *last = NULL;
	long status = 0;

	(void)argc;
	PART_CHECK(curl_multi_add_handle(multi, first) == CURLM_OK);
	PART_CHECK(perform_all(multi, first) == CURLE_OK);
	PART_CHECK(curl_easy_getinfo(first, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status == 429);
	for (int i = 1; i < 4; i++) {
		last = handle_for(argv[0], "/n/", i);
		PART_CHECK(curl_multi_add_handle(multi, last) == CURLM_OK);
	}
	PART_CHECK(perform_all(multi, last) == CURLE_OK);
	PART_CHECK(curl_easy_getinfo(last, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status == 200);
	return 0;
}

/* Three that are redirected, then one that goes where they went. argv: where they begin, the other. */
static int be_redirected(int argc, char **argv)
{
	CURLM *multi = curl_multi_init();
	CURL *h[3], *last;
	long hops = 0, i;

	(void)argc;
	for (i = 0; i < 3; i++) {
		h[i] = handle_for(argv[0], "", -1);
		PART_CHECK(curl_multi_add_handle(multi, h[i]) == CURLM_OK);
	}
	PART_CHECK(perform_all(multi, h[2]) == CURLE_OK);
	for (i = 0; i < 3; i++)
		PART_CHECK(curl_easy_getinfo(h[i], CURLINFO_REDIRECT_COUNT, &hops) == CURLE_OK && hops == 1);
	last = handle_for(argv[1], "/n/", 9);
	PART_CHECK(curl_multi_add_handle(multi, last) == CURLM_OK);
	PART_CHECK(perform_all(multi, last) == CURLE_OK);
	return 0;
}

struct told {
	CURL *handle;
	int calls, prereqs, sockets;
	bool paused;
};

static size_t pause_once(char *data, size_t size, size_t count, void *user)
{
	struct told *t = user;

	(void)data;
	t->calls++;
	if (t->paused || t->calls > 1)
		return size * count;
	t->paused = true;
	return CURL_WRITEFUNC_PAUSE;
}

static int on_prereq(void *user, char *to, char *from, int to_port, int from_port)
{
	struct told *t = user;

	(void)to;
	(void)from;
	(void)to_port;
	(void)from_port;
	t->prereqs++;
	return CURL_PREREQFUNC_OK;
}

static int on_sockopt(void *user, curl_socket_t fd, curlsocktype purpose)
{
	struct told *t = user;

	(void)fd;
	t->sockets += purpose == CURLSOCKTYPE_IPCXN;
	return CURL_SOCKOPT_OK;
}

/* The program's own callbacks are called, whenever it sets them, and a transfer that pauses goes on. */
static int use_callbacks(int argc, char **argv)
{
	CURLM *multi = curl_multi_init();
	struct told told = {.handle = handle_for(argv[0], "/n/", 1)};
	CURL *h = told.handle, *copy;
	int running = 1;

	(void)argc;
	curl_easy_setopt(h, CURLOPT_PREREQFUNCTION, on_prereq);
	curl_easy_setopt(h, CURLOPT_PREREQDATA, &told);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, pause_once);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, &told);
	PART_CHECK(curl_multi_add_handle(multi, h) == CURLM_OK);
	curl_easy_setopt(h, CURLOPT_SOCKOPTFUNCTION, on_sockopt);
	curl_easy_setopt(h, CURLOPT_SOCKOPTDATA, &told);
	while (!told.paused) {
		PART_CHECK(curl_multi_perform(multi, &running) == CURLM_OK && running == 1);
		curl_multi_poll(multi, NULL, 0, 100, NULL);
	}
	PART_CHECK(curl_easy_pause(h, CURLPAUSE_CONT) == CURLE_OK);
	perform_all(multi, h);
	PART_CHECK(told.calls == 2 && told.prereqs == 1 && told.sockets == 1);
	copy = curl_easy_duphandle(h);
	PART_CHECK(curl_multi_remove_handle(multi, h) == CURLM_OK);
	curl_easy_cleanup(h);
	PART_CHECK(curl_easy_perform(copy) == CURLE_OK);
	PART_CHECK(told.prereqs == 2 && told.sockets == 2);
	PART_CHECK(curl_multi_add_handle(multi, copy) == CURLM_OK);
	PART_CHECK(perform_all(multi, copy) == CURLE_OK);
	PART_CHECK(told.prereqs == 3);
	curl_easy_cleanup(copy);
	curl_multi_cleanup(multi);
	return 0;
}

static const struct host_part parts[] = {
	{"meet_by_poll", meet_by_poll},
	{"meet_by_wait", meet_by_wait},
	{"meet_by_select", meet_by_select},
	{"meet_by_timer", meet_by_timer},
	{"spin", spin},
	{"take_back", take_back},
	{"leave_in_the_middle", leave_in_the_middle},
	{"be_refused", be_refused},
	{"wait_too_long", wait_too_long},
	{"share_the_time_out", share_the_time_out},
	{"ask_at_the_end", ask_at_the_end},
	{"be_told_to_wait", be_told_to_wait},
	{"be_redirected", be_redirected},
	{"use_callbacks", use_callbacks},
};

/* A rule for one server, in force before the first request: on a busy machine that takes an agent which is started for the
 * program longer than the program waits for it. */
static void limit(struct scene *scene, const struct quotad *server, const char *rule)
{
	char text[512];

	snprintf(text, sizeof text, "hosts = ( { match = \"127.0.0.1:%d\"; %s } );\n", server->http_port, rule);
	scene_configure(scene, text);
	agent_start(scene);
}

#define FIXED "rate = { strategy = \"fixed\"; max = \"4/s\"; burst = 1; };"

/* All came, and none before its time. A process that is stopped for a while makes them late, never early: so they are measured
 * from before the program was started. */
static void expect_pace(struct quotad *server, double begun_s, size_t requests)
{
	struct quotad_arrival *arrival;
	size_t count;

	arrival = quotad_journal(server, &count);
	assert_int_equal(count, requests);
	for (size_t i = 0; i < count; i++) {
		if (arrival[i].arrival_s - begun_s < (double)i / PER_S - EARLY_S)
			fail_msg("request %zu came %.3f s after the start", i, arrival[i].arrival_s - begun_s);
	}
	free(arrival);
}

static void meets(void **state, const char *part)
{
	struct scene *scene = *state;
	struct quotad *limited = quotad_start(scene->dir, NULL), *other = quotad_start(scene->dir, NULL);
	const char *slow = quotad_url(limited, ""), *free_one = quotad_url(other, "");
	struct host_counts n;
	struct outcome o;
	int free_ms, all_ms;
	double begun_s;

	limit(scene, limited, FIXED);
	o = run_part(scene, COMMAND_BARE, part, slow, free_one);
	if (o.exit_status != 0)
		fail_msg("bare: %s", o.err);
	outcome_free(&o);
	quotad_reset(limited);
	begun_s = monotonic_s();
	o = run_part(scene, COMMAND_UNDER_WEIR, part, slow, free_one);
	if (o.exit_status != 0)
		fail_msg("exit %d, signal %d: %s", o.exit_status, o.signal, o.err);
	assert_int_equal(sscanf(o.out, "%d %d", &free_ms, &all_ms), 2);
	outcome_free(&o);
	expect_pace(limited, begun_s, SLOW);
	/* In time, although the program waits for twenty seconds at a time; and the other host's before. */
	assert_true(all_ms < 15000);
	assert_true(free_ms < all_ms);
	n = counts_of(scene, host_port_of((char[64]){0}, "127.0.0.1", limited->http_port));
	assert_int_equal(n.admitted, SLOW);
	assert_int_equal(n.succeeded, SLOW);
	assert_in_range(n.delayed, 1, SLOW - 1);
	assert_int_equal(n.permits, 0);
	n = counts_of(scene, host_port_of((char[64]){0}, "127.0.0.1", other->http_port));
	assert_int_equal(n.succeeded, FREE);
	assert_int_equal(leases_held(scene), 0);
}

static void a_loop_of_perform_and_poll_comes_back_in_time(void **state)
{
	meets(state, "meet_by_poll");
}

static void a_loop_of_perform_and_wait_comes_back_in_time_and_does_not_spin(void **state)
{
	meets(state, "meet_by_wait");
}

static void a_loop_of_select_and_the_time_out_function_comes_back_in_time(void **state)
{
	meets(state, "meet_by_select");
}

static void a_program_that_has_only_the_timer_callback_comes_back_in_time(void **state)
{
	meets(state, "meet_by_timer");
}

static void a_loop_that_does_not_wait_is_slowed_down(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	double begun_s;

	limit(scene, server, FIXED);
	begun_s = monotonic_s();
	expect_part(scene, "spin", quotad_url(server, ""), quotad_url(server, ""));
	expect_pace(server, begun_s, SLOW);
}

static void curl_in_parallel_holds_a_fixed_rate(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char shell[256];
	struct command c = {.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	struct outcome o;
	struct host_counts n;
	double begun_s;

	limit(scene, server, FIXED);
	snprintf(shell, sizeof shell, "curl -sSZ '%s[0-5]' | sort", quotad_url(server, "/n/"));
	begun_s = monotonic_s();
	o = command_run(&c);
	assert_int_equal(o.exit_status, 0);
	assert_string_equal(o.out, "0\n1\n2\n3\n4\n5\n");
	outcome_free(&o);
	expect_pace(server, begun_s, 6);
	n = counts_of(scene, host_port_of((char[64]){0}, "127.0.0.1", server->http_port));
	assert_int_equal(n.succeeded, 6);
}

static void what_is_kept_back_can_be_taken_back(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	struct host_counts n;

	limit(scene, server, "rate = { strategy = \"fixed\"; max = \"1/s\"; burst = 1; };");
	expect_part(scene, "take_back", quotad_url(server, ""), NULL);
	assert_int_equal(quotad_count(server).requests, 1);
	n = counts_of(scene, host_port_of((char[64]){0}, "127.0.0.1", server->http_port));
	assert_int_equal(n.admitted, 1);
	assert_int_equal(n.cancelled, 3);
	assert_int_equal(n.permits, 0);
	assert_int_equal(leases_held(scene), 0);
}

static void the_end_of_the_program_leaves_nothing(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	struct host_counts n;

	limit(scene, server, "rate = { strategy = \"fixed\"; max = \"1/s\"; burst = 1; };");
	expect_part(scene, "leave_in_the_middle", quotad_url(server, ""), "exit");
	expect_part(scene, "leave_in_the_middle", quotad_url(server, ""), "exec");
	n = counts_of(scene, host_port_of((char[64]){0}, "127.0.0.1", server->http_port));
	assert_int_equal(n.admitted + n.cancelled, 8);
	assert_int_equal(n.ignored, n.admitted);
	assert_int_equal(n.permits, 0);
	assert_int_equal(leases_held(scene), 0);
}

static void a_refused_transfer_is_told_by_its_message(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char url[64];
	int fd, port = closed_port(&fd);
	struct host_counts n;

	scene_configure(scene, RULES_FOR_THIS_MACHINE);
	agent_start(scene);
	snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
	expect_part(scene, "be_refused", url, quotad_url(server, "/n/1"));
	n = counts_of(scene, host_port_of((char[64]){0}, "127.0.0.1", port));
	assert_int_equal(n.failed, 5);
	assert_int_equal(n.refused, 1);
	assert_int_equal(quotad_count(server).requests, 1);
	close(fd);
}

static void a_wait_beyond_its_time_is_refused_at_once(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);

	limit(scene, server, "rate = { strategy = \"fixed\"; max = \"1/20s\"; burst = 1; }; wait = { max = \"2s\"; };");
	expect_part(scene, "wait_too_long", quotad_url(server, ""), "0");
	expect_part(scene, "wait_too_long", quotad_url(server, ""), "900");
	assert_int_equal(leases_held(scene), 0);
}

static void the_wait_is_part_of_the_program_s_time(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL), *other = quotad_start(scene->dir, NULL);

	limit(scene, server, "rate = { strategy = \"fixed\"; max = \"1/2s\"; burst = 1; };");
	expect_part(scene, "share_the_time_out", quotad_url(server, ""), quotad_url(other, "/delay/1200"));
}

static void permits_go_round_although_nobody_asks_for_the_ends(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);

	limit(scene, server, "concurrency = { mode = \"fixed\"; max = 1; };");
	expect_part(scene, "ask_at_the_end", quotad_url(server, ""), NULL);
	assert_int_equal(quotad_count(server).requests, 4);
	assert_int_equal(quotad_count(server).max_in_flight, 1);
}

static void nothing_is_sent_inside_a_retry_after(void **state)
{
	static const char *const options[] = {"--dialect", "retry-after", "--retry-after", "1", "--throttle-next", "1", NULL};
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, options);
	struct quotad_count count;

	expect_part(scene, "be_told_to_wait", quotad_url(server, ""), NULL);
	count = quotad_count(server);
	assert_int_equal(count.requests, 4);
	assert_int_equal(count.in_hold, 0);
	assert_int_equal(count.throttled, 1);
}

static void a_redirect_takes_its_unit_where_it_goes(void **state)
{
	struct scene *scene = *state;
	struct quotad *limited = quotad_start(scene->dir, NULL), *front = quotad_start(scene->dir, NULL);
	struct host_counts n;
	char path[64];
	double begun_s;

	limit(scene, limited, FIXED);
	snprintf(path, sizeof path, "/redirect/%d/n/5", limited->http_port);
	begun_s = monotonic_s();
	expect_part(scene, "be_redirected", quotad_url(front, path), quotad_url(limited, ""));
	assert_int_equal(quotad_count(front).requests, 3);
	expect_pace(limited, begun_s, 4);
	n = counts_of(scene, host_port_of((char[64]){0}, "127.0.0.1", limited->http_port));
	assert_int_equal(n.succeeded, 4);
	n = counts_of(scene, host_port_of((char[64]){0}, "127.0.0.1", front->http_port));
	assert_int_equal(n.succeeded, 3);
	assert_int_equal(leases_held(scene), 0);
}

/* Its connects wait, and neither the loop nor libcurl notices. */
static void redirects_are_spaced_in_a_program_that_has_only_the_timer_callback(void **state)
{
	struct scene *scene = *state;
	struct quotad *limited = quotad_start(scene->dir, NULL), *front = quotad_start(scene->dir, NULL);
	struct host_counts n;
	char path[64];
	double begun_s;

	limit(scene, limited, FIXED);
	snprintf(path, sizeof path, "/redirect/%d", limited->http_port);
	begun_s = monotonic_s();
	expect_part(scene, "meet_by_timer", quotad_url(front, path), quotad_url(front, ""));
	assert_int_equal(quotad_count(front).requests, SLOW + FREE);
	expect_pace(limited, begun_s, SLOW);
	n = counts_of(scene, host_port_of((char[64]){0}, "127.0.0.1", limited->http_port));
	assert_int_equal(n.succeeded, SLOW);
	assert_in_range(n.delayed, 1, SLOW - 1);
	assert_int_equal(leases_held(scene), 0);
}

/* Three hops over connections that are open, and what comes after them (test_curl_hops.c has more of these). */
static void redirects_on_open_connections_take_their_turns(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char path[64];
	double begun_s;

	limit(scene, server, FIXED);
	snprintf(path, sizeof path, "/redirect/%d/n/5", server->http_port);
	begun_s = monotonic_s();
	expect_part(scene, "be_redirected", quotad_url(server, path), quotad_url(server, ""));
	expect_pace(server, begun_s, 7);
	assert_int_equal(counts_of(scene, host_port_of((char[64]){0}, "127.0.0.1", server->http_port)).succeeded, 7);
}

static void the_program_s_own_callbacks_are_called(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	struct outcome o;

	o = run_part(scene, COMMAND_BARE, "use_callbacks", quotad_url(server, ""), NULL);
	if (o.exit_status != 0)
		fail_msg("bare: %s", o.err);
	outcome_free(&o);
	expect_part(scene, "use_callbacks", quotad_url(server, ""), NULL);
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SCENE(a_loop_of_perform_and_poll_comes_back_in_time),
		SCENE(a_loop_of_perform_and_wait_comes_back_in_time_and_does_not_spin),
		SCENE(a_loop_of_select_and_the_time_out_function_comes_back_in_time),
		SCENE(a_program_that_has_only_the_timer_callback_comes_back_in_time),
		SCENE(a_loop_that_does_not_wait_is_slowed_down),
		SCENE(curl_in_parallel_holds_a_fixed_rate),
		SCENE(what_is_kept_back_can_be_taken_back),
		SCENE(the_end_of_the_program_leaves_nothing),
		SCENE(a_refused_transfer_is_told_by_its_message),
		SCENE(a_wait_beyond_its_time_is_refused_at_once),
		SCENE(the_wait_is_part_of_the_program_s_time),
		SCENE(permits_go_round_although_nobody_asks_for_the_ends),
		SCENE(nothing_is_sent_inside_a_retry_after),
		SCENE(a_redirect_takes_its_unit_where_it_goes),
		SCENE(redirects_are_spaced_in_a_program_that_has_only_the_timer_callback),
		SCENE(redirects_on_open_connections_take_their_turns),
		SCENE(the_program_s_own_callbacks_are_called),
	};
	int status = host_part_run(argc, argv, parts, sizeof parts / sizeof parts[0]);

	return status >= 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
