/* SPDX-License-Identifier: MIT */
#include "baseline_aws.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "controller.h"
#include "record.h"

static void set_k(struct aws_limiter *a)
{
	a->k = cbrt(a->w_max * (1 - AWS_BETA) / AWS_SCALE);
}

void aws_start(struct aws_limiter *a, double now_s)
{
	memset(a, 0, sizeof(*a));
	a->fill_rate = a->capacity = 1;
	a->filled_s = now_s;
	a->last_fail_s = now_s;
	a->last_bucket_s = floor(now_s);
}

double aws_cubic_success(const struct aws_limiter *a, double now_s)
{
	double t = now_s - a->last_fail_s - a->k;

	return AWS_SCALE * t * t * t + a->w_max;
}

double aws_cubic_throttled(struct aws_limiter *a, double rate, double now_s)
{
	a->w_max = rate;
	set_k(a);
	a->last_fail_s = now_s;
	return rate * AWS_BETA;
}

static void refill(struct aws_limiter *a, double now_s)
{
	a->tokens = fmin(a->capacity, a->tokens + (now_s - a->filled_s) * a->fill_rate);
	a->filled_s = now_s;
}

static void set_rate(struct aws_limiter *a, double rate, double now_s)
{
	refill(a, now_s);
	a->fill_rate = fmax(rate, AWS_FLOOR);
	a->capacity = fmax(rate, 1);
	a->tokens = fmin(a->tokens, a->capacity);
}

double aws_acquire(struct aws_limiter *a, double now_s)
{
	if (!a->enabled)
		return 0;
	refill(a, now_s);
	if (a->tokens < 1)
		return (1 - a->tokens) / a->fill_rate;
	a->tokens -= 1;
	return 0;
}

static double measure(struct aws_limiter *a, double now_s)
{
	double bucket = floor(now_s / AWS_BUCKET_S) * AWS_BUCKET_S;

	a->count += 1;
	if (bucket > a->last_bucket_s) {
		double current = a->count / (bucket - a->last_bucket_s);

		a->measured = current * AWS_SMOOTHING + a->measured * (1 - AWS_SMOOTHING);
		a->count = 0;
		a->last_bucket_s = bucket;
	}
	return a->measured;
}

void aws_answered(struct aws_limiter *a, bool throttled, double now_s)
{
	double measured = measure(a, now_s), rate;

	if (throttled) {
		rate = aws_cubic_throttled(a, a->enabled ? fmin(measured, a->fill_rate) : measured, now_s);
		a->enabled = true;
	} else {
		rate = aws_cubic_success(a, now_s);
	}
	if (a->enabled)
		set_rate(a, fmin(rate, AWS_CAP * measured), now_s);
}

/* ---- as controllers: one state for all, or one per process */

struct aws {
	const struct sim_setting *setting;
	bool shared;
	uint64_t changes;
	struct aws_limiter limiter[SIM_WORKERS];
};

static void *start(const struct sim_setting *setting, bool shared)
{
	struct aws *w = calloc(1, sizeof(*w));

	w->setting = setting;
	w->shared = shared;
	for (unsigned i = 0; i < SIM_WORKERS; i++)
		aws_start(&w->limiter[i], 1000);
	return w;
}

static void *start_shared(const struct sim_setting *setting)
{
	return start(setting, true);
}

static void *start_each(const struct sim_setting *setting)
{
	return start(setting, false);
}

static struct aws_limiter *limiter(struct aws *w, unsigned worker)
{
	return &w->limiter[w->shared ? 0 : w->setting->process_of[worker]];
}

static enum sim_verdict ask(void *self, unsigned worker, uint64_t now_ns, uint64_t *wake_ns)
{
	double wait = aws_acquire(limiter(self, worker), (double)now_ns / 1e9);

	*wake_ns = now_ns + (uint64_t)(wait * 1e9) + 1000;
	return wait > 0 ? SIM_WAIT : SIM_GO;
}

static void result(void *self, unsigned worker, const struct sim_result *r, uint64_t now_ns)
{
	struct aws_limiter *a = limiter(self, worker);
	double rate = a->fill_rate;

	aws_answered(a, r->answer.status == SIM_TOO_MANY, (double)now_ns / 1e9);
	/* The condition variable of the bucket wakes sleepers when the rate is set; a percent more or less does not matter. */
	if (a->fill_rate > rate * 1.01)
		((struct aws *)self)->changes++;
}

static uint64_t changes(void *self)
{
	return ((struct aws *)self)->changes;
}

const struct sim_controller sim_aws_shared = {.name = "AWS shared",
					      .family = SIM_RATE_BASELINES,
					      .start = start_shared,
					      .stop = free,
					      .ask = ask,
					      .result = result,
					      .changes = changes};
const struct sim_controller sim_aws_each = {.name = "AWS per process",
					    .family = SIM_RATE_BASELINES,
					    .start = start_each,
					    .stop = free,
					    .ask = ask,
					    .result = result,
					    .changes = changes};
