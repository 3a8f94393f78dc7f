/* SPDX-License-Identifier: MIT */
#include "src/agent/streams.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/agent/fields.h"
#include "src/stats/history.h"
#include "src/stats/render.h"
#include "src/stats/snapshot.h"
#include "src/stats/watched.h"
#include "weir/gate.h"
#include "weir/units.h"

/* A comment that often keeps proxies from closing the connection and finds out whether the client is still there; half the time
 * after which the server lets silent clients go. */
#define COMMENT_EVERY_NS UINT64_C(5000000000)
#define BLOCK_BYTES      4096
#define STATS_EVERY_NS   UINT64_C(1000000000)

struct weir_stream {
	struct weir_streams *all;
	struct weir_stream *next;
	struct MHD_Connection *connection;
	bool suspended, comment;
	bool stats;      /* it tells the statistics, else events */
	uint64_t due_ns; /* when it tells them next */
	uint64_t event;  /* the next one to tell */
	char *text;      /* what is being sent */
	size_t length, sent;
};

static bool is_path(const char *uri, const char *path)
{
	size_t n = strlen(path);
	return strncmp(uri, path, n) == 0 && (uri[n] == '\0' || uri[n] == '?');
}

bool weir_streams_asked(const struct weir_api_request *r)
{
	return strcmp(r->method, "GET") == 0 && (is_path(r->uri, "/v1/events") || is_path(r->uri, "/v1/stats")) && r->accept &&
	       strncmp(r->accept, "text/event-stream", 17) == 0;
}

static uint64_t head_of(const struct weir_streams *s)
{
	return atomic_load_explicit(&s->segment->header->event_head, memory_order_relaxed);
}

static void free_stream(void *cls)
{
	struct weir_stream *stream = cls;
	struct weir_stream **at = &stream->all->first;
	while (*at && *at != stream)
		at = &(*at)->next;
	if (*at) {
		*at = stream->next;
		stream->all->count--;
	}
	free(stream->text);
	free(stream);
}

static uint64_t wall_now_ns(void)
{
	struct timespec wall;
	clock_gettime(CLOCK_REALTIME, &wall);
	return (uint64_t)wall.tv_sec * 1000000000U + (uint64_t)wall.tv_nsec;
}

/* `name`: what they are all called; NULL = each what it is. */
static void tell_events(const struct weir_event *events, size_t n, const char *name, uint64_t now_ns, FILE *out)
{
	uint64_t wall_ns = wall_now_ns();
	for (size_t i = 0; i < n; i++) {
		json_t *o = weir_history_event(&events[i], now_ns, wall_ns);
		char *data = o ? json_dumps(o, WEIR_JSON_FLAGS) : NULL;
		if (data)
			fprintf(out, "id: %" JSON_INTEGER_FORMAT "\nevent: %s\ndata: %s\n\n",
				json_integer_value(json_object_get(o, "number")), name ? name : weir_event_name(events[i].kind),
				data);
		free(data);
		json_decref(o);
	}
}

static void tell_stats(const struct weir_streams *s, uint64_t now_ns, FILE *out)
{
	struct weir_snapshot snapshot;
	if (!weir_snapshot_take(s->segment, NULL, now_ns, wall_now_ns(), &snapshot))
		return;
	weir_watched_add(&snapshot, weir_alerts_monitor(s->alerts));
	json_t *o = weir_render_json(&snapshot);
	char *data = o ? json_dumps(o, WEIR_JSON_FLAGS) : NULL;
	if (data)
		fprintf(out, "event: stats\ndata: %s\n\n", data);
	free(data);
	json_decref(o);
	weir_snapshot_free(&snapshot);
}

/* Fills the stream's text with what there is to tell. Returns false when there is nothing. */
static bool fill(struct weir_stream *stream)
{
	struct weir_event events[8];
	uint64_t now_ns = weir_now_ns();
	bool due = stream->stats && now_ns >= stream->due_ns;
	size_t n = weir_event_read(stream->all->segment, &stream->event, events, sizeof events / sizeof *events);
	free(stream->text);
	stream->text = NULL;
	stream->length = stream->sent = 0;
	FILE *out = n > 0 || due || stream->comment ? open_memstream(&stream->text, &stream->length) : NULL;
	if (!out)
		return false;
	if (due) {
		stream->due_ns = now_ns + STATS_EVERY_NS;
		tell_stats(stream->all, now_ns, out);
	} else if (n == 0) {
		fputs(":\n\n", out);
	}
	stream->comment = false;
	tell_events(events, n, stream->stats ? "change" : NULL, now_ns, out);
	return fclose(out) == 0 && stream->length > 0;
}

static ssize_t read_stream(void *cls, uint64_t position, char *to, size_t max)
{
	struct weir_stream *stream = cls;
	(void)position;
	if (stream->all->ending)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (stream->sent == stream->length && !fill(stream)) {
		MHD_suspend_connection(stream->connection);
		stream->suspended = true;
		return 0;
	}
	size_t n = stream->length - stream->sent;
	if (n > max)
		n = max;
	memcpy(to, stream->text + stream->sent, n);
	stream->sent += n;
	return (ssize_t)n;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *why)
{
	struct weir_api_reply reply;
	weir_api_fail(&reply, status, "%s", why);
	if (!reply.body)
		return MHD_NO;
	struct MHD_Response *response = MHD_create_response_from_buffer(reply.length, reply.body, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(reply.body);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply.content_type);
	enum MHD_Result result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

/* The number to begin with: since=N, else what happens from now on. */
static const char *find_start(const struct weir_streams *s, const struct weir_api_request *request, uint64_t *start)
{
	struct weir_fields query = {.count = 0};
	const char *question = strchr(request->uri, '?');
	const char *why = question ? weir_fields_form(&query, question + 1) : NULL;
	const char *since = weir_fields_get(&query, "since");
	uint64_t head = head_of(s);
	*start = head;
	if (!why && since)
		why = weir_parse_count(since, INT64_MAX, start);
	weir_fields_free(&query);
	if (*start > head)
		*start = head;
	if (head - *start > s->segment->events)
		*start = head - s->segment->events;
	return why;
}

enum MHD_Result weir_streams_open(struct weir_streams *s, struct MHD_Connection *connection,
				  const struct weir_api_request *request)
{
	uint64_t start;
	const char *why = find_start(s, request, &start);
	if (why)
		return refuse(connection, MHD_HTTP_BAD_REQUEST, why);
	if (s->count >= WEIR_STREAMS_MAX)
		return refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "too many streams are open");
	struct weir_stream *stream = calloc(1, sizeof *stream);
	if (!stream)
		return MHD_NO;
	stream->all = s;
	stream->connection = connection;
	stream->event = start;
	stream->stats = is_path(request->uri, "/v1/stats");
	stream->comment = true; /* so that the client has the headers at once */
	stream->next = s->first;
	s->first = stream;
	s->count++;
	struct MHD_Response *response =
		MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, stream, free_stream);
	if (!response) {
		free_stream(stream);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return result;
}

/* Wakes those that tell events when `all`, and those that are due. */
static void wake(struct weir_streams *s, bool all, uint64_t now_ns)
{
	for (struct weir_stream *stream = s->first; stream; stream = stream->next) {
		if (!stream->suspended || !(all || (stream->stats && now_ns >= stream->due_ns)))
			continue;
		stream->suspended = false;
		MHD_resume_connection(stream->connection);
	}
}

bool weir_streams_go_on(struct weir_streams *s, uint64_t now_ns)
{
	uint64_t head = head_of(s);
	bool comment = now_ns - s->spoke_ns >= COMMENT_EVERY_NS;
	if (s->first && comment) {
		s->spoke_ns = now_ns;
		for (struct weir_stream *stream = s->first; stream; stream = stream->next)
			stream->comment = true;
	}
	wake(s, comment || head != s->head, now_ns);
	s->head = head;
	return s->first != NULL;
}

void weir_streams_end(struct weir_streams *s)
{
	s->ending = true;
	wake(s, true, 0);
}
