/* SPDX-License-Identifier: MIT */
#include "weir/again.h"

#include <string.h>

static const struct {
	char name[8];
	uint32_t bit;
} methods[] = {
	{"GET", WEIR_METHOD_GET}, {"HEAD", WEIR_METHOD_HEAD},     {"OPTIONS", WEIR_METHOD_OPTIONS}, {"TRACE", WEIR_METHOD_TRACE},
	{"PUT", WEIR_METHOD_PUT}, {"DELETE", WEIR_METHOD_DELETE}, {"POST", WEIR_METHOD_POST},       {"PATCH", WEIR_METHOD_PATCH},
};

uint32_t weir_method_of(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		if (strlen(methods[i].name) == length && memcmp(methods[i].name, name, length) == 0)
			return methods[i].bit;
	}
	return 0;
}

/* Hostile where it comes from the segment. */
static uint32_t attempts_of(const struct weir_retry_params *p)
{
	return p->attempts < WEIR_RETRY_ATTEMPTS_MAX ? p->attempts : WEIR_RETRY_ATTEMPTS_MAX;
}

/* Who is told to slow down without being told when waits longer than for a failure (AWS SDKs: from 1 s on instead of from some
 * tenths), as a pace that has just been learned takes some answers to be right. */
#define THROTTLED_FACTOR 5

/* Where the host has said when, the gate keeps to it, and no other wait is needed. */
static uint64_t wait_of(const struct weir_retry_params *p, const struct weir_attempt *a)
{
	struct weir_retry_params slow = *p;

	if (a->kind != WEIR_RETRY_THROTTLED)
		return weir_retry_backoff_ns(p, a->number, a->random);
	slow.base_ns = p->base_ns < UINT64_MAX / THROTTLED_FACTOR ? p->base_ns * THROTTLED_FACTOR : UINT64_MAX;
	return a->held ? 0 : weir_retry_backoff_ns(&slow, a->number, a->random);
}

enum weir_again weir_again_decide(const struct weir_retry_params *p, const struct weir_attempt *a, uint64_t *wait_ns)
{
	if (a->kind == WEIR_RETRY_NONE)
		return WEIR_AGAIN_NO_FAILURE;
	if (attempts_of(p) < 2 || (p->on & (uint32_t)a->kind) == 0)
		return WEIR_AGAIN_OFF;
	if (a->delivered)
		return WEIR_AGAIN_DELIVERED;
	if (!a->unsent && (p->methods & a->method) == 0)
		return WEIR_AGAIN_METHOD;
	if (!a->unsent && a->one_way)
		return WEIR_AGAIN_BODY;
	if (a->repeats)
		return WEIR_AGAIN_REPEATS;
	if (a->number >= attempts_of(p))
		return WEIR_AGAIN_ATTEMPTS;
	*wait_ns = wait_of(p, a);
	if (a->over_ns != 0 && (a->over_ns <= a->now_ns || a->over_ns - a->now_ns <= *wait_ns))
		return WEIR_AGAIN_TIME;
	return WEIR_AGAIN_YES;
}
