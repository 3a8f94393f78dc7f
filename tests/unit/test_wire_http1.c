/* HTTP/1 on a stream: which requests and answers there are, however the bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fuzz.h"
#include "weir/wire.h"

/* What a conversation came to: Q a request, 1 an interim answer, Annn an answer, E its end, X opaque; lines as (name=value). */
struct trace {
	char text[4000];
	size_t length;
	bool lines;
};

static void put(struct trace *t, const char *text, size_t n)
{
	if (n > sizeof t->text - 1 - t->length)
		n = sizeof t->text - 1 - t->length;
	memcpy(t->text + t->length, text, n);
	t->length += n;
	t->text[t->length] = '\0';
}

static void put_line(void *of, const char *name, size_t name_bytes, const char *value, size_t value_bytes)
{
	struct trace *t = of;

	if (!t->lines)
		return;
	put(t, "(", 1);
	put(t, name, name_bytes);
	put(t, "=", 1);
	put(t, value, value_bytes);
	put(t, ")", 1);
}

static void feed(struct weir_wire *w, bool sent, const char *bytes, size_t n, struct trace *t)
{
	const struct weir_wire_sink sink = {put_line, t};
	enum weir_wire_event event;

	do {
		size_t used = (sent ? weir_wire_sent : weir_wire_received)(w, bytes, n, &sink, &event);
		char text[16];

		assert_true(used <= n);
		assert_true(event != WEIR_WIRE_NONE || used == n);
		bytes += used;
		n -= used;
		if (event == WEIR_WIRE_REQUEST)
			put(t, "Q", 1);
		if (event == WEIR_WIRE_INTERIM)
			put(t, "1", 1);
		if (event == WEIR_WIRE_ANSWER) {
			snprintf(text, sizeof text, "A%u", weir_wire_status(w));
			put(t, text, strlen(text));
			if (weir_wire_answer_over(w) && !w->opaque)
				put(t, "E", 1);
		}
		if (event == WEIR_WIRE_END)
			put(t, "E", 1);
		if (event == WEIR_WIRE_OPAQUE) {
			if (t->length == 0 || t->text[t->length - 1] != 'X')
				put(t, "X", 1);
			return;
		}
	} while (n > 0);
}

static void feed_cut(struct weir_wire *w, bool sent, const char *bytes, size_t n, size_t piece, struct trace *t)
{
	for (size_t at = 0; at < n; at += piece)
		feed(w, sent, bytes + at, piece < n - at ? piece : n - at, t);
}

/* Alternating: what is sent, what is received, ... Ends with NULL. */
struct conversation {
	const char *turn[8];
	const char *expected;
	bool lines;
};

#define GET       "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define OK(body)  "HTTP/1.1 200 OK\r\nContent-Length: " body
#define CHUNKED   "Transfer-Encoding: chunked\r\n"
#define POST(how) "POST /p HTTP/1.1\r\nHost: h\r\n" how

static const struct conversation conversations[] = {
	{{GET, OK("5\r\n\r\nhello"), GET, OK("0\r\n\r\n")}, "QA200EQA200E", false},
	{{GET, "HTTP/1.1 204 No Content\r\n\r\n", GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", GET,
	  OK("1\r\n\r\nx")},
	 "QA204EQA304EQA200E",
	 false},
	{{"HEAD / HTTP/1.1\r\n\r\n", OK("1000\r\n\r\n"), GET, OK("2\r\n\r\nok")}, "QA200EQA200E", false},
	/* bodies that look like heads */
	{{POST("Content-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n") GET, OK("19\r\n\r\nHTTP/1.1 500 No\r\n\r\n") OK("0\r\n\r\n")},
	 "QQA200EA200E",
	 false},
	/* chunked, with extensions and trailers, both ways */
	{{POST(CHUNKED "\r\n4;x=y\r\nGET \r\n10\r\n0123456789abcdef\r\n0\r\nX: y\r\n\r\n") GET,
	  "HTTP/1.1 200 OK\r\n" CHUNKED "\r\na\r\nHTTP/1.1 2\r\n0\r\n\r\n" OK("0\r\n\r\n")},
	 "QQA200EA200E",
	 false},
	{{POST("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n") GET}, "QQ", false},
	/* chunked comes before a length */
	{{POST("Content-Length: 3\r\n" CHUNKED "\r\n2\r\nab\r\n0\r\n\r\n") GET}, "QQ", false},
	{{POST(CHUNKED "Content-Length: 3\r\n\r\n2\r\nab\r\n0\r\n\r\n") GET}, "QQ", false},
	/* interim answers */
	{{POST("Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n", "ab", OK("0\r\n\r\n")},
	 "Q1A200E",
	 false},
	{{GET, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" OK("0\r\n\r\n")}, "Q1A200E", false},
	/* pipelining, the middle one a HEAD */
	{{GET "HEAD /b HTTP/1.1\r\n\r\n" GET, OK("1\r\n\r\na") OK("1\r\n\r\n") OK("1\r\n\r\nc")}, "QQQA200EA200EA200E", false},
	/* bare line feeds, empty lines before a request, HTTP/1.0 */
	{{"\r\nGET / HTTP/1.0\nHost: h\n\n", "HTTP/1.0 404 No\nContent-Length: 1\n\nx", "\r\n" GET}, "QA404EQ", false},
	/* no length: until the end of the connection */
	{{GET, "HTTP/1.0 200 OK\r\n\r\nHTTP/1.1 429 no answer\r\n\r\n"}, "QA200", false},
	{{GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc"}, "QA200", false},
	/* another protocol from here on */
	{{"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", "HTTP/1.1 101 Switching\r\n\r\n", GET}, "QA101X", false},
	{{"GET /ws HTTP/1.1\r\nUpgrade: h2c\r\n\r\n", OK("0\r\n\r\n"), GET}, "QA200EQ", false},
	{{"CONNECT h:80 HTTP/1.1\r\n\r\n", "HTTP/1.1 200 Connected\r\nContent-Length: 9\r\n\r\n", GET, OK("1\r\n\r\nx")},
	 "QA200EQA200E",
	 false},
	{{"CONNECT h:443 HTTP/1.1\r\n\r\n", "HTTP/1.1 200 Connected\r\n\r\n", "\x16\x03\x01"}, "QA200EX", false},
	{{"CONNECT h:443 HTTP/1.1\r\n\r\n", "HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno", GET}, "QA407EQ", false},
	/* absolute form, asterisk, long methods */
	{{"GET http://h/a HTTP/1.1\r\n\r\nOPTIONS * HTTP/1.1\r\n\r\nVERSION-CONTROL /x HTTP/1.1\r\n\r\n"}, "QQQ", false},
	/* lines are told, without the white space around them */
	{{GET, "HTTP/1.1 429 No\r\nRetry-After:\t 3 \r\nX-Empty:\r\nContent-Length: 0\r\n\r\n"},
	 "(Host=h)Q(Retry-After=3)(X-Empty=)(Content-Length=0)A429E",
	 true},
	{{GET, "HTTP/1.1 200 OK\r\n" CHUNKED "\r\n0\r\nTrailer: t\r\n\r\n"}, "(Host=h)Q(Transfer-Encoding=chunked)A200E", true},
	/* not HTTP/1 */
	{{"SSH-2.0-OpenSSH\r\n"}, "X", false},
	{{"\x16\x03\x01\x02"}, "X", false},
	{{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}, "X", false},
	{{"*1\r\n$4\r\nPING\r\n"}, "X", false},
	{{"GET /\r\n"}, "X", false},
	{{"GET  HTTP/1.1\r\n\r\n"}, "X", false},
	{{"get / HTTP/1.1\r\n\r\n"}, "X", false},
	{{"GET / HTTP/1.1\r\n\r\n", "ICY 200 OK\r\n\r\n"}, "QX", false},
	{{"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n"}, "QX", false},
	{{"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n"}, "QX", false},
	{{"", "220 ftp.example.org\r\n"}, "X", false},
	/* where two readers could disagree on the end of a body */
	{{POST("Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")}, "X", false},
	{{POST("Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc") GET}, "QQ", false},
	{{POST("Content-Length: +3\r\n\r\nabc")}, "X", false},
	{{POST("Content-Length: 3, 3\r\n\r\nabc")}, "X", false},
	{{POST("Content-Length: 99999999999999999999\r\n\r\nabc")}, "X", false},
	{{POST("Content-Length: \r\n\r\nabc")}, "X", false},
	{{POST("Transfer-Encoding: gzip\r\n\r\nabc")}, "X", false},
	{{POST("Content-Length : 3\r\n\r\nabc")}, "X", false},
	{{POST(CHUNKED CHUNKED "\r\n0\r\n\r\n")}, "X", false},
	{{POST("Transfer-Encoding: chunked, gzip\r\n\r\nabc")}, "X", false},
	{{POST(CHUNKED "\r\nzz\r\n")}, "QX", false},
	{{POST(CHUNKED "\r\n-1\r\n")}, "QX", false},
	{{POST(CHUNKED "\r\nffffffffffffffffff\r\n")}, "QX", false},
	{{POST(CHUNKED "\r\n2\r\nabc\r\n")}, "QX", false},
	{{GET, OK("1\r\nContent-Length: 2\r\n\r\nab")}, "QX", false},
	/* an answer that nobody asked for */
	{{"", OK("0\r\n\r\n")}, "X", false},
	{{GET, OK("0\r\n\r\n") OK("0\r\n\r\n")}, "QA200EX", false},
};

static void converse(const struct conversation *c, size_t piece, struct trace *t)
{
	struct weir_wire w;

	memset(&w, 0, sizeof w);
	memset(t, 0, sizeof *t);
	t->lines = c->lines;
	for (size_t i = 0; i < 8 && c->turn[i]; i++)
		feed_cut(&w, i % 2 == 0, c->turn[i], strlen(c->turn[i]), piece, t);
}

static void every_conversation_comes_to_what_it_is_however_it_is_cut(void **state)
{
	static struct trace t;

	(void)state;
	for (size_t i = 0; i < sizeof conversations / sizeof conversations[0]; i++) {
		for (size_t piece = 1; piece < 80; piece++) {
			converse(&conversations[i], piece, &t);
			if (strcmp(t.text, conversations[i].expected) != 0)
				fail_msg("conversation %zu (%s) in pieces of %zu: %s instead of %s", i, conversations[i].turn[0],
					 piece, t.text, conversations[i].expected);
		}
		converse(&conversations[i], SIZE_MAX / 2, &t);
		assert_string_equal(t.text, conversations[i].expected);
	}
}

static void the_answer_to_a_request_that_is_not_seen_is_read_as_a_gets(void **state)
{
	const char answer[] = "HTTP/1.1 429 No\r\nContent-Length: 2\r\n\r\nno";
	enum weir_wire_event event;
	struct weir_wire w;
	size_t used;

	(void)state;
	memset(&w, 0, sizeof w);
	weir_wire_sent_unseen(&w);
	used = weir_wire_received(&w, answer, sizeof answer - 1, NULL, &event);
	assert_int_equal(event, WEIR_WIRE_ANSWER);
	assert_int_equal(weir_wire_status(&w), 429);
	weir_wire_received(&w, answer + used, sizeof answer - 1 - used, NULL, &event);
	assert_int_equal(event, WEIR_WIRE_END);
	/* One request, one answer. */
	weir_wire_received(&w, answer, sizeof answer - 1, NULL, &event);
	assert_int_equal(event, WEIR_WIRE_OPAQUE);
}

static void the_end_of_a_connection_ends_what_has_no_length_and_nothing_else(void **state)
{
	static const struct {
		const char *sent, *received;
		enum weir_wire_event expected;
	} cases[] = {
		{GET, "HTTP/1.0 200 OK\r\n\r\nabc", WEIR_WIRE_END},
		{GET, OK("3\r\n\r\nabc"), WEIR_WIRE_NONE},
		{"", "", WEIR_WIRE_NONE},
		{GET, OK("4\r\n\r\nabc"), WEIR_WIRE_OPAQUE},
		{GET, "HTTP/1.1 200 OK\r\nConte", WEIR_WIRE_OPAQUE},
		{GET, "", WEIR_WIRE_OPAQUE},
		{GET, "HTTP/1.1 200 OK\r\n" CHUNKED "\r\n1\r\na\r\n", WEIR_WIRE_OPAQUE},
		{"nonsense", "", WEIR_WIRE_OPAQUE},
	};
	static struct trace t;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct weir_wire w;

		memset(&w, 0, sizeof w);
		feed(&w, true, cases[i].sent, strlen(cases[i].sent), &t);
		feed(&w, false, cases[i].received, strlen(cases[i].received), &t);
		assert_int_equal(weir_wire_closed(&w), cases[i].expected);
	}
}

/* More bytes of a head than anybody sends, as one line and as many, both ways. */
static void an_endless_head_is_none(void **state)
{
	static char line[4096];
	static struct trace t;

	(void)state;
	memset(line, 'x', sizeof line);
	for (int way = 0; way < 2; way++) {
		for (int lines = 0; lines < 2; lines++) {
			struct weir_wire w;
			size_t sent = 0;

			memset(&w, 0, sizeof w);
			memset(&t, 0, sizeof t);
			line[1] = lines ? ':' : 'x';
			line[sizeof line - 1] = lines ? '\n' : 'x';
			feed(&w, true, "GET / HTTP/1.1\r\n", 16, &t);
			if (way == 1) {
				feed(&w, true, "\r\n", 2, &t);
				feed(&w, false, "HTTP/1.1 200 OK\r\n", 17, &t);
			}
			while (!w.opaque && sent < 3 * (size_t)WEIR_WIRE_HEAD_MAX) {
				feed(&w, way == 0, line, sizeof line, &t);
				sent += sizeof line;
			}
			assert_true(w.opaque);
			assert_true(sent <= WEIR_WIRE_HEAD_MAX + sizeof line);
		}
	}
}

static void more_requests_under_way_than_can_be_kept_are_opaque(void **state)
{
	static struct trace t;
	struct weir_wire w;

	(void)state;
	memset(&w, 0, sizeof w);
	for (int i = 0; i < WEIR_WIRE_DEPTH; i++)
		feed(&w, true, GET, strlen(GET), &t);
	assert_false(w.opaque);
	feed(&w, true, GET, strlen(GET), &t);
	assert_true(w.opaque);
}

static void the_same_head_again_is_a_request_of_the_same_kind(void **state)
{
	static const char head[] = "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", post[] = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
			  answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
	static struct trace t;
	struct weir_wire w;

	(void)state;
	memset(&w, 0, sizeof w);
	feed(&w, true, head, strlen(head), &t);
	feed(&w, false, answer, strlen(answer), &t);
	assert_true(weir_wire_sent_again(&w));
	feed(&w, false, answer, strlen(answer), &t);
	assert_false(w.opaque);
	assert_true(weir_wire_answer_over(&w));
	assert_int_equal(w.pending, 0);
	/* Inside a body, and of what is opaque, nothing begins. */
	feed(&w, true, post, strlen(post), &t);
	assert_false(weir_wire_sent_again(&w));
	feed(&w, true, "abc", 3, &t);
	for (int i = 1; i < WEIR_WIRE_DEPTH; i++)
		assert_true(weir_wire_sent_again(&w));
	assert_false(weir_wire_sent_again(&w));
	feed(&w, true, "?", 1, &t);
	assert_true(w.opaque);
	assert_false(weir_wire_sent_again(&w));
}

/* A long line is longer than what pieces are put together in; whole among the bytes it is as good as any. */
static void of_a_long_line_in_pieces_nothing_is_believed(void **state)
{
	static char head[2000];
	static struct trace t;
	struct weir_wire w;
	int n = snprintf(head, sizeof head, "GET /%0*d HTTP/1.1\r\nX-Long: %0*d\r\nHost: h\r\n\r\n", 700, 0, 600, 0);

	(void)state;
	for (size_t piece = 1; piece < 300; piece += 7) {
		memset(&w, 0, sizeof w);
		memset(&t, 0, sizeof t);
		t.lines = true;
		feed_cut(&w, true, head, (size_t)n, piece, &t);
		assert_string_equal(t.text, "(Host=h)Q");
	}
	memset(&w, 0, sizeof w);
	memset(&t, 0, sizeof t);
	feed(&w, true, head, (size_t)n, &t);
	assert_string_equal(t.text, "Q");
	n = snprintf(head, sizeof head, "POST / HTTP/1.1\r\nContent-Length:%300s3\r\n\r\nabc", "");
	memset(&w, 0, sizeof w);
	memset(&t, 0, sizeof t);
	feed_cut(&w, true, head, (size_t)n, 10, &t);
	assert_string_equal(t.text, "X");
}

static void a_peek_tells_whom_a_request_asks(void **state)
{
	static const struct {
		const char *bytes, *method, *target, *host;
		enum weir_wire_kind kind;
		bool whole;
	} cases[] = {
		{"GET /a?b HTTP/1.1\r\nHost: example.org:81\r\n\r\nbody", "GET", "/a?b", "example.org:81", WEIR_WIRE_IS_HTTP,
		 true},
		{"GET /a HTTP/1.1\r\nAccept: x\r\nhOsT:h \r\n", "GET", "/a", "h", WEIR_WIRE_IS_HTTP, false},
		{"GET /a HTTP/1.1\r\nHost: h", "GET", "/a", NULL, WEIR_WIRE_IS_HTTP, false},
		{"GET http://h/ HTTP/1.0\n\nHost: x\n\n", "GET", "http://h/", NULL, WEIR_WIRE_IS_HTTP, true},
		{"CONNECT h:443 HTTP/1.1\r\n\r\n", "CONNECT", "h:443", NULL, WEIR_WIRE_IS_HTTP, true},
		{"\r\nGET / HTTP/1.1\r\n", "GET", "/", NULL, WEIR_WIRE_IS_HTTP, false},
		{"", NULL, NULL, NULL, WEIR_WIRE_MAY_BE_HTTP, false},
		{"GE", NULL, NULL, NULL, WEIR_WIRE_MAY_BE_HTTP, false},
		{"GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTT", NULL, NULL, NULL, WEIR_WIRE_MAY_BE_HTTP, false},
		{"ABCDEFGHIJKLMNOPQRSTUVWXYZ", NULL, NULL, NULL, WEIR_WIRE_IS_OTHER, false},
		{"GET / SMTP/1.1\r\n\r\n", NULL, NULL, NULL, WEIR_WIRE_IS_OTHER, false},
		{"EHLO example.org\r\n", NULL, NULL, NULL, WEIR_WIRE_IS_OTHER, false},
		{"\x16\x03\x01\x02\x03", NULL, NULL, NULL, WEIR_WIRE_IS_TLS, false},
		{"\x80\x02", NULL, NULL, NULL, WEIR_WIRE_IS_OTHER, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct weir_wire_target t;

		assert_int_equal(weir_wire_peek(cases[i].bytes, strlen(cases[i].bytes), &t), cases[i].kind);
		assert_int_equal(t.whole, cases[i].whole);
		assert_int_equal(t.method_bytes, cases[i].method ? strlen(cases[i].method) : 0);
		if (cases[i].method)
			assert_memory_equal(t.method, cases[i].method, t.method_bytes);
		assert_int_equal(t.target_bytes, cases[i].target ? strlen(cases[i].target) : 0);
		if (cases[i].target)
			assert_memory_equal(t.target, cases[i].target, t.target_bytes);
		assert_int_equal(t.host_bytes, cases[i].host ? strlen(cases[i].host) : 0);
		if (cases[i].host)
			assert_memory_equal(t.host, cases[i].host, t.host_bytes);
	}
}

/* Mutated conversations, each twice: whole and in random pieces. They come to the same, and nothing is read beyond its end (the
 * sanitizers look). */
static void damaged_bytes_come_to_the_same_in_any_pieces(void **state)
{
	static const char *const samples[] = {
		GET OK("5\r\n\r\nhello"),
		POST(CHUNKED "\r\n4\r\nabcd\r\n0\r\n\r\n") GET,
		"HTTP/1.1 200 OK\r\n" CHUNKED "\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 304 Not\r\nETag: \"x\"\r\n\r\n",
	};
	struct fuzz f = {1, samples, sizeof samples / sizeof samples[0], "GETHP/1.0\r\n :;0123456789abcdefContent-Length"};

	(void)state;
	for (int i = 0; i < 30000; i++) {
		char *text = fuzz_text(&f);
		size_t n = strlen(text);
		struct weir_wire whole, cut;
		struct trace a = {.length = 0}, b = {.length = 0};
		bool sent = i % 2 == 0;

		memset(&whole, 0, sizeof whole);
		if (!sent)
			feed(&whole, true, GET GET GET, 3 * strlen(GET), &a);
		cut = whole;
		a.length = 0;
		a.text[0] = '\0';
		feed(&whole, sent, text, n, &a);
		for (size_t at = 0; at < n;) {
			size_t piece = 1 + fuzz_below(&f, 9), left = n - at;
			char *copy = malloc(piece < left ? piece : left);

			memcpy(copy, text + at, piece < left ? piece : left);
			feed(&cut, sent, copy, piece < left ? piece : left, &b);
			at += piece < left ? piece : left;
			free(copy);
		}
		if (strcmp(a.text, b.text) != 0)
			fail_msg("whole: %s; in pieces: %s; bytes: %s", a.text, b.text, text);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_conversation_comes_to_what_it_is_however_it_is_cut),
		cmocka_unit_test(the_answer_to_a_request_that_is_not_seen_is_read_as_a_gets),
		cmocka_unit_test(the_end_of_a_connection_ends_what_has_no_length_and_nothing_else),
		cmocka_unit_test(an_endless_head_is_none),
		cmocka_unit_test(more_requests_under_way_than_can_be_kept_are_opaque),
		cmocka_unit_test(the_same_head_again_is_a_request_of_the_same_kind),
		cmocka_unit_test(of_a_long_line_in_pieces_nothing_is_believed),
		cmocka_unit_test(a_peek_tells_whom_a_request_asks),
		cmocka_unit_test(damaged_bytes_come_to_the_same_in_any_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
