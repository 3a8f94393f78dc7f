/* SPDX-License-Identifier: MIT */
#include "src/stats/explain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "src/stats/process_name.h"
#include "src/stats/quotas.h"
#include "src/stats/render.h"
#include "src/stats/snapshot.h"
#include "weir/log.h"
#include "weir/units.h"

#define HOLDERS      3
#define HELD_LONG_NS UINT64_C(1000000000) /* what is over sooner holds nobody up */

/* The texts of a few quantities at once: each call of duration() or rate() takes the next one. */
struct words {
	char text[8][32];
	unsigned next;
};

static const char *duration(struct words *w, uint64_t ns)
{
	char *out = w->text[w->next++ % 8];
	return weir_print_duration(ns, out, sizeof w->text[0]);
}

static const char *rate(struct words *w, uint64_t nano_per_s)
{
	char *out = w->text[w->next++ % 8];
	return weir_print_rate(nano_per_s, out, sizeof w->text[0]);
}

static void say(struct weir_explanation *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct weir_explanation *e, const char *format, ...)
{
	char *text = NULL;
	va_list arguments;
	va_start(arguments, format);
	if (e->sentences < WEIR_SENTENCES && vasprintf(&text, format, arguments) >= 0) {
		weir_make_printable(text, strlen(text));
		e->sentence[e->sentences++] = text;
	}
	va_end(arguments);
}

/* Where the rule stands: the first of its settings that comes from a file. */
static char *find_origin(const struct weir_policy *policy, const char *match)
{
	char prefix[WEIR_MATCH_MAX + 10];
	bool defaults = strcmp(match, "*") == 0;
	size_t n = weir_format(prefix, sizeof prefix, defaults ? "defaults." : "hosts[%s].", match);
	for (size_t i = 0; policy && i < policy->origin_count; i++) {
		const struct weir_origin *o = &policy->origins[i];
		if (strncmp(o->key, prefix, n) == 0 && strcmp(o->source, "built in") != 0)
			return strdup(o->source);
	}
	return NULL;
}

static void say_rule(struct weir_explanation *e, const struct weir_rule *rule)
{
	const char *in = e->origin ? ", " : "";
	const char *where = e->origin ? e->origin : "";
	if (e->rule[0] == '\0')
		say(e, "No policy is compiled; the built-in defaults hold for %s.", e->host);
	else if (strcmp(e->rule, "*") == 0)
		say(e, "No rule names %s; the defaults hold (%s%s).", e->host, e->origin ? "from " : "built in", where);
	else
		say(e, "The rule \"%s\"%s%s holds for %s.", e->rule, in, where, e->host);
	if (strcmp(e->forecast.key, e->host) != 0)
		say(e, "It shares its budget with the other hosts of the group \"%s\".", e->forecast.key);
	if (e->forecast.slot == WEIR_NONE && !(rule->flags & WEIR_RULE_EXEMPT))
		say(e, "Nothing has been requested from it yet.");
}

static void say_rate(struct weir_explanation *e, const struct weir_rule *rule, const struct weir_host_view *h)
{
	struct words w = {.next = 0};
	const struct weir_rate_params *p = &rule->rate;
	static const char *const names[] = {[WEIR_ADAPTIVE] = "adaptive",
					    [WEIR_FIXED] = "fixed",
					    [WEIR_CONSERVATIVE] = "conservative",
					    [WEIR_AGGRESSIVE] = "aggressive"};
	if (h && h->set_rate)
		say(e, "Rate: set by the operator to %s with a burst of %" PRIu32 "%s%s.", rate(&w, h->set_rate),
		    h->set_burst ? h->set_burst : 1, h->set_for_ns ? ", for another " : ", until 'weir reset'",
		    h->set_for_ns ? duration(&w, h->set_for_ns) : "");
	else if (!(rule->flags & WEIR_RULE_LIMITS_RATE))
		say(e, "Rate: not limited by the rule.");
	else if (p->strategy == WEIR_FIXED)
		say(e, "Rate: fixed at %s with a burst of %" PRIu32 ".", rate(&w, p->max), p->burst ? p->burst : 1);
	else if (p->strategy == WEIR_ADAPTIVE && !(h && h->learned))
		say(e, "Rate: adaptive; the host has given no reason for a limit yet%s%s.",
		    p->max ? ", and it is never above " : "", p->max ? rate(&w, p->max) : "");
	else
		say(e, "Rate: %s, between %s and %s; %s now.",
		    names[p->strategy <= WEIR_AGGRESSIVE ? p->strategy : WEIR_ADAPTIVE], rate(&w, p->min),
		    p->max ? rate(&w, p->max) : "any",
		    h && h->limit ? rate(&w, h->learned ? weir_round_rate(h->limit) : h->limit) : "no request yet");
	for (size_t i = 0; i < WEIR_RATES - 1; i++)
		if (rule->fixed[i].rate)
			say(e, "Rate: besides, never more than %s with a burst of %" PRIu32 ".", rate(&w, rule->fixed[i].rate),
			    rule->fixed[i].burst ? rule->fixed[i].burst : 1);
}

static void say_concurrency(struct weir_explanation *e, const struct weir_rule *rule, const struct weir_host_view *h)
{
	uint32_t flight = h ? h->in_flight : 0, waiting = h ? h->waiting : 0;
	const struct weir_concurrency_params *p = &rule->concurrency;
	char now[80];
	snprintf(now, sizeof now, "%" PRIu32 " in flight and %" PRIu32 " waiting now", flight, waiting);
	if (h && h->set_concurrency)
		say(e, "Concurrency: set by the operator to %" PRIu32 "; %s.", h->set_concurrency, now);
	else if (h && h->concurrency != UINT32_MAX)
		say(e, "Concurrency: at most %" PRIu32 "%s; %s.", h->concurrency,
		    p->mode != WEIR_CONCURRENCY_ADAPTIVE   ? ""
		    : h->refusal.permits == h->concurrency ? ", learned from refusals"
							   : ", learned from latency",
		    now);
	else if (p->mode == WEIR_CONCURRENCY_FIXED && p->max)
		say(e, "Concurrency: at most %" PRIu32 "; %s.", p->max, now);
	else if (p->mode == WEIR_CONCURRENCY_ADAPTIVE)
		say(e, "Concurrency: adaptive; latency has given no reason for a limit yet; %s.", now);
	else
		say(e, "Concurrency: not limited; %s.", now);
}

static void say_queue(struct weir_explanation *e, const struct weir_rule *rule, const struct weir_host_view *h)
{
	const struct weir_queue_params *q = &rule->queue;
	if (q->priority >= 1 && q->priority <= WEIR_CLASSES)
		say(e, "Priority: %s, where neither weir run -p nor WEIR_PRIORITY says another.",
		    weir_class_name(q->priority - 1));
	if (h && (h->class[WEIR_CLASS_HIGH].waiting || h->class[WEIR_CLASS_LOW].waiting))
		say(e,
		    "Queue: %" PRIu32 " high, %" PRIu32 " normal and %" PRIu32 " low wait; high goes first, normal has %" PRIu32
		    ".%" PRIu32 " %% and low %" PRIu32 ".%" PRIu32 " %% for sure.",
		    h->class[WEIR_CLASS_HIGH].waiting, h->class[WEIR_CLASS_NORMAL].waiting, h->class[WEIR_CLASS_LOW].waiting,
		    q->shares.normal / 10, q->shares.normal % 10, q->shares.low / 10, q->shares.low % 10);
	if (q->max)
		say(e, "Queue: at most %" PRIu32 " wait; beyond that the lowest class is refused first.", q->max);
}

/* What the host's refusals have been found to depend on, and what is being tried. */
static void say_meaning(struct weir_explanation *e, const struct weir_host_view *h)
{
	char text[WEIR_FINDING_TEXT];
	if (!h)
		return;
	for (size_t i = 0; i < h->findings; i++)
		say(e, "Meaning: %s.", weir_finding_text(&h->finding[i], text));
	if (h->refusal.trial != WEIR_TRIAL_NONE)
		say(e, "Meaning: %s.", weir_trial_text(&h->refusal, text));
}

/* Who has been in flight for longest: whom the others wait for where permits are short. */
static void say_holders(struct weir_explanation *e, const struct weir_segment *s)
{
	struct weir_holder holder[HOLDERS];
	struct weir_owner self;
	size_t count = e->forecast.slot <= s->entries ? weir_lease_holders(s, e->forecast.slot, holder, HOLDERS) : 0;
	if (count == 0)
		return;
	weir_owner_self(&self);
	for (size_t i = 0; i < count; i++) {
		uint64_t since = holder[i].begun_ns < e->now_ns ? e->now_ns - holder[i].begun_ns : 0;
		char name[64] = "?";
		bool stopped = false, ours = holder[i].pid_namespace == self.pid_namespace;
		struct words w = {.next = 0};
		if (since < HELD_LONG_NS)
			continue;
		if (!ours || !weir_process_name(holder[i].pid, name, &stopped))
			say(e, "In flight for %s: process %" PRIu32 "%s.", duration(&w, since), holder[i].pid,
			    ours ? "" : " of another pid namespace");
		else
			say(e, "In flight for %s: %s, process %" PRIu32 "%s.", duration(&w, since), name, holder[i].pid,
			    stopped ? ", which is stopped" : "");
	}
}

static void say_quotas(struct weir_explanation *e, const struct weir_rule *rule, const struct weir_host_view *h)
{
	char text[WEIR_QUOTA_SENTENCE];
	for (unsigned i = 0; h && i < h->quotas; i++)
		say(e, "Quota %s.", weir_quota_sentence(&h->quota[i], text));
	for (unsigned i = 0; !h && i < weir_allowances_count(&rule->allowances); i++) {
		weir_allowance_print(&rule->allowances, i, text, sizeof text);
		say(e, "Quota %s.", text);
	}
}

static void say_hold(struct weir_explanation *e, const struct weir_host_view *h)
{
	struct words w = {.next = 0};
	if (h && h->hold_ns)
		say(e, "Hold: %s; %s left.", weir_cause_text(h->hold_cause), duration(&w, h->hold_ns));
	else
		say(e, "Hold: none.");
}

static void say_thresholds(struct weir_explanation *e, const struct weir_rule *rule)
{
	const struct weir_breaker_params *p = &rule->breaker;
	struct words w = {.next = 0};
	char text[256] = "";
	size_t n = 0;
	if (p->failures)
		n += weir_format(text + n, sizeof text - n, "%s%u failures in a row", n ? ", " : "", p->failures);
	if (p->failure_rate_permille)
		n += weir_format(text + n, sizeof text - n, "%s%u%% failures", n ? ", " : "", p->failure_rate_permille / 10);
	if (p->slow_rate_permille && p->slow_call_ns)
		n += weir_format(text + n, sizeof text - n, "%s%u%% calls slower than %s", n ? ", " : "",
				 p->slow_rate_permille / 10, duration(&w, p->slow_call_ns));
	if (n)
		say(e, "Breaker: it opens on %s, for %s at first; requests %s%s.", text, duration(&w, p->open_time_ns),
		    rule->grace_ns ? "wait out the first " : "are refused at once",
		    rule->grace_ns ? duration(&w, rule->grace_ns) : "");
}

static void say_breaker(struct weir_explanation *e, const struct weir_rule *rule, const struct weir_host_view *h)
{
	struct words w = {.next = 0};
	const struct weir_breaker_params *p = &rule->breaker;
	enum weir_breaker_state state = h ? h->breaker : WEIR_BREAKER_CLOSED;
	if (state == WEIR_BREAKER_CLOSED && !p->failures && !p->failure_rate_permille && !p->slow_rate_permille) {
		say(e, "Breaker: off.");
		return;
	}
	if (state == WEIR_BREAKER_FORCED_OPEN)
		say(e, "Breaker: opened by the operator, until 'weir breaker %s close'.", e->forecast.key);
	else if (state == WEIR_BREAKER_HALF_OPEN)
		say(e, "Breaker: half-open; %" PRIu32 " good probes close it.", p->success_threshold ? p->success_threshold : 1);
	else if (state == WEIR_BREAKER_OPEN)
		say(e, "Breaker: open, because %s; the next try is due %s%s.", weir_cause_text(h->opened_by),
		    h->reopens_ns ? "in " : "now", h->reopens_ns ? duration(&w, h->reopens_ns) : "");
	else
		say(e, "Breaker: closed, %" PRIu32 " failure%s in a row.", h ? h->failures_in_a_row : 0,
		    h && h->failures_in_a_row == 1 ? "" : "s");
	say_thresholds(e, rule);
}

/* What libcurl would be made to ask again. */
static void say_retry(struct weir_explanation *e, const struct weir_rule *rule, const struct weir_host_view *h)
{
	static const struct {
		uint32_t bit;
		const char *text;
	} kinds[] = {{WEIR_RETRY_THROTTLED, "throttled"},
		     {WEIR_RETRY_CONNECT, "no connection"},
		     {WEIR_RETRY_TIMEOUT, "time-outs"},
		     {WEIR_RETRY_SERVER_ERROR, "statuses of 500 and above"}};
	const struct weir_retry_params *p = &rule->retry;
	struct words w = {.next = 0};
	char what[128] = "";
	size_t n = 0;
	if (p->attempts < 2)
		return;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (p->on & kinds[i].bit)
			n += weir_format(what + n, sizeof what - n, "%s%s", n ? ", " : "", kinds[i].text);
	say(e,
	    "Retry: up to %" PRIu32 " attempts by libcurl (%s), %s at first and %s at most apart; %" PRIu32 ".%" PRIu32
	    " left in the budget.",
	    p->attempts, n ? what : "after nothing", duration(&w, p->base_ns), duration(&w, p->cap_ns),
	    (h ? h->retries_left : WEIR_RETRY_RESERVE) / 1000, (h ? h->retries_left : WEIR_RETRY_RESERVE) % 1000 / 100);
}

static void say_verdict(struct weir_explanation *e, const struct weir_rule *rule)
{
	struct words w = {.next = 0};
	const struct weir_forecast *f = &e->forecast;
	bool timed = f->until_ns > e->now_ns && f->until_ns != WEIR_NEVER;
	const char *in = timed ? duration(&w, f->until_ns - e->now_ns) : "";
	if (f->verdict == WEIR_GO)
		say(e, "A request now would go at once.");
	else if (f->verdict == WEIR_WAIT && f->cause == WEIR_CAUSE_OUTAGE)
		say(e, "A request now would wait out an outage, until a probe finds the host back; for %s at most.", in);
	else if (f->verdict == WEIR_WAIT)
		say(e, "A request now would wait%s%s, because %s.", timed ? " " : "", in, weir_cause_text(f->cause));
	else if (f->timed_out)
		say(e, "A request now would be refused: it would have to wait %s, because %s, and no more than %s is allowed.",
		    in, weir_cause_text(f->cause), duration(&w, rule->wait_max_ns));
	else
		say(e, "A request now would be refused, because %s%s%s.", weir_cause_text(f->cause),
		    timed ? "; the next try is due in " : "", in);
}

/* Where less was seen than requests with their answers. */
static void say_seen(struct weir_explanation *e, const struct weir_segment *s)
{
	static const struct {
		enum weir_seen seen;
		const char *what;
	} table[] = {
		{WEIR_SEEN_RECORD,
		 "requests of programs with a TLS of their own, told apart by its records: what was answered is not seen"},
		{WEIR_SEEN_HTTP2, "connections with HTTP/2, which is not looked into: each counts as one request"},
		{WEIR_SEEN_TLS,
		 "connections of programs with a TLS of their own that may speak HTTP/2 in it: each counts as one request"},
		{WEIR_SEEN_OPAQUE, "connections that speak no HTTP: each counts as one request"},
	};
	for (size_t i = 0; e->forecast.slot <= s->entries && i < sizeof table / sizeof table[0]; i++) {
		uint32_t n = atomic_load_explicit(&s->entry[e->forecast.slot].seen[table[i].seen], memory_order_relaxed);
		if (n)
			say(e, "Seen: %" PRIu32 " %s.", n, table[i].what);
	}
}

static void say_total(struct weir_explanation *e, const struct weir_rule *total)
{
	struct words w = {.next = 0};
	if (!total)
		return;
	char limits[128] = "";
	size_t n = 0;
	if (total->flags & WEIR_RULE_LIMITS_RATE && total->rate.max)
		n += weir_format(limits + n, sizeof limits - n, " at most %s", rate(&w, total->rate.max));
	for (size_t i = 0; i < WEIR_RATES - 1; i++)
		if (total->fixed[i].rate)
			n += weir_format(limits + n, sizeof limits - n, "%s at most %s", n ? "," : "",
					 rate(&w, total->fixed[i].rate));
	if (total->concurrency.mode != WEIR_CONCURRENCY_OFF && total->concurrency.max)
		n += weir_format(limits + n, sizeof limits - n, "%s at most %u in flight", n ? "," : "", total->concurrency.max);
	if (n)
		say(e, "All hosts together:%s.", limits);
}

/* The rule as a copy of our own, since the segment may change under our hands. */
static void copy_rule(const struct weir_policy_view *view, struct weir_explanation *e, struct weir_rule *rule)
{
	weir_rule_defaults(rule);
	if (!view->rules || e->forecast.rule >= view->rule_count)
		return;
	memcpy(rule, &view->rules[e->forecast.rule], sizeof *rule);
	rule->match[sizeof rule->match - 1] = '\0';
	memcpy(e->rule, rule->match, sizeof e->rule);
}

static const struct weir_host_view *find_view(const struct weir_snapshot *snapshot, const char *key)
{
	for (size_t i = 0; i < snapshot->host_count; i++)
		if (strcmp(snapshot->host[i].key, key) == 0)
			return &snapshot->host[i];
	return NULL;
}

bool weir_explain(const struct weir_segment *s, const struct weir_policy *policy, const char *host_port, uint64_t now_ns,
		  uint64_t wall_ns, struct weir_explanation *e)
{
	struct weir_gate gate;
	struct weir_rule rule, total;
	struct weir_snapshot snapshot;
	memset(e, 0, sizeof *e);
	memset(&gate, 0, sizeof gate);
	gate.segment = s;
	e->now_ns = now_ns;
	weir_format(e->host, sizeof e->host, "%s", host_port);
	weir_gate_refresh(s, now_ns);
	weir_gate_forecast(&gate, host_port, now_ns, &e->forecast);
	struct weir_policy_view view = weir_policy_in_force(s);
	copy_rule(&view, e, &rule);
	if (view.total)
		memcpy(&total, view.total, sizeof total);
	if (!weir_snapshot_take(s, e->forecast.key, now_ns, wall_ns, &snapshot))
		return false;
	const struct weir_host_view *h = find_view(&snapshot, e->forecast.key);
	e->origin = find_origin(policy, rule.match);
	say_rule(e, &rule);
	if (rule.flags & WEIR_RULE_EXEMPT) {
		say(e, "The rule exempts it: requests pass untouched.");
	} else {
		say_rate(e, &rule, h);
		say_concurrency(e, &rule, h);
		say_queue(e, &rule, h);
		say_meaning(e, h);
		say_holders(e, s);
		say_quotas(e, &rule, h);
		say_hold(e, h);
		say_breaker(e, &rule, h);
		say_retry(e, &rule, h);
		say_seen(e, s);
		say_total(e, view.total ? &total : NULL);
		say_verdict(e, &rule);
	}
	weir_snapshot_free(&snapshot);
	return true;
}

void weir_explanation_free(struct weir_explanation *e)
{
	for (size_t i = 0; i < e->sentences; i++)
		free(e->sentence[i]);
	free(e->origin);
	memset(e, 0, sizeof *e);
}

void weir_explanation_text(const struct weir_explanation *e, FILE *out)
{
	for (size_t i = 0; i < e->sentences; i++)
		fprintf(out, "%s\n", e->sentence[i]);
}

json_t *weir_explanation_json(const struct weir_explanation *e)
{
	static const char *const verdicts[] = {[WEIR_GO] = "go", [WEIR_WAIT] = "wait", [WEIR_REFUSE] = "refuse"};
	const struct weir_forecast *f = &e->forecast;
	json_t *o = json_object(), *sentences = json_array();
	json_object_set_new(o, "schema", json_integer(1));
	json_object_set_new(o, "host", json_string(e->host));
	json_object_set_new(o, "entry", weir_name_json(f->key));
	json_object_set_new(o, "known", json_boolean(f->slot != WEIR_NONE));
	json_object_set_new(o, "rule", json_string(e->rule[0] ? e->rule : "*"));
	if (e->origin)
		json_object_set_new(o, "origin", json_string(e->origin));
	json_object_set_new(o, "verdict", json_string(verdicts[f->verdict]));
	if (f->verdict != WEIR_GO)
		json_object_set_new(o, "cause", json_string(weir_cause_name(f->cause)));
	if (f->verdict != WEIR_GO && f->until_ns > e->now_ns && f->until_ns != WEIR_NEVER)
		json_object_set_new(o, "seconds", json_real((double)(f->until_ns - e->now_ns) / 1e9));
	for (size_t i = 0; i < e->sentences; i++)
		json_array_append_new(sentences, json_string(e->sentence[i]));
	json_object_set_new(o, "sentences", sentences);
	return o;
}
