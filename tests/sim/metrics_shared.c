/* SPDX-License-Identifier: MIT */
/* The metrics of what several share: classes, clients, quotas. */
#include <math.h>

#include "departures.h"
#include "record.h"

static unsigned class_of(const struct sim_record *r, const struct sim_scenario *s, unsigned worker)
{
	return sim_class_of(s, r->process_of[worker], r->processes);
}

/* By how much of its guarantee a class is off it, at most: each has as many loops as it can use. */
static double shares_off(const struct sim_record *r, const struct sim_scenario *s)
{
	static const double guarantee[WEIR_CLASSES] = {
		[WEIR_CLASS_HIGH] = 1 - SIM_SHARE_NORMAL - SIM_SHARE_LOW,
		[WEIR_CLASS_NORMAL] = SIM_SHARE_NORMAL,
		[WEIR_CLASS_LOW] = SIM_SHARE_LOW,
	};
	double got[WEIR_CLASSES] = {0}, all = 0, off = 0;

	for (unsigned i = 0; i < r->workers; i++) {
		got[class_of(r, s, i)] += (double)r->worker_accepted[i];
		all += (double)r->worker_accepted[i];
	}
	for (unsigned c = 0; c < WEIR_CLASSES && all > 0; c++)
		off = fmax(off, fabs(got[c] / all / guarantee[c] - 1));
	return all > 0 ? off : 1;
}

/* The least of the classes' indices; who got nothing counts. */
static double jain_class(const struct sim_record *r, const struct sim_scenario *s)
{
	double total[WEIR_CLASSES] = {0}, squares[WEIR_CLASSES] = {0}, n[WEIR_CLASSES] = {0}, least = 1;

	for (unsigned i = 0; i < r->workers; i++) {
		double x = (double)r->worker_accepted[i];
		unsigned c = class_of(r, s, i);

		total[c] += x;
		squares[c] += x * x;
		n[c]++;
	}
	for (unsigned c = 0; c < WEIR_CLASSES; c++)
		if (n[c] > 0)
			least = fmin(least, squares[c] > 0 ? total[c] * total[c] / (n[c] * squares[c]) : 0);
	return least;
}

/* What each loop has of `rate`, where a client has `most` at most: what those have less who could have more is the others'. */
static double share_of_a_loop(const double loops[SIM_WORKERS], unsigned clients, double rate, double most)
{
	double level = 0;

	for (unsigned round = 0; round <= clients; round++) {
		double left = rate, sharing = 0;

		for (unsigned p = 0; p < clients; p++) {
			left -= loops[p] * level >= most ? most : 0;
			sharing += loops[p] * level >= most ? 0 : loops[p];
		}
		level = sharing > 0 ? left / sharing : level;
	}
	return level;
}

/* By how much of what is its own a client is off it, at most. */
static double clients_off(const struct sim_record *r, const struct sim_scenario *s)
{
	double span = floor((double)r->end_ns / 1e9) - floor((double)r->from_ns / 1e9), off = 0, level;
	double got[SIM_WORKERS] = {0}, loops[SIM_WORKERS] = {0};

	for (unsigned i = 0; i < r->workers; i++) {
		got[r->process_of[i]] += (double)r->worker_accepted[i];
		loops[r->process_of[i]]++;
	}
	level = share_of_a_loop(loops, r->processes, s->limit[0].rate, s->per_client);
	for (unsigned p = 0; p < r->processes && s->per_client > 0; p++)
		off = fmax(off, fabs(got[p] / (span * fmin(s->per_client, level * loops[p])) - 1));
	return off;
}

static double quota(const struct sim_record *r, const struct sim_scenario *s, bool beyond)
{
	double too_many = 0, used = 0, granted = 0;

	for (unsigned k = 0; k < SIM_DAYS && s->quota.midnight_s[k] != 0; k++) {
		used += (double)r->sent_in[k];
		granted += s->quota.limit;
		too_many += fmax(0, (double)r->sent_in[k] - s->quota.limit);
	}
	return beyond ? too_many : granted > 0 ? used / granted : 0;
}

double sim_metric_shared(const struct sim_record *r, const struct sim_scenario *s, enum sim_metric metric)
{
	switch (metric) {
	case SIM_SHARES_OFF:
		return shares_off(r, s);
	case SIM_JAIN_CLASS:
		return jain_class(r, s);
	case SIM_LAST_UNITS:
		return r->last_waited_s < 0 ? INFINITY : r->last_waited_s * s->limit[0].rate;
	case SIM_CLIENTS_OFF:
		return clients_off(r, s);
	case SIM_QUOTA_BEYOND:
		return quota(r, s, true);
	case SIM_QUOTA_USED:
		return quota(r, s, false);
	case SIM_DEATHS:
		return (double)r->deaths;
	default:
		return 0;
	}
}
