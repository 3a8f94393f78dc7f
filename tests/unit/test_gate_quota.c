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

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_gate, close_gate)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(with_a_time_to_come_back_these_statuses_are_throttled),
		TEST(a_failed_answer_that_says_when_to_come_back_holds_everybody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
