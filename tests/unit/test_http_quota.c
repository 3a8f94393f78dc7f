/* SPDX-License-Identifier: MIT */
#include "weir/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/unit/fuzz.h"
#include "tests/unit/header_lines.h"

#define FUZZ_STEPS 250000
#define SECOND     UINT64_C(1000000000)
#define MS         UINT64_C(1000000)
#define NONE       UINT64_MAX

/* 2026-11-22 04:13:00 UTC, and 250 ms */
#define NOW_S UINT64_C(1795320780)
#define NOW   (NOW_S * SECOND + 250 * MS)

static struct weir_said said;
static struct weir_quota *const quota = said.quota;
static uint32_t quotas;

static void read_headers(struct headers h)
{
	memset(&said, 0x55, sizeof said);
	headers_read(&h, NOW, &said);
	quotas = said.quotas;
}

/* Expected: limit and window (0: not said), remaining and reset (NONE: not said). */
static void assert_quota(uint32_t i, uint64_t limit, uint64_t window_ns, uint64_t remaining, uint64_t reset_ns)
{
	const struct weir_quota *q = &quota[i];

	if (i >= quotas)
		fail_msg("only %u quotas", quotas);
	if (q->limit != limit || q->window_ns != window_ns || q->has_remaining != (remaining != NONE) ||
	    q->remaining != (remaining != NONE ? remaining : 0) || q->has_reset != (reset_ns != NONE) ||
	    q->resets_in_ns != (reset_ns != NONE ? reset_ns : 0))
		fail_msg("quota %u: limit %llu, window %llu ns, remaining %llu (%u), resets in %llu ns (%u)", i,
			 (unsigned long long)q->limit, (unsigned long long)q->window_ns, (unsigned long long)q->remaining,
			 q->has_remaining, (unsigned long long)q->resets_in_ns, q->has_reset);
}

static void assert_one(struct headers h, uint64_t limit, uint64_t window_ns, uint64_t remaining, uint64_t reset_ns)
{
	read_headers(h);
	assert_quota(0, limit, window_ns, remaining, reset_ns);
	assert_int_equal(quotas, 1);
}

#define HEADERS(...) ((struct headers){__VA_ARGS__})

static void an_answer_without_headers_has_no_quota(void **state)
{
	(void)state;
	read_headers(HEADERS(.date = "Sun, 22 Nov 2026 04:13:00 GMT"));
	assert_int_equal(quotas, 0);
}

/* ---- the IETF drafts
 * ----------------------------------------------------------------------------------------------------------- */

static void drafts_up_to_06_have_a_header_each(void **state)
{
	(void)state;
	assert_one(HEADERS(.ratelimit_limit = "100", .ratelimit_remaining = "50", .ratelimit_reset = "5"), 100, 0, 50,
		   5 * SECOND);
	assert_one(HEADERS(.ratelimit_limit = "100, 100;w=60", .ratelimit_remaining = "50", .ratelimit_reset = "5"), 100,
		   60 * SECOND, 50, 5 * SECOND);
	assert_one(HEADERS(.ratelimit_limit = "100", .ratelimit_policy = "100;w=60", .ratelimit_remaining = "0",
			   .ratelimit_reset = "60"),
		   100, 60 * SECOND, 0, 60 * SECOND);
	assert_one(HEADERS(.ratelimit_limit = " 100 , 100 ; w=60;comment=\"a;b,c \\\" d\"", .ratelimit_remaining = "7"), 100,
		   60 * SECOND, 7, NONE);
}

static void several_policies_are_several_quotas(void **state)
{
	(void)state;
	read_headers(HEADERS(.ratelimit_limit = "10, 10;w=1;burst=1000, 1000;w=3600", .ratelimit_remaining = "9",
			     .ratelimit_reset = "1"));
	assert_int_equal(quotas, 2);
	assert_quota(0, 10, SECOND, 9, SECOND);
	assert_quota(1, 1000, 3600 * SECOND, NONE, NONE);
}

static void draft_07_has_them_in_one_header(void **state)
{
	(void)state;
	assert_one(HEADERS(.ratelimit = "limit=100, remaining=50, reset=5"), 100, 0, 50, 5 * SECOND);
	assert_one(HEADERS(.ratelimit = "limit=100,remaining=50,reset=5", .ratelimit_policy = "100;w=60"), 100, 60 * SECOND, 50,
		   5 * SECOND);
	read_headers(HEADERS(.ratelimit = "limit=100, remaining=50, reset=5", .ratelimit_policy = "100;w=60, 5000;w=86400"));
	assert_int_equal(quotas, 2);
	assert_quota(0, 100, 60 * SECOND, 50, 5 * SECOND);
	assert_quota(1, 5000, 86400 * SECOND, NONE, NONE);
}

static void later_drafts_have_named_items(void **state)
{
	(void)state;
	assert_one(HEADERS(.ratelimit = "\"default\";r=50;t=30", .ratelimit_policy = "\"default\";q=100;w=60"), 100, 60 * SECOND,
		   50, 30 * SECOND);
	assert_one(HEADERS(.ratelimit = "default;r=50;t=30", .ratelimit_policy = "default;q=100;w=60"), 100, 60 * SECOND, 50,
		   30 * SECOND);
	assert_one(HEADERS(.ratelimit = "\"default\";r=50"), 0, 0, 50, NONE);
	assert_one(HEADERS(.ratelimit = "\"a\" ; R=50 ; t=30 ; pk=:cHsdsRa894==:",
			   .ratelimit_policy = "\"a\";q=100;w=60;qu=\"requests\""),
		   100, 60 * SECOND, 50, 30 * SECOND);
}

static void named_items_find_their_policies(void **state)
{
	(void)state;
	read_headers(HEADERS(.ratelimit = "\"day\";r=900;t=3600, \"burst\";r=3;t=1",
			     .ratelimit_policy = "\"burst\";q=10;w=1, \"day\";q=1000;w=86400, \"hour\";q=100;w=3600"));
	assert_int_equal(quotas, 3);
	assert_quota(0, 1000, 86400 * SECOND, 900, 3600 * SECOND);
	assert_quota(1, 10, SECOND, 3, SECOND);
	assert_quota(2, 100, 3600 * SECOND, NONE, NONE);
	read_headers(HEADERS(.ratelimit = "\"other\";r=3;t=1", .ratelimit_policy = "\"burst\";q=10;w=1"));
	assert_int_equal(quotas, 2);
	assert_quota(0, 0, 0, 3, SECOND);
	assert_quota(1, 10, SECOND, NONE, NONE);
}

static void hugging_face_is_understood(void **state)
{
	(void)state;
	assert_one(HEADERS(.ratelimit = "\"api\";r=489;t=89", .ratelimit_policy = "\"fixed window\";\"api\";q=500;w=300"), 500,
		   300 * SECOND, 489, 89 * SECOND);
}

static void what_does_not_count_requests_is_left_out(void **state)
{
	(void)state;
	assert_one(HEADERS(.ratelimit = "\"r\";r=5;t=3",
			   .ratelimit_policy = "\"b\";q=65535;w=10;qu=\"content-bytes\", \"r\";q=10;w=5"),
		   10, 5 * SECOND, 5, 3 * SECOND);
	read_headers(HEADERS(.ratelimit_policy = "\"c\";q=10;qu=\"concurrent-requests\""));
	assert_int_equal(quotas, 0);
}

/* ---- what services have
 * -------------------------------------------------------------------------------------------------------- */

static void docker_hub_is_understood(void **state)
{
	(void)state;
	assert_one(HEADERS(.ratelimit_limit = "100;w=21600", .ratelimit_remaining = "76;w=21600"), 100, 21600 * SECOND, 76, NONE);
	read_headers(HEADERS(.ratelimit_limit = "10;w=1, 100;w=60", .ratelimit_remaining = "93;w=60, 4;w=1, 7;w=5"));
	assert_int_equal(quotas, 2);
	assert_quota(0, 10, SECOND, 4, NONE);
	assert_quota(1, 100, 60 * SECOND, 93, NONE);
}

static void github_is_understood(void **state)
{
	(void)state;
	assert_one(HEADERS(.x_ratelimit_limit = "60", .x_ratelimit_remaining = "0", .x_ratelimit_reset = "1795324380",
			   .date = "Sun, 22 Nov 2026 04:13:00 GMT"),
		   60, 0, 0, 3600 * SECOND);
}

static void crossref_is_understood(void **state)
{
	(void)state;
	assert_one(HEADERS(.x_rate_limit_limit = "50", .x_rate_limit_interval = "1s"), 50, SECOND, NONE, NONE);
	assert_one(HEADERS(.x_rate_limit_limit = "50", .x_rate_limit_interval = " 5 Minutes "), 50, 300 * SECOND, NONE, NONE);
	assert_one(HEADERS(.x_rate_limit_limit = "50", .x_rate_limit_interval = "60"), 50, 60 * SECOND, NONE, NONE);
	assert_one(HEADERS(.x_rate_limit_limit = "50", .x_rate_limit_interval = "often"), 50, 0, NONE, NONE);
}

static void a_reset_is_told_apart_by_plausibility(void **state)
{
	static const struct {
		const char *reset, *date;
		uint64_t expected;
	} table[] = {
		{"30", NULL, 30 * SECOND},
		{"0", NULL, 0},
		{"0.5", NULL, 500 * MS},
		{"30s", NULL, 30 * SECOND},
		{"1500 ms", NULL, 1500 * MS},
		{"31622400", NULL, 31622400 * SECOND},
		{"1795320810", NULL, 30 * SECOND - 250 * MS},
		{"1795320810.5", NULL, 30 * SECOND + 250 * MS},
		{"1795320810123", NULL, 30 * SECOND + 123 * MS - 250 * MS},
		{"1795320780", NULL, 0}, /* just past */
		{"1795320000", NULL, 0},
		{"1795320000000", NULL, 0},
		{"Sun, 22 Nov 2026 04:13:30 GMT", NULL, 30 * SECOND - 250 * MS},
		/* the server's clock goes before */
		{"1795320930", "Sun, 22 Nov 2026 04:15:00 GMT", 30 * SECOND},
		{"1795320690", "Sun, 22 Nov 2026 04:11:00 GMT", 30 * SECOND},
		{"1795320690500", "Sun, 22 Nov 2026 04:11:00 GMT", 30 * SECOND + 500 * MS},
		{"30", "Sun, 22 Nov 2026 04:11:00 GMT", 30 * SECOND},
		{"1795320810", "Thu, 01 Jan 1970 00:00:00 GMT", 30 * SECOND - 250 * MS},
		{"1795320810", "tomorrow", 30 * SECOND - 250 * MS},
		/* neither the one nor the other */
		{"31622401", NULL, NONE},
		{"1795000000", NULL, NONE}, /* days ago */
		{"1827000000", NULL, NONE}, /* in more than a year */
		{"1795320810123456", NULL, NONE},
		{"99999999999999999999", NULL, NONE},
		{"4294967296000", NULL, NONE},
		{"-30", NULL, NONE},
		{"never", NULL, NONE},
		{"12abc", NULL, NONE},
		{"1e3", NULL, NONE},
		{"", NULL, NONE},
		{"1795320810 s", NULL, NONE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		assert_one(HEADERS(.x_ratelimit_limit = "9", .x_ratelimit_reset = table[i].reset, .date = table[i].date), 9, 0,
			   NONE, table[i].expected);
		assert_one(HEADERS(.ratelimit_limit = "9", .ratelimit_reset = table[i].reset, .date = table[i].date), 9, 0, NONE,
			   table[i].expected);
	}
}

/* ---- several dialects, and wrong ones
 * ------------------------------------------------------------------------------------------ */

static void dialects_that_say_the_same_are_one_quota(void **state)
{
	(void)state;
	assert_one(HEADERS(.date = "Sun, 22 Nov 2026 04:13:00 GMT", .ratelimit = "\"default\";r=50;t=30",
			   .ratelimit_policy = "\"default\";q=100;w=60", .ratelimit_limit = "100", .ratelimit_remaining = "50",
			   .ratelimit_reset = "30", .x_ratelimit_limit = "100", .x_ratelimit_remaining = "50",
			   .x_ratelimit_reset = "1795320811"),
		   100, 60 * SECOND, 50, 30 * SECOND);
	assert_one(HEADERS(.ratelimit = "\"default\";r=50;t=30", .x_ratelimit_limit = "100", .x_ratelimit_remaining = "50",
			   .x_ratelimit_reset = "30"),
		   100, 0, 50, 30 * SECOND);
}

static void dialects_that_differ_are_two_quotas(void **state)
{
	(void)state;
	read_headers(HEADERS(.ratelimit_limit = "100;w=21600", .ratelimit_remaining = "76;w=21600", .x_ratelimit_limit = "600",
			     .x_ratelimit_remaining = "599", .x_ratelimit_reset = "60"));
	assert_int_equal(quotas, 2);
	assert_quota(0, 100, 21600 * SECOND, 76, NONE);
	assert_quota(1, 600, 0, 599, 60 * SECOND);
}

static void a_wrong_value_harms_nothing_beside_it(void **state)
{
	(void)state;
	assert_one(HEADERS(.x_ratelimit_limit = "many", .x_ratelimit_remaining = "5", .x_ratelimit_reset = "10"), 0, 0, 5,
		   10 * SECOND);
	assert_one(HEADERS(.x_ratelimit_limit = "60", .x_ratelimit_remaining = "--1", .x_ratelimit_reset = "10"), 60, 0, NONE,
		   10 * SECOND);
	assert_one(HEADERS(.x_ratelimit_limit = "60", .x_ratelimit_remaining = "5", .x_ratelimit_reset = "never"), 60, 0, 5,
		   NONE);
	assert_one(HEADERS(.x_ratelimit_limit = "60", .x_ratelimit_remaining = "61"), 60, 0, NONE, NONE);
	assert_one(HEADERS(.x_ratelimit_limit = "60", .x_ratelimit_remaining = "18446744073709551616"), 60, 0, NONE, NONE);
	assert_one(HEADERS(.ratelimit = "\"a\";r=-7;t=30", .ratelimit_policy = "\"a\";q=100;w=60"), 100, 60 * SECOND, NONE,
		   30 * SECOND);
	assert_one(HEADERS(.ratelimit = "\"a\";r=7;t=999999999999999", .ratelimit_policy = "\"a\";q=100;w=60"), 100, 60 * SECOND,
		   7, NONE);
	assert_one(HEADERS(.ratelimit = "\"a\";r=7;t=3", .ratelimit_policy = "\"a\";q=100;w=x"), 100, 0, 7, 3 * SECOND);
	assert_one(HEADERS(.ratelimit = "\"a\";r=7;t=3", .ratelimit_policy = "\"a\";q=0;w=0"), 0, 0, 7, 3 * SECOND);
	assert_one(HEADERS(.ratelimit_limit = "100;w=99999999999"), 100, 0, NONE, NONE);
	assert_one(HEADERS(.ratelimit = "\"default;r=;t=banana;;", .ratelimit_policy = "q=w=;;\"", .ratelimit_reset = "12abc",
			   .x_ratelimit_limit = "60", .x_ratelimit_remaining = "5", .x_ratelimit_reset = "10"),
		   60, 0, 5, 10 * SECOND);
}

static void what_nobody_can_mean_is_no_quota(void **state)
{
	(void)state;
	read_headers(HEADERS(.ratelimit = "\"default;r=;t=banana;;", .ratelimit_policy = "q=w=;;\"", .ratelimit_reset = "12abc",
			     .x_ratelimit_limit = "many", .x_ratelimit_remaining = "--1", .x_ratelimit_reset = "never"));
	assert_int_equal(quotas, 0);
	read_headers(HEADERS(.ratelimit = "\"default\";r=-7;t=999999999999999", .ratelimit_policy = "\"default\";q=0;w=0",
			     .ratelimit_reset = "4294967296000", .x_ratelimit_limit = "0",
			     .x_ratelimit_remaining = "18446744073709551616", .x_ratelimit_reset = "99999999999999999999"));
	assert_int_equal(quotas, 0);
	read_headers(HEADERS(.x_ratelimit_reset = "30")); /* of what? */
	assert_int_equal(quotas, 0);
	read_headers(HEADERS(.x_ratelimit_limit = "0x10", .x_ratelimit_remaining = "1e3"));
	assert_int_equal(quotas, 0);
}

static void more_quotas_than_fit_are_cut(void **state)
{
	(void)state;
	read_headers(HEADERS(.ratelimit_policy = "1;w=1, 2;w=2, 3;w=3, 4;w=4, 5;w=5, 6;w=6, 7;w=7, 8;w=8, 9;w=9, 10;w=10",
			     .x_ratelimit_limit = "60", .x_ratelimit_remaining = "5"));
	assert_int_equal(quotas, WEIR_QUOTAS);
	assert_quota(0, 60, 0, 5, NONE); /* what says most goes first */
}

/* ---- the hold
 * ------------------------------------------------------------------------------------------------------------------ */

static void assert_hold(struct headers h, uint64_t expected_ns, enum weir_cause expected)
{
	enum weir_cause cause = WEIR_CAUSE_COUNT;
	uint64_t ns;

	read_headers(h);
	ns = weir_said_hold(&said, &cause);
	if (ns != expected_ns || cause != expected)
		fail_msg("hold %llu ns, cause %d", (unsigned long long)ns, (int)cause);
}

static void a_throttled_answer_asks_for_the_hold_it_names(void **state)
{
	(void)state;
	assert_hold(HEADERS(.retry_after = "3"), 3 * SECOND, WEIR_CAUSE_RETRY_AFTER);
	assert_hold(
		HEADERS(.retry_after = "3", .x_ratelimit_limit = "60", .x_ratelimit_remaining = "0", .x_ratelimit_reset = "50"),
		3 * SECOND, WEIR_CAUSE_RETRY_AFTER);
	assert_hold(HEADERS(.x_ratelimit_limit = "60", .x_ratelimit_remaining = "0", .x_ratelimit_reset = "50"), 50 * SECOND,
		    WEIR_CAUSE_QUOTA_HEADER);
	assert_hold(HEADERS(.retry_after = "soon", .ratelimit = "\"a\";r=0;t=5, \"b\";r=0;t=9, \"c\";r=1;t=99"), 9 * SECOND,
		    WEIR_CAUSE_QUOTA_HEADER);
	assert_hold(HEADERS(.retry_after = "0", .ratelimit = "\"a\";r=0;t=5"), 5 * SECOND, WEIR_CAUSE_QUOTA_HEADER);
}

static void a_throttled_answer_that_names_none_asks_for_none(void **state)
{
	(void)state;
	assert_hold(HEADERS(.date = NULL), 0, WEIR_CAUSE_NONE);
	assert_hold(HEADERS(.retry_after = "0"), 0, WEIR_CAUSE_NONE);
	assert_hold(HEADERS(.retry_after = "1e30"), 0, WEIR_CAUSE_NONE);
	assert_hold(HEADERS(.x_ratelimit_limit = "60", .x_ratelimit_remaining = "5", .x_ratelimit_reset = "50"), 0,
		    WEIR_CAUSE_NONE);
	assert_hold(HEADERS(.x_ratelimit_limit = "60", .x_ratelimit_remaining = "0"), 0, WEIR_CAUSE_NONE);
	assert_hold(HEADERS(.x_ratelimit_limit = "60", .x_ratelimit_remaining = "0", .x_ratelimit_reset = "0"), 0,
		    WEIR_CAUSE_NONE);
}

/* ---- anything at all
 * ----------------------------------------------------------------------------------------------------------- */

static const char *const values[] = {
	"100",
	"100, 100;w=60",
	"100;w=21600",
	"limit=100, remaining=50, reset=5",
	"\"default\";r=50;t=30",
	"\"default\";q=100;w=60",
	"\"day\";r=900;t=3600, \"burst\";r=3;t=1",
	"10, 10;w=1;burst=1000, 1000;w=3600;comment=\"a;b\\\"\"",
	"1795320810",
	"1795320810123",
	"1s",
	"Sun, 22 Nov 2026 04:13:30 GMT",
	"99999999999999999999",
};

static void assert_sane(int step)
{
	assert_true(quotas <= WEIR_QUOTAS);
	for (uint32_t i = 0; i < quotas; i++) {
		const struct weir_quota *q = &quota[i];

		if (q->limit > UINT64_C(1000000000000) || q->remaining > UINT64_C(1000000000000) ||
		    q->window_ns > 366 * 86400 * SECOND || q->resets_in_ns > 366 * 86400 * SECOND || q->has_remaining > 1 ||
		    q->has_reset > 1 || (q->limit == 0 && !q->has_remaining) || (q->limit != 0 && q->remaining > q->limit))
			fail_msg("seed 5, step %d", step);
	}
}

static void mutated_headers_give_sane_quotas_or_none(void **state)
{
	struct fuzz f = {.state = 5,
			 .samples = values,
			 .sample_count = sizeof values / sizeof values[0],
			 .alphabet = "0123456789,;=\"\\ .-wrtqdefaultlimit"};
	int some = 0;

	(void)state;
	for (int step = 0; step < FUZZ_STEPS; step++) {
		struct headers h = {0};
		const char **slot[] = {&h.date,
				       &h.retry_after,
				       &h.ratelimit,
				       &h.ratelimit_policy,
				       &h.ratelimit_limit,
				       &h.ratelimit_remaining,
				       &h.ratelimit_reset,
				       &h.x_ratelimit_limit,
				       &h.x_ratelimit_remaining,
				       &h.x_ratelimit_reset,
				       &h.age,
				       &h.x_rate_limit_interval};
		char *text[4];
		enum weir_cause cause;

		for (int i = 0; i < 4; i++) {
			text[i] = fuzz_text(&f);
			*slot[fuzz_below(&f, sizeof slot / sizeof slot[0])] = text[i];
		}
		read_headers(h);
		some += quotas > 0 ? 1 : 0;
		assert_sane(step);
		if (weir_said_hold(&said, &cause) > 366 * 86400 * SECOND)
			fail_msg("seed 5, step %d", step);
		for (int i = 0; i < 4; i++)
			free(text[i]);
	}
	assert_true(some > FUZZ_STEPS / 10);
}

static void any_clock_will_do(void **state)
{
	static const uint64_t clocks[] = {0, 1, SECOND, NOW, UINT64_MAX / 2, UINT64_MAX - 1, UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		for (size_t j = 0; j < sizeof clocks / sizeof clocks[0]; j++) {
			const struct headers h = {.x_ratelimit_limit = "9", .x_ratelimit_reset = values[i]};

			headers_read(&h, clocks[j], &said);
			quotas = said.quotas;
			assert_sane((int)i);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_without_headers_has_no_quota),
		cmocka_unit_test(drafts_up_to_06_have_a_header_each),
		cmocka_unit_test(several_policies_are_several_quotas),
		cmocka_unit_test(draft_07_has_them_in_one_header),
		cmocka_unit_test(later_drafts_have_named_items),
		cmocka_unit_test(named_items_find_their_policies),
		cmocka_unit_test(hugging_face_is_understood),
		cmocka_unit_test(what_does_not_count_requests_is_left_out),
		cmocka_unit_test(docker_hub_is_understood),
		cmocka_unit_test(github_is_understood),
		cmocka_unit_test(crossref_is_understood),
		cmocka_unit_test(a_reset_is_told_apart_by_plausibility),
		cmocka_unit_test(dialects_that_say_the_same_are_one_quota),
		cmocka_unit_test(dialects_that_differ_are_two_quotas),
		cmocka_unit_test(a_wrong_value_harms_nothing_beside_it),
		cmocka_unit_test(what_nobody_can_mean_is_no_quota),
		cmocka_unit_test(more_quotas_than_fit_are_cut),
		cmocka_unit_test(a_throttled_answer_asks_for_the_hold_it_names),
		cmocka_unit_test(a_throttled_answer_that_names_none_asks_for_none),
		cmocka_unit_test(mutated_headers_give_sane_quotas_or_none),
		cmocka_unit_test(any_clock_will_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
