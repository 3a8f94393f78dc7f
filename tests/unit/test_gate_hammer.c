/* SPDX-License-Identifier: MIT */
/* Clients that do not wait: they are refused at once and ask again at once. Whatever they do, they must not use up what those who
 * wait have coming to them. With real threads, because what is at stake is a race. */
#include "gate_bench.h"

#include <pthread.h>

#define HAMMERS 4
#define RATE    10
#define RUN_NS  (SECOND / 2)

static _Atomic bool over;
static _Atomic uint64_t refused;

/* Asks without end, with a millisecond's patience. */
static void *hammer(void *unused)
{
	struct weir_wish wish = {.host_port = HOST, .patience_ns = MS};
	struct weir_result good = {.outcome = WEIR_SUCCEEDED, .latency_ns = MS};
	struct weir_request r;
	uint64_t wake;

	(void)unused;
	while (!atomic_load(&over)) {
		enum weir_verdict v = weir_gate_begin(&gate, &r, &wish, weir_now_ns(), &wake);

		if (v == WEIR_REFUSE)
			atomic_fetch_add(&refused, 1);
		else if (v == WEIR_GO)
			weir_gate_settle(&gate, &r, &good, weir_now_ns());
		else
			weir_gate_cancel(&gate, &r, weir_now_ns());
	}
	return NULL;
}

static void be_hammered(void)
{
	pthread_t thread[HAMMERS];
	uint64_t until = weir_now_ns() + RUN_NS;

	atomic_store(&over, false);
	atomic_store(&refused, 0);
	for (int i = 0; i < HAMMERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, hammer, NULL), 0);
	while (weir_now_ns() < until)
		usleep(10000);
	atomic_store(&over, true);
	for (int i = 0; i < HAMMERS; i++)
		pthread_join(thread[i], NULL);
	now = weir_now_ns();
	assert_true(atomic_load(&refused) > 100);
}

/* How long a request would have to wait for a unit of this bucket that arrives now. */
static double wait_s(unsigned bucket)
{
	uint64_t at = weir_bucket_preview_ns(&entry()->bucket[bucket], now);

	return at > now ? (double)(at - now) / 1e9 : 0;
}

static void begin_and_end_one(enum weir_outcome outcome, uint64_t retry_after_ns)
{
	struct weir_request r;

	now = weir_now_ns();
	go(&r);
	end(&r, outcome, retry_after_ns);
}

static void refusals_use_up_nothing(void **state)
{
	(void)state;
	fixed_rate(RATE, 1);
	begin_and_end_one(WEIR_SUCCEEDED, 0);
	be_hammered();
	/* The unit at hand, and the few that were taken when one was due within the millisecond. */
	assert_true(wait_s(0) <= (1.0 + HAMMERS) / RATE);
}

static void refusals_by_one_of_two_rates_use_up_nothing_of_the_other(void **state)
{
	(void)state;
	rule.fixed[0].rate = WEIR_RATE_ONE / 60;
	rule.fixed[0].burst = 1;
	fixed_rate(RATE, 1);
	begin_and_end_one(WEIR_SUCCEEDED, 0);
	be_hammered();
	assert_true(wait_s(0) <= (1.0 + HAMMERS) / RATE);
	assert_true(wait_s(1) <= 60.0);
}

static void refusals_during_a_hold_use_up_nothing(void **state)
{
	(void)state;
	fixed_rate(RATE, 1);
	begin_and_end_one(WEIR_THROTTLED, 30 * SECOND);
	be_hammered();
	assert_true(wait_s(0) <= 30 + (1.0 + HAMMERS) / RATE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(refusals_use_up_nothing, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(refusals_by_one_of_two_rates_use_up_nothing_of_the_other, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(refusals_during_a_hold_use_up_nothing, open_gate, close_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
