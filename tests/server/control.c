#include "tests/server/control.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/server/clock.h"
#include "tests/server/number.h"
#include "tests/server/options.h"

/* An answer on its way; `text` is given to MHD, which frees it. */
struct answer {
	unsigned status;
	const char *type;
	char *text;
	size_t bytes;
};

__attribute__((format(printf, 2, 3))) static struct answer say(unsigned status, const char *format, ...)
{
	struct answer answer = {.status = status, .type = "text/plain"};
	va_list arguments;
	int bytes;

	va_start(arguments, format);
	bytes = vasprintf(&answer.text, format, arguments);
	va_end(arguments);
	if (bytes < 0)
		answer.text = NULL;
	else
		answer.bytes = (size_t)bytes;
	return answer;
}

static void wake_main_loop(const struct control *c)
{
	uint64_t one = 1;

	if (write(c->wake_fd, &one, sizeof one) < 0)
		perror("quotad: eventfd");
}

static struct answer get_count(struct control *c, struct MHD_Connection *connection)
{
	struct answer answer = {.status = 200, .type = "application/json"};
	struct quota *q = &c->service->quota;
	struct tally *copies = malloc(2 * sizeof *copies);
	json_t *json;
	char *text;

	(void)connection;
	if (copies == NULL)
		return answer;
	outage_count(&c->service->outage);
	pthread_mutex_lock(&q->mutex);
	copies[0] = q->total;
	copies[1] = q->since_mark;
	pthread_mutex_unlock(&q->mutex);
	json = tally_json(&copies[0]);
	json_object_set_new(json, "since_mark", tally_json(&copies[1]));
	json_object_set_new(json, "outage", json_string(outage_kind_name(outage_current(&c->service->outage))));
	text = json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
	json_decref(json);
	free(copies);
	if (text == NULL)
		return answer;
	answer = say(200, "%s\n", text);
	answer.type = "application/json";
	free(text);
	return answer;
}

static struct answer get_journal(struct control *c, struct MHD_Connection *connection)
{
	struct answer answer = {.status = 200, .type = "text/plain"};
	struct quota *q = &c->service->quota;
	FILE *out = open_memstream(&answer.text, &answer.bytes);

	(void)connection;
	if (out == NULL)
		return answer;
	/* Requests wait meanwhile: the journal is for the end of a run. */
	pthread_mutex_lock(&q->mutex);
	for (size_t i = 0; i < journal_count(&q->journal); i++) {
		const struct journal_entry *entry = journal_get(&q->journal, i);

		fprintf(out, "%.6f %d %s\n", ns_to_s(entry->arrival_ns), entry->status, entry->path);
	}
	pthread_mutex_unlock(&q->mutex);
	if (fclose(out) != 0) {
		free(answer.text);
		answer.text = NULL;
	}
	return answer;
}

static struct answer post_mark(struct control *c, struct MHD_Connection *connection)
{
	(void)connection;
	outage_count(&c->service->outage);
	quota_mark(&c->service->quota);
	return say(200, "ok\n");
}

static struct answer post_reset(struct control *c, struct MHD_Connection *connection)
{
	(void)connection;
	outage_count(&c->service->outage);
	quota_reset(&c->service->quota);
	return say(200, "ok\n");
}

static struct answer post_quit(struct control *c, struct MHD_Connection *connection)
{
	(void)connection;
	atomic_store(&c->quit, 1);
	wake_main_loop(c);
	return say(200, "ok\n");
}

struct set_request {
	struct quota_settings settings;
	size_t options;
	bool failed;
	char error[OPTIONS_ERROR_BYTES];
};

static enum MHD_Result set_one(void *data, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct set_request *request = data;

	(void)kind;
	request->options++;
	request->failed = !options_set(&request->settings, name, value == NULL ? "" : value, request->error);
	return request->failed ? MHD_NO : MHD_YES;
}

static struct answer post_set(struct control *c, struct MHD_Connection *connection)
{
	struct set_request request = {.settings = quota_settings(&c->service->quota)};

	MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, set_one, &request);
	if (request.failed)
		return say(400, "%s\n", request.error);
	if (request.options == 0)
		return say(400, "set: name an option, as in /set?bucket=10/s:10\n");
	quota_set(&c->service->quota, &request.settings);
	return say(200, "ok\n");
}

static struct answer post_outage(struct control *c, struct MHD_Connection *connection)
{
	const char *kind_text = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "kind");
	const char *seconds_text = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "seconds");
	enum outage_kind kind;
	double seconds = 0;

	if (kind_text == NULL || !outage_kind_parse(kind_text, &kind))
		return say(400, "outage: kind=none, refuse, hang or blackhole\n");
	if (seconds_text != NULL && !number_parse(seconds_text, 0.001, 1e6, &seconds))
		return say(400, "outage: seconds: \"%.80s\" is not a number from 0.001 to 1000000\n", seconds_text);
	if (outage_begin(&c->service->outage, kind, (int64_t)(seconds * (double)NS_PER_S)) != 0)
		return say(500, "outage: %s: %s\n", kind_text, strerror(errno));
	wake_main_loop(c);
	return say(200, "ok\n");
}

static const struct {
	const char *method;
	const char *path;
	struct answer (*handle)(struct control *, struct MHD_Connection *);
} table[] = {
	{"GET", "/count", get_count},   {"GET", "/journal", get_journal}, {"POST", "/mark", post_mark},
	{"POST", "/reset", post_reset}, {"POST", "/set", post_set},       {"POST", "/outage", post_outage},
	{"POST", "/quit", post_quit},
};

static struct answer dispatch(struct control *c, struct MHD_Connection *connection, const char *url, const char *method)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (strcmp(table[i].path, url) != 0)
			continue;
		if (strcmp(table[i].method, method) != 0)
			return say(405, "%s: use %s\n", url, table[i].method);
		return table[i].handle(c, connection);
	}
	return say(404, "no such path; there are /count /journal /mark /reset /set /outage /quit\n");
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *url, const char *method,
				  const char *version, const char *upload, size_t *upload_bytes, void **request)
{
	static char seen;
	struct answer answer;
	struct MHD_Response *response;
	enum MHD_Result result;

	(void)version;
	(void)upload;
	if (*request == NULL) {
		*request = &seen;
		return MHD_YES;
	}
	if (*upload_bytes > 0) {
		*upload_bytes = 0;
		return MHD_YES;
	}
	answer = dispatch(data, connection, url, method);
	if (answer.text == NULL)
		return MHD_NO;
	response = MHD_create_response_from_buffer(answer.bytes, answer.text, MHD_RESPMEM_MUST_FREE);
	if (response == NULL) {
		free(answer.text);
		return MHD_NO;
	}
	MHD_add_response_header(response, "Content-Type", answer.type);
	result = MHD_queue_response(connection, answer.status, response);
	MHD_destroy_response(response);
	return result;
}

int control_start(struct control *c, struct service *service, uint16_t port, int wake_fd)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const union MHD_DaemonInfo *info;

	c->service = service;
	c->wake_fd = wake_fd;
	atomic_init(&c->quit, 0);
	c->daemon = MHD_start_daemon(MHD_USE_POLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ITC, port, NULL, NULL, on_request,
				     c, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u,
				     MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
	info = c->daemon == NULL ? NULL : MHD_get_daemon_info(c->daemon, MHD_DAEMON_INFO_BIND_PORT);
	if (info == NULL) {
		fprintf(stderr, "quotad: cannot listen on 127.0.0.1:%d for control\n", port);
		return -1;
	}
	c->port = info->port;
	return 0;
}

void control_stop(struct control *c)
{
	if (c->daemon != NULL)
		MHD_stop_daemon(c->daemon);
	c->daemon = NULL;
}
