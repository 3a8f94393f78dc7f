/* SPDX-License-Identifier: MIT */
/* Text for people: `weir status` (a line per host) and `weir stats` (a paragraph per host). 80 columns, no more than one screen
 * for a few hosts, colour on the state alone. */
#include "src/stats/quotas.h"
#include "src/stats/render.h"
#include "src/stats/spelling.h"
#include "src/stats/watched.h"

#include <inttypes.h>
#include <string.h>

#include "weir/log.h"
#include "weir/units.h"

#define HOST_COLUMNS 30

#define TABLE_FULL_FOR_NS UINT64_C(600000000000)

static const char *state_color(enum weir_health h)
{
	return h == WEIR_HEALTH_OK ? "\033[32m" : h == WEIR_HEALTH_OPEN ? "\033[31m" : "\033[33m";
}

static void put_state(enum weir_health h, int width, bool color, FILE *out)
{
	const char *name = h == WEIR_HEALTH_HALF_OPEN ? "half-open" : weir_health_name(h);
	fprintf(out, "%s%-*s%s", color ? state_color(h) : "", width, name, color ? "\033[0m" : "");
}

static int put_name(const char *name, FILE *out)
{
	char spelled[WEIR_SPELLING_MAX];
	size_t n = weir_spell(name, spelled);
	fputs(spelled, out);
	return (int)n;
}

/* What is shown of an entry: no host is called so, as a name has no blanks. */
static int put_entry(const struct weir_host_view *h, FILE *out)
{
	static const char total[] = "all hosts together";
	if (h->kind != WEIR_ENTRY_TOTAL)
		return put_name(h->key, out);
	fputs(total, out);
	return (int)sizeof total - 1;
}

static void put_hold(const struct weir_host_view *h, FILE *out)
{
	char left[32];
	weir_print_duration(h->hold_ns, left, sizeof left);
	if (h->hold_cause == WEIR_CAUSE_RETRY_AFTER)
		fprintf(out, "the server asked to wait (Retry-After), %s left", left);
	else if (h->hold_cause == WEIR_CAUSE_QUOTA_HEADER)
		fprintf(out, "the server's quota is spent, %s left", left);
	else
		fprintf(out, "the server wants a pause, %s left", left);
}

static void put_opening(const struct weir_host_view *h, FILE *out)
{
	switch (h->opened_by) {
	case WEIR_CAUSE_FORCED:
	case WEIR_CAUSE_OPERATOR:
		fputs("opened by the operator", out);
		break;
	case WEIR_CAUSE_FAILURES:
		if (h->opened_after)
			fprintf(out, "%" PRIu32 " failures in a row", h->opened_after);
		else
			fputs("too many failures in a row", out);
		break;
	case WEIR_CAUSE_FAILURE_RATE:
		fputs("too many requests failed", out);
		break;
	case WEIR_CAUSE_SLOW_RATE:
		fputs("too many requests were slow", out);
		break;
	case WEIR_CAUSE_PROBE_FAILED:
		fputs("the last probe failed", out);
		break;
	default:
		fputs("too many failures", out);
	}
}

static void put_next_try(const struct weir_host_view *h, FILE *out)
{
	char left[32];
	if (h->reopens_ns == WEIR_NEVER)
		fputs(", until it is closed by 'weir breaker'", out);
	else if (h->reopens_ns == 0)
		fputs(", next try now", out);
	else
		fprintf(out, ", next try in %s", weir_print_duration(h->reopens_ns, left, sizeof left));
}

static void put_grace(const struct weir_host_view *h, FILE *out)
{
	char left[32];
	if (h->grace_ns)
		fprintf(out, "; requests wait out the outage, until it ends or %s are over",
			weir_print_duration(h->grace_ns, left, sizeof left));
}

/* Why a host is as it is, and when that ends. Writes nothing when there is nothing to say. */
static bool put_reason(const struct weir_host_view *h, const char *before, FILE *out)
{
	char rate[32];
	switch (h->health) {
	case WEIR_HEALTH_OPEN:
		fputs(before, out);
		put_opening(h, out);
		put_next_try(h, out);
		put_grace(h, out);
		return true;
	case WEIR_HEALTH_HALF_OPEN:
		fprintf(out, "%sa probe decides whether the host is back (it was opened: ", before);
		put_opening(h, out);
		fputc(')', out);
		put_grace(h, out);
		return true;
	case WEIR_HEALTH_THROTTLED:
		fputs(before, out);
		if (h->hold_ns)
			put_hold(h, out);
		else if (h->limit && h->learned)
			fprintf(out, "the server slowed weir down within the last minute; %s was learned",
				weir_print_rate(weir_round_rate(h->limit), rate, sizeof rate));
		else
			fputs("the server slowed weir down within the last minute", out);
		return true;
	default:
		return false;
	}
}

/* Beside whatever else is to be said of it. */
static void put_degraded(const struct weir_host_view *h, const char *before, FILE *out)
{
	char text[WEIR_DEGRADED_TEXT];
	if (weir_is_degraded(&h->degraded))
		fprintf(out, "%s%s\n", before, weir_degraded_text(&h->degraded, text));
}

static void put_override(const struct weir_host_view *h, const char *before, FILE *out)
{
	char text[32];
	if (h->kind != WEIR_ENTRY_HOST || (!h->set_rate && !h->set_concurrency))
		return;
	fprintf(out, "%sset by the operator:", before);
	if (h->set_rate)
		fprintf(out, " rate %s", weir_print_rate(h->set_rate, text, sizeof text));
	if (h->set_concurrency)
		fprintf(out, " concurrency %" PRIu32, h->set_concurrency);
	if (h->set_for_ns)
		fprintf(out, ", for %s more", weir_print_duration(h->set_for_ns, text, sizeof text));
	else
		fputs(", until 'weir reset'", out);
}

/* What was learned of the host's refusals, and what is tried; `only_what_acts` leaves out that something is of no consequence. */
static void put_findings(const struct weir_host_view *h, const char *before, bool only_what_acts, FILE *out)
{
	char text[WEIR_FINDING_TEXT];
	for (size_t i = 0; i < h->findings; i++)
		if (!only_what_acts || h->finding[i].status == 0 || h->finding[i].cause == WEIR_CAUSE_DEPENDS_ON_PACE)
			fprintf(out, "%s%s\n", before, weir_finding_text(&h->finding[i], text));
	if (h->refusal.trial != WEIR_TRIAL_NONE)
		fprintf(out, "%s%s\n", before, weir_trial_text(&h->refusal, text));
}

/* "1.2/s of 5/s", "1.2/s" */
static void format_rate(const struct weir_host_view *h, char out[80])
{
	char limit[32];
	uint64_t bound = h->learned ? weir_round_rate(h->limit) : h->limit;
	if (weir_entry_only_limits(h->kind))
		snprintf(out, 80, "%s", bound ? weir_print_rate(bound, limit, sizeof limit) : "-");
	else if (bound)
		snprintf(out, 80, "%.1f/s of %s", h->rate_per_s, weir_print_rate(bound, limit, sizeof limit));
	else
		snprintf(out, 80, "%.1f/s", h->rate_per_s);
}

static void format_flight(const struct weir_host_view *h, char out[32])
{
	if (h->concurrency != UINT32_MAX)
		snprintf(out, 32, "%" PRIu32 " of %" PRIu32, h->in_flight, h->concurrency);
	else
		snprintf(out, 32, "%" PRIu32, h->in_flight);
}

/* Only where it is not all normal: to most hosts nobody says anything of priorities. */
static void put_classes(const struct weir_host_view *h, const char *before, FILE *out)
{
	bool any = h->queue_max != 0;
	for (unsigned c = 0; c < WEIR_CLASSES; c++)
		any |= c != WEIR_CLASS_NORMAL && (h->class[c].waiting || h->class[c].delayed || h->class[c].refused);
	if (!any)
		return;
	fputs(before, out);
	for (unsigned c = 0; c < WEIR_CLASSES; c++)
		fprintf(out, "%s %s %" PRIu32 " waiting, %" PRIu64 " delayed, %" PRIu64 " refused", c ? ";" : "",
			weir_class_name(c), h->class[c].waiting, h->class[c].delayed, h->class[c].refused);
	if (h->queue_max)
		fprintf(out, "; at most %" PRIu32 " wait", h->queue_max);
	fputc('\n', out);
}

/* Of the quotas of which a fifth is left, or nothing: as the events tell. */
static void put_quotas(const struct weir_host_view *h, FILE *out)
{
	char text[WEIR_QUOTA_SENTENCE];
	for (unsigned i = 0; i < h->quotas; i++) {
		const struct weir_quota_view *q = &h->quota[i];
		uint64_t left = q->used < q->limit ? q->limit - q->used : 0;
		if (q->lost || q->spent || left <= q->limit / 5)
			fprintf(out, "    quota %s%s\n", left == 0 ? "spent: " : "", weir_quota_sentence(q, text));
	}
}

static void put_status_line(const struct weir_host_view *h, bool color, FILE *out)
{
	char rate[80], flight[32];
	format_rate(h, rate);
	format_flight(h, flight);
	int n = put_entry(h, out);
	if (n > HOST_COLUMNS)
		fprintf(out, "\n%-*s", HOST_COLUMNS, "");
	else
		fprintf(out, "%-*s", HOST_COLUMNS - n, "");
	fputc(' ', out);
	if (weir_entry_only_limits(h->kind))
		fprintf(out, "%-10s", "-");
	else
		put_state(h->health, 10, color, out);
	fprintf(out, "%-18s %-9s %7" PRIu32 "\n", rate, flight, h->waiting);
	if (put_reason(h, "    ", out))
		fputc('\n', out);
	if (h->kind == WEIR_ENTRY_HOST && (h->set_rate || h->set_concurrency)) {
		put_override(h, "    ", out);
		fputc('\n', out);
	}
	put_quotas(h, out);
	if (h->kind != WEIR_ENTRY_HOST)
		return;
	put_degraded(h, "    degraded: ", out);
	put_classes(h, "    queue:", out);
	put_findings(h, "    ", true, out);
}

static void put_source(const char *before, const char *path, FILE *out)
{
	char text[WEIR_SOURCE_PATH_MAX];
	weir_format(text, sizeof text, "%s", path);
	weir_make_printable(text, strlen(text));
	fprintf(out, "%s%s", before, text);
}

static void put_world(const struct weir_snapshot *s, const struct weir_world *w, FILE *out)
{
	if (s->agent_pid)
		fprintf(out, "agent: pid %" PRIu32 "\n", s->agent_pid);
	else
		fputs("agent: not running\n", out);
	if (s->generation)
		fprintf(out, "policy: generation %" PRIu64 ", %" PRIu32 " rule%s", s->generation, s->rule_count,
			s->rule_count == 1 ? "" : "s");
	else
		fputs("policy: none compiled yet, built-in defaults", out);
	if (s->source_count == 0)
		fputs(", no configuration file", out);
	for (uint32_t i = 0; i < s->source_count; i++)
		put_source(i ? ", " : ", from ", s->source[i], out);
	fputc('\n', out);
	if (s->rejected)
		fprintf(out, "policy: the configuration as it is now was refused, %s; see 'weir config check'\n",
			s->builtin ? "no other is known: the built-in rules are in force" : "what was in force before stays");
	if (s->entries_lost_ago_ns < TABLE_FULL_FOR_NS)
		fprintf(out,
			"table of hosts: full within the last ten minutes, %" PRIu64
			" requests so far had their rule's rates and concurrency alone, no breaker, no hold\n",
			s->entries_lost);
	if (w)
		fprintf(out, "state: %s%s%s\n", w->segment, w->config[0] ? ", configuration: " : "", w->config);
}

void weir_render_status(const struct weir_snapshot *s, const struct weir_world *w, bool color, FILE *out)
{
	if (s->host_count > 0)
		fprintf(out, "%-*s %-10s%-18s %-9s %7s\n", HOST_COLUMNS, "HOST", "STATE", "RATE", "IN FLIGHT", "WAITING");
	else
		fputs("no host is known yet: nothing was requested under weir\n", out);
	for (size_t i = 0; i < s->host_count; i++)
		put_status_line(&s->host[i], color, out);
	weir_alerts_text(s, "alert: ", false, out);
	put_world(s, w, out);
}

enum weir_verdict_of_all weir_snapshot_verdict(const struct weir_snapshot *s)
{
	if (s->rejected)
		return WEIR_SOME_DEGRADED;
	if (s->watched && s->monitor_health != WEIR_MONITOR_HEALTHY)
		return WEIR_SOME_DEGRADED;
	if (s->hosts == 0)
		return WEIR_NOTHING_KNOWN;
	for (size_t i = 0; i < s->hosts; i++)
		if (s->host[i].health != WEIR_HEALTH_OK)
			return WEIR_SOME_DEGRADED;
	return WEIR_ALL_WELL;
}

static void put_durations(const char *name, const struct weir_duration_view *d, FILE *out)
{
	char a[32], b[32], c[32], e[32];
	if (d->count == 0)
		return;
	fprintf(out, "  %-12s p50 %s, p90 %s, p95 %s, p99 %s\n", name, weir_print_duration(d->p50_ns, a, sizeof a),
		weir_print_duration(d->p90_ns, b, sizeof b), weir_print_duration(d->p95_ns, c, sizeof c),
		weir_print_duration(d->p99_ns, e, sizeof e));
}

/* What the agent's monitor saw over its window, where it saw anything. */
static void put_figures(const struct weir_host_view *h, FILE *out)
{
	const struct weir_monitor_figures *f = &h->figures;
	uint64_t results = f->succeeded + f->throttled + f->failed;
	char a[32], b[32], c[32], e[32];
	if (!h->watched || results == 0)
		return;
	fprintf(out, "  last %-7s %" PRIu64 " results: %.3g%% succeeded, %.3g%% throttled, %.3g%% failed",
		weir_print_duration(f->window_ns, a, sizeof a), results, 100.0 * (double)f->succeeded / (double)results,
		100.0 * (double)f->throttled / (double)results, 100.0 * (double)f->failed / (double)results);
	if (f->latency.count > 0)
		fprintf(out, "; latency mean %s, min %s, max %s, p95 %s", weir_print_duration(f->latency.mean_ns, a, sizeof a),
			weir_print_duration(f->latency.min_ns, b, sizeof b), weir_print_duration(f->latency.max_ns, c, sizeof c),
			weir_print_duration(f->latency.p95_ns, e, sizeof e));
	fputc('\n', out);
}

static void put_counts(const struct weir_tally *t, FILE *out)
{
	fprintf(out,
		"  %-12s %" PRIu64 ": %" PRIu64 " admitted, %" PRIu64 " refused; %" PRIu64 " delayed, %" PRIu64 " cancelled\n",
		"requests", t->admitted + t->refused, t->admitted, t->refused, t->delayed, t->cancelled);
	fprintf(out,
		"  %-12s %" PRIu64 " succeeded, %" PRIu64 " throttled, %" PRIu64 " failed, %" PRIu64 " ignored; %" PRIu64
		" connections\n",
		"results", t->succeeded, t->throttled, t->failed, t->ignored, t->connections);
	if (t->retries || t->retry_exhausted)
		fprintf(out,
			"  %-12s %" PRIu64 " asked again: %" PRIu64 " saved, %" PRIu64 " given up, %" PRIu64
			" more without budget\n",
			"retries", t->retries, t->saved, t->retry_given_up, t->retry_exhausted);
	if (t->would_delay || t->would_refuse)
		fprintf(out, "  %-12s %" PRIu64 " would have waited, %" PRIu64 " would have been refused\n", "dry run",
			t->would_delay, t->would_refuse);
}

static void put_host(const struct weir_host_view *h, bool color, FILE *out)
{
	char rate[80], flight[32];
	bool share = weir_entry_only_limits(h->kind);
	put_entry(h, out);
	if (!share) {
		fputs("  ", out);
		put_state(h->health, 0, color, out);
		fputs("  rule ", out);
		if (h->rule[0])
			put_name(h->rule, out);
		else
			fputs("built in", out);
	}
	fputc('\n', out);
	if (!share)
		put_counts(&h->tally, out);
	format_rate(h, rate);
	format_flight(h, flight);
	fprintf(out, "  %-12s %s; %s in flight, %" PRIu32 " waiting\n", "rate", rate, flight, h->waiting);
	if (!share)
		put_classes(h, "  queue       ", out);
	if (put_reason(h, "  why          ", out))
		fputc('\n', out);
	if (h->kind == WEIR_ENTRY_HOST && (h->set_rate || h->set_concurrency)) {
		put_override(h, "  override     ", out);
		fputc('\n', out);
	}
	if (h->kind == WEIR_ENTRY_NARROWED) {
		fprintf(out, "  %-12s %" PRIu64 " succeeded, %" PRIu64 " throttled, %" PRIu64 " failed\n", "results",
			h->tally.succeeded, h->tally.throttled, h->tally.failed);
		put_durations("latency", &h->latency, out);
		put_figures(h, out);
	}
	if (share)
		return;
	put_degraded(h, "  degraded     ", out);
	put_findings(h, "  meaning      ", false, out);
	fprintf(out, "  %-12s %s, opened %" PRIu64 " time%s", "breaker", weir_breaker_name(h->breaker), h->opened_total,
		h->opened_total == 1 ? "" : "s");
	if (h->failures_in_a_row)
		fprintf(out, ", %" PRIu32 " failure%s in a row", h->failures_in_a_row, h->failures_in_a_row == 1 ? "" : "s");
	fputc('\n', out);
	put_durations("wait", &h->wait, out);
	put_durations("latency", &h->latency, out);
	put_figures(h, out);
}

void weir_render_text(const struct weir_snapshot *s, bool color, FILE *out)
{
	if (s->host_count == 0)
		fputs("no host is known yet: nothing was requested under weir\n", out);
	for (size_t i = 0; i < s->host_count; i++)
		put_host(&s->host[i], color, out);
	if (s->hosts < 2)
		return;
	fprintf(out, "%zu hosts, %" PRIu32 " processes\n", s->hosts, s->processes);
	put_counts(&s->totals, out);
}
