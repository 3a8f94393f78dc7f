/* SPDX-License-Identifier: MIT */
#include "hear.h"

#include "weir/trylock.h"

bool hear_means_less(const struct scope *host, const struct weir_rate_params *params, uint32_t status)
{
	struct weir_refusal_view v = weir_refusal_look(&host->entry->refusal);

	/* Where nothing is learned nothing ends what was, or is tried: a host that is down would never be. */
	return params->strategy == WEIR_ADAPTIVE && host->rule->throttle_codes != 0 && v.meaning == WEIR_REFUSAL_PACE &&
	       v.status == status;
}

/* What the rule lists, but for 429, which is in every list: the operator has said what it means, and nobody asks any further. */
static bool is_listed(const struct weir_rule *rule, uint32_t status)
{
	for (uint32_t i = 0; i < rule->throttle_codes && i < WEIR_THROTTLE_CODES; i++)
		if (rule->throttle_code[i] == status && status != 429)
			return true;
	return false;
}

/* Whether the answer says more than its status: then it means what it says. */
static bool is_explained(const struct weir_result *result)
{
	if (result->retry_after_ns != 0)
		return true;
	for (uint32_t i = 0; i < result->quotas && i < WEIR_QUOTAS; i++)
		if (result->quota[i].has_remaining && result->quota[i].remaining == 0)
			return true;
	return false;
}

enum heard hear_what(const struct scope *host, const struct weir_rate_params *params, const struct weir_result *result)
{
	if (params->strategy != WEIR_ADAPTIVE)
		return HEARD_NOTHING;
	if (result->outcome == WEIR_SUCCEEDED && result->status < 400)
		return weir_refusal_due(&host->entry->refusal, &host->entry->rate.accepted) ? HEARD_GOOD : HEARD_NOTHING;
	if (result->outcome == WEIR_IGNORED || result->status == 0 || is_explained(result) ||
	    is_listed(host->rule, result->status))
		return HEARD_NOTHING;
	if (result->outcome == WEIR_THROTTLED)
		return HEARD_THROTTLED;
	return host->rule->throttle_codes != 0 && weir_refusal_may_be(result->status) ? HEARD_BARE : HEARD_NOTHING;
}

bool hear_alone(const struct scope *host, uint32_t status, uint64_t now_ns)
{
	const struct weir_meaning *m = &host->entry->meaning;

	if (weir_breaker_view(&host->entry->breaker, &host->rule->breaker, now_ns).state != WEIR_BREAKER_CLOSED)
		return false; /* it is down already */
	if (status < 500)
		return atomic_load_explicit(&m->succeeded_ns, memory_order_relaxed) != 0 && !weir_meaning_lives(m, now_ns);
	return weir_meaning_known(m, now_ns) && !weir_meaning_lives(m, now_ns) &&
	       atomic_load_explicit(&m->run, memory_order_relaxed) >= weir_meaning_run(m, host->rule->breaker.failures, now_ns);
}

/* What is held of the meaning has changed: an event for each part of it. */
static void tell_meaning(const struct weir_gate *g, const struct scope *host, struct weir_refusal_view from,
			 struct weir_refusal_view to, uint64_t now_ns)
{
	/* What is tried is not known. */
	from.meaning = from.trial == WEIR_TRIAL_SILENCE ? WEIR_REFUSAL_UNKNOWN : from.meaning;
	to.meaning = to.trial == WEIR_TRIAL_SILENCE ? WEIR_REFUSAL_UNKNOWN : to.meaning;
	if ((from.meaning != to.meaning || from.status != to.status) && to.meaning != WEIR_REFUSAL_UNKNOWN)
		scope_event(g, host, WEIR_EVENT_MEANING_CHANGED,
			    to.meaning == WEIR_REFUSAL_PACE ? WEIR_CAUSE_DEPENDS_ON_PACE : WEIR_CAUSE_DEPENDS_ON_CHANCE,
			    to.status, 0, 0, now_ns);
	if ((from.chance_permille != 0) != (to.chance_permille != 0))
		scope_event(g, host, WEIR_EVENT_MEANING_CHANGED,
			    to.chance_permille != 0 ? WEIR_CAUSE_DEPENDS_ON_CHANCE : WEIR_CAUSE_DEPENDS_ON_PACE, 429,
			    to.chance_permille, 0, now_ns);
	from.permits = from.trial == WEIR_TRIAL_CROWD ? 0 : from.permits;
	to.permits = to.trial == WEIR_TRIAL_CROWD ? 0 : to.permits;
	if ((from.permits != 0) != (to.permits != 0))
		scope_event(g, host, WEIR_EVENT_MEANING_CHANGED,
			    to.permits != 0 ? WEIR_CAUSE_DEPENDS_ON_CROWD : WEIR_CAUSE_DEPENDS_ON_PACE, 429, to.permits, 0,
			    now_ns);
}

/* Does what follows from an answer, for the holder of the update lock. */
static void heed(const struct scope *host, const struct weir_rate_params *params, const struct weir_refusal_advice *advice,
		 uint64_t now_ns)
{
	struct weir_entry *e = host->entry;
	struct weir_rate_answer tick = {.signal = WEIR_RATE_TICK,
					.cap = atomic_load_explicit(&e->refusal.cap, memory_order_relaxed)};

	if (advice->crowded)
		weir_concurrency_allow(&e->concurrency, advice->permits);
	if (advice->rates == WEIR_RATE_FORGETS)
		weir_rate_reset(&e->rate, &e->bucket[0], params, now_ns);
	else if (advice->rates != WEIR_RATE_AS_IT_IS)
		weir_rate_learn(&e->rate, &e->bucket[0], params, advice->rates == WEIR_RATE_RESUMES ? 0 : advice->rate,
				advice->rates == WEIR_RATE_SUSTAINS ? WEIR_RATE_SUSTAINED : advice->trust, now_ns);
	if (!advice->paced && advice->rates == WEIR_RATE_AS_IT_IS)
		return;
	weir_bucket_thaw(&e->bucket[0], now_ns);
	weir_rate_update(&e->rate, &e->bucket[0], params, &tick, now_ns);
	if (advice->pause_ns != 0)
		weir_bucket_freeze(&e->bucket[0], now_ns + advice->pause_ns, now_ns);
}

/* Asks what the refusal, or the good answer, means. Returns whether the rate's controller is to hear it. */
static bool hear_meaning(const struct weir_gate *g, const struct scope *host, const struct weir_rate_params *params,
			 const struct weir_refusal_answer *answer, uint64_t now_ns)
{
	struct weir_refusal *f = &host->entry->refusal;
	struct weir_refusal_view before = weir_refusal_look(f), after;
	struct weir_refusal_advice advice = weir_refusal_hear(f, answer, now_ns);

	after = weir_refusal_look(f);
	heed(host, params, &advice, now_ns);
	tell_meaning(g, host, before, after, now_ns);
	if (answer->kind == WEIR_HEARD_THROTTLED)
		return advice.counts;
	/* What is accepted at a pace that is only tried says nothing of the one that was learned. In silence none is tried. */
	return (before.trial == WEIR_TRIAL_NONE || before.trial == WEIR_TRIAL_SILENCE) &&
	       (after.trial == WEIR_TRIAL_NONE || after.trial == WEIR_TRIAL_SILENCE);
}

/* A frame of its own: it is seldom called. */
__attribute__((noinline)) void hear(const struct weir_gate *g, const struct weir_request *r, const struct scope *host,
				    const struct weir_rate_params *params, struct weir_rate_answer *answer, enum heard heard,
				    uint32_t status, bool held, uint64_t now_ns)
{
	struct weir_entry *e = host->entry;
	uint64_t token = weir_trylock_take(&e->update_lock, now_ns), from = weir_bucket_pace(&e->bucket[0]).rate, to;
	struct weir_refusal_answer of = {.status = status,
					 .kind = heard == HEARD_BARE        ? WEIR_HEARD_BARE
						 : heard == HEARD_THROTTLED ? WEIR_HEARD_THROTTLED
									    : WEIR_HEARD_GOOD,
					 .in_flight = r->beside,
					 .admitted_ns = r->admitted_ns,
					 .accepted = atomic_load_explicit(&e->rate.accepted, memory_order_relaxed),
					 .usual_ns = weir_meaning_usual_ns(&e->meaning),
					 .pace = from,
					 .learned = heard != HEARD_NOTHING ? weir_rate_learned(&e->rate) : 0,
					 .alone = heard == HEARD_BARE && hear_alone(host, status, now_ns),
					 .good_ns = atomic_load_explicit(&e->meaning.succeeded_ns, memory_order_relaxed)};
	struct weir_rate_change change;
	bool silent = weir_refusal_look(&e->refusal).trial == WEIR_TRIAL_SILENCE;

	if (token == 0) {
		/* Whoever updates now sees the counters; the freeze is made up for by the next request (scope_apply). */
		if (held)
			atomic_store_explicit(&e->applied, 0, memory_order_relaxed);
		return;
	}
	if (heard != HEARD_NOTHING && !hear_meaning(g, host, params, &of, now_ns))
		answer->signal = WEIR_RATE_TICK;
	answer->cap = atomic_load_explicit(&e->refusal.cap, memory_order_relaxed);
	answer->silent = silent && heard != HEARD_NOTHING;
	change = weir_rate_update(&e->rate, &e->bucket[0], params, answer, now_ns);
	if (heard == HEARD_THROTTLED && answer->signal == WEIR_RATE_THROTTLED) {
		struct weir_refusal_view before = weir_refusal_look(&e->refusal);
		struct weir_refusal_advice advice;

		of.learned = weir_rate_learned(&e->rate);
		advice = weir_refusal_counted(&e->refusal, &of, change.surprised, now_ns);

		heed(host, params, &advice, now_ns);
		tell_meaning(g, host, before, weir_refusal_look(&e->refusal), now_ns);
	}
	atomic_store_explicit(&e->quota.spare_ns, change.spare_until_ns, memory_order_relaxed);
	scope_freeze(host, now_ns);
	weir_trylock_release(&e->update_lock, token);
	to = weir_bucket_pace(&e->bucket[0]).rate;
	if (from == to && heard == HEARD_NOTHING)
		return;
	if (from != to && worth_telling(from, to))
		scope_event(g, host, WEIR_EVENT_RATE_CHANGED,
			    answer->quotas != 0                     ? WEIR_CAUSE_QUOTA_HEADER
			    : answer->signal == WEIR_RATE_THROTTLED ? WEIR_CAUSE_THROTTLED
								    : WEIR_CAUSE_RECOVERY,
			    from, to, 0, now_ns);
	weir_entry_wake(g->segment, host->slot);
}
