/* SPDX-License-Identifier: MIT */
/* The part of the Prometheus page that only an agent can tell. */
#include <inttypes.h>
#include <string.h>

#include "src/stats/prometheus_text.h"
#include "src/stats/render.h"
#include "src/stats/watched.h"

#define ALERTS_LABELLED 256

struct hosts {
	const struct weir_host_view *const *host;
	size_t count;
};

static void ratio(FILE *out, const struct weir_host_view *h, const char *outcome, uint64_t n, uint64_t results)
{
	fputs("weir_window_ratio{", out);
	label(out, "host", h->key);
	fprintf(out, ",outcome=\"%s\"} %.9g\n", outcome, (double)n / (double)results);
}

static void put_results(FILE *out, const struct hosts *c)
{
	family(out, "weir_window_seconds", "gauge", "Length of the window that alerts look at (alerts.window).");
	for (size_t i = 0; i < c->count; i++) {
		if (!c->host[i]->watched)
			continue;
		fputs("weir_window_seconds{", out);
		label(out, "host", c->host[i]->key);
		fprintf(out, "} %.9g\n", (double)c->host[i]->figures.window_ns / 1e9);
	}
	family(out, "weir_window_results", "gauge", "Results in that window.");
	for (size_t i = 0; i < c->count; i++) {
		const struct weir_monitor_figures *f = &c->host[i]->figures;
		if (!c->host[i]->watched)
			continue;
		fputs("weir_window_results{", out);
		label(out, "host", c->host[i]->key);
		fprintf(out, "} %" PRIu64 "\n", f->succeeded + f->throttled + f->failed);
	}
	family(out, "weir_window_ratio", "gauge", "Shares of these by what came of them; absent without results.");
	for (size_t i = 0; i < c->count; i++) {
		const struct weir_monitor_figures *f = &c->host[i]->figures;
		uint64_t results = f->succeeded + f->throttled + f->failed;
		if (!c->host[i]->watched || results == 0)
			continue;
		ratio(out, c->host[i], "succeeded", f->succeeded, results);
		ratio(out, c->host[i], "throttled", f->throttled, results);
		ratio(out, c->host[i], "failed", f->failed, results);
	}
}

static void put_latencies(FILE *out, const struct hosts *c)
{
	family(out, "weir_window_latency_seconds", "gauge",
	       "Latency of admitted requests in that window: mean, minimum, maximum, percentiles; absent without results.");
	for (size_t i = 0; i < c->count; i++) {
		const struct weir_monitor_latency *l = &c->host[i]->figures.latency;
		const struct {
			const char *name;
			uint64_t ns;
		} stat[] = {{"mean", l->mean_ns}, {"min", l->min_ns}, {"max", l->max_ns}, {"p50", l->p50_ns},
			    {"p90", l->p90_ns},   {"p95", l->p95_ns}, {"p99", l->p99_ns}};
		for (size_t k = 0; c->host[i]->watched && l->count > 0 && k < sizeof stat / sizeof *stat; k++) {
			fputs("weir_window_latency_seconds{", out);
			label(out, "host", c->host[i]->key);
			fprintf(out, ",stat=\"%s\"} %.9g\n", stat[k].name, (double)stat[k].ns / 1e9);
		}
	}
}

static void put_alerts(FILE *out, const struct weir_snapshot *s)
{
	size_t labelled = 0, firing = 0;
	family(out, "weir_health", "gauge", "1 for what GET /healthz says, 0 for the others.");
	for (int h = WEIR_MONITOR_HEALTHY; s->watched && h <= WEIR_MONITOR_UNHEALTHY; h++)
		fprintf(out, "weir_health{state=\"%s\"} %d\n", weir_monitor_health_name((enum weir_monitor_health)h),
			(int)s->monitor_health == h);
	family(out, "weir_alert_firing", "gauge", "1 for each alert that fires.");
	for (size_t i = 0; i < s->alerts; i++) {
		if (s->alert[i].state != WEIR_ALERT_FIRING)
			continue;
		firing++;
		if (labelled == ALERTS_LABELLED)
			continue;
		labelled++;
		fputs("weir_alert_firing{", out);
		label(out, "host", s->alert[i].host);
		fprintf(out, ",alert=\"%s\",acknowledged=\"%d\",silenced=\"%d\"} 1\n", weir_alert_name(s->alert[i].kind),
			s->alert[i].acknowledged, s->alert[i].silenced);
	}
	family(out, "weir_alerts_firing", "gauge", "Alerts that fire, those without labels of their own included.");
	if (s->watched)
		fprintf(out, "weir_alerts_firing %zu\n", firing);
	family(out, "weir_alerts_fired_total", "counter", "Alerts that fired since the agent was started.");
	for (unsigned kind = 0; s->watched && kind < WEIR_ALERT_KINDS; kind++)
		fprintf(out, "weir_alerts_fired_total{alert=\"%s\"} %" PRIu64 "\n", weir_alert_name((enum weir_alert_kind)kind),
			s->alerts_fired[kind]);
}

static void put_commands(FILE *out, const struct weir_snapshot *s)
{
	static const char *const ends[] = {"succeeded", "failed", "killed", "dropped"};
	family(out, "weir_alert_commands_total", "counter", "Runs of alerts.command by how they ended; dropped: not run at all.");
	for (size_t i = 0; s->watched && i < 4; i++)
		fprintf(out, "weir_alert_commands_total{end=\"%s\"} %" PRIu64 "\n", ends[i], s->commands[i]);
}

/* The names that Prometheus' own clients use, https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics */
static void put_process(FILE *out, const struct weir_own_usage *u)
{
	const struct {
		const char *name, *type, *help;
		double value;
	} row[] = {
		{"process_cpu_seconds_total", "counter", "Processor time that the agent has used, user and system.",
		 (double)u->cpu_ns / 1e9},
		{"process_resident_memory_bytes", "gauge", "Memory of the agent that is resident, shared pages included.",
		 (double)u->resident_bytes},
		{"process_virtual_memory_bytes", "gauge", "Virtual memory of the agent.", (double)u->virtual_bytes},
		{"process_open_fds", "gauge", "Descriptors that the agent has open.", (double)u->open_fds},
		{"process_max_fds", "gauge", "Descriptors that it may have open.", (double)u->max_fds},
		{"process_start_time_seconds", "gauge", "When the agent was started.", (double)u->started_wall_ns / 1e9},
	};
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		family(out, row[i].name, row[i].type, row[i].help);
		if (u->known)
			fprintf(out, "%s %.13g\n", row[i].name, row[i].value);
	}
}

void weir_prometheus_watched(FILE *out, const struct weir_snapshot *s, const struct weir_host_view *const *host, size_t count)
{
	const struct weir_host_view *all[2 * WEIR_PROMETHEUS_HOSTS];
	size_t n = count < WEIR_PROMETHEUS_HOSTS ? count : WEIR_PROMETHEUS_HOSTS;
	memcpy(all, host, n * sizeof *all);
	/* Narrowed rules, which are configured one by one, by the name HOST#METHODS/PATH. */
	for (size_t i = 0; i < s->host_count && n < sizeof all / sizeof *all; i++)
		if (s->host[i].kind == WEIR_ENTRY_NARROWED)
			all[n++] = &s->host[i];
	const struct hosts c = {all, n};
	/* Without an agent they have no samples: what there may be is to be seen all the same. */
	put_results(out, &c);
	put_latencies(out, &c);
	put_alerts(out, s);
	put_commands(out, s);
	put_process(out, &s->own);
}
