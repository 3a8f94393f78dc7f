/* SPDX-License-Identifier: MIT */
/*
 * weir itself: the gate that ships, over a segment in anonymous memory, on the virtual clock. Policy: the built-in defaults, but
 * for wait.max, which is a day, so that clients of slow hosts wait as the other controllers' do instead of being refused; or
 * those of another profile.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "controller.h"
#include "departures.h"
#include "mortal.h"
#include "random.h"
#include "record.h"
#include "src/limit/rate_state.h"
#include "weir/again.h"
#include "weir/published.h"
#include "weir/gate.h"
#include "weir/ledger.h"

#define ENTRIES 16

enum weir_profile sim_profile = WEIR_PROFILE_BALANCED;

#define HOST "api.example.org:443"
#define DAY  (UINT64_C(86400) * 1000000000)
#define WALL UINT64_C(1790000000000000000) /* some day in 2026 */

/* No process has such a pid (/proc/sys/kernel/pid_max is at most 2^22). */
#define DEAD_PID UINT64_C(0x3ffffff0)

/* A call of the gate takes so many instructions, more or less; who is to die in one does after that many at most. */
#define INSTRUCTIONS 4000

struct weir_client {
	struct weir_segment segment;
	struct weir_gate gate;
	struct weir_owner living, dead;
	struct sim_random fate; /* of who dies, and where */
	bool died;              /* in the last result */
	uint64_t deaths;
	struct weir_request request[SIM_WORKERS];
	bool repeats[SIM_WORKERS]; /* its next request is another attempt */
	const struct sim_setting *setting;
	struct sim_random random; /* of the waits between attempts */
	struct weir_rule rule;
	struct weir_entry *entry;
	size_t bytes;
	void *memory;
};

/* The ledger of a run, and its clocks: one run at a time. */
static struct weir_ledger ledger;
static uint64_t quota_begin_s, clock_ns;

static const struct weir_ledger *the_ledger(void)
{
	return &ledger;
}

static uint64_t ledger_wall_ms(void)
{
	return quota_begin_s * 1000 + (clock_ns - SIM_EPOCH_NS) / 1000000;
}

static void no_disk(void *page, size_t bytes)
{
	(void)page;
	(void)bytes;
}

static void open_ledger(struct weir_client *w, const struct sim_quota *q)
{
	struct weir_allowance *one = &w->rule.allowances.one[0];
	struct weir_zone *zone = &w->rule.allowances.zone[0];
	void *memory = mmap(NULL, WEIR_LEDGER_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		fprintf(stderr, "simulate: no memory for a ledger\n");
		exit(1);
	}
	memset(&ledger, 0, sizeof(ledger));
	weir_ledger_format(&ledger, memory, 0);
	ledger.boot = 1;
	ledger.wall_ms = ledger_wall_ms;
	ledger.sync = no_disk;
	quota_begin_s = q->begin_s;
	w->segment.ledger = the_ledger;
	*one = (struct weir_allowance){.limit = q->limit, .every = 1, .unit = WEIR_PER_DAY};
	one->flags = q->spread ? WEIR_ALLOWANCE_SPREAD : 0;
	*zone = (struct weir_zone){.name = "Europe/Berlin",
				   .change = {(uint32_t)q->change_s[0], (uint32_t)q->change_s[1]},
				   .offset = {q->before, q->between, q->after}};
	one->digest = weir_allowance_digest(&w->rule.allowances, 0);
}

static void *start(const struct sim_setting *setting)
{
	struct weir_geometry g = {.entries = ENTRIES, .leases = 512, .events = 64, .rules = 1};
	struct weir_client *w = calloc(1, sizeof(*w));

	w->setting = setting;
	w->bytes = weir_segment_bytes(&g);
	w->memory = mmap(NULL, w->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w->memory == MAP_FAILED || !weir_segment_format(&w->segment, w->memory, w->bytes, &g, NULL, WALL)) {
		fprintf(stderr, "simulate: no memory for a segment\n");
		exit(1);
	}
	weir_rule_defaults(&w->rule);
	weir_rule_profile(&w->rule, sim_profile);
	if (setting->scenario->patience_s <= 0)
		w->rule.wait_max_ns = DAY;
	else
		w->rule.wait_max_ns = (uint64_t)(setting->scenario->patience_s * 1e9);
	if (setting->scenario->hold_max_s > 0)
		w->rule.hold_max_ns = (uint64_t)(setting->scenario->hold_max_s * 1e9);
	if (setting->scenario->limit[0].kind == SIM_BUDGET) {
		w->rule.flags |= WEIR_RULE_LIMITS_RATE;
		w->rule.rate.strategy = WEIR_FIXED;
		w->rule.rate.max = (uint64_t)(setting->scenario->limit[0].rate * 1e9);
		w->rule.rate.burst = (uint32_t)setting->scenario->limit[0].burst;
	}
	if (setting->scenario->attempts > 0)
		w->rule.retry.attempts = setting->scenario->attempts;
	if (setting->scenario->per_client > 0) {
		w->rule.narrow.client_rate = (uint64_t)(setting->scenario->per_client * 1e9);
		w->rule.narrow.client_burst = 1;
	}
	if (setting->scenario->quota.limit > 0)
		open_ledger(w, &setting->scenario->quota);
	w->fate.state = setting->seed * 104729 + 3;
	w->random.state = setting->seed * 7919 + 11;
	weir_policy_publish(&w->segment, &w->rule, 1, NULL, NULL, 0, false, WALL);
	w->gate.segment = &w->segment;
	weir_owner_self(&w->living);
	w->dead = w->living;
	w->dead.pid = DEAD_PID;
	w->gate.owner = w->living;
	return w;
}

static void stop(void *self)
{
	struct weir_client *w = self;

	munmap(w->memory, w->bytes);
	if (ledger.header != NULL)
		munmap(ledger.header, WEIR_LEDGER_BYTES);
	memset(&ledger, 0, sizeof(ledger));
	free(w);
}

static enum sim_verdict verdict(struct weir_client *w, unsigned worker, enum weir_verdict v, uint64_t now_ns, uint64_t *wake_ns)
{
	const struct weir_request *r = &w->request[worker];

	if (v == WEIR_GO)
		return SIM_GO;
	if (v == WEIR_WAIT) {
		/* The gate looks every second in case a wake-up is missed; here none is. */
		if (r->cause == WEIR_CAUSE_HOLD || r->cause == WEIR_CAUSE_QUOTA_HEADER || r->cause == WEIR_CAUSE_QUOTA_SPENT ||
		    r->cause == WEIR_CAUSE_QUOTA_PACED)
			*wake_ns = r->until_ns;
		/* Where there are classes a time is what it would be as things are. */
		if (r->cause == WEIR_CAUSE_RATE && w->setting->scenario->low + w->setting->scenario->high == 0)
			*wake_ns = r->until_ns;
		if (r->cause == WEIR_CAUSE_CONCURRENCY)
			*wake_ns = now_ns + 1000000000;
		return SIM_WAIT;
	}
	*wake_ns = r->until_ns != 0 && r->until_ns != WEIR_NEVER ? r->until_ns : now_ns;
	return SIM_NO;
}

/* A call of the gate that may be somebody's last. */
struct call {
	struct weir_client *w;
	unsigned worker;
	const struct weir_wish *wish;     /* begin; NULL: */
	const struct weir_result *result; /* settle; NULL: look */
	uint64_t now_ns, wake_ns;
	enum weir_verdict verdict;
};

static void make(void *arg)
{
	struct call *c = arg;
	struct weir_request *r = &c->w->request[c->worker];

	if (c->wish != NULL)
		c->verdict = weir_gate_begin(&c->w->gate, r, c->wish, c->now_ns, &c->wake_ns);
	else if (c->result != NULL)
		weir_gate_settle(&c->w->gate, r, c->result, c->now_ns);
	else
		c->verdict = weir_gate_look(&c->w->gate, r, c->now_ns, &c->wake_ns);
}

static bool is_doomed(struct weir_client *w)
{
	double share = w->setting->scenario->deaths;

	return share > 0 && sim_random_unit(&w->fate) < share;
}

/* Its lease is not given back; what the kernel would say of its pid, it says of this one. */
static void leave_to_the_dead(struct weir_client *w, struct weir_request *r)
{
	uint64_t word = atomic_load(&w->segment.lease[r->lease].word);

	atomic_store(&w->segment.lease[r->lease].word, (word & UINT32_MAX) | DEAD_PID << 32);
	r->owner_pid = DEAD_PID;
}

static bool is_under_way(const struct weir_request *r)
{
	return r->lease != WEIR_NONE && (r->phase == WEIR_PHASE_WAITING || r->phase == WEIR_PHASE_ADMITTED);
}

/* False: the process has died in it, or at its end. */
static bool survives(struct call *c)
{
	struct weir_client *w = c->w;
	struct weir_request *r = &w->request[c->worker];

	clock_ns = c->now_ns;
	if (!is_doomed(w)) {
		make(c);
		return true;
	}
	if (c->wish == NULL && is_under_way(r))
		leave_to_the_dead(w, r);
	w->gate.owner = w->dead;
	sim_dies_after(1 + sim_random_u64(&w->fate) % INSTRUCTIONS, make, c);
	w->gate.owner = w->living;
	memset(r, 0, sizeof(*r));
	w->deaths++;
	return false;
}

static enum sim_verdict ask(void *self, unsigned worker, uint64_t now_ns, uint64_t *wake_ns)
{
	struct weir_client *w = self;
	struct weir_wish wish = {.host_port = HOST, .lease_hint = worker, .lease_ns = DAY, .credential = 1, .path = 1};
	double timeout_s = w->setting->scenario->timeout_s > 0 ? w->setting->scenario->timeout_s : SIM_TIMEOUT_S;
	struct call c = {.w = w, .worker = worker, .wish = &wish, .now_ns = now_ns};

	if (w->setting->process_of[worker] + w->setting->scenario->hammers >= w->setting->processes)
		wish.patience_ns = SIM_HAMMER_PATIENCE_NS;
	if (w->setting->scenario->give_up_s > 0)
		wish.patience_ns = (uint64_t)(w->setting->scenario->give_up_s * 1e9);
	wish.lease_ns = (uint64_t)(timeout_s * 1e9) + 1000000000;
	w->gate.priority = sim_class_of(w->setting->scenario, w->setting->process_of[worker], w->setting->processes) + 1;
	if (w->setting->scenario->per_client > 0)
		snprintf(w->gate.client, sizeof(w->gate.client), "client-%u", w->setting->process_of[worker]);
	if (!survives(&c))
		return SIM_DIED;
	*wake_ns = c.wake_ns;
	if (w->entry == NULL && w->request[worker].scope[0].slot <= w->segment.entries)
		w->entry = &w->segment.entry[w->request[worker].scope[0].slot];
	if (!w->repeats[worker] && w->request[worker].retries)
		weir_gate_retry_earn(&w->gate, &w->request[worker], now_ns);
	w->repeats[worker] = false;
	return verdict(w, worker, c.verdict, now_ns, wake_ns);
}

static enum sim_verdict look(void *self, unsigned worker, uint64_t now_ns, uint64_t *wake_ns)
{
	struct weir_client *w = self;

	struct call c = {.w = w, .worker = worker, .now_ns = now_ns};

	if (!survives(&c))
		return SIM_DIED;
	*wake_ns = c.wake_ns;
	return verdict(w, worker, c.verdict, now_ns, wake_ns);
}

static void headers(struct weir_client *w, const struct sim_result *r, uint64_t now_ns, struct weir_result *out)
{
	struct sim_headers text;
	struct weir_said said;

	if (w->setting->scenario->dialect == SIM_BARE || r->answer.status == SIM_SILENCE || r->answer.status == SIM_REFUSED)
		return;
	sim_dialect_word(w->setting->scenario->dialect, &r->answer.facts, WALL + r->answer.leaves_ns, &text);
	headers_read(&text.h, WALL + now_ns, &said);
	out->quotas = said.quotas;
	out->resource = said.resource;
	memcpy(out->quota, said.quota, sizeof(out->quota));
	if (r->answer.status == SIM_TOO_MANY)
		out->retry_after_ns = weir_said_hold(&said, &out->hold_cause);
}

static const int http[] = {
	[SIM_OK] = 200, [SIM_TOO_MANY] = 429, [SIM_UNAVAILABLE] = 503, [SIM_ERROR] = 500, [SIM_FORBIDDEN] = 403};

static void result(void *self, unsigned worker, const struct sim_result *r, uint64_t now_ns)
{
	struct weir_client *w = self;
	struct weir_result out = {.latency_ns = r->latency_ns};
	struct call c = {.w = w, .worker = worker, .result = &out, .now_ns = now_ns};

	if (r->answer.status == SIM_SILENCE || r->answer.status == SIM_REFUSED) {
		out.outcome = WEIR_FAILED;
		out.timed_out = r->answer.status == SIM_SILENCE;
	} else {
		headers(w, r, now_ns, &out);
		out.status = (uint32_t)http[r->answer.status];
		out.outcome = weir_gate_classify(&w->gate, &w->request[worker], http[r->answer.status], out.retry_after_ns != 0);
	}
	w->died = !survives(&c);
}

static bool died(void *self)
{
	return ((struct weir_client *)self)->died;
}

static uint64_t deaths(void *self)
{
	return ((struct weir_client *)self)->deaths;
}

static enum weir_retry_kind kind_of(const struct weir_client *w, const struct sim_result *r, unsigned worker)
{
	if (r->answer.status == SIM_SILENCE)
		return WEIR_RETRY_TIMEOUT;
	if (r->answer.status == SIM_REFUSED)
		return WEIR_RETRY_CONNECT;
	if (weir_gate_classify(&w->gate, &w->request[worker], http[r->answer.status], false) == WEIR_THROTTLED)
		return WEIR_RETRY_THROTTLED;
	return http[r->answer.status] >= 500 ? WEIR_RETRY_SERVER_ERROR : WEIR_RETRY_NONE;
}

/* As src/preload/curl/again.c asks: whether at all, then the budget. */
static bool again(void *self, unsigned worker, const struct sim_result *r, unsigned attempt, uint64_t now_ns, uint64_t *wait_ns)
{
	struct weir_client *w = self;
	struct weir_retry_params p;
	struct weir_attempt a = {.number = attempt,
				 .kind = kind_of(w, r, worker),
				 .method = WEIR_METHOD_GET,
				 .held = weir_gate_retry_is_held(&w->gate, &w->request[worker], now_ns),
				 .now_ns = now_ns,
				 .random = sim_random_u64(&w->random)};

	w->repeats[worker] = weir_gate_retry(&w->gate, &w->request[worker], &p) &&
			     weir_again_decide(&p, &a, wait_ns) == WEIR_AGAIN_YES &&
			     weir_gate_retry_spend(&w->gate, &w->request[worker], now_ns);
	return w->repeats[worker];
}

/* What all who wait are woken for: a new pace, a hold, the breaker, another limit. */
static uint64_t changes(void *self)
{
	struct weir_client *w = self;

	if (w->entry == NULL)
		return 0;
	return atomic_load(&w->entry->bucket[0].generation) + 3 * atomic_load(&w->entry->hold.until_ns) +
	       7 * atomic_load(&w->entry->breaker.word) + 13 * atomic_load(&w->entry->concurrency.generation);
}

static uint64_t freed(void *self)
{
	struct weir_client *w = self;

	return w->entry == NULL ? 0 : weir_concurrency_count(&w->entry->concurrency);
}

/* The process is gone; its leases are not. */
static void kill_process(void *self, unsigned process, uint64_t now_ns)
{
	struct weir_client *w = self;

	(void)now_ns;
	for (unsigned i = 0; i < w->setting->workers; i++) {
		struct weir_request *r = &w->request[i];

		if (w->setting->process_of[i] != process || !is_under_way(r))
			continue;
		leave_to_the_dead(w, r);
		memset(r, 0, sizeof(*r));
	}
}

static uint64_t virtual_clock(void)
{
	return clock_ns;
}

/* What the agent does once a second. It may die, too; its heir begins anew. */
static void housekeeping(void *arg)
{
	struct weir_client *w = arg;
	struct weir_occupancy room[ENTRIES + 1];

	weir_lease_reap(&w->segment, &w->living, false, clock_ns);
	weir_gate_requeue(&w->segment, room, virtual_clock);
}

static void tick(void *self, uint64_t now_ns)
{
	struct weir_client *w = self;

	clock_ns = now_ns;
	if (!is_doomed(w)) {
		housekeeping(w);
		return;
	}
	w->deaths++;
	sim_dies_after(1 + sim_random_u64(&w->fate) % INSTRUCTIONS, housekeeping, w);
}

static uint64_t trips(void *self)
{
	struct weir_client *w = self;

	return w->entry == NULL ? 0 : atomic_load(&w->entry->breaker.opened_total);
}

static bool paced(void *self)
{
	struct weir_client *w = self;

	return w->entry != NULL && weir_bucket_pace(&w->entry->bucket[0]).rate != 0;
}

static unsigned leaked(void *self)
{
	struct weir_client *w = self;
	unsigned held = 0;

	if (w->entry == NULL)
		return 0;
	for (unsigned i = 0; i < w->setting->workers; i++)
		held += w->request[i].phase == WEIR_PHASE_ADMITTED && w->request[i].held != 0;
	return weir_concurrency_count(&w->entry->concurrency) - held;
}

static void trace(void *self, uint64_t now_ns, char *out, size_t size)
{
	struct weir_client *w = self;
	uint64_t word[WEIR_RATE_WORDS];
	struct rate_state s;
	struct weir_refusal_view refusal;
	struct weir_pace pace;

	if (w->entry == NULL)
		return;
	pace = weir_bucket_pace(&w->entry->bucket[0]);
	weir_published_read(&w->entry->rate.generation, w->entry->rate.state, WEIR_RATE_WORDS, word);
	memcpy(&s, word, sizeof(s));
	refusal = weir_refusal_look(&w->entry->refusal);
	snprintf(out, size,
		 "%u means %u, trial %u, chance %u, allowed %u; rate %.4f frozen %.2f s, permits %u of %u, breaker %d, phase %u "
		 "estimate %.4f trust %u plateau %u agreed %u "
		 "growth "
		 "%.3f window %u/%.1f s, run %u",
		 refusal.status, (unsigned)refusal.meaning, (unsigned)refusal.trial, refusal.chance_permille, refusal.permits,
		 (double)pace.rate / 1e9, pace.t0_ns > now_ns ? (double)(pace.t0_ns - now_ns) / 1e9 : 0,
		 weir_concurrency_count(&w->entry->concurrency),
		 weir_concurrency_limit(&w->entry->concurrency, &w->rule.concurrency),
		 (int)weir_breaker_view(&w->entry->breaker, &w->rule.breaker, now_ns).state, (unsigned)s.phase,
		 (double)s.estimate / 1e9, (unsigned)s.trust, (unsigned)s.plateau, (unsigned)s.agreed, (double)s.growth_ppm / 1e6,
		 (unsigned)s.window_limit, (double)s.window_ns / 1e9, (unsigned)s.runs);
}

const struct sim_controller sim_weir = {.name = "weir",
					.start = start,
					.stop = stop,
					.ask = ask,
					.look = look,
					.result = result,
					.again = again,
					.died = died,
					.deaths = deaths,
					.changes = changes,
					.freed = freed,
					.kill = kill_process,
					.tick = tick,
					.trips = trips,
					.paced = paced,
					.leaked = leaked,
					.trace = trace};
