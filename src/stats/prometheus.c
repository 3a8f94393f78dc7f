/* SPDX-License-Identifier: MIT */
/*
 * The Prometheus text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/): one family after the other,
 * each with its HELP and TYPE and all its samples.
 */
#include "src/stats/prometheus_text.h"
#include "src/stats/render.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The hosts that get labels, in order of name. */
struct chosen {
	const struct weir_host_view *host[WEIR_PROMETHEUS_HOSTS];
	size_t count, left_out;
};

static void open_labels(FILE *out, const char *name, const struct weir_host_view *h)
{
	fprintf(out, "%s{", name);
	label(out, "host", h->key);
}

static void count_sample(FILE *out, const char *name, const struct weir_host_view *h, const char *kind, const char *value,
			 uint64_t n)
{
	open_labels(out, name, h);
	if (kind)
		fprintf(out, ",%s=\"%s\"", kind, value);
	fprintf(out, "} %" PRIu64 "\n", n);
}

static void real_sample(FILE *out, const char *name, const struct weir_host_view *h, double n)
{
	open_labels(out, name, h);
	fprintf(out, "} %.9g\n", n);
}

static void put_retries(FILE *out, const struct chosen *c)
{
	family(out, "weir_retries_total", "counter", "Attempts after the first of a request.");
	for (size_t i = 0; i < c->count; i++)
		count_sample(out, "weir_retries_total", c->host[i], NULL, NULL, c->host[i]->tally.retries);
	family(out, "weir_retried_requests_total", "counter",
	       "Requests that were asked again, or would have been, by how that ended.");
	for (size_t i = 0; i < c->count; i++) {
		const struct weir_tally *t = &c->host[i]->tally;
		count_sample(out, "weir_retried_requests_total", c->host[i], "end", "saved", t->saved);
		count_sample(out, "weir_retried_requests_total", c->host[i], "end", "given_up", t->retry_given_up);
		count_sample(out, "weir_retried_requests_total", c->host[i], "end", "budget_exhausted", t->retry_exhausted);
	}
}

static void write_counters(FILE *out, const struct chosen *c)
{
	family(out, "weir_requests_total", "counter", "Requests that weir decided on.");
	for (size_t i = 0; i < c->count; i++) {
		count_sample(out, "weir_requests_total", c->host[i], "decision", "admitted", c->host[i]->tally.admitted);
		count_sample(out, "weir_requests_total", c->host[i], "decision", "refused", c->host[i]->tally.refused);
	}
	family(out, "weir_results_total", "counter", "Admitted requests that are over, by what came back.");
	for (size_t i = 0; i < c->count; i++) {
		const struct weir_tally *t = &c->host[i]->tally;
		count_sample(out, "weir_results_total", c->host[i], "outcome", "succeeded", t->succeeded);
		count_sample(out, "weir_results_total", c->host[i], "outcome", "throttled", t->throttled);
		count_sample(out, "weir_results_total", c->host[i], "outcome", "failed", t->failed);
		count_sample(out, "weir_results_total", c->host[i], "outcome", "ignored", t->ignored);
	}
	family(out, "weir_requests_delayed_total", "counter", "Requests that had to wait.");
	for (size_t i = 0; i < c->count; i++)
		count_sample(out, "weir_requests_delayed_total", c->host[i], NULL, NULL, c->host[i]->tally.delayed);
	family(out, "weir_requests_cancelled_total", "counter", "Requests that were given up while they waited.");
	for (size_t i = 0; i < c->count; i++)
		count_sample(out, "weir_requests_cancelled_total", c->host[i], NULL, NULL, c->host[i]->tally.cancelled);
	family(out, "weir_connections_total", "counter", "Connections opened.");
	for (size_t i = 0; i < c->count; i++)
		count_sample(out, "weir_connections_total", c->host[i], NULL, NULL, c->host[i]->tally.connections);
	family(out, "weir_dry_run_total", "counter", "Requests that a dry run let go, by what would have happened.");
	for (size_t i = 0; i < c->count; i++) {
		count_sample(out, "weir_dry_run_total", c->host[i], "decision", "delay", c->host[i]->tally.would_delay);
		count_sample(out, "weir_dry_run_total", c->host[i], "decision", "refuse", c->host[i]->tally.would_refuse);
	}
	put_retries(out, c);
	family(out, "weir_breaker_opened_total", "counter", "Times the breaker has opened.");
	for (size_t i = 0; i < c->count; i++)
		count_sample(out, "weir_breaker_opened_total", c->host[i], NULL, NULL, c->host[i]->opened_total);
}

static void write_queue(FILE *out, const struct chosen *c)
{
	family(out, "weir_queue_waiting", "gauge", "Requests that wait for their turn, by priority.");
	for (size_t i = 0; i < c->count; i++)
		for (unsigned k = 0; k < WEIR_CLASSES; k++)
			count_sample(out, "weir_queue_waiting", c->host[i], "priority", weir_class_name(k),
				     c->host[i]->class[k].waiting);
	family(out, "weir_queue_delayed_total", "counter", "Requests that had to wait, by priority.");
	for (size_t i = 0; i < c->count; i++)
		for (unsigned k = 0; k < WEIR_CLASSES; k++)
			count_sample(out, "weir_queue_delayed_total", c->host[i], "priority", weir_class_name(k),
				     c->host[i]->class[k].delayed);
	family(out, "weir_queue_refused_total", "counter", "Requests that weir refused, by priority.");
	for (size_t i = 0; i < c->count; i++)
		for (unsigned k = 0; k < WEIR_CLASSES; k++)
			count_sample(out, "weir_queue_refused_total", c->host[i], "priority", weir_class_name(k),
				     c->host[i]->class[k].refused);
}

/* Of those alone whose rule says that anything may be given up: to most hosts it is nothing. */
static void write_degraded(FILE *out, const struct chosen *c)
{
	family(out, "weir_degrade_state", "gauge",
	       "1 for the state that the host is in, 0 for the others; absent without a threshold in its rule.");
	for (size_t i = 0; i < c->count; i++)
		for (unsigned k = 0; (c->host[i]->degraded.watch & WEIR_DEGRADE_WATCHES) && k < WEIR_DEGRADE_STATES; k++)
			count_sample(out, "weir_degrade_state", c->host[i], "state", weir_degrade_name(k),
				     c->host[i]->degraded.view.state == k);
	family(out, "weir_degrade_refused_ratio", "gauge", "Share of a class that is refused because the host is degraded.");
	for (size_t i = 0; i < c->count; i++) {
		const struct weir_degrade_view *v = &c->host[i]->degraded.view;
		if (!(c->host[i]->degraded.watch & WEIR_DEGRADE_WATCHES))
			continue;
		open_labels(out, "weir_degrade_refused_ratio", c->host[i]);
		fprintf(out, ",priority=\"normal\"} %.9g\n", (double)v->normal / 1000);
		open_labels(out, "weir_degrade_refused_ratio", c->host[i]);
		fprintf(out, ",priority=\"low\"} %.9g\n", (double)v->low / 1000);
	}
	family(out, "weir_shed_ratio", "gauge", "Share of requests that the breaker sheds; absent where it does not shed.");
	for (size_t i = 0; i < c->count; i++)
		if (c->host[i]->degraded.watch & WEIR_DEGRADE_SHEDS)
			real_sample(out, "weir_shed_ratio", c->host[i], (double)c->host[i]->degraded.shed_permille / 1000);
}

static void write_gauges(FILE *out, const struct chosen *c)
{
	family(out, "weir_in_flight", "gauge", "Requests in flight.");
	for (size_t i = 0; i < c->count; i++)
		count_sample(out, "weir_in_flight", c->host[i], NULL, NULL, c->host[i]->in_flight);
	family(out, "weir_waiting", "gauge", "Requests that wait for their turn.");
	for (size_t i = 0; i < c->count; i++)
		count_sample(out, "weir_waiting", c->host[i], NULL, NULL, c->host[i]->waiting);
	family(out, "weir_request_rate", "gauge", "Results per second over the sliding window.");
	for (size_t i = 0; i < c->count; i++)
		real_sample(out, "weir_request_rate", c->host[i], c->host[i]->rate_per_s);
	family(out, "weir_error_ratio", "gauge",
	       "Share of failures among the results of the sliding window; absent without results.");
	for (size_t i = 0; i < c->count; i++)
		if (c->host[i]->error_share >= 0)
			real_sample(out, "weir_error_ratio", c->host[i], c->host[i]->error_share);
	family(out, "weir_rate_limit", "gauge", "Requests per second allowed; absent without a limit.");
	for (size_t i = 0; i < c->count; i++)
		if (c->host[i]->limit)
			real_sample(out, "weir_rate_limit", c->host[i], (double)c->host[i]->limit / 1e9);
	family(out, "weir_concurrency_limit", "gauge", "Requests in flight allowed; absent without a limit.");
	for (size_t i = 0; i < c->count; i++)
		if (c->host[i]->concurrency != UINT32_MAX)
			count_sample(out, "weir_concurrency_limit", c->host[i], NULL, NULL, c->host[i]->concurrency);
	family(out, "weir_hold_seconds", "gauge", "Seconds until the server wants to be asked again; 0 without a hold.");
	for (size_t i = 0; i < c->count; i++)
		real_sample(out, "weir_hold_seconds", c->host[i], (double)c->host[i]->hold_ns / 1e9);
	family(out, "weir_quota_limit", "gauge", "Requests that a configured quota allows in its window.");
	for (size_t i = 0; i < c->count; i++)
		for (unsigned k = 0; k < c->host[i]->quotas; k++)
			count_sample(out, "weir_quota_limit", c->host[i], "quota", c->host[i]->quota[k].text,
				     c->host[i]->quota[k].limit);
	family(out, "weir_quota_used", "gauge", "Requests that have gone in the window; the limit where the count was lost.");
	for (size_t i = 0; i < c->count; i++)
		for (unsigned k = 0; k < c->host[i]->quotas; k++)
			count_sample(out, "weir_quota_used", c->host[i], "quota", c->host[i]->quota[k].text,
				     c->host[i]->quota[k].used);
	family(out, "weir_breaker_state", "gauge", "1 for the state that the breaker is in, 0 for the others.");
	for (size_t i = 0; i < c->count; i++) {
		const char *now = weir_breaker_name(c->host[i]->breaker);
		static const char *const states[] = {"closed", "open", "half_open"};
		for (size_t k = 0; k < 3; k++)
			count_sample(out, "weir_breaker_state", c->host[i], "state", states[k], strcmp(now, states[k]) == 0);
	}
	write_degraded(out, c);
	family(out, "weir_breaker_consecutive_failures", "gauge", "Failures in a row while the breaker is closed.");
	for (size_t i = 0; i < c->count; i++)
		count_sample(out, "weir_breaker_consecutive_failures", c->host[i], NULL, NULL, c->host[i]->failures_in_a_row);
}

static const struct weir_finding *found(const struct weir_host_view *h, enum weir_cause cause, bool bare)
{
	for (size_t i = 0; i < h->findings; i++)
		if (h->finding[i].cause == cause && (h->finding[i].status != 0) == bare)
			return &h->finding[i];
	return NULL;
}

/* A status is a value and no label: of these there are as many as a host can think of. */
static void write_findings(FILE *out, const struct chosen *c)
{
	static const enum weir_cause on[] = {WEIR_CAUSE_DEPENDS_ON_PACE, WEIR_CAUSE_DEPENDS_ON_CROWD,
					     WEIR_CAUSE_DEPENDS_ON_CHANCE};
	static const enum weir_refusal_trial trials[] = {WEIR_TRIAL_STATUS, WEIR_TRIAL_CROWD, WEIR_TRIAL_CHANCE,
							 WEIR_TRIAL_SILENCE};
	family(out, "weir_refusals_depend_on", "gauge",
	       "1 where refusals were found to depend on this: throttled answers on the crowd or chance, a bare status on the "
	       "pace "
	       "or chance.");
	for (size_t i = 0; i < c->count; i++)
		for (size_t k = 0; k < 3; k++)
			count_sample(out, "weir_refusals_depend_on", c->host[i], "on", weir_finding_on(on[k]),
				     found(c->host[i], on[k], false) || found(c->host[i], on[k], true));
	family(out, "weir_bare_status", "gauge",
	       "The bare status that was found to be throttling (on the pace) or not (on chance); absent without one.");
	for (size_t i = 0; i < c->count; i++)
		for (size_t k = 0; k < 3; k++) {
			const struct weir_finding *f = found(c->host[i], on[k], true);
			if (f)
				count_sample(out, "weir_bare_status", c->host[i], "on", weir_finding_on(on[k]), f->status);
		}
	family(out, "weir_chance_ratio", "gauge",
	       "Share of answers that are throttled whatever the pace; absent where none was found.");
	for (size_t i = 0; i < c->count; i++) {
		const struct weir_finding *f = found(c->host[i], WEIR_CAUSE_DEPENDS_ON_CHANCE, false);
		if (f)
			real_sample(out, "weir_chance_ratio", c->host[i], f->permille / 1000.0);
	}
	family(out, "weir_crowd_permits", "gauge",
	       "Requests in flight beyond which throttled answers were found to come; absent where none was found.");
	for (size_t i = 0; i < c->count; i++) {
		const struct weir_finding *f = found(c->host[i], WEIR_CAUSE_DEPENDS_ON_CROWD, false);
		if (f)
			count_sample(out, "weir_crowd_permits", c->host[i], NULL, NULL, f->permits);
	}
	family(out, "weir_trial", "gauge",
	       "1 while the host is asked more slowly, by fewer, or not at all to find out whether refusals depend on this.");
	for (size_t i = 0; i < c->count; i++)
		for (size_t k = 0; k < sizeof trials / sizeof trials[0]; k++)
			count_sample(out, "weir_trial", c->host[i], "on", weir_trial_name(trials[k]),
				     c->host[i]->refusal.trial == trials[k]);
}

static void write_histogram(FILE *out, const char *name, const struct weir_host_view *h, const struct weir_duration_view *d)
{
	for (size_t i = 0; i < WEIR_DURATION_BUCKETS; i++) {
		fprintf(out, "%s_bucket{", name);
		label(out, "host", h->key);
		fprintf(out, ",le=\"%g\"} %" PRIu64 "\n", (double)weir_duration_bucket_ns[i] / 1e9, d->at_most[i]);
	}
	fprintf(out, "%s_bucket{", name);
	label(out, "host", h->key);
	fprintf(out, ",le=\"+Inf\"} %" PRIu64 "\n%s_sum{", d->count, name);
	label(out, "host", h->key);
	fprintf(out, "} %.9g\n%s_count{", (double)d->sum_us / 1e6, name);
	label(out, "host", h->key);
	fprintf(out, "} %" PRIu64 "\n", d->count);
}

static void write_durations(FILE *out, const struct chosen *c)
{
	family(out, "weir_wait_seconds", "histogram", "How long delayed requests waited.");
	for (size_t i = 0; i < c->count; i++)
		write_histogram(out, "weir_wait_seconds", c->host[i], &c->host[i]->wait);
	family(out, "weir_latency_seconds", "histogram", "How long admitted requests took, from admission to the answer.");
	for (size_t i = 0; i < c->count; i++)
		write_histogram(out, "weir_latency_seconds", c->host[i], &c->host[i]->latency);
}

static void plain(FILE *out, const char *name, const char *type, const char *help, uint64_t n)
{
	family(out, name, type, help);
	fprintf(out, "%s %" PRIu64 "\n", name, n);
}

static void write_own(FILE *out, const struct weir_snapshot *s, size_t left_out)
{
	family(out, "weir_build_info", "gauge", "1; the version is in the label.");
	fprintf(out, "weir_build_info{version=\"%s\"} 1\n", weir_version());
	plain(out, "weir_policy_generation", "gauge", "Generation of the policy in force; 0 when nothing is compiled.",
	      s->generation);
	plain(out, "weir_policy_rejected", "gauge", "1 when the configuration as it is now was refused.", s->rejected);
	plain(out, "weir_policy_files_left_out", "gauge",
	      "Configuration files that are not read, as they are somebody else's and cannot be trusted or read.",
	      s->left_out_count);
	plain(out, "weir_policy_compiled_timestamp_seconds", "gauge", "When the policy in force was compiled.",
	      s->compiled_wall_ns / 1000000000U);
	plain(out, "weir_hosts", "gauge", "Hosts and groups known.", s->hosts);
	plain(out, "weir_hosts_without_labels", "gauge", "Hosts that are known but not listed here.", left_out);
	plain(out, "weir_processes", "gauge", "Processes with requests waiting or in flight.", s->processes);
	plain(out, "weir_table_full_total", "counter",
	      "Requests that found no room in the table of hosts: by their rule's rates and concurrency alone, without breaker, "
	      "hold and learning.",
	      s->entries_lost);
	plain(out, "weir_leases_lost_total", "counter", "Requests that went on without a lease.", s->leases_lost);
	plain(out, "weir_leases_reaped_total", "counter", "Leases taken from dead processes.", s->leases_reaped);
	plain(out, "weir_events_total", "counter", "Changes of state recorded.", s->events);
}

static int by_requests(const void *a, const void *b)
{
	const struct weir_host_view *const *x = a, *const *y = b;
	uint64_t n = (*x)->tally.admitted + (*x)->tally.refused, m = (*y)->tally.admitted + (*y)->tally.refused;
	return n != m ? (n < m) - (n > m) : strcmp((*x)->key, (*y)->key);
}

static int by_name(const void *a, const void *b)
{
	const struct weir_host_view *const *x = a, *const *y = b;
	return strcmp((*x)->key, (*y)->key);
}

static void choose(const struct weir_snapshot *s, struct chosen *c)
{
	memset(c, 0, sizeof *c);
	const struct weir_host_view **all = calloc(s->hosts + 1, sizeof *all);
	if (!all) {
		c->left_out = s->hosts;
		return;
	}
	for (size_t i = 0; i < s->hosts; i++)
		all[i] = &s->host[i];
	qsort(all, s->hosts, sizeof *all, by_requests);
	c->count = s->hosts < WEIR_PROMETHEUS_HOSTS ? s->hosts : WEIR_PROMETHEUS_HOSTS;
	c->left_out = s->hosts - c->count;
	memcpy(c->host, all, c->count * sizeof *all);
	qsort(c->host, c->count, sizeof *c->host, by_name);
	free(all);
}

void weir_render_prometheus(const struct weir_snapshot *s, FILE *out)
{
	struct chosen c;
	choose(s, &c);
	write_own(out, s, c.left_out);
	write_counters(out, &c);
	write_gauges(out, &c);
	write_queue(out, &c);
	write_findings(out, &c);
	write_durations(out, &c);
	weir_prometheus_narrowed(out, s);
	weir_prometheus_watched(out, s, c.host, c.count);
}
