/* SPDX-License-Identifier: MIT */
/*
 * The client-side rate limiter of the AWS SDKs' "adaptive" retry mode, after botocore/retries/adaptive.py, throttling.py and
 * bucket.py (and the SDK reference guide's pseudo code): a token bucket whose fill rate follows CUBIC.
 */
#ifndef SIM_BASELINE_AWS_H
#define SIM_BASELINE_AWS_H

#include <stdbool.h>

#define AWS_SCALE     0.4 /* C, requests / s^3 */
#define AWS_BETA      0.7
#define AWS_BUCKET_S  0.5 /* of the measured rate */
#define AWS_SMOOTHING 0.8
#define AWS_CAP       2   /* times the measured rate */
#define AWS_FLOOR     0.5 /* requests / s */

struct aws_limiter {
	/* CubicCalculator */
	double w_max, k, last_fail_s;
	/* RateClocker */
	double measured, last_bucket_s, count;
	/* TokenBucket */
	double fill_rate, capacity, tokens, filled_s;
	bool enabled;
};

void aws_start(struct aws_limiter *a, double now_s);
/* CUBIC alone: the rate after a success or a throttling error at a time, as CubicCalculator gives it. */
double aws_cubic_success(const struct aws_limiter *a, double now_s);
double aws_cubic_throttled(struct aws_limiter *a, double rate, double now_s);
/* Takes a token: 0, or the seconds until one is there. */
double aws_acquire(struct aws_limiter *a, double now_s);
/* An answer came. */
void aws_answered(struct aws_limiter *a, bool throttled, double now_s);

#endif
