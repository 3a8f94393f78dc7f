/* SPDX-License-Identifier: MIT */
/*
 * Asking again: what a rule says of it, how long to wait before, and the budget that keeps a thousand processes from a storm.
 *
 * The budget is a bucket of whole and broken retries. Each request whose rule lets it be asked again pays a share of one in (20 %
 * by default, as Finagle's RetryBudget and Envoy's budget_percent have it), each retry takes one out. Where requests pay in less,
 * it fills by one in ten seconds up to ten, so that who asks seldom may ask again, too. What requests have paid in is kept up to
 * a hundred: so many retries at most can come at once.
 *
 * Pure: the time is passed in. Values read from the segment are hostile: they are clamped where they are used.
 */
#ifndef WEIR_RETRY_H
#define WEIR_RETRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What went wrong, as bits of weir_retry_params.on. */
enum weir_retry_kind {
	WEIR_RETRY_NONE = 0,
	WEIR_RETRY_THROTTLED = 1,    /* a status that means "slow down" */
	WEIR_RETRY_CONNECT = 2,      /* no connection, or it broke before an answer came */
	WEIR_RETRY_TIMEOUT = 4,      /* nothing was heard in time */
	WEIR_RETRY_SERVER_ERROR = 8, /* a status of 500 and above */
	WEIR_RETRY_ALL = 15
};

/* Bits of weir_retry_params.methods. */
enum weir_retry_method {
	WEIR_METHOD_GET = 1,
	WEIR_METHOD_HEAD = 2,
	WEIR_METHOD_OPTIONS = 4,
	WEIR_METHOD_TRACE = 8,
	WEIR_METHOD_PUT = 16,
	WEIR_METHOD_DELETE = 32,
	WEIR_METHOD_POST = 64,
	WEIR_METHOD_PATCH = 128,
	WEIR_METHODS_IDEMPOTENT = 63, /* RFC 9110, 9.2.2 */
	WEIR_METHODS_ALL = 255
};

#define WEIR_RETRY_ATTEMPTS_MAX     20
#define WEIR_RETRY_ATTEMPTS_DEFAULT 5 /* of a rule or a flag that says no number */

/* `retry` of a rule. */
struct weir_retry_params {
	uint32_t attempts;        /* in all, the first one included; 0 and 1: nothing is asked again */
	uint32_t on;              /* enum weir_retry_kind */
	uint32_t methods;         /* enum weir_retry_method */
	uint32_t budget_permille; /* share of one retry that each request pays in */
	uint64_t base_ns, cap_ns; /* the first wait is at most base, each one twice as long, and none longer than cap */
	uint64_t reserved[2];
};
_Static_assert(sizeof(struct weir_retry_params) == 48, "ABI");

/* Of an entry. Counters rise by one add each; level changes by compare-and-swap, and who dies after it has spent one retry that
 * is never made: never one too many. */
struct weir_retry_budget {
	_Atomic uint64_t level;     /* ms of CLOCK_MONOTONIC:40 | thousandths of a retry:24; 0: never used, which is ten */
	_Atomic uint64_t retries;   /* attempts after the first of a request */
	_Atomic uint64_t saved;     /* requests that succeeded by one of these */
	_Atomic uint64_t exhausted; /* failures that were handed over as the budget was spent */
	_Atomic uint64_t given_up;  /* failures that were handed over after the last attempt allowed */
	uint64_t reserved[3];
};
_Static_assert(sizeof(struct weir_retry_budget) == 64, "ABI");

#define WEIR_RETRY_ONE     1000U   /* thousandths */
#define WEIR_RETRY_RESERVE 10000U  /* what time alone fills it up to */
#define WEIR_RETRY_MOST    100000U /* what requests fill it up to */

/* What is in it, in thousandths. */
uint32_t weir_retry_left(const struct weir_retry_budget *b, uint64_t now_ns);

/* A request pays in. */
void weir_retry_earn(struct weir_retry_budget *b, uint32_t permille, uint64_t now_ns);

/* Takes one retry out. False: there is none, and nothing is taken. */
bool weir_retry_spend(struct weir_retry_budget *b, uint64_t now_ns);

/* How long to wait before the attempt after `attempts` failed ones: exponential with full jitter (Brooker, "Exponential Backoff
 * And Jitter", AWS 2015), factor 2. `random`: any 64 bits. */
uint64_t weir_retry_backoff_ns(const struct weir_retry_params *p, uint32_t attempts, uint64_t random);

#endif
