/* SPDX-License-Identifier: MIT */
#include "weir/repeats.h"

#include <stddef.h>

#define SECOND_NS    UINT64_C(1000000000)
#define SECONDS_MASK UINT64_C(0xffffff)

/* FNV-1a. */
uint64_t weir_repeats_digest(const char *text, uint64_t method)
{
	uint64_t hash = (UINT64_C(0xcbf29ce484222325) ^ method) * UINT64_C(0x100000001b3);

	for (size_t i = 0; text[i] != '\0'; i++)
		hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	return hash | UINT64_C(1) << 63;
}

static _Atomic uint64_t *place_of(_Atomic uint64_t *table, uint64_t digest)
{
	return &table[digest & (WEIR_REPEATS_PLACES - 1)];
}

static bool is_of(uint64_t word, uint64_t digest)
{
	return word != 0 && ((word ^ digest) & ~SECONDS_MASK) == 0;
}

static bool is_late(uint64_t word, uint64_t now_ns)
{
	return ((now_ns / SECOND_NS - word) & SECONDS_MASK) > WEIR_REPEATS_LATELY_NS / SECOND_NS;
}

static bool has(_Atomic uint64_t *table, uint64_t digest, uint64_t now_ns)
{
	uint64_t word = atomic_load_explicit(place_of(table, digest), memory_order_relaxed);

	return is_of(word, digest) && !is_late(word, now_ns);
}

static void note(_Atomic uint64_t *place, uint64_t digest, uint64_t now_ns)
{
	uint64_t word = (digest & ~SECONDS_MASK) | ((now_ns / SECOND_NS) & SECONDS_MASK);

	atomic_store_explicit(place, word, memory_order_relaxed);
}

bool weir_repeats_asked(struct weir_repeats *s, uint64_t request, uint64_t host, uint64_t now_ns)
{
	if (has(s->kept, request, now_ns) || has(s->last, request, now_ns)) {
		note(place_of(s->hosts, host), host, now_ns);
		return true;
	}
	return has(s->hosts, host, now_ns);
}

void weir_repeats_failed(struct weir_repeats *s, uint64_t request, uint64_t now_ns)
{
	_Atomic uint64_t *kept = place_of(s->kept, request);
	uint64_t word = atomic_load_explicit(kept, memory_order_relaxed);

	note(word == 0 || is_of(word, request) || is_late(word, now_ns) ? kept : place_of(s->last, request), request, now_ns);
}

/* What another thread has noted there meanwhile stays. */
static void forget(_Atomic uint64_t *place, uint64_t digest)
{
	uint64_t word = atomic_load_explicit(place, memory_order_relaxed);

	if (is_of(word, digest))
		atomic_compare_exchange_strong_explicit(place, &word, 0, memory_order_relaxed, memory_order_relaxed);
}

void weir_repeats_succeeded(struct weir_repeats *s, uint64_t request)
{
	forget(place_of(s->kept, request), request);
	forget(place_of(s->last, request), request);
}
