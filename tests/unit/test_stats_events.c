/* SPDX-License-Identifier: MIT */
/* Events as people read them. */
#include "src/stats/event_text.h"

#include "stats_bench.h"

#define ONE UINT64_C(1000000000)

static void every_kind_says_what_changed_and_why(void **state)
{
	static const struct {
		enum weir_event_kind kind;
		enum weir_cause cause;
		uint64_t before, after, lasts_ns;
		const char *text;
	} row[] = {
		{WEIR_EVENT_BREAKER_OPENED, WEIR_CAUSE_FAILURES, 5, 0, 12300000000,
		 "breaker opened for 12.3s: too many requests failed in a row (5)"},
		{WEIR_EVENT_BREAKER_OPENED, WEIR_CAUSE_OPERATOR, 0, 0, 0, "breaker opened: it was set by hand"},
		{WEIR_EVENT_BREAKER_HALF_OPEN, WEIR_CAUSE_NONE, 0, 0, 0, "breaker half-open, a probe goes"},
		{WEIR_EVENT_BREAKER_CLOSED, WEIR_CAUSE_PROBE_SUCCEEDED, 0, 0, 0, "breaker closed: the probe succeeded"},
		{WEIR_EVENT_HOLD_SET, WEIR_CAUSE_RETRY_AFTER, 0, 0, 60 * ONE, "held for 1m: the server sent Retry-After"},
		{WEIR_EVENT_HOLD_CLEARED, WEIR_CAUSE_OPERATOR, 0, 0, 0, "hold over: it was set by hand"},
		{WEIR_EVENT_RATE_CHANGED, WEIR_CAUSE_THROTTLED, 0, 7031250000, 0,
		 "rate no limit -> 7.03/s: the server throttled a request"},
		{WEIR_EVENT_RATE_CHANGED, WEIR_CAUSE_RECOVERY, 7031250000, 0, 0,
		 "rate 7.03/s -> no limit: the server answers well again"},
		{WEIR_EVENT_CONCURRENCY_CHANGED, WEIR_CAUSE_NONE, UINT32_MAX, 8, 0, "requests in flight no limit -> 8"},
		{WEIR_EVENT_OVERRIDE_SET, WEIR_CAUSE_OPERATOR, 0, 2 * ONE, 600 * ONE, "rate set by hand: 2/s for 10m"},
		{WEIR_EVENT_RESET, WEIR_CAUSE_OPERATOR, 0, 0, 0, "reset by hand: what was learned is forgotten"},
		{WEIR_EVENT_POLICY_PUBLISHED, WEIR_CAUSE_POLICY, 0, 7, 0, "configuration in force, generation 7"},
		{WEIR_EVENT_POLICY_REJECTED, WEIR_CAUSE_POLICY, 0, 7, 0,
		 "configuration refused, what was in force stays (weir config check)"},
		{WEIR_EVENT_LEASE_REAPED, WEIR_CAUSE_OWNER_DIED, 4711, 0, 0, "process 4711 ended in the middle of a request"},
		{WEIR_EVENT_AGENT_STARTED, WEIR_CAUSE_NONE, 0, 4712, 0, "agent started, process 4712"},
		{WEIR_EVENT_AGENT_STOPPED, WEIR_CAUSE_NONE, 4712, 0, 0, "agent ended, process 4712"},
		{WEIR_EVENT_TABLE_FULL, WEIR_CAUSE_NONE, 0, 9, 0,
		 "the table of hosts is full, 9 requests so far went without an entry"},
		{WEIR_EVENT_MEANING_CHANGED, WEIR_CAUSE_DEPENDS_ON_PACE, 503, 0, 0,
		 "found out: a bare 503 is taken for throttling; it became rarer when less was asked for"},
		{WEIR_EVENT_MEANING_CHANGED, WEIR_CAUSE_DEPENDS_ON_CROWD, 429, 4, 0,
		 "found out: throttled answers came when more than 4 requests were in flight; the rate is left alone"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		char text[WEIR_EVENT_TEXT];
		struct weir_event e = {.kind = row[i].kind,
				       .cause = row[i].cause,
				       .before = row[i].before,
				       .after = row[i].after,
				       .at_ns = 1000 * ONE,
				       .until_ns = row[i].lasts_ns ? 1000 * ONE + row[i].lasts_ns : 0};
		assert_string_equal(weir_event_text(&e, text), row[i].text);
	}
}

static void whatever_the_ring_holds_becomes_a_text_that_ends(void **state)
{
	uint64_t seed = 0x5eed;
	(void)state;
	for (uint32_t kind = 0; kind < WEIR_EVENT_COUNT + 3; kind++) {
		for (uint32_t cause = 0; cause < WEIR_CAUSE_COUNT + 3; cause++) {
			char text[WEIR_EVENT_TEXT];
			struct weir_event e = {.kind = kind, .cause = cause};
			seed = seed * UINT64_C(6364136223846793005) + 1;
			e.before = seed;
			e.after = ~seed;
			e.until_ns = seed << 7;
			memset(text, 'x', sizeof text);
			weir_event_text(&e, text);
			assert_in_range(strnlen(text, sizeof text), 1, sizeof text - 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_says_what_changed_and_why),
		cmocka_unit_test(whatever_the_ring_holds_becomes_a_text_that_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
