/* Requests inside TLS that nobody looks into, told apart by its records. */
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

/* Records as "c23:80": the client sends (s: receives) a record of type 23 with 80 bytes. What they come to: Q a request begins,
 * ? perhaps an answer, A an answer, X they tell nothing. */
#define HELLO   "c22:512 "
#define TLS_1_2 HELLO "s22:1500 c22:70 c20:1 c22:40 s20:1 s22:40 "
#define RESUMED HELLO "s22:90 s20:1 s22:40 c20:1 c22:40 "
#define TLS_1_3 HELLO "s22:122 s20:1 s23:900 c20:1 c23:69 "
#define TICKETS "s23:255 s23:255 "
#define REQUEST "c23:120 "
#define ANSWER  "s23:700 s23:3000 s23:700 "
#define GOODBYE "c23:19 s23:19 "

struct run {
	struct weir_turns turns;
	char trace[64];
	size_t length;
};

static void put(struct run *r, char c)
{
	if (r->length < sizeof r->trace - 1)
		r->trace[r->length++] = c;
	r->trace[r->length] = '\0';
}

static void feed(struct run *r, bool sent, const uint8_t *bytes, size_t n)
{
	bool was_lost = r->turns.lost;

	if (sent && weir_turns_sent(&r->turns, bytes, n, true))
		put(r, 'Q');
	if (!sent) {
		enum weir_turns_heard heard = weir_turns_received(&r->turns, bytes, n);

		if (heard != WEIR_TURNS_NOTHING)
			put(r, heard == WEIR_TURNS_ANSWER ? 'A' : '?');
	}
	if (r->turns.lost && !was_lost)
		put(r, 'X');
}

/* Each run of records of one side, in pieces of so many bytes; 0: record by record. */
static void play(struct run *r, const char *records, size_t piece)
{
	static uint8_t bytes[32768];
	char side;
	unsigned type, length;
	int used;

	memset(r, 0, sizeof *r);
	for (; sscanf(records, " %c%u:%u%n", &side, &type, &length, &used) == 3; records += used) {
		size_t n = 5 + length;

		memset(bytes, 0x17, sizeof bytes);
		memcpy(bytes, (const uint8_t[]){(uint8_t)type, 3, 3, (uint8_t)(length >> 8), (uint8_t)length}, 5);
		for (size_t at = 0; at < n; at += piece ? piece : n)
			feed(r, side == 'c', bytes + at, piece && piece < n - at ? piece : n - at);
	}
}

/* What came first may be the whole answer until a second of its length shows that it was a ticket. */
static void a_ticket_is_no_answer_after_all(void **state)
{
	static const struct {
		const char *records;
		bool perhaps;
	} cases[] = {
		{TLS_1_3 REQUEST, false},
		{TLS_1_3 REQUEST "s23:255 ", true},
		{TLS_1_3 REQUEST TICKETS, false},
		{TLS_1_3 REQUEST TICKETS ANSWER, false},
		{TLS_1_3 REQUEST "s23:255 s23:700 ", false},
	};
	struct run r;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		play(&r, cases[i].records, 0);
		assert_int_equal(weir_turns_perhaps(&r.turns), cases[i].perhaps);
		assert_true(weir_turns_may_begin(&r.turns) == (cases[i].perhaps || strstr(cases[i].records, "s23:700 ")));
	}
}

static void each_turn_is_a_request(void **state)
{
	static const struct {
		const char *records, *trace;
	} cases[] = {
		{TLS_1_2 REQUEST ANSWER REQUEST ANSWER REQUEST ANSWER, "QAQAQA"},
		{RESUMED REQUEST ANSWER REQUEST ANSWER, "QAQA"},
		{TLS_1_2 REQUEST "c23:16400 c23:900 " ANSWER REQUEST ANSWER "c21:26 s21:26", "QAQA"},
		/* False start: the server's end of the handshake is no answer. */
		{HELLO "s22:1500 c22:70 c20:1 c22:40 " REQUEST "s22:200 s20:1 s22:40 c23:400 " ANSWER REQUEST, "QAQ"},
		{TLS_1_3 REQUEST TICKETS ANSWER REQUEST ANSWER GOODBYE, "Q?AQA"},
		{TLS_1_3 TICKETS REQUEST ANSWER REQUEST "s23:255 " REQUEST ANSWER, "QAQAQA"},
		/* No tickets, and answers of one record. */
		{TLS_1_3 REQUEST "s23:90 " REQUEST "s23:90 " REQUEST "s23:90 ", "Q?QAQA"},
		/* A body goes on after the tickets, or after what may be one. */
		{TLS_1_3 REQUEST TICKETS "c23:600 " ANSWER REQUEST ANSWER, "Q?AQA"},
		{TLS_1_3 REQUEST "c23:16401 s23:255 c23:16401 c23:80 " ANSWER REQUEST ANSWER, "Q?AQA"},
		{TLS_1_3 REQUEST "c23:16401 c23:80 s23:90 " REQUEST "s23:90 " REQUEST ANSWER, "Q?QAQA"},
		/* "100 Continue", with and without tickets before. */
		{TLS_1_3 REQUEST "s23:42 c23:600 " ANSWER REQUEST ANSWER, "QAQA"},
		{TLS_1_3 REQUEST TICKETS "s23:42 c23:600 " ANSWER REQUEST ANSWER, "Q?AQA"},
		{TLS_1_3 REQUEST "s23:250 s23:42 c23:600 " ANSWER REQUEST ANSWER, "Q?AQA"},
		{TLS_1_2 REQUEST "s23:49 c23:600 " ANSWER REQUEST ANSWER, "QAQA"},
		/* Key updates and alerts are no requests and no answers. */
		{TLS_1_3 REQUEST ANSWER "s23:22 c23:22 " REQUEST "s23:22 c23:500 " ANSWER, "Q?AQA"},
		/* Java pads. */
		{HELLO "s22:122 s20:1 s23:900 c20:1 c23:85 " REQUEST ANSWER "c23:38 " REQUEST ANSWER "c23:35 s23:35 ", "Q?AQA"},
		/* A hello that was asked for again; a client's certificate; no CHANGE_CIPHER. */
		{HELLO "s22:88 s20:1 c20:1 c22:560 s22:122 s23:900 c23:53 " REQUEST ANSWER REQUEST ANSWER, "Q?AQA"},
		{HELLO "s22:122 s20:1 s23:900 c20:1 c23:1100 c23:281 c23:53 " REQUEST ANSWER REQUEST ANSWER, "Q?AQA"},
		{HELLO "s22:122 s23:900 c23:53 " REQUEST ANSWER REQUEST ANSWER, "Q?AQA"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		static const size_t pieces[] = {0, 1, 3, 4, 5, 6, 7, 64, 1000};

		for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
			struct run r;

			play(&r, cases[i].records, pieces[p]);
			if (strcmp(r.trace, cases[i].trace) != 0)
				fail_msg("%s in pieces of %zu: %s, not %s", cases[i].records, pieces[p], r.trace, cases[i].trace);
		}
	}
}

static void what_does_not_tell_requests_apart_is_known(void **state)
{
	static const char *const cases[] = {
		HELLO "c23:300 s22:122 s23:400 c23:22 c23:53 ",             /* data before the server has spoken */
		TLS_1_2 "s23:80 " REQUEST,                                  /* a server that speaks first */
		HELLO "s22:122 s23:900 c20:1 c23:1400 " REQUEST "s23:500 ", /* a certificate and Finished in one record */
		HELLO "s22:122 s23:17000 s23:40000 ",                       /* longer than a record may be */
		HELLO "s22:122 s71:300 ",
		HELLO "c80:99 ",
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct run r;

		play(&r, cases[i], 0);
		if (strcmp(r.trace, "X") != 0)
			fail_msg("%s: %s", cases[i], r.trace);
	}
}

/* What has not been asked for goes with the request before it, and the next one after an answer is told again. */
static void a_request_that_may_not_begin_goes_with_the_last_one(void **state)
{
	static const uint8_t record[] = {23, 3, 3, 0, 40}, body[40] = {0};
	struct run r;

	(void)state;
	play(&r, TLS_1_2 REQUEST ANSWER, 0);
	assert_false(weir_turns_sent(&r.turns, record, sizeof record, false));
	assert_false(weir_turns_sent(&r.turns, body, sizeof body, true));
	assert_true(weir_turns_sent(&r.turns, record, sizeof record, true));
	assert_false(weir_turns_sent(&r.turns, body, sizeof body, true));
	assert_false(weir_turns_sent(&r.turns, record, sizeof record, true));
}

/* Damaged streams: the same in any pieces, and nothing is read beyond its end (the sanitizers look). */
static void damaged_records_come_to_the_same_in_any_pieces(void **state)
{
	static const char *const samples[] = {
		"\x16\x03\x01\x01\x04wxyz",
		"\x14\x03\x03\x01\x01\x17\x03\x03\x01\x10",
		"\x17\x03\x03\x01\x45\x17\x03\x03\x01\x05",
	};
	struct fuzz f = {1, samples, sizeof samples / sizeof samples[0], "\x14\x15\x16\x17\x03\x01\x35"};

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct run whole, cut;
		char *text[3];

		play(&whole, i % 2 ? TLS_1_3 : TLS_1_2 REQUEST, 0);
		cut = whole;
		for (int side = 0; side < 3; side++) {
			size_t n;

			text[side] = fuzz_text(&f);
			n = strlen(text[side]);
			feed(&whole, side != 1, (const uint8_t *)text[side], n);
			for (size_t at = 0, piece; at < n; at += piece) {
				char *copy;

				piece = 1 + fuzz_below(&f, 9);
				piece = piece < n - at ? piece : n - at;
				copy = malloc(piece);
				memcpy(copy, text[side] + at, piece);
				feed(&cut, side != 1, (const uint8_t *)copy, piece);
				free(copy);
			}
			free(text[side]);
		}
		assert_int_equal(whole.turns.lost, cut.turns.lost);
		assert_int_equal(whole.turns.heard, cut.turns.heard);
		assert_int_equal(whole.turns.asked, cut.turns.asked);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ticket_is_no_answer_after_all),
		cmocka_unit_test(each_turn_is_a_request),
		cmocka_unit_test(what_does_not_tell_requests_apart_is_known),
		cmocka_unit_test(a_request_that_may_not_begin_goes_with_the_last_one),
		cmocka_unit_test(damaged_records_come_to_the_same_in_any_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
