/* Hooks that are called in a signal handler, on a small alternate stack: a crash handler's, or a coroutine's. */
#include "tests/harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <curl/curl.h>

#include "tests/integration/closed_port.h"
#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"
#include "tests/integration/host_program.h"

#define SMALL_BYTES   8192   /* SIGSTKSZ of most programs */
#define FRAME_BYTES   3400   /* of these the kernel's signal frame takes, with AVX-512 */
#define GUARD_BYTES   65536  /* below the small stack: nothing */
#define LARGE_BYTES   524288 /* to measure on */
#define PAINT         0xa5
#define AT_MINSIGSTK  51   /* AT_MINSIGSTKSZ of <linux/auxvec.h>: what the kernel's frame takes here */
#define OF_WEIR_BYTES 3072 /* what a hook may add to the depth of the function that it hooks */

extern char **environ;

static int closed; /* port */
static const char *url;
static int answer;

static char *const no_arguments[] = {(char *)"true", NULL};

static int connect_to_nobody(void)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)closed), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int refused = connect(fd, (struct sockaddr *)&a, sizeof a) != 0 && errno == ECONNREFUSED;

	return close(fd) == 0 && refused;
}

static int connect_without_waiting(void)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)closed), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
	socklen_t length = sizeof error;

	connect(fd, (struct sockaddr *)&a, sizeof a);
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && close(fd) == 0;
}

/* Each form in a child of its own, as crash handlers start their reporters. */
static int in_child(void (*form)(void))
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		form();
		_exit(1);
	}
	return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void form_execl(void)
{
	execl("/bin/true", "true", (char *)NULL);
}

static void form_execle(void)
{
	execle("/bin/true", "true", (char *)NULL, environ);
}

static void form_execlp(void)
{
	execlp("true", "true", (char *)NULL);
}

static void form_execv(void)
{
	execv("/bin/true", no_arguments);
}

static void form_execve(void)
{
	execve("/bin/true", no_arguments, environ);
}

static void form_execvp(void)
{
	execvp("true", no_arguments);
}

static void form_execvpe(void)
{
	execvpe("true", no_arguments, environ);
}

static void form_execveat(void)
{
	execveat(AT_FDCWD, "/bin/true", no_arguments, environ, 0);
}

static void form_fexecve(void)
{
	fexecve(open("/bin/true", O_RDONLY | O_CLOEXEC), no_arguments, environ);
}

static int every_exec(void)
{
	return in_child(form_execl) && in_child(form_execle) && in_child(form_execlp) && in_child(form_execv) &&
	       in_child(form_execve) && in_child(form_execvp) && in_child(form_execvpe) && in_child(form_execveat) &&
	       in_child(form_fexecve);
}

static size_t drop(char *data, size_t size, size_t count, void *user)
{
	(void)data;
	(void)user;
	return size * count;
}

static int transfer(void)
{
	CURL *h = curl_easy_init(), *twin;
	CURLcode code;

	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, drop);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 1L);
	code = curl_easy_perform(h);
	twin = curl_easy_duphandle(h);
	curl_easy_reset(twin);
	curl_easy_cleanup(twin);
	curl_easy_cleanup(h);
	return code == CURLE_OK;
}

static int look_up(void)
{
	struct addrinfo *found = NULL;
	struct hostent entry, *result;
	char room[2048];
	int error, good = getaddrinfo("127.0.0.1", "80", NULL, &found) == 0;

	if (found)
		freeaddrinfo(found);
	good = good && gethostbyname("127.0.0.1") && gethostbyname2("127.0.0.1", AF_INET);
	good = good && gethostbyname_r("127.0.0.1", &entry, room, sizeof room, &result, &error) == 0;
	return good && gethostbyname2_r("127.0.0.1", AF_INET, &entry, room, sizeof room, &result, &error) == 0;
}

static int child_is_well(pid_t child)
{
	int status = -1;

	return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int every_start(void)
{
	pid_t child = -1;
	FILE *f;

	if (posix_spawn(&child, "/bin/true", NULL, NULL, no_arguments, environ) != 0 || !child_is_well(child))
		return 0;
	if (posix_spawnp(&child, "true", NULL, NULL, no_arguments, environ) != 0 || !child_is_well(child))
		return 0;
	f = popen("true", "r");                            /* NOLINT(cert-env33-c): one of the hooks */
	return f && pclose(f) == 0 && system("true") == 0; /* NOLINT(cert-env33-c) */
}

/* One request in each way of sending, its answer in each way of waiting and receiving; `way` is 0 to WAYS - 1. */
#define WAYS 5

static ssize_t say(int fd, const char *text, int way)
{
	size_t length = strlen(text);
	struct iovec part = {.iov_base = (void *)(uintptr_t)text, .iov_len = length};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	switch (way) {
	case 0:
		return send(fd, text, length, MSG_NOSIGNAL);
	case 1:
		return write(fd, text, length);
	case 2:
		return writev(fd, &part, 1);
	case 3:
		return sendmsg(fd, &message, MSG_NOSIGNAL);
	default:
		return sendto(fd, text, length, MSG_NOSIGNAL, NULL, 0);
	}
}

static int await(int fd, int way)
{
	const struct timespec long_enough = {.tv_sec = 60};
	struct timeval tv = {.tv_sec = 60};
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct epoll_event event = {.events = EPOLLIN};
	fd_set set;
	int set_fd, n;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	switch (way) {
	case 0:
		return poll(&p, 1, 60000);
	case 1:
		return ppoll(&p, 1, &long_enough, NULL);
	case 2:
		return select(fd + 1, &set, NULL, NULL, &tv);
	case 3:
		return pselect(fd + 1, &set, NULL, NULL, &long_enough, NULL);
	default:
		set_fd = epoll_create1(EPOLL_CLOEXEC);
		n = epoll_ctl(set_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? epoll_wait(set_fd, &event, 1, 60000) : -1;
		close(set_fd);
		return n;
	}
}

static ssize_t hear(int fd, char *out, size_t room, int way)
{
	struct iovec part = {.iov_base = out, .iov_len = room};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	switch (way) {
	case 0:
		return recv(fd, out, room, 0);
	case 1:
		return read(fd, out, room);
	case 2:
		return readv(fd, &part, 1);
	case 3:
		return recvmsg(fd, &message, 0);
	default:
		return recvfrom(fd, out, room, 0, NULL, NULL);
	}
}

static int every_way_to_talk(void)
{
	static char received[8192];
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)closed), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int first = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd, error = 0;
	socklen_t length = sizeof error;

	if (connect(first, (struct sockaddr *)&a, sizeof a) != 0)
		return 0;
	fd = dup(first);
	if (close(first) != 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
		return 0;
	first = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (dup3(fd, first, O_CLOEXEC) != first || dup2(fd, first) != first || close(fd) != 0)
		return 0;
	for (int way = 0; way < WAYS; way++)
		if (say(first, "GET /n/7 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", way) <= 0 || await(first, way) != 1 ||
		    hear(first, received, sizeof received, way) <= 0 || strncmp(received, "HTTP/1.1 200", 12) != 0)
			return 0;
	return close_range((unsigned)first, (unsigned)first, 0) == 0;
}

static int transfer_with_others(void)
{
	CURLM *multi = curl_multi_init();
	CURL *h = curl_easy_init();
	CURLMsg *message;
	long milliseconds;
	int running = 1, left, good = 0;

	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, drop);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 1L);
	curl_multi_add_handle(multi, h);
	for (int turns = 0; running && turns < 10000; turns++) {
		curl_multi_perform(multi, &running);
		curl_multi_timeout(multi, &milliseconds);
		curl_multi_poll(multi, NULL, 0, 10, NULL);
		curl_multi_wait(multi, NULL, 0, 1, NULL);
		curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	while ((message = curl_multi_info_read(multi, &left)))
		good += message->msg == CURLMSG_DONE && message->data.result == CURLE_OK;
	curl_easy_pause(h, CURLPAUSE_CONT);
	curl_multi_remove_handle(multi, h);
	curl_easy_cleanup(h);
	curl_multi_cleanup(multi);
	return good == 1;
}

/* As what it is already. */
static int change_of_user(void)
{
	uid_t u = getuid();
	gid_t g = getgid();

	return setuid(u) == 0 && seteuid(u) == 0 && setreuid(u, u) == 0 && setresuid(u, u, u) == 0 && setgid(g) == 0 &&
	       setegid(g) == 0 && setregid(g, g) == 0 && setresgid(g, g, g) == 0;
}

static const struct work {
	const char *name;
	int (*run)(void);
} works[] = {
	{"connect", connect_to_nobody},
	{"nonblocking", connect_without_waiting},
	{"exec", every_exec},
	{"transfer", transfer},
	{"names", look_up},
	{"start", every_start},
	{"talk", every_way_to_talk},
	{"multi", transfer_with_others},
	{"user", change_of_user},
};
static const struct work *work;

static void handler(int signal)
{
	(void)signal;
	answer = work->run();
}

/* Runs the work in a signal handler on the `bytes` ahead of `top`. */
static int run_on(char *bottom, size_t bytes)
{
	const stack_t stack = {.ss_sp = bottom, .ss_size = bytes};
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};

	PART_CHECK(sigaltstack(&stack, NULL) == 0);
	PART_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	PART_CHECK(raise(SIGUSR1) == 0);
	PART_CHECK(answer == 1);
	return 0;
}

static int choose(char **argv)
{
	for (size_t i = 0; i < sizeof works / sizeof works[0]; i++)
		if (strcmp(works[i].name, argv[0]) == 0)
			work = &works[i];
	url = argv[1];
	closed = atoi(argv[1]);
	return work != NULL;
}

static int on_a_small_stack(int argc, char **argv)
{
	size_t frame = getauxval(AT_MINSIGSTK);
	size_t bytes = SMALL_BYTES + (frame > FRAME_BYTES ? frame - FRAME_BYTES : 0);
	char *memory = mmap(NULL, GUARD_BYTES + bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)argc;
	PART_CHECK(choose(argv));
	PART_CHECK(memory != MAP_FAILED && mprotect(memory, GUARD_BYTES, PROT_NONE) == 0);
	return run_on(memory + GUARD_BYTES, bytes);
}

/* Prints how deep it went. */
static int on_a_painted_stack(int argc, char **argv)
{
	unsigned char *memory = mmap(NULL, LARGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t untouched = 0;

	(void)argc;
	PART_CHECK(choose(argv) && memory != MAP_FAILED);
	memset(memory, PAINT, LARGE_BYTES);
	if (run_on((char *)memory, LARGE_BYTES) != 0)
		return 1;
	while (untouched < LARGE_BYTES && memory[untouched] == PAINT)
		untouched++;
	printf("%zu\n", LARGE_BYTES - untouched);
	return 0;
}

static const struct host_part parts[] = {
	{"small", on_a_small_stack},
	{"painted", on_a_painted_stack},
};

/* Sanitizers' frames are larger. */
static void skip_when_instrumented(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(WEIR_COVERAGE)
	skip();
#endif
}

static void expect_small(void **state, const char *name, int port)
{
	char text[16];

	skip_when_instrumented();
	snprintf(text, sizeof text, "%d", port);
	expect_part(*state, "small", name, text);
}

static size_t depth(const struct scene *scene, enum command_mode mode, const char *name, const char *argument)
{
	struct outcome o = run_part(scene, mode, "painted", name, argument);
	size_t bytes = strtoul(o.out, NULL, 10);

	if (o.exit_status != 0)
		fail_msg("%s: exit %d, signal %d: %s", name, o.exit_status, o.signal, o.err);
	outcome_free(&o);
	return bytes;
}

static void expect_depth(const struct scene *scene, const char *name, const char *argument)
{
	size_t bare = depth(scene, COMMAND_BARE, name, argument), under = depth(scene, COMMAND_UNDER_WEIR, name, argument);

	if (under > bare + OF_WEIR_BYTES)
		fail_msg("%s: %zu bytes of stack bare, %zu under weir", name, bare, under);
}

/* The first request of all: it makes the segment and starts the agent. */
static void the_first_connect_fits_on_a_small_stack(void **state)
{
	char host[64];
	int fd, port = closed_port(&fd);

	expect_small(state, "connect", port);
	assert_int_equal(counts_of(*state, host_port_of(host, "127.0.0.1", port)).admitted, 1);
	close(fd);
}

static void connects_that_do_not_block_fit_on_a_small_stack(void **state)
{
	int fd, port = closed_port(&fd);

	expect_small(state, "nonblocking", port);
	close(fd);
}

static void every_exec_fits_on_a_small_stack(void **state)
{
	expect_small(state, "exec", 0);
}

static void no_hook_goes_much_deeper_than_what_it_hooks(void **state)
{
	struct quotad *q;
	char port[16], server[16], path[32];
	int fd;

	skip_when_instrumented();
	q = quotad_start(((struct scene *)*state)->dir, NULL);
	snprintf(port, sizeof port, "%d", closed_port(&fd));
	expect_depth(*state, "exec", port);
	expect_depth(*state, "names", port);
	expect_depth(*state, "start", port);
	expect_depth(*state, "user", port);
	expect_depth(*state, "multi", quotad_url(q, "/n/1"));
	snprintf(path, sizeof path, "/redirect/%d/n/1", q->http_port);
	expect_depth(*state, "multi", quotad_url(q, path));
	snprintf(server, sizeof server, "%d", q->http_port);
	expect_depth(*state, "talk", server);
	expect_depth(*state, "transfer", quotad_url(q, "/n/1"));
	quotad_set(q, "dialect=ratelimit-draft,x-ratelimit-epoch");
	expect_depth(*state, "transfer", quotad_url(q, "/n/1"));
	close(fd);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_first_connect_fits_on_a_small_stack, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(connects_that_do_not_block_fit_on_a_small_stack, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(every_exec_fits_on_a_small_stack, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(no_hook_goes_much_deeper_than_what_it_hooks, scene_setup, scene_teardown),
	};
	int status = host_part_run(argc, argv, parts, sizeof parts / sizeof parts[0]);

	return status >= 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
