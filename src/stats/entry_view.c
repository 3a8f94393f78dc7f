/* SPDX-License-Identifier: MIT */
#include "src/stats/entry_view.h"

#include <string.h>

#include "src/stats/quotas.h"
#include "weir/gate.h"
#include "weir/log.h"
#include "weir/outage.h"

/* How long a host counts as throttled after it made weir hold or slow down: several windows of ten seconds, a few looks at `weir
 * status`. */
#define THROTTLED_FOR_NS UINT64_C(60000000000)

static uint64_t get(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

enum weir_entry_kind weir_entry_kind_of(const char *key)
{
	if (key[0] == '@')
		return WEIR_ENTRY_RUN;
	if (strcmp(key, "_total") == 0)
		return WEIR_ENTRY_TOTAL;
	return strcmp(key, "_other") == 0 ? WEIR_ENTRY_OTHER : WEIR_ENTRY_HOST;
}

uint32_t weir_entry_rule(const struct weir_policy_view *policy, const char *key)
{
	uint32_t rule = weir_policy_of_key(policy, key);
	return rule < policy->rule_count ? rule : WEIR_NONE;
}

static void view_tally(const struct weir_counters *c, const struct weir_rate *r, struct weir_tally *t)
{
	t->admitted = get(&c->admitted);
	t->delayed = get(&c->delayed);
	t->refused = get(&c->refused);
	t->succeeded = get(&r->accepted);
	t->throttled = get(&r->throttled);
	t->failed = get(&r->failed);
	t->ignored = get(&c->ignored);
	t->connections = get(&c->connections);
	t->cancelled = get(&c->cancelled);
	t->would_delay = get(&c->would_delay);
	t->would_refuse = get(&c->would_refuse);
}

static void view_retry(const struct weir_retry_budget *b, struct weir_tally *t)
{
	t->retries = get(&b->retries);
	t->saved = get(&b->saved);
	t->retry_exhausted = get(&b->exhausted);
	t->retry_given_up = get(&b->given_up);
}

static void view_classes(const struct weir_entry_queue *q, const struct weir_occupancy *occupancy, struct weir_host_view *v)
{
	for (unsigned c = 0; c < WEIR_CLASSES; c++)
		v->class[c] = (struct weir_class_view){
			.waiting = occupancy->waiting_in[c],
			.delayed = get(&q->delayed[c]),
			.refused = get(&q->refused[c]),
		};
}

static void view_durations(const struct weir_segment *s, uint32_t slot, enum weir_durations which, struct weir_duration_view *v)
{
	struct weir_histogram_copy copy;
	weir_durations_copy(s, slot, which, &copy);
	v->count = copy.count;
	v->sum_us = copy.sum_us;
	v->min_ns = weir_histogram_quantile_ns(&copy, 0);
	v->max_ns = weir_histogram_quantile_ns(&copy, 1000);
	v->p50_ns = weir_histogram_quantile_ns(&copy, 500);
	v->p90_ns = weir_histogram_quantile_ns(&copy, 900);
	v->p95_ns = weir_histogram_quantile_ns(&copy, 950);
	v->p99_ns = weir_histogram_quantile_ns(&copy, 990);
	for (size_t i = 0; i < WEIR_DURATION_BUCKETS; i++)
		v->at_most[i] = weir_histogram_at_most(&copy, weir_duration_bucket_ns[i]);
}

static void view_override(const struct weir_entry *e, uint64_t now_ns, struct weir_host_view *v)
{
	uint64_t until = get(&e->set_until_ns);
	if (!weir_gate_overridden(e, now_ns))
		return;
	v->set_rate = get(&e->set_rate);
	v->set_burst = atomic_load_explicit(&e->set_burst, memory_order_relaxed);
	v->set_concurrency = atomic_load_explicit(&e->set_concurrency, memory_order_relaxed);
	if (v->set_rate || v->set_concurrency)
		v->set_for_ns = until ? until - now_ns : 0;
}

/* The slowest pace is the one that a steady stream of requests runs into. */
static void view_pace(const struct weir_entry *e, const struct weir_rule *rule, struct weir_host_view *v)
{
	for (unsigned i = 0; i < WEIR_RATES; i++) {
		uint64_t rate = weir_bucket_pace(&e->bucket[i]).rate;
		if (rate == 0 || (v->limit != 0 && rate >= v->limit))
			continue;
		v->limit = rate;
		v->learned = i == 0 && v->set_rate == 0 && rule->rate.strategy != WEIR_FIXED &&
			     (rule->rate.max == 0 || rate < rule->rate.max);
	}
}

static void view_concurrency(const struct weir_entry *e, const struct weir_rule *rule, uint64_t now_ns, struct weir_host_view *v)
{
	v->concurrency = v->set_concurrency ? v->set_concurrency : weir_concurrency_limit(&e->concurrency, &rule->concurrency);
	uint32_t ramp = v->kind == WEIR_ENTRY_HOST ? weir_breaker_ramp(&e->breaker, &rule->breaker, now_ns) : UINT32_MAX;
	if (ramp < v->concurrency)
		v->concurrency = ramp < 1 ? 1 : ramp;
}

static void view_window(const struct weir_entry *e, const struct weir_rule *rule, uint64_t now_ns, struct weir_host_view *v)
{
	struct weir_window_sum sum = weir_window_sum(&e->window, rule->breaker.window_ns, now_ns);
	v->window_ns = rule->breaker.window_ns ? rule->breaker.window_ns : WEIR_WINDOW_DEFAULT_NS;
	v->rate_per_s = sum.span_ns ? (double)sum.calls / ((double)sum.span_ns / 1e9) : 0;
	v->error_share = sum.calls ? (double)sum.failures / (double)sum.calls : -1;
	v->latency_mean_ns = sum.calls ? sum.latency_us * 1000 / sum.calls : 0;
}

static void view_breaker(const struct weir_entry *e, const struct weir_rule *rule, const struct weir_trace *trace,
			 uint64_t now_ns, struct weir_host_view *v)
{
	struct weir_breaker_view b = weir_breaker_view(&e->breaker, &rule->breaker, now_ns);
	v->breaker = b.state;
	v->opened_total = get(&e->breaker.opened_total);
	v->failures_in_a_row = b.state == WEIR_BREAKER_CLOSED ? b.streak : 0;
	if (b.state == WEIR_BREAKER_FORCED_OPEN)
		v->reopens_ns = WEIR_NEVER;
	else if (b.state == WEIR_BREAKER_OPEN && b.until_ns > now_ns)
		v->reopens_ns = b.until_ns - now_ns;
	if (b.state == WEIR_BREAKER_CLOSED)
		return;
	uint64_t grace_ends = weir_outage_grace_ends_ns(&e->meaning, rule->grace_ns, now_ns);
	if (b.state != WEIR_BREAKER_FORCED_OPEN && grace_ends > now_ns)
		v->grace_ns = grace_ends - now_ns;
	v->opened_by = b.state == WEIR_BREAKER_FORCED_OPEN   ? WEIR_CAUSE_FORCED
		       : trace->opened_by < WEIR_CAUSE_COUNT ? (enum weir_cause)trace->opened_by
							     : WEIR_CAUSE_NONE;
	v->opened_after = trace->opened_after;
}

static enum weir_health health_of(const struct weir_host_view *v, const struct weir_trace *trace, uint64_t now_ns)
{
	if (v->breaker == WEIR_BREAKER_HALF_OPEN)
		return WEIR_HEALTH_HALF_OPEN;
	if (v->breaker != WEIR_BREAKER_CLOSED)
		return WEIR_HEALTH_OPEN;
	if (v->hold_ns > 0)
		return WEIR_HEALTH_THROTTLED;
	if (weir_is_degraded(&v->degraded))
		return WEIR_HEALTH_DEGRADED;
	if (trace->slowed_ns && trace->slowed_ns <= now_ns && now_ns - trace->slowed_ns < THROTTLED_FOR_NS)
		return WEIR_HEALTH_THROTTLED;
	return WEIR_HEALTH_OK;
}

/* The rule as a copy: what lies in shared memory may change between two looks. A run's entry has its override alone. */
static void copy_rule(const struct weir_policy_view *policy, const char *key, struct weir_rule *rule, struct weir_host_view *v)
{
	uint32_t index = weir_entry_rule(policy, key);
	if (v->kind == WEIR_ENTRY_RUN) {
		memset(rule, 0, sizeof *rule);
		rule->rate.strategy = WEIR_FIXED;
	} else if (v->kind == WEIR_ENTRY_TOTAL && policy->total) {
		memcpy(rule, policy->total, sizeof *rule);
	} else if (index == WEIR_NONE) {
		weir_rule_defaults(rule);
	} else {
		memcpy(rule, &policy->rules[index], sizeof *rule);
		weir_format(v->rule, sizeof v->rule, "%s", rule->match);
	}
	if (strchr(key, '#') && (index == WEIR_NONE || (rule->narrow.flags & WEIR_NARROW_APART) == 0))
		v->kind = WEIR_ENTRY_NARROWED;
	rule->match[sizeof rule->match - 1] = '\0';
	v->rule[sizeof v->rule - 1] = '\0';
}

void weir_entry_view(const struct weir_segment *s, const struct weir_policy_view *policy, uint32_t slot, const char *key,
		     const struct weir_occupancy *occupancy, const struct weir_trace *trace, uint64_t now_ns,
		     struct weir_host_view *out)
{
	const struct weir_entry *e = &s->entry[slot];
	struct weir_rule rule;
	memset(out, 0, sizeof *out);
	weir_format(out->key, sizeof out->key, "%s", key);
	out->kind = weir_entry_kind_of(key);
	out->in_flight = occupancy->in_flight;
	out->waiting = occupancy->waiting;
	copy_rule(policy, key, &rule, out);
	view_tally(&e->counters, &e->rate, &out->tally);
	view_retry(&e->retry, &out->tally);
	out->retries_left = weir_retry_left(&e->retry, now_ns);
	view_classes(&e->queue, occupancy, out);
	out->queue_max = rule.queue.max;
	view_override(e, now_ns, out);
	view_pace(e, &rule, out);
	view_concurrency(e, &rule, now_ns, out);
	view_window(e, &rule, now_ns, out);
	uint64_t hold = weir_hold_until_ns(&e->hold, rule.hold_max_ns, now_ns);
	if (hold > now_ns) {
		uint64_t cause = get(&e->hold_cause);
		out->hold_ns = hold - now_ns;
		out->hold_cause = cause < WEIR_CAUSE_COUNT ? (enum weir_cause)cause : WEIR_CAUSE_NONE;
	}
	uint64_t spent = weir_quota_share_spent_until(&e->quota, (struct weir_asker){0, 0}, now_ns);
	if (spent > now_ns && spent - now_ns > out->hold_ns) {
		out->hold_ns = spent - now_ns < rule.hold_max_ns ? spent - now_ns : rule.hold_max_ns;
		out->hold_cause = WEIR_CAUSE_QUOTA_HEADER;
	}
	if (out->kind == WEIR_ENTRY_HOST || out->kind == WEIR_ENTRY_NARROWED)
		weir_quotas_view(s, slot, &rule, out);
	view_breaker(e, &rule, trace, now_ns, out);
	if (out->kind == WEIR_ENTRY_HOST)
		out->degraded = weir_degraded_of(e, &rule);
	out->refusal = weir_refusal_look(&e->refusal);
	out->findings = weir_findings_of(&out->refusal, &trace->finding, now_ns, out->finding);
	out->health = health_of(out, trace, now_ns);
	view_durations(s, slot, WEIR_DURATIONS_WAIT, &out->wait);
	view_durations(s, slot, WEIR_DURATIONS_LATENCY, &out->latency);
}
