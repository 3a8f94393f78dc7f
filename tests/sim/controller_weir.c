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
#include "random.h"
#include "record.h"
#include "src/limit/rate_state.h"
#include "weir/again.h"
#include "weir/published.h"
#include "weir/gate.h"

#define ENTRIES 16

enum weir_profile sim_profile = WEIR_PROFILE_BALANCED;

#define HOST "api.example.org:443"
#define DAY  (UINT64_C(86400) * 1000000000)
#define WALL UINT64_C(1790000000000000000) /* some day in 2026 */

/* No process has such a pid (/proc/sys/kernel/pid_max is at most 2^22). */
#define DEAD_PID UINT64_C(0x3ffffff0)

struct weir_client {
	struct weir_segment segment;
	struct weir_gate gate;
	struct weir_request request[SIM_WORKERS];
	bool repeats[SIM_WORKERS]; /* its next request is another attempt */
	const struct sim_setting *setting;
	struct sim_random random; /* of the waits between attempts */
	struct weir_rule rule;
	struct weir_entry *entry;
	size_t bytes;
	void *memory;
};

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
	w->random.state = setting->seed * 7919 + 11;
	weir_policy_publish(&w->segment, &w->rule, 1, NULL, NULL, 0, false, WALL);
	w->gate.segment = &w->segment;
	weir_owner_self(&w->gate.owner);
	return w;
}

static void stop(void *self)
{
	struct weir_client *w = self;

	munmap(w->memory, w->bytes);
	free(w);
}

static enum sim_verdict verdict(struct weir_client *w, unsigned worker, enum weir_verdict v, uint64_t now_ns, uint64_t *wake_ns)
{
	const struct weir_request *r = &w->request[worker];

	if (v == WEIR_GO)
		return SIM_GO;
	if (v == WEIR_WAIT) {
		/* The gate looks every second in case a wake-up is missed; here none is. */
		if (r->cause == WEIR_CAUSE_RATE || r->cause == WEIR_CAUSE_HOLD || r->cause == WEIR_CAUSE_QUOTA_HEADER)
			*wake_ns = r->until_ns;
		if (r->cause == WEIR_CAUSE_CONCURRENCY)
			*wake_ns = now_ns + 1000000000;
		return SIM_WAIT;
	}
	*wake_ns = r->until_ns != 0 && r->until_ns != WEIR_NEVER ? r->until_ns : now_ns;
	return SIM_NO;
}

static enum sim_verdict ask(void *self, unsigned worker, uint64_t now_ns, uint64_t *wake_ns)
{
	struct weir_client *w = self;
	struct weir_wish wish = {.host_port = HOST, .lease_hint = worker, .lease_ns = DAY, .credential = 1, .path = 1};
	double timeout_s = w->setting->scenario->timeout_s > 0 ? w->setting->scenario->timeout_s : SIM_TIMEOUT_S;
	enum weir_verdict v;

	if (w->setting->process_of[worker] + w->setting->scenario->hammers >= w->setting->processes)
		wish.patience_ns = SIM_HAMMER_PATIENCE_NS;
	if (w->setting->scenario->give_up_s > 0)
		wish.patience_ns = (uint64_t)(w->setting->scenario->give_up_s * 1e9);
	wish.lease_ns = (uint64_t)(timeout_s * 1e9) + 1000000000;
	v = weir_gate_begin(&w->gate, &w->request[worker], &wish, now_ns, wake_ns);
	if (w->entry == NULL && w->request[worker].scope[0].slot <= w->segment.entries)
		w->entry = &w->segment.entry[w->request[worker].scope[0].slot];
	if (!w->repeats[worker] && w->request[worker].retries)
		weir_gate_retry_earn(&w->gate, &w->request[worker], now_ns);
	w->repeats[worker] = false;
	return verdict(w, worker, v, now_ns, wake_ns);
}

static enum sim_verdict look(void *self, unsigned worker, uint64_t now_ns, uint64_t *wake_ns)
{
	struct weir_client *w = self;

	return verdict(w, worker, weir_gate_look(&w->gate, &w->request[worker], now_ns, wake_ns), now_ns, wake_ns);
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

	if (r->answer.status == SIM_SILENCE || r->answer.status == SIM_REFUSED) {
		out.outcome = WEIR_FAILED;
		out.timed_out = r->answer.status == SIM_SILENCE;
	} else {
		headers(w, r, now_ns, &out);
		out.status = (uint32_t)http[r->answer.status];
		out.outcome = weir_gate_classify(&w->gate, &w->request[worker], http[r->answer.status], out.retry_after_ns != 0);
	}
	weir_gate_settle(&w->gate, &w->request[worker], &out, now_ns);
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

/* The process is gone; its leases are not. What the kernel would say of its pid, it says of this one. */
static void kill_process(void *self, unsigned process, uint64_t now_ns)
{
	struct weir_client *w = self;

	(void)now_ns;
	for (unsigned i = 0; i < w->setting->workers; i++) {
		struct weir_request *r = &w->request[i];
		uint64_t word;

		if (w->setting->process_of[i] != process || r->lease == WEIR_NONE)
			continue;
		if (r->phase != WEIR_PHASE_WAITING && r->phase != WEIR_PHASE_ADMITTED)
			continue;
		word = atomic_load(&w->segment.lease[r->lease].word);
		atomic_store(&w->segment.lease[r->lease].word, (word & UINT32_MAX) | DEAD_PID << 32);
		memset(r, 0, sizeof(*r));
	}
}

static uint64_t ticked_ns;

static uint64_t virtual_clock(void)
{
	return ticked_ns;
}

static void tick(void *self, uint64_t now_ns)
{
	struct weir_client *w = self;
	struct weir_occupancy room[ENTRIES + 1];

	weir_lease_reap(&w->segment, &w->gate.owner, false, now_ns);
	ticked_ns = now_ns;
	weir_gate_requeue(&w->segment, room, virtual_clock);
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
					.changes = changes,
					.freed = freed,
					.kill = kill_process,
					.tick = tick,
					.trips = trips,
					.paced = paced,
					.leaked = leaked,
					.trace = trace};
