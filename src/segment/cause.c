/* SPDX-License-Identifier: MIT */
#include "weir/cause.h"

struct words {
	const char *name, *text;
};

static const struct words cause_words[WEIR_CAUSE_COUNT] = {
	[WEIR_CAUSE_NONE] = {"none", "nothing stands in the way"},
	[WEIR_CAUSE_RATE] = {"rate", "it waits for its turn at the rate limit"},
	[WEIR_CAUSE_HOLD] = {"hold", "the server said when to come back"},
	[WEIR_CAUSE_CONCURRENCY] = {"concurrency", "as many requests as allowed are in flight"},
	[WEIR_CAUSE_RAMP] = {"ramp", "the breaker has just closed and lets requests through little by little"},
	[WEIR_CAUSE_BREAKER] = {"breaker", "the breaker is open"},
	[WEIR_CAUSE_PROBE] = {"probe", "the breaker is half-open and a probe is in flight"},
	[WEIR_CAUSE_FORCED] = {"forced", "the breaker was opened by hand"},
	[WEIR_CAUSE_FAILURES] = {"failures", "too many requests failed in a row"},
	[WEIR_CAUSE_FAILURE_RATE] = {"failure_rate", "too large a share of requests failed"},
	[WEIR_CAUSE_SLOW_RATE] = {"slow_rate", "too large a share of requests was slow"},
	[WEIR_CAUSE_PROBE_FAILED] = {"probe_failed", "the probe failed"},
	[WEIR_CAUSE_PROBE_SUCCEEDED] = {"probe_succeeded", "the probe succeeded"},
	[WEIR_CAUSE_RETRY_AFTER] = {"retry_after", "the server sent Retry-After"},
	[WEIR_CAUSE_QUOTA_HEADER] = {"quota_header", "the server's headers say that the quota is spent"},
	[WEIR_CAUSE_THROTTLED] = {"throttled", "the server throttled a request"},
	[WEIR_CAUSE_RECOVERY] = {"recovery", "the server answers well again"},
	[WEIR_CAUSE_OPERATOR] = {"operator", "it was set by hand"},
	[WEIR_CAUSE_POLICY] = {"policy", "the configuration changed"},
	[WEIR_CAUSE_OUTAGE] = {"outage", "the breaker has just opened and it waits out an outage"},
	[WEIR_CAUSE_OWNER_DIED] = {"owner_died", "the process that held a permit died"},
	[WEIR_CAUSE_DEPENDS_ON_PACE] = {"depends_on_pace", "it refuses less when less is asked for"},
	[WEIR_CAUSE_DEPENDS_ON_CROWD] = {"depends_on_crowd", "it refuses nothing when fewer requests are in flight"},
	[WEIR_CAUSE_DEPENDS_ON_CHANCE] = {"depends_on_chance", "it refuses as much when less is asked for"},
	[WEIR_CAUSE_QUEUE_FULL] = {"queue_full", "the queue is full"},
	[WEIR_CAUSE_QUOTA_SPENT] = {"quota_spent", "a quota of the configuration is used up"},
	[WEIR_CAUSE_QUOTA_PACED] = {"quota_paced", "what is left of a quota is spread over its window"},
	[WEIR_CAUSE_DEGRADED] = {"degraded", "the host is degraded and requests of this class are given up"},
	[WEIR_CAUSE_SHED] = {"shed", "the host fails and a share of its requests is refused"},
	[WEIR_CAUSE_QUEUE_LONG] = {"queue_long", "too many requests wait"},
	[WEIR_CAUSE_LATENCY] = {"latency", "answers take too long"},
	[WEIR_CAUSE_QUOTA_LOW] = {"quota_low", "little is left of a quota"},
};

const char *weir_cause_name(uint32_t cause)
{
	return cause < WEIR_CAUSE_COUNT ? cause_words[cause].name : "unknown";
}

const char *weir_cause_text(uint32_t cause)
{
	return cause < WEIR_CAUSE_COUNT ? cause_words[cause].text : "for a reason that this version of weir does not know";
}
