/* SPDX-License-Identifier: MIT */
#include "weir/trylock.h"

uint64_t weir_trylock_take(_Atomic uint64_t *lock, uint64_t now_ns)
{
	uint64_t seen = atomic_load_explicit(lock, memory_order_relaxed);
	uint64_t token = now_ns | 1; /* never 0 */

	/* A token from the future cannot come from this boot's clock: damage, taken over like a stale one. */
	if (seen != 0 && seen <= now_ns && now_ns - seen < WEIR_TRYLOCK_STALE_NS)
		return 0;
	if (seen > now_ns && seen - now_ns < WEIR_TRYLOCK_STALE_NS)
		return 0; /* taken a moment ago by a caller whose `now` is newer */
	if (!atomic_compare_exchange_strong_explicit(lock, &seen, token, memory_order_acquire, memory_order_relaxed))
		return 0;
	return token;
}

bool weir_trylock_mine(const _Atomic uint64_t *lock, uint64_t token)
{
	return token != 0 && atomic_load_explicit(lock, memory_order_relaxed) == token;
}

void weir_trylock_release(_Atomic uint64_t *lock, uint64_t token)
{
	if (token != 0)
		atomic_compare_exchange_strong_explicit(lock, &token, 0, memory_order_release, memory_order_relaxed);
}
