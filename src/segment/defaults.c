/* SPDX-License-Identifier: MIT */
/* The built-in defaults: the one place where default values stand. */
#include "weir/bucket.h"
#include "weir/segment.h"

#define MILLISECOND UINT64_C(1000000)
#define SECOND      (1000 * MILLISECOND)

const struct weir_rule weir_rule_builtin = {
	.match = "*",
	.flags = WEIR_RULE_LIMITS_RATE, /* as the last rule it matches everything without further flags */
	.throttle_code = {429},         /* RFC 6585, Too Many Requests */
	.throttle_codes = 1,
	.wait_max_ns = 60 * SECOND,   /* as long as a patient person or nginx's proxy_read_timeout waits */
	.hold_max_ns = 3600 * SECOND, /* longer ones are mostly bans; hourly quotas still fit */
	.narrow = {.client_burst = 1},
	.grace_ns = 30 * SECOND, /* a restart takes seconds; Kubernetes' terminationGracePeriodSeconds is 30 */
	.degrade = {.step_ns = 5 * SECOND, .recovery_ns = 20 * SECOND}, /* no threshold; docs/control.md */
	.queue = {.shares = {.normal = 200, .low = 50}},                /* a fifth and a twentieth: enough that a batch goes on */
	.rate =
		{
			.strategy = WEIR_ADAPTIVE,       /* no limit until the host gives a reason */
			.burst = 5,                      /* a page and what belongs to it */
			.min = WEIR_RATE_ONE / 7200,     /* one in two hours: half of the slowest limit that is published, 1/h */
			.max = 0,                        /* no bound */
			.initial = WEIR_RATE_ONE,        /* conservative starts at 1/s */
			.backoff_permille = 500,         /* halve, as TCP does (RFC 5681) and AIMD limiters after it */
			.recovery_permille = 1100,       /* a tenth more at a time */
			.success_threshold = 10,         /* good answers before the rate grows */
			.error_threshold_permille = 100, /* a tenth of the answers of an interval */
			.interval_ns = SECOND,
		},
	.retry =
		{
			.attempts = 1, /* off: an answer of weir's own only where it is asked for */
			.on = WEIR_RETRY_ALL,
			.methods = WEIR_METHODS_IDEMPOTENT,
			.budget_permille = 200,       /* Finagle's and Envoy's 20 % */
			.base_ns = 200 * MILLISECOND, /* a round trip over an ocean */
			.cap_ns = 20 * SECOND,        /* AWS SDKs' max_backoff */
		},
	.concurrency =
		{
			.mode = WEIR_CONCURRENCY_ADAPTIVE,
			.min = 1,
			.max = 0,     /* no bound */
			.initial = 0, /* no limit until latency gives a reason */
		},
	.breaker =
		{
			.failures = 5,                     /* Envoy's consecutive_5xx; gobreaker opens after more than 5 */
			.failure_rate_permille = 0,        /* off: who sheds load fails often, and is not down */
			.slow_rate_permille = 0,           /* off: what is slow depends on the host */
			.slow_call_ns = 5 * SECOND,        /* where a rule says a share: docs/control.md */
			.min_calls = 20,                   /* Hystrix's requestVolumeThreshold */
			.success_threshold = 1,            /* gobreaker's MaxRequests */
			.open_time_ns = 2 * SECOND,        /* docs/control.md: found on outages of 2 to 8 minutes; a recovery is
							      noticed within 5 s in the mean */
			.open_time_factor_permille = 2000, /* doubles from trip to trip */
			.open_time_max_ns = 9 * SECOND,    /* the longest wait for a host that is back */
			.jitter_permille = 100,            /* +- 10 %: machines do not probe in step */

			.window_ns = 10 * SECOND,     /* as Hystrix's rolling window */
			.probe_lease_ns = 5 * SECOND, /* a probe that nobody reaps blocks the next one for so long */
			.ramp_ns = 2 * SECOND,
		},
};

void weir_rule_defaults(struct weir_rule *r)
{
	*r = weir_rule_builtin;
}
