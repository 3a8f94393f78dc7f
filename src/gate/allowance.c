/* SPDX-License-Identifier: MIT */
/*
 * Where the counting is composed: the rule says what may be used, the ledger's accounts what was, and where there is no ledger (a
 * home that cannot be written, no room in it) the meters of the entry do, which live as long as the segment.
 *
 * The disk comes first: where an account asks for it the mark is raised and written, and only then is one taken. That is seldom:
 * a mark lasts for about a second of use.
 */
#include "allowance.h"

#include <string.h>

#define NS_PER_MS UINT64_C(1000000)
/* Each try has found that somebody else was faster, or has written to the disk. */
#define TRIES 16
/* Somebody else has just given the meter another key. */
#define METER_TRIES 8

/* Waits end at the time that the wall clock will show then; who has set it forwards or back is seen a second later. */
uint64_t counter_ns(const struct counter *c, uint64_t at_ms, uint64_t now_ns)
{
	uint64_t left_ms = at_ms > c->wall_ms ? at_ms - c->wall_ms : 0;

	return left_ms < (UINT64_MAX - now_ns) / NS_PER_MS ? now_ns + left_ms * NS_PER_MS : UINT64_MAX - 1;
}

/* Of a window that ends, nobody's clock is right to the tick, and it is asked some four times a request. */
static uint64_t wall_ms(const struct weir_ledger *l)
{
	return l != NULL && l->wall_ms != NULL ? l->wall_ms() : weir_wall_tick_ns() / NS_PER_MS;
}

/* Whether what the meter has counted is over. */
static bool is_over(const struct weir_meter *m, uint64_t wall_ms)
{
	return (atomic_load_explicit(&m->word, memory_order_relaxed) >> 32) * 60000 <= wall_ms;
}

/* The entry's meter of that key; make: a free one becomes it, or one whose window is over, or else, where the rules of several
 * hosts of a group (or of some policies one after the other) have used all of them, the one at this place of the rule. */
static __attribute__((noinline)) struct weir_meter *meter_of(struct weir_entry *e, uint64_t key, unsigned which, bool make,
							     uint64_t wall_ms)
{
	for (unsigned tries = 0; tries < METER_TRIES; tries++) {
		struct weir_meter *to = NULL;
		uint64_t there = 0, word;

		for (unsigned i = 0; i < WEIR_ALLOWANCES; i++)
			if (atomic_load_explicit(&e->meter[i].key, memory_order_relaxed) == key)
				return &e->meter[i];
		if (!make)
			return NULL;
		for (unsigned i = 0; i < WEIR_ALLOWANCES && to == NULL; i++)
			if (is_over(&e->meter[i], wall_ms))
				to = &e->meter[i];
		to = to != NULL ? to : &e->meter[which];
		there = atomic_load_explicit(&to->key, memory_order_relaxed);
		word = atomic_load_explicit(&to->word, memory_order_relaxed);
		if (!atomic_compare_exchange_strong(&to->key, &there, key))
			continue;
		/* Unless somebody has counted in it meanwhile. */
		(void)atomic_compare_exchange_strong(&to->word, &word, 0);
		atomic_store_explicit(&to->next_ms, 0, memory_order_relaxed);
		atomic_store_explicit(&to->told, 0, memory_order_relaxed);
		return to;
	}
	return NULL;
}

/* A frame of its own. */
static __attribute__((noinline)) void carry(const struct counter *c, uint64_t key, const struct weir_allowances *rule,
					    unsigned which)
{
	struct weir_account seen;

	if (weir_ledger_copy(c->ledger, key, &seen))
		weir_account_carry(c->meter, &seen, rule, which, c->wall_ms);
}

bool counter_of(const struct weir_segment *s, const struct scope *scope, uint64_t name, unsigned which, bool make,
		struct counter *out)
{
	const struct weir_allowances *rule = &scope->rule->allowances;
	uint64_t key;

	if (name == 0)
		name = weir_ledger_name(scope->entry->key, sizeof scope->entry->key);
	key = weir_ledger_key(name, rule->one[which].digest);
	out->ledger = s->ledger != NULL ? s->ledger() : NULL;
	out->wall_ms = wall_ms(out->ledger);
	out->account = out->ledger != NULL ? weir_ledger_account(out->ledger, key, rule, which, make, out->wall_ms) : NULL;
	if (out->account != NULL) {
		out->meter = &out->account->meter;
		return true;
	}
	if (scope->slot >= s->entries) /* the overflow is nobody's */
		return false;
	out->meter = meter_of(scope->entry, key, which, make, out->wall_ms);
	if (out->meter != NULL && out->ledger != NULL && out->ledger->guarded)
		carry(out, key, rule, which);
	return out->meter != NULL;
}

__attribute__((noinline)) void allowances_name(const struct weir_gate *g, struct weir_request *r, const char *host_port)
{
	char key[WEIR_KEY_MAX];
	uint32_t rule;

	weir_gate_key(g->segment, host_port, key, &rule);
	r->scope[SCOPE_HOST].name = weir_ledger_name(key, sizeof key);
}

/* The scopes that count: not a run's, which has no rule of its own. */
static unsigned count_of(const struct scope *scope)
{
	return scope->slot != WEIR_NONE ? weir_allowances_count(&scope->rule->allowances) : 0;
}

static bool counter_for(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES], unsigned i,
			unsigned which, bool make, struct counter *out)
{
	if (r->scope[i].name == 0 && scope[i].slot < g->segment->entries)
		r->scope[i].name = weir_ledger_name(scope[i].entry->key, sizeof scope[i].entry->key);
	return r->scope[i].name != 0 && counter_of(g->segment, &scope[i], r->scope[i].name, which, make, out);
}

uint64_t allowances_ready_ns(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES],
			     uint64_t now_ns, enum weir_cause *cause)
{
	uint64_t ready = now_ns;

	if (r->paid)
		return ready;
	for (unsigned i = 0; i < scopes_end(scope); i++)
		for (unsigned k = 0; k < count_of(&scope[i]); k++) {
			struct weir_account_view v;
			struct counter c;
			uint64_t at;

			if (r->scope[i].window[k] != 0 || !counter_for(g, r, scope, i, k, false, &c))
				continue;
			weir_account_look(c.meter, c.account, &scope[i].rule->allowances, k, c.wall_ms, &v);
			at = counter_ns(&c, v.until_ms, now_ns);
			if (at <= ready)
				continue;
			ready = at;
			*cause = v.spent ? WEIR_CAUSE_QUOTA_SPENT : WEIR_CAUSE_QUOTA_PACED;
			r->wait_slot = scope[i].slot;
		}
	return ready;
}

/* Told once in a window, by the request that gets there. */
static __attribute__((noinline)) void tell(const struct weir_gate *g, const struct scope *scope, unsigned which,
					   const struct counter *c, uint64_t now_ns)
{
	const struct weir_allowances *rule = &scope->rule->allowances;
	struct weir_account_view v;

	weir_account_look(c->meter, c->account, rule, which, c->wall_ms, &v);
	if (weir_account_tells(c->meter, &rule->one[which], &v, true, c->wall_ms))
		scope_event(g, scope, WEIR_EVENT_QUOTA_SPENT, WEIR_CAUSE_QUOTA_SPENT, v.used, v.limit,
			    counter_ns(c, v.ends_ms, now_ns), now_ns);
	else if (weir_account_tells(c->meter, &rule->one[which], &v, false, c->wall_ms))
		scope_event(g, scope, WEIR_EVENT_QUOTA_LOW, WEIR_CAUSE_NONE, v.used, v.limit, counter_ns(c, v.ends_ms, now_ns),
			    now_ns);
}

static __attribute__((noinline)) void write_ahead(const struct counter *c, const struct weir_allowances *rule, unsigned which)
{
	uint64_t mark = weir_account_raise(c->account, rule, which, c->wall_ms);

	/* Where it cannot be stored into the next look finds so, too. */
	if (weir_ledger_sync(c->ledger, c->account))
		weir_account_kept(c->account, mark);
}

static bool take_one(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES], unsigned i,
		     unsigned which, bool forced, uint64_t now_ns)
{
	const struct weir_allowances *rule = &scope[i].rule->allowances;
	uint64_t used = 0, limit = rule->one[which].limit;
	struct counter c;

	for (unsigned tries = 0; tries < TRIES; tries++) {
		if (!counter_for(g, r, scope, i, which, true, &c))
			return true; /* there is nowhere to count it */
		switch (weir_account_take(c.meter, c.account, rule, which, c.wall_ms, forced, &r->scope[i].window[which],
					  &used)) {
		case WEIR_ACCOUNT_TAKEN:
			if (used * 5 >= limit * 4)
				tell(g, &scope[i], which, &c, now_ns);
			return true;
		case WEIR_ACCOUNT_UNMARKED:
			write_ahead(&c, rule, which);
			break;
		case WEIR_ACCOUNT_GONE:
			break;
		case WEIR_ACCOUNT_SPENT:
		case WEIR_ACCOUNT_PACED:
			return false;
		}
	}
	return forced;
}

bool allowances_take(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES], bool forced,
		     uint64_t now_ns)
{
	if (r->paid)
		return true;
	for (unsigned i = 0; i < scopes_end(scope); i++)
		for (unsigned k = 0; k < count_of(&scope[i]); k++)
			if (r->scope[i].window[k] == 0 && !take_one(g, r, scope, i, k, forced, now_ns)) {
				allowances_give(g, r, scope);
				return false;
			}
	return true;
}

void allowances_give(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES])
{
	for (unsigned i = 0; i < scopes_end(scope); i++)
		for (unsigned k = 0; k < WEIR_ALLOWANCES; k++) {
			struct counter c;

			if (r->scope[i].window[k] == 0)
				continue;
			if (k < count_of(&scope[i]) && counter_for(g, r, scope, i, k, false, &c)) {
				weir_account_give(c.meter, c.account, &scope[i].rule->allowances, k, r->scope[i].window[k]);
				if (scope[i].slot <= g->segment->entries)
					weir_entry_wake(g->segment, scope[i].slot);
			}
			r->scope[i].window[k] = 0;
		}
}

void request_give_allowances(const struct weir_gate *g, struct weir_request *r)
{
	struct scope scope[WEIR_SCOPES];
	bool counted = false;

	for (unsigned i = 0; i < WEIR_SCOPES; i++)
		for (unsigned k = 0; k < WEIR_ALLOWANCES; k++)
			counted |= r->scope[i].window[k] != 0;
	if (counted && scopes_of(g, r, scope))
		allowances_give(g, r, scope);
}
