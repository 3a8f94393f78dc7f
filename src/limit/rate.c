/* SPDX-License-Identifier: MIT */
/*
 * The rate controllers' way in and out: counters, the published state, the bucket's pace. The strategies themselves are in
 * rate_stepped.c (conservative, aggressive) and rate_adaptive.c; docs/control.md explains them.
 */
#include "weir/rate.h"

#include <string.h>

#include "rate_state.h"
#include "weir/published.h"

/* A due time further ahead than this was not written by us: no strategy plans beyond its next window of a day or two. */
#define DUE_MAX_NS (UINT64_C(7) * 86400 * RATE_SECOND)

/* In the tag above the strategy, so that a block of chance words is not taken for a state. */
#define STATE_TAG UINT64_C(0x7765697200)

bool weir_rate_note(struct weir_rate *r, const struct weir_rate_params *p, enum weir_rate_signal signal, uint64_t now_ns)
{
	uint64_t count = 0, due;

	switch (signal) {
	case WEIR_RATE_ACCEPTED:
		count = atomic_fetch_add_explicit(&r->accepted, 1, memory_order_relaxed) + 1;
		break;
	case WEIR_RATE_THROTTLED:
		atomic_fetch_add_explicit(&r->throttled, 1, memory_order_relaxed);
		return p->strategy != WEIR_FIXED;
	case WEIR_RATE_FAILED:
		atomic_fetch_add_explicit(&r->failed, 1, memory_order_relaxed);
		break;
	case WEIR_RATE_TICK:
		break;
	}
	if (p->strategy == WEIR_FIXED)
		return false;
	due = atomic_load_explicit(&r->due_accepted, memory_order_relaxed);
	if (due != 0 && count >= due)
		return true;
	due = atomic_load_explicit(&r->due_ns, memory_order_relaxed);
	return due != 0 && (now_ns >= due || due - now_ns > DUE_MAX_NS);
}

static struct weir_rate_params sane(const struct weir_rate_params *given)
{
	struct weir_rate_params p = *given;

	if (p.strategy > WEIR_AGGRESSIVE)
		p.strategy = WEIR_ADAPTIVE;
	if (p.burst == 0)
		p.burst = 1;
	if (p.burst > WEIR_BURST_MAX)
		p.burst = WEIR_BURST_MAX;
	if (p.max == 0 || p.max > WEIR_RATE_MAX)
		p.max = WEIR_RATE_MAX;
	if (p.min == 0)
		p.min = RATE_FLOOR;
	if (p.min > p.max)
		p.min = p.max;
	if (p.backoff_permille == 0 || p.backoff_permille >= 1000)
		p.backoff_permille = 500;
	if (p.recovery_permille <= 1000 || p.recovery_permille > 1000000)
		p.recovery_permille = 1100;
	if (p.interval_ns == 0 || p.interval_ns > DUE_MAX_NS / 2)
		p.interval_ns = RATE_SECOND;
	return p;
}

/* Times in the future and counters from another life are damage, or a segment that outlived its counters. */
static uint64_t not_after(uint64_t t, uint64_t now)
{
	return t > now ? now : t;
}

/* These two are not inlined: each has a copy of the state, which its caller's frame has as well. */
__attribute__((noinline)) static void load(const struct weir_rate *r, const struct weir_rate_params *p, struct rate_step *step)
{
	struct rate_state *s = step->s;
	uint64_t w[WEIR_RATE_WORDS];

	weir_published_read(&r->generation, r->state, WEIR_RATE_WORDS, w);
	memcpy(s, w, sizeof(*s));
	step->accepted = atomic_load_explicit(&r->accepted, memory_order_relaxed);
	step->throttled = atomic_load_explicit(&r->throttled, memory_order_relaxed);
	step->failed = atomic_load_explicit(&r->failed, memory_order_relaxed);
	if (s->tag != STATE_TAG + p->strategy + 1)
		*s = (struct rate_state){.tag = STATE_TAG + p->strategy + 1};
	if (s->rate > WEIR_RATE_MAX)
		s->rate = WEIR_RATE_MAX;
	s->seen_accepted = not_after(s->seen_accepted, step->accepted);
	s->seen_throttled = not_after(s->seen_throttled, step->throttled);
	s->seen_failed = not_after(s->seen_failed, step->failed);
	s->interval_accepted = not_after(s->interval_accepted, step->accepted);
	s->interval_throttled = not_after(s->interval_throttled, step->throttled);
	s->interval_failed = not_after(s->interval_failed, step->failed);
	s->cut_accepted = not_after(s->cut_accepted, step->accepted);
	s->interval_ns = not_after(s->interval_ns, step->now_ns);
	s->cut_ns = not_after(s->cut_ns, step->now_ns);
	s->empty_accepted = not_after(s->empty_accepted, step->accepted);
	s->step_accepted = not_after(s->step_accepted, step->accepted);
	rate_adaptive_sanitize(s, step->now_ns);
}

__attribute__((noinline)) static void store(struct weir_rate *r, struct weir_bucket *bucket, const struct rate_step *step)
{
	struct weir_pace pace = weir_bucket_pace(bucket);
	uint64_t w[WEIR_RATE_WORDS];

	memcpy(w, step->s, sizeof(w));
	weir_published_write(&r->generation, r->state, WEIR_RATE_WORDS, w);
	atomic_store_explicit(&r->due_accepted, step->due_accepted, memory_order_relaxed);
	atomic_store_explicit(&r->due_ns, step->due_ns, memory_order_relaxed);
	if (pace.rate != step->pace || (pace.rate != 0 && pace.burst != step->burst))
		weir_bucket_set(bucket, step->pace, step->burst, step->now_ns);
	if (step->freeze_until_ns > step->now_ns)
		weir_bucket_freeze(bucket, step->freeze_until_ns, step->now_ns);
}

static void run(struct rate_step *step)
{
	switch (step->p->strategy) {
	case WEIR_CONSERVATIVE:
	case WEIR_AGGRESSIVE:
		rate_stepped(step);
		step->pace = step->s->rate;
		break;
	default:
		rate_adaptive(step);
		break;
	}
	step->s->seen_accepted = step->accepted;
	step->s->seen_throttled = step->throttled;
	step->s->seen_failed = step->failed;
}

/* fixed: nothing is learned, and what another strategy has learned stays for when it is back (an override by hand ends). */
static void hold_fixed(struct weir_rate *r, struct weir_bucket *bucket, const struct weir_rate_params *p, uint64_t now_ns)
{
	struct weir_pace pace = weir_bucket_pace(bucket);
	uint64_t rate = p->max < WEIR_RATE_MAX ? p->max : 0;

	if (atomic_load_explicit(&r->due_ns, memory_order_relaxed) != 0)
		atomic_store_explicit(&r->due_ns, 0, memory_order_relaxed);
	if (pace.rate != rate || (rate != 0 && pace.burst != p->burst))
		weir_bucket_set(bucket, rate, p->burst, now_ns);
}

struct weir_rate_change weir_rate_update(struct weir_rate *r, struct weir_bucket *bucket, const struct weir_rate_params *given,
					 const struct weir_rate_answer *answer, uint64_t now_ns)
{
	static const struct weir_rate_answer tick = {.signal = WEIR_RATE_TICK};
	struct weir_rate_params p = sane(given);
	struct rate_state s;
	struct rate_step step = {.s = &s, .p = &p, .answer = answer ? answer : &tick, .now_ns = now_ns, .burst = p.burst};
	struct weir_rate_change change = {.from = weir_bucket_pace(bucket).rate};

	if (p.strategy == WEIR_FIXED) {
		hold_fixed(r, bucket, &p, now_ns);
	} else {
		load(r, &p, &step);
		run(&step);
		store(r, bucket, &step);
		change.spare_until_ns = step.spare_until_ns;
		change.surprised = step.surprised;
	}
	change.to = weir_bucket_pace(bucket).rate;
	change.changed = change.from != change.to;
	return change;
}

void weir_rate_learn(struct weir_rate *r, struct weir_bucket *bucket, const struct weir_rate_params *given, uint64_t rate,
		     uint64_t trust, uint64_t now_ns)
{
	static const struct weir_rate_answer tick = {.signal = WEIR_RATE_TICK};
	struct weir_rate_params p = sane(given);
	struct rate_state s;
	struct rate_step step = {.s = &s, .p = &p, .answer = &tick, .now_ns = now_ns, .burst = p.burst};

	if (p.strategy != WEIR_ADAPTIVE)
		return;
	load(r, &p, &step);
	rate_adaptive_learn(&step, rate < WEIR_RATE_MAX ? rate : WEIR_RATE_MAX, trust);
	run(&step);
	store(r, bucket, &step);
}

/* Not inlined either: who asks may be deep in a program's stack. */
__attribute__((noinline)) uint64_t weir_rate_learned(const struct weir_rate *r)
{
	uint64_t w[WEIR_RATE_WORDS];
	struct rate_state s;

	weir_published_read(&r->generation, r->state, WEIR_RATE_WORDS, w);
	memcpy(&s, w, sizeof(s));
	return s.tag == STATE_TAG + WEIR_ADAPTIVE + 1 && s.estimate < WEIR_RATE_MAX ? s.estimate : 0;
}

void weir_rate_reset(struct weir_rate *r, struct weir_bucket *bucket, const struct weir_rate_params *given, uint64_t now_ns)
{
	static const struct weir_rate_answer tick = {.signal = WEIR_RATE_TICK};
	struct weir_rate_params p = sane(given);
	struct rate_state s = {0};
	struct rate_step step = {.s = &s, .p = &p, .answer = &tick, .now_ns = now_ns, .burst = p.burst};

	weir_bucket_thaw(bucket, now_ns);
	if (p.strategy == WEIR_FIXED) {
		store(r, bucket, &step); /* an empty state, of no strategy */
		hold_fixed(r, bucket, &p, now_ns);
		return;
	}
	load(r, &p, &step);
	s = (struct rate_state){.tag = STATE_TAG + p.strategy + 1};
	run(&step);
	store(r, bucket, &step);
}
