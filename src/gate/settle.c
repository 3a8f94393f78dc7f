/* SPDX-License-Identifier: MIT */
/* What a result teaches: counters, window, breaker, hold, controllers; then the permits and the lease go back. */
#include "allowance.h"
#include "count.h"
#include "degrade.h"
#include "hear.h"
#include "release.h"
#include "scope.h"
#include "spare.h"

#include <string.h>

#include "weir/outage.h"
#include "weir/trylock.h"

/* Succeeded, throttled and failed requests are counted by weir_rate_note. */
static void count(struct weir_entry *e, const struct weir_result *result)
{
	struct weir_counters *c = &e->counters;

	if (result->outcome == WEIR_IGNORED)
		atomic_fetch_add_explicit(&c->ignored, 1, memory_order_relaxed);
	if (result->connections != 0)
		atomic_fetch_add_explicit(&c->connections, result->connections, memory_order_relaxed);
	if (__builtin_expect(result->seen != WEIR_SEEN_REQUEST && result->seen < WEIR_SEEN_KINDS, 0))
		atomic_fetch_add_explicit(&e->seen[result->seen], 1, memory_order_relaxed);
}

static enum weir_cause opening_cause(enum weir_breaker_change change)
{
	switch (change) {
	case WEIR_BREAKER_REOPENED:
		return WEIR_CAUSE_PROBE_FAILED;
	case WEIR_BREAKER_OPENED_ON_SHARE:
		return WEIR_CAUSE_FAILURE_RATE;
	case WEIR_BREAKER_OPENED_ON_SLOW:
		return WEIR_CAUSE_SLOW_RATE;
	default:
		return WEIR_CAUSE_FAILURES;
	}
}

/* What the result says of the host, beside failed or not: see weir/meaning.h. */
static void settle_meaning(const struct weir_request *r, const struct scope *host, const struct weir_rate_params *params,
			   const struct weir_result *result, uint64_t latency_ns, struct weir_breaker_call *call, uint64_t now_ns)
{
	struct weir_meaning *m = &host->entry->meaning;

	/* A client that gives up while others are answered has asked for something that takes long. */
	if (result->outcome == WEIR_FAILED && result->timed_out)
		call->beside_life = weir_meaning_good_since(m, r->admitted_ns, now_ns);

	if (result->outcome == WEIR_SUCCEEDED && (result->status < 400 || !weir_refusal_may_be(result->status)))
		weir_meaning_good(m, latency_ns, now_ns);
	else if (result->outcome == WEIR_THROTTLED || result->outcome == WEIR_SUCCEEDED)
		weir_meaning_heard(m);
	if (result->outcome != WEIR_FAILED || result->status == 0)
		return;
	weir_meaning_bad(m);
	call->beside_life = weir_meaning_lives(m, now_ns);
	/* Of a crowd that meets a host for the first time, those who ask for what is broken may be answered first. */
	if (!weir_meaning_known(m, now_ns))
		call->sent_ns = r->admitted_ns;
	call->least_run = weir_meaning_run(m, host->rule->breaker.failures, now_ns);
	/* The same numbers that open the breaker: where silence is tried first, it waits. */
	if (hear_alone(host, result->status, now_ns) && hear_what(host, params, result) == HEARD_BARE &&
	    weir_refusal_may_be_ban(&host->entry->refusal, result->status, now_ns))
		call->beside_life = true;
}

static void settle_breaker(const struct weir_gate *g, const struct weir_request *r, const struct scope *host,
			   const struct weir_rate_params *params, const struct weir_result *result, uint64_t latency_ns,
			   uint64_t now_ns)
{
	const struct weir_breaker_params *p = &host->rule->breaker;
	struct weir_breaker *b = &host->entry->breaker;
	bool failed = result->outcome == WEIR_FAILED;
	struct weir_breaker_call call = {.failed = failed, .slow = p->slow_call_ns != 0 && latency_ns >= p->slow_call_ns};
	struct weir_breaker_view before = {0};
	enum weir_breaker_change change;
	uint64_t grace_ends;

	/* A server on this machine that does not listen (yet), or that cuts what it says, costs nobody anything, and whose it is
	 * is the program itself as often as not: it asks as often as it likes, unless a rule says that this host is meant. */
	if (result->outcome == WEIR_IGNORED || (failed && result->here && result->status == 0 && !scope_rule_names_host(host))) {
		weir_breaker_forgo(b, r->ticket);
		return;
	}
	settle_meaning(r, host, params, result, latency_ns, &call, now_ns);
	if (r->watched)
		degrade_note(g, host, result, latency_ns, now_ns);
	weir_window_add(&host->entry->window, p->window_ns, now_ns, failed, call.slow, latency_ns);
	if (failed && r->ticket.probe != 0 && host->rule->grace_ns != 0) {
		grace_ends = weir_outage_grace_ends_ns(&host->entry->meaning, host->rule->grace_ns, now_ns);
		call.unawaited = grace_ends != 0 && grace_ends <= now_ns;
	}
	if (failed || call.slow)
		before = weir_breaker_view(b, p, now_ns);
	change = weir_breaker_settle(b, p, &host->entry->window, &host->entry->outcomes, r->ticket, &call, now_ns);
	if (change == WEIR_BREAKER_SAME)
		return;
	if (change == WEIR_BREAKER_RECLOSED) {
		weir_outage_end(&host->entry->meaning);
		scope_event(g, host, WEIR_EVENT_BREAKER_CLOSED, WEIR_CAUSE_PROBE_SUCCEEDED, 0, 0, 0, now_ns);
	} else {
		count_one(g, r, WEIR_SUMMARY_TRIPS);
		if (change != WEIR_BREAKER_REOPENED)
			weir_outage_begin(&host->entry->meaning, now_ns);
		scope_event(g, host, WEIR_EVENT_BREAKER_OPENED, opening_cause(change), before.streak, 0,
			    weir_breaker_view(b, p, now_ns).until_ns, now_ns);
	}
	weir_entry_wake(g->segment, host->slot);
}

/* The window of the answer that binds: the last reset of those with nothing left, else the one that can be used least. `ns` is
 * until its end. NULL: none that says enough. */
static const struct weir_quota *binding_quota(const struct weir_result *result, uint64_t *ns)
{
	const struct weir_quota *found = NULL;

	for (uint32_t i = 0; i < result->quotas && i < WEIR_QUOTAS; i++) {
		const struct weir_quota *q = &result->quota[i];
		uint64_t end = q->has_reset ? q->resets_in_ns : q->remaining > 0 ? q->window_ns : 0;

		if (!q->has_remaining || (end == 0 && q->remaining > 0))
			continue;
		if (found == NULL || q->remaining < found->remaining || (q->remaining == 0 && end > *ns)) {
			found = q;
			*ns = end;
		}
	}
	return found;
}

/* Takes in what the answer says of the quota of those who share it. True when it is spent and they are stopped until it is not,
 * so that nobody else need be. */
static __attribute__((noinline)) bool settle_quota(const struct weir_gate *g, const struct weir_request *r,
						   const struct scope *host, const struct weir_result *result, uint64_t now_ns)
{
	uint64_t ns = 0, was;
	const struct weir_quota *q = binding_quota(result, &ns);
	struct weir_share_told told = {.alone = weir_concurrency_count(&host->entry->concurrency) <= 1};
	bool spent = q != NULL && q->remaining == 0;

	if (q == NULL || r->asker.credential == 0 || result->resource == 0)
		return false;
	/* As with a hold: what the server asks for goes before what it says of the window, and neither beyond hold.max. */
	if (spent && result->retry_after_ns != 0 && result->hold_cause == WEIR_CAUSE_RETRY_AFTER)
		ns = result->retry_after_ns;
	if (spent && ns > host->rule->hold_max_ns)
		ns = host->rule->hold_max_ns;
	if (ns == 0)
		return false;
	told.resource = weir_quota_share_digest(g->segment->header->salt, result->resource, QUOTA_RESOURCE);
	told.named = result->named;
	told.limit = q->limit;
	told.left = q->remaining;
	told.refused = result->outcome == WEIR_THROTTLED;
	told.until_ns = ns < UINT64_MAX - now_ns ? now_ns + ns : UINT64_MAX;
	was = weir_quota_share_spent_until(&host->entry->quota, r->asker, now_ns);
	weir_quota_share_tell(&host->entry->quota, r->asker, &told, now_ns);
	if (spent && was <= now_ns)
		scope_event(g, host, WEIR_EVENT_HOLD_SET, WEIR_CAUSE_QUOTA_HEADER, 0, 0, told.until_ns, now_ns);
	return spent;
}

/* Returns when the hold that this result set ends; 0 when it set none. */
static uint64_t settle_hold(const struct weir_gate *g, const struct scope *host, const struct weir_result *result,
			    uint64_t now_ns)
{
	uint64_t until;

	if (result->retry_after_ns == 0 || host->slot == g->segment->entries)
		return 0;
	until = result->retry_after_ns < UINT64_MAX - now_ns ? now_ns + result->retry_after_ns : UINT64_MAX;
	if (!weir_hold_raise(&host->entry->hold, until, host->rule->hold_max_ns, now_ns))
		return 0;
	until = weir_hold_until_ns(&host->entry->hold, host->rule->hold_max_ns, now_ns);
	atomic_store_explicit(&host->entry->hold_cause, result->hold_cause, memory_order_relaxed);
	scope_event(g, host, WEIR_EVENT_HOLD_SET, result->hold_cause, 0, 0, until, now_ns);
	return until;
}

/* What comes of a narrowed rule's requests is counted there as well as at their host. It steers nothing: such a rule has but
 * fixed limits, and no controller reads these counts. */
static __attribute__((noinline)) void count_narrowed(const struct weir_gate *g, const struct weir_request *r,
						     enum weir_outcome outcome, uint64_t latency_ns)
{
	uint32_t slot = r->scope[SCOPE_NARROW].slot;
	struct weir_rate *rate = &g->segment->entry[slot].rate;

	if (!scope_is_still(g, r, SCOPE_NARROW))
		return;
	atomic_fetch_add_explicit(outcome == WEIR_SUCCEEDED   ? &rate->accepted
				  : outcome == WEIR_THROTTLED ? &rate->throttled
							      : &rate->failed,
				  1, memory_order_relaxed);
	weir_durations_add(g->segment, slot, WEIR_DURATIONS_LATENCY, latency_ns);
}

static enum weir_rate_signal signal_of(enum weir_outcome outcome)
{
	return outcome == WEIR_SUCCEEDED   ? WEIR_RATE_ACCEPTED
	       : outcome == WEIR_THROTTLED ? WEIR_RATE_THROTTLED
					   : WEIR_RATE_FAILED;
}

/* Whether what is left of the quota is enough for what is asked for. Where several quotas are in use one pace fits none of them.
 */
static bool is_spare(const struct scope *host, const struct weir_result *result, uint64_t now_ns)
{
	struct weir_entry *e = host->entry;
	uint64_t ns = 0;
	const struct weir_quota *q = binding_quota(result, &ns);

	if (q == NULL || q->remaining == 0 || ns == 0)
		return false;
	return weir_quota_share_count(&e->quota, now_ns) > 1 ||
	       !weir_quota_share_outrun(&e->quota, q->remaining, ns, q->window_ns,
					atomic_load_explicit(&e->rate.accepted, memory_order_relaxed),
					atomic_load_explicit(&e->waiting, memory_order_relaxed), now_ns);
}

static void settle_rate(const struct weir_gate *g, const struct weir_request *r, const struct scope *host,
			const struct weir_rate_params *params, const struct weir_result *result, bool due, enum heard heard,
			uint64_t hold_until_ns, bool apart, uint64_t now_ns)
{
	struct weir_rate_answer answer;

	if (!due && heard == HEARD_NOTHING && result->quotas == 0 && hold_until_ns == 0)
		return;
	answer = (struct weir_rate_answer){
		.signal = signal_of(result->outcome),
		.admitted_ns = r->admitted_ns,
		/* A hold that was cut down to hold.max ends when we say, and tells nothing of the host. */
		.hold_until_ns = result->retry_after_ns <= host->rule->hold_max_ns ? hold_until_ns : 0,
		.hold_max_ns = host->rule->hold_max_ns != 0 ? host->rule->hold_max_ns : 1,
		.in_flight = weir_concurrency_count(&host->entry->concurrency),
		.quota = result->quotas != 0 ? result->quota : NULL,
		.quotas = result->quotas < WEIR_QUOTAS ? result->quotas : WEIR_QUOTAS,
		.spare = result->quotas != 0 && is_spare(host, result, now_ns),
		.apart = apart,
	};
	hear(g, r, host, params, &answer, heard, result->status, hold_until_ns != 0, now_ns);
}

static __attribute__((noinline)) void settle_concurrency(const struct weir_gate *g, const struct scope *host,
							 const struct weir_result *result, uint64_t latency_ns, uint64_t now_ns)
{
	struct weir_entry *e = host->entry;
	const struct weir_concurrency_params *p = &host->rule->concurrency;
	struct weir_concurrency_change change;
	uint64_t token;

	if (p->mode != WEIR_CONCURRENCY_ADAPTIVE)
		return;
	if (!weir_concurrency_note(&e->concurrency, p, latency_ns, weir_concurrency_count(&e->concurrency),
				   result->outcome == WEIR_SUCCEEDED, result->outcome == WEIR_FAILED && result->timed_out,
				   now_ns))
		return;
	token = weir_trylock_take(&e->update_lock, now_ns);
	if (token == 0)
		return;
	change = weir_concurrency_update(&e->concurrency, p, now_ns);
	weir_trylock_release(&e->update_lock, token);
	if (!change.changed)
		return;
	if (worth_telling(change.from, change.to))
		scope_event(g, host, WEIR_EVENT_CONCURRENCY_CHANGED, WEIR_CAUSE_NONE, change.from, change.to, 0, now_ns);
	weir_entry_wake(g->segment, host->slot);
}

/* What counts as what. A time-out that the client set itself speaks of its patience and of our queue, unless it is well beyond
 * what the host usually takes; a probe is alone, so nothing else has been answered meanwhile. And a status that is listed as
 * throttling is no more than an answer where the same answer says that quota is left, and names no time to come back. A bare
 * status that has been found to depend on the pace is throttling. */
static enum weir_outcome outcome_of(const struct weir_request *r, const struct scope *host, const struct weir_rate_params *params,
				    const struct weir_result *result, uint64_t now_ns)
{
	if (result->outcome == WEIR_FAILED && result->timed_out && r->ticket.probe == 0 &&
	    ((r->delayed && r->hurried) || !weir_meaning_blames(&host->entry->meaning, r->admitted_ns, now_ns)))
		return WEIR_IGNORED;
	if (result->status >= 400 && (result->outcome == WEIR_FAILED || result->outcome == WEIR_SUCCEEDED) &&
	    hear_means_less(host, params, result->status))
		return WEIR_THROTTLED;
	if (result->outcome != WEIR_THROTTLED || result->status == 429 || result->retry_after_ns != 0 || result->quotas == 0)
		return result->outcome;
	for (uint32_t i = 0; i < result->quotas && i < WEIR_QUOTAS; i++)
		if (!result->quota[i].has_remaining || result->quota[i].remaining == 0)
			return WEIR_THROTTLED;
	return result->status >= 500 ? WEIR_FAILED : WEIR_SUCCEEDED;
}

void weir_gate_settle(const struct weir_gate *g, struct weir_request *r, const struct weir_result *result, uint64_t now_ns)
{
	struct weir_result judged;
	struct scope host;
	struct weir_rate_params own;
	const struct weir_rate_params *rate;
	enum weir_outcome outcome;
	uint64_t latency, hold = 0;
	enum heard heard = HEARD_NOTHING;
	bool due = false, apart;

	if (r->phase != WEIR_PHASE_ADMITTED) {
		r->phase = WEIR_PHASE_OVER;
		return;
	}
	r->phase = WEIR_PHASE_OVER;
	latency = result->latency_ns != 0 ? result->latency_ns : now_ns > r->admitted_ns ? now_ns - r->admitted_ns : 0;
	/* Without a lease its entry may have been evicted meanwhile: its successor has nothing to do with this result. */
	if (!scope_is_still(g, r, SCOPE_HOST) || !scope_of(g, SCOPE_HOST, r->scope[SCOPE_HOST].slot, &host)) {
		count_over(g, r, result->outcome, latency);
		request_give_permits(g, r);
		request_free_lease(g, r);
		return;
	}
	/* A lease that a reaper took (past its deadline) was counted and its permits given back by the reaper. */
	if (r->lease != WEIR_NONE &&
	    !weir_lease_set(g->segment, r->lease, r->lease_tag, r->owner_pid, WEIR_LEASE_SETTLING, r->held)) {
		r->lease = WEIR_NONE;
		count_over(g, r, result->outcome, latency);
		/* What the server asked for holds all the same. */
		if (settle_hold(g, &host, result, now_ns) != 0)
			atomic_store_explicit(&host.entry->applied, 0, memory_order_relaxed);
		return;
	}
	rate = scope_rate_params(&host, now_ns, &own);
	outcome = outcome_of(r, &host, rate, result, now_ns);
	if (outcome == WEIR_IGNORED && result->timed_out && r->delayed)
		weir_meaning_late(&host.entry->meaning, now_ns > r->admitted_ns ? now_ns - r->admitted_ns : 0);
	if (outcome != result->outcome) {
		judged = *result;
		judged.outcome = outcome;
		result = &judged;
	}
	count(host.entry, result);
	count_over(g, r, result->outcome, latency);
	if (r->tentative)
		atomic_fetch_add_explicit(&host.entry->counters.admitted, 1, memory_order_relaxed);
	if (result->outcome != WEIR_IGNORED) {
		due = weir_rate_note(&host.entry->rate, rate, signal_of(result->outcome), now_ns);
		weir_durations_add(g->segment, host.slot, WEIR_DURATIONS_LATENCY, latency);
		if (r->scope[SCOPE_NARROW].slot < g->segment->entries)
			count_narrowed(g, r, result->outcome, latency);
	}
	/* The overflow stands for strangers: what one does says nothing of the others. */
	if (host.slot == g->segment->entries) {
		request_give_permits(g, r);
		request_free_lease(g, r);
		return;
	}
	settle_breaker(g, r, &host, rate, result, latency, now_ns);
	apart = result->quotas != 0 && settle_quota(g, r, &host, result, now_ns);
	if (!apart)
		hold = settle_hold(g, &host, result, now_ns);
	if (result->outcome != WEIR_IGNORED) {
		heard = hear_what(&host, rate, result);
		/* What a probe is told is of an outage, over which no pace is to be measured. */
		if (heard == HEARD_BARE && r->ticket.probe != 0)
			heard = HEARD_NOTHING;
		settle_rate(g, r, &host, rate, result, due, heard, hold, apart, now_ns);
		settle_concurrency(g, &host, result, latency, now_ns);
	}
	request_give_permits(g, r);
	request_free_lease(g, r);
}

/* The request of a hop, on the scopes that it passes: in a frame of its own. */
static __attribute__((noinline)) void settle_hop(const struct weir_gate *g, const char *host_port,
						 const struct scope scope[WEIR_SCOPES], const struct weir_result *result,
						 uint64_t now_ns)
{
	struct weir_request r = {.phase = WEIR_PHASE_ADMITTED, .lease = WEIR_NONE};
	const struct scope *host = &scope[SCOPE_HOST];

	r.begun_ns = r.admitted_ns = now_ns - (result->latency_ns < now_ns ? result->latency_ns : now_ns);
	for (unsigned i = 0; i < WEIR_SCOPES; i++) {
		r.scope[i].slot = scope[i].slot;
		r.scope[i].word = scope[i].word;
	}
	if (allowances_any(scope)) {
		allowances_name(g, &r, host_port);
		(void)allowances_take(g, &r, scope, true, now_ns);
	}
	r.watched = host->rule->degrade.watch != 0;
	r.ticket.generation = weir_breaker_view(&host->entry->breaker, &host->rule->breaker, now_ns).generation;
	atomic_fetch_add_explicit(&host->entry->counters.admitted, 1, memory_order_relaxed);
	count_begins(g, &r, host_port);
	count_one(g, &r, WEIR_SUMMARY_ADMITTED);
	weir_gate_settle(g, &r, result, now_ns);
}

void weir_gate_hop(const struct weir_gate *g, const char *host_port, const struct weir_result *result, uint64_t now_ns)
{
	struct scope scope[WEIR_SCOPES];

	if (g->segment == NULL || g->segment->base == NULL || !scope_resolve(g, host_port, NULL, now_ns, scope))
		return;
	for (unsigned i = 0; i < WEIR_SCOPES; i++)
		if (scope[i].slot != WEIR_NONE)
			atomic_store_explicit(&scope[i].entry->used_ns, now_ns, memory_order_relaxed);
	/* Without a lease it is the mark of use that keeps who evicts from the entries, and one that was evicted all the same is
	 * a stranger's. */
	if (!scopes_are_still(g, scope, false))
		return;
	for (unsigned i = 0; i < WEIR_SCOPES; i++) {
		if (scope[i].slot == WEIR_NONE)
			continue;
		scope_apply(g, &scope[i], now_ns);
		for (unsigned j = 0; j < WEIR_RATES; j++)
			weir_bucket_charge(&scope[i].entry->bucket[j], now_ns);
	}
	spare_take(g, host_port, scope, UINT64_MAX, now_ns);
	settle_hop(g, host_port, scope, result, now_ns);
}
