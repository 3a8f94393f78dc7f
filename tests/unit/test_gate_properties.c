/* SPDX-License-Identifier: MIT */
/* Random walks over the gate, a million steps each: what must hold whatever happens in whatever order. The seed is printed;
 * WEIR_SEED=N repeats a walk. */
#include "gate_bench.h"

#include <sys/wait.h>
#include <time.h>

#define STEPS    1000000L
#define REQUESTS 24
#define RATE     20 /* per second */
#define BURST    4
#define PERMITS  6
#define KEPT     512 /* admissions remembered */

static unsigned seed;
static struct weir_request request[REQUESTS];
static bool in_use[REQUESTS];
static uint64_t gone[KEPT];
static long admitted, walks_holds;
static uint64_t hold_until;
static struct weir_owner mortal; /* a process that is dead: whatever it leaves is the reaper's */

static long requeues;
static struct weir_occupancy room[65];

static uint64_t clock_now(void)
{
	return now;
}

static unsigned dice(unsigned sides)
{
	return (unsigned)rand_r(&seed) % sides;
}

static void set_seed(void)
{
	const char *given = getenv("WEIR_SEED");

	seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
	print_message("seed %u\n", seed);
}

static void note_admission(void)
{
	gone[admitted++ % KEPT] = now;
	/* never inside a hold */
	assert_true(now >= hold_until);
	/* never more than burst + rate x time, in windows that end now; LATE_NS of look.c lets a unit be used 20 ms after its
	 * time */
	for (long k = BURST + 2; k <= admitted && k <= KEPT; k = k * 3 / 2) {
		double span = (double)(now - gone[(admitted - k) % KEPT]) / 1e9;

		assert_true((double)k <= BURST + RATE * (span + 0.02) + 1);
	}
}

static void step_request(int i)
{
	uint64_t wake;

	if (!in_use[i]) {
		enum weir_verdict v = begin(&request[i], &wake);

		if (v == WEIR_GO)
			note_admission();
		in_use[i] = v != WEIR_REFUSE;
	} else if (request[i].phase == WEIR_PHASE_WAITING) {
		if (dice(50) == 0) {
			weir_gate_cancel(&gate, &request[i], now);
			in_use[i] = false;
			return;
		}
		switch (weir_gate_look(&gate, &request[i], now, &wake)) {
		case WEIR_GO:
			note_admission();
			break;
		case WEIR_REFUSE:
			in_use[i] = false;
			break;
		case WEIR_WAIT:
			break;
		}
	} else {
		enum weir_outcome outcome = dice(30) == 0   ? WEIR_THROTTLED
					    : dice(40) == 0 ? WEIR_FAILED
					    : dice(50) == 0 ? WEIR_IGNORED
							    : WEIR_SUCCEEDED;
		uint64_t hold = outcome == WEIR_THROTTLED && dice(4) == 0 ? (1 + dice(5000)) * MS : 0;

		end(&request[i], outcome, hold);
		if (hold != 0) {
			walks_holds++;
			hold_until = now + hold > hold_until ? now + hold : hold_until;
		}
		in_use[i] = false;
	}
}

static void abandon(int i)
{
	if (in_use[i]) { /* its process is killed: the lease is the dead one's, and nobody ends the request */
		if (request[i].lease != WEIR_NONE) {
			struct weir_lease *l = &segment.lease[request[i].lease];
			uint64_t w = atomic_load(&l->word);

			atomic_store(&l->word, (uint64_t)mortal.pid << 32 | (w & UINT32_MAX));
		}
		in_use[i] = false;
	}
}

/* One, or everybody: Ctrl-C on the whole queue. */
static void abandon_some(void)
{
	if (dice(20) != 0) {
		abandon((int)dice(REQUESTS));
		return;
	}
	for (int i = 0; i < REQUESTS; i++)
		abandon(i);
}

/* What the agent does. */
static void tend(void)
{
	weir_lease_reap(&segment, &gate.owner, false, now);
	requeues += weir_gate_requeue(&segment, room, clock_now);
}

/* Everything is over: what was counted adds up, and nothing is held. */
static void assert_quiet(void)
{
	struct weir_counters *c = &entry()->counters;
	struct weir_rate *rate = &entry()->rate;

	for (int i = 0; i < REQUESTS; i++)
		if (in_use[i]) {
			weir_gate_cancel(&gate, &request[i], now);
			in_use[i] = false;
		}
	weir_lease_reap(&segment, &gate.owner, false, now);
	assert_int_equal(weir_concurrency_count(&entry()->concurrency), 0);
	for (uint32_t i = 0; i < segment.leases; i++)
		assert_int_equal(atomic_load(&segment.lease[i].word) & 0xf, WEIR_LEASE_FREE);
	assert_int_equal(atomic_load(&c->admitted), atomic_load(&rate->accepted) + atomic_load(&rate->throttled) +
							    atomic_load(&rate->failed) + atomic_load(&c->ignored));
	assert_int_equal(atomic_load(&c->admitted), admitted);
}

static void walk(bool fixed)
{
	set_seed();
	admitted = walks_holds = 0;
	hold_until = 0;
	memset(in_use, 0, sizeof in_use);
	rule.concurrency = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = PERMITS};
	rule.breaker.failures = 3;
	rule.wait_max_ns = 20 * SECOND;
	rule.rate.strategy = fixed ? WEIR_FIXED : WEIR_ADAPTIVE;
	rule.rate.min = RATE * WEIR_RATE_ONE; /* adaptive is pinned by min = max once it has a reason; fixed throughout */
	rule.rate.max = RATE * WEIR_RATE_ONE;
	rule.rate.burst = BURST;
	publish();
	for (long step = 0; step < STEPS; step++) {
		unsigned d = dice(1000);

		if (d < 500)
			now += dice(20) * MS;
		else if (d < 990)
			step_request((int)dice(REQUESTS));
		else if (d < 996)
			abandon_some();
		else if (d < 999)
			tend();
		else
			publish(); /* a new generation of the same policy */
		assert_true(weir_concurrency_count(&entry()->concurrency) <= PERMITS);
	}
	print_message("%ld admitted, %ld holds\n", admitted, walks_holds);
	assert_true(admitted > 10000);
	assert_true(walks_holds > 10);
	print_message("%ld queues numbered anew\n", requeues);
	assert_true(requeues > 10);
	assert_quiet();
}

static void a_fixed_rate_a_hold_and_the_permits_are_never_exceeded(void **state)
{
	struct weir_request first;

	(void)state;
	fixed_rate(RATE, BURST);
	go(&first); /* the entry exists from here on */
	weir_gate_cancel(&gate, &first, now);
	weir_gate_reset(&segment, HOST, now);
	now += 60 * SECOND;
	atomic_store(&entry()->counters.admitted, 0);
	atomic_store(&entry()->counters.ignored, 0);
	walk(true);
}

/* A server that answers well for a while is used again, whatever came before. */
static void a_healthy_server_is_always_used_again(void **state)
{
	struct weir_request r;
	uint64_t wake;
	int recoveries = 0;

	(void)state;
	set_seed();
	rule.flags &=
		~(uint32_t)WEIR_RULE_LIMITS_RATE; /* of the breaker alone: a learned rate may be slower than anybody's patience */
	publish();
	for (long step = 0; step < STEPS; recoveries++) {
		int bad = (int)dice(40), patience = 0;

		for (int i = 0; i < bad; i++, step++) {
			if (begin(&r, &wake) == WEIR_GO) {
				now += dice(50) * MS;
				end(&r, dice(3) == 0 ? WEIR_THROTTLED : WEIR_FAILED, 0);
			} else {
				weir_gate_cancel(&gate, &r, now);
			}
			now += dice(3000) * MS;
		}
		/* healthy from here: within two minutes three requests in a row are answered */
		for (int good = 0; good < 3; step++) {
			enum weir_verdict v = begin(&r, &wake);

			while (v == WEIR_WAIT && patience++ < 2000) {
				now = wake;
				v = weir_gate_look(&gate, &r, now, &wake);
			}
			if (v == WEIR_GO) {
				now += MS;
				end(&r, WEIR_SUCCEEDED, 0);
				good++;
			} else {
				good = 0;
				now += SECOND / 4;
				if (patience++ >= 2000)
					fail_msg("step %ld: still refused: %s, until %.1f s from now, pace %.6f/s", step,
						 weir_cause_name(r.cause), ((double)r.until_ns - (double)now) / 1e9,
						 (double)weir_bucket_pace(&entry()->bucket[0]).rate / 1e9);
			}
		}
		assert_int_equal(weir_breaker_view(&entry()->breaker, &rule.breaker, now).state, WEIR_BREAKER_CLOSED);
	}
	print_message("%d recoveries\n", recoveries);
}

static int find_a_dead_pid(void **state)
{
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(0);
	weir_owner_self(&mortal);
	mortal.pid = (uint32_t)child;
	waitpid(child, NULL, 0);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_fixed_rate_a_hold_and_the_permits_are_never_exceeded, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_healthy_server_is_always_used_again, open_gate, close_gate),
	};

	return cmocka_run_group_tests(tests, find_a_dead_pid, NULL);
}
