/* SPDX-License-Identifier: MIT */
/* The agent's socket: what it answers, and what it makes of those who speak no sense. */
#include "weir_program.h"

#include <jansson.h>
#include <poll.h>
#include <sys/wait.h>

#include "tests/unit/prometheus_check.h"

struct answer {
	int status; /* 0: the connection was closed without an answer */
	char *text; /* head and body */
	char *body; /* in text */
};

static int dial(struct scene *scene)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char *path = path_in(scene->runtime, "weir.sock");
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	free(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
		fail_msg("connect: %s", strerror(errno));
	return fd;
}

/* Sends what fits; the other side may close whenever it likes. */
static void send_bytes(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		bytes += sent;
		n -= (size_t)sent;
	}
}

/* Reads until the other side closes, for `seconds` at most. */
static struct answer receive(int fd, double seconds)
{
	struct answer a = {0, calloc(1, 1), NULL};
	size_t length = 0;
	double until = monotonic_s() + seconds;
	for (;;) {
		char buffer[4096];
		struct pollfd p = {.fd = fd, .events = POLLIN};
		double left = until - monotonic_s();
		if (left <= 0 || poll(&p, 1, (int)(left * 1000) + 1) <= 0)
			fail_msg("the connection is still open after %g s", seconds);
		ssize_t n = recv(fd, buffer, sizeof buffer, 0);
		if (n <= 0)
			break;
		a.text = realloc(a.text, length + (size_t)n + 1);
		memcpy(a.text + length, buffer, (size_t)n);
		length += (size_t)n;
		a.text[length] = '\0';
	}
	close(fd);
	sscanf(a.text, "HTTP/1.1 %d", &a.status);
	char *end = strstr(a.text, "\r\n\r\n");
	a.body = end ? end + 4 : a.text + length;
	return a;
}

static struct answer exchange(struct scene *scene, const char *bytes, size_t n)
{
	int fd = dial(scene);
	send_bytes(fd, bytes, n);
	return receive(fd, 15);
}

static struct answer ask(struct scene *scene, const char *method, const char *path, const char *headers, const char *body)
{
	char *request = NULL;
	int n = asprintf(&request, "%s %s HTTP/1.1\r\nHost: weir\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n%s", method,
			 path, body ? strlen(body) : 0, headers ? headers : "", body ? body : "");
	struct answer a = exchange(scene, request, (size_t)n);
	free(request);
	return a;
}

static struct answer get(struct scene *scene, const char *path)
{
	return ask(scene, "GET", path, NULL, NULL);
}

static struct answer post(struct scene *scene, const char *path, const char *body)
{
	return ask(scene, "POST", path, "Content-Type: application/json\r\n", body);
}

static json_t *json_of(struct answer a)
{
	json_error_t error;
	json_t *o = json_loads(a.body, 0, &error);
	if (!o)
		fail_msg("%s: %s", error.text, a.text);
	free(a.text);
	return o;
}

#define expect(answer, wanted) expect_status((answer), (wanted), __LINE__)
static void expect_status(struct answer a, int status, int line)
{
	if (a.status != status)
		fail_msg("line %d: status %d instead of %d: %s", line, a.status, status, a.text);
	if (status >= 400) {
		json_t *o = json_loads(a.body, 0, NULL);
		if (!json_is_string(json_object_get(o, "error")))
			fail_msg("line %d: no error in %s", line, a.body);
		json_decref(o);
	}
	free(a.text);
}

/* A scene with an agent and one host that had one request. */
static int setup(void **state)
{
	if (scene_setup(state) != 0)
		return -1;
	struct scene *scene = *state;
	agent_start(scene);
	struct weir_segment s = scene_segment(scene);
	scene_request(&s, "api.example.org:443", WEIR_SUCCEEDED);
	weir_segment_close(&s);
	return 0;
}

static void every_document_is_what_it_says(void **state)
{
	struct scene *scene = *state;
	struct answer a = get(scene, "/metrics");
	const char *why = prometheus_wrong(a.body);
	if (why)
		fail_msg("%s", why);
	assert_contains(a.text, "Content-Type: text/plain; version=0.0.4");
	expect(a, 200);
	json_t *o = json_of(get(scene, "/v1/stats"));
	assert_int_equal(json_integer_value(json_object_get(o, "schema")), 1);
	assert_int_equal(json_array_size(json_object_get(o, "hosts")), 1);
	json_decref(o);
	o = json_of(get(scene, "/v1/hosts/api.example.org:443"));
	assert_string_equal(json_string_value(json_object_get(o, "state")), "ok");
	json_decref(o);
	o = json_of(get(scene, "/healthz"));
	assert_string_equal(json_string_value(json_object_get(o, "status")), "healthy");
	assert_int_equal(json_array_size(json_object_get(o, "reasons")), 0);
	json_decref(o);
	o = json_of(get(scene, "/v1/explain?url=https%3A%2F%2Fapi.example.org%2Fpath%3Fsecret%3D1"));
	assert_string_equal(json_string_value(json_object_get(o, "host")), "api.example.org:443");
	assert_string_equal(json_string_value(json_object_get(o, "verdict")), "go");
	json_decref(o);
	o = json_of(get(scene, "/v1/policy"));
	assert_int_equal(json_array_size(json_object_get(o, "rules")), 1);
	json_decref(o);
	o = json_of(get(scene, "/v1/events?since=0"));
	assert_true(json_array_size(json_object_get(o, "events")) >= 2);
	json_decref(o);
}

static void a_host_is_found_by_name_in_any_spelling(void **state)
{
	struct scene *scene = *state;
	expect(get(scene, "/v1/hosts/api.example.org"), 200);
	expect(get(scene, "/v1/hosts/API.Example.Org%3a443"), 200);
	expect(ask(scene, "HEAD", "/v1/stats", NULL, NULL), 200);
	struct weir_segment s = scene_segment(scene);
	scene_request(&s, "api.example.org:80", WEIR_SUCCEEDED);
	weir_segment_close(&s);
	expect(get(scene, "/v1/hosts/api.example.org"), 409);
	expect(get(scene, "/v1/hosts/api.example.org:80"), 200);
}

static void what_is_wrong_is_told(void **state)
{
	struct scene *scene = *state;
	expect(get(scene, "/"), 404);
	expect(get(scene, "/v1/hosts/nobody.example.org"), 404);
	expect(get(scene, "/v1/hosts/"), 404);
	expect(get(scene, "/v1/hosts/a/b/c"), 404);
	expect(get(scene, "/v1/hosts/%zz"), 400);
	expect(get(scene, "/v1/hosts/a%00b"), 400);
	expect(get(scene, "/v1/hosts/a%20b"), 400);
	expect(get(scene, "/v1/stats?nonsense=1"), 400);
	expect(get(scene, "/v1/stats?host=nobody"), 404);
	expect(get(scene, "/v1/explain"), 400);
	expect(get(scene, "/v1/explain?host=a&url=b"), 400);
	expect(get(scene, "/v1/explain?host=a:99999"), 400);
	expect(get(scene, "/v1/events?since=-1"), 400);
	expect(post(scene, "/v1/stats", "{}"), 405);
	expect(ask(scene, "DELETE", "/v1/hosts/api.example.org:443", NULL, NULL), 405);
	expect(get(scene, "/v1/hosts/api.example.org:443/reset"), 405);
	char path[4000] = "/v1/hosts/";
	memset(path + 10, 'a', sizeof path - 11);
	path[sizeof path - 1] = '\0';
	expect(get(scene, path), 414);
	path[600] = '\0';
	expect(get(scene, path), 400);
}

static void a_wrong_post_changes_nothing(void **state)
{
	struct scene *scene = *state;
	static const char *const rates[] = {
		"",
		"{",
		"[]",
		"{}",
		"{\"rate\": \"fast\"}",
		"{\"rate\": 5.5}",
		"{\"rate\": \"-1/s\"}",
		"{\"rate\": \"1/s\", \"for\": \"0s\"}",
		"{\"rate\": \"1/s\", \"burst\": -1}",
		"{\"rate\": \"1/s\", \"nonsense\": 1}",
		"{\"rate\": \"1/s\", \"rate\": \"2/s\"}",
		"{\"concurrency\": 99999999999}",
	};
	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
		expect(post(scene, "/v1/hosts/api.example.org:443/rate", rates[i]), 400);
	expect(post(scene, "/v1/hosts/api.example.org:443/breaker", "{\"state\": \"ajar\"}"), 400);
	expect(post(scene, "/v1/hosts/api.example.org:443/reset", "{\"really\": true}"), 400);
	expect(post(scene, "/v1/hosts/nobody.example.org:443/rate", "{\"rate\": \"1/s\"}"), 404);
	expect(post(scene, "/v1/hosts/nobody.example.org/rate", "{\"rate\": \"1/s\", \"create\": true}"), 404);
	expect(post(scene, "/v1/hosts/nobody.example.org:443/reset", ""), 404);
	char *large = malloc(10001);
	memset(large, 'x', 10000);
	large[10000] = '\0';
	expect(post(scene, "/v1/hosts/api.example.org:443/rate", large), 413);
	free(large);

	json_t *o = json_of(get(scene, "/v1/hosts/api.example.org:443"));
	assert_null(json_object_get(o, "override"));
	assert_string_equal(json_string_value(json_object_get(o, "state")), "ok");
	json_decref(o);
	o = json_of(get(scene, "/v1/stats"));
	assert_int_equal(json_array_size(json_object_get(o, "hosts")), 1);
	json_decref(o);
}

static void a_rate_is_set_for_a_while_and_taken_back(void **state)
{
	struct scene *scene = *state;
	json_t *o = json_of(post(scene, "/v1/hosts/api.example.org:443/rate",
				 "{\"rate\": \"2/s\", \"burst\": 3, \"concurrency\": 4, \"for\": \"10m\"}"));
	json_t *set = json_object_get(o, "override");
	assert_true(json_real_value(json_object_get(set, "rate")) == 2);
	assert_int_equal(json_integer_value(json_object_get(set, "burst")), 3);
	assert_int_equal(json_integer_value(json_object_get(set, "concurrency")), 4);
	assert_true(json_real_value(json_object_get(set, "ends_in_seconds")) > 590);
	assert_true(json_real_value(json_object_get(o, "rate_limit")) == 2);
	json_decref(o);
	/* as curl -d sends it; what is not mentioned stays */
	o = json_of(ask(scene, "POST", "/v1/hosts/api.example.org:443/rate",
			"Content-Type: application/x-www-form-urlencoded\r\n", "rate=7%2Fs"));
	set = json_object_get(o, "override");
	assert_true(json_real_value(json_object_get(set, "rate")) == 7);
	assert_int_equal(json_integer_value(json_object_get(set, "concurrency")), 4);
	assert_null(json_object_get(set, "ends_in_seconds"));
	json_decref(o);
	o = json_of(post(scene, "/v1/hosts/api.example.org:443/reset", NULL));
	assert_null(json_object_get(o, "override"));
	json_decref(o);
}

static void the_breaker_obeys(void **state)
{
	struct scene *scene = *state;
	json_t *o = json_of(post(scene, "/v1/hosts/api.example.org:443/breaker", "{\"state\": \"open\"}"));
	assert_string_equal(json_string_value(json_object_get(o, "state")), "open");
	json_decref(o);
	o = json_of(get(scene, "/v1/explain?host=api.example.org:443"));
	assert_string_equal(json_string_value(json_object_get(o, "verdict")), "refuse");
	assert_string_equal(json_string_value(json_object_get(o, "cause")), "forced");
	json_decref(o);
	o = json_of(post(scene, "/v1/hosts/api.example.org:443/breaker", "{\"state\": \"auto\"}"));
	assert_string_equal(json_string_value(json_object_get(o, "state")), "ok");
	json_decref(o);
}

static void a_host_can_be_set_up_before_its_first_request(void **state)
{
	struct scene *scene = *state;
	json_t *o = json_of(post(scene, "/v1/hosts/new.example.org:443/rate", "{\"rate\": \"2/s\", \"create\": true}"));
	assert_string_equal(json_string_value(json_object_get(o, "host")), "new.example.org:443");
	json_decref(o);
	expect(get(scene, "/v1/hosts/new.example.org:443"), 200);
}

/* Reads until `part` has come, for five seconds at most. */
static void await_text(int fd, char *text, size_t size, const char *part)
{
	size_t length = strlen(text);
	double until = monotonic_s() + 5;
	while (!strstr(text, part)) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		double left = until - monotonic_s();
		if (left <= 0 || poll(&p, 1, (int)(left * 1000) + 1) <= 0)
			fail_msg("'%s' did not come: %s", part, text);
		ssize_t n = recv(fd, text + length, size - 1 - length, 0);
		if (n <= 0)
			fail_msg("closed before '%s' came: %s", part, text);
		length += (size_t)n;
		text[length] = '\0';
	}
}

static void events_are_told_as_they_happen(void **state)
{
	struct scene *scene = *state;
	static const char request[] = "GET /v1/events HTTP/1.1\r\nHost: weir\r\nAccept: text/event-stream\r\n\r\n";
	static char text[2][8192];
	int fd[2];
	for (int i = 0; i < 2; i++) {
		text[i][0] = '\0';
		fd[i] = dial(scene);
		send_bytes(fd[i], request, sizeof request - 1);
		await_text(fd[i], text[i], sizeof text[i], "Content-Type: text/event-stream");
	}
	close(fd[1]); /* who goes away disturbs nobody */
	expect(post(scene, "/v1/hosts/api.example.org:443/breaker", "{\"state\": \"open\"}"), 200);
	await_text(fd[0], text[0], sizeof text[0], "event: breaker_opened\ndata: {\"number\":");
	expect(post(scene, "/v1/hosts/api.example.org:443/reset", NULL), 200);
	await_text(fd[0], text[0], sizeof text[0], "event: reset\n");
	/* The agent stops although a stream is open. */
	stop_agent(scene->runtime);
	struct answer rest = receive(fd[0], 5);
	free(rest.text);
}

static void no_more_than_sixteen_streams_are_open(void **state)
{
	struct scene *scene = *state;
	static const char request[] = "GET /v1/events?since=0 HTTP/1.1\r\nHost: weir\r\nAccept: text/event-stream\r\n\r\n";
	static char text[8192];
	int fd[16];
	for (int i = 0; i < 16; i++) {
		text[0] = '\0';
		fd[i] = dial(scene);
		send_bytes(fd[i], request, sizeof request - 1);
		await_text(fd[i], text, sizeof text, "event: agent_started");
	}
	expect(ask(scene, "GET", "/v1/events", "Accept: text/event-stream\r\n", NULL), 503);
	expect(get(scene, "/v1/events"), 200);
	for (int i = 0; i < 16; i++)
		close(fd[i]);
	expect(ask(scene, "GET", "/v1/events?since=x", "Accept: text/event-stream\r\n", NULL), 400);
}

static void the_socket_belongs_to_one_user(void **state)
{
	struct scene *scene = *state;
	struct stat st;
	char *path = path_in(scene->runtime, "weir.sock");
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(scene->runtime, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	free(path);
}

/* Only root can play somebody else: the path is opened to him, and he is turned away all the same. */
static void a_stranger_is_not_answered(void **state)
{
	struct scene *scene = *state;
	if (geteuid() != 0) {
		skip();
		return;
	}
	char *path = path_in(scene->runtime, "weir.sock");
	assert_int_equal(chmod(scene->dir, 0711), 0);
	assert_int_equal(chmod(scene->runtime, 0711), 0);
	assert_int_equal(chmod(path, 0666), 0);
	pid_t child = fork();
	if (child == 0) {
		static const char request[] = "GET /healthz HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n";
		char buffer[256];
		if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0)
			_exit(9);
		if (!socket_answers(scene))
			_exit(8);
		int fd = dial(scene);
		send_bytes(fd, request, sizeof request - 1);
		_exit(recv(fd, buffer, sizeof buffer, 0) <= 0 ? 0 : 1);
	}
	int status = -1;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(chmod(scene->runtime, 0700), 0);
	expect(get(scene, "/healthz"), 200);
	free(path);
}

static void noise_harms_nobody(void **state)
{
	struct scene *scene = *state;
	uint64_t seed = 88172645463325252U;
	for (int i = 0; i < 200; i++) {
		char bytes[600];
		size_t n = 1 + seed % sizeof bytes;
		for (size_t k = 0; k < n; k++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			bytes[k] = (char)seed;
		}
		/* Half of it begins like a request. */
		if (i % 2 && n > 40)
			memcpy(bytes, "POST /v1/hosts/", 15);
		int fd = dial(scene);
		send_bytes(fd, bytes, n);
		shutdown(fd, SHUT_WR);
		close(fd);
	}
	expect(get(scene, "/healthz"), 200);
}

static void headers_without_end_are_refused(void **state)
{
	struct scene *scene = *state;
	char *huge = malloc(200000);
	int n = snprintf(huge, 200, "GET /healthz HTTP/1.1\r\nHost: weir\r\nX: ");
	memset(huge + n, 'y', 200000 - (size_t)n);
	int fd = dial(scene);
	send_bytes(fd, huge, 200000);
	struct answer a = receive(fd, 15);
	assert_true(a.status == 0 || (a.status >= 400 && a.status < 500));
	free(a.text);
	free(huge);
	expect(get(scene, "/healthz"), 200);
}

static void mutated_requests_never_crash_it(void **state)
{
	struct scene *scene = *state;
	static const char *const bases[] = {
		"GET /v1/stats?host=api.example.org HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n",
		"POST /v1/hosts/api.example.org:443/rate HTTP/1.1\r\nHost: weir\r\nConnection: close\r\nContent-Length: "
		"30\r\n\r\n{\"rate\": \"2/s\", \"for\": \"10m\"}",
		"GET /v1/explain?url=https%3A%2F%2F%5B%3A%3A1%5D HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n",
		"POST /v1/hosts/a%3A1/breaker HTTP/1.1\r\nHost: weir\r\nTransfer-Encoding: "
		"chunked\r\n\r\n5\r\nstate\r\n0\r\n\r\n",
	};
	uint64_t seed = 2463534242U;
	for (int i = 0; i < 400; i++) {
		char bytes[400];
		size_t n = strlen(bases[i % 4]);
		memcpy(bytes, bases[i % 4], n);
		for (int k = 0; k < 3; k++) {
			seed = seed * 6364136223846793005U + 1442695040888963407U;
			bytes[(seed >> 33) % n] = (char)(seed >> 20);
		}
		int fd = dial(scene);
		send_bytes(fd, bytes, n);
		shutdown(fd, SHUT_WR);
		close(fd);
	}
	expect(get(scene, "/healthz"), 200);
}

static void a_client_that_stalls_blocks_nobody_and_is_let_go(void **state)
{
	struct scene *scene = *state;
	static const char half[] =
		"POST /v1/hosts/api.example.org:443/rate HTTP/1.1\r\nHost: weir\r\nContent-Length: 50\r\n\r\n{";
	int stalled[8];
	for (int i = 0; i < 8; i++) {
		stalled[i] = dial(scene);
		send_bytes(stalled[i], half, i % 2 ? sizeof half - 1 : 20);
	}
	double from = monotonic_s();
	for (int i = 0; i < 20; i++)
		expect(get(scene, "/healthz"), 200);
	assert_true(monotonic_s() - from < 5);
	for (int i = 0; i < 8; i++) {
		struct answer a = receive(stalled[i], 25);
		free(a.text);
	}
	assert_true(monotonic_s() - from > 8);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, scene_teardown)

/* As many as there are places, and more: none of them ever says a word. */
static void silent_clients_keep_nobody_out(void **state)
{
	struct scene *scene = *state;
	int silent[80];
	for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
		silent[i] = dial(scene);
	double from = monotonic_s();
	expect(get(scene, "/healthz"), 200);
	assert_true(monotonic_s() - from < 8); /* the silent are let go after ten seconds in any case */
	free(WEIR_EXPECT(scene, 0, "status"));
	for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
		close(silent[i]);
	expect(get(scene, "/healthz"), 200);
}

static void a_stopped_agent_is_done_without(void **state)
{
	struct scene *scene = *state;
	pid_t agent = agent_pid(scene->runtime);
	assert_true(agent > 0);
	kill(agent, SIGSTOP);
	double from = monotonic_s();
	char *status = WEIR_EXPECT(scene, 0, "status");
	double took = monotonic_s() - from;
	char *explained = WEIR_EXPECT(scene, 0, "explain", "https://api.example.org/");
	free(WEIR_EXPECT(scene, 0, "set", "api.example.org", "rate=3/s"));
	char *json = WEIR_EXPECT(scene, 0, "stats", "--json");
	kill(agent, SIGCONT);
	assert_contains(status, "api.example.org:443");
	assert_contains(explained, "A request now would go at once.");
	json_t *o = json_loads(json, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(o, "hosts")), 1);
	json_decref(o);
	free(status);
	free(explained);
	free(json);
	assert_true(took < 8); /* one second on an idle machine */
	/* What was set while it was stopped holds, and nothing that it was asked comes after. */
	status = WEIR_EXPECT(scene, 0, "status", "api.example.org");
	assert_contains(status, "rate 3/s");
	free(status);
}

/* Whoever starts the agent may be allowed few descriptors. Twenty clients at a time, none of them silent for long. */
static void a_starter_s_small_limit_of_descriptors_is_not_the_agent_s(void **state)
{
	struct scene *scene = *state;
	static const char *const env[] = {SANITIZERS, NULL};
	char *weir = build_path("weir"), *shell = NULL;
	assert_true(asprintf(&shell, "ulimit -S -n 10; exec '%s' run true", weir) > 0);
	struct command c = {.shell = shell, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir, .env = env};
	struct outcome o = command_run(&c);
	assert_int_equal(o.exit_status, 0);
	outcome_free(&o);
	int fd[20];
	for (int i = 0; i < 20; i++)
		fd[i] = dial(scene);
	for (int i = 0; i < 20; i++) {
		static const char request[] = "GET /healthz HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n";
		send_bytes(fd[i], request, sizeof request - 1);
		expect(receive(fd[i], 15), 200);
	}
	free(shell);
	free(weir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_document_is_what_it_says),
		TEST(silent_clients_keep_nobody_out),
		TEST(a_stopped_agent_is_done_without),
		TEST(a_starter_s_small_limit_of_descriptors_is_not_the_agent_s),
		TEST(a_host_is_found_by_name_in_any_spelling),
		TEST(what_is_wrong_is_told),
		TEST(a_wrong_post_changes_nothing),
		TEST(a_rate_is_set_for_a_while_and_taken_back),
		TEST(the_breaker_obeys),
		TEST(a_host_can_be_set_up_before_its_first_request),
		TEST(events_are_told_as_they_happen),
		TEST(no_more_than_sixteen_streams_are_open),
		TEST(the_socket_belongs_to_one_user),
		TEST(a_stranger_is_not_answered),
		TEST(noise_harms_nobody),
		TEST(headers_without_end_are_refused),
		TEST(mutated_requests_never_crash_it),
		TEST(a_client_that_stalls_blocks_nobody_and_is_let_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
