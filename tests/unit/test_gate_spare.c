/* SPDX-License-Identifier: MIT */
/* The spares of a full table, step by step: many at once in one set of them, and processes that die between two steps. */
#include "lockstep.h"

#include "src/gate/spare.c" /* NOLINT(bugprone-suspicious-include) */

#include "gate_bench.h"

#define THREADS LOCKSTEP_MAX
#define HOSTS   12U
#define ROUNDS  100U
#define BURST   2U
#define SEEDS   5U

static uint64_t seed;
static bool kills;
static unsigned steps_to_live[THREADS];
static jmp_buf death[THREADS];

static uint32_t draw(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 33) % below;
}

static unsigned choose_any(unsigned me)
{
	if (kills && steps_to_live[me] != 0 && --steps_to_live[me] == 0)
		longjmp(death[me], 1);
	return draw(8) == 0 ? draw(THREADS) : me;
}

/* The times that were given out for each host. */
static struct {
	uint64_t ready[ROUNDS * THREADS];
	unsigned n;
} given[HOSTS + 1];

static const struct rate two_per_second[WEIR_RATES] = {{500 * MS, (BURST - 1) * 500 * MS}};

static void take_for(unsigned host)
{
	char key[16];
	uint64_t ready;

	snprintf(key, sizeof key, "host%u:80", host);
	ready = take(&segment, key, two_per_second, UINT64_MAX, now);
	given[host].ready[given[host].n++] = ready;
}

static void ask_once(unsigned me)
{
	steps_to_live[me] = kills && draw(4) == 0 ? 1 + draw(150) : 0;
	if (setjmp(death[me]) == 0)
		take_for(draw(HOSTS));
}

static int by_time(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Units of one host, in any order of arrival: burst + n of them take at least n times the distance. */
static void assert_rate_held(unsigned host)
{
	uint64_t *ready = given[host].ready;

	qsort(ready, given[host].n, sizeof *ready, by_time);
	for (unsigned i = 0; i + BURST < given[host].n; i++)
		if (ready[i + BURST] - ready[i] < 500 * MS)
			fail_msg("host %u: %u units within %llu ns", host, BURST + 1,
				 (unsigned long long)(ready[i + BURST] - ready[i]));
}

static void many_at_once(bool with_kills, uint64_t from)
{
	kills = with_kills;
	seed = from * UINT64_C(88172645463325252) + 1;
	segment.spares = WAYS; /* room for each of them, and not for many more */
	memset(given, 0, sizeof given);
	for (unsigned round = 0; round < ROUNDS; round++, now += 100 * MS) {
		lockstep_run(THREADS, ask_once, choose_any);
		/* A host of its own that asks once a second is never made to wait by the others. */
		if (round % 10 == 0) {
			take_for(HOSTS);
			assert_int_equal(given[HOSTS].ready[given[HOSTS].n - 1], now);
		}
	}
	for (unsigned h = 0; h < HOSTS; h++) {
		assert_true(given[h].n > ROUNDS / HOSTS);
		assert_rate_held(h);
	}
}

static void whoever_asks_at_once_each_host_keeps_to_its_rate(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= SEEDS; i++, now += 1000 * SECOND)
		many_at_once(false, i);
}

static void whoever_dies_at_a_step_each_host_keeps_to_its_rate(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= SEEDS; i++, now += 1000 * SECOND)
		many_at_once(true, i);
}

/* One set of spares, more hosts than it has room for: each step of a taker meets another host that takes its spare. */
static unsigned step, steal_at;

static void steal(void)
{
	const struct rate slow[WEIR_RATES] = {{1000 * SECOND, 0}};
	void (*again)(void) = lockstep_meanwhile;
	char key[32];

	if (step++ != steal_at)
		return;
	lockstep_meanwhile = NULL;
	for (unsigned i = 0; i < 4 * WAYS; i++) {
		snprintf(key, sizeof key, "thief%u:80", i);
		take(&segment, key, slow, UINT64_MAX, now);
	}
	lockstep_meanwhile = again;
}

static void a_spare_that_is_given_away_at_any_step_delays_neither(void **state)
{
	const struct rate slow[WEIR_RATES] = {{1000 * SECOND, 0}};
	const struct rate quick[WEIR_RATES] = {{SECOND, 0}};
	char key[32];

	(void)state;
	segment.spares = WAYS; /* both sets are one */
	for (steal_at = 0;; steal_at++, now += 10000 * SECOND) {
		step = 0;
		lockstep_meanwhile = steal;
		take(&segment, "mine:80", quick, UINT64_MAX, now);
		lockstep_meanwhile = NULL;
		/* Ours is a second at most, never a thief's thousand. */
		assert_true(take(&segment, "mine:80", quick, UINT64_MAX, now) <= now + SECOND);
		/* And whoever comes anew is not delayed by what either has left. */
		for (unsigned i = 0; i < 2 * WAYS; i++) {
			snprintf(key, sizeof key, "new%u:80", i);
			assert_int_equal(take(&segment, key, slow, UINT64_MAX, now), now);
		}
		if (step <= steal_at)
			break;
	}
	assert_true(steal_at > 30);
}

#define with_gate(test) cmocka_unit_test_setup_teardown(test, open_gate, close_gate)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_gate(whoever_asks_at_once_each_host_keeps_to_its_rate),
		with_gate(whoever_dies_at_a_step_each_host_keeps_to_its_rate),
		with_gate(a_spare_that_is_given_away_at_any_step_delays_neither),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
