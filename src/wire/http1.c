/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1 on a byte stream, line by line: memchr finds the ends of lines, and bodies are counted, never looked at. A line that is
 * whole among the bytes of one call is read where it stands; one that comes in pieces is put together in the stream's own buffer.
 *
 * A head's meaning is decided at its empty line. Whatever would let two readers disagree on where a body ends (two different
 * lengths, a length that is no number, a coding after "chunked") makes the connection opaque: a wrong guess would take a body for
 * a request.
 */
#include <string.h>
#include <strings.h>

#include "weir/wire.h"

/* START: before the first byte of a head. */
enum { START = 0, FIELDS, BODY, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER, UNTIL_CLOSE };
enum { BY_NOTHING = 0, BY_LENGTH, BY_CHUNKS, BY_CLOSE, UNCLEAR };
enum { OTHER = 0, HEAD = 1, CONNECT = 2 };

struct text {
	const char *at;
	size_t bytes;
};

static inline bool is(struct text t, const char *word)
{
	return t.bytes == strlen(word) && strncasecmp(t.at, word, t.bytes) == 0;
}

static inline bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static inline struct text trimmed(struct text t)
{
	while (t.bytes > 0 && is_blank(t.at[0])) {
		t.at++;
		t.bytes--;
	}
	while (t.bytes > 0 && is_blank(t.at[t.bytes - 1]))
		t.bytes--;
	return t;
}

static size_t opaque(struct weir_wire *w, size_t used, enum weir_wire_event *event)
{
	w->opaque = true;
	*event = WEIR_WIRE_OPAQUE;
	return used;
}

static void keep(struct weir_wire_stream *s, const char *at, size_t n)
{
	size_t room = sizeof s->line - s->line_bytes;

	if (n > room) {
		s->line_cut = true;
		n = room;
	}
	memcpy(s->line + s->line_bytes, at, n);
	s->line_bytes = (uint16_t)(s->line_bytes + n);
}

/* The next line, without its end. False when its end has not come; *used bytes are taken in either way. */
static inline bool next_line(struct weir_wire_stream *s, const char *bytes, size_t n, size_t *used, struct text *line)
{
	const char *end = memchr(bytes, '\n', n);

	*used = end ? (size_t)(end - bytes) + 1 : n;
	if (!end) {
		keep(s, bytes, n);
		return false;
	}
	*line = (struct text){bytes, (size_t)(end - bytes)};
	if (s->line_bytes != 0 || s->line_cut) {
		keep(s, bytes, line->bytes);
		*line = (struct text){s->line, s->line_bytes};
	}
	if (line->bytes > 0 && line->at[line->bytes - 1] == '\r')
		line->bytes--;
	return true;
}

static void line_done(struct weir_wire_stream *s)
{
	s->line_bytes = 0;
	s->line_cut = false;
}

/* A number of one digit or more, and nothing else. */
static bool number(struct text t, unsigned base, uint64_t *out)
{
	uint64_t n = 0;

	if (t.bytes == 0)
		return false;
	for (size_t i = 0; i < t.bytes; i++) {
		unsigned char c = (unsigned char)t.at[i];
		unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
				 : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
							: 16;

		/* Half of what fits: a sum with what was read before cannot overflow either. */
		if (digit >= base || n > (UINT64_MAX / 2 - digit) / base)
			return false;
		n = n * base + digit;
	}
	*out = n;
	return true;
}

static void length_field(struct weir_wire_stream *s, struct text value)
{
	uint64_t length;

	if (!number(value, 10, &length) || (s->has_length && length != s->left)) {
		s->framing = UNCLEAR;
		return;
	}
	s->has_length = true;
	s->left = length;
	if (s->framing == BY_NOTHING)
		s->framing = BY_LENGTH;
}

/* Chunked must be the last coding. Of an answer with another one the end is the connection's (RFC 9112 6.3). */
static void coding_field(struct weir_wire_stream *s, struct text value)
{
	const char *comma = memrchr(value.at, ',', value.bytes);
	struct text last = value;

	if (comma)
		last = (struct text){comma + 1, (size_t)(value.at + value.bytes - comma - 1)};
	if (s->framing == UNCLEAR)
		return;
	if (s->framing == BY_CHUNKS)
		s->framing = UNCLEAR;
	else
		s->framing = is(trimmed(last), "chunked") ? BY_CHUNKS : BY_CLOSE;
}

static void field(struct weir_wire_stream *s, struct text line, const struct weir_wire_sink *sink)
{
	const char *colon = memchr(line.at, ':', line.bytes);
	struct text name, value;

	/* A continuation belongs to no framing field that anybody sends. */
	if (!colon || is_blank(line.at[0]))
		return;
	name = (struct text){line.at, (size_t)(colon - line.at)}; /* no white space before the colon: RFC 9112 5.1 */
	value = trimmed((struct text){colon + 1, (size_t)(line.at + line.bytes - colon - 1)});
	if (is(name, "Content-Length"))
		length_field(s, value);
	else if (is(name, "Transfer-Encoding"))
		coding_field(s, value);
	else if (is_blank(name.at[name.bytes > 0 ? name.bytes - 1 : 0]))
		s->framing = UNCLEAR; /* "Content-Length : 5" is one to some readers */
	if (s->line_cut && (is(name, "Content-Length") || is(name, "Transfer-Encoding")))
		s->framing = UNCLEAR;
	if (sink && !s->line_cut)
		sink->line(sink->of, name.at, name.bytes, value.at, value.bytes);
}

static void begin_body(struct weir_wire_stream *s, unsigned framing)
{
	s->state = framing == BY_CHUNKS ? CHUNK_SIZE : framing == BY_CLOSE ? UNTIL_CLOSE : s->left != 0 ? BODY : START;
	s->framing = BY_NOTHING;
	s->has_length = false;
	s->head_bytes = 0;
	if (framing != BY_LENGTH) {
		s->left = 0;
		if (s->state == BODY)
			s->state = START;
	}
}

/* "HTTP/1.x" */
static bool is_version(struct text t)
{
	return t.bytes == 8 && memcmp(t.at, "HTTP/1.", 7) == 0 && t.at[7] >= '0' && t.at[7] <= '9';
}

static bool request_line(struct text line, struct text *method, struct text *target)
{
	const char *space = memchr(line.at, ' ', line.bytes), *last = memrchr(line.at, ' ', line.bytes);

	if (!space || last <= space + 1 || space == line.at)
		return false;
	*method = (struct text){line.at, (size_t)(space - line.at)};
	*target = (struct text){space + 1, (size_t)(last - space - 1)};
	return is_version((struct text){last + 1, (size_t)(line.at + line.bytes - last - 1)});
}

/* "HTTP/1.x NNN", and whatever follows after a space. */
static bool status_line(struct text line, uint16_t *status)
{
	uint64_t n;

	if (line.bytes < 12 || !is_version((struct text){line.at, 8}) || line.at[8] != ' ' ||
	    (line.bytes > 12 && line.at[12] != ' ') || !number((struct text){line.at + 9, 3}, 10, &n) || n < 100 || n > 599)
		return false;
	*status = (uint16_t)n;
	return true;
}

static bool push(struct weir_wire *w, unsigned kind)
{
	if (w->pending >= WEIR_WIRE_DEPTH)
		return false;
	w->kinds |= (uint64_t)kind << (2 * w->pending++);
	w->last = (uint8_t)kind;
	return true;
}

static unsigned oldest(const struct weir_wire *w)
{
	return (unsigned)(w->kinds & 3);
}

static void pop(struct weir_wire *w)
{
	w->kinds >>= 2;
	w->pending--;
}

/* The first line is read; of the body nothing is known yet. */
static void begin_head(struct weir_wire_stream *s)
{
	s->state = FIELDS;
	s->framing = BY_NOTHING;
	s->has_length = false;
	s->left = 0;
}

/* A request line. Empty lines before it are skipped (RFC 9112 2.2). */
static bool begin_request(struct weir_wire *w, struct text line)
{
	struct text method, target;

	if (w->sent.line_cut) { /* a long URL, in pieces: the method is what matters */
		const char *space = memchr(line.at, ' ', line.bytes);

		if (!space)
			return false;
		method = (struct text){line.at, (size_t)(space - line.at)};
	} else if (!request_line(line, &method, &target)) {
		return false;
	}
	begin_head(&w->sent);
	return push(w, is(method, "HEAD") ? HEAD : is(method, "CONNECT") ? CONNECT : OTHER);
}

static bool end_request_head(struct weir_wire_stream *s)
{
	/* A request is never ended by the connection's end. */
	if (s->framing == UNCLEAR || s->framing == BY_CLOSE)
		return false;
	begin_body(s, s->framing);
	return true;
}

/* Counts what has no lines: bodies and chunks. */
static size_t skip(struct weir_wire_stream *s, size_t n)
{
	size_t some = n < s->left ? n : (size_t)s->left;

	s->left -= some;
	return some;
}

/* A line of a chunked body. False when it is none. *over: the body ends with it. */
static bool chunk_line(struct weir_wire_stream *s, struct text line, bool *over)
{
	const char *extension = memchr(line.at, ';', line.bytes);

	*over = false;
	switch (s->state) {
	case CHUNK_SIZE:
		if (extension)
			line.bytes = (size_t)(extension - line.at);
		else if (s->line_cut)
			return false;
		if (!number(trimmed(line), 16, &s->left))
			return false;
		s->state = s->left != 0 ? CHUNK : TRAILER;
		return true;
	case CHUNK_END:
		s->state = CHUNK_SIZE;
		return line.bytes == 0 && !s->line_cut;
	default: /* TRAILER */
		*over = line.bytes == 0 && !s->line_cut;
		return true;
	}
}

static bool has_lines(const struct weir_wire_stream *s)
{
	return s->state != BODY && s->state != CHUNK && s->state != UNTIL_CLOSE;
}

/* Bytes of a body that are not lines. Returns whether the body is over with them. */
static bool pass_body(struct weir_wire_stream *s, size_t n, size_t *used)
{
	if (s->state == UNTIL_CLOSE) {
		*used = n;
		return false;
	}
	*used = skip(s, n);
	if (s->left != 0)
		return false;
	if (s->state == CHUNK) {
		s->state = CHUNK_END;
		return false;
	}
	s->state = START;
	return true;
}

/* Whether a head that is being read has grown beyond all measure. */
static bool too_long(struct weir_wire_stream *s, size_t used)
{
	if (s->state != START && s->state != FIELDS && s->state != TRAILER)
		return false;
	s->head_bytes += (uint32_t)(used < WEIR_WIRE_HEAD_MAX ? used : WEIR_WIRE_HEAD_MAX);
	return s->head_bytes > WEIR_WIRE_HEAD_MAX;
}

size_t weir_wire_sent(struct weir_wire *w, const void *bytes, size_t n, const struct weir_wire_sink *sink,
		      enum weir_wire_event *event)
{
	struct weir_wire_stream *s = &w->sent;
	const char *at = bytes;
	size_t total = 0, used;
	struct text line;
	bool over;

	*event = WEIR_WIRE_NONE;
	while (!w->opaque && total < n) {
		if (!has_lines(s)) {
			pass_body(s, n - total, &used);
			total += used;
			continue;
		}
		/* Before memchr looks for a line's end in what may be a gigabyte of something else. */
		if (s->state == START && s->line_bytes == 0 && !(at[total] >= 'A' && at[total] <= 'Z') && at[total] != '\r' &&
		    at[total] != '\n')
			return opaque(w, total, event);
		if (!next_line(s, at + total, n - total, &used, &line)) {
			total += used;
			if (too_long(s, used))
				return opaque(w, total, event);
			break;
		}
		total += used;
		if (too_long(s, used))
			return opaque(w, total, event);
		if (s->state == START) {
			if (line.bytes != 0 && !begin_request(w, line))
				return opaque(w, total, event);
		} else if (s->state == FIELDS && line.bytes == 0) {
			line_done(s);
			if (!end_request_head(s))
				return opaque(w, total, event);
			*event = WEIR_WIRE_REQUEST;
			return total;
		} else if (s->state == FIELDS) {
			field(s, line, sink);
		} else if (!chunk_line(s, line, &over)) {
			return opaque(w, total, event);
		} else if (over) {
			s->state = START;
			s->head_bytes = 0;
		}
		line_done(s);
	}
	if (w->opaque)
		*event = WEIR_WIRE_OPAQUE;
	return total;
}

/* A tunnel is a connection of its own: what it carries begins anew, requests or TLS. */
static void begin_tunnel(struct weir_wire *w)
{
	memset(w, 0, sizeof *w);
}

/* The head of an answer is whole. Returns what it is. */
static enum weir_wire_event end_answer_head(struct weir_wire *w)
{
	struct weir_wire_stream *s = &w->received;
	unsigned kind = oldest(w), framing = s->framing;
	uint16_t status = s->status;

	if (status == 101 || framing == UNCLEAR) {
		w->opaque = true;
		return status == 101 ? WEIR_WIRE_ANSWER : WEIR_WIRE_OPAQUE;
	}
	if (status < 200) {
		begin_body(s, BY_NOTHING);
		return WEIR_WIRE_INTERIM;
	}
	if (kind == CONNECT && status < 300) {
		begin_tunnel(w);
		w->received.status = status;
		return WEIR_WIRE_ANSWER;
	}
	pop(w);
	if (kind == HEAD || status == 204 || status == 304)
		framing = BY_NOTHING;
	else if (framing == BY_NOTHING)
		framing = BY_CLOSE;
	begin_body(s, framing);
	return WEIR_WIRE_ANSWER;
}

static bool begin_answer(struct weir_wire *w, struct text line)
{
	struct weir_wire_stream *s = &w->received;

	if (w->pending == 0 || line.bytes == 0 || !status_line(line, &s->status))
		return false;
	begin_head(s);
	return true;
}

size_t weir_wire_received(struct weir_wire *w, const void *bytes, size_t n, const struct weir_wire_sink *sink,
			  enum weir_wire_event *event)
{
	struct weir_wire_stream *s = &w->received;
	const char *at = bytes;
	size_t total = 0, used;
	struct text line;
	bool over;

	*event = WEIR_WIRE_NONE;
	while (!w->opaque && total < n) {
		if (!has_lines(s)) {
			over = pass_body(s, n - total, &used);
			total += used;
			if (!over)
				continue;
			*event = WEIR_WIRE_END;
			return total;
		}
		if (s->state == START && s->line_bytes == 0 && at[total] != 'H')
			return opaque(w, total, event);
		if (!next_line(s, at + total, n - total, &used, &line)) {
			total += used;
			if (too_long(s, used))
				return opaque(w, total, event);
			break;
		}
		total += used;
		if (too_long(s, used))
			return opaque(w, total, event);
		if (s->state == START) {
			if (!begin_answer(w, line))
				return opaque(w, total, event);
		} else if (s->state == FIELDS && line.bytes == 0 && !s->line_cut) {
			line_done(s);
			*event = end_answer_head(w);
			return total;
		} else if (s->state == FIELDS) {
			field(s, line, sink);
		} else if (!chunk_line(s, line, &over)) {
			return opaque(w, total, event);
		} else if (over) {
			line_done(s);
			s->state = START;
			s->head_bytes = 0;
			*event = WEIR_WIRE_END;
			return total;
		}
		line_done(s);
	}
	if (w->opaque)
		*event = WEIR_WIRE_OPAQUE;
	return total;
}

void weir_wire_sent_unseen(struct weir_wire *w)
{
	push(w, OTHER);
}

enum weir_wire_event weir_wire_closed(const struct weir_wire *w)
{
	if (w->opaque)
		return WEIR_WIRE_OPAQUE;
	if (w->received.state == UNTIL_CLOSE)
		return WEIR_WIRE_END;
	return w->received.state == START && w->received.line_bytes == 0 && w->pending == 0 ? WEIR_WIRE_NONE : WEIR_WIRE_OPAQUE;
}

bool weir_wire_at_request(const struct weir_wire *w)
{
	return !w->opaque && w->sent.state == START && w->sent.line_bytes == 0;
}

bool weir_wire_sent_again(struct weir_wire *w)
{
	return weir_wire_at_request(w) && push(w, w->last);
}

bool weir_wire_answer_over(const struct weir_wire *w)
{
	return w->opaque || w->received.state == START;
}

#define METHOD_MAX 24 /* longer than any that is registered */

/* Up to the end of its line, or of the bytes. */
static struct text line_at(const char *bytes, size_t n)
{
	const char *end = memchr(bytes, '\n', n);

	return (struct text){bytes, end ? (size_t)(end - bytes) : n};
}

static void find_host(const char *bytes, size_t n, struct weir_wire_target *out)
{
	while (n > 0) {
		struct text line = line_at(bytes, n);
		size_t used = line.bytes < n ? line.bytes + 1 : n;
		const char *colon;

		if (line.bytes == n) /* its end is not here */
			return;
		if (line.bytes > 0 && line.at[line.bytes - 1] == '\r')
			line.bytes--;
		if (line.bytes == 0) {
			out->whole = true;
			return;
		}
		colon = memchr(line.at, ':', line.bytes);
		if (colon && !out->host && is((struct text){line.at, (size_t)(colon - line.at)}, "Host")) {
			struct text host = trimmed((struct text){colon + 1, (size_t)(line.at + line.bytes - colon - 1)});

			out->host = host.at;
			out->host_bytes = host.bytes;
		}
		bytes += used;
		n -= used;
	}
}

enum weir_wire_kind weir_wire_peek(const void *bytes, size_t n, struct weir_wire_target *out)
{
	const char *at = bytes;
	struct text line, method, target;

	memset(out, 0, sizeof *out);
	while (n > 0 && (*at == '\r' || *at == '\n')) {
		at++;
		n--;
	}
	if (n == 0)
		return WEIR_WIRE_MAY_BE_HTTP;
	if (n >= 3 && at[0] == 0x16 && at[1] == 3)
		return WEIR_WIRE_IS_TLS;
	for (size_t i = 0; i < n && i < METHOD_MAX && at[i] != ' '; i++) {
		if (!(at[i] >= 'A' && at[i] <= 'Z') && at[i] != '-' && at[i] != '_')
			return WEIR_WIRE_IS_OTHER;
	}
	line = line_at(at, n);
	if (line.bytes == n)
		return n >= METHOD_MAX && !memchr(at, ' ', METHOD_MAX) ? WEIR_WIRE_IS_OTHER : WEIR_WIRE_MAY_BE_HTTP;
	if (line.bytes > 0 && line.at[line.bytes - 1] == '\r')
		line.bytes--;
	if (!request_line(line, &method, &target))
		return WEIR_WIRE_IS_OTHER;
	*out = (struct weir_wire_target){
		.method = method.at, .method_bytes = method.bytes, .target = target.at, .target_bytes = target.bytes};
	line = line_at(at, n);
	find_host(at + line.bytes + 1, n - line.bytes - 1, out);
	return WEIR_WIRE_IS_HTTP;
}
