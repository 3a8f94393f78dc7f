/* SPDX-License-Identifier: MIT */
#include "weir/shed.h"

#include "degrade_calls.h"

#define NS_PER_MS UINT64_C(1000000)

/* shed = since_ms:40 | sheds:1 | share, per mille:10. since: when the share has last been above 0. */
#define SHARE_MASK UINT64_C(1023)
#define SHEDS      (UINT64_C(1) << 10)
#define TIME_SHIFT 11
#define TIME_MASK  ((UINT64_C(1) << 40) - 1)

/* "K" of the source: so many times as much is sent as is accepted. */
#define K 2

void weir_shed_note(struct weir_degrade *d, uint64_t window_ns, uint64_t now_ns)
{
	degrade_count(d->refused, window_ns, false, false, now_ns);
}

/* The share now, per mille. */
static uint32_t share_now(const struct weir_degrade *d, uint64_t window_ns, uint32_t min_calls, uint64_t now_ns)
{
	struct weir_window_sum sum = degrade_sum(d->calls, window_ns, 0, now_ns);
	uint64_t requests = (uint64_t)sum.calls + degrade_sum(d->refused, window_ns, 0, now_ns).calls;
	uint64_t accepts = sum.calls - sum.failures;

	if (requests < min_calls || requests <= K * accepts)
		return 0;
	return (uint32_t)((requests - K * accepts) * 1000 / (requests + 1));
}

struct weir_shed_change weir_shed_look(struct weir_degrade *d, uint64_t window_ns, uint32_t min_calls, uint64_t now_ns)
{
	uint64_t seen = atomic_load_explicit(&d->shed, memory_order_relaxed), now_ms = now_ns / NS_PER_MS;
	uint64_t window_ms = (window_ns != 0 ? window_ns : WEIR_WINDOW_DEFAULT_NS) / NS_PER_MS;
	uint64_t since_ms = seen >> TIME_SHIFT & TIME_MASK, word;
	uint32_t share = share_now(d, window_ns, min_calls, now_ns);
	struct weir_shed_change change = {.from = weir_shed_permille(d), .to = share};
	bool sheds = (seen & SHEDS) != 0;

	/* It is over when nothing has been refused for a window: what began it has left the window by then. */
	if (share != 0 || since_ms > now_ms)
		since_ms = now_ms;
	if (share == 0 && sheds && now_ms - since_ms >= window_ms)
		sheds = false;
	word = (since_ms & TIME_MASK) << TIME_SHIFT | (share != 0 || sheds ? SHEDS : 0) | share;
	if (word == seen)
		return change;
	if (atomic_compare_exchange_strong_explicit(&d->shed, &seen, word, memory_order_relaxed, memory_order_relaxed))
		change.told = (word & SHEDS) != (seen & SHEDS);
	return change;
}

bool weir_shed_refuses(struct weir_degrade *d)
{
	uint32_t share = weir_shed_permille(d);

	return share != 0 && degrade_is_nth(atomic_fetch_add_explicit(&d->shed_turn, 1, memory_order_relaxed), share);
}

uint32_t weir_shed_permille(const struct weir_degrade *d)
{
	uint64_t share = atomic_load_explicit(&d->shed, memory_order_relaxed) & SHARE_MASK;

	return (uint32_t)(share < 1000 ? share : 1000);
}
