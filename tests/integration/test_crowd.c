/* SPDX-License-Identifier: MIT */
/*
 * A crowd of processes that wait: what it costs. Each is a process of its own that asks the gate as a hook does. What is counted
 * is how often they were woken (voluntary context switches), which a busy machine does not change.
 *
 * WEIR_CROWD=1000 build/tests/integration/test_crowd: the long form, which also says how much of a processor the crowd took.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "weir/gate.h"

#define HOST     "api.example.org:443"
#define MS       UINT64_C(1000000)
#define SECOND   UINT64_C(1000000000)
#define PATIENCE (120 * SECOND)
#define MOST     2000

static struct weir_segment segment;
static struct weir_rule rule;
static unsigned crowd;
static pid_t pid[MOST];

/* What they tell. */
static struct told {
	_Atomic uint32_t gone;
} * told;

static void publish(void)
{
	weir_policy_publish(&segment, &rule, 1, NULL, NULL, 0, false, 1);
}

static int open_all(void **state)
{
	struct weir_geometry g = {.entries = 16, .leases = 4096, .events = 64, .rules = 2};
	size_t bytes = weir_segment_bytes(&g);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)state;
	told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || told == MAP_FAILED || !weir_segment_format(&segment, memory, bytes, &g, NULL, 1))
		return -1;
	crowd = getenv("WEIR_CROWD") != NULL ? (unsigned)strtoul(getenv("WEIR_CROWD"), NULL, 10) : 150;
	crowd = crowd < 10 ? 10 : crowd > MOST ? MOST : crowd;
	weir_rule_defaults(&rule);
	strcpy(rule.match, "*");
	rule.wait_max_ns = 3600 * SECOND;
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	munmap(segment.base, segment.bytes);
	munmap(told, sizeof *told);
	memset(&segment, 0, sizeof segment);
	return 0;
}

static struct weir_gate gate_of_this_process(void)
{
	struct weir_gate g = {.segment = &segment};

	weir_owner_self(&g.owner);
	return g;
}

static void rest(uint64_t ns)
{
	struct timespec t = {(time_t)(ns / SECOND), (long)(ns % SECOND)};

	nanosleep(&t, NULL);
}

/* One of the crowd comes, waits, goes, and is done. */
static void come(void)
{
	struct weir_gate g = gate_of_this_process();
	struct weir_wish wish = {.host_port = HOST};
	struct weir_result good = {.outcome = WEIR_SUCCEEDED, .latency_ns = MS};
	struct weir_request r;

	if (weir_gate_admit(&g, &r, &wish) != WEIR_GO)
		_exit(1);
	atomic_fetch_add(&told->gone, 1);
	weir_gate_settle(&g, &r, &good, weir_now_ns());
	_exit(0);
}

static void until_so_many_have_gone(uint32_t count)
{
	uint64_t until = weir_now_ns() + PATIENCE;

	while (atomic_load(&told->gone) < count) {
		assert_true(weir_now_ns() < until);
		rest(MS);
	}
}

/* So long those who live have run, in ns. */
static uint64_t ran_ns(void)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < crowd; i++) {
		char path[48];
		unsigned long long ns = 0;
		FILE *f;

		snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid[i]);
		f = fopen(path, "r");
		if (f == NULL)
			continue;
		if (fscanf(f, "%llu", &ns) == 1)
			all += ns;
		fclose(f);
	}
	return all;
}

/* By hand: what it costs that they wait while nothing happens. */
static void watch(const char *what)
{
	uint64_t ran, began;

	if (getenv("WEIR_CROWD") == NULL)
		return;
	rest(2 * SECOND);
	ran = ran_ns();
	began = weir_now_ns();
	rest(10 * SECOND);
	ran = ran_ns() - ran;
	print_message("%u wait %s: %.2f %% of a core\n", crowd, what, 100.0 * (double)ran / (double)(weir_now_ns() - began));
}

/* How often all of them slept and woke, from beginning to end. */
static long wakes_of_all(void)
{
	struct rusage u;

	getrusage(RUSAGE_CHILDREN, &u);
	return u.ru_nvcsw;
}

static void disperse(void)
{
	for (unsigned i = 0; i < crowd; i++) {
		kill(pid[i], SIGKILL);
		assert_int_equal(waitpid(pid[i], NULL, 0), pid[i]);
	}
}

static void a_unit_of_the_rate_wakes_nobody_else(void **state)
{
	uint64_t began, took;
	long wakes;

	(void)state;
	rule.rate.strategy = WEIR_FIXED;
	rule.rate.max = 50 * WEIR_RATE_ONE;
	rule.rate.burst = 1;
	rule.concurrency.mode = WEIR_CONCURRENCY_OFF;
	publish();
	wakes = wakes_of_all();
	began = weir_now_ns();
	for (unsigned i = 0; i < crowd; i++) {
		pid[i] = fork();
		assert_int_not_equal(pid[i], -1);
		if (pid[i] == 0)
			come();
	}
	until_so_many_have_gone(60);
	watch("for a unit at 50/s");
	disperse();
	took = weir_now_ns() - began;
	wakes = wakes_of_all() - wakes;
	if (getenv("WEIR_CROWD") != NULL)
		print_message("%.1f wake-ups each in %.2f s\n", (double)wakes / crowd, (double)took / 1e9);
	/* Each that goes is a request that is over: where that wakes all it is 30 wake-ups and more. */
	assert_true((uint64_t)wakes <= crowd * (12 + 2 * took / SECOND));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_unit_of_the_rate_wakes_nobody_else, open_all, close_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
