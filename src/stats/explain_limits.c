/* SPDX-License-Identifier: MIT */
/* Every limit in force, and where it comes from: the configuration, what was learned, what the server said, the operator. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/stats/explain_parts.h"
#include "src/stats/quotas.h"
#include "src/stats/render.h"
#include "weir/log.h"
#include "weir/units.h"

#define SECTION_MAX (WEIR_MATCH_MAX + WEIR_NARROW_NAME_MAX + 16)

static const char *find_place(const struct weir_policy *policy, const char *section, const char *field)
{
	size_t n = strlen(section);

	for (size_t i = 0; i < policy->origin_count; i++) {
		const struct weir_origin *o = &policy->origins[i];

		if (strncmp(o->key, section, n) == 0 && o->key[n] == '.' && strcmp(o->key + n + 1, field) == 0)
			return o->source;
	}
	return NULL;
}

const char *weir_place_of(const struct weir_explaining *x, const struct weir_rule *rule, const char *section, const char *field)
{
	char name[WEIR_NARROW_NAME_MAX], of[SECTION_MAX];
	const char *place = NULL;

	if (!x->policy)
		return NULL;
	if (section)
		return find_place(x->policy, section, field);
	weir_narrow_name(&rule->narrow, name);
	weir_format(of, sizeof of, "hosts[%s%s%s]", rule->match, name[0] ? "#" : "", name);
	place = find_place(x->policy, of, field);
	return place ? place : find_place(x->policy, "defaults", field);
}

const char *weir_note_limit(struct weir_explaining *x, const struct weir_limit *l)
{
	static const char *const origins[] = {[WEIR_LIMIT_CONFIGURED] = "configured",
					      [WEIR_LIMIT_LEARNED] = "learned",
					      [WEIR_LIMIT_HEADER] = "header",
					      [WEIR_LIMIT_OPERATOR] = "operator"};
	bool built_in = l->place && strcmp(l->place, "built in") == 0;
	json_t *o = json_object();

	json_object_set_new(o, "limit", json_string(l->limit));
	json_object_set_new(o, "scope", json_string(l->scope));
	json_object_set_new(o, "value", l->value);
	if (l->origin != WEIR_LIMIT_CONFIGURED || l->place)
		json_object_set_new(o, "origin", json_string(built_in ? "built_in" : origins[l->origin]));
	if (l->origin == WEIR_LIMIT_CONFIGURED && l->place && !built_in)
		json_object_set_new(o, "source", json_string(l->place));
	if (l->ends_ns && l->ends_ns != WEIR_NEVER)
		json_object_set_new(o, "ends_in_seconds", json_real((double)l->ends_ns / 1e9));
	json_array_append_new(x->limits, o);
	x->tail[0] = '\0';
	if (l->origin == WEIR_LIMIT_CONFIGURED && built_in)
		weir_format(x->tail, sizeof x->tail, " Built in.");
	else if (l->origin == WEIR_LIMIT_CONFIGURED && l->place)
		weir_format(x->tail, sizeof x->tail, " From %s.", l->place);
	return x->tail;
}

static json_t *rate_value(uint64_t nano_per_s)
{
	char text[32];

	return json_string(weir_print_rate(nano_per_s, text, sizeof text));
}

static const char *note_rate(struct weir_explaining *x, const char *scope, uint64_t rate, enum weir_limit_origin origin,
			     const char *place, uint64_t ends_ns)
{
	struct weir_limit l = {"rate", scope, rate_value(rate), origin, place, ends_ns};

	return weir_note_limit(x, &l);
}

static const char *note_count(struct weir_explaining *x, const char *limit, const char *scope, uint64_t n,
			      enum weir_limit_origin origin, const char *place, uint64_t ends_ns)
{
	struct weir_limit l = {limit, scope, json_integer((json_int_t)n), origin, place, ends_ns};

	return weir_note_limit(x, &l);
}

static const char *note_seconds(struct weir_explaining *x, const char *limit, uint64_t ns, enum weir_limit_origin origin,
				const char *place, uint64_t ends_ns)
{
	struct weir_limit l = {limit, "host", json_real((double)ns / 1e9), origin, place, ends_ns};

	return weir_note_limit(x, &l);
}

/* What the controller has found, or was told. */
static void say_learned(struct weir_explaining *x, const char *ceiling)
{
	static const char *const names[] = {[WEIR_ADAPTIVE] = "adaptive",
					    [WEIR_FIXED] = "fixed",
					    [WEIR_CONSERVATIVE] = "conservative",
					    [WEIR_AGGRESSIVE] = "aggressive"};
	const struct weir_rate_params *p = &x->rule.rate;
	const struct weir_host_view *h = x->view;
	struct weir_words w = {.next = 0};
	uint64_t limit = h && h->limit ? (h->learned ? weir_round_rate(h->limit) : h->limit) : 0;
	bool told = h && h->learned && x->paced_by == WEIR_CAUSE_QUOTA_HEADER, learned = h && h->learned;
	const char *tail = !learned ? ceiling : told ? " Told by the server's quota." : " Learned.";

	if (limit && learned)
		note_rate(x, "host", limit, told ? WEIR_LIMIT_HEADER : WEIR_LIMIT_LEARNED, NULL, 0);
	weir_say(x, "Rate: %s, between %s and %s; %s now.%s", names[p->strategy <= WEIR_AGGRESSIVE ? p->strategy : WEIR_ADAPTIVE],
		 weir_rate_word(&w, p->min), p->max ? weir_rate_word(&w, p->max) : "any",
		 limit ? weir_rate_word(&w, limit) : "no request yet", tail);
}

static void say_rate(struct weir_explaining *x)
{
	const struct weir_rate_params *p = &x->rule.rate;
	const struct weir_host_view *h = x->view;
	const char *place = weir_place_of(x, &x->rule, NULL, "rate.max"), *tail = "";
	struct weir_words w = {.next = 0};

	if (h && h->set_rate) {
		note_rate(x, "host", h->set_rate, WEIR_LIMIT_OPERATOR, NULL, h->set_for_ns);
		weir_say(x, "Rate: set by the operator to %s with a burst of %" PRIu32 "%s%s.", weir_rate_word(&w, h->set_rate),
			 h->set_burst ? h->set_burst : 1, h->set_for_ns ? ", for another " : ", until 'weir reset'",
			 h->set_for_ns ? weir_duration_word(&w, h->set_for_ns) : "");
		return;
	}
	if (!(x->rule.flags & WEIR_RULE_LIMITS_RATE)) {
		weir_say(x, "Rate: not limited by the rule.");
		return;
	}
	if (p->max)
		tail = note_rate(x, "host", p->max, WEIR_LIMIT_CONFIGURED, place, 0);
	if (p->strategy == WEIR_FIXED)
		weir_say(x, "Rate: fixed at %s with a burst of %" PRIu32 ".%s", weir_rate_word(&w, p->max),
			 p->burst ? p->burst : 1, tail);
	else if (p->strategy == WEIR_ADAPTIVE && !(h && h->learned))
		weir_say(x, "Rate: adaptive; the host has given no reason for a limit yet%s%s.%s",
			 p->max ? ", and it is never above " : "", p->max ? weir_rate_word(&w, p->max) : "", tail);
	else
		say_learned(x, tail);
}

/* Of each there may be several in one rule. */
static void say_further_rates(struct weir_explaining *x)
{
	for (size_t i = 0; i < WEIR_RATES - 1; i++) {
		const struct weir_fixed_rate *f = &x->rule.fixed[i];
		struct weir_words w = {.next = 0};

		if (f->rate)
			weir_say(x, "Rate: besides, never more than %s with a burst of %" PRIu32 ".%s",
				 weir_rate_word(&w, f->rate), f->burst ? f->burst : 1,
				 note_rate(x, "host", f->rate, WEIR_LIMIT_CONFIGURED, weir_place_of(x, &x->rule, NULL, "rates"),
					   0));
	}
}

static void say_concurrency(struct weir_explaining *x)
{
	const struct weir_host_view *h = x->view;
	const struct weir_concurrency_params *p = &x->rule.concurrency;
	const char *place = weir_place_of(x, &x->rule, NULL, "concurrency.max");
	bool adaptive = p->mode == WEIR_CONCURRENCY_ADAPTIVE;
	char now[80];

	weir_format(now, sizeof now, "%" PRIu32 " in flight and %" PRIu32 " waiting now", h ? h->in_flight : 0,
		    h ? h->waiting : 0);
	if (h && h->set_concurrency) {
		note_count(x, "concurrency", "host", h->set_concurrency, WEIR_LIMIT_OPERATOR, NULL, h->set_for_ns);
		weir_say(x, "Concurrency: set by the operator to %" PRIu32 "; %s.", h->set_concurrency, now);
	} else if (h && h->concurrency != UINT32_MAX) {
		bool ceiling = p->max && h->concurrency == p->max;
		const char *tail =
			note_count(x, "concurrency", "host", h->concurrency,
				   adaptive && !ceiling ? WEIR_LIMIT_LEARNED : WEIR_LIMIT_CONFIGURED, ceiling ? place : NULL, 0);

		weir_say(x, "Concurrency: at most %" PRIu32 "%s; %s.%s", h->concurrency,
			 !adaptive                              ? ""
			 : h->refusal.permits == h->concurrency ? ", learned from refusals"
								: ", learned from latency",
			 now, tail);
	} else if (p->mode == WEIR_CONCURRENCY_FIXED && p->max) {
		weir_say(x, "Concurrency: at most %" PRIu32 "; %s.%s", p->max, now,
			 note_count(x, "concurrency", "host", p->max, WEIR_LIMIT_CONFIGURED, place, 0));
	} else if (adaptive) {
		weir_say(x, "Concurrency: adaptive; latency has given no reason for a limit yet; %s.", now);
	} else {
		weir_say(x, "Concurrency: not limited; %s.", now);
	}
}

static void say_queue(struct weir_explaining *x)
{
	const struct weir_queue_params *q = &x->rule.queue;
	const struct weir_host_view *h = x->view;

	if (q->priority >= 1 && q->priority <= WEIR_CLASSES)
		weir_say(x, "Priority: %s, where neither weir run -p nor WEIR_PRIORITY says another.",
			 weir_class_name(q->priority - 1));
	if (h && (h->class[WEIR_CLASS_HIGH].waiting || h->class[WEIR_CLASS_LOW].waiting))
		weir_say(x,
			 "Queue: %" PRIu32 " high, %" PRIu32 " normal and %" PRIu32
			 " low wait; high goes first, normal has %" PRIu32 ".%" PRIu32 " %% and low %" PRIu32 ".%" PRIu32
			 " %% for sure.",
			 h->class[WEIR_CLASS_HIGH].waiting, h->class[WEIR_CLASS_NORMAL].waiting, h->class[WEIR_CLASS_LOW].waiting,
			 q->shares.normal / 10, q->shares.normal % 10, q->shares.low / 10, q->shares.low % 10);
	if (q->max)
		weir_say(x, "Queue: at most %" PRIu32 " wait; beyond that the lowest class is refused first.%s", q->max,
			 note_count(x, "queue", "host", q->max, WEIR_LIMIT_CONFIGURED,
				    weir_place_of(x, &x->rule, NULL, "queue.max"), 0));
}

static void say_quotas(struct weir_explaining *x)
{
	const char *place = weir_place_of(x, &x->rule, NULL, "quotas");
	const char *spread =
		(x->rule.allowances.one[0].flags & WEIR_ALLOWANCE_SPREAD) ? ", spread over what is left of its time" : "";
	char text[WEIR_QUOTA_SENTENCE];

	for (unsigned i = 0; x->view && i < x->view->quotas; i++) {
		struct weir_limit l = {"quota", "host", json_string(x->view->quota[i].text), WEIR_LIMIT_CONFIGURED, place, 0};

		weir_say(x, "Quota %s%s.%s", weir_quota_sentence(&x->view->quota[i], text), spread, weir_note_limit(x, &l));
	}
	for (unsigned i = 0; !x->view && i < weir_allowances_count(&x->rule.allowances); i++) {
		struct weir_limit l = {"quota", "host", NULL, WEIR_LIMIT_CONFIGURED, place, 0};

		weir_allowance_print(&x->rule.allowances, i, text, sizeof text);
		l.value = json_string(text);
		weir_say(x, "Quota %s%s.%s", text, spread, weir_note_limit(x, &l));
	}
}

static void say_hold(struct weir_explaining *x)
{
	const struct weir_host_view *h = x->view;
	struct weir_words w = {.next = 0};
	bool told = h && (h->hold_cause == WEIR_CAUSE_RETRY_AFTER || h->hold_cause == WEIR_CAUSE_QUOTA_HEADER);

	if (!h || !h->hold_ns) {
		weir_say(x, "Hold: none.");
		return;
	}
	note_seconds(x, "hold", h->hold_ns, told ? WEIR_LIMIT_HEADER : WEIR_LIMIT_LEARNED, NULL, h->hold_ns);
	weir_say(x, "Hold: %s; %s left.", weir_cause_text(h->hold_cause), weir_duration_word(&w, h->hold_ns));
}

/* "25%", "0.5%" */
static const char *percent_word(struct weir_words *w, uint32_t permille)
{
	char *out = w->text[w->next++ % 8];

	if (permille % 10)
		weir_format(out, sizeof w->text[0], "%" PRIu32 ".%" PRIu32 "%%", permille / 10, permille % 10);
	else
		weir_format(out, sizeof w->text[0], "%" PRIu32 "%%", permille / 10);
	return out;
}

static void say_thresholds(struct weir_explaining *x)
{
	const struct weir_breaker_params *p = &x->rule.breaker;
	struct weir_words w = {.next = 0};
	char text[256] = "";
	size_t n = 0;

	if (p->failures)
		n += weir_format(text + n, sizeof text - n, "%s%u failures in a row", n ? ", " : "", p->failures);
	if (p->failure_rate_permille)
		n += weir_format(text + n, sizeof text - n, "%s%s failures", n ? ", " : "",
				 percent_word(&w, p->failure_rate_permille));
	if (p->slow_rate_permille && p->slow_call_ns)
		n += weir_format(text + n, sizeof text - n, "%s%s calls slower than %s", n ? ", " : "",
				 percent_word(&w, p->slow_rate_permille), weir_duration_word(&w, p->slow_call_ns));
	if (p->mode == WEIR_BREAKER_SHEDS)
		n = 0;
	else if (p->window_calls && (p->failure_rate_permille || p->slow_rate_permille))
		n += weir_format(text + n, sizeof text - n, " of the last %u calls", p->window_calls);
	if (n)
		weir_say(x, "Breaker: it opens on %s, for %s at first; requests %s%s.%s", text,
			 weir_duration_word(&w, p->open_time_ns),
			 x->rule.grace_ns ? "wait out the first " : "are refused at once",
			 x->rule.grace_ns ? weir_duration_word(&w, x->rule.grace_ns) : "",
			 note_count(x, "breaker", "host", p->failures, WEIR_LIMIT_CONFIGURED,
				    weir_place_of(x, &x->rule, NULL, "breaker.failures"), 0));
}

static void say_breaker(struct weir_explaining *x)
{
	const struct weir_breaker_params *p = &x->rule.breaker;
	const struct weir_host_view *h = x->view;
	enum weir_breaker_state state = h ? h->breaker : WEIR_BREAKER_CLOSED;
	struct weir_words w = {.next = 0};

	if (state == WEIR_BREAKER_CLOSED && p->mode == WEIR_BREAKER_SHEDS)
		return;
	if (state == WEIR_BREAKER_CLOSED && !p->failures && !p->failure_rate_permille && !p->slow_rate_permille) {
		weir_say(x, "Breaker: off.");
		return;
	}
	if (state != WEIR_BREAKER_CLOSED) {
		struct weir_limit l = {"breaker_state",
				       "host",
				       json_string(weir_breaker_name(state)),
				       state == WEIR_BREAKER_FORCED_OPEN ? WEIR_LIMIT_OPERATOR : WEIR_LIMIT_LEARNED,
				       NULL,
				       h->reopens_ns};

		weir_note_limit(x, &l);
	}
	if (state == WEIR_BREAKER_FORCED_OPEN)
		weir_say(x, "Breaker: opened by the operator, until 'weir breaker %s close'.", x->e->forecast.key);
	else if (state == WEIR_BREAKER_HALF_OPEN)
		weir_say(x, "Breaker: half-open; %" PRIu32 " good probes close it.",
			 p->success_threshold ? p->success_threshold : 1);
	else if (state == WEIR_BREAKER_OPEN)
		weir_say(x, "Breaker: open, because %s; the next try is due %s%s.", weir_cause_text(h->opened_by),
			 h->reopens_ns ? "in " : "now", h->reopens_ns ? weir_duration_word(&w, h->reopens_ns) : "");
	else
		weir_say(x, "Breaker: closed, %" PRIu32 " failure%s in a row.", h ? h->failures_in_a_row : 0,
			 h && h->failures_in_a_row == 1 ? "" : "s");
	say_thresholds(x);
}

/* The thresholds, and what is given up now. */
static void say_degraded(struct weir_explaining *x)
{
	const struct weir_degrade_params *p = &x->rule.degrade;
	char text[WEIR_DEGRADED_TEXT], when[200] = "";
	struct weir_words w = {.next = 0};
	size_t n = 0;

	if (p->watch & WEIR_DEGRADE_SHEDS)
		weir_say(x,
			 "Breaker: it sheds: a share of the requests is refused when more than half of them fail; now %u.%u%%.",
			 (x->view ? x->view->degraded.shed_permille : 0) / 10,
			 (x->view ? x->view->degraded.shed_permille : 0) % 10);
	if (!(p->watch & WEIR_DEGRADE_WATCHES))
		return;
	if (p->queue)
		n += weir_format(when + n, sizeof when - n, "%s%u or more wait", n ? ", " : "", p->queue);
	if (p->latency_ns)
		n += weir_format(when + n, sizeof when - n, "%sp95 is above %s", n ? ", " : "",
				 weir_duration_word(&w, p->latency_ns));
	if (p->error_permille)
		n += weir_format(when + n, sizeof when - n, "%smore than %s fail", n ? ", " : "",
				 percent_word(&w, p->error_permille));
	if (p->quota_permille)
		weir_format(when + n, sizeof when - n, "%sless than %s of a quota is left", n ? ", " : "",
			    percent_word(&w, p->quota_permille));
	weir_say(x, "Degradation: low is given up first, then normal, where %s; now %s.", when,
		 x->view && weir_is_degraded(&x->view->degraded) ? weir_degraded_text(&x->view->degraded, text) : "normal");
}

/* What libcurl would be made to ask again. */
static void say_retry(struct weir_explaining *x)
{
	static const struct {
		uint32_t bit;
		const char *text;
	} kinds[] = {{WEIR_RETRY_THROTTLED, "throttled"},
		     {WEIR_RETRY_CONNECT, "no connection"},
		     {WEIR_RETRY_TIMEOUT, "time-outs"},
		     {WEIR_RETRY_SERVER_ERROR, "statuses of 500 and above"}};
	const struct weir_retry_params *p = &x->rule.retry;
	uint32_t left = x->view ? x->view->retries_left : WEIR_RETRY_RESERVE;
	struct weir_words w = {.next = 0};
	char what[128] = "";
	size_t n = 0;

	if (p->attempts < 2)
		return;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (p->on & kinds[i].bit)
			n += weir_format(what + n, sizeof what - n, "%s%s", n ? ", " : "", kinds[i].text);
	weir_say(x,
		 "Retry: up to %" PRIu32 " attempts by libcurl (%s), %s at first and %s at most apart; %" PRIu32 ".%" PRIu32
		 " left in the budget.%s",
		 p->attempts, n ? what : "after nothing", weir_duration_word(&w, p->base_ns), weir_duration_word(&w, p->cap_ns),
		 left / 1000, left % 1000 / 100,
		 note_count(x, "retry", "host", p->attempts, WEIR_LIMIT_CONFIGURED,
			    weir_place_of(x, &x->rule, NULL, "retry.attempts"), 0));
}

static void say_wait(struct weir_explaining *x)
{
	struct weir_words w = {.next = 0};

	weir_say(x, "Wait: at most %s, or as long as the program's own time-out allows.%s",
		 weir_duration_word(&w, x->rule.wait_max_ns),
		 note_seconds(x, "wait", x->rule.wait_max_ns, WEIR_LIMIT_CONFIGURED, weir_place_of(x, &x->rule, NULL, "wait.max"),
			      0));
}

void weir_say_limits(struct weir_explaining *x)
{
	say_rate(x);
	say_further_rates(x);
	say_concurrency(x);
	say_queue(x);
	weir_say_meaning(x);
	weir_say_holders(x);
	say_quotas(x);
	say_hold(x);
	say_breaker(x);
	say_degraded(x);
	say_retry(x);
	say_wait(x);
	weir_say_seen(x);
}

const char *weir_fixed_limits(struct weir_explaining *x, const struct weir_rule *rule, const char *scope,
			      char out[WEIR_FIXED_LIMITS])
{
	const char *section = strcmp(scope, "total") == 0 ? "total" : NULL;
	struct weir_words w = {.next = 0};
	size_t n = 0;

	out[0] = '\0';
	if (rule->flags & WEIR_RULE_LIMITS_RATE && rule->rate.max) {
		n += weir_format(out + n, WEIR_FIXED_LIMITS - n, "at most %s", weir_rate_word(&w, rule->rate.max));
		note_rate(x, scope, rule->rate.max, WEIR_LIMIT_CONFIGURED, weir_place_of(x, rule, section, "rate.max"), 0);
	}
	for (size_t i = 0; i < WEIR_RATES - 1; i++) {
		if (!rule->fixed[i].rate)
			continue;
		n += weir_format(out + n, WEIR_FIXED_LIMITS - n, "%sat most %s", n ? ", " : "",
				 weir_rate_word(&w, rule->fixed[i].rate));
		note_rate(x, scope, rule->fixed[i].rate, WEIR_LIMIT_CONFIGURED, weir_place_of(x, rule, section, "rates"), 0);
	}
	if (rule->concurrency.mode != WEIR_CONCURRENCY_OFF && rule->concurrency.max) {
		n += weir_format(out + n, WEIR_FIXED_LIMITS - n, "%sat most %u in flight", n ? ", " : "", rule->concurrency.max);
		note_count(x, "concurrency", scope, rule->concurrency.max, WEIR_LIMIT_CONFIGURED,
			   weir_place_of(x, rule, section, "concurrency.max"), 0);
	}
	return n ? out : "no limit";
}

const char *weir_set_limits(struct weir_explaining *x, const struct weir_host_view *v, char out[WEIR_FIXED_LIMITS])
{
	struct weir_words w = {.next = 0};
	size_t n = 0;

	if (v->set_rate) {
		n += weir_format(out + n, WEIR_FIXED_LIMITS - n, "at most %s by the operator's word",
				 weir_rate_word(&w, v->set_rate));
		note_rate(x, "narrowed", v->set_rate, WEIR_LIMIT_OPERATOR, NULL, v->set_for_ns);
	} else if (v->limit) {
		n += weir_format(out + n, WEIR_FIXED_LIMITS - n, "at most %s", weir_rate_word(&w, v->limit));
	}
	if (v->set_concurrency) {
		weir_format(out + n, WEIR_FIXED_LIMITS - n, "%sat most %" PRIu32 " in flight by the operator's word",
			    n ? ", " : "", v->set_concurrency);
		note_count(x, "concurrency", "narrowed", v->set_concurrency, WEIR_LIMIT_OPERATOR, NULL, v->set_for_ns);
	} else if (v->concurrency != UINT32_MAX) {
		weir_format(out + n, WEIR_FIXED_LIMITS - n, "%sat most %" PRIu32 " in flight", n ? ", " : "", v->concurrency);
	}
	return out;
}

void weir_say_total(struct weir_explaining *x, const struct weir_rule *total)
{
	char limits[WEIR_FIXED_LIMITS];
	const char *text = weir_fixed_limits(x, total, "total", limits);

	if (text == limits)
		weir_say(x, "All hosts together: %s.%s", limits, x->tail);
}
