/* SPDX-License-Identifier: MIT */
/* Who goes first of those who wait: units, permits, and a queue that is full. */
#include "gate_bench.h"

#include <sys/wait.h>
#include <unistd.h>

#define MANY 60

static struct weir_request waiter[MANY];
static uint64_t wake[MANY];
static struct weir_occupancy room[65];

static uint64_t clock_now(void)
{
	return now;
}

static enum weir_verdict begin_as(unsigned class, struct weir_request *r, uint64_t *at)
{
	gate.priority = class + 1;
	return begin(r, at);
}

/* Everybody looks when its time has come, until `until`; who goes is done at once. Returns how many of each class went. */
static void live_until(uint64_t until, unsigned went[WEIR_CLASSES])
{
	for (; now < until; now += MS)
		for (int i = 0; i < MANY; i++) {
			if (waiter[i].phase != WEIR_PHASE_WAITING || wake[i] > now)
				continue;
			if (weir_gate_look(&gate, &waiter[i], now, &wake[i]) != WEIR_GO)
				continue;
			went[waiter[i].class]++;
			end(&waiter[i], WEIR_SUCCEEDED, 0);
		}
}

static uint32_t depth(unsigned class)
{
	return weir_depth_of(entry()->queue.depth, class);
}

static void a_high_one_goes_before_those_who_waited(void **state)
{
	unsigned went[WEIR_CLASSES] = {0};
	uint32_t changes;

	(void)state;
	fixed_rate(10, 1);
	for (int i = 0; i < 40; i++)
		(void)begin_as(WEIR_CLASS_NORMAL, &waiter[i], &wake[i]);
	live_until(now + SECOND, went);
	assert_in_range(went[WEIR_CLASS_NORMAL], 9, 11);
	/* It wakes nobody, however many sleep. */
	entry()->waiting = 40;
	changes = entry()->changes;
	assert_int_equal(begin_as(WEIR_CLASS_HIGH, &waiter[40], &wake[40]), WEIR_WAIT);
	assert_int_equal(entry()->changes, changes);
	entry()->waiting = 0;
	live_until(now + SECOND / 5 + 2 * MS, went);
	assert_int_equal(went[WEIR_CLASS_HIGH], 1);
	/* And those behind it go on where they were. */
	live_until(now + 4 * SECOND, went);
	assert_in_range(went[WEIR_CLASS_NORMAL], 39, 40);
	assert_int_equal(depth(WEIR_CLASS_NORMAL) + depth(WEIR_CLASS_HIGH), 40 - 1 - went[WEIR_CLASS_NORMAL]);
}

static void what_the_process_says_goes_before_what_the_rule_says(void **state)
{
	struct weir_request r;
	uint64_t at;

	(void)state;
	rule.queue.priority = WEIR_CLASS_LOW + 1;
	publish();
	gate.priority = 0;
	(void)begin(&r, &at);
	assert_int_equal(r.class, WEIR_CLASS_LOW);
	weir_gate_cancel(&gate, &r, now);
	(void)begin_as(WEIR_CLASS_HIGH, &r, &at);
	assert_int_equal(r.class, WEIR_CLASS_HIGH);
	weir_gate_cancel(&gate, &r, now);
	gate.priority = 77; /* nothing that anybody says */
	(void)begin(&r, &at);
	assert_int_equal(r.class, WEIR_CLASS_NORMAL);
	weir_gate_cancel(&gate, &r, now);
}

/* Row 20 of docs/evaluation.md: eight loops of each class at 10/s. */
static void each_class_gets_its_share_and_within_it_each_the_same(void **state)
{
	unsigned went[WEIR_CLASSES] = {0}, each[24] = {0}, all;
	uint64_t until;

	(void)state;
	rule.wait_max_ns = 3600 * SECOND;
	fixed_rate(10, 1);
	for (int i = 0; i < 24; i++)
		(void)begin_as((unsigned)i / 8, &waiter[i], &wake[i]);
	for (until = now + 400 * SECOND; now < until; now += MS)
		for (int i = 0; i < 24; i++) {
			if (waiter[i].phase == WEIR_PHASE_WAITING &&
			    (wake[i] > now || weir_gate_look(&gate, &waiter[i], now, &wake[i]) != WEIR_GO))
				continue;
			went[i / 8]++;
			each[i]++;
			end(&waiter[i], WEIR_SUCCEEDED, 0);
			(void)begin_as((unsigned)i / 8, &waiter[i], &wake[i]);
		}
	all = went[0] + went[1] + went[2];
	assert_in_range(all, 3980, 4005);
	assert_in_range(went[WEIR_CLASS_LOW] * 1000 / all, 40, 60);
	assert_in_range(went[WEIR_CLASS_NORMAL] * 1000 / all, 190, 210);
	for (int i = 0; i < 24; i++)
		assert_in_range(each[i], went[i / 8] / 8 - 2, went[i / 8] / 8 + 2);
}

static void a_permit_goes_to_the_highest_class_that_waits(void **state)
{
	struct weir_request first;
	uint64_t at;

	(void)state;
	rule.concurrency = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = 1};
	publish();
	assert_int_equal(begin_as(WEIR_CLASS_NORMAL, &first, &at), WEIR_GO);
	assert_int_equal(begin_as(WEIR_CLASS_LOW, &waiter[0], &wake[0]), WEIR_WAIT);
	assert_int_equal(begin_as(WEIR_CLASS_NORMAL, &waiter[1], &wake[1]), WEIR_WAIT);
	assert_int_equal(begin_as(WEIR_CLASS_HIGH, &waiter[2], &wake[2]), WEIR_WAIT);
	end(&first, WEIR_SUCCEEDED, 0);
	/* Whoever looks first: it is the high one's. */
	assert_int_equal(weir_gate_look(&gate, &waiter[0], now, &wake[0]), WEIR_WAIT);
	assert_int_equal(weir_gate_look(&gate, &waiter[1], now, &wake[1]), WEIR_WAIT);
	assert_int_equal(weir_gate_look(&gate, &waiter[2], now, &wake[2]), WEIR_GO);
	end(&waiter[2], WEIR_SUCCEEDED, 0);
	assert_int_equal(weir_gate_look(&gate, &waiter[0], now, &wake[0]), WEIR_WAIT);
	assert_int_equal(weir_gate_look(&gate, &waiter[1], now, &wake[1]), WEIR_GO);
	end(&waiter[1], WEIR_SUCCEEDED, 0);
	assert_int_equal(weir_gate_look(&gate, &waiter[0], now, &wake[0]), WEIR_GO);
	end(&waiter[0], WEIR_SUCCEEDED, 0);
}

static void low_ones_have_their_share_of_permits(void **state)
{
	unsigned went[WEIR_CLASSES] = {0};
	struct weir_request busy;
	uint64_t at;
	int turn = 0;

	(void)state;
	rule.concurrency = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = 1};
	rule.wait_max_ns = 3600 * SECOND;
	publish();
	assert_int_equal(begin_as(WEIR_CLASS_HIGH, &busy, &at), WEIR_GO);
	for (int i = 0; i < 30; i++)
		assert_int_equal(begin_as(i < 15 ? WEIR_CLASS_HIGH : WEIR_CLASS_LOW, &waiter[i], &wake[i]), WEIR_WAIT);
	end(&busy, WEIR_SUCCEEDED, 0);
	/* A loop each: who has gone waits again. */
	for (; turn < 400; turn++) {
		int gone = -1;

		now += 10 * MS;
		for (int i = 0; i < 30; i++)
			if (gone < 0 && weir_gate_look(&gate, &waiter[i], now, &wake[i]) == WEIR_GO)
				gone = i;
		assert_true(gone >= 0);
		went[waiter[gone].class]++;
		now += 10 * MS;
		end(&waiter[gone], WEIR_SUCCEEDED, 0);
		assert_int_equal(begin_as(gone < 15 ? WEIR_CLASS_HIGH : WEIR_CLASS_LOW, &waiter[gone], &wake[gone]), WEIR_WAIT);
	}
	assert_in_range(went[WEIR_CLASS_LOW], 18, 24);
}

/* The first of the order died: its permit is left to it for a moment, and then goes to the next. */
static void a_permit_that_is_left_to_the_dead_goes_to_the_next(void **state)
{
	struct weir_request first;
	uint64_t at;

	(void)state;
	rule.concurrency = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = 1};
	publish();
	assert_int_equal(begin_as(WEIR_CLASS_NORMAL, &first, &at), WEIR_GO);
	assert_int_equal(begin_as(WEIR_CLASS_HIGH, &waiter[0], &wake[0]), WEIR_WAIT);
	assert_int_equal(begin_as(WEIR_CLASS_LOW, &waiter[1], &wake[1]), WEIR_WAIT);
	assert_true(weir_lease_free(&segment, waiter[0].lease, waiter[0].lease_tag, waiter[0].owner_pid));
	waiter[0].phase = WEIR_PHASE_OVER;
	end(&first, WEIR_SUCCEEDED, 0);
	for (int i = 0; i < 20 && waiter[1].phase == WEIR_PHASE_WAITING; i++) {
		(void)weir_gate_look(&gate, &waiter[1], now, &wake[1]);
		now += 20 * MS;
	}
	assert_int_equal(waiter[1].phase, WEIR_PHASE_ADMITTED);
	assert_true(now - 1000 * SECOND < 200 * MS);
	end(&waiter[1], WEIR_SUCCEEDED, 0);
}

static void the_lowest_class_is_refused_first_where_the_queue_is_full(void **state)
{
	struct weir_request r;

	(void)state;
	rule.queue.max = 4;
	fixed_rate(1, 1);
	go(&r);
	end(&r, WEIR_SUCCEEDED, 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(begin_as(WEIR_CLASS_LOW, &waiter[i], &wake[i]), WEIR_WAIT);
	/* One more of the same class is refused at once, and one of a higher class makes one of these leave. */
	assert_int_equal(begin_as(WEIR_CLASS_LOW, &waiter[4], &wake[4]), WEIR_REFUSE);
	assert_int_equal(waiter[4].cause, WEIR_CAUSE_QUEUE_FULL);
	assert_false(waiter[4].timed_out);
	assert_int_equal(begin_as(WEIR_CLASS_HIGH, &waiter[5], &wake[5]), WEIR_WAIT);
	assert_int_equal(weir_gate_look(&gate, &waiter[5], now, &wake[5]), WEIR_WAIT);
	assert_int_equal(weir_gate_look(&gate, &waiter[2], now, &wake[2]), WEIR_REFUSE);
	assert_int_equal(waiter[2].cause, WEIR_CAUSE_QUEUE_FULL);
	assert_int_equal(weir_gate_look(&gate, &waiter[1], now, &wake[1]), WEIR_WAIT);
	assert_int_equal(depth(WEIR_CLASS_LOW), 3);
	assert_int_equal(depth(WEIR_CLASS_HIGH), 1);
	assert_int_equal(entry()->queue.refused[WEIR_CLASS_LOW], 2);
	assert_int_equal(entry()->queue.refused[WEIR_CLASS_HIGH], 0);
}

static void who_gives_up_or_is_refused_leaves_at_once(void **state)
{
	struct weir_request r;
	uint64_t at;

	(void)state;
	rule.wait_max_ns = 10 * SECOND;
	fixed_rate(1, 1);
	go(&r);
	end(&r, WEIR_SUCCEEDED, 0);
	for (int i = 0; i < 9; i++)
		assert_int_equal(begin_as(WEIR_CLASS_NORMAL, &waiter[i], &wake[i]), WEIR_WAIT);
	assert_int_equal(depth(WEIR_CLASS_NORMAL), 9);
	weir_gate_cancel(&gate, &waiter[3], now);
	assert_int_equal(depth(WEIR_CLASS_NORMAL), 8);
	/* Ten high ones push the last of these beyond what they may wait. */
	for (int i = 10; i < 20; i++)
		(void)begin_as(WEIR_CLASS_HIGH, &waiter[i], &at);
	assert_int_equal(weir_gate_look(&gate, &waiter[8], now, &at), WEIR_REFUSE);
	assert_true(waiter[8].timed_out);
	assert_int_equal(depth(WEIR_CLASS_NORMAL), 7);
}

static void the_dead_are_taken_out_of_the_depth(void **state)
{
	struct weir_request r;

	(void)state;
	fixed_rate(1, 1);
	go(&r);
	end(&r, WEIR_SUCCEEDED, 0);
	for (int i = 0; i < 6; i++)
		assert_int_equal(begin_as(WEIR_CLASS_LOW, &waiter[i], &wake[i]), WEIR_WAIT);
	/* Died between the count and its mark: the agent compares. */
	weir_depth_enter(&entry()->queue, WEIR_CLASS_LOW);
	weir_gate_requeue(&segment, room, clock_now);
	assert_int_equal(depth(WEIR_CLASS_LOW), 6);
	weir_lease_occupancy(&segment, room);
	assert_int_equal(room[waiter[0].scope[0].slot].waiting_in[WEIR_CLASS_LOW], 6);
	/* Past its deadline, as good as dead: the reaper. */
	segment.lease[waiter[0].lease].deadline_ns = 1;
	weir_lease_reap(&segment, &gate.owner, false, now);
	assert_int_equal(depth(WEIR_CLASS_LOW), 5);
	/* Its owner, should it be there still, does not count down once more. */
	weir_gate_cancel(&gate, &waiter[0], now);
	assert_int_equal(depth(WEIR_CLASS_LOW), 5);
}

/* Nobody but who comes would look for the dead where no agent runs. */
static void a_queue_that_is_full_of_the_dead_is_not_full(void **state)
{
	pid_t child = fork();
	struct weir_request r;
	struct weir_owner self = gate.owner;

	(void)state;
	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
	rule.queue.max = 4;
	fixed_rate(1, 1);
	go(&r);
	end(&r, WEIR_SUCCEEDED, 0);
	gate.owner.pid = (uint32_t)child; /* reaped above: nobody's */
	gate.owner.start = 0;
	for (int i = 0; i < 4; i++)
		assert_int_equal(begin_as(WEIR_CLASS_LOW, &waiter[i], &wake[i]), WEIR_WAIT);
	/* One more that died between the count and its mark. */
	weir_depth_enter(&entry()->queue, WEIR_CLASS_LOW);
	gate.owner = self;
	now += SECOND;
	assert_int_equal(begin_as(WEIR_CLASS_LOW, &waiter[5], &wake[5]), WEIR_WAIT);
	assert_int_equal(depth(WEIR_CLASS_LOW), 1);
}

static void a_dry_run_says_that_the_queue_would_have_been_full(void **state)
{
	struct weir_forecast f;
	struct weir_request r;

	(void)state;
	rule.queue.max = 2;
	fixed_rate(1, 1);
	go(&r);
	end(&r, WEIR_SUCCEEDED, 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(begin_as(WEIR_CLASS_NORMAL, &waiter[i], &wake[i]), WEIR_WAIT);
	gate.dry_run = true;
	assert_int_equal(begin_as(WEIR_CLASS_NORMAL, &r, &wake[2]), WEIR_GO);
	assert_true(r.would_refuse);
	assert_int_equal(r.cause, WEIR_CAUSE_QUEUE_FULL);
	assert_false(r.would_delay);
	end(&r, WEIR_SUCCEEDED, 0);
	/* A high one would only have waited: in another's place. */
	assert_int_equal(begin_as(WEIR_CLASS_HIGH, &r, &wake[2]), WEIR_GO);
	assert_false(r.would_refuse);
	assert_true(r.would_delay);
	end(&r, WEIR_SUCCEEDED, 0);
	gate.priority = 0;
	weir_gate_forecast(&gate, HOST, now, &f);
	assert_int_equal(f.verdict, WEIR_REFUSE);
	assert_int_equal(f.cause, WEIR_CAUSE_QUEUE_FULL);
	assert_int_equal(entry()->counters.would_refuse, 1);
	assert_int_equal(entry()->counters.refused, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_gate, close_gate)

/* A limit that goes away while somebody waits for its unit leaves nobody behind in its order: whoever comes when there is one
 * again would wait for those, who have long gone. */
static void who_goes_as_the_limit_is_gone_leaves_its_place(void **state)
{
	struct weir_request r;

	(void)state;
	rule.flags &= ~(uint32_t)WEIR_RULE_LIMITS_RATE;
	rule.fixed[0] = (struct weir_fixed_rate){.rate = WEIR_RATE_ONE, .burst = 1};
	publish();
	assert_int_equal(begin_as(WEIR_CLASS_LOW, &r, &wake[0]), WEIR_GO);
	end(&r, WEIR_SUCCEEDED, 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(begin_as(WEIR_CLASS_NORMAL, &waiter[i], &wake[i]), WEIR_WAIT);
	assert_int_equal(weir_order_waiting(&entry()->bucket[1].turns.order, WEIR_CLASS_NORMAL), 20);
	rule.fixed[0] = (struct weir_fixed_rate){0};
	publish();
	for (int i = 0; i < 20; i++) {
		assert_int_equal(weir_gate_look(&gate, &waiter[i], now, &wake[i]), WEIR_GO);
		end(&waiter[i], WEIR_SUCCEEDED, 0);
	}
	assert_int_equal(weir_order_waiting(&entry()->bucket[1].turns.order, WEIR_CLASS_NORMAL), 0);
}

/* Where nobody may be made to wait: what goes without its turn owes its unit, whatever it waited for. */
static void who_is_let_go_while_it_waits_for_a_permit_has_used_its_unit(void **state)
{
	struct weir_request first;
	uint64_t at;
	int left = 0;

	(void)state;
	rule.concurrency = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = 1};
	fixed_rate(1000, 30);
	assert_int_equal(begin_as(WEIR_CLASS_LOW, &first, &at), WEIR_GO);
	end(&first, WEIR_SUCCEEDED, 0);
	assert_int_equal(begin_as(WEIR_CLASS_NORMAL, &first, &at), WEIR_GO);
	for (int i = 0; i < 25; i++)
		assert_int_equal(begin_as(WEIR_CLASS_NORMAL, &waiter[i], &wake[i]), WEIR_WAIT);
	now += SECOND; /* their units are stale, and taken anew when they go */
	for (int i = 0; i < 25; i++)
		assert_int_equal(weir_gate_look(&gate, &waiter[i], now, &wake[i]), WEIR_WAIT);
	for (int i = 0; i < 25; i++) {
		assert_int_equal(weir_gate_go_now(&gate, &waiter[i], now), WEIR_GO);
		end(&waiter[i], WEIR_SUCCEEDED, 0);
	}
	end(&first, WEIR_SUCCEEDED, 0);
	while (left < 100 && weir_bucket_take_by(&entry()->bucket[0], now, now, &at) != 0)
		left++;
	assert_in_range(left, 4, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_high_one_goes_before_those_who_waited),
		TEST(what_the_process_says_goes_before_what_the_rule_says),
		TEST(each_class_gets_its_share_and_within_it_each_the_same),
		TEST(a_permit_goes_to_the_highest_class_that_waits),
		TEST(low_ones_have_their_share_of_permits),
		TEST(a_permit_that_is_left_to_the_dead_goes_to_the_next),
		TEST(the_lowest_class_is_refused_first_where_the_queue_is_full),
		TEST(who_gives_up_or_is_refused_leaves_at_once),
		TEST(the_dead_are_taken_out_of_the_depth),
		TEST(a_queue_that_is_full_of_the_dead_is_not_full),
		TEST(a_dry_run_says_that_the_queue_would_have_been_full),
		TEST(who_goes_as_the_limit_is_gone_leaves_its_place),
		TEST(who_is_let_go_while_it_waits_for_a_permit_has_used_its_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
