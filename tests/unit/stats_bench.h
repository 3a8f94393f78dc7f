/* SPDX-License-Identifier: MIT */
/* A segment in which a few requests have happened, on a clock of the test's own. */
#ifndef WEIR_TEST_STATS_BENCH_H
#define WEIR_TEST_STATS_BENCH_H

#include <stdlib.h>

#include "segment_memory.h"
#include "weir/gate.h"

#define WALL_NS (UINT64_C(1795325580) * SECOND) /* 2026-11-22T05:33:00Z */

struct stats_bench {
	struct weir_segment segment;
	struct weir_gate gate;
	uint64_t now;
};

static inline int bench_setup(void **state)
{
	struct stats_bench *b = calloc(1, sizeof *b);
	if (!b)
		return -1;
	segment_make(&b->segment, 512, 64, 256, 16);
	b->gate.segment = &b->segment;
	weir_owner_self(&b->gate.owner);
	b->now = 1000 * SECOND;
	*state = b;
	return 0;
}

static inline int bench_teardown(void **state)
{
	struct stats_bench *b = *state;
	munmap(b->segment.base, b->segment.bytes);
	free(b);
	return 0;
}

static inline struct weir_request bench_begin(struct stats_bench *b, const char *host)
{
	struct weir_request r;
	struct weir_wish wish = {.host_port = host};
	uint64_t wake;
	weir_gate_begin(&b->gate, &r, &wish, b->now, &wake);
	return r;
}

/* One whole request that takes `ms`. */
static inline void bench_request(struct stats_bench *b, const char *host, enum weir_outcome outcome, unsigned ms,
				 uint64_t retry_after_ns)
{
	struct weir_request r = bench_begin(b, host);
	struct weir_result result = {
		.outcome = outcome, .retry_after_ns = retry_after_ns, .hold_cause = WEIR_CAUSE_RETRY_AFTER, .connections = 1};
	b->now += ms * UINT64_C(1000000);
	weir_gate_settle(&b->gate, &r, &result, b->now);
}

/* Publishes `count` rules; the last is the defaults. */
static inline void bench_publish(struct stats_bench *b, const struct weir_rule *rules, uint32_t count)
{
	weir_policy_publish(&b->segment, rules, count, NULL, NULL, 0, false, WALL_NS);
}

/* What a renderer writes, to be freed. */
#define RENDERED(call)                                                                                                           \
	__extension__({                                                                                                          \
		char *rendered_text = NULL;                                                                                      \
		size_t rendered_size = 0;                                                                                        \
		FILE *out = open_memstream(&rendered_text, &rendered_size);                                                      \
		assert_non_null(out);                                                                                            \
		call;                                                                                                            \
		fclose(out);                                                                                                     \
		rendered_text;                                                                                                   \
	})

#define assert_contains(text, part)                                                                                              \
	do {                                                                                                                     \
		if (!strstr((text), (part)))                                                                                     \
			fail_msg("'%s' is not in:\n%s", (part), (text));                                                         \
	} while (0)
#define assert_lacks(text, part)                                                                                                 \
	do {                                                                                                                     \
		if (strstr((text), (part)))                                                                                      \
			fail_msg("'%s' is in:\n%s", (part), (text));                                                             \
	} while (0)

#endif
