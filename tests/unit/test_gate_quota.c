/* SPDX-License-Identifier: MIT */
/* What the server says of its limits, through the gate and on a virtual clock. */
#include "tests/unit/gate_bench.h"

static void with_a_time_to_come_back_these_statuses_are_throttled(void **state)
{
	static const struct {
		int status;
		enum weir_outcome told;
	} table[] = {
		{200, WEIR_SUCCEEDED}, {404, WEIR_SUCCEEDED}, {403, WEIR_THROTTLED}, {413, WEIR_THROTTLED}, {418, WEIR_THROTTLED},
		{420, WEIR_THROTTLED}, {425, WEIR_THROTTLED}, {429, WEIR_THROTTLED}, {430, WEIR_THROTTLED}, {500, WEIR_FAILED},
		{502, WEIR_FAILED},    {503, WEIR_THROTTLED}, {504, WEIR_FAILED},    {529, WEIR_THROTTLED},
	};
	struct weir_request r;

	(void)state;
	publish();
	go(&r);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (weir_gate_classify(&gate, &r, table[i].status, true) != table[i].told)
			fail_msg("%d", table[i].status);
	/* What else a bare status may mean is another test's matter. */
	assert_int_equal(weir_gate_classify(&gate, &r, 200, false), WEIR_SUCCEEDED);
	assert_int_equal(weir_gate_classify(&gate, &r, 500, false), WEIR_FAILED);
}

/* A proxy's answer to CONNECT, or that to what was sent together with the request before it. */
static void what_is_under_nobody_s_rule_is_throttled_where_it_says_so(void **state)
{
	const struct weir_request none = {.phase = WEIR_PHASE_ADMITTED, .scope[0].slot = WEIR_NONE};

	(void)state;
	publish();
	assert_int_equal(weir_gate_classify(&gate, &none, 429, false), WEIR_THROTTLED);
	assert_int_equal(weir_gate_classify(&gate, &none, 503, true), WEIR_THROTTLED);
	assert_int_equal(weir_gate_classify(&gate, &none, 503, false), WEIR_FAILED);
	assert_int_equal(weir_gate_classify(&gate, &none, 405, true), WEIR_SUCCEEDED);
}

static void a_failed_answer_that_says_when_to_come_back_holds_everybody(void **state)
{
	struct weir_request r, other;
	uint64_t wake;

	(void)state;
	publish();
	go(&r);
	end(&r, WEIR_FAILED, 3 * SECOND);
	assert_int_equal(begin(&other, &wake), WEIR_WAIT);
	assert_int_equal(other.cause, WEIR_CAUSE_HOLD);
	now += 3 * SECOND;
	assert_int_equal(weir_gate_look(&gate, &other, now, &wake), WEIR_GO);
}

/* ---- what is left, and whose it is
 * ----------------------------------------------------------------------------------------------- */

struct client {
	uint64_t credential, path;
};
static const struct client alice_search = {1, 10}, alice_repos = {1, 11}, alice_users = {1, 12}, bob_search = {2, 10},
			   unseen = {0, 0};

#define SEARCH  UINT64_C(0x5ea4c4)
#define CORE    UINT64_C(0xc04e)
#define UNNAMED UINT64_C(60)

static enum weir_verdict ask(struct weir_request *r, struct client c)
{
	struct weir_wish wish = {.host_port = HOST, .credential = c.credential, .path = c.path};
	uint64_t wake;

	return weir_gate_begin(&gate, r, &wish, now, &wake);
}

static void answer(struct weir_request *r, enum weir_outcome outcome, uint64_t resource, uint64_t limit, uint64_t left,
		   uint64_t reset_ns)
{
	struct weir_result result = {
		.outcome = outcome,
		.quota = {{.limit = limit, .remaining = left, .resets_in_ns = reset_ns, .has_remaining = 1, .has_reset = 1}},
		.quotas = 1,
		.resource = resource,
		.named = resource != UNNAMED,
	};

	if (outcome == WEIR_THROTTLED && left == 0) {
		result.retry_after_ns = reset_ns;
		result.hold_cause = WEIR_CAUSE_QUOTA_HEADER;
	}
	weir_gate_settle(&gate, r, &result, now);
}

/* A call whose answer says that the quota is spent for an hour. */
static void use_up(struct client c, uint64_t resource)
{
	struct weir_request r;

	assert_int_equal(ask(&r, c), WEIR_GO);
	answer(&r, WEIR_SUCCEEDED, resource, 60, 0, 3600 * SECOND);
}

static void assert_verdict(struct client c, enum weir_verdict expected)
{
	struct weir_request r;
	enum weir_verdict verdict = ask(&r, c);

	weir_gate_cancel(&gate, &r, now);
	assert_int_equal(verdict, expected);
}

/* Calls until one does not go at once, or all have: how many went. `left` counts down with each. */
static uint64_t calls_at_once(struct client c, uint64_t calls, uint64_t limit, uint64_t left, uint64_t reset_ns)
{
	uint64_t began = now;

	for (uint64_t i = 0; i < calls; i++, now += 10 * MS) {
		struct weir_request r;

		if (ask(&r, c) != WEIR_GO) {
			weir_gate_cancel(&gate, &r, now);
			return i;
		}
		now += 10 * MS;
		answer(&r, WEIR_SUCCEEDED, CORE, limit, left - i - 1, reset_ns - (now - began));
	}
	return calls;
}

static void what_is_left_may_be_used_at_once(void **state)
{
	(void)state;
	publish();
	assert_int_equal(calls_at_once(alice_repos, 20, 60, 60, 3600 * SECOND), 20);
}

static void what_is_left_may_be_used_by_who_is_not_known(void **state)
{
	(void)state;
	publish();
	assert_int_equal(calls_at_once(unseen, 20, 60, 60, 3600 * SECOND), 20);
}

/* Docker: how many are left, in how long a window, but not when it began. */
static void a_quota_without_a_reset_may_be_used_at_once(void **state)
{
	(void)state;
	publish();
	for (uint64_t left = 99; left >= 80; left--, now += 20 * MS) {
		struct weir_result result = {
			.quota = {{.limit = 100, .window_ns = 21600 * SECOND, .remaining = left, .has_remaining = 1}},
			.quotas = 1,
			.resource = CORE,
		};
		struct weir_request r;

		assert_int_equal(ask(&r, alice_repos), WEIR_GO);
		weir_gate_settle(&gate, &r, &result, now);
	}
}

static void a_pace_refuses_nobody_while_something_is_left(void **state)
{
	(void)state;
	publish();
	assert_int_equal(calls_at_once(alice_repos, 60, 60, 60, 3600 * SECOND), 60);
	/* And now nothing is. */
	assert_verdict(alice_repos, WEIR_REFUSE);
}

static void what_would_be_outrun_is_paced(void **state)
{
	struct weir_request r;
	uint64_t waited = 0;

	(void)state;
	publish();
	/* Ten seconds for a hundred: slow enough that nobody would be refused anyway. */
	assert_in_range(calls_at_once(alice_repos, 100, 100, 100, 10 * SECOND), 45, 80);
	assert_int_equal(ask(&r, alice_repos), WEIR_WAIT);
	assert_int_equal(r.cause, WEIR_CAUSE_RATE);
	while (r.phase == WEIR_PHASE_WAITING) {
		uint64_t wake;

		weir_gate_look(&gate, &r, now, &wake);
		waited += wake > now ? wake - now : 0;
		now = wake > now ? wake : now;
	}
	assert_int_equal(r.phase, WEIR_PHASE_ADMITTED);
	assert_in_range(waited, 1, SECOND);
}

static void a_spent_quota_waits_for_its_reset(void **state)
{
	struct weir_request r;
	uint64_t wake;

	(void)state;
	publish();
	assert_int_equal(ask(&r, alice_repos), WEIR_GO);
	answer(&r, WEIR_SUCCEEDED, CORE, 60, 0, 5 * SECOND);
	assert_int_equal(ask(&r, alice_repos), WEIR_WAIT);
	assert_int_equal(r.cause, WEIR_CAUSE_QUOTA_HEADER);
	assert_int_equal(r.until_ns, now + 5 * SECOND);
	now += 5 * SECOND;
	assert_int_equal(weir_gate_look(&gate, &r, now, &wake), WEIR_GO);
}

static void a_spent_quota_stops_its_credential_alone(void **state)
{
	(void)state;
	publish();
	use_up(alice_search, SEARCH);
	assert_verdict(alice_search, WEIR_REFUSE);
	assert_verdict(bob_search, WEIR_GO);
}

static void a_spent_quota_stops_its_resource_alone(void **state)
{
	struct weir_request r;

	(void)state;
	publish();
	use_up(alice_search, SEARCH);
	assert_verdict(alice_repos, WEIR_GO);
	assert_int_equal(ask(&r, alice_repos), WEIR_GO);
	answer(&r, WEIR_SUCCEEDED, CORE, 5000, 4999, 3600 * SECOND);
	assert_verdict(alice_repos, WEIR_GO);
	assert_verdict(alice_search, WEIR_REFUSE);
}

static void quotas_that_look_alike_are_told_apart_by_what_is_left(void **state)
{
	struct weir_request r;

	(void)state;
	publish();
	use_up(alice_search, UNNAMED);
	assert_int_equal(ask(&r, alice_repos), WEIR_GO);
	answer(&r, WEIR_SUCCEEDED, UNNAMED, 60, 59, 3600 * SECOND);
	assert_verdict(alice_repos, WEIR_GO);
	assert_verdict(alice_search, WEIR_REFUSE);
	/* And it is one quota where the other path's answer says that nothing is left. */
	assert_int_equal(ask(&r, alice_users), WEIR_GO);
	answer(&r, WEIR_THROTTLED, UNNAMED, 60, 0, 3600 * SECOND);
	assert_verdict(alice_users, WEIR_REFUSE);
	assert_verdict((struct client){1, 99}, WEIR_REFUSE);
}

/* Windows that begin with the first request to each. */
static void quotas_that_look_alike_may_end_at_different_times(void **state)
{
	struct weir_request r;

	(void)state;
	publish();
	use_up(alice_search, UNNAMED);
	now += 300 * SECOND;
	assert_int_equal(ask(&r, alice_repos), WEIR_GO);
	answer(&r, WEIR_SUCCEEDED, UNNAMED, 60, 59, 3600 * SECOND);
	assert_verdict(alice_repos, WEIR_GO);
	assert_verdict(alice_search, WEIR_REFUSE);
	now += 3301 * SECOND;
	assert_verdict(alice_search, WEIR_GO);
}

static void a_refusal_that_names_the_quota_stops_as_many(void **state)
{
	struct weir_request r;

	(void)state;
	publish();
	assert_int_equal(ask(&r, alice_search), WEIR_GO);
	answer(&r, WEIR_THROTTLED, SEARCH, 60, 0, 3600 * SECOND);
	assert_verdict(alice_search, WEIR_REFUSE);
	assert_verdict(bob_search, WEIR_GO);
	assert_verdict(alice_repos, WEIR_GO);
}

static void retry_after_without_a_quota_stops_everybody(void **state)
{
	struct weir_request r;

	(void)state;
	publish();
	assert_int_equal(ask(&r, alice_search), WEIR_GO);
	end(&r, WEIR_THROTTLED, 3600 * SECOND);
	assert_verdict(alice_search, WEIR_REFUSE);
	assert_verdict(bob_search, WEIR_REFUSE);
}

static void who_is_not_seen_shares_with_everybody(void **state)
{
	(void)state;
	publish();
	use_up(alice_search, SEARCH);
	assert_verdict(unseen, WEIR_REFUSE);
	now += 3600 * SECOND;
	assert_verdict(unseen, WEIR_GO);
}

/* A connection, before anything is sent on it: whose it is shows in what is. */
static bool may_be_sent(struct client c)
{
	struct weir_wish wish = {.host_port = HOST, .tentative = true, .asker_later = true};
	struct weir_request r;
	uint64_t wake;
	bool may;

	assert_int_equal(weir_gate_begin(&gate, &r, &wish, now, &wake), WEIR_GO);
	may = weir_gate_known(&gate, &r, c.credential, c.path, now);
	assert_true(weir_gate_leave(&gate, &r));
	return may;
}

static void who_will_be_seen_is_asked_when_it_is(void **state)
{
	(void)state;
	publish();
	use_up(alice_search, SEARCH);
	assert_false(may_be_sent(alice_search));
	assert_true(may_be_sent(alice_repos));
	assert_true(may_be_sent(bob_search));
	assert_false(may_be_sent(unseen));
}

static void a_quota_that_unlike_paths_share_is_everybodys_of_the_credential(void **state)
{
	struct weir_request r;

	(void)state;
	publish();
	assert_int_equal(ask(&r, alice_search), WEIR_GO);
	answer(&r, WEIR_SUCCEEDED, CORE, 60, 1, 3600 * SECOND);
	use_up(alice_repos, CORE);
	assert_verdict(alice_search, WEIR_REFUSE);
	assert_verdict(alice_users, WEIR_REFUSE);
	assert_verdict(bob_search, WEIR_GO);
}

static void no_more_go_than_are_left(void **state)
{
	struct weir_request r, in_flight[3], late;
	uint64_t wake;

	(void)state;
	publish();
	assert_int_equal(ask(&r, alice_repos), WEIR_GO);
	answer(&r, WEIR_SUCCEEDED, CORE, 60, 3, 3600 * SECOND);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&in_flight[i], alice_repos), WEIR_GO);
	assert_int_equal(ask(&late, alice_repos), WEIR_WAIT);
	/* The server has given some back. */
	answer(&in_flight[0], WEIR_SUCCEEDED, CORE, 60, 2, 3600 * SECOND);
	answer(&in_flight[1], WEIR_SUCCEEDED, CORE, 60, 2, 3600 * SECOND);
	answer(&in_flight[2], WEIR_SUCCEEDED, CORE, 60, 2, 3600 * SECOND);
	now += 20 * MS;
	assert_int_equal(weir_gate_look(&gate, &late, now, &wake), WEIR_GO);
}

static void a_crowd_takes_no_more_than_the_new_window_has(void **state)
{
	struct weir_request r[8];
	int went = 0;

	(void)state;
	publish();
	assert_int_equal(ask(&r[0], alice_repos), WEIR_GO);
	answer(&r[0], WEIR_SUCCEEDED, CORE, 5, 0, 5 * SECOND);
	for (int i = 0; i < 8; i++)
		assert_int_equal(ask(&r[i], alice_repos), WEIR_WAIT);
	now += 5 * SECOND;
	for (int i = 0; i < 8; i++) {
		uint64_t wake;

		went += weir_gate_look(&gate, &r[i], now, &wake) == WEIR_GO ? 1 : 0;
	}
	assert_int_equal(went, 5);
}

static void a_reset_by_hand_forgets_quotas(void **state)
{
	(void)state;
	publish();
	use_up(alice_search, SEARCH);
	assert_true(weir_gate_reset(&segment, HOST, now));
	assert_verdict(alice_search, WEIR_GO);
}

static void no_credential_and_no_path_stands_in_the_segment(void **state)
{
	const struct client c = {UINT64_C(0x1122334455667788), UINT64_C(0x99aabbccddeeff00)};
	const uint64_t resource = UINT64_C(0x0123456789abcdef);
	const uint64_t words[] = {c.credential, c.path, resource};

	(void)state;
	publish();
	use_up(c, resource);
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		for (size_t half = 0; half < 2; half++) {
			uint32_t part = (uint32_t)(words[i] >> 32 * half);

			for (const char *p = (const char *)&entry()->quota; p < (const char *)(&entry()->quota + 1); p += 4)
				assert_memory_not_equal(p, &part, sizeof part);
		}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_gate, close_gate)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(with_a_time_to_come_back_these_statuses_are_throttled),
		TEST(what_is_under_nobody_s_rule_is_throttled_where_it_says_so),
		TEST(a_failed_answer_that_says_when_to_come_back_holds_everybody),
		TEST(what_is_left_may_be_used_at_once),
		TEST(what_is_left_may_be_used_by_who_is_not_known),
		TEST(a_quota_without_a_reset_may_be_used_at_once),
		TEST(a_pace_refuses_nobody_while_something_is_left),
		TEST(what_would_be_outrun_is_paced),
		TEST(a_spent_quota_waits_for_its_reset),
		TEST(a_spent_quota_stops_its_credential_alone),
		TEST(a_spent_quota_stops_its_resource_alone),
		TEST(quotas_that_look_alike_are_told_apart_by_what_is_left),
		TEST(quotas_that_look_alike_may_end_at_different_times),
		TEST(a_refusal_that_names_the_quota_stops_as_many),
		TEST(retry_after_without_a_quota_stops_everybody),
		TEST(who_is_not_seen_shares_with_everybody),
		TEST(who_will_be_seen_is_asked_when_it_is),
		TEST(a_quota_that_unlike_paths_share_is_everybodys_of_the_credential),
		TEST(no_more_go_than_are_left),
		TEST(a_crowd_takes_no_more_than_the_new_window_has),
		TEST(a_reset_by_hand_forgets_quotas),
		TEST(no_credential_and_no_path_stands_in_the_segment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
