/* SPDX-License-Identifier: MIT */
/* Order of this file: asking (try, peek, valid, forgo); ramp, force, view. */
#include "breaker_state.h"

#include "weir/bucket.h"

/* ---- asking ---- */

/* What a request is told in this state; pure. *until_ns is set for REFUSE. PROBE: it would be the probe. */
static enum weir_breaker_answer judge(const struct weir_breaker_params *p, struct breaker_fields f, uint64_t now_ns,
				      uint64_t *until_ns)
{
	uint64_t end;

	if (f.state == WEIR_BREAKER_CLOSED)
		return WEIR_BREAKER_PASS;
	if (f.state == WEIR_BREAKER_FORCED_OPEN) {
		*until_ns = WEIR_NEVER;
		return WEIR_BREAKER_REFUSE;
	}
	if (breaker_off(p))
		return WEIR_BREAKER_PASS;
	if (f.state == WEIR_BREAKER_HALF_OPEN && !breaker_in_flight(f))
		return WEIR_BREAKER_PROBE;
	end = breaker_end_ms(p, f, now_ns / BREAKER_NS_PER_MS);
	if (now_ns / BREAKER_NS_PER_MS >= end)
		return WEIR_BREAKER_PROBE;
	*until_ns = end * BREAKER_NS_PER_MS;
	return WEIR_BREAKER_REFUSE;
}

/* weir_breaker_try where it was not closed a moment ago. */
static __attribute__((noinline)) enum weir_breaker_answer try_open(struct weir_breaker *b, const struct weir_breaker_params *p,
								   uint64_t seen, uint64_t now_ns,
								   struct weir_breaker_ticket *ticket, uint64_t *until_ns)
{
	uint64_t now_ms = now_ns / BREAKER_NS_PER_MS;

	for (int i = 0; i < BREAKER_TRIES; i++) {
		struct breaker_fields f = breaker_unpack(seen);
		enum weir_breaker_answer answer = judge(p, f, now_ns, until_ns);
		bool taken_over;
		uint64_t turn;
		uint64_t end;

		*ticket = (struct weir_breaker_ticket){.generation = f.generation, .probe = 0};
		if (answer == WEIR_BREAKER_PASS)
			return answer;
		if (answer == WEIR_BREAKER_REFUSE) {
			/* Cut an absurd end down in the word too, or it would stay as far away as it is for ever. */
			if (f.state != WEIR_BREAKER_FORCED_OPEN && f.time_ms > breaker_end_ms(p, f, now_ms) &&
			    !breaker_swap(b, &seen, breaker_pack(f.state, f.trips, f.generation, breaker_end_ms(p, f, now_ms))))
				continue;
			return answer;
		}
		/* A probe lost to time counts as a trip: the next one gets a longer lease, and leaves a longer open time. */
		taken_over = breaker_in_flight(f);
		turn = breaker_turn_after(f);
		if (f.state == WEIR_BREAKER_OPEN)
			f.generation = (f.generation + 1) & GENERATION_MASK;
		if (taken_over && f.trips < BREAKER_TRIPS_MAX)
			f.trips++;
		end = now_ms + breaker_lease_ms(p, f.trips);
		end += (turn - end) & BREAKER_TURN_MASK;
		if (breaker_swap(b, &seen, breaker_pack(WEIR_BREAKER_HALF_OPEN, f.trips, f.generation, end))) {
			*ticket = (struct weir_breaker_ticket){.generation = breaker_probe_name(f.generation, end), .probe = 1};
			return WEIR_BREAKER_PROBE;
		}
	}
	/* The word would not stand still: somebody else is probing. */
	*until_ns = now_ns + BREAKER_NS_PER_MS;
	return WEIR_BREAKER_REFUSE;
}

enum weir_breaker_answer weir_breaker_try(struct weir_breaker *b, const struct weir_breaker_params *p, uint64_t now_ns,
					  struct weir_breaker_ticket *ticket, uint64_t *until_ns)
{
	uint64_t seen = breaker_load(b);

	if (!breaker_is_closed(seen))
		return try_open(b, p, seen, now_ns, ticket, until_ns);
	*ticket = (struct weir_breaker_ticket){.generation = breaker_unpack(seen).generation, .probe = 0};
	return WEIR_BREAKER_PASS;
}

void weir_breaker_cut(struct weir_breaker *b, const struct weir_breaker_params *p, uint64_t now_ns)
{
	uint64_t seen = breaker_load(b);
	struct breaker_fields f = breaker_unpack(seen);
	uint64_t end = breaker_end_ms(p, f, now_ns / BREAKER_NS_PER_MS);

	if ((f.state == WEIR_BREAKER_OPEN || breaker_in_flight(f)) && f.time_ms > end)
		(void)breaker_swap(b, &seen, breaker_pack(f.state, f.trips, f.generation, end));
}

enum weir_breaker_answer weir_breaker_peek(const struct weir_breaker *b, const struct weir_breaker_params *p, uint64_t now_ns,
					   uint64_t *until_ns)
{
	uint64_t seen = breaker_load(b);

	return breaker_is_closed(seen) ? WEIR_BREAKER_PASS : judge(p, breaker_unpack(seen), now_ns, until_ns);
}

bool weir_breaker_valid(const struct weir_breaker *b, struct weir_breaker_ticket ticket)
{
	struct breaker_fields f = breaker_unpack(breaker_load(b));

	return ticket.probe != 0 ? breaker_holds_lease(f, ticket) : breaker_same_generation(f, ticket);
}

void weir_breaker_forgo(struct weir_breaker *b, struct weir_breaker_ticket ticket)
{
	uint64_t seen = breaker_load(b);
	struct breaker_fields f = breaker_unpack(seen);

	/* Where the swap fails the lease has just changed hands, and there is nothing to give back. */
	if (breaker_holds_lease(f, ticket))
		(void)breaker_swap(b, &seen, breaker_freed(f));
}

/* ---- ramp, force, view ---- */

/* Milliseconds since it closed, while the ramp lasts; false outside a ramp. */
static bool ramping(const struct weir_breaker_params *p, struct breaker_fields f, uint64_t now_ms, uint64_t *elapsed_ms)
{
	if (f.state != WEIR_BREAKER_CLOSED || f.time_ms == 0 || f.time_ms > now_ms + BREAKER_SKEW_MS)
		return false;
	*elapsed_ms = now_ms > f.time_ms ? now_ms - f.time_ms : 0;
	return *elapsed_ms < breaker_to_ms(p->ramp_ns);
}

uint32_t weir_breaker_ramp(const struct weir_breaker *b, const struct weir_breaker_params *p, uint64_t now_ns)
{
	uint64_t elapsed, seen = breaker_load(b);

	/* Most have never opened. */
	if ((seen & BREAKER_TIME_MASK) == 0 || !ramping(p, breaker_unpack(seen), now_ns / BREAKER_NS_PER_MS, &elapsed))
		return UINT32_MAX;
	return UINT32_C(1) << (elapsed * 8 / breaker_to_ms(p->ramp_ns));
}

void weir_breaker_force(struct weir_breaker *b, enum weir_breaker_state state, uint64_t now_ns)
{
	uint64_t seen = breaker_load(b);

	(void)now_ns; /* what is forced has no end and no ramp */
	for (int i = 0; i < 1000; i++) {
		struct breaker_fields f = breaker_unpack(seen);
		bool open = state == WEIR_BREAKER_OPEN || state == WEIR_BREAKER_FORCED_OPEN;

		if (state == WEIR_BREAKER_HALF_OPEN && f.state != WEIR_BREAKER_FORCED_OPEN)
			return;
		if (open && f.state == WEIR_BREAKER_FORCED_OPEN)
			return;
		if (!breaker_swap(b, &seen,
				  breaker_pack(open ? WEIR_BREAKER_FORCED_OPEN : WEIR_BREAKER_CLOSED, 0, f.generation + 1, 0)))
			continue;
		if (open)
			atomic_fetch_add_explicit(&b->opened_total, 1, memory_order_relaxed);
		return;
	}
}

struct weir_breaker_view weir_breaker_view(const struct weir_breaker *b, const struct weir_breaker_params *p, uint64_t now_ns)
{
	struct breaker_fields f = breaker_unpack(breaker_load(b));
	uint64_t now_ms = now_ns / BREAKER_NS_PER_MS;
	uint64_t elapsed;
	struct weir_breaker_view view = {
		.state = (enum weir_breaker_state)f.state,
		.generation = f.generation,
		.trips = f.state == WEIR_BREAKER_CLOSED ? breaker_trips_kept(p, f, now_ms) : f.trips,
		.streak = breaker_streak_of(atomic_load_explicit(&b->streak, memory_order_relaxed), f.generation),
	};

	if (f.state == WEIR_BREAKER_FORCED_OPEN)
		view.until_ns = WEIR_NEVER;
	else if (f.state == WEIR_BREAKER_CLOSED)
		view.until_ns = ramping(p, f, now_ms, &elapsed) ? (f.time_ms + breaker_to_ms(p->ramp_ns)) * BREAKER_NS_PER_MS : 0;
	else if (f.state == WEIR_BREAKER_OPEN || breaker_in_flight(f))
		view.until_ns = breaker_end_ms(p, f, now_ms) * BREAKER_NS_PER_MS;
	return view;
}
