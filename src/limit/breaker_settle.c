/* SPDX-License-Identifier: MIT */
/* What a result does to the breaker. */
#include "breaker_state.h"

#include <stddef.h>

/* Chance that one run of failures opens the breaker although the server only fails as often as it did before. 1e-9 makes a false
 * trip rarer than one in 10^8 calls at any share of failures (evaluation.md, scenario 10: none in 10^6). */
#define CHANCE     1e-9
#define STREAK_MAX 8U /* but never ask for more than eight times the configured failures */

/* While requests wait for the end of an outage each probe that fails is one of them, and lost. When all are refused anyway it
 * costs nobody anything, and they go so many times as often, but no more often than at first. */
#define UNAWAITED 4

/* One more in the streak of this generation. Returns the new count, and in *lasted_ms how long ago the first one was. */
static uint32_t lengthen(struct weir_breaker *b, uint32_t generation, uint64_t now_ns, uint32_t *lasted_ms)
{
	uint64_t seen = atomic_load_explicit(&b->streak, memory_order_relaxed);
	uint32_t now_ms = (uint32_t)(now_ns / BREAKER_NS_PER_MS);
	uint32_t count = 0;

	for (int i = 0; i < BREAKER_TRIES; i++) {
		uint32_t first_ms = (uint32_t)(seen >> 16);

		count = breaker_streak_of(seen, generation);
		if (count == 0)
			first_ms = now_ms;
		if (count < BREAKER_STREAK_MASK)
			count++;
		*lasted_ms = now_ms - first_ms;
		if (atomic_compare_exchange_strong_explicit(&b->streak, &seen,
							    ((uint64_t)generation << 48) | ((uint64_t)first_ms << 16) | count,
							    memory_order_relaxed, memory_order_relaxed))
			break;
	}
	return count;
}

static void end_streak(struct weir_breaker *b, uint32_t generation)
{
	uint64_t seen = atomic_load_explicit(&b->streak, memory_order_relaxed);

	/* Where this fails another result came in at the same time, and which of the two was first does not matter. */
	if (breaker_streak_of(seen, generation) != 0)
		(void)atomic_compare_exchange_strong_explicit(&b->streak, &seen, (uint64_t)generation << 48, memory_order_relaxed,
							      memory_order_relaxed);
}

/* A window of fewer calls than the shares ask for would never say anything. */
static uint32_t min_calls(const struct weir_breaker_params *p)
{
	return p->window_calls != 0 && p->window_calls < p->min_calls ? p->window_calls : p->min_calls;
}

/* How long a run of failures must be to mean something. `failures` is the right answer for a server that rarely fails; one that
 * fails three times in ten has five in a row every 600 calls by chance alone. So ask for a run that is as unlikely as CHANCE,
 * given the share of failures among the window's calls before the run. One failure is discounted: it may be the only one. */
static uint32_t telling_streak(const struct weir_breaker_params *p, uint32_t calls, uint32_t failures)
{
	uint32_t least = p->failures > BREAKER_STREAK_MASK ? (uint32_t)BREAKER_STREAK_MASK : p->failures;
	uint32_t length = 0;
	double chance = 1;
	double share;

	if (failures < 2 || calls < min_calls(p) / 2)
		return least;
	share = (double)(failures - 1) / ((double)calls + 2);
	/* At most 400 turns: beyond a share of .95 the failure rate is the better judge. */
	while (chance > CHANCE && length < STREAK_MAX * least && length < 400) {
		chance *= share;
		length++;
	}
	return length > least ? length : least;
}

/* How long a run of failures must last. Refusing takes a server less time than answering: of twenty requests sent at once the
 * failures come back first, and they are a run although most of the twenty will succeed. So successes need time to come in. */
static uint32_t telling_ms(const struct weir_breaker_params *p, const struct weir_window *window, uint64_t now_ns)
{
	struct weir_window_sum sum = weir_window_sum(window, p->window_ns, now_ns);
	uint64_t most = breaker_to_ms(p->window_ns != 0 ? p->window_ns : WEIR_WINDOW_DEFAULT_NS) / 4;
	uint64_t ms = sum.calls != 0 ? sum.latency_us / sum.calls * 2 / 1000 : 0;

	return (uint32_t)(ms < most ? ms : most);
}

static bool reaches(uint32_t part, uint32_t calls, uint32_t permille)
{
	return permille != 0 && (uint64_t)part * 1000 >= (uint64_t)calls * permille;
}

/* Whether a run of failures opens the breaker; `sum` is of the window's calls, those of the run among them. */
static bool tells(const struct weir_breaker_params *p, const struct weir_window *window, struct weir_window_sum sum,
		  struct breaker_fields f, uint32_t streak, uint32_t lasted_ms, uint64_t now_ns)
{
	uint32_t calls = sum.calls > streak ? sum.calls - streak : 0;
	uint32_t failures = sum.failures > streak ? sum.failures - streak : 0;
	bool suspect = (failures != 0 && calls >= min_calls(p) / 2) || breaker_trips_kept(p, f, now_ns / BREAKER_NS_PER_MS) != 0;

	if (streak < telling_streak(p, calls, failures))
		return false;
	/* A server without a blemish that begins to fail is down at once. One that fails at times, or was down just now, may only
	 * refuse faster than it answers. */
	return !suspect || lasted_ms >= telling_ms(p, window, now_ns);
}

/* The calls of the window, this one among them. What happened before it closed led to its opening then, and is not held against
 * the server again. */
static struct weir_window_sum calls_of(const struct weir_breaker_params *p, const struct weir_window *window,
				       const struct weir_outcomes *outcomes, struct breaker_fields f, uint64_t now_ns)
{
	uint64_t closed_ms = f.time_ms > now_ns / BREAKER_NS_PER_MS + BREAKER_SKEW_MS ? 0 : f.time_ms;

	if (p->window_calls != 0 && outcomes != NULL)
		return weir_outcomes_sum(outcomes, f.generation, p->window_calls);
	return weir_window_since(window, p->window_ns, closed_ms * BREAKER_NS_PER_MS, now_ns);
}

/* Whether a closed breaker opens on a call that failed or was slow, and on what. */
static enum weir_breaker_change trips_it(struct weir_breaker *b, const struct weir_breaker_params *p,
					 const struct weir_window *window, const struct weir_outcomes *outcomes,
					 struct breaker_fields f, const struct weir_breaker_call *call, uint64_t now_ns)
{
	uint32_t lasted_ms = 0;
	uint32_t streak = call->failed ? lengthen(b, f.generation, now_ns, &lasted_ms) : 0;
	uint32_t failures = p->failures > BREAKER_STREAK_MASK ? (uint32_t)BREAKER_STREAK_MASK : p->failures;
	bool run = call->failed && failures != 0 && streak >= failures && streak >= call->least_run;
	struct weir_window_sum sum;

	if (call->failed && call->beside_life)
		return WEIR_BREAKER_SAME;
	/* What was sent at the same time is one look, however many were sent. */
	if (call->sent_ns != 0 && failures > 1 && now_ns > call->sent_ns &&
	    (now_ns - call->sent_ns) / BREAKER_NS_PER_MS > lasted_ms)
		run = false;
	if (!run && p->failure_rate_permille == 0 && p->slow_rate_permille == 0)
		return WEIR_BREAKER_SAME;
	sum = calls_of(p, window, outcomes, f, now_ns);
	if (run && tells(p, window, sum, f, streak, lasted_ms, now_ns))
		return WEIR_BREAKER_OPENED;
	if (sum.calls == 0 || sum.calls < min_calls(p))
		return WEIR_BREAKER_SAME;
	if (call->failed && reaches(sum.failures, sum.calls, p->failure_rate_permille))
		return WEIR_BREAKER_OPENED_ON_SHARE;
	return reaches(sum.slow, sum.calls, p->slow_rate_permille) ? WEIR_BREAKER_OPENED_ON_SLOW : WEIR_BREAKER_SAME;
}

/* The word of an opening from f. */
static uint64_t opened(const struct weir_breaker_params *p, struct breaker_fields f, uint64_t seen, bool unawaited,
		       uint64_t now_ns)
{
	/* + 1: the part of a millisecond that the division left out, so that it is never open for less than open_time. */
	uint64_t now_ms = now_ns / BREAKER_NS_PER_MS + 1, from_ms = now_ms, least_ms = now_ms;
	uint64_t first_ms = breaker_open_time_ms(p, 1), often = unawaited ? UNAWAITED : 1;
	uint32_t trips = f.state == WEIR_BREAKER_CLOSED ? breaker_trips_kept(p, f, now_ms) : f.trips;
	uint64_t until_ms, open_ms;

	/* After a probe that failed, the time counts from when it was sent: a probe that hangs before it fails must not stretch
	 * the time to the next one. But leave at least the first open time between the two. */
	if (f.state == WEIR_BREAKER_HALF_OPEN) {
		uint64_t lease = breaker_lease_ms(p, f.trips);

		if (f.time_ms > lease && f.time_ms - lease < now_ms)
			from_ms = f.time_ms - lease;
		least_ms = now_ms + breaker_jittered_ms(p, first_ms / often, ~seen, now_ns);
	}
	trips = trips < BREAKER_TRIPS_MAX ? trips + 1 : BREAKER_TRIPS_MAX;
	open_ms = breaker_open_time_ms(p, trips) / often;
	until_ms = from_ms + breaker_jittered_ms(p, open_ms > first_ms ? open_ms : first_ms, seen, now_ns);
	return breaker_pack(WEIR_BREAKER_OPEN, trips, f.generation + 1,
			    breaker_stamp_ms(until_ms > least_ms ? until_ms : least_ms));
}

static enum weir_breaker_change settle_closed(struct weir_breaker *b, const struct weir_breaker_params *p,
					      const struct weir_window *window, struct weir_outcomes *outcomes, uint64_t seen,
					      const struct weir_breaker_call *call, uint64_t now_ns)
{
	struct breaker_fields f = breaker_unpack(seen);
	enum weir_breaker_change change;

	if (p->window_calls != 0 && outcomes != NULL)
		weir_outcomes_add(outcomes, f.generation, call->failed, call->slow);
	if (!call->failed)
		end_streak(b, f.generation);
	if ((!call->failed && !call->slow) || breaker_off(p))
		return WEIR_BREAKER_SAME;
	change = trips_it(b, p, window, outcomes, f, call, now_ns);
	if (change == WEIR_BREAKER_SAME)
		return change;
	if (!breaker_swap(b, &seen, opened(p, f, seen, false, now_ns)))
		return WEIR_BREAKER_SAME; /* somebody else opened it */
	atomic_fetch_add_explicit(&b->opened_total, 1, memory_order_relaxed);
	return change;
}

enum weir_breaker_change weir_breaker_settle(struct weir_breaker *b, const struct weir_breaker_params *p,
					     const struct weir_window *window, struct weir_outcomes *outcomes,
					     struct weir_breaker_ticket ticket, const struct weir_breaker_call *call,
					     uint64_t now_ns)
{
	uint64_t seen = breaker_load(b);
	struct breaker_fields f = breaker_unpack(seen);
	uint32_t threshold = p->success_threshold != 0 ? p->success_threshold : 1;
	uint32_t streak = 0;
	uint32_t lasted_ms = 0;
	bool failed = call->failed;

	if (!breaker_same_generation(f, ticket))
		return WEIR_BREAKER_SAME;
	if (f.state == WEIR_BREAKER_CLOSED)
		return settle_closed(b, p, window, outcomes, seen, call, now_ns);
	if (f.state != WEIR_BREAKER_HALF_OPEN || ticket.probe == 0)
		return WEIR_BREAKER_SAME;
	/* Where slow calls may open it, a slow probe is no sign of health. */
	if (call->slow && p->slow_rate_permille != 0)
		failed = true;
	if (!failed)
		streak = lengthen(b, f.generation, now_ns, &lasted_ms);
	/* The loop ends by itself unless the probe's lease changes hands meanwhile. */
	for (int i = 0; i < BREAKER_TRIES; i++) {
		if (failed) {
			if (!breaker_holds_lease(f, ticket))
				return WEIR_BREAKER_SAME; /* it lost its lease; the probe after it knows better */
			if (breaker_swap(b, &seen, opened(p, f, seen, call->unawaited, now_ns)))
				return WEIR_BREAKER_REOPENED;
		} else if (streak >= threshold || streak == BREAKER_STREAK_MASK) {
			if (breaker_swap(b, &seen,
					 breaker_pack(WEIR_BREAKER_CLOSED, f.trips, f.generation + 1,
						      breaker_stamp_ms(now_ns / BREAKER_NS_PER_MS))))
				return WEIR_BREAKER_RECLOSED;
		} else {
			if (!breaker_holds_lease(f, ticket) || breaker_swap(b, &seen, breaker_freed(f)))
				return WEIR_BREAKER_SAME;
		}
		f = breaker_unpack(seen);
		if (f.state != WEIR_BREAKER_HALF_OPEN || !breaker_same_generation(f, ticket))
			return WEIR_BREAKER_SAME;
	}
	return WEIR_BREAKER_SAME;
}
