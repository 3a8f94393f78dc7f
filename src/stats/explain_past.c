/* SPDX-License-Identifier: MIT */
/* What has been going on at a host: who is in flight, what was seen and found out, the last events. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "src/stats/event_text.h"
#include "src/stats/explain_parts.h"
#include "src/stats/history.h"
#include "src/stats/process_name.h"

#define HOLDERS        3
#define HELD_LONG_NS   UINT64_C(1000000000) /* what is over sooner holds nobody up */
#define EVENTS_AT_ONCE 32
#define SECOND_NS      UINT64_C(1000000000)

const struct weir_host_view *weir_find_view(const struct weir_explaining *x, const char *key)
{
	for (size_t i = 0; i < x->snapshot->host_count; i++)
		if (strcmp(x->snapshot->host[i].key, key) == 0)
			return &x->snapshot->host[i];
	return NULL;
}

/* Its entry, or one that a narrowed rule has below it. */
static bool is_about(const struct weir_event *e, const char *key)
{
	size_t n = strlen(key);

	/* What is too long for an event was cut. */
	if (n >= sizeof e->key)
		return strlen(e->key) + 1 == sizeof e->key && strncmp(e->key, key, sizeof e->key - 1) == 0;
	return strncmp(e->key, key, n) == 0 && (e->key[n] == '\0' || e->key[n] == '#');
}

static void take_event(struct weir_explaining *x, const struct weir_event *e)
{
	if (x->past_count == WEIR_PAST_EVENTS)
		memmove(x->past, x->past + 1, (WEIR_PAST_EVENTS - 1) * sizeof *x->past);
	else
		x->past_count++;
	x->past[x->past_count - 1] = *e;
	if (e->kind == WEIR_EVENT_RATE_CHANGED && strcmp(e->key, x->e->forecast.key) == 0)
		x->paced_by = (enum weir_cause)e->cause;
}

void weir_take_past(struct weir_explaining *x)
{
	struct weir_event events[EVENTS_AT_ONCE];
	uint64_t head = atomic_load_explicit(&x->s->header->event_head, memory_order_relaxed), before;
	uint64_t next = head > x->s->events ? head - x->s->events : 0;

	do {
		size_t n;

		before = next;
		n = next < head ? weir_event_read(x->s, &next, events, EVENTS_AT_ONCE) : 0;
		for (size_t i = 0; i < n; i++)
			if (is_about(&events[i], x->key))
				take_event(x, &events[i]);
	} while (next > before);
}

/* What the host's refusals have been found to depend on, and what is being tried. */
void weir_say_meaning(struct weir_explaining *x)
{
	char text[WEIR_FINDING_TEXT];

	if (!x->view)
		return;
	for (size_t i = 0; i < x->view->findings; i++)
		weir_say(x, "Meaning: %s.", weir_finding_text(&x->view->finding[i], text));
	if (x->view->refusal.trial != WEIR_TRIAL_NONE)
		weir_say(x, "Meaning: %s.", weir_trial_text(&x->view->refusal, text));
}

/* Who has been in flight for longest: whom the others wait for where permits are short. */
void weir_say_holders(struct weir_explaining *x)
{
	struct weir_holder holder[HOLDERS];
	struct weir_owner self;
	uint32_t slot = x->e->forecast.slot;
	size_t count = slot <= x->s->entries ? weir_lease_holders(x->s, slot, holder, HOLDERS) : 0;

	if (count == 0)
		return;
	weir_owner_self(&self);
	for (size_t i = 0; i < count; i++) {
		uint64_t since = holder[i].begun_ns < x->now_ns ? x->now_ns - holder[i].begun_ns : 0;
		bool stopped = false, ours = holder[i].pid_namespace == self.pid_namespace;
		struct weir_words w = {.next = 0};
		char name[WEIR_PROCESS_NAME_MAX] = "?";

		if (since < HELD_LONG_NS)
			continue;
		if (!ours || !weir_process_name(holder[i].pid, name, &stopped))
			weir_say(x, "In flight for %s: process %" PRIu32 "%s.", weir_duration_word(&w, since), holder[i].pid,
				 ours ? "" : " of another pid namespace");
		else
			weir_say(x, "In flight for %s: %s, process %" PRIu32 "%s.", weir_duration_word(&w, since), name,
				 holder[i].pid, stopped ? ", which is stopped" : "");
	}
}

static uint32_t seen(const struct weir_explaining *x, uint32_t slot, enum weir_seen what)
{
	return slot <= x->s->entries ? atomic_load_explicit(&x->s->entry[slot].seen[what], memory_order_relaxed) : 0;
}

/* Where less was seen than requests with their answers. */
void weir_say_seen(struct weir_explaining *x)
{
	static const struct {
		enum weir_seen seen;
		const char *what;
	} table[] = {
		{WEIR_SEEN_RECORD,
		 "requests of programs with a TLS of their own, told apart by its records: what was answered is not seen"},
		{WEIR_SEEN_HTTP2, "connections with HTTP/2, which is not looked into: each counts as one request"},
		{WEIR_SEEN_TLS,
		 "connections of programs with a TLS of their own that may speak HTTP/2 in it: each counts as one request"},
		{WEIR_SEEN_OPAQUE, "connections that speak no HTTP: each counts as one request"},
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		uint32_t n = seen(x, x->e->forecast.slot, table[i].seen);

		if (n)
			weir_say(x, "Seen: %" PRIu32 " %s.", n, table[i].what);
	}
}

uint64_t weir_seen_blindly(const struct weir_explaining *x)
{
	uint32_t slot = weir_entry_find(x->s, x->key);

	return (uint64_t)seen(x, slot, WEIR_SEEN_RECORD) + seen(x, slot, WEIR_SEEN_HTTP2) + seen(x, slot, WEIR_SEEN_TLS) +
	       seen(x, slot, WEIR_SEEN_OPAQUE);
}

/* On this place's clock, "2026-11-27 15:40:01". */
static const char *time_of(const struct weir_explaining *x, const struct weir_event *e, char out[32])
{
	uint64_t ago = e->at_ns < x->now_ns ? x->now_ns - e->at_ns : 0;
	time_t at = (time_t)((x->wall_ns - (ago < x->wall_ns ? ago : x->wall_ns)) / SECOND_NS);
	struct tm tm;

	if (!localtime_r(&at, &tm) || strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		memcpy(out, "?", 2);
	return out;
}

/* Of a narrowed rule's entry: which rule's. */
static const char *below(const struct weir_explaining *x, const struct weir_event *e)
{
	size_t n = strlen(x->key);

	return n < sizeof e->key && strlen(e->key) > n ? e->key + n + 1 : "";
}

void weir_say_past(struct weir_explaining *x)
{
	json_t *list = json_array();

	if (x->past_count > 0)
		weir_say(x, "The last event%s of %s:", x->past_count > 1 ? "s" : "", x->key);
	for (size_t i = 0; i < x->past_count; i++) {
		const struct weir_event *e = &x->past[i];
		char at[32], text[WEIR_EVENT_TEXT];
		const char *rule = below(x, e);

		weir_say(x, "  %s  %s%s%s", time_of(x, e, at), rule, rule[0] ? ": " : "", weir_event_text(e, text));
		json_array_append_new(list, weir_history_event(e, x->now_ns, x->wall_ns));
	}
	json_object_set_new(x->e->document, "events", list);
}
