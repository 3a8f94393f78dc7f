/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weir/concurrency.h"

#define SECOND UINT64_C(1000000000)

static struct weir_concurrency c;
static struct weir_concurrency_params p;

static int fresh(void **state)
{
	(void)state;
	memset(&c, 0, sizeof c);
	p = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_ADAPTIVE, .min = 1};
	return 0;
}

static uint64_t random_state;

static uint64_t draw(void)
{
	/* splitmix64 */
	uint64_t x = random_state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static double uniform(void)
{
	return ((double)(draw() >> 11) + 0.5) / 9007199254740992.0;
}

static double exponential(double mean)
{
	return -mean * log(uniform());
}

/* ---- permits */

static void zeroed_memory_has_all_permits(void **state)
{
	(void)state;
	assert_int_equal(weir_concurrency_count(&c), 0);
	assert_int_equal(weir_concurrency_limit(&c, &p), UINT32_MAX);
	assert_true(weir_concurrency_take(&c, weir_concurrency_limit(&c, &p)));
}

static void no_more_permits_than_the_limit(void **state)
{
	(void)state;
	for (int i = 0; i < 7; i++)
		assert_true(weir_concurrency_take(&c, 7));
	assert_false(weir_concurrency_take(&c, 7));
	weir_concurrency_give(&c);
	assert_true(weir_concurrency_take(&c, 7));
	assert_false(weir_concurrency_take(&c, 7));
	/* a limit that has shrunk below what is out lets nobody in until enough have come back */
	for (int i = 0; i < 5; i++) {
		assert_false(weir_concurrency_take(&c, 3));
		weir_concurrency_give(&c);
	}
	assert_true(weir_concurrency_take(&c, 3));
	assert_false(weir_concurrency_take(&c, 0));
}

static void giving_more_than_was_taken_leaves_none_out(void **state)
{
	(void)state;
	weir_concurrency_give(&c);
	weir_concurrency_give(&c);
	assert_int_equal(weir_concurrency_count(&c), 0);
	assert_true(weir_concurrency_take(&c, 1));
}

static void a_correction_applies_only_if_nothing_moved_meanwhile(void **state)
{
	uint64_t seen;

	(void)state;
	for (int i = 0; i < 5; i++)
		weir_concurrency_take(&c, 10);
	seen = weir_concurrency_word(&c);
	/* taken and given back: the count is the same, but the leases have changed hands */
	weir_concurrency_take(&c, 10);
	weir_concurrency_give(&c);
	assert_false(weir_concurrency_correct(&c, seen, 2));
	assert_int_equal(weir_concurrency_count(&c), 5);
	assert_true(weir_concurrency_correct(&c, weir_concurrency_word(&c), 2));
	assert_int_equal(weir_concurrency_count(&c), 2);
}

static void a_full_count_does_not_wrap(void **state)
{
	(void)state;
	assert_true(weir_concurrency_correct(&c, 0, UINT32_MAX));
	assert_false(weir_concurrency_take(&c, UINT32_MAX));
	assert_int_equal(weir_concurrency_count(&c), UINT32_MAX);
}

static void off_and_fixed_say_what_the_rule_says(void **state)
{
	(void)state;
	p = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = 4};
	assert_int_equal(weir_concurrency_limit(&c, &p), 4);
	p.max = 0;
	assert_int_equal(weir_concurrency_limit(&c, &p), UINT32_MAX);
	p = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_OFF, .max = 4};
	assert_int_equal(weir_concurrency_limit(&c, &p), UINT32_MAX);
	p.mode = 77;
	assert_int_equal(weir_concurrency_limit(&c, &p), UINT32_MAX);
	assert_false(weir_concurrency_note(&c, &p, SECOND, 1, true, false, SECOND));
	assert_false(weir_concurrency_update(&c, &p, SECOND).changed);
}

/* ---- a queue on a virtual clock: one server with `slots` and an unbounded line before them, clients that all pass the limit */

enum service { EXPONENTIAL, CONSTANT, LOGNORMAL, ONE_PER_CENT_SLOW, PARETO };

struct world {
	int slots;
	double mean_s;
	enum service service;
	double arrivals_per_s; /* an open stream, or ... */
	int clients;           /* ... so many, each with one request at a time */
	double duration_s;
	double slow_from_s, slow_for_s, slow_factor; /* service takes that much longer */
	double bad;                                  /* share of answers that are 503 */
	double time_out_s;                           /* 0: never; answers later than that are lost */
	bool bare;                                   /* no limit */
	double idle_from_s, idle_to_s;               /* nobody asks */
};

struct run {
	double goodput;   /* of the capacity of the server, slow time taken into account */
	double answers_s; /* good answers per second */
	double p99_s;
	double slow_goodput; /* of the reduced capacity */
	double after;        /* goodput of the ten seconds after the slow time */
	uint32_t limit, limit_most;
	double limit_mean;
};

struct event {
	double at;
	double sent;
	bool completion, lost;
};

enum { EVENTS = 1 << 17, LINE = 1 << 17, ANSWERS = 1 << 20 };
static struct event heap[EVENTS];
static size_t events;
static double line_gate[LINE], line_server[LINE];
static double answer[ANSWERS];

static void push(struct event e)
{
	size_t i = events++;

	assert_true(events < EVENTS);
	for (; i > 0 && heap[(i - 1) / 2].at > e.at; i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = e;
}

static struct event pop(void)
{
	struct event first = heap[0], last = heap[--events];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < events) {
		if (child + 1 < events && heap[child + 1].at < heap[child].at)
			child++;
		if (heap[child].at >= last.at)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = last;
	return first;
}

static double service_s(const struct world *w, double now)
{
	double m = w->mean_s;

	if (now >= w->slow_from_s && now < w->slow_from_s + w->slow_for_s)
		m *= w->slow_factor;
	switch (w->service) {
	case EXPONENTIAL:
		return exponential(m);
	case CONSTANT:
		return m;
	case LOGNORMAL: /* sigma 1.5 */
		return m * exp(1.5 * sqrt(-2 * log(uniform())) * cos(6.283185307 * uniform()) - 1.125);
	case ONE_PER_CENT_SLOW:
		return uniform() < 0.01 ? m * 20 : m * (0.9 + 0.2 * uniform());
	case PARETO: /* alpha 1.5: infinite variance */
		return m / 3 / pow(uniform(), 1 / 1.5);
	default:
		return m;
	}
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void finish(const struct world *w, struct run *r, const struct event *e, size_t *answers)
{
	double latency = e->at - e->sent, slow_to = w->slow_from_s + w->slow_for_s;
	bool in_time = w->time_out_s <= 0 || latency <= w->time_out_s, good = in_time && !e->lost;
	uint32_t in_flight = weir_concurrency_count(&c);
	uint64_t now = (uint64_t)((e->at + 1) * 1e9);

	if (weir_concurrency_note(&c, &p, (uint64_t)(latency * 1e9), in_flight, good, !in_time, now))
		weir_concurrency_update(&c, &p, now);
	weir_concurrency_give(&c);
	if (!good)
		return;
	if (*answers < ANSWERS)
		answer[(*answers)++] = latency;
	r->slow_goodput += e->at >= w->slow_from_s && e->at < slow_to;
	r->after += w->slow_for_s > 0 && e->at >= slow_to && e->at < slow_to + 10;
}

static struct run live(const struct world *w, uint64_t seed)
{
	size_t gate_first = 0, gate_last = 0, server_first = 0, server_last = 0, answers = 0, samples = 0;
	double now = 0, capacity = w->slots / w->mean_s * (1 - w->bad), full;
	struct run r = {0};
	int busy = 0;

	random_state = seed;
	events = 0;
	p.mode = w->bare ? WEIR_CONCURRENCY_OFF : WEIR_CONCURRENCY_ADAPTIVE;
	for (int i = 0; i < w->clients; i++)
		push((struct event){.at = uniform() / 100});
	if (w->clients == 0)
		push((struct event){.at = exponential(1 / w->arrivals_per_s)});
	while (events > 0 && now < w->duration_s) {
		struct event e = pop();
		uint32_t limit;

		now = e.at;
		if (e.completion) {
			busy--;
			finish(w, &r, &e, &answers);
			if (w->clients != 0)
				push((struct event){.at = now >= w->idle_from_s && now < w->idle_to_s ? w->idle_to_s : now});
			if (server_first < server_last) {
				double sent = line_server[server_first++ % LINE];

				busy++;
				push((struct event){.at = now + service_s(w, now),
						    .sent = sent,
						    .completion = true,
						    .lost = uniform() < w->bad});
			}
		} else {
			/* a line of a minute is the longest; who comes then is turned away */
			if (gate_last - gate_first < (size_t)(w->clients != 0 ? w->clients : 60 * w->arrivals_per_s))
				line_gate[gate_last++ % LINE] = now;
			if (w->clients == 0)
				push((struct event){.at = now + exponential(1 / w->arrivals_per_s)});
		}
		limit = weir_concurrency_limit(&c, &p);
		if (limit != UINT32_MAX) {
			r.limit_most = limit > r.limit_most ? limit : r.limit_most;
			if (now > w->duration_s / 2) {
				r.limit_mean += limit;
				samples++;
			}
		}
		while (gate_first < gate_last && weir_concurrency_take(&c, limit)) {
			gate_first++;
			if (busy < w->slots) {
				busy++;
				push((struct event){.at = now + service_s(w, now),
						    .sent = now,
						    .completion = true,
						    .lost = uniform() < w->bad});
			} else {
				line_server[server_last++ % LINE] = now;
				assert_true(server_last - server_first < LINE);
			}
		}
	}
	full = w->duration_s - w->slow_for_s;
	if (w->slow_for_s > 0)
		full += w->slow_for_s / w->slow_factor;
	r.goodput = (double)answers / (capacity * full);
	r.answers_s = (double)answers / w->duration_s;
	if (w->slow_for_s > 0) {
		r.slow_goodput /= capacity / w->slow_factor * w->slow_for_s;
		r.after /= capacity * 10;
	}
	qsort(answer, answers, sizeof answer[0], ascending);
	r.p99_s = answers > 0 ? answer[answers * 99 / 100] : 0;
	r.limit = weir_concurrency_limit(&c, &p);
	r.limit_mean = samples > 0 ? r.limit_mean / (double)samples : 0;
	return r;
}

/* Where everything takes ten times as long a second run finds nothing new. */
#ifdef BRIEF_TESTS
#define SEEDS 1
#else
#define SEEDS 3
#endif

/* The median over the seeds, field by field. */
static struct run median(const struct world *w, const char *what)
{
	static double field[6][SEEDS];
	struct run r;

	for (uint64_t i = 0; i < SEEDS; i++) {
		fresh(NULL);
		r = live(w, i + 1);
		field[0][i] = r.goodput;
		field[1][i] = r.p99_s;
		field[2][i] = r.slow_goodput;
		field[3][i] = r.after;
		field[4][i] = r.limit_mean;
		field[5][i] = r.answers_s;
	}
	for (size_t k = 0; k < 6; k++)
		qsort(field[k], SEEDS, sizeof(double), ascending);
	r = (struct run){.goodput = field[0][SEEDS / 2],
			 .p99_s = field[1][SEEDS / 2],
			 .slow_goodput = field[2][SEEDS / 2],
			 .after = field[3][SEEDS / 2],
			 .limit_mean = field[4][SEEDS / 2],
			 .answers_s = field[5][SEEDS / 2]};
	print_message("%-34s goodput %.3f (worst %.3f) p99 %3.0f ms (worst %3.0f) limit %.1f", what, r.goodput, field[0][0],
		      r.p99_s * 1e3, field[1][SEEDS - 1] * 1e3, r.limit_mean);
	if (w->slow_for_s > 0)
		print_message(" slow %.3f (worst %.3f) after %.3f", r.slow_goodput, field[2][0], r.after);
	print_message("\n");
	return r;
}

#define UNLOADED_P99 (0.05 * 4.605170186) /* of an exponential with a mean of 50 ms: ln 100 means */

static void scenario_7_twenty_slots(void **state)
{
	struct world w = {.slots = 20, .mean_s = 0.05, .arrivals_per_s = 800, .duration_s = 1800};
	struct run r = median(&w, "20 slots, 800/s");

	(void)state;
	assert_true(r.goodput >= 0.98);
	assert_true(r.p99_s <= 1.1 * UNLOADED_P99);
	w.arrivals_per_s = 0;
	w.clients = 40;
	r = median(&w, "20 slots, 40 clients");
	assert_true(r.goodput >= 0.98);
	assert_true(r.p99_s <= 1.1 * UNLOADED_P99);
}

static void scenario_7_five_slots(void **state)
{
	struct world w = {.slots = 5, .mean_s = 0.05, .arrivals_per_s = 200, .duration_s = 1800};
	struct run r = median(&w, "5 slots, 200/s");

	(void)state;
	assert_true(r.goodput >= 0.95);
	assert_true(r.p99_s <= 1.25 * UNLOADED_P99);
	w.arrivals_per_s = 0;
	w.clients = 10;
	r = median(&w, "5 slots, 10 clients");
	assert_true(r.goodput >= 0.95);
	assert_true(r.p99_s <= 1.25 * UNLOADED_P99);
}

static void the_limit_does_not_drift(void **state)
{
	/* two hours; the mean limit of the second one is that of the first half hour: the knee and the dither above it */
	struct world w = {.slots = 20, .mean_s = 0.05, .clients = 40, .duration_s = 7200};
	struct run r;

	(void)state;
	fresh(NULL);
	r = live(&w, 1);
	assert_true(r.limit_mean > 18 && r.limit_mean < 27);
	/* excursions end where latency is half as long again */
	assert_true(r.limit_most <= 50);
}

static void scenario_8_ten_times_slower_for_five_minutes(void **state)
{
	struct world w = {.slots = 20,
			  .mean_s = 0.05,
			  .arrivals_per_s = 800,
			  .duration_s = 1200,
			  .slow_from_s = 600,
			  .slow_for_s = 300,
			  .slow_factor = 10};
	struct run r = median(&w, "20 slots, 10 x slower");

	(void)state;
	assert_true(r.slow_goodput >= 0.9);
	/* .95 of the ten seconds are not to be had: the twenty requests in service when it ends still take half a second each */
	assert_true(r.after >= 0.92);
	w.slots = 5;
	w.arrivals_per_s = 200;
	r = median(&w, "5 slots, 10 x slower");
	assert_true(r.slow_goodput >= 0.9);
	assert_true(r.after >= 0.9);
}

static void scenario_8_with_thirty_per_cent_503(void **state)
{
	struct world w = {.slots = 20, .mean_s = 0.05, .arrivals_per_s = 800, .duration_s = 1200, .bad = 0.3};
	struct run r = median(&w, "20 slots, 30 % 503");

	(void)state;
	assert_true(r.goodput >= 0.95);
	assert_true(r.p99_s <= 1.15 * UNLOADED_P99);
	w.slow_from_s = 600;
	w.slow_for_s = 300;
	w.slow_factor = 10;
	r = median(&w, "20 slots, 30 % 503, 10 x slower");
	assert_true(r.slow_goodput >= 0.9);
	assert_true(r.after >= 0.92);
}

static void other_distributions_are_served_as_well(void **state)
{
	static const char *const name[] = {"", "20 slots, constant", "20 slots, lognormal", "20 slots, 1 % slow",
					   "20 slots, pareto"};

	(void)state;
	for (enum service s = CONSTANT; s <= PARETO; s++) {
		struct world w = {.slots = 20, .mean_s = 0.05, .service = s, .arrivals_per_s = 800, .duration_s = 900};
		struct run r = median(&w, name[s]);
		/* one per cent of twenty times as long makes the mean 1.19 times as long */
		double capacity = s == ONE_PER_CENT_SLOW ? 1 / 1.19 : 1;

		assert_true(r.goodput >= 0.94 * capacity);
	}
}

static void a_host_with_ample_capacity_keeps_its_throughput_whatever_its_latency_does(void **state)
{
	static const char *const name[] = {"exponential", "constant", "lognormal", "1 % slow", "pareto"};

	(void)state;
	for (enum service s = EXPONENTIAL; s <= PARETO; s++)
		for (int closed = 0; closed < 2; closed++) {
			struct world w = {.slots = 100000,
					  .mean_s = 0.05,
					  .service = s,
					  .arrivals_per_s = closed ? 0 : 200,
					  .clients = closed ? 16 : 0,
					  .duration_s = 600};
			double bare = 0, limited = 0;

			for (uint64_t seed = 1; seed <= (SEEDS + 1) / 2; seed++) {
				fresh(NULL);
				w.bare = true;
				bare += live(&w, seed).answers_s;
				fresh(NULL);
				w.bare = false;
				limited += live(&w, seed).answers_s;
			}
			print_message("ample, %-11s %s: %.4f of the throughput\n", name[s], closed ? "16 clients" : "200/s     ",
				      limited / bare);
			assert_true(limited >= 0.99 * bare);
		}
}

/* Two slots of 0.3 ms and four clients: a queue, but one that nobody minds, and what is saved by standing in no queue is less
 * than what standing in ours costs. */
static void a_host_next_door_is_left_alone(void **state)
{
	struct world w = {.slots = 2, .mean_s = 0.0003, .service = LOGNORMAL, .clients = 4, .duration_s = 60};

	(void)state;
	fresh(NULL);
	live(&w, 1);
	assert_int_equal(weir_concurrency_limit(&c, &p), UINT32_MAX);
}

/* nginx's limit_req without nodelay: ten a second, one after the other, and twenty clients have stood in line since the first
 * second. */
static void the_queue_of_a_server_that_delays_is_found_within_a_minute(void **state)
{
	struct world w = {.slots = 1, .mean_s = 0.1, .service = CONSTANT, .clients = 20, .duration_s = 60};

	(void)state;
	fresh(NULL);
	assert_true(live(&w, 1).goodput > .98);
	assert_in_range(weir_concurrency_limit(&c, &p), 1, 3);
}

static void a_slower_host_with_ample_capacity_is_not_taken_for_a_full_one(void **state)
{
	struct world w = {.slots = 100000,
			  .mean_s = 0.05,
			  .arrivals_per_s = 200,
			  .duration_s = 900,
			  .slow_from_s = 300,
			  .slow_for_s = 300,
			  .slow_factor = 10};
	double bare;

	(void)state;
	w.bare = true;
	bare = live(&w, 1).answers_s;
	fresh(NULL);
	w.bare = false;
	assert_true(live(&w, 1).answers_s >= 0.99 * bare);
}

static void few_requests_are_never_limited(void **state)
{
	struct world w = {.slots = 1, .mean_s = 0.05, .clients = 2, .duration_s = 600};

	(void)state;
	assert_int_equal(live(&w, 1).limit_most, 0);
}

static void it_stays_within_min_and_max(void **state)
{
	struct world w = {.slots = 20, .mean_s = 0.05, .clients = 60, .duration_s = 300};
	struct run r;

	(void)state;
	p.max = 10;
	r = live(&w, 1);
	assert_int_equal(r.limit_most, 10);
	assert_true(r.goodput <= 0.5);
	assert_true(r.goodput >= 0.48);
	fresh(NULL);
	p.min = 40;
	live(&w, 1);
	assert_true(weir_concurrency_limit(&c, &p) >= 40);
}

static void learning_starts_where_the_rule_says(void **state)
{
	struct world w = {.slots = 20, .mean_s = 0.05, .clients = 60, .duration_s = 600};
	struct run r;

	(void)state;
	p.initial = 4;
	assert_true(weir_concurrency_update(&c, &p, SECOND).to <= 5);
	r = live(&w, 1);
	assert_true(r.limit_mean > 18 && r.limit_mean < 28);
}

static void time_outs_freeze_the_limit(void **state)
{
	uint32_t limit;
	struct world w = {.slots = 20, .mean_s = 0.05, .clients = 40, .duration_s = 60};

	(void)state;
	live(&w, 1);
	limit = weir_concurrency_limit(&c, &p);
	/* half an hour of nothing but time-outs */
	for (uint64_t i = 0; i < 18000; i++) {
		uint64_t now = 61 * SECOND + i * SECOND / 10;

		if (weir_concurrency_note(&c, &p, 10 * SECOND, limit, false, true, now))
			weir_concurrency_update(&c, &p, now);
		/* the first may still end an epoch with the answers from before */
		if (i == 100)
			limit = weir_concurrency_limit(&c, &p);
	}
	assert_int_equal(weir_concurrency_limit(&c, &p), limit);
	assert_true(limit >= 17 && limit <= 36);
}

static void idle_clients_freeze_the_limit(void **state)
{
	struct world w = {.slots = 20, .mean_s = 0.05, .clients = 40, .duration_s = 60};
	uint32_t limit;

	(void)state;
	live(&w, 1);
	limit = weir_concurrency_limit(&c, &p);
	/* half a minute of one request at a time says nothing about twenty */
	for (uint64_t i = 0; i < 600; i++) {
		uint64_t now = 61 * SECOND + i * SECOND / 20;

		if (weir_concurrency_note(&c, &p, SECOND / 20, 1, true, false, now))
			weir_concurrency_update(&c, &p, now);
		if (i > 10 && weir_concurrency_limit(&c, &p) != UINT32_MAX)
			assert_in_range(weir_concurrency_limit(&c, &p), limit * 3 / 4, limit * 4 / 3);
	}
}

static void a_limit_that_nobody_needs_is_lifted(void **state)
{
	struct world w = {.slots = 20, .mean_s = 0.05, .clients = 40, .duration_s = 60};

	(void)state;
	live(&w, 1);
	assert_true(weir_concurrency_limit(&c, &p) < 40);
	for (uint64_t i = 0; i < 20000; i++) {
		uint64_t now = 61 * SECOND + i * SECOND / 50;

		if (weir_concurrency_note(&c, &p, SECOND / 20, 2, true, false, now))
			weir_concurrency_update(&c, &p, now);
	}
	assert_int_equal(weir_concurrency_limit(&c, &p), UINT32_MAX);
}

static void more_slots_are_found(void **state)
{
	struct world w = {.slots = 5, .mean_s = 0.05, .clients = 60, .duration_s = 120};
	struct run r;

	(void)state;
	live(&w, 1);
	assert_in_range(weir_concurrency_limit(&c, &p), 4, 9);
	/* The same state meets a server four times as large. The clients of the world before are gone. */
	weir_concurrency_correct(&c, weir_concurrency_word(&c), 0);
	w.slots = 20;
	w.duration_s = 120;
	r = live(&w, 2);
	assert_true(r.limit_mean > 17);
}

static void reset_forgets_and_leaves_the_permits(void **state)
{
	struct world w = {.slots = 20, .mean_s = 0.05, .clients = 40, .duration_s = 60};
	uint32_t permits;

	(void)state;
	live(&w, 1);
	permits = weir_concurrency_count(&c);
	assert_true(permits > 0);
	weir_concurrency_reset(&c);
	assert_int_equal(weir_concurrency_limit(&c, &p), UINT32_MAX);
	assert_int_equal(weir_concurrency_count(&c), permits);
	p.initial = 3;
	weir_concurrency_update(&c, &p, 100 * SECOND);
	assert_int_equal(weir_concurrency_limit(&c, &p), 3);
}

static void an_updater_that_dies_leaves_the_state_before_or_after(void **state)
{
	struct world w = {.slots = 20, .mean_s = 0.05, .clients = 40, .duration_s = 30};
	static struct weir_concurrency before, after;
	_Atomic uint64_t *words = (_Atomic uint64_t *)(void *)&c;
	size_t count = sizeof c / sizeof *words;
	uint64_t now = 31 * SECOND;

	(void)state;
	live(&w, 1);
	for (int round = 0; round < 100; round++, now += SECOND / 10) {
		memcpy(&before, &c, sizeof c);
		weir_concurrency_update(&c, &p, now);
		memcpy(&after, &c, sizeof c);
		/* every prefix of the words that it wrote, in memory order: any subset of its stores may have happened */
		for (size_t cut = 0; cut < count; cut++) {
			memcpy(&c, &before, sizeof c);
			memcpy(&c, &after, cut * sizeof *words);
			assert_true(weir_concurrency_limit(&c, &p) >= 1);
			weir_concurrency_update(&c, &p, now + 2 * SECOND);
			assert_in_range(weir_concurrency_limit(&c, &p), 5, UINT32_MAX);
		}
		memcpy(&c, &after, sizeof c);
	}
}

static void random_memory_does_no_harm_and_heals(void **state)
{
	_Atomic uint64_t *words = (_Atomic uint64_t *)(void *)&c;
	struct world w = {.slots = 20, .mean_s = 0.05, .clients = 40, .duration_s = 300};
	uint64_t block[WEIR_CONCURRENCY_WORDS];
	const uint64_t seed = 77;

	(void)state;
	random_state = seed;
	for (int i = 0; i < 30000; i++) {
		uint64_t now = draw() % 3 == 0 ? draw() : 1000 * SECOND;

		for (size_t k = 0; k < sizeof c / sizeof *words; k++)
			atomic_store(&words[k], draw());
		/* a block that is whole but nonsense: NaN, infinities, negative numbers, denormals among them */
		for (size_t k = 0; k < WEIR_CONCURRENCY_WORDS; k++) {
			static const uint64_t odd[] = {0,
						       1,
						       UINT64_MAX,
						       UINT64_C(0x7ff0000000000000),
						       UINT64_C(0xfff0000000000000),
						       UINT64_C(0x7ff8000000000001),
						       UINT64_C(0xbff0000000000000),
						       UINT64_C(0x4024000000000000)};

			block[k] = draw() % 2 == 0 ? odd[draw() % 8] : draw() % 2 == 0 ? draw() % 4 : draw();
		}
		weir_published_write(&c.generation, c.state, WEIR_CONCURRENCY_WORDS, block);
		p.max = draw() % 2 == 0 ? 0 : (uint32_t)draw();
		p.min = draw() % 2 == 0 ? 0 : (uint32_t)draw();
		p.initial = draw() % 2 == 0 ? 0 : (uint32_t)draw();
		for (int k = 0; k < 4; k++) {
			weir_concurrency_note(&c, &p, draw(), (uint32_t)draw(), draw() % 2 == 0, draw() % 2 == 0, now);
			atomic_store(&c.due_ns, 0);
			weir_concurrency_update(&c, &p, now);
			assert_true(weir_concurrency_limit(&c, &p) >= 1);
			now += draw() % SECOND;
		}
	}
	/* damage of the counters and of the due time alone is over within minutes */
	fresh(NULL);
	live(&w, 1);
	weir_concurrency_correct(&c, weir_concurrency_word(&c), 0);
	for (size_t k = 0; k < sizeof c.sample / sizeof c.sample[0]; k++)
		atomic_store(&c.sample[k], draw());
	atomic_store(&c.due_ns, UINT64_MAX / 2);
	assert_true(live(&w, 2).goodput > 0.9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(zeroed_memory_has_all_permits, fresh),
		cmocka_unit_test_setup(no_more_permits_than_the_limit, fresh),
		cmocka_unit_test_setup(giving_more_than_was_taken_leaves_none_out, fresh),
		cmocka_unit_test_setup(a_correction_applies_only_if_nothing_moved_meanwhile, fresh),
		cmocka_unit_test_setup(a_full_count_does_not_wrap, fresh),
		cmocka_unit_test_setup(off_and_fixed_say_what_the_rule_says, fresh),
		cmocka_unit_test_setup(scenario_7_twenty_slots, fresh),
		cmocka_unit_test_setup(scenario_7_five_slots, fresh),
		cmocka_unit_test_setup(the_limit_does_not_drift, fresh),
		cmocka_unit_test_setup(scenario_8_ten_times_slower_for_five_minutes, fresh),
		cmocka_unit_test_setup(scenario_8_with_thirty_per_cent_503, fresh),
		cmocka_unit_test_setup(other_distributions_are_served_as_well, fresh),
		cmocka_unit_test_setup(a_host_with_ample_capacity_keeps_its_throughput_whatever_its_latency_does, fresh),
		cmocka_unit_test_setup(a_host_next_door_is_left_alone, fresh),
		cmocka_unit_test_setup(the_queue_of_a_server_that_delays_is_found_within_a_minute, fresh),
		cmocka_unit_test_setup(a_slower_host_with_ample_capacity_is_not_taken_for_a_full_one, fresh),
		cmocka_unit_test_setup(few_requests_are_never_limited, fresh),
		cmocka_unit_test_setup(it_stays_within_min_and_max, fresh),
		cmocka_unit_test_setup(learning_starts_where_the_rule_says, fresh),
		cmocka_unit_test_setup(time_outs_freeze_the_limit, fresh),
		cmocka_unit_test_setup(idle_clients_freeze_the_limit, fresh),
		cmocka_unit_test_setup(a_limit_that_nobody_needs_is_lifted, fresh),
		cmocka_unit_test_setup(more_slots_are_found, fresh),
		cmocka_unit_test_setup(reset_forgets_and_leaves_the_permits, fresh),
		cmocka_unit_test_setup(an_updater_that_dies_leaves_the_state_before_or_after, fresh),
		cmocka_unit_test_setup(random_memory_does_no_harm_and_heals, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
