/* SPDX-License-Identifier: MIT */
#include "src/stats/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "src/stats/entry_view.h"
#include "weir/gate.h"
#include "weir/log.h"

#define AGENT_SILENT_NS UINT64_C(3000000000) /* it is to be heard of every second */
#define EVENTS_AT_ONCE  64

/* From a loopback answer to a long wait: what requests and delays last. */
const uint64_t weir_duration_bucket_ns[WEIR_DURATION_BUCKETS] = {
	5000000,   10000000,   25000000,   50000000,   100000000,   250000000,
	500000000, 1000000000, 2500000000, 5000000000, 10000000000, 60000000000,
};

const char *weir_health_name(enum weir_health h)
{
	static const char *const names[] = {"ok", "throttled", "open", "half_open", "degraded"};
	return names[h];
}

const char *weir_breaker_name(enum weir_breaker_state state)
{
	switch (state) {
	case WEIR_BREAKER_CLOSED:
		return "closed";
	case WEIR_BREAKER_HALF_OPEN:
		return "half_open";
	default:
		return "open";
	}
}

bool weir_key_is(const char *key, const char *name)
{
	size_t n = strlen(name);
	if (strncmp(key, name, n) != 0)
		return false;
	/* name:PORT; what comes after an IPv6 address's first colons is not a port, so the last colon must be the one. */
	return key[n] == '\0' || (key[n] == ':' && strrchr(key, ':') == key + n);
}

/* Walks the event ring once and keeps what concerns each entry. Keys longer than an event can hold are not found: their entries
 * go without a trace. */
static void trace_events(const struct weir_segment *s, struct weir_trace *trace)
{
	struct weir_event events[EVENTS_AT_ONCE];
	uint64_t head = atomic_load_explicit(&s->header->event_head, memory_order_relaxed);
	uint64_t next = head > s->events ? head - s->events : 0;
	while (next < head) {
		uint64_t before = next;
		size_t n = weir_event_read(s, &next, events, EVENTS_AT_ONCE);
		for (size_t i = 0; i < n; i++) {
			const struct weir_event *e = &events[i];
			uint32_t slot = e->key[0] ? weir_entry_find(s, e->key) : WEIR_NONE;
			if (slot > s->entries)
				continue;
			weir_finding_note(&trace[slot].finding, e);
			bool cut = e->kind == WEIR_EVENT_RATE_CHANGED && (e->before == 0 || e->after < e->before) &&
				   (e->cause == WEIR_CAUSE_THROTTLED || e->cause == WEIR_CAUSE_QUOTA_HEADER);
			if (cut || e->kind == WEIR_EVENT_HOLD_SET)
				trace[slot].slowed_ns = e->at_ns;
			if (e->kind == WEIR_EVENT_RESET)
				trace[slot].slowed_ns = 0;
			if (e->kind == WEIR_EVENT_BREAKER_OPENED) {
				trace[slot].opened_by = e->cause;
				trace[slot].opened_after = e->cause == WEIR_CAUSE_FAILURES ? (uint32_t)e->before + 1 : 0;
			}
		}
		if (next <= before)
			break;
	}
}

static int by_kind_and_name(const void *a, const void *b)
{
	static const int order[] = {[WEIR_ENTRY_HOST] = 0,
				    [WEIR_ENTRY_OTHER] = 1,
				    [WEIR_ENTRY_TOTAL] = 2,
				    [WEIR_ENTRY_RUN] = 4,
				    [WEIR_ENTRY_NARROWED] = 3};
	const struct weir_host_view *x = a, *y = b;
	return x->kind != y->kind ? order[x->kind] - order[y->kind] : strcmp(x->key, y->key);
}

static void sum_up(struct weir_snapshot *out)
{
	for (size_t i = 0; i < out->host_count; i++) {
		const struct weir_host_view *h = &out->host[i];
		if (weir_entry_only_limits(h->kind))
			continue;
		out->hosts++;
		out->in_flight += h->in_flight;
		out->waiting += h->waiting;
		out->totals.admitted += h->tally.admitted;
		out->totals.delayed += h->tally.delayed;
		out->totals.refused += h->tally.refused;
		out->totals.succeeded += h->tally.succeeded;
		out->totals.throttled += h->tally.throttled;
		out->totals.failed += h->tally.failed;
		out->totals.ignored += h->tally.ignored;
		out->totals.connections += h->tally.connections;
		out->totals.cancelled += h->tally.cancelled;
		out->totals.would_delay += h->tally.would_delay;
		out->totals.would_refuse += h->tally.would_refuse;
		out->totals.retries += h->tally.retries;
		out->totals.saved += h->tally.saved;
		out->totals.retry_exhausted += h->tally.retry_exhausted;
		out->totals.retry_given_up += h->tally.retry_given_up;
	}
}

/* The overflow slot is always there; it is worth showing once it was used; a run's share of a host, with
 * the host, while the run has requests under way. */
static bool wanted(const struct weir_segment *s, uint32_t slot, const char *key, const struct weir_occupancy *occupancy,
		   const char *only)
{
	if (slot == s->entries && atomic_load_explicit(&s->entry[slot].used_ns, memory_order_relaxed) == 0)
		return false;
	if (key[0] == '@' && occupancy[slot].in_flight == 0 && occupancy[slot].waiting == 0)
		return false;
	if (!only)
		return true;
	const char *of = key[0] == '@' ? strchr(key, '/') : NULL;
	char host[WEIR_KEY_MAX];
	weir_format(host, sizeof host, "%s", of ? of + 1 : key);
	host[strcspn(host, "#")] = '\0';
	return weir_key_is(host, only) || weir_key_is(of ? of + 1 : key, only);
}

static bool take_entries(const struct weir_segment *s, const struct weir_policy_view *policy, const char *only,
			 const struct weir_occupancy *occupancy, const struct weir_trace *trace, struct weir_snapshot *out)
{
	size_t room = 0;
	char key[WEIR_KEY_MAX];
	for (uint32_t slot = 0; slot <= s->entries; slot++) {
		if (!weir_entry_key(s, slot, key) || !wanted(s, slot, key, occupancy, only))
			continue;
		if (out->host_count == room) {
			room = room ? 2 * room : 16;
			struct weir_host_view *more = realloc(out->host, room * sizeof *more);
			if (!more)
				return false;
			out->host = more;
		}
		weir_entry_view(s, policy, slot, key, &occupancy[slot], &trace[slot], out->now_ns, &out->host[out->host_count]);
		out->host_count++;
	}
	if (out->host_count > 0)
		qsort(out->host, out->host_count, sizeof *out->host, by_kind_and_name);
	return true;
}

static void take_header(const struct weir_segment *s, const struct weir_policy_view *policy, struct weir_snapshot *out)
{
	const struct weir_segment_header *h = s->header;
	uint64_t seen = atomic_load_explicit(&h->agent_seen_ns, memory_order_relaxed);
	uint64_t pid = atomic_load_explicit(&h->agent_pid, memory_order_relaxed);
	/* Ahead by more than what passed since now_ns was read: damage. */
	if (out->now_ns < seen ? seen - out->now_ns < AGENT_SILENT_NS : out->now_ns - seen < AGENT_SILENT_NS)
		out->agent_pid = (uint32_t)pid;
	uint64_t lost = atomic_load_explicit(&h->entries_lost, memory_order_relaxed);
	out->entries_lost = (uint32_t)lost;
	out->entries_lost_ago_ns =
		(uint32_t)lost ? (uint64_t)((uint32_t)(out->now_ns / 1000000000U) - (uint32_t)(lost >> 32)) * 1000000000U
			       : WEIR_NEVER;
	out->leases_lost = atomic_load_explicit(&h->leases_lost, memory_order_relaxed);
	out->leases_reaped = atomic_load_explicit(&h->leases_reaped, memory_order_relaxed);
	out->events = atomic_load_explicit(&h->event_head, memory_order_relaxed);
	out->generation = policy->rules ? policy->generation : 0;
	out->rule_count = policy->rules ? policy->rule_count : 0;
	if (!policy->rules || !policy->half)
		return;
	out->rejected = policy->half->rejected != 0;
	out->builtin = policy->rule_count == 1 && memcmp(policy->rules, &weir_rule_builtin, sizeof weir_rule_builtin) == 0;
	out->compiled_wall_ns = policy->half->compiled_wall_ns;
	for (uint32_t i = 0; i < policy->half->source_count && i < WEIR_SOURCES; i++) {
		const struct weir_source *source = &policy->half->source[i];
		if (source->inode == 0 || source->path[0] == '\0')
			continue;
		memcpy(out->source[out->source_count], source->path, WEIR_SOURCE_PATH_MAX);
		out->source[out->source_count][WEIR_SOURCE_PATH_MAX - 1] = '\0';
		out->source_count++;
	}
}

bool weir_snapshot_take(const struct weir_segment *s, const char *only, uint64_t now_ns, uint64_t wall_ns,
			struct weir_snapshot *out)
{
	memset(out, 0, sizeof *out);
	out->now_ns = now_ns;
	out->wall_ns = wall_ns;
	/* The paces are what a request left; a policy or an override may have changed since. */
	weir_gate_refresh(s, now_ns);
	struct weir_policy_view policy = weir_policy_in_force(s);
	struct weir_occupancy *occupancy = calloc((size_t)s->entries + 1, sizeof *occupancy);
	struct weir_trace *trace = calloc((size_t)s->entries + 1, sizeof *trace);
	bool good = occupancy && trace;
	if (good) {
		take_header(s, &policy, out);
		out->processes = weir_lease_occupancy(s, occupancy);
		trace_events(s, trace);
		good = take_entries(s, &policy, only, occupancy, trace, out);
	}
	if (good)
		sum_up(out);
	else
		weir_snapshot_free(out);
	free(occupancy);
	free(trace);
	return good;
}

void weir_snapshot_free(struct weir_snapshot *snapshot)
{
	free(snapshot->host);
	free(snapshot->alert);
	snapshot->host = NULL;
	snapshot->alert = NULL;
	snapshot->alerts = 0;
	snapshot->host_count = snapshot->hosts = 0;
}
