/* SPDX-License-Identifier: MIT */
/* What the gate's tests share: a segment in plain memory, a policy, a virtual clock. */
#ifndef WEIR_TESTS_GATE_BENCH_H
#define WEIR_TESTS_GATE_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "weir/gate.h"

#define MS     UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define HOST   "api.example.org:443"

static struct weir_segment segment;
static struct weir_gate gate;
static struct weir_rule rule; /* the one rule; change it, then publish() */
static struct weir_rule total;
static bool with_total;
static uint64_t now;

static void publish(void)
{
	weir_policy_publish(&segment, &rule, 1, with_total ? &total : NULL, NULL, 0, false, 1);
}

static inline int open_gate(void **state)
{
	struct weir_geometry g = {.entries = 64, .leases = 128, .events = 256, .rules = 8};
	size_t bytes = weir_segment_bytes(&g);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_true(weir_segment_format(&segment, memory, bytes, &g, NULL, 1));
	memset(&gate, 0, sizeof gate);
	gate.segment = &segment;
	weir_owner_self(&gate.owner);
	weir_rule_defaults(&rule);
	strcpy(rule.match, "*");
	with_total = false;
	now = 1000 * SECOND;
	return 0;
}

static inline int close_gate(void **state)
{
	(void)state;
	munmap(segment.base, segment.bytes);
	memset(&segment, 0, sizeof segment);
	return 0;
}

static inline enum weir_verdict begin(struct weir_request *r, uint64_t *wake)
{
	struct weir_wish wish = {.host_port = HOST};

	return weir_gate_begin(&gate, r, &wish, now, wake);
}

/* Begins a request that must go at once. */
static inline void go(struct weir_request *r)
{
	uint64_t wake;

	assert_int_equal(begin(r, &wake), WEIR_GO);
}

static inline void end(struct weir_request *r, enum weir_outcome outcome, uint64_t retry_after_ns)
{
	struct weir_result result = {.outcome = outcome, .retry_after_ns = retry_after_ns, .hold_cause = WEIR_CAUSE_RETRY_AFTER};

	weir_gate_settle(&gate, r, &result, now);
}

static inline struct weir_entry *entry(void)
{
	uint32_t slot = weir_entry_find(&segment, HOST);

	assert_int_not_equal(slot, WEIR_NONE);
	return &segment.entry[slot];
}

static inline void fixed_rate(uint64_t per_s, uint32_t burst)
{
	rule.rate.strategy = WEIR_FIXED;
	rule.rate.max = per_s * WEIR_RATE_ONE;
	rule.rate.burst = burst;
	publish();
}

#endif
