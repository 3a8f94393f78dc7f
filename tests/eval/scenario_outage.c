/* SPDX-License-Identifier: MIT */
/*
 * A server that goes away under a steady offer of requests, and comes back; some of those who look whether it has are killed
 * while they look.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case.h"
#include "crowd.h"
#include "src/segment/lease_word.h"
#include "tests/integration/host_counts.h"

#define OUTAGES       6
#define OFFERED_PER_S 50.0
#define CHECK_PER_S   15.0 /* a sanitizer's library starts more slowly */
#define CURL_MOST_S   "1"
#define WARM_S        3.0
#define KILLED        0.2

/* Between two outages: longer than what the breaker remembers of the one before. */
#define HEALTHY_S 14.0

/* A probe of a port that refuses is over before anybody could see it: there a fifth of all clients is killed, at a moment that
 * is as likely before the probe as in it. */
#define BLIND_KILL_S 0.010

#define GIVE_UP_S 120.0

/* Outages that are long enough to count what is sent into them. */
#define COUNTABLE_S 60.0

struct outage_case {
	const char *kind;
	bool server_counts; /* the server sees who comes; else weir's count of admitted requests stands for it */
};

struct outages {
	struct trial *trial;
	const struct outage_case *kind;
	struct quotad *server;
	char host_port[64];
	char url[64];
	struct crowd crowd;
	struct weir_segment segment;
	unsigned random;
	double per_s, next_s;
	uint32_t probe_seen; /* pid of the last prober that was looked at */
	unsigned probers_killed, clients_killed;
};

static bool drawn(struct outages *o, double share)
{
	return rand_r(&o->random) < share * RAND_MAX;
}

/* The pid of the client whose request is the breaker's probe, 0 = none. */
static uint32_t prober(struct weir_segment *s)
{
	for (uint64_t i = 0; i < s->leases && i < atomic_load(&s->header->lease_top); i++) {
		uint64_t word = atomic_load(&s->lease[i].word);

		if (lease_word_state(word) == WEIR_LEASE_IN_FLIGHT && atomic_load(&s->lease[i].breaker_probe) != 0)
			return lease_word_pid(word);
	}
	return 0;
}

static void kill_a_prober(struct outages *o)
{
	uint32_t pid = prober(&o->segment);

	if (pid == 0 || pid == o->probe_seen)
		return;
	o->probe_seen = pid;
	if (!drawn(o, KILLED))
		return;
	for (unsigned i = 0; i < o->crowd.count; i++) {
		if ((uint32_t)o->crowd.member[i].pid == pid) {
			o->crowd.member[i].kill_at_s = monotonic_s();
			o->probers_killed++;
		}
	}
}

/* Requests at the offered rate until `until_s`; `down` while the server is away, or nobody knows that it is back. */
static void offer(struct outages *o, double until_s, bool down)
{
	for (double now_s = monotonic_s(); now_s < until_s && !trial_interrupted();) {
		int i = crowd_idle(&o->crowd, now_s);

		if (now_s >= o->next_s) {
			o->next_s =
				fmax(o->next_s + 1 / o->per_s, now_s - 0.1); /* what a busy machine missed is not made up for */
			if (i >= 0) {
				crowd_curl(&o->crowd, (unsigned)i, o->url, CURL_MOST_S);
				if (down && !o->kind->server_counts && strcmp(o->kind->kind, "refuse") == 0 && drawn(o, KILLED)) {
					o->crowd.member[i].kill_at_s = now_s + BLIND_KILL_S * (rand_r(&o->random) % 1000) / 1000;
					o->clients_killed++;
				}
			}
			continue;
		}
		now_s = crowd_wait(&o->crowd, fmin(until_s, o->next_s));
		if (down)
			kill_a_prober(o);
	}
}

/* Requests that reached the dead server, or as many as weir let go there. */
static double reached(struct outages *o)
{
	if (o->kind->server_counts)
		return (double)quotad_count(o->server).outage_connections;
	return (double)counts_of(o->trial->scene, o->host_port).admitted;
}

struct course {
	double reached;       /* in all */
	double after_failure; /* without those that were under way when the first failure came back */
	double recovery_s;    /* from the server's return to the first request that it got */
};

static struct course one_outage(struct outages *o, double seconds)
{
	double begun_s, reached_before, reached_at_failure = -1, back_s;
	struct course c = {.recovery_s = GIVE_UP_S};

	reached_before = reached(o);
	o->crowd.first_failure_s = 0;
	quotad_outage(o->server, o->kind->kind, 0);
	begun_s = monotonic_s();
	while (monotonic_s() < begun_s + seconds && !trial_interrupted()) {
		bool known = o->crowd.first_failure_s > 0;

		/* In small steps until the first failure, so that it is seen when it comes. */
		offer(o, fmin(begun_s + seconds, monotonic_s() + (known ? 1 : 0.01)), true);
		if (reached_at_failure < 0 && o->crowd.first_failure_s > 0)
			reached_at_failure = reached(o);
	}
	c.reached = reached(o) - reached_before;
	c.after_failure = reached_at_failure < 0 ? 0 : c.reached - (reached_at_failure - reached_before);
	quotad_outage(o->server, "none", 0);
	quotad_mark(o->server);
	back_s = monotonic_s();
	while (monotonic_s() < back_s + GIVE_UP_S && !trial_interrupted()) {
		struct quotad_count count = quotad_count_since_mark(o->server);

		if (count.accepted > 0) {
			c.recovery_s = fmax(0, count.first_s - back_s);
			break;
		}
		offer(o, monotonic_s() + 0.1, true);
	}
	return c;
}

/* Evenly from 120 to 480 s in the full form. */
static double seconds_of(const struct trial *t, unsigned i, unsigned outages)
{
	return t->form == FORM_FULL && t->minutes <= 0 ? 120 + 360.0 * i / (outages - 1) : trial_seconds(t, 0, 20, 10);
}

static void report(struct outages *o, const struct course *c, unsigned outages)
{
	struct trial *t = o->trial;
	double mean_reached = 0, most_reached = 0, mean_after = 0, mean_s = 0, worst_s = 0, mean_outage_s;

	for (unsigned i = 0; i < outages; i++) {
		mean_reached += c[i].reached / outages;
		most_reached = fmax(most_reached, c[i].reached);
		mean_after += c[i].after_failure / outages;
		mean_s += c[i].recovery_s / outages;
		worst_s = fmax(worst_s, c[i].recovery_s);
	}
	/* Whatever the distance between two probes: so many requests times so long a recovery is half of the outage, and with a
	 * fifth of the probers killed a quarter more (docs/control.md). A few seconds hold too few probes for that. */
	mean_outage_s = (seconds_of(t, 0, outages) + seconds_of(t, outages - 1, outages)) / 2;
	trial_figure(t, "requests x recovery / half the outage, of the means", UNIT_RATIO,
		     mean_after * mean_s / (mean_outage_s / 2), mean_outage_s >= COUNTABLE_S ? '<' : 0, 1.25);
	trial_tell(t, "requests to the dead server once a failure was known, mean", UNIT_COUNT, mean_after);
	trial_tell(t, "the same with those that were under way by then", UNIT_COUNT, mean_reached);
	trial_tell(t, "the same, most in one outage", UNIT_COUNT, most_reached);
	/* One short outage is no mean: scripts/check holds it to the worst. */
	trial_figure(t, "recovery, mean", UNIT_SECONDS, mean_s, '<', trial_target(t, 5, 15));
	trial_figure(t, "recovery, worst", UNIT_SECONDS, worst_s, '<', 15);
	trial_tell(t, "probers killed", UNIT_COUNT, o->probers_killed);
	if (o->clients_killed > 0)
		trial_tell(t, "clients killed at random", UNIT_COUNT, o->clients_killed);
}

static void run(struct trial *t, const void *parameters)
{
	const char *options[] = {"--max-seconds", "100000", NULL};
	unsigned outages = t->form == FORM_CHECK ? 1 : OUTAGES;
	struct outages o = {.trial = t, .kind = parameters, .random = trial_seed(t)};
	struct course course[OUTAGES];

	o.per_s = t->form == FORM_CHECK ? CHECK_PER_S : OFFERED_PER_S;
	/* A server on this machine has a breaker only where a rule names it. */
	scene_configure(t->scene, "hosts = ( { match = \"127.0.0.1\"; } );\n");
	o.server = quotad_start(t->scene->dir, options);
	host_port_of(o.host_port, "127.0.0.1", o.server->http_port);
	snprintf(o.url, sizeof o.url, "%s", quotad_url(o.server, "/"));
	crowd_open(&o.crowd, t->scene, COMMAND_UNDER_WEIR, NULL, CROWD_MAX);
	trial_duration(t, "%u outages of %.0f to %.0f s at %.0f requests/s", outages, seconds_of(t, 0, outages),
		       seconds_of(t, outages - 1, outages), o.per_s);
	offer(&o, monotonic_s() + WARM_S, false);
	if (!segment_of(t->scene, NULL, &o.segment))
		fail_msg("%s: no segment", t->title);
	for (unsigned i = 0; i < outages && !trial_interrupted(); i++) {
		course[i] = one_outage(&o, seconds_of(t, i, outages));
		trial_progress(t, "outage of %.0f s: %.0f requests, %.0f of them after the first failure; recovery %.2f s",
			       seconds_of(t, i, outages), course[i].reached, course[i].after_failure, course[i].recovery_s);
		if (i + 1 < outages)
			offer(&o, monotonic_s() + HEALTHY_S, false);
	}
	crowd_close(&o.crowd);
	weir_segment_close(&o.segment);
	if (!trial_interrupted())
		report(&o, course, outages);
}

static const struct outage_case refuse = {"refuse", false}, blackhole = {"blackhole", false}, hang = {"hang", true};

/* tests/integration/test_outage.c has a short open time and counts probes; scripts/check sees the defaults here. */
static const struct eval_case cases[] = {
	{.name = "refuse", .text = "connections are refused", .run = run, .parameters = &refuse},
	{.name = "blackhole", .text = "SYNs are dropped", .run = run, .parameters = &blackhole},
	{.name = "hang", .text = "connections are accepted, then silence", .run = run, .checked = true, .parameters = &hang},
};

const struct scenario outage_scenario = {
	.name = "outage",
	.row = 9,
	.beside = true,
	.text = "a server that is away while requests are offered evenly, each a fresh `curl -m 1`; a fifth of the probers is "
		"killed",
	.cases = cases,
	.count = sizeof cases / sizeof cases[0],
};
