/* SPDX-License-Identifier: MIT */
/* Places in the queue that belong to the dead. */
#include "gate_bench.h"

#include <pthread.h>

#define WAITING 30

static struct weir_request waiter[WAITING];
static struct weir_occupancy room[65];

static uint64_t clock_now(void)
{
	return now;
}

/* WAITING requests behind one that has gone, at 1/s. */
static void queue_up(void)
{
	struct weir_request first;
	uint64_t wake;

	fixed_rate(1, 1);
	go(&first);
	end(&first, WEIR_SUCCEEDED, 0);
	for (int i = 0; i < WAITING; i++)
		assert_int_equal(begin(&waiter[i], &wake), WEIR_WAIT);
}

/* What a reaper does with a process that was killed while it waited: its lease goes, its unit stays. */
static void bury(struct weir_request *r)
{
	assert_true(weir_lease_free(&segment, r->lease, r->lease_tag, r->owner_pid));
}

static void a_queue_of_the_living_stays_as_it_is(void **state)
{
	uint64_t wake;

	(void)state;
	queue_up();
	assert_int_equal(weir_gate_requeue(&segment, room, clock_now), 0);
	for (int i = 0; i < WAITING; i++) {
		now = (1001 + (uint64_t)i) * SECOND;
		assert_int_equal(weir_gate_look(&gate, &waiter[i], now, &wake), WEIR_WAIT);
		now += MS;
		assert_int_equal(weir_gate_look(&gate, &waiter[i], now, &wake), WEIR_GO);
		end(&waiter[i], WEIR_SUCCEEDED, 0);
	}
}

static void a_queue_of_the_dead_is_gone(void **state)
{
	struct weir_request next;
	uint64_t wake;

	(void)state;
	queue_up();
	for (int i = 0; i < WAITING; i++)
		bury(&waiter[i]);
	assert_int_equal(weir_gate_requeue(&segment, room, clock_now), 1);
	assert_int_equal(begin(&next, &wake), WEIR_WAIT);
	assert_in_range(next.until_ns, now + SECOND, now + SECOND + MS);
	weir_gate_cancel(&gate, &next, now);
}

static void those_who_live_move_up(void **state)
{
	uint64_t wake, goes = 0;

	(void)state;
	queue_up();
	for (int i = 0; i < WAITING; i++)
		if (i % 3 != 0)
			bury(&waiter[i]);
	assert_int_equal(weir_gate_requeue(&segment, room, clock_now), 1);
	/* All look at once, as after a wake-up; then each second one goes. */
	for (int i = 0; i < WAITING; i += 3)
		assert_int_equal(weir_gate_look(&gate, &waiter[i], now, &wake), WEIR_WAIT);
	assert_int_equal(weir_gate_requeue(&segment, room, clock_now), 0);
	for (uint64_t second = 1; second <= WAITING / 3; second++) {
		now = (1000 + second) * SECOND + MS;
		for (int i = 0; i < WAITING; i += 3) {
			if (waiter[i].phase != WEIR_PHASE_WAITING || weir_gate_look(&gate, &waiter[i], now, &wake) != WEIR_GO)
				continue;
			end(&waiter[i], WEIR_SUCCEEDED, 0);
			goes++;
		}
		assert_int_equal(goes, second);
	}
}

/* Everybody looks when its time has come, until `until`. Returns how many were refused. */
static unsigned live_until(uint64_t until, uint64_t wake[WAITING])
{
	unsigned refused = 0;

	for (; now < until; now += MS / 4)
		for (int i = 0; i < WAITING; i++) {
			enum weir_verdict v;

			if (waiter[i].phase != WEIR_PHASE_WAITING || wake[i] > now)
				continue;
			v = weir_gate_look(&gate, &waiter[i], now, &wake[i]);
			refused += v == WEIR_REFUSE;
			if (v == WEIR_GO)
				end(&waiter[i], WEIR_SUCCEEDED, 0);
		}
	return refused;
}

static void nobody_who_had_a_place_is_refused_for_it(void **state)
{
	uint64_t wake[WAITING] = {0};

	(void)state;
	/* As long as the queue may be. */
	rule.wait_max_ns = WAITING * SECOND + SECOND / 2;
	queue_up();
	for (int i = 0; i < 4; i++) {
		bury(&waiter[i]);
		waiter[i].phase = WEIR_PHASE_OVER;
	}
	assert_int_equal(weir_gate_requeue(&segment, room, clock_now), 1);
	assert_int_equal(live_until(now + SECOND / 2, wake), 0);
	/* In the old order: each has its place before the one behind it. */
	for (int i = 5; i < WAITING; i++)
		assert_true(waiter[i].scope[0].unit[0] > waiter[i - 1].scope[0].unit[0]);
	assert_int_equal(weir_bucket_queue(&entry()->bucket[0], now), WAITING - 4);
}

static void deaths_more_often_than_turns_starve_nobody(void **state)
{
	struct weir_request r, dead;
	uint64_t wake, until = now + 3600 * SECOND, died = now;
	unsigned goes = 0;
	bool waits = false;

	(void)state;
	rule.wait_max_ns = 86400 * SECOND;
	fixed_rate(1, 1);
	weir_gate_set(&segment, HOST, WEIR_RATE_ONE / 60, 1, 0, 0, true, now);
	for (; now < until; now += SECOND / 2) {
		enum weir_verdict v = waits ? weir_gate_look(&gate, &r, now, &wake) : begin(&r, &wake);

		waits = v == WEIR_WAIT;
		if (v == WEIR_GO) {
			goes++;
			end(&r, WEIR_SUCCEEDED, 0);
		}
		if (now - died >= 20 * SECOND) {
			died = now;
			assert_int_equal(begin(&dead, &wake), WEIR_WAIT);
			bury(&dead);
		}
		weir_gate_requeue(&segment, room, clock_now);
	}
	assert_in_range(goes, 55, 62);
}

static void what_a_redirect_has_used_is_no_place_of_the_dead(void **state)
{
	struct weir_result good = {.outcome = WEIR_SUCCEEDED, .latency_ns = MS};
	struct weir_request r;
	uint64_t wake;

	(void)state;
	fixed_rate(1, 1);
	go(&r);
	end(&r, WEIR_SUCCEEDED, 0);
	for (int i = 0; i < 5; i++)
		weir_gate_hop(&gate, HOST, &good, now);
	assert_int_equal(weir_gate_requeue(&segment, room, clock_now), 0);
	assert_int_equal(begin(&r, &wake), WEIR_WAIT);
	assert_in_range(r.until_ns, now + 6 * SECOND - MS, now + 6 * SECOND + MS);
	/* And who dies behind them leaves them used. */
	bury(&r);
	assert_int_equal(weir_gate_requeue(&segment, room, clock_now), 1);
	assert_int_equal(begin(&r, &wake), WEIR_WAIT);
	assert_in_range(r.until_ns, now + 6 * SECOND - MS, now + 6 * SECOND + MS);
	weir_gate_cancel(&gate, &r, now);
}

static void what_a_dry_run_has_used_is_no_place_of_the_dead(void **state)
{
	struct weir_request r;
	uint64_t wake;

	(void)state;
	fixed_rate(1, 1);
	gate.dry_run = true;
	for (int i = 0; i < 10; i++) {
		go(&r);
		end(&r, WEIR_SUCCEEDED, 0);
	}
	gate.dry_run = false;
	assert_int_equal(weir_gate_requeue(&segment, room, clock_now), 0);
	assert_int_equal(begin(&r, &wake), WEIR_WAIT);
	assert_in_range(r.until_ns, now + 10 * SECOND - MS, now + 10 * SECOND + MS);
	weir_gate_cancel(&gate, &r, now);
}

static void less_than_a_second_is_not_worth_it(void **state)
{
	struct weir_request r[8];
	uint64_t wake;

	(void)state;
	fixed_rate(10, 1);
	for (int i = 0; i < 8; i++)
		(void)begin(&r[i], &wake);
	for (int i = 1; i < 8; i++)
		bury(&r[i]);
	assert_int_equal(weir_gate_requeue(&segment, room, clock_now), 0);
}

static void a_unit_of_the_old_numbering_is_not_given_back_into_the_new_one(void **state)
{
	struct weir_request next;
	uint64_t wake, tail;

	(void)state;
	queue_up();
	for (int i = 0; i < WAITING - 1; i++)
		bury(&waiter[i]);
	assert_int_equal(weir_gate_requeue(&segment, room, clock_now), 1);
	assert_int_equal(begin(&next, &wake), WEIR_WAIT);
	/* However it comes about, the tail is at the number that the old waiter has. */
	tail = waiter[WAITING - 1].scope[0].unit[0];
	atomic_store(&entry()->bucket[0].tail, tail);
	weir_gate_cancel(&gate, &waiter[WAITING - 1], now);
	assert_int_equal(atomic_load(&entry()->bucket[0].tail), tail);
	weir_gate_cancel(&gate, &next, now);
}

/* Threads that wait for their turn, each of which leaves places of the dead behind it, while the numbering changes all the time:
 * no more go than the rate allows. */
#define THREADS 4
#define DEAD    30
#define RATE    20
#define BURST   1
#define TURNS   50            /* two and a half seconds of the rate, when the machine keeps up with it */
#define LONG_NS (30 * SECOND) /* when it does not */

static _Atomic bool over;
static _Atomic uint64_t went;

static void *live(void *unused)
{
	struct weir_wish wish = {.host_port = HOST};
	struct weir_result good = {.outcome = WEIR_SUCCEEDED, .latency_ns = MS};

	(void)unused;
	while (!atomic_load(&over)) {
		struct weir_request r, dead[DEAD];
		uint64_t wake;
		enum weir_verdict v = weir_gate_begin(&gate, &r, &wish, weir_now_ns(), &wake);

		while (v == WEIR_WAIT && !atomic_load(&over))
			v = weir_gate_look(&gate, &r, weir_now_ns(), &wake);
		if (v != WEIR_GO) {
			weir_gate_cancel(&gate, &r, weir_now_ns());
			break;
		}
		atomic_fetch_add(&went, 1);
		weir_gate_settle(&gate, &r, &good, weir_now_ns());
		for (int i = 0; i < DEAD; i++) {
			if (weir_gate_begin(&gate, &dead[i], &wish, weir_now_ns(), &wake) == WEIR_WAIT)
				bury(&dead[i]);
			else
				weir_gate_cancel(&gate, &dead[i], weir_now_ns());
		}
	}
	return NULL;
}

static void numbering_anew_lets_nobody_through_too_early(void **state)
{
	pthread_t thread[THREADS];
	uint64_t begun = weir_now_ns(), shortened = 0;
	double most;

	(void)state;
	fixed_rate(RATE, BURST);
	atomic_store(&over, false);
	atomic_store(&went, 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, live, NULL), 0);
	while (atomic_load(&went) < TURNS && weir_now_ns() - begun < LONG_NS) {
		shortened += weir_gate_requeue(&segment, room, weir_now_ns);
		usleep(500);
	}
	atomic_store(&over, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	most = BURST + RATE * (double)(weir_now_ns() - begun) / 1e9;
	print_message("%d went of %.0f, %d times numbered anew\n", (int)atomic_load(&went), most, (int)shortened);
	assert_true((double)atomic_load(&went) <= most);
	assert_true(atomic_load(&went) >= TURNS);
	assert_true(shortened > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_queue_of_the_living_stays_as_it_is, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_queue_of_the_dead_is_gone, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(those_who_live_move_up, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(nobody_who_had_a_place_is_refused_for_it, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(deaths_more_often_than_turns_starve_nobody, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(what_a_redirect_has_used_is_no_place_of_the_dead, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(what_a_dry_run_has_used_is_no_place_of_the_dead, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(less_than_a_second_is_not_worth_it, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_unit_of_the_old_numbering_is_not_given_back_into_the_new_one, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(numbering_anew_lets_nobody_through_too_early, open_gate, close_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
