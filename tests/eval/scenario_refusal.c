/* SPDX-License-Identifier: MIT */
/* Servers that say less than 429: a bare status, so many at a time, a queue that grows. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "case.h"
#include "crowd.h"
#include "host_stats.h"
#include "nginx.h"
#include "tests/integration/host_counts.h"

#define LOOPS   8
#define PER_S   10.0
#define LEARN_S 60.0 /* what it costs to find out is told, and the targets hold after it */

/* A server on this machine has a breaker only where a rule names it. */
#define RULE "hosts = ( { match = \"127.0.0.1\"; } );\n"

static double wall_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const char *url_of(void *url, unsigned i)
{
	(void)i;
	return url;
}

/* The loops of one case against one server, for so long, and once more for the targets. */
struct loops {
	struct crowd crowd;
	char url[96], host_port[64];
	double learn_s, seconds;
};

static void open_loops(struct loops *l, struct trial *t, int port, unsigned count)
{
	l->learn_s = trial_seconds(t, LEARN_S, LEARN_S, 10);
	l->seconds = trial_seconds(t, 300, 60, 10);
	host_port_of(l->host_port, "127.0.0.1", port);
	snprintf(l->url, sizeof l->url, "http://%s/", l->host_port);
	crowd_open(&l->crowd, t->scene, COMMAND_UNDER_WEIR, NULL, count);
}

static double loop_for(struct loops *l, double seconds)
{
	double begun_s = monotonic_s();

	crowd_loop(&l->crowd, url_of, l->url, begun_s + seconds);
	return monotonic_s() - begun_s;
}

/* What weir did that it should not have. */
static void tell_harm(struct trial *t, const struct loops *l)
{
	struct host_counts counts = counts_of(t->scene, l->host_port);

	trial_figure(t, "times that the breaker opened", UNIT_COUNT, (double)counts.opened, '<', 0);
	trial_figure(t, "refused by weir", UNIT_COUNT, (double)counts.refused, '<', 0);
}

static void figures(struct trial *t, double good, double refused, double seconds)
{
	trial_figure(t, "utilisation after a minute", UNIT_RATIO, good / (PER_S * seconds), '>', .95);
	trial_figure(t, "refused after a minute", UNIT_SHARE, refused / fmax(1, good + refused), '<', .02);
}

static void run_status(struct trial *t, const void *status)
{
	const char *options[] = {"--bucket", "10/s:20", "--throttle-status", status, "--max-seconds", "100000", NULL};
	struct quotad *server = quotad_start(t->scene->dir, options);
	struct quotad_count startup, count;
	struct loops l;
	double seconds;

	scene_configure(t->scene, RULE);
	open_loops(&l, t, server->http_port, LOOPS);
	loop_for(&l, l.learn_s);
	startup = quotad_count(server);
	quotad_mark(server);
	seconds = loop_for(&l, l.seconds);
	count = quotad_count_since_mark(server);
	crowd_close(&l.crowd);
	trial_duration(t, "%d loops for %.0f s and %.0f s", LOOPS, l.learn_s, l.seconds);
	figures(t, (double)count.accepted, (double)count.throttled, seconds);
	tell_harm(t, &l);
	trial_tell(t, "refused in the first minute", UNIT_COUNT, (double)startup.throttled);
}

static bool start_nginx(struct trial *t, struct nginx *n, bool nodelay)
{
	if (!nginx_is_installed()) {
		trial_progress(t, "left out: nginx is not installed (nginx-light)");
		trial_duration(t, "left out, as nginx is not installed");
		return false;
	}
	scene_configure(t->scene, RULE);
	nginx_start(n, t->scene, nodelay);
	return true;
}

static void run_nginx(struct trial *t, const void *parameters)
{
	struct nginx n;
	struct nginx_count startup, count;
	struct loops l;
	double seconds, since_s;

	(void)parameters;
	if (!start_nginx(t, &n, true))
		return;
	open_loops(&l, t, n.port, LOOPS);
	loop_for(&l, l.learn_s);
	startup = nginx_count(&n, 0);
	since_s = wall_s();
	seconds = loop_for(&l, l.seconds);
	count = nginx_count(&n, since_s);
	crowd_close(&l.crowd);
	nginx_stop(&n);
	trial_duration(t, "%d loops for %.0f s and %.0f s", LOOPS, l.learn_s, l.seconds);
	figures(t, (double)count.good, (double)count.refused, seconds);
	tell_harm(t, &l);
	trial_tell(t, "refused in the first minute", UNIT_COUNT, (double)startup.refused);
}

static void run_queue(struct trial *t, const void *parameters)
{
	struct nginx n;
	struct nginx_count all, count;
	struct loops l;
	double seconds, since_s;

	(void)parameters;
	if (!start_nginx(t, &n, false))
		return;
	open_loops(&l, t, n.port, 30);
	loop_for(&l, l.learn_s);
	since_s = wall_s();
	seconds = loop_for(&l, l.seconds);
	count = nginx_count(&n, since_s);
	all = nginx_count(&n, 0);
	crowd_close(&l.crowd);
	nginx_stop(&n);
	trial_duration(t, "30 loops for %.0f s and %.0f s", l.learn_s, l.seconds);
	trial_figure(t, "utilisation after a minute", UNIT_RATIO, (double)count.good / (PER_S * seconds), '>', .98);
	trial_figure(t, "p99 at the server after a minute", UNIT_SECONDS, count.p99_s, '<', .3);
	trial_figure(t, "refused after a minute", UNIT_COUNT, (double)count.refused, '<', 0);
	trial_tell(t, "refused in all", UNIT_COUNT, (double)all.refused);
	tell_harm(t, &l);
}

struct slots_case {
	const char *count, *service_ms, *bucket;
	unsigned loops;
};

/* So many good answers a second of a server like it. `port` gets its port. */
static double served(struct trial *t, const struct slots_case *c, const char *configuration, bool learns,
		     struct quotad_count *count, struct loops *l)
{
	const char *options[] = {
		"--slots",  c->count,  "--service-ms",   c->service_ms, "--service-dist", "exp",    "--seed", "7",
		"--bucket", c->bucket, "--slots-reject", "429",         "--max-seconds",  "100000", NULL};
	struct quotad *server = quotad_start(t->scene->dir, options);
	double seconds;

	scene_configure(t->scene, configuration);
	open_loops(l, t, server->http_port, c->loops);
	loop_for(l, learns ? l->learn_s : 5);
	quotad_mark(server);
	seconds = loop_for(l, learns ? l->seconds : l->seconds / 2);
	*count = quotad_count_since_mark(server);
	crowd_close(&l->crowd);
	return (double)count->accepted / seconds;
}

static void run_slots(struct trial *t, const void *parameters)
{
	const struct slots_case *c = parameters;
	struct quotad_count count;
	struct loops l;
	char fixed[256];
	double wanted, reached;

	snprintf(fixed, sizeof fixed,
		 "hosts = ( { match = \"127.0.0.1\"; concurrency = { mode = \"fixed\"; max = %s; };%s } );\n", c->count,
		 c->bucket[0] != '\0' ? " rate = { strategy = \"fixed\"; max = \"10/s\"; burst = 1; };" : "");
	wanted = served(t, c, fixed, false, &count, &l);
	reached = served(t, c, RULE, true, &count, &l);
	trial_duration(t, "%u loops for %.0f s and %.0f s, beside the limits as they are fixed", c->loops, l.learn_s, l.seconds);
	trial_figure(t, "of what fixed limits reach", UNIT_RATIO, reached / fmax(.001, wanted), '>', .9);
	trial_figure(t, "refused after a minute", UNIT_SHARE, (double)count.throttled / fmax(1, (double)count.requests), '<',
		     .03);
	trial_tell(t, "good answers a second", UNIT_COUNT, reached);
	tell_harm(t, &l);
}

static const struct eval_case refusals[] = {
	{.name = "nginx", .text = "nginx `limit_req` with `nodelay`, as it comes: a bare 503", .run = run_nginx},
	{.name = "503", .text = "a bare 503", .run = run_status, .parameters = "503"},
	{.name = "403", .text = "a bare 403", .run = run_status, .parameters = "403"},
};

const struct scenario refusal_scenario = {
	.name = "refusal",
	.row = 11,
	.text = "a bucket of 10/s, burst 20, that refuses with less than a 429; eight loops of fresh curls",
	.cases = refusals,
	.count = sizeof refusals / sizeof refusals[0],
};

static const struct slots_case four = {"4", "200", "", 8}, two = {"2", "50", "", 8}, twenty = {"20", "1000", "", 40},
			       both = {"4", "200", "10/s:10", 8};

static const struct eval_case slots[] = {
	{.name = "4", .text = "four at a time, 0.2 s each", .run = run_slots, .parameters = &four},
	{.name = "2", .text = "two at a time, 50 ms each", .run = run_slots, .parameters = &two},
	{.name = "20", .text = "twenty at a time, 1 s each", .run = run_slots, .parameters = &twenty},
	{.name = "both", .text = "four at a time, 0.2 s each, and ten a second", .run = run_slots, .parameters = &both},
};

const struct scenario slots_scenario = {
	.name = "slots",
	.row = 12,
	.text = "a server that takes so many requests at a time and refuses the next at once with 429; loops of fresh curls",
	.cases = slots,
	.count = sizeof slots / sizeof slots[0],
};

static const struct eval_case queue[] = {
	{.name = "nginx", .text = "nginx `limit_req` 10/s, burst 20, as it comes: it queues for 2 s", .run = run_queue},
};

const struct scenario queue_scenario = {
	.name = "queue",
	.row = 17,
	.text = "a server that lets requests wait before it refuses any; thirty loops of fresh curls",
	.cases = queue,
	.count = sizeof queue / sizeof queue[0],
};
