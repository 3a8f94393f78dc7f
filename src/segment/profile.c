/* SPDX-License-Identifier: MIT */
#include "weir/profile.h"

#include <string.h>

#include "weir/segment.h"

#define MILLISECOND UINT64_C(1000000)
#define SECOND      (1000 * MILLISECOND)

/* What differs. The simulator's word on it is in docs/control.md; what is the same in all three is not here. */
struct profile {
	const char *name;
	/* of the rate: how it is learned */
	uint64_t rate_min, rate_initial, rate_interval_ns;
	uint32_t burst, backoff_permille, recovery_permille, rate_successes, rate_errors_permille;
	/* of concurrency: 0 = no limit until latency gives a reason; never fewer; never more, 0 = no bound */
	uint32_t permits_initial, permits_min, permits_max;
	/* of the breaker */
	uint32_t failures, probe_successes, open_time_factor_permille;
	uint64_t open_time_ns, open_time_max_ns, ramp_ns, grace_ns;
	/* of retries, where there are any */
	uint32_t attempts, budget_permille;
	uint64_t retry_base_ns, retry_cap_ns;
	uint64_t wait_max_ns, hold_max_ns;
};

/* polite: no more connections than a browser opens to a host (six; Firefox's max-persistent-connections-per-server), twice the
 * patience of the breaker, a quarter of the retries. eager: half of it. */
static const struct profile differ[WEIR_PROFILES] = {
	[WEIR_PROFILE_POLITE] = {.name = "polite",
				 .rate_min = WEIR_RATE_ONE / 7200,
				 .rate_initial = WEIR_RATE_ONE / 2,
				 .rate_interval_ns = 2 * SECOND,
				 .burst = 2,
				 .backoff_permille = 400,
				 .recovery_permille = 1050,
				 .rate_successes = 20,
				 .rate_errors_permille = 50,
				 .permits_initial = 2,
				 .permits_min = 1,
				 .permits_max = 6,
				 .failures = 3,
				 .probe_successes = 2,
				 .open_time_factor_permille = 2000,
				 .open_time_ns = 5 * SECOND,
				 .open_time_max_ns = 60 * SECOND,
				 .ramp_ns = 10 * SECOND,
				 .grace_ns = 30 * SECOND,
				 .attempts = 3,
				 .budget_permille = 50,
				 .retry_base_ns = SECOND,
				 .retry_cap_ns = 60 * SECOND,
				 .wait_max_ns = 300 * SECOND,
				 .hold_max_ns = 86400 * SECOND},
	[WEIR_PROFILE_EAGER] = {.name = "eager",
				.rate_min = WEIR_RATE_ONE / 900,
				.rate_initial = 5 * WEIR_RATE_ONE,
				.rate_interval_ns = 500 * MILLISECOND,
				.burst = 20,
				.backoff_permille = 700,
				.recovery_permille = 1250,
				.rate_successes = 5,
				.rate_errors_permille = 200,
				.permits_initial = 0,
				.permits_min = 4,
				.permits_max = 0,
				.failures = 10,
				.probe_successes = 1,
				.open_time_factor_permille = 1500,
				.open_time_ns = SECOND,
				.open_time_max_ns = 2 * SECOND,
				.ramp_ns = 500 * MILLISECOND,
				.grace_ns = 60 * SECOND,
				.attempts = 8,
				.budget_permille = 400,
				.retry_base_ns = 100 * MILLISECOND,
				.retry_cap_ns = 10 * SECOND,
				.wait_max_ns = 30 * SECOND,
				.hold_max_ns = 600 * SECOND},
};

static void put_rate(struct weir_rate_params *r, const struct profile *p)
{
	r->min = p->rate_min;
	r->initial = p->rate_initial;
	r->interval_ns = p->rate_interval_ns;
	r->backoff_permille = p->backoff_permille;
	r->recovery_permille = p->recovery_permille;
	r->success_threshold = p->rate_successes;
	r->error_threshold_permille = p->rate_errors_permille;
	if (r->strategy != WEIR_FIXED)
		r->burst = p->burst;
}

static void put_breaker(struct weir_rule *r, const struct profile *p)
{
	r->breaker.failures = p->failures;
	r->breaker.success_threshold = p->probe_successes;
	r->breaker.open_time_factor_permille = p->open_time_factor_permille;
	r->breaker.open_time_ns = p->open_time_ns;
	r->breaker.open_time_max_ns = p->open_time_max_ns;
	r->breaker.ramp_ns = p->ramp_ns;
	r->grace_ns = p->grace_ns;
}

/* balanced is the defaults, whatever these are. */
static struct profile balanced(void)
{
	const struct weir_rule *d = &weir_rule_builtin;

	return (struct profile){.name = "balanced",
				.rate_min = d->rate.min,
				.rate_initial = d->rate.initial,
				.rate_interval_ns = d->rate.interval_ns,
				.burst = d->rate.burst,
				.backoff_permille = d->rate.backoff_permille,
				.recovery_permille = d->rate.recovery_permille,
				.rate_successes = d->rate.success_threshold,
				.rate_errors_permille = d->rate.error_threshold_permille,
				.permits_initial = d->concurrency.initial,
				.permits_min = d->concurrency.min,
				.permits_max = d->concurrency.max,
				.failures = d->breaker.failures,
				.probe_successes = d->breaker.success_threshold,
				.open_time_factor_permille = d->breaker.open_time_factor_permille,
				.open_time_ns = d->breaker.open_time_ns,
				.open_time_max_ns = d->breaker.open_time_max_ns,
				.ramp_ns = d->breaker.ramp_ns,
				.grace_ns = d->grace_ns,
				.attempts = WEIR_RETRY_ATTEMPTS_DEFAULT,
				.budget_permille = d->retry.budget_permille,
				.retry_base_ns = d->retry.base_ns,
				.retry_cap_ns = d->retry.cap_ns,
				.wait_max_ns = d->wait_max_ns,
				.hold_max_ns = d->hold_max_ns};
}

static struct profile profile_of(enum weir_profile profile)
{
	return profile == WEIR_PROFILE_POLITE || profile == WEIR_PROFILE_EAGER ? differ[profile] : balanced();
}

void weir_rule_profile(struct weir_rule *r, enum weir_profile profile)
{
	struct profile p = profile_of(profile);

	put_rate(&r->rate, &p);
	r->concurrency.initial = p.permits_initial;
	r->concurrency.min = p.permits_min;
	if (r->concurrency.mode != WEIR_CONCURRENCY_FIXED)
		r->concurrency.max = p.permits_max;
	put_breaker(r, &p);
	r->retry.budget_permille = p.budget_permille;
	r->retry.base_ns = p.retry_base_ns;
	r->retry.cap_ns = p.retry_cap_ns;
	r->wait_max_ns = p.wait_max_ns;
	r->hold_max_ns = p.hold_max_ns;
}

uint32_t weir_profile_attempts(enum weir_profile profile)
{
	return profile_of(profile).attempts;
}

const char *weir_profile_name(unsigned profile)
{
	return profile >= WEIR_PROFILES ? "?" : profile_of((enum weir_profile)profile).name;
}

bool weir_profile_parse(const char *text, enum weir_profile *out)
{
	for (unsigned i = 0; i < WEIR_PROFILES; i++) {
		if (strcmp(text, weir_profile_name(i)) != 0)
			continue;
		*out = (enum weir_profile)i;
		return true;
	}
	return false;
}
