/* SPDX-License-Identifier: MIT */
/*
 * Order of this file: the word and its fields; times derived from the parameters; asking (try, peek, valid); answering (settle,
 * forgo); ramp, force, view.
 *
 * What if a process dies here? Every transition is one CAS on the word, so it has happened or not. The streak beside it is tagged
 * with the generation: a stale one reads as 0. A prober that dies is covered by the end of its lease, which is in the word.
 */
#include "weir/breaker.h"

#include "weir/bucket.h"

#define NS_PER_MS UINT64_C(1000000)

/* word = state:2 | trips:6 | generation:16 | time_ms:40 */
#define TIME_BITS        40
#define TIME_MASK        ((UINT64_C(1) << TIME_BITS) - 1)
#define GENERATION_SHIFT TIME_BITS
#define GENERATION_MASK  UINT64_C(0xffff)
#define TRIPS_SHIFT      56
#define TRIPS_MAX        63U
#define STATE_SHIFT      62

/* No configured time is longer: units.h accepts up to 366 d. */
#define TIME_MAX_MS (UINT64_C(366) * 86400 * 1000)

/* A CAS fails only because another process moved the word; eight moves between two instructions happen in hostile memory only. */
#define TRIES 8

/* Chance that one run of failures opens the breaker although the server only fails as often as it did before. 1e-9 makes a false
 * trip rarer than one in 10^8 calls at any share of failures (evaluation.md, scenario 10: none in 10^6). */
#define CHANCE     1e-9
#define STREAK_MAX 8U /* but never ask for more than eight times the configured failures */

/* While requests wait for the end of an outage each probe that fails is one of them, and lost. When all are refused anyway it
 * costs nobody anything, and they go so many times as often, but no more often than at first. */
#define UNAWAITED 4

/* A closing time further ahead than this is not another process's slightly later clock reading but damage. */
#define SKEW_MS 1000U

struct fields {
	uint64_t time_ms;
	uint32_t state;
	uint32_t trips;
	uint32_t generation;
};

static struct fields unpack(uint64_t word)
{
	return (struct fields){
		.time_ms = word & TIME_MASK,
		.state = (uint32_t)(word >> STATE_SHIFT),
		.trips = (uint32_t)(word >> TRIPS_SHIFT) & TRIPS_MAX,
		.generation = (uint32_t)((word >> GENERATION_SHIFT) & GENERATION_MASK),
	};
}

static uint64_t pack(enum weir_breaker_state state, uint32_t trips, uint32_t generation, uint64_t time_ms)
{
	return ((uint64_t)state << STATE_SHIFT) | ((uint64_t)(trips > TRIPS_MAX ? TRIPS_MAX : trips) << TRIPS_SHIFT) |
	       ((generation & GENERATION_MASK) << GENERATION_SHIFT) | (time_ms & TIME_MASK);
}

static bool is_closed(uint64_t word)
{
	return word >> STATE_SHIFT == WEIR_BREAKER_CLOSED;
}

static bool swap(struct weir_breaker *b, uint64_t *seen, uint64_t word)
{
	return atomic_compare_exchange_strong_explicit(&b->word, seen, word, memory_order_acq_rel, memory_order_acquire);
}

static uint64_t load(const struct weir_breaker *b)
{
	return atomic_load_explicit(&b->word, memory_order_acquire);
}

/* The low two bits of a lease's end number the probes of one half-open state in turn, so that two that are granted within the
 * same millisecond have different names. With no probe in flight they are all that is left of the time. */
#define TURN_MASK UINT64_C(3)

/* ---- times ---- */

static uint64_t to_ms(uint64_t ns)
{
	uint64_t ms = ns / NS_PER_MS + (ns % NS_PER_MS != 0 ? 1 : 0);

	return ms > TIME_MAX_MS ? TIME_MAX_MS : ms;
}

static uint64_t open_time_max_ms(const struct weir_breaker_params *p)
{
	uint64_t first = to_ms(p->open_time_ns);
	uint64_t max = to_ms(p->open_time_max_ns);

	if (max < first)
		max = first;
	return max != 0 ? max : 1;
}

/* The open time after this many trips, without jitter. */
static uint64_t open_time_ms(const struct weir_breaker_params *p, uint32_t trips)
{
	uint64_t factor = p->open_time_factor_permille < 1000 ? 1000 : p->open_time_factor_permille;
	uint64_t max = open_time_max_ms(p);
	uint64_t ms = to_ms(p->open_time_ns);

	if (ms == 0)
		ms = 1;
	/* 63 turns at most; ms <= max <= 2^35 and factor < 2^32, so the product needs 67 bits: stop where it could pass max. */
	for (uint32_t i = 1; i < trips && ms < max; i++) {
		if (ms > max * 1000 / factor)
			return max;
		ms = ms * factor / 1000;
	}
	return ms > max ? max : ms;
}

static uint32_t jitter_permille(const struct weir_breaker_params *p)
{
	return p->jitter_permille > 1000 ? 1000 : p->jitter_permille;
}

/* Spreads ms by +- jitter. Deterministic: the same word at the same time gives the same spread, so the function stays pure and
 * tests repeat; different hosts and openings differ. The mixer is the finalizer of splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t jittered_ms(const struct weir_breaker_params *p, uint64_t ms, uint64_t word, uint64_t now_ns)
{
	uint64_t x = word ^ (now_ns * UINT64_C(0x9e3779b97f4a7c15));
	uint64_t spread = ms * jitter_permille(p) / 1000;

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	x ^= x >> 31;
	ms = ms - spread + x % (2 * spread + 1);
	return ms != 0 ? ms : 1;
}

/* The lease of a probe: probe_lease, but not shorter than the open time that is due, so that probes which hang do not go out
 * faster than probes which fail. */
static uint64_t lease_ms(const struct weir_breaker_params *p, uint32_t trips)
{
	uint64_t lease = to_ms(p->probe_lease_ns);
	uint64_t open = open_time_ms(p, trips);

	return lease > open ? lease : open;
}

/* No stored end is further away than this; one that is has been damaged, or was set under another policy. */
static uint64_t furthest_ms(const struct weir_breaker_params *p, uint32_t state)
{
	uint64_t open = open_time_max_ms(p);

	if (state == WEIR_BREAKER_HALF_OPEN) {
		uint64_t lease = to_ms(p->probe_lease_ns);

		return (lease > open ? lease : open) + TURN_MASK;
	}
	return open + open * jitter_permille(p) / 1000 + 1;
}

static uint64_t end_ms(const struct weir_breaker_params *p, struct fields f, uint64_t now_ms)
{
	uint64_t furthest = now_ms + furthest_ms(p, f.state);

	return f.time_ms > furthest ? furthest : f.time_ms;
}

/* The time now as a nonzero stamp: 0 means "none" in the word. */
static uint64_t stamp_ms(uint64_t ms)
{
	return (ms & TIME_MASK) != 0 ? ms : 1;
}

static bool in_flight(struct fields f)
{
	return f.state == WEIR_BREAKER_HALF_OPEN && f.time_ms > TURN_MASK;
}

static uint64_t turn_after(struct fields f)
{
	return f.state == WEIR_BREAKER_HALF_OPEN ? (f.time_ms + 1) & TURN_MASK : 0;
}

static uint64_t freed(struct fields f)
{
	return pack(WEIR_BREAKER_HALF_OPEN, f.trips, f.generation, f.time_ms & TURN_MASK);
}

/* ---- asking ---- */

static bool off(const struct weir_breaker_params *p)
{
	return p->failures == 0 && p->failure_rate_permille == 0 && p->slow_rate_permille == 0;
}

/* Which probe of a half-open state: the low bits of the end of its lease tell it from those before and after it. */
static uint32_t probe_name(uint32_t generation, uint64_t lease_end_ms)
{
	return generation | (uint32_t)((lease_end_ms & 0xffff) << 16);
}

/* What a request is told in this state; pure. *until_ns is set for REFUSE. PROBE: it would be the probe. */
static enum weir_breaker_answer judge(const struct weir_breaker_params *p, struct fields f, uint64_t now_ns, uint64_t *until_ns)
{
	uint64_t end;

	if (f.state == WEIR_BREAKER_CLOSED)
		return WEIR_BREAKER_PASS;
	if (f.state == WEIR_BREAKER_FORCED_OPEN) {
		*until_ns = WEIR_NEVER;
		return WEIR_BREAKER_REFUSE;
	}
	if (off(p))
		return WEIR_BREAKER_PASS;
	if (f.state == WEIR_BREAKER_HALF_OPEN && !in_flight(f))
		return WEIR_BREAKER_PROBE;
	end = end_ms(p, f, now_ns / NS_PER_MS);
	if (now_ns / NS_PER_MS >= end)
		return WEIR_BREAKER_PROBE;
	*until_ns = end * NS_PER_MS;
	return WEIR_BREAKER_REFUSE;
}

/* weir_breaker_try where it was not closed a moment ago. */
static __attribute__((noinline)) enum weir_breaker_answer try_open(struct weir_breaker *b, const struct weir_breaker_params *p,
								   uint64_t seen, uint64_t now_ns,
								   struct weir_breaker_ticket *ticket, uint64_t *until_ns)
{
	uint64_t now_ms = now_ns / NS_PER_MS;

	for (int i = 0; i < TRIES; i++) {
		struct fields f = unpack(seen);
		enum weir_breaker_answer answer = judge(p, f, now_ns, until_ns);
		bool taken_over;
		uint64_t turn;
		uint64_t end;

		*ticket = (struct weir_breaker_ticket){.generation = f.generation, .probe = 0};
		if (answer == WEIR_BREAKER_PASS)
			return answer;
		if (answer == WEIR_BREAKER_REFUSE) {
			/* Cut an absurd end down in the word too, or it would stay as far away as it is for ever. */
			if (f.state != WEIR_BREAKER_FORCED_OPEN && f.time_ms > end_ms(p, f, now_ms) &&
			    !swap(b, &seen, pack(f.state, f.trips, f.generation, end_ms(p, f, now_ms))))
				continue;
			return answer;
		}
		/* A probe lost to time counts as a trip: the next one gets a longer lease, and leaves a longer open time. */
		taken_over = in_flight(f);
		turn = turn_after(f);
		if (f.state == WEIR_BREAKER_OPEN)
			f.generation = (f.generation + 1) & GENERATION_MASK;
		if (taken_over && f.trips < TRIPS_MAX)
			f.trips++;
		end = now_ms + lease_ms(p, f.trips);
		end += (turn - end) & TURN_MASK;
		if (swap(b, &seen, pack(WEIR_BREAKER_HALF_OPEN, f.trips, f.generation, end))) {
			*ticket = (struct weir_breaker_ticket){.generation = probe_name(f.generation, end), .probe = 1};
			return WEIR_BREAKER_PROBE;
		}
	}
	/* The word would not stand still: somebody else is probing. */
	*until_ns = now_ns + NS_PER_MS;
	return WEIR_BREAKER_REFUSE;
}

enum weir_breaker_answer weir_breaker_try(struct weir_breaker *b, const struct weir_breaker_params *p, uint64_t now_ns,
					  struct weir_breaker_ticket *ticket, uint64_t *until_ns)
{
	uint64_t seen = load(b);

	if (!is_closed(seen))
		return try_open(b, p, seen, now_ns, ticket, until_ns);
	*ticket = (struct weir_breaker_ticket){.generation = unpack(seen).generation, .probe = 0};
	return WEIR_BREAKER_PASS;
}

void weir_breaker_cut(struct weir_breaker *b, const struct weir_breaker_params *p, uint64_t now_ns)
{
	uint64_t seen = load(b);
	struct fields f = unpack(seen);
	uint64_t end = end_ms(p, f, now_ns / NS_PER_MS);

	if ((f.state == WEIR_BREAKER_OPEN || in_flight(f)) && f.time_ms > end)
		(void)swap(b, &seen, pack(f.state, f.trips, f.generation, end));
}

enum weir_breaker_answer weir_breaker_peek(const struct weir_breaker *b, const struct weir_breaker_params *p, uint64_t now_ns,
					   uint64_t *until_ns)
{
	uint64_t seen = load(b);

	return is_closed(seen) ? WEIR_BREAKER_PASS : judge(p, unpack(seen), now_ns, until_ns);
}

static bool same_generation(struct fields f, struct weir_breaker_ticket ticket)
{
	return f.generation == (ticket.probe != 0 ? ticket.generation & GENERATION_MASK : ticket.generation);
}

/* Whether the ticket is that of the probe that holds the lease now. */
static bool holds_lease(struct fields f, struct weir_breaker_ticket ticket)
{
	return ticket.probe != 0 && in_flight(f) && ticket.generation == probe_name(f.generation, f.time_ms);
}

bool weir_breaker_valid(const struct weir_breaker *b, struct weir_breaker_ticket ticket)
{
	struct fields f = unpack(load(b));

	return ticket.probe != 0 ? holds_lease(f, ticket) : same_generation(f, ticket);
}

/* ---- answering ---- */

/* streak = generation:16 | ms of its first call, modulo 2^32:32 | count:16 */
#define STREAK_MASK UINT64_C(0xffff)

static uint32_t streak_of(uint64_t streak, uint32_t generation)
{
	return streak >> 48 == generation ? (uint32_t)(streak & STREAK_MASK) : 0;
}

/* One more in the streak of this generation. Returns the new count, and in *lasted_ms how long ago the first one was. */
static uint32_t lengthen(struct weir_breaker *b, uint32_t generation, uint64_t now_ns, uint32_t *lasted_ms)
{
	uint64_t seen = atomic_load_explicit(&b->streak, memory_order_relaxed);
	uint32_t now_ms = (uint32_t)(now_ns / NS_PER_MS);
	uint32_t count = 0;

	for (int i = 0; i < TRIES; i++) {
		uint32_t first_ms = (uint32_t)(seen >> 16);

		count = streak_of(seen, generation);
		if (count == 0)
			first_ms = now_ms;
		if (count < STREAK_MASK)
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
	if (streak_of(seen, generation) != 0)
		(void)atomic_compare_exchange_strong_explicit(&b->streak, &seen, (uint64_t)generation << 48, memory_order_relaxed,
							      memory_order_relaxed);
}

/* How long a run of failures must be to mean something. `failures` is the right answer for a server that rarely fails; one that
 * fails three times in ten has five in a row every 600 calls by chance alone. So ask for a run that is as unlikely as CHANCE,
 * given the share of failures among the window's calls before the run. One failure is discounted: it may be the only one. */
static uint32_t telling_streak(const struct weir_breaker_params *p, uint32_t calls, uint32_t failures)
{
	uint32_t least = p->failures > STREAK_MASK ? (uint32_t)STREAK_MASK : p->failures;
	uint32_t length = 0;
	double chance = 1;
	double share;

	if (failures < 2 || calls < p->min_calls / 2)
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
	uint64_t most = to_ms(p->window_ns != 0 ? p->window_ns : WEIR_WINDOW_DEFAULT_NS) / 4;
	uint64_t ms = sum.calls != 0 ? sum.latency_us / sum.calls * 2 / 1000 : 0;

	return (uint32_t)(ms < most ? ms : most);
}

static bool reaches(uint32_t part, uint32_t calls, uint32_t permille)
{
	return permille != 0 && (uint64_t)part * 1000 >= (uint64_t)calls * permille;
}

/* Trips so far of a closed breaker: forgotten once it has been closed for as long as the window, the ramp and the open time that
 * was last due. A server that flaps faster than that keeps growing its open time. */
static uint32_t trips_kept(const struct weir_breaker_params *p, struct fields f, uint64_t now_ms)
{
	uint64_t window = to_ms(p->window_ns != 0 ? p->window_ns : WEIR_WINDOW_DEFAULT_NS);
	uint64_t ramp = to_ms(p->ramp_ns);
	uint64_t need = open_time_ms(p, f.trips);

	if (need < window)
		need = window;
	if (need < ramp)
		need = ramp;
	if (f.time_ms == 0 || f.time_ms > now_ms + SKEW_MS || now_ms >= f.time_ms + need)
		return 0;
	return f.trips;
}

/* Whether a run of failures opens the breaker; `sum` is of the window's calls, those of the run among them. */
static bool tells(const struct weir_breaker_params *p, const struct weir_window *window, struct weir_window_sum sum,
		  struct fields f, uint32_t streak, uint32_t lasted_ms, uint64_t now_ns)
{
	uint32_t calls = sum.calls > streak ? sum.calls - streak : 0;
	uint32_t failures = sum.failures > streak ? sum.failures - streak : 0;
	bool suspect = (failures != 0 && calls >= p->min_calls / 2) || trips_kept(p, f, now_ns / NS_PER_MS) != 0;

	if (streak < telling_streak(p, calls, failures))
		return false;
	/* A server without a blemish that begins to fail is down at once. One that fails at times, or was down just now, may only
	 * refuse faster than it answers. */
	return !suspect || lasted_ms >= telling_ms(p, window, now_ns);
}

/* Whether a closed breaker opens on a call that failed or was slow, and on what. */
static enum weir_breaker_change trips_it(struct weir_breaker *b, const struct weir_breaker_params *p,
					 const struct weir_window *window, struct fields f, const struct weir_breaker_call *call,
					 uint64_t now_ns)
{
	uint32_t lasted_ms = 0;
	uint32_t streak = call->failed ? lengthen(b, f.generation, now_ns, &lasted_ms) : 0;
	uint32_t failures = p->failures > STREAK_MASK ? (uint32_t)STREAK_MASK : p->failures;
	bool run = call->failed && failures != 0 && streak >= failures && streak >= call->least_run;
	struct weir_window_sum sum;
	uint64_t closed_ms;

	if (call->failed && call->beside_life)
		return WEIR_BREAKER_SAME;
	/* What was sent at the same time is one look, however many were sent. */
	if (call->sent_ns != 0 && failures > 1 && now_ns > call->sent_ns && (now_ns - call->sent_ns) / NS_PER_MS > lasted_ms)
		run = false;
	if (!run && p->failure_rate_permille == 0 && p->slow_rate_permille == 0)
		return WEIR_BREAKER_SAME;
	/* What happened before it closed led to its opening then, and is not held against the server again. */
	closed_ms = f.time_ms > now_ns / NS_PER_MS + SKEW_MS ? 0 : f.time_ms;
	sum = weir_window_since(window, p->window_ns, closed_ms * NS_PER_MS, now_ns);
	if (run && tells(p, window, sum, f, streak, lasted_ms, now_ns))
		return WEIR_BREAKER_OPENED;
	if (sum.calls == 0 || sum.calls < p->min_calls)
		return WEIR_BREAKER_SAME;
	if (call->failed && reaches(sum.failures, sum.calls, p->failure_rate_permille))
		return WEIR_BREAKER_OPENED_ON_SHARE;
	return reaches(sum.slow, sum.calls, p->slow_rate_permille) ? WEIR_BREAKER_OPENED_ON_SLOW : WEIR_BREAKER_SAME;
}

/* The word of an opening from f. */
static uint64_t opened(const struct weir_breaker_params *p, struct fields f, uint64_t seen, bool unawaited, uint64_t now_ns)
{
	/* + 1: the part of a millisecond that the division left out, so that it is never open for less than open_time. */
	uint64_t now_ms = now_ns / NS_PER_MS + 1, from_ms = now_ms, least_ms = now_ms;
	uint64_t first_ms = open_time_ms(p, 1), often = unawaited ? UNAWAITED : 1;
	uint32_t trips = f.state == WEIR_BREAKER_CLOSED ? trips_kept(p, f, now_ms) : f.trips;
	uint64_t until_ms, open_ms;

	/* After a probe that failed, the time counts from when it was sent: a probe that hangs before it fails must not stretch
	 * the time to the next one. But leave at least the first open time between the two. */
	if (f.state == WEIR_BREAKER_HALF_OPEN) {
		uint64_t lease = lease_ms(p, f.trips);

		if (f.time_ms > lease && f.time_ms - lease < now_ms)
			from_ms = f.time_ms - lease;
		least_ms = now_ms + jittered_ms(p, first_ms / often, ~seen, now_ns);
	}
	trips = trips < TRIPS_MAX ? trips + 1 : TRIPS_MAX;
	open_ms = open_time_ms(p, trips) / often;
	until_ms = from_ms + jittered_ms(p, open_ms > first_ms ? open_ms : first_ms, seen, now_ns);
	return pack(WEIR_BREAKER_OPEN, trips, f.generation + 1, stamp_ms(until_ms > least_ms ? until_ms : least_ms));
}

static enum weir_breaker_change settle_closed(struct weir_breaker *b, const struct weir_breaker_params *p,
					      const struct weir_window *window, uint64_t seen,
					      const struct weir_breaker_call *call, uint64_t now_ns)
{
	struct fields f = unpack(seen);
	enum weir_breaker_change change;

	if (!call->failed)
		end_streak(b, f.generation);
	if ((!call->failed && !call->slow) || off(p))
		return WEIR_BREAKER_SAME;
	change = trips_it(b, p, window, f, call, now_ns);
	if (change == WEIR_BREAKER_SAME)
		return change;
	if (!swap(b, &seen, opened(p, f, seen, false, now_ns)))
		return WEIR_BREAKER_SAME; /* somebody else opened it */
	atomic_fetch_add_explicit(&b->opened_total, 1, memory_order_relaxed);
	return change;
}

enum weir_breaker_change weir_breaker_settle(struct weir_breaker *b, const struct weir_breaker_params *p,
					     const struct weir_window *window, struct weir_breaker_ticket ticket,
					     const struct weir_breaker_call *call, uint64_t now_ns)
{
	uint64_t seen = load(b);
	struct fields f = unpack(seen);
	uint32_t threshold = p->success_threshold != 0 ? p->success_threshold : 1;
	uint32_t streak = 0;
	uint32_t lasted_ms = 0;
	bool failed = call->failed;

	if (!same_generation(f, ticket))
		return WEIR_BREAKER_SAME;
	if (f.state == WEIR_BREAKER_CLOSED)
		return settle_closed(b, p, window, seen, call, now_ns);
	if (f.state != WEIR_BREAKER_HALF_OPEN || ticket.probe == 0)
		return WEIR_BREAKER_SAME;
	/* Where slow calls may open it, a slow probe is no sign of health. */
	if (call->slow && p->slow_rate_permille != 0)
		failed = true;
	if (!failed)
		streak = lengthen(b, f.generation, now_ns, &lasted_ms);
	/* The loop ends by itself unless the probe's lease changes hands meanwhile. */
	for (int i = 0; i < TRIES; i++) {
		if (failed) {
			if (!holds_lease(f, ticket))
				return WEIR_BREAKER_SAME; /* it lost its lease; the probe after it knows better */
			if (swap(b, &seen, opened(p, f, seen, call->unawaited, now_ns)))
				return WEIR_BREAKER_REOPENED;
		} else if (streak >= threshold || streak == STREAK_MASK) {
			if (swap(b, &seen, pack(WEIR_BREAKER_CLOSED, f.trips, f.generation + 1, stamp_ms(now_ns / NS_PER_MS))))
				return WEIR_BREAKER_RECLOSED;
		} else {
			if (!holds_lease(f, ticket) || swap(b, &seen, freed(f)))
				return WEIR_BREAKER_SAME;
		}
		f = unpack(seen);
		if (f.state != WEIR_BREAKER_HALF_OPEN || !same_generation(f, ticket))
			return WEIR_BREAKER_SAME;
	}
	return WEIR_BREAKER_SAME;
}

void weir_breaker_forgo(struct weir_breaker *b, struct weir_breaker_ticket ticket)
{
	uint64_t seen = load(b);
	struct fields f = unpack(seen);

	/* Where the swap fails the lease has just changed hands, and there is nothing to give back. */
	if (holds_lease(f, ticket))
		(void)swap(b, &seen, freed(f));
}

/* ---- ramp, force, view ---- */

/* Milliseconds since it closed, while the ramp lasts; false outside a ramp. */
static bool ramping(const struct weir_breaker_params *p, struct fields f, uint64_t now_ms, uint64_t *elapsed_ms)
{
	if (f.state != WEIR_BREAKER_CLOSED || f.time_ms == 0 || f.time_ms > now_ms + SKEW_MS)
		return false;
	*elapsed_ms = now_ms > f.time_ms ? now_ms - f.time_ms : 0;
	return *elapsed_ms < to_ms(p->ramp_ns);
}

uint32_t weir_breaker_ramp(const struct weir_breaker *b, const struct weir_breaker_params *p, uint64_t now_ns)
{
	uint64_t elapsed, seen = load(b);

	/* Most have never opened. */
	if ((seen & TIME_MASK) == 0 || !ramping(p, unpack(seen), now_ns / NS_PER_MS, &elapsed))
		return UINT32_MAX;
	return UINT32_C(1) << (elapsed * 8 / to_ms(p->ramp_ns));
}

void weir_breaker_force(struct weir_breaker *b, enum weir_breaker_state state, uint64_t now_ns)
{
	uint64_t seen = load(b);

	(void)now_ns; /* what is forced has no end and no ramp */
	for (int i = 0; i < 1000; i++) {
		struct fields f = unpack(seen);
		bool open = state == WEIR_BREAKER_OPEN || state == WEIR_BREAKER_FORCED_OPEN;

		if (state == WEIR_BREAKER_HALF_OPEN && f.state != WEIR_BREAKER_FORCED_OPEN)
			return;
		if (open && f.state == WEIR_BREAKER_FORCED_OPEN)
			return;
		if (!swap(b, &seen, pack(open ? WEIR_BREAKER_FORCED_OPEN : WEIR_BREAKER_CLOSED, 0, f.generation + 1, 0)))
			continue;
		if (open)
			atomic_fetch_add_explicit(&b->opened_total, 1, memory_order_relaxed);
		return;
	}
}

struct weir_breaker_view weir_breaker_view(const struct weir_breaker *b, const struct weir_breaker_params *p, uint64_t now_ns)
{
	struct fields f = unpack(load(b));
	uint64_t now_ms = now_ns / NS_PER_MS;
	uint64_t elapsed;
	struct weir_breaker_view view = {
		.state = (enum weir_breaker_state)f.state,
		.generation = f.generation,
		.trips = f.state == WEIR_BREAKER_CLOSED ? trips_kept(p, f, now_ms) : f.trips,
		.streak = streak_of(atomic_load_explicit(&b->streak, memory_order_relaxed), f.generation),
	};

	if (f.state == WEIR_BREAKER_FORCED_OPEN)
		view.until_ns = WEIR_NEVER;
	else if (f.state == WEIR_BREAKER_CLOSED)
		view.until_ns = ramping(p, f, now_ms, &elapsed) ? (f.time_ms + to_ms(p->ramp_ns)) * NS_PER_MS : 0;
	else if (f.state == WEIR_BREAKER_OPEN || in_flight(f))
		view.until_ns = end_ms(p, f, now_ms) * NS_PER_MS;
	return view;
}
