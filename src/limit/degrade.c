/* SPDX-License-Identifier: MIT */
/*
 * The word has a level: 0 nothing is refused, 1,000 all of low, 2,000 all of normal as well, and what lies between is a share.
 * It goes up by whole classes and comes down little by little; at a whole class it stands still for a step, and then the state
 * follows. A level between two classes is a trial under way.
 */
#include "weir/degrade.h"

#include "degrade_calls.h"
#include "weir/order.h"

#define NS_PER_MS UINT64_C(1000000)

/* word = since_ms:40 | cause:6 | relapses:3 | state:2 | level:11 */
#define LEVEL_BITS     11
#define STATE_SHIFT    LEVEL_BITS
#define RELAPSES_SHIFT 13
#define CAUSE_SHIFT    16
#define SINCE_SHIFT    22
#define TIME_MASK      ((UINT64_C(1) << 40) - 1)
_Static_assert(WEIR_CAUSE_COUNT <= 64, "six bits");

#define CLASS     1000U /* the level of a whole class */
#define LEVEL_MAX (2 * CLASS)

/* Each trial that fails makes the next one come twice as late and take twice as long, up to eight times: a host that is well
 * again has all of its classes back within five minutes at the usual times. */
#define RELAPSES_MAX 3U

/* A look is worth it when something can have changed: a few in a round trip over an ocean, and four a second cost nobody. */
#define LOOK_EVERY_MS 250U

/* A look further ahead than this is not another process's slightly later clock reading but damage. */
#define SKEW_MS 1000U

/* Below this number of calls shares say nothing, as with the breaker (Hystrix's requestVolumeThreshold). */
#define CALLS_MIN 20U

/* p95: a twentieth may take longer. */
#define SLOW_PERMILLE 50U

/* Of calls that each fail by themselves as often as the threshold allows, so many standard deviations more come once in seven
 * hundred windows. */
#define DEVIATIONS 3.0

#define STEP_DEFAULT_MS     (WEIR_DEGRADE_STEP_NS / NS_PER_MS)
#define RECOVERY_DEFAULT_MS UINT64_C(20000)
#define LONGEST_MS          (UINT64_C(86400) * 1000)

struct fields {
	uint64_t since_ms;
	uint32_t level, state, relapses, cause;
};

enum mood { CALM, UNSURE, BAD };

static struct fields unpack(uint64_t word)
{
	struct fields f = {
		.since_ms = word >> SINCE_SHIFT & TIME_MASK,
		.level = (uint32_t)(word & ((1U << LEVEL_BITS) - 1)),
		.state = (uint32_t)(word >> STATE_SHIFT & 3),
		.relapses = (uint32_t)(word >> RELAPSES_SHIFT & 7),
		.cause = (uint32_t)(word >> CAUSE_SHIFT & 63),
	};

	f.level = f.level < LEVEL_MAX ? f.level : LEVEL_MAX;
	f.state = f.state < WEIR_DEGRADE_STATES ? f.state : WEIR_DEGRADE_MINIMAL;
	f.relapses = f.relapses < RELAPSES_MAX ? f.relapses : RELAPSES_MAX;
	f.cause = f.cause < WEIR_CAUSE_COUNT ? f.cause : WEIR_CAUSE_NONE;
	return f;
}

static uint64_t pack(struct fields f)
{
	return (f.since_ms & TIME_MASK) << SINCE_SHIFT | (uint64_t)f.cause << CAUSE_SHIFT |
	       (uint64_t)f.relapses << RELAPSES_SHIFT | (uint64_t)f.state << STATE_SHIFT | f.level;
}

static uint64_t ms_or(uint64_t ns, uint64_t otherwise)
{
	uint64_t ms = ns / NS_PER_MS;

	return ms == 0 ? otherwise : ms < LONGEST_MS ? ms : LONGEST_MS;
}

void weir_degrade_note(struct weir_degrade *d, const struct weir_degrade_params *p, uint64_t window_ns, bool failed,
		       uint64_t latency_ns, uint64_t now_ns)
{
	degrade_count(d->calls, window_ns, failed, p->latency_ns != 0 && latency_ns > p->latency_ns, now_ns);
}

void weir_degrade_tell(struct weir_degrade *d, uint32_t left_permille, uint64_t until_ns, uint64_t now_ns)
{
	uint64_t until_ms = (until_ns > now_ns ? until_ns : now_ns) / NS_PER_MS;

	atomic_store_explicit(&d->told, (until_ms & TIME_MASK) << 11 | 1U << 10 | (left_permille < 1000 ? left_permille : 1000),
			      memory_order_relaxed);
}

uint32_t weir_degrade_told(const struct weir_degrade *d, uint64_t now_ns)
{
	uint64_t told = atomic_load_explicit(&d->told, memory_order_relaxed), until_ms = told >> 11 & TIME_MASK;
	uint64_t now_ms = now_ns / NS_PER_MS;

	if ((told >> 10 & 1) == 0 || until_ms <= now_ms || until_ms - now_ms > 31 * LONGEST_MS)
		return 1000;
	return (uint32_t)(told & 1023) < 1000 ? (uint32_t)(told & 1023) : 1000;
}

bool weir_degrade_due(struct weir_degrade *d, uint64_t now_ns, uint64_t *passed_ms)
{
	uint64_t seen = atomic_load_explicit(&d->looked_ms, memory_order_relaxed), now_ms = now_ns / NS_PER_MS;

	if (now_ms < seen + LOOK_EVERY_MS && seen <= now_ms + SKEW_MS)
		return false;
	*passed_ms = now_ms > seen ? now_ms - seen : 0;
	return atomic_compare_exchange_strong_explicit(&d->looked_ms, &seen, now_ms, memory_order_relaxed, memory_order_relaxed);
}

/* Of a share that may be, so many permille: above by more than chance, not above, or neither can be said. */
static enum mood share(uint32_t part, uint32_t calls, uint32_t permille)
{
	double expected = (double)calls * permille / 1000, more = (double)part - expected;

	if (permille == 0 || calls < CALLS_MIN || more <= 0)
		return CALM;
	return more * more > DEVIATIONS * DEVIATIONS * expected ? BAD : UNSURE;
}

/* The worst of what the signs say. */
static enum mood judge(const struct weir_degrade *d, const struct weir_degrade_params *p, uint64_t window_ns, uint64_t since_ms,
		       const struct weir_degrade_signs *signs, uint64_t now_ns, enum weir_cause *cause)
{
	struct weir_window_sum sum = degrade_sum(d->calls, window_ns, since_ms * NS_PER_MS, now_ns);
	const struct {
		enum mood mood;
		enum weir_cause cause;
	} sign[] = {
		{p->queue == 0 || signs->waiting <= p->queue / 2 ? CALM
		 : signs->waiting < p->queue                     ? UNSURE
								 : BAD,
		 WEIR_CAUSE_QUEUE_LONG},
		{p->latency_ns == 0 ? CALM : share(sum.slow, sum.calls, SLOW_PERMILLE), WEIR_CAUSE_LATENCY},
		{share(sum.failures, sum.calls, p->error_permille), WEIR_CAUSE_FAILURE_RATE},
	};
	enum mood worst = CALM;

	for (unsigned i = 0; i < sizeof sign / sizeof *sign; i++)
		if (sign[i].mood > worst) {
			worst = sign[i].mood;
			*cause = sign[i].cause;
		}
	return worst;
}

/* Nobody can win back what is spent of a quota by refusing more: the less is left, the less important requests it is kept from.
 */
static uint32_t least_level(const struct weir_degrade_params *p, const struct weir_degrade_signs *signs)
{
	if (signs->left_permille >= p->quota_permille || signs->left_permille >= 1000)
		return 0;
	return signs->left_permille * 2 < p->quota_permille ? LEVEL_MAX : CLASS;
}

/* More is given up, where what was is not enough. */
static void worsen(struct fields *f, uint64_t passed_ms, uint64_t step_ms, uint64_t recovery_ms)
{
	/* Where it stands at a class on its way down, a trial with all of that class is what went wrong. */
	bool trial = f->level % CLASS != 0 || f->level < f->state * CLASS;

	if (!trial && f->level == LEVEL_MAX)
		return;
	if (!trial && f->level != 0 && passed_ms < step_ms)
		return;
	if (trial)
		f->relapses += f->relapses < RELAPSES_MAX ? 1 : 0;
	else if (f->level == 0)
		f->relapses = passed_ms < 2 * (recovery_ms << f->relapses) && f->since_ms != 0
				      ? f->relapses + (f->relapses < RELAPSES_MAX ? 1 : 0)
				      : 0;
	f->level = (f->level / CLASS + 1) * CLASS;
	f->level = f->level < LEVEL_MAX ? f->level : LEVEL_MAX;
	f->since_ms = 0;
}

/* Less is, a little, or the state follows where all of a class has been in for a step. */
static void improve(struct fields *f, uint64_t passed_ms, uint64_t since_look_ms, uint64_t step_ms, uint64_t recovery_ms,
		    uint64_t now_ms)
{
	uint32_t floor = f->level > CLASS ? CLASS : 0;
	uint64_t whole_ms = recovery_ms << f->relapses;
	/* By the clock and not by the time since the last look, of which the remainder would be lost each time. */
	uint64_t less = now_ms * CLASS / whole_ms - (now_ms - since_look_ms) * CLASS / whole_ms;

	if (f->level == 0 && f->state == WEIR_DEGRADE_NORMAL)
		return;
	if (passed_ms < (f->level == f->state * CLASS ? step_ms << f->relapses : step_ms))
		return;
	if (f->level == (f->state - 1) * CLASS) {
		f->state--;
		f->relapses -= f->relapses != 0;
		f->since_ms = 0;
		return;
	}
	f->level = f->level > floor + less ? f->level - (uint32_t)less : floor;
	if (f->level == floor)
		f->since_ms = 0;
}

/* What follows for the state; since 0 stands for now. */
static struct fields next(struct fields f, const struct weir_degrade_params *p, enum mood mood, enum weir_cause cause,
			  uint32_t least, uint64_t since_look_ms, uint64_t now_ms)
{
	uint64_t step_ms = ms_or(p->step_ns, STEP_DEFAULT_MS), recovery_ms = ms_or(p->recovery_ns, RECOVERY_DEFAULT_MS);
	uint64_t passed_ms = now_ms > f.since_ms ? now_ms - f.since_ms : 0;
	struct fields was = f;

	/* Nobody has come by for as long as all of it takes: what was is of no account any more. */
	if (since_look_ms > 2 * (step_ms + recovery_ms) && (f.state != WEIR_DEGRADE_NORMAL || f.level != 0))
		f = (struct fields){0};
	if (mood == BAD)
		worsen(&f, passed_ms, step_ms, recovery_ms);
	else if (mood == CALM)
		improve(&f, passed_ms, since_look_ms, step_ms, recovery_ms, now_ms);
	if (f.level > was.level)
		f.cause = cause;
	if (f.level < least) {
		f.level = least;
		f.since_ms = 0;
		f.cause = WEIR_CAUSE_QUOTA_LOW;
	}
	if (f.state * CLASS < f.level)
		f.state = (f.level + CLASS - 1) / CLASS;
	if (f.since_ms == 0)
		f.since_ms = f.level != was.level || f.state != was.state ? now_ms : was.since_ms;
	return f;
}

struct weir_degrade_change weir_degrade_look(struct weir_degrade *d, const struct weir_degrade_params *p, uint64_t window_ns,
					     const struct weir_degrade_signs *signs, uint64_t passed_ms, uint64_t now_ns)
{
	uint64_t seen = atomic_load_explicit(&d->word, memory_order_relaxed), now_ms = now_ns / NS_PER_MS;
	struct fields was = unpack(seen), f;
	enum weir_cause cause = WEIR_CAUSE_NONE;
	struct weir_degrade_change change = {.from = was.state, .to = was.state};
	enum mood mood;

	if (was.since_ms > now_ms + SKEW_MS)
		was.since_ms = 1;
	mood = judge(d, p, window_ns, was.since_ms, signs, now_ns, &cause);
	f = next(was, p, mood, cause, least_level(p, signs), passed_ms, now_ms);
	/* Where somebody else was faster, as a look lasted for more than 250 ms, his is as good. */
	if (pack(f) == seen ||
	    !atomic_compare_exchange_strong_explicit(&d->word, &seen, pack(f), memory_order_relaxed, memory_order_relaxed))
		return change;
	change.to = f.state;
	change.cause = f.state > was.state ? f.cause : WEIR_CAUSE_RECOVERY;
	change.stricter = f.level > was.level;
	return change;
}

static uint32_t share_of(uint64_t word, unsigned class)
{
	uint32_t level = unpack(word).level;

	if (class == WEIR_CLASS_LOW)
		return level < CLASS ? level : CLASS;
	return class == WEIR_CLASS_NORMAL && level > CLASS ? level - CLASS : 0;
}

bool weir_degrade_refuses(struct weir_degrade *d, unsigned class)
{
	uint64_t word = atomic_load_explicit(&d->word, memory_order_relaxed);
	uint32_t permille = share_of(word, class);

	if (permille == 0 || permille >= 1000)
		return permille != 0;
	return degrade_is_nth(atomic_fetch_add_explicit(&d->turn[class == WEIR_CLASS_LOW], 1, memory_order_relaxed), permille);
}

bool weir_degrade_refuses_all(const struct weir_degrade *d, unsigned class)
{
	return share_of(atomic_load_explicit(&d->word, memory_order_relaxed), class) >= 1000;
}

struct weir_degrade_view weir_degrade_view(const struct weir_degrade *d)
{
	uint64_t word = atomic_load_explicit(&d->word, memory_order_relaxed);
	struct fields f = unpack(word);

	return (struct weir_degrade_view){
		.state = (enum weir_degrade_state)f.state,
		.cause = f.state != WEIR_DEGRADE_NORMAL ? (enum weir_cause)f.cause : WEIR_CAUSE_NONE,
		.low = share_of(word, WEIR_CLASS_LOW),
		.normal = share_of(word, WEIR_CLASS_NORMAL),
		.since_ns = f.since_ms * NS_PER_MS,
	};
}

void weir_degrade_clear(struct weir_degrade *d)
{
	atomic_store_explicit(&d->word, 0, memory_order_relaxed);
	atomic_store_explicit(&d->told, 0, memory_order_relaxed);
	atomic_store_explicit(&d->shed, 0, memory_order_relaxed);
	for (unsigned i = 0; i < WEIR_DEGRADE_SLOTS; i++) {
		atomic_store_explicit(&d->calls[i], 0, memory_order_relaxed);
		atomic_store_explicit(&d->refused[i], 0, memory_order_relaxed);
	}
}

const char *weir_degrade_name(uint32_t state)
{
	static const char *const name[WEIR_DEGRADE_STATES] = {"normal", "reduced", "minimal"};

	return name[state < WEIR_DEGRADE_STATES ? state : WEIR_DEGRADE_MINIMAL];
}
