/* SPDX-License-Identifier: MIT */
/*
 * A compiled rule: what the configuration says about the hosts that match, as numbers. Part of the segment's layout (ABI).
 *
 * The policy compiler (agent, CLI) fills every field, defaults included, so that those who read a rule never consult another one.
 * Readers in a host process treat every field as possibly hostile: counts and enumerations are clamped where they are used.
 */
#ifndef WEIR_RULE_H
#define WEIR_RULE_H

#include <stdint.h>

#include "weir/allowance.h"
#include "weir/breaker.h"
#include "weir/concurrency.h"
#include "weir/degrade.h"
#include "weir/queue.h"
#include "weir/narrow.h"
#include "weir/rate.h"
#include "weir/retry.h"

#define WEIR_RATES          4 /* buckets of one entry: the controlled one and three fixed ones */
#define WEIR_THROTTLE_CODES 8
#define WEIR_MATCH_MAX      264 /* "host:port" with NUL: 253 + 1 + 5 + 1, rounded up */
#define WEIR_GROUP_MAX      64

/* One more rate of the same rule, fixed: `rates = ( "10/s", "5000/h" )`. rate 0: not in use. */
struct weir_fixed_rate {
	uint64_t rate; /* nano-admissions per second */
	uint32_t burst;
	uint32_t pad;
};

enum weir_rule_flag {
	WEIR_RULE_LIMITS_RATE = 1, /* unset: the rate controller is off for these hosts */
	WEIR_RULE_EXEMPT = 2,      /* these hosts pass untouched: nothing is limited, refused or counted */
	WEIR_RULE_GLOB = 4,        /* match holds * or ? ; unset: it is an exact name */
	WEIR_RULE_ANY_PORT =
		8, /* match names no port: every port of the host matches, each port is an entry of its own unless grouped */
};

struct weir_rule {
	char match[WEIR_MATCH_MAX]; /* lower case; "*" for the defaults, which are always the last rule */
	char group[WEIR_GROUP_MAX]; /* empty: each host is an entry of its own */
	uint32_t flags;
	uint32_t throttle_codes;                     /* how many of throttle_code are in use */
	uint16_t throttle_code[WEIR_THROTTLE_CODES]; /* HTTP statuses that mean "slow down" */
	struct weir_rate_params rate;
	struct weir_fixed_rate fixed[WEIR_RATES - 1];
	struct weir_concurrency_params concurrency;
	struct weir_breaker_params breaker;
	uint64_t wait_max_ns; /* nobody waits longer than this */
	uint64_t hold_max_ns; /* no hold is longer than this */
	uint64_t grace_ns;    /* so long into an outage requests wait for its end; 0: they are refused at once */
	struct weir_queue_params queue;
	struct weir_allowances allowances; /* `quotas`: 160 bytes */
	struct weir_retry_params retry;
	struct weir_narrow narrow;
	struct weir_degrade_params degrade;
	uint64_t reserved[6];
};
_Static_assert(sizeof(struct weir_rule) == 1216, "ABI");

#endif
