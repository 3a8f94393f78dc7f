/* SPDX-License-Identifier: MIT */
/*
 * The ring of events. A writer takes a number, marks the number's slot as being written, fills it and puts the number in place;
 * it may die anywhere, and readers then find a slot that does not carry the number they look for. A slot that a dead writer left
 * marked is taken over by the writer who comes round the ring to it. Should that writer not have been dead but stopped, what it
 * goes on to write no longer matches the event's check word.
 */
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "weir/kernel.h"
#include "weir/segment.h"
#include "words.h"

#define BEING_WRITTEN (UINT64_C(1) << 63)
#define EVENT_WORDS   (sizeof(struct weir_event) / sizeof(uint64_t))

/* How often a slot that its writer is just filling is looked at again: longer than filling it takes, shorter than a microsecond.
 */
#define LOOKS 64

/* Over number and contents; multiplication and folding as in wyhash. The events' own check field must be zero. */
static uint32_t check_of(const struct weir_event *e, uint64_t number)
{
	uint64_t h = number + 1;

	for (size_t i = 1; i < EVENT_WORDS; i++) {
		uint64_t w;

		memcpy(&w, (const unsigned char *)e + i * sizeof w, sizeof w);
		h = (h ^ w) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 32;
	}
	return (uint32_t)h;
}

void weir_event_write(const struct weir_segment *s, enum weir_event_kind kind, enum weir_cause cause, const char *key,
		      uint64_t before, uint64_t after, uint64_t until_ns, uint64_t now_ns)
{
	struct weir_event e;
	struct weir_event *slot;
	uint64_t number, seen;

	memset(&e, 0, sizeof e);
	e.at_ns = now_ns;
	e.until_ns = until_ns;
	e.before = before;
	e.after = after;
	e.kind = kind;
	e.cause = cause;
	e.pid = (uint32_t)weir_getpid();
	if (key != NULL)
		memcpy(e.key, key, strnlen(key, sizeof e.key - 1));
	number = atomic_fetch_add_explicit(&s->header->event_head, 1, memory_order_relaxed);
	e.check = check_of(&e, number);
	slot = &s->event[number & (s->events - 1)];
	seen = atomic_load_explicit(&slot->sequence, memory_order_relaxed);
	/* A younger event is there already (we were stopped for a whole round of the ring): ours is too old to matter. */
	if ((seen & ~BEING_WRITTEN) > number + 1 && (seen & ~BEING_WRITTEN) - number <= s->events * UINT64_C(1024))
		return;
	if (!atomic_compare_exchange_strong_explicit(&slot->sequence, &seen, (number + 1) | BEING_WRITTEN, memory_order_relaxed,
						     memory_order_relaxed))
		return; /* two writers a whole round apart met here; the other one has the slot */
	words_store(&slot->at_ns, &e.at_ns, EVENT_WORDS - 1);
	seen = (number + 1) | BEING_WRITTEN;
	atomic_compare_exchange_strong_explicit(&slot->sequence, &seen, number + 1, memory_order_release, memory_order_relaxed);
}

/* Copies event `number` if its slot holds it whole. */
static bool copy(const struct weir_segment *s, uint64_t number, struct weir_event *out)
{
	const struct weir_event *slot = &s->event[number & (s->events - 1)];
	uint64_t seen = 0;
	uint32_t check;

	for (int i = 0; i < LOOKS; i++) {
		seen = atomic_load_explicit(&slot->sequence, memory_order_acquire);
		if (seen != ((number + 1) | BEING_WRITTEN))
			break;
	}
	if (seen != number + 1)
		return false;
	words_load(&out->at_ns, &slot->at_ns, EVENT_WORDS - 1);
	if (atomic_load_explicit(&slot->sequence, memory_order_acquire) != seen)
		return false;
	check = out->check;
	out->check = 0;
	if (check != check_of(out, number))
		return false;
	atomic_init(&out->sequence, seen);
	if (out->kind >= WEIR_EVENT_COUNT)
		out->kind = WEIR_EVENT_NONE;
	if (out->cause >= WEIR_CAUSE_COUNT)
		out->cause = WEIR_CAUSE_NONE;
	out->key[sizeof out->key - 1] = '\0';
	return true;
}

size_t weir_event_read(const struct weir_segment *s, uint64_t *next, struct weir_event *out, size_t max)
{
	uint64_t head = atomic_load_explicit(&s->header->event_head, memory_order_acquire);
	uint64_t n = *next;
	size_t count = 0;

	if (n > head) /* a new segment, or a damaged one */
		n = head;
	if (head - n > s->events)
		n = head - s->events;
	for (; n != head && count < max; n++)
		if (copy(s, n, &out[count]))
			count++;
	*next = n;
	return count;
}

const char *weir_event_name(uint32_t kind)
{
	static const char *const name[WEIR_EVENT_COUNT] = {
		[WEIR_EVENT_NONE] = "none",
		[WEIR_EVENT_BREAKER_OPENED] = "breaker_opened",
		[WEIR_EVENT_BREAKER_HALF_OPEN] = "breaker_half_open",
		[WEIR_EVENT_BREAKER_CLOSED] = "breaker_closed",
		[WEIR_EVENT_HOLD_SET] = "hold_set",
		[WEIR_EVENT_HOLD_CLEARED] = "hold_cleared",
		[WEIR_EVENT_RATE_CHANGED] = "rate_changed",
		[WEIR_EVENT_CONCURRENCY_CHANGED] = "concurrency_changed",
		[WEIR_EVENT_MEANING_CHANGED] = "meaning_changed",
		[WEIR_EVENT_OVERRIDE_SET] = "override_set",
		[WEIR_EVENT_RESET] = "reset",
		[WEIR_EVENT_POLICY_PUBLISHED] = "policy_published",
		[WEIR_EVENT_POLICY_REJECTED] = "policy_rejected",
		[WEIR_EVENT_LEASE_REAPED] = "lease_reaped",
		[WEIR_EVENT_AGENT_STARTED] = "agent_started",
		[WEIR_EVENT_AGENT_STOPPED] = "agent_stopped",
		[WEIR_EVENT_TABLE_FULL] = "table_full",
		[WEIR_EVENT_QUOTA_LOW] = "quota_low",
		[WEIR_EVENT_QUOTA_SPENT] = "quota_spent",
		[WEIR_EVENT_QUOTA_SET] = "quota_set",
		[WEIR_EVENT_LEDGER_LOST] = "ledger_lost",
		[WEIR_EVENT_ALERT_FIRED] = "alert_fired",
		[WEIR_EVENT_ALERT_RESOLVED] = "alert_resolved",
		[WEIR_EVENT_DEGRADE_CHANGED] = "degrade_changed",
		[WEIR_EVENT_SHED_CHANGED] = "shed_changed",
	};

	return kind < WEIR_EVENT_COUNT ? name[kind] : "unknown";
}
