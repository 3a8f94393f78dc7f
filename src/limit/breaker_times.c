/* SPDX-License-Identifier: MIT */
/* The breaker's times, from its parameters alone. */
#include "breaker_state.h"

/* No configured time is longer: units.h accepts up to 366 d. */
#define TIME_MAX_MS (UINT64_C(366) * 86400 * 1000)

uint64_t breaker_to_ms(uint64_t ns)
{
	uint64_t ms = ns / BREAKER_NS_PER_MS + (ns % BREAKER_NS_PER_MS != 0 ? 1 : 0);

	return ms > TIME_MAX_MS ? TIME_MAX_MS : ms;
}

static uint64_t open_time_max_ms(const struct weir_breaker_params *p)
{
	uint64_t first = breaker_to_ms(p->open_time_ns);
	uint64_t max = breaker_to_ms(p->open_time_max_ns);

	if (max < first)
		max = first;
	return max != 0 ? max : 1;
}

uint64_t breaker_open_time_ms(const struct weir_breaker_params *p, uint32_t trips)
{
	uint64_t factor = p->open_time_factor_permille < 1000 ? 1000 : p->open_time_factor_permille;
	uint64_t max = open_time_max_ms(p);
	uint64_t ms = breaker_to_ms(p->open_time_ns);

	if (ms == 0)
		ms = 1;
	/* 63 turns at most; ms <= max <= 2^35 and factor < 2^32, so the product needs 67 bits: stop where it could pass max. */
	for (uint32_t i = 1; i < trips && ms < max; i++) {
		if (ms > max * 1000 / factor)
			return max;
		ms = ms * factor / 1000;
	}
	return ms > max ? max : ms;
}

static uint32_t jitter_permille(const struct weir_breaker_params *p)
{
	return p->jitter_permille > 1000 ? 1000 : p->jitter_permille;
}

/* Spreads ms by +- jitter. Deterministic: the same word at the same time gives the same spread, so the function stays pure and
 * tests repeat; different hosts and openings differ. The mixer is the finalizer of splitmix64 (Steele, Lea, Flood 2014). */
uint64_t breaker_jittered_ms(const struct weir_breaker_params *p, uint64_t ms, uint64_t word, uint64_t now_ns)
{
	uint64_t x = word ^ (now_ns * UINT64_C(0x9e3779b97f4a7c15));
	uint64_t spread = ms * jitter_permille(p) / 1000;

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	x ^= x >> 31;
	ms = ms - spread + x % (2 * spread + 1);
	return ms != 0 ? ms : 1;
}

uint64_t breaker_lease_ms(const struct weir_breaker_params *p, uint32_t trips)
{
	uint64_t lease = breaker_to_ms(p->probe_lease_ns);
	uint64_t open = breaker_open_time_ms(p, trips);

	return lease > open ? lease : open;
}

/* No stored end is further away than this; one that is has been damaged, or was set under another policy. */
static uint64_t furthest_ms(const struct weir_breaker_params *p, uint32_t state)
{
	uint64_t open = open_time_max_ms(p);

	if (state == WEIR_BREAKER_HALF_OPEN) {
		uint64_t lease = breaker_to_ms(p->probe_lease_ns);

		return (lease > open ? lease : open) + BREAKER_TURN_MASK;
	}
	return open + open * jitter_permille(p) / 1000 + 1;
}

uint64_t breaker_end_ms(const struct weir_breaker_params *p, struct breaker_fields f, uint64_t now_ms)
{
	uint64_t furthest = now_ms + furthest_ms(p, f.state);

	return f.time_ms > furthest ? furthest : f.time_ms;
}

uint32_t breaker_trips_kept(const struct weir_breaker_params *p, struct breaker_fields f, uint64_t now_ms)
{
	uint64_t window = breaker_to_ms(p->window_ns != 0 ? p->window_ns : WEIR_WINDOW_DEFAULT_NS);
	uint64_t ramp = breaker_to_ms(p->ramp_ns);
	uint64_t need = breaker_open_time_ms(p, f.trips);

	if (need < window)
		need = window;
	if (need < ramp)
		need = ramp;
	if (f.time_ms == 0 || f.time_ms > now_ms + BREAKER_SKEW_MS || now_ms >= f.time_ms + need)
		return 0;
	return f.trips;
}
