/* SPDX-License-Identifier: MIT */
/* A run's summary as text and as JSON. */
#include "src/stats/run_summary.h"

#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

#include "src/stats/spelling.h"
#include "weir/units.h"

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static const char *duration_us(uint64_t us, char text[32])
{
	return weir_print_duration(us < UINT64_MAX / 1000 ? us * 1000 : UINT64_MAX, text, 32);
}

static uint64_t over(const struct weir_summary_view *v)
{
	return v->count[WEIR_SUMMARY_SUCCEEDED] + v->count[WEIR_SUMMARY_THROTTLED] + v->count[WEIR_SUMMARY_FAILED] +
	       v->count[WEIR_SUMMARY_IGNORED];
}

/* Let go and never heard of again: a process was killed, or is still at it. */
static uint64_t unfinished(const struct weir_summary_view *v)
{
	return v->count[WEIR_SUMMARY_ADMITTED] > over(v) ? v->count[WEIR_SUMMARY_ADMITTED] - over(v) : 0;
}

static uint64_t refused(const struct weir_summary_view *v)
{
	return weir_summary_requests(v) - v->count[WEIR_SUMMARY_ADMITTED];
}

static uint64_t mean_us(const struct weir_summary_view *v)
{
	uint64_t n = v->count[WEIR_SUMMARY_SUCCEEDED] + v->count[WEIR_SUMMARY_THROTTLED] + v->count[WEIR_SUMMARY_FAILED];
	return n ? v->count[WEIR_SUMMARY_LATENCY_US] / n : 0;
}

static const char *name_of(const struct weir_summary_view *v, char spelled[WEIR_SPELLING_MAX])
{
	if (v->others)
		return "all other hosts";
	if (v->name[0] == '\0')
		return "(a host without a name)";
	weir_spell(v->name, spelled);
	return spelled;
}

static void put_if(uint64_t n, const char *what, FILE *out)
{
	if (n)
		fprintf(out, ", %" PRIu64 " %s", n, what);
}

/* ": 3 requests: 2 succeeded, 1 throttled, ..." */
static void put_requests(const struct weir_summary_view *v, FILE *out)
{
	uint64_t n = weir_summary_requests(v);
	fprintf(out,
		"%" PRIu64 " request%s: %" PRIu64 " succeeded, %" PRIu64 " throttled, %" PRIu64 " failed, %" PRIu64
		" refused by weir",
		n, plural(n), v->count[WEIR_SUMMARY_SUCCEEDED], v->count[WEIR_SUMMARY_THROTTLED], v->count[WEIR_SUMMARY_FAILED],
		refused(v));
	put_if(v->count[WEIR_SUMMARY_IGNORED], "ended by the client", out);
	put_if(v->count[WEIR_SUMMARY_CANCELLED], "given up while waiting", out);
	put_if(unfinished(v), "unfinished", out);
	put_if(v->count[WEIR_SUMMARY_EXEMPT], "exempt", out);
}

static void put_waits(const struct weir_summary_view *v, FILE *out)
{
	char sum[32], longest[32];
	fprintf(out, "%" PRIu64 " waited, %s in all, which is %.0f %% of the time that requests took, %s at most",
		v->count[WEIR_SUMMARY_DELAYED], duration_us(v->count[WEIR_SUMMARY_WAITED_US], sum),
		weir_summary_waited_percent(v), duration_us(v->count[WEIR_SUMMARY_LONGEST_WAIT_US], longest));
}

/* What was done about failures, and what would have been done. */
static void put_rest(const struct weir_summary_view *v, FILE *out)
{
	uint64_t trips = v->count[WEIR_SUMMARY_TRIPS], again = v->count[WEIR_SUMMARY_RETRIES],
		 spent = v->count[WEIR_SUMMARY_RETRIES_EXHAUSTED];
	if (again || spent)
		fprintf(out, "; %" PRIu64 " asked again, which saved %" PRIu64, again, v->count[WEIR_SUMMARY_RETRIES_SAVED]);
	if (spent)
		fprintf(out, ", and %" PRIu64 " not, as the retry budget was spent", spent);
	if (trips)
		fprintf(out, "; the breaker opened %" PRIu64 " time%s", trips, plural(trips));
	if (v->count[WEIR_SUMMARY_WOULD_DELAY] || v->count[WEIR_SUMMARY_WOULD_REFUSE])
		fprintf(out, "; %" PRIu64 " would have waited, %" PRIu64 " would have been refused",
			v->count[WEIR_SUMMARY_WOULD_DELAY], v->count[WEIR_SUMMARY_WOULD_REFUSE]);
}

static void put_refusals(const struct weir_summary_view *v, const char *prefix, FILE *out)
{
	for (uint32_t cause = 0; cause < WEIR_SUMMARY_CAUSES; cause++)
		if (v->refused[cause])
			fprintf(out, "%srefused: %" PRIu64 ": %s\n", prefix, v->refused[cause], weir_cause_text(cause));
}

static void put_host(const struct weir_summary_view *v, const char *prefix, FILE *out)
{
	char spelled[WEIR_SPELLING_MAX];
	fprintf(out, "%s%s: ", prefix, name_of(v, spelled));
	put_requests(v, out);
	if (v->count[WEIR_SUMMARY_DELAYED]) {
		fputs("; ", out);
		put_waits(v, out);
	}
	put_rest(v, out);
	fputc('\n', out);
}

static void put_all(const struct weir_run_summary *r, const char *prefix, FILE *out)
{
	char text[32], spelled[WEIR_SPELLING_MAX];
	if (r->hosts > 1) {
		fprintf(out, "%s%zu hosts: ", prefix, r->hosts);
		put_requests(&r->all, out);
		if (r->all.count[WEIR_SUMMARY_DELAYED]) {
			fputs("; ", out);
			put_waits(&r->all, out);
		}
		put_rest(&r->all, out);
		fputc('\n', out);
	}
	put_refusals(&r->all, prefix, out);
	if (!r->slowest)
		return;
	fprintf(out, "%sslowest: %s: answers took %s on average, ", prefix, name_of(r->slowest, spelled),
		duration_us(mean_us(r->slowest), text));
	fprintf(out, "%s at most\n", duration_us(r->slowest->count[WEIR_SUMMARY_LONGEST_LATENCY_US], text));
}

void weir_run_summary_text(const struct weir_run_summary *r, const char *prefix, FILE *out)
{
	char text[32];
	for (size_t i = 0; i < r->hosts; i++)
		put_host(&r->host[i], prefix, out);
	put_all(r, prefix, out);
	if (r->still_running)
		fprintf(out, "%s%u process%s still running; what %s from now on is not in here\n", prefix, r->still_running,
			r->still_running == 1 ? " of this run is" : "es of this run are",
			r->still_running == 1 ? "it does" : "they do");
	fprintf(out, "%s%s%s\n", prefix, weir_print_duration(r->took_ns, text, sizeof text),
		r->hosts ? ", this run alone" : "; no request was seen");
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)(n <= INT64_MAX ? n : INT64_MAX));
}

static json_t *seconds_of_us(uint64_t us)
{
	return json_real((double)us / 1e6);
}

static void put_counts(json_t *o, const struct weir_summary_view *v)
{
	static const struct {
		const char *name;
		enum weir_summary_count which;
	} plain[] = {
		{"admitted", WEIR_SUMMARY_ADMITTED},
		{"delayed", WEIR_SUMMARY_DELAYED},
		{"succeeded", WEIR_SUMMARY_SUCCEEDED},
		{"throttled", WEIR_SUMMARY_THROTTLED},
		{"failed", WEIR_SUMMARY_FAILED},
		{"ignored", WEIR_SUMMARY_IGNORED},
		{"cancelled", WEIR_SUMMARY_CANCELLED},
		{"exempt", WEIR_SUMMARY_EXEMPT},
		{"retries", WEIR_SUMMARY_RETRIES},
		{"saved", WEIR_SUMMARY_RETRIES_SAVED},
		{"retry_budget_exhausted", WEIR_SUMMARY_RETRIES_EXHAUSTED},
		{"breaker_opened", WEIR_SUMMARY_TRIPS},
		{"would_delay", WEIR_SUMMARY_WOULD_DELAY},
		{"would_refuse", WEIR_SUMMARY_WOULD_REFUSE},
	};
	json_t *causes = json_object();
	json_object_set_new(o, "requests", number(weir_summary_requests(v)));
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
		json_object_set_new(o, plain[i].name, number(v->count[plain[i].which]));
	json_object_set_new(o, "unfinished", number(unfinished(v)));
	json_object_set_new(o, "refused", number(refused(v)));
	for (uint32_t cause = 0; cause < WEIR_CAUSE_COUNT; cause++)
		if (v->refused[cause])
			json_object_set_new(causes, weir_cause_name(cause), number(v->refused[cause]));
	json_object_set_new(o, "refused_by_cause", causes);
	json_object_set_new(o, "waited", seconds_of_us(v->count[WEIR_SUMMARY_WAITED_US]));
	json_object_set_new(o, "longest_wait", seconds_of_us(v->count[WEIR_SUMMARY_LONGEST_WAIT_US]));
	json_object_set_new(o, "waited_share", json_real(weir_summary_waited_percent(v) / 100));
	json_object_set_new(o, "latency_mean", seconds_of_us(mean_us(v)));
	json_object_set_new(o, "latency_max", seconds_of_us(v->count[WEIR_SUMMARY_LONGEST_LATENCY_US]));
}

static json_t *host_name(const struct weir_summary_view *v)
{
	char spelled[WEIR_SPELLING_MAX];
	return json_string(v->others ? "_other" : v->name[0] ? name_of(v, spelled) : "");
}

json_t *weir_run_summary_json(const struct weir_run_summary *r)
{
	json_t *o = json_object(), *hosts = json_array();
	json_object_set_new(o, "schema", json_integer(1));
	json_object_set_new(o, "took", json_real((double)r->took_ns / 1e9));
	if (WIFSIGNALED(r->status))
		json_object_set_new(o, "signal", json_integer(WTERMSIG(r->status)));
	else
		json_object_set_new(o, "exit_status", json_integer(WEXITSTATUS(r->status)));
	json_object_set_new(o, "still_running", json_integer(r->still_running));
	put_counts(o, &r->all);
	if (r->slowest)
		json_object_set_new(o, "slowest_host", host_name(r->slowest));
	for (size_t i = 0; i < r->hosts; i++) {
		json_t *host = json_object();
		json_object_set_new(host, "host", host_name(&r->host[i]));
		put_counts(host, &r->host[i]);
		json_array_append_new(hosts, host);
	}
	json_object_set_new(o, "hosts", hosts);
	return o;
}
