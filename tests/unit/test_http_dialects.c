/* SPDX-License-Identifier: MIT */
/* What real services send, one line each; and the same thing said twice, or long ago. */
#include "weir/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/header_lines.h"

#define SECOND UINT64_C(1000000000)
#define MS     UINT64_C(1000000)
#define NONE   UINT64_MAX

/* 2026-11-22 04:13:00 UTC */
#define NOW  (UINT64_C(1795320780) * SECOND)
#define DATE "Sun, 22 Nov 2026 04:13:00 GMT"

struct expected {
	uint64_t limit, remaining, resets_in_ns; /* NONE: not said */
};

static void assert_first(const char *what, const struct headers *h, struct expected e)
{
	struct weir_said said;
	const struct weir_quota *q = &said.quota[0];

	headers_read(h, NOW, &said);
	if (said.quotas == 0)
		fail_msg("%s: no quota", what);
	if (q->limit != e.limit || q->has_remaining != (e.remaining != NONE) ||
	    (q->has_remaining && q->remaining != e.remaining) || q->has_reset != (e.resets_in_ns != NONE) ||
	    (q->has_reset && q->resets_in_ns != e.resets_in_ns))
		fail_msg("%s: limit %llu, remaining %llu (%u), resets in %llu ns (%u)", what, (unsigned long long)q->limit,
			 (unsigned long long)q->remaining, q->has_remaining, (unsigned long long)q->resets_in_ns, q->has_reset);
}

static void services_are_understood(void **state)
{
	static const struct {
		const char *what;
		struct headers h;
		struct expected e;
		bool on_refusals; /* good answers are not searched for it */
	} table[] = {
		{"Reddit",
		 {.more = {{"x-ratelimit-remaining", "599.0"}, {"x-ratelimit-used", "1"}, {"x-ratelimit-reset", "420"}}},
		 {0, 599, 420 * SECOND},
		 false},
		{"OpenAI",
		 {.more = {{"x-ratelimit-limit-requests", "60"},
			   {"x-ratelimit-remaining-requests", "59"},
			   {"x-ratelimit-reset-requests", "6m0s"},
			   {"x-ratelimit-limit-tokens", "150000"},
			   {"x-ratelimit-remaining-tokens", "149984"},
			   {"x-ratelimit-reset-tokens", "12ms"}}},
		 {60, 59, 360 * SECOND},
		 false},
		{"OpenAI without tokens",
		 {.more = {{"x-ratelimit-remaining-tokens", "0"}, {"x-ratelimit-reset-tokens", "1m30s"}}},
		 {0, 0, 90 * SECOND},
		 false},
		{"Anthropic",
		 {.more = {{"anthropic-ratelimit-requests-limit", "50"},
			   {"anthropic-ratelimit-requests-remaining", "49"},
			   {"anthropic-ratelimit-requests-reset", "2026-11-22T04:13:20Z"}}},
		 {50, 49, 20 * SECOND},
		 false},
		{"Azure Resource Manager",
		 {.more = {{"x-ms-ratelimit-remaining-subscription-reads", "11999"}}},
		 {0, 11999, NONE},
		 true},
		{"Discord",
		 {.date = DATE,
		  .more = {{"X-RateLimit-Limit", "5"},
			   {"X-RateLimit-Remaining", "1"},
			   {"X-RateLimit-Reset", "1795320781.250"},
			   {"X-RateLimit-Reset-After", "1.250"},
			   {"X-RateLimit-Bucket", "abcd1234"}}},
		 {5, 1, 1250 * MS},
		 false},
		{"Twitter",
		 {.date = DATE,
		  .more = {{"x-rate-limit-limit", "15"}, {"x-rate-limit-remaining", "14"}, {"x-rate-limit-reset", "1795321680"}}},
		 {15, 14, 900 * SECOND},
		 false},
		{"Jira",
		 {.more = {{"X-RateLimit-Limit", "350"},
			   {"X-RateLimit-Remaining", "0"},
			   {"X-RateLimit-Reset", "2026-11-22T04:14Z"}}},
		 {350, 0, 60 * SECOND},
		 false},
		{"GitHub",
		 {.date = DATE,
		  .more = {{"x-ratelimit-limit", "60"},
			   {"x-ratelimit-remaining", "59"},
			   {"x-ratelimit-reset", "1795324380"},
			   {"x-ratelimit-resource", "core"},
			   {"x-ratelimit-used", "1"}}},
		 {60, 59, 3600 * SECOND},
		 false},
		{"GitLab",
		 {.date = DATE,
		  .more = {{"RateLimit-Limit", "500"},
			   {"RateLimit-Observed", "67"},
			   {"RateLimit-Remaining", "433"},
			   {"RateLimit-Reset", "1795320840"},
			   {"RateLimit-Name", "throttle_unauthenticated_web"}}},
		 {500, 433, 60 * SECOND},
		 false},
		{"Kong, by day",
		 {.more = {{"X-RateLimit-Limit-Day", "1000"}, {"X-RateLimit-Remaining-Day", "0"}}},
		 {1000, 0, NONE},
		 true},
		{"Shopify", {.more = {{"X-Shopify-Shop-Api-Call-Limit", "32/40"}}}, {40, 8, NONE}, true},
		{"Linear",
		 {.more = {{"X-RateLimit-Requests-Limit", "1500"},
			   {"X-RateLimit-Requests-Remaining", "1499"},
			   {"X-RateLimit-Requests-Reset", "1795324380000"}}},
		 {1500, 1499, 3600 * SECOND},
		 false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		assert_first(table[i].what, &table[i].h, table[i].e);
		if (weir_said_has_quota(&(struct weir_header_lines){headers_line, &table[i].h}) == table[i].on_refusals)
			fail_msg("%s: the sign", table[i].what);
	}
}

static void the_length_of_a_window_may_have_a_header_of_its_own(void **state)
{
	static const struct headers jira = {
		.more = {{"X-RateLimit-Limit", "10"}, {"X-RateLimit-Remaining", "4"}, {"X-RateLimit-Interval-Seconds", "60"}}};
	struct weir_said said;

	(void)state;
	headers_read(&jira, NOW, &said);
	assert_int_equal(said.quotas, 1);
	assert_int_equal(said.quota[0].limit, 10);
	assert_int_equal(said.quota[0].remaining, 4);
	assert_int_equal(said.quota[0].window_ns, 60 * SECOND);
}

static void assert_wait(struct headers h, uint64_t expected_ns)
{
	struct weir_said said;

	headers_read(&h, NOW, &said);
	assert_true(said.has_wait);
	assert_int_equal(said.wait_ns, expected_ns);
}

static void the_finer_wait_goes_before_the_rounded_one(void **state)
{
	(void)state;
	assert_wait((struct headers){.retry_after = "1", .more = {{"retry-after-ms", "250"}}}, 250 * MS);
	assert_wait((struct headers){.more = {{"x-ms-retry-after-ms", "1500"}}}, 1500 * MS);
	assert_wait((struct headers){.retry_after = "2", .more = {{"retry-after-ms", "soon"}}}, 2 * SECOND);
}

static void of_several_lines_the_longest_wait_counts(void **state)
{
	(void)state;
	assert_wait((struct headers){.retry_after = "2", .more = {{"Retry-After", "5"}, {"retry-after", "3"}}}, 5 * SECOND);
}

static uint32_t spent(const struct weir_said *said)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < said->quotas; i++)
		n += said->quota[i].has_remaining && said->quota[i].remaining == 0 ? 1 : 0;
	return n;
}

/* A gateway's quota and the server's own, in either order: the second is spent for ten seconds. */
static void assert_tightest(struct headers h)
{
	enum weir_cause cause;
	struct weir_said said;

	headers_read(&h, NOW, &said);
	assert_int_equal(said.quotas, 2);
	assert_int_equal(spent(&said), 1);
	assert_int_equal(weir_said_hold(&said, &cause), 10 * SECOND);
	assert_int_equal(cause, WEIR_CAUSE_QUOTA_HEADER);
}

static void of_two_lines_the_tightest_quota_counts(void **state)
{
	(void)state;
	assert_tightest((struct headers){.ratelimit = "\"gateway\";r=40;t=60", .more = {{"RateLimit", "\"server\";r=0;t=10"}}});
	assert_tightest((struct headers){.ratelimit = "\"server\";r=0;t=10", .more = {{"RateLimit", "\"gateway\";r=40;t=60"}}});
	assert_tightest((struct headers){.ratelimit = "limit=50, remaining=40, reset=60",
					 .more = {{"RateLimit", "limit=20, remaining=0, reset=10"}}});
	assert_tightest((struct headers){
		.x_ratelimit_limit = "50",
		.x_ratelimit_remaining = "40",
		.x_ratelimit_reset = "60",
		.more = {{"X-RateLimit-Limit", "20"}, {"X-RateLimit-Remaining", "0"}, {"X-RateLimit-Reset", "10"}}});
	assert_tightest(
		(struct headers){.ratelimit_limit = "20",
				 .ratelimit_remaining = "0",
				 .ratelimit_reset = "10",
				 .more = {{"RateLimit-Limit", "50"}, {"RateLimit-Remaining", "40"}, {"RateLimit-Reset", "60"}}});
}

static void of_a_folded_line_the_tightest_quota_counts(void **state)
{
	(void)state;
	assert_tightest((struct headers){.ratelimit = "\"gateway\";r=40;t=60, \"server\";r=0;t=10"});
	assert_tightest(
		(struct headers){.x_ratelimit_limit = "50, 20", .x_ratelimit_remaining = "40, 0", .x_ratelimit_reset = "60, 10"});
	assert_tightest((struct headers){.ratelimit_limit = "20,50", .ratelimit_remaining = "0,40", .ratelimit_reset = "10,60"});
}

static void when_the_lists_do_not_agree_the_last_reset_counts(void **state)
{
	struct headers h = {.x_ratelimit_limit = "50", .x_ratelimit_remaining = "40, 0", .x_ratelimit_reset = "60, 10, 20"};
	enum weir_cause cause;
	struct weir_said said;

	(void)state;
	headers_read(&h, NOW, &said);
	assert_int_equal(spent(&said), 1);
	assert_int_equal(weir_said_hold(&said, &cause), 60 * SECOND);
}

static void a_spent_quota_is_not_crowded_out(void **state)
{
	struct headers h = {.ratelimit = "\"a\";r=9;t=1, \"b\";r=8;t=10, \"c\";r=7;t=20, \"d\";r=6;t=30, \"e\";r=0;t=40"};
	enum weir_cause cause;
	struct weir_said said;

	(void)state;
	headers_read(&h, NOW, &said);
	assert_int_equal(said.quotas, WEIR_QUOTAS);
	assert_int_equal(weir_said_hold(&said, &cause), 40 * SECOND);
}

/* ---- Age
 * ----------------------------------------------------------------------------------------------------------------------- */

static void what_an_old_answer_says_is_corrected_by_its_age(void **state)
{
	(void)state;
	assert_wait((struct headers){.age = "240", .retry_after = "300"}, 60 * SECOND);
	assert_wait((struct headers){.age = "240", .retry_after = "240"}, 0);
	assert_wait((struct headers){.age = "240", .retry_after = "2"}, 0);
	/* A moment stays where it is; only the server's clock has gone on since. */
	assert_wait((struct headers){.age = "240",
				     .date = "Sun, 22 Nov 2026 04:09:00 GMT",
				     .retry_after = "Sun, 22 Nov 2026 04:14:00 GMT"},
		    60 * SECOND);
	assert_first("delta",
		     &(struct headers){
			     .age = "240", .x_ratelimit_limit = "60", .x_ratelimit_remaining = "0", .x_ratelimit_reset = "300"},
		     (struct expected){60, 0, 60 * SECOND});
	assert_first("field", &(struct headers){.age = "240", .ratelimit = "\"a\";r=3;t=300"},
		     (struct expected){0, 3, 60 * SECOND});
	assert_first("epoch",
		     &(struct headers){.age = "240",
				       .date = "Sun, 22 Nov 2026 04:09:00 GMT",
				       .x_ratelimit_limit = "60",
				       .x_ratelimit_remaining = "0",
				       .x_ratelimit_reset = "1795320840"},
		     (struct expected){60, 0, 60 * SECOND});
}

static void what_is_older_than_its_window_is_ignored(void **state)
{
	static const struct headers old[] = {
		{.age = "240", .x_ratelimit_limit = "60", .x_ratelimit_remaining = "0", .x_ratelimit_reset = "60"},
		{.age = "240", .ratelimit = "\"a\";r=0;t=200", .ratelimit_policy = "\"a\";q=100;w=60"},
		{.age = "240", .ratelimit_limit = "100;w=60", .ratelimit_remaining = "0;w=60"},
		{.age = "240, 3", .ratelimit = "limit=60, remaining=0, reset=60"},
		{.age = "99999999999999999999",
		 .x_ratelimit_limit = "60",
		 .x_ratelimit_remaining = "0",
		 .x_ratelimit_reset = "3600"},
	};
	struct weir_said said;

	(void)state;
	for (size_t i = 0; i < sizeof old / sizeof old[0]; i++) {
		headers_read(&old[i], NOW, &said);
		if (said.quotas != 0)
			fail_msg("%zu", i);
	}
	headers_read(
		&(struct headers){
			.age = "-240", .x_ratelimit_limit = "60", .x_ratelimit_remaining = "0", .x_ratelimit_reset = "60"},
		NOW, &said);
	assert_int_equal(said.quotas, 1);
}

/* ---- whose
 * --------------------------------------------------------------------------------------------------------------------- */

static uint64_t resource(struct headers h)
{
	struct weir_said said;

	headers_read(&h, NOW, &said);
	return said.resource;
}

static void quotas_are_told_apart_by_their_names_else_by_their_limits(void **state)
{
	const struct headers core = {
		.x_ratelimit_limit = "30", .x_ratelimit_remaining = "3", .more = {{"X-RateLimit-Resource", "core"}}};
	struct headers search = core, later = core;

	(void)state;
	search.more[0].value = "search";
	later.x_ratelimit_limit = "60";
	later.x_ratelimit_remaining = "0";
	assert_int_not_equal(resource(core), 0);
	assert_int_not_equal(resource(core), resource(search));
	assert_int_equal(resource(core), resource(later));
	assert_int_not_equal(resource((struct headers){.x_ratelimit_limit = "30", .x_ratelimit_remaining = "3"}),
			     resource((struct headers){.x_ratelimit_limit = "5000", .x_ratelimit_remaining = "3"}));
	assert_int_equal(resource((struct headers){.x_ratelimit_limit = "30", .x_ratelimit_remaining = "3"}),
			 resource((struct headers){.x_ratelimit_limit = "30", .x_ratelimit_remaining = "0"}));
	assert_int_not_equal(resource((struct headers){.ratelimit = "\"a\";r=3;t=5"}),
			     resource((struct headers){.ratelimit = "\"b\";r=3;t=5"}));
	assert_int_equal(resource((struct headers){.date = DATE}), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(services_are_understood),
		cmocka_unit_test(the_length_of_a_window_may_have_a_header_of_its_own),
		cmocka_unit_test(the_finer_wait_goes_before_the_rounded_one),
		cmocka_unit_test(of_several_lines_the_longest_wait_counts),
		cmocka_unit_test(of_two_lines_the_tightest_quota_counts),
		cmocka_unit_test(of_a_folded_line_the_tightest_quota_counts),
		cmocka_unit_test(when_the_lists_do_not_agree_the_last_reset_counts),
		cmocka_unit_test(a_spent_quota_is_not_crowded_out),
		cmocka_unit_test(what_an_old_answer_says_is_corrected_by_its_age),
		cmocka_unit_test(what_is_older_than_its_window_is_ignored),
		cmocka_unit_test(quotas_are_told_apart_by_their_names_else_by_their_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
