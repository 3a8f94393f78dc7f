/* SPDX-License-Identifier: MIT */
#include "weir/bucket.h"

#include "virtual_time.h"

enum { WORD_V0, WORD_T0, WORD_RATE, WORD_BURST };

struct weir_pace weir_bucket_pace(const struct weir_bucket *b)
{
	uint64_t w[WEIR_BUCKET_WORDS];
	struct weir_pace p;

	weir_published_read(&b->generation, b->pace, WEIR_BUCKET_WORDS, w);
	p.v0 = w[WORD_V0] < V_MAX ? w[WORD_V0] : V_MAX;
	p.t0_ns = w[WORD_T0];
	p.rate = w[WORD_RATE] < WEIR_RATE_MAX ? w[WORD_RATE] : WEIR_RATE_MAX;
	p.burst = w[WORD_BURST] < 1 ? 1 : w[WORD_BURST] < WEIR_BURST_MAX ? w[WORD_BURST] : WEIR_BURST_MAX;
	return p;
}

uint64_t weir_bucket_take_by(struct weir_bucket *b, uint64_t now_ns, uint64_t latest_ns, uint64_t *ready)
{
	struct weir_pace p;
	uint64_t v, tail, least, unit = 0;

	*ready = now_ns;
	if (weir_bucket_unused(b))
		return 0;
	p = weir_bucket_pace(b);
	if (p.rate == 0)
		return 0;
	v = virtual_time(&p, now_ns);
	least = unit_floor(b, &p, v, now_ns);
	tail = atomic_load_explicit(&b->tail, memory_order_relaxed);
	for (int i = 0; i < CAS_TRIES; i++) {
		uint64_t from = sane_tail(tail, v);

		unit = (from > least ? from : least) + WEIR_UNIT;
		*ready = ready_ns(&p, unit, v, now_ns);
		if (*ready > now_ns && *ready > latest_ns)
			return 0;
		if (atomic_compare_exchange_weak_explicit(&b->tail, &tail, unit, memory_order_relaxed, memory_order_relaxed))
			break;
	}
	return unit;
}

uint64_t weir_bucket_take(struct weir_bucket *b, uint64_t now_ns)
{
	uint64_t ready;

	return weir_bucket_take_by(b, now_ns, WEIR_NEVER, &ready);
}

uint64_t weir_bucket_ready_ns(const struct weir_bucket *b, uint64_t unit, uint64_t now_ns)
{
	struct weir_pace p;

	if (unit == 0)
		return now_ns;
	p = weir_bucket_pace(b);
	if (p.rate == 0)
		return now_ns;
	return ready_ns(&p, unit, virtual_time(&p, now_ns), now_ns);
}

bool weir_bucket_stale(const struct weir_bucket *b, uint64_t unit, uint64_t slack_ns, uint64_t now_ns)
{
	struct weir_pace p;

	if (unit == 0 || now_ns < slack_ns)
		return false;
	p = weir_bucket_pace(b);
	return p.rate != 0 && virtual_time(&p, now_ns - slack_ns) > unit;
}

/* What `gone` is when a request with this unit leaves now. What is there was ready when it was written, so it cannot lie beyond
 * all that may go now, but for a clock that was read earlier; what does is damage, and forgotten: a bound that moves on with the
 * time would never be reached. */
static uint64_t departure(const struct weir_pace *p, uint64_t gone, uint64_t unit, uint64_t slack_ns, uint64_t now_ns)
{
	uint64_t most = virtual_time(p, now_ns + OUT_OF_ORDER_NS) + ((p->burst + 1) << WEIR_UNIT_SHIFT);
	uint64_t from = unit > WEIR_UNIT ? unit - WEIR_UNIT : 0,
		 late = virtual_time(p, now_ns > slack_ns ? now_ns - slack_ns : 0);

	from = gone > from && gone <= most ? gone : from;
	return (late > from ? late : from) + WEIR_UNIT;
}

uint64_t weir_bucket_departs_ns(const struct weir_bucket *b, uint64_t unit, uint64_t slack_ns, uint64_t now_ns)
{
	struct weir_pace p;
	uint64_t gone = atomic_load_explicit(&b->gone, memory_order_relaxed);

	if (unit == 0)
		return now_ns;
	p = weir_bucket_pace(b);
	if (p.rate == 0)
		return now_ns;
	return ready_ns(&p, departure(&p, gone, unit, slack_ns, now_ns), virtual_time(&p, now_ns), now_ns);
}

bool weir_bucket_depart_fresh(struct weir_bucket *b, uint64_t unit)
{
	uint64_t gone = atomic_load_explicit(&b->gone, memory_order_relaxed);

	/* departure() of it is the unit itself: nobody after it has gone, and it follows on V or, where somebody's lateness has
	 * been lent, on a V that is less far behind than anybody's slack. */
	return gone <= unit - WEIR_UNIT &&
	       atomic_compare_exchange_strong_explicit(&b->gone, &gone, unit, memory_order_relaxed, memory_order_relaxed);
}

bool weir_bucket_depart(struct weir_bucket *b, uint64_t unit, uint64_t slack_ns, uint64_t now_ns)
{
	struct weir_pace p;
	uint64_t gone = atomic_load_explicit(&b->gone, memory_order_relaxed), next;

	if (unit == 0)
		return true;
	p = weir_bucket_pace(b);
	if (p.rate == 0)
		return true;
	for (int i = 0; i < CAS_TRIES; i++) {
		next = departure(&p, gone, unit, slack_ns, now_ns);
		if (ready_ns(&p, next, virtual_time(&p, now_ns), now_ns) > now_ns)
			return false;
		if (atomic_compare_exchange_weak_explicit(&b->gone, &gone, next, memory_order_relaxed, memory_order_relaxed))
			break;
	}
	return true;
}

uint64_t weir_bucket_preview_ns(const struct weir_bucket *b, uint64_t now_ns)
{
	struct weir_pace p = weir_bucket_pace(b);
	uint64_t v, tail;

	if (p.rate == 0)
		return now_ns;
	v = virtual_time(&p, now_ns);
	tail = sane_tail(atomic_load_explicit(&b->tail, memory_order_relaxed), v);
	return ready_ns(&p, (tail > v ? tail : v) + WEIR_UNIT, v, now_ns);
}

bool weir_bucket_give_back(struct weir_bucket *b, uint64_t unit)
{
	if (unit < WEIR_UNIT)
		return false;
	return atomic_compare_exchange_strong_explicit(&b->tail, &unit, unit - WEIR_UNIT, memory_order_relaxed,
						       memory_order_relaxed);
}

/* The last unit that may have been used. */
static uint64_t last_used(const struct weir_bucket *b, const struct weir_pace *p, uint64_t tail, uint64_t now_ns)
{
	uint64_t ready = virtual_time(p, now_ns) + (p->burst << WEIR_UNIT_SHIFT);
	uint64_t spent = atomic_load_explicit(&b->spent, memory_order_relaxed);

	return spent <= tail && spent > ready ? spent : ready;
}

uint64_t weir_bucket_queue(const struct weir_bucket *b, uint64_t now_ns)
{
	struct weir_pace p = weir_bucket_pace(b);
	uint64_t last, tail;

	if (p.rate == 0)
		return 0;
	tail = sane_tail(atomic_load_explicit(&b->tail, memory_order_relaxed), virtual_time(&p, now_ns));
	last = last_used(b, &p, tail, now_ns);
	return tail > last ? (tail - last + WEIR_UNIT / 2) >> WEIR_UNIT_SHIFT : 0; /* V is rounded down */
}

uint64_t weir_bucket_ahead(const struct weir_bucket *b, uint64_t unit, uint64_t now_ns)
{
	struct weir_pace p = weir_bucket_pace(b);
	uint64_t last = last_used(b, &p, unit, now_ns);

	return unit > last ? (unit - last) >> WEIR_UNIT_SHIFT : 0;
}

uint64_t weir_bucket_void_units(struct weir_bucket *b)
{
	/* The tail first: who takes a unit under the new numbering changes it. */
	uint64_t tail = atomic_load_explicit(&b->tail, memory_order_acquire);

	atomic_fetch_add_explicit(&b->numbering, 1, memory_order_seq_cst);
	return tail;
}

bool weir_bucket_units_from(struct weir_bucket *b, uint64_t void_tail, uint64_t now_ns)
{
	struct weir_pace p = weir_bucket_pace(b);
	uint64_t last = last_used(b, &p, void_tail, now_ns + OUT_OF_ORDER_NS), from;
	uint64_t gone = atomic_load_explicit(&b->gone, memory_order_acquire);

	/* Where the time was read long before: what has left was ready. */
	if (gone > last && gone <= void_tail)
		last = gone;
	if (p.rate == 0 || last >= void_tail)
		return false;
	/* So many whole units before the tail that the next one is the first after the last that may have been used; and the
	 * least bit later, so that units of two numberings are never the same. */
	from = void_tail - ((void_tail - last + WEIR_UNIT - 1) & ~(WEIR_UNIT - 1)) + 1;
	if (!atomic_compare_exchange_strong(&b->tail, &void_tail, from))
		return false;
	atomic_store_explicit(&b->kept, from, memory_order_release);
	return true;
}

bool weir_bucket_holds(const struct weir_bucket *b, uint64_t unit, uint32_t *numbering)
{
	uint32_t now = weir_bucket_numbering(b);

	if (now == *numbering)
		return true;
	/* What is kept of the numbering before lies below all units of this one, so an old value does no harm; a new one would.
	 */
	if (now != *numbering + 1 || unit > atomic_load_explicit(&b->kept, memory_order_acquire) ||
	    weir_bucket_numbering(b) != now)
		return false;
	*numbering = now;
	return true;
}

void weir_bucket_spend(struct weir_bucket *b, uint64_t unit)
{
	uint64_t seen = atomic_load_explicit(&b->spent, memory_order_relaxed);

	for (int i = 0; i < CAS_TRIES && seen < unit; i++)
		if (atomic_compare_exchange_weak_explicit(&b->spent, &seen, unit, memory_order_relaxed, memory_order_relaxed))
			break;
}

void weir_bucket_charge(struct weir_bucket *b, uint64_t now_ns)
{
	weir_bucket_spend(b, weir_bucket_take(b, now_ns));
}

static void publish(struct weir_bucket *b, const struct weir_pace *p)
{
	uint64_t w[WEIR_BUCKET_WORDS];

	w[WORD_V0] = p->v0;
	w[WORD_T0] = p->t0_ns;
	w[WORD_RATE] = p->rate;
	w[WORD_BURST] = p->burst;
	weir_published_write(&b->generation, b->pace, WEIR_BUCKET_WORDS, w);
}

void weir_bucket_set(struct weir_bucket *b, uint64_t rate, uint64_t burst, uint64_t now_ns)
{
	struct weir_pace old = weir_bucket_pace(b);
	struct weir_pace p = {.v0 = virtual_time(&old, now_ns), .rate = rate, .burst = burst};

	p.t0_ns = old.t0_ns > now_ns ? old.t0_ns : now_ns; /* a freeze outlives a change of rate */
	if (old.rate == 0) {
		/* V stood still while there was no limit: what was owed or saved before is forgotten. */
		uint64_t tail = sane_tail(atomic_load_explicit(&b->tail, memory_order_relaxed), p.v0);

		if (p.v0 < tail)
			p.v0 = tail;
		p.t0_ns = now_ns;
	}
	if (p.rate > WEIR_RATE_MAX)
		p.rate = WEIR_RATE_MAX;
	if (p.burst < 1)
		p.burst = 1;
	if (p.burst > WEIR_BURST_MAX)
		p.burst = WEIR_BURST_MAX;
	publish(b, &p);
}

void weir_bucket_freeze(struct weir_bucket *b, uint64_t until_ns, uint64_t now_ns)
{
	struct weir_pace p = weir_bucket_pace(b);
	uint64_t tail, spent;

	if (p.rate == 0)
		return;
	p.v0 = virtual_time(&p, now_ns);
	if (p.t0_ns < now_ns)
		p.t0_ns = now_ns;
	if (p.t0_ns < until_ns)
		p.t0_ns = until_ns;
	publish(b, &p);

	spent = p.v0 + ((p.burst - 1) << WEIR_UNIT_SHIFT);
	tail = atomic_load_explicit(&b->tail, memory_order_relaxed);
	for (int i = 0; i < CAS_TRIES && tail < spent; i++)
		if (atomic_compare_exchange_weak_explicit(&b->tail, &tail, spent, memory_order_relaxed, memory_order_relaxed))
			break;
}

void weir_bucket_thaw(struct weir_bucket *b, uint64_t now_ns)
{
	struct weir_pace p = weir_bucket_pace(b);

	if (p.rate == 0 || p.t0_ns <= now_ns)
		return;
	p.t0_ns = now_ns;
	publish(b, &p);
}
