/* SPDX-License-Identifier: MIT */
#include "src/policy/compilation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/policy/allowance.h"
#include "src/policy/field.h"

/* When half of the calls take that long, the host is slow, and not one page of it. */
#define SLOW_RATE_PERMILLE 500

/* low must not be above high. An optional value of 0 is none and is above nothing. */
static const struct order {
	enum weir_field_id low, high;
	bool optional;
	bool start; /* high is where something starts, and no limit */
} orders[] = {
	{WEIR_FIELD_RATE_MIN, WEIR_FIELD_RATE_MAX, true, false},
	{WEIR_FIELD_RATE_MIN, WEIR_FIELD_RATE_INITIAL, true, true},
	{WEIR_FIELD_RATE_INITIAL, WEIR_FIELD_RATE_MAX, true, false},
	{WEIR_FIELD_CONCURRENCY_MIN, WEIR_FIELD_CONCURRENCY_MAX, true, false},
	{WEIR_FIELD_CONCURRENCY_MIN, WEIR_FIELD_CONCURRENCY_INITIAL, true, true},
	{WEIR_FIELD_CONCURRENCY_INITIAL, WEIR_FIELD_CONCURRENCY_MAX, true, false},
	{WEIR_FIELD_OPEN_TIME, WEIR_FIELD_OPEN_TIME_MAX, false, false},
	{WEIR_FIELD_RETRY_BASE, WEIR_FIELD_RETRY_CAP, false, false},
};

static bool said(const struct weir_draft *d, enum weir_field_id id)
{
	return d->said >> id & 1;
}

static void report(struct weir_compilation *c, struct weir_draft *d, enum weir_field_id id, const char *what)
{
	char key[sizeof d->path + 40];

	snprintf(key, sizeof key, "%s.%s", d->path, weir_field_table[id].name);
	weir_finding_add(c, d->from[id], key, "%s", what);
}

/* Nobody has said it, but its profile. */
static bool is_of_profile(const struct weir_draft *d, enum weir_field_id id)
{
	return !said(d, id) && d->from[id].document == d->profile_at.document && d->from[id].line == d->profile_at.line;
}

static void report_order(struct weir_compilation *c, struct weir_draft *d, const struct order *o)
{
	char *low = weir_field_print(&d->rule, o->low), *high = weir_field_print(&d->rule, o->high);
	const struct weir_place *from = &d->from[o->high];
	char what[WEIR_SOURCE_PATH_MAX + 200], place[WEIR_SOURCE_PATH_MAX + 32] = "built in";

	if (from->document > 0)
		snprintf(place, sizeof place, "%s%s:%u", is_of_profile(d, o->high) ? "of the profile, " : "",
			 c->document[from->document - 1].path, from->line);
	snprintf(what, sizeof what, "expected at most %s, which is %s (%s), got %s", weir_field_table[o->high].name,
		 high ? high : "?", place, low ? low : "?");
	report(c, d, o->low, what);
	free(low);
	free(high);
}

static void check_order(struct weir_compilation *c, struct weir_draft *d, const struct order *o)
{
	uint64_t low = weir_field_get(&d->rule, o->low), high = weir_field_get(&d->rule, o->high);

	if (low <= high || (o->optional && high == 0))
		return;
	/* What is said here wins over what was inherited: "at most 4" brings an inherited "at first 8" down with it. But nothing
	 * that is said raises an inherited limit: somebody has set it. */
	if (said(d, o->high) && !said(d, o->low)) {
		weir_field_put(&d->rule, o->low, high);
		d->from[o->low] = d->from[o->high];
	} else if (said(d, o->low) && !said(d, o->high) && o->start) {
		weir_field_put(&d->rule, o->high, low);
		d->from[o->high] = d->from[o->low];
	} else if (said(d, o->low)) {
		report_order(c, d, o);
	}
}

/* A word that makes no sense without another key. Where it was inherited, its source has been reported already. */
static void check_need(struct weir_compilation *c, struct weir_draft *d, enum weir_field_id word, enum weir_field_id needed,
		       const char *what)
{
	if (weir_field_get(&d->rule, needed) != 0)
		return;
	if (said(d, word))
		report(c, d, word, what);
	else if (said(d, needed))
		report(c, d, needed, what);
}

static void check_strategy(struct weir_compilation *c, struct weir_draft *d)
{
	if (!weir_field_get(&d->rule, WEIR_FIELD_RATE))
		return;
	switch (d->rule.rate.strategy) {
	case WEIR_FIXED:
		/* total is fixed without a word, and without a rate it says nothing. */
		if ((d == &c->total || weir_narrow_is_beside(d)) && !said(d, WEIR_FIELD_STRATEGY))
			check_need(c, d, WEIR_FIELD_RATE, WEIR_FIELD_RATE_MAX, "no rate is given: rate.max is missing");
		else
			check_need(c, d, WEIR_FIELD_STRATEGY, WEIR_FIELD_RATE_MAX, "\"fixed\" needs rate.max, the rate itself");
		break;
	case WEIR_AGGRESSIVE:
		check_need(c, d, WEIR_FIELD_STRATEGY, WEIR_FIELD_RATE_MAX, "\"aggressive\" needs rate.max, where it begins");
		break;
	case WEIR_CONSERVATIVE:
		check_need(c, d, WEIR_FIELD_STRATEGY, WEIR_FIELD_RATE_INITIAL,
			   "\"conservative\" needs rate.initial, where it begins");
		break;
	}
}

static void check_fixed(struct weir_compilation *c, struct weir_draft *d)
{
	bool total = d == &c->total;

	if (d->rule.rate.strategy != WEIR_FIXED)
		report(c, d, WEIR_FIELD_STRATEGY,
		       total ? "expected \"fixed\": there is no one host to learn from"
			     : "expected \"fixed\": what is learned is the host's own, unless the rule says apart = true");
	if (d->rule.concurrency.mode == WEIR_CONCURRENCY_ADAPTIVE)
		report(c, d, WEIR_FIELD_MODE,
		       total ? "expected \"fixed\" or \"off\": there is no one host to learn from"
			     : "expected \"fixed\" or \"off\": what is learned is the host's own, unless the rule says apart = "
			       "true");
}

/* What is guaranteed below must be there. What is said here wins over what was inherited. */
static void check_shares(struct weir_compilation *c, struct weir_draft *d)
{
	struct weir_shares *shares = &d->rule.queue.shares;

	if (shares->normal + shares->low <= 1000)
		return;
	if (said(d, WEIR_FIELD_SHARE_NORMAL) && !said(d, WEIR_FIELD_SHARE_LOW))
		shares->low = 1000 - shares->normal;
	else if (said(d, WEIR_FIELD_SHARE_LOW) && !said(d, WEIR_FIELD_SHARE_NORMAL))
		shares->normal = 1000 - shares->low;
	else if (said(d, WEIR_FIELD_SHARE_LOW))
		report(c, d, WEIR_FIELD_SHARE_LOW, "expected at most 1 together with share.normal");
}

/* Who says what is slow means that it matters: half of the calls, unless somebody has said a share. Who says that nothing is slow
 * takes back the share that was inherited. */
static void check_slow(struct weir_draft *d)
{
	bool nothing = d->rule.breaker.slow_call_ns == 0;

	if (!said(d, WEIR_FIELD_SLOW_CALL) || said(d, WEIR_FIELD_SLOW_RATE) ||
	    (!nothing && d->from[WEIR_FIELD_SLOW_RATE].document != 0))
		return;
	d->rule.breaker.slow_rate_permille = nothing ? 0 : SLOW_RATE_PERMILLE;
	d->from[WEIR_FIELD_SLOW_RATE] = d->from[WEIR_FIELD_SLOW_CALL];
}

/* A window of fewer calls than the shares ask for never says anything. */
static void check_window(struct weir_compilation *c, struct weir_draft *d)
{
	struct weir_breaker_params *p = &d->rule.breaker;
	char what[80];

	if (p->window_calls == 0 || p->min_calls <= p->window_calls)
		return;
	if (!said(d, WEIR_FIELD_MIN_CALLS)) {
		p->min_calls = p->window_calls;
		d->from[WEIR_FIELD_MIN_CALLS] = d->from[WEIR_FIELD_WINDOW];
		return;
	}
	snprintf(what, sizeof what, "expected at most %u, the calls of breaker.window, got %u", p->window_calls, p->min_calls);
	report(c, d, WEIR_FIELD_MIN_CALLS, what);
}

/* What is given up, and when: what a request has to look at is noted once, here. */
static void check_degrade(struct weir_compilation *c, struct weir_draft *d)
{
	struct weir_degrade_params *p = &d->rule.degrade;
	bool watches = p->queue != 0 || p->latency_ns != 0 || p->error_permille != 0 || p->quota_permille != 0;
	bool sheds = d->rule.breaker.mode == WEIR_BREAKER_SHEDS;

	p->watch = (watches ? WEIR_DEGRADE_WATCHES : 0U) | (sheds ? WEIR_DEGRADE_SHEDS : 0U);
	if (!watches && d != &c->defaults && (said(d, WEIR_FIELD_DEGRADE_STEP) || said(d, WEIR_FIELD_DEGRADE_RECOVERY)) &&
	    !said(d, WEIR_FIELD_DEGRADE_QUEUE))
		report(c, d, said(d, WEIR_FIELD_DEGRADE_STEP) ? WEIR_FIELD_DEGRADE_STEP : WEIR_FIELD_DEGRADE_RECOVERY,
		       "needs a threshold: degrade.queue, degrade.latency, degrade.error_rate or degrade.quota_left");
	if (!sheds || d->rule.breaker.window_calls == 0)
		return;
	if (said(d, WEIR_FIELD_BREAKER_MODE))
		report(c, d, WEIR_FIELD_BREAKER_MODE, "\"shed\" counts over time: breaker.window must be a duration");
	else if (said(d, WEIR_FIELD_WINDOW))
		report(c, d, WEIR_FIELD_WINDOW, "expected a duration, as breaker.mode is \"shed\", which counts over time");
}

void weir_check_draft(struct weir_compilation *c, struct weir_draft *d)
{
	for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
		check_order(c, d, &orders[i]);
	check_strategy(c, d);
	check_window(c, d);
	check_slow(d);
	if (d->rule.concurrency.mode == WEIR_CONCURRENCY_FIXED)
		check_need(c, d, WEIR_FIELD_MODE, WEIR_FIELD_CONCURRENCY_MAX,
			   "\"fixed\" needs concurrency.max, the limit itself");
	if (d->rule.breaker.slow_rate_permille > 0)
		check_need(c, d, WEIR_FIELD_SLOW_RATE, WEIR_FIELD_SLOW_CALL,
			   "needs breaker.slow_call: how long a call takes that is slow");
	check_shares(c, d);
	check_degrade(c, d);
	if (d == &c->total || weir_narrow_is_beside(d))
		check_fixed(c, d);
}

/* Whether two rules ask the same of their hosts. */
static bool agree(const struct weir_rule *a, const struct weir_rule *b)
{
	for (unsigned id = 0; id < WEIR_FIELDS; id++) {
		if (id != WEIR_FIELD_THROTTLE_STATUS && id != WEIR_FIELD_RATES && id != WEIR_FIELD_ALLOWANCES &&
		    weir_field_get(a, (enum weir_field_id)id) != weir_field_get(b, (enum weir_field_id)id))
			return false;
	}
	return weir_allowances_agree(&a->allowances, &b->allowances) && a->throttle_codes == b->throttle_codes &&
	       memcmp(a->throttle_code, b->throttle_code, sizeof a->throttle_code) == 0 &&
	       memcmp(a->fixed, b->fixed, sizeof a->fixed) == 0;
}

void weir_check_groups(struct weir_compilation *c)
{
	for (size_t i = 1; i < c->hosts; i++) {
		const struct weir_draft *d = &c->host[i];

		for (size_t k = 0; d->rule.group[0] != '\0' && !weir_narrow_is(d) && k < i; k++) {
			const struct weir_draft *other = &c->host[k];

			if (strcmp(other->rule.group, d->rule.group) != 0 || agree(&other->rule, &d->rule))
				continue;
			/* They share one state, which can have one set of limits. */
			weir_finding_add(c, d->group_at, d->path,
					 "group \"%s\" has other limits for \"%s\" (%s:%u): rules of one group must say the same",
					 d->rule.group, other->rule.match, c->document[other->at.document - 1].path,
					 other->at.line);
			break;
		}
	}
}
