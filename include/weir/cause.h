/* SPDX-License-Identifier: MIT */
/* Why: the one vocabulary of reasons that events, refusals, explanations and exports use. Values are ABI: append only. */
#ifndef WEIR_CAUSE_H
#define WEIR_CAUSE_H

#include <stdint.h>

enum weir_cause {
	WEIR_CAUSE_NONE = 0,
	WEIR_CAUSE_RATE,        /* waits for its turn in a bucket */
	WEIR_CAUSE_HOLD,        /* the server said when to come back */
	WEIR_CAUSE_CONCURRENCY, /* all permits are out */
	WEIR_CAUSE_RAMP,        /* the breaker has just closed */
	WEIR_CAUSE_BREAKER,     /* the breaker is open */
	WEIR_CAUSE_PROBE,       /* half-open, and a probe is in flight */
	WEIR_CAUSE_FORCED,      /* opened by the operator */
	WEIR_CAUSE_FAILURES,    /* consecutive failures */
	WEIR_CAUSE_FAILURE_RATE,
	WEIR_CAUSE_SLOW_RATE,
	WEIR_CAUSE_PROBE_FAILED,
	WEIR_CAUSE_PROBE_SUCCEEDED,
	WEIR_CAUSE_RETRY_AFTER,
	WEIR_CAUSE_QUOTA_HEADER,      /* RateLimit, X-RateLimit-* */
	WEIR_CAUSE_THROTTLED,         /* a throttled answer */
	WEIR_CAUSE_RECOVERY,          /* good answers */
	WEIR_CAUSE_OPERATOR,          /* weir set, reset, breaker */
	WEIR_CAUSE_POLICY,            /* new configuration */
	WEIR_CAUSE_OWNER_DIED,        /* a lease was reaped */
	WEIR_CAUSE_OUTAGE,            /* the breaker has just opened, and requests wait for the host to come back */
	WEIR_CAUSE_DEPENDS_ON_PACE,   /* refusals become rarer when less is asked for */
	WEIR_CAUSE_DEPENDS_ON_CROWD,  /* ... when fewer are in flight */
	WEIR_CAUSE_DEPENDS_ON_CHANCE, /* ... not at all */
	WEIR_CAUSE_QUEUE_FULL,        /* as many wait already as a rule allows */
	WEIR_CAUSE_QUOTA_SPENT,       /* a configured quota is used up */
	WEIR_CAUSE_QUOTA_PACED,       /* what is left of one is spread over its window */
	WEIR_CAUSE_DEGRADED,          /* its class is given up */
	WEIR_CAUSE_SHED,              /* it is of the share that a failing host does not get */
	WEIR_CAUSE_QUEUE_LONG,        /* of a degradation: as many wait as a threshold says */
	WEIR_CAUSE_LATENCY,           /* of a degradation: answers take longer than a threshold */
	WEIR_CAUSE_QUOTA_LOW,         /* of a degradation: little is left of a quota */
	WEIR_CAUSE_COUNT
};

/* The name of a cause, for machines: "retry_after". */
const char *weir_cause_name(uint32_t cause);
/* A sentence part for people: "the breaker is open". */
const char *weir_cause_text(uint32_t cause);

#endif
