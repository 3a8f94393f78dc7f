/* SPDX-License-Identifier: MIT */
/*
 * One look at a waiting request: may it go now, when else, or never.
 *
 * The order is: breaker (refuses, or lets wait out the beginning of an outage), units and hold (a time that is known), then the
 * permits (a time that is not). A unit is taken once and kept; the breaker's ticket and the permits are taken only at the moment
 * of going.
 */
#include "look.h"

#include <signal.h>

#include "allowance.h"
#include "count.h"
#include "degrade.h"
#include "permits.h"
#include "queue.h"
#include "release.h"
#include "units.h"
#include "weir/outage.h"

/* So long a request waits for the answers of those that what is left of the quota is promised to. */
#define PROMISED_NS UINT64_C(5000000000)

/* Those who wait look for the dead this often, all together. */
#define REAP_EVERY_MS UINT64_C(200)
#define SKEW_MS       UINT64_C(1000)

/* The dead may hold the permits that this request waits for, or the breaker's probe. Of all those who wait, one looks for them
 * every REAP_EVERY_MS; where they are in two pid namespaces these take turns, because nobody can tell who is dead in another. */
bool request_reap(const struct weir_gate *g, uint64_t now_ns)
{
	_Atomic uint64_t *last = &g->segment->header->waiters_reaped;
	uint64_t seen = atomic_load_explicit(last, memory_order_relaxed), now_ms = now_ns / 1000000;
	uint64_t mine = now_ms << 24 | (g->owner.pid_namespace & 0xffffff);

	/* Somebody's clock may have been read a moment later; a time that lies further ahead is damage. */
	if (seen >> 24 < now_ms + SKEW_MS &&
	    now_ms < (seen >> 24) + (((seen ^ mine) & 0xffffff) == 0 ? REAP_EVERY_MS : REAP_EVERY_MS / 2))
		return false;
	if (!atomic_compare_exchange_strong_explicit(last, &seen, mine, memory_order_relaxed, memory_order_relaxed))
		return false;
	weir_lease_reap(g->segment, &g->owner, false, now_ns);
	return true;
}

static enum weir_cause breaker_cause(const struct scope *host, uint64_t now_ns)
{
	struct weir_breaker_view v = weir_breaker_view(&host->entry->breaker, &host->rule->breaker, now_ns);

	if (v.state == WEIR_BREAKER_FORCED_OPEN)
		return WEIR_CAUSE_FORCED;
	return v.state == WEIR_BREAKER_HALF_OPEN ? WEIR_CAUSE_PROBE : WEIR_CAUSE_BREAKER;
}

enum weir_verdict request_refuse(const struct weir_gate *g, struct weir_request *r, const struct scope *host,
				 enum weir_cause cause, uint64_t until_ns, bool timed_out, uint64_t now_ns)
{
	struct weir_counters *c = &host->entry->counters;

	r->cause = cause;
	r->until_ns = until_ns;
	r->timed_out = timed_out;
	r->phase = WEIR_PHASE_REFUSED;
	atomic_fetch_add_explicit(&c->refused, 1, memory_order_relaxed);
	count_refused(g, r, cause);
	queue_note_refused(r, host);
	if (r->delayed && !r->delay_counted) {
		atomic_fetch_add_explicit(&c->delayed, 1, memory_order_relaxed);
		queue_note_delayed(r, host);
		weir_durations_add(g->segment, host->slot, WEIR_DURATIONS_WAIT, now_ns - r->begun_ns);
		count_waited(g, r, now_ns);
	}
	request_leave_permits(g, r, false);
	request_give_allowances(g, r);
	request_give_units(g, r);
	request_free_lease(g, r);
	return WEIR_REFUSE;
}

uint64_t request_waits_out_until(const struct scope *host, uint64_t until_ns, uint64_t latest_ns, uint64_t now_ns)
{
	uint64_t grace = host->rule->grace_ns;
	uint64_t end = weir_outage_grace_ends_ns(&host->entry->meaning, grace, now_ns);
	enum weir_cause cause = breaker_cause(host, now_ns);

	if (grace == 0 || cause == WEIR_CAUSE_FORCED)
		return 0;
	/* While a probe is under way its answer may come at any time; while none is, nothing happens before the next. */
	if (cause == WEIR_CAUSE_BREAKER && until_ns > latest_ns)
		return 0;
	return end < latest_ns ? end : latest_ns;
}

/* The breaker refuses. A probe that is under way may belong to a dead process: then the next request is the probe. */
static enum weir_cause stopped_by(const struct weir_gate *g, const struct scope *host, uint64_t now_ns)
{
	enum weir_cause cause = breaker_cause(host, now_ns);

	weir_breaker_cut(&host->entry->breaker, &host->rule->breaker, now_ns);
	if (cause == WEIR_CAUSE_PROBE)
		request_reap(g, now_ns);
	return cause;
}

/* In the beginning of an outage the request waits; later, and where it is not patient enough, it is refused. */
static enum weir_verdict wait_out_or_refuse(const struct weir_gate *g, struct weir_request *r, const struct scope *host,
					    uint64_t until_ns, uint64_t now_ns, uint64_t *wake_ns)
{
	enum weir_cause cause = stopped_by(g, host, now_ns);
	uint64_t end;

	weir_outage_met(&host->entry->meaning, now_ns);
	end = request_waits_out_until(host, until_ns, r->latest_ns, now_ns);
	if (end <= now_ns)
		return request_refuse(g, r, host, cause, until_ns, false, now_ns);
	r->cause = WEIR_CAUSE_OUTAGE;
	r->until_ns = end;
	r->delayed = true;
	r->wake_bits = WAKE_ON_CHANGE | WAKE_ON_ANSWER; /* a probe that is over need not change the breaker */
	*wake_ns = end - now_ns < SLEEP_MAX_NS ? end : now_ns + SLEEP_MAX_NS;
	if (until_ns > now_ns && until_ns < *wake_ns)
		*wake_ns = until_ns;
	return WEIR_WAIT;
}

/* Waits until `at` for a time that is known: refused now rather than later when that is too late. */
static enum weir_verdict wait_until(const struct weir_gate *g, struct weir_request *r, const struct scope *host,
				    enum weir_cause cause, uint64_t at, uint64_t now_ns, uint64_t *wake_ns)
{
	if (at > r->latest_ns)
		return request_refuse(g, r, host, cause, at, true, now_ns);
	r->cause = cause;
	r->until_ns = at;
	r->delayed = true;
	*wake_ns = at - now_ns < SLEEP_MAX_NS ? at : now_ns + SLEEP_MAX_NS;
	return WEIR_WAIT;
}

/* What the configuration's quotas say: GO, they let it go now, or *wake_ns, or the refusal. Spent, they name the time at which
 * they begin anew; that is no time-out. */
static __attribute__((noinline)) enum weir_verdict wait_for_quota(const struct weir_gate *g, struct weir_request *r,
								  const struct scope scope[WEIR_SCOPES], uint64_t now_ns,
								  uint64_t *wake_ns)
{
	enum weir_cause cause = WEIR_CAUSE_NONE;
	uint64_t at = allowances_ready_ns(g, r, scope, now_ns, &cause);

	if (at <= now_ns)
		return WEIR_GO;
	if (at > r->latest_ns && cause == WEIR_CAUSE_QUOTA_SPENT)
		return request_refuse(g, r, &scope[SCOPE_HOST], cause, at, false, now_ns);
	return wait_until(g, r, &scope[SCOPE_HOST], cause, at, now_ns, wake_ns);
}

/* Waits for a permit, which nobody can put a time on. */
static enum weir_verdict wait_for_permit(const struct weir_gate *g, struct weir_request *r, const struct scope *host, bool ramp,
					 uint64_t now_ns, uint64_t *wake_ns)
{
	enum weir_cause cause = ramp ? WEIR_CAUSE_RAMP : WEIR_CAUSE_CONCURRENCY;

	if (now_ns >= r->latest_ns)
		return request_refuse(g, r, host, cause, 0, true, now_ns);
	if (r->delayed) /* not on the first look: most permits come back by themselves */
		request_reap(g, now_ns);
	r->cause = cause;
	r->until_ns = 0;
	r->delayed = true;
	*wake_ns = now_ns + request_permit_poll_ns(g, r);
	if (*wake_ns > r->latest_ns)
		*wake_ns = r->latest_ns;
	return WEIR_WAIT;
}

/* Who asked last in this thread, as most often asks again. `busy`: the thread is here already, and this is a signal handler of
 * its; for good, where that has jumped. */
static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
	volatile sig_atomic_t busy;
	uint64_t salt[2], credential, path;
	struct weir_asker asker;
} last;

static struct weir_asker digests(const uint64_t salt[2], uint64_t credential, uint64_t path)
{
	return (struct weir_asker){
		/* Without a credential there is nothing to hide. */
		.credential = credential == WEIR_NOBODY ? (uint32_t)WEIR_NOBODY
							: weir_quota_share_digest(salt, credential, QUOTA_CREDENTIAL),
		.path = path != 0 ? weir_quota_share_digest(salt, path, QUOTA_PATH) : 0,
	};
}

struct weir_asker request_asker(const struct weir_segment *s, uint64_t credential, uint64_t path)
{
	const uint64_t salt[2] = {s->header->salt[0], s->header->salt[1]};
	struct weir_asker asker;

	if (last.busy)
		return digests(salt, credential, path);
	last.busy = 1;
	atomic_signal_fence(memory_order_seq_cst);
	if (last.credential != credential || last.path != path || last.salt[0] != salt[0] || last.salt[1] != salt[1]) {
		last.asker = digests(salt, credential, path);
		last.salt[0] = salt[0];
		last.salt[1] = salt[1];
		last.credential = credential;
		last.path = path;
	}
	asker = last.asker;
	atomic_signal_fence(memory_order_seq_cst);
	last.busy = 0;
	return asker;
}

uint64_t request_spent_until(const struct weir_request *r, const struct scope *host, uint64_t now_ns)
{
	uint64_t until = r->asker_later ? 0 : weir_quota_share_spent_until(&host->entry->quota, r->asker, now_ns);
	uint64_t bound = host->rule->hold_max_ns < UINT64_MAX - now_ns ? now_ns + host->rule->hold_max_ns : UINT64_MAX;

	return until < bound ? until : bound;
}

/* When all units could go. Where what keeps the request beyond its time is the pace of a quota of which something is left, it
 * goes without a unit of that bucket: what is left may be used, and a pace is no reason to refuse. */
static uint64_t units_ready(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES],
			    uint64_t now_ns)
{
	const struct scope *host = &scope[SCOPE_HOST];
	uint64_t ready = request_units_ready(g, r, scope, now_ns);

	if (r->not_before_ns > now_ns && r->not_before_ns > ready)
		return r->not_before_ns;
	if (ready > now_ns && !g->dry_run && scopes_thaw(g, scope, now_ns))
		ready = request_units_ready(g, r, scope, now_ns);
	if (ready <= now_ns || ready <= r->latest_ns || r->unpaced || !scope_paced_to_spare(host, now_ns))
		return ready;
	r->unpaced = true;
	return request_units_ready(g, r, scope, now_ns);
}

/* What is left of the quota may all be promised to requests in flight. Their answers tell; if they do not come the request asks.
 */
static bool take_of_quota(const struct scope *host, struct weir_request *r, uint64_t now_ns)
{
	if (r->promised || r->asker.credential == 0)
		return true;
	r->promised = weir_quota_share_take(&host->entry->quota, r->asker, weir_concurrency_count(&host->entry->concurrency) <= 1,
					    now_ns) ||
		      now_ns - r->begun_ns > PROMISED_NS;
	return r->promised;
}

/* The permits that it took go back, and what it took of quotas, and it waits on. The lease says MOVING until they have: see
 * release.c. */
static void stay_waiting(const struct weir_gate *g, struct weir_request *r)
{
	request_give_permits(g, r);
	request_give_allowances(g, r);
	if (r->lease != WEIR_NONE)
		weir_lease_set(g->segment, r->lease, r->lease_tag, r->owner_pid, WEIR_LEASE_WAITING, 0);
}

/* Takes one of each quota. GO, or what is to be done where somebody else has been faster. */
static __attribute__((noinline)) enum weir_verdict take_of_quotas(const struct weir_gate *g, struct weir_request *r,
								  const struct scope scope[WEIR_SCOPES], uint64_t now_ns,
								  uint64_t *wake_ns)
{
	enum weir_verdict verdict;

	if (allowances_take(g, r, scope, false, now_ns))
		return WEIR_GO;
	stay_waiting(g, r);
	verdict = wait_for_quota(g, r, scope, now_ns, wake_ns);
	if (verdict != WEIR_GO)
		return verdict;
	*wake_ns = now_ns + PERMIT_POLL_NS; /* it has just been given back */
	r->delayed = true;
	r->cause = WEIR_CAUSE_QUOTA_PACED;
	r->until_ns = *wake_ns;
	return WEIR_WAIT;
}

static void admit(const struct weir_gate *g, struct weir_request *r, const struct scope *host, uint64_t now_ns)
{
	struct weir_counters *c = &host->entry->counters;
	const struct weir_segment *s = g->segment;

	r->phase = WEIR_PHASE_ADMITTED;
	r->admitted_ns = now_ns;
	r->beside = weir_concurrency_count(&host->entry->concurrency);
	if (r->delayed)
		request_leave_turns(g, r);
	if (r->lease != WEIR_NONE) {
		struct weir_lease *l = &s->lease[r->lease];

		if (r->ticket.probe) { /* before IN_FLIGHT: a reaper that sees the state sees the ticket */
			atomic_store_explicit(&l->breaker_generation, r->ticket.generation, memory_order_relaxed);
			atomic_store_explicit(&l->breaker_probe, r->ticket.probe, memory_order_relaxed);
		}
		if (r->delayed)
			atomic_store_explicit(&l->admitted_s, (uint32_t)(now_ns / UINT64_C(1000000000)), memory_order_relaxed);
		weir_lease_set(s, r->lease, r->lease_tag, r->owner_pid, WEIR_LEASE_IN_FLIGHT,
			       r->held | (r->tentative ? WEIR_LEASE_UNCOUNTED : 0));
	}
	if (!r->tentative && !r->kept) {
		atomic_fetch_add_explicit(&c->admitted, 1, memory_order_relaxed);
		count_one(g, r, WEIR_SUMMARY_ADMITTED);
	}
	if (r->delayed && !r->delay_counted) {
		r->delay_counted = true;
		atomic_fetch_add_explicit(&c->delayed, 1, memory_order_relaxed);
		queue_note_delayed(r, host);
		weir_durations_add(g->segment, host->slot, WEIR_DURATIONS_WAIT, now_ns - r->begun_ns);
		count_waited(g, r, now_ns);
		atomic_store_explicit(&host->entry->used_ns, now_ns, memory_order_relaxed);
	}
	if (r->would_delay) {
		atomic_fetch_add_explicit(&c->would_delay, 1, memory_order_relaxed);
		count_one(g, r, WEIR_SUMMARY_WOULD_DELAY);
	}
	if (r->would_refuse) {
		atomic_fetch_add_explicit(&c->would_refuse, 1, memory_order_relaxed);
		count_one(g, r, WEIR_SUMMARY_WOULD_REFUSE);
	}
}

/* Its result says nothing to the breaker. */
static void no_ticket(struct weir_request *r)
{
	r->ticket.generation = UINT32_MAX; /* of no generation */
	r->ticket.probe = 0;
}

/* weir_breaker_try, but the overflow's breaker, whatever is in it, is nobody's. */
static enum weir_breaker_answer breaker_try(const struct weir_gate *g, struct weir_request *r, const struct scope *host,
					    uint64_t now_ns, uint64_t *until_ns)
{
	if (!scope_is_overflow(g, host))
		return weir_breaker_try(&host->entry->breaker, &host->rule->breaker, now_ns, &r->ticket, until_ns);
	no_ticket(r);
	return WEIR_BREAKER_PASS;
}

/* A request whose host has no entry: what spares keep, and nothing that others who have none have left. */
static __attribute__((noinline)) enum weir_verdict look_without_entry(const struct weir_gate *g, struct weir_request *r,
								      const struct scope scope[WEIR_SCOPES], uint64_t now_ns,
								      uint64_t *wake_ns)
{
	const struct scope *host = &scope[SCOPE_HOST];
	enum weir_verdict verdict = allowances_any(scope) ? wait_for_quota(g, r, scope, now_ns, wake_ns) : WEIR_GO;
	uint64_t ready;
	bool ramp = false;

	if (verdict != WEIR_GO)
		return verdict;
	ready = units_ready(g, r, scope, now_ns);
	if (ready > now_ns)
		return wait_until(g, r, host, WEIR_CAUSE_RATE, ready, now_ns, wake_ns);
	if (!request_take_permits(g, r, scope, false, now_ns, &ramp))
		return wait_for_permit(g, r, host, false, now_ns, wake_ns);
	verdict = allowances_any(scope) ? take_of_quotas(g, r, scope, now_ns, wake_ns) : WEIR_GO;
	if (verdict != WEIR_GO)
		return verdict;
	if (!request_take_turns(g, r, scope, now_ns, &ready)) {
		stay_waiting(g, r);
		return wait_until(g, r, host, WEIR_CAUSE_RATE, ready, now_ns, wake_ns);
	}
	no_ticket(r);
	admit(g, r, host, now_ns);
	return WEIR_GO;
}

/* Dry run: notes what would have happened, and lets go. */
static enum weir_verdict go_anyway(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES],
				   uint64_t now_ns)
{
	const struct scope *host = &scope[SCOPE_HOST];
	bool ramp = false, overflow = scope_is_overflow(g, host);
	enum weir_cause quota;
	uint64_t until = 0, at = units_ready(g, r, scope, now_ns),
		 hold = overflow ? 0 : weir_hold_until_ns(&host->entry->hold, host->rule->hold_max_ns, now_ns),
		 spent = overflow ? 0 : request_spent_until(r, host, now_ns);

	at = hold > at ? hold : at;
	at = spent > at ? spent : at;
	spent = allowances_ready_ns(g, r, scope, now_ns, &quota);
	at = spent > at ? spent : at;
	if (breaker_try(g, r, host, now_ns, &until) == WEIR_BREAKER_REFUSE) {
		weir_outage_met(&host->entry->meaning, now_ns);
		r->would_delay = request_waits_out_until(host, until, r->latest_ns, now_ns) > now_ns;
		r->would_refuse = !r->would_delay;
		no_ticket(r);
	} else if (at > r->latest_ns) {
		r->would_refuse = true;
	} else if (at > now_ns) {
		r->would_delay = true;
	}
	if (r->watched && degrade_gives_up(g, r, host, now_ns, &quota))
		r->would_refuse = true;
	if (!overflow && weir_concurrency_count(&host->entry->concurrency) >= scope_permits(host, SCOPE_HOST, now_ns, &ramp))
		r->would_delay = true;
	if (r->would_delay && !overflow && queue_is_full(host, r->class)) {
		r->would_delay = false;
		r->would_refuse = true;
		r->cause = WEIR_CAUSE_QUEUE_FULL;
	}
	(void)request_take_permits(g, r, scope, true, now_ns, &ramp);
	(void)allowances_take(g, r, scope, true, now_ns);
	request_spend_units(g, r, now_ns);
	admit(g, r, host, now_ns);
	return WEIR_GO;
}

static enum weir_verdict look_once(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES],
				   uint64_t now_ns, uint64_t *wake_ns)
{
	const struct scope *host = &scope[SCOPE_HOST];
	uint64_t ready, hold, spent, until = 0;
	enum weir_cause cause;
	bool ramp = false;

	r->wait_slot = host->slot;
	r->wake_bits = WAKE_ON_CHANGE;
	if (g->dry_run)
		return go_anyway(g, r, scope, now_ns);
	if (scope_is_overflow(g, host))
		return look_without_entry(g, r, scope, now_ns, wake_ns);
	if (weir_breaker_peek(&host->entry->breaker, &host->rule->breaker, now_ns, &until) == WEIR_BREAKER_REFUSE)
		return wait_out_or_refuse(g, r, host, until, now_ns, wake_ns);
	if (r->watched && degrade_gives_up(g, r, host, now_ns, &cause))
		return request_refuse(g, r, host, cause, 0, false, now_ns);
	cause = WEIR_CAUSE_HOLD;
	/* A hold that is longer than the request will wait must not cost it a unit. */
	hold = weir_hold_settle_ns(&host->entry->hold, host->rule->hold_max_ns, now_ns);
	spent = request_spent_until(r, host, now_ns);
	if (spent > hold && spent > now_ns) {
		hold = spent;
		cause = WEIR_CAUSE_QUOTA_HEADER;
	}
	if (hold > now_ns && hold > r->latest_ns) {
		scope_apply(g, host, now_ns);
		return wait_until(g, r, host, cause, hold, now_ns, wake_ns);
	}
	if (allowances_any(scope)) {
		enum weir_verdict verdict = wait_for_quota(g, r, scope, now_ns, wake_ns);

		if (verdict != WEIR_GO)
			return verdict;
	}
	ready = units_ready(g, r, scope, now_ns);
	if (hold > now_ns)
		return wait_until(g, r, host, cause, hold > ready ? hold : ready, now_ns, wake_ns);
	if (ready <= now_ns && r->delayed && !r->kept)
		ready = request_renew_stale_units(g, r, scope, now_ns);
	if (ready <= now_ns && request_is_spaced(r)) {
		ready = request_departs_ns(r, scope, now_ns);
		if (ready > now_ns)
			ready = request_outrun(g, r, scope, ready, now_ns);
	}
	if (ready > now_ns)
		return wait_until(g, r, host, WEIR_CAUSE_RATE, ready, now_ns, wake_ns);
	if (!request_take_permits(g, r, scope, false, now_ns, &ramp))
		return wait_for_permit(g, r, host, ramp, now_ns, wake_ns);
	if (!take_of_quota(host, r, now_ns)) {
		stay_waiting(g, r);
		r->wake_bits = WAKE_ON_CHANGE | WAKE_ON_ANSWER;
		return wait_for_permit(g, r, host, false, now_ns, wake_ns);
	}
	if (allowances_any(scope)) {
		enum weir_verdict verdict = take_of_quotas(g, r, scope, now_ns, wake_ns);

		if (verdict != WEIR_GO)
			return verdict;
	}
	if (!request_take_turns(g, r, scope, now_ns, &ready)) {
		stay_waiting(g, r);
		return wait_until(g, r, host, WEIR_CAUSE_RATE, ready, now_ns, wake_ns);
	}
	if (r->delayed)
		request_note_late(r, scope, now_ns);
	if (request_is_spaced(r) && !request_depart(r, scope, now_ns)) {
		stay_waiting(g, r);
		ready = request_outrun(g, r, scope, request_departs_ns(r, scope, now_ns), now_ns);
		return wait_until(g, r, host, WEIR_CAUSE_RATE, ready, now_ns, wake_ns);
	}
	/* The ticket last: a probe is promised to nobody who then has to wait. */
	if (weir_breaker_try(&host->entry->breaker, &host->rule->breaker, now_ns, &r->ticket, &until) == WEIR_BREAKER_REFUSE) {
		stay_waiting(g, r);
		return wait_out_or_refuse(g, r, host, until, now_ns, wake_ns);
	}
	admit(g, r, host, now_ns);
	return WEIR_GO;
}

enum weir_verdict request_look(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES],
			       uint64_t now_ns, uint64_t *wake_ns)
{
	enum weir_verdict verdict = look_once(g, r, scope, now_ns, wake_ns);

	/* Who waits for something else meanwhile is not to be woken for a permit in another's place. */
	if (verdict == WEIR_WAIT && r->cause != WEIR_CAUSE_CONCURRENCY && r->cause != WEIR_CAUSE_RAMP)
		request_leave_permits(g, r, false);
	return verdict == WEIR_WAIT || r->counted ? queue_after_look(g, r, &scope[SCOPE_HOST], verdict, now_ns) : verdict;
}

enum weir_verdict weir_gate_look(const struct weir_gate *g, struct weir_request *r, uint64_t now_ns, uint64_t *wake_ns)
{
	struct scope scope[WEIR_SCOPES];

	*wake_ns = now_ns;
	if (r->phase != WEIR_PHASE_WAITING)
		return r->phase == WEIR_PHASE_REFUSED ? WEIR_REFUSE : WEIR_GO;
	if (!scopes_of(g, r, scope)) {
		r->phase = WEIR_PHASE_EXEMPT;
		return WEIR_GO;
	}
	return request_told(g, r, request_look(g, r, scope, now_ns, wake_ns));
}

enum weir_verdict weir_gate_go_now(const struct weir_gate *g, struct weir_request *r, uint64_t now_ns)
{
	struct scope scope[WEIR_SCOPES];
	uint64_t until = 0;
	bool ramp = false;

	if (r->phase != WEIR_PHASE_WAITING)
		return r->phase == WEIR_PHASE_REFUSED ? WEIR_REFUSE : WEIR_GO;
	if (!scopes_of(g, r, scope)) {
		r->phase = WEIR_PHASE_EXEMPT;
		return WEIR_GO;
	}
	if (breaker_try(g, r, &scope[SCOPE_HOST], now_ns, &until) == WEIR_BREAKER_REFUSE)
		return request_refuse(g, r, &scope[SCOPE_HOST], stopped_by(g, &scope[SCOPE_HOST], now_ns), until, false, now_ns);
	(void)request_take_permits(g, r, scope, true, now_ns, &ramp);
	(void)allowances_take(g, r, scope, true, now_ns);
	request_take_all_units(g, r, scope, now_ns);
	request_spend_units(g, r, now_ns);
	queue_leave(g, r);
	admit(g, r, &scope[SCOPE_HOST], now_ns);
	return WEIR_GO;
}

bool weir_gate_known(const struct weir_gate *g, struct weir_request *r, uint64_t credential, uint64_t path, uint64_t now_ns)
{
	struct scope host;

	r->asker_later = false;
	if (r->phase != WEIR_PHASE_ADMITTED || g->segment == NULL || g->segment->base == NULL ||
	    !scope_is_still(g, r, SCOPE_HOST) || !scope_of(g, SCOPE_HOST, r->scope[SCOPE_HOST].slot, &host))
		return true;
	if (credential != 0)
		r->asker = request_asker(g->segment, credential, path);
	if (g->dry_run || scope_is_overflow(g, &host))
		return true;
	return request_spent_until(r, &host, now_ns) <= now_ns && take_of_quota(&host, r, now_ns);
}
