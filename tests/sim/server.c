/* SPDX-License-Identifier: MIT */
#include "server.h"

#include <math.h>
#include <string.h>

#define NS 1e9

void sim_server_start(struct sim_server *s, const struct sim_scenario *scenario, uint64_t seed)
{
	memset(s, 0, sizeof(*s));
	s->scenario = scenario;
	s->random.state = seed * 0x9E3779B97F4A7C15U + 17;
	s->slowdown = 1;
	for (unsigned i = 0; i < SIM_LIMITS; i++) {
		const struct sim_limit *l = &scenario->limit[i];

		s->rate[i] = l->rate;
		s->tokens[i] = l->burst;
		s->window_ns[i] = (uint64_t)(l->window_s * NS);
		s->phase_ns[i] = (uint64_t)(sim_random_unit(&s->random) * l->window_s * NS);
		if (l->swing > 0)
			s->swing_ns[i] = (uint64_t)(sim_random_unit(&s->random) * l->period_s * NS);
	}
}

/* What a swinging rate adds over a steady one since the beginning: the integral of its sine. */
static double swung(const struct sim_server *s, unsigned i, uint64_t now_ns)
{
	const struct sim_limit *l = &s->scenario->limit[i];
	double turn = 2 * M_PI / l->period_s;

	return -l->swing * l->rate / turn * cos(turn * (double)(now_ns + s->swing_ns[i]) / NS);
}

double sim_server_granted(const struct sim_server *s, unsigned i, double from_s, double to_s)
{
	const struct sim_limit *l = &s->scenario->limit[i];

	return l->swing > 0
		       ? l->rate * (to_s - from_s) + swung(s, i, (uint64_t)(to_s * NS)) - swung(s, i, (uint64_t)(from_s * NS))
		       : l->rate * (to_s - from_s);
}

static void refill(struct sim_server *s, unsigned i, uint64_t now_ns)
{
	const struct sim_limit *l = &s->scenario->limit[i];

	if (l->kind == SIM_BUCKET) {
		double more = s->rate[i] * (double)(now_ns - s->refilled_ns[i]) / NS;

		if (l->swing > 0)
			more += swung(s, i, now_ns) - swung(s, i, s->refilled_ns[i]);
		s->tokens[i] = fmin(l->burst, s->tokens[i] + more);
		s->refilled_ns[i] = now_ns;
	} else if (l->kind == SIM_WINDOW) {
		uint64_t number = (now_ns + s->window_ns[i] - s->phase_ns[i]) / s->window_ns[i];

		if (number != s->window_number[i])
			s->used[i] = 0;
		s->window_number[i] = number;
	}
}

void sim_server_change(struct sim_server *s, enum sim_change_kind kind, double value, uint64_t now_ns)
{
	switch (kind) {
	case SIM_SET_RATE:
		refill(s, 0, now_ns);
		s->rate[0] = value;
		break;
	case SIM_SET_SLOWDOWN:
		s->slowdown = value;
		break;
	case SIM_SET_ERRORS:
		s->errors = value;
		break;
	case SIM_SET_OUTAGE:
		s->outage = (enum sim_outage)value;
		break;
	case SIM_KEEP:
		break;
	}
}

static uint64_t window_left_ns(const struct sim_server *s, unsigned i, uint64_t now_ns)
{
	return s->window_ns[i] - (now_ns + s->window_ns[i] - s->phase_ns[i]) % s->window_ns[i];
}

static uint64_t log_wanting_ns(const struct sim_server *s, const struct sim_limit *l, uint64_t now_ns, double before)
{
	uint64_t window = (uint64_t)(l->window_s * NS), limit = (uint64_t)l->limit, others = (uint64_t)before, first;

	if (others >= limit)
		return window;
	if (s->logged + others < limit)
		return 0;
	first = s->log_ns[(s->logged + others - limit) % SIM_LOG_MAX];
	return now_ns - first < window ? window - (now_ns - first) : 0;
}

/* How long the queue of a limit with delay is, in time. */
static uint64_t queue_ns(const struct sim_server *s, unsigned i, uint64_t now_ns)
{
	return s->drained_ns[i] > now_ns ? s->drained_ns[i] - now_ns : 0;
}

/* How long until limit i accepts one more, after `before` others; 0 = now. */
static uint64_t wanting_ns(struct sim_server *s, unsigned i, uint64_t now_ns, double before)
{
	const struct sim_limit *l = &s->scenario->limit[i];
	uint64_t most = (uint64_t)(l->burst / fmax(l->rate, 1e-9) * NS), queue = queue_ns(s, i, now_ns);

	refill(s, i, now_ns);
	if (l->kind == SIM_BUCKET && s->tokens[i] < 1 + before)
		return (uint64_t)((1 + before - s->tokens[i]) / s->rate[i] * NS) + 1;
	if (l->kind == SIM_LOG)
		return log_wanting_ns(s, l, now_ns, before);
	if (l->kind == SIM_DELAY && queue > most)
		return queue - most;
	if (l->kind == SIM_WINDOW && s->used[i] + 1 + before > l->limit)
		return window_left_ns(s, i, now_ns);
	return 0;
}

uint64_t sim_server_free_ns(struct sim_server *s, uint64_t now_ns, unsigned before)
{
	uint64_t most = s->ban_ns > now_ns ? s->ban_ns - now_ns : 0;

	for (unsigned i = 0; i < SIM_LIMITS; i++) {
		uint64_t wait = wanting_ns(s, i, now_ns, before), queue = queue_ns(s, i, now_ns);

		/* Who knows the queue does not wait in it, but for one that is next. */
		if (s->scenario->limit[i].kind == SIM_DELAY) {
			queue += (uint64_t)(before / s->rate[i] * NS);
			wait = queue > (uint64_t)(NS / s->rate[i]) ? queue - (uint64_t)(NS / s->rate[i]) : 0;
		}
		most = wait > most ? wait : most;
	}
	return now_ns + most;
}

/* How long until the limits that the server itself has accept one more. */
static uint64_t refused_for_ns(struct sim_server *s, uint64_t now_ns)
{
	uint64_t most = s->ban_ns > now_ns ? s->ban_ns - now_ns : 0;

	for (unsigned i = 0; i < SIM_LIMITS; i++) {
		uint64_t wait = wanting_ns(s, i, now_ns, 0);

		most = wait > most ? wait : most;
	}
	return most;
}

/* Returns how long the request is delayed. */
static uint64_t spend(struct sim_server *s, uint64_t now_ns)
{
	uint64_t delay = 0;

	for (unsigned i = 0; i < SIM_LIMITS; i++) {
		const struct sim_limit *l = &s->scenario->limit[i];

		s->tokens[i] -= l->kind == SIM_BUCKET;
		s->used[i] += l->kind == SIM_WINDOW;
		if (l->kind == SIM_LOG)
			s->log_ns[s->logged++ % SIM_LOG_MAX] = now_ns;
		if (l->kind == SIM_DELAY) {
			delay = queue_ns(s, i, now_ns);
			s->drained_ns[i] = now_ns + delay + (uint64_t)(NS / l->rate);
		}
	}
	return delay;
}

static void describe(const struct sim_server *s, uint64_t now_ns, struct sim_answer *out)
{
	const struct sim_limit *l = &s->scenario->limit[0];

	if (l->kind == SIM_WINDOW) {
		out->facts.limit = (uint64_t)l->limit;
		out->facts.window_ns = s->window_ns[0];
		out->facts.remaining = (uint64_t)(l->limit - s->used[0]);
		out->facts.reset_ns = window_left_ns(s, 0, now_ns);
	} else if (l->kind == SIM_BUCKET) {
		out->facts.limit = (uint64_t)l->burst;
		out->facts.window_ns = (uint64_t)(l->burst / s->rate[0] * NS);
		out->facts.remaining = (uint64_t)s->tokens[0];
		out->facts.reset_ns = (uint64_t)((l->burst - s->tokens[0]) / s->rate[0] * NS);
	}
}

/* FIFO: the slot that is free first takes the request; the client may have gone meanwhile, the work is done all the same. */
static uint64_t serve(struct sim_server *s, uint64_t now_ns)
{
	const struct sim_slots *slots = &s->scenario->slots;
	double ms = sim_random_exponential(&s->random, slots->service_ms) * s->slowdown;
	unsigned first = 0;
	uint64_t begins;

	if (slots->tail > 0 && sim_random_unit(&s->random) < slots->tail)
		ms *= 50;
	if (slots->count == 0)
		return now_ns + (uint64_t)(ms * 1e6);
	for (unsigned i = 1; i < slots->count; i++)
		if (s->slot_free_ns[i] < s->slot_free_ns[first])
			first = i;
	begins = s->slot_free_ns[first] > now_ns ? s->slot_free_ns[first] : now_ns;
	s->slot_free_ns[first] = begins + (uint64_t)(ms * 1e6);
	return s->slot_free_ns[first];
}

static bool all_busy(const struct sim_server *s, uint64_t now_ns)
{
	for (unsigned i = 0; i < s->scenario->slots.count; i++)
		if (s->slot_free_ns[i] <= now_ns)
			return false;
	return true;
}

/* What the noise says; SIM_OK: nothing. */
static enum sim_status noise(struct sim_server *s)
{
	for (unsigned i = 0; i < SIM_NOISES; i++) {
		const struct sim_noise *n = &s->scenario->noise[i];

		if (n->every != 0 && (s->arrived - 1) % n->every < n->run)
			return n->status;
		if (n->share > 0 && sim_random_unit(&s->random) < n->share)
			return n->status;
	}
	return SIM_OK;
}

static void refuse(struct sim_server *s, uint64_t wait_ns, uint64_t now_ns, struct sim_answer *out)
{
	out->status = s->scenario->refusal != SIM_OK ? s->scenario->refusal : SIM_TOO_MANY;
	out->facts.throttled = true;
	out->facts.retry_ns = wait_ns;
	if (s->scenario->ban_s <= 0)
		return;
	s->bans += s->ban_ns <= now_ns;
	s->ban_ns = now_ns + (uint64_t)(s->scenario->ban_s * NS);
	out->facts.retry_ns = s->ban_ns - now_ns;
}

void sim_server_arrive(struct sim_server *s, uint64_t now_ns, struct sim_answer *out)
{
	uint64_t wait;

	memset(out, 0, sizeof(*out));
	out->leaves_ns = now_ns;
	s->arrived++;
	if (s->outage != SIM_UP) {
		out->status = s->outage == SIM_RST ? SIM_REFUSED : SIM_SILENCE;
		return;
	}
	out->status = noise(s);
	if (out->status != SIM_OK) {
		out->facts.throttled = out->status == SIM_TOO_MANY;
		return;
	}
	wait = refused_for_ns(s, now_ns);
	if (wait == 0 && s->scenario->slots.refuses && all_busy(s, now_ns))
		wait = 1;
	if (wait == 0)
		out->leaves_ns += spend(s, now_ns);
	describe(s, now_ns, out);
	if (wait > 0) {
		refuse(s, wait, now_ns, out);
		return;
	}
	if (s->errors > 0 && sim_random_unit(&s->random) < s->errors) {
		out->status = SIM_UNAVAILABLE;
		return;
	}
	if (s->scenario->slots.service_ms > 0)
		out->leaves_ns = serve(s, now_ns);
	if (s->scenario->errors > 0 && sim_random_unit(&s->random) < s->scenario->errors)
		out->status = SIM_ERROR;
}
