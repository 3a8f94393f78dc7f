/* SPDX-License-Identifier: MIT */
/* A request's units: one in every bucket with a limit that it passes. */
#include "units.h"

/* Units are not stale before this: a busy machine wakes a sleeper some milliseconds late. */
#define LATE_NS UINT64_C(20000000)
/* And in an event loop before this: a program that has no descriptors to wait for sleeps for 100 ms, as libcurl's manual has it.
 * A unit that is given up costs the place in the queue. */
#define LATE_IN_LOOP_NS UINT64_C(150000000)

/* A request that a handshake has kept leaves on its unit's time when it is no later than this: who wakes takes so long. */
#define KEPT_NS UINT64_C(2000000)

/* Between two requests whose units have been made void and who are next to each other in the queue: time enough for the first to
 * wake and take its new one before the second does. */
#define RETAKE_APART_NS UINT64_C(500000)
#define RETAKE_LAST     UINT64_C(2000) /* who is further behind goes with this one */

/* Beside the bits of r->ripe: how often its units were ready, and others left before it. So often it keeps them. */
#define OUTRUN     (UINT32_C(1) << 24)
#define OUTRUN_MAX 3U
_Static_assert(24 >= WEIR_SCOPES * WEIR_RATES, "a bit for each below the count");

/* A bucket with a limit that the request passes. */
struct passed {
	struct weir_bucket *bucket;
	struct weir_scope *of; /* of the request: has the unit and the place, */
	const struct weir_rule *rule;
	uint32_t slot, bit;
	uint8_t rate; /* under this number */
	bool classed; /* several classes use it */
};

static void pass(const struct weir_gate *g, struct weir_request *r, const struct scope *s, unsigned scope, unsigned rate,
		 uint64_t now_ns, struct passed *out)
{
	struct weir_bucket *b = &s->entry->bucket[rate];

	*out = (struct passed){
		.bucket = b,
		.bit = 1U << (scope * WEIR_RATES + rate),
		.of = &r->scope[scope],
		.rate = (uint8_t)rate,
		.rule = s->rule,
		.slot = s->slot,
		/* A dry run waits for nobody: what it takes, it owes. */
		.classed = !g->dry_run && weir_bucket_classed(b, r->class, now_ns),
	};
}

/* A run's and a client's share have one rate each. */
#define PASSED_MAX (3 * WEIR_RATES + 2)

/* The n-th scope, what the fewest share first. */
static unsigned narrowest(unsigned n)
{
	static const uint8_t order[WEIR_SCOPES] = {SCOPE_CLIENT, SCOPE_NARROW, SCOPE_RUN, SCOPE_HOST, SCOPE_TOTAL};

	return order[n];
}

/* Fills out[], the narrowest first, and returns how many; brings their paces in line with the policy. */
static unsigned buckets_passed(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES],
			       uint64_t now_ns, struct passed out[PASSED_MAX])
{
	unsigned n = 0, end = scopes_end(scope);

	for (unsigned k = 0; k < end; k++) {
		unsigned i = end > SCOPE_HOST + 1 ? narrowest(k) : SCOPE_HOST;

		if (scope[i].slot == WEIR_NONE || scope_is_overflow(g, &scope[i])) /* its rates are in spares */
			continue;
		if (r->unit_taken && i != SCOPE_NARROW)
			continue;
		scope_apply(g, &scope[i], now_ns);
		if (!(i == SCOPE_HOST && r->unpaced) && !weir_bucket_unused(scope[i].entry->bucket))
			pass(g, r, &scope[i], i, 0, now_ns, &out[n++]);
		/* The rule is at hand, the buckets are cache lines of their own. A rule's rates end with the first that is 0. */
		for (unsigned j = 1; j < WEIR_RATES && scope[i].rule->fixed[j - 1].rate != 0; j++)
			pass(g, r, &scope[i], i, j, now_ns, &out[n++]);
	}
	return n;
}

/* A place that it has been too late for is another's by now. */
static struct weir_turn turn_of(const struct weir_request *r, const struct passed *p, uint64_t now_ns)
{
	if (p->of->place[p->rate] != 0 && !weir_order_holds(&p->bucket->turns.order, r->class, p->of->place[p->rate]))
		p->of->place[p->rate] = 0;
	return (struct weir_turn){
		.class = r->class,
		.place = p->of->place[p->rate],
		.waited_ns = r->delayed && now_ns > r->begun_ns ? now_ns - r->begun_ns : 0,
		.shares = p->rule->queue.shares,
	};
}

/* Units that were taken before there were several classes are places now. */
static void units_to_places(const struct weir_request *r, const struct passed *p, unsigned n)
{
	for (unsigned k = 0; k < n; k++) {
		if (!p[k].classed || p[k].of->unit[p[k].rate] == 0 ||
		    weir_bucket_holds(p[k].bucket, p[k].of->unit[p[k].rate], &p[k].of->numbering[p[k].rate]))
			continue;
		p[k].of->place[p[k].rate] = weir_bucket_place_of(p[k].bucket, r->class, p[k].of->unit[p[k].rate]);
		p[k].of->unit[p[k].rate] = 0;
	}
}

/* When its turn comes. Who comes and may go at once takes the unit; who has waited takes it when it has everything else
 * (request_take_turns): while it waits for a permit it keeps no unit from others. */
static uint64_t turn_ns(struct weir_request *r, const struct passed *p, uint64_t now_ns)
{
	struct weir_turn t = turn_of(r, p, now_ns);
	uint64_t at = now_ns;

	if (r->delayed) {
		at = weir_bucket_turn_ns(p->bucket, &t, now_ns);
		r->turns |= at <= now_ns;
	} else {
		p->of->numbering[p->rate] = weir_bucket_numbering(p->bucket);
		p->of->unit[p->rate] = weir_bucket_go(p->bucket, &t, now_ns, &at);
	}
	if (at > now_ns && at <= r->latest_ns && p->of->place[p->rate] == 0)
		p->of->place[p->rate] = weir_order_take(&p->bucket->turns.order, r->class);
	return at;
}

/* The time from which every unit could go that the request has yet to take. Takes none: of two rates the one that makes it wait
 * too long must not cost it a unit of the other. Sets the entry that binds. */
static uint64_t units_expected(struct weir_request *r, const struct passed *p, unsigned n, uint64_t now_ns)
{
	uint64_t ready = now_ns;

	for (unsigned k = 0; k < n; k++) {
		struct weir_turn t = turn_of(r, &p[k], now_ns);
		uint64_t at = now_ns;

		if (p[k].of->unit[p[k].rate] == 0)
			at = p[k].classed ? weir_bucket_turn_ns(p[k].bucket, &t, now_ns)
					  : weir_bucket_preview_ns(p[k].bucket, now_ns);

		if (at > ready) {
			ready = at;
			r->wait_slot = p[k].slot;
		}
	}
	return ready;
}

/* Units that have been made void since they were taken are kept until it is this request's turn to take new ones, in the order of
 * the old; then they are forgotten. Returns when that is: now_ns when there are none, or none any more. */
static uint64_t drop_void_units(struct weir_request *r, const struct passed *p, unsigned n, uint64_t now_ns)
{
	uint64_t ahead = 0;
	unsigned found = 0;

	for (unsigned k = 0; k < n; k++) {
		uint64_t before;

		if (p[k].of->unit[p[k].rate] == 0 ||
		    weir_bucket_holds(p[k].bucket, p[k].of->unit[p[k].rate], &p[k].of->numbering[p[k].rate]))
			continue;
		before = weir_bucket_ahead(p[k].bucket, p[k].of->unit[p[k].rate], now_ns);
		ahead = before > ahead ? before : ahead;
		found |= 1U << k;
		r->wait_slot = p[k].slot;
	}
	if (found == 0)
		return now_ns;
	if (r->retake_ns == 0)
		r->retake_ns = now_ns + (ahead < RETAKE_LAST ? ahead : RETAKE_LAST) * RETAKE_APART_NS;
	if (r->retake_ns > now_ns && r->retake_ns <= r->latest_ns)
		return r->retake_ns;
	for (unsigned k = 0; k < n; k++)
		if ((found >> k & 1) != 0)
			p[k].of->unit[p[k].rate] = 0;
	r->retake_ns = 0;
	return now_ns;
}

/* Whether no bucket is passed: most hosts have none with a limit, and most requests no other scopes. */
static bool passes_none(const struct weir_gate *g, const struct scope scope[WEIR_SCOPES], uint64_t now_ns)
{
	const struct scope *host = &scope[SCOPE_HOST];

	if (scopes_end(scope) > SCOPE_HOST + 1 || scope_is_overflow(g, host) || host->rule->fixed[0].rate != 0 ||
	    !weir_bucket_unused(host->entry->bucket))
		return false;
	scope_apply(g, host, now_ns);
	return weir_bucket_unused(host->entry->bucket);
}

/* Takes a unit of the bucket, or a place in its order, if the request has none. Returns when it is ready. */
static uint64_t take_one(struct weir_request *r, const struct passed *p, uint64_t now_ns)
{
	uint64_t *unit = &p->of->unit[p->rate], at = now_ns;

	if (*unit != 0)
		return weir_bucket_ready_ns(p->bucket, *unit, now_ns);
	r->ripe &= ~p->bit;
	if (p->classed) {
		at = turn_ns(r, p, now_ns);
	} else {
		p->of->numbering[p->rate] = weir_bucket_numbering(p->bucket);
		*unit = weir_bucket_take_by(p->bucket, now_ns, r->latest_ns, &at);
	}
	r->has_units |= *unit != 0;
	return at;
}

/* What is ready before the last of the first n is, is the request's while it waits for that one, and grows no staler. */
static uint64_t keep_the_early(struct weir_request *r, const struct passed *p, unsigned n, uint64_t ready, uint64_t now_ns)
{
	for (unsigned k = 0; k < n; k++) {
		uint64_t *unit = &p[k].of->unit[p[k].rate], at = now_ns;

		if (*unit == 0 && p[k].classed) {
			struct weir_turn t = turn_of(r, &p[k], now_ns);

			if (weir_bucket_turn_ns(p[k].bucket, &t, now_ns) > now_ns)
				continue;
			p[k].of->numbering[p[k].rate] = weir_bucket_numbering(p[k].bucket);
			*unit = weir_bucket_go(p[k].bucket, &t, now_ns, &at);
			if (at > now_ns) /* somebody was faster */
				return at;
			p[k].of->place[p[k].rate] = 0;
			r->has_units |= *unit != 0;
		}
		if (weir_bucket_ready_ns(p[k].bucket, *unit, now_ns) < ready)
			r->ripe |= p[k].bit;
	}
	return ready;
}

/*
 * A unit of each, one after the other, of what the fewest share first: only when that is ready is the next one taken. Who took
 * all at once would let the early ones pass while it waits for the last, and by the time that this is ready they are stale, and
 * new ones are far back in their queues: sixteen threads of one client, held to two a second, had taken the units of a host of
 * ten a second from all others, and used hardly any.
 *
 * A frame of its own.
 */
static __attribute__((noinline)) uint64_t take_units(const struct weir_gate *g, struct weir_request *r,
						     const struct scope scope[WEIR_SCOPES], uint64_t now_ns)
{
	struct passed p[PASSED_MAX];
	uint64_t ready = now_ns;
	unsigned n = buckets_passed(g, r, scope, now_ns, p), k;

	if (r->delayed) {
		units_to_places(r, p, n);
		ready = drop_void_units(r, p, n, now_ns);
		if (ready > now_ns)
			return ready;
	}
	if (n > 1) {
		ready = units_expected(r, p, n, now_ns);
		if (ready > now_ns && ready > r->latest_ns)
			return ready;
		ready = now_ns;
	}
	for (k = 0; k < n && (ready <= now_ns || g->dry_run); k++) {
		uint64_t at = take_one(r, &p[k], now_ns);

		if (at > ready) {
			ready = at;
			r->wait_slot = p[k].slot;
		}
	}
	return n > 1 && ready > now_ns ? keep_the_early(r, p, k, ready, now_ns) : ready;
}

uint64_t request_units_ready(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES],
			     uint64_t now_ns)
{
	return r->paid || (!r->has_units && passes_none(g, scope, now_ns)) ? now_ns : take_units(g, r, scope, now_ns);
}

__attribute__((noinline)) bool request_take_turns(const struct weir_gate *g, struct weir_request *r,
						  const struct scope scope[WEIR_SCOPES], uint64_t now_ns, uint64_t *ready_ns)
{
	struct passed p[WEIR_SCOPES * WEIR_RATES];
	unsigned n;

	*ready_ns = now_ns;
	if (!r->turns)
		return true;
	r->turns = false;
	n = buckets_passed(g, r, scope, now_ns, p);
	for (unsigned k = 0; k < n; k++) {
		struct weir_turn t;

		if (!p[k].classed || p[k].of->unit[p[k].rate] != 0)
			continue;
		t = turn_of(r, &p[k], now_ns);
		p[k].of->numbering[p[k].rate] = weir_bucket_numbering(p[k].bucket);
		p[k].of->unit[p[k].rate] = weir_bucket_go(p[k].bucket, &t, now_ns, ready_ns);
		if (*ready_ns > now_ns) {
			r->wait_slot = p[k].slot;
			return false;
		}
		p[k].of->place[p[k].rate] = 0;
		r->has_units |= p[k].of->unit[p[k].rate] != 0;
	}
	return true;
}

void request_leave_turns(const struct weir_gate *g, struct weir_request *r)
{
	for (unsigned i = 0; i < WEIR_SCOPES; i++)
		for (unsigned j = 0; j < WEIR_RATES; j++) {
			if (r->scope[i].place[j] != 0 && r->scope[i].slot <= g->segment->entries && scope_is_still(g, r, i))
				weir_order_leave(&g->segment->entry[r->scope[i].slot].bucket[j].turns.order, r->class,
						 r->scope[i].place[j], true);
			r->scope[i].place[j] = 0;
		}
}

__attribute__((noinline)) void request_take_all_units(const struct weir_gate *g, struct weir_request *r,
						      const struct scope scope[WEIR_SCOPES], uint64_t now_ns)
{
	struct passed p[PASSED_MAX];
	unsigned n = r->paid ? 0 : buckets_passed(g, r, scope, now_ns, p);

	for (unsigned k = 0; k < n; k++) {
		uint64_t *unit = &p[k].of->unit[p[k].rate];
		uint32_t *numbering = &p[k].of->numbering[p[k].rate];

		if (p[k].of->place[p[k].rate] != 0 || (*unit != 0 && weir_bucket_holds(p[k].bucket, *unit, numbering)))
			continue;
		*numbering = weir_bucket_numbering(p[k].bucket);
		*unit = weir_bucket_take(p[k].bucket, now_ns);
		r->has_units |= *unit != 0;
	}
}

void request_note_late(const struct weir_request *r, const struct scope scope[WEIR_SCOPES], uint64_t now_ns)
{
	unsigned end = scopes_end(scope);

	if (r->cause != WEIR_CAUSE_RATE || r->until_ns >= now_ns || r->in_loop || r->kept)
		return;
	for (unsigned i = 0; i < end; i++)
		for (unsigned j = 0; j < WEIR_RATES && scope[i].slot != WEIR_NONE; j++)
			if (r->scope[i].unit[j] != 0)
				weir_bucket_late(&scope[i].entry->bucket[j], now_ns - r->until_ns, now_ns);
}

static uint64_t slack_of(const struct weir_request *r)
{
	return r->kept ? KEPT_NS : r->in_loop ? LATE_IN_LOOP_NS : LATE_NS;
}

/* Whether its units were taken at this very time: it has not waited for anything yet. */
static bool takes_fresh_units(const struct weir_request *r)
{
	return !r->delayed && !r->kept && !r->paid;
}

/* What goes on the unit of an earlier attempt leaves when those that have left allow it. */
static uint64_t unit_of(const struct weir_request *r, unsigned scope, unsigned rate)
{
	return r->paid ? WEIR_UNIT : r->scope[scope].unit[rate];
}

/* Whether it has more than one unit: what one limit lets leave another may still keep. */
static bool has_several(const struct weir_request *r, const struct scope scope[WEIR_SCOPES])
{
	unsigned found = 0, end = scopes_end(scope);

	for (unsigned i = 0; i < end; i++)
		for (unsigned j = 0; j < WEIR_RATES && scope[i].slot != WEIR_NONE; j++)
			found += (r->scope[i].unit[j] | r->scope[i].place[j]) != 0;
	return found > 1;
}

/* What the limits that it has a unit of say. */
static uint64_t all_depart_ns(const struct weir_request *r, const struct scope scope[WEIR_SCOPES], uint64_t now_ns)
{
	uint64_t ready = now_ns, slack_ns = slack_of(r);
	unsigned end = scopes_end(scope);

	for (unsigned i = 0; i < end; i++)
		for (unsigned j = 0; j < WEIR_RATES && scope[i].slot != WEIR_NONE; j++) {
			uint64_t at = weir_bucket_departs_ns(&scope[i].entry->bucket[j], unit_of(r, i, j), slack_ns, now_ns);

			ready = at > ready ? at : ready;
		}
	return ready;
}

uint64_t request_departs_ns(const struct weir_request *r, const struct scope scope[WEIR_SCOPES], uint64_t now_ns)
{
	return takes_fresh_units(r) ? now_ns : all_depart_ns(r, scope, now_ns);
}

bool request_depart(const struct weir_request *r, const struct scope scope[WEIR_SCOPES], uint64_t now_ns)
{
	uint64_t slack_ns = slack_of(r);
	unsigned end = scopes_end(scope);
	bool leaves = true, fresh = takes_fresh_units(r);

	/* Who has left one limit behind and is kept by the next has cost the first an interval. */
	if (has_several(r, scope) && all_depart_ns(r, scope, now_ns) > now_ns)
		return false;
	for (unsigned i = 0; i < end; i++)
		for (unsigned j = 0; j < WEIR_RATES && scope[i].slot != WEIR_NONE; j++) {
			struct weir_bucket *b = &scope[i].entry->bucket[j];
			uint64_t unit = unit_of(r, i, j);

			if (unit != 0 && !(fresh && weir_bucket_depart_fresh(b, unit)))
				leaves &= weir_bucket_depart(b, unit, slack_ns, now_ns);
		}
	return leaves;
}

uint64_t request_renew_stale_units(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES],
				   uint64_t now_ns)
{
	uint64_t late_ns = slack_of(r);
	bool stale = false;

	for (unsigned i = 0; i < WEIR_SCOPES; i++)
		for (unsigned j = 0; j < WEIR_RATES && scope[i].slot != WEIR_NONE; j++)
			if (r->scope[i].unit[j] != 0 && (r->ripe >> (i * WEIR_RATES + j) & 1) == 0 &&
			    weir_bucket_stale(&scope[i].entry->bucket[j], r->scope[i].unit[j], late_ns, now_ns)) {
				r->scope[i].unit[j] = 0;
				stale = true;
			}
	return stale ? request_units_ready(g, r, scope, now_ns) : now_ns;
}

__attribute__((noinline)) uint64_t request_outrun(const struct weir_gate *g, struct weir_request *r,
						  const struct scope scope[WEIR_SCOPES], uint64_t departs_ns, uint64_t now_ns)
{
	struct passed p[PASSED_MAX];
	uint64_t slack_ns = slack_of(r), ready;
	bool found = false;
	unsigned n;

	if (r->kept || r->paid || departs_ns <= now_ns + slack_ns || !has_several(r, scope))
		return departs_ns;
	n = buckets_passed(g, r, scope, now_ns, p);
	if (r->ripe / OUTRUN < OUTRUN_MAX) {
		r->ripe += OUTRUN;
		return keep_the_early(r, p, n, departs_ns, now_ns);
	}
	r->ripe %= OUTRUN;
	for (unsigned k = 0; k < n; k++) {
		uint64_t *unit = &p[k].of->unit[p[k].rate];

		if (found) {
			r->ripe &= ~p[k].bit;
		} else if (weir_bucket_departs_ns(p[k].bucket, *unit, slack_ns, now_ns) > now_ns + slack_ns &&
			   weir_bucket_preview_ns(p[k].bucket, now_ns) <= r->latest_ns) {
			*unit = 0;
			found = true;
		}
	}
	if (!found)
		return departs_ns;
	ready = request_units_ready(g, r, scope, now_ns);
	departs_ns = request_departs_ns(r, scope, now_ns);
	return departs_ns > ready ? departs_ns : ready;
}

void request_spend_units(const struct weir_gate *g, struct weir_request *r, uint64_t now_ns)
{
	for (unsigned i = 0; i < WEIR_SCOPES; i++)
		for (unsigned j = 0; j < WEIR_RATES && r->scope[i].slot <= g->segment->entries; j++) {
			struct weir_bucket *b = &g->segment->entry[r->scope[i].slot].bucket[j];

			if (r->scope[i].place[j] != 0) {
				weir_order_leave(&b->turns.order, r->class, r->scope[i].place[j], false);
				r->scope[i].place[j] = 0;
				r->scope[i].unit[j] = weir_bucket_take(b, now_ns);
			}
			if (r->scope[i].unit[j] != 0)
				weir_bucket_spend(b, r->scope[i].unit[j]);
		}
}

void request_give_units(const struct weir_gate *g, struct weir_request *r)
{
	for (unsigned i = 0; i < WEIR_SCOPES; i++)
		for (unsigned j = 0; j < WEIR_RATES; j++) {
			struct weir_bucket *b;

			if (r->scope[i].slot > g->segment->entries || (r->scope[i].unit[j] | r->scope[i].place[j]) == 0 ||
			    !scope_is_still(g, r, i))
				continue;
			b = &g->segment->entry[r->scope[i].slot].bucket[j];
			weir_order_leave(&b->turns.order, r->class, r->scope[i].place[j], false);
			r->scope[i].place[j] = 0;
			if (weir_bucket_numbering(b) == r->scope[i].numbering[j])
				weir_bucket_give_back(b, r->scope[i].unit[j]);
			r->scope[i].unit[j] = 0;
		}
}
