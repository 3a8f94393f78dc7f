/* SPDX-License-Identifier: MIT */
/*
 * The adaptive concurrency limit. docs/control.md has the reasoning; in short:
 *
 * Below the knee of a server, more requests in flight mean more throughput at the same latency; above it, the same throughput at
 * a latency that grows in proportion. So compare two levels of concurrency n and ask for the elasticity of latency,
 *
 *     e = ln(R_high / R_low) / ln(n_high / n_low):  0 below the knee, 1 above it,
 *
 * which needs no remembered baseline, and therefore nothing that could drift. Three phases:
 *
 *   free     no limit. Watches. Has a reason to look closer when latency and concurrency have both grown, or, rarely, when
 *            several requests have been in flight for long.
 *   descend  steps down from the concurrency as it is. While latency falls in proportion it was queueing only: go on. When it
 *            stops falling the knee has been passed, and its place follows from e. No effect at the first step: a false alarm.
 *   dither   alternates between the limit and a quarter more, and moves the limit so that e stays at TARGET.
 *
 * A phase is made of epochs: settle (the in-flight requests of the level before drain), then measure. Results are summed in
 * counters that only grow; the state keeps what they were when the epoch began.
 *
 * What if a process dies here? The counters are independent adds. The state is published as a whole; the limit's own word, the
 * only one that the hot path reads, is set after it and is brought in line by the next update.
 */
#include "weir/concurrency.h"

#include <string.h>

#include "concurrency_state.h"
#include "logarithm.h"

struct epoch {
	double calls;
	double mean_us;
	double level;
	double bound; /* share of the calls that were at the limit */
	double lost;  /* share of all results */
	double results;
	double span_us;
	bool alike; /* its mean is known well, because its answers took alike */
};

/* ---- the state in shared memory ---- */

static uint64_t load(const struct weir_concurrency *c, enum sample s)
{
	return atomic_load_explicit(&c->sample[s], memory_order_relaxed);
}

static void sanitize(struct state *s, uint64_t now_ns)
{
	if (s->phase > DITHER)
		s->phase = FREE;
	s->high = s->high != 0;
	if (s->stage > MEASURE)
		s->stage = DRAIN;
	if (s->since_ns > now_ns)
		s->since_ns = now_ns;
	if (s->bound_ns > now_ns)
		s->bound_ns = now_ns;
	if (s->alarm_ns > now_ns + WAIT_MAX_NS)
		s->alarm_ns = now_ns + WAIT_MAX_NS;
	if (s->look_ns > now_ns + WAIT_MAX_NS)
		s->look_ns = now_ns + WAIT_MAX_NS;
	s->limit = within(s->limit, 1, LEVEL_MAX);
	s->before_us = within(s->before_us, 0, LATENCY_MAX);
	s->before_level = within(s->before_level, 0, LEVEL_MAX);
	s->ref_us = within(s->ref_us, 0, LATENCY_MAX);
	s->ref_level = within(s->ref_level, 0, LEVEL_MAX);
	s->restore = within(s->restore, 0, LEVEL_MAX);
	s->worst_us = within(s->worst_us, 0, LATENCY_MAX);
	s->worst_level = within(s->worst_level, 0, LEVEL_MAX);
	s->looked = s->looked != 0;
	s->gain = within(s->gain, GAIN, GAIN_MAX);
	if (s->steps > 1000)
		s->steps = 1000;
	if (s->backoff > BACKOFF_MAX)
		s->backoff = BACKOFF_MAX;
}

static double least(const struct weir_concurrency_params *p)
{
	return within(p->min, 1, LEVEL_MAX);
}

static double most(const struct weir_concurrency_params *p)
{
	double max = p->max != 0 && p->max < LEVEL_MAX ? p->max : LEVEL_MAX;

	return max > least(p) ? max : least(p);
}

/* The limit as it is in force, without the rule's bounds. 0 less 1 is no limit, as is what no word of 32 bits holds. */
static uint32_t raw_limit(const struct weir_concurrency *c)
{
	uint64_t limit = load(c, LIMIT) - 1, allowed = load(c, ALLOWED) - 1;

	limit = allowed < limit ? allowed : limit;
	return limit >= UINT32_MAX ? UINT32_MAX : (uint32_t)limit;
}

void weir_concurrency_allow(struct weir_concurrency *c, uint32_t permits)
{
	atomic_store_explicit(&c->sample[ALLOWED], permits != 0 ? (uint64_t)permits + 1 : 0, memory_order_relaxed);
}

uint32_t weir_concurrency_limit(const struct weir_concurrency *c, const struct weir_concurrency_params *p)
{
	uint32_t limit;

	if (p->mode == WEIR_CONCURRENCY_FIXED)
		return p->max != 0 ? p->max : UINT32_MAX;
	if (p->mode != WEIR_CONCURRENCY_ADAPTIVE)
		return UINT32_MAX;
	limit = raw_limit(c);
	if (limit == UINT32_MAX && p->max == 0)
		return limit;
	if (p->max != 0 && limit > p->max)
		limit = p->max;
	if (limit < p->min)
		limit = p->min;
	return limit != 0 ? limit : 1;
}

static bool due(const struct weir_concurrency *c, uint64_t now_ns)
{
	uint64_t at = atomic_load_explicit(&c->due_ns, memory_order_relaxed);

	return now_ns >= at || at - now_ns > DUE_MAX_NS;
}

/* ---- results ---- */

bool weir_concurrency_note(struct weir_concurrency *c, const struct weir_concurrency_params *p, uint64_t latency_ns,
			   uint32_t in_flight, bool ok, bool lost, uint64_t now_ns)
{
	if (p->mode != WEIR_CONCURRENCY_ADAPTIVE)
		return false;
	if (ok) {
		uint64_t us = latency_ns / 1000;
		uint64_t clip = load(c, CLIP);
		uint32_t limit = weir_concurrency_limit(c, p);
		uint64_t bound = limit != UINT32_MAX && in_flight >= limit - limit / 8 ? 1 : 0;

		if (clip != 0 && us > clip)
			us = clip;
		if (us > (uint64_t)LATENCY_MAX)
			us = (uint64_t)LATENCY_MAX;
		if (in_flight > (uint32_t)LEVEL_MAX)
			in_flight = (uint32_t)LEVEL_MAX;
		atomic_fetch_add_explicit(&c->sample[CALLS], UINT64_C(1) << PAIR_BITS | in_flight, memory_order_relaxed);
		atomic_fetch_add_explicit(&c->sample[TIME], bound << PAIR_BITS | us, memory_order_relaxed);
	} else if (lost) {
		atomic_fetch_add_explicit(&c->sample[LOST], 1, memory_order_relaxed);
	}
	return due(c, now_ns);
}

/* What the counters have gained since the epoch began. */
static struct epoch gained(const struct weir_concurrency *c, const struct state *s, uint64_t now_ns)
{
	uint64_t calls = load(c, CALLS) - s->calls;
	uint64_t time = load(c, TIME) - s->time;
	uint32_t count = (uint32_t)(calls >> PAIR_BITS);
	uint32_t lost = (uint32_t)(load(c, LOST) - s->lost);
	struct epoch e = {.calls = count};

	if (count != 0) {
		e.mean_us = within((double)(time & PAIR_MASK) / count, 1, LATENCY_MAX);
		e.level = within((double)(calls & PAIR_MASK) / count, 1, LEVEL_MAX);
		e.bound = within((double)(time >> PAIR_BITS) / count, 0, 1);
	}
	e.results = (double)lost + count;
	if (lost != 0)
		e.lost = (double)lost / e.results;
	e.span_us = (double)(now_ns - s->since_ns) / NS_PER_US;
	return e;
}

/* ---- the controller ---- */

static void keep(struct weir_concurrency *c, enum sample s, uint64_t value)
{
	atomic_store_explicit(&c->sample[s], value, memory_order_relaxed);
}

static void enter(struct weir_concurrency *c, struct state *s, enum stage stage, uint64_t now_ns)
{
	s->stage = stage;
	s->since_ns = now_ns;
	s->calls = load(c, CALLS);
	s->time = load(c, TIME);
	s->lost = load(c, LOST);
	keep(c, BATCH_CALLS, s->calls);
	keep(c, BATCH_TIME, s->time);
	keep(c, BATCHES, 0);
	keep(c, BATCH_SUM, 0);
	keep(c, BATCH_SQUARES, 0);
}

/* Takes in what has been answered since the last batch, if it is enough for one. Returns whether the mean of those of this epoch
 * is known well: its standard error, from how much the batches differ. Hostile words make it wrong once. */
static bool told_alike(struct weir_concurrency *c)
{
	uint64_t calls = load(c, CALLS), time = load(c, TIME), n, us;
	uint32_t count = (uint32_t)((calls - load(c, BATCH_CALLS)) >> PAIR_BITS);
	double batches, sum, spread;

	if (count < BATCH_ANSWERS)
		return false;
	us = ((time - load(c, BATCH_TIME)) & PAIR_MASK) / count;
	us = us < BATCH_US_MAX ? us : BATCH_US_MAX;
	n = load(c, BATCHES) < 1000 ? load(c, BATCHES) + 1 : 1000;
	keep(c, BATCH_CALLS, calls);
	keep(c, BATCH_TIME, time);
	keep(c, BATCHES, n);
	keep(c, BATCH_SUM, load(c, BATCH_SUM) + us);
	keep(c, BATCH_SQUARES, load(c, BATCH_SQUARES) + us * us);
	if (n < BATCHES_MIN)
		return false;
	batches = (double)n;
	sum = (double)load(c, BATCH_SUM);
	spread = (double)load(c, BATCH_SQUARES) - sum * sum / batches; /* (n - 1) x their variance */
	/* error of the mean^2 = spread / (n - 1) / n <= (precision x sum / n)^2 */
	return spread * batches <= BATCH_PRECISION * BATCH_PRECISION * sum * sum * (batches - 1);
}

/* The elasticity of latency between two epochs. False when their levels are too close to tell. */
static bool elasticity(double us_a, double level_a, double us_b, double level_b, double *e)
{
	double levels = ln(level_a / level_b);

	if (us_a <= 0 || us_b <= 0 || (levels < 0.05 && levels > -0.05))
		return false;
	*e = ln(us_a / us_b) / levels;
	return true;
}

static void go_free(struct state *s, const struct epoch *e, uint64_t now_ns)
{
	s->phase = FREE;
	s->steps = 0;
	s->ref_us = e->mean_us;
	s->ref_level = e->level;
	s->look_ns = 0;
	s->before_us = 0;
	s->bound_ns = now_ns;
}

static void go_dither(struct state *s, double limit, uint64_t now_ns)
{
	s->phase = DITHER;
	s->limit = limit;
	s->high = 0;
	s->steps = 0;
	s->gain = GAIN;
	s->look_ns = 0;
	s->before_us = 0;
	s->bound_ns = now_ns;
}

/* How long a look takes at this level. */
static double look_ns(const struct epoch *e)
{
	return (EPOCH_CALLS / e->level + SETTLE_TURNS) * e->mean_us * NS_PER_US;
}

static uint64_t later(uint64_t now_ns, double ns)
{
	return now_ns + (uint64_t)within(ns, 0, (double)WAIT_MAX_NS);
}

/* Begins to look closer: the level stays as it is, but is held, so that what is measured first is at rest. A growing queue's
 * latency lags behind its length. */
static void look(struct state *s, double level, double restore, double ref_us)
{
	s->phase = DESCEND;
	s->steps = 0;
	s->before_us = 0;
	s->restore = restore;
	s->ref_us = ref_us;
	s->limit = level;
	s->looked = 1;
}

static void step_down(struct state *s, const struct epoch *e, double latency_us)
{
	/* Where a former latency is known, go straight to where it would be met again if all of the rest were queueing. */
	double usual = s->steps != 0 ? STEP_NEXT : STEP_FIRST;
	double step = s->ref_us > 0 ? within(1.2 * s->ref_us / latency_us, STEP_MIN, usual) : usual;

	s->before_us = within(latency_us, 1, LATENCY_MAX);
	s->before_level = e->level;
	s->limit = e->level * step;
}

static void conclude_free(struct state *s, const struct epoch *e, uint64_t now_ns)
{
	bool reason;

	if (e->level < LEVEL_MIN || e->mean_us < WORTH_US) {
		s->look_ns = 0;
		return;
	}
	if (s->look_ns == 0)
		s->look_ns = later(now_ns, PATIENCE * (double)s->backoff * look_ns(e));
	/* Answers that take alike, though there are several at a time, are worth a look at once: a server that delays what comes
	 * too fast shows itself so, and what a look finds there is certain. */
	if (e->alike && !s->looked)
		s->look_ns = now_ns;
	if (s->ref_us <= 0 || e->mean_us < s->ref_us) {
		s->ref_us = e->mean_us;
		s->ref_level = e->level;
	}
	reason = e->mean_us > REASON * s->ref_us && e->level > REASON * s->ref_level &&
		 (now_ns >= s->alarm_ns || (e->mean_us > REASON * s->worst_us && e->level > REASON * s->worst_level));
	if (reason) {
		/* The queue may be growing, and then latency lags behind: take what Little's law says of the level. */
		look(s, e->level, 0, s->ref_us);
		step_down(s, e, e->level * e->span_us / e->calls);
	} else if (now_ns >= s->look_ns) {
		look(s, e->level, 0, s->ref_us);
	}
}

/* `clear`: it was none; else it could not be told. */
static void false_alarm(struct state *s, const struct epoch *e, bool clear, uint64_t now_ns)
{
	double wait;

	if (clear && s->backoff < BACKOFF_MAX)
		s->backoff *= 2;
	wait = PATIENCE * (double)s->backoff * look_ns(e);
	s->alarm_ns = later(now_ns, wait);
	s->worst_us = e->mean_us;
	s->worst_level = e->level;
}

static void conclude_descend(struct state *s, const struct weir_concurrency_params *p, const struct epoch *e, uint64_t now_ns)
{
	double steepness = 0;
	bool known = e->bound >= 0.5 && elasticity(s->before_us, s->before_level, e->mean_us, e->level, &steepness);
	double knee;

	if (e->bound >= 0.5 && s->before_us <= 0 && e->mean_us > WORTH_US) {
		step_down(s, e, e->mean_us);
		return;
	}
	if (known && steepness > STEEP && e->level * STEP_NEXT >= least(p) && e->mean_us > WORTH_US) {
		s->steps++;
		step_down(s, e, e->mean_us);
		return;
	}
	if (!known || (s->steps == 0 && steepness < (s->restore > 0 ? FLAT : STEEP))) {
		false_alarm(s, e, known && steepness < FLAT, now_ns);
		s->ref_us = 0;
		if (s->restore > 0)
			go_dither(s, s->restore, now_ns);
		else
			go_free(s, e, now_ns);
		return;
	}
	/* The part of the step above the knee is the part over which latency fell. */
	knee = s->before_level * expo(-within(steepness, 0, 1) * ln(s->before_level / e->level));
	/* If latency is still far above what it once was, the descent may have ended by chance: look again, but not at once. */
	s->backoff = 1;
	s->alarm_ns = later(now_ns, RETRY * look_ns(e));
	go_dither(s, knee, now_ns);
}

static void conclude_dither(struct state *s, const struct epoch *e, uint64_t now_ns)
{
	double steepness;

	if (e->bound < 0.5) {
		/* The clients ask for less than the limit: nothing can be learned, and nothing is lost. */
		s->before_us = 0;
		if (now_ns - s->bound_ns > UNBOUND_NS && !s->high)
			go_free(s, e, now_ns);
		s->high = 0;
		return;
	}
	s->bound_ns = now_ns;
	if (e->mean_us < WORTH_US) {
		/* Nobody waits for long: let more go. */
		s->limit = within(s->limit, e->level, LEVEL_MAX) * DITHER_FACTOR;
		s->ref_us = s->before_us = 0;
		s->high = 0;
		return;
	}
	if (!s->high) {
		if (s->ref_us <= 0) {
			s->ref_us = e->mean_us;
		} else if (e->mean_us < s->ref_us / REASON) {
			/* Faster than it was: there may be a queue that the latency before had hidden. No hurry. */
			s->ref_us = e->mean_us;
			s->look_ns = now_ns + LOOK_AGAIN_NS;
		}
		if ((e->mean_us > REASON * s->ref_us && now_ns >= s->alarm_ns) || (s->look_ns != 0 && now_ns >= s->look_ns)) {
			s->look_ns = 0;
			look(s, s->limit, s->limit, s->ref_us);
			return;
		}
	}
	if (s->before_us > 0 && elasticity(e->mean_us, e->level, s->before_us, s->before_level, &steepness) &&
	    steepness > -OUTLIER && steepness < 1 + OUTLIER) {
		double weight = e->calls / (e->calls + EPOCH_CALLS / 2);

		/* Two flat epochs in a row are no accident: far below the knee, so hurry. */
		s->steps = steepness < FLAT ? s->steps + 1 : 0;
		s->gain = s->steps >= 2 ? within(s->gain * 1.5, GAIN, GAIN_MAX) : GAIN;
		s->limit *= expo(s->gain * weight * (TARGET - steepness));
	}
	s->before_us = e->mean_us;
	s->before_level = e->level;
	s->high = !s->high;
}

/* The limit that the state asks for; 0: none. */
static uint32_t wanted(const struct state *s, const struct weir_concurrency_params *p)
{
	double limit = within(s->limit, least(p), most(p));
	double low;

	if (s->phase == FREE)
		return 0;
	if (s->phase == DESCEND)
		return (uint32_t)limit;
	low = (double)(uint32_t)(limit + 0.5);
	if (s->high) {
		limit = (double)(uint32_t)(low * DITHER_FACTOR + 0.5);
		low = limit > low ? limit : low + 1;
	}
	return (uint32_t)within(low, least(p), most(p));
}

static void begin(struct state *s, const struct weir_concurrency_params *p, uint64_t now_ns)
{
	*s = (struct state){.phase = FREE, .gain = GAIN, .backoff = 1, .bound_ns = now_ns};
	if (p->initial != 0)
		go_dither(s, p->initial, now_ns);
}

/* Whether an epoch has been measured. */
static bool measured(const struct state *s, const struct epoch *e, uint64_t now_ns)
{
	double step = within(ln(s->before_level / s->limit), 0.1, 2);
	double most_ns = within(EPOCH_LATENCIES * e->mean_us * NS_PER_US, 1e9, 1e15);

	double enough = EPOCH_CALLS;

	if (s->phase == FREE)
		enough = FREE_CALLS;
	else if (s->phase == DESCEND && s->before_us > 0)
		enough = within(PRECISION / (step * step), EPOCH_CALLS_MIN, 2 * EPOCH_CALLS);
	if (s->phase == DESCEND && e->alike && e->calls >= EPOCH_CALLS_MIN)
		return true;
	return e->calls >= enough || (e->calls >= EPOCH_CALLS_MIN && (double)(now_ns - s->since_ns) > most_ns);
}

/* Moves on by one stage where it is time. Returns the time to the next update. */
static double advance(struct weir_concurrency *c, const struct weir_concurrency_params *p, struct state *s, const struct epoch *e,
		      uint64_t now_ns)
{
	uint32_t limit = wanted(s, p);
	double latency_ns = within(e->mean_us, 1, LATENCY_MAX) * NS_PER_US;

	switch (s->stage) {
	case DRAIN:
		if (limit != 0 && weir_concurrency_count(c) > limit && now_ns - s->since_ns < DUE_MAX_NS)
			return latency_ns / 8;
		enter(c, s, SETTLE, now_ns);
		return latency_ns / 2;
	case SETTLE:
		if (e->results < SETTLE_TURNS * limit && now_ns - s->since_ns < DUE_MAX_NS)
			return latency_ns / 8;
		enter(c, s, MEASURE, now_ns);
		return latency_ns / 2;
	default:
		break;
	}
	if (!measured(s, e, now_ns))
		return within(latency_ns, 1e6, 1e9);
	if (e->lost > 0.5) {
		/* Time-outs say that it is bad, not where the knee is: wait until there are answers again. */
		enter(c, s, DRAIN, now_ns);
		return latency_ns;
	}
	if (s->phase == FREE)
		conclude_free(s, e, now_ns);
	else if (s->phase == DESCEND)
		conclude_descend(s, p, e, now_ns);
	else
		conclude_dither(s, e, now_ns);
	atomic_store_explicit(&c->sample[CLIP], (uint64_t)(CLIP_FACTOR * e->mean_us), memory_order_relaxed);
	if (wanted(s, p) != limit)
		enter(c, s, DRAIN, now_ns);
	else
		enter(c, s, MEASURE, now_ns);
	return 0;
}

struct weir_concurrency_change weir_concurrency_update(struct weir_concurrency *c, const struct weir_concurrency_params *p,
						       uint64_t now_ns)
{
	uint64_t words[WEIR_CONCURRENCY_WORDS];
	struct weir_concurrency_change change = {.from = weir_concurrency_limit(c, p)};
	struct state s;
	struct epoch e;
	double wait_ns;
	uint32_t limit;

	change.to = change.from;
	/* Several processes see that it is due; those who come second find it done. */
	if (p->mode != WEIR_CONCURRENCY_ADAPTIVE || !due(c, now_ns))
		return change;
	(void)weir_published_read(&c->generation, c->state, WEIR_CONCURRENCY_WORDS, words);
	memcpy(&s, words, sizeof(s));
	if (s.backoff == 0)
		begin(&s, p, now_ns);
	else
		sanitize(&s, now_ns);
	e = gained(c, &s, now_ns);
	e.alike = s.stage == MEASURE && s.phase != DITHER && told_alike(c);
	wait_ns = advance(c, p, &s, &e, now_ns);
	wait_ns = within(wait_ns, 0, DUE_MAX_NS);

	memset(words, 0, sizeof(words));
	memcpy(words, &s, sizeof(s));
	if (!weir_published_write(&c->generation, c->state, WEIR_CONCURRENCY_WORDS, words))
		return change; /* somebody else took the lock over */
	limit = wanted(&s, p);
	atomic_store_explicit(&c->sample[LIMIT], limit != 0 ? (uint64_t)limit + 1 : 0, memory_order_relaxed);
	atomic_store_explicit(&c->due_ns, later(now_ns, wait_ns), memory_order_relaxed);
	change.to = weir_concurrency_limit(c, p);
	change.changed = change.to != change.from;
	return change;
}

void weir_concurrency_reset(struct weir_concurrency *c)
{
	uint64_t words[WEIR_CONCURRENCY_WORDS] = {0};

	/* Zeroed state is a beginning: free, nothing known. */
	(void)weir_published_write(&c->generation, c->state, WEIR_CONCURRENCY_WORDS, words);
	atomic_store_explicit(&c->sample[LIMIT], 0, memory_order_relaxed);
	atomic_store_explicit(&c->sample[CLIP], 0, memory_order_relaxed);
	atomic_store_explicit(&c->sample[ALLOWED], 0, memory_order_relaxed);
	atomic_store_explicit(&c->due_ns, 0, memory_order_relaxed);
}
