/* pthread_cancel ends a wait of weir's, wherever the program waits, and nothing of the thread stays behind. */
#include "tests/harness/harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/host_program.h"
#include "tests/integration/weir_program.h"

static struct sockaddr_in address;
static const char *url;
static int connection = -1;
static char head[100];

static void *connects(void *unused)
{
	(void)unused;
	connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address);
	return NULL;
}

static void *sends(void *unused)
{
	(void)unused;
	send(connection, head, strlen(head), 0);
	return NULL;
}

static void *performs(void *unused)
{
	CURL *h = curl_easy_init();

	(void)unused;
	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_perform(h);
	return NULL;
}

/* It waits for a unit that comes in minutes; a tenth of a second lets it begin to. Not cancelled, it would end with another
 * result. */
static int cancelled(void *(*wait)(void *))
{
	const struct timespec moment = {0, 100000000};
	struct timespec end;
	void *result = NULL;
	pthread_t thread;

	PART_CHECK(pthread_create(&thread, NULL, wait, NULL) == 0);
	nanosleep(&moment, NULL);
	PART_CHECK(pthread_cancel(thread) == 0);
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 20;
	PART_CHECK(pthread_timedjoin_np(thread, &result, &end) == 0);
	PART_CHECK(result == PTHREAD_CANCELED);
	return 0;
}

static sigjmp_buf out;
static _Atomic bool may_jump;

static void jump(int unused)
{
	(void)unused;
	siglongjmp(out, 1);
}

/* Jumps out of a wait of weir's, and looks what kind of cancellation it is left with. That it has is seen by what it asks next.
 */
static void *jumps_out(void *unused)
{
	struct sockaddr_in nobody = address;
	static int type;

	(void)unused;
	if (sigsetjmp(out, 1) == 0) {
		may_jump = true;
		connects(NULL);
		return NULL;
	}
	nobody.sin_port = htons(1);
	connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&nobody, sizeof nobody);
	pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type);
	return &type;
}

/* Sends it the signal when it can be taken, and has had time to begin its wait. */
static bool jumped(pthread_t thread)
{
	const struct timespec moment = {0, 300000000}, little = {0, 1000000};

	while (!may_jump)
		nanosleep(&little, NULL);
	may_jump = false;
	nanosleep(&moment, NULL);
	return pthread_kill(thread, SIGUSR1) == 0;
}

static int left_by_a_jump(void)
{
	void *type = NULL;
	pthread_t thread;

	signal(SIGUSR1, jump);
	PART_CHECK(pthread_create(&thread, NULL, jumps_out, NULL) == 0);
	PART_CHECK(jumped(thread) && pthread_join(thread, &type) == 0);
	PART_CHECK(type && *(int *)type == PTHREAD_CANCEL_DEFERRED);
	return 0;
}

static int ep;

static void *waits_for_events(void *unused)
{
	struct epoll_event e;

	(void)unused;
	epoll_wait(ep, &e, 1, -1);
	return NULL;
}

static void *jumps_out_of_a_loop(void *unused)
{
	if (sigsetjmp(out, 1) != 0)
		return &out;
	may_jump = true;
	return waits_for_events(unused);
}

/* Nobody waits on the set any more: what must wait is answered with EAGAIN, and not kept here for minutes. */
static int is_held_by_the_loop(bool already)
{
	struct epoll_event e = {.events = EPOLLOUT};

	PART_CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, connection, &e) == 0 && (already || epoll_wait(ep, &e, 1, 5000) == 1));
	PART_CHECK(fcntl(connection, F_SETFL, O_NONBLOCK) == 0);
	PART_CHECK(send(connection, head, strlen(head), 0) == -1 && errno == EAGAIN);
	PART_CHECK(fcntl(connection, F_SETFL, 0) == 0);
	return 0;
}

static int a_loop_is_left(void)
{
	struct epoll_event none = {0};
	void *result = NULL;
	pthread_t thread;

	ep = epoll_create1(EPOLL_CLOEXEC);
	PART_CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, connection, &none) == 0);
	PART_CHECK(cancelled(waits_for_events) == 0);
	PART_CHECK(is_held_by_the_loop(false) == 0);
	PART_CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, connection, &none) == 0);
	PART_CHECK(pthread_create(&thread, NULL, jumps_out_of_a_loop, NULL) == 0);
	PART_CHECK(jumped(thread) && pthread_join(thread, &result) == 0 && result == &out);
	PART_CHECK(is_held_by_the_loop(true) == 0);
	return 0;
}

static int ask(void)
{
	char answer[999];

	PART_CHECK(send(connection, head, strlen(head), 0) == (ssize_t)strlen(head));
	PART_CHECK(recv(connection, answer, sizeof answer, 0) > 0);
	return 0;
}

/* argv: url, port */
static int is_cancelled(int argc, char **argv)
{
	PART_CHECK(argc == 2);
	url = argv[0];
	address = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	snprintf(head, sizeof head, "GET /n/1 HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n\r\n", argv[1]);
	curl_global_init(CURL_GLOBAL_ALL);
	connection = socket(AF_INET, SOCK_STREAM, 0);
	PART_CHECK(connect(connection, (struct sockaddr *)&address, sizeof address) == 0);
	PART_CHECK(ask() == 0);
	PART_CHECK(cancelled(connects) == 0);
	/* The second one finds the connection free for its request. */
	PART_CHECK(cancelled(sends) == 0);
	PART_CHECK(cancelled(sends) == 0);
	PART_CHECK(cancelled(performs) == 0);
	PART_CHECK(left_by_a_jump() == 0);
	PART_CHECK(a_loop_is_left() == 0);
	return 0;
}

static const struct host_part parts[] = {{"is_cancelled", is_cancelled}};

static unsigned waiters_of(const struct scene *scene, const char *host_port)
{
	struct weir_segment s;
	unsigned waiters = UINT32_MAX;
	uint32_t slot;

	if (!segment_of(scene, NULL, &s))
		return waiters;
	slot = weir_entry_find(&s, host_port);
	if (slot != WEIR_NONE)
		waiters = atomic_load(&s.entry[slot].waiting);
	weir_segment_close(&s);
	return waiters;
}

static void every_wait_of_a_thread_ends_with_it(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	char port[16], key[64];
	struct host_counts c;

	scene_configure(scene, "hosts = ( { match = \"127.0.0.1\"; rate = { strategy = \"fixed\"; max = \"1/m\"; burst = 1; };\n"
			       "  concurrency = { max = 3; }; wait = { max = \"600s\"; }; } );\n");
	free(WEIR_EXPECT(scene, 0, "run", "true"));
	snprintf(port, sizeof port, "%d", server->http_port);
	expect_part(scene, "is_cancelled", quotad_url(server, "/n/1"), port);
	c = counts_of(scene, host_port_of(key, "127.0.0.1", server->http_port));
	assert_int_equal(c.admitted, 1);
	assert_int_equal(c.succeeded, 1);
	/* Four by cancellation, one by a jump; and the last that its loop has held, of the connection. */
	assert_in_range(c.cancelled, 5, 6);
	assert_int_equal(c.permits, 0);
	assert_int_equal(leases_held(scene), 0);
	assert_int_equal(waiters_of(scene, key), 0);
	assert_int_equal(quotad_count(server).requests, 1);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SCENE(every_wait_of_a_thread_ends_with_it),
	};
	int status = host_part_run(argc, argv, parts, sizeof parts / sizeof parts[0]);

	return status >= 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
