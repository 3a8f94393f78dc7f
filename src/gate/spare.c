/* SPDX-License-Identifier: MIT */
/*
 * A full table must couple no strangers. A request whose host has no entry passes without breaker, hold, permits and learning;
 * but what a rule, `weir run -r` or the total says of rates holds. For that a spare is enough: by the hash of the key, the time
 * at which the next unit of each rate is due (GCRA), one compare-and-swap each. A spare whose times are past says nothing any
 * more and belongs to whoever comes next. Where all WAYS that a key may have are taken the request goes: better no limit than
 * somebody else's.
 *
 * What if the process dies here: between two rates, a unit of the first is lost.
 */
#include "spare.h"

#define WAYS         16U
#define NS_PER_RATE  ((unsigned __int128)1000000000 * 1000000000) /* nano-admissions per second in 1/ns */
#define AHEAD_MAX_NS (UINT64_C(366) * 86400 * 1000000000)         /* further ahead is damage */
#define TOLD_EVERY_S 60U

struct rate {
	uint64_t apart_ns; /* between two units; 0: no limit */
	uint64_t burst_ns; /* what may be used at once beyond the first */
};

static struct rate rate_of(uint64_t nano_per_s, uint32_t burst)
{
	struct rate r = {0, 0};
	unsigned __int128 apart, at_once;

	if (nano_per_s == 0)
		return r;
	apart = NS_PER_RATE / nano_per_s;
	r.apart_ns = apart < 1 ? 1 : apart < AHEAD_MAX_NS ? (uint64_t)apart : AHEAD_MAX_NS;
	at_once = (unsigned __int128)r.apart_ns * (burst > 1 ? burst - 1 : 0);
	r.burst_ns = at_once < AHEAD_MAX_NS ? (uint64_t)at_once : AHEAD_MAX_NS;
	return r;
}

static uint64_t next_of(const struct weir_spare *s, unsigned i, uint64_t now_ns)
{
	uint64_t next = atomic_load_explicit(&s->next_ns[i], memory_order_relaxed);

	return next > now_ns && next - now_ns <= 2 * AHEAD_MAX_NS ? next : now_ns;
}

static bool is_over(const struct weir_spare *s, uint64_t now_ns)
{
	for (unsigned i = 0; i < WEIR_RATES; i++)
		if (next_of(s, i, now_ns) > now_ns)
			return false;
	return true;
}

static uint64_t hash_of(const char *key)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *key != '\0'; key++)
		h = (h ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	return (h ^ h >> 33) | 1;
}

/* The spare of the key: its own, or one that says nothing any more. NULL when there is none. */
static struct weir_spare *spare_of(const struct weir_segment *s, const char *key, uint64_t now_ns)
{
	uint64_t hash = hash_of(key);
	struct weir_spare *first = &s->spare[(uint32_t)(hash >> 32) % (s->spares / WAYS) * WAYS];

	for (unsigned i = 0; i < WAYS; i++)
		if (atomic_load_explicit(&first[i].tag, memory_order_acquire) == hash)
			return &first[i];
	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t tag = atomic_load_explicit(&first[i].tag, memory_order_acquire);

		if ((tag == 0 || is_over(&first[i], now_ns)) && atomic_compare_exchange_strong(&first[i].tag, &tag, hash))
			return &first[i];
		if (tag == hash)
			return &first[i];
	}
	return NULL;
}

static uint64_t due(uint64_t next_ns, const struct rate *r, uint64_t now_ns)
{
	return next_ns - now_ns > r->burst_ns ? next_ns - r->burst_ns : now_ns;
}

/* Takes a unit of each rate, or, when the request cannot go by latest_ns, none. Returns when it may go. */
static uint64_t take(const struct weir_segment *s, const char *key, const struct rate rate[WEIR_RATES], uint64_t latest_ns,
		     uint64_t now_ns)
{
	struct weir_spare *spare = spare_of(s, key, now_ns);
	uint64_t ready = now_ns;

	if (spare == NULL)
		return now_ns;
	for (unsigned i = 0; i < WEIR_RATES; i++) {
		uint64_t at = rate[i].apart_ns != 0 ? due(next_of(spare, i, now_ns), &rate[i], now_ns) : now_ns;

		ready = at > ready ? at : ready;
	}
	if (ready > now_ns && ready > latest_ns)
		return ready;
	for (unsigned i = 0; i < WEIR_RATES; i++) {
		uint64_t seen, next;

		if (rate[i].apart_ns == 0)
			continue;
		seen = atomic_load_explicit(&spare->next_ns[i], memory_order_relaxed);
		do
			next = seen > now_ns && seen - now_ns <= 2 * AHEAD_MAX_NS ? seen : now_ns;
		while (!atomic_compare_exchange_weak(&spare->next_ns[i], &seen, next + rate[i].apart_ns));
		next = due(next, &rate[i], now_ns);
		ready = next > ready ? next : ready;
	}
	return ready;
}

static uint64_t take_of_rule(const struct weir_segment *s, const char *key, const struct weir_rule *rule, uint64_t latest_ns,
			     uint64_t now_ns)
{
	struct rate rate[WEIR_RATES] = {{0, 0}};

	if ((rule->flags & WEIR_RULE_LIMITS_RATE) != 0 && rule->rate.strategy == WEIR_FIXED)
		rate[0] = rate_of(rule->rate.max, rule->rate.burst);
	for (unsigned i = 1; i < WEIR_RATES; i++)
		rate[i] = rate_of(rule->fixed[i - 1].rate, rule->fixed[i - 1].burst);
	return take(s, key, rate, latest_ns, now_ns);
}

/* Said once in a while, and counted. */
static void tell(const struct weir_segment *s, const char *key, uint64_t now_ns)
{
	_Atomic uint64_t *lost = &s->header->entries_lost;
	uint64_t seen = atomic_load_explicit(lost, memory_order_relaxed), second = (uint32_t)(now_ns / UINT64_C(1000000000));

	while (!atomic_compare_exchange_weak(lost, &seen, second << 32 | (uint32_t)(seen + 1)))
		;
	if ((uint32_t)seen == 0 || (uint32_t)(second - (seen >> 32)) >= TOLD_EVERY_S)
		weir_event_write(s, WEIR_EVENT_TABLE_FULL, WEIR_CAUSE_NONE, key, 0, (uint32_t)(seen + 1), 0, now_ns);
}

uint64_t spare_take(const struct weir_gate *g, const char *host_port, const struct scope scope[WEIR_SCOPES], uint64_t latest_ns,
		    uint64_t now_ns)
{
	const struct weir_segment *s = g->segment;
	const struct weir_rule *total = weir_policy_in_force(s).total;
	bool host = scope[SCOPE_HOST].slot == s->entries,
	     run = scope[SCOPE_RUN].slot == WEIR_NONE && g->run.id[0] != '\0' && (g->run.rate != 0 || g->run.concurrency != 0);
	struct rate rate[WEIR_RATES] = {{0, 0}};
	char key[WEIR_KEY_MAX], run_key[WEIR_KEY_MAX];
	uint64_t ready = now_ns, at;
	uint32_t rule;

	if (!host && !run && (total == NULL || scope[SCOPE_TOTAL].slot != WEIR_NONE))
		return now_ns;
	weir_gate_key(s, host_port, key, &rule);
	tell(s, key, now_ns);
	if (run) {
		scope_run_key(&g->run, key, run_key);
		rate[0] = rate_of(g->run.rate, g->run.burst);
		ready = take(s, run_key, rate, latest_ns, now_ns);
	}
	if (host && (ready <= now_ns || ready <= latest_ns)) {
		at = take_of_rule(s, key, scope[SCOPE_HOST].rule, latest_ns, now_ns);
		ready = at > ready ? at : ready;
	}
	if (total != NULL && scope[SCOPE_TOTAL].slot == WEIR_NONE && (ready <= now_ns || ready <= latest_ns)) {
		at = take_of_rule(s, TOTAL_KEY, total, latest_ns, now_ns);
		ready = at > ready ? at : ready;
	}
	return ready;
}
