/* SPDX-License-Identifier: MIT */
/* JSON, schema 1 (docs/operations.md). Times in seconds, rates per second; what is not known is left out. */
#include "src/stats/render.h"
#include "src/stats/quotas.h"
#include "src/stats/spelling.h"
#include "src/stats/watched.h"

#include <string.h>
#include <time.h>

static json_t *seconds(uint64_t ns)
{
	return json_real((double)ns / 1e9);
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)(n <= INT64_MAX ? n : INT64_MAX));
}

static json_t *per_second(uint64_t nano_per_s)
{
	return json_real((double)nano_per_s / 1e9);
}

void weir_render_time(uint64_t wall_ns, char out[32])
{
	time_t t = (time_t)(wall_ns / 1000000000U);
	struct tm tm;
	if (!gmtime_r(&t, &tm) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		out[0] = '\0';
}

/* The counters stand in the object itself, in the order in which a request meets them. */
static void put_tally(json_t *o, const struct weir_tally *t, uint32_t in_flight, uint32_t waiting)
{
	json_object_set_new(o, "requests", number(t->admitted + t->refused));
	json_object_set_new(o, "admitted", number(t->admitted));
	json_object_set_new(o, "delayed", number(t->delayed));
	json_object_set_new(o, "refused", number(t->refused));
	json_object_set_new(o, "succeeded", number(t->succeeded));
	json_object_set_new(o, "throttled", number(t->throttled));
	json_object_set_new(o, "failed", number(t->failed));
	json_object_set_new(o, "ignored", number(t->ignored));
	json_object_set_new(o, "connections", number(t->connections));
	json_object_set_new(o, "cancelled", number(t->cancelled));
	json_object_set_new(o, "would_delay", number(t->would_delay));
	json_object_set_new(o, "would_refuse", number(t->would_refuse));
	json_object_set_new(o, "retries", number(t->retries));
	json_object_set_new(o, "saved", number(t->saved));
	json_object_set_new(o, "retry_budget_exhausted", number(t->retry_exhausted));
	json_object_set_new(o, "retries_given_up", number(t->retry_given_up));
	json_object_set_new(o, "in_flight", number(in_flight));
	json_object_set_new(o, "waiting", number(waiting));
}

static json_t *durations(const struct weir_duration_view *d)
{
	json_t *o = json_object();
	json_object_set_new(o, "count", number(d->count));
	json_object_set_new(o, "sum", json_real((double)d->sum_us / 1e6));
	if (d->count > 0) {
		json_object_set_new(o, "mean", json_real((double)d->sum_us / (double)d->count / 1e6));
		json_object_set_new(o, "min", seconds(d->min_ns));
		json_object_set_new(o, "max", seconds(d->max_ns));
		json_object_set_new(o, "p50", seconds(d->p50_ns));
		json_object_set_new(o, "p90", seconds(d->p90_ns));
		json_object_set_new(o, "p95", seconds(d->p95_ns));
		json_object_set_new(o, "p99", seconds(d->p99_ns));
	}
	return o;
}

static json_t *breaker(const struct weir_host_view *h)
{
	json_t *o = json_object();
	json_object_set_new(o, "state", json_string(weir_breaker_name(h->breaker)));
	json_object_set_new(o, "consecutive_failures", number(h->failures_in_a_row));
	json_object_set_new(o, "opened_total", number(h->opened_total));
	if (h->reopens_ns != WEIR_NEVER)
		json_object_set_new(o, "reopens_in_seconds", seconds(h->reopens_ns));
	if (h->degraded.watch & WEIR_DEGRADE_SHEDS)
		json_object_set_new(o, "shed", json_real((double)h->degraded.shed_permille / 1000));
	if (h->opened_by != WEIR_CAUSE_NONE)
		json_object_set_new(o, "cause", json_string(weir_cause_name(h->opened_by)));
	return o;
}

static json_t * override(const struct weir_host_view *h)
{
	json_t *o = json_object();
	if (h->set_rate)
		json_object_set_new(o, "rate", per_second(h->set_rate));
	if (h->set_rate && h->set_burst)
		json_object_set_new(o, "burst", number(h->set_burst));
	if (h->set_concurrency)
		json_object_set_new(o, "concurrency", number(h->set_concurrency));
	if (h->set_for_ns)
		json_object_set_new(o, "ends_in_seconds", seconds(h->set_for_ns));
	return o;
}

/* What refusals depend on: what was found, and what is tried. Without a status it is about throttled answers. */
static json_t *refusals(const struct weir_host_view *h)
{
	json_t *o = json_object(), *found = json_array();
	for (size_t i = 0; i < h->findings; i++) {
		const struct weir_finding *f = &h->finding[i];
		json_t *item = json_object();
		if (f->status)
			json_object_set_new(item, "status", number(f->status));
		json_object_set_new(item, "cause", json_string(weir_cause_name(f->cause)));
		if (f->permille)
			json_object_set_new(item, "share", json_real((double)f->permille / 1000));
		if (f->permits)
			json_object_set_new(item, "permits", number(f->permits));
		if (f->ago_ns != WEIR_NEVER)
			json_object_set_new(item, "found_seconds_ago", seconds(f->ago_ns));
		json_array_append_new(found, item);
	}
	json_object_set_new(o, "found", found);
	const char *trial = weir_trial_name(h->refusal.trial);
	if (trial) {
		json_t *item = json_object();
		json_object_set_new(item, "asks", json_string(trial));
		if (h->refusal.trial == WEIR_TRIAL_STATUS || h->refusal.trial == WEIR_TRIAL_SILENCE)
			json_object_set_new(item, "status", number(h->refusal.status));
		if (h->refusal.trial == WEIR_TRIAL_CROWD)
			json_object_set_new(item, "permits", number(h->refusal.permits));
		json_object_set_new(o, "trial", item);
	}
	return o;
}

/* Keys come from the network: what is not UTF-8 is shown byte by byte rather than not at all. */
static json_t *text(const char *s)
{
	json_t *t = json_string(s);
	if (t)
		return t;
	char escaped[4 * WEIR_KEY_MAX + 1];
	size_t n = 0;
	for (; *s && n + 5 < sizeof escaped; s++) {
		unsigned char c = (unsigned char)*s;
		n += (size_t)(c < 0x80 ? snprintf(escaped + n, 5, "%c", c) : snprintf(escaped + n, 5, "\\x%02x", c));
	}
	escaped[n] = '\0';
	return json_string(escaped);
}

json_t *weir_name_json(const char *key)
{
	char spelled[WEIR_SPELLING_MAX];
	weir_spell(key, spelled);
	return json_string(spelled);
}

/* Who waits, by class. */
static json_t *queue(const struct weir_host_view *h)
{
	json_t *o = json_object();
	for (unsigned c = 0; c < WEIR_CLASSES; c++) {
		json_t *item = json_object();
		json_object_set_new(item, "waiting", number(h->class[c].waiting));
		json_object_set_new(item, "delayed", number(h->class[c].delayed));
		json_object_set_new(item, "refused", number(h->class[c].refused));
		json_object_set_new(o, weir_class_name(c), item);
	}
	if (h->queue_max)
		json_object_set_new(o, "max", number(h->queue_max));
	return o;
}

json_t *weir_render_json_host(const struct weir_host_view *h)
{
	json_t *o = json_object();
	json_object_set_new(o, "host", weir_name_json(h->key));
	json_object_set_new(o, "rule", weir_name_json(h->rule[0] ? h->rule : "*"));
	json_object_set_new(o, "state", json_string(weir_health_name(h->health)));
	put_tally(o, &h->tally, h->in_flight, h->waiting);
	json_object_set_new(o, "queue", queue(h));
	json_object_set_new(o, "rate", json_real(h->rate_per_s));
	if (h->error_share >= 0) {
		json_object_set_new(o, "error_rate", json_real(h->error_share));
		json_object_set_new(o, "latency", seconds(h->latency_mean_ns));
	}
	json_object_set_new(o, "window", seconds(h->window_ns));
	if (h->limit)
		json_object_set_new(o, "rate_limit", per_second(h->limit));
	if (h->concurrency != UINT32_MAX)
		json_object_set_new(o, "concurrency_limit", number(h->concurrency));
	if (h->kind == WEIR_ENTRY_HOST && (h->set_rate || h->set_concurrency))
		json_object_set_new(o, "override", override(h));
	json_object_set_new(o, "hold_seconds", seconds(h->hold_ns));
	if (h->hold_ns)
		json_object_set_new(o, "hold_cause", json_string(weir_cause_name(h->hold_cause)));
	json_t *quotas = weir_quotas_json(h);
	if (quotas)
		json_object_set_new(o, "quotas", quotas);
	json_object_set_new(o, "breaker", breaker(h));
	json_t *degraded = weir_degraded_json(&h->degraded);
	if (degraded)
		json_object_set_new(o, "degraded", degraded);
	json_object_set_new(o, "refusals", refusals(h));
	json_object_set_new(o, "wait_seconds", durations(&h->wait));
	json_object_set_new(o, "latency_seconds", durations(&h->latency));
	if (h->watched)
		json_object_set_new(o, "monitor", weir_figures_json(&h->figures));
	return o;
}

/* A run's or a client's share, a narrowed rule's, or everybody's total: a limit and who is held by it; results are counted at the
 * hosts, and those of a narrowed rule here as well. */
static json_t *share(const struct weir_host_view *h)
{
	json_t *o = json_object();
	const char *slash = h->kind == WEIR_ENTRY_RUN ? strchr(h->key, '/') : NULL;
	bool client = strncmp(h->key, "@client.", 8) == 0;
	if (h->kind == WEIR_ENTRY_NARROWED) {
		json_object_set_new(o, "host", weir_name_json(h->key));
		json_object_set_new(o, "succeeded", number(h->tally.succeeded));
		json_object_set_new(o, "throttled", number(h->tally.throttled));
		json_object_set_new(o, "failed", number(h->tally.failed));
		json_object_set_new(o, "latency_seconds", durations(&h->latency));
	}
	if (slash) {
		const char *name = h->key + (client ? 8 : 1);
		json_object_set_new(o, client ? "client" : "run", json_stringn(name, (size_t)(slash - name)));
		json_object_set_new(o, "host", weir_name_json(slash + 1));
	}
	json_object_set_new(o, "in_flight", number(h->in_flight));
	json_object_set_new(o, "waiting", number(h->waiting));
	if (h->limit)
		json_object_set_new(o, "rate_limit", per_second(h->limit));
	if (h->concurrency != UINT32_MAX)
		json_object_set_new(o, "concurrency_limit", number(h->concurrency));
	if (h->watched)
		json_object_set_new(o, "monitor", weir_figures_json(&h->figures));
	return o;
}

static json_t *policy(const struct weir_snapshot *s)
{
	json_t *o = json_object(), *sources = json_array();
	for (uint32_t i = 0; i < s->source_count; i++)
		json_array_append_new(sources, text(s->source[i]));
	json_object_set_new(o, "generation", number(s->generation));
	json_object_set_new(o, "sources", sources);
	if (s->rejected)
		json_object_set_new(o, "rejected", json_true());
	if (s->left_out_count > 0) {
		json_t *left_out = json_array();
		for (uint32_t i = 0; i < s->left_out_count; i++)
			json_array_append_new(left_out, text(s->left_out[i]));
		json_object_set_new(o, "left_out", left_out);
	}
	return o;
}

json_t *weir_render_json(const struct weir_snapshot *s)
{
	char generated[32];
	json_t *o = json_object(), *totals = json_object(), *hosts = json_array(), *runs = json_array(), *narrowed = json_array();
	weir_render_time(s->wall_ns, generated);
	json_object_set_new(o, "schema", number(1));
	json_object_set_new(o, "generated", json_string(generated));
	json_object_set_new(o, "policy", policy(s));
	json_object_set_new(totals, "hosts", number(s->hosts));
	json_object_set_new(totals, "processes", number(s->processes));
	put_tally(totals, &s->totals, s->in_flight, s->waiting);
	json_object_set_new(totals, "table_full", number(s->entries_lost));
	json_object_set_new(o, "totals", totals);
	json_object_set_new(o, "hosts", hosts);
	if (s->watched) {
		json_object_set_new(o, "health", json_string(weir_monitor_health_name(s->monitor_health)));
		json_object_set_new(o, "alerts", weir_alerts_json(s));
	}
	for (size_t i = 0; i < s->host_count; i++) {
		const struct weir_host_view *h = &s->host[i];
		if (h->kind == WEIR_ENTRY_TOTAL)
			json_object_set_new(o, "total_limit", share(h));
		else if (h->kind == WEIR_ENTRY_NARROWED)
			json_array_append_new(narrowed, share(h));
		else if (h->kind == WEIR_ENTRY_RUN)
			json_array_append_new(runs, share(h));
		else
			json_array_append_new(hosts, weir_render_json_host(h));
	}
	if (json_array_size(narrowed) > 0)
		json_object_set_new(o, "narrowed", narrowed);
	else
		json_decref(narrowed);
	if (json_array_size(runs) > 0)
		json_object_set_new(o, "runs", runs);
	else
		json_decref(runs);
	return o;
}
