/* SPDX-License-Identifier: MIT */
/* Clients that do not wait for ever: they give up, or their batch is over. */
#include <math.h>
#include <stdio.h>

#include "case.h"
#include "crowd.h"
#include "tests/integration/host_counts.h"

#define IMPATIENT 20
#define PER_S     4.0

static void run_impatient(struct trial *t, const void *parameters)
{
	const char *options[] = {"--latency-ms", "300", "--max-seconds", "100000", NULL};
	struct quotad *server = quotad_start(t->scene->dir, options);
	double begun_s, end_s, now_s, seconds = trial_seconds(t, 120, 30, 10);
	struct host_counts counts;
	struct crowd crowd;
	uint64_t succeeded = 0, failed = 0;
	char host_port[64];

	(void)parameters;
	scene_configure(t->scene,
			"hosts = ( { match = \"127.0.0.1\"; rate = { strategy = \"fixed\"; max = \"4/s\"; burst = 1; }; } );\n");
	crowd_open(&crowd, t->scene, COMMAND_UNDER_WEIR, NULL, IMPATIENT);
	begun_s = now_s = monotonic_s();
	end_s = begun_s + seconds;
	while (now_s < end_s && !trial_interrupted()) {
		for (int i; (i = crowd_idle(&crowd, now_s)) >= 0;)
			crowd_curl(&crowd, (unsigned)i, quotad_url(server, "/"), "2");
		now_s = crowd_wait(&crowd, end_s);
	}
	for (unsigned i = 0; i < IMPATIENT; i++) {
		succeeded += crowd.member[i].succeeded;
		failed += crowd.member[i].failed;
	}
	crowd_close(&crowd);
	host_port_of(host_port, "127.0.0.1", server->http_port);
	counts = counts_of(t->scene, host_port);
	trial_duration(t, "%d clients for %.0f s", IMPATIENT, seconds);
	trial_figure(t, "of the budget succeeds", UNIT_RATIO, (double)succeeded / (PER_S * (now_s - begun_s)), '>', .95);
	/* The clients' own clocks would say how busy the machine is with starting them. */
	trial_figure(t, "of the others refused when they asked", UNIT_RATIO, (double)counts.refused / fmax(1, (double)failed),
		     '>', .95);
	trial_figure(t, "times that the breaker opened", UNIT_COUNT, (double)counts.opened, '<', 0);
	trial_figure(t, "counted as the host's failures", UNIT_COUNT, (double)counts.failed, '<', 0);
}

#define AT_ONCE 8
#define ITEMS   2000
#define SHORT   400
#define GRACE_S 30.0
#define LEAST_S 10.0 /* before the host goes away, and after it is back */

struct batch {
	uint64_t lost, lost_in_grace;
	double back_s; /* from the host's return to the first item that succeeds; negative: none did */
};

/* Items one by one, at most AT_ONCE at a time: so many, or as many as it takes until some time after the host is back. */
static struct batch work_off(struct trial *t, struct quotad *server, unsigned items, double outage_s)
{
	double begun_s = monotonic_s(), now_s = begun_s, away_s = INFINITY, over_s = INFINITY;
	struct batch b = {.back_s = -1};
	struct crowd crowd;
	uint64_t lost = 0, succeeded_before = 0;

	crowd_open(&crowd, t->scene, COMMAND_UNDER_WEIR, NULL, AT_ONCE);
	crowd.no_pause = true; /* xargs knows none */
	while ((crowd.started < items || now_s < over_s + LEAST_S) && !trial_interrupted()) {
		uint64_t succeeded = 0;

		for (int i; (i = crowd_idle(&crowd, now_s)) >= 0;)
			crowd_curl(&crowd, (unsigned)i, quotad_url(server, "/"), NULL);
		now_s = crowd_wait(&crowd, now_s + .1);
		lost = 0;
		for (unsigned i = 0; i < AT_ONCE; i++) {
			lost += crowd.member[i].failed;
			succeeded += crowd.member[i].succeeded;
		}
		if (isinf(away_s) && now_s >= begun_s + LEAST_S && crowd.started > items / 4) {
			quotad_outage(server, "refuse", outage_s);
			away_s = monotonic_s();
			over_s = away_s + outage_s;
		}
		if (now_s < away_s + GRACE_S)
			b.lost_in_grace = lost;
		if (now_s < over_s)
			succeeded_before = succeeded;
		else if (b.back_s < 0 && succeeded > succeeded_before)
			b.back_s = now_s - over_s;
	}
	b.lost = lost;
	crowd_close(&crowd);
	return b;
}

static void run_restart(struct trial *t, const void *parameters)
{
	const char *options[] = {"--max-seconds", "100000", NULL};
	double outage_s = *(const double *)parameters;
	unsigned items = t->form == FORM_FULL ? ITEMS : SHORT;
	struct quotad *server = quotad_start(t->scene->dir, options);
	struct batch b;

	scene_configure(t->scene, "hosts = ( { match = \"127.0.0.1\"; } );\n");
	b = work_off(t, server, items, outage_s);
	trial_duration(t, "%u items and more, %d at a time; the host is away for %.0f s", items, AT_ONCE, outage_s);
	trial_figure(t, outage_s <= GRACE_S ? "items lost" : "items lost in the first half minute", UNIT_COUNT,
		     (double)(outage_s <= GRACE_S ? b.lost : b.lost_in_grace), '<', 2 * AT_ONCE);
	if (outage_s > GRACE_S)
		trial_tell(t, "items lost in all, none of them waiting", UNIT_COUNT, (double)b.lost);
	trial_figure(t, "from the host's return to the next good answer", UNIT_SECONDS, b.back_s < 0 ? INFINITY : b.back_s, '<',
		     3);
}

static const struct eval_case patience[] = {
	{.name = "curl-m-2", .text = "they ask again after a failure", .run = run_impatient},
};

const struct scenario patience_scenario = {
	.name = "patience",
	.row = 18,
	.text = "a healthy host of 0.3 s, four requests a second, and twenty clients of `curl -m 2`",
	.cases = patience,
	.count = sizeof patience / sizeof patience[0],
};

static const double five_s = 5, sixty_s = 60;

static const struct eval_case restarts[] = {
	{.name = "5s", .text = "connections are refused for 5 s", .run = run_restart, .parameters = &five_s},
	{.name = "60s", .text = "connections are refused for 60 s", .run = run_restart, .parameters = &sixty_s},
};

const struct scenario restart_scenario = {
	.name = "restart",
	.row = 19,
	.text = "a batch of fresh curls, eight at a time without a pause, whose host restarts in the middle",
	.cases = restarts,
	.count = sizeof restarts / sizeof restarts[0],
};
