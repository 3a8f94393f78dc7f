/* SPDX-License-Identifier: MIT */
#include "scope.h"

#include <string.h>

/* What `weir set --for` takes at most (units.h). An end that is further ahead is damage. */
#define OVERRIDE_MAX_NS (UINT64_C(366) * 86400 * 1000000000)

/* A run's entry has no rule of its own: what `weir run` was given stands in the entry's override, and nothing else limits. So has
 * a client's what the host's rule says of it. */
static const struct weir_rule run_rule = {
	.match = "@run",
	.flags = WEIR_RULE_LIMITS_RATE,
	.rate = {.strategy = WEIR_FIXED},
	.wait_max_ns = UINT64_MAX,
};

/* The rule of an entry whose policy generation has passed. Of a narrowed rule that is gone nothing is left. */
static __attribute__((noinline)) const struct weir_rule *rule_by_key(const struct weir_segment *s,
								     const struct weir_policy_view *view, uint32_t slot)
{
	char key[WEIR_KEY_MAX];
	uint32_t index;

	if (!weir_entry_key(s, slot, key))
		return &view->rules[view->rule_count - 1];
	index = weir_policy_of_key(view, key);
	if (index < view->rule_count)
		return &view->rules[index];
	return strchr(key, '#') != NULL ? &run_rule : &weir_rule_builtin;
}

static const struct weir_rule *entry_rule(const struct weir_segment *s, const struct weir_policy_view *view, uint32_t slot,
					  struct weir_entry *e)
{
	uint64_t word = atomic_load_explicit(&e->rule, memory_order_relaxed);
	uint32_t index = (uint32_t)word;

	if (view->rules == NULL || view->rule_count == 0)
		return &weir_rule_builtin;
	if (word >> 32 == (view->generation & UINT32_MAX) && index >= 1 && index <= view->rule_count)
		return &view->rules[index - 1];
	return rule_by_key(s, view, slot);
}

static void fill(const struct weir_segment *s, const struct weir_policy_view *view, unsigned which, uint32_t slot,
		 struct scope *out)
{
	out->slot = slot;
	out->word = out->rule_word = 0;
	out->entry = &s->entry[slot];
	out->generation = which == SCOPE_RUN || which == SCOPE_CLIENT ? 0 : view->generation;
	if (which == SCOPE_RUN || which == SCOPE_CLIENT || (which == SCOPE_TOTAL && view->total == NULL))
		out->rule = &run_rule;
	else
		out->rule = which == SCOPE_TOTAL ? view->total : entry_rule(s, view, slot, out->entry);
}

void scope_share(struct scope *s)
{
	s->rule = &run_rule;
	s->generation = 0;
}

bool scope_of(const struct weir_gate *g, unsigned which, uint32_t slot, struct scope *out)
{
	struct weir_policy_view view;

	if (slot > g->segment->entries)
		return false;
	view = weir_policy_in_force(g->segment);
	fill(g->segment, &view, which, slot, out);
	return true;
}

bool scope_is_overflow(const struct weir_gate *g, const struct scope *s)
{
	return s->slot == g->segment->entries;
}

void scopes_overflow(const struct weir_gate *g, struct scope scope[WEIR_SCOPES])
{
	scope[SCOPE_HOST].slot = g->segment->entries;
	scope[SCOPE_HOST].entry = &g->segment->entry[g->segment->entries];
	scope[SCOPE_HOST].word = 0;
	if (scope[SCOPE_CLIENT].slot != WEIR_NONE) /* the share is the host's rule to tell: scope_share */
		scope[SCOPE_CLIENT].rule = scope[SCOPE_HOST].rule;
	for (unsigned i = SCOPE_HOST + 1; i < WEIR_SCOPES; i++) {
		scope[i].slot = WEIR_NONE;
		scope[i].word = 0;
	}
}

bool scope_is_still(const struct weir_gate *g, const struct weir_request *r, unsigned which)
{
	const struct weir_scope *in = &r->scope[which];

	if (in->slot >= g->segment->entries)
		return true;
	return in->word != 0 && atomic_load_explicit(&g->segment->index[in->slot], memory_order_acquire) == in->word;
}

bool scopes_are_still(const struct weir_gate *g, const struct scope scope[WEIR_SCOPES], bool leased)
{
	unsigned end = scopes_end(scope);

	/* The claim of a lease is a fence: who evicts takes one that is being filled in for anybody's (lease_scan_any). Without
	 * one there is used_ns alone to be seen. */
	if (!leased)
		weir_store_before_load();
	for (unsigned i = 0; i < end; i++)
		if (scope[i].slot < g->segment->entries &&
		    (scope[i].word == 0 ||
		     atomic_load_explicit(&g->segment->index[scope[i].slot], memory_order_seq_cst) != scope[i].word))
			return false;
	return true;
}

bool scopes_of(const struct weir_gate *g, const struct weir_request *r, struct scope out[WEIR_SCOPES])
{
	const struct weir_segment *s = g->segment;
	struct weir_policy_view view = weir_policy_in_force(s);

	for (unsigned i = 0; i < WEIR_SCOPES; i++) {
		out[i].slot = WEIR_NONE;
		if (r->scope[i].slot <= s->entries && scope_is_still(g, r, i))
			fill(s, &view, i, r->scope[i].slot, &out[i]);
	}
	return out[SCOPE_HOST].slot != WEIR_NONE;
}

void scope_run_key(const struct weir_run *run, const char *key, char out[WEIR_KEY_MAX])
{
	size_t n = 0;

	out[n++] = '@';
	for (const char *p = run->id; *p != '\0' && n < sizeof run->id + 1; p++)
		out[n++] = *p;
	out[n++] = '/';
	for (const char *p = key; *p != '\0' && n < WEIR_KEY_MAX - 1; p++)
		out[n++] = *p;
	out[n] = '\0';
}

void weir_gate_key(const struct weir_segment *s, const char *host_port, char key[WEIR_KEY_MAX], uint32_t *rule)
{
	struct weir_policy_view view = weir_policy_in_force(s);
	const char *from = host_port;
	size_t max = WEIR_KEY_MAX - 1, n = 0;

	*rule = WEIR_NONE;
	if (view.rules != NULL && view.rule_count > 0) {
		*rule = weir_policy_match(&view, host_port);
		if (*rule < view.rule_count && view.rules[*rule].group[0] != '\0') {
			from = view.rules[*rule].group;
			max = WEIR_GROUP_MAX - 1;
		}
	}
	while (n < max && from[n] != '\0') {
		key[n] = from[n];
		n++;
	}
	key[n] = '\0';
}

/* The host's scope where its entry, or what stands in it of its rule, is not of today: the rule is looked for, and the entry
 * made. */
static __attribute__((noinline)) bool host_scope_anew(const struct weir_segment *s, const struct weir_policy_view *view,
						      const char *host_port, uint64_t now_ns, struct scope *out)
{
	char key[WEIR_KEY_MAX];
	uint32_t index = WEIR_NONE;

	weir_gate_key(s, host_port, key, &index);
	out->rule = view->rules != NULL && index < view->rule_count ? &view->rules[index] : &weir_rule_builtin;
	if ((out->rule->flags & WEIR_RULE_EXEMPT) != 0)
		return false;
	out->slot = weir_entry_acquire(s, key, now_ns);
	if (out->slot > s->entries)
		return false;
	out->entry = &s->entry[out->slot];
	out->word = weir_entry_word(s, out->slot, key);
	if (out->slot < s->entries && out->rule != &weir_rule_builtin)
		out->rule_word = scope_rule_word(view->generation, index);
	return true;
}

/* The host's entry with its rule. The usual case, an entry of its own whose rule is known for this generation, is one lookup. An
 * entry that is evicted meanwhile lends nobody its rule: the word is read once more after it, and by weir_gate_begin after the
 * lease is claimed. */
static inline bool host_scope(const struct weir_segment *s, const struct weir_policy_view *view, const char *host_port,
			      uint64_t now_ns, struct scope *out)
{
	uint32_t index;

	out->generation = view->generation;
	out->rule_word = 0;
	out->slot = weir_entry_find_word(s, host_port, &out->word);
	if (out->slot < s->entries && view->rule_count > 0) {
		uint64_t word = atomic_load_explicit(&s->entry[out->slot].rule, memory_order_acquire);

		index = (uint32_t)word - 1;
		if (word >> 32 == (view->generation & UINT32_MAX) && index < view->rule_count &&
		    view->rules[index].group[0] == '\0' &&
		    atomic_load_explicit(&s->index[out->slot], memory_order_acquire) == out->word) {
			out->entry = &s->entry[out->slot];
			out->rule = &view->rules[index];
			return (out->rule->flags & WEIR_RULE_EXEMPT) == 0;
		}
	}
	return host_scope_anew(s, view, host_port, now_ns, out);
}

static uint32_t run_slot(const struct weir_gate *g, const char *host_port, uint64_t now_ns, uint64_t *word)
{
	const struct weir_segment *s = g->segment;
	char key[WEIR_KEY_MAX], run_key[WEIR_KEY_MAX];
	uint32_t slot, rule;

	weir_gate_key(s, host_port, key, &rule);
	scope_run_key(&g->run, key, run_key);
	slot = weir_entry_acquire(s, run_key, now_ns);
	if (slot >= s->entries) /* no room: a spare keeps its rate (spare.c) */
		return WEIR_NONE;
	*word = weir_entry_word(s, slot, run_key);
	return slot;
}

static void set_share(struct weir_entry *e, uint64_t rate, uint32_t burst, uint32_t concurrency)
{
	atomic_store_explicit(&e->set_burst, burst, memory_order_relaxed);
	atomic_store_explicit(&e->set_concurrency, concurrency, memory_order_relaxed);
	atomic_store_explicit(&e->set_rate, rate, memory_order_relaxed);
}

void scopes_settle_in(const struct weir_gate *g, const struct scope scope[WEIR_SCOPES])
{
	const struct weir_narrow *n = &scope[SCOPE_HOST].rule->narrow;

	if (scope[SCOPE_HOST].rule_word != 0 && !scope_is_overflow(g, &scope[SCOPE_HOST]))
		atomic_store_explicit(&scope[SCOPE_HOST].entry->rule, scope[SCOPE_HOST].rule_word, memory_order_relaxed);
	if (scopes_end(scope) == SCOPE_HOST + 1)
		return;
	if (scope[SCOPE_NARROW].slot < g->segment->entries && scope[SCOPE_NARROW].rule_word != 0)
		atomic_store_explicit(&scope[SCOPE_NARROW].entry->rule, scope[SCOPE_NARROW].rule_word, memory_order_relaxed);
	if (scope[SCOPE_RUN].slot < g->segment->entries)
		set_share(scope[SCOPE_RUN].entry, g->run.rate, g->run.burst, g->run.concurrency);
	if (scope[SCOPE_CLIENT].slot < g->segment->entries)
		set_share(scope[SCOPE_CLIENT].entry, n->client_rate, n->client_burst, n->client_concurrency);
}

/* The scopes that few requests have. */
static __attribute__((noinline)) void other_scopes(const struct weir_gate *g, const struct weir_policy_view *view,
						   const char *host_port, bool run, uint64_t now_ns,
						   struct scope out[WEIR_SCOPES])
{
	const struct weir_segment *s = g->segment;
	uint64_t word = 0;
	uint32_t slot;

	if (run) {
		slot = run_slot(g, host_port, now_ns, &word);
		if (slot != WEIR_NONE)
			fill(s, view, SCOPE_RUN, slot, &out[SCOPE_RUN]);
		out[SCOPE_RUN].word = word;
	}
	if (view->total != NULL) {
		slot = weir_entry_acquire(s, TOTAL_KEY, now_ns);
		if (slot < s->entries)
			fill(s, view, SCOPE_TOTAL, slot, &out[SCOPE_TOTAL]);
		out[SCOPE_TOTAL].word = weir_entry_word(s, slot, TOTAL_KEY);
	}
}

bool scope_resolve(const struct weir_gate *g, const char *host_port, const struct weir_asks *asks, uint64_t now_ns,
		   struct scope out[WEIR_SCOPES])
{
	const struct weir_segment *s = g->segment;
	struct weir_policy_view view = weir_policy_in_force(s);
	bool run = g->run.id[0] != '\0' && (g->run.rate != 0 || g->run.concurrency != 0);

	if (!host_scope(s, &view, host_port, now_ns, &out[SCOPE_HOST]))
		return false;
	for (unsigned i = SCOPE_HOST + 1; i < WEIR_SCOPES; i++) {
		out[i].slot = WEIR_NONE;
		out[i].word = 0;
		out[i].rule = NULL;
	}
	out[SCOPE_TOTAL].rule = view.total;
	if (__builtin_expect(scope_is_narrowed(out[SCOPE_HOST].rule), 0) && !scope_narrow(g, &view, host_port, asks, now_ns, out))
		return false;
	if (run || view.total != NULL)
		other_scopes(g, &view, host_port, run, now_ns, out);
	return true;
}

bool scope_rule_names_host(const struct scope *s)
{
	return strncmp(s->rule->match, "*", sizeof s->rule->match) != 0 && s->rule->match[0] != '\0';
}

bool weir_gate_overridden(const struct weir_entry *e, uint64_t now_ns)
{
	uint64_t until = atomic_load_explicit(&e->set_until_ns, memory_order_relaxed);

	return until == 0 || (now_ns < until && until - now_ns <= OVERRIDE_MAX_NS);
}

const struct weir_rate_params *scope_rate_params(const struct scope *s, uint64_t now_ns, struct weir_rate_params *own)
{
	bool overridden =
		atomic_load_explicit(&s->entry->set_rate, memory_order_relaxed) != 0 && weir_gate_overridden(s->entry, now_ns);

	if (!overridden && (s->rule->flags & WEIR_RULE_LIMITS_RATE) != 0)
		return &s->rule->rate;
	*own = s->rule->rate;
	own->strategy = WEIR_FIXED;
	own->max = 0;
	if (overridden) {
		own->max = atomic_load_explicit(&s->entry->set_rate, memory_order_relaxed);
		own->burst = atomic_load_explicit(&s->entry->set_burst, memory_order_relaxed);
		own->min = 0;
	}
	return own;
}

uint32_t scope_permits(const struct scope *s, unsigned which, uint64_t now_ns, bool *ramp)
{
	uint32_t limit = atomic_load_explicit(&s->entry->set_concurrency, memory_order_relaxed), ramped = UINT32_MAX;

	*ramp = false;
	if (limit == 0 || !weir_gate_overridden(s->entry, now_ns))
		limit = weir_concurrency_limit(&s->entry->concurrency, &s->rule->concurrency);
	if (which == SCOPE_HOST)
		ramped = weir_breaker_ramp(&s->entry->breaker, &s->rule->breaker, now_ns);
	if (ramped < limit) {
		*ramp = true;
		limit = ramped;
	}
	return limit < 1 ? 1 : limit;
}

void scope_event(const struct weir_gate *g, const struct scope *s, enum weir_event_kind kind, enum weir_cause cause,
		 uint64_t before, uint64_t after, uint64_t until_ns, uint64_t now_ns)
{
	char key[WEIR_KEY_MAX];

	weir_event_write(g->segment, kind, cause, weir_entry_key(g->segment, s->slot, key) ? key : NULL, before, after, until_ns,
			 now_ns);
}
