/* SPDX-License-Identifier: MIT */
/* What `weir top` makes of the agent's answers, and how it draws it, without a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/cli/top_model.h"
#include "src/cli/top_view.h"

static struct weir_top top;

static int begin(void **state)
{
	(void)state;
	memset(&top, 0, sizeof top);
	return 0;
}

static int end(void **state)
{
	(void)state;
	weir_top_free(&top);
	return 0;
}

#define HOST(name, state, rate, waiting)                                                                                         \
	"{\"host\":\"" name "\",\"rule\":\"*\",\"state\":\"" state                                                               \
	"\",\"requests\":412,\"succeeded\":398,\"throttled\":2,\"failed\":10,"                                                   \
	"\"refused\":2,\"delayed\":57,\"in_flight\":3,\"concurrency_limit\":8,\"waiting\":" waiting ",\"rate\":" rate            \
	",\"rate_limit\":7.03125,\"error_rate\":0.1,\"latency\":0.125,\"hold_seconds\":0.0,"                                     \
	"\"breaker\":{\"state\":\"closed\"},\"latency_seconds\":{\"count\":410,\"p50\":0.1,\"p95\":0.3,\"p99\":0.9},"            \
	"\"wait_seconds\":{\"count\":57,\"p50\":0.4,\"p95\":4.1}}"

#define OPEN_HOST                                                                                                                \
	"{\"host\":\"down.example.org:443\",\"rule\":\"*\",\"state\":\"open\",\"requests\":9,\"in_flight\":0,\"waiting\":0,"     \
	"\"rate\":0.0,"                                                                                                          \
	"\"hold_seconds\":0.0,\"breaker\":{\"state\":\"open\",\"cause\":\"failures\",\"reopens_in_seconds\":12.3}}"

static void take(const char *hosts)
{
	char text[8192];
	snprintf(text, sizeof text,
		 "{\"schema\":1,\"generated\":\"2026-11-22T04:13:00Z\",\"policy\":{\"generation\":3},"
		 "\"totals\":{\"hosts\":2,\"processes\":7,\"waiting\":2,\"in_flight\":3,\"requests\":421},\"hosts\":[%s]}",
		 hosts);
	json_t *o = json_loads(text, 0, NULL);
	assert_non_null(o);
	assert_true(weir_top_take(&top, o));
	json_decref(o);
}

static char *drawn(int rows, int columns, bool unicode)
{
	struct weir_canvas c;
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	assert_non_null(out);
	assert_true(weir_canvas_make(&c, rows, columns, unicode));
	weir_top_draw(&top, NULL, &c);
	weir_canvas_print(&c, out);
	weir_canvas_free(&c);
	fclose(out);
	return text;
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in:\n%s", part, text);
}

static void what_needs_a_look_comes_first(void **state)
{
	const struct weir_top_host *list[4];
	(void)state;
	take(HOST("a.example.org:443", "ok", "1.0", "0") "," HOST("b.example.org:443", "ok", "9.0", "5") "," OPEN_HOST);
	assert_int_equal(weir_top_list(&top, list, 4), 3);
	assert_string_equal(list[0]->name, "down.example.org:443");
	assert_string_equal(list[1]->name, "b.example.org:443");
	top.order = WEIR_TOP_BY_NAME;
	weir_top_list(&top, list, 4);
	assert_string_equal(list[0]->name, "a.example.org:443");
	top.order = WEIR_TOP_BY_RATE;
	assert_int_equal(weir_top_list(&top, list, 1), 3); /* the first of three */
	assert_string_equal(list[0]->name, "b.example.org:443");
	snprintf(top.filter, sizeof top.filter, "down");
	assert_int_equal(weir_top_list(&top, list, 4), 1);
}

static void the_choice_stays_with_its_host(void **state)
{
	(void)state;
	take(HOST("a.example.org:443", "ok", "1.0", "0") "," HOST("b.example.org:443", "ok", "9.0", "0"));
	weir_top_move(&top, 1);
	assert_string_equal(weir_top_chosen(&top)->name, "b.example.org:443");
	weir_top_move(&top, 7);
	assert_string_equal(weir_top_chosen(&top)->name, "b.example.org:443");
	take(HOST("a.example.org:443", "ok", "1.0", "0") "," HOST("b.example.org:443", "throttled", "9.0", "0"));
	assert_string_equal(weir_top_chosen(&top)->name, "b.example.org:443");
	take(HOST("a.example.org:443", "ok", "1.0", "0"));
	assert_string_equal(weir_top_chosen(&top)->name, "a.example.org:443"); /* the agent has forgotten the other */
}

static void the_history_keeps_the_last_samples(void **state)
{
	(void)state;
	for (int i = 0; i < WEIR_TOP_SAMPLES + 10; i++) {
		char host[1024];
		snprintf(host, sizeof host, "{\"host\":\"a:1\",\"state\":\"ok\",\"rate\":%d.0,\"waiting\":0}", i);
		take(host);
	}
	const struct weir_top_host *h = weir_top_chosen(&top);
	assert_int_equal(h->samples, WEIR_TOP_SAMPLES);
	assert_true(h->series[WEIR_TOP_RATE][0] == 10.0);
	assert_true(h->series[WEIR_TOP_RATE][WEIR_TOP_SAMPLES - 1] == WEIR_TOP_SAMPLES + 9);
	assert_true(h->series[WEIR_TOP_LATENCY][0] < 0); /* not known */
}

static void the_list_fits_eighty_columns(void **state)
{
	(void)state;
	take(HOST("api.github.com:443", "throttled", "1.2", "2") "," OPEN_HOST);
	char *text = drawn(24, 80, false);
	assert_has(text, "weir top  04:13:00 UTC  2 hosts, 7 processes, 3 in flight, 2 waiting\n");
	assert_has(text, "HOST                      STATE");
	assert_has(text, "api.github.com:443        throttled     1.2 of 7.03/s    125ms    3 of 8       2\n");
	assert_has(text, "down.example.org:443      open                  0.0/s        -         0       0\n");
	assert_has(text, "breaker open (failures), next try in 12.3s");
	assert_has(text, "q quit\n");
	free(text);
}

/* Every size from a stamp to a wall: nothing is written outside, no line is longer than the screen is wide. */
static void no_size_is_too_small(void **state)
{
	(void)state;
	take(HOST("api.github.com:443", "throttled", "1.2", "2") "," OPEN_HOST);
	for (int detail = 0; detail < 2; detail++) {
		top.detail = detail != 0;
		for (int rows = 1; rows < 45; rows++) {
			for (int columns = 1; columns < 170; columns += 7) {
				char *text = drawn(rows, columns, false);
				int lines = 0;
				for (char *line = text; *line; line = strchr(line, '\n') + 1, lines++)
					assert_true(strchr(line, '\n') - line <= columns);
				assert_int_equal(lines, rows);
				free(text);
			}
		}
	}
}

static void a_host_is_shown_with_its_history_and_events(void **state)
{
	(void)state;
	take(HOST("api.github.com:443", "throttled", "1.0", "2"));
	take(HOST("api.github.com:443", "throttled", "8.0", "2"));
	top.detail = true;
	json_t *events =
		json_loads("{\"events\":[{\"host\":\"other:1\",\"at\":\"2026-11-22T04:12:00Z\",\"text\":\"not this\"},"
			   "{\"host\":\"api.github.com:443\",\"at\":\"2026-11-22T04:12:01Z\",\"text\":\"held for 1m\"},"
			   "{\"host\":\"api.github.com:443\",\"at\":\"2026-11-22T04:12:31Z\",\"text\":\"rate 8/s -> 1/s\"}]}",
			   0, NULL);
	weir_top_take_events(&top, events);
	json_decref(events);
	char *text = drawn(24, 80, true);
	assert_has(text, "412: 398 succeeded, 2 throttled, 10 failed");
	assert_has(text, "p50 100ms, p95 300ms, p99 900ms; breaker closed");
	assert_has(text, "\xe2\x96\x82\xe2\x96\x88\n"); /* one eighth of the highest, and the highest */
	assert_has(text, "04:12:31  rate 8/s -> 1/s\n04:12:01  held for 1m\n");
	assert_null(strstr(text, "not this"));
	free(text);
}

static void answers_that_are_none_change_nothing(void **state)
{
	static const char *const bad[] = {"{}", "[]", "{\"hosts\":3}", "null"};
	(void)state;
	take(HOST("a:1", "ok", "1.0", "0"));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		json_t *o = json_loads(bad[i], JSON_DECODE_ANY, NULL);
		assert_false(weir_top_take(&top, o));
		json_decref(o);
	}
	assert_false(weir_top_take(&top, NULL));
	assert_int_equal(top.count, 1);
	take("{\"host\":\"b:1\",\"rate\":\"fast\",\"waiting\":1e300,\"breaker\":[]},{\"nohost\":1}");
	free(drawn(24, 80, false));
}

/* They stand among the hosts, and are none: the totals are the hosts'. */
static void narrowed_rules_stand_among_the_hosts(void **state)
{
	static const char stats[] = "{\"schema\":1,\"totals\":{\"hosts\":1},\"hosts\":[" HOST(
		"api.example.org:443", "ok", "1.5",
		"0") "],"
		     "\"narrowed\":[{\"host\":\"api.example.org:443#/search/*\",\"in_flight\":2,\"waiting\":4,"
		     "\"succeeded\":7,\"throttled\":1,\"failed\":0,\"rate_limit\":0.5}]}";
	const struct weir_top_host *list[4];
	json_t *o = json_loads(stats, 0, NULL);

	(void)state;
	assert_non_null(o);
	assert_true(weir_top_take(&top, o));
	json_decref(o);
	top.order = WEIR_TOP_BY_WAITING;
	assert_int_equal(weir_top_list(&top, list, 4), 2);
	assert_string_equal(list[0]->name, "api.example.org:443#/search/*");
	assert_int_equal(list[0]->waiting, 4);
	assert_int_equal(list[0]->throttled, 1);
	assert_true(list[0]->rate_limit == 0.5);
	assert_int_equal(top.hosts, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_needs_a_look_comes_first, begin, end),
		cmocka_unit_test_setup_teardown(the_choice_stays_with_its_host, begin, end),
		cmocka_unit_test_setup_teardown(the_history_keeps_the_last_samples, begin, end),
		cmocka_unit_test_setup_teardown(narrowed_rules_stand_among_the_hosts, begin, end),
		cmocka_unit_test_setup_teardown(the_list_fits_eighty_columns, begin, end),
		cmocka_unit_test_setup_teardown(no_size_is_too_small, begin, end),
		cmocka_unit_test_setup_teardown(a_host_is_shown_with_its_history_and_events, begin, end),
		cmocka_unit_test_setup_teardown(answers_that_are_none_change_nothing, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
