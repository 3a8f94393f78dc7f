/* SPDX-License-Identifier: MIT */
/* How a simulated server words its quota: real header text, which weir's own parsers read. */
#ifndef SIM_DIALECT_H
#define SIM_DIALECT_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/unit/header_lines.h"

enum sim_dialect {
	SIM_BARE, /* nothing but the status */
	SIM_RETRY_SECONDS,
	SIM_RETRY_FLOAT,
	SIM_RETRY_DATE_FAST, /* an HTTP-date, by a clock that is 120 s ahead */
	SIM_RETRY_DATE_SLOW, /* ... behind */
	SIM_RATELIMIT_DRAFT, /* RateLimit-Limit, -Remaining, -Reset (delta) and RateLimit-Policy */
	SIM_RATELIMIT_FIELD, /* the structured RateLimit field of the later drafts */
	SIM_X_EPOCH_S,       /* X-RateLimit-Reset in seconds since 1970 */
	SIM_X_EPOCH_MS,
	SIM_X_DELTA,
	SIM_MALFORMED, /* every header there is, and none that can be read */
	SIM_A_DAY,     /* Retry-After: 86400, whatever the window says */
	SIM_ABSURD,    /* every header there is, with values of years, of 1970, below zero and beyond 64 bits in turn */
};

/* The facts that a server can tell. */
struct sim_facts {
	bool throttled;
	uint64_t retry_ns; /* of a throttled answer: until it would be accepted */
	uint64_t limit, remaining, window_ns;
	uint64_t reset_ns; /* until the window ends, or the bucket is full */
};

/* The text and the pointers to it. */
struct sim_headers {
	struct headers h;
	char text[8][96];
	uint64_t told_ns; /* the hold that an exact reader takes from it, 0 = none */
};

void sim_dialect_word(enum sim_dialect dialect, const struct sim_facts *facts, uint64_t wall_ns, struct sim_headers *out);

#endif
