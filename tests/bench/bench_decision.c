/* SPDX-License-Identifier: MIT */
/*
 * What a decision costs: begin + settle of one host in a shared segment, against one clock_gettime and one compare-and-swap in
 * shared memory, in alternating batches of the same run. Bound: 5 times. The request takes the whole way of an admitted one:
 * entry lookup, lease, fixed-rate bucket, permit, breaker, histogram, window, controller.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "samples.h"
#include "weir/gate.h"

#define BATCHES 401
#define BATCH   2000
#define BOUND   5.0

static struct weir_segment segment;
static struct weir_gate gate;

static void set_up(bool limited)
{
	struct weir_geometry g = {0};
	size_t bytes = weir_segment_bytes(&g);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct weir_rule rule;

	if (memory == MAP_FAILED || !weir_segment_format(&segment, memory, bytes, &g, NULL, 1))
		exit(2);
	weir_rule_defaults(&rule);
	strcpy(rule.match, "*");
	if (limited) {
		rule.rate.strategy = WEIR_FIXED;
		rule.rate.max = 50000000 * WEIR_RATE_ONE;
		rule.rate.burst = 1000000;
	}
	weir_policy_publish(&segment, &rule, 1, NULL, NULL, 0, false, 1);
	gate.segment = &segment;
	weir_owner_self(&gate.owner);
}

static uint64_t decisions(void)
{
	struct weir_wish wish = {.host_port = "api.example.org:443", .thread = (uint32_t)getpid()};
	struct weir_result ok = {.outcome = WEIR_SUCCEEDED};
	struct weir_request r;
	uint64_t begun = clock_ns(), wake;

	for (int i = 0; i < BATCH; i++) {
		if (weir_gate_begin(&gate, &r, &wish, weir_now_ns(), &wake) != WEIR_GO)
			exit(3);
		wish.lease_hint = r.lease;
		weir_gate_settle(&gate, &r, &ok, r.begun_ns + 100000);
	}
	return (clock_ns() - begun) / BATCH;
}

static uint64_t yardstick(void)
{
	_Atomic uint64_t *word = (_Atomic uint64_t *)&segment.header->agent_spawn_ns;
	uint64_t begun = clock_ns();

	for (int i = 0; i < BATCH; i++) {
		uint64_t seen = atomic_load(word);

		atomic_compare_exchange_strong(word, &seen, weir_now_ns());
	}
	return (clock_ns() - begun) / BATCH;
}

static double ratio(const char *what, bool limited)
{
	static uint64_t a[BATCHES], b[BATCHES];
	uint64_t decision, clock_and_cas;

	set_up(limited);
	for (int i = 0; i < BATCHES; i++) {
		a[i] = decisions();
		b[i] = yardstick();
	}
	decision = median(a, BATCHES);
	clock_and_cas = median(b, BATCHES);
	printf("decision: %-22s admit + settle %llu ns, clock + CAS %llu ns, ratio %.2f (bound %.0f)\n", what,
	       (unsigned long long)decision, (unsigned long long)clock_and_cas, (double)decision / (double)clock_and_cas, BOUND);
	return (double)decision / (double)clock_and_cas;
}

int main(void)
{
	double unlimited = ratio("no limit in force:", false), limited = ratio("a fixed rate in force:", true);

	return unlimited <= BOUND && limited <= BOUND ? 0 : 1;
}
