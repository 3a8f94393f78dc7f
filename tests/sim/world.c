/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calendar.h"
#include "departures.h"
#include "waiting.h"

#define NS         1000000000ULL
#define RTT_MS     45
#define THINK_MS   0.2
#define REFUSED_NS 100000000 /* who is refused asks again after this at the earliest */
#define RESTART_NS 100000000 /* a killed process is started again after this */

#define BRIEF_S     300
#define EARLY_S     30 /* of an outage */
#define DAYS_TICK_S 30 /* where days pass, housekeeping is seldom */

enum event { ASK, LOOK, ARRIVE, RETURN, CHANGE, SECOND, KILL, OFFER };
enum doing { RESTING, WAITING, FLYING, PAUSING };

struct worker {
	enum doing doing; /* PAUSING: between two attempts */
	unsigned process;
	unsigned attempt; /* of its request, 0 = it has none in hand */
	uint64_t stamp, asked_ns, sent_ns, due_ns;
	struct sim_answer answer;
	bool timed_out;
	uint64_t stopped_ns; /* SIGSTOP until then */
};

struct world {
	const struct sim_scenario *scenario;
	const struct sim_controller *controller;
	void *self;
	struct sim_server server;
	struct sim_calendar calendar;
	struct sim_random random;
	struct sim_record *record;
	struct worker worker[SIM_WORKERS];
	unsigned process_of[SIM_WORKERS];
	unsigned workers, processes, in_flight;
	uint64_t now_ns, changes, freed, end_ns;
	struct sim_waiting waiting;
	unsigned turn; /* whose turn it is: to be offered a request, to be killed */
	uint64_t hold_set_ns, hold_until_ns;
	bool hold_open;
	unsigned items;     /* of the batch, that nobody has begun */
	bool trouble_known; /* the first failure of an outage has been heard of */
	uint64_t trouble_ns;
	uint64_t last_second_ns;
	double flight_sum;
	uint64_t flight_from_ns;
	bool trace;
};

static unsigned second_of(uint64_t now_ns)
{
	uint64_t s = (now_ns - SIM_EPOCH_NS) / NS;

	return s < SIM_SECONDS ? (unsigned)s : SIM_SECONDS - 1;
}

static void at(struct world *w, uint64_t when, enum event kind, unsigned worker)
{
	sim_calendar_add(&w->calendar, when > w->now_ns ? when : w->now_ns, kind, worker, w->worker[worker].stamp);
}

static void flights(struct world *w, int change)
{
	w->flight_sum += (double)w->in_flight * (double)(w->now_ns - w->flight_from_ns);
	w->flight_from_ns = w->now_ns;
	w->in_flight = (unsigned)((int)w->in_flight + change);
}

static uint64_t half_trip(struct world *w)
{
	double ms = w->scenario->rtt_ms > 0 ? w->scenario->rtt_ms : RTT_MS;

	return (uint64_t)(sim_random_between(&w->random, ms / 3, ms * 2 / 3) * 1e6);
}

static void rest(struct world *w, unsigned i, uint64_t ns)
{
	sim_waiting_leave(&w->waiting, i);
	w->worker[i].doing = RESTING;
	w->worker[i].stamp++;
	if (w->scenario->offered <= 0 && !w->scenario->once)
		at(w, w->now_ns + ns, ASK, i);
}

/* A request leaves: does it respect the hold that the server asked for? */
static void heed(struct world *w)
{
	if (w->now_ns < w->hold_until_ns) {
		w->record->inside_hold++;
	} else if (w->hold_open) {
		w->record->late_s += (double)(w->now_ns - w->hold_until_ns) / 1e9;
		w->record->held_s += (double)(w->hold_until_ns - w->hold_set_ns) / 1e9;
		w->hold_open = false;
	}
}

static void hold(struct world *w, const struct sim_answer *a)
{
	struct sim_headers h;

	sim_dialect_word(w->scenario->dialect, &a->facts, SIM_EPOCH_NS + a->leaves_ns, &h);
	if (h.told_ns == 0 || w->now_ns + h.told_ns <= w->hold_until_ns)
		return;
	if (w->now_ns >= w->hold_until_ns)
		w->hold_set_ns = w->now_ns;
	w->hold_until_ns = w->now_ns + h.told_ns;
	w->hold_open = true;
}

/* A request is over. */
static void conclude(struct world *w, unsigned i, bool good)
{
	w->record->requests++;
	w->record->attempts += w->worker[i].attempt;
	w->record->requests_lost += !good;
	w->worker[i].attempt = 0;
}

/* Whether what failed is asked again; then it is on the calendar. */
static bool goes_again(struct world *w, unsigned i, const struct sim_result *r)
{
	struct worker *k = &w->worker[i];
	uint64_t wait_ns = 0;

	if (w->scenario->attempts < 2 || !w->controller->again ||
	    !w->controller->again(w->self, i, r, k->attempt, w->now_ns, &wait_ns))
		return false;
	k->doing = PAUSING;
	k->stamp++;
	at(w, w->now_ns + wait_ns, ASK, i);
	return true;
}

/* An item of the batch got no good answer. */
static void lose(struct world *w)
{
	double early_s = w->record->change_s[0] + EARLY_S;

	if (w->scenario->items == 0)
		return;
	w->record->items_lost++;
	w->record->lost_early += (double)(w->now_ns - SIM_EPOCH_NS) / NS < early_s;
}

static uint64_t think_ns(struct world *w)
{
	return (uint64_t)(sim_random_exponential(&w->random, w->scenario->think_ms > 0 ? w->scenario->think_ms : THINK_MS) * 1e6);
}

/* When who was refused asks again: clients in a loop, and those of a batch, do not wait until it is worth it. */
static uint64_t pause_ns(struct world *w, const struct worker *k, uint64_t wake_ns)
{
	if (k->process + w->scenario->hammers >= w->processes)
		return SIM_HAMMER_PAUSE_NS;
	if (w->scenario->items > 0)
		return think_ns(w);
	return wake_ns > w->now_ns + REFUSED_NS && w->scenario->give_up_s <= 0 ? wake_ns - w->now_ns : REFUSED_NS;
}

/* It has been kept in vain. */
static void vain(struct world *w, const struct worker *k)
{
	w->record->held += w->now_ns - k->asked_ns > SIM_AT_ONCE_NS;
}

static uint64_t patience_ends_ns(const struct world *w, const struct worker *k)
{
	return w->scenario->give_up_s > 0 ? k->asked_ns + (uint64_t)(w->scenario->give_up_s * 1e9) : UINT64_MAX;
}

static void die(struct world *w, unsigned process)
{
	w->controller->kill ? w->controller->kill(w->self, process, w->now_ns) : (void)0;
	for (unsigned i = 0; i < w->workers; i++) {
		if (w->worker[i].process != process)
			continue;
		if (w->worker[i].doing == FLYING)
			flights(w, -1);
		w->worker[i].attempt = 0;
		rest(w, i, RESTART_NS);
	}
}

static void obey(struct world *w, unsigned i, enum sim_verdict verdict, uint64_t wake_ns)
{
	struct worker *k = &w->worker[i];

	switch (verdict) {
	case SIM_GO:
		sim_waiting_leave(&w->waiting, i);
		heed(w);
		k->doing = FLYING;
		k->stamp++;
		k->sent_ns = w->now_ns;
		flights(w, 1);
		sim_departs(w->record, w->scenario, i, w->now_ns - SIM_EPOCH_NS, w->now_ns - k->asked_ns);
		w->record->sent[second_of(w->now_ns)]++;
		at(w, w->now_ns + half_trip(w), ARRIVE, i);
		break;
	case SIM_WAIT:
		/* Looking again at the same instant forever would stop the clock. */
		if (wake_ns <= w->now_ns)
			wake_ns = w->now_ns + 1000;
		if (wake_ns > patience_ends_ns(w, k))
			wake_ns = patience_ends_ns(w, k);
		/* A look that is on the calendar already and comes no later than this one would makes do for it. */
		if (k->doing == WAITING && k->due_ns > w->now_ns && k->due_ns <= wake_ns)
			break;
		if (k->doing != WAITING)
			sim_waiting_join(&w->waiting, i);
		k->doing = WAITING;
		k->stamp++;
		k->due_ns = wake_ns;
		if (wake_ns < w->end_ns)
			at(w, wake_ns, LOOK, i);
		break;
	case SIM_NO:
		w->record->refused[second_of(w->now_ns)]++;
		vain(w, k);
		lose(w);
		conclude(w, i, false);
		rest(w, i, pause_ns(w, k, wake_ns));
		break;
	case SIM_DIED:
		die(w, k->process);
		break;
	}
}

static void ask(struct world *w, unsigned i)
{
	uint64_t wake = w->now_ns;
	struct worker *k = &w->worker[i];
	enum sim_verdict v;

	if (k->attempt == 0 && w->scenario->items > 0 && w->items == 0)
		return;
	w->items -= k->attempt == 0 && w->scenario->items > 0;
	k->attempt++;
	k->asked_ns = w->now_ns;
	v = w->controller->ask(w->self, i, w->now_ns, &wake);
	obey(w, i, v, wake);
}

static void look(struct world *w, unsigned i)
{
	uint64_t wake = w->now_ns;
	enum sim_verdict v;

	v = (w->controller->look ? w->controller->look : w->controller->ask)(w->self, i, w->now_ns, &wake);
	if (v == SIM_WAIT && w->now_ns >= patience_ends_ns(w, &w->worker[i]))
		v = SIM_NO;
	obey(w, i, v, wake);
}

static void look_all_if_changed(struct world *w)
{
	uint64_t changes = w->controller->changes ? w->controller->changes(w->self) : w->changes;
	uint64_t freed = w->controller->freed ? w->controller->freed(w->self) : w->freed;

	for (unsigned round = 0; changes != w->changes && round < 4; round++) {
		w->changes = changes;
		for (unsigned i = w->waiting.first, next; i != SIM_NOBODY; i = next) {
			next = w->waiting.after[i];
			if (w->worker[i].stopped_ns <= w->now_ns)
				look(w, i);
		}
		changes = w->controller->changes(w->self);
	}
	for (unsigned tries = 0; freed != w->freed && w->waiting.first != SIM_NOBODY && tries < SIM_WORKERS; tries++) {
		unsigned i = w->waiting.first;

		while (i != SIM_NOBODY && w->worker[i].stopped_ns > w->now_ns)
			i = w->waiting.after[i];
		if (i == SIM_NOBODY)
			break;
		look(w, i);
		if (w->waiting.first == i || w->worker[i].doing == WAITING)
			break;
	}
	if (w->controller->freed)
		w->freed = w->controller->freed(w->self);
}

/* One process is killed, the next one stopped until the next time. */
static void disturb(struct world *w)
{
	uint64_t every = (uint64_t)(w->scenario->kill_every_s * 1e9);

	die(w, w->turn++ % w->processes);
	for (unsigned i = 0; i < w->workers; i++)
		if (w->worker[i].process == w->turn % w->processes)
			w->worker[i].stopped_ns = w->now_ns + every;
	at(w, w->now_ns + every, KILL, 0);
}

/* Open loop: the next free worker is given a request. */
static void offer(struct world *w)
{
	for (unsigned n = 0; n < w->workers; n++) {
		unsigned i = w->turn++ % w->workers;

		if (w->worker[i].doing == RESTING) {
			ask(w, i);
			break;
		}
	}
	at(w, w->now_ns + (uint64_t)(sim_random_exponential(&w->random, 1 / w->scenario->offered) * 1e9), OFFER, 0);
}

/* When the client of the request that has been sent gives up. */
static uint64_t ends_ns(const struct world *w, const struct worker *k)
{
	double timeout_s = w->scenario->timeout_s > 0 ? w->scenario->timeout_s : SIM_TIMEOUT_S;
	uint64_t ends = w->scenario->give_up_s > 0 ? patience_ends_ns(w, k) : k->sent_ns + (uint64_t)(timeout_s * 1e9);

	return ends > w->now_ns ? ends : w->now_ns;
}

static void arrive(struct world *w, unsigned i)
{
	struct worker *k = &w->worker[i];
	uint64_t ends = ends_ns(w, k);
	uint64_t back;

	sim_server_arrive(&w->server, w->now_ns - SIM_EPOCH_NS, &k->answer);
	if (w->server.outage != SIM_UP) {
		if (w->trouble_known && k->sent_ns >= w->trouble_ns)
			w->record->dead_requests++;
		if (sim_random_unit(&w->random) < w->scenario->kill_probe) {
			die(w, k->process);
			return;
		}
	}
	back = k->answer.leaves_ns + SIM_EPOCH_NS + half_trip(w);
	k->timed_out = k->answer.status == SIM_SILENCE || back > ends;
	at(w, k->timed_out ? ends : back, RETURN, i);
}

static void came_back(struct world *w, unsigned i)
{
	struct worker *k = &w->worker[i];
	struct sim_result r = {.answer = k->answer, .sent_ns = k->sent_ns, .latency_ns = w->now_ns - k->sent_ns};
	struct sim_record *rec = w->record;
	unsigned s = second_of(w->now_ns);
	uint64_t think = think_ns(w);

	if (k->timed_out)
		r.answer.status = SIM_SILENCE;
	if (w->server.outage != SIM_UP && !w->trouble_known &&
	    (r.answer.status == SIM_SILENCE || r.answer.status == SIM_REFUSED)) {
		w->trouble_known = true;
		w->trouble_ns = w->now_ns;
	}
	flights(w, -1);
	if (w->trace && r.answer.facts.throttled) {
		char line[256] = "";

		if (w->controller->trace)
			w->controller->trace(w->self, w->now_ns, line, sizeof(line));
		printf("%10.3f refused, sent %.3f  %s\n", (double)(w->now_ns - SIM_EPOCH_NS) / 1e9,
		       (double)(k->sent_ns - SIM_EPOCH_NS) / 1e9, line);
	}
	if (r.answer.status == SIM_OK) {
		rec->accepted[s]++;
		if (rec->trouble_over_ns != 0 && rec->recovery_s < 0 && k->sent_ns - SIM_EPOCH_NS >= rec->trouble_over_ns)
			rec->recovery_s = (double)(w->now_ns - SIM_EPOCH_NS - rec->trouble_over_ns) / 1e9;
		if (w->now_ns - SIM_EPOCH_NS >= rec->from_ns) {
			rec->worker_accepted[i]++;
			sim_record_latency(rec, r.latency_ns);
		}
	} else if (r.answer.facts.throttled && !k->timed_out) {
		rec->throttled[s]++;
		hold(w, &r.answer);
		if (rec->refusals < SIM_REFUSALS)
			rec->refusal_ns[rec->refusals++] = w->now_ns - SIM_EPOCH_NS;
	} else {
		rec->failed[s]++;
	}
	if (k->timed_out)
		vain(w, k);
	w->controller->result(w->self, i, &r, w->now_ns);
	k->doing = RESTING;
	if (w->controller->died && w->controller->died(w->self)) {
		die(w, k->process);
		return;
	}
	if (r.answer.status != SIM_OK && goes_again(w, i, &r))
		return;
	conclude(w, i, r.answer.status == SIM_OK);
	if (r.answer.status != SIM_OK)
		lose(w);
	rest(w, i, think);
}

static void every_second(struct world *w)
{
	char line[256];
	unsigned s = second_of(w->now_ns);

	flights(w, 0);
	if (s > 0)
		w->record->in_flight[s - 1] = (float)(w->flight_sum / NS);
	w->flight_sum = 0;
	if (w->controller->tick && (w->scenario->quota.limit == 0 || s % DAYS_TICK_S == 0))
		w->controller->tick(w->self, w->now_ns);
	if (w->trace && s > 0) {
		line[0] = 0;
		if (w->controller->trace)
			w->controller->trace(w->self, w->now_ns, line, sizeof(line));
		if (s < 100 || w->record->throttled[s - 1] || s % 60 == 0)
			printf("%6u sent %4u ok %4u 429 %4u other %3u no %3u  %s\n", s, w->record->sent[s - 1],
			       w->record->accepted[s - 1], w->record->throttled[s - 1], w->record->failed[s - 1],
			       w->record->refused[s - 1], line);
	}
	at(w, w->now_ns + NS, SECOND, 0);
}

static void happen(struct world *w, const struct sim_event *e)
{
	const struct sim_change *c;

	struct worker *k = &w->worker[e->worker];

	if ((e->kind == ASK || e->kind == LOOK || e->kind == RETURN) && e->stamp != k->stamp)
		return;
	if ((e->kind == ASK || e->kind == LOOK || e->kind == RETURN) && k->stopped_ns > w->now_ns) {
		at(w, k->stopped_ns, (enum event)e->kind, e->worker);
		return;
	}
	switch ((enum event)e->kind) {
	case ASK:
		ask(w, e->worker);
		break;
	case LOOK:
		k->due_ns = 0;
		look(w, e->worker);
		break;
	case ARRIVE:
		if (e->stamp == k->stamp)
			arrive(w, e->worker);
		break;
	case RETURN:
		came_back(w, e->worker);
		break;
	case CHANGE:
		c = &w->scenario->change[e->stamp];
		sim_server_change(&w->server, c->kind, c->value, w->now_ns - SIM_EPOCH_NS);
		if (c->kind == SIM_SET_OUTAGE && c->value <= SIM_UP) {
			w->record->trouble_over_ns = w->now_ns - SIM_EPOCH_NS;
			w->record->recovery_s = -1;
		}
		break;
	case SECOND:
		every_second(w);
		break;
	case KILL:
		disturb(w);
		break;
	case OFFER:
		offer(w);
		break;
	}
	look_all_if_changed(w);
}

static uint64_t begins_ns(const struct world *w, unsigned i)
{
	bool last = w->worker[i].process + 1 == w->processes && w->scenario->last_at_s > 0;

	return w->now_ns + (last ? (uint64_t)(w->scenario->last_at_s * 1e9) : 0);
}

static void populate(struct world *w)
{
	unsigned processes = w->scenario->processes ? w->scenario->processes : 16;
	unsigned threads = w->scenario->threads ? w->scenario->threads : 1;

	w->processes = processes + (w->scenario->big > 0);
	for (unsigned p = 0; p < w->processes; p++)
		for (unsigned t = 0; t < (p < processes ? threads : w->scenario->big) && w->workers < SIM_WORKERS; t++) {
			w->worker[w->workers].process = p;
			w->record->process_of[w->workers] = (uint16_t)p;
			w->process_of[w->workers++] = p;
		}
	w->record->workers = w->workers;
	w->record->processes = w->processes;
	w->record->last_waited_s = -1;
	for (unsigned i = 0; i < w->workers; i++)
		w->record->polite += w->process_of[i] + w->scenario->hammers < w->processes;
	for (unsigned i = 0; i < w->workers && w->scenario->offered <= 0; i++)
		at(w, begins_ns(w, i) + sim_random_u64(&w->random) % (NS / 100), ASK, i);
	if (w->scenario->offered > 0)
		at(w, w->now_ns, OFFER, 0);
	if (w->scenario->kill_every_s > 0)
		at(w, w->now_ns + (uint64_t)(w->scenario->kill_every_s * 1e9), KILL, 0);
}

static void plan(struct world *w)
{
	const struct sim_scenario *s = w->scenario;
	double duration = s->duration_s, from = s->from_s;

	if (s->windows > 0) {
		double phase = (double)w->server.phase_ns[0] / 1e9;

		duration = phase + s->windows * s->limit[0].window_s;
		from = phase + s->from_window * s->limit[0].window_s;
	}
	for (unsigned k = 0; k < SIM_DAYS && s->quota.midnight_s[k] != 0; k++)
		duration = (double)(s->quota.midnight_s[k] - s->quota.begin_s);
	if (w->controller->brief && s->windows > 0)
		duration = from + s->limit[0].window_s;
	else if (w->controller->brief && duration > BRIEF_S && s->change[0].kind == SIM_KEEP)
		duration = from < BRIEF_S ? BRIEF_S : from + BRIEF_S;
	w->record->end_ns = (uint64_t)(duration * 1e9);
	w->record->from_ns = (uint64_t)(from * 1e9);
	w->end_ns = SIM_EPOCH_NS + w->record->end_ns;
	for (unsigned k = 0; k < SIM_CHANGES; k++) {
		const struct sim_change *c = &s->change[k];
		double when = c->until_s > c->at_s ? sim_random_between(&w->random, c->at_s, c->until_s) : c->at_s;

		w->record->change_s[k] = when;
		if (c->kind != SIM_KEEP)
			sim_calendar_add(&w->calendar, SIM_EPOCH_NS + (uint64_t)(when * 1e9), CHANGE, 0, k);
	}
	at(w, SIM_EPOCH_NS, SECOND, 0);
}

void sim_run(const struct sim_scenario *scenario, const struct sim_controller *controller, uint64_t seed, bool trace,
	     struct sim_record *record, double metric[SIM_METRICS])
{
	struct world *w = calloc(1, sizeof(*w));
	struct sim_setting setting;
	struct sim_event e;

	if (w == NULL) {
		perror("simulate");
		exit(1);
	}
	sim_record_clear(record);
	*w = (struct world){.scenario = scenario, .controller = controller, .record = record, .trace = trace};
	w->now_ns = w->flight_from_ns = SIM_EPOCH_NS;
	sim_waiting_start(&w->waiting);
	w->items = scenario->items;
	w->random.state = seed * 1000003 + 5;
	sim_server_start(&w->server, scenario, seed);
	plan(w);
	populate(w);
	setting = (struct sim_setting){.scenario = scenario,
				       .server = &w->server,
				       .seed = seed,
				       .processes = w->processes,
				       .workers = w->workers,
				       .process_of = w->process_of};
	w->self = controller->start(&setting);
	while (sim_calendar_next(&w->calendar, &e) && e.at_ns < w->end_ns) {
		w->now_ns = e.at_ns;
		happen(w, &e);
	}
	record->trips = controller->trips ? controller->trips(w->self) : 0;
	record->deaths = controller->deaths ? controller->deaths(w->self) : 0;
	record->paced = controller->paced && controller->paced(w->self);
	if (controller->leaked) {
		controller->tick(w->self, w->now_ns + NS);
		record->leaked = controller->leaked(w->self);
	}
	for (int m = 0; m < SIM_METRICS; m++)
		metric[m] = sim_metric_of(record, scenario, &w->server, (enum sim_metric)m);
	controller->stop(w->self);
	sim_calendar_free(&w->calendar);
	free(w);
}
