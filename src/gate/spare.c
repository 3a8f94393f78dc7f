/* SPDX-License-Identifier: MIT */
/*
 * A full table must couple no strangers. A request whose host has no entry passes without breaker, hold and learning; but what a
 * rule, `weir run` or the total say of rates and of requests in flight holds.
 *
 * Rates. By the hash of the key and the number of the rate, a spare has the time at which its next unit is due (GCRA). To take a
 * unit is one compare-and-swap of that time, and so is to take the spare of somebody whose time is past. Beside the time the word
 * has some bits of the tag, and the time is the tag's own only if both words say so: nobody is ever delayed by a stranger's time.
 * Where all that a key may have are taken, the one that is due first goes, for it loses least: its own key may go once too early.
 * That needs more hosts within one interval of their rates than there are spares.
 *
 * Requests in flight are counted in the leases, which know who has died: see weir_lease_spare_room.
 *
 * What if the process dies here: between two rates, a unit of the first is lost. Between the time and the tag, the time is
 * nobody's until it is past; the key begins anew in another spare.
 */
#include "spare.h"

#include <string.h>

#include "weir/kernel.h"
#include "weir/log.h"

#define WAYS         16U
#define CHANGES      64U                                          /* of spares under our eyes, before the request just goes */
#define NS_PER_RATE  ((unsigned __int128)1000000000 * 1000000000) /* nano-admissions per second in 1/ns */
#define AHEAD_MAX_NS (UINT64_C(366) * 86400 * 1000000000)         /* further ahead is damage */
#define TOLD_EVERY_S 60U

/* A spare's word: time in units of 2^6 ns:52 | bits of the tag:12. Faster than 15 million a second is no limit. */
#define TIME_SHIFT 6
#define MARK_BITS  12
#define MARK_MASK  ((UINT64_C(1) << MARK_BITS) - 1)

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
	r.apart_ns = (apart < AHEAD_MAX_NS ? (uint64_t)apart : AHEAD_MAX_NS) >> TIME_SHIFT << TIME_SHIFT;
	at_once = (unsigned __int128)r.apart_ns * (burst > 1 ? burst - 1 : 0);
	r.burst_ns = at_once < AHEAD_MAX_NS ? (uint64_t)at_once : AHEAD_MAX_NS;
	return r;
}

/* The rate that holds where nothing is learned: as of a host just met. */
static struct rate controlled_rate(const struct weir_rule *rule)
{
	const struct weir_rate_params *p = &rule->rate;

	if ((rule->flags & WEIR_RULE_LIMITS_RATE) == 0)
		return rate_of(0, 0);
	return rate_of(p->strategy == WEIR_CONSERVATIVE && p->initial != 0 ? p->initial : p->max, p->burst);
}

static uint64_t hash_of(const char *key, unsigned which)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ which;

	for (; *key != '\0'; key++)
		h = (h ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return (h ^ h >> 33) | 1;
}

uint32_t spare_tag(const char *key)
{
	uint32_t tag = (uint32_t)(hash_of(key, WEIR_RATES) >> 32) | WEIR_LEASE_SPARE;

	return tag != WEIR_NONE ? tag : tag - 1;
}

static uint64_t mark_of(uint64_t tag)
{
	return tag >> 1 & MARK_MASK;
}

/* The time in a spare's word; now_ns when it is past, or damage. */
static uint64_t time_of(uint64_t word, uint64_t now_ns)
{
	uint64_t next = word >> MARK_BITS << TIME_SHIFT;

	return next > now_ns && next - now_ns <= 2 * AHEAD_MAX_NS ? next : now_ns;
}

static uint64_t word_of(uint64_t next_ns, uint64_t tag)
{
	return next_ns >> TIME_SHIFT << MARK_BITS | mark_of(tag);
}

/* Of the 2 * WAYS spares that a tag may have, number i. */
static struct weir_spare *candidate(const struct weir_segment *s, uint64_t tag, unsigned i)
{
	uint32_t sets = s->spares / WAYS, set = i < WAYS ? (uint32_t)(tag >> 32) : (uint32_t)(tag >> 16);

	return &s->spare[set % sets * WAYS + i % WAYS];
}

struct found {
	struct weir_spare *spare;
	uint64_t tag, word; /* as they were */
	bool own;           /* else it is the one that is due first, most often long ago */
	bool maybe;         /* and there is one that may become the tag's own in a moment */
};

static struct found look(const struct weir_segment *s, uint64_t tag, uint64_t now_ns)
{
	struct found best = {0};
	uint64_t best_due = UINT64_MAX;
	bool maybe = false;

	for (unsigned i = 0; i < 2 * WAYS; i++) {
		struct weir_spare *c = candidate(s, tag, i);
		uint64_t its = atomic_load_explicit(&c->tag, memory_order_acquire);
		uint64_t word = atomic_load_explicit(&c->next, memory_order_acquire), due = time_of(word, now_ns);
		bool marked = (word & MARK_MASK) == mark_of(tag);

		if (its == tag && marked)
			return (struct found){c, its, word, true, false};
		maybe |= marked && due > now_ns;
		if (due < best_due) {
			best = (struct found){c, its, word, false, false};
			best_due = due;
		}
	}
	best.maybe = maybe;
	return best;
}

/* The time is taken; now the spare gets its tag, unless it has already been given away. */
static void put_tag(const struct found *f, uint64_t word, uint64_t tag)
{
	uint64_t seen = f->tag;

	for (unsigned i = 0; i < CHANGES && !atomic_compare_exchange_strong(&f->spare->tag, &seen, tag); i++)
		if (atomic_load_explicit(&f->spare->next, memory_order_acquire) != word)
			return;
}

static uint64_t due(uint64_t next_ns, const struct rate *r, uint64_t now_ns)
{
	return next_ns > now_ns && next_ns - now_ns > r->burst_ns ? next_ns - r->burst_ns : now_ns;
}

/* When the next unit could go. */
static uint64_t preview(const struct weir_segment *s, uint64_t tag, const struct rate *r, uint64_t now_ns)
{
	struct found f;

	if (r->apart_ns == 0)
		return now_ns;
	f = look(s, tag, now_ns);
	return f.own ? due(time_of(f.word, now_ns), r, now_ns) : now_ns;
}

/* Takes the next unit; returns when it may go. */
static uint64_t take_one(const struct weir_segment *s, uint64_t tag, const struct rate *r, uint64_t now_ns)
{
	for (unsigned changes = 0; r->apart_ns != 0 && changes < CHANGES; changes++) {
		struct found f = look(s, tag, now_ns);
		uint64_t next = f.own ? time_of(f.word, now_ns) : now_ns, word = word_of(next + r->apart_ns, tag);

		/* Another request of this key may be between the time and the tag. It takes nanoseconds, and if it died there
		 * the time will pass. */
		if (!f.own && f.maybe && changes < CHANGES / 2)
			continue;
		if (!atomic_compare_exchange_strong(&f.spare->next, &f.word, word))
			continue;
		if (!f.own)
			put_tag(&f, word, tag);
		return due(next, r, now_ns);
	}
	return now_ns;
}

/* Takes a unit of each rate, or, when the request cannot go by latest_ns, none. Returns when it may go. */
static uint64_t take(const struct weir_segment *s, const char *key, const struct rate rate[WEIR_RATES], uint64_t latest_ns,
		     uint64_t now_ns)
{
	uint64_t ready = now_ns, at;

	for (unsigned i = 0; i < WEIR_RATES; i++) {
		at = preview(s, hash_of(key, i), &rate[i], now_ns);
		ready = at > ready ? at : ready;
	}
	if (ready > now_ns && ready > latest_ns)
		return ready;
	for (unsigned i = 0; i < WEIR_RATES; i++) {
		at = take_one(s, hash_of(key, i), &rate[i], now_ns);
		ready = at > ready ? at : ready;
	}
	return ready;
}

static void rates_of(const struct weir_rule *rule, struct rate rate[WEIR_RATES])
{
	rate[0] = controlled_rate(rule);
	for (unsigned i = 1; i < WEIR_RATES; i++)
		rate[i] = rate_of(rule->fixed[i - 1].rate, rule->fixed[i - 1].burst);
}

uint64_t spare_preview_ns(const struct weir_segment *s, const char *key, const struct weir_rule *rule, uint64_t now_ns)
{
	struct rate rate[WEIR_RATES];
	uint64_t ready = now_ns;

	rates_of(rule, rate);
	for (unsigned i = 0; i < WEIR_RATES; i++) {
		uint64_t at = preview(s, hash_of(key, i), &rate[i], now_ns);

		ready = at > ready ? at : ready;
	}
	return ready;
}

/* Said once in a while, and counted: for all by an event, in this process's log if it has one. */
static __attribute__((noinline)) void tell(const struct weir_segment *s, const char *key, uint64_t now_ns)
{
	static _Atomic uint32_t logged_s; /* second of the last line, 0: none */
	_Atomic uint64_t *lost = &s->header->entries_lost;
	uint64_t seen = atomic_load_explicit(lost, memory_order_relaxed), second = (uint32_t)(now_ns / UINT64_C(1000000000));
	uint32_t last = atomic_load_explicit(&logged_s, memory_order_relaxed);

	while (!atomic_compare_exchange_weak(lost, &seen, second << 32 | (uint32_t)(seen + 1)))
		;
	if ((uint32_t)seen == 0 || (uint32_t)(second - (seen >> 32)) >= TOLD_EVERY_S)
		weir_event_write(s, WEIR_EVENT_TABLE_FULL, WEIR_CAUSE_NONE, key, 0, (uint32_t)(seen + 1), 0, now_ns);
	if ((last == 0 || (uint32_t)second - last >= TOLD_EVERY_S) &&
	    atomic_compare_exchange_strong(&logged_s, &last, second != 0 ? (uint32_t)second : 1))
		weir_log(WEIR_LOG_WARN,
			 "%s: the table of hosts is full: its rule's rates and concurrency hold, without breaker, hold and "
			 "learning",
			 key);
}

/* Whether the scope limits, and has no entry. */
static bool is_missing(const struct weir_gate *g, const struct scope scope[WEIR_SCOPES], unsigned which)
{
	if (which == SCOPE_HOST)
		return scope[which].slot == g->segment->entries;
	if (scope[which].slot != WEIR_NONE)
		return false;
	return which == SCOPE_RUN ? g->run.id[0] != '\0' && (g->run.rate != 0 || g->run.concurrency != 0)
				  : scope[which].rule != NULL;
}

static bool any_missing(const struct weir_gate *g, const struct scope scope[WEIR_SCOPES])
{
	for (unsigned i = 0; i < WEIR_SCOPES; i++)
		if (is_missing(g, scope, i))
			return true;
	return false;
}

/* The key that a scope's entry would have. `host`: the host's, or its group's. */
static void key_of(const struct weir_gate *g, const struct scope scope[WEIR_SCOPES], unsigned which, const char *host,
		   char key[WEIR_KEY_MAX])
{
	const struct weir_rule *apart =
		(scope[SCOPE_HOST].rule->narrow.flags & WEIR_NARROW_IS) != 0 ? scope[SCOPE_HOST].rule : NULL;

	const char *from = which == SCOPE_TOTAL ? TOTAL_KEY : host;

	memcpy(key, from, strnlen(from, WEIR_KEY_MAX - 1) + 1);
	if (which == SCOPE_RUN)
		scope_run_key(&g->run, host, key);
	else if (which == SCOPE_NARROW)
		scope_narrow_key(scope[which].rule, key);
	else if (which == SCOPE_HOST && apart != NULL)
		scope_narrow_key(apart, key);
	else if (which == SCOPE_CLIENT)
		scope_client_key(g, host, key);
}

static void rates_of_scope(const struct weir_gate *g, const struct weir_rule *rule, unsigned which, struct rate rate[WEIR_RATES])
{
	for (unsigned i = 0; i < WEIR_RATES; i++)
		rate[i] = rate_of(0, 0);
	if (which == SCOPE_RUN)
		rate[0] = rate_of(g->run.rate, g->run.burst);
	else if (which == SCOPE_CLIENT)
		rate[0] = rate_of(rule->narrow.client_rate, rule->narrow.client_burst);
	else
		rates_of(rule, rate);
}

/* Its keys want stack of their own, not under all that a request does. */
__attribute__((noinline)) uint64_t spare_take(const struct weir_gate *g, const char *host_port,
					      const struct scope scope[WEIR_SCOPES], uint64_t latest_ns, uint64_t now_ns)
{
	const struct weir_segment *s = g->segment;
	struct rate rate[WEIR_RATES];
	char host[WEIR_KEY_MAX], key[WEIR_KEY_MAX];
	uint64_t ready = now_ns, at;
	uint32_t rule;

	if (!any_missing(g, scope))
		return now_ns;
	weir_gate_key(s, host_port, host, &rule);
	tell(s, host, now_ns);
	for (unsigned i = 0; i < WEIR_SCOPES; i++) {
		if (!is_missing(g, scope, i) || (ready > now_ns && ready > latest_ns))
			continue;
		key_of(g, scope, i, host, key);
		rates_of_scope(g, scope[i].rule, i, rate);
		at = take(s, key, rate, latest_ns, now_ns);
		ready = at > ready ? at : ready;
	}
	return ready;
}

/* Permits as of a host just met; 0 = no limit. */
static uint32_t permits_of(const struct weir_concurrency_params *p)
{
	static const struct weir_concurrency unused;
	uint32_t limit = weir_concurrency_limit(&unused, p);

	return limit == UINT32_MAX ? 0 : limit < 1 ? 1 : limit;
}

__attribute__((noinline)) void spare_permits(const struct weir_gate *g, const char *host_port,
					     const struct scope scope[WEIR_SCOPES], struct weir_spare_permits out[WEIR_SCOPES])
{
	char host[WEIR_KEY_MAX], key[WEIR_KEY_MAX];
	uint32_t rule;

	for (unsigned i = 0; i < WEIR_SCOPES; i++)
		out[i] = (struct weir_spare_permits){0, 0};
	if (!any_missing(g, scope))
		return; /* nearly always */
	weir_gate_key(g->segment, host_port, host, &rule);
	for (unsigned i = 0; i < WEIR_SCOPES; i++) {
		if (!is_missing(g, scope, i))
			continue;
		out[i].limit = i == SCOPE_RUN      ? g->run.concurrency
			       : i == SCOPE_CLIENT ? scope[i].rule->narrow.client_concurrency
						   : permits_of(&scope[i].rule->concurrency);
		if (out[i].limit == 0)
			continue;
		key_of(g, scope, i, host, key);
		out[i].tag = spare_tag(key);
	}
}
