/* SPDX-License-Identifier: MIT */
/* The built-in defaults: the one place where default values stand. */
#include <string.h>

#include "weir/bucket.h"
#include "weir/segment.h"

#define MILLISECOND UINT64_C(1000000)
#define SECOND      (1000 * MILLISECOND)

void weir_rule_defaults(struct weir_rule *r)
{
	memset(r, 0, sizeof *r);
	r->match[0] = '*';
	r->flags = WEIR_RULE_LIMITS_RATE; /* as the last rule it matches everything without further flags */
	r->throttle_code[0] = 429;        /* RFC 6585, Too Many Requests */
	r->throttle_codes = 1;

	r->rate.strategy = WEIR_ADAPTIVE;       /* no limit until the host gives a reason */
	r->rate.burst = 5;                      /* a page and what belongs to it */
	r->rate.min = WEIR_RATE_ONE / 600;      /* one in ten minutes: slow, but never dead */
	r->rate.max = 0;                        /* no bound */
	r->rate.initial = WEIR_RATE_ONE;        /* conservative starts at 1/s */
	r->rate.backoff_permille = 500;         /* halve, as TCP does (RFC 5681) and AIMD limiters after it */
	r->rate.recovery_permille = 1100;       /* a tenth more at a time */
	r->rate.success_threshold = 10;         /* good answers before the rate grows */
	r->rate.error_threshold_permille = 100; /* a tenth of the answers of an interval */
	r->rate.interval_ns = SECOND;

	r->concurrency.mode = WEIR_CONCURRENCY_ADAPTIVE;
	r->concurrency.min = 1;
	r->concurrency.max = 0;     /* no bound */
	r->concurrency.initial = 0; /* no limit until latency gives a reason */

	r->breaker.failures = 5;                /* Envoy's consecutive_5xx; gobreaker opens after more than 5 */
	r->breaker.failure_rate_permille = 500; /* resilience4j's failureRateThreshold: 50 % */
	r->breaker.slow_rate_permille = 0;      /* off: what is slow depends on the host */
	r->breaker.slow_call_ns = 0;
	r->breaker.min_calls = 20;                   /* Hystrix's requestVolumeThreshold */
	r->breaker.success_threshold = 1;            /* gobreaker's MaxRequests */
	r->breaker.open_time_ns = 5 * SECOND;        /* Hystrix's sleepWindow */
	r->breaker.open_time_factor_permille = 2000; /* doubles from trip to trip */
	r->breaker.open_time_max_ns = 60 * SECOND;   /* gobreaker's Timeout; resilience4j's waitDurationInOpenState */
	r->breaker.jitter_permille = 100;            /* +- 10 %: machines do not probe in step */
	r->breaker.window_ns = 30 * SECOND;
	r->breaker.probe_lease_ns = 10 * SECOND;
	r->breaker.ramp_ns = 5 * SECOND;

	r->wait_max_ns = 60 * SECOND;   /* as long as a patient person or nginx's proxy_read_timeout waits */
	r->hold_max_ns = 3600 * SECOND; /* longer ones are mostly bans; hourly quotas still fit */
}
