/* SPDX-License-Identifier: MIT */
/* A handful of refusals over time in which hardly anybody asked is no estimate of a rate: curl's tests 1633 to 1635 against a
 * server that says 429 and "Retry-After: 1" whatever the pace. The default rule; requests one after another, each of its own
 * process. */
#include "gate_bench.h"

static unsigned sent, refused; /* by weir */
static uint64_t longest_ns;    /* of a wait for the pace alone, from when the last hold was over */
static uint64_t hold_ns, seed;

static uint64_t between(uint64_t least, uint64_t most)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return least + (seed >> 33) % (most - least + 1);
}

/* A request that waits as long as it is told to, and is answered after 3 ms. */
static void ask(uint32_t status, uint64_t retry_after_ns)
{
	struct weir_result result = {
		.status = status, .retry_after_ns = retry_after_ns, .hold_cause = retry_after_ns ? WEIR_CAUSE_RETRY_AFTER : 0};
	struct weir_request r;
	uint64_t wake, from = now > hold_ns ? now : hold_ns;
	enum weir_verdict v = begin(&r, &wake);

	while (v == WEIR_WAIT) {
		now = wake > now ? wake : now + MS;
		v = weir_gate_look(&gate, &r, now, &wake);
	}
	refused += v == WEIR_REFUSE;
	if (v != WEIR_GO)
		return;
	sent++;
	if (now > from && now - from > longest_ns)
		longest_ns = now - from;
	now += 3 * MS;
	result.outcome = weir_gate_classify(&gate, &r, (int)status, retry_after_ns != 0);
	weir_gate_settle(&gate, &r, &result, now);
	if (retry_after_ns != 0)
		hold_ns = now + retry_after_ns;
}

static void begin_anew(uint64_t with)
{
	seed = with;
	sent = refused = 0;
	longest_ns = hold_ns = 0;
	publish();
}

/* The same where nobody has been asked yet. */
static void open_anew(uint64_t with)
{
	void *none = NULL;

	close_gate(&none);
	open_gate(&none);
	begin_anew(with);
}

/* All at once: each asks whether it would be refused, and goes again; the queue is that of as many. */
static unsigned refused_of_a_crowd(unsigned count)
{
	struct weir_request r[64];
	unsigned no = 0;
	uint64_t wake;

	for (unsigned i = 0; i < count; i++)
		no += begin(&r[i], &wake) == WEIR_REFUSE;
	for (unsigned i = 0; i < count; i++)
		weir_gate_cancel(&gate, &r[i], now);
	return no;
}

static void expect_no_more_than_is_known(uint64_t most_ns)
{
	if (refused != 0 || longest_ns > most_ns)
		printf("%u sent, %u refused, longest wait %.1f s\n", sent, refused, (double)longest_ns / 1e9);
	assert_int_equal(refused, 0);
	assert_true(longest_ns <= most_ns);
	assert_int_equal(refused_of_a_crowd(8), 0);
}

/* Every second or third request, or after 0 to 2 good ones, at distances of 1 to 20 s. */
static void single_refusals_at_long_distances_teach_no_pace(void **state)
{
	(void)state;
	for (uint64_t pattern = 1; pattern <= 40; pattern++) {
		open_anew(pattern);
		for (int i = 0; i < 60; i++) {
			unsigned good = pattern % 4 == 3 ? (unsigned)between(0, 2) : 1 + (unsigned)(pattern % 4 % 2);

			for (unsigned j = 0; j < good; j++, now += between(300, 20000) * MS)
				ask(200, 0);
			ask(429, SECOND);
			now += between(1000, 20000) * MS;
		}
		expect_no_more_than_is_known(5 * SECOND);
	}
}

/* 1633: three in a row, each told to come back in a second; then other requests; and all that again, minutes later. */
static void bursts_of_refusals_minutes_apart_teach_no_pace(void **state)
{
	(void)state;
	for (uint64_t pattern = 1; pattern <= 40; pattern++) {
		open_anew(pattern);
		for (int repeat = 0; repeat < 12; repeat++) {
			for (int i = 0; i < 3; i++)
				ask(429, SECOND);
			ask(200, 0);
			for (unsigned j = (unsigned)between(0, 12); j > 0; j--) {
				now += between(300, 20000) * MS;
				ask(200, 0);
			}
			now += between(1, 200) * SECOND;
		}
		expect_no_more_than_is_known(6 * SECOND);
	}
}

/* The same requests again, none of which is answered well in between. */
static void refusals_minutes_apart_do_not_add_up_to_a_pause(void **state)
{
	(void)state;
	begin_anew(1);
	for (int repeat = 0; repeat < 12; repeat++, now += 120 * SECOND)
		ask(429, SECOND);
	expect_no_more_than_is_known(2 * SECOND);
}

/* More than a handful, and still nobody waited. */
static void many_accepts_over_idle_time_are_no_pace_either(void **state)
{
	(void)state;
	for (uint64_t good = 8; good <= 64; good *= 2) {
		open_anew(good);
		for (int i = 0; i < 20; i++) {
			for (uint64_t j = 0; j < good; j++, now += between(2000, 20000) * MS)
				ask(200, 0);
			ask(429, SECOND);
			now += between(1000, 20000) * MS;
		}
		expect_no_more_than_is_known(4 * SECOND);
	}
}

/* A host that gives two a minute and is asked for more. */
static void two_a_minute(uint64_t retry_after_ns)
{
	uint64_t next = 0;
	unsigned bad = 0;

	begin_anew(1);
	for (uint64_t from = now; now < from + 4 * 3600 * SECOND;) {
		struct weir_result result = {.status = 200};
		struct weir_request r;
		uint64_t wake;
		enum weir_verdict v = begin(&r, &wake);

		while (v == WEIR_WAIT) {
			now = wake > now ? wake : now + MS;
			v = weir_gate_look(&gate, &r, now, &wake);
		}
		if (v != WEIR_GO) {
			now += 10 * SECOND;
			continue;
		}
		now += 3 * MS;
		if (now < next) {
			result.status = 429;
			result.retry_after_ns = retry_after_ns;
			result.hold_cause = retry_after_ns != 0 ? WEIR_CAUSE_RETRY_AFTER : 0;
		} else {
			next = now + 30 * SECOND;
		}
		if (now > from + 3600 * SECOND) {
			bad += result.status == 429;
			sent += result.status == 200;
		}
		result.outcome = weir_gate_classify(&gate, &r, (int)result.status, retry_after_ns != 0);
		weir_gate_settle(&gate, &r, &result, now);
	}
	printf("%u accepted, %u refused\n", sent, bad);
	assert_true(sent >= 240);
	assert_true(bad <= 40);
}

static void two_a_minute_under_demand_are_learned(void **state)
{
	(void)state;
	two_a_minute(0);
}

static void two_a_minute_are_learned_where_the_time_to_come_back_is_none(void **state)
{
	(void)state;
	two_a_minute(SECOND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(single_refusals_at_long_distances_teach_no_pace, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(bursts_of_refusals_minutes_apart_teach_no_pace, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(refusals_minutes_apart_do_not_add_up_to_a_pause, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(many_accepts_over_idle_time_are_no_pace_either, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(two_a_minute_under_demand_are_learned, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(two_a_minute_are_learned_where_the_time_to_come_back_is_none, open_gate,
						close_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
