/* SPDX-License-Identifier: MIT */
/* Requests that pass several limits: none is ever exceeded, in any window, whoever is late, gives up or dies. */
#include "gate_bench.h"

#define LOOPS   24
#define CLIENTS 3
#define LIMITS  (2 + CLIENTS) /* the host's, the narrowed rule's, each client's */
#define SLACK_S .021          /* what departures may be late, and a millisecond of this clock */
#define RUN_NS  (30 * SECOND)

static struct weir_rule rules[3]; /* the host's, a narrowed one, the defaults */
static struct weir_request waiter[LOOPS];
static uint64_t wake[LOOPS], stopped[LOOPS];

/* A bucket of the test's own, in seconds: what has gone and has not drained. */
static struct {
	double rate, burst, level, at_s;
	unsigned gone;
} limit[LIMITS];

static uint64_t dice;

static uint64_t roll(uint64_t sides)
{
	dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (dice >> 33) % sides;
}

static void set_limit(unsigned which, double rate, double burst)
{
	limit[which].rate = rate;
	limit[which].burst = burst;
	limit[which].level = 0;
	limit[which].at_s = (double)now / 1e9;
	limit[which].gone = 0;
}

static void passes(unsigned which, uint64_t seed)
{
	double at_s = (double)now / 1e9, drained = limit[which].level - limit[which].rate * (at_s - limit[which].at_s);

	limit[which].level = (drained > 0 ? drained : 0) + 1;
	limit[which].at_s = at_s;
	limit[which].gone++;
	if (limit[which].level > limit[which].burst + limit[which].rate * SLACK_S + 1e-6)
		fail_msg("seed %llu: limit %u is exceeded at %.3f s: %.3f", (unsigned long long)seed, which, at_s,
			 limit[which].level);
}

static void draw_rules(void)
{
	for (int i = 0; i < 3; i++) {
		weir_rule_defaults(&rules[i]);
		rules[i].flags = WEIR_RULE_LIMITS_RATE;
		rules[i].concurrency.mode = WEIR_CONCURRENCY_OFF;
		rules[i].rate.strategy = WEIR_FIXED;
		rules[i].rate.min = 0;
		rules[i].wait_max_ns = 20 * SECOND;
		strcpy(rules[i].match, i < 2 ? HOST : "*");
	}
	set_limit(0, (double)(2 + roll(40)), (double)(1 + roll(3)));
	set_limit(1, (double)(1 + roll(30)), (double)(1 + roll(3)));
	rules[2].flags = 0;
	for (int i = 0; i < 2; i++) {
		rules[i].rate.max = (uint64_t)limit[i].rate * WEIR_RATE_ONE;
		rules[i].rate.burst = (uint32_t)limit[i].burst;
	}
	set_limit(2, (double)(1 + roll(20)), (double)(1 + roll(3)));
	for (unsigned c = 1; c < CLIENTS; c++)
		set_limit(2 + c, limit[2].rate, limit[2].burst);
	rules[0].narrow.client_rate = (uint64_t)limit[2].rate * WEIR_RATE_ONE;
	rules[0].narrow.client_burst = (uint32_t)limit[2].burst;
	rules[1].narrow.flags = WEIR_NARROW_IS;
	strcpy(rules[1].narrow.path, "/search/*");
	rules[0].narrow.first = 1;
	rules[0].narrow.count = 1;
	weir_policy_publish(&segment, rules, 3, NULL, NULL, 0, false, 1);
}

/* Every second loop asks what the narrowed rule is for. */
static void live(unsigned i, bool classes, uint64_t seed)
{
	struct weir_wish wish = {.host_port = HOST, .asks = {i % 2 == 0 ? "/search/a" : "/x", i % 2 == 0 ? 9 : 2, 0}};
	enum weir_verdict v;

	snprintf(gate.client, sizeof gate.client, "client%u", i % CLIENTS);
	gate.priority = classes ? 1 + i % WEIR_CLASSES : 0;
	if (waiter[i].phase == WEIR_PHASE_WAITING) {
		v = weir_gate_look(&gate, &waiter[i], now, &wake[i]);
	} else {
		v = weir_gate_begin(&gate, &waiter[i], &wish, now, &wake[i]);
	}
	if (v == WEIR_GO) {
		passes(0, seed);
		if (i % 2 == 0)
			passes(1, seed);
		passes(2 + i % CLIENTS, seed);
		end(&waiter[i], WEIR_SUCCEEDED, 0);
	} else if (v == WEIR_WAIT && roll(60) == 0) {
		weir_gate_cancel(&gate, &waiter[i], now);
	} else if (v == WEIR_WAIT && roll(60) == 0) { /* it dies */
		weir_lease_free(&segment, waiter[i].lease, waiter[i].lease_tag, waiter[i].owner_pid);
		memset(&waiter[i], 0, sizeof waiter[i]);
	}
	stopped[i] = roll(20) == 0 ? now + roll(2000) * MS : 0;
}

static void run(bool classes)
{
	for (uint64_t seed = 1; seed <= 25; seed++) {
		uint64_t end_ns;
		void *state = NULL;
		double span_s = (double)RUN_NS / 1e9;

		assert_int_equal(open_gate(&state), 0);
		dice = seed * 77 + classes;
		draw_rules();
		memset(waiter, 0, sizeof waiter);
		memset(wake, 0, sizeof wake);
		memset(stopped, 0, sizeof stopped);
		for (end_ns = now + RUN_NS; now < end_ns; now += MS)
			for (unsigned i = 0; i < LOOPS; i++)
				if (stopped[i] <= now && (waiter[i].phase != WEIR_PHASE_WAITING || wake[i] <= now))
					live(i, classes, seed);
		/* And it is used: who dies, gives up and is stopped in the midst costs a part of it. */
		if (limit[0].gone < .3 * span_s && limit[2].gone < .3 * span_s && limit[1].gone < .3 * span_s)
			fail_msg("seed %llu: %u, %u, %u went", (unsigned long long)seed, limit[0].gone, limit[1].gone,
				 limit[2].gone);
		close_gate(&state);
	}
}

static void no_limit_of_several_is_exceeded_in_any_window(void **state)
{
	(void)state;
	run(false);
}

static void nor_where_there_are_classes(void **state)
{
	(void)state;
	run(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_limit_of_several_is_exceeded_in_any_window),
		cmocka_unit_test(nor_where_there_are_classes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
