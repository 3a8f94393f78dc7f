/* SPDX-License-Identifier: MIT */
/*
 * What a decision costs: begin + settle of one host in a shared segment, against one clock_gettime and one compare-and-swap in
 * shared memory, in alternating batches of the same run. Bound: 5 times. The request takes the whole way of an admitted one:
 * entry lookup, lease, fixed-rate bucket, permit, breaker, histogram, window, controller.
 *
 * And what it costs at a host whose requests are of all three classes and count towards a quota in a ledger on disk, against the
 * same without, in alternating batches again. Bound: 1.15 times.
 */
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "samples.h"
#include "src/policy/allowance.h"
#include "weir/gate.h"
#include "weir/ledger.h"

#define BATCHES 401
#define BATCH   2000
#define BOUND   5.0
#define MORE    1.15
#define QUOTA   "100000000/day UTC"

static struct weir_segment segment;
static struct weir_gate gate;
static struct weir_ledger ledger;

static const struct weir_ledger *the_ledger(void)
{
	return &ledger;
}

static void set_up(bool limited, const char *quota)
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
	if (quota != NULL && weir_allowance_parse(&rule.allowances, quota, (uint64_t)time(NULL)) != NULL)
		exit(2);
	weir_policy_publish(&segment, &rule, 1, NULL, NULL, 0, false, 1);
	gate.segment = &segment;
	weir_owner_self(&gate.owner);
}

/* classes: one request after the other is of another one. */
static uint64_t decisions(unsigned classes)
{
	struct weir_wish wish = {.host_port = "api.example.org:443", .thread = (uint32_t)getpid()};
	struct weir_result ok = {.outcome = WEIR_SUCCEEDED};
	struct weir_request r;
	uint64_t begun = clock_ns(), wake;

	for (unsigned i = 0; i < BATCH; i++) {
		gate.priority = classes > 1 ? 1 + i % classes : 0;
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

	set_up(limited, NULL);
	for (int i = 0; i < BATCHES; i++) {
		a[i] = decisions(1);
		b[i] = yardstick();
	}
	decision = median(a, BATCHES);
	clock_and_cas = median(b, BATCHES);
	printf("decision: %-22s admit + settle %llu ns, clock + CAS %llu ns, ratio %.2f (bound %.0f)\n", what,
	       (unsigned long long)decision, (unsigned long long)clock_and_cas, (double)decision / (double)clock_and_cas, BOUND);
	return (double)decision / (double)clock_and_cas;
}

/* What classes (1: none) and a quota (NULL: none) add. */
static double with(const char *what, unsigned classes, const char *quota)
{
	static uint64_t a[BATCHES], b[BATCHES];
	struct weir_segment with, without;
	uint64_t more, plain;

	set_up(true, NULL);
	without = segment;
	set_up(true, quota);
	with = segment;
	with.ledger = the_ledger;
	for (int i = 0; i < BATCHES; i++) {
		segment = with;
		a[i] = decisions(classes);
		segment = without;
		b[i] = decisions(1);
	}
	more = median(a, BATCHES);
	plain = median(b, BATCHES);
	printf("decision: %-22s admit + settle %llu ns, without %llu ns, ratio %.2f\n", what, (unsigned long long)more,
	       (unsigned long long)plain, (double)more / (double)plain);
	return (double)more / (double)plain;
}

/* The quota's ledger is a file, as it is where programs run. */
static double with_classes_and_quota(void)
{
	char directory[] = "/tmp/weir-bench-XXXXXX", path[64];
	const char *why;
	double more;
	int err;

	if (mkdtemp(directory) == NULL)
		exit(2);
	snprintf(path, sizeof path, "%s/ledger", directory);
	if (!weir_ledger_open(&ledger, path, &why, &err))
		exit(2);
	with("three classes:", 3, NULL);
	with("a quota:", 1, QUOTA);
	more = with("both:", 3, QUOTA);
	weir_ledger_close(&ledger);
	unlink(path);
	rmdir(directory);
	return more;
}

int main(void)
{
	double unlimited = ratio("no limit in force:", false), limited = ratio("a fixed rate in force:", true);

	return with_classes_and_quota() <= MORE && unlimited <= BOUND && limited <= BOUND ? 0 : 1;
}
