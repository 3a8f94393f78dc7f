#include "tests/harness/quotad.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness/environment.h"
#include "tests/harness/failure.h"
#include "tests/harness/file.h"
#include "tests/harness/http.h"
#include "tests/harness/temp_dir.h"
#include "tests/harness/wait.h"

#define START_LIMIT_S 20.0
#define STOP_LIMIT_S  20.0
#define OPTIONS_MAX   64

static struct quotad *all;
static unsigned started;

struct readiness {
	pid_t pid;
	const char *path;
	char *text;
	bool died;
};

static bool is_ready(void *data)
{
	struct readiness *r = data;

	r->text = read_file(r->path);
	r->died = r->text == NULL && waitpid(r->pid, NULL, WNOHANG) == r->pid;
	return r->text != NULL || r->died;
}

/* Without memory errors of its own in the child: everything is made before the fork. */
static pid_t spawn(const char *program, const char **argv)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		harness_fail("fork: %s", strerror(errno));
	if (pid == 0) {
		/* Until its own --die-with-parent is in force. */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() == parent) {
			unsetenv("LD_PRELOAD");
			if (freopen("/dev/null", "w", stdout) != NULL)
				execv(program, (char *const *)(uintptr_t)argv);
		}
		_exit(127);
	}
	return pid;
}

struct quotad *quotad_start(const char *dir, const char *const *options)
{
	char *program = build_path("quotad");
	struct quotad *q = calloc(1, sizeof *q);
	const char *argv[OPTIONS_MAX + 8];
	struct readiness readiness = {0};
	size_t count = 0;
	bool tls = false;
	char name[32];
	char *ready_file;

	if (q == NULL)
		harness_fail("no memory");
	snprintf(name, sizeof name, "quotad-%u", ++started);
	ready_file = path_in(dir, name);
	snprintf(name, sizeof name, "quotad-%u.pem", started);
	q->cert_file = path_in(dir, name);

	argv[count++] = program;
	argv[count++] = "--die-with-parent";
	argv[count++] = "--ready-file";
	argv[count++] = ready_file;
	for (size_t i = 0; options != NULL && options[i] != NULL; i++) {
		if (i == OPTIONS_MAX)
			harness_fail("too many options for quotad");
		if (strncmp(options[i], "--tls", 5) == 0)
			tls = true;
		argv[count++] = options[i];
	}
	if (tls) {
		argv[count++] = "--cert-file";
		argv[count++] = q->cert_file;
	} else {
		free(q->cert_file);
		q->cert_file = NULL;
	}
	argv[count] = NULL;

	q->pid = spawn(program, argv);
	readiness.pid = q->pid;
	readiness.path = ready_file;
	if (!wait_until(is_ready, &readiness, START_LIMIT_S) || readiness.died) {
		if (!readiness.died)
			kill(q->pid, SIGKILL);
		harness_fail("%s %s", program, readiness.died ? "did not start" : "did not get ready");
	}
	if (sscanf(readiness.text, "http=%d\nhttps=%d\ncontrol=%d", &q->http_port, &q->https_port, &q->control_port) != 3)
		harness_fail("%s: cannot read \"%s\"", ready_file, readiness.text);
	free(readiness.text);
	free(ready_file);
	free(program);
	q->next = all;
	all = q;
	return q;
}

static const char *keep_url(struct quotad *q, const char *scheme, const char *host, int port, const char *path)
{
	char **slot = &q->url[q->urls++ % QUOTAD_URLS];

	free(*slot);
	if (asprintf(slot, "%s://%s:%d%s", scheme, host, port, path) < 0)
		harness_fail("no memory");
	return *slot;
}

const char *quotad_url(struct quotad *q, const char *path)
{
	return keep_url(q, "http", "127.0.0.1", q->http_port, path);
}

const char *quotad_https_url(struct quotad *q, const char *path)
{
	return keep_url(q, "https", "127.0.0.1", q->https_port, path);
}

const char *quotad_localhost_url(struct quotad *q, const char *path)
{
	return keep_url(q, "http", "localhost", q->http_port, path);
}

/* The body of a control answer, to be freed by the caller. */
__attribute__((format(printf, 3, 4))) static char *control(struct quotad *q, const char *method, const char *format, ...)
{
	struct http_answer answer;
	va_list arguments;
	char *path;
	char *url;
	char *body;

	va_start(arguments, format);
	if (vasprintf(&path, format, arguments) < 0)
		harness_fail("no memory");
	va_end(arguments);
	if (asprintf(&url, "http://127.0.0.1:%d%s", q->control_port, path) < 0)
		harness_fail("no memory");
	answer = http_send(&(struct http_request){.method = method, .url = url});
	if (answer.curl_code != 0 || answer.status != 200)
		harness_fail("quotad: %s %s: curl %d, status %d: %s", method, path, answer.curl_code, answer.status, answer.body);
	free(url);
	free(path);
	body = answer.body;
	answer.body = NULL;
	http_answer_free(&answer);
	return body;
}

/* Ends it and frees it. False, with a message printed, when it did not end well. */
static bool end(struct quotad *q)
{
	struct quotad **link = &all;
	pid_t pid = q->pid;
	int status = 0;
	bool in_time;

	while (*link != q)
		link = &(*link)->next;
	*link = q->next;
	for (size_t i = 0; i < QUOTAD_URLS; i++)
		free(q->url[i]);
	free(q->cert_file);
	free(q);
	kill(pid, SIGTERM);
	in_time = wait_for_exit(pid, STOP_LIMIT_S);
	if (!in_time)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	if (!in_time)
		fprintf(stderr, "quotad did not exit within %g s\n", STOP_LIMIT_S);
	else if (status != 0)
		fprintf(stderr, "quotad ended with wait status 0x%x\n", (unsigned)status);
	return in_time && status == 0;
}

void quotad_stop(struct quotad *q)
{
	if (q != NULL && !end(q))
		harness_fail("quotad did not end well");
}

bool quotad_stop_all(void)
{
	bool ended_well = true;

	while (all != NULL)
		ended_well &= end(all);
	return ended_well;
}

static uint64_t member(const json_t *json, const char *name)
{
	const json_t *value = json_object_get(json, name);

	if (!json_is_integer(value))
		harness_fail("quotad: no number \"%s\" in /count", name);
	return (uint64_t)json_integer_value(value);
}

/* 0 for null. */
static double member_s(const json_t *json, const char *name)
{
	return json_number_value(json_object_get(json, name));
}

static struct quotad_count parse_count(json_t *json)
{
	struct quotad_count c = {
		.requests = member(json, "requests"),
		.accepted = member(json, "accepted"),
		.throttled = member(json, "throttled"),
		.hung = member(json, "hung"),
		.in_hold = member(json, "in_hold"),
		.holds = member(json, "holds"),
		.in_hold_latest_s = member_s(json, "in_hold_latest_s"),
		.resume_late_max_s = member_s(json, "resume_late_max_s"),
		.connections = member(json, "connections"),
		.outage_connections = member(json, "outage_connections"),
		.dropped_syns = member(json, "dropped_syns"),
		.netns_resets = member(json, "netns_resets"),
		.max_in_flight = member(json, "max_in_flight"),
		.first_s = member_s(json, "first_s"),
		.last_s = member_s(json, "last_s"),
	};
	const char *status;
	json_t *number;

	json_object_foreach(json_object_get(json, "by_status"), status, number)
	{
		long index = strtol(status, NULL, 10);

		if (index >= 0 && index < QUOTAD_STATUS_END)
			c.by_status[index] = (uint64_t)json_integer_value(number);
	}
	return c;
}

static struct quotad_count get_count(struct quotad *q, bool since_mark)
{
	char *text = control(q, "GET", "/count");
	json_t *json = json_loads(text, 0, NULL);
	struct quotad_count c;

	if (json == NULL)
		harness_fail("quotad: cannot read /count: %s", text);
	c = parse_count(since_mark ? json_object_get(json, "since_mark") : json);
	json_decref(json);
	free(text);
	return c;
}

struct quotad_count quotad_count(struct quotad *q)
{
	return get_count(q, false);
}

struct quotad_count quotad_count_since_mark(struct quotad *q)
{
	return get_count(q, true);
}

void quotad_mark(struct quotad *q)
{
	free(control(q, "POST", "/mark"));
}

void quotad_reset(struct quotad *q)
{
	free(control(q, "POST", "/reset"));
}

void quotad_set(struct quotad *q, const char *query)
{
	free(control(q, "POST", "/set?%s", query));
}

void quotad_outage(struct quotad *q, const char *kind, double seconds)
{
	if (seconds > 0)
		free(control(q, "POST", "/outage?kind=%s&seconds=%g", kind, seconds));
	else
		free(control(q, "POST", "/outage?kind=%s", kind));
}

struct quotad_arrival *quotad_journal(struct quotad *q, size_t *count)
{
	char *text = control(q, "GET", "/journal");
	struct quotad_arrival *arrivals;
	char *rest = NULL;
	size_t lines = 0;
	size_t n = 0;

	for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	arrivals = calloc(lines + 1, sizeof *arrivals);
	if (arrivals == NULL)
		harness_fail("no memory");
	for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		if (sscanf(line, "%lf %d %55s", &arrivals[n].arrival_s, &arrivals[n].status, arrivals[n].path) != 3)
			harness_fail("quotad: cannot read the journal's line \"%s\"", line);
		n++;
	}
	free(text);
	*count = n;
	return arrivals;
}
