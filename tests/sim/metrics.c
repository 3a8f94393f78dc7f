/* SPDX-License-Identifier: MIT */
/* The metrics, from the record of a run. */
#include <math.h>

#include "record.h"

#define NS        1e9
#define STARTUP_S 30
#define CLUSTER_S 1  /* refusals that follow each other more slowly are looks upward, not the fall */
#define DROP_S    10 /* refusals so long after a fall of the rate are counted as its doing */

static double sum(const uint32_t *per_s, double from_s, double to_s)
{
	double total = 0;

	for (unsigned i = (unsigned)from_s; i < (unsigned)to_s && i < SIM_SECONDS; i++)
		total += per_s[i];
	return total;
}

/* Admissions that limit i grants between two times, the depth of a bucket included when it starts full. */
static double granted(const struct sim_record *r, const struct sim_scenario *s, const struct sim_server *server, unsigned i,
		      double from_s, double to_s)
{
	const struct sim_limit *l = &s->limit[i];
	double rate = l->rate, at = from_s, total;

	if (l->kind == SIM_NO_LIMIT)
		return INFINITY;
	if (l->kind == SIM_WINDOW)
		return l->limit * (to_s - from_s) / l->window_s;
	if (l->kind == SIM_LOG)
		return l->limit * ((to_s - from_s) / l->window_s + (from_s <= 0));
	total = from_s <= 0 ? l->burst : 0;
	if (l->swing > 0)
		return total + sim_server_granted(server, i, from_s, to_s);
	for (unsigned k = 0; i == 0 && k < SIM_CHANGES; k++) {
		double when = r->change_s[k];

		if (s->change[k].kind != SIM_SET_RATE || when >= to_s)
			continue;
		if (when > at) {
			total += rate * (when - at);
			at = when;
		}
		rate = s->change[k].value;
	}
	return total + rate * (to_s - at);
}

static double capacity(const struct sim_record *r, const struct sim_scenario *s, const struct sim_server *server, double from_s,
		       double to_s)
{
	double least = INFINITY;

	for (unsigned i = 0; i < SIM_LIMITS; i++)
		least = fmin(least, granted(r, s, server, i, from_s, to_s));
	return least;
}

static double utilisation(const struct sim_record *r, const struct sim_scenario *s, const struct sim_server *server)
{
	double from = (double)r->from_ns / NS, to = (double)r->end_ns / NS;
	double good = 0;

	/* Whole seconds, as the record has them; a window's remainder of a second is nothing beside its length. */
	good = sum(r->accepted, from, to);
	return good / capacity(r, s, server, floor(from), floor(to));
}

/* Of clients that have a share each: what these allow, or the host does. */
static double total_off(const struct sim_record *r, const struct sim_scenario *s, const struct sim_server *server)
{
	double most = s->per_client > 0 ? s->per_client * r->processes / s->limit[0].rate : 1;

	return fabs(utilisation(r, s, server) / fmin(1, most) - 1);
}

static double throttled(const struct sim_record *r, double from)
{
	double to = (double)r->end_ns / NS + 1;
	double bad = sum(r->throttled, from, to), all = bad + sum(r->accepted, from, to);

	return all > 0 ? bad / all : 0;
}

/* Seconds from `from_s` until the first second in which (over three seconds from there on) 90 % of the capacity is used. */
static double reaches(const struct sim_record *r, const struct sim_scenario *s, const struct sim_server *server, double from_s,
		      double to_s)
{
	for (double t = ceil(from_s); t + 3 <= to_s; t++)
		if (sum(r->accepted, t, t + 3) >= 0.9 * (capacity(r, s, server, t, t + 3) - (t <= 0 ? s->limit[0].burst : 0)))
			return t - from_s;
	return to_s - from_s;
}

static double fall_s(const struct sim_record *r, const struct sim_scenario *s, bool rise)
{
	double rate = s->limit[0].rate;

	for (unsigned k = 0; k < SIM_CHANGES; k++) {
		if (s->change[k].kind != SIM_SET_RATE)
			continue;
		if ((s->change[k].value > rate) == rise)
			return r->change_s[k];
		rate = s->change[k].value;
	}
	return -1;
}

static double after_fall(const struct sim_record *r, const struct sim_scenario *s, bool seconds)
{
	double at = fall_s(r, s, false), last = at, count = 0;

	for (unsigned i = 0; i < r->refusals; i++) {
		double t = (double)r->refusal_ns[i] / NS;

		if (t < at || t > at + DROP_S)
			continue;
		count++;
		if (t - last < CLUSTER_S)
			last = t;
	}
	return seconds ? last - at : count;
}

static double window_rejects(const struct sim_record *r, const struct sim_scenario *s)
{
	double from = (double)r->from_ns / NS, to = (double)r->end_ns / NS;

	return sum(r->throttled, from, to) / fmax(1, (to - from) / s->limit[0].window_s);
}

static double quantile_ns(const struct sim_record *r, double q)
{
	double all = 0, below = 0;

	for (unsigned i = 0; i < SIM_LATENCY_STEPS; i++)
		all += r->latency[i];
	for (unsigned i = 0; i < SIM_LATENCY_STEPS; i++) {
		below += r->latency[i];
		if (below >= q * all)
			return 1000 * pow(1.01, i + 0.5);
	}
	return 0;
}

static double jain(const struct sim_record *r)
{
	double total = 0, squares = 0, n = 0;

	for (unsigned i = 0; i < SIM_WORKERS; i++) {
		double x = (double)r->worker_accepted[i];

		total += x;
		squares += x * x;
		n += x > 0;
	}
	return squares > 0 ? total * total / (n * squares) : 0;
}

static double polite(const struct sim_record *r, const struct sim_scenario *s, const struct sim_server *server)
{
	double least = INFINITY;

	for (unsigned i = 0; i < r->polite; i++)
		least = fmin(least, (double)r->worker_accepted[i]);
	return least * r->workers / capacity(r, s, server, (double)r->from_ns / NS, (double)r->end_ns / NS);
}

static double silence_s(const struct sim_record *r)
{
	unsigned longest = 0, now = 0, end = (unsigned)((double)r->end_ns / NS);

	for (unsigned i = 0; i < end && i < SIM_SECONDS; i++) {
		now = r->sent[i] == 0 ? now + 1 : 0;
		longest = now > longest ? now : longest;
	}
	return longest;
}

/* Good answers that the slots can give in a second. */
static double slots_per_s(const struct sim_scenario *s, double slowdown)
{
	return s->slots.count / (s->slots.service_ms * slowdown / 1000);
}

static bool is_trouble(const struct sim_change *c)
{
	return c->kind == SIM_SET_SLOWDOWN || c->kind == SIM_SET_ERRORS;
}

/* The share of the capacity that was used: during the trouble where there is one, else in the measured span. */
/* What fixed permits, as many as the slots are, reach where a request too many is refused: a permit is busy on the way, too. */
static double permits_per_s(const struct sim_scenario *s)
{
	return s->slots.count / (((s->rtt_ms > 0 ? s->rtt_ms : 45) + s->slots.service_ms) / 1000);
}

static double goodput(const struct sim_record *r, const struct sim_scenario *s)
{
	double from = (double)r->from_ns / NS, to = (double)r->end_ns / NS, slowdown = 1, end = 0;

	if (s->slots.count == 0)
		return 0;
	for (unsigned k = 0; k < SIM_CHANGES; k++) {
		if (!is_trouble(&s->change[k]))
			continue;
		if (s->change[k].kind == SIM_SET_SLOWDOWN && s->change[k].value > slowdown)
			slowdown = s->change[k].value;
		if (end <= 0)
			from = r->change_s[k];
		end = r->change_s[k];
	}
	to = end > 0 ? end : to;
	if (s->slots.refuses)
		return sum(r->accepted, from, to) /
		       ((s->limit[0].rate > 0 ? fmin(permits_per_s(s), s->limit[0].rate) : permits_per_s(s)) *
			(floor(to) - floor(from)));
	return sum(r->accepted, from, to) / (slots_per_s(s, slowdown) * (floor(to) - floor(from)));
}

/* Outage: as recorded. Slow-down or errors: until two seconds with 95 % of the capacity. */
static double recovery(const struct sim_record *r, const struct sim_scenario *s)
{
	double end = 0, to = (double)r->end_ns / NS;

	if (r->trouble_over_ns != 0)
		return r->recovery_s >= 0 ? r->recovery_s : to - (double)r->trouble_over_ns / NS;
	for (unsigned k = 0; k < SIM_CHANGES; k++)
		if (is_trouble(&s->change[k]))
			end = r->change_s[k];
	for (double t = ceil(end); end > 0 && t + 2 <= to; t++)
		if (sum(r->accepted, t, t + 2) >= .95 * 2 * slots_per_s(s, 1))
			return t - end;
	return to - end;
}

/* In flight in the last third of the run, beside the second third. */
static double drift(const struct sim_record *r)
{
	unsigned third = (unsigned)((double)r->end_ns / NS) / 3;
	double second = 0, last = 0;

	for (unsigned i = 0; i < third; i++) {
		second += (double)r->in_flight[third + i];
		last += (double)r->in_flight[2 * third + i];
	}
	return second > 0 ? last / second : 1;
}

/* Good answers per second of clients whom nobody holds back. */
static double bare_per_s(const struct sim_record *r, const struct sim_scenario *s)
{
	double ms = (s->rtt_ms > 0 ? s->rtt_ms : 45) + s->slots.service_ms + (s->think_ms > 0 ? s->think_ms : .2), good = 1;

	for (unsigned i = 0; i < SIM_NOISES; i++)
		good *= 1 - (s->noise[i].every != 0 ? (double)s->noise[i].run / s->noise[i].every : s->noise[i].share);
	return r->workers / ms * 1000 * good;
}

static double of_bare(const struct sim_record *r, const struct sim_scenario *s)
{
	double from = (double)r->from_ns / NS, to = (double)r->end_ns / NS;

	return sum(r->accepted, from, to) / (bare_per_s(r, s) * (floor(to) - floor(from)));
}

/* 1 where there is none. */
static double half_outage_s(const struct sim_record *r, const struct sim_scenario *s)
{
	return s->change[0].kind == SIM_SET_OUTAGE ? (r->change_s[1] - r->change_s[0]) / 2 : 1;
}

double sim_metric_of(const struct sim_record *r, const struct sim_scenario *s, const struct sim_server *server,
		     enum sim_metric metric)
{
	double to = (double)r->end_ns / NS, rise = fall_s(r, s, true);

	switch (metric) {
	case SIM_UTILISATION:
		return utilisation(r, s, server);
	case SIM_THROTTLED:
		return throttled(r, fmax((double)r->from_ns / NS, STARTUP_S));
	case SIM_STARTUP_THROTTLED:
		return sum(r->throttled, 0, STARTUP_S);
	case SIM_REACHES_90_S:
		return reaches(r, s, server, 0, to);
	case SIM_WINDOW_REJECTS:
		return window_rejects(r, s);
	case SIM_DROP_THROTTLED:
		return after_fall(r, s, false);
	case SIM_DROP_S:
		return after_fall(r, s, true);
	case SIM_RISE_S:
		return rise < 0 ? 0 : reaches(r, s, server, rise, to);
	case SIM_INSIDE_HOLD:
		return (double)r->inside_hold;
	case SIM_RESUMES_LATE:
		return r->held_s > 0 ? r->late_s / r->held_s : 0;
	case SIM_P99_RATIO:
		/* Unloaded: the network's share plus the 99th percentile of the exponential service time. */
		return quantile_ns(r, .99) / 1e6 / ((s->rtt_ms > 0 ? s->rtt_ms : 45) + s->slots.service_ms * log(100));
	case SIM_JAIN:
		return jain(r);
	case SIM_LEAKED:
		return (double)r->leaked;
	case SIM_DEAD_REQUESTS:
		return (double)r->dead_requests;
	case SIM_RECOVERY_S:
		return recovery(r, s);
	case SIM_GOODPUT:
		return goodput(r, s);
	case SIM_DRIFT:
		return drift(r);
	case SIM_SILENCE_S:
		return silence_s(r);
	case SIM_POLITE:
		return polite(r, s, server);
	case SIM_FALSE_TRIPS:
	case SIM_HELD_OFF:
		return sum(r->refused, 0, to + 1);
	case SIM_REFUSED_60:
		return throttled(r, fmax((double)r->from_ns / NS, 60));
	case SIM_SAID_NO:
		return sum(r->throttled, 0, to + 1);
	case SIM_OF_BARE:
		return of_bare(r, s);
	case SIM_TRIPS:
		return (double)r->trips;
	case SIM_PACED:
		return r->paced;
	case SIM_BANS:
		return (double)server->bans;
	case SIM_P99_MS:
		return quantile_ns(r, .99) / 1e6;
	case SIM_HELD:
		return (double)r->held;
	case SIM_LOST:
		return (double)r->items_lost;
	case SIM_LOST_EARLY:
		return (double)r->lost_early;
	case SIM_COST:
		return (double)r->dead_requests * recovery(r, s) / half_outage_s(r, s);
	case SIM_FAILED_SHARE:
		return r->requests > 0 ? (double)r->requests_lost / (double)r->requests : 1;
	case SIM_ATTEMPTS:
		return r->requests > 0 ? ((double)r->attempts - 6 * (double)r->end_ns / (60 * NS)) / (double)r->requests : 0;
	case SIM_HALF_OUTAGE_S:
		return half_outage_s(r, s);
	case SIM_TOTAL_OFF:
		return total_off(r, s, server);
	default:
		return sim_metric_shared(r, s, metric);
	}
}

const char *sim_metric_name(enum sim_metric m)
{
	static const char *const name[SIM_METRICS] = {
		[SIM_UTILISATION] = "utilisation",
		[SIM_THROTTLED] = "throttled",
		[SIM_STARTUP_THROTTLED] = "429s in the first 30 s",
		[SIM_REACHES_90_S] = "s to 90 %",
		[SIM_WINDOW_REJECTS] = "429s a window",
		[SIM_DROP_THROTTLED] = "429s after the fall",
		[SIM_DROP_S] = "s until they pause for 1 s",
		[SIM_RISE_S] = "s to 90 % after the rise",
		[SIM_INSIDE_HOLD] = "sent inside a hold",
		[SIM_RESUMES_LATE] = "resumed late",
		[SIM_GOODPUT] = "goodput",
		[SIM_P99_RATIO] = "p99 / unloaded",
		[SIM_DRIFT] = "drift",
		[SIM_RECOVERY_S] = "s to recover",
		[SIM_DEAD_REQUESTS] = "requests to the dead host once a failure was known",
		[SIM_JAIN] = "Jain",
		[SIM_LEAKED] = "permits leaked",
		[SIM_FALSE_TRIPS] = "false trips",
		[SIM_SILENCE_S] = "longest silence, s",
		[SIM_POLITE] = "share of the least served who waits",
		[SIM_REFUSED_60] = "refused after 60 s",
		[SIM_SAID_NO] = "refusals",
		[SIM_OF_BARE] = "of bare",
		[SIM_TRIPS] = "trips",
		[SIM_HELD_OFF] = "refused by the controller",
		[SIM_PACED] = "limited in rate at the end",
		[SIM_BANS] = "bans",
		[SIM_P99_MS] = "p99, ms",
		[SIM_HELD] = "kept in vain for more than 0.1 s",
		[SIM_LOST] = "items lost",
		[SIM_LOST_EARLY] = "items lost in the first 30 s of the outage",
		[SIM_FAILED_SHARE] = "requests failed",
		[SIM_ATTEMPTS] = "attempts / requests",
		[SIM_TOTAL_OFF] = "total off the rate",
		[SIM_SHARES_OFF] = "shares off the guarantees",
		[SIM_JAIN_CLASS] = "Jain within a class",
		[SIM_LAST_UNITS] = "units until the high one went",
		[SIM_CLIENTS_OFF] = "clients off their shares",
		[SIM_QUOTA_BEYOND] = "sent beyond the quota",
		[SIM_QUOTA_USED] = "of the quotas used",
		[SIM_DEATHS] = "deaths",
		[SIM_COST] = "requests x recovery / half the outage",
	};

	return m < SIM_METRICS && name[m] ? name[m] : "?";
}
