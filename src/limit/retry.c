/* SPDX-License-Identifier: MIT */
#include "weir/retry.h"

#define MS_NS      UINT64_C(1000000)
#define LEVEL_BITS 24
#define LEVEL_MASK ((UINT64_C(1) << LEVEL_BITS) - 1)
#define MS_MASK    ((UINT64_C(1) << 40) - 1)
#define REFILL_MS  10U /* one thousandth in 10 ms: a retry in ten seconds */
#define AHEAD_MS   10000U
/* As in bucket.c: losing this often is not contention. Then nothing is paid in, or nothing is left. */
#define CAS_TRIES 10000

#define DOUBLINGS   32 /* beyond any cap */
#define CAP_DEFAULT (UINT64_C(20000) * MS_NS)
#define CAP_MOST    (UINT64_C(86400000) * MS_NS) /* as the configuration has it */

struct level {
	uint64_t at_ms;
	uint32_t left;
};

static uint64_t pack(struct level l)
{
	return (l.at_ms & MS_MASK) << LEVEL_BITS | l.left;
}

/* What the word says now: what is left, and from when on time fills it. That may be some seconds ahead, where requests have paid
 * in; further ahead it is damage. */
static struct level level_of(uint64_t word, uint64_t now_ns)
{
	uint64_t now_ms = (now_ns / MS_NS) & MS_MASK, passed;
	struct level l = {word >> LEVEL_BITS, (uint32_t)(word & LEVEL_MASK)};

	if (word == 0)
		return (struct level){now_ms, WEIR_RETRY_RESERVE};
	if (l.left > WEIR_RETRY_MOST)
		l.left = WEIR_RETRY_MOST;
	if (l.at_ms > now_ms + AHEAD_MS)
		l.at_ms = now_ms + AHEAD_MS;
	if (l.left >= WEIR_RETRY_RESERVE || l.at_ms >= now_ms)
		return (struct level){l.at_ms > now_ms ? l.at_ms : now_ms, l.left};
	passed = (now_ms - l.at_ms) / REFILL_MS;
	if (passed >= WEIR_RETRY_RESERVE - l.left)
		return (struct level){now_ms, WEIR_RETRY_RESERVE};
	/* The rest of the time is kept for the next look. */
	return (struct level){l.at_ms + passed * REFILL_MS, l.left + (uint32_t)passed};
}

uint32_t weir_retry_left(const struct weir_retry_budget *b, uint64_t now_ns)
{
	return level_of(atomic_load_explicit(&b->level, memory_order_relaxed), now_ns).left;
}

/* A word of 0 would be a full one. */
static uint64_t never_zero(uint64_t word)
{
	return word != 0 ? word : UINT64_C(1) << LEVEL_BITS;
}

void weir_retry_earn(struct weir_retry_budget *b, uint32_t permille, uint64_t now_ns)
{
	uint64_t word = atomic_load_explicit(&b->level, memory_order_relaxed), now_ms = (now_ns / MS_NS) & MS_MASK;
	struct level l;

	if (permille > WEIR_RETRY_ONE)
		permille = WEIR_RETRY_ONE;
	for (int i = 0; i < CAS_TRIES; i++) {
		l = level_of(word, now_ns);
		l.left = l.left + permille < WEIR_RETRY_MOST ? l.left + permille : WEIR_RETRY_MOST;
		/* What a request pays in, time does not. */
		l.at_ms += permille * REFILL_MS;
		l.at_ms = l.at_ms < now_ms + AHEAD_MS ? l.at_ms : now_ms + AHEAD_MS;
		if (atomic_compare_exchange_weak_explicit(&b->level, &word, never_zero(pack(l)), memory_order_relaxed,
							  memory_order_relaxed))
			return;
	}
}

bool weir_retry_spend(struct weir_retry_budget *b, uint64_t now_ns)
{
	uint64_t word = atomic_load_explicit(&b->level, memory_order_relaxed);
	struct level l;

	for (int i = 0; i < CAS_TRIES; i++) {
		l = level_of(word, now_ns);
		if (l.left < WEIR_RETRY_ONE)
			return false;
		l.left -= WEIR_RETRY_ONE;
		if (atomic_compare_exchange_weak_explicit(&b->level, &word, never_zero(pack(l)), memory_order_relaxed,
							  memory_order_relaxed))
			return true;
	}
	return false;
}

uint64_t weir_retry_backoff_ns(const struct weir_retry_params *p, uint32_t attempts, uint64_t random)
{
	uint64_t cap = p->cap_ns == 0 ? CAP_DEFAULT : p->cap_ns < CAP_MOST ? p->cap_ns : CAP_MOST;
	uint64_t most = p->base_ns < cap ? p->base_ns : cap;

	for (uint32_t i = 1; i < attempts && i < DOUBLINGS && most < cap; i++)
		most = most <= cap / 2 ? most * 2 : cap;
	return random % (most + 1);
}
